/*
 * autogenerate_text.c: the declared text: its statements, checked and run.
 */
#include "postgres.h"

#include "commands/defrem.h"
#include "commands/extension.h"
#include "common/compat.h"
#include "executor/spi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "parser/parser.h"
#include "revision/revision.h"
#include "tcop/utility.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "autogenerate/autogenerate.h"

static List *parse_raw(const char *text);
static void check_statement(const DeclaredText *declared, const DeclaredStatement *statement);
static bool is_ddl(Node *stmt);
static bool is_set_config(Node *stmt);
static void note_statement(DeclaredText *declared, Node *stmt);
static bool is_there_already(Node *stmt, const Stage *stage);
static void error_callback(void *arg);

/* For the error context. */
typedef struct Running
{
	const char *text;
	const DeclaredStatement *statement;
} Running;

/*
 * Take the declared text apart.  Raises the server's syntax errors with line
 * and position; 0A000 for what is no DDL or needs a commit; 22023 if there is
 * nothing in it.
 */
DeclaredText *
ar_autogenerate_parse(const char *text)
{
	DeclaredText *declared = palloc0(sizeof(DeclaredText));
	List	   *raws = parse_raw(text);
	int			length = strlen(text);
	ListCell   *cell;

	declared->text = text;

	foreach(cell, raws)
	{
		DeclaredStatement *statement = palloc0(sizeof(DeclaredStatement));
		RawStmt    *raw = lfirst_node(RawStmt, cell);
		int			end = raw->stmt_len > 0 ? raw->stmt_location + raw->stmt_len : length;

		statement->raw = raw;
		statement->location = ar_revision_script_skip_blanks(text, raw->stmt_location, end);
		statement->end = end;
		statement->text = pnstrdup(&text[statement->location], end - statement->location);
		if (is_set_config(raw->stmt))
			continue;
		check_statement(declared, statement);
		note_statement(declared, raw->stmt);
		declared->statements = lappend(declared->statements, statement);
	}
	if (declared->statements == NIL)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("the declared model is empty"),
				errhint("To drop everything, declare an empty schema: CREATE SCHEMA IF NOT EXISTS with its name."));
	ar_autogenerate_read_hints(declared);
	return declared;
}

/*
 * Run the declared text in the stand-in schemas, which are there and in
 * search_path.  Errors get its line.
 */
void
ar_autogenerate_build(const DeclaredText *declared, const Stage *stage)
{
	Running		running = {.text = declared->text};
	ErrorContextCallback callback = {.callback = error_callback,.arg = &running,
	.previous = error_context_stack};
	ListCell   *cell;

	foreach(cell, declared->statements)
		ar_autogenerate_check_scope(declared, lfirst(cell), stage);
	error_context_stack = &callback;
	foreach(cell, declared->statements)
	{
		CHECK_FOR_INTERRUPTS();
		running.statement = lfirst(cell);
		if (!is_there_already(running.statement->raw->stmt, stage))
			ar_autogenerate_execute(running.statement->text);
	}
	error_context_stack = callback.previous;
}

static List *
parse_raw(const char *text)
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
		{
			int			location = pg_mbcharcliplen(text, strlen(text), edata->cursorpos - 1);

			edata->cursorpos = 0;
			edata->internalquery = ar_revision_script_excerpt(text, location, &edata->internalpos);
			edata->context = psprintf("line %d of the declared model", ar_revision_script_line(text, location));
		}
		ReThrowError(edata);
	}
	PG_END_TRY();
	standard_conforming_strings = conforming;
	return raws;
}

static void
check_statement(const DeclaredText *declared, const DeclaredStatement *statement)
{
	Node	   *stmt = statement->raw->stmt;
	const char *needs_commit = ar_revision_commit_need(stmt, NIL);

	if (needs_commit)
		ereport(ERROR,
				errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				errmsg("%s cannot be used in a declared model", needs_commit),
				errhint("The model says what there is to be; how it comes about is for the revision."),
				ar_autogenerate_errposition(declared->text, statement->location));
	if (!is_ddl(stmt))
		ereport(ERROR,
				errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				errmsg("%s cannot be used in a declared model", CreateCommandName(stmt)),
				errdetail("A model is made of statements that define the objects of schemas."),
				ar_autogenerate_errposition(declared->text, statement->location));
}

/*
 * Statements that define what is in a schema, or go with those.
 */
static bool
is_ddl(Node *stmt)
{
	switch (nodeTag(stmt))
	{
		case T_CreateStmt:
		case T_CreateForeignTableStmt:
		case T_ViewStmt:
		case T_IndexStmt:
		case T_CreateSeqStmt:
		case T_AlterSeqStmt:
		case T_AlterTableStmt:
		case T_CreateEnumStmt:
		case T_CompositeTypeStmt:
		case T_CreateRangeStmt:
		case T_CreateDomainStmt:
		case T_AlterDomainStmt:
		case T_AlterEnumStmt:
		case T_AlterTypeStmt:
		case T_CreateFunctionStmt:
		case T_AlterFunctionStmt:
		case T_DefineStmt:
		case T_CreateTrigStmt:
		case T_RuleStmt:
		case T_CreatePolicyStmt:
		case T_AlterPolicyStmt:
		case T_CreateStatsStmt:
		case T_AlterStatsStmt:
		case T_AlterCollationStmt:
		case T_CommentStmt:
		case T_GrantStmt:
		case T_AlterOwnerStmt:
		case T_AlterObjectDependsStmt:
		case T_RenameStmt:
		case T_CreateSchemaStmt:
		case T_CreateExtensionStmt:
		case T_AlterDefaultPrivilegesStmt:
		case T_VariableSetStmt:
		case T_DropStmt:
			return true;
		case T_CreateTableAsStmt:
			return castNode(CreateTableAsStmt, stmt)->objtype == OBJECT_MATVIEW;
		default:
			return false;
	}
}

/*
 * SELECT set_config(...), as pg_dump writes it; not run.
 */
static bool
is_set_config(Node *stmt)
{
	SelectStmt *select;
	ResTarget  *target;

	if (!IsA(stmt, SelectStmt))
		return false;
	select = castNode(SelectStmt, stmt);
	if (list_length(select->targetList) != 1 || select->fromClause != NIL)
		return false;
	target = linitial_node(ResTarget, select->targetList);
	return target->val && IsA(target->val, FuncCall) &&
		strcmp(strVal(llast(castNode(FuncCall, target->val)->funcname)), "set_config") == 0;
}

static void
note_statement(DeclaredText *declared, Node *stmt)
{
	if (IsA(stmt, CreateSchemaStmt))
	{
		CreateSchemaStmt *schema = castNode(CreateSchemaStmt, stmt);

		if (schema->schemaname)
			declared->schemas = lappend(declared->schemas, schema->schemaname);
		if (schema->authrole)
			declared->owners = true;
	}
	else if (IsA(stmt, CreateExtensionStmt))
		declared->extensions = lappend(declared->extensions, castNode(CreateExtensionStmt, stmt)->extname);
	else if (IsA(stmt, AlterOwnerStmt))
		declared->owners = true;
	else if (IsA(stmt, AlterTableStmt))
	{
		ListCell   *cell;

		foreach(cell, castNode(AlterTableStmt, stmt)->cmds)
		{
			if (lfirst_node(AlterTableCmd, cell)->subtype == AT_ChangeOwner)
				declared->owners = true;
		}
	}
}

/*
 * A schema that was made to stand in, or an extension, of which there is only
 * one in the database.
 */
static bool
is_there_already(Node *stmt, const Stage *stage)
{
	if (IsA(stmt, CreateSchemaStmt))
	{
		CreateSchemaStmt *schema = castNode(CreateSchemaStmt, stmt);
		ListCell   *cell;

		if (schema->schemaname == NULL || schema->schemaElts != NIL)
			return false;
		foreach(cell, stage->schemas)
		{
			StageSchema *place = lfirst(cell);

			if (strcmp(place->name, schema->schemaname) == 0)
				return OidIsValid(place->oid);
		}
		return false;
	}
	if (IsA(stmt, CreateExtensionStmt))
		return OidIsValid(get_extension_oid(castNode(CreateExtensionStmt, stmt)->extname, true));
	return false;
}

/*
 * Part of an ereport(): the error is at that byte of the declared text.
 */
int
ar_autogenerate_errposition(const char *text, int location)
{
	int			position;

	internalerrquery(ar_revision_script_excerpt(text, location, &position));
	internalerrposition(position);
	errcontext("line %d of the declared model", ar_revision_script_line(text, location));
	return 0;
}

static void
error_callback(void *arg)
{
	Running    *running = arg;
	int			location = running->statement->location;
	int			position = geterrposition();

	if (position > 0 || getinternalerrposition() > 0)
	{
		int			excerpt;

		if (position <= 0)
			position = getinternalerrposition();
		location += pg_mbcharcliplen(running->statement->text, strlen(running->statement->text), position - 1);
		errposition(0);
		internalerrquery(ar_revision_script_excerpt(running->text, location, &excerpt));
		internalerrposition(excerpt);
	}
	errcontext("line %d of the declared model", ar_revision_script_line(running->text, location));
}
