# A script for psql brings a server without the extension to the same state as
# a run on a server with it.

use strict;
use warnings;

use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->start;
my $folder = PostgreSQL::Test::Utils::tempdir();

sub value { return $node->safe_psql($_[0], $_[1]) }

sub revision
{
	my ($id, $revises, $up, $down) = @_;
	return "SELECT algo_ref.revision('revision $id', \$up\$$up\$up\$, \$down\$$down\$down\$, id => '$id', revises => '{$revises}');\n";
}

my $scripts = join '',
  revision('o1', '', "CREATE TABLE t (id int PRIMARY KEY, v text); -- a comment at the end", 'DROP TABLE t'),
  revision('o2', 'o1', "SET maintenance_work_mem = '9MB';\nCREATE TABLE u AS SELECT current_setting('maintenance_work_mem') AS mem, ':v \\''' AS text;", 'DROP TABLE u'),
  revision('o3', 'o1', "CREATE TYPE mood AS ENUM ('a');\nCREATE TABLE moods (m mood)", 'DROP TABLE moods; DROP TYPE mood'),
  revision('o4', 'o2,o3', '', ''),
  revision('o5', 'o4', "CREATE TABLE before_it ();\nCREATE INDEX CONCURRENTLY t_v ON t (v);\nALTER TYPE mood ADD VALUE 'b';\nINSERT INTO moods VALUES ('b');\nVACUUM t", "DROP INDEX CONCURRENTLY t_v; DROP TABLE before_it; DELETE FROM moods"),
  revision('o6', 'o5', "DO \$\$BEGIN CREATE TABLE last (m text DEFAULT current_setting('maintenance_work_mem')); END\$\$", 'DROP TABLE last');

$node->safe_psql('postgres', "CREATE DATABASE $_") for qw(with_it online plain);
value($_, "CREATE EXTENSION algo_ref;\n$scripts") for qw(with_it online);

sub script_for
{
	my ($name, $query) = @_;
	my $text = value('online', "SET search_path = public; $query");
	open my $file, '>', "$folder/$name.sql" or die;
	print $file $text, "\n";
	close $file;
	return $text;
}

sub run_script
{
	my ($database, $name) = @_;
	my ($out, $err) = ('', '');
	my $good = IPC::Run::run [ 'psql', '-X', '-q', '-d', $node->connstr($database), '-f', "$folder/$name.sql" ], '>', \$out, '2>', \$err;
	return ($good, $err);
}

sub runs
{
	my ($database, $name, $what) = @_;
	my ($good, $err) = run_script($database, $name);
	ok($good && $err eq '', $what) or diag $err;
}

my $shape = "SELECT string_agg(format('%s.%s %s', attrelid::regclass, attname, atttypid::regtype), ', ' ORDER BY attrelid::regclass::text, attname) FROM pg_attribute JOIN pg_class c ON c.oid = attrelid WHERE relnamespace = 'public'::regnamespace AND attnum > 0 AND NOT attisdropped AND relname NOT LIKE 'alembic%'";
my $theirs = "SELECT coalesce(string_agg(version_num, ',' ORDER BY version_num), '') FROM alembic_version";
my $ours = "SELECT coalesce(string_agg(revision, ',' ORDER BY revision), '') FROM algo_ref.version";

script_for('up', "SELECT algo_ref.upgrade_sql(from_heads => '{}')");
script_for('down', "SELECT algo_ref.downgrade_sql('base', from_heads => '{o6}')");
script_for('half', "SELECT algo_ref.upgrade_sql('o3', from_heads => '{}')");
script_for('rest', "SELECT algo_ref.upgrade_sql('head', from_heads => '{o3}')");
value('online', 'CALL algo_ref.deploy()');

runs('plain', 'up', 'the script runs where the extension is not');
is(value('plain', $shape), value('online', $shape), '... to the same schema');
is(value('plain', $theirs), 'o6', '... and the same state');
is(value('plain', "SELECT mem || text FROM u"), q(9MB:v \'), 'what a script sets holds in it');
is(value('plain', "SELECT m FROM moods"), 'b', 'a new label is used after a commit');
my ($good, $err) = run_script('plain', 'up');
ok(!$good && $err =~ /version table public.alembic_version holds \{o6\}, but this step was planned from \{\}/, 'run again, it stops at once') or diag $err;
is(value('plain', $shape), value('online', $shape), '... and has changed nothing');
runs('plain', 'down', 'the way down runs');
is(value('plain', $shape), '', '... to the bottom');
is(value('plain', $theirs), '', '... in the state too');
runs('plain', 'half', 'a part of the way');
is(value('plain', $theirs), 'o3', '... is where it says');
runs('plain', 'rest', '... and the rest');
is(value('plain', $shape), value('online', $shape), '... leads to the same schema');

# Where the extension is, its state follows.
runs('with_it', 'up', 'the script runs where the extension is');
is(value('with_it', $ours), 'o6', '... which knows the state');
value('with_it', 'CALL algo_ref.deploy()');
is(value('with_it', $theirs), 'o6', '... and finds nothing to do');
value('with_it', "SELECT * FROM algo_ref.downgrade('o5')");
($good, $err) = run_script('with_it', 'down');
ok(!$good && $err =~ /holds \{o5\}/, 'a script for another state stops') or diag $err;
script_for('on', "SELECT algo_ref.upgrade_sql(from_heads => '{o5}')");
runs('with_it', 'on', 'both kinds of runs take turns');
is(value('with_it', $ours) . value('with_it', $theirs), 'o6o6', '... and agree');

# A schema that is upgraded through the functions alone starts from its state.
$node->safe_psql('postgres', "CREATE DATABASE later");
value('later', "CREATE EXTENSION algo_ref;\n$scripts SELECT * FROM algo_ref.upgrade('o3')");
runs('later', 'rest', 'a script for a schema without the version table');
is(value('later', $ours) . value('later', $theirs), 'o6o6', '... makes it, with what is known');

# Another schema.
value('online', "CREATE SCHEMA \"Odd schema\"");
script_for('odd', "SELECT algo_ref.upgrade_sql('o3', from_heads => '{}', schema => 'Odd schema')");
value('plain', "CREATE SCHEMA \"Odd schema\"");
runs('plain', 'odd', 'a script for another schema');
is(value('plain', "SELECT string_agg(version_num, ',') FROM \"Odd schema\".alembic_version"), 'o3', '... leaves its state there');

# Wrong input.
sub fails
{
	my ($sql, $pattern, $name) = @_;
	my ($code, $out, $err) = $node->psql('online', "\\set VERBOSITY verbose\n$sql");
	like($err, $pattern, $name);
}
value('online', "SELECT algo_ref.revision('no way back', '', id => 'o7', revises => '{o6}')");
fails("SELECT algo_ref.downgrade_sql('o6', '{o7}')", qr/ERROR:  55000/, 'what cannot be undone is refused');
fails("SELECT algo_ref.upgrade_sql(NULL)", qr/ERROR:  22004/, 'no target');
fails("SELECT algo_ref.upgrade_sql('nosuch')", qr/ERROR:  42704/, 'an unknown target');
fails("SELECT algo_ref.upgrade_sql('head', '{nosuch}')", qr/ERROR:  42704/, 'an unknown start');
fails("SELECT algo_ref.upgrade_sql('head', '{NULL}')", qr/ERROR:  22004/, 'a null start');
fails("SELECT algo_ref.upgrade_sql(lock_timeout => NULL)", qr/ERROR:  22004/, 'no lock timeout');
$node->stop;
done_testing();
