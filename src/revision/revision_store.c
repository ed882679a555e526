/*
 * revision_store.c: read and write algo_ref.script, and read what is applied.
 *
 * A NULL snapshot means what is committed now, with what the transaction
 * itself has done.  Results are in the current memory context.  Writers hold
 * ShareRowExclusiveLock on algo_ref.script to the end of their transaction:
 * there is one at a time, so that scripts become visible in load order, and
 * what a writer reads after it has got the lock stays true.
 *
 * algo_ref.head_summary is believed while its load order is that of the last
 * script.  That notices a new script; who changes an old one deletes the
 * summary (ar_revision_head_summary_delete).  Who writes it takes
 * ar_revision_head_summary_lock() before the snapshot that the graph is read
 * with, so that no such change can come between.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "common/state_table.h"
#include "revision/revision.h"
#include "storage/lmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"

enum HeadSummaryColumn
{
	Anum_head_summary_load_order = 1,
	Anum_head_summary_heads,
	Anum_head_summary_real_heads,
	Natts_head_summary = Anum_head_summary_real_heads
};

static StoredScript *read_script(HeapTuple tuple, TupleDesc desc);
static void script_values(const StoredScript *script, Datum *values, bool *nulls);
static VersionRow *read_version_row(HeapTuple tuple, TupleDesc desc);
static int	compare_version_rows(const ListCell *a, const ListCell *b);
static bool fetch_head_summary(StateTable *table, Snapshot snapshot, HeadSummary *summary,
							   ItemPointer tid);

/*
 * The script of a revision, by its full id; NULL if there is none.
 */
StoredScript *
ar_revision_fetch(const char *revision, Snapshot snapshot)
{
	StateTable *scripts = ar_state_table_open("script", AccessShareLock);
	StoredScript *script = ar_revision_store_fetch(scripts, revision, snapshot);

	ar_state_table_close(scripts);
	return script;
}

/*
 * The same, for callers that have the table open.
 */
StoredScript *
ar_revision_store_fetch(StateTable *scripts, const char *revision, Snapshot snapshot)
{
	ScanKeyData key;
	StateScan  *scan;
	HeapTuple	tuple;
	StoredScript *script = NULL;

	ar_state_key_text(&key, Anum_script_revision, revision);
	scan = ar_state_scan_begin(scripts, "script_pkey", snapshot, 1, &key);
	tuple = ar_state_scan_next(scan);
	if (tuple)
		script = read_script(tuple, RelationGetDescr(ar_state_table_relation(scripts)));
	ar_state_scan_end(scan);
	return script;
}

/*
 * Add a script.  A load order of 0 is replaced by the next one.
 */
void
ar_revision_store_insert(StateTable *scripts, StoredScript *script)
{
	Datum		values[Natts_script];
	bool		nulls[Natts_script];

	if (script->load_order == 0)
		script->load_order = ar_state_table_nextval("script_load_order_seq");
	script_values(script, values, nulls);
	ar_state_table_insert(scripts, values, nulls);
}

/*
 * Replace the row from which "script" was fetched.
 */
void
ar_revision_store_update(StateTable *scripts, const StoredScript *script)
{
	Datum		values[Natts_script];
	bool		nulls[Natts_script];
	ItemPointerData tid = script->tid;

	script_values(script, values, nulls);
	ar_state_table_update(scripts, &tid, values, nulls);
}

/*
 * Delete the row from which "script" was fetched.
 */
void
ar_revision_store_delete(StateTable *scripts, const StoredScript *script)
{
	ItemPointerData tid = script->tid;

	ar_state_table_delete(scripts, &tid);
}

/*
 * The id of the revision that owns a branch label; NULL if none does.
 */
char *
ar_revision_store_label_owner(StateTable *scripts, const char *label)
{
	StateScan  *scan = ar_state_scan_begin_member(scripts, "script_branch_labels", NULL,
												  Anum_script_branch_labels, label);
	HeapTuple	tuple = ar_state_scan_next(scan);
	char	   *owner = NULL;

	if (tuple)
		owner = read_script(tuple, RelationGetDescr(ar_state_table_relation(scripts)))->revision;
	ar_state_scan_end(scan);
	return owner;
}

/*
 * The ids of revisions that revise "revision", at most "limit" of them.
 */
List *
ar_revision_store_children(StateTable *scripts, const char *revision, int limit)
{
	StateScan  *scan = ar_state_scan_begin_member(scripts, "script_revises", NULL,
												  Anum_script_revises, revision);
	TupleDesc	desc = RelationGetDescr(ar_state_table_relation(scripts));
	List	   *children = NIL;
	HeapTuple	tuple;

	while (list_length(children) < limit && (tuple = ar_state_scan_next(scan)) != NULL)
	{
		bool		isnull;
		Datum		id = heap_getattr(tuple, Anum_script_revision, desc, &isnull);

		children = lappend(children, TextDatumGetCString(id));
	}
	ar_state_scan_end(scan);
	return children;
}

/*
 * The load order of the last script; 0 if there is none.
 */
int64
ar_revision_last_load_order(Snapshot snapshot)
{
	StateTable *scripts = ar_state_table_open("script", AccessShareLock);
	Relation	rel = ar_state_table_relation(scripts);
	Relation	index = index_open(ar_state_table_oid("script_load_order_key"),
								   AccessShareLock);
	SysScanDesc scan;
	HeapTuple	tuple;
	int64		load_order = 0;

	snapshot = RegisterSnapshot(snapshot ? snapshot : GetLatestSnapshot());
	scan = systable_beginscan_ordered(rel, index, snapshot, 0, NULL);
	tuple = systable_getnext_ordered(scan, BackwardScanDirection);
	if (tuple)
	{
		bool		isnull;

		load_order = DatumGetInt64(heap_getattr(tuple, Anum_script_load_order,
												RelationGetDescr(rel), &isnull));
	}
	systable_endscan_ordered(scan);
	UnregisterSnapshot(snapshot);
	index_close(index, NoLock);
	ar_state_table_close(scripts);
	return load_order;
}

/*
 * The version rows (of VersionRow *) of a target schema, or, for NULL, of all
 * of them, by schema and then in their stable order.
 */
List *
ar_revision_version_rows(const char *schema, Snapshot snapshot)
{
	StateTable *versions = ar_state_table_open("version", AccessShareLock);
	TupleDesc	desc = RelationGetDescr(ar_state_table_relation(versions));
	ScanKeyData key;
	StateScan  *scan;
	HeapTuple	tuple;
	List	   *rows = NIL;

	if (schema)
	{
		ar_state_key_name(&key, Anum_version_schema, schema);
		scan = ar_state_scan_begin(versions, "version_pkey", snapshot, 1, &key);
	}
	else
		scan = ar_state_scan_begin(versions, NULL, snapshot, 0, NULL);
	while ((tuple = ar_state_scan_next(scan)) != NULL)
		rows = lappend(rows, read_version_row(tuple, desc));
	ar_state_scan_end(scan);
	ar_state_table_close(versions);
	list_sort(rows, compare_version_rows);
	return rows;
}

/*
 * The ids in the version rows of a target schema, in their stable order.
 */
List *
ar_revision_row_ids(const char *schema, Snapshot snapshot)
{
	List	   *ids = NIL;
	ListCell   *cell;

	foreach(cell, ar_revision_version_rows(schema, snapshot))
		ids = lappend(ids, ((VersionRow *) lfirst(cell))->revision);
	return ids;
}

/*
 * The target schemas (of char *, in order of name) in which a revision is
 * applied: those with a version row that stands on it.  The graph may be
 * incomplete.
 */
List *
ar_revision_applied_schemas(const char *revision, Snapshot snapshot)
{
	List	   *rows = ar_revision_version_rows(NULL, snapshot);
	List	   *schemas = NIL;
	RevisionMap *map;
	RevisionIndex r;
	bool	   *above;
	ListCell   *cell;

	if (rows == NIL)
		return NIL;
	map = ar_revision_map_load_partial(snapshot);
	r = ar_revision_map_find(map, revision);
	above = r == AR_BASE ? NULL : ar_revision_dependents_of(map, &r, 1);
	foreach(cell, rows)
	{
		VersionRow *row = lfirst(cell);
		RevisionIndex head = ar_revision_map_find(map, row->revision);
		bool		applied = above && head != AR_BASE && above[head];

		/* rows of a schema come together */
		if ((applied || strcmp(row->revision, revision) == 0) &&
			(schemas == NIL || strcmp(llast(schemas), row->schema) != 0))
			schemas = lappend(schemas, row->schema);
	}
	ar_revision_map_free(map);
	return schemas;
}

/*
 * The summary of the graph's heads, if there is one and it is up to date;
 * otherwise NULL.
 */
HeadSummary *
ar_revision_head_summary_read(Snapshot snapshot)
{
	StateTable *table = ar_state_table_open("head_summary", AccessShareLock);
	HeadSummary *summary = palloc(sizeof(HeadSummary));
	ItemPointerData tid;
	bool		found;

	/* both reads have to agree with each other */
	snapshot = RegisterSnapshot(snapshot ? snapshot : GetLatestSnapshot());
	found = fetch_head_summary(table, snapshot, summary, &tid) &&
		summary->load_order == ar_revision_last_load_order(snapshot);
	UnregisterSnapshot(snapshot);
	ar_state_table_close(table);
	return found ? summary : NULL;
}

/*
 * Become the one who may write the summary, to the end of the transaction.
 * False, without waiting, if somebody else is, or is changing the graph, or
 * if nothing can be written now.  After true: read the graph with a new
 * snapshot, then write at once.
 */
bool
ar_revision_head_summary_lock(void)
{
	return !XactReadOnly &&
		ConditionalLockRelationOid(ar_state_table_oid("head_summary"),
								   ShareRowExclusiveLock);
}

/*
 * Write the summary; ar_revision_head_summary_lock() said true before the
 * graph was read.
 */
void
ar_revision_head_summary_write(const HeadSummary *summary)
{
	StateTable *table = ar_state_table_open("head_summary", ShareRowExclusiveLock);
	Datum		values[Natts_head_summary];
	bool		nulls[Natts_head_summary] = {false};
	HeadSummary old;
	ItemPointerData tid;

	values[Anum_head_summary_load_order - 1] = Int64GetDatum(summary->load_order);
	values[Anum_head_summary_heads - 1] = ar_revision_text_array(summary->heads);
	values[Anum_head_summary_real_heads - 1] = ar_revision_text_array(summary->real_heads);
	if (fetch_head_summary(table, NULL, &old, &tid))
		ar_state_table_update(table, &tid, values, nulls);
	else
		ar_state_table_insert(table, values, nulls);
	ar_state_table_close(table);
}

/*
 * Delete the summary, because a script that it may know of changes.  Waits
 * for a transaction that has written it.
 */
void
ar_revision_head_summary_delete(void)
{
	StateTable *table = ar_state_table_open("head_summary", ShareRowExclusiveLock);
	HeadSummary old;
	ItemPointerData tid;

	if (fetch_head_summary(table, NULL, &old, &tid))
		ar_state_table_delete(table, &tid);
	ar_state_table_close(table);
}

/*
 * The elements of a text[] without NULLs as a list of char *.
 */
List *
ar_revision_text_list(Datum array)
{
	Datum	   *elements;
	int			count;
	List	   *texts = NIL;

	deconstruct_array(DatumGetArrayTypeP(array), TEXTOID, -1, false, TYPALIGN_INT,
					  &elements, NULL, &count);
	for (int i = 0; i < count; i++)
		texts = lappend(texts, TextDatumGetCString(elements[i]));
	return texts;
}

/*
 * A list of char * as a text[].
 */
Datum
ar_revision_text_array(List *texts)
{
	Datum	   *elements = palloc_array(Datum, Max(list_length(texts), 1));
	int			count = 0;
	ListCell   *cell;

	foreach(cell, texts)
		elements[count++] = CStringGetTextDatum(lfirst(cell));
	return PointerGetDatum(construct_array(elements, count, TEXTOID, -1, false, TYPALIGN_INT));
}

static StoredScript *
read_script(HeapTuple tuple, TupleDesc desc)
{
	StoredScript *script = palloc0(sizeof(StoredScript));
	Datum		value[Natts_script];
	bool		isnull[Natts_script];

	heap_deform_tuple(tuple, desc, value, isnull);
	script->tid = tuple->t_self;
	script->revision = TextDatumGetCString(value[Anum_script_revision - 1]);
	script->load_order = DatumGetInt64(value[Anum_script_load_order - 1]);
	script->revises = ar_revision_text_list(value[Anum_script_revises - 1]);
	script->branch_labels = ar_revision_text_list(value[Anum_script_branch_labels - 1]);
	script->depends_on = ar_revision_text_list(value[Anum_script_depends_on - 1]);
	script->transactional = DatumGetBool(value[Anum_script_transactional - 1]);
	script->author = pstrdup(NameStr(*DatumGetName(value[Anum_script_author - 1])));
	script->created_at = DatumGetTimestampTz(value[Anum_script_created_at - 1]);
	script->checksum = DatumGetByteaPCopy(value[Anum_script_checksum - 1]);
	script->message = TextDatumGetCString(value[Anum_script_message - 1]);
	script->upgrade = TextDatumGetCString(value[Anum_script_upgrade - 1]);
	if (!isnull[Anum_script_downgrade - 1])
		script->downgrade = TextDatumGetCString(value[Anum_script_downgrade - 1]);
	return script;
}

static void
script_values(const StoredScript *script, Datum *values, bool *nulls)
{
	Name		author = palloc0(sizeof(NameData));

	namestrcpy(author, script->author);
	memset(nulls, 0, Natts_script * sizeof(bool));
	values[Anum_script_revision - 1] = CStringGetTextDatum(script->revision);
	values[Anum_script_load_order - 1] = Int64GetDatum(script->load_order);
	values[Anum_script_revises - 1] = ar_revision_text_array(script->revises);
	values[Anum_script_branch_labels - 1] = ar_revision_text_array(script->branch_labels);
	values[Anum_script_depends_on - 1] = ar_revision_text_array(script->depends_on);
	values[Anum_script_transactional - 1] = BoolGetDatum(script->transactional);
	values[Anum_script_author - 1] = NameGetDatum(author);
	values[Anum_script_created_at - 1] = TimestampTzGetDatum(script->created_at);
	values[Anum_script_checksum - 1] = PointerGetDatum(script->checksum);
	values[Anum_script_message - 1] = CStringGetTextDatum(script->message);
	values[Anum_script_upgrade - 1] = CStringGetTextDatum(script->upgrade);
	nulls[Anum_script_downgrade - 1] = script->downgrade == NULL;
	values[Anum_script_downgrade - 1] = script->downgrade ?
		CStringGetTextDatum(script->downgrade) : (Datum) 0;
}

static VersionRow *
read_version_row(HeapTuple tuple, TupleDesc desc)
{
	VersionRow *row = palloc(sizeof(VersionRow));
	Datum		value[Natts_version];
	bool		isnull[Natts_version];

	heap_deform_tuple(tuple, desc, value, isnull);
	row->tid = tuple->t_self;
	row->schema = pstrdup(NameStr(*DatumGetName(value[Anum_version_schema - 1])));
	row->revision = TextDatumGetCString(value[Anum_version_revision - 1]);
	row->position = DatumGetInt32(value[Anum_version_position - 1]);
	row->since = DatumGetTimestampTz(value[Anum_version_since - 1]);
	return row;
}

static int
compare_version_rows(const ListCell *a, const ListCell *b)
{
	const VersionRow *left = lfirst(a);
	const VersionRow *right = lfirst(b);
	int			result = strcmp(left->schema, right->schema);

	if (result == 0 && left->position != right->position)
		result = left->position < right->position ? -1 : 1;
	return result ? result : strcmp(left->revision, right->revision);
}

/*
 * Read the one row of algo_ref.head_summary, if it is there.
 */
static bool
fetch_head_summary(StateTable *table, Snapshot snapshot, HeadSummary *summary,
				   ItemPointer tid)
{
	StateScan  *scan = ar_state_scan_begin(table, NULL, snapshot, 0, NULL);
	HeapTuple	tuple = ar_state_scan_next(scan);

	if (tuple)
	{
		Datum		value[Natts_head_summary];
		bool		isnull[Natts_head_summary];

		heap_deform_tuple(tuple, RelationGetDescr(ar_state_table_relation(table)),
						  value, isnull);
		*tid = tuple->t_self;
		summary->load_order = DatumGetInt64(value[Anum_head_summary_load_order - 1]);
		summary->heads = ar_revision_text_list(value[Anum_head_summary_heads - 1]);
		summary->real_heads = ar_revision_text_list(value[Anum_head_summary_real_heads - 1]);
	}
	ar_state_scan_end(scan);
	return tuple != NULL;
}
