\echo
\echo '10. Many rows in one call'
\echo
SET client_min_messages = warning;
CREATE SCHEMA load;
SET search_path = load;
CREATE TABLE person (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, email text UNIQUE, name text DEFAULT 'nobody', at timestamptz DEFAULT '2024-01-01');
SELECT algo_ref.bulk_insert('person', '[{"email": "ann@example.com", "name": "Ann"}, {"email": "bob@example.com"}]') AS inserted;
SELECT algo_ref.bulk_insert('person', '[{"email": "ann@example.com", "name": "Anna"}]', 'update', '{email}') AS "inserted or updated";
SELECT algo_ref.bulk_insert('person', '[{"email": "eve@example.com"}, {"email": "ann@example.com"}, {"email": "x@example.com", "at": "no time"}]', on_error => 'skip') AS "good ones";
SELECT row_number, sqlstate, message FROM algo_ref.bulk_rejects();
TABLE person ORDER BY id;
\echo '100,000 rows of JSON:'
\echo
\timing on
SELECT algo_ref.bulk_insert('person', (SELECT json_agg(json_build_object('email', 'user' || n || '@example.com', 'name', md5(n::text)))::text FROM generate_series(1, 100000) n)) AS inserted;
\timing off
DROP SCHEMA load CASCADE;
