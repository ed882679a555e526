-- The first table of the application, with the three people who tried it.
SELECT algo_ref.revision(
  message => 'create users',
  id => '3d0c6f1a2b01',
  revises => '{}',
  upgrade => $upgrade$
-- users: who can log in
/* a comment /* within a comment; with a semicolon */ still the outer one; */
CREATE TABLE users (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    email         text NOT NULL,          -- made a domain later
    password      text,                   -- plain text; the next revision ends this
    password_hash text,
    created_at    timestamptz NOT NULL DEFAULT now(),
    full_name     text NOT NULL
);

INSERT INTO users (email, password, full_name) VALUES
    ('ada@example.org', 'enchantress;of--number', 'Ada Lovelace'),
    ('GRACE@Example.org', E'it\'s a \\ bug\n', 'Grace Brewster Hopper'),
    ('zoë@example.org', U&'\006Fpen s\00e9same', 'Zoë'),
    ('edsger@example.org', 'goto; -- never', 'Edsger Dijkstra');
$upgrade$,
  downgrade => $downgrade$
DROP TABLE users -- no semicolon, no newline$downgrade$);
