# The bank of every tutorial: eight writers at SERIALIZABLE.  Money is neither
# made nor lost, no account is overdrawn, and every transfer is applied once or
# reported.  Then deadlocks, lock timeouts, and an end in the middle of a rest.

use strict;
use warnings FATAL => 'all';

use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $writers = 8;
my $transfers = $ENV{ALGO_REF_ROUNDS} || 40;
my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', "fsync = off\nautovacuum = off\ndeadlock_timeout = 100ms\nmax_connections = 30\n");
$node->start;
$node->safe_psql('postgres', q{
	CREATE EXTENSION algo_ref;
	CREATE TABLE account (id int PRIMARY KEY, balance numeric NOT NULL);
	CREATE TABLE transfer (id int, giver int, taker int, amount numeric);
	CREATE FUNCTION require(met boolean) RETURNS void LANGUAGE plpgsql AS $$
	BEGIN
		IF NOT met THEN
			RAISE EXCEPTION 'insufficient funds';
		END IF;
	END $$;
	CREATE TABLE t (id int PRIMARY KEY, v int);
	INSERT INTO t VALUES (1, 0), (2, 0), (3, 0);
});
my $dir = PostgreSQL::Test::Utils::tempdir();

# Let writers run their calls at the same time.  Returns the ids that failed
# with their messages, and how many attempts were made again.
sub write_at_once
{
	my (@calls) = @_;
	my (@runs, @out, @err, %failed);
	my $again = 0;
	my $gate = $node->background_psql('postgres');

	# each waits for a lock that is given up when all are there
	$gate->query_safe('SELECT pg_advisory_lock(1)');

	for my $writer (0 .. $#calls)
	{
		my $file = "$dir/writer$writer.sql";
		my $sql = "SELECT pg_advisory_lock_shared(1), pg_advisory_unlock_shared(1);\n";

		$sql .= "$_->[1]\n\\if :ERROR\n\\echo failed $_->[0] :SQLSTATE\n\\endif\n" foreach @{ $calls[$writer] };
		unlink $file;
		append_to_file($file, $sql);
		($out[$writer], $err[$writer]) = ('', '');
		push @runs, IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-f', $file ], '<', \undef, '>', \$out[$writer], '2>', \$err[$writer]);
	}
	$node->poll_query_until('postgres', 'SELECT count(*) = ' . @calls . " FROM pg_locks WHERE locktype = 'advisory' AND NOT granted");
	$gate->query_safe('SELECT pg_advisory_unlock(1)');
	$gate->quit;
	foreach my $writer (0 .. $#calls)
	{
		$runs[$writer]->finish;
		$failed{$1} = $2 while $out[$writer] =~ /^failed (\d+) (\w+)$/mg;
		$again++ while $err[$writer] =~ /NOTICE:  attempt \d+ of \d+ failed/g;
	}
	return (\%failed, $again);
}

sub call
{
	my ($body, %parameter) = @_;
	my $json = '{' . join(', ', map { "\"$_\": $parameter{$_}" } sort keys %parameter) . '}';

	return "CALL algo_ref.transaction('$body', 'serializable', retries => 1000, backoff => '2 ms', parameters => '$json');";
}

# Every call was applied exactly once, or reported and not applied.
sub once_or_reported
{
	my ($count, $failed, $name) = @_;
	my %applied = map { $_ => 1 } split /\n/, $node->safe_psql('postgres', 'SELECT id FROM transfer');
	my $twice = $node->safe_psql('postgres', 'SELECT count(*) - count(DISTINCT id) FROM transfer');
	my @wrong = grep { ($applied{$_} // 0) + (exists $failed->{$_} ? 1 : 0) != 1 } 1 .. $count;

	is($twice, 0, "$name: none is applied twice");
	is("@wrong", '', "$name: each is applied or reported");
	is(join(' ', grep { $_ ne 'P0001' } values %$failed), '', "$name: what is reported is the want of money");
	return;
}

#
# Transfers between two accounts
#

$node->safe_psql('postgres', 'INSERT INTO account VALUES (1, 500), (2, 500)');
my $transfer = 'SELECT require(balance >= :amount) FROM account WHERE id = :giver; '
  . 'UPDATE account SET balance = balance - :amount WHERE id = :giver; '
  . 'UPDATE account SET balance = balance + :amount WHERE id = :taker; '
  . 'INSERT INTO transfer VALUES (:id, :giver, :taker, :amount)';
my $id = 0;
my $seed = srand($ENV{ALGO_REF_SEED} // 42);
my ($failed, $again) = write_at_once(map {
	[ map { my $giver = 1 + int rand 2; $id++; [ $id, call($transfer, id => $id, giver => $giver, taker => 3 - $giver, amount => 1 + int rand 400) ] } 1 .. $transfers ]
} 1 .. $writers);
note "seed $seed: $again attempts again, " . scalar(keys %$failed) . ' reported';
is($node->safe_psql('postgres', 'SELECT sum(balance), min(balance) >= 0 FROM account'), '1000|t', 'transfers: the sum stays, and nothing is overdrawn');
is($node->safe_psql('postgres', 'SELECT count(*) FROM account a WHERE balance <> 500 + (SELECT coalesce(sum(CASE WHEN taker = a.id THEN amount ELSE -amount END), 0) FROM transfer)'),
	0, 'transfers: the balances are those of the transfers');
once_or_reported($id, $failed, 'transfers');
cmp_ok($again, '>', 0, 'transfers: some ran again');
cmp_ok(scalar(keys %$failed), '<', $id, 'transfers: some were applied');

#
# Withdrawals that are covered by both accounts together: each reads what
# another writes, and no two write the same row but by chance
#

$node->safe_psql('postgres', 'TRUNCATE account, transfer; INSERT INTO account SELECT g, 125 FROM generate_series(1, 8) g');
my $withdraw = 'SELECT require(sum(balance) >= :amount) FROM account; SELECT pg_sleep(0.005); '
  . 'UPDATE account SET balance = balance - :amount WHERE id = :giver; '
  . 'INSERT INTO transfer VALUES (:id, :giver, NULL, :amount)';
$id = 0;
($failed, $again) = write_at_once(map {
	my $writer = $_;
	[ map { $id++; [ $id, call($withdraw, id => $id, giver => $writer, amount => 100) ] } 1 .. 5 ]
} 1 .. $writers);
is($node->safe_psql('postgres', 'SELECT sum(balance), (SELECT count(*) FROM transfer) FROM account'), '0|10', 'withdrawals: what there is, and no more');
once_or_reported($id, $failed, 'withdrawals');
cmp_ok($again, '>', 0, 'withdrawals: some ran again');

#
# Deadlocks
#

my @deadlock = map {
	my ($one, $two) = @$_;
	[ [ $one, "CALL algo_ref.transaction('UPDATE t SET v = v + 1 WHERE id = $one; SELECT pg_sleep(0.4); UPDATE t SET v = v + 1 WHERE id = $two');" ] ]
} [ 1, 2 ], [ 2, 1 ];
($failed, $again) = write_at_once(@deadlock);
is(scalar(keys %$failed), 0, 'deadlock: both succeed');
is($again, 1, 'deadlock: one of them in its second attempt');
is($node->safe_psql('postgres', 'SELECT v FROM t WHERE id < 3 ORDER BY id'), "2\n2", 'deadlock: each is applied once');

#
# Lock timeouts, if asked
#

my $holder = $node->background_psql('postgres');
$holder->query_safe('BEGIN; UPDATE t SET v = 10 WHERE id = 3');
my ($status, $out, $err) = $node->psql('postgres', "CALL algo_ref.transaction('SET LOCAL lock_timeout = ''20 ms''; UPDATE t SET v = v + 1 WHERE id = 3', retries => 2, backoff => '1 ms', retry_lock_timeout => true)");
like($err, qr/NOTICE:  attempt 2 of 3 failed.*SQLSTATE 55P03.*ERROR:  canceling statement due to lock timeout/s, 'lock timeout: in the end it is raised as it was');
($status, $out, $err) = $node->psql('postgres', "CALL algo_ref.transaction('SELECT FROM t WHERE id = 3 FOR UPDATE NOWAIT', retries => 1, backoff => '1 ms', retry_lock_timeout => true)");
like($err, qr/NOTICE:  attempt 1 of 2 failed.*ERROR:  could not obtain lock on row/s, 'lock timeout: NOWAIT is one, too');
($status, $out, $err) = $node->psql('postgres', "CALL algo_ref.transaction('SELECT FROM t WHERE id = 3 FOR UPDATE NOWAIT')");
unlike($err, qr/NOTICE/, 'lock timeout: not without being asked');
my ($patient_out, $patient_err) = ('', '');
my $patient = IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-c', "CALL algo_ref.transaction('SET LOCAL lock_timeout = ''20 ms''; UPDATE t SET v = v + 1 WHERE id = 3', retries => 1000, retry_lock_timeout => true)" ],
	'<', \undef, '>', \$patient_out, '2>', \$patient_err);
IPC::Run::pump($patient) until $patient_err =~ /attempt 3/;
$holder->query_safe('COMMIT');
$holder->quit;
ok($patient->finish, 'lock timeout: who is patient gets the lock');
is($node->safe_psql('postgres', 'SELECT v FROM t WHERE id = 3'), 11, 'lock timeout: ... and sees what the other has done');

#
# Between two attempts
#

my ($resting_out, $resting_err) = ('', '');
my $resting = IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('postgres') . ' application_name=resting', '-c',
	"CALL algo_ref.transaction('UPDATE t SET v = v + 100; DO ''BEGIN RAISE SQLSTATE ''''40001''''; END''', backoff => '1 min')" ], '<', \undef, '>', \$resting_out, '2>', \$resting_err);
IPC::Run::pump($resting) until $resting_err =~ /attempt 1/;
my $pid = $node->safe_psql('postgres', "SELECT pid FROM pg_stat_activity WHERE application_name = 'resting'");
is($node->safe_psql('postgres', "SELECT backend_xid, backend_xmin FROM pg_stat_activity WHERE pid = $pid"), '|', 'resting: it keeps nobody from cleaning up');
is($node->safe_psql('postgres', "SELECT count(*) FROM pg_locks WHERE pid = $pid AND locktype <> 'virtualxid'"), 0, 'resting: it holds no lock');
$node->safe_psql('postgres', "SELECT pg_cancel_backend($pid)");
$resting->finish;
like($resting_err, qr/canceling statement due to user request/, 'resting: it can be cancelled');
is($node->safe_psql('postgres', 'SELECT max(v) FROM t'), 11, 'resting: nothing of it remains');
($status, $out, $err) = $node->psql('postgres', "SET statement_timeout = '300 ms'; CALL algo_ref.transaction('DO ''BEGIN RAISE SQLSTATE ''''40001''''; END''', retries => 1000, backoff => '1 s')");
like($err, qr/canceling statement due to statement timeout/, 'resting: statement_timeout ends it');
$node->stop;
done_testing();
