# Pairs of random schemas: the first is migrated to the DDL of the second, and
# pg_dump is asked whether it got there, and back.  See test/cases/random_pairs.py;
# test/soak.d/random_pairs has two thousand of them.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

IPC::Run::run([ '/usr/bin/python3', '-c', '' ], '2>', \my $errors) or plan skip_all => 'Python is not installed here';

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->start;
local $ENV{PGHOST} = $node->host;
local $ENV{PGPORT} = $node->port;
local $ENV{PGDATABASE} = 'postgres';
local $ENV{PYTHONDONTWRITEBYTECODE} = 1;

sub judge
{
	my (@options) = @_;
	my ($out, $err) = ('', '');
	my $ok = IPC::Run::run([ '/usr/bin/python3', 'test/cases/random_pairs.py', @options ], '>', \$out, '2>', \$err);
	return ($ok, $out . $err);
}

my ($ok, $output) = judge('--pairs', $ENV{ALGO_REF_ROUNDS} // 60, '--seconds', 40);
ok($ok, 'each pair is equal, or refused with a reason') or diag $output;
my ($equal) = $output =~ /(\d+) equal/;
cmp_ok($equal // 0, '>', 0, 'some are equal');
note $output;

# The judge sees what is wrong.
($ok, $output) = judge('--pairs', 4, '--break');
ok(!$ok, 'the judge finds a schema that is not the declared one');
like($output, qr/after the upgrade/, '... and says so');
$node->stop;
done_testing();
