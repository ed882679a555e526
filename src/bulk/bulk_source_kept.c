/*
 * bulk_source_kept.c: rows of a query, or some of a cursor, that may be gone
 * through again.
 *
 * Only where rows can be rejected: otherwise the query is part of the INSERT.
 * All rows are kept, in memory up to work_mem, then in a temporary file.
 */
#include "postgres.h"

#include "bulk/bulk.h"
#include "executor/executor.h"
#include "executor/spi.h"
#include "executor/tstoreReceiver.h"
#include "miscadmin.h"
#include "utils/memutils.h"

typedef struct KeptSource
{
	BulkSource	base;
	Relation	target;
	const char *query;			/* or */
	BulkSource *from;
	uint64		rows_most;		/* of that */
	Tuplestorestate *rows;
	TupleTableSlot *row;
	int			told;			/* a read pointer of the tuplestore */
	uint64		told_row;
} KeptSource;

static KeptSource *make_source(uint64 row);
static void prepare_kept(BulkSource *base);
static void keep_query(KeptSource *source);
static void keep_others(KeptSource *source);
static bool next_kept(BulkSource *base, TupleTableSlot *slot);
static bool skip_kept(BulkSource *base);
static void tell_kept(BulkSource *base);
static void seek_kept(BulkSource *base);
static void finish_kept(BulkSource *base);

/*
 * Rows of a query, which is run once; the first comes after "row" others.
 */
BulkSource *
ar_bulk_source_query(Relation target, const char *query, uint64 row)
{
	KeptSource *source = make_source(row);

	source->target = target;
	source->query = query;
	return &source->base;
}

/*
 * The next rows of another source, "rows_most" of them at most.
 */
BulkSource *
ar_bulk_source_some(BulkSource *from, uint64 rows_most, uint64 row)
{
	KeptSource *source = make_source(row);

	source->from = from;
	source->rows_most = rows_most;
	return &source->base;
}

static KeptSource *
make_source(uint64 row)
{
	KeptSource *source = palloc0(sizeof(KeptSource));

	source->base.prepare = prepare_kept;
	source->base.next = next_kept;
	source->base.skip = skip_kept;
	source->base.tell = tell_kept;
	source->base.seek = seek_kept;
	source->base.finish = finish_kept;
	source->base.row = row;
	return source;
}

static void
prepare_kept(BulkSource *base)
{
	KeptSource *source = (KeptSource *) base;

	source->rows = tuplestore_begin_heap(true, false, work_mem);
	source->told = tuplestore_alloc_read_pointer(source->rows, EXEC_FLAG_REWIND);
	if (source->from != NULL)
		keep_others(source);
	else
		keep_query(source);
	source->row = MakeSingleTupleTableSlot(base->desc, &TTSOpsMinimalTuple);
	base->rows = base->row + tuplestore_tuple_count(source->rows);
}

static void
keep_query(KeptSource *source)
{
	SPIExecuteOptions options = {0};
	MemoryContext context = CurrentMemoryContext;

	ar_bulk_insert_columns(source->target, source->query, &source->base.desc);
	options.dest = CreateTuplestoreDestReceiver();
	SetTuplestoreDestReceiverParams(options.dest, source->rows, context, false, NULL, NULL);
	if (SPI_connect() != SPI_OK_CONNECT ||
		SPI_execute_extended(source->query, &options) < 0)
		elog(ERROR, "could not run the query");
	SPI_finish();
}

static void
keep_others(KeptSource *source)
{
	BulkSource *from = source->from;
	TupleTableSlot *slot;

	from->prepare(from);
	source->base.desc = from->desc;
	slot = MakeSingleTupleTableSlot(from->desc, &TTSOpsVirtual);
	for (uint64 i = 0; i < source->rows_most && from->next(from, slot); i++)
		tuplestore_puttupleslot(source->rows, slot);
	ExecDropSingleTupleTableSlot(slot);
}

static bool
next_kept(BulkSource *base, TupleTableSlot *slot)
{
	KeptSource *source = (KeptSource *) base;
	int			natts = base->desc->natts;

	ExecClearTuple(slot);
	if (!tuplestore_gettupleslot(source->rows, true, false, source->row))
		return false;
	base->row++;
	slot_getallattrs(source->row);
	memcpy(slot->tts_values, source->row->tts_values, natts * sizeof(Datum));
	memcpy(slot->tts_isnull, source->row->tts_isnull, natts * sizeof(bool));
	ExecStoreVirtualTuple(slot);
	return true;
}

static bool
skip_kept(BulkSource *base)
{
	if (!tuplestore_advance(((KeptSource *) base)->rows, true))
		return false;
	base->row++;
	return true;
}

static void
tell_kept(BulkSource *base)
{
	KeptSource *source = (KeptSource *) base;

	tuplestore_copy_read_pointer(source->rows, 0, source->told);
	source->told_row = base->row;
}

static void
seek_kept(BulkSource *base)
{
	KeptSource *source = (KeptSource *) base;

	ExecClearTuple(source->row);
	tuplestore_copy_read_pointer(source->rows, source->told, 0);
	base->row = source->told_row;
}

static void
finish_kept(BulkSource *base)
{
	KeptSource *source = (KeptSource *) base;

	ExecDropSingleTupleTableSlot(source->row);
	tuplestore_end(source->rows);
}
