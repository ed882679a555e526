-- Rows and everything that hangs on them as sets, each row once.
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS algo_ref CASCADE;
DROP SCHEMA IF EXISTS blog CASCADE;
RESET client_min_messages;
CREATE EXTENSION algo_ref;
CREATE SCHEMA blog;
SET search_path = blog;
CREATE TABLE users (id int PRIMARY KEY, name text, manager_id int REFERENCES users);
CREATE TABLE posts (id int PRIMARY KEY, user_id int REFERENCES users, title text);
CREATE TABLE comments (id int PRIMARY KEY, post_id int REFERENCES posts, author_id int REFERENCES users);
CREATE TABLE tags (id int PRIMARY KEY, name text);
CREATE TABLE post_tags (post_id int REFERENCES posts, tag_id int REFERENCES tags, PRIMARY KEY (post_id, tag_id));
INSERT INTO users VALUES (1, 'ann', 3), (2, 'bob', 1), (3, 'eve', NULL);
INSERT INTO posts SELECT n, n % 2 + 1, 'post ' || n FROM generate_series(1, 5) n;
INSERT INTO comments SELECT n, n % 3 + 1, n % 3 + 1 FROM generate_series(1, 4) n;
INSERT INTO tags VALUES (1, 'x'), (2, 'y'), (3, 'z');
INSERT INTO post_tags VALUES (1, 1), (1, 2), (2, 2);
\pset format unaligned
\pset tuples_only on

-- key is the parent's
SELECT * FROM algo_ref.prefetch_sets('SELECT id, name FROM users ORDER BY id', 'posts(title).comments.author(name)', 'manager');
-- no path, no rows, no key to look up
SELECT * FROM algo_ref.prefetch_sets('SELECT 1 AS one', VARIADIC '{}');
SELECT * FROM algo_ref.prefetch_sets('SELECT id FROM users WHERE false', 'posts');
SELECT * FROM algo_ref.prefetch_sets('SELECT id FROM users WHERE id = 3', 'manager');
-- the same parent twice
SELECT * FROM algo_ref.prefetch_sets('SELECT u.id FROM users u, generate_series(1, 2) WHERE u.id = 1', 'posts(id)');
-- an association table is a set of its own
SELECT * FROM algo_ref.prefetch_sets('SELECT id FROM posts ORDER BY id', 'tags');
SELECT * FROM algo_ref.prefetch_sets('SELECT id FROM posts ORDER BY id', 'tags(name; order: name desc; limit: 1)');
-- counts, limits, conditions, parameters
SELECT * FROM algo_ref.prefetch_sets('SELECT id FROM users ORDER BY id', 'posts.count()', 'last:posts(id; order: id desc; limit: 1)');
SELECT * FROM algo_ref.prefetch_sets_query('SELECT id FROM users WHERE id <> :not ORDER BY id', '{posts(id; where: id > :least)}', '{"not": 3, "least": 3}');
-- inner: what only rows lead to that go does not come either
SELECT * FROM algo_ref.prefetch_sets('SELECT id FROM users ORDER BY id', 'posts!inner(id; where: id > 1).comments(id)', 'posts.tags!inner(name)', 'manager(id)');
-- a recursion goes to its depth
SELECT * FROM algo_ref.prefetch_sets('SELECT id FROM users WHERE id = 2', 'manager*3(name)');
UPDATE users SET manager_id = 2 WHERE id = 3;
SELECT * FROM algo_ref.prefetch_sets('SELECT id FROM users WHERE id = 2', 'manager*4(id)');

-- keys of several columns and of other types
CREATE TABLE place (country text, "Zip code" int, PRIMARY KEY (country, "Zip code"));
CREATE TABLE house (id int PRIMARY KEY, country text, zip int, built date UNIQUE, FOREIGN KEY (country, zip) REFERENCES place);
CREATE TABLE room (id int PRIMARY KEY, built date REFERENCES house (built));
INSERT INTO place VALUES ('a"b', 1), ('é', 2);
INSERT INTO house VALUES (1, 'a"b', 1, '2024-01-02'), (2, 'é', 2, NULL), (3, NULL, 2, NULL);
INSERT INTO room VALUES (7, '2024-01-02');
SELECT * FROM algo_ref.prefetch_sets('SELECT * FROM house ORDER BY id', 'place:house_country_zip_fkey', 'room');

-- many batches give each row once, and no row that the nested form does not have
CREATE TABLE shelf (id int PRIMARY KEY);
CREATE TABLE label (id int PRIMARY KEY, name text);
CREATE TABLE book (id int PRIMARY KEY, shelf_id int REFERENCES shelf, label_id int REFERENCES label, twin_id int REFERENCES shelf);
CREATE INDEX ON book (shelf_id);
INSERT INTO shelf SELECT generate_series(1, 3000);
INSERT INTO label SELECT n, repeat('l', 500) FROM generate_series(1, 50) n;
INSERT INTO book SELECT n, n % 3000 + 1, n % 50 + 1, (n + 1) % 3000 + 1 FROM generate_series(1, 9000) n;
ANALYZE shelf, label, book;
SELECT path, count(*), count(DISTINCT key::text), count(DISTINCT "row"::text)
FROM algo_ref.prefetch_sets('SELECT * FROM shelf ORDER BY id', 'book!shelf_id.label', 'book!shelf_id.twin') GROUP BY path ORDER BY path;
SELECT path, count(*), count(DISTINCT key::text), count(DISTINCT "row"::text)
FROM algo_ref.prefetch_sets('SELECT * FROM shelf ORDER BY id', 'book!shelf_id!inner(id; where: id <= 10).label(id)') GROUP BY path ORDER BY path;
-- rows come as they are read
SELECT * FROM algo_ref.prefetch_sets('SELECT id FROM shelf ORDER BY id', 'book!shelf_id(id)') LIMIT 1;

-- as arrays: all paths, also those without rows
SELECT * FROM algo_ref.prefetch_arrays('SELECT id, name FROM users ORDER BY id', 'posts(title).comments.author(name)', 'manager');
SELECT * FROM algo_ref.prefetch_arrays('SELECT 1 AS one', VARIADIC '{}');
SELECT * FROM algo_ref.prefetch_arrays('SELECT id FROM users WHERE false', 'posts');
SELECT * FROM algo_ref.prefetch_arrays('SELECT id FROM posts ORDER BY id', 'tags');
SELECT * FROM algo_ref.prefetch_arrays_query('SELECT id FROM users WHERE id <> :not ORDER BY id', '{posts.count()}', '{"not": 3}');
SELECT * FROM algo_ref.prefetch_arrays('SELECT * FROM house ORDER BY id', 'place:house_country_zip_fkey', 'room');
-- the same rows and keys as the sets, in the same order
SELECT count(*), bool_and(a.rows::jsonb = s.rows::jsonb AND a.keys::jsonb = s.keys::jsonb) AS same
FROM algo_ref.prefetch_arrays('SELECT * FROM shelf ORDER BY id', 'book!shelf_id.label', 'book!shelf_id.twin') a
JOIN (SELECT path, json_agg("row") AS rows, coalesce(json_agg(key) FILTER (WHERE key IS NOT NULL), '[]') AS keys
  FROM algo_ref.prefetch_sets('SELECT * FROM shelf ORDER BY id', 'book!shelf_id.label', 'book!shelf_id.twin') GROUP BY path) s USING (path);

-- mistakes
SELECT * FROM algo_ref.prefetch_sets('SELECT id FROM users', 'post');
SELECT * FROM algo_ref.prefetch_sets(NULL, 'posts');
SELECT * FROM algo_ref.prefetch_sets_query('SELECT id FROM users WHERE id = :id', '{posts}');
SELECT * FROM algo_ref.prefetch_arrays('SELECT id FROM users', 'post');
SELECT * FROM algo_ref.prefetch_arrays(NULL, 'posts');
SELECT * FROM algo_ref.prefetch_arrays('SELECT id FROM users', NULL);
SELECT * FROM algo_ref.prefetch_arrays_query('SELECT id FROM users', '{posts}', '[]');

SET client_min_messages = warning;
DROP SCHEMA blog CASCADE;
DROP EXTENSION algo_ref;
