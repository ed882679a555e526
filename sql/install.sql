-- Installing: among hostile objects, with all promises in the catalog.

--
-- Traps: what ours could be taken for, or could be made to call
--

SET client_min_messages = warning;
CREATE SCHEMA trap;
CREATE FUNCTION trap.spring() RETURNS text LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'a trap was sprung'; END $$;
-- every function of the system's that we or our scripts might call, for every type that would fit better
DO $$
DECLARE
  f text;
BEGIN
  FOREACH f IN ARRAY ARRAY['pg_extension_config_dump(text, text)', 'current_schema()',
    'now()', 'clock_timestamp()', 'gen_random_uuid()', 'jsonb_in(text)', 'uuid_out(uuid)', 'array_to_string(text[], text)',
    'quote_literal(text)', 'quote_ident(text)', 'length(text)', 'upper(text)', 'lower(text)', 'count(anyelement)', 'to_regclass(text)',
    'texteq(text, text)', 'nameeq(name, name)', 'int8eq(bigint, bigint)', 'nextval(regclass)', 'format(text, text)', 'pg_backend_pid()', 'currval(regclass)', 'set_config(text, text, boolean)']
  LOOP
    EXECUTE format('CREATE FUNCTION trap.%s RETURNS text LANGUAGE sql AS ''SELECT trap.spring()''', f);
  END LOOP;
END $$;
-- every operator that compares or joins, for every type of ours
DO $$
DECLARE
  t text;
  o text;
BEGIN
  FOREACH t IN ARRAY '{text,name,bigint,integer,oid,uuid,jsonb,text[],"char",boolean,bytea,timestamptz,regclass}'::text[] LOOP
    EXECUTE format('CREATE FUNCTION trap.eq(%s, %s) RETURNS boolean LANGUAGE sql AS ''SELECT trap.spring() IS NULL''', t, t);
    FOREACH o IN ARRAY '{=,<>,<,>,<=,>=,@>,<@,&&,~,||}'::text[] LOOP
      EXECUTE format('CREATE OPERATOR trap.%s (FUNCTION = trap.eq, LEFTARG = %s, RIGHTARG = %s)', o, t, t);
    END LOOP;
  END LOOP;
END $$;
CREATE DOMAIN trap.text AS pg_catalog.int4 CHECK (false);
CREATE DOMAIN trap.name AS pg_catalog.int4 CHECK (false);
CREATE DOMAIN trap.jsonb AS pg_catalog.int4 CHECK (false);
CREATE DOMAIN trap.bytea AS pg_catalog.int4 CHECK (false);
CREATE DOMAIN trap.uuid AS pg_catalog.int4 CHECK (false);
CREATE DOMAIN trap.timestamptz AS pg_catalog.int4 CHECK (false);
CREATE COLLATION trap."C" FROM "POSIX";
-- our own names, also in the temporary schema
CREATE TABLE trap.script (revision pg_catalog.text PRIMARY KEY);
CREATE TABLE trap.version (schema pg_catalog.name, revision pg_catalog.text);
CREATE TABLE trap.log (id int);
CREATE TABLE trap.hook (event pg_catalog.text, function pg_catalog.text);
CREATE TABLE trap.head_summary (load_order bigint);
CREATE TABLE trap.job (schema pg_catalog.name);
CREATE TABLE trap.bulk_job (id pg_catalog.text PRIMARY KEY);
CREATE TABLE trap.progress (schema pg_catalog.name);
CREATE TEMP TABLE script (LIKE trap.script);
CREATE TEMP TABLE version (LIKE trap.version);
CREATE TEMP TABLE log (LIKE trap.log);
CREATE TEMP TABLE hook (LIKE trap.hook);
CREATE TEMP TABLE job (LIKE trap.job);
CREATE TEMP TABLE bulk_job (LIKE trap.bulk_job);
CREATE DOMAIN pg_temp.name AS pg_catalog.int4 CHECK (false);
-- a conversion that is always at hand
CREATE TYPE trap.bait AS (word pg_catalog.text);
CREATE FUNCTION trap.bait(pg_catalog.text) RETURNS trap.bait LANGUAGE sql AS 'SELECT ROW(trap.spring())::trap.bait';
CREATE CAST (pg_catalog.text AS trap.bait) WITH FUNCTION trap.bait(pg_catalog.text) AS IMPLICIT;
CREATE FUNCTION trap.pg_extension_config_dump(trap.bait, trap.bait) RETURNS pg_catalog.text LANGUAGE sql AS 'SELECT trap.spring()';
-- and what is new belongs to everybody
ALTER DEFAULT PRIVILEGES GRANT ALL ON SCHEMAS TO PUBLIC;
ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO PUBLIC;
ALTER DEFAULT PRIVILEGES GRANT ALL ON SEQUENCES TO PUBLIC;
RESET client_min_messages;

--
-- An object under one of our names makes the installation fail
--

\set VERBOSITY terse
CREATE SCHEMA algo_ref;
CREATE EXTENSION algo_ref;
CREATE FUNCTION algo_ref.upgrade(target pg_catalog.text DEFAULT 'head', schema pg_catalog.name DEFAULT NULL, expect pg_catalog.text DEFAULT NULL)
RETURNS pg_catalog.text LANGUAGE sql AS 'SELECT trap.spring()';
CREATE EXTENSION algo_ref;
\set VERBOSITY default
DROP FUNCTION algo_ref.upgrade;
DROP SCHEMA algo_ref;

--
-- Among the traps, everything works
--

SET search_path = trap, pg_temp, public, pg_catalog;
-- (they work)
SELECT now();
SELECT '{}'::pg_catalog.text[] <> '{}'::pg_catalog.text[];
CREATE EXTENSION algo_ref;
ALTER DEFAULT PRIVILEGES REVOKE ALL ON SCHEMAS FROM PUBLIC;
ALTER DEFAULT PRIVILEGES REVOKE ALL ON TABLES FROM PUBLIC;
ALTER DEFAULT PRIVILEGES REVOKE ALL ON SEQUENCES FROM PUBLIC;
CREATE SCHEMA app;
SELECT algo_ref.revision('one', 'CREATE TABLE one (id int)', 'DROP TABLE one', id => 'one', revises => '{}', branch_labels => '{first}');
SELECT algo_ref.revision('two', 'CREATE TABLE two (id int)', 'DROP TABLE two', id => 'two', depends_on => '{first}');
SELECT algo_ref.revision('three', 'CREATE TABLE three (id int)', 'DROP TABLE three', id => 'three', revises => '{one}', splice => true);
SELECT algo_ref.merge(message => 'both', id => 'both');
SELECT algo_ref.edit('both', message => 'all');
SELECT algo_ref.approve(':');
CREATE FUNCTION app.hook(pg_catalog.jsonb) RETURNS void LANGUAGE plpgsql AS $$ BEGIN RAISE NOTICE 'hook'; END $$;
SELECT algo_ref.add_hook('after_run', 'app.hook(pg_catalog.jsonb)');
SELECT revision FROM algo_ref.plan('heads');
SELECT pg_catalog.length(algo_ref.plan_checksum('heads', schema => 'app'));
SELECT revision FROM algo_ref.upgrade('heads', 'app');
SELECT revision FROM algo_ref.downgrade('three', 'app');
SELECT revision FROM algo_ref.stamp('heads', 'app');
SELECT algo_ref.drop_hook('after_run', 'app.hook(pg_catalog.jsonb)');
SELECT revision, is_head FROM algo_ref.current('app');
SELECT schema, heads, behind, at_head, last_direction FROM algo_ref.status;
SELECT revision FROM algo_ref.history('one:');
SELECT revision FROM algo_ref.heads();
SELECT revision FROM algo_ref.bases();
SELECT revision FROM algo_ref.branches();
SELECT algo_ref.resolve('heads');
SELECT revision FROM algo_ref.show('both');
SELECT algo_ref.graph();
SELECT pg_catalog.count(*) FROM algo_ref.script(':');
SELECT algo_ref.declare(algo_ref.schema_sql('app'));
SET search_path = app, trap, pg_catalog, public;
SELECT pg_catalog.count(*) FROM algo_ref.diff();
SELECT algo_ref."check"();
SELECT pg_catalog.count(*) FROM algo_ref.diff('CREATE TABLE app.declared (id int PRIMARY KEY, CHECK (id OPERATOR(pg_catalog.>) 0)); CREATE INDEX ON app.declared (id)', '{app}', '{}', true);
SELECT pg_catalog.count(*) FROM algo_ref.fingerprints('{app}') WHERE fingerprint OPERATOR(pg_catalog.=) algo_ref.fingerprint('app');
SET search_path = trap, pg_temp, public, pg_catalog;
SELECT pg_catalog.max(application_name) FROM algo_ref.connections() WHERE pid OPERATOR(pg_catalog.=) pg_catalog.pg_backend_pid();
SELECT pg_catalog.max(application_name) FROM algo_ref.connection WHERE pid OPERATOR(pg_catalog.=) pg_catalog.pg_backend_pid();
SELECT pg_catalog.max(kind) FROM algo_ref.connection_limits();
SELECT pg_catalog.max(application_name) FROM algo_ref.pool_status();
SELECT pg_catalog.left(algo_ref.pool_status('text'), 10);
SELECT pg_catalog.count(*) FROM algo_ref.pool_dispose('no such application');
SELECT pg_catalog.min(needed) FROM algo_ref.connection_budget();
SELECT pg_catalog.count(*) FROM algo_ref.index_advice('app');
SELECT pg_catalog.count(*) FROM algo_ref.relationships('app.one');
CREATE TABLE app.many (id pg_catalog.int4 PRIMARY KEY, item_id pg_catalog.int4);
CREATE TABLE app.things (id pg_catalog.int4 PRIMARY KEY, many_id pg_catalog.int4 REFERENCES app.many);
INSERT INTO app.many VALUES (1, 1);
INSERT INTO app.things VALUES (1, 1), (2, 1);
SELECT pg_catalog.json_build_array(p) FROM algo_ref.prefetch('SELECT id FROM app.many', 'things(id; order: id desc)') p;
DROP TABLE app.many, app.things;
SET algo_ref.watch = error;
SELECT pg_catalog.count(*) FROM (SELECT id FROM app.one) o;
RESET algo_ref.watch;
SELECT relationship FROM algo_ref.n1_report();
SELECT algo_ref.n1_reset();
CALL algo_ref.transaction('SELECT CAST(:a AS pg_catalog.text)', 'serializable', parameters => '{"a": "b"}');
CREATE TABLE app.item (id pg_catalog.int4 PRIMARY KEY, name pg_catalog.text DEFAULT 'x', at pg_catalog.timestamptz, tags pg_catalog._text);
SELECT algo_ref.bulk_insert('app.item', '[{"id": 1, "tags": ["a"]}, {"id": 2, "at": "2024-01-01"}]');
SELECT algo_ref.bulk_insert('app.item', '[{"id": 2, "name": "y"}]'::pg_catalog.jsonb, 'update');
SELECT algo_ref.bulk_insert('app.item', ARRAY[ROW(3, 'z', NULL, NULL)::app.item]);
SELECT algo_ref.bulk_insert_query('app.item', 'SELECT 4 AS id');
SELECT id, name FROM algo_ref.bulk_insert_returning(NULL::app.item, '[{"id": 5}]');
SELECT way FROM algo_ref.bulk_explain('app.item');
CALL algo_ref.bulk_load('app.item', 'SELECT i AS id FROM pg_catalog.generate_series(6, 9) i', 2, 'id');
CALL algo_ref.bulk_load('app.item', 'SELECT i AS id FROM pg_catalog.generate_series(10, 13) i', 2);
SELECT revision FROM algo_ref.downgrade('base', 'app');
SELECT algo_ref.edit('three', upgrade => 'CREATE TABLE three (id int); VACUUM three; CREATE INDEX CONCURRENTLY ON three (id); INSERT INTO nosuch VALUES (1)');
CREATE TABLE app.alembic_version (version_num varchar(32) NOT NULL PRIMARY KEY);
CALL algo_ref.deploy('heads', 'app');
SELECT state, revision, statement FROM algo_ref.progress;
SELECT schema, deploy FROM algo_ref.status;
SELECT algo_ref.edit('three', upgrade => 'CREATE TABLE three (id int); VACUUM three; CREATE INDEX CONCURRENTLY ON three (id); SELECT 1');
CALL algo_ref.deploy('heads', 'app');
CALL algo_ref.await('heads', '1 s', 'app');
TABLE app.alembic_version;
CALL algo_ref.revert('one', 'app');
SELECT algo_ref.adopt_alembic('app.alembic_version');
SELECT pg_catalog.count(*) FROM algo_ref.upgrade_sql('heads', schema => 'app');
SELECT pg_catalog.count(*) FROM algo_ref.downgrade_sql('base', schema => 'app');
SELECT algo_ref.import_alembic('-- Running upgrade both -> four');
CALL algo_ref.revert('base', 'app');
SELECT algo_ref.delete_revision('four');
SELECT algo_ref.delete_revision('both');
SET search_path = public;
SELECT count(*) FROM trap.script;
SELECT count(*) FROM trap.version;
-- nothing of the extension refers to anything but itself and the system: no
-- type, function, operator or collation
SET search_path = pg_catalog, pg_temp;
WITH RECURSIVE part AS (
  SELECT classid, objid FROM pg_depend
  WHERE deptype = 'e' AND refclassid = 'pg_extension'::regclass AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'algo_ref')
  UNION
  SELECT d.classid, d.objid FROM pg_depend d JOIN part p ON d.refclassid = p.classid AND d.refobjid = p.objid
  WHERE d.deptype IN ('i', 'a'))
SELECT i.type, i.identity
FROM pg_depend d JOIN part p ON d.classid = p.classid AND d.objid = p.objid,
  LATERAL pg_identify_object(d.refclassid, d.refobjid, d.refobjsubid) AS i
WHERE i.schema NOT IN ('algo_ref', 'pg_catalog', 'pg_toast')
ORDER BY i.identity COLLATE "C";
SET search_path = public;
SET client_min_messages = warning;
DROP SCHEMA trap, app CASCADE;
RESET client_min_messages;
DISCARD TEMP;
SELECT count(*) FROM pg_default_acl;

--
-- What the catalog promises
--

CREATE VIEW members AS
  SELECT classid, objid FROM pg_depend
  WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e'
    AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'algo_ref');

-- no member of the extension lies outside of its schema
SELECT pg_describe_object(classid, objid, 0) COLLATE "C" AS member FROM members
WHERE (pg_identify_object(classid, objid, 0)).schema IS DISTINCT FROM 'algo_ref' ORDER BY 1;
-- every function, table, view and the schema has a comment; and so has every column
SELECT pg_describe_object(classid, objid, 0) AS lacks_comment FROM members
WHERE obj_description(objid, classid::regclass::name) IS NULL AND classid <> 'pg_type'::regclass
  AND NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = objid AND classid = 'pg_class'::regclass AND relkind = 'S')
ORDER BY 1;
SELECT attrelid::regclass AS relation, attname AS lacks_comment
FROM pg_attribute JOIN members ON classid = 'pg_class'::regclass AND objid = attrelid JOIN pg_class c ON c.oid = attrelid AND relkind <> 'S'
WHERE attnum > 0 AND NOT attisdropped AND col_description(attrelid, attnum) IS NULL
ORDER BY relname COLLATE "C", attnum;

-- who may execute what: reading is open to whoever may use the schema, all that
-- changes something is not (await changes nothing, but no procedure is stable)
\pset format unaligned
SELECT proname || '(' || pg_get_function_identity_arguments(p.oid) || ')' AS function,
  CASE WHEN provolatile = 'v' AND proname <> 'await' THEN 'changes' ELSE 'reads' END AS kind,
  has_function_privilege('public', p.oid, 'EXECUTE') AS public
FROM pg_proc p JOIN members ON classid = 'pg_proc'::regclass AND objid = p.oid
ORDER BY proname COLLATE "C", pg_get_function_identity_arguments(p.oid) COLLATE "C";
\pset format aligned
SELECT count(*) AS wrong FROM pg_proc p JOIN members ON classid = 'pg_proc'::regclass AND objid = p.oid
WHERE (provolatile = 'v' AND proname <> 'await') = has_function_privilege('public', p.oid, 'EXECUTE')
  OR prosecdef OR proparallel = 's' OR proleakproof
  OR (prolang <> (SELECT oid FROM pg_language WHERE lanname = 'c') AND NOT proconfig @> ARRAY['search_path=pg_catalog, pg_temp']);
-- nothing at all on tables, sequences and the schema
SELECT objid::regclass AS relation FROM members JOIN pg_class c ON classid = 'pg_class'::regclass AND objid = c.oid,
  LATERAL (SELECT EXISTS (SELECT FROM aclexplode(relacl) WHERE grantee = 0) AS open) AS acl
WHERE open ORDER BY 1;
SELECT has_schema_privilege('public', 'algo_ref', 'USAGE') AS usage, has_schema_privilege('public', 'algo_ref', 'CREATE') AS "create";

-- what pg_dump carries
SELECT c::regclass AS dumped FROM pg_extension, unnest(extconfig) AS c WHERE extname = 'algo_ref' ORDER BY c::regclass::text COLLATE "C";

-- and it goes without a trace
DROP VIEW members;
DROP EXTENSION algo_ref;
SELECT count(*) FROM pg_namespace WHERE nspname = 'algo_ref';
SELECT count(*) FROM pg_proc WHERE probin LIKE '%algo_ref%';

--
-- Again, and where and by whom it cannot be installed
--

CREATE EXTENSION algo_ref SCHEMA public;
CREATE ROLE regress_algo_ref_plain;
DO $$ BEGIN EXECUTE format('GRANT CREATE ON DATABASE %I TO regress_algo_ref_plain', current_database()); END $$;
SET ROLE regress_algo_ref_plain;
\set VERBOSITY terse
CREATE EXTENSION algo_ref;
\set VERBOSITY default
RESET ROLE;
DO $$ BEGIN EXECUTE format('REVOKE CREATE ON DATABASE %I FROM regress_algo_ref_plain', current_database()); END $$;
DROP ROLE regress_algo_ref_plain;
CREATE EXTENSION algo_ref;
CREATE EXTENSION algo_ref;
ALTER EXTENSION algo_ref SET SCHEMA public;
SELECT count(*) FROM algo_ref.script;
