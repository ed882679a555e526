# Who holds connections, for whom they wait, which limits they reach, and who may
# end them: seen from several sessions, and from the last slot of a full server.

use strict;
use warnings FATAL => 'all';

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', "fsync = off\nmax_connections = 16\nsuperuser_reserved_connections = 2\nmax_prepared_transactions = 2\nautovacuum = off\n");
my $has_reserved = $node->pg_version >= 16;
$node->append_conf('postgresql.conf', "reserved_connections = 2\n") if $has_reserved;
$node->start;
my $super = $node->safe_psql('postgres', 'SELECT current_user');
$node->safe_psql('postgres', q{
	CREATE EXTENSION algo_ref;
	CREATE ROLE app LOGIN CONNECTION LIMIT 3;
	CREATE ROLE plain LOGIN;
	CREATE ROLE monitor LOGIN IN ROLE pg_monitor;
	CREATE ROLE signal LOGIN IN ROLE pg_signal_backend;
	CREATE ROLE operator LOGIN IN ROLE pg_signal_backend, pg_read_all_stats;
	CREATE ROLE another_super LOGIN SUPERUSER;
	GRANT USAGE ON SCHEMA algo_ref TO PUBLIC;
	GRANT SELECT ON algo_ref.connection TO PUBLIC;
	GRANT EXECUTE ON ALL ROUTINES IN SCHEMA algo_ref TO PUBLIC;
	CREATE TABLE t (id int PRIMARY KEY, v int);
	INSERT INTO t SELECT g, 0 FROM generate_series(1, 5) g;
	GRANT ALL ON t TO app, plain;
	CREATE DATABASE other;
});
$node->safe_psql('postgres', 'GRANT pg_use_reserved_connections TO monitor') if $has_reserved;

# A session of a role, under an application's name.
sub session
{
	my ($role, $application, $database) = @_;
	local $ENV{PGAPPNAME} = $application;

	return $node->background_psql($database // 'postgres', extra_params => [ '-U', $role ], on_error_stop => 0);
}

# Begin a statement that has to wait.
sub begin_waiting
{
	my ($session, $statement) = @_;
	my $pid = $session->query_safe('SELECT pg_backend_pid()');

	$session->query_until(qr/sent/, "\\echo sent\n$statement;\n");
	$node->poll_query_until('postgres', "SELECT count(*) = 1 FROM pg_locks WHERE pid = $pid AND NOT granted")
		or die "does not wait: $statement";
	return $pid;
}

sub as
{
	my ($role, $query) = @_;
	my ($status, $out, $err) = $node->psql('postgres', $query, extra_params => [ '-U', $role ]);

	return $status == 0 ? $out : $err;
}

# Told to end, a backend is there for another moment.
sub alone
{
	$node->poll_query_until('postgres', "SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()")
		or die 'somebody is still there';
}

#
# A chain of those that wait for each other
#

my ($first, $second, $third, $fourth) = map { session('plain', "link $_") } 1 .. 4;
my ($first_pid, $second_pid) = map { $_->query_safe('SELECT pg_backend_pid()') } $first, $second;
$first->query_safe('BEGIN; UPDATE t SET v = 1 WHERE id = 1');
$second->query_safe('BEGIN; UPDATE t SET v = 2 WHERE id = 2');
begin_waiting($second, 'UPDATE t SET v = 2 WHERE id = 1');
my $third_pid = begin_waiting($third, 'UPDATE t SET v = 3 WHERE id = 2');
my $fourth_pid = begin_waiting($fourth, 'UPDATE t SET v = 4 WHERE id = 2');
my %name = ($first_pid => 'first', $second_pid => 'second', $third_pid => 'third', $fourth_pid => 'fourth');
my $chains = 'SELECT application_name, blocked_by, blocking_chain FROM algo_ref.connection WHERE application_name LIKE %s ORDER BY 1';

sub named
{
	my ($text) = @_;

	return $text =~ s/\b(\d{3,})\b/$name{$1} \/\/ $1/ger;
}

my $expected = join "\n", 'link 1||', 'link 2|{first}|{first}', 'link 3|{second}|{second,first}', 'link 4|{third}|{third,second,first}';
is(named(as($super, sprintf($chains, "'link %'"))), $expected, 'the whole chain, as superuser');
is(named(as('monitor', sprintf($chains, "'link %'"))), $expected, '... as a member of pg_monitor');
is(named(as('plain', sprintf($chains, "'link %'"))), $expected, '... as the role whose connections they are');
is(as('app', sprintf($chains, "'link %'")), join("\n", map { "link $_||" } 1 .. 4), '... and nothing of it as another role');
is(named(as($super, "SELECT application_name, idle_in_transaction, active, waiting, waiting_for FROM algo_ref.pool_status() WHERE application_name LIKE 'link %' ORDER BY 1")),
	join("\n", 'link 1|1|0|0|', 'link 2|0|1|1|{first}', 'link 3|0|1|1|' . pids($first_pid, $second_pid), 'link 4|0|1|1|' . pids($first_pid, $second_pid, $third_pid)),
	'pool_status() says who holds up whom');

sub pids
{
	return '{' . join(',', map { $name{$_} } sort { $a <=> $b } @_) . '}';
}

is(as($super, "SELECT application_name, idle_in_transaction_since = transaction_since OR idle_in_transaction_since > transaction_since FROM algo_ref.pool_status() WHERE application_name = 'link 1'"),
	'link 1|t', 'since when it is idle in a transaction');
is(as('app', "SELECT sum(unknown), sum(active + idle + idle_in_transaction + waiting) FROM algo_ref.pool_status() WHERE application_name LIKE 'link %'"), '4|0',
	'another role counts them, and knows nothing of them');
is(as($super, "SELECT snapshot_age FROM algo_ref.connection WHERE application_name = 'link 1'"), '', 'no snapshot between two statements');
my $old = session('plain', 'old');
$old->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM t');
$node->safe_psql('postgres', 'CREATE TABLE x (); DROP TABLE x') for 1 .. 3;
is(as($super, "SELECT oldest_snapshot_age >= 3, oldest_connection > '0' FROM algo_ref.pool_status() WHERE application_name = 'old'"), 't|t', 'the age of the oldest snapshot');
$old->quit;
$first->query_safe('COMMIT');
$second->query_safe('COMMIT');
$_->quit foreach $first, $second, $third, $fourth;

# a transaction that belongs to no process
$node->safe_psql('postgres', "BEGIN; UPDATE t SET v = 5 WHERE id = 5; PREPARE TRANSACTION 'prepared'");
my $waiter = session('plain', 'waits for prepared');
begin_waiting($waiter, 'UPDATE t SET v = 6 WHERE id = 5');
is(as($super, sprintf($chains, "'waits for%'")), 'waits for prepared|{0}|{0}', 'a prepared transaction');
$node->safe_psql('postgres', "COMMIT PREPARED 'prepared'");
$waiter->quit;

#
# Ending idle connections
#

alone();
my %session = (
	idle => session('plain', 'shop'),
	transaction => session('plain', 'shop'),
	super => session('another_super', 'shop'),
	app => session('app', 'shop'),
	elsewhere => session('plain', 'shop', 'other'),
	desk => session('plain', 'desk'));
$_->query_safe('SELECT 1') foreach values %session;
$session{transaction}->query_safe('BEGIN; UPDATE t SET v = 7 WHERE id = 3');
my $dispose = 'SELECT role, database, coalesce(state, %s), outcome, coalesce(reason, %s) FROM algo_ref.pool_dispose(%s) ORDER BY 1, 2, 3, 4, 5';

sub dispose
{
	my ($role, $arguments) = @_;

	return as($role, sprintf($dispose, "'?'", "''", $arguments));
}

sub count
{
	return $node->safe_psql('postgres', "SELECT count(*) FROM pg_stat_activity WHERE application_name IN ('shop', 'desk')");
}

is(dispose('plain', "'shop'"), join("\n",
	'another_super|postgres|?|kept|its state is not shown to role plain', 'app|postgres|?|kept|its state is not shown to role plain',
	'plain|postgres|idle|kept|it has not been idle for so long', 'plain|postgres|idle in transaction|kept|it is in a transaction'), 'five minutes is the least');
is(dispose('operator', "'shop', '0', dry_run => true"), join("\n",
	'another_super|postgres|idle|kept|role operator may not end connections of role another_super', 'app|postgres|idle|would end|',
	'plain|postgres|idle|would end|', 'plain|postgres|idle in transaction|kept|it is in a transaction'), 'what would be ended');
is(count(), 6, 'all are still there');
is(dispose('signal', "'shop', '0', role => 'plain'"), join("\n",
	'plain|postgres|?|kept|its state is not shown to role signal', 'plain|postgres|?|kept|its state is not shown to role signal'), 'who may not see the state ends nothing');
is(dispose('monitor', "'shop', '0', role => 'app'"), 'app|postgres|idle|kept|role monitor may not end connections of role app', 'who may only look, neither');
is(dispose('app', "'shop', '0', role => 'app'"), 'app|postgres|idle|ended|', 'a role ends its own');
is(dispose('plain', "'shop', '0', database => 'other'"), 'plain|other|idle|ended|', 'in another database');
is(dispose('operator', "'shop', '0'"), join("\n",
	'another_super|postgres|idle|kept|role operator may not end connections of role another_super', 'plain|postgres|idle|ended|',
	'plain|postgres|idle in transaction|kept|it is in a transaction'), 'those of others');
is(count(), 3, 'three are left');
is(dispose('plain', "'shop', '0', in_transaction => true, role => 'plain'"), 'plain|postgres|idle in transaction|ended|', 'one in a transaction, if asked by name');
is($node->safe_psql('postgres', 'SELECT v FROM t WHERE id = 3'), '0', '... which is lost');
is(join("\n", grep { !/^\Q$super\E/ } split /\n/, dispose($super, "NULL, '0', database => NULL")), join("\n", 'another_super|postgres|idle|ended|', 'plain|postgres|idle|ended|'), 'all that are idle, as superuser');
is(count(), 0, 'none is left');
$_->{run}->kill_kill foreach values %session;

# one that is busy
my $busy = session('plain', 'busy');
$busy->query_until(qr/sent/, "\\echo sent\nSELECT pg_sleep(600);\n");
$node->poll_query_until('postgres', "SELECT count(*) = 1 FROM pg_stat_activity WHERE application_name = 'busy' AND state = 'active'");
is(dispose($super, "'busy', '0', in_transaction => true"), 'plain|postgres|active|kept|it is active', 'what is active is kept');
$node->safe_psql('postgres', "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'busy'");
$busy->{run}->kill_kill;

# what was read in a transaction is not what is ended
my $late = session('plain', 'late');
is(as('plain', "BEGIN; SELECT state FROM algo_ref.connection WHERE application_name = 'late'; SELECT outcome FROM algo_ref.pool_dispose('late', '0'); SELECT count(*) FROM algo_ref.connection WHERE application_name = 'late'; COMMIT"),
	"idle\nended\n0", 'it looks anew, also in a transaction');
$late->{run}->kill_kill;

#
# The limit of a role
#

alone();
my @sessions = map { session('app', 'limited') } 1 .. 3;
$_->query_safe('SELECT 1') foreach @sessions;
like(as('app', 'SELECT 1'), qr/too many connections for role "app"/, 'a fourth connection of a role that may have three');
my $limit = "SELECT limited_by, limit_used, limit_allowed, limit_remaining FROM algo_ref.pool_status() WHERE application_name = 'limited'";
is($sessions[2]->query_safe($limit), 'role app|3|3|0', 'the status, from the third');
is(as($_, $limit), 'role app|3|3|0', "... as $_") foreach 'plain', 'monitor', $super;
is(as('plain', "SELECT limited_by, used_by_others, needed, remaining, fits, largest_pool_size FROM algo_ref.connection_budget(1, 0, role => 'app') LIMIT 1"), 'role app|3|1|-1|f|', 'the budget');
is(as('plain', "SELECT limited_by, used_by_others, needed, remaining, fits, largest_pool_size FROM algo_ref.connection_budget(1, 0, role => 'app', application_name => 'limited') LIMIT 1"),
	'role app|0|1|2|t|3', '... in the place of what the application has');
$node->safe_psql('postgres', 'ALTER DATABASE postgres CONNECTION LIMIT 4');
is(as($super, $limit), 'role app|3|3|0', 'of two limits the one that comes first');
is(as($super, "SELECT kind, name, used, allowed, remaining FROM algo_ref.connection_limits() WHERE kind = 'database'"), 'database|postgres|4|4|0', 'the limit of a database');
$node->safe_psql('postgres', 'ALTER DATABASE postgres CONNECTION LIMIT -1');

#
# A full server
#

my $everybody = $has_reserved ? 12 : 14;
my $refused = qr/remaining connection slots are reserved/;
push @sessions, map { session('plain', 'filler') } 4 .. $everybody;
$_->query_safe('SELECT 1') foreach @sessions;
like(as('plain', 'SELECT 1'), $refused, 'no slot is left for everybody');
my $slots = "SELECT used, allowed, remaining FROM algo_ref.connection_limits() WHERE kind = 'connections'";
if ($has_reserved)
{
	is(as('monitor', $slots), "13|16|3\n13|14|1\n13|12|0", 'the limits, from a reserved slot');
	is(as('monitor', "SELECT limited_by, limit_remaining FROM algo_ref.pool_status() WHERE role = 'monitor'"), 'max_connections - superuser_reserved_connections|1', 'what is left to who may use reserved slots');
	is(as('monitor', "SELECT remaining FROM algo_ref.connection_budget(1, 0, role => 'monitor')"), '0', 'what fits there');
	push @sessions, session('monitor', 'reserved'), session('monitor', 'reserved');
	$_->query_safe('SELECT 1') foreach @sessions;
	like(as('monitor', 'SELECT 1'), $refused, 'no reserved slot is left');
}
push @sessions, session($super, 'super');
$sessions[-1]->query_safe('SELECT 1');
# this is the last one of all
my $last = as($super, "SELECT count(*), sum(connections), sum(idle), sum(active) FROM algo_ref.pool_status(); $slots; SELECT algo_ref.pool_status('text'); " .
	"SELECT limited_by, limit_remaining FROM algo_ref.pool_status() WHERE application_name = 'filler'; SELECT count(*) FROM algo_ref.connection; " .
	"SELECT count(*) FROM algo_ref.pool_dispose('filler', '0', dry_run => true) WHERE outcome = 'would end'; " .
	"SELECT fits, remaining FROM algo_ref.connection_budget(1, 0)");
my $name = 'max_connections - superuser_reserved_connections' . ($has_reserved ? ' - reserved_connections' : '');
is($last, join("\n", ($has_reserved ? '5|16|15|1' : '4|16|15|1'), ($has_reserved ? "16|16|0\n16|14|0\n16|12|0" : "16|16|0\n16|14|0"),
	"Pool size: $everybody  Connections in pool: 15 Current Overflow: " . (16 - $everybody) . ' Current Checked out connections: 1',
	"$name|0", 16, $everybody - 3, 'f|-1'), 'everything answers from the last slot of all');
{
	my $one_more = session($super, 'last');
	$one_more->query_safe('SELECT 1');
	like(as($super, 'SELECT 1'), qr/sorry, too many clients already/, 'then there is none');
	is($one_more->query_safe("SELECT count(*) FROM algo_ref.pool_dispose('filler', '0', 'plain') WHERE outcome = 'ended'"), $everybody - 3, 'idle ones make room');
	is(as('plain', 'SELECT 1'), '1', '... for everybody');
	$one_more->quit;
}
$_->{run}->kill_kill foreach @sessions;
$node->stop;
done_testing();
