/*
 * bulk_sequence.c: values of sequences, many at a time.
 *
 * nextval() opens the sequence, locks its page and returns one value, which for
 * a short row is a third of all work.  Where a column of the target gets nothing
 * but the values of a sequence, the plan is relieved of them, and the writer
 * puts them into the rows from blocks.
 *
 * What is left behind is what INSERT leaves behind: the first value is from
 * nextval() itself, with all its checks and errors, and at the end, what is left
 * of the last block is given back and currval() is the value of the last row.
 * If another session takes values meanwhile, there is a gap, as sequences have
 * them, and currval() may be that of an earlier row.  After an error there is a
 * gap, too.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/relation.h"
#include "access/xact.h"
#include "access/xloginsert.h"
#include "bulk/bulk.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_sequence.h"
#include "catalog/pg_type.h"
#include "commands/sequence.h"
#include "common/compat.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "storage/bufmgr.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

/* How many values a block has: at first, and at most. */
#define BLOCK_LEAST 8
#define BLOCK_MOST 1024

typedef struct BulkSequence
{
	Oid			id;
	AttrNumber	column;
	Oid			type;			/* of the column's values */
	int64		increment;
	int64		least;
	int64		most;
	bool		has_begun;		/* nextval() was called, and has locked it */
	int64		told;			/* the value that currval() has */
	int64		last;			/* the value of the last row */
	int			block;			/* how many values the block has */
	int			left;			/* of them */
	int64		end;			/* the last value of the block */
} BulkSequence;

struct BulkSequences
{
	int			count;
	BulkSequence sequence[FLEXIBLE_ARRAY_MEMBER];
};

/* A sequence's page while it is locked. */
typedef struct SequencePage
{
	Relation	rel;
	Buffer		buffer;
	HeapTupleData tuple;
	Form_pg_sequence_data data;
} SequencePage;

static bool take_over(BulkSequence *sequence, TargetEntry *entry);
static bool find_user(Node *node, int *count);
static int64 next_value(BulkSequence *sequence);
static void take_block(BulkSequence *sequence);
static void give_back(BulkSequence *sequence);
static void tell_session(BulkSequence *sequence);
static void lock_page(Oid id, SequencePage *page);
static void unlock_page(SequencePage *page);
static void set_last_value(SequencePage *page, int64 value);

/*
 * How many expressions of a query use sequences?  It must not have been planned.
 */
int
ar_bulk_sequences_users(Query *query)
{
	int			count = 0;

	find_user((Node *) query, &count);
	return count;
}

/*
 * Relieve the plan of an INSERT, which the fast path is to run, of sequences.
 * NULL: there are none, or not for us: somebody else in the statement could see
 * where they are.
 */
BulkSequences *
ar_bulk_sequences_begin(PlannedStmt *plan, int users)
{
	ModifyTable *modify = (ModifyTable *) plan->planTree;
	BulkSequences *sequences;
	List	   *entries = NIL;
	ListCell   *cell;

	if (!IsA(modify, ModifyTable) || modify->operation != CMD_INSERT ||
		modify->onConflictAction != ONCONFLICT_NONE || modify->returningLists != NIL ||
		modify->withCheckOptionLists != NIL || list_length(modify->resultRelations) != 1)
		return NULL;
	sequences = palloc0(offsetof(BulkSequences, sequence) +
						list_length(outerPlan(modify)->targetlist) * sizeof(BulkSequence));
	foreach(cell, outerPlan(modify)->targetlist)
	{
		TargetEntry *entry = lfirst_node(TargetEntry, cell);

		if (entry->resjunk)
			return NULL;
		if (!take_over(&sequences->sequence[sequences->count], entry))
			continue;
		for (int i = 0; i < sequences->count; i++)
		{
			if (sequences->sequence[i].id == sequences->sequence[sequences->count].id)
				return NULL;
		}
		sequences->count++;
		entries = lappend(entries, entry);
	}
	if (sequences->count == 0 || users != sequences->count)
		return NULL;
	foreach(cell, entries)
	{
		TargetEntry *entry = lfirst(cell);

		entry->expr = (Expr *) makeNullConst(exprType((Node *) entry->expr), -1, InvalidOid);
	}
	return sequences;
}

/*
 * Is a column the value of a sequence that can be taken in blocks?  One with a
 * cache of its own would go on with what the session has of it.
 */
static bool
take_over(BulkSequence *sequence, TargetEntry *entry)
{
	Node	   *node = (Node *) entry->expr;
	HeapTuple	tuple;
	Form_pg_sequence form;
	bool		is_usable;
	bool		is_called = false;

	memset(sequence, 0, sizeof(BulkSequence));
	sequence->column = entry->resno;
	sequence->type = exprType(node);
	if (IsA(node, NextValueExpr))
		sequence->id = castNode(NextValueExpr, node)->seqid;
	else
	{
		if (IsA(node, FuncExpr) && (castNode(FuncExpr, node)->funcid == F_INT4_INT8 ||
									castNode(FuncExpr, node)->funcid == F_INT2_INT8))
			node = linitial(castNode(FuncExpr, node)->args);
		if (!IsA(node, FuncExpr) || castNode(FuncExpr, node)->funcid != F_NEXTVAL)
			return false;
		node = linitial(castNode(FuncExpr, node)->args);
		if (!IsA(node, Const) || castNode(Const, node)->constisnull)
			return false;
		sequence->id = DatumGetObjectId(castNode(Const, node)->constvalue);
		is_called = true;
	}
	if (get_rel_relkind(sequence->id) != RELKIND_SEQUENCE ||
		(is_called && pg_class_aclcheck(sequence->id, GetUserId(), ACL_USAGE | ACL_UPDATE) != ACLCHECK_OK))
		return false;
	tuple = SearchSysCache1(SEQRELID, ObjectIdGetDatum(sequence->id));
	if (!HeapTupleIsValid(tuple))
		return false;
	form = (Form_pg_sequence) GETSTRUCT(tuple);
	sequence->increment = form->seqincrement;
	sequence->least = form->seqmin;
	sequence->most = form->seqmax;
	is_usable = form->seqcache == 1 &&
		(sequence->type == INT8OID ||
		 (sequence->type == INT4OID && form->seqmin >= PG_INT32_MIN && form->seqmax <= PG_INT32_MAX) ||
		 (sequence->type == INT2OID && form->seqmin >= PG_INT16_MIN && form->seqmax <= PG_INT16_MAX));
	ReleaseSysCache(tuple);
	return is_usable;
}

static bool
find_user(Node *node, int *count)
{
	if (node == NULL)
		return false;
	if (IsA(node, NextValueExpr))
		(*count)++;
	if (IsA(node, FuncExpr))
	{
		switch (castNode(FuncExpr, node)->funcid)
		{
			case F_NEXTVAL:
			case F_CURRVAL:
			case F_LASTVAL:
			case F_SETVAL_REGCLASS_INT8:
			case F_SETVAL_REGCLASS_INT8_BOOL:
				(*count)++;
		}
	}
	if (IsA(node, Query))
		return query_tree_walker((Query *) node, find_user, count, 0);
	return expression_tree_walker(node, find_user, count);
}

/*
 * Put the next values into a row, which is the plan's own.
 */
void
ar_bulk_sequences_fill(BulkSequences *sequences, TupleTableSlot *slot)
{
	if (!TTS_IS_VIRTUAL(slot))
		elog(ERROR, "the plan's row is not made of values");
	for (int i = 0; i < sequences->count; i++)
	{
		BulkSequence *sequence = &sequences->sequence[i];
		Datum	   *value = &slot->tts_values[sequence->column - 1];

		sequence->last = next_value(sequence);
		if (sequence->type == INT8OID)
			*value = Int64GetDatum(sequence->last);
		else if (sequence->type == INT4OID)
			*value = Int32GetDatum((int32) sequence->last);
		else
			*value = Int16GetDatum((int16) sequence->last);
		slot->tts_isnull[sequence->column - 1] = false;
	}
}

static int64
next_value(BulkSequence *sequence)
{
	if (sequence->has_begun && sequence->left == 0)
		take_block(sequence);
	if (sequence->left > 0)
	{
		sequence->left--;
		return sequence->end - sequence->left * sequence->increment;
	}
	/* the first one, or there is none left: it says so, or begins again */
	sequence->has_begun = true;
	sequence->told = nextval_internal(sequence->id, false);
	return sequence->told;
}

static void
take_block(BulkSequence *sequence)
{
	SequencePage page;
	int64		last;
	uint64		room;

	lock_page(sequence->id, &page);
	last = page.data->last_value;
	if (sequence->increment > 0)
		room = last >= sequence->most ? 0 : ((uint64) sequence->most - (uint64) last) / (uint64) sequence->increment;
	else
		room = last <= sequence->least ? 0 : ((uint64) last - (uint64) sequence->least) / (0 - (uint64) sequence->increment);
	if (page.data->is_called && room > 0)
	{
		/* an error is not to leave a gap that is much more than the rows */
		sequence->block = Min(Max(2 * sequence->block, BLOCK_LEAST), BLOCK_MOST);
		sequence->left = Min(room, sequence->block);
		sequence->end = last + sequence->left * sequence->increment;
		set_last_value(&page, sequence->end);
	}
	unlock_page(&page);
}

/*
 * The rows are all there.
 */
void
ar_bulk_sequences_end(BulkSequences *sequences)
{
	for (int i = 0; i < sequences->count; i++)
	{
		BulkSequence *sequence = &sequences->sequence[i];

		if (sequence->left > 0)
			give_back(sequence);
		if (sequence->has_begun && sequence->last != sequence->told)
			tell_session(sequence);
	}
}

/*
 * As long as nobody has taken values behind them.
 */
static void
give_back(BulkSequence *sequence)
{
	SequencePage page;

	lock_page(sequence->id, &page);
	if (page.data->is_called && page.data->last_value == sequence->end)
		set_last_value(&page, sequence->last);
	unlock_page(&page);
	sequence->left = 0;
}

/*
 * Only setval() tells a session its value, and it moves the sequence: nobody
 * else may be using it.
 */
static void
tell_session(BulkSequence *sequence)
{
	SequencePage page;
	bool		is_ours;
	Oid			user;
	int			context;

	if (!ConditionalLockRelationOid(sequence->id, ShareRowExclusiveLock))
		return;
	lock_page(sequence->id, &page);
	is_ours = page.data->is_called && page.data->last_value == sequence->last;
	unlock_page(&page);
	if (is_ours)
	{
		/* who inserts into an identity column needs no right on its sequence */
		GetUserIdAndSecContext(&user, &context);
		SetUserIdAndSecContext(BOOTSTRAP_SUPERUSERID, context | SECURITY_LOCAL_USERID_CHANGE);
		(void) DirectFunctionCall2(setval_oid, ObjectIdGetDatum(sequence->id), Int64GetDatum(sequence->last));
		SetUserIdAndSecContext(user, context);
	}
	UnlockRelationOid(sequence->id, ShareRowExclusiveLock);
}

static void
lock_page(Oid id, SequencePage *page)
{
	ItemId		item;

	/* nextval() holds a lock on it until the end of the transaction */
	page->rel = relation_open(id, NoLock);
	page->buffer = ReadBuffer(page->rel, 0);
	LockBuffer(page->buffer, BUFFER_LOCK_EXCLUSIVE);
	item = PageGetItemId(BufferGetPage(page->buffer), FirstOffsetNumber);
	page->tuple.t_data = (HeapTupleHeader) PageGetItem(BufferGetPage(page->buffer), item);
	page->tuple.t_len = ItemIdGetLength(item);
	page->data = (Form_pg_sequence_data) GETSTRUCT(&page->tuple);
}

static void
unlock_page(SequencePage *page)
{
	UnlockReleaseBuffer(page->buffer);
	relation_close(page->rel, NoLock);
}

/*
 * Change the page, with the record that nextval() writes.
 */
static void
set_last_value(SequencePage *page, int64 value)
{
	xl_seq_rec	record;
	XLogRecPtr	lsn;

	/* so that the record is on disk when the transaction commits */
	if (RelationNeedsWAL(page->rel))
		GetTopTransactionId();
	START_CRIT_SECTION();
	page->data->last_value = value;
	page->data->is_called = true;
	page->data->log_cnt = 0;
	MarkBufferDirty(page->buffer);
	if (RelationNeedsWAL(page->rel))
	{
		ar_set_sequence_record(&record, page->rel);
		XLogBeginInsert();
		XLogRegisterBuffer(0, page->buffer, REGBUF_WILL_INIT);
		XLogRegisterData((char *) &record, sizeof(xl_seq_rec));
		XLogRegisterData((char *) page->tuple.t_data, page->tuple.t_len);
		lsn = XLogInsert(RM_SEQ_ID, XLOG_SEQ_LOG);
		PageSetLSN(BufferGetPage(page->buffer), lsn);
	}
	END_CRIT_SECTION();
}
