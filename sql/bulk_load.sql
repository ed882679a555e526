-- Loads with a commit per batch.
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS algo_ref CASCADE;
RESET client_min_messages;
CREATE EXTENSION algo_ref;

SET client_min_messages = warning;
CREATE SCHEMA bulk;
RESET client_min_messages;
SET search_path = bulk, public;
CREATE TABLE source (id int PRIMARY KEY, name text, made timestamptz, place uuid);
INSERT INTO source SELECT i, 'name ' || i, '2024-01-01'::timestamptz + i * '1 hour'::interval, md5(i::text)::uuid FROM generate_series(1, 1000) i;
CREATE TABLE item (id int PRIMARY KEY, name text);
-- each batch leaves a line: the transaction that it was
CREATE TABLE batch (xid xid8, rows bigint);
CREATE FUNCTION count_batch() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO bulk.batch SELECT pg_current_xact_id(), count(*) FROM new_rows;
  RETURN NULL;
END $$;
CREATE TRIGGER batch AFTER INSERT ON item REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION count_batch();

--
-- By key
--

CALL algo_ref.bulk_load('item', 'SELECT id, name FROM bulk.source', 300, 'id');
SELECT rows, count(*) OVER (PARTITION BY xid) FROM batch ORDER BY xid;
SELECT count(*), min(id), max(id), count(DISTINCT name) FROM item;
SELECT count(*) FROM algo_ref.bulk_job;
-- again from the beginning
\set VERBOSITY terse
CALL algo_ref.bulk_load('item', 'SELECT id, name FROM bulk.source', 300, 'id');
\set VERBOSITY default
CALL algo_ref.bulk_load('item', 'SELECT id, name FROM bulk.source', 300, 'id', 'nothing');
CALL algo_ref.bulk_load('item', 'SELECT id, upper(name) AS name FROM bulk.source', 300, 'id', 'update');
SELECT count(*) FROM item WHERE name LIKE 'NAME%';
-- a load that fails goes on where it was
TRUNCATE item;
UPDATE source SET name = NULL WHERE id = 700;
ALTER TABLE item ALTER name SET NOT NULL;
CALL algo_ref.bulk_load('item', 'SELECT id, name FROM bulk.source', 300, 'id');
SELECT count(*) FROM item;
SELECT target, query, key, last_key, loaded, batches, updated_at >= started_at AS in_order FROM algo_ref.bulk_job;
UPDATE source SET name = 'name 700' WHERE id = 700;
CALL algo_ref.bulk_load('item', 'SELECT id, name FROM bulk.source', 300, 'id');
SELECT count(*) FROM item;
SELECT count(*) FROM algo_ref.bulk_job;
-- another batch size, and another key, of every kind
CREATE TABLE copied (LIKE source);
CALL algo_ref.bulk_load('copied', 'SELECT * FROM bulk.source', 999, 'place');
SET datestyle = 'SQL, DMY';
CALL algo_ref.bulk_load('copied', 'SELECT * FROM bulk.source', 170, 'made');
RESET datestyle;
CALL algo_ref.bulk_load('copied', 'SELECT * FROM bulk.source -- a comment', 1000, 'name');
SELECT count(*), count(DISTINCT id), count(DISTINCT copied) FROM copied;
CALL algo_ref.bulk_load('copied', 'SELECT * FROM bulk.source; -- a comment', 1000, 'name');
CALL algo_ref.bulk_load('copied', 'SELECT * FROM bulk.source;', 1000);
-- keys that are not the same as the settings or JSON would write them
CREATE TYPE pair AS (a float8, b interval);
CREATE TABLE keys AS SELECT i, i / 7.0::float8 AS fraction, make_interval(days => -i, hours => 2) AS span, ARRAY[i, NULL] AS list, ROW(i / 7.0, make_interval(days => -i, hours => 2))::pair AS pair,
  to_jsonb('string ' || i) AS string, int4range(i, i + 5) AS range FROM generate_series(1, 40) i;
CREATE TABLE loaded (i int);
SET extra_float_digits = -10;
SET intervalstyle = 'sql_standard';
CALL algo_ref.bulk_load('loaded', 'SELECT i, fraction FROM bulk.keys', 7, 'fraction');
CALL algo_ref.bulk_load('loaded', 'SELECT i, span FROM bulk.keys', 7, 'span');
CALL algo_ref.bulk_load('loaded', 'SELECT i, list FROM bulk.keys', 7, 'list');
CALL algo_ref.bulk_load('loaded', 'SELECT i, pair FROM bulk.keys', 7, 'pair');
CALL algo_ref.bulk_load('loaded', 'SELECT i, string FROM bulk.keys', 7, 'string');
CALL algo_ref.bulk_load('loaded', 'SELECT i, range FROM bulk.keys', 7, 'range');
RESET extra_float_digits;
RESET intervalstyle;
SELECT count(*), count(DISTINCT i) FROM loaded;
-- the last batch takes as much memory as the tenth
CREATE TABLE memory (i int, bytes bigint);
CREATE FUNCTION measure() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.i IN (10, 300) THEN
    INSERT INTO bulk.memory SELECT NEW.i, sum(total_bytes) FROM pg_backend_memory_contexts WHERE name LIKE 'SPI%' OR name LIKE 'algo_ref bulk load%';
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER measure AFTER INSERT ON loaded FOR EACH ROW EXECUTE FUNCTION measure();
CALL algo_ref.bulk_load('loaded', 'SELECT i FROM generate_series(1, 300) i', 1, 'i');
SELECT max(bytes) - min(bytes) < 1000000 AS is_bounded FROM memory;
-- a key that is not inserted, and is there more than once
TRUNCATE copied;
CALL algo_ref.bulk_load('copied', 'SELECT id / 10 AS tens, id FROM bulk.source', 95, 'tens');
SELECT count(*), count(DISTINCT id) FROM copied;

--
-- By cursor
--

TRUNCATE item, batch;
CALL algo_ref.bulk_load('item', 'SELECT id, name FROM bulk.source ORDER BY name', 400);
SELECT rows, count(*) OVER (PARTITION BY xid) FROM batch ORDER BY xid;
SELECT count(*) FROM item;
-- from the table itself: the rows of one moment
CALL algo_ref.bulk_load('copied', 'SELECT * FROM bulk.copied', 300);
SELECT count(*) FROM copied;
CALL algo_ref.bulk_load('copied', 'SELECT * FROM bulk.copied WHERE false', 300);
CALL algo_ref.bulk_load('copied', 'SELECT * FROM bulk.copied WHERE false', 300, 'id');
-- what was committed before a failure stays
TRUNCATE item;
CALL algo_ref.bulk_load('item', 'SELECT id, nullif(name, ''name 900'') AS name FROM bulk.source ORDER BY id', 400);
SELECT count(*) FROM item;
-- a rule by which there is nothing to do
CREATE TABLE unwanted (id int);
CREATE RULE nothing AS ON INSERT TO unwanted DO INSTEAD NOTHING;
CALL algo_ref.bulk_load('unwanted', 'SELECT id FROM bulk.source', 400);
CALL algo_ref.bulk_load('unwanted', 'SELECT id FROM bulk.source', 400, on_error => 'skip');
-- inside other procedures that may commit
TRUNCATE item;
DO $$
DECLARE
  loaded bigint;
  batches int;
BEGIN
  CALL algo_ref.bulk_load('item', 'SELECT id, name FROM bulk.source', 250, rows_loaded => loaded, batches => batches);
  RAISE NOTICE '% rows in % batches', loaded, batches;
END $$;

--
-- Rows that are wrong
--

TRUNCATE item;
UPDATE source SET name = NULL WHERE id IN (3, 250, 251, 1000);
INSERT INTO item VALUES (400, 'there'), (500, 'there');
CALL algo_ref.bulk_load('item', 'SELECT id, name FROM bulk.source', 300, 'id', on_error => 'skip');
SELECT row_number, sqlstate, message, column_name, constraint_name FROM algo_ref.bulk_rejects();
SELECT count(*) FROM item;
SELECT count(*) FROM algo_ref.bulk_job;
TRUNCATE item;
INSERT INTO item VALUES (400, 'there'), (500, 'there');
CALL algo_ref.bulk_load('item', 'SELECT id, name FROM bulk.source ORDER BY id DESC', 300, on_error => 'skip', on_conflict => 'nothing');
SELECT row_number, sqlstate, message FROM algo_ref.bulk_rejects();
SELECT count(*) FROM item;
-- more than fits in memory, whole batches that are wrong, none that is
SET work_mem = '64kB';
CALL algo_ref.bulk_load('item', 'SELECT i AS id, CASE WHEN i < 6000 THEN repeat(md5(i::text), 10) END AS name FROM generate_series(1001, 9000) i', 4000, 'id', on_error => 'skip');
SELECT count(*), min(row_number), max(row_number) FROM algo_ref.bulk_rejects();
SELECT algo_ref.bulk_insert_query('item', 'SELECT i AS id, repeat(md5(i::text), 10) AS name FROM generate_series(6000, 9000) i', on_error => 'skip');
SELECT count(*) FROM algo_ref.bulk_rejects();
RESET work_mem;
-- what is not about a row ends the load, and it goes on from there
CREATE FUNCTION no_more() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.id = 550 THEN
    RAISE 'stop' USING ERRCODE = 'insufficient_privilege';
  END IF;
  RETURN NEW;
END $$;
TRUNCATE item;
CREATE TRIGGER no_more BEFORE INSERT ON item FOR EACH ROW EXECUTE FUNCTION no_more();
\set VERBOSITY terse
CALL algo_ref.bulk_load('item', 'SELECT id, name FROM bulk.source', 300, 'id', on_error => 'skip');
SELECT row_number, message FROM algo_ref.bulk_rejects();
DROP TRIGGER no_more ON item;
CALL algo_ref.bulk_load('item', 'SELECT id, name FROM bulk.source', 300, 'id', on_error => 'skip');
SELECT row_number, message FROM algo_ref.bulk_rejects();
SELECT count(*) FROM item;
CALL algo_ref.bulk_load('item', 'SELECT id FROM bulk.source', 10, on_error => 'ignore');
CALL algo_ref.bulk_load('item', 'SELECT id FROM bulk.source', 10, on_error => NULL);
\set VERBOSITY default
UPDATE source SET name = 'name ' || id WHERE name IS NULL;

--
-- Errors
--

\set VERBOSITY terse
CALL algo_ref.bulk_load(NULL, 'SELECT 1');
CALL algo_ref.bulk_load('item', NULL);
CALL algo_ref.bulk_load('item_pkey', 'SELECT 1 AS id');
CALL algo_ref.bulk_load('item_pkey', 'SELECT 1 AS id', 10, 'id');
CALL algo_ref.bulk_load('item', 'SELECT 1', NULL);
CALL algo_ref.bulk_load('item', 'SELECT 1', 0);
CALL algo_ref.bulk_load('item', 'SELECT 1', 10000000000);
CALL algo_ref.bulk_load('item', 'SELECT id FROM bulk.source', 10, 'nosuch');
CALL algo_ref.bulk_load('item', 'SELECT id, place FROM bulk.source', 10, 'id');
CALL algo_ref.bulk_load('item', 'SELECT id, place FROM bulk.source', 10);
CALL algo_ref.bulk_load('item', 'SELECT nullif(id, 5) AS id FROM bulk.source', 10, 'id');
CALL algo_ref.bulk_load('item', 'SELECT id, point(id, id) AS place FROM bulk.source', 10, 'place');
CALL algo_ref.bulk_load('item', 'DELETE FROM bulk.source RETURNING id', 10);
CALL algo_ref.bulk_load('item', 'WITH gone AS (DELETE FROM bulk.source RETURNING id) SELECT id FROM gone', 10);
CALL algo_ref.bulk_load('item', 'SELECT 1 AS id; SELECT 2 AS id', 10);
CALL algo_ref.bulk_load('item', 'SELECT id FROM bulk.source', 10, 'id', 'ignore');
BEGIN;
CALL algo_ref.bulk_load('item', 'SELECT id FROM bulk.source', 10);
ROLLBACK;
DO $$
DECLARE
  loaded bigint;
  batches int;
BEGIN
  INSERT INTO bulk.item VALUES (-1, 'x');
  CALL algo_ref.bulk_load('item', 'SELECT id FROM bulk.source', 10, rows_loaded => loaded, batches => batches);
END $$;
\set VERBOSITY default
SELECT count(*) FROM source;

SET client_min_messages = warning;
DROP SCHEMA bulk CASCADE;
RESET client_min_messages;
RESET search_path;
