/*
 * migrate.h: runs of migrations.
 */
#ifndef AR_MIGRATE_H
#define AR_MIGRATE_H

#include "postgres.h"

#include "common/hook.h"
#include "common/state_table.h"
#include "revision/revision.h"
#include "utils/uuid.h"

/* A run: the steps of one plan, carried out on one target schema. */
typedef struct MigrationRun
{
	char	   *schema;
	RevisionDirection direction;
	pg_uuid_t	id;
	RevisionPlan *plan;
	RevisionHeads *heads;
	HookSet    *hooks;
	char	   *search_path;	/* for scripts; NULL: the caller's is right */
	StateTable *scripts;
	StateTable *versions;
	StateTable *log;
	bool		all_immediate;	/* SET CONSTRAINTS ALL IMMEDIATE is in force */
	int32		next_position;	/* for version rows that are inserted */
	MemoryContext step_context; /* reset for each step */
} MigrationRun;

/* What a script did. */
typedef struct ScriptResult
{
	int			statements;
	uint64		wal_bytes;
} ScriptResult;

/* migrate_run.c */
extern ScriptResult ar_migrate_run_script(MigrationRun *run, const char *revision, const char *text);
extern char *ar_migrate_script_path(const char *schema);

/* migrate_check.c */
extern void ar_migrate_check(MigrationRun *run, Snapshot snapshot);

/* migrate_enum.c */
extern void ar_migrate_enum_check(MigrationRun *run, Snapshot snapshot);

/* migrate_watch.c */
extern void ar_migrate_watch_begin(void);
extern void ar_migrate_watch_end(void);
extern void ar_migrate_watch_settle_enums(void);
extern List *ar_migrate_watch_take_constraints(void);
extern void ar_migrate_watch_drop_temporary(void);

/* migrate_version.c */
extern void ar_migrate_version_follow(MigrationRun *run);
extern void ar_migrate_version_purge(MigrationRun *run);

#endif							/* AR_MIGRATE_H */
