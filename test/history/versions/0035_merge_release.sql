-- A merge that does something.
SELECT algo_ref.revision(
  message => 'merge the release: a report over both teams'' tables',
  id => 'b51e48d2c735',
  revises => '{0e53fb8a4c31,8c25f7a09e34}',
  upgrade => $upgrade$
SET client_min_messages TO error;
SET TIME ZONE 'UTC';
SET LOCAL work_mem = '8MB';
CREATE VIEW report AS
    SELECT s.author, s.posts, a.name AS account, count(i.id) AS invoices, sum(i.total) AS total
      FROM author_stats s
      JOIN accounts a ON a.user_id = s.author_id
      LEFT JOIN invoices i ON i.account_id = a.id
     GROUP BY GROUPING SETS ((s.author, s.posts, a.name), ());
RESET client_min_messages;
$upgrade$,
  downgrade => $downgrade$
DROP VIEW report;
$downgrade$);
