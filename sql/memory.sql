-- Nothing is left behind by a call: a session may make any number of them.
--
-- After some rounds to fill caches, more rounds of the same calls must not make
-- the memory of the session grow.
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS algo_ref CASCADE;
CREATE EXTENSION algo_ref;

SELECT format($$SELECT algo_ref.revision('step %1$s', id => 'step%1$s', revises => %2$L, upgrade => 'SELECT 1', downgrade => 'SELECT 2')$$,
    to_char(n, 'FM000'), CASE WHEN n > 1 THEN '{step' || to_char(n - 1, 'FM000') || '}' ELSE '{}' END)
FROM generate_series(1, 40) AS n
\set ECHO none
\o /dev/null
\gexec

-- The rounds: every call that reads, that writes, and that fails.
CREATE FUNCTION pg_temp.refused(call text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE call;
  RAISE 'not refused: %', call;
EXCEPTION
  WHEN syntax_error OR undefined_object OR invalid_parameter_value OR division_by_zero
    OR object_not_in_prerequisite_state OR unique_violation OR invalid_text_representation THEN
    NULL;
END $$;

CREATE TABLE bulk_item (id int PRIMARY KEY, name text DEFAULT 'none', tags int[]);
CREATE TEMP TABLE call (ordinal int GENERATED ALWAYS AS IDENTITY, statement text);
INSERT INTO call (statement) VALUES
  ($$SELECT count(*) FROM algo_ref.plan('head', 'upgrade', '{}')$$),
  ($$SELECT count(*) FROM algo_ref.history()$$),
  ($$SELECT count(*) FROM algo_ref.heads(), algo_ref.bases()$$),
  ($$SELECT count(*) FROM algo_ref.branches()$$),
  ($$SELECT count(*) FROM algo_ref.graph()$$),
  ($$SELECT count(*) FROM algo_ref.current()$$),
  ($$SELECT count(*) FROM algo_ref.status$$),
  ($$SELECT count(*) FROM algo_ref.resolve('step003')$$),
  ($$SELECT count(*) FROM algo_ref.show('head')$$),
  ($$SELECT count(*) FROM algo_ref.script(':')$$),
  ($$SELECT algo_ref.plan_checksum('head')$$),
  ($$SELECT algo_ref.bulk_insert('bulk_item', '[{"id": 1}, {"id": 2, "name": "x", "tags": [1]}]')$$),
  ($$SELECT algo_ref.bulk_insert('bulk_item', '[{"id": 1}, {"id": 1}, {"id": "x"}]', on_error => 'skip')$$),
  ($$SELECT algo_ref.bulk_insert('bulk_item', '[{"id": 1, "name": "y"}]'::jsonb, 'update')$$),
  ($$SELECT algo_ref.bulk_insert_query('bulk_item', 'SELECT i AS id FROM generate_series(10, 20) i', 'nothing')$$),
  ($$SELECT count(*) FROM algo_ref.bulk_insert_returning(NULL::bulk_item, '[{"id": 30}]', 'update')$$),
  ($$SELECT count(*) FROM algo_ref.bulk_rejects(), algo_ref.bulk_explain('bulk_item')$$),
  ($$SELECT pg_temp.refused('SELECT algo_ref.bulk_insert(''bulk_item'', ''[{"id": 50}, {"id": 50}]'')')$$),
  ($$SELECT pg_temp.refused('SELECT algo_ref.bulk_insert(''bulk_item'', ''[{"id": 50},'')')$$),
  ($$TRUNCATE bulk_item$$),
  ($$SELECT algo_ref.revision('again', id => 'step040', revises => '{step039}', upgrade => 'SELECT 1', downgrade => 'SELECT 2')$$),
  ($$SELECT algo_ref.edit('step040', message => 'edited')$$),
  ($$SELECT algo_ref.delete_revision(algo_ref.revision('new', upgrade => 'SELECT 1'))$$),
  ($$SELECT count(*) FROM algo_ref.upgrade('head')$$),
  ($$SELECT count(*) FROM algo_ref.upgrade('head')$$),
  ($$SELECT count(*) FROM algo_ref.downgrade('base')$$),
  ($$SELECT count(*) FROM algo_ref.stamp('head')$$),
  ($$SELECT count(*) FROM algo_ref.stamp('base')$$),
  ($$SELECT pg_temp.refused($x$SELECT algo_ref.revision('bad', upgrade => 'SELEC')$x$)$$),
  ($$SELECT pg_temp.refused($x$SELECT algo_ref.resolve('nothing')$x$)$$),
  ($$SELECT pg_temp.refused($x$SELECT algo_ref.plan('head+1')$x$)$$);

-- Measured by the same statement each time, because it needs memory as well.
PREPARE held AS SELECT sum(used_bytes) AS held FROM pg_backend_memory_contexts;
SELECT 'EXECUTE held' FROM generate_series(1, 3)
\gexec

SELECT statement FROM generate_series(1, 20) AS round, call ORDER BY round, ordinal
\gexec
EXECUTE held
\gset before_
SELECT statement FROM generate_series(1, 40) AS round, call ORDER BY round, ordinal
\gexec
EXECUTE held
\gset after_
\o
\set ECHO all

-- Less than a pointer for each call is no leak, but the server's own caches.
SELECT 40 * count(*) AS calls,
       CASE WHEN :after_held - :before_held < 40 * 8 * count(*) THEN 'nothing'
            ELSE :after_held - :before_held || ' bytes' END AS left_behind
FROM call;

DROP TABLE bulk_item;
DROP EXTENSION algo_ref;
