-- The watch: who sees what of whom.
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS algo_ref CASCADE;
DROP ROLE IF EXISTS regress_algo_ref_one, regress_algo_ref_two, regress_algo_ref_stats;
RESET client_min_messages;
CREATE EXTENSION algo_ref;
CREATE ROLE regress_algo_ref_one;
CREATE ROLE regress_algo_ref_two;
CREATE ROLE regress_algo_ref_stats IN ROLE pg_read_all_stats;
GRANT USAGE ON SCHEMA algo_ref TO PUBLIC;
CREATE TABLE users (id int PRIMARY KEY);
CREATE TABLE posts (user_id int REFERENCES users);
INSERT INTO users SELECT generate_series(1, 20);
GRANT SELECT ON users, posts TO PUBLIC;
CREATE FUNCTION page() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  i int;
BEGIN
  FOR i IN SELECT id FROM users LOOP
    PERFORM FROM posts WHERE user_id = i;
  END LOOP;
END $$;
SET algo_ref.watch = log;
-- two roles in one session, neither of which needs more than its tables
SET ROLE regress_algo_ref_one;
SELECT page();
SET ROLE regress_algo_ref_two;
SELECT page();
SELECT role, relationship, times, statement IS NULL AND source IS NULL AND function IS NULL AND prefetch IS NULL AS hidden FROM algo_ref.n1_report() ORDER BY role;
SET ROLE regress_algo_ref_stats;
SELECT role, relationship, times, statement, source, function, prefetch FROM algo_ref.n1_report() ORDER BY role;
-- forgetting is granted, and limited to roles that the caller may be
SELECT algo_ref.n1_reset();
RESET ROLE;
GRANT EXECUTE ON FUNCTION algo_ref.n1_reset() TO PUBLIC;
SET ROLE regress_algo_ref_stats;
SELECT algo_ref.n1_reset();
SET ROLE regress_algo_ref_two;
SELECT algo_ref.n1_reset();
RESET ROLE;
SELECT role, times FROM algo_ref.n1_report() ORDER BY role;
SELECT algo_ref.n1_reset();
-- a function that runs as its owner is its owner's
ALTER FUNCTION page() OWNER TO regress_algo_ref_one;
ALTER FUNCTION page() SECURITY DEFINER;
SET ROLE regress_algo_ref_two;
SELECT page();
SELECT role, times, statement FROM algo_ref.n1_report();
-- and what it runs is not for its callers
SET algo_ref.watch = error;
SELECT page();
SET algo_ref.watch = log;
SET client_min_messages = log;
SELECT page();
SET client_min_messages = notice;
-- nor is the list that it returns
RESET ROLE;
SELECT algo_ref.n1_reset();
CREATE FUNCTION list() RETURNS SETOF int LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
  RETURN QUERY SELECT id FROM users WHERE id <> 1234;
END $$;
ALTER FUNCTION list() OWNER TO regress_algo_ref_one;
CREATE FUNCTION page_of_list() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  i int;
BEGIN
  FOR i IN SELECT list FROM list() LOOP
    PERFORM FROM posts WHERE user_id = i;
  END LOOP;
END $$;
SET ROLE regress_algo_ref_two;
SELECT page_of_list();
SELECT role, relationship, times, statement, source, function, prefetch FROM algo_ref.n1_report();
SET ROLE regress_algo_ref_stats;
SELECT role, source, prefetch FROM algo_ref.n1_report();
SET ROLE regress_algo_ref_two;
SET algo_ref.watch = error;
SELECT page_of_list();
RESET ROLE;
DROP FUNCTION page_of_list(), list();
GRANT regress_algo_ref_one TO regress_algo_ref_two;
SET ROLE regress_algo_ref_two;
SELECT page();
SET algo_ref.watch = log;
-- rows that a policy hides are not looked up, and not counted as keys
RESET ROLE;
SELECT algo_ref.n1_reset();
ALTER TABLE users ENABLE ROW LEVEL SECURITY;
CREATE POLICY few ON users USING (id <= 5);
SELECT page();
SELECT count(*) FROM algo_ref.n1_report();
DROP FUNCTION page();
DROP TABLE posts, users;
DROP ROLE regress_algo_ref_one, regress_algo_ref_two, regress_algo_ref_stats;
