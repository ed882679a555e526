/*
 * schema_read_depend.c: what the objects of a model depend on.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/dependency.h"
#include "catalog/indexing.h"
#include "catalog/objectaddress.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_namespace.h"
#include "miscadmin.h"
#include "schema/schema.h"
#include "storage/bufmgr.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

typedef struct Dependent
{
	Oid			class_id;
	Oid			oid;
	int32		sub_id;
	SchemaObject *object;
} Dependent;

/* A dependency on a column that a table has from its parent alone. */
typedef struct InheritedUse
{
	SchemaObject *user;
	SchemaObject *table;
	int			number;
} InheritedUse;

static SysScanDesc begin_scan(Relation rel, Oid class_id, Oid oid);
static void read_all(SchemaModel *model, Relation rel, List **inherited);
static void read_row(SchemaModel *model, Form_pg_depend depend, SchemaObject *object, List **inherited);
static void read_one(SchemaModel *model, Relation rel, Oid class_id, Oid oid, SchemaObject *object,
					 List **inherited);
static void add_column_of_parents(SchemaObject *user, const SchemaObject *table, const char *name);
static void add_inherited(SchemaObject *column);
static void add_like_keys(SchemaObject *foreign_key);
static bool is_key(const SchemaObject *object);
static void read_valid_copies(SchemaModel *model, SchemaObject *check);
static void add_need(SchemaObject *object, SchemaObject *need);

/* The first member is the address, as in schema_model.c. */
typedef struct AddressEntry
{
	struct
	{
		Oid			class_id;
		Oid			oid;
		int32		sub_id;
	}			address;
	SchemaObject *object;
} AddressEntry;

/*
 * Fill in "needs" and "users" of all objects from pg_depend, and from what is
 * a part of what.
 */
void
ar_schema_read_dependencies(SchemaModel *model)
{
	Relation	rel = table_open(DependRelationId, AccessShareLock);
	MemoryContext old = MemoryContextSwitchTo(model->context);
	List	   *entries = NIL;
	List	   *inherited = NIL;
	HASH_SEQ_STATUS sequence;
	AddressEntry *entry;
	ListCell   *cell;

	hash_seq_init(&sequence, model->by_address);
	while ((entry = hash_seq_search(&sequence)) != NULL)
	{
		/* the address of a whole has the entries of its columns, too */
		if (entry->address.sub_id == 0)
			entries = lappend(entries, entry);
	}
	if (list_length(entries) > RelationGetNumberOfBlocks(rel))
		read_all(model, rel, &inherited);
	else
		foreach(cell, entries)
	{
		CHECK_FOR_INTERRUPTS();
		entry = lfirst(cell);
		read_one(model, rel, entry->address.class_id, entry->address.oid, entry->object, &inherited);
	}
	foreach(cell, inherited)
	{
		InheritedUse *use = lfirst(cell);

		add_column_of_parents(use->user, use->table, get_attname(use->table->oid, use->number, false));
	}
	foreach(cell, model->objects)
	{
		SchemaObject *object = lfirst(cell);

		if (object->parent)
			add_need(object, object->parent);
		if (object->kind == AR_SCHEMA_FOREIGN_KEY)
			add_like_keys(object);
		if (object->kind == AR_SCHEMA_CONSTRAINT && ar_schema_value(object, "_valid_copies"))
			read_valid_copies(model, object);
		if (object->kind == AR_SCHEMA_REPLICA_IDENTITY && ar_schema_value(object, "_index"))
		{
			SchemaObject *index = ar_schema_find_address(model, RelationRelationId,
														 (Oid) strtoul(ar_schema_value(object, "_index"), NULL, 10), 0);

			if (index)
				add_need(object, index);
		}
	}
	foreach(cell, model->objects)
	{
		SchemaObject *object = lfirst(cell);

		if (object->kind == AR_SCHEMA_INHERITED_COLUMN)
		{
			ListCell   *user;

			add_inherited(object);
			/* who uses it, uses the parent's */
			foreach(user, object->users)
			{
				if (((SchemaObject *) lfirst(user))->parent != object)
					add_column_of_parents(lfirst(user), object->parent, object->name);
			}
		}
		if ((object->kind == AR_SCHEMA_INDEX || object->kind == AR_SCHEMA_CONSTRAINT) &&
			ar_schema_value(object, "_attached_to"))
			object->attached_to = ar_schema_find_address(model, object->kind == AR_SCHEMA_INDEX ? RelationRelationId :
														 ConstraintRelationId,
														 (Oid) strtoul(ar_schema_value(object, "_attached_to"), NULL, 10), 0);
	}
	MemoryContextSwitchTo(old);
	table_close(rel, AccessShareLock);
}

/*
 * A column that is the parent's needs that one, and its default.
 */
static void
add_inherited(SchemaObject *column)
{
	ListCell   *cell;
	ListCell   *part;

	foreach(cell, column->parent->needs)
	{
		SchemaObject *table = lfirst(cell);

		if (table->kind != AR_SCHEMA_TABLE)
			continue;
		foreach(part, table->parts)
		{
			SchemaObject *other = lfirst(part);
			ListCell   *default_cell;

			if ((other->kind != AR_SCHEMA_COLUMN && other->kind != AR_SCHEMA_INHERITED_COLUMN) ||
				strcmp(other->name, column->name) != 0)
				continue;
			add_need(column, other);
			foreach(default_cell, other->parts)
				add_need(column, lfirst(default_cell));
		}
	}
}

/*
 * Who uses a column that a table has from its parents, needs the parents'.
 */
static void
add_column_of_parents(SchemaObject *user, const SchemaObject *table, const char *name)
{
	ListCell   *cell;
	ListCell   *part;

	foreach(cell, table->needs)
	{
		SchemaObject *parent = lfirst(cell);

		if (parent->kind != AR_SCHEMA_TABLE || user == parent)
			continue;
		foreach(part, parent->parts)
		{
			SchemaObject *column = lfirst(part);

			if (column->kind == AR_SCHEMA_COLUMN && strcmp(column->name, name) == 0)
				add_need(user, column);
		}
		add_column_of_parents(user, parent, name);
	}
}

/*
 * What an object depends on.
 */
static SysScanDesc
begin_scan(Relation rel, Oid class_id, Oid oid)
{
	ScanKeyData keys[2];

	ScanKeyInit(&keys[0], Anum_pg_depend_classid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(class_id));
	ScanKeyInit(&keys[1], Anum_pg_depend_objid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(oid));
	return systable_beginscan(rel, DependDependerIndexId, true, NULL, 2, keys);
}

/*
 * A foreign key needs one of several keys of the same columns: which, depends
 * on which there are when it is made.
 */
static void
add_like_keys(SchemaObject *foreign_key)
{
	List	   *needs = list_copy(foreign_key->needs);
	ListCell   *cell;
	ListCell   *part;

	foreach(cell, needs)
	{
		SchemaObject *key = lfirst(cell);

		if (!is_key(key))
			continue;
		foreach(part, key->parent->parts)
		{
			if (is_key(lfirst(part)) && ar_schema_same_columns(key, lfirst(part)))
				add_need(foreign_key, lfirst(part));
		}
	}
	list_free(needs);
}

static bool
is_key(const SchemaObject *object)
{
	if (object->kind == AR_SCHEMA_INDEX)
		return ar_schema_flag(object, "_unique");
	return object->kind == AR_SCHEMA_CONSTRAINT && strchr("pu", ar_schema_value(object, "type")[0]) != NULL;
}

/*
 * A check that is not valid is added when the tables are there that inherit it,
 * also those that were made later and have valid copies.
 */
static void
read_valid_copies(SchemaModel *model, SchemaObject *check)
{
	const char *at = ar_schema_value(check, "_valid_copies");
	char	   *end;

	for (;; at = end)
	{
		Oid			oid = (Oid) strtoul(at, &end, 10);
		SchemaObject *table;

		if (end == at)
			break;
		table = ar_schema_find_address(model, RelationRelationId, oid, 0);
		if (table == NULL)
			continue;
		check->valid_copies = lappend(check->valid_copies, table);
		add_need(check, table);
	}
}

/*
 * What one object depends on.
 */
static void
read_one(SchemaModel *model, Relation rel, Oid class_id, Oid oid, SchemaObject *object, List **inherited)
{
	SysScanDesc scan = begin_scan(rel, class_id, oid);
	HeapTuple	tuple;

	while ((tuple = systable_getnext(scan)) != NULL)
		read_row(model, (Form_pg_depend) GETSTRUCT(tuple), object, inherited);
	systable_endscan(scan);
}

/*
 * What all of them depend on: to begin a scan costs as much as to read a page.
 */
static void
read_all(SchemaModel *model, Relation rel, List **inherited)
{
	SysScanDesc scan = systable_beginscan(rel, InvalidOid, false, NULL, 0, NULL);
	HeapTuple	tuple;

	while ((tuple = systable_getnext(scan)) != NULL)
	{
		Form_pg_depend depend = (Form_pg_depend) GETSTRUCT(tuple);
		SchemaObject *object = ar_schema_find_address(model, depend->classid, depend->objid, 0);

		CHECK_FOR_INTERRUPTS();
		if (object)
			read_row(model, depend, object, inherited);
	}
	systable_endscan(scan);
}

static void
read_row(SchemaModel *model, Form_pg_depend depend, SchemaObject *object, List **inherited)
{
	SchemaObject *user = object;
	SchemaObject *need;

	/* an index of a partition is there before it is attached */
	if ((depend->deptype == DEPENDENCY_PARTITION_PRI || depend->deptype == DEPENDENCY_PARTITION_SEC) &&
		(object->kind == AR_SCHEMA_INDEX || object->kind == AR_SCHEMA_CONSTRAINT))
		return;
	if (depend->objsubid != 0)
		user = ar_schema_find_address(model, depend->classid, depend->objid, depend->objsubid);
	need = ar_schema_find_address(model, depend->refclassid, depend->refobjid,
								  depend->refobjsubid);
	/* that a sequence goes with a column is an object of its own */
	if (object->kind == AR_SCHEMA_SEQUENCE && depend->deptype == DEPENDENCY_AUTO &&
		depend->refclassid == RelationRelationId)
		user = linitial(object->parts);
	/* a column that a table has from its parent, which sees to it */
	if (depend->classid == RelationRelationId && depend->objsubid != 0 && object->kind == AR_SCHEMA_TABLE &&
		(user == NULL || user->kind == AR_SCHEMA_INHERITED_COLUMN))
		return;
	/* a column that is not a part of the model by itself */
	if (user == NULL)
		user = object;
	if (need == NULL && depend->refobjsubid != 0)
	{
		need = ar_schema_find_address(model, depend->refclassid, depend->refobjid, 0);
		if (need && need->kind == AR_SCHEMA_TABLE)
		{
			InheritedUse *use = palloc(sizeof(InheritedUse));

			use->user = user;
			use->table = need;
			use->number = depend->refobjsubid;
			*inherited = lappend(*inherited, use);
		}
	}
	if (need)
		add_need(user, need);
}

/*
 * Words that say which object of the model uses which one of a schema that is
 * not in the model; NULL if none does.  Members of extensions do not count.
 */
char *
ar_schema_uses(const SchemaModel *model, Oid schema)
{
	Relation	rel = table_open(DependRelationId, AccessShareLock);
	HASH_SEQ_STATUS sequence;
	AddressEntry *entry;
	char	   *found = NULL;

	hash_seq_init(&sequence, model->by_address);
	while ((entry = hash_seq_search(&sequence)) != NULL)
	{
		SysScanDesc scan;
		HeapTuple	tuple;

		CHECK_FOR_INTERRUPTS();
		if (entry->address.sub_id != 0)
			continue;
		scan = begin_scan(rel, entry->address.class_id, entry->address.oid);
		while (found == NULL && (tuple = systable_getnext(scan)) != NULL)
		{
			Form_pg_depend depend = (Form_pg_depend) GETSTRUCT(tuple);
			ObjectAddress used;

			ObjectAddressSubSet(used, depend->refclassid, depend->refobjid, depend->refobjsubid);
			if (used.classId != NamespaceRelationId && get_object_namespace(&used) == schema &&
				!OidIsValid(getExtensionOfObject(used.classId, used.objectId)))
				found = psprintf("%s uses %s of the live one", entry->object->identity,
								 getObjectDescription(&used, false));
		}
		systable_endscan(scan);
		if (found)
		{
			hash_seq_term(&sequence);
			break;
		}
	}
	table_close(rel, AccessShareLock);
	return found;
}

static void
add_need(SchemaObject *object, SchemaObject *need)
{
	/* a whole does not need its parts */
	if (need == object || need->parent == object || (need->parent && need->parent->parent == object) ||
		list_member_ptr(object->needs, need))
		return;
	object->needs = lappend(object->needs, need);
	need->users = lappend(need->users, object);
}
