-- Room prefetch: rows and everything that hangs on them, as JSON.

-- The rows of a query, each with what the paths lead to, as JSON texts in the
-- query's order.  What the functions below are made of; streams in a select
-- list.
--
-- query   a SELECT; ":name" stands for a parameter
-- paths   see algo_ref.prefetch
-- params  an object with the values of parameters, or NULL
--
-- Errors: those of algo_ref.prefetch.
CREATE FUNCTION algo_ref.prefetch_rows(query text, paths text[], params jsonb)
RETURNS SETOF json
AS 'MODULE_PATHNAME', 'algo_ref_prefetch_rows'
LANGUAGE C STABLE PARALLEL RESTRICTED ROWS 1000;

COMMENT ON FUNCTION algo_ref.prefetch_rows(text, text[], jsonb) IS
  'rows of a query with what paths lead to; what algo_ref.prefetch() is made of';

-- The rows of a query, each as a JSON object, with the related rows that paths
-- lead to inside of it.
--
-- query   a SELECT over tables or views
-- paths   relationships to follow, each from the rows before it:
--           posts                          all columns of the related rows
--           posts.comments.author          and of those related to them
--           posts!author_id                by this foreign key; also column or table
--           latest:posts(id,title; where: views > 10; order: created_at desc; limit: 3)
--           posts.count()                  how many, as posts_count
--           posts!inner                    rows without any are left out
--           manager*3                      again and again, up to three times
--         none: the rows alone
--
-- To-many is an array, to-one an object or null.  Parents keep the query's
-- order, children follow "order" and their primary key; "limit" is for each
-- parent.  Read level by level, a batch of rows at a time, under the caller's
-- snapshot, privileges and policies.  Keys that the query does not return are
-- read unseen.
--
-- Errors: 22004 NULL; 42601 a path or condition that is none, with its position;
-- 42704 no such relationship; 22023 an ambiguous one, a query that is not one
-- statement or lacks a key; 0A000 a query that is not a SELECT or not only reads;
-- 42701 a name that is a column's, too; 42712 a name for two things; 42703 no
-- such column; 54000 more than 1,000 relationships; the server's own.
-- Source: SQLAlchemy, selectinload(); PostgREST, resource embedding.
CREATE FUNCTION algo_ref.prefetch(query text, VARIADIC paths text[] DEFAULT '{}')
RETURNS SETOF json
LANGUAGE sql STABLE PARALLEL RESTRICTED ROWS 1000
BEGIN ATOMIC
  SELECT algo_ref.prefetch_rows(query, paths, NULL::pg_catalog.jsonb);
END;

COMMENT ON FUNCTION algo_ref.prefetch(text, text[]) IS
  'rows of a query, each with what the paths lead to, as json';

-- The same as jsonb, with parameters.
--
-- query, paths  as for algo_ref.prefetch, with :name in the query and in
--               conditions
-- params        an object with a value for each name, or NULL
--
-- Errors: 54000 a value in a row would take more than 256 MB; those of
-- algo_ref.prefetch_query.
CREATE FUNCTION algo_ref.prefetch_jsonb_query(query text, paths text[], params jsonb DEFAULT NULL)
RETURNS SETOF jsonb
AS 'MODULE_PATHNAME', 'algo_ref_prefetch_jsonb_query'
LANGUAGE C STABLE PARALLEL RESTRICTED ROWS 1000;

COMMENT ON FUNCTION algo_ref.prefetch_jsonb_query(text, text[], jsonb) IS
  'rows of a query with parameters, each with what the paths lead to, as jsonb';

-- The same as jsonb.
--
-- query, paths  as for algo_ref.prefetch
--
-- Errors: those of algo_ref.prefetch_jsonb_query.
CREATE FUNCTION algo_ref.prefetch_jsonb(query text, VARIADIC paths text[] DEFAULT '{}')
RETURNS SETOF jsonb
LANGUAGE sql STABLE PARALLEL RESTRICTED ROWS 1000
BEGIN ATOMIC
  SELECT algo_ref.prefetch_jsonb_query(query, paths, NULL::pg_catalog.jsonb);
END;

COMMENT ON FUNCTION algo_ref.prefetch_jsonb(text, text[]) IS
  'rows of a query, each with what the paths lead to, as jsonb';

-- The same with parameters, which are bound and never become text.
--
-- query, paths  as for algo_ref.prefetch, with :name in the query and in
--               conditions
-- params        an object with a value for each name
--
-- Errors: 42P02 a name without a value; 22023 params are not an object; those
-- of algo_ref.prefetch.
CREATE FUNCTION algo_ref.prefetch_query(query text, paths text[], params jsonb DEFAULT NULL)
RETURNS SETOF json
LANGUAGE sql STABLE PARALLEL RESTRICTED ROWS 1000
BEGIN ATOMIC
  SELECT algo_ref.prefetch_rows(query, paths, params);
END;

COMMENT ON FUNCTION algo_ref.prefetch_query(text, text[], jsonb) IS
  'rows of a query with parameters, each with what the paths lead to, as json';

-- The same rows as sets: those of the query and those that each path leads to,
-- each of them once.
--
-- query, paths  as for algo_ref.prefetch
-- params        an object with a value for each name, or NULL
--
-- Result: path, as dotted names, is empty for the rows of the query.  key is what
-- the row's parents have in the columns of the foreign key, a value or an array
-- of several; NULL for the rows of the query.  A path with "!" and the name of an
-- association table says which rows belong together: key is the parent's, row is
-- the key of the row at the other side.  What count() counts has a number as its
-- row.  A recursion ends at its depth, not at a row that is above itself.
--
-- Errors: those of algo_ref.prefetch_query.
CREATE FUNCTION algo_ref.prefetch_sets_query(query text, paths text[], params jsonb DEFAULT NULL)
RETURNS TABLE (path text, key json, "row" json)
AS 'MODULE_PATHNAME', 'algo_ref_prefetch_sets_query'
LANGUAGE C STABLE PARALLEL RESTRICTED ROWS 1000;

COMMENT ON FUNCTION algo_ref.prefetch_sets_query(text, text[], jsonb) IS
  'rows of a query with parameters and those that paths lead to, each once';

-- The same without parameters; its rows come as they are read.
--
-- query, paths  as for algo_ref.prefetch
--
-- Result: see algo_ref.prefetch_sets_query.
--
-- Errors: those of algo_ref.prefetch.
CREATE FUNCTION algo_ref.prefetch_sets(query text, VARIADIC paths text[] DEFAULT '{}')
RETURNS TABLE (path text, key json, "row" json)
LANGUAGE sql STABLE PARALLEL RESTRICTED ROWS 1000
BEGIN ATOMIC
  SELECT (s.r).path, (s.r).key, (s.r)."row"
  FROM (SELECT algo_ref.prefetch_sets_query(query, paths, NULL::pg_catalog.jsonb) AS r OFFSET 0) s;
END;

COMMENT ON FUNCTION algo_ref.prefetch_sets(text, text[]) IS
  'rows of a query and those that paths lead to, each once';

-- The same sets, each as one array: the least that a client has to fetch and to
-- parse.
--
-- query, paths  as for algo_ref.prefetch
-- params        an object with a value for each name, or NULL
--
-- Result: a row for each path, also where nothing was found: path as in
-- algo_ref.prefetch_sets_query; keys, an array of the keys in it, empty for the
-- rows of the query; rows, an array of as many rows, in the same order.  All of
-- it is in memory before the first row comes.
--
-- Errors: those of algo_ref.prefetch_query; program_limit_exceeded (54000) also for
-- an array of 1 GB.
CREATE FUNCTION algo_ref.prefetch_arrays_query(query text, paths text[], params jsonb DEFAULT NULL)
RETURNS TABLE (path text, keys json, "rows" json)
AS 'MODULE_PATHNAME', 'algo_ref_prefetch_arrays_query'
LANGUAGE C STABLE PARALLEL RESTRICTED ROWS 10;

COMMENT ON FUNCTION algo_ref.prefetch_arrays_query(text, text[], jsonb) IS
  'rows of a query with parameters and those that paths lead to, each once, as one array for each path';

-- The same without parameters.
--
-- query, paths  as for algo_ref.prefetch
--
-- Result: see algo_ref.prefetch_arrays_query.
--
-- Errors: those of algo_ref.prefetch_arrays_query.
CREATE FUNCTION algo_ref.prefetch_arrays(query text, VARIADIC paths text[] DEFAULT '{}')
RETURNS TABLE (path text, keys json, "rows" json)
LANGUAGE sql STABLE PARALLEL RESTRICTED ROWS 10
BEGIN ATOMIC
  SELECT (s.r).path, (s.r).keys, (s.r)."rows"
  FROM (SELECT algo_ref.prefetch_arrays_query(query, paths, NULL::pg_catalog.jsonb) AS r OFFSET 0) s;
END;

COMMENT ON FUNCTION algo_ref.prefetch_arrays(text, text[]) IS
  'rows of a query and those that paths lead to, each once, as one array for each path';

-- How rows and what hangs on them are read: runs all of it, and throws the rows
-- away.
--
-- query, paths  as for algo_ref.prefetch
-- params        an object with a value for each name, or NULL
--
-- Result: a row for each relationship, association table and strategy, parents
-- first: its level and path; the strategy and its SQL; how many statements ran,
-- for how many keys, and how many rows they gave; milliseconds.  The first row is
-- the query, the last what it took to put the JSON together.
--
-- Errors: those of algo_ref.prefetch_query.
CREATE FUNCTION algo_ref.prefetch_explain_query(query text, paths text[], params jsonb DEFAULT NULL)
RETURNS TABLE (level integer, relationship text, strategy text, sql text, statements bigint,
  keys bigint, "rows" bigint, milliseconds double precision)
AS 'MODULE_PATHNAME', 'algo_ref_prefetch_explain_query'
LANGUAGE C STABLE PARALLEL RESTRICTED ROWS 10;

COMMENT ON FUNCTION algo_ref.prefetch_explain_query(text, text[], jsonb) IS
  'how a query with parameters and paths are read: strategies, keys, rows, time';

-- The same without parameters.
--
-- query, paths  as for algo_ref.prefetch
--
-- Errors: those of algo_ref.prefetch.
CREATE FUNCTION algo_ref.prefetch_explain(query text, VARIADIC paths text[] DEFAULT '{}')
RETURNS TABLE (level integer, relationship text, strategy text, sql text, statements bigint,
  keys bigint, "rows" bigint, milliseconds double precision)
LANGUAGE sql STABLE PARALLEL RESTRICTED ROWS 10
BEGIN ATOMIC
  SELECT * FROM algo_ref.prefetch_explain_query(query, paths, NULL::pg_catalog.jsonb);
END;

COMMENT ON FUNCTION algo_ref.prefetch_explain(text, text[]) IS
  'how a query and paths are read: strategies, keys, rows, time';
