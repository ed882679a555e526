-- What registering, changing and exporting scripts refuses.
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS algo_ref CASCADE;
RESET client_min_messages;
CREATE EXTENSION algo_ref;
SELECT algo_ref.revision('a base', 'CREATE TABLE a (id int)', id => 'base1', revises => '{}', branch_labels => '{left,right}');
SELECT algo_ref.revision('its child', '', id => 'child2', revises => '{base1}');
SELECT algo_ref.revision('a dependent', '', id => 'other3', revises => '{}', depends_on => '{left}');

--
-- The script
--

-- the parser's errors, with the line and the place
SELECT algo_ref.revision('m', E'CREATE TABLE ok (id int);\n-- a comment\n  CREATE TABEL t (id int);', id => 'x', revises => '{}');
SELECT algo_ref.revision('m', '', E'DROP TABLE ok;\nDROP', id => 'x', revises => '{}');
SELECT algo_ref.revision('m', E'SELECT ''größe'', ''über'';\nSELECT ''größe'' FRM t;', id => 'x', revises => '{}');
SELECT algo_ref.revision('m', E'SELECT 1;\n/* not closed', id => 'x', revises => '{}');
SELECT algo_ref.revision('m', E'SELECT E''\\xZZ\\u12''', id => 'x', revises => '{}');
SELECT algo_ref.revision('m', 'SELEC 1', id => 'x', revises => '{}');
-- the file says it in its own line, too
SELECT algo_ref.revision(
  id => 'x',
  message => 'm',
  revises => '{}',
  upgrade => $upgrade$
CREATE TABLE t (
  id int,
);
$upgrade$);
-- strings are read in one way only
SELECT algo_ref.revision('m', $$SET standard_conforming_strings = on; SELECT 1; SET LOCAL Standard_Conforming_Strings TO 'of'; SELECT 'a\nb'$$, id => 'x', revises => '{}');
SELECT algo_ref.revision('m', 'SET standard_conforming_strings = 0', id => 'x', revises => '{}');
SELECT algo_ref.revision('m', 'SET SESSION standard_conforming_strings = no', id => 'x', revises => '{}');
SELECT algo_ref.revision('m', 'SET standard_conforming_strings = on; RESET standard_conforming_strings; SET standard_conforming_strings TO DEFAULT; SET standard_conforming_strings = 1', id => 'x', revises => '{}');
SELECT algo_ref.delete_revision('x');
-- a long script is shown around the error only, and so is the message
SELECT algo_ref.revision('m', repeat(E'SELECT 1;\n', 100000) || E'SELEC 2;\n' || repeat(E'SELECT 3;\n', 100000), id => 'x', revises => '{}');
SELECT algo_ref.revision('m', repeat(E'SELECT ''ä'' ', 1000) || ' SELEC', id => 'x', revises => '{}');
\set VERBOSITY terse
SELECT algo_ref.revision('m', E'SELECT 1;\nSELECT ''not closed ' || repeat('ä', 5000000), id => 'x', revises => '{}');
\set VERBOSITY default

-- the end of the transaction
SELECT algo_ref.revision('m', E'SELECT 1;\n\n-- now\nBEGIN;\nSELECT 2;\nCOMMIT;', id => 'x', revises => '{}');
SELECT algo_ref.revision('m', '', E'SELECT 1;\n/* a\n /* b */ */ COMMIT', id => 'x', revises => '{}');
\set VERBOSITY terse
SELECT algo_ref.revision('m', 'START TRANSACTION READ ONLY', id => 'x', revises => '{}');
SELECT algo_ref.revision('m', 'END', id => 'x', revises => '{}');
SELECT algo_ref.revision('m', 'COMMIT AND CHAIN', id => 'x', revises => '{}');
SELECT algo_ref.revision('m', 'ROLLBACK', id => 'x', revises => '{}');
SELECT algo_ref.revision('m', 'ABORT', id => 'x', revises => '{}');
SELECT algo_ref.revision('m', 'PREPARE TRANSACTION ''t''', id => 'x', revises => '{}');
SELECT algo_ref.revision('m', 'COMMIT PREPARED ''t''', id => 'x', revises => '{}');
SELECT algo_ref.revision('m', 'ROLLBACK PREPARED ''t''', id => 'x', revises => '{}');
\set VERBOSITY default

-- COPY from and to the client, with data and without
SELECT algo_ref.revision('m', E'CREATE TABLE t (a int, b text);\nCOPY t FROM STDIN;', id => 'x', revises => '{}');
SELECT algo_ref.revision('m', E'CREATE TABLE t (a int, b text);\n-- data\nCOPY public.t (a, b) FROM stdin;\n1\tit''s\n2\ttwo\n\\.\nSELECT 1;', id => 'x', revises => '{}');
SELECT algo_ref.revision('m', E'SELECT 1;\nCOPY t FROM STDIN WITH (FORMAT csv);\n\\.\n', id => 'x', revises => '{}');
SELECT algo_ref.revision('m', 'COPY t TO STDOUT', id => 'x', revises => '{}');
-- no such excuse for an error that comes before
SELECT algo_ref.revision('m', E'COPY t FROM ''/file'';\nSELEC 1;\nCOPY t FROM stdin;\n', id => 'x', revises => '{}');

-- commands of psql
SELECT algo_ref.revision('m', E'SELECT 1;\n\\copy t from file.csv\nSELECT 2;', id => 'x', revises => '{}');
SELECT algo_ref.revision('m', E'SELECT 1\n\\gset', id => 'x', revises => '{}');
SELECT algo_ref.revision('m', E'\\set x 1', id => 'x', revises => '{}');

--
-- Names
--
\set VERBOSITY default
SELECT algo_ref.revision('m', id => id, revises => '{}')
FROM (VALUES ('')) AS v (id);
SELECT algo_ref.revision('m', id => 'a-b', revises => '{}');
SELECT algo_ref.revision('m', id => 'a@b', revises => '{}');
SELECT algo_ref.revision('m', id => '+1', revises => '{}');
SELECT algo_ref.revision('m', id => 'a:b', revises => '{}');
SELECT algo_ref.revision('m', id => 'a,b', revises => '{}');
SELECT algo_ref.revision('m', id => 'head', revises => '{}');
SELECT algo_ref.revision('m', id => 'heads', revises => '{}');
SELECT algo_ref.revision('m', id => 'base', revises => '{}');
SELECT algo_ref.revision('m', id => 'current', revises => '{}');
SELECT algo_ref.revision('m', id => ' a', revises => '{}');
SELECT algo_ref.revision('m', id => 'a ', revises => '{}');
SELECT algo_ref.revision('m', id => E'a\nb', revises => '{}');
SELECT algo_ref.revision('m', id => E'a\x7f', revises => '{}');
SELECT algo_ref.revision('m', id => repeat('ö', 128), revises => '{}');
SELECT algo_ref.revision('m', id => 'x', revises => '{}', branch_labels => '{""}');
SELECT algo_ref.revision('m', id => 'x', revises => '{}', branch_labels => '{v-2}');
SELECT algo_ref.revision('m', id => 'x', revises => '{}', branch_labels => '{head}');
SELECT algo_ref.revision('m', id => 'x', revises => '{head}');
SELECT algo_ref.revision('m', id => 'x', revises => '{left@head}');
SELECT algo_ref.revision('m', id => 'x', revises => '{}', depends_on => '{base}');
SELECT algo_ref.revision('m', id => 'x', revises => '{""}');

-- taken names
SELECT algo_ref.revision('m', id => 'left', revises => '{}');
SELECT algo_ref.revision('m', id => 'x', revises => '{}', branch_labels => '{child2}');
SELECT algo_ref.revision('m', id => 'x', revises => '{}', branch_labels => '{new,right}');
SELECT algo_ref.revision('m', id => 'x', revises => '{}', branch_labels => '{x}');
SELECT algo_ref.revision('m', id => 'x', revises => '{}', branch_labels => '{a,b,a}');
SELECT algo_ref.merge('{child2,other3}', id => 'base1');
SELECT algo_ref.edit('child2', branch_labels => '{right}');
SELECT algo_ref.edit('child2', branch_labels => '{other3}');

-- references to itself
SELECT algo_ref.revision('m', id => 'x', revises => '{x}');
SELECT algo_ref.revision('m', id => 'x', revises => '{}', depends_on => '{x}');
SELECT algo_ref.revision('m', id => 'x', revises => '{}', branch_labels => '{lx}', depends_on => '{lx}');
SELECT algo_ref.edit('child2', revises => '{child2}');
-- and twice to the same
SELECT algo_ref.revision('m', id => 'x', revises => '{base1,base1}');

-- applied with other content
INSERT INTO algo_ref.version VALUES ('team_a', 'child2', 1, now()), ('team_b', 'base1', 1, now());
SELECT algo_ref.revision('a base', 'CREATE TABLE a (id text)', id => 'base1', revises => '{}', branch_labels => '{left,right}');
SELECT algo_ref.delete_revision('other3');
SELECT algo_ref.revision('a dependent', '', id => 'other3', revises => '{}', depends_on => '{left}');

--
-- By hand
--
SELECT algo_ref.revision('m', revises => '{base1}');
SELECT algo_ref.merge('{base1,child2}');
SELECT algo_ref.merge('{child2}');
SELECT algo_ref.merge('{}');
SELECT algo_ref.merge('{base}');
SELECT algo_ref.merge('{child2,child2}', id => 'x');
SELECT algo_ref.revision('m', revises => '{child2}', depends_on => '{base}');
\set VERBOSITY sqlstate
SELECT algo_ref.revision('several heads');
SELECT algo_ref.revision('m', revises => '{nothing}');
SELECT algo_ref.revision('m', revises => '{nothing@head}');
SELECT algo_ref.revision('m', revises => '{child2}', depends_on => '{nothing}');
SELECT algo_ref.merge('{child2,nothing}');
\set VERBOSITY default

--
-- Changes
--
SELECT algo_ref.edit('child2');
SELECT algo_ref.edit('child2', irreversible => false);
SELECT algo_ref.edit('child2', downgrade => '', irreversible => true);
SELECT algo_ref.edit('child2', upgrade => 'SELEC');
SELECT algo_ref.edit('base', message => 'm');
SELECT algo_ref.delete_revision('base1');
SELECT algo_ref.delete_revision('child2');
SELECT algo_ref.delete_revision('base');
\set VERBOSITY sqlstate
SELECT algo_ref.edit('nothing', message => 'm');
SELECT algo_ref.edit('', message => 'm');
SELECT algo_ref.edit('heads', message => 'm');
SELECT algo_ref.approve('nothing');
SELECT algo_ref.approve('');
SELECT algo_ref.approve('a:b:c');
SELECT algo_ref.delete_revision('nothing');
SELECT algo_ref.delete_revision('');
SELECT algo_ref.script('nothing');
SELECT algo_ref.script('');
SELECT algo_ref.script('nothing:');
\set VERBOSITY default

--
-- NULL, and arrays that are no lists
--
SELECT algo_ref.revision(NULL);
SELECT algo_ref.revision('m', NULL);
SELECT algo_ref.revision('m', splice => NULL);
SELECT algo_ref.revision('m', branch_labels => NULL);
SELECT algo_ref.revision('m', depends_on => NULL);
SELECT algo_ref.revision('m', revises => '{child2,NULL}');
SELECT algo_ref.revision('m', revises => '{{child2},{other3}}');
SELECT algo_ref.revision('m', branch_labels => '{NULL}');
SELECT algo_ref.revision('m', depends_on => '{{a},{b}}');
SELECT algo_ref.merge(NULL);
SELECT algo_ref.merge(branch_labels => NULL);
SELECT algo_ref.merge(splice => NULL);
SELECT algo_ref.edit(NULL, message => 'm');
SELECT algo_ref.edit('child2', revises => '{NULL}');
SELECT algo_ref.approve(NULL);
SELECT algo_ref.delete_revision(NULL);
SELECT algo_ref.script(NULL);

--
-- Nothing is written where nothing may be
--
BEGIN READ ONLY;
SAVEPOINT here;
SELECT algo_ref.revision('m', id => 'x', revises => '{}');
ROLLBACK TO here;
SELECT algo_ref.merge();
ROLLBACK TO here;
SELECT algo_ref.edit('child2', message => 'm');
ROLLBACK TO here;
SELECT algo_ref.approve('child2');
ROLLBACK TO here;
SELECT algo_ref.delete_revision('child2');
ROLLBACK;

-- none of it left anything
SELECT revision, revises, branch_labels, depends_on, message, upgrade, downgrade FROM algo_ref.script ORDER BY load_order;
DROP EXTENSION algo_ref;
