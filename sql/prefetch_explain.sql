-- How rows and what hangs on them are read.
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS algo_ref CASCADE;
DROP SCHEMA IF EXISTS blog CASCADE;
RESET client_min_messages;
CREATE EXTENSION algo_ref;
CREATE SCHEMA blog;
SET search_path = blog;
CREATE TABLE users (id int PRIMARY KEY, name text);
CREATE TABLE posts (id int PRIMARY KEY, user_id int REFERENCES users, editor_id int REFERENCES users, created int);
CREATE TABLE tags (id int PRIMARY KEY, name text);
CREATE TABLE post_tags (post_id int REFERENCES posts, tag_id int REFERENCES tags, PRIMARY KEY (post_id, tag_id));
CREATE INDEX posts_by_user ON posts (user_id, created);
INSERT INTO users SELECT n, 'user ' || n FROM generate_series(1, 2000) n;
INSERT INTO posts SELECT n, n % 2000 + 1, CASE WHEN n % 2 = 0 THEN n % 2000 + 1 END, n FROM generate_series(1, 10000) n;
INSERT INTO tags SELECT n, 'tag ' || n FROM generate_series(1, 40) n;
INSERT INTO post_tags SELECT p, (p + k) % 40 + 1 FROM generate_series(1, 10000) p, generate_series(1, 2) k;
VACUUM ANALYZE users, posts, tags, post_tags;

-- few keys, an association table, something that is nowhere
SELECT level, relationship, strategy, statements, keys, "rows" FROM algo_ref.prefetch_explain('SELECT * FROM users WHERE id <= 3', 'posts!user_id.tags', 'posts!user_id.count()');
SELECT level, relationship, strategy, statements, keys, "rows" FROM algo_ref.prefetch_explain('SELECT * FROM posts WHERE id = 1', 'editor.posts!user_id');
SELECT level, relationship, strategy, statements, keys, "rows" FROM algo_ref.prefetch_explain('SELECT * FROM posts WHERE false', 'editor');
-- the SQL, one statement for each strategy
SELECT strategy, sql FROM algo_ref.prefetch_explain('SELECT * FROM users WHERE id <= 3', 'posts!user_id(id; where: created > 5)');
-- the first of each parent, by an index that has their order and without one
SELECT relationship, strategy, keys, "rows" FROM algo_ref.prefetch_explain('SELECT * FROM users WHERE id <= 3', 'top:posts!user_id(order: created desc; limit: 2)');
-- without an index; many keys; several strategies in batches of different size
SELECT relationship, strategy, keys, "rows" FROM algo_ref.prefetch_explain('SELECT * FROM users WHERE id <= 3', 'posts!editor_id');
SELECT relationship, strategy, keys > 0 AS keys, "rows" > 0 AS "rows" FROM algo_ref.prefetch_explain('SELECT * FROM users', 'posts!user_id');
SELECT sum(keys) AS keys, sum("rows") AS "rows" FROM algo_ref.prefetch_explain('SELECT * FROM users', 'posts!user_id') WHERE level = 1;
-- times are measured
SELECT count(*), bool_and(milliseconds >= 0) AS measured, sum(milliseconds) > 0 AS any FROM algo_ref.prefetch_explain('SELECT * FROM users', 'posts!user_id.tags');
-- parameters, mistakes
SELECT level, relationship, strategy, statements, keys, "rows" FROM algo_ref.prefetch_explain_query('SELECT * FROM users WHERE id <= :most', '{posts!user_id(where: created > :least)}', '{"most": 3, "least": 4000}');
SELECT * FROM algo_ref.prefetch_explain('SELECT * FROM users', 'nothing');
SELECT * FROM algo_ref.prefetch_explain('DELETE FROM users', 'posts');

SET client_min_messages = warning;
DROP SCHEMA blog CASCADE;
DROP EXTENSION algo_ref;
