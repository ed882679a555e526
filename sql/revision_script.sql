-- Registering, changing and exporting scripts.
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS algo_ref CASCADE;
RESET client_min_messages;
CREATE EXTENSION algo_ref;

-- What the tests look at.
CREATE VIEW stored AS
  SELECT revision, revises, branch_labels, depends_on, message, upgrade, downgrade
  FROM algo_ref.script ORDER BY load_order;

--
-- Script files: any order, any number of times
--

-- the child comes first
SELECT algo_ref.revision(
  id => 'b2',
  message => 'add posts',
  revises => '{a1}',
  upgrade => 'CREATE TABLE posts (id int)',
  downgrade => 'DROP TABLE posts');
SELECT algo_ref.revision(
  id => 'a1',
  message => 'add users',
  revises => '{}',
  upgrade => 'CREATE TABLE users (id int)',
  downgrade => 'DROP TABLE users');
SELECT * FROM stored;

-- again: nothing happens, not even a new version of the row
SELECT xmin AS before FROM algo_ref.script WHERE revision = 'a1' \gset
SELECT algo_ref.revision('add users', 'CREATE TABLE users (id int)', 'DROP TABLE users', 'a1', '{}');
SELECT xmin = :'before' AS untouched FROM algo_ref.script WHERE revision = 'a1';

-- parents left out are the ones that are known
SELECT algo_ref.revision('add posts', 'CREATE TABLE posts (id int)', 'DROP TABLE posts', 'b2');
SELECT revises FROM stored WHERE revision = 'b2';

-- other spelling, layout, comments or message: the text is brought up to date
SELECT created_at AS before FROM algo_ref.script WHERE revision = 'a1' \gset
SELECT algo_ref.revision('add the users', E'create  table users -- accounts\n  (id int);', 'DROP TABLE users', 'a1', '{}');
SELECT message, upgrade FROM stored WHERE revision = 'a1';
SELECT created_at = :'before' AS same_time FROM algo_ref.script WHERE revision = 'a1';

-- other content: it is replaced, in its place in the order
SELECT algo_ref.revision('add users', 'CREATE TABLE users (id bigint)', 'DROP TABLE users', 'a1', '{}');
SELECT algo_ref.revision('add users', 'CREATE TABLE users (id bigint)', NULL, 'a1', '{}');
SELECT algo_ref.revision('add users', 'CREATE TABLE users (id bigint)', '', 'a1', '{}');
SELECT algo_ref.revision('add users', 'CREATE TABLE users (id bigint)', '', 'a1', '{}', branch_labels => '{accounts}');
SELECT algo_ref.revision('add posts', 'CREATE TABLE posts (id int)', 'DROP TABLE posts', 'b2', '{a1}', depends_on => '{accounts}');
SELECT algo_ref.revision('add posts', 'CREATE TABLE posts (id int)', 'DROP TABLE posts', 'b2', '{a1}');
SELECT * FROM stored;

-- where it is applied it stays, except for what makes no difference
BEGIN;
INSERT INTO algo_ref.version VALUES ('team_a', 'b2', 1, now()), ('team_b', 'b2', 1, now()), ('team_c', 'a1', 1, now());
SAVEPOINT here;
SELECT algo_ref.revision('add users', 'CREATE TABLE users (id text)', '', 'a1', '{}', branch_labels => '{accounts}');
ROLLBACK TO here;
SELECT algo_ref.revision('add posts', 'CREATE TABLE posts (id int)', 'DROP TABLE posts', 'b2', '{}');
ROLLBACK TO here;
SELECT algo_ref.revision('add users!', 'CREATE TABLE users (id bigint);', '', 'a1', '{}', branch_labels => '{accounts}');
ROLLBACK;

-- ids of many kinds
SELECT left(algo_ref.revision('odd id', id => id, revises => '{}'), 20) AS id
FROM unnest(ARRAY['0001', 'it''s', 'a "quoted" one', 'größe', 'HEAD', 'two words', '{}', '$1', '\', repeat('i', 255)]) AS id;

-- several in one statement see each other
SELECT algo_ref.revision('chain', id => 'chain' || i, revises => ARRAY['chain' || i - 1])
FROM generate_series(1, 3) AS i;
SELECT left(algo_ref.delete_revision(revision), 20) AS id FROM stored WHERE revision NOT IN ('a1', 'b2', 'chain1', 'chain2');
SELECT algo_ref.delete_revision('chain2');
SELECT algo_ref.delete_revision('chain1');

-- an empty script, and one of comments alone, are scripts
SELECT algo_ref.revision('nothing', id => 'c3', revises => '{b2}', downgrade => E'-- nothing\n/* to /* be */ done */ ;');
SELECT * FROM stored;

--
-- By hand: no id, or no parents
--
SELECT length(algo_ref.revision('the next')) AS id_length;
SELECT revision AS next FROM stored WHERE message = 'the next' \gset
SELECT :'next' ~ '^[0-9a-f]{12}$' AS is_hexadecimal, revises, upgrade, downgrade FROM stored WHERE revision = :'next';
SELECT algo_ref.revision('named', id => 'd4');
SELECT revises = ARRAY[:'next'] AS follows FROM stored WHERE revision = 'd4';

-- a second child of a parent is said
SELECT algo_ref.revision('branch', id => 'e5branch', revises => '{b2}');
-- identifiers of every form, where no id is given
SET client_min_messages = warning;
SELECT length(algo_ref.revision('by prefix', revises => '{e5br}'));
SELECT length(algo_ref.revision('by label', revises => '{accounts}', splice => true));
SELECT length(algo_ref.revision('a new base', revises => '{base}', branch_labels => '{other}'));
SELECT length(algo_ref.revision('another', revises => '{}'));
SELECT length(algo_ref.revision('on a branch', revises => '{other@head}', depends_on => '{accounts, d4}'));
SELECT message, branch_labels, depends_on,
  ARRAY(SELECT s.message FROM stored s WHERE s.revision = ANY (t.revises)) AS parents
FROM stored t OFFSET 5;
RESET client_min_messages;

-- merge all heads, or some
SELECT algo_ref.merge('{d4,other@head}', id => 'merge1', branch_labels => '{joined}');
SELECT algo_ref.merge(id => 'merge2', message => 'all of them');
SELECT revision, cardinality(revises) AS parents, branch_labels, message ~ '^merge d4 and [0-9a-f]{12}$' AS default_message, upgrade, downgrade
FROM stored WHERE revision ~ '^merge';
SET client_min_messages = warning;
SELECT algo_ref.merge('{a1,b2}', id => 'merge3', splice => true);
RESET client_min_messages;
SELECT message FROM stored WHERE revision = 'merge3';
SELECT algo_ref.delete_revision('merge3');

--
-- Change what is stored
--
SELECT algo_ref.edit('d4', message => 'edited', upgrade => 'SELECT 1');
SELECT algo_ref.edit('d4', downgrade => 'SELECT 2');
SELECT message, upgrade, downgrade FROM stored WHERE revision = 'd4';
SELECT algo_ref.edit('d4', irreversible => true);
SELECT algo_ref.edit('d4', branch_labels => '{four}', depends_on => '{accounts}');
SELECT branch_labels, depends_on, message, upgrade, downgrade FROM stored WHERE revision = 'd4';
-- by label; and the label keeps its owner
SELECT algo_ref.edit('four', branch_labels => '{four,vier}');
SELECT algo_ref.edit('d4', branch_labels => '{}', depends_on => '{}');
-- NOTICE where it is applied
BEGIN;
INSERT INTO algo_ref.version VALUES ('team_a', 'd4', 1, now()), ('team_b', 'c3', 1, now());
SELECT algo_ref.edit('c3', message => 'applied in both');
SELECT algo_ref.edit('d4', message => 'applied in one');
ROLLBACK;
-- the caller becomes the author
CREATE ROLE regress_algo_ref_author;
GRANT USAGE ON SCHEMA algo_ref TO regress_algo_ref_author;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA algo_ref TO regress_algo_ref_author;
SET ROLE regress_algo_ref_author;
SELECT algo_ref.revision('mine', id => 'f6', revises => '{}');
SELECT algo_ref.edit('d4', message => 'mine, too');
SELECT algo_ref.approve('merge1');
-- saying the same again is not authorship
SELECT algo_ref.revision('merged', '', '', 'merge2');
RESET ROLE;
SELECT revision, author FROM algo_ref.script WHERE author = 'regress_algo_ref_author' ORDER BY 1;
SELECT algo_ref.approve('f6');
SELECT count(*) FROM algo_ref.approve(':');
SELECT count(*) FROM algo_ref.script WHERE author = 'regress_algo_ref_author';
REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA algo_ref FROM regress_algo_ref_author;
REVOKE USAGE ON SCHEMA algo_ref FROM regress_algo_ref_author;
DROP ROLE regress_algo_ref_author;

-- what is current can be named, too
BEGIN;
CREATE SCHEMA team_a;
SET LOCAL search_path = team_a, public;
SELECT count(*) FROM algo_ref.script('current');
INSERT INTO algo_ref.version VALUES ('team_a', 'c3', 1, now()), ('team_b', 'd4', 1, now());
SELECT algo_ref.script('current');
SELECT algo_ref.edit('current', message => 'nothing at all');
SELECT algo_ref.approve('current');
SELECT count(*) > 1 AS several, bool_or(script LIKE '%id => ''c3''%') AS with_it FROM algo_ref.script('base:current');
SELECT algo_ref.approve('current:c3');
SELECT algo_ref.script('current:current:');
ROLLBACK;

-- a broken graph is put right by full ids
SELECT algo_ref.revision('first half', id => 'cycle1', revises => '{cycle2}');
SELECT algo_ref.revision('second half', id => 'cycle2', revises => '{cycle1}');
SELECT algo_ref.edit('cycle1', revises => '{}');
SELECT algo_ref.approve('cycle1');
SELECT algo_ref.delete_revision('cycle2');
SELECT algo_ref.delete_revision('cycle1');

--
-- Export
--
SELECT algo_ref.script('b2');
SELECT algo_ref.edit('a1', message => E'add "users"\n\nIt''s more than one \\ line.');
SELECT algo_ref.edit('a1', downgrade => 'DROP TABLE users');
SELECT algo_ref.script('accounts');

-- everything, from an empty table, byte for byte, whatever the setting
SELECT algo_ref.revision('body ' || i, body, nullif(body, ''), id => 'body' || i, revises => '{}')
FROM unnest(ARRAY[
  '',
  E'SELECT 1;\n\n',
  E'SELECT 1;\r\n',
  '-- ends in $',
  '-- ends in $upgrade',
  '-- has $upgrade$ and $downgrade$ in it',
  '-- has $upgrade$ and ends in $upgrade1',
  '-- ends in $downgrade',
  'SELECT $$dollars$$, $upgrade$more$upgrade$, ''$upgrade1$''',
  E'SELECT ''back\\slash'', E''\\\\'' -- \\* \\copy',
  E'\n  SELECT ''größe'' -- π\t',
  '-- :variable :''quoted'' ::int @ ` ~'
]) WITH ORDINALITY AS t (body, i);
CREATE TABLE original AS SELECT * FROM algo_ref.script;
CREATE TABLE exported AS SELECT t.file, t.i FROM algo_ref.script(':') WITH ORDINALITY AS t (file, i);
SELECT count(*) = (SELECT count(*) FROM exported) AS all_of_them FROM original;
TRUNCATE algo_ref.script RESTART IDENTITY;
SET standard_conforming_strings = off;
SET escape_string_warning = off;
SET backslash_quote = off;
SET client_min_messages = warning;
\set ECHO none
\o /dev/null
SELECT file FROM exported ORDER BY i \gexec
\o
\set ECHO all
RESET client_min_messages;
RESET standard_conforming_strings;
RESET escape_string_warning;
RESET backslash_quote;
SELECT revision, revises, branch_labels, depends_on, transactional, checksum, message, upgrade, downgrade
FROM original
EXCEPT
SELECT revision, revises, branch_labels, depends_on, transactional, checksum, message, upgrade, downgrade
FROM algo_ref.script;
SELECT count(*) = (SELECT count(*) FROM original) AS all_of_them,
  array_agg(revision ORDER BY load_order) = (SELECT array_agg(revision ORDER BY load_order) FROM original) AS same_order
FROM algo_ref.script;
TRUNCATE algo_ref.script RESTART IDENTITY;

--
-- The checksum sees what the server sees
--
CREATE FUNCTION checksum(script text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  result text;
BEGIN
  PERFORM algo_ref.revision('checksum', script, id => 'checksum', revises => '{}');
  SELECT encode(s.checksum, 'hex') INTO result FROM algo_ref.script s WHERE revision = 'checksum';
  DELETE FROM algo_ref.script;
  RETURN result;
END
$$;
-- equal
SELECT script, checksum(script) = checksum('SELECT a, ''b'', 1.5 FROM "C"; SELECT 2') AS same
FROM unnest(ARRAY[
  'select A, ''b'', 1.5 from "C";select 2',
  E'  SELECT a , $$b$$,\n 1.5 -- comment\nFROM "C" ; ; SELECT /* x */ 2;;',
  'SELECT a, E''\x62'', 1.5 FROM "C"; SELECT 2',
  E'SELECT a,\t''''\n''b'',1.5 FROM "C";SELECT 2',
  'SELECT a, ''B'', 1.5 FROM "C"; SELECT 2',
  'SELECT "a", ''b'', 1.5 FROM "C"; SELECT 2',
  'SELECT a, ''b'', 1.5 FROM C; SELECT 2',
  'SELECT a, ''b'', 1.50 FROM "C"; SELECT 2'
]) AS script;
-- one whose pieces are put together in another way
SELECT checksum('SELECT ''a'', ''bc''') <> checksum('SELECT ''ab'', ''c''') AS differ;
SELECT checksum('SELECT ab') <> checksum('SELECT a b') AS differ;
-- the same on every version: all kinds of tokens
SELECT checksum($script$
DO $do$ BEGIN NULL; END $do$;
SELECT a, "b", U&"c", 1, 1.5, 1e10, 'd', E'\te', U&'f', B'01', X'1F', N'g', h::int, f(i => 1, j := 2),
  k <> 1, l != 2, m <= 3, n >= 4, o -> 'p', @@ q, $1, arr[1:2], t.*, merge, json_scalar, größe -- comment
FROM t;
$script$);
-- a long name is warned of once
SELECT checksum('SELECT ' || repeat('x', 70)) <> checksum('SELECT ' || repeat('x', 63)) AS differ;

--
-- What needs a commit in the middle
--
CREATE FUNCTION transactional(script text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
  result boolean;
BEGIN
  PERFORM algo_ref.revision('transactional', '', script, id => 'transactional', revises => '{}');
  SELECT s.transactional INTO result FROM algo_ref.script s WHERE revision = 'transactional';
  DELETE FROM algo_ref.script;
  RETURN result;
END
$$;
SELECT transactional(script), script
FROM unnest(ARRAY[
  'CREATE INDEX CONCURRENTLY ON t (a)',
  'CREATE INDEX ON t (a)',
  'DROP INDEX CONCURRENTLY i',
  'DROP INDEX i',
  'REINDEX INDEX CONCURRENTLY i',
  'REINDEX (CONCURRENTLY, VERBOSE) TABLE t',
  'REINDEX (CONCURRENTLY false) TABLE t',
  'REINDEX TABLE t',
  'REINDEX SCHEMA s',
  'REINDEX DATABASE d',
  'REINDEX SYSTEM d',
  'ALTER TABLE t DETACH PARTITION p CONCURRENTLY',
  'ALTER TABLE t DETACH PARTITION p',
  'ALTER TABLE t DETACH PARTITION p FINALIZE',
  'VACUUM',
  'VACUUM ANALYZE t',
  'ANALYZE t',
  'CLUSTER',
  'CLUSTER t',
  'CREATE DATABASE d',
  'DROP DATABASE d',
  'ALTER DATABASE d SET TABLESPACE s',
  'ALTER DATABASE d SET work_mem = 1',
  'ALTER DATABASE d CONNECTION LIMIT 3',
  'CREATE TABLESPACE s LOCATION ''/tmp''',
  'DROP TABLESPACE s',
  'ALTER SYSTEM SET work_mem = 1',
  'DISCARD ALL',
  'DISCARD PLANS',
  'CREATE SUBSCRIPTION s CONNECTION '''' PUBLICATION p',
  'CREATE SUBSCRIPTION s CONNECTION '''' PUBLICATION p WITH (create_slot = false)',
  'CREATE SUBSCRIPTION s CONNECTION '''' PUBLICATION p WITH (connect = false)',
  'ALTER SUBSCRIPTION s REFRESH PUBLICATION',
  'ALTER SUBSCRIPTION s SET PUBLICATION p',
  'ALTER SUBSCRIPTION s ADD PUBLICATION p WITH (refresh = off)',
  'ALTER SUBSCRIPTION s DISABLE',
  'DROP SUBSCRIPTION s',
  'ALTER SUBSCRIPTION s DISABLE; ALTER SUBSCRIPTION s SET (slot_name = NONE); DROP SUBSCRIPTION s',
  'ALTER SUBSCRIPTION r SET (slot_name = NONE); DROP SUBSCRIPTION s',
  'REFRESH MATERIALIZED VIEW CONCURRENTLY m',
  'SAVEPOINT s; ROLLBACK TO s; RELEASE s',
  'SELECT 1; SELECT ''VACUUM''; VACUUM; SELECT 2',
  'DO $$ BEGIN EXECUTE ''VACUUM''; END $$',
  'SELECT ''CREATE INDEX CONCURRENTLY ON t (a)'' /* VACUUM */'
]) WITH ORDINALITY AS t (script, i) ORDER BY i;
-- a label of an enumerated type, used before the commit
SELECT transactional('ALTER TYPE app.mood ADD VALUE ''ok''; ' || script), script
FROM unnest(ARRAY[
  'SELECT ''ok''::mood',
  'SELECT ''ok''::app.mood',
  'SELECT ''ok''::other.mood',
  'SELECT ''ok''::mood[]',
  'SELECT CAST(''ok'' AS mood)',
  'SELECT mood ''ok''',
  'CREATE TABLE t (m mood DEFAULT ''ok'')',
  'CREATE TABLE t (m app.mood NOT NULL DEFAULT ''ok'')',
  'ALTER TABLE t ADD CHECK (m <> ''ok''::"mood")',
  'CREATE VIEW v AS SELECT * FROM t WHERE m = ''ok''::mood',
  'SELECT ''OK''::mood',
  'SELECT ''ok''::Mood',
  'SELECT ''ok''::"Mood"',
  'SELECT ''ok''',
  'INSERT INTO mood_log VALUES (''ok'', ''mood'')',
  'ALTER TYPE app.mood ADD VALUE ''fine'' AFTER ''ok''',
  'COMMENT ON TYPE app.mood IS ''ok''',
  'CREATE FUNCTION f() RETURNS text LANGUAGE sql AS $$SELECT ''ok''::mood::text$$',
  'ALTER TYPE app.mood RENAME VALUE ''ok'' TO ''fine'''
]) WITH ORDINALITY AS t (script, i) ORDER BY i;
SELECT transactional('SELECT ''ok''::mood; ALTER TYPE mood ADD VALUE ''ok''');
SELECT transactional('ALTER TYPE mood ADD VALUE IF NOT EXISTS ''ok''; SELECT ''ok''::mood');
SELECT transactional('CREATE TYPE mood AS ENUM (); ALTER TYPE mood ADD VALUE ''ok''; SELECT ''ok''::mood');
-- one direction is enough, whichever
SELECT algo_ref.revision('up', 'VACUUM', '', id => 'up', revises => '{}');
SELECT algo_ref.revision('down', '', 'VACUUM', id => 'down', revises => '{}');
SELECT algo_ref.revision('neither', '', '', id => 'neither', revises => '{}');
SELECT revision, transactional FROM algo_ref.script ORDER BY load_order;

TRUNCATE algo_ref.script RESTART IDENTITY;

--
-- Hooks hear of scripts that are new, replaced or edited, and of no others
--
CREATE TABLE heard (what jsonb);
CREATE FUNCTION hear(what jsonb) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  IF what ->> 'message' ~ 'TODO' THEN
    RAISE EXCEPTION 'a message, please';
  END IF;
  INSERT INTO heard VALUES (what);
END
$$;
SELECT algo_ref.add_hook('after_revision', 'hear(jsonb)');
SELECT algo_ref.revision('it''s "new"', id => 'g1', revises => '{}');
SELECT algo_ref.revision('it''s "new"', id => 'g1', revises => '{}');
SELECT algo_ref.revision('new words', id => 'g1', revises => '{}');
SELECT algo_ref.revision('new words', 'SELECT 1', id => 'g1', revises => '{}');
SELECT algo_ref.edit('g1', message => 'by hand');
SELECT algo_ref.revision('TODO', id => 'g2', revises => '{}');
SELECT algo_ref.revision('other', id => 'g2', revises => '{}');
SELECT algo_ref.merge(id => 'g3');
SELECT what FROM heard;
SELECT algo_ref.drop_hook('after_revision', 'hear(jsonb)');

DROP TABLE heard, original, exported;
DROP FUNCTION hear(jsonb);
DROP FUNCTION checksum(text), transactional(text);
DROP VIEW stored;
DROP EXTENSION algo_ref;
