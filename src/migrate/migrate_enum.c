/*
 * migrate_enum.c: does a plan use a label that it adds to a type which exists
 * already?
 *
 * The server refuses that within one transaction, so it is asked before
 * anything runs.  What uses a label is found by tokens: a statement that has
 * the label as a string, together with the name of the type or of a relation
 * with a column of it.  A use that hides from that meets the server's error,
 * which undoes the run.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/dependency.h"
#include "catalog/indexing.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_enum.h"
#include "catalog/pg_type.h"
#include "migrate/migrate.h"
#include "nodes/makefuncs.h"
#include "parser/parse_type.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/syscache.h"

/* A label that a script of the plan adds to a type that exists. */
typedef struct AddedLabel
{
	const char *label;
	const char *type;
	const char *revision;
	int			line;
	List	   *words;			/* names that go with a use of it */
} AddedLabel;

static List *check_script(MigrationRun *run, const StoredScript *script, const char *text, List *added);
static bool may_add_label(const char *text);
static bool may_use_label(const char *text, List *added);
static const char *find_ignoring_case(const char *text, const char *word);
static void check_uses(MigrationRun *run, const StoredScript *script, const char *text,
					   ScriptStatement *statement, List *added);
static AddedLabel *added_label(const ScriptEnumLabel *label, const char *revision, int line);
static List *relations_with(Oid type);

/*
 * Raises 55P04.
 */
void
ar_migrate_enum_check(MigrationRun *run, Snapshot snapshot)
{
	const RevisionMap *map = run->plan->map;
	List	   *added = NIL;
	int			nest_level = NewGUCNestLevel();

	/* types are looked for as the scripts will */
	if (run->search_path)
		(void) set_config_option("search_path", run->search_path, PGC_USERSET, PGC_S_SESSION,
								 GUC_ACTION_SAVE, true, 0, false);
	for (int32 i = 0; i < run->plan->count; i++)
	{
		MemoryContext old = MemoryContextSwitchTo(run->step_context);
		const char *id = map->revision[run->plan->step[i]].id;
		StoredScript *script = ar_revision_store_fetch(run->scripts, id, snapshot);
		const char *text = run->direction == AR_UPGRADE ? script->upgrade : script->downgrade;

		if (may_add_label(text) || may_use_label(text, added))
		{
			/* what is found in it is needed until the end */
			MemoryContextSwitchTo(old);
			added = check_script(run, script, text, added);
		}
		MemoryContextSwitchTo(old);
		MemoryContextReset(run->step_context);
	}
	AtEOXact_GUC(false, nest_level);
}

static List *
check_script(MigrationRun *run, const StoredScript *script, const char *text, List *added)
{
	List	   *statements = ar_revision_script_parse(text, run->direction, script->revision);
	List	   *labels = ar_revision_script_enum_labels(statements);
	ListCell   *cell;

	foreach(cell, statements)
	{
		ScriptStatement *statement = lfirst(cell);
		ListCell   *label_cell;

		check_uses(run, script, text, statement, added);
		foreach(label_cell, labels)
		{
			ScriptEnumLabel *label = lfirst(label_cell);
			AddedLabel *new_label;

			if (label->statement != foreach_current_index(cell) || label->type_is_new)
				continue;
			new_label = added_label(label, script->revision, statement->line);
			if (new_label)
				added = lappend(added, new_label);
		}
	}
	return added;
}

/*
 * Most scripts are known not to matter without taking them apart.
 */
static bool
may_add_label(const char *text)
{
	const char *alter = find_ignoring_case(text, "alter");

	return alter && find_ignoring_case(alter, "value");
}

static bool
may_use_label(const char *text, List *added)
{
	ListCell   *cell;

	foreach(cell, added)
		if (strstr(text, ((AddedLabel *) lfirst(cell))->label))
			return true;
	return false;
}

static const char *
find_ignoring_case(const char *text, const char *word)
{
	size_t		length = strlen(word);

	for (; *text; text++)
		if (pg_strncasecmp(text, word, length) == 0)
			return text;
	return NULL;
}

static void
check_uses(MigrationRun *run, const StoredScript *script, const char *text,
		   ScriptStatement *statement, List *added)
{
	ListCell   *cell;

	foreach(cell, added)
	{
		AddedLabel *label = lfirst(cell);

		if (!ar_revision_script_mentions(text, statement, label->label, label->words))
			continue;
		ereport(ERROR,
				errcode(ERRCODE_UNSAFE_NEW_ENUM_VALUE_USAGE),
				errmsg("label \"%s\" of type %s would be used before it is committed",
					   label->label, label->type),
				errdetail("Line %d of revision \"%s\" adds it, and line %d of the %s of revision \"%s\" uses it.",
						  label->line, label->revision, statement->line,
						  ar_revision_direction_name(run->direction), script->revision),
				strcmp(label->revision, script->revision) == 0 ?
				errhint("Split the revision in two, and apply them in two calls.") :
				errhint("Upgrade to \"%s\" in one call, and go on in the next.", label->revision));
	}
}

/*
 * The label, if its type exists and does not have it yet.
 */
static AddedLabel *
added_label(const ScriptEnumLabel *label, const char *revision, int line)
{
	TypeName   *name = makeTypeNameFromNameList(label->type_name);
	HeapTuple	type = LookupTypeName(NULL, name, NULL, true);
	AddedLabel *result;
	Oid			oid;

	if (!HeapTupleIsValid(type))
		return NULL;
	oid = ((Form_pg_type) GETSTRUCT(type))->oid;
	ReleaseSysCache(type);
	if (!type_is_enum(oid) ||
		SearchSysCacheExists2(ENUMTYPOIDNAME, ObjectIdGetDatum(oid), CStringGetDatum(label->label)))
		return NULL;
	result = palloc(sizeof(AddedLabel));
	result->label = label->label;
	result->type = format_type_be(oid);
	result->revision = pstrdup(revision);
	result->line = line;
	result->words = lappend(relations_with(oid), strVal(llast(label->type_name)));
	return result;
}

/*
 * The names of relations that have a column of the type, or of its array type.
 */
static List *
relations_with(Oid type)
{
	Relation	rel = table_open(DependRelationId, AccessShareLock);
	Oid			types[2] = {type, get_array_type(type)};
	List	   *names = NIL;

	for (int i = 0; i < lengthof(types); i++)
	{
		ScanKeyData keys[2];
		SysScanDesc scan;
		HeapTuple	tuple;

		ScanKeyInit(&keys[0], Anum_pg_depend_refclassid, BTEqualStrategyNumber, F_OIDEQ,
					ObjectIdGetDatum(TypeRelationId));
		ScanKeyInit(&keys[1], Anum_pg_depend_refobjid, BTEqualStrategyNumber, F_OIDEQ,
					ObjectIdGetDatum(types[i]));
		scan = systable_beginscan(rel, DependReferenceIndexId, true, NULL, 2, keys);
		while ((tuple = systable_getnext(scan)) != NULL)
		{
			Form_pg_depend depend = (Form_pg_depend) GETSTRUCT(tuple);
			char	   *name;

			if (depend->classid != RelationRelationId || depend->objsubid == 0)
				continue;
			name = get_rel_name(depend->objid);
			if (name)
				names = lappend(names, name);
		}
		systable_endscan(scan);
	}
	table_close(rel, AccessShareLock);
	return names;
}
