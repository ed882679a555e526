# The chapter about ORMs in doc/watch.md: its functions run, with a session and an
# asynchronous one, return the same, and the watch finds the first and only that.

use strict;
use warnings FATAL => 'all';

use Cwd qw(abs_path);
use File::Basename qw(dirname);
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

IPC::Run::run [ '/usr/bin/python3', '-c', 'import sqlalchemy, psycopg2, asyncpg, greenlet' ], '>', '/dev/null', '2>', '/dev/null'
  or plan skip_all => 'SQLAlchemy, psycopg2 or asyncpg is not installed here';

my $folder = dirname(abs_path(__FILE__)) . '/../workload';
my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', "fsync = off\nsession_preload_libraries = 'algo_ref'\nalgo_ref.watch = notice\nalgo_ref.watch_window = '1 min'\n");
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION algo_ref');
$node->safe_psql('postgres', slurp_file("$folder/blog.sql"));

my ($chapter) = slurp_file('doc/watch.md') =~ /^## An ORM's lazy loads(.*?)^## /ms or die 'no such chapter';
my $functions = join "\n", $chapter =~ /```python\n(.*?)```/gs;
my $script = <<'PYTHON';
import asyncio, json, logging, os, sys
sys.path.insert(0, sys.argv[1])
sys.argv[1:] = ["postgres"]
os.environ["PGDATABASE"] = "postgres"
from sqlalchemy import create_engine, select, text
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session, selectinload
from workload import User, asyncpg_arguments

FUNCTIONS

notices = []
handler = logging.Handler()
handler.emit = lambda record: notices.append(record.getMessage())
logging.getLogger("sqlalchemy.dialects.postgresql").setLevel(logging.INFO)
logging.getLogger("sqlalchemy.dialects.postgresql").addHandler(handler)
engine = create_engine("postgresql+psycopg2:///postgres")
results = []
for function in (page, page_of_objects, page_of_json):
    with Session(engine) as session:
        del notices[:]
        results.append(function(session))
        print(function.__name__, len(results[-1]), len([notice for notice in notices if "one key at a time" in notice]))
print("the same", results[0] == results[1] == results[2])

async def main():
    engine = create_async_engine("postgresql+asyncpg://", connect_args=asyncpg_arguments())
    for function in (page, page_of_objects, page_of_json):
        async with AsyncSession(engine) as session:
            result = await session.run_sync(function)
            print(function.__name__, [json.loads(row) if isinstance(row, str) else row for row in result] == results[0])
    await engine.dispose()

asyncio.run(main())
PYTHON
$script =~ s/FUNCTIONS/$functions/;
local $ENV{PGHOST} = $node->host;
local $ENV{PGPORT} = $node->port;
local $ENV{PGUSER} = $node->safe_psql('postgres', 'SELECT current_user');
local $ENV{PYTHONDONTWRITEBYTECODE} = 1;
my ($out, $err);
IPC::Run::run [ '/usr/bin/python3', '-', $folder ], '<', \$script, '>', \$out, '2>', \$err or diag $err;
is($out, <<'OUT', 'one page is found, all return the same');
page 30 1
page_of_objects 30 0
page_of_json 30 0
the same True
page True
page_of_objects True
page_of_json True
OUT

$node->stop;
done_testing();
