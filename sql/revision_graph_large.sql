-- Large graphs and long texts.  Where a walk took quadratic time, these would
-- not come to an end; that the steps are in order is checked by a join.
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS algo_ref CASCADE;
RESET client_min_messages;
CREATE EXTENSION algo_ref;
\pset format unaligned
\pset tuples_only on

-- Registering is not what is tested: rows are put into the table.
CREATE FUNCTION pg_temp.register(id text, parents text[], dependencies text[] DEFAULT '{}', labels text[] DEFAULT '{}')
RETURNS void LANGUAGE sql AS
$$INSERT INTO algo_ref.script (revision, revises, branch_labels, depends_on, transactional, author,
    created_at, checksum, message, upgrade, downgrade)
  VALUES (id, parents, labels, dependencies, true, current_user, '2025-01-01', '', 'm', '', '')$$;

-- Everything up from the base, and down again: how many steps, how many links
-- between two of them the wrong way round, and what is left at the end.
CREATE FUNCTION pg_temp.check_plan(direction text, target text, from_heads text[]) RETURNS text
LANGUAGE sql AS $$
  WITH step AS MATERIALIZED (
    SELECT * FROM algo_ref.plan(target, direction, from_heads)
  ), owner AS MATERIALIZED (
    SELECT revision AS name, revision FROM algo_ref.script
    UNION ALL SELECT unnest(branch_labels), revision FROM algo_ref.script
  ), link AS MATERIALIZED (
    SELECT s.revision AS upper, owner.revision AS lower
    FROM algo_ref.script s CROSS JOIN unnest(s.revises || s.depends_on) AS named (name) JOIN owner USING (name)
  )
  SELECT format('%s: %s steps, %s out of order, %s at the end', check_plan.direction,
    (SELECT count(*) FROM step),
    (SELECT count(*) FROM link JOIN step u ON u.revision = upper JOIN step l ON l.revision = lower
     WHERE CASE u.direction WHEN 'upgrade' THEN u.ordinal < l.ordinal ELSE u.ordinal > l.ordinal END),
    CASE WHEN heads = '{}' THEN 'nothing'
      WHEN heads = ARRAY(SELECT algo_ref.resolve('heads') ORDER BY 1) THEN 'the heads'
      ELSE 'something else' END)
  FROM (SELECT ARRAY(SELECT unnest(heads_after) ORDER BY 1) AS heads FROM step ORDER BY ordinal DESC LIMIT 1) last
$$;

CREATE FUNCTION pg_temp.check_graph() RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
  RETURN QUERY SELECT format('%s revisions, %s in the history', (SELECT count(*) FROM algo_ref.script),
    (SELECT count(DISTINCT revision) FROM algo_ref.history()));
  RETURN NEXT pg_temp.check_plan('upgrade', 'heads', '{}');
  RETURN NEXT pg_temp.check_plan('downgrade', 'base', ARRAY(SELECT algo_ref.resolve('heads')));
  DELETE FROM algo_ref.script;
END $$;

\o /dev/null
-- a line, put in from the top
SELECT pg_temp.register('r' || n, CASE n WHEN 1 THEN '{}' ELSE ARRAY['r' || n - 1] END)
FROM generate_series(20000, 1, -1) n;
\o
SELECT pg_temp.check_graph();

\o /dev/null
-- a ladder of forks and merges
SELECT pg_temp.register('m0', '{}');
SELECT pg_temp.register('a' || n, ARRAY['m' || n - 1]), pg_temp.register('b' || n, ARRAY['m' || n - 1]),
  pg_temp.register('m' || n, ARRAY['a' || n, 'b' || n])
FROM generate_series(1, 5000) n;
\o
SELECT pg_temp.check_graph();

\o /dev/null
-- everything depends on one label
SELECT pg_temp.register('core', '{}', labels => '{label}');
SELECT pg_temp.register('r' || n, CASE n WHEN 1 THEN '{}' ELSE ARRAY['r' || n - 1] END, '{label}')
FROM generate_series(1, 20000) n;
\o
-- inherited dependencies do not count: only the base of the line depends on it
SELECT revision, heads_after FROM algo_ref.plan('r20000', 'upgrade', '{}') ORDER BY ordinal LIMIT 3;
SELECT pg_temp.check_graph();

\o /dev/null
-- two lines that depend on a third, revision by revision
SELECT pg_temp.register('a' || n, CASE n WHEN 1 THEN '{}' ELSE ARRAY['a' || n - 1] END) FROM generate_series(1, 10000) n;
SELECT pg_temp.register(line || n, CASE n WHEN 1 THEN '{}' ELSE ARRAY[line || n - 1] END, ARRAY['a' || n])
FROM unnest('{b,c}'::text[]) line, generate_series(1, 10000) n;
\o
SELECT pg_temp.check_graph();

\o /dev/null
-- a dependency that is wanted twice in a line, far apart
SELECT pg_temp.register('a' || n, CASE n WHEN 1 THEN '{}' ELSE ARRAY['a' || n - 1] END) FROM generate_series(1, 10000) n;
SELECT pg_temp.register('b' || n, CASE n WHEN 1 THEN '{}' ELSE ARRAY['b' || n - 1] END,
  ARRAY['a' || CASE WHEN n > 10000 THEN n - 10000 ELSE n END])
FROM generate_series(1, 20000) n;
\o
SELECT pg_temp.check_graph();

\o /dev/null
-- a merge of many
SELECT pg_temp.register('base0', '{}');
SELECT pg_temp.register('w' || n, '{base0}') FROM generate_series(1, 1000) n;
SELECT pg_temp.register('top', array_agg('w' || n ORDER BY n)) FROM generate_series(1, 1000) n;
\o
SELECT pg_temp.check_graph();

\o /dev/null
-- many branches of some length
SELECT pg_temp.register('base0', '{}');
SELECT pg_temp.register('b' || b || '_' || n, CASE n WHEN 1 THEN '{base0}' ELSE ARRAY['b' || b || '_' || n - 1] END)
FROM generate_series(1, 50) n, generate_series(1, 100) b;
\o
SELECT pg_temp.check_graph();

-- a long cycle below a long line, and a dependency that closes one
\o /dev/null
SELECT pg_temp.register('r' || n, ARRAY['r' || CASE n WHEN 1 THEN 10000 ELSE n - 1 END]) FROM generate_series(1, 20000) n;
\o
SELECT count(*) FROM algo_ref.heads();
DELETE FROM algo_ref.script;
\o /dev/null
SELECT pg_temp.register('r' || n, CASE n WHEN 1 THEN '{}' ELSE ARRAY['r' || n - 1] END, CASE n WHEN 3 THEN '{r5}'::text[] ELSE '{}' END)
FROM generate_series(20000, 1, -1) n;
\o
SELECT count(*) FROM algo_ref.heads();
DELETE FROM algo_ref.script;

-- names of few characters are found in full only, however many bytes they have
SELECT current_setting('server_encoding') = 'UTF8' AS is_utf8 \gset
\if :is_utf8
SELECT pg_temp.register(U&'\00e9\00e9\00e9', '{}'), pg_temp.register(U&'\00fc\00fc\00fc\00fc', '{}');
SELECT length(algo_ref.resolve(U&'\00fc'));
\set VERBOSITY sqlstate
SELECT algo_ref.resolve(U&'\00e9\00e9');
\set VERBOSITY default
DELETE FROM algo_ref.script;
\else
SELECT NULL, NULL;
SELECT 4;
\echo ERROR:  42704
\endif

-- texts of any length are answered in one clear message
SELECT pg_temp.register('abcd', '{}');
SELECT algo_ref.resolve(repeat('x', 10000000));
SELECT algo_ref.plan(repeat('x,', 5000000), 'upgrade', '{}');
SELECT algo_ref.plan('base', 'downgrade', ARRAY[repeat('x', 10000000)]);
SELECT algo_ref.plan('base', repeat('x', 10000000), '{}');
SELECT algo_ref.plan(repeat('x,', 5000000), 'downgrade', '{}');
SELECT algo_ref.plan('+' || repeat('9', 900), 'upgrade', '{}');
SELECT algo_ref.history(repeat('x', 10000000));
SELECT algo_ref.history(repeat('x', 10000000) || ':');
SELECT algo_ref.graph(repeat('x', 10000000));
SELECT algo_ref.show(repeat('x', 10000000));

\pset tuples_only off
\pset format aligned
SET client_min_messages = warning;
DROP EXTENSION algo_ref CASCADE;
