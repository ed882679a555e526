-- The watch: settings that are refused.
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS algo_ref CASCADE;
RESET client_min_messages;
LOAD 'algo_ref';
SET algo_ref.watch = 'loud';
SET algo_ref.watch_threshold = 1;
SET algo_ref.watch_min_ms = -1;
SET algo_ref.watch_ignore = 'a b';
SET algo_ref.watch_ignore = 'a.b.c';
SET algo_ref.watch_ignore = 'a,, b';
SET algo_ref.watch_ignore = ',';
SET algo_ref.watch_ignore = 'a, page(int)';
SET algo_ref.watch_ignore = '"a(b)", "c""d"."e,f" , g';
SHOW algo_ref.watch_ignore;
SET algo_ref.watch_ignore = ' ';
SET algo_ref.no_such_setting = 1;
\set VERBOSITY sqlstate
SET algo_ref.watch = 'loud';
SET algo_ref.watch_threshold = 1;
SET algo_ref.watch_window = -1;
SET algo_ref.watch_ignore = '"';
\set VERBOSITY default
-- a database without the extension has nothing to watch
SET algo_ref.watch = error;
CREATE TABLE users (id int PRIMARY KEY);
CREATE TABLE posts (user_id int REFERENCES users);
INSERT INTO users SELECT generate_series(1, 20);
DO $$
DECLARE
  i int;
BEGIN
  FOR i IN SELECT id FROM users LOOP
    PERFORM FROM posts WHERE user_id = i;
  END LOOP;
END $$;
CREATE EXTENSION algo_ref;
\set VERBOSITY sqlstate
DO $$
DECLARE
  i int;
BEGIN
  FOR i IN SELECT id FROM users LOOP
    PERFORM FROM posts WHERE user_id = i;
  END LOOP;
END $$;
DROP TABLE posts, users;
