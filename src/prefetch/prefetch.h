/*
 * prefetch.h: rows and everything that hangs on them, as JSON, level by level.
 *
 * A PrefetchPlan is made from a query and paths: a tree of PathNodes, one for
 * each relationship that is followed.  Each level is read with a fixed number
 * of statements for a batch of parents, through the executor.
 */
#ifndef AR_PREFETCH_H
#define AR_PREFETCH_H

#include "postgres.h"

#include "common/parameter.h"
#include "executor/tuptable.h"
#include "fmgr.h"
#include "nodes/params.h"
#include "nodes/parsenodes.h"
#include "nodes/pg_list.h"
#include "parser/parser.h"
#include "pgtime.h"
#include "relationship/relationship.h"
#include "tcop/dest.h"
#include "utils/jsonb.h"
#include "utils/plancache.h"
#include "utils/sortsupport.h"

/* prefetch_path.c: paths as written ----------------------------------------- */

typedef struct PathOrder
{
	char	   *column;
	bool		descending;
	bool		nulls_first;
} PathOrder;

typedef struct PathStep
{
	const char *path;			/* the whole text */
	int			position;		/* of this step in it */
	char	   *alias;			/* or NULL */
	char	   *name;
	List	   *pins;			/* of char * */
	bool		inner;
	bool		count;			/* followed by .count() */
	int			depth;			/* of a recursion; 0: none */
	bool		has_arguments;
	List	   *columns;		/* of char *; NIL: all */
	char	   *where;			/* or NULL */
	List	   *order;			/* of PathOrder * */
	int64		limit;			/* -1: none */
} PathStep;

extern List *ar_prefetch_parse_path(const char *path);

/* prefetch_text.c: SQL that comes from the caller --------------------------- */

typedef struct PrefetchPlan PrefetchPlan;

/* what the parameters are called that are arrays of keys, before their number */
#define AR_PREFETCH_KEY_PARAMETER "algo_ref_key_"

extern void ar_prefetch_check_expression(const char *text, const char *path);
extern NamedText *ar_prefetch_number_names(const char *text);
extern List *ar_prefetch_parse(const NamedText *named, RawParseMode mode);
extern Query *ar_prefetch_analyze(PrefetchPlan *plan, const NamedText *named,
								  RawStmt *statement);
extern void ar_prefetch_text_error_callback(void *arg);

/* prefetch_statement.c: a statement that is prepared once ------------------- */

typedef struct PrefetchStatement
{
	char	   *sql;
	char	  **names;			/* of its parameters */
	int			type_count;
	Oid		   *types;
	CachedPlanSource *source;
	bool		avoids_bitmaps; /* when it is planned */
} PrefetchStatement;

typedef struct PrefetchRun
{
	struct QueryDesc *query;
	CachedPlan *plan;
	ResourceOwner owner;
} PrefetchRun;

extern PrefetchStatement *ar_prefetch_prepare(const char *sql, RawStmt *parsed, int key_count,
											  const Oid *key_types, int name_count,
											  char **names, int cursor_options);
extern int	ar_prefetch_key_number(const char *name);
extern void ar_prefetch_forget(PrefetchStatement *statement);
extern ParamListInfo ar_prefetch_parameters(const PrefetchStatement *statement,
											const Datum *keys, Jsonb *values);
extern void ar_prefetch_begin(PrefetchRun *run, PrefetchStatement *statement,
							  ParamListInfo params, DestReceiver *receiver);
extern void ar_prefetch_end(PrefetchRun *run);
extern void ar_prefetch_check_rights(PrefetchStatement *statement);
extern bool ar_prefetch_scans_whole_table(PrefetchStatement *statement);

/* prefetch_json.c: values as row_to_json() writes them ---------------------- */

typedef struct JsonBuffer
{
	char	   *data;
	Size		length;
	Size		size;
} JsonBuffer;

typedef enum JsonForm
{
	AR_JSON_BOOL,
	AR_JSON_INT2,
	AR_JSON_INT4,
	AR_JSON_INT8,
	AR_JSON_NUMBER,				/* what its output function prints, if a
								 * number */
	AR_JSON_TEXT,
	AR_JSON_DATE,
	AR_JSON_TIMESTAMP,
	AR_JSON_TIMESTAMPTZ,
	AR_JSON_VERBATIM,			/* what its output function prints */
	AR_JSON_STRING,				/* the same, as a string */
	AR_JSON_OTHER				/* through to_json() */
} JsonForm;

typedef struct JsonColumn
{
	int			position;		/* in the slot, from 0 */
	char	   *prefix;			/* {"name": or ,"name": */
	int			prefix_length;
	char	   *name;
	Oid			base;			/* its type, below domains */
	JsonForm	form;
	FmgrInfo	function;
} JsonColumn;

/* What the jsonb objects of the rows of a node have in common. */
typedef struct JsonbShape
{
	int			count;			/* of keys */
	int		   *source;			/* of their values: a column; -1 - a child */
	uint32	   *head;			/* header and the entries of the keys */
	char	   *keys;
	Size		key_length;
} JsonbShape;

extern void ar_prefetch_json_column(JsonColumn *column, const char *name, Oid type,
									int position, bool first);
extern void ar_prefetch_json_value(JsonBuffer *buffer, JsonColumn *column, Datum value,
								   bool isnull);
extern void ar_prefetch_json_bare(JsonBuffer *buffer, JsonColumn *column, Datum value);
extern bool ar_prefetch_json_allocates(const JsonColumn *column);
extern void ar_prefetch_json_string(JsonBuffer *buffer, const char *text, Size length);
extern void ar_prefetch_json_reserve(JsonBuffer *buffer, Size more);

/* room for a number or a time */
static inline void
ar_prefetch_json_reserve_small(JsonBuffer *buffer)
{
	if (unlikely(buffer->length + 64 > buffer->size))
		ar_prefetch_json_reserve(buffer, 64);
}

static inline void
ar_prefetch_json_bytes(JsonBuffer *buffer, const char *bytes, Size length)
{
	if (unlikely(buffer->length + length > buffer->size))
		ar_prefetch_json_reserve(buffer, length);
	memcpy(buffer->data + buffer->length, bytes, length);
	buffer->length += length;
}

/* prefetch_plan.c: what has to be read -------------------------------------- */

/* from the type of a column to that by which keys are compared */
typedef struct KeyCast
{
	bool		is_needed;
	FmgrInfo	function;
} KeyCast;

typedef struct KeyColumn
{
	Oid			type;			/* by which it is compared, below domains */
	int16		length;
	bool		by_value;
	char		align;
	Oid			collation;
	FmgrInfo	hash;
	FmgrInfo	equal;
	KeyCast		near;			/* for the columns that keys come from */
	KeyCast		far;			/* for those that are looked up */
} KeyColumn;

/* Columns by which something is looked up. */
typedef struct KeyShape
{
	int			count;
	bool		is_integer;		/* one column of an integer type, at both
								 * sides */
	KeyColumn  *column;
} KeyShape;

typedef enum FetchStrategy
{
	AR_FETCH_INDEX,				/* column = ANY (keys), one plan for all, row
								 * by row */
	AR_FETCH_BITMAP,			/* the same, page by page if that costs less */
	AR_FETCH_JOIN_FEW,			/* join with the keys, one plan for all */
	AR_FETCH_JOIN,				/* join with the keys, planned for them */
	AR_FETCH_SCAN,				/* the whole table */
	AR_FETCH_PROBE,				/* ORDER BY and LIMIT for each key */
	AR_FETCH_STRATEGIES
} FetchStrategy;

/* How the rows of a table are looked up by key. */
typedef struct PrefetchFetch
{
	Oid			table;
	KeyShape	key;
	bool		has_index;		/* one that begins with the key's columns */
	bool		has_order_index;	/* and goes on with the order */
	double		table_rows;
	double		table_pages;
	double		rows_per_key;
	char	   *sql[AR_FETCH_STRATEGIES];	/* NULL where it does not apply */
	NamedText  *named[AR_FETCH_STRATEGIES];
	PrefetchStatement *statement[AR_FETCH_STRATEGIES];	/* made when needed */
	JsonColumn *key_json;		/* how the key is written, without a name */
	int		   *key_position;	/* of the key in the rows that come back */
	int			natts;
	Oid		   *att_types;
} PrefetchFetch;

typedef struct PathNode
{
	struct PathNode *parent;
	PathStep   *step;
	char	   *name;			/* key in the JSON of the parent's row */
	char	   *path;			/* dotted names from the top */
	int			level;
	Relationship *relationship; /* NULL at the top */
	bool		to_one;
	bool		count;
	bool		inner;
	bool		needs_inner;	/* it or something below is inner */
	bool		in_chain;		/* part of a recursion */
	int			chain_length;	/* how many nodes of it are above, with where
								 * it starts */
	int64		limit;
	List	   *children;		/* of PathNode * */
	int			child_count;
	struct PathNode **child;
	int			number;			/* among all nodes; 0 is the top */

	char	   *prefix;			/* ,"name": */
	int			prefix_length;
	bool		bare;			/* no column stands before the first child */

	/* where the rows of this node have what their children need */
	int		  **child_position; /* for each child, of its key's columns */
	int		   *identity;		/* in_chain or its parent: key of the row */
	KeyShape	identity_shape;

	bool		as_text;		/* several parents may share a row: it is
								 * written once */
	int			needed;			/* columns from the first on that have to be
								 * known when a row comes in */
	int			json_count;
	JsonColumn *json;
	JsonbShape	jsonb;
	bool		json_allocates; /* writing a row may leave memory behind */
	int			sort_count;
	int		   *sort_position;
	SortSupportData *sort;
	bool	   *sort_by_value;
	int16	   *sort_length;

	PrefetchFetch *link;		/* association table, or NULL */
	int		   *link_far_position;
	PrefetchFetch *fetch;
} PathNode;

/* what else than the search_path the reading of a text depends on */
typedef struct PlanSettings
{
	bool		row_security;
	bool		standard_conforming_strings;
	int			date_style;
	int			date_order;
	int			interval_style;
	pg_tz	   *time_zone;
} PlanSettings;

struct PrefetchPlan
{
	MemoryContext context;
	uint64		generation;
	Oid			user;
	int			pins;
	bool		stale;
	PrefetchPlan *next;
	char	   *query;
	int			path_count;
	char	  **paths;
	char	   *search_path;
	PlanSettings settings;
	bool		reads_clock;	/* good for one call */
	List	   *names;			/* of tables, without a schema, in the texts */
	List	   *named_tables;	/* Oids, what each of them means */
	PrefetchStatement *top_statement;
	TupleDesc	top_desc;
	List	   *statements;		/* all that were prepared */
	PathNode   *top;
	int			step_count;		/* nodes without the top */
	int			node_count;
	List	   *nodes;			/* parents before children */
	List	   *tables;			/* Oids, of the query and the relationships */
};

/* A node's statement: which columns it returns. */
typedef struct ColumnSet
{
	int			count;
	AttrNumber *column;			/* ascending */
} ColumnSet;

extern void ar_prefetch_finish_children(PrefetchPlan *plan, PathNode *node);
extern void ar_prefetch_plan_below(PrefetchPlan *plan, PathNode *node);
extern void ar_prefetch_check_names(PathNode *node, List *names);
extern const AttrNumber *ar_prefetch_near_columns(const Relationship *r);
extern void ar_prefetch_finish_columns(PathNode *node);
extern const AttrNumber *ar_prefetch_identity_columns(const PathNode *node, int *count);
extern void ar_prefetch_need_column(ColumnSet *set, AttrNumber column);
extern int	ar_prefetch_position_of(const ColumnSet *set, AttrNumber column);

/* prefetch_cache.c: plans that are kept ------------------------------------- */

extern PrefetchPlan *ar_prefetch_plan(const char *query, int path_count, char **paths);
extern void ar_prefetch_unpin(PrefetchPlan *plan);

/* prefetch_tree.c: from paths to nodes -------------------------------------- */

extern void ar_prefetch_build_tree(PrefetchPlan *plan);
extern void ar_prefetch_expand_recursion(PrefetchPlan *plan, PathNode *node);

/* prefetch_query.c: the query, and its keys --------------------------------- */

extern void ar_prefetch_plan_query(PrefetchPlan *plan);

/* prefetch_fetch.c: how rows are found by key ------------------------------- */

extern PrefetchFetch *ar_prefetch_make_fetch(PathNode *node, Oid table, Oid near_table,
											 const AttrNumber *near_columns, const AttrNumber *columns,
											 const Oid *operators, int key_count, bool operators_point_to_near,
											 ColumnSet *set, List *order, const char *where, int64 limit,
											 const char *count_join);
extern void ar_prefetch_key_shape(KeyShape *key, Oid table, const AttrNumber *columns, int count);
extern PrefetchStatement *ar_prefetch_fetch_statement(PrefetchPlan *plan, PathNode *node,
													  PrefetchFetch *fetch,
													  FetchStrategy strategy);
extern const char *ar_prefetch_strategy_name(FetchStrategy strategy);

/* prefetch_key.c: distinct keys and their numbers --------------------------- */

typedef struct KeyTable
{
	const KeyShape *shape;
	MemoryContext context;
	MemoryContext key_context;
	int			count;
	int			allocated;
	uint32		mask;
	int32	   *slot;			/* number + 1; 0: free */
	int64	   *integer;		/* by number, of one integer */
	Datum	   *datum;			/* by number and column, of others */
	uint32	   *hash;
} KeyTable;

extern void ar_prefetch_key_init(KeyTable *table, const KeyShape *shape, MemoryContext context,
								 MemoryContext key_context);
extern void ar_prefetch_key_reset(KeyTable *table);
extern int	ar_prefetch_key_number_of(KeyTable *table, TupleTableSlot *slot, const int *position,
									  bool add);
extern Datum ar_prefetch_key_datum(const KeyTable *table, int number, int column);
extern void ar_prefetch_key_arrays(const KeyTable *table, int first, Datum *arrays);

/* An integer of 2, 4 or 8 bytes. */
static inline int64
ar_prefetch_integer(int16 length, Datum value)
{
	return length == 8 ? DatumGetInt64(value) : length == 4 ? DatumGetInt32(value) :
		DatumGetInt16(value);
}

/* prefetch_load.c: batches -------------------------------------------------- */

typedef struct PrefetchLoad PrefetchLoad;

typedef enum PrefetchOutput
{
	AR_PREFETCH_ROWS,			/* nested rows */
	AR_PREFETCH_JSONB,			/* the same as jsonb */
	AR_PREFETCH_SETS			/* each row once, by path */
} PrefetchOutput;

/* What sets are made of. */
typedef struct PrefetchSetRow
{
	const PathNode *node;
	bool		is_link;		/* from the association table of the node */
	bool		has_key;
	JsonBuffer	key;
	JsonBuffer	row;
} PrefetchSetRow;

/* What was read in one way. */
typedef struct PrefetchCounts
{
	const char *sql;
	int64		statements;
	int64		keys;
	int64		rows;
	double		milliseconds;
} PrefetchCounts;

extern PrefetchLoad *ar_prefetch_load_begin(PrefetchPlan *plan, Jsonb *values,
											PrefetchOutput output);
extern bool ar_prefetch_load_batch(PrefetchLoad *load);
extern void ar_prefetch_load_end(PrefetchLoad *load);

/* prefetch_write.c: what was read, put together ----------------------------- */

extern bool ar_prefetch_load_next(PrefetchLoad *load, JsonBuffer *row);

/* what is known of a batch: prefetch_load.c reads it, prefetch_group.c keeps it */

typedef struct Row
{
	void	   *data;			/* a MinimalTuple; as_text: JSON without "}" */
	uint32		length;			/* of the JSON */
	int32		group;			/* number of the key by which it was found */
	int32		identity;		/* in a recursion */
	int32		below[FLEXIBLE_ARRAY_MEMBER];	/* for each child, its group
												 * there, or -1 */
} Row;

/* A row of an association table. */
typedef struct Link
{
	int32		group;
	int32		far_group;
} Link;

/* A row that may be among the first of its group. */
typedef struct Candidate
{
	MinimalTuple tuple;
	Datum	   *sort;
	bool	   *sort_isnull;
	int64		arrival;
} Candidate;

typedef struct CandidateGroup
{
	Candidate  *candidates;
	int			count;
	int			allocated;
	bool		is_cut;			/* the last of the first "limit" is the worst
								 * wanted */
} CandidateGroup;

typedef struct NodeState
{
	PathNode   *node;
	bool		as_text;		/* rows are kept as they are written */
	bool		keeps_order;	/* rows have sort values */
	bool		bounds_rows;	/* a limit is kept as rows come in */
	bool		has_inner_child;
	KeyTable	keys;			/* that the parent's rows have: its groups */
	int			first_key;		/* of this batch; sets keep those of others */
	KeyTable	far_keys;		/* that the association's rows have */
	KeyTable   *identities;		/* of a recursion */

	TupleTableSlot *slot;		/* for rows that are kept as tuples */
	Size		stride;
	int			row_count;
	int			row_allocated;
	char	   *rows;
	Datum	   *sort;			/* by row and sort column */
	bool	   *sort_isnull;

	int			link_count;
	int			link_allocated;
	Link	   *links;
	int			candidate_allocated;
	CandidateGroup *candidates;
	int64		arrivals;

	/* groups: rows, as numbers, in order */
	int			group_allocated;
	int32	   *group_start;
	int32	   *group_count;
	int64	   *group_total;	/* where rows are counted */
	int			order_allocated;
	int32	   *order;
	int			far_allocated;
	int32	   *far_row;

	/* sets: which rows and groups something leads to; NULL: all of them */
	bool	   *row_reached;
	bool	   *group_reached;

	PrefetchCounts counts[AR_FETCH_STRATEGIES]; /* the query: the first */
	PrefetchCounts link_counts[AR_FETCH_STRATEGIES];
} NodeState;

typedef struct Receiver
{
	DestReceiver receiver;
	PrefetchLoad *load;
	NodeState  *state;
	KeyTable   *keys;
	int64		rows;
} Receiver;

struct PrefetchLoad
{
	MemoryContext context;
	MemoryContext batch_context;
	MemoryContext row_context;
	MemoryContextCallback unpin;
	PrefetchPlan *plan;
	Jsonb	   *values;
	PrefetchOutput output;
	bool		is_done;		/* the query has no more rows */
	JsonBuffer text;			/* of one row */
	int			block_count;	/* blocks of memory, used again by each batch */
	int			block_allocated;
	int			block_used;
	char	  **blocks;
	char	   *room;			/* what is left of the last one */
	Size		room_left;
	Size		room_bytes;		/* that the batch takes */
	PrefetchRun top;
	Receiver	top_receiver;
	double		expected_rows;	/* of the query, all together */
	uint64		batch_rows;
	int64		batches;
	int			next_row;		/* of the query; sets: of a node */
	bool		needs_all;		/* sets: one batch */
	int			next_node;		/* sets */
	int			next_group;
	bool		in_links;
	NodeState **states;			/* by the node's number */
	int32	   *identities;		/* of the rows being written, by node */
};

static inline Row *
ar_prefetch_row(const NodeState *state, int number)
{
	return (Row *) (state->rows + state->stride * number);
}

/* prefetch_write.c */
extern void ar_prefetch_write_columns(PrefetchLoad *load, const NodeState *state,
									  const Row *row, JsonBuffer *to);

extern bool ar_prefetch_closes_cycle(const PrefetchLoad *load, const PathNode *node,
									 const Row *row);

/* prefetch_jsonb.c: the same as jsonb --------------------------------------- */

extern void ar_prefetch_jsonb_shape(PathNode *node);
extern void ar_prefetch_jsonb_row(PrefetchLoad *load, const NodeState *state, const Row *row,
								  JsonBuffer *to);
extern void ar_prefetch_jsonb_text(PrefetchLoad *load, const NodeState *state,
								   const TupleTableSlot *slot, JsonBuffer *to);

/* prefetch_sets.c: what was read, each row once ------------------------------ */

extern bool ar_prefetch_needs_all(const PrefetchPlan *plan);
extern void ar_prefetch_reach(PrefetchLoad *load);
extern bool ar_prefetch_load_next_set(PrefetchLoad *load, PrefetchSetRow *to);

/*
 * Have the first rows of a group brought into the processor's cache: they lie
 * scattered.
 */
static inline void
ar_prefetch_fetch_ahead(const NodeState *state, const int32 *rows, int count)
{
	for (int i = 0; i < Min(count, 16); i++)
		__builtin_prefetch(ar_prefetch_row(state, rows[i])->data);
}

/* prefetch_group.c */
extern void ar_prefetch_add_row(PrefetchLoad *load, NodeState *state, TupleTableSlot *slot,
								int group);
extern void ar_prefetch_add_link(PrefetchLoad *load, NodeState *state, int group, int far_group);
extern void ar_prefetch_begin_counts(NodeState *state);
extern void ar_prefetch_begin_candidates(PrefetchLoad *load, NodeState *state);
extern void ar_prefetch_add_candidate(PrefetchLoad *load, NodeState *state, TupleTableSlot *slot,
									  int group);
extern void ar_prefetch_keep_candidates(PrefetchLoad *load, NodeState *state);
extern void ar_prefetch_group_rows(PrefetchLoad *load, NodeState *state);
extern bool ar_prefetch_is_alive(const PrefetchLoad *load, const NodeState *state,
								 const Row *row);

#endif							/* AR_PREFETCH_H */
