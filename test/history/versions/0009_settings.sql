-- As a dump would write it: no search_path, every name qualified.  The schema's
-- name is asked for before it is out of reach.
SELECT algo_ref.revision(
  message => 'settings, with qualified names only',
  id => '16c7f3be4d09',
  revises => '{a94de0287308}',
  upgrade => $upgrade$
SET statement_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SET check_function_bodies = false;
SET client_min_messages = warning;
SELECT pg_catalog.set_config('app.target', pg_catalog.current_schema(), false);
SELECT pg_catalog.set_config('search_path', '', false);

DO $do$
DECLARE
    target pg_catalog.text := pg_catalog.current_setting('app.target');
BEGIN
    EXECUTE pg_catalog.format('CREATE TABLE %I.settings (
        key pg_catalog.text NOT NULL PRIMARY KEY,
        value pg_catalog.jsonb NOT NULL)', target);
    EXECUTE pg_catalog.format($sql$
        INSERT INTO %I.settings VALUES
            ('site', '{"name": "The Journal; really", "per_page": 20}'),
            ('theme', '"dark"')$sql$, target);
    EXECUTE pg_catalog.format('CREATE FUNCTION %1$I.setting(key pg_catalog.text) RETURNS pg_catalog.jsonb
        LANGUAGE sql STABLE SET search_path TO %1$I, pg_temp AS $$
            SELECT value FROM settings s WHERE s.key = setting.key $$', target);
END
$do$;
$upgrade$,
  downgrade => $downgrade$
SET LOCAL lock_timeout = '10s';
DROP FUNCTION setting(text);
DROP TABLE settings;
$downgrade$);
