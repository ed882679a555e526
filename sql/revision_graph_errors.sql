-- What asking the graph refuses: SQLSTATE, message, detail and hint.
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS algo_ref CASCADE;
RESET client_min_messages;
CREATE EXTENSION algo_ref;

CREATE FUNCTION pg_temp.refused(question text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
  detail text;
  hint text;
BEGIN
  RETURN NEXT '== ' || question;
  EXECUTE question;
  RETURN NEXT 'not refused';
EXCEPTION WHEN OTHERS THEN
  GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
  RETURN NEXT SQLSTATE || ': ' || SQLERRM;
  IF detail <> '' THEN
    RETURN NEXT '  DETAIL: ' || detail;
  END IF;
  IF hint <> '' THEN
    RETURN NEXT '  HINT: ' || hint;
  END IF;
END $$;

CREATE FUNCTION pg_temp.unresolved(VARIADIC identifiers text[]) RETURNS SETOF text LANGUAGE sql AS
$$SELECT pg_temp.refused(format('SELECT algo_ref.resolve(%L)', i)) FROM unnest(identifiers) i$$;

CREATE FUNCTION pg_temp.unplanned(direction text, from_heads text[], VARIADIC targets text[]) RETURNS SETOF text LANGUAGE sql AS
$$SELECT pg_temp.refused(format('SELECT algo_ref.plan(%L, %L, %L)', t, direction, from_heads)) FROM unnest(targets) t$$;

CREATE FUNCTION pg_temp.unranged(VARIADIC ranges text[]) RETURNS SETOF text LANGUAGE sql AS
$$SELECT pg_temp.refused(format('SELECT algo_ref.history(%L)', r)) FROM unnest(ranges) r$$;

\pset format unaligned
\pset tuples_only on

-- a1 -- b1 -+- c1 --+- m1     b1 is a branch point, m1 a merge point
--           +- d1 -/          "side" is d1; f1 is on no branch of these,
-- f1 -- f2                    "feed"
\o /dev/null
SELECT algo_ref.revision('m', id => 'a1aaaa', revises => '{}', branch_labels => '{core}');
SELECT algo_ref.revision('m', id => 'b1', revises => '{a1aaaa}');
SELECT algo_ref.revision('m', id => 'c1cccc', revises => '{b1}');
SELECT algo_ref.revision('m', id => 'd1dddd', revises => '{b1}', branch_labels => '{side}', splice => true);
SELECT algo_ref.revision('m', id => 'm1', revises => '{c1cccc,d1dddd}');
SELECT algo_ref.revision('m', id => 'f1ffff', revises => '{}', branch_labels => '{feed}');
SELECT algo_ref.revision('m', id => 'f2ffff', revises => '{f1ffff}', depends_on => '{b1}');
\o

-- what is no identifier
SELECT pg_temp.unresolved('', ' ', '@x', 'x@', '@', 'x@y@z', '+1abc', 'a1aaaa+', '-', 'a:b', 'b-1@head', 'base+-1');
-- what stands for nothing here
SELECT pg_temp.unresolved('nosuch', 'b', 'f', 'nosuch@head', 'f@head', 'side@f2', 'side@f2ffff', 'nosuch@base',
  'head', '+1', 'b1+1', 'base-1', '-7', 'nosuch@-1');

-- several heads, where one is wanted
SELECT pg_temp.unplanned('upgrade', '{}', 'head', 'heads+1', 'b1@head-1');
-- walked too far, or no way to choose
SELECT pg_temp.unplanned('upgrade', '{}', '+1', 'b1+1', 'm1+1', 'm1-1', 'a1aaaa-2', 'a1aaaa-1', 'base-1', 'side@f1ffff+1', 'core@+9');
SELECT pg_temp.unplanned('upgrade', '{c1cccc,f1ffff}', '+1', '-1', '+0');
SELECT pg_temp.unplanned('upgrade', '{c1cccc,d1dddd}', 'b1@+1');
-- overlap
SELECT pg_temp.unplanned('upgrade', '{}', 'm1,b1', 'f2ffff, b1', 'heads,a1aaaa');
-- lists
SELECT pg_temp.unplanned('upgrade', '{}', 'm1,', ',', 'm1,nosuch');
-- unknown version rows
SELECT pg_temp.unplanned('upgrade', '{nosuch}', 'heads');
SELECT pg_temp.unplanned('downgrade', '{side}', 'base');
SELECT pg_temp.unplanned('stamp', '{a1aaaa,gone}', 'b1');

SELECT pg_temp.unplanned('downgrade', '{}', 'b1', '-1', 'side@-1');
SELECT pg_temp.unplanned('downgrade', '{m1,f2ffff}', 'nosuch', 'nosuch@base', 'side@f1ffff', '+1', 'm1+1', 'base+0', 'base-1',
  'm1-1', 'm1-9', 'head', 'b1,f1ffff', 'b1:base');
SELECT pg_temp.unplanned('downgrade', '{c1cccc,d1dddd}', 'b1@-1', 'f1ffff', 'feed@-1');

SELECT pg_temp.unplanned('stamp', '{}', 'm1,b1', 'nosuch', '+1', 'nosuch@base', 'f1ffff@-2', '');

-- ranges
SELECT pg_temp.unranged('', 'b1', 'b1::', 'm1:b1', 'f1ffff:m1', 'nosuch:', ':nosuch', '+1:', 'm1@b1:', ':a1aaaa,m1');

-- arguments
SELECT pg_temp.refused(q) FROM unnest(ARRAY[
  'SELECT algo_ref.plan(NULL)', 'SELECT algo_ref.plan(''heads'', NULL)', 'SELECT algo_ref.plan(''heads'', ''sideways'')',
  'SELECT algo_ref.plan(''heads'', ''upgrade'', ''{NULL}'')', 'SELECT algo_ref.plan(''heads'', ''upgrade'', ''{{b1,c1},{d1,e1}}'')',
  'SELECT algo_ref.plan_checksum(NULL)', 'SELECT algo_ref.plan_checksum(''heads'', schema => ''nosuch'')',
  'SELECT algo_ref.resolve(NULL)', 'SELECT algo_ref.show(NULL)', 'SELECT algo_ref.show(''nosuch'')',
  'SELECT algo_ref.graph(NULL)', 'SELECT algo_ref.graph(''jpeg'')', 'SELECT algo_ref.current(''nosuch'')']) q;
SET search_path = nosuch;
SELECT pg_temp.refused(q) FROM unnest(ARRAY['SELECT algo_ref.plan(''heads'')', 'SELECT algo_ref.current()']) q;
-- without a schema to look at, the rest answers
SELECT count(*) FROM algo_ref.history();
SELECT count(*) FROM algo_ref.graph();
RESET search_path;

-- a version row of a revision that is gone
INSERT INTO algo_ref.version VALUES ('public', 'gone', 1, now());
SELECT pg_temp.refused(q) FROM unnest(ARRAY['SELECT algo_ref.current()', 'SELECT algo_ref.plan(''heads'')']) q;
SELECT count(*) FROM algo_ref.history() WHERE is_current;
DELETE FROM algo_ref.version;

-- who may not read
SET client_min_messages = warning;
DROP ROLE IF EXISTS regress_algo_ref_graph;
RESET client_min_messages;
CREATE ROLE regress_algo_ref_graph;
GRANT USAGE ON SCHEMA algo_ref TO regress_algo_ref_graph;
SET ROLE regress_algo_ref_graph;
SELECT pg_temp.refused(q) FROM unnest(ARRAY['SELECT algo_ref.plan(''heads'')', 'SELECT algo_ref.plan_checksum(''heads'')',
  'SELECT algo_ref.resolve(''heads'')', 'SELECT algo_ref.heads()', 'SELECT algo_ref.bases()', 'SELECT algo_ref.branches()',
  'SELECT algo_ref.history()', 'SELECT algo_ref.current()', 'SELECT algo_ref.show(''b1'')', 'SELECT algo_ref.graph()']) q;
RESET ROLE;
GRANT SELECT ON algo_ref.script TO regress_algo_ref_graph;
SET ROLE regress_algo_ref_graph;
SELECT count(*) FROM algo_ref.history();
SELECT pg_temp.refused(q) FROM unnest(ARRAY['SELECT algo_ref.plan(''heads'')', 'SELECT algo_ref.current()',
  'SELECT algo_ref.history(''current:'')', 'SELECT algo_ref.show(''current'')']) q;
RESET ROLE;
REVOKE ALL ON algo_ref.script FROM regress_algo_ref_graph;
REVOKE ALL ON SCHEMA algo_ref FROM regress_algo_ref_graph;
DROP ROLE regress_algo_ref_graph;

-- a broken graph refuses everything but to show a revision by its full id
CREATE FUNCTION pg_temp.broken(how text) RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
  RETURN NEXT '-- ' || how;
  EXECUTE how;
  RETURN QUERY SELECT pg_temp.refused('SELECT algo_ref.plan(''heads'')');
  RETURN QUERY SELECT SQLSTATE_of || ' ' || count(*) FROM (
    SELECT split_part(line, ':', 1) AS SQLSTATE_of FROM unnest(ARRAY['resolve(''b1'')', 'heads()', 'bases()', 'branches()', 'history()',
      'graph()', 'plan_checksum()']) f, pg_temp.refused('SELECT algo_ref.' || f) line
    WHERE line ~ '^[0-9A-Z]{5}:|^not refused') AS others GROUP BY SQLSTATE_of;
  RETURN QUERY SELECT 'shown: ' || revision FROM algo_ref.show('b1');
  RAISE EXCEPTION SQLSTATE 'UNDO0';
EXCEPTION WHEN SQLSTATE 'UNDO0' THEN
  NULL;
END $$;
SELECT pg_temp.broken('SELECT algo_ref.revision(''m'', id => ''g1'', revises => ''{nosuch}'')');
SELECT pg_temp.broken('SELECT algo_ref.revision(''m'', id => ''g1'', revises => ''{}'', depends_on => ''{nosuch}'')');
SELECT pg_temp.broken($$DO 'BEGIN
  PERFORM algo_ref.revision(''m'', id => ''g1'', revises => ''{h1}'');
  PERFORM algo_ref.revision(''m'', id => ''h1'', revises => ''{g1}'');
END'$$);
SELECT pg_temp.broken($$DO 'BEGIN
  PERFORM algo_ref.revision(''m'', id => ''g1'', revises => ''{b1,k1}'');
  PERFORM algo_ref.revision(''m'', id => ''h1'', revises => ''{g1}'');
  PERFORM algo_ref.revision(''m'', id => ''k1'', revises => ''{h1}'');
  PERFORM algo_ref.revision(''m'', id => ''l1'', revises => ''{k1}'');
END'$$);
SELECT pg_temp.broken('UPDATE algo_ref.script SET depends_on = ''{m1}'' WHERE revision = ''a1aaaa''');
SELECT pg_temp.broken('UPDATE algo_ref.script SET depends_on = ''{core}'' WHERE revision = ''a1aaaa''');
SELECT pg_temp.broken('UPDATE algo_ref.script SET revises = ''{m1}'' WHERE revision = ''m1''');
SELECT pg_temp.broken('UPDATE algo_ref.script SET branch_labels = ''{side}'' WHERE revision = ''m1''');
SELECT pg_temp.broken('UPDATE algo_ref.script SET branch_labels = ''{b1}'' WHERE revision = ''m1''');

-- these are refused at once
SELECT pg_temp.refused(q) FROM unnest(ARRAY[
  'SELECT algo_ref.revision(''m'', id => ''g1'', revises => ''{g1}'')',
  'SELECT algo_ref.revision(''m'', id => ''g1'', revises => ''{}'', depends_on => ''{g1}'')',
  'SELECT algo_ref.revision(''m'', id => ''g1'', revises => ''{}'', branch_labels => ''{mine}'', depends_on => ''{mine}'')',
  'SELECT algo_ref.revision(''m'', id => ''g1'', revises => ''{}'', branch_labels => ''{side}'')',
  'SELECT algo_ref.revision(''m'', id => ''side'', revises => ''{}'')']) q;
