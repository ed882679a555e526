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
COMMENT ON COLUMN algo_ref.log.outcome IS 'done; purged: stamp() deleted the row unseen';
COMMENT ON COLUMN algo_ref.log.started IS 'when the step began';
COMMENT ON COLUMN algo_ref.log.duration IS 'how long it took';
COMMENT ON COLUMN algo_ref.log.role IS 'role that it ran as';
COMMENT ON COLUMN algo_ref.log.session_role IS 'role that had connected';
COMMENT ON COLUMN algo_ref.log.application_name IS 'application_name of the session';
COMMENT ON COLUMN algo_ref.log.statements IS 'how many statements the script has';
COMMENT ON COLUMN algo_ref.log.wal_bytes IS 'bytes of WAL that the script wrote';
COMMENT ON COLUMN algo_ref.log.checksum IS 'checksum of the script as it was then; NULL if it was purged';
COMMENT ON COLUMN algo_ref.log.error IS 'NULL: a step that fails is rolled back with its row';

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
-- Errors: those of plan().
-- Source: Alembic, command.stamp.
CREATE FUNCTION algo_ref.stamp(target text, schema name DEFAULT NULL, purge boolean DEFAULT false)
RETURNS TABLE (ordinal int, direction text, revision text, message text, duration interval)
AS 'MODULE_PATHNAME', 'algo_ref_stamp'
LANGUAGE C VOLATILE PARALLEL UNSAFE;

COMMENT ON FUNCTION algo_ref.stamp(text, name, boolean) IS
  'set the current revisions of a schema without running anything';

REVOKE ALL ON FUNCTION algo_ref.stamp(text, name, boolean) FROM PUBLIC;

-- Where every schema stands; what the view algo_ref.status shows.
--
-- Returns a row for each schema that has version rows, and for each that is
-- back at the base.  heads are its version rows; behind says how many revisions
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
  SELECT schema, heads, behind, at_head, last_run, last_direction, last_revision, last_started, last_outcome
  FROM algo_ref.schema_status();

COMMENT ON VIEW algo_ref.status IS
  'every schema: current heads, how many revisions behind, the last step that ran';
COMMENT ON COLUMN algo_ref.status.schema IS 'target schema';
COMMENT ON COLUMN algo_ref.status.heads IS 'its version rows';
COMMENT ON COLUMN algo_ref.status.behind IS 'how many revisions an upgrade to all heads would apply; NULL if a row names an unknown one';
COMMENT ON COLUMN algo_ref.status.at_head IS 'whether there are none';
COMMENT ON COLUMN algo_ref.status.last_run IS 'call that did the last step';
COMMENT ON COLUMN algo_ref.status.last_direction IS 'upgrade, downgrade or stamp';
COMMENT ON COLUMN algo_ref.status.last_revision IS 'revision of the last step';
COMMENT ON COLUMN algo_ref.status.last_started IS 'when it began';
COMMENT ON COLUMN algo_ref.status.last_outcome IS 'done or purged, as in algo_ref.log';

REVOKE ALL ON algo_ref.status FROM PUBLIC;
