-- Names of relationships: every spelling that is listed names one, and only it.
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS algo_ref CASCADE;
DROP SCHEMA IF EXISTS names, more CASCADE;
RESET client_min_messages;
CREATE EXTENSION algo_ref;
CREATE SCHEMA names;
CREATE SCHEMA more;
SET search_path = names;

-- what goes wrong when all spellings of a table are pasted into a path
CREATE FUNCTION paste(t regclass) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
  r record;
  spelling text;
BEGIN
  FOR r IN SELECT * FROM algo_ref.relationships(t) LOOP
    FOREACH spelling IN ARRAY r.spellings || r.name LOOP
      BEGIN
        PERFORM * FROM algo_ref.prefetch(format('SELECT 1 AS one FROM %s', t), 'pasted:' || spelling);
        PERFORM algo_ref.name_relationship(t, 'named', spelling);
        IF NOT (SELECT x.spellings @> '{named}' FROM algo_ref.relationships(t) x
                WHERE (x.constraint_name, x.target, x.columns, x.target_columns, coalesce(x.via, 0)) =
                      (r.constraint_name, r.target, r.columns, r.target_columns, coalesce(r.via, 0))
                  AND x.name IN ('named', r.name) ORDER BY x.name = 'named' DESC LIMIT 1) THEN
          RETURN NEXT spelling || ' names another one';
        END IF;
        PERFORM algo_ref.name_relationship(t, 'named', NULL);
      EXCEPTION WHEN OTHERS THEN
        RETURN NEXT spelling || ': ' || SQLERRM;
      END;
    END LOOP;
  END LOOP;
END $$;
\pset format unaligned
\pset tuples_only on
CREATE TABLE "user" (id int PRIMARY KEY);
CREATE TABLE item (id int PRIMARY KEY, "inner" int CONSTRAINT "inner" REFERENCES "user", "Odd ""col" int CONSTRAINT "a.b;:!*(" REFERENCES "user", user_id int REFERENCES "user");
SELECT name, kind, spellings FROM algo_ref.relationships('"user"');
SELECT name, kind, spellings FROM algo_ref.relationships('item');
SELECT paste('"user"');
SELECT paste('item');

-- an association table with several keys to either side; one constraint twice
CREATE TABLE a (id int PRIMARY KEY);
CREATE TABLE b (id int PRIMARY KEY, a_id int REFERENCES a, FOREIGN KEY (a_id) REFERENCES a);
CREATE TABLE link (a1 int REFERENCES a, a2 int REFERENCES a, b1 int REFERENCES b, b2 int REFERENCES b, PRIMARY KEY (a1, a2, b1, b2));
SELECT name, kind, constraint_name, spellings FROM algo_ref.relationships('a');
SELECT paste('a');
SELECT paste('b');
INSERT INTO a VALUES (1), (2);
INSERT INTO b VALUES (10), (20);
INSERT INTO link VALUES (1, 2, 10, 20);
SELECT algo_ref.prefetch('SELECT id FROM a ORDER BY id', 'w:b!a1!b1(id)', 'x:b!b2!a1(id)', 'y:b!a2!b1(id)', 'z:b!link!b2!a2(id)', 'to:a!a2(id)', 'from:a!a1!a2(id)');

-- tables and constraints of one name in two schemas
CREATE TABLE more.b (id int PRIMARY KEY, a_id int REFERENCES a);
CREATE TABLE more.link (a1 int REFERENCES a, b1 int REFERENCES more.b, PRIMARY KEY (a1, b1));
CREATE TABLE one (id int PRIMARY KEY, a_id int CONSTRAINT same REFERENCES a);
CREATE TABLE two (id int PRIMARY KEY, a_id int CONSTRAINT same REFERENCES a);
SELECT name, kind, target, spellings FROM algo_ref.relationships('a');
SELECT paste('a');
SELECT algo_ref.prefetch('SELECT id FROM a', 'b!more');
SELECT algo_ref.prefetch('SELECT id FROM a', 'same');
SELECT algo_ref.prefetch('SELECT id FROM a', 'one!more');
SELECT algo_ref.prefetch('SELECT id FROM a', 'one!inner!inner');

-- several declared names, which belong to one relationship only
SELECT algo_ref.name_relationship('a', 'first', 'one');
SELECT algo_ref.name_relationship('a', 'Second "x', 'one');
SELECT algo_ref.name_relationship('a', 'b', 'two');
SELECT name, spellings FROM algo_ref.relationships('a') WHERE constraint_name = 'same';
SELECT paste('a');
SELECT algo_ref.prefetch('SELECT id FROM a WHERE id = 1', 'first', '"Second ""x"', 'b');
ALTER TABLE one RENAME TO three;
SELECT algo_ref.prefetch('SELECT id FROM a WHERE id = 1', 'first');
ALTER TABLE three RENAME TO one;
SELECT algo_ref.prefetch('SELECT id FROM a WHERE id = 1', 'first');
DROP TABLE one;
SELECT algo_ref.prefetch('SELECT id FROM a WHERE id = 1', 'first');
SELECT algo_ref.name_relationship('a', 'first', NULL);

-- mistakes
SELECT algo_ref.name_relationship('a', 'zz', 'nosuch!really');
SELECT algo_ref.name_relationship('a', 'zz', 'x y');
SELECT algo_ref.name_relationship('a', 'zz', '');
SELECT algo_ref.name_relationship('a', 'zz', NULL);
SELECT algo_ref.name_relationship(NULL, 'zz', 'two');
SELECT algo_ref.name_relationship('a', '', 'two');

RESET search_path;
SET client_min_messages = warning;
DROP SCHEMA names, more CASCADE;
DROP EXTENSION algo_ref;
