/*
 * prefetch_api.c: prefetching as SQL functions.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "portability/instr_time.h"
#include "prefetch/prefetch.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/tuplestore.h"

/* A call that returns one row at a time. */
typedef struct RowsCall
{
	PrefetchLoad *load;
	JsonBuffer	row;			/* a json Datum, made again for each row */
} RowsCall;

/* A call that returns sets. */
typedef struct SetsCall
{
	PrefetchLoad *load;
	PrefetchSetRow row;
	Datum	   *paths;			/* by the node's number */
	Datum	   *link_paths;
} SetsCall;

/* All rows of a path, and their keys, as arrays. */
typedef struct PathArrays
{
	Datum		path;
	JsonBuffer	keys;			/* json Datums, without their ends at first */
	JsonBuffer	rows;
} PathArrays;

static Datum next_row(FunctionCallInfo fcinfo, PrefetchOutput output);
static TupleDesc row_type(FunctionCallInfo fcinfo);
static PathArrays *collect_arrays(PrefetchLoad *load, uint64 *count);
static void begin_arrays(PathArrays *arrays, Datum path);
static void append_element(JsonBuffer *array, const JsonBuffer *value);
static Datum end_array(JsonBuffer *array);
static Datum *path_texts(const PrefetchPlan *plan, bool is_link);
static double explain_fetch(ReturnSetInfo *rsinfo, const PathNode *node,
							const PrefetchFetch *fetch, const PrefetchCounts *counts);
static void explain_row(ReturnSetInfo *rsinfo, const PathNode *node, const char *path,
						const char *strategy, bool has_keys, const PrefetchCounts *counts);
static PrefetchLoad *begin_load(FunctionCallInfo fcinfo, PrefetchOutput output);
static char **path_array(ArrayType *array, int *count);
static void end_load(Datum arg);
static void null_argument(const char *name);

PG_FUNCTION_INFO_V1(algo_ref_prefetch_rows);

/*
 * algo_ref.prefetch_rows(query, paths, params)
 */
Datum
algo_ref_prefetch_rows(PG_FUNCTION_ARGS)
{
	return next_row(fcinfo, AR_PREFETCH_ROWS);
}

PG_FUNCTION_INFO_V1(algo_ref_prefetch_jsonb_query);

/*
 * algo_ref.prefetch_jsonb_query(query, paths, params)
 */
Datum
algo_ref_prefetch_jsonb_query(PG_FUNCTION_ARGS)
{
	return next_row(fcinfo, AR_PREFETCH_JSONB);
}

static Datum
next_row(FunctionCallInfo fcinfo, PrefetchOutput output)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	FuncCallContext *context;
	RowsCall   *call;

	if (SRF_IS_FIRSTCALL())
	{
		MemoryContext old;

		context = SRF_FIRSTCALL_INIT();
		old = MemoryContextSwitchTo(context->multi_call_memory_ctx);
		call = palloc0(sizeof(RowsCall));
		ar_prefetch_json_reserve(&call->row, 1024);
		call->load = begin_load(fcinfo, output);
		RegisterExprContextCallback(rsinfo->econtext, end_load, PointerGetDatum(call->load));
		context->user_fctx = call;
		MemoryContextSwitchTo(old);
	}
	context = SRF_PERCALL_SETUP();
	call = context->user_fctx;

	/* the last row has been used by now */
	call->row.length = VARHDRSZ;
	if (ar_prefetch_load_next(call->load, &call->row))
	{
		SET_VARSIZE(call->row.data, call->row.length);
		SRF_RETURN_NEXT(context, PointerGetDatum(call->row.data));
	}
	UnregisterExprContextCallback(rsinfo->econtext, end_load, PointerGetDatum(call->load));
	ar_prefetch_load_end(call->load);
	SRF_RETURN_DONE(context);
}

PG_FUNCTION_INFO_V1(algo_ref_prefetch_sets_query);

/*
 * algo_ref.prefetch_sets_query(query, paths, params)
 */
Datum
algo_ref_prefetch_sets_query(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	FuncCallContext *context;
	SetsCall   *call;

	if (SRF_IS_FIRSTCALL())
	{
		MemoryContext old;

		context = SRF_FIRSTCALL_INIT();
		old = MemoryContextSwitchTo(context->multi_call_memory_ctx);
		context->tuple_desc = row_type(fcinfo);
		call = palloc0(sizeof(SetsCall));
		ar_prefetch_json_reserve(&call->row.key, 64);
		ar_prefetch_json_reserve(&call->row.row, 1024);
		call->load = begin_load(fcinfo, AR_PREFETCH_SETS);
		call->paths = path_texts(call->load->plan, false);
		call->link_paths = path_texts(call->load->plan, true);
		RegisterExprContextCallback(rsinfo->econtext, end_load, PointerGetDatum(call->load));
		context->user_fctx = call;
		MemoryContextSwitchTo(old);
	}
	context = SRF_PERCALL_SETUP();
	call = context->user_fctx;
	if (ar_prefetch_load_next_set(call->load, &call->row))
	{
		PrefetchSetRow *row = &call->row;
		Datum		values[3];
		bool		nulls[3] = {false, !row->has_key, false};

		SET_VARSIZE(row->key.data, row->key.length);
		SET_VARSIZE(row->row.data, row->row.length);
		values[0] = (row->is_link ? call->link_paths : call->paths)[row->node->number];
		values[1] = PointerGetDatum(row->key.data);
		values[2] = PointerGetDatum(row->row.data);
		SRF_RETURN_NEXT(context, HeapTupleGetDatum(heap_form_tuple(context->tuple_desc, values,
																   nulls)));
	}
	UnregisterExprContextCallback(rsinfo->econtext, end_load, PointerGetDatum(call->load));
	ar_prefetch_load_end(call->load);
	SRF_RETURN_DONE(context);
}

/*
 * The type of the rows that a function returns.
 */
static TupleDesc
row_type(FunctionCallInfo fcinfo)
{
	TupleDesc	desc;

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	return BlessTupleDesc(desc);
}

/*
 * What the rows of each node are called, or those of its association table.
 */
static Datum *
path_texts(const PrefetchPlan *plan, bool is_link)
{
	Datum	   *texts = palloc0(sizeof(Datum) * plan->node_count);
	ListCell   *cell;

	foreach(cell, plan->nodes)
	{
		const PathNode *node = lfirst(cell);

		if (!is_link)
			texts[node->number] = CStringGetTextDatum(node->path);
		else if (node->link)
			texts[node->number] = CStringGetTextDatum(psprintf("%s!%s", node->path,
															   get_rel_name(node->link->table)));
	}
	return texts;
}

PG_FUNCTION_INFO_V1(algo_ref_prefetch_arrays_query);

/*
 * algo_ref.prefetch_arrays_query(query, paths, params)
 */
Datum
algo_ref_prefetch_arrays_query(PG_FUNCTION_ARGS)
{
	FuncCallContext *context;

	if (SRF_IS_FIRSTCALL())
	{
		MemoryContext old;
		PrefetchLoad *load;

		context = SRF_FIRSTCALL_INIT();
		old = MemoryContextSwitchTo(context->multi_call_memory_ctx);
		context->tuple_desc = row_type(fcinfo);
		load = begin_load(fcinfo, AR_PREFETCH_SETS);
		context->user_fctx = collect_arrays(load, &context->max_calls);
		ar_prefetch_load_end(load);
		MemoryContextSwitchTo(old);
	}
	context = SRF_PERCALL_SETUP();
	if (context->call_cntr < context->max_calls)
	{
		PathArrays *arrays = (PathArrays *) context->user_fctx + context->call_cntr;
		Datum		values[3];
		bool		nulls[3] = {false};
		HeapTuple	tuple;

		values[0] = arrays->path;
		values[1] = end_array(&arrays->keys);
		values[2] = end_array(&arrays->rows);
		tuple = heap_form_tuple(context->tuple_desc, values, nulls);
		pfree(arrays->keys.data);
		pfree(arrays->rows.data);
		SRF_RETURN_NEXT(context, HeapTupleGetDatum(tuple));
	}
	SRF_RETURN_DONE(context);
}

/*
 * Read everything: for each node its rows, then those of its association
 * table.  The result belongs to the current memory context.
 */
static PathArrays *
collect_arrays(PrefetchLoad *load, uint64 *count)
{
	int			node_count = load->plan->node_count;
	Datum	   *paths = path_texts(load->plan, false);
	Datum	   *link_paths = path_texts(load->plan, true);
	PathArrays *result = palloc(sizeof(PathArrays) * node_count * 2);
	int		   *place = palloc(sizeof(int) * node_count);
	PrefetchSetRow row = {0};
	MemoryContext writing = AllocSetContextCreate(CurrentMemoryContext, "prefetched row",
												  ALLOCSET_SMALL_SIZES);
	MemoryContext old;

	*count = 0;
	for (int i = 0; i < node_count; i++)
	{
		place[i] = (int) *count;
		begin_arrays(&result[(*count)++], paths[i]);
		if (link_paths[i])
			begin_arrays(&result[(*count)++], link_paths[i]);
	}
	ar_prefetch_json_reserve(&row.key, 64);
	ar_prefetch_json_reserve(&row.row, 1024);
	old = MemoryContextSwitchTo(writing);
	while (ar_prefetch_load_next_set(load, &row))
	{
		PathArrays *arrays = &result[place[row.node->number] + (row.is_link ? 1 : 0)];

		append_element(&arrays->rows, &row.row);
		if (row.has_key)
			append_element(&arrays->keys, &row.key);
		MemoryContextReset(writing);
	}
	MemoryContextSwitchTo(old);
	MemoryContextDelete(writing);
	return result;
}

static void
begin_arrays(PathArrays *arrays, Datum path)
{
	memset(arrays, 0, sizeof(PathArrays));
	arrays->path = path;
	ar_prefetch_json_reserve(&arrays->keys, 64);
	ar_prefetch_json_reserve(&arrays->rows, 64);
	arrays->keys.length = VARHDRSZ;
	arrays->rows.length = VARHDRSZ;
}

/*
 * The bracket of an array is written as its first comma.
 */
static void
append_element(JsonBuffer *array, const JsonBuffer *value)
{
	ar_prefetch_json_bytes(array, array->length == VARHDRSZ ? "[" : ",", 1);
	ar_prefetch_json_bytes(array, value->data + VARHDRSZ, value->length - VARHDRSZ);
}

static Datum
end_array(JsonBuffer *array)
{
	if (array->length == VARHDRSZ)
		ar_prefetch_json_bytes(array, "[", 1);
	ar_prefetch_json_bytes(array, "]", 1);
	SET_VARSIZE(array->data, array->length);
	return PointerGetDatum(array->data);
}

PG_FUNCTION_INFO_V1(algo_ref_prefetch_explain_query);

/*
 * algo_ref.prefetch_explain_query(query, paths, params)
 */
Datum
algo_ref_prefetch_explain_query(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	PrefetchLoad *load;
	JsonBuffer	row = {0};
	PrefetchCounts written = {0};
	double		read = 0;
	instr_time	start;
	instr_time	duration;
	ListCell   *cell;

	InitMaterializedSRF(fcinfo, 0);
	load = begin_load(fcinfo, AR_PREFETCH_ROWS);
	ar_prefetch_json_reserve(&row, 1024);
	INSTR_TIME_SET_CURRENT(start);
	while (ar_prefetch_load_next(load, &row))
	{
		row.length = 0;
		written.rows++;
	}
	INSTR_TIME_SET_CURRENT(duration);
	INSTR_TIME_SUBTRACT(duration, start);
	written.milliseconds = INSTR_TIME_GET_MILLISEC(duration);
	ar_prefetch_load_end(load);
	foreach(cell, load->plan->nodes)
	{
		const PathNode *node = lfirst(cell);
		const NodeState *state = load->states[node->number];

		if (node->parent == NULL)
		{
			explain_row(rsinfo, node, NULL, "query", false, &state->counts[0]);
			read += state->counts[0].milliseconds;
			continue;
		}
		if (node->link)
			read += explain_fetch(rsinfo, node, node->link, state->link_counts);
		read += explain_fetch(rsinfo, node, node->fetch, state->counts);
	}
	written.milliseconds = Max(written.milliseconds - read, 0);
	explain_row(rsinfo, load->plan->top, NULL, "write", false, &written);
	return (Datum) 0;
}

/*
 * One row for each strategy by which rows of a table were read, and one if
 * there was nothing to look up.  Returns how long it took.
 */
static double
explain_fetch(ReturnSetInfo *rsinfo, const PathNode *node, const PrefetchFetch *fetch,
			  const PrefetchCounts *counts)
{
	const char *path = fetch == node->link ?
	psprintf("%s!%s", node->path, get_rel_name(fetch->table)) : node->path;
	bool		any = false;
	double		milliseconds = 0;

	for (int i = 0; i < AR_FETCH_STRATEGIES; i++)
	{
		if (counts[i].statements == 0)
			continue;
		explain_row(rsinfo, node, path, ar_prefetch_strategy_name(i), true, &counts[i]);
		milliseconds += counts[i].milliseconds;
		any = true;
	}
	if (!any)
		explain_row(rsinfo, node, path, "none", true, &counts[0]);
	return milliseconds;
}

static void
explain_row(ReturnSetInfo *rsinfo, const PathNode *node, const char *path, const char *strategy,
			bool has_keys, const PrefetchCounts *counts)
{
	Datum		values[8];
	bool		nulls[8] = {false};

	values[0] = Int32GetDatum(node->level);
	nulls[1] = path == NULL;
	values[1] = path ? CStringGetTextDatum(path) : (Datum) 0;
	values[2] = CStringGetTextDatum(strategy);
	nulls[3] = counts->sql == NULL;
	values[3] = counts->sql ? CStringGetTextDatum(counts->sql) : (Datum) 0;
	values[4] = Int64GetDatum(counts->statements);
	nulls[5] = !has_keys;
	values[5] = Int64GetDatum(counts->keys);
	values[6] = Int64GetDatum(counts->rows);
	values[7] = Float8GetDatum(counts->milliseconds);
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

/*
 * Begin what the arguments query, paths and params say.
 */
static PrefetchLoad *
begin_load(FunctionCallInfo fcinfo, PrefetchOutput output)
{
	char	  **paths;
	int			path_count;
	Jsonb	   *values = NULL;
	PrefetchPlan *plan;

	if (PG_ARGISNULL(0))
		null_argument("query");
	if (PG_ARGISNULL(1))
		null_argument("paths");
	paths = path_array(PG_GETARG_ARRAYTYPE_P(1), &path_count);
	if (!PG_ARGISNULL(2))
	{
		values = PG_GETARG_JSONB_P_COPY(2);
		if (!JB_ROOT_IS_OBJECT(values))
			ereport(ERROR,
					errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					errmsg("%s must be an object", "params"));
	}
	plan = ar_prefetch_plan(text_to_cstring(PG_GETARG_TEXT_PP(0)), path_count, paths);
	return ar_prefetch_load_begin(plan, values, output);
}

static char **
path_array(ArrayType *array, int *count)
{
	Datum	   *datums;
	bool	   *nulls;
	char	  **paths;

	deconstruct_array(array, TEXTOID, -1, false, TYPALIGN_INT, &datums, &nulls, count);
	paths = palloc(sizeof(char *) * Max(*count, 1));
	for (int i = 0; i < *count; i++)
	{
		if (nulls[i])
			null_argument("a path");
		paths[i] = TextDatumGetCString(datums[i]);
	}
	return paths;
}

static void
end_load(Datum arg)
{
	ar_prefetch_load_end((PrefetchLoad *) DatumGetPointer(arg));
}

static void
null_argument(const char *name)
{
	ereport(ERROR,
			errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
			errmsg("%s must not be null", name));
}
