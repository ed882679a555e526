/*
 * prefetch_sql.c: the statement for a query and a tree of paths.
 *
 * Each row of the query becomes a JSON object; what hangs on it is read by a
 * subselect for each relationship, which reads what hangs on its rows in the
 * same way.  Values of the caller's never become text, and a condition of a
 * path is parsed alone first, so that it cannot end the parentheses around it.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_type.h"
#include "common/parameter.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "parser/analyze.h"
#include "parser/parser.h"
#include "prefetch/prefetch.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/relcache.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

/* Deeper trees are a mistake, and would make a statement that nobody can plan. */
#define MAX_NODES 200

static void resolve(PrefetchQuery *query, PathNode *node, int *count);
static void write_children(StringInfo sql, PrefetchQuery *query, const PathNode *node, bool first);
static void write_node(StringInfo sql, PrefetchQuery *query, const PathNode *node);
static void write_rows(StringInfo sql, PrefetchQuery *query, const PathNode *node);
static void write_inner(StringInfo sql, PrefetchQuery *query, const PathNode *node, bool *first);
static void write_order(StringInfo sql, const PathNode *node);
static char *parent_column(PrefetchQuery *query, const PathNode *node, AttrNumber column);
static List *columns_of(const PathNode *node);
static void check_condition(const PathNode *node);
static char *table_name(Oid table);
static char *column_name(Oid table, AttrNumber column);
static char *operator_name(Oid operator_oid);

/*
 * Write the statement.  Raises the errors of names and of conditions.
 */
char *
ar_prefetch_sql(PrefetchQuery *query, PathNode *top, bool as_jsonb)
{
	StringInfoData body;
	StringInfoData sql;
	int			nodes = 0;
	int			visible = list_length(query->column_names);
	bool		first = true;
	ListCell   *cell;

	ar_prefetch_check_names(top, query->column_names);
	foreach(cell, top->children)
		ar_prefetch_find_relationship(query, lfirst(cell));
	foreach(cell, top->children)
		resolve(query, lfirst(cell), &nodes);

	initStringInfo(&body);
	foreach(cell, query->column_names)
		appendStringInfo(&body, "%sq.c%d AS %s", foreach_current_index(cell) ? ", " : "",
						 foreach_current_index(cell) + 1, quote_identifier(lfirst(cell)));
	write_children(&body, query, top, visible == 0);

	initStringInfo(&sql);
	appendStringInfo(&sql, "SELECT %s(SELECT pg_catalog.row_to_json(r) FROM (SELECT %s) r)%s FROM (\n%s\n) q",
					 as_jsonb ? "CAST(" : "", body.data, as_jsonb ? " AS pg_catalog.jsonb)" : "", query->text);
	resetStringInfo(&body);
	write_inner(&body, query, top, &first);
	for (int i = 1; i <= visible + list_length(query->hidden); i++)
		appendStringInfo(&sql, "%sc%d", i == 1 ? " (" : ", ", i);
	if (visible + list_length(query->hidden) > 0)
		appendStringInfoChar(&sql, ')');
	if (!first)
		appendStringInfo(&sql, " WHERE %s", body.data);
	return sql.data;
}

/*
 * Parse the statement, and add to the query what it does not return.
 */
RawStmt *
ar_prefetch_parse(const PrefetchQuery *query, const char *sql)
{
	RawStmt    *statement = linitial_node(RawStmt, raw_parser(sql, RAW_PARSE_DEFAULT));
	SelectStmt *outer = castNode(SelectStmt, statement->stmt);
	SelectStmt *inner = castNode(SelectStmt, linitial_node(RangeSubselect, outer->fromClause)->subquery);
	ListCell   *cell;

	foreach(cell, query->hidden)
	{
		ResTarget  *target = makeNode(ResTarget);

		target->name = psprintf("algo_ref key %d", foreach_current_index(cell) + 1);
		target->val = lfirst(cell);
		target->location = -1;
		inner->targetList = lappend(inner->targetList, target);
	}
	return statement;
}

/*
 * Find the relationships below the first level, and look at names and
 * conditions.
 */
static void
resolve(PrefetchQuery *query, PathNode *node, int *count)
{
	const Relationship *r = node->relationship;
	List	   *names = NIL;
	ListCell   *cell;

	if (++*count > MAX_NODES)
		ereport(ERROR,
				errcode(ERRCODE_STATEMENT_TOO_COMPLEX),
				errmsg("the paths lead to more than %d places", MAX_NODES));
	if (node->count && ar_relationship_is_to_one(r))
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("relationship \"%s\" leads to one row, which is not counted", node->step->name),
				errdetail("The path is \"%s\".", node->step->path));
	if (node->in_chain && r->table != r->target)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("relationship \"%s\" does not lead back to its own table", node->step->name),
				errdetail("The path is \"%s\".", node->step->path));
	if (node->step->where)
		check_condition(node);
	foreach(cell, node->step->order)
	{
		PathOrder  *item = lfirst(cell);

		if (get_attnum(r->target, item->column) <= 0)
			ereport(ERROR,
					errcode(ERRCODE_UNDEFINED_COLUMN),
					errmsg("column \"%s\" of table \"%s\" does not exist", item->column, get_rel_name(r->target)),
					errdetail("The path is \"%s\".", node->step->path));
	}
	foreach(cell, columns_of(node))
		names = lappend(names, get_attname(r->target, lfirst_int(cell), false));
	ar_prefetch_check_names(node, names);
	foreach(cell, node->children)
	{
		PathNode   *child = lfirst(cell);

		child->relationship = ar_relationship_resolve(r->target, child->step->name, child->step->pin);
		resolve(query, child, count);
	}
}

static void
write_children(StringInfo sql, PrefetchQuery *query, const PathNode *node, bool first)
{
	ListCell   *cell;

	foreach(cell, node->children)
	{
		PathNode   *child = lfirst(cell);

		appendStringInfoString(sql, first ? "" : ", ");
		first = false;
		write_node(sql, query, child);
		appendStringInfo(sql, " AS %s", quote_identifier(child->name));
	}
}

/*
 * The value of a node for a row of its parent.
 */
static void
write_node(StringInfo sql, PrefetchQuery *query, const PathNode *node)
{
	ListCell   *cell;
	bool		first = true;

	if (node->count)
	{
		appendStringInfoString(sql, "(SELECT pg_catalog.count(*)");
		write_rows(sql, query, node);
		appendStringInfoChar(sql, ')');
		return;
	}
	appendStringInfoString(sql, ar_relationship_is_to_one(node->relationship) ?
						   "(SELECT pg_catalog.row_to_json(r) FROM (SELECT " :
						   "(SELECT coalesce(pg_catalog.json_agg(r), '[]'::pg_catalog.json) FROM (SELECT ");
	foreach(cell, columns_of(node))
	{
		appendStringInfo(sql, "%st%d.%s", first ? "" : ", ", node->number,
						 column_name(node->relationship->target, lfirst_int(cell)));
		first = false;
	}
	write_children(sql, query, node, first);
	write_rows(sql, query, node);
	write_order(sql, node);
	appendStringInfoString(sql, ") r)");
}

/*
 * FROM and WHERE of a node.  Its condition sees its table only.
 */
static void
write_rows(StringInfo sql, PrefetchQuery *query, const PathNode *node)
{
	const Relationship *r = node->relationship;
	const ForeignKey *key = r->key;
	const ForeignKey *far = r->far_key;
	const char *separator = " WHERE ";
	bool		first = true;
	StringInfoData inner;

	if (node->step->where)
		appendStringInfo(sql, " FROM (SELECT * FROM %s WHERE (%s\n)) t%d", table_name(r->target),
						 node->step->where, node->number);
	else
		appendStringInfo(sql, " FROM %s t%d", table_name(r->target), node->number);
	if (r->kind == AR_MANY_TO_MANY)
	{
		appendStringInfo(sql, ", %s j%d", table_name(key->table), node->number);
		for (int i = 0; i < far->key_count; i++)
		{
			appendStringInfo(sql, "%st%d.%s %s j%d.%s", separator, node->number,
							 column_name(far->target, far->target_column[i]),
							 operator_name(far->equality[i]), node->number,
							 column_name(far->table, far->column[i]));
			separator = " AND ";
		}
	}
	for (int i = 0; i < key->key_count; i++)
	{
		/* equality has the referenced column on its left */
		if (ar_relationship_is_outgoing(r))
			appendStringInfo(sql, "%st%d.%s %s %s", separator, node->number,
							 column_name(key->target, key->target_column[i]), operator_name(key->equality[i]),
							 parent_column(query, node, key->column[i]));
		else
			appendStringInfo(sql, "%s%s %s %c%d.%s", separator,
							 parent_column(query, node, key->target_column[i]), operator_name(key->equality[i]),
							 r->kind == AR_MANY_TO_MANY ? 'j' : 't', node->number,
							 column_name(key->table, key->column[i]));
		separator = " AND ";
	}
	/* a row that is above itself already ends a recursion */
	if (node->in_chain)
	{
		for (const PathNode *below = node;; below = below->parent)
		{
			appendStringInfoString(sql, " AND NOT (");
			for (int i = 0; i < key->key_count; i++)
			{
				TypeCacheEntry *entry = lookup_type_cache(getBaseType(get_atttype(key->target, key->target_column[i])),
														  TYPECACHE_EQ_OPR);

				appendStringInfo(sql, "%st%d.%s %s %s", i ? " AND " : "", node->number,
								 column_name(key->target, key->target_column[i]), operator_name(entry->eq_opr),
								 parent_column(query, below, key->target_column[i]));
			}
			appendStringInfoChar(sql, ')');
			if (!below->parent->in_chain || below->parent->step == NULL)
				break;
		}
	}
	initStringInfo(&inner);
	write_inner(&inner, query, node, &first);
	if (!first)
		appendStringInfo(sql, " AND %s", inner.data);
}

/*
 * The children without which a row does not count.  What tests for them is kept
 * from becoming a join, which would not keep the order of the rows.
 */
static void
write_inner(StringInfo sql, PrefetchQuery *query, const PathNode *node, bool *first)
{
	ListCell   *cell;

	foreach(cell, node->children)
	{
		PathNode   *child = lfirst(cell);

		if (!child->inner)
			continue;
		appendStringInfo(sql, "%s(EXISTS (SELECT", *first ? "" : " AND ");
		write_rows(sql, query, child);
		appendStringInfoString(sql, ")) IS TRUE");
		*first = false;
	}
}

/*
 * What was asked for, then the primary key.
 */
static void
write_order(StringInfo sql, const PathNode *node)
{
	const char *separator = " ORDER BY ";
	Oid			table = node->relationship->target;
	ListCell   *cell;
	Relation	rel;
	Bitmapset  *key;
	int			column = -1;

	if (ar_relationship_is_to_one(node->relationship))
		return;
	foreach(cell, node->step->order)
	{
		PathOrder  *item = lfirst(cell);

		appendStringInfo(sql, "%st%d.%s%s NULLS %s", separator, node->number, quote_identifier(item->column),
						 item->descending ? " DESC" : "", item->nulls_first ? "FIRST" : "LAST");
		separator = ", ";
	}
	rel = table_open(table, AccessShareLock);
	key = RelationGetIndexAttrBitmap(rel, INDEX_ATTR_BITMAP_PRIMARY_KEY);
	while ((column = bms_next_member(key, column)) >= 0)
	{
		appendStringInfo(sql, "%st%d.%s", separator, node->number,
						 column_name(table, column + FirstLowInvalidHeapAttributeNumber));
		separator = ", ";
	}
	table_close(rel, NoLock);
	if (node->step->limit >= 0)
		appendStringInfo(sql, " LIMIT " INT64_FORMAT, node->step->limit);
}

/*
 * A column of the row that a node hangs on.
 */
static char *
parent_column(PrefetchQuery *query, const PathNode *node, AttrNumber column)
{
	if (node->parent->step == NULL)
		return psprintf("q.c%d", ar_prefetch_query_column(query, node, column));
	return psprintf("t%d.%s", node->parent->number, column_name(node->relationship->table, column));
}

/*
 * The columns that are written, as numbers.
 */
static List *
columns_of(const PathNode *node)
{
	Oid			table = node->relationship->target;
	List	   *columns = NIL;
	ListCell   *cell;

	if (node->count)
		return NIL;
	foreach(cell, node->step->columns)
	{
		AttrNumber	column = get_attnum(table, lfirst(cell));

		if (column <= 0)
			ereport(ERROR,
					errcode(ERRCODE_UNDEFINED_COLUMN),
					errmsg("column \"%s\" of table \"%s\" does not exist", (char *) lfirst(cell), get_rel_name(table)),
					errdetail("The path is \"%s\".", node->step->path));
		columns = lappend_int(columns, column);
	}
	if (node->step->columns == NIL)
	{
		Relation	rel = table_open(table, AccessShareLock);

		for (int i = 0; i < RelationGetNumberOfAttributes(rel); i++)
		{
			if (!TupleDescAttr(RelationGetDescr(rel), i)->attisdropped)
				columns = lappend_int(columns, i + 1);
		}
		table_close(rel, NoLock);
	}
	return columns;
}

/*
 * A condition has to be one over the columns of the table, by itself.
 */
static void
check_condition(const PathNode *node)
{
	NamedText  *named = ar_parameter_number(node->step->where);
	ErrorContextCallback callback = {.previous = error_context_stack,
	.callback = ar_prefetch_error_callback,.arg = unconstify(char *, named->shown)};
	SelectStmt *select;
	Oid		   *types = palloc0(sizeof(Oid) * Max(named->count, 1));
	int			type_count = named->count;
	char	   *sql;

	error_context_stack = &callback;
	select = castNode(SelectStmt, linitial_node(RawStmt, raw_parser(named->text, RAW_PARSE_PLPGSQL_EXPR))->stmt);
	error_context_stack = callback.previous;
	if (list_length(select->targetList) != 1 || ((ResTarget *) linitial(select->targetList))->name != NULL ||
		select->distinctClause || select->fromClause || select->whereClause || select->groupClause ||
		select->havingClause || select->windowClause || select->sortClause || select->limitCount ||
		select->limitOffset || select->lockingClause || select->op != SETOP_NONE)
		ereport(ERROR,
				errcode(ERRCODE_SYNTAX_ERROR),
				errmsg("\"%s\" is not a condition", node->step->where),
				errdetail("The path is \"%s\".", node->step->path),
				errhint("A condition is one SQL expression, as in WHERE."));
	sql = psprintf("SELECT FROM %s WHERE (%s\n)", table_name(node->relationship->target), named->text);
	callback.arg = sql;
	error_context_stack = &callback;
	(void) parse_analyze_varparams(linitial_node(RawStmt, raw_parser(sql, RAW_PARSE_DEFAULT)), sql, &types,
								   &type_count, NULL);
	error_context_stack = callback.previous;
	ar_prefetch_check_parameters(type_count, named->count);
}

static char *
table_name(Oid table)
{
	return quote_qualified_identifier(get_namespace_name(get_rel_namespace(table)), get_rel_name(table));
}

static char *
column_name(Oid table, AttrNumber column)
{
	return pstrdup(quote_identifier(get_attname(table, column, false)));
}

static char *
operator_name(Oid operator_oid)
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
