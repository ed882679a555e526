-- Bulk insert: every error, and whose rights are asked.
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS algo_ref CASCADE;
RESET client_min_messages;
CREATE EXTENSION algo_ref;

SET client_min_messages = warning;
CREATE SCHEMA bulk;
DROP ROLE IF EXISTS regress_algo_ref_loader;
RESET client_min_messages;
SET search_path = bulk, public;
CREATE TABLE item (id int PRIMARY KEY, name text NOT NULL, price numeric(5,2) CHECK (price >= 0), tags int[], made date,
  label text GENERATED ALWAYS AS (upper(name)) STORED);
CREATE TABLE keyless (a int);
CREATE TYPE composite AS (a int);
CREATE INDEX item_name ON item (name);

--
-- Arguments
--

\set VERBOSITY sqlstate
SELECT algo_ref.bulk_insert(NULL, '[]');
SELECT algo_ref.bulk_insert('item', NULL::text);
SELECT algo_ref.bulk_insert('item', NULL::jsonb);
SELECT algo_ref.bulk_insert('item', NULL::item[]);
SELECT algo_ref.bulk_insert('item', '[]', NULL);
SELECT algo_ref.bulk_insert('item', '[]', unknown_keys => NULL);
SELECT algo_ref.bulk_insert('item', '[]', 'nothing', ARRAY[NULL]::name[]);
SELECT algo_ref.bulk_insert_query('item', NULL);
SELECT algo_ref.bulk_explain(NULL);
SELECT algo_ref.bulk_insert_returning(NULL::item, NULL);
\set VERBOSITY default
SELECT algo_ref.bulk_insert('item', '[]', 'ignore');
SELECT algo_ref.bulk_insert('item', '[]', overriding => 'all');
SELECT algo_ref.bulk_insert('item', '[]', unknown_keys => 'skip');
SELECT algo_ref.bulk_insert('item', '[]', conflict_columns => '{id}');
SELECT algo_ref.bulk_insert('no_such_table', '[]');
SELECT algo_ref.bulk_insert('composite', '[]');
SELECT algo_ref.bulk_insert('item_name', '[]');
SELECT algo_ref.bulk_insert('item', ARRAY[1, 2, 3]);
SELECT algo_ref.bulk_insert('item', (SELECT array_agg(i * 1000003::bigint) FROM generate_series(1, 10000) i));
SELECT algo_ref.bulk_insert('item', ARRAY[NULL]::record[]);
SELECT algo_ref.bulk_insert_returning(NULL::int, '[]');
SELECT algo_ref.bulk_insert_returning(NULL::composite, '[{"a": 1}]');

--
-- JSON, and what is none
--

\set VERBOSITY terse
SELECT algo_ref.bulk_insert('item', 'x');
SELECT algo_ref.bulk_insert('item', '1');
SELECT algo_ref.bulk_insert('item', '"x"');
SELECT algo_ref.bulk_insert('item', '[1]');
SELECT algo_ref.bulk_insert('item', '[null]');
SELECT algo_ref.bulk_insert('item', '[[]]');
SELECT algo_ref.bulk_insert('item', '{"id": 1}'::json);
SELECT algo_ref.bulk_insert('item', '1'::json);
SELECT algo_ref.bulk_insert('item', '{"id": 1}'::jsonb);
SELECT algo_ref.bulk_insert('item', '[[1]]'::jsonb);
SELECT algo_ref.bulk_insert('item', '"x"'::jsonb);
\set VERBOSITY default
-- the same texts as the server's parser refuses
CREATE TABLE texts (n int GENERATED ALWAYS AS IDENTITY, t text);
INSERT INTO texts (t) VALUES ('['), ('[{'), ('[{]'), ('[{"a"'), ('[{"a":'), ('[{"a":}]'), ('[{"a":1'), ('[{"a":1,'), ('[{"a":1,}]'), ('[{"a":1}'), ('[{"a":1},'),
  ('[{"a":1},]'), ('[{"a":1}]x'), ('[{"a":1}] []'), ('[{"a":1} {"a":1}]'), ('[{a:1}]'), ('[{''a'':1}]'), ('[{1:1}]'), ('[{"a" 1}]'), ('[{"a"::1}]'),
  ('[{"a":01}]'), ('[{"a":1.}]'), ('[{"a":.5}]'), ('[{"a":1e}]'), ('[{"a":1e+}]'), ('[{"a":-}]'), ('[{"a":+1}]'), ('[{"a":0x1}]'), ('[{"a":1a}]'), ('[{"a":NaN}]'), ('[{"a":--1}]'),
  ('[{"a":tru}]'), ('[{"a":truex}]'), ('[{"a":True}]'), ('[{"a":nul}]'), ('[{"a":undefined}]'), ('[{"a":"x}]'), (E'[{"a":"x\ny"}]'), (E'[{"a":"\ty"}]'), (E'[{"a\nb":1}]'),
  ('[{"a":"\x"}]'), ('[{"a":"\u12"}]'), ('[{"a":"\u12g4"}]'), ('[{"a":"\'), ('[{"a":"\u'), ('[{"a":[1,]}]'), ('[{"a":[1 2]}]'), ('[{"a":{"b":1,}}]'), ('[{"a":{"b"}}]'), ('[{"a":{b:1}}]'),
  ('[{"a":[}]'), ('[{"a":{]}'), ('[{"a":[[[{"b":[1,{}]}]]}]'), ('[{"a":1]}'), ('[,{"a":1}]'), ('{"a":1}}'), (U&'[{"a":\00A01}]'), ('[{"a":tr\u0075e}]'), ('/* */[]'), ('[{"a":1}//]');
CREATE FUNCTION raises(command text, t text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE command USING t;
  RETURN NULL;
EXCEPTION WHEN OTHERS THEN
  RETURN SQLSTATE;
END $$;
SELECT t, raises('SELECT $1::json', t) AS server, raises('SELECT algo_ref.bulk_insert(''bulk.keyless'', $1)', t) AS ours FROM texts
WHERE raises('SELECT $1::json', t) IS DISTINCT FROM raises('SELECT algo_ref.bulk_insert(''bulk.keyless'', $1)', t) ORDER BY n;
-- all that are good are good for both
TRUNCATE texts;
INSERT INTO texts (t) VALUES ('[]'), (E' \t\r\n[ \t\r\n{ \t\r\n"a" \t\r\n: \t\r\n1 \t\r\n} \t\r\n, {}] \t\r\n'), ('[{"a":-0}]'), ('[{"a":1,"b":[1.5e-10,-0.0E+5,{"c":[]},"\"\\\/\b\f\n\r\t\u00e9",true,false,null]}]'),
  ('[{"":1}]'), ('[{"a":0,"a":null}]'), ('{"b":{}}');
SELECT t, raises('SELECT $1::json', t) AS server, raises('SELECT algo_ref.bulk_insert(''bulk.keyless'', $1, unknown_keys => ''ignore'')', t) AS ours FROM texts ORDER BY n;
-- what no string can hold is refused inside of values, too, and by both
CREATE TABLE whole (j json, jb jsonb, t text, pa composite[]);
SELECT r, raises('SELECT json_populate_record(NULL::bulk.whole, $1::json)', r) AS server, raises('SELECT algo_ref.bulk_insert(''bulk.whole'', ''['' || $1 || '']'')', r) AS ours
FROM unnest(ARRAY['{"j": {"a": "\ud800"}}', '{"j": ["\u0000"]}', '{"j": {"\u0000": 1}}', '{"jb": ["\udc00"]}', '{"t": [{"a": ["\u0000"]}]}', '{"t": {"\ud800": 1}}', '{"pa": [{"b": "\u0000"}]}',
  '{"t": ["\\u0000"]}']) AS r;
-- how it is said
SELECT algo_ref.bulk_insert('item', '[{"id": 1, "name": "x"}, {"id": 2 "name": "y"}]');
SELECT algo_ref.bulk_insert('item', '[{"id": 1, "name": "x"}, {"id": 2, "name": yes}]');
SELECT algo_ref.bulk_insert('item', '[{"id": 1, "name": "\q"}]');
SELECT algo_ref.bulk_insert('item', E'[{"id": 1, "name": "a\nb"}]');
SELECT algo_ref.bulk_insert('item', '[{"id": 1, "name": "\uzzzz"}]');
SELECT algo_ref.bulk_insert('item', '[{"id": 1, "name": "\ud800"}]');
SELECT algo_ref.bulk_insert('item', '[{"id": 1, "name": "\udc00\ud800"}]');
SELECT algo_ref.bulk_insert('item', '[{"id": 1, "name": "a\u0000b"}]');
SELECT algo_ref.bulk_insert('item', '[{"id": 1, "name": "cut');
SELECT algo_ref.bulk_insert('item', '{"id": 1, "name": "x"} {"id": 2, "name": "y"}');
SELECT algo_ref.bulk_insert('item', E'{"id": 1, "name": "x"}\n[{"id": 2, "name": "y"}]');
SELECT algo_ref.bulk_insert('item', E'{"id": 1, "name": "x"},\n{"id": 2, "name": "y"}');
SELECT algo_ref.bulk_insert('item', '[{"id": 1, "Name": "x"}]');
SELECT algo_ref.bulk_insert('item', '[{"id": 1, "ctid": "(0,1)"}]');

--
-- Values
--

SELECT algo_ref.bulk_insert('item', '[{"id": 1, "name": "x"}, {"id": 1.5, "name": "y"}]');
SELECT algo_ref.bulk_insert('item', '[{"id": 99999999999, "name": "y"}]');
SELECT algo_ref.bulk_insert('item', '[{"id": 99999999999999999999, "name": "y"}]');
SELECT algo_ref.bulk_insert('item', '[{"id": true, "name": "y"}]');
SELECT algo_ref.bulk_insert('item', '[{"id": [1], "name": "y"}]');
SELECT algo_ref.bulk_insert('item', '[{"id": 1, "name": "y", "price": 1000}]');
SELECT algo_ref.bulk_insert('item', '[{"id": 1, "name": "y", "made": "2023-02-29"}]');
SELECT algo_ref.bulk_insert('item', '[{"id": 1, "name": "y", "tags": 5}]');
SELECT algo_ref.bulk_insert('item', '[{"id": 1, "name": "y", "tags": ["x"]}]');
SELECT algo_ref.bulk_insert('item', '[{"id": 1, "name": "y", "tags": "{"}]');
SELECT algo_ref.bulk_insert('item', json_build_array(json_build_object('id', repeat('ä', 200)))::text);
SELECT algo_ref.bulk_insert('item', '[{"id": 1, "name": "y"}, {"id": "z"}]'::jsonb);

--
-- Constraints: the row, and nothing left behind
--

SELECT algo_ref.bulk_insert('item', '[{"id": 1, "name": "x"}, {"id": 2}]');
SELECT algo_ref.bulk_insert('item', '[{"id": 1, "name": "x"}, {"id": 2, "name": "y", "price": -1}]');
SELECT algo_ref.bulk_insert('item', '[{"id": 1, "name": "x", "label": "X"}]');
\set VERBOSITY terse
SELECT algo_ref.bulk_insert('item', '[{"id": 1, "name": "x"}, {"id": 2, "name": "y"}, {"id": 1, "name": "z"}]');
SELECT count(*) FROM item;
SELECT algo_ref.bulk_insert('keyless', '[{"a": 1}]', 'update');
SELECT algo_ref.bulk_insert('item', '[{"id": 1, "name": "x"}]', 'update', '{name}');
SELECT algo_ref.bulk_insert('item', '[{"id": 1, "name": "x"}]', 'update', '{nosuch}');
SELECT algo_ref.bulk_insert('item', '[{"id": 1, "name": "x"}, {"id": 1, "name": "y"}]', 'update');
SELECT algo_ref.bulk_insert('item', '[{"id": 1, "name": "x"}, {"id": 2, "price": 1}]', 'update');

--
-- Row arrays
--

SELECT algo_ref.bulk_insert('item', ARRAY[1, 2]);
SELECT algo_ref.bulk_insert('item', ARRAY[NULL]::item[]);
SELECT algo_ref.bulk_insert('item', ARRAY[ROW(1)]::composite[]);
SELECT algo_ref.bulk_insert('keyless', ARRAY[ROW(1)]::composite[], columns => '{b}');
SELECT algo_ref.bulk_insert('keyless', ARRAY[ROW(1), ROW(1, 2)]);
SELECT algo_ref.bulk_insert('item', ARRAY[ROW('x')]::keyless[]);

--
-- Queries
--

SELECT algo_ref.bulk_insert_query('item', '');
SELECT algo_ref.bulk_insert_query('item', 'SELECT 1 AS id; SELECT 2 AS id');
SELECT algo_ref.bulk_insert_query('item', 'DELETE FROM bulk.item');
SELECT algo_ref.bulk_insert_query('item', 'SELECT 1 AS id INTO bulk.other');
SELECT algo_ref.bulk_insert_query('item', 'SELECT 1 AS id, 2 AS id');
SELECT algo_ref.bulk_insert_query('item', 'SELECT 1 AS nosuch');
\set VERBOSITY default
SELECT algo_ref.bulk_insert_query('item', 'SELEC 1');
SELECT algo_ref.bulk_insert_query('item', 'SELECT nosuch AS id FROM bulk.keyless');
SELECT algo_ref.bulk_insert_query('item', 'SELECT now() AS id');
SELECT algo_ref.bulk_insert_query('item', 'SELECT i AS id, ''x'' AS name, 3 / (2 - i) AS price FROM generate_series(1, 3) i');
SELECT algo_ref.bulk_insert_query('item', 'SELECT i / 2 AS id, ''x'' AS name, 2 - i AS price FROM generate_series(1, 3) i');

--
-- Rights: those of an INSERT of the same columns
--

CREATE ROLE regress_algo_ref_loader;
GRANT USAGE ON SCHEMA bulk, algo_ref TO regress_algo_ref_loader;
SET ROLE regress_algo_ref_loader;
SELECT algo_ref.bulk_insert('bulk.item', '[{"id": 1, "name": "x"}]');
RESET ROLE;
DO $$
DECLARE
  f regprocedure;
BEGIN
  FOR f IN SELECT oid FROM pg_proc WHERE pronamespace = 'algo_ref'::regnamespace AND proname LIKE 'bulk%' LOOP
    EXECUTE format('GRANT EXECUTE ON ROUTINE %s TO regress_algo_ref_loader', f);
  END LOOP;
END $$;
SET ROLE regress_algo_ref_loader;
\set VERBOSITY terse
SELECT algo_ref.bulk_insert('bulk.item', '[{"id": 1, "name": "x"}]');
SELECT algo_ref.bulk_insert_query('bulk.item', 'SELECT 1 AS id, ''x'' AS name');
RESET ROLE;
GRANT INSERT (id, name) ON item TO regress_algo_ref_loader;
SET ROLE regress_algo_ref_loader;
SELECT algo_ref.bulk_insert('bulk.item', '[{"id": 1, "name": "x"}]');
SELECT algo_ref.bulk_insert('bulk.item', '[{"id": 2, "name": "x"}, {"id": 3, "name": "y", "price": 1}]');
SELECT algo_ref.bulk_insert_query('bulk.item', 'SELECT a AS id, ''x'' AS name FROM bulk.keyless');
SELECT algo_ref.bulk_insert('bulk.item', '[{"id": 1, "name": "x"}]', 'nothing', '{id}');
SELECT algo_ref.bulk_insert('bulk.item', '[{"id": 1, "name": "x"}]', 'update');
SELECT * FROM algo_ref.bulk_insert_returning(NULL::bulk.item, '[{"id": 9, "name": "x"}]');
RESET ROLE;
GRANT SELECT, INSERT, UPDATE ON item TO regress_algo_ref_loader;
ALTER TABLE item ENABLE ROW LEVEL SECURITY;
CREATE POLICY small ON item FOR INSERT TO regress_algo_ref_loader WITH CHECK (id < 100);
SET ROLE regress_algo_ref_loader;
SELECT * FROM algo_ref.bulk_explain('bulk.item');
SELECT algo_ref.bulk_insert('bulk.item', '[{"id": 10, "name": "x"}, {"id": 11, "name": "y"}]');
SELECT algo_ref.bulk_insert('bulk.item', '[{"id": 12, "name": "x"}, {"id": 100, "name": "y"}]');
RESET ROLE;
SELECT way FROM algo_ref.bulk_explain('bulk.item');
SELECT id FROM item ORDER BY id;
-- not where nothing can be written
BEGIN READ ONLY;
SELECT algo_ref.bulk_insert('item', '[{"id": 50, "name": "x"}]');
ROLLBACK;
\set VERBOSITY default

SET client_min_messages = warning;
DROP SCHEMA bulk CASCADE;
RESET client_min_messages;
DO $$
DECLARE
  f regprocedure;
BEGIN
  FOR f IN SELECT oid FROM pg_proc WHERE pronamespace = 'algo_ref'::regnamespace AND proname LIKE 'bulk%' LOOP
    EXECUTE format('REVOKE EXECUTE ON ROUTINE %s FROM regress_algo_ref_loader', f);
  END LOOP;
END $$;
REVOKE USAGE ON SCHEMA algo_ref FROM regress_algo_ref_loader;
DROP ROLE regress_algo_ref_loader;
RESET search_path;
