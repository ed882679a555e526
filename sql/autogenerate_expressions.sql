-- Expressions that the server does not read as it wrote them: what a revision
-- makes is stored as the declared text is, and what was dumped and restored is
-- not taken for something else.
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS algo_ref CASCADE;
DROP SCHEMA IF EXISTS app, copy, restored CASCADE;
CREATE EXTENSION algo_ref;

CREATE TEMPORARY TABLE expression (number serial, text text);
INSERT INTO expression (text) VALUES
  ($$v IN ('a', 'b')$$),
  ($$v NOT IN ('a', 'it''s', E'back\\slash', 'x,y', '(', ')', ']')$$),
  ($$v = ANY (ARRAY['a', 'b']::varchar[])$$),
  ($$v = ANY ('{a,b}')$$),
  ($$v IN ('a', t)$$),
  ($$t IN ('a', 'b')$$),
  ($$n IN ('a', 'b')$$),
  ($$c IN ('a', 'b')$$),
  ($$d IN ('a', 'b')$$),
  ($$"odd ] name" IN ('a', 'b')$$),
  ($$b IN (1, 2)$$),
  ($$s IN (1, 2, 100000)$$),
  ($$v || 'x' IN ('a', upper('b'), lower(v))$$),
  ($$(v IN ('a', 'b')) = (t IN ('a', 'b'))$$),
  ($$i BETWEEN 1 AND 10$$),
  ($$i BETWEEN 1 AND 10 AND b > 0$$),
  ($$b > 0 AND i BETWEEN 1 AND 10$$),
  ($$b > 0 AND i BETWEEN 1 AND 10 AND s > 0$$),
  ($$i NOT BETWEEN 1 AND 10 OR b > 0$$),
  ($$i NOT BETWEEN 1 AND 10 AND b > 0$$),
  ($$i + b BETWEEN -1 AND b * 2 AND s > 0$$),
  ($$i BETWEEN SYMMETRIC 1 AND 10 AND b > 0$$),
  ($$(i BETWEEN 1 AND 10 AND b > 0) OR s > 0$$),
  ($$(i BETWEEN 1 AND 10 AND b BETWEEN 2 AND 3 AND s > 0) IS TRUE AND i > 0$$),
  ($$v BETWEEN ' AND ' AND ')' AND t > ' OR '$$),
  ($$(i >= 1 AND b <= 10) AND s > 0$$),
  ($$((i > 0 AND b > 0) AND s > 0) AND i < 5$$),
  ($$i > 0 AND (b > 0 AND (s > 0 OR i > 5))$$),
  ($$(i > 0 OR b > 0) OR s > 0$$),
  ($$NOT (i BETWEEN 1 AND 10 AND v IN ('a', 'b'))$$),
  ($$CASE WHEN i BETWEEN 1 AND 10 AND b > 0 THEN v IN ('a', 'b') ELSE t = 'x' END$$),
  ($$coalesce(i BETWEEN 1 AND 10 AND b > 0, v IN ('a', 'b'), false)$$),
  ($$i::text ~ '^(a|b) AND \(' AND v IN ('(', 'b')$$);

CREATE FUNCTION pg_temp.ddl(number int, text text)
RETURNS text
LANGUAGE sql
AS $$
  SELECT format($f$
    CREATE TABLE t%1$s (i int, b bigint, s smallint, v varchar(20), t text, n name, c char(3), d word, "odd ] name" varchar,
      g bool DEFAULT NULL, CONSTRAINT c%1$s CHECK (%2$s));
    CREATE VIEW v%1$s AS SELECT *, %2$s AS e FROM t%1$s WHERE %2$s;
    CREATE INDEX i%1$s ON t%1$s (i) WHERE %2$s;
    CREATE POLICY p%1$s ON t%1$s USING (%2$s) WITH CHECK (%2$s);
    CREATE FUNCTION f%1$s() RETURNS bigint BEGIN ATOMIC SELECT count(*) FROM t%1$s WHERE %2$s; END;
  $f$, number, text)
$$;

-- all that is stored of it, but for the name of the schema
CREATE FUNCTION pg_temp.stored(schema text, number int)
RETURNS text[]
LANGUAGE sql
AS $$
  SELECT array_agg(replace(s, schema || '.', '') ORDER BY s) FROM (
    SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE connamespace = $1::regnamespace AND conname = 'c' || number
    UNION ALL SELECT pg_get_viewdef(oid) FROM pg_class WHERE relnamespace = $1::regnamespace AND relname = 'v' || number
    UNION ALL SELECT pg_get_expr(x.indpred, x.indrelid) FROM pg_index x JOIN pg_class c ON c.oid = x.indexrelid
      WHERE c.relnamespace = $1::regnamespace AND c.relname = 'i' || number
    UNION ALL SELECT concat_ws(' check ', pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid)) FROM pg_policy p
      JOIN pg_class c ON c.oid = p.polrelid WHERE c.relnamespace = $1::regnamespace AND polname = 'p' || number
    UNION ALL SELECT pg_get_function_sqlbody(oid) FROM pg_proc WHERE pronamespace = $1::regnamespace AND proname = 'f' || number) AS t (s)
$$;

CREATE SCHEMA app;
CREATE SCHEMA copy;
SELECT 'CREATE DOMAIN word AS varchar(10) CHECK (VALUE IN (''a'', ''b''));' || string_agg(pg_temp.ddl(number, text), '' ORDER BY number) AS ddl
FROM expression \gset
SET search_path = copy;
:ddl
SET search_path = app;
SELECT algo_ref.autogenerate('expressions', :'ddl') IS NOT NULL AS made;
SELECT count(*) FROM algo_ref.upgrade('head');
SELECT count(*), count(*) FILTER (WHERE pg_temp.stored('app', number) = pg_temp.stored('copy', number)) AS the_same FROM expression;
SELECT number, text, pg_temp.stored('app', number), pg_temp.stored('copy', number) FROM expression
WHERE pg_temp.stored('app', number) <> pg_temp.stored('copy', number);
SELECT algo_ref.fingerprint('app') = algo_ref.fingerprint('copy') AS the_same;
SELECT * FROM algo_ref.diff(:'ddl');

-- as pg_dump writes it
\set ECHO none
CREATE SCHEMA restored;
SET search_path = restored;
CREATE DOMAIN word AS varchar(10);
SELECT format('ALTER DOMAIN word ADD CONSTRAINT word_check %s', pg_get_constraintdef(oid))
FROM pg_constraint WHERE connamespace = 'copy'::regnamespace AND conname = 'word_check' \gexec
SELECT format('CREATE TABLE t%1$s (i int, b bigint, s smallint, v varchar(20), t text, n name, c char(3), d word, "odd ] name" varchar, '
              'g bool DEFAULT NULL, CONSTRAINT c%1$s %2$s)', number, pg_get_constraintdef(k.oid))
FROM expression JOIN pg_constraint k ON connamespace = 'copy'::regnamespace AND conname = 'c' || number ORDER BY number \gexec
SET search_path = copy;
SELECT format('SET search_path = restored; CREATE VIEW v%s AS %s', number, pg_get_viewdef(c.oid))
FROM expression JOIN pg_class c ON relnamespace = 'copy'::regnamespace AND relname = 'v' || number ORDER BY number \gexec
SET search_path = copy;
SELECT format('SET search_path = restored; CREATE INDEX i%1$s ON t%1$s (i) WHERE %2$s', number, pg_get_expr(x.indpred, x.indrelid))
FROM expression JOIN pg_class c ON relnamespace = 'copy'::regnamespace AND relname = 'i' || number JOIN pg_index x ON x.indexrelid = c.oid
ORDER BY number \gexec
SET search_path = copy;
SELECT format('SET search_path = restored; CREATE POLICY p%1$s ON t%1$s USING (%2$s) WITH CHECK (%3$s)', number,
              pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid))
FROM expression JOIN pg_class c ON relnamespace = 'copy'::regnamespace AND relname = 't' || number JOIN pg_policy p ON p.polrelid = c.oid
ORDER BY number \gexec
SET search_path = copy;
SELECT format('SET search_path = restored; CREATE FUNCTION f%s() RETURNS bigint %s', number, pg_get_function_sqlbody(p.oid))
FROM expression JOIN pg_proc p ON pronamespace = 'copy'::regnamespace AND proname = 'f' || number ORDER BY number \gexec
SET search_path = restored;
\set ECHO all
SELECT count(*) FILTER (WHERE pg_temp.stored('restored', number) <> pg_temp.stored('copy', number)) > 5 AS stored_otherwise FROM expression;
SELECT * FROM algo_ref.diff(:'ddl');
SELECT algo_ref.fingerprint('restored') = algo_ref.fingerprint('copy') AS the_same;

RESET search_path;
DROP SCHEMA app, copy, restored CASCADE;
DROP EXTENSION algo_ref CASCADE;
