-- Room watch: statements that look rows up one key at a time.

-- What the watch has found: lookups of one shape, made one key at a time with
-- the keys that one statement had returned.
--
-- Of all sessions where algo_ref is in shared_preload_libraries, else of this
-- one.  Returns for each: database and role; relationship, as in users.posts,
-- from the table of the first statement; times that it was looked up, with about
-- how many distinct_keys, and the total_time that this took in the server;
-- statement, one of the lookups; source, the statement that returned the keys;
-- function, the PL/pgSQL function and line of the lookups; prefetch, a call
-- that returns all of it at once; first_seen and last_seen.  The texts of
-- other roles' statements are NULL for who has neither their privileges nor
-- those of pg_read_all_stats.
CREATE FUNCTION algo_ref.n1_report()
RETURNS TABLE (database name, role name, relationship text, times bigint, distinct_keys bigint,
               total_time interval, statement text, source text, function text, prefetch text,
               first_seen timestamptz, last_seen timestamptz)
AS 'MODULE_PATHNAME', 'algo_ref_n1_report'
LANGUAGE C STABLE PARALLEL RESTRICTED;

COMMENT ON FUNCTION algo_ref.n1_report() IS
  'N+1 lookups that the watch has found, each with the call of prefetch that replaces it';

-- Forget what the watch has found, so that it is told anew.
--
-- Returns how many rows of the report are gone: of other roles' rows, those
-- whose privileges the caller has.
CREATE FUNCTION algo_ref.n1_reset()
RETURNS bigint
AS 'MODULE_PATHNAME', 'algo_ref_n1_reset'
LANGUAGE C VOLATILE PARALLEL RESTRICTED;

COMMENT ON FUNCTION algo_ref.n1_reset() IS
  'forget what the watch has found';

REVOKE ALL ON FUNCTION algo_ref.n1_reset() FROM PUBLIC;
