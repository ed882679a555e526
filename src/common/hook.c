/*
 * hook.c: functions of the user's that are called on the way.
 *
 * A hook runs with the rights of whoever migrates or registers, so both the
 * role that added it and the owner of its function have to be trusted.  Where
 * there are no hooks, one look at an empty table is all that it costs.
 *
 * The function is kept by name: a table with a column of type regprocedure
 * would stop pg_upgrade.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/objectaccess.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "common/compat.h"
#include "common/hook.h"
#include "common/permission.h"
#include "common/settings.h"
#include "common/state_table.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "nodes/pg_list.h"
#include "parser/parse_func.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/json.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/regproc.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

/* How the text of a hook's function ends. */
#define ARGUMENTS "(jsonb)"

enum HookColumn
{
	Anum_hook_id = 1,
	Anum_hook_event,
	Anum_hook_function,
	Anum_hook_author,
	Anum_hook_created_at,
	Natts_hook = Anum_hook_created_at
};

typedef struct Hook
{
	ItemPointerData tid;
	int64		id;
	HookEvent	event;
	char	   *function;		/* schema.name(jsonb) */
	char	   *author;
	TimestampTz created_at;
	bool		pins_role;		/* the role that has connected does not trust
								 * it */
	FmgrInfo	flinfo;
} Hook;

struct HookSet
{
	List	   *hooks;			/* of Hook *, in the order of their ids */
};

static const char *const event_names[] = {
	"before_run", "before_step", "after_step", "after_run", "after_revision"
};

static HookEvent event_argument(FunctionCallInfo fcinfo);
static char *signature_of(Oid function);
static void check_function(Oid function);
static char *known_signature(const char *text);
static List *read_hooks(StateTable *table);
static int	compare_hooks(const ListCell *a, const ListCell *b);
static Hook *find_hook(List *hooks, HookEvent event, const char *function);
static void hook_values(const Hook *hook, Datum *values, bool *nulls);
static void check_hook(Hook *hook);
static Oid	function_of(const Hook *hook);
static void call_hook(Hook *hook, Datum argument);
static void hook_error_callback(void *arg);

PG_FUNCTION_INFO_V1(algo_ref_add_hook);
PG_FUNCTION_INFO_V1(algo_ref_drop_hook);

/*
 * algo_ref.add_hook(event, function)
 */
Datum
algo_ref_add_hook(PG_FUNCTION_ARGS)
{
	HookEvent	event = event_argument(fcinfo);
	Hook		hook = {.event = event};
	Hook	   *old;
	StateTable *table;
	Datum		values[Natts_hook];
	bool		nulls[Natts_hook];

	if (PG_ARGISNULL(1))
		ereport(ERROR,
				errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				errmsg("%s must not be null", "function"));
	PreventCommandIfReadOnly("algo_ref.add_hook()");
	check_function(PG_GETARG_OID(1));
	hook.function = signature_of(PG_GETARG_OID(1));
	hook.author = GetUserNameFromId(GetUserId(), false);
	hook.created_at = GetCurrentTimestamp();

	table = ar_state_table_open("hook", ShareRowExclusiveLock);
	old = find_hook(read_hooks(table), event, hook.function);
	hook.id = old ? old->id : ar_state_table_nextval("hook_id_seq");
	hook_values(&hook, values, nulls);
	if (old)
		ar_state_table_update(table, &old->tid, values, nulls);
	else
		ar_state_table_insert(table, values, nulls);
	ar_state_table_close(table);
	PG_RETURN_TEXT_P(cstring_to_text(hook.function));
}

/*
 * algo_ref.drop_hook(event, function)
 */
Datum
algo_ref_drop_hook(PG_FUNCTION_ARGS)
{
	HookEvent	event = event_argument(fcinfo);
	char	   *function;
	char	   *signature;
	StateTable *table;
	List	   *hooks;
	Hook	   *hook;

	if (PG_ARGISNULL(1))
		ereport(ERROR,
				errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				errmsg("%s must not be null", "function"));
	PreventCommandIfReadOnly("algo_ref.drop_hook()");
	function = text_to_cstring(PG_GETARG_TEXT_PP(1));

	table = ar_state_table_open("hook", ShareRowExclusiveLock);
	hooks = read_hooks(table);
	hook = find_hook(hooks, event, function);
	if (hook == NULL && (signature = known_signature(function)) != NULL)
		hook = find_hook(hooks, event, signature);
	if (hook == NULL)
		ereport(ERROR,
				errcode(ERRCODE_UNDEFINED_OBJECT),
				errmsg("there is no hook \"%s\" for event \"%s\"", function, event_names[event]),
				errhint("The table algo_ref.hook lists all hooks."));
	function = hook->function;
	ar_state_table_delete(table, &hook->tid);
	ar_state_table_close(table);
	PG_RETURN_TEXT_P(cstring_to_text(function));
}

/*
 * The hooks of the events whose bits are in "events"; NULL if there are none.
 * They belong to the current memory context.
 *
 * Raises 42501 for a hook that the caller does not trust or may not execute,
 * and 42883 for one whose function is gone.
 */
HookSet *
ar_hook_load(int events)
{
	StateTable *table = ar_state_table_open("hook", AccessShareLock);
	HookSet    *set = NULL;
	ListCell   *cell;

	foreach(cell, read_hooks(table))
	{
		Hook	   *hook = lfirst(cell);

		if ((events & AR_HOOK_BIT(hook->event)) == 0)
			continue;
		check_hook(hook);
		if (set == NULL)
			set = palloc0(sizeof(HookSet));
		set->hooks = lappend(set->hooks, hook);
	}
	ar_state_table_close(table);
	return set;
}

/*
 * Has an event a hook?
 */
bool
ar_hook_wants(const HookSet *hooks, HookEvent event)
{
	ListCell   *cell;

	if (hooks == NULL)
		return false;
	foreach(cell, hooks->hooks)
	{
		if (((Hook *) lfirst(cell))->event == event)
			return true;
	}
	return false;
}

/*
 * Call the hooks of an event, in the order in which they were added, with an
 * argument made by ar_hook_json_end().
 */
void
ar_hook_run(const HookSet *hooks, HookEvent event, const char *json)
{
	Datum		argument;
	ListCell   *cell;

	if (!ar_hook_wants(hooks, event))
		return;
	argument = DirectFunctionCall1(jsonb_in, CStringGetDatum(json));
	foreach(cell, hooks->hooks)
	{
		Hook	   *hook = lfirst(cell);

		if (hook->event == event)
			call_hook(hook, argument);
	}
}

void
ar_hook_json_begin(StringInfo json, HookEvent event)
{
	initStringInfo(json);
	appendStringInfo(json, "{\"event\": \"%s\"", event_names[event]);
}

/*
 * Add a text; NULL becomes null.
 */
void
ar_hook_json_text(StringInfo json, const char *name, const char *value)
{
	appendStringInfo(json, ", \"%s\": ", name);
	if (value)
		escape_json(json, value);
	else
		appendStringInfoString(json, "null");
}

void
ar_hook_json_integer(StringInfo json, const char *name, int64 value)
{
	appendStringInfo(json, ", \"%s\": " INT64_FORMAT, name, value);
}

char *
ar_hook_json_end(StringInfo json)
{
	appendStringInfoChar(json, '}');
	return json->data;
}

static HookEvent
event_argument(FunctionCallInfo fcinfo)
{
	char	   *name;

	if (PG_ARGISNULL(0))
		ereport(ERROR,
				errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				errmsg("%s must not be null", "event"));
	name = text_to_cstring(PG_GETARG_TEXT_PP(0));
	for (int i = 0; i < lengthof(event_names); i++)
	{
		if (strcmp(event_names[i], name) == 0)
			return (HookEvent) i;
	}
	ereport(ERROR,
			errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			errmsg("there is no event \"%s\"", name),
			errhint("Events are before_run, before_step, after_step, after_run and after_revision."));
}

static char *
signature_of(Oid function)
{
	char	   *name = quote_qualified_identifier(get_namespace_name(get_func_namespace(function)),
												  get_func_name(function));

	return psprintf("%s%s", name, ARGUMENTS);
}

/*
 * Raise 42883 or 42809 unless a function can be a hook.
 */
static void
check_function(Oid function)
{
	HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	Form_pg_proc proc;

	if (!HeapTupleIsValid(tuple))
		ereport(ERROR,
				errcode(ERRCODE_UNDEFINED_FUNCTION),
				errmsg("function with OID %u does not exist", function));
	proc = (Form_pg_proc) GETSTRUCT(tuple);
	if (proc->prokind != PROKIND_FUNCTION || proc->proretset ||
		proc->pronargs != 1 || proc->proargtypes.values[0] != JSONBOID)
		ereport(ERROR,
				errcode(ERRCODE_WRONG_OBJECT_TYPE),
				errmsg("function %s cannot be a hook", format_procedure(function)),
				errdetail("A hook is a plain function with one argument of type jsonb, and returns no set."));
	ReleaseSysCache(tuple);
}

/*
 * What a text that names an existing function is in algo_ref.hook, else NULL.
 */
static char *
known_signature(const char *text)
{
	LOCAL_FCINFO(fcinfo, 1);
	Datum		function;

	InitFunctionCallInfoData(*fcinfo, NULL, 1, InvalidOid, NULL, NULL);
	fcinfo->args[0].value = CStringGetTextDatum(text);
	fcinfo->args[0].isnull = false;
	function = to_regprocedure(fcinfo);
	return fcinfo->isnull ? NULL : signature_of(DatumGetObjectId(function));
}

static List *
read_hooks(StateTable *table)
{
	TupleDesc	desc = RelationGetDescr(ar_state_table_relation(table));
	StateScan  *scan = ar_state_scan_begin(table, NULL, NULL, 0, NULL);
	List	   *hooks = NIL;
	HeapTuple	tuple;

	while ((tuple = ar_state_scan_next(scan)) != NULL)
	{
		Hook	   *hook = palloc0(sizeof(Hook));
		Datum		value[Natts_hook];
		bool		isnull[Natts_hook];
		char	   *event;

		heap_deform_tuple(tuple, desc, value, isnull);
		hook->tid = tuple->t_self;
		hook->id = DatumGetInt64(value[Anum_hook_id - 1]);
		hook->function = TextDatumGetCString(value[Anum_hook_function - 1]);
		hook->author = pstrdup(NameStr(*DatumGetName(value[Anum_hook_author - 1])));
		hook->created_at = DatumGetTimestampTz(value[Anum_hook_created_at - 1]);
		event = TextDatumGetCString(value[Anum_hook_event - 1]);
		while (hook->event < lengthof(event_names) &&
			   strcmp(event_names[hook->event], event) != 0)
			hook->event++;
		hooks = lappend(hooks, hook);
	}
	ar_state_scan_end(scan);
	list_sort(hooks, compare_hooks);
	return hooks;
}

static int
compare_hooks(const ListCell *a, const ListCell *b)
{
	const Hook *left = lfirst(a);
	const Hook *right = lfirst(b);

	return left->id < right->id ? -1 : left->id > right->id;
}

static Hook *
find_hook(List *hooks, HookEvent event, const char *function)
{
	ListCell   *cell;

	foreach(cell, hooks)
	{
		Hook	   *hook = lfirst(cell);

		if (hook->event == event && strcmp(hook->function, function) == 0)
			return hook;
	}
	return NULL;
}

static void
hook_values(const Hook *hook, Datum *values, bool *nulls)
{
	Name		author = palloc0(sizeof(NameData));

	namestrcpy(author, hook->author);
	memset(nulls, 0, Natts_hook * sizeof(bool));
	values[Anum_hook_id - 1] = Int64GetDatum(hook->id);
	values[Anum_hook_event - 1] = CStringGetTextDatum(event_names[hook->event]);
	values[Anum_hook_function - 1] = CStringGetTextDatum(hook->function);
	values[Anum_hook_author - 1] = NameGetDatum(author);
	values[Anum_hook_created_at - 1] = TimestampTzGetDatum(hook->created_at);
}

/*
 * Make a hook ready to be called by the current user.
 */
static void
check_hook(Hook *hook)
{
	Oid			function = function_of(hook);
	HeapTuple	tuple;
	Oid			owner;
	AclResult	result;

	if (!ar_permission_trusts_author(hook->author))
		ereport(ERROR,
				errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				errmsg("hook \"%s\" for event \"%s\" cannot be trusted",
					   hook->function, event_names[hook->event]),
				errdetail_internal("%s", ar_permission_distrust_detail(hook->author)),
				errhint("Review it, then add it again by SELECT algo_ref.add_hook(%s, %s).",
						quote_literal_cstr(event_names[hook->event]),
						quote_literal_cstr(hook->function)));
	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for function %u", function);
	owner = ((Form_pg_proc) GETSTRUCT(tuple))->proowner;
	ReleaseSysCache(tuple);
	check_function(function);
	if (!ar_permission_trusts_role(owner))
		ereport(ERROR,
				errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				errmsg("hook \"%s\" for event \"%s\" cannot be trusted",
					   hook->function, event_names[hook->event]),
				errdetail("The owner of its function is role \"%s\", which is neither role \"%s\" nor a member of it nor a superuser.",
						  GetUserNameFromId(owner, false), GetUserNameFromId(GetUserId(), false)),
				errhint("Review the function, and give it to a role that is trusted by ALTER FUNCTION ... OWNER TO."));
	result = object_aclcheck(ProcedureRelationId, function, GetUserId(), ACL_EXECUTE);
	if (result != ACLCHECK_OK)
		aclcheck_error(result, OBJECT_FUNCTION, hook->function);
	hook->pins_role = !ar_permission_session_trusts(owner) ||
		!ar_permission_session_trusts(get_role_oid(hook->author, false));
	fmgr_info(function, &hook->flinfo);
}

static Oid
function_of(const Hook *hook)
{
	static const Oid argument = JSONBOID;
	size_t		length = strlen(hook->function) - strlen(ARGUMENTS);
	char	   *name = pnstrdup(hook->function, length);
	Oid			function = LookupFuncName(stringToQualifiedNameList(name, NULL), 1,
										  &argument, true);

	if (!OidIsValid(function))
		ereport(ERROR,
				errcode(ERRCODE_UNDEFINED_FUNCTION),
				errmsg("function %s, a hook for event \"%s\", does not exist",
					   hook->function, event_names[hook->event]),
				errhint("SELECT algo_ref.drop_hook(%s, %s) takes the hook away.",
						quote_literal_cstr(event_names[hook->event]),
						quote_literal_cstr(hook->function)));
	return function;
}

static void
call_hook(Hook *hook, Datum argument)
{
	LOCAL_FCINFO(fcinfo, 1);
	ErrorContextCallback error_callback;
	SettingsScope settings;

	error_callback.callback = hook_error_callback;
	error_callback.arg = hook;
	error_callback.previous = error_context_stack;
	error_context_stack = &error_callback;

	ar_settings_begin(&settings);
	if (hook->pins_role)
		ar_permission_pin_role();
	InvokeFunctionExecuteHook(hook->flinfo.fn_oid);
	CommandCounterIncrement();
	PushActiveSnapshot(GetTransactionSnapshot());
	InitFunctionCallInfoData(*fcinfo, &hook->flinfo, 1, DEFAULT_COLLATION_OID, NULL, NULL);
	fcinfo->args[0].value = argument;
	fcinfo->args[0].isnull = false;
	(void) FunctionCallInvoke(fcinfo);
	PopActiveSnapshot();
	CommandCounterIncrement();
	ar_settings_end(&settings);

	error_context_stack = error_callback.previous;
}

static void
hook_error_callback(void *arg)
{
	Hook	   *hook = arg;

	errcontext("hook \"%s\" for event \"%s\"", hook->function, event_names[hook->event]);
}
