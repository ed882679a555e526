/*
 * bulk_index.c: index entries of many rows.
 *
 * Each row's entries are inserted when the row is collected.
 */
#include "postgres.h"

#include "bulk/bulk.h"
#include "executor/executor.h"

struct BulkIndexes
{
	ResultRelInfo *rel;
	EState	   *estate;
	uint64		row_at_work;
};

static void row_error_callback(void *arg);

/*
 * Begin to insert into the indexes of a relation, which are open.  Ends with
 * ar_bulk_index_end(); may use as much memory as "memory_limit" says.
 */
BulkIndexes *
ar_bulk_index_begin(ResultRelInfo *rel, EState *estate, Size memory_limit)
{
	BulkIndexes *indexes = palloc(sizeof(BulkIndexes));

	indexes->rel = rel;
	indexes->estate = estate;
	return indexes;
}

/*
 * Take rows that are in the table.  Their numbers are for errors.
 */
void
ar_bulk_index_collect(BulkIndexes *indexes, TupleTableSlot **slots, int n,
					  const uint64 *row_numbers)
{
	ErrorContextCallback callback = {.previous = error_context_stack,
	.callback = row_error_callback,.arg = indexes};

	error_context_stack = &callback;
	for (int i = 0; i < n; i++)
	{
		indexes->row_at_work = row_numbers[i];
		list_free(ExecInsertIndexTuples(indexes->rel, slots[i], indexes->estate, false,
										false, NULL, NIL, false));
		ResetPerTupleExprContext(indexes->estate);
	}
	error_context_stack = callback.previous;
}

static void
row_error_callback(void *arg)
{
	const BulkIndexes *indexes = arg;

	errcontext("row %llu", (unsigned long long) indexes->row_at_work);
}

/*
 * Afterwards every row that was collected is in every index.
 */
void
ar_bulk_index_flush(BulkIndexes *indexes)
{
}

void
ar_bulk_index_end(BulkIndexes *indexes)
{
	pfree(indexes);
}
