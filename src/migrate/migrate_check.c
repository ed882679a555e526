/*
 * migrate_check.c: may the scripts of a plan run, and can they run in one
 * transaction?  All is asked before anything runs.
 */
#include "postgres.h"

#include "common/permission.h"
#include "migrate/migrate.h"
#include "miscadmin.h"
#include "utils/memutils.h"

static void check_trust(const StoredScript *script);
static void check_reversible(const StoredScript *script);
static void check_transactional(const StoredScript *script, RevisionDirection direction);

/*
 * Raises 42501 for a script whose author the caller does not trust, 55000 for
 * a downgrade that does not exist, 25001 for a statement that refuses a
 * transaction block, 55P04 for the use of a label that the run itself adds.
 */
void
ar_migrate_check(MigrationRun *run, Snapshot snapshot)
{
	const RevisionMap *map = run->plan->map;
	char		trusted[NAMEDATALEN] = "";

	for (int32 i = 0; i < run->plan->count; i++)
	{
		RevisionIndex r = run->plan->step[i];
		MemoryContext old = MemoryContextSwitchTo(run->step_context);
		StoredScript *script = ar_revision_store_fetch(run->scripts, map->revision[r].id, snapshot);

		/* most scripts have the same author as the one before */
		if (strcmp(script->author, trusted) != 0)
			check_trust(script);
		strlcpy(trusted, script->author, NAMEDATALEN);
		if (run->direction == AR_DOWNGRADE)
			check_reversible(script);
		if (map->flags[r] & AR_REVISION_NONTRANSACTIONAL)
			check_transactional(script, run->direction);
		MemoryContextSwitchTo(old);
		MemoryContextReset(run->step_context);
	}
	ar_migrate_enum_check(run, snapshot);
}

static void
check_trust(const StoredScript *script)
{
	if (ar_permission_trusts_author(script->author))
		return;
	ereport(ERROR,
			errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			errmsg("the script of revision \"%s\" is not trusted", script->revision),
			errdetail_internal("%s", ar_permission_distrust_detail(script->author)),
			errhint("Read it with algo_ref.show('%s'), then use algo_ref.approve('%s'); or run as a role that its author is a member of.",
					script->revision, script->revision));
}

static void
check_reversible(const StoredScript *script)
{
	if (script->downgrade)
		return;
	ereport(ERROR,
			errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			errmsg("revision \"%s\" cannot be undone", script->revision),
			errdetail("It has no downgrade script."),
			errhint("Stop above it, or give it a downgrade script with algo_ref.edit()."));
}

static void
check_transactional(const StoredScript *script, RevisionDirection direction)
{
	ListCell   *cell;

	foreach(cell, ar_revision_script_parse(direction == AR_UPGRADE ? script->upgrade : script->downgrade,
										   direction, script->revision))
	{
		ScriptStatement *statement = lfirst(cell);

		if (statement->needs_commit == NULL)
			continue;
		ereport(ERROR,
				errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
				errmsg("%s cannot run inside a transaction block", statement->needs_commit),
				errdetail("It is in line %d of the %s of revision \"%s\".", statement->line,
						  ar_revision_direction_name(direction), script->revision),
				errhint("Go up to the revision before it, run the statement by hand, and use algo_ref.stamp('%s').",
						script->revision));
	}
}
