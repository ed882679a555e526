-- Bulk insert: the good rows, and a list of the others.
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS algo_ref CASCADE;
RESET client_min_messages;
CREATE EXTENSION algo_ref;

SET client_min_messages = warning;
CREATE SCHEMA bulk;
RESET client_min_messages;
SET search_path = bulk, public;
CREATE TABLE kind (id int PRIMARY KEY);
INSERT INTO kind VALUES (1), (2);
CREATE TABLE item (id int PRIMARY KEY, name text NOT NULL, price numeric(5,2) CHECK (price >= 0), kind int REFERENCES kind);

-- nothing is rejected where nothing is wrong
SELECT algo_ref.bulk_insert('item', '[{"id": 1, "name": "x"}, {"id": 2, "name": "y"}]', on_error => 'skip');
SELECT * FROM algo_ref.bulk_rejects();
-- every kind of error
SELECT algo_ref.bulk_insert('item', '[{"id": 3, "name": "good"}, {"id": 1, "name": "taken"}, {"id": 4, "name": null}, {"id": "x", "name": "y"}, {"id": 5, "name": "y", "price": -1},
  {"id": 6, "name": "y", "price": 10000}, {"id": 7, "name": "y", "kind": 3}, {"id": 8, "name": "good"}, {"id": 8, "name": "twice"}, {"id": 9, "name": "\u0000"}, {"id": 10, "name": "good", "kind": 2}]',
  on_error => 'skip');
SELECT * FROM item ORDER BY id;
SELECT row_number, sqlstate, message, column_name, constraint_name FROM algo_ref.bulk_rejects() ORDER BY row_number;
SELECT detail FROM algo_ref.bulk_rejects() WHERE row_number = 2;
-- the same from the other forms
TRUNCATE item;
SELECT algo_ref.bulk_insert('item', '[{"id": 1, "name": "x"}, {"id": 1, "name": "y"}, {"id": 2, "name": "z"}]'::json, on_error => 'skip');
SELECT algo_ref.bulk_insert('item', '[{"id": 1, "name": "x"}, {"id": 3, "name": "y"}, {"id": 3, "name": "z"}]'::jsonb, on_error => 'skip');
SELECT algo_ref.bulk_insert('item', ARRAY[ROW(3, 'x', 1, NULL), ROW(4, 'y', 1, NULL), ROW(5, NULL, 1, NULL)]::item[], on_error => 'skip');
SELECT algo_ref.bulk_insert_query('item', 'SELECT i AS id, ''name''::text AS name, 10 - i AS price FROM generate_series(1, 12) i', on_error => 'skip');
SELECT row_number, constraint_name FROM algo_ref.bulk_rejects() ORDER BY row_number;
SELECT id, name FROM item ORDER BY id;
-- with what to do about conflicts
SELECT algo_ref.bulk_insert('item', '[{"id": 1, "name": "new"}, {"id": 2, "name": null}, {"id": 20, "name": "new"}]', 'update', on_error => 'skip');
SELECT algo_ref.bulk_insert('item', '[{"id": 1, "name": "old"}, {"id": 1, "name": "again"}]', 'update', on_error => 'skip');
SELECT algo_ref.bulk_insert('item', '[{"id": 1, "name": "newer"}, {"id": 21, "name": null}]', 'nothing', on_error => 'skip');
SELECT id, name FROM item WHERE name <> 'name' ORDER BY id;
-- many rows, few of them bad, and the other way round
TRUNCATE item;
SELECT algo_ref.bulk_insert_query('item', 'SELECT CASE WHEN i % 5000 = 0 THEN 1 ELSE i END AS id, i::text AS name FROM generate_series(1, 30000) i', on_error => 'skip');
SELECT count(*), min(row_number), max(row_number) FROM algo_ref.bulk_rejects();
SELECT algo_ref.bulk_insert_query('item', 'SELECT i * 10 AS id, i::text AS name FROM generate_series(2999, 3019) i', on_error => 'skip');
SELECT count(*) FROM item;
-- more than are remembered
SELECT algo_ref.bulk_insert_query('kind', 'SELECT 1 AS id FROM generate_series(1, 10010) i', on_error => 'skip');
SELECT count(*) FROM algo_ref.bulk_rejects();
-- triggers and checks of views
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF NEW.id % 2 = 0 THEN RAISE EXCEPTION 'row % is even', NEW.id; END IF; RETURN NEW; END $$;
CREATE TRIGGER refuse BEFORE INSERT ON kind FOR EACH ROW EXECUTE FUNCTION refuse();
CREATE VIEW small AS SELECT id FROM kind WHERE id < 10 WITH CHECK OPTION;
SELECT algo_ref.bulk_insert('small', '[{"id": 5}, {"id": 6}, {"id": 7}, {"id": 11}]', on_error => 'skip');
SELECT row_number, sqlstate, message FROM algo_ref.bulk_rejects();
-- a row that is too large for an index
CREATE TABLE large (t text);
CREATE INDEX ON large (t);
SELECT algo_ref.bulk_insert_query('large', 'SELECT string_agg(md5(i::text), '''') AS t FROM generate_series(1, 500) i UNION ALL SELECT ''small''', on_error => 'skip');
SELECT row_number, sqlstate FROM algo_ref.bulk_rejects();
-- of a long message its beginning
CREATE TABLE numbers (n int CHECK (n <> 3));
SELECT algo_ref.bulk_insert('numbers', '[{"n": "' || repeat('ä', 100000) || '"}]', on_error => 'skip');
SELECT octet_length(message) < 1010 AS is_short, right(message, 4) FROM algo_ref.bulk_rejects();
-- a trigger that makes such calls itself has lists of its own
CREATE FUNCTION skip_too() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM algo_ref.bulk_insert('bulk.numbers', format('[{"n": %s}]', NEW.n), on_error => 'skip');
  RAISE NOTICE 'row %: % rejected', NEW.n, (SELECT count(*) FROM algo_ref.bulk_rejects());
  RETURN NULL;
END $$;
CREATE TABLE outer_numbers (n int CHECK (n < 10));
CREATE TRIGGER skip_too AFTER INSERT ON outer_numbers FOR EACH ROW EXECUTE FUNCTION skip_too();
SELECT algo_ref.bulk_insert('outer_numbers', '[{"n": 50}, {"n": 2}, {"n": 3}, {"n": 60}, {"n": 4}]', on_error => 'skip');
SELECT row_number, constraint_name FROM algo_ref.bulk_rejects();
SELECT ARRAY(SELECT n FROM outer_numbers ORDER BY n) AS outer_numbers, ARRAY(SELECT n FROM numbers ORDER BY n) AS numbers;
SELECT count(*) FROM pg_backend_memory_contexts WHERE name = 'algo_ref bulk rejects';
-- remembered after a rollback
BEGIN;
SELECT algo_ref.bulk_insert('small', '[{"id": 9}, {"id": 8}]', on_error => 'skip');
ROLLBACK;
SELECT row_number, message FROM algo_ref.bulk_rejects();
SELECT id FROM kind ORDER BY id;
-- but not to everybody
CREATE ROLE regress_algo_ref_other;
GRANT USAGE ON SCHEMA algo_ref, bulk TO regress_algo_ref_other;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA algo_ref TO regress_algo_ref_other;
SET ROLE regress_algo_ref_other;
SELECT count(*) FROM algo_ref.bulk_rejects();
-- rights are asked for without rows, too
SELECT algo_ref.bulk_insert('kind', '[]', on_error => 'skip');
RESET ROLE;
REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA algo_ref FROM regress_algo_ref_other;
REVOKE USAGE ON SCHEMA algo_ref, bulk FROM regress_algo_ref_other;
DROP ROLE regress_algo_ref_other;

-- what is no row's fault is raised
\set VERBOSITY terse
SELECT algo_ref.bulk_insert('item', '[{"id": 1}', on_error => 'skip');
SELECT algo_ref.bulk_insert('item', '[{"ident": 1}]', on_error => 'skip');
SELECT algo_ref.bulk_insert('item', '[{"id": 1, "name": "x"}, {"id": 2}]', 'update', on_error => 'skip');
SELECT algo_ref.bulk_insert('item', '[]', on_error => 'ignore');
SELECT algo_ref.bulk_insert('item', '[]', on_error => NULL);
CREATE FUNCTION cancel() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_cancel_backend(pg_backend_pid()); RETURN NEW; END $$;
CREATE TRIGGER cancel AFTER INSERT ON kind FOR EACH ROW EXECUTE FUNCTION cancel();
SELECT algo_ref.bulk_insert('kind', '[{"id": 101}, {"id": 103}]', on_error => 'skip');
SELECT count(*) FROM kind WHERE id > 100;
\set VERBOSITY default

SET client_min_messages = warning;
DROP SCHEMA bulk CASCADE;
RESET client_min_messages;
RESET search_path;
