/*
 * watch.h: statements that look rows up one key at a time.
 *
 * A statement that returns rows with keys of relationships is a source.  One
 * that looks rows up by a single such key is a lookup.  Many lookups of one
 * shape with keys of one source are an N+1: one statement for the list, and
 * one more for each row of it.
 */
#ifndef AR_WATCH_H
#define AR_WATCH_H

#include "postgres.h"

#include "access/attnum.h"
#include "executor/execdesc.h"
#include "executor/tuptable.h"
#include "nodes/params.h"
#include "nodes/plannodes.h"
#include "portability/instr_time.h"
#include "utils/timestamp.h"

/* Foreign keys with more columns are not watched. */
#define AR_WATCH_KEY_COLUMNS_MAX 8

/* A longer call of prefetch is not given. */
#define AR_WATCH_CALL_BYTES_MAX 4096

/* How many keys of one statement are considered. */
#define AR_WATCH_KEYS_MAX 32

typedef enum WatchMode
{
	AR_WATCH_OFF,
	AR_WATCH_LOG,
	AR_WATCH_NOTICE,
	AR_WATCH_ERROR
} WatchMode;

/*
 * Columns of a table that hold the key of a relationship: a foreign key, or
 * what foreign keys refer to.
 */
typedef struct WatchKey
{
	uint32		domain;			/* the same for all that can be compared */
	Oid			table;
	Oid			constraint;		/* the foreign key; InvalidOid: what it refers
								 * to */
} WatchKey;

typedef struct TableKey
{
	WatchKey	key;
	int			count;
	AttrNumber	column[AR_WATCH_KEY_COLUMNS_MAX];	/* in the order of the
													 * referenced columns */
} TableKey;

/* The keys of a table. */
typedef struct KeyedTable
{
	Oid			table;			/* key of the cache */
	int			count;
	uint64		columns;		/* bits of the columns that are in any key */
	TableKey   *keys;
} KeyedTable;

static inline uint64
ar_watch_column_bit(AttrNumber column)
{
	return UINT64CONST(1) << (column & 63);
}

/*
 * False: the column is in no key of the table.
 */
static inline bool
ar_watch_in_key(const KeyedTable *table, AttrNumber column)
{
	return (table->columns & ar_watch_column_bit(column)) != 0;
}

/* A key that a statement returns, and where its columns are. */
typedef struct EmittedKey
{
	WatchKey	key;
	int			count;
	AttrNumber	position[AR_WATCH_KEY_COLUMNS_MAX];
} EmittedKey;

/* A key by which a statement looks rows up. */
typedef struct LookupKey
{
	WatchKey	key;
	uint64		hash;			/* of the domain and the value */
} LookupKey;

/* The keys that a statement has returned. */
typedef struct KeyFilter
{
	MemoryContext context;
	int			layers;
	uint32		count;			/* of the last layer */
	uint32		total;
	uint64	   *layer[4];
} KeyFilter;

/* A source, or a lookup, that runs. */
typedef struct WatchedStatement
{
	struct WatchedStatement *next;
	QueryDesc  *query;
	uint64		serial;
	uint64		shape;			/* 0: not yet asked for */
	bool		has_row;		/* the first row is kept in "first" */
	bool		is_spi;			/* its rows go to a function */
	bool		is_full;
	int			emitted_count;
	EmittedKey	emitted[AR_WATCH_KEYS_MAX];
	uint64		first[AR_WATCH_KEYS_MAX];
	uint64		source;			/* serial of the source that it has become; 0:
								 * none */
	int			source_slot;
	uint64		parent;			/* serial of the source whose key it looks up;
								 * 0: none */
	int			parent_slot;
	int			counter;		/* which of its counters */
	instr_time	duration;		/* of its execution so far */
} WatchedStatement;

/* What is known of an N+1 when it is found. */
typedef struct Finding
{
	uint64		shape;
	const char *relationship;	/* as in "users.posts.comments" */
	const char *table;			/* that is looked up, qualified */
	const char *columns;
	const char *statement;
	const char *source;
	Oid			source_role;	/* as whom it ran */
	const char *function;		/* PL/pgSQL function and line; or NULL */
	const char *call;			/* of prefetch; or NULL */
	int64		times;
	int64		distinct;
	int64		nanoseconds;
} Finding;

/* watch_setting.c */
extern int	ar_watch_mode;
extern int	ar_watch_threshold;
extern int	ar_watch_window;
extern double ar_watch_min_ms;
extern void ar_watch_init(void);
extern bool ar_watch_is_ignored(Oid table, const char *function);

/* watch_hook.c */
extern void ar_watch_install_hooks(void);

/* watch_key.c */
extern void ar_watch_check_keys(void);
extern const KeyedTable *ar_watch_table(Oid table);
extern const char *ar_watch_step(const WatchKey *from, const WatchKey *to, const List *relations,
								 Oid *target);

/* watch_plan.c */
extern int	ar_watch_emitted(PlannedStmt *statement, EmittedKey *emitted);
extern int	ar_watch_lookups(QueryDesc *query, LookupKey *lookups);
extern uint64 ar_watch_shape(PlannedStmt *statement);
extern bool ar_watch_is_count(PlannedStmt *statement);
extern bool ar_watch_row_key(TupleTableSlot *slot, const EmittedKey *key, uint64 *hash);

/* watch_filter.c */
extern void ar_watch_filter_reset(KeyFilter *filter);
extern bool ar_watch_filter_has(const KeyFilter *filter, uint64 hash);
extern bool ar_watch_filter_add(KeyFilter *filter, uint64 hash);
extern bool ar_watch_filter_is_full(const KeyFilter *filter);

/* watch_source.c */
extern int	ar_watch_source_count;
extern void ar_watch_row(WatchedStatement *statement, TupleTableSlot *slot);
extern bool ar_watch_lookup(WatchedStatement *statement, const LookupKey *lookups, int count);
extern void ar_watch_lookup_end(WatchedStatement *statement);
extern void ar_watch_sources_end(void);
extern void ar_watch_client_end(void);

/* watch_finding.c */
extern char *ar_watch_statement_text(QueryDesc *query);
extern char *ar_watch_function(void);
extern char *ar_watch_call(const char *statement, ParamListInfo params, const char *path);
extern void ar_watch_tell(const Finding *finding);

/* watch_variable.c */
extern char *ar_watch_name_variables(const char *statement, const char **values);

/* watch_report.c */
extern void ar_watch_report_init(void);
extern bool ar_watch_report_known(uint64 shape);
extern uint64 ar_watch_report_resets(void);
extern void ar_watch_report_note(const Finding *finding);
extern void ar_watch_report_add(uint64 shape, int64 times, int64 distinct, int64 nanoseconds);

#endif							/* AR_WATCH_H */
