/*
 * bulk_load.c: a commit per batch.
 *
 * With a key, a batch is the rows of the next so many keys, and where it ended
 * is remembered in algo_ref.bulk_job in the same transaction: whatever ends
 * the load, the next call goes on from there.  Without one, batches are taken
 * from a cursor, which lives as long as the call.
 *
 * Each batch is an INSERT of its own: ar_bulk_insert() with its own snapshot.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/relation.h"
#include "access/stratnum.h"
#include "access/xact.h"
#include "bulk/bulk.h"
#include "catalog/pg_type.h"
#include "commands/progress.h"
#include "common/qualified_name.h"
#include "common/state_table.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "nodes/nodes.h"
#include "storage/lock.h"
#include "utils/backend_progress.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/portal.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/typcache.h"

#define BATCH_ROWS_MOST INT64CONST(1000000000)

/* the fourth field of the lock's tag; pg_advisory_lock() uses 1 and 2 */
#define LOAD_LOCK 6

/* Columns of algo_ref.bulk_job. */
enum JobColumn
{
	Anum_bulk_job_id = 1,
	Anum_bulk_job_role,
	Anum_bulk_job_target,
	Anum_bulk_job_query,
	Anum_bulk_job_key,
	Anum_bulk_job_last_key,
	Anum_bulk_job_loaded,
	Anum_bulk_job_batches,
	Anum_bulk_job_started_at,
	Anum_bulk_job_updated_at,
	Natts_bulk_job = Anum_bulk_job_updated_at
};

typedef struct Load
{
	Oid			target;
	char	   *query;
	int64		batch_rows;
	char	   *key;			/* or NULL */
	BulkInsert	options;		/* what each batch begins with */
	bool		skips;			/* rows that are wrong */
	MemoryContext batch_context;

	/* with a key */
	char	   *id;				/* of the row in algo_ref.bulk_job */
	char	   *key_type;
	char	   *key_greater;	/* operators of its order, as SQL */
	char	   *key_at_most;
	List	   *columns;		/* to be inserted */
	char	   *last_key;		/* or NULL */
	ItemPointerData job;		/* invalid: there is no row yet */
	TimestampTz started_at;
	uint64		loaded;			/* in all calls together */
	int32		batches;

	uint64		rows;			/* in this call */
	uint64		last_row;		/* the number of the last one, if they are
								 * counted */
	int32		batches_here;
} Load;

static void check_can_commit(FunctionCallInfo fcinfo);
static void read_arguments(FunctionCallInfo fcinfo, Load *load);
static void load_and_skip(Load *load);
static void load_rows(Load *load);
static void load_by_cursor(Load *load);
static void load_by_key(Load *load);
static void prepare_key(Load *load);
static void prepare_order(Load *load, Oid type);
static void check_no_null_key(Load *load);
static bool load_keys(Load *load);
static char *find_last_key(Load *load);
static char *key_condition(const Load *load, const char *last_key);
static char *one_text(const char *sql);
static uint64 insert_batch(Load *load, BulkSource *source, const char *query);
static void begin_batch(Load *load);
static void end_batch(Load *load);
static void lock_job(const Load *load);
static void read_job(Load *load);
static void write_job(Load *load);
static Datum make_result(FunctionCallInfo fcinfo, const Load *load);

PG_FUNCTION_INFO_V1(algo_ref_bulk_load);

/*
 * algo_ref.bulk_load(target, query, batch_rows, key, on_conflict,
 *					  conflict_columns, overriding, on_error, rows_loaded, batches)
 */
Datum
algo_ref_bulk_load(PG_FUNCTION_ARGS)
{
	Load		load = {0};

	check_can_commit(fcinfo);

	/* what is allocated from here on outlives the transactions */
	SPI_connect_ext(SPI_OPT_NONATOMIC);
	read_arguments(fcinfo, &load);
	load.batch_context = AllocSetContextCreate(CurrentMemoryContext, "algo_ref bulk load batch",
											   ALLOCSET_DEFAULT_SIZES);
	pgstat_progress_start_command(PROGRESS_COMMAND_COPY, load.target);
	pgstat_progress_update_param(PROGRESS_COPY_COMMAND, PROGRESS_COPY_COMMAND_FROM);
	pgstat_progress_update_param(PROGRESS_COPY_TYPE, PROGRESS_COPY_TYPE_CALLBACK);
	if (load.skips)
		load_and_skip(&load);
	else
		load_rows(&load);
	pgstat_progress_end_command();
	SPI_finish();
	return make_result(fcinfo, &load);
}

static void
load_and_skip(Load *load)
{
	ar_bulk_skip_begin(&load->options);
	PG_TRY();
	{
		load_rows(load);
		ar_bulk_skip_tell(&load->options);
	}
	PG_FINALLY();
	{
		ar_bulk_skip_end(&load->options);
	}
	PG_END_TRY();
}

static void
load_rows(Load *load)
{
	if (load->key != NULL)
		load_by_key(load);
	else
		load_by_cursor(load);
}

/*
 * Raise 25001 if the procedure cannot commit, or would commit what somebody
 * else has done.
 */
static void
check_can_commit(FunctionCallInfo fcinfo)
{
	if (fcinfo->context == NULL || !IsA(fcinfo->context, CallContext) ||
		castNode(CallContext, fcinfo->context)->atomic)
		ereport(ERROR,
				errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
				errmsg("algo_ref.bulk_load cannot run inside a transaction block"),
				errdetail("It commits after each batch."),
				errhint("algo_ref.bulk_insert_query() is part of the transaction around it."));
	if (TransactionIdIsValid(GetTopTransactionIdIfAny()))
		ereport(ERROR,
				errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
				errmsg("algo_ref.bulk_load cannot run after changes that are not committed"),
				errhint("COMMIT or ROLLBACK before."));
}

static void
read_arguments(FunctionCallInfo fcinfo, Load *load)
{
	int			length;

	ar_bulk_argument_check(fcinfo, 0, "target");
	ar_bulk_argument_check(fcinfo, 1, "query");
	ar_bulk_argument_check(fcinfo, 2, "batch_rows");
	load->target = PG_GETARG_OID(0);
	load->query = text_to_cstring(PG_GETARG_TEXT_PP(1));
	load->batch_rows = PG_GETARG_INT64(2);
	if (load->batch_rows < 1 || load->batch_rows > BATCH_ROWS_MOST)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("batch_rows must be between 1 and %lld", (long long) BATCH_ROWS_MOST));
	if (!PG_ARGISNULL(3))
		load->key = pstrdup(NameStr(*PG_GETARG_NAME(3)));
	ar_bulk_argument_options(fcinfo, 4, &load->options);
	load->skips = ar_bulk_argument_skips(fcinfo, 7);
	(void) ar_bulk_insert_parse(load->query, &length);
	load->query[length] = '\0';
}

/*
 * A cursor may not change anything, since its rows are kept at the first
 * commit.
 */
static void
load_by_cursor(Load *load)
{
	SPIParseOpenOptions options = {.cursorOptions = CURSOR_OPT_NO_SCROLL};
	Portal		portal = SPI_cursor_parse_open(NULL, load->query, &options);
	BulkSource *source = ar_bulk_source_cursor(portal, load->batch_rows);
	Relation	target = ar_bulk_open_target(load->target, RowExclusiveLock);

	if (portal->strategy != PORTAL_ONE_SELECT)
		ereport(ERROR,
				errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				errmsg("the query of a load must not change data"));
	ar_bulk_insert_columns(target, load->query, NULL);
	relation_close(target, NoLock);
	PinPortal(portal);
	while (ar_bulk_source_cursor_has_more(source))
	{
		begin_batch(load);
		insert_batch(load, source, NULL);
		end_batch(load);
	}
	UnpinPortal(portal);
	SPI_cursor_close(portal);
}

static void
load_by_key(Load *load)
{
	bool		is_done;

	prepare_key(load);
	do
	{
		begin_batch(load);
		is_done = !load_keys(load);
		end_batch(load);
	} while (!is_done);
}

/*
 * Which type the key has, and which of the query's columns are inserted: a key
 * that the target does not have is not.
 */
static void
prepare_key(Load *load)
{
	Relation	target = ar_bulk_open_target(load->target, RowExclusiveLock);
	TupleDesc	desc;
	List	   *columns = ar_bulk_insert_columns_but(target, load->query, load->key, &desc);
	Oid			type = InvalidOid;
	int32		typmod = -1;

	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(desc, i);

		if (strcmp(NameStr(attribute->attname), load->key) == 0)
		{
			type = attribute->atttypid;
			typmod = attribute->atttypmod;
		}
	}
	if (!OidIsValid(type))
		ereport(ERROR,
				errcode(ERRCODE_UNDEFINED_COLUMN),
				errmsg("the query has no column \"%s\"", load->key));
	load->columns = columns;
	prepare_order(load, type);
	load->key_type = format_type_extended(type, typmod,
										  FORMAT_TYPE_TYPEMOD_GIVEN | FORMAT_TYPE_FORCE_QUALIFY);
	load->id = one_text(psprintf("SELECT pg_catalog.md5(%s)",
								 quote_literal_cstr(psprintf("%u %u %s %s", GetUserId(), load->target,
															 quote_identifier(load->key), load->query))));
	check_no_null_key(load);
	relation_close(target, NoLock);
}

/*
 * How keys compare: as ORDER BY compares them.
 */
static void
prepare_order(Load *load, Oid type)
{
	TypeCacheEntry *cache = lookup_type_cache(type, TYPECACHE_BTREE_OPFAMILY);

	if (!OidIsValid(cache->btree_opf))
		ereport(ERROR,
				errcode(ERRCODE_UNDEFINED_FUNCTION),
				errmsg("the key \"%s\" of a load cannot be of type %s, which has no order",
					   load->key, format_type_be(type)));
	load->key_greater = ar_qualified_operator(get_opfamily_member(cache->btree_opf, cache->btree_opintype,
																  cache->btree_opintype,
																  BTGreaterStrategyNumber));
	load->key_at_most = ar_qualified_operator(get_opfamily_member(cache->btree_opf, cache->btree_opintype,
																  cache->btree_opintype,
																  BTLessEqualStrategyNumber));
}

/*
 * A row without a key would never be loaded.
 */
static void
check_no_null_key(Load *load)
{
	if (one_text(psprintf("SELECT 1 FROM (%s\n) AS q WHERE q.%s IS NULL LIMIT 1",
						  load->query, quote_identifier(load->key))) != NULL)
		ereport(ERROR,
				errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				errmsg("the key \"%s\" of a load must not be null", load->key));
}

/*
 * Load the rows of the next keys, and remember the last of them.  False if
 * there are none: then nothing is to be remembered any more.
 */
static bool
load_keys(Load *load)
{
	char	   *last_key;
	StringInfoData sql;
	ListCell   *cell;

	lock_job(load);
	read_job(load);
	last_key = find_last_key(load);
	if (last_key == NULL)
	{
		StateTable *jobs;

		if (!ItemPointerIsValid(&load->job))
			return false;
		jobs = ar_state_table_open("bulk_job", RowExclusiveLock);
		ar_state_table_delete(jobs, &load->job);
		ar_state_table_close(jobs);
		return false;
	}
	initStringInfo(&sql);
	appendStringInfoString(&sql, "SELECT ");
	foreach(cell, load->columns)
		appendStringInfo(&sql, "%sq.%s", cell == list_head(load->columns) ? "" : ", ",
						 quote_identifier(lfirst(cell)));
	appendStringInfo(&sql, " FROM (%s\n) AS q WHERE %s AND q.%s %s %s::%s",
					 load->query, key_condition(load, load->last_key), quote_identifier(load->key),
					 load->key_at_most, quote_literal_cstr(last_key), load->key_type);
	/* so that the numbers of rows say where to look */
	if (load->skips)
		appendStringInfo(&sql, " ORDER BY q.%s", quote_identifier(load->key));
	load->loaded += insert_batch(load, NULL, sql.data);
	load->batches++;
	load->last_key = last_key;
	write_job(load);
	return true;
}

/*
 * The key at which the next batch ends, or NULL at the end.
 */
static char *
find_last_key(Load *load)
{
	const char *key = quote_identifier(load->key);

	return one_text(psprintf("SELECT k FROM (SELECT q.%s AS k FROM (%s\n) AS q WHERE %s ORDER BY 1 LIMIT %lld) AS b ORDER BY k DESC LIMIT 1",
							 key, load->query, key_condition(load, load->last_key),
							 (long long) load->batch_rows));
}

static char *
key_condition(const Load *load, const char *last_key)
{
	if (last_key == NULL)
		return "true";
	return psprintf("q.%s %s %s::%s", quote_identifier(load->key), load->key_greater,
					quote_literal_cstr(last_key), load->key_type);
}

/*
 * What a statement returns in its only column, or NULL: as text that is exact,
 * and read the same under all settings.
 */
static char *
one_text(const char *sql)
{
	static const char *const settings[][2] = {
		{"DateStyle", "ISO, YMD"}, {"IntervalStyle", "iso_8601"}, {"extra_float_digits", "1"}
	};
	MemoryContext caller = CurrentMemoryContext;
	char	   *result = NULL;

	if (SPI_execute(sql, false, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not read the key");
	/* SPI has switched to its own, which lives as long as the load */
	MemoryContextSwitchTo(caller);
	if (SPI_processed > 0)
	{
		int			nest_level = NewGUCNestLevel();

		for (int i = 0; i < lengthof(settings); i++)
			(void) set_config_option(settings[i][0], settings[i][1], PGC_USERSET, PGC_S_SESSION,
									 GUC_ACTION_SAVE, true, 0, false);
		result = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
		AtEOXact_GUC(false, nest_level);
	}
	SPI_freetuptable(SPI_tuptable);
	return result;
}

static uint64
insert_batch(Load *load, BulkSource *source, const char *query)
{
	BulkInsert	insert = load->options;
	uint64		count;

	insert.target = ar_bulk_open_target(load->target, RowExclusiveLock);
	if (load->skips)
	{
		insert.source = source != NULL ? ar_bulk_source_some(source, load->batch_rows, load->last_row) :
			ar_bulk_source_query(insert.target, query, load->last_row);
		count = ar_bulk_skip(&insert);
		load->last_row = insert.source->row;
	}
	else
	{
		insert.source = source;
		insert.query = query;
		insert.rows_most = source != NULL ? load->batch_rows : 0;
		count = ar_bulk_insert(&insert);
	}
	relation_close(insert.target, NoLock);
	load->rows += count;
	load->batches_here++;
	pgstat_progress_update_param(PROGRESS_COPY_TUPLES_PROCESSED, load->rows);
	return count;
}

static void
begin_batch(Load *load)
{
	CHECK_FOR_INTERRUPTS();
	PushActiveSnapshot(GetTransactionSnapshot());
	MemoryContextSwitchTo(load->batch_context);
}

static void
end_batch(Load *load)
{
	MemoryContext outer = MemoryContextGetParent(load->batch_context);

	load->last_key = NULL;
	MemoryContextSwitchTo(outer);
	MemoryContextReset(load->batch_context);
	PopActiveSnapshot();
	SPI_commit();
}

/*
 * The same load may run only once at a time.
 */
static void
lock_job(const Load *load)
{
	LOCKTAG		tag;
	uint32		key = (uint32) strtoul(pnstrdup(load->id, 8), NULL, 16);

	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, load->target, key, LOAD_LOCK);
	if (LockAcquire(&tag, ExclusiveLock, false, true) == LOCKACQUIRE_NOT_AVAIL)
		ereport(ERROR,
				errcode(ERRCODE_OBJECT_IN_USE),
				errmsg("the same load is running in another session"));
}

static void
read_job(Load *load)
{
	StateTable *jobs = ar_state_table_open("bulk_job", AccessShareLock);
	TupleDesc	desc = RelationGetDescr(ar_state_table_relation(jobs));
	ScanKeyData key;
	StateScan  *scan;
	HeapTuple	tuple;
	bool		is_null;

	ar_state_key_text(&key, Anum_bulk_job_id, load->id);
	scan = ar_state_scan_begin(jobs, "bulk_job_pkey", NULL, 1, &key);
	tuple = ar_state_scan_next(scan);
	ItemPointerSetInvalid(&load->job);
	load->last_key = NULL;
	load->loaded = 0;
	load->batches = 0;
	load->started_at = GetCurrentTimestamp();
	if (tuple != NULL)
	{
		load->job = tuple->t_self;
		load->last_key = TextDatumGetCString(heap_getattr(tuple, Anum_bulk_job_last_key, desc, &is_null));
		load->loaded = DatumGetInt64(heap_getattr(tuple, Anum_bulk_job_loaded, desc, &is_null));
		load->batches = DatumGetInt32(heap_getattr(tuple, Anum_bulk_job_batches, desc, &is_null));
		load->started_at = DatumGetTimestampTz(heap_getattr(tuple, Anum_bulk_job_started_at, desc, &is_null));
		if (load->batches_here == 0)
			ereport(NOTICE,
					errmsg("going on after key %s: %llu rows are loaded already",
						   load->last_key, (unsigned long long) load->loaded));
	}
	ar_state_scan_end(scan);
	ar_state_table_close(jobs);
}

static void
write_job(Load *load)
{
	StateTable *jobs = ar_state_table_open("bulk_job", RowExclusiveLock);
	Datum		values[Natts_bulk_job];
	bool		nulls[Natts_bulk_job] = {0};
	NameData	role;

	namestrcpy(&role, GetUserNameFromId(GetUserId(), false));
	values[Anum_bulk_job_id - 1] = CStringGetTextDatum(load->id);
	values[Anum_bulk_job_role - 1] = NameGetDatum(&role);
	values[Anum_bulk_job_target - 1] =
		CStringGetTextDatum(ar_qualified_relation(load->target));
	values[Anum_bulk_job_query - 1] = CStringGetTextDatum(load->query);
	values[Anum_bulk_job_key - 1] = CStringGetTextDatum(load->key);
	values[Anum_bulk_job_last_key - 1] = CStringGetTextDatum(load->last_key);
	values[Anum_bulk_job_loaded - 1] = Int64GetDatum(load->loaded);
	values[Anum_bulk_job_batches - 1] = Int32GetDatum(load->batches);
	values[Anum_bulk_job_started_at - 1] = TimestampTzGetDatum(load->started_at);
	values[Anum_bulk_job_updated_at - 1] = TimestampTzGetDatum(GetCurrentTimestamp());
	if (ItemPointerIsValid(&load->job))
		ar_state_table_update(jobs, &load->job, values, nulls);
	else
		ar_state_table_insert(jobs, values, nulls);
	ar_state_table_close(jobs);
}

/*
 * The row of the INOUT arguments.
 */
static Datum
make_result(FunctionCallInfo fcinfo, const Load *load)
{
	TupleDesc	desc;
	Datum		values[2];
	bool		nulls[2] = {false, false};

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	values[0] = Int64GetDatum((int64) load->rows);
	values[1] = Int32GetDatum(load->batches_here);
	return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls));
}
