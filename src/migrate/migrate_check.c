/*
 * migrate_check.c: may the scripts of a plan run, and can they run in one
 * transaction?  All is asked before anything runs.
 */
#include "postgres.h"

#include "common/permission.h"
#include "migrate/migrate.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

static void check_trust(MigrationRun *run, const StoredScript *script);
static void check_reversible(const StoredScript *script);
static void check_transactional(const MigrationRun *run, const StoredScript *script);

/*
 * Raises 42501 for a script whose author the caller does not trust, 55000 for
 * a downgrade that does not exist, 25001 for a statement that refuses a
 * transaction block, 55P04 for the use of a label that the run itself adds.
 */
void
ar_migrate_check(MigrationRun *run)
{
	EnumCheck  *enums = ar_migrate_enum_begin(run);
	char		trusted[NAMEDATALEN] = "";

	for (int32 i = 0; i < run->plan->count; i++)
	{
		MemoryContext old = MemoryContextSwitchTo(run->step_context);
		StoredScript *script = ar_migrate_run_script(run, i);

		CHECK_FOR_INTERRUPTS();
		/* most scripts have the same author as the one before */
		if (strcmp(script->author, trusted) != 0)
			check_trust(run, script);
		strlcpy(trusted, script->author, NAMEDATALEN);
		if (run->direction == AR_DOWNGRADE)
			check_reversible(script);
		if (!script->transactional && !run->commits)
			check_transactional(run, script);
		if (!run->commits)
			ar_migrate_enum_check(enums, script, ar_migrate_script_text(run, script));
		MemoryContextSwitchTo(old);
		MemoryContextReset(run->step_context);
	}
}

/*
 * The part of that which concerns one script by itself.
 */
void
ar_migrate_check_script(MigrationRun *run, const StoredScript *script)
{
	check_trust(run, script);
	if (run->direction == AR_DOWNGRADE)
		check_reversible(script);
}

static void
check_trust(MigrationRun *run, const StoredScript *script)
{
	if (ar_permission_trusts_author(script->author))
	{
		run->pins_role |= !ar_permission_session_trusts(get_role_oid(script->author, false));
		return;
	}
	ereport(ERROR,
			errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			errmsg("the script of revision \"%s\" cannot be trusted", script->revision),
			errdetail_internal("%s", ar_permission_distrust_detail(script->author)),
			errhint("Read it in algo_ref.show(%s), then SELECT algo_ref.approve(%s); or migrate as a role that its author is a member of.",
					quote_literal_cstr(script->revision), quote_literal_cstr(script->revision)));
}

static void
check_reversible(const StoredScript *script)
{
	if (script->downgrade)
		return;
	ereport(ERROR,
			errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			errmsg("revision \"%s\" is irreversible", script->revision),
			errdetail("It has no downgrade script, and the downgrade would have to undo it."),
			errhint("Stop at it or above it, or give it a downgrade script by algo_ref.edit()."));
}

static void
check_transactional(const MigrationRun *run, const StoredScript *script)
{
	ListCell   *cell;

	foreach(cell, ar_revision_script_parse(ar_migrate_script_text(run, script),
										   run->direction, script->revision))
	{
		ScriptStatement *statement = lfirst(cell);

		if (statement->needs_commit == NULL)
			continue;
		ereport(ERROR,
				errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
				errmsg("revision \"%s\" has a statement that cannot run inside a transaction block",
					   script->revision),
				errdetail("It is %s, in line %d of the %s.", statement->needs_commit,
						  statement->line, ar_revision_direction_name(run->direction)),
				errhint("CALL algo_ref.%s(...) can run it: it commits in between.",
						run->direction == AR_UPGRADE ? "deploy" : "revert"));
	}
}
