/*
 * prefetch_plan.c: from a query and paths to what has to be read.
 *
 * Plans are kept for the session, and are good as long as the same texts would
 * lead to the same plan: no table that they looked at has changed, their names
 * mean the same tables, and the role, search_path and the settings by which
 * literals are read are what they were.  A plan whose texts have a literal like
 * 'now' is not kept.  A plan in use is pinned: made stale meanwhile, it goes
 * when its last user does.
 *
 * The keys that the first level needs come from the columns that the query
 * returns, whatever they are called there.  One that it does not return is
 * added to it, unseen, where that cannot change its rows.
 */
#include "postgres.h"

#include <ctype.h>

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_index.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_statistic.h"
#include "catalog/pg_type.h"
#include "common/compat.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "parser/analyze.h"
#include "parser/parse_coerce.h"
#include "parser/parser.h"
#include "parser/parsetree.h"
#include "prefetch/prefetch.h"
#include "rewrite/rewriteHandler.h"
#include "rewrite/rowsecurity.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/rls.h"
#include "utils/ruleutils.h"
#include "utils/selfuncs.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

#define CACHED_PLANS 64

/* relationships that the paths of one call may follow */
#define MAX_STEPS 1000

/* A table that the query reads, and which of its columns come back. */
typedef struct Source
{
	char	   *way;			/* the numbers in the range tables by which it
								 * is reached: one that is read twice is two */
	int			varno;			/* the first of them */
	Oid			table;
	bool		is_direct;		/* a table in FROM: columns can be added */
	AttrNumber	position[MaxHeapAttributeNumber + 1];	/* 0: not returned */
} Source;

/* A node's statement: which columns it returns. */
typedef struct ColumnSet
{
	int			count;
	AttrNumber *column;			/* ascending */
} ColumnSet;

static PrefetchPlan *plans = NULL;
static int	plan_count = 0;

static PrefetchPlan *find_plan(const char *query, int path_count, char **paths);
static bool matches(const PrefetchPlan *plan, const char *query, int path_count, char **paths);
static bool is_current(const PrefetchPlan *plan);
static PlanSettings current_settings(void);
static bool same_settings(const PlanSettings *one, const PlanSettings *other);
static bool names_are_current(const PrefetchPlan *plan);
static bool note_text(Node *node, void *context);
static void not_read_only(void);
static bool reads_the_clock(const char *literal);
static void drop_plan(PrefetchPlan *plan);
static void drop_oldest(void);
static PrefetchPlan *make_plan(const char *query, int path_count, char **paths);
static void build_tree(PrefetchPlan *plan);
static PathNode *add_step(PrefetchPlan *plan, PathNode *parent, PathStep *step);
static bool is_same_step(const PathStep *one, const PathStep *other);
static void expand_recursion(PrefetchPlan *plan, PathNode *node);
static PathNode *copy_branch(PrefetchPlan *plan, const PathNode *node, PathNode *parent);
static PathNode *new_node(PrefetchPlan *plan);
static void two_things(const char *name, const PathStep *one, const PathStep *other);
static RawStmt *parse_query(const NamedText *named);
static List *find_sources(Query *query);
static bool trace_column(List *queries, Node *expression, StringInfo way, Oid *table,
						 AttrNumber *column);
static Node *column_below(List **queries, RangeTblEntry *rte, AttrNumber column);
static CommonTableExpr *find_cte(Query *query, const char *name);
static bool can_be_named(Query *query, int varno);
static bool is_within(Node *join, int varno);
static Source *get_source(List **sources, const char *way, int varno, Oid table, bool is_direct);
static void plan_top(PrefetchPlan *plan);
static Source *source_of(PathNode *node, List *sources, Query *query);
static bool returns_key(const Source *source, const Relationship *r, Query *query);
static int	top_column(Source *source, AttrNumber column, Query *query, SelectStmt *select,
					   int *added, int visible);
static bool takes_columns(Query *query);
static void finish_children(PrefetchPlan *plan, PathNode *node);
static void plan_node(PrefetchPlan *plan, PathNode *node);
static void finish_columns(PathNode *node);
static void plan_below(PrefetchPlan *plan, PathNode *node);
static void check_names(PathNode *node, List *names);
static void key_shape(KeyShape *key, Oid table, const AttrNumber *columns, int count);
static void key_column(KeyColumn *column, Oid type, Oid collation);
static void foreign_key_shape(KeyShape *key, PathNode *node, Oid near_table,
							  const AttrNumber *near_columns, Oid far_table,
							  const AttrNumber *far_columns, int count, bool is_near_target);
static Oid	column_collation(Oid table, AttrNumber column);
static bool can_cast(Oid from, Oid to);
static void key_cast(KeyCast *cast, Oid from, Oid to);
static const char *collate_clause(Oid own, Oid wanted);
static PrefetchFetch *make_fetch(PathNode *node, Oid table, Oid near_table,
								 const AttrNumber *near_columns, const AttrNumber *columns,
								 const Oid *operators, int key_count, bool operators_point_to_near,
								 ColumnSet *set, List *order, const char *where, int64 limit,
								 const char *count_join);
static void write_sql(PathNode *node, PrefetchFetch *fetch, const AttrNumber *columns,
					  char **operators, ColumnSet *set, const char *where, List *order,
					  int64 limit, const char *count_join);
static void check_condition(PrefetchPlan *plan, PathStep *step, Oid table);
static List *full_order(PathNode *node, Oid table);
static const AttrNumber *identity_columns(const PathNode *node, int *count);
static void check_identity(const PathNode *node, const PathNode *other);
static AttrNumber *primary_key(Oid table, int *count);
static bool index_covers(Oid table, const AttrNumber *columns, int count, List *order);
static double estimate_rows_per_key(Oid table, const AttrNumber *columns, int count, double rows);
static double estimate_rows(Oid table, double *pages);
static void need_column(ColumnSet *set, AttrNumber column);
static int	position_of(const ColumnSet *set, AttrNumber column);
static char *qualified_name(Oid table);
static char *operator_text(Oid operator_oid);
static bool is_integer(Oid type);
static const AttrNumber *near_columns(const Relationship *r);
static void copy_order(PathNode *node, Oid table, List *order, ColumnSet *set);

/*
 * The plan for a query and paths, pinned; ar_prefetch_unpin() is to follow.
 */
PrefetchPlan *
ar_prefetch_plan(const char *query, int path_count, char **paths)
{
	PrefetchPlan *plan = find_plan(query, path_count, paths);

	if (plan)
	{
		ListCell   *cell;

		/*
		 * The locks make what has changed known.
		 */
		plan->pins++;
		foreach(cell, plan->tables)
			LockRelationOid(lfirst_oid(cell), AccessShareLock);
		if (is_current(plan))
			return plan;
		ar_prefetch_unpin(plan);
	}
	for (;;)
	{
		plan = make_plan(query, path_count, paths);
		if (plan->generation == ar_relationship_generation())
			break;
		drop_plan(plan);
		CHECK_FOR_INTERRUPTS();
	}
	plan->pins++;
	if (plan->reads_clock)
	{
		plan->stale = true;
		return plan;
	}
	if (plan_count >= CACHED_PLANS)
		drop_oldest();
	plan->next = plans;
	plans = plan;
	plan_count++;
	return plan;
}

void
ar_prefetch_unpin(PrefetchPlan *plan)
{
	Assert(plan->pins > 0);
	if (--plan->pins == 0 && plan->stale)
		drop_plan(plan);
}

/*
 * Find a plan, and get rid of those that have become stale on the way.
 */
static PrefetchPlan *
find_plan(const char *query, int path_count, char **paths)
{
	PrefetchPlan **link = &plans;

	while (*link)
	{
		PrefetchPlan *plan = *link;

		if (plan->generation != ar_relationship_generation())
		{
			*link = plan->next;
			plan_count--;
			plan->stale = true;
			if (plan->pins == 0)
				drop_plan(plan);
			continue;
		}
		if (matches(plan, query, path_count, paths) && is_current(plan))
		{
			/* the last one used comes first */
			*link = plan->next;
			plan->next = plans;
			plans = plan;
			return plan;
		}
		link = &plan->next;
	}
	return NULL;
}

static bool
matches(const PrefetchPlan *plan, const char *query, int path_count, char **paths)
{
	if (plan->path_count != path_count || strcmp(plan->query, query) != 0)
		return false;
	for (int i = 0; i < path_count; i++)
	{
		if (strcmp(plan->paths[i], paths[i]) != 0)
			return false;
	}
	return true;
}

/*
 * The server notices by itself what else its plans depend on, as functions.
 */
static bool
is_current(const PrefetchPlan *plan)
{
	PlanSettings settings = current_settings();

	return !plan->stale && plan->generation == ar_relationship_generation() &&
		plan->user == GetUserId() && strcmp(plan->search_path, namespace_search_path) == 0 &&
		same_settings(&plan->settings, &settings) &&
		CachedPlanIsValid(plan->top_statement->source) && names_are_current(plan);
}

static PlanSettings
current_settings(void)
{
	PlanSettings settings;

	settings.row_security = row_security;
	settings.standard_conforming_strings = standard_conforming_strings;
	settings.date_style = DateStyle;
	settings.date_order = DateOrder;
	settings.interval_style = IntervalStyle;
	settings.time_zone = session_timezone;
	return settings;
}

static bool
same_settings(const PlanSettings *one, const PlanSettings *other)
{
	return one->row_security == other->row_security &&
		one->standard_conforming_strings == other->standard_conforming_strings &&
		one->date_style == other->date_style && one->date_order == other->date_order &&
		one->interval_style == other->interval_style && one->time_zone == other->time_zone;
}

/*
 * A table that has been created since may stand in the way of another one of
 * the same name.
 */
static bool
names_are_current(const PrefetchPlan *plan)
{
	ListCell   *name_cell;
	ListCell   *table_cell;

	forboth(name_cell, plan->names, table_cell, plan->named_tables)
	{
		if (RelnameGetRelid(lfirst(name_cell)) != lfirst_oid(table_cell))
			return false;
	}
	return true;
}

/*
 * Remember of a text, as parsed, what a plan for it depends on and the server
 * does not notice.  Refuses one that locks rows, at whatever depth.
 */
static bool
note_text(Node *node, void *context)
{
	PrefetchPlan *plan = context;

	if (node == NULL)
		return false;
	if (IsA(node, RangeVar) && ((RangeVar *) node)->schemaname == NULL)
	{
		char	   *name = pstrdup(((RangeVar *) node)->relname);

		plan->names = lappend(plan->names, name);
		plan->named_tables = lappend_oid(plan->named_tables, RelnameGetRelid(name));
	}
	else if (IsA(node, SelectStmt) && ((SelectStmt *) node)->lockingClause)
		not_read_only();
	else if (IsA(node, A_Const) && !((A_Const *) node)->isnull &&
			 IsA(&((A_Const *) node)->val, String))
		plan->reads_clock |= reads_the_clock(strVal(&((A_Const *) node)->val));
	return raw_expression_tree_walker(node, note_text, context);
}

static void
not_read_only(void)
{
	ereport(ERROR,
			errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			errmsg("the query has to read only"),
			errdetail("It changes or locks rows."));
}

/*
 * Does a literal, if it is that of a time, mean another one each time that it
 * is read?
 */
static bool
reads_the_clock(const char *literal)
{
	static const char *const words[] = {"now", "today", "tomorrow", "yesterday"};

	while (*literal)
	{
		const char *start = literal;

		while (isalpha((unsigned char) *literal))
			literal++;
		for (int i = 0; i < lengthof(words); i++)
		{
			if (literal - start == strlen(words[i]) &&
				pg_strncasecmp(start, words[i], literal - start) == 0)
				return true;
		}
		if (literal == start)
			literal++;
	}
	return false;
}

static void
drop_plan(PrefetchPlan *plan)
{
	ListCell   *cell;

	foreach(cell, plan->statements)
		ar_prefetch_forget(lfirst(cell));
	MemoryContextDelete(plan->context);
}

static void
drop_oldest(void)
{
	PrefetchPlan **link = &plans;
	PrefetchPlan *plan;

	while ((*link)->next)
		link = &(*link)->next;
	plan = *link;
	*link = NULL;
	plan_count--;
	plan->stale = true;
	if (plan->pins == 0)
		drop_plan(plan);
}

/*
 * Make a plan; on an error its memory goes with the caller's.
 */
static PrefetchPlan *
make_plan(const char *query, int path_count, char **paths)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "algo_ref prefetch plan",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	PrefetchPlan *plan = palloc0(sizeof(PrefetchPlan));

	plan->context = context;
	plan->generation = ar_relationship_generation();
	plan->user = GetUserId();
	plan->settings = current_settings();
	plan->search_path = pstrdup(namespace_search_path);
	plan->query = pstrdup(query);
	plan->path_count = path_count;
	plan->paths = palloc(sizeof(char *) * Max(path_count, 1));
	for (int i = 0; i < path_count; i++)
		plan->paths[i] = pstrdup(paths[i]);
	build_tree(plan);
	PG_TRY();
	{
		plan_top(plan);
	}
	PG_CATCH();
	{
		ListCell   *cell;

		/* what the plan cache keeps outlives memory contexts */
		foreach(cell, plan->statements)
			ar_prefetch_forget(lfirst(cell));
		PG_RE_THROW();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(old);
	MemoryContextSetParent(context, CacheMemoryContext);
	return plan;
}

/*
 * One tree from all paths: what begins alike is one branch.
 */
static void
build_tree(PrefetchPlan *plan)
{
	plan->top = palloc0(sizeof(PathNode));
	plan->top->path = "";
	plan->top->limit = -1;
	for (int i = 0; i < plan->path_count; i++)
	{
		PathNode   *node = plan->top;
		ListCell   *cell;

		foreach(cell, ar_prefetch_parse_path(plan->paths[i]))
			node = add_step(plan, node, lfirst(cell));
	}
}

static bool
same_texts(List *a, List *b)
{
	ListCell   *x;
	ListCell   *y;

	if (list_length(a) != list_length(b))
		return false;
	forboth(x, a, y, b)
	{
		if (strcmp(lfirst(x), lfirst(y)) != 0)
			return false;
	}
	return true;
}

static bool
same_arguments(const PathStep *a, const PathStep *b)
{
	ListCell   *x;
	ListCell   *y;

	if (!same_texts(a->columns, b->columns) || a->limit != b->limit ||
		strcmp(a->where ? a->where : "", b->where ? b->where : "") != 0 ||
		list_length(a->order) != list_length(b->order))
		return false;
	forboth(x, a->order, y, b->order)
	{
		PathOrder  *one = lfirst(x);
		PathOrder  *other = lfirst(y);

		if (strcmp(one->column, other->column) != 0 || one->descending != other->descending ||
			one->nulls_first != other->nulls_first)
			return false;
	}
	return true;
}

/*
 * The child of a node that a step leads to.  A step without arguments goes
 * with one that has some, and a mere name with what an earlier path calls so.
 */
static PathNode *
add_step(PrefetchPlan *plan, PathNode *parent, PathStep *step)
{
	char	   *name = step->alias ? step->alias :
	step->count ? psprintf("%s_count", step->name) : step->name;
	PathNode   *node;
	ListCell   *cell;

	Assert(!parent->count);
	foreach(cell, parent->children)
	{
		node = lfirst(cell);
		if (strcmp(node->name, name) != 0)
			continue;
		if (!is_same_step(node->step, step))
			two_things(name, node->step, step);
		node->inner |= step->inner;
		if (step->has_arguments)
		{
			PathStep   *merged = memcpy(palloc(sizeof(PathStep)), step, sizeof(PathStep));

			/* what is followed has been said before */
			merged->alias = node->step->alias;
			merged->name = node->step->name;
			merged->pins = node->step->pins;
			node->step = merged;
			node->limit = step->limit;
		}
		return node;
	}
	node = new_node(plan);
	node->parent = parent;
	node->step = step;
	node->name = name;
	node->count = step->count;
	node->inner = step->inner;
	node->limit = step->limit;
	parent->children = lappend(parent->children, node);
	return node;
}

/*
 * May a step stand for what an earlier one with its name stands for?
 */
static bool
is_same_step(const PathStep *one, const PathStep *other)
{
	bool		is_mere_name = other->alias == NULL && other->pins == NIL;

	if (one->count != other->count || one->depth != other->depth)
		return false;
	if (one->has_arguments && other->has_arguments && !same_arguments(one, other))
		return false;
	return (is_mere_name && !other->count) ||
		(strcmp(one->name, other->name) == 0 && same_texts(one->pins, other->pins));
}

static void
two_things(const char *name, const PathStep *one, const PathStep *other)
{
	ereport(ERROR,
			errcode(ERRCODE_DUPLICATE_ALIAS),
			errmsg("\"%s\" stands for two different things in the paths", name),
			errdetail("They are \"%s\" and \"%s\".", one->path, other->path),
			errhint("Give one of them an alias, as in \"alias:%s\".", other->name));
}

/*
 * A step with a depth becomes as many nodes, one below the other, each with
 * what follows the step.
 */
static void
expand_recursion(PrefetchPlan *plan, PathNode *node)
{
	ListCell   *cell;

	check_stack_depth();
	if (node->step && node->step->depth > 0)
	{
		List	   *below = node->children;
		PathNode   *level = node;

		if (node->step->inner)
			ereport(ERROR,
					errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					errmsg("relationship \"%s\" is followed again and again, and cannot be inner", node->step->name),
					errdetail("The path is \"%s\".", node->step->path),
					errhint("A condition of the query, or of the step before, says which rows have one."));
		foreach(cell, below)
		{
			const PathNode *child = lfirst(cell);

			if (node->step->depth > 1 && strcmp(child->name, node->name) == 0)
				two_things(node->name, node->step, child->step);
		}

		node->in_chain = true;
		node->chain_length = 1;
		for (int i = 1; i < node->step->depth; i++)
		{
			PathNode   *next = new_node(plan);

			*next = *node;
			next->chain_length = level->chain_length;
			next->parent = level;
			next->chain_length++;
			next->children = NIL;
			foreach(cell, below)
				next->children = lappend(next->children, copy_branch(plan, lfirst(cell), next));

			/* first, as the name of the step is the first to be met */
			level->children = lcons(next, list_copy(level->children));
			level = next;
		}
		node->step->depth = 0;
	}
	foreach(cell, node->children)
		expand_recursion(plan, lfirst(cell));
}

static PathNode *
copy_branch(PrefetchPlan *plan, const PathNode *node, PathNode *parent)
{
	PathNode   *copy = new_node(plan);
	ListCell   *cell;

	*copy = *node;
	copy->step = memcpy(palloc(sizeof(PathStep)), node->step, sizeof(PathStep));
	copy->parent = parent;
	copy->children = NIL;
	foreach(cell, node->children)
		copy->children = lappend(copy->children, copy_branch(plan, lfirst(cell), copy));
	return copy;
}

/*
 * Each node has statements of its own, and may stand on all others.
 */
static PathNode *
new_node(PrefetchPlan *plan)
{
	CHECK_FOR_INTERRUPTS();
	if (++plan->step_count > MAX_STEPS)
		ereport(ERROR,
				errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				errmsg("the paths follow more than %d relationships", MAX_STEPS),
				errdetail("Each depth of a recursion counts, with what is followed from there."));
	return palloc0(sizeof(PathNode));
}

/*
 * The query as one parsed SELECT.
 */
static RawStmt *
parse_query(const NamedText *named)
{
	ErrorContextCallback callback = {.previous = error_context_stack,
	.callback = ar_prefetch_text_error_callback,.arg = unconstify(char *, named->shown)};
	List	   *parsed;
	RawStmt    *statement;

	error_context_stack = &callback;
	parsed = raw_parser(named->text, RAW_PARSE_DEFAULT);
	error_context_stack = callback.previous;
	if (list_length(parsed) != 1)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("the query has to be one statement, not %d", list_length(parsed)));
	statement = linitial_node(RawStmt, parsed);
	if (!IsA(statement->stmt, SelectStmt) || ((SelectStmt *) statement->stmt)->intoClause)
		ereport(ERROR,
				errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				errmsg("the query has to be a SELECT"));
	return statement;
}

/*
 * Analyze the query, add the keys that it does not return, prepare it, and
 * plan everything below.
 */
static void
plan_top(PrefetchPlan *plan)
{
	PathNode   *top = plan->top;
	NamedText  *named = ar_prefetch_number_names(plan->query);
	RawStmt    *statement = parse_query(named);
	SelectStmt *select = (SelectStmt *) statement->stmt;
	Oid		   *types = palloc0(sizeof(Oid) * Max(named->count, 1));
	int			type_count = named->count;
	Query	   *query;
	List	   *sources;
	ListCell   *cell;
	int			added = 0;
	int			visible;
	List	   *column_names = NIL;
	PrefetchStatement *top_statement;
	ErrorContextCallback callback = {.previous = error_context_stack,
	.callback = ar_prefetch_text_error_callback,.arg = unconstify(char *, named->shown)};

	error_context_stack = &callback;
	query = parse_analyze_varparams(copyObject(statement), named->text, &types, &type_count, NULL);
	error_context_stack = callback.previous;
	(void) note_text(statement->stmt, plan);
	ar_prefetch_check_parameters(type_count, named->count);
	if (query->commandType != CMD_SELECT || query->hasModifyingCTE)
		not_read_only();
	sources = find_sources(query);
	visible = ExecCleanTargetListLength(query->targetList);

	/* names first: a mistake in a path is found before anything is prepared */
	expand_recursion(plan, top);
	foreach(cell, query->targetList)
	{
		TargetEntry *entry = lfirst(cell);

		if (!entry->resjunk)
			column_names = lappend(column_names, entry->resname);
	}
	check_names(top, column_names);
	finish_children(plan, top);
	for (int i = 0; i < top->child_count; i++)
	{
		PathNode   *child = top->child[i];
		Source	   *source = source_of(child, sources, query);
		const AttrNumber *near;
		int			count;

		near = near_columns(child->relationship);
		count = child->relationship->key->key_count;
		top->child_position[i] = palloc(sizeof(int) * count);
		for (int k = 0; k < count; k++)
			top->child_position[i][k] = top_column(source, near[k], query, select, &added, visible);
		if (child->in_chain)
		{
			const AttrNumber *identity = identity_columns(child, &count);

			top->identity = palloc(sizeof(int) * count);
			for (int k = 0; k < count; k++)
				top->identity[k] = top_column(source, identity[k], query, select, &added, visible);
			key_shape(&top->identity_shape, source->table, identity, count);
		}
	}

	top_statement = ar_prefetch_prepare(named->text, statement, 0, NULL, named->count,
										named->names, 0);
	plan->statements = lappend(plan->statements, top_statement);
	plan->top_statement = top_statement;
	plan->top_desc = CreateTupleDescCopy(top_statement->source->resultDesc);
	foreach(cell, top_statement->source->relationOids)
	{
		ar_relationship_observe(lfirst_oid(cell));
		plan->tables = list_append_unique_oid(plan->tables, lfirst_oid(cell));
	}
	if (plan->top_desc->natts != visible + added)
		elog(ERROR, "the query returns %d columns, not %d", plan->top_desc->natts, visible + added);
	top->json_count = visible;
	top->json = palloc0(sizeof(JsonColumn) * Max(visible, 1));
	for (int i = 0; i < visible; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(plan->top_desc, i);

		ar_prefetch_json_column(&top->json[i], NameStr(attribute->attname), attribute->atttypid,
								i, i == 0);
	}
	top->bare = visible == 0;
	finish_columns(top);
	plan_below(plan, top);
}

/*
 * The tables whose columns the query returns, then those in its FROM.
 */
static List *
find_sources(Query *query)
{
	List	   *sources = NIL;
	ListCell   *cell;
	int			position = 0;
	int			varno = 0;

	if (query->setOperations)
		return NIL;
	foreach(cell, query->targetList)
	{
		TargetEntry *entry = lfirst(cell);
		StringInfoData way;
		Oid			table;
		AttrNumber	column;
		Source	   *source;

		if (entry->resjunk)
			continue;
		position++;
		initStringInfo(&way);
		if (!trace_column(list_make1(query), (Node *) entry->expr, &way, &table, &column))
			continue;
		source = get_source(&sources, way.data, atoi(way.data), table, false);
		if (source->position[column] == 0)
			source->position[column] = position;
	}
	foreach(cell, query->rtable)
	{
		RangeTblEntry *rte = lfirst(cell);

		varno++;
		if (rte->rtekind == RTE_RELATION && rte->inFromCl &&
			(rte->relkind == RELKIND_RELATION || rte->relkind == RELKIND_PARTITIONED_TABLE))
			get_source(&sources, psprintf(" %d", varno), varno, rte->relid, true)->is_direct =
				can_be_named(query, varno);
	}
	return sources;
}

static Source *
get_source(List **sources, const char *way, int varno, Oid table, bool is_direct)
{
	Source	   *source;
	ListCell   *cell;

	foreach(cell, *sources)
	{
		source = lfirst(cell);
		if (strcmp(source->way, way) == 0)
			return source;
	}
	source = palloc0(sizeof(Source));
	source->way = pstrdup(way);
	source->varno = varno;
	source->table = table;
	source->is_direct = is_direct;
	*sources = lappend(*sources, source);
	return source;
}

/*
 * Follow a column of the innermost of "queries" through subqueries, common
 * table expressions and views to the table it comes from, and append the way
 * to "way".  False if it is not just a column of a table.
 */
static bool
trace_column(List *queries, Node *expression, StringInfo way, Oid *table, AttrNumber *column)
{
	while (expression && IsA(expression, Var))
	{
		Var		   *var = (Var *) expression;
		RangeTblEntry *rte;

		queries = list_copy_tail(queries, var->varlevelsup);
		rte = rt_fetch(var->varno, linitial_node(Query, queries)->rtable);
		if (var->varattno <= 0)
			return false;
		if (rte->rtekind != RTE_JOIN && ar_group_expression(rte, var->varattno) == NULL)
			appendStringInfo(way, " %d", var->varno);
		if (rte->rtekind == RTE_RELATION && rte->relkind != RELKIND_VIEW)
		{
			*table = rte->relid;
			*column = var->varattno;
			return true;
		}
		expression = column_below(&queries, rte, var->varattno);
	}
	return false;
}

/*
 * What a column of an entry of a range table is made of, and the queries to
 * which that belongs; NULL if it is not made of one column.
 */
static Node *
column_below(List **queries, RangeTblEntry *rte, AttrNumber column)
{
	Query	   *query = NULL;

	if (ar_group_expression(rte, column))
		return ar_group_expression(rte, column);
	if (rte->rtekind == RTE_JOIN)
		return list_nth(rte->joinaliasvars, column - 1);
	if (rte->rtekind == RTE_SUBQUERY)
		query = rte->subquery;
	else if (rte->rtekind == RTE_CTE)
	{
		*queries = list_copy_tail(*queries, rte->ctelevelsup);
		query = castNode(Query, find_cte(linitial(*queries), rte->ctename)->ctequery);
	}
	else if (rte->rtekind == RTE_RELATION)
	{
		Relation	view = table_open(rte->relid, AccessShareLock);

		Assert(rte->relkind == RELKIND_VIEW);
		query = copyObject(get_view_query(view));
		ar_relationship_observe(rte->relid);
		table_close(view, NoLock);
	}
	if (query == NULL || query->setOperations || query->commandType != CMD_SELECT)
		return NULL;
	*queries = lcons(query, list_copy(*queries));
	return (Node *) get_tle_by_resno(query->targetList, column)->expr;
}

static CommonTableExpr *
find_cte(Query *query, const char *name)
{
	ListCell   *cell;

	foreach(cell, query->cteList)
	{
		CommonTableExpr *cte = lfirst(cell);

		if (strcmp(cte->ctename, name) == 0)
			return cte;
	}
	elog(ERROR, "the query has no common table expression \"%s\"", name);
	return NULL;
}

/*
 * Can the columns of a table in FROM be named?  Those within a join that has an
 * alias cannot.
 */
static bool
can_be_named(Query *query, int varno)
{
	ListCell   *cell;

	foreach(cell, query->jointree->fromlist)
	{
		Node	   *item = lfirst(cell);

		while (IsA(item, JoinExpr))
		{
			JoinExpr   *join = (JoinExpr *) item;

			if (!is_within(item, varno))
				break;
			if (join->alias)
				return false;
			item = is_within(join->larg, varno) ? join->larg : join->rarg;
		}
	}
	return true;
}

static bool
is_within(Node *join, int varno)
{
	if (IsA(join, RangeTblRef))
		return ((RangeTblRef *) join)->rtindex == varno;
	return is_within(((JoinExpr *) join)->larg, varno) ||
		is_within(((JoinExpr *) join)->rarg, varno);
}

/*
 * Which table of the query has the relationship of a node; sets that, too.  One
 * whose key can be had comes before those whose keys cannot.
 */
static Source *
source_of(PathNode *node, List *sources, Query *query)
{
	Source	   *found = NULL;
	bool		has_key = false;
	ListCell   *cell;
	StringInfoData tables;

	initStringInfo(&tables);
	foreach(cell, sources)
	{
		Source	   *source = lfirst(cell);
		const Relationship *r = ar_relationship_find(source->table, node->step->name,
													 node->step->pins);
		bool		key_returns;

		appendStringInfo(&tables, "%s\"%s\"", tables.len == 0 ? "" : ", ",
						 get_rel_name(source->table));
		if (r == NULL)
			continue;
		key_returns = returns_key(source, r, query);
		if (found && has_key && key_returns)
			ereport(ERROR,
					errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					errmsg("relationship \"%s\" is ambiguous", node->step->name),
					found->table == source->table ?
					errdetail("The query reads table \"%s\" more than once, and each has it.",
							  get_rel_name(found->table)) :
					errdetail("The query reads both table \"%s\" and table \"%s\", which have it.",
							  get_rel_name(found->table), get_rel_name(source->table)),
					errhint("Put one of them into a subquery in FROM without the key's columns, "
							"or pin the relationship, as in \"%s!constraint\".", node->step->name));
		if (found && !key_returns)
			continue;
		found = source;
		has_key = key_returns;
		node->relationship = unconstify(Relationship *, r);
	}
	if (found == NULL)
	{
		if (list_length(sources) == 1)
			(void) ar_relationship_resolve(((Source *) linitial(sources))->table,
										   node->step->name, node->step->pins);
		ereport(ERROR,
				errcode(ERRCODE_UNDEFINED_OBJECT),
				errmsg("no table of the query has a relationship \"%s\"", node->step->name),
				sources == NIL ?
				errdetail("The query returns no column of a table.") :
				errdetail("Its tables are %s.", tables.data),
				errhint("algo_ref.relationships() lists the relationships of a table."));
	}
	return found;
}

static bool
returns_key(const Source *source, const Relationship *r, Query *query)
{
	const AttrNumber *columns = near_columns(r);

	if (source->is_direct && takes_columns(query))
		return true;
	for (int i = 0; i < r->key->key_count; i++)
	{
		if (source->position[columns[i]] == 0)
			return false;
	}
	return true;
}

/*
 * Where the query returns a column of a table, from 0; it is added where it
 * does not.
 */
static int
top_column(Source *source, AttrNumber column, Query *query, SelectStmt *select, int *added,
		   int visible)
{
	RangeTblEntry *rte;
	ResTarget  *target;
	ColumnRef  *reference;
	char	   *column_name = get_attname(source->table, column, false);

	if (source->position[column] > 0)
		return source->position[column] - 1;
	if (!source->is_direct || !takes_columns(query))
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("the query does not return column \"%s\" of table \"%s\"", column_name,
					   get_rel_name(source->table)),
				errdetail("It is the key by which a relationship is followed, and cannot be added to this query."),
				errhint("Add it to the query's columns."));
	rte = rt_fetch(source->varno, query->rtable);
	reference = makeNode(ColumnRef);
	reference->location = -1;
	if (rte->alias)
		reference->fields = list_make2(makeString(pstrdup(rte->alias->aliasname)),
									   makeString(pstrdup(strVal(list_nth(rte->eref->colnames,
																		  column - 1)))));
	else
		reference->fields = list_make3(makeString(get_namespace_name(get_rel_namespace(rte->relid))),
									   makeString(get_rel_name(rte->relid)),
									   makeString(column_name));
	target = makeNode(ResTarget);
	target->name = psprintf("algo_ref key %d", *added + 1);
	target->val = (Node *) reference;
	target->location = -1;
	select->targetList = lappend(select->targetList, target);
	(*added)++;
	source->position[column] = visible + *added;
	return visible + *added - 1;
}

/*
 * Can a column be added to a query without a change of its rows?
 */
static bool
takes_columns(Query *query)
{
	return !query->hasAggs && query->groupClause == NIL && query->groupingSets == NIL &&
		query->havingQual == NULL && query->distinctClause == NIL &&
		query->setOperations == NULL && query->jointree->fromlist != NIL;
}

/*
 * Number the children of a node, and make room for what is kept about them.
 */
static void
finish_children(PrefetchPlan *plan, PathNode *node)
{
	ListCell   *cell;
	int			i = 0;

	node->number = plan->node_count++;
	plan->nodes = lappend(plan->nodes, node);
	node->child_count = list_length(node->children);
	node->child = palloc0(sizeof(PathNode *) * Max(node->child_count, 1));
	node->child_position = palloc0(sizeof(int *) * Max(node->child_count, 1));
	foreach(cell, node->children)
	{
		PathNode   *child = lfirst(cell);

		child->path = node->parent ? psprintf("%s.%s", node->path, child->name) : child->name;
		child->level = node->level + 1;
		node->child[i++] = child;
	}
}

static void
plan_below(PrefetchPlan *plan, PathNode *node)
{
	for (int i = 0; i < node->child_count; i++)
	{
		plan_node(plan, node->child[i]);
		node->needs_inner |= node->child[i]->inner || node->child[i]->needs_inner;
	}
}

/*
 * Names that clash with a column of the row, or with each other.
 */
static void
check_names(PathNode *node, List *names)
{
	ListCell   *child_cell;
	ListCell   *cell;

	foreach(child_cell, node->children)
	{
		PathNode   *child = lfirst(child_cell);

		foreach(cell, names)
		{
			if (strcmp(lfirst(cell), child->name) == 0)
				ereport(ERROR,
						errcode(ERRCODE_DUPLICATE_COLUMN),
						errmsg("\"%s\" is already a column of the row", child->name),
						errdetail("The path is \"%s\".", child->step->path),
						errhint("Give the relationship an alias, as in \"alias:%s\".",
								child->step->name));
		}
	}
}

/* The columns of the near table that a relationship is followed by. */
static const AttrNumber *
near_columns(const Relationship *r)
{
	return ar_relationship_is_outgoing(r) ? r->key->column : r->key->target_column;
}

/*
 * What has to be read for a node whose relationship is known, and for
 * everything below.
 */
static void
plan_node(PrefetchPlan *plan, PathNode *node)
{
	Relationship *r = node->relationship;
	PathStep   *step = node->step;
	Relation	rel;
	TupleDesc	desc;
	ColumnSet	set = {0};
	JsonBuffer	prefix = {0};
	List	   *columns = NIL;
	List	   *column_names = NIL;
	List	   *order;
	const AttrNumber *identity = NULL;
	int			identity_count = 0;
	ListCell   *cell;
	int			i;

	check_stack_depth();
	node->to_one = ar_relationship_is_to_one(r);
	if (node->count && node->to_one)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("relationship \"%s\" leads to one row, which is not counted", step->name),
				errdetail("The path is \"%s\".", step->path));
	plan->tables = list_append_unique_oid(plan->tables, r->target);
	if (step->where)
		check_condition(plan, step, r->target);
	ar_prefetch_json_bytes(&prefix, ",", 1);
	ar_prefetch_json_string(&prefix, node->name, strlen(node->name));
	ar_prefetch_json_bytes(&prefix, ":", 1);
	node->prefix = prefix.data;
	node->prefix_length = (int) prefix.length;

	/* the columns that are written */
	rel = table_open(r->target, AccessShareLock);
	ar_relationship_observe(r->target);
	desc = CreateTupleDescCopy(RelationGetDescr(rel));
	table_close(rel, NoLock);
	set.column = palloc(sizeof(AttrNumber) * (desc->natts + 1));
	if (step->columns == NIL && !node->count)
	{
		for (i = 0; i < desc->natts; i++)
		{
			if (!TupleDescAttr(desc, i)->attisdropped)
				columns = lappend_int(columns, i + 1);
		}
	}
	foreach(cell, step->columns)
	{
		AttrNumber	column = get_attnum(r->target, lfirst(cell));

		if (column <= 0)
			ereport(ERROR,
					errcode(ERRCODE_UNDEFINED_COLUMN),
					errmsg("column \"%s\" of table \"%s\" does not exist", (char *) lfirst(cell),
						   get_rel_name(r->target)),
					errdetail("The path is \"%s\".", step->path));
		columns = lappend_int(columns, column);
	}
	foreach(cell, columns)
	{
		need_column(&set, lfirst_int(cell));
		column_names = lappend(column_names,
							   NameStr(TupleDescAttr(desc, lfirst_int(cell) - 1)->attname));
	}
	check_names(node, column_names);
	finish_children(plan, node);

	/* those that the children hang on, and that make the row known */
	for (i = 0; i < node->child_count; i++)
	{
		PathNode   *child = node->child[i];

		child->relationship = unconstify(Relationship *,
										 ar_relationship_resolve(r->target, child->step->name,
																 child->step->pins));
		if (child->in_chain)
			identity = identity_columns(child, &identity_count);
		for (int k = 0; k < child->relationship->key->key_count; k++)
			need_column(&set, near_columns(child->relationship)[k]);
	}
	if (node->in_chain)
		identity = identity_columns(node, &identity_count);
	for (int k = 0; k < identity_count; k++)
		need_column(&set, identity[k]);
	order = full_order(node, r->target);
	if (node->to_one || node->count)
		order = NIL;
	foreach(cell, order)
		need_column(&set, get_attnum(r->target, ((PathOrder *) lfirst(cell))->column));

	/* the key by which they are looked up, and the statements */
	if (r->kind == AR_MANY_TO_MANY)
	{
		ForeignKey *key = r->key;
		ForeignKey *far = r->far_key;
		ColumnSet	link_set = {0};
		StringInfoData join;

		plan->tables = list_append_unique_oid(plan->tables, key->table);
		link_set.column = palloc(sizeof(AttrNumber) * (key->key_count + far->key_count + 1));
		for (i = 0; i < key->key_count; i++)
			need_column(&link_set, key->column[i]);
		if (node->count)
		{
			initStringInfo(&join);
			appendStringInfo(&join, ", (SELECT ");
			for (i = 0; i < far->key_count; i++)
				appendStringInfo(&join, "%s%s", i ? ", " : "",
								 quote_identifier(get_attname(far->target, far->target_column[i],
															  false)));
			appendStringInfo(&join, " FROM %s", qualified_name(far->target));
			if (step->where)
				appendStringInfo(&join, " WHERE (%s\n)", step->where);
			appendStringInfo(&join, ") f WHERE ");
			for (i = 0; i < far->key_count; i++)
				appendStringInfo(&join, "%sf.%s %s c.%s", i ? " AND " : "",
								 quote_identifier(get_attname(far->target, far->target_column[i],
															  false)),
								 operator_text(far->equality[i]),
								 quote_identifier(far->column_name[i]));
			for (i = 0; i < far->key_count; i++)
				need_column(&link_set, far->column[i]);
			node->fetch = make_fetch(node, key->table, key->target, key->target_column,
									 key->column, key->equality, key->key_count, true, &link_set,
									 NIL, NULL, -1, join.data);
			return;
		}
		for (i = 0; i < far->key_count; i++)
			need_column(&link_set, far->column[i]);
		node->link = make_fetch(node, key->table, key->target, key->target_column, key->column,
								key->equality, key->key_count, true, &link_set, NIL, NULL, -1,
								NULL);
		node->link_far_position = palloc(sizeof(int) * far->key_count);
		for (i = 0; i < far->key_count; i++)
			node->link_far_position[i] = position_of(&link_set, far->column[i]);
		for (i = 0; i < far->key_count; i++)
			need_column(&set, far->target_column[i]);
		node->fetch = make_fetch(node, far->target, far->table, far->column, far->target_column,
								 far->equality, far->key_count, false, &set, NIL, step->where, -1,
								 NULL);
	}
	else if (ar_relationship_is_outgoing(r))
	{
		for (i = 0; i < r->key->key_count; i++)
			need_column(&set, r->key->target_column[i]);
		node->fetch = make_fetch(node, r->target, r->table, r->key->column, r->key->target_column,
								 r->key->equality, r->key->key_count, false, &set, NIL,
								 step->where, -1, NULL);
	}
	else
	{
		bool		later = node->inner;

		for (i = 0; i < node->child_count; i++)
			later |= node->child[i]->inner;
		for (i = 0; i < r->key->key_count; i++)
			need_column(&set, r->key->column[i]);
		node->fetch = make_fetch(node, r->target, r->table, r->key->target_column, r->key->column,
								 r->key->equality, r->key->key_count, true, &set, order,
								 step->where, later ? -1 : node->limit,
								 node->count ? "" : NULL);
	}
	if (node->count)
		return;

	/* where everything is in the rows */
	node->json_count = list_length(columns);
	node->json = palloc0(sizeof(JsonColumn) * Max(node->json_count, 1));
	i = 0;
	foreach(cell, columns)
	{
		Form_pg_attribute attribute = TupleDescAttr(desc, lfirst_int(cell) - 1);

		ar_prefetch_json_column(&node->json[i], NameStr(attribute->attname), attribute->atttypid,
								position_of(&set, attribute->attnum), i == 0);
		i++;
	}
	node->bare = node->json_count == 0;
	for (i = 0; i < node->child_count; i++)
	{
		Relationship *below = node->child[i]->relationship;

		node->child_position[i] = palloc(sizeof(int) * below->key->key_count);
		for (int k = 0; k < below->key->key_count; k++)
			node->child_position[i][k] = position_of(&set, near_columns(below)[k]);
	}
	if (identity)
	{
		node->identity = palloc(sizeof(int) * identity_count);
		for (int k = 0; k < identity_count; k++)
			node->identity[k] = position_of(&set, identity[k]);
		key_shape(&node->identity_shape, r->target, identity, identity_count);
	}
	copy_order(node, r->target, order, &set);
	node->as_text = node->parent->as_text || r->kind == AR_MANY_TO_ONE ||
		r->kind == AR_MANY_TO_MANY;
	finish_columns(node);
	plan_below(plan, node);
}

/*
 * Which columns a row needs when it comes in, and what writing it takes.
 */
static void
finish_columns(PathNode *node)
{
	int			needed = 0;

	for (int i = 0; i < node->json_count; i++)
	{
		if (node->as_text)
			needed = Max(needed, node->json[i].position + 1);
		node->json_allocates |= ar_prefetch_json_allocates(&node->json[i]);
	}
	for (int i = 0; i < node->sort_count; i++)
		needed = Max(needed, node->sort_position[i] + 1);
	for (int i = 0; node->fetch && i < node->fetch->key.count; i++)
		needed = Max(needed, node->fetch->key_position[i] + 1);
	for (int i = 0; i < node->child_count; i++)
	{
		for (int k = 0; k < node->child[i]->relationship->key->key_count; k++)
			needed = Max(needed, node->child_position[i][k] + 1);
	}
	for (int i = 0; node->identity && i < node->identity_shape.count; i++)
		needed = Max(needed, node->identity[i] + 1);
	node->needed = needed;
	ar_prefetch_jsonb_shape(node);
}

/*
 * Does a condition hold of the rows of a table?  Shows mistakes in it whether
 * it is ever needed or not, and without what we write around it.
 */
static void
check_condition(PrefetchPlan *plan, PathStep *step, Oid table)
{
	NamedText  *named = ar_prefetch_number_names(psprintf("SELECT FROM %s WHERE (%s\n)", qualified_name(table),
														  step->where));
	Oid		   *types = palloc0(sizeof(Oid) * Max(named->count, 1));
	int			count = named->count;
	ErrorContextCallback callback = {.previous = error_context_stack,
	.callback = ar_prefetch_text_error_callback,.arg = unconstify(char *, named->shown)};
	List	   *parsed;

	error_context_stack = &callback;
	parsed = raw_parser(named->text, RAW_PARSE_DEFAULT);
	(void) note_text(linitial_node(RawStmt, parsed)->stmt, plan);
	(void) parse_analyze_varparams(linitial_node(RawStmt, parsed), named->text, &types, &count,
								   NULL);
	error_context_stack = callback.previous;
	ar_prefetch_check_parameters(count, named->count);
}

/*
 * The order that was asked for, then the primary key, so that it is complete.
 */
static List *
full_order(PathNode *node, Oid table)
{
	List	   *order = NIL;
	int			count;
	AttrNumber *key = primary_key(table, &count);
	ListCell   *cell;

	foreach(cell, node->step->order)
	{
		PathOrder  *item = lfirst(cell);

		if (get_attnum(table, item->column) <= 0)
			ereport(ERROR,
					errcode(ERRCODE_UNDEFINED_COLUMN),
					errmsg("column \"%s\" of table \"%s\" does not exist", item->column,
						   get_rel_name(table)),
					errdetail("The path is \"%s\".", node->step->path));
		order = lappend(order, item);
	}
	for (int i = 0; i < count; i++)
	{
		PathOrder  *item = palloc0(sizeof(PathOrder));
		bool		known = false;

		item->column = get_attname(table, key[i], false);
		foreach(cell, order)
			known |= strcmp(((PathOrder *) lfirst(cell))->column, item->column) == 0;
		if (!known)
			order = lappend(order, item);
	}
	return order;
}

static void
copy_order(PathNode *node, Oid table, List *order, ColumnSet *set)
{
	ListCell   *cell;
	int			i = 0;

	node->sort_count = list_length(order);
	node->sort_position = palloc(sizeof(int) * Max(node->sort_count, 1));
	node->sort = palloc0(sizeof(SortSupportData) * Max(node->sort_count, 1));
	node->sort_by_value = palloc(sizeof(bool) * Max(node->sort_count, 1));
	node->sort_length = palloc(sizeof(int16) * Max(node->sort_count, 1));
	foreach(cell, order)
	{
		PathOrder  *item = lfirst(cell);
		AttrNumber	column = get_attnum(table, item->column);
		Oid			type;
		int32		typmod;
		Oid			collation;
		TypeCacheEntry *entry;
		Oid			operator_oid;

		get_atttypetypmodcoll(table, column, &type, &typmod, &collation);
		entry = lookup_type_cache(type, TYPECACHE_LT_OPR | TYPECACHE_GT_OPR);
		operator_oid = item->descending ? entry->gt_opr : entry->lt_opr;
		if (!OidIsValid(operator_oid))
			ereport(ERROR,
					errcode(ERRCODE_UNDEFINED_FUNCTION),
					errmsg("column \"%s\" of table \"%s\" has no order", item->column,
						   get_rel_name(table)),
					errdetail("Its type is %s.", format_type_be(type)));
		node->sort_position[i] = position_of(set, column);
		node->sort[i].ssup_cxt = CurrentMemoryContext;
		node->sort[i].ssup_collation = collation;
		node->sort[i].ssup_nulls_first = item->nulls_first;
		node->sort[i].ssup_attno = node->sort_position[i] + 1;
		PrepareSortSupportFromOrderingOp(operator_oid, &node->sort[i]);
		get_typlenbyval(type, &node->sort_length[i], &node->sort_by_value[i]);
		i++;
	}
}

/*
 * How keys made of a table's columns are compared with each other.
 */
static void
key_shape(KeyShape *key, Oid table, const AttrNumber *columns, int count)
{
	key->count = count;
	key->column = palloc0(sizeof(KeyColumn) * count);
	for (int i = 0; i < count; i++)
	{
		Oid			type;
		int32		typmod;
		Oid			collation;

		get_atttypetypmodcoll(table, columns[i], &type, &typmod, &collation);
		key_column(&key->column[i], getBaseType(type), collation);
	}
	key->is_integer = count == 1 && is_integer(key->column[0].type);
}

static void
key_column(KeyColumn *column, Oid type, Oid collation)
{
	TypeCacheEntry *entry = lookup_type_cache(type, TYPECACHE_HASH_PROC | TYPECACHE_EQ_OPR);

	column->type = type;
	column->collation = collation;
	get_typlenbyvalalign(type, &column->length, &column->by_value, &column->align);
	if (!OidIsValid(entry->hash_proc) || !OidIsValid(entry->eq_opr))
		ereport(ERROR,
				errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				errmsg("a key of type %s cannot be followed", format_type_be(type)),
				errdetail("The type cannot be hashed."));
	fmgr_info(entry->hash_proc, &column->hash);
	fmgr_info(get_opcode(entry->eq_opr), &column->equal);
}

/*
 * How the columns of a foreign key are compared with those it refers to, which
 * are at the near side or at the far one: by the type and the collation of the
 * latter, where the former can become it.
 */
static void
foreign_key_shape(KeyShape *key, PathNode *node, Oid near_table, const AttrNumber *near_columns,
				  Oid far_table, const AttrNumber *far_columns, int count, bool is_near_target)
{
	key->count = count;
	key->is_integer = false;
	key->column = palloc0(sizeof(KeyColumn) * count);
	for (int i = 0; i < count; i++)
	{
		Oid			near = getBaseType(get_atttype(near_table, near_columns[i]));
		Oid			far = getBaseType(get_atttype(far_table, far_columns[i]));
		Oid			target = is_near_target ? near : far;
		Oid			other = is_near_target ? far : near;
		Oid			collation = is_near_target ? column_collation(near_table, near_columns[i]) :
		column_collation(far_table, far_columns[i]);
		Oid			type;
		KeyColumn  *column = &key->column[i];

		if (is_integer(near) && is_integer(far))
		{
			key->is_integer = count == 1;
			type = count == 1 || near == far ? near : INT8OID;
		}
		else if (can_cast(other, target))
			type = target;
		else if (can_cast(target, other))
			type = other;
		else
			ereport(ERROR,
					errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					errmsg("a foreign key between type %s and type %s cannot be followed",
						   format_type_be(near), format_type_be(far)),
					errdetail("The path is \"%s\".", node->step->path));
		if (!OidIsValid(get_array_type(type)))
			ereport(ERROR,
					errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					errmsg("a key of type %s cannot be followed", format_type_be(type)),
					errdetail("There are no arrays of the type."));
		key_column(column, type, type_is_collatable(type) ? collation : InvalidOid);
		if (!key->is_integer)
		{
			key_cast(&column->near, near, type);
			key_cast(&column->far, far, type);
		}
	}
}

static Oid
column_collation(Oid table, AttrNumber column)
{
	Oid			type;
	int32		typmod;
	Oid			collation;

	get_atttypetypmodcoll(table, column, &type, &typmod, &collation);
	return collation;
}

/*
 * Does a type become another one without being told, with the same value?
 */
static bool
can_cast(Oid from, Oid to)
{
	Oid			function;

	return IsBinaryCoercible(from, to) ||
		(find_coercion_pathway(to, from, COERCION_IMPLICIT, &function) == COERCION_PATH_FUNC &&
		 get_func_nargs(function) == 1);
}

static void
key_cast(KeyCast *cast, Oid from, Oid to)
{
	Oid			function;

	if (IsBinaryCoercible(from, to))
		return;
	(void) find_coercion_pathway(to, from, COERCION_IMPLICIT, &function);
	cast->is_needed = true;
	fmgr_info(function, &cast->function);
}

/*
 * How the rows of "table" are found whose "columns" equal the keys, which are
 * "near_columns" of "near_table".
 *
 * "count_join" is NULL unless rows are to be counted, and then what they are
 * joined with.
 */
static PrefetchFetch *
make_fetch(PathNode *node, Oid table, Oid near_table, const AttrNumber *near_columns,
		   const AttrNumber *columns, const Oid *operators, int key_count,
		   bool operators_point_to_near, ColumnSet *set, List *order, const char *where,
		   int64 limit, const char *count_join)
{
	PrefetchFetch *fetch = palloc0(sizeof(PrefetchFetch));
	char	  **texts = palloc(sizeof(char *) * key_count);

	fetch->table = table;
	foreign_key_shape(&fetch->key, node, near_table, near_columns, table, columns, key_count,
					  operators_point_to_near);
	fetch->key_json = palloc0(sizeof(JsonColumn) * key_count);
	fetch->key_position = palloc(sizeof(int) * key_count);
	for (int i = 0; i < key_count; i++)
	{
		Oid			operator_oid = operators[i];

		ar_prefetch_json_column(&fetch->key_json[i], "", fetch->key.column[i].type, 0, false);
		fetch->key_json[i].prefix_length = 0;
		fetch->key_position[i] = count_join ? i : position_of(set, columns[i]);

		/*
		 * A foreign key compares what it refers to with its own columns, in
		 * this order.
		 */
		if (operators_point_to_near && OidIsValid(get_commutator(operator_oid)))
			operator_oid = get_commutator(operator_oid);
		texts[i] = psprintf("%s%s", collate_clause(column_collation(table, columns[i]),
												   fetch->key.column[i].collation),
							operator_text(operator_oid));
	}
	fetch->table_rows = estimate_rows(table, &fetch->table_pages);
	fetch->rows_per_key = estimate_rows_per_key(table, columns, key_count, fetch->table_rows);
	fetch->has_index = index_covers(table, columns, key_count, NIL);
	fetch->has_order_index = limit >= 0 && index_covers(table, columns, key_count, order);
	write_sql(node, fetch, columns, texts, set, where, order, limit, count_join);
	return fetch;
}

/*
 * The statements of each strategy that applies.
 */
static void
write_sql(PathNode *node, PrefetchFetch *fetch, const AttrNumber *columns, char **operators,
		  ColumnSet *set, const char *where, List *order, int64 limit, const char *count_join)
{
	KeyShape   *key = &fetch->key;
	StringInfoData target;
	StringInfoData child;
	StringInfoData keys;
	StringInfoData match;
	StringInfoData sql;
	ListCell   *cell;
	int			strategy;
	bool		has_row_type = false;

	initStringInfo(&target);
	initStringInfo(&child);
	initStringInfo(&keys);
	initStringInfo(&match);
	initStringInfo(&sql);
	for (int i = 0; i < set->count; i++)
		appendStringInfo(&child, "%s%s", i ? ", " : "SELECT ",
						 quote_identifier(get_attname(fetch->table, set->column[i], false)));
	appendStringInfo(&child, " FROM %s", qualified_name(fetch->table));
	if (where)
		appendStringInfo(&child, " WHERE (%s\n)", where);
	if (count_join)
	{
		for (int i = 0; i < key->count; i++)
			appendStringInfo(&target, "c.%s, ",
							 quote_identifier(get_attname(fetch->table, columns[i], false)));
		if (node->relationship->repeats)
		{
			const ForeignKey *far = node->relationship->far_key;

			appendStringInfoString(&target, "pg_catalog.count(DISTINCT ROW(");
			for (int i = 0; i < far->key_count; i++)
				appendStringInfo(&target, "%sc.%s", i ? ", " : "", quote_identifier(far->column_name[i]));
			appendStringInfoString(&target, "))");
		}
		else
			appendStringInfoString(&target, "pg_catalog.count(*)");
		fetch->natts = key->count + 1;
	}
	else
	{
		for (int i = 0; i < set->count; i++)
			appendStringInfo(&target, "%sc.%s", i ? ", " : "",
							 quote_identifier(get_attname(fetch->table, set->column[i], false)));
		fetch->natts = set->count;
	}
	fetch->att_types = palloc0(sizeof(Oid) * (fetch->natts + 1));
	for (int i = 0; i < fetch->natts; i++)
	{
		if (!count_join)
			fetch->att_types[i] = get_atttype(fetch->table, set->column[i]);
		else
			fetch->att_types[i] = i < key->count ? get_atttype(fetch->table, columns[i]) : INT8OID;
	}
	for (int i = 0; i < key->count; i++)
		has_row_type |= type_is_rowtype(key->column[i].type);

	/* in FROM, a row would come as its columns */
	appendStringInfoString(&keys, has_row_type ? "(SELECT " : key->count == 1 ? "pg_catalog.unnest(" : "ROWS FROM (");
	for (int i = 0; i < key->count; i++)
	{
		appendStringInfo(&keys, key->count == 1 && !has_row_type ? "%s:%s%d" : "%spg_catalog.unnest(:%s%d)",
						 i ? ", " : "", AR_PREFETCH_KEY_PARAMETER, i + 1);
		appendStringInfo(&match, "%sc.%s %s k.k%d", i ? " AND " : "",
						 quote_identifier(get_attname(fetch->table, columns[i], false)),
						 operators[i], i + 1);
	}
	appendStringInfoString(&keys, ") k (");
	for (int i = 0; i < key->count; i++)
		appendStringInfo(&keys, "%sk%d", i ? ", " : "", i + 1);
	appendStringInfoChar(&keys, ')');

	for (strategy = 0; strategy < AR_FETCH_STRATEGIES; strategy++)
	{
		resetStringInfo(&sql);
		if (strategy == AR_FETCH_INDEX || strategy == AR_FETCH_BITMAP)
		{
			if (key->count != 1)
				continue;
			appendStringInfo(&sql, "SELECT %s FROM (%s) c%s%s c.%s %s ANY (:%s1)", target.data,
							 child.data, count_join ? count_join : "",
							 count_join && count_join[0] ? " AND" : " WHERE",
							 quote_identifier(get_attname(fetch->table, columns[0], false)),
							 operators[0], AR_PREFETCH_KEY_PARAMETER);
		}
		else if (strategy == AR_FETCH_SCAN)
		{
			if (count_join)
				continue;
			appendStringInfo(&sql, "SELECT %s FROM (%s) c", target.data, child.data);
		}
		else if (strategy == AR_FETCH_PROBE)
		{
			if (limit < 0 || count_join)
				continue;
			appendStringInfo(&sql, "SELECT %s FROM %s, LATERAL (SELECT %s FROM (%s) c WHERE %s",
							 target.data, keys.data, target.data, child.data, match.data);
			foreach(cell, order)
			{
				PathOrder  *item = lfirst(cell);

				appendStringInfo(&sql, "%sc.%s%s NULLS %s",
								 cell == list_head(order) ? " ORDER BY " : ", ",
								 quote_identifier(item->column), item->descending ? " DESC" : "",
								 item->nulls_first ? "FIRST" : "LAST");
			}
			appendStringInfo(&sql, " LIMIT " INT64_FORMAT ") c", limit);
		}
		else
			appendStringInfo(&sql, "SELECT %s FROM %s, (%s) c%s%s %s", target.data, keys.data,
							 child.data, count_join ? count_join : "",
							 count_join && count_join[0] ? " AND" : " WHERE", match.data);
		if (count_join)
		{
			appendStringInfoString(&sql, " GROUP BY ");
			for (int i = 0; i < key->count; i++)
				appendStringInfo(&sql, "%sc.%s", i ? ", " : "",
								 quote_identifier(get_attname(fetch->table, columns[i], false)));
		}
		fetch->named[strategy] = ar_parameter_number(pstrdup(sql.data));
		fetch->sql[strategy] = fetch->named[strategy]->text;
	}
}

/*
 * The statement of a strategy, prepared when it is first needed.
 */
PrefetchStatement *
ar_prefetch_fetch_statement(PrefetchPlan *plan, PathNode *node, PrefetchFetch *fetch,
							FetchStrategy strategy)
{
	if (fetch->statement[strategy] == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(plan->context);
		Oid		   *types = palloc(sizeof(Oid) * fetch->key.count);
		PrefetchStatement *statement;

		for (int i = 0; i < fetch->key.count; i++)
			types[i] = get_array_type(fetch->key.column[i].type);
		statement = ar_prefetch_prepare(fetch->sql[strategy], NULL, fetch->key.count, types,
										fetch->named[strategy]->count,
										fetch->named[strategy]->names,
										strategy == AR_FETCH_JOIN ? CURSOR_OPT_CUSTOM_PLAN :
										CURSOR_OPT_GENERIC_PLAN);
		statement->avoids_bitmaps = strategy == AR_FETCH_INDEX || strategy == AR_FETCH_JOIN_FEW;
		plan->statements = lappend(plan->statements, statement);
		fetch->statement[strategy] = statement;
		MemoryContextSwitchTo(old);
	}
	return fetch->statement[strategy];
}

const char *
ar_prefetch_strategy_name(FetchStrategy strategy)
{
	static const char *const names[] = {"index", "index or bitmap", "join by index", "join", "scan",
	"probe per parent"};

	return names[strategy];
}

/*
 * The columns that tell the rows of a recursion apart: the primary key, which
 * all recursions of a table share, or what its foreign key refers to.
 */
static const AttrNumber *
identity_columns(const PathNode *node, int *count)
{
	const Relationship *r = node->relationship;
	const AttrNumber *columns;

	if (r->table != r->target)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("relationship \"%s\" does not lead back to its own table", node->step->name),
				errdetail("The path is \"%s\".", node->step->path));
	columns = primary_key(r->target, count);
	if (columns)
		return columns;
	for (const PathNode *other = node->parent; other; other = other->parent)
		check_identity(node, other);
	for (int i = 0; i < node->parent->child_count; i++)
		check_identity(node, node->parent->child[i]);
	*count = r->key->key_count;
	return r->key->target_column;
}

/*
 * Recursions that meet have to tell rows apart by the same columns.
 */
static void
check_identity(const PathNode *node, const PathNode *other)
{
	const ForeignKey *key = node->relationship->key;

	if (other->in_chain && other->relationship &&
		(other->relationship->key->key_count != key->key_count ||
		 memcmp(other->relationship->key->target_column, key->target_column,
				sizeof(AttrNumber) * key->key_count) != 0))
		ereport(ERROR,
				errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				errmsg("\"%s\" and \"%s\" cannot both be followed again and again", other->name, node->name),
				errdetail("Their foreign keys refer to different columns of a table that has no primary key."));
}

/*
 * The columns of the primary key, a deferrable one, too; NULL if there is none.
 */
static AttrNumber *
primary_key(Oid table, int *count)
{
	Relation	rel = table_open(table, AccessShareLock);
	List	   *indexes = RelationGetIndexList(rel);
	ListCell   *cell;
	AttrNumber *result = NULL;

	*count = 0;
	foreach(cell, indexes)
	{
		HeapTuple	tuple = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(lfirst_oid(cell)));
		Form_pg_index form;

		if (!HeapTupleIsValid(tuple))
			continue;
		form = (Form_pg_index) GETSTRUCT(tuple);
		if (form->indisprimary)
		{
			*count = form->indnkeyatts;
			result = palloc(sizeof(AttrNumber) * *count);
			memcpy(result, form->indkey.values, sizeof(AttrNumber) * *count);
		}
		ReleaseSysCache(tuple);
	}
	list_free(indexes);
	table_close(rel, NoLock);
	return result;
}

/*
 * Is there an index that begins with some columns, in any order, and goes on
 * with others, in theirs?
 */
static bool
index_covers(Oid table, const AttrNumber *columns, int count, List *order)
{
	Relation	rel = table_open(table, AccessShareLock);
	List	   *indexes = RelationGetIndexList(rel);
	ListCell   *cell;
	bool		result = false;

	foreach(cell, indexes)
	{
		Relation	index = index_open(lfirst_oid(cell), AccessShareLock);
		Form_pg_index form = index->rd_index;
		bool		fits = form->indisvalid && form->indnkeyatts >= count &&
		heap_attisnull(index->rd_indextuple, Anum_pg_index_indpred, NULL) &&
		(index->rd_rel->relam == BTREE_AM_OID ||
		 (index->rd_rel->relam == HASH_AM_OID && order == NIL));
		int			i;

		for (i = 0; i < count && fits; i++)
		{
			bool		found = false;

			for (int j = 0; j < count; j++)
				found |= form->indkey.values[i] == columns[j];
			fits = found;
		}
		if (fits && order != NIL)
		{
			ListCell   *item_cell;
			int			direction = 0;

			/*
			 * as far as the index goes; the primary key at the end may be
			 * sorted
			 */
			foreach(item_cell, order)
			{
				PathOrder  *item = lfirst(item_cell);
				int			option;
				int			wanted;

				if (i >= form->indnkeyatts)
				{
					fits = item_cell != list_head(order);
					break;
				}
				option = index->rd_indoption[i];
				wanted = ((option & INDOPTION_DESC) != 0) == item->descending ? 1 : -1;
				if (form->indkey.values[i] != get_attnum(table, item->column) ||
					(direction != 0 && wanted != direction) ||
					(((option & INDOPTION_NULLS_FIRST) != 0) == item->nulls_first) != (wanted == 1))
				{
					fits = false;
					break;
				}
				direction = wanted;
				i++;
			}
		}
		index_close(index, NoLock);
		if (fits)
		{
			result = true;
			break;
		}
	}
	list_free(indexes);
	table_close(rel, NoLock);
	return result;
}

static double
estimate_rows(Oid table, double *pages)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(table));
	double		rows = 1000;

	*pages = 0;
	if (HeapTupleIsValid(tuple))
	{
		if (((Form_pg_class) GETSTRUCT(tuple))->reltuples >= 0)
			rows = ((Form_pg_class) GETSTRUCT(tuple))->reltuples;
		*pages = Max(((Form_pg_class) GETSTRUCT(tuple))->relpages, 0);
		ReleaseSysCache(tuple);
	}
	return Max(rows, 1);
}

/*
 * How many rows have the same key, from the statistics of its first column.
 */
static double
estimate_rows_per_key(Oid table, const AttrNumber *columns, int count, double rows)
{
	HeapTuple	tuple = SearchSysCache3(STATRELATTINH, ObjectIdGetDatum(table),
										Int16GetDatum(columns[0]), BoolGetDatum(false));
	double		distinct = 0;

	if (HeapTupleIsValid(tuple))
	{
		distinct = ((Form_pg_statistic) GETSTRUCT(tuple))->stadistinct;
		ReleaseSysCache(tuple);
	}
	if (distinct < 0)
		distinct = -distinct * rows;
	if (distinct < 1)
		distinct = Max(rows / 10, 1);
	return Max(rows / distinct, 1) / count;
}

static void
need_column(ColumnSet *set, AttrNumber column)
{
	int			i = set->count;

	if (position_of(set, column) >= 0)
		return;
	while (i > 0 && set->column[i - 1] > column)
	{
		set->column[i] = set->column[i - 1];
		i--;
	}
	set->column[i] = column;
	set->count++;
}

static int
position_of(const ColumnSet *set, AttrNumber column)
{
	for (int i = 0; i < set->count; i++)
	{
		if (set->column[i] == column)
			return i;
	}
	return -1;
}

static char *
qualified_name(Oid table)
{
	return quote_qualified_identifier(get_namespace_name(get_rel_namespace(table)),
									  get_rel_name(table));
}

static char *
operator_text(Oid operator_oid)
{
	HeapTuple	tuple = SearchSysCache1(OPEROID, ObjectIdGetDatum(operator_oid));
	Form_pg_operator form;
	char	   *result;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for operator %u", operator_oid);
	form = (Form_pg_operator) GETSTRUCT(tuple);
	result = psprintf("OPERATOR(%s.%s)", quote_identifier(get_namespace_name(form->oprnamespace)),
					  NameStr(form->oprname));
	ReleaseSysCache(tuple);
	return result;
}

/*
 * What makes a comparison use a collation, where another one may call other
 * values equal.
 */
static const char *
collate_clause(Oid own, Oid wanted)
{
	if (own == wanted || !OidIsValid(own) || !OidIsValid(wanted) ||
		(get_collation_isdeterministic(own) && get_collation_isdeterministic(wanted)))
		return "";
	return psprintf(" COLLATE %s ", generate_collation_name(wanted));
}

static bool
is_integer(Oid type)
{
	return type == INT2OID || type == INT4OID || type == INT8OID;
}
