/*
 * prefetch_write.c: rows and what hangs on them, put together.
 */
#include "postgres.h"

#include "executor/executor.h"
#include "miscadmin.h"
#include "prefetch/prefetch.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

static void write_row(PrefetchLoad *load, const NodeState *state, const Row *row,
					  JsonBuffer *to);
static inline void write_column(JsonColumn *column, const TupleTableSlot *slot, JsonBuffer *to);
static void write_child(PrefetchLoad *load, const PathNode *child, int32 group, JsonBuffer *to);
static void write_count(const NodeState *state, int32 group, JsonBuffer *to);

/*
 * Append the next row of the query, with all that hangs on it, to a buffer.
 * False if there is none.
 */
bool
ar_prefetch_load_next(PrefetchLoad *load, JsonBuffer *to)
{
	const NodeState *top = load->states[0];

	for (;;)
	{
		const Row  *row;

		CHECK_FOR_INTERRUPTS();
		if (load->next_row >= top->row_count)
		{
			if (!ar_prefetch_load_batch(load))
				return false;
			continue;
		}
		row = ar_prefetch_row(top, load->next_row++);
		if (!ar_prefetch_is_alive(load, top, row))
			continue;
		if (load->output == AR_PREFETCH_JSONB)
			ar_prefetch_jsonb_row(load, top, row, to);
		else
			write_row(load, top, row, to);
		return true;
	}
}

static void
write_row(PrefetchLoad *load, const NodeState *state, const Row *row, JsonBuffer *to)
{
	const PathNode *node = state->node;

	load->identities[node->number] = row->identity;
	ar_prefetch_write_columns(load, state, row, to);
	for (int i = 0; i < node->child_count; i++)
	{
		const PathNode *child = node->child[i];
		int			comma = node->bare && i == 0 ? 1 : 0;

		ar_prefetch_json_bytes(to, child->prefix + comma, child->prefix_length - comma);
		write_child(load, child, row->below[i], to);
	}
	ar_prefetch_json_bytes(to, "}", 1);
}

/*
 * Append a row's own columns, without the closing brace.
 */
void
ar_prefetch_write_columns(PrefetchLoad *load, const NodeState *state, const Row *row,
						  JsonBuffer *to)
{
	const PathNode *node = state->node;
	TupleTableSlot *slot = state->slot;

	if (node->bare)
	{
		ar_prefetch_json_bytes(to, "{", 1);
		return;
	}
	if (state->as_text)
	{
		ar_prefetch_json_bytes(to, row->data, row->length);
		return;
	}
	ExecStoreMinimalTuple(row->data, slot, false);
	slot_getallattrs(slot);
	if (node->json_allocates)
	{
		MemoryContext old = MemoryContextSwitchTo(load->row_context);

		for (int i = 0; i < node->json_count; i++)
			write_column(&node->json[i], slot, to);
		MemoryContextSwitchTo(old);
		MemoryContextReset(load->row_context);
		return;
	}
	for (int i = 0; i < node->json_count; i++)
		write_column(&node->json[i], slot, to);
}

static inline void
write_column(JsonColumn *column, const TupleTableSlot *slot, JsonBuffer *to)
{
	ar_prefetch_json_value(to, column, slot->tts_values[column->position],
						   slot->tts_isnull[column->position]);
}

static void
write_child(PrefetchLoad *load, const PathNode *child, int32 group, JsonBuffer *to)
{
	const NodeState *state = load->states[child->number];
	const int32 *rows;
	int			count;
	bool		first = true;

	if (child->count)
	{
		write_count(state, group, to);
		return;
	}
	count = group < 0 ? 0 : state->group_count[group];
	rows = count == 0 ? NULL : &state->order[state->group_start[group]];
	if (child->to_one)
	{
		const Row  *row = count == 0 ? NULL : ar_prefetch_row(state, rows[0]);

		if (row == NULL || (child->in_chain && ar_prefetch_closes_cycle(load, child, row)))
			ar_prefetch_json_bytes(to, "null", 4);
		else
			write_row(load, state, row, to);
		return;
	}
	ar_prefetch_json_bytes(to, "[", 1);
	ar_prefetch_fetch_ahead(state, rows, count);
	for (int i = 0; i < count; i++)
	{
		const Row  *row = ar_prefetch_row(state, rows[i]);

		if (child->in_chain && ar_prefetch_closes_cycle(load, child, row))
			continue;
		if (!first)
			ar_prefetch_json_bytes(to, ",", 1);
		first = false;
		write_row(load, state, row, to);
	}
	ar_prefetch_json_bytes(to, "]", 1);
}

static void
write_count(const NodeState *state, int32 group, JsonBuffer *to)
{
	ar_prefetch_json_reserve_small(to);
	to->length += pg_lltoa(group < 0 ? 0 : state->group_total[group], to->data + to->length);
}

/*
 * Is a row of a recursion one that it has already come through?
 */
bool
ar_prefetch_closes_cycle(const PrefetchLoad *load, const PathNode *node, const Row *row)
{
	const PathNode *above = node->parent;

	for (int i = 0; i < node->chain_length; i++)
	{
		if (load->identities[above->number] == row->identity)
			return true;
		above = above->parent;
	}
	return false;
}
