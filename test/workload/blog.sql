-- The schema of the workloads.
CREATE TABLE users (id int PRIMARY KEY, email text NOT NULL UNIQUE);
CREATE TABLE posts (id int PRIMARY KEY, user_id int NOT NULL REFERENCES users, title text);
CREATE TABLE comments (id int PRIMARY KEY, post_id int NOT NULL REFERENCES posts, body text);
CREATE TABLE tags (id int PRIMARY KEY, name text NOT NULL);
CREATE TABLE post_tags (post_id int REFERENCES posts, tag_id int REFERENCES tags, PRIMARY KEY (post_id, tag_id));
CREATE INDEX ON posts (user_id);
CREATE INDEX ON comments (post_id);
INSERT INTO users SELECT i, 'user' || i || '@example.com' FROM generate_series(1, 200) i;
INSERT INTO posts SELECT i, 1 + i % 200, 'post ' || i FROM generate_series(1, 1000) i;
INSERT INTO comments SELECT i, 1 + i % 1000, 'comment ' || i FROM generate_series(1, 2000) i;
INSERT INTO tags SELECT i, 'tag ' || i FROM generate_series(1, 20) i;
INSERT INTO post_tags SELECT id, 1 + (id + i) % 20 FROM posts, generate_series(1, 2) i;
VACUUM ANALYZE;
CREATE FUNCTION digest() RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  u record;
  total bigint := 0;
BEGIN
  FOR u IN SELECT id, email FROM users LOOP
    total := total + (SELECT count(*) FROM posts WHERE user_id = u.id);
  END LOOP;
  RETURN total;
END $$;
