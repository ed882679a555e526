-- Room relationship: foreign keys as relationships between tables, by name.

-- Declared names of relationships.
CREATE TABLE algo_ref.relationship_alias (
  table_name       text COLLATE "C" NOT NULL,
  alias            text COLLATE "C" NOT NULL,
  constraint_table text COLLATE "C" NOT NULL,
  constraint_name  text COLLATE "C" NOT NULL,
  direction        text COLLATE "C" NOT NULL,
  far_constraint   text COLLATE "C" NOT NULL,
  author           name NOT NULL,
  created_at       timestamptz NOT NULL,
  CONSTRAINT relationship_alias_pkey PRIMARY KEY (table_name, alias)
);

COMMENT ON TABLE algo_ref.relationship_alias IS
  'declared names of relationships; written only by algo_ref''s functions';
COMMENT ON COLUMN algo_ref.relationship_alias.table_name IS 'table from which the relationship is seen, qualified';
COMMENT ON COLUMN algo_ref.relationship_alias.alias IS 'declared name';
COMMENT ON COLUMN algo_ref.relationship_alias.constraint_table IS 'table that has the foreign key, qualified';
COMMENT ON COLUMN algo_ref.relationship_alias.constraint_name IS 'foreign key at the table';
COMMENT ON COLUMN algo_ref.relationship_alias.direction IS 'out: the table''s own key; in: one that refers to it; across: through an association table';
COMMENT ON COLUMN algo_ref.relationship_alias.far_constraint IS 'foreign key from the association table to its far side, or empty';
COMMENT ON COLUMN algo_ref.relationship_alias.author IS 'role that declared it';
COMMENT ON COLUMN algo_ref.relationship_alias.created_at IS 'when it was declared';

REVOKE ALL ON algo_ref.relationship_alias FROM PUBLIC;

SELECT pg_catalog.pg_extension_config_dump('algo_ref.relationship_alias', '');

-- Declare a name for a relationship of a table, and take it away again.
--
-- table         table from which the relationship is seen; the caller owns it
-- alias         the name
-- relationship  the relationship, by any spelling; NULL takes the alias away
--
-- A declared name comes before every other.  It belongs to the tables' and the
-- constraints' names as they are: under others, it has to be declared again.
-- Errors: 22004 NULL; 22023 no such spelling, or ambiguous; 42501 not the
-- table's owner; 42704 no such relationship or alias; 42809 not a table.
CREATE FUNCTION algo_ref.name_relationship("table" regclass, alias text, relationship text)
RETURNS void
AS 'MODULE_PATHNAME', 'algo_ref_name_relationship'
LANGUAGE C VOLATILE PARALLEL UNSAFE;

COMMENT ON FUNCTION algo_ref.name_relationship(regclass, text, text) IS
  'declare a name for a relationship of a table';

REVOKE ALL ON FUNCTION algo_ref.name_relationship(regclass, text, text) FROM PUBLIC;

-- The relationships of a table: its foreign keys, those that refer to it, and
-- what association tables lead to.
--
-- table  any table
--
-- Returns for each: source; name, the spelling that names it and no other;
-- kind: many-to-one, one-to-one, one-to-many or many-to-many; target; the
-- columns on either side; constraint_name, of the foreign key at the table;
-- via, the association table; spellings, all that name it.
-- Errors: 22004 NULL.
CREATE FUNCTION algo_ref.relationships("table" regclass)
RETURNS TABLE (source regclass, name text, kind text, target regclass, columns name[], target_columns name[],
               constraint_name name, via regclass, spellings text[])
AS 'MODULE_PATHNAME', 'algo_ref_relationships'
LANGUAGE C STABLE PARALLEL RESTRICTED;

COMMENT ON FUNCTION algo_ref.relationships(regclass) IS
  'relationships of a table, in both directions, with every spelling';

CREATE VIEW algo_ref.relationship AS
  SELECT r.source, r.name, r.kind, r.target, r.columns, r.target_columns, r.constraint_name, r.via, r.spellings
  FROM pg_catalog.pg_class c
    JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace,
    LATERAL algo_ref.relationships(c.oid) r
  WHERE c.relkind OPERATOR(pg_catalog.=) ANY ('{r,p}')
    AND n.nspname OPERATOR(pg_catalog.<>) ALL ('{pg_catalog,information_schema,algo_ref}')
    AND NOT pg_catalog.starts_with(n.nspname::text, 'pg_toast');

COMMENT ON VIEW algo_ref.relationship IS
  'every relationship of every table';
COMMENT ON COLUMN algo_ref.relationship.source IS 'table from which it is seen';
COMMENT ON COLUMN algo_ref.relationship.name IS 'spelling that names it and no other';
COMMENT ON COLUMN algo_ref.relationship.kind IS 'many-to-one, one-to-one, one-to-many or many-to-many';
COMMENT ON COLUMN algo_ref.relationship.target IS 'table that it leads to';
COMMENT ON COLUMN algo_ref.relationship.columns IS 'columns of the source that are compared';
COMMENT ON COLUMN algo_ref.relationship.target_columns IS 'columns that they are compared with; of the target, or on its side';
COMMENT ON COLUMN algo_ref.relationship.constraint_name IS 'foreign key at the source';
COMMENT ON COLUMN algo_ref.relationship.via IS 'association table of many-to-many';
COMMENT ON COLUMN algo_ref.relationship.spellings IS 'all that name it, the best one first';

REVOKE ALL ON algo_ref.relationship FROM PUBLIC;
