# On a hot standby everything that reads works, and what would write says so.

use strict;
use warnings FATAL => 'all';

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $primary = PostgreSQL::Test::Cluster->new('primary');
$primary->init(allows_streaming => 1);
$primary->start;
$primary->safe_psql('postgres', q{
	CREATE EXTENSION algo_ref;
	SELECT algo_ref.revision('one', 'CREATE TABLE one (id int)', 'DROP TABLE one', id => 'aaaa01', revises => '{}');
	SELECT algo_ref.revision('two', 'CREATE TABLE two (id int)', 'DROP TABLE two', id => 'aaaa02', revises => '{aaaa01}', branch_labels => '{main}');
	SELECT count(*) FROM algo_ref.upgrade('aaaa01');
});
$primary->backup('backup');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'backup', has_streaming => 1);
$standby->start;
$primary->wait_for_catchup($standby, 'replay', $primary->lsn('insert'));

sub answers
{
	my ($query, $answer, $name) = @_;
	my ($status, $out, $err) = $standby->psql('postgres', $query);

	is($status, 0, "$name answers") or diag $err;
	is($out, $answer, "$name is right");
	return;
}

sub refuses
{
	my ($query, $name) = @_;
	my ($status, $out, $err) = $standby->psql('postgres', "\\set VERBOSITY verbose\n$query");

	like($err, qr/ERROR:  25006: cannot execute algo_ref\.\w+\(\) /, "$name is refused");
	return;
}

answers('SELECT revision, is_head FROM algo_ref.current()', 'aaaa01|f', 'current()');
answers('SELECT schema, heads, behind, at_head, last_revision FROM algo_ref.status', 'public|{aaaa01}|1|f|aaaa01', 'status');
answers('SELECT revision, is_current FROM algo_ref.history()', "aaaa02|f\naaaa01|t", 'history()');
answers("SELECT ordinal, revision, heads_after FROM algo_ref.plan('head')", '1|aaaa02|{aaaa02}', 'plan()');
answers('SELECT revision FROM algo_ref.heads()', 'aaaa02', 'heads()');
answers('SELECT revision FROM algo_ref.bases()', 'aaaa01', 'bases()');
answers('SELECT revision FROM algo_ref.branches()', '', 'branches()');
answers("SELECT algo_ref.resolve('main')", 'aaaa02', 'resolve()');
answers("SELECT downgrade FROM algo_ref.show('aaaa01')", 'DROP TABLE one', 'show()');
answers('SELECT algo_ref.graph()', "* aaaa02 (head) [main] two\n* aaaa01 (current) one", 'graph()');
answers("SELECT length(algo_ref.plan_checksum('head'))", '64', 'plan_checksum()');
answers("SELECT count(*) FROM algo_ref.script('base:heads')", '2', 'script()');
answers("SELECT count(*) FROM algo_ref.upgrade('aaaa01')", '0', 'an upgrade to where it stands');
answers("SELECT count(*) FROM algo_ref.log", '1', 'the log');
answers("SELECT count(*) FROM algo_ref.connection WHERE pid = pg_backend_pid() AND state = 'active'", '1', 'connection');
answers("SELECT sum(connections) = (SELECT used FROM algo_ref.connection_limits() WHERE name = 'max_connections') FROM algo_ref.pool_status()", 't', 'pool_status()');
answers("SELECT count(*) FROM algo_ref.n1_report()", '0', 'n1_report()');
answers("SELECT algo_ref.n1_reset()", '0', 'n1_reset()');
answers("SELECT algo_ref.pool_status('text') LIKE 'Pool size: %'", 't', 'pool_status(text)');
answers("SELECT bool_and(fits) FROM algo_ref.connection_budget(1, 0)", 't', 'connection_budget()');
answers("SELECT count(*) FROM algo_ref.pool_dispose('no such application')", '0', 'pool_dispose()');
answers("SELECT count(*) FROM algo_ref.index_advice()", '0', 'index_advice()');
answers("CALL algo_ref.transaction('SELECT * FROM one', 'repeatable read')", '1|0', 'transaction()');

refuses("SELECT * FROM algo_ref.upgrade('head')", 'an upgrade with work to do');
refuses("SELECT * FROM algo_ref.downgrade('base')", 'a downgrade');
refuses("SELECT * FROM algo_ref.stamp('head')", 'a stamp');
refuses("SELECT algo_ref.revision('x')", 'registering');
refuses("SELECT algo_ref.merge()", 'merging');
refuses("SELECT algo_ref.edit('aaaa01', message => 'x')", 'editing');
refuses("SELECT algo_ref.approve('aaaa01')", 'approving');
refuses("SELECT algo_ref.delete_revision('aaaa02')", 'deleting');
refuses("SELECT algo_ref.add_hook('after_run', 'jsonb_typeof(jsonb)')", 'adding a hook');

$primary->safe_psql('postgres', "SELECT count(*) FROM algo_ref.upgrade('head')");
$primary->wait_for_catchup($standby, 'replay', $primary->lsn('insert'));
answers("SELECT count(*) FROM algo_ref.upgrade('head')", '0', 'an upgrade with nothing to do');
answers("SELECT count(*) FROM algo_ref.upgrade()", '0', 'an upgrade by default');

# a standby that becomes a primary goes on
$standby->promote;
$standby->poll_query_until('postgres', 'SELECT NOT pg_is_in_recovery()');
answers("SELECT revision FROM algo_ref.downgrade('-1')", 'aaaa02', 'a downgrade after promotion');
$standby->stop;
$primary->stop;
done_testing();
