/*
 * bulk_index.h: index entries of many rows.
 *
 * What a row by row load costs is mostly the search for the place of each
 * entry in each index, in random order.  Here the rows go into the table
 * first; their entries are collected and go into each index in the order of
 * its keys.
 */
#ifndef AR_BULK_INDEX_H
#define AR_BULK_INDEX_H

#include "postgres.h"

#include "access/itup.h"
#include "executor/tuptable.h"
#include "nodes/execnodes.h"
#include "utils/rel.h"
#include "utils/sortsupport.h"

/* ---- bulk_index.c: what the writer calls ---- */

typedef struct BulkIndexes BulkIndexes;

extern void ar_bulk_index_init(void);
extern BulkIndexes *ar_bulk_index_begin(ResultRelInfo *rel, EState *estate, Size memory_limit);
extern void ar_bulk_index_collect(BulkIndexes *indexes, TupleTableSlot **slots, int n,
								  const uint64 *row_numbers);
extern void ar_bulk_index_flush(BulkIndexes *indexes);
extern void ar_bulk_index_end(BulkIndexes *indexes);

/* ---- bulk_index_sort.c: the order of keys ---- */

/* How to get an integer that orders as a column's values do. */
typedef enum BulkKeyKind
{
	AR_BULK_KEY_INT16,
	AR_BULK_KEY_INT32,
	AR_BULK_KEY_INT64,
	AR_BULK_KEY_OID,
	AR_BULK_KEY_BYTE,			/* boolean, "char" */
	AR_BULK_KEY_FLOAT8,
	AR_BULK_KEY_UUID,
	AR_BULK_KEY_VARLENA,		/* text, bytea: by bytes */
	AR_BULK_KEY_CSTRING,		/* name */
	AR_BULK_KEY_OTHER			/* only its comparison function knows */
} BulkKeyKind;

typedef struct BulkKey
{
	BulkKeyKind kind;
	bool		is_descending;
	bool		nulls_first;
	SortSupportData support;	/* with AR_BULK_KEY_OTHER */
} BulkKey;

typedef struct BulkEntry
{
	uint64		prefix;			/* a part of the key, as an integer */
	IndexTuple	tuple;
} BulkEntry;

typedef struct BulkOrder
{
	TupleDesc	desc;
	int			count;
	bool		has_nulls;		/* there are entries with null */
	BulkKey		keys[INDEX_MAX_KEYS];
} BulkOrder;

extern BulkOrder *ar_bulk_index_order(Relation index);
extern void ar_bulk_index_sort(BulkOrder *order, BulkEntry *entries, Size count);
extern uint64 ar_bulk_index_prefix(BulkOrder *order, IndexTuple tuple);
extern int	ar_bulk_index_compare(BulkOrder *order, const BulkEntry *a, const BulkEntry *b);

/* ---- bulk_index_spill.c: more entries than memory ---- */

typedef struct BulkSpill BulkSpill;

extern BulkSpill *ar_bulk_spill_begin(BulkOrder *order);
extern void ar_bulk_spill_write(BulkSpill *spill, const BulkEntry *entries, Size count);
extern Size ar_bulk_spill_read(BulkSpill *spill, BulkEntry *entries, Size room, Size memory);
extern void ar_bulk_spill_end(BulkSpill *spill);

/* ---- bulk_index_leaf.c: several entries into one leaf of a btree ---- */

typedef struct BulkLeaf BulkLeaf;

typedef enum BulkLeafEnd
{
	AR_BULK_LEAF_PLACED,
	AR_BULK_LEAF_SEARCH,		/* the entry belongs to another leaf */
	AR_BULK_LEAF_METHOD			/* the entry is one for the access method */
} BulkLeafEnd;

extern BulkLeaf *ar_bulk_leaf_begin(Relation index, Relation heap);
extern BulkLeafEnd ar_bulk_leaf_insert(BulkLeaf *leaf, const BulkEntry *entries, Size count,
									   Size *placed);

#endif							/* AR_BULK_INDEX_H */
