/*
 * revision_api.c: what can be asked of the graph, as SQL functions.
 *
 * All of them read under the snapshot of the statement, take no lock that
 * anybody waits for, work on a hot standby, and need SELECT on the tables that
 * they read.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "common/compat.h"
#include "common/cryptohash.h"
#include "common/sha2.h"
#include "common/state_table.h"
#include "common/target_schema.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "revision/revision.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

static bytea *script_checksum(StateTable *scripts, const char *id, Snapshot snapshot);
static RevisionMap *load_map(bool with_versions);
static RevisionDirection direction_argument(FunctionCallInfo fcinfo, int n);
static List *rows_argument(FunctionCallInfo fcinfo, int n);
static void put(FunctionCallInfo fcinfo, Datum *values, bool *nulls);
static void put_head(FunctionCallInfo fcinfo, const RevisionMap *map, RevisionIndex r);
static void put_history(FunctionCallInfo fcinfo, const RevisionMap *map, bool is_current,
						RevisionIndex r);
static void put_script(FunctionCallInfo fcinfo, const StoredScript *script);
static Datum id_array(const RevisionMap *map, const RevisionIndex *revisions, int32 count);
static Datum links_array(const RevisionMap *map, const RevisionLinks *links, RevisionIndex r);
static Datum label_array(const RevisionMap *map, RevisionIndex r);
static TimestampTz row_since(List *rows, const char *id, bool *found);
static List *known_rows(const RevisionMap *map, List *rows);

PG_FUNCTION_INFO_V1(algo_ref_plan);
PG_FUNCTION_INFO_V1(algo_ref_plan_checksum);
PG_FUNCTION_INFO_V1(algo_ref_resolve);
PG_FUNCTION_INFO_V1(algo_ref_heads);
PG_FUNCTION_INFO_V1(algo_ref_bases);
PG_FUNCTION_INFO_V1(algo_ref_branches);
PG_FUNCTION_INFO_V1(algo_ref_history);
PG_FUNCTION_INFO_V1(algo_ref_current);
PG_FUNCTION_INFO_V1(algo_ref_show);
PG_FUNCTION_INFO_V1(algo_ref_graph);

/*
 * algo_ref.plan(target, direction, from_heads)
 */
Datum
algo_ref_plan(PG_FUNCTION_ARGS)
{
	char	   *target = ar_revision_text_argument(fcinfo, 0, "target");
	RevisionDirection direction = direction_argument(fcinfo, 1);
	RevisionMap *map = load_map(PG_ARGISNULL(2));
	RevisionPlan *plan = ar_revision_plan(map, direction, target, rows_argument(fcinfo, 2));
	RevisionHeads *heads = ar_revision_heads_begin(plan);
	MemoryContext row_context = AllocSetContextCreate(CurrentMemoryContext, "algo_ref plan row",
													  ALLOCSET_DEFAULT_SIZES);

	InitMaterializedSRF(fcinfo, 0);
	ereport(DEBUG1,
			errmsg_internal("revision plan: %zu bytes",
							MemoryContextMemAllocated(CurrentMemoryContext, true)));
	for (int32 i = 0; i < plan->count; i++)
	{
		Revision   *revision = &map->revision[plan->step[i]];
		MemoryContext old;
		Datum		values[5];
		bool		nulls[5] = {false};

		CHECK_FOR_INTERRUPTS();
		ar_revision_heads_advance(heads);
		MemoryContextReset(row_context);
		old = MemoryContextSwitchTo(row_context);
		values[0] = Int32GetDatum(i + 1);
		values[1] = CStringGetTextDatum(ar_revision_direction_name(direction));
		values[2] = CStringGetTextDatum(revision->id);
		values[3] = CStringGetTextDatum(revision->message);
		values[4] = id_array(map, heads->row, heads->row_count);
		MemoryContextSwitchTo(old);
		put(fcinfo, values, nulls);
	}
	return (Datum) 0;
}

/*
 * algo_ref.plan_checksum(target, direction, schema)
 */
Datum
algo_ref_plan_checksum(PG_FUNCTION_ARGS)
{
	char	   *target = ar_revision_text_argument(fcinfo, 0, "target");
	RevisionDirection direction = direction_argument(fcinfo, 1);
	char	   *schema = ar_target_schema_argument(fcinfo, 2);
	RevisionMap *map = load_map(true);
	RevisionPlan *plan = ar_revision_plan(map, direction, target,
										  ar_revision_row_ids(schema, GetActiveSnapshot()));

	PG_RETURN_TEXT_P(cstring_to_text(ar_revision_plan_checksum(plan, GetActiveSnapshot())));
}

/*
 * SHA-256 over what a plan does: direction, id and script of each step, as
 * hexadecimal text.  Of the scripts, their own checksums are read.
 */
char *
ar_revision_plan_checksum(const RevisionPlan *plan, Snapshot snapshot)
{
	pg_cryptohash_ctx *hash = pg_cryptohash_create(PG_SHA256);
	uint8		digest[PG_SHA256_DIGEST_LENGTH];
	char text[	PG_SHA256_DIGEST_LENGTH * 2 + 1];
	const char *direction = ar_revision_direction_name(plan->direction);
	StateTable *scripts = ar_state_table_open("script", AccessShareLock);
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "algo_ref plan checksum",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	bool		ok = pg_cryptohash_init(hash) == 0;

	for (int32 i = 0; i < plan->count && ok; i++)
	{
		const char *id = plan->map->revision[plan->step[i]].id;
		bytea	   *checksum = script_checksum(scripts, id, snapshot);

		/* the zero bytes keep the parts apart */
		ok = pg_cryptohash_update(hash, (const uint8 *) direction, strlen(direction) + 1) == 0 &&
			pg_cryptohash_update(hash, (const uint8 *) id, strlen(id) + 1) == 0 &&
			pg_cryptohash_update(hash, (const uint8 *) VARDATA_ANY(checksum),
								 VARSIZE_ANY_EXHDR(checksum)) == 0;
		MemoryContextReset(context);
	}
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
	ar_state_table_close(scripts);
	ok = ok && pg_cryptohash_final(hash, digest, sizeof(digest)) == 0;
	if (!ok)
		elog(ERROR, "could not compute SHA-256: %s", pg_cryptohash_error(hash));
	pg_cryptohash_free(hash);
	hex_encode((char *) digest, sizeof(digest), text);
	text[		sizeof(digest) * 2] = '\0';

	return pstrdup(text);
}

/*
 * The stored checksum of a script of the graph, without its bodies.
 */
static bytea *
script_checksum(StateTable *scripts, const char *id, Snapshot snapshot)
{
	ScanKeyData key;
	StateScan  *scan;
	HeapTuple	tuple;
	bool		isnull;
	bytea	   *checksum;

	ar_state_key_text(&key, Anum_script_revision, id);
	scan = ar_state_scan_begin(scripts, "script_pkey", snapshot, 1, &key);
	tuple = ar_state_scan_next(scan);
	if (tuple == NULL)
		elog(ERROR, "revision \"%s\" is gone", id);
	checksum = DatumGetByteaPCopy(heap_getattr(tuple, Anum_script_checksum,
											   RelationGetDescr(ar_state_table_relation(scripts)),
											   &isnull));
	ar_state_scan_end(scan);
	return checksum;
}

/*
 * algo_ref.resolve(identifier)
 */
Datum
algo_ref_resolve(PG_FUNCTION_ARGS)
{
	char	   *identifier = ar_revision_text_argument(fcinfo, 0, "identifier");
	RevisionMap *map = load_map(false);
	List	   *revisions = ar_revision_resolve(map, identifier);
	ListCell   *cell;

	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	foreach(cell, revisions)
	{
		Datum		value = CStringGetTextDatum(map->revision[lfirst_int(cell)].id);
		bool		null = false;

		put(fcinfo, &value, &null);
	}
	return (Datum) 0;
}

/*
 * algo_ref.heads()
 */
Datum
algo_ref_heads(PG_FUNCTION_ARGS)
{
	RevisionMap *map = load_map(false);

	InitMaterializedSRF(fcinfo, 0);
	for (RevisionIndex r = 0; r < map->count; r++)
		if (ar_revision_is_head(map, r))
			put_head(fcinfo, map, r);
	return (Datum) 0;
}

/*
 * algo_ref.bases()
 */
Datum
algo_ref_bases(PG_FUNCTION_ARGS)
{
	RevisionMap *map = load_map(false);
	int32		count;
	RevisionIndex *bases = ar_revision_bases(map, &count);

	InitMaterializedSRF(fcinfo, 0);
	for (int32 i = 0; i < count; i++)
	{
		RevisionIndex r = bases[i];
		Datum		values[4];
		bool		nulls[4] = {false};

		values[0] = CStringGetTextDatum(map->revision[r].id);
		values[1] = CStringGetTextDatum(map->revision[r].message);
		values[2] = label_array(map, r);
		values[3] = links_array(map, &map->deps, r);
		put(fcinfo, values, nulls);
	}
	return (Datum) 0;
}

/*
 * algo_ref.branches()
 */
Datum
algo_ref_branches(PG_FUNCTION_ARGS)
{
	RevisionMap *map = load_map(false);
	List	   *revisions = ar_revision_history(map, NULL);
	ListCell   *cell;

	InitMaterializedSRF(fcinfo, 0);
	foreach(cell, revisions)
	{
		RevisionIndex r = lfirst_int(cell);
		Datum		values[3];
		bool		nulls[3] = {false};

		if (AR_LINKS_COUNT(map->children, r) < 2)
			continue;
		values[0] = CStringGetTextDatum(map->revision[r].id);
		values[1] = CStringGetTextDatum(map->revision[r].message);
		values[2] = links_array(map, &map->children, r);
		put(fcinfo, values, nulls);
	}
	return (Datum) 0;
}

/*
 * algo_ref.history(range)
 */
Datum
algo_ref_history(PG_FUNCTION_ARGS)
{
	char	   *range = PG_ARGISNULL(0) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(0));
	RevisionMap *map = load_map(false);
	char	   *schema = ar_target_schema_default_or_null();
	List	   *rows = NIL;
	List	   *current;
	bool	   *is_current;
	List	   *revisions;
	ListCell   *cell;

	/* who may not see the state gets the history without it */
	if (range && ar_revision_names_current(range))
		ar_state_table_check_select("version");
	if (schema && ar_state_table_may_select("version"))
		rows = known_rows(map, ar_revision_row_ids(schema, GetActiveSnapshot()));
	current = ar_revision_current(map, rows);
	is_current = ar_revision_empty_set(map);
	if (range)
		range = ar_revision_range_expand(map, range, current);
	revisions = ar_revision_history(map, range);
	InitMaterializedSRF(fcinfo, 0);
	foreach(cell, current)
		is_current[lfirst_int(cell)] = true;
	foreach(cell, revisions)
		put_history(fcinfo, map, is_current[lfirst_int(cell)], lfirst_int(cell));
	return (Datum) 0;
}

/*
 * algo_ref.current(schema)
 */
Datum
algo_ref_current(PG_FUNCTION_ARGS)
{
	char	   *schema = ar_target_schema_argument(fcinfo, 0);
	RevisionMap *map = load_map(true);
	List	   *rows = ar_revision_version_rows(schema, GetActiveSnapshot());
	List	   *current = ar_revision_current(map, ar_revision_row_ids(schema, GetActiveSnapshot()));
	ListCell   *cell;

	InitMaterializedSRF(fcinfo, 0);
	foreach(cell, current)
	{
		RevisionIndex r = lfirst_int(cell);
		Datum		values[4];
		bool		nulls[4] = {false};
		bool		is_row;

		values[0] = CStringGetTextDatum(map->revision[r].id);
		values[1] = CStringGetTextDatum(map->revision[r].message);
		values[2] = BoolGetDatum(ar_revision_is_head(map, r));
		values[3] = TimestampTzGetDatum(row_since(rows, map->revision[r].id, &is_row));
		nulls[3] = !is_row;
		put(fcinfo, values, nulls);
	}
	return (Datum) 0;
}

/*
 * algo_ref.show(identifier)
 */
Datum
algo_ref_show(PG_FUNCTION_ARGS)
{
	char	   *identifier = ar_revision_text_argument(fcinfo, 0, "identifier");
	StoredScript *script;
	RevisionMap *map;
	List	   *revisions;
	ListCell   *cell;

	InitMaterializedSRF(fcinfo, 0);
	ar_state_table_check_select("script");
	/* a full id is enough, also in a graph that is broken */
	script = ar_revision_fetch(identifier, GetActiveSnapshot());
	if (script)
	{
		put_script(fcinfo, script);
		return (Datum) 0;
	}
	map = load_map(strcmp(identifier, "current") == 0);
	if (strcmp(identifier, "current") == 0)
		revisions = ar_revision_current(map, ar_revision_row_ids(ar_target_schema_default(), GetActiveSnapshot()));
	else
		revisions = ar_revision_resolve(map, identifier);
	foreach(cell, revisions)
		put_script(fcinfo, ar_revision_fetch(map->revision[lfirst_int(cell)].id, GetActiveSnapshot()));
	return (Datum) 0;
}

/*
 * algo_ref.graph(format)
 */
Datum
algo_ref_graph(PG_FUNCTION_ARGS)
{
	char	   *format = ar_revision_text_argument(fcinfo, 0, "format");
	RevisionMap *map = load_map(false);
	char	   *schema = ar_target_schema_default_or_null();
	List	   *rows = NIL;
	List	   *lines;
	ListCell   *cell;

	if (schema && ar_state_table_may_select("version"))
		rows = known_rows(map, ar_revision_row_ids(schema, GetActiveSnapshot()));
	lines = ar_revision_graph(map, format, ar_revision_current(map, rows));
	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	foreach(cell, lines)
	{
		Datum		value = CStringGetTextDatum(lfirst(cell));
		bool		null = false;

		put(fcinfo, &value, &null);
		pfree(DatumGetPointer(value));
	}
	return (Datum) 0;
}

/*
 * A text argument that must not be null (22004).
 */
char *
ar_revision_text_argument(FunctionCallInfo fcinfo, int n, const char *name)
{
	if (PG_ARGISNULL(n))
		ereport(ERROR,
				errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				errmsg("%s must not be null", name));
	return text_to_cstring(PG_GETARG_TEXT_PP(n));
}

/*
 * The graph, for a caller who may read it.
 */
static RevisionMap *
load_map(bool with_versions)
{
	ar_state_table_check_select("script");
	if (with_versions)
		ar_state_table_check_select("version");
	return ar_revision_map_load(GetActiveSnapshot());
}

static RevisionDirection
direction_argument(FunctionCallInfo fcinfo, int n)
{
	char	   *name = ar_revision_text_argument(fcinfo, n, "direction");

	for (RevisionDirection direction = AR_UPGRADE; direction <= AR_STAMP; direction++)
		if (strcmp(name, ar_revision_direction_name(direction)) == 0)
			return direction;
	ereport(ERROR,
			errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			errmsg("invalid direction \"%s\"", ar_revision_excerpt(name)),
			errhint("It is \"upgrade\", \"downgrade\" or \"stamp\"."));
}

/*
 * The version rows to plan from: those given, else those of the current
 * schema.
 */
static List *
rows_argument(FunctionCallInfo fcinfo, int n)
{
	if (!PG_ARGISNULL(n))
		return ar_revision_names_argument(fcinfo, n, "from_heads");
	return ar_revision_row_ids(ar_target_schema_default(), GetActiveSnapshot());
}

static void
put(FunctionCallInfo fcinfo, Datum *values, bool *nulls)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;

	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

static void
put_head(FunctionCallInfo fcinfo, const RevisionMap *map, RevisionIndex r)
{
	Datum		values[4];
	bool		nulls[4] = {false};

	values[0] = CStringGetTextDatum(map->revision[r].id);
	values[1] = CStringGetTextDatum(map->revision[r].message);
	values[2] = label_array(map, r);
	values[3] = BoolGetDatum(!ar_revision_is_real_head(map, r));
	put(fcinfo, values, nulls);
}

static void
put_history(FunctionCallInfo fcinfo, const RevisionMap *map, bool is_current,
			RevisionIndex r)
{
	Datum		values[10];
	bool		nulls[10] = {false};

	values[0] = CStringGetTextDatum(map->revision[r].id);
	values[1] = CStringGetTextDatum(map->revision[r].message);
	values[2] = links_array(map, &map->revises, r);
	values[3] = links_array(map, &map->deps, r);
	values[4] = label_array(map, r);
	values[5] = BoolGetDatum(ar_revision_is_head(map, r));
	values[6] = BoolGetDatum(ar_revision_is_head(map, r) && !ar_revision_is_real_head(map, r));
	values[7] = BoolGetDatum(AR_LINKS_COUNT(map->children, r) > 1);
	values[8] = BoolGetDatum(AR_LINKS_COUNT(map->revises, r) > 1);
	values[9] = BoolGetDatum(is_current);
	put(fcinfo, values, nulls);
}

static void
put_script(FunctionCallInfo fcinfo, const StoredScript *script)
{
	Datum		values[Natts_script];
	bool		nulls[Natts_script] = {false};
	NameData	author;

	namestrcpy(&author, script->author);
	values[0] = CStringGetTextDatum(script->revision);
	values[1] = CStringGetTextDatum(script->message);
	values[2] = ar_revision_text_array(script->revises);
	values[3] = ar_revision_text_array(script->branch_labels);
	values[4] = ar_revision_text_array(script->depends_on);
	values[5] = NameGetDatum(&author);
	values[6] = TimestampTzGetDatum(script->created_at);
	values[7] = BoolGetDatum(script->transactional);
	values[8] = PointerGetDatum(script->checksum);
	values[9] = CStringGetTextDatum(script->upgrade);
	nulls[10] = script->downgrade == NULL;
	values[10] = script->downgrade ? CStringGetTextDatum(script->downgrade) : (Datum) 0;
	put(fcinfo, values, nulls);
}

/*
 * The ids of some revisions as a text[].  A plan has one of them for each
 * step, so it is put together in one piece.
 */
static Datum
id_array(const RevisionMap *map, const RevisionIndex *revisions, int32 count)
{
	Size		size = ARR_OVERHEAD_NONULLS(1);
	ArrayType  *array;
	char	   *next;

	if (count == 0)
		return PointerGetDatum(construct_empty_array(TEXTOID));
	for (int32 i = 0; i < count; i++)
		size += INTALIGN(VARHDRSZ + strlen(map->revision[revisions[i]].id));
	array = palloc0(size);
	SET_VARSIZE(array, size);
	array->ndim = 1;
	array->elemtype = TEXTOID;
	ARR_DIMS(array)[0] = count;
	ARR_LBOUND(array)[0] = 1;
	next = ARR_DATA_PTR(array);
	for (int32 i = 0; i < count; i++)
	{
		const char *id = map->revision[revisions[i]].id;
		Size		length = VARHDRSZ + strlen(id);

		SET_VARSIZE(next, length);
		memcpy(VARDATA(next), id, length - VARHDRSZ);
		next += INTALIGN(length);
	}
	return PointerGetDatum(array);
}

static Datum
links_array(const RevisionMap *map, const RevisionLinks *links, RevisionIndex r)
{
	return id_array(map, links->item + links->first[r], AR_LINKS_COUNT(*links, r));
}

static Datum
label_array(const RevisionMap *map, RevisionIndex r)
{
	List	   *labels = NIL;

	for (int32 i = 0; i < AR_LINKS_COUNT(map->labels, r); i++)
		labels = lappend(labels, unconstify(char *, map->label[AR_LINKS_ITEM(map->labels, r, i)]));
	return ar_revision_text_array(labels);
}

/*
 * Since when a revision is a version row.
 */
static TimestampTz
row_since(List *rows, const char *id, bool *found)
{
	ListCell   *cell;

	*found = true;
	foreach(cell, rows)
	{
		VersionRow *row = lfirst(cell);

		if (strcmp(row->revision, id) == 0)
			return row->since;
	}
	*found = false;
	return 0;
}

/*
 * Those rows that name known revisions.
 */
static List *
known_rows(const RevisionMap *map, List *rows)
{
	List	   *known = NIL;
	ListCell   *cell;

	foreach(cell, rows)
	{
		RevisionIndex r = ar_revision_map_find(map, lfirst(cell));

		if (r != AR_BASE && strcmp(map->revision[r].id, lfirst(cell)) == 0)
			known = lappend(known, lfirst(cell));
	}
	return known;
}
