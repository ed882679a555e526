/*
 * compat.h: the newest spelling of what changed between PostgreSQL 15 and 18.
 *
 * The only file that looks at PG_VERSION_NUM.  Each entry says what changed
 * and when.
 */
#ifndef AR_COMPAT_H
#define AR_COMPAT_H

#include "postgres.h"

#include "postmaster/bgworker.h"
#include "storage/lock.h"
#include "storage/procarray.h"
#include "storage/sinvaladt.h"
#include "tcop/pquery.h"
#include "utils/acl.h"

/*
 * 17 lets a background worker connect as a role that may not log in (any
 * more).
 */
#ifdef BGWORKER_BYPASS_ROLELOGINCHECK
#define AR_BGWORKER_CONNECT_FLAGS BGWORKER_BYPASS_ROLELOGINCHECK
#else
#define AR_BGWORKER_CONNECT_FLAGS 0
#endif

/*
 * 17 numbers processes by their place among the PGPROCs; before, backends had
 * ids of their own.
 */
#if PG_VERSION_NUM >= 170000
#define ar_vxid_proc(vxid) ProcNumberGetProc((vxid).procNumber)
#else
#define ar_vxid_proc(vxid) BackendIdGetProc((vxid).backendId)
#endif

/*
 * 18 took the argument "run_once" from PortalRun().
 */
#if PG_VERSION_NUM >= 180000
#define ar_portal_run(portal, receiver, completion) \
	PortalRun(portal, FETCH_ALL, true, receiver, receiver, completion)
#else
#define ar_portal_run(portal, receiver, completion) \
	PortalRun(portal, FETCH_ALL, true, true, receiver, receiver, completion)
#endif

/*
 * 16 replaced the per-catalog functions pg_proc_aclcheck() and so on by one
 * object_aclcheck().
 */
#if PG_VERSION_NUM < 160000
#include "catalog/pg_database.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_proc.h"

static inline AclResult
object_aclcheck(Oid classid, Oid objectid, Oid roleid, AclMode mode)
{
	switch (classid)
	{
		case DatabaseRelationId:
			return pg_database_aclcheck(objectid, roleid, mode);
		case NamespaceRelationId:
			return pg_namespace_aclcheck(objectid, roleid, mode);
		case ProcedureRelationId:
			return pg_proc_aclcheck(objectid, roleid, mode);
		default:
			elog(ERROR, "unsupported object class %u", classid);
			return ACLCHECK_NO_PRIV;
	}
}

/* Likewise pg_class_ownercheck() by object_ownercheck(). */
#define object_ownercheck(classid, objectid, roleid) \
	(AssertMacro((classid) == RelationRelationId), pg_class_ownercheck(objectid, roleid))
#endif

/*
 * 16 took what is to be checked out of the range table.
 */
#include "executor/executor.h"

#if PG_VERSION_NUM < 160000
#define ar_check_permissions(planned) ExecCheckRTPerms((planned)->rtable, true)
#else
#define ar_check_permissions(planned) ExecCheckPermissions((planned)->rtable, (planned)->permInfos, true)
#endif

/*
 * 18 replaced pg_attribute_noreturn(), which stands behind a declaration, by
 * pg_noreturn, which stands before it.
 */
#if PG_VERSION_NUM < 180000
#define pg_noreturn _Noreturn
#endif

/*
 * 18 gave index_beginscan_bitmap() a place for its statistics, and split the
 * iterators of bitmaps into private and shared ones, whose results no longer
 * come with an array of offsets.
 */
#include "access/genam.h"
#include "access/htup_details.h"
#include "nodes/tidbitmap.h"

#if PG_VERSION_NUM < 180000
#define index_beginscan_bitmap(index, snapshot, instrument, nkeys) \
	index_beginscan_bitmap(index, snapshot, nkeys)

typedef TBMIterator TBMPrivateIterator;

#define tbm_begin_private_iterate(tbm) tbm_begin_iterate(tbm)
#define tbm_end_private_iterate(iterator) tbm_end_iterate(iterator)
#endif

/*
 * The next page of a bitmap: its number and how many offsets of it are in
 * "offsets", which has room for MaxHeapTuplesPerPage; -1 stands for all of
 * them.  False at the end.
 */
static inline bool
tbm_next_page(TBMPrivateIterator *iterator, BlockNumber *block,
			  OffsetNumber *offsets, int *count)
{
#if PG_VERSION_NUM >= 180000
	TBMIterateResult page;

	if (!tbm_private_iterate(iterator, &page))
		return false;
	*block = page.blockno;
	*count = page.lossy ? -1 :
		tbm_extract_page_tuple(&page, offsets, MaxHeapTuplesPerPage);
#else
	TBMIterateResult *page = tbm_iterate(iterator);

	if (page == NULL)
		return false;
	*block = page->blockno;
	*count = page->ntuples;
	if (page->ntuples > 0)
		memcpy(offsets, page->offsets, page->ntuples * sizeof(OffsetNumber));
#endif
	return true;
}

/*
 * Until 17 a label added by ALTER TYPE is unsafe to use in the same
 * transaction even if its type is new in it, too.
 */
#if PG_VERSION_NUM < 170000
#define AR_UNCOMMITTED_ENUMS_ARE_UNSAFE
#endif

/*
 * 18 took the last argument of ExecutorRun(), execute_once, away.
 */
#include "executor/executor.h"

static inline void
ar_executor_run(QueryDesc *query)
{
#if PG_VERSION_NUM >= 180000
	ExecutorRun(query, ForwardScanDirection, 0);
#else
	ExecutorRun(query, ForwardScanDirection, 0, true);
#endif
}

/*
 * Run a query for at most "count" rows, 0 for all; it may be called again
 * where it stopped.
 */
static inline void
ar_executor_fetch(QueryDesc *query, uint64 count)
{
#if PG_VERSION_NUM >= 180000
	ExecutorRun(query, ForwardScanDirection, count);
#else
	ExecutorRun(query, ForwardScanDirection, count, false);
#endif
}

/*
 * The same in the hook.
 */
#if PG_VERSION_NUM >= 180000
#define AR_EXECUTOR_RUN_PARAMETERS QueryDesc *query, ScanDirection direction, uint64 count
#define AR_EXECUTOR_RUN_ARGUMENTS query, direction, count
#else
#define AR_EXECUTOR_RUN_PARAMETERS \
	QueryDesc *query, ScanDirection direction, uint64 count, bool execute_once
#define AR_EXECUTOR_RUN_ARGUMENTS query, direction, count, execute_once
#endif

/*
 * 16 split membership in a role into what is inherited and what SET ROLE may
 * take; before, every member could take it.
 */
#if PG_VERSION_NUM < 160000
#define member_can_set_role(member, role) is_member_of_role(member, role)
#endif

/*
 * 16 gave the parsers of names a place for soft errors.
 */
#include "utils/regproc.h"

#if PG_VERSION_NUM < 160000
#define stringToQualifiedNameList(string, escontext) stringToQualifiedNameList(string)
#endif

/*
 * 16 tells apart the processes by their place in a list and by their number.
 */
#include "utils/backend_status.h"

#if PG_VERSION_NUM < 160000
#define pgstat_get_local_beentry_by_index(index) pgstat_fetch_stat_local_beentry(index)
#endif

/*
 * 16 told index insertion whether only summarizing indexes are wanted.
 */
#if PG_VERSION_NUM < 160000
#define ExecInsertIndexTuples(rel, slot, estate, update, no_error, conflict, arbiters, summarizing) \
	ExecInsertIndexTuples(rel, slot, estate, update, no_error, conflict, arbiters)
#endif

/*
 * How a row of a partitioned table becomes one of its partition, or NULL if it
 * already is; until 16 found when the partition was.
 */
static inline TupleConversionMap *
ar_root_to_child_map(ResultRelInfo *rel, EState *estate)
{
#if PG_VERSION_NUM >= 160000
	return ExecGetRootToChildMap(rel, estate);
#else
	return rel->ri_RootToPartitionMap;
#endif
}

/*
 * 16 added random_normal(), and 18 uuidv4() and uuidv7().  17 gave random()
 * variants with arguments, and so the one without a longer name.  What a
 * server does not have is no function's Oid.
 */
#include "utils/fmgroids.h"

#ifndef F_RANDOM_NORMAL
#define F_RANDOM_NORMAL InvalidOid
#endif

#ifndef F_RANDOM_
#define F_RANDOM_ F_RANDOM
#define F_RANDOM_INT4_INT4 InvalidOid
#define F_RANDOM_INT8_INT8 InvalidOid
#define F_RANDOM_NUMERIC_NUMERIC InvalidOid
#endif

#ifndef F_UUIDV7_
#define F_UUIDV4 InvalidOid
#define F_UUIDV7_ InvalidOid
#define F_UUIDV7_INTERVAL InvalidOid
#endif

/*
 * 18 asks for the direction of an index's column itself, not for a strategy
 * of btree that stands for it.
 */
#include "access/stratnum.h"
#include "utils/sortsupport.h"

static inline void
ar_prepare_index_sort_support(Relation index, bool descending, SortSupport support)
{
#if PG_VERSION_NUM >= 180000
	PrepareSortSupportFromIndexRel(index, descending, support);
#else
	PrepareSortSupportFromIndexRel(index, descending ? BTGreaterStrategyNumber :
								   BTLessStrategyNumber, support);
#endif
}

/*
 * 16 gave functions of btrees the table, for recovery conflicts on standbys,
 * and made a new page's one of its own; 17 took the snapshot of _bt_search()
 * away.  18 made the greatest size of an item one for all pages.
 */
#include "access/nbtree.h"

static inline BTStack
ar_bt_search(Relation index, Relation heap, BTScanInsert key, Buffer *buffer)
{
#if PG_VERSION_NUM >= 170000
	return _bt_search(index, heap, key, buffer, BT_WRITE);
#elif PG_VERSION_NUM >= 160000
	return _bt_search(index, heap, key, buffer, BT_WRITE, NULL);
#else
	return _bt_search(index, key, buffer, BT_WRITE, NULL);
#endif
}

static inline Buffer
ar_bt_new_page(Relation index, Relation heap)
{
#if PG_VERSION_NUM >= 160000
	return _bt_allocbuf(index, heap);
#else
	return _bt_getbuf(index, P_NEW, BT_WRITE);
#endif
}

static inline void
ar_bt_finish_split(Relation index, Relation heap, Buffer left, BTStack stack)
{
#if PG_VERSION_NUM >= 160000
	_bt_finish_split(index, heap, left, stack);
#else
	_bt_finish_split(index, left, stack);
#endif
}

static inline Size
ar_bt_max_item_size(Page page)
{
#if PG_VERSION_NUM >= 180000
	return BTMaxItemSize;
#else
	return BTMaxItemSize(page);
#endif
}

/*
 * 16 renamed what says where the file of a relation is.
 */
#include "commands/sequence.h"
#include "utils/rel.h"

static inline void
ar_set_sequence_record(xl_seq_rec *record, Relation sequence)
{
#if PG_VERSION_NUM >= 160000
	record->locator = sequence->rd_locator;
#else
	record->node = sequence->rd_node;
#endif
}

/*
 * 18 keeps each NOT NULL as a constraint with a name.
 */
#if PG_VERSION_NUM >= 180000
#define AR_NOT_NULL_IS_CONSTRAINT
#endif

/*
 * 18 lists what a query is grouped by as an entry of its range table, to which
 * its columns refer.
 */
#if PG_VERSION_NUM >= 180000
#define ar_group_expression(rte, column) \
	((rte)->rtekind == RTE_GROUP ? (Node *) list_nth((rte)->groupexprs, (column) - 1) : NULL)
#else
#define ar_group_expression(rte, column) ((Node *) NULL)
#endif

/*
 * 18 has foreign keys with a PERIOD.
 */
#if PG_VERSION_NUM >= 180000
#define ar_is_period_key(constraint) ((constraint)->conperiod)
#else
#define ar_is_period_key(constraint) false
#endif

#endif							/* AR_COMPAT_H */
