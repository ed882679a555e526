SELECT algo_ref.revision(
  message => 'accounts with a postal address',
  id => 'a94de0287308',
  revises => '{5c3b9f70ad07}',
  upgrade => $upgrade$
CREATE TYPE postal_address AS (street text, city text, country char(2));
CREATE DOMAIN currency_code AS char(3) DEFAULT 'EUR' CHECK (VALUE ~ '^[A-Z]{3}$');

CREATE TABLE accounts (
    id        integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id   bigint NOT NULL REFERENCES users ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,
    name      text NOT NULL,
    address   postal_address,
    currency  currency_code NOT NULL,
    balance   numeric(14, 2) NOT NULL DEFAULT 0,
    CONSTRAINT accounts_name_key UNIQUE (user_id, name)
);

-- One account for everybody, and a second one for Ada.
WITH everybody AS (
    INSERT INTO accounts (user_id, name, address)
    SELECT id, 'main', ROW ('1; Main Street', 'Springfield', 'US')::postal_address
      FROM users
     ORDER BY id
    RETURNING id, user_id
)
INSERT INTO accounts (user_id, name, currency)
SELECT e.user_id, 'savings', 'GBP'
  FROM everybody e JOIN users u ON u.id = e.user_id
 WHERE u.email = 'ada@example.org'
 ORDER BY e.id;
$upgrade$,
  downgrade => $downgrade$
DROP TABLE accounts;
DROP DOMAIN currency_code;
DROP TYPE postal_address;
$downgrade$);
