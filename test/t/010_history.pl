# The history of an application (test/history): registered in any order, up at
# once and step by step, down again, in several schemas, and across a dump.
# What the runner leaves is compared with what psql alone leaves.

use strict;
use warnings;
use File::Basename qw(dirname);
use List::Util qw(shuffle);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $history      = dirname(__FILE__) . '/../history';
my @files        = sort glob("$history/versions/*.sql");
my $irreversible = '81f4be73c902';
my $merge        = 'f4d3806e5b28';
my $head         = '4d7f0b63ea36';

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init(extra => [ '--encoding=UTF8', '--locale=C.UTF-8' ]);
$node->start;
$node->safe_psql('postgres', 'CREATE ROLE app_owner LOGIN CREATEDB');
$ENV{PGHOST} = $node->host;
$ENV{PGPORT} = $node->port;

# As the owner of the database, who is no superuser.
sub owner_psql
{
	my ($database, $sql) = @_;
	my ($stdout, $stderr);
	my $status = $node->psql(
		$database, $sql,
		stdout        => \$stdout,
		stderr        => \$stderr,
		extra_params  => [ '-U', 'app_owner' ]);
	return ($status, $stdout, $stderr);
}

sub sql
{
	my ($database, $sql) = @_;
	my ($status, $stdout, $stderr) =
	  owner_psql($database, "SET client_min_messages = warning; $sql");
	die "$sql\n$stderr" if $status;
	return $stdout;
}

sub create_database
{
	my ($database) = @_;
	$node->safe_psql('postgres', "CREATE DATABASE $database OWNER app_owner");
	allow($database, 'CREATE EXTENSION algo_ref;');
	return;
}

sub allow
{
	my ($database, $sql) = @_;
	$node->safe_psql($database, "$sql
		GRANT USAGE ON SCHEMA algo_ref TO app_owner;
		GRANT EXECUTE ON ALL ROUTINES IN SCHEMA algo_ref TO app_owner;
		GRANT SELECT ON ALL TABLES IN SCHEMA algo_ref TO app_owner;");
	return;
}

sub register
{
	my ($database, $seed) = @_;
	srand($seed);
	my $text = join "\n", map { slurp_file($_) } shuffle(@files);
	sql($database, $text);
	return;
}

# A schema as SQL, as if it were called public, without the lines that are new
# in every dump.
sub dump_schema
{
	my ($database, $schema) = @_;
	$schema ||= 'public';
	my ($out, $err) = run_command([ 'pg_dump', '-s', "--schema=$schema", '-U', 'app_owner', $database ]);
	die $err if $err ne '';
	$out =~ s/^\\(un)?restrict .*$//mg;
	$out =~ s/\b$schema\b/public/g;
	$out =~ s/^.*\bSCHEMA public\b.*$//mg;
	$out =~ s/^-- Name: public; .*$//mg;
	$out =~ s/^--$//mg;
	$out =~ s/\s*\n/\n/g;
	return $out;
}

# Everything that a refused call could have changed.
sub state
{
	my ($database) = @_;
	return dump_schema($database) . sql($database, "
		TABLE algo_ref.version; SELECT count(*) FROM algo_ref.log;
		SELECT md5(string_agg(u::text, ';' ORDER BY id)) FROM users u;
		SELECT count(*) FROM audit");
}

# Prints the first difference: the dumps are long.
sub same_dump
{
	my ($got, $expected, $name) = @_;
	if ($got ne $expected)
	{
		my @got      = split /\n/, $got;
		my @expected = split /\n/, $expected;
		my $at       = 0;
		$at++ while $at < @got && $at < @expected && $got[$at] eq $expected[$at];
		diag("at line $at");
		diag("got      $_") for grep { defined } @got[ $at .. $at + 4 ];
		diag("expected $_") for grep { defined } @expected[ $at .. $at + 4 ];
	}
	ok($got eq $expected, $name);
	return;
}

# What psql alone leaves.
{
	local $ENV{PGUSER} = 'app_owner';
	system_or_bail($^X, "$history/oracle", 'alone');
}
my $alone = dump_schema('alone');
cmp_ok(length($alone), '>', 30000, 'psql alone leaves a schema');

# In any order, twice.
create_database('app');
my $rows = "SELECT md5(string_agg(s::text, ';' ORDER BY load_order)) FROM algo_ref.script s";
register('app', 15);
is(sql('app', 'SELECT count(*) FROM algo_ref.script'), scalar(@files), 'every file is registered');
my $registered = sql('app', $rows);
register('app', 16);
is(sql('app', $rows), $registered, 'in another order again, nothing changes');
is(sql('app', 'SELECT revision FROM algo_ref.heads()'), $head, 'one head');
is(sql('app', "SELECT count(*) FROM algo_ref.plan('heads')"), scalar(@files), 'the plan is everything');

# Up at once.
is(sql('app', "SELECT count(*) FROM algo_ref.upgrade('heads')"),
	scalar(@files), 'one call applies every revision');
is(sql('app', 'SELECT revision, is_head FROM algo_ref.current()'), "$head|t", 'and is at the head');
same_dump(dump_schema('app'), $alone, 'the schema is that of psql alone');
is(sql('app', "SELECT count(*) FROM algo_ref.upgrade('heads')"), 0, 'nothing is left to do');

# What the data migrations did: the same rows as with psql alone.  Where a
# value is compared with a constant, the comparison cannot be of two mistakes.
my %check = (
	'hashed passwords' => [
		"SELECT count(*), bool_and(password_hash LIKE 'sha256\$%') FROM users WHERE email NOT LIKE 'reader%'",
		'4|t' ],
	'the name split' => [
		"SELECT string_agg(given_name || '/' || family_name, ',' ORDER BY id) FROM users WHERE email NOT LIKE 'reader%'",
		'Ada/Lovelace,Grace Brewster/Hopper,Zoë/,Edsger/Dijkstra' ],
	'addresses in lower case' =>
	  [ "SELECT count(*) FROM users WHERE email = 'grace\@example.org'", '1' ],
	'the hash of an escaped string' => [
		"SELECT password_hash = 'sha256\$' || encode(sha256(convert_to('open sésame', 'UTF8')), 'hex') FROM users WHERE given_name = 'Zoë'",
		't' ],
	'readers, one of them gone' =>
	  [ "SELECT count(*) FROM users WHERE email LIKE 'reader%'", '19' ],
	'the statements audited' => [
		"SELECT string_agg(concat_ws(' ', table_name, operation, rows), ',' ORDER BY table_name, operation, rows) FROM audit WHERE operation <> 'UPDATE'",
		'paid_posts INSERT 8,posts INSERT 12,users DELETE 1,users INSERT 20' ],
	'tags without duplicates' => [
		"SELECT string_agg(name, ',' ORDER BY id) FROM tags",
		"databases,café,data,semi;colon,don't,dollar \$1 'quoted',back\\slash';--" ],
	'no post lost its tags' =>
	  [ 'SELECT count(*), count(DISTINCT post_id) FROM post_tags', '40|12' ],
	'slugs' => [
		"SELECT count(*), count(DISTINCT slug), min(slug) FROM posts", '12|12|note-1-by-ada' ],
	'invoices of the moved account' => [
		'SELECT count(*), min(number), bool_and(i.total = (SELECT sum(amount) FROM invoice_lines l WHERE l.invoice_id = i.id))
		   FROM invoices i WHERE account_id > 10000', '3|A00010024/202001|t' ],
	'invoices closed by the procedure' => [
		"SELECT count(*) FILTER (WHERE state = 'closed'), count(*) FROM invoices", '48|72' ],
	'comments in their partitions' => [
		"SELECT string_agg(t || ' ' || n, ',' ORDER BY t) FROM (SELECT tableoid::regclass::text AS t, count(*) AS n FROM comments GROUP BY 1) AS c",
		'comments_2019 12,comments_2020 12,comments_2021 12,comments_other 12' ],
	'prices merged, savepoints rolled back' => [
		"SELECT string_agg(concat_ws(' ', code, price, seen, discount), ',' ORDER BY code) FROM prices",
		'comment 3.00 1 0.00,post 1.50 12 0.00,site 99.00 1 0.10,view 0.02 2 0.00' ],
	'the label added by a revision' => [
		"SELECT string_agg(concat_ws(' ', state, users, out_of_service), ',' ORDER BY state) FROM user_states",
		'invited 17 f,active 4 f,suspended 2 t' ],
	'names that are not ASCII' =>
	  [ q(SELECT string_agg("né à" || 名前, ',' ORDER BY "Größe") FROM städte), '東京東京,ŁódźŁódź,xa $e$ b' ],
	'the function without search_path' => [ "SELECT setting('theme')", '"dark"' ],
);
for my $name (sort keys %check)
{
	my ($query, $expected) = @{ $check{$name} };
	is(sql('app', $query), $expected, $name);
	is(sql('alone', $query), $expected, "$name: with psql alone, too");
}

# The irreversible step.
my $before = state('app');
my ($status, $stdout, $stderr) = owner_psql('app', "SELECT * FROM algo_ref.downgrade('base')");
isnt($status, 0, 'the way to the base is refused');
like($stderr, qr/$irreversible/, 'and the irreversible revision is named');
ok(state('app') eq $before, 'nothing has changed');

is(sql('app', "SELECT count(*) FROM algo_ref.downgrade('$irreversible')"),
	@files - 2, 'one call undoes all that can be undone');
is(sql('app', 'SELECT revision FROM algo_ref.current()'), $irreversible, 'down to it');
my $low = dump_schema('app');
is(sql('app', "SELECT count(*) FROM algo_ref.upgrade('head')"), @files - 2, 'and one call all up again');
same_dump(dump_schema('app'), $alone, 'to the same schema');

# One by one: up, down, up.
create_database('steps');
register('steps', 17);
my @steps = split /\n/, sql('steps', "SELECT p.revision, s.downgrade IS NULL,
		CASE WHEN cardinality(s.revises) > 1 THEN s.revises[1] ELSE p.revision || '\@-1' END
	FROM algo_ref.plan('heads') p JOIN algo_ref.script s USING (revision) ORDER BY ordinal");
my $last = dump_schema('steps');
my @bad;
for my $step (@steps)
{
	my ($id, $is_final, $below) = split /\|/, $step;
	my $up   = "SELECT string_agg(direction || ' ' || revision, ',') FROM algo_ref.upgrade('$id')";
	my $down = "SELECT string_agg(direction || ' ' || revision, ',') FROM algo_ref.downgrade('$below')";
	push @bad, "$id: first up" if sql('steps', $up) ne "upgrade $id";
	my $now = dump_schema('steps');
	if ($is_final eq 'f')
	{
		push @bad, "$id: down" if sql('steps', $down) ne "downgrade $id";
		push @bad, "$id: the schema below" if dump_schema('steps') ne $last;
		push @bad, "$id: second up" if sql('steps', $up) ne "upgrade $id";
		push @bad, "$id: the schema above" if dump_schema('steps') ne $now;
	}
	same_dump($low, $now, 'down from above leaves what up from below left')
	  if $id eq $irreversible;
	$last = $now;
}
is(scalar(@steps), scalar(@files), 'every revision was a step');
is("@bad", '', 'each goes up, down and up to the same schema');
same_dump($last, $alone, 'the last schema is that of psql alone');

# Tenants.
sql('app', 'CREATE SCHEMA tenant_a; CREATE SCHEMA tenant_b');
is(sql('app', "SELECT count(*) FROM algo_ref.upgrade('heads', schema => 'tenant_a')"),
	scalar(@files), 'a second schema gets everything');
is(sql('app', "SET search_path = tenant_b; SELECT count(*) FROM algo_ref.upgrade('$merge')"),
	28, 'a third one a part, as the current schema');
same_dump(dump_schema('app', 'tenant_a'), $alone, 'the second schema is as the first');
same_dump(dump_schema('app'), $alone, 'the first is untouched');
sql('app', "SELECT * FROM algo_ref.downgrade('$irreversible', schema => 'tenant_a')");
same_dump(dump_schema('app', 'tenant_a'), $low, 'the second went down alone');
is(sql('app', 'SELECT schema, revision FROM algo_ref.version ORDER BY schema'),
	"public|$head\ntenant_a|$irreversible\ntenant_b|$merge", 'each has its own state');

# Dumped half way, restored elsewhere, and on.
create_database('half');
register('half', 18);
sql('half', "SELECT * FROM algo_ref.upgrade('$merge')");
my $file = $node->basedir . '/half.sql';
$node->command_ok([ 'pg_dump', '-f', $file, 'half' ], 'a database half way is dumped');
$node->safe_psql('postgres', 'CREATE DATABASE restored OWNER app_owner');
$node->command_ok([ 'psql', '-X', '-q', '-1', '-v', 'ON_ERROR_STOP=1', '-d', 'restored', '-f', $file ],
	'and a dump can be restored');
allow('restored', '');
for my $query ("SELECT s::text FROM algo_ref.script s ORDER BY load_order",
	'TABLE algo_ref.version', 'TABLE algo_ref.log ORDER BY id')
{
	my $rows = sql('half', $query);
	ok($rows ne '' && sql('restored', $query) eq $rows, "restored: $query");
}
($status, $stdout, $stderr) = owner_psql('restored', "SELECT * FROM algo_ref.upgrade('heads')");
like($stderr, qr/suspended/, 'a label of a type that exists is not used in the run that adds it');
is(sql('restored', 'SELECT revision FROM algo_ref.current()'), $merge, 'nothing has happened');
is(sql('restored', "SELECT count(*) FROM algo_ref.upgrade('60e7a2c1bf29')"), 1, 'the label alone');
is(sql('restored', "SELECT count(*) FROM algo_ref.upgrade('heads')"), 7, 'and then all the rest');
same_dump(dump_schema('restored'), $alone, 'the schema is that of psql alone');
is(sql('restored', $check{'the label added by a revision'}[0]),
	$check{'the label added by a revision'}[1], 'and so are the rows');

$node->stop;
done_testing();
