SELECT algo_ref.revision(
  message => 'users have a state',
  id => 'e26a4c93b705',
  revises => '{0b7e52d8fa04}',
  upgrade => $upgrade$
CREATE TYPE user_state AS ENUM ('invited', 'active', 'blocked');
ALTER TABLE users ADD COLUMN state user_state NOT NULL DEFAULT 'invited';
UPDATE users SET state = 'active';
CREATE INDEX users_not_active ON users (state, id) WHERE state <> 'active';
$upgrade$,
  downgrade => $downgrade$
ALTER TABLE users DROP COLUMN state;
DROP TYPE user_state;
$downgrade$);
