-- Keys of other types than the columns they refer to, against joins.
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS algo_ref CASCADE;
DROP SCHEMA IF EXISTS keys CASCADE;
RESET client_min_messages;
CREATE EXTENSION algo_ref;
CREATE SCHEMA keys;
SET search_path = keys;
CREATE TYPE pair AS (a int, b text);
CREATE DOMAIN code AS varchar(8);

-- a table whose column "id" has a type, one whose key has another, and one in
-- between; what differs from a join, under several plans
CREATE FUNCTION try(target text, own text, vals text[]) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
  strategy text;
BEGIN
  EXECUTE format('CREATE TABLE one (id %s PRIMARY KEY, n serial)', target);
  EXECUTE format('CREATE TABLE many (id serial PRIMARY KEY, one_id %s REFERENCES one)', own);
  EXECUTE format('CREATE TABLE other (id serial PRIMARY KEY)');
  EXECUTE format('CREATE TABLE link (one_id %s REFERENCES one, other_id int REFERENCES other, PRIMARY KEY (one_id, other_id))', own);
  INSERT INTO other DEFAULT VALUES;
  EXECUTE format('INSERT INTO one (id) SELECT v::%s FROM unnest($1) v', target) USING vals;
  EXECUTE format('INSERT INTO many (one_id) SELECT v::%s::%s FROM unnest($1) v, generate_series(1, 2) UNION ALL SELECT NULL', target, own) USING vals[2:];
  EXECUTE format('INSERT INTO link SELECT v::%s::%s, 1 FROM unnest($1) v', target, own) USING vals[2:];
  CREATE INDEX ON many (one_id);
  FOREACH strategy IN ARRAY '{on,off}'::text[] LOOP
    PERFORM set_config('enable_seqscan', strategy, true);
    RETURN QUERY
      (SELECT algo_ref.prefetch('SELECT id, n FROM one', 'many(id)', 'other', 'many.count()')::jsonb::text
       EXCEPT ALL
       SELECT json_build_object('id', one.id, 'n', n,
         'many', coalesce((SELECT json_agg(json_build_object('id', many.id) ORDER BY many.id) FROM many WHERE one_id = one.id), '[]'),
         'other', coalesce((SELECT json_agg(json_build_object('id', other_id)) FROM link WHERE one_id = one.id), '[]'),
         'many_count', (SELECT count(*) FROM many WHERE one_id = one.id))::jsonb::text FROM one)
      UNION ALL
      (SELECT algo_ref.prefetch('SELECT id FROM many', 'one(n)')::jsonb::text
       EXCEPT ALL
       SELECT json_build_object('id', many.id, 'one', (SELECT json_build_object('n', n) FROM one WHERE one.id = one_id))::jsonb::text FROM many)
      UNION ALL
      (SELECT algo_ref.prefetch('SELECT id FROM other', 'one(n; order: n)')::jsonb::text
       EXCEPT ALL
       SELECT json_build_object('id', 1, 'one', (SELECT json_agg(json_build_object('n', n) ORDER BY n) FROM one JOIN link ON one.id = one_id))::jsonb::text);
  END LOOP;
  RETURN QUERY SELECT target || ' <- ' || own || ': ' || count(*) FROM algo_ref.prefetch_sets('SELECT id FROM many', 'one') WHERE path = 'one';
  DROP TABLE many, link, other, one;
END $$;
\pset format unaligned
\pset tuples_only on
SELECT try('bigint', 'int', '{1,2,3}');
SELECT try('int', 'bigint', '{1,2,3}');
SELECT try('smallint', 'bigint', '{1,2,3}');
SELECT try('numeric', 'int', '{1,2.00,3.0}');
SELECT try('numeric', 'bigint', '{1,2.0,3}');
SELECT try('double precision', 'real', '{1.5,NaN,-0}');
SELECT try('timestamptz', 'date', '{2020-01-01,2020-01-02,infinity}');
SELECT try('date', 'timestamp', '{2020-01-01,2020-01-02,infinity}');
SELECT try('text', 'varchar', '{a,b,ü}');
SELECT try('varchar(3)', 'text', '{a,b,ü}');
SELECT try('text', 'code', '{a,b,ü}');
SELECT try('char(5)', 'varchar', '{a,b,ü}');
SELECT try('char(5)', 'char(3)', '{a,b,ü}');
SELECT try('text', 'name', '{a,b,ü}');
SELECT try('pair', 'pair', '{"(1,x)","(2,)","(,)"}');
SELECT try('int4range', 'int4range', '{"[1,3)",empty,"[5,)"}');
SELECT try('bytea', 'bytea', '{"\\x00","\\xff",""}');

-- several columns of several types
CREATE TABLE one (a int, b bigint, c pair, d numeric, n int, PRIMARY KEY (a, b, c, d));
CREATE TABLE many (id int PRIMARY KEY, a bigint, b smallint, c pair, d int, FOREIGN KEY (a, b, c, d) REFERENCES one);
INSERT INTO one VALUES (1, 1, (1, 'x'), 1.0, 1), (1, 2, (1, 'x'), 1, 2), (1, 2, (2, 'x'), 7, 3);
INSERT INTO many VALUES (1, 1, 1, (1, 'x'), 1), (2, 1, 2, (2, 'x'), 7), (3, 1, 2, (2, 'x'), 7), (4, 1, NULL, (2, 'x'), 7);
SELECT algo_ref.prefetch('SELECT n FROM one ORDER BY n', 'many(id)', 'many.count()');
SELECT algo_ref.prefetch('SELECT id FROM many ORDER BY id', 'up:many_a_b_c_d_fkey(n)');

-- no common type, no arrays
CREATE TABLE lists (id int[] PRIMARY KEY);
CREATE TABLE uses (id int PRIMARY KEY, list_id int[] REFERENCES lists);
SELECT algo_ref.prefetch('SELECT id FROM uses', 'list');

SET client_min_messages = warning;
DROP SCHEMA keys CASCADE;
DROP EXTENSION algo_ref;
