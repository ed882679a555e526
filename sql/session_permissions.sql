-- Connections and transactions: every function as a plain user, as a member of pg_monitor and as a superuser.
SET client_min_messages = warning;
DROP ROLE IF EXISTS regress_algo_ref_super, regress_algo_ref_monitor, regress_algo_ref_plain, regress_algo_ref_nobody, regress_algo_ref_signal;
RESET client_min_messages;
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS algo_ref CASCADE;
RESET client_min_messages;
CREATE EXTENSION algo_ref;
SET application_name = 'regress session';
CREATE ROLE regress_algo_ref_super SUPERUSER;
CREATE ROLE regress_algo_ref_monitor IN ROLE pg_monitor;
CREATE ROLE regress_algo_ref_plain;
CREATE ROLE regress_algo_ref_signal IN ROLE pg_signal_backend;
CREATE ROLE regress_algo_ref_nobody;
CREATE SCHEMA regress_algo_ref AUTHORIZATION regress_algo_ref_plain;
GRANT USAGE ON SCHEMA algo_ref TO regress_algo_ref_monitor, regress_algo_ref_plain, regress_algo_ref_signal;
GRANT EXECUTE ON ALL ROUTINES IN SCHEMA algo_ref TO regress_algo_ref_plain, regress_algo_ref_signal;
GRANT SELECT ON algo_ref.connection TO regress_algo_ref_plain, regress_algo_ref_monitor;

CREATE TABLE calls (id int GENERATED ALWAYS AS IDENTITY, call text);
INSERT INTO calls (call) VALUES
  ('SELECT count(*) FROM algo_ref.processes()'),
  ('SELECT algo_ref.blocking_chain(1)'),
  ('SELECT count(*) FROM algo_ref.connections()'),
  ('SELECT count(*) FROM algo_ref.connection'),
  ('SELECT count(*) FROM algo_ref.connection_limits()'),
  ('SELECT count(*) FROM algo_ref.pool_status()'),
  ('SELECT algo_ref.pool_status(''text'')'),
  ('SELECT count(*) FROM algo_ref.connection_budget()'),
  ('SELECT count(*) FROM algo_ref.index_advice(''public'')'),
  ('SELECT count(*) FROM algo_ref.pool_dispose(''no such application'')');
CREATE FUNCTION outcome(who name, command text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE format('SET LOCAL ROLE %I', who);
  EXECUTE command;
  RAISE SQLSTATE 'DONE0';
EXCEPTION
  WHEN SQLSTATE 'DONE0' THEN
    RETURN 'done';
  WHEN OTHERS THEN
    RETURN SQLSTATE;
END $$;
SELECT call, outcome('regress_algo_ref_nobody', call) AS nobody, outcome('regress_algo_ref_monitor', call) AS monitor,
  outcome('regress_algo_ref_plain', call) AS plain, outcome('regress_algo_ref_super', call) AS super
FROM calls ORDER BY id;

-- the view, and what is told of the connection of another role: who it is, and nothing of what it does
SELECT outcome('regress_algo_ref_signal', 'SELECT FROM algo_ref.connection') AS without_select;
SET ROLE regress_algo_ref_plain;
SELECT application_name, role = session_user AS role, database = current_database() AS database, pid = pg_backend_pid() AS pid,
  num_nonnulls(client_address, connected_at, state, state_since, transaction_since, wait_event_type, wait_event, blocked_by, blocking_chain) AS told, query
FROM algo_ref.connection WHERE pid = pg_backend_pid();
-- as pg_stat_activity, column by column
SELECT count(*) AS differ FROM algo_ref.connection c JOIN pg_stat_activity a USING (pid)
WHERE (c.application_name, c.role, c.database, c.client_address, c.connected_at, c.state, c.state_since, c.transaction_since, c.wait_event_type, c.wait_event, c.query)
  IS DISTINCT FROM (a.application_name, a.usename, a.datname, a.client_addr, a.backend_start, a.state, a.state_change, a.xact_start, a.wait_event_type, a.wait_event, a.query);
-- the sums are right all the same
SELECT connections, active, idle, unknown, limited_by FROM algo_ref.pool_status() WHERE application_name = 'regress session';
SELECT algo_ref.pool_status('text') ~ ' \(of which not shown to role regress_algo_ref_plain: \d+\)$' AS says_so;
RESET ROLE;
SET ROLE regress_algo_ref_monitor;
SELECT connections, active, idle, unknown FROM algo_ref.pool_status() WHERE application_name = 'regress session';
SELECT state, query LIKE 'SELECT state%' AS query FROM algo_ref.connection WHERE pid = pg_backend_pid();
SELECT algo_ref.pool_status('text') LIKE '%shown%' AS hides;
RESET ROLE;
CREATE TABLE sums AS SELECT name, used FROM algo_ref.connection_limits() WHERE kind <> 'workers';
GRANT SELECT ON sums TO regress_algo_ref_plain;
SET ROLE regress_algo_ref_plain;
SELECT count(*) AS differ FROM algo_ref.connection_limits() l JOIN sums s USING (name) WHERE l.used < s.used;
RESET ROLE;

-- the caller's own connection is never ended, whatever role it has taken
SET ROLE regress_algo_ref_plain;
SELECT outcome, reason FROM algo_ref.pool_dispose('regress session', '0');
RESET ROLE;

-- a transaction has its caller's rights
CREATE TABLE secret AS SELECT 1 AS x;
SET ROLE regress_algo_ref_monitor;
CALL algo_ref.transaction('SELECT 1');
RESET ROLE;
SET ROLE regress_algo_ref_plain;
CALL algo_ref.transaction('SELECT * FROM secret');
CALL algo_ref.transaction('CREATE TABLE regress_algo_ref.mine AS SELECT CAST(:who AS text) AS who', parameters => '{"who": "x"}');
\set VERBOSITY sqlstate
CALL algo_ref.transaction('ALTER ROLE regress_algo_ref_plain SUPERUSER');
\set VERBOSITY default
SELECT tableowner FROM pg_tables WHERE tablename = 'mine';
RESET ROLE;
SELECT rolsuper FROM pg_roles WHERE rolname = 'regress_algo_ref_plain';
-- in a function with its owner's rights it cannot commit
CREATE PROCEDURE regress_algo_ref.as_owner() SECURITY DEFINER LANGUAGE plpgsql AS $$
DECLARE
  a int;
  r bigint;
BEGIN
  CALL algo_ref.transaction('SELECT 1', attempts => a, rows_processed => r);
END $$;
CALL regress_algo_ref.as_owner();

-- functions and operators of somebody's are not taken for the server's
SET client_min_messages = warning;
CREATE FUNCTION regress_algo_ref.count(anyelement) RETURNS bigint LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''a trap''; END';
CREATE FUNCTION regress_algo_ref.age(xid) RETURNS int LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''a trap''; END';
CREATE FUNCTION regress_algo_ref.eq(text, text) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''a trap''; END';
CREATE FUNCTION regress_algo_ref.eq(name, name) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''a trap''; END';
CREATE OPERATOR regress_algo_ref.= (FUNCTION = regress_algo_ref.eq, LEFTARG = text, RIGHTARG = text);
CREATE OPERATOR regress_algo_ref.= (FUNCTION = regress_algo_ref.eq, LEFTARG = name, RIGHTARG = name);
CREATE VIEW regress_algo_ref.pg_stat_activity AS SELECT 1 AS pid;
CREATE TEMP VIEW pg_stat_activity AS SELECT 1 AS pid;
SET search_path = regress_algo_ref, pg_temp, public, pg_catalog;
SELECT connections FROM algo_ref.pool_status() WHERE application_name OPERATOR(pg_catalog.=) 'regress session'::pg_catalog.text;
SELECT algo_ref.pool_status('text'::text) IS NOT NULL AS line;
SELECT outcome FROM algo_ref.pool_dispose('regress session', '0');
SELECT algo_ref.index_advice('regress_algo_ref');
SELECT needed FROM algo_ref.connection_budget(1, 0) LIMIT 1;
RESET search_path;
DROP VIEW pg_temp.pg_stat_activity;

DROP SCHEMA regress_algo_ref CASCADE;
DROP TABLE calls, sums, secret;
DROP FUNCTION outcome;
REVOKE ALL ON algo_ref.connection FROM regress_algo_ref_plain, regress_algo_ref_monitor;
REVOKE ALL ON ALL ROUTINES IN SCHEMA algo_ref FROM regress_algo_ref_plain, regress_algo_ref_signal;
REVOKE ALL ON SCHEMA algo_ref FROM regress_algo_ref_monitor, regress_algo_ref_plain, regress_algo_ref_signal;
DROP ROLE regress_algo_ref_super, regress_algo_ref_monitor, regress_algo_ref_plain, regress_algo_ref_nobody, regress_algo_ref_signal;
