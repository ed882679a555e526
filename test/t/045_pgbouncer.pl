# Both doors through pgbouncer in transaction mode.

use strict;
use warnings;

use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

my ($pgbouncer) = grep { -x } map { "$_/pgbouncer" } split(/:/, $ENV{PATH}), '/usr/sbin';
plan skip_all => 'pgbouncer is not installed here' unless $pgbouncer;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', "max_worker_processes = 8\n");
$node->start;

my $folder = PostgreSQL::Test::Utils::tempdir_short();
my ($host, $port) = ($node->host, $node->port);
my $user = $node->safe_psql('postgres', 'SELECT current_user');
PostgreSQL::Test::Utils::append_to_file("$folder/users.txt", qq("$user" ""\n));
PostgreSQL::Test::Utils::append_to_file("$folder/pgbouncer.ini", <<INI);
[databases]
postgres = host=$host port=$port dbname=postgres user=$user
[pgbouncer]
listen_addr =
listen_port = 6432
unix_socket_dir = $folder
auth_type = any
auth_file = $folder/users.txt
pool_mode = transaction
default_pool_size = 4
logfile = $folder/log
pidfile = $folder/pid
INI
my $daemon = IPC::Run::start([ $pgbouncer, '-q', "$folder/pgbouncer.ini" ], '<', '/dev/null', '>', "$folder/out", '2>', "$folder/err");

sub through
{
	my ($sql) = @_;
	my ($out, $err) = ('', '');
	IPC::Run::run [ 'psql', '-X', '-q', '-A', '-t', '-v', 'ON_ERROR_STOP=1', '-d', "host=$folder port=6432 dbname=postgres user=$user", '-c', $sql ], '>', \$out, '2>', \$err;
	return ($? == 0, $out =~ s/\s+$//r, $err);
}

for (1 .. 100)
{
	last if (through('SELECT 1'))[0];
	usleep(100_000);
}
my ($good, $out, $err) = through('SHOW application_name');
ok($good, 'there is a way through') or diag $err, slurp_file("$folder/log");

$node->safe_psql('postgres', <<'SQL');
CREATE EXTENSION algo_ref;
SELECT algo_ref.revision('one', 'CREATE TABLE t (v int)', 'DROP TABLE t', id => 'p1', revises => '{}');
SELECT algo_ref.revision('two', 'CREATE TABLE u ()', 'DROP TABLE u', id => 'p2', revises => '{p1}');
SELECT algo_ref.revision('three', 'CREATE TABLE v (); CREATE INDEX CONCURRENTLY t_v ON t (v)', 'DROP INDEX t_v; DROP TABLE v', id => 'p3', revises => '{p2}');
SQL
($good, $out, $err) = through("SELECT string_agg(revision, ',' ORDER BY ordinal) FROM algo_ref.upgrade('p2')");
is($out, 'p1,p2', 'the function door') or diag $err;
($good, $out, $err) = through('CALL algo_ref.deploy()');
ok($good, 'the deploy door') or diag $err;
is($node->safe_psql('postgres', "SELECT indisvalid FROM pg_index WHERE indexrelid = 't_v'::regclass"), 't', '... with its worker');
($good, $out, $err) = through("CALL algo_ref.await('p3')");
ok($good, '... and who waits for it') or diag $err;
($good, $out, $err) = through("CALL algo_ref.revert('base')");
ok($good, '... and back') or diag $err;
is($node->safe_psql('postgres', "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"), 0, 'no lock stays with a pooled connection');
is((through('SHOW search_path'))[1], '"$user", public', '... nor a setting');
my @pods = map { IPC::Run::start([ 'psql', '-X', '-q', '-d', "host=$folder port=6432 dbname=postgres user=$user", '-v', 'ON_ERROR_STOP=1', '-c', 'CALL algo_ref.deploy()' ], '<', '/dev/null', '>', "$folder/pod$_", '2>', "$folder/pod$_.err") } 1 .. 12;
is(scalar(grep { !$_->finish } @pods), 0, 'twelve at once over four connections');
is($node->safe_psql('postgres', "SELECT count(*) FROM algo_ref.log WHERE revision = 'p3' AND direction = 'upgrade' AND id > (SELECT max(id) FROM algo_ref.log WHERE direction = 'downgrade')"), 1, '... run it once');
$daemon->kill_kill;
$node->stop;
done_testing();
