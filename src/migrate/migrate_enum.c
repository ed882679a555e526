/*
 * migrate_enum.c: does a plan use a label that it adds to an enumerated type
 * which exists already?
 *
 * The server refuses that within one transaction, so it is asked before
 * anything runs.  What uses a label is found by tokens: a statement that has
 * the label as a string, together with the name of the type or of a relation
 * with a column of it.  Within the script that adds the label only a certain
 * use counts, because such a script cannot be run in two calls.  A use that
 * hides from all that meets the server's error, which undoes the run.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/dependency.h"
#include "catalog/indexing.h"
#include "catalog/pg_depend.h"
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
	char	   *label;
	char	   *type;
	char	   *revision;
	int			line;
	List	   *words;			/* names that go with a use of it */
} AddedLabel;

struct EnumCheck
{
	MemoryContext context;
	MigrationRun *run;
	List	   *labels;			/* of AddedLabel * */
	List	   *makers;			/* texts of scripts that may make types */
};

static void check_statements(EnumCheck *check, const StoredScript *script, const char *text);
static void check_use(EnumCheck *check, const StoredScript *script, const char *text,
					  const ScriptStatement *statement, bool is_certain);
static void note_label(EnumCheck *check, const StoredScript *script, const char *text,
					   const ScriptEnumLabel *label, const ScriptStatement *statement);
static Oid	existing_type(const MigrationRun *run, List *type_name);
static bool may_be_made(const EnumCheck *check, const char *before, const char *type);
static bool may_use_label(const EnumCheck *check, const char *text);
static bool has_word(const char *text, const char *word);
static List *relations_with(Oid type);

/*
 * Begin to look through the scripts of a run.  What is noted belongs to the
 * current memory context.
 */
EnumCheck *
ar_migrate_enum_begin(MigrationRun *run)
{
	EnumCheck  *check = palloc0(sizeof(EnumCheck));

	check->context = CurrentMemoryContext;
	check->run = run;
	return check;
}

/*
 * The next script of the plan.  Raises 55P04.
 *
 * Most scripts are known not to matter without taking them apart.
 */
void
ar_migrate_enum_check(EnumCheck *check, const StoredScript *script, const char *text)
{
	MemoryContext old;

	if ((has_word(text, "type") && has_word(text, "value")) || may_use_label(check, text))
		check_statements(check, script, text);
	if (!has_word(text, "enum"))
		return;
	old = MemoryContextSwitchTo(check->context);
	check->makers = lappend(check->makers, pstrdup(text));
	MemoryContextSwitchTo(old);
}

static void
check_statements(EnumCheck *check, const StoredScript *script, const char *text)
{
	List	   *statements = ar_revision_script_parse(text, check->run->direction, script->revision);
	List	   *labels = ar_revision_script_enum_labels(statements);
	int			line;
	bool		is_certain = false;
	ListCell   *cell;

	if (!script->transactional)
		is_certain = ar_revision_script_needs_commit(text, statements, &line) != NULL;
	foreach(cell, statements)
	{
		ScriptStatement *statement = lfirst(cell);
		ListCell   *label_cell;

		check_use(check, script, text, statement, is_certain);
		foreach(label_cell, labels)
		{
			ScriptEnumLabel *label = lfirst(label_cell);

			if (label->statement == foreach_current_index(cell) && !label->type_is_new)
				note_label(check, script, text, label, statement);
		}
	}
}

static void
check_use(EnumCheck *check, const StoredScript *script, const char *text,
		  const ScriptStatement *statement, bool is_certain)
{
	ListCell   *cell;

	foreach(cell, check->labels)
	{
		AddedLabel *label = lfirst(cell);
		bool		same_script = strcmp(label->revision, script->revision) == 0;

		if ((same_script && !is_certain) ||
			!ar_revision_script_mentions(text, statement, label->label, label->words))
			continue;
		ereport(ERROR,
				errcode(ERRCODE_UNSAFE_NEW_ENUM_VALUE_USAGE),
				errmsg("label \"%s\" of type %s would be used before it is committed",
					   label->label, label->type),
				errdetail("Line %d of the %s of revision \"%s\" adds it, and line %d of that of revision \"%s\" uses it.",
						  label->line, ar_revision_direction_name(check->run->direction),
						  label->revision, statement->line, script->revision),
				same_script ?
				errhint("Split the revision in two, and apply them in two calls.") :
				errhint("Let revision \"%s\" be the last one of a call, and go on in the next.",
						label->revision));
	}
}

/*
 * A label is noted if its type exists and does not have it, and no script
 * before may have made another type of that name by then.
 */
static void
note_label(EnumCheck *check, const StoredScript *script, const char *text,
		   const ScriptEnumLabel *label, const ScriptStatement *statement)
{
	Oid			type = existing_type(check->run, label->type_name);
	AddedLabel *added;
	MemoryContext old;

	if (!OidIsValid(type) || !type_is_enum(type) ||
		SearchSysCacheExists2(ENUMTYPOIDNAME, ObjectIdGetDatum(type),
							  CStringGetDatum(label->label)) ||
		may_be_made(check, pnstrdup(text, statement->location),
					strVal(llast(label->type_name))))
		return;
	old = MemoryContextSwitchTo(check->context);
	added = palloc(sizeof(AddedLabel));
	added->label = pstrdup(label->label);
	added->type = format_type_be(type);
	added->revision = pstrdup(script->revision);
	added->line = statement->line;
	added->words = lappend(relations_with(type), pstrdup(strVal(llast(label->type_name))));
	check->labels = lappend(check->labels, added);
	MemoryContextSwitchTo(old);
}

/*
 * The type of a name, looked for as the scripts will; InvalidOid if there is
 * none yet.
 */
static Oid
existing_type(const MigrationRun *run, List *type_name)
{
	int			nest_level = NewGUCNestLevel();
	Oid			type;

	if (run->search_path)
		(void) set_config_option("search_path", run->search_path, PGC_USERSET, PGC_S_SESSION,
								 GUC_ACTION_SAVE, true, 0, false);
	type = LookupTypeNameOid(NULL, makeTypeNameFromNameList(type_name), true);
	AtEOXact_GUC(false, nest_level);
	return type;
}

/*
 * Does a script before, or the part of this one before the label, speak of
 * enumerated types and of that name?
 */
static bool
may_be_made(const EnumCheck *check, const char *before, const char *type)
{
	ListCell   *cell;

	if (has_word(before, "enum") && strstr(before, type))
		return true;
	foreach(cell, check->makers)
	{
		if (strstr(lfirst(cell), type))
			return true;
	}
	return false;
}

static bool
may_use_label(const EnumCheck *check, const char *text)
{
	ListCell   *cell;

	foreach(cell, check->labels)
	{
		if (strstr(text, ((AddedLabel *) lfirst(cell))->label))
			return true;
	}
	return false;
}

/*
 * Is a word, in lower case, anywhere in a text, in whatever case?
 */
static bool
has_word(const char *text, const char *word)
{
	char		ends[] = {word[0], pg_toupper(word[0]), '\0'};
	size_t		length = strlen(word);

	for (const char *at = strpbrk(text, ends); at; at = strpbrk(at + 1, ends))
	{
		if (pg_strncasecmp(at, word, length) == 0)
			return true;
	}
	return false;
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
