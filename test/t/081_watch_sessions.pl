# The watch over sessions: what is shared and what is not, parallel workers,
# and a server that starts again.

use strict;
use warnings FATAL => 'all';

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', "fsync = off\nautovacuum = off\nmax_parallel_workers = 4\n");
$node->start;
$node->safe_psql('postgres', <<'SQL');
CREATE EXTENSION algo_ref;
GRANT USAGE ON SCHEMA algo_ref TO PUBLIC;
GRANT EXECUTE ON FUNCTION algo_ref.n1_reset() TO PUBLIC;
CREATE ROLE one LOGIN;
CREATE ROLE two LOGIN;
CREATE TABLE users (id int PRIMARY KEY);
CREATE TABLE posts (user_id int REFERENCES users);
INSERT INTO users SELECT generate_series(1, 2000);
INSERT INTO posts SELECT id FROM users;
GRANT SELECT ON users, posts TO PUBLIC;
CREATE FUNCTION page() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  i int;
BEGIN
  FOR i IN SELECT id FROM users WHERE id <= 20 LOOP
    PERFORM FROM posts WHERE user_id = i;
  END LOOP;
END $$;
CREATE FUNCTION lookup(i int) RETURNS bigint STABLE PARALLEL SAFE LANGUAGE plpgsql AS $$
BEGIN
  RETURN (SELECT count(*) FROM posts WHERE user_id = i);
END $$;
CREATE FUNCTION parallel_page() RETURNS bigint STABLE PARALLEL SAFE LANGUAGE plpgsql AS $$
DECLARE
  i int;
  n bigint := 0;
BEGIN
  FOR i IN SELECT id FROM users WHERE id <= 20 LOOP
    n := n + (SELECT count(*) FROM posts WHERE user_id = i);
  END LOOP;
  RETURN n;
END $$;
CREATE DATABASE other;
SQL
$node->safe_psql('other', 'CREATE EXTENSION algo_ref');

my $report = 'SELECT database, role, relationship, times, statement FROM algo_ref.n1_report() ORDER BY 1, 2, 3';

# without preloading: the session's own
is($node->safe_psql('postgres', "SET algo_ref.watch = log; SELECT page(); SELECT count(*) FROM algo_ref.n1_report(); SELECT page(); $report", extra_params => [ '-U', 'one' ]),
	"\n0\n\npostgres|one|users.posts|20|SELECT FROM posts WHERE user_id = i", 'a session watches from its first call of the extension on');
is($node->safe_psql('postgres', "SELECT algo_ref.n1_reset(); SET algo_ref.watch = log; $report"), '0', 'another session sees nothing of it');

# loaded for a role's sessions
$node->safe_psql('postgres', "ALTER ROLE one SET session_preload_libraries = 'algo_ref'; ALTER ROLE one SET algo_ref.watch = log");
is($node->safe_psql('postgres', "SELECT page(); $report", extra_params => [ '-U', 'one' ]),
	"\npostgres|one|users.posts|20|SELECT FROM posts WHERE user_id = i", 'a role whose sessions load the library');

# preloaded
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'algo_ref'\nalgo_ref.watch = log\n");
$node->restart;
$node->safe_psql('postgres', 'SELECT page()', extra_params => [ '-U', 'one' ]);
$node->safe_psql('postgres', 'SELECT page(); SELECT page()', extra_params => [ '-U', 'one' ]);
$node->safe_psql('postgres', 'SELECT page()', extra_params => [ '-U', 'two' ]);
is($node->safe_psql('postgres', $report), "postgres|one|users.posts|60|SELECT FROM posts WHERE user_id = i\npostgres|two|users.posts|20|SELECT FROM posts WHERE user_id = i", 'the report is that of all sessions');
is($node->safe_psql('other', $report), "postgres|one|users.posts|60|SELECT FROM posts WHERE user_id = i\npostgres|two|users.posts|20|SELECT FROM posts WHERE user_id = i", 'of all databases');
is($node->safe_psql('postgres', $report, extra_params => [ '-U', 'two' ]), "postgres|one||60|\npostgres|two|users.posts|20|SELECT FROM posts WHERE user_id = i", 'with the texts of one\'s own');
is($node->safe_psql('postgres', 'SELECT algo_ref.n1_reset()', extra_params => [ '-U', 'two' ]), '1', 'one\'s own rows may be forgotten');
is($node->safe_psql('postgres', $report), 'postgres|one|users.posts|60|SELECT FROM posts WHERE user_id = i', 'and no other');

# a session that has told of it tells again after a reset by another
my $session = $node->background_psql('postgres') if $node->can('background_psql');
sub messages
{
	return scalar(() = slurp_file($node->logfile) =~ /is looked up by .* one key at a time/g);
}
SKIP:
{
	skip 'this version has no background_psql with query()', 3 unless $session && $session->can('query_safe');
	my $before = messages();
	$session->query_safe('SELECT page()');
	$session->query_safe('SELECT page()');
	is(messages() - $before, 1, 'a session tells of it once');
	is($node->safe_psql('postgres', 'SELECT algo_ref.n1_reset()'), '2', 'a superuser forgets all');
	$session->query_safe('SELECT page()');
	is(messages() - $before, 2, 'and again after a reset');
	$session->quit;
}

# in a parallel worker nothing is watched
$node->safe_psql('postgres', 'SELECT algo_ref.n1_reset()');
my $parallel = "SET debug_parallel_query = on;";
$parallel = "SET force_parallel_mode = on;" if $node->psql('postgres', $parallel) != 0;
is($node->safe_psql('postgres', "$parallel SELECT parallel_page(); SELECT count(*) FROM algo_ref.n1_report()"), "20\n0", 'nothing is found in a parallel worker');
is($node->safe_psql('postgres', "SELECT parallel_page(); SELECT count(*) FROM algo_ref.n1_report()"), "20\n1", 'what the leader does is');

# many sessions and more shapes than there is room for
$node->safe_psql('postgres', <<'SQL');
DO $$
BEGIN
  FOR i IN 1..150 LOOP
    EXECUTE format('CREATE TABLE c%s (user_id int REFERENCES users)', i);
  END LOOP;
END $$;
SQL
$node->safe_psql('postgres', <<'SQL');
DO $$
DECLARE
  u int;
BEGIN
  FOR i IN 1..150 LOOP
    FOR u IN SELECT id FROM users WHERE id <= 20 LOOP
      EXECUTE format('SELECT FROM c%s WHERE user_id = %s', i, u);
    END LOOP;
  END LOOP;
END $$;
SQL
is($node->safe_psql('postgres', q{SELECT count(*), count(*) FILTER (WHERE relationship = 'users.c150') FROM algo_ref.n1_report()}), '128|1', 'the report is bounded, and the newest are kept');

# among other modules that hook the executor, in any order
foreach my $libraries ('pg_stat_statements, algo_ref, auto_explain', 'auto_explain, algo_ref, pg_stat_statements')
{
	$node->append_conf('postgresql.conf', "shared_preload_libraries = '$libraries'\nauto_explain.log_min_duration = 0\nauto_explain.log_nested_statements = on\nauto_explain.log_analyze = on\npg_stat_statements.track = all\n");
	$node->restart;
	$node->safe_psql('postgres', 'CREATE EXTENSION IF NOT EXISTS pg_stat_statements; SELECT pg_stat_statements_reset()');
	my $explained = () = slurp_file($node->logfile) =~ /Query Text: SELECT FROM posts WHERE user_id = i/g;
	$node->safe_psql('postgres', 'SELECT page()');
	is($node->safe_psql('postgres', q{SELECT calls, rows FROM pg_stat_statements WHERE query LIKE 'SELECT FROM posts%'}), '20|20', "$libraries: all executions and rows are counted");
	is(scalar(() = slurp_file($node->logfile) =~ /Query Text: SELECT FROM posts WHERE user_id = i/g) - $explained, 20, "$libraries: and explained");
	is($node->safe_psql('postgres', 'SELECT relationship, times FROM algo_ref.n1_report()'), 'users.posts|20', "$libraries: and watched");
}

# a crash leaves a server that starts, with an empty report
$node->stop('immediate');
$node->start;
is($node->safe_psql('postgres', 'SELECT count(*) FROM algo_ref.n1_report()'), '0', 'a report does not outlive the server');
$node->safe_psql('postgres', 'SELECT page()');
is($node->safe_psql('postgres', 'SELECT count(*) FROM algo_ref.n1_report()'), '1', 'and a new one begins');

# a database without the extension, and DROP EXTENSION
$node->safe_psql('postgres', 'SELECT algo_ref.n1_reset(); DROP EXTENSION algo_ref; SELECT page()');
$node->safe_psql('postgres', 'CREATE EXTENSION algo_ref');
is($node->safe_psql('postgres', 'SELECT count(*) FROM algo_ref.n1_report()'), '0', 'nothing is watched in a database without the extension');

$node->stop;
done_testing();
