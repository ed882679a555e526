\echo
\echo '12. The database, dumped and restored: scripts, state and log came along'
\echo
SET client_min_messages = warning;
SELECT revision, message, is_head FROM algo_ref.current();
SELECT count(*) AS scripts, (SELECT count(*) FROM algo_ref.log) AS "log rows",
       (SELECT count(*) FROM algo_ref.upgrade('heads')) AS "left to do"
FROM algo_ref.script;
\echo 'and the next revision follows:'
\echo
SELECT algo_ref.revision('after the restore', revises => ARRAY(SELECT revision FROM algo_ref.current()),
  upgrade => 'CREATE TABLE restored (id int)', downgrade => 'DROP TABLE restored') AS next \gset
SELECT ordinal, direction, message FROM algo_ref.upgrade('heads');
