# The watch on a corpus of workloads: every N+1 is found, with its relationship
# and a call that returns the same at once, and nothing else is.

use strict;
use warnings FATAL => 'all';

use Cwd qw(abs_path);
use File::Basename qw(dirname);
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $folder = dirname(abs_path(__FILE__)) . '/../workload';
my $python = -x '/usr/bin/python3' ? '/usr/bin/python3' : undef;
my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', <<'CONF');
fsync = off
shared_preload_libraries = 'algo_ref'
algo_ref.watch = log
algo_ref.watch_window = '1 min'
CONF
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION algo_ref');
$node->safe_psql('postgres', slurp_file("$folder/blog.sql"));
$ENV{PGHOST} = $node->host;
$ENV{PGPORT} = $node->port;
$ENV{PGUSER} = $node->safe_psql('postgres', 'SELECT current_user');
my $has_prefetch = $node->safe_psql('postgres', q{SELECT count(*) > 0 FROM pg_proc WHERE pronamespace = 'algo_ref'::regnamespace AND proname IN ('prefetch', 'prefetch_query') HAVING count(*) >= 2}) eq 't';

# A workload's status: 77 where a package is missing.
sub run_workload
{
	my ($name) = @_;
	my ($out, $err);

	return 77 unless $python;
	IPC::Run::run [ $python, '-B', "$folder/workload.py", $name ], '>', \$out, '2>', \$err;
	my $status = $? >> 8;
	diag $err if $status != 0 && $status != 77;
	return $status;
}

# What is found of a workload, in one row for all its sessions: relationship =>
# times and keys.  Of hundreds of keys, one may have been taken for another.
sub finds
{
	my ($name, %expected) = @_;

	SKIP:
	{
		$node->safe_psql('postgres', 'SELECT algo_ref.n1_reset()');
		my $status = run_workload($name);
		skip "$name: a package is missing here", 1 if $status == 77;
		is($status, 0, "$name ran");
		my @rows = split /\n/, $node->safe_psql('postgres', q{SELECT relationship, sum(times), CASE WHEN max(distinct_keys) > 100 THEN round(max(distinct_keys), -1) ELSE max(distinct_keys) END, bool_and(total_time > '0'), count(*) FROM algo_ref.n1_report() GROUP BY relationship ORDER BY relationship COLLATE "C"});
		is("@rows", join(' ', map { "$_|$expected{$_}|t|1" } sort keys %expected), "$name: " . (%expected ? 'found' : 'nothing found'));
		calls_run($name);
	}
	return;
}

# The calls that the report proposes run, and return what the list returned.
sub calls_run
{
	my ($name) = @_;

	for (split /\n/, $node->safe_psql('postgres', q{SELECT relationship, encode(convert_to(prefetch, 'UTF8'), 'hex') FROM algo_ref.n1_report() ORDER BY 1, 2}))
	{
		my ($relationship, $call) = split /\|/, $_, 2;
		$call = pack('H*', $call);
		like($call, qr/^SELECT algo_ref\.prefetch(_query)?\('/, "$name: there is a call");
		next unless $has_prefetch;
		my ($status, $out, $err) = $node->psql('postgres', $call);
		is($status, 0, "$name: the call runs") or diag "$call\n$err";
		my $last = (split /\./, $relationship)[-1] =~ s/"//gr;
		like($out, qr/"$last/, "$name: and returns $last");
	}
	return;
}

finds('n1_lazy', 'users.posts' => '30|30');
finds('n1_lazy_asyncpg', 'users.posts' => '30|30');
finds('n1_association', 'posts.tags' => '30|30');
finds('n1_many_to_one', 'posts."user"' => '30|30');
finds('n1_nested', 'users.posts.comments' => '20|20');
finds('n1_prepared', 'users.posts' => '25|25');
finds('n1_autocommit', 'users.posts' => '20|20');
finds('n1_plpgsql', 'users.posts' => '200|200');
finds('n1_pooled', 'posts.comments' => '180|180');

finds('ok_batches');
finds('ok_uniqueness');
finds('ok_hot_lookup');
finds('ok_inserts');
finds('ok_unrelated');
finds('ok_pgbench');

# once for each session that did it, and not for each time
my $before = () = slurp_file($node->logfile) =~ /is looked up by .* one key at a time/g;
$node->safe_psql('postgres', 'SELECT digest(); SELECT digest(); SELECT digest();');
my $after = () = slurp_file($node->logfile) =~ /is looked up by .* one key at a time/g;
is($after - $before, 1, 'a session tells of it once');

$node->stop;
done_testing();
