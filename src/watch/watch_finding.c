/*
 * watch_finding.c: an N+1, in words.
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "nodes/bitmapset.h"
#include "parser/scanner.h"
#include "parser/scansup.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/json.h"
#include "utils/lsyscache.h"
#include "watch/watch.h"

/* Longer texts of statements are cut off. */
#define STATEMENT_BYTES_MAX 16384
#define SHOWN_BYTES_MAX 1000

/* The protocol has no more. */
#define PARAMETERS_MAX 65535

static const char *lookup_of(const Finding *finding);
static const char *shown(const char *text);
static void read_query(const char *statement, StringInfo query, Bitmapset **numbers);
static bool is_word(const char *text, const char *word);
static bool are_given(ParamListInfo params, const Bitmapset *numbers);
static char *values_of(ParamListInfo params);

/*
 * The text of a statement, alone, where several came together; in the current
 * memory context.
 */
char *
ar_watch_statement_text(QueryDesc *query)
{
	const char *text = query->sourceText;
	int			length;

	if (query->plannedstmt->stmt_location > 0)
		text	  +=Min(query->plannedstmt->stmt_location, strlen(text));

	length = strlen(text);
	if (query->plannedstmt->stmt_len > 0)
		length = Min(query->plannedstmt->stmt_len, length);
	while (length > 0 && scanner_isspace(*text))
	{
		text	  ++;

		length--;
	}
	while (length > 0 && (scanner_isspace(text[length - 1]) || text[length - 1] == ';'))
		length--;
	if (length > STATEMENT_BYTES_MAX)
		length = pg_mbcliplen(text, length, STATEMENT_BYTES_MAX);
	return pnstrdup(text, length);
}

/*
 * The PL/pgSQL function that runs the statement, and its line; NULL if none
 * does.
 *
 * The stack of error contexts knows it.  What it says is asked for in English.
 */
char *
ar_watch_function(void)
{
	static const char prefix[] = "PL/pgSQL function ";
	int			nest_level = NewGUCNestLevel();
	char	   *stack;
	char	   *line;
	char	   *end;

	(void) set_config_option("lc_messages", "C", PGC_SUSET, PGC_S_SESSION, GUC_ACTION_SAVE,
							 true, 0, false);
	stack = GetErrorContextStack();
	AtEOXact_GUC(true, nest_level);

	line = stack;
	while (line && strncmp(line, prefix, strlen(prefix)) != 0)
	{
		line = strchr(line, '\n');
		if (line)
			line++;
	}
	if (line == NULL)
		return NULL;
	line += strlen(prefix);
	end = strchr(line, '\n');
	if (end)
		*end = '\0';
	end = strstr(line, " line ");
	if (end)
	{
		end += strlen(" line ");
		end[strspn(end, "0123456789")] = '\0';
	}
	return line;
}

/*
 * The call of prefetch that returns the rows of a statement together with
 * those along a path; NULL if the statement cannot be written down, or would be
 * longer than AR_WATCH_CALL_BYTES_MAX.
 *
 * Values of parameters are in the call.  Variables of a function stand in it
 * as such: it is for that function.
 */
char *
ar_watch_call(const char *statement, ParamListInfo params, const char *path)
{
	StringInfoData query;
	StringInfoData call;
	Bitmapset  *numbers = NULL;
	const char *values = NULL;
	const char *text;

	if (strlen(statement) >= STATEMENT_BYTES_MAX - MAX_MULTIBYTE_CHAR_LEN)
		return NULL;
	read_query(statement, &query, &numbers);
	text = query.data;

	if (!are_given(params, numbers))
	{
		text = ar_watch_name_variables(statement, &values);

		if (text == NULL)
			return NULL;
	}
	else if (!bms_is_empty(numbers))
		values = quote_literal_cstr(values_of(params));

	initStringInfo(&call);
	if (values)
		appendStringInfo(&call, "SELECT algo_ref.prefetch_query(%s, ARRAY[%s], %s)",
						 quote_literal_cstr(text), quote_literal_cstr(path), values);
	else
		appendStringInfo(&call, "SELECT algo_ref.prefetch(%s, %s)",
						 quote_literal_cstr(text), quote_literal_cstr(path));
	return call.len < AR_WATCH_CALL_BYTES_MAX ? call.data : NULL;
}

/*
 * Say it where the setting says.
 *
 * A function that runs as its owner does not tell its caller what it runs,
 * unless the caller has its owner's privileges, be it the list or the lookups.
 */
void
ar_watch_tell(const Finding *finding)
{
	int			level = ar_watch_mode == AR_WATCH_ERROR ? ERROR :
	ar_watch_mode == AR_WATCH_NOTICE ? NOTICE : LOG_SERVER_ONLY;
	bool		visible = level == LOG_SERVER_ONLY ||
	(has_privs_of_role(GetOuterUserId(), GetUserId()) &&
	 has_privs_of_role(GetOuterUserId(), finding->source_role));

	ereport(level,
			errcode(level == ERROR ? ERRCODE_PROGRAM_LIMIT_EXCEEDED : ERRCODE_WARNING),
			errmsg("table %s is looked up by %s one key at a time: " INT64_FORMAT " times",
				   finding->table, finding->columns, finding->times),
			visible ?
			errdetail("The keys along %s were returned by: %s.  They are looked up by: %s.",
					  finding->relationship, shown(finding->source), lookup_of(finding)) :
			errdetail("The keys along %s were returned by one statement.",
					  finding->relationship),
			visible && finding->call ?
			errhint("One statement returns all of it: %s.", finding->call) :
			errhint("algo_ref.prefetch(), or a join, returns all of it with one statement."));
}

/*
 * What does the lookups.  The body of a function in SQL may be stored without
 * its text.
 */
static const char *
lookup_of(const Finding *finding)
{
	if (finding->function)
		return psprintf("PL/pgSQL function %s", finding->function);
	return finding->statement[0] ? shown(finding->statement) : "a function in SQL";
}

static const char *
shown(const char *text)
{
	int			length = strlen(text);

	if (length <= SHOWN_BYTES_MAX)
		return text;

	return psprintf("%.*s...", pg_mbcliplen(text, length, SHOWN_BYTES_MAX), text);
}

/*
 * The query that a statement runs, with $1 written as :p1, and the numbers of
 * its parameters.
 *
 * It stands behind the first AS of PREPARE and the first FOR of DECLARE.
 */
static void
read_query(const char *statement, StringInfo query, Bitmapset **numbers)
{
	core_yyscan_t scanner;
	core_yy_extra_type extra;
	core_YYSTYPE value;
	YYLTYPE		location;
	const char *before = NULL;
	bool		is_first = true;
	int			done = 0;

	initStringInfo(query);
	scanner = scanner_init(statement, &extra, &ScanKeywords, ScanKeywordTokens);
	extra.escape_string_warning = false;
	while (core_yylex(&value, &location, scanner) != 0)
	{
		const char *token = statement + location;

		if (is_first && is_word(token, "prepare"))
			before = "as";
		else if (is_first && is_word(token, "declare"))
			before = "for";
		is_first = false;
		if (before && is_word(token, before))
		{
			done = location + strlen(before);
			done += strspn(statement + done, " \t\n\r\f");
			before = NULL;
		}
		if (before || token[0] != '$' || token[1] < '0' || token[1] > '9')
			continue;
		appendBinaryStringInfo(query, statement + done, location - done);
		appendStringInfoString(query, ":p");
		done = location + 1;
		*numbers = bms_add_member(*numbers, Min(atoi(token + 1), PARAMETERS_MAX));
	}
	scanner_finish(scanner);
	appendStringInfoString(query, statement + done);
}

static bool
is_word(const char *text, const char *word)
{
	size_t		length = strlen(word);

	return pg_strncasecmp(text, word, length) == 0 &&
		(text[length] == '\0' || scanner_isspace(text[length]) || text[length] == '(');
}

/*
 * Are the parameters those that have these numbers in the text?  Others are
 * variables, which stand in it under their names.
 */
static bool
are_given(ParamListInfo params, const Bitmapset *numbers)
{
	for (int i = 0; params && i < params->numParams; i++)
	{
		if (OidIsValid(params->params[i].ptype) && !bms_is_member(i + 1, numbers))
			return false;
	}
	return bms_is_empty(numbers) || (params && bms_prev_member(numbers, -1) <= params->numParams);
}

/*
 * The values of the parameters, as an object of JSON.
 */
static char *
values_of(ParamListInfo params)
{
	StringInfoData json;

	initStringInfo(&json);
	for (int i = 0; i < params->numParams; i++)
	{
		ParamExternData *param = &params->params[i];
		Oid			output;
		bool		is_varlena;

		if (!OidIsValid(param->ptype))
			continue;
		appendStringInfo(&json, "%s\"p%d\": ", json.len == 0 ? "{" : ", ", i + 1);
		if (param->isnull)
			appendStringInfoString(&json, "null");
		else
		{
			getTypeOutputInfo(param->ptype, &output, &is_varlena);
			escape_json(&json, OidOutputFunctionCall(output, param->value));
		}
	}
	appendStringInfoChar(&json, '}');
	return json.data;
}
