SELECT algo_ref.revision(
  message => 'balances, by functions with a parsed body',
  id => 'e8f52b0d3620',
  revises => '{73a1ce5f8d19}',
  upgrade => $upgrade$
CREATE FUNCTION account_balance(account integer) RETURNS numeric
    LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT coalesce(sum(CASE WHEN i.state = 'closed' THEN -i.total ELSE 0 END), 0)
      FROM invoices i
     WHERE i.account_id = account;
END;

CREATE FUNCTION note_payment(account integer, amount numeric) RETURNS numeric
    LANGUAGE sql
BEGIN ATOMIC
    UPDATE accounts SET balance = balance + amount WHERE id = account;
    SELECT balance FROM accounts WHERE id = account;
END;

UPDATE accounts SET balance = account_balance(id);
SELECT note_payment(min(id), 1000.00) FROM accounts;
$upgrade$,
  downgrade => $downgrade$
UPDATE accounts SET balance = 0;
DROP FUNCTION note_payment;
DROP FUNCTION account_balance;
$downgrade$);
