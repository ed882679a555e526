/*
 * prefetch_fetch.c: how rows are found by key: the statements of each strategy,
 * and what there is to choose between them by.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_am.h"
#include "catalog/pg_index.h"
#include "catalog/pg_statistic.h"
#include "catalog/pg_type.h"
#include "common/qualified_name.h"
#include "lib/stringinfo.h"
#include "parser/parse_coerce.h"
#include "prefetch/prefetch.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/ruleutils.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

static void write_sql(PathNode *node, PrefetchFetch *fetch, const AttrNumber *columns,
					  char **operators, ColumnSet *set, const char *where, List *order,
					  int64 limit, const char *count_join);
static void key_column(KeyColumn *column, Oid type, Oid collation);
static void foreign_key_shape(KeyShape *key, PathNode *node, Oid near_table,
							  const AttrNumber *near_columns, Oid far_table,
							  const AttrNumber *far_columns, int count, bool is_near_target);
static Oid	column_collation(Oid table, AttrNumber column);
static bool can_cast(Oid from, Oid to);
static void key_cast(KeyCast *cast, Oid from, Oid to);
static bool index_covers(Oid table, const AttrNumber *columns, int count, List *order);
static double estimate_rows(Oid table, double *pages);
static double estimate_rows_per_key(Oid table, const AttrNumber *columns, int count, double rows);
static const char *collate_clause(Oid own, Oid wanted);
static bool is_integer(Oid type);

/*
 * How the rows of "table" are found whose "columns" equal the keys, which are
 * "near_columns" of "near_table".
 *
 * "count_join" is NULL unless rows are to be counted, and then what they are
 * joined with.
 */
PrefetchFetch *
ar_prefetch_make_fetch(PathNode *node, Oid table, Oid near_table, const AttrNumber *near_columns,
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
		fetch->key_position[i] = count_join ? i : ar_prefetch_position_of(set, columns[i]);

		/*
		 * A foreign key compares what it refers to with its own columns, in
		 * this order.
		 */
		if (operators_point_to_near && OidIsValid(get_commutator(operator_oid)))
			operator_oid = get_commutator(operator_oid);
		texts[i] = psprintf("%s%s", collate_clause(column_collation(table, columns[i]),
												   fetch->key.column[i].collation),
							ar_qualified_operator(operator_oid));
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
	appendStringInfo(&child, " FROM %s", ar_qualified_relation(fetch->table));
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
 * How keys made of a table's columns are compared with each other.
 */
void
ar_prefetch_key_shape(KeyShape *key, Oid table, const AttrNumber *columns, int count)
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
