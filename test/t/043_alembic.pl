# The real Alembic and algo_ref take turns on one schema, and agree.

use strict;
use warnings;

use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

IPC::Run::run [ '/bin/sh', '-c', 'command -v alembic' ], '>', \my $path, '2>', '/dev/null'
  or plan skip_all => 'Debian\'s alembic is not installed here';

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->start;
my $folder = PostgreSQL::Test::Utils::tempdir();

# ---------------------------------------------------------------------------
# A project as its users have it.
# ---------------------------------------------------------------------------
sub put
{
	my ($name, $text) = @_;
	open my $file, '>', "$folder/$name" or die "$name: $!";
	print $file $text;
	close $file;
}

mkdir "$folder/versions";
put('alembic.ini', "[alembic]\nscript_location = $folder\n");
put('models.py', <<'PYTHON');
import sqlalchemy as sa
metadata = sa.MetaData()
sa.Table("users", metadata,
         sa.Column("id", sa.Integer, primary_key=True),
         sa.Column("name", sa.String(50), nullable=False),
         sa.Column("age", sa.Integer))
sa.Table("posts", metadata,
         sa.Column("id", sa.Integer, primary_key=True),
         sa.Column("user_id", sa.Integer, sa.ForeignKey("users.id")),
         sa.Column("title", sa.Text))
sa.Index("users_name", metadata.tables["users"].c.name)
PYTHON
put('env.py', <<'PYTHON');
import os, sys, asyncio
sys.path.insert(0, os.path.dirname(__file__))
from alembic import context
from sqlalchemy import create_engine, pool
from models import metadata

DATABASE = os.environ["PGDATABASE"]
HOST = os.environ["PGHOST"]
PORT = os.environ["PGPORT"]

def migrate(connection):
    context.configure(connection=connection, target_metadata=metadata)
    with context.begin_transaction():
        context.run_migrations()

if context.is_offline_mode():
    context.configure(url="postgresql://", target_metadata=metadata, literal_binds=True)
    with context.begin_transaction():
        context.run_migrations()
elif os.environ.get("DRIVER") == "asyncpg":
    from sqlalchemy.ext.asyncio import create_async_engine
    async def main():
        engine = create_async_engine("postgresql+asyncpg://@/%s?host=%s&port=%s" % (DATABASE, HOST, PORT),
                                     poolclass=pool.NullPool)
        async with engine.connect() as connection:
            await connection.run_sync(migrate)
            await connection.commit()
        await engine.dispose()
    asyncio.run(main())
else:
    engine = create_engine("postgresql+psycopg2:///%s" % DATABASE, poolclass=pool.NullPool)
    with engine.connect() as connection:
        migrate(connection)
PYTHON

sub migration
{
	my ($id, $parents, $message, $up, $down) = @_;
	my $revises = join ', ', map { "'$_'" } @$parents;
	$revises = @$parents == 0 ? 'None' : @$parents == 1 ? $revises : "($revises)";
	put("versions/$id.py", <<PYTHON);
"""$message"""
from alembic import op
import sqlalchemy as sa
revision = '$id'
down_revision = $revises
branch_labels = None
depends_on = None


def upgrade():
    $up


def downgrade():
    $down
PYTHON
}

migration('a1b2c3d4e5f6', [], 'create users',
	"op.create_table('users', sa.Column('id', sa.Integer, primary_key=True), sa.Column('name', sa.String(50), nullable=False))",
	"op.drop_table('users')");
migration('b1b2c3d4e5f6', ['a1b2c3d4e5f6'], 'create posts',
	"op.create_table('posts', sa.Column('id', sa.Integer, primary_key=True), sa.Column('user_id', sa.Integer, sa.ForeignKey('users.id')), sa.Column('title', sa.Text)); op.execute(\"INSERT INTO users (name) VALUES ('-- Running upgrade x -> y'), ('a;b')\")",
	"op.drop_table('posts'); op.execute('DELETE FROM users')");
migration('c1b2c3d4e5f6', ['a1b2c3d4e5f6'], 'age',
	"op.add_column('users', sa.Column('age', sa.Integer))", "op.drop_column('users', 'age')");
migration('d1b2c3d4e5f6', [ 'b1b2c3d4e5f6', 'c1b2c3d4e5f6' ], 'merge', 'pass', 'pass');
migration('e1b2c3d4e5f6', ['d1b2c3d4e5f6'], 'index',
	"with op.get_context().autocommit_block(): op.create_index('users_name', 'users', ['name'], postgresql_concurrently=True)",
	"op.drop_index('users_name')");

sub alembic
{
	my ($database, @arguments) = @_;
	local $ENV{PGDATABASE} = $database;
	local $ENV{PGHOST} = $node->host;
	local $ENV{PGPORT} = $node->port;
	local $ENV{PYTHONDONTWRITEBYTECODE} = 1;
	my ($out, $err) = ('', '');
	my $good = IPC::Run::run [ 'alembic', '-c', "$folder/alembic.ini", @arguments ], '<', '/dev/null', '>', \$out, '2>', \$err;
	return ($good, $out, $err);
}

sub agrees
{
	my ($database, $name, @arguments) = @_;
	my ($good, $out, $err) = alembic($database, @arguments);
	ok($good, $name) or diag $out . $err;
	return $out;
}

sub value { return $node->safe_psql($_[0], $_[1]) }

my $ours = "SELECT coalesce(string_agg(revision, ',' ORDER BY revision), '') FROM algo_ref.version";
my $theirs = "SELECT coalesce(string_agg(version_num, ',' ORDER BY version_num), '') FROM alembic_version";
my $dump = "SELECT string_agg(format('%s.%s %s', attrelid::regclass, attname, atttypid::regtype), ', ' ORDER BY attrelid::regclass::text, attname) FROM pg_attribute JOIN pg_class c ON c.oid = attrelid WHERE relnamespace = 'public'::regnamespace AND attnum > 0 AND NOT attisdropped AND relname NOT LIKE 'alembic_version%'";

# ---------------------------------------------------------------------------
# Its scripts become revisions.
# ---------------------------------------------------------------------------
my $up = agrees('postgres', 'alembic prints the way up', 'upgrade', 'base:head', '--sql');
my $down = agrees('postgres', '... and down', 'downgrade', 'head:base', '--sql');
put('up.sql', $up);
put('down.sql', $down);

sub import
{
	my ($database, $file) = @_;
	my ($out, $err) = ('', '');
	return value($database, "\\set text `cat $folder/$file`\nSELECT string_agg(id, ',') FROM algo_ref.import_alembic(:'text') AS id");
}

$node->safe_psql('postgres', "CREATE DATABASE imported");
value('imported', 'CREATE EXTENSION algo_ref');
sub sorted { return join ',', sort split /,/, $_[0] }    # Alembic's own order of branches varies
my $all = join ',', map { "${_}1b2c3d4e5f6" } qw(a b c d e);
is(sorted(import('imported', 'up.sql')), $all, 'the way up is imported');
is(sorted(import('imported', 'down.sql')), $all, '... and the way down');
is(sorted(import('imported', 'up.sql')), $all, '... and again');
is(value('imported', "SELECT revises FROM algo_ref.script WHERE revision = 'd1b2c3d4e5f6'"), '{b1b2c3d4e5f6,c1b2c3d4e5f6}', 'a merge point keeps its parents');
is(value('imported', "SELECT count(*) FROM algo_ref.script WHERE upgrade ~ 'alembic_version|^(BEGIN|COMMIT)'"), '0', "Alembic's own statements are left out");
is(value('imported', "SELECT transactional FROM algo_ref.script WHERE revision = 'e1b2c3d4e5f6'"), 'f', 'an autocommit block needs a commit');
value('imported', "CALL algo_ref.deploy()");
is(value('imported', "SELECT string_agg(name, ',' ORDER BY id) FROM users"), '-- Running upgrade x -> y,a;b', 'strings are left alone');
$node->safe_psql('postgres', "CREATE DATABASE native");
agrees('native', 'alembic upgrades another database', 'upgrade', 'head');
is(value('imported', $dump), value('native', $dump), '... to the same schema');
value('imported', "CALL algo_ref.revert('base')");
is(value('imported', $dump), '', 'the imported way down leads to the base');

# ---------------------------------------------------------------------------
# We take over, and hand back.
# ---------------------------------------------------------------------------
$node->safe_psql('postgres', "CREATE DATABASE turns");
value('turns', 'CREATE EXTENSION algo_ref');
import('turns', $_) for 'up.sql', 'down.sql';
agrees('turns', 'alembic begins', 'upgrade', 'b1b2c3d4e5f6');
is(value('turns', "SELECT algo_ref.adopt_alembic('alembic_version')"), '{b1b2c3d4e5f6}', 'its state is adopted');
is(value('turns', $ours), 'b1b2c3d4e5f6', '... and is ours');
value('turns', "SELECT * FROM algo_ref.upgrade('c1b2c3d4e5f6')");
is(value('turns', $theirs), 'b1b2c3d4e5f6,c1b2c3d4e5f6', 'the function door keeps its table true');
like(agrees('turns', 'alembic current agrees', 'current'), qr/b1b2c3d4e5f6\s+c1b2c3d4e5f6|c1b2c3d4e5f6\s+b1b2c3d4e5f6/, '... with two rows');
value('turns', "CALL algo_ref.deploy()");
is(value('turns', $theirs), 'e1b2c3d4e5f6', '... and so does the deploy door');
like(agrees('turns', 'alembic current agrees', 'current'), qr/^e1b2c3d4e5f6 \(head\)/m, '... that it is at head');
agrees('turns', 'alembic check finds nothing', 'check') if (alembic('turns', '--help'))[1] =~ /\bcheck\b/;
like(agrees('turns', 'alembic history knows where it is', 'history', '-i'), qr/\(head\) \(current\), index/, '... at the top');
agrees('turns', 'alembic goes down', 'downgrade', 'a1b2c3d4e5f6');
is(value('turns', "SELECT algo_ref.adopt_alembic('alembic_version')"), '{a1b2c3d4e5f6}', '... and we follow');
value('turns', "CALL algo_ref.deploy()");
value('turns', "CALL algo_ref.revert('base')");
is(value('turns', $theirs), '', 'nothing is left of either');
agrees('turns', 'alembic goes up from there', 'upgrade', 'head');

SKIP:
{
	my $has_asyncpg = IPC::Run::run [ '/usr/bin/python3', '-c', 'import asyncpg' ], '2>', '/dev/null';
	skip 'python3-asyncpg is not installed here', 4 unless $has_asyncpg;
	local $ENV{DRIVER} = 'asyncpg';
	like(agrees('turns', 'alembic over asyncpg reads the state', 'current'), qr/e1b2c3d4e5f6 \(head\)/, '... the same');
	agrees('turns', '... and goes down', 'downgrade', 'd1b2c3d4e5f6');
	is(value('turns', "SELECT algo_ref.adopt_alembic('alembic_version')"), '{d1b2c3d4e5f6}', '... and we follow');
}

# ---------------------------------------------------------------------------
# What cannot be.
# ---------------------------------------------------------------------------
sub fails
{
	my ($sql, $pattern, $name) = @_;
	my ($code, $out, $err) = $node->psql('turns', "\\set VERBOSITY verbose\n$sql");
	like($err, $pattern, $name);
}
fails("SELECT algo_ref.import_alembic('SELECT 1')", qr/ERROR:  22023: .*line 1/s, 'a text that is no output of Alembic');
fails("SELECT algo_ref.import_alembic('')", qr/ERROR:  22023/, '... an empty one');
fails("SELECT algo_ref.import_alembic(NULL)", qr/ERROR:  22004/, '... none');
fails("SELECT algo_ref.import_alembic('-- Running upgrade  -> x1\nSELEC')", qr/ERROR:  42601/, '... one that is not SQL');
fails("SELECT algo_ref.import_alembic('-- Running downgrade nosuch -> ')", qr/ERROR:  42704/, 'a way down to which the way up is missing');
fails("SELECT algo_ref.adopt_alembic('users')", qr/ERROR:  42703/, 'a table that is not a version table');
fails("UPDATE alembic_version SET version_num = 'nosuch'; SELECT algo_ref.adopt_alembic('alembic_version')", qr/ERROR:  42704/, 'a state that we do not know');

# Nobody gets his code run through the version table.
value('turns', <<'SQL');
UPDATE alembic_version SET version_num = 'd1b2c3d4e5f6';
CREATE ROLE regress_algo_ref_planter;
CREATE FUNCTION public.hostile() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''captured''; END';
CREATE TRIGGER hostile BEFORE INSERT OR UPDATE OR DELETE ON alembic_version FOR EACH STATEMENT EXECUTE FUNCTION hostile();
ALTER TABLE alembic_version OWNER TO regress_algo_ref_planter;
SQL
fails("SELECT * FROM algo_ref.downgrade('a1b2c3d4e5f6')", qr/ERROR:  42501: .*alembic_version/, 'the function door does not run it');
fails("CALL algo_ref.deploy()", qr/ERROR:  42501: .*alembic_version/, '... nor does the deploy door');
$node->stop;
done_testing();
