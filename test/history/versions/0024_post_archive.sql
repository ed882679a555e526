SELECT algo_ref.revision(
  message => 'deleting a post archives it',
  id => '84b05ae1cd24',
  revises => '{b37d09ef4216}',
  upgrade => $upgrade$
-- Not LIKE: that names the NOT NULL constraints after posts, and a dump and
-- restore of 18 then names those of posts anew.
CREATE TABLE archive AS TABLE posts WITH NO DATA;
ALTER TABLE archive ADD archived_at timestamptz NOT NULL DEFAULT now(), ADD PRIMARY KEY (id);
CREATE TABLE archive_log (post_id bigint, note text);

CREATE RULE posts_archive AS ON DELETE TO posts DO ALSO (
    INSERT INTO archive_log VALUES (OLD.id, 'gone; but kept');
    INSERT INTO archive (id, author_id, title, body, published_at, slug)
        VALUES (OLD.id, OLD.author_id, OLD.title, OLD.body, OLD.published_at, OLD.slug)
);

CREATE VIEW everything AS
    SELECT id, title, false AS archived FROM posts
    UNION ALL
    SELECT id, title, true FROM archive;
CREATE RULE everything_insert AS ON INSERT TO everything DO INSTEAD NOTHING;
$upgrade$,
  downgrade => $downgrade$
DROP VIEW everything;
DROP RULE posts_archive ON posts;
DROP TABLE archive_log, archive;
$downgrade$);
