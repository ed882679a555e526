-- Declared models (autogenerate_api.c) ----------------------------------------

CREATE TABLE algo_ref.model (
  name        text COLLATE "C" NOT NULL,
  ddl         text NOT NULL,
  author      name NOT NULL,
  declared_at timestamptz NOT NULL,
  checked     text COLLATE "C",
  CONSTRAINT model_pkey PRIMARY KEY (name)
);

COMMENT ON TABLE algo_ref.model IS
  'declared models; written only by algo_ref''s functions';
COMMENT ON COLUMN algo_ref.model.name IS 'name of the model';
COMMENT ON COLUMN algo_ref.model.ddl IS 'DDL that defines it';
COMMENT ON COLUMN algo_ref.model.author IS 'role that declared it';
COMMENT ON COLUMN algo_ref.model.declared_at IS 'when it was declared';

COMMENT ON COLUMN algo_ref.model.checked IS 'fingerprint of the schema that algo_ref.check() has last found equal to it';

REVOKE ALL ON algo_ref.model FROM PUBLIC;

SELECT pg_catalog.pg_extension_config_dump('algo_ref.model', '');

-- Remember a declared model: DDL that makes everything the schema is to hold.
--
-- ddl            the statements, as in a schema.sql
-- name           name of the model; the other functions use 'default'
--
-- Errors: 22004 NULL; 22023 nothing in it; 0A000 a statement that is no DDL or needs a
-- commit; the server's own for what it cannot parse, with line and position.
CREATE FUNCTION algo_ref.declare(ddl text, name text DEFAULT 'default')
RETURNS void
AS 'MODULE_PATHNAME', 'algo_ref_declare'
LANGUAGE C VOLATILE PARALLEL UNSAFE;

COMMENT ON FUNCTION algo_ref.declare(text, text) IS
  'remember a declared model';

REVOKE ALL ON FUNCTION algo_ref.declare(text, text) FROM PUBLIC;

-- What leads from the live schema to the declared model, and back.
--
-- desired        DDL of the model; NULL takes the one of algo_ref.declare()
-- schemas        schemas to compare; NULL: the current one and those that the text
--                creates; '{*}': all but the server's and extensions', so that what the
--                text lacks is dropped, extensions too
-- renames        what is renamed and not dropped: 'old_table -> new_table',
--                'table.old_column -> new_column', 'type.old_label -> new_label'; or a
--                comment behind the new name in the text: -- @renamed from=old
-- online         keep tables usable that are at least algo_ref.online_min_size large:
--                indexes are built and dropped concurrently, keys made from them,
--                constraints validated apart; for CALL algo_ref.deploy()
--
-- One row per step, in the order of the upgrade.  The downgrades are in the
-- opposite order, and NULL where a later one takes the object along.  Hazards:
-- deletes data, rewrites (seen on the twin), scans, blocks reads, blocks writes,
-- widens access, fails where there are rows, needs a commit, may be a rename.
-- Steps of one transaction_group can run in one transaction.
--
-- Nothing is changed: the model is built in schemas that stand in for a moment,
-- and the plan is tried on an empty twin in both directions before it is shown.
--
-- Errors: 22023 an empty model, a schema that cannot be declared, or a hint for
-- a rename that means nothing; 42704 no declared model, or a rename of what does not
-- exist; 42710 a new name is taken; 42501 the caller may not create a schema,
-- or does not own one and its text shows nothing in one of another name; 0A000 a statement that is no DDL, what cannot be done without losing
-- data, or cannot be proved; 55P03 somebody is creating an object there; the server's
-- own for the DDL, with its line.
CREATE FUNCTION algo_ref.diff(desired text DEFAULT NULL, schemas name[] DEFAULT NULL,
                              renames text[] DEFAULT '{}', online boolean DEFAULT false)
RETURNS TABLE (ordinal int, operation text, object text, upgrade text, downgrade text,
               hazards text[], transaction_group int)
AS 'MODULE_PATHNAME', 'algo_ref_diff'
LANGUAGE C VOLATILE PARALLEL UNSAFE;

COMMENT ON FUNCTION algo_ref.diff(text, name[], text[], boolean) IS
  'steps from the live schema to the declared model, and back';

REVOKE ALL ON FUNCTION algo_ref.diff(text, name[], text[], boolean) FROM PUBLIC;

-- Make a revision of what algo_ref.diff() finds, and return its id; NULL, with a
-- NOTICE, where nothing differs.  A WARNING names what is dropped and may be meant as
-- a rename, a NOTICE what else is dropped with its data.
--
-- message        what the revision is for
-- others         as in algo_ref.diff()
--
-- Errors: 55000 a revision is not applied yet; those of algo_ref.diff() and of
-- algo_ref.revision().
-- Source: Alembic, revision --autogenerate.
CREATE FUNCTION algo_ref.autogenerate(message text, desired text DEFAULT NULL, schemas name[] DEFAULT NULL,
                                      renames text[] DEFAULT '{}', online boolean DEFAULT false)
RETURNS text
AS 'MODULE_PATHNAME', 'algo_ref_autogenerate'
LANGUAGE C VOLATILE PARALLEL UNSAFE;

COMMENT ON FUNCTION algo_ref.autogenerate(text, text, name[], text[], boolean) IS
  'make a revision of what differs from the declared model';

REVOKE ALL ON FUNCTION algo_ref.autogenerate(text, text, name[], text[], boolean) FROM PUBLIC;

-- Raise an error unless the live schema is what is declared.
--
-- desired        DDL of the model; NULL takes the one of algo_ref.declare()
-- schemas        as in algo_ref.diff()
--
-- On a hot standby, where nothing can be built, the live schema has to be the one
-- that was last found equal to the declared model; then no argument can be given.
--
-- Errors: 55000 it is not, or a revision is not applied yet; else those of
-- algo_ref.diff().
-- Source: Alembic, check.
CREATE FUNCTION algo_ref."check"(desired text DEFAULT NULL, schemas name[] DEFAULT NULL)
RETURNS void
AS 'MODULE_PATHNAME', 'algo_ref_check'
LANGUAGE C VOLATILE PARALLEL UNSAFE;

COMMENT ON FUNCTION algo_ref."check"(text, name[]) IS
  'error unless the live schema is what is declared';

REVOKE ALL ON FUNCTION algo_ref."check"(text, name[]) FROM PUBLIC;
