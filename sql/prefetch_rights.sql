-- Rights, policies, and text that would like to be code.
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS algo_ref CASCADE;
DROP SCHEMA IF EXISTS blog CASCADE;
RESET client_min_messages;
CREATE EXTENSION algo_ref;
CREATE ROLE regress_algo_ref_ann;
CREATE ROLE regress_algo_ref_bob;
CREATE SCHEMA blog;
SET search_path = blog;
CREATE TABLE users (id int PRIMARY KEY, name name, secret text);
CREATE TABLE posts (id int PRIMARY KEY, user_id int REFERENCES users, owner name, title text);
CREATE TABLE comments (id int PRIMARY KEY, post_id int REFERENCES posts, owner name, body text);
CREATE TABLE tags (id int PRIMARY KEY, name text);
CREATE TABLE post_tags (post_id int REFERENCES posts, tag_id int REFERENCES tags, owner name, PRIMARY KEY (post_id, tag_id));
INSERT INTO users VALUES (1, 'regress_algo_ref_ann', 's1'), (2, 'regress_algo_ref_bob', 's2');
INSERT INTO posts SELECT g, g % 2 + 1, CASE g % 3 WHEN 0 THEN 'regress_algo_ref_ann' ELSE 'regress_algo_ref_bob' END, 'post ' || g FROM generate_series(1, 6) g;
INSERT INTO comments SELECT g, g % 6 + 1, CASE g % 2 WHEN 0 THEN 'regress_algo_ref_ann' ELSE 'regress_algo_ref_bob' END, 'c' || g FROM generate_series(1, 12) g;
INSERT INTO tags VALUES (1, 'x'), (2, 'y');
INSERT INTO post_tags SELECT g, g % 2 + 1, CASE g % 4 WHEN 0 THEN 'regress_algo_ref_ann' ELSE 'regress_algo_ref_bob' END FROM generate_series(1, 6) g;
GRANT USAGE ON SCHEMA blog, algo_ref TO regress_algo_ref_ann, regress_algo_ref_bob;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA algo_ref TO regress_algo_ref_ann, regress_algo_ref_bob;
GRANT SELECT ON posts, comments, tags, post_tags TO regress_algo_ref_ann, regress_algo_ref_bob;
GRANT SELECT (id, name) ON users TO regress_algo_ref_ann, regress_algo_ref_bob;
\pset format unaligned
\pset tuples_only on

-- column privileges
SET ROLE regress_algo_ref_ann;
SELECT * FROM algo_ref.prefetch('SELECT id FROM posts WHERE id = 1', 'user');
SELECT * FROM algo_ref.prefetch('SELECT id FROM posts WHERE id = 1', 'user(name)');
SELECT * FROM algo_ref.prefetch('SELECT id FROM posts WHERE id = 1', 'user(name; where: secret = ''s1'')');
SELECT * FROM algo_ref.prefetch('SELECT id FROM posts WHERE id = 1', 'user(secret)');
SELECT * FROM algo_ref.prefetch('SELECT id FROM users', 'posts(id; order: title)');
SELECT * FROM algo_ref.prefetch_sets('SELECT id FROM posts WHERE id = 1', 'user');
SELECT level FROM algo_ref.prefetch_explain('SELECT id FROM posts WHERE id = 1', 'user');
RESET ROLE;

-- policies, at each level, and through association tables
ALTER TABLE posts ENABLE ROW LEVEL SECURITY;
ALTER TABLE comments ENABLE ROW LEVEL SECURITY;
ALTER TABLE post_tags ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON posts USING (owner = current_user);
CREATE POLICY own ON comments USING (owner = current_user);
CREATE POLICY own ON post_tags USING (owner = current_user);
PREPARE all_of AS SELECT * FROM algo_ref.prefetch('SELECT id FROM users ORDER BY id', 'posts(id).comments(id)', 'posts.tags(name)', 'posts.count()');
SELECT * FROM algo_ref.prefetch('SELECT id FROM users ORDER BY id', 'posts(id)');
SET ROLE regress_algo_ref_ann;
EXECUTE all_of;
SELECT * FROM algo_ref.prefetch('SELECT id FROM users ORDER BY id', 'posts!inner(id)');
SET ROLE regress_algo_ref_bob;
EXECUTE all_of;
SELECT * FROM algo_ref.prefetch('SELECT id FROM comments ORDER BY id', 'post(id)');
RESET ROLE;
-- and without them again
ALTER TABLE posts DISABLE ROW LEVEL SECURITY;
SET ROLE regress_algo_ref_ann;
EXECUTE all_of;
SET row_security = off;
EXECUTE all_of;
RESET row_security;
RESET ROLE;
-- a function of somebody else reads with their rights
CREATE FUNCTION theirs() RETURNS SETOF json LANGUAGE sql SECURITY DEFINER SET search_path = blog AS
  $$SELECT * FROM algo_ref.prefetch('SELECT id FROM posts WHERE id = 1', 'user(secret)')$$;
SET ROLE regress_algo_ref_ann;
SELECT * FROM theirs();
SELECT * FROM algo_ref.prefetch('SELECT id FROM posts WHERE id = 1', 'user(secret)');
RESET ROLE;
-- nothing is known of a table that may not be seen, but its keys
REVOKE USAGE ON SCHEMA blog FROM regress_algo_ref_bob;
SET ROLE regress_algo_ref_bob;
SELECT * FROM algo_ref.prefetch('SELECT id FROM posts', 'user(name)');
RESET ROLE;

-- names, conditions, queries and values that would like to be code
CREATE TABLE "x"";DROP TABLE tags;--" (id int PRIMARY KEY, "id"") OR (1=1" int REFERENCES users, "a'b" text);
INSERT INTO "x"";DROP TABLE tags;--" VALUES (1, 1, $$'; DROP TABLE tags; --$$);
SELECT * FROM algo_ref.prefetch('SELECT id FROM users ORDER BY id', '"x"";DROP TABLE tags;--"');
SELECT * FROM algo_ref.prefetch('SELECT id FROM users ORDER BY id', '"r"";x":"x"";DROP TABLE tags;--"("a''b"; order: "id"") OR (1=1" desc)');
SELECT * FROM algo_ref.prefetch('SELECT id FROM "x"";DROP TABLE tags;--"', '"id"") OR (1=1"(id)');
SELECT * FROM algo_ref.prefetch('SELECT id FROM users', 'posts(id) FROM posts; DROP TABLE tags; --');
SELECT * FROM algo_ref.prefetch('SELECT id FROM users', 'posts(id; order: id; DROP TABLE tags)');
SELECT * FROM algo_ref.prefetch('SELECT id FROM users', 'posts(id; limit: 1; DROP TABLE tags)');
SELECT * FROM algo_ref.prefetch('SELECT id FROM users', 'posts(id; where: id IN (SELECT 1; DROP TABLE tags))');
SELECT * FROM algo_ref.prefetch('SELECT id FROM users', 'posts(id; where: true) UNION SELECT 1, secret FROM users --)');
SELECT * FROM algo_ref.prefetch('SELECT id FROM users', E'posts(id; where: true\n) c; DROP TABLE tags; --)');
SELECT * FROM algo_ref.prefetch('SELECT id FROM users', 'posts(id; where: nextval(''s'') > 0)');
SELECT * FROM algo_ref.prefetch('SELECT id FROM users; DROP TABLE tags', 'posts');
SELECT * FROM algo_ref.prefetch('SELECT id FROM users ORDER BY id -- comment', 'posts(id; where: id < 3 -- comment)');
SELECT * FROM algo_ref.prefetch('SELECT id FROM users /* not closed', 'posts');
SELECT * FROM algo_ref.prefetch('SELECT id FROM users WHERE name = ''not closed', 'posts');
SELECT * FROM algo_ref.prefetch('CALL x()', 'posts');
SELECT * FROM algo_ref.prefetch('COPY users TO PROGRAM ''touch /tmp/x''', 'posts');
SELECT * FROM algo_ref.prefetch('EXPLAIN SELECT 1', VARIADIC '{}');
SELECT * FROM algo_ref.prefetch('VALUES (1), (2)', VARIADIC '{}');
SELECT * FROM algo_ref.prefetch('TABLE tags', VARIADIC '{}');
SELECT * FROM algo_ref.prefetch_query('SELECT id, :v AS v FROM users ORDER BY id', '{posts(id; where: title = :t)}', $${"v": "'; DROP TABLE tags; --", "t": "x' OR 'a' = 'a"}$$);
SELECT * FROM algo_ref.prefetch_query('SELECT id FROM users WHERE name = :"v"', '{}', $${"v": "x"}$$);
SELECT * FROM algo_ref.prefetch('SELECT id FROM users', 'posts(id; where: id = :algo_ref_key_1)');
SELECT * FROM algo_ref.prefetch_query('SELECT id FROM users', '{posts(id; where: id = :algo_ref_key_1)}', '{"algo_ref_key_1": 1}');
SELECT count(*) AS tags FROM tags;
-- a function that writes does so, as in any SELECT
CREATE TABLE log (id int);
CREATE FUNCTION writes(int) RETURNS bool LANGUAGE sql AS 'INSERT INTO blog.log VALUES ($1) RETURNING true';
SELECT count(*) FROM algo_ref.prefetch('SELECT id FROM users WHERE blog.writes(id)', 'posts');
SELECT count(*) FROM log;

RESET search_path;
SET client_min_messages = warning;
DROP SCHEMA blog CASCADE;
DROP EXTENSION algo_ref;
DROP OWNED BY regress_algo_ref_ann, regress_algo_ref_bob;
DROP ROLE regress_algo_ref_ann, regress_algo_ref_bob;
