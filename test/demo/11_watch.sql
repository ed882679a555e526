\echo
\echo '11. N+1, noticed by the server, and the one call that replaces it'
\echo
SET client_min_messages = warning;
CREATE SCHEMA blog;
SET search_path = blog;
CREATE TABLE author (id int PRIMARY KEY, name text);
CREATE TABLE post (id int PRIMARY KEY, author_id int REFERENCES author, title text);
INSERT INTO author SELECT n, 'author ' || n FROM generate_series(1, 50) n;
INSERT INTO post SELECT n, n % 50 + 1, 'post ' || n FROM generate_series(1, 500) n;
CREATE INDEX ON post (author_id);
ANALYZE author, post;
LOAD 'algo_ref';
SET algo_ref.watch = 'notice';
SET client_min_messages = notice;
DO $$
DECLARE
  a record;
  p record;
BEGIN
  FOR a IN SELECT id FROM author LOOP
    FOR p IN SELECT * FROM post WHERE author_id = a.id LOOP END LOOP;
  END LOOP;
END $$;
RESET algo_ref.watch;
SET client_min_messages = warning;
SELECT relationship, times, distinct_keys, prefetch FROM algo_ref.n1_report();
\echo 'the call, for the first two, with their three latest posts:'
\echo
SELECT * FROM algo_ref.prefetch('SELECT id, name FROM author ORDER BY id LIMIT 2', 'latest:post(id, title; order: id desc; limit: 3)', 'post.count()');
SELECT level, relationship, strategy, statements, keys, rows FROM algo_ref.prefetch_explain('SELECT id, name FROM author', 'post');
DROP SCHEMA blog CASCADE;
