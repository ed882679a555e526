/*
 * migrate_run.c: one script: its statements one by one, each with its place in
 * the context of an error.
 *
 * A script ends as if it had been committed by itself: settings go back to
 * what they were, deferred constraints are checked, what belongs to a session
 * (temporary tables, cursors, prepared statements) is gone.  So it does not
 * matter whether scripts run one by one or all in one transaction.
 *
 * Statements are executed as those of an extension's script are (see
 * execute_sql_string() in the server's extension.c).
 */
#include "postgres.h"

#include "access/table.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_constraint.h"
#include "commands/prepare.h"
#include "commands/trigger.h"
#include "common/compat.h"
#include "common/settings.h"
#include "common/subxact.h"
#include "executor/executor.h"
#include "executor/instrument.h"
#include "mb/pg_wchar.h"
#include "migrate/migrate.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "parser/analyze.h"
#include "tcop/tcopprot.h"
#include "tcop/utility.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/portal.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

/* A savepoint that the script has open. */
typedef struct Savepoint
{
	char	   *name;
	Subxact		subxact;
} Savepoint;

/* A script while it runs. */
typedef struct RunningScript
{
	MigrationRun *run;
	const char *revision;
	const char *text;
	ScriptStatement *statement; /* the one that is executed, or NULL */
	int			number;			/* of it, from 1 */
	bool		has_data;		/* a statement may have queued triggers */
	List	   *savepoints;		/* of Savepoint *, the innermost last */
} RunningScript;

static void execute(RunningScript *script, ScriptStatement *statement);
static void execute_planned(const char *text, PlannedStmt *planned);
static void execute_transaction_command(RunningScript *script, TransactionStmt *stmt);
static void begin_savepoint(RunningScript *script, const char *name);
static int	find_savepoint(RunningScript *script, const char *name);
static void end_savepoints(RunningScript *script, int keep, bool roll_back);
static bool may_queue_triggers(Node *stmt);
static void settle(RunningScript *script, List *statements);
static void fire_deferred(MigrationRun *run);
static void defer_new_constraints(MigrationRun *run);
static void defer(List *only);
static List *initially_deferred(List *only);
static bool has_rigid_namesake(Relation rel, const RangeVar *name);
static void drop_session_objects(List *statements);
static void add_context(void *arg);

/*
 * Run one script in the current transaction.  An error in it carries the
 * server's own SQLSTATE and message, the place in the script as internal
 * position, and the statement, line, revision and schema in its context.
 */
ScriptResult
ar_migrate_run_script(MigrationRun *run, const char *revision, const char *text)
{
	ScriptResult result = {0};
	RunningScript script = {.run = run,.revision = revision,.text = text};
	List	   *statements = ar_revision_script_parse(text, run->direction, revision);
	uint64		wal_before = pgWalUsage.wal_bytes;
	ErrorContextCallback callback;
	SettingsScope settings;
	ListCell   *cell;

	if (statements == NIL)
		return result;
	ar_settings_begin(&settings);
	if (run->search_path)
		(void) set_config_option("search_path", run->search_path, PGC_USERSET, PGC_S_SESSION,
								 GUC_ACTION_SAVE, true, 0, false);
	callback.callback = add_context;
	callback.arg = &script;
	callback.previous = error_context_stack;
	error_context_stack = &callback;
	foreach(cell, statements)
	{
		script.statement = lfirst(cell);
		script.number = foreach_current_index(cell) + 1;
		execute(&script, script.statement);
	}
	script.statement = NULL;
	settle(&script, statements);
	error_context_stack = callback.previous;

	ar_settings_end(&settings);
	CommandCounterIncrement();
	result.statements = list_length(statements);
	result.wal_bytes = pgWalUsage.wal_bytes - wal_before;
	return result;
}

/*
 * The search_path of scripts: the target schema, then the caller's path; NULL
 * if that begins with it anyway.
 */
char *
ar_migrate_script_path(const char *schema)
{
	List	   *path = fetch_search_path(false);
	bool		is_first = path != NIL && strcmp(get_namespace_name(linitial_oid(path)), schema) == 0;

	if (is_first)
		return NULL;
	if (namespace_search_path[0] == '\0')
		return pstrdup(quote_identifier(schema));
	return psprintf("%s, %s", quote_identifier(schema), namespace_search_path);
}

static void
execute(RunningScript *script, ScriptStatement *statement)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "algo_ref statement",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old;
	RawStmt    *raw = statement->raw;
	bool		needs_snapshot;
	List	   *queries;
	ListCell   *cell;

	CHECK_FOR_INTERRUPTS();
	script->has_data |= may_queue_triggers(raw->stmt);
	if (IsA(raw->stmt, TransactionStmt))
	{
		/* the names of savepoints outlive the statement */
		execute_transaction_command(script, castNode(TransactionStmt, raw->stmt));
		MemoryContextDelete(context);
		return;
	}
	old = MemoryContextSwitchTo(context);
	CommandCounterIncrement();
	needs_snapshot = analyze_requires_snapshot(raw);
	if (needs_snapshot)
		PushActiveSnapshot(GetTransactionSnapshot());
	queries = pg_analyze_and_rewrite_fixedparams(raw, script->text, NULL, 0, NULL);
	queries = pg_plan_queries(queries, script->text, CURSOR_OPT_PARALLEL_OK, NULL);
	if (needs_snapshot)
		PopActiveSnapshot();
	foreach(cell, queries)
		execute_planned(script->text, lfirst_node(PlannedStmt, cell));
	ar_migrate_watch_settle_enums();
	defer_new_constraints(script->run);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
}

static void
execute_planned(const char *text, PlannedStmt *planned)
{
	QueryDesc  *query;

	CommandCounterIncrement();
	PushActiveSnapshot(GetTransactionSnapshot());
	if (planned->utilityStmt)
	{
		ProcessUtility(planned, text, false, PROCESS_UTILITY_QUERY, NULL, NULL,
					   None_Receiver, NULL);
		PopActiveSnapshot();
		return;
	}
	query = CreateQueryDesc(planned, text, GetActiveSnapshot(), NULL, None_Receiver, NULL, NULL, 0);
	ExecutorStart(query, 0);
	ar_executor_run(query);
	ExecutorFinish(query);
	ExecutorEnd(query);
	FreeQueryDesc(query);
	PopActiveSnapshot();
}

/*
 * Savepoints are subtransactions, here as elsewhere.  Other transaction
 * commands are refused when a script is registered.
 */
static void
execute_transaction_command(RunningScript *script, TransactionStmt *stmt)
{
	int			at;

	CommandCounterIncrement();
	switch (stmt->kind)
	{
		case TRANS_STMT_SAVEPOINT:
			begin_savepoint(script, stmt->savepoint_name);
			break;
		case TRANS_STMT_RELEASE:
			end_savepoints(script, find_savepoint(script, stmt->savepoint_name), false);
			break;
		case TRANS_STMT_ROLLBACK_TO:
			at = find_savepoint(script, stmt->savepoint_name);
			end_savepoints(script, at, true);
			begin_savepoint(script, stmt->savepoint_name);
			break;
		default:
			ereport(ERROR,
					errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					errmsg("a migration script cannot end the transaction"));
	}
}

static void
begin_savepoint(RunningScript *script, const char *name)
{
	Savepoint  *savepoint = palloc(sizeof(Savepoint));

	savepoint->name = pstrdup(name);
	script->savepoints = lappend(script->savepoints, savepoint);
	ar_subxact_begin(&savepoint->subxact, name);
}

static int
find_savepoint(RunningScript *script, const char *name)
{
	for (int i = list_length(script->savepoints) - 1; i >= 0; i--)
		if (strcmp(((Savepoint *) list_nth(script->savepoints, i))->name, name) == 0)
			return i;
	ereport(ERROR,
			errcode(ERRCODE_S_E_INVALID_SPECIFICATION),
			errmsg("savepoint \"%s\" does not exist", name));
}

/*
 * End all savepoints but the first "keep".
 */
static void
end_savepoints(RunningScript *script, int keep, bool roll_back)
{
	while (list_length(script->savepoints) > keep)
	{
		Savepoint  *savepoint = llast(script->savepoints);

		if (roll_back)
			ar_subxact_roll_back(&savepoint->subxact);
		else
			ar_subxact_release(&savepoint->subxact);
		script->savepoints = list_delete_last(script->savepoints);
	}
}

/*
 * Commands other than definitions may write rows, and so leave checks for the
 * end of the transaction.
 */
static bool
may_queue_triggers(Node *stmt)
{
	switch (nodeTag(stmt))
	{
		case T_InsertStmt:
		case T_UpdateStmt:
		case T_DeleteStmt:
		case T_MergeStmt:
		case T_SelectStmt:
		case T_CallStmt:
		case T_DoStmt:
		case T_CopyStmt:
		case T_ExecuteStmt:
		case T_ExplainStmt:
		case T_CreateTableAsStmt:
		case T_RefreshMatViewStmt:
		case T_ConstraintsSetStmt:
			return true;
		default:
			return false;
	}
}

/*
 * What a commit would do.
 */
static void
settle(RunningScript *script, List *statements)
{
	end_savepoints(script, 0, false);
	CommandCounterIncrement();
	if (script->has_data)
		fire_deferred(script->run);
	drop_session_objects(statements);
	ar_migrate_watch_drop_temporary();
}

/*
 * Check what was put off to the commit, then put the modes of constraints
 * back to what they are in a new transaction.
 */
static void
fire_deferred(MigrationRun *run)
{
	ConstraintsSetStmt *stmt = makeNode(ConstraintsSetStmt);

	stmt->deferred = false;
	AfterTriggerSetState(stmt);
	CommandCounterIncrement();
	defer(NIL);
	run->all_immediate = true;
}

/*
 * fire_deferred() leaves "all are immediate" behind, for the constraints that
 * it does not know as well: new ones that are INITIALLY DEFERRED are told so.
 */
static void
defer_new_constraints(MigrationRun *run)
{
	List	   *created = ar_migrate_watch_take_constraints();
	List	   *deferred = NIL;
	ListCell   *cell;

	if (created == NIL || !run->all_immediate)
		return;
	CommandCounterIncrement();
	foreach(cell, created)
	{
		HeapTuple	tuple = SearchSysCache1(CONSTROID, ObjectIdGetDatum(lfirst_oid(cell)));

		if (!HeapTupleIsValid(tuple))
			continue;
		if (((Form_pg_constraint) GETSTRUCT(tuple))->condeferred)
			deferred = lappend_oid(deferred, lfirst_oid(cell));
		ReleaseSysCache(tuple);
	}
	if (deferred != NIL)
		defer(deferred);
}

/*
 * Defer the constraints that are INITIALLY DEFERRED: those in "only", or, for
 * NIL, all of them.
 */
static void
defer(List *only)
{
	ConstraintsSetStmt *stmt = makeNode(ConstraintsSetStmt);

	stmt->constraints = initially_deferred(only);
	stmt->deferred = true;
	if (stmt->constraints != NIL)
		AfterTriggerSetState(stmt);
}

/*
 * The names of the constraints that are INITIALLY DEFERRED, a list of RangeVar.
 * The command takes constraints by name, and fails where another one of the
 * same name is not deferrable: those stay immediate.
 */
static List *
initially_deferred(List *only)
{
	Relation	rel = table_open(ConstraintRelationId, AccessShareLock);
	List	   *names = NIL;
	List	   *result = NIL;
	SysScanDesc scan;
	HeapTuple	tuple;
	ListCell   *cell;

	scan = systable_beginscan(rel, InvalidOid, false, NULL, 0, NULL);
	while ((tuple = systable_getnext(scan)) != NULL)
	{
		Form_pg_constraint constraint = (Form_pg_constraint) GETSTRUCT(tuple);
		char	   *schema;

		if (!constraint->condeferred || (only != NIL && !list_member_oid(only, constraint->oid)))
			continue;
		schema = get_namespace_name(constraint->connamespace);
		if (schema)
			names = lappend(names, makeRangeVar(schema, pstrdup(NameStr(constraint->conname)), -1));
	}
	systable_endscan(scan);
	foreach(cell, names)
		if (!has_rigid_namesake(rel, lfirst_node(RangeVar, cell)))
			result = lappend(result, lfirst(cell));
	table_close(rel, AccessShareLock);
	return result;
}

/*
 * Is there a constraint of that name which cannot be deferred?
 */
static bool
has_rigid_namesake(Relation rel, const RangeVar *name)
{
	ScanKeyData keys[2];
	SysScanDesc scan;
	HeapTuple	tuple;
	bool		found = false;

	ScanKeyInit(&keys[0], Anum_pg_constraint_conname, BTEqualStrategyNumber, F_NAMEEQ,
				CStringGetDatum(name->relname));
	ScanKeyInit(&keys[1], Anum_pg_constraint_connamespace, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(get_namespace_oid(name->schemaname, false)));
	scan = systable_beginscan(rel, ConstraintNameNspIndexId, true, NULL, 2, keys);
	while (!found && (tuple = systable_getnext(scan)) != NULL)
		found = !((Form_pg_constraint) GETSTRUCT(tuple))->condeferrable;
	systable_endscan(scan);
	return found;
}

/*
 * Cursors and prepared statements that the script made by name.
 */
static void
drop_session_objects(List *statements)
{
	ListCell   *cell;

	foreach(cell, statements)
	{
		Node	   *stmt = ((ScriptStatement *) lfirst(cell))->raw->stmt;

		if (IsA(stmt, PrepareStmt))
			DropPreparedStatement(castNode(PrepareStmt, stmt)->name, false);
		else if (IsA(stmt, DeclareCursorStmt))
		{
			Portal		portal = GetPortalByName(castNode(DeclareCursorStmt, stmt)->portalname);

			if (PortalIsValid(portal))
				PortalDrop(portal, false);
		}
	}
}

/*
 * Say where in the script an error (or a notice) comes from.
 */
static void
add_context(void *arg)
{
	RunningScript *script = arg;
	int			position = geterrposition();

	if (position > 0)
	{
		int			location = pg_mbcharcliplen(script->text, strlen(script->text), position - 1);

		errposition(0);
		internalerrquery(ar_revision_script_excerpt(script->text, location, &position));
		internalerrposition(position);
	}
	if (geterrcode() == ERRCODE_UNSAFE_NEW_ENUM_VALUE_USAGE)
		errhint("New enum values must be committed before they can be used: upgrade to the revision that adds the value in one call, and go on in the next.");
	if (script->statement)
		errcontext("statement %d (line %d) of %s of revision \"%s\" in schema \"%s\"",
				   script->number, script->statement->line,
				   ar_revision_direction_name(script->run->direction),
				   script->revision, script->run->schema);
	else
		errcontext("end of %s of revision \"%s\" in schema \"%s\"",
				   ar_revision_direction_name(script->run->direction),
				   script->revision, script->run->schema);
}
