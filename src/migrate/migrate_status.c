/*
 * migrate_status.c: where every schema stands.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "common/compat.h"
#include "common/state_table.h"
#include "fmgr.h"
#include "funcapi.h"
#include "migrate/migrate.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/tuplestore.h"

/* How far behind the heads some rows are; many schemas have the same ones. */
typedef struct Distance
{
	const char *rows;			/* the ids, each followed by a comma */
	int32		behind;			/* -1: a row names an unknown revision */
	struct Distance *next;
} Distance;

#define DISTANCE_BUCKETS 1024

static Distance *find_distance(Distance **known, const RevisionMap *map, const bool *wanted, List *ids);
static int32 count_behind(const RevisionMap *map, const bool *wanted, List *ids);
static void put_schema(FunctionCallInfo fcinfo, const char *schema, List *ids, int32 behind);

PG_FUNCTION_INFO_V1(algo_ref_schema_status);

/*
 * algo_ref.schema_status()
 */
Datum
algo_ref_schema_status(PG_FUNCTION_ARGS)
{
	Distance  **known = palloc0(DISTANCE_BUCKETS * sizeof(Distance *));
	RevisionMap *map;
	RevisionIndex *heads;
	int32		head_count = 0;
	bool	   *wanted;
	List	   *rows;
	List	   *ids = NIL;
	ListCell   *cell;

	InitMaterializedSRF(fcinfo, 0);
	ar_state_table_check_select("script");
	ar_state_table_check_select("version");
	map = ar_revision_map_load(GetActiveSnapshot());
	heads = palloc_extended(Max(map->count, 1) * sizeof(RevisionIndex), MCXT_ALLOC_HUGE);
	for (RevisionIndex r = 0; r < map->count; r++)
		if (ar_revision_is_real_head(map, r))
			heads[head_count++] = r;
	wanted = ar_revision_closure(map, heads, head_count);

	/* the rows of a schema come together */
	rows = ar_revision_version_rows(NULL, GetActiveSnapshot());
	foreach(cell, rows)
	{
		VersionRow *row = lfirst(cell);
		VersionRow *next = lnext(rows, cell) ? lfirst(lnext(rows, cell)) : NULL;

		CHECK_FOR_INTERRUPTS();
		ids = lappend(ids, row->revision);
		if (next && strcmp(next->schema, row->schema) == 0)
			continue;
		put_schema(fcinfo, row->schema, ids, find_distance(known, map, wanted, ids)->behind);
		ids = NIL;
	}
	return (Datum) 0;
}

static Distance *
find_distance(Distance **known, const RevisionMap *map, const bool *wanted, List *ids)
{
	StringInfoData key;
	uint32		bucket = 0;
	Distance   *distance;
	ListCell   *cell;

	initStringInfo(&key);
	foreach(cell, ids)
		appendStringInfo(&key, "%s,", (char *) lfirst(cell));
	for (int i = 0; i < key.len; i++)
		bucket = bucket * 31 + (unsigned char) key.data[i];
	bucket %= DISTANCE_BUCKETS;
	for (distance = known[bucket]; distance; distance = distance->next)
		if (strcmp(distance->rows, key.data) == 0)
			return distance;
	distance = palloc(sizeof(Distance));
	distance->rows = key.data;
	distance->behind = count_behind(map, wanted, ids);
	distance->next = known[bucket];
	known[bucket] = distance;
	return distance;
}

/*
 * How many revisions an upgrade to all heads would apply.
 */
static int32
count_behind(const RevisionMap *map, const bool *wanted, List *ids)
{
	RevisionIndex *row = palloc(Max(list_length(ids), 1) * sizeof(RevisionIndex));
	bool	   *applied;
	int32		behind = 0;
	ListCell   *cell;

	foreach(cell, ids)
	{
		RevisionIndex r = ar_revision_map_find(map, lfirst(cell));

		if (r == AR_BASE)
			return -1;
		row[foreach_current_index(cell)] = r;
	}
	applied = ar_revision_closure(map, row, list_length(ids));
	for (RevisionIndex r = 0; r < map->count; r++)
		behind += wanted[r] && !applied[r];
	pfree(applied);
	pfree(row);
	return behind;
}

static void
put_schema(FunctionCallInfo fcinfo, const char *schema, List *ids, int32 behind)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	Datum		values[4];
	bool		nulls[4] = {false};
	NameData	name;

	namestrcpy(&name, schema);
	values[0] = NameGetDatum(&name);
	values[1] = ar_revision_text_array(ids);
	values[2] = Int32GetDatum(behind);
	nulls[2] = behind < 0;
	values[3] = BoolGetDatum(behind == 0);
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}
