/*
 * bulk_index_leaf.c: several entries into one leaf of a btree.
 *
 * One search finds the leaf of an entry; while it stays locked, the entries
 * behind it go into it, too, as long as they belong there and there is room.
 * Whatever is not plain (a page to split, an entry that may be a duplicate, a
 * posting list to divide) is left to the access method, one entry at a time.
 *
 * What is relied on:
 *
 *   - An entry belongs to a leaf if it is greater than the high key of the
 *     leaf's left neighbour and not greater than its own high key.  The search
 *     shows the first for the entry it is for, and so do entries of the leaf
 *     that are less than the one in question for all others.
 *   - A unique index has no entry that is equal in the key columns if the
 *     leaf has none and the key is not equal to the high key: the search is
 *     for the first leaf that could have it.  Who wants to insert an equal one
 *     has to lock the same leaf, so nobody can do so between the check and the
 *     change.
 *   - Places are found in a copy of the page, which takes each entry in turn.
 *     An error in a comparison leaves the page alone; in the critical section
 *     nothing can fail.
 *   - A unique entry that is greater than all others, which a full leaf at the
 *     right end has no room for, begins a leaf of its own: a split at the place
 *     of a new item that is the last, which moves nothing.  Those behind it
 *     fill that leaf before the tree knows of it.  What is left to the access
 *     method is to tell the parent, as for any split that was not finished.
 *   - The change is logged with what the server's own recovery knows: a record
 *     of btree for each of few entries, else the changed part of the page, or
 *     the whole of it.
 */
#include "postgres.h"

#include "access/generic_xlog.h"
#include "access/nbtree.h"
#include "access/nbtxlog.h"
#include "access/xloginsert.h"
#include "bulk/bulk.h"
#include "common/compat.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "storage/predicate.h"

/* A record for each entry costs less than a comparison of pages up to here. */
#define AR_BULK_LEAF_FEW 8

/* From here on the whole page is logged, which needs no comparison. */
#define AR_BULK_LEAF_MUCH (BLCKSZ / 3)

struct BulkLeaf
{
	Relation	index;
	Relation	heap;
	bool		is_unique;
	ItemPointer tid;			/* where the caller wants the place of the row
								 * at work */
	BTScanInsert key;			/* NULL: not made yet */
	Size		kept_free;		/* of a leaf at the right end */

	/* of the leaf at hand */
	BTStack		stack;			/* the way to it */
	Buffer		buffer;
	Page		page;			/* in "copy" */
	BTPageOpaque opaque;
	bool		is_new;			/* it is not in the index yet */
	OffsetNumber last;			/* where the latest entry went; 0: none yet */
	Size		bytes;			/* of the entries */
	OffsetNumber offsets[AR_BULK_LEAF_FEW];
	PGAlignedBlock copy;
};

static void make_key(BulkLeaf *leaf, IndexTuple tuple);
static void set_key(BulkLeaf *leaf, IndexTuple tuple);
static bool find_leaf(BulkLeaf *leaf);
static BulkLeafEnd place(BulkLeaf *leaf, IndexTuple tuple, Size placed);
static OffsetNumber find_place(BulkLeaf *leaf);
static BulkLeafEnd place_all(BulkLeaf *leaf, const BulkEntry *entries, Size count, Size *placed);
static void add_item(BulkLeaf *leaf, Page page, IndexTuple tuple, OffsetNumber offset);
static bool is_behind_all(BulkLeaf *leaf, OffsetNumber offset);
static bool append_leaf(BulkLeaf *leaf, const BulkEntry *entries, Size count, Size *placed);
static void fill_left(BulkLeaf *leaf, IndexTuple high_key, Page left);
static void split_at_end(BulkLeaf *leaf, IndexTuple high_key, Page left);
static void change_page(BulkLeaf *leaf, const BulkEntry *entries, Size count);
static bool has_hints(BulkLeaf *leaf);
static void log_entries(BulkLeaf *leaf, const BulkEntry *entries, Size count);
static void log_page(BulkLeaf *leaf);
static void log_difference(BulkLeaf *leaf);

/*
 * Begin to insert into leaves of a btree index.  Whose entry is at work is told
 * in "tid".  NULL: the form of the index is too old.
 */
BulkLeaf *
ar_bulk_leaf_begin(Relation index, Relation heap, ItemPointer tid)
{
	BulkLeaf   *leaf;
	bool		heapkeyspace;
	bool		allequalimage;

	_bt_metaversion(index, &heapkeyspace, &allequalimage);
	if (!heapkeyspace)
		return NULL;
	leaf = palloc0(sizeof(BulkLeaf));
	leaf->index = index;
	leaf->heap = heap;
	leaf->is_unique = index->rd_index->indisunique;
	leaf->tid = tid;
	leaf->kept_free = BTGetTargetPageFreeSpace(index);
	return leaf;
}

/*
 * Insert as many of the entries as belong to the leaf of the first.
 *
 * Sets "placed" to their number.  The result says how to go on with the next:
 * by another search, or by the access method.
 */
BulkLeafEnd
ar_bulk_leaf_insert(BulkLeaf *leaf, const BulkEntry *entries, Size count, Size *placed)
{
	BulkLeafEnd end;

	*placed = 0;
	set_key(leaf, entries[0].tuple);
	if (!find_leaf(leaf))
		return AR_BULK_LEAF_METHOD;
	end = place_all(leaf, entries, count, placed);
	if (*placed > 0)
		change_page(leaf, entries, *placed);
	if (end == AR_BULK_LEAF_APPEND)
	{
		Size		appended;

		end = AR_BULK_LEAF_METHOD;
		if (append_leaf(leaf, entries + *placed, count - *placed, &appended))
			end = AR_BULK_LEAF_SEARCH;
		*placed += appended;
	}
	else
		_bt_relbuf(leaf->index, leaf->buffer);
	_bt_freestack(leaf->stack);
	return end;
}

/*
 * Put as many of the entries as belong there into the copy of the page.  The
 * key is that of the first, and in the end that of the first that was not put
 * there.
 */
static BulkLeafEnd
place_all(BulkLeaf *leaf, const BulkEntry *entries, Size count, Size *placed)
{
	BulkLeafEnd end;

	for (*placed = 0; *placed < count; (*placed)++)
	{
		if (*placed + 4 < count)
			__builtin_prefetch(entries[*placed + 4].tuple);
		if (*placed > 0)
			set_key(leaf, entries[*placed].tuple);
		end = place(leaf, entries[*placed].tuple, *placed);
		if (end != AR_BULK_LEAF_PLACED)
			return end;
	}
	return AR_BULK_LEAF_SEARCH;
}

/*
 * Make "key" the key of an entry.  Where equal ones have to be found it is
 * without the row's place, as in the access method.
 */
static void
set_key(BulkLeaf *leaf, IndexTuple tuple)
{
	BTScanInsert key = leaf->key;
	TupleDesc	desc = RelationGetDescr(leaf->index);
	bool		is_null;

	*leaf->tid = tuple->t_tid;
	if (key == NULL)
		make_key(leaf, tuple);
	key = leaf->key;
	key->anynullkeys = false;
	for (int i = 0; i < key->keysz; i++)
	{
		ScanKey		column = &key->scankeys[i];

		column->sk_argument = index_getattr(tuple, i + 1, desc, &is_null);
		if (is_null)
		{
			column->sk_argument = (Datum) 0;
			column->sk_flags |= SK_ISNULL;
			key->anynullkeys = true;
		}
		else
			column->sk_flags &= ~SK_ISNULL;
	}
	if (leaf->index->rd_index->indnullsnotdistinct)
		key->anynullkeys = false;
	key->scantid = leaf->is_unique && !key->anynullkeys ? NULL : &tuple->t_tid;
}

static void
make_key(BulkLeaf *leaf, IndexTuple tuple)
{
	MemoryContext caller = MemoryContextSwitchTo(GetMemoryChunkContext(leaf));

	leaf->key = _bt_mkscankey(leaf->index, tuple);
	MemoryContextSwitchTo(caller);
}

/*
 * Lock the leaf to which the key belongs, and copy it.  False: it is not one
 * for us; then nothing is locked.
 */
static bool
find_leaf(BulkLeaf *leaf)
{
	Page		page;
	BTPageOpaque opaque;

	leaf->stack = ar_bt_search(leaf->index, leaf->heap, leaf->key, &leaf->buffer);
	page = BufferGetPage(leaf->buffer);
	opaque = BTPageGetOpaque(page);
	if (!P_ISLEAF(opaque) || P_IGNORE(opaque) || P_INCOMPLETE_SPLIT(opaque))
	{
		_bt_freestack(leaf->stack);
		_bt_relbuf(leaf->index, leaf->buffer);
		return false;
	}
	CheckForSerializableConflictIn(leaf->index, NULL, BufferGetBlockNumber(leaf->buffer));

	leaf->page = (Page) leaf->copy.data;
	memcpy(leaf->page, page, BLCKSZ);
	leaf->opaque = BTPageGetOpaque(leaf->page);
	leaf->is_new = false;
	leaf->last = InvalidOffsetNumber;
	leaf->bytes = 0;
	return true;
}

/*
 * Put an entry, whose key is set, into the copy of the page.
 */
static BulkLeafEnd
place(BulkLeaf *leaf, IndexTuple tuple, Size placed)
{
	Size		size = MAXALIGN(IndexTupleSize(tuple));
	OffsetNumber offset;
	int32		comparison;

	if (!P_RIGHTMOST(leaf->opaque))
	{
		comparison = _bt_compare(leaf->index, leaf->key, leaf->page, P_HIKEY);
		if (comparison > 0)
			return AR_BULK_LEAF_SEARCH;
		if (comparison == 0 && leaf->key->scantid == NULL)
			return AR_BULK_LEAF_METHOD;
	}
	if (size > ar_bt_max_item_size(leaf->page))
		return AR_BULK_LEAF_METHOD;
	offset = find_place(leaf);
	if (!OffsetNumberIsValid(offset))
		return AR_BULK_LEAF_METHOD;
	if (placed > 0 && offset == P_FIRSTDATAKEY(leaf->opaque))
		return AR_BULK_LEAF_SEARCH;
	if (leaf->is_new && offset <= PageGetMaxOffsetNumber(leaf->page))
		return AR_BULK_LEAF_SEARCH;
	if (is_behind_all(leaf, offset) && PageGetFreeSpace(leaf->page) < size + leaf->kept_free)
		return AR_BULK_LEAF_APPEND;
	if (PageGetFreeSpace(leaf->page) < size)
		return AR_BULK_LEAF_METHOD;
	add_item(leaf, leaf->page, tuple, offset);
	if (placed < AR_BULK_LEAF_FEW)
		leaf->offsets[placed] = offset;
	leaf->last = offset;
	leaf->bytes += size + sizeof(ItemIdData);
	return AR_BULK_LEAF_PLACED;
}

static void
add_item(BulkLeaf *leaf, Page page, IndexTuple tuple, OffsetNumber offset)
{
	if (PageAddItem(page, (Item) tuple, MAXALIGN(IndexTupleSize(tuple)), offset, false, false) ==
		InvalidOffsetNumber)
		elog(ERROR, "could not add an entry to a page of index \"%s\"",
			 RelationGetRelationName(leaf->index));
}

/*
 * Is the place that of an entry which may begin a leaf of its own?  Where
 * there are equal entries, or items to be removed, the access method makes
 * room in a better way.
 */
static bool
is_behind_all(BulkLeaf *leaf, OffsetNumber offset)
{
	return P_RIGHTMOST(leaf->opaque) && !P_HAS_GARBAGE(leaf->opaque) &&
		leaf->key->scantid == NULL && offset > PageGetMaxOffsetNumber(leaf->page) &&
		offset > P_FIRSTDATAKEY(leaf->opaque);
}

/*
 * The place of the key among the items of the page: that of the first greater
 * one.  InvalidOffsetNumber: there is one that is equal.
 *
 * As a rule the place is right behind that of the entry before, so the search
 * begins there and widens.
 */
static OffsetNumber
find_place(BulkLeaf *leaf)
{
	OffsetNumber low = P_FIRSTDATAKEY(leaf->opaque);
	OffsetNumber high = OffsetNumberNext(PageGetMaxOffsetNumber(leaf->page));
	int			step = 1;
	int32		comparison;

	/* invariant: items before "low" are less, those from "high" on greater */
	if (OffsetNumberIsValid(leaf->last))
	{
		for (OffsetNumber probe = leaf->last; probe < high; probe += step, step *= 2)
		{
			comparison = _bt_compare(leaf->index, leaf->key, leaf->page, probe);
			if (comparison == 0)
				return InvalidOffsetNumber;
			if (comparison < 0)
			{
				high = probe;
				break;
			}
			low = OffsetNumberNext(probe);
		}
	}
	while (low < high)
	{
		OffsetNumber middle = low + (high - low) / 2;

		comparison = _bt_compare(leaf->index, leaf->key, leaf->page, middle);
		if (comparison == 0)
			return InvalidOffsetNumber;
		if (comparison < 0)
			high = middle;
		else
			low = OffsetNumberNext(middle);
	}
	return low;
}

/*
 * Put as many of the entries as have room there into a new leaf behind the
 * one at hand, which is the last.  False: the access method has to make room.
 * The leaf at hand is locked no more.
 */
static bool
append_leaf(BulkLeaf *leaf, const BulkEntry *entries, Size count, Size *placed)
{
	Page		page = BufferGetPage(leaf->buffer);
	ItemId		last = PageGetItemId(page, PageGetMaxOffsetNumber(page));
	IndexTuple	high_key;
	PGAlignedBlock left;

	*placed = 0;
	high_key = _bt_truncate(leaf->index, (IndexTuple) PageGetItem(page, last),
							entries[0].tuple, leaf->key);
	if (PageGetFreeSpace(page) < IndexTupleSize(high_key))
	{
		pfree(high_key);
		_bt_relbuf(leaf->index, leaf->buffer);
		return false;
	}
	fill_left(leaf, high_key, (Page) left.data);

	_bt_pageinit(leaf->page, BLCKSZ);
	leaf->opaque = BTPageGetOpaque(leaf->page);
	leaf->opaque->btpo_flags = BTP_LEAF;
	leaf->opaque->btpo_prev = BufferGetBlockNumber(leaf->buffer);
	leaf->opaque->btpo_next = P_NONE;
	leaf->opaque->btpo_cycleid = _bt_vacuum_cycleid(leaf->index);
	leaf->is_new = true;
	leaf->last = InvalidOffsetNumber;
	(void) place_all(leaf, entries, count, placed);
	Assert(*placed > 0);

	split_at_end(leaf, high_key, (Page) left.data);
	ar_bt_finish_split(leaf->index, leaf->heap, leaf->buffer, leaf->stack);
	pfree(high_key);
	return true;
}

/*
 * Make in "left" what the leaf at hand is to be: recovery puts the items in
 * the same order.
 */
static void
fill_left(BulkLeaf *leaf, IndexTuple high_key, Page left)
{
	Page		page = BufferGetPage(leaf->buffer);
	OffsetNumber last = PageGetMaxOffsetNumber(page);

	_bt_pageinit(left, BLCKSZ);
	/* it says whether recovery has the whole page already */
	PageSetLSN(left, PageGetLSN(page));
	memcpy(BTPageGetOpaque(left), BTPageGetOpaque(page), sizeof(BTPageOpaqueData));
	add_item(leaf, left, high_key, P_HIKEY);
	for (OffsetNumber offset = P_HIKEY; offset <= last; offset++)
	{
		IndexTuple	tuple = (IndexTuple) PageGetItem(page, PageGetItemId(page, offset));

		add_item(leaf, left, tuple, OffsetNumberNext(offset));
	}
}

/*
 * Make the leaf at hand what "left" is, and the copy its right sibling.
 */
static void
split_at_end(BulkLeaf *leaf, IndexTuple high_key, Page left)
{
	BTPageOpaque opaque = BTPageGetOpaque(left);
	Buffer		right = ar_bt_new_page(leaf->index, leaf->heap);
	xl_btree_split record = {.firstrightoff = PageGetMaxOffsetNumber(left)};
	PageHeader	header = (PageHeader) leaf->page;
	XLogRecPtr	lsn;

	record.newitemoff = record.firstrightoff;
	opaque->btpo_flags &= ~(BTP_ROOT | BTP_SPLIT_END);
	opaque->btpo_flags |= BTP_INCOMPLETE_SPLIT;
	opaque->btpo_next = BufferGetBlockNumber(right);
	opaque->btpo_cycleid = leaf->opaque->btpo_cycleid;

	START_CRIT_SECTION();
	memcpy(BufferGetPage(leaf->buffer), left, BLCKSZ);
	memcpy(BufferGetPage(right), leaf->page, BLCKSZ);
	MarkBufferDirty(leaf->buffer);
	MarkBufferDirty(right);
	if (RelationNeedsWAL(leaf->index))
	{
		XLogBeginInsert();
		XLogRegisterData((char *) &record, SizeOfBtreeSplit);
		XLogRegisterBuffer(0, leaf->buffer, REGBUF_STANDARD);
		XLogRegisterBuffer(1, right, REGBUF_WILL_INIT);
		XLogRegisterBufData(0, (char *) high_key, MAXALIGN(IndexTupleSize(high_key)));
		XLogRegisterBufData(1, (char *) leaf->page + header->pd_upper,
							header->pd_special - header->pd_upper);
		lsn = XLogInsert(RM_BTREE_ID, XLOG_BTREE_SPLIT_R);
		PageSetLSN(BufferGetPage(leaf->buffer), lsn);
		PageSetLSN(BufferGetPage(right), lsn);
	}
	END_CRIT_SECTION();

	PredicateLockPageSplit(leaf->index, BufferGetBlockNumber(leaf->buffer),
						   BufferGetBlockNumber(right));
	_bt_relbuf(leaf->index, right);
}

/*
 * Make the page what its copy is.  The first change after a checkpoint has the
 * whole page logged anyway.
 */
static void
change_page(BulkLeaf *leaf, const BulkEntry *entries, Size count)
{
	if (!RelationNeedsWAL(leaf->index))
	{
		START_CRIT_SECTION();
		memcpy(BufferGetPage(leaf->buffer), leaf->page, BLCKSZ);
		MarkBufferDirty(leaf->buffer);
		END_CRIT_SECTION();
	}
	else if (count <= AR_BULK_LEAF_FEW)
		log_entries(leaf, entries, count);
	else if (leaf->bytes < AR_BULK_LEAF_MUCH && !XLogCheckBufferNeedsBackup(leaf->buffer) &&
			 !has_hints(leaf))
		log_difference(leaf);
	else
		log_page(leaf);
}

/*
 * Is there what no record has, so that the page may not be as recovery knows
 * it?  Dead items are only marked, not always with a flag of the page, and so
 * are pages that were split during a vacuum, and those before them.  A
 * difference does not need it, but whoever compares the pages
 * (wal_consistency_checking) would find it.
 */
static bool
has_hints(BulkLeaf *leaf)
{
	BTPageOpaque opaque = leaf->opaque;
	OffsetNumber last = PageGetMaxOffsetNumber(leaf->page);

	if ((opaque->btpo_flags & (BTP_HAS_GARBAGE | BTP_SPLIT_END)) != 0 || opaque->btpo_cycleid != 0)
		return true;
	for (OffsetNumber offset = P_FIRSTDATAKEY(opaque); offset <= last; offset++)
	{
		if (ItemIdIsDead(PageGetItemId(leaf->page, offset)))
			return true;
	}
	return false;
}

/*
 * The record that the access method itself would write for each entry.
 */
static void
log_entries(BulkLeaf *leaf, const BulkEntry *entries, Size count)
{
	Page		page = BufferGetPage(leaf->buffer);

	START_CRIT_SECTION();
	for (Size i = 0; i < count; i++)
	{
		IndexTuple	tuple = entries[i].tuple;
		xl_btree_insert record = {.offnum = leaf->offsets[i]};
		XLogRecPtr	lsn;

		if (PageAddItem(page, (Item) tuple, MAXALIGN(IndexTupleSize(tuple)), leaf->offsets[i],
						false, false) == InvalidOffsetNumber)
			elog(PANIC, "could not add an entry to a page of index \"%s\"",
				 RelationGetRelationName(leaf->index));
		MarkBufferDirty(leaf->buffer);
		XLogBeginInsert();
		XLogRegisterData((char *) &record, SizeOfBtreeInsert);
		XLogRegisterBuffer(0, leaf->buffer, REGBUF_STANDARD);
		XLogRegisterBufData(0, (char *) tuple, IndexTupleSize(tuple));
		lsn = XLogInsert(RM_BTREE_ID, XLOG_BTREE_INSERT_LEAF);
		PageSetLSN(page, lsn);
	}
	END_CRIT_SECTION();
}

static void
log_difference(BulkLeaf *leaf)
{
	GenericXLogState *state = GenericXLogStart(leaf->index);
	Page		image = GenericXLogRegisterBuffer(state, leaf->buffer, 0);

	memcpy(image, leaf->page, BLCKSZ);
	GenericXLogFinish(state);
}

static void
log_page(BulkLeaf *leaf)
{
	START_CRIT_SECTION();
	memcpy(BufferGetPage(leaf->buffer), leaf->page, BLCKSZ);
	MarkBufferDirty(leaf->buffer);
	log_newpage_buffer(leaf->buffer, true);
	END_CRIT_SECTION();
}
