/*
 * prefetch.h: rows and everything that hangs on them, as JSON.
 *
 * A query and paths become a tree of PathNodes, one for each relationship that
 * is followed, and the tree becomes one statement, which the server plans and
 * runs as the caller.
 */
#ifndef AR_PREFETCH_H
#define AR_PREFETCH_H

#include "postgres.h"

#include "lib/stringinfo.h"
#include "nodes/parsenodes.h"
#include "nodes/pg_list.h"
#include "relationship/relationship.h"

/* prefetch_path.c: paths as written */

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
	char	   *pin;			/* or NULL */
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

/* prefetch_tree.c: what the paths have in common */

typedef struct PathNode
{
	struct PathNode *parent;	/* NULL: the query itself */
	PathStep   *step;			/* NULL: the query itself */
	char	   *name;			/* key in the JSON of the parent's row */
	const Relationship *relationship;
	bool		count;
	bool		inner;
	bool		in_chain;		/* part of a recursion */
	int			number;			/* of its table alias */
	List	   *children;		/* of PathNode * */
} PathNode;

extern PathNode *ar_prefetch_tree(List *paths);
extern void ar_prefetch_check_names(const PathNode *node, List *column_names);

/* prefetch_query.c: the query */

typedef struct PrefetchQuery
{
	const char *text;			/* without a semicolon */
	List	   *column_names;	/* of char *: what it returns */
	List	   *hidden;			/* of ColumnRef *: what has to be added */
	List	   *sources;
	Query	   *query;
} PrefetchQuery;

extern PrefetchQuery *ar_prefetch_read_query(const char *text);
extern void ar_prefetch_error_callback(void *arg);
extern void ar_prefetch_check_parameters(int count, int named);
extern void ar_prefetch_find_relationship(PrefetchQuery *query, PathNode *node);
extern int	ar_prefetch_query_column(PrefetchQuery *query, const PathNode *node, AttrNumber column);

/* prefetch_sql.c: the statement */

extern char *ar_prefetch_sql(PrefetchQuery *query, PathNode *top, bool as_jsonb);
extern RawStmt *ar_prefetch_parse(const PrefetchQuery *query, const char *sql);

#endif							/* AR_PREFETCH_H */
