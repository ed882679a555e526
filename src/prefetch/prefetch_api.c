/*
 * prefetch_api.c: prefetching as SQL functions.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "prefetch/prefetch.h"
#include "utils/array.h"
#include "utils/builtins.h"

/* A call that returns one row at a time. */
typedef struct RowsCall
{
	PrefetchLoad *load;
	JsonBuffer	row;			/* a json Datum, made again for each row */
} RowsCall;

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
		call->load = begin_load(fcinfo, AR_PREFETCH_ROWS);
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
