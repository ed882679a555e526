/*
 * migrate_watch.c: what the scripts of a run create, as far as the end of a
 * script has to know.
 *
 * While a run is on, an object access hook notes the types and constraints that
 * are created, and the relations that are created in the session's temporary
 * schema.
 *
 * New labels.  The server refuses to use a label that ALTER TYPE ... ADD VALUE
 * added in the same transaction, because the label would vanish in a rollback
 * while an index could still hold it.  If the type, too, is new in this
 * transaction, whatever holds the label vanishes with it, and the label is as
 * safe as one of CREATE TYPE.  PostgreSQL 17 knows that; before, such labels
 * are taken off the server's list of unsafe ones here.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/dependency.h"
#include "catalog/namespace.h"
#include "catalog/objectaccess.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_enum.h"
#include "catalog/pg_type.h"
#include "common/compat.h"
#include "migrate/migrate.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

static bool watching = false;
static MemoryContext watch_context = NULL;
static object_access_hook_type previous_hook = NULL;
static List *created_types = NIL;
static List *created_relations = NIL;
static List *created_constraints = NIL;

static void note_object(ObjectAccessType access, Oid class, Oid object, int part, void *arg);
static void forget(void);

/*
 * Begin to watch.  The caller sees to it that ar_migrate_watch_end() is called
 * whatever happens.
 */
void
ar_migrate_watch_begin(void)
{
	static bool installed = false;

	if (!installed)
	{
		previous_hook = object_access_hook;
		object_access_hook = note_object;
		watch_context = AllocSetContextCreate(TopMemoryContext, "algo_ref watch of a run",
											  ALLOCSET_SMALL_SIZES);
		installed = true;
	}
	forget();
	watching = true;
}

void
ar_migrate_watch_end(void)
{
	watching = false;
	forget();
}

/*
 * After a statement: labels that were added to new types are no longer unsafe.
 */
void
ar_migrate_watch_settle_enums(void)
{
#ifdef AR_UNCOMMITTED_ENUMS_ARE_UNSAFE
	Size		size = EstimateUncommittedEnumsSpace();
	Oid		   *labels;
	int			kept = 0;

	/* the list ends with InvalidOid */
	if (size <= sizeof(Oid) || created_types == NIL)
		return;
	labels = palloc(size);
	SerializeUncommittedEnums(labels, size);
	for (int i = 0; OidIsValid(labels[i]); i++)
	{
		HeapTuple	tuple = SearchSysCache1(ENUMOID, ObjectIdGetDatum(labels[i]));
		bool		is_safe = !HeapTupleIsValid(tuple) ||
			list_member_oid(created_types, ((Form_pg_enum) GETSTRUCT(tuple))->enumtypid);

		if (!is_safe)
			labels[kept++] = labels[i];
		if (HeapTupleIsValid(tuple))
			ReleaseSysCache(tuple);
	}
	labels[kept] = InvalidOid;
	AtEOXact_Enum();
	RestoreUncommittedEnums(labels);
	pfree(labels);
#endif
}

/*
 * After a statement: the constraints that are new since the last call.
 */
List *
ar_migrate_watch_take_constraints(void)
{
	List	   *result = created_constraints;

	created_constraints = NIL;
	return result;
}

/*
 * At the end of a script: drop the temporary relations that it has left.
 */
void
ar_migrate_watch_drop_temporary(void)
{
	ObjectAddresses *objects;
	ListCell   *cell;
	int			count = 0;

	if (created_relations == NIL)
		return;
	objects = new_object_addresses();
	foreach(cell, created_relations)
	{
		ObjectAddress object;

		if (!SearchSysCacheExists1(RELOID, ObjectIdGetDatum(lfirst_oid(cell))) ||
			get_rel_persistence(lfirst_oid(cell)) != RELPERSISTENCE_TEMP)
			continue;
		ObjectAddressSet(object, RelationRelationId, lfirst_oid(cell));
		add_exact_object_address(&object, objects);
		count++;
	}
	if (count > 0)
		performMultipleDeletions(objects, DROP_CASCADE,
								 PERFORM_DELETION_INTERNAL | PERFORM_DELETION_QUIETLY);
	free_object_addresses(objects);
	list_free(created_relations);
	created_relations = NIL;
}

static void
note_object(ObjectAccessType access, Oid class, Oid object, int part, void *arg)
{
	MemoryContext old;

	if (previous_hook)
		previous_hook(access, class, object, part, arg);
	if (!watching || access != OAT_POST_CREATE || part != 0)
		return;
	old = MemoryContextSwitchTo(watch_context);
	if (class == TypeRelationId)
		created_types = lappend_oid(created_types, object);
	else if (class == ConstraintRelationId)
		created_constraints = lappend_oid(created_constraints, object);
	else if (class == RelationRelationId)
	{
		Oid			schema;
		Oid			toast_schema;

		/* where there is no temporary schema there are no temporary tables */
		GetTempNamespaceState(&schema, &toast_schema);
		if (OidIsValid(schema))
			created_relations = lappend_oid(created_relations, object);
	}
	MemoryContextSwitchTo(old);
}

static void
forget(void)
{
	created_types = NIL;
	created_relations = NIL;
	created_constraints = NIL;
	if (watch_context)
		MemoryContextReset(watch_context);
}
