-- Connections and transactions: wrong input, as SQLSTATEs where the words do not matter.
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS algo_ref CASCADE;
RESET client_min_messages;
CREATE EXTENSION algo_ref;
\set VERBOSITY sqlstate

SELECT algo_ref.pool_status(NULL);
SELECT algo_ref.pool_status('json');
SELECT algo_ref.pool_status('');

SELECT * FROM algo_ref.pool_dispose(idle_for => NULL);
SELECT * FROM algo_ref.pool_dispose(idle_for => '-1 s');
SELECT * FROM algo_ref.pool_dispose(role => 'no such role');
SELECT * FROM algo_ref.pool_dispose(database => 'no such database');
SELECT * FROM algo_ref.pool_dispose(dry_run => NULL);
SELECT * FROM algo_ref.pool_dispose(in_transaction => NULL);
SELECT * FROM algo_ref.pool_dispose(in_transaction => true);

SELECT * FROM algo_ref.connection_budget(-1);
SELECT * FROM algo_ref.connection_budget(NULL);
SELECT * FROM algo_ref.connection_budget(max_overflow => -2);
SELECT * FROM algo_ref.connection_budget(max_overflow => NULL);
SELECT * FROM algo_ref.connection_budget(processes => 0);
SELECT * FROM algo_ref.connection_budget(processes => NULL);
SELECT * FROM algo_ref.connection_budget(processes => 2000000000);
SELECT * FROM algo_ref.connection_budget(role => NULL);
SELECT * FROM algo_ref.connection_budget(role => 'no such role');
SELECT * FROM algo_ref.connection_budget(database => NULL);
SELECT * FROM algo_ref.connection_budget(database => 'no such database');
SELECT * FROM algo_ref.connection_budget(pgbouncer_processes => -1);
SELECT * FROM algo_ref.connection_budget(pgbouncer_processes => NULL);
SELECT * FROM algo_ref.connection_budget(default_pool_size => 0);
SELECT * FROM algo_ref.connection_budget(reserve_pool_size => -1);
SELECT * FROM algo_ref.connection_budget(max_db_connections => -1);
SELECT * FROM algo_ref.connection_budget(max_user_connections => -1);
SELECT * FROM algo_ref.connection_budget(max_client_conn => 0);
SELECT * FROM algo_ref.connection_budget(pool_mode => 'none');
SELECT * FROM algo_ref.connection_budget(pool_mode => NULL);
-- the largest numbers
SELECT needed, fits FROM algo_ref.connection_budget(1000000, 1000000, 1000000);
SELECT limited_by, allowed, needed, fits FROM algo_ref.connection_budget(1000000, 1000000, 1000000, pgbouncer_processes => 1000000, default_pool_size => 1000000, max_client_conn => 1000000, pool_mode => 'session')
WHERE limited_by LIKE 'pgbouncer%' ORDER BY limited_by;

SELECT * FROM algo_ref.index_advice('no such schema');
SELECT count(*) FROM algo_ref.index_advice('pg_catalog', NULL) WHERE problem = 'foreign key without index';

CALL algo_ref.transaction(NULL);
CALL algo_ref.transaction('SELECT 1', 'chaos');
CALL algo_ref.transaction('SELECT 1', '');
CALL algo_ref.transaction('SELECT 1', retries => NULL);
CALL algo_ref.transaction('SELECT 1', retries => -1);
CALL algo_ref.transaction('SELECT 1', retry_lock_timeout => NULL);
CALL algo_ref.transaction('SELECT 1', backoff => NULL);
CALL algo_ref.transaction('SELECT 1', backoff => '-1 ms');
CALL algo_ref.transaction('SELECT 1', backoff => '2 min');
CALL algo_ref.transaction('SELECT 1', parameters => '[1]');
CALL algo_ref.transaction('SELECT 1', parameters => '1');
CALL algo_ref.transaction('SELECT 1', parameters => 'null');

-- where it cannot commit
BEGIN;
CALL algo_ref.transaction('SELECT 1');
ROLLBACK;
DO $$
DECLARE
  a int;
  r bigint;
BEGIN
  CREATE TEMP TABLE pending ();
  CALL algo_ref.transaction('SELECT 1', attempts => a, rows_processed => r);
END $$;
SELECT to_regclass('pending');
-- in PL/pgSQL there have to be variables for the result
DO $$ BEGIN CALL algo_ref.transaction('SELECT 1'); END $$;
CREATE FUNCTION calls() RETURNS void LANGUAGE plpgsql AS $$ DECLARE a int; r bigint; BEGIN CALL algo_ref.transaction('SELECT 1', attempts => a, rows_processed => r); END $$;
SELECT calls();
DROP FUNCTION calls;
CREATE PROCEDURE calls() LANGUAGE plpgsql SET search_path = public AS $$ DECLARE a int; r bigint; BEGIN CALL algo_ref.transaction('SELECT 1', attempts => a, rows_processed => r); END $$;
CALL calls();
DROP PROCEDURE calls;
DO $$
DECLARE
  a int;
  r bigint;
BEGIN
  CALL algo_ref.transaction('SELECT 1', attempts => a, rows_processed => r);
EXCEPTION WHEN division_by_zero THEN NULL;
END $$;

\set VERBOSITY default

-- bodies
CALL algo_ref.transaction('SELECT 1;
 SELEC 2');
CALL algo_ref.transaction('SELECT ''not ended');
CALL algo_ref.transaction('BEGIN');
CALL algo_ref.transaction('SELECT 1; COMMIT');
CALL algo_ref.transaction('SELECT 1;

  ROLLBACK AND CHAIN; SELECT 2');
CALL algo_ref.transaction('SAVEPOINT s');
CALL algo_ref.transaction('PREPARE TRANSACTION ''p''');
CALL algo_ref.transaction('SET TRANSACTION ISOLATION LEVEL SERIALIZABLE');
CALL algo_ref.transaction('COPY pg_class TO STDOUT');
CALL algo_ref.transaction('COPY pg_class FROM STDIN');
CALL algo_ref.transaction('\d');
-- nor by way of others
CALL algo_ref.transaction('DO ''BEGIN COMMIT; END''');
CREATE PROCEDURE ends() LANGUAGE plpgsql AS 'BEGIN ROLLBACK; END';
CALL algo_ref.transaction('CALL ends()');
DROP PROCEDURE ends;
CALL algo_ref.transaction('CALL algo_ref.transaction(''SELECT 1'')');
CALL algo_ref.transaction('VACUUM');
CALL algo_ref.transaction('CREATE DATABASE no');

-- parameters
CALL algo_ref.transaction('SELECT :a');
CALL algo_ref.transaction('SELECT :a', parameters => '{"b": 1}');
CALL algo_ref.transaction('SELECT :a', parameters => '{"a": 1, "b": 1}');
CALL algo_ref.transaction('SELECT 1', parameters => '{"a": 1}');
CALL algo_ref.transaction('SELECT :a, $2', parameters => '{"a": 1}');
CALL algo_ref.transaction('SELECT $1');
CALL algo_ref.transaction('SELECT :a IS NULL', parameters => '{"a": 1}');
CALL algo_ref.transaction('SELECT :a::int', parameters => '{"a": "one"}');
CALL algo_ref.transaction('SELECT 1;
SELECT CAST(:a AS int[])', parameters => '{"a": ["one"]}');
CALL algo_ref.transaction('SELECT CAST(:a AS int)', parameters => '{"a": [1]}');
CALL algo_ref.transaction('SELECT CAST(:a AS int)', parameters => '{"a": {}}');
\set VERBOSITY sqlstate
CALL algo_ref.transaction('SELECT CAST(:a AS int[])', parameters => '{"a": [1, [2]]}');
\set VERBOSITY default
CALL algo_ref.transaction('SELECT :a + nothing', parameters => '{"a": 1}');
CALL algo_ref.transaction('CREATE TABLE t (a int DEFAULT :a)', parameters => '{"a": 1}');
CALL algo_ref.transaction('SELECT * FROM :table', parameters => '{"table": "pg_class"}');
CALL algo_ref.transaction('SELECT (ARRAY[1, 2])[:a]', parameters => '{"a": 99999999999}');
