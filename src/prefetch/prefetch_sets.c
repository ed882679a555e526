/*
 * prefetch_sets.c: what was read as sets: each row once for a path.
 *
 * Keys that have been looked up in one batch are not looked up in another, so
 * that nothing comes twice.  Which rows are wanted does not depend on others,
 * with two exceptions: rows may go because something hangs on them or not, and
 * a row at the far side of an association table hangs on several.  Then all is
 * read in one batch, and what nothing leads to is left out.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "prefetch/prefetch.h"
#include "utils/builtins.h"

/* how many rows ahead one is brought into the processor's cache */
#define AHEAD 8

static bool next_of_node(PrefetchLoad *load, PrefetchSetRow *to);
static bool next_of_groups(PrefetchLoad *load, NodeState *state, PrefetchSetRow *to);
static void reach_group(NodeState *state, int32 group);
static inline const Row *row_of_order(const NodeState *state, int place);
static void write_key(const KeyTable *keys, const PrefetchFetch *fetch, int number,
					  JsonBuffer *to);
static void append_key(const KeyTable *keys, const PrefetchFetch *fetch, int number,
					   JsonBuffer *to);

/*
 * Has everything to be read before the first row is known to be wanted?
 */
bool
ar_prefetch_needs_all(const PrefetchPlan *plan)
{
	ListCell   *cell;

	foreach(cell, plan->nodes)
	{
		const PathNode *node = lfirst(cell);

		if (node->inner || node->link)
			return true;
	}
	return false;
}

/*
 * Mark what the rows of the query lead to.
 */
void
ar_prefetch_reach(PrefetchLoad *load)
{
	int			count = load->plan->node_count;

	for (int i = 0; i < count; i++)
	{
		NodeState  *state = load->states[i];

		state->row_reached = palloc_extended(Max(state->row_count, 1),
											 MCXT_ALLOC_ZERO | MCXT_ALLOC_HUGE);
		state->group_reached = palloc_extended(Max(state->keys.count, 1),
											   MCXT_ALLOC_ZERO | MCXT_ALLOC_HUGE);
	}

	/* parents have lower numbers */
	for (int i = 0; i < count; i++)
	{
		NodeState  *state = load->states[i];
		PathNode   *node = state->node;

		for (int k = 0; k < state->row_count; k++)
		{
			const Row  *row = ar_prefetch_row(state, k);

			if (i == 0)
				state->row_reached[k] = ar_prefetch_is_alive(load, state, row);
			if (!state->row_reached[k])
				continue;
			for (int c = 0; c < node->child_count; c++)
			{
				if (row->below[c] >= 0)
					reach_group(load->states[node->child[c]->number], row->below[c]);
			}
		}
	}
}

static void
reach_group(NodeState *state, int32 group)
{
	if (state->group_reached[group])
		return;
	state->group_reached[group] = true;
	if (state->node->count)
		return;
	for (int i = 0; i < state->group_count[group]; i++)
		state->row_reached[state->order[state->group_start[group] + i]] = true;
}

/*
 * Write the next row of the sets over the one that the last call wrote: a key
 * that several rows share stays as it is.  False if there is none.
 */
bool
ar_prefetch_load_next_set(PrefetchLoad *load, PrefetchSetRow *to)
{
	for (;;)
	{
		CHECK_FOR_INTERRUPTS();
		if (load->batches == 0 || load->next_node >= load->plan->node_count)
		{
			if (!ar_prefetch_load_batch(load))
				return false;
			load->next_node = 0;
			load->next_group = 0;
			load->in_links = false;
			continue;
		}
		if (next_of_node(load, to))
			return true;
		load->next_row = 0;
		if (load->states[load->next_node]->node->link && !load->in_links)
			load->in_links = true;
		else
		{
			load->in_links = false;
			load->next_node++;
		}
		if (load->next_node < load->plan->node_count)
			load->next_group = load->states[load->next_node]->first_key;
	}
}

static bool
next_of_node(PrefetchLoad *load, PrefetchSetRow *to)
{
	NodeState  *state = load->states[load->next_node];
	const PathNode *node = state->node;

	to->node = node;
	to->is_link = load->in_links;
	to->has_key = node->parent != NULL;
	to->row.length = VARHDRSZ;
	if (node->parent && (!node->link || load->in_links))
		return next_of_groups(load, state, to);

	/* rows of the query, or at the far side of an association table */
	while (load->next_row < state->row_count)
	{
		int			number = load->next_row++;
		const Row  *row = ar_prefetch_row(state, number);

		if (state->row_reached && !state->row_reached[number])
			continue;
		if (node->link)
			write_key(&state->far_keys, node->fetch, row->group, &to->key);
		ar_prefetch_write_columns(load, state, row, &to->row);
		ar_prefetch_json_bytes(&to->row, "}", 1);
		return true;
	}
	return false;
}

static bool
next_of_groups(PrefetchLoad *load, NodeState *state, PrefetchSetRow *to)
{
	const PathNode *node = state->node;

	for (; load->next_group < state->keys.count; load->next_group++, load->next_row = 0)
	{
		int			group = load->next_group;
		const Row  *row;

		if (state->group_reached && !state->group_reached[group])
			continue;
		if (load->next_row >= (node->count ? 1 : state->group_count[group]))
			continue;
		if (load->next_row == 0)
			write_key(&state->keys, node->link ? node->link : node->fetch, group, &to->key);
		if (node->count)
		{
			ar_prefetch_json_reserve_small(&to->row);
			to->row.length += pg_lltoa(state->group_total[group], to->row.data + to->row.length);
			load->next_row++;
			return true;
		}
		row = row_of_order(state, state->group_start[group] + load->next_row++);
		if (load->in_links)
			append_key(&state->far_keys, node->fetch, row->group, &to->row);
		else
		{
			ar_prefetch_write_columns(load, state, row, &to->row);
			ar_prefetch_json_bytes(&to->row, "}", 1);
		}
		return true;
	}
	return false;
}

/*
 * The row at a place in the order of the groups.  Rows lie scattered, so those
 * that follow are brought into the processor's cache, of which group they are.
 */
static inline const Row *
row_of_order(const NodeState *state, int place)
{
	int			last = state->keys.count - 1;
	int			end = state->group_start[last] + state->group_count[last];

	if (place + 2 * AHEAD < end)
		__builtin_prefetch(ar_prefetch_row(state, state->order[place + 2 * AHEAD]));
	if (place + AHEAD < end)
		__builtin_prefetch(ar_prefetch_row(state, state->order[place + AHEAD])->data);
	return ar_prefetch_row(state, state->order[place]);
}

static void
write_key(const KeyTable *keys, const PrefetchFetch *fetch, int number, JsonBuffer *to)
{
	to->length = VARHDRSZ;
	append_key(keys, fetch, number, to);
}

/*
 * A key of one column is a value, of several an array.
 */
static void
append_key(const KeyTable *keys, const PrefetchFetch *fetch, int number, JsonBuffer *to)
{
	int			count = keys->shape->count;

	if (count > 1)
		ar_prefetch_json_bytes(to, "[", 1);
	for (int i = 0; i < count; i++)
	{
		if (i > 0)
			ar_prefetch_json_bytes(to, ",", 1);
		ar_prefetch_json_value(to, &fetch->key_json[i], ar_prefetch_key_datum(keys, number, i),
							   false);
	}
	if (count > 1)
		ar_prefetch_json_bytes(to, "]", 1);
}
