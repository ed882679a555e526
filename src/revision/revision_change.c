/*
 * revision_change.c: stored scripts change: algo_ref.edit(),
 * algo_ref.approve() and algo_ref.delete_revision().
 *
 * A full id is found without the graph, so that a graph with a cycle or a
 * dangling reference can be put right.
 */
#include "postgres.h"

#include "common/state_table.h"
#include "common/target_schema.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "revision/revision.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

static List *current_revisions(const RevisionMap *map, Snapshot snapshot);
static StoredScript *fetch_one(StateTable *scripts, const char *identifier);
static StoredScript *edited(FunctionCallInfo fcinfo, const StoredScript *old);
static void edit_downgrade(FunctionCallInfo fcinfo, StoredScript *script);
static void tell_where_applied(const char *revision);
static void check_not_applied(const char *revision);
static void check_not_needed(const char *revision);
static List *who_names(const char *revision);

PG_FUNCTION_INFO_V1(algo_ref_edit);
PG_FUNCTION_INFO_V1(algo_ref_approve);
PG_FUNCTION_INFO_V1(algo_ref_delete_revision);

/*
 * algo_ref.edit(identifier, message, upgrade, downgrade, irreversible,
 * revises, branch_labels, depends_on)
 */
Datum
algo_ref_edit(PG_FUNCTION_ARGS)
{
	char	   *identifier = ar_revision_text_argument(fcinfo, 0, "identifier");
	StateTable *scripts;
	StoredScript *old;
	StoredScript *script;
	bool		nothing = true;

	PreventCommandIfReadOnly("algo_ref.edit()");
	for (int i = 1; i < PG_NARGS(); i++)
		nothing &= PG_ARGISNULL(i);
	if (nothing)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("there is nothing to change"),
				errhint("Name what is to change, such as message => 'a better text'."));

	scripts = ar_state_table_open("script", ShareRowExclusiveLock);
	old = fetch_one(scripts, identifier);
	script = edited(fcinfo, old);
	ar_revision_check(scripts, script);
	if (!ar_revision_same_graph(old, script))
		ar_revision_head_summary_delete();
	ar_revision_store_update(scripts, script);
	ar_state_table_close(scripts);
	tell_where_applied(script->revision);
	ar_revision_run_hooks(script, "edited");
	PG_RETURN_TEXT_P(cstring_to_text(script->revision));
}

/*
 * algo_ref.approve(identifier)
 */
Datum
algo_ref_approve(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	char	   *identifier = ar_revision_text_argument(fcinfo, 0, "identifier");
	char	   *author = GetUserNameFromId(GetUserId(), false);
	StateTable *scripts;
	ListCell   *cell;

	PreventCommandIfReadOnly("algo_ref.approve()");
	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	scripts = ar_state_table_open("script", ShareRowExclusiveLock);
	foreach(cell, ar_revision_ids_of(scripts, identifier, NULL))
	{
		StoredScript *script = ar_revision_store_fetch(scripts, lfirst(cell), NULL);
		Datum		value = CStringGetTextDatum(script->revision);
		bool		isnull = false;

		if (strcmp(script->author, author) != 0)
		{
			script->author = author;
			ar_revision_store_update(scripts, script);
		}
		tuplestore_putvalues(result->setResult, result->setDesc, &value, &isnull);
	}
	ar_state_table_close(scripts);
	return (Datum) 0;
}

/*
 * algo_ref.delete_revision(identifier)
 */
Datum
algo_ref_delete_revision(PG_FUNCTION_ARGS)
{
	char	   *identifier = ar_revision_text_argument(fcinfo, 0, "identifier");
	StateTable *scripts;
	StoredScript *script;

	PreventCommandIfReadOnly("algo_ref.delete_revision()");
	scripts = ar_state_table_open("script", ShareRowExclusiveLock);
	script = fetch_one(scripts, identifier);
	check_not_needed(script->revision);
	check_not_applied(script->revision);
	ar_revision_head_summary_delete();
	ar_revision_store_delete(scripts, script);
	ar_state_table_close(scripts);
	PG_RETURN_TEXT_P(cstring_to_text(script->revision));
}

/*
 * The ids that an identifier, or a range of them, stands for: a full id is
 * found without the graph, a range gives all revisions of algo_ref.history()
 * in load order.
 */
List *
ar_revision_ids_of(StateTable *scripts, const char *identifier, Snapshot snapshot)
{
	RevisionMap *map;
	List	   *found;
	List	   *ids = NIL;
	ListCell   *cell;

	if (ar_revision_store_fetch(scripts, identifier, snapshot))
		return list_make1(pstrdup(identifier));
	map = ar_revision_map_load(snapshot);
	if (strchr(identifier, ':'))
	{
		if (ar_revision_names_current(identifier))
			identifier = ar_revision_range_expand(map, identifier, current_revisions(map, snapshot));
		found = list_copy(ar_revision_history(map, identifier));
		list_sort(found, list_int_cmp);
	}
	else if (strcmp(identifier, "current") == 0)
		found = current_revisions(map, snapshot);
	else
		found = ar_revision_resolve_list(map, identifier);
	foreach(cell, found)
		ids = lappend(ids, pstrdup(map->revision[lfirst_int(cell)].id));
	ar_revision_map_free(map);
	return ids;
}

/*
 * The current revisions of the current schema.
 */
static List *
current_revisions(const RevisionMap *map, Snapshot snapshot)
{
	return ar_revision_current(map, ar_revision_row_ids(ar_target_schema_default(), snapshot));
}

/*
 * The one script that an identifier stands for.
 */
static StoredScript *
fetch_one(StateTable *scripts, const char *identifier)
{
	StoredScript *script = ar_revision_store_fetch(scripts, identifier, NULL);
	RevisionMap *map;
	RevisionIndex r;

	if (script)
		return script;
	map = ar_revision_map_load(NULL);
	if (strcmp(identifier, "current") == 0)
	{
		List	   *current = current_revisions(map, NULL);

		if (list_length(current) > 1)
			ar_revision_refuse_several(map, identifier, current);
		r = current == NIL ? AR_BASE : linitial_int(current);
	}
	else
		r = ar_revision_resolve_one(map, identifier);
	if (r == AR_BASE)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("\"%s\" stands for no revision", identifier));
	script = ar_revision_store_fetch(scripts, map->revision[r].id, NULL);
	ar_revision_map_free(map);
	return script;
}

/*
 * The script as the arguments of edit() want it: NULL leaves a part alone.
 */
static StoredScript *
edited(FunctionCallInfo fcinfo, const StoredScript *old)
{
	StoredScript *script = palloc(sizeof(StoredScript));

	*script = *old;
	script->author = GetUserNameFromId(GetUserId(), false);
	if (!PG_ARGISNULL(1))
		script->message = text_to_cstring(PG_GETARG_TEXT_PP(1));
	if (!PG_ARGISNULL(2))
		script->upgrade = text_to_cstring(PG_GETARG_TEXT_PP(2));
	edit_downgrade(fcinfo, script);
	if (!PG_ARGISNULL(5))
		script->revises = ar_revision_names_argument(fcinfo, 5, "revises");
	if (!PG_ARGISNULL(6))
		script->branch_labels = ar_revision_names_argument(fcinfo, 6, "branch_labels");
	if (!PG_ARGISNULL(7))
		script->depends_on = ar_revision_names_argument(fcinfo, 7, "depends_on");
	return script;
}

static void
edit_downgrade(FunctionCallInfo fcinfo, StoredScript *script)
{
	if (!PG_ARGISNULL(3))
		script->downgrade = text_to_cstring(PG_GETARG_TEXT_PP(3));
	if (PG_ARGISNULL(4))
		return;
	if (PG_GETARG_BOOL(4))
	{
		if (!PG_ARGISNULL(3))
			ereport(ERROR,
					errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					errmsg("an irreversible revision cannot have a downgrade script"));
		script->downgrade = NULL;
	}
	else if (script->downgrade == NULL)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("revision \"%s\" has no downgrade script", script->revision),
				errhint("Give one; '' stands for nothing to undo."));
}

static void
tell_where_applied(const char *revision)
{
	List	   *schemas = ar_revision_applied_schemas(revision, NULL);

	if (schemas)
		ereport(NOTICE,
				errmsg_plural("revision \"%s\" is applied in schema %s, where its upgrade will not run again",
							  "revision \"%s\" is applied in schemas %s, where its upgrade will not run again",
							  list_length(schemas), revision, ar_revision_name_list(schemas)));
}

static void
check_not_applied(const char *revision)
{
	List	   *schemas = ar_revision_lock_applied(revision);

	if (schemas)
		ereport(ERROR,
				errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				errmsg_plural("revision \"%s\" is applied in schema %s",
							  "revision \"%s\" is applied in schemas %s",
							  list_length(schemas), revision, ar_revision_name_list(schemas)),
				errhint("Downgrade below it, then delete it."));
}

static void
check_not_needed(const char *revision)
{
	List	   *users = who_names(revision);

	if (users)
		ereport(ERROR,
				errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
				errmsg("revision \"%s\" cannot be deleted, because others revise it or depend on it",
					   revision),
				errdetail("These are %s.", ar_revision_name_list(users)),
				errhint("Delete them first, or give them other parents by algo_ref.edit()."));
}

/*
 * Who revises or depends on a revision, by its id or by a label.
 */
static List *
who_names(const char *revision)
{
	RevisionMap *map = ar_revision_map_load_partial(NULL);
	RevisionIndex r = ar_revision_map_find(map, revision);
	List	   *users = NIL;

	for (int32 i = 0; i < AR_LINKS_COUNT(map->dependents, r); i++)
		users = lappend(users,
						pstrdup(map->revision[AR_LINKS_ITEM(map->dependents, r, i)].id));
	ar_revision_map_free(map);
	return users;
}
