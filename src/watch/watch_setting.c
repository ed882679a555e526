/*
 * watch_setting.c: the settings of the watch.
 *
 * Every session may set them: they say how a session's own statements are
 * watched, and change nothing else.
 */
#include "postgres.h"

#include <float.h>

#include "nodes/pg_list.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/varlena.h"
#include "watch/watch.h"

int			ar_watch_mode = AR_WATCH_OFF;
int			ar_watch_threshold = 10;
int			ar_watch_window = 2000;
double		ar_watch_min_ms = 0;
static char *watch_ignore = NULL;

static const struct config_enum_entry modes[] = {
	{"off", AR_WATCH_OFF, false},
	{"log", AR_WATCH_LOG, false},
	{"notice", AR_WATCH_NOTICE, false},
	{"error", AR_WATCH_ERROR, false},
	{NULL, 0, false}
};

/* A table or a function. */
typedef struct QualifiedName
{
	const char *schema;			/* NULL: not said */
	const char *name;
} QualifiedName;

static bool check_ignore(char **value, void **extra, GucSource source);
static bool read_list(char *text, List **names);
static char *find_unquoted(char *text, const char *characters);
static bool read_name(char *text, QualifiedName *name);
static QualifiedName table_name(Oid table);
static QualifiedName function_name(const char *function);
static bool is_named(const QualifiedName *name, const QualifiedName *found);

void
ar_watch_init(void)
{
	DefineCustomEnumVariable("algo_ref.watch",
							 "Tells of statements that look rows up one key at a time.",
							 "log: in the server's log; notice: to the client; error: the statement fails.",
							 &ar_watch_mode, AR_WATCH_OFF, modes,
							 PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("algo_ref.watch_threshold",
							"How many lookups with keys of one statement are told of.",
							"At least three different keys have to be among them.",
							&ar_watch_threshold, 10, 2, INT_MAX,
							PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("algo_ref.watch_window",
							"How long the keys of a statement outside of a transaction block are remembered.",
							"In a transaction block they are remembered to its end.",
							&ar_watch_window, 2000, 0, INT_MAX,
							PGC_USERSET, GUC_UNIT_MS, NULL, NULL, NULL);
	DefineCustomRealVariable("algo_ref.watch_min_ms",
							 "How long lookups have to take in sum, in milliseconds, to be told of.",
							 NULL,
							 &ar_watch_min_ms, 0, 0, DBL_MAX,
							 PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomStringVariable("algo_ref.watch_ignore",
							   "Tables and functions whose lookups are not told of.",
							   "Names as SQL writes them, with or without schema, separated by commas; functions without arguments.",
							   &watch_ignore, "",
							   PGC_USERSET, GUC_LIST_INPUT, check_ignore, NULL, NULL);
	ar_watch_report_init();
	ar_watch_install_hooks();
}

/*
 * Is the table that is looked up, or the function that does it, to be ignored?
 * "function" is as in "public.page(integer) line 3", or NULL.
 */
bool
ar_watch_is_ignored(Oid table, const char *function)
{
	List	   *names;
	ListCell   *cell;
	QualifiedName own_table;
	QualifiedName own_function;

	if (watch_ignore == NULL || watch_ignore[0] == '\0' ||
		!read_list(pstrdup(watch_ignore), &names))
		return false;
	own_table = table_name(table);
	own_function = function_name(function);
	foreach(cell, names)
	{
		if (is_named(lfirst(cell), &own_table) || is_named(lfirst(cell), &own_function))
			return true;
	}
	return false;
}

static bool
check_ignore(char **value, void **extra, GucSource source)
{
	char	   *copy = pstrdup(*value);
	List	   *names;
	bool		ok = read_list(copy, &names);

	if (!ok)
	{
		GUC_check_errdetail("List syntax is invalid.");
		if (find_unquoted(*value, "()"))
			GUC_check_errhint("Functions are named without their arguments.");
	}
	list_free_deep(names);
	pfree(copy);
	return ok;
}

/*
 * The list as QualifiedNames, which point into the text.  False if it is none.
 */
static bool
read_list(char *text, List **names)
{
	char	   *next = text;

	*names = NIL;
	if (text[strspn(text, " \t\n\r\f\v")] == '\0')
		return true;
	while (next)
	{
		char	   *part = next;
		QualifiedName *name = palloc(sizeof(QualifiedName));

		next = find_unquoted(part, ",");
		if (next)
			*next++ = '\0';
		*names = lappend(*names, name);
		if (find_unquoted(part, "()") || !read_name(part, name))
			return false;
	}
	return true;
}

/*
 * The first of some characters that stands outside of quotes; NULL if none
 * does.
 */
static char *
find_unquoted(char *text, const char *characters)
{
	bool		is_quoted = false;

	for (; *text; text ++)
	{
		if (*text == '"')
			is_quoted = !is_quoted;
		else if (!is_quoted && strchr(characters, *text))
			return text;
	}
	return NULL;
}

/*
 * A name with or without schema, as SQL reads it.
 */
static bool
read_name(char *text, QualifiedName *name)
{
	List	   *parts;
	bool		ok = SplitIdentifierString(text, '.', &parts) &&
	(list_length(parts) == 1 || list_length(parts) == 2);

	name->schema = ok && list_length(parts) == 2 ? linitial(parts) : NULL;
	name->name = ok ? llast(parts) : NULL;
	list_free(parts);
	return ok;
}

static QualifiedName
table_name(Oid table)
{
	QualifiedName name = {get_namespace_name(get_rel_namespace(table)), get_rel_name(table)};

	return name;
}

/*
 * The function's name stands before its arguments, with its schema where the
 * search path did not find it.
 */
static QualifiedName
function_name(const char *function)
{
	QualifiedName name = {NULL, NULL};
	char	   *text = function ? pstrdup(function) : NULL;
	char	   *end = text ? find_unquoted(text, "(") : NULL;
	char	   *line;
	Datum		oid;

	LOCAL_FCINFO(fcinfo, 1);

	if (end == NULL)
		return name;
	line = strstr(end, " line ");
	if (line)
		*line = '\0';
	InitFunctionCallInfoData(*fcinfo, NULL, 1, InvalidOid, NULL, NULL);
	fcinfo->args[0].value = CStringGetTextDatum(text);
	fcinfo->args[0].isnull = false;
	*end = '\0';
	if (!read_name(text, &name) || name.schema)
		return name;

	oid = to_regprocedure(fcinfo);
	if (!fcinfo->isnull)
		name.schema = get_namespace_name(get_func_namespace(DatumGetObjectId(oid)));
	return name;
}

static bool
is_named(const QualifiedName *name, const QualifiedName *found)
{
	return found->name && strcmp(name->name, found->name) == 0 &&
		(name->schema == NULL ||
		 (found->schema && strcmp(name->schema, found->schema) == 0));
}
