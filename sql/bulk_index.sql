-- Index entries of bulk inserts: collected, sorted, put into leaves several at
-- once.  What they find and refuse is what INSERT would.
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS algo_ref CASCADE;
RESET client_min_messages;
CREATE EXTENSION algo_ref;

SET client_min_messages = warning;
CREATE SCHEMA bulk_index;
RESET client_min_messages;
SET search_path = bulk_index, public;

-- Has each btree index of a table exactly its rows, in order?  The table is
-- read by index and without, and both are compared.
CREATE FUNCTION indexes_agree(target regclass) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
  index record;
  by_index text[];
  by_table text[];
BEGIN
  FOR index IN SELECT indexrelid::regclass AS name, coalesce(pg_get_expr(indpred, indrelid), 'true') AS predicate,
      (SELECT string_agg(pg_get_indexdef(indexrelid, n, false) || CASE WHEN indoption[n - 1] & 1 = 1 THEN ' DESC' ELSE '' END ||
        CASE WHEN indoption[n - 1] & 2 = 2 THEN ' NULLS FIRST' ELSE ' NULLS LAST' END, ', ') FROM generate_series(1, indnkeyatts) AS n) AS keys
    FROM pg_index JOIN pg_class AS c ON c.oid = indexrelid JOIN pg_am AS m ON m.oid = c.relam
    WHERE indrelid = target AND amname = 'btree' ORDER BY indexrelid
  LOOP
    SET LOCAL enable_seqscan = off;
    SET LOCAL enable_bitmapscan = off;
    SET LOCAL enable_sort = off;
    SET LOCAL enable_incremental_sort = off;
    EXECUTE format('SELECT array_agg(row) FROM (SELECT t::text AS row FROM %s AS t WHERE %s ORDER BY %s) AS rows', target, index.predicate, index.keys)
      INTO by_index;
    SET LOCAL enable_seqscan = on;
    SET LOCAL enable_sort = on;
    SET LOCAL enable_indexscan = off;
    SET LOCAL enable_indexonlyscan = off;
    EXECUTE format('SELECT array_agg(row) FROM (SELECT t::text AS row FROM %s AS t WHERE %s ORDER BY %s, ctid) AS rows', target, index.predicate, index.keys)
      INTO by_table;
    IF by_index IS DISTINCT FROM by_table THEN
      RAISE WARNING 'index % differs: % rows, % in the table', index.name, cardinality(by_index), cardinality(by_table);
      RETURN false;
    END IF;
    SET LOCAL enable_indexscan = on;
    SET LOCAL enable_indexonlyscan = on;
  END LOOP;
  RETURN true;
END $$;

LOAD 'algo_ref';
SHOW algo_ref.bulk_leaf_runs;

--
-- Keys of every type that has a short cut, and of some that have none
--

CREATE TABLE types (
  kind int,   a_smallint smallint, an_integer integer, a_bigint bigint, an_oid oid, a_boolean boolean, a_char "char", a_float8 float8, a_float4 float4,
  a_uuid uuid, a_text text COLLATE "C", a_varchar varchar(20), a_bpchar char(12), a_bytea bytea, a_name name, a_date date, a_time time,
  a_timestamp timestamp, a_timestamptz timestamptz, a_numeric numeric, an_interval interval, an_inet inet, a_jsonb jsonb, an_array int[], a_range int4range);
DO $$
DECLARE
  column_name name;
BEGIN
  FOR column_name IN SELECT attname FROM pg_attribute WHERE attrelid = 'types'::regclass AND attnum > 1 LOOP
    EXECUTE format('CREATE INDEX ON types (%I %s)', column_name, (ARRAY['', 'DESC', 'NULLS FIRST', 'DESC NULLS LAST'])[length(column_name) % 4 + 1]);
    EXECUTE format('CREATE INDEX ON types (kind, %I DESC NULLS FIRST)', column_name);
  END LOOP;
END $$;

-- Numbers around zero and at the ends, strings that begin alike, nulls.
CREATE FUNCTION values_of_types(first int, last int) RETURNS text LANGUAGE sql AS $$
  SELECT format($q$
    SELECT n %% 6 AS kind, (n * 7919 %% 65536 - 32768)::smallint AS a_smallint, (n * 7919 - 2000000) AS an_integer, (n - 1000) * 9000000000000000 AS a_bigint,
      (n::bigint * 2100000)::oid AS an_oid, n %% 3 = 0 AS a_boolean, chr(n %% 94 + 33)::"char" AS a_char,
      CASE n %% 50 WHEN 0 THEN 'NaN' WHEN 1 THEN 'Infinity' WHEN 2 THEN '-Infinity' WHEN 3 THEN '-0' ELSE ((n %% 101 - 50) / 7.0)::text END::float8 AS a_float8,
      ((n %% 101 - 50) / 7.0)::float4 AS a_float4, md5(n::text)::uuid AS a_uuid,
      CASE WHEN n %% 9 <> 0 THEN repeat('same beginning ', n %% 4) || md5(n::text) END AS a_text, left('same ' || n %% 30, n %% 8) AS a_varchar,
      left('x' || n %% 30, n %% 5) AS a_bpchar, decode(left(md5((n %% 40)::text), 2 * (n %% 17)), 'hex') || '\000'::bytea AS a_bytea,
      ('name ' || n %% 300)::name AS a_name, date '2000-01-01' + (n * 31 %% 20000 - 10000) AS a_date, time '00:00' + n * interval '61 s' AS a_time,
      timestamp '2000-01-01' + (n * 31 %% 20000 - 10000) * interval '1 h' AS a_timestamp,
      CASE WHEN n %% 100 = 0 THEN '-infinity' ELSE timestamptz '2000-01-01 UTC' + (n * 31 %% 20000 - 10000) * interval '1 h' END AS a_timestamptz,
      CASE WHEN n %% 7 <> 0 THEN (n %% 211 - 100) * 1.5 END AS a_numeric, (n %% 13) * interval '1 day' AS an_interval, inet '10.0.0.0' + n %% 900 AS an_inet,
      to_jsonb(n %% 60) AS a_jsonb, ARRAY[n %% 5, n] AS an_array, int4range(n %% 20, n %% 20 + n %% 6) AS a_range
    FROM generate_series(%s, %s) AS n ORDER BY n * 7919 %% 1009, n$q$, first, last)
$$;
SELECT algo_ref.bulk_insert_query('types', values_of_types(1, 1000));
SELECT indexes_agree('types');
SET maintenance_work_mem = '1MB';
SELECT algo_ref.bulk_insert_query('types', values_of_types(501, 2000));
RESET maintenance_work_mem;
SET algo_ref.bulk_leaf_runs = off;
SELECT algo_ref.bulk_insert_query('types', values_of_types(1501, 1700));
RESET algo_ref.bulk_leaf_runs;
SELECT indexes_agree('types');
-- an index that lacks rows is found
UPDATE pg_index SET indisready = false WHERE indexrelid = 'types_a_date_idx'::regclass;
INSERT INTO types (a_date) VALUES ('2020-01-01');
UPDATE pg_index SET indisready = true WHERE indexrelid = 'types_a_date_idx'::regclass;
SELECT indexes_agree('types');
DROP TABLE types;

--
-- Unique keys
--

CREATE TABLE uniq (id int PRIMARY KEY, code text COLLATE "C", part int, flag boolean, UNIQUE NULLS NOT DISTINCT (code), UNIQUE (part, id));
CREATE UNIQUE INDEX uniq_lower ON uniq (lower(code)) INCLUDE (part) WHERE flag;
CREATE INDEX ON uniq (part);
SELECT algo_ref.bulk_insert_query('uniq', 'SELECT n AS id, ''c'' || n AS code, n % 5 AS part, n % 2 = 0 AS flag FROM generate_series(2, 2000, 2) AS n');
SELECT indexes_agree('uniq');
-- a key that is there already, in an index or another
SELECT algo_ref.bulk_insert_query('uniq', 'SELECT n AS id, ''d'' || n AS code FROM generate_series(1001, 1019, 2) AS n UNION ALL SELECT 1000, ''taken'' UNION ALL SELECT 1021, ''e''');
SELECT algo_ref.bulk_insert_query('uniq', 'SELECT n AS id, CASE n WHEN 1007 THEN ''c600'' ELSE ''d'' || n END AS code FROM generate_series(1001, 1019, 2) AS n');
-- twice in the same rows
SELECT algo_ref.bulk_insert_query('uniq', 'SELECT 3001 + n % 50 AS id, ''d'' || n AS code FROM generate_series(1, 60) AS n');
-- null is one of the keys
SELECT algo_ref.bulk_insert_query('uniq', 'SELECT 3001 + n AS id, nullif(''d'' || n, ''d7'') AS code FROM generate_series(1, 20) AS n');
SELECT algo_ref.bulk_insert_query('uniq', 'SELECT 4001 + n AS id, nullif(''f'' || n, ''f7'') AS code FROM generate_series(1, 20) AS n');
-- only where the predicate holds
SELECT algo_ref.bulk_insert_query('uniq', 'SELECT 5001 + n AS id, ''C'' || n * 2 AS code, false AS flag FROM generate_series(1, 20) AS n');
SELECT algo_ref.bulk_insert_query('uniq', 'SELECT 6001 + n AS id, ''C'' || n * 2 AS code, n = 111 AS flag FROM generate_series(101, 120) AS n');
-- from files, too
SET maintenance_work_mem = '1MB';
SELECT algo_ref.bulk_insert_query('uniq', 'SELECT n AS id, ''long '' || repeat(md5(n::text), 3) AS code FROM generate_series(10001, 20000) AS n UNION ALL SELECT 9000, ''c90''');
RESET maintenance_work_mem;
SELECT count(*) FROM uniq;
SELECT indexes_agree('uniq');
-- rows of the own transaction that are gone do not count
BEGIN;
DELETE FROM uniq WHERE id <= 100;
SELECT algo_ref.bulk_insert_query('uniq', 'SELECT n AS id, ''c'' || n AS code FROM generate_series(1, 100) AS n');
SELECT indexes_agree('uniq');
ROLLBACK;

--
-- Constraints that can wait
--

CREATE TABLE later (key int UNIQUE DEFERRABLE INITIALLY DEFERRED, place int UNIQUE DEFERRABLE, span int4range, note text,
  EXCLUDE USING gist (span WITH &&) DEFERRABLE INITIALLY DEFERRED, EXCLUDE USING btree (note WITH =));
CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE NOTICE 'inserted %', NEW.key;
  RETURN NULL;
END $$;
CREATE TRIGGER tell AFTER INSERT ON later FOR EACH ROW EXECUTE FUNCTION tell();
SELECT algo_ref.bulk_insert_query('later', 'SELECT n AS key, n AS place, int4range(n, n + 1) AS span FROM generate_series(1, 3) AS n');
-- mended before the end
BEGIN;
SELECT algo_ref.bulk_insert_query('later', 'SELECT n AS key, n + 10 AS place FROM generate_series(3, 4) AS n');
UPDATE later SET key = 30 WHERE place = 13;
COMMIT;
-- not mended
BEGIN;
SELECT algo_ref.bulk_insert_query('later', 'SELECT n AS key, n + 20 AS place FROM generate_series(3, 4) AS n');
COMMIT;
BEGIN;
SELECT algo_ref.bulk_insert_query('later', 'SELECT 50 AS key, 50 AS place, int4range(2, 5) AS span');
COMMIT;
-- at the end of the statement
SELECT algo_ref.bulk_insert_query('later', 'SELECT n AS key, 3 AS place FROM generate_series(60, 61) AS n');
-- at once
SELECT algo_ref.bulk_insert_query('later', 'SELECT n AS key, n AS place, ''note '' || n % 3 AS note FROM generate_series(70, 75) AS n');
SELECT key, place, span, note FROM later ORDER BY key;
SELECT indexes_agree('later');

-- an empty range is refused at once, where there are keys without overlaps
DO $$ BEGIN
  IF current_setting('server_version_num')::int >= 180000 THEN
    EXECUTE 'CREATE TABLE period (room int4range, span int4range, PRIMARY KEY (room, span WITHOUT OVERLAPS) DEFERRABLE INITIALLY DEFERRED)';
    PERFORM algo_ref.bulk_insert_query('period', 'SELECT int4range ''[1,2)'' AS room, int4range ''empty'' AS span');
    RAISE 'it was let in';
  END IF;
EXCEPTION WHEN check_violation THEN NULL;
END $$;

--
-- Expressions and comparisons that fail
--

CREATE TABLE fails (id int, part int);
CREATE INDEX ON fails ((100 / part)) WHERE id <> 7;
SELECT algo_ref.bulk_insert_query('fails', 'SELECT n AS id, 7 - n AS part FROM generate_series(1, 10) AS n');
SELECT algo_ref.bulk_insert_query('fails', 'SELECT n AS id, 8 - n AS part FROM generate_series(1, 10) AS n');
CREATE FUNCTION touchy_compare(a int, b int) RETURNS int LANGUAGE plpgsql IMMUTABLE STRICT AS $$
BEGIN
  IF 13 IN (a, b) AND a <> b THEN
    RAISE EXCEPTION 'not with % and %', a, b;
  END IF;
  RETURN CASE WHEN a < b THEN -1 WHEN a > b THEN 1 ELSE 0 END;
END $$;
CREATE OPERATOR CLASS touchy FOR TYPE int USING btree AS OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=, OPERATOR 5 >,
  FUNCTION 1 touchy_compare(int, int);
CREATE INDEX fails_touchy ON fails (id touchy);
SELECT algo_ref.bulk_insert_query('fails', 'SELECT n AS id, 1 AS part FROM generate_series(1, 12) AS n');
SELECT algo_ref.bulk_insert_query('fails', 'SELECT 13 AS id, 1 AS part');
SELECT algo_ref.bulk_insert_query('fails', 'SELECT n AS id, 1 AS part FROM generate_series(14, 20) AS n');
SELECT count(*) FROM fails;
-- the row is that of the entry at work, also of one among others; where rows are compared with each other, it is none
CREATE FUNCTION picky_compare(a int, b int) RETURNS int LANGUAGE plpgsql IMMUTABLE STRICT AS $$
BEGIN
  IF least(a, b) = 13 AND greatest(a, b) = 50 THEN
    RAISE EXCEPTION '13 is not for 50';
  END IF;
  RETURN CASE WHEN a < b THEN -1 WHEN a > b THEN 1 ELSE 0 END;
END $$;
CREATE OPERATOR CLASS picky FOR TYPE int USING btree AS OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=, OPERATOR 5 >,
  FUNCTION 1 picky_compare(int, int);
CREATE TABLE picks (id int);
CREATE INDEX ON picks (id picky);
SELECT algo_ref.bulk_insert_query('picks', 'SELECT unnest(''{0,50,13,100}''::int[]) AS id');
INSERT INTO picks VALUES (0), (50), (100);
SELECT algo_ref.bulk_insert_query('picks', 'SELECT n AS id FROM generate_series(11, 14) AS n');
-- what a key may not be
CREATE TABLE wide (id int PRIMARY KEY, value text COLLATE "C");
CREATE INDEX ON wide (value);
SELECT algo_ref.bulk_insert_query('wide', 'SELECT n AS id, repeat(md5(n::text), n) AS value FROM generate_series(1, 60) AS n');
ALTER TABLE wide ALTER value SET STORAGE PLAIN;
SELECT algo_ref.bulk_insert_query('wide', 'SELECT n AS id, (SELECT string_agg(md5(m::text || n), '''') FROM generate_series(1, n) AS m) AS value FROM generate_series(61, 100) AS n');
SELECT indexes_agree('wide');

SET client_min_messages = warning;
DROP SCHEMA bulk_index CASCADE;
