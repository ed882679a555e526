/*
 * prefetch_statement.c: statements that are prepared once and run often.
 *
 * They go through the plan cache, which plans them again when a table, a
 * policy or the role has changed, and through the executor as the caller, so
 * that privileges, policies and hooks are those of any query.  They run under
 * the caller's snapshot.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "common/compat.h"
#include "common/parameter.h"
#include "executor/executor.h"
#include "nodes/nodeFuncs.h"
#include "parser/analyze.h"
#include "parser/parser.h"
#include "prefetch/prefetch.h"
#include "tcop/tcopprot.h"
#include "tcop/utility.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/snapmgr.h"

static Datum parameter_value(Jsonb *values, const char *name, Oid type, bool *isnull);
static CachedPlan *get_plan(PrefetchStatement *statement, ParamListInfo params, ResourceOwner owner);
static bool scans_whole_table(Plan *plan);

/*
 * Prepare a statement whose parameters have names: those of arrays of keys,
 * of "key_types", and the caller's, whose types follow from their use.
 * "parsed" is the statement as parsed, or NULL.  It belongs to the current
 * memory context, its plan to the session until ar_prefetch_forget().
 */
PrefetchStatement *
ar_prefetch_prepare(const char *sql, RawStmt *parsed, int key_count, const Oid *key_types,
					int name_count, char **names, int cursor_options)
{
	PrefetchStatement *statement = palloc0(sizeof(PrefetchStatement));
	ErrorContextCallback callback = {.previous = error_context_stack,
	.callback = ar_prefetch_text_error_callback,.arg = unconstify(char *, sql)};
	MemoryContext work = AllocSetContextCreate(CurrentMemoryContext, "algo_ref prefetch prepare",
											   ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = CurrentMemoryContext;
	Oid		   *types;
	int			type_count = name_count;
	Query	   *query;
	List	   *queries;
	CachedPlanSource *source;

	error_context_stack = &callback;
	MemoryContextSwitchTo(work);
	if (parsed == NULL)
		parsed = linitial_node(RawStmt, raw_parser(sql, RAW_PARSE_DEFAULT));
	types = palloc0(sizeof(Oid) * Max(type_count, 1));
	for (int i = 0; i < name_count; i++)
	{
		int			key = ar_prefetch_key_number(names[i]);

		if (key > 0 && key <= key_count)
			types[i] = key_types[key - 1];
	}
	source = CreateCachedPlan(parsed, sql, CreateCommandTag(parsed->stmt));
	query = parse_analyze_varparams(copyObject(parsed), sql, &types, &type_count, NULL);
	for (int i = 0; i < type_count; i++)
	{
		if (!OidIsValid(types[i]))
			types[i] = TEXTOID;
	}
	queries = pg_rewrite_query(query);
	CompleteCachedPlan(source, queries, NULL, types, type_count, NULL, NULL, cursor_options, true);
	error_context_stack = callback.previous;
	MemoryContextSwitchTo(old);

	statement->sql = pstrdup(sql);
	statement->names = names;
	statement->type_count = type_count;
	statement->types = memcpy(palloc(sizeof(Oid) * Max(type_count, 1)), types,
							  sizeof(Oid) * type_count);
	SaveCachedPlan(source);
	statement->source = source;
	MemoryContextDelete(work);
	return statement;
}

void
ar_prefetch_forget(PrefetchStatement *statement)
{
	if (statement->source)
		DropCachedPlan(statement->source);
	statement->source = NULL;
}

/*
 * The number of a parameter that stands for an array of keys, from its name; 0
 * for one of the caller's.
 */
int
ar_prefetch_key_number(const char *name)
{
	size_t		length = strlen(AR_PREFETCH_KEY_PARAMETER);

	return strncmp(name, AR_PREFETCH_KEY_PARAMETER, length) == 0 ? atoi(name + length) : 0;
}

/*
 * The parameters of a statement: arrays of keys, and the values of the
 * caller's parameters.  Raises 42P02 for one that has no value.
 */
ParamListInfo
ar_prefetch_parameters(const PrefetchStatement *statement, const Datum *keys, Jsonb *values)
{
	ParamListInfo params;

	if (statement->type_count == 0)
		return NULL;
	params = makeParamList(statement->type_count);
	for (int i = 0; i < statement->type_count; i++)
	{
		ParamExternData *param = &params->params[i];
		int			key = ar_prefetch_key_number(statement->names[i]);

		param->isnull = false;
		param->pflags = PARAM_FLAG_CONST;
		param->ptype = statement->types[i];
		if (key > 0)
			param->value = keys[key - 1];
		else
			param->value = parameter_value(values, statement->names[i], param->ptype,
										   &param->isnull);
	}
	return params;
}

static Datum
parameter_value(Jsonb *values, const char *name, Oid type, bool *isnull)
{
	JsonbValue *value = NULL;
	char	   *text;
	Oid			input;
	Oid			io_parameter;

	if (values)
	{
		JsonbValue	key = {.type = jbvString};

		key.val.string.val = unconstify(char *, name);
		key.val.string.len = strlen(name);
		value = findJsonbValueFromContainer(&values->root, JB_FOBJECT, &key);
	}
	if (value == NULL)
		ereport(ERROR,
				errcode(ERRCODE_UNDEFINED_PARAMETER),
				errmsg("parameter \"%s\" has no value", name),
				errhint("algo_ref.prefetch_query(query, paths, params) takes an object with a value for each :name."));
	text = ar_parameter_value(value, type, name);
	*isnull = text == NULL;

	getTypeInputInfo(type, &input, &io_parameter);
	return OidInputFunctionCall(input, text, io_parameter, -1);
}

/*
 * The plan, made if there is none.  To the planner a page is far away, as it is
 * when it has to be read; to sort the few rows of some keys by their pages takes
 * longer than to fetch them.
 */
static CachedPlan *
get_plan(PrefetchStatement *statement, ParamListInfo params, ResourceOwner owner)
{
	CachedPlan *plan;
	int			nest_level = 0;

	if (statement->avoids_bitmaps)
	{
		nest_level = NewGUCNestLevel();
		(void) set_config_option("enable_bitmapscan", "off", PGC_USERSET, PGC_S_SESSION,
								 GUC_ACTION_SAVE, true, 0, false);
	}
	plan = GetCachedPlan(statement->source, params, owner, NULL);
	if (statement->avoids_bitmaps)
		AtEOXact_GUC(false, nest_level);
	return plan;
}

/*
 * Begin to run a statement; its rows go to "receiver" when they are fetched.
 */
void
ar_prefetch_begin(PrefetchRun *run, PrefetchStatement *statement, ParamListInfo params,
				  DestReceiver *receiver)
{
	PlannedStmt *planned;

	run->owner = CurrentResourceOwner;
	run->plan = get_plan(statement, params, run->owner);
	planned = linitial_node(PlannedStmt, run->plan->stmt_list);
	run->query = CreateQueryDesc(planned, statement->sql, GetActiveSnapshot(), InvalidSnapshot,
								 receiver, params, NULL, 0);
	ExecutorStart(run->query, 0);
}

/*
 * What the transaction's abort releases needs no end.
 */
void
ar_prefetch_end(PrefetchRun *run)
{
	if (run->query == NULL)
		return;
	ExecutorFinish(run->query);
	ExecutorEnd(run->query);
	FreeQueryDesc(run->query);
	run->query = NULL;
	ReleaseCachedPlan(run->plan, run->owner);
}

/*
 * Raise the server's error if the caller may not read what a statement reads.
 */
void
ar_prefetch_check_rights(PrefetchStatement *statement)
{
	CachedPlan *plan = get_plan(statement, NULL, CurrentResourceOwner);

	(void) ar_check_permissions(linitial_node(PlannedStmt, plan->stmt_list));
	ReleaseCachedPlan(plan, CurrentResourceOwner);
}

/*
 * Does the plan for all keys read a table from end to end?  With an array of
 * unknown length that compares every row with every key.
 */
bool
ar_prefetch_scans_whole_table(PrefetchStatement *statement)
{
	CachedPlan *plan = get_plan(statement, NULL, CurrentResourceOwner);
	bool		result = scans_whole_table(linitial_node(PlannedStmt, plan->stmt_list)->planTree);

	ReleaseCachedPlan(plan, CurrentResourceOwner);
	return result;
}

static bool
scans_whole_table(Plan *plan)
{
	List	   *parts = NIL;
	ListCell   *cell;

	if (plan == NULL)
		return false;
	switch (nodeTag(plan))
	{
		case T_SeqScan:
			return true;
		case T_Append:
			parts = ((Append *) plan)->appendplans;
			break;
		case T_MergeAppend:
			parts = ((MergeAppend *) plan)->mergeplans;
			break;
		case T_SubqueryScan:
			parts = list_make1(((SubqueryScan *) plan)->subplan);
			break;
		default:
			break;
	}
	foreach(cell, parts)
	{
		if (scans_whole_table(lfirst(cell)))
			return true;
	}
	return scans_whole_table(plan->lefttree) || scans_whole_table(plan->righttree);
}
