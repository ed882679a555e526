# The planner against Alembic and against the rules, on random graphs: see
# test/differential.

use strict;
use warnings;

use File::Basename;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $python = '/usr/bin/python3';
my $script = dirname(__FILE__) . '/../differential/differential.py';

plan skip_all => "$python cannot import alembic (Debian: package alembic)"
  if system("$python -c 'import alembic' 2>/dev/null") != 0;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION algo_ref');

$ENV{PGHOST} = $node->host;
$ENV{PGPORT} = $node->port;
$ENV{PGDATABASE} = 'postgres';
$ENV{PYTHONDONTWRITEBYTECODE} = 1;
# what Alembic keeps in sets comes in the same order each time
$ENV{PYTHONHASHSEED} = 0;

# returns status, output and errors
sub compare
{
	my @options = @_;
	my ($output, $errors) = ('', '');

	IPC::Run::run([ $python, $script, @options ], '>', \$output, '2>', \$errors);
	return ($? >> 8, $output, $errors);
}

my ($status, $output, $errors) = compare('--graphs', 5000);
is($status, 0, 'nobody disagrees')
  or diag $output;
is($errors, '', 'and nothing else went wrong');
like($output, qr/^0 disagreements$/m, 'which is counted');
my ($questions) = $output =~ /(\d+) questions$/m;
cmp_ok($questions // 0, '>=', 50000, 'over all questions');
unlike($output, qr/^ +0  /m, 'each known difference of Alembic was met')
  or diag $output;
note $output;

# every wrong expectation is reported
($status, $output, $errors) = compare('--graphs', 100, '--mistakes');
is($status, 1, 'wrong expectations are reported');
my ($reported, $made) = $output =~ /^(\d+) of (\d+) mistakes reported$/m;
cmp_ok($made // 0, '>', 1000, 'a good number was made');
is($reported, $made, 'each of them is found');
like($output, qr/^-- seed \d+: mistake.*^BEGIN;.*^ROLLBACK;.*^-- wrong expectation: /ms,
	'with a script that shows it');

$node->stop;

done_testing();
