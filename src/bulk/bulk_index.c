/*
 * bulk_index.c: index entries of many rows.
 *
 * Rows are put into the table first.  Their entries for btree indexes are
 * collected, and inserted in the order of each index's keys, by the access
 * method itself, which checks uniqueness as ever; other indexes get theirs at
 * once, in the order of the rows.
 *
 * That a row's entries come later than the row is no news to the server: it
 * is so for each INSERT, if not for as long.  Whoever reads through an index
 * before the end of the statement has to call ar_bulk_index_flush().
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/itup.h"
#include "access/nbtree.h"
#include "access/table.h"
#include "access/tableam.h"
#include "bulk/bulk.h"
#include "catalog/index.h"
#include "catalog/pg_am.h"
#include "commands/trigger.h"
#include "common/compat.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/memutils.h"

#define AR_BULK_CHUNK_LEAST (16 * 1024)
#define AR_BULK_CHUNK_MOST (1024 * 1024)

/* How many entries are read back at once. */
#define AR_BULK_SPILLED_ENTRIES 4096

/* Entries as they were collected, one behind the other. */
typedef struct BulkChunk
{
	struct BulkChunk *next;
	Size		room;
	Size		used;
	char		data[FLEXIBLE_ARRAY_MEMBER];
} BulkChunk;

typedef struct BulkIndex
{
	Relation	rel;
	IndexInfo  *info;
	IndexUniqueCheck check;
	BulkOrder  *order;			/* NULL: entries are inserted at once */
	BulkLeaf   *leaf;			/* NULL: each is inserted by the access method */
	Size		fixed_size;		/* of each entry without nulls; 0: they differ */
	BulkChunk  *first;
	BulkChunk  *current;		/* the last that has entries; NULL: none has */
	Size		count;
	BulkSpill  *spill;			/* NULL: all is in memory */
} BulkIndex;

/* Rows one behind the other on a page of the table. */
typedef struct BulkRows
{
	BlockNumber block;
	OffsetNumber first;
	uint16		count;
	uint64		row;			/* number of the first */
} BulkRows;

struct BulkIndexes
{
	ResultRelInfo *rel;
	EState	   *estate;
	uint64	   *failed_row;		/* where to say which row an error is about */
	ExprContext *expressions;
	Size		memory_limit;
	MemoryContext context;		/* for all, until the end */
	MemoryContext entry;		/* for one entry */
	BulkIndex  *indexes;
	int			count;
	Size		used;			/* by what is collected */
	BulkEntry  *sorted;			/* of the index at work */
	Size		sorted_room;

	BulkRows   *rows;
	Size		rows_count;
	Size		rows_room;

	/* of the row whose entry is being made or inserted */
	ItemPointerData tid;
	uint64		row;			/* 0: look for it by its place */

	ResultRelInfo *rechecks;	/* with nothing but triggers that check again */
	TupleTableSlot *slot;
};

/* setting: insert several entries into a btree's leaf at once */
static bool leaf_runs = true;

static void open_index(BulkIndexes *indexes, BulkIndex *index, Relation rel, IndexInfo *info);
static void collect_row(BulkIndexes *indexes, TupleTableSlot *slot, uint64 row);
static void remember_row(BulkIndexes *indexes, ItemPointer tid, uint64 row);
static bool is_in_index(BulkIndexes *indexes, BulkIndex *index, TupleTableSlot *slot);
static void add_entry(BulkIndexes *indexes, BulkIndex *index, const Datum *values,
					  const bool *is_null);
static Size fixed_size(TupleDesc desc);
static void form_fixed(TupleDesc desc, const Datum *values, Size size, IndexTuple tuple);
static bool has_null(const bool *is_null, int count);
static char *room_for_entry(BulkIndexes *indexes, BulkIndex *index, Size size);
static BulkChunk *next_chunk(BulkIndexes *indexes, BulkIndex *index, Size size);
static Size memory_used(const BulkIndexes *indexes);
static void insert_at_once(BulkIndexes *indexes, BulkIndex *index, Datum *values, bool *is_null);
static bool may_violate(BulkIndexes *indexes, BulkIndex *index, Datum *values, bool *is_null,
						bool is_unique);
static bool has_to_flush(const BulkIndexes *indexes);
static void spill(BulkIndexes *indexes);
static void forget_entries(BulkIndexes *indexes);
static void insert_spilled(BulkIndexes *indexes, BulkIndex *index);
static void insert_entries(BulkIndexes *indexes, BulkIndex *index, BulkEntry *entries,
						   Size count);
static void insert_entry(BulkIndexes *indexes, BulkIndex *index, IndexTuple tuple);
static BulkEntry *sorted_entries(BulkIndexes *indexes, BulkIndex *index);
static void check_again(BulkIndexes *indexes, BulkIndex *index);
static ResultRelInfo *only_rechecks(ResultRelInfo *rel);
static void error_callback(void *arg);
static uint64 row_of(const BulkIndexes *indexes, ItemPointer tid);

/*
 * Make our settings known.  Once, when the library is loaded.
 */
void
ar_bulk_index_init(void)
{
	DefineCustomBoolVariable("algo_ref.bulk_leaf_runs",
							 "Inserts several entries into a btree's leaf at once.",
							 "Off: bulk loads have the access method insert each index entry.",
							 &leaf_runs, true, PGC_USERSET, 0, NULL, NULL, NULL);
}

/*
 * Begin to insert into the indexes of "rel", which are open.
 *
 * Once the entries take "memory_limit" bytes, they are written to temporary
 * files.  In the context of an error that is about a row, "failed_row" becomes
 * its number, for the callers' callbacks.  Lives until ar_bulk_index_end(), or
 * until the query's memory goes.
 */
BulkIndexes *
ar_bulk_index_begin(ResultRelInfo *rel, EState *estate, Size memory_limit, uint64 *failed_row)
{
	MemoryContext context = AllocSetContextCreate(estate->es_query_cxt, "algo_ref bulk indexes",
												  ALLOCSET_SMALL_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(context);
	BulkIndexes *indexes = palloc0(sizeof(BulkIndexes));

	indexes->rel = rel;
	indexes->estate = estate;
	indexes->failed_row = failed_row;
	indexes->expressions = CreateExprContext(estate);
	indexes->memory_limit = memory_limit;
	indexes->context = context;
	indexes->entry = AllocSetContextCreate(context, "algo_ref bulk index entry",
										   ALLOCSET_SMALL_SIZES);
	indexes->indexes = palloc0(Max(rel->ri_NumIndices, 1) * sizeof(BulkIndex));
	for (int i = 0; i < rel->ri_NumIndices; i++)
	{
		if (rel->ri_IndexRelationDescs[i] != NULL &&
			rel->ri_IndexRelationInfo[i]->ii_ReadyForInserts)
			open_index(indexes, &indexes->indexes[indexes->count++],
					   rel->ri_IndexRelationDescs[i], rel->ri_IndexRelationInfo[i]);
	}
	MemoryContextSwitchTo(caller);
	return indexes;
}

static void
open_index(BulkIndexes *indexes, BulkIndex *index, Relation rel, IndexInfo *info)
{
	index->rel = rel;
	index->info = info;
	if (!rel->rd_index->indisunique)
		index->check = UNIQUE_CHECK_NO;
	else if (rel->rd_index->indimmediate)
		index->check = UNIQUE_CHECK_YES;
	else
		index->check = UNIQUE_CHECK_PARTIAL;

	if (rel->rd_rel->relam == BTREE_AM_OID && info->ii_ExclusionOps == NULL)
	{
		index->order = ar_bulk_index_order(rel);
		index->fixed_size = fixed_size(RelationGetDescr(rel));
		if (leaf_runs)
			index->leaf = ar_bulk_leaf_begin(rel, indexes->rel->ri_RelationDesc, &indexes->tid);
	}
}

/*
 * Take rows that were just put into the table, each slot with its row's
 * place.  Their numbers are for errors.
 */
void
ar_bulk_index_collect(BulkIndexes *indexes, TupleTableSlot **slots, int n,
					  const uint64 *row_numbers)
{
	ErrorContextCallback callback = {error_context_stack, error_callback, indexes};
	ExprContext *callers = indexes->estate->es_per_tuple_exprcontext;

	if (indexes->count == 0)
		return;
	error_context_stack = &callback;
	/* what evaluates expressions does it in the context of the query's rows */
	indexes->estate->es_per_tuple_exprcontext = indexes->expressions;
	for (int i = 0; i < n; i++)
		collect_row(indexes, slots[i], row_numbers[i]);
	indexes->estate->es_per_tuple_exprcontext = callers;
	error_context_stack = callback.previous;

	if (has_to_flush(indexes))
		ar_bulk_index_flush(indexes);
	else if (memory_used(indexes) >= indexes->memory_limit)
		spill(indexes);
}

static void
collect_row(BulkIndexes *indexes, TupleTableSlot *slot, uint64 row)
{
	Datum		values[INDEX_MAX_KEYS];
	bool		is_null[INDEX_MAX_KEYS];

	indexes->tid = slot->tts_tid;
	indexes->row = row;
	remember_row(indexes, &slot->tts_tid, row);
	indexes->expressions->ecxt_scantuple = slot;
	for (int i = 0; i < indexes->count; i++)
	{
		BulkIndex  *index = &indexes->indexes[i];

		if (!is_in_index(indexes, index, slot))
			continue;
		FormIndexDatum(index->info, slot, indexes->estate, values, is_null);
		if (index->order != NULL)
			add_entry(indexes, index, values, is_null);
		else
			insert_at_once(indexes, index, values, is_null);
		ResetExprContext(indexes->expressions);
	}
}

/*
 * Rows mostly come one behind the other, so this needs little memory.
 */
static void
remember_row(BulkIndexes *indexes, ItemPointer tid, uint64 row)
{
	BulkRows   *rows;

	if (indexes->rows_count > 0)
	{
		rows = &indexes->rows[indexes->rows_count - 1];
		if (rows->block == ItemPointerGetBlockNumber(tid) &&
			rows->first + rows->count == ItemPointerGetOffsetNumber(tid) &&
			rows->row + rows->count == row)
		{
			rows->count++;
			return;
		}
	}
	if (indexes->rows_count == indexes->rows_room)
	{
		Size		room = Max(indexes->rows_room * 2, 64);

		if (indexes->rows == NULL)
			indexes->rows = MemoryContextAlloc(indexes->context, room * sizeof(BulkRows));
		else
			indexes->rows = repalloc_huge(indexes->rows, room * sizeof(BulkRows));
		indexes->rows_room = room;
	}
	rows = &indexes->rows[indexes->rows_count++];
	rows->block = ItemPointerGetBlockNumber(tid);
	rows->first = ItemPointerGetOffsetNumber(tid);
	rows->count = 1;
	rows->row = row;
}

/*
 * Does the row satisfy the predicate of the index?
 */
static bool
is_in_index(BulkIndexes *indexes, BulkIndex *index, TupleTableSlot *slot)
{
	if (index->info->ii_Predicate == NIL)
		return true;
	if (index->info->ii_PredicateState == NULL)
		index->info->ii_PredicateState = ExecPrepareQual(index->info->ii_Predicate,
														 indexes->estate);
	return ExecQual(index->info->ii_PredicateState, indexes->expressions);
}

static void
add_entry(BulkIndexes *indexes, BulkIndex *index, const Datum *values, const bool *is_null)
{
	TupleDesc	desc = RelationGetDescr(index->rel);
	MemoryContext caller;
	IndexTuple	tuple;

	if (index->fixed_size > 0 && !has_null(is_null, desc->natts))
	{
		tuple = (IndexTuple) room_for_entry(indexes, index, index->fixed_size);
		form_fixed(desc, values, index->fixed_size, tuple);
		tuple->t_tid = indexes->tid;
		index->count++;
		return;
	}
	caller = MemoryContextSwitchTo(indexes->entry);
	tuple = index_form_tuple(desc, unconstify(Datum *, values), unconstify(bool *, is_null));
	tuple->t_tid = indexes->tid;
	memcpy(room_for_entry(indexes, index, MAXALIGN(IndexTupleSize(tuple))), tuple,
		   IndexTupleSize(tuple));
	index->count++;
	index->order->has_nulls |= IndexTupleHasNulls(tuple);
	MemoryContextSwitchTo(caller);
	MemoryContextReset(indexes->entry);
}

/*
 * What an entry without nulls takes if all columns are passed by value; else 0.
 */
static Size
fixed_size(TupleDesc desc)
{
	Size		size = IndexInfoFindDataOffset(0);

	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute column = TupleDescAttr(desc, i);

		if (!column->attbyval)
			return 0;
		size = att_align_nominal(size, column->attalign) + column->attlen;
	}
	return MAXALIGN(size);
}

/*
 * index_form_tuple() for such an entry, where it is to stay.
 */
static void
form_fixed(TupleDesc desc, const Datum *values, Size size, IndexTuple tuple)
{
	Size		offset = IndexInfoFindDataOffset(0);

	memset(tuple, 0, size);
	tuple->t_info = size;
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute column = TupleDescAttr(desc, i);

		offset = att_align_nominal(offset, column->attalign);
		store_att_byval((char *) tuple + offset, values[i], column->attlen);
		offset += column->attlen;
	}
}

static bool
has_null(const bool *is_null, int count)
{
	for (int i = 0; i < count; i++)
	{
		if (is_null[i])
			return true;
	}
	return false;
}

static char *
room_for_entry(BulkIndexes *indexes, BulkIndex *index, Size size)
{
	BulkChunk  *chunk = index->current;

	if (chunk == NULL || chunk->room - chunk->used < size)
		chunk = next_chunk(indexes, index, size);
	chunk->used += size;
	return chunk->data + chunk->used - size;
}

/*
 * Make current another chunk with room for "size" bytes: one that was used
 * before, or a new one.
 */
static BulkChunk *
next_chunk(BulkIndexes *indexes, BulkIndex *index, Size size)
{
	BulkChunk  *last = index->current;
	BulkChunk  *chunk = last == NULL ? index->first : last->next;

	if (chunk == NULL || chunk->room < size)
	{
		BulkChunk  *rest = chunk;
		Size		room = last == NULL ? AR_BULK_CHUNK_LEAST : last->room * 2;

		room = Max(Min(room, AR_BULK_CHUNK_MOST), size);
		chunk = MemoryContextAlloc(indexes->context, offsetof(BulkChunk, data) + room);
		chunk->room = room;
		chunk->next = rest;
		if (last == NULL)
			index->first = chunk;
		else
			last->next = chunk;
	}
	chunk->used = 0;
	index->current = chunk;
	indexes->used += chunk->room;
	return chunk;
}

/*
 * What the entries and the rows' numbers take, and what it will take to sort
 * the entries of one index.
 */
static Size
memory_used(const BulkIndexes *indexes)
{
	Size		most = 0;

	for (int i = 0; i < indexes->count; i++)
		most = Max(most, indexes->indexes[i].count);
	return indexes->used + indexes->rows_count * sizeof(BulkRows) + most * sizeof(BulkEntry);
}

/*
 * Would it take too much memory to go on?  What no file keeps is the numbers of
 * rows that do not come one behind the other, as in partitions, and a buffer
 * for each sorted part.
 */
static bool
has_to_flush(const BulkIndexes *indexes)
{
	if (indexes->rows_count * sizeof(BulkRows) >= indexes->memory_limit / 2)
		return true;
	for (int i = 0; i < indexes->count; i++)
	{
		BulkSpill  *spill = indexes->indexes[i].spill;

		if (spill != NULL && ar_bulk_spill_is_full(spill, indexes->memory_limit))
			return true;
	}
	return false;
}

/*
 * Write what was collected to files.
 */
static void
spill(BulkIndexes *indexes)
{
	for (int i = 0; i < indexes->count; i++)
	{
		BulkIndex  *index = &indexes->indexes[i];
		BulkEntry  *entries;

		if (index->count == 0)
			continue;
		entries = sorted_entries(indexes, index);
		if (index->spill == NULL)
		{
			MemoryContext caller = MemoryContextSwitchTo(indexes->context);

			index->spill = ar_bulk_spill_begin(index->order);
			MemoryContextSwitchTo(caller);
		}
		ar_bulk_spill_write(index->spill, entries, index->count);
	}
	forget_entries(indexes);
}

static void
forget_entries(BulkIndexes *indexes)
{
	for (int i = 0; i < indexes->count; i++)
	{
		indexes->indexes[i].current = NULL;
		indexes->indexes[i].count = 0;
	}
	indexes->used = 0;
}

/*
 * Insert an entry into an index whose entries are not collected.
 */
static void
insert_at_once(BulkIndexes *indexes, BulkIndex *index, Datum *values, bool *is_null)
{
	MemoryContext caller = MemoryContextSwitchTo(indexes->expressions->ecxt_per_tuple_memory);
	bool		is_unique;

	is_unique = index_insert(index->rel, values, is_null, &indexes->tid,
							 indexes->rel->ri_RelationDesc, index->check, false, index->info);
	if (may_violate(indexes, index, values, is_null, is_unique))
		check_again(indexes, index);
	MemoryContextSwitchTo(caller);
}

/*
 * Has the row to be checked again at the end of the statement or transaction?
 * Raises 23P01 where it violates an exclusion constraint that is immediate.
 */
static bool
may_violate(BulkIndexes *indexes, BulkIndex *index, Datum *values, bool *is_null,
			bool is_unique)
{
	if (index->info->ii_ExclusionOps == NULL)
		return index->check == UNIQUE_CHECK_PARTIAL && !is_unique;
	if (!index->rel->rd_index->indimmediate)
		return true;
	check_exclusion_constraint(indexes->rel->ri_RelationDesc, index->rel, index->info,
							   &indexes->tid, values, is_null, indexes->estate, false);
	return false;
}

/*
 * Insert what was collected.
 */
void
ar_bulk_index_flush(BulkIndexes *indexes)
{
	ErrorContextCallback callback = {error_context_stack, error_callback, indexes};
	bool		is_spilled = false;

	for (int i = 0; i < indexes->count; i++)
		is_spilled |= indexes->indexes[i].spill != NULL;
	if (is_spilled)
		spill(indexes);

	error_context_stack = &callback;
	indexes->row = 0;
	ItemPointerSetInvalid(&indexes->tid);
	for (int i = 0; i < indexes->count; i++)
	{
		BulkIndex  *index = &indexes->indexes[i];

		if (index->spill != NULL)
			insert_spilled(indexes, index);
		else if (index->count > 0)
			insert_entries(indexes, index, sorted_entries(indexes, index), index->count);
	}
	error_context_stack = callback.previous;
	forget_entries(indexes);
	indexes->rows_count = 0;
}

static void
insert_spilled(BulkIndexes *indexes, BulkIndex *index)
{
	MemoryContext caller = MemoryContextSwitchTo(indexes->context);
	BulkEntry  *entries = palloc(AR_BULK_SPILLED_ENTRIES * sizeof(BulkEntry));
	Size		count;

	while ((count = ar_bulk_spill_read(index->spill, entries, AR_BULK_SPILLED_ENTRIES,
									   indexes->memory_limit)) > 0)
		insert_entries(indexes, index, entries, count);
	ar_bulk_spill_end(index->spill);
	index->spill = NULL;
	pfree(entries);
	MemoryContextSwitchTo(caller);
}

static void
insert_entries(BulkIndexes *indexes, BulkIndex *index, BulkEntry *entries, Size count)
{
	MemoryContext caller = MemoryContextSwitchTo(indexes->entry);
	BulkLeafEnd end;
	Size		placed;

	for (Size i = 0; i < count;)
	{
		CHECK_FOR_INTERRUPTS();
		MemoryContextReset(indexes->entry);
		if (index->leaf != NULL)
		{
			end = ar_bulk_leaf_insert(index->leaf, entries + i, count - i, &placed);
			i += placed;
			if (end != AR_BULK_LEAF_METHOD)
				continue;
		}
		insert_entry(indexes, index, entries[i++].tuple);
	}
	/* what comes next is about no row */
	ItemPointerSetInvalid(&indexes->tid);
	MemoryContextSwitchTo(caller);
}

/*
 * Have the access method insert an entry, as index_insert() would.
 */
static void
insert_entry(BulkIndexes *indexes, BulkIndex *index, IndexTuple tuple)
{
	bool		is_unique;

	indexes->tid = tuple->t_tid;
	is_unique = _bt_doinsert(index->rel, tuple, index->check, false,
							 indexes->rel->ri_RelationDesc);
	if (index->check == UNIQUE_CHECK_PARTIAL && !is_unique)
		check_again(indexes, index);
}

/*
 * What was collected for an index, in order.  Lives until it is asked for the
 * next.
 */
static BulkEntry *
sorted_entries(BulkIndexes *indexes, BulkIndex *index)
{
	Size		count = 0;

	if (indexes->sorted_room < index->count)
	{
		if (indexes->sorted != NULL)
			pfree(indexes->sorted);
		indexes->sorted = MemoryContextAllocHuge(indexes->context,
												 index->count * sizeof(BulkEntry));
		indexes->sorted_room = index->count;
	}
	for (BulkChunk *chunk = index->first;; chunk = chunk->next)
	{
		for (Size at = 0; at < chunk->used;)
		{
			IndexTuple	tuple = (IndexTuple) (chunk->data + at);

			indexes->sorted[count++].tuple = tuple;
			at += MAXALIGN(IndexTupleSize(tuple));
		}
		if (chunk == index->current)
			break;
	}
	Assert(count == index->count);
	ar_bulk_index_sort(index->order, indexes->sorted, count);
	return indexes->sorted;
}

/*
 * Have a constraint that can be deferred look at the row again.
 */
static void
check_again(BulkIndexes *indexes, BulkIndex *index)
{
	MemoryContext caller = MemoryContextSwitchTo(indexes->context);
	List	   *constraints = list_make1_oid(RelationGetRelid(index->rel));

	if (indexes->rechecks == NULL)
	{
		indexes->rechecks = only_rechecks(indexes->rel);
		indexes->slot = table_slot_create(indexes->rel->ri_RelationDesc, NULL);
	}
	MemoryContextSwitchTo(caller);
	ExecStoreAllNullTuple(indexes->slot);
	indexes->slot->tts_tid = indexes->tid;
	ExecARInsertTriggers(indexes->estate, indexes->rechecks, indexes->slot, constraints, NULL);
	ExecClearTuple(indexes->slot);
	list_free(constraints);
}

/*
 * A stand-in for "rel" that has those triggers only that check constraints
 * again: all others are fired for each row by who inserts the rows.
 */
static ResultRelInfo *
only_rechecks(ResultRelInfo *rel)
{
	ResultRelInfo *result = palloc(sizeof(ResultRelInfo));
	TriggerDesc *triggers = palloc(sizeof(TriggerDesc));

	*result = *rel;
	*triggers = *rel->ri_TrigDesc;
	result->ri_TrigDesc = triggers;
	triggers->triggers = palloc(rel->ri_TrigDesc->numtriggers * sizeof(Trigger));
	triggers->numtriggers = 0;
	triggers->trig_insert_new_table = false;
	for (int i = 0; i < rel->ri_TrigDesc->numtriggers; i++)
	{
		if (rel->ri_TrigDesc->triggers[i].tgfoid == F_UNIQUE_KEY_RECHECK)
			triggers->triggers[triggers->numtriggers++] = rel->ri_TrigDesc->triggers[i];
	}
	result->ri_TrigFunctions = palloc0(triggers->numtriggers * sizeof(FmgrInfo));
	result->ri_TrigWhenExprs = palloc0(triggers->numtriggers * sizeof(ExprState *));
	result->ri_TrigInstrument = NULL;
	return result;
}

static void
error_callback(void *arg)
{
	BulkIndexes *indexes = arg;

	*indexes->failed_row = indexes->row != 0 ? indexes->row : row_of(indexes, &indexes->tid);
}

static uint64
row_of(const BulkIndexes *indexes, ItemPointer tid)
{
	if (!ItemPointerIsValid(tid))
		return 0;
	for (Size i = 0; i < indexes->rows_count; i++)
	{
		const BulkRows *rows = &indexes->rows[i];

		if (rows->block == ItemPointerGetBlockNumber(tid) &&
			rows->first <= ItemPointerGetOffsetNumber(tid) &&
			ItemPointerGetOffsetNumber(tid) < rows->first + rows->count)
			return rows->row + ItemPointerGetOffsetNumber(tid) - rows->first;
	}
	return 0;
}

/*
 * Give the memory back.  What was not flushed is forgotten.
 */
void
ar_bulk_index_end(BulkIndexes *indexes)
{
	for (int i = 0; i < indexes->count; i++)
	{
		if (indexes->indexes[i].spill != NULL)
			ar_bulk_spill_end(indexes->indexes[i].spill);
	}
	if (indexes->slot != NULL)
		ExecDropSingleTupleTableSlot(indexes->slot);
	FreeExprContext(indexes->expressions, true);
	MemoryContextDelete(indexes->context);
}
