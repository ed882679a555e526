/*
 * bulk_writer.c: the fast path.
 *
 * Takes the place of the executor's ModifyTable node, after the executor has
 * prepared it: rights, triggers, partition routing and indexes are as it has
 * left them.  Rows are checked one by one, stored many at a time, and their
 * index entries go to bulk_index.c.  As in COPY's CopyMultiInsertBuffer.
 *
 * Everything is in its place before triggers AFTER INSERT fire, which the
 * executor does at the end of the query.
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/tableam.h"
#include "bulk/bulk.h"
#include "catalog/pg_class.h"
#include "commands/trigger.h"
#include "executor/execPartition.h"
#include "executor/executor.h"
#include "executor/nodeModifyTable.h"
#include "miscadmin.h"
#include "nodes/plannodes.h"
#include "utils/memutils.h"

/* When rows that wait are stored. */
#define WAITING_ROWS_MOST 1000
#define WAITING_BYTES_MOST (1024 * 1024)

/* Partitions that are being filled at a time. */
#define PARTITIONS_MOST 32

/* A relation that is being filled: the target, or a partition. */
typedef struct RowBuffer
{
	ResultRelInfo *rel;
	TupleDesc	desc;			/* a copy, which nobody counts the uses of */
	BulkInsertState insert_state;
	BulkIndexes *indexes;		/* or NULL */
	int			count;
	TupleTableSlot *slots[WAITING_ROWS_MOST];
	uint64		row_numbers[WAITING_ROWS_MOST];
} RowBuffer;

typedef struct Writer
{
	ModifyTableState *state;
	EState	   *estate;
	BulkInsert *insert;
	List	   *buffers;
	int			waiting_rows;
	Size		waiting_bytes;
	CommandId	command;
} Writer;

static void write_row(Writer *writer, TupleTableSlot *slot);
static ResultRelInfo *route_row(Writer *writer, TupleTableSlot **slot);
static void check_row(Writer *writer, ResultRelInfo *rel, TupleTableSlot *slot);
static void keep_row(Writer *writer, ResultRelInfo *rel, TupleTableSlot *slot);
static void copy_row(TupleTableSlot *kept, TupleTableSlot *slot);
static RowBuffer *buffer_of(Writer *writer, ResultRelInfo *rel);
static void store_all(Writer *writer);
static void store(Writer *writer, RowBuffer *buffer);
static void insert_entries(Writer *writer, RowBuffer *buffer);
static void close_all(Writer *writer);

/*
 * Does the plan leave out all that only the executor can do?
 */
bool
ar_bulk_writer_fits(const ModifyTableState *state)
{
	const ModifyTable *plan = (const ModifyTable *) state->ps.plan;
	ListCell   *cell;

	if (state->operation != CMD_INSERT || plan->onConflictAction != ONCONFLICT_NONE ||
		plan->returningLists != NIL || plan->withCheckOptionLists != NIL ||
		state->mt_transition_capture != NULL || state->mt_nrels != 1 ||
		state->resultRelInfo->ri_FdwRoutine != NULL)
		return false;
	foreach(cell, outerPlan(plan)->targetlist)
		if (lfirst_node(TargetEntry, cell)->resjunk)
		return false;
	return true;
}

/*
 * What ExecModifyTable() does, for all rows.
 */
TupleTableSlot *
ar_bulk_writer_run(ModifyTableState *state, BulkInsert *insert)
{
	Writer		writer = {.state = state,.estate = state->ps.state,.insert = insert};
	TupleTableSlot *slot;
	uint64		row;

	if (state->mt_done)
		return NULL;
	writer.command = GetCurrentCommandId(true);
	if (state->fireBSTriggers)
	{
		ExecBSInsertTriggers(writer.estate, state->rootResultRelInfo);
		state->fireBSTriggers = false;
	}
	for (row = 1;; row++)
	{
		ResetPerTupleExprContext(writer.estate);
		/* a query may be anywhere before it gives its first row */
		insert->row_at_work = insert->is_streaming ? 0 : AR_BULK_NO_ROW;
		slot = ExecProcNode(outerPlanState(state));
		if (TupIsNull(slot))
			break;
		insert->row_at_work = insert->is_streaming ? insert->source->row : row;
		if (insert->sequences != NULL)
			ar_bulk_sequences_fill(insert->sequences, slot);
		write_row(&writer, slot);
	}
	insert->row_at_work = AR_BULK_NO_ROW;
	if (insert->sequences != NULL)
		ar_bulk_sequences_end(insert->sequences);
	store_all(&writer);
	close_all(&writer);
	ExecASInsertTriggers(writer.estate, state->rootResultRelInfo, NULL);
	state->mt_done = true;
	return NULL;
}

static void
write_row(Writer *writer, TupleTableSlot *slot)
{
	ResultRelInfo *rel = route_row(writer, &slot);

	check_row(writer, rel, slot);
	keep_row(writer, rel, slot);
	if (writer->waiting_rows >= WAITING_ROWS_MOST || writer->waiting_bytes >= WAITING_BYTES_MOST)
	{
		uint64		row = writer->insert->row_at_work;

		writer->insert->row_at_work = AR_BULK_NO_ROW;
		store_all(writer);
		if (list_length(writer->buffers) > PARTITIONS_MOST)
			close_all(writer);
		writer->insert->row_at_work = row;
	}
}

/*
 * The relation that the row belongs to, and the row as that has its columns.
 */
static ResultRelInfo *
route_row(Writer *writer, TupleTableSlot **slot)
{
	ModifyTableState *state = writer->state;
	ResultRelInfo *rel = state->resultRelInfo;
	TupleConversionMap *map;

	(*slot)->tts_tableOid = RelationGetRelid(rel->ri_RelationDesc);
	if (state->mt_partition_tuple_routing == NULL)
		return rel;
	rel = ExecFindPartition(state, rel, state->mt_partition_tuple_routing, *slot, writer->estate);
	map = ar_root_to_child_map(rel, writer->estate);
	if (map != NULL)
		*slot = execute_attr_map_slot(map->attrMap, *slot, rel->ri_PartitionTupleSlot);
	(*slot)->tts_tableOid = RelationGetRelid(rel->ri_RelationDesc);
	return rel;
}

static void
check_row(Writer *writer, ResultRelInfo *rel, TupleTableSlot *slot)
{
	Relation	relation = rel->ri_RelationDesc;
	TupleConstr *constraints = RelationGetDescr(relation)->constr;

	if (constraints != NULL)
	{
		if (constraints->has_generated_stored)
			ExecComputeStoredGenerated(rel, writer->estate, slot, CMD_INSERT);
		ExecConstraints(rel, slot, writer->estate);
	}
	if (relation->rd_rel->relispartition && rel->ri_RootResultRelInfo == NULL)
		ExecPartitionCheck(rel, slot, writer->estate, true);
}

/*
 * Let a row wait to be stored.
 */
static void
keep_row(Writer *writer, ResultRelInfo *rel, TupleTableSlot *slot)
{
	RowBuffer  *buffer = buffer_of(writer, rel);
	TupleTableSlot *kept = buffer->slots[buffer->count];

	if (kept == NULL)
	{
		MemoryContext caller = MemoryContextSwitchTo(writer->estate->es_query_cxt);

		/* one for tuples in a buffer would keep the buffer of the row pinned */
		kept = MakeSingleTupleTableSlot(buffer->desc, &TTSOpsHeapTuple);
		buffer->slots[buffer->count] = kept;
		MemoryContextSwitchTo(caller);
	}
	copy_row(kept, slot);
	buffer->row_numbers[buffer->count++] = writer->insert->row_at_work;
	writer->waiting_rows++;
	writer->waiting_bytes += ((HeapTupleTableSlot *) kept)->tuple->t_len;
}

/*
 * ExecCopySlot(), which would make two tuples of what the source has put into
 * the slot of a scan.
 */
static void
copy_row(TupleTableSlot *kept, TupleTableSlot *slot)
{
	MemoryContext caller;
	HeapTuple	tuple;

	if (!TTS_IS_MINIMALTUPLE(slot))
	{
		ExecCopySlot(kept, slot);
		return;
	}
	slot_getallattrs(slot);
	caller = MemoryContextSwitchTo(kept->tts_mcxt);
	tuple = heap_form_tuple(kept->tts_tupleDescriptor, slot->tts_values, slot->tts_isnull);
	MemoryContextSwitchTo(caller);
	ExecStoreHeapTuple(tuple, kept, true);
	kept->tts_tableOid = slot->tts_tableOid;
}

static RowBuffer *
buffer_of(Writer *writer, ResultRelInfo *rel)
{
	RowBuffer  *buffer = (RowBuffer *) rel->ri_CopyMultiInsertBuffer;
	MemoryContext caller;
	Size		memory = maintenance_work_mem * (Size) 1024;

	if (buffer != NULL)
		return buffer;
	if (writer->state->mt_partition_tuple_routing != NULL)
	{
		const char *reason = ar_bulk_reason_partition(rel->ri_RelationDesc);

		/* all of them were looked at before */
		if (reason != NULL)
			ereport(ERROR,
					errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
					errmsg("partition \"%s\" was changed by another session",
						   RelationGetRelationName(rel->ri_RelationDesc)),
					errdetail("The rows cannot be stored in bulk any more: %s.", reason),
					errhint("Try again."));
		memory /= PARTITIONS_MOST;
	}
	caller = MemoryContextSwitchTo(writer->estate->es_query_cxt);
	buffer = palloc0(sizeof(RowBuffer));
	buffer->rel = rel;
	buffer->desc = CreateTupleDescCopyConstr(RelationGetDescr(rel->ri_RelationDesc));
	buffer->insert_state = GetBulkInsertState();
	if (rel->ri_RelationDesc->rd_rel->relhasindex && rel->ri_IndexRelationDescs == NULL)
		ExecOpenIndices(rel, false);
	if (rel->ri_NumIndices > 0)
		buffer->indexes = ar_bulk_index_begin(rel, writer->estate, memory,
											  &writer->insert->failed_entry);
	rel->ri_CopyMultiInsertBuffer = (struct CopyMultiInsertBuffer *) buffer;
	writer->buffers = lappend(writer->buffers, buffer);
	MemoryContextSwitchTo(caller);
	return buffer;
}

static void
store_all(Writer *writer)
{
	ListCell   *cell;

	foreach(cell, writer->buffers)
		store(writer, lfirst(cell));
	writer->waiting_rows = 0;
	writer->waiting_bytes = 0;
}

static void
store(Writer *writer, RowBuffer *buffer)
{
	MemoryContext caller;

	if (buffer->count == 0)
		return;
	/* it leaves some memory behind */
	ResetPerTupleExprContext(writer->estate);
	caller = MemoryContextSwitchTo(GetPerTupleMemoryContext(writer->estate));
	table_multi_insert(buffer->rel->ri_RelationDesc, buffer->slots, buffer->count,
					   writer->command, 0, buffer->insert_state);
	MemoryContextSwitchTo(caller);
	writer->estate->es_processed += buffer->count;
	insert_entries(writer, buffer);
	for (int i = 0; i < buffer->count; i++)
		ExecClearTuple(buffer->slots[i]);
	buffer->count = 0;
}

/*
 * Index entries of the rows that were stored, and their triggers' events.
 * Constraints that can be deferred are the business of the index entries.
 */
static void
insert_entries(Writer *writer, RowBuffer *buffer)
{
	ResultRelInfo *rel = buffer->rel;

	if (buffer->indexes != NULL)
		ar_bulk_index_collect(buffer->indexes, buffer->slots, buffer->count, buffer->row_numbers);
	if (rel->ri_TrigDesc == NULL || !rel->ri_TrigDesc->trig_insert_after_row)
		return;
	for (int i = 0; i < buffer->count; i++)
		ExecARInsertTriggers(writer->estate, rel, buffer->slots[i], NIL, NULL);
}

static void
close_all(Writer *writer)
{
	ListCell   *cell;

	foreach(cell, writer->buffers)
	{
		RowBuffer  *buffer = lfirst(cell);

		Assert(buffer->count == 0);
		if (buffer->indexes != NULL)
		{
			ar_bulk_index_flush(buffer->indexes);
			ar_bulk_index_end(buffer->indexes);
		}
		FreeBulkInsertState(buffer->insert_state);
		table_finish_bulk_insert(buffer->rel->ri_RelationDesc, 0);
		for (int i = 0; i < WAITING_ROWS_MOST && buffer->slots[i] != NULL; i++)
			ExecDropSingleTupleTableSlot(buffer->slots[i]);
		FreeTupleDesc(buffer->desc);
		buffer->rel->ri_CopyMultiInsertBuffer = NULL;
		pfree(buffer);
	}
	list_free(writer->buffers);
	writer->buffers = NIL;
}
