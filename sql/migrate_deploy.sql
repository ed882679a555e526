-- The deploy door: a commit for each revision, and what is between them.
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS algo_ref CASCADE;
RESET client_min_messages;
CREATE EXTENSION algo_ref;
-- the context of a worker's error names its process
\set SHOW_CONTEXT never
CREATE SCHEMA app;
SET search_path = app, public;
CREATE FUNCTION public.stands() RETURNS TABLE (schema name, heads text[], deploy text, at text, step text, last text) LANGUAGE sql AS $$
  SELECT s.schema, s.heads, s.deploy, s.deploy_revision || ' ' || s.deploy_statement || '/' || p.statement_count, p.step || '/' || p.step_count, s.last_revision || ' ' || s.last_outcome
  FROM algo_ref.status s LEFT JOIN algo_ref.progress p USING (schema) ORDER BY s.schema COLLATE "C"
$$;

--
-- Each revision commits
--

SELECT algo_ref.revision('table a', 'CREATE TABLE a (id int)', 'DROP TABLE a', id => 'a1', revises => '{}');
SELECT algo_ref.revision('table b', 'CREATE TABLE b (id int)', 'DROP TABLE b', id => 'b1');
SELECT algo_ref.revision('table c', 'CREATE TABLE c (id int); SELECT 1/0', 'DROP TABLE c', id => 'c1');
CALL algo_ref.deploy();
-- the ones before stay, nothing of the one that failed does
SELECT to_regclass('b') AS b, to_regclass('c') AS c;
SELECT * FROM stands();
SELECT state, pid IS NULL AS is_over, role = current_user AS mine, error FROM algo_ref.progress;
SELECT revision, direction, outcome, error ->> 'sqlstate' AS sqlstate, error ->> 'message' AS message FROM algo_ref.log ORDER BY id;
-- nor what a rollback would leave in the session
SELECT algo_ref.edit('c1', upgrade => 'PREPARE one AS SELECT 1; SELECT 1/0');
CALL algo_ref.deploy();
CALL algo_ref.deploy();
-- the function door does what is left
SELECT algo_ref.edit('c1', upgrade => 'CREATE TABLE c (id int)');
SELECT revision FROM algo_ref.upgrade();
SELECT * FROM stands();
CALL algo_ref.deploy();
CALL algo_ref.revert('a1');
SELECT * FROM stands();
-- only the plan that was reviewed
SELECT algo_ref.plan_checksum('head') AS checksum \gset
CALL algo_ref.deploy(expect => :'checksum');
CALL algo_ref.revert('base', lock_wait => '20 ms', lock_budget => '1 min', statement_budget => '1 min');
-- a failure before the first step is seen, too
CREATE SCHEMA "Other";
SELECT algo_ref.edit('a1', upgrade => 'SELECT 1/0');
CALL algo_ref.deploy('b1', schema => 'Other');
SELECT * FROM stands();
SELECT algo_ref.edit('a1', upgrade => 'CREATE TABLE a (id int)');
CALL algo_ref.deploy('b1', 'Other');
SELECT * FROM stands();
CALL algo_ref.revert('base', 'Other');

--
-- Statements that refuse a transaction
--

CALL algo_ref.deploy();
SELECT algo_ref.revision('indexes', $$
CREATE TABLE t (id int PRIMARY KEY, v int);
INSERT INTO t SELECT g, g % 10 FROM generate_series(1, 100) AS g;
SET LOCAL maintenance_work_mem = '7MB';
SET work_mem = '5MB';
CREATE INDEX CONCURRENTLY t_v ON t (v);
CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS "T's id" ON t (id) WHERE v > 3;
VACUUM (ANALYZE) t;
REINDEX TABLE CONCURRENTLY t;
CREATE TABLE settings AS SELECT current_setting('work_mem') AS work_mem;
REINDEX INDEX CONCURRENTLY t_v
$$, 'DROP INDEX CONCURRENTLY t_v; DROP INDEX CONCURRENTLY "T''s id"; DROP TABLE t, settings', id => 'd1');
SELECT algo_ref.revision('labels', $$
CREATE TYPE mood AS ENUM ('sad');
CREATE TABLE moods (m mood);
ALTER TYPE mood ADD VALUE 'glad';
ALTER TYPE mood ADD VALUE 'mad';
INSERT INTO moods VALUES ('glad'), ('mad')
$$, 'DROP TABLE moods; DROP TYPE mood', id => 'd2');
SELECT algo_ref.revision('partitions', $$
CREATE TABLE part (id int) PARTITION BY RANGE (id);
CREATE TABLE part_1 PARTITION OF part FOR VALUES FROM (0) TO (10);
ALTER TABLE part DETACH PARTITION part_1 CONCURRENTLY
$$, 'DROP TABLE part, part_1', id => 'd3');
CALL algo_ref.deploy();
SELECT indexrelid::regclass AS index, indisvalid FROM pg_index WHERE indrelid = 't'::regclass ORDER BY indexrelid::regclass::text COLLATE "C";
SELECT work_mem, current_setting('work_mem') AS now FROM settings;
SELECT * FROM moods;
SELECT relispartition FROM pg_class WHERE oid = 'part_1'::regclass;
SELECT revision, statements, outcome FROM algo_ref.log ORDER BY id DESC LIMIT 3;
CALL algo_ref.revert('c1');
SELECT relname FROM pg_class WHERE relnamespace = 'app'::regnamespace ORDER BY relname COLLATE "C";

--
-- Stopped inside a revision
--

SELECT algo_ref.revision('halves', $$
CREATE TABLE t (v int);
INSERT INTO t VALUES (1), (1);
CREATE UNIQUE INDEX CONCURRENTLY t_v ON t (v);
CREATE TABLE rest ()
$$, 'DROP TABLE t, rest', id => 'e1', revises => '{c1}');
CALL algo_ref.deploy('e1');
SELECT * FROM stands();
SELECT revision, outcome, statements, error - 'context' AS error, error ->> 'context' LIKE '%background worker%statement 3 (line 4) of upgrade%' AS has_place FROM algo_ref.log ORDER BY id DESC LIMIT 1;
-- nothing invalid stays
SELECT count(*) FROM pg_index WHERE NOT indisvalid;
-- who does not know of it leaves it alone
SELECT revision FROM algo_ref.upgrade('e1');
SELECT revision FROM algo_ref.downgrade('base');
CALL algo_ref.revert('base');
CALL algo_ref.deploy('d1');
-- what has run has to stay as it is
SELECT algo_ref.edit('e1', upgrade => 'CREATE TABLE other (); VACUUM other');
CALL algo_ref.deploy('e1');
SELECT algo_ref.edit('e1', upgrade => $$
CREATE TABLE t (v int); -- but for its layout
INSERT INTO t VALUES (1), (1);
CREATE INDEX CONCURRENTLY t_v ON t (v);
CREATE TABLE rest ()
$$);
CALL algo_ref.deploy('e1');
SELECT to_regclass('rest') AS rest, indisunique, indisvalid FROM pg_index WHERE indexrelid = 't_v'::regclass;
SELECT * FROM stands();
-- or somebody who has looked says how it stands
CALL algo_ref.revert('c1');
SELECT algo_ref.edit('e1', upgrade => 'CREATE TABLE t (); VACUUM nosuch');
CALL algo_ref.deploy('e1');
DROP TABLE t;
SELECT revision FROM algo_ref.stamp('c1');
SELECT * FROM stands();
-- an index that is not ours is left alone
SELECT algo_ref.edit('e1', upgrade => 'CREATE TABLE x (); CREATE INDEX CONCURRENTLY IF NOT EXISTS t_v ON t (v)', downgrade => 'DROP TABLE x');
CREATE TABLE t (v int);
INSERT INTO t VALUES (1), (1);
CREATE UNIQUE INDEX CONCURRENTLY t_v ON t (v);
CALL algo_ref.deploy('e1');
SELECT indisvalid FROM pg_index WHERE indexrelid = 't_v'::regclass;
DROP INDEX t_v;
CALL algo_ref.deploy('e1');
CALL algo_ref.revert('c1');
DROP TABLE t;

--
-- Locks
--

-- what is foreseen is taken in the mode that covers all uses, before the first statement
SELECT algo_ref.revision('locks', $$
CREATE VIEW locks AS SELECT relation::regclass AS relation, mode FROM pg_locks
  WHERE pid = pg_backend_pid() AND locktype = 'relation' AND granted AND relation IN ('a'::regclass, 'b'::regclass, 'c'::regclass);
CREATE TABLE first AS SELECT * FROM locks;
ALTER TABLE a ADD COLUMN x int;
ALTER TABLE b ADD CONSTRAINT b_key PRIMARY KEY (id);
ALTER TABLE c ADD FOREIGN KEY (id) REFERENCES b;
UPDATE c SET id = 1 WHERE false
$$, 'DROP VIEW locks; DROP TABLE first; ALTER TABLE c DROP CONSTRAINT c_id_fkey; ALTER TABLE b DROP CONSTRAINT b_key; ALTER TABLE a DROP COLUMN x', id => 'f1', revises => '{c1}');
CALL algo_ref.deploy('f1');
SELECT relation, mode FROM first ORDER BY relation::text COLLATE "C", mode COLLATE "C";
CALL algo_ref.revert('c1');

--
-- Hooks
--

CREATE FUNCTION public.tell(event jsonb) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  RAISE NOTICE '%', event - 'run' - 'schema';
END $$;
SELECT algo_ref.add_hook(e, 'public.tell(jsonb)') FROM unnest('{before_run,before_step,after_step,after_run}'::text[]) AS e;
CALL algo_ref.deploy('d1');
CALL algo_ref.deploy('d1');
SELECT algo_ref.drop_hook(e, 'public.tell(jsonb)') FROM unnest('{before_run,before_step,after_step,after_run}'::text[]) AS e;
CALL algo_ref.revert('c1');

--
-- Waiting
--

CALL algo_ref.await('c1');
CALL algo_ref.await('d1', '10 ms');
CALL algo_ref.await('d1', timeout => '10 ms', schema => 'Other');

--
-- A script for psql
--

SELECT algo_ref.delete_revision('d3');
SELECT algo_ref.delete_revision('d2');
SELECT algo_ref.edit('d1', upgrade => 'CREATE TABLE t (v text DEFAULT '':v''); CREATE INDEX CONCURRENTLY ON t (v)');
\pset format unaligned
\pset tuples_only on
SELECT algo_ref.upgrade_sql('d1', '{b1}');
SELECT algo_ref.downgrade_sql('a1', '{b1}', schema => 'Other', lock_timeout => '250 ms');
SELECT algo_ref.upgrade_sql('c1', '{c1}');
\pset tuples_only off
\pset format aligned

--
-- Alembic's version table
--

SELECT id FROM algo_ref.import_alembic($$
BEGIN;

CREATE TABLE alembic_version (
    version_num VARCHAR(32) NOT NULL,
    CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);

-- Running upgrade  -> 1975ea83b712

CREATE TABLE account (id SERIAL NOT NULL, name VARCHAR(50) NOT NULL);

INSERT INTO alembic_version (version_num) VALUES ('1975ea83b712') RETURNING alembic_version.version_num;

-- Running upgrade 1975ea83b712 -> ae1027a6acf

ALTER TABLE account ADD COLUMN last_transaction_date TIMESTAMP WITHOUT TIME ZONE;

UPDATE alembic_version SET version_num='ae1027a6acf' WHERE alembic_version.version_num = '1975ea83b712';

COMMIT;
$$) AS id;
SELECT revision, revises, message, upgrade, downgrade IS NULL AS irreversible FROM algo_ref.script WHERE revision IN ('1975ea83b712', 'ae1027a6acf') ORDER BY load_order;
CREATE SCHEMA shop;
CREATE TABLE shop.alembic_version (version_num varchar(32) NOT NULL CONSTRAINT alembic_version_pkc PRIMARY KEY);
CREATE TABLE shop.account (id serial NOT NULL, name varchar(50) NOT NULL);
INSERT INTO shop.alembic_version VALUES ('1975ea83b712');
SELECT algo_ref.adopt_alembic('shop.alembic_version');
SELECT algo_ref.adopt_alembic('shop.alembic_version');
CALL algo_ref.deploy('ae1027a6acf', 'shop');
TABLE shop.alembic_version;
SELECT revision, is_head FROM algo_ref.current('shop');

SET search_path = public;
SET client_min_messages = warning;
DROP EXTENSION algo_ref;
DROP SCHEMA app, "Other", shop CASCADE;
DROP FUNCTION stands, tell;
CREATE EXTENSION algo_ref;
RESET client_min_messages;
