/*
 * migrate_watch.c: what the scripts of a run create, as far as the runner has
 * to know.
 *
 * While a run is on, an object access hook notes the types and constraints
 * that are created, and what is created in the session's temporary schema.
 *
 * New labels.  The server refuses to use a label that ALTER TYPE ... ADD VALUE
 * added in the same transaction, because the label would vanish in a rollback
 * while an index could still hold it.  If the type, too, is new in this
 * transaction, whatever holds the label vanishes with it, and the label is as
 * safe as one of CREATE TYPE.  PostgreSQL 17 knows that; before, such labels
 * are taken off the server's list of unsafe ones here.  A subtransaction that
 * rolls back leaves its types noted, which does no harm: their labels are gone
 * too, and no Oid is given out twice in a transaction.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/dependency.h"
#include "catalog/namespace.h"
#include "catalog/objectaccess.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_enum.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "common/compat.h"
#include "migrate/migrate.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

static bool watching = false;
static MemoryContext watch_context = NULL;
static object_access_hook_type previous_hook = NULL;

/* What was seen; in watch_context. */
static List *types = NIL;		/* of Oid */
static List *constraints = NIL; /* of Oid */
static bool constraints_altered = false;
static List *maybe_temporary = NIL; /* of ObjectAddress * */

#ifdef AR_UNCOMMITTED_ENUMS_ARE_UNSAFE
/* How long the server's list of unsafe labels was left. */
static Size unsafe_size = 0;
#endif

static void note_access(ObjectAccessType access, Oid class, Oid object, int part, void *arg);
static void note_creation(Oid class, Oid object);
static void note_if_temporary(Oid class, Oid object);
static bool is_temporary(const ObjectAddress *object);
static bool is_temporary_relation(Oid relation);
static bool is_temporary_type(Oid type);
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
		object_access_hook = note_access;
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
ar_migrate_watch_free_labels(void)
{
#ifdef AR_UNCOMMITTED_ENUMS_ARE_UNSAFE
	Size		size = EstimateUncommittedEnumsSpace();
	Oid		   *labels;
	int			kept = 0;

	/* the list ends with InvalidOid; that of others is not looked at again */
	if (size <= sizeof(Oid) || types == NIL || size == unsafe_size)
		return;
	labels = palloc(size);
	SerializeUncommittedEnums(labels, size);
	for (int i = 0; OidIsValid(labels[i]); i++)
	{
		HeapTuple	tuple = SearchSysCache1(ENUMOID, ObjectIdGetDatum(labels[i]));

		/* a label without a row was rolled back */
		if (!HeapTupleIsValid(tuple))
			continue;
		if (!list_member_oid(types, ((Form_pg_enum) GETSTRUCT(tuple))->enumtypid))
			labels[kept++] = labels[i];
		ReleaseSysCache(tuple);
	}
	labels[kept] = InvalidOid;
	AtEOXact_Enum();
	RestoreUncommittedEnums(labels);
	unsafe_size = (kept + 1) * sizeof(Oid);
	pfree(labels);
#endif
}

/*
 * The constraints (Oids) that were created since this was last asked.  The
 * list is valid until the next statement.
 */
List *
ar_migrate_watch_new_constraints(void)
{
	List	   *result = constraints;

	constraints = NIL;
	return result;
}

/*
 * Was a constraint altered since this was last asked?
 */
bool
ar_migrate_watch_constraints_altered(void)
{
	bool		result = constraints_altered;

	constraints_altered = false;
	return result;
}

/*
 * At the end of a script: drop what it has left in the temporary schema.
 */
void
ar_migrate_watch_drop_temporary(void)
{
	ObjectAddresses *objects;
	ListCell   *cell;

	if (maybe_temporary == NIL)
		return;
	objects = new_object_addresses();
	foreach(cell, maybe_temporary)
	{
		ObjectAddress *object = lfirst(cell);

		if (is_temporary(object))
			add_exact_object_address(object, objects);
	}
	performMultipleDeletions(objects, DROP_CASCADE,
							 PERFORM_DELETION_INTERNAL | PERFORM_DELETION_QUIETLY);
	free_object_addresses(objects);
	list_free_deep(maybe_temporary);
	maybe_temporary = NIL;
}

static void
note_access(ObjectAccessType access, Oid class, Oid object, int part, void *arg)
{
	if (previous_hook)
		previous_hook(access, class, object, part, arg);
	if (!watching || part != 0)
		return;
	if (access == OAT_POST_CREATE)
		note_creation(class, object);
	else if (access == OAT_POST_ALTER && class == ConstraintRelationId)
		constraints_altered = true;
}

static void
note_creation(Oid class, Oid object)
{
	MemoryContext old = MemoryContextSwitchTo(watch_context);

	if (class == TypeRelationId)
		types = lappend_oid(types, object);
	else if (class == ConstraintRelationId)
		constraints = lappend_oid(constraints, object);
	if (class == RelationRelationId || class == TypeRelationId || class == ProcedureRelationId)
		note_if_temporary(class, object);
	MemoryContextSwitchTo(old);
}

/*
 * The object itself cannot be looked at yet, but where there is no temporary
 * schema nothing is temporary.
 */
static void
note_if_temporary(Oid class, Oid object)
{
	ObjectAddress *address;
	Oid			schema;
	Oid			toast_schema;

	GetTempNamespaceState(&schema, &toast_schema);
	if (!OidIsValid(schema))
		return;
	address = palloc(sizeof(ObjectAddress));
	ObjectAddressSet(*address, class, object);
	maybe_temporary = lappend(maybe_temporary, address);
}

/*
 * Does it exist, in the temporary schema, and by itself?  What belongs to
 * another object, such as an index, a row type or the sequence of an identity
 * column, goes with that.
 */
static bool
is_temporary(const ObjectAddress *object)
{
	switch (object->classId)
	{
		case RelationRelationId:
			return is_temporary_relation(object->objectId);
		case TypeRelationId:
			return is_temporary_type(object->objectId);
		default:
			return SearchSysCacheExists1(PROCOID, ObjectIdGetDatum(object->objectId)) &&
				isTempNamespace(get_func_namespace(object->objectId));
	}
}

static bool
is_temporary_relation(Oid relation)
{
	Oid			table;
	int32		column;

	switch (get_rel_relkind(relation))
	{
		case RELKIND_RELATION:
		case RELKIND_PARTITIONED_TABLE:
		case RELKIND_VIEW:
			return isTempNamespace(get_rel_namespace(relation));
		case RELKIND_SEQUENCE:
			return isTempNamespace(get_rel_namespace(relation)) &&
				!sequenceIsOwned(relation, DEPENDENCY_INTERNAL, &table, &column);
		default:
			return false;
	}
}

static bool
is_temporary_type(Oid type)
{
	HeapTuple	tuple = SearchSysCache1(TYPEOID, ObjectIdGetDatum(type));
	Form_pg_type form;
	bool		result;

	if (!HeapTupleIsValid(tuple))
		return false;
	form = (Form_pg_type) GETSTRUCT(tuple);
	result = isTempNamespace(form->typnamespace);
	if (form->typtype == TYPTYPE_COMPOSITE)
		result = result && get_rel_relkind(form->typrelid) == RELKIND_COMPOSITE_TYPE;
	else
		result = result && !OidIsValid(form->typelem) && form->typtype != TYPTYPE_MULTIRANGE;
	ReleaseSysCache(tuple);
	return result;
}

static void
forget(void)
{
	types = NIL;
	constraints = NIL;
	constraints_altered = false;
	maybe_temporary = NIL;
#ifdef AR_UNCOMMITTED_ENUMS_ARE_UNSAFE
	unsafe_size = 0;
#endif
	if (watch_context)
		MemoryContextReset(watch_context);
}
