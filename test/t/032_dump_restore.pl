# pg_dump carries scripts, versions, log and hooks; the restored database goes
# on where the other one stood.

use strict;
use warnings FATAL => 'all';

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', "fsync = off\n");
$node->start;
my $dir = PostgreSQL::Test::Utils::tempdir();

$node->safe_psql('postgres', 'CREATE DATABASE source');
$node->safe_psql('source', q{
	CREATE EXTENSION algo_ref;
	CREATE SCHEMA tenant;
	CREATE FUNCTION public.note(jsonb) RETURNS void LANGUAGE sql AS 'SELECT';
	SELECT algo_ref.add_hook('after_step', 'public.note(jsonb)');
	SELECT algo_ref.revision('one', 'CREATE TABLE one (id int)', 'DROP TABLE one', id => 'aaaa01', revises => '{}');
	SELECT algo_ref.revision(E'two\nwith \'quotes\' and "more"', E'CREATE TABLE "tw\'o" (t text DEFAULT E\'\\\\x\'); -- $$ \n/* ä */', NULL, id => 'aaaa02', revises => '{aaaa01}', branch_labels => '{left}');
	SELECT algo_ref.revision('three', 'CREATE TABLE three (id int)', 'DROP TABLE three', id => 'aaaa03', revises => '{aaaa01}', depends_on => '{left}');
	SELECT algo_ref.revision('gone', id => 'gone01', revises => '{}');
	SELECT algo_ref.delete_revision('gone01');
	SELECT count(*) FROM algo_ref.upgrade('left');
	SELECT count(*) FROM algo_ref.upgrade('aaaa01', 'tenant');
});

my @tables = ('script ORDER BY load_order', 'version ORDER BY schema, position', 'log ORDER BY id', 'hook ORDER BY id');

sub contents
{
	my ($database) = @_;
	return join "\n", map { $node->safe_psql($database, "SELECT * FROM algo_ref.$_") } @tables;
}

my $contents = contents('source');

sub goes_on
{
	my ($database, $name) = @_;

	is(contents($database), $contents, "$name: all rows are there");
	is($node->safe_psql($database, 'SELECT revision FROM algo_ref.current()'), 'aaaa02', "$name: current() is the same");
	is($node->safe_psql($database, 'SELECT count(*) FROM algo_ref.head_summary'), '0', "$name: what is derived is not dumped");
	is($node->safe_psql($database, "SELECT algo_ref.revision('four', 'CREATE TABLE four (id int)', 'DROP TABLE four', id => 'aaaa04', revises => '{aaaa03}')"),
		'aaaa04', "$name: a script can be registered");
	is($node->safe_psql($database, "SELECT load_order > (SELECT max(load_order) FROM algo_ref.script WHERE revision <> 'aaaa04') FROM algo_ref.script WHERE revision = 'aaaa04'"),
		't', "$name: the load order goes on");
	is($node->safe_psql($database, "SELECT string_agg(revision, ' ' ORDER BY ordinal) FROM algo_ref.upgrade('heads')"),
		'aaaa03 aaaa04', "$name: the next upgrade goes on");
	is($node->safe_psql($database, "SELECT string_agg(revision, ' ' ORDER BY ordinal) FROM algo_ref.upgrade('left', 'tenant')"),
		'aaaa02', "$name: so does that of another schema");
	is($node->safe_psql($database, 'SELECT count(DISTINCT id) = count(*), count(*) FROM algo_ref.log'), 't|6', "$name: and the log");
	my ($status, $out, $err) = $node->psql($database, "SELECT * FROM algo_ref.downgrade('aaaa01')");
	like($err, qr/revision "aaaa02" is irreversible/, "$name: what cannot be undone still cannot");
	return;
}

$node->command_ok([ 'pg_dump', '--no-sync', '-f', "$dir/plain.sql", '-d', $node->connstr('source') ], 'pg_dump');
$node->safe_psql('postgres', 'CREATE DATABASE plain');
$node->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-o', '/dev/null', '-f', "$dir/plain.sql", '-d', $node->connstr('plain') ], 'psql restores it');
goes_on('plain', 'plain dump');

$node->command_ok([ 'pg_dump', '--no-sync', '-Fc', '-f', "$dir/custom", '-d', $node->connstr('source') ], 'pg_dump -Fc');
$node->safe_psql('postgres', 'CREATE DATABASE custom');
$node->command_ok([ 'pg_restore', '--exit-on-error', '-j', '2', '-d', $node->connstr('custom'), "$dir/custom" ], 'pg_restore -j 2');
goes_on('custom', 'custom dump');

$node->safe_psql('postgres', 'CREATE DATABASE parts');
$node->command_ok([ 'pg_restore', '--exit-on-error', '--schema-only', '-d', $node->connstr('parts'), "$dir/custom" ], 'pg_restore --schema-only');
is($node->safe_psql('parts', 'SELECT count(*) FROM algo_ref.script'), '0', 'the schema alone has no scripts');
$node->command_ok([ 'pg_restore', '--exit-on-error', '--data-only', '-d', $node->connstr('parts'), "$dir/custom" ], 'pg_restore --data-only');
goes_on('parts', 'schema, then data');

# the scripts as files, in another database
my $files = $node->safe_psql('source', "SELECT algo_ref.script('base:heads')");
append_to_file("$dir/scripts.sql", $files);
$node->safe_psql('postgres', 'CREATE DATABASE files');
$node->safe_psql('files', 'CREATE EXTENSION algo_ref');
$node->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-o', '/dev/null', '-f', "$dir/scripts.sql", '-d', $node->connstr('files') ], 'script files run');
my $columns = 'SELECT revision, revises, branch_labels, depends_on, transactional, checksum, message, upgrade, downgrade FROM algo_ref.script ORDER BY load_order';
is($node->safe_psql('files', $columns), $node->safe_psql('source', $columns), 'script() recreates every row');

# what the application owns stays when the extension goes
$node->safe_psql('plain', 'DROP EXTENSION algo_ref');
is($node->safe_psql('plain', "SELECT count(*) FROM pg_class WHERE relname IN ('one', 'three', 'four', 'tw''o') AND relkind = 'r' AND relnamespace = 'public'::regnamespace"),
	'4', 'DROP EXTENSION leaves the tables of the application');
is($node->safe_psql('plain', "SELECT count(*) FROM pg_namespace WHERE nspname = 'algo_ref'"), '0', 'and nothing of ours');
$node->stop;
done_testing();
