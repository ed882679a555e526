\echo
\echo '4. Down to the revision that cannot be undone, and up again'
\echo
SET client_min_messages = warning;
SELECT revision AS irreversible, split_part(message, E'\n', 1) AS message FROM algo_ref.script WHERE downgrade IS NULL ORDER BY load_order LIMIT 1
\gset
\echo :irreversible: :message
SELECT count(*) AS "revisions undone" FROM algo_ref.downgrade(:'irreversible');
SELECT revision, message FROM algo_ref.current();
SELECT count(*) AS "revisions applied" FROM algo_ref.upgrade('heads');
\echo 'What has run, the last three steps:'
\echo
SELECT id, schema, revision, direction, outcome, statements, duration
FROM (SELECT * FROM algo_ref.log ORDER BY id DESC LIMIT 3) AS l ORDER BY id;
