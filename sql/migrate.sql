-- Running migrations: upgrade, downgrade, stamp, and what a script may do.
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS algo_ref CASCADE;
RESET client_min_messages;
CREATE EXTENSION algo_ref;

-- What the tests look at.
CREATE VIEW applied AS
  SELECT schema, revision, position FROM algo_ref.version ORDER BY schema, position;
CREATE FUNCTION relations(schema name DEFAULT current_schema()) RETURNS SETOF text
LANGUAGE sql STABLE AS $$
  SELECT relname || ' ' || relkind::text FROM pg_class
  WHERE relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = schema) AND relkind IN ('r', 'v', 'S')
  ORDER BY relname COLLATE "C"
$$;
CREATE SCHEMA app;
SET search_path = app, public;

--
-- Up, down, up again
--

SELECT algo_ref.revision('add users', 'CREATE TABLE users (id int PRIMARY KEY, name text)', 'DROP TABLE users', id => 'a1', revises => '{}');
SELECT algo_ref.revision(E'add posts\n\nwith an author each', 'CREATE TABLE posts (id int, user_id int REFERENCES users)', 'DROP TABLE posts', id => 'b2', revises => '{a1}');
SELECT algo_ref.revision('', 'CREATE VIEW authors AS SELECT users.* FROM users JOIN posts ON user_id = users.id;', 'DROP VIEW authors', id => 'c3', revises => '{b2}');
SELECT ordinal, direction, revision, message, duration >= '0' AS has_duration FROM algo_ref.upgrade('head');
TABLE applied;
SELECT relations();
-- nothing is left to do
SELECT * FROM algo_ref.upgrade('head');
SELECT * FROM algo_ref.upgrade('b2');
SELECT * FROM algo_ref.upgrade('heads');
SELECT ordinal, direction, revision, message FROM algo_ref.downgrade('-1');
TABLE applied;
SELECT ordinal, direction, revision FROM algo_ref.downgrade('base');
SELECT ordinal, direction, revision FROM algo_ref.downgrade('base');
TABLE applied;
SELECT relations();
SELECT ordinal, direction, revision FROM algo_ref.upgrade('+2');
SELECT ordinal, direction, revision FROM algo_ref.upgrade();

-- a run is part of the transaction around it
BEGIN;
SELECT revision FROM algo_ref.downgrade('a1');
SELECT relations();
ROLLBACK;
TABLE applied;
SELECT relations();

-- what ran is in the log
SELECT id, revision, direction, outcome, statements, wal_bytes > 0 AS wrote, duration >= '0' AS has_duration,
  started <= clock_timestamp() AS is_past, role = current_user AS is_me, session_role = session_user AS is_session,
  application_name = current_setting('application_name') AS same_name, checksum = (SELECT checksum FROM algo_ref.script s WHERE s.revision = l.revision) AS same_script, error
FROM algo_ref.log l ORDER BY id;
SELECT count(DISTINCT run) AS runs FROM algo_ref.log;

--
-- Branches, a merge, a dependency: rows keep their places
--

SELECT algo_ref.revision('left', '', '', id => 'left4', revises => '{c3}', branch_labels => '{left}');
SELECT algo_ref.revision('right', '', '', id => 'right4', revises => '{c3}', branch_labels => '{right}');
SELECT algo_ref.revision('more right', '', '', id => 'right5', revises => '{right4}', depends_on => '{left4}');
SELECT algo_ref.revision('merge', '', '', id => 'both6', revises => '{left4,right5}');
SELECT revision FROM algo_ref.upgrade('right@right4');
SELECT revision FROM algo_ref.upgrade('left@left4');
TABLE applied;
SELECT revision FROM algo_ref.upgrade('right5');
TABLE applied;
SELECT revision FROM algo_ref.upgrade('heads');
TABLE applied;
SELECT revision FROM algo_ref.downgrade('left@left4');
SELECT revision FROM algo_ref.downgrade('right5');
SELECT revision FROM algo_ref.downgrade('right4');
TABLE applied;
SELECT revision FROM algo_ref.downgrade('c3');
TABLE applied;

--
-- Stamp
--

SELECT ordinal, direction, revision, message FROM algo_ref.stamp('left4,right4');
TABLE applied;
SELECT ordinal, direction, revision, message FROM algo_ref.stamp('left4');
TABLE applied;
SELECT ordinal, direction, revision, message FROM algo_ref.stamp('both6');
TABLE applied;
SELECT ordinal, direction, revision, message FROM algo_ref.stamp('base');
TABLE applied;
SELECT ordinal, direction, revision, message FROM algo_ref.stamp('base');
-- rows of revisions that no longer exist
INSERT INTO algo_ref.version VALUES ('app', 'gone', 1, now()), ('app', 'left4', 2, now());
SELECT ordinal, direction, revision, message FROM algo_ref.stamp('c3', purge => true);
TABLE applied;
INSERT INTO algo_ref.version VALUES ('app', 'gone', 7, now());
SELECT ordinal, direction, revision, message FROM algo_ref.stamp('base', purge => true);
TABLE applied;
SELECT * FROM algo_ref.stamp('base', purge => true);
SELECT revision, direction, outcome, statements, checksum IS NULL AS unknown FROM algo_ref.log WHERE outcome <> 'done' ORDER BY id;
SELECT revision FROM algo_ref.stamp('c3');

--
-- The plan that was reviewed
--

SELECT algo_ref.plan_checksum('heads') AS reviewed \gset
SELECT revision FROM algo_ref.upgrade('heads', expect => :'reviewed');
-- the second deploy has nothing to do
SELECT revision FROM algo_ref.upgrade('heads', expect => :'reviewed');
SELECT algo_ref.plan_checksum('c3', 'downgrade') AS reviewed \gset
SELECT revision FROM algo_ref.downgrade('c3', expect => upper(:'reviewed'));

--
-- Several target schemas
--

CREATE SCHEMA "Tenant ""1""";
CREATE SCHEMA tenant_2;
SELECT count(*) FROM algo_ref.upgrade('c3', schema => 'Tenant "1"');
SELECT count(*) FROM algo_ref.upgrade('heads', 'tenant_2');
SELECT relations('Tenant "1"');
TABLE applied;
SELECT schema, heads, behind, at_head, last_direction, last_revision, last_outcome, last_started <= now() AS is_past FROM algo_ref.status;
SELECT count(*) FROM algo_ref.downgrade('base', 'tenant_2');
DROP SCHEMA tenant_2;
CREATE SCHEMA tenant_2;
SELECT count(*) FROM algo_ref.downgrade('base', 'Tenant "1"');
DROP SCHEMA "Tenant ""1""";
INSERT INTO algo_ref.version VALUES ('lost', 'gone', 1, now());
SELECT schema, heads, behind, at_head, last_direction, last_revision FROM algo_ref.status;
DELETE FROM algo_ref.version WHERE schema = 'lost';
DROP SCHEMA tenant_2;

-- search_path while a script runs: the target, then the caller's; pg_catalog stays first where it was
SELECT algo_ref.revision('path', $$
CREATE TABLE seen AS SELECT current_setting('search_path') AS path, current_schemas(true) AS schemas;
SET search_path = public;
CREATE TABLE seen_2 AS SELECT current_setting('search_path') AS path;
$$, 'DROP TABLE seen, public.seen_2', id => 'path', revises => '{}');
CREATE FUNCTION public.seen(schema text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE result text;
BEGIN
  EXECUTE format('SELECT path || '' '' || array_to_string(schemas, '','') FROM %I.seen', schema) INTO result;
  RETURN result || ' ' || (SELECT path FROM public.seen_2);
END $$;
CREATE SCHEMA other;
SET client_min_messages = warning;
SELECT revision FROM algo_ref.upgrade('path', 'other');
SELECT public.seen('other'), current_setting('search_path') AS after;
SELECT revision FROM algo_ref.downgrade('path@base', 'other');
SELECT revision FROM algo_ref.upgrade('path');
SELECT public.seen('app'), current_setting('search_path') AS after;
SELECT revision FROM algo_ref.downgrade('path@base');
SET search_path = pg_catalog, public;
SELECT revision FROM algo_ref.upgrade('path', 'other');
SELECT public.seen('other'), current_setting('search_path') AS after;
SELECT revision FROM algo_ref.downgrade('path@base', 'other');
SET search_path = '';
SELECT revision FROM algo_ref.upgrade('path', 'other');
SELECT public.seen('other'), current_setting('search_path') AS after;
SELECT revision FROM algo_ref.downgrade('path@base', 'other');
SET search_path = app, public;
DROP SCHEMA other;
DROP FUNCTION public.seen;
SELECT revision FROM algo_ref.downgrade('base');
RESET client_min_messages;

--
-- What a script may contain
--

SELECT algo_ref.revision('all sorts', $script$
-- a comment; with a semicolon
CREATE TABLE t (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, v text DEFAULT 'a;b');
INSERT INTO t (v) VALUES ('x'), (E'it''s\n'), (DEFAULT);
CREATE FUNCTION add_one(n int) RETURNS int LANGUAGE plpgsql AS $body$
BEGIN
  EXECUTE $q$ SELECT $1 + $n$1$n$::int $q$ INTO n USING n;
  RETURN n;
END
$body$;
CREATE FUNCTION atomic(n int) RETURNS int LANGUAGE sql BEGIN ATOMIC; SELECT n; SELECT n + 1; END;
CREATE PROCEDURE add_row(INOUT n int) LANGUAGE plpgsql AS $$ BEGIN INSERT INTO t (v) VALUES (n); n := n + 1; END $$;
CALL add_row(41);
DO $$ BEGIN FOR i IN 1..2 LOOP INSERT INTO t (v) VALUES ('do ' || i); END LOOP; END $$;
SELECT id, v FROM t;
TABLE t;
VALUES (1), (2);
EXPLAIN ANALYZE INSERT INTO t (v) VALUES ('explained');
PREPARE ins(text) AS INSERT INTO t (v) VALUES ($1);
EXECUTE ins('prepared');
DECLARE c SCROLL CURSOR FOR SELECT * FROM t ORDER BY id;
FETCH 2 FROM c;
MOVE BACKWARD 1 FROM c;
UPDATE t SET v = 'at the cursor' WHERE CURRENT OF c;
CLOSE c;
LOCK TABLE t IN ACCESS EXCLUSIVE MODE;
SELECT v INTO copy_1 FROM t;
CREATE TABLE copy_2 AS EXECUTE ins('in vain') WITH NO DATA;
$script$, '', id => 'fails', revises => '{}');
-- EXECUTE of an INSERT makes no table; all the rest is undone with it, and the next try finds nothing in its way
SELECT revision FROM algo_ref.upgrade('fails');
SELECT relations();
SELECT algo_ref.edit('fails', upgrade => replace(upgrade, 'CREATE TABLE copy_2 AS EXECUTE ins(''in vain'') WITH NO DATA;', $script$
CREATE MATERIALIZED VIEW counted AS SELECT count(*) FROM t;
REFRESH MATERIALIZED VIEW counted;
CREATE RULE also_t AS ON INSERT TO copy_1 DO ALSO (INSERT INTO t (v) VALUES (NEW.v || ' by rule'); DELETE FROM t WHERE v = 'x');
INSERT INTO copy_1 VALUES ('ruled');
CREATE SCHEMA made CREATE TABLE inside (id int) CREATE VIEW looked AS SELECT * FROM inside;
SET LOCAL work_mem = '123kB';
SET DateStyle = 'German';
SELECT set_config('app.setting', 'on', false);
SET ROLE pg_monitor;
RESET ROLE;
CREATE TEMP TABLE scratch (id serial);
CREATE FUNCTION pg_temp.helper() RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE TYPE pg_temp.pair AS (a int, b int);
CREATE DOMAIN pg_temp.positive AS int CHECK (VALUE > 0);
LISTEN something;
UNLISTEN something;
COPY (SELECT v FROM t) TO PROGRAM 'cat > /dev/null';
COMMENT ON TABLE t IS 'a; comment';
GRANT SELECT ON t TO PUBLIC;
ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC;
ALTER DEFAULT PRIVILEGES REVOKE SELECT ON TABLES FROM PUBLIC;
ANALYZE t;
CLUSTER t USING t_pkey;
REINDEX TABLE t;
TRUNCATE copy_1;
SAVEPOINT one;
INSERT INTO copy_1 VALUES ('one');
SAVEPOINT two;
INSERT INTO copy_1 VALUES ('two');
SET work_mem = '1GB';
ROLLBACK TO two;
INSERT INTO copy_1 VALUES ('two again, ' || current_setting('work_mem'));
RELEASE SAVEPOINT one;
SAVEPOINT two;
SAVEPOINT two;
INSERT INTO copy_1 VALUES ('gone');
ROLLBACK TO two;
RELEASE two;
INSERT INTO copy_1 VALUES ('left open');;
;
$script$)) FROM algo_ref.script WHERE revision = 'fails';
PREPARE mine AS SELECT 1;
SELECT revision FROM algo_ref.upgrade('fails');
SELECT id, v FROM t ORDER BY id;
SELECT v FROM copy_1 ORDER BY v COLLATE "C";
SELECT statements FROM algo_ref.log ORDER BY id DESC LIMIT 1;
-- what it set, and what belongs to a session, ended with it
SELECT current_setting('work_mem'), current_setting('DateStyle'), current_setting('app.setting', true) AS setting, current_user = session_user AS is_me;
SELECT name FROM pg_prepared_statements;
DEALLOCATE mine;
SELECT relname FROM pg_class WHERE relnamespace = pg_my_temp_schema();
SELECT proname FROM pg_proc WHERE pronamespace = pg_my_temp_schema();
SELECT typname FROM pg_type WHERE typnamespace = pg_my_temp_schema();
SET client_min_messages = warning;
DROP SCHEMA made CASCADE;
DROP TABLE t, copy_1 CASCADE;
DROP FUNCTION add_one, atomic;
DROP PROCEDURE add_row;
RESET client_min_messages;
SELECT revision FROM algo_ref.stamp('base');
SELECT algo_ref.delete_revision('fails');

--
-- Each script ends as if it had been committed alone
--

CREATE TEMP TABLE mine (id int);
DECLARE before CURSOR WITH HOLD FOR SELECT 1;
SELECT algo_ref.revision('children before parents', $$
CREATE TABLE parent (id int PRIMARY KEY);
CREATE TABLE child (id int, parent_id int REFERENCES parent DEFERRABLE INITIALLY DEFERRED);
INSERT INTO child VALUES (1, 1);
INSERT INTO parent VALUES (1);
DECLARE open CURSOR FOR SELECT * FROM child;
DO 'DECLARE hidden refcursor; BEGIN OPEN hidden FOR SELECT * FROM parent; END';
CREATE TEMP TABLE scratch (id int PRIMARY KEY);
INSERT INTO mine VALUES (1);
$$, '', id => 's1', revises => '{}');
-- neither pending triggers, nor cursors, nor the same names are in the way
SELECT algo_ref.revision('alter', $$
ALTER TABLE child ADD v text;
ALTER TABLE parent ADD v text;
CREATE TEMP TABLE scratch (id int);
INSERT INTO child VALUES (2, 2);
INSERT INTO parent VALUES (2);
SET CONSTRAINTS ALL IMMEDIATE;
ALTER TABLE child DROP v;
$$, '', id => 's2', revises => '{s1}');
-- and constraints are again as they were declared, old ones and new ones
SELECT algo_ref.revision('deferred again', $$
INSERT INTO child VALUES (3, 3);
INSERT INTO parent VALUES (3);
CREATE TABLE late (id int UNIQUE DEFERRABLE INITIALLY DEFERRED, other int UNIQUE DEFERRABLE);
INSERT INTO late VALUES (1, 1), (1, 2);
DELETE FROM late WHERE other = 2;
DO $do$ BEGIN
  INSERT INTO late VALUES (2, 1);
EXCEPTION WHEN unique_violation THEN
  INSERT INTO late VALUES (3, 3);
END $do$;
$$, '', id => 's3', revises => '{s2}');
SELECT algo_ref.revision('by a trigger', $$
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $f$ BEGIN INSERT INTO child (id, parent_id) VALUES (NEW.id + 100, NEW.id); RETURN NULL; END $f$;
CREATE CONSTRAINT TRIGGER noted AFTER INSERT ON parent DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION note();
INSERT INTO parent VALUES (4);
$$, '', id => 's4', revises => '{s3}');
SELECT algo_ref.revision('alter', 'ALTER TABLE child ADD w text; ALTER TABLE parent ADD w text', '', id => 's5', revises => '{s4}');
SELECT revision FROM algo_ref.upgrade('s5');
SELECT id, parent_id FROM child ORDER BY id;
SELECT * FROM late ORDER BY id;
-- what was there before the run, is there after it
SELECT name FROM pg_cursors;
FETCH before;
CLOSE before;
TABLE mine;
DROP TABLE mine;
BEGIN;
SELECT revision FROM algo_ref.stamp('s4');
INSERT INTO child VALUES (9, 9);
INSERT INTO parent VALUES (9);
COMMIT;
SELECT id, parent_id FROM child ORDER BY id;
DROP TABLE child, parent, late;
DROP FUNCTION note;
SELECT revision FROM algo_ref.stamp('base');

--
-- Labels of enumerated types
--

-- a whole history in one transaction: the type is as new as its labels
SELECT algo_ref.revision('type', $$CREATE TYPE mood AS ENUM ('sad'); CREATE TABLE person (id int, m mood);$$, 'DROP TABLE person; DROP TYPE mood', id => 'e1', revises => '{}');
SELECT algo_ref.revision('label', $$ALTER TYPE mood ADD VALUE 'ok'; ALTER TYPE mood ADD VALUE 'happy' AFTER 'ok';$$, '', id => 'e2', revises => '{e1}');
SELECT algo_ref.revision('use', $$INSERT INTO person VALUES (1, 'happy'); ALTER TABLE person ALTER m SET DEFAULT 'ok';
  CREATE INDEX ON person (id) WHERE m = 'happy'; DO 'BEGIN INSERT INTO person (id) VALUES (2); END'$$, $$DELETE FROM person; ALTER TABLE person ALTER m DROP DEFAULT; DROP INDEX person_id_idx$$, id => 'e3', revises => '{e2}');
SELECT revision FROM algo_ref.upgrade('e3');
SELECT * FROM person WHERE m > 'sad' ORDER BY id;
-- the usual way to take a label away, all in one
SELECT algo_ref.revision('without a label', $$
ALTER TYPE mood RENAME TO mood_old;
CREATE TYPE mood AS ENUM ('sad', 'happy');
ALTER TABLE person ALTER m DROP DEFAULT, ALTER m TYPE mood USING CASE m::text WHEN 'ok' THEN 'happy' ELSE m::text END::mood;
DROP TYPE mood_old;
$$, '', id => 'e4', revises => '{e3}');
SELECT algo_ref.revision('another label', $$ALTER TYPE mood ADD VALUE 'tired'$$, '', id => 'e5', revises => '{e4}');
SELECT algo_ref.revision('use it', $$INSERT INTO person VALUES (3, 'tired')$$, 'DELETE FROM person WHERE id = 3', id => 'e6', revises => '{e5}');
BEGIN;
DROP INDEX person_id_idx;
SELECT revision FROM algo_ref.upgrade('e6');
SELECT * FROM person ORDER BY id;
ROLLBACK;
-- a label of a type that was there before: in two calls
SELECT revision FROM algo_ref.stamp('e4');
SELECT revision FROM algo_ref.upgrade('e5');
SELECT revision FROM algo_ref.upgrade('e6');
SELECT * FROM person ORDER BY id;
-- the same word for something else is no use of it
SELECT algo_ref.revision('no use', $$ALTER TYPE mood ADD VALUE 'bored'; CREATE TABLE note (id int, word text); INSERT INTO note VALUES (1, 'bored'); COMMENT ON TABLE person IS 'bored';$$, 'DROP TABLE note', id => 'e7', revises => '{e6}');
SELECT algo_ref.revision('nor this', $$UPDATE note SET word = 'bored'$$, '', id => 'e8', revises => '{e7}');
SELECT revision FROM algo_ref.upgrade('e8');
DROP TABLE person, note;
DROP TYPE mood;
SELECT revision FROM algo_ref.stamp('base');

--
-- A script that registers another one, and a run that fails half-way
--

SELECT algo_ref.revision('register', $$SELECT algo_ref.revision('registered', 'CREATE TABLE registered (id int)', 'DROP TABLE registered', id => 'r2', revises => '{r1}')$$,
  'SELECT 1', id => 'r1', revises => '{}');
-- the plan is the one that was made before
SELECT revision FROM algo_ref.upgrade('r1@head');
SELECT revision FROM algo_ref.upgrade('r1@head');
SELECT algo_ref.revision('fine', 'CREATE TABLE fine (id int)', 'DROP TABLE fine', id => 'r3', revises => '{r2}');
SELECT algo_ref.revision('not fine', E'INSERT INTO fine VALUES (1);\nINSERT INTO fine VALUES (1 / 0)', 'DELETE FROM fine', id => 'r4', revises => '{r3}');
SELECT count(*) AS steps FROM algo_ref.log \gset
SELECT revision FROM algo_ref.upgrade('r4');
SELECT * FROM applied WHERE schema = 'app';
SELECT relations();
SELECT count(*) - :steps AS more_steps FROM algo_ref.log;
-- a notice, too, says where it comes from, to whoever wants to see it
\set SHOW_CONTEXT always
SELECT algo_ref.edit('r4', upgrade => E'\n\nDROP TABLE IF EXISTS no_such_table');
SELECT revision FROM algo_ref.upgrade('r4');
\set SHOW_CONTEXT errors
SELECT revision FROM algo_ref.downgrade('r1@base');

DROP FUNCTION relations;
DROP VIEW applied;
SET client_min_messages = warning;
DROP SCHEMA app CASCADE;
DROP EXTENSION algo_ref;
