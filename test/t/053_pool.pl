# Two hundred connections, of pgbouncer's where it is installed: the numbers are
# right, and they come at once.

use strict;
use warnings FATAL => 'all';

use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time usleep);

my ($pgbouncer) = grep { -x } map { "$_/pgbouncer" } split(/:/, $ENV{PATH}), '/usr/sbin';
my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', "fsync = off\nautovacuum = off\nmax_connections = 230\n");
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION algo_ref; CREATE ROLE shop LOGIN CONNECTION LIMIT 210; CREATE ROLE desk LOGIN; GRANT USAGE ON SCHEMA algo_ref TO PUBLIC');
my $dir = PostgreSQL::Test::Utils::tempdir_short();

# Clients that all stay in their state: so many of them active, so many idle in
# a transaction, the others idle.
append_to_file("$dir/stay.sql", <<'SQL');
\if :client_id < 70
SELECT pg_sleep(600);
\elif :client_id < 120
BEGIN;
SELECT 1;
\sleep 600 s
\else
SELECT 1;
\sleep 600 s
\endif
SQL

# What runs beside the server does not outlive the test.
my @helpers;

END
{
	my $status = $?;

	$_->kill_kill foreach @helpers;
	$? = $status;
}

sub clients
{
	my ($script, $host, $port, @options) = @_;
	local $ENV{PGAPPNAME} = 'pgbench';

	push @helpers, IPC::Run::start([ 'pgbench', '-n', '-c', '200', @options, '-f', "$dir/$script", '-h', $host, '-p', $port, '-U', 'shop', 'postgres' ],
		'<', '/dev/null', '>', "$dir/out", '2>', "$dir/err");
	return $helpers[-1];
}

sub bouncer
{
	my ($mode, $size) = @_;
	my ($host, $port) = ($node->host, $node->port);

	unlink "$dir/pgbouncer.ini", "$dir/users.txt";
	append_to_file("$dir/users.txt", qq("shop" ""\n));
	append_to_file("$dir/pgbouncer.ini", <<INI);
[databases]
postgres = host=$host port=$port dbname=postgres
[pgbouncer]
listen_addr =
listen_port = 6432
unix_socket_dir = $dir
auth_type = any
auth_file = $dir/users.txt
pool_mode = $mode
default_pool_size = $size
max_client_conn = 300
ignore_startup_parameters = extra_float_digits
logfile = $dir/log
pidfile = $dir/pid
INI
	# "any" wants a user for the server
	my $ini = slurp_file("$dir/pgbouncer.ini") =~ s/dbname=postgres/dbname=postgres user=shop/r;
	unlink "$dir/pgbouncer.ini";
	append_to_file("$dir/pgbouncer.ini", $ini);
	push @helpers, IPC::Run::start([ $pgbouncer, '-q', "$dir/pgbouncer.ini" ], '<', '/dev/null', '>', "$dir/bouncer_out", '2>', "$dir/bouncer_err");
	for (1 .. 100)
	{
		last if IPC::Run::run([ 'psql', '-XAtq', '-h', $dir, '-p', '6432', '-U', 'shop', '-d', 'postgres', '-c', 'SELECT 1' ], '>', '/dev/null', '2>', '/dev/null');
		usleep(100_000);
	}
	return $helpers[-1];
}

# The best and the middle one of several times, in ms; each in a transaction of
# its own, since what was read stays as it was in one.
sub durations
{
	my ($role, $query) = @_;
	my $out = '';

	IPC::Run::run([ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-U', $role, '-c', '\timing on', map { ('-c', $query) } 1 .. 15 ], '>', \$out) or die $out;
	my @ms = sort { $a <=> $b } $out =~ /^Time: ([\d.]+) ms/mg;
	return ($ms[0], $ms[@ms / 2]);
}

sub wait_for
{
	my ($query) = @_;

	$node->poll_query_until('postgres', $query) or die slurp_file("$dir/err");
}

my $super = $node->safe_psql('postgres', 'SELECT current_user');
my $states = "SELECT connections, active, idle, idle_in_transaction, unknown FROM algo_ref.pool_status() WHERE role = 'shop'";
my $name = $pgbouncer ? 'through pgbouncer' : 'without pgbouncer';
my $daemon = $pgbouncer ? bouncer('session', 250) : undef;
my $clients = clients('stay.sql', $pgbouncer ? ($dir, 6432) : ($node->host, $node->port), '-t', '1');
wait_for("SELECT string_agg(n, ' ' ORDER BY n) = '50 70 80' FROM (SELECT count(*)::text FROM pg_stat_activity WHERE usename = 'shop' AND application_name = 'pgbench' GROUP BY state) AS s (n)");
is($node->safe_psql('postgres', "$states AND application_name = 'pgbench'"), '200|70|80|50|0', "$name: two hundred, in their states");
is($node->safe_psql('postgres', 'SELECT limited_by, limit_allowed, limit_used - (SELECT count(*) FROM pg_stat_activity WHERE usename = \'shop\') FROM algo_ref.pool_status() WHERE role = \'shop\' AND application_name = \'pgbench\''),
	'role shop|210|0', "$name: the limit");
is($node->safe_psql('postgres', "SELECT sum(connections) = (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend') FROM algo_ref.pool_status()"), 't', "$name: none is missing");
is($node->safe_psql('postgres', "SELECT count(*) FROM algo_ref.pool_dispose('pgbench', '0', dry_run => true) WHERE outcome = 'would end'"), '80', "$name: what could be ended");
foreach my $role ($super, 'desk')
{
	foreach my $query ('SELECT * FROM algo_ref.pool_status()', "SELECT algo_ref.pool_status('text')", 'SELECT * FROM algo_ref.connection_limits()', 'SELECT * FROM algo_ref.connections()', 'SELECT * FROM algo_ref.connection_budget()')
	{
		my ($best, $middle) = durations($role, $query);

		note sprintf '%s, %s as %s: %.1f ms, best %.1f ms', $name, $query, $role eq $super ? 'superuser' : 'plain user', $middle, $best;
		cmp_ok($best, '<', 20, "$name: $query as " . ($role eq $super ? 'superuser' : 'plain user') . ' takes less than 20 ms');
	}
}
is($node->safe_psql('postgres', "SELECT count(*) FROM algo_ref.pool_dispose('pgbench', '0') WHERE outcome = 'ended'"), '80', "$name: the idle ones are ended");
is($node->safe_psql('postgres', "$states AND application_name = 'pgbench'"), '120|70|0|50|0', "$name: the others stay");
$_->kill_kill foreach grep { $_ } $clients, $daemon;

# all of them wait for one row: the chains are of all that are before
$node->safe_psql('postgres', "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'shop'; CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1); GRANT ALL ON t TO shop");
wait_for("SELECT count(*) = 0 FROM pg_stat_activity WHERE usename = 'shop'");
append_to_file("$dir/wait.sql", "SELECT FROM t WHERE id = 1 FOR UPDATE;\n\\sleep 600 s\n");
my $holder = $node->background_psql('postgres');
$holder->query_safe('BEGIN; SELECT FROM t FOR UPDATE');
my $waiters = clients('wait.sql', $node->host, $node->port, '-t', '1');
wait_for("SELECT count(*) = 200 FROM pg_stat_activity WHERE usename = 'shop' AND wait_event_type = 'Lock'");
is($node->safe_psql('postgres', "SELECT connections, waiting, cardinality(waiting_for) FROM algo_ref.pool_status() WHERE role = 'shop'"), '200|200|200', 'two hundred in a queue');
is($node->safe_psql('postgres', "SELECT count(*), count(DISTINCT blocking_chain[cardinality(blocking_chain)]), bool_and(blocking_chain @> blocked_by) FROM algo_ref.connection WHERE role = 'shop'"), '200|1|t', 'all for one in the end');
my ($best, $middle) = durations($super, 'SELECT * FROM algo_ref.pool_status()');
note sprintf 'two hundred in a queue: %.1f ms, best %.1f ms', $middle, $best;
cmp_ok($best, '<', 1000, 'two hundred in a queue: within a second');
$waiters->kill_kill;
$holder->quit;

# clients that take turns: what the server sees is what pgbouncer opens
SKIP:
{
	skip 'pgbouncer is not installed here', 3 unless $pgbouncer;
	$node->safe_psql('postgres', "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'shop'");
	wait_for("SELECT count(*) = 0 FROM pg_stat_activity WHERE usename = 'shop'");
	$daemon = bouncer('transaction', 20);
	append_to_file("$dir/turns.sql", "SELECT pg_sleep(0.001);\n\\sleep 50 ms\n");
	$clients = clients('turns.sql', $dir, 6432, '-T', '600');
	wait_for("SELECT count(*) = 20 FROM pg_stat_activity WHERE usename = 'shop'");
	is($node->safe_psql('postgres', "SELECT sum(connections), sum(unknown) FROM algo_ref.pool_status() WHERE role = 'shop'"), '20|0', 'in turns: twenty connections for two hundred clients');
	is($node->safe_psql('postgres', "SELECT limited_by, needed, used_by_others, fits FROM algo_ref.connection_budget(5, 5, 20, role => 'shop', pgbouncer_processes => 1, default_pool_size => 20, max_client_conn => 300) WHERE limited_by LIKE 'role%'"),
		'role shop|20|20|t', 'in turns: the budget says what the server sees');
	is($node->safe_psql('postgres', "SELECT allowed, needed, remaining, fits FROM algo_ref.connection_budget(5, 5, 20, role => 'shop', pgbouncer_processes => 1, default_pool_size => 20, max_client_conn => 300) WHERE limited_by LIKE 'pgbouncer%'"),
		'300|200|100|t', 'in turns: and what pgbouncer does');
	$_->kill_kill foreach $clients, $daemon;
}
$node->stop;
done_testing();
