/*
 * bulk_index_spill.c: more index entries than memory.
 *
 * Sorted entries are written to a temporary file as a run, and at the end all
 * runs are read at once, the least entry first.
 */
#include "postgres.h"

#include "bulk/bulk.h"
#include "miscadmin.h"
#include "storage/buffile.h"
#include "utils/memutils.h"

#define AR_BULK_READ_LEAST (16 * 1024)
#define AR_BULK_READ_MOST (256 * 1024)

/* A sorted part of the entries. */
typedef struct BulkRun
{
	int			file;			/* where the part begins that was not read yet */
	off_t		offset;
	Size		rest;			/* bytes of it */
	char	   *buffer;
	Size		filled;
	Size		at;				/* of the entry behind "head" */
	BulkEntry	head;			/* the next entry */
} BulkRun;

struct BulkSpill
{
	BulkOrder  *order;
	BufFile    *file;
	BulkRun    *runs;
	int			count;
	int			room;

	/* of reading */
	Size		buffer_size;	/* 0: not begun */
	BulkRun   **heap;			/* the runs that are not over, the least first */
	int			heap_count;
	BulkRun    *empty;			/* the one that has to be read on */
};

static void begin_reading(BulkSpill *spill, Size memory);
static bool advance(BulkSpill *spill, BulkRun *run);
static bool has_whole_entry(const BulkRun *run);
static void fill(BulkSpill *spill, BulkRun *run);
static void push(BulkSpill *spill, BulkRun *run);
static void sift_down(BulkSpill *spill);
static bool is_less(BulkSpill *spill, const BulkRun *a, const BulkRun *b);

/*
 * Lives in the current context, its file until ar_bulk_spill_end() or the end
 * of the current resource owner.
 */
BulkSpill *
ar_bulk_spill_begin(BulkOrder *order)
{
	BulkSpill  *spill = palloc0(sizeof(BulkSpill));

	spill->order = order;
	spill->file = BufFileCreateTemp(false);
	spill->room = 8;
	spill->runs = palloc(spill->room * sizeof(BulkRun));
	return spill;
}

/*
 * Write sorted entries as a run.
 */
void
ar_bulk_spill_write(BulkSpill *spill, const BulkEntry *entries, Size count)
{
	BulkRun    *run;

	Assert(spill->buffer_size == 0);
	if (spill->count == spill->room)
	{
		spill->room *= 2;
		spill->runs = repalloc(spill->runs, spill->room * sizeof(BulkRun));
	}
	run = &spill->runs[spill->count++];
	memset(run, 0, sizeof(BulkRun));
	BufFileTell(spill->file, &run->file, &run->offset);
	for (Size i = 0; i < count; i++)
	{
		Size		size = MAXALIGN(IndexTupleSize(entries[i].tuple));

		CHECK_FOR_INTERRUPTS();
		BufFileWrite(spill->file, entries[i].tuple, size);
		run->rest += size;
	}
}

/*
 * Would it take more than "memory" bytes to read one more run with the others?
 */
bool
ar_bulk_spill_is_full(const BulkSpill *spill, Size memory)
{
	return (Size) (spill->count + 1) * AR_BULK_READ_LEAST > memory;
}

/*
 * Read on: the next entries of all runs in their order, "room" at most.
 *
 * Returns how many, 0 at the end.  They live until the next call.  The buffers
 * take "memory" bytes, or as little as can be.
 */
Size
ar_bulk_spill_read(BulkSpill *spill, BulkEntry *entries, Size room, Size memory)
{
	Size		count = 0;

	if (spill->buffer_size == 0)
		begin_reading(spill, memory);
	if (spill->empty != NULL)
	{
		fill(spill, spill->empty);
		if (advance(spill, spill->empty))
			push(spill, spill->empty);
		spill->empty = NULL;
	}
	while (count < room && spill->heap_count > 0)
	{
		BulkRun    *run = spill->heap[0];

		entries[count++] = run->head;
		if (advance(spill, run))
		{
			sift_down(spill);
			continue;
		}
		spill->heap[0] = spill->heap[--spill->heap_count];
		sift_down(spill);
		if (run->rest > 0)
		{
			/* to read on would take away what was given */
			spill->empty = run;
			break;
		}
	}
	return count;
}

static void
begin_reading(BulkSpill *spill, Size memory)
{
	Size		size = memory / spill->count;

	size = Max(AR_BULK_READ_LEAST, Min(size, AR_BULK_READ_MOST));
	spill->buffer_size = MAXALIGN_DOWN(size);
	spill->heap = palloc(spill->count * sizeof(BulkRun *));
	for (int i = 0; i < spill->count; i++)
	{
		BulkRun    *run = &spill->runs[i];

		run->buffer = palloc(spill->buffer_size);
		fill(spill, run);
		if (advance(spill, run))
			push(spill, run);
	}
}

/*
 * Make the next entry of a run's buffer its head.  False: the buffer has none.
 */
static bool
advance(BulkSpill *spill, BulkRun *run)
{
	if (!has_whole_entry(run))
		return false;
	run->head.tuple = (IndexTuple) (run->buffer + run->at);
	run->head.prefix = ar_bulk_index_prefix(spill->order, run->head.tuple);
	run->at += MAXALIGN(IndexTupleSize(run->head.tuple));
	return true;
}

static bool
has_whole_entry(const BulkRun *run)
{
	Size		left = run->filled - run->at;

	return left >= sizeof(IndexTupleData) &&
		left >= MAXALIGN(IndexTupleSize((IndexTuple) (run->buffer + run->at)));
}

static void
fill(BulkSpill *spill, BulkRun *run)
{
	Size		left = run->filled - run->at;
	Size		wanted = Min(spill->buffer_size - left, run->rest);

	memmove(run->buffer, run->buffer + run->at, left);
	run->at = 0;
	run->filled = left + wanted;
	if (BufFileSeek(spill->file, run->file, run->offset, SEEK_SET) != 0)
		ereport(ERROR,
				errcode_for_file_access(),
				errmsg("could not seek in a temporary file of index entries: %m"));
	if (BufFileRead(spill->file, run->buffer + left, wanted) != wanted)
		ereport(ERROR,
				errcode_for_file_access(),
				errmsg("could not read from a temporary file of index entries: %m"));
	BufFileTell(spill->file, &run->file, &run->offset);
	run->rest -= wanted;
}

static void
push(BulkSpill *spill, BulkRun *run)
{
	int			at = spill->heap_count++;

	while (at > 0 && is_less(spill, run, spill->heap[(at - 1) / 2]))
	{
		spill->heap[at] = spill->heap[(at - 1) / 2];
		at = (at - 1) / 2;
	}
	spill->heap[at] = run;
}

/*
 * Put the first of the heap where it belongs.
 */
static void
sift_down(BulkSpill *spill)
{
	BulkRun    *run = spill->heap[0];
	int			at = 0;

	for (;;)
	{
		int			child = 2 * at + 1;

		if (child >= spill->heap_count)
			break;
		if (child + 1 < spill->heap_count &&
			is_less(spill, spill->heap[child + 1], spill->heap[child]))
			child++;
		if (!is_less(spill, spill->heap[child], run))
			break;
		spill->heap[at] = spill->heap[child];
		at = child;
	}
	spill->heap[at] = run;
}

static bool
is_less(BulkSpill *spill, const BulkRun *a, const BulkRun *b)
{
	return ar_bulk_index_compare(spill->order, &a->head, &b->head) < 0;
}

void
ar_bulk_spill_end(BulkSpill *spill)
{
	BufFileClose(spill->file);
	if (spill->buffer_size > 0)
	{
		for (int i = 0; i < spill->count; i++)
			pfree(spill->runs[i].buffer);
		pfree(spill->heap);
	}
	pfree(spill->runs);
	pfree(spill);
}
