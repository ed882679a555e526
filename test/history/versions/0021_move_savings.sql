-- Leaves events of deferred constraints behind: what follows alters the same
-- tables, and must find the events gone, as after a commit.
SELECT algo_ref.revision(
  message => 'number the savings accounts anew',
  id => '391d67ba4e21',
  revises => '{e8f52b0d3620}',
  upgrade => $upgrade$
SET CONSTRAINTS ALL DEFERRED;
UPDATE invoices SET account_id = account_id + 10000
 WHERE account_id IN (SELECT id FROM accounts WHERE name = 'savings');
UPDATE invoice_lines SET line = 4 - line WHERE invoice_id % 20 = 1;
INSERT INTO accounts (id, user_id, name, address, currency, balance)
OVERRIDING SYSTEM VALUE
SELECT id + 10000, user_id, name || ' (new)', address, currency, balance
  FROM accounts WHERE name = 'savings';
DELETE FROM accounts WHERE name = 'savings';
UPDATE accounts SET name = 'savings' WHERE name = 'savings (new)';
$upgrade$,
  downgrade => $downgrade$
UPDATE invoices SET account_id = account_id - 10000 WHERE account_id > 10000;
INSERT INTO accounts (id, user_id, name, address, currency, balance)
OVERRIDING SYSTEM VALUE
SELECT id - 10000, user_id, name || ' (old)', address, currency, balance
  FROM accounts WHERE id > 10000;
DELETE FROM accounts WHERE id > 10000;
UPDATE accounts SET name = 'savings' WHERE name = 'savings (old)';
UPDATE invoice_lines SET line = 4 - line WHERE invoice_id % 20 = 1;
$downgrade$);
