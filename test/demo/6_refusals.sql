\echo
\echo '6. What it refuses, and how it says so'
\echo
\set ON_ERROR_STOP off
\echo 'A revision that nobody knows:'
SELECT * FROM algo_ref.upgrade('deadbeef');
\echo
\echo 'A syntax error, when the script is registered and not when it runs:'
SELECT algo_ref.revision('a mistake', upgrade => E'CREATE TABLE a (id int);\nCREATE TABEL b (id int);');
\echo
\echo 'A way back that does not exist:'
SELECT * FROM algo_ref.downgrade('base');
\echo
\echo 'A script that fails half way, and leaves nothing behind:'
SET client_min_messages = warning;
SELECT algo_ref.revision('half way', revises => ARRAY(SELECT revision FROM algo_ref.current()),
  upgrade => E'CREATE TABLE half (id int);\nSELECT 1 / 0;') AS half \gset
SELECT * FROM algo_ref.upgrade('heads');
SELECT to_regclass('half') IS NULL AS "no table", bool_and(revision <> :'half') AS "not applied" FROM algo_ref.current();
SELECT algo_ref.delete_revision(:'half') AS deleted;
