/*
 * watch_finding.c: an N+1, in words.
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "parser/scanner.h"
#include "parser/scansup.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/json.h"
#include "utils/lsyscache.h"
#include "watch/watch.h"

/* Longer texts of statements are cut off. */
#define STATEMENT_BYTES_MAX 16384
#define SHOWN_BYTES_MAX 1000

/* A part of a statement's text. */
typedef struct TextPart
{
	int			location;
	int			length;
} TextPart;

static const char *shown(const char *text);
static char *name_parameters(const char *statement, ParamListInfo params);
static void append_values(StringInfo call, ParamListInfo params);

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
	end = strstr(line, " at ");
	if (end)
		*end = '\0';
	return line;
}

/*
 * The call of prefetch that returns the rows of a statement together with
 * those along a path; NULL if the statement cannot be written down, because it
 * is too long, or because its parameters are variables of a function.
 */
char *
ar_watch_call(const char *statement, ParamListInfo params, bool has_variables, const char *path)
{
	StringInfoData call;

	if (has_variables || strlen(statement) >= STATEMENT_BYTES_MAX - MAX_MULTIBYTE_CHAR_LEN)
		return NULL;
	initStringInfo(&call);
	if (params == NULL)
		appendStringInfo(&call, "SELECT algo_ref.prefetch(%s, %s)",
						 quote_literal_cstr(statement), quote_literal_cstr(path));
	else
	{
		appendStringInfo(&call, "SELECT algo_ref.prefetch_query(%s, ARRAY[%s], ",
						 quote_literal_cstr(name_parameters(statement, params)),
						 quote_literal_cstr(path));
		append_values(&call, params);
		appendStringInfoChar(&call, ')');
	}
	return call.data;
}

/*
 * Say it where the setting says.
 */
void
ar_watch_tell(const Finding *finding)
{
	int			level = ar_watch_mode == AR_WATCH_ERROR ? ERROR :
	ar_watch_mode == AR_WATCH_NOTICE ? NOTICE : LOG;

	ereport(level,
			errcode(level == ERROR ? ERRCODE_PROGRAM_LIMIT_EXCEEDED : ERRCODE_WARNING),
			errmsg("table %s is looked up by %s one key at a time: " INT64_FORMAT " times",
				   finding->table, finding->columns, finding->times),
			errdetail("The keys along %s were returned by: %s.  They are looked up by: %s%s.",
					  finding->relationship, shown(finding->source),
					  finding->function ? "PL/pgSQL function " : "",
					  finding->function ? finding->function : shown(finding->statement)),
			finding->call ?
			errhint("One statement returns all of it: %s.", finding->call) :
			errhint("algo_ref.prefetch(), or a join, returns all of it with one statement."));
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
 * The statement with $1 written as :p1.
 */
static char *
name_parameters(const char *statement, ParamListInfo params)
{
	StringInfoData result;
	core_yyscan_t scanner;
	core_yy_extra_type extra;
	core_YYSTYPE value;
	YYLTYPE		location;
	int			done = 0;

	initStringInfo(&result);
	scanner = scanner_init(statement, &extra, &ScanKeywords, ScanKeywordTokens);
	while (core_yylex(&value, &location, scanner) != 0)
	{
		if (statement[location] != '$' || statement[location + 1] < '0' ||
			statement[location + 1] > '9')
			continue;
		appendBinaryStringInfo(&result, statement + done, location - done);
		appendStringInfoString(&result, ":p");
		done = location + 1;
	}
	scanner_finish(scanner);
	appendStringInfoString(&result, statement + done);
	return result.data;
}

/*
 * The values of the parameters, as a literal of jsonb.
 */
static void
append_values(StringInfo call, ParamListInfo params)
{
	StringInfoData json;

	initStringInfo(&json);
	for (int i = 0; i < params->numParams; i++)
	{
		ParamExternData *param = &params->params[i];
		Oid			output;
		bool		is_varlena;

		appendStringInfo(&json, "%s\"p%d\": ", i == 0 ? "{" : ", ", i + 1);
		if (param->isnull || !OidIsValid(param->ptype))
			appendStringInfoString(&json, "null");
		else
		{
			getTypeOutputInfo(param->ptype, &output, &is_varlena);
			escape_json(&json, OidOutputFunctionCall(output, param->value));
		}
	}
	appendStringInfoChar(&json, '}');
	appendStringInfoString(call, quote_literal_cstr(json.data));
}
