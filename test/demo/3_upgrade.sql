\echo
\echo '3. SELECT * FROM algo_ref.upgrade(''heads''): one statement, one transaction'
\echo
SET client_min_messages = warning;
SELECT count(*) AS revisions, sum(duration) AS "time in scripts" FROM algo_ref.upgrade('heads');
SELECT revision, message, is_head FROM algo_ref.current();
SELECT schema, heads, behind, at_head FROM algo_ref.status;
\echo 'Again: nothing to do, no rows.'
\echo
SELECT * FROM algo_ref.upgrade('heads');
