-- What prefetch refuses.
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS algo_ref CASCADE;
DROP SCHEMA IF EXISTS blog CASCADE;
RESET client_min_messages;
CREATE EXTENSION algo_ref;
CREATE SCHEMA blog;
SET search_path = blog;
CREATE TABLE users (id int PRIMARY KEY, name text);
CREATE TABLE posts (id int PRIMARY KEY, user_id int REFERENCES users, editor_id int REFERENCES users, title text);

-- paths
SELECT * FROM algo_ref.prefetch('SELECT id FROM users', 'nosuch');
SELECT * FROM algo_ref.prefetch('SELECT id FROM users', 'posts');
SELECT * FROM algo_ref.prefetch('SELECT id FROM users', 'posts!user_id.');
SELECT * FROM algo_ref.prefetch('SELECT id FROM users', '');
SELECT * FROM algo_ref.prefetch('SELECT id FROM users', 'posts!user_id(');
SELECT * FROM algo_ref.prefetch('SELECT id FROM users', 'posts!user_id(nosuch)');
SELECT * FROM algo_ref.prefetch('SELECT id FROM users', 'posts!user_id(order: nosuch)');
SELECT * FROM algo_ref.prefetch('SELECT id FROM users', 'posts!user_id(limit: x)');
SELECT * FROM algo_ref.prefetch('SELECT id FROM users', 'posts!user_id*3');
SELECT * FROM algo_ref.prefetch('SELECT id FROM users', 'posts!user_id*1000');
SELECT * FROM algo_ref.prefetch('SELECT id FROM users', 'manager!inner*3');
SELECT * FROM algo_ref.prefetch('SELECT id FROM users', 'manager*3.manager');
\set VERBOSITY terse
SELECT * FROM algo_ref.prefetch('SELECT id FROM users', 'a:a*100.b:b*100.c:c*100');
SELECT * FROM algo_ref.prefetch('SELECT id FROM users', repeat('manager.', 40000) || 'manager');
\set VERBOSITY default
SELECT * FROM algo_ref.prefetch('SELECT id FROM posts', 'user.count()');
SELECT * FROM algo_ref.prefetch('SELECT id FROM users', 'posts!user_id', 'posts!editor_id');
SELECT * FROM algo_ref.prefetch('SELECT id, name AS posts FROM users', 'posts!user_id');
SELECT * FROM algo_ref.prefetch('SELECT id FROM users', VARIADIC ARRAY[NULL]::text[]);
-- conditions see their table, and end where they end
SELECT * FROM algo_ref.prefetch('SELECT id FROM users', 'posts!user_id(where: name = ''x'')');
SELECT * FROM algo_ref.prefetch('SELECT id FROM users', 'posts!user_id(where: true) OR (true)');
SELECT * FROM algo_ref.prefetch('SELECT id FROM users', 'posts!user_id(where: true) t1; DROP TABLE users; --)');
SELECT * FROM algo_ref.prefetch('SELECT id FROM users', 'posts!user_id(where: id = 1 ORDER BY 1)');
SELECT * FROM algo_ref.prefetch('SELECT id FROM users', 'posts!user_id(where: id = $1)');
SELECT * FROM algo_ref.prefetch('SELECT id FROM users', 'posts!user_id(where: id)');
SELECT * FROM algo_ref.prefetch('SELECT id FROM users', 'posts!user_id(where: title = ''x)');
SELECT * FROM algo_ref.prefetch('SELECT id FROM users', 'posts!user_id(where: EXISTS (SELECT FROM users FOR SHARE))');
SELECT * FROM algo_ref.prefetch('SELECT id FROM posts', 'user(order: nosuch)');
-- the query
SELECT * FROM algo_ref.prefetch(NULL, 'posts');
SELECT * FROM algo_ref.prefetch('', 'posts');
SELECT * FROM algo_ref.prefetch('SELECT nosuch FROM users', 'posts!user_id');
SELECT * FROM algo_ref.prefetch('DELETE FROM users RETURNING id', 'posts!user_id');
SELECT * FROM algo_ref.prefetch('WITH d AS (DELETE FROM users RETURNING id) SELECT id FROM d', 'posts!user_id');
SELECT * FROM algo_ref.prefetch('SELECT id FROM users FOR UPDATE', 'posts!user_id');
SELECT * FROM algo_ref.prefetch('WITH u AS (SELECT id FROM users FOR UPDATE) SELECT id FROM u', 'posts!user_id');
SELECT * FROM algo_ref.prefetch('SELECT id INTO x FROM users', 'posts!user_id');
SELECT * FROM algo_ref.prefetch('SELECT 1; SELECT 2', 'posts!user_id');
SELECT * FROM algo_ref.prefetch('SELECT id FROM users) q(c1); DROP TABLE users; --', 'posts!user_id');
SELECT * FROM algo_ref.prefetch('SELECT count(*) FROM users', 'posts!user_id');
SELECT * FROM algo_ref.prefetch('SELECT DISTINCT name FROM users', 'posts!user_id');
SELECT * FROM algo_ref.prefetch('SELECT a.id FROM users a, users b', 'posts!user_id');
-- parameters
SELECT * FROM algo_ref.prefetch('SELECT id FROM users WHERE id = $1', VARIADIC '{}');
SELECT * FROM algo_ref.prefetch('SELECT id FROM users WHERE id = :id', 'posts!user_id');
SELECT * FROM algo_ref.prefetch_query('SELECT id FROM users WHERE id = :id', '{}', '{"ID": 1}');
SELECT * FROM algo_ref.prefetch_query('SELECT id FROM users WHERE id = :id', '{}', '{"id": "x"}');
SELECT * FROM algo_ref.prefetch_query('SELECT id FROM users WHERE id = :id', '{}', '[1]');
-- an error among the rows, and nothing stays open
SELECT * FROM algo_ref.prefetch('SELECT id, 1 / (id - 2) AS x FROM generate_series(1, 3) id', VARIADIC '{}');
SELECT count(*) FROM pg_cursors;
SELECT to_regclass('users') IS NOT NULL AS still_there;

-- rights do not depend on whether there is something to read
CREATE ROLE regress_algo_ref_reader;
GRANT USAGE ON SCHEMA blog, algo_ref TO regress_algo_ref_reader;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA algo_ref TO regress_algo_ref_reader;
GRANT SELECT ON users TO regress_algo_ref_reader;
GRANT SELECT (id, user_id) ON posts TO regress_algo_ref_reader;
SET ROLE regress_algo_ref_reader;
SELECT * FROM algo_ref.prefetch('SELECT id FROM users WHERE false', 'posts!user_id');
SELECT * FROM algo_ref.prefetch('SELECT id FROM users WHERE false', 'posts!user_id(id)');
SELECT * FROM algo_ref.prefetch('SELECT id FROM users WHERE false', 'posts!user_id(id).editor');
SELECT * FROM algo_ref.prefetch('SELECT id FROM users WHERE false', 'posts!editor_id.count()');
RESET ROLE;
DROP OWNED BY regress_algo_ref_reader;
DROP ROLE regress_algo_ref_reader;

SET client_min_messages = warning;
DROP SCHEMA blog CASCADE;
DROP EXTENSION algo_ref;
