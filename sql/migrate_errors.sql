-- What upgrade, downgrade and stamp refuse, and how errors in scripts are shown.
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS algo_ref CASCADE;
RESET client_min_messages;
CREATE EXTENSION algo_ref;
CREATE SCHEMA app;
SET search_path = app, public;
CREATE VIEW public.applied AS
  SELECT schema, revision, position FROM algo_ref.version ORDER BY schema, position;

--
-- Arguments
--

SELECT * FROM algo_ref.upgrade(NULL);
SELECT * FROM algo_ref.downgrade(NULL);
SELECT * FROM algo_ref.stamp(NULL);
SELECT * FROM algo_ref.stamp('base', purge => NULL);
SELECT * FROM algo_ref.upgrade('head', 'no_such_schema');
SELECT * FROM algo_ref.downgrade('base', 'no_such_schema');
SELECT * FROM algo_ref.stamp('base', 'no_such_schema');
SET search_path = no_such_schema;
SELECT * FROM algo_ref.upgrade('head');
SET search_path = app, public;
-- nothing is registered yet
SELECT * FROM algo_ref.upgrade('head');
SELECT * FROM algo_ref.upgrade('a1');
SELECT * FROM algo_ref.downgrade('base');
SELECT * FROM algo_ref.downgrade('-1');
SELECT * FROM algo_ref.stamp('head');
SELECT * FROM algo_ref.stamp('a1', purge => true);

--
-- Targets
--

SELECT algo_ref.revision('base', 'CREATE TABLE a (id int)', 'DROP TABLE a', id => 'aaaa1', revises => '{}');
SELECT algo_ref.revision('left', '', '', id => 'bbbb2', revises => '{aaaa1}');
SELECT algo_ref.revision('right', '', '', id => 'bbbb3', revises => '{aaaa1}');
\set VERBOSITY sqlstate
SELECT * FROM algo_ref.upgrade('');
SELECT * FROM algo_ref.upgrade('no-such-revision');
SELECT * FROM algo_ref.upgrade('bbbb');
SELECT * FROM algo_ref.upgrade('head');
SELECT * FROM algo_ref.upgrade('bbbb2,aaaa1');
SELECT * FROM algo_ref.upgrade('-1');
SELECT * FROM algo_ref.upgrade('+9');
SELECT * FROM algo_ref.upgrade('aaaa1:bbbb2');
SELECT * FROM algo_ref.upgrade(repeat('x', 1000000));
SELECT * FROM algo_ref.upgrade('nosuch@head');
SELECT * FROM algo_ref.downgrade('aaaa1');
SELECT * FROM algo_ref.downgrade('+1');
SELECT * FROM algo_ref.downgrade('aaaa1,base');
SELECT * FROM algo_ref.stamp('aaaa1,bbbb2');
SELECT * FROM algo_ref.stamp('nosuch', purge => true);
\set VERBOSITY default
TABLE public.applied;

-- not the plan that was reviewed
SELECT * FROM algo_ref.upgrade('aaaa1', expect => '');
SELECT * FROM algo_ref.upgrade('aaaa1', expect => (SELECT algo_ref.plan_checksum('bbbb2')));
SELECT count(*) FROM algo_ref.upgrade('heads');
SELECT * FROM algo_ref.downgrade('base', expect => 'something else');

-- rows that name what does not exist
INSERT INTO algo_ref.version VALUES ('app', 'gone', 9, now());
SELECT * FROM algo_ref.upgrade('heads');
SELECT * FROM algo_ref.downgrade('base');
SELECT * FROM algo_ref.stamp('base');
DELETE FROM algo_ref.version WHERE revision = 'gone';

-- a transaction that only reads: nothing to do is no error
BEGIN READ ONLY;
SELECT * FROM algo_ref.upgrade('heads');
SELECT * FROM algo_ref.upgrade('aaaa1');
SELECT * FROM algo_ref.downgrade('aaaa1');
ROLLBACK;
BEGIN READ ONLY;
SELECT * FROM algo_ref.stamp('base', purge => true);
ROLLBACK;
SELECT count(*) FROM algo_ref.downgrade('base');

--
-- Refused before anything runs
--

SELECT algo_ref.revision('index', E'CREATE INDEX ON a (id);\n\nCREATE INDEX CONCURRENTLY ON a (id)', NULL, id => 'c1', revises => '{aaaa1}');
SELECT algo_ref.revision('vacuum', '', 'VACUUM a', id => 'c2', revises => '{aaaa1}');
SELECT * FROM algo_ref.upgrade('c1');
SELECT revision FROM algo_ref.upgrade('c2');
SELECT * FROM algo_ref.downgrade('base');
SELECT revision FROM algo_ref.stamp('c1');
SELECT * FROM algo_ref.downgrade('base');
TABLE public.applied;
SELECT to_regclass('a') AS still_there;
SELECT count(*) FROM algo_ref.stamp('base');
DROP TABLE a;

-- a label of a type that was there before
CREATE TYPE app.mood AS ENUM ('sad');
CREATE TABLE person (id int, m mood);
SELECT algo_ref.revision('add', E'SELECT 1;\nALTER TYPE mood ADD VALUE ''happy''', '', id => 'e1', revises => '{}');
SELECT algo_ref.revision('use', E'SELECT 1;\nSELECT 2;\nUPDATE person SET m = ''happy''', '', id => 'e2', revises => '{e1}');
SELECT algo_ref.revision('add and use', E'ALTER TYPE app.mood ADD VALUE ''ok'';\nALTER TABLE person ALTER m SET DEFAULT ''ok''::app.mood', '', id => 'e3', revises => '{}');
SELECT algo_ref.revision('hidden use', $$ALTER TYPE mood ADD VALUE 'hid'; SELECT ('h' || 'id')::mood;$$, '', id => 'e4', revises => '{}');
SELECT * FROM algo_ref.upgrade('e2');
SELECT * FROM algo_ref.upgrade('e3');
SELECT * FROM algo_ref.upgrade('e4');
SELECT enumlabel FROM pg_enum WHERE enumtypid = 'mood'::regtype;
TABLE public.applied;
DROP TABLE person;
DROP TYPE mood;

--
-- Errors in scripts
--

-- with a place in the script, also in the middle of a long one
CREATE FUNCTION try(upgrade text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  PERFORM algo_ref.revision('try', upgrade, '', id => 'try', revises => '{}');
END $$;
SET client_min_messages = warning;
SELECT try(E'SELECT 1;\n\n  SELECT ''grün'' AS x, id FROM no_such_table;\nSELECT 3');
SELECT * FROM algo_ref.upgrade('try');
SELECT try(repeat(E'-- a comment line that fills the script\n', 1000) || E'CREATE TABLE t (id int,\n  v no_such_type);\n' || repeat(E'-- another line\n', 1000));
SELECT * FROM algo_ref.upgrade('try');
-- without one
SELECT try(E'CREATE TABLE t (id int);\nINSERT INTO t VALUES (1), (1);\nCREATE UNIQUE INDEX ON t (id);');
SELECT * FROM algo_ref.upgrade('try');
-- inside of what a statement calls
SELECT try($$
CREATE FUNCTION broken() RETURNS int LANGUAGE plpgsql AS $f$
BEGIN
  RETURN no_such_column FROM pg_class;
END $f$;
DO $do$
BEGIN
  PERFORM broken();
END $do$;
$$);
SELECT * FROM algo_ref.upgrade('try');
SELECT try($$CREATE FUNCTION broken() RETURNS int LANGUAGE sql AS 'SELECT no_such_column'$$);
SELECT * FROM algo_ref.upgrade('try');
SELECT try($$DO 'BEGIN RAISE EXCEPTION USING errcode = ''AB123'', message = ''mine'', detail = ''a detail'', hint = ''a hint''; END'$$);
SELECT * FROM algo_ref.upgrade('try');
-- deferred: at the end of the script
SELECT try('CREATE TABLE t (id int UNIQUE DEFERRABLE INITIALLY DEFERRED); INSERT INTO t VALUES (1), (1)');
SELECT * FROM algo_ref.upgrade('try');
-- savepoints
SELECT try('SAVEPOINT a; ROLLBACK TO b');
SELECT * FROM algo_ref.upgrade('try');
SELECT try('SAVEPOINT a; RELEASE a; RELEASE a');
SELECT * FROM algo_ref.upgrade('try');
SELECT try('SAVEPOINT a; SELECT 1/0; ROLLBACK TO a');
SELECT * FROM algo_ref.upgrade('try');
BEGIN;
SAVEPOINT outside;
SELECT try('ROLLBACK TO outside');
SELECT * FROM algo_ref.upgrade('try');
ROLLBACK;
-- what only turns out to need a commit
SELECT try('CREATE TABLE t (id int) PARTITION BY LIST (id); REINDEX TABLE t');
SELECT * FROM algo_ref.upgrade('try');
SELECT try('DO ''BEGIN COMMIT; END''');
SELECT * FROM algo_ref.upgrade('try');
-- a run within a run
SELECT try('SELECT algo_ref.upgrade(''heads'')');
SELECT * FROM algo_ref.upgrade('try');
SELECT try($script$DO $do$ BEGIN PERFORM algo_ref.stamp('base', purge => true); EXCEPTION WHEN object_in_use THEN RAISE WARNING 'refused'; END $do$$script$);
SELECT revision FROM algo_ref.upgrade('try');
SELECT revision FROM algo_ref.downgrade('try@base');
-- after an error, all is as it was
TABLE public.applied;
SELECT relname FROM pg_class WHERE relnamespace = 'app'::regnamespace AND relkind = 'r';
SELECT count(*) FROM algo_ref.log WHERE revision NOT IN ('aaaa1', 'bbbb2', 'bbbb3', 'c1', 'c2', 'try');

-- a caller who catches it can go on
SELECT try('CREATE TABLE t (id int); SET work_mem = ''1MB''; SET search_path = public; SAVEPOINT a; INSERT INTO app.t VALUES (''x'')');
DO $$
BEGIN
  PERFORM algo_ref.upgrade('try');
EXCEPTION WHEN OTHERS THEN
  RAISE WARNING '%: %', SQLSTATE, SQLERRM;
END $$;
SELECT current_setting('work_mem'), current_setting('search_path');
SELECT try('CREATE TABLE t (id int)');
BEGIN;
SELECT revision FROM algo_ref.upgrade('try');
SAVEPOINT a;
SELECT revision FROM algo_ref.downgrade('nosuch');
ROLLBACK TO a;
SELECT revision FROM algo_ref.stamp('aaaa1');
COMMIT;
TABLE public.applied;

DROP VIEW public.applied;
DROP SCHEMA app CASCADE;
DROP EXTENSION algo_ref;
