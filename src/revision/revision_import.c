/*
 * revision_import.c: the output of "alembic upgrade ... --sql" as revisions.
 *
 * Alembic's offline mode writes each step as a comment that names the step
 * ("-- Running upgrade a, b -> c"), the statements of the step, and the change
 * of the version table, with BEGIN and COMMIT in between.  The server's parser
 * takes the text apart, so that what looks like such a comment inside a string
 * or a function body is left alone.  What remains of each step, comments
 * included, is the script of its revision.
 *
 * Dependencies are not written there, but they show: a step that takes a row
 * out of the version table which is not of its parents depends on that row.
 *
 * Source: Alembic, MigrationContext.run_migrations and HeadMaintainer.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "parser/parser.h"
#include "revision/revision.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"

#define MARKER "-- Running "

/* A step of the text. */
typedef struct ImportedStep
{
	RevisionDirection direction;
	char	   *revision;
	List	   *revises;		/* of char * */
	List	   *removed;		/* rows that the step took out of the version
								 * table */
	StringInfoData script;
} ImportedStep;

/* Where in the text we are. */
typedef struct Import
{
	const char *text;
	const char *version_table;
	List	   *steps;			/* of ImportedStep * */
	ImportedStep *step;			/* the last of them, or NULL */
} Import;

PG_FUNCTION_INFO_V1(algo_ref_import_alembic);

static List *read_steps(const char *text, const char *version_table);
static List *parse_text(const char *text);
static int	read_gap(Import *import, int start, int end);
static void read_marker(Import *import, const char *line, int length);
static bool is_marker(const char *line, int length);
static List *split_ids(const char *text, int length);
static void read_statement(Import *import, Node *stmt, int start, int end);
static bool changes_version_table(Import *import, Node *stmt);
static void note_removed(Import *import, Node *where);
static const char *compared_string(Node *where);
static int	import_error_position(const char *text, int location);
static ImportedStep *find_step(List *steps, RevisionDirection direction, const char *revision);
static bool list_has_id(List *ids, const char *id);
static void register_step(ImportedStep *up, ImportedStep *down);

/*
 * SQL: algo_ref.import_alembic(sql text, version_table text) returns setof text
 */
Datum
algo_ref_import_alembic(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	List	   *steps;
	ListCell   *cell;

	PreventCommandIfReadOnly("algo_ref.import_alembic()");
	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		ereport(ERROR,
				errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				errmsg("%s must not be null", PG_ARGISNULL(0) ? "sql" : "version_table"));
	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);

	steps = read_steps(text_to_cstring(PG_GETARG_TEXT_PP(0)),
					   text_to_cstring(PG_GETARG_TEXT_PP(1)));
	foreach(cell, steps)
	{
		ImportedStep *step = lfirst(cell);
		Datum		value[1];
		bool		isnull[1] = {false};

		if (step->direction == AR_UPGRADE)
			register_step(step, find_step(steps, AR_DOWNGRADE, step->revision));
		else if (find_step(steps, AR_UPGRADE, step->revision) == NULL)
			register_step(NULL, step);
		else
			continue;
		value[0] = CStringGetTextDatum(step->revision);
		tuplestore_putvalues(result->setResult, result->setDesc, value, isnull);
	}
	return (Datum) 0;
}

/*
 * The steps that the text consists of, in its order.
 */
static List *
read_steps(const char *text, const char *version_table)
{
	Import		import = {0};
	int			length = strlen(text);
	int			end = 0;
	ListCell   *cell;

	import.text = text;

	import.version_table = version_table;
	foreach(cell, parse_text(text))
	{
		RawStmt    *raw = lfirst_node(RawStmt, cell);
		int			stop = raw->stmt_len ? raw->stmt_location + raw->stmt_len : length;
		int			start = read_gap(&import, end, stop);

		CHECK_FOR_INTERRUPTS();
		read_statement(&import, raw->stmt, start, stop);
		end = stop;
		if (end < length && text[end] == ';')
			end++;
	}
	/* behind the last statement: the steps of revisions without any */
	(void) read_gap(&import, end, length);

	if (import.steps == NIL)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("text names no migration steps"),
				errhint("It is to be what \"alembic upgrade base:head --sql\" prints, with its comments."));
	return import.steps;
}

static List *
parse_text(const char *text)
{
	bool		conforming = standard_conforming_strings;
	List	   *raws = NIL;

	standard_conforming_strings = true;
	PG_TRY();
	{
		raws = raw_parser(text, RAW_PARSE_DEFAULT);
	}
	PG_FINALLY();
	{
		standard_conforming_strings = conforming;
	}
	PG_END_TRY();
	return raws;
}

/*
 * The blanks and comments in front of a statement.  Markers begin steps;
 * other comments belong to the script.  Returns where the statement, with the
 * comments that are its own, begins.
 */
static int
read_gap(Import *import, int start, int end)
{
	const char *text = import->text;
	int			here = start;

	for (;;)
	{
		here += strspn(text +here, " \t\r\n\f\v");
		here = Min(here, end);
		if (here < end && strncmp(text +here, "--", 2) == 0)
		{
			int			length = strcspn(text +here, "\r\n");

			if (is_marker(text +here, length))
			{
				read_marker(import, text +here, length);
				start = here + length;
			}
			here += length;
		}
		else if (here < end && text[here] == '/' && text[here + 1] == '*')
		{
			int			depth = 0;

			do
			{
				bool		opens = text[here] == '/' && text[here + 1] == '*';
				bool		closes = text[here] == '*' && text[here + 1] == '/';

				depth += opens - closes;
				here += opens || closes ? 2 : 1;
			} while (depth > 0 && here < end);
		}
		else
			break;
	}
	start += strspn(text +start, " \t\r\n\f\v");
	return Min(start, here);
}

/*
 * "-- Running upgrade a, b -> c": a step begins.
 */
static void
read_marker(Import *import, const char *line, int length)
{
	const char *words = line + strlen(MARKER);
	const char *arrow = strstr(words, "->");
	ImportedStep *step = palloc0(sizeof(ImportedStep));
	const char *from = words + strcspn(words, " ");
	List	   *left = split_ids(from, arrow - from);
	List	   *right = split_ids(arrow + 2, line + length - (arrow + 2));
	List	   *own;

	step->direction = strncmp(words, "upgrade", 7) == 0 ? AR_UPGRADE : AR_DOWNGRADE;
	own = step->direction == AR_UPGRADE ? right : left;
	if (list_length(own) != 1)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("cannot read migration step \"%s\"", pnstrdup(line, length)),
				import_error_position(import->text, line - import->text));
	step->revision = linitial(own);
	step->revises = step->direction == AR_UPGRADE ? left : right;
	initStringInfo(&step->script);
	if (find_step(import->steps, step->direction, step->revision))
		ereport(ERROR,
				errcode(ERRCODE_DUPLICATE_OBJECT),
				errmsg("%s of revision \"%s\" occurs twice",
					   ar_revision_direction_name(step->direction), step->revision),
				import_error_position(import->text, line - import->text));
	import->step = step;
	import->steps = lappend(import->steps, step);
}

static bool
is_marker(const char *line, int length)
{
	const char *arrow = strstr(line, "->");

	return (strncmp(line, MARKER "upgrade ", strlen(MARKER "upgrade ")) == 0 ||
			strncmp(line, MARKER "downgrade ", strlen(MARKER "downgrade ")) == 0) &&
		arrow != NULL && arrow < line + length;
}

/*
 * Comma-separated ids, possibly none.
 */
static List *
split_ids(const char *text, int length)
{
	char	   *copy = pnstrdup(text, length);
	char	   *rest = NULL;
	List	   *ids = NIL;

	for (char *id = strtok_r(copy, ", \t", &rest); id; id = strtok_r(NULL, ", \t", &rest))
		ids = lappend(ids, id);
	return ids;
}

/*
 * A statement: of the frame that Alembic puts around, or of the step's script.
 */
static void
read_statement(Import *import, Node *stmt, int start, int end)
{
	if (IsA(stmt, TransactionStmt) || changes_version_table(import, stmt))
		return;
	if (import->step == NULL)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("statement belongs to no migration step"),
				errdetail("It comes before the first comment \"%s...\".", MARKER),
				import_error_position(import->text, start));
	appendBinaryStringInfo(&import->step->script, import->text +start, end - start);
	appendStringInfoString(&import->step->script, ";\n");
}

/*
 * Is this Alembic's own bookkeeping?  Notes which rows the step takes away.
 */
static bool
changes_version_table(Import *import, Node *stmt)
{
	RangeVar   *relation = NULL;
	Node	   *where = NULL;

	switch (nodeTag(stmt))
	{
		case T_CreateStmt:
			relation = ((CreateStmt *) stmt)->relation;
			break;
		case T_InsertStmt:
			relation = ((InsertStmt *) stmt)->relation;
			break;
		case T_UpdateStmt:
			relation = ((UpdateStmt *) stmt)->relation;
			where = ((UpdateStmt *) stmt)->whereClause;
			break;
		case T_DeleteStmt:
			relation = ((DeleteStmt *) stmt)->relation;
			where = ((DeleteStmt *) stmt)->whereClause;
			break;
		case T_DropStmt:
			if (((DropStmt *) stmt)->removeType == OBJECT_TABLE &&
				list_length(((DropStmt *) stmt)->objects) == 1)
				relation = makeRangeVarFromNameList(linitial(((DropStmt *) stmt)->objects));
			break;
		default:
			break;
	}
	if (relation == NULL || strcmp(relation->relname, import->version_table) != 0)
		return false;
	if (import->step && where)
		note_removed(import, where);
	return true;
}

static void
note_removed(Import *import, Node *where)
{
	const char *row = compared_string(where);

	if (row)
		import->step->removed = lappend(import->step->removed, pstrdup(row));
}

/*
 * The string in "column = 'string'", or NULL.
 */
static const char *
compared_string(Node *where)
{
	A_Expr	   *comparison = (A_Expr *) where;
	A_Const    *constant;

	if (!IsA(where, A_Expr) || comparison->rexpr == NULL || !IsA(comparison->rexpr, A_Const))
		return NULL;
	constant = (A_Const *) comparison->rexpr;
	return IsA(&constant->val, String) ? strVal(&constant->val) : NULL;
}

/*
 * For an error: the line of the text.
 */
static int
import_error_position(const char *text, int location)
{
	int			line = 1;

	for (int i = 0; i < location; i++)
		line += text[i] == '\n';

	return errcontext("line %d of the text to be imported", line);
}

static ImportedStep *
find_step(List *steps, RevisionDirection direction, const char *revision)
{
	ListCell   *cell;

	foreach(cell, steps)
	{
		ImportedStep *step = lfirst(cell);

		if (step->direction == direction && strcmp(step->revision, revision) == 0)
			return step;
	}
	return NULL;
}

static bool
list_has_id(List *ids, const char *id)
{
	ListCell   *cell;

	foreach(cell, ids)
	{
		if (strcmp(lfirst(cell), id) == 0)
			return true;
	}
	return false;
}

/*
 * Register a revision through algo_ref.revision(), with what is stored of it
 * already where the text says nothing.
 */
static void
register_step(ImportedStep *up, ImportedStep *down)
{
	static const char *query =
	"SELECT algo_ref.revision(message => $1, upgrade => $2, downgrade => $3, id => $4,"
	" revises => $5, depends_on => $6, branch_labels => $7)";
	Oid			types[] = {TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID};
	ImportedStep *step = up ? up : down;
	StoredScript *stored = ar_revision_fetch(step->revision, NULL);
	List	   *revises = step->revises;
	List	   *depends_on = stored ? stored->depends_on : NIL;
	const char *downgrade = stored ? stored->downgrade : NULL;
	Datum		values[7];
	char		nulls[8] = "       ";
	ListCell   *cell;

	if (up == NULL && stored == NULL)
		ereport(ERROR,
				errcode(ERRCODE_UNDEFINED_OBJECT),
				errmsg("revision \"%s\" does not exist", step->revision),
				errdetail("The text has its downgrade only."),
				errhint("Import the output of \"alembic upgrade base:head --sql\" first, or both in one text."));
	if (up)
	{
		foreach(cell, up->removed)
		{
			char	   *row = lfirst(cell);

			if (!list_has_id(up->revises, row) &&
				!list_has_id(depends_on, row))
				depends_on = lappend(depends_on, row);
		}
	}
	if (down)
		downgrade = down->script.data;

	values[0] = CStringGetTextDatum(stored ? stored->message : "imported from Alembic");
	values[1] = CStringGetTextDatum(up ? up->script.data : stored->upgrade);
	values[2] = downgrade ? CStringGetTextDatum(downgrade) : (Datum) 0;
	if (downgrade == NULL)
		nulls[2] = 'n';
	values[3] = CStringGetTextDatum(step->revision);
	values[4] = ar_revision_text_array(up ? revises : stored->revises);
	values[5] = ar_revision_text_array(depends_on);
	values[6] = ar_revision_text_array(stored ? stored->branch_labels : NIL);

	SPI_connect();
	if (SPI_execute_with_args(query, 7, types, values, nulls, false, 0) != SPI_OK_SELECT)
		elog(ERROR, "algo_ref.revision() could not be called");
	SPI_finish();
}
