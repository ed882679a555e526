/*
 * bulk.h: many rows in one call.
 *
 * A BulkSource gives rows; ar_bulk_insert() puts them into a relation.  It has
 * the server plan a real INSERT whose rows come from the source, so that every
 * default, cast, right, rule and view is the server's business; then either
 * the executor runs that plan, or, where ar_bulk_reasons() finds nothing
 * against it, bulk_writer.c takes the place of its ModifyTable node.
 *
 * What a row by row load costs is mostly the search for the place of each
 * entry in each index, in random order.  There the rows go into the table
 * first; their entries are collected and go into each index in the order of
 * its keys (bulk_index.c).
 */
#ifndef AR_BULK_H
#define AR_BULK_H

#include "postgres.h"

#include "access/itup.h"
#include "common/compat.h"
#include "executor/tuptable.h"
#include "nodes/execnodes.h"
#include "nodes/parsenodes.h"
#include "utils/portal.h"
#include "utils/rel.h"
#include "utils/sortsupport.h"
#include "utils/tuplestore.h"

/* ---- bulk_scan.c: JSON text, row by row ---- */

typedef enum BulkKind
{
	AR_BULK_NULL,
	AR_BULK_FALSE,
	AR_BULK_TRUE,
	AR_BULK_NUMBER,
	AR_BULK_STRING,
	AR_BULK_ARRAY,
	AR_BULK_OBJECT
} BulkKind;

/* A member of a row's object.  Points into the text. */
typedef struct BulkField
{
	const char *key;			/* without quotes; as long as rows have the
								 * same keys, that of the first of them */
	const char *value;			/* a string without quotes, others as written */
	int			key_length;
	int			lead_length;	/* from the key's quote to the value; 0: the
								 * field was never filled */
	int			length;
	BulkKind	kind;
	bool		key_is_escaped;
	bool		is_escaped;		/* a string with backslashes */
	bool		holds_escaped;	/* an array or object with such strings */
} BulkField;

typedef enum BulkScanError
{
	AR_BULK_SCAN_OK,
	AR_BULK_SCAN_ENDED,			/* the text ended too early */
	AR_BULK_SCAN_TOKEN,			/* no token of JSON */
	AR_BULK_SCAN_EXPECTED,		/* a token that does not belong there */
	AR_BULK_SCAN_CONTROL,		/* a control character in a string */
	AR_BULK_SCAN_ESCAPE,		/* no such escape sequence */
	AR_BULK_SCAN_HEX,			/* \u without four hexadecimal digits */
	AR_BULK_SCAN_ZERO,			/* \u0000 */
	AR_BULK_SCAN_SURROGATE,		/* half of a pair */
	AR_BULK_SCAN_SHAPE			/* JSON, but not rows */
} BulkScanError;

typedef struct BulkScan
{
	const char *at;
	const char *end;
	const char *start;
	bool		is_begun;
	bool		is_array;		/* an array of objects, else objects in lines */
	bool		is_ended;
	BulkField  *fields;
	int			count;
	int			room;
	int			last_count;		/* of the row before */
	bool		has_same_keys;	/* as the row before */
	char	   *nest;			/* the brackets that are open */
	int			nest_room;
	BulkScanError error;
	const char *error_at;
	const char *expected;		/* with AR_BULK_SCAN_EXPECTED and _SHAPE */
} BulkScan;

extern void ar_bulk_scan_init(BulkScan *scan, const char *text, size_t length);
extern void ar_bulk_scan_restart(BulkScan *scan, const char *text, size_t length);
extern bool ar_bulk_scan_row(BulkScan *scan);
extern int	ar_bulk_scan_unescape(BulkScan *scan, const char *string, int length, char *result);

/* Encode a code point in the server's encoding; what the scanner calls. */
extern int	ar_bulk_value_encode(unsigned int code_point, char *result);

/* ---- bulk_value.c: members of JSON objects as values of columns ---- */

typedef struct BulkColumn BulkColumn;

extern BulkColumn *ar_bulk_value_column(const char *name, Oid type, int32 typmod);
extern Datum ar_bulk_value(BulkColumn *column, BulkScan *scan, const BulkField *field,
						   bool *is_null);
extern Datum ar_bulk_value_null(BulkColumn *column, bool *is_null);
pg_noreturn extern void ar_bulk_value_raise(const BulkScan *scan);

/* ---- bulk_source_*.c: where rows come from ---- */

typedef struct BulkSource BulkSource;

/*
 * Rows whose columns are "desc", each named as a column of the target.
 *
 * prepare() comes first: it finds "desc" and how many rows there are.  next()
 * puts a row into a slot of that description, or returns false at the end;
 * what it stores lives until the next call.  skip() goes past a row, or returns
 * false at the end.  tell() remembers the place where the source is, seek() goes back there.  finish()
 * lets go of what may not be kept until the end of the transaction.
 */
struct BulkSource
{
	TupleDesc	desc;
	uint64		rows;
	void		(*prepare) (BulkSource *source);
	bool		(*next) (BulkSource *source, TupleTableSlot *slot);
	bool		(*skip) (BulkSource *source);
	void		(*tell) (BulkSource *source);
	void		(*seek) (BulkSource *source);
	void		(*finish) (BulkSource *source); /* or NULL */

	uint64		row;			/* number of the one at work */
	const char *column;			/* the one at work, for the context of errors;
								 * or NULL */
	const char *value;			/* and the beginning of its value; or NULL */
	int			value_length;
	bool		ignores_identity;	/* what rows give for identity columns is
									 * not taken */
	bool		keys_differ;	/* not all rows have the same columns */
	bool		is_volatile;	/* the source itself calls volatile functions */
};

extern BulkSource *ar_bulk_source_text(Relation target, const char *text, size_t length,
									   bool ignores_unknown_keys, bool takes_lines);
extern BulkSource *ar_bulk_source_jsonb(Relation target, Datum jsonb,
										bool ignores_unknown_keys);
extern BulkSource *ar_bulk_source_cursor(Portal portal, uint64 rows_expected);
extern bool ar_bulk_source_cursor_has_more(BulkSource *source);
extern BulkSource *ar_bulk_source_query(Relation target, const char *query, uint64 row);
extern BulkSource *ar_bulk_source_some(BulkSource *from, uint64 rows_most, uint64 row);
extern BulkSource *ar_bulk_source_array(Relation target, Datum array, List *columns,
										bool ignores_unknown_keys);
pg_noreturn extern void ar_bulk_source_raise_unknown(Relation target, const char *name);

/* ---- bulk_default.c: what a column is when a row does not say ---- */

extern Node *ar_bulk_default(Relation target, AttrNumber attnum);

/* ---- bulk_insert.c: the INSERT ---- */

typedef enum BulkConflict
{
	AR_BULK_CONFLICT_ERROR,
	AR_BULK_CONFLICT_NOTHING,
	AR_BULK_CONFLICT_UPDATE
} BulkConflict;

/* Errors are about no row, or about one that is not known; 0: the source knows. */
#define AR_BULK_NO_ROW PG_UINT64_MAX

typedef struct BulkInsert
{
	Relation	target;
	BulkSource *source;			/* or */
	const char *query;
	BulkConflict on_conflict;
	List	   *conflict_columns;	/* of char *; NIL: any, or the primary key */
	const char *overriding;		/* "system", "user" or NULL */
	Tuplestorestate *returning; /* where the inserted rows go, or NULL */
	TupleDesc	returning_desc; /* of them there */

	struct BulkRejects *rejects;	/* where rows that are wrong are listed,
									 * or NULL */
	bool		avoids_fast_path;
	uint64		rows_most;		/* to be taken from the source; 0: all */

	/* of the run */
	bool		is_prepared;	/* the source is */
	bool		is_streaming;	/* the plan asks the source itself */
	uint64		rows_taken;
	uint64		row_at_work;	/* for the context of errors */
	uint64		failed_entry;	/* the row whose index entry one is about, or
								 * 0 */
	const char *sql;			/* that is analyzed, for positions of errors */
	bool		took_fast_path;
	EState	   *estate;			/* of the plan that runs, or NULL */
	struct BulkSequences *sequences;	/* whose values the writer takes, or
										 * NULL */
} BulkInsert;

extern void ar_bulk_insert_prepare(BulkInsert *insert);
extern uint64 ar_bulk_insert(BulkInsert *insert);
extern List *ar_bulk_insert_columns(Relation target, const char *query, TupleDesc *desc);
extern List *ar_bulk_insert_columns_but(Relation target, const char *query, const char *key,
										TupleDesc *desc);
extern SelectStmt *ar_bulk_insert_parse(const char *query, int *length);

/* ---- bulk_skip.c: the good rows, and a list of the others ---- */

extern void ar_bulk_skip_begin(BulkInsert *insert);
extern uint64 ar_bulk_skip(BulkInsert *insert);
extern void ar_bulk_skip_tell(const BulkInsert *insert);
extern void ar_bulk_skip_end(BulkInsert *insert);

/* ---- bulk_reason.c: what the fast path cannot honour ---- */

extern List *ar_bulk_reasons(Relation target);
extern List *ar_bulk_reasons_default(Relation target);
extern bool ar_bulk_reason_volatile(Node *node);
extern const char *ar_bulk_reason_partition(Relation partition);

/* ---- bulk_sequence.c: values of sequences, many at a time ---- */

typedef struct BulkSequences BulkSequences;

extern int	ar_bulk_sequences_users(Query *query);
extern BulkSequences *ar_bulk_sequences_begin(PlannedStmt *plan, int users);
extern void ar_bulk_sequences_fill(BulkSequences *sequences, TupleTableSlot *slot);
extern void ar_bulk_sequences_end(BulkSequences *sequences);

/* ---- bulk_writer.c: the fast path ---- */

extern bool ar_bulk_writer_fits(const ModifyTableState *state);
extern TupleTableSlot *ar_bulk_writer_run(ModifyTableState *state, BulkInsert *insert);

/* ---- bulk_index.c: what the writer calls ---- */

typedef struct BulkIndexes BulkIndexes;

extern void ar_bulk_index_init(void);
extern BulkIndexes *ar_bulk_index_begin(ResultRelInfo *rel, EState *estate, Size memory_limit,
										uint64 *failed_row);
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
extern bool ar_bulk_spill_is_full(const BulkSpill *spill, Size memory);
extern Size ar_bulk_spill_read(BulkSpill *spill, BulkEntry *entries, Size room, Size memory);
extern void ar_bulk_spill_end(BulkSpill *spill);

/* ---- bulk_index_leaf.c: several entries into one leaf of a btree ---- */

typedef struct BulkLeaf BulkLeaf;

typedef enum BulkLeafEnd
{
	AR_BULK_LEAF_PLACED,
	AR_BULK_LEAF_SEARCH,		/* the entry belongs to another leaf */
	AR_BULK_LEAF_APPEND,		/* it is to begin a leaf behind the last */
	AR_BULK_LEAF_METHOD			/* the entry is one for the access method */
} BulkLeafEnd;

extern BulkLeaf *ar_bulk_leaf_begin(Relation index, Relation heap, ItemPointer tid);
extern BulkLeafEnd ar_bulk_leaf_insert(BulkLeaf *leaf, const BulkEntry *entries, Size count,
									   Size *placed);

/* ---- bulk_api.c: arguments ---- */

extern Relation ar_bulk_open_target(Oid target, LOCKMODE lockmode);
extern void ar_bulk_argument_check(FunctionCallInfo fcinfo, int n, const char *name);
extern void ar_bulk_argument_options(FunctionCallInfo fcinfo, int first, BulkInsert *insert);
extern bool ar_bulk_argument_skips(FunctionCallInfo fcinfo, int n);

#endif							/* AR_BULK_H */
