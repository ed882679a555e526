/*
 * migrate_api.c: algo_ref.upgrade(), downgrade() and stamp().
 *
 * A call that has nothing to do takes no lock that anybody could notice, and
 * works on a hot standby.
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "common/target_schema.h"
#include "fmgr.h"
#include "funcapi.h"
#include "migrate/migrate.h"
#include "miscadmin.h"
#include "revision/revision.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"

static Datum migrate(FunctionCallInfo fcinfo, MigrationRun *run, const char *expect);
static bool is_at_heads(const char *schema, const char *target);
static bool same_set(List *a, List *b);
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
	MigrationRun run = {.direction = AR_UPGRADE};

	run.target = ar_revision_text_argument(fcinfo, 0, "target");
	run.schema = ar_target_schema_argument(fcinfo, 1);
	return migrate(fcinfo, &run, PG_ARGISNULL(2) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(2)));
}

/*
 * algo_ref.downgrade(target, schema, expect)
 */
Datum
algo_ref_downgrade(PG_FUNCTION_ARGS)
{
	MigrationRun run = {.direction = AR_DOWNGRADE};

	run.target = ar_revision_text_argument(fcinfo, 0, "target");
	run.schema = ar_target_schema_argument(fcinfo, 1);
	return migrate(fcinfo, &run, PG_ARGISNULL(2) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(2)));
}

/*
 * algo_ref.stamp(target, schema, purge)
 */
Datum
algo_ref_stamp(PG_FUNCTION_ARGS)
{
	MigrationRun run = {.direction = AR_STAMP};

	run.target = ar_revision_text_argument(fcinfo, 0, "target");
	run.schema = ar_target_schema_argument(fcinfo, 1);
	if (PG_ARGISNULL(2))
		ereport(ERROR,
				errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				errmsg("%s must not be null", "purge"));
	run.purge = PG_GETARG_BOOL(2);
	return migrate(fcinfo, &run, NULL);
}

static Datum
migrate(FunctionCallInfo fcinfo, MigrationRun *run, const char *expect)
{
	InitMaterializedSRF(fcinfo, 0);
	if (ar_migrate_run_is_on())
		ereport(ERROR,
				errcode(ERRCODE_OBJECT_IN_USE),
				errmsg("a migration is already running in this session"),
				errhint("Scripts and hooks cannot upgrade, downgrade or stamp."));
	if (ar_migrate_is_done(run))
		return (Datum) 0;

	PreventCommandDuringRecovery(function_name(run->direction));
	PreventCommandIfReadOnly(function_name(run->direction));
	ar_migrate_run_plan(run);
	if (run->plan->count > 0 || run->purged != NIL)
	{
		if (expect)
			ar_migrate_check_expected(run, expect);
		ar_migrate_run_carry_out(run, (ReturnSetInfo *) fcinfo->resultinfo);
	}
	ar_migrate_run_close(run);
	return (Datum) 0;
}

/*
 * Is there nothing to do?  Asked without a lock; true is certain.
 */
bool
ar_migrate_is_done(const MigrationRun *run)
{
	bool		may_write = !RecoveryInProgress() && !XactReadOnly;
	RevisionMap *map;
	List	   *rows;
	bool		result;

	if (run->purge)
		return false;
	/* stamping forgets what a deploy has left half applied */
	if (run->direction == AR_STAMP && ar_migrate_job_is_half_applied(ar_migrate_job_read(run->schema)))
		return false;
	if (run->direction == AR_UPGRADE &&
		(strcmp(run->target, "head") == 0 || strcmp(run->target, "heads") == 0))
	{
		if (is_at_heads(run->schema, run->target))
			return true;
		/* probably there is; the graph will be read under the lock */
		if (may_write)
			return false;
	}
	rows = ar_revision_row_ids(run->schema, GetActiveSnapshot());
	if (rows == NIL && run->direction == AR_UPGRADE && may_write)
		return false;
	map = ar_revision_map_load(GetActiveSnapshot());
	ar_migrate_version_check(map, run->schema, rows);
	result = ar_revision_plan(map, run->direction, run->target, rows)->count == 0;
	ar_revision_map_free(map);
	return result;
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

	if (summary == NULL ||
		(strcmp(target, "head") == 0 && list_length(summary->heads) != 1))
		return false;
	return same_set(rows, summary->real_heads);
}

/*
 * Have two lists without duplicates the same members?
 */
static bool
same_set(List *a, List *b)
{
	ListCell   *left;

	if (list_length(a) != list_length(b))
		return false;
	foreach(left, a)
	{
		bool		found = false;
		ListCell   *right;

		foreach(right, b)
			found |= strcmp(lfirst(left), lfirst(right)) == 0;
		if (!found)
			return false;
	}
	return true;
}

/*
 * The plan has to be the one that was reviewed.
 */
void
ar_migrate_check_expected(const MigrationRun *run, const char *expect)
{
	char	   *checksum = ar_revision_plan_checksum(run->plan, run->snapshot);

	if (pg_strcasecmp(checksum, expect) == 0)
		return;
	ereport(ERROR,
			errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			errmsg("the plan is not the expected one"),
			errdetail("Expected was checksum \"%s\", but that of the plan is \"%s\".",
					  expect, checksum),
			errhint("Review algo_ref.plan() again, and take the new algo_ref.plan_checksum()."));
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
