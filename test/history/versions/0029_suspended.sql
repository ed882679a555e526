-- A label can be added, but not taken away: the way back makes the type anew.
SELECT algo_ref.revision(
  message => 'users can be suspended',
  id => '60e7a2c1bf29',
  revises => '{f4d3806e5b28}',
  upgrade => $upgrade$
ALTER TYPE user_state ADD VALUE IF NOT EXISTS 'suspended' BEFORE 'blocked';
$upgrade$,
  downgrade => $downgrade$
DROP INDEX users_not_active;
ALTER TABLE users ALTER COLUMN state DROP DEFAULT;
ALTER TYPE user_state RENAME TO user_state_old;
CREATE TYPE user_state AS ENUM ('invited', 'active', 'blocked');
ALTER TABLE users ALTER COLUMN state TYPE user_state
    USING CASE state::text WHEN 'suspended' THEN 'blocked' ELSE state::text END::user_state;
ALTER TABLE users ALTER COLUMN state SET DEFAULT 'invited';
CREATE INDEX users_not_active ON users (state, id) WHERE state <> 'active';
DROP TYPE user_state_old;
$downgrade$);
