-- The watch: which lookups are found, which are not, and what is said of them.
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS algo_ref CASCADE;
RESET client_min_messages;
CREATE EXTENSION algo_ref;
CREATE SCHEMA shop;
SET search_path = shop;
CREATE TABLE users (id int PRIMARY KEY, email text UNIQUE, manager_id int REFERENCES users);
CREATE TABLE profiles (user_id int PRIMARY KEY REFERENCES users, bio text);
CREATE TABLE posts (id bigint PRIMARY KEY, user_id int NOT NULL REFERENCES users, editor_id int REFERENCES users, title text);
CREATE TABLE comments (id int PRIMARY KEY, post_id bigint NOT NULL REFERENCES posts, body text);
CREATE TABLE tags (id text PRIMARY KEY);
CREATE TABLE post_tags (post_id bigint REFERENCES posts, tag_id text REFERENCES tags, PRIMARY KEY (post_id, tag_id));
CREATE TABLE orders (year int, number int, PRIMARY KEY (year, number));
CREATE TABLE lines (id int PRIMARY KEY, y int, n int, FOREIGN KEY (n, y) REFERENCES orders (number, year));
CREATE TABLE events (id int, user_id int REFERENCES users, PRIMARY KEY (id, user_id)) PARTITION BY HASH (user_id);
CREATE TABLE events_0 PARTITION OF events FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE events_1 PARTITION OF events FOR VALUES WITH (MODULUS 2, REMAINDER 1);
CREATE TABLE plain (id int PRIMARY KEY, user_id int);
CREATE INDEX ON posts (user_id);
CREATE INDEX ON comments (post_id);
INSERT INTO users SELECT i, 'user ' || i, nullif(i / 10, 0) FROM generate_series(1, 40) i;
INSERT INTO profiles SELECT id FROM users;
INSERT INTO posts SELECT i, 1 + i % 40, 1 + i % 7, 'post ' || i FROM generate_series(1, 200) i;
INSERT INTO comments SELECT i, 1 + i % 200 FROM generate_series(1, 400) i;
INSERT INTO tags SELECT 'tag ' || i FROM generate_series(1, 20) i;
INSERT INTO post_tags SELECT id, 'tag ' || 1 + id % 20 FROM posts;
INSERT INTO orders SELECT 2000 + i % 5, i FROM generate_series(1, 40) i;
INSERT INTO lines SELECT i, 2000 + i % 5, i FROM generate_series(1, 40) i;
INSERT INTO events SELECT i, 1 + i % 40 FROM generate_series(1, 80) i;
INSERT INTO plain SELECT i, i FROM generate_series(1, 40) i;
ANALYZE;

-- what the report says of the last experiment, which it then forgets; of many keys, one
-- may have been taken for another
CREATE FUNCTION found(OUT relationship text, OUT times bigint, OUT keys bigint, OUT prefetch text) RETURNS SETOF record LANGUAGE plpgsql AS $$
BEGIN
  RETURN QUERY SELECT r.relationship, r.times, CASE WHEN r.distinct_keys > 100 THEN round(r.distinct_keys, -1)::bigint ELSE r.distinct_keys END, r.prefetch FROM algo_ref.n1_report() r ORDER BY r.relationship COLLATE "C", r.times;
  PERFORM algo_ref.n1_reset();
END $$;
-- a function with a loop and a lookup in it
CREATE FUNCTION loop_over(list text, lookup text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE result bigint;
BEGIN
  EXECUTE format('CREATE OR REPLACE FUNCTION looping() RETURNS bigint LANGUAGE plpgsql AS $f$ DECLARE r record; x record; rows bigint := 0; BEGIN FOR r IN %s LOOP FOR x IN %s LOOP rows := rows + 1; END LOOP; END LOOP; RETURN rows; END $f$', list, lookup);
  EXECUTE 'SELECT looping()' INTO result;
  RETURN result;
END $$;

--
-- Messages
--

CREATE FUNCTION page() RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  u record;
  total bigint := 0;
BEGIN
  FOR u IN SELECT id, email FROM users LOOP
    total := total + (SELECT count(*) FROM posts WHERE user_id = u.id);
  END LOOP;
  RETURN total;
END $$;
-- off
SHOW algo_ref.watch;
SELECT page();
SELECT * FROM found();
-- once
SET algo_ref.watch = notice;
SELECT page();
SELECT page();
SELECT relationship, times, distinct_keys, total_time > '0', statement, source, function, prefetch, first_seen <= last_seen,
  database = current_database(), role = current_user FROM algo_ref.n1_report() \gx
SELECT algo_ref.n1_reset();
SELECT algo_ref.n1_reset();
SELECT count(*) FROM algo_ref.n1_report();
-- and again after a reset
SELECT page();
-- as an error: each time
SET algo_ref.watch = error;
SELECT page();
SELECT page();
\set VERBOSITY sqlstate
SELECT page();
\set VERBOSITY default
-- in the log, which is elsewhere
SELECT algo_ref.n1_reset();
SET algo_ref.watch = log;
SET client_min_messages = log;
SELECT page();
RESET client_min_messages;
SELECT * FROM found();

--
-- Settings
--

SET algo_ref.watch_threshold = 41;
SELECT page();
SELECT * FROM found();
SET algo_ref.watch_threshold = 40;
SELECT page();
SELECT * FROM found();
RESET algo_ref.watch_threshold;
SET algo_ref.watch_min_ms = 1e6;
SELECT page();
SELECT * FROM found();
-- what the loop does itself is not the lookups' time
SET algo_ref.watch_min_ms = 300;
CREATE FUNCTION slow_page() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  u record;
  p record;
BEGIN
  FOR u IN SELECT id FROM users LOOP
    FOR p IN SELECT title FROM posts WHERE user_id = u.id LIMIT 1 LOOP
      PERFORM pg_sleep(0.01);
    END LOOP;
  END LOOP;
END $$;
SELECT slow_page();
SELECT * FROM found();
RESET algo_ref.watch_min_ms;
SELECT slow_page();
SELECT relationship, times, total_time < '300 ms' FROM algo_ref.n1_report();
SELECT * FROM found();
SET algo_ref.watch_ignore = 'users, shop.posts';
SELECT page();
SELECT * FROM found();
SET algo_ref.watch_ignore = 'page';
SELECT page();
SELECT * FROM found();
SET algo_ref.watch_ignore = 'users, other.posts, other.page';
SELECT page();
SELECT * FROM found();
-- the names as SQL writes them
CREATE TABLE "Odd, Posts" (user_id int REFERENCES users);
CREATE FUNCTION "Odd, Page"() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  i int;
BEGIN
  FOR i IN SELECT id FROM users LOOP
    PERFORM FROM "Odd, Posts" WHERE user_id = i;
  END LOOP;
END $$;
CREATE FUNCTION found_with(names text, OUT rows bigint) LANGUAGE plpgsql AS $$
BEGIN
  PERFORM set_config('algo_ref.watch_ignore', names, true);
  PERFORM "Odd, Page"();
  SELECT count(*) INTO rows FROM algo_ref.n1_report();
  PERFORM algo_ref.n1_reset();
END $$;
SELECT names, found_with(names) FROM (VALUES
  (''), ('"Odd, Posts"'), (' SHOP."Odd, Posts"'), ('other, "shop" . "Odd, Posts"'), ('other."Odd, Posts"'), ('Odd, Posts'),
  ('"Odd, Page"'), ('shop."Odd, Page"'), ('other."Odd, Page"')) AS list (names);
-- where the search path does not find the function, too
SET search_path = pg_catalog;
CREATE FUNCTION shop.by_path() RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog AS $$
DECLARE
  i int;
BEGIN
  FOR i IN SELECT id FROM shop.users LOOP
    PERFORM FROM shop.posts WHERE user_id = i;
  END LOOP;
END $$;
SET algo_ref.watch_ignore = 'shop.by_path';
SELECT shop.by_path();
SET algo_ref.watch_ignore = 'by_path';
SELECT shop.by_path();
SELECT count(*) FROM algo_ref.n1_report();
SET algo_ref.watch_ignore = 'other.by_path';
SELECT shop.by_path();
SET search_path = shop;
SELECT * FROM found();
DROP FUNCTION by_path(), found_with(text), "Odd, Page"();
DROP TABLE "Odd, Posts";
RESET algo_ref.watch_ignore;

--
-- Found: every kind of relationship
--

-- one-to-many, many-to-one, one-to-one
SELECT loop_over('SELECT * FROM users', 'SELECT * FROM posts WHERE user_id = r.id');
SELECT * FROM found();
SELECT loop_over('SELECT * FROM posts LIMIT 20', 'SELECT * FROM users WHERE id = r.user_id');
SELECT * FROM found();
SELECT loop_over('SELECT * FROM posts LIMIT 20', 'SELECT * FROM users WHERE r.editor_id = id');
SELECT * FROM found();
SELECT loop_over('SELECT * FROM users', 'SELECT * FROM profiles WHERE user_id = r.id');
SELECT * FROM found();
SELECT loop_over('SELECT * FROM profiles', 'SELECT * FROM users WHERE id = r.user_id');
SELECT * FROM found();
-- only counted, where there is more than one to count
SELECT loop_over('SELECT * FROM users', 'SELECT count(*) FROM posts WHERE user_id = r.id');
SELECT * FROM found();
SELECT loop_over('SELECT * FROM posts LIMIT 20', 'SELECT count(*) FROM users WHERE id = r.user_id');
SELECT * FROM found();
SELECT loop_over('SELECT * FROM users', 'SELECT count(*) FROM posts WHERE user_id = r.id HAVING count(*) > 1');
SELECT * FROM found();
-- many-to-many, and the association table alone
SELECT loop_over('SELECT * FROM posts', 'SELECT tags.* FROM tags, post_tags WHERE post_id = r.id AND tag_id = tags.id');
SELECT * FROM found();
SELECT loop_over('SELECT * FROM posts', 'SELECT tag_id FROM post_tags WHERE post_id = r.id');
SELECT * FROM found();
-- keys of text, of several columns, of another integer type
SELECT loop_over('SELECT id FROM tags', 'SELECT 1 FROM post_tags WHERE tag_id = r.id');
SELECT * FROM found();
SELECT loop_over('SELECT * FROM orders', 'SELECT * FROM lines WHERE y = r.year AND n = r.number');
SELECT * FROM found();
SELECT loop_over('SELECT * FROM lines', 'SELECT * FROM orders WHERE year = r.y AND number = r.n');
SELECT * FROM found();
SELECT loop_over('SELECT id::int AS key, id FROM posts', 'SELECT * FROM comments WHERE post_id = r.key');
SELECT * FROM found();
-- a part of a key is none
SELECT loop_over('SELECT * FROM orders', 'SELECT * FROM lines WHERE n = r.number');
SELECT * FROM found();
-- a table and itself, both ways
SELECT loop_over('SELECT * FROM users', 'SELECT * FROM users m WHERE m.id = r.manager_id');
SELECT * FROM found();
SELECT loop_over('SELECT * FROM users', 'SELECT * FROM users e WHERE e.manager_id = r.id');
SELECT * FROM found();
-- two foreign keys to the same column
SELECT loop_over('SELECT id, user_id FROM posts LIMIT 30', 'SELECT * FROM profiles WHERE user_id = r.user_id');
SELECT * FROM found();
-- many foreign keys in a row of the list, and many tables that are looked up
DO $$
BEGIN
  EXECUTE (SELECT format('CREATE TABLE wide (id int PRIMARY KEY, %s)', string_agg(format('user_%s int REFERENCES users', i), ', ' ORDER BY i)) FROM generate_series(1, 20) i);
  FOR i IN 1..12 LOOP
    EXECUTE format('CREATE TABLE child_%s (user_id int REFERENCES users)', i);
  END LOOP;
END $$;
INSERT INTO wide (id, user_20) SELECT i, i FROM generate_series(1, 40) i;
SELECT loop_over('SELECT * FROM wide', 'SELECT * FROM users WHERE id = r.user_20');
SELECT * FROM found();
SELECT loop_over('SELECT id FROM users', (SELECT string_agg(format('SELECT FROM child_%s WHERE user_id = r.id', i), ' LOOP END LOOP; FOR x IN ' ORDER BY i) FROM generate_series(1, 12) i));
SELECT count(*), min(times), max(times) FROM algo_ref.n1_report();
SELECT algo_ref.n1_reset();
-- partitions
SELECT loop_over('SELECT * FROM users', 'SELECT * FROM events WHERE user_id = r.id');
SELECT * FROM found();
-- nested
CREATE FUNCTION nested() RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  u record;
  p record;
  total bigint := 0;
BEGIN
  FOR u IN SELECT id FROM users ORDER BY id LIMIT 4 LOOP
    FOR p IN SELECT id FROM posts WHERE user_id = u.id LOOP
      total := total + (SELECT count(*) FROM comments WHERE post_id = p.id);
    END LOOP;
  END LOOP;
  RETURN total;
END $$;
SELECT nested();
SELECT * FROM found();
-- and with functions instead of loops within loops
CREATE FUNCTION tree(node int) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
  child int;
  size int := 1;
BEGIN
  FOR child IN SELECT id FROM users WHERE manager_id = node LOOP
    size := size + tree(child);
  END LOOP;
  RETURN size;
END $$;
SELECT tree(1);
SELECT * FROM found();

--
-- Found: every kind of plan and of loop
--

SET enable_indexscan = off;
SET enable_indexonlyscan = off;
SELECT loop_over('SELECT * FROM users', 'SELECT * FROM posts WHERE user_id = r.id');
SELECT * FROM found();
SET enable_bitmapscan = off;
SELECT loop_over('SELECT * FROM users', 'SELECT * FROM posts WHERE user_id = r.id ORDER BY title LIMIT 3');
SELECT * FROM found();
RESET enable_indexscan;
RESET enable_indexonlyscan;
SET enable_seqscan = off;
SELECT loop_over('SELECT * FROM users', 'SELECT user_id FROM posts WHERE user_id = r.id');
SELECT * FROM found();
SELECT loop_over('SELECT * FROM users', 'SELECT p.id FROM posts p JOIN comments c ON c.post_id = p.id WHERE p.user_id = r.id');
SELECT * FROM found();
SELECT loop_over('SELECT * FROM users', 'SELECT p.id FROM users u JOIN posts p ON p.user_id = u.id WHERE u.id = r.id');
SELECT * FROM found();
RESET enable_seqscan;
RESET enable_bitmapscan;
SET plan_cache_mode = force_generic_plan;
SELECT loop_over('SELECT * FROM users', 'SELECT * FROM posts WHERE user_id = r.id');
SELECT * FROM found();
SELECT loop_over('SELECT * FROM users', 'SELECT * FROM events WHERE user_id = r.id');
SELECT * FROM found();
SELECT loop_over('SELECT * FROM users', 'SELECT * FROM posts WHERE user_id = ANY (ARRAY[r.id])');
RESET plan_cache_mode;
SELECT * FROM found();
SELECT loop_over('SELECT * FROM users', 'SELECT * FROM posts WHERE user_id IN (r.id)');
SELECT * FROM found();
-- arrays of one
SELECT loop_over('SELECT ARRAY[id] AS ids, id FROM users', 'SELECT * FROM posts WHERE user_id = ANY (r.ids)');
SELECT * FROM found();
-- as a statement made on the way, its list with a parameter
CREATE FUNCTION dynamic(lowest int) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  u record;
  n bigint;
  total bigint := 0;
BEGIN
  FOR u IN EXECUTE 'SELECT id FROM users WHERE id > $1 AND email <> ''$1''' USING lowest LOOP
    EXECUTE 'SELECT count(*) FROM posts WHERE user_id = ' || u.id INTO n;
    total := total + n;
  END LOOP;
  RETURN total;
END $$;
SELECT dynamic(3);
SELECT * FROM found();
-- its list with variables: for use in the function
CREATE FUNCTION variables(first int, "Last One" int) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  u record;
  o record;
BEGIN
  SELECT first AS one, 'user' AS "Prefix:" INTO o;
  FOR u IN SELECT id, 'first' FROM users WHERE id >= first AND id <= "Last One" AND id >= $1 AND email LIKE o."Prefix:" || '%' ORDER BY id % first, first LOOP
    PERFORM FROM posts WHERE user_id = u.id;
  END LOOP;
END $$;
SELECT variables(3, 30);
SELECT * FROM found();
-- with a cursor, row by row
DO $$
DECLARE
  list CURSOR FOR SELECT id FROM users;
  i int;
BEGIN
  OPEN list;
  LOOP
    FETCH list INTO i;
    EXIT WHEN NOT FOUND;
    PERFORM FROM posts WHERE user_id = i;
  END LOOP;
END $$;
SELECT * FROM found();
-- with a function in SQL for the lookup
CREATE FUNCTION titles(u int) RETURNS SETOF text LANGUAGE sql AS 'SELECT title FROM posts WHERE user_id = u';
SELECT loop_over('SELECT id FROM users', 'SELECT * FROM titles(r.id)');
SELECT relationship, times, statement, source, function FROM algo_ref.n1_report();
SELECT * FROM found();
-- with one whose text is not kept
CREATE FUNCTION atomic_titles(u int) RETURNS SETOF text LANGUAGE sql VOLATILE BEGIN ATOMIC SELECT title FROM posts WHERE user_id = u; END;
SET algo_ref.watch = notice;
BEGIN;
\o /dev/null
SELECT id FROM users WHERE id <= 12;
SELECT format('SELECT * FROM atomic_titles(%s);', id) FROM users WHERE id <= 12 \gexec
\o
COMMIT;
SET algo_ref.watch = log;
SELECT * FROM found();
-- where a variable begins
CREATE FUNCTION posts_of(u int) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  n bigint := (SELECT count(*) FROM posts WHERE user_id = u);
BEGIN
  RETURN n;
END $$;
SELECT loop_over('SELECT id FROM users', 'SELECT posts_of(r.id)');
SELECT function FROM algo_ref.n1_report();
SELECT * FROM found();
-- in the leader of a parallel query
CREATE TABLE fresh (user_id int REFERENCES users);
CREATE FUNCTION fresh_page(lowest int) RETURNS bigint STABLE PARALLEL SAFE LANGUAGE plpgsql AS $$
DECLARE
  i int;
  n bigint := 0;
BEGIN
  FOR i IN SELECT id FROM users WHERE id > lowest LOOP
    n := n + (SELECT count(*) FROM fresh WHERE user_id = i);
  END LOOP;
  RETURN n;
END $$;
SET max_parallel_workers = 0;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
EXPLAIN (COSTS OFF) SELECT sum(fresh_page(id)) FROM users;
SELECT sum(fresh_page(id)) FROM users;
RESET max_parallel_workers;
RESET parallel_setup_cost;
RESET parallel_tuple_cost;
RESET min_parallel_table_scan_size;
SELECT relationship, times > 100, source, function, prefetch FROM algo_ref.n1_report();
SELECT algo_ref.n1_reset();
-- with an exception caught in each round
DO $$
DECLARE
  i int;
BEGIN
  FOR i IN SELECT id FROM users LOOP
    BEGIN
      PERFORM 1 / (count(*) - count(*)) FROM posts WHERE user_id = i;
    EXCEPTION WHEN division_by_zero THEN
    END;
  END LOOP;
END $$;
SELECT * FROM found();
-- with a commit in each round
DO $$
DECLARE
  i int;
BEGIN
  FOR i IN SELECT id FROM users LOOP
    PERFORM FROM posts WHERE user_id = i;
    COMMIT;
  END LOOP;
END $$;
SELECT * FROM found();

--
-- Found: statements of a client
--

BEGIN;
SELECT count(id) FROM (SELECT id FROM users) u;
\o /dev/null
SELECT id FROM users WHERE id <= 12;
SELECT format('SELECT title FROM posts WHERE user_id = %s AND id < 20;', id) FROM users WHERE id <= 12 \gexec
\o
COMMIT;
SELECT relationship, times, statement, source, function, prefetch FROM algo_ref.n1_report() \gx
SELECT * FROM found();
-- prepared
PREPARE list(int, text) AS SELECT id FROM users WHERE id < $1 AND email <> $2;
PREPARE lookup(int) AS SELECT title FROM posts WHERE user_id = $1 AND id < 20;
BEGIN;
\o /dev/null
EXECUTE list(13, 'O''Reilly');
SELECT format('EXECUTE lookup(%s);', id) FROM users WHERE id <= 12 \gexec
\o
COMMIT;
SELECT * FROM found();
-- with the comment of an application before it
/* route = '/page' */ PREPARE commented(int) AS SELECT id FROM users WHERE id < $1;
BEGIN;
\o /dev/null
EXECUTE commented(13);
SELECT format('EXECUTE lookup(%s);', id) FROM users WHERE id <= 12 \gexec
\o
COMMIT;
SELECT * FROM found();
-- with a value that is too long for a call
PREPARE long_list(int[]) AS SELECT id FROM users WHERE id = ANY ($1);
SELECT array_agg(i) AS ids FROM generate_series(1, 2000) i \gset
BEGIN;
\o /dev/null
EXECUTE long_list(:'ids');
SELECT format('EXECUTE lookup(%s);', id) FROM users WHERE id <= 12 \gexec
\o
COMMIT;
SELECT * FROM found();
SELECT array_agg(i) AS ids FROM generate_series(1, 20000) i \gset
BEGIN;
\o /dev/null
EXECUTE long_list(:'ids');
SELECT format('EXECUTE lookup(%s);', id) FROM users WHERE id <= 12 \gexec
\o
COMMIT;
SELECT * FROM found();
-- as a cursor
BEGIN;
DECLARE list CURSOR FOR SELECT id FROM users WHERE id < 13;
FETCH 2 FROM list;
\o /dev/null
FETCH ALL FROM list;
SELECT format('EXECUTE lookup(%s);', id) FROM users WHERE id <= 12 \gexec
\o
COMMIT;
SELECT * FROM found();
-- outside of a transaction block: for as long as the window is
SET algo_ref.watch_window = '1 h';
\o /dev/null
EXECUTE list(13, 'O''Reilly');
SELECT format('EXECUTE lookup(%s);', id) FROM users WHERE id <= 12 \gexec
\o
SELECT * FROM found();
SET algo_ref.watch_window = 0;
\o /dev/null
EXECUTE list(13, 'O''Reilly');
SELECT format('EXECUTE lookup(%s);', id) FROM users WHERE id <= 12 \gexec
\o
SELECT * FROM found();
RESET algo_ref.watch_window;
-- which ends where a pooler hands the connection on
SET algo_ref.watch_window = '1 h';
\o /dev/null
SELECT id FROM users WHERE id < 13;
DISCARD ALL;
SET search_path = shop;
SET algo_ref.watch = log;
SELECT format('SELECT title FROM posts WHERE user_id = %s AND id < 20;', id) FROM users WHERE id <= 12 \gexec
\o
SELECT * FROM found();
SET algo_ref.watch_window = '1 h';
\o /dev/null
SELECT id FROM users WHERE id < 13;
RESET ALL;
SET search_path = shop;
SET algo_ref.watch = log;
SELECT format('SELECT title FROM posts WHERE user_id = %s AND id < 20;', id) FROM users WHERE id <= 12 \gexec
\o
SELECT * FROM found();
PREPARE list(int, text) AS SELECT id FROM users WHERE id < $1 AND email <> $2;
PREPARE lookup(int) AS SELECT title FROM posts WHERE user_id = $1 AND id < 20;
-- a transaction block ends it
BEGIN;
EXECUTE list(13, 'O''Reilly');
COMMIT;
\o /dev/null
SELECT format('EXECUTE lookup(%s);', id) FROM users WHERE id <= 12 \gexec
\o
SELECT * FROM found();

-- a reset in the middle of it: it is found again
BEGIN;
\o /dev/null
SELECT id FROM users;
SELECT format('EXECUTE lookup(%s);', id) FROM users WHERE id <= 20 \gexec
\o
SELECT * FROM found();
\o /dev/null
SELECT format('EXECUTE lookup(%s);', id) FROM users WHERE id BETWEEN 21 AND 32 \gexec
\o
SELECT * FROM found();
COMMIT;
-- after an error, nothing of the failed statement is taken for the next one's
BEGIN;
SAVEPOINT before;
SELECT title, title, title, title, title, title, editor_id, user_id, 1 / (user_id - 10) FROM posts ORDER BY id;
ROLLBACK TO before;
SET LOCAL algo_ref.watch = off;
SELECT 1 FROM generate_series(1, 2) ORDER BY 1;
SELECT 2 FROM posts WHERE id <= 2 ORDER BY id;
COMMIT;

--
-- Not found
--

-- all keys at once, or many
SELECT loop_over('SELECT 1 FROM generate_series(1, 20)', 'SELECT * FROM posts WHERE user_id = ANY (ARRAY(SELECT id FROM users))');
SELECT loop_over('SELECT array_agg(id) AS ids FROM users GROUP BY id % 20', 'SELECT * FROM posts WHERE user_id = ANY (r.ids)');
SELECT count(*) FROM users u JOIN posts p ON p.user_id = u.id;
SELECT count(*) FROM users u, LATERAL (SELECT * FROM posts p WHERE p.user_id = u.id LIMIT 2) p;
-- one key again and again
SELECT loop_over('SELECT * FROM users', 'SELECT * FROM posts WHERE user_id = 3');
-- the same rows again; keys of something else; columns without a foreign key
SELECT loop_over('SELECT * FROM users', 'SELECT * FROM users u WHERE u.id = r.id');
SELECT loop_over('SELECT * FROM comments', 'SELECT * FROM posts WHERE user_id = r.id');
SELECT loop_over('SELECT g FROM generate_series(1, 40) g', 'SELECT * FROM posts WHERE user_id = r.g');
SELECT loop_over('SELECT * FROM users', 'SELECT * FROM plain WHERE user_id = r.id');
SELECT loop_over('SELECT * FROM users', 'SELECT * FROM users u WHERE u.email = r.email');
SELECT loop_over('SELECT * FROM users', 'SELECT * FROM posts WHERE user_id > r.id');
SELECT loop_over('SELECT * FROM users', 'SELECT * FROM posts WHERE user_id <> ALL (ARRAY[r.id])');
-- few of the lookups are of the list
SELECT loop_over('SELECT id, g FROM users, LATERAL generate_series(100 * id, 100 * id + 9) g', 'SELECT * FROM posts WHERE user_id = CASE WHEN r.g % 10 = 0 THEN r.id ELSE r.g END');
-- what locks or writes
SELECT loop_over('SELECT * FROM users', 'SELECT * FROM posts WHERE user_id = r.id FOR UPDATE');
DO $$
DECLARE
  i int;
BEGIN
  FOR i IN SELECT id FROM users LOOP
    INSERT INTO posts (id, user_id) VALUES (1000 + i, i);
    UPDATE posts SET title = 'x' WHERE user_id = i AND id > 1000;
    DELETE FROM posts WHERE user_id = i AND id > 1000;
  END LOOP;
END $$;
-- the filter of a whole subquery
SELECT loop_over('SELECT * FROM users', 'SELECT id FROM (SELECT id, user_id FROM posts ORDER BY title OFFSET 0) p WHERE user_id = r.id');
-- a list of one row
BEGIN;
\o /dev/null
SELECT format('SELECT id FROM users WHERE id = %s; SELECT id FROM posts WHERE user_id = %1$s AND id < 3;', id) FROM users WHERE id <= 12 \gexec
\o
COMMIT;
-- requests of a pool: each with a list and some lookups
BEGIN;
DO $$
DECLARE
  i int;
BEGIN
  FOR request IN 1..20 LOOP
    FOR i IN SELECT id FROM users LIMIT 5 LOOP
      PERFORM FROM posts WHERE user_id = i;
    END LOOP;
  END LOOP;
END $$;
COMMIT;
-- explained only
DO $$
DECLARE
  i int;
BEGIN
  FOR i IN SELECT id FROM users LOOP
    EXECUTE 'EXPLAIN SELECT FROM posts WHERE user_id = ' || i;
  END LOOP;
END $$;
SELECT * FROM found();

--
-- A change of the schema
--

DO $$ BEGIN PERFORM loop_over('SELECT * FROM users', 'SELECT * FROM plain WHERE user_id = r.id'); END $$;
SELECT * FROM found();
ALTER TABLE plain ADD CONSTRAINT plain_user_id_fkey FOREIGN KEY (user_id) REFERENCES users;
DO $$ BEGIN PERFORM loop_over('SELECT * FROM users', 'SELECT * FROM plain WHERE user_id = r.id'); END $$;
SELECT * FROM found();
ALTER TABLE plain RENAME TO "Odd.Name";
DO $$ BEGIN PERFORM loop_over('SELECT * FROM users', 'SELECT * FROM "Odd.Name" WHERE user_id = r.id'); END $$;
SELECT * FROM found();
ALTER TABLE "Odd.Name" ADD second_id int REFERENCES users;
DO $$ BEGIN PERFORM loop_over('SELECT * FROM users', 'SELECT * FROM "Odd.Name" WHERE user_id = r.id'); END $$;
SELECT * FROM found();
ALTER TABLE "Odd.Name" RENAME user_id TO owner_id;
DO $$ BEGIN PERFORM loop_over('SELECT * FROM users', 'SELECT * FROM "Odd.Name" WHERE owner_id = r.id'); END $$;
SELECT * FROM found();
SELECT algo_ref.name_relationship('"Odd.Name"', 'holder', 'owner_id');
SELECT loop_over('SELECT * FROM "Odd.Name"', 'SELECT * FROM users WHERE id = r.owner_id');
SELECT * FROM found();
ALTER TABLE lines RENAME CONSTRAINT lines_n_y_fkey TO order_of_line;
SELECT loop_over('SELECT * FROM lines', 'SELECT * FROM orders WHERE year = r.y AND number = r.n');
SELECT * FROM found();
ALTER TABLE "Odd.Name" DROP CONSTRAINT plain_user_id_fkey;
DO $$ BEGIN PERFORM loop_over('SELECT * FROM users', 'SELECT * FROM "Odd.Name" WHERE owner_id = r.id'); END $$;
SELECT * FROM found();

SET client_min_messages = warning;
DROP SCHEMA shop CASCADE;
