\echo
\echo '9. Declared models: the difference between DDL and the live schema, as a revision'
\echo
SET client_min_messages = warning;
CREATE SCHEMA shop;
SET search_path = shop;
SELECT algo_ref.declare($$
CREATE TABLE customer (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, email text NOT NULL UNIQUE);
CREATE TABLE orders (id int PRIMARY KEY, customer_id bigint REFERENCES customer, total numeric(10,2) CHECK (total >= 0));
$$);
SELECT ordinal, operation, object, hazards FROM algo_ref.diff();
\echo 'Changed: a table and a column renamed, a column wider, an index more:'
\echo
CREATE TABLE customer (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, email text NOT NULL UNIQUE);
CREATE TABLE orders (id int PRIMARY KEY, customer_id bigint REFERENCES customer, total numeric(10,2) CHECK (total >= 0));
SELECT algo_ref.declare($$
CREATE TABLE account ( -- @renamed from=customer
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  mail text NOT NULL UNIQUE -- @renamed from=email
);
CREATE TABLE orders (id int PRIMARY KEY, customer_id bigint REFERENCES account, total numeric(14,2) CHECK (total >= 0));
CREATE INDEX ON orders (customer_id);
$$);
SELECT ordinal, upgrade, downgrade, hazards FROM algo_ref.diff();
SELECT algo_ref.fingerprint() AS "fingerprint of the live schema";
DROP SCHEMA shop CASCADE;
