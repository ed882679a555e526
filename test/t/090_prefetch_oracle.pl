# Prefetch against nested SQL on random schemas; see test/prefetch/oracle.py.
#
# ALGO_REF_ROUNDS schemas, from ALGO_REF_SEED on.

use strict;
use warnings FATAL => 'all';

use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $rounds = $ENV{ALGO_REF_ROUNDS} || 30;
my $seed = $ENV{ALGO_REF_SEED} || 20260901;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init(extra => [ '--encoding=UTF8', '--locale=C' ]);
$node->append_conf('postgresql.conf', "autovacuum = off\nfsync = off\njit = off\n");
$node->start;

IPC::Run::run([ '/usr/bin/python3', 'test/prefetch/oracle.py', '--first', $seed, '--schemas', $rounds ], '>', \my $script)
  or die 'no script';
my ($status, $out, $err) = $node->psql('postgres', $script);
is($status, 0, 'the script runs');
is($err, '', 'without a word');
my ($calls, $differ, $with_rows) = $out =~ /^(\d+) calls, (\d+) differ, (\d+) with rows$/m;
is($calls, $rounds * 6, 'six calls a schema');
cmp_ok($with_rows, '>', $calls / 2, 'most return rows');
is($differ, 0, 'all are as SQL has them') or diag($out);

$node->stop;
done_testing();
