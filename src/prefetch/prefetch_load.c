/*
 * prefetch_load.c: batches of parents and what hangs on them.
 *
 * A batch is a number of rows of the query.  As a row comes in, its columns
 * are written as JSON and its keys are given numbers in the tables of the
 * relationships below; then each level is read with one statement for all
 * keys (two through an association table), and its rows are put into groups,
 * one for each key.  Rows that several parents share are read and written
 * once.
 *
 * Batches grow as long as they stay small, so that the first row comes early
 * and memory does not depend on the number of parents.
 *
 * Everything runs under the active snapshot, as the caller.
 */
#include "postgres.h"

#include "common/compat.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "portability/instr_time.h"
#include "prefetch/prefetch.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

/* rows of the query in a batch at first, and how fast it grows */
#define FIRST_BATCH_ROWS 1
#define BATCH_GROWTH 8

/* who takes sets waits for more than the first row */
#define FIRST_BATCH_OF_SETS 1000

/* a query that returns so few is read at once */
#define SMALL_QUERY_ROWS 100

/* what a batch may hold before it stops to grow */
#define BATCH_BYTES ((Size) 8 * 1024 * 1024)

/* from which share of a table on it is read from end to end */
#define SCAN_SHARE 0.4

/* below which number of keys an index is always better */
#define FEW_KEYS 32

/* No more rows are looked up one by one, unless each is on a page of its own. */
#define FEW_ROWS 1000

static void forget_load(void *arg);
static NodeState *begin_state(PrefetchLoad *load, PathNode *node);
static void reset_state(PrefetchLoad *load, NodeState *state);
static void begin_top(PrefetchLoad *load);
static void load_below(PrefetchLoad *load, NodeState *state);
static void load_node(PrefetchLoad *load, NodeState *state);
static void run_fetch(PrefetchLoad *load, NodeState *state, PrefetchFetch *fetch, KeyTable *keys,
					  int first_key, bool (*receive) (TupleTableSlot *, DestReceiver *),
					  PrefetchCounts *counts);
static FetchStrategy choose_strategy(PrefetchLoad *load, NodeState *state, PrefetchFetch *fetch,
									 int keys);
static bool receive_top(TupleTableSlot *slot, DestReceiver *self);
static bool receive_row(TupleTableSlot *slot, DestReceiver *self);
static bool receive_candidate(TupleTableSlot *slot, DestReceiver *self);
static bool receive_link(TupleTableSlot *slot, DestReceiver *self);
static bool receive_count(TupleTableSlot *slot, DestReceiver *self);
static void receiver_startup(DestReceiver *self, int operation, TupleDesc desc);
static void check_rights(PrefetchPlan *plan, PathNode *node, PrefetchFetch *fetch);
static void receiver_shutdown(DestReceiver *self);
static void init_receiver(Receiver *receiver, PrefetchLoad *load, NodeState *state,
						  bool (*receive) (TupleTableSlot *, DestReceiver *));
static Size batch_bytes(const PrefetchLoad *load);

/*
 * Begin to run a plan, which is pinned and unpinned at the end.  The load
 * belongs to the current memory context; it may be left behind on an error.
 */
PrefetchLoad *
ar_prefetch_load_begin(PrefetchPlan *plan, Jsonb *values, PrefetchOutput output)
{
	MemoryContext context;
	MemoryContext old;
	PrefetchLoad *load;
	ListCell   *cell;

	context = AllocSetContextCreate(CurrentMemoryContext, "algo_ref prefetch",
									ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(context);
	load = palloc0(sizeof(PrefetchLoad));
	load->context = context;
	load->plan = plan;
	load->unpin.func = forget_load;
	load->unpin.arg = plan;
	MemoryContextRegisterResetCallback(context, &load->unpin);
	load->values = values;
	load->output = output;
	load->needs_all = output == AR_PREFETCH_SETS && ar_prefetch_needs_all(plan);
	load->batch_context = AllocSetContextCreate(context, "algo_ref prefetch batch",
												ALLOCSET_DEFAULT_SIZES);
	load->row_context = AllocSetContextCreate(context, "algo_ref prefetch row",
											  ALLOCSET_DEFAULT_SIZES);
	ar_prefetch_json_reserve(&load->text, 0);
	load->states = palloc(sizeof(NodeState *) * plan->node_count);
	load->identities = palloc(sizeof(int32) * plan->node_count);
	foreach(cell, plan->nodes)
	{
		PathNode   *node = lfirst(cell);

		load->states[node->number] = begin_state(load, node);
	}
	begin_top(load);
	foreach(cell, plan->nodes)
	{
		PathNode   *node = lfirst(cell);

		check_rights(plan, node, node->link);
		check_rights(plan, node, node->fetch);
	}
	MemoryContextSwitchTo(old);
	return load;
}

/*
 * Whether the caller may read a table does not depend on whether there is a row
 * to look up in it.
 */
static void
check_rights(PrefetchPlan *plan, PathNode *node, PrefetchFetch *fetch)
{
	if (fetch)
		ar_prefetch_check_rights(ar_prefetch_fetch_statement(plan, node, fetch, fetch->sql[AR_FETCH_INDEX] ?
															 AR_FETCH_INDEX : AR_FETCH_JOIN_FEW));
}

/*
 * End a load before its context goes; releases what the executor holds.
 */
void
ar_prefetch_load_end(PrefetchLoad *load)
{
	ar_prefetch_end(&load->top);
	load->is_done = true;
}

static void
forget_load(void *arg)
{
	ar_prefetch_unpin(arg);
}

static NodeState *
begin_state(PrefetchLoad *load, PathNode *node)
{
	NodeState  *state = palloc0(sizeof(NodeState));
	MemoryContext key_context = load->output == AR_PREFETCH_SETS ? load->context :
	load->batch_context;

	state->node = node;
	state->stride = MAXALIGN(offsetof(Row, below) + sizeof(int32) * node->child_count);
	state->as_text = node->as_text &&
		(load->output == AR_PREFETCH_ROWS ||
		 (load->output == AR_PREFETCH_JSONB && node->child_count == 0));
	state->keeps_order = node->sort_count > 0 && !node->to_one;
	if (node->parent)
	{
		ar_prefetch_key_init(&state->keys,
							 node->link ? &node->link->key : &node->fetch->key,
							 load->context, key_context);
		if (node->link)
			ar_prefetch_key_init(&state->far_keys, &node->fetch->key, load->context, key_context);
	}
	if (node->identity && load->output != AR_PREFETCH_SETS)
	{
		NodeState  *parent = node->in_chain ? load->states[node->parent->number] : NULL;

		if (parent && parent->identities)
			state->identities = parent->identities;
		else
		{
			state->identities = palloc(sizeof(KeyTable));
			ar_prefetch_key_init(state->identities, &node->identity_shape, load->context,
								 key_context);
		}
	}
	for (int i = 0; i < node->child_count; i++)
		state->has_inner_child |= node->child[i]->inner;

	/* a limit can be kept as rows come in unless some go for another reason */
	state->bounds_rows = node->limit >= 0 && !node->link && !node->to_one && !node->count &&
		!state->has_inner_child;
	return state;
}

/*
 * Nothing is read yet in this batch.  For sets, what has been looked up is not
 * looked up again.
 */
static void
reset_state(PrefetchLoad *load, NodeState *state)
{
	state->row_count = 0;
	state->link_count = 0;
	if (load->output == AR_PREFETCH_SETS)
	{
		state->first_key = state->keys.count;
		return;
	}
	ar_prefetch_key_reset(&state->keys);
	ar_prefetch_key_reset(&state->far_keys);
	if (state->identities)
		ar_prefetch_key_reset(state->identities);
}

/*
 * Start the query.
 */
static void
begin_top(PrefetchLoad *load)
{
	NodeState  *top = load->states[0];
	ParamListInfo params = ar_prefetch_parameters(load->plan->top_statement, NULL, load->values);
	double		rows;

	init_receiver(&load->top_receiver, load, top, receive_top);
	ar_prefetch_begin(&load->top, load->plan->top_statement, params,
					  &load->top_receiver.receiver);
	rows = load->top.query->plannedstmt->planTree->plan_rows;
	load->expected_rows = rows;
	load->batch_rows = load->needs_all ? PG_INT32_MAX :
		rows <= SMALL_QUERY_ROWS ? SMALL_QUERY_ROWS * 2 :
		load->output == AR_PREFETCH_SETS ? FIRST_BATCH_OF_SETS : FIRST_BATCH_ROWS;
}

/*
 * Read the next batch.  False if there is none.
 */
bool
ar_prefetch_load_batch(PrefetchLoad *load)
{
	NodeState  *top = load->states[0];
	MemoryContext old;
	ResourceOwner owner = CurrentResourceOwner;
	instr_time	start;
	instr_time	duration;

	if (load->is_done)
		return false;
	if (load->batches > 0)
	{
		Size		bytes = batch_bytes(load);
		double		most = (double) load->batch_rows * BATCH_BYTES / Max(bytes, 1);
		double		wanted = Min((double) load->batch_rows * BATCH_GROWTH, most);
		double		left = load->expected_rows - top->counts[0].rows + 1;

		/* one batch instead of one and a remainder */
		if (left > wanted && left < wanted * 2 && left < most)
			wanted = left;
		load->batch_rows = (uint64) Max(wanted, 1);
	}
	MemoryContextReset(load->batch_context);
	load->block_used = 0;
	load->room_left = 0;
	load->room_bytes = 0;
	for (int i = 0; i < load->plan->node_count; i++)
		reset_state(load, load->states[i]);
	old = MemoryContextSwitchTo(load->batch_context);

	/* what the query holds on to belongs to the owner it was started with */
	INSTR_TIME_SET_CURRENT(start);
	CurrentResourceOwner = load->top.owner;
	ar_executor_fetch(load->top.query, load->batch_rows);
	CurrentResourceOwner = owner;
	INSTR_TIME_SET_CURRENT(duration);
	INSTR_TIME_SUBTRACT(duration, start);
	top->counts[0].sql = load->plan->query;
	top->counts[0].statements = 1;
	top->counts[0].rows += top->row_count;
	top->counts[0].milliseconds += INSTR_TIME_GET_MILLISEC(duration);

	load->batches++;
	load->next_row = 0;
	if (top->row_count < load->batch_rows)
		ar_prefetch_load_end(load);
	if (top->row_count > 0)
		load_below(load, top);
	if (load->needs_all)
		ar_prefetch_reach(load);
	MemoryContextSwitchTo(old);
	return top->row_count > 0;
}

static void
load_below(PrefetchLoad *load, NodeState *state)
{
	for (int i = 0; i < state->node->child_count; i++)
		load_node(load, load->states[state->node->child[i]->number]);
}

/*
 * Read the rows of a node for the keys that its parent's rows have, and
 * everything below.
 */
static void
load_node(PrefetchLoad *load, NodeState *state)
{
	PathNode   *node = state->node;

	check_stack_depth();
	if (node->count)
	{
		ar_prefetch_begin_counts(state);
		run_fetch(load, state, node->fetch, &state->keys, state->first_key, receive_count,
				  state->counts);
		return;
	}
	if (node->link)
	{
		run_fetch(load, state, node->link, &state->keys, state->first_key, receive_link,
				  state->link_counts);
		run_fetch(load, state, node->fetch, &state->far_keys, 0, receive_row, state->counts);
	}
	else if (state->bounds_rows)
	{
		ar_prefetch_begin_candidates(load, state);
		run_fetch(load, state, node->fetch, &state->keys, state->first_key, receive_candidate,
				  state->counts);
		ar_prefetch_keep_candidates(load, state);
	}
	else
		run_fetch(load, state, node->fetch, &state->keys, state->first_key, receive_row,
				  state->counts);
	load_below(load, state);
	ar_prefetch_group_rows(load, state);
}

/*
 * Look rows up by the keys from "first_key" on.
 */
static void
run_fetch(PrefetchLoad *load, NodeState *state, PrefetchFetch *fetch, KeyTable *keys,
		  int first_key, bool (*receive) (TupleTableSlot *, DestReceiver *),
		  PrefetchCounts *counts)
{
	PrefetchStatement *statement;
	FetchStrategy strategy;
	Datum		arrays[INDEX_MAX_KEYS];
	Receiver	receiver;
	PrefetchRun run;
	instr_time	start;
	instr_time	duration;

	if (keys->count <= first_key)
		return;
	CHECK_FOR_INTERRUPTS();
	INSTR_TIME_SET_CURRENT(start);
	strategy = choose_strategy(load, state, fetch, keys->count - first_key);
	statement = ar_prefetch_fetch_statement(load->plan, state->node, fetch, strategy);
	if (strategy != AR_FETCH_SCAN)
		ar_prefetch_key_arrays(keys, first_key, arrays);
	init_receiver(&receiver, load, state, receive);
	ar_prefetch_begin(&run, statement, ar_prefetch_parameters(statement, arrays, load->values),
					  &receiver.receiver);
	ar_executor_run(run.query);
	ar_prefetch_end(&run);
	INSTR_TIME_SET_CURRENT(duration);
	INSTR_TIME_SUBTRACT(duration, start);
	counts += strategy;
	counts->sql = statement->sql;
	counts->statements++;
	counts->keys += keys->count - first_key;
	counts->rows += receiver.rows;
	counts->milliseconds += INSTR_TIME_GET_MILLISEC(duration);
}

/*
 * How so many keys are best looked up: by an index where they are few for the
 * size of the table, else by reading all of it; a join where there is no
 * index, or where the keys have several columns.
 */
static FetchStrategy
choose_strategy(PrefetchLoad *load, NodeState *state, PrefetchFetch *fetch, int keys)
{
	double		expected = keys * fetch->rows_per_key;
	bool		is_scattered = expected < Max(fetch->table_pages, FEW_ROWS);
	bool		is_few = keys <= FEW_KEYS || expected < fetch->table_rows * SCAN_SHARE;

	if (fetch->sql[AR_FETCH_PROBE] && fetch->has_order_index &&
		fetch->rows_per_key > state->node->limit)
		return AR_FETCH_PROBE;
	if (!is_few && fetch->sql[AR_FETCH_SCAN])
		return AR_FETCH_SCAN;
	if (fetch->has_index && is_few)
	{
		FetchStrategy strategy = fetch->sql[AR_FETCH_INDEX] == NULL ? AR_FETCH_JOIN_FEW :
		is_scattered ? AR_FETCH_INDEX : AR_FETCH_BITMAP;

		/* the planner may know better, and then should know the keys */
		if (!ar_prefetch_scans_whole_table(ar_prefetch_fetch_statement(load->plan, state->node,
																	   fetch, strategy)))
			return strategy;
	}
	return AR_FETCH_JOIN;
}

/*
 * Take a row of the query in.
 */
static bool
receive_top(TupleTableSlot *slot, DestReceiver *self)
{
	Receiver   *receiver = (Receiver *) self;

	slot_getsomeattrs(slot, receiver->state->node->needed);
	ar_prefetch_add_row(receiver->load, receiver->state, slot, 0);
	return true;
}

/*
 * Take a row of a relationship in.
 */
static bool
receive_row(TupleTableSlot *slot, DestReceiver *self)
{
	Receiver   *receiver = (Receiver *) self;
	NodeState  *state = receiver->state;
	int			group;

	slot_getsomeattrs(slot, state->node->needed);
	group = ar_prefetch_key_number_of(receiver->keys, slot, state->node->fetch->key_position,
									  false);
	if (group < state->first_key)
		return true;
	receiver->rows++;
	ar_prefetch_add_row(receiver->load, state, slot, group);
	return true;
}

/*
 * The same where each group has a limit.
 */
static bool
receive_candidate(TupleTableSlot *slot, DestReceiver *self)
{
	Receiver   *receiver = (Receiver *) self;
	NodeState  *state = receiver->state;
	int			group;

	slot_getsomeattrs(slot, state->node->needed);
	group = ar_prefetch_key_number_of(receiver->keys, slot, state->node->fetch->key_position,
									  false);
	if (group < state->first_key)
		return true;
	receiver->rows++;
	ar_prefetch_add_candidate(receiver->load, state, slot, group);
	return true;
}

/*
 * Take a row of an association table in.
 */
static bool
receive_link(TupleTableSlot *slot, DestReceiver *self)
{
	Receiver   *receiver = (Receiver *) self;
	NodeState  *state = receiver->state;
	int			group;
	int			far_group;

	slot_getallattrs(slot);
	group = ar_prefetch_key_number_of(&state->keys, slot, state->node->link->key_position, false);
	if (group < 0)
		return true;
	far_group = ar_prefetch_key_number_of(&state->far_keys, slot, state->node->link_far_position,
										  true);
	if (far_group < 0)
		return true;
	receiver->rows++;
	ar_prefetch_add_link(receiver->load, state, group, far_group);
	return true;
}

/*
 * Take the number of rows of a group in.
 */
static bool
receive_count(TupleTableSlot *slot, DestReceiver *self)
{
	Receiver   *receiver = (Receiver *) self;
	NodeState  *state = receiver->state;
	int			group;

	slot_getallattrs(slot);
	group = ar_prefetch_key_number_of(&state->keys, slot, state->node->fetch->key_position, false);
	if (group < 0)
		return true;
	receiver->rows++;

	/*
	 * keys that are equal by the collation of the one may not be by the
	 * other's
	 */
	state->group_total[group] += DatumGetInt64(slot->tts_values[state->node->fetch->key.count]);
	return true;
}

static void
receiver_startup(DestReceiver *self, int operation, TupleDesc desc)
{
}

static void
receiver_shutdown(DestReceiver *self)
{
}

static void
init_receiver(Receiver *receiver, PrefetchLoad *load, NodeState *state,
			  bool (*receive) (TupleTableSlot *, DestReceiver *))
{
	memset(receiver, 0, sizeof(Receiver));
	receiver->receiver.receiveSlot = receive;
	receiver->receiver.rStartup = receiver_startup;
	receiver->receiver.rShutdown = receiver_shutdown;
	receiver->receiver.rDestroy = receiver_shutdown;
	receiver->receiver.mydest = DestNone;
	receiver->load = load;
	receiver->state = state;
	receiver->keys = state->node->link ? &state->far_keys : &state->keys;
}

/*
 * What the rows of a batch take.
 */
static Size
batch_bytes(const PrefetchLoad *load)
{
	Size		bytes = load->room_bytes;

	for (int i = 0; i < load->plan->node_count; i++)
	{
		const NodeState *state = load->states[i];

		bytes += state->row_count * (state->stride + sizeof(int32)) + state->link_count * sizeof(Link) + state->keys.count * 4 * sizeof(int32);
		if (state->keeps_order)
			bytes += state->row_count * state->node->sort_count * sizeof(Datum);
	}
	return bytes;
}
