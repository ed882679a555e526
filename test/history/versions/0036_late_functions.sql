SELECT algo_ref.revision(
  message => 'functions that name a table of later, and the table',
  id => '4d7f0b63ea36',
  revises => '{b51e48d2c735}',
  upgrade => $upgrade$
SET check_function_bodies = off;
CREATE FUNCTION last_visit(bigint) RETURNS timestamptz LANGUAGE sql STABLE
    AS 'SELECT max(at) FROM visits WHERE user_id = $1;';
SET check_function_bodies = on;
CREATE UNLOGGED TABLE visits (
    user_id bigint NOT NULL,
    at      timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT visits_user_fkey FOREIGN KEY (user_id) REFERENCES users (id) NOT VALID
) WITH (fillfactor = 70, autovacuum_enabled = false);
CREATE INDEX visits_at ON visits USING brin (at) WITH (pages_per_range = 16);
CREATE FUNCTION visit(VARIADIC who bigint[]) RETURNS SETOF visits LANGUAGE sql AS $$
    INSERT INTO visits (user_id) SELECT unnest(who) RETURNING *;
$$;
SELECT count(*) FROM visit(1, 2, 3), last_visit(1);
COMMENT ON TABLE visits IS 'last_visit() was there first'
$upgrade$,
  downgrade => $downgrade$
DROP FUNCTION visit;
DROP TABLE visits;
DROP FUNCTION last_visit /* ; */
$downgrade$);
