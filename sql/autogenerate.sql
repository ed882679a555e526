-- Declared models: what differs from the live schema becomes a revision.
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS algo_ref CASCADE;
DROP SCHEMA IF EXISTS app, other CASCADE;
DROP ROLE IF EXISTS regress_algo_ref_auto;
RESET client_min_messages;
CREATE EXTENSION algo_ref;
CREATE ROLE regress_algo_ref_auto;
CREATE SCHEMA app;
SET search_path = app;
-- ids are random
SET client_min_messages = warning;

--
-- From nothing to a first model, and on
--

SELECT algo_ref.declare($$
CREATE TABLE users (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  email text NOT NULL UNIQUE
);
CREATE TABLE posts (
  id int PRIMARY KEY,
  user_id bigint REFERENCES users,
  title text
);
CREATE INDEX ON posts (user_id);
$$);
SELECT * FROM algo_ref.diff();
-- nothing has been done
SELECT to_regclass('users');
SELECT algo_ref."check"();
SELECT algo_ref.autogenerate('first') IS NOT NULL AS made;
-- what is not applied yet is not there
SELECT algo_ref.autogenerate('again');
SELECT algo_ref."check"();
SELECT message FROM algo_ref.upgrade('head');
SELECT algo_ref."check"();
SET client_min_messages = notice;
SELECT algo_ref.autogenerate('again');
SET client_min_messages = warning;
SELECT * FROM algo_ref.diff();

-- changes of every kind of step
INSERT INTO users (email) SELECT 'user ' || n FROM generate_series(1, 3) n;
SELECT algo_ref.declare($$
CREATE TYPE mood AS ENUM ('sad', 'ok');
CREATE TABLE users (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  email varchar(100) NOT NULL,
  mood mood DEFAULT 'ok' NOT NULL,
  age int CHECK (age > 0)
);
COMMENT ON TABLE users IS 'who is there';
CREATE UNIQUE INDEX users_email ON users (lower(email));
CREATE TABLE posts (
  id int PRIMARY KEY,
  user_id bigint NOT NULL REFERENCES users ON DELETE CASCADE,
  title text DEFAULT '-'
);
CREATE VIEW titles AS SELECT title FROM posts;
GRANT SELECT ON titles TO regress_algo_ref_auto;
$$);
SELECT ordinal, operation, object, upgrade, downgrade, hazards FROM algo_ref.diff() WHERE object NOT LIKE 'view%';
-- what is lost is said
SET client_min_messages = notice;
BEGIN;
SELECT algo_ref.autogenerate('lossy', 'CREATE TABLE posts (id int PRIMARY KEY, user_id bigint, headline text); CREATE INDEX ON posts (user_id)') IS NOT NULL AS made;
ROLLBACK;
SET client_min_messages = warning;
SELECT algo_ref.autogenerate('second') IS NOT NULL AS made;
SELECT algo_ref.fingerprint() AS first \gset
SELECT message FROM algo_ref.upgrade('head');
SELECT algo_ref."check"();
SELECT id, email, mood, age FROM users ORDER BY id;
SELECT message FROM algo_ref.downgrade('-1');
SELECT algo_ref.fingerprint() = :'first' AS same;
SELECT message FROM algo_ref.upgrade('head');

--
-- Renames
--

-- an unhinted pair is said to be one
SELECT ordinal, operation, object, hazards FROM algo_ref.diff(replace(algo_ref.schema_sql(), 'age', 'years'));
-- by the text
SELECT algo_ref.declare($$
CREATE TYPE feeling /* @renamed from=mood */ AS ENUM ('sad', 'fine' -- @renamed from=ok
);
CREATE TABLE accounts ( -- @renamed from=users
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  "E-mail" varchar(100) NOT NULL, -- @renamed from=email
  mood feeling DEFAULT 'fine' NOT NULL,
  years int CONSTRAINT grown CHECK (years > 0) -- @renamed from=age
);
COMMENT ON TABLE accounts IS 'who is there';
CREATE UNIQUE INDEX accounts_email /* @renamed from=users_email */ ON accounts (lower("E-mail"));
-- @renamed from=posts
CREATE TABLE articles (
  id int PRIMARY KEY,
  user_id bigint NOT NULL REFERENCES accounts ON DELETE CASCADE,
  title text DEFAULT '-'
);
CREATE VIEW titles AS SELECT title FROM articles;
GRANT SELECT ON titles TO regress_algo_ref_auto;
CREATE TABLE small (id int);
$$);
-- (since 18, NOT NULL has a name, too)
SELECT operation, object, upgrade, downgrade, hazards FROM algo_ref.diff() WHERE upgrade NOT LIKE '%_not_null%';
-- by the argument
SELECT array_agg(upgrade ORDER BY upgrade COLLATE "C") = (SELECT array_agg(upgrade ORDER BY upgrade COLLATE "C") FROM algo_ref.diff()) AS same
FROM algo_ref.diff((SELECT replace(ddl, '@renamed', '@') FROM algo_ref.model),
  renames => '{mood -> feeling, mood.ok -> fine, users -> accounts, "users.email -> \"E-mail\"", users.age -> years, users_email -> accounts_email, app.posts -> articles}');
SELECT algo_ref.autogenerate('renamed') IS NOT NULL AS made;
SELECT algo_ref.fingerprint() AS before \gset
SELECT message FROM algo_ref.upgrade('head');
SELECT * FROM algo_ref.diff();
SELECT id, "E-mail", mood, years FROM accounts ORDER BY id;
SELECT message FROM algo_ref.downgrade('-1');
SELECT algo_ref.fingerprint() = :'before' AS same;
SELECT message FROM algo_ref.upgrade('head');

--
-- Labels of an enum: a commit before they are used
--

SELECT algo_ref.declare(replace(replace(algo_ref.schema_sql(), '''sad'',', '''angry'', ''sad'','), 'DEFAULT ''fine''', 'DEFAULT ''angry'''));
SELECT ordinal, operation, object, upgrade, hazards, transaction_group FROM algo_ref.diff();
SELECT algo_ref.autogenerate('label') IS NOT NULL AS made;
CALL algo_ref.deploy('head');
SELECT algo_ref."check"();
CALL algo_ref.revert('-1');
CALL algo_ref.deploy('head');

--
-- A database in use
--

INSERT INTO articles SELECT n, 1, 'title ' || n FROM generate_series(1, 3000) n;
SELECT algo_ref.declare($$
CREATE TYPE feeling AS ENUM ('angry', 'sad', 'fine');
CREATE TABLE accounts (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  "E-mail" varchar(100) NOT NULL,
  mood feeling DEFAULT 'angry' NOT NULL,
  years int CONSTRAINT grown CHECK (years > 0)
);
COMMENT ON TABLE accounts IS 'who is there';
CREATE UNIQUE INDEX accounts_email ON accounts (lower("E-mail"));
CREATE TABLE articles (
  id int PRIMARY KEY,
  user_id bigint NOT NULL REFERENCES accounts ON DELETE CASCADE,
  title text DEFAULT '-' NOT NULL UNIQUE,
  editor bigint REFERENCES accounts,
  CHECK (title <> '')
);
CREATE INDEX articles_title ON articles (title text_pattern_ops);
CREATE VIEW titles AS SELECT title FROM articles;
GRANT SELECT ON titles TO regress_algo_ref_auto;
CREATE TABLE small (id int PRIMARY KEY);
CREATE TABLE fresh (id int PRIMARY KEY, article int REFERENCES articles);
CREATE INDEX ON fresh (article);
$$);
SELECT ordinal, object, upgrade, hazards, transaction_group FROM algo_ref.diff(online => true);
SELECT count(*) AS concurrently FROM algo_ref.diff() WHERE upgrade ~ 'CONCURRENTLY|VALID';
SET algo_ref.online_min_size = '1GB';
SELECT count(*) AS concurrently FROM algo_ref.diff(online => true) WHERE upgrade ~ 'CONCURRENTLY|VALID';
RESET algo_ref.online_min_size;
SELECT algo_ref.autogenerate('online', online => true) IS NOT NULL AS made;
SELECT algo_ref.fingerprint() AS before \gset
CALL algo_ref.deploy('head');
SELECT algo_ref."check"();
-- an index is replaced by another under its name
SELECT ordinal, object, upgrade, downgrade, hazards, transaction_group FROM algo_ref.diff(replace(algo_ref.schema_sql(), '(title text_pattern_ops)', '(title, id)'), online => true);
CALL algo_ref.revert('-1');
SELECT algo_ref.fingerprint() = :'before' AS same;

--
-- Several schemas, and what is never touched
--

CREATE SCHEMA other;
CREATE TABLE other.t (id int PRIMARY KEY);
CREATE TABLE alembic_version (version_num varchar(32) NOT NULL PRIMARY KEY);
SELECT algo_ref.schema_sql() AS sql \gset
-- one that the text does not name, is not looked at
SELECT * FROM algo_ref.diff(:'sql');
-- one that it creates, is
SELECT ordinal, operation, object, upgrade, downgrade FROM algo_ref.diff(:'sql' || 'CREATE SCHEMA other; CREATE TABLE other.t (id int PRIMARY KEY, u bigint REFERENCES app.accounts, n int); CREATE SCHEMA more; CREATE VIEW more.v AS SELECT id FROM other.t;')
WHERE object NOT LIKE 'view%';
SELECT to_regnamespace('more');
-- one that is named, is
SELECT ordinal, operation, object, upgrade, downgrade FROM algo_ref.diff(:'sql', schemas => '{other}');
-- and all
SELECT ordinal, operation, object, upgrade, downgrade FROM algo_ref.diff(:'sql', schemas => '{*}');

--
-- The same revisions serve every tenant
--

CALL algo_ref.deploy('head');
SELECT algo_ref.schema_sql() AS sql \gset
CREATE SCHEMA tenant;
CALL algo_ref.deploy('head', schema => 'tenant');
SET search_path = tenant;
SELECT * FROM algo_ref.diff(:'sql');
SELECT algo_ref.fingerprint('tenant') = algo_ref.fingerprint('app') AS same;
CALL algo_ref.revert('base', schema => 'tenant');
SELECT algo_ref.schema_sql('tenant') = '' AS nothing;

SET client_min_messages = warning;
DROP SCHEMA app, other, tenant CASCADE;
DROP EXTENSION algo_ref;
DROP ROLE regress_algo_ref_auto;
