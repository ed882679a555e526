/*
 * migrate_script.c: one script: its statements one by one, each with its place
 * in the context of an error.
 *
 * A script ends as if it had been committed by itself, so it does not matter
 * whether scripts run one by one or all in one transaction: settings go back
 * to what they were, savepoints are released, and migrate_end.c does the rest.
 *
 * Statements are executed as those of an extension's script are (see
 * execute_sql_string() in the server's extension.c): the script was taken
 * apart once, and locations in the parse tree are places in its text.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_namespace.h"
#include "common/compat.h"
#include "common/permission.h"
#include "common/settings.h"
#include "common/subxact.h"
#include "executor/executor.h"
#include "executor/instrument.h"
#include "mb/pg_wchar.h"
#include "migrate/migrate.h"
#include "miscadmin.h"
#include "parser/analyze.h"
#include "tcop/tcopprot.h"
#include "tcop/utility.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/varlena.h"

/* A savepoint that the script has open. */
typedef struct Savepoint
{
	char	   *name;
	Subxact		subxact;
} Savepoint;

/* A script while it runs. */
typedef struct RunningScript
{
	const MigrationRun *run;
	const char *revision;
	const char *body;
	const ScriptStatement *statement;	/* NULL: the script is at its end */
	int			number;			/* of the statement, from 1 */
	int			first;			/* number of the first one to execute, from 0, */
	int			count;			/* and how many */
	List	   *savepoints;		/* of Savepoint *, the innermost last */
} RunningScript;

static void execute_all(RunningScript *script, List *statements);
pg_noreturn static void roll_back_savepoints(RunningScript *script, MemoryContext context);
static void execute(RunningScript *script);
static void execute_planned(const char *body, PlannedStmt *planned);
static void execute_savepoint(RunningScript *script, TransactionStmt *stmt);
static void begin_savepoint(RunningScript *script, const char *name);
static int	find_savepoint(RunningScript *script, const char *name);
static void end_savepoints(RunningScript *script, int keep, bool roll_back);
static const char *without_catalog(const char *path);
static void script_error_callback(void *arg);

/*
 * Execute one script in the current transaction.  An error in it carries the
 * server's own SQLSTATE and message, its place in the script as internal
 * position, and statement, line, revision and schema in its context.
 */
ScriptResult
ar_migrate_script_execute(const MigrationRun *run, const char *revision, const char *body)
{
	return ar_migrate_script_execute_portion(run, revision, body, 0, INT_MAX);
}

/*
 * The same for "count" statements of it, from number "first" (from 0) on.
 * What a later portion finds set, search_path included, is what the ones
 * before it have left, which the caller sees to.
 */
ScriptResult
ar_migrate_script_execute_portion(const MigrationRun *run, const char *revision,
								  const char *body, int first, int count)
{
	ScriptResult result = {0};
	RunningScript script = {.run = run,.revision = revision,.body = body,
	.first = first,.count = count};
	List	   *statements = ar_revision_script_parse(body, run->direction, revision);
	uint64		wal_before = pgWalUsage.wal_bytes;
	ErrorContextCallback callback;
	SettingsScope settings;
	MemoryContext context = CurrentMemoryContext;
	ScriptEnd  *end;

	if (statements == NIL)
		return result;
	callback.callback = script_error_callback;
	callback.arg = &script;
	callback.previous = error_context_stack;
	error_context_stack = &callback;

	end = ar_migrate_end_prepare(statements);
	ar_settings_begin(&settings);
	if (run->search_path && first == 0)
		(void) set_config_option("search_path", run->search_path, PGC_USERSET, PGC_S_SESSION,
								 GUC_ACTION_SAVE, true, 0, false);
	if (run->pins_role)
		ar_permission_pin_role();
	PG_TRY();
	{
		execute_all(&script, statements);
	}
	PG_CATCH();
	{
		/* nobody further out knows of subtransactions that are open here */
		if (script.savepoints == NIL)
			PG_RE_THROW();
		roll_back_savepoints(&script, context);
	}
	PG_END_TRY();
	script.statement = NULL;
	ar_migrate_end_settle(end);
	ar_settings_end(&settings);

	error_context_stack = callback.previous;
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
	const char *rest = without_catalog(namespace_search_path);

	if (path != NIL && linitial_oid(path) == get_namespace_oid(schema, false))
		return NULL;
	if (rest[0] == '\0')
		return pstrdup(quote_identifier(schema));
	return psprintf("%s, %s", quote_identifier(schema), rest);
}

/*
 * A path without the pg_catalog that it begins with: that is where names are
 * looked for first if the path does not say otherwise, which it would if
 * another schema came before.
 */
static const char *
without_catalog(const char *path)
{
	char	   *copy = pstrdup(path);
	StringInfoData rest;
	List	   *names;
	ListCell   *cell;

	if (!SplitIdentifierString(copy, ',', &names) || names == NIL ||
		strcmp(linitial(names), "pg_catalog") != 0)
		return path;
	initStringInfo(&rest);
	foreach(cell, names)
	{
		if (strcmp(lfirst(cell), "pg_catalog") != 0)
			appendStringInfo(&rest, "%s%s", rest.len ? ", " : "", quote_identifier(lfirst(cell)));
	}
	return rest.data;
}

static void
execute_all(RunningScript *script, List *statements)
{
	ListCell   *cell;

	foreach(cell, statements)
	{
		int			at = foreach_current_index(cell);

		if (at < script->first || at - script->first >= script->count)
			continue;
		if (script->run->before_statement)
			script->run->before_statement();
		script->statement = lfirst(cell);
		script->number = at + 1;
		execute(script);
	}
	end_savepoints(script, 0, false);
}

/*
 * After an error, which is raised again in "context".
 */
static void
roll_back_savepoints(RunningScript *script, MemoryContext context)
{
	ErrorData  *edata;

	MemoryContextSwitchTo(context);
	edata = CopyErrorData();
	FlushErrorState();
	end_savepoints(script, 0, true);
	ReThrowError(edata);
}

/*
 * Execute the current statement.  Its memory is freed after it.
 */
static void
execute(RunningScript *script)
{
	RawStmt    *raw = script->statement->raw;
	MemoryContext context;
	MemoryContext old;
	bool		needs_snapshot;
	List	   *queries;
	ListCell   *cell;

	CHECK_FOR_INTERRUPTS();
	CommandCounterIncrement();
	if (IsA(raw->stmt, TransactionStmt))
	{
		/* the names of savepoints outlive the statement */
		execute_savepoint(script, castNode(TransactionStmt, raw->stmt));
		return;
	}
	context = AllocSetContextCreate(CurrentMemoryContext, "algo_ref statement",
									ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(context);
	ar_migrate_deferred_before_statement(raw->stmt);
	needs_snapshot = analyze_requires_snapshot(raw);
	if (needs_snapshot)
		PushActiveSnapshot(GetTransactionSnapshot());
	queries = pg_analyze_and_rewrite_fixedparams(raw, script->body, NULL, 0, NULL);
	queries = pg_plan_queries(queries, script->body, CURSOR_OPT_PARALLEL_OK, NULL);
	if (needs_snapshot)
		PopActiveSnapshot();
	foreach(cell, queries)
		execute_planned(script->body, lfirst_node(PlannedStmt, cell));
	ar_migrate_watch_free_labels();
	ar_migrate_deferred_after_statement();
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
}

static void
execute_planned(const char *body, PlannedStmt *planned)
{
	QueryDesc  *query;

	CommandCounterIncrement();
	PushActiveSnapshot(GetTransactionSnapshot());
	if (planned->utilityStmt)
		ProcessUtility(planned, body, false, PROCESS_UTILITY_QUERY, NULL, NULL,
					   None_Receiver, NULL);
	else
	{
		query = CreateQueryDesc(planned, body, GetActiveSnapshot(), NULL,
								None_Receiver, NULL, NULL, 0);
		ExecutorStart(query, 0);
		ar_executor_run(query);
		ExecutorFinish(query);
		ExecutorEnd(query);
		FreeQueryDesc(query);
	}
	PopActiveSnapshot();
	CommandCounterIncrement();
}

/*
 * Savepoints are subtransactions, here as elsewhere.  Other transaction
 * commands are refused when a script is taken apart.
 */
static void
execute_savepoint(RunningScript *script, TransactionStmt *stmt)
{
	const char *name = stmt->savepoint_name;
	int			at;

	switch (stmt->kind)
	{
		case TRANS_STMT_SAVEPOINT:
			begin_savepoint(script, name);
			break;
		case TRANS_STMT_RELEASE:
			end_savepoints(script, find_savepoint(script, name), false);
			break;
		case TRANS_STMT_ROLLBACK_TO:
			at = find_savepoint(script, name);
			end_savepoints(script, at, true);
			begin_savepoint(script, name);
			break;
		default:
			elog(ERROR, "unexpected transaction command in a script: %d", (int) stmt->kind);
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
	{
		if (strcmp(((Savepoint *) list_nth(script->savepoints, i))->name, name) == 0)
			return i;
	}
	ereport(ERROR,
			errcode(ERRCODE_S_E_INVALID_SPECIFICATION),
			errmsg("savepoint \"%s\" does not exist", name),
			errdetail("A script knows its own savepoints only."));
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
 * Say where in the script an error, or a notice, comes from.
 */
static void
script_error_callback(void *arg)
{
	RunningScript *script = arg;
	const char *direction = ar_revision_direction_name(script->run->direction);
	int			position = geterrposition();
	int			line;

	if (script->statement == NULL)
	{
		errcontext("end of %s of revision \"%s\" in schema \"%s\"",
				   direction, script->revision, script->run->schema);
		return;
	}
	line = script->statement->line;
	if (position > 0)
	{
		int			location = pg_mbcharcliplen(script->body, strlen(script->body), position - 1);

		line = ar_revision_script_line(script->body, location);
		errposition(0);
		internalerrquery(ar_revision_script_excerpt(script->body, location, &position));
		internalerrposition(position);
	}
	if (geterrcode() == ERRCODE_UNSAFE_NEW_ENUM_VALUE_USAGE)
		errhint("A label must be committed before it is used: CALL algo_ref.deploy(...) commits in between.");
	else if (geterrcode() == ERRCODE_ACTIVE_SQL_TRANSACTION)
		errhint("This cannot be seen in the script beforehand.  Have the statement in the script itself, and CALL algo_ref.deploy(...).");
	else if (script->run->pins_role && geterrcode() == ERRCODE_INSUFFICIENT_PRIVILEGE &&
			 IsA(script->statement->raw->stmt, VariableSetStmt))
		errhint("The role that has connected does not trust an author of this run, so scripts cannot change roles.  Connect as role \"%s\".",
				script->run->role);
	errcontext("statement %d (line %d) of %s of revision \"%s\" in schema \"%s\"",
			   script->number, line, direction, script->revision, script->run->schema);
}
