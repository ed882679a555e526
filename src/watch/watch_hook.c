/*
 * watch_hook.c: hooks of the executor, and of what hands a connection on.
 *
 * A SELECT that returns keys has its receiver wrapped while it runs; one that
 * looks rows up by a key of an earlier one is timed.  All others are left
 * alone: what is kept of a statement is found by its query descriptor, and the
 * list of those is short, mostly empty.
 *
 * What an error left in the list is dropped at the end of the transaction, and
 * does no harm before: a descriptor that comes again has been started again,
 * and then whatever was known of its address is dropped.
 */
#include "postgres.h"

#include "access/parallel.h"
#include "access/skey.h"
#include "access/stratnum.h"
#include "access/xact.h"
#include "common/compat.h"
#include "executor/executor.h"
#include "nodes/execnodes.h"
#include "tcop/dest.h"
#include "tcop/utility.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "watch/watch.h"

/* Statements that run within one another, with open cursors. */
#define STATEMENTS_MAX 64

/* Stands before the receiver of the rows. */
typedef struct KeyReceiver
{
	DestReceiver pub;
	DestReceiver *receiver;
	WatchedStatement *statement;
	uint64		serial;			/* of the statement */
} KeyReceiver;

static ExecutorStart_hook_type previous_start = NULL;
static ExecutorRun_hook_type previous_run = NULL;
static ExecutorEnd_hook_type previous_end = NULL;
static ProcessUtility_hook_type previous_utility = NULL;

static WatchedStatement statements[STATEMENTS_MAX];
static WatchedStatement *running = NULL;
static WatchedStatement *unused = NULL;
static uint64 last_serial = 0;

static void watch_start(QueryDesc *query, int eflags);
static void watch_run(AR_EXECUTOR_RUN_PARAMETERS);
static void run_watched(WatchedStatement *statement, AR_EXECUTOR_RUN_PARAMETERS);
static void watch_end(QueryDesc *query);
static void watch_utility(PlannedStmt *statement, const char *text, bool read_only,
						  ProcessUtilityContext context, ParamListInfo params,
						  QueryEnvironment *environment, DestReceiver *dest,
						  QueryCompletion *completion);
static bool ends_client(const Node *statement);
static void watch_transaction(XactEvent event, void *arg);
static void begin_statement(QueryDesc *query);
static bool returns_one_row(const PlanState *state);
static WatchedStatement *place_for_statement(void);
static void add_statement(WatchedStatement *statement, QueryDesc *query);
static WatchedStatement *find_statement(QueryDesc *query);
static void forget_statement(WatchedStatement *statement);
static bool is_returned(CommandDest dest);
static void receiver_start(DestReceiver *self, int operation, TupleDesc description);
static bool receiver_row(TupleTableSlot *slot, DestReceiver *self);
static void receiver_end(DestReceiver *self);
static void receiver_destroy(DestReceiver *self);

void
ar_watch_install_hooks(void)
{
	for (int i = 0; i < STATEMENTS_MAX; i++)
	{
		statements[i].next = unused;
		unused = &statements[i];
	}
	previous_start = ExecutorStart_hook;
	ExecutorStart_hook = watch_start;
	previous_run = ExecutorRun_hook;
	ExecutorRun_hook = watch_run;
	previous_end = ExecutorEnd_hook;
	ExecutorEnd_hook = watch_end;
	previous_utility = ProcessUtility_hook;
	ProcessUtility_hook = watch_utility;
	RegisterXactCallback(watch_transaction, NULL);
}

static void
watch_start(QueryDesc *query, int eflags)
{
	WatchedStatement *stale = running ? find_statement(query) : NULL;

	if (stale)
		forget_statement(stale);
	if (previous_start)
		previous_start(query, eflags);
	else
		standard_ExecutorStart(query, eflags);

	if (ar_watch_mode != AR_WATCH_OFF && query->operation == CMD_SELECT &&
		(eflags & EXEC_FLAG_EXPLAIN_ONLY) == 0 && !IsParallelWorker())
		begin_statement(query);
}

static void
watch_run(AR_EXECUTOR_RUN_PARAMETERS)
{
	WatchedStatement *statement = running ? find_statement(query) : NULL;

	if (statement)
		run_watched(statement, AR_EXECUTOR_RUN_ARGUMENTS);
	else if (previous_run)
		previous_run(AR_EXECUTOR_RUN_ARGUMENTS);
	else
		standard_ExecutorRun(AR_EXECUTOR_RUN_ARGUMENTS);
}

/*
 * See its rows, and the time that it takes.  A lookup's time is that in here,
 * because a client, or a loop's body, may take its own before it ends.
 */
static void
run_watched(WatchedStatement *statement, AR_EXECUTOR_RUN_PARAMETERS)
{
	uint64		serial = statement->serial;
	KeyReceiver receiver = {
		.pub = {
			.receiveSlot = receiver_row,
			.rStartup = receiver_start,
			.rShutdown = receiver_end,
			.rDestroy = receiver_destroy,
			.mydest = query->dest->mydest
		},
		.receiver = query->dest,
		.statement = statement,
		.serial = serial
	};
	bool		is_lookup = statement->parent != 0;
	instr_time	begin;
	instr_time	end;

	if (statement->emitted_count > 0 && is_returned(query->dest->mydest))
	{
		statement->is_spi = query->dest->mydest == DestSPI;
		query->dest = &receiver.pub;
	}
	INSTR_TIME_SET_ZERO(begin);
	if (is_lookup)
		INSTR_TIME_SET_CURRENT(begin);
	if (previous_run)
		previous_run(AR_EXECUTOR_RUN_ARGUMENTS);
	else
		standard_ExecutorRun(AR_EXECUTOR_RUN_ARGUMENTS);
	query->dest = receiver.receiver;
	if (is_lookup && statement->serial == serial)
	{
		INSTR_TIME_SET_CURRENT(end);
		INSTR_TIME_ACCUM_DIFF(statement->duration, end, begin);
	}
}

static void
watch_end(QueryDesc *query)
{
	WatchedStatement *statement = running ? find_statement(query) : NULL;

	if (statement)
	{
		if (statement->parent != 0)
			ar_watch_lookup_end(statement);
		forget_statement(statement);
	}
	if (previous_end)
		previous_end(query);
	else
		standard_ExecutorEnd(query);
}

static void
watch_utility(PlannedStmt *statement, const char *text, bool read_only,
			  ProcessUtilityContext context, ParamListInfo params,
			  QueryEnvironment *environment, DestReceiver *dest, QueryCompletion *completion)
{
	bool		is_end = ar_watch_source_count > 0 && ends_client(statement->utilityStmt);

	if (previous_utility)
		previous_utility(statement, text, read_only, context, params, environment, dest,
						 completion);
	else
		standard_ProcessUtility(statement, text, read_only, context, params, environment, dest,
								completion);
	if (is_end)
		ar_watch_client_end();
}

/*
 * Is it what poolers send before a connection goes to the next client?
 */
static bool
ends_client(const Node *statement)
{
	return (IsA(statement, DiscardStmt) &&
			((const DiscardStmt *) statement)->target == DISCARD_ALL) ||
		(IsA(statement, VariableSetStmt) &&
		 ((const VariableSetStmt *) statement)->kind == VAR_RESET_ALL);
}

static void
watch_transaction(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_COMMIT:
		case XACT_EVENT_ABORT:
		case XACT_EVENT_PREPARE:
			while (running)
				forget_statement(running);
			if (ar_watch_source_count > 0)
				ar_watch_sources_end();
			break;
		default:
			break;
	}
}

/*
 * A SELECT has been started.
 *
 * One that locks rows, as the checks of foreign keys do, wants those rows now,
 * and is left out.
 */
static void
begin_statement(QueryDesc *query)
{
	PlannedStmt *plan = query->plannedstmt;
	LookupKey	lookups[AR_WATCH_KEYS_MAX];
	int			lookup_count = 0;
	bool		is_single;
	WatchedStatement *statement;

	if (plan->rowMarks != NIL || plan->hasModifyingCTE)
		return;

	/* what another module reads for itself, as prefetch does, it has chosen */
	if (query->dest && query->dest->mydest == DestNone && query->dest != None_Receiver)
		return;

	/* one row is no list, unless it belongs to what was found in one */
	is_single = returns_one_row(query->planstate);
	if (is_single && ar_watch_source_count == 0)
		return;
	ar_watch_check_keys();
	if (ar_watch_source_count > 0)
		lookup_count = ar_watch_lookups(query, lookups);
	if (is_single && lookup_count == 0)
		return;
	statement = place_for_statement();
	statement->emitted_count = ar_watch_emitted(plan, statement->emitted);
	if (statement->emitted_count == 0 && lookup_count == 0)
		return;
	add_statement(statement, query);
	if (lookup_count > 0)
		(void) ar_watch_lookup(statement, lookups, lookup_count);
	if (statement->parent == 0 && (is_single || statement->emitted_count == 0))
		forget_statement(statement);
}

/*
 * Does a plan look one row up by all columns of a unique index?
 */
static bool
returns_one_row(const PlanState *state)
{
	const IndexScanState *scan = (const IndexScanState *) state;

	if (state == NULL || !IsA(state, IndexScanState) || scan->iss_RelationDesc == NULL ||
		!scan->iss_RelationDesc->rd_index->indisunique ||
		scan->iss_NumScanKeys != scan->iss_RelationDesc->rd_index->indnkeyatts)
		return false;
	for (int i = 0; i < scan->iss_NumScanKeys; i++)
	{
		const ScanKeyData *key = &scan->iss_ScanKeys[i];

		if (key->sk_attno != i + 1 || key->sk_strategy != BTEqualStrategyNumber ||
			(key->sk_flags & (SK_SEARCHARRAY | SK_SEARCHNULL | SK_ROW_HEADER)) != 0)
			return false;
	}
	return true;
}

/*
 * The place for the next statement; where there is none, that of the oldest
 * one.
 */
static WatchedStatement *
place_for_statement(void)
{
	WatchedStatement *oldest = running;

	if (unused == NULL)
	{
		while (oldest->next)
			oldest = oldest->next;
		forget_statement(oldest);
	}
	return unused;
}

/*
 * Take the place.  The keys that the statement returns are there already.
 */
static void
add_statement(WatchedStatement *statement, QueryDesc *query)
{
	unused = statement->next;
	statement->next = running;
	running = statement;
	statement->query = query;
	statement->serial = ++last_serial;
	statement->shape = 0;
	statement->has_row = false;
	statement->is_spi = false;
	statement->is_full = false;
	statement->source = 0;
	statement->parent = 0;
	INSTR_TIME_SET_ZERO(statement->duration);
}

static WatchedStatement *
find_statement(QueryDesc *query)
{
	WatchedStatement *statement = running;

	while (statement && statement->query != query)
		statement = statement->next;
	return statement;
}

static void
forget_statement(WatchedStatement *statement)
{
	WatchedStatement **link = &running;

	while (*link != statement)
		link = &(*link)->next;
	*link = statement->next;
	statement->serial = 0;
	statement->next = unused;
	unused = statement;
}

/*
 * Do rows that go there come to a client or to a function?
 */
static bool
is_returned(CommandDest dest)
{
	switch (dest)
	{
		case DestRemote:
		case DestRemoteExecute:
		case DestRemoteSimple:
		case DestDebug:
		case DestSPI:
		case DestTuplestore:
			return true;
		default:
			return false;
	}
}

static void
receiver_start(DestReceiver *self, int operation, TupleDesc description)
{
	DestReceiver *receiver = ((KeyReceiver *) self)->receiver;

	receiver->rStartup(receiver, operation, description);
}

static bool
receiver_row(TupleTableSlot *slot, DestReceiver *self)
{
	KeyReceiver *keys = (KeyReceiver *) self;

	if (keys->statement->serial == keys->serial)
		ar_watch_row(keys->statement, slot);
	return keys->receiver->receiveSlot(slot, keys->receiver);
}

static void
receiver_end(DestReceiver *self)
{
	DestReceiver *receiver = ((KeyReceiver *) self)->receiver;

	receiver->rShutdown(receiver);
}

static void
receiver_destroy(DestReceiver *self)
{
	DestReceiver *receiver = ((KeyReceiver *) self)->receiver;

	receiver->rDestroy(receiver);
}
