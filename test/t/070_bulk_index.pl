# What bulk inserts write to indexes is what the server would: checked by
# amcheck, by a standby that compares each page with its own, and after crashes
# in the middle of a load.

use strict;
use warnings FATAL => 'all';

use IPC::Run qw(start finish);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time usleep);

my $rounds = $ENV{ALGO_REF_ROUNDS} || 4;
my $seed = $ENV{ALGO_REF_SEED} || 20260101;
srand($seed);
note "seed $seed";

my $primary = PostgreSQL::Test::Cluster->new('primary');
$primary->init(allows_streaming => 1, extra => [ '--encoding=UTF8', '--locale=C.UTF-8' ]);
$primary->append_conf('postgresql.conf', q{
restart_after_crash = on
autovacuum = off
wal_consistency_checking = 'btree, generic'
max_wal_size = 1GB
fsync = off
wal_keep_size = 8GB
});
$primary->start;
$primary->safe_psql('postgres', q{
	CREATE EXTENSION algo_ref;
	CREATE EXTENSION amcheck;
	CREATE EXTENSION pageinspect;

	-- Keys that come in order, at random, again and again, and not at all.
	CREATE TABLE item (
		id bigint PRIMARY KEY,
		code text COLLATE "C" UNIQUE,
		name text,
		kind int,
		price numeric(12,2),
		at timestamptz,
		token uuid,
		weight float8,
		flag boolean
	);
	CREATE INDEX ON item (at);
	CREATE INDEX ON item (code, at);
	CREATE INDEX ON item (kind);
	CREATE INDEX ON item (kind) WITH (deduplicate_items = off);
	CREATE INDEX ON item (name DESC, kind, id DESC NULLS LAST);
	CREATE INDEX ON item (price NULLS FIRST) INCLUDE (name);
	CREATE INDEX ON item (weight DESC, flag);
	CREATE UNIQUE INDEX ON item (token DESC NULLS LAST);
	CREATE UNIQUE INDEX ON item (lower(code)) WHERE flag;
	CREATE INDEX ON item (repeat(coalesce(name, ''), 40)) WITH (fillfactor = 50);
	-- these grow at their right end, each new leaf by one split
	CREATE UNIQUE INDEX ON item (id, code) INCLUDE (kind);
	CREATE UNIQUE INDEX ON item (lpad(id::text, 12, '0'), code) WITH (fillfactor = 50);
	CREATE UNIQUE INDEX ON item (lpad((id / 3)::text, 400, 'x'), id, code);
	ALTER TABLE item ADD UNIQUE (kind, id) DEFERRABLE INITIALLY DEFERRED;
	CREATE INDEX ON item USING hash (name);
	CREATE INDEX ON item USING gist (point(kind, id));

	CREATE FUNCTION items(first bigint, rows int, seed int) RETURNS text LANGUAGE sql AS $$
		SELECT format($f$SELECT i AS id, 'code ' || md5((i + %3$s)::text) || i AS code,
			CASE WHEN i %% 13 <> 0 THEN 'name ' || i * %3$s %% 1000 END AS name, (i %% 50)::int AS kind,
			CASE WHEN i %% 17 <> 0 THEN (i * 31 %% 100003) / 100.0 END AS price,
			timestamptz '2020-01-01' + i * 7919 %% 100000 * interval '1 min' AS at,
			CASE WHEN i %% 7 <> 0 THEN md5(i::text)::uuid END AS token,
			CASE WHEN i %% 11 <> 0 THEN (i * 13 %% 1009 - 500) / 7.0 END AS weight, i %% 3 = 0 AS flag
			FROM generate_series(%1$s::bigint, %1$s + %2$s - 1) AS i ORDER BY hashint8(i + %3$s)$f$, first, rows, seed)
	$$;
	CREATE FUNCTION load(first bigint, rows int, seed int) RETURNS bigint LANGUAGE sql AS
		'SELECT algo_ref.bulk_insert_query(''item'', items(first, rows, seed))';

	-- Rows for a vacuum to remove, which have to be older than what the standby holds back.
	CREATE TABLE marked (key text COLLATE "C");
	CREATE FUNCTION key(n int) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT lpad(n::text, 200, '0') $$;
	INSERT INTO marked SELECT key(n * 1000) FROM generate_series(1, 1000) AS n;
	CREATE INDEX ON marked (key);
	DELETE FROM marked WHERE key > key(990000);

	-- The number of btree indexes that were checked.
	CREATE FUNCTION check_indexes(thoroughly boolean) RETURNS bigint LANGUAGE plpgsql AS $$
	DECLARE
		index regclass;
		checked bigint := 0;
	BEGIN
		FOR index IN SELECT indexrelid FROM pg_index JOIN pg_class AS c ON c.oid = indexrelid
			WHERE indrelid = 'item'::regclass AND relam = (SELECT oid FROM pg_am WHERE amname = 'btree')
		LOOP
			IF thoroughly THEN
				PERFORM bt_index_parent_check(index, true, true);
			ELSE
				PERFORM bt_index_check(index, true);
			END IF;
			checked := checked + 1;
		END LOOP;
		RETURN checked;
	END $$;
});
$primary->backup('backup');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'backup', has_streaming => 1);
$standby->append_conf('postgresql.conf', 'hot_standby_feedback = on');
$standby->start;

my $next = 1;

sub wait_for
{
	my ($condition) = @_;

	for (1 .. 1800)
	{
		return if $condition->();
		usleep(100_000);
	}
	die 'it does not come';
}

# Of a process that nobody has waited for yet, a name is left.
sub is_alive
{
	my ($pid) = @_;

	my $stat = eval { slurp_file("/proc/$pid/stat") };
	return defined $stat && $stat !~ /\) Z /;
}

sub load
{
	my ($rows, $settings) = @_;
	my $loaded = $primary->safe_psql('postgres', "$settings; SELECT load($next, $rows, " . int(rand(1000)) . ')');

	$next += $rows;
	return $loaded;
}

sub indexes_are_right
{
	my ($name) = @_;

	is($primary->safe_psql('postgres', 'SELECT check_indexes(true)'), 16, "$name: the indexes are whole");
	is($primary->safe_psql('postgres', "SELECT count(*) FROM verify_heapam('item')"), 0, "$name: the table is");
	return;
}

sub standby_is_right
{
	my ($name) = @_;

	$primary->wait_for_catchup($standby, 'replay', $primary->lsn('insert'));
	is($standby->safe_psql('postgres', 'SELECT check_indexes(false)'), 16, "$name: the standby's are whole");
	is($standby->safe_psql('postgres', 'SELECT count(*) FROM item'),
		$primary->safe_psql('postgres', 'SELECT count(*) FROM item'), "$name: and the table");
	return;
}

my $small = "SET maintenance_work_mem = '1MB'";
is(load(3000, 'SELECT'), 3000, 'into nothing');
is(load(6000, $small), 6000, 'in several runs');
is(load($_, 'SELECT'), $_, "$_ rows into many") foreach 1, 20, 300;
is(load(3000, 'ALTER TABLE item SET UNLOGGED; ALTER TABLE item SET LOGGED'), 3000, 'into indexes built anew');
is(load(2000, 'SET algo_ref.bulk_leaf_runs = off'), 2000, 'without leaf runs');
indexes_are_right('loads');
standby_is_right('loads');

$primary->safe_psql('postgres', 'DELETE FROM item WHERE id % 5 <> 0 OR kind = 5; VACUUM item; DELETE FROM item WHERE id % 25 = 0');
is(load(4000, $small), 4000, 'after a vacuum');
$next -= 6000;
$primary->safe_psql('postgres', "DELETE FROM item WHERE id >= $next");
is(load(6000, $small), 6000, 'the same keys again');
indexes_are_right('dead entries');
standby_is_right('dead entries');

# a leaf behind the last is logged once: the one before it is known to recovery
my $appended = $primary->safe_psql('postgres', q{
	CREATE TABLE rising (id bigint PRIMARY KEY);
	SET wal_consistency_checking = '';
	SELECT algo_ref.bulk_insert_query('rising', 'SELECT generate_series(1, 2000)::bigint AS id');
	EXPLAIN (ANALYZE, WAL, COSTS OFF, TIMING OFF, SUMMARY OFF)
		SELECT algo_ref.bulk_insert_query('rising', 'SELECT generate_series(2001, 22000)::bigint AS id')});
my ($images) = $appended =~ /fpi=(\d+)/;
cmp_ok($images // 0, '<', 10, 'whole pages of 54 leaves in the log');

# a page that is split while its right sibling has a vacuum's mark gets a mark, of
# which nothing is logged; the vacuum waits for a cursor in front of the fourth
# leaf, and the second is split meanwhile
my $vacuum = start([ 'psql', '-XAtq', '-d', $primary->connstr('postgres'), '-c', q{
	DO $$ BEGIN
		FOR n IN 1 .. 1800 LOOP
			EXIT WHEN EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory');
			PERFORM pg_sleep(0.1);
		END LOOP;
	END $$},
		'-c', 'VACUUM (INDEX_CLEANUP ON) marked' ], '<', \undef);
$primary->safe_psql('postgres', q{
	SET enable_seqscan = off;
	SET enable_bitmapscan = off;
	BEGIN;
	DECLARE reader CURSOR FOR SELECT key FROM marked ORDER BY key;
	MOVE 120 FROM reader;
	SELECT pg_advisory_lock(70);
	DO $$ BEGIN
		FOR n IN 1 .. 1800 LOOP
			EXIT WHEN EXISTS (SELECT FROM pg_stat_activity WHERE wait_event = 'BufferPin');
			PERFORM pg_sleep(0.1);
			PERFORM pg_stat_clear_snapshot();
		END LOOP;
	END $$;
	INSERT INTO marked SELECT key(n * 1000 + 500) FROM generate_series(40, 60) AS n;
	COMMIT});
finish($vacuum);
$primary->safe_psql('postgres', 'INSERT INTO marked SELECT key(n * 1000 + 500) FROM generate_series(1, 10) AS n');
is($primary->safe_psql('postgres', q{
	SELECT count(*) > 0 FROM generate_series(1, pg_relation_size('marked_key_idx') / 8192 - 1) AS block,
		bt_page_stats('marked_key_idx', block::int)
	WHERE btpo_flags & 32 <> 0 AND free_size > 3000}), 't', 'a leaf is marked, and has room');
is($primary->safe_psql('postgres', q{
	SELECT algo_ref.bulk_insert_query('marked', 'SELECT key(n * 1000 + 1) AS key FROM generate_series(20, 30) AS n')}), 11,
	'into that leaf');
standby_is_right('a marked leaf');

# what is taken is refused, and every row before it is gone
my $taken = $next - 1 - int(rand(100));
my $rows = $primary->safe_psql('postgres', 'SELECT count(*) FROM item');
foreach my $settings ('SELECT', $small, 'SET algo_ref.bulk_leaf_runs = off')
{
	my ($status, $out, $err) = $primary->psql('postgres', "$settings; SELECT algo_ref.bulk_insert_query('item', 'SELECT * FROM ('
		|| items($next, 3000, 1) || ') AS new UNION ALL SELECT * FROM (' || items($taken, 1, 1) || ') AS taken')");

	like($err, qr/duplicate key value violates unique constraint "item_\w+".*row 3001/s, "a key that is taken ($settings)");
	is($primary->safe_psql('postgres', 'SELECT count(*) FROM item'), $rows, 'nothing is left');
}
my ($status, $out, $err) = $primary->psql('postgres',
	"BEGIN; ALTER TABLE item DROP CONSTRAINT item_pkey; SELECT algo_ref.bulk_insert_query('item',
	'SELECT id, code || id || ''again'' AS code, name, kind FROM item WHERE id % 5 = 0'); SELECT 'loaded'; COMMIT");
like($out, qr/loaded/, 'a deferred constraint lets duplicates in');
like($err, qr/duplicate key value violates unique constraint "item_kind_id_key"/, 'until the end of the transaction');
indexes_are_right('errors');
standby_is_right('errors');

# numbers of rows and sorted parts take no more memory than there is
my @peaks = split(/\n/, $primary->safe_psql('postgres', q{
	CREATE TABLE part (id bigint, value int) PARTITION BY HASH (id);
	DO $$ BEGIN
		FOR n IN 0 .. 15 LOOP
			EXECUTE format('CREATE TABLE part%1$s PARTITION OF part FOR VALUES WITH (MODULUS 16, REMAINDER %1$s)', n);
		END LOOP;
	END $$;
	CREATE INDEX ON part (value);
	CREATE FUNCTION peak() RETURNS text LANGUAGE sql AS
		$$ SELECT substring(pg_read_file('/proc/self/status') FROM 'VmHWM:[[:space:]]*([0-9]+)') $$;
	SET maintenance_work_mem = '1MB';
	DO $$ BEGIN PERFORM algo_ref.bulk_insert_query('part', 'SELECT generate_series(1, 20000)::bigint AS id, 1 AS value'); END $$;
	SELECT peak();
	DO $$ BEGIN PERFORM algo_ref.bulk_insert_query('part', 'SELECT generate_series(20001, 420000)::bigint AS id, 1 AS value'); END $$;
	SELECT peak();
}));
cmp_ok($peaks[1] - $peaks[0], '<', 3 * 1024, 'kilobytes that many rows took beyond those of few');

#
# Crashes in the middle
#

my $rows_of_round = 5000;
my $begun = time;
load($rows_of_round, $small);
my $duration = time - $begun;
my %left;

foreach my $round (1 .. $rounds)
{
	my ($out, $err) = ('', '');
	my $rows = $rows_of_round;
	my $run = start([ 'psql', '-XAtq', '-d', $primary->connstr('postgres'), '-c', "SET application_name = 'victim'; $small",
			'-c', 'SELECT pg_backend_pid()', '-c', "SELECT load($next, $rows, $round)" ],
		'<', \undef, '>', \$out, '2>', \$err);

	$run->pump until $out =~ /^(\d+)\n/;
	my $victim = $1;
	# mostly in the middle, now and then behind the end
	usleep(rand(1_200_000 * $duration));
	if ($round % 2 == 0)
	{
		kill('KILL', $victim);
		wait_for(sub { slurp_file($primary->logfile) =~ /PID $victim\) was terminated/ }) unless eval { finish($run) };
		wait_for(sub { system('pg_isready', '-q', '-d', $primary->connstr('postgres')) == 0 });
	}
	elsif ($round % 4 == 1)
	{
		$primary->stop('immediate');
		eval { finish($run) };
		$primary->start;
	}
	else
	{
		# nobody tells the backends; until the last of them is gone there is no other start
		my @processes = ($primary->{_pid}, split(/\n/, $primary->safe_psql('postgres', 'SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid()')));
		$primary->kill9;
		kill('KILL', $victim);
		eval { finish($run) };
		wait_for(sub { !grep { is_alive($_) } @processes });
		# of the postmaster, too, there may be a name left, which keeps others out
		unlink $primary->data_dir . '/postmaster.pid', $primary->host . '/.s.PGSQL.' . $primary->port . '.lock';
		$primary->start;
	}
	my $left = $primary->safe_psql('postgres', "SELECT count(*) FROM item WHERE id >= $next");
	ok($left == 0 || $left == $rows, "round $round: all or nothing ($left)");
	$left{$left}++;
	$next += $rows;
	is(load(200, 'SELECT'), 200, "round $round: it takes more");
	indexes_are_right("round $round") if $round == $rounds || $round % 10 == 0;
}
note "$left{$_} times $_ rows were left" foreach sort keys %left;
standby_is_right('crashes');
ok(!$standby->log_contains('inconsistent page|PANIC'), 'the standby found no page to differ');
$standby->stop;
$primary->stop;

done_testing();
