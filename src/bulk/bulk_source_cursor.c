/*
 * bulk_source_cursor.c: rows of a cursor, of which each INSERT takes some.
 *
 * The cursor outlives commits: at the first, the server keeps the rest of its
 * rows, as for a loop of PL/pgSQL.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "bulk/bulk.h"
#include "executor/spi.h"
#include "executor/tuptable.h"
#include "utils/memutils.h"
#include "utils/portal.h"

#define FETCH_ROWS 1000

typedef struct CursorSource
{
	BulkSource	base;
	Portal		portal;
	SPITupleTable *rows;		/* fetched, or NULL */
	uint64		count;
	uint64		next;			/* of them */
} CursorSource;

static void prepare_cursor(BulkSource *base);
static bool next_cursor(BulkSource *base, TupleTableSlot *slot);
static bool skip_cursor(BulkSource *base);

/*
 * Rows of a cursor.  SPI has to stay connected.
 */
BulkSource *
ar_bulk_source_cursor(Portal portal, uint64 rows_expected)
{
	CursorSource *source = palloc0(sizeof(CursorSource));

	source->base.prepare = prepare_cursor;
	source->base.next = next_cursor;
	source->base.skip = skip_cursor;
	source->base.desc = CreateTupleDescCopy(portal->tupDesc);
	source->base.rows = rows_expected;
	source->portal = portal;
	return &source->base;
}

static void
prepare_cursor(BulkSource *base)
{
}

/*
 * Is there another row?
 */
bool
ar_bulk_source_cursor_has_more(BulkSource *base)
{
	CursorSource *source = (CursorSource *) base;
	MemoryContext caller = CurrentMemoryContext;

	if (source->next < source->count)
		return true;
	if (source->rows != NULL)
		SPI_freetuptable(source->rows);
	SPI_cursor_fetch(source->portal, true, FETCH_ROWS);
	MemoryContextSwitchTo(caller);
	source->rows = SPI_tuptable;
	source->count = SPI_processed;
	source->next = 0;
	return source->count > 0;
}

static bool
next_cursor(BulkSource *base, TupleTableSlot *slot)
{
	CursorSource *source = (CursorSource *) base;

	ExecClearTuple(slot);
	if (!ar_bulk_source_cursor_has_more(base))
		return false;
	base->row++;
	heap_deform_tuple(source->rows->vals[source->next++], source->rows->tupdesc,
					  slot->tts_values, slot->tts_isnull);
	ExecStoreVirtualTuple(slot);
	return true;
}

static bool
skip_cursor(BulkSource *base)
{
	if (!ar_bulk_source_cursor_has_more(base))
		return false;
	base->row++;
	((CursorSource *) base)->next++;
	return true;
}
