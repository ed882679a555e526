/*
 * migrate_run.c: a run: locks, state, plan, and the steps one after the other.
 *
 * A run is part of its caller's transaction and does all of its steps or none.
 * Locks are taken in this order: the run's own (one run at a time for a target
 * schema), algo_ref.version and algo_ref.log, then what the scripts take.
 *
 * Graph, scripts and version rows are read with one snapshot, taken after the
 * locks.  So what is run is what was planned and checked, whatever others
 * store meanwhile; and while algo_ref.version is open for writing, nobody
 * replaces or deletes a script.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/namespace.h"
#include "common/hook.h"
#include "common/state_table.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "migrate/migrate.h"
#include "miscadmin.h"
#include "portability/instr_time.h"
#include "revision/revision.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

#define RUN_EVENTS (AR_HOOK_BIT(AR_HOOK_BEFORE_RUN) | AR_HOOK_BIT(AR_HOOK_BEFORE_STEP) | \
					AR_HOOK_BIT(AR_HOOK_AFTER_STEP) | AR_HOOK_BIT(AR_HOOK_AFTER_RUN))

/* A run is on in this session. */
static bool is_on = false;

static RevisionMap *load_map(Snapshot snapshot, bool write_summary);
static void check_serializable(const char *schema, List *rows);
static bool same_texts(List *a, List *b);
static void carry_out_steps(MigrationRun *run, ReturnSetInfo *result);
static void log_purged(MigrationRun *run);
static void carry_out_step(MigrationRun *run, int32 i, ReturnSetInfo *result);
static void append_ids(StringInfo buffer, const RevisionMap *map, const RevisionIndex *revisions, int32 count);
static void put_step(const MigrationRun *run, int32 i, const StepRecord *record, ReturnSetInfo *result);

/*
 * Is a run on in this session?  There is no run within a run.
 */
bool
ar_migrate_run_is_on(void)
{
	return is_on;
}

void
ar_migrate_run_set_on(bool on)
{
	is_on = on;
}

/*
 * Take the locks, read the state, and plan.  ar_migrate_run_close() ends what
 * is begun here, but for the locks.
 *
 * Raises 40001 if there is something to do, but the transaction has one
 * snapshot, and that does not show the state as it is.
 */
void
ar_migrate_run_plan(MigrationRun *run)
{
	ar_migrate_lock_schema(run->schema);
	ar_migrate_job_exclude(get_namespace_oid(run->schema, false), run->direction == AR_STAMP);
	ar_migrate_run_read(run);
}

/*
 * The same for who keeps other runs out already.
 */
void
ar_migrate_run_read(MigrationRun *run)
{
	bool		write_summary;
	List	   *ids;
	List	   *current;
	RevisionMap *map;

	run->scripts = ar_state_table_open("script", AccessShareLock);
	run->versions = ar_state_table_open("version", RowExclusiveLock);
	run->log = ar_state_table_open("log", RowExclusiveLock);
	write_summary = ar_revision_head_summary_read(NULL) == NULL &&
		ar_revision_head_summary_lock();
	run->snapshot = RegisterSnapshot(GetLatestSnapshot());
	run->rows = ar_migrate_version_read(run->versions, run->schema, run->snapshot);
	ids = current = ar_migrate_version_ids(run->rows);
	if (run->purge)
	{
		ar_migrate_version_forget(run->rows);
		run->purged = ids;
		ids = NIL;
	}
	map = load_map(run->snapshot, write_summary);
	ar_migrate_version_check(map, run->schema, ids);
	run->plan = ar_revision_plan(map, run->direction, run->target, ids);
	run->heads = ar_revision_heads_begin(run->plan);
	/* where nothing is left to do, it does not matter who did it */
	if (IsolationUsesXactSnapshot() && (run->plan->count > 0 || run->purge))
		check_serializable(run->schema, current);
}

/*
 * Carry out the plan, and put a row for each step into the result.
 */
void
ar_migrate_run_carry_out(MigrationRun *run, ReturnSetInfo *result)
{
	is_on = true;
	PG_TRY();
	{
		ar_migrate_watch_begin();
		ar_migrate_run_prepare(run);
		carry_out_steps(run, result);
	}
	PG_FINALLY();
	{
		is_on = false;
		ar_migrate_end_forget();
		ar_migrate_watch_end();
	}
	PG_END_TRY();
}

void
ar_migrate_run_close(MigrationRun *run)
{
	UnregisterSnapshot(run->snapshot);
	ar_state_table_close(run->log);
	ar_state_table_close(run->versions);
	ar_state_table_close(run->scripts);
}

/*
 * The script of a step, by its number from 0, in the current memory context.
 */
StoredScript *
ar_migrate_run_script(const MigrationRun *run, int32 step)
{
	const char *revision = run->plan->map->revision[run->plan->step[step]].id;
	StoredScript *script = ar_revision_store_fetch(run->scripts, revision, run->snapshot);

	if (script == NULL)
		elog(ERROR, "could not find the script of revision \"%s\"", revision);
	return script;
}

/*
 * What of a script the run executes.
 */
const char *
ar_migrate_script_text(const MigrationRun *run, const StoredScript *script)
{
	switch (run->direction)
	{
		case AR_UPGRADE:
			return script->upgrade;
		case AR_DOWNGRADE:
			return script->downgrade;
		case AR_STAMP:
			break;
	}
	return "";
}

/*
 * The graph, and its summary brought up to date by the way.
 */
static RevisionMap *
load_map(Snapshot snapshot, bool write_summary)
{
	RevisionMap *map = ar_revision_map_load(snapshot);
	HeadSummary summary = {.load_order = map->load_order};

	if (!write_summary || map->count == 0)
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
 * In a transaction with one snapshot, scripts would see a state that is not
 * the one which was planned from.
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
	{
		if (strcmp(lfirst(left), lfirst(right)) != 0)
			return false;
	}
	return true;
}

/*
 * Everything that can be known before the first script runs.
 */
void
ar_migrate_run_prepare(MigrationRun *run)
{
	run->id = *DatumGetUUIDP(DirectFunctionCall1(gen_random_uuid, (Datum) 0));
	run->role = GetUserNameFromId(GetUserId(), false);
	run->session_role = GetUserNameFromId(GetSessionUserId(), false);
	run->search_path = ar_migrate_script_path(run->schema);
	run->step_context = AllocSetContextCreate(CurrentMemoryContext, "algo_ref step",
											  ALLOCSET_DEFAULT_SIZES);
	ar_migrate_deferred_begin();
	if (run->direction != AR_STAMP)
		ar_migrate_check(run);
	run->hooks = ar_hook_load(RUN_EVENTS);
}

static void
carry_out_steps(MigrationRun *run, ReturnSetInfo *result)
{
	ar_migrate_run_hooks(run, AR_HOOK_BEFORE_RUN, -1);
	log_purged(run);
	for (int32 i = 0; i < run->plan->count; i++)
	{
		MemoryContext old = MemoryContextSwitchTo(run->step_context);

		CHECK_FOR_INTERRUPTS();
		carry_out_step(run, i, result);
		MemoryContextSwitchTo(old);
		MemoryContextReset(run->step_context);
	}
	ar_migrate_version_write(run->rows);
	ar_migrate_alembic_sync(get_namespace_oid(run->schema, false), ar_migrate_version_ids(run->rows));
	ar_migrate_run_hooks(run, AR_HOOK_AFTER_RUN, -1);
	ar_migrate_version_write(run->rows);
}

/*
 * Rows that were forgotten leave a trace in the log.
 */
static void
log_purged(MigrationRun *run)
{
	ListCell   *cell;

	foreach(cell, run->purged)
	{
		StepRecord	record = {.revision = lfirst(cell),.outcome = "purged",
		.started = GetCurrentTimestamp()};

		ereport(NOTICE,
				errmsg("forgetting that schema \"%s\" stands at revision \"%s\"",
					   run->schema, record.revision));
		ar_migrate_log_write(run, &record);
	}
}

static void
carry_out_step(MigrationRun *run, int32 i, ReturnSetInfo *result)
{
	StoredScript *script = ar_migrate_run_script(run, i);
	const char *text = ar_migrate_script_text(run, script);
	StepRecord	record = {.revision = script->revision,.outcome = "done",
	.started = GetCurrentTimestamp(),.checksum = script->checksum};
	instr_time	start;
	instr_time	end;

	INSTR_TIME_SET_CURRENT(start);
	ar_migrate_run_hooks(run, AR_HOOK_BEFORE_STEP, i);
	ar_revision_heads_advance(run->heads);
	ar_migrate_run_announce(run, run->plan->step[i]);
	if (text[0])
	{
		ar_migrate_version_write(run->rows);
		record.result = ar_migrate_script_execute(run, script->revision, text);
	}
	ar_migrate_version_follow(run->rows, run->heads);
	INSTR_TIME_SET_CURRENT(end);
	INSTR_TIME_SUBTRACT(end, start);
	record.duration.time = INSTR_TIME_GET_MICROSEC(end);
	ar_migrate_log_write(run, &record);
	ar_migrate_run_hooks(run, AR_HOOK_AFTER_STEP, i);
	put_step(run, i, &record, result);
}

/*
 * Alembic's line for a step.
 */
void
ar_migrate_run_announce(const MigrationRun *run, RevisionIndex r)
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
 * Call the hooks of an event, about one step or (-1) about the run.
 */
void
ar_migrate_run_hooks(MigrationRun *run, HookEvent event, int32 step)
{
	StringInfoData json;

	if (!ar_hook_wants(run->hooks, event))
		return;
	ar_migrate_version_write(run->rows);
	ar_hook_json_begin(&json, event);
	ar_hook_json_text(&json, "run", DatumGetCString(DirectFunctionCall1(uuid_out, UUIDPGetDatum(&run->id))));
	ar_hook_json_text(&json, "schema", run->schema);
	ar_hook_json_text(&json, "direction", ar_revision_direction_name(run->direction));
	ar_hook_json_integer(&json, "steps", run->plan->count);
	if (step >= 0)
	{
		const Revision *revision = &run->plan->map->revision[run->plan->step[step]];

		ar_hook_json_integer(&json, "ordinal", step + 1);
		ar_hook_json_text(&json, "revision", revision->id);
		ar_hook_json_text(&json, "message", revision->message);
	}
	ar_hook_run(run->hooks, event, ar_hook_json_end(&json));
}

static void
put_step(const MigrationRun *run, int32 i, const StepRecord *record, ReturnSetInfo *result)
{
	Datum		values[5];
	bool		nulls[5] = {false};

	values[0] = Int32GetDatum(i + 1);
	values[1] = CStringGetTextDatum(ar_revision_direction_name(run->direction));
	values[2] = CStringGetTextDatum(record->revision);
	values[3] = CStringGetTextDatum(run->plan->map->revision[run->plan->step[i]].message);
	values[4] = IntervalPGetDatum(&record->duration);
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}
