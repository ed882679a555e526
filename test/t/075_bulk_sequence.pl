# Values of sequences in blocks: several sessions take them from one sequence,
# the server dies, and a standby replays.

use strict;
use warnings FATAL => 'all';

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $primary = PostgreSQL::Test::Cluster->new('primary');
$primary->init(allows_streaming => 1);
$primary->append_conf('postgresql.conf', "wal_consistency_checking = 'sequence'\nautovacuum = off\n");
$primary->start;
$primary->safe_psql('postgres', <<'SQL');
CREATE EXTENSION algo_ref;
CREATE TABLE items (id bigint GENERATED ALWAYS AS IDENTITY, who int);
SQL
$primary->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'base', has_streaming => 1);
$standby->start;

# in turn, in every order, with rows by rows between them
my $folder = $primary->basedir;
sub script
{
	my ($name, $text) = @_;

	PostgreSQL::Test::Utils::append_to_file("$folder/$name", $text);
	return ('-f', "$folder/$name");
}
my @scripts = (
	script('bulk', <<'SQL'),
\set n random(1, 3000)
SELECT algo_ref.bulk_insert_query('items', 'SELECT :client_id AS who FROM generate_series(1, :n)');
SQL
	script('plain', <<'SQL'),
\set n random(1, 20)
INSERT INTO items (who) SELECT :client_id FROM generate_series(1, :n);
SQL
	# values that no row keeps
	script('failing', <<'SQL'),
\set n random(2, 3000)
DO $$
BEGIN
  PERFORM algo_ref.bulk_insert_query('items', format('SELECT 1 / (%s - g) AS who FROM generate_series(1, %s) g', :n, :n));
EXCEPTION WHEN division_by_zero THEN
END $$;
SQL
	# currval() is one of the rows' own
	script('told', <<'SQL'));
\set n random(1, 300)
BEGIN;
SELECT algo_ref.bulk_insert_query('items', 'SELECT 100 + :client_id AS who FROM generate_series(1, :n)');
SELECT 1 / count(*) FROM items WHERE id = currval('items_id_seq') AND who = 100 + :client_id;
END;
SQL
my ($out, $err);
IPC::Run::run([ 'pgbench', '-n', '-c', 4, '-j', 2, '-t', 60, @scripts, $primary->connstr('postgres') ],
	'>', \$out, '2>', \$err);
like($out, qr{number of transactions actually processed: 240/240}, 'all sessions go through');
unlike($err, qr/ERROR/, 'without an error');
is($primary->safe_psql('postgres', 'SELECT count(*) - count(DISTINCT id) FROM items'), '0', 'no value twice');
is($primary->safe_psql('postgres', "SELECT (SELECT last_value FROM items_id_seq) >= max(id) FROM items"), 't', 'the sequence is behind none');

$primary->wait_for_catchup($standby);
my $position = "SELECT last_value FROM items_id_seq";
cmp_ok($standby->safe_psql('postgres', $position), '>=', $primary->safe_psql('postgres', 'SELECT max(id) FROM items'), 'the standby has it');

# alone, the standby's is the same: nothing is taken beyond
$primary->safe_psql('postgres', "SELECT algo_ref.bulk_insert_query('items', 'SELECT 1 AS who FROM generate_series(1, 5000)')");
$primary->wait_for_catchup($standby);
is($standby->safe_psql('postgres', $position), $primary->safe_psql('postgres', $position), 'where the primary has it');
is($primary->safe_psql('postgres', $position), $primary->safe_psql('postgres', 'SELECT max(id) FROM items'), 'at the last row');

# the server dies with rows committed
for my $round (1 .. 5)
{
	$primary->safe_psql('postgres', "SELECT algo_ref.bulk_insert_query('items', 'SELECT 1 AS who FROM generate_series(1, 1700)')");
	my $most = $primary->safe_psql('postgres', 'SELECT max(id) FROM items');
	$primary->stop('immediate');
	$primary->start;
	cmp_ok($primary->safe_psql('postgres', "SELECT nextval('items_id_seq')"), '>', $most, "no value comes again after crash $round");
}
$standby->stop;
$primary->stop;
done_testing();
