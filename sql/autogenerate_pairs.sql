-- Pairs of schemas: the way from one to the other, and back.
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS algo_ref CASCADE;
DROP SCHEMA IF EXISTS app, copy CASCADE;
CREATE EXTENSION algo_ref;

CREATE TEMPORARY TABLE pair (since int, title text, live text, declared text);
INSERT INTO pair VALUES
  (15, 'a partition gets a default of its own', $$
   CREATE TABLE p (a int, b int DEFAULT 1) PARTITION BY LIST (a);
   CREATE TABLE c PARTITION OF p FOR VALUES IN (1);
   $$, $$
   CREATE TABLE p (a int, b int DEFAULT 1) PARTITION BY LIST (a);
   CREATE TABLE c PARTITION OF p (b DEFAULT 2) FOR VALUES IN (1);
   $$),
  (15, 'partitions with another default, and with none', $$
   CREATE TABLE x (a int);
   $$, $$
   CREATE TABLE p (a int, b int DEFAULT 1) PARTITION BY LIST (a);
   CREATE TABLE c PARTITION OF p (b DEFAULT 2) FOR VALUES IN (1);
   CREATE TABLE d PARTITION OF p FOR VALUES IN (2);
   ALTER TABLE d ALTER b DROP DEFAULT;
   $$),
  (15, 'a new default of the parent leaves the partition its own', $$
   CREATE TABLE p (a int, b int DEFAULT 1) PARTITION BY LIST (a);
   CREATE TABLE c PARTITION OF p (b DEFAULT 2) FOR VALUES IN (1);
   $$, $$
   CREATE TABLE p (a int, b int DEFAULT 7) PARTITION BY LIST (a);
   CREATE TABLE c PARTITION OF p (b DEFAULT 2) FOR VALUES IN (1);
   $$),
  (15, 'both defaults change', $$
   CREATE TABLE p (a int, b int DEFAULT 1) PARTITION BY LIST (a);
   CREATE TABLE c PARTITION OF p (b DEFAULT 2) FOR VALUES IN (1);
   $$, $$
   CREATE TABLE p (a int, b int DEFAULT 7) PARTITION BY LIST (a);
   CREATE TABLE c PARTITION OF p (b DEFAULT 3) FOR VALUES IN (1);
   $$),
  (15, 'a partition loses its default', $$
   CREATE TABLE p (a int, b int) PARTITION BY LIST (a);
   CREATE TABLE c PARTITION OF p (b DEFAULT 2) FOR VALUES IN (1);
   $$, $$
   CREATE TABLE p (a int, b int) PARTITION BY LIST (a);
   CREATE TABLE c PARTITION OF p FOR VALUES IN (1);
   $$),
  (15, 'a sequence for all partitions', $$
   CREATE TABLE x (a int);
   $$, $$
   CREATE TABLE p (a serial, b int) PARTITION BY LIST (a);
   CREATE TABLE c PARTITION OF p FOR VALUES IN (1);
   $$),
  (15, 'a partition says NOT NULL', $$
   CREATE TABLE p (a int, b int) PARTITION BY LIST (a);
   CREATE TABLE c PARTITION OF p FOR VALUES IN (1);
   $$, $$
   CREATE TABLE p (a int, b int) PARTITION BY LIST (a);
   CREATE TABLE c PARTITION OF p (b NOT NULL) FOR VALUES IN (1);
   $$),
  (15, 'NOT NULL moves to the parent', $$
   CREATE TABLE p (a int, b int) PARTITION BY LIST (a);
   CREATE TABLE c PARTITION OF p (b NOT NULL) FOR VALUES IN (1);
   $$, $$
   CREATE TABLE p (a int, b int NOT NULL) PARTITION BY LIST (a);
   CREATE TABLE c PARTITION OF p FOR VALUES IN (1);
   $$),
  (15, 'both say NOT NULL', $$
   CREATE TABLE p (a int, b int) PARTITION BY LIST (a);
   CREATE TABLE c PARTITION OF p (b NOT NULL) FOR VALUES IN (1);
   $$, $$
   CREATE TABLE p (a int, b int NOT NULL) PARTITION BY LIST (a);
   CREATE TABLE c PARTITION OF p (b NOT NULL) FOR VALUES IN (1);
   $$),
  (15, 'a primary key of one partition', $$
   CREATE TABLE p (a int, b int) PARTITION BY LIST (a);
   CREATE TABLE c PARTITION OF p FOR VALUES IN (1);
   $$, $$
   CREATE TABLE p (a int, b int) PARTITION BY LIST (a);
   CREATE TABLE c PARTITION OF p FOR VALUES IN (1);
   ALTER TABLE c ADD PRIMARY KEY (b);
   $$),
  (15, 'storage and statistics of a partition', $$
   CREATE TABLE p (a int, b text) PARTITION BY LIST (a);
   CREATE TABLE c PARTITION OF p FOR VALUES IN (1);
   $$, $$
   CREATE TABLE p (a int, b text) PARTITION BY LIST (a);
   CREATE TABLE c PARTITION OF p FOR VALUES IN (1);
   ALTER TABLE c ALTER b SET STATISTICS 10, ALTER b SET STORAGE EXTERNAL, ALTER b SET (n_distinct = 4), ALTER b SET COMPRESSION pglz;
   $$),
  (15, 'storage and statistics of all', $$
   CREATE TABLE p (a int, b text) PARTITION BY LIST (a);
   CREATE TABLE c PARTITION OF p FOR VALUES IN (1);
   $$, $$
   CREATE TABLE p (a int, b text) PARTITION BY LIST (a);
   CREATE TABLE c PARTITION OF p FOR VALUES IN (1);
   ALTER TABLE p ALTER b SET STATISTICS 10, ALTER b SET STORAGE EXTERNAL;
   $$),
  (15, 'storage and statistics of new ones', $$
   CREATE TABLE x (a int);
   $$, $$
   CREATE TABLE p (a int, b text) PARTITION BY LIST (a);
   CREATE TABLE c PARTITION OF p FOR VALUES IN (1);
   ALTER TABLE p ALTER b SET STATISTICS 10, ALTER b SET STORAGE EXTERNAL;
   $$),
  (15, 'comment and privileges of a column of a partition', $$
   CREATE TABLE p (a int, b text) PARTITION BY LIST (a);
   CREATE TABLE c PARTITION OF p FOR VALUES IN (1);
   $$, $$
   CREATE TABLE p (a int, b text) PARTITION BY LIST (a);
   CREATE TABLE c PARTITION OF p FOR VALUES IN (1);
   COMMENT ON COLUMN c.b IS 'mine';
   GRANT SELECT (b) ON c TO PUBLIC;
   $$),
  (15, 'a column goes that a partition has words on', $$
   CREATE TABLE p (a int, b text DEFAULT 'x') PARTITION BY LIST (a);
   CREATE TABLE c PARTITION OF p (b DEFAULT 'u' NOT NULL) FOR VALUES IN (1);
   $$, $$
   CREATE TABLE p (a int) PARTITION BY LIST (a);
   CREATE TABLE c PARTITION OF p FOR VALUES IN (1);
   $$),
  (15, 'its type changes', $$
   CREATE TABLE p (a int, b text DEFAULT 'x') PARTITION BY LIST (a);
   CREATE TABLE c PARTITION OF p (b DEFAULT 'u' NOT NULL) FOR VALUES IN (1);
   $$, $$
   CREATE TABLE p (a int, b varchar(3) DEFAULT 'x') PARTITION BY LIST (a);
   CREATE TABLE c PARTITION OF p (b DEFAULT 'u' NOT NULL) FOR VALUES IN (1);
   $$),
  (15, 'an enum of a partitioned table loses a label', $$
   CREATE TYPE e AS ENUM ('a', 'b');
   CREATE TABLE p (a int, b e DEFAULT 'a') PARTITION BY LIST (a);
   CREATE TABLE c PARTITION OF p FOR VALUES IN (1);
   $$, $$
   CREATE TYPE e AS ENUM ('c', 'a');
   CREATE TABLE p (a int, b e DEFAULT 'a') PARTITION BY LIST (a);
   CREATE TABLE c PARTITION OF p FOR VALUES IN (1);
   $$),
  (15, 'an enum of an inherited column loses a label', $$
   CREATE TYPE e AS ENUM ('a', 'b');
   CREATE TABLE p (a int, b e DEFAULT 'a');
   CREATE TABLE c (x e) INHERITS (p);
   $$, $$
   CREATE TYPE e AS ENUM ('c', 'a');
   CREATE TABLE p (a int, b e DEFAULT 'a');
   CREATE TABLE c (x e) INHERITS (p);
   $$),
  (15, 'a child has another default, and NOT NULL', $$
   CREATE TABLE p (a int, b int);
   CREATE TABLE c (x int) INHERITS (p);
   $$, $$
   CREATE TABLE p (a int, b int);
   CREATE TABLE c (x int) INHERITS (p);
   ALTER TABLE c ALTER b SET DEFAULT 3, ALTER b SET NOT NULL;
   $$),
  (15, 'checks of parent and child', $$
   CREATE TABLE p (a int, b int);
   CREATE TABLE c (x int) INHERITS (p);
   $$, $$
   CREATE TABLE p (a int, b int, CONSTRAINT k CHECK (a > 0));
   CREATE TABLE c (x int, CONSTRAINT k2 CHECK (b > 0)) INHERITS (p);
   $$),
  (15, 'a check is inherited from now on', $$
   CREATE TABLE p (a int, b int, CONSTRAINT k CHECK (a > 0) NO INHERIT);
   CREATE TABLE c (x int) INHERITS (p);
   $$, $$
   CREATE TABLE p (a int, b int, CONSTRAINT k CHECK (a > 0));
   CREATE TABLE c (x int) INHERITS (p);
   $$),
  (15, 'a column of both parent and child changes its type', $$
   CREATE TABLE p (a int, b int);
   CREATE TABLE c (a int, x int) INHERITS (p);
   $$, $$
   CREATE TABLE p (a bigint, b int);
   CREATE TABLE c (a bigint, x int) INHERITS (p);
   $$),
  (15, 'columns of both, and two parents', $$
   CREATE TABLE p (a int, b int);
   $$, $$
   CREATE TABLE p (a int, b int);
   CREATE TABLE c (a int DEFAULT 4, x int) INHERITS (p);
   CREATE TABLE q (a int, z int);
   CREATE TABLE m () INHERITS (p, q);
   $$),
  (15, 'an index of a partition with a name of its own', $$
   CREATE TABLE p (a int, b int) PARTITION BY LIST (a);
   CREATE TABLE c PARTITION OF p FOR VALUES IN (1);
   $$, $$
   CREATE TABLE p (a int, b int) PARTITION BY LIST (a);
   CREATE TABLE c PARTITION OF p FOR VALUES IN (1);
   CREATE INDEX odd ON c (b);
   CREATE INDEX i ON p (b);
   COMMENT ON INDEX odd IS 'odd';
   $$),
  (15, 'a trigger that one partition disables', $$
   CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new;
   END';
   CREATE TABLE p (a int, b int) PARTITION BY LIST (a);
   CREATE TABLE c PARTITION OF p FOR VALUES IN (1);
   $$, $$
   CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new;
   END';
   CREATE TABLE p (a int, b int) PARTITION BY LIST (a);
   CREATE TABLE c PARTITION OF p FOR VALUES IN (1);
   CREATE TRIGGER t AFTER INSERT ON p FOR EACH ROW EXECUTE FUNCTION f();
   ALTER TABLE c DISABLE TRIGGER t;
   $$),
  (15, 'foreign keys of and to partitioned tables', $$
   CREATE TABLE k (a int PRIMARY KEY);
   CREATE TABLE p (a int, b int) PARTITION BY LIST (a);
   CREATE TABLE c PARTITION OF p FOR VALUES IN (1);
   $$, $$
   CREATE TABLE k (a int PRIMARY KEY);
   CREATE TABLE p (a int PRIMARY KEY, b int REFERENCES k) PARTITION BY LIST (a);
   CREATE TABLE c PARTITION OF p FOR VALUES IN (1);
   CREATE TABLE u (a int REFERENCES p);
   ALTER TABLE c ADD CONSTRAINT own FOREIGN KEY (a) REFERENCES k;
   $$),
  (15, 'partitions of partitions', $$
   CREATE TABLE p (a int, b int) PARTITION BY LIST (a);
   $$, $$
   CREATE TABLE p (a int, b int) PARTITION BY LIST (a);
   CREATE TABLE c PARTITION OF p (b DEFAULT 3) FOR VALUES IN (1) PARTITION BY RANGE (b);
   CREATE TABLE c1 PARTITION OF c DEFAULT;
   CREATE TABLE c2 PARTITION OF c (b DEFAULT 5) FOR VALUES FROM (1) TO (3);
   COMMENT ON TABLE c2 IS 'x';
   $$),
  (15, 'statistics objects', $$
   CREATE TABLE t (a int, b int);
   $$, $$
   CREATE TABLE t (a int, b int);
   CREATE STATISTICS s (ndistinct) ON a, b FROM t;
   ALTER STATISTICS s SET STATISTICS 50;
   COMMENT ON STATISTICS s IS 'c';
   CREATE STATISTICS "S 2" ON (a + b), b FROM t;
   $$),
  (15, 'a view of a partition''s column, whose type is made anew', $$
   CREATE TYPE e AS ENUM ('a', 'b');
   CREATE TABLE p (a int, b e[]) PARTITION BY LIST (a);
   CREATE TABLE c PARTITION OF p FOR VALUES IN (1);
   CREATE VIEW v AS SELECT b FROM c;
   $$, $$
   CREATE TYPE e AS ENUM ('c', 'a');
   CREATE TABLE p (a int, b e[]) PARTITION BY LIST (a);
   CREATE TABLE c PARTITION OF p FOR VALUES IN (1);
   CREATE VIEW v AS SELECT b FROM c;
   $$),
  (15, 'a range that a column has becomes another one', $$
   CREATE TYPE r AS RANGE (SUBTYPE = numeric);
   CREATE TABLE t (a r, b r_multirange);
   $$, $$
   CREATE TYPE r AS RANGE (SUBTYPE = float8);
   CREATE TABLE t (a r, b r_multirange);
   $$),
  (15, 'its multirange has another name', $$
   CREATE TYPE r AS RANGE (SUBTYPE = numeric, MULTIRANGE_TYPE_NAME = m);
   CREATE TABLE t (a r, b m);
   $$, $$
   CREATE TYPE r AS RANGE (SUBTYPE = numeric, MULTIRANGE_TYPE_NAME = "M");
   CREATE TABLE t (a r, b "M", c r DEFAULT r(1, 2));
   $$),
  (15, 'a range is renamed', $$
   CREATE TYPE r AS RANGE (SUBTYPE = numeric);
   CREATE TABLE t (a r);
   $$, $$
   CREATE TYPE s /* @renamed from=r */ AS RANGE (SUBTYPE = numeric);
   CREATE TABLE t (a s, b s DEFAULT s(1, 2));
   $$),
  (15, 'options of a key''s index', $$
   CREATE TABLE t (a int PRIMARY KEY, b int UNIQUE);
   CREATE TABLE u (a int REFERENCES t);
   $$, $$
   CREATE TABLE t (a int PRIMARY KEY WITH (fillfactor = 80), b int, UNIQUE (b) INCLUDE (a) WITH (fillfactor = 70, deduplicate_items = off) DEFERRABLE);
   CREATE TABLE u (a int REFERENCES t, EXCLUDE (a WITH =) WITH (fillfactor = 60) WHERE (a > 0));
   $$),
  (15, 'a table goes, and another one has a key of that name', $$
   CREATE TABLE a (x int, y int CONSTRAINT k UNIQUE);
   CREATE VIEW v AS SELECT x FROM a;
   CREATE TABLE i (x int);
   CREATE INDEX n ON i (x);
   $$, $$
   CREATE TABLE b (x int, y int CONSTRAINT k UNIQUE, z text);
   CREATE VIEW v AS SELECT x FROM b;
   CREATE TABLE n (x text);
   $$),
  (15, 'tables that need one another go', $$
   CREATE TABLE a (x int PRIMARY KEY);
   CREATE TABLE b (x int PRIMARY KEY REFERENCES a);
   ALTER TABLE a ADD FOREIGN KEY (x) REFERENCES b;
   CREATE TABLE p (a int) PARTITION BY LIST (a);
   CREATE TABLE c PARTITION OF p FOR VALUES IN (1);
   CREATE RULE r AS ON DELETE TO p DO ALSO INSERT INTO c VALUES (1);
   $$, $$
   CREATE TABLE t (a int);
   $$),
  (15, 'privileges on columns stay when those on the table go', $$
   CREATE TABLE t (a int, b int);
   GRANT SELECT, UPDATE ON t TO pg_monitor;
   GRANT SELECT (a), UPDATE (b) ON t TO pg_monitor;
   $$, $$
   CREATE TABLE t (a int, b int);
   GRANT SELECT (a), UPDATE (b) ON t TO pg_monitor;
   $$),
  (15, 'an identity column is renamed', $$
   CREATE TABLE t (a int GENERATED ALWAYS AS IDENTITY, b int GENERATED ALWAYS AS IDENTITY (SEQUENCE NAME s));
   $$, $$
   CREATE TABLE t (c int GENERATED ALWAYS AS IDENTITY, -- @renamed from=a
     b int GENERATED ALWAYS AS IDENTITY);
   $$),
  (15, 'storage and compression, and another type', $$
   CREATE TABLE t (a text COMPRESSION pglz, b text);
   ALTER TABLE t ALTER a SET STORAGE EXTERNAL;
   CREATE INDEX i ON t ((a || 'x'), b);
   ALTER INDEX i ALTER COLUMN 1 SET STATISTICS 44;
   $$, $$
   CREATE TABLE t (a varchar(9) COMPRESSION pglz, b varchar(20));
   ALTER TABLE t ALTER a SET STORAGE EXTERNAL;
   CREATE INDEX i ON t ((a || 'x'), b);
   ALTER INDEX i ALTER COLUMN 1 SET STATISTICS 44;
   $$),
  (15, 'options of a TOAST table that comes with a column', $$
   CREATE TABLE t (a int);
   $$, $$
   CREATE TABLE t (a int, b text) WITH (toast.autovacuum_enabled = false);
   $$),
  (15, 'a sequence whose position is outside of its new bounds', $$
   CREATE SEQUENCE s START WITH 10;
   $$, $$
   CREATE SEQUENCE s INCREMENT BY -1 MAXVALUE -1;
   $$),
  (15, 'an unlogged table with a logged sequence', $$
   CREATE TABLE t (a int);
   CREATE SEQUENCE s OWNED BY t.a;
   $$, $$
   CREATE UNLOGGED TABLE t (a int);
   CREATE SEQUENCE s OWNED BY t.a;
   $$),
  (15, 'labels with quotes', $$
   CREATE TYPE e AS ENUM ('x"y', 'it''s', 'a, b');
   $$, $$
   CREATE TYPE e AS ENUM ('new', 'x"y', 'more, "', 'it''s', 'a, b');
   $$),
  (15, 'an aggregate with a sort operator', $$
   CREATE TABLE t (a int);
   $$, $$
   CREATE TABLE t (a int);
   CREATE AGGREGATE least_of(int) (SFUNC = int4smaller, STYPE = int, SORTOP = <);
   $$),
  (15, 'a partition with keys is renamed', $$
   CREATE TABLE p (a int PRIMARY KEY, b int) PARTITION BY LIST (a);
   CREATE INDEX ON p (b);
   CREATE TABLE c PARTITION OF p FOR VALUES IN (1);
   $$, $$
   CREATE TABLE p (a int PRIMARY KEY, b int) PARTITION BY LIST (a);
   CREATE INDEX ON p (b);
   -- @renamed from=c
   CREATE TABLE d PARTITION OF p FOR VALUES IN (1);
   $$),
  (15, 'a primary key of a partition, and NOT NULL of the whole goes', $$
   CREATE TABLE p (a int, b int NOT NULL) PARTITION BY LIST (a);
   CREATE TABLE c PARTITION OF p FOR VALUES IN (1);
   ALTER TABLE c ADD PRIMARY KEY (b);
   $$, $$
   CREATE TABLE p (a int, b int) PARTITION BY LIST (a);
   CREATE TABLE c PARTITION OF p FOR VALUES IN (1);
   ALTER TABLE c ADD PRIMARY KEY (b);
   $$),
  (15, 'a primary key of inherited columns', $$
   CREATE TABLE p (a int NOT NULL, b int);
   $$, $$
   CREATE TABLE p (a int NOT NULL, b int);
   CREATE TABLE c (x int) INHERITS (p);
   ALTER TABLE c ADD PRIMARY KEY (a, b);
   CREATE STATISTICS s ON b, x FROM c;
   $$),
  (18, 'a domain is made anew, and is still NOT NULL (18)', $$
   CREATE DOMAIN d AS int NOT NULL;
   $$, $$
   CREATE DOMAIN d AS numeric NOT NULL;
   $$),
  (18, 'a name for NOT NULL (18)', $$
   CREATE TABLE t (a int NOT NULL, b int);
   $$, $$
   CREATE TABLE t (a int CONSTRAINT a_there NOT NULL, b int NOT NULL);
   $$),
  (18, 'NOT NULL that is not inherited (18)', $$
   CREATE TABLE t (a int NOT NULL, b int);
   $$, $$
   CREATE TABLE t (a int NOT NULL NO INHERIT, b int, CONSTRAINT bb NOT NULL b NO INHERIT);
   $$),
  (18, 'NOT NULL that is not validated (18)', $$
   CREATE TABLE t (a int, b int NOT NULL);
   $$, $$
   CREATE TABLE t (a int, b int NOT NULL);
   ALTER TABLE t ADD CONSTRAINT x NOT NULL a NOT VALID;
   $$),
  (18, 'it is validated (18)', $$
   CREATE TABLE t (a int, b int NOT NULL);
   ALTER TABLE t ADD CONSTRAINT x NOT NULL a NOT VALID;
   $$, $$
   CREATE TABLE t (a int, b int NOT NULL, CONSTRAINT x NOT NULL a);
   $$),
  (18, 'a comment on NOT NULL, with a name (18)', $$
   CREATE TABLE t (a int NOT NULL);
   $$, $$
   CREATE TABLE t (a int CONSTRAINT a_there NOT NULL);
   COMMENT ON CONSTRAINT a_there ON t IS 'hey';
   $$),
  (18, 'a comment on NOT NULL (18)', $$
   CREATE TABLE t (a int);
   $$, $$
   CREATE TABLE t (a int NOT NULL);
   COMMENT ON CONSTRAINT t_a_not_null ON t IS 'hey';
   $$),
  (18, 'a primary key makes NOT NULL (18)', $$
   CREATE TABLE t (a int, b int);
   $$, $$
   CREATE TABLE t (a int PRIMARY KEY, b int);
   $$),
  (18, 'both go (18)', $$
   CREATE TABLE t (a int PRIMARY KEY, b int);
   $$, $$
   CREATE TABLE t (a int, b int);
   $$),
  (18, 'NOT NULL stays (18)', $$
   CREATE TABLE t (a int PRIMARY KEY, b int);
   $$, $$
   CREATE TABLE t (a int NOT NULL, b int);
   $$),
  (18, 'NOT NULL stays, and another key comes (18)', $$
   CREATE TABLE t (a int PRIMARY KEY, b int);
   $$, $$
   CREATE TABLE t (a int NOT NULL, b int PRIMARY KEY);
   $$),
  (18, 'long names (18)', $$
   CREATE TABLE ttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttt (aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa int);
   $$, $$
   CREATE TABLE ttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttt (aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa int NOT NULL);
   $$),
  (18, 'a child says NOT NULL (18)', $$
   CREATE TABLE p (a int);
   CREATE TABLE c () INHERITS (p);
   $$, $$
   CREATE TABLE p (a int);
   CREATE TABLE c (NOT NULL a) INHERITS (p);
   $$),
  (18, 'a child says NOT NULL, with a name (18)', $$
   CREATE TABLE p (a int);
   $$, $$
   CREATE TABLE p (a int);
   CREATE TABLE c (CONSTRAINT foo NOT NULL a) INHERITS (p);
   $$),
  (18, 'a key of all partitions (18)', $$
   CREATE TABLE p (a int, b int) PARTITION BY LIST (a);
   CREATE TABLE c PARTITION OF p FOR VALUES IN (1);
   $$, $$
   CREATE TABLE p (a int NOT NULL, b int, PRIMARY KEY (a)) PARTITION BY LIST (a);
   CREATE TABLE c PARTITION OF p FOR VALUES IN (1);
   $$),
  (18, 'a partition says NOT NULL (18)', $$
   CREATE TABLE p (a int, b int) PARTITION BY LIST (a);
   CREATE TABLE c PARTITION OF p FOR VALUES IN (1);
   $$, $$
   CREATE TABLE p (a int, b int) PARTITION BY LIST (a);
   CREATE TABLE c PARTITION OF p (b NOT NULL) FOR VALUES IN (1);
   $$),
  (18, 'a virtual column (18)', $$
   CREATE TABLE t (a int);
   $$, $$
   CREATE TABLE t (a int, b int GENERATED ALWAYS AS (a * 2) VIRTUAL);
   $$),
  (18, 'another expression (18)', $$
   CREATE TABLE t (a int, b int GENERATED ALWAYS AS (a * 3) VIRTUAL);
   $$, $$
   CREATE TABLE t (a int, b int GENERATED ALWAYS AS (a * 2) VIRTUAL);
   $$),
  (18, 'another expression under a view (18)', $$
   CREATE TABLE t (a int, b int GENERATED ALWAYS AS (a * 3) VIRTUAL);
   CREATE VIEW v AS SELECT * FROM t;
   $$, $$
   CREATE TABLE t (a int, b int GENERATED ALWAYS AS (a * 2) VIRTUAL);
   CREATE VIEW v AS SELECT * FROM t;
   $$),
  (18, 'a virtual column becomes a real one (18)', $$
   CREATE TABLE t (a int, b int GENERATED ALWAYS AS (a * 3) VIRTUAL);
   $$, $$
   CREATE TABLE t (a int, b int);
   $$),
  (18, 'constraints are no longer enforced (18)', $$
   CREATE TABLE t (a int PRIMARY KEY, b int CONSTRAINT p CHECK (b > 0));
   CREATE TABLE u (a int CONSTRAINT k REFERENCES t);
   $$, $$
   CREATE TABLE t (a int PRIMARY KEY, b int CONSTRAINT p CHECK (b > 0) NOT ENFORCED);
   CREATE TABLE u (a int CONSTRAINT k REFERENCES t NOT ENFORCED);
   $$),
  (18, 'constraints are enforced (18)', $$
   CREATE TABLE t (a int PRIMARY KEY, b int CONSTRAINT p CHECK (b > 0) NOT ENFORCED);
   CREATE TABLE u (a int CONSTRAINT k REFERENCES t NOT ENFORCED);
   $$, $$
   CREATE TABLE t (a int PRIMARY KEY, b int CONSTRAINT p CHECK (b > 0));
   CREATE TABLE u (a int CONSTRAINT k REFERENCES t);
   $$),
  (18, 'temporal keys (18)', $$
   CREATE TABLE t (a int4range, v daterange);
   $$, $$
   CREATE TABLE t (a int4range, v daterange, PRIMARY KEY (a, v WITHOUT OVERLAPS));
   CREATE TABLE u (a int4range, v daterange, UNIQUE (a, v WITHOUT OVERLAPS), FOREIGN KEY (a, PERIOD v) REFERENCES t (a, PERIOD v));
   $$),
  (18, 'temporal keys go (18)', $$
   CREATE TABLE t (a int4range, v daterange, PRIMARY KEY (a, v WITHOUT OVERLAPS));
   CREATE TABLE u (a int4range, v daterange, UNIQUE (a, v WITHOUT OVERLAPS), FOREIGN KEY (a, PERIOD v) REFERENCES t (a, PERIOD v));
   $$, $$
   CREATE TABLE t (a int4range, v daterange, b int);
   CREATE TABLE u (a int4range, v daterange);
   $$),
  (18, 'a typed table (18)', $$
   CREATE TYPE ct AS (a int, b text);
   $$, $$
   CREATE TYPE ct AS (a int, b text);
   CREATE TABLE t OF ct (a NOT NULL, b DEFAULT 'x', PRIMARY KEY (a));
   $$),
  (18, 'a domain with a name for NOT NULL (18)', $$
   CREATE DOMAIN d AS int;
   $$, $$
   CREATE DOMAIN d AS int CONSTRAINT dn NOT NULL;
   $$),
  (18, 'a domain without NOT NULL (18)', $$
   CREATE DOMAIN d AS int NOT NULL;
   CREATE TABLE t (a d);
   $$, $$
   CREATE DOMAIN d AS int;
   CREATE TABLE t (a d);
   $$),
  (18, 'the name changes (18)', $$
   CREATE DOMAIN d AS int NOT NULL;
   $$, $$
   CREATE DOMAIN d AS int CONSTRAINT dn NOT NULL;
   $$),
  (18, 'a foreign key of partitions (18)', $$
   CREATE TABLE t (a int PRIMARY KEY);
   CREATE TABLE u (a int) PARTITION BY LIST (a);
   CREATE TABLE u1 PARTITION OF u FOR VALUES IN (1);
   $$, $$
   CREATE TABLE t (a int PRIMARY KEY);
   CREATE TABLE u (a int REFERENCES t) PARTITION BY LIST (a);
   CREATE TABLE u1 PARTITION OF u FOR VALUES IN (1);
   $$),
  (18, 'a foreign key is deferrable (18)', $$
   CREATE TABLE t (a int PRIMARY KEY);
   CREATE TABLE u (a int CONSTRAINT k REFERENCES t);
   $$, $$
   CREATE TABLE t (a int PRIMARY KEY);
   CREATE TABLE u (a int CONSTRAINT k REFERENCES t DEFERRABLE INITIALLY DEFERRED);
   $$),
  (18, 'an unlogged table with its sequence (18)', $$
   CREATE TABLE t (a int GENERATED ALWAYS AS IDENTITY);
   $$, $$
   CREATE UNLOGGED TABLE t (a int GENERATED ALWAYS AS IDENTITY);
   $$),
  (15, 'statistics keep their target when a column gets another type', $$
   CREATE TABLE t (a int, b varchar(10));
   CREATE STATISTICS s ON a, b FROM t;
   ALTER STATISTICS s SET STATISTICS 54;
   $$, $$
   CREATE TABLE t (a int, b varchar);
   CREATE STATISTICS s ON a, b FROM t;
   ALTER STATISTICS s SET STATISTICS 54;
   $$),
  (15, 'a column behind INCLUDE of a referenced key gets another type', $$
   CREATE TABLE t (a int, b int, UNIQUE (a) INCLUDE (b));
   CREATE TABLE u (a int REFERENCES t (a));
   $$, $$
   CREATE TABLE t (a int, b bigint, UNIQUE (a) INCLUDE (b));
   CREATE TABLE u (a int REFERENCES t (a));
   $$),
  (15, 'a serial column comes to be an ordinary one', $$
   CREATE TABLE t (a serial);
   $$, $$
   CREATE TABLE t (a int DEFAULT -7);
   $$),
  (15, 'a serial column gets an identity', $$
   CREATE TABLE t (a serial);
   $$, $$
   CREATE TABLE t (a int GENERATED ALWAYS AS IDENTITY);
   $$),
  (15, 'partitions of a table that references itself', $$
   CREATE TABLE x (a int);
   $$, $$
   CREATE TABLE p (a int UNIQUE, b int REFERENCES p (a)) PARTITION BY LIST (a);
   CREATE TABLE c PARTITION OF p FOR VALUES IN (1);
   CREATE TABLE d PARTITION OF p FOR VALUES IN (2, 3) PARTITION BY LIST (a);
   CREATE TABLE e PARTITION OF d FOR VALUES IN (2);
   $$),
  (15, 'a partition of a referenced table', $$
   CREATE TABLE p (a int UNIQUE) PARTITION BY LIST (a);
   CREATE TABLE c PARTITION OF p FOR VALUES IN (1);
   CREATE TABLE t (a int REFERENCES p (a));
   $$, $$
   CREATE TABLE p (a int UNIQUE) PARTITION BY LIST (a);
   CREATE TABLE t (a int REFERENCES p (a));
   $$),
  (15, 'a label without a letter gets another name', $$
   CREATE TYPE t AS ENUM ('', 'it''s');
   $$, $$
   CREATE TYPE t AS ENUM ('none', -- @renamed from=''
     'it''s');
   $$),
  (15, 'from a type with a length to an array of it', $$
   CREATE TABLE t (a varchar(60));
   $$, $$
   CREATE TABLE t (a varchar(10)[]);
   $$),
  (15, 'the types of generated columns', $$
   CREATE DOMAIN d AS text;
   CREATE TABLE t (a text, b int, c char(5) GENERATED ALWAYS AS (lower(a)) STORED, d int GENERATED ALWAYS AS (b) STORED,
                   e text GENERATED ALWAYS AS (b) STORED);
   $$, $$
   CREATE DOMAIN d AS text;
   CREATE TABLE t (a text, b int, c d GENERATED ALWAYS AS (lower(a)) STORED, d bigint GENERATED ALWAYS AS (b) STORED,
                   e int GENERATED ALWAYS AS (b) STORED);
   $$),
  (15, 'an index of a partitioned table alone', $$
   CREATE TABLE p (a int, b text) PARTITION BY LIST (a);
   CREATE TABLE c PARTITION OF p FOR VALUES IN (1);
   $$, $$
   CREATE TABLE p (a int, b text) PARTITION BY LIST (a);
   CREATE TABLE c PARTITION OF p FOR VALUES IN (1);
   CREATE INDEX i ON ONLY p (b);
   $$),
  (15, 'an index that one partition of two has', $$
   CREATE TABLE x (a int);
   $$, $$
   CREATE TABLE p (a int, b text) PARTITION BY LIST (a);
   CREATE TABLE c PARTITION OF p FOR VALUES IN (1);
   CREATE TABLE d PARTITION OF p FOR VALUES IN (2);
   CREATE INDEX i ON ONLY p (b);
   CREATE INDEX ON c (b);
   ALTER INDEX i ATTACH PARTITION c_b_idx;
   $$),
  (15, 'the index of the last partition comes', $$
   CREATE TABLE p (a int, b text) PARTITION BY LIST (a);
   CREATE TABLE c PARTITION OF p FOR VALUES IN (1);
   CREATE TABLE d PARTITION OF p FOR VALUES IN (2);
   CREATE INDEX i ON ONLY p (b);
   CREATE INDEX ON c (b);
   ALTER INDEX i ATTACH PARTITION c_b_idx;
   $$, $$
   CREATE TABLE p (a int, b text) PARTITION BY LIST (a);
   CREATE TABLE c PARTITION OF p FOR VALUES IN (1);
   CREATE TABLE d PARTITION OF p FOR VALUES IN (2);
   CREATE INDEX i ON p (b);
   $$),
  (15, 'an index of one partition is that of another', $$
   CREATE TABLE p (a int, b text) PARTITION BY LIST (a);
   CREATE TABLE c PARTITION OF p FOR VALUES IN (1);
   CREATE TABLE d PARTITION OF p FOR VALUES IN (2);
   CREATE TABLE e PARTITION OF p FOR VALUES IN (3);
   CREATE INDEX i ON ONLY p (b);
   CREATE INDEX ON c (b);
   ALTER INDEX i ATTACH PARTITION c_b_idx;
   CREATE INDEX ON e (b);
   ALTER INDEX i ATTACH PARTITION e_b_idx;
   $$, $$
   CREATE TABLE p (a int, b text) PARTITION BY LIST (a);
   CREATE TABLE c PARTITION OF p FOR VALUES IN (1);
   CREATE TABLE d PARTITION OF p FOR VALUES IN (2);
   CREATE TABLE e PARTITION OF p FOR VALUES IN (3);
   CREATE INDEX i ON ONLY p (b);
   CREATE INDEX other ON d (b);
   ALTER INDEX i ATTACH PARTITION other;
   CREATE INDEX ON e (b);
   ALTER INDEX i ATTACH PARTITION e_b_idx;
   $$),
  (15, 'a column of a partitioned table with an index gets another name', $$
   CREATE TABLE p (a int, b text, b2 text, UNIQUE (a, b2)) PARTITION BY LIST (a);
   CREATE TABLE c PARTITION OF p FOR VALUES IN (1);
   CREATE INDEX i ON p (b, b, b2, b2, lower(b));
   $$, $$
   CREATE TABLE p (a int, b text, state text /* @renamed from=b2 */, UNIQUE (a, state)) PARTITION BY LIST (a);
   CREATE TABLE c PARTITION OF p FOR VALUES IN (1);
   CREATE INDEX i ON p (b, b, state, state, lower(b));
   $$),
  (15, 'a check and an index of a column that gets another type', $$
   CREATE TABLE t (a double precision CHECK (a = ANY (ARRAY[1, 2])));
   CREATE INDEX i ON t (a) WHERE a IN (1, 2);
   $$, $$
   CREATE TABLE t (a int CHECK (a = ANY (ARRAY[1, 2])));
   CREATE INDEX i ON t (a) WHERE a IN (1, 2);
   $$),
  (15, 'one of two equal keys goes, and a foreign key needs one', $$
   CREATE TABLE t (a int, b int, CONSTRAINT z UNIQUE (a), FOREIGN KEY (b) REFERENCES t (a));
   ALTER TABLE t ADD UNIQUE (a);
   $$, $$
   CREATE TABLE t (a int, b int, CONSTRAINT z UNIQUE (a), FOREIGN KEY (b) REFERENCES t (a));
   $$),
  (15, 'an identity of a table that gets one that inherits it', $$
   CREATE TABLE t (b text);
   $$, $$
   CREATE TABLE t (a int GENERATED ALWAYS AS IDENTITY, b text);
   CREATE TABLE u () INHERITS (t);
   $$),
  (15, 'names of indexes of partitions that are too long', $$
   CREATE TABLE p (a int, users_of_the_house_and_their_guests int, total_of_what_they_have_spent_in_it int) PARTITION BY LIST (a);
   CREATE TABLE partition_with_a_name_that_is_as_long_as_a_name_of_the_server_x PARTITION OF p FOR VALUES IN (1);
   CREATE TABLE c PARTITION OF p FOR VALUES IN (2);
   CREATE INDEX ON p (users_of_the_house_and_their_guests, total_of_what_they_have_spent_in_it);
   CREATE INDEX ON p (users_of_the_house_and_their_guests, total_of_what_they_have_spent_in_it) WHERE a > 0;
   ALTER TABLE p ADD PRIMARY KEY (a, users_of_the_house_and_their_guests);
   $$, $$
   CREATE TABLE p (a int, people int, -- @renamed from=users_of_the_house_and_their_guests
                   total_of_what_they_have_spent_in_it int) PARTITION BY LIST (a);
   CREATE TABLE partition_with_a_name_that_is_as_long_as_a_name_of_the_server_x PARTITION OF p FOR VALUES IN (1);
   CREATE TABLE c PARTITION OF p FOR VALUES IN (2);
   CREATE INDEX ON p (people, total_of_what_they_have_spent_in_it);
   CREATE INDEX ON p (people, total_of_what_they_have_spent_in_it) WHERE a > 0;
   ALTER TABLE p ADD PRIMARY KEY (a, people);
   $$),
  (15, 'an index of a column that a table has from another', $$
   CREATE TABLE p (a int, b text);
   $$, $$
   CREATE TABLE p (a int, b text);
   CREATE TABLE c () INHERITS (p);
   ALTER TABLE c ADD PRIMARY KEY (a);
   CREATE INDEX ON c (a);
   CREATE INDEX ON c (b);
   ALTER TABLE c ALTER b SET DEFAULT 'x';
   $$);

-- What is wrong with a pair; NULL if nothing is.  The declared schema is built
-- beside, so that the comparison is not the only judge of itself.
CREATE FUNCTION pg_temp.judge(live text, declared text)
RETURNS text
LANGUAGE plpgsql
AS $$
DECLARE
  before text;
  wanted text;
  id text;
BEGIN
  CREATE SCHEMA app;
  CREATE SCHEMA copy;
  PERFORM set_config('search_path', 'copy', true);
  EXECUTE declared;
  wanted := algo_ref.fingerprint('copy');
  PERFORM set_config('search_path', 'app', true);
  EXECUTE live;
  before := algo_ref.fingerprint('app');
  IF before = wanted THEN
    RAISE 'the two are the same';
  END IF;
  id := algo_ref.autogenerate('pair', declared);
  PERFORM algo_ref.upgrade('head', 'app');
  IF algo_ref.fingerprint('app') <> wanted THEN
    RAISE 'the upgrade does not lead there';
  END IF;
  PERFORM algo_ref."check"(declared);
  DROP SCHEMA copy CASCADE;
  CREATE SCHEMA copy;
  PERFORM set_config('search_path', 'copy', true);
  EXECUTE algo_ref.schema_sql('app');
  IF algo_ref.fingerprint('copy') <> wanted THEN
    RAISE 'its DDL makes something else';
  END IF;
  PERFORM set_config('search_path', 'app', true);
  PERFORM algo_ref.downgrade('base', 'app');
  IF algo_ref.fingerprint('app') <> before THEN
    RAISE 'the downgrade does not lead back';
  END IF;
  PERFORM algo_ref.delete_revision(id);
  DROP SCHEMA app, copy CASCADE;
  RETURN NULL;
EXCEPTION WHEN OTHERS THEN
  RETURN sqlerrm;
END
$$;

WITH judged AS MATERIALIZED (
  SELECT title, pg_temp.judge(live, declared) FROM pair
  WHERE since <= current_setting('server_version_num')::int / 10000
)
SELECT * FROM judged WHERE judge IS NOT NULL;

-- The judge finds what is wrong.
SELECT pg_temp.judge('CREATE TABLE t (a int)', 'CREATE TABLE t (a int)');
SELECT pg_temp.judge('CREATE TABLE t (a int)', 'CREATE TEXT SEARCH CONFIGURATION c (COPY = pg_catalog.simple)');

-- The server does not change whether a partitioned table is unlogged, or has none such.
DO $$
BEGIN
  CREATE SCHEMA app;
  SET LOCAL search_path = app;
  CREATE TABLE p (a int) PARTITION BY LIST (a);
  PERFORM algo_ref.diff('CREATE UNLOGGED TABLE p (a int) PARTITION BY LIST (a)');
  RAISE 'no error';
EXCEPTION WHEN feature_not_supported THEN
  NULL;
END
$$;

DROP EXTENSION algo_ref CASCADE;
