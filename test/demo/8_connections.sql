\echo
\echo '8. Who is connected, what fits, and a transaction that is tried again'
\echo
SELECT application_name, role, connections, active, limited_by, limit_remaining FROM algo_ref.pool_status();
SELECT algo_ref.pool_status('text');
\echo 'Twenty processes with a pool of 5 + 10 each, against the limits in force:'
\echo
SELECT * FROM algo_ref.connection_budget(pool_size => 5, max_overflow => 10, processes => 20);
\echo 'Parameters are bound by name; after a serialization failure it starts again:'
\echo
CREATE TEMP TABLE account (id int PRIMARY KEY, balance numeric CHECK (balance >= 0));
INSERT INTO account VALUES (1, 100), (2, 0);
CALL algo_ref.transaction('UPDATE account SET balance = balance - :amount WHERE id = :payer;
  UPDATE account SET balance = balance + :amount WHERE id = :payee',
  'serializable', parameters => '{"amount": 40, "payer": 1, "payee": 2}');
TABLE account ORDER BY id;
\echo 'Indexes that foreign keys lack, and those that are too many:'
\echo
SELECT problem, relation, upgrade FROM algo_ref.index_advice() LIMIT 5;
