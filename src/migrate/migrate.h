/*
 * migrate.h: runs of migrations.
 */
#ifndef AR_MIGRATE_H
#define AR_MIGRATE_H

#include "postgres.h"

#include "common/hook.h"
#include "common/state_table.h"
#include "fmgr.h"
#include "revision/revision.h"
#include "utils/snapshot.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

/* The columns of algo_ref.log. */
enum LogColumn
{
	Anum_log_id = 1,
	Anum_log_run,
	Anum_log_schema,
	Anum_log_revision,
	Anum_log_direction,
	Anum_log_outcome,
	Anum_log_started,
	Anum_log_duration,
	Anum_log_role,
	Anum_log_session_role,
	Anum_log_application_name,
	Anum_log_statements,
	Anum_log_wal_bytes,
	Anum_log_checksum,
	Anum_log_error,
	Natts_log = Anum_log_error
};

/*
 * The version rows of a target schema while a run goes on.  Steps change them
 * in memory; they are written before anybody could look.
 */
typedef struct MigrationRows MigrationRows;

/* A run: the steps of one plan, carried out on one target schema. */
typedef struct MigrationRun
{
	char	   *schema;
	RevisionDirection direction;
	char	   *target;
	bool		purge;			/* stamp only: forget all rows first */

	/* what is known under the locks */
	Snapshot	snapshot;		/* of graph, scripts and rows */
	StateTable *scripts;
	StateTable *versions;
	StateTable *log;
	MigrationRows *rows;
	List	   *purged;			/* ids of the rows that are forgotten */
	RevisionPlan *plan;
	RevisionHeads *heads;

	/* what carrying it out needs */
	pg_uuid_t	id;
	char	   *role;
	char	   *session_role;
	char	   *search_path;	/* for scripts; NULL: the caller's is right */
	bool		pins_role;		/* scripts must not change roles */
	HookSet    *hooks;
	MemoryContext step_context; /* reset for each step */
} MigrationRun;

/* What a script did. */
typedef struct ScriptResult
{
	int			statements;
	uint64		wal_bytes;
} ScriptResult;

/* A step, or a row that was forgotten, as it is logged. */
typedef struct StepRecord
{
	const char *revision;
	const char *outcome;
	TimestampTz started;
	Interval	duration;
	ScriptResult result;
	bytea	   *checksum;		/* NULL: the script is unknown */
} StepRecord;

/* migrate_lock.c */
extern void ar_migrate_lock_schema(const char *schema);

/* migrate_run.c */
extern bool ar_migrate_run_is_on(void);
extern void ar_migrate_run_plan(MigrationRun *run);
extern void ar_migrate_run_carry_out(MigrationRun *run, ReturnSetInfo *result);
extern void ar_migrate_run_close(MigrationRun *run);
extern StoredScript *ar_migrate_run_script(const MigrationRun *run, int32 step);
extern const char *ar_migrate_script_text(const MigrationRun *run, const StoredScript *script);

/* migrate_log.c */
extern void ar_migrate_log_write(const MigrationRun *run, const StepRecord *record);

/* migrate_check.c */
extern void ar_migrate_check(MigrationRun *run);

/* migrate_enum.c */
typedef struct EnumCheck EnumCheck;

extern EnumCheck *ar_migrate_enum_begin(MigrationRun *run);
extern void ar_migrate_enum_check(EnumCheck *check, const StoredScript *script, const char *text);

/* migrate_script.c */
extern ScriptResult ar_migrate_script_execute(const MigrationRun *run, const char *revision,
											  const char *text);
extern char *ar_migrate_script_path(const char *schema);

/* migrate_end.c: what a commit would do at the end of a script */
typedef struct ScriptEnd ScriptEnd;

extern ScriptEnd *ar_migrate_end_prepare(List *statements);
extern void ar_migrate_end_settle(ScriptEnd *end);
extern void ar_migrate_end_forget(void);

/* migrate_deferred.c */
extern void ar_migrate_deferred_begin(void);
extern void ar_migrate_deferred_settle(bool modes_changed);
extern void ar_migrate_deferred_before_statement(Node *stmt);
extern void ar_migrate_deferred_after_statement(void);

/* migrate_watch.c */
extern void ar_migrate_watch_begin(void);
extern void ar_migrate_watch_end(void);
extern void ar_migrate_watch_free_labels(void);
extern void ar_migrate_watch_drop_temporary(void);
extern List *ar_migrate_watch_new_constraints(void);
extern bool ar_migrate_watch_constraints_altered(void);

/* migrate_version.c */
extern MigrationRows *ar_migrate_version_read(StateTable *versions, const char *schema,
											  Snapshot snapshot);
extern List *ar_migrate_version_ids(const MigrationRows *rows);
extern void ar_migrate_version_check(const RevisionMap *map, const char *schema, List *ids);
extern void ar_migrate_version_forget(MigrationRows *rows);
extern void ar_migrate_version_follow(MigrationRows *rows, const RevisionHeads *heads);
extern void ar_migrate_version_write(MigrationRows *rows);

#endif							/* AR_MIGRATE_H */
