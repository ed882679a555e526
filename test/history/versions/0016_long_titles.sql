-- A column under two views, a materialised view and a generated column: all go
-- and come back, in both directions.
SELECT algo_ref.revision(
  message => 'titles of any length',
  id => 'b37d09ef4216',
  revises => '{6af127c8e015}',
  upgrade => $upgrade$
DROP MATERIALIZED VIEW tag_cloud;
DROP VIEW published_posts CASCADE;
ALTER TABLE posts DROP COLUMN search;
ALTER TABLE posts ALTER COLUMN title TYPE text;
ALTER TABLE posts ADD CONSTRAINT posts_title_check CHECK (title <> '') NOT VALID;
ALTER TABLE posts VALIDATE CONSTRAINT posts_title_check;
ALTER TABLE posts ADD COLUMN search tsvector GENERATED ALWAYS AS (
    setweight(to_tsvector('simple', title), 'A') || to_tsvector('simple', body)) STORED;
CREATE INDEX posts_search ON posts USING gin (search);

CREATE VIEW published_posts AS
    SELECT p.id, p.author_id, p.title, p.slug, p.words, p.published_at, u.given_name AS author
      FROM posts p JOIN users u ON u.id = p.author_id
     WHERE p.published_at IS NOT NULL;
CREATE VIEW author_stats (author_id, author, posts, words, latest) AS
    SELECT author_id, author, count(*), sum(words), max(published_at)
      FROM published_posts
     GROUP BY author_id, author;
CREATE VIEW busy_authors WITH (security_barrier) AS
    SELECT * FROM author_stats WHERE posts > 1;
CREATE MATERIALIZED VIEW tag_cloud AS
    SELECT t.id, t.name, count(p.id) AS posts
      FROM tags t
      LEFT JOIN post_tags pt ON pt.tag_id = t.id
      LEFT JOIN published_posts p ON p.id = pt.post_id
     GROUP BY t.id, t.name;
CREATE UNIQUE INDEX tag_cloud_id ON tag_cloud (id);
$upgrade$,
  downgrade => $downgrade$
DROP MATERIALIZED VIEW tag_cloud;
DROP VIEW published_posts CASCADE;
ALTER TABLE posts DROP COLUMN search, DROP CONSTRAINT posts_title_check;

-- The order of the columns is that of before.
ALTER TABLE posts ALTER COLUMN title TYPE varchar(80) USING left(title, 80);
ALTER TABLE posts
    ADD COLUMN search tsvector GENERATED ALWAYS AS (
        setweight(to_tsvector('simple', title), 'A') || to_tsvector('simple', body)) STORED,
    ADD COLUMN published timestamptz,
    ADD COLUMN link text;
UPDATE posts SET published = published_at, link = slug;
ALTER TABLE posts DROP COLUMN published_at;
ALTER TABLE posts DROP COLUMN slug;
ALTER TABLE posts RENAME published TO published_at;
ALTER TABLE posts RENAME COLUMN link TO slug;
ALTER TABLE posts ALTER slug SET NOT NULL, ADD CONSTRAINT posts_slug_key UNIQUE (slug);
CREATE INDEX posts_search ON posts USING gin (search);

CREATE VIEW published_posts AS
    SELECT p.*, u.given_name AS author
      FROM posts p JOIN users u ON u.id = p.author_id
     WHERE p.published_at IS NOT NULL;
CREATE VIEW author_stats (author_id, author, posts, words, latest) AS
    SELECT author_id, author, count(*), sum(words), max(published_at)
      FROM published_posts
     GROUP BY author_id, author;
CREATE VIEW busy_authors WITH (security_barrier) AS
    SELECT * FROM author_stats WHERE posts > 1;
CREATE MATERIALIZED VIEW tag_cloud AS
    SELECT t.id, t.name, count(p.id) AS posts
      FROM tags t
      LEFT JOIN post_tags pt ON pt.tag_id = t.id
      LEFT JOIN published_posts p ON p.id = pt.post_id
     GROUP BY t.id, t.name;
CREATE UNIQUE INDEX tag_cloud_id ON tag_cloud (id);
CREATE INDEX tag_cloud_posts ON tag_cloud (posts DESC, name COLLATE "C");
COMMENT ON MATERIALIZED VIEW tag_cloud IS E'refreshed at night;\n\tnot more often';
$downgrade$);
