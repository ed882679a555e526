/*
 * migrate_job.c: who deploys a target schema, and where it stands.
 *
 * Two locks say who.  Both are heavyweight locks that nobody ever waits for:
 * who cannot have one goes away or tries again later.  So they take part in no
 * deadlock, and a server that ends takes them along.
 *
 * - the run lock (session level): a run of the deploy door, from its beginning
 *   to its end, over all its commits;
 * - the worker lock (session level): a worker that works for such a run.  It
 *   can outlive its caller by a moment.
 *
 * The run lock is of the default method, not of that of pg_advisory_lock(), so
 * that a script's pg_advisory_unlock_all() or DISCARD ALL leaves it alone, and
 * so that an error that ends the run releases it as it releases the session
 * locks of VACUUM.  The run therefore never rolls back a whole transaction
 * itself, only subtransactions.  The worker lock is of the other method, which
 * a process that ends releases by itself.
 *
 * The row in algo_ref.job says where.  Only the holder of the run lock writes
 * it; while that one waits for its worker, the worker does.  Whoever takes the
 * run lock over takes the worker lock too before it rewrites the row, and a
 * worker that finds another run in the row does nothing.  So the row outlives
 * every kill, and is never believed without looking at the lock.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "common/sql_exec.h"
#include "common/state_table.h"
#include "migrate/migrate.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "storage/lock.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

/* the fourth field of the lock tags; pg_advisory_lock() uses 1 and 2 */
#define RUN_LOCK	4
#define WORKER_LOCK 5

/* how long a worker waits for its predecessor to end */
#define WORKER_LOCK_WAIT_MS 10000

enum JobColumn
{
	Anum_job_schema = 1,
	Anum_job_run,
	Anum_job_direction,
	Anum_job_target,
	Anum_job_pid,
	Anum_job_role,
	Anum_job_started_at,
	Anum_job_step,
	Anum_job_step_count,
	Anum_job_revision,
	Anum_job_checksum,
	Anum_job_statement,
	Anum_job_statement_count,
	Anum_job_state,
	Anum_job_since,
	Anum_job_worker_pid,
	Anum_job_attempted,
	Anum_job_existed,
	Anum_job_indexes_before,
	Anum_job_indexes_made,
	Anum_job_error,
	Natts_job = Anum_job_error
};

static const char *const state_name[] = {"running", "waiting", "in worker", "failed"};

static void set_tag(LOCKTAG *tag, Oid schema, int which);
static bool try_lock(Oid schema, int which, LOCKMODE mode, bool session);
static MigrateJob *read_job(HeapTuple tuple, TupleDesc desc);
static List *oid_list(Datum array);
static Datum oid_array(List *oids);

/*
 * Become the one who deploys the schema, until ar_migrate_job_unlock() or an
 * error.  False, at once, if somebody else is.
 */
bool
ar_migrate_job_try_lock(Oid schema)
{
	return try_lock(schema, RUN_LOCK, ExclusiveLock, true);
}

void
ar_migrate_job_unlock(Oid schema)
{
	LOCKTAG		tag;

	set_tag(&tag, schema, RUN_LOCK);
	(void) LockRelease(&tag, ExclusiveLock, true);
}

/*
 * Keep workers of an earlier run out to the end of the transaction.  False, at
 * once, if one is still there.
 */
bool
ar_migrate_job_try_worker_lock(Oid schema)
{
	return try_lock(schema, WORKER_LOCK, ExclusiveLock, false);
}

/*
 * Keep deploys out to the end of the transaction: for whoever changes the
 * schema's version rows inside one transaction, after having taken the lock
 * that makes it the only one of its kind.
 *
 * Shares the locks with others of its kind: one that has just ended releases
 * them in no certain order.
 *
 * Raises 55006 if a deploy is running; and 55000 if one has left a revision
 * half applied, unless the caller knows better than the row ("forget"): then
 * the row is deleted.
 */
void
ar_migrate_job_exclude(Oid schema, bool forget)
{
	const char *name = get_namespace_name(schema);
	MigrateJob *job;

	if (!try_lock(schema, RUN_LOCK, ShareLock, false) ||
		!try_lock(schema, WORKER_LOCK, ShareLock, false))
		ereport(ERROR,
				errcode(ERRCODE_OBJECT_IN_USE),
				errmsg("schema \"%s\" is being deployed", name),
				errdetail("By %s.", ar_migrate_job_lock_holder(schema)),
				errhint("CALL algo_ref.await(...) waits until the deploy has reached its target; algo_ref.progress shows where it stands."));
	job = ar_migrate_job_read(name);
	if (forget && ar_migrate_job_is_half_applied(job))
		ereport(NOTICE,
				errmsg("revision \"%s\" was half applied to schema \"%s\", which is forgotten now",
					   job->revision, name));
	else if (ar_migrate_job_is_half_applied(job))
		ereport(ERROR,
				errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				errmsg("revision \"%s\" is half applied to schema \"%s\"", job->revision, name),
				errdetail("A deploy ended after %d of %d statements of the %s script.",
						  job->statement, job->statement_count,
						  ar_revision_direction_name(job->direction)),
				errhint("CALL algo_ref.%s(%s) continues at the next statement.",
						job->direction == AR_DOWNGRADE ? "revert" : "deploy",
						quote_literal_cstr(job->target)));
	if (job)
		ar_migrate_job_delete(name);
}

/*
 * Who deploys the schema, for a message.
 */
char *
ar_migrate_job_lock_holder(Oid schema)
{
	static const char *query =
	"SELECT string_agg(format('process %s (role %s, application %s)',"
	"                         pid, coalesce(quote_ident(usename), 'unknown'),"
	"                         quote_literal(coalesce(application_name, ''))),"
	"                  ', ' ORDER BY pid)"
	"  FROM (SELECT DISTINCT l.pid, a.usename, a.application_name"
	"          FROM pg_locks l LEFT JOIN pg_stat_activity a USING (pid)"
	"         WHERE l.locktype = 'advisory' AND l.granted AND l.classid = $1"
	"           AND l.objid = $2 AND l.objsubid IN (4, 5) AND l.pid <> pg_backend_pid()) AS holder";
	Oid			types[] = {OIDOID, OIDOID};
	Datum		values[] = {ObjectIdGetDatum(ar_state_table_oid("version")), ObjectIdGetDatum(schema)};
	char	   *holder = ar_sql_query_text(query, 2, types, values);

	return holder ? holder : pstrdup("a process that has just ended");
}

/*
 * The schema's row as it is committed now, or was written by this
 * transaction; NULL if there is none.
 */
MigrateJob *
ar_migrate_job_read(const char *schema)
{
	StateTable *jobs = ar_state_table_open("job", AccessShareLock);
	ScanKeyData key;
	StateScan  *scan;
	HeapTuple	tuple;
	MigrateJob *job = NULL;

	ar_state_key_name(&key, Anum_job_schema, schema);
	scan = ar_state_scan_begin(jobs, "job_pkey", NULL, 1, &key);
	tuple = ar_state_scan_next(scan);
	if (tuple)
		job = read_job(tuple, RelationGetDescr(ar_state_table_relation(jobs)));
	ar_state_scan_end(scan);
	ar_state_table_close(jobs);
	return job;
}

/*
 * The schemas that have a row, by name.
 */
List *
ar_migrate_job_schemas(Snapshot snapshot)
{
	StateTable *jobs = ar_state_table_open("job", AccessShareLock);
	TupleDesc	desc = RelationGetDescr(ar_state_table_relation(jobs));
	StateScan  *scan = ar_state_scan_begin(jobs, "job_pkey", snapshot, 0, NULL);
	List	   *schemas = NIL;
	HeapTuple	tuple;
	bool		isnull;

	while ((tuple = ar_state_scan_next(scan)))
		schemas = lappend(schemas,
						  pstrdup(NameStr(*DatumGetName(heap_getattr(tuple, Anum_job_schema, desc, &isnull)))));
	ar_state_scan_end(scan);
	ar_state_table_close(jobs);
	return schemas;
}

/*
 * Store the row, new or changed.
 */
void
ar_migrate_job_write(MigrateJob *job)
{
	StateTable *jobs = ar_state_table_open("job", RowExclusiveLock);
	MigrateJob *stored = ar_migrate_job_read(job->schema);
	Datum		value[Natts_job];
	bool		isnull[Natts_job] = {false};

	value[Anum_job_schema - 1] = DirectFunctionCall1(namein, CStringGetDatum(job->schema));
	value[Anum_job_run - 1] = UUIDPGetDatum(&job->run);
	value[Anum_job_direction - 1] =
		CStringGetTextDatum(ar_revision_direction_name(job->direction));
	value[Anum_job_target - 1] = CStringGetTextDatum(job->target);
	value[Anum_job_pid - 1] = Int32GetDatum(job->pid);
	value[Anum_job_role - 1] = DirectFunctionCall1(namein, CStringGetDatum(job->role));
	value[Anum_job_started_at - 1] = TimestampTzGetDatum(job->started_at);
	value[Anum_job_step - 1] = Int32GetDatum(job->step);
	value[Anum_job_step_count - 1] = Int32GetDatum(job->step_count);
	isnull[Anum_job_revision - 1] = job->revision == NULL;
	value[Anum_job_revision - 1] = job->revision ? CStringGetTextDatum(job->revision) : (Datum) 0;
	isnull[Anum_job_checksum - 1] = job->checksum == NULL;
	value[Anum_job_checksum - 1] = PointerGetDatum(job->checksum);
	value[Anum_job_statement - 1] = Int32GetDatum(job->statement);
	value[Anum_job_statement_count - 1] = Int32GetDatum(job->statement_count);
	value[Anum_job_state - 1] = CStringGetTextDatum(state_name[job->state]);
	value[Anum_job_since - 1] = TimestampTzGetDatum(job->since);
	isnull[Anum_job_worker_pid - 1] = job->worker_pid == 0;
	value[Anum_job_worker_pid - 1] = Int32GetDatum(job->worker_pid);
	value[Anum_job_attempted - 1] = BoolGetDatum(job->attempted);
	value[Anum_job_existed - 1] = BoolGetDatum(job->existed);
	value[Anum_job_indexes_before - 1] = oid_array(job->indexes_before);
	value[Anum_job_indexes_made - 1] = oid_array(job->indexes_made);
	isnull[Anum_job_error - 1] = job->error == NULL;
	value[Anum_job_error - 1] = job->error ? CStringGetTextDatum(job->error) : (Datum) 0;

	if (stored)
		ar_state_table_update(jobs, &stored->tid, value, isnull);
	else
		ar_state_table_insert(jobs, value, isnull);
	ar_state_table_close(jobs);
}

/*
 * Remove the schema's row, if there is one.
 */
void
ar_migrate_job_delete(const char *schema)
{
	StateTable *jobs = ar_state_table_open("job", RowExclusiveLock);
	MigrateJob *stored = ar_migrate_job_read(schema);

	if (stored)
		ar_state_table_delete(jobs, &stored->tid);
	ar_state_table_close(jobs);
}

/*
 * Has the run (NULL: none) left something of a revision behind that is not a
 * whole?
 */
bool
ar_migrate_job_is_half_applied(const MigrateJob *job)
{
	return job && (job->statement > 0 || job->attempted || job->indexes_made != NIL);
}

/*
 * In a worker, before its statement: become the schema's worker and say so in
 * the row.  Raises 55000 if the run that wanted the statement is not the
 * schema's run any more.
 */
void
ar_migrate_job_begin_work(const char *schema, const pg_uuid_t *run)
{
	Oid			oid = get_namespace_oid(schema, false);
	TimestampTz start = GetCurrentTimestamp();
	MigrateJob *job;

	while (!try_lock(oid, WORKER_LOCK, ExclusiveLock, true))
	{
		if (TimestampDifferenceExceeds(start, GetCurrentTimestamp(), WORKER_LOCK_WAIT_MS))
			ereport(ERROR,
					errcode(ERRCODE_LOCK_NOT_AVAILABLE),
					errmsg("another worker is still busy in schema \"%s\"", schema));
		pg_usleep(10000L);
		CHECK_FOR_INTERRUPTS();
	}
	job = ar_migrate_job_read(schema);
	if (job == NULL || !job->attempted || memcmp(&job->run, run, sizeof(pg_uuid_t)) != 0)
		ereport(ERROR,
				errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				errmsg("the run that wanted this statement has ended"));
	job->worker_pid = MyProcPid;
	ar_migrate_job_write(job);
}

/*
 * In a worker: note an index that its statement makes, in the transaction
 * that makes it.
 */
void
ar_migrate_job_add_index(const char *schema, const pg_uuid_t *run, Oid index)
{
	MigrateJob *job = ar_migrate_job_read(schema);

	if (job == NULL || memcmp(&job->run, run, sizeof(pg_uuid_t)) != 0)
		elog(ERROR, "job of schema \"%s\" has changed under its worker", schema);
	job->indexes_made = lappend_oid(job->indexes_made, index);
	ar_migrate_job_write(job);
}

static void
set_tag(LOCKTAG *tag, Oid schema, int which)
{
	SET_LOCKTAG_ADVISORY(*tag, MyDatabaseId, ar_state_table_oid("version"), schema, which);
	if (which == RUN_LOCK)
		tag->locktag_lockmethodid = DEFAULT_LOCKMETHOD;
}

static bool
try_lock(Oid schema, int which, LOCKMODE mode, bool session)
{
	LOCKTAG		tag;

	set_tag(&tag, schema, which);
	return LockAcquire(&tag, mode, session, true) != LOCKACQUIRE_NOT_AVAIL;
}

static MigrateJob *
read_job(HeapTuple tuple, TupleDesc desc)
{
	MigrateJob *job = palloc0(sizeof(MigrateJob));
	Datum		value[Natts_job];
	bool		isnull[Natts_job];
	char	   *state;

	heap_deform_tuple(tuple, desc, value, isnull);
	job->tid = tuple->t_self;
	job->schema = pstrdup(NameStr(*DatumGetName(value[Anum_job_schema - 1])));
	job->run = *DatumGetUUIDP(value[Anum_job_run - 1]);
	job->direction = strcmp(TextDatumGetCString(value[Anum_job_direction - 1]), "downgrade") == 0
		? AR_DOWNGRADE : AR_UPGRADE;
	job->target = TextDatumGetCString(value[Anum_job_target - 1]);
	job->pid = DatumGetInt32(value[Anum_job_pid - 1]);
	job->role = pstrdup(NameStr(*DatumGetName(value[Anum_job_role - 1])));
	job->started_at = DatumGetTimestampTz(value[Anum_job_started_at - 1]);
	job->step = DatumGetInt32(value[Anum_job_step - 1]);
	job->step_count = DatumGetInt32(value[Anum_job_step_count - 1]);
	if (!isnull[Anum_job_revision - 1])
		job->revision = TextDatumGetCString(value[Anum_job_revision - 1]);
	if (!isnull[Anum_job_checksum - 1])
		job->checksum = DatumGetByteaPCopy(value[Anum_job_checksum - 1]);
	job->statement = DatumGetInt32(value[Anum_job_statement - 1]);
	job->statement_count = DatumGetInt32(value[Anum_job_statement_count - 1]);
	state = TextDatumGetCString(value[Anum_job_state - 1]);
	while (strcmp(state_name[job->state], state) != 0)
	{
		if (job->state == AR_JOB_FAILED)
			ereport(ERROR,
					errcode(ERRCODE_DATA_CORRUPTED),
					errmsg("job of schema \"%s\" has the unknown state \"%s\"",
						   job->schema, state));
		job->state++;
	}
	job->since = DatumGetTimestampTz(value[Anum_job_since - 1]);
	if (!isnull[Anum_job_worker_pid - 1])
		job->worker_pid = DatumGetInt32(value[Anum_job_worker_pid - 1]);
	job->attempted = DatumGetBool(value[Anum_job_attempted - 1]);
	job->existed = DatumGetBool(value[Anum_job_existed - 1]);
	job->indexes_before = oid_list(value[Anum_job_indexes_before - 1]);
	job->indexes_made = oid_list(value[Anum_job_indexes_made - 1]);
	if (!isnull[Anum_job_error - 1])
		job->error = TextDatumGetCString(value[Anum_job_error - 1]);
	return job;
}

static List *
oid_list(Datum array)
{
	Datum	   *elements;
	int			count;
	List	   *oids = NIL;

	deconstruct_array(DatumGetArrayTypeP(array), OIDOID, sizeof(Oid), true, TYPALIGN_INT,
					  &elements, NULL, &count);
	for (int i = 0; i < count; i++)
		oids = lappend_oid(oids, DatumGetObjectId(elements[i]));
	return oids;
}

static Datum
oid_array(List *oids)
{
	Datum	   *elements = palloc(sizeof(Datum) * Max(list_length(oids), 1));
	int			count = 0;
	ListCell   *cell;

	foreach(cell, oids)
		elements[count++] = ObjectIdGetDatum(lfirst_oid(cell));
	return PointerGetDatum(construct_array(elements, count, OIDOID, sizeof(Oid), true,
										   TYPALIGN_INT));
}
