-- Rows and everything that hangs on them.
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS algo_ref CASCADE;
DROP SCHEMA IF EXISTS blog CASCADE;
RESET client_min_messages;
CREATE EXTENSION algo_ref;
CREATE SCHEMA blog;
SET search_path = blog;
CREATE TABLE users (id int PRIMARY KEY, name text, manager_id int REFERENCES users);
CREATE TABLE profile (user_id int PRIMARY KEY REFERENCES users, about text);
CREATE TABLE posts (id int PRIMARY KEY, user_id int REFERENCES users, title text, views int);
CREATE TABLE comments (id int PRIMARY KEY, post_id int REFERENCES posts, author_id int REFERENCES users, body text);
CREATE TABLE tags (id int PRIMARY KEY, name text);
CREATE TABLE post_tags (post_id int REFERENCES posts, tag_id int REFERENCES tags, PRIMARY KEY (post_id, tag_id));
INSERT INTO users VALUES (1, 'ann', NULL), (2, 'bob', 1), (3, 'eve', 2);
UPDATE users SET manager_id = 3 WHERE id = 1;
INSERT INTO profile VALUES (1, 'about ann');
INSERT INTO posts SELECT n, n % 2 + 1, 'post ' || n, n * 10 FROM generate_series(1, 5) n;
INSERT INTO comments SELECT n, n % 3 + 1, n % 3 + 1, 'comment ' || n FROM generate_series(1, 4) n;
INSERT INTO tags VALUES (1, 'x'), (2, 'y');
INSERT INTO post_tags VALUES (1, 1), (1, 2), (2, 2);
\pset format unaligned
\pset tuples_only on

-- all kinds of relationships, several levels
SELECT * FROM algo_ref.prefetch('SELECT id, name FROM users ORDER BY id DESC', 'posts');
SELECT * FROM algo_ref.prefetch('SELECT id, title FROM posts ORDER BY id', 'user', 'tags');
SELECT * FROM algo_ref.prefetch('SELECT id FROM users ORDER BY id', 'profile(about)', 'posts(id).comments(id).author(name)');
-- no paths, no rows, columns of the caller's own making
SELECT * FROM algo_ref.prefetch('SELECT 1 AS one, NULL AS nothing, ''a"b'' AS text');
SELECT * FROM algo_ref.prefetch_jsonb('SELECT 1 AS one'), algo_ref.prefetch_sets('SELECT 2 AS two'), LATERAL (SELECT count(*) FROM algo_ref.prefetch_explain('SELECT 1')) e;
SELECT * FROM algo_ref.prefetch('SELECT id FROM users WHERE false', 'posts');
SELECT * FROM algo_ref.prefetch('SELECT upper(name) AS shout, id AS number FROM users ORDER BY id', 'posts(id)');
-- keys that the query does not return are read unseen
SELECT * FROM algo_ref.prefetch('SELECT name FROM users u ORDER BY name', 'posts(title)');
SELECT * FROM algo_ref.prefetch('SELECT blog.users.name FROM blog.users ORDER BY name', 'posts.count()');
-- where, order, limit for each parent, alias, count, inner
SELECT * FROM algo_ref.prefetch('SELECT id FROM users ORDER BY id', 'latest:posts(id, views; where: views > 10 AND title <> '';)''; order: views desc; limit: 1)', 'posts.count()', 'seen:posts(where: views >= 40).count()');
SELECT * FROM algo_ref.prefetch('SELECT id FROM users ORDER BY id DESC', 'posts!inner(id)');
SELECT * FROM algo_ref.prefetch('SELECT id FROM users ORDER BY id', 'posts!inner(id).tags!inner(name; where: name = ''x'')');
-- what begins alike is read once
SELECT * FROM algo_ref.prefetch('SELECT id FROM users WHERE id = 1', 'posts(id).comments(id)', 'posts.tags(name)');
SELECT * FROM algo_ref.prefetch('SELECT id FROM users WHERE id = 1', 'top:posts!user_id(id; order: views desc; limit: 1)', 'top.comments(id)', 'posts!user_id.comments.count()', 'posts(id)');
-- recursion, which ends at a row that is above itself
SELECT * FROM algo_ref.prefetch('SELECT id FROM users ORDER BY id', 'manager*4(name)');
SELECT * FROM algo_ref.prefetch('SELECT id FROM users WHERE id = 1', 'users*2(id)');
-- several recursions from one row, through keys to different columns
CREATE TABLE part (id int PRIMARY KEY, code text UNIQUE, kit int REFERENCES part, spare text REFERENCES part (code));
INSERT INTO part VALUES (1, 'a', NULL, 'b'), (2, 'b', 1, 'c'), (3, 'c', 2, 'a');
SELECT * FROM algo_ref.prefetch('SELECT id FROM part ORDER BY id', 'kit*3(id)', 'spare*3(id)', 'k:kit(id).spare*2(id)');
-- what inherits is read, too; what an association says twice comes once
CREATE TABLE old_posts () INHERITS (posts);
INSERT INTO old_posts VALUES (100, 1, 'old', 0);
CREATE TABLE likes (user_id int REFERENCES users, post_id int REFERENCES posts, day date, PRIMARY KEY (user_id, post_id, day));
INSERT INTO likes VALUES (1, 2, '2020-01-01'), (1, 2, '2020-01-02'), (1, 1, '2020-01-01'), (2, 2, '2020-01-01');
SELECT * FROM algo_ref.prefetch('SELECT id FROM users ORDER BY id', 'posts!posts_user_id_fkey(id)', 'liked:posts!likes(id)', 'likers:posts!likes.count()');
DROP TABLE old_posts, likes;
-- a limit holds for one row, too; a deferrable primary key orders; count without parentheses is a name
SELECT * FROM algo_ref.prefetch('SELECT id FROM posts WHERE id < 3 ORDER BY id', 'user(name; limit: 0)', 'author:user(name; order: id; limit: 1)');
CREATE TABLE count (id int PRIMARY KEY DEFERRABLE, user_id int REFERENCES users);
INSERT INTO count VALUES (3, 1), (1, 1), (2, 2);
SELECT * FROM algo_ref.prefetch('SELECT id FROM posts WHERE id = 2', 'user(id).count(id)', 'user.count.user(name)', 'user.n:count.count( )');
DROP TABLE count;
-- a long text is not taken for six times as long
SELECT length(j::text) FROM algo_ref.prefetch('SELECT repeat(''ab'', 90000000) AS t') j;
-- parameters
SELECT * FROM algo_ref.prefetch_query('SELECT id FROM users WHERE id = ANY (:ids) ORDER BY id', '{posts(id; where: views > :least)}', '{"ids": [1, 2], "least": 20}');
SELECT * FROM algo_ref.prefetch_query('SELECT :text AS t', '{}', '{"text": "'' || (SELECT secret) || ''"}');
-- jsonb; views; a stop in the middle; within a query
SELECT * FROM algo_ref.prefetch_jsonb('SELECT id FROM users WHERE id = 2', 'posts(id)');
CREATE VIEW people AS SELECT name, id AS number FROM users;
SELECT * FROM algo_ref.prefetch('SELECT * FROM people ORDER BY number', 'posts(id)');
-- columns that come through subqueries, WITH, LATERAL, joins and views, each from its own table
SELECT * FROM algo_ref.prefetch('WITH w AS (SELECT id, name FROM users) SELECT w.name, l.* FROM w, LATERAL (SELECT w.id AS author, p.* FROM posts p WHERE p.user_id = w.id) l WHERE l.id < 3 ORDER BY l.id', 'comments!post_id(id)', 'profile(about)');
SELECT * FROM algo_ref.prefetch('SELECT j.title FROM (users u JOIN posts p ON p.user_id = u.id) AS j (uid, name, boss, pid, user_id, title) WHERE pid = 1', 'comments!post_id(id)');
SELECT * FROM algo_ref.prefetch('SELECT pid, title FROM (users u JOIN posts p ON p.user_id = u.id) AS j (uid, name, boss, pid, user_id, title) WHERE pid < 3 ORDER BY pid', 'comments!post_id(id)');
SELECT * FROM algo_ref.prefetch('SELECT s.* FROM (SELECT e.id, m.id AS mid, m.manager_id FROM users e JOIN users m ON m.id = e.manager_id) s ORDER BY id', 'manager(name)');
SELECT * FROM algo_ref.prefetch('SELECT s.* FROM (SELECT e.id, e.manager_id FROM users e JOIN users m ON m.id = e.manager_id) s ORDER BY id', 'manager(name)');
CREATE VIEW boss AS SELECT e.id, m.id AS mid FROM users e JOIN users m ON m.id = e.manager_id GROUP BY e.id, m.id;
SELECT * FROM algo_ref.prefetch('SELECT * FROM boss ORDER BY id', 'posts(id)');
SELECT * FROM algo_ref.prefetch('SELECT id, max(mid) AS m FROM boss GROUP BY id ORDER BY id', 'posts(id)');
DROP VIEW boss;
SELECT * FROM algo_ref.prefetch('SELECT id FROM users ORDER BY id', 'posts(id)') LIMIT 1;
SELECT name, (SELECT json_agg(p) FROM algo_ref.prefetch_query('SELECT id FROM posts WHERE user_id = :u', '{tags}', jsonb_build_object('u', users.id)) p) FROM users ORDER BY id;

-- the same as what one would write oneself
SELECT count(*) AS wrong FROM (
  SELECT j::jsonb FROM algo_ref.prefetch('SELECT id, title FROM posts', 'comments.author', 'tags') j
  EXCEPT ALL
  SELECT to_jsonb(r) FROM (SELECT id, title,
    (SELECT coalesce(json_agg(c), '[]') FROM (SELECT c.*, (SELECT row_to_json(u) FROM users u WHERE u.id = c.author_id) AS author FROM comments c WHERE c.post_id = p.id ORDER BY c.id) c) AS comments,
    (SELECT coalesce(json_agg(t), '[]') FROM (SELECT t.* FROM tags t JOIN post_tags pt ON pt.tag_id = t.id WHERE pt.post_id = p.id ORDER BY t.id) t) AS tags
  FROM posts p) r) AS d;

-- odd names, composite keys
CREATE TABLE "Odd ""table""" ("A key" int, b text, "select" date, PRIMARY KEY ("A key", b));
CREATE TABLE "Child's" (id int PRIMARY KEY, "A key" int, "b'" text, FOREIGN KEY ("A key", "b'") REFERENCES "Odd ""table""");
INSERT INTO "Odd ""table""" VALUES (1, 'x', '2024-01-01'), (2, 'y', NULL);
INSERT INTO "Child's" VALUES (1, 1, 'x'), (2, 1, 'x'), (3, 2, NULL);
SELECT * FROM algo_ref.prefetch('SELECT * FROM "Odd ""table"""', '"Child''s"(id)');
SELECT * FROM algo_ref.prefetch('SELECT id FROM "Child''s" ORDER BY id', '"Child''s_A key_b''_fkey"');

-- policies and privileges are the caller's
CREATE ROLE regress_algo_ref_prefetch;
GRANT USAGE ON SCHEMA blog, algo_ref TO regress_algo_ref_prefetch;
GRANT SELECT ON users, posts TO regress_algo_ref_prefetch;
ALTER TABLE posts ENABLE ROW LEVEL SECURITY;
CREATE POLICY few ON posts TO regress_algo_ref_prefetch USING (views <= 20);
GRANT SELECT ON algo_ref.relationship_alias TO regress_algo_ref_prefetch;
SET ROLE regress_algo_ref_prefetch;
SELECT * FROM algo_ref.prefetch('SELECT id FROM users ORDER BY id', 'posts(id)');
SELECT * FROM algo_ref.prefetch('SELECT id FROM users ORDER BY id', 'comments');
RESET ROLE;

SET client_min_messages = warning;
DROP SCHEMA blog CASCADE;
DROP EXTENSION algo_ref;
DROP ROLE regress_algo_ref_prefetch;
