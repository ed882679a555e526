/*
 * watch_plan.c: which keys a plan returns, and by which it looks rows up.
 *
 * A lookup is a plan that compares all columns of a key of a table with
 * constants or parameters of the statement, by "=" or by "= ANY" of an array
 * with one element.  The parameters that a join hands to its inner side are
 * not the statement's, so a join of two tables is no lookup in either.
 *
 * What is read here is the plan and not the query because a cached plan has no
 * query any more.  Every statement passes here: next to nothing is allocated,
 * and nothing is read from a catalog that was read before.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "nodes/nodeFuncs.h"
#include "nodes/pathnodes.h"
#include "parser/parsetree.h"
#include "utils/array.h"
#include "utils/expandeddatum.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "watch/watch.h"

/* A plan with more nodes, or more comparisons, is no lookup of a row. */
#define NODES_MAX 24
#define TERMS_MAX 16

/* A larger array is not one of one key. */
#define ONE_ELEMENT_BYTES_MAX 1024

/* "column = value" */
typedef struct Term
{
	const KeyedTable *table;
	AttrNumber	column;
	uint64		hash;			/* of the value */
} Term;

typedef struct PlanSearch
{
	QueryDesc  *query;
	int			nodes;
	int			term_count;
	Term		term[TERMS_MAX];
} PlanSearch;

/* Where a column of a key is in the result. */
typedef struct OutputColumn
{
	const KeyedTable *table;
	AttrNumber	column;
	AttrNumber	position;
} OutputColumn;

#define OUTPUT_COLUMNS_MAX 64

static int	emitted_of(const OutputColumn *outputs, int count, const OutputColumn *output,
					   EmittedKey *emitted, int room);
static bool counts(Plan *plan);
static void search_plan(PlanSearch *search, Plan *plan);
static void search_scan(PlanSearch *search, Scan *scan, List *quals, List *index_columns);
static void search_qual(PlanSearch *search, Scan *scan, Node *qual, List *index_columns);
static Var *column_of(Node *node, Scan *scan, List *index_columns);
static bool is_child(PlannedStmt *statement, Index relation);
static bool to_parent(PlannedStmt *statement, Index *relation, AttrNumber *column);
static bool is_equality(Oid operator);
static bool value_of(QueryDesc *query, Node *node, Datum *value, Oid *type);
static bool single_element(Datum array, Datum *value, Oid *type);
static Node *strip_casts(Node *node);
static void layout_of(Oid type, int16 *length, bool *by_value);
static bool hash_bytes_of(Datum value, int16 length, uint64 *hash);

static inline uint64
mix(uint64 hash)
{
	hash ^= hash >> 33;
	hash *= UINT64CONST(0xff51afd7ed558ccd);
	hash ^= hash >> 33;
	hash *= UINT64CONST(0xc4ceb9fe1a85ec53);
	hash ^= hash >> 33;
	return hash;
}

/*
 * The hash of a value, as hash_bytes_of() has it.
 *
 * Integers of all sizes are equal where their values are.  Other values are
 * equal where their bytes are: two that only their type takes for equal, as
 * 1.0 and 1.00, count as different.
 */
static inline bool
hash_value(Datum value, int16 length, bool by_value, uint64 *hash)
{
	if (!by_value)
		return hash_bytes_of(value, length, hash);
	switch (length)
	{
		case 1:
			*hash = (uint64) DatumGetChar(value);
			break;
		case 2:
			*hash = (uint64) (int64) DatumGetInt16(value);
			break;
		case 4:
			*hash = (uint64) (int64) DatumGetInt32(value);
			break;
		default:
			*hash = (uint64) DatumGetInt64(value);
			break;
	}
	return true;
}

/*
 * The keys that a statement returns, in an array of AR_WATCH_KEYS_MAX.
 */
int
ar_watch_emitted(PlannedStmt *statement, EmittedKey *emitted)
{
	OutputColumn outputs[OUTPUT_COLUMNS_MAX];
	int			output_count = 0;
	int			count = 0;
	const KeyedTable *table = ar_watch_table(InvalidOid);
	Oid			last = InvalidOid;
	ListCell   *cell;

	foreach(cell, statement->planTree->targetlist)
	{
		TargetEntry *entry = lfirst_node(TargetEntry, cell);

		if (entry->resorigtbl != last)
		{
			last = entry->resorigtbl;
			table = ar_watch_table(last);
		}
		if (!ar_watch_in_key(table, entry->resorigcol) || entry->resjunk ||
			output_count == OUTPUT_COLUMNS_MAX)
			continue;
		outputs[output_count].table = table;
		outputs[output_count].column = entry->resorigcol;
		outputs[output_count].position = entry->resno;
		output_count++;
	}
	for (int i = 0; i < output_count; i++)
		count += emitted_of(outputs, output_count, &outputs[i], emitted + count,
							AR_WATCH_KEYS_MAX - count);
	return count;
}

/*
 * The keys whose first column is that of "output".
 */
static int
emitted_of(const OutputColumn *outputs, int count, const OutputColumn *output,
		   EmittedKey *emitted, int room)
{
	int			found = 0;

	for (int i = 0; i < output->table->count && found < room; i++)
	{
		const TableKey *key = &output->table->keys[i];
		EmittedKey *next = &emitted[found];
		int			columns = 0;

		if (key->column[0] != output->column)
			continue;
		next->key = key->key;
		next->count = key->count;
		next->position[columns++] = output->position;
		for (; columns < key->count; columns++)
		{
			int			at = 0;

			while (at < count && (outputs[at].table != output->table ||
								  outputs[at].column != key->column[columns]))
				at++;
			if (at == count)
				break;
			next->position[columns] = outputs[at].position;
		}
		if (columns == key->count)
			found++;
	}
	return found;
}

/*
 * The value of a key in a row; false if it is null.
 */
bool
ar_watch_row_key(TupleTableSlot *slot, const EmittedKey *key, uint64 *hash)
{
	*hash = key->key.domain;
	for (int i = 0; i < key->count; i++)
	{
		AttrNumber	position = key->position[i];
		Form_pg_attribute attribute = TupleDescAttr(slot->tts_tupleDescriptor, position - 1);
		bool		isnull;
		Datum		value = slot_getattr(slot, position, &isnull);

		uint64		own;

		if (isnull || !hash_value(value, attribute->attlen, attribute->attbyval, &own))
			return false;
		*hash = mix(*hash ^ own);
	}
	return true;
}

/*
 * The keys by which a statement that has been started looks rows up, in an
 * array of AR_WATCH_KEYS_MAX.
 */
int
ar_watch_lookups(QueryDesc *query, LookupKey *lookups)
{
	PlanSearch	search = {.query = query};
	int			count = 0;
	ListCell   *cell;

	search_plan(&search, query->plannedstmt->planTree);
	foreach(cell, query->plannedstmt->subplans)
		search_plan(&search, lfirst(cell));
	if (search.nodes > NODES_MAX)
		return 0;
	for (int i = 0; i < search.term_count; i++)
	{
		const KeyedTable *table = search.term[i].table;

		for (int k = 0; k < table->count && count < AR_WATCH_KEYS_MAX; k++)
		{
			const TableKey *key = &table->keys[k];
			uint64		hash = key->key.domain;
			int			columns = 0;

			if (key->column[0] != search.term[i].column)
				continue;
			for (; columns < key->count; columns++)
			{
				int			at = 0;

				while (at < search.term_count &&
					   (search.term[at].table != table ||
						search.term[at].column != key->column[columns]))
					at++;
				if (at == search.term_count)
					break;
				hash = mix(hash ^ search.term[at].hash);
			}
			if (columns < key->count)
				continue;
			lookups[count].key = key->key;
			lookups[count].hash = hash;
			count++;
		}
	}
	return count;
}

/*
 * What statements have in common that differ only in their constants: the
 * tables that they read, without the partitions that a plan may have left out,
 * and the columns that they return.
 */
uint64
ar_watch_shape(PlannedStmt *statement)
{
	uint64		hash = list_length(statement->planTree->targetlist);
	ListCell   *cell;

	foreach(cell, statement->rtable)
	{
		RangeTblEntry *entry = lfirst_node(RangeTblEntry, cell);

		if (entry->rtekind == RTE_RELATION &&
			!is_child(statement, foreach_current_index(cell) + 1))
			hash = mix(hash ^ entry->relid);
	}
	foreach(cell, statement->planTree->targetlist)
	{
		TargetEntry *entry = lfirst_node(TargetEntry, cell);

		if (!entry->resjunk)
			hash = mix(hash ^ ((uint64) entry->resorigtbl << 16) ^ (uint16) entry->resorigcol);
	}
	return hash | 1;
}

/*
 * Is all that a statement wants to know how many rows there are?
 */
bool
ar_watch_is_count(PlannedStmt *statement)
{
	if (IsA(statement->planTree, Result) && outerPlan(statement->planTree) == NULL &&
		list_length(statement->subplans) == 1)
		return counts(linitial(statement->subplans));
	return counts(statement->planTree);
}

static bool
counts(Plan *plan)
{
	TargetEntry *entry;
	Aggref	   *aggregate;

	if (!IsA(plan, Agg) || ((Agg *) plan)->aggstrategy != AGG_PLAIN || plan->qual != NIL ||
		list_length(plan->targetlist) != 1)
		return false;
	entry = linitial_node(TargetEntry, plan->targetlist);
	if (!IsA(entry->expr, Aggref))
		return false;
	aggregate = (Aggref *) entry->expr;
	return aggregate->aggfnoid == F_COUNT_ && aggregate->aggfilter == NULL;
}

static void
search_plan(PlanSearch *search, Plan *plan)
{
	if (plan == NULL || ++search->nodes > NODES_MAX)
		return;
	switch (nodeTag(plan))
	{
		case T_SeqScan:
		case T_SampleScan:
			search_scan(search, (Scan *) plan, NIL, NIL);
			break;
		case T_IndexScan:
			search_scan(search, (Scan *) plan, ((IndexScan *) plan)->indexqualorig, NIL);
			break;
		case T_IndexOnlyScan:
			search_scan(search, (Scan *) plan, ((IndexOnlyScan *) plan)->indexqual,
						((IndexOnlyScan *) plan)->indextlist);
			break;
		case T_BitmapHeapScan:
			search_scan(search, (Scan *) plan, ((BitmapHeapScan *) plan)->bitmapqualorig, NIL);
			break;
		case T_SubqueryScan:
			search_plan(search, ((SubqueryScan *) plan)->subplan);
			break;
		case T_Append:
			/* the parts of a table, of which one is as good as all */
			if (((Append *) plan)->appendplans)
				search_plan(search, linitial(((Append *) plan)->appendplans));
			break;
		case T_MergeAppend:
			if (((MergeAppend *) plan)->mergeplans)
				search_plan(search, linitial(((MergeAppend *) plan)->mergeplans));
			break;
		default:
			search_plan(search, outerPlan(plan));
			search_plan(search, innerPlan(plan));
			break;
	}
}

/*
 * "quals" are the scan's own, beside its filter; "index_columns" are what the
 * variables of an index-only scan stand for.
 */
static void
search_scan(PlanSearch *search, Scan *scan, List *quals, List *index_columns)
{
	ListCell   *cell;

	foreach(cell, quals)
		search_qual(search, scan, lfirst(cell), index_columns);
	foreach(cell, scan->plan.qual)
		search_qual(search, scan, lfirst(cell), index_columns);
}

static void
search_qual(PlanSearch *search, Scan *scan, Node *qual, List *index_columns)
{
	PlannedStmt *statement = search->query->plannedstmt;
	List	   *arguments;
	Oid			operator;
	bool		is_array = false;
	Var		   *column;
	Node	   *other;
	Index		relation;
	AttrNumber	attno;
	const KeyedTable *table;
	Term	   *term;
	Datum		value;
	Oid			type;
	int16		length;
	bool		by_value;

	if (IsA(qual, OpExpr))
	{
		arguments = ((OpExpr *) qual)->args;
		operator = ((OpExpr *) qual)->opno;
	}
	else if (IsA(qual, ScalarArrayOpExpr) && ((ScalarArrayOpExpr *) qual)->useOr)
	{
		arguments = ((ScalarArrayOpExpr *) qual)->args;
		operator = ((ScalarArrayOpExpr *) qual)->opno;
		is_array = true;
	}
	else
		return;
	if (list_length(arguments) != 2)
		return;
	other = lsecond(arguments);
	column = column_of(linitial(arguments), scan, index_columns);
	if (column == NULL && !is_array)
	{
		other = linitial(arguments);
		column = column_of(lsecond(arguments), scan, index_columns);
	}
	if (column == NULL || column->varattno <= 0 || search->term_count == TERMS_MAX)
		return;

	relation = scan->scanrelid;
	attno = column->varattno;
	if (statement->appendRelations && !to_parent(statement, &relation, &attno))
		return;
	table = ar_watch_table(rt_fetch(relation, statement->rtable)->relid);
	if (!ar_watch_in_key(table, attno) || !is_equality(operator))
		return;
	if (is_array && IsA(strip_casts(other), ArrayExpr))
	{
		ArrayExpr  *list = (ArrayExpr *) strip_casts(other);

		if (list->multidims || list_length(list->elements) != 1)
			return;
		other = linitial(list->elements);
		is_array = false;
	}
	if (!value_of(search->query, other, &value, &type))
		return;
	if (is_array && !single_element(value, &value, &type))
		return;

	term = &search->term[search->term_count];
	layout_of(type, &length, &by_value);
	if (!hash_value(value, length, by_value, &term->hash))
		return;
	term->table = table;
	term->column = attno;
	search->term_count++;
}

/*
 * The scanned table's column that an operand is; NULL if it is none.
 */
static Var *
column_of(Node *node, Scan *scan, List *index_columns)
{
	Var		   *var;

	while (IsA(node, RelabelType))
		node = (Node *) ((RelabelType *) node)->arg;
	if (!IsA(node, Var))
		return NULL;
	var = (Var *) node;
	if (var->varno == scan->scanrelid)
		return var;
	if (var->varno != INDEX_VAR || var->varattno < 1 ||
		var->varattno > list_length(index_columns))
		return NULL;
	node = (Node *) list_nth_node(TargetEntry, index_columns, var->varattno - 1)->expr;
	return IsA(node, Var) ? (Var *) node : NULL;
}

/*
 * Is it a partition of a table of the statement, or inherits from one?
 */
static bool
is_child(PlannedStmt *statement, Index relation)
{
	ListCell   *cell;

	foreach(cell, statement->appendRelations)
	{
		if (lfirst_node(AppendRelInfo, cell)->child_relid == relation)
			return true;
	}
	return false;
}

/*
 * From a partition, or a table that inherits, and its column to the table that
 * the statement names; false if that has no such column.
 */
static bool
to_parent(PlannedStmt *statement, Index *relation, AttrNumber *column)
{
	ListCell   *cell;
	bool		again = true;

	while (again)
	{
		again = false;
		foreach(cell, statement->appendRelations)
		{
			AppendRelInfo *info = lfirst_node(AppendRelInfo, cell);

			if (info->child_relid != *relation || !OidIsValid(info->parent_reloid))
				continue;
			if (*column > info->num_child_cols || info->parent_colnos[*column - 1] == 0)
				return false;
			*column = info->parent_colnos[*column - 1];
			*relation = info->parent_relid;
			again = true;
			break;
		}
	}
	return true;
}

/*
 * "=" is what is estimated as such.  The answer for an operator never changes,
 * so the last ones are kept.
 */
static bool
is_equality(Oid operator)
{
	static struct
	{
		Oid			operator;
		bool		is_equality;
	}			known[16];
	int			at = operator % lengthof(known);

	if (known[at].operator != operator)
	{
		known[at].is_equality = get_oprrest(operator) == F_EQSEL;
		known[at].operator = operator;
	}
	return known[at].is_equality;
}

/*
 * The value of a constant, or of a parameter of the statement; false if it is
 * neither, or null.
 */
static bool
value_of(QueryDesc *query, Node *node, Datum *value, Oid *type)
{
	node = strip_casts(node);
	if (IsA(node, Const))
	{
		Const	   *constant = (Const *) node;

		*value = constant->constvalue;
		*type = constant->consttype;
		return !constant->constisnull;
	}
	if (IsA(node, Param))
	{
		Param	   *param = (Param *) node;
		ParamListInfo params = query->params;
		ParamExternData workspace;
		ParamExternData *found;

		if (param->paramkind != PARAM_EXTERN || params == NULL ||
			param->paramid < 1 || param->paramid > params->numParams)
			return false;
		if (params->paramFetch)
			found = params->paramFetch(params, param->paramid, false, &workspace);
		else
			found = &params->params[param->paramid - 1];
		*value = found->value;
		*type = found->ptype;
		return !found->isnull && OidIsValid(found->ptype);
	}
	return false;
}

/*
 * The element of an array that has only one.
 */
static bool
single_element(Datum datum, Datum *value, Oid *type)
{
	struct varlena *raw = (struct varlena *) DatumGetPointer(datum);
	ArrayType  *array;
	int16		length;
	bool		by_value;
	char		align;

	/* a longer array is not made flat only to find that it is longer */
	if (VARATT_IS_EXTERNAL_EXPANDED(raw))
	{
		if (EOH_get_flat_size(DatumGetEOHP(datum)) > ONE_ELEMENT_BYTES_MAX)
			return false;
	}
	else if (VARATT_IS_EXTERNAL(raw) || VARATT_IS_COMPRESSED(raw) ||
			 VARSIZE_ANY(raw) > ONE_ELEMENT_BYTES_MAX)
		return false;
	array = DatumGetArrayTypeP(datum);
	if (ARR_NDIM(array) != 1 || ARR_DIMS(array)[0] != 1 || ARR_HASNULL(array))
		return false;
	*type = ARR_ELEMTYPE(array);
	get_typlenbyvalalign(*type, &length, &by_value, &align);
	*value = fetch_att(ARR_DATA_PTR(array), by_value, length);
	return true;
}

/*
 * The operand without casts that leave its value as it is, as far as we
 * compare values: of one integer type to another, and of equal representation.
 */
static Node *
strip_casts(Node *node)
{
	for (;;)
	{
		if (IsA(node, RelabelType))
			node = (Node *) ((RelabelType *) node)->arg;
		else if (IsA(node, FuncExpr))
		{
			switch (((FuncExpr *) node)->funcid)
			{
				case F_INT4_INT2:
				case F_INT8_INT2:
				case F_INT8_INT4:
				case F_INT2_INT4:
				case F_INT2_INT8:
				case F_INT4_INT8:
					node = linitial(((FuncExpr *) node)->args);
					break;
				default:
					return node;
			}
		}
		else
			return node;
	}
}

/*
 * How values of a type are stored.
 */
static void
layout_of(Oid type, int16 *length, bool *by_value)
{
	switch (type)
	{
		case INT4OID:
		case INT8OID:
			*length = type == INT4OID ? sizeof(int32) : sizeof(int64);
			*by_value = true;
			break;
		default:
			get_typlenbyval(type, length, by_value);
			break;
	}
}

/*
 * The hash of a value that is stored by reference; false if it is compressed or
 * stored elsewhere, as no key is.
 */
static bool
hash_bytes_of(Datum value, int16 length, uint64 *hash)
{
	if (length > 0)
		*hash = hash_bytes_extended((unsigned char *) DatumGetPointer(value), length, 0);
	else if (length == -1)
	{
		struct varlena *bytes = (struct varlena *) DatumGetPointer(value);

		if (VARATT_IS_EXTERNAL(bytes) || VARATT_IS_COMPRESSED(bytes))
			return false;
		*hash = hash_bytes_extended((unsigned char *) VARDATA_ANY(bytes),
									VARSIZE_ANY_EXHDR(bytes), 0);
	}
	else
		*hash = hash_bytes_extended((unsigned char *) DatumGetPointer(value),
									strlen(DatumGetCString(value)), 0);
	return true;
}
