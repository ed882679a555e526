-- Connections, budgets and transactions: what they do for those who may.
SET client_min_messages = warning;
DROP ROLE IF EXISTS regress_algo_ref_app, "regress_algo_ref Odd";
RESET client_min_messages;
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS algo_ref CASCADE;
RESET client_min_messages;
CREATE EXTENSION algo_ref;
SET application_name = 'regress session';

--
-- Who is connected
--

SELECT application_name, role = session_user AS role, database = current_database() AS database, state, blocked_by, blocking_chain,
  connected_at <= transaction_since AS connected, snapshot_age, query LIKE 'SELECT application_name%' AS query
FROM algo_ref.connection WHERE pid = pg_backend_pid();
SELECT count(*) FILTER (WHERE pid IS NULL) AS others, bool_and((pid IS NOT NULL) = (kind = 'connection')) AS pids_of_connections,
  (array_agg(pid) @> ARRAY[pg_backend_pid()]) AS me
FROM algo_ref.processes() WHERE kind <> 'other' AND kind NOT LIKE '%worker';
SELECT application_name, connections, active, idle, idle_in_transaction, unknown, waiting, active_since IS NOT NULL AS active_since,
  idle_in_transaction_since, transaction_since IS NOT NULL AS transaction_since, waiting_for, oldest_connection > '0' AS age, limited_by
FROM algo_ref.pool_status() WHERE application_name = 'regress session';
-- in a transaction, what was read stays as it was
BEGIN;
SELECT connections FROM algo_ref.pool_status() WHERE application_name = 'regress session';
SET LOCAL application_name = 'another';
SELECT count(*) FROM algo_ref.pool_status() WHERE application_name = 'another';
COMMIT;
SELECT algo_ref.pool_status('text') ~ '^Pool size: \d+  Connections in pool: \d+ Current Overflow: -?\d+ Current Checked out connections: [1-9]\d*$' AS as_sqlalchemy;
SELECT algo_ref.blocking_chain(pg_backend_pid()), algo_ref.blocking_chain(-1), algo_ref.blocking_chain(NULL);

--
-- Limits
--

CREATE ROLE regress_algo_ref_app LOGIN CONNECTION LIMIT 3;
CREATE ROLE "regress_algo_ref Odd" LOGIN CONNECTION LIMIT 0;
SELECT kind, name, used, allowed, remaining FROM algo_ref.connection_limits() WHERE kind = 'role' AND name LIKE 'regress_algo_ref%';
SELECT kind, bool_and(used >= 0) AS used, bool_and(remaining = greatest(allowed - used, 0)) AS remaining, bool_or(used > 0) AS any_used
FROM algo_ref.connection_limits() WHERE kind IN ('connections', 'workers') GROUP BY kind ORDER BY kind;
SELECT min(allowed) = current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
  - coalesce(current_setting('reserved_connections', true)::int, 0) AS least, max(allowed) = current_setting('max_connections')::int AS most
FROM algo_ref.connection_limits() WHERE kind = 'connections';

--
-- Does it fit?
--

-- SQLAlchemy's defaults
SELECT limited_by, allowed - used_by_others - needed = remaining AS adds_up, needed, fits, largest_pool_size = remaining + 5 AS pool, largest_max_overflow = remaining + 10 AS overflow
FROM algo_ref.connection_budget(application_name => 'regress session');
-- one role may have three
SELECT limited_by, allowed, used_by_others, needed, remaining, fits, largest_pool_size, largest_max_overflow
FROM algo_ref.connection_budget(2, 1, role => 'regress_algo_ref_app') WHERE limited_by LIKE 'role%';
SELECT limited_by, allowed, used_by_others, needed, remaining, fits, largest_pool_size, largest_max_overflow
FROM algo_ref.connection_budget(1, 0, 4, role => 'regress_algo_ref_app') WHERE limited_by LIKE 'role%';
SELECT limited_by, allowed, used_by_others, needed, remaining, fits, largest_pool_size, largest_max_overflow
FROM algo_ref.connection_budget(1, 3, 1, role => 'regress_algo_ref_app') WHERE limited_by LIKE 'role%';
SELECT limited_by, allowed, used_by_others, needed, remaining, fits, largest_pool_size, largest_max_overflow
FROM algo_ref.connection_budget(1, 0, role => 'regress_algo_ref Odd') WHERE limited_by LIKE 'role%';
-- pools without an end never fit
SELECT limited_by, needed, remaining, fits, largest_pool_size, largest_max_overflow
FROM algo_ref.connection_budget(2, -1, role => 'regress_algo_ref_app') WHERE limited_by LIKE 'role%';
SELECT limited_by, needed, remaining, fits, largest_pool_size, largest_max_overflow
FROM algo_ref.connection_budget(0, 1, role => 'regress_algo_ref_app') WHERE limited_by LIKE 'role%';
-- roles and databases that cannot be connected to
ALTER ROLE "regress_algo_ref Odd" NOLOGIN CONNECTION LIMIT -1;
SELECT limited_by, allowed, remaining, fits FROM algo_ref.connection_budget(role => 'regress_algo_ref Odd', database => 'template0') WHERE allowed = 0;
-- all limits bind an ordinary role; superusers are bound by one
SELECT count(*) AS limits, bool_or(limited_by LIKE 'max_connections - superuser_reserved_connections%') AS reserved
FROM algo_ref.connection_budget(role => 'regress_algo_ref_app');
SELECT count(*) AS limits, bool_or(limited_by = 'max_connections') AS all_slots FROM algo_ref.connection_budget();
-- behind pgbouncer the server sees what pgbouncer opens, whatever the pools are
SELECT limited_by, allowed, needed, remaining, fits, largest_pool_size, largest_max_overflow
FROM algo_ref.connection_budget(5, 10, 20, role => 'regress_algo_ref_app', pgbouncer_processes => 2, default_pool_size => 2, max_client_conn => 140)
WHERE limited_by NOT LIKE 'max_connections%';
SELECT limited_by, allowed, needed, remaining, fits, largest_pool_size, largest_max_overflow
FROM algo_ref.connection_budget(5, 10, 20, role => 'regress_algo_ref_app', pgbouncer_processes => 1, default_pool_size => 20, reserve_pool_size => 5,
  max_db_connections => 10, max_user_connections => 3, max_client_conn => 1000, pool_mode => 'session')
WHERE limited_by NOT LIKE 'max_connections%';

--
-- Disposing: alone here, there is nothing to end
--

SELECT application_name, state, idle_for, outcome, reason FROM algo_ref.pool_dispose('regress session', '0');
SELECT outcome, reason FROM algo_ref.pool_dispose('regress session', '0', dry_run => true);
SELECT outcome, reason FROM algo_ref.pool_dispose('regress session', '0', session_user, NULL, in_transaction => true);
SELECT count(*) FROM algo_ref.pool_dispose('no such application');

--
-- Transactions
--

CREATE TABLE account (id int PRIMARY KEY, owner text, balance numeric(12, 2) NOT NULL CHECK (balance >= 0), tags text[], data jsonb);
CREATE TABLE seen (what text);
CREATE SEQUENCE attempt;
-- fails as if for the sake of others, the first times in a row
CREATE FUNCTION fail(times int, code text DEFAULT '40001') RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  IF nextval('attempt') <= times THEN
    RAISE EXCEPTION USING ERRCODE = code, MESSAGE = 'failure ' || currval('attempt'), DETAIL = 'A detail.', HINT = 'A hint.';
  END IF;
END $$;
CALL algo_ref.transaction('INSERT INTO account VALUES (1, ''a'', 100), (2, ''b'', 50); UPDATE account SET tags = ''{}'';');
CALL algo_ref.transaction('');
CALL algo_ref.transaction(' ; -- nothing');
-- the level holds for the one transaction
CALL algo_ref.transaction('INSERT INTO seen VALUES (current_setting(''transaction_isolation''))', 'Serializable');
CALL algo_ref.transaction('INSERT INTO seen VALUES (current_setting(''transaction_isolation''))', 'repeatable read');
CALL algo_ref.transaction('INSERT INTO seen VALUES (current_setting(''transaction_isolation''))');
SET default_transaction_isolation = 'repeatable read';
CALL algo_ref.transaction('INSERT INTO seen VALUES (current_setting(''transaction_isolation''))');
CALL algo_ref.transaction('INSERT INTO seen VALUES (current_setting(''transaction_isolation''))', 'read committed');
RESET default_transaction_isolation;
SELECT string_agg(what, ', ') FROM seen;
SHOW transaction_isolation;
TRUNCATE seen;

-- parameters: with the type that the place wants
CALL algo_ref.transaction(
  'UPDATE account SET balance = balance - :amount WHERE id = :from;
   UPDATE account SET balance = balance + :amount WHERE id = :to', 'serializable',
  parameters => '{"from": 1, "to": "2", "amount": 12.50}');
SELECT id, balance FROM account ORDER BY id;
CALL algo_ref.transaction('INSERT INTO account VALUES (:id, :owner, :balance, :tags, :data)',
  parameters => '{"id": 3, "owner": "c''; DROP TABLE account; --", "balance": 1e2, "tags": ["x", "y \"z\\", null, "NULL", "{"], "data": {"k": [1, null]}}');
SELECT owner, balance, tags, data FROM account WHERE id = 3;
CALL algo_ref.transaction('INSERT INTO account VALUES (:id, :n, 0, :tags, :data), (:id + 1, :n, 0, :empty, :scalar)',
  parameters => '{"id": 4, "n": null, "tags": null, "data": null, "empty": [], "scalar": "text"}');
SELECT * FROM account WHERE id IN (4, 5);
CALL algo_ref.transaction('DELETE FROM account WHERE id = ANY (:ids)', parameters => '{"ids": [4, 5, 6]}');
-- several dimensions, booleans, objects in arrays
CALL algo_ref.transaction('INSERT INTO seen SELECT (:a)::int[]::text; INSERT INTO seen SELECT CAST(:b AS boolean)::text; INSERT INTO seen SELECT CAST(:c AS jsonb[])::text',
  parameters => '{"a": [[1, 2], [3, 4]], "b": false, "c": [{"k": "v"}, "s"]}');
SELECT what FROM seen;
TRUNCATE seen;
-- what is no parameter: casts, strings, comments, quoted names, slices; names are case-sensitive and as long as they are
CALL algo_ref.transaction($$INSERT INTO seen VALUES (':a' || ' :a'::text /* :a */ || (ARRAY['u', 'v', 'w'])[1:2]::text || E'\':a' || $q$:a$q$ || :a || :A || :a1) -- :a$$,
  parameters => '{"a": "1", "A": "2", "a1": "3"}');
SELECT what FROM seen;
TRUNCATE seen;
-- ten and more, and the same ones again
CALL algo_ref.transaction('INSERT INTO seen VALUES (concat(:a::text, :b::text, :c::text, :d::text, :e::text, :f::text, :g::text, :h::text, :i::text, :j::text, :k::text, :a::text))',
  parameters => '{"a": "a", "b": "b", "c": "c", "d": "d", "e": "e", "f": "f", "g": "g", "h": "h", "i": "i", "j": "j", "k": "k"}');
SELECT what FROM seen;
TRUNCATE seen;

-- it begins again
CALL algo_ref.transaction('INSERT INTO seen VALUES (''once''); SELECT fail(2)', backoff => '1 ms');
SELECT what FROM seen;
SELECT setval('attempt', 1, false);
CALL algo_ref.transaction('SELECT fail(1, ''40P01'')', 'serializable', backoff => '0');
-- not so often
SELECT setval('attempt', 1, false);
CALL algo_ref.transaction(E'INSERT INTO seen VALUES (''never'');\n\n SELECT fail(9)', retries => 2, backoff => '0');
SELECT what FROM seen;
SELECT setval('attempt', 1, false);
CALL algo_ref.transaction('SELECT fail(9)', retries => 0);
-- only if asked
SELECT setval('attempt', 1, false);
CALL algo_ref.transaction('SELECT fail(1, ''55P03'')');
SELECT setval('attempt', 1, false);
CALL algo_ref.transaction('SELECT fail(1, ''55P03'')', retry_lock_timeout => true, backoff => '1 ms');
-- and not for what would fail again
SELECT setval('attempt', 1, false);
CALL algo_ref.transaction('SELECT fail(1, ''23514'')');
CALL algo_ref.transaction('UPDATE account SET balance = balance + 1; UPDATE account SET balance = balance - :amount WHERE id = 2', parameters => '{"amount": 1000}');
SELECT id, balance FROM account ORDER BY id;
-- what fails at the commit, too
CREATE FUNCTION fail_late() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM fail(2, TG_ARGV[0]); RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER late AFTER INSERT ON seen DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION fail_late('40001');
SELECT setval('attempt', 1, false);
CALL algo_ref.transaction('INSERT INTO seen VALUES (''late'')', backoff => '0');
SELECT setval('attempt', 1, false);
CALL algo_ref.transaction('INSERT INTO seen VALUES (''too late'')', retries => 1, backoff => '0');
DROP TRIGGER late ON seen;
CREATE CONSTRAINT TRIGGER late AFTER INSERT ON seen DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION fail_late('23514');
SELECT setval('attempt', 1, false);
CALL algo_ref.transaction('INSERT INTO seen VALUES (''never'')');
DROP TRIGGER late ON seen;
SELECT what FROM seen;
TRUNCATE seen;

-- any statement of SQL; tables that it makes itself, with parameters
CALL algo_ref.transaction('CREATE TABLE made AS SELECT CAST(:x AS int) AS x; INSERT INTO made VALUES (:x); DO ''BEGIN NULL; END''; DROP TABLE made', parameters => '{"x": 7}');
-- a SET is that of the transaction: it stays if that commits
CALL algo_ref.transaction('SET algo_test.a = ''set''; SET LOCAL algo_test.b = ''local''');
SELECT current_setting('algo_test.a') AS a, current_setting('algo_test.b') AS b;
CALL algo_ref.transaction('SET algo_test.a = ''undone''; SELECT 1 / 0');
SELECT current_setting('algo_test.a') AS a;
-- from PL/pgSQL
DO $$
DECLARE
  a int;
  r bigint;
BEGIN
  FOR i IN 1..3 LOOP
    CALL algo_ref.transaction('INSERT INTO seen VALUES (:i)', parameters => jsonb_build_object('i', i), attempts => a, rows_processed => r);
    RAISE NOTICE 'attempts %, rows %', a, r;
  END LOOP;
END $$;
SELECT what FROM seen ORDER BY what;
-- a long body does not stay in memory
CALL algo_ref.transaction(repeat('SELECT length(repeat(:x, 1000));', 2000), parameters => '{"x": "y"}');

--
-- Indexes
--

CREATE SCHEMA idx;
SET search_path = idx;
CREATE TABLE parent (id int PRIMARY KEY, a int, b int, UNIQUE (a, b));
SELECT * FROM algo_ref.index_advice();
-- foreign keys: each way to support one
CREATE TABLE child (id int PRIMARY KEY, none int REFERENCES parent, plain int REFERENCES parent, hashed int REFERENCES parent, partly int REFERENCES parent,
  behind int REFERENCES parent, part int REFERENCES parent, a int, b int, CONSTRAINT pair FOREIGN KEY (a, b) REFERENCES parent (a, b));
CREATE INDEX ON child (plain, id);
CREATE INDEX ON child USING hash (hashed);
CREATE INDEX ON child (partly) WHERE partly IS NOT NULL;
CREATE INDEX ON child (id, behind);
CREATE INDEX ON child (part) WHERE id > 0;
CREATE INDEX ON child (b, a, id);
SELECT problem, relation, index, detail, upgrade, downgrade FROM algo_ref.index_advice() WHERE problem = 'foreign key without index';
SELECT upgrade, downgrade FROM algo_ref.index_advice(concurrently => true) WHERE problem = 'foreign key without index';
SELECT count(*) FROM algo_ref.index_advice('public') WHERE relation = 'child'::regclass;
SELECT count(*) FROM algo_ref.index_advice(NULL) WHERE relation = 'child'::regclass AND problem = 'foreign key without index';
-- what it says, a revision does, and it is content
SELECT algo_ref.revision('indexes', string_agg(upgrade, '; '), string_agg(downgrade, '; '), id => 'advice01', revises => '{}')
FROM algo_ref.index_advice() WHERE problem = 'foreign key without index';
SELECT revision FROM algo_ref.upgrade('advice01');
SELECT count(*) FROM algo_ref.index_advice() WHERE problem = 'foreign key without index';
SELECT revision FROM algo_ref.downgrade('advice01@base');
SELECT count(*) FROM algo_ref.index_advice() WHERE problem = 'foreign key without index';
SELECT algo_ref.delete_revision('advice01');
DROP TABLE child;
-- names that are taken, odd or long
CREATE TABLE "Odd "" child" ("The parent" int REFERENCES parent, x_y int REFERENCES parent);
CREATE TABLE "Odd "" child_x" (y int REFERENCES parent);
CREATE TABLE "Odd "" child_The parent_idx" ();
CREATE TABLE a_name_that_is_quite_long_for_a_table_but_not_too_long (a_name_that_is_quite_long_for_a_column_but_not_too_long int REFERENCES parent);
SELECT upgrade, downgrade FROM algo_ref.index_advice() ORDER BY upgrade COLLATE "C";
DO $$
DECLARE
  r record;
BEGIN
  FOR r IN SELECT * FROM algo_ref.index_advice() WHERE problem = 'foreign key without index' LOOP
    EXECUTE r.upgrade;
  END LOOP;
END $$;
SELECT count(*) FROM algo_ref.index_advice() WHERE problem = 'foreign key without index';
DROP TABLE "Odd "" child", "Odd "" child_x", "Odd "" child_The parent_idx", a_name_that_is_quite_long_for_a_table_but_not_too_long;
-- duplicates and what is redundant: the one that matters stays
CREATE TABLE d (id int PRIMARY KEY, u int UNIQUE, v int, w text, x int);
CREATE INDEX d_pk ON d (id);
CREATE UNIQUE INDEX d_pk_unique ON d (id);
CREATE INDEX d_u ON d (u);
CREATE INDEX d_v1 ON d (v);
CREATE INDEX d_v2 ON d (v);
CREATE INDEX d_vx ON d (v, x);
CREATE INDEX d_v_desc ON d (v DESC);
CREATE INDEX d_v_some ON d (v) WHERE x > 0;
CREATE INDEX d_w ON d (w);
CREATE INDEX d_w_pattern ON d (w text_pattern_ops);
CREATE INDEX d_w_c ON d (w COLLATE "C");
CREATE INDEX d_lower1 ON d (lower(w));
CREATE INDEX d_lower2 ON d (lower(w), v);
CREATE INDEX d_x ON d (x);
CREATE INDEX d_x_include ON d (x) INCLUDE (w);
CREATE INDEX d_hash1 ON d USING hash (x);
CREATE INDEX d_hash2 ON d USING hash (x);
ALTER TABLE d ADD CONSTRAINT d_u_again UNIQUE (u);
ALTER TABLE d ADD CONSTRAINT d_u_late UNIQUE (u) DEFERRABLE;
CREATE TABLE refers (u int PRIMARY KEY REFERENCES d (u));
SELECT problem, index, detail, upgrade, downgrade FROM algo_ref.index_advice() WHERE problem LIKE '%t index' ORDER BY index::text COLLATE "C";
SELECT problem, index, detail, upgrade, downgrade FROM algo_ref.index_advice() WHERE problem LIKE 'dup%' OR problem LIKE 'red%' ORDER BY index::text COLLATE "C";
-- done, there is nothing more to say; undone, it is as before
CREATE TABLE before AS SELECT pg_get_indexdef(indexrelid) AS def FROM pg_index WHERE indrelid = 'd'::regclass;
DO $$
DECLARE
  r record;
  downgrade text[];
  statement text;
BEGIN
  FOR r IN SELECT * FROM algo_ref.index_advice() WHERE problem LIKE 'dup%' OR problem LIKE 'red%' LOOP
    EXECUTE r.upgrade;
    downgrade := downgrade || r.downgrade;
  END LOOP;
  RAISE NOTICE 'left: %', (SELECT count(*) FROM algo_ref.index_advice() a WHERE a.problem LIKE 'dup%' OR a.problem LIKE 'red%');
  FOREACH statement IN ARRAY downgrade LOOP
    EXECUTE statement;
  END LOOP;
END $$;
(SELECT pg_get_indexdef(indexrelid) FROM pg_index WHERE indrelid = 'd'::regclass EXCEPT TABLE before) UNION ALL
(TABLE before EXCEPT SELECT pg_get_indexdef(indexrelid) FROM pg_index WHERE indrelid = 'd'::regclass);
DROP TABLE refers, d, before;
-- unused: neither what has been used, nor what is there for more than reading
CREATE TABLE unused (id int PRIMARY KEY, p int REFERENCES parent, a int, b int, c int, EXCLUDE USING btree (c WITH =));
CREATE INDEX unused_p ON unused (p);
CREATE INDEX unused_a ON unused (a);
CREATE INDEX unused_b ON unused (b);
CREATE UNIQUE INDEX unused_ab ON unused (a, b);
SELECT problem, index, size_bytes > 0 AS size, detail LIKE 'never scanned since %' AS detail, upgrade, downgrade FROM algo_ref.index_advice() WHERE problem = 'unused index';
SET enable_seqscan = off;
SET enable_bitmapscan = off;
SELECT count(*) FROM unused WHERE b = 1;
RESET enable_seqscan;
RESET enable_bitmapscan;
SELECT pg_stat_force_next_flush();
SELECT index FROM algo_ref.index_advice() WHERE problem = 'unused index';
SELECT upgrade, downgrade FROM algo_ref.index_advice(concurrently => true) WHERE problem = 'unused index';
DROP TABLE unused;
-- invalid
CREATE TABLE inv (a int, b int);
INSERT INTO inv VALUES (1, 1), (1, 2);
CREATE UNIQUE INDEX CONCURRENTLY inv_a ON inv (a);
CREATE INDEX inv_b ON inv (b);
CREATE INDEX inv_b_ccnew ON inv (b, a);
UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'inv_b_ccnew'::regclass;
SELECT problem, index, detail, upgrade, downgrade FROM algo_ref.index_advice() WHERE problem = 'invalid index' ORDER BY index::text COLLATE "C";
SELECT upgrade FROM algo_ref.index_advice(concurrently => true) WHERE problem = 'invalid index' ORDER BY index::text COLLATE "C";
DELETE FROM inv WHERE b = 2;
DO $$
DECLARE
  r record;
BEGIN
  FOR r IN SELECT * FROM algo_ref.index_advice() WHERE problem = 'invalid index' LOOP
    EXECUTE r.upgrade;
  END LOOP;
END $$;
SELECT count(*) FROM algo_ref.index_advice() WHERE problem = 'invalid index';
DROP TABLE inv;
-- partitions: the whole is looked at, not its parts
CREATE TABLE part (id int, p int REFERENCES parent, q int) PARTITION BY RANGE (id);
CREATE TABLE part1 PARTITION OF part FOR VALUES FROM (0) TO (10);
CREATE TABLE part2 PARTITION OF part FOR VALUES FROM (10) TO (20) PARTITION BY RANGE (id);
CREATE TABLE part21 PARTITION OF part2 FOR VALUES FROM (10) TO (20);
CREATE INDEX part_q ON part (q);
CREATE INDEX part_q_again ON part (q);
CREATE INDEX part_half ON ONLY part (q, id);
SELECT problem, relation, index, regexp_replace(detail, ' statistics .*', '') AS detail, upgrade, downgrade FROM algo_ref.index_advice(concurrently => true);
DO $$
DECLARE
  r record;
BEGIN
  FOR r IN SELECT * FROM algo_ref.index_advice() WHERE problem <> 'unused index' LOOP
    EXECUTE r.upgrade;
  END LOOP;
END $$;
SELECT problem, relation, index, upgrade FROM algo_ref.index_advice() ORDER BY upgrade COLLATE "C";
RESET search_path;

SET client_min_messages = warning;
DROP SCHEMA idx CASCADE;
DROP TABLE account, seen;
DROP SEQUENCE attempt;
DROP FUNCTION fail, fail_late;
DROP ROLE regress_algo_ref_app, "regress_algo_ref Odd";
