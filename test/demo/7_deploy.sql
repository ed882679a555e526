\echo
\echo '7. While the database is in use: a deploy that commits, and builds an index concurrently'
\echo
SET client_min_messages = notice;
SELECT algo_ref.revision('an index, while others write', revises => ARRAY(SELECT revision FROM algo_ref.current()),
  upgrade => E'CREATE TABLE visit (id int, page text);\nINSERT INTO visit SELECT g, md5(g::text) FROM generate_series(1, 1000) g;\nCREATE UNIQUE INDEX CONCURRENTLY visit_page ON visit (page, id);',
  downgrade => E'DROP INDEX CONCURRENTLY visit_page;\nDROP TABLE visit;') AS visit \gset
\echo 'The function door leaves it alone, for it is one transaction:'
\set ON_ERROR_STOP off
SELECT * FROM algo_ref.upgrade('heads');
\echo
\echo 'The deploy door runs it, the index in a worker:'
CALL algo_ref.deploy('heads', lock_wait => '50 ms', lock_budget => '1 min');
SELECT indexrelid::regclass AS index, indisvalid AS valid FROM pg_index WHERE indexrelid = 'visit_page'::regclass;
\echo 'One that fails keeps what it has done, and the next goes on from there:'
\set VERBOSITY terse
SELECT algo_ref.revision('a mistake in the middle', revises => ARRAY[:'visit'],
  upgrade => E'CREATE TABLE half (id int);\nVACUUM half;\nINSERT INTO nosuch VALUES (1);', downgrade => 'DROP TABLE half') AS half \gset
CALL algo_ref.deploy('heads');
\set VERBOSITY default
\set ON_ERROR_STOP on
SELECT state, statement AS "statements done", statement_count AS "of" FROM algo_ref.progress;
SELECT algo_ref.edit(:'half', upgrade => E'CREATE TABLE half (id int);\nVACUUM half;\nINSERT INTO half VALUES (1);') = :'half' AS repaired;
CALL algo_ref.deploy('heads');
\echo 'And back, the index too:'
CALL algo_ref.revert('-2');
\echo
\echo 'The same step as a script for psql, for a server without the extension:'
\echo
SELECT revises AS from FROM algo_ref.script WHERE revision = :'visit' \gset
\pset format unaligned
\pset tuples_only on
SELECT algo_ref.upgrade_sql(:'visit', from_heads => :'from');
\pset tuples_only off
\pset format aligned
SELECT algo_ref.delete_revision(:'half') = :'half' AND algo_ref.delete_revision(:'visit') = :'visit' AS "tidied up";
