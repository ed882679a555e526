/*
 * session_process.c: the server's processes, and who blocks whom.
 *
 * The kinds are those that the server's own limits count, so the sums are
 * right for every caller.  What a process does is left to pg_stat_activity,
 * which knows who may see it.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "nodes/pg_list.h"
#include "postmaster/bgworker_internals.h"
#include "session/session.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/hsearch.h"
#include "utils/tuplestore.h"

/* Who blocks a process. */
typedef struct Blocked
{
	int32		pid;
	List	   *blockers;		/* of integers */
} Blocked;

static const char *kind_of(const PgBackendStatus *process);
static List *blockers_of(FmgrInfo *flinfo, int32 pid);

PG_FUNCTION_INFO_V1(algo_ref_processes);
PG_FUNCTION_INFO_V1(algo_ref_blocking_chain);

int
ar_session_process_count(void)
{
	return pgstat_fetch_stat_numbackends();
}

/*
 * Process "number", from 1 to the count; NULL if it has ended.
 */
PgBackendStatus *
ar_session_process(int number)
{
	LocalPgBackendStatus *process = pgstat_get_local_beentry_by_index(number);

	return process && process->backendStatus.st_procpid != 0 ? &process->backendStatus : NULL;
}

/*
 * What comes next is read anew.
 */
void
ar_session_processes_forget(void)
{
	pgstat_clear_backend_activity_snapshot();
}

/*
 * algo_ref.processes()
 */
Datum
algo_ref_processes(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;

	InitMaterializedSRF(fcinfo, 0);
	for (int i = 1; i <= ar_session_process_count(); i++)
	{
		PgBackendStatus *process = ar_session_process(i);
		Datum		values[2];
		bool		nulls[2] = {false, false};

		if (process == NULL)
			continue;
		values[0] = CStringGetTextDatum(kind_of(process));
		values[1] = Int32GetDatum(process->st_procpid);
		nulls[1] = process->st_backendType != B_BACKEND;
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	return (Datum) 0;
}

static const char *
kind_of(const PgBackendStatus *process)
{
	switch (process->st_backendType)
	{
		case B_BACKEND:
			return "connection";
		case B_BG_WORKER:
			{
				const char *type = GetBackgroundWorkerTypeByPid(process->st_procpid);

				return type && strcmp(type, "parallel worker") == 0 ? "parallel worker" : "worker";
			}
		case B_AUTOVAC_WORKER:
			return "autovacuum worker";
		case B_WAL_SENDER:
			return "wal sender";
		default:
			return "other";
	}
}

/*
 * algo_ref.blocking_chain(pid)
 *
 * Who blocks whom is asked once for each process in a query, so that the
 * chains of all that wait for one lock cost no more than one of them each.
 */
Datum
algo_ref_blocking_chain(PG_FUNCTION_ARGS)
{
	List	   *chain = list_make1_int(PG_GETARG_INT32(0));
	List	   *last = NIL;
	HASHCTL		control = {.keysize = sizeof(int32),.entrysize = sizeof(int32),
	.hcxt = CurrentMemoryContext};
	HTAB	   *seen;
	Datum	   *elements;
	int			count = 0;
	ListCell   *cell;

	seen = hash_create("algo_ref blocking chain", 64, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	(void) hash_search(seen, &linitial_int(chain), HASH_ENTER, NULL);

	/* the chain grows while it is read; who waits for nobody goes last */
	for (int i = 0; i < list_length(chain); i++)
	{
		List	   *blockers = blockers_of(fcinfo->flinfo, list_nth_int(chain, i));

		if (i > 0 && blockers == NIL)
			last = lappend_int(last, list_nth_int(chain, i));
		foreach(cell, blockers)
		{
			int32		blocker = lfirst_int(cell);
			bool		found;

			(void) hash_search(seen, &blocker, HASH_ENTER, &found);
			if (!found)
				chain = lappend_int(chain, blocker);
		}
	}
	hash_destroy(seen);

	elements = palloc(list_length(chain) * sizeof(Datum));
	foreach(cell, chain)
	{
		if (foreach_current_index(cell) > 0 && blockers_of(fcinfo->flinfo, lfirst_int(cell)) != NIL)
			elements[count++] = Int32GetDatum(lfirst_int(cell));
	}
	foreach(cell, last)
		elements[count++] = Int32GetDatum(lfirst_int(cell));
	PG_RETURN_ARRAYTYPE_P(construct_array(elements, count, INT4OID, sizeof(int32), true, TYPALIGN_INT));
}

/*
 * The processes that block one directly, as long as "flinfo" lives.
 */
static List *
blockers_of(FmgrInfo *flinfo, int32 pid)
{
	HASHCTL		control = {.keysize = sizeof(int32),.entrysize = sizeof(Blocked),
	.hcxt = flinfo->fn_mcxt};
	bool		found;
	Blocked    *blocked;
	MemoryContext context;
	ArrayType  *array;
	Datum	   *elements;
	int			count;

	CHECK_FOR_INTERRUPTS();
	if (flinfo->fn_extra == NULL)
		flinfo->fn_extra = hash_create("algo_ref blocked processes", 64, &control,
									   HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	blocked = hash_search(flinfo->fn_extra, &pid, HASH_ENTER, &found);
	if (found)
		return blocked->blockers;
	blocked->blockers = NIL;
	if (pid == 0)
		return NIL;
	array = DatumGetArrayTypeP(DirectFunctionCall1(pg_blocking_pids, Int32GetDatum(pid)));
	deconstruct_array(array, INT4OID, sizeof(int32), true, TYPALIGN_INT, &elements, NULL, &count);
	context = MemoryContextSwitchTo(flinfo->fn_mcxt);
	for (int i = 0; i < count; i++)
		blocked->blockers = list_append_unique_int(blocked->blockers, DatumGetInt32(elements[i]));
	MemoryContextSwitchTo(context);
	return blocked->blockers;
}
