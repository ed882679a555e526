/*
 * migrate_portion.c: what of a script runs in one transaction.
 */
#include "postgres.h"

#include "migrate/migrate.h"
#include "nodes/parsenodes.h"
#include "nodes/pg_list.h"

static bool has_alter_table(const ScriptStatement *statement, AlterTableType what);
static MigratePortion *begin_portion(List **portions, int first, bool in_worker);

/*
 * Where commits have to come: before and after a statement that refuses a
 * transaction, and between a new label of an enumerated type and what may use
 * it.  And where they do good: the validation of a constraint that the script
 * has added as not valid reads the table under a weak lock, so the strong ones
 * of what is around it must not be held meanwhile.
 *
 * The last portion, possibly empty, is always one in a transaction: it changes
 * the state.  Returns MigratePortion *.
 */
List *
ar_migrate_cut_script(List *statements)
{
	List	   *portions = NIL;
	MigratePortion *portion = begin_portion(&portions, 0, false);
	bool		has_unproved = false;
	ListCell   *cell;

	foreach(cell, statements)
	{
		ScriptStatement *statement = lfirst(cell);
		int			at = foreach_current_index(cell);
		bool		validates = has_unproved && has_alter_table(statement, AT_ValidateConstraint);

		has_unproved |= has_alter_table(statement, AT_AddConstraint);

		if (ar_migrate_needs_commit_before(statement))
		{
			if (portion->count == 0)
				portions = list_delete_last(portions);
			begin_portion(&portions, at, true)->count = 1;
			portion = begin_portion(&portions, at + 1, false);
			continue;
		}
		if (portion->count > 0 &&
			((ar_migrate_needs_commit_after(list_nth(statements, at - 1)) &&
			  !ar_migrate_needs_commit_after(statement)) || validates))
			portion = begin_portion(&portions, at, false);
		portion->count++;
		if (validates && lnext(statements, cell))
			portion = begin_portion(&portions, at + 1, false);
	}
	return portions;
}

/*
 * Does the statement validate a constraint, or add one that is not valid?
 */
static bool
has_alter_table(const ScriptStatement *statement, AlterTableType what)
{
	AlterTableStmt *stmt = (AlterTableStmt *) statement->raw->stmt;
	ListCell   *cell;

	if (!IsA(stmt, AlterTableStmt))
		return false;
	foreach(cell, stmt->cmds)
	{
		AlterTableCmd *command = lfirst_node(AlterTableCmd, cell);

		if (command->subtype == what &&
			(what != AT_AddConstraint || castNode(Constraint, command->def)->skip_validation))
			return true;
	}
	return false;
}

static MigratePortion *
begin_portion(List **portions, int first, bool in_worker)
{
	MigratePortion *portion = palloc0(sizeof(MigratePortion));

	portion->first = first;
	portion->in_worker = in_worker;
	*portions = lappend(*portions, portion);
	return portion;
}

/*
 * Does the statement refuse a transaction?
 */
bool
ar_migrate_needs_commit_before(const ScriptStatement *statement)
{
	return statement->needs_commit != NULL;
}

/*
 * Can what the statement does be used only after a commit?
 */
bool
ar_migrate_needs_commit_after(const ScriptStatement *statement)
{
	AlterEnumStmt *stmt = (AlterEnumStmt *) statement->raw->stmt;

	return IsA(stmt, AlterEnumStmt) && stmt->oldVal == NULL;
}
