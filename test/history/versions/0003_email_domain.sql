SELECT algo_ref.revision(
  message => 'a domain for e-mail addresses, unique whatever the case',
  id => 'c5a90e11d403',
  revises => '{81f4be73c902}',
  upgrade => $upgrade$
CREATE DOMAIN email_address AS text
    CONSTRAINT email_address_form CHECK (VALUE ~ '^[^@[:space:]]+@[^@[:space:]]+\.[a-z]+$');
COMMENT ON DOMAIN email_address IS 'an address as people write it; it''s checked for its form; not for more';

UPDATE users SET email = lower(email) WHERE email <> lower(email);

ALTER TABLE users ALTER COLUMN email TYPE email_address;
CREATE UNIQUE INDEX users_email_key ON users (lower(email));
$upgrade$,
  downgrade => $downgrade$
DROP INDEX users_email_key;
ALTER TABLE users ALTER COLUMN email TYPE text;
DROP DOMAIN email_address;
/* the addresses stay in lower case */$downgrade$);
