-- Room migrate: the runner.

-- What has run: one row per revision applied, undone or stamped.  Only added
-- to.  A run that fails is rolled back with its rows.
CREATE TABLE algo_ref.log (
  id               bigint GENERATED ALWAYS AS IDENTITY,
  run              uuid NOT NULL,
  schema           name NOT NULL,
  revision         text COLLATE "C" NOT NULL,
  direction        text COLLATE "C" NOT NULL,
  outcome          text COLLATE "C" NOT NULL,
  started          timestamptz NOT NULL,
  duration         interval NOT NULL,
  role             name NOT NULL,
  session_role     name NOT NULL,
  application_name text NOT NULL,
  statements       integer NOT NULL,
  wal_bytes        bigint NOT NULL,
  checksum         bytea,
  error            jsonb,
  CONSTRAINT log_pkey PRIMARY KEY (id)
);

CREATE INDEX log_schema ON algo_ref.log (schema, id);

COMMENT ON TABLE algo_ref.log IS
  'revisions that were applied, undone or stamped; written only by algo_ref''s functions';
COMMENT ON COLUMN algo_ref.log.id IS 'order of the steps';
COMMENT ON COLUMN algo_ref.log.run IS 'one value for each call';
COMMENT ON COLUMN algo_ref.log.schema IS 'target schema';
COMMENT ON COLUMN algo_ref.log.revision IS 'the revision';
COMMENT ON COLUMN algo_ref.log.direction IS 'upgrade, downgrade or stamp';
COMMENT ON COLUMN algo_ref.log.outcome IS 'done; purged: stamp() deleted the row unseen; failed, cancelled or interrupted: a deploy ended here';
COMMENT ON COLUMN algo_ref.log.started IS 'when the step began';
COMMENT ON COLUMN algo_ref.log.duration IS 'how long it took';
COMMENT ON COLUMN algo_ref.log.role IS 'role that it ran as';
COMMENT ON COLUMN algo_ref.log.session_role IS 'role that had connected';
COMMENT ON COLUMN algo_ref.log.application_name IS 'application_name of the session';
COMMENT ON COLUMN algo_ref.log.statements IS 'how many statements the script has';
COMMENT ON COLUMN algo_ref.log.wal_bytes IS 'bytes of WAL that the script wrote';
COMMENT ON COLUMN algo_ref.log.checksum IS 'checksum of the script as it was then; NULL if it was purged';
COMMENT ON COLUMN algo_ref.log.error IS 'what ended a deploy; in upgrade() and the like, a step that fails is rolled back with its row';

REVOKE ALL ON algo_ref.log FROM PUBLIC;
REVOKE ALL ON SEQUENCE algo_ref.log_id_seq FROM PUBLIC;

SELECT pg_catalog.pg_extension_config_dump('algo_ref.log', '');
SELECT pg_catalog.pg_extension_config_dump('algo_ref.log_id_seq', '');

-- Apply every revision between the current heads and "target", oldest first.
--
-- target  id or unique prefix, label, 'head', 'heads', 'branch@head', or a step
--         such as '+2'; several, separated by commas
-- schema  target schema; NULL means current_schema().  While a script runs,
--         search_path is this schema, then the caller's path.
-- expect  checksum from plan_checksum() of the plan that was reviewed; NULL
--         runs whatever the plan is.  Where nothing is left to do, as for the
--         second of two deploys, it is not looked at.
--
-- Returns one row per revision applied, and says a NOTICE for each; no rows if
-- there is nothing to do.  All or nothing: an error undoes the whole call.
-- Another run on the same schema is waited for, up to lock_timeout.  Scripts
-- run as the caller, and only those whose author is the caller, a member of
-- the caller's role, or a superuser.
-- Errors: 22004 NULL; 22023 malformed or ambiguous identifier; 42704 no such
-- revision; 55000 several heads, goals that overlap, or not the expected plan;
-- 25001 a statement that needs a commit; 55P04 use of an enum label that the
-- run itself adds; 42501 untrusted script; 55P03 lock_timeout; 55006 a run
-- within a run; 3F000 no such schema; 40001 a concurrent run, if the
-- transaction has one snapshot; and those of the scripts.
-- Source: Alembic, command.upgrade.
CREATE FUNCTION algo_ref.upgrade(target text DEFAULT 'head', schema name DEFAULT NULL, expect text DEFAULT NULL)
RETURNS TABLE (ordinal int, direction text, revision text, message text, duration interval)
AS 'MODULE_PATHNAME', 'algo_ref_upgrade'
LANGUAGE C VOLATILE PARALLEL UNSAFE;

COMMENT ON FUNCTION algo_ref.upgrade(text, name, text) IS
  'apply revisions up to target, oldest first; one row per revision applied';

REVOKE ALL ON FUNCTION algo_ref.upgrade(text, name, text) FROM PUBLIC;

-- Undo every revision above "target", newest first, and what depends on them.
--
-- target  what is to be left applied: an identifier, 'base', or a step such as
--         '-1'; 'branch@id' takes down the arm that leads to that branch only
-- schema  as in upgrade()
-- expect  as in upgrade(), from plan_checksum(target, 'downgrade')
--
-- Returns one row per revision undone.  Otherwise as upgrade().
-- Errors: those of upgrade(); 55000 also if a revision has no downgrade script.
-- Source: Alembic, command.downgrade.
CREATE FUNCTION algo_ref.downgrade(target text, schema name DEFAULT NULL, expect text DEFAULT NULL)
RETURNS TABLE (ordinal int, direction text, revision text, message text, duration interval)
AS 'MODULE_PATHNAME', 'algo_ref_downgrade'
LANGUAGE C VOLATILE PARALLEL UNSAFE;

COMMENT ON FUNCTION algo_ref.downgrade(text, name, text) IS
  'undo revisions down to target, newest first; one row per revision undone';

REVOKE ALL ON FUNCTION algo_ref.downgrade(text, name, text) FROM PUBLIC;

-- Say that a schema stands at "target", without running anything.
--
-- target  absolute identifiers, separated by commas; rows above or below them
--         are replaced, others stay.  'base' takes all rows away.
-- schema  as in upgrade()
-- purge   true deletes all rows first, also those of revisions that no longer
--         exist
--
-- Returns one row per revision stamped; for the base, one per row taken away.
-- A revision that a deploy has left half applied is forgotten, with a NOTICE.
-- Errors: those of plan(); 55006 a deploy is running.
-- Source: Alembic, command.stamp.
CREATE FUNCTION algo_ref.stamp(target text, schema name DEFAULT NULL, purge boolean DEFAULT false)
RETURNS TABLE (ordinal int, direction text, revision text, message text, duration interval)
AS 'MODULE_PATHNAME', 'algo_ref_stamp'
LANGUAGE C VOLATILE PARALLEL UNSAFE;

COMMENT ON FUNCTION algo_ref.stamp(text, name, boolean) IS
  'set the current revisions of a schema without running anything';

REVOKE ALL ON FUNCTION algo_ref.stamp(text, name, boolean) FROM PUBLIC;

-- The deploy door (migrate_deploy.c) ------------------------------------------

-- Where the deploy door stands, one row for each target schema that is being
-- deployed, or whose last deploy has not come to its end.  Whether a run is
-- alive is told by a lock, never by this row.
CREATE TABLE algo_ref.job (
  schema          name NOT NULL,
  run             uuid NOT NULL,
  direction       text NOT NULL,
  target          text NOT NULL,
  pid             integer NOT NULL,
  role            name NOT NULL,
  started_at      timestamptz NOT NULL,
  step            integer NOT NULL,
  step_count      integer NOT NULL,
  revision        text COLLATE "C",
  checksum        bytea,
  statement       integer NOT NULL,
  statement_count integer NOT NULL,
  state           text NOT NULL,
  since           timestamptz NOT NULL,
  worker_pid      integer,
  attempted       boolean NOT NULL,
  existed         boolean NOT NULL,
  indexes_before  oid[] NOT NULL,
  indexes_made    oid[] NOT NULL,
  error           text,
  CONSTRAINT job_pkey PRIMARY KEY (schema)
);

COMMENT ON TABLE algo_ref.job IS
  'where the deploy door stands in each target schema; written only by algo_ref''s functions';
COMMENT ON COLUMN algo_ref.job.schema IS 'target schema';
COMMENT ON COLUMN algo_ref.job.run IS 'the run, as in algo_ref.log';
COMMENT ON COLUMN algo_ref.job.direction IS 'upgrade (deploy) or downgrade (revert)';
COMMENT ON COLUMN algo_ref.job.target IS 'what the run was called with';
COMMENT ON COLUMN algo_ref.job.pid IS 'process of the run, if it is alive';
COMMENT ON COLUMN algo_ref.job.role IS 'role that it runs as';
COMMENT ON COLUMN algo_ref.job.started_at IS 'when the run began';
COMMENT ON COLUMN algo_ref.job.step IS 'steps that are done';
COMMENT ON COLUMN algo_ref.job.step_count IS 'steps of the plan';
COMMENT ON COLUMN algo_ref.job.revision IS 'the revision at hand';
COMMENT ON COLUMN algo_ref.job.checksum IS 'checksum of the statements that are done';
COMMENT ON COLUMN algo_ref.job.statement IS 'statements of the revision at hand that are done for good';
COMMENT ON COLUMN algo_ref.job.statement_count IS 'statements that its script has';
COMMENT ON COLUMN algo_ref.job.state IS 'running, waiting, in worker or failed; whether the run is alive is told by a lock';
COMMENT ON COLUMN algo_ref.job.since IS 'when the state began';
COMMENT ON COLUMN algo_ref.job.worker_pid IS 'process of the last worker';
COMMENT ON COLUMN algo_ref.job.attempted IS 'the next statement was given to a worker';
COMMENT ON COLUMN algo_ref.job.existed IS 'what that statement makes, drops or detaches was there before';
COMMENT ON COLUMN algo_ref.job.indexes_before IS 'indexes that it is going to replace';
COMMENT ON COLUMN algo_ref.job.indexes_made IS 'indexes that it has made';
COMMENT ON COLUMN algo_ref.job.error IS 'what ended the run';

REVOKE ALL ON algo_ref.job FROM PUBLIC;

-- What is half applied is a fact about the schema, and has to go where the
-- schema goes.
SELECT pg_catalog.pg_extension_config_dump('algo_ref.job', 'WHERE statement > 0');

CREATE VIEW algo_ref.progress AS
SELECT j.schema, j.direction, j.target,
       CASE WHEN l.pid IS NOT NULL OR j.state OPERATOR(pg_catalog.=) 'failed' OR pg_catalog.pg_is_in_recovery()
            THEN j.state ELSE 'interrupted' END AS state,
       j.since, j.step, j.step_count, j.revision, j.statement, j.statement_count,
       l.pid, j.role, j.started_at,
       CASE WHEN l.pid IS NOT NULL THEN j.worker_pid END AS worker_pid,
       b.phase, b.blocks_done, b.blocks_total, j.error
  FROM algo_ref.job AS j
  LEFT JOIN pg_catalog.pg_namespace AS n ON n.nspname OPERATOR(pg_catalog.=) j.schema
  LEFT JOIN pg_catalog.pg_locks AS l
    ON l.locktype OPERATOR(pg_catalog.=) 'advisory'
   AND l.database OPERATOR(pg_catalog.=) (SELECT d.oid FROM pg_catalog.pg_database AS d
                                           WHERE d.datname OPERATOR(pg_catalog.=) pg_catalog.current_database())
   AND l.classid OPERATOR(pg_catalog.=) 'algo_ref.version'::pg_catalog.regclass
   AND l.objid OPERATOR(pg_catalog.=) n.oid
   AND l.objsubid OPERATOR(pg_catalog.=) 4
   AND l.mode OPERATOR(pg_catalog.=) 'ExclusiveLock'
   AND l.granted
  LEFT JOIN pg_catalog.pg_stat_progress_create_index AS b ON b.pid OPERATOR(pg_catalog.=) j.worker_pid;

COMMENT ON VIEW algo_ref.progress IS
  'deploys that run, and those that ended before their target: where they stand';

COMMENT ON COLUMN algo_ref.progress.schema IS 'target schema';
COMMENT ON COLUMN algo_ref.progress.direction IS 'upgrade (deploy) or downgrade (revert)';
COMMENT ON COLUMN algo_ref.progress.target IS 'what it was called with';
COMMENT ON COLUMN algo_ref.progress.state IS 'running; waiting for locks; in worker; failed with an error; interrupted: it is gone without one, which a standby cannot see';
COMMENT ON COLUMN algo_ref.progress.since IS 'when the state began';
COMMENT ON COLUMN algo_ref.progress.step IS 'steps that are done';
COMMENT ON COLUMN algo_ref.progress.step_count IS 'steps of the plan';
COMMENT ON COLUMN algo_ref.progress.revision IS 'the revision at hand';
COMMENT ON COLUMN algo_ref.progress.statement IS 'statements of it that are done for good';
COMMENT ON COLUMN algo_ref.progress.statement_count IS 'statements that its script has';
COMMENT ON COLUMN algo_ref.progress.pid IS 'process that runs it; NULL: nobody does';
COMMENT ON COLUMN algo_ref.progress.role IS 'role that it runs as';
COMMENT ON COLUMN algo_ref.progress.started_at IS 'when the run began';
COMMENT ON COLUMN algo_ref.progress.worker_pid IS 'process of its last background worker';
COMMENT ON COLUMN algo_ref.progress.phase IS 'of an index build, as in pg_stat_progress_create_index';
COMMENT ON COLUMN algo_ref.progress.blocks_done IS 'blocks that the phase has done';
COMMENT ON COLUMN algo_ref.progress.blocks_total IS 'blocks that it has to do';
COMMENT ON COLUMN algo_ref.progress.error IS 'what ended it';

REVOKE ALL ON algo_ref.progress FROM PUBLIC;

-- Where every schema stands; what the view algo_ref.status shows.
--
-- Returns a row for each schema that has version rows, and for each that is
-- back at the base, or being deployed.  heads are its version rows; behind says how many revisions
-- an upgrade to all heads would apply: NULL if a row names a revision that does
-- not exist.  The rest is the last row of algo_ref.log.
-- Needs SELECT on algo_ref.script, version and log.
-- Errors: 42501 no privilege; those of a broken graph.
CREATE FUNCTION algo_ref.schema_status()
RETURNS TABLE (schema name, heads text[], behind int, at_head boolean, last_run uuid, last_direction text,
  last_revision text, last_started timestamptz, last_outcome text)
AS 'MODULE_PATHNAME', 'algo_ref_schema_status'
LANGUAGE C STABLE PARALLEL UNSAFE;

COMMENT ON FUNCTION algo_ref.schema_status() IS
  'current heads of every schema, how many revisions it is behind, and what ran last';

-- Every schema at a glance.
CREATE VIEW algo_ref.status AS
  SELECT s.schema, s.heads, s.behind, s.at_head,
         p.state AS deploy, p.revision AS deploy_revision, p.statement AS deploy_statement,
         s.last_run, s.last_direction, s.last_revision, s.last_started, s.last_outcome
  FROM algo_ref.schema_status() AS s
  LEFT JOIN algo_ref.progress AS p ON p.schema OPERATOR(pg_catalog.=) s.schema;

COMMENT ON VIEW algo_ref.status IS
  'every schema: current heads, how many revisions behind, a deploy that has not come to its end, the last step that ran';
COMMENT ON COLUMN algo_ref.status.schema IS 'target schema';
COMMENT ON COLUMN algo_ref.status.heads IS 'its version rows';
COMMENT ON COLUMN algo_ref.status.behind IS 'how many revisions an upgrade to all heads would apply; NULL if a row names an unknown one';
COMMENT ON COLUMN algo_ref.status.at_head IS 'whether there are none';
COMMENT ON COLUMN algo_ref.status.deploy IS 'state of a deploy that has not come to its end, as in algo_ref.progress; NULL: none';
COMMENT ON COLUMN algo_ref.status.deploy_revision IS 'the revision that it is at';
COMMENT ON COLUMN algo_ref.status.deploy_statement IS 'how many statements of that are done for good';
COMMENT ON COLUMN algo_ref.status.last_run IS 'call that did the last step';
COMMENT ON COLUMN algo_ref.status.last_direction IS 'upgrade, downgrade or stamp';
COMMENT ON COLUMN algo_ref.status.last_revision IS 'revision of the last step';
COMMENT ON COLUMN algo_ref.status.last_started IS 'when it began';
COMMENT ON COLUMN algo_ref.status.last_outcome IS 'as in algo_ref.log';

REVOKE ALL ON algo_ref.status FROM PUBLIC;

-- Apply every revision between the current heads and "target", each in a
-- transaction of its own, without ever standing in a lock queue.
--
-- target            as for algo_ref.upgrade()
-- schema            target schema; NULL means current_schema()
-- lock_wait         how long a statement may wait for a lock that could not be
--                   foreseen; then its revision is tried again
-- lock_budget       how long to try for the locks of one revision, or for a
--                   deploy of somebody else that does not move
-- statement_budget  how long one statement may run; NULL: as long as it takes
-- expect            plan checksum that was reviewed; NULL runs whatever the plan is
--
-- An error leaves the revisions before it applied; the next call continues,
-- inside a revision at the statement that failed if statements before it have
-- committed.  Statements that refuse a transaction run in a background worker.
-- Errors: those of algo_ref.upgrade(); 25001 inside a transaction block; 55P03
-- a budget for locks has passed; 57014 that for a statement has; 53000 no free
-- background worker; 55000 an index is invalid that no deploy has made, or the
-- part of a script that has run was changed.
-- Source: Alembic, transaction_per_migration and autocommit_block; pg_repack,
-- lock_exclusive.
CREATE PROCEDURE algo_ref.deploy(target text DEFAULT 'head', schema name DEFAULT NULL,
                                 lock_wait interval DEFAULT '50 ms', lock_budget interval DEFAULT '5 min',
                                 statement_budget interval DEFAULT NULL, expect text DEFAULT NULL)
AS 'MODULE_PATHNAME', 'algo_ref_deploy'
LANGUAGE C;

COMMENT ON PROCEDURE algo_ref.deploy(text, name, interval, interval, interval, text) IS
  'apply revisions up to target online: a transaction for each, no lock queues, resumable';

REVOKE ALL ON PROCEDURE algo_ref.deploy(text, name, interval, interval, interval, text) FROM PUBLIC;

-- Undo every revision above "target" in the way of algo_ref.deploy().
--
-- Arguments and errors as there; target as for algo_ref.downgrade().
CREATE PROCEDURE algo_ref.revert(target text, schema name DEFAULT NULL,
                                 lock_wait interval DEFAULT '50 ms', lock_budget interval DEFAULT '5 min',
                                 statement_budget interval DEFAULT NULL, expect text DEFAULT NULL)
AS 'MODULE_PATHNAME', 'algo_ref_revert'
LANGUAGE C;

COMMENT ON PROCEDURE algo_ref.revert(text, name, interval, interval, interval, text) IS
  'undo revisions down to target online: a transaction for each, no lock queues, resumable';

REVOKE ALL ON PROCEDURE algo_ref.revert(text, name, interval, interval, interval, text) FROM PUBLIC;

-- Wait until every revision up to "target" is applied.
--
-- target   as for algo_ref.upgrade()
-- timeout  how long to wait; NULL: forever
-- schema   target schema; NULL means current_schema()
--
-- Holds no snapshot and no lock while it waits, changes nothing, and works on
-- a hot standby.
-- Errors: those of planning; 25001 inside a transaction block; 55000 the
-- timeout has passed.
CREATE PROCEDURE algo_ref.await(target text DEFAULT 'head', timeout interval DEFAULT '5 min',
                                schema name DEFAULT NULL)
AS 'MODULE_PATHNAME', 'algo_ref_await'
LANGUAGE C;

COMMENT ON PROCEDURE algo_ref.await(text, interval, name) IS
  'wait until every revision up to target is applied';

-- Offline (migrate_offline.c) -------------------------------------------------

-- The revisions between "from_heads" and "target" as a script for psql, for a
-- server that need not have the extension.
--
-- target        as for algo_ref.upgrade()
-- from_heads    version rows to start from; '{}' is the base; NULL means those
--               of the schema
-- schema        target schema; NULL means current_schema()
-- lock_timeout  how long a statement of the script may wait for a lock
--
-- Returns the script in pieces, one for each step.  It keeps its state in the
-- table alembic_version of the target schema, runs one transaction for each
-- revision, and stops if the state is not the one that it was made for.
-- Errors: those of algo_ref.plan().
-- Source: Alembic, upgrade --sql.
CREATE FUNCTION algo_ref.upgrade_sql(target text DEFAULT 'head', from_heads text[] DEFAULT NULL,
                                     schema name DEFAULT NULL, lock_timeout interval DEFAULT '1 s')
RETURNS SETOF text
AS 'MODULE_PATHNAME', 'algo_ref_upgrade_sql'
LANGUAGE C STABLE PARALLEL UNSAFE;

COMMENT ON FUNCTION algo_ref.upgrade_sql(text, text[], name, interval) IS
  'the revisions up to target as a script for psql, for a server without the extension';

-- The same downwards.
--
-- Arguments as there; target as for algo_ref.downgrade().
-- Errors: those of algo_ref.plan(); 55000 a revision has no downgrade.
CREATE FUNCTION algo_ref.downgrade_sql(target text, from_heads text[] DEFAULT NULL,
                                       schema name DEFAULT NULL, lock_timeout interval DEFAULT '1 s')
RETURNS SETOF text
AS 'MODULE_PATHNAME', 'algo_ref_downgrade_sql'
LANGUAGE C STABLE PARALLEL UNSAFE;

COMMENT ON FUNCTION algo_ref.downgrade_sql(text, text[], name, interval) IS
  'the way down to target as a script for psql, for a server without the extension';

-- Alembic beside us (migrate_alembic.c) ---------------------------------------

-- Take over the state that Alembic keeps in a version table.
--
-- version_table  Alembic's table; its schema is the target schema
--
-- Returns the heads that were taken over.  Their revisions have to be
-- registered (algo_ref.import_alembic()).  While the schema has a table
-- alembic_version, every later run keeps that table true as well.
-- Errors: 42703 not a version table; and those of algo_ref.stamp().
CREATE FUNCTION algo_ref.adopt_alembic(version_table regclass)
RETURNS text[]
AS 'MODULE_PATHNAME', 'algo_ref_adopt_alembic'
LANGUAGE C VOLATILE PARALLEL UNSAFE;

COMMENT ON FUNCTION algo_ref.adopt_alembic(regclass) IS
  'take over the heads that Alembic recorded in its version table';

REVOKE ALL ON FUNCTION algo_ref.adopt_alembic(regclass) FROM PUBLIC;
