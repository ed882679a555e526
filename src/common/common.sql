-- algo_ref: migrations, bulk insert, prefetch and sessions, inside the server.
\echo Use "CREATE EXTENSION algo_ref" to load this file. \quit

-- Plain CREATE, never IF NOT EXISTS: an object planted under one of our names
-- makes the installation fail.
CREATE SCHEMA algo_ref;

COMMENT ON SCHEMA algo_ref IS
  'algo_ref: migrations, bulk insert, prefetch and sessions inside the server';
