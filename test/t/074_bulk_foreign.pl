# Bulk insert into a table that is partitioned over two other servers: rows go
# there in batches, and errors leave nothing on any of them.

use strict;
use warnings FATAL => 'all';

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my @remotes;
foreach my $name ('east', 'west')
{
	my $node = PostgreSQL::Test::Cluster->new($name);

	$node->init;
	$node->append_conf('postgresql.conf', "autovacuum = off\nlog_statement = all\n");
	$node->start;
	$node->safe_psql('postgres', 'CREATE TABLE orders (id int PRIMARY KEY, region text NOT NULL, amount numeric(10,2) CHECK (amount >= 0), note text DEFAULT \'remote\')');
	push @remotes, $node;
}
my $node = PostgreSQL::Test::Cluster->new('local');
$node->init;
$node->append_conf('postgresql.conf', "autovacuum = off\n");
$node->start;
$node->safe_psql('postgres', <<'SQL');
CREATE EXTENSION algo_ref;
CREATE EXTENSION postgres_fdw;
CREATE TABLE orders (id int, region text NOT NULL, amount numeric(10,2), note text DEFAULT 'local') PARTITION BY LIST (region);
CREATE TABLE orders_home PARTITION OF orders FOR VALUES IN ('home');
SQL
foreach my $remote (@remotes)
{
	my ($name, $host, $port) = ($remote->name, $remote->host, $remote->port);

	$node->safe_psql('postgres', <<"SQL");
CREATE SERVER $name FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '$host', port '$port', dbname 'postgres', batch_size '100');
CREATE USER MAPPING FOR CURRENT_USER SERVER $name;
CREATE FOREIGN TABLE orders_$name PARTITION OF orders FOR VALUES IN ('$name') SERVER $name OPTIONS (table_name 'orders');
SQL
}

is($node->safe_psql('postgres', "SELECT way FROM algo_ref.bulk_explain('orders')"), 'executor', 'foreign partitions are the executor\'s');
is( $node->safe_psql('postgres', <<'SQL'), 3000, 'rows of all regions');
SELECT algo_ref.bulk_insert('orders', (SELECT json_agg(json_build_object('id', i, 'region', (ARRAY['east', 'west', 'home'])[i % 3 + 1], 'amount', i / 10.0)) FROM generate_series(1, 3000) i)::text);
SQL
foreach my $remote (@remotes)
{
	my $log = slurp_file($remote->logfile);
	my $inserts = () = $log =~ /execute .*INSERT INTO public\.orders/g;
	is($remote->safe_psql('postgres', "SELECT count(*), count(DISTINCT region), min(note) FROM orders"), '1000|1|local', 'rows on ' . $remote->name);
	is($inserts, 10, '... in batches of 100');
}
is($node->safe_psql('postgres', 'SELECT count(*), sum(amount), max(id) FROM orders'), '3000|450150.00|3000', 'all rows seen from here');

# a whole foreign table
is($node->safe_psql('postgres', q{SELECT algo_ref.bulk_insert_query('orders_west', 'SELECT i AS id, ''west'' AS region FROM generate_series(5001, 5250) i')}), 250, 'a foreign table by itself');
is($node->safe_psql('postgres', q{SELECT id, note FROM algo_ref.bulk_insert_returning(NULL::orders, '[{"id": 6000, "region": "east"}, {"id": 6001, "region": "home", "note": null}]') ORDER BY id}), "6000|local\n6001|", 'rows back from there');

# errors of the other side
my ($code, $out, $err) = $node->psql('postgres', q{SELECT algo_ref.bulk_insert('orders', '[{"id": 7000, "region": "home"}, {"id": 7001, "region": "east"}, {"id": 7002, "region": "west", "amount": -1}]')});
like($err, qr/violates check constraint "orders_amount_check"/, 'the other side refuses');
is($node->safe_psql('postgres', 'SELECT count(*) FROM orders WHERE id >= 7000'), 0, '... and nothing stays on any');
is($remotes[0]->safe_psql('postgres', 'SELECT count(*) FROM orders WHERE id >= 7000'), 0, '... as the first says itself');
is( $node->safe_psql('postgres', q{SET client_min_messages = warning; SELECT algo_ref.bulk_insert('orders', '[{"id": 7000, "region": "home"}, {"id": 7001, "region": "east"}, {"id": 7002, "region": "west", "amount": -1}, {"id": 7003, "region": "west"}]', on_error => 'skip')}),
	3, 'the good rows, if asked');
is($node->safe_psql('postgres', q{SELECT string_agg(id || region, ' ' ORDER BY id) FROM orders WHERE id >= 7000}), '7000home 7001east 7003west', '... are there');

$_->stop foreach $node, @remotes;
done_testing();
