/*
 * session_dispose.c: end idle connections, and the line of pool.status().
 *
 * Which connections there are, and what the caller may know of them, is asked
 * of algo_ref.connections().  Just before they are ended, all of them are
 * looked at once more: one that has become active, or whose process is
 * another's by now, is kept.
 */
#include "postgres.h"

#include <signal.h>

#include "catalog/pg_authid.h"
#include "catalog/pg_type.h"
#include "commands/dbcommands.h"
#include "common/compat.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "nodes/pg_list.h"
#include "pgstat.h"
#include "session/session.h"
#include "storage/latch.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

/* How long to wait for what was told to end, in milliseconds. */
#define END_WAIT_MS 5000
#define END_POLL_MS 5

/* Columns of the result. */
enum DisposeColumn
{
	DISPOSE_PID,
	DISPOSE_APPLICATION_NAME,
	DISPOSE_ROLE,
	DISPOSE_DATABASE,
	DISPOSE_CLIENT_ADDRESS,
	DISPOSE_STATE,
	DISPOSE_IDLE_FOR,
	DISPOSE_OUTCOME,
	DISPOSE_REASON,
	DISPOSE_COLUMNS
};

/* A connection that was named. */
typedef struct Candidate
{
	Datum		values[DISPOSE_COLUMNS];
	bool		nulls[DISPOSE_COLUMNS];
	int32		pid;
	TimestampTz connected_at;	/* 0: the caller may not see it */
	char	   *role;
	char	   *state;			/* NULL: the caller may not see it */
	bool		idle_for_enough;
	const char *outcome;
	char	   *reason;
} Candidate;

typedef struct Dispose
{
	Interval   *idle_for;
	bool		dry_run;
	bool		in_transaction;
	MemoryContext context;
} Dispose;

static void pin_search_path(void);
static List *read_candidates(FunctionCallInfo fcinfo, const Dispose *dispose);
static Candidate *candidate_of(const Dispose *dispose, HeapTuple tuple, TupleDesc desc);
static char *reason_to_keep(const Dispose *dispose, const Candidate *candidate);
static bool is_in_transaction(const char *state);
static bool may_end(const PgBackendStatus *process);
static PgBackendStatus *find_process(const Candidate *candidate);
static bool is_as_seen(const PgBackendStatus *process, const Candidate *candidate);
static void end_connections(List *candidates);
static bool have_ended(List *candidates);

PG_FUNCTION_INFO_V1(algo_ref_pool_dispose);
PG_FUNCTION_INFO_V1(algo_ref_pool_status);

/*
 * algo_ref.pool_dispose(application_name, idle_for, role, database, dry_run,
 *						 in_transaction)
 */
Datum
algo_ref_pool_dispose(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	Dispose		dispose = {.context = CurrentMemoryContext};
	Interval	none = {0};
	List	   *candidates;
	ListCell   *cell;

	ar_session_check_given(fcinfo, 1, "idle_for");
	dispose.idle_for = PG_GETARG_INTERVAL_P(1);
	if (DatumGetBool(DirectFunctionCall2(interval_lt, IntervalPGetDatum(dispose.idle_for),
										 IntervalPGetDatum(&none))))
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("idle_for must not be negative"));
	if (!PG_ARGISNULL(2))
		(void) get_role_oid(NameStr(*PG_GETARG_NAME(2)), false);
	if (!PG_ARGISNULL(3))
		(void) get_database_oid(NameStr(*PG_GETARG_NAME(3)), false);
	dispose.dry_run = ar_session_argument_bool(fcinfo, 4, "dry_run");
	dispose.in_transaction = ar_session_argument_bool(fcinfo, 5, "in_transaction");
	if (dispose.in_transaction && PG_ARGISNULL(0))
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("in_transaction needs an application_name"),
				errdetail("A connection that is in a transaction is ended only if its application is named."));
	InitMaterializedSRF(fcinfo, 0);

	candidates = read_candidates(fcinfo, &dispose);
	ar_session_processes_forget();
	foreach(cell, candidates)
	{
		Candidate  *candidate = lfirst(cell);

		candidate->reason = reason_to_keep(&dispose, candidate);
		candidate->outcome = candidate->reason ? "kept" : dispose.dry_run ? "would end" : "ended";
	}
	if (!dispose.dry_run)
		end_connections(candidates);
	ar_session_processes_forget();

	foreach(cell, candidates)
	{
		Candidate  *candidate = lfirst(cell);

		candidate->values[DISPOSE_OUTCOME] = CStringGetTextDatum(candidate->outcome);
		candidate->nulls[DISPOSE_REASON] = candidate->reason == NULL;
		if (candidate->reason)
			candidate->values[DISPOSE_REASON] = CStringGetTextDatum(candidate->reason);
		tuplestore_putvalues(result->setResult, result->setDesc, candidate->values, candidate->nulls);
	}
	return (Datum) 0;
}

/*
 * algo_ref.pool_status(format)
 */
Datum
algo_ref_pool_status(PG_FUNCTION_ARGS)
{
	char	   *format = ar_session_argument_text(fcinfo, 0, "format");
	int			nest_level = NewGUCNestLevel();
	StringInfoData line;
	int64		figures[4];

	if (strcmp(format, "text") != 0)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("format \"%s\" does not exist", format),
				errhint("The format is text; without one, algo_ref.pool_status() returns rows."));
	pin_search_path();
	SPI_connect();
	if (SPI_execute("SELECT count(*), count(*) FILTER (WHERE state = 'idle'), "
					"count(*) FILTER (WHERE state IS NULL), "
					"(SELECT min(allowed) FROM algo_ref.connection_limits() WHERE kind = 'connections') "
					"FROM algo_ref.connections()", true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read connections");
	for (int i = 0; i < lengthof(figures); i++)
		figures[i] = pg_strtoint64(SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, i + 1));
	SPI_finish();
	AtEOXact_GUC(false, nest_level);

	initStringInfo(&line);
	appendStringInfo(&line, "Pool size: " INT64_FORMAT "  Connections in pool: " INT64_FORMAT
					 " Current Overflow: " INT64_FORMAT " Current Checked out connections: " INT64_FORMAT,
					 figures[3], figures[1], figures[0] - figures[3], figures[0] - figures[1]);
	if (figures[2] > 0)
		appendStringInfo(&line, " (of which not shown to role %s: " INT64_FORMAT ")",
						 quote_identifier(GetUserNameFromId(GetUserId(), false)), figures[2]);
	PG_RETURN_TEXT_P(cstring_to_text(line.data));
}

/*
 * For SQL of our own, to the end of a nest level of settings.
 */
static void
pin_search_path(void)
{
	(void) set_config_option("search_path", "pg_catalog, pg_temp", PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
}

/*
 * The connections that the arguments name, a list of Candidate *, as they are
 * now.
 */
static List *
read_candidates(FunctionCallInfo fcinfo, const Dispose *dispose)
{
	Oid			types[4] = {TEXTOID, NAMEOID, NAMEOID, INTERVALOID};
	Datum		values[4];
	char		nulls[4];
	static const int arguments[4] = {0, 2, 3, 1};
	int			nest_level = NewGUCNestLevel();
	List	   *candidates = NIL;
	MemoryContext context;

	for (int i = 0; i < 4; i++)
	{
		values[i] = PG_GETARG_DATUM(arguments[i]);
		nulls[i] = PG_ARGISNULL(arguments[i]) ? 'n' : ' ';
	}
	ar_session_processes_forget();
	pin_search_path();
	SPI_connect();
	if (SPI_execute_with_args("SELECT pid, application_name, role, database, client_address, state, "
							  "CASE WHEN state = 'idle' OR state LIKE 'idle in transaction%' THEN clock_timestamp() - state_since END, "
							  "connected_at, coalesce(clock_timestamp() - state_since >= $4, false) "
							  "FROM algo_ref.connections() "
							  "WHERE ($1 IS NULL OR application_name = $1) AND ($2 IS NULL OR role = $2) "
							  "AND ($3 IS NULL OR database = $3) ORDER BY pid",
							  4, types, values, nulls, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read connections");
	context = MemoryContextSwitchTo(dispose->context);
	for (uint64 i = 0; i < SPI_processed; i++)
		candidates = lappend(candidates, candidate_of(dispose, SPI_tuptable->vals[i], SPI_tuptable->tupdesc));
	MemoryContextSwitchTo(context);
	SPI_finish();
	AtEOXact_GUC(false, nest_level);
	return candidates;
}

/*
 * A row of the query.
 */
static Candidate *
candidate_of(const Dispose *dispose, HeapTuple tuple, TupleDesc desc)
{
	Candidate  *candidate = palloc0(sizeof(Candidate));
	HeapTuple	copy = heap_copytuple(tuple);
	bool		isnull;
	Datum		connected_at;

	for (int i = 0; i < DISPOSE_OUTCOME; i++)
		candidate->values[i] = heap_getattr(copy, i + 1, desc, &candidate->nulls[i]);
	candidate->pid = DatumGetInt32(candidate->values[DISPOSE_PID]);
	candidate->role = SPI_getvalue(copy, desc, DISPOSE_ROLE + 1);
	candidate->state = SPI_getvalue(copy, desc, DISPOSE_STATE + 1);
	connected_at = heap_getattr(copy, DISPOSE_OUTCOME + 1, desc, &isnull);
	candidate->connected_at = isnull ? 0 : DatumGetTimestampTz(connected_at);
	candidate->idle_for_enough = DatumGetBool(heap_getattr(copy, DISPOSE_OUTCOME + 2, desc, &isnull));
	return candidate;
}

/*
 * Why a connection is not to be ended; NULL if it is.
 */
static char *
reason_to_keep(const Dispose *dispose, const Candidate *candidate)
{
	PgBackendStatus *process;

	if (candidate->pid == MyProcPid)
		return "it is the caller's own";
	if (candidate->state == NULL || candidate->connected_at == 0)
		return psprintf("its state is not shown to role %s",
						quote_identifier(GetUserNameFromId(GetUserId(), false)));
	if (is_in_transaction(candidate->state) && !dispose->in_transaction)
		return "it is in a transaction";
	if (!is_in_transaction(candidate->state) && strcmp(candidate->state, "idle") != 0)
		return psprintf("it is %s", candidate->state);
	if (!candidate->idle_for_enough)
		return "it has not been idle for so long";
	process = find_process(candidate);
	if (process == NULL)
		return "it has ended by itself";
	if (!may_end(process))
		return psprintf("role %s may not end connections of role %s",
						quote_identifier(GetUserNameFromId(GetUserId(), false)),
						candidate->role ? quote_identifier(candidate->role) : "(dropped)");
	if (!is_as_seen(process, candidate))
		return "it has become active";
	return NULL;
}

static bool
is_in_transaction(const char *state)
{
	return strncmp(state, "idle in transaction", strlen("idle in transaction")) == 0;
}

/*
 * As pg_terminate_backend() decides it.
 */
static bool
may_end(const PgBackendStatus *process)
{
	if (!OidIsValid(process->st_userid) || superuser_arg(process->st_userid))
		return superuser();
	return has_privs_of_role(GetUserId(), process->st_userid) ||
		has_privs_of_role(GetUserId(), ROLE_PG_SIGNAL_BACKEND);
}

/*
 * The process of a connection, or NULL if it is gone.
 */
static PgBackendStatus *
find_process(const Candidate *candidate)
{
	for (int i = 1; i <= ar_session_process_count(); i++)
	{
		PgBackendStatus *process = ar_session_process(i);

		if (process && process->st_procpid == candidate->pid &&
			process->st_proc_start_timestamp == candidate->connected_at)
			return process;
	}
	return NULL;
}

/*
 * Is it still in the state in which it was seen?
 */
static bool
is_as_seen(const PgBackendStatus *process, const Candidate *candidate)
{
	switch (process->st_state)
	{
		case STATE_IDLE:
			return strcmp(candidate->state, "idle") == 0;
		case STATE_IDLEINTRANSACTION:
		case STATE_IDLEINTRANSACTION_ABORTED:
			return is_in_transaction(candidate->state);
		default:
			return false;
	}
}

/*
 * End those that are not to be kept, all at once, and see them go.
 */
static void
end_connections(List *candidates)
{
	TimestampTz deadline = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), END_WAIT_MS);
	ListCell   *cell;

	foreach(cell, candidates)
	{
		Candidate  *candidate = lfirst(cell);

		if (candidate->reason)
			continue;
		/* what has gone since then has ended, too */
		if (kill(candidate->pid, 0) == 0)
			(void) DirectFunctionCall2(pg_terminate_backend, Int32GetDatum(candidate->pid), Int64GetDatum(0));
	}
	while (!have_ended(candidates) && GetCurrentTimestamp() < deadline)
	{
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 END_POLL_MS, PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
	foreach(cell, candidates)
	{
		Candidate  *candidate = lfirst(cell);

		if (candidate->reason || kill(candidate->pid, 0) != 0)
			continue;
		candidate->outcome = "kept";
		candidate->reason = psprintf("it was told to end, and has not within %d s", END_WAIT_MS / 1000);
	}
}

/*
 * Have all of them gone?
 */
static bool
have_ended(List *candidates)
{
	ListCell   *cell;

	foreach(cell, candidates)
	{
		Candidate  *candidate = lfirst(cell);

		if (candidate->reason == NULL && kill(candidate->pid, 0) == 0)
			return false;
	}
	return true;
}
