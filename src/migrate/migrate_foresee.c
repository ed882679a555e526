/*
 * migrate_foresee.c: all relations of a revision together, or none, without
 * standing in a queue.
 *
 * A statement that waits for a strong lock makes everybody wait who comes
 * after it, readers too.  So the deploy door finds out before a revision runs
 * which relations its statements will lock, and how; tries to lock all of them
 * without waiting; and on the first miss gives all of them back.
 *
 * What a statement will lock is told from its parse tree and the catalogs, as
 * the server's utility commands do it (tablecmds.c, indexcmds.c,
 * parse_utilcmd.c): the named relations; the partitions and children that it
 * recurses to; the other ends of foreign keys that it touches.  What is missed
 * here (bodies of functions and DO blocks, cascades) is not wrong, only not
 * foreseen: it is locked by the statement itself, under lock_timeout.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/catalog.h"
#include "catalog/index.h"
#include "catalog/namespace.h"
#include "catalog/partition.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_index.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_type.h"
#include "commands/dbcommands.h"
#include "commands/tablecmds.h"
#include "common/compat.h"
#include "common/sql_exec.h"
#include "common/subxact.h"
#include "migrate/migrate.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "revision/revision.h"
#include "storage/lmgr.h"
#include "storage/lock.h"
#include "storage/proc.h"
#include "storage/procarray.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

static void foresee_statement(List **locks, Node *stmt);
static void foresee_alter_table(List **locks, AlterTableStmt *stmt);
static void foresee_create_table(List **locks, CreateStmt *stmt);
static void foresee_drop(List **locks, DropStmt *stmt);
static void foresee_reindex(List **locks, ReindexStmt *stmt);
static bool foresee_query_walker(Node *node, List **locks);
static void foresee_references(List **locks, List *constraints);
static RangeVar *owner_of_name(List *name);
static void add_named(List **locks, RangeVar *name, LOCKMODE mode);
static void add_family(List **locks, RangeVar *name, LOCKMODE mode);
static void add_index(List **locks, Oid index, LOCKMODE index_mode, LOCKMODE table_mode);
static void add_foreign_key_partners(List **locks, Oid relid, LOCKMODE mode);
static void add_constraint_partner(List **locks, Oid relid, const char *constraint,
								   LOCKMODE mode);
static void add_default_partition(List **locks, Oid parent, LOCKMODE mode);
static void add(List **locks, Oid relid, LOCKMODE mode);
static bool may_lock(Oid relid, LOCKMODE mode);
static LOCKMODE covering_mode(LOCKMODE a, LOCKMODE b);
static int	compare_locks(const ListCell *a, const ListCell *b);

/*
 * The relations that exist now and that "statements" (of ScriptStatement) are
 * going to lock, each with the mode that covers all its uses, by ascending
 * Oid.  Names are looked up by the current search_path.  Relations that the
 * caller may not lock are left out: the statement will say so itself.
 */
List *
ar_migrate_lock_foresee(List *statements)
{
	List	   *locks = NIL;
	ListCell   *cell;

	foreach(cell, statements)
	{
		ScriptStatement *statement = lfirst(cell);

		foresee_statement(&locks, statement->raw->stmt);
	}
	list_sort(locks, compare_locks);
	return locks;
}

/*
 * Take all of the locks, to the end of the transaction, or none of them.
 * Never waits.  Returns NULL when all are held, else the first that could not
 * be had.
 */
const MigrateLock *
ar_migrate_lock_all(List *locks)
{
	Subxact		subxact;
	ListCell   *cell;

	if (locks == NIL)
		return NULL;
	ar_subxact_begin(&subxact, NULL);
	foreach(cell, locks)
	{
		MigrateLock *lock = lfirst(cell);

		CHECK_FOR_INTERRUPTS();
		if (!ConditionalLockRelationOid(lock->relid, lock->mode))
		{
			ar_subxact_roll_back(&subxact);
			return lock;
		}
	}
	ar_subxact_release(&subxact);
	return NULL;
}

/*
 * Tell the client whom the runner waits for.  What is said of other sessions
 * is what pg_stat_activity shows to the caller.
 */
void
ar_migrate_lock_report(const MigrateLock *lock, int64 waited_ms)
{
	char	   *holders = ar_migrate_lock_holders(lock);

	ereport(NOTICE,
			errmsg("waiting for lock %s on relation \"%s\"",
				   GetLockmodeName(DEFAULT_LOCKMETHOD, lock->mode),
				   get_rel_name(lock->relid) ? get_rel_name(lock->relid) : "(dropped)"),
			errdetail("Tried for %d s without joining the queue.  Held by: %s.",
					  (int) (waited_ms / 1000), holders ? holders : "nobody any more"));
}

/*
 * The sessions that hold the relation in a mode that conflicts, or NULL.
 */
char *
ar_migrate_lock_holders(const MigrateLock *lock)
{
	static const char *query =
	"SELECT string_agg(format('process %s (role %s, application %s, %s for %s s)',"
	"                         pid, coalesce(quote_ident(usename), 'unknown'),"
	"                         quote_literal(coalesce(application_name, '')),"
	"                         coalesce(state, 'state unknown'),"
	"                         coalesce(extract(epoch FROM clock_timestamp() - state_change)::int, 0)),"
	"                  ', ' ORDER BY pid)"
	"  FROM (SELECT DISTINCT l.pid, a.usename, a.application_name, a.state, a.state_change"
	"          FROM pg_locks l LEFT JOIN pg_stat_activity a USING (pid)"
	"         WHERE l.locktype = 'relation' AND l.relation = $1 AND l.granted"
	"           AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())"
	"           AND l.pid <> pg_backend_pid() AND l.mode = ANY ($2)) AS holder";
	Oid			types[] = {OIDOID, TEXTARRAYOID};
	Datum		modes[AccessExclusiveLock];
	Datum		values[2];
	int			mode_count = 0;

	for (LOCKMODE mode = AccessShareLock; mode <= AccessExclusiveLock; mode++)
	{
		if (DoLockModesConflict(mode, lock->mode))
			modes[mode_count++] = CStringGetTextDatum(GetLockmodeName(DEFAULT_LOCKMETHOD, mode));
	}
	values[0] = ObjectIdGetDatum(lock->relid);
	values[1] = PointerGetDatum(construct_array(modes, mode_count, TEXTOID, -1, false,
												TYPALIGN_INT));
	return ar_sql_query_text(query, 2, types, values);
}

/*
 * Ask an autovacuum worker that stands in the way to leave, as the lock
 * manager does for those who wait in a queue; never one that prevents
 * wraparound.
 */
void
ar_migrate_lock_dismiss_autovacuum(const MigrateLock *lock)
{
	VirtualTransactionId *holder;
	LOCKTAG		tag;
	int			count;

	SET_LOCKTAG_RELATION(tag, MyDatabaseId, lock->relid);
	holder = GetLockConflicts(&tag, lock->mode, &count);
	for (int i = 0; i < count; i++)
	{
		PGPROC	   *proc = ar_vxid_proc(holder[i]);
		int			pid;
		uint8		flags;

		if (proc == NULL)
			continue;
		LWLockAcquire(ProcArrayLock, LW_SHARED);
		pid = proc->pid;
		flags = proc->statusFlags;
		LWLockRelease(ProcArrayLock);
		if (pid != 0 && (flags & PROC_IS_AUTOVACUUM) && !(flags & PROC_VACUUM_FOR_WRAPAROUND))
			(void) kill(pid, SIGINT);
	}
}

/*
 * One statement, or an element of CREATE SCHEMA.
 */
static void
foresee_statement(List **locks, Node *stmt)
{
	ListCell   *cell;

	switch (nodeTag(stmt))
	{
		case T_AlterTableStmt:
			foresee_alter_table(locks, (AlterTableStmt *) stmt);
			break;
		case T_CreateStmt:
			foresee_create_table(locks, (CreateStmt *) stmt);
			break;
		case T_CreateForeignTableStmt:
			foresee_create_table(locks, &((CreateForeignTableStmt *) stmt)->base);
			break;
		case T_CreateSchemaStmt:
			foreach(cell, ((CreateSchemaStmt *) stmt)->schemaElts)
				foresee_statement(locks, lfirst(cell));
			break;
		case T_IndexStmt:
			add_family(locks, ((IndexStmt *) stmt)->relation,
					   ((IndexStmt *) stmt)->concurrent ? ShareUpdateExclusiveLock : ShareLock);
			break;
		case T_DropStmt:
			foresee_drop(locks, (DropStmt *) stmt);
			break;
		case T_RenameStmt:
			{
				RenameStmt *rename = (RenameStmt *) stmt;

				add_family(locks, rename->relation,
						   rename->renameType == OBJECT_INDEX ? ShareUpdateExclusiveLock :
						   AccessExclusiveLock);
				break;
			}
		case T_AlterObjectSchemaStmt:
			add_named(locks, ((AlterObjectSchemaStmt *) stmt)->relation, AccessExclusiveLock);
			break;
		case T_TruncateStmt:
			foreach(cell, ((TruncateStmt *) stmt)->relations)
			{
				add_family(locks, lfirst(cell), AccessExclusiveLock);
				if (((TruncateStmt *) stmt)->behavior == DROP_CASCADE)
					add_foreign_key_partners(locks, ar_migrate_lock_find_relation(lfirst(cell)),
											 AccessExclusiveLock);
			}
			break;
		case T_LockStmt:
			foreach(cell, ((LockStmt *) stmt)->relations)
				add_family(locks, lfirst(cell), ((LockStmt *) stmt)->mode);
			break;
		case T_CreateTrigStmt:
			add_family(locks, ((CreateTrigStmt *) stmt)->relation, ShareRowExclusiveLock);
			add_named(locks, ((CreateTrigStmt *) stmt)->constrrel, AccessShareLock);
			break;
		case T_RuleStmt:
			add_named(locks, ((RuleStmt *) stmt)->relation, AccessExclusiveLock);
			break;
		case T_CreatePolicyStmt:
			add_named(locks, ((CreatePolicyStmt *) stmt)->table, AccessExclusiveLock);
			break;
		case T_AlterPolicyStmt:
			add_named(locks, ((AlterPolicyStmt *) stmt)->table, AccessExclusiveLock);
			break;
		case T_CreateStatsStmt:
			foreach(cell, ((CreateStatsStmt *) stmt)->relations)
			{
				if (IsA(lfirst(cell), RangeVar))
					add_named(locks, lfirst(cell), ShareUpdateExclusiveLock);
			}
			break;
		case T_AlterSeqStmt:
			add_named(locks, ((AlterSeqStmt *) stmt)->sequence, ShareRowExclusiveLock);
			break;
		case T_CommentStmt:
			{
				CommentStmt *comment = (CommentStmt *) stmt;

				if (comment->objtype == OBJECT_TABLE)
					add_named(locks, makeRangeVarFromNameList(castNode(List, comment->object)),
							  ShareUpdateExclusiveLock);
				else if (comment->objtype == OBJECT_COLUMN)
					add_named(locks, owner_of_name(castNode(List, comment->object)),
							  ShareUpdateExclusiveLock);
				break;
			}
		case T_ReindexStmt:
			foresee_reindex(locks, (ReindexStmt *) stmt);
			break;
		case T_ClusterStmt:
			add_named(locks, ((ClusterStmt *) stmt)->relation, AccessExclusiveLock);
			break;
		case T_RefreshMatViewStmt:
			add_named(locks, ((RefreshMatViewStmt *) stmt)->relation,
					  ((RefreshMatViewStmt *) stmt)->concurrent ? ExclusiveLock :
					  AccessExclusiveLock);
			break;
		case T_VacuumStmt:		/* without VACUUM: ANALYZE */
			foreach(cell, ((VacuumStmt *) stmt)->rels)
				add_family(locks, lfirst_node(VacuumRelation, cell)->relation,
						   ShareUpdateExclusiveLock);
			break;
		case T_CopyStmt:
			if (((CopyStmt *) stmt)->relation)
				add_named(locks, ((CopyStmt *) stmt)->relation,
						  ((CopyStmt *) stmt)->is_from ? RowExclusiveLock : AccessShareLock);
			else
				(void) foresee_query_walker(((CopyStmt *) stmt)->query, locks);
			break;
		case T_ViewStmt:
			add_named(locks, ((ViewStmt *) stmt)->view, AccessExclusiveLock);
			(void) foresee_query_walker(((ViewStmt *) stmt)->query, locks);
			break;
		case T_CreateTableAsStmt:
			(void) foresee_query_walker(((CreateTableAsStmt *) stmt)->query, locks);
			break;
		case T_ExplainStmt:
			foresee_statement(locks, ((ExplainStmt *) stmt)->query);
			break;
		case T_SelectStmt:
		case T_InsertStmt:
		case T_UpdateStmt:
		case T_DeleteStmt:
		case T_MergeStmt:
			(void) foresee_query_walker(stmt, locks);
			break;
		default:
			break;
	}
}

static void
foresee_alter_table(List **locks, AlterTableStmt *stmt)
{
	LOCKMODE	mode = AlterTableGetLockLevel(stmt->cmds);
	Oid			relid = ar_migrate_lock_find_relation(stmt->relation);
	ListCell   *cell;

	if (!OidIsValid(relid))
		return;
	add_family(locks, stmt->relation, mode);
	foreach(cell, stmt->cmds)
	{
		AlterTableCmd *cmd = lfirst_node(AlterTableCmd, cell);

		switch (cmd->subtype)
		{
			case AT_AddColumn:
				foresee_references(locks, castNode(ColumnDef, cmd->def)->constraints);
				break;
			case AT_AddConstraint:
				foresee_references(locks, list_make1(cmd->def));
				break;
			case AT_ValidateConstraint:
				add_constraint_partner(locks, relid, cmd->name, RowShareLock);
				break;
			case AT_AlterConstraint:
				add_foreign_key_partners(locks, relid, ShareRowExclusiveLock);
				break;
			case AT_DropConstraint:
				add_constraint_partner(locks, relid, cmd->name, AccessExclusiveLock);
				break;
			case AT_AlterColumnType:
			case AT_DropColumn:
				add_foreign_key_partners(locks, relid, AccessExclusiveLock);
				break;
			case AT_AttachPartition:
				add_family(locks, castNode(PartitionCmd, cmd->def)->name, AccessExclusiveLock);
				add_default_partition(locks, relid, AccessExclusiveLock);
				add_foreign_key_partners(locks, relid, ShareRowExclusiveLock);
				break;
			case AT_DetachPartition:
				add_family(locks, castNode(PartitionCmd, cmd->def)->name, AccessExclusiveLock);
				add_default_partition(locks, relid, AccessExclusiveLock);
				add_foreign_key_partners(locks, relid, ShareRowExclusiveLock);
				break;
			case AT_AddInherit:
			case AT_DropInherit:
				add_named(locks, castNode(RangeVar, cmd->def), ShareUpdateExclusiveLock);
				break;
			default:
				break;
		}
	}
}

static void
foresee_create_table(List **locks, CreateStmt *stmt)
{
	ListCell   *cell;

	foreach(cell, stmt->inhRelations)
	{
		RangeVar   *parent = lfirst_node(RangeVar, cell);

		add_named(locks, parent,
				  stmt->partbound ? AccessExclusiveLock : ShareUpdateExclusiveLock);
		if (stmt->partbound)
		{
			add_default_partition(locks, ar_migrate_lock_find_relation(parent), AccessExclusiveLock);
			add_foreign_key_partners(locks, ar_migrate_lock_find_relation(parent), ShareRowExclusiveLock);
		}
	}
	foreach(cell, stmt->tableElts)
	{
		Node	   *element = lfirst(cell);

		if (IsA(element, ColumnDef))
			foresee_references(locks, ((ColumnDef *) element)->constraints);
		else if (IsA(element, Constraint))
			foresee_references(locks, list_make1(element));
		else if (IsA(element, TableLikeClause))
			add_named(locks, ((TableLikeClause *) element)->relation, AccessShareLock);
	}
}

static void
foresee_drop(List **locks, DropStmt *stmt)
{
	LOCKMODE	mode = stmt->concurrent ? ShareUpdateExclusiveLock : AccessExclusiveLock;
	ListCell   *cell;

	foreach(cell, stmt->objects)
	{
		RangeVar   *name;
		Oid			relid;

		switch (stmt->removeType)
		{
			case OBJECT_TABLE:
			case OBJECT_FOREIGN_TABLE:
				name = makeRangeVarFromNameList(lfirst_node(List, cell));
				relid = ar_migrate_lock_find_relation(name);
				add_family(locks, name, mode);
				add_foreign_key_partners(locks, relid, mode);
				if (OidIsValid(relid) && get_rel_relispartition(relid))
				{
					Oid			parent = get_partition_parent(relid, true);

					add(locks, parent, mode);
					add_default_partition(locks, parent, mode);
				}
				break;
			case OBJECT_INDEX:
				name = makeRangeVarFromNameList(lfirst_node(List, cell));
				add_index(locks, ar_migrate_lock_find_relation(name), mode, mode);
				break;
			case OBJECT_VIEW:
			case OBJECT_MATVIEW:
			case OBJECT_SEQUENCE:
				add_named(locks, makeRangeVarFromNameList(lfirst_node(List, cell)), mode);
				break;
			case OBJECT_TRIGGER:
			case OBJECT_POLICY:
			case OBJECT_RULE:
				add_family(locks, owner_of_name(lfirst_node(List, cell)), mode);
				break;
			default:
				break;
		}
	}
}

static void
foresee_reindex(List **locks, ReindexStmt *stmt)
{
	if (stmt->relation == NULL)
		return;
	if (stmt->kind == REINDEX_OBJECT_INDEX)
		add_index(locks, ar_migrate_lock_find_relation(stmt->relation), AccessExclusiveLock, ShareLock);
	else if (stmt->kind == REINDEX_OBJECT_TABLE)
	{
		Oid			relid = ar_migrate_lock_find_relation(stmt->relation);
		ListCell   *cell;

		add_named(locks, stmt->relation, ShareLock);
		foreach(cell, ar_migrate_lock_indexes_of(relid))
			add(locks, lfirst_oid(cell), AccessExclusiveLock);
	}
}

/*
 * Tables that a query reads or writes.  A WITH name that is also a table's
 * counts as the table, which does no harm.
 */
static bool
foresee_query_walker(Node *node, List **locks)
{
	if (node == NULL)
		return false;
	switch (nodeTag(node))
	{
		case T_RangeVar:
			add_family(locks, (RangeVar *) node, AccessShareLock);
			return false;
		case T_InsertStmt:
			add_named(locks, ((InsertStmt *) node)->relation, RowExclusiveLock);
			break;
		case T_UpdateStmt:
			add_family(locks, ((UpdateStmt *) node)->relation, RowExclusiveLock);
			break;
		case T_DeleteStmt:
			add_family(locks, ((DeleteStmt *) node)->relation, RowExclusiveLock);
			break;
		case T_MergeStmt:
			add_family(locks, ((MergeStmt *) node)->relation, RowExclusiveLock);
			break;
		default:
			break;
	}
	return raw_expression_tree_walker(node, foresee_query_walker, locks);
}

/*
 * Tables that foreign keys among "constraints" are going to point to.
 */
static void
foresee_references(List **locks, List *constraints)
{
	ListCell   *cell;

	foreach(cell, constraints)
	{
		Constraint *constraint = lfirst(cell);

		if (IsA(constraint, Constraint) && constraint->contype == CONSTR_FOREIGN)
			add_family(locks, constraint->pktable, ShareRowExclusiveLock);
	}
}

/* The table of a trigger, rule, policy or column: its name without the last part. */
static RangeVar *
owner_of_name(List *name)
{
	if (list_length(name) < 2)
		return NULL;
	return makeRangeVarFromNameList(list_truncate(list_copy(name), list_length(name) - 1));
}

static void
add_named(List **locks, RangeVar *name, LOCKMODE mode)
{
	if (name)
		add(locks, ar_migrate_lock_find_relation(name), mode);
}

/*
 * A relation with its partitions or children, unless ONLY was said.
 */
static void
add_family(List **locks, RangeVar *name, LOCKMODE mode)
{
	Oid			relid = name ? ar_migrate_lock_find_relation(name) : InvalidOid;

	if (!OidIsValid(relid))
		return;
	add(locks, relid, mode);
	if (name->inh && has_subclass(relid))
	{
		ListCell   *cell;

		foreach(cell, find_all_inheritors(relid, NoLock, NULL))
			add(locks, lfirst_oid(cell), mode);
	}
}

static void
add_index(List **locks, Oid index, LOCKMODE index_mode, LOCKMODE table_mode)
{
	if (!OidIsValid(index))
		return;
	add(locks, IndexGetRelation(index, true), table_mode);
	add(locks, index, index_mode);
}

/* The indexes of a table, if there is one. */
List *
ar_migrate_lock_indexes_of(Oid relid)
{
	List	   *result = NIL;
	Relation	rel;
	SysScanDesc scan;
	ScanKeyData key;
	HeapTuple	tuple;

	if (!OidIsValid(relid))
		return NIL;
	rel = table_open(IndexRelationId, AccessShareLock);
	ScanKeyInit(&key, Anum_pg_index_indrelid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(relid));
	scan = systable_beginscan(rel, IndexIndrelidIndexId, true, NULL, 1, &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
		result = lappend_oid(result, ((Form_pg_index) GETSTRUCT(tuple))->indexrelid);
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return result;
}

/*
 * Tables that foreign keys of "relid" point to, and tables whose foreign keys
 * point to it.
 */
static void
add_foreign_key_partners(List **locks, Oid relid, LOCKMODE mode)
{
	Relation	rel;
	SysScanDesc scan;
	ScanKeyData keys[2];
	HeapTuple	tuple;

	if (!OidIsValid(relid))
		return;

	rel = table_open(ConstraintRelationId, AccessShareLock);
	ScanKeyInit(&keys[0], Anum_pg_constraint_conrelid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(relid));
	scan = systable_beginscan(rel, ConstraintRelidTypidNameIndexId, true, NULL, 1, keys);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
		add(locks, ((Form_pg_constraint) GETSTRUCT(tuple))->confrelid, mode);
	systable_endscan(scan);
	table_close(rel, AccessShareLock);

	/* Nothing indexes confrelid; a foreign key depends on what it points to. */
	rel = table_open(DependRelationId, AccessShareLock);
	ScanKeyInit(&keys[0], Anum_pg_depend_refclassid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(RelationRelationId));
	ScanKeyInit(&keys[1], Anum_pg_depend_refobjid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(relid));
	scan = systable_beginscan(rel, DependReferenceIndexId, true, NULL, 2, keys);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_depend depend = (Form_pg_depend) GETSTRUCT(tuple);
		HeapTuple	constraint;

		if (depend->classid != ConstraintRelationId)
			continue;
		constraint = SearchSysCache1(CONSTROID, ObjectIdGetDatum(depend->objid));
		if (!HeapTupleIsValid(constraint))
			continue;
		if (((Form_pg_constraint) GETSTRUCT(constraint))->confrelid == relid)
			add(locks, ((Form_pg_constraint) GETSTRUCT(constraint))->conrelid, mode);
		ReleaseSysCache(constraint);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
}

static void
add_constraint_partner(List **locks, Oid relid, const char *constraint, LOCKMODE mode)
{
	Oid			oid = get_relation_constraint_oid(relid, constraint, true);
	HeapTuple	tuple;

	if (!OidIsValid(oid))
		return;
	tuple = SearchSysCache1(CONSTROID, ObjectIdGetDatum(oid));
	if (!HeapTupleIsValid(tuple))
		return;
	add(locks, ((Form_pg_constraint) GETSTRUCT(tuple))->confrelid, mode);
	ReleaseSysCache(tuple);
}

static void
add_default_partition(List **locks, Oid parent, LOCKMODE mode)
{
	if (OidIsValid(parent))
		add(locks, get_default_partition_oid(parent), mode);
}

/*
 * Add one relation, or strengthen the mode in which it is to be locked.
 */
static void
add(List **locks, Oid relid, LOCKMODE mode)
{
	MigrateLock *lock;
	ListCell   *cell;

	if (!OidIsValid(relid) || IsCatalogRelationOid(relid) || !may_lock(relid, mode))
		return;
	foreach(cell, *locks)
	{
		lock = lfirst(cell);
		if (lock->relid == relid)
		{
			lock->mode = covering_mode(lock->mode, mode);
			return;
		}
	}
	lock = palloc(sizeof(MigrateLock));
	lock->relid = relid;
	lock->mode = mode;
	*locks = lappend(*locks, lock);
}

/*
 * The relation that a name means now, or InvalidOid.  Never an error: the
 * statement itself finds the words for what is wrong with a name.
 */
Oid
ar_migrate_lock_find_relation(RangeVar *name)
{
	if (name == NULL)
		return InvalidOid;
	if (name->catalogname && strcmp(name->catalogname, get_database_name(MyDatabaseId)) != 0)
		return InvalidOid;
	if (name->schemaname)
	{
		Oid			schema = get_namespace_oid(name->schemaname, true);

		return OidIsValid(schema) ? get_relname_relid(name->relname, schema) : InvalidOid;
	}
	return RelnameGetRelid(name->relname);
}

/*
 * Whether the caller could have taken the lock by a statement of its own.
 */
static bool
may_lock(Oid relid, LOCKMODE mode)
{
	AclMode		rights = ACL_UPDATE | ACL_DELETE | ACL_TRUNCATE;

	if (object_ownercheck(RelationRelationId, relid, GetUserId()))
		return true;
	if (mode == ShareRowExclusiveLock)
		rights |= ACL_REFERENCES | ACL_TRIGGER;
	else if (mode == RowExclusiveLock)
		rights |= ACL_INSERT;
	else if (mode < RowExclusiveLock)
		rights |= ACL_INSERT | ACL_SELECT;
	return pg_class_aclmask(relid, GetUserId(), rights, ACLMASK_ANY) != 0;
}

/*
 * The weakest mode that conflicts with everything that "a" or "b" conflicts
 * with.
 */
static LOCKMODE
covering_mode(LOCKMODE a, LOCKMODE b)
{
	for (LOCKMODE mode = Max(a, b); mode < AccessExclusiveLock; mode++)
	{
		bool		covers = true;

		for (LOCKMODE other = AccessShareLock; other <= AccessExclusiveLock; other++)
		{
			if ((DoLockModesConflict(a, other) || DoLockModesConflict(b, other)) &&
				!DoLockModesConflict(mode, other))
				covers = false;
		}
		if (covers)
			return mode;
	}
	return AccessExclusiveLock;
}

static int
compare_locks(const ListCell *a, const ListCell *b)
{
	Oid			left = ((const MigrateLock *) lfirst(a))->relid;
	Oid			right = ((const MigrateLock *) lfirst(b))->relid;

	return left < right ? -1 : left > right;
}
