/*
 * state_table.c: read and write algo_ref's own tables.
 *
 * The tables are read and written as the server reads and writes its
 * catalogs: below SQL, so that no identity is switched, no search_path, rule
 * or operator of a user's is met, and no privilege on the table is needed.
 * Whoever calls has therefore to check rights first: writers are SQL
 * functions whose EXECUTE is revoked from PUBLIC, readers call
 * ar_state_table_check_select().
 *
 * Text columns of our tables are COLLATE "C", so index keys compare by bytes
 * whatever the locale of the database is.
 */
#include "postgres.h"

#include "access/relscan.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "commands/sequence.h"
#include "common/compat.h"
#include "common/state_table.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"

#define STATE_SCHEMA "algo_ref"

/* of the operator @> in the class array_ops, see access/ginarrayproc.c */
#define CONTAINS_STRATEGY 2

struct StateTable
{
	MemoryContext context;		/* what lasts as long as the table is open */
	Relation	rel;
	EState	   *estate;			/* NULL until the first write */
	ResultRelInfo *result_rel;
	TupleTableSlot *new_slot;
	TupleTableSlot *old_slot;
};

struct StateScan
{
	StateTable *table;
	SysScanDesc sysscan;		/* NULL: a scan for the member of an array */
	Snapshot	snapshot;
	bool		unregister;		/* the snapshot was registered here */

	/* the member of an array: what the index gave, and how far we are */
	ItemPointerData *tid;
	int			tid_count;
	int			tid_next;
	ScanKeyData key;
	IndexFetchTableData *fetch;
	TupleTableSlot *slot;
};

static Oid	state_relation_oid(const char *name);
static StateScan *begin_scan(StateTable *table, Snapshot snapshot);
static void read_bitmap(StateScan *scan, Oid index_oid);
static void add_tid(StateScan *scan, int *room, BlockNumber block, OffsetNumber offset);
static HeapTuple next_member(StateScan *scan);
static bool holds_member(StateScan *scan, HeapTuple tuple);
static void begin_writing(StateTable *table);
static void store_tuple(StateTable *table, const Datum *values, const bool *nulls);

/*
 * The Oid of one of our tables.  Raises 55000 when the extension is not
 * installed in this database (its functions cannot run then, but a library
 * that stays loaded after DROP EXTENSION can).
 */
Oid
ar_state_table_oid(const char *name)
{
	return state_relation_oid(name);
}

/*
 * Open one of our tables, with a lock that is kept to the end of the
 * transaction if the table is written.
 */
StateTable *
ar_state_table_open(const char *name, LOCKMODE lockmode)
{
	StateTable *table = palloc0(sizeof(StateTable));

	table->context = CurrentMemoryContext;
	table->rel = table_open(state_relation_oid(name), lockmode);
	return table;
}

void
ar_state_table_close(StateTable *table)
{
	if (table->estate)
	{
		ExecCloseIndices(table->result_rel);
		ExecDropSingleTupleTableSlot(table->new_slot);
		ExecDropSingleTupleTableSlot(table->old_slot);
		FreeExecutorState(table->estate);
	}
	table_close(table->rel, NoLock);
	pfree(table);
}

Relation
ar_state_table_relation(StateTable *table)
{
	return table->rel;
}

/*
 * Raise 42501 unless the caller may read the table with a plain SELECT.
 */
void
ar_state_table_check_select(const char *name)
{
	Oid			relid = state_relation_oid(name);
	AclResult	result = pg_class_aclcheck(relid, GetUserId(), ACL_SELECT);

	if (result != ACLCHECK_OK)
		aclcheck_error(result, OBJECT_TABLE, name);
}

/*
 * Whether it may.
 */
bool
ar_state_table_may_select(const char *name)
{
	return pg_class_aclcheck(state_relation_oid(name), GetUserId(), ACL_SELECT) == ACLCHECK_OK;
}

/*
 * Insert a row, and return its place.  "values" has one entry for each column,
 * in column order.
 */
ItemPointerData
ar_state_table_insert(StateTable *table, const Datum *values, const bool *nulls)
{
	begin_writing(table);
	store_tuple(table, values, nulls);
	ExecSimpleRelationInsert(table->result_rel, table->estate, table->new_slot);
	ResetPerTupleExprContext(table->estate);
	CommandCounterIncrement();
	return table->new_slot->tts_tid;
}

/*
 * Replace the row at "tid", and return the place of the new one.  The caller
 * holds the lock that makes it the only writer of that row.
 */
ItemPointerData
ar_state_table_update(StateTable *table, ItemPointer tid,
					  const Datum *values, const bool *nulls)
{
	EPQState	epqstate = {0};

	begin_writing(table);
	store_tuple(table, values, nulls);
	ExecClearTuple(table->old_slot);
	table->old_slot->tts_tid = *tid;
	ExecSimpleRelationUpdate(table->result_rel, table->estate, &epqstate,
							 table->old_slot, table->new_slot);
	ResetPerTupleExprContext(table->estate);
	CommandCounterIncrement();
	return table->new_slot->tts_tid;
}

/*
 * Delete the row at "tid", under the same condition.
 */
void
ar_state_table_delete(StateTable *table, ItemPointer tid)
{
	EPQState	epqstate = {0};

	begin_writing(table);
	ExecClearTuple(table->old_slot);
	table->old_slot->tts_tid = *tid;
	ExecSimpleRelationDelete(table->result_rel, table->estate, &epqstate,
							 table->old_slot);
	CommandCounterIncrement();
}

/*
 * The next value of one of our sequences.
 */
int64
ar_state_table_nextval(const char *sequence)
{
	return nextval_internal(state_relation_oid(sequence), false);
}

/*
 * Begin to read a table: through "index" with "nkeys" conditions (equality on
 * its leading columns, given by the table's attribute numbers), or, with a
 * NULL index, all of it.  "snapshot" NULL means what is committed now.
 */
StateScan *
ar_state_scan_begin(StateTable *table, const char *index, Snapshot snapshot,
					int nkeys, ScanKey keys)
{
	StateScan  *scan = begin_scan(table, snapshot);

	scan->sysscan = systable_beginscan(table->rel,
									   index ? state_relation_oid(index) : InvalidOid,
									   index != NULL,
									   scan->snapshot, nkeys, keys);
	return scan;
}

/*
 * Begin to read the rows whose column "attribute", a text array, has a given
 * member, through a GIN index whose first column it is.  Rows come in the
 * order in which they are stored.
 */
StateScan *
ar_state_scan_begin_member(StateTable *table, const char *index,
						   Snapshot snapshot, AttrNumber attribute,
						   const char *member)
{
	StateScan  *scan = begin_scan(table, snapshot);
	Datum		element = CStringGetTextDatum(member);
	ArrayType  *array = construct_array(&element, 1, TEXTOID, -1, false, TYPALIGN_INT);

	ScanKeyInit(&scan->key, attribute, CONTAINS_STRATEGY, F_ARRAYCONTAINS,
				PointerGetDatum(array));
	read_bitmap(scan, state_relation_oid(index));
	if (scan->tid_count > 0)
	{
		scan->fetch = table_index_fetch_begin(table->rel);
		scan->slot = table_slot_create(table->rel, NULL);
	}
	return scan;
}

/*
 * The next row, valid until the next call; NULL at the end.
 */
HeapTuple
ar_state_scan_next(StateScan *scan)
{
	CHECK_FOR_INTERRUPTS();
	return scan->sysscan ? systable_getnext(scan->sysscan) : next_member(scan);
}

void
ar_state_scan_end(StateScan *scan)
{
	if (scan->sysscan)
		systable_endscan(scan->sysscan);
	if (scan->fetch)
	{
		table_index_fetch_end(scan->fetch);
		ExecDropSingleTupleTableSlot(scan->slot);
	}
	if (scan->tid)
		pfree(scan->tid);
	if (scan->unregister)
		UnregisterSnapshot(scan->snapshot);
	pfree(scan);
}

/*
 * The condition "text column = value".
 */
void
ar_state_key_text(ScanKey key, AttrNumber attribute, const char *value)
{
	ScanKeyInit(key, attribute, BTEqualStrategyNumber, F_TEXTEQ,
				CStringGetTextDatum(value));
}

/*
 * The condition "name column = value".
 */
void
ar_state_key_name(ScanKey key, AttrNumber attribute, const char *value)
{
	Name		name = palloc0(sizeof(NameData));

	namestrcpy(name, value);
	ScanKeyInit(key, attribute, BTEqualStrategyNumber, F_NAMEEQ,
				NameGetDatum(name));
}

static Oid
state_relation_oid(const char *name)
{
	Oid			namespace_oid = get_namespace_oid(STATE_SCHEMA, true);
	Oid			relid = InvalidOid;

	if (OidIsValid(namespace_oid))
		relid = get_relname_relid(name, namespace_oid);
	if (!OidIsValid(relid))
		ereport(ERROR,
				errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				errmsg("relation \"%s.%s\" does not exist", STATE_SCHEMA, name),
				errhint("CREATE EXTENSION algo_ref makes it."));
	return relid;
}

static StateScan *
begin_scan(StateTable *table, Snapshot snapshot)
{
	StateScan  *scan = palloc0(sizeof(StateScan));

	scan->table = table;
	scan->snapshot = snapshot;
	if (snapshot == NULL)
	{
		/* as for a catalog: fresh for our tables, in a parallel query as well */
		scan->snapshot = RegisterSnapshot(GetCatalogSnapshot(RelationGetRelid(table->rel)));
		scan->unregister = true;
	}
	return scan;
}

/*
 * Fill "tid" with what the index has for the key.
 */
static void
read_bitmap(StateScan *scan, Oid index_oid)
{
	Relation	index = index_open(index_oid, AccessShareLock);
	IndexScanDesc desc = index_beginscan_bitmap(index, scan->snapshot, NULL, 1);
	TIDBitmap  *bitmap = tbm_create(work_mem * 1024L, NULL);
	ScanKeyData key = scan->key;
	TBMPrivateIterator *iterator;
	BlockNumber block;
	OffsetNumber offset[MaxHeapTuplesPerPage];
	int			count;
	int			room = 0;

	key.sk_attno = 1;
	index_rescan(desc, &key, 1, NULL, 0);
	index_getbitmap(desc, bitmap);
	index_endscan(desc);
	index_close(index, NoLock);

	iterator = tbm_begin_private_iterate(bitmap);
	while (tbm_next_page(iterator, &block, offset, &count))
	{
		CHECK_FOR_INTERRUPTS();
		for (int i = 0; i < count; i++)
			add_tid(scan, &room, block, offset[i]);
		for (OffsetNumber i = FirstOffsetNumber; count < 0 && i <= MaxHeapTuplesPerPage; i++)
			add_tid(scan, &room, block, i);
	}
	tbm_end_private_iterate(iterator);
	tbm_free(bitmap);
}

static void
add_tid(StateScan *scan, int *room, BlockNumber block, OffsetNumber offset)
{
	if (scan->tid == NULL)
		scan->tid = palloc_array(ItemPointerData, *room = 16);
	else if (scan->tid_count == *room)
		scan->tid = repalloc_huge(scan->tid, (*room *= 2) * sizeof(ItemPointerData));
	ItemPointerSet(&scan->tid[scan->tid_count], block, offset);
	scan->tid_count++;
}

/*
 * The next visible row that still has the member: the index may know of dead
 * versions, and of whole pages only.
 */
static HeapTuple
next_member(StateScan *scan)
{
	while (scan->tid_next < scan->tid_count)
	{
		bool		again = false;
		HeapTuple	tuple;
		ItemPointerData tid = scan->tid[scan->tid_next++];

		/* "tid" moves on to the version that is visible */
		if (!table_index_fetch_tuple(scan->fetch, &tid, scan->snapshot, scan->slot,
									 &again, NULL))
			continue;
		tuple = ExecFetchSlotHeapTuple(scan->slot, false, NULL);
		if (holds_member(scan, tuple))
			return tuple;
	}
	return NULL;
}

static bool
holds_member(StateScan *scan, HeapTuple tuple)
{
	bool		isnull;
	Datum		array = heap_getattr(tuple, scan->key.sk_attno,
									 RelationGetDescr(scan->table->rel), &isnull);

	return !isnull &&
		DatumGetBool(FunctionCall2Coll(&scan->key.sk_func, C_COLLATION_OID,
									   array, scan->key.sk_argument));
}

/*
 * Writing needs the indexes open and two slots.  None of it refers to a range
 * table, which is what index 0 says.
 */
static void
begin_writing(StateTable *table)
{
	MemoryContext old;

	if (table->estate)
		return;
	old = MemoryContextSwitchTo(table->context);
	table->estate = CreateExecutorState();
	table->result_rel = makeNode(ResultRelInfo);
	InitResultRelInfo(table->result_rel, table->rel, 0, NULL, 0);
	ExecOpenIndices(table->result_rel, false);
	table->new_slot = MakeSingleTupleTableSlot(RelationGetDescr(table->rel),
											   &TTSOpsVirtual);
	table->old_slot = table_slot_create(table->rel, NULL);
	MemoryContextSwitchTo(old);
}

static void
store_tuple(StateTable *table, const Datum *values, const bool *nulls)
{
	int			natts = RelationGetDescr(table->rel)->natts;

	ExecClearTuple(table->new_slot);
	memcpy(table->new_slot->tts_values, values, natts * sizeof(Datum));
	memcpy(table->new_slot->tts_isnull, nulls, natts * sizeof(bool));
	ExecStoreVirtualTuple(table->new_slot);
}
