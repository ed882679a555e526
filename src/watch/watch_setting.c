/*
 * watch_setting.c: the settings of the watch.
 *
 * Every session may set them: they say how a session's own statements are
 * watched, and change nothing else.
 */
#include "postgres.h"

#include <float.h>

#include "utils/builtins.h"
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

static bool check_ignore(char **value, void **extra, GucSource source);
static bool names_table(const char *name, Oid table);
static bool names_function(const char *name, const char *function);

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
							   "Names with or without their schema, separated by commas.",
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

	if (watch_ignore == NULL || watch_ignore[0] == '\0')
		return false;
	if (!SplitIdentifierString(pstrdup(watch_ignore), ',', &names))
		return false;
	foreach(cell, names)
	{
		if (names_table(lfirst(cell), table) || names_function(lfirst(cell), function))
			return true;
	}
	return false;
}

static bool
check_ignore(char **value, void **extra, GucSource source)
{
	char	   *copy = pstrdup(*value);
	List	   *names;
	bool		ok = SplitIdentifierString(copy, ',', &names);

	if (!ok)
		GUC_check_errdetail("List syntax is invalid.");
	list_free(names);
	pfree(copy);
	return ok;
}

static bool
names_table(const char *name, Oid table)
{
	const char *table_name = get_rel_name(table);
	const char *schema = get_namespace_name(get_rel_namespace(table));

	if (table_name == NULL || schema == NULL)
		return false;
	return strcmp(name, table_name) == 0 ||
		strcmp(name, psprintf("%s.%s", schema, table_name)) == 0;
}

/*
 * The function's name stands before its arguments, with its schema where the
 * search path does not find it.
 */
static bool
names_function(const char *name, const char *function)
{
	const char *end = function ? strchr(function, '(') : NULL;
	size_t		length;
	const char *dot;

	if (end == NULL)
		return false;
	length = end - function;
	if (strlen(name) == length && strncmp(name, function, length) == 0)
		return true;
	dot = memchr(function, '.', length);
	return dot && strlen(name) == end - dot - 1 && strncmp(name, dot + 1, end - dot - 1) == 0;
}
