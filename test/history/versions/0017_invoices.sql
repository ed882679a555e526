SELECT algo_ref.revision(
  message => 'invoices, whose periods do not overlap',
  id => '05d9b8e2cf17',
  revises => '{16c7f3be4d09}',
  branch_labels => '{billing}',
  upgrade => $upgrade$
CREATE TYPE invoice_state AS ENUM ('open', 'closed');
CREATE FUNCTION cents_between(numeric, numeric) RETURNS double precision
    LANGUAGE sql IMMUTABLE STRICT AS 'SELECT (($1 - $2) * 100)::double precision; -- the last';
CREATE TYPE price_range AS RANGE (subtype = numeric, subtype_diff = cents_between);

CREATE TABLE invoices (
    id         bigint GENERATED ALWAYS AS IDENTITY (INCREMENT BY 10) PRIMARY KEY,
    account_id integer NOT NULL,
    period     daterange NOT NULL DEFAULT daterange('2020-01-01', '2020-02-01'),
    state      invoice_state NOT NULL DEFAULT 'open',
    expected   price_range,
    total      numeric(14, 2) NOT NULL DEFAULT 0,
    CONSTRAINT invoices_account_fkey FOREIGN KEY (account_id) REFERENCES accounts
        DEFERRABLE INITIALLY DEFERRED,
    CONSTRAINT invoices_period_excl EXCLUDE USING gist
        (int4range(account_id, account_id, '[]') WITH &&, period WITH &&)
);

INSERT INTO invoices (account_id, period, expected)
SELECT a.id, daterange(day, (day + interval '1 month')::date), price_range(10, 20.5, '[]')
  FROM accounts a,
       (VALUES (date '2020-01-01'), ('2020-02-01'), ('2020-03-01')) AS month (day)
 ORDER BY a.id, day;
$upgrade$,
  downgrade => $downgrade$
DROP TABLE invoices;
DROP TYPE price_range, invoice_state;
DROP FUNCTION cents_between;
$downgrade$);
