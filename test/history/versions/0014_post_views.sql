SELECT algo_ref.revision(
  message => 'views over posts, and views over those',
  id => '9ec650d1b714',
  revises => '{2bd84fa06713}',
  upgrade => $upgrade$
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
$upgrade$,
  downgrade => $downgrade$
DROP VIEW published_posts CASCADE;
$downgrade$);
