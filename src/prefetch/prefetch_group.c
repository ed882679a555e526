/*
 * prefetch_group.c: the rows of a batch, in groups.
 *
 * The rows of a node come in any order.  When all of them and what hangs on
 * them are known, those whose inner relationships are empty go, the others are
 * put together by key, sorted, and cut to the limit.
 *
 * Where a limit can be kept at once, a row becomes a candidate first: the copy
 * of a tuple, not JSON.  A group keeps up to twice as many as are wanted; then
 * it is sorted, and what is worse than the last one wanted is dropped, now and
 * from then on.
 */
#include "postgres.h"

#include "executor/executor.h"
#include "miscadmin.h"
#include "prefetch/prefetch.h"
#include "utils/datum.h"
#include "utils/memutils.h"

/* how much memory is asked for at a time */
#define ROOM_BLOCK ((Size) 32 * 1024)

/* groups up to this size are sorted by insertion */
#define SMALL_GROUP 8

static void write_text(PrefetchLoad *load, NodeState *state, TupleTableSlot *slot);
static void make_slot(PrefetchLoad *load, NodeState *state, TupleDesc desc);
static Row *add_keys(PrefetchLoad *load, NodeState *state, TupleTableSlot *slot, int group);
static MinimalTuple keep_tuple(PrefetchLoad *load, NodeState *state, TupleTableSlot *slot,
							   bool is_candidate);
static void *get_room(PrefetchLoad *load, Size size);
static void add_block(PrefetchLoad *load);
static Row *new_row(PrefetchLoad *load, NodeState *state);
static void keep_sort_values(PrefetchLoad *load, NodeState *state, TupleTableSlot *slot,
							 Datum *values, bool *isnull);
static int	compare_values(const PathNode *node, const Datum *values, const bool *isnull,
						   const Datum *other_values, const bool *other_isnull);
static int	drop_repeated(NodeState *state, int32 *rows, int count);
static int	compare_numbers(const void *a, const void *b);
static int	compare_rows(const void *a, const void *b, void *arg);
static int	compare_candidates(const void *a, const void *b, void *arg);
static void cut_candidates(NodeState *state, CandidateGroup *group);
static void make_groups(PrefetchLoad *load, NodeState *state);
static void group_plain_rows(PrefetchLoad *load, NodeState *state);
static void group_linked_rows(PrefetchLoad *load, NodeState *state);
static void sort_group(NodeState *state, int32 *rows, int count);
static void *resize(MemoryContext context, void *array, Size size);

/*
 * Take a row in, whose first "needed" columns are known, with the keys that it
 * has for what is below.  A row that has only one parent is kept as a tuple.
 */
void
ar_prefetch_add_row(PrefetchLoad *load, NodeState *state, TupleTableSlot *slot, int group)
{
	Row		   *row;

	if (state->as_text)
	{
		load->text.length = 0;
		if (load->output == AR_PREFETCH_JSONB)
			ar_prefetch_jsonb_text(load, state, slot, &load->text);
		else
			write_text(load, state, slot);
		row = add_keys(load, state, slot, group);
		row->length = (uint32) load->text.length;
		row->data = memcpy(get_room(load, row->length), load->text.data, row->length);
		return;
	}
	row = add_keys(load, state, slot, group);
	row->data = keep_tuple(load, state, slot, false);
}

static void
write_text(PrefetchLoad *load, NodeState *state, TupleTableSlot *slot)
{
	PathNode   *node = state->node;
	MemoryContext old = MemoryContextSwitchTo(load->row_context);

	for (int i = 0; i < node->json_count; i++)
	{
		JsonColumn *column = &node->json[i];

		ar_prefetch_json_value(&load->text, column, slot->tts_values[column->position],
							   slot->tts_isnull[column->position]);
	}
	MemoryContextSwitchTo(old);
	if (node->json_allocates)
		MemoryContextReset(load->row_context);
}

/*
 * A new row with its place and its keys, but without its columns.
 */
static Row *
add_keys(PrefetchLoad *load, NodeState *state, TupleTableSlot *slot, int group)
{
	PathNode   *node = state->node;
	Row		   *row = new_row(load, state);

	row->group = group;
	for (int i = 0; i < node->child_count; i++)
		row->below[i] = ar_prefetch_key_number_of(&load->states[node->child[i]->number]->keys,
												  slot, node->child_position[i], true);
	row->identity = state->identities == NULL ? -1 :
		ar_prefetch_key_number_of(state->identities, slot, node->identity, true);
	if (state->keeps_order)
	{
		Size		at = (Size) (state->row_count - 1) * node->sort_count;

		keep_sort_values(load, state, slot, &state->sort[at], &state->sort_isnull[at]);
	}
	return row;
}

static void
make_slot(PrefetchLoad *load, NodeState *state, TupleDesc desc)
{
	MemoryContext old = MemoryContextSwitchTo(load->context);

	state->slot = MakeSingleTupleTableSlot(CreateTupleDescCopy(desc), &TTSOpsMinimalTuple);
	MemoryContextSwitchTo(old);
}

/*
 * Copy a row as it stands in its table, where it does.  That of a candidate can
 * be freed.
 */
static MinimalTuple
keep_tuple(PrefetchLoad *load, NodeState *state, TupleTableSlot *slot, bool is_candidate)
{
	MemoryContext old;
	MinimalTuple formed;
	MinimalTuple kept;

	if (unlikely(state->slot == NULL))
		make_slot(load, state, slot->tts_tupleDescriptor);
	if (TTS_IS_BUFFERTUPLE(slot) || TTS_IS_HEAPTUPLE(slot))
	{
		HeapTuple	tuple = ((HeapTupleTableSlot *) slot)->tuple;

		/* a shorter one lacks columns that were added to its table later */
		if (tuple && HeapTupleHeaderGetNatts(tuple->t_data) >= slot->tts_tupleDescriptor->natts)
		{
			uint32		length = tuple->t_len - MINIMAL_TUPLE_OFFSET;

			kept = is_candidate ? MemoryContextAllocHuge(load->batch_context, length) :
				get_room(load, length);
			memcpy(kept, (char *) tuple->t_data + MINIMAL_TUPLE_OFFSET, length);
			kept->t_len = length;
			return kept;
		}
	}
	slot_getallattrs(slot);
	old = MemoryContextSwitchTo(load->row_context);
	if (TTS_IS_VIRTUAL(slot))
		formed = ExecCopySlotMinimalTuple(slot);
	else
	{
		TupleTableSlot *copy = MakeSingleTupleTableSlot(slot->tts_tupleDescriptor,
														&TTSOpsVirtual);

		memcpy(copy->tts_values, slot->tts_values,
			   sizeof(Datum) * slot->tts_tupleDescriptor->natts);
		memcpy(copy->tts_isnull, slot->tts_isnull,
			   sizeof(bool) * slot->tts_tupleDescriptor->natts);
		formed = ExecCopySlotMinimalTuple(ExecStoreVirtualTuple(copy));
		ExecDropSingleTupleTableSlot(copy);
	}
	MemoryContextSwitchTo(old);
	kept = is_candidate ? MemoryContextAllocHuge(load->batch_context, formed->t_len) :
		get_room(load, formed->t_len);
	memcpy(kept, formed, formed->t_len);
	MemoryContextReset(load->row_context);
	return kept;
}

/*
 * Memory that lasts for the batch.
 */
static void *
get_room(PrefetchLoad *load, Size size)
{
	char	   *result;

	size = MAXALIGN(size);
	if (unlikely(size > load->room_left))
	{
		if (size > ROOM_BLOCK / 4)
		{
			load->room_bytes += size;
			return MemoryContextAllocHuge(load->batch_context, size);
		}
		if (load->block_used == load->block_count)
			add_block(load);
		load->room = load->blocks[load->block_used++];
		load->room_left = ROOM_BLOCK;
		load->room_bytes += ROOM_BLOCK;
	}
	result = load->room;
	load->room += size;
	load->room_left -= size;
	return result;
}

static void
add_block(PrefetchLoad *load)
{
	if (load->block_count == load->block_allocated)
	{
		load->block_allocated = Max(load->block_allocated * 2, 16);
		load->blocks = resize(load->context, load->blocks, sizeof(char *) * load->block_allocated);
	}
	load->blocks[load->block_count] = MemoryContextAlloc(load->context, ROOM_BLOCK);
	load->block_count++;
}

static Row *
new_row(PrefetchLoad *load, NodeState *state)
{
	if (unlikely(state->row_count >= state->row_allocated))
	{
		int			sorts = state->node->sort_count;

		CHECK_FOR_INTERRUPTS();
		if (state->row_allocated >= PG_INT32_MAX / 2)
			ereport(ERROR,
					errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
					errmsg("too many rows hang on one row"));
		state->row_allocated = Max(state->row_allocated * 2, 16);
		state->rows = resize(load->context, state->rows, state->stride * state->row_allocated);
		if (state->keeps_order)
		{
			state->sort = resize(load->context, state->sort,
								 sizeof(Datum) * sorts * state->row_allocated);
			state->sort_isnull = resize(load->context, state->sort_isnull,
										sizeof(bool) * sorts * state->row_allocated);
		}
	}
	return ar_prefetch_row(state, state->row_count++);
}

/*
 * Copy the values that a row is sorted by.
 */
static void
keep_sort_values(PrefetchLoad *load, NodeState *state, TupleTableSlot *slot, Datum *values,
				 bool *isnull)
{
	PathNode   *node = state->node;

	for (int i = 0; i < node->sort_count; i++)
	{
		int			position = node->sort_position[i];

		isnull[i] = slot->tts_isnull[position];
		if (isnull[i] || node->sort_by_value[i])
			values[i] = slot->tts_values[position];
		else
		{
			MemoryContext old = MemoryContextSwitchTo(load->batch_context);

			values[i] = datumCopy(slot->tts_values[position], false, node->sort_length[i]);
			MemoryContextSwitchTo(old);
		}
	}
}

/*
 * A row of an association table, between the groups of its two keys.
 */
void
ar_prefetch_add_link(PrefetchLoad *load, NodeState *state, int group, int far_group)
{
	Link	   *link;

	if (unlikely(state->link_count >= state->link_allocated))
	{
		CHECK_FOR_INTERRUPTS();
		state->link_allocated = Max(state->link_allocated * 2, 16);
		state->links = resize(load->context, state->links, sizeof(Link) * state->link_allocated);
	}
	link = &state->links[state->link_count++];
	link->group = group;
	link->far_group = far_group;
}

/*
 * Make room for the numbers of rows of all groups: none yet.
 */
void
ar_prefetch_begin_counts(NodeState *state)
{
	if (state->group_allocated < state->keys.count || state->group_total == NULL)
	{
		state->group_allocated = Max(state->keys.count, 16);
		state->group_total = resize(state->keys.context, state->group_total,
									sizeof(int64) * state->group_allocated);
	}
	memset(&state->group_total[state->first_key], 0,
		   sizeof(int64) * (state->keys.count - state->first_key));
}

void
ar_prefetch_begin_candidates(PrefetchLoad *load, NodeState *state)
{
	if (state->candidate_allocated < state->keys.count || state->candidates == NULL)
	{
		state->candidate_allocated = Max(state->keys.count, 16);
		state->candidates = resize(load->context, state->candidates,
								   sizeof(CandidateGroup) * state->candidate_allocated);
	}
	memset(&state->candidates[state->first_key], 0,
		   sizeof(CandidateGroup) * (state->keys.count - state->first_key));
	state->arrivals = 0;
}

/*
 * Keep a row if it may be among the first of its group.
 */
void
ar_prefetch_add_candidate(PrefetchLoad *load, NodeState *state, TupleTableSlot *slot, int number)
{
	PathNode   *node = state->node;
	CandidateGroup *group = &state->candidates[number];
	Candidate  *candidate;
	MemoryContext old;

	if (node->limit == 0)
		return;
	if (group->is_cut)
	{
		Candidate  *worst = &group->candidates[node->limit - 1];
		int			order = 0;

		for (int i = 0; i < node->sort_count && order == 0; i++)
			order = ApplySortComparator(slot->tts_values[node->sort_position[i]],
										slot->tts_isnull[node->sort_position[i]],
										worst->sort[i], worst->sort_isnull[i], &node->sort[i]);
		if (order >= 0)
			return;
	}
	if (group->count >= group->allocated)
	{
		old = MemoryContextSwitchTo(load->batch_context);
		group->allocated = Max(group->allocated * 2, 4);
		group->candidates = group->candidates ?
			repalloc_huge(group->candidates, sizeof(Candidate) * group->allocated) :
			palloc(sizeof(Candidate) * group->allocated);
		MemoryContextSwitchTo(old);
	}
	candidate = &group->candidates[group->count++];
	old = MemoryContextSwitchTo(load->batch_context);
	candidate->sort = palloc((sizeof(Datum) + sizeof(bool)) * Max(node->sort_count, 1));
	candidate->sort_isnull = (bool *) (candidate->sort + node->sort_count);
	candidate->arrival = state->arrivals++;
	MemoryContextSwitchTo(old);
	candidate->tuple = keep_tuple(load, state, slot, true);
	keep_sort_values(load, state, slot, candidate->sort, candidate->sort_isnull);
	if (group->count / 2 >= node->limit)
		cut_candidates(state, group);
}

/*
 * Drop what is not among the first of its group.
 */
static void
cut_candidates(NodeState *state, CandidateGroup *group)
{
	PathNode   *node = state->node;

	qsort_arg(group->candidates, group->count, sizeof(Candidate), compare_candidates, node);
	if (group->count < node->limit)
		return;
	for (int i = (int) node->limit; i < group->count; i++)
	{
		Candidate  *candidate = &group->candidates[i];

		for (int k = 0; k < node->sort_count; k++)
		{
			if (!node->sort_by_value[k] && !candidate->sort_isnull[k])
				pfree(DatumGetPointer(candidate->sort[k]));
		}
		pfree(candidate->sort);
		pfree(candidate->tuple);
	}
	group->count = (int) node->limit;
	group->is_cut = true;
}

/*
 * The candidates that are left become rows.
 */
void
ar_prefetch_keep_candidates(PrefetchLoad *load, NodeState *state)
{
	for (int i = state->first_key; i < state->keys.count; i++)
	{
		CandidateGroup *group = &state->candidates[i];

		cut_candidates(state, group);
		for (int k = 0; k < group->count; k++)
		{
			MinimalTuple tuple = group->candidates[k].tuple;

			ExecStoreMinimalTuple(tuple, state->slot, false);
			slot_getsomeattrs(state->slot, state->node->needed);
			if (state->as_text)
			{
				ar_prefetch_add_row(load, state, state->slot, i);
				pfree(tuple);
			}
			else
			{
				add_keys(load, state, state->slot, i)->data = tuple;
				load->room_bytes += tuple->t_len;
			}
		}
	}
	if (state->slot)
		ExecClearTuple(state->slot);
}

/*
 * Put the rows of a node into groups.
 */
void
ar_prefetch_group_rows(PrefetchLoad *load, NodeState *state)
{
	PathNode   *node = state->node;
	int			groups = state->keys.count;

	make_groups(load, state);
	if (node->link)
		group_linked_rows(load, state);
	else
		group_plain_rows(load, state);
	for (int i = state->first_key; i < groups; i++)
	{
		if (state->group_count[i] == 0)
			continue;
		if (node->to_one)
			state->group_count[i] = node->limit == 0 ? 0 : 1;
		else
		{
			if (state->group_count[i] > 1)
				sort_group(state, &state->order[state->group_start[i]], state->group_count[i]);
			if (node->link && node->relationship->repeats)
				state->group_count[i] = drop_repeated(state, &state->order[state->group_start[i]],
													  state->group_count[i]);
			if (node->limit >= 0 && state->group_count[i] > node->limit)
				state->group_count[i] = (int32) node->limit;
		}
	}
}

static void
make_groups(PrefetchLoad *load, NodeState *state)
{
	int			groups = state->keys.count;
	int			rows = Max(state->row_count, state->link_count);

	if (state->group_allocated < groups || state->group_count == NULL)
	{
		state->group_allocated = Max(groups + groups / 4, 16);
		state->group_start = resize(load->context, state->group_start,
									sizeof(int32) * state->group_allocated);
		state->group_count = resize(load->context, state->group_count,
									sizeof(int32) * state->group_allocated);
	}
	if (state->order_allocated < rows || state->order == NULL)
	{
		state->order_allocated = Max(rows + rows / 4, 16);
		state->order = resize(load->context, state->order, sizeof(int32) * state->order_allocated);
	}
	memset(&state->group_count[state->first_key], 0, sizeof(int32) * (groups - state->first_key));
}

/*
 * Each row belongs to the group of its key.
 */
static void
group_plain_rows(PrefetchLoad *load, NodeState *state)
{
	int			start = 0;

	for (int i = 0; i < state->row_count; i++)
	{
		Row		   *row = ar_prefetch_row(state, i);

		if (!ar_prefetch_is_alive(load, state, row))
			row->group = -1;
		else
			state->group_count[row->group]++;
	}
	for (int i = state->first_key; i < state->keys.count; i++)
	{
		state->group_start[i] = start;
		start += state->group_count[i];
		state->group_count[i] = 0;
	}
	for (int i = 0; i < state->row_count; i++)
	{
		int32		group = ar_prefetch_row(state, i)->group;

		if (group >= 0)
			state->order[state->group_start[group] + state->group_count[group]++] = i;
	}
}

/*
 * Each row of the association table puts the row at its far side into a group.
 */
static void
group_linked_rows(PrefetchLoad *load, NodeState *state)
{
	int			start = 0;

	if (state->far_allocated < state->far_keys.count || state->far_row == NULL)
	{
		state->far_allocated = Max(state->far_keys.count + state->far_keys.count / 4, 16);
		state->far_row = resize(load->context, state->far_row,
								sizeof(int32) * state->far_allocated);
	}
	memset(state->far_row, -1, sizeof(int32) * state->far_keys.count);
	for (int i = 0; i < state->row_count; i++)
	{
		Row		   *row = ar_prefetch_row(state, i);

		if (ar_prefetch_is_alive(load, state, row))
			state->far_row[row->group] = i;
	}
	for (int i = 0; i < state->link_count; i++)
	{
		if (state->far_row[state->links[i].far_group] >= 0)
			state->group_count[state->links[i].group]++;
	}
	for (int i = state->first_key; i < state->keys.count; i++)
	{
		state->group_start[i] = start;
		start += state->group_count[i];
		state->group_count[i] = 0;
	}
	for (int i = 0; i < state->link_count; i++)
	{
		int32		group = state->links[i].group;
		int32		row = state->far_row[state->links[i].far_group];

		if (row >= 0)
			state->order[state->group_start[group] + state->group_count[group]++] = row;
	}
}

/*
 * Has a row something in each of its inner relationships?
 */
bool
ar_prefetch_is_alive(const PrefetchLoad *load, const NodeState *state, const Row *row)
{
	PathNode   *node = state->node;

	if (!state->has_inner_child)
		return true;
	for (int i = 0; i < node->child_count; i++)
	{
		const NodeState *child;

		if (!node->child[i]->inner)
			continue;
		child = load->states[node->child[i]->number];
		if (row->below[i] < 0 || child->group_count[row->below[i]] == 0)
			return false;
	}
	return true;
}

/*
 * Sort the rows of a group.  Most are in order already, or nearly.
 */
static void
sort_group(NodeState *state, int32 *rows, int count)
{
	int			sorted = 1;

	if (!state->keeps_order)
		return;
	while (sorted < count && compare_rows(&rows[sorted - 1], &rows[sorted], state) <= 0)
		sorted++;
	if (sorted == count)
		return;
	if (count > SMALL_GROUP)
	{
		qsort_arg(rows, count, sizeof(int32), compare_rows, state);
		return;
	}
	for (; sorted < count; sorted++)
	{
		int32		row = rows[sorted];
		int			to = sorted;

		while (to > 0 && compare_rows(&rows[to - 1], &row, state) > 0)
		{
			rows[to] = rows[to - 1];
			to--;
		}
		rows[to] = row;
	}
}

/*
 * Keep each row of a sorted group once; returns how many they are.
 */
static int
drop_repeated(NodeState *state, int32 *rows, int count)
{
	int			kept = 1;

	if (!state->keeps_order)
		qsort(rows, count, sizeof(int32), compare_numbers);
	for (int i = 1; i < count; i++)
	{
		if (rows[i] != rows[kept - 1])
			rows[kept++] = rows[i];
	}
	return kept;
}

static int
compare_numbers(const void *a, const void *b)
{
	int32		one = *(const int32 *) a;
	int32		other = *(const int32 *) b;

	return one < other ? -1 : one > other;
}

static int
compare_rows(const void *a, const void *b, void *arg)
{
	const NodeState *state = arg;
	const PathNode *node = state->node;
	int32		one = *(const int32 *) a;
	int32		other = *(const int32 *) b;
	Size		count = node->sort_count;
	int			order = compare_values(node, &state->sort[one * count],
									   &state->sort_isnull[one * count],
									   &state->sort[other * count],
									   &state->sort_isnull[other * count]);

	return order != 0 ? order : one < other ? -1 : one > other;
}

static int
compare_candidates(const void *a, const void *b, void *arg)
{
	const Candidate *one = a;
	const Candidate *other = b;
	int			order = compare_values(arg, one->sort, one->sort_isnull, other->sort,
									   other->sort_isnull);

	return order != 0 ? order : one->arrival < other->arrival ? -1 : 1;
}

static int
compare_values(const PathNode *node, const Datum *values, const bool *isnull,
			   const Datum *other_values, const bool *other_isnull)
{
	for (int i = 0; i < node->sort_count; i++)
	{
		int			order = ApplySortComparator(values[i], isnull[i], other_values[i],
												other_isnull[i], &node->sort[i]);

		if (order != 0)
			return order;
	}
	return 0;
}

static void *
resize(MemoryContext context, void *array, Size size)
{
	return array ? repalloc_huge(array, size) : MemoryContextAllocHuge(context, size);
}
