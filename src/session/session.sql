-- Connections: who holds them, and what limits them ---------------------------

-- The server's processes by kind: what the limits count.
--
-- Returns a row for each: kind is connection, worker, parallel worker,
-- autovacuum worker, wal sender or other; pid only for a connection.  All
-- callers get all rows, so that sums are right whoever asks; what a process
-- does is for pg_stat_activity to show.
CREATE FUNCTION algo_ref.processes()
RETURNS TABLE (kind text, pid int)
AS 'MODULE_PATHNAME', 'algo_ref_processes'
LANGUAGE C STABLE PARALLEL UNSAFE;

COMMENT ON FUNCTION algo_ref.processes() IS
  'processes by kind, with the pid of those that are connections';

-- Everybody for whom a process waits: those that block it, those that block
-- them, and so on.
--
-- pid  of the process
--
-- Returns their pids, nearest first, and at the end those that themselves wait
-- for nobody; 0 stands for a prepared transaction.  Empty if it does not wait,
-- NULL for NULL.
CREATE FUNCTION algo_ref.blocking_chain(pid int)
RETURNS int[]
AS 'MODULE_PATHNAME', 'algo_ref_blocking_chain'
LANGUAGE C STABLE STRICT PARALLEL UNSAFE;

COMMENT ON FUNCTION algo_ref.blocking_chain(int) IS
  'all processes for which one waits, directly or not; last those that wait for nobody';

-- Every connection to the server; what the view algo_ref.connection shows.
--
-- Of the connections of roles whose rights the caller does not have, only what
-- pg_stat_activity shows to everybody is there, unless the caller is a member
-- of pg_read_all_stats or pg_monitor.  As there, what was read once in a
-- transaction stays the same to its end.
CREATE FUNCTION algo_ref.connections()
RETURNS TABLE (pid int, application_name text, role name, database name, client_address inet,
  connected_at timestamptz, state text, state_since timestamptz, transaction_since timestamptz, snapshot_age int,
  wait_event_type text, wait_event text, blocked_by int[], blocking_chain int[], query text)
LANGUAGE sql STABLE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT a.pid, a.application_name, a.usename, a.datname, a.client_addr,
    a.backend_start, a.state, a.state_change, a.xact_start, age(a.backend_xmin),
    a.wait_event_type, a.wait_event, w.blocked_by,
    CASE a.wait_event_type WHEN 'Lock' THEN algo_ref.blocking_chain(a.pid) ELSE w.blocked_by END,
    a.query
  FROM algo_ref.processes() p JOIN pg_stat_activity a ON a.pid = p.pid,
    LATERAL (SELECT CASE
      WHEN a.wait_event_type = 'Lock' THEN ARRAY(SELECT DISTINCT b FROM unnest(pg_blocking_pids(a.pid)) AS b ORDER BY b)
      WHEN a.wait_event = 'SafeSnapshot' THEN pg_safe_snapshot_blocking_pids(a.pid) END) AS w (blocked_by)
$$;

COMMENT ON FUNCTION algo_ref.connections() IS
  'every connection to the server, and for whom it waits';

CREATE VIEW algo_ref.connection AS
  SELECT pid, application_name, role, database, client_address, connected_at, state, state_since, transaction_since,
    snapshot_age, wait_event_type, wait_event, blocked_by, blocking_chain, query
  FROM algo_ref.connections();

COMMENT ON VIEW algo_ref.connection IS
  'every connection to the server, and for whom it waits; of other roles'' what pg_stat_activity shows the caller';
COMMENT ON COLUMN algo_ref.connection.pid IS 'process id';
COMMENT ON COLUMN algo_ref.connection.application_name IS 'as the client has set it';
COMMENT ON COLUMN algo_ref.connection.role IS 'role that has connected';
COMMENT ON COLUMN algo_ref.connection.database IS 'database that it has connected to';
COMMENT ON COLUMN algo_ref.connection.client_address IS 'where the client is; NULL for a Unix socket';
COMMENT ON COLUMN algo_ref.connection.connected_at IS 'since when the connection is there: what pool_recycle looks at';
COMMENT ON COLUMN algo_ref.connection.state IS 'as in pg_stat_activity; NULL if the caller may not see it';
COMMENT ON COLUMN algo_ref.connection.state_since IS 'since when it is in that state';
COMMENT ON COLUMN algo_ref.connection.transaction_since IS 'when its transaction began; NULL outside of one';
COMMENT ON COLUMN algo_ref.connection.snapshot_age IS 'how many transactions have begun since its oldest snapshot, which holds VACUUM back';
COMMENT ON COLUMN algo_ref.connection.wait_event_type IS 'kind of what it waits for; Lock: for other processes';
COMMENT ON COLUMN algo_ref.connection.wait_event IS 'what it waits for';
COMMENT ON COLUMN algo_ref.connection.blocked_by IS 'processes that block it directly; 0: a prepared transaction';
COMMENT ON COLUMN algo_ref.connection.blocking_chain IS 'all processes for which it waits, nearest first, at the end those that wait for nobody';
COMMENT ON COLUMN algo_ref.connection.query IS 'last statement';

REVOKE ALL ON algo_ref.connection FROM PUBLIC;

-- Every limit in force, and how much of it is used.
--
-- Returns a row for each limit:
--
-- connections  max_connections, less what is reserved for some: the first row
--              is for superusers, the last for everybody
-- role         a role's CONNECTION LIMIT; does not bind superusers
-- database     a database's; does not bind superusers either
-- workers      max_worker_processes, max_parallel_workers, max_wal_senders and
--              the slots of autovacuum
--
-- remaining is never less than zero.
CREATE FUNCTION algo_ref.connection_limits()
RETURNS TABLE (kind text, name text, used int, allowed int, remaining int)
LANGUAGE sql STABLE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
  WITH process AS MATERIALIZED (
    SELECT p.kind, a.usesysid, a.datid
    FROM algo_ref.processes() p LEFT JOIN pg_stat_activity a ON a.pid = p.pid),
  setting AS MATERIALIZED (
    SELECT current_setting('max_connections')::int AS slots,
      current_setting('superuser_reserved_connections')::int AS for_superusers,
      current_setting('reserved_connections', true)::int AS for_reserved),
  usage (ordinal, kind, name, used, allowed) AS (
    SELECT l.ordinal, 'connections', l.name,
      (SELECT count(*) FROM process p WHERE p.kind = 'connection'), l.allowed
    FROM setting s, LATERAL (VALUES
      (1, 'max_connections', s.slots),
      (2, CASE WHEN s.for_reserved IS NOT NULL THEN 'max_connections - superuser_reserved_connections' END,
        s.slots - s.for_superusers),
      (3, 'max_connections - superuser_reserved_connections'
        || CASE WHEN s.for_reserved IS NOT NULL THEN ' - reserved_connections' ELSE '' END,
        s.slots - s.for_superusers - coalesce(s.for_reserved, 0))) AS l (ordinal, name, allowed)
    WHERE l.name IS NOT NULL
    UNION ALL
    SELECT 4, 'role', r.rolname::text,
      (SELECT count(*) FROM process p WHERE p.kind = 'connection' AND p.usesysid = r.oid), r.rolconnlimit
    FROM pg_roles r WHERE r.rolconnlimit >= 0
    UNION ALL
    SELECT 5, 'database', d.datname::text,
      (SELECT count(*) FROM process p WHERE p.kind = 'connection' AND p.datid = d.oid), d.datconnlimit
    FROM pg_database d WHERE d.datconnlimit >= 0
    UNION ALL
    SELECT 6, 'workers', l.name,
      (SELECT count(*) FROM process p WHERE p.kind = ANY (l.kinds)), current_setting(l.name)::int
    FROM (VALUES ('max_worker_processes', '{worker,parallel worker}'::text[]), ('max_parallel_workers', '{parallel worker}'),
      ('max_wal_senders', '{wal sender}'),
      (CASE WHEN current_setting('autovacuum_worker_slots', true) IS NULL THEN 'autovacuum_max_workers'
        ELSE 'autovacuum_worker_slots' END, '{autovacuum worker}')) AS l (name, kinds))
  SELECT u.kind, u.name, u.used::int, u.allowed, greatest(u.allowed - u.used, 0)::int
  FROM usage u
  ORDER BY u.ordinal, u.name COLLATE "C"
$$;

COMMENT ON FUNCTION algo_ref.connection_limits() IS
  'limits of connections, of roles and databases, and of workers: how much is used';

-- Who holds connections: a row for each application, role, database and client
-- address.
--
-- Returns how many there are, and how many are active, idle, idle in a
-- transaction, of a state that the caller may not see (unknown), and waiting
-- for a lock; since when the longest has been active, idle in a transaction,
-- or in any transaction; waiting_for: the processes that hold up those that
-- wait; the age of the oldest snapshot in transactions, and of the oldest
-- connection.  limited_by is the limit of connections that comes first for
-- them, one of algo_ref.connection_limits(); limit_used, limit_allowed and
-- limit_remaining are its figures.
CREATE FUNCTION algo_ref.pool_status()
RETURNS TABLE (application_name text, role name, database name, client_address inet,
  connections int, active int, idle int, idle_in_transaction int, unknown int, waiting int,
  active_since timestamptz, idle_in_transaction_since timestamptz, transaction_since timestamptz, waiting_for int[],
  oldest_snapshot_age int, oldest_connection interval,
  limited_by text, limit_used int, limit_allowed int, limit_remaining int)
LANGUAGE sql STABLE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
  WITH connection AS MATERIALIZED (SELECT * FROM algo_ref.connections()),
  setting AS MATERIALIZED (
    SELECT l.kind, l.name, l.used, l.allowed, l.remaining,
      row_number() OVER (PARTITION BY l.kind ORDER BY l.allowed, length(l.name) DESC) AS tightness,
      count(*) OVER (PARTITION BY l.kind) AS classes
    FROM algo_ref.connection_limits() l WHERE l.kind <> 'workers'),
  owner AS MATERIALIZED (
    SELECT r.rolname, r.rolsuper,
      EXISTS (SELECT FROM pg_roles m WHERE m.rolname = 'pg_use_reserved_connections' AND pg_has_role(r.oid, m.oid, 'USAGE')) AS reserved
    FROM pg_roles r),
  pool AS (
    SELECT c.application_name, c.role, c.database, c.client_address,
      count(*)::int AS connections,
      count(*) FILTER (WHERE c.state IN ('active', 'fastpath function call'))::int AS active,
      count(*) FILTER (WHERE c.state = 'idle')::int AS idle,
      count(*) FILTER (WHERE c.state LIKE 'idle in transaction%')::int AS idle_in_transaction,
      count(*) FILTER (WHERE c.state IS NULL OR c.state IN ('disabled', 'starting'))::int AS unknown,
      count(*) FILTER (WHERE c.blocked_by IS NOT NULL)::int AS waiting,
      min(c.state_since) FILTER (WHERE c.state IN ('active', 'fastpath function call')) AS active_since,
      min(c.state_since) FILTER (WHERE c.state LIKE 'idle in transaction%') AS idle_in_transaction_since,
      min(c.transaction_since) AS transaction_since,
      max(c.snapshot_age) AS oldest_snapshot_age,
      clock_timestamp() - min(c.connected_at) AS oldest_connection
    FROM connection c
    GROUP BY c.application_name, c.role, c.database, c.client_address)
  SELECT p.application_name, p.role, p.database, p.client_address, p.connections, p.active, p.idle, p.idle_in_transaction,
    p.unknown, p.waiting, p.active_since, p.idle_in_transaction_since, p.transaction_since,
    (SELECT array_agg(DISTINCT b ORDER BY b) FROM connection c, unnest(c.blocking_chain) AS b
      WHERE (c.application_name, c.role, c.database, c.client_address) IS NOT DISTINCT FROM (p.application_name, p.role, p.database, p.client_address)),
    p.oldest_snapshot_age, p.oldest_connection, l.limited_by, l.used, l.allowed, l.remaining
  FROM pool p LEFT JOIN owner o ON o.rolname = p.role,
    LATERAL (
      SELECT CASE s.kind WHEN 'connections' THEN s.name ELSE format('%s %I', s.kind, s.name) END AS limited_by,
        s.used, s.allowed, s.remaining
      FROM setting s
      WHERE CASE s.kind
        WHEN 'role' THEN s.name = p.role AND NOT o.rolsuper
        WHEN 'database' THEN s.name = p.database AND NOT o.rolsuper
        ELSE s.tightness = CASE WHEN o.rolsuper THEN s.classes WHEN o.reserved AND s.classes > 2 THEN 2 ELSE 1 END END
      ORDER BY s.remaining, s.allowed, s.kind DESC LIMIT 1) AS l
  ORDER BY p.connections DESC, p.application_name COLLATE "C", p.role COLLATE "C", p.database COLLATE "C", p.client_address
$$;

COMMENT ON FUNCTION algo_ref.pool_status() IS
  'who holds connections, in which state, and which limit comes first';

-- The state of the server's connections in one line.
--
-- format  'text': as SQLAlchemy's pool.status().  The pool size is what the
--         server has for roles without reserved slots; connections in the pool
--         are idle; what is checked out is in use, or of a state that the
--         caller may not see; the overflow is negative while the size is not
--         reached.
--
-- Errors: 22004 NULL; 22023 no such format.
-- Source: SQLAlchemy, QueuePool.status.
CREATE FUNCTION algo_ref.pool_status(format text)
RETURNS text
AS 'MODULE_PATHNAME', 'algo_ref_pool_status'
LANGUAGE C STABLE PARALLEL UNSAFE;

COMMENT ON FUNCTION algo_ref.pool_status(text) IS
  'the server''s connections in one line, as SQLAlchemy''s pool.status()';

-- End idle connections.
--
-- application_name  only those of this application; NULL: of any
-- idle_for          only those that have been idle for so long
-- role              only those of this role; NULL: of any
-- database          only those to this database; NULL: to any
-- dry_run           end none, and say which would be ended
-- in_transaction    also those that are idle in a transaction, which is lost;
--                   the application has to be named
--
-- Returns a row for each connection that application_name, role and database
-- name.  outcome is "ended", "would end" (with dry_run), or "kept", and reason
-- says why it was kept: it is the caller's own, active, in a transaction, not
-- idle for so long, of a state that the caller may not see, or of a role whose
-- connections the caller may not end (as for pg_terminate_backend()).
-- Errors: 22004 NULL; 22023 negative idle_for, or in_transaction without an
-- application; 42704 no such role; 3D000 no such database.
-- Source: SQLAlchemy, Engine.dispose and pool_recycle.
CREATE FUNCTION algo_ref.pool_dispose(application_name text DEFAULT NULL, idle_for interval DEFAULT '5 min',
  role name DEFAULT NULL, database name DEFAULT pg_catalog.current_database(), dry_run boolean DEFAULT false,
  in_transaction boolean DEFAULT false)
RETURNS TABLE (pid int, application_name text, role name, database name, client_address inet, state text,
  idle_for interval, outcome text, reason text)
AS 'MODULE_PATHNAME', 'algo_ref_pool_dispose'
LANGUAGE C VOLATILE PARALLEL UNSAFE;

COMMENT ON FUNCTION algo_ref.pool_dispose(text, interval, name, name, boolean, boolean) IS
  'end idle connections that the caller may end; what was ended, and what not and why';

REVOKE ALL ON FUNCTION algo_ref.pool_dispose(text, interval, name, name, boolean, boolean) FROM PUBLIC;

-- Do an application's pools fit the server?
--
-- pool_size             as given to create_engine(); 0: no limit
-- max_overflow          likewise; -1: no limit
-- processes             processes of the application, each with a pool
-- role                  that the application connects as
-- database              that it connects to
-- application_name      connections that this application holds now are not
--                       counted as others': the budget is instead of them
-- pgbouncer_processes   0: the application connects to the server itself;
--                       otherwise to so many processes of pgbouncer, and the
--                       rest is what their pgbouncer.ini says, with its defaults:
-- default_pool_size     server connections of a role and database
-- reserve_pool_size     and so many more when clients wait
-- max_db_connections    bound of server connections to a database; 0: none
-- max_user_connections  bound of server connections of a role; 0: none
-- max_client_conn       bound of client connections of one process
-- pool_mode             'session', 'transaction' or 'statement'.  Where a client
--                       keeps its server connection ('session'), there have to be
--                       as many of those as clients; otherwise clients take turns.
--
-- Returns a row for each limit that applies, the tightest first: what it
-- allows, what others use of it now, what the application needs at most, what
-- is left then (negative: lacking), whether it fits, and the largest pool_size
-- that would (with the same max_overflow), and the largest max_overflow (with
-- the same pool_size); NULL if none does, or if the limit does not depend on
-- them.  needed and remaining are NULL where a pool has no limit: that never fits.
-- Errors: 22004 NULL; 22023 a number out of range, or no such mode; 42704 no
-- such role; 3D000 no such database.
-- Source: SQLAlchemy, QueuePool; pgbouncer's configuration.
CREATE FUNCTION algo_ref.connection_budget(pool_size int DEFAULT 5, max_overflow int DEFAULT 10, processes int DEFAULT 1,
  role name DEFAULT SESSION_USER, database name DEFAULT pg_catalog.current_database(), application_name text DEFAULT NULL,
  pgbouncer_processes int DEFAULT 0, default_pool_size int DEFAULT 20, reserve_pool_size int DEFAULT 0,
  max_db_connections int DEFAULT 0, max_user_connections int DEFAULT 0, max_client_conn int DEFAULT 100,
  pool_mode text DEFAULT 'transaction')
RETURNS TABLE (limited_by text, allowed int, used_by_others int, needed bigint, remaining bigint, fits boolean,
  largest_pool_size int, largest_max_overflow int)
AS 'MODULE_PATHNAME', 'algo_ref_connection_budget'
LANGUAGE C STABLE PARALLEL UNSAFE;

COMMENT ON FUNCTION algo_ref.connection_budget(int, int, int, name, name, text, int, int, int, int, int, int, text) IS
  'whether an application''s pools fit the limits of the server, and the largest that do';

-- Transactions ---------------------------------------------------------------

-- Run statements in one transaction, and again from the start if it failed for
-- the sake of others: serialization failure, deadlock.
--
-- body                SQL; :name stands for a parameter.  No transaction control,
--                     no COPY from or to the client, nothing that refuses to run
--                     inside a transaction
-- isolation           'read committed', 'repeatable read' or 'serializable';
--                     NULL: default_transaction_isolation
-- retries             how often to begin again
-- parameters          an object with a value for each :name of the body.  Values
--                     are bound, each with the type that its place wants; an array
--                     may stand where one is wanted, an object for json or jsonb
-- retry_lock_timeout  begin again also after lock_timeout or NOWAIT (55P03)
-- backoff             rest before the second attempt, with a random half more or
--                     less; doubled before each further one, up to a second
-- attempts, rows_processed   to be left out.  The result: which attempt
--                     succeeded, and how many rows its statements returned or
--                     changed, all added up
--
-- A NOTICE announces each further attempt.  When it gives up, the last error is
-- raised as it was.  Runs with the caller's rights.  Commits by itself, so it
-- cannot be called inside a transaction block, nor in a procedure after
-- changes that are not committed.
-- Errors: 22004 NULL; 22023 argument out of range or unused parameter; 42P02
-- parameter without a value; 42P18 parameter whose type the place does not tell;
-- 0A000 transaction control or COPY in the body; 25001 in a transaction; and
-- those of the body.
CREATE PROCEDURE algo_ref.transaction(body text, isolation text DEFAULT NULL, retries int DEFAULT 5,
  parameters jsonb DEFAULT NULL, retry_lock_timeout boolean DEFAULT false, backoff interval DEFAULT '10 ms',
  INOUT attempts int DEFAULT NULL, INOUT rows_processed bigint DEFAULT NULL)
AS 'MODULE_PATHNAME', 'algo_ref_transaction'
LANGUAGE C;

COMMENT ON PROCEDURE algo_ref.transaction(text, text, int, jsonb, boolean, interval, int, bigint) IS
  'run statements in one transaction, again after a serialization failure or deadlock';

REVOKE ALL ON PROCEDURE algo_ref.transaction(text, text, int, jsonb, boolean, interval, int, bigint) FROM PUBLIC;

-- Indexes --------------------------------------------------------------------

-- What is wrong with the indexes of a schema, and the statements that mend it.
--
-- schema        NULL: every schema but the system's and ours
-- concurrently  write statements that do not lock writers out where there are
--               such; they need the deploy door
--
-- Returns a row for each problem, by problem and size:
--
-- foreign key without index   deleting or changing a referenced row reads all
--                             of the referencing table
-- duplicate index             another does the same
-- redundant index             its columns are the first ones of another
-- unused index                no scan was counted since the statistics began;
--                             look at the standbys, too: each counts its own
-- invalid index               of a build that failed; is kept up, never read
--
-- relation and index say which (index is the one that is missing for the
-- first kind, then NULL), size_bytes is that of the index, or, where one is
-- missing, of the table.  upgrade mends it and downgrade is the way back, ready
-- for algo_ref.revision(); an invalid index needs none.  Never proposed for
-- removal: primary keys, unique indexes that are the only ones of their kind,
-- what constraints or foreign keys need, replica identities, parts of
-- partitioned indexes.
-- Errors: 3F000 no such schema.
CREATE FUNCTION algo_ref.index_advice(schema name DEFAULT pg_catalog.current_schema(), concurrently boolean DEFAULT false)
RETURNS TABLE (problem text, relation regclass, index regclass, size_bytes bigint, detail text, upgrade text, downgrade text)
LANGUAGE sql STABLE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
  WITH namespace AS MATERIALIZED (
    SELECT n.oid, n.nspname FROM pg_namespace n
    WHERE CASE WHEN index_advice.schema IS NULL
      THEN n.nspname NOT LIKE 'pg\_%' AND n.nspname NOT IN ('information_schema', 'algo_ref')
      ELSE n.oid = quote_ident(index_advice.schema)::regnamespace END),
  tab AS MATERIALIZED (
    SELECT c.oid, c.relname, c.relkind, c.relnamespace, n.nspname
    FROM pg_class c JOIN namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'm')
      AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')),
  -- every index by what it does: each key column with its operator class, collation and order
  idx AS MATERIALIZED (
    SELECT i.indexrelid, i.indrelid, c.relname, c.relkind, t.relkind AS table_kind, t.nspname, am.amname,
      i.indisunique, i.indisprimary, i.indisexclusion, i.indisreplident, i.indimmediate, i.indnullsnotdistinct,
      i.indisvalid AND i.indisready AND i.indislive AS usable,
      (i.indkey::int2[])[0:i.indnkeyatts - 1] AS key_columns, i.indkey::int2[] AS columns,
      ARRAY(SELECT concat_ws(' ', pg_get_indexdef(i.indexrelid, k, false), i.indclass[k - 1], i.indcollation[k - 1], i.indoption[k - 1], a.attoptions::text)
        FROM generate_series(1, i.indnkeyatts) AS k
        JOIN pg_attribute a ON a.attrelid = i.indexrelid AND a.attnum = k ORDER BY k) AS keys,
      pg_get_expr(i.indpred, i.indrelid) AS predicate,
      con.oid AS constraint_oid, con.conname, con.contype,
      EXISTS (SELECT FROM pg_constraint f WHERE f.contype = 'f' AND f.conindid = i.indexrelid) AS referenced,
      format('%I.%I', t.nspname, c.relname) AS qualified,
      d.definition, d.definition_concurrently
    FROM tab t
    JOIN pg_index i ON i.indrelid = t.oid
    JOIN pg_class c ON c.oid = i.indexrelid AND NOT c.relispartition
    JOIN pg_am am ON am.oid = c.relam
    LEFT JOIN pg_constraint con ON con.conindid = i.indexrelid AND con.conrelid = i.indrelid AND con.contype IN ('p', 'u', 'x'),
    -- a partitioned index is described as ON ONLY, but meant for all partitions
    LATERAL (SELECT pg_get_indexdef(i.indexrelid) AS text, CASE WHEN i.indisunique THEN 'CREATE UNIQUE INDEX ' ELSE 'CREATE INDEX ' END AS command) AS s,
    LATERAL (SELECT CASE WHEN c.relkind = 'I'
        THEN s.command || quote_ident(c.relname) || ' ON ' || substr(s.text, length(s.command || quote_ident(c.relname) || ' ON ONLY ') + 1)
        ELSE s.text END AS definition,
      CASE WHEN index_advice.concurrently AND c.relkind = 'i' THEN s.command || 'CONCURRENTLY ' || substr(s.text, length(s.command) + 1) END AS definition_concurrently) AS d),
  foreign_key AS (
    SELECT DISTINCT ON (con.conrelid, k.sorted) con.oid, con.conname, con.conrelid, con.confrelid, t.relname, t.relkind, t.nspname, t.relnamespace, con.conkey, k.sorted,
      ARRAY(SELECT a.attname FROM unnest(con.conkey) WITH ORDINALITY AS u (attnum, n)
        JOIN pg_attribute a ON a.attrelid = con.conrelid AND a.attnum = u.attnum ORDER BY u.n) AS names
    FROM pg_constraint con JOIN tab t ON t.oid = con.conrelid,
      LATERAL (SELECT ARRAY(SELECT u FROM unnest(con.conkey) AS u ORDER BY u) AS sorted) AS k
    WHERE con.contype = 'f' AND con.conparentid = 0
    ORDER BY con.conrelid, k.sorted, con.conname COLLATE "C"),
  support AS MATERIALIZED (
    SELECT f.oid, i.indexrelid
    FROM foreign_key f JOIN idx i ON i.indrelid = f.conrelid
    WHERE i.usable AND (i.amname = 'btree' OR i.amname = 'hash' AND cardinality(f.conkey) = 1)
      AND f.sorted = ARRAY(SELECT u FROM unnest(i.key_columns[1:cardinality(f.conkey)]) AS u ORDER BY u)
      AND (i.predicate IS NULL OR i.predicate IN (SELECT format('(%I IS NOT NULL)', u) FROM unnest(f.names) AS u))),
  unsupported AS (
    SELECT f.*, row_number() OVER (PARTITION BY f.relnamespace, b.base ORDER BY f.conname COLLATE "C") AS n, b.base
    FROM foreign_key f, LATERAL (SELECT left(concat_ws('_', f.relname, array_to_string(f.names, '_')), 50) AS base) AS b
    WHERE NOT EXISTS (SELECT FROM support s WHERE s.oid = f.oid)),
  missing AS (
    SELECT 'foreign key without index' AS problem, u.conrelid AS relation, NULL::oid AS index,
      (SELECT sum(pg_relation_size(p.oid))::bigint FROM (SELECT u.conrelid AS oid UNION SELECT pt.relid FROM pg_partition_tree(u.conrelid) pt) AS p) AS size_bytes,
      format('constraint %I refers to %s', u.conname, u.confrelid::regclass) AS detail,
      format('CREATE INDEX %s%I ON %I.%I (%s)', CASE WHEN index_advice.concurrently AND u.relkind = 'r' THEN 'CONCURRENTLY ' ELSE '' END,
        free.name, u.nspname, u.relname, (SELECT string_agg(quote_ident(c), ', ' ORDER BY n) FROM unnest(u.names) WITH ORDINALITY AS c (c, n))) AS upgrade,
      format('DROP INDEX %s%I.%I', CASE WHEN index_advice.concurrently AND u.relkind = 'r' THEN 'CONCURRENTLY ' ELSE '' END, u.nspname, free.name) AS downgrade
    FROM unsupported u,
      LATERAL (SELECT c.name FROM generate_series(0, u.n + 1000) AS g,
          LATERAL (SELECT u.base || '_idx' || CASE WHEN g = 0 THEN '' ELSE g::text END AS name) AS c
        WHERE NOT EXISTS (SELECT FROM pg_class x WHERE x.relnamespace = u.relnamespace AND x.relname = c.name)
        ORDER BY g OFFSET u.n - 1 LIMIT 1) AS free),
  -- "other" does all that the index does
  covered AS (
    SELECT i.indexrelid, o.indexrelid AS other, o.qualified AS other_name, o.relname AS other_relname, i.keys = o.keys AS same,
      row_number() OVER (PARTITION BY i.indexrelid ORDER BY i.keys = o.keys DESC, o.constraint_oid IS NOT NULL DESC, o.indisunique DESC, o.indexrelid) AS n
    FROM idx i JOIN idx o ON o.indrelid = i.indrelid AND o.indexrelid <> i.indexrelid AND o.amname = i.amname
    WHERE i.usable AND o.usable
      AND NOT i.indisprimary AND NOT i.indisexclusion AND NOT i.indisreplident AND NOT i.referenced
      AND i.predicate IS NOT DISTINCT FROM o.predicate
      AND i.columns <@ o.columns
      AND CASE
        WHEN i.indisunique THEN i.keys = o.keys AND o.indisunique AND o.indimmediate >= i.indimmediate AND o.indnullsnotdistinct = i.indnullsnotdistinct
          AND (i.constraint_oid IS NULL OR o.constraint_oid IS NOT NULL)
        WHEN i.keys = o.keys THEN true
        ELSE i.amname = 'btree' AND i.keys = o.keys[1:cardinality(i.keys)] END
      -- of two that do the same, one stays
      AND NOT (i.keys = o.keys AND o.columns <@ i.columns AND o.indisunique = i.indisunique AND o.indimmediate = i.indimmediate
        AND NOT o.indisprimary AND NOT o.indisexclusion AND NOT o.indisreplident AND NOT o.referenced
        AND (o.constraint_oid IS NULL) = (i.constraint_oid IS NULL) AND o.indexrelid > i.indexrelid)),
  superfluous AS (
    SELECT CASE WHEN c.same THEN 'duplicate index' ELSE 'redundant index' END AS problem, i.indrelid AS relation, i.indexrelid AS index,
      format(CASE WHEN c.same THEN '%s does the same' ELSE '%s begins with its columns' END, c.other_name) AS detail,
      i.*
    FROM covered c JOIN idx i ON i.indexrelid = c.indexrelid
    WHERE c.n = 1),
  leaf AS (
    SELECT i.indexrelid, l.relid FROM idx i, LATERAL (SELECT i.indexrelid AS relid UNION SELECT p.relid FROM pg_partition_tree(i.indexrelid) p) AS l),
  size AS MATERIALIZED (
    SELECT l.indexrelid, sum(pg_relation_size(l.relid))::bigint AS bytes, coalesce(sum(pg_stat_get_numscans(l.relid)), 0) AS scans
    FROM leaf l GROUP BY l.indexrelid),
  unused AS (
    SELECT 'unused index' AS problem, i.indrelid AS relation, i.indexrelid AS index,
      'never scanned since the statistics ' || coalesce((SELECT 'were reset at ' || d.stats_reset FROM pg_stat_database d
        WHERE d.datname = current_database()), 'began') AS detail, i.*
    FROM idx i JOIN size s ON s.indexrelid = i.indexrelid
    WHERE i.usable AND s.scans = 0 AND NOT i.indisunique AND NOT i.indisexclusion AND NOT i.indisreplident AND i.constraint_oid IS NULL
      -- one that takes another's place will be used in it
      AND NOT EXISTS (SELECT FROM covered c WHERE i.indexrelid IN (c.indexrelid, c.other))
      AND NOT EXISTS (SELECT FROM support f WHERE f.indexrelid = i.indexrelid)),
  removable AS (
    SELECT r.problem, r.relation, r.index, s.bytes, r.detail,
      CASE WHEN r.constraint_oid IS NOT NULL THEN format('ALTER TABLE %s DROP CONSTRAINT %I', r.indrelid::regclass, r.conname)
        ELSE format('DROP INDEX %s%s', CASE WHEN index_advice.concurrently AND r.relkind = 'i' THEN 'CONCURRENTLY ' ELSE '' END, r.qualified) END,
      CASE WHEN r.constraint_oid IS NOT NULL THEN format('ALTER TABLE %s ADD CONSTRAINT %I %s', r.indrelid::regclass, r.conname, pg_get_constraintdef(r.constraint_oid))
        ELSE coalesce(r.definition_concurrently, r.definition) END
    FROM (SELECT * FROM superfluous UNION ALL SELECT * FROM unused) AS r JOIN size s ON s.indexrelid = r.indexrelid),
  invalid AS (
    SELECT 'invalid index', i.indrelid, i.indexrelid, s.bytes,
      CASE WHEN leftover.yes THEN 'left by REINDEX CONCURRENTLY'
        WHEN i.relkind = 'I' THEN 'not every partition has its part' ELSE 'its build has failed' END,
      CASE WHEN leftover.yes THEN format('DROP INDEX %s%s', CASE WHEN index_advice.concurrently THEN 'CONCURRENTLY ' ELSE '' END, i.qualified)
        WHEN i.relkind = 'I' THEN format('DROP INDEX %s; %s', i.qualified, i.definition)
        ELSE format('REINDEX INDEX %s%s', CASE WHEN index_advice.concurrently THEN 'CONCURRENTLY ' ELSE '' END, i.qualified) END,
      ''
    FROM idx i JOIN size s ON s.indexrelid = i.indexrelid,
      LATERAL (SELECT i.relkind = 'i' AND i.relname ~ '_cc(new|old)[0-9]*$' AS yes) AS leftover
    WHERE NOT i.usable
      -- not one that is being built
      AND NOT EXISTS (SELECT FROM pg_locks l WHERE l.locktype = 'relation' AND l.relation = i.indrelid AND l.mode = 'ShareUpdateExclusiveLock'
        AND l.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database()))),
  advice (problem, relation, index, size_bytes, detail, upgrade, downgrade) AS (
    SELECT * FROM missing UNION ALL SELECT * FROM removable UNION ALL SELECT * FROM invalid)
  SELECT a.problem, a.relation::regclass, a.index::regclass, a.size_bytes, a.detail, a.upgrade, a.downgrade
  FROM advice a
  ORDER BY array_position('{foreign key without index,duplicate index,redundant index,unused index,invalid index}', a.problem),
    a.size_bytes DESC, a.upgrade COLLATE "C"
$$;

COMMENT ON FUNCTION algo_ref.index_advice(name, boolean) IS
  'indexes that are missing, superfluous, unused or invalid, with the statements that mend it';
