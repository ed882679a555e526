# Every way of taking a database elsewhere: each arrives with its scripts, its
# state and its log, and goes on from there.  From the older servers that are
# beside this one where there are any (test/older), else from the same.

use strict;
use warnings FATAL => 'all';

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my @older = $ENV{WORK} ? grep { -x "$_/bin/postgres" } glob "$ENV{WORK}/older/usr/lib/postgresql/*" : ();
$ENV{LD_LIBRARY_PATH} = "$ENV{WORK}/older/lib" if @older;
my $dir = PostgreSQL::Test::Utils::tempdir();
my $old = PostgreSQL::Test::Cluster->new('old', @older ? (install_path => $older[0]) : ());
my $new = PostgreSQL::Test::Cluster->new('new');

# All are made alike, whatever the defaults of their versions are.
sub make_cluster
{
	my ($node) = @_;

	local $ENV{INITDB_TEMPLATE};
	delete $ENV{INITDB_TEMPLATE};
	$node->init(force_initdb => 1, extra => [ '--encoding=UTF8', '--locale=C.UTF-8', '--wal-segsize=1', $node->pg_version >= 18 ? '--no-data-checksums' : () ]);
	$node->append_conf('postgresql.conf', "fsync = off\n");
	$node->start;
	return;
}

# A server may keep with each column what only a pg_dump of the same age or
# younger knows to leave out.
sub understands
{
	my ($node, $other) = @_;

	return slurp_file($node->config_data('--bindir') . '/pg_dump') =~ /pg_attver/
	  || slurp_file($other->config_data('--bindir') . '/pg_dump') !~ /pg_attver/;
}

#
# What there is: scripts of a team, migrated by the role that owns the
# application; two target schemas; a hook; and objects that the scripts made
#

sub make_source
{
	my ($node) = @_;

	make_cluster($node);
	$node->safe_psql('postgres', q{
		CREATE ROLE team;
		CREATE ROLE author IN ROLE team;
		CREATE DATABASE source OWNER team;
	});
	$node->safe_psql('source', q{
		CREATE EXTENSION algo_ref;
		GRANT USAGE ON SCHEMA algo_ref TO team;
		GRANT SELECT ON ALL TABLES IN SCHEMA algo_ref TO team;
		GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA algo_ref TO team;
		CREATE SCHEMA shop AUTHORIZATION team;
		CREATE SCHEMA desk AUTHORIZATION team;
		CREATE FUNCTION shop.note(jsonb) RETURNS void LANGUAGE sql AS 'SELECT';
		ALTER FUNCTION shop.note(jsonb) OWNER TO team;
		SET ROLE author;
		SELECT algo_ref.revision('users', 'CREATE TABLE users (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL)', 'DROP TABLE users', id => 'aaaa01', revises => '{}');
		SELECT algo_ref.revision(E'posts\nof ''users''', E'CREATE TABLE posts (id int PRIMARY KEY, user_id int REFERENCES users); -- ä $$', 'DROP TABLE posts', id => 'aaaa02', revises => '{aaaa01}');
		SELECT algo_ref.revision('a view', 'CREATE VIEW authors AS SELECT DISTINCT name FROM users JOIN posts ON user_id = users.id', 'DROP VIEW authors', id => 'aaaa03', revises => '{aaaa02}', branch_labels => '{views}');
		SELECT algo_ref.revision('tags', 'CREATE TABLE tags (id int)', 'DROP TABLE tags', id => 'bbbb01', revises => '{aaaa01}', depends_on => '{aaaa02}');
		SET ROLE team;
		SELECT algo_ref.add_hook('after_step', 'shop.note(jsonb)');
		SELECT count(*) FROM algo_ref.upgrade('aaaa02', 'shop');
		SELECT count(*) FROM algo_ref.upgrade('aaaa01', 'desk');
		INSERT INTO shop.users (name) VALUES ('ann'), ('bob');
		INSERT INTO shop.posts VALUES (1, 1), (2, 2);
		INSERT INTO desk.users (name) VALUES ('cid');
	});
	return;
}

make_source($old);
make_cluster($new);
# the newer server's pg_dump, unless it is of an older minor version
my $dumper = understands($new, $old) ? $new : $old;
note 'from ' . $old->pg_version . ' to ' . $new->pg_version . ', with pg_dump of ' . $dumper->pg_version;

# The rows that are dumped, table by table, and the places of the sequences.
sub contents
{
	my ($node, $database) = @_;
	my $queries = $node->safe_psql($database, q{
		SELECT format('SELECT %L, count(*), md5(string_agg(t::text, E''\n'' ORDER BY t::text)) FROM %s t %s', c::regclass, c::regclass, w)
		FROM pg_extension, unnest(extconfig, extcondition) AS u (c, w) JOIN pg_class ON pg_class.oid = c AND relkind = 'r'
		WHERE extname = 'algo_ref' ORDER BY c::regclass::text});
	my $sequences = $node->safe_psql($database, q{
		SELECT format('SELECT %L, last_value, is_called FROM %s', c::regclass, c::regclass)
		FROM pg_extension, unnest(extconfig) AS c JOIN pg_class ON pg_class.oid = c AND relkind = 'S'
		WHERE extname = 'algo_ref' ORDER BY c::regclass::text});

	return join "\n", map { $node->safe_psql($database, $_) } split /\n/, "$queries\n$sequences";
}

my $contents = contents($old, 'source');
like($contents, qr/^algo_ref\.log\|3\|.*^algo_ref\.script\|4\|.*^algo_ref\.version\|2\|/ms, 'there is something to carry');

# Everything is there, nothing else, and it goes on.
sub arrives
{
	my ($node, $database, $name, %option) = @_;

	is(contents($node, $database), $contents, "$name: every row is there");
	# (pg_upgrade takes whole tables along)
	is($node->safe_psql($database, q{
		SELECT string_agg(c.relname, ',') FROM pg_class c, pg_extension e
		WHERE e.extname = 'algo_ref' AND c.relnamespace = 'algo_ref'::regnamespace AND c.relkind = 'r' AND c.oid <> ALL (e.extconfig)
		  AND (xpath('/row/n/text()', query_to_xml(format('SELECT count(*) AS n FROM algo_ref.%I', c.relname), false, true, '')))[1]::text <> '0'}),
		'', "$name: what is derived or running is not") unless $option{whole};
	is($node->safe_psql($database, "SELECT schema, heads, behind FROM algo_ref.status ORDER BY schema"), "desk|{aaaa01}|3\nshop|{aaaa02}|2", "$name: both schemas stand where they stood");
	is($node->safe_psql($database, 'SELECT (SELECT count(*) FROM shop.posts), (SELECT count(*) FROM desk.users)'), '2|1', "$name: so does what the application owns");
	is($node->safe_psql($database, "SET ROLE team; SELECT string_agg(revision, ' ' ORDER BY ordinal) FROM algo_ref.upgrade('heads', 'shop')"), 'bbbb01 aaaa03', "$name: upgrade(heads) goes on in one schema");
	is($node->safe_psql($database, "SET ROLE team; SELECT string_agg(revision, ' ' ORDER BY ordinal) FROM algo_ref.upgrade('heads', 'desk')"), 'aaaa02 bbbb01 aaaa03', "$name: ... and in the other");
	is($node->safe_psql($database, 'SELECT count(*) FROM shop.authors'), '2', "$name: ... with what is there");
	is($node->safe_psql($database, "SET ROLE team; SELECT count(*) FROM algo_ref.upgrade('heads', 'shop')"), '0', "$name: then there is nothing to do");
	is($node->safe_psql($database, "SET ROLE team; SELECT algo_ref.revision('more', 'CREATE TABLE more ()', 'DROP TABLE more', id => 'cccc01', revises => '{aaaa03,bbbb01}')"), 'cccc01', "$name: a script is registered");
	is($node->safe_psql($database, 'SELECT count(DISTINCT load_order) = count(*) FROM algo_ref.script'), 't', "$name: ... behind the others");
	is($node->safe_psql($database, "SET ROLE team; SELECT count(*) FROM algo_ref.downgrade('base', 'shop')"), '4', "$name: and all the way back");
	return;
}

# Run a client program of the new version; pg_dump, as was found out above.
sub runs
{
	my ($name, @command) = @_;

	($command[0] =~ /^pg_dump/ ? $dumper : $new)->command_ok(\@command, $name);
	return;
}

my @psql = ('psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-o', '/dev/null');

#
# The roles first: authors and owners are roles
#

runs('pg_dumpall --roles-only', 'pg_dumpall', '--no-sync', '--roles-only', '-f', "$dir/roles.sql", '-d', $old->connstr('postgres'));
# (the superuser is there already)
my $superuser = $old->safe_psql('postgres', 'SELECT current_user');
my $roles = slurp_file("$dir/roles.sql") =~ s/^CREATE ROLE "?\Q$superuser\E"?;\n//mr;

#
# A dump restored where the roles of its authors are not trusted
#

runs('pg_dump', 'pg_dump', '--no-sync', '--no-owner', '--no-privileges', '-f', "$dir/no_owner.sql", '-d', $old->connstr('source'));
$new->safe_psql('postgres', 'CREATE DATABASE no_owner');
runs('psql', @psql, '-f', "$dir/no_owner.sql", '-d', $new->connstr('no_owner'));
my ($status, $out, $err) = $new->psql('no_owner', "SELECT revision FROM algo_ref.upgrade('heads', 'shop')");
like($err, qr/Its author is role "author", which does not exist any more/, 'without the roles: what they wrote is not run');
$new->safe_psql('no_owner', "SELECT algo_ref.approve(':'); SELECT algo_ref.drop_hook('after_step', 'shop.note(jsonb)')");
is($new->safe_psql('no_owner', "SELECT string_agg(revision, ' ' ORDER BY ordinal) FROM algo_ref.upgrade('heads', 'shop')"), 'bbbb01 aaaa03', 'without the roles: ... before it is approved');

append_to_file("$dir/only_roles.sql", $roles);
runs('psql restores the roles', @psql, '-f', "$dir/only_roles.sql", '-d', $new->connstr('postgres'));

#
# One database, as a script
#

runs('pg_dump', 'pg_dump', '--no-sync', '-f', "$dir/plain.sql", '-d', $old->connstr('source'));
$new->safe_psql('postgres', 'CREATE DATABASE plain');
runs('psql', @psql, '-f', "$dir/plain.sql", '-d', $new->connstr('plain'));
arrives($new, 'plain', 'pg_dump, psql');

#
# One database, as an archive
#

runs('pg_dump -Fc', 'pg_dump', '--no-sync', '-Fc', '-f', "$dir/archive", '-d', $old->connstr('source'));
$new->safe_psql('postgres', 'CREATE DATABASE parallel');
runs('pg_restore --jobs', 'pg_restore', '--exit-on-error', '--jobs=4', '-d', $new->connstr('parallel'), "$dir/archive");
arrives($new, 'parallel', 'pg_restore --jobs');

# the objects first, the rows later
$new->safe_psql('postgres', 'CREATE DATABASE data');
runs('pg_restore --schema-only', 'pg_restore', '--exit-on-error', '--schema-only', '-d', $new->connstr('data'), "$dir/archive");
is($new->safe_psql('data', 'SELECT count(*) FROM algo_ref.version'), '0', 'the objects alone have no state');
runs('pg_restore --data-only', 'pg_restore', '--exit-on-error', '--data-only', '--disable-triggers', '-d', $new->connstr('data'), "$dir/archive");
arrives($new, 'data', 'pg_restore --data-only');

# one schema of the application, with the scripts and the state
$new->safe_psql('postgres', 'CREATE DATABASE one_schema');
$new->safe_psql('one_schema', 'CREATE EXTENSION algo_ref');
$new->safe_psql('one_schema', 'GRANT USAGE ON SCHEMA algo_ref TO team; GRANT SELECT ON ALL TABLES IN SCHEMA algo_ref TO team; GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA algo_ref TO team');
runs('pg_restore --schema=algo_ref', 'pg_restore', '--exit-on-error', '--data-only', '--schema=algo_ref', '-d', $new->connstr('one_schema'), "$dir/archive");
$new->safe_psql('one_schema', 'CREATE SCHEMA desk AUTHORIZATION team');
runs('pg_restore --schema=desk', 'pg_restore', '--exit-on-error', '--schema=desk', '-d', $new->connstr('one_schema'), "$dir/archive");
is(contents($new, 'one_schema'), $contents, 'one schema: scripts and state of all are there');
$new->safe_psql('one_schema', "SELECT algo_ref.drop_hook('after_step', 'shop.note(jsonb)')");
is($new->safe_psql('one_schema', "SET ROLE team; SELECT string_agg(revision, ' ' ORDER BY ordinal) FROM algo_ref.upgrade('heads', 'desk')"), 'aaaa02 bbbb01 aaaa03', 'one schema: upgrade(heads) goes on in it');
$new->safe_psql('one_schema', 'CREATE SCHEMA shop AUTHORIZATION team');
is($new->safe_psql('one_schema', "SET ROLE team; SELECT revision FROM algo_ref.stamp('base', 'shop'); SELECT string_agg(revision, ' ' ORDER BY ordinal) FROM algo_ref.upgrade('heads', 'shop')") =~ s/.*\n//sr,
	'aaaa01 aaaa02 bbbb01 aaaa03', 'one schema: that which was not restored is stamped as empty');

# one schema, without the extension: the scripts come from files
runs('pg_dump --schema', 'pg_dump', '--no-sync', '-Fc', '--schema=desk', '-f', "$dir/desk", '-d', $old->connstr('source'));
$new->safe_psql('postgres', 'CREATE DATABASE by_files');
$new->safe_psql('by_files', 'CREATE EXTENSION algo_ref');
runs('pg_restore of one schema', 'pg_restore', '--exit-on-error', '-d', $new->connstr('by_files'), "$dir/desk");
append_to_file("$dir/scripts.sql", $old->safe_psql('source', "SELECT algo_ref.script(':')"));
runs('psql runs the script files', @psql, '-f', "$dir/scripts.sql", '-d', $new->connstr('by_files'));
is($new->safe_psql('by_files', "SELECT revision FROM algo_ref.stamp('aaaa01', 'desk'); SELECT string_agg(revision, ' ' ORDER BY ordinal) FROM algo_ref.upgrade('heads', 'desk')") =~ s/.*\n//sr,
	'aaaa02 bbbb01 aaaa03', 'one schema, by files: it is stamped, and goes on');

#
# All databases
#

runs('pg_dumpall', 'pg_dumpall', '--no-sync', '-f', "$dir/all.sql", '-d', $old->connstr('postgres'));
my $all = PostgreSQL::Test::Cluster->new('all');
make_cluster($all);
# (only the superuser is there, as in every new cluster)
my $script = slurp_file("$dir/all.sql") =~ s/^CREATE ROLE "?\Q$superuser\E"?;\n//mr;
append_to_file("$dir/all_but_one.sql", $script);
runs('psql restores all', @psql, '-f', "$dir/all_but_one.sql", '-d', $all->connstr('postgres'));
arrives($all, 'source', 'pg_dumpall');
$all->stop;

$old->stop;
$new->stop;

#
# pg_upgrade, from every older version
#

foreach my $from (@older ? @older : undef)
{
	my $name = 'pg_upgrade' . ($from ? ' from ' . $from =~ s/.*\///r : '');
	my $before = PostgreSQL::Test::Cluster->new($from ? 'before_' . $from =~ s/.*\///r : 'before', $from ? (install_path => $from) : ());
	my $after = PostgreSQL::Test::Cluster->new($from ? 'after_' . $from =~ s/.*\///r : 'after');

	SKIP:
	{
		skip "$name: this version's pg_dump is too old a minor version", 1 unless understands($after, $before);

		make_source($before);
		$contents = contents($before, 'source');
		make_cluster($after);
		$_->stop foreach $before, $after;
		chdir $dir or die "$dir: $!";
		$after->command_ok([ 'pg_upgrade', '--no-sync', '-d', $before->data_dir, '-D', $after->data_dir, '-b', $before->config_data('--bindir'), '-B', $after->config_data('--bindir'),
			'-s', $after->host, '-p', $before->port, '-P', $after->port, '--jobs=2' ], $name);
		$after->start;
		arrives($after, 'source', $name, whole => 1);
		is($after->safe_psql('source', 'SELECT count(*) FROM algo_ref.pool_status()'), '1', "$name: the new library answers");
		$after->stop;
	}
}
done_testing();
