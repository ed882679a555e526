-- Prepared calls see what happens to tables and keys in between.
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS algo_ref CASCADE;
DROP SCHEMA IF EXISTS blog, other CASCADE;
RESET client_min_messages;
CREATE EXTENSION algo_ref;
CREATE SCHEMA blog;
CREATE SCHEMA other;
SET search_path = blog;
CREATE TABLE users (id int PRIMARY KEY, name text);
CREATE TABLE posts (id int PRIMARY KEY, user_id int CONSTRAINT posts_user REFERENCES users, title text);
INSERT INTO users VALUES (1, 'ann'), (2, 'bob');
INSERT INTO posts VALUES (1, 1, 'one'), (2, 2, 'two'), (3, 1, 'three');
\pset format unaligned
\pset tuples_only on
PREPARE page AS SELECT * FROM algo_ref.prefetch('SELECT id FROM users ORDER BY id', 'posts');
CREATE FUNCTION page() RETURNS SETOF json LANGUAGE plpgsql AS $$
BEGIN
  RETURN QUERY SELECT * FROM algo_ref.prefetch_query('SELECT id FROM users ORDER BY id', '{posts}');
END $$;
EXECUTE page;
SELECT * FROM page();

-- columns
ALTER TABLE posts ADD COLUMN views int DEFAULT 5;
EXECUTE page;
SELECT * FROM page();
ALTER TABLE posts RENAME COLUMN title TO heading;
EXECUTE page;
ALTER TABLE posts ALTER COLUMN heading TYPE varchar(3) USING left(heading, 3);
EXECUTE page;
SELECT * FROM page();
ALTER TABLE posts DROP COLUMN views;
EXECUTE page;
ALTER TABLE users ALTER COLUMN id TYPE bigint;
EXECUTE page;
ALTER TABLE posts ALTER COLUMN user_id TYPE bigint;
EXECUTE page;

-- indexes, and rows
CREATE INDEX by_user ON posts (user_id);
EXECUTE page;
INSERT INTO posts VALUES (4, 2, 'new');
EXECUTE page;
DROP INDEX by_user;
EXECUTE page;

-- keys
ALTER TABLE posts DROP CONSTRAINT posts_user;
EXECUTE page;
SELECT * FROM page();
ALTER TABLE posts ADD CONSTRAINT posts_user FOREIGN KEY (user_id) REFERENCES users NOT VALID;
EXECUTE page;
ALTER TABLE posts ADD COLUMN editor_id bigint REFERENCES users;
EXECUTE page;
SELECT algo_ref.name_relationship('users', 'posts', 'posts!user_id');
EXECUTE page;
SELECT algo_ref.name_relationship('users', 'posts', 'posts!editor_id');
EXECUTE page;
SELECT algo_ref.name_relationship('users', 'posts', NULL);
ALTER TABLE posts DROP COLUMN editor_id;
ALTER TABLE posts ADD UNIQUE (id, user_id);
DELETE FROM posts WHERE id > 2;
ALTER TABLE posts ADD UNIQUE (user_id);
EXECUTE page;
ALTER TABLE posts DROP CONSTRAINT posts_user_id_key;

-- tables
ALTER TABLE posts RENAME TO articles;
EXECUTE page;
ALTER TABLE articles RENAME TO posts;
EXECUTE page;
ALTER TABLE posts SET SCHEMA other;
EXECUTE page;
ALTER TABLE other.posts SET SCHEMA blog;
DROP TABLE posts;
EXECUTE page;
CREATE TABLE posts (user_id bigint REFERENCES users PRIMARY KEY, day date);
INSERT INTO posts VALUES (1, '2020-02-02');
EXECUTE page;
-- the tables of another schema
CREATE TABLE other.users (id int PRIMARY KEY);
CREATE TABLE other.posts (id int PRIMARY KEY, user_id int REFERENCES other.users);
INSERT INTO other.users VALUES (7);
INSERT INTO other.posts VALUES (70, 7);
SET search_path = other;
EXECUTE page;
SELECT * FROM blog.page();
SET search_path = blog;
EXECUTE page;

-- a name that means another table now
SET client_min_messages = warning;
CREATE TABLE other.days (day date);
INSERT INTO other.days VALUES ('2020-01-02');
SET search_path = blog, other;
PREPARE days AS SELECT * FROM algo_ref.prefetch('SELECT * FROM days', VARIADIC '{}');
PREPARE here AS SELECT * FROM algo_ref.prefetch('SELECT id FROM users ORDER BY id', 'posts(where: day IN (SELECT day FROM days))');
EXECUTE days;
EXECUTE here;
CREATE TABLE days (day date, more text);
INSERT INTO days VALUES ('2020-02-02', 'x');
EXECUTE days;
EXECUTE here;
CREATE TEMP TABLE other_days (day date);
CREATE TEMP TABLE days (day text);
EXECUTE days;
DROP TABLE pg_temp.days, pg_temp.other_days, blog.days;
EXECUTE days;
EXECUTE here;
SET search_path = blog;
RESET client_min_messages;

-- a function that returns something else
CREATE FUNCTION pair() RETURNS TABLE (a int) LANGUAGE sql AS 'SELECT 1';
PREPARE pair AS SELECT * FROM algo_ref.prefetch('SELECT * FROM pair()', VARIADIC '{}');
EXECUTE pair;
DROP FUNCTION pair();
CREATE FUNCTION pair() RETURNS TABLE (a text, b int) LANGUAGE sql AS $$SELECT 'x', 2$$;
EXECUTE pair;

-- literals are read anew under other settings, and by the clock
PREPARE literals AS SELECT * FROM algo_ref.prefetch($$SELECT '03/02/2024'::date AS day, '2024-01-01 12:00'::timestamptz AT TIME ZONE 'UTC' AS noon, '-1 2:00'::interval AS span$$, VARIADIC '{}');
SET datestyle = 'ISO, MDY';
SET timezone = 'UTC';
SET intervalstyle = 'postgres';
EXECUTE literals;
SET datestyle = 'ISO, DMY';
EXECUTE literals;
SET timezone = 'Asia/Tokyo';
EXECUTE literals;
SET intervalstyle = 'sql_standard';
EXECUTE literals;
RESET datestyle;
RESET timezone;
RESET intervalstyle;
PREPARE clock AS SELECT (j ->> 'now')::timestamptz = transaction_timestamp() AS is_now FROM algo_ref.prefetch('SELECT ''now''::timestamptz AS now', VARIADIC '{}') j;
EXECUTE clock;
EXECUTE clock;
PREPARE recent AS SELECT count(*) FROM algo_ref.prefetch('SELECT id FROM users', 'posts!inner(where: '' NOW''::timestamptz = transaction_timestamp())') j;
EXECUTE recent;
EXECUTE recent;

-- what a transaction has changed, and has undone
BEGIN;
ALTER TABLE posts ADD COLUMN more int;
EXECUTE page;
ROLLBACK;
EXECUTE page;

-- in a function that goes on after the change
CREATE FUNCTION changes() RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
  row json;
BEGIN
  FOR row IN SELECT * FROM algo_ref.prefetch('SELECT id FROM users ORDER BY id', 'posts') LOOP
    RETURN NEXT row;
    IF row ->> 'id' = '1' THEN
      INSERT INTO posts VALUES (2, '2021-01-01');
    END IF;
  END LOOP;
  RETURN QUERY SELECT j::text FROM algo_ref.prefetch('SELECT id FROM users ORDER BY id', 'posts') j;
END $$;
SELECT * FROM changes();

RESET search_path;
SET client_min_messages = warning;
DROP SCHEMA blog, other CASCADE;
DROP EXTENSION algo_ref;
