# Bulk inserts, single inserts, deletes and VACUUM at the same time, with keys
# that overlap: none is lost, none is there twice, and who failed did so for a
# reason that INSERT has, too.

use strict;
use warnings FATAL => 'all';

use IPC::Run qw(start finish);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $rounds = $ENV{ALGO_REF_ROUNDS} || 4;
my $seed = $ENV{ALGO_REF_SEED} || 20260101;
note "seed $seed";

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init(extra => [ '--encoding=UTF8', '--locale=C.UTF-8' ]);
$node->append_conf('postgresql.conf', "autovacuum = off\ndeadlock_timeout = 50ms\nmax_pred_locks_per_transaction = 5000\n");
$node->start;
$node->safe_psql('postgres', q{
	CREATE EXTENSION algo_ref;
	CREATE EXTENSION amcheck;
	CREATE TABLE item (key int PRIMARY KEY, code text COLLATE "C" UNIQUE, kind int, batch bigint NOT NULL);
	CREATE INDEX ON item (kind);
	CREATE INDEX ON item (batch, code);
	CREATE TABLE done (batch bigint PRIMARY KEY, rows bigint);
	CREATE SEQUENCE batches;
	CREATE SEQUENCE keys;

	-- One transaction: so many rows, with keys of which others want some, or,
	-- without a range, with those that come next, which all want to append.
	CREATE PROCEDURE load(rows int, range int, bulk boolean) LANGUAGE plpgsql AS $$
	DECLARE
		batch bigint := nextval('batches');
		query text := format('SELECT key, ''code '' || CASE WHEN %4$s THEN lpad(key::text, 32, ''0'') ELSE md5(key::text) END AS code,
			key %% 7 AS kind, %1$s::bigint AS batch
			FROM (SELECT DISTINCT CASE WHEN %4$s THEN nextval(''keys'') ELSE floor(random() * %2$s) END::int AS key FROM generate_series(1, %3$s)) AS keys
			WHERE NOT EXISTS (SELECT 1 FROM item WHERE item.key = keys.key) ORDER BY random()', batch, range, rows, (range = 0)::text);
		inserted bigint;
	BEGIN
		IF bulk THEN
			inserted := algo_ref.bulk_insert_query('item', query);
		ELSE
			EXECUTE 'INSERT INTO item (key, code, kind, batch) ' || query;
			GET DIAGNOSTICS inserted = ROW_COUNT;
		END IF;
		INSERT INTO done VALUES (batch, inserted);
		-- hold it for a while
		PERFORM pg_sleep(0.005);
	END $$;
});

my %failed;
my $files = 0;

# Several sessions at once, each with the same commands again and again.
sub run_sessions
{
	my ($isolation, @commands) = @_;
	my @runs;

	foreach my $commands (@commands)
	{
		my ($out, $err) = ('', '');
		my $file = $node->basedir . '/session' . ++$files;

		append_to_file($file, "SET default_transaction_isolation = '$isolation';\n$commands");
		# from a file: what is fed by us would wait for us
		my $run = start([ 'psql', '-XAtq', '-v', 'VERBOSITY=sqlstate', '-d', $node->connstr('postgres'), '-f', $file ],
			'<', \undef, '>', \$out, '2>', \$err);
		push @runs, { run => $run, err => \$err };
	}
	foreach my $session (@runs)
	{
		ok(finish($session->{run}), "$isolation: a session goes on to its end");
		$failed{$1}++ while ${ $session->{err} } =~ /^(?:psql:.*?)?(?:ERROR|FATAL|PANIC):  (.*)$/mg;
	}
	return;
}

sub check
{
	my ($name) = @_;

	is($node->safe_psql('postgres', q{
		SELECT count(*) FROM pg_index, bt_index_parent_check(indexrelid, true, true) WHERE indrelid = 'item'::regclass}),
		4, "$name: the indexes are whole");
	is($node->safe_psql('postgres', "SELECT count(*) FROM verify_heapam('item')"), 0, "$name: the table is");
	is($node->safe_psql('postgres', q{
		SET enable_indexscan = off; SET enable_indexonlyscan = off; SET enable_bitmapscan = off;
		SELECT count(*) - count(DISTINCT key) FROM item}), 0, "$name: no key is there twice");
	is($node->safe_psql('postgres', q{
		SELECT count(*) FROM (SELECT batch, count(*) AS rows FROM item GROUP BY batch) AS found FULL JOIN done USING (batch)
		WHERE coalesce(found.rows, 0) <> coalesce(done.rows, -1)}), 0, "$name: each batch is whole or not there");
	return;
}

my $bulk = sub { join '', map { "CALL load($_[0], $_[1], true);\n" } 1 .. 10 * $rounds };
my $plain = sub { join '', map { "CALL load($_[0], $_[1], false);\n" } 1 .. 10 * $rounds };
my $remove = "DO \$\$ DECLARE b bigint; BEGIN SELECT batch INTO b FROM done ORDER BY random() LIMIT 1;
	DELETE FROM done WHERE batch = b; DELETE FROM item WHERE batch = b; END \$\$;\n" x (10 * $rounds);
my $vacuum = "VACUUM item;\n" x (5 * $rounds);
my $read = "SET enable_seqscan = off;\n" . "SELECT count(*) FROM item WHERE key > 0;\n" x (10 * $rounds);

foreach my $isolation ('read committed', 'serializable')
{
	# all at the right end of the indexes
	run_sessions($isolation, $bulk->(250, 0), $bulk->(120, 0), $bulk->(50, 0), $plain->(20, 0), $vacuum, $read);
	check("$isolation, one behind the other");
	$node->safe_psql('postgres', 'TRUNCATE item, done');
	# many rows that seldom meet, then few that mostly do
	run_sessions($isolation, $bulk->(600, 20000), $bulk->(600, 20000), $plain->(100, 20000), $remove, $vacuum, $read);
	check("$isolation, far apart");
	run_sessions($isolation, (map { $bulk->(30, 300) } 1 .. 6), (map { $plain->(30, 300) } 1 .. 2), $remove, $vacuum);
	check("$isolation, close together");
	$node->safe_psql('postgres', 'TRUNCATE item, done');
}
note "$failed{$_} times $_" foreach sort keys %failed;
ok($failed{'23505'}, 'there were conflicts');
ok($failed{'40001'}, 'and failures to serialize');
is_deeply([ grep { !/^(23505|40001|40P01)$/ } keys %failed ], [], 'and nothing else');
$node->stop;

done_testing();
