/*
 * revision_register.c: new scripts: algo_ref.revision() and algo_ref.merge().
 *
 * A call with an id and its parents is a script file: it is taken as written,
 * in any order, any number of times.  Everything else is said by a person
 * about the graph as it is, and is resolved against it.
 */
#include "postgres.h"

#include "access/xact.h"
#include "common/hook.h"
#include "common/state_table.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "revision/revision.h"
#include "storage/lmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#define RANDOM_ID_BYTES 6

/* How many schemas, or revisions, a message names. */
#define NAMES_SHOWN 5

static char *nullable_text_argument(FunctionCallInfo fcinfo, int n);
static StoredScript *new_script(char *id, char *message, char *upgrade, char *downgrade);
static bool is_registered_as_is(const StoredScript *script, bool any_parents);
static void place(StoredScript *script, List *parents, bool splice, List *depends_on);
static List *resolve_parents(const RevisionMap *map, List *identifiers, bool splice);
static void check_is_head(const RevisionMap *map, RevisionIndex parent);
static List *resolve_dependencies(const RevisionMap *map, List *identifiers);
static char *random_id(StateTable *scripts);
static const char *replace(StateTable *scripts, const StoredScript *old, StoredScript *script);
static bool same_text(const StoredScript *a, const StoredScript *b);
static bool same_names(List *a, List *b);
static void tell_of_branches(StateTable *scripts, const StoredScript *script);
static char *merge_message(List *parents);

PG_FUNCTION_INFO_V1(algo_ref_revision);
PG_FUNCTION_INFO_V1(algo_ref_merge);

/*
 * algo_ref.revision(message, upgrade, downgrade, id, revises, splice,
 * branch_labels, depends_on)
 */
Datum
algo_ref_revision(PG_FUNCTION_ARGS)
{
	char	   *id = nullable_text_argument(fcinfo, 3);
	bool		parents_given = !PG_ARGISNULL(4);
	StoredScript *script;
	StoredScript *old = NULL;
	StateTable *scripts;
	List	   *parents;
	List	   *depends_on;
	const char *change = "new";

	PreventCommandIfReadOnly("algo_ref.revision()");
	script = new_script(id, ar_revision_text_argument(fcinfo, 0, "message"),
						ar_revision_text_argument(fcinfo, 1, "upgrade"),
						nullable_text_argument(fcinfo, 2));
	parents = parents_given ? ar_revision_names_argument(fcinfo, 4, "revises") :
		list_make1("head");
	if (PG_ARGISNULL(5))
		ereport(ERROR,
				errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				errmsg("%s must not be null", "splice"));
	script->branch_labels = ar_revision_names_argument(fcinfo, 6, "branch_labels");
	depends_on = ar_revision_names_argument(fcinfo, 7, "depends_on");

	/* what is there already needs no lock, so that a deploy can say it all */
	script->revises = parents;
	script->depends_on = depends_on;
	if (id && is_registered_as_is(script, !parents_given))
		PG_RETURN_TEXT_P(cstring_to_text(id));

	scripts = ar_state_table_open("script", ShareRowExclusiveLock);
	if (id)
		old = ar_revision_store_fetch(scripts, id, NULL);
	else
		script->revision = random_id(scripts);
	if (old && !parents_given)
		script->revises = old->revises;
	else if (!(id && parents_given))
		place(script, parents, PG_GETARG_BOOL(5), depends_on);
	ar_revision_check(scripts, script);
	if (old)
		change = replace(scripts, old, script);
	else
		ar_revision_store_insert(scripts, script);
	tell_of_branches(scripts, script);
	ar_state_table_close(scripts);
	if (change)
		ar_revision_run_hooks(script, change);
	PG_RETURN_TEXT_P(cstring_to_text(script->revision));
}

/*
 * algo_ref.merge(revisions, message, id, branch_labels, splice)
 */
Datum
algo_ref_merge(PG_FUNCTION_ARGS)
{
	List	   *parents = ar_revision_names_argument(fcinfo, 0, "revisions");
	char	   *message = nullable_text_argument(fcinfo, 1);
	char	   *id = nullable_text_argument(fcinfo, 2);
	StoredScript *script;
	StateTable *scripts;

	PreventCommandIfReadOnly("algo_ref.merge()");
	script = new_script(id, message, pstrdup(""), pstrdup(""));
	script->branch_labels = ar_revision_names_argument(fcinfo, 3, "branch_labels");
	if (PG_ARGISNULL(4))
		ereport(ERROR,
				errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				errmsg("%s must not be null", "splice"));

	scripts = ar_state_table_open("script", ShareRowExclusiveLock);
	if (id == NULL)
		script->revision = random_id(scripts);
	else if (ar_revision_store_fetch(scripts, id, NULL))
		ereport(ERROR,
				errcode(ERRCODE_DUPLICATE_OBJECT),
				errmsg("revision \"%s\" already exists", id));
	place(script, parents, PG_GETARG_BOOL(4), NIL);
	if (list_length(script->revises) < 2)
		ereport(ERROR,
				errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				errmsg("there is nothing to merge"),
				script->revises == NIL ?
				errdetail("The revisions given stand for none.") :
				errdetail("The revisions given stand for \"%s\" alone.",
						  (char *) linitial(script->revises)));
	if (message == NULL)
		script->message = merge_message(script->revises);
	ar_revision_check(scripts, script);
	ar_revision_store_insert(scripts, script);
	tell_of_branches(scripts, script);
	ar_state_table_close(scripts);
	ar_revision_run_hooks(script, "new");
	PG_RETURN_TEXT_P(cstring_to_text(script->revision));
}

/*
 * The names in a text[] argument.  Raises 22004 for NULLs, 22023 for an array
 * of several dimensions.
 */
List *
ar_revision_names_argument(FunctionCallInfo fcinfo, int n, const char *name)
{
	ArrayType  *array;

	if (PG_ARGISNULL(n))
		ereport(ERROR,
				errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				errmsg("%s must not be null", name));
	array = PG_GETARG_ARRAYTYPE_P(n);
	if (ARR_NDIM(array) > 1)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("%s must be an array of one dimension", name));
	if (array_contains_nulls(array))
		ereport(ERROR,
				errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				errmsg("%s must not contain nulls", name));
	return ar_revision_text_list(PointerGetDatum(array));
}

/*
 * The first few names of a list, quoted, for a message.
 */
char *
ar_revision_name_list(List *names)
{
	StringInfoData buffer;
	ListCell   *cell;

	initStringInfo(&buffer);
	foreach(cell, names)
	{
		int			i = foreach_current_index(cell);

		if (i == NAMES_SHOWN)
		{
			appendStringInfo(&buffer, " and %d more", list_length(names) - i);
			break;
		}
		appendStringInfo(&buffer, "%s\"%s\"", i ? ", " : "", (char *) lfirst(cell));
	}
	return buffer.data;
}

/*
 * The schemas in which a revision is applied, with the promise that it stays
 * so until the end of the transaction: waits for migrations that are running,
 * which have algo_ref.version open for writing from their beginning.
 */
List *
ar_revision_lock_applied(const char *revision)
{
	LockRelationOid(ar_state_table_oid("version"), ShareLock);
	return ar_revision_applied_schemas(revision, NULL);
}

/*
 * Call the hooks of event after_revision.  "change" is what happened to the
 * script: new, replaced or edited.
 */
void
ar_revision_run_hooks(const StoredScript *script, const char *change)
{
	HookSet    *hooks = ar_hook_load(AR_HOOK_BIT(AR_HOOK_AFTER_REVISION));
	StringInfoData json;

	if (!ar_hook_wants(hooks, AR_HOOK_AFTER_REVISION))
		return;
	ar_hook_json_begin(&json, AR_HOOK_AFTER_REVISION);
	ar_hook_json_text(&json, "revision", script->revision);
	ar_hook_json_text(&json, "message", script->message);
	ar_hook_json_text(&json, "change", change);
	ar_hook_run(hooks, AR_HOOK_AFTER_REVISION, ar_hook_json_end(&json));
}

/*
 * Do two versions of a script have the same place in the graph?
 */
bool
ar_revision_same_graph(const StoredScript *a, const StoredScript *b)
{
	return same_names(a->revises, b->revises) &&
		same_names(a->branch_labels, b->branch_labels) &&
		same_names(a->depends_on, b->depends_on);
}

static char *
nullable_text_argument(FunctionCallInfo fcinfo, int n)
{
	return PG_ARGISNULL(n) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(n));
}

static StoredScript *
new_script(char *id, char *message, char *upgrade, char *downgrade)
{
	StoredScript *script = palloc0(sizeof(StoredScript));

	script->revision = id;
	script->message = message;
	script->upgrade = upgrade;
	script->downgrade = downgrade;
	script->author = GetUserNameFromId(GetUserId(), false);
	script->created_at = GetCurrentTimestamp();
	return script;
}

/*
 * Is there a row that is equal to the script in all that a file says?
 */
static bool
is_registered_as_is(const StoredScript *script, bool any_parents)
{
	StoredScript *old = ar_revision_fetch(script->revision, NULL);

	return old && same_text(old, script) &&
		(any_parents || same_names(old->revises, script->revises)) &&
		same_names(old->branch_labels, script->branch_labels) &&
		same_names(old->depends_on, script->depends_on);
}

/*
 * Put a script into the graph as it is now: parents and dependencies by any
 * identifier become ids and labels.
 */
static void
place(StoredScript *script, List *parents, bool splice, List *depends_on)
{
	RevisionMap *map = ar_revision_map_load(NULL);

	script->revises = resolve_parents(map, parents, splice);
	script->depends_on = resolve_dependencies(map, depends_on);
	ar_revision_map_free(map);
}

static List *
resolve_parents(const RevisionMap *map, List *identifiers, bool splice)
{
	List	   *parents = NIL;
	ListCell   *cell;

	foreach(cell, identifiers)
	{
		ListCell   *found;

		foreach(found, ar_revision_resolve_list(map, lfirst(cell)))
		{
			RevisionIndex parent = lfirst_int(found);

			if (!splice)
				check_is_head(map, parent);
			parents = lappend(parents, pstrdup(map->revision[parent].id));
		}
	}
	return parents;
}

static void
check_is_head(const RevisionMap *map, RevisionIndex parent)
{
	List	   *children = NIL;

	if (ar_revision_is_head(map, parent))
		return;
	for (int32 i = 0; i < AR_LINKS_COUNT(map->children, parent); i++)
		children = lappend(children, unconstify(char *,
												map->revision[AR_LINKS_ITEM(map->children, parent, i)].id));
	ereport(ERROR,
			errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			errmsg("revision \"%s\" is not a head", map->revision[parent].id),
			errdetail("It is revised by %s.", ar_revision_name_list(children)),
			errhint("Say splice => true to begin a new branch there."));
}

/*
 * Dependencies are stored as full ids, except that a label stays a label.
 */
static List *
resolve_dependencies(const RevisionMap *map, List *identifiers)
{
	List	   *names = NIL;
	ListCell   *cell;

	foreach(cell, identifiers)
	{
		char	   *identifier = lfirst(cell);
		List	   *found;
		ListCell   *found_cell;

		if (ar_revision_map_find(map, identifier) != AR_BASE)
		{
			names = lappend(names, identifier);
			continue;
		}
		found = ar_revision_resolve_list(map, identifier);
		if (found == NIL)
			ereport(ERROR,
					errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					errmsg("\"%s\" names no revision to depend on", identifier));
		foreach(found_cell, found)
			names = lappend(names, pstrdup(map->revision[lfirst_int(found_cell)].id));
	}
	return names;
}

/*
 * Twelve random hexadecimal digits that are not a name yet.
 */
static char *
random_id(StateTable *scripts)
{
	unsigned char bytes[RANDOM_ID_BYTES];
	char	   *id = palloc(2 * RANDOM_ID_BYTES + 1);

	do
	{
		if (!pg_strong_random(bytes, sizeof(bytes)))
			ereport(ERROR,
					errcode(ERRCODE_INTERNAL_ERROR),
					errmsg("could not generate a random revision id"));
		hex_encode((char *) bytes, sizeof(bytes), id);
		id[2 * RANDOM_ID_BYTES] = '\0';
	} while (ar_revision_store_fetch(scripts, id, NULL) ||
			 ar_revision_store_label_owner(scripts, id));
	return id;
}

/*
 * The script of a known id has come again.  If it does the same as before,
 * the text is brought up to date, and whose it is stays.  If it does
 * something else, it takes the other's place while that is applied nowhere.
 * Returns what it was for the hooks; NULL if nothing has changed.
 */
static const char *
replace(StateTable *scripts, const StoredScript *old, StoredScript *script)
{
	bool		same_place = ar_revision_same_graph(old, script);
	List	   *schemas;

	script->tid = old->tid;
	script->load_order = old->load_order;
	if (same_place &&
		memcmp(old->checksum, script->checksum, VARSIZE(script->checksum)) == 0)
	{
		if (same_text(old, script))
			return NULL;
		script->author = old->author;
		script->created_at = old->created_at;
		ar_revision_store_update(scripts, script);
		ereport(NOTICE,
				errmsg("revision \"%s\" does the same as before; its text was updated",
					   script->revision));
		return "edited";
	}
	schemas = ar_revision_lock_applied(script->revision);
	if (schemas)
		ereport(ERROR,
				errcode(ERRCODE_DUPLICATE_OBJECT),
				errmsg("revision \"%s\" already exists with other content", script->revision),
				errdetail_plural("It is applied in schema %s.", "It is applied in schemas %s.",
								 list_length(schemas), ar_revision_name_list(schemas)),
				errhint("Register the change as a new revision, or change what is stored, without running it, by algo_ref.edit()."));
	if (!same_place)
		ar_revision_head_summary_delete();
	ar_revision_store_update(scripts, script);
	ereport(NOTICE,
			errmsg("revision \"%s\" was replaced", script->revision),
			errdetail("The one before had other content and was applied nowhere."));
	return "replaced";
}

static bool
same_text(const StoredScript *a, const StoredScript *b)
{
	return strcmp(a->message, b->message) == 0 &&
		strcmp(a->upgrade, b->upgrade) == 0 &&
		(a->downgrade == NULL) == (b->downgrade == NULL) &&
		(a->downgrade == NULL || strcmp(a->downgrade, b->downgrade) == 0);
}

static bool
same_names(List *a, List *b)
{
	ListCell   *cell_a;
	ListCell   *cell_b;

	if (list_length(a) != list_length(b))
		return false;
	forboth(cell_a, a, cell_b, b)
	{
		if (strcmp(lfirst(cell_a), lfirst(cell_b)) != 0)
			return false;
	}
	return true;
}

/*
 * Say so where the script is not the only child of a parent.
 */
static void
tell_of_branches(StateTable *scripts, const StoredScript *script)
{
	ListCell   *cell;

	foreach(cell, script->revises)
	{
		const char *parent = lfirst(cell);
		List	   *children = ar_revision_store_children(scripts, parent, 2);
		ListCell   *child;

		foreach(child, children)
		{
			if (strcmp(lfirst(child), script->revision) == 0)
				continue;
			ereport(NOTICE,
					errmsg("revision \"%s\" begins a new branch: \"%s\" revises \"%s\", too",
						   script->revision, (char *) lfirst(child), parent),
					errhint("SELECT algo_ref.merge() joins the heads."));
			break;
		}
	}
}

static char *
merge_message(List *parents)
{
	StringInfoData buffer;
	ListCell   *cell;

	initStringInfo(&buffer);
	appendStringInfoString(&buffer, "merge ");
	foreach(cell, parents)
	{
		int			i = foreach_current_index(cell);

		if (i > 0)
			appendStringInfoString(&buffer, i == list_length(parents) - 1 ? " and " : ", ");
		appendStringInfoString(&buffer, lfirst(cell));
	}
	return buffer.data;
}
