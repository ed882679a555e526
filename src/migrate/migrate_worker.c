/*
 * migrate_worker.c: statements that refuse a transaction, in a background
 * worker.
 *
 * The deploy door runs such a statement in a dynamic background worker while
 * the procedure itself sits in a transaction without snapshot and without
 * transaction id, so that a concurrent index build finds nothing to wait for.
 *
 * Rights.  The worker connects as the role that the caller was authenticated
 * as, and then goes the way that the caller went: SET SESSION AUTHORIZATION
 * and SET ROLE by the ordinary checks.  So it has the rights that the caller
 * has, whether the current role may log in or not, and a function that runs
 * inside the statement (an event trigger, say) cannot step back to more than
 * the caller could step back to.
 *
 * Messages come back through a shared memory queue in the frontend protocol,
 * as those of parallel workers do, and are raised again in the caller with
 * everything that they carried.
 *
 * One worker at a time.  A worker holds a session-level lock on its target
 * schema; it works only while the schema's job row still names its task.  So
 * when a caller dies, its successor waits for that lock, rewrites the row, and
 * can be sure that no worker of its predecessor does anything any more.
 *
 * The frame is that of test_shm_mq and of parallel.c.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/objectaccess.h"
#include "catalog/pg_class.h"
#include "common/compat.h"
#include "libpq/pqformat.h"
#include "libpq/pqmq.h"
#include "mb/pg_wchar.h"
#include "migrate/migrate.h"
#include "miscadmin.h"
#include "parser/analyze.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "storage/dsm.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/proc.h"
#include "storage/shm_mq.h"
#include "storage/shm_toc.h"
#include "tcop/dest.h"
#include "tcop/pquery.h"
#include "tcop/tcopprot.h"
#include "tcop/utility.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/ps_status.h"
#include "utils/snapmgr.h"
#include "utils/timeout.h"

#define WORKER_MAGIC		0x61725f77	/* "ar_w" */
#define WORKER_QUEUE_BYTES	16384

enum
{
	WORKER_KEY_TASK,
	WORKER_KEY_STATEMENT,
	WORKER_KEY_SETTINGS,
	WORKER_KEY_QUEUE
};

/* The part of a task that has a fixed size. */
typedef struct SharedTask
{
	Oid			database;
	Oid			authenticated_user;
	NameData	session_user;
	NameData	role;			/* '' if none is set */
	NameData	schema;
	pg_uuid_t	run;
	bool		records_indexes;
	int			lock_timeout_ms;
} SharedTask;

/* What the calling side keeps of a worker. */
typedef struct WorkerHandle
{
	dsm_segment *seg;
	shm_mq_handle *queue;
	BackgroundWorkerHandle *worker;
} WorkerHandle;

/* in the worker: whose indexes to record, and who else wants to know */
static const SharedTask *recording_task = NULL;
static object_access_hook_type next_object_access_hook = NULL;

PGDLLEXPORT void algo_ref_worker_main(Datum main_arg);

static void start_worker(WorkerHandle *handle, const MigrateWorkerTask *wanted);
static void end_worker(WorkerHandle *handle, bool terminate);
static void stop_worker_at_detach(dsm_segment *seg, Datum arg);
static void wait_for_worker(WorkerHandle *handle, TimestampTz deadline);
static bool take_message(StringInfo message, int worker_pid);
static void become_caller(const SharedTask *task);
static void execute_statement(const char *statement);
static void record_created_index(ObjectAccessType access, Oid classId, Oid objectId,
								 int subId, void *arg);

/*
 * The caller's settings and identity as they are now, to be given to a worker
 * later.  Lives in the current memory context.
 */
MigrateSettings *
ar_migrate_settings_save(void)
{
	MigrateSettings *settings = palloc(sizeof(MigrateSettings));

	settings->size = EstimateGUCStateSpace();
	settings->data = palloc(settings->size);
	SerializeGUCState(settings->size, settings->data);
	settings->session_user = GetSessionUserId();
	settings->role = GetCurrentRoleId();

	/* A security-definer frame is atomic, so it cannot have come here. */
	if (GetUserId() != (OidIsValid(settings->role) ? settings->role : settings->session_user))
		elog(ERROR, "current user is neither the session's user nor its role");
	return settings;
}

/*
 * Run one statement in a worker and return when the worker has ended.
 *
 * To be called in a transaction that has neither snapshot nor transaction id.
 * The schema's job row, committed, names the task's run.  Raises the worker's error
 * as it was raised there; 53000 if there is no free worker; 57014 if
 * "deadline" (0: none) passed.  When this function raises an error, the worker
 * has ended too, unless the whole backend is being terminated: then it was
 * told to.
 */
void
ar_migrate_worker_run(const MigrateWorkerTask *wanted, TimestampTz deadline)
{
	WorkerHandle *handle = MemoryContextAllocZero(TopMemoryContext, sizeof(WorkerHandle));

	/* What would make a concurrent build wait for us, and us for it. */
	InvalidateCatalogSnapshot();
	if (TransactionIdIsValid(MyProc->xmin) || TransactionIdIsValid(GetTopTransactionIdIfAny()))
		elog(ERROR, "transaction holds a snapshot or an id while a worker is to run");

	PG_TRY();
	{
		start_worker(handle, wanted);
		wait_for_worker(handle, deadline);
	}
	PG_CATCH();
	{
		end_worker(handle, true);
		PG_RE_THROW();
	}
	PG_END_TRY();
	end_worker(handle, false);
}

/*
 * Lay out the task in shared memory and register the worker.
 */
static void
start_worker(WorkerHandle *handle, const MigrateWorkerTask *wanted)
{
	shm_toc_estimator estimator;
	shm_toc    *toc;
	SharedTask *task;
	char	   *statement;
	char	   *settings;
	shm_mq	   *queue;
	BackgroundWorker worker;
	Size		size;
	Oid			role = wanted->settings->role;

	shm_toc_initialize_estimator(&estimator);
	shm_toc_estimate_chunk(&estimator, sizeof(SharedTask));
	shm_toc_estimate_chunk(&estimator, strlen(wanted->statement) + 1);
	shm_toc_estimate_chunk(&estimator, wanted->settings->size);
	shm_toc_estimate_chunk(&estimator, WORKER_QUEUE_BYTES);
	shm_toc_estimate_keys(&estimator, 4);
	size = shm_toc_estimate(&estimator);

	handle->seg = dsm_create(size, 0);
	dsm_pin_mapping(handle->seg);
	toc = shm_toc_create(WORKER_MAGIC, dsm_segment_address(handle->seg), size);

	task = shm_toc_allocate(toc, sizeof(SharedTask));
	memset(task, 0, sizeof(SharedTask));
	task->database = MyDatabaseId;
	task->authenticated_user = GetAuthenticatedUserId();
	namestrcpy(&task->session_user, GetUserNameFromId(wanted->settings->session_user, false));
	if (OidIsValid(role))
		namestrcpy(&task->role, GetUserNameFromId(role, false));
	namestrcpy(&task->schema, wanted->schema);
	task->run = wanted->run;
	task->records_indexes = wanted->records_indexes;
	task->lock_timeout_ms = wanted->lock_timeout_ms;
	shm_toc_insert(toc, WORKER_KEY_TASK, task);

	statement = shm_toc_allocate(toc, strlen(wanted->statement) + 1);
	strcpy(statement, wanted->statement);
	shm_toc_insert(toc, WORKER_KEY_STATEMENT, statement);

	settings = shm_toc_allocate(toc, wanted->settings->size);
	memcpy(settings, wanted->settings->data, wanted->settings->size);
	shm_toc_insert(toc, WORKER_KEY_SETTINGS, settings);

	queue = shm_mq_create(shm_toc_allocate(toc, WORKER_QUEUE_BYTES), WORKER_QUEUE_BYTES);
	shm_mq_set_receiver(queue, MyProc);
	shm_toc_insert(toc, WORKER_KEY_QUEUE, queue);
	{
		MemoryContext context = MemoryContextSwitchTo(TopMemoryContext);

		handle->queue = shm_mq_attach(queue, handle->seg, NULL);
		MemoryContextSwitchTo(context);
	}

	memset(&worker, 0, sizeof(worker));
	worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = BGW_NEVER_RESTART;
	strlcpy(worker.bgw_library_name, "algo_ref", sizeof(worker.bgw_library_name));
	strlcpy(worker.bgw_function_name, "algo_ref_worker_main", sizeof(worker.bgw_function_name));
	snprintf(worker.bgw_name, BGW_MAXLEN, "algo_ref worker for PID %d", MyProcPid);
	strlcpy(worker.bgw_type, "algo_ref worker", BGW_MAXLEN);
	worker.bgw_main_arg = UInt32GetDatum(dsm_segment_handle(handle->seg));
	worker.bgw_notify_pid = MyProcPid;
	{
		MemoryContext context = MemoryContextSwitchTo(TopMemoryContext);
		bool		registered = RegisterDynamicBackgroundWorker(&worker, &handle->worker);

		MemoryContextSwitchTo(context);
		if (!registered)
			ereport(ERROR,
					errcode(ERRCODE_INSUFFICIENT_RESOURCES),
					errmsg("could not register a background worker"),
					errdetail("A statement that cannot run inside a transaction block runs in a worker, and all of them are in use."),
					errhint("Try again later, or raise \"max_worker_processes\".  The next call continues at this statement."));
	}
	shm_mq_set_handle(handle->queue, handle->worker);
	on_dsm_detach(handle->seg, stop_worker_at_detach, PointerGetDatum(handle));
}

/*
 * Wait until the worker has ended, having told it to if "terminate", and free
 * what belongs to it.
 */
static void
end_worker(WorkerHandle *handle, bool terminate)
{
	if (handle->worker)
	{
		if (terminate)
			TerminateBackgroundWorker(handle->worker);
		WaitForBackgroundWorkerShutdown(handle->worker);
	}
	if (handle->seg)
	{
		cancel_on_dsm_detach(handle->seg, stop_worker_at_detach, PointerGetDatum(handle));
		dsm_detach(handle->seg);
	}
	if (handle->worker)
		pfree(handle->worker);
	pfree(handle);
}

/*
 * The backend ends while the worker may be running.
 */
static void
stop_worker_at_detach(dsm_segment *seg, Datum arg)
{
	WorkerHandle *handle = (WorkerHandle *) DatumGetPointer(arg);

	TerminateBackgroundWorker(handle->worker);
}

/*
 * Pass on what the worker says until it says that it is done.
 */
static void
wait_for_worker(WorkerHandle *handle, TimestampTz deadline)
{
	bool		done = false;

	while (!done)
	{
		shm_mq_result result;
		Size		nbytes;
		void	   *data;
		long		timeout_ms = 1000;

		CHECK_FOR_INTERRUPTS();
		result = shm_mq_receive(handle->queue, &nbytes, &data, true);
		if (result == SHM_MQ_SUCCESS)
		{
			StringInfoData message;
			pid_t		pid = 0;

			initStringInfo(&message);
			appendBinaryStringInfo(&message, data, nbytes);
			(void) GetBackgroundWorkerPid(handle->worker, &pid);
			done = take_message(&message, (int) pid);
			pfree(message.data);
			continue;
		}
		if (result == SHM_MQ_DETACHED)
			ereport(ERROR,
					errcode(ERRCODE_CONNECTION_FAILURE),
					errmsg("lost the background worker that ran the statement"),
					errhint("The server log may say why.  The next call continues at this statement."));

		if (deadline != 0)
		{
			timeout_ms = TimestampDifferenceMilliseconds(GetCurrentTimestamp(), deadline);
			if (timeout_ms <= 0)
				ereport(ERROR,
						errcode(ERRCODE_QUERY_CANCELED),
						errmsg("canceling statement because it exceeded the statement budget"));
			timeout_ms = Min(timeout_ms, 1000);
		}
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 timeout_ms, PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
	}
}

/*
 * One message of the worker.  Returns whether it was the last one.  Errors are
 * raised here.
 */
static bool
take_message(StringInfo message, int worker_pid)
{
	char		type = pq_getmsgbyte(message);

	switch (type)
	{
		case 'E':				/* ErrorResponse */
		case 'N':				/* NoticeResponse */
			{
				ErrorData	edata;

				pq_parse_errornotice(message, &edata);

				/* The worker ended; this backend goes on. */
				edata.elevel = Min(edata.elevel, ERROR);
				edata.context = psprintf(edata.context ? "%s\n%s%d" : "%s%s%d",
										 edata.context ? edata.context : "",
										 "background worker with PID ",
										 worker_pid);
				ThrowErrorData(&edata);
				return false;
			}
		case 'Z':				/* ReadyForQuery */
			return true;
		default:				/* ParameterStatus, CommandComplete */
			return false;
	}
}

/*
 * The worker.
 */
void
algo_ref_worker_main(Datum main_arg)
{
	dsm_segment *seg;
	shm_toc    *toc;
	SharedTask *task;
	char	   *statement;
	shm_mq	   *queue;

	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();

	seg = dsm_attach(DatumGetUInt32(main_arg));
	if (seg == NULL)
		ereport(ERROR,
				errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				errmsg("could not map dynamic shared memory segment"));
	toc = shm_toc_attach(WORKER_MAGIC, dsm_segment_address(seg));
	if (toc == NULL)
		ereport(ERROR,
				errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				errmsg("invalid magic number in dynamic shared memory segment"));
	task = shm_toc_lookup(toc, WORKER_KEY_TASK, false);
	statement = shm_toc_lookup(toc, WORKER_KEY_STATEMENT, false);

	queue = shm_toc_lookup(toc, WORKER_KEY_QUEUE, false);
	shm_mq_set_sender(queue, MyProc);
	pq_redirect_to_shm_mq(seg, shm_mq_attach(queue, seg, NULL));

	BackgroundWorkerInitializeConnectionByOid(task->database, task->authenticated_user,
											  AR_BGWORKER_CONNECT_FLAGS);

	StartTransactionCommand();
	RestoreGUCState(shm_toc_lookup(toc, WORKER_KEY_SETTINGS, false));
	become_caller(task);
	CommitTransactionCommand();

	/* From here on nobody else works for this schema; see the file's top. */
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	ar_migrate_job_begin_work(NameStr(task->schema), &task->run);
	PopActiveSnapshot();
	CommitTransactionCommand();

	if (task->records_indexes)
	{
		recording_task = task;
		next_object_access_hook = object_access_hook;
		object_access_hook = record_created_index;
	}
	execute_statement(statement);
	object_access_hook = next_object_access_hook;

	ReadyForQuery(DestRemote);
}

/*
 * Take on the caller's identity, and what the caller does not decide.
 */
static void
become_caller(const SharedTask *task)
{
	char		timeout[32];

	/* The caller takes the messages in the database's encoding. */
	SetConfigOption("client_encoding", GetDatabaseEncodingName(), PGC_USERSET, PGC_S_SESSION);

	SetConfigOption("session_authorization", NameStr(task->session_user),
					PGC_USERSET, PGC_S_SESSION);
	if (NameStr(task->role)[0] != '\0')
		SetConfigOption("role", NameStr(task->role), PGC_USERSET, PGC_S_SESSION);

	snprintf(timeout, sizeof(timeout), "%d", task->lock_timeout_ms);
	SetConfigOption("lock_timeout", timeout, PGC_USERSET, PGC_S_SESSION);
}

/*
 * Run the statement as a client's simple query would run it: at top level, in
 * a portal of its own, so that commands that begin and commit transactions
 * themselves work.
 */
static void
execute_statement(const char *statement)
{
	MemoryContext context;
	RawStmt    *raw;
	List	   *queries;
	List	   *plans;
	Portal		portal;
	DestReceiver *receiver;
	QueryCompletion completion;
	bool		has_snapshot = false;

	context = AllocSetContextCreate(TopMemoryContext, "algo_ref worker statement",
									ALLOCSET_DEFAULT_SIZES);
	debug_query_string = statement;
	pgstat_report_activity(STATE_RUNNING, statement);
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	MemoryContextSwitchTo(context);

	raw = linitial_node(RawStmt, pg_parse_query(statement));
	set_ps_display(GetCommandTagName(CreateCommandTag(raw->stmt)));
	if (analyze_requires_snapshot(raw))
	{
		PushActiveSnapshot(GetTransactionSnapshot());
		has_snapshot = true;
	}
	queries = pg_analyze_and_rewrite_fixedparams(raw, statement, NULL, 0, NULL);
	plans = pg_plan_queries(queries, statement, 0, NULL);
	if (has_snapshot)
		PopActiveSnapshot();

	portal = CreatePortal("", true, true);
	portal->visible = false;
	PortalDefineQuery(portal, NULL, statement, CreateCommandTag(raw->stmt), plans, NULL);
	PortalStart(portal, NULL, 0, InvalidSnapshot);
	receiver = CreateDestReceiver(DestNone);
	(void) ar_portal_run(portal, receiver, &completion);
	receiver->rDestroy(receiver);
	PortalDrop(portal, false);

	CommitTransactionCommand();
	debug_query_string = NULL;
	pgstat_report_activity(STATE_IDLE, NULL);
	MemoryContextDelete(context);
}

/*
 * object_access_hook: note, in the very transaction that makes an index, that
 * this job made it.  So an invalid index is known as ours, or is not ours.
 */
static void
record_created_index(ObjectAccessType access, Oid classId, Oid objectId, int subId, void *arg)
{
	if (next_object_access_hook)
		next_object_access_hook(access, classId, objectId, subId, arg);

	if (access == OAT_POST_CREATE && classId == RelationRelationId && subId == 0)
		ar_migrate_job_add_index(NameStr(recording_task->schema), &recording_task->run,
								 objectId);
}
