/*
 * migrate_lock.c: one run at a time for a target schema.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "migrate/migrate.h"
#include "miscadmin.h"
#include "storage/lock.h"
#include "utils/inval.h"

/*
 * The last field of the lock's tag.  Users' advisory locks have 1 or 2 there,
 * so that nobody can hold or release it from outside.
 */
#define RUN_LOCK_CLASS 3

static void acquire(const char *schema, Oid schema_oid);

/*
 * Wait until no other run works on the schema, and keep others out to the end
 * of the transaction.  The wait can be cancelled, and lock_timeout bounds it
 * (55P03).  Raises 3F000 if the schema is gone after it.
 */
void
ar_migrate_lock_schema(const char *schema)
{
	Oid			schema_oid = get_namespace_oid(schema, false);
	Oid			before;

	/* while waiting, another schema may have got the name */
	do
	{
		before = schema_oid;
		acquire(schema, schema_oid);
		AcceptInvalidationMessages();
		schema_oid = get_namespace_oid(schema, false);
	} while (schema_oid != before);
}

static void
acquire(const char *schema, Oid schema_oid)
{
	MemoryContext context = CurrentMemoryContext;
	LOCKTAG		tag;

	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, ar_state_table_oid("version"), schema_oid,
						 RUN_LOCK_CLASS);
	PG_TRY();
	{
		(void) LockAcquire(&tag, ExclusiveLock, false, false);
	}
	PG_CATCH();
	{
		if (geterrcode() != ERRCODE_LOCK_NOT_AVAILABLE)
			PG_RE_THROW();
		MemoryContextSwitchTo(context);
		FlushErrorState();
		ereport(ERROR,
				errcode(ERRCODE_LOCK_NOT_AVAILABLE),
				errmsg("another migration of schema \"%s\" is running", schema),
				errdetail("It did not end within lock_timeout."),
				errhint("Try again later, or wait longer: lock_timeout is the limit."));
	}
	PG_END_TRY();
}
