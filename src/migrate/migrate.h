/*
 * migrate.h: runs of migrations.
 */
#ifndef AR_MIGRATE_H
#define AR_MIGRATE_H

#include "postgres.h"

#include "common/hook.h"
#include "common/state_table.h"
#include "fmgr.h"
#include "nodes/primnodes.h"
#include "revision/revision.h"
#include "storage/itemptr.h"
#include "storage/lockdefs.h"
#include "utils/jsonb.h"
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

	/* the deploy door */
	bool		commits;		/* commits may come between statements */
	void		(*before_statement) (void); /* or NULL */
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
	Jsonb	   *error;			/* NULL: none */
} StepRecord;

/* migrate_lock.c */
extern void ar_migrate_lock_schema(const char *schema);

/* migrate_api.c */
extern bool ar_migrate_is_done(const MigrationRun *run);
extern void ar_migrate_check_expected(const MigrationRun *run, const char *expect);

/* migrate_run.c */
extern bool ar_migrate_run_is_on(void);
extern void ar_migrate_run_set_on(bool on);
extern void ar_migrate_run_plan(MigrationRun *run);
extern void ar_migrate_run_read(MigrationRun *run);
extern void ar_migrate_run_prepare(MigrationRun *run);
extern void ar_migrate_run_announce(const MigrationRun *run, RevisionIndex r);
extern void ar_migrate_run_hooks(MigrationRun *run, HookEvent event, int32 step);
extern void ar_migrate_run_carry_out(MigrationRun *run, ReturnSetInfo *result);
extern void ar_migrate_run_close(MigrationRun *run);
extern StoredScript *ar_migrate_run_script(const MigrationRun *run, int32 step);
extern const char *ar_migrate_script_text(const MigrationRun *run, const StoredScript *script);

/* migrate_log.c */
extern void ar_migrate_log_write(const MigrationRun *run, const StepRecord *record);

/* migrate_check.c */
extern void ar_migrate_check(MigrationRun *run);
extern void ar_migrate_check_script(MigrationRun *run, const StoredScript *script);

/* migrate_enum.c */
typedef struct EnumCheck EnumCheck;

extern EnumCheck *ar_migrate_enum_begin(MigrationRun *run);
extern void ar_migrate_enum_check(EnumCheck *check, const StoredScript *script, const char *text);

/* migrate_script.c */
extern ScriptResult ar_migrate_script_execute(const MigrationRun *run, const char *revision,
											  const char *text);
extern ScriptResult ar_migrate_script_execute_portion(const MigrationRun *run,
													  const char *revision, const char *text,
													  int first, int count);
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

/*
 * The deploy door.  A run of it holds a session-level lock on its target
 * schema (migrate_job.c), commits per revision, never stands in a lock queue
 * (migrate_foresee.c), and lets a worker run what refuses a transaction
 * (migrate_worker.c).  The schema's row in algo_ref.job says where it stands.
 */

/* A relation that a revision is going to lock, and how. */
typedef struct MigrateLock
{
	Oid			relid;
	LOCKMODE	mode;
} MigrateLock;

/* migrate_foresee.c */
extern Oid	ar_migrate_lock_find_relation(RangeVar *name);
extern List *ar_migrate_lock_indexes_of(Oid relid);
extern List *ar_migrate_lock_foresee(List *statements);
extern const MigrateLock *ar_migrate_lock_all(List *locks);
extern char *ar_migrate_lock_holders(const MigrateLock *lock);
extern void ar_migrate_lock_report(const MigrateLock *lock, int64 waited_ms);
extern void ar_migrate_lock_dismiss_autovacuum(const MigrateLock *lock);

/* What a run does at the moment, as algo_ref.progress shows it. */
typedef enum MigrateJobState
{
	AR_JOB_RUNNING,				/* statements in a transaction */
	AR_JOB_WAITING,				/* for locks on relations */
	AR_JOB_IN_WORKER,			/* the statement after "statement" was given
								 * to a worker */
	AR_JOB_FAILED				/* ended with an error */
} MigrateJobState;

/*
 * The row of algo_ref.job of a target schema.
 *
 * "statement" statements of the script of "revision" are done for good, in
 * transactions that have committed; "checksum" is theirs.  "attempted" says
 * that the next one was given to a worker, and that nobody knows yet what
 * became of it; "existed", whether its object existed before.
 */
typedef struct MigrateJob
{
	ItemPointerData tid;		/* invalid: not stored yet */
	char	   *schema;
	pg_uuid_t	run;
	RevisionDirection direction;
	char	   *target;
	int			pid;
	char	   *role;
	TimestampTz started_at;
	int			step;			/* steps done */
	int			step_count;
	char	   *revision;		/* the revision at hand, or NULL */
	bytea	   *checksum;		/* of the statements done, or NULL */
	int			statement;
	int			statement_count;
	MigrateJobState state;
	TimestampTz since;			/* of the state */
	int			worker_pid;		/* 0: none */
	bool		attempted;
	bool		existed;
	List	   *indexes_before; /* Oids: to be replaced by the worker's
								 * statement */
	List	   *indexes_made;	/* Oids: made by it */
	char	   *error;			/* NULL: none */
} MigrateJob;

/* migrate_job.c */
extern bool ar_migrate_job_try_lock(Oid schema);
extern void ar_migrate_job_unlock(Oid schema);
extern bool ar_migrate_job_try_worker_lock(Oid schema);
extern void ar_migrate_job_exclude(Oid schema, bool forget);
extern char *ar_migrate_job_lock_holder(Oid schema);
extern MigrateJob *ar_migrate_job_read(const char *schema);
extern List *ar_migrate_job_schemas(Snapshot snapshot);
extern void ar_migrate_job_write(MigrateJob *job);
extern void ar_migrate_job_delete(const char *schema);
extern bool ar_migrate_job_is_half_applied(const MigrateJob *job);
extern void ar_migrate_job_begin_work(const char *schema, const pg_uuid_t *run);
extern void ar_migrate_job_add_index(const char *schema, const pg_uuid_t *run, Oid index);

/* The caller's settings and identity, to be given to a worker. */
typedef struct MigrateSettings
{
	Oid			session_user;
	Oid			role;			/* of SET ROLE; InvalidOid: none */
	Size		size;
	char	   *data;
} MigrateSettings;

/* One statement for a worker. */
typedef struct MigrateWorkerTask
{
	const char *statement;
	const MigrateSettings *settings;
	const char *schema;			/* names the job row, with "run" */
	pg_uuid_t	run;
	bool		records_indexes;	/* in job.indexes_made */
	int			lock_timeout_ms;	/* 0: none */
} MigrateWorkerTask;

/* migrate_worker.c */
extern MigrateSettings *ar_migrate_settings_save(void);
extern void ar_migrate_worker_run(const MigrateWorkerTask *task, TimestampTz deadline);

/* What a worker's statement has come to, and what is left to do. */
typedef struct MigrateSettlement
{
	bool		done;
	List	   *cleanup;		/* statements (char *) for a worker, before
								 * all else */
	char	   *instead;		/* what to run in its place; NULL: itself */
} MigrateSettlement;

/* migrate_settle.c */
extern void ar_migrate_settle_prepare(MigrateJob *job, Node *stmt);
extern MigrateSettlement ar_migrate_settle(const MigrateJob *job, Node *stmt);
extern bool ar_migrate_settle_records_indexes(Node *stmt);
extern bool ar_migrate_settle_blocks_others(Node *stmt);

/* The part of a script that runs in one transaction, or in a worker. */
typedef struct MigratePortion
{
	int			first;			/* index of its first statement */
	int			count;
	bool		in_worker;
} MigratePortion;

/* migrate_portion.c */
extern List *ar_migrate_cut_script(List *statements);
extern bool ar_migrate_needs_commit_before(const ScriptStatement *statement);
extern bool ar_migrate_needs_commit_after(const ScriptStatement *statement);

/* Waiting for something: how long so far, and what comes next. */
typedef struct MigratePatience
{
	TimestampTz start;
	double		rest_ms;
	double		rest_most_ms;
	int64		next_notice_ms;
} MigratePatience;

/* migrate_patience.c */
extern void ar_migrate_patience_begin(MigratePatience *patience, double rest_most_ms);
extern int64 ar_migrate_patience_ms(const MigratePatience *patience);
extern bool ar_migrate_patience_tells(MigratePatience *patience);
extern void ar_migrate_patience_rest(MigratePatience *patience);

/* migrate_budget.c */
extern void ar_migrate_budget_set(int64 ms);
extern void ar_migrate_budget_arm(void);
extern void ar_migrate_budget_disarm(void);
extern bool ar_migrate_budget_is_exceeded(void);

/* migrate_deploy.c */
extern int64 ar_migrate_interval_ms(const Interval *interval, const char *name);

/* migrate_alembic.c */
extern void ar_migrate_alembic_sync(Oid schema, List *rows);

#endif							/* AR_MIGRATE_H */
