\echo
\echo '1. The extension, and the application''s script files: plain SQL, in any order'
\echo
CREATE EXTENSION algo_ref;
SET client_min_messages = warning;
\o /dev/null
BEGIN;
\i :scripts
COMMIT;
\o
SELECT count(*) AS scripts, count(*) FILTER (WHERE downgrade IS NULL) AS irreversible,
       count(*) FILTER (WHERE cardinality(revises) > 1) AS merges,
       sum(length(upgrade) + length(coalesce(downgrade, ''))) AS characters
FROM algo_ref.script;
