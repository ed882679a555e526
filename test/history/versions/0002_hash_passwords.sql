-- There is no way back: what was hashed cannot be read again.
SELECT algo_ref.revision(
  message => $message$hash passwords

The plain text is gone afterwards, therefore no downgrade.$message$,
  id => '81f4be73c902',
  revises => '{3d0c6f1a2b01}',
  upgrade => $upgrade$
UPDATE users
   SET password_hash = 'sha256$' || encode(sha256(convert_to(password, 'UTF8')), 'hex')
 WHERE password IS NOT NULL;

DO $check$
DECLARE
    missing bigint;
BEGIN
    SELECT count(*) INTO missing FROM users WHERE password_hash IS NULL;
    IF missing > 0 THEN
        RAISE EXCEPTION '% users without a hash; not one password is dropped', missing
            USING ERRCODE = 'check_violation';
    END IF;
END
$check$;

ALTER TABLE users
    DROP COLUMN password,
    ALTER COLUMN password_hash SET NOT NULL;
$upgrade$);
