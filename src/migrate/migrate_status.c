/*
 * migrate_status.c: where every schema stands.
 *
 * Thousands of schemas usually stand at a few places, so how far behind a
 * place is, is computed once.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "catalog/namespace.h"
#include "common/hashfn.h"
#include "common/state_table.h"
#include "fmgr.h"
#include "funcapi.h"
#include "migrate/migrate.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/hsearch.h"
#include "utils/snapmgr.h"
#include "utils/tuplestore.h"

/* How far behind the heads some rows are. */
typedef struct Distance
{
	uint32		key;			/* hash of the ids */
	List	   *ids;
	int32		behind;			/* -1: a row names an unknown revision */
	struct Distance *next;		/* of the same hash */
} Distance;

/* What is shown of a schema. */
typedef struct SchemaStatus
{
	char	   *schema;
	List	   *ids;			/* of its version rows */
	HeapTuple	last;			/* its last row in algo_ref.log; NULL: none */
} SchemaStatus;

static List *read_last_steps(StateTable *log, Snapshot snapshot);
static List *add_rows(List *from_log, Snapshot snapshot);
static List *add_jobs(List *schemas, List *jobs);
static List *schema_ids(List *rows, ListCell **cell);
static int32 count_behind(HTAB *known, const RevisionMap *map, List *ids);
static int32 compute_behind(const RevisionMap *map, List *ids);
static uint32 hash_ids(List *ids);
static bool same_ids(List *a, List *b);
static void put_schema(ReturnSetInfo *result, const SchemaStatus *status, int32 behind, TupleDesc log_desc);

PG_FUNCTION_INFO_V1(algo_ref_schema_status);

/*
 * algo_ref.schema_status()
 */
Datum
algo_ref_schema_status(PG_FUNCTION_ARGS)
{
	HASHCTL		control = {.keysize = sizeof(uint32),.entrysize = sizeof(Distance),
	.hcxt = CurrentMemoryContext};
	Snapshot	snapshot = GetActiveSnapshot();
	RevisionMap *map;
	StateTable *log;
	HTAB	   *known;
	ListCell   *cell;

	InitMaterializedSRF(fcinfo, 0);
	ar_state_table_check_select("script");
	ar_state_table_check_select("version");
	ar_state_table_check_select("log");
	ar_state_table_check_select("job");
	map = ar_revision_map_load(snapshot);
	log = ar_state_table_open("log", AccessShareLock);
	known = hash_create("algo_ref distances", 64, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	foreach(cell, add_jobs(add_rows(read_last_steps(log, snapshot), snapshot),
						   ar_migrate_job_schemas(snapshot)))
	{
		SchemaStatus *status = lfirst(cell);

		CHECK_FOR_INTERRUPTS();
		/* what nothing is applied to, and is no schema any more, is history */
		if (status->ids != NIL || OidIsValid(get_namespace_oid(status->schema, true)))
			put_schema((ReturnSetInfo *) fcinfo->resultinfo, status,
					   count_behind(known, map, status->ids),
					   RelationGetDescr(ar_state_table_relation(log)));
	}
	hash_destroy(known);
	ar_state_table_close(log);
	ar_revision_map_free(map);
	return (Datum) 0;
}

/*
 * The last row of algo_ref.log for each schema that it knows, a list of
 * SchemaStatus * by name: from the end of the index downwards, from schema to
 * schema.
 */
static List *
read_last_steps(StateTable *log, Snapshot snapshot)
{
	Relation	rel = ar_state_table_relation(log);
	Relation	index = index_open(ar_state_table_oid("log_schema"), AccessShareLock);
	List	   *steps = NIL;
	NameData	schema;
	ScanKeyData key;

	for (int nkeys = 0;; nkeys = 1)
	{
		SysScanDesc scan = systable_beginscan_ordered(rel, index, snapshot, nkeys, &key);
		HeapTuple	tuple = systable_getnext_ordered(scan, BackwardScanDirection);
		SchemaStatus *status;
		bool		isnull;

		CHECK_FOR_INTERRUPTS();
		if (tuple == NULL)
		{
			systable_endscan_ordered(scan);
			break;
		}
		status = palloc0(sizeof(SchemaStatus));
		status->last = heap_copytuple(tuple);
		systable_endscan_ordered(scan);
		status->schema = NameStr(*DatumGetName(heap_getattr(status->last, Anum_log_schema,
															RelationGetDescr(rel), &isnull)));
		steps = lcons(status, steps);
		namestrcpy(&schema, status->schema);
		ScanKeyInit(&key, Anum_log_schema, BTLessStrategyNumber, F_NAMELT, NameGetDatum(&schema));
	}
	index_close(index, NoLock);
	return steps;
}

/*
 * Put the version rows to it; both are in the order of names.
 */
static List *
add_rows(List *from_log, Snapshot snapshot)
{
	List	   *rows = ar_revision_version_rows(NULL, snapshot);
	ListCell   *row_cell = list_head(rows);
	ListCell   *log_cell = list_head(from_log);
	List	   *all = NIL;

	while (row_cell || log_cell)
	{
		const VersionRow *row = row_cell ? lfirst(row_cell) : NULL;
		SchemaStatus *status = log_cell ? lfirst(log_cell) : NULL;
		int			order = row == NULL ? 1 : -1;

		if (row && status)
			order = strcmp(row->schema, status->schema);
		if (order < 0)
		{
			status = palloc0(sizeof(SchemaStatus));
			status->schema = row->schema;
		}
		else
			log_cell = lnext(from_log, log_cell);
		if (order <= 0)
			status->ids = schema_ids(rows, &row_cell);
		all = lappend(all, status);
	}
	return all;
}

/*
 * Put the schemas to it whose first deploy has not finished a step; both are
 * in the order of names.
 */
static List *
add_jobs(List *schemas, List *jobs)
{
	int			at = 0;
	ListCell   *cell;

	foreach(cell, jobs)
	{
		int			order = 1;

		while (at < list_length(schemas) &&
			   (order = strcmp(((SchemaStatus *) list_nth(schemas, at))->schema, lfirst(cell))) < 0)
			at++;
		if (at == list_length(schemas) || order > 0)
		{
			SchemaStatus *status = palloc0(sizeof(SchemaStatus));

			status->schema = lfirst(cell);
			schemas = list_insert_nth(schemas, at, status);
		}
	}
	return schemas;
}

/*
 * The ids in the rows of one schema, of which "cell" is the first; it goes on
 * to the next schema.
 */
static List *
schema_ids(List *rows, ListCell **cell)
{
	const VersionRow *first = lfirst(*cell);
	List	   *ids = NIL;

	while (*cell && strcmp(((VersionRow *) lfirst(*cell))->schema, first->schema) == 0)
	{
		ids = lappend(ids, ((VersionRow *) lfirst(*cell))->revision);
		*cell = lnext(rows, *cell);
	}
	return ids;
}

/*
 * How many revisions an upgrade to all heads would apply; -1 if a row names an
 * unknown revision.
 */
static int32
count_behind(HTAB *known, const RevisionMap *map, List *ids)
{
	uint32		key = hash_ids(ids);
	bool		found;
	Distance   *first = hash_search(known, &key, HASH_ENTER, &found);
	Distance   *distance;

	if (found)
	{
		for (distance = first; distance; distance = distance->next)
		{
			if (same_ids(distance->ids, ids))
				return distance->behind;
		}
		distance = palloc0(sizeof(Distance));
		distance->next = first->next;
		first->next = distance;
	}
	else
	{
		distance = first;
		distance->next = NULL;
	}
	distance->ids = ids;
	distance->behind = compute_behind(map, ids);
	return distance->behind;
}

static int32
compute_behind(const RevisionMap *map, List *ids)
{
	RevisionIndex *row = palloc(Max(list_length(ids), 1) * sizeof(RevisionIndex));
	bool	   *applied;
	int32		behind = 0;
	ListCell   *cell;

	foreach(cell, ids)
	{
		RevisionIndex r = ar_revision_map_find(map, lfirst(cell));

		if (r == AR_BASE || strcmp(map->revision[r].id, lfirst(cell)) != 0)
			return -1;
		row[foreach_current_index(cell)] = r;
	}
	applied = ar_revision_closure(map, row, list_length(ids));
	for (RevisionIndex r = 0; r < map->count; r++)
		behind += !applied[r];
	pfree(applied);
	pfree(row);
	return behind;
}

static uint32
hash_ids(List *ids)
{
	uint32		hash = 0;
	ListCell   *cell;

	foreach(cell, ids)
		hash = hash_combine(hash, string_hash(lfirst(cell), strlen(lfirst(cell)) + 1));
	return hash;
}

static bool
same_ids(List *a, List *b)
{
	ListCell   *left;
	ListCell   *right;

	if (list_length(a) != list_length(b))
		return false;
	forboth(left, a, right, b)
	{
		if (strcmp(lfirst(left), lfirst(right)) != 0)
			return false;
	}
	return true;
}

static void
put_schema(ReturnSetInfo *result, const SchemaStatus *status, int32 behind, TupleDesc log_desc)
{
	static const int log_columns[] = {
		Anum_log_run, Anum_log_direction, Anum_log_revision, Anum_log_started, Anum_log_outcome
	};
	Datum		values[9];
	bool		nulls[9] = {false};
	NameData	schema;

	namestrcpy(&schema, status->schema);
	values[0] = NameGetDatum(&schema);
	values[1] = ar_revision_text_array(status->ids);
	values[2] = Int32GetDatum(behind);
	nulls[2] = behind < 0;
	values[3] = BoolGetDatum(behind == 0);
	for (int i = 0; i < lengthof(log_columns); i++)
	{
		if (status->last)
			values[4 + i] = heap_getattr(status->last, log_columns[i], log_desc, &nulls[4 + i]);
		else
			nulls[4 + i] = true;
	}
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}
