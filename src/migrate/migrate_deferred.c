/*
 * migrate_deferred.c: constraints that are checked at commit, checked at the
 * end of each script.
 *
 * SET CONSTRAINTS is the only way to have deferred triggers fired before the
 * commit, and it changes the modes of constraints until then.  After SET
 * CONSTRAINTS ALL there is no way back to "as each is declared": a constraint
 * that is made later and INITIALLY DEFERRED would be immediate.  So only those
 * constraints are named that have something pending, and then set back; only
 * after a script that changed modes by itself, all of them are.
 *
 * Which constraints can be deferred is read from the catalog once per run, and
 * kept up to date by what migrate_watch.c sees.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "catalog/pg_constraint.h"
#include "commands/trigger.h"
#include "migrate/migrate.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

/* How often triggers may queue triggers. */
#define ROUNDS_MAX 100

/* A constraint that can be deferred. */
typedef struct DeferrableConstraint
{
	Oid			oid;
	Oid			relation;		/* where its triggers are; */
	Oid			other_relation; /* of a foreign key also there */
} DeferrableConstraint;

/* Of the run that is on; in a memory context that lives as long as it. */
static MemoryContext run_context = NULL;
static List *deferrable = NIL;	/* of DeferrableConstraint * */
static bool is_read = false;
static bool modes_are_fixed = false;	/* a SET CONSTRAINTS ALL was said */

static void settle_relation(RangeVar *name);
static void bring_up_to_date(void);
static void read_all(void);
static void add_if_deferrable(Form_pg_constraint constraint);
static List *pending_constraints(void);
static bool is_pending(const DeferrableConstraint *constraint);
static List *initially_deferred(List *constraints);
static void set_modes(List *constraints, bool deferred);
static List *constraint_names(List *constraints, bool deferred);
static bool may_be_deferred_by_name(Form_pg_constraint constraint);

/*
 * A run begins; what is found out is kept in the current memory context.
 */
void
ar_migrate_deferred_begin(void)
{
	run_context = CurrentMemoryContext;
	deferrable = NIL;
	is_read = false;
	modes_are_fixed = false;
}

/*
 * The end of a script: check what was put off to the commit.  "modes_changed":
 * the script said SET CONSTRAINTS.
 */
void
ar_migrate_deferred_settle(bool modes_changed)
{
	List	   *pending;
	int			round = 0;

	bring_up_to_date();
	if (modes_changed)
	{
		ConstraintsSetStmt *all = makeNode(ConstraintsSetStmt);

		AfterTriggerSetState(all);
		CommandCounterIncrement();
		modes_are_fixed = true;
		set_modes(initially_deferred(deferrable), true);
	}

	/* what is fired may leave something pending again */
	while ((pending = pending_constraints()) != NIL)
	{
		CHECK_FOR_INTERRUPTS();
		if (round++ == ROUNDS_MAX)
			ereport(ERROR,
					errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
					errmsg("deferred triggers do not come to an end"),
					errdetail("They were fired %d times, and something was still pending.",
							  ROUNDS_MAX));
		set_modes(pending, false);
		CommandCounterIncrement();
		set_modes(initially_deferred(pending), true);
	}
}

/*
 * Before a statement: a table with pending trigger events cannot be altered.
 * Here it may have some only because the run is one transaction: the UPDATE of
 * a row that an earlier script has inserted queues the checks of deferred
 * foreign keys even if the keys stay as they are.  So they are made now.
 */
void
ar_migrate_deferred_before_statement(Node *stmt)
{
	ListCell   *cell;

	if (IsA(stmt, AlterTableStmt))
		settle_relation(castNode(AlterTableStmt, stmt)->relation);
	else if (IsA(stmt, TruncateStmt))
	{
		foreach(cell, castNode(TruncateStmt, stmt)->relations)
			settle_relation(lfirst_node(RangeVar, cell));
	}
	else if (IsA(stmt, DropStmt) && castNode(DropStmt, stmt)->removeType == OBJECT_TABLE)
	{
		foreach(cell, castNode(DropStmt, stmt)->objects)
			settle_relation(makeRangeVarFromNameList(lfirst_node(List, cell)));
	}
}

static void
settle_relation(RangeVar *name)
{
	Oid			relation = RangeVarGetRelid(name, NoLock, true);
	List	   *pending = NIL;
	ListCell   *cell;

	if (!OidIsValid(relation) || !AfterTriggerPendingOnRel(relation))
		return;
	bring_up_to_date();
	foreach(cell, deferrable)
	{
		DeferrableConstraint *constraint = lfirst(cell);

		if (constraint->relation == relation || constraint->other_relation == relation)
			pending = lappend(pending, constraint);
	}
	set_modes(pending, false);
	CommandCounterIncrement();
	set_modes(initially_deferred(pending), true);
}

/*
 * After a statement: if modes are no longer as declared, new constraints have
 * to be told theirs.
 */
void
ar_migrate_deferred_after_statement(void)
{
	List	   *made = NIL;
	ListCell   *cell;

	if (!modes_are_fixed)
		return;
	foreach(cell, ar_migrate_watch_new_constraints())
	{
		HeapTuple	tuple = SearchSysCache1(CONSTROID, ObjectIdGetDatum(lfirst_oid(cell)));

		if (!HeapTupleIsValid(tuple))
			continue;
		if (((Form_pg_constraint) GETSTRUCT(tuple))->condeferrable)
		{
			add_if_deferrable((Form_pg_constraint) GETSTRUCT(tuple));
			made = lappend(made, llast(deferrable));
		}
		ReleaseSysCache(tuple);
	}
	set_modes(initially_deferred(made), true);
}

static void
bring_up_to_date(void)
{
	List	   *made = ar_migrate_watch_new_constraints();
	ListCell   *cell;

	if (ar_migrate_watch_constraints_altered() || !is_read)
	{
		read_all();
		return;
	}
	foreach(cell, made)
	{
		HeapTuple	tuple = SearchSysCache1(CONSTROID, ObjectIdGetDatum(lfirst_oid(cell)));

		if (!HeapTupleIsValid(tuple))
			continue;
		add_if_deferrable((Form_pg_constraint) GETSTRUCT(tuple));
		ReleaseSysCache(tuple);
	}
}

static void
read_all(void)
{
	Relation	rel = table_open(ConstraintRelationId, AccessShareLock);
	SysScanDesc scan = systable_beginscan(rel, InvalidOid, false, NULL, 0, NULL);
	HeapTuple	tuple;

	deferrable = NIL;
	while ((tuple = systable_getnext(scan)) != NULL)
		add_if_deferrable((Form_pg_constraint) GETSTRUCT(tuple));
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	is_read = true;
}

static void
add_if_deferrable(Form_pg_constraint constraint)
{
	MemoryContext old;
	DeferrableConstraint *entry;

	if (!constraint->condeferrable)
		return;
	old = MemoryContextSwitchTo(run_context);
	entry = palloc(sizeof(DeferrableConstraint));
	entry->oid = constraint->oid;
	entry->relation = constraint->conrelid;
	entry->other_relation = constraint->confrelid;
	deferrable = lappend(deferrable, entry);
	MemoryContextSwitchTo(old);
}

static List *
pending_constraints(void)
{
	List	   *pending = NIL;
	ListCell   *cell;

	foreach(cell, deferrable)
	{
		if (is_pending(lfirst(cell)))
			pending = lappend(pending, lfirst(cell));
	}
	return pending;
}

/*
 * The server tells what is pending by relation.
 */
static bool
is_pending(const DeferrableConstraint *constraint)
{
	return AfterTriggerPendingOnRel(constraint->relation) ||
		(OidIsValid(constraint->other_relation) &&
		 AfterTriggerPendingOnRel(constraint->other_relation));
}

/*
 * Those of "constraints" that are declared so.
 */
static List *
initially_deferred(List *constraints)
{
	List	   *result = NIL;
	ListCell   *cell;

	foreach(cell, constraints)
	{
		DeferrableConstraint *constraint = lfirst(cell);
		HeapTuple	tuple = SearchSysCache1(CONSTROID, ObjectIdGetDatum(constraint->oid));

		if (!HeapTupleIsValid(tuple))
			continue;
		if (((Form_pg_constraint) GETSTRUCT(tuple))->condeferred)
			result = lappend(result, constraint);
		ReleaseSysCache(tuple);
	}
	return result;
}

/*
 * SET CONSTRAINTS ... DEFERRED | IMMEDIATE.  The latter fires what is pending.
 */
static void
set_modes(List *constraints, bool deferred)
{
	ConstraintsSetStmt *stmt = makeNode(ConstraintsSetStmt);

	stmt->deferred = deferred;
	stmt->constraints = constraint_names(constraints, deferred);
	if (stmt->constraints != NIL)
		AfterTriggerSetState(stmt);
}

static List *
constraint_names(List *constraints, bool deferred)
{
	List	   *names = NIL;
	ListCell   *cell;

	foreach(cell, constraints)
	{
		DeferrableConstraint *constraint = lfirst(cell);
		HeapTuple	tuple = SearchSysCache1(CONSTROID, ObjectIdGetDatum(constraint->oid));
		Form_pg_constraint form;

		if (!HeapTupleIsValid(tuple))
			continue;
		form = (Form_pg_constraint) GETSTRUCT(tuple);
		if (!deferred || may_be_deferred_by_name(form))
			names = lappend(names, makeRangeVar(get_namespace_name(form->connamespace),
												pstrdup(NameStr(form->conname)), -1));
		ReleaseSysCache(tuple);
	}
	return names;
}

/*
 * A name may stand for constraints of several tables, and the command refuses
 * to defer it where one of them is not deferrable; such a name stays
 * immediate for the rest of the transaction.
 */
static bool
may_be_deferred_by_name(Form_pg_constraint constraint)
{
	Relation	rel = table_open(ConstraintRelationId, AccessShareLock);
	ScanKeyData keys[2];
	SysScanDesc scan;
	HeapTuple	tuple;
	bool		result = true;

	ScanKeyInit(&keys[0], Anum_pg_constraint_conname, BTEqualStrategyNumber, F_NAMEEQ,
				NameGetDatum(&constraint->conname));
	ScanKeyInit(&keys[1], Anum_pg_constraint_connamespace, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(constraint->connamespace));
	scan = systable_beginscan(rel, ConstraintNameNspIndexId, true, NULL, 2, keys);
	while (result && (tuple = systable_getnext(scan)) != NULL)
		result = ((Form_pg_constraint) GETSTRUCT(tuple))->condeferrable;
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return result;
}
