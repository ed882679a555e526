/*
 * prefetch_api.c: algo_ref.prefetch(), prefetch_jsonb() and prefetch_query().
 *
 * Rows are read through a portal, a few at first and then more at a time, and
 * given back one by one: the first comes before the last is read, and who stops
 * early has not paid for the rest.
 */
#include "postgres.h"

#include "access/tupdesc.h"
#include "catalog/pg_type.h"
#include "common/compat.h"
#include "common/parameter.h"
#include "executor/executor.h"
#include "executor/tstoreReceiver.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "nodes/params.h"
#include "parser/analyze.h"
#include "prefetch/prefetch.h"
#include "tcop/pquery.h"
#include "tcop/tcopprot.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/plancache.h"
#include "utils/portal.h"
#include "utils/snapmgr.h"
#include "utils/tuplestore.h"

/* How many rows are read together at most. */
#define ROWS_TOGETHER 256

typedef struct PrefetchScan
{
	Portal		portal;			/* NULL: closed */
	CachedPlanSource *source;
	Tuplestorestate *rows;
	DestReceiver *receiver;
	TupleTableSlot *slot;
	long		together;
	bool		is_last;
	ExprContext *econtext;
} PrefetchScan;

static List *texts_of_array(FunctionCallInfo fcinfo, int n);
static PrefetchScan *begin_scan(FunctionCallInfo fcinfo, const char *query, List *paths, Jsonb *values,
								bool as_jsonb);
static ParamListInfo bind_values(const NamedText *named, const Oid *types, Jsonb *values);
static bool next_row(PrefetchScan *scan);
static void end_scan(PrefetchScan *scan);
static void scan_callback(Datum arg);
static Datum prefetch(FunctionCallInfo fcinfo, bool has_values, bool as_jsonb);

PG_FUNCTION_INFO_V1(algo_ref_prefetch);
PG_FUNCTION_INFO_V1(algo_ref_prefetch_jsonb);
PG_FUNCTION_INFO_V1(algo_ref_prefetch_query);

/*
 * algo_ref.prefetch(query, VARIADIC paths)
 */
Datum
algo_ref_prefetch(PG_FUNCTION_ARGS)
{
	return prefetch(fcinfo, false, false);
}

/*
 * algo_ref.prefetch_jsonb(query, VARIADIC paths)
 */
Datum
algo_ref_prefetch_jsonb(PG_FUNCTION_ARGS)
{
	return prefetch(fcinfo, false, true);
}

/*
 * algo_ref.prefetch_query(query, paths, params)
 */
Datum
algo_ref_prefetch_query(PG_FUNCTION_ARGS)
{
	return prefetch(fcinfo, true, false);
}

static Datum
prefetch(FunctionCallInfo fcinfo, bool has_values, bool as_jsonb)
{
	FuncCallContext *context;
	PrefetchScan *scan;
	Datum		value;
	bool		is_null;

	if (SRF_IS_FIRSTCALL())
	{
		List	   *paths;

		if (PG_ARGISNULL(0))
			ereport(ERROR,
					errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					errmsg("query must not be null"));
		paths = texts_of_array(fcinfo, 1);
		context = SRF_FIRSTCALL_INIT();
		context->user_fctx = begin_scan(fcinfo, text_to_cstring(PG_GETARG_TEXT_PP(0)), paths,
										has_values && !PG_ARGISNULL(2) ? PG_GETARG_JSONB_P(2) : NULL, as_jsonb);
	}
	context = SRF_PERCALL_SETUP();
	scan = context->user_fctx;
	if (!next_row(scan))
	{
		end_scan(scan);
		SRF_RETURN_DONE(context);
	}
	value = slot_getattr(scan->slot, 1, &is_null);
	if (is_null)
		SRF_RETURN_NEXT_NULL(context);
	value = datumCopy(value, false, -1);
	SRF_RETURN_NEXT(context, value);
}

static List *
texts_of_array(FunctionCallInfo fcinfo, int n)
{
	List	   *texts = NIL;
	Datum	   *items;
	bool	   *nulls;
	int			count;

	if (PG_ARGISNULL(n))
		return NIL;
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(n), TEXTOID, -1, false, TYPALIGN_INT, &items, &nulls, &count);
	for (int i = 0; i < count; i++)
	{
		if (nulls[i])
			ereport(ERROR,
					errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					errmsg("a path must not be null"));
		texts = lappend(texts, TextDatumGetCString(items[i]));
	}
	return texts;
}

/*
 * Write and plan the statement, and open a portal for it, under the caller's
 * snapshot.
 */
static PrefetchScan *
begin_scan(FunctionCallInfo fcinfo, const char *query, List *paths, Jsonb *values, bool as_jsonb)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	MemoryContext context = fcinfo->flinfo->fn_extra ?
	((FuncCallContext *) fcinfo->flinfo->fn_extra)->multi_call_memory_ctx : CurrentMemoryContext;
	MemoryContext old;
	PrefetchScan *scan;
	PrefetchQuery *read = ar_prefetch_read_query(query);
	NamedText  *named = ar_parameter_number(ar_prefetch_sql(read, ar_prefetch_tree(paths), as_jsonb));
	RawStmt    *statement = ar_prefetch_parse(read, named->text);
	Oid		   *types = palloc0(sizeof(Oid) * Max(named->count, 1));
	int			type_count = named->count;
	Query	   *analyzed;
	ParamListInfo params;
	CachedPlan *plan;
	ErrorContextCallback callback = {.previous = error_context_stack,
	.callback = ar_prefetch_error_callback,.arg = unconstify(char *, named->shown)};

	old = MemoryContextSwitchTo(context);
	scan = palloc0(sizeof(PrefetchScan));
	scan->econtext = result->econtext;
	scan->source = CreateCachedPlan(statement, named->text, CMDTAG_SELECT);
	MemoryContextSwitchTo(old);
	error_context_stack = &callback;
	analyzed = parse_analyze_varparams(statement, named->text, &types, &type_count, NULL);
	error_context_stack = callback.previous;
	CompleteCachedPlan(scan->source, pg_rewrite_query(analyzed), NULL, types, type_count, NULL, NULL, 0, true);
	MemoryContextSwitchTo(context);
	params = bind_values(named, types, values);
	SaveCachedPlan(scan->source);
	RegisterExprContextCallback(scan->econtext, scan_callback, PointerGetDatum(scan));
	plan = GetCachedPlan(scan->source, params, NULL, NULL);
	scan->portal = CreateNewPortal();
	scan->portal->visible = false;
	PortalDefineQuery(scan->portal, NULL, pstrdup(named->text), CMDTAG_SELECT, plan->stmt_list, plan);
	PortalStart(scan->portal, params, 0, GetActiveSnapshot());
	scan->rows = tuplestore_begin_heap(false, false, work_mem);
	scan->receiver = CreateDestReceiver(DestTuplestore);
	SetTuplestoreDestReceiverParams(scan->receiver, scan->rows, context, false, NULL, NULL);
	scan->slot = MakeSingleTupleTableSlot(CreateTupleDescCopy(scan->portal->tupDesc), &TTSOpsMinimalTuple);
	scan->together = 1;
	MemoryContextSwitchTo(old);
	return scan;
}

/*
 * The values of the parameters; 42P02 for one that has none.
 */
static ParamListInfo
bind_values(const NamedText *named, const Oid *types, Jsonb *values)
{
	ParamListInfo params;

	if (named->count == 0)
		return NULL;
	if (values && !JB_ROOT_IS_OBJECT(values))
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("params must be an object"));
	params = makeParamList(named->count);
	for (int i = 0; i < named->count; i++)
	{
		ParamExternData *param = &params->params[i];
		JsonbValue *value = NULL;
		char	   *text;
		Oid			input;
		Oid			io_parameter;

		if (values)
			value = getKeyJsonValueFromContainer(&values->root, named->names[i], strlen(named->names[i]), NULL);
		if (value == NULL)
			ereport(ERROR,
					errcode(ERRCODE_UNDEFINED_PARAMETER),
					errmsg("parameter \"%s\" has no value", named->names[i]),
					errhint("algo_ref.prefetch_query(query, paths, params) takes an object with a value for each :name."));
		text = ar_parameter_value(value, types[i], named->names[i]);

		getTypeInputInfo(types[i], &input, &io_parameter);
		param->ptype = types[i];
		param->pflags = PARAM_FLAG_CONST;
		param->isnull = text == NULL;

		param->value = OidInputFunctionCall(input, text, io_parameter, -1);
	}
	return params;
}

static bool
next_row(PrefetchScan *scan)
{
	while (!tuplestore_gettupleslot(scan->rows, true, false, scan->slot))
	{
		uint64		count;

		if (scan->is_last)
			return false;
		tuplestore_clear(scan->rows);
		count = PortalRunFetch(scan->portal, FETCH_FORWARD, scan->together, scan->receiver);
		scan->is_last = count < (uint64) scan->together;
		scan->together = Min(scan->together * 4, ROWS_TOGETHER);
	}
	return true;
}

static void
end_scan(PrefetchScan *scan)
{
	UnregisterExprContextCallback(scan->econtext, scan_callback, PointerGetDatum(scan));
	scan_callback(PointerGetDatum(scan));
}

/*
 * Also when the caller wants no more rows.  After an error the end of the
 * transaction has seen to the portal.
 */
static void
scan_callback(Datum arg)
{
	PrefetchScan *scan = (PrefetchScan *) DatumGetPointer(arg);

	if (scan->slot)
		ExecDropSingleTupleTableSlot(scan->slot);
	scan->slot = NULL;
	if (scan->rows)
		tuplestore_end(scan->rows);
	scan->rows = NULL;
	if (scan->portal)
		PortalDrop(scan->portal, false);
	scan->portal = NULL;
	if (scan->source)
		DropCachedPlan(scan->source);
	scan->source = NULL;
}
