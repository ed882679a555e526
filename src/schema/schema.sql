-- Schemas as a model (schema_api.c) -------------------------------------------

-- The fingerprint of a schema: a hash of all that is in it.
--
-- schema         the schema; NULL means current_schema()
--
-- Two schemas have the same fingerprint if and only if they hold the same
-- objects with the same properties: names relative to the schema, comments,
-- privileges and owners (relative to the schema's) included, data, Oids and the order of columns
-- left out.  The schema's own name, comment and privileges do not count, nor does
-- alembic_version.  It may change with the server's major version.  Takes no
-- locks that anybody notices, and works on a hot standby.
--
-- Errors: 3F000 no such schema; 42501 no USAGE on it.
CREATE FUNCTION algo_ref.fingerprint(schema name DEFAULT NULL)
RETURNS text
AS 'MODULE_PATHNAME', 'algo_ref_fingerprint'
LANGUAGE C STABLE PARALLEL UNSAFE;

COMMENT ON FUNCTION algo_ref.fingerprint(name) IS
  'hash of all objects of a schema';

-- The fingerprints of several schemas, in one pass over the catalogs.
--
-- schemas        their names
--
-- Errors: 22004 a name is NULL; 3F000 no such schema; 42501 no USAGE on it.
CREATE FUNCTION algo_ref.fingerprints(schemas name[])
RETURNS TABLE (schema name, fingerprint text)
AS 'MODULE_PATHNAME', 'algo_ref_fingerprints'
LANGUAGE C STABLE STRICT PARALLEL UNSAFE;

COMMENT ON FUNCTION algo_ref.fingerprints(name[]) IS
  'hashes of all objects of several schemas, read in one pass';

-- The DDL that makes a schema's objects, the same for the same schema.
--
-- schema         the schema; NULL means current_schema()
--
-- Run with another, empty schema first in search_path, it makes the same objects
-- there: the fingerprint is the same.  Data and the schema itself are left out,
-- as is alembic_version.
--
-- Errors: 3F000 no such schema; 42501 no USAGE on it; 0A000 it holds an object that
-- is not managed.
CREATE FUNCTION algo_ref.schema_sql(schema name DEFAULT NULL)
RETURNS text
AS 'MODULE_PATHNAME', 'algo_ref_schema_sql'
LANGUAGE C STABLE PARALLEL UNSAFE;

COMMENT ON FUNCTION algo_ref.schema_sql(name) IS
  'DDL that makes a schema''s objects';
