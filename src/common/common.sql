-- algo_ref: migrations, bulk insert, prefetch and sessions, inside the server.
\echo Use "CREATE EXTENSION algo_ref" to load this file. \quit

-- Plain CREATE, never IF NOT EXISTS: an object planted under one of our names
-- makes the installation fail.
CREATE SCHEMA algo_ref;

COMMENT ON SCHEMA algo_ref IS
  'algo_ref: migrations, bulk insert, prefetch and sessions inside the server';

REVOKE ALL ON SCHEMA algo_ref FROM PUBLIC;

-- Functions that migrations call on the way (hook.c) -------------------------

CREATE TABLE algo_ref.hook (
  id         bigint GENERATED ALWAYS AS IDENTITY,
  event      text COLLATE "C" NOT NULL,
  function   text COLLATE "C" NOT NULL,
  author     name NOT NULL,
  created_at timestamptz NOT NULL,
  CONSTRAINT hook_pkey PRIMARY KEY (id),
  CONSTRAINT hook_event_function_key UNIQUE (event, function)
);

COMMENT ON TABLE algo_ref.hook IS
  'functions called by migrations; written only by algo_ref''s functions';
COMMENT ON COLUMN algo_ref.hook.id IS 'order of calling';
COMMENT ON COLUMN algo_ref.hook.event IS 'before_run, before_step, after_step, after_run or after_revision';
COMMENT ON COLUMN algo_ref.hook.function IS 'function with one jsonb argument, by its qualified name';
COMMENT ON COLUMN algo_ref.hook.author IS 'role that added the hook';
COMMENT ON COLUMN algo_ref.hook.created_at IS 'when it was added';

REVOKE ALL ON algo_ref.hook FROM PUBLIC;
REVOKE ALL ON SEQUENCE algo_ref.hook_id_seq FROM PUBLIC;

SELECT pg_catalog.pg_extension_config_dump('algo_ref.hook', '');
SELECT pg_catalog.pg_extension_config_dump('algo_ref.hook_id_seq', '');

-- Have a function called at an event, and return its qualified name.
--
-- event          before_run and after_run: around a call of upgrade(),
--                downgrade() or stamp() that has something to do;
--                before_step and after_step: around each of its revisions;
--                after_revision: after a script was registered
-- function       a plain function with one argument of type jsonb; what it
--                returns is not looked at
--
-- The argument has event and revision, message, and where something runs: run,
-- schema, direction and ordinal.  An error in a hook stops the call.  Hooks run as
-- whoever migrates, who has to trust both the role that added them and the
-- owner of the function: each is that role itself, a member of it, or a
-- superuser.  Adding a hook again makes the caller the one who added it.
--
-- Errors: 22004 NULL; 22023 no such event; 42809 the function cannot be a hook.
-- Source: Alembic, on_version_apply and post_write_hooks.
CREATE FUNCTION algo_ref.add_hook(event text, function regprocedure)
RETURNS text
AS 'MODULE_PATHNAME', 'algo_ref_add_hook'
LANGUAGE C VOLATILE PARALLEL UNSAFE;

COMMENT ON FUNCTION algo_ref.add_hook(text, regprocedure) IS
  'have a function called at an event of migrations';

REVOKE ALL ON FUNCTION algo_ref.add_hook(text, regprocedure) FROM PUBLIC;

-- Take a hook away, and return its function's qualified name.
--
-- event          as in algo_ref.add_hook()
-- function       the function, as PostgreSQL or the table algo_ref.hook names it;
--                it need not exist any more
--
-- Errors: 22004 NULL; 22023 no such event; 42704 no such hook.
CREATE FUNCTION algo_ref.drop_hook(event text, function text)
RETURNS text
AS 'MODULE_PATHNAME', 'algo_ref_drop_hook'
LANGUAGE C VOLATILE PARALLEL UNSAFE;

COMMENT ON FUNCTION algo_ref.drop_hook(text, text) IS
  'take away a function that is called at an event of migrations';

REVOKE ALL ON FUNCTION algo_ref.drop_hook(text, text) FROM PUBLIC;
