-- What declaring and comparing models refuses.
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS algo_ref CASCADE;
DROP SCHEMA IF EXISTS app CASCADE;
DROP ROLE IF EXISTS regress_algo_ref_owner, regress_algo_ref_other;
CREATE EXTENSION algo_ref;
CREATE ROLE regress_algo_ref_owner;
CREATE ROLE regress_algo_ref_other;
CREATE SCHEMA app;
SET search_path = app;
CREATE TABLE t (id int PRIMARY KEY, note text);
INSERT INTO t VALUES (1, 'one');

--
-- The text
--

SELECT * FROM algo_ref.diff();
SELECT algo_ref."check"();
SELECT algo_ref.autogenerate('m');
SELECT algo_ref.declare(NULL);
SELECT algo_ref.declare('CREATE TABLE x ()', NULL);
SELECT algo_ref.declare('');
SELECT algo_ref.declare(E'-- only a comment\n;;');
SELECT * FROM algo_ref.diff('  ');
SELECT algo_ref.declare(E'CREATE TABLE a (id int);\nCREATE TABEL b (id int);');
SELECT * FROM algo_ref.diff(E'CREATE TABLE a (id int);\n\nCREATE TABLE b (\n  id nosuch\n);');
SELECT * FROM algo_ref.diff(E'CREATE TABLE a (id int);\nALTER TABLE a ADD CHECK (id / 0);');
SELECT * FROM algo_ref.diff(E'CREATE VIEW größe AS SELECT ''größe'' AS x;\nCREATE VIEW v AS SELECT nosuch FROM größe;');
-- no DDL
SELECT * FROM algo_ref.diff(E'CREATE TABLE a (id int);\n  INSERT INTO a VALUES (1);');
SELECT * FROM algo_ref.diff('DO $$BEGIN END$$');
SELECT * FROM algo_ref.diff('SELECT 1');
SELECT * FROM algo_ref.diff('CREATE ROLE x');
SELECT * FROM algo_ref.diff('CREATE DATABASE x');
SELECT * FROM algo_ref.diff('BEGIN; CREATE TABLE x (); COMMIT');
SELECT * FROM algo_ref.diff('CREATE TABLE x AS SELECT 1');
SELECT * FROM algo_ref.diff('COPY t FROM STDIN');
-- what needs a commit
SELECT * FROM algo_ref.diff('CREATE TABLE a (id int); CREATE INDEX CONCURRENTLY ON a (id)');
SELECT * FROM algo_ref.diff('VACUUM');
-- schemas that are not anybody's to declare
SELECT * FROM algo_ref.diff('CREATE SCHEMA algo_ref');
SELECT * FROM algo_ref.diff('CREATE TABLE x ()', schemas => '{pg_catalog}');
SELECT * FROM algo_ref.diff('CREATE TABLE x ()', schemas => '{nosuch}');
SELECT * FROM algo_ref.diff('CREATE TABLE x ()', schemas => '{NULL}');
SET search_path = nosuch;
SELECT * FROM algo_ref.diff('CREATE TABLE x ()');
SET search_path = app;
-- statements that leave them
SELECT * FROM algo_ref.diff('CREATE TABLE public.elsewhere (id int)');
SELECT * FROM algo_ref.diff(E'CREATE TABLE t (id int);\nCOMMENT ON COLUMN public.u.id IS ''x'';');
SELECT * FROM algo_ref.diff('SET search_path = public; CREATE TABLE elsewhere (id int)');
\set VERBOSITY terse
SELECT * FROM algo_ref.diff('ALTER TABLE algo_ref.log ADD COLUMN x int');
SELECT * FROM algo_ref.diff('CREATE INDEX ON public.x (id)');
SELECT * FROM algo_ref.diff('CREATE FUNCTION public.f() RETURNS int LANGUAGE sql AS ''SELECT 1''');
SELECT * FROM algo_ref.diff('CREATE TYPE public.e AS ENUM ()');
SELECT * FROM algo_ref.diff('CREATE TYPE public.e AS (id int)');
SELECT * FROM algo_ref.diff('CREATE DOMAIN public.d AS int');
SELECT * FROM algo_ref.diff('CREATE VIEW public.v AS SELECT 1');
SELECT * FROM algo_ref.diff('CREATE TRIGGER x BEFORE INSERT ON public.x EXECUTE FUNCTION f()');
SELECT * FROM algo_ref.diff('CREATE POLICY x ON public.x');
SELECT * FROM algo_ref.diff('GRANT SELECT ON public.x TO PUBLIC');
SELECT * FROM algo_ref.diff('GRANT SELECT ON ALL TABLES IN SCHEMA public TO PUBLIC');
SELECT * FROM algo_ref.diff('GRANT USAGE ON SCHEMA public TO PUBLIC');
SELECT * FROM algo_ref.diff('COMMENT ON FUNCTION public.f(int) IS ''x''');
SELECT * FROM algo_ref.diff('COMMENT ON CONSTRAINT x ON DOMAIN public.d IS ''x''');
SELECT * FROM algo_ref.diff('COMMENT ON CONSTRAINT x ON public.t IS ''x''');
SELECT * FROM algo_ref.diff('DROP TABLE t, public.u');
SELECT * FROM algo_ref.diff('DROP FUNCTION public.f(int)');
SELECT * FROM algo_ref.diff('ALTER TYPE public.e OWNER TO CURRENT_USER');
SELECT * FROM algo_ref.diff('ALTER SCHEMA public RENAME TO private');
SELECT * FROM algo_ref.diff('ALTER TABLE public.t RENAME a TO b');
\set VERBOSITY default

--
-- Renames
--

SELECT * FROM algo_ref.diff('CREATE TABLE x ()', renames => '{t}');
SELECT * FROM algo_ref.diff('CREATE TABLE x ()', renames => '{t -> }');
SELECT * FROM algo_ref.diff('CREATE TABLE x ()', renames => '{a.b.c.d -> x}');
SELECT * FROM algo_ref.diff('CREATE TABLE x ()', renames => '{t -> x; DROP TABLE t}');
SELECT * FROM algo_ref.diff('CREATE TABLE x ()', renames => '{nosuch -> x}');
SELECT * FROM algo_ref.diff('CREATE TABLE x ()', renames => '{t.nosuch -> x}');
SELECT * FROM algo_ref.diff('CREATE TABLE x ()', renames => '{t.id -> note}');
SELECT * FROM algo_ref.diff('CREATE TABLE x ()', renames => '{NULL}');
SELECT * FROM algo_ref.diff(E'CREATE TABLE t (id int PRIMARY KEY, -- @renamed from=\n  note text)');
SELECT * FROM algo_ref.diff(E'CREATE TABLE t (id int PRIMARY KEY, note text);\n-- @renamed from=x');
SELECT * FROM algo_ref.diff(E'COMMENT ON TABLE t /* @renamed from=x */ IS ''x''');
-- a hint of the past means nothing any more
SELECT * FROM algo_ref.diff(E'CREATE TABLE t ( -- @renamed from=old\n  id int PRIMARY KEY,\n note text -- @renamed from=remark\n)');

--
-- What cannot be done, or not be proved
--

CREATE SEQUENCE s;
CREATE TABLE uses_s (n int DEFAULT nextval('s'));
SELECT * FROM algo_ref.diff('CREATE TABLE t (id int PRIMARY KEY, note text); CREATE TABLE uses_s (n int); CREATE VIEW s AS SELECT 1');
DROP TABLE uses_s;
DROP SEQUENCE s;
CREATE TEXT SEARCH CONFIGURATION tsc (COPY = simple);
SELECT * FROM algo_ref.diff('CREATE TABLE t (id int PRIMARY KEY, note text); CREATE INDEX ON t USING gin (to_tsvector(''simple'', note));');
DROP TEXT SEARCH CONFIGURATION tsc;

--
-- Rights
--

ALTER SCHEMA app OWNER TO regress_algo_ref_owner;
ALTER TABLE t OWNER TO regress_algo_ref_owner;
GRANT USAGE ON SCHEMA algo_ref TO regress_algo_ref_owner, regress_algo_ref_other;
GRANT USAGE ON SCHEMA app TO regress_algo_ref_other;
GRANT SELECT ON ALL TABLES IN SCHEMA algo_ref TO regress_algo_ref_owner, regress_algo_ref_other;
SET ROLE regress_algo_ref_owner;
SELECT * FROM algo_ref.diff('CREATE TABLE t (id int PRIMARY KEY, note text)');
RESET ROLE;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA algo_ref TO regress_algo_ref_owner, regress_algo_ref_other;
-- CREATE on the database, for the schema that stands in
SET ROLE regress_algo_ref_owner;
SELECT * FROM algo_ref.diff('CREATE TABLE t (id int PRIMARY KEY, note text)');
RESET ROLE;
SELECT current_database() AS db \gset
GRANT CREATE ON DATABASE :"db" TO regress_algo_ref_owner, regress_algo_ref_other;
SET ROLE regress_algo_ref_owner;
SELECT upgrade, downgrade FROM algo_ref.diff('CREATE TABLE t (id int PRIMARY KEY, note varchar(20))');
RESET ROLE;
-- others than the schema's owner compare in a schema of another name
SET ROLE regress_algo_ref_other;
SELECT * FROM algo_ref.diff('CREATE TABLE t (id int PRIMARY KEY, note text)');
SELECT upgrade, downgrade FROM algo_ref.diff('CREATE TABLE t (id int PRIMARY KEY, note varchar(20), t int REFERENCES t);
  CREATE TYPE e AS ENUM (''a''); CREATE TABLE u (e e); GRANT SELECT ON u TO PUBLIC;
  CREATE VIEW v AS SELECT t.id, u.e FROM t, u; CREATE INDEX ON t (note)');
SELECT upgrade FROM algo_ref.diff('CREATE TABLE t (id int PRIMARY KEY, remark text)', renames => '{t.note -> remark}');
SELECT count(*) AS none FROM pg_namespace WHERE nspname ~ '^algo_ref_';
-- where it would be taken for something else
\set VERBOSITY terse
SELECT * FROM algo_ref.diff('CREATE TABLE t (id int PRIMARY KEY, note text); CREATE TABLE app.u ()');
\set VERBOSITY default
SELECT * FROM algo_ref.diff('CREATE TABLE t (id int PRIMARY KEY, note text); COMMENT ON SCHEMA app IS ''x''');
SELECT * FROM algo_ref.diff('CREATE TABLE t (id int PRIMARY KEY, note text); CREATE TABLE u (t app.t)');
SELECT * FROM algo_ref.diff('CREATE TABLE u (t app.t)');
SELECT * FROM algo_ref.diff('CREATE TABLE u (t t)');
SELECT * FROM algo_ref.diff('CREATE TABLE t (id int PRIMARY KEY, note text); GRANT SELECT ON t TO regress_algo_ref_other');
SELECT * FROM algo_ref.diff('CREATE TABLE t (id int PRIMARY KEY, note text); GRANT SELECT ON t TO CURRENT_USER');
SELECT * FROM algo_ref.diff('CREATE TABLE t (id int PRIMARY KEY, note text); CREATE SCHEMA more');
RESET ROLE;
GRANT SELECT ON t TO regress_algo_ref_other;
SET ROLE regress_algo_ref_other;
SELECT * FROM algo_ref.diff('CREATE TABLE t (id int PRIMARY KEY, note text)');
RESET ROLE;
REVOKE SELECT ON t FROM regress_algo_ref_other;
-- code in the text runs with nobody's rights but the caller's
SET ROLE regress_algo_ref_owner;
SELECT * FROM algo_ref.diff($$CREATE FUNCTION evil() RETURNS int LANGUAGE c AS 'x', 'y'$$);
SELECT * FROM algo_ref.diff($$CREATE TABLE t (id int PRIMARY KEY, note text); ALTER TABLE algo_ref.log ADD COLUMN x int$$);
RESET ROLE;

--
-- A read-only transaction, an error in a subtransaction, and nothing left behind
--

SELECT algo_ref.fingerprint() AS before \gset
BEGIN READ ONLY;
SELECT * FROM algo_ref.diff('CREATE TABLE t (id int PRIMARY KEY, note text)');
ROLLBACK;
BEGIN;
SAVEPOINT s;
SELECT * FROM algo_ref.diff('CREATE TABLE x (id nosuch)');
ROLLBACK TO s;
SELECT count(*) FROM algo_ref.diff('CREATE TABLE t (id int PRIMARY KEY, note text)');
COMMIT;
SET statement_timeout = '300 ms';
\set VERBOSITY terse
SELECT * FROM algo_ref.diff('CREATE TABLE t (id int PRIMARY KEY, note text); CREATE MATERIALIZED VIEW v AS SELECT 1 AS a FROM pg_sleep(60)');
\set VERBOSITY default
RESET statement_timeout;
SELECT algo_ref.fingerprint() = :'before' AS same;
SELECT nspname FROM pg_namespace WHERE nspname LIKE '%aside%';
SELECT * FROM t;
SELECT count(*) FROM algo_ref.script;
SELECT count(*) FROM algo_ref.model;

DROP SCHEMA app CASCADE;
DROP EXTENSION algo_ref;
REVOKE CREATE ON DATABASE :"db" FROM regress_algo_ref_owner, regress_algo_ref_other;
DROP ROLE regress_algo_ref_owner, regress_algo_ref_other;
