-- Who may do what.
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS algo_ref CASCADE;
DROP ROLE IF EXISTS regress_algo_ref_super, regress_algo_ref_caller, regress_algo_ref_reader, regress_algo_ref_nobody, regress_algo_ref_owner, regress_algo_ref_author, regress_algo_ref_mallory;
RESET client_min_messages;
CREATE EXTENSION algo_ref;
-- a superuser whose name is the same everywhere
CREATE ROLE regress_algo_ref_super SUPERUSER;
SET SESSION AUTHORIZATION regress_algo_ref_super;
CREATE ROLE regress_algo_ref_nobody;
CREATE ROLE regress_algo_ref_reader;
CREATE ROLE regress_algo_ref_owner;
CREATE ROLE regress_algo_ref_author IN ROLE regress_algo_ref_owner;
CREATE ROLE regress_algo_ref_mallory;
SELECT algo_ref.revision('one', '', '', id => 'one', revises => '{}');
SELECT algo_ref.revision('two', '', '', id => 'two');
SELECT count(*) FROM algo_ref.upgrade('one');

--
-- Each function, called by those who may not
--

CREATE TABLE calls (id int GENERATED ALWAYS AS IDENTITY, call text,
  command text GENERATED ALWAYS AS (CASE WHEN call ~ '^algo_ref.(await|bulk_load|deploy|revert|transaction)\(' THEN 'CALL ' ELSE 'SELECT * FROM ' END || call) STORED);
INSERT INTO calls (call) VALUES
  ($$algo_ref.add_hook('after_run', 'pg_catalog.jsonb_typeof(jsonb)')$$),
  ($$algo_ref.adopt_alembic('alembic_version')$$),
  ($$algo_ref.approve('one')$$),
  ($$algo_ref.autogenerate('m', 'CREATE TABLE x (id int)')$$),
  ($$algo_ref.await('one')$$),
  ($$algo_ref.bases()$$),
  ($$algo_ref.blocking_chain(0)$$),
  ($$algo_ref.branches()$$),
  ($$algo_ref.check('CREATE TABLE x (id int)')$$),
  ($$algo_ref.bulk_explain('alembic_version')$$),
  ($$algo_ref.bulk_insert('alembic_version', '[]')$$),
  ($$algo_ref.bulk_insert_query('alembic_version', 'TABLE alembic_version LIMIT 0')$$),
  ($$algo_ref.bulk_insert_returning(NULL::alembic_version, '[]')$$),
  ($$algo_ref.bulk_load('alembic_version', 'TABLE alembic_version')$$),
  ($$algo_ref.bulk_rejects()$$),
  ($$algo_ref.connection_budget()$$),
  ($$algo_ref.connection_limits()$$),
  ($$algo_ref.connections()$$),
  ($$algo_ref.current()$$),
  ($$algo_ref.declare('CREATE TABLE x (id int)')$$),
  ($$algo_ref.delete_revision('two')$$),
  ($$algo_ref.deploy('heads')$$),
  ($$algo_ref.diff('CREATE TABLE x (id int)')$$),
  ($$algo_ref.downgrade('base')$$),
  ($$algo_ref.downgrade_sql('base')$$),
  ($$algo_ref.drop_hook('after_run', 'pg_catalog.jsonb_typeof(jsonb)')$$),
  ($$algo_ref.edit('two', message => 'x')$$),
  ($$algo_ref.fingerprint()$$),
  ($$algo_ref.fingerprints('{public}')$$),
  ($$algo_ref.graph()$$),
  ($$algo_ref.heads()$$),
  ($$algo_ref.history()$$),
  ($$algo_ref.import_alembic('-- Running upgrade two -> y')$$),
  ($$algo_ref.index_advice()$$),
  ($$algo_ref.merge()$$),
  ($$algo_ref.n1_report()$$),
  ($$algo_ref.n1_reset()$$),
  ($$algo_ref.name_relationship('alembic_version', 'x', 'y')$$),
  ($$algo_ref.plan('heads')$$),
  ($$algo_ref.plan_checksum('heads')$$),
  ($$algo_ref.pool_dispose('no such application')$$),
  ($$algo_ref.pool_status()$$),
  ($$algo_ref.pool_status('text')$$),
  ($$algo_ref.prefetch('SELECT 1', VARIADIC '{}')$$),
  ($$algo_ref.prefetch_jsonb('SELECT 1', VARIADIC '{}')$$),
  ($$algo_ref.prefetch_jsonb_query('SELECT 1', '{}')$$),
  ($$algo_ref.prefetch_query('SELECT 1', '{}')$$),
  ($$algo_ref.prefetch_rows('SELECT 1', '{}', NULL)$$),
  ($$algo_ref.prefetch_sets('SELECT 1', VARIADIC '{}')$$),
  ($$algo_ref.prefetch_arrays('SELECT 1', VARIADIC '{}')$$),
  ($$algo_ref.prefetch_arrays_query('SELECT 1', '{}')$$),
  ($$algo_ref.prefetch_sets_query('SELECT 1', '{}')$$),
  ($$algo_ref.prefetch_explain('SELECT 1', VARIADIC '{}')$$),
  ($$algo_ref.prefetch_explain_query('SELECT 1', '{}')$$),
  ($$algo_ref.processes()$$),
  ($$algo_ref.relationships('alembic_version')$$),
  ($$algo_ref.resolve('heads')$$),
  ($$algo_ref.revert('base')$$),
  ($$algo_ref.revision('x', 'CREATE TABLE x (id int)', id => 'x', revises => '{two}')$$),
  ($$algo_ref.schema_sql()$$),
  ($$algo_ref.schema_status()$$),
  ($$algo_ref.script('one')$$),
  ($$algo_ref.show('one')$$),
  ($$algo_ref.stamp('base')$$),
  ($$algo_ref.transaction('SELECT 1')$$),
  ($$algo_ref.upgrade('heads')$$),
  ($$algo_ref.upgrade_sql('heads')$$);
CREATE TABLE alembic_version (version_num text);
INSERT INTO alembic_version VALUES ('one');
GRANT ALL ON alembic_version TO PUBLIC;
-- none is forgotten that SQL can call
SELECT oid::regprocedure FROM pg_proc WHERE pronamespace = 'algo_ref'::regnamespace AND 'internal'::regtype <> ALL (proargtypes)
  AND NOT EXISTS (SELECT FROM calls WHERE call LIKE 'algo_ref.' || proname || '(%');

CREATE FUNCTION outcome(command text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE command;
  RETURN 'done';
EXCEPTION WHEN OTHERS THEN
  RETURN SQLSTATE;
END $$;
GRANT SELECT ON calls TO PUBLIC;
-- the state, to be compared
CREATE FUNCTION state() RETURNS text LANGUAGE sql AS $$
  SELECT md5(concat((SELECT string_agg(s::text, ',' ORDER BY revision) FROM algo_ref.script s), (SELECT string_agg(v::text, ',' ORDER BY revision) FROM algo_ref.version v),
    (SELECT count(*) FROM algo_ref.log), (SELECT count(*) FROM algo_ref.hook), (SELECT count(*) FROM algo_ref.job), to_regclass('x')))
$$;
SELECT state() AS before \gset

-- (procedures that commit get to where they may not, which is 25001)
-- without anything
SET ROLE regress_algo_ref_nobody;
SELECT outcome(command) AS outcome, count(*) FROM calls GROUP BY 1 ORDER BY 1;
SELECT outcome('TABLE algo_ref.' || t) AS outcome FROM unnest('{script,version,log,hook,head_summary,job,bulk_job,model,status,progress}'::text[]) AS t;
RESET ROLE;
-- who may use the schema
GRANT USAGE ON SCHEMA algo_ref TO regress_algo_ref_nobody, regress_algo_ref_reader;
SET ROLE regress_algo_ref_nobody;
SELECT outcome(command) AS outcome, count(*) FROM calls GROUP BY 1 ORDER BY 1;
SELECT * FROM algo_ref.plan('heads');
SELECT * FROM algo_ref.upgrade('heads');
RESET ROLE;
-- who may read the tables reads the state, and changes nothing
GRANT SELECT ON ALL TABLES IN SCHEMA algo_ref TO regress_algo_ref_reader;
SET ROLE regress_algo_ref_reader;
SELECT outcome(command) AS outcome, call FROM calls ORDER BY id;
SELECT outcome('TABLE algo_ref.' || t) AS outcome, t FROM unnest('{script,version,log,hook,head_summary,job,bulk_job,model,status,progress}'::text[]) WITH ORDINALITY AS u (t, n) ORDER BY n;
SELECT outcome(c) AS outcome, c FROM unnest(ARRAY[
  'DELETE FROM algo_ref.script', 'DELETE FROM algo_ref.version', 'DELETE FROM algo_ref.log', 'DELETE FROM algo_ref.hook',
  'UPDATE algo_ref.script SET upgrade = ''DROP''', 'INSERT INTO algo_ref.version VALUES (''public'', ''two'', 1, now())',
  'TRUNCATE algo_ref.script', 'SELECT nextval(''algo_ref.script_load_order_seq'')', 'SELECT nextval(''algo_ref.log_id_seq'')',
  'CREATE TABLE algo_ref.t (id int)', 'DROP FUNCTION algo_ref.heads()', 'SELECT * FROM algo_ref.script FOR UPDATE']) WITH ORDINALITY AS u (c, n) ORDER BY n;
SELECT revision, is_head FROM algo_ref.current();
SELECT revision FROM algo_ref.plan('heads');
SELECT schema, heads, behind FROM algo_ref.status;
RESET ROLE;
SELECT state() = :'before' AS unchanged;

-- no role writes to the tables by itself, whatever functions it may call
CREATE ROLE regress_algo_ref_caller;
GRANT USAGE ON SCHEMA algo_ref TO regress_algo_ref_caller;
GRANT EXECUTE ON ALL ROUTINES IN SCHEMA algo_ref TO regress_algo_ref_caller;
CREATE FUNCTION try_as(who name, command text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE format('SET LOCAL ROLE %I', who);
  EXECUTE command;
  RAISE SQLSTATE 'DONE0';
EXCEPTION
  WHEN SQLSTATE 'DONE0' THEN
    RETURN 'done';
  WHEN OTHERS THEN
    RETURN SQLSTATE;
END $$;
SELECT relkind, command, try_as(r, format(command, 'algo_ref.' || relname, last.attname)) AS outcome,
  array_agg(DISTINCT substr(r, 18) ORDER BY substr(r, 18)) AS roles, count(DISTINCT relname) > 2 AS on_all
FROM pg_class c,
  LATERAL (SELECT attname FROM pg_attribute WHERE attrelid = c.oid ORDER BY attnum DESC LIMIT 1) AS last,
  unnest(CASE relkind
    WHEN 'S' THEN '{SELECT nextval(%L),"SELECT setval(%L, 1)"}'
    ELSE '{INSERT INTO %s DEFAULT VALUES,UPDATE %s SET %I = NULL,DELETE FROM %s,TRUNCATE %s,LOCK TABLE %s,SELECT FROM %s FOR UPDATE,DROP TABLE %s}'
    END::text[]) AS command,
  unnest('{regress_algo_ref_nobody,regress_algo_ref_reader,regress_algo_ref_caller}'::name[]) AS r
WHERE relnamespace = 'algo_ref'::regnamespace AND relkind IN ('r', 'S')
GROUP BY 1, 2, 3 ORDER BY relkind, command COLLATE "C", 3;
-- who may call all functions, but read no table, changes what it may not see
UPDATE calls SET call = replace(call, 'add_hook(''after_run''', 'add_hook(''after_step''');
SELECT algo_ref.add_hook('after_run', 'pg_catalog.jsonb_typeof(jsonb)');
SELECT algo_ref.revision('three', '', '', id => 'three', revises => '{one}');
SET client_min_messages = warning;
SELECT call, try_as('regress_algo_ref_super', command) AS super, try_as('regress_algo_ref_caller', command) AS caller
FROM calls ORDER BY id;
RESET client_min_messages;
SELECT algo_ref.delete_revision('three');
SELECT algo_ref.drop_hook('after_run', 'pg_catalog.jsonb_typeof(jsonb)');
SELECT state() = :'before' AS unchanged;

-- the history is there for those who may read scripts but not states
GRANT SELECT ON algo_ref.script TO regress_algo_ref_nobody;
SET ROLE regress_algo_ref_nobody;
SELECT revision, is_current FROM algo_ref.history();
SELECT outcome('SELECT algo_ref.current()') AS current, outcome('SELECT algo_ref.history(''current:'')') AS history, outcome('SELECT algo_ref.script('':current'')') AS script, outcome('TABLE algo_ref.status') AS status;
RESET ROLE;

--
-- What the README grants to the team that migrates is enough
--

GRANT USAGE ON SCHEMA algo_ref TO regress_algo_ref_owner, regress_algo_ref_mallory;
GRANT SELECT ON ALL TABLES IN SCHEMA algo_ref TO regress_algo_ref_owner;
GRANT EXECUTE ON ALL ROUTINES IN SCHEMA algo_ref TO regress_algo_ref_owner;
GRANT EXECUTE ON FUNCTION algo_ref.revision, algo_ref.edit TO regress_algo_ref_mallory;
CREATE SCHEMA app AUTHORIZATION regress_algo_ref_owner;
SET ROLE regress_algo_ref_author;
SELECT algo_ref.revision('tables', 'CREATE TABLE t AS SELECT current_user::text AS who', 'DROP TABLE t', id => 'tables', revises => '{}', branch_labels => '{app}');
SET ROLE regress_algo_ref_owner;
SET search_path = app, public;
-- the author is a member of the caller's role
SELECT revision FROM algo_ref.upgrade('app@heads');
SELECT who FROM t;
SELECT role, revision FROM algo_ref.log ORDER BY id DESC LIMIT 1;
SELECT revision FROM algo_ref.downgrade('app@base');
-- but not the other way round
SELECT algo_ref.revision('by the owner', 'SELECT 1', '', id => 'owners', revises => '{tables}');
SET ROLE regress_algo_ref_author;
SELECT revision FROM algo_ref.upgrade('owners');
-- superusers are trusted by everybody
SET ROLE regress_algo_ref_owner;
SELECT revision FROM algo_ref.upgrade('two');
SELECT revision FROM algo_ref.downgrade('one@base');
RESET ROLE;

--
-- A script of somebody who is not trusted
--

SET ROLE regress_algo_ref_mallory;
SELECT algo_ref.revision('harmless', 'ALTER ROLE regress_algo_ref_mallory SUPERUSER', 'SELECT 1', id => 'evil', revises => '{owners}');
RESET ROLE;
SELECT revision FROM algo_ref.upgrade('evil');
SET ROLE regress_algo_ref_owner;
SELECT revision FROM algo_ref.upgrade('evil');
RESET ROLE;
SELECT rolsuper FROM pg_roles WHERE rolname = 'regress_algo_ref_mallory';
-- nothing of the plan has run
SELECT revision FROM algo_ref.version WHERE schema = 'app';
-- stamping runs nothing
SELECT revision FROM algo_ref.stamp('evil');
SELECT revision FROM algo_ref.downgrade('owners');
SELECT revision FROM algo_ref.stamp('owners');
-- after review
SELECT algo_ref.edit('evil', upgrade => 'SELECT ''nothing evil''');
SELECT algo_ref.approve('evil');
SELECT revision FROM algo_ref.upgrade('evil');
-- a change makes it the changer's
SELECT revision FROM algo_ref.downgrade('owners');
GRANT SELECT ON algo_ref.script, algo_ref.version TO regress_algo_ref_mallory;
SET ROLE regress_algo_ref_mallory;
SELECT algo_ref.edit('evil', upgrade => 'ALTER ROLE regress_algo_ref_mallory SUPERUSER');
RESET ROLE;
SELECT revision FROM algo_ref.upgrade('evil');
-- the caller is the owner of a function that runs with its owner's rights
CREATE FUNCTION app.deploy() RETURNS SETOF text SECURITY DEFINER SET search_path = app LANGUAGE sql
AS 'SELECT revision FROM algo_ref.upgrade(''evil'')';
GRANT USAGE ON SCHEMA app TO regress_algo_ref_mallory;
SET ROLE regress_algo_ref_mallory;
SELECT app.deploy();
RESET ROLE;
-- an author who is gone
SELECT algo_ref.approve('evil');
UPDATE algo_ref.script SET author = 'regress_algo_ref_gone' WHERE revision = 'evil';
SELECT revision FROM algo_ref.upgrade('evil');

--
-- A script gets no more rights than its caller has, and what it takes ends with it
--

SELECT algo_ref.edit('evil', upgrade => 'SET ROLE regress_algo_ref_mallory; CREATE TABLE pg_temp.mine AS SELECT current_user::text AS who; RESET ROLE');
SELECT algo_ref.approve('evil');
SET ROLE regress_algo_ref_owner;
SELECT revision FROM algo_ref.upgrade('evil');
SELECT current_user, session_user = current_user AS is_session;
RESET ROLE;
SELECT revision FROM algo_ref.stamp('owners');
SELECT algo_ref.edit('evil', upgrade => 'SET SESSION AUTHORIZATION regress_algo_ref_mallory; SET ROLE regress_algo_ref_mallory');
SET ROLE pg_monitor;
SET ROLE regress_algo_ref_owner;
SELECT revision FROM algo_ref.upgrade('evil');
SELECT current_user, current_setting('role') AS role;
SELECT revision FROM algo_ref.downgrade('owners');
-- who has come to a role by SET ROLE gives what it had before to nobody
RESET ROLE;
SELECT algo_ref.edit('evil', upgrade => E'SELECT 1;\nRESET ROLE; ALTER ROLE regress_algo_ref_author SUPERUSER');
GRANT EXECUTE ON FUNCTION algo_ref.approve, algo_ref.add_hook TO regress_algo_ref_author;
SET ROLE regress_algo_ref_author;
SELECT algo_ref.approve('evil');
SET ROLE regress_algo_ref_owner;
SELECT revision FROM algo_ref.upgrade('evil');
SET ROLE regress_algo_ref_author;
SELECT algo_ref.edit('evil', upgrade => 'DO ''BEGIN RESET ROLE; END''');
SET ROLE regress_algo_ref_owner;
SELECT revision FROM algo_ref.upgrade('evil');
SET ROLE regress_algo_ref_author;
SELECT algo_ref.edit('evil', upgrade => '');
SET search_path = app;
RESET ROLE;
GRANT CREATE ON SCHEMA app TO regress_algo_ref_author;
SET ROLE regress_algo_ref_author;
CREATE FUNCTION app.climb(jsonb) RETURNS void LANGUAGE plpgsql AS 'BEGIN RESET ROLE; END';
SELECT algo_ref.add_hook('after_step', 'app.climb(jsonb)');
SET ROLE regress_algo_ref_owner;
SELECT revision FROM algo_ref.upgrade('evil');
RESET ROLE;
SELECT session_user = current_user AS is_session, rolsuper FROM pg_roles WHERE rolname = 'regress_algo_ref_author';
SET search_path = public;

SET client_min_messages = warning;
DROP SCHEMA app CASCADE;
DROP EXTENSION algo_ref;
DROP TABLE calls, alembic_version;
DROP FUNCTION outcome, state, try_as;
RESET SESSION AUTHORIZATION;
DROP ROLE regress_algo_ref_super, regress_algo_ref_caller, regress_algo_ref_reader, regress_algo_ref_nobody, regress_algo_ref_author, regress_algo_ref_owner, regress_algo_ref_mallory;
CREATE EXTENSION algo_ref;
RESET client_min_messages;
