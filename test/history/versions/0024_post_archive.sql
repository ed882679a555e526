SELECT algo_ref.revision(
  message => 'deleting a post archives it',
  id => '84b05ae1cd24',
  revises => '{b37d09ef4216}',
  upgrade => $upgrade$
CREATE TABLE archive (LIKE posts INCLUDING COMMENTS, archived_at timestamptz NOT NULL DEFAULT now());
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
