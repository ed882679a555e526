/*
 * migrate_deploy.c: the deploy door: a transaction for each revision, and what
 * is between them.
 *
 * A run of the door is a procedure that commits.  It holds the run lock of its
 * target schema (migrate_job.c) from its beginning to its end.  Each attempt
 * at a revision, or at a part of one where a commit has to come between its
 * statements, is one transaction: the locks are taken all together or not at
 * all (migrate_foresee.c), the statements run inside a subtransaction, and state,
 * log and job row are written before the commit.  When an attempt fails for
 * want of a lock, nothing of it remains, and it is made again.
 *
 * Between attempts, and while a worker runs a statement (migrate_worker.c),
 * the procedure is in a transaction that has neither snapshot nor transaction
 * id, so that nothing waits for it: not VACUUM, and not a concurrent index
 * build.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/namespace.h"
#include "common/compat.h"
#include "common/hook.h"
#include "common/permission.h"
#include "common/settings.h"
#include "common/state_table.h"
#include "common/subxact.h"
#include "common/target_schema.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "migrate/migrate.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "revision/revision.h"
#include "storage/proc.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/json.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

/* The longest rest between two attempts, and while waiting for another run, in
 * milliseconds. */
#define REST_MOST_MS 80.0
#define POLL_MOST_MS 500.0

/* How long an error may be in the job row. */
#define JOB_ERROR_MAX 1000

/* A run of the deploy door. */
typedef struct Deploy
{
	RevisionDirection direction;
	const char *procedure;		/* for messages */
	char	   *target;
	char	   *expect;			/* or NULL */
	Oid			schema;
	char	   *schema_name;
	MigrationRun *run;
	int			lock_wait_ms;
	int64		lock_budget_ms;
	int64		statement_budget_ms;	/* 0: none */
	bytea	  **checksums;		/* of the steps, if a plan was expected */
	MigrateJob *job;
	MemoryContext context;		/* lives as long as the run */
	MemoryContext step_context; /* one step, or one look at the state */
} Deploy;

/* The revision at hand. */
typedef struct Step
{
	RevisionHeads *heads;
	StoredScript *script;
	const char *text;			/* the direction's */
	List	   *statements;		/* of ScriptStatement * */
	TimestampTz started_at;
	ScriptResult result;		/* of the portions that are done */
} Step;

PG_FUNCTION_INFO_V1(algo_ref_deploy);
PG_FUNCTION_INFO_V1(algo_ref_revert);
PG_FUNCTION_INFO_V1(algo_ref_await);

static void run_door(FunctionCallInfo fcinfo, RevisionDirection direction);
static void check_can_commit(FunctionCallInfo fcinfo, const char *procedure, const char *otherwise);
static char *required_text(FunctionCallInfo fcinfo, int argument, const char *name);
static int64 required_ms(FunctionCallInfo fcinfo, int argument, const char *name);
static int64 optional_ms(FunctionCallInfo fcinfo, int argument, const char *name, int64 otherwise);
static bool claim(Deploy *deploy);
static void take_over(Deploy *deploy);
static void check_direction(const Deploy *deploy, const MigrateJob *old);
static bool has_moved(const MigrateJob *seen, const MigrateJob *job);
static void make_plan(Deploy *deploy);
static RevisionPlan *plan_of_one(const Deploy *deploy, const RevisionPlan *plan, const char *revision);
static void run_step(Deploy *deploy);
static void remember_checksums(Deploy *deploy);
static void check_unchanged(const Deploy *deploy, const StoredScript *script, int32 at);
static bool equal_bytes(const bytea *a, const bytea *b);
static void check_cursor(Deploy *deploy, const Step *step);
static bytea *checksum_of_first(const Step *step, int count);
static void run_in_transaction(Deploy *deploy, Step *step, const MigratePortion *portion, bool is_last);
static ErrorData *try_portion(Deploy *deploy, Step *step, const MigratePortion *portion, bool is_last);
static void finish_step(Deploy *deploy, const Step *step, RevisionIndex r);
static void add_result(Step *step, ScriptResult result);
static void open_tables(Deploy *deploy);
static void close_tables(Deploy *deploy);
static bool is_at_target(const Deploy *deploy);
static void log_end(Deploy *deploy, const MigrateJob *job, const char *outcome, const ErrorData *error);
static Jsonb *error_as_json(const ErrorData *error);
static void add_json_text(StringInfo json, const char *name, const char *value);
static void end_run(Deploy *deploy);
static void run_in_worker(Deploy *deploy, const Step *step, int at);
static void describe_place(const Deploy *deploy, const Step *step, int at, ErrorData *error);
static ErrorData *try_worker(Deploy *deploy, const MigrateWorkerTask *task);
static ErrorData *clean_up(Deploy *deploy, const MigrateWorkerTask *task, List *statements);
static void insist(Deploy *deploy, const Step *step, MigratePatience *patience, const MigrateLock *missed, ErrorData *error);
static ErrorData *error_of_missed_lock(const Deploy *deploy, const Step *step, const MigrateLock *missed);
static void note_failure(Deploy *deploy, const ErrorData *error);
static bool is_for_want_of_lock(const ErrorData *error);
static bool leaves_doubt(const ErrorData *error);
static ErrorData *take_error(const Subxact *subxact);
static void enter_script(const Deploy *deploy, const Step *step, int first, SettingsScope *scope);
static void advance_cursor(Deploy *deploy, const Step *step, int count);
static void forget_revision(MigrateJob *job);
static void rest_in_step(Deploy *deploy, MigratePatience *patience);
static void set_state(MigrateJob *job, MigrateJobState state);

/*
 * SQL: algo_ref.deploy(target text, schema name, lock_wait interval,
 *						lock_budget interval, statement_budget interval, expect text)
 */
Datum
algo_ref_deploy(PG_FUNCTION_ARGS)
{
	run_door(fcinfo, AR_UPGRADE);
	PG_RETURN_VOID();
}

/*
 * SQL: algo_ref.revert(target text, schema name, lock_wait interval,
 *						lock_budget interval, statement_budget interval, expect text)
 */
Datum
algo_ref_revert(PG_FUNCTION_ARGS)
{
	run_door(fcinfo, AR_DOWNGRADE);
	PG_RETURN_VOID();
}

/*
 * SQL: algo_ref.await(target text, timeout interval, schema name)
 */
Datum
algo_ref_await(PG_FUNCTION_ARGS)
{
	Deploy		deploy = {AR_UPGRADE};
	MigratePatience patience;
	int64		timeout_ms;

	check_can_commit(fcinfo, "algo_ref.await", NULL);
	SPI_connect_ext(SPI_OPT_NONATOMIC);
	deploy.target = required_text(fcinfo, 0, "target");
	timeout_ms = optional_ms(fcinfo, 1, "timeout", -1);
	deploy.schema_name = ar_target_schema_argument(fcinfo, 2);
	deploy.step_context = AllocSetContextCreate(CurrentMemoryContext, "algo_ref await",
												ALLOCSET_DEFAULT_SIZES);
	ar_state_table_check_select("script");
	ar_state_table_check_select("version");

	/* what is wrong with the target is said at once */
	PushActiveSnapshot(GetTransactionSnapshot());
	(void) ar_revision_plan(ar_revision_map_load(GetActiveSnapshot()), AR_UPGRADE, deploy.target,
							ar_revision_row_ids(deploy.schema_name, GetActiveSnapshot()));
	PopActiveSnapshot();

	ar_migrate_patience_begin(&patience, POLL_MOST_MS);
	while (!is_at_target(&deploy))
	{
		if (timeout_ms >= 0 && ar_migrate_patience_ms(&patience) >= timeout_ms)
			ereport(ERROR,
					errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					errmsg("schema \"%s\" has not reached \"%s\" in time",
						   deploy.schema_name, deploy.target),
					errhint("algo_ref.progress shows a deploy that is under way."));
		SPI_commit();
		ar_migrate_patience_rest(&patience);
	}
	SPI_finish();
	PG_RETURN_VOID();
}

/*
 * A whole run.
 */
static void
run_door(FunctionCallInfo fcinfo, RevisionDirection direction)
{
	Deploy		deploy = {direction};

	deploy.procedure = direction == AR_UPGRADE ? "algo_ref.deploy" : "algo_ref.revert";
	check_can_commit(fcinfo, deploy.procedure,
					 direction == AR_UPGRADE ? "algo_ref.upgrade" : "algo_ref.downgrade");
	PreventCommandDuringRecovery(deploy.procedure);
	PreventCommandIfReadOnly(deploy.procedure);

	SPI_connect_ext(SPI_OPT_NONATOMIC);
	deploy.context = CurrentMemoryContext;
	deploy.step_context = AllocSetContextCreate(deploy.context, "algo_ref deploy step",
												ALLOCSET_DEFAULT_SIZES);
	deploy.target = required_text(fcinfo, 0, "target");
	deploy.schema_name = ar_target_schema_argument(fcinfo, 1);
	deploy.schema = get_namespace_oid(deploy.schema_name, false);
	deploy.lock_wait_ms = (int) required_ms(fcinfo, 2, "lock_wait");
	deploy.lock_budget_ms = required_ms(fcinfo, 3, "lock_budget");
	deploy.statement_budget_ms = optional_ms(fcinfo, 4, "statement_budget", 0);
	deploy.expect = PG_ARGISNULL(5) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(5));

	if (claim(&deploy))
	{
		bool		finishes_old;

		do
		{
			take_over(&deploy);
			finishes_old = ar_migrate_job_is_half_applied(deploy.job);
			while (deploy.run->heads->next_step < deploy.run->plan->count)
				run_step(&deploy);
			end_run(&deploy);
		} while (finishes_old);
		ar_migrate_job_unlock(deploy.schema);
	}
	SPI_finish();
}

/*
 * Raise 25001 if the procedure cannot commit.  "otherwise" is the function to
 * recommend, or NULL.
 */
static void
check_can_commit(FunctionCallInfo fcinfo, const char *procedure, const char *otherwise)
{
	if (fcinfo->context && IsA(fcinfo->context, CallContext) &&
		!castNode(CallContext, fcinfo->context)->atomic)
		return;
	ereport(ERROR,
			errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
			errmsg("%s cannot run inside a transaction block", procedure),
			errdetail("It commits by itself, and so does not work in a function or a SECURITY DEFINER procedure either."),
			otherwise ? errhint("Inside a transaction, SELECT * FROM %s(...) does it all or nothing.",
								otherwise) : 0);
}

static char *
required_text(FunctionCallInfo fcinfo, int argument, const char *name)
{
	if (PG_ARGISNULL(argument))
		ereport(ERROR,
				errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				errmsg("%s must not be null", name));
	return text_to_cstring(PG_GETARG_TEXT_PP(argument));
}

static int64
required_ms(FunctionCallInfo fcinfo, int argument, const char *name)
{
	if (PG_ARGISNULL(argument))
		ereport(ERROR,
				errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				errmsg("%s must not be null", name));
	return optional_ms(fcinfo, argument, name, 0);
}

/*
 * An interval in milliseconds; a NULL gives "otherwise".
 */
static int64
optional_ms(FunctionCallInfo fcinfo, int argument, const char *name, int64 otherwise)
{
	if (PG_ARGISNULL(argument))
		return otherwise;
	return ar_migrate_interval_ms(PG_GETARG_INTERVAL_P(argument), name);
}

/*
 * An interval in milliseconds, at least one.  Raises 22023 for what is no time
 * to wait.
 */
int64
ar_migrate_interval_ms(const Interval *interval, const char *name)
{
	double		ms = interval->time / 1000.0 +
	(interval->day + interval->month * (double) DAYS_PER_MONTH) * SECS_PER_DAY * 1000.0;

	if (ms <= 0 || ms > (double) PG_INT32_MAX)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("%s must be more than zero and less than 25 days", name));
	return (int64) Max(ms, 1.0);
}

/*
 * Become the one who deploys the schema.  False if there is nothing to do.
 *
 * Waits for another run as long as that one moves, or works in a worker; for
 * whoever else keeps it out, and for a run that stands still, lock_budget.
 */
static bool
claim(Deploy *deploy)
{
	MigratePatience patience;
	MigrateJob *seen = NULL;

	ar_migrate_patience_begin(&patience, POLL_MOST_MS);
	for (;;)
	{
		MigrateJob *job;
		bool		half_applied;

		PushActiveSnapshot(GetTransactionSnapshot());
		job = ar_migrate_job_read(deploy->schema_name);
		half_applied = ar_migrate_job_is_half_applied(job);
		if (!half_applied && is_at_target(deploy))
		{
			PopActiveSnapshot();
			return false;
		}
		if (ar_migrate_job_try_lock(deploy->schema))
		{
			PopActiveSnapshot();
			break;
		}
		if (job && (seen == NULL || job->state == AR_JOB_IN_WORKER || has_moved(seen, job)))
			patience.start = GetCurrentTimestamp();
		seen = job;
		if (ar_migrate_patience_tells(&patience))
			ereport(NOTICE,
					errmsg("waiting for another run in schema \"%s\"", deploy->schema_name),
					errdetail("It is run by %s.", ar_migrate_job_lock_holder(deploy->schema)));
		if (ar_migrate_patience_ms(&patience) > deploy->lock_budget_ms)
			ereport(ERROR,
					errcode(ERRCODE_LOCK_NOT_AVAILABLE),
					errmsg("another run in schema \"%s\" does not end", deploy->schema_name),
					errdetail("It is run by %s.", ar_migrate_job_lock_holder(deploy->schema)));
		PopActiveSnapshot();
		SPI_commit();
		ar_migrate_patience_rest(&patience);
	}
	return true;
}

/*
 * Plan, and write our own job row in place of the one that the last run may
 * have left, once no worker of that run is there any more.
 */
static void
take_over(Deploy *deploy)
{
	MigratePatience patience;
	MigrateJob *old;
	MigrateJob *job;
	MemoryContext context;

	ar_migrate_patience_begin(&patience, REST_MOST_MS);
	while (!ar_migrate_job_try_worker_lock(deploy->schema))
	{
		if (ar_migrate_patience_ms(&patience) > deploy->lock_budget_ms)
			ereport(ERROR,
					errcode(ERRCODE_LOCK_NOT_AVAILABLE),
					errmsg("a worker of an earlier run in schema \"%s\" does not end",
						   deploy->schema_name),
					errdetail("It is %s.", ar_migrate_job_lock_holder(deploy->schema)));
		SPI_commit();
		ar_migrate_patience_rest(&patience);
	}

	PushActiveSnapshot(GetTransactionSnapshot());
	context = MemoryContextSwitchTo(deploy->context);
	deploy->run = palloc0(sizeof(MigrationRun));
	deploy->checksums = NULL;
	deploy->run->schema = deploy->schema_name;
	deploy->run->direction = deploy->direction;
	deploy->run->target = deploy->target;
	deploy->run->commits = true;
	deploy->run->before_statement = ar_migrate_budget_arm;
	old = ar_migrate_job_read(deploy->schema_name);
	job = palloc0(sizeof(MigrateJob));
	if (old)
	{
		check_direction(deploy, old);
		*job = *old;
	}
	job->schema = deploy->schema_name;
	job->direction = deploy->direction;
	job->target = deploy->target;
	job->pid = MyProcPid;
	job->role = GetUserNameFromId(GetUserId(), false);
	job->started_at = GetCurrentTimestamp();
	job->worker_pid = 0;
	job->error = NULL;
	if (!ar_migrate_job_is_half_applied(job))
		forget_revision(job);
	set_state(job, AR_JOB_RUNNING);
	deploy->job = job;
	ar_migrate_run_read(deploy->run);
	make_plan(deploy);
	job->run = deploy->run->id;
	if (old && old->state != AR_JOB_FAILED)
		log_end(deploy, old, "interrupted", NULL);
	ar_migrate_job_write(job);
	if (deploy->run->plan->count > 0)
		ar_migrate_run_hooks(deploy->run, AR_HOOK_BEFORE_RUN, -1);
	ar_migrate_run_close(deploy->run);
	deploy->run->snapshot = NULL;
	MemoryContextSwitchTo(context);
	PopActiveSnapshot();
	SPI_commit();
}

/*
 * Raise 55000 if the revision that "old" left unfinished was on its way in the
 * other direction.
 */
static void
check_direction(const Deploy *deploy, const MigrateJob *old)
{
	if (!ar_migrate_job_is_half_applied(old) || old->direction == deploy->direction)
		return;
	ereport(ERROR,
			errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			errmsg("revision \"%s\" is half applied to schema \"%s\"",
				   old->revision, deploy->schema_name),
			errdetail("%d of %d statements of its %s script have run.",
					  old->statement, old->statement_count,
					  ar_revision_direction_name(old->direction)),
			errhint("CALL algo_ref.%s(...) has to finish it first.",
					old->direction == AR_UPGRADE ? "deploy" : "revert"));
}

/*
 * Has a run got on since "seen"?
 */
static bool
has_moved(const MigrateJob *seen, const MigrateJob *job)
{
	return memcmp(&seen->run, &job->run, sizeof(pg_uuid_t)) != 0 || seen->step != job->step ||
		seen->statement != job->statement || seen->since != job->since;
}

/*
 * The plan, checked, and the job row's part of it.  What an earlier run left
 * unfinished comes first, alone.
 */
static void
make_plan(Deploy *deploy)
{
	MigrationRun *run = deploy->run;
	MigrateJob *job = deploy->job;

	if (ar_migrate_job_is_half_applied(job))
	{
		run->plan = plan_of_one(deploy, run->plan, job->revision);
		run->heads = ar_revision_heads_begin(run->plan);
	}
	else if (deploy->expect && run->plan->count > 0)
	{
		ar_migrate_check_expected(run, deploy->expect);
		remember_checksums(deploy);
	}
	ar_migrate_run_prepare(run);
	job->step = 0;
	job->step_count = run->plan->count;
	if (job->revision == NULL && run->plan->count > 0)
		job->revision = pstrdup(run->plan->map->revision[run->plan->step[0]].id);
}

/*
 * The plan that consists of the one step which was left unfinished.
 */
static RevisionPlan *
plan_of_one(const Deploy *deploy, const RevisionPlan *plan, const char *revision)
{
	RevisionPlan *one = palloc(sizeof(RevisionPlan));

	*one = *plan;
	one->count = 1;
	one->step = palloc(sizeof(RevisionIndex));
	one->step[0] = ar_revision_map_find(plan->map, revision);
	for (int32 i = 0; i < plan->count; i++)
	{
		if (plan->step[i] == one->step[0])
			return one;
	}
	ereport(ERROR,
			errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			errmsg("revision \"%s\" is half applied to schema \"%s\", and not on the way to \"%s\"",
				   revision, deploy->schema_name, deploy->target),
			errhint("CALL %s(...) with a target beyond it; or algo_ref.stamp(...), once the schema was repaired by hand.",
					deploy->procedure));
	return NULL;
}

/*
 * One revision, from where an earlier run may have left it.
 */
static void
run_step(Deploy *deploy)
{
	MigrationRun *run = deploy->run;
	RevisionHeads *heads = run->heads;
	RevisionIndex r = run->plan->step[heads->next_step];
	const Revision *revision = &run->plan->map->revision[r];
	MemoryContext context;
	Step		step = {heads};
	List	   *portions;
	ListCell   *cell;

	MemoryContextReset(deploy->step_context);
	context = MemoryContextSwitchTo(deploy->step_context);
	step.started_at = GetCurrentTimestamp();
	PushActiveSnapshot(GetTransactionSnapshot());
	step.script = ar_revision_fetch(revision->id, NULL);
	PopActiveSnapshot();
	if (step.script == NULL)
		ereport(ERROR,
				errcode(ERRCODE_UNDEFINED_OBJECT),
				errmsg("revision \"%s\" does not exist any more", revision->id));
	/* it may be another one than when the plan was checked */
	ar_migrate_check_script(run, step.script);
	check_unchanged(deploy, step.script, heads->next_step);
	step.text = deploy->direction == AR_UPGRADE ? step.script->upgrade : step.script->downgrade;
	step.statements = ar_revision_script_parse(step.text, deploy->direction, revision->id);
	check_cursor(deploy, &step);
	ar_migrate_run_announce(run, r);

	portions = ar_migrate_cut_script(step.statements);
	foreach(cell, portions)
	{
		MigratePortion *portion = lfirst(cell);
		bool		is_last = lnext(portions, cell) == NULL;

		if (is_last)
			ar_revision_heads_advance(heads);
		else if (portion->first + portion->count <= deploy->job->statement)
			continue;
		if (portion->in_worker)
			run_in_worker(deploy, &step, portion->first);
		else
			run_in_transaction(deploy, &step, portion, is_last);
	}
	MemoryContextSwitchTo(context);
}

/*
 * Keep the checksums of the scripts of the plan that was expected.
 */
static void
remember_checksums(Deploy *deploy)
{
	const RevisionPlan *plan = deploy->run->plan;

	deploy->checksums = palloc(plan->count * sizeof(bytea *));
	for (int32 i = 0; i < plan->count; i++)
		deploy->checksums[i] = ar_revision_store_fetch(deploy->run->scripts,
													   plan->map->revision[plan->step[i]].id,
													   NULL)->checksum;
}

/*
 * Raise 55000 if a script is not the one that was expected.
 */
static void
check_unchanged(const Deploy *deploy, const StoredScript *script, int32 at)
{
	if (deploy->checksums == NULL || equal_bytes(deploy->checksums[at], script->checksum))
		return;
	ereport(ERROR,
			errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			errmsg("script of revision \"%s\" was changed after the plan had been checked",
				   script->revision),
			errhint("Review algo_ref.plan() again, and take the new algo_ref.plan_checksum()."));
}

static bool
equal_bytes(const bytea *a, const bytea *b)
{
	return VARSIZE_ANY(a) == VARSIZE_ANY(b) && memcmp(a, b, VARSIZE_ANY(a)) == 0;
}

/*
 * Make the job row speak of this revision.  Raises 55000 if statements of it
 * have run that its script does not have any more.
 */
static void
check_cursor(Deploy *deploy, const Step *step)
{
	MigrateJob *job = deploy->job;
	int			count = list_length(step->statements);

	if (job->revision == NULL || strcmp(job->revision, step->script->revision) != 0)
	{
		forget_revision(job);
		job->revision = MemoryContextStrdup(deploy->context, step->script->revision);
	}
	if (job->statement > count ||
		(job->statement > 0 &&
		 !equal_bytes(job->checksum, checksum_of_first(step, job->statement))))
		ereport(ERROR,
				errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				errmsg("script of revision \"%s\" was changed where it has run already",
					   job->revision),
				errdetail("%d of its statements have been applied to schema \"%s\".",
						  job->statement, deploy->schema_name),
				errhint("Give it back the statements that have run; or call algo_ref.stamp(...), once the schema was repaired by hand."));
	job->statement_count = count;
}

/*
 * The checksum of the first statements of a script.
 */
static bytea *
checksum_of_first(const Step *step, int count)
{
	ScriptStatement *last = list_nth(step->statements, count - 1);
	char	   *text = pnstrdup(step->text, last->location + last->length);
	bytea	   *checksum = ar_revision_script_checksum(text, NULL);

	pfree(text);
	return checksum;
}

/*
 * Statements in one transaction, tried until they get their locks.
 */
static void
run_in_transaction(Deploy *deploy, Step *step, const MigratePortion *portion, bool is_last)
{
	MigratePortion rest_of_it = *portion;
	List	   *statements;
	MigratePatience patience;

	rest_of_it.first = Max(portion->first, deploy->job->statement);
	rest_of_it.count -= rest_of_it.first - portion->first;
	statements = list_copy_tail(list_truncate(list_copy(step->statements),
											  rest_of_it.first + rest_of_it.count),
								rest_of_it.first);

	ar_migrate_patience_begin(&patience, REST_MOST_MS);
	for (;;)
	{
		const MigrateLock *missed;
		ErrorData  *error = NULL;
		SettingsScope scope;

		PushActiveSnapshot(GetTransactionSnapshot());
		enter_script(deploy, step, rest_of_it.first, &scope);
		missed = ar_migrate_lock_all(ar_migrate_lock_foresee(statements));
		if (missed == NULL)
			error = try_portion(deploy, step, &rest_of_it, is_last);
		ar_settings_end(&scope);
		if (missed == NULL && error == NULL)
			break;
		insist(deploy, step, &patience, missed, error);
		PopActiveSnapshot();
		rest_in_step(deploy, &patience);
	}
	PopActiveSnapshot();
	SPI_commit();
}

/*
 * One attempt, in a subtransaction.  Returns the error that undid it, or NULL.
 */
static ErrorData *
try_portion(Deploy *deploy, Step *step, const MigratePortion *portion, bool is_last)
{
	MigrationRun *run = deploy->run;
	MigrateJob *job = deploy->job;
	MigrateJob	before = *job;
	ScriptResult result_before = step->result;
	RevisionIndex r = run->plan->step[job->step];
	ErrorData  *volatile error = NULL;
	Subxact		subxact;
	char		timeout[32];

	snprintf(timeout, sizeof(timeout), "%d", deploy->lock_wait_ms);
	ar_subxact_begin(&subxact, NULL);
	PG_TRY();
	{
		ar_migrate_run_set_on(true);
		ar_migrate_watch_begin();
		ar_migrate_deferred_begin();
		ar_migrate_budget_set(deploy->statement_budget_ms);
		(void) set_config_option("lock_timeout", timeout, PGC_USERSET, PGC_S_SESSION,
								 GUC_ACTION_SAVE, true, 0, false);
		open_tables(deploy);
		if (portion->first == 0)
			ar_migrate_run_hooks(run, AR_HOOK_BEFORE_STEP, job->step);
		add_result(step, ar_migrate_script_execute_portion(run, step->script->revision, step->text,
														   portion->first, portion->count));
		ar_migrate_budget_disarm();
		if (is_last)
			finish_step(deploy, step, r);
		else
			advance_cursor(deploy, step, portion->first + portion->count);
		set_state(job, AR_JOB_RUNNING);
		ar_migrate_job_write(job);
		close_tables(deploy);
		ar_subxact_release(&subxact);
	}
	PG_CATCH();
	{
		error = take_error(&subxact);
		ar_subxact_roll_back(&subxact);
		*job = before;
		step->result = result_before;
	}
	PG_END_TRY();
	ar_migrate_run_set_on(false);
	ar_migrate_end_forget();
	ar_migrate_watch_end();
	return error;
}

/*
 * The end of a step, in the transaction of its last statements.
 */
static void
finish_step(Deploy *deploy, const Step *step, RevisionIndex r)
{
	MigrationRun *run = deploy->run;
	MigrateJob *job = deploy->job;
	StepRecord	record = {.revision = step->script->revision,.outcome = "done",.started = step->started_at};

	ar_migrate_version_follow(run->rows, run->heads);
	ar_migrate_version_write(run->rows);
	ar_migrate_alembic_sync(deploy->schema, ar_migrate_version_ids(run->rows));
	record.duration.time = GetCurrentTimestamp() - step->started_at;
	record.result = step->result;
	record.checksum = step->script->checksum;
	ar_migrate_log_write(run, &record);
	ar_migrate_run_hooks(run, AR_HOOK_AFTER_STEP, job->step);
	job->step++;
	forget_revision(job);
	if (job->step < run->plan->count)
		job->revision = unconstify(char *, run->plan->map->revision[run->plan->step[job->step]].id);
}

static void
add_result(Step *step, ScriptResult result)
{
	step->result.statements = list_length(step->statements);
	step->result.wal_bytes += result.wal_bytes;
}

/*
 * The tables that a run writes, and the version rows, for one transaction.
 */
static void
open_tables(Deploy *deploy)
{
	MigrationRun *run = deploy->run;

	run->scripts = ar_state_table_open("script", AccessShareLock);
	run->versions = ar_state_table_open("version", RowExclusiveLock);
	run->log = ar_state_table_open("log", RowExclusiveLock);
	run->rows = ar_migrate_version_read(run->versions, run->schema, NULL);
}

static void
close_tables(Deploy *deploy)
{
	ar_state_table_close(deploy->run->log);
	ar_state_table_close(deploy->run->versions);
	ar_state_table_close(deploy->run->scripts);
}

/*
 * Is there nothing to do?  Under the active snapshot, if there is one.
 */
static bool
is_at_target(const Deploy *deploy)
{
	MigrationRun run = {.direction = deploy->direction,.schema = deploy->schema_name,
	.target = deploy->target};
	MemoryContext context = MemoryContextSwitchTo(deploy->step_context);
	bool		needs_snapshot = !ActiveSnapshotSet();
	bool		result;

	if (needs_snapshot)
		PushActiveSnapshot(GetTransactionSnapshot());
	result = ar_migrate_is_done(&run);
	if (needs_snapshot)
		PopActiveSnapshot();
	MemoryContextSwitchTo(context);
	MemoryContextReset(deploy->step_context);
	return result;
}

/*
 * A row in the log for a revision whose run has ended without it.
 */
static void
log_end(Deploy *deploy, const MigrateJob *job, const char *outcome, const ErrorData *error)
{
	MigrationRun run = *deploy->run;
	StepRecord	record = {.revision = job->revision,.outcome = outcome,.started = job->since};
	StoredScript *script = job->revision ? ar_revision_fetch(job->revision, NULL) : NULL;

	if (script == NULL)
		return;
	run.id = job->run;
	run.direction = job->direction;
	run.role = job->role;
	record.duration.time = GetCurrentTimestamp() - job->since;
	record.result.statements = job->statement;
	record.checksum = script->checksum;
	record.error = error ? error_as_json(error) : NULL;
	ar_migrate_log_write(&run, &record);
}

static Jsonb *
error_as_json(const ErrorData *error)
{
	StringInfoData json;

	initStringInfo(&json);
	appendStringInfoString(&json, "{\"sqlstate\": ");
	escape_json(&json, unpack_sql_state(error->sqlerrcode));
	add_json_text(&json, "message", error->message);
	add_json_text(&json, "detail", error->detail);
	add_json_text(&json, "hint", error->hint);
	add_json_text(&json, "context", error->context);
	appendStringInfoChar(&json, '}');
	return DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(json.data)));
}

static void
add_json_text(StringInfo json, const char *name, const char *value)
{
	if (value == NULL)
		return;
	appendStringInfo(json, ", \"%s\": ", name);
	escape_json(json, value);
}

/*
 * The end of the run.
 */
static void
end_run(Deploy *deploy)
{
	PushActiveSnapshot(GetTransactionSnapshot());
	ar_migrate_job_delete(deploy->schema_name);
	PopActiveSnapshot();
	SPI_commit();

	/* an error in a hook cannot undo what is done */
	if (deploy->run->plan->count == 0)
		return;
	PushActiveSnapshot(GetTransactionSnapshot());
	open_tables(deploy);
	ar_migrate_run_hooks(deploy->run, AR_HOOK_AFTER_RUN, -1);
	close_tables(deploy);
	PopActiveSnapshot();
	SPI_commit();
}

/*
 * A statement that refuses a transaction: until it is done.
 */
static void
run_in_worker(Deploy *deploy, const Step *step, int at)
{
	ScriptStatement *statement = list_nth(step->statements, at);
	Node	   *stmt = statement->raw->stmt;
	MigrateJob *job = deploy->job;
	MigrateWorkerTask task = {0};
	MigratePatience patience;
	bool		succeeded = false;

	task.schema = deploy->schema_name;
	task.run = job->run;
	ar_migrate_patience_begin(&patience, REST_MOST_MS);
	for (;;)
	{
		MigrateSettlement settlement;
		ErrorData  *error;
		SettingsScope scope;

		PushActiveSnapshot(GetTransactionSnapshot());
		enter_script(deploy, step, at, &scope);
		if (!job->attempted && job->indexes_made == NIL)
			ar_migrate_settle_prepare(job, stmt);
		settlement = ar_migrate_settle(job, stmt);
		task.settings = ar_migrate_settings_save();
		ar_settings_end(&scope);
		if (succeeded || settlement.done)
			break;
		job->attempted = true;
		set_state(job, AR_JOB_IN_WORKER);
		ar_migrate_job_write(job);
		PopActiveSnapshot();
		SPI_commit();

		if (settlement.cleanup != NIL)
		{
			error = clean_up(deploy, &task, settlement.cleanup);
			if (error == NULL)
				continue;
		}
		else
		{
			task.statement = settlement.instead ? settlement.instead :
				pnstrdup(step->text +statement->location, statement->length);
			task.records_indexes = ar_migrate_settle_records_indexes(stmt);
			task.lock_timeout_ms = ar_migrate_settle_blocks_others(stmt) ? deploy->lock_wait_ms : 0;
			error = try_worker(deploy, &task);
			if (error == NULL)
			{
				succeeded = true;
				continue;
			}
			describe_place(deploy, step, at, error);
		}

		PushActiveSnapshot(GetTransactionSnapshot());
		if (!is_for_want_of_lock(error) && !leaves_doubt(error))
		{
			/* an invalid unique index would go on to refuse rows */
			settlement = ar_migrate_settle(job, stmt);
			PopActiveSnapshot();
			if (settlement.cleanup != NIL)
				(void) clean_up(deploy, &task, settlement.cleanup);
			PushActiveSnapshot(GetTransactionSnapshot());
			job->attempted = false;
		}
		insist(deploy, step, &patience, NULL, error);
		PopActiveSnapshot();
		rest_in_step(deploy, &patience);
	}
	advance_cursor(deploy, step, at + 1);
	set_state(job, AR_JOB_RUNNING);
	ar_migrate_job_write(job);
	PopActiveSnapshot();
	SPI_commit();
}

/*
 * Add the place in the script to an error of the worker, worded as where the
 * runner itself executes a statement.
 */
static void
describe_place(const Deploy *deploy, const Step *step, int at, ErrorData *error)
{
	ScriptStatement *statement = list_nth(step->statements, at);

	error->context = psprintf("%s%sstatement %d (line %d) of %s of revision \"%s\" in schema \"%s\"",
							  error->context ? error->context : "", error->context ? "\n" : "",
							  at + 1, statement->line,
							  ar_revision_direction_name(deploy->direction),
							  step->script->revision, deploy->schema_name);
}

/*
 * Let a worker do a task.  Returns its error, or NULL.  The job row is as the
 * worker left it.
 */
static ErrorData *
try_worker(Deploy *deploy, const MigrateWorkerTask *task)
{
	MigrateJob *job = deploy->job;
	MigrateJob *stored;
	ErrorData  *volatile error = NULL;
	MemoryContext context;
	Subxact		subxact;

	ar_subxact_begin(&subxact, NULL);
	PG_TRY();
	{
		ar_migrate_worker_run(task, deploy->statement_budget_ms == 0 ? 0 :
							  TimestampTzPlusMilliseconds(GetCurrentTimestamp(),
														  deploy->statement_budget_ms));
		ar_subxact_release(&subxact);
	}
	PG_CATCH();
	{
		error = take_error(&subxact);
		ar_subxact_roll_back(&subxact);
	}
	PG_END_TRY();

	PushActiveSnapshot(GetTransactionSnapshot());
	context = MemoryContextSwitchTo(deploy->context);
	stored = ar_migrate_job_read(deploy->schema_name);
	job->indexes_made = stored->indexes_made;
	MemoryContextSwitchTo(context);
	PopActiveSnapshot();
	return error;
}

/*
 * Remove what an attempt has left.  Returns the error that prevented it, or
 * NULL; then the statement can be attempted as if for the first time.
 */
static ErrorData *
clean_up(Deploy *deploy, const MigrateWorkerTask *task, List *statements)
{
	MigrateWorkerTask cleaning = *task;
	ListCell   *cell;

	cleaning.records_indexes = false;
	cleaning.lock_timeout_ms = 0;
	foreach(cell, statements)
	{
		ErrorData  *error;

		cleaning.statement = lfirst(cell);
		error = try_worker(deploy, &cleaning);
		if (error)
			return error;
	}
	deploy->job->attempted = false;
	deploy->job->indexes_before = NIL;
	deploy->job->indexes_made = NIL;
	return NULL;
}

/*
 * An attempt came to nothing: for want of "missed", or by "error".  Returns if
 * it is to be made again; otherwise notes the failure and raises an error.
 */
static void
insist(Deploy *deploy, const Step *step, MigratePatience *patience, const MigrateLock *missed,
	   ErrorData *error)
{
	bool		out_of_patience = ar_migrate_patience_ms(patience) > deploy->lock_budget_ms;

	if (error && (out_of_patience || !is_for_want_of_lock(error)))
	{
		note_failure(deploy, error);
		ReThrowError(error);
	}
	if (out_of_patience)
	{
		error = error_of_missed_lock(deploy, step, missed);
		note_failure(deploy, error);
		ThrowErrorData(error);
	}
	if (missed && ar_migrate_patience_ms(patience) > DeadlockTimeout)
		ar_migrate_lock_dismiss_autovacuum(missed);
	if (!ar_migrate_patience_tells(patience))
		return;
	if (missed)
		ar_migrate_lock_report(missed, ar_migrate_patience_ms(patience));
	else
		ereport(NOTICE,
				errmsg("revision \"%s\" waits for a lock that could not be foreseen",
					   step->script->revision),
				errdetail("Its last attempt ended with \"%s\".", error->message));
	set_state(deploy->job, AR_JOB_WAITING);
	ar_migrate_job_write(deploy->job);
}

/*
 * What to say when the lock budget has passed.
 */
static ErrorData *
error_of_missed_lock(const Deploy *deploy, const Step *step, const MigrateLock *missed)
{
	ErrorData  *error = palloc0(sizeof(ErrorData));
	char	   *relation = get_rel_name(missed->relid);
	char	   *holders = ar_migrate_lock_holders(missed);

	error->elevel = ERROR;
	error->sqlerrcode = ERRCODE_LOCK_NOT_AVAILABLE;
	error->message = psprintf("could not lock relation \"%s\" within the lock budget",
							  relation ? relation : "(dropped)");
	error->detail = psprintf("It is held by %s.", holders ? holders : "nobody any more");
	error->hint = psprintf("CALL %s(...) again continues with revision \"%s\".",
						   deploy->procedure, step->script->revision);
	error->assoc_context = CurrentMemoryContext;
	return error;
}

/*
 * Note in the job row and in the log that the run ends here.  Takes the
 * active snapshot away and commits.
 */
static void
note_failure(Deploy *deploy, const ErrorData *error)
{
	MigrateJob *job = deploy->job;
	const char *message = error->message;

	job->error = pnstrdup(message, pg_mbcliplen(message, strlen(message), JOB_ERROR_MAX));
	set_state(job, AR_JOB_FAILED);
	ar_migrate_job_write(job);
	open_tables(deploy);
	log_end(deploy, job, error->sqlerrcode == ERRCODE_QUERY_CANCELED && !ar_migrate_budget_is_exceeded() ?
			"cancelled" : "failed", error);
	close_tables(deploy);
	PopActiveSnapshot();
	SPI_commit();
}

/*
 * Might the next attempt succeed because others have let go?
 */
static bool
is_for_want_of_lock(const ErrorData *error)
{
	return error->sqlerrcode == ERRCODE_LOCK_NOT_AVAILABLE ||
		error->sqlerrcode == ERRCODE_T_R_DEADLOCK_DETECTED ||
		error->sqlerrcode == ERRCODE_T_R_SERIALIZATION_FAILURE;
}

/*
 * Can a worker's statement have been completed in spite of the error?
 */
static bool
leaves_doubt(const ErrorData *error)
{
	return error->sqlerrcode == ERRCODE_QUERY_CANCELED ||
		error->sqlerrcode == ERRCODE_CONNECTION_FAILURE ||
		error->sqlerrcode == ERRCODE_ADMIN_SHUTDOWN ||
		error->sqlerrcode == ERRCODE_CRASH_SHUTDOWN;
}

/*
 * In an error handler: the error, in the memory context of before "subxact".
 */
static ErrorData *
take_error(const Subxact *subxact)
{
	ErrorData  *error;

	MemoryContextSwitchTo(subxact->context);
	error = CopyErrorData();
	FlushErrorState();
	ar_migrate_budget_disarm();
	if (ar_migrate_budget_is_exceeded() && error->sqlerrcode == ERRCODE_QUERY_CANCELED)
		error->message = pstrdup("canceling statement because it exceeded the statement budget");
	return error;
}

/*
 * The script's surroundings, until ar_settings_end(scope): the search_path,
 * and what the statements before "first" have set, which ends with the script
 * and not with their transaction.
 *
 * Those may have run in a session that trusts their author more than this one
 * does, so a SET ROLE among them is held to what this run allows.
 */
static void
enter_script(const Deploy *deploy, const Step *step, int first, SettingsScope *scope)
{
	const MigrationRun *run = deploy->run;

	ar_settings_begin(scope);
	if (run->search_path)
		(void) set_config_option("search_path", run->search_path, PGC_USERSET,
								 PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	if (run->pins_role)
		ar_permission_pin_role();
	for (int i = 0; i < first; i++)
	{
		ScriptStatement *statement = list_nth(step->statements, i);
		VariableSetStmt *stmt = (VariableSetStmt *) statement->raw->stmt;

		if (IsA(stmt, VariableSetStmt) && stmt->kind != VAR_SET_MULTI)
			ExecSetVariableStmt(copyObject(stmt), false);
	}
	if (run->pins_role)
		SetUserIdAndSecContext(scope->user, scope->security_context);
}

/*
 * The job row after "count" statements of the script are done for good.
 */
static void
advance_cursor(Deploy *deploy, const Step *step, int count)
{
	MigrateJob *job = deploy->job;
	MemoryContext context = MemoryContextSwitchTo(deploy->context);

	job->checksum = checksum_of_first(step, count);
	MemoryContextSwitchTo(context);
	job->statement = count;
	job->attempted = false;
	job->existed = false;
	job->indexes_before = NIL;
	job->indexes_made = NIL;
}

/*
 * No revision is at hand.
 */
static void
forget_revision(MigrateJob *job)
{
	job->revision = NULL;
	job->checksum = NULL;
	job->statement = 0;
	job->statement_count = 0;
	job->attempted = false;
	job->existed = false;
	job->indexes_before = NIL;
	job->indexes_made = NIL;
}

/*
 * Rest between two attempts.  That it was cancelled is noted.
 */
static void
rest_in_step(Deploy *deploy, MigratePatience *patience)
{
	ErrorData  *volatile error = NULL;
	Subxact		subxact;

	SPI_commit();
	ar_subxact_begin(&subxact, NULL);
	PG_TRY();
	{
		ar_migrate_patience_rest(patience);
		ar_subxact_release(&subxact);
	}
	PG_CATCH();
	{
		error = take_error(&subxact);
		ar_subxact_roll_back(&subxact);
	}
	PG_END_TRY();
	if (error)
	{
		PushActiveSnapshot(GetTransactionSnapshot());
		note_failure(deploy, error);
		ReThrowError(error);
	}
}

static void
set_state(MigrateJob *job, MigrateJobState state)
{
	job->state = state;
	job->since = GetCurrentTimestamp();
}
