-- Many rows in one call -------------------------------------------------------

-- What the planner asks about bulk_insert() and bulk_insert_returning(): it leaves
-- a large parameter where it is, instead of copying it into the plan.  Not for
-- callers.
CREATE FUNCTION algo_ref.bulk_support(internal)
RETURNS internal
AS 'MODULE_PATHNAME', 'algo_ref_bulk_support'
LANGUAGE C STRICT STABLE PARALLEL UNSAFE;

COMMENT ON FUNCTION algo_ref.bulk_support(internal) IS
  'planner support: leave a large parameter out of the plan';

-- Insert the rows of a JSON text: an array of objects, or objects each in its
-- lines.
--
-- target            table, partitioned table, foreign table or view
-- rows              keys are names of columns; a column whose key a row does
--                   not have becomes its default, one whose value is null NULL.
--                   Values become what json_populate_record() makes of them
-- on_conflict       what to do with a row that a unique or exclusion constraint
--                   forbids: error, nothing (leave it out), or update (set the
--                   columns of the rows in the row that is there)
-- conflict_columns  those of the constraint; NULL means any constraint, for an
--                   update the primary key
-- overriding        system or user, as INSERT's OVERRIDING ... VALUE
-- unknown_keys      error or ignore: a key that is no column's name
-- on_error          error or skip: insert the rows that can be, and remember the
--                   others for algo_ref.bulk_rejects().  Only errors about a row
--                   (its values, a constraint, a view's check, an exception that
--                   a trigger raises, one too large for a page) are skipped.  Rows then go in by batches,
--                   for each of which statement triggers fire
--
-- Returns how many rows were inserted or updated.  The server's own INSERT, with
-- all that it honours: rights, defaults, identity, constraints, triggers, rules,
-- row-level security, partitions, foreign tables.  A row of which an error speaks
-- is in its context, with column and value where there is one.  Of several errors
-- the one that is raised need not be the first row's.
--
-- Errors: 22004 NULL; 22P02, 22P05 not JSON, or not a value of the column's type;
-- 22023 JSON, but no rows; rows of an update with different keys; no such option;
-- 42703 unknown key; 42809 not a table; and every one that INSERT has.
CREATE FUNCTION algo_ref.bulk_insert(target regclass, rows text, on_conflict text DEFAULT 'error', conflict_columns name[] DEFAULT NULL,
  overriding text DEFAULT NULL, unknown_keys text DEFAULT 'error', on_error text DEFAULT 'error')
RETURNS bigint
AS 'MODULE_PATHNAME', 'algo_ref_bulk_insert_text'
LANGUAGE C VOLATILE PARALLEL UNSAFE SUPPORT algo_ref.bulk_support;

COMMENT ON FUNCTION algo_ref.bulk_insert(regclass, text, text, name[], text, text, text) IS
  'insert the objects of a JSON array, or of lines of JSON; returns how many';

REVOKE ALL ON FUNCTION algo_ref.bulk_insert(regclass, text, text, name[], text, text, text) FROM PUBLIC;

-- The same for a value of type json, which is an array of objects.
CREATE FUNCTION algo_ref.bulk_insert(target regclass, rows json, on_conflict text DEFAULT 'error', conflict_columns name[] DEFAULT NULL,
  overriding text DEFAULT NULL, unknown_keys text DEFAULT 'error', on_error text DEFAULT 'error')
RETURNS bigint
AS 'MODULE_PATHNAME', 'algo_ref_bulk_insert_json'
LANGUAGE C VOLATILE PARALLEL UNSAFE SUPPORT algo_ref.bulk_support;

COMMENT ON FUNCTION algo_ref.bulk_insert(regclass, json, text, name[], text, text, text) IS
  'insert the objects of a JSON array; returns how many';

REVOKE ALL ON FUNCTION algo_ref.bulk_insert(regclass, json, text, name[], text, text, text) FROM PUBLIC;

-- The same for a value of type jsonb, which is an array of objects.
CREATE FUNCTION algo_ref.bulk_insert(target regclass, rows jsonb, on_conflict text DEFAULT 'error', conflict_columns name[] DEFAULT NULL,
  overriding text DEFAULT NULL, unknown_keys text DEFAULT 'error', on_error text DEFAULT 'error')
RETURNS bigint
AS 'MODULE_PATHNAME', 'algo_ref_bulk_insert_jsonb'
LANGUAGE C VOLATILE PARALLEL UNSAFE SUPPORT algo_ref.bulk_support;

COMMENT ON FUNCTION algo_ref.bulk_insert(regclass, jsonb, text, name[], text, text, text) IS
  'insert the objects of a jsonb array; returns how many';

REVOKE ALL ON FUNCTION algo_ref.bulk_insert(regclass, jsonb, text, name[], text, text, text) FROM PUBLIC;

-- The same for an array of rows, such as ARRAY[ROW(1, 'one')::shop.item].
--
-- rows              rows of the table's own type or of another; their columns
--                   are matched by name, and cast as INSERT casts
-- columns           those of the rows to be taken; NULL means all but generated
--                   ones.  A column that is not taken becomes its default
--
-- Errors: as above; 42804 no rows, or rows of different types; 22004 a row that
-- is NULL; 42703 a column that rows or table do not have.
CREATE FUNCTION algo_ref.bulk_insert(target regclass, rows anyarray, on_conflict text DEFAULT 'error', conflict_columns name[] DEFAULT NULL,
  overriding text DEFAULT NULL, unknown_keys text DEFAULT 'error', on_error text DEFAULT 'error', columns name[] DEFAULT NULL)
RETURNS bigint
AS 'MODULE_PATHNAME', 'algo_ref_bulk_insert_array'
LANGUAGE C VOLATILE PARALLEL UNSAFE SUPPORT algo_ref.bulk_support;

COMMENT ON FUNCTION algo_ref.bulk_insert(regclass, anyarray, text, name[], text, text, text, name[]) IS
  'insert the rows of an array of composites; returns how many';

REVOKE ALL ON FUNCTION algo_ref.bulk_insert(regclass, anyarray, text, name[], text, text, text, name[]) FROM PUBLIC;

-- Insert what a query returns.
--
-- query             SELECT, VALUES, TABLE or WITH; its columns are matched by
--                   name, and cast as INSERT casts
--
-- The other arguments and the result as above; with on_error => 'skip' all rows
-- of the query are kept first, and a literal needs a cast unless its column is
-- text.  Errors: 22023 another statement,
-- or several; 42703 a column that the target does not have; and what the query
-- raises.
CREATE FUNCTION algo_ref.bulk_insert_query(target regclass, query text, on_conflict text DEFAULT 'error', conflict_columns name[] DEFAULT NULL,
  overriding text DEFAULT NULL, on_error text DEFAULT 'error')
RETURNS bigint
AS 'MODULE_PATHNAME', 'algo_ref_bulk_insert_query'
LANGUAGE C VOLATILE PARALLEL UNSAFE;

COMMENT ON FUNCTION algo_ref.bulk_insert_query(regclass, text, text, name[], text, text) IS
  'insert the rows of a query; returns how many';

REVOKE ALL ON FUNCTION algo_ref.bulk_insert_query(regclass, text, text, name[], text, text) FROM PUBLIC;

-- Insert the objects of a JSON array, and return the rows as they were stored.
--
-- base              says which table: NULL::shop.item
--
-- The other arguments as above.  Returns what INSERT ... RETURNING * does: with
-- on_conflict, not the rows that were left out.  The caller needs the right to
-- read the table.  The whole result is kept until the call ends.
CREATE FUNCTION algo_ref.bulk_insert_returning(base anyelement, rows json, on_conflict text DEFAULT 'error', conflict_columns name[] DEFAULT NULL,
  overriding text DEFAULT NULL, unknown_keys text DEFAULT 'error')
RETURNS SETOF anyelement
AS 'MODULE_PATHNAME', 'algo_ref_bulk_insert_returning'
LANGUAGE C VOLATILE PARALLEL UNSAFE SUPPORT algo_ref.bulk_support;

COMMENT ON FUNCTION algo_ref.bulk_insert_returning(anyelement, json, text, name[], text, text) IS
  'insert the objects of a JSON array; returns the rows as they were stored';

REVOKE ALL ON FUNCTION algo_ref.bulk_insert_returning(anyelement, json, text, name[], text, text) FROM PUBLIC;

-- The rows that the session's last call with on_error => 'skip' has left out, up
-- to the first 10,000.
--
-- Returns for each its number, counted from 1, and of its error the SQLSTATE,
-- message and detail (of long ones the beginning), and column and constraint where
-- the server names them.
-- They are remembered after a rollback, too, and shown to roles that have the
-- rights of the one that made the call.
CREATE FUNCTION algo_ref.bulk_rejects()
RETURNS TABLE (row_number bigint, sqlstate text, message text, detail text, column_name text, constraint_name text)
AS 'MODULE_PATHNAME', 'algo_ref_bulk_rejects'
LANGUAGE C STABLE PARALLEL RESTRICTED;

COMMENT ON FUNCTION algo_ref.bulk_rejects() IS
  'rows that the last bulk insert with on_error => ''skip'' has left out, and why';

-- Which way the rows of a target are stored, and why.
--
-- target            as for algo_ref.bulk_insert()
--
-- way is fast where rows are stored many at a time: then reason is NULL, and
-- there may be more lines for columns whose default changes that.  It is executor
-- where the server inserts row by row, with a line for each reason.  on_conflict
-- and RETURNING are the executor's business, too, and so is a query that calls
-- volatile functions.
CREATE FUNCTION algo_ref.bulk_explain(target regclass)
RETURNS TABLE (way text, reason text)
AS 'MODULE_PATHNAME', 'algo_ref_bulk_explain'
LANGUAGE C STABLE PARALLEL UNSAFE;

COMMENT ON FUNCTION algo_ref.bulk_explain(regclass) IS
  'how bulk_insert() would store rows in a table, and why not faster';

-- Loads with a commit per batch -------------------------------------------------

CREATE TABLE algo_ref.bulk_job (
  id         text COLLATE "C" NOT NULL,
  role       name NOT NULL,
  target     text NOT NULL,
  query      text NOT NULL,
  key        text NOT NULL,
  last_key   text NOT NULL,
  loaded     bigint NOT NULL,
  batches    integer NOT NULL,
  started_at timestamptz NOT NULL,
  updated_at timestamptz NOT NULL,
  CONSTRAINT bulk_job_pkey PRIMARY KEY (id)
);

COMMENT ON TABLE algo_ref.bulk_job IS
  'where loads by key stand that have not come to their end; written only by algo_ref''s functions';
COMMENT ON COLUMN algo_ref.bulk_job.id IS 'of the role, the target, the key and the query';
COMMENT ON COLUMN algo_ref.bulk_job.role IS 'role that loads';
COMMENT ON COLUMN algo_ref.bulk_job.target IS 'what is loaded';
COMMENT ON COLUMN algo_ref.bulk_job.query IS 'where its rows come from';
COMMENT ON COLUMN algo_ref.bulk_job.key IS 'column of the query by which it goes on';
COMMENT ON COLUMN algo_ref.bulk_job.last_key IS 'rows up to this key are loaded';
COMMENT ON COLUMN algo_ref.bulk_job.loaded IS 'how many rows those are';
COMMENT ON COLUMN algo_ref.bulk_job.batches IS 'and how many batches';
COMMENT ON COLUMN algo_ref.bulk_job.started_at IS 'when the first of them began';
COMMENT ON COLUMN algo_ref.bulk_job.updated_at IS 'when the last of them ended';

REVOKE ALL ON algo_ref.bulk_job FROM PUBLIC;

-- Insert what a query returns, with a commit after each batch.
--
-- target            as for algo_ref.bulk_insert()
-- query             as for algo_ref.bulk_insert_query(); it must not change data
-- batch_rows        rows of a batch
-- key               a column of the query that is never NULL, best unique and with
--                   an index, of any type that can be sorted.  Batches then follow it, and where the last one ended
--                   is remembered with it: called again after a failure or a
--                   cancel, the same load goes on from there; called again after
--                   its end, it begins anew.  A key that the target does not have
--                   is not inserted.  NULL: batches come from one cursor, whose
--                   rows are kept at the first commit, and a load that fails cannot
--                   go on
-- on_conflict, conflict_columns, overriding
--                   as for algo_ref.bulk_insert()
-- on_error          'error', or 'skip': rows that are wrong are left out and listed
--                   by algo_ref.bulk_rejects(), numbered in the order of the key,
--                   or else of the query, from where this call began
-- rows_loaded, batches
--                   what this call has done: NULL on the way in
--
-- Without a key the query sees one moment; with one, each batch its own.  Shown
-- in pg_stat_progress_copy, and with a key in algo_ref.bulk_job.
--
-- Errors: 22004 NULL, also in the key; 22023 batch_rows out of range; 0A000 a
-- query that changes data; 25001 inside a transaction; 42703 no such column;
-- 42883 a key that cannot be sorted; 55006 the same load is running.
CREATE PROCEDURE algo_ref.bulk_load(target regclass, query text, batch_rows bigint DEFAULT 50000, key name DEFAULT NULL,
  on_conflict text DEFAULT 'error', conflict_columns name[] DEFAULT NULL, overriding text DEFAULT NULL,
  on_error text DEFAULT 'error', INOUT rows_loaded bigint DEFAULT NULL, INOUT batches int DEFAULT NULL)
AS 'MODULE_PATHNAME', 'algo_ref_bulk_load'
LANGUAGE C;

COMMENT ON PROCEDURE algo_ref.bulk_load(regclass, text, bigint, name, text, name[], text, text, bigint, int) IS
  'insert the rows of a query with a commit after each batch, resumable by key';

REVOKE ALL ON PROCEDURE algo_ref.bulk_load(regclass, text, bigint, name, text, name[], text, text, bigint, int) FROM PUBLIC;
