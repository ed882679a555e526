# The deploy door never stands in a lock queue, never blocks in the lock
# manager while another one runs, and is no party to a deadlock.

use strict;
use warnings;

use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep time);

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', "max_worker_processes = 8\nmax_connections = 90\nautovacuum = off\ndeadlock_timeout = 1s\n");
$node->start;
my $folder = PostgreSQL::Test::Utils::tempdir();

sub revision
{
	my ($id, $revises, $up) = @_;
	return "SELECT algo_ref.revision('$id', \$up\$$up\$up\$, '', id => '$id', revises => '{$revises}');\n";
}

sub value { return $node->safe_psql('postgres', $_[0]) }

# psql in the background, its output in a file.
sub start
{
	my ($name, $sql) = @_;
	my $handle = IPC::Run::start(
		[ 'psql', '-X', '-A', '-t', '-q', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('postgres') . " application_name=$name", '-c', $sql ],
		'<', '/dev/null', '>', "$folder/$name.out", '2>', "$folder/$name.err");
	return $handle;
}

sub said { return slurp_file("$folder/$_[0].err") }

value("CREATE EXTENSION algo_ref; CREATE TABLE t (id int PRIMARY KEY, v int); CREATE TABLE u (id int PRIMARY KEY); INSERT INTO t SELECT g, g FROM generate_series(1, 20000) g;");

# ---------------------------------------------------------------------------
# All locks or none; readers do not queue; the client hears whom it waits for.
# ---------------------------------------------------------------------------
value(revision('l1', '', 'ALTER TABLE u ADD COLUMN x int; ALTER TABLE t ADD COLUMN x int'));
my $reader = $node->background_psql('postgres');
$reader->query_safe("SET application_name = 'slow report'; BEGIN; SELECT count(*) FROM t");
my $deploy = start('deployer', 'CALL algo_ref.deploy()');
$node->poll_query_until('postgres', "SELECT state = 'waiting' FROM algo_ref.progress") or die;
my $queued = 0;
my $held = 0;
my $slowest = 0;
for (1 .. 60)
{
	$queued += value("SELECT count(*) FROM pg_locks WHERE NOT granted");
	$held += value("SELECT count(*) FROM pg_locks WHERE relation = 'u'::regclass AND mode = 'AccessExclusiveLock'");
	my $start = time;
	value("SELECT count(*) FROM t WHERE id = 1");
	my $took = time - $start;
	$slowest = $took if $took > $slowest;
}
is($queued, 0, 'nobody stands in a queue while the deploy waits');
cmp_ok($held, '<=', 3, '... and the other table is not kept locked meanwhile');
note "slowest reader: $slowest s";
$reader->query_safe("COMMIT");
ok($deploy->finish, 'the deploy gets its locks in the end');
like(said('deployer'), qr/NOTICE:  waiting for lock AccessExclusiveLock on relation "t"\nDETAIL:  .*process \d+ \(role \S+, application 'slow report', idle in transaction for \d+ s\)/, '... and has said whom it waited for');
cmp_ok(scalar(() = said('deployer') =~ /waiting for lock/g), '<=', 6, '... rarely');

# The budget ends the waiting, and the transaction of nobody else.
value(revision('l2', 'l1', 'ALTER TABLE t ADD COLUMN y int'));
$reader->query_safe("BEGIN; SELECT count(*) FROM t");
my ($code, $out, $err) = $node->psql('postgres', "\\set VERBOSITY verbose\nCALL algo_ref.deploy(lock_budget => '300 ms')");
like($err, qr/ERROR:  55P03: could not lock relation "t" within the lock budget\nDETAIL:  It is held by process/, 'the lock budget is kept');
is(value("SELECT outcome FROM algo_ref.log ORDER BY id DESC LIMIT 1"), 'failed', '... and the failure is in the log');

# A lock that could not be foreseen.
value(revision('l2', 'l1', "DO \$do\$ BEGIN EXECUTE 'ALTER TABLE u ADD COLUMN y int; ALTER TABLE t ADD COLUMN y int'; END \$do\$"));
$deploy = start('deployer', 'CALL algo_ref.deploy()');
my $longest = 0;
for (1 .. 30)
{
	my $start = time;
	value("SELECT count(*) FROM t WHERE id = 1");
	my $took = time - $start;
	$longest = $took if $took > $longest;
}
$reader->query_safe("COMMIT");
ok($deploy->finish, 'what was not foreseen is tried again, whole');
cmp_ok($longest, '<', 1, '... and a reader waits no longer than lock_wait for it');
is(value("SELECT count(*) FROM pg_attribute WHERE attname = 'y' AND attrelid IN ('t'::regclass, 'u'::regclass)"), 2, '... once');

# ---------------------------------------------------------------------------
# A concurrent build and those who wait for their turn.
# ---------------------------------------------------------------------------
# With pg_advisory_lock() the server has to break a deadlock.
my $holder = $node->background_psql('postgres', on_error_stop => 0);
$holder->query_safe("SELECT pg_advisory_lock(1)");
my $waiter = start('waiter', "SELECT pg_advisory_lock(1)");
$node->poll_query_until('postgres', "SELECT count(*) = 1 FROM pg_locks WHERE NOT granted") or die;
my $build = $holder->query("CREATE INDEX CONCURRENTLY plain ON t (v)");
$holder->quit;
$waiter->finish;
like(said('waiter') . slurp_file($node->logfile), qr/deadlock detected/, 'the plain advisory lock deadlocks with a concurrent build');
value("DROP INDEX IF EXISTS plain");

# Ours does not.
value("CREATE TABLE ran (what text)");
value(revision('l3', 'l2', "INSERT INTO ran VALUES ('before'); CREATE INDEX CONCURRENTLY ours ON t (v); INSERT INTO ran VALUES ('after')"));
$reader->query_safe("BEGIN; INSERT INTO t VALUES (0, 0)");    # keeps the build waiting
my @pods = map { start("pod$_", $_ % 2 ? 'CALL algo_ref.deploy()' : 'CALL algo_ref.await()') } 1 .. 50;
$node->poll_query_until('postgres', "SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'algo_ref worker' AND wait_event_type = 'Lock'") or die;
$node->poll_query_until('postgres', "SELECT count(*) = 50 FROM pg_stat_activity WHERE application_name LIKE 'pod%' AND backend_type = 'client backend'") or die;
usleep(500_000);
my $blocked = 0;
my %held;
for (1 .. 20)
{
	$blocked += value("SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a USING (pid) WHERE NOT l.granted AND a.backend_type = 'client backend'");
	$held{$_}++ for split(/\n/, value("SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'pod%' AND backend_type = 'client backend' AND backend_xmin IS NOT NULL"));
	usleep(20_000);
}
is($blocked, 0, 'none of fifty blocks in the lock manager while a build runs');
# a poll takes a snapshot for a moment, and gives it back
is(scalar(grep { $_ > 10 } values %held), 0, '... or holds a snapshot while it waits');
my $oldest = value("SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'pod%' AND backend_type = 'client backend' AND pid = (SELECT pid FROM algo_ref.progress) AND backend_xmin IS NOT NULL");
is($oldest, 0, '... the one that deploys least of all');
is(value("SELECT state || ' ' || (worker_pid IS NOT NULL) FROM algo_ref.progress"), 'in worker true', 'progress shows the worker');
$reader->query_safe("COMMIT");
is(scalar(grep { !$_->finish } @pods), 0, 'all of them end well');
is(value("SELECT string_agg(what, ',') FROM ran"), 'before,after', '... and the revision ran once');
is(value("SELECT indisvalid FROM pg_index WHERE indexrelid = 'ours'::regclass"), 't', '... whole');
unlike(join('', map { said("pod$_") } 1 .. 50), qr/ERROR|deadlock/, '... without an error');
$reader->quit;

# ---------------------------------------------------------------------------
# Cancel, and the statement budget.
# ---------------------------------------------------------------------------
value(revision('l4', 'l3', 'CREATE TABLE slow AS SELECT count(pg_sleep(30))'));
($code, $out, $err) = $node->psql('postgres', "\\set VERBOSITY verbose\nCALL algo_ref.deploy(statement_budget => '200 ms')");
like($err, qr/ERROR:  57014: canceling statement because it exceeded the statement budget/, 'a statement has its budget');
$deploy = start('deployer', 'CALL algo_ref.deploy()');
$node->poll_query_until('postgres', "SELECT count(pg_cancel_backend(pid)) = 1 FROM pg_stat_activity WHERE application_name = 'deployer' AND wait_event = 'PgSleep'") or die;
$deploy->finish;
like(said('deployer'), qr/canceling statement due to user request/, 'a deploy is cancelled');
is(value("SELECT outcome FROM algo_ref.log ORDER BY id DESC LIMIT 1"), 'cancelled', '... and the log says so');
value(revision('l4', 'l3', "BEGIN_ATOMIC") =~ s/BEGIN_ATOMIC/CREATE TABLE slow ()/r);
value('CALL algo_ref.deploy()');

# The function door and a deploy keep out of each other's way.
value(revision('l5', 'l4', 'CREATE TABLE five (); CREATE INDEX CONCURRENTLY ON t (v, id); CREATE TABLE six ()'));
$reader = $node->background_psql('postgres');
$reader->query_safe("BEGIN; INSERT INTO t VALUES (-1, 0)");
$deploy = start('deployer', 'CALL algo_ref.deploy()');
$node->poll_query_until('postgres', "SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'algo_ref worker' AND wait_event_type = 'Lock'") or die;
($code, $out, $err) = $node->psql('postgres', "\\set VERBOSITY verbose\nSELECT * FROM algo_ref.downgrade('l3')");
like($err, qr/ERROR:  55006: schema "public" is being deployed\nDETAIL:.*process \d+.*\n(LINE.*\n)?HINT:/s, 'the function door leaves a deploy alone, and says whose it is');
$reader->query_safe("COMMIT");
ok($deploy->finish, '... which goes on');
$reader->quit;
$node->stop;
done_testing();
