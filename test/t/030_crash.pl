# Nothing half done: a run that is cancelled, killed or cut off by the end of
# the server leaves schema and state as they were, and the next one does it all.

use strict;
use warnings FATAL => 'all';

use IPC::Run qw(start finish);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

my $rounds = $ENV{ALGO_REF_ROUNDS} || 4;
my $seed = $ENV{ALGO_REF_SEED} || 20260101;
srand($seed);
note "seed $seed";

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', "restart_after_crash = on\nautovacuum = off\n");
$node->start;

my $database = 'postgres';
$node->safe_psql($database, q{
	CREATE EXTENSION algo_ref;
	SELECT algo_ref.revision('first', 'CREATE TABLE accounts (id int PRIMARY KEY, balance int); INSERT INTO accounts SELECT g, 100 FROM generate_series(1, 1000) AS g', 'DROP TABLE accounts', id => 'first', revises => '{}');
	SELECT algo_ref.revision('second', 'ALTER TABLE accounts ADD COLUMN note text; UPDATE accounts SET note = id::text', 'ALTER TABLE accounts DROP COLUMN note', id => 'second', revises => '{first}');
	SELECT algo_ref.revision('slow', 'CREATE TABLE slow (id int); SELECT pg_sleep(0.2); CREATE INDEX ON accounts (note); SELECT pg_sleep(0.8); UPDATE accounts SET balance = balance + 1', 'UPDATE accounts SET balance = balance - 1; DROP INDEX accounts_note_idx; DROP TABLE slow', id => 'slow', revises => '{second}');
	SELECT algo_ref.revision('last', 'CREATE VIEW rich AS SELECT * FROM accounts WHERE balance > 100', 'DROP VIEW rich', id => 'last', revises => '{slow}');
});
$node->safe_psql($database, "SELECT count(*) FROM algo_ref.upgrade('first')");

# The catalog as pg_dump shows it, the data, and our own state.
sub state_of
{
	my ($dump) = run_command([ 'pg_dump', '--no-sync', '-d', $node->connstr($database) ]);

	# newer pg_dumps print a key of their own
	$dump =~ s/^\\(un)?restrict .*\n//mg;
	# numbers that a sequence has given out stay given out
	$dump =~ s/^SELECT pg_catalog\.setval\('algo_ref\.\w+_seq'.*\n//mg;
	return $dump;
}

my $before = state_of();

# Begin an upgrade, and wait until it is in the middle of the slow script.
sub begin_upgrade
{
	my (%option) = @_;
	my ($out, $err) = ('', '');
	my $settings = $option{settings} || '';
	my $run = start([ 'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr($database),
			'-c', "SET application_name = 'victim'; $settings",
			'-c', "SELECT count(*) FROM algo_ref.upgrade('head')" ],
		'<', \undef, '>', \$out, '2>', \$err);
	return { run => $run, out => \$out, err => \$err };
}

sub wait_for_sleep
{
	$node->poll_query_until($database,
		"SELECT count(*) = 1 FROM pg_stat_activity WHERE application_name = 'victim' AND wait_event = 'PgSleep'")
	  or die 'the upgrade did not come to its slow script';
}

sub victim
{
	return $node->safe_psql($database, "SELECT pid FROM pg_stat_activity WHERE application_name = 'victim'");
}

sub ends_badly
{
	my ($upgrade, $error, $name) = @_;

	ok(!finish($upgrade->{run}), "$name: the call fails");
	like(${ $upgrade->{err} }, $error, "$name: it says why");
	$node->poll_query_until($database, "SELECT count(*) = 0 FROM pg_stat_activity WHERE application_name = 'victim'");
	is(state_of(), $before, "$name: everything is as it was");
	is($node->safe_psql($database, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"), '0', "$name: no lock is left");
	return;
}

# The server may not have seen yet that a backend of it was killed, or the signal
# came when the backend was gone.
sub wait_for_restart
{
	my ($offset) = @_;

	for (1 .. 30)
	{
		my $log = slurp_file($node->logfile, $offset);
		if ($log =~ /was terminated by signal 9/)
		{
			$node->wait_for_log(qr/database system is ready to accept connections/, $offset);
			return;
		}
		usleep(100_000);
	}
	return;
}

my $upgrade = begin_upgrade();
wait_for_sleep();
$node->safe_psql($database, 'SELECT pg_cancel_backend(' . victim() . ')');
ends_badly($upgrade, qr/canceling statement due to user request.*statement [24] \(line 1\) of upgrade of revision "slow"/s, 'cancel');

$upgrade = begin_upgrade(settings => "SET statement_timeout = '150ms'");
ends_badly($upgrade, qr/canceling statement due to statement timeout/, 'statement_timeout');

$upgrade = begin_upgrade();
wait_for_sleep();
$node->safe_psql($database, 'SELECT pg_terminate_backend(' . victim() . ')');
ends_badly($upgrade, qr/terminating connection due to administrator command/, 'terminate');

# a full disk, as far as it can be had without one
$node->safe_psql($database, q{SELECT algo_ref.edit('last', upgrade => 'CREATE TEMP TABLE big AS SELECT repeat(md5(g::text), 4) AS t FROM generate_series(1, 200000) AS g ORDER BY t; CREATE VIEW rich AS SELECT * FROM accounts')});
$before = state_of();
$upgrade = begin_upgrade(settings => "SET temp_file_limit = '1MB'; SET work_mem = '64kB'");
ends_badly($upgrade, qr/temporary file size exceeds/, 'out of space');
$node->safe_psql($database, q{SELECT algo_ref.edit('last', upgrade => 'CREATE VIEW rich AS SELECT * FROM accounts WHERE balance > 100')});
$before = state_of();

# SIGKILL, at any moment
for my $round (1 .. $rounds)
{
	$upgrade = begin_upgrade();
	$node->poll_query_until($database, "SELECT count(*) = 1 FROM pg_stat_activity WHERE application_name = 'victim'");
	my $pid = victim();
	my $offset = -s $node->logfile;
	usleep(int(rand(350_000)));
	kill 'KILL', $pid if $pid;
	finish($upgrade->{run});
	wait_for_restart($offset);
	my $done = $node->safe_psql($database, "SELECT revision FROM algo_ref.version") eq 'last';
	if ($done)
	{
		note "round $round: the kill came too late";
		$node->safe_psql($database, "SELECT count(*) FROM algo_ref.downgrade('first')");
		$before = state_of();
		next;
	}
	is(state_of(), $before, "kill, round $round: everything is as it was");
}

# the end of the server
for my $round (1 .. $rounds)
{
	$upgrade = begin_upgrade();
	wait_for_sleep();
	usleep(int(rand(300_000)));
	$node->stop('immediate');
	finish($upgrade->{run});
	$node->start;
	is(state_of(), $before, "immediate shutdown, round $round: everything is as it was");
}

is($node->safe_psql($database, "SELECT string_agg(revision, ' ' ORDER BY ordinal) FROM algo_ref.upgrade('head')"),
	'second slow last', 'the next upgrade does it all');
is($node->safe_psql($database, 'SELECT count(*), sum(balance) FROM rich'), '1000|101000', 'and once');
is($node->safe_psql($database, "SELECT count(*) FILTER (WHERE direction = 'upgrade') - count(*) FILTER (WHERE direction = 'downgrade') FROM algo_ref.log"), '4',
	'the log has what was done');

# after it is committed, a crash takes nothing away
$node->stop('immediate');
$node->start;
is($node->safe_psql($database, 'SELECT revision FROM algo_ref.current()'), 'last', 'what is committed stays');
$node->stop;
done_testing();
