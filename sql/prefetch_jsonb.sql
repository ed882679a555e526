-- jsonb without JSON in between is what a cast would have made.
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS algo_ref CASCADE;
DROP SCHEMA IF EXISTS kinds CASCADE;
RESET client_min_messages;
CREATE EXTENSION algo_ref;
CREATE SCHEMA kinds;
SET search_path = kinds;
SET TimeZone = 'Europe/Berlin';
CREATE TYPE mood AS ENUM ('sad', 'o"k');
CREATE TYPE pair AS (a int, b text);
CREATE DOMAIN word AS text;
CREATE TABLE item (
  id int PRIMARY KEY, up_id int REFERENCES item, b bool, i2 int2, i8 int8, f4 float4, f8 float8, n numeric, n2 numeric(12,3), t text, v varchar(20),
  c char(4), w word, d date, ts timestamp, tz timestamptz, ti time, iv interval, u uuid, by bytea, j json, jb jsonb, m mood, p pair, a int[], at text[],
  r int4range, net inet, x xml, o oid, "Ünïcode ""name""" text);
-- more keys than entries have between two offsets
DO $$ BEGIN FOR k IN 1 .. 40 LOOP EXECUTE format('ALTER TABLE item ADD COLUMN k%s int DEFAULT %s', k, k * 2500); END LOOP; END $$;
INSERT INTO item (id, up_id, b, i2, i8, f4, f8, n, n2, t, v, c, w, d, ts, tz, ti, iv, u, by, j, jb, m, p, a, at, r, net, x, o, "Ünïcode ""name""") VALUES
  (0, 2, true, -32768, -9223372036854775808, 1.5, 1e300, 123456789012345678901234567890.00100, 1.5, E'"\\\n\u0001é', '', 'ab', 'w', '2024-02-29', '2024-01-02 03:04:05.06',
    '2024-07-01 00:00:00+00', '01:02', '1 day', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '\x00ff', '{"a": [1, {"b": null}], "a": 2}', '{"z": 1, "aa": [true]}', 'o"k', (1, 'x"'),
    '{1,NULL,3}', '{"a b",NULL}', '[1,5)', '10.0.0.1/8', '<a/>', 1, 'ü'),
  (1, 0, false, 32767, 9223372036854775807, 'NaN', '-Infinity', 'NaN', NULL, repeat('long', 5000), 'v', '', NULL, 'infinity', '-infinity', '0044-03-15 00:00:00+00 BC', '23:59:59.999999',
    '-1 mon', NULL, '', '"scalar"', '"scalar"', 'sad', NULL, '{}', '{}', 'empty', '::1', NULL, 0, '')
, (2, 1, NULL, 0, 10000, 0, 0.1, 'Infinity', 0, '', NULL, NULL, '', '12345-01-01', NULL, NULL, NULL, NULL, NULL, NULL, 'null', 'null', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO item (id, up_id, i8, n, f8, j, jb) SELECT k, (k / 3), (10 ^ (k % 17))::bigint * (k - 50), (k - 50) / 7.0, 1 / (k - 50.5), to_json(k), to_jsonb(k % 2 = 0) FROM generate_series(3, 90) k;
CREATE INDEX ON item (up_id);
CREATE TABLE tag (id int PRIMARY KEY, name text);
CREATE TABLE item_tag (item_id int REFERENCES item, tag_id int REFERENCES tag, PRIMARY KEY (item_id, tag_id));
INSERT INTO tag SELECT k, repeat('t', k) FROM generate_series(1, 100) k;
INSERT INTO item_tag SELECT 0, k FROM generate_series(1, 100) k;
INSERT INTO item_tag SELECT k, k % 9 + 1 FROM generate_series(1, 90) k;
ANALYZE;

-- the same values, as long but for a short header, and found by their keys
CREATE FUNCTION differences(query text, VARIADIC paths text[]) RETURNS TABLE (rows bigint, different bigint, longer bigint, lost bigint)
LANGUAGE sql AS $$
  SELECT count(*), count(*) FILTER (WHERE j::jsonb <> b OR j::jsonb::text <> b::text), count(*) FILTER (WHERE pg_column_size(j::jsonb) - pg_column_size(b) NOT IN (0, 3)),
    count(*) FILTER (WHERE EXISTS (SELECT FROM jsonb_each(j::jsonb) e WHERE b -> e.key IS DISTINCT FROM e.value))
  FROM (SELECT algo_ref.prefetch(query, VARIADIC paths) AS j, algo_ref.prefetch_jsonb(query, VARIADIC paths) AS b) s
$$;
SELECT * FROM differences('SELECT * FROM item', VARIADIC '{}');
SELECT * FROM differences('SELECT * FROM item ORDER BY id', 'up', 'item', 'tag', 'item.count()');
SELECT * FROM differences('SELECT id FROM item ORDER BY id', 'up(id, jb).up(id, t, n).tag', 'item(id, i8; order: id desc; limit: 2).up', 'item_tag.tag');
SELECT * FROM differences('SELECT id FROM item ORDER BY id', 'up*5(id)', 'tag!inner(name; where: id > 5).item(id)');
SELECT * FROM differences('SELECT id FROM item ORDER BY id', 'item*4(id, f8)');
SELECT * FROM differences('SELECT 1 AS a, 2 AS bb, 3 AS a, 4 AS "é", 5 AS zz, NULL AS c', VARIADIC '{}');
SELECT * FROM differences('SELECT FROM item', 'tag(name)');
SELECT * FROM differences('SELECT id FROM item', 'item(id, k1, k40).tag(id)', 'every:item', 'tag_2:tag(name)');
SELECT * FROM algo_ref.prefetch_jsonb_query('SELECT id, i8, n FROM item WHERE id = :id', '{item(id; where: id <> :not)}', '{"id": 1, "not": 3}');
SELECT * FROM algo_ref.prefetch_jsonb('SELECT id FROM item ORDER BY id', 'up(id)') LIMIT 2;
-- a column that older rows of the table do not have
ALTER TABLE item_tag ADD COLUMN later text DEFAULT 'x';
SELECT * FROM differences('SELECT id FROM tag', 'item_tag', 'few:item_tag(order: item_id desc; limit: 2)');
SELECT * FROM algo_ref.prefetch('SELECT id FROM tag WHERE id = 2', 'item_tag(order: item_id desc; limit: 2)', 'some:item_tag(later; where: item_id < 2)');
-- mistakes
SELECT * FROM algo_ref.prefetch_jsonb('SELECT id FROM item', 'nothing(');
SELECT * FROM algo_ref.prefetch_jsonb($$SELECT '"\u0000"'::json AS nul$$, VARIADIC '{}');

SET client_min_messages = warning;
DROP SCHEMA kinds CASCADE;
DROP EXTENSION algo_ref;
