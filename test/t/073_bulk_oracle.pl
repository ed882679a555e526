# Bulk insert against INSERT: random tables with random rows, good and bad, in
# two schemas that are alike.  One gets a plain INSERT of VALUES with DEFAULT for
# what a row does not have, the other bulk_insert(); content, sequences, traces
# of triggers, and errors have to be the same.
#
# ALGO_REF_ROUNDS tables, from ALGO_REF_SEED on.

use strict;
use warnings FATAL => 'all';

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $rounds = $ENV{ALGO_REF_ROUNDS} || 150;
my $seed = $ENV{ALGO_REF_SEED} || 20260201;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init(extra => [ '--encoding=UTF8', '--locale=C' ]);
$node->append_conf('postgresql.conf', "autovacuum = off\nfsync = off\njit = off\n");
$node->start;

$node->safe_psql('postgres', <<'SQL');
CREATE EXTENSION algo_ref;
CREATE EXTENSION amcheck;
CREATE ROLE loader;
GRANT USAGE ON SCHEMA algo_ref TO loader;
GRANT EXECUTE ON ALL ROUTINES IN SCHEMA algo_ref TO loader;
CREATE TYPE pair AS (a int, b text);
CREATE TYPE mood AS ENUM ('sad', 'happy');
CREATE DOMAIN positive AS int CHECK (value > 0);
CREATE TABLE result (round int, mode text, way text, outcome_a text, outcome_b text, differences bigint, detail text, broken text);
CREATE TABLE possible (round int, outcome text);
GRANT ALL ON result, possible TO loader;

-- what a command comes to; its constraints are not put off any longer
CREATE FUNCTION try(command text, role name DEFAULT NULL) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  result text;
BEGIN
  IF role IS NOT NULL THEN
    EXECUTE format('SET LOCAL ROLE %I', role);
  END IF;
  EXECUTE command INTO result;
  SET CONSTRAINTS ALL IMMEDIATE;
  RESET ROLE;
  RETURN result;
EXCEPTION WHEN OTHERS THEN
  RETURN SQLSTATE || ': ' || SQLERRM;
END $$;

CREATE FUNCTION content(target text) RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
  RETURN QUERY EXECUTE format('SELECT t::text FROM (SELECT * FROM %s) t', target);
END $$;

-- how two tables differ, up to some lines of it
CREATE FUNCTION difference(a text, b text) RETURNS text LANGUAGE sql AS $$
  SELECT string_agg(line, E'\n') FROM (
    (SELECT 'plain: ' || l AS line FROM (SELECT content(a) EXCEPT ALL SELECT content(b)) AS p (l))
    UNION ALL (SELECT 'bulk: ' || l FROM (SELECT content(b) EXCEPT ALL SELECT content(a)) AS q (l)) LIMIT 5) AS d
$$;

CREATE FUNCTION leave_trace() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE format('INSERT INTO %I.trace (what) VALUES (%L)', TG_TABLE_SCHEMA, concat_ws(' ', TG_WHEN, TG_LEVEL, TG_TABLE_NAME,
    CASE TG_LEVEL WHEN 'ROW' THEN NEW::text END));
  RETURN NEW;
END $$;
CREATE FUNCTION leave_rows() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE format('INSERT INTO %I.trace (what) SELECT ''new '' || r::text FROM new_rows r', TG_TABLE_SCHEMA);
  RETURN NULL;
END $$;
CREATE FUNCTION change_row() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.k % 7 = 3 THEN
    RETURN NULL;
  END IF;
  NEW.k := NEW.k + 1;
  RETURN NEW;
END $$;

-- what is wrong with the indexes and pages of a table
CREATE FUNCTION broken(target regclass) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  r record;
BEGIN
  FOR r IN SELECT c.oid, c.relkind, am.amname FROM pg_partition_tree(target) p JOIN pg_class c ON c.oid = p.relid LEFT JOIN pg_am am ON am.oid = c.relam WHERE c.relkind = 'r'
    UNION SELECT c.oid, c.relkind, 'heap' FROM pg_class c WHERE c.oid = target AND c.relkind = 'r' LOOP
    PERFORM 1 FROM verify_heapam(r.oid);
    IF FOUND THEN
      RETURN r.oid::regclass::text;
    END IF;
    PERFORM bt_index_parent_check(i.indexrelid, true) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am am ON am.oid = c.relam
      WHERE i.indrelid = r.oid AND am.amname = 'btree';
  END LOOP;
  RETURN NULL;
EXCEPTION WHEN OTHERS THEN
  RETURN SQLERRM;
END $$;
SQL

sub chance { return rand() < $_[0] }
sub one_of { return $_[ int rand @_ ] }
sub quote { my ($text) = @_; $text =~ s/'/''/g; return "'$text'" }
sub text_value { return '"' . join('', map { one_of('a' .. 'f', ' ', 'é', '\\"', '\\n', '\\u00e4', '\\ud83d\\ude00', '\\\\') } 1 .. rand 9) . '"' }

# Types: how to write a good value as JSON, and a bad one.
my %types = (
	'int' => [ sub { one_of(int(rand 50), '"' . int(rand 50) . '"') }, '"x"' ],
	'bigint' => [ sub { int(rand 1e12) }, '1.5' ],
	'smallint' => [ sub { int(rand 60000) - 30000 }, '99999' ],
	'text' => [ \&text_value, '"\\u0000"' ],
	'varchar(12)' => [ \&text_value, '"longer than twelve"' ],
	'char(9)' => [ sub { '"' . one_of('a' .. 'z') . '"' }, '"longer than nine"' ],
	'numeric' => [ sub { one_of(int(rand 1000) / 7, '1e3', '-0.000', '"NaN"', '12345678901234567890.5') }, '"1..2"' ],
	'numeric(8,2)' => [ sub { one_of(int(rand 100000) / 100, int(rand 1000) / 7, 5, '"7.005"') }, '1234567' ],
	'boolean' => [ sub { one_of('true', 'false', '"t"', '"no"') }, '"maybe"' ],
	'date' => [ sub { sprintf '"20%02d-%02d-%02d"', rand 40, 1 + rand 12, 1 + rand 28 }, '"2023-02-30"' ],
	'timestamp' => [ sub { sprintf '"2024-01-%02d%s%02d:%02d:%02d%s"', 1 + rand 28, one_of(' ', 'T'), rand 24, rand 60, rand 60, one_of('', '.5', '.123456', 'Z') }, '"25:00"' ],
	'timestamptz' => [ sub { sprintf '"2024-07-%02dT%02d:%02d:%02d%s"', 1 + rand 28, rand 24, rand 60, rand 60, one_of('', 'Z', '+02', '-0330', '.25+05:45', ' UTC') }, '"yesterdax"' ],
	'uuid' => [ sub { '"' . join('', map { sprintf '%04x', rand 65536 } 1 .. 8) . '"' }, '"xyz"' ],
	'jsonb' => [ sub { one_of('{"a": [1, {"b": null}]}', '1', '"x"', '[]', 'true') }, '"\\u0000"' ],
	'json' => [ sub { one_of('{"a" : [1]}', '1', '[ ]') }, undef ],
	'int[]' => [ sub { one_of('[1, 2, null]', '[]', '"{3,4}"', '[[1],[2]]') }, '["x"]' ],
	'text[]' => [ sub { one_of('["a", "b\\"c"]', '"{}"') }, '5' ],
	'float8' => [ sub { one_of(rand(), '1e-300', '"Infinity"', 17) }, '1e999' ],
	'pair' => [ sub { one_of('{"a": 1, "b": "x"}', '"(2,y)"', '{}') }, '{"a": "x"}' ],
	'positive' => [ sub { 1 + int rand 9 }, '-1' ],
	'mood' => [ sub { one_of('"sad"', '"happy"') }, '"angry"' ],
	'bytea' => [ sub { one_of('"\\\\x00ff"', '"abc"') }, '"\\\\xz"' ],
	'interval' => [ sub { one_of('"1 day"', '"P1Y2M"') }, '"1 dax"' ],
	'inet' => [ sub { '"10.0.0.' . int(rand 256) . '"' }, '"10.0.0.256"' ],
	'int4range' => [ sub { my $from = int rand 1000; '"[' . $from . ',' . ($from + 3) . ')"' }, '"[3,1)"' ]);
my @types = sort keys %types;

# A table, as statements with SCHEMA where its schema belongs.
sub make_table
{
	my ($round) = @_;
	my @columns = ({ name => 'k', type => 'int', given => 1 });
	my (@ddl, @parts, @after);
	my %table = (columns => \@columns, target => 't');

	foreach my $n (1 .. rand 7)
	{
		push @columns, { name => chance(0.1) ? "Odd \"\"col$n" : "c$n", type => one_of(@types), given => 1 };
	}
	foreach my $column (@columns[ 1 .. $#columns ])
	{
		my $text = $column->{type};

		$column->{not_null} = 1 if chance(0.15);
		if (chance(0.3) && $column->{type} eq 'int')
		{
			$column->{default} = one_of('5', "nextval('SCHEMA.counter')", 'length(current_schema()) * 0 + 7', chance(0.3) ? '(random() * 0)::int' : '1');
		}
		elsif (chance(0.3) && $column->{type} =~ /^(text|date|jsonb)$/)
		{
			$column->{default} = { text => "'de\"fault'", date => "'2020-02-02'", jsonb => "'{\"d\": 1}'" }->{ $column->{type} };
		}
		elsif (chance(0.5) && $column->{type} eq 'bigint')
		{
			$column->{generated} = 'BY DEFAULT AS IDENTITY' if chance(0.5);
			$column->{generated} = 'ALWAYS AS (k * 2) STORED' if !$column->{generated};
			$column->{given} = 0 if $column->{generated} =~ /STORED/;
			$column->{not_null} = 0;
		}
	}
	my $partitioned = chance(0.2);
	my $how = one_of('LIST (k)', 'RANGE (k)', 'HASH (k)');
	my @definitions = map {
		qq("$_->{name}" $_->{type}) . ($_->{default} ? " DEFAULT $_->{default}" : '') . ($_->{generated} ? " GENERATED $_->{generated}" : '') . ($_->{not_null} ? ' NOT NULL' : '')
	} @columns;
	if ($partitioned && $how ne 'HASH (k)')
	{
		# identities and generated columns of partitions differ too much between versions
		$_->{generated} = undef, $_->{given} = 1 foreach @columns;
		@definitions = map { qq("$_->{name}" $_->{type}) . ($_->{default} ? " DEFAULT $_->{default}" : '') . ($_->{not_null} ? ' NOT NULL' : '') } @columns;
	}
	push @definitions, 'CONSTRAINT small CHECK (k < 48)' if chance(0.2);
	push @definitions, one_of('PRIMARY KEY (k)', 'UNIQUE (k)', 'UNIQUE (k) DEFERRABLE', 'UNIQUE (k) DEFERRABLE INITIALLY DEFERRED') if chance(0.3);
	push @definitions, 'FOREIGN KEY (k) REFERENCES SCHEMA.parent' if chance(0.25);
	my ($range) = grep { $_->{type} eq 'int4range' } @columns;
	push @definitions, qq(EXCLUDE USING gist ("$range->{name}" WITH &&)) if $range && !$partitioned && chance(0.5);
	push @ddl, 'CREATE SEQUENCE SCHEMA.counter', 'CREATE TABLE SCHEMA.parent (id int PRIMARY KEY)',
	  'INSERT INTO SCHEMA.parent SELECT * FROM generate_series(0, 45)',
	  'CREATE TABLE SCHEMA.trace (n int GENERATED ALWAYS AS IDENTITY, what text)',
	  'CREATE ' . (chance(0.1) && !$partitioned ? 'UNLOGGED ' : '') . 'TABLE SCHEMA.t (' . join(', ', @definitions) . ')' . ($partitioned ? " PARTITION BY $how" : '');
	if ($partitioned)
	{
		my $key = join(' ', @definitions) =~ /PRIMARY KEY/;
		my $columns = join ', ', map { qq("$_->{name}" $_->{type}) . ($_->{not_null} || ($key && $_->{name} eq 'k') ? ' NOT NULL' : '') } reverse @columns;

		if ($how eq 'HASH (k)')
		{
			push @ddl, map { "CREATE TABLE SCHEMA.p$_ PARTITION OF SCHEMA.t FOR VALUES WITH (MODULUS 3, REMAINDER $_)" } 0 .. 2;
		}
		elsif ($how eq 'RANGE (k)')
		{
			push @ddl, "CREATE TABLE SCHEMA.p0 (gone int, $columns)", 'ALTER TABLE SCHEMA.p0 DROP gone',
			  (join(' ', @definitions) =~ /small CHECK/ ? 'ALTER TABLE SCHEMA.p0 ADD CONSTRAINT small CHECK (k < 48)' : ()),
			  'ALTER TABLE SCHEMA.t ATTACH PARTITION SCHEMA.p0 FOR VALUES FROM (0) TO (20)',
			  'CREATE TABLE SCHEMA.p1 PARTITION OF SCHEMA.t FOR VALUES FROM (20) TO (100) PARTITION BY HASH (k)',
			  map { "CREATE TABLE SCHEMA.p1$_ PARTITION OF SCHEMA.p1 FOR VALUES WITH (MODULUS 2, REMAINDER $_)" } 0 .. 1;
		}
		else
		{
			push @ddl, 'CREATE TABLE SCHEMA.p0 PARTITION OF SCHEMA.t FOR VALUES IN (0, 1, 2, 3, 4)', 'CREATE TABLE SCHEMA.p1 PARTITION OF SCHEMA.t DEFAULT';
		}
		push @ddl, 'CREATE TRIGGER on_part BEFORE INSERT ON SCHEMA.p0 FOR EACH ROW EXECUTE FUNCTION leave_trace()' if chance(0.15);
	}
	foreach my $column (@columns)
	{
		next unless chance(0.4);
		my $name = qq("$column->{name}");
		push @ddl, 'CREATE INDEX ON SCHEMA.t ' . (
			$column->{type} =~ /\[\]|^jsonb$/ ? one_of("USING gin ($name)", $column->{type} eq 'jsonb' ? "(($name ->> 'a'))" : "($name)")
			: $column->{type} eq 'int4range' ? "USING gist ($name)"
			: $column->{type} =~ /^(json)$/ ? '(k)'
			: one_of("($name)", "($name DESC NULLS LAST, k)", "(k) INCLUDE ($name)", "($name) WHERE k > 10", "(($name)) WHERE $name IS NOT NULL",
				$column->{type} =~ /^(int|bigint|date|text|uuid)$/ ? ("USING brin ($name)", "USING hash ($name)") : ()));
	}
	my $unique = (grep { $_->{type} =~ /^(int|text|date|smallint)$/ } @columns)[-1];
	push @ddl, qq(CREATE UNIQUE INDEX ON SCHEMA.t ("$unique->{name}", k)) if $unique && chance(0.15);
	foreach my $trigger (
		[ 0.12, 'BEFORE INSERT', 'FOR EACH ROW', 'change_row' ], [ 0.12, 'BEFORE INSERT', 'FOR EACH ROW', 'leave_trace' ],
		[ 0.2, 'AFTER INSERT', 'FOR EACH ROW', 'leave_trace' ], [ 0.2, 'BEFORE INSERT', 'FOR EACH STATEMENT', 'leave_trace' ],
		[ 0.2, 'AFTER INSERT', 'FOR EACH STATEMENT', 'leave_trace' ], [ 0.08, 'AFTER INSERT', 'REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT', 'leave_rows' ])
	{
		my ($likely, $when, $level, $function) = @$trigger;
		next unless chance($likely);
		push @ddl, "CREATE TRIGGER trigger" . scalar(@ddl) . " $when ON SCHEMA.t $level EXECUTE FUNCTION $function()";
	}
	push @ddl, 'CREATE RULE also AS ON INSERT TO SCHEMA.t DO ALSO INSERT INTO SCHEMA.trace (what) VALUES (\'rule \' || NEW.k)' if chance(0.04);
	push @ddl, 'GRANT ALL ON ALL TABLES IN SCHEMA SCHEMA TO loader', 'GRANT ALL ON ALL SEQUENCES IN SCHEMA SCHEMA TO loader', 'GRANT USAGE ON SCHEMA SCHEMA TO loader';
	if (chance(0.1))
	{
		push @ddl, 'ALTER TABLE SCHEMA.t ENABLE ROW LEVEL SECURITY', 'CREATE POLICY p ON SCHEMA.t WITH CHECK (k < 40)';
		$table{role} = 'loader';
	}
	if (chance(0.1))
	{
		push @ddl, 'CREATE VIEW SCHEMA.v AS SELECT * FROM SCHEMA.t' . one_of('', ' WHERE k < 45 WITH CHECK OPTION'), 'GRANT ALL ON SCHEMA.v TO loader';
		push @ddl, 'ALTER VIEW SCHEMA.v ALTER k SET DEFAULT 11' if chance(0.5);
		$table{target} = 'v';
	}
	$table{ddl} = \@ddl;
	return \%table;
}

# Rows as lists of [name, JSON].  Most of a call's rows have the same keys.
sub make_rows
{
	my ($table) = @_;
	my $count = chance(0.06) ? 1001 + int rand 2000 : int rand 25;
	my @given = grep { $_->{given} || chance(0.01) } @{ $table->{columns} };
	my $missing = one_of(0, 0, 0.1, 0.4);
	my $bad = one_of(0, 0, 0, 0, 0, 1, 1, 3);
	my @rows;

	$table->{dense} = chance(0.6);
	@given = grep { $_->{name} eq 'k' || ($_->{not_null} && !$_->{default}) || chance(0.85) } @given;
	foreach my $n (1 .. $count)
	{
		my @row;

		foreach my $column (@given)
		{
			next if chance($missing) && !($column->{not_null} && !$column->{default});
			my $value = $types{ $column->{type} }[0]->();
			$value = $table->{dense} ? $n - 1 : $count > 30 ? $n : int rand 50 if $column->{name} eq 'k';
			$value = 'null' if chance($column->{not_null} ? 0.001 : 0.1) && !$column->{generated};
			push @row, [ $column->{name}, $value ];
		}
		push @rows, \@row;
	}
	foreach (1 .. $bad)
	{
		my $row = @rows ? one_of(@rows) : undef;
		my ($column) = grep { defined $types{ $_->{type} }[1] } map { $given[ rand @given ] } 1 .. 5;

		next unless $row && $column;
		@$row = grep { $_->[0] ne $column->{name} } @$row;
		push @$row, [ $column->{name}, $types{ $column->{type} }[1] ];
	}
	return @rows;
}

# Blanks as a program puts them, or none, or any.
my $blanks = 0;
sub blank { return $blanks == 0 ? '' : $blanks == 1 ? ' ' : one_of('', '', ' ', "\t", '  ') }

sub row_json
{
	return '{' . join(',' . blank(), map { my $name = $_->[0]; $name =~ s/""/"/g; $name =~ s/"/\\"/g; qq("$name":) . blank() . $_->[1] } @{ $_[0] }) . '}';
}

# INSERT ... VALUES of some rows.
sub plain_insert
{
	my ($table, @rows) = @_;
	my (%named, @values);

	$named{ $_->[0] } = 1 foreach map { @$_ } @rows;
	my @names = grep { $named{$_} } map { $_->{name} } @{ $table->{columns} };
	return "INSERT INTO a.$table->{target} SELECT FROM generate_series(1, " . scalar(@rows) . ')' unless @names;
	foreach my $row (@rows)
	{
		my %value = map { $_->[0] => $_->[1] } @$row;

		push @values, '(' . join(', ', map { defined $value{$_}
			  ? '(json_populate_record(NULL::a.' . $table->{target} . ', ' . quote(row_json([ [ $_, $value{$_} ] ])) . qq{::json))."$_"} : 'DEFAULT' } @names) . ')';
	}
	return "INSERT INTO a.$table->{target} (" . join(', ', map { qq("$_") } @names) . ') VALUES ' . join(', ', @values);
}

sub make_round
{
	my ($round) = @_;

	srand($seed + $round);
	my $table = make_table($round);
	$blanks = int rand 3;
	my @rows = make_rows($table);
	return '' unless @rows;
	my $mode = one_of('array', 'lines', 'json', 'jsonb');

	# jsonb does not keep how json was written
	$mode = 'json' if $mode eq 'jsonb' && grep { $_->{type} eq 'json' } @{ $table->{columns} };
	my $json = $mode eq 'lines' ? join("\n", map { row_json($_) } @rows) : '[' . join(', ', map { row_json($_) } @rows) . ']';
	my $type = $mode =~ /^json/ ? $mode : 'text';
	my $role = $table->{role} ? quote($table->{role}) : 'NULL';
	my $sql = "DROP SCHEMA IF EXISTS a, b CASCADE;\n";

	foreach my $schema ('a', 'b')
	{
		$sql .= "CREATE SCHEMA $schema;\n" . join('', map { s/\bSCHEMA(?=\.)/$schema/gr =~ s/SCHEMA SCHEMA/SCHEMA $schema/gr . ";\n" } @{ $table->{ddl} });
	}
	# jsonb refuses what json lets pass: then all of the call fails
	$mode = 'array', $type = 'text' if $mode eq 'jsonb' && $json =~ /\\u0000/;
	$sql .= 'SET algo_ref.bulk_leaf_runs = ' . one_of('on', 'off') . '; SET maintenance_work_mem = ' . one_of("'1MB'", "'64MB'") . ";\n";
	my $plain = plain_insert($table, @rows);
	$sql .= "INSERT INTO result (round, mode, way, outcome_a, outcome_b) SELECT $round, '$mode', (SELECT string_agg(way || coalesce(': ' || reason, ''), ', ') FROM algo_ref.bulk_explain('b.$table->{target}')), try("
	  . quote("SELECT count_of(" . quote($plain) . ")") . ", $role), NULL;\n";
	$sql .= "UPDATE result SET outcome_b = try(" . quote("SELECT algo_ref.bulk_insert('b.$table->{target}', " . quote($json) . "::$type)") . ", $role) WHERE round = $round;\n";
	# any error of one of the rows will do, where it is not the one of INSERT: that
	# of a row behind those that go before, or behind one that INSERT refuses
	my $alone = join(', ', map { '(' . quote(plain_insert($table, $_)) . ')' } grep { @$_ } @rows);
	my $differ = "EXISTS (SELECT FROM result WHERE round = $round AND outcome_a <> outcome_b)";
	$sql .= "WITH r (command) AS (VALUES $alone) INSERT INTO possible SELECT DISTINCT $round, try_behind(a.command, b.command, $role) FROM r AS a, r AS b WHERE a.command <> b.command AND $differ;\n" if $alone && @rows < 30;
	$sql .= "INSERT INTO possible SELECT DISTINCT $round, try_alone(r.command, $role) FROM (VALUES $alone) AS r (command) WHERE $differ;\n" if $alone;
	# a rule has INSERT evaluate the defaults in VALUES once more, bulk_insert() keeps its rows
	$sql .= "UPDATE result SET detail = concat_ws(E'\\n', difference('a.t', 'b.t'), difference('a.trace', 'b.trace'), CASE WHEN outcome_a !~ '^[0-9A-Z]{5}:' AND way !~ 'it has rules' THEN difference('a.counter', 'b.counter') END), "
	  . "broken = broken('b.t') WHERE round = $round;\n";
	return $sql;
}

$node->safe_psql('postgres', <<'SQL');
-- rows that an INSERT has inserted, also where rules do more
CREATE FUNCTION count_of(command text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  count bigint;
BEGIN
  EXECUTE command;
  GET DIAGNOSTICS count = ROW_COUNT;
  RETURN count;
END $$;
-- one row behind another; none of them stays
CREATE FUNCTION try_behind(first text, command text, role name) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  outcome text;
BEGIN
  PERFORM try(format('SELECT count_of(%L)', first), role);
  outcome := try(format('SELECT count_of(%L)', command), role);
  RAISE EXCEPTION USING ERRCODE = 'ZZ000', MESSAGE = outcome;
EXCEPTION WHEN SQLSTATE 'ZZ000' THEN
  RETURN outcome;
END $$;
-- one row by itself, which stays if it can
CREATE FUNCTION try_alone(command text, role name) RETURNS text LANGUAGE sql AS $$ SELECT try(format('SELECT count_of(%L)', command), role) $$;
SQL

my $script = '';
foreach my $round (1 .. $rounds)
{
	$script .= "BEGIN;\n" . make_round($round) . "COMMIT;\n";
	next unless $round % 25 == 0 || $round == $rounds;
	my ($code, $out, $err) = $node->psql('postgres', "SET client_min_messages = warning;\n" . $script, on_error_stop => 0);
	is($err, '', "rounds up to $round run") or diag(substr $err, 0, 3000);
	$script = '';
}

note $node->safe_psql('postgres', 'SELECT outcome_a, outcome_b, count(*) FROM result GROUP BY 1, 2 ORDER BY 3 DESC LIMIT 12');
my $bad = $node->safe_psql('postgres', <<'SQL');
SELECT r.* FROM result r
WHERE broken IS NOT NULL
  -- an error is another row's, or there is none
  OR (outcome_a <> outcome_b AND NOT (mode = 'jsonb' AND left(outcome_a, 6) = left(outcome_b, 6)) AND (outcome_a !~ '^[0-9A-Z]{5}:' OR outcome_b !~ '^[0-9A-Z]{5}:'
    OR NOT EXISTS (SELECT FROM possible p WHERE p.round = r.round
      -- jsonb does not keep how a number was written, which messages name
      AND CASE WHEN mode = 'jsonb' THEN left(p.outcome, 6) = left(outcome_b, 6) ELSE p.outcome = outcome_b END)))
  OR (outcome_a = outcome_b AND detail <> '')
ORDER BY round LIMIT 10
SQL
is($bad, '', 'INSERT and bulk_insert() are the same');
note $node->safe_psql('postgres', "SELECT count(*) || ' tables, ' || count(*) FILTER (WHERE way LIKE 'fast%') || ' by the fast path, ' || count(*) FILTER (WHERE outcome_a ~ '^[0-9A-Z]{5}:') || ' with an error' FROM result");
cmp_ok($node->safe_psql('postgres', "SELECT count(*) FROM result WHERE way LIKE 'fast%' AND outcome_a !~ '^[0-9A-Z]{5}:'"), '>', $rounds / 10, 'the fast path was taken often enough');
$node->stop;
done_testing();
