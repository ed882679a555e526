/*
 * migrate_settle.c: what has become of a statement that a worker ran.
 *
 * A statement that refuses a transaction cannot commit together with the note
 * that it is done.  So before it runs, the job row says what the catalogs look
 * like, and while it runs, which indexes it makes (ar_migrate_job_add_index).
 * If nobody came back to say how it ended, the catalogs tell: it is done, or it
 * is to be run, or what it has left is to be removed first.
 *
 * An invalid index is removed only if the job row knows that this job made it,
 * or made it invalid.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/namespace.h"
#include "catalog/pg_index.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_subscription.h"
#include "commands/dbcommands.h"
#include "commands/subscriptioncmds.h"
#include "commands/tablespace.h"
#include "common/qualified_name.h"
#include "migrate/migrate.h"
#include "nodes/parsenodes.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/relcache.h"
#include "utils/syscache.h"

static MigrateSettlement settle_index(const MigrateJob *job);
static MigrateSettlement settle_reindex(const MigrateJob *job);
static MigrateSettlement settle_detach(const MigrateJob *job, AlterTableStmt *stmt);
static bool object_exists(Node *stmt);
static bool creates(Node *stmt);
static Oid	find_index(IndexStmt *stmt);
static List *indexes_to_replace(ReindexStmt *stmt);
static bool index_is_valid(Oid index);
static char *drop_index(Oid index);
static PartitionCmd *detached_partition(AlterTableStmt *stmt);

/*
 * Note in the job row what there is before a worker runs "stmt" for the first
 * time.
 *
 * Raises 55000 if the statement would take somebody's invalid index for the
 * one that it is to make.
 */
void
ar_migrate_settle_prepare(MigrateJob *job, Node *stmt)
{
	job->attempted = true;
	job->existed = object_exists(stmt);
	job->indexes_before = NIL;
	job->indexes_made = NIL;
	if (IsA(stmt, ReindexStmt))
		job->indexes_before = indexes_to_replace((ReindexStmt *) stmt);
	if (IsA(stmt, IndexStmt) && job->existed && !index_is_valid(find_index((IndexStmt *) stmt)))
		ereport(ERROR,
				errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				errmsg("index \"%s\" exists and is invalid", ((IndexStmt *) stmt)->idxname),
				errdetail("This job has not made it, so it is left alone."),
				errhint("DROP INDEX CONCURRENTLY removes it, REINDEX INDEX CONCURRENTLY repairs it; then call again."));
}

/*
 * What is to be done about a statement that may have been run already.  Names
 * are looked up by the current search_path.
 */
MigrateSettlement
ar_migrate_settle(const MigrateJob *job, Node *stmt)
{
	MigrateSettlement result = {0};

	if (IsA(stmt, IndexStmt))
		return settle_index(job);
	if (IsA(stmt, ReindexStmt))
		return settle_reindex(job);
	if (IsA(stmt, AlterTableStmt))
		return settle_detach(job, (AlterTableStmt *) stmt);
	if (job->attempted)
		result.done = creates(stmt) ? !job->existed && object_exists(stmt) :
			job->existed && !object_exists(stmt);
	return result;
}

/*
 * Does the statement make indexes that it can leave behind invalid?
 */
bool
ar_migrate_settle_records_indexes(Node *stmt)
{
	return IsA(stmt, IndexStmt) || IsA(stmt, ReindexStmt);
}

/*
 * Do readers or writers wait while the statement waits for its locks?  Those
 * that say CONCURRENTLY, and plain VACUUM, queue for a lock that neither
 * needs.
 */
bool
ar_migrate_settle_blocks_others(Node *stmt)
{
	ListCell   *cell;

	switch (nodeTag(stmt))
	{
		case T_IndexStmt:
			return !((IndexStmt *) stmt)->concurrent;
		case T_DropStmt:
			return !((DropStmt *) stmt)->concurrent;
		case T_AlterTableStmt:
			return detached_partition((AlterTableStmt *) stmt) == NULL;
		case T_ReindexStmt:
			foreach(cell, ((ReindexStmt *) stmt)->params)
			{
				if (strcmp(lfirst_node(DefElem, cell)->defname, "concurrently") == 0)
					return false;
			}
			return true;
		case T_VacuumStmt:
			foreach(cell, ((VacuumStmt *) stmt)->options)
			{
				if (strcmp(lfirst_node(DefElem, cell)->defname, "full") == 0)
					return true;
			}
			return false;
		default:
			return true;
	}
}

static MigrateSettlement
settle_index(const MigrateJob *job)
{
	MigrateSettlement result = {0};
	ListCell   *cell;

	foreach(cell, job->indexes_made)
	{
		Oid			index = lfirst_oid(cell);

		if (get_rel_name(index) == NULL)
			continue;
		if (index_is_valid(index))
			result.done = true;
		else
			result.cleanup = lappend(result.cleanup, drop_index(index));
	}
	return result;
}

/*
 * New indexes stand beside the old ones, become valid when the two are
 * swapped, and then the old ones, invalid now, are dropped.
 */
static MigrateSettlement
settle_reindex(const MigrateJob *job)
{
	MigrateSettlement result = {0};
	bool		all_new = job->indexes_made != NIL;
	bool		any_old = job->indexes_before == NIL;
	ListCell   *cell;

	foreach(cell, list_concat_copy(job->indexes_made, job->indexes_before))
	{
		Oid			index = lfirst_oid(cell);
		bool		is_new = list_member_oid(job->indexes_made, index);
		bool		exists = get_rel_name(index) != NULL;

		if (is_new)
			all_new &= exists && index_is_valid(index);
		else
			any_old |= exists;
		if (exists && !index_is_valid(index) &&
			(is_new || strstr(get_rel_name(index), "_ccold") != NULL))
			result.cleanup = lappend(result.cleanup, drop_index(index));
	}
	result.done = all_new && !any_old;
	return result;
}

/*
 * A detachment that was interrupted between its two transactions has to be
 * finished, it cannot be begun again.
 */
static MigrateSettlement
settle_detach(const MigrateJob *job, AlterTableStmt *stmt)
{
	MigrateSettlement result = {0};
	PartitionCmd *cmd = detached_partition(stmt);
	Oid			partition = cmd ? ar_migrate_lock_find_relation(cmd->name) : InvalidOid;

	if (!OidIsValid(partition))
		return result;
	if (!get_rel_relispartition(partition))
		result.done = job->attempted && job->existed;
	else if (PartitionHasPendingDetach(partition))
		result.instead = psprintf("ALTER TABLE %s DETACH PARTITION %s FINALIZE",
								  ar_qualified_relation(ar_migrate_lock_find_relation(stmt->relation)),
								  ar_qualified_relation(partition));
	return result;
}

/*
 * Is there what the statement makes, drops or detaches?
 */
static bool
object_exists(Node *stmt)
{
	switch (nodeTag(stmt))
	{
		case T_IndexStmt:
			return OidIsValid(find_index((IndexStmt *) stmt));
		case T_DropStmt:
			return OidIsValid(ar_migrate_lock_find_relation(makeRangeVarFromNameList(linitial(((DropStmt *) stmt)->objects))));
		case T_AlterTableStmt:
			{
				PartitionCmd *cmd = detached_partition((AlterTableStmt *) stmt);
				Oid			partition = cmd ? ar_migrate_lock_find_relation(cmd->name) : InvalidOid;

				return OidIsValid(partition) && get_rel_relispartition(partition);
			}
		case T_CreatedbStmt:
			return OidIsValid(get_database_oid(((CreatedbStmt *) stmt)->dbname, true));
		case T_DropdbStmt:
			return OidIsValid(get_database_oid(((DropdbStmt *) stmt)->dbname, true));
		case T_CreateTableSpaceStmt:
			return OidIsValid(get_tablespace_oid(((CreateTableSpaceStmt *) stmt)->tablespacename, true));
		case T_DropTableSpaceStmt:
			return OidIsValid(get_tablespace_oid(((DropTableSpaceStmt *) stmt)->tablespacename, true));
		case T_CreateSubscriptionStmt:
			return OidIsValid(get_subscription_oid(((CreateSubscriptionStmt *) stmt)->subname, true));
		case T_DropSubscriptionStmt:
			return OidIsValid(get_subscription_oid(((DropSubscriptionStmt *) stmt)->subname, true));
		default:
			return false;
	}
}

static bool
creates(Node *stmt)
{
	return IsA(stmt, CreatedbStmt) || IsA(stmt, CreateTableSpaceStmt) ||
		IsA(stmt, CreateSubscriptionStmt);
}

/*
 * The index that bears the name which the statement gives.
 */
static Oid
find_index(IndexStmt *stmt)
{
	Oid			table = ar_migrate_lock_find_relation(stmt->relation);

	if (stmt->idxname == NULL || !OidIsValid(table))
		return InvalidOid;
	return get_relname_relid(stmt->idxname, get_rel_namespace(table));
}

/*
 * The valid indexes that the statement is going to replace by new ones, as far
 * as it names them.
 */
static List *
indexes_to_replace(ReindexStmt *stmt)
{
	Oid			relid = stmt->relation ? ar_migrate_lock_find_relation(stmt->relation) : InvalidOid;
	List	   *indexes = NIL;
	List	   *valid = NIL;
	ListCell   *cell;

	if (!OidIsValid(relid))
		return NIL;
	if (stmt->kind == REINDEX_OBJECT_INDEX)
		indexes = list_make1_oid(relid);
	else if (stmt->kind == REINDEX_OBJECT_TABLE)
		indexes = ar_migrate_lock_indexes_of(relid);
	foreach(cell, indexes)
	{
		if (index_is_valid(lfirst_oid(cell)))
			valid = lappend_oid(valid, lfirst_oid(cell));
	}
	return valid;
}

static bool
index_is_valid(Oid index)
{
	HeapTuple	tuple = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(index));
	bool		valid;

	if (!HeapTupleIsValid(tuple))
		return false;
	valid = ((Form_pg_index) GETSTRUCT(tuple))->indisvalid &&
		((Form_pg_index) GETSTRUCT(tuple))->indisready &&
		((Form_pg_index) GETSTRUCT(tuple))->indislive;
	ReleaseSysCache(tuple);
	return valid;
}

static char *
drop_index(Oid index)
{
	return psprintf("DROP INDEX CONCURRENTLY IF EXISTS %s", ar_qualified_relation(index));
}

/*
 * The command in ALTER TABLE ... DETACH PARTITION ... CONCURRENTLY, or NULL.
 */
static PartitionCmd *
detached_partition(AlterTableStmt *stmt)
{
	AlterTableCmd *cmd = linitial_node(AlterTableCmd, stmt->cmds);

	if (cmd->subtype != AT_DetachPartition || !castNode(PartitionCmd, cmd->def)->concurrent)
		return NULL;
	return (PartitionCmd *) cmd->def;
}
