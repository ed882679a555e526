SELECT algo_ref.revision(
  message => 'invoice lines, and a total that is checked at commit',
  id => 'cb4170f6a918',
  revises => '{05d9b8e2cf17}',
  upgrade => $upgrade$
CREATE TABLE invoice_lines (
    invoice_id bigint NOT NULL REFERENCES invoices ON DELETE CASCADE
                   DEFERRABLE INITIALLY IMMEDIATE,
    line       smallint NOT NULL CHECK (line > 0),
    what       text NOT NULL,
    pieces     integer NOT NULL DEFAULT 1,
    price      numeric(10, 2) NOT NULL,
    amount     numeric(14, 2) GENERATED ALWAYS AS (pieces * price) STORED,
    PRIMARY KEY (invoice_id, line) DEFERRABLE
);

CREATE FUNCTION check_total() RETURNS trigger LANGUAGE plpgsql AS $f$
DECLARE
    bad record;
BEGIN
    EXECUTE format('SELECT i.id, i.total, coalesce(sum(l.amount), 0) AS lines
        FROM %1$I.invoices i LEFT JOIN %1$I.invoice_lines l ON l.invoice_id = i.id
        WHERE i.id = $1 GROUP BY i.id HAVING i.total <> coalesce(sum(l.amount), 0)', TG_TABLE_SCHEMA)
        INTO bad USING NEW.invoice_id;
    IF bad.id IS NOT NULL THEN
        RAISE EXCEPTION 'invoice %: total %, but lines of %', bad.id, bad.total, bad.lines;
    END IF;
    RETURN NULL;
END
$f$;
CREATE CONSTRAINT TRIGGER invoice_lines_total AFTER INSERT OR UPDATE ON invoice_lines
    DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION check_total();

-- First the lines, then the totals: between these two statements they differ.
INSERT INTO invoice_lines (invoice_id, line, what, pieces, price)
SELECT i.id, n, (ARRAY ['reading', 'writing; quickly', 'arithmetic'])[n], n, 4.25
  FROM invoices i CROSS JOIN generate_series(1, 3) n;
UPDATE invoices i
   SET total = (SELECT sum(amount) FROM invoice_lines l WHERE l.invoice_id = i.id);
$upgrade$,
  downgrade => $downgrade$
DROP TABLE invoice_lines;
DROP FUNCTION check_total();
UPDATE invoices SET total = 0;
$downgrade$);
