/*
 * migrate_end.c: the end of a script: what a commit would do, and the end of
 * the session that psql would have had for it.
 *
 * Deferred constraints are checked; cursors and prepared statements are
 * closed, and what was made in the temporary schema is dropped.  Settings are
 * the business of who executes the script.
 *
 * A script that only defines things leaves nothing of the kind behind, and
 * costs nothing.
 */
#include "postgres.h"

#include "access/tupdesc.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "commands/prepare.h"
#include "executor/executor.h"
#include "executor/tuptable.h"
#include "funcapi.h"
#include "migrate/migrate.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/portal.h"
#include "utils/tuplestore.h"

struct ScriptEnd
{
	bool		only_defines;
	bool		sets_constraints;
	List	   *prepared;		/* names that were free before, of char * */
	List	   *cursors;		/* names of those that were open before */
};

/* The end of the script that is running; NULL: none is. */
static ScriptEnd *running = NULL;

static bool is_definition(Node *stmt);
static List *open_cursors(void);
static void close_cursors(const ScriptEnd *end);
static bool is_member(List *names, const char *name);

/*
 * Before a script: what has to be known at its end.
 */
ScriptEnd *
ar_migrate_end_prepare(List *statements)
{
	ScriptEnd  *end = palloc0(sizeof(ScriptEnd));
	ListCell   *cell;

	end->only_defines = true;
	foreach(cell, statements)
	{
		Node	   *stmt = ((ScriptStatement *) lfirst(cell))->raw->stmt;

		end->only_defines &= is_definition(stmt);
		end->sets_constraints |= IsA(stmt, ConstraintsSetStmt);
		if (IsA(stmt, PrepareStmt) &&
			FetchPreparedStatement(castNode(PrepareStmt, stmt)->name, false) == NULL)
			end->prepared = lappend(end->prepared, castNode(PrepareStmt, stmt)->name);
	}
	if (!end->only_defines)
		end->cursors = open_cursors();
	running = end;
	return end;
}

/*
 * After it.
 */
void
ar_migrate_end_settle(ScriptEnd *end)
{
	CommandCounterIncrement();
	if (!end->only_defines)
	{
		ar_migrate_deferred_settle(end->sets_constraints);
		close_cursors(end);
	}
	ar_migrate_end_forget();
	ar_migrate_watch_drop_temporary();
	CommandCounterIncrement();
}

/*
 * What a rollback does not undo, when a script fails: its prepared statements
 * would be in the way of the next try.
 */
void
ar_migrate_end_forget(void)
{
	ListCell   *cell;

	if (running == NULL)
		return;
	foreach(cell, running->prepared)
		DropPreparedStatement(lfirst(cell), false);
	running = NULL;
}

/*
 * Statements that neither write rows nor run functions of the user's, but for
 * what defaults and event triggers may do.
 */
static bool
is_definition(Node *stmt)
{
	switch (nodeTag(stmt))
	{
		case T_AlterDefaultPrivilegesStmt:
		case T_AlterDomainStmt:
		case T_AlterEnumStmt:
		case T_AlterFunctionStmt:
		case T_AlterObjectSchemaStmt:
		case T_AlterOwnerStmt:
		case T_AlterPolicyStmt:
		case T_AlterRoleStmt:
		case T_AlterSeqStmt:
		case T_AlterTableStmt:
		case T_CommentStmt:
		case T_CompositeTypeStmt:
		case T_CreateDomainStmt:
		case T_CreateEnumStmt:
		case T_CreateFunctionStmt:
		case T_CreatePolicyStmt:
		case T_CreateRangeStmt:
		case T_CreateRoleStmt:
		case T_CreateSchemaStmt:
		case T_CreateSeqStmt:
		case T_CreateStatsStmt:
		case T_CreateStmt:
		case T_CreateTrigStmt:
		case T_DropStmt:
		case T_GrantRoleStmt:
		case T_GrantStmt:
		case T_IndexStmt:
		case T_RenameStmt:
		case T_RuleStmt:
		case T_VariableSetStmt:
		case T_ViewStmt:
			return true;
		default:
			return false;
	}
}

/*
 * The names of the open cursors, as the view pg_cursors has them.
 */
static List *
open_cursors(void)
{
	LOCAL_FCINFO(fcinfo, 0);
	FmgrInfo	flinfo;
	ExprContext *econtext = CreateStandaloneExprContext();
	ReturnSetInfo result = {.type = T_ReturnSetInfo,.econtext = econtext,
	.allowedModes = SFRM_Materialize,.returnMode = SFRM_Materialize};
	TupleTableSlot *slot;
	List	   *names = NIL;

	fmgr_info(F_PG_CURSOR, &flinfo);
	InitFunctionCallInfoData(*fcinfo, &flinfo, 0, InvalidOid, NULL, (Node *) &result);
	(void) pg_cursor(fcinfo);
	slot = MakeSingleTupleTableSlot(result.setDesc, &TTSOpsMinimalTuple);
	while (tuplestore_gettupleslot(result.setResult, true, false, slot))
	{
		bool		isnull;

		names = lappend(names, TextDatumGetCString(slot_getattr(slot, 1, &isnull)));
	}
	ExecDropSingleTupleTableSlot(slot);
	tuplestore_end(result.setResult);
	FreeExprContext(econtext, true);
	return names;
}

static void
close_cursors(const ScriptEnd *end)
{
	ListCell   *cell;

	foreach(cell, open_cursors())
	{
		Portal		portal = GetPortalByName(lfirst(cell));

		if (PortalIsValid(portal) && !is_member(end->cursors, lfirst(cell)))
			PortalDrop(portal, false);
	}
}

static bool
is_member(List *names, const char *name)
{
	ListCell   *cell;

	foreach(cell, names)
	{
		if (strcmp(lfirst(cell), name) == 0)
			return true;
	}
	return false;
}
