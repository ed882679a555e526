/*
 * relationship_catalog.c: the relationships of a table, from the catalog.
 *
 * They are kept for the session.  A change of any table that was looked at,
 * which includes every table next to one that was asked for, makes all of it
 * stale: a counter, the generation, goes up, and whoever keeps something
 * derived from relationships compares it.
 *
 * Whatever is done to a foreign key changes its tables, too; constraints are not
 * looked at by themselves, because every temporary table has some.
 *
 * Of a partitioned table's foreign keys, the clones that belong to partitions
 * are seen only from the partition itself.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/dependency.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_index.h"
#include "catalog/pg_inherits.h"
#include "common/compat.h"
#include "miscadmin.h"
#include "relationship/relationship.h"
#include "utils/fmgroids.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/relcache.h"
#include "utils/syscache.h"

typedef struct CacheEntry
{
	Oid			table;			/* key */
	TableRelationships *value;
} CacheEntry;

/* The tables whose changes matter; survives the cache. */
static HTAB *observed = NULL;
static uint64 generation = 1;

static MemoryContext cache_context = NULL;
static HTAB *cache = NULL;
static uint64 cache_generation = 0;

static void relation_changed(Datum arg, Oid table);
static void catalog_changed(Datum arg, int cache_id, uint32 hash_value);
static void begin_cache(void);
static TableRelationships *read_table(Oid table);
static List *outgoing_keys(Oid table);
static List *incoming_keys(Oid table);
static List *add_key(List *keys, HeapTuple tuple);
static bool is_clone_of_same_table(Form_pg_constraint constraint);
static bool in_unique_key(Oid table, const ForeignKey *key, const ForeignKey *other,
						  bool exactly);
static bool columns_contain(const AttrNumber *columns, int count, AttrNumber column);
static Relationship *add(TableRelationships *table, RelationshipKind kind, ForeignKey *key,
						 ForeignKey *far_key);

void
ar_relationship_init(void)
{
	CacheRegisterRelcacheCallback(relation_changed, (Datum) 0);
	CacheRegisterSyscacheCallback(NAMESPACEOID, catalog_changed, (Datum) 0);
}

/*
 * The relationships of a table.  The result belongs to the session's cache and
 * is good until the next message of invalidation is processed, that is, until
 * a table is locked or opened.
 */
const TableRelationships *
ar_relationship_table(Oid table)
{
	CacheEntry *entry;

	if (cache == NULL || cache_generation != generation)
		begin_cache();
	entry = hash_search(cache, &table, HASH_FIND, NULL);
	if (entry == NULL)
	{
		TableRelationships *value;

		/*
		 * What changes while it is read is read again.
		 */
		ar_relationship_observe(table);
		for (;;)
		{
			uint64		before = generation;

			value = read_table(table);
			if (generation == before && cache_generation == generation)
				break;
			begin_cache();
		}
		entry = hash_search(cache, &table, HASH_ENTER, NULL);
		entry->value = value;
	}
	return entry->value;
}

/*
 * Goes up whenever a table that was observed has changed.
 */
uint64
ar_relationship_generation(void)
{
	return generation;
}

/*
 * Have changes of a table raise the generation.
 */
void
ar_relationship_observe(Oid table)
{
	if (observed == NULL)
	{
		HASHCTL		control = {.keysize = sizeof(Oid),.entrysize = sizeof(Oid)};

		observed = hash_create("algo_ref observed tables", 64, &control,
							   HASH_ELEM | HASH_BLOBS);
	}
	hash_search(observed, &table, HASH_ENTER, NULL);
}

static void
relation_changed(Datum arg, Oid table)
{
	if (!OidIsValid(table) ||
		(observed && hash_search(observed, &table, HASH_FIND, NULL)))
		generation++;
}

static void
catalog_changed(Datum arg, int cache_id, uint32 hash_value)
{
	generation++;
}

static void
begin_cache(void)
{
	HASHCTL		control = {.keysize = sizeof(Oid),.entrysize = sizeof(CacheEntry)};

	if (cache_context == NULL)
		cache_context = AllocSetContextCreate(CacheMemoryContext, "algo_ref relationships",
											  ALLOCSET_DEFAULT_SIZES);
	cache = NULL;
	MemoryContextReset(cache_context);
	control.hcxt = cache_context;
	cache = hash_create("algo_ref relationships", 64, &control,
						HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	cache_generation = generation;
}

static TableRelationships *
read_table(Oid table)
{
	MemoryContext old = MemoryContextSwitchTo(cache_context);
	TableRelationships *result = palloc0(sizeof(TableRelationships));
	List	   *incoming;
	ListCell   *cell;
	ListCell   *other_cell;

	result->table = table;
	result->name = get_rel_name(table);
	foreach(cell, outgoing_keys(table))
		add(result, AR_MANY_TO_ONE, lfirst(cell), NULL);
	incoming = incoming_keys(table);
	foreach(cell, incoming)
	{
		ForeignKey *key = lfirst(cell);

		add(result, key->is_unique ? AR_ONE_TO_ONE : AR_ONE_TO_MANY, key, NULL);
	}
	foreach(cell, incoming)
	{
		ForeignKey *key = lfirst(cell);

		foreach(other_cell, outgoing_keys(key->table))
		{
			ForeignKey *far_key = lfirst(other_cell);

			if (far_key->constraint != key->constraint &&
				in_unique_key(key->table, key, far_key, false))
				add(result, AR_MANY_TO_MANY, key, far_key);
		}
	}
	ar_relationship_read_aliases(result);
	MemoryContextSwitchTo(old);
	return result;
}

static Relationship *
add(TableRelationships *table, RelationshipKind kind, ForeignKey *key, ForeignKey *far_key)
{
	Relationship *result = palloc0(sizeof(Relationship));

	result->kind = kind;
	result->table = table->table;
	result->key = key;
	result->far_key = far_key;
	if (far_key)
	{
		result->target = far_key->target;
		result->target_name = far_key->target_name;
		result->repeats = has_subclass(key->table) || !in_unique_key(key->table, key, far_key, true);
	}
	else if (kind == AR_MANY_TO_ONE)
	{
		result->target = key->target;
		result->target_name = key->target_name;
	}
	else
	{
		result->target = key->table;
		result->target_name = key->table_name;
	}
	ar_relationship_observe(key->table);
	ar_relationship_observe(result->target);
	table->relationships = lappend(table->relationships, result);
	return result;
}

/*
 * The foreign keys of a table, in the order of their names.
 */
static List *
outgoing_keys(Oid table)
{
	Relation	catalog = table_open(ConstraintRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	List	   *result = NIL;

	ScanKeyInit(&key, Anum_pg_constraint_conrelid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(table));
	scan = systable_beginscan(catalog, ConstraintRelidTypidNameIndexId, true, NULL, 1, &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_constraint constraint = (Form_pg_constraint) GETSTRUCT(tuple);

		if (constraint->contype == CONSTRAINT_FOREIGN && !is_clone_of_same_table(constraint))
			result = add_key(result, tuple);
	}
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
	return result;
}

static int
compare_names(const ListCell *a, const ListCell *b)
{
	const ForeignKey *left = lfirst(a);
	const ForeignKey *right = lfirst(b);
	int			result = strcmp(left->name, right->name);

	return result != 0 ? result :
		left->constraint < right->constraint ? -1 : left->constraint > right->constraint;
}

/*
 * The foreign keys that refer to a table, in the order of their names.
 *
 * pg_constraint has no index for the referenced table; each foreign key
 * depends on it, and pg_depend has.
 */
static List *
incoming_keys(Oid table)
{
	Relation	catalog = table_open(DependRelationId, AccessShareLock);
	ScanKeyData key[2];
	SysScanDesc scan;
	HeapTuple	tuple;
	List	   *constraints = NIL;
	List	   *result = NIL;
	ListCell   *cell;

	ScanKeyInit(&key[0], Anum_pg_depend_refclassid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(RelationRelationId));
	ScanKeyInit(&key[1], Anum_pg_depend_refobjid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(table));
	scan = systable_beginscan(catalog, DependReferenceIndexId, true, NULL, 2, key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_depend depend = (Form_pg_depend) GETSTRUCT(tuple);

		if (depend->classid == ConstraintRelationId)
			constraints = list_append_unique_oid(constraints, depend->objid);
	}
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);

	foreach(cell, constraints)
	{
		Form_pg_constraint constraint;

		tuple = SearchSysCache1(CONSTROID, ObjectIdGetDatum(lfirst_oid(cell)));
		if (!HeapTupleIsValid(tuple))
			continue;
		constraint = (Form_pg_constraint) GETSTRUCT(tuple);
		if (constraint->contype == CONSTRAINT_FOREIGN && constraint->confrelid == table &&
			!OidIsValid(constraint->conparentid))
			result = add_key(result, tuple);
		ReleaseSysCache(tuple);
	}
	list_sort(result, compare_names);
	return result;
}

/*
 * A foreign key to a partitioned table has one more constraint for each of its
 * partitions.
 */
static bool
is_clone_of_same_table(Form_pg_constraint constraint)
{
	HeapTuple	tuple;
	bool		result;

	if (!OidIsValid(constraint->conparentid))
		return false;
	tuple = SearchSysCache1(CONSTROID, ObjectIdGetDatum(constraint->conparentid));
	if (!HeapTupleIsValid(tuple))
		return false;
	result = ((Form_pg_constraint) GETSTRUCT(tuple))->conrelid == constraint->conrelid;
	ReleaseSysCache(tuple);
	return result;
}

/*
 * Add a foreign key to a list, unless a table of it is just gone.  One with a
 * PERIOD is no relationship: its times are contained in those of several rows.
 */
static List *
add_key(List *keys, HeapTuple tuple)
{
	Form_pg_constraint constraint = (Form_pg_constraint) GETSTRUCT(tuple);
	ForeignKey *key;
	AttrNumber	column[INDEX_MAX_KEYS];
	AttrNumber	target_column[INDEX_MAX_KEYS];
	Oid			equality[INDEX_MAX_KEYS];
	int			count;

	if (ar_is_period_key(constraint))
		return keys;
	key = palloc0(sizeof(ForeignKey));
	DeconstructFkConstraintRow(tuple, &count, column, target_column, equality, NULL, NULL,
							   NULL, NULL);
	key->constraint = constraint->oid;
	key->name = pstrdup(NameStr(constraint->conname));
	key->table = constraint->conrelid;
	key->target = constraint->confrelid;
	key->key_count = count;
	key->column = palloc(sizeof(AttrNumber) * count);
	key->target_column = palloc(sizeof(AttrNumber) * count);
	key->equality = palloc(sizeof(Oid) * count);
	memcpy(key->column, column, sizeof(AttrNumber) * count);
	memcpy(key->target_column, target_column, sizeof(AttrNumber) * count);
	memcpy(key->equality, equality, sizeof(Oid) * count);
	ar_relationship_observe(key->table);
	ar_relationship_observe(key->target);
	key->schema_name = get_namespace_name(get_rel_namespace(key->table));
	key->table_name = get_rel_name(key->table);
	key->target_name = get_rel_name(key->target);
	key->column_name = palloc(sizeof(char *) * count);
	for (int i = 0; i < count; i++)
	{
		key->column_name[i] = get_attname(key->table, column[i], true);
		if (key->column_name[i] == NULL)
			return keys;
	}
	if (key->schema_name == NULL || key->table_name == NULL || key->target_name == NULL)
		return keys;
	key->is_unique = in_unique_key(key->table, key, NULL, true);
	return lappend(keys, key);
}

/*
 * Do the columns of a foreign key, or of two, lie in one unique key?
 * "exactly": are they, in addition, all that it consists of, or more than it
 * does, so that at most one row has them?
 */
static bool
in_unique_key(Oid table, const ForeignKey *key, const ForeignKey *other, bool exactly)
{
	Relation	rel = table_open(table, AccessShareLock);
	List	   *indexes = RelationGetIndexList(rel);
	bool		result = false;
	ListCell   *cell;

	foreach(cell, indexes)
	{
		HeapTuple	tuple = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(lfirst_oid(cell)));
		Form_pg_index index;
		bool		fits;

		if (!HeapTupleIsValid(tuple))
			continue;
		index = (Form_pg_index) GETSTRUCT(tuple);
		fits = index->indisunique && index->indisvalid && index->indimmediate &&
			heap_attisnull(tuple, Anum_pg_index_indpred, NULL) &&
			heap_attisnull(tuple, Anum_pg_index_indexprs, NULL);
		if (fits && exactly)
		{
			for (int i = 0; i < index->indnkeyatts && fits; i++)
				fits = columns_contain(key->column, key->key_count, index->indkey.values[i]) ||
					(other && columns_contain(other->column, other->key_count, index->indkey.values[i]));
		}
		else if (fits)
		{
			for (int i = 0; i < key->key_count && fits; i++)
				fits = columns_contain(index->indkey.values, index->indnkeyatts, key->column[i]);
			for (int i = 0; i < other->key_count && fits; i++)
				fits = columns_contain(index->indkey.values, index->indnkeyatts, other->column[i]);
		}
		ReleaseSysCache(tuple);
		if (fits)
		{
			result = true;
			break;
		}
	}
	list_free(indexes);
	table_close(rel, AccessShareLock);
	return result;
}

static bool
columns_contain(const AttrNumber *columns, int count, AttrNumber column)
{
	for (int i = 0; i < count; i++)
	{
		if (columns[i] == column)
			return true;
	}
	return false;
}
