/*
 * revision_script.c: the text of a script and its statements.
 *
 * The server's own grammar takes scripts apart; nothing here interprets SQL by
 * itself.  A script means the same in every session: it is read with
 * standard_conforming_strings on.
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "parser/parser.h"
#include "revision/revision.h"
#include "utils/builtins.h"
#include "utils/guc.h"

/* A script up to this size is shown whole with an error. */
#define EXCERPT_WHOLE 1500
/* Of a longer one, so much before and after the place of the error. */
#define EXCERPT_SIDE 250

/* An error message longer than this has swallowed half of the script. */
#define MESSAGE_MAX 300

/* What is blank to the scanner. */
#define BLANKS " \t\n\r\f\v"

static List *parse_raw(const char *text, RevisionDirection direction, const char *revision);
static void improve_error(ErrorData *edata, const char *text, RevisionDirection direction,
						  const char *revision);
static int	copy_from_client(const char *text, int end);
static int	statement_end(const char *text, const RawStmt *raw, int text_length);
static void check_allowed(const char *text, const ScriptStatement *statement,
						  RevisionDirection direction, const char *revision);
static bool reads_strings_otherwise(const VariableSetStmt *set);
static const char *transaction_command(TransactionStmtKind kind);
static int	script_errposition(const char *text, int location, RevisionDirection direction,
							   const char *revision);
static char *script_context(const char *text, int location, RevisionDirection direction,
							const char *revision);

/*
 * The statements of a script, a list of ScriptStatement *.
 *
 * Raises the server's syntax error, with the script as internal query and its
 * line in the context; 0A000 for what a script may not contain: the ends of a
 * transaction, and COPY from or to the client; 42601 for a command of psql.
 */
List *
ar_revision_script_parse(const char *text, RevisionDirection direction,
						 const char *revision)
{
	List	   *raws = parse_raw(text, direction, revision);
	List	   *statements = NIL;
	int			text_length = strlen(text);
	int			counted = 0;
	int			line = 1;
	ListCell   *cell;

	foreach(cell, raws)
	{
		RawStmt    *raw = lfirst_node(RawStmt, cell);
		ScriptStatement *statement = palloc0(sizeof(ScriptStatement));
		int			end = statement_end(text, raw, text_length);

		CHECK_FOR_INTERRUPTS();
		statement->location = ar_revision_script_skip_blanks(text, raw->stmt_location, end);
		statement->length = end - statement->location;
		while (counted < statement->location)
		{
			if (text[counted++] == '\n')
				line++;
		}
		statement->line = line;
		statement->raw = raw;
		statement->needs_commit = ar_revision_commit_need(raw->stmt, statements);
		check_allowed(text, statement, direction, revision);
		statements = lappend(statements, statement);
	}
	return statements;
}

/*
 * What to show as internal query of an error at byte "location" of a script:
 * all of it, or, where it is long, the lines around.  "position" becomes the
 * place of the error in it, counted in characters from 1, as
 * internalerrposition() wants it.
 */
char *
ar_revision_script_excerpt(const char *text, int location, int *position)
{
	int			length = strlen(text);
	int			start = 0;
	int			end = length;

	if (length > EXCERPT_WHOLE)
	{
		/* whole lines where there are any so near, else whole characters */
		start = pg_mbcliplen(text, length, Max(location - EXCERPT_SIDE, 0));
		for (int i = start; i > 0 && i < location; i++)
			if (text[i] == '\n')
			{
				start = i + 1;
				break;
			}
		end = Min(location + EXCERPT_SIDE, length);
		end = location + pg_mbcliplen(&text[location], length - location, end - location);
		for (int i = end; i > location; i--)
			if (text[i] == '\n')
			{
				end = i;
				break;
			}
	}
	*position = pg_mbstrlen_with_len(&text[start], location - start) + 1;
	return pnstrdup(&text[start], end - start);
}

/*
 * The server's raw parser, as in a session with standard_conforming_strings on.
 */
static List *
parse_raw(const char *text, RevisionDirection direction, const char *revision)
{
	MemoryContext context = CurrentMemoryContext;
	bool		conforming = standard_conforming_strings;
	List	   *raws = NIL;

	standard_conforming_strings = true;
	PG_TRY();
	{
		raws = raw_parser(text, RAW_PARSE_DEFAULT);
	}
	PG_CATCH();
	{
		ErrorData  *edata;

		standard_conforming_strings = conforming;
		MemoryContextSwitchTo(context);
		edata = CopyErrorData();
		FlushErrorState();
		if (edata->cursorpos > 0)
			improve_error(edata, text, direction, revision);
		ReThrowError(edata);
	}
	PG_END_TRY();
	standard_conforming_strings = conforming;
	return raws;
}

/*
 * Make an error of the parser one about the script: its place as an internal
 * position, its line in the context, and what is not SQL at all under its own
 * name: a backslash outside of strings.  Raises 0A000 instead where the text is
 * the data of a COPY.
 */
static void
improve_error(ErrorData *edata, const char *text, RevisionDirection direction,
			  const char *revision)
{
	int			location = pg_mbcharcliplen(text, strlen(text), edata->cursorpos - 1);
	int			copy = copy_from_client(text, location);
	char	   *context;

	if (copy >= 0)
		ereport(ERROR,
				errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				errmsg("COPY FROM STDIN cannot be used in a migration script"),
				errhint("Write the rows as INSERT, or load them outside of the migrations."),
				script_errposition(text, copy, direction, revision));
	if (edata->sqlerrcode == ERRCODE_SYNTAX_ERROR && strstr(edata->message, "\"\\\""))
	{
		const char *command = &text[location];
		int			length = pg_mbcliplen(command, strcspn(command, BLANKS), 30);

		edata->message = psprintf("psql command \"%s\" cannot be used in a migration script",
								  pnstrdup(command, length));
		edata->hint = pstrdup("A script holds SQL only: it is run by the server, not by psql.");
	}
	else if (strlen(edata->message) > MESSAGE_MAX)
		edata->message = psprintf("%s...",
								  pnstrdup(edata->message,
										   pg_mbcliplen(edata->message, strlen(edata->message),
														MESSAGE_MAX)));
	edata->cursorpos = 0;
	edata->internalquery = ar_revision_script_excerpt(text, location, &edata->internalpos);
	context = script_context(text, location, direction, revision);
	edata->context = edata->context ? psprintf("%s\n%s", context, edata->context) : context;
}

/*
 * Where, before "end", a statement COPY ... FROM STDIN has come to its end, so
 * that what follows is meant as its data; -1 if there is none.
 */
static int
copy_from_client(const char *text, int end)
{
	MemoryContext context = CurrentMemoryContext;
	char	   *before = pnstrdup(text, end);
	int			nest_level = NewGUCNestLevel();
	volatile int copy = -1;

	PG_TRY();
	{
		ScriptTokens *tokens;
		ScriptToken token;
		int			start = -1;
		bool		is_copy = false;
		bool		after_from = false;
		bool		from_client = false;

		tokens = ar_revision_tokens_begin(before);
		while (copy < 0 && ar_revision_tokens_next(tokens, &token))
		{
			if (start < 0)
			{
				start = token.location;
				is_copy = ar_revision_token_is_name(&token, "copy");
				from_client = false;
			}
			from_client |= is_copy && after_from && ar_revision_token_is_name(&token, "stdin");
			after_from = ar_revision_token_is_name(&token, "from");
			if (token.class == ';')
			{
				if (from_client)
					copy = start;
				start = -1;
			}
			ar_revision_token_free(&token);
		}
		ar_revision_tokens_end(tokens);
	}
	PG_CATCH();
	{
		/* it is cut in the middle of a token; whatever was found counts */
		MemoryContextSwitchTo(context);
		FlushErrorState();
	}
	PG_END_TRY();
	AtEOXact_GUC(true, nest_level);
	return copy;
}

/*
 * The first place from "location" on that is neither blank nor comment.
 */
int
ar_revision_script_skip_blanks(const char *text, int location, int end)
{
	while (location < end)
	{
		if (strchr(BLANKS, text[location]))
			location++;
		else if (text[location] == '-' && text[location + 1] == '-')
			location += strcspn(&text[location], "\r\n");
		else if (text[location] == '/' && text[location + 1] == '*')
		{
			int			depth = 0;

			do
			{
				bool		opens = text[location] == '/' && text[location + 1] == '*';
				bool		closes = text[location] == '*' && text[location + 1] == '/';

				depth += opens - closes;
				location += opens || closes ? 2 : 1;
			} while (depth > 0 && location < end);
		}
		else
			break;
	}
	return Min(location, end);
}

/*
 * The line, from 1, in which a byte of the text stands.
 */
int
ar_revision_script_line(const char *text, int location)
{
	int			line = 1;

	for (int i = 0; i < location; i++)
	{
		if (text[i] == '\n')
			line++;
	}
	return line;
}

/*
 * Where a statement ends: before its semicolon, and before blanks.
 */
static int
statement_end(const char *text, const RawStmt *raw, int text_length)
{
	int			end = raw->stmt_len > 0 ? raw->stmt_location + raw->stmt_len : text_length;

	while (end > raw->stmt_location && strchr(BLANKS, text[end - 1]))
		end--;
	return end;
}

/*
 * Refuse what would end the transaction of the run, or needs the client.
 */
static void
check_allowed(const char *text, const ScriptStatement *statement,
			  RevisionDirection direction, const char *revision)
{
	Node	   *stmt = statement->raw->stmt;

	if (IsA(stmt, TransactionStmt))
	{
		const char *command = transaction_command(castNode(TransactionStmt, stmt)->kind);

		if (command)
			ereport(ERROR,
					errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					errmsg("%s cannot be used in a migration script", command),
					errhint("A script is one unit, and what runs it begins and commits the transaction.  SAVEPOINT can be used."),
					script_errposition(text, statement->location, direction, revision));
	}
	if (IsA(stmt, CopyStmt) && castNode(CopyStmt, stmt)->filename == NULL)
	{
		if (castNode(CopyStmt, stmt)->is_from)
			ereport(ERROR,
					errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					errmsg("COPY FROM STDIN cannot be used in a migration script"),
					errhint("Write the rows as INSERT, or load them outside of the migrations."),
					script_errposition(text, statement->location, direction, revision));
		ereport(ERROR,
				errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				errmsg("COPY TO STDOUT cannot be used in a migration script"),
				errhint("A script has no client to send rows to; copy them into a table."),
				script_errposition(text, statement->location, direction, revision));
	}
	if (IsA(stmt, VariableSetStmt) && reads_strings_otherwise(castNode(VariableSetStmt, stmt)))
		ereport(ERROR,
				errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				errmsg("\"standard_conforming_strings\" cannot be turned off in a migration script"),
				errdetail("A script is read as a whole, with the setting on."),
				errhint("Write strings that have escapes as E'...'."),
				script_errposition(text, statement->location, direction, revision));
}

/*
 * Does it turn standard_conforming_strings off?  What follows would mean
 * something else than what was read.
 */
static bool
reads_strings_otherwise(const VariableSetStmt *set)
{
	A_Const    *value;
	bool		is_on = true;

	if (set->kind != VAR_SET_VALUE || list_length(set->args) != 1 ||
		pg_strcasecmp(set->name, "standard_conforming_strings") != 0)
		return false;
	value = linitial_node(A_Const, set->args);
	if (IsA(&value->val, Integer))
		return intVal(&value->val) == 0;
	return IsA(&value->val, String) && parse_bool(strVal(&value->val), &is_on) && !is_on;
}

/*
 * The name of a transaction command that a script may not contain, else NULL.
 */
static const char *
transaction_command(TransactionStmtKind kind)
{
	switch (kind)
	{
		case TRANS_STMT_BEGIN:
			return "BEGIN";
		case TRANS_STMT_START:
			return "START TRANSACTION";
		case TRANS_STMT_COMMIT:
			return "COMMIT";
		case TRANS_STMT_ROLLBACK:
			return "ROLLBACK";
		case TRANS_STMT_PREPARE:
			return "PREPARE TRANSACTION";
		case TRANS_STMT_COMMIT_PREPARED:
			return "COMMIT PREPARED";
		case TRANS_STMT_ROLLBACK_PREPARED:
			return "ROLLBACK PREPARED";
		case TRANS_STMT_SAVEPOINT:
		case TRANS_STMT_RELEASE:
		case TRANS_STMT_ROLLBACK_TO:
			return NULL;
	}
	return NULL;
}

/*
 * Part of an ereport(): the error is at byte "location" of the script.
 */
static int
script_errposition(const char *text, int location, RevisionDirection direction,
				   const char *revision)
{
	int			position;

	internalerrquery(ar_revision_script_excerpt(text, location, &position));
	internalerrposition(position);
	errcontext("%s", script_context(text, location, direction, revision));
	return 0;
}

static char *
script_context(const char *text, int location, RevisionDirection direction,
			   const char *revision)
{
	int			line = 1;

	for (int i = 0; i < location; i++)
	{
		if (text[i] == '\n')
			line++;
	}
	if (revision == NULL)
		return psprintf("line %d of %s script",
						line, ar_revision_direction_name(direction));
	return psprintf("line %d of %s script of revision \"%s\"",
					line, ar_revision_direction_name(direction), revision);
}
