-- Functions that are called on the way.
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS algo_ref CASCADE;
DROP ROLE IF EXISTS regress_algo_ref_super, regress_algo_ref_owner, regress_algo_ref_other;
RESET client_min_messages;
CREATE EXTENSION algo_ref;
-- a superuser whose name is the same everywhere
CREATE ROLE regress_algo_ref_super SUPERUSER;
SET SESSION AUTHORIZATION regress_algo_ref_super;

CREATE TABLE heard (id int GENERATED ALWAYS AS IDENTITY, who text, what jsonb);
CREATE FUNCTION hear(what jsonb) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO heard (who, what) VALUES ('hear', what);
END $$;
CREATE FUNCTION "Hear ""too""" (what jsonb) RETURNS int LANGUAGE sql AS $$
  INSERT INTO heard (who, what) VALUES ('too', what) RETURNING NULL::int
$$;
SELECT algo_ref.revision('one', 'INSERT INTO heard (who) VALUES (''one'')', '', id => 'one', revises => '{}');
SELECT algo_ref.revision('two, "quoted"', 'INSERT INTO heard (who) VALUES (''two'')', '', id => 'two', revises => '{one}');

--
-- Each event, in order
--

SELECT algo_ref.add_hook('before_run', 'hear(jsonb)');
SELECT algo_ref.add_hook('before_step', 'hear(jsonb)');
SELECT algo_ref.add_hook('after_step', 'hear(jsonb)');
SELECT algo_ref.add_hook('after_step', '"Hear ""too"""(jsonb)');
SELECT algo_ref.add_hook('after_run', 'public.hear(jsonb)');
SELECT event, function, author = current_user AS mine, created_at <= clock_timestamp() AS is_past FROM algo_ref.hook ORDER BY id;
SELECT count(*) FROM algo_ref.upgrade('head');
SELECT who, what - 'run' AS what FROM heard ORDER BY id;
-- one run; and the log knows it
SELECT count(DISTINCT what->>'run') FROM heard;
SELECT DISTINCT run = (SELECT (what->>'run')::uuid FROM heard WHERE id = 1) AS same_run FROM algo_ref.log;
-- nothing to do: nothing is called
TRUNCATE heard;
SELECT count(*) FROM algo_ref.upgrade('head');
SELECT count(*) FROM heard;
SELECT count(*) FROM algo_ref.downgrade('-1');
SELECT who, what->>'event' AS event, what->>'direction' AS direction, what->>'revision' AS revision FROM heard ORDER BY id;
TRUNCATE heard;
SELECT count(*) FROM algo_ref.stamp('head');
SELECT who, what->>'event' AS event, what->>'direction' AS direction, what->>'revision' AS revision FROM heard ORDER BY id;
TRUNCATE heard;
SELECT count(*) FROM algo_ref.stamp('base', purge => true);
SELECT who, what->>'event' AS event, what->>'steps' AS steps FROM heard ORDER BY id;
TRUNCATE heard;

-- what a step has done is there to be seen
CREATE FUNCTION look(what jsonb) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO heard (who, what) VALUES ('look', to_jsonb(ARRAY(SELECT revision FROM algo_ref.version ORDER BY position)));
  INSERT INTO heard (who, what) VALUES ('log', (SELECT to_jsonb(count(*)) FROM algo_ref.log l WHERE l.run = (look.what->>'run')::uuid));
END $$;
SELECT algo_ref.drop_hook('before_run', 'hear(jsonb)');
SELECT algo_ref.drop_hook('before_step', 'public.hear(jsonb)');
SELECT algo_ref.drop_hook('after_step', 'hear(jsonb)');
SELECT algo_ref.drop_hook('after_step', '"Hear ""too"""(jsonb)');
SELECT algo_ref.drop_hook('after_run', 'hear(jsonb)');
SELECT algo_ref.add_hook('before_step', 'look(jsonb)');
SELECT algo_ref.add_hook('after_step', 'look(jsonb)');
SELECT count(*) FROM algo_ref.upgrade('head');
SELECT who, what FROM heard ORDER BY id;
SELECT algo_ref.drop_hook('before_step', 'look(jsonb)');
SELECT algo_ref.drop_hook('after_step', 'look(jsonb)');
SELECT count(*) FROM algo_ref.downgrade('base');

-- an error stops the run, and says where it comes from
CREATE FUNCTION refuse(what jsonb) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  IF what->>'revision' = 'two' THEN
    RAISE EXCEPTION 'no %', what->>'revision';
  END IF;
END $$;
SELECT algo_ref.add_hook('after_step', 'refuse(jsonb)');
SELECT count(*) FROM algo_ref.upgrade('head');
SELECT count(*) FROM algo_ref.version;
SELECT algo_ref.drop_hook('after_step', 'refuse(jsonb)');

-- what a hook sets ends with it; it cannot migrate
CREATE FUNCTION set_it(what jsonb) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  SET work_mem = '1MB';
  SET ROLE pg_monitor;
END $$;
CREATE FUNCTION migrate(what jsonb) RETURNS void LANGUAGE sql AS 'SELECT algo_ref.upgrade(''head'')';
SELECT algo_ref.add_hook('before_run', 'set_it(jsonb)');
SELECT count(*) FROM algo_ref.upgrade('one');
SELECT current_setting('work_mem'), current_user = session_user AS is_me;
SELECT algo_ref.drop_hook('before_run', 'set_it(jsonb)');
SELECT algo_ref.add_hook('before_step', 'migrate(jsonb)');
SELECT count(*) FROM algo_ref.upgrade('head');
SELECT algo_ref.drop_hook('before_step', 'migrate(jsonb)');

-- after a script was registered
SELECT algo_ref.add_hook('after_revision', 'hear(jsonb)');
TRUNCATE heard;
SELECT algo_ref.revision('three', '', '', id => 'three', revises => '{two}');
SELECT what FROM heard;
SELECT algo_ref.drop_hook('after_revision', 'hear(jsonb)');

--
-- What is refused
--

SELECT algo_ref.add_hook(NULL, 'hear(jsonb)');
SELECT algo_ref.add_hook('after_step', NULL);
SELECT algo_ref.drop_hook(NULL, 'hear(jsonb)');
SELECT algo_ref.drop_hook('after_step', NULL);
SELECT algo_ref.add_hook('after_lunch', 'hear(jsonb)');
SELECT algo_ref.drop_hook('after_lunch', 'hear(jsonb)');
SELECT algo_ref.drop_hook('after_step', 'hear(jsonb)');
SELECT algo_ref.drop_hook('after_step', 'no_such_function(jsonb)');
SELECT algo_ref.add_hook('after_step', 'no_such_function(jsonb)');
SELECT algo_ref.add_hook('after_step', 'pg_catalog.jsonb_each(jsonb)');
SELECT algo_ref.add_hook('after_step', 'pg_catalog.length(text)');
SELECT algo_ref.add_hook('after_step', 'pg_catalog.jsonb_agg(anyelement)');
SELECT algo_ref.add_hook('after_step', 'pg_catalog.now()');
SELECT algo_ref.add_hook('after_step', 0);
CREATE PROCEDURE proc(what jsonb) LANGUAGE sql AS '';
SELECT algo_ref.add_hook('after_step', 'proc(jsonb)');
-- once more is no second call
SELECT algo_ref.add_hook('after_step', 'hear(jsonb)');
SELECT algo_ref.add_hook('after_step', 'hear(jsonb)');
SELECT count(*) FROM algo_ref.hook;
-- a function that is gone
DROP FUNCTION hear(jsonb);
SELECT count(*) FROM algo_ref.upgrade('head');
SELECT algo_ref.drop_hook('after_step', 'public.hear(jsonb)');

--
-- Whom the caller trusts
--

CREATE ROLE regress_algo_ref_owner;
CREATE ROLE regress_algo_ref_other;
GRANT USAGE ON SCHEMA algo_ref TO regress_algo_ref_owner, regress_algo_ref_other;
GRANT EXECUTE ON FUNCTION algo_ref.add_hook, algo_ref.drop_hook, algo_ref.upgrade TO regress_algo_ref_owner, regress_algo_ref_other;
GRANT INSERT ON heard TO regress_algo_ref_owner;
GRANT CREATE ON SCHEMA public TO regress_algo_ref_owner, regress_algo_ref_other;
SET ROLE regress_algo_ref_other;
CREATE FUNCTION other_hook(what jsonb) RETURNS void LANGUAGE plpgsql AS $$ BEGIN RAISE WARNING 'called as %', current_user; END $$;
SELECT algo_ref.add_hook('before_run', 'other_hook(jsonb)');
RESET ROLE;
SELECT count(*) FROM algo_ref.upgrade('two');
-- the one who adds it again vouches for the call, not for the function
SELECT algo_ref.add_hook('before_run', 'other_hook(jsonb)');
SELECT count(*) FROM algo_ref.upgrade('two');
ALTER FUNCTION other_hook(jsonb) OWNER TO regress_algo_ref_owner;
SELECT count(*) FROM algo_ref.upgrade('two');
SET ROLE regress_algo_ref_owner;
SELECT count(*) FROM algo_ref.upgrade('two');
RESET ROLE;
SELECT count(*) FROM algo_ref.stamp('one');
-- a member of the caller's role is trusted
TRUNCATE heard;
ALTER FUNCTION other_hook(jsonb) OWNER TO regress_algo_ref_other;
GRANT regress_algo_ref_owner TO regress_algo_ref_other;
SET ROLE regress_algo_ref_owner;
\set VERBOSITY terse
SELECT count(*) FROM algo_ref.upgrade('two');
\set VERBOSITY default
RESET ROLE;
SELECT count(*) FROM algo_ref.stamp('one');
-- but not without the right to execute
REVOKE EXECUTE ON FUNCTION other_hook(jsonb) FROM PUBLIC;
SET ROLE regress_algo_ref_owner;
SELECT count(*) FROM algo_ref.upgrade('two');
RESET ROLE;

DROP EXTENSION algo_ref;
DROP TABLE heard;
DROP FUNCTION "Hear ""too""", look, refuse, set_it, migrate, other_hook;
DROP PROCEDURE proc;
REVOKE CREATE ON SCHEMA public FROM regress_algo_ref_owner, regress_algo_ref_other;
RESET SESSION AUTHORIZATION;
DROP ROLE regress_algo_ref_super, regress_algo_ref_owner, regress_algo_ref_other;
