/*
 * bulk_support.c: what the planner asks about our functions.
 *
 * The rows of a call mostly are one large parameter.  The planner puts the
 * values of parameters into a plan as constants, and the plan is copied: twice
 * the memory, for nothing.  Here the constant is turned into the parameter
 * again, which the executor reads where it is.
 */
#include "postgres.h"

#include "bulk/bulk.h"
#include "fmgr.h"
#include "nodes/makefuncs.h"
#include "nodes/params.h"
#include "nodes/pathnodes.h"
#include "nodes/supportnodes.h"
#include "utils/datum.h"

/* Smaller ones are left as they are. */
#define LARGE_VALUE (64 * 1024)

/* Where our functions have the rows. */
#define ROWS_ARGUMENT 1

static Node *with_parameter(const FuncExpr *call, ParamListInfo params);

PG_FUNCTION_INFO_V1(algo_ref_bulk_support);

/*
 * algo_ref.bulk_support(internal)
 */
Datum
algo_ref_bulk_support(PG_FUNCTION_ARGS)
{
	Node	   *request = (Node *) PG_GETARG_POINTER(0);
	Node	   *result = NULL;

	if (IsA(request, SupportRequestSimplify))
	{
		SupportRequestSimplify *simplify = (SupportRequestSimplify *) request;

		if (simplify->root != NULL && simplify->root->glob->boundParams != NULL)
			result = with_parameter(simplify->fcall, simplify->root->glob->boundParams);
	}
	PG_RETURN_POINTER(result);
}

/*
 * The call with the parameter that its rows are a copy of, or NULL.
 */
static Node *
with_parameter(const FuncExpr *call, ParamListInfo params)
{
	const Const *rows = list_nth(call->args, ROWS_ARGUMENT);

	if (!IsA(rows, Const) || rows->constisnull || rows->constlen != -1 ||
		datumGetSize(rows->constvalue, false, -1) < LARGE_VALUE)
		return NULL;
	for (int i = 0; i < params->numParams; i++)
	{
		ParamExternData workspace;
		ParamExternData *param = params->paramFetch == NULL ? &params->params[i] :
		params->paramFetch(params, i + 1, true, &workspace);
		FuncExpr   *result;
		Param	   *node;

		if (param->ptype != rows->consttype || param->isnull || !(param->pflags & PARAM_FLAG_CONST) ||
			!datumIsEqual(param->value, rows->constvalue, false, -1))
			continue;
		node = makeNode(Param);
		node->paramkind = PARAM_EXTERN;
		node->paramid = i + 1;
		node->paramtype = rows->consttype;
		node->paramtypmod = rows->consttypmod;
		node->paramcollid = rows->constcollid;
		node->location = rows->location;
		result = makeNode(FuncExpr);
		memcpy(result, call, sizeof(FuncExpr));
		result->args = list_copy(call->args);
		lfirst(list_nth_cell(result->args, ROWS_ARGUMENT)) = node;
		return (Node *) result;
	}
	return NULL;
}
