# Many deploys at once: every revision runs once, and the losers see neither
# rows nor an error.

use strict;
use warnings FATAL => 'all';

use IPC::Run qw(start finish);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $backends = 8;
my $revisions = 20;
my $rounds = $ENV{ALGO_REF_ROUNDS} || 6;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', "fsync = off\nmax_connections = 30\n");
$node->start;

my $database = 'postgres';
$node->safe_psql($database, q{
	CREATE EXTENSION algo_ref;
	CREATE SCHEMA b;
	CREATE SCHEMA c;
	CREATE TABLE public.ran (round int, schema text, revision text);
	CREATE TABLE public.round (n int);
	INSERT INTO round VALUES (0);
});
$node->safe_psql($database, join '', map {
	my $parent = $_ == 1 ? '' : 'r' . ($_ - 1);
	"SELECT algo_ref.revision('step $_',
	  'INSERT INTO public.ran SELECT n, current_schema(), ''r$_'' FROM public.round;
	   SELECT pg_sleep(0.002); CREATE TABLE t$_ (id int)', 'DROP TABLE t$_',
	  id => 'r$_', revises => '{$parent}');\n"
} 1 .. $revisions);

# Start all of them at once: each waits for a lock that is given up when all
# are there.
sub race
{
	my ($statement) = @_;
	my $gate = $node->background_psql($database);
	my (@runs, @out, @err);

	$gate->query_safe('SELECT pg_advisory_lock(1)');
	for my $i (0 .. $backends - 1)
	{
		my $sql = ref $statement ? $statement->($i) : $statement;

		($out[$i], $err[$i]) = ('', '');
		push @runs, start(
			[ 'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr($database),
				'-c', 'SELECT pg_advisory_lock_shared(1), pg_advisory_unlock_shared(1)', '-c', $sql ],
			'<', \undef, '>', \$out[$i], '2>', \$err[$i]);
	}
	$node->poll_query_until($database,
		"SELECT count(*) = $backends FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND objid = 1");
	$gate->query_safe('SELECT pg_advisory_unlock(1)');
	$gate->quit;
	my $status = 0;
	for my $run (@runs)
	{
		$status += finish($run) ? 0 : 1;
	}
	return ($status, join('', @out), join('', @err));
}

my $count_ran = sub {
	return $node->safe_psql($database,
		'SELECT count(*), count(DISTINCT (schema, revision)) FROM ran WHERE round = (SELECT n FROM round)');
};

for my $round (1 .. $rounds)
{
	$node->safe_psql($database, "UPDATE round SET n = $round; SELECT count(*) FROM algo_ref.downgrade('base')");
	my $expect = $round % 2 ? '' :
	  ", expect => '" . $node->safe_psql($database, 'SELECT algo_ref.plan_checksum()') . "'";
	my ($failed, $out, $err) = race("SELECT 'row ' || revision FROM algo_ref.upgrade('head'$expect)");
	my @rows = $out =~ /^row /mg;

	is($failed, 0, "round $round: no call fails");
	unlike($err, qr/ERROR/, "round $round: no error is printed");
	is(scalar @rows, $revisions, "round $round: one call returns all rows, the others none");
	is($count_ran->(), "$revisions|$revisions", "round $round: every revision ran once");
	my @notices = $err =~ /Running upgrade/g;
	is(scalar @notices, $revisions, "round $round: one NOTICE for each");
}

# three schemas, eight calls
$node->safe_psql($database, "UPDATE round SET n = 0; SELECT count(*) FROM algo_ref.downgrade('base')");
my @schemas = ('public', 'b', 'c');
my ($failed, $out, $err) = race(
	sub { "SELECT 'row ' || revision FROM algo_ref.upgrade('head', '$schemas[$_[0] % 3]')" });
is($failed, 0, 'three schemas: no call fails');
is(scalar(() = $out =~ /^row /mg), 3 * $revisions, 'three schemas: each gets all revisions');
is($count_ran->(), 3 * $revisions . '|' . 3 * $revisions, 'three schemas: every revision ran once in each');

# half go up, half go down: whatever the order, each step is done by one
$node->safe_psql($database, "SELECT count(*) FROM algo_ref.downgrade('base')");
($failed, $out, $err) = race(
	sub { $_[0] % 2 ? "SELECT count(*) FROM algo_ref.upgrade('head')" : "SELECT count(*) FROM algo_ref.downgrade('base')" });
is($failed, 0, 'ups and downs: no call fails');
my $tables = $node->safe_psql($database,
	"SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relname ~ '^t[0-9]+\$'");
my $current = $node->safe_psql($database, 'SELECT count(*) FROM algo_ref.current()');
is($tables, $current * $revisions, 'ups and downs: tables and state agree');

is($node->safe_psql($database, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"), '0', 'no lock is left');
$node->stop;
done_testing();
