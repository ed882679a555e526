/*
 * prefetch_plan.c: what has to be read for each relationship of a tree.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_index.h"
#include "common/qualified_name.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "parser/analyze.h"
#include "parser/parser.h"
#include "prefetch/prefetch.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

static void plan_node(PrefetchPlan *plan, PathNode *node);
static void check_condition(PrefetchPlan *plan, PathStep *step, Oid table);
static List *full_order(PathNode *node, Oid table);
static void copy_order(PathNode *node, Oid table, List *order, ColumnSet *set);
static void check_identity(const PathNode *node, const PathNode *other);
static AttrNumber *primary_key(Oid table, int *count);

/*
 * Number the children of a node, and make room for what is kept about them.
 */
void
ar_prefetch_finish_children(PrefetchPlan *plan, PathNode *node)
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

void
ar_prefetch_plan_below(PrefetchPlan *plan, PathNode *node)
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
void
ar_prefetch_check_names(PathNode *node, List *names)
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
const AttrNumber *
ar_prefetch_near_columns(const Relationship *r)
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
		ar_prefetch_need_column(&set, lfirst_int(cell));
		column_names = lappend(column_names,
							   NameStr(TupleDescAttr(desc, lfirst_int(cell) - 1)->attname));
	}
	ar_prefetch_check_names(node, column_names);
	ar_prefetch_finish_children(plan, node);

	/* those that the children hang on, and that make the row known */
	for (i = 0; i < node->child_count; i++)
	{
		PathNode   *child = node->child[i];

		child->relationship = unconstify(Relationship *,
										 ar_relationship_resolve(r->target, child->step->name,
																 child->step->pins));
		if (child->in_chain)
			identity = ar_prefetch_identity_columns(child, &identity_count);
		for (int k = 0; k < child->relationship->key->key_count; k++)
			ar_prefetch_need_column(&set, ar_prefetch_near_columns(child->relationship)[k]);
	}
	if (node->in_chain)
		identity = ar_prefetch_identity_columns(node, &identity_count);
	for (int k = 0; k < identity_count; k++)
		ar_prefetch_need_column(&set, identity[k]);
	order = full_order(node, r->target);
	if (node->to_one || node->count)
		order = NIL;
	foreach(cell, order)
		ar_prefetch_need_column(&set, get_attnum(r->target, ((PathOrder *) lfirst(cell))->column));

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
			ar_prefetch_need_column(&link_set, key->column[i]);
		if (node->count)
		{
			initStringInfo(&join);
			appendStringInfo(&join, ", (SELECT ");
			for (i = 0; i < far->key_count; i++)
				appendStringInfo(&join, "%s%s", i ? ", " : "",
								 quote_identifier(get_attname(far->target, far->target_column[i],
															  false)));
			appendStringInfo(&join, " FROM %s", ar_qualified_relation(far->target));
			if (step->where)
				appendStringInfo(&join, " WHERE (%s\n)", step->where);
			appendStringInfo(&join, ") f WHERE ");
			for (i = 0; i < far->key_count; i++)
				appendStringInfo(&join, "%sf.%s %s c.%s", i ? " AND " : "",
								 quote_identifier(get_attname(far->target, far->target_column[i],
															  false)),
								 ar_qualified_operator(far->equality[i]),
								 quote_identifier(far->column_name[i]));
			for (i = 0; i < far->key_count; i++)
				ar_prefetch_need_column(&link_set, far->column[i]);
			node->fetch = ar_prefetch_make_fetch(node, key->table, key->target, key->target_column,
												 key->column, key->equality, key->key_count, true, &link_set,
												 NIL, NULL, -1, join.data);
			return;
		}
		for (i = 0; i < far->key_count; i++)
			ar_prefetch_need_column(&link_set, far->column[i]);
		node->link = ar_prefetch_make_fetch(node, key->table, key->target, key->target_column, key->column,
											key->equality, key->key_count, true, &link_set, NIL, NULL, -1,
											NULL);
		node->link_far_position = palloc(sizeof(int) * far->key_count);
		for (i = 0; i < far->key_count; i++)
			node->link_far_position[i] = ar_prefetch_position_of(&link_set, far->column[i]);
		for (i = 0; i < far->key_count; i++)
			ar_prefetch_need_column(&set, far->target_column[i]);
		node->fetch = ar_prefetch_make_fetch(node, far->target, far->table, far->column, far->target_column,
											 far->equality, far->key_count, false, &set, NIL, step->where, -1,
											 NULL);
	}
	else if (ar_relationship_is_outgoing(r))
	{
		for (i = 0; i < r->key->key_count; i++)
			ar_prefetch_need_column(&set, r->key->target_column[i]);
		node->fetch = ar_prefetch_make_fetch(node, r->target, r->table, r->key->column, r->key->target_column,
											 r->key->equality, r->key->key_count, false, &set, NIL,
											 step->where, -1, NULL);
	}
	else
	{
		bool		later = node->inner;

		for (i = 0; i < node->child_count; i++)
			later |= node->child[i]->inner;
		for (i = 0; i < r->key->key_count; i++)
			ar_prefetch_need_column(&set, r->key->column[i]);
		node->fetch = ar_prefetch_make_fetch(node, r->target, r->table, r->key->target_column, r->key->column,
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
								ar_prefetch_position_of(&set, attribute->attnum), i == 0);
		i++;
	}
	node->bare = node->json_count == 0;
	for (i = 0; i < node->child_count; i++)
	{
		Relationship *below = node->child[i]->relationship;

		node->child_position[i] = palloc(sizeof(int) * below->key->key_count);
		for (int k = 0; k < below->key->key_count; k++)
			node->child_position[i][k] = ar_prefetch_position_of(&set, ar_prefetch_near_columns(below)[k]);
	}
	if (identity)
	{
		node->identity = palloc(sizeof(int) * identity_count);
		for (int k = 0; k < identity_count; k++)
			node->identity[k] = ar_prefetch_position_of(&set, identity[k]);
		ar_prefetch_key_shape(&node->identity_shape, r->target, identity, identity_count);
	}
	copy_order(node, r->target, order, &set);
	node->as_text = node->parent->as_text || r->kind == AR_MANY_TO_ONE ||
		r->kind == AR_MANY_TO_MANY;
	ar_prefetch_finish_columns(node);
	ar_prefetch_plan_below(plan, node);
}

/*
 * Which columns a row needs when it comes in, and what writing it takes.
 */
void
ar_prefetch_finish_columns(PathNode *node)
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
	NamedText  *named = ar_prefetch_number_names(psprintf("SELECT FROM %s WHERE (%s\n)", ar_qualified_relation(table),
														  step->where));
	List	   *parsed = ar_prefetch_parse(named, RAW_PARSE_DEFAULT);

	(void) ar_prefetch_analyze(plan, named, linitial_node(RawStmt, parsed));
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
		node->sort_position[i] = ar_prefetch_position_of(set, column);
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
 * The columns that tell the rows of a recursion apart: the primary key, which
 * all recursions of a table share, or what its foreign key refers to.
 */
const AttrNumber *
ar_prefetch_identity_columns(const PathNode *node, int *count)
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

void
ar_prefetch_need_column(ColumnSet *set, AttrNumber column)
{
	int			i = set->count;

	if (ar_prefetch_position_of(set, column) >= 0)
		return;
	while (i > 0 && set->column[i - 1] > column)
	{
		set->column[i] = set->column[i - 1];
		i--;
	}
	set->column[i] = column;
	set->count++;
}

int
ar_prefetch_position_of(const ColumnSet *set, AttrNumber column)
{
	for (int i = 0; i < set->count; i++)
	{
		if (set->column[i] == column)
			return i;
	}
	return -1;
}
