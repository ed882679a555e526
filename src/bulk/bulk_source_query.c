/*
 * bulk_source_query.c: rows of a query that may be gone through again.
 *
 * Only where rows can be rejected: otherwise the query is part of the INSERT.
 * All its rows are kept, in memory up to work_mem, then in a temporary file.
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
	const char *query;
	Tuplestorestate *rows;
	TupleTableSlot *row;
	int			told;			/* a read pointer of the tuplestore */
	uint64		told_row;
} KeptSource;

static void prepare_query(BulkSource *base);
static bool next_query(BulkSource *base, TupleTableSlot *slot);
static void skip_query(BulkSource *base);
static void tell_query(BulkSource *base);
static void seek_query(BulkSource *base);

/*
 * Rows of a query, which is run once.
 */
BulkSource *
ar_bulk_source_query(Relation target, const char *query)
{
	KeptSource *source = palloc0(sizeof(KeptSource));

	source->base.prepare = prepare_query;
	source->base.next = next_query;
	source->base.skip = skip_query;
	source->base.tell = tell_query;
	source->base.seek = seek_query;
	source->target = target;
	source->query = query;
	return &source->base;
}

static void
prepare_query(BulkSource *base)
{
	KeptSource *source = (KeptSource *) base;
	SPIExecuteOptions options = {0};
	MemoryContext context = CurrentMemoryContext;

	ar_bulk_insert_columns(source->target, source->query, &base->desc);
	source->rows = tuplestore_begin_heap(true, false, work_mem);
	source->told = tuplestore_alloc_read_pointer(source->rows, EXEC_FLAG_REWIND);
	source->row = MakeSingleTupleTableSlot(base->desc, &TTSOpsMinimalTuple);
	options.dest = CreateTuplestoreDestReceiver();
	SetTuplestoreDestReceiverParams(options.dest, source->rows, context, false, NULL, NULL);
	if (SPI_connect() != SPI_OK_CONNECT ||
		SPI_execute_extended(source->query, &options) < 0)
		elog(ERROR, "could not run the query");
	SPI_finish();
	base->rows = tuplestore_tuple_count(source->rows);
}

static bool
next_query(BulkSource *base, TupleTableSlot *slot)
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

static void
skip_query(BulkSource *base)
{
	if (tuplestore_advance(((KeptSource *) base)->rows, true))
		base->row++;
}

static void
tell_query(BulkSource *base)
{
	KeptSource *source = (KeptSource *) base;

	tuplestore_copy_read_pointer(source->rows, 0, source->told);
	source->told_row = base->row;
}

static void
seek_query(BulkSource *base)
{
	KeptSource *source = (KeptSource *) base;

	ExecClearTuple(source->row);
	tuplestore_copy_read_pointer(source->rows, source->told, 0);
	base->row = source->told_row;
}
