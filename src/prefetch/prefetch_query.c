/*
 * prefetch_query.c: the query, and the keys that it gives the first level.
 *
 * They come from the columns that the query returns, whatever they are called
 * there.  One that it does not return is added to it, unseen, where that cannot
 * change its rows.
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/pg_class.h"
#include "common/compat.h"
#include "lib/stringinfo.h"
#include "nodes/makefuncs.h"
#include "parser/analyze.h"
#include "parser/parser.h"
#include "parser/parsetree.h"
#include "prefetch/prefetch.h"
#include "rewrite/rewriteHandler.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

/* A table that the query reads, and which of its columns come back. */
typedef struct Source
{
	List	   *way;			/* the numbers in the range tables by which it
								 * is reached: one that is read twice is two */
	Oid			table;
	bool		is_direct;		/* a table in FROM: columns can be added */
	AttrNumber	position[MaxHeapAttributeNumber + 1];	/* 0: not returned */
} Source;

static RawStmt *parse_query(const NamedText *named);
static List *find_sources(Query *query);
static Source *get_source(List **sources, List *way, Oid table);
static bool trace_column(List *queries, Node *expression, List **way, Oid *table,
						 AttrNumber *column);
static Node *column_below(List **queries, RangeTblEntry *rte, AttrNumber column);
static CommonTableExpr *find_cte(Query *query, const char *name);
static bool can_be_named(Query *query, int varno);
static bool is_within(Node *join, int varno);
static Source *source_of(PathNode *node, List *sources, Query *query);
static bool returns_key(const Source *source, const Relationship *r, Query *query);
static int	top_column(Source *source, AttrNumber column, Query *query, SelectStmt *select,
					   int *added, int visible);
static bool takes_columns(Query *query);

/*
 * Analyze the query, add the keys that it does not return, prepare it, and
 * plan everything below.
 */
void
ar_prefetch_plan_query(PrefetchPlan *plan)
{
	PathNode   *top = plan->top;
	NamedText  *named = ar_prefetch_number_names(plan->query);
	RawStmt    *statement = parse_query(named);
	SelectStmt *select = (SelectStmt *) statement->stmt;
	Query	   *query = ar_prefetch_analyze(plan, named, statement);
	List	   *sources;
	ListCell   *cell;
	int			added = 0;
	int			visible;
	List	   *column_names = NIL;
	PrefetchStatement *top_statement;

	sources = find_sources(query);
	visible = ExecCleanTargetListLength(query->targetList);

	/* names first: a mistake in a path is found before anything is prepared */
	ar_prefetch_expand_recursion(plan, top);
	foreach(cell, query->targetList)
	{
		TargetEntry *entry = lfirst(cell);

		if (!entry->resjunk)
			column_names = lappend(column_names, entry->resname);
	}
	ar_prefetch_check_names(top, column_names);
	ar_prefetch_finish_children(plan, top);
	for (int i = 0; i < top->child_count; i++)
	{
		PathNode   *child = top->child[i];
		Source	   *source = source_of(child, sources, query);
		const AttrNumber *near;
		int			count;

		near = ar_prefetch_near_columns(child->relationship);
		count = child->relationship->key->key_count;
		top->child_position[i] = palloc(sizeof(int) * count);
		for (int k = 0; k < count; k++)
			top->child_position[i][k] = top_column(source, near[k], query, select, &added, visible);
		if (child->in_chain)
		{
			const AttrNumber *identity = ar_prefetch_identity_columns(child, &count);

			top->identity = palloc(sizeof(int) * count);
			for (int k = 0; k < count; k++)
				top->identity[k] = top_column(source, identity[k], query, select, &added, visible);
			ar_prefetch_key_shape(&top->identity_shape, source->table, identity, count);
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
	ar_prefetch_finish_columns(top);
	ar_prefetch_plan_below(plan, top);
}

/*
 * The query as one parsed SELECT.
 */
static RawStmt *
parse_query(const NamedText *named)
{
	List	   *parsed = ar_prefetch_parse(named, RAW_PARSE_DEFAULT);
	RawStmt    *statement;

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
		List	   *way = NIL;
		Oid			table;
		AttrNumber	column;
		Source	   *source;

		if (entry->resjunk)
			continue;
		position++;
		if (!trace_column(list_make1(query), (Node *) entry->expr, &way, &table, &column))
			continue;
		source = get_source(&sources, way, table);
		if (source->position[column] == 0)
			source->position[column] = position;
	}
	foreach(cell, query->rtable)
	{
		RangeTblEntry *rte = lfirst(cell);

		varno++;
		if (rte->rtekind == RTE_RELATION && rte->inFromCl &&
			(rte->relkind == RELKIND_RELATION || rte->relkind == RELKIND_PARTITIONED_TABLE))
			get_source(&sources, list_make1_int(varno), rte->relid)->is_direct =
				can_be_named(query, varno);
	}
	return sources;
}

static Source *
get_source(List **sources, List *way, Oid table)
{
	Source	   *source;
	ListCell   *cell;

	foreach(cell, *sources)
	{
		source = lfirst(cell);
		if (equal(source->way, way))
			return source;
	}
	source = palloc0(sizeof(Source));
	source->way = way;
	source->table = table;
	*sources = lappend(*sources, source);
	return source;
}

/*
 * Follow a column of the innermost of "queries" through subqueries, common
 * table expressions and views to the table it comes from, and append the way
 * to "way".  False if it is not just a column of a table.
 */
static bool
trace_column(List *queries, Node *expression, List **way, Oid *table, AttrNumber *column)
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
			*way = lappend_int(*way, var->varno);
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
	const AttrNumber *columns = ar_prefetch_near_columns(r);

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
	rte = rt_fetch(linitial_int(source->way), query->rtable);
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
