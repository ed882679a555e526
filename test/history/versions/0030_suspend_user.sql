SELECT algo_ref.revision(
  message => 'suspend a user',
  id => '97bd15f0ce30',
  revises => '{60e7a2c1bf29}',
  upgrade => $upgrade$
CREATE FUNCTION suspend_user(who bigint, OUT before user_state, OUT after user_state)
LANGUAGE plpgsql AS $body$
BEGIN
    SELECT u.state INTO STRICT before FROM users u WHERE u.id = who FOR UPDATE;
    UPDATE users u SET state = 'suspended' WHERE u.id = who RETURNING u.state INTO after;
EXCEPTION
    WHEN no_data_found THEN
        RAISE EXCEPTION 'no user %; none suspended', who;
END
$body$;

-- The label of the revision before this one is used in every way.
SELECT suspend_user(id) FROM users WHERE email = 'reader19@example.org';
UPDATE users SET state = 'suspended' WHERE email = 'reader18@example.org';
CREATE INDEX users_suspended ON users (id) WHERE state = 'suspended';
ALTER TABLE users ADD CONSTRAINT users_suspended_check
    CHECK (state <> 'suspended'::user_state OR email NOT LIKE 'ada@%');
CREATE VIEW user_states AS
    SELECT state, count(*) AS users, bool_or(state IN ('suspended', 'blocked')) AS out_of_service
      FROM users
     GROUP BY state;
$upgrade$,
  downgrade => $downgrade$
DROP VIEW user_states;
ALTER TABLE users DROP CONSTRAINT users_suspended_check;
DROP INDEX users_suspended;
UPDATE users SET state = 'active' WHERE state = 'suspended';
DROP FUNCTION suspend_user;
$downgrade$);
