-- What the deploy door refuses.
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS algo_ref CASCADE;
DROP ROLE IF EXISTS regress_algo_ref_owner, regress_algo_ref_author, regress_algo_ref_mallory, regress_algo_ref_super;
RESET client_min_messages;
CREATE EXTENSION algo_ref;
-- the context of a worker's error names its process
\set SHOW_CONTEXT never
CREATE SCHEMA app;
SET search_path = app, public;
SELECT algo_ref.revision('one', 'CREATE TABLE a (id int)', 'DROP TABLE a', id => 'aaaa1', revises => '{}');
SELECT algo_ref.revision('left', 'CREATE TABLE b (id int)', id => 'bbbb2', revises => '{aaaa1}');
SELECT algo_ref.revision('right', 'CREATE TABLE c (id int)', 'DROP TABLE c', id => 'bbbb3', revises => '{aaaa1}');

--
-- Where nothing can be committed
--

BEGIN;
CALL algo_ref.deploy('aaaa1');
ROLLBACK;
BEGIN;
CALL algo_ref.revert('base');
ROLLBACK;
BEGIN;
CALL algo_ref.await('aaaa1');
ROLLBACK;
CALL algo_ref.deploy('aaaa1') \; CALL algo_ref.deploy('aaaa1');
CREATE FUNCTION public.call_it() RETURNS void LANGUAGE plpgsql AS 'BEGIN CALL algo_ref.deploy(''aaaa1''); END';
SELECT public.call_it();
CREATE FUNCTION public.call_it_sql() RETURNS void LANGUAGE sql AS 'CALL algo_ref.deploy(''aaaa1'')';
SELECT public.call_it_sql();
CREATE PROCEDURE public.call_it_as_owner() SECURITY DEFINER LANGUAGE plpgsql AS 'BEGIN CALL algo_ref.deploy(''aaaa1''); END';
CALL public.call_it_as_owner();
CREATE PROCEDURE public.call_it_with_path() LANGUAGE plpgsql SET search_path = public AS 'BEGIN CALL algo_ref.deploy(''aaaa1''); END';
CALL public.call_it_with_path();
DO $$ BEGIN BEGIN CALL algo_ref.deploy('aaaa1'); EXCEPTION WHEN division_by_zero THEN END; END $$;
-- a script is no place either
SELECT algo_ref.revision('nested', 'CALL algo_ref.deploy(''aaaa1'')', id => 'nest', revises => '{}');
SELECT revision FROM algo_ref.upgrade('nest');
CALL algo_ref.deploy('nest');
SELECT revision FROM algo_ref.stamp('base');
SELECT algo_ref.delete_revision('nest');
SET default_transaction_read_only = on;
CALL algo_ref.deploy('aaaa1');
SET default_transaction_read_only = off;
DROP FUNCTION public.call_it, public.call_it_sql;
DROP PROCEDURE public.call_it_as_owner, public.call_it_with_path;
-- a procedure of one's own can
DO $$ BEGIN CALL algo_ref.deploy('aaaa1'); RAISE NOTICE 'deployed'; CALL algo_ref.revert('base'); END $$;

--
-- Arguments
--

CALL algo_ref.deploy(NULL);
CALL algo_ref.revert(NULL);
CALL algo_ref.revert();
CALL algo_ref.await(NULL);
CALL algo_ref.deploy(lock_wait => NULL);
CALL algo_ref.deploy(lock_budget => NULL);
CALL algo_ref.deploy('aaaa1', lock_wait => '0');
CALL algo_ref.deploy('aaaa1', lock_wait => '-1 ms');
CALL algo_ref.deploy('aaaa1', lock_budget => '1 month');
CALL algo_ref.deploy('aaaa1', lock_budget => '-178000000 years');
CALL algo_ref.deploy('aaaa1', statement_budget => '0 s');
CALL algo_ref.await('aaaa1', timeout => '0 s');
CALL algo_ref.deploy('aaaa1', schema => 'no_such_schema');
CALL algo_ref.await('aaaa1', schema => 'no_such_schema');
CALL algo_ref.deploy('aaaa1', expect => '');
CALL algo_ref.deploy('aaaa1', expect => 'nonsense');
SET search_path = no_such_schema;
CALL algo_ref.deploy('aaaa1');
SET search_path = app, public;
\set VERBOSITY sqlstate
CALL algo_ref.deploy('');
CALL algo_ref.deploy('nosuch');
CALL algo_ref.await('nosuch');
CALL algo_ref.deploy('no-such-revision');
CALL algo_ref.deploy('bbbb');
CALL algo_ref.deploy();
CALL algo_ref.deploy('-1');
CALL algo_ref.deploy('+9');
CALL algo_ref.deploy('aaaa1:bbbb2');
CALL algo_ref.deploy(repeat('x', 1000000));
CALL algo_ref.revert('aaaa1');
CALL algo_ref.revert('+1');
SELECT algo_ref.upgrade_sql(NULL);
SELECT algo_ref.upgrade_sql();
SELECT algo_ref.upgrade_sql('no-such-revision');
SELECT algo_ref.upgrade_sql('heads', '{no-such-revision}');
SELECT algo_ref.upgrade_sql('heads', '{NULL}');
SELECT algo_ref.upgrade_sql('heads', lock_timeout => NULL);
SELECT algo_ref.upgrade_sql('heads', lock_timeout => '0 s');
SELECT algo_ref.downgrade_sql(NULL);
SELECT algo_ref.downgrade_sql('aaaa1', '{bbbb2}');
SELECT algo_ref.import_alembic(NULL);
SELECT algo_ref.import_alembic('');
SELECT algo_ref.import_alembic('SELECT 1');
SELECT algo_ref.import_alembic(E'-- Running upgrade  -> x1\nSELEC');
SELECT algo_ref.import_alembic(E'-- Running downgrade nosuch -> ');
SELECT algo_ref.adopt_alembic(NULL);
SELECT algo_ref.adopt_alembic(0);
SELECT algo_ref.adopt_alembic('algo_ref.script');
\set VERBOSITY default
-- none of them has left a trace
SELECT count(*) FROM algo_ref.job;
SELECT count(*) FROM algo_ref.version;

--
-- Plans that cannot be carried out
--

CALL algo_ref.deploy('bbbb2');
CALL algo_ref.revert('base');
SELECT revision FROM algo_ref.current();
-- the budgets
SELECT algo_ref.revision('slow', 'SELECT pg_sleep(30)', '', id => 'slow', revises => '{aaaa1}');
CALL algo_ref.deploy('slow', statement_budget => '20 ms');
SELECT outcome, error ->> 'sqlstate' AS sqlstate FROM algo_ref.log ORDER BY id DESC LIMIT 1;
SET statement_timeout = '200 ms';
CALL algo_ref.deploy('slow');
RESET statement_timeout;
SELECT outcome, error ->> 'sqlstate' AS sqlstate FROM algo_ref.log ORDER BY id DESC LIMIT 1;
SELECT algo_ref.edit('slow', upgrade => 'VACUUM a; VACUUM no_such_table');
CALL algo_ref.deploy('slow');
SELECT state, revision, statement, statement_count FROM algo_ref.progress;
SELECT revision FROM algo_ref.stamp('base', purge => true);
DROP TABLE a;

--
-- Whose scripts run, and with which rights
--

CREATE ROLE regress_algo_ref_super SUPERUSER;
CREATE ROLE regress_algo_ref_owner;
CREATE ROLE regress_algo_ref_author IN ROLE regress_algo_ref_owner;
CREATE ROLE regress_algo_ref_mallory;
GRANT USAGE ON SCHEMA algo_ref TO regress_algo_ref_owner, regress_algo_ref_mallory;
GRANT SELECT ON ALL TABLES IN SCHEMA algo_ref TO regress_algo_ref_owner;
GRANT EXECUTE ON ALL ROUTINES IN SCHEMA algo_ref TO regress_algo_ref_owner;
GRANT EXECUTE ON FUNCTION algo_ref.revision TO regress_algo_ref_mallory;
CREATE SCHEMA team AUTHORIZATION regress_algo_ref_owner;
SET search_path = team;
SET ROLE regress_algo_ref_mallory;
SELECT algo_ref.revision('harmless', 'ALTER ROLE regress_algo_ref_mallory SUPERUSER; VACUUM', id => 'evil', revises => '{}');
RESET ROLE;
CALL algo_ref.deploy('evil');
SET ROLE regress_algo_ref_owner;
CALL algo_ref.deploy('evil');
-- a member's is the owner's; in a session that cannot be trusted with more, no
-- script leaves the role that was set
SET ROLE regress_algo_ref_author;
SELECT algo_ref.revision('climb', $$
RESET ROLE;
CREATE TABLE mine AS SELECT current_user::text AS who;
VACUUM no_such_table;
ALTER ROLE regress_algo_ref_author SUPERUSER
$$, id => 'climb', revises => '{}');
SET ROLE regress_algo_ref_owner;
CALL algo_ref.deploy('climb');
-- not if the owner, who trusts its author, has run the first half either
SET SESSION AUTHORIZATION regress_algo_ref_owner;
CALL algo_ref.deploy('climb');
SELECT statement, statement_count, error FROM algo_ref.progress;
RESET SESSION AUTHORIZATION;
SELECT who FROM team.mine;
CREATE TABLE team.no_such_table ();
ALTER TABLE team.no_such_table OWNER TO regress_algo_ref_owner;
SET search_path = team;
SET ROLE regress_algo_ref_owner;
CALL algo_ref.deploy('climb');
RESET ROLE;
SELECT rolname, rolsuper FROM pg_roles WHERE rolname IN ('regress_algo_ref_author', 'regress_algo_ref_mallory') ORDER BY 1;
SELECT revision FROM algo_ref.stamp('base', purge => true);
-- a worker has the role that the script has set, and what that may do
SELECT algo_ref.revision('roles', $$
CREATE TABLE theirs (id int);
ALTER TABLE theirs OWNER TO regress_algo_ref_owner;
SET ROLE regress_algo_ref_owner;
CREATE INDEX CONCURRENTLY theirs_id ON theirs (id);
CREATE TABLE made AS SELECT current_user::text AS who;
RESET ROLE;
CREATE INDEX CONCURRENTLY theirs_id2 ON theirs (id)
$$, id => 'roles', revises => '{}');
CALL algo_ref.deploy('roles');
SELECT who, current_user = session_user AS is_reset FROM made;
SELECT relname, relowner::regrole FROM pg_class WHERE relname LIKE 'theirs%' ORDER BY relname COLLATE "C";
SET ROLE regress_algo_ref_owner;
CREATE TABLE secret (id int);
RESET ROLE;
ALTER TABLE secret OWNER TO regress_algo_ref_super;
SET ROLE regress_algo_ref_owner;
SELECT algo_ref.revision('foreign', 'CREATE INDEX CONCURRENTLY ON secret (id)', id => 'foreign', revises => '{}');
CALL algo_ref.deploy('foreign');
RESET ROLE;
-- who may not call
SET ROLE regress_algo_ref_mallory;
CALL algo_ref.deploy();
CALL algo_ref.revert('base');
SELECT algo_ref.adopt_alembic('algo_ref.version');
SELECT algo_ref.import_alembic('');
CALL algo_ref.await(schema => 'team');
RESET ROLE;

SET search_path = public;
SET client_min_messages = warning;
DROP EXTENSION algo_ref;
DROP SCHEMA app, team CASCADE;
DROP ROLE regress_algo_ref_owner, regress_algo_ref_author, regress_algo_ref_mallory, regress_algo_ref_super;
CREATE EXTENSION algo_ref;
RESET client_min_messages;
