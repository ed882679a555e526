# From an application's SQLAlchemy models to declared DDL to a revision to a live
# schema in which the real Alembic finds nothing to do.  The function that
# prints the DDL is the one of doc/autogenerate.md.

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
local $ENV{PGHOST} = $node->host;
local $ENV{PGPORT} = $node->port;
local $ENV{PGDATABASE} = 'postgres';
local $ENV{PYTHONDONTWRITEBYTECODE} = 1;

sub put
{
	my ($name, $text) = @_;
	open my $file, '>', "$folder/$name" or die "$name: $!";
	print $file $text;
	close $file;
}

sub value { return $node->safe_psql('postgres', $_[0]) }

# What the chapter tells its readers to write.
my ($function) = slurp_file('doc/autogenerate.md') =~ /```python\n(.*?\n)connection\.execute/s or die 'no such chapter';

# What "alembic check" does, which 1.8 has not yet as a command.
put('compare.py', <<'PYTHON');
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine
from models import Base
with create_engine("postgresql+psycopg2://").connect() as connection:
    context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
    print(compare_metadata(context, Base.metadata))
PYTHON
put('declare.py', $function . <<'PYTHON');
import sys
from models import Base
print(declared_ddl(Base.metadata))
PYTHON

my $first = <<'PYTHON';
import enum
import sqlalchemy as sa
from sqlalchemy.orm import declarative_base, relationship
Base = declarative_base()

class Mood(enum.Enum):
    sad = 1
    ok = 2

class User(Base):
    __tablename__ = "users"
    id = sa.Column(sa.BigInteger, sa.Identity(), primary_key=True)
    email = sa.Column(sa.String(100), nullable=False, unique=True)
    name = sa.Column(sa.Text, index=True)
    mood = sa.Column(sa.Enum(Mood, name="mood"), nullable=False, server_default="ok")
    balance = sa.Column(sa.Numeric(12, 2), nullable=False, server_default=sa.text("0"))
    created_at = sa.Column(sa.DateTime(timezone=True), server_default=sa.func.now())
    posts = relationship("Post", back_populates="author")
    __table_args__ = (sa.CheckConstraint("balance >= 0", name="solvent"),
                      sa.Index("users_name_email", "name", "email"))

class Post(Base):
    __tablename__ = "posts"
    id = sa.Column(sa.Integer, primary_key=True)
    author_id = sa.Column(sa.BigInteger, sa.ForeignKey("users.id", ondelete="CASCADE"), index=True)
    slug = sa.Column(sa.String(50))
    title = sa.Column(sa.Text, comment="what it says")
    author = relationship("User", back_populates="posts")
    __table_args__ = (sa.UniqueConstraint("author_id", "slug", name="posts_slug"),)
PYTHON
my $second = $first;
$second =~ s/sa.String\(100\)/sa.String(200)/ or die;
$second =~ s/    slug = .*\n/    slug = sa.Column(sa.String(50), nullable=False)\n    views = sa.Column(sa.Integer, nullable=False, server_default="0")\n/ or die;
$second .= <<'PYTHON';

class Tag(Base):
    __tablename__ = "tags"
    id = sa.Column(sa.Integer, primary_key=True)
    name = sa.Column(sa.Text, nullable=False, unique=True)

post_tags = sa.Table("post_tags", Base.metadata,
                     sa.Column("post_id", sa.ForeignKey("posts.id"), primary_key=True),
                     sa.Column("tag_id", sa.ForeignKey("tags.id"), primary_key=True))
PYTHON

sub python
{
	my @command = @_;
	my ($out, $err);
	my $ok = IPC::Run::run([@command], '>', \$out, '2>', \$err);
	note $err unless $ok;
	return ($ok, $out . $err);
}

value('CREATE EXTENSION algo_ref');

# What the models print is declared, becomes a revision, and is applied.
sub migrate
{
	my ($message) = @_;
	my ($ok, $ddl) = python('/usr/bin/python3', "$folder/declare.py");
	ok($ok, "$message: the models print their DDL");
	my $quoted = '$declared$' . $ddl . '$declared$';
	value("SELECT algo_ref.declare($quoted)");
	isnt(value("SELECT algo_ref.autogenerate('$message')"), '', "$message: makes a revision");
	value("SELECT * FROM algo_ref.upgrade('head')");
	is(value('SELECT count(*) FROM algo_ref.diff()'), 0, '... after which nothing differs');
}

for my $step ([ 'first', $first ], [ 'second', $second ])
{
	my ($message, $models) = @$step;
	put('models.py', $models);
	isnt((python('/usr/bin/python3', "$folder/compare.py"))[1], "[]\n", "$message: Alembic finds something to do");
	migrate($message);
	my ($ok, $differences) = python('/usr/bin/python3', "$folder/compare.py");
	is($differences, "[]\n", "$message: Alembic finds nothing to do");
}

# The application works on what was made.
put('use.py', <<'PYTHON');
import os, sys
from sqlalchemy import create_engine
from sqlalchemy.orm import Session
from models import Mood, Post, Tag, User
with Session(create_engine("postgresql+psycopg2://")) as session:
    session.add(User(email="a@b", posts=[Post(slug="x", title="y")]))
    session.commit()
    user = session.query(User).one()
    assert (user.id, user.mood, user.posts[0].views, user.balance) == (1, Mood.ok, 0, 0), (user.id, user.mood)
PYTHON
my ($works, $why) = python('/usr/bin/python3', "$folder/use.py");
ok($works, 'the application works on it') or diag $why;

# And back.
value("SELECT * FROM algo_ref.downgrade('base')");
is(value("SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'"), 0, 'all of it goes down again');
$node->stop;
done_testing();
