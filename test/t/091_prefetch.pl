# Prefetch from outside: how many statements it takes, that it can be stopped
# in the middle and leaves nothing behind, and that prepared calls see changed
# tables.

use strict;
use warnings FATAL => 'all';

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init(extra => [ '--encoding=UTF8', '--locale=C' ]);
$node->append_conf('postgresql.conf', "autovacuum = off\nfsync = off\nshared_preload_libraries = 'pg_stat_statements'\npg_stat_statements.track = all\n");
$node->start;
$node->safe_psql('postgres', <<'SQL');
CREATE EXTENSION algo_ref;
CREATE EXTENSION pg_stat_statements;
CREATE TABLE users (id int PRIMARY KEY, name text);
CREATE TABLE posts (id int PRIMARY KEY, user_id int REFERENCES users, title text);
CREATE TABLE comments (id int PRIMARY KEY, post_id int REFERENCES posts, body text);
CREATE TABLE tags (id int PRIMARY KEY, name text);
CREATE TABLE post_tags (post_id int REFERENCES posts, tag_id int REFERENCES tags, PRIMARY KEY (post_id, tag_id));
INSERT INTO users SELECT g, 'user ' || g FROM generate_series(1, 20000) g;
INSERT INTO posts SELECT g, g % 20000 + 1, 'post ' || g FROM generate_series(1, 60000) g;
INSERT INTO comments SELECT g, g % 60000 + 1, 'comment ' || g FROM generate_series(1, 120000) g;
INSERT INTO tags SELECT g, 'tag ' || g FROM generate_series(1, 50) g;
INSERT INTO post_tags SELECT g, g % 50 + 1 FROM generate_series(1, 60000) g;
CREATE INDEX ON posts (user_id);
CREATE INDEX ON comments (post_id);
VACUUM ANALYZE;
SQL

sub value { return $node->safe_psql('postgres', $_[0]) }

# Executions for one call, by the table that is read.
sub executions
{
	my ($parents) = @_;
	value('SELECT pg_stat_statements_reset()');
	is(value("SELECT count(*) FROM algo_ref.prefetch('SELECT id FROM users ORDER BY id LIMIT $parents', 'posts(id).comments(id)', 'posts.tags(name)', 'posts.count()')"),
		$parents, "$parents parents come back");
	return value(q{SELECT string_agg(t || ' ' || n, ', ' ORDER BY t) FROM (
SELECT CASE WHEN query ~ 'count' THEN 'counts' ELSE substring(query, 'public\\.(\\w+)') END, sum(calls) FROM pg_stat_statements
WHERE query ~ 'public\\.' AND query !~ 'algo_ref' GROUP BY 1) AS s (t, n)});
}

# each relationship is read once for a batch, an association table as well
my $once = 'comments 1, counts 1, post_tags 1, posts 1, tags 1';
is(executions($_), $once, "$_: one batch, one statement for each relationship") foreach (1, 10, 64);
foreach my $parents (1000, 10000, 20000)
{
	my $all = executions($parents);
	my ($batches) = $all =~ /posts (\d+),/;
	is($all, $once =~ s/ 1\b/ $batches/gr, "$parents: and as many for each of more batches");
	cmp_ok($batches, '<=', 10, "$parents: which are few");
}

# stopped in the middle, in a transaction that goes on
my $slow = q{SELECT count(*) FROM algo_ref.prefetch('SELECT id FROM users WHERE id < 200 AND (id <> 150 OR pg_sleep(60) IS NULL) ORDER BY id', 'posts.comments')};
my ($status, $out, $err) = $node->psql('postgres', <<"SQL", on_error_stop => 0);
\\set VERBOSITY sqlstate
BEGIN;
SAVEPOINT s;
SET LOCAL statement_timeout = '300ms';
$slow;
ROLLBACK TO s;
SELECT count(*) FROM algo_ref.prefetch('SELECT id FROM users WHERE id < 10', 'posts.comments');
DECLARE c CURSOR FOR SELECT algo_ref.prefetch('SELECT id FROM users ORDER BY id', 'posts(id)');
FETCH 2 FROM c;
CLOSE c;
SELECT count(*) FROM pg_cursors;
COMMIT;
DO \$\$
BEGIN
  FOR i IN 1 .. 3 LOOP
    BEGIN
      PERFORM * FROM algo_ref.prefetch('SELECT id, 1 / (id - 150) AS x FROM users ORDER BY id', 'posts.comments');
    EXCEPTION WHEN division_by_zero THEN
      RAISE NOTICE 'caught';
    END;
  END LOOP;
END \$\$;
SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid() AND relation IN ('users'::regclass, 'posts'::regclass);
SELECT count(*) FROM algo_ref.prefetch('SELECT id FROM users WHERE id < 10', 'posts.comments');
SQL
is($out, "9\n" . qq({"id":1,"posts":[{"id":20000},{"id":40000},{"id":60000}]}\n{"id":2,"posts":[{"id":1},{"id":20001},{"id":40001}]}\n) . "0\n0\n9",
	'a timeout, a closed cursor and an error leave nothing behind');
like($err, qr/57014.*NOTICE.*NOTICE.*NOTICE/s, 'and are seen');
unlike($err, qr/WARNING/, 'without a leak');

# many calls with other texts and paths keep the memory of plans bounded
is(value(q{DO $$
BEGIN
  FOR i IN 1 .. 600 LOOP
    PERFORM count(*) FROM algo_ref.prefetch('SELECT id FROM users WHERE id < ' || i % 300, 'p' || i || ':posts(id)');
  END LOOP;
END $$;
SELECT sum(total_bytes) < 30000000 FROM pg_backend_memory_contexts WHERE name LIKE 'algo_ref prefetch%' OR name LIKE 'CachedPlan%'}), 't', 'plans of other calls go');

# Before 18, the two columns of a foreign key may have collations that call
# different values equal: the one of what it refers to counts.
SKIP:
{
	skip 'such foreign keys are refused', 1 if value('SHOW server_version_num') >= 180000;
	skip 'no ICU', 1 unless value("SELECT count(*) FROM pg_collation WHERE collprovider = 'i'");
	is($node->safe_psql('postgres', <<'SQL'), <<'OUT' =~ s/\n\z//r, 'keys are compared by the collation of what they refer to');
CREATE COLLATION blind (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE TABLE country (code text COLLATE blind PRIMARY KEY);
CREATE TABLE city (id int PRIMARY KEY, country_code text COLLATE "C" REFERENCES country);
INSERT INTO country VALUES ('AT'), ('CH');
INSERT INTO city VALUES (1, 'at'), (2, 'AT'), (3, 'aT'), (4, 'ch');
SELECT algo_ref.prefetch('SELECT code FROM country ORDER BY code', 'city(id)', 'city.count()');
SELECT algo_ref.prefetch('SELECT id FROM city ORDER BY id', 'land:country_code(code)');
SQL
{"code":"AT","city":[{"id":1},{"id":2},{"id":3}],"city_count":3}
{"code":"CH","city":[{"id":4}],"city_count":1}
{"id":1,"land":{"code":"AT"}}
{"id":2,"land":{"code":"AT"}}
{"id":3,"land":{"code":"AT"}}
{"id":4,"land":{"code":"CH"}}
OUT
}

# From 18 on, a foreign key may say that a time is contained in others.
SKIP:
{
	skip 'no PERIOD', 1 if value('SHOW server_version_num') < 180000;
	is($node->safe_psql('postgres', <<'SQL'), 'note', 'a foreign key with a PERIOD is no relationship');
CREATE TABLE room (id int4range, open daterange, PRIMARY KEY (id, open WITHOUT OVERLAPS));
CREATE TABLE booking (id int PRIMARY KEY, room int4range, days daterange, FOREIGN KEY (room, PERIOD days) REFERENCES room (id, PERIOD open));
CREATE TABLE note (id int PRIMARY KEY, booking_id int REFERENCES booking);
SELECT name FROM algo_ref.relationship WHERE source IN ('room'::regclass, 'booking'::regclass);
SQL
}

$node->stop;
done_testing();
