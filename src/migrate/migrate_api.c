/*
 * migrate_api.c: algo_ref.upgrade(), downgrade(), stamp() and schema_status().
 *
 * A call is part of its caller's transaction and does all of its steps or
 * none.  Locks are taken in this order: the run's own (one run at a time for a
 * target schema), algo_ref.version, then what the scripts take.  A call that
 * has nothing to do takes none of them.
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/namespace.h"
#include "common/compat.h"
#include "common/hook.h"
#include "common/state_table.h"
#include "common/target_schema.h"
#include "fmgr.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "migrate/migrate.h"
#include "miscadmin.h"
#include "portability/instr_time.h"
#include "revision/revision.h"
#include "storage/lock.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"
#include "utils/uuid.h"

/*
 * The fourth field of the lock of a run.  Users' advisory locks have 1 or 2
 * there, so that nobody can hold it from outside.
 */
#define RUN_LOCK_CLASS 3

/* The columns of algo_ref.log. */
enum LogColumn
{
	Anum_log_id = 1,
	Anum_log_run,
	Anum_log_schema,
	Anum_log_revision,
	Anum_log_direction,
	Anum_log_outcome,
	Anum_log_started,
	Anum_log_duration,
	Anum_log_role,
	Anum_log_session_role,
	Anum_log_application_name,
	Anum_log_statements,
	Anum_log_wal_bytes,
	Anum_log_checksum,
	Anum_log_error,
	Natts_log = Anum_log_error
};

/* A step, as it is logged. */
typedef struct StepRecord
{
	const char *revision;
	TimestampTz started;
	Interval	duration;
	ScriptResult result;
	bytea	   *checksum;
} StepRecord;

/* A run is on in this session. */
static bool running = false;

static Datum migrate(FunctionCallInfo fcinfo, RevisionDirection direction, char *target,
					 char *schema, char *expect, bool purge);
static bool is_at_heads(const char *schema, const char *target);
static bool is_done(RevisionDirection direction, const char *schema, const char *target);
static void lock_run(const char *schema);
static void add_lock_context(void *arg);
static void read_state(MigrationRun *run, const char *target, bool purge);
static RevisionMap *load_map(void);
static int32 next_position(const char *schema);
static void check_serializable(const char *schema, List *rows);
static bool same_texts(List *a, List *b);
static void check_expected(const MigrationRun *run, const char *expect);
static void carry_out_guarded(FunctionCallInfo fcinfo, MigrationRun *run);
static void begin_session_run(void);
static void end_session_run(void);
static void begin_run(MigrationRun *run);
static void carry_out(FunctionCallInfo fcinfo, MigrationRun *run);
static void step(FunctionCallInfo fcinfo, MigrationRun *run, int32 ordinal);
static void announce(MigrationRun *run, RevisionIndex r);
static void append_ids(StringInfo buffer, const RevisionMap *map, const RevisionIndex *revisions, int32 count);
static void run_hooks(MigrationRun *run, HookEvent event, RevisionIndex r, int32 ordinal);
static void write_log(MigrationRun *run, const StepRecord *record);
static void put_step(FunctionCallInfo fcinfo, MigrationRun *run, int32 ordinal, RevisionIndex r,
					 const StepRecord *record);
static const char *function_name(RevisionDirection direction);

PG_FUNCTION_INFO_V1(algo_ref_upgrade);
PG_FUNCTION_INFO_V1(algo_ref_downgrade);
PG_FUNCTION_INFO_V1(algo_ref_stamp);

/*
 * algo_ref.upgrade(target, schema, expect)
 */
Datum
algo_ref_upgrade(PG_FUNCTION_ARGS)
{
	return migrate(fcinfo, AR_UPGRADE, ar_revision_text_argument(fcinfo, 0, "target"),
				   ar_target_schema_argument(fcinfo, 1),
				   PG_ARGISNULL(2) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(2)), false);
}

/*
 * algo_ref.downgrade(target, schema, expect)
 */
Datum
algo_ref_downgrade(PG_FUNCTION_ARGS)
{
	return migrate(fcinfo, AR_DOWNGRADE, ar_revision_text_argument(fcinfo, 0, "target"),
				   ar_target_schema_argument(fcinfo, 1),
				   PG_ARGISNULL(2) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(2)), false);
}

/*
 * algo_ref.stamp(target, schema, purge)
 */
Datum
algo_ref_stamp(PG_FUNCTION_ARGS)
{
	if (PG_ARGISNULL(2))
		ereport(ERROR,
				errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				errmsg("purge must not be null"));
	return migrate(fcinfo, AR_STAMP, ar_revision_text_argument(fcinfo, 0, "target"),
				   ar_target_schema_argument(fcinfo, 1), NULL, PG_GETARG_BOOL(2));
}

static Datum
migrate(FunctionCallInfo fcinfo, RevisionDirection direction, char *target,
		char *schema, char *expect, bool purge)
{
	MigrationRun run = {.schema = schema,.direction = direction};

	InitMaterializedSRF(fcinfo, 0);
	if (running)
		ereport(ERROR,
				errcode(ERRCODE_OBJECT_IN_USE),
				errmsg("a migration is running in this session already"),
				errhint("Scripts and hooks cannot upgrade, downgrade or stamp."));
	if (!purge && is_done(direction, schema, target))
		return (Datum) 0;

	PreventCommandDuringRecovery(function_name(direction));
	PreventCommandIfReadOnly(function_name(direction));
	lock_run(schema);
	run.scripts = ar_state_table_open("script", AccessShareLock);
	run.versions = ar_state_table_open("version", RowExclusiveLock);
	run.log = ar_state_table_open("log", RowExclusiveLock);
	read_state(&run, target, purge);
	if (run.plan->count > 0)
	{
		if (expect)
			check_expected(&run, expect);
		carry_out_guarded(fcinfo, &run);
	}
	ar_state_table_close(run.log);
	ar_state_table_close(run.versions);
	ar_state_table_close(run.scripts);
	return (Datum) 0;
}

/*
 * Is there nothing to do?  Asked without a lock; true is certain.
 */
static bool
is_done(RevisionDirection direction, const char *schema, const char *target)
{
	List	   *rows;

	if (direction == AR_UPGRADE && (strcmp(target, "head") == 0 || strcmp(target, "heads") == 0))
	{
		if (is_at_heads(schema, target))
			return true;
		/* what is to be done can be seen, or is refused, later */
		if (!RecoveryInProgress() && !XactReadOnly)
			return false;
	}
	rows = ar_revision_row_ids(schema, GetActiveSnapshot());
	if (rows == NIL && direction == AR_UPGRADE && !RecoveryInProgress() && !XactReadOnly)
		return false;
	return ar_revision_plan(ar_revision_map_load(GetActiveSnapshot()), direction, target, rows)->count == 0;
}

/*
 * The short way, without the graph: the version rows are what the summary of
 * the heads says.
 */
static bool
is_at_heads(const char *schema, const char *target)
{
	List	   *rows = ar_revision_row_ids(schema, GetActiveSnapshot());
	HeadSummary *summary = rows == NIL ? NULL : ar_revision_head_summary_read(GetActiveSnapshot());
	ListCell   *row;

	if (summary == NULL || list_length(rows) != list_length(summary->real_heads) ||
		(strcmp(target, "head") == 0 && list_length(summary->heads) != 1))
		return false;
	foreach(row, rows)
	{
		bool		found = false;
		ListCell   *head;

		foreach(head, summary->real_heads)
			found |= strcmp(lfirst(row), lfirst(head)) == 0;
		if (!found)
			return false;
	}
	return true;
}

/*
 * Wait until no other run works on the schema.  The lock is the transaction's.
 */
static void
lock_run(const char *schema)
{
	ErrorContextCallback callback;
	LOCKTAG		tag;

	callback.callback = add_lock_context;
	callback.arg = unconstify(char *, schema);
	callback.previous = error_context_stack;
	error_context_stack = &callback;
	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, ar_state_table_oid("version"),
						 get_namespace_oid(schema, false), RUN_LOCK_CLASS);
	(void) LockAcquire(&tag, ExclusiveLock, false, false);
	error_context_stack = callback.previous;
}

static void
add_lock_context(void *arg)
{
	errcontext("while waiting for another migration of schema \"%s\"", (char *) arg);
}

/*
 * Under the locks: what is applied, and what is to be done.
 */
static void
read_state(MigrationRun *run, const char *target, bool purge)
{
	List	   *rows;

	if (purge)
	{
		ar_migrate_version_purge(run);
		rows = NIL;
	}
	else
		rows = ar_revision_row_ids(run->schema, NULL);
	if (IsolationUsesXactSnapshot() && !purge)
		check_serializable(run->schema, rows);
	run->plan = ar_revision_plan(load_map(), run->direction, target, rows);
	run->heads = ar_revision_heads_begin(run->plan);
	run->next_position = next_position(run->schema);
}

/*
 * The graph as it is now; its summary is brought up to date by the way.
 */
static RevisionMap *
load_map(void)
{
	bool		write = ar_revision_head_summary_read(NULL) == NULL && ar_revision_head_summary_lock();
	RevisionMap *map = ar_revision_map_load(NULL);
	HeadSummary summary = {.load_order = map->load_order};

	if (!write || map->count == 0)
		return map;
	for (RevisionIndex r = 0; r < map->count; r++)
	{
		char	   *id = unconstify(char *, map->revision[r].id);

		if (ar_revision_is_head(map, r))
			summary.heads = lappend(summary.heads, id);
		if (ar_revision_is_real_head(map, r))
			summary.real_heads = lappend(summary.real_heads, id);
	}
	ar_revision_head_summary_write(&summary);
	return map;
}

/*
 * In a transaction with one snapshot, scripts would work on a state that is
 * not the one which was planned from.
 */
static void
check_serializable(const char *schema, List *rows)
{
	if (same_texts(rows, ar_revision_row_ids(schema, GetTransactionSnapshot())))
		return;
	ereport(ERROR,
			errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
			errmsg("could not serialize access due to a concurrent migration of schema \"%s\"", schema),
			errhint("The transaction might succeed if retried."));
}

static bool
same_texts(List *a, List *b)
{
	ListCell   *left;
	ListCell   *right;

	if (list_length(a) != list_length(b))
		return false;
	forboth(left, a, right, b)
		if (strcmp(lfirst(left), lfirst(right)) != 0)
			return false;
	return true;
}

static int32
next_position(const char *schema)
{
	List	   *rows = ar_revision_version_rows(schema, NULL);

	return rows == NIL ? 1 : ((VersionRow *) llast(rows))->position + 1;
}

/*
 * The plan is to be the one that was reviewed.
 */
static void
check_expected(const MigrationRun *run, const char *expect)
{
	char	   *checksum = ar_revision_plan_checksum(run->plan, NULL);

	if (pg_strcasecmp(checksum, expect) == 0)
		return;
	ereport(ERROR,
			errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			errmsg("the plan is not the expected one"),
			errdetail("Expected was checksum \"%s\"; the plan of %d steps has \"%s\".",
					  expect, run->plan->count, checksum),
			errhint("Review algo_ref.plan() again, and take the new algo_ref.plan_checksum()."));
}

/*
 * With the session marked as running, whatever happens.
 */
static void
carry_out_guarded(FunctionCallInfo fcinfo, MigrationRun *run)
{
	begin_session_run();
	PG_TRY();
	{
		begin_run(run);
		carry_out(fcinfo, run);
	}
	PG_CATCH();
	{
		end_session_run();
		PG_RE_THROW();
	}
	PG_END_TRY();
	end_session_run();
}

static void
begin_session_run(void)
{
	running = true;
	ar_migrate_watch_begin();
}

static void
end_session_run(void)
{
	running = false;
	ar_migrate_watch_end();
}

/*
 * Everything that can be known before the first script runs.
 */
static void
begin_run(MigrationRun *run)
{
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	Datum		id = DirectFunctionCall1(gen_random_uuid, (Datum) 0);

	run->id = *DatumGetUUIDP(id);
	run->search_path = ar_migrate_script_path(run->schema);
	run->step_context = AllocSetContextCreate(CurrentMemoryContext, "algo_ref step",
											  ALLOCSET_DEFAULT_SIZES);
	if (run->direction != AR_STAMP)
		ar_migrate_check(run, snapshot);
	run->hooks = ar_hook_load(AR_HOOK_BIT(AR_HOOK_BEFORE_RUN) | AR_HOOK_BIT(AR_HOOK_BEFORE_STEP) |
								AR_HOOK_BIT(AR_HOOK_AFTER_STEP) | AR_HOOK_BIT(AR_HOOK_AFTER_RUN));
	UnregisterSnapshot(snapshot);
}

static void
carry_out(FunctionCallInfo fcinfo, MigrationRun *run)
{
	run_hooks(run, AR_HOOK_BEFORE_RUN, AR_BASE, 0);
	for (int32 i = 0; i < run->plan->count; i++)
	{
		MemoryContext old = MemoryContextSwitchTo(run->step_context);

		CHECK_FOR_INTERRUPTS();
		step(fcinfo, run, i + 1);
		MemoryContextSwitchTo(old);
		MemoryContextReset(run->step_context);
	}
	run_hooks(run, AR_HOOK_AFTER_RUN, AR_BASE, 0);
}

static void
step(FunctionCallInfo fcinfo, MigrationRun *run, int32 ordinal)
{
	RevisionIndex r = run->plan->step[ordinal - 1];
	StepRecord	record = {.revision = run->plan->map->revision[r].id,.started = GetCurrentTimestamp()};
	StoredScript *script = ar_revision_store_fetch(run->scripts, record.revision, NULL);
	instr_time	start;
	instr_time	end;

	if (script == NULL)
		ereport(ERROR,
				errcode(ERRCODE_UNDEFINED_OBJECT),
				errmsg("revision \"%s\" does not exist any more", record.revision),
				errdetail("It was deleted while the migration was running."));
	record.checksum = script->checksum;
	INSTR_TIME_SET_CURRENT(start);
	ar_revision_heads_advance(run->heads);
	announce(run, r);
	run_hooks(run, AR_HOOK_BEFORE_STEP, r, ordinal);
	if (run->direction != AR_STAMP)
		record.result = ar_migrate_run_script(run, record.revision,
											  run->direction == AR_UPGRADE ? script->upgrade : script->downgrade);
	ar_migrate_version_follow(run);
	INSTR_TIME_SET_CURRENT(end);
	INSTR_TIME_SUBTRACT(end, start);
	record.duration.time = INSTR_TIME_GET_MICROSEC(end);
	write_log(run, &record);
	run_hooks(run, AR_HOOK_AFTER_STEP, r, ordinal);
	put_step(fcinfo, run, ordinal, r, &record);
}

/*
 * Alembic's line for a step.
 */
static void
announce(MigrationRun *run, RevisionIndex r)
{
	const RevisionMap *map = run->plan->map;
	const RevisionIndex *parents = map->revises.item + map->revises.first[r];
	int32		parent_count = AR_LINKS_COUNT(map->revises, r);
	StringInfoData line;

	initStringInfo(&line);
	switch (run->direction)
	{
		case AR_UPGRADE:
			appendStringInfoString(&line, "Running upgrade ");
			append_ids(&line, map, parents, parent_count);
			appendStringInfo(&line, " -> %s", map->revision[r].id);
			break;
		case AR_DOWNGRADE:
			appendStringInfo(&line, "Running downgrade %s -> ", map->revision[r].id);
			append_ids(&line, map, parents, parent_count);
			break;
		case AR_STAMP:
			appendStringInfoString(&line, "Running stamp_revision ");
			append_ids(&line, map, run->heads->removed, run->heads->removed_count);
			appendStringInfoString(&line, " -> ");
			append_ids(&line, map, run->heads->added, run->heads->added_count);
			break;
	}
	if (run->direction != AR_STAMP && map->revision[r].message[0])
		appendStringInfo(&line, ", %s", map->revision[r].message);
	ereport(NOTICE, errmsg_internal("%s", line.data));
}

static void
append_ids(StringInfo buffer, const RevisionMap *map, const RevisionIndex *revisions, int32 count)
{
	for (int32 i = 0; i < count; i++)
		appendStringInfo(buffer, "%s%s", i == 0 ? "" : ", ", map->revision[revisions[i]].id);
}

/*
 * Call the hooks of an event, about one step or (AR_BASE) about the run.
 */
static void
run_hooks(MigrationRun *run, HookEvent event, RevisionIndex r, int32 ordinal)
{
	StringInfoData json;

	if (!ar_hook_wants(run->hooks, event))
		return;
	ar_hook_json_begin(&json, event);
	ar_hook_json_text(&json, "run", DatumGetCString(DirectFunctionCall1(uuid_out, UUIDPGetDatum(&run->id))));
	ar_hook_json_text(&json, "schema", run->schema);
	ar_hook_json_text(&json, "direction", ar_revision_direction_name(run->direction));
	ar_hook_json_integer(&json, "steps", run->plan->count);
	if (r != AR_BASE)
	{
		ar_hook_json_integer(&json, "ordinal", ordinal);
		ar_hook_json_text(&json, "revision", run->plan->map->revision[r].id);
		ar_hook_json_text(&json, "message", run->plan->map->revision[r].message);
	}
	ar_hook_run(run->hooks, event, ar_hook_json_end(&json));
	CommandCounterIncrement();
}

static void
write_log(MigrationRun *run, const StepRecord *record)
{
	Datum		values[Natts_log];
	bool		nulls[Natts_log] = {false};
	NameData	schema;
	NameData	role;
	NameData	session_role;

	namestrcpy(&schema, run->schema);
	namestrcpy(&role, GetUserNameFromId(GetUserId(), false));
	namestrcpy(&session_role, GetUserNameFromId(GetSessionUserId(), false));
	values[Anum_log_id - 1] = Int64GetDatum(ar_state_table_nextval("log_id_seq"));
	values[Anum_log_run - 1] = UUIDPGetDatum(&run->id);
	values[Anum_log_schema - 1] = NameGetDatum(&schema);
	values[Anum_log_revision - 1] = CStringGetTextDatum(record->revision);
	values[Anum_log_direction - 1] = CStringGetTextDatum(ar_revision_direction_name(run->direction));
	values[Anum_log_outcome - 1] = CStringGetTextDatum("done");
	values[Anum_log_started - 1] = TimestampTzGetDatum(record->started);
	values[Anum_log_duration - 1] = IntervalPGetDatum(&record->duration);
	values[Anum_log_role - 1] = NameGetDatum(&role);
	values[Anum_log_session_role - 1] = NameGetDatum(&session_role);
	values[Anum_log_application_name - 1] = CStringGetTextDatum(application_name ? application_name : "");
	values[Anum_log_statements - 1] = Int32GetDatum(record->result.statements);
	values[Anum_log_wal_bytes - 1] = Int64GetDatum((int64) record->result.wal_bytes);
	values[Anum_log_checksum - 1] = PointerGetDatum(record->checksum);
	nulls[Anum_log_error - 1] = true;
	ar_state_table_insert(run->log, values, nulls);
}

static void
put_step(FunctionCallInfo fcinfo, MigrationRun *run, int32 ordinal, RevisionIndex r,
		 const StepRecord *record)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	Datum		values[5];
	bool		nulls[5] = {false};

	values[0] = Int32GetDatum(ordinal);
	values[1] = CStringGetTextDatum(ar_revision_direction_name(run->direction));
	values[2] = CStringGetTextDatum(record->revision);
	values[3] = CStringGetTextDatum(run->plan->map->revision[r].message);
	values[4] = IntervalPGetDatum(&record->duration);
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

static const char *
function_name(RevisionDirection direction)
{
	switch (direction)
	{
		case AR_UPGRADE:
			return "algo_ref.upgrade()";
		case AR_DOWNGRADE:
			return "algo_ref.downgrade()";
		case AR_STAMP:
			return "algo_ref.stamp()";
	}
	return NULL;
}
