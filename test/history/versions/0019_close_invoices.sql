SELECT algo_ref.revision(
  message => 'close invoices by a procedure, and call it',
  id => '73a1ce5f8d19',
  revises => '{cb4170f6a918}',
  upgrade => $upgrade$
CREATE PROCEDURE close_invoices(before date, INOUT closed bigint DEFAULT NULL)
LANGUAGE plpgsql AS $procedure$
BEGIN
    UPDATE invoices SET state = 'closed' WHERE upper(period) <= before AND state = 'open';
    GET DIAGNOSTICS closed = ROW_COUNT;
    RAISE NOTICE '% invoices closed', closed;
END
$procedure$;

CALL close_invoices('2020-03-01');
$upgrade$,
  downgrade => $downgrade$
DROP PROCEDURE close_invoices;
UPDATE invoices SET state = 'open';
$downgrade$);
