/*
 * revision_check.c: what has to be true of a script before it is stored.
 *
 * Everything that writes algo_ref.script comes through here, with the lock of
 * the writers held.  Dangling references and cycles are not looked for: the
 * files of a history may come in any order, so that is for the planner.
 */
#include "postgres.h"

#include "mb/pg_wchar.h"
#include "revision/revision.h"

/* Names go into indexes, whose rows are limited; nobody needs more. */
#define NAME_BYTES_MAX 255

static void check_name(const char *kind, const char *name, const char *hint);
static void check_references(const StoredScript *script);
static void check_labels(const StoredScript *script);
static void check_namespace(StateTable *scripts, const StoredScript *script);
static bool has_name(List *names, const char *name);
static bool scripts_are_transactional(const StoredScript *script);

/*
 * Check a script that is about to be inserted, or to replace the one with its
 * id, and fill in what is derived from the bodies: checksum and transactional.
 *
 * Raises 22023 for names that are none, 42710 for names that are taken, 42P17
 * for a revision that refers to itself, and what the parser says of the
 * bodies.
 */
void
ar_revision_check(StateTable *scripts, StoredScript *script)
{
	check_name("revision id", script->revision, NULL);
	check_references(script);
	check_labels(script);
	check_namespace(scripts, script);
	script->transactional = scripts_are_transactional(script);
	script->checksum = ar_revision_script_checksum(script->upgrade, script->downgrade);
}

/*
 * Raise 22023 unless "name" can be a revision id or a branch label.  "kind"
 * says what it is meant for; "hint" may be NULL.
 */
static void
check_name(const char *kind, const char *name, const char *hint)
{
	static const char *const reserved[] = {"head", "heads", "base", "current"};
	int			length = strlen(name);

	if (length == 0)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("%s is empty", kind));
	if (length > NAME_BYTES_MAX)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("%s is too long", kind),
				errdetail("It begins with \"%.*s\" and has %d bytes; the limit is %d.",
						  pg_mbcliplen(name, length, 40), name, length, NAME_BYTES_MAX));
	for (const char *c = name; *c; c++)
		if ((unsigned char) *c < ' ' || *c == 0x7f)
			ereport(ERROR,
					errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					errmsg("%s contains a control character", kind),
					errdetail("The character has code %d and is byte %d of %d.",
							  (unsigned char) *c, (int) (c - name) + 1, length));
	if (strpbrk(name, "@-+:,"))
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("%s \"%s\" contains the character \"%c\"",
					   kind, name, *strpbrk(name, "@-+:,")),
				errdetail("The characters @ - + : and , have a meaning of their own in targets."),
				hint ? errhint("%s", hint) : 0);
	if (name[0] == ' ' || name[length - 1] == ' ')
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("%s \"%s\" begins or ends with a blank", kind, name));
	for (int i = 0; i < lengthof(reserved); i++)
		if (strcmp(name, reserved[i]) == 0)
			ereport(ERROR,
					errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					errmsg("%s \"%s\" is a reserved word", kind, name),
					errdetail("The words head, heads, base and current have a meaning of their own in targets."),
					hint ? errhint("%s", hint) : 0);
}

static void
check_references(const StoredScript *script)
{
	ListCell   *cell;

	foreach(cell, script->revises)
	{
		const char *parent = lfirst(cell);

		check_name("parent", parent,
				   "In a call with an id, and in algo_ref.edit(), parents are full ids.");
		if (strcmp(parent, script->revision) == 0)
			ereport(ERROR,
					errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
					errmsg("revision \"%s\" revises itself", parent));
		for (int i = 0; i < foreach_current_index(cell); i++)
			if (strcmp(parent, list_nth(script->revises, i)) == 0)
				ereport(ERROR,
						errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("revision \"%s\" names its parent \"%s\" twice",
							   script->revision, parent));
	}
	foreach(cell, script->depends_on)
	{
		const char *name = lfirst(cell);

		check_name("dependency", name,
				   "In a call with an id, and in algo_ref.edit(), dependencies are full ids or labels.");
		if (strcmp(name, script->revision) == 0)
			ereport(ERROR,
					errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
					errmsg("revision \"%s\" depends on itself", name));
		if (has_name(script->branch_labels, name))
			ereport(ERROR,
					errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
					errmsg("revision \"%s\" depends on itself", script->revision),
					errdetail("Branch label \"%s\" is its own.", name));
	}
}

static void
check_labels(const StoredScript *script)
{
	ListCell   *cell;

	foreach(cell, script->branch_labels)
	{
		const char *label = lfirst(cell);

		check_name("branch label", label, NULL);
		if (strcmp(label, script->revision) == 0)
			ereport(ERROR,
					errcode(ERRCODE_DUPLICATE_OBJECT),
					errmsg("branch label \"%s\" is the id of its own revision", label));
		for (int i = 0; i < foreach_current_index(cell); i++)
			if (strcmp(label, list_nth(script->branch_labels, i)) == 0)
				ereport(ERROR,
						errcode(ERRCODE_DUPLICATE_OBJECT),
						errmsg("branch label \"%s\" is given twice", label));
	}
}

/*
 * Ids and labels share one namespace, and each name has one owner.
 */
static void
check_namespace(StateTable *scripts, const StoredScript *script)
{
	char	   *owner = ar_revision_store_label_owner(scripts, script->revision);
	ListCell   *cell;

	if (owner && strcmp(owner, script->revision) != 0)
		ereport(ERROR,
				errcode(ERRCODE_DUPLICATE_OBJECT),
				errmsg("revision id \"%s\" is already a branch label", script->revision),
				errdetail("Revision \"%s\" owns the label.", owner));
	foreach(cell, script->branch_labels)
	{
		const char *label = lfirst(cell);

		if (ar_revision_store_fetch(scripts, label, NULL))
			ereport(ERROR,
					errcode(ERRCODE_DUPLICATE_OBJECT),
					errmsg("branch label \"%s\" is already the id of a revision", label));
		owner = ar_revision_store_label_owner(scripts, label);
		if (owner && strcmp(owner, script->revision) != 0)
			ereport(ERROR,
					errcode(ERRCODE_DUPLICATE_OBJECT),
					errmsg("branch label \"%s\" is already used by revision \"%s\"",
						   label, owner));
	}
}

static bool
has_name(List *names, const char *name)
{
	ListCell   *cell;

	foreach(cell, names)
	{
		if (strcmp(lfirst(cell), name) == 0)
			return true;
	}
	return false;
}

/*
 * Parse both bodies, and find what needs a commit in the middle.
 */
static bool
scripts_are_transactional(const StoredScript *script)
{
	bool		result = true;
	int			line;
	List	   *statements = ar_revision_script_parse(script->upgrade, AR_UPGRADE,
													  script->revision);

	result = ar_revision_script_needs_commit(script->upgrade, statements, &line) == NULL;
	if (script->downgrade)
	{
		statements = ar_revision_script_parse(script->downgrade, AR_DOWNGRADE,
											  script->revision);
		result &= ar_revision_script_needs_commit(script->downgrade, statements, &line) == NULL;
	}
	return result;
}
