# The deploy door: a commit for each revision, statements that refuse a
# transaction in a worker, resuming, and who is kept out.

use strict;
use warnings;

use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', "max_worker_processes = 8\nautovacuum = off\n");
$node->start;
my $psql = [ 'psql', '-X', '-q', '-A', '-t' ];

# A database of its own for each subject.
sub database
{
	my ($name, @scripts) = @_;
	$node->safe_psql('postgres', "CREATE DATABASE $name");
	$node->safe_psql($name, join("\n", 'CREATE EXTENSION algo_ref;', @scripts));
	return $name;
}

sub revision
{
	my ($id, $revises, $up, $down) = @_;
	return
	  "SELECT algo_ref.revision('revision $id', \$up\$$up\$up\$, \$down\$$down\$down\$, id => '$id', revises => '{$revises}');";
}

sub value
{
	my ($database, $query) = @_;
	return $node->safe_psql($database, $query);
}

# Run SQL that is to fail; returns its messages.
sub fails
{
	my ($database, $sql, $pattern, $name) = @_;
	my ($code, $out, $err) = $node->psql($database, "\\set VERBOSITY verbose\n$sql");
	like($err, $pattern, $name);
	return $err;
}

# A session in the background, with an open transaction.
sub session
{
	my ($database, @statements) = @_;
	my $session = $node->background_psql($database, on_error_stop => 0);
	$session->query_safe($_) for @statements;
	return $session;
}

sub wait_until
{
	my ($database, $query, $name) = @_;
	ok($node->poll_query_until($database, $query), $name);
}

# ---------------------------------------------------------------------------
# Each revision commits.
# ---------------------------------------------------------------------------
my $db = database(
	'commits',
	revision('r1', '', 'CREATE TABLE a (id int)', 'DROP TABLE a'),
	revision('r2', 'r1', 'CREATE TABLE b (id int)', 'DROP TABLE b'),
	revision('r3', 'r2', 'CREATE TABLE c (id int); SELECT 1/0', 'DROP TABLE c'),
	revision('r4', 'r3', 'CREATE TABLE d (id int)', 'DROP TABLE d'));
my $err = fails($db, "CALL algo_ref.deploy()", qr/ERROR:  22012: division by zero/, 'an error ends the deploy');
like($err, qr/revision "?r3"?/, '... and says which revision it was');
is(value($db, "SELECT string_agg(revision, ',') FROM algo_ref.version"), 'r2', '... the revisions before it stay');
is(value($db, "SELECT to_regclass('c') IS NULL"), 't', '... nothing of the failed one does');
is(value($db, "SELECT state, step, step_count, revision FROM algo_ref.progress"), 'failed|2|4|r3', '... progress says where it stands');
is(value($db, "SELECT revision, outcome FROM algo_ref.log ORDER BY id DESC LIMIT 1"), 'r3|failed', '... and so does the log');
like(value($db, "SELECT error FROM algo_ref.log ORDER BY id DESC LIMIT 1"), qr/division by zero/, '... with the error');
value($db, revision('r3', 'r2', 'CREATE TABLE c (id int)', 'DROP TABLE c'));
value($db, "CALL algo_ref.deploy()");
is(value($db, "SELECT string_agg(revision, ',') FROM algo_ref.version"), 'r4', 'the next deploy goes on');
is(value($db, "SELECT count(*) FROM algo_ref.progress"), '0', '... and leaves no job behind');
my ($code, $out, $messages) = $node->psql($db, "CALL algo_ref.deploy()");
is($messages, '', 'a deploy with nothing to do says nothing');
value($db, "CALL algo_ref.revert('r1')");
is(value($db, "SELECT string_agg(revision, ',') FROM algo_ref.version"), 'r1', 'revert goes down');
is(value($db, "SELECT to_regclass('b') IS NULL AND to_regclass('a') IS NOT NULL"), 't', '... and undoes what it passes');

# ---------------------------------------------------------------------------
# Where it refuses.
# ---------------------------------------------------------------------------
fails($db, "BEGIN; CALL algo_ref.deploy();", qr/ERROR:  25001: .*\n.*\nHINT:.*algo_ref\.upgrade/, 'not inside a transaction block');
fails($db, "DO \$\$BEGIN BEGIN CALL algo_ref.deploy(); EXCEPTION WHEN division_by_zero THEN END; END\$\$", qr/ERROR:  25001/, 'not inside a subtransaction');
fails($db, "CALL algo_ref.deploy(NULL)", qr/ERROR:  22004/, 'a target is needed');
fails($db, "CALL algo_ref.deploy('nosuch')", qr/ERROR:  42704/, 'an unknown target is refused');
fails($db, "CALL algo_ref.deploy(schema => 'nosuch')", qr/ERROR:  3F000/, 'an unknown schema is refused');
fails($db, "CALL algo_ref.deploy(lock_wait => '-1 s')", qr/ERROR:  22023/, 'a negative time is refused');
fails($db, "CALL algo_ref.deploy(expect => 'nonsense')", qr/ERROR:  55000/, 'a plan that was not expected is refused');
is(value($db, "SELECT count(*) FROM algo_ref.progress"), '0', '... and none of these leaves a job behind');

# ---------------------------------------------------------------------------
# Statements that refuse a transaction.
# ---------------------------------------------------------------------------
$db = database(
	'worker',
	'CREATE SCHEMA app; ALTER DATABASE worker SET search_path = app;',
	revision('w1', '', 'CREATE TABLE t (id int PRIMARY KEY, v int); INSERT INTO t SELECT g, g % 10 FROM generate_series(1, 1000) g', 'DROP TABLE t'),
	revision('w2', 'w1',
		"CREATE TABLE before_it (id int);\nSET maintenance_work_mem = '7MB';\nCREATE INDEX CONCURRENTLY t_v ON t (v);\nCREATE TABLE after_it AS SELECT current_setting('maintenance_work_mem') AS mem;\nVACUUM t",
		'DROP INDEX CONCURRENTLY t_v; DROP TABLE before_it, after_it'),
	revision('w3', 'w2', "CREATE TYPE mood AS ENUM ('sad'); CREATE TABLE moods (m mood)", 'DROP TABLE moods; DROP TYPE mood'),
	revision('w4', 'w3', "ALTER TYPE mood ADD VALUE 'happy'; INSERT INTO moods VALUES ('happy')", 'DELETE FROM moods'));
value($db, "CALL algo_ref.deploy()");
is(value($db, "SELECT indisvalid FROM pg_index WHERE indexrelid = 't_v'::regclass"), 't', 'an index is built concurrently, in the schema of the search_path');
is(value($db, "SELECT mem FROM after_it"), '7MB', 'what a script sets holds to its end');
is(value($db, "SHOW maintenance_work_mem"), '64MB', '... and no longer');
is(value($db, "SELECT m FROM moods"), 'happy', 'a new label is used after it was committed');
value($db, "CALL algo_ref.revert('base')");
is(value($db, "SELECT count(*) FROM pg_class WHERE relnamespace = 'app'::regnamespace"), '0', 'all of it goes down again');

# The worker's error arrives whole.
$db = database(
	'duplicates',
	revision('u1', '', 'CREATE TABLE t (v int); INSERT INTO t VALUES (1), (1)', 'DROP TABLE t'),
	revision('u2', 'u1', 'CREATE TABLE x (); CREATE UNIQUE INDEX CONCURRENTLY t_v ON t (v); CREATE TABLE y ()', 'DROP TABLE x, y; DROP INDEX t_v'));
$err = fails($db, "CALL algo_ref.deploy()", qr/ERROR:  23505: could not create unique index "t_v"/, 'the error of the worker');
like($err, qr/DETAIL:  Key \(v\)=\(1\) is duplicated/, '... with its detail');
like($err, qr/CONTEXT:.*background worker/s, '... and its context');
like($err, qr/revision "?u2"?/, '... and the revision');
is(value($db, "SELECT count(*) FROM pg_index WHERE NOT indisvalid"), '0', '... and no invalid index stays, which would refuse rows');
is(value($db, "SELECT state, revision, statement, statement_count FROM algo_ref.progress"), 'failed|u2|1|3', '... the cursor is behind the first statement');
fails($db, "SELECT * FROM algo_ref.upgrade()", qr/ERROR:  55000: .*half applied.*HINT:.*algo_ref\.deploy/s, 'the function door leaves a half-applied revision to the deploy door');
fails($db, "CALL algo_ref.revert('base')", qr/ERROR:  55000: .*half applied/, '... and so does the way back');
value($db, "DELETE FROM t");
value($db, "CALL algo_ref.deploy()");
is(value($db, "SELECT count(*) FROM pg_class WHERE relname IN ('x', 'y', 't_v')"), '3', 'the next deploy continues at the failed statement');

# What has run cannot be changed any more, what has not can.
value($db, revision('u3', 'u2', 'CREATE TABLE z (); VACUUM nosuch; CREATE TABLE zz ()', ''));
fails($db, "CALL algo_ref.deploy()", qr/ERROR:  42P01/, 'a statement in the middle fails');
value($db, revision('u3', 'u2', 'CREATE TABLE other (); VACUUM t; CREATE TABLE zz ()', ''));
fails($db, "CALL algo_ref.deploy()", qr/ERROR:  55000: .*changed where it has run/, 'a script must keep what has run of it');
value($db, revision('u3', 'u2', 'CREATE  TABLE z (); VACUUM t; CREATE TABLE zz ()', ''));
value($db, "CALL algo_ref.deploy()");
is(value($db, "SELECT to_regclass('other') IS NULL AND to_regclass('zz') IS NOT NULL"), 't', '... and may change what has not');

# One whose process has gone.
$db = database(
	'gone',
	revision('g1', '', 'CREATE TABLE a ()', 'DROP TABLE a'),
	revision('g2', 'g1', 'CREATE TABLE b (); VACUUM b; SELECT pg_sleep(600)', 'DROP TABLE b'));
my $deploy = IPC::Run::start([ @$psql, '-d', $node->connstr($db), '-c', 'CALL algo_ref.deploy()' ], '<', '/dev/null', '>', \my $gone_out, '2>', \my $gone_err);
wait_until($db, "SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'", 'a deploy is on its way');
is(value($db, "SELECT heads, deploy, deploy_revision, deploy_statement FROM algo_ref.status"), '{g1}|running|g2|2', '... which status shows');
value($db, "SELECT pg_terminate_backend(pid) FROM algo_ref.progress");
$deploy->finish;
is(value($db, "SELECT heads, deploy, deploy_revision, deploy_statement FROM algo_ref.status"), '{g1}|interrupted|g2|2', '... and that it is gone');
value($db, "SELECT algo_ref.edit('g2', upgrade => 'CREATE TABLE b (); VACUUM b; SELECT 1'); ");
value($db, "CALL algo_ref.deploy()");
is(value($db, "SELECT string_agg(revision || ' ' || outcome, ',' ORDER BY id) FROM algo_ref.log"), 'g1 done,g2 interrupted,g2 done', '... the next one finishes it');

# Somebody else's invalid index.
$db = database(
	'invalid',
	revision('i1', '', 'CREATE TABLE t (v int); INSERT INTO t VALUES (1), (1)', 'DROP TABLE t'),
	revision('i2', 'i1', 'CREATE INDEX CONCURRENTLY IF NOT EXISTS t_v ON t (v)', 'DROP INDEX t_v'));
value($db, "CALL algo_ref.deploy('i1')");
$node->psql($db, "CREATE UNIQUE INDEX CONCURRENTLY t_v ON t (v)");
fails($db, "CALL algo_ref.deploy()", qr/ERROR:  55000: index "t_v" exists and is invalid/, 'an invalid index of somebody else is named');
is(value($db, "SELECT count(*) FROM pg_index WHERE NOT indisvalid"), '1', '... and left alone');

# ---------------------------------------------------------------------------
# Whose rights a worker has.
# ---------------------------------------------------------------------------
$db = database('rights');
value($db, <<'SQL');
CREATE ROLE regress_algo_ref_owner NOLOGIN;
CREATE ROLE regress_algo_ref_member LOGIN IN ROLE regress_algo_ref_owner;
CREATE SCHEMA app AUTHORIZATION regress_algo_ref_owner;
CREATE TABLE public.foreign_table (v int);
GRANT USAGE ON SCHEMA algo_ref TO regress_algo_ref_owner;
GRANT SELECT ON ALL TABLES IN SCHEMA algo_ref TO regress_algo_ref_owner;
GRANT EXECUTE ON ALL ROUTINES IN SCHEMA algo_ref TO regress_algo_ref_owner;
SQL
my @member = (extra_params => [ '-U', 'regress_algo_ref_member' ]);
my $as_owner = "SET ROLE regress_algo_ref_owner; SET search_path = app;\n";
($code, $out, $messages) = $node->psql($db,
	$as_owner . revision('p1', '', 'CREATE TABLE t (v int); CREATE INDEX CONCURRENTLY t_v ON t (v)', '')
	  . "CALL algo_ref.deploy();", @member);
unlike($messages, qr/ERROR/, 'a role that may not log in deploys');
is(value($db, "SELECT relowner::regrole FROM pg_class WHERE oid = 'app.t_v'::regclass"), 'regress_algo_ref_owner', '... and owns what its worker makes');
($code, $out, $messages) = $node->psql($db,
	$as_owner . revision('p2', 'p1', 'CREATE INDEX CONCURRENTLY ON public.foreign_table (v)', '')
	  . "CALL algo_ref.deploy();", @member);
like($messages, qr/must be owner of table foreign_table/, 'a worker has no right that its caller lacks');
($code, $out, $messages) = $node->psql($db, "SET search_path = app; CALL algo_ref.deploy();", @member);
unlike($messages, qr/permission denied for (procedure|schema)/, 'a member inherits the right to call');

# ---------------------------------------------------------------------------
# No free worker.
# ---------------------------------------------------------------------------
my $small = PostgreSQL::Test::Cluster->new('small');
$small->init;
$small->append_conf('postgresql.conf', "max_worker_processes = 0\n");
$small->start;
$small->safe_psql('postgres', join("\n", 'CREATE EXTENSION algo_ref;',
	revision('n1', '', 'CREATE TABLE t (v int); CREATE INDEX CONCURRENTLY t_v ON t (v)', '')));
($code, $out, $messages) = $small->psql('postgres', "\\set VERBOSITY verbose\nCALL algo_ref.deploy()");
like($messages, qr/ERROR:  53000: .*\n.*DETAIL:.*\n.*HINT:.*max_worker_processes/, 'no free worker is a clear error');
is($small->safe_psql('postgres', "SELECT state, statement FROM algo_ref.progress"), 'failed|1', '... at a place');
$small->append_conf('postgresql.conf', "max_worker_processes = 4\n");
$small->restart;
$small->safe_psql('postgres', "CALL algo_ref.deploy()");
is($small->safe_psql('postgres', "SELECT count(*) FROM pg_index WHERE indexrelid = 't_v'::regclass AND indisvalid"), '1', '... from which the next deploy continues');
$small->stop;

$node->stop;
done_testing();
