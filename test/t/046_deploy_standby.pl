# A hot standby answers what can be answered while a deploy runs, and refuses
# the rest.

use strict;
use warnings;

use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $primary = PostgreSQL::Test::Cluster->new('primary');
$primary->init(allows_streaming => 1);
$primary->append_conf('postgresql.conf', "max_worker_processes = 8\nautovacuum = off\n");
$primary->start;
$primary->safe_psql('postgres', <<'SQL');
CREATE EXTENSION algo_ref;
SELECT algo_ref.revision('one', 'CREATE TABLE t (v int)', 'DROP TABLE t', id => 's1', revises => '{}');
SELECT algo_ref.revision('two', 'CREATE TABLE u (); CREATE INDEX CONCURRENTLY t_v ON t (v); CREATE TABLE w ()', '', id => 's2', revises => '{s1}');
CALL algo_ref.deploy('s1');
SQL
$primary->backup('copy');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'copy', has_streaming => 1);
$standby->start;

sub value { return $standby->safe_psql('postgres', $_[0]) }

sub refuses
{
	my ($sql, $pattern, $name) = @_;
	my ($code, $out, $err) = $standby->psql('postgres', "\\set VERBOSITY verbose\n$sql");
	like($err, $pattern, $name);
}

# A deploy that waits inside its concurrent build.
my $writer = $primary->background_psql('postgres');
$writer->query_safe('BEGIN; INSERT INTO t VALUES (1)');
my $folder = PostgreSQL::Test::Utils::tempdir();
my $deploy = IPC::Run::start([ 'psql', '-X', '-q', '-d', $primary->connstr('postgres'), '-c', 'CALL algo_ref.deploy()' ], '<', '/dev/null', '>', "$folder/out", '2>', "$folder/err");
$primary->poll_query_until('postgres', "SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'algo_ref worker' AND wait_event_type = 'Lock'") or die;
$primary->safe_psql('postgres', 'CREATE TABLE marker ()');
$primary->wait_for_catchup($standby);

is(value('SELECT revision FROM algo_ref.current()'), 's1', 'current()');
is(value("SELECT string_agg(revision, ',') FROM algo_ref.plan('head')"), 's2', 'plan()');
is(value("SELECT count(*) FROM algo_ref.history()"), 2, 'history()');
is(value('SELECT heads, deploy, deploy_revision FROM algo_ref.status'), '{s1}|in worker|s2', 'status');
is(value("SELECT count(*) FROM algo_ref.script('s2')"), 1, 'script()');
is(value('SELECT state, revision, statement FROM algo_ref.progress'), 'in worker|s2|1', 'progress, where the deploy stands');
refuses('SELECT algo_ref."check"()', qr/ERROR:  55000: schema "public" is not at head/, 'check() finds that a revision is under way');
like(value('SELECT algo_ref.upgrade_sql()'), qr/CREATE INDEX CONCURRENTLY/, 'upgrade_sql()');
refuses('CALL algo_ref.deploy()', qr/ERROR:  25006/, 'deploy() is refused');
refuses("CALL algo_ref.revert('base')", qr/ERROR:  25006/, 'revert() is refused');
refuses('SELECT * FROM algo_ref.upgrade()', qr/ERROR:  25006/, 'upgrade() is refused');
refuses("SELECT algo_ref.import_alembic('')", qr/ERROR:  25006/, 'import_alembic() is refused');
refuses("SELECT algo_ref.adopt_alembic('t')", qr/ERROR:  25006/, 'adopt_alembic() is refused');
refuses("CALL algo_ref.await(timeout => '200 ms')", qr/ERROR:  55000/, 'await() waits in vain');
my $waiter = IPC::Run::start([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', $standby->connstr('postgres'), '-c', 'CALL algo_ref.await()' ], '<', '/dev/null', '>', "$folder/wait", '2>', "$folder/wait.err");
$writer->query_safe('COMMIT');
$writer->quit;
ok($deploy->finish, 'the deploy ends');
ok($waiter->finish, '... and await() on the standby with it');

# Nothing can be built here, so the schema has to be the one that the primary has checked.
sub check { return 'SELECT algo_ref."check"()' }
$primary->safe_psql('postgres', 'SELECT algo_ref.declare(algo_ref.schema_sql())');
$primary->wait_for_catchup($standby);
refuses(check(), qr/ERROR:  55000: the declared model has not been checked yet/, 'check() knows what it does not know');
$primary->safe_psql('postgres', check());
$primary->wait_for_catchup($standby);
is($standby->psql('postgres', check()), 0, '... finds what the primary has found');
$primary->safe_psql('postgres', 'ALTER TABLE marker ADD COLUMN by_hand int');
$primary->wait_for_catchup($standby);
refuses(check(), qr/ERROR:  55000: the live schema is not the one/, '... and that somebody has changed it');
refuses("SELECT algo_ref.\"check\"('CREATE TABLE t ()')", qr/ERROR:  25006/, '... but compares with no other text');
$standby->stop;
$primary->stop;
done_testing();
