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
-- such column; the server's own.
-- Source: SQLAlchemy, selectinload(); PostgREST, resource embedding.
CREATE FUNCTION algo_ref.prefetch(query text, VARIADIC paths text[])
RETURNS SETOF json
LANGUAGE sql STABLE PARALLEL RESTRICTED ROWS 1000
BEGIN ATOMIC
  SELECT algo_ref.prefetch_rows(query, paths, NULL::pg_catalog.jsonb);
END;

COMMENT ON FUNCTION algo_ref.prefetch(text, text[]) IS
  'rows of a query, each with what the paths lead to, as json';

-- The same as jsonb.
--
-- query, paths  as for algo_ref.prefetch
--
-- Errors: those of algo_ref.prefetch.
CREATE FUNCTION algo_ref.prefetch_jsonb(query text, VARIADIC paths text[])
RETURNS SETOF jsonb
LANGUAGE sql STABLE PARALLEL RESTRICTED ROWS 1000
BEGIN ATOMIC
  SELECT algo_ref.prefetch_rows(query, paths, NULL::pg_catalog.jsonb)::pg_catalog.jsonb;
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
