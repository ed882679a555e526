# A deploy that was killed anywhere is finished by the next one: nothing is run
# twice, nothing is lost, and no invalid index is left.
#
# ALGO_REF_ROUNDS says how many rounds, ALGO_REF_SEED what they do.

use strict;
use warnings;

use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep time);

my $rounds = $ENV{ALGO_REF_ROUNDS} || 8;
my $seed = $ENV{ALGO_REF_SEED} || 20;
srand($seed);
note "seed $seed";

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', <<'CONF');
max_worker_processes = 8
autovacuum = off
restart_after_crash = on
log_error_verbosity = default
CONF
$node->start;

# Each statement that runs in a transaction leaves a row in "ran".
sub script
{
	my ($id, $revises, $up, $down) = @_;
	return
	  "SELECT algo_ref.revision('$id', \$up\$$up\$up\$, \$down\$$down\$down\$, id => '$id', revises => '{$revises}');\n";
}

sub mark { return "INSERT INTO ran VALUES ('$_[0]')" }

$node->safe_psql('postgres', <<'SQL'
CREATE EXTENSION algo_ref;
CREATE TABLE accounts (id int PRIMARY KEY, v int, w int);
INSERT INTO accounts SELECT g, g, g FROM generate_series(1, 30000) g;
CREATE TABLE ran (what text);
SQL
	. script('k1', '', mark('1u') . "; CREATE TABLE one (id int)", mark('1d') . "; DROP TABLE one")
	. script('k2', 'k1', "ALTER TABLE accounts ADD COLUMN x int; " . mark('2u'), mark('2d') . "; ALTER TABLE accounts DROP COLUMN x")
	. script('k3', 'k2', mark('3u1') . "; CREATE INDEX CONCURRENTLY accounts_v ON accounts (v); " . mark('3u2')
		  . "; CREATE UNIQUE INDEX CONCURRENTLY ON accounts (w, id); " . mark('3u3'),
		mark('3d1') . "; DROP INDEX CONCURRENTLY accounts_v; DROP INDEX CONCURRENTLY accounts_w_id_idx; " . mark('3d2'))
	. script('k4', 'k3', "CREATE TYPE mood AS ENUM ('a'); CREATE TABLE moods (m mood); " . mark('4u'), mark('4d') . "; DROP TABLE moods; DROP TYPE mood")
	. script('k5', 'k4', "ALTER TYPE mood ADD VALUE 'b'; INSERT INTO moods VALUES ('b'); " . mark('5u'), mark('5d') . "; DELETE FROM moods")
	. script('k6', 'k5', mark('6u1') . "; REINDEX TABLE CONCURRENTLY accounts; " . mark('6u2') . "; VACUUM accounts", mark('6d')));

my $folder = PostgreSQL::Test::Utils::tempdir();
my $port = $node->port;
my $host = $node->host;

sub connection { return ('psql', '-X', '-A', '-t', '-q', '-d', "host=$host port=$port dbname=postgres application_name=$_[0]") }

# SQL that is tried again while the server is coming up.
sub patient
{
	my ($sql) = @_;
	for my $try (1 .. 200)
	{
		my ($out, $err) = ('', '');
		IPC::Run::run [ connection('checker'), '-v', 'ON_ERROR_STOP=1', '-c', $sql ], '>', \$out, '2>', \$err;
		return $out =~ s/\s+$//r if $? == 0;
		die $err unless $err =~ /connection|starting up|recovery|terminated|shutting down/;
		usleep(100_000);
	}
	die "server did not come back";
}

# With files, not pipes: a server that is started meanwhile would inherit those.
sub background
{
	return IPC::Run::start([@_], '<', '/dev/null', '>', "$folder/output", '2>', "$folder/errors");
}

sub load
{
	my $script = "$folder/load.sql";
	PostgreSQL::Test::Utils::append_to_file($script,
		"\\set id random(1, 30000)\nUPDATE accounts SET v = v + 1 WHERE id = :id;\n\\sleep 2 ms\n") unless -e $script;
	return background('pgbench', '-n', '-c', '2', '-T', '600', '-f', $script, '-h', $host, '-p', $port, 'postgres');
}

my %kill = (
	terminate => sub { "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'deployer' AND backend_type = 'client backend'" },
	cancel => sub { "SELECT count(pg_cancel_backend(pid)) FROM pg_stat_activity WHERE application_name = 'deployer' AND backend_type = 'client backend'" },
	worker => sub { "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE backend_type = 'algo_ref worker'" },
	crash => sub { "SELECT pid FROM pg_stat_activity WHERE application_name = 'deployer' ORDER BY backend_type LIMIT 1" },
	immediate => sub { undef });
# a crash costs a recovery, so there are fewer of them
my @kinds = (('terminate') x 4, ('cancel') x 4, ('worker') x 4, 'crash', 'immediate');

sub interrupt
{
	my ($call) = @_;
	my $kind = $kinds[ rand @kinds ];
	my $deploy = background(connection('deployer'), '-c', $call);
	usleep(20_000 + rand(400_000));
	if ($kind eq 'immediate')
	{
		$node->stop('immediate');
		$node->start;
	}
	else
	{
		my $answer = patient($kill{$kind}->());
		kill 'KILL', $answer if $kind eq 'crash' && $answer =~ /^\d+$/;
	}
	$deploy->finish;
	return "$kind";
}

my $pgbench = load();
my %seen;
for my $round (1 .. $rounds)
{
	for my $way ([ "CALL algo_ref.deploy()", 'k6', 'u' ], [ "CALL algo_ref.revert('base')", '', 'd' ])
	{
		my ($call, $heads, $letter) = @$way;
		my @story;
		patient("TRUNCATE ran");
		push @story, interrupt($call) for 1 .. 1 + int(rand 3);
		patient("SELECT 1");
		my ($out, $err) = ('', '');
		IPC::Run::run [ connection('deployer'), '-v', 'ON_ERROR_STOP=1', '-c', $call ], '>', \$out, '2>', \$err;
		my $finished = $? == 0;
		$seen{$_}++ for @story;
		my $state = patient("SELECT coalesce(string_agg(revision, ','), '') FROM algo_ref.version");
		my $marks = patient("SELECT string_agg(what, ',' ORDER BY what) FROM ran");
		my $invalid = patient("SELECT count(*) FROM pg_index WHERE NOT indisvalid");
		my $jobs = patient("SELECT count(*) FROM algo_ref.job");
		my $indexes = patient("SELECT count(*) FROM pg_index WHERE indrelid = 'accounts'::regclass");
		my $all = $letter eq 'u' ? '1u,2u,3u1,3u2,3u3,4u,5u,6u1,6u2' : '1d,2d,3d1,3d2,4d,5d,6d';
		my $good = $finished && $state eq $heads && $marks eq $all && $invalid eq '0' && $jobs eq '0'
		  && $indexes eq ($letter eq 'u' ? '3' : '1');
		ok($good, "round $round, $call after @story")
		  or diag "finished: $finished\nstate: $state\nran: $marks\ninvalid: $invalid, jobs: $jobs, indexes: $indexes\n$err";
	}
	if (!$pgbench->pumpable)
	{
		$pgbench->finish;
		$pgbench = load();
	}
}
$pgbench->kill_kill;
note join ', ', map { "$_: $seen{$_}" } sort keys %seen;
$node->stop;
done_testing();
