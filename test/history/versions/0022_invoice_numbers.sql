SELECT algo_ref.revision(
  message => 'numbers of invoices',
  id => 'ad86f20c5922',
  revises => '{391d67ba4e21}',
  upgrade => $upgrade$
ALTER TABLE accounts ADD COLUMN number text;
UPDATE accounts SET number = 'A' || lpad(id::text, 8, '0');
ALTER TABLE invoices ADD COLUMN number text;
UPDATE invoices i SET number = a.number || '/' || to_char(lower(i.period), 'YYYYMM')
  FROM accounts a WHERE a.id = i.account_id;
ALTER TABLE invoices
    ADD CONSTRAINT invoices_number_key UNIQUE (number) DEFERRABLE,
    ADD CONSTRAINT invoices_number_check CHECK (number ~ '^A\d{8}/\d{6}$');
ALTER TABLE invoice_lines ALTER COLUMN what SET DEFAULT 'other; see note';
$upgrade$,
  downgrade => $downgrade$
ALTER TABLE invoice_lines ALTER what DROP DEFAULT;
ALTER TABLE invoices DROP COLUMN number;
ALTER TABLE accounts DROP COLUMN number;
$downgrade$);
