-- Room revision: the stored scripts, the graph that they form, and what can be
-- asked of it.

-- One row per revision: the script in both directions.  The narrow columns
-- come first, because the graph is read from them alone.
CREATE TABLE algo_ref.script (
  revision      text COLLATE "C" NOT NULL,
  load_order    bigint GENERATED ALWAYS AS IDENTITY,
  revises       text[] COLLATE "C" NOT NULL,
  branch_labels text[] COLLATE "C" NOT NULL,
  depends_on    text[] COLLATE "C" NOT NULL,
  transactional boolean NOT NULL,
  author        name NOT NULL,
  created_at    timestamptz NOT NULL,
  checksum      bytea NOT NULL,
  message       text NOT NULL,
  upgrade       text NOT NULL,
  downgrade     text,
  CONSTRAINT script_pkey PRIMARY KEY (revision),
  CONSTRAINT script_load_order_key UNIQUE (load_order)
);

CREATE INDEX script_revises ON algo_ref.script USING gin (revises) WITH (fastupdate = off);
CREATE INDEX script_branch_labels ON algo_ref.script USING gin (branch_labels) WITH (fastupdate = off)
  WHERE branch_labels OPERATOR(pg_catalog.<>) '{}';

COMMENT ON TABLE algo_ref.script IS
  'migration scripts, both directions; written only by algo_ref''s functions';
COMMENT ON COLUMN algo_ref.script.revision IS 'unique id of the revision';
COMMENT ON COLUMN algo_ref.script.load_order IS 'order of registration; breaks every tie of the planner';
COMMENT ON COLUMN algo_ref.script.revises IS 'ids of the parents (down_revision); empty for a base';
COMMENT ON COLUMN algo_ref.script.branch_labels IS 'labels of the branch that begins here';
COMMENT ON COLUMN algo_ref.script.depends_on IS 'ids or labels of revisions that must be applied first';
COMMENT ON COLUMN algo_ref.script.transactional IS 'false if a statement, in either direction, cannot run inside a transaction';
COMMENT ON COLUMN algo_ref.script.author IS 'role that registered or approved the script';
COMMENT ON COLUMN algo_ref.script.created_at IS 'time of registration';
COMMENT ON COLUMN algo_ref.script.checksum IS 'SHA-256 over the tokens of both directions';
COMMENT ON COLUMN algo_ref.script.message IS 'what the revision is for; the first paragraph is shown in listings';
COMMENT ON COLUMN algo_ref.script.upgrade IS 'SQL that applies the revision';
COMMENT ON COLUMN algo_ref.script.downgrade IS 'SQL that undoes it; NULL if it cannot be undone';

-- What the graph's heads were when "load_order" was the last script: lets
-- "am I at head?" be answered without reading the graph.  Derived; not dumped.
CREATE TABLE algo_ref.head_summary (
  load_order bigint NOT NULL,
  heads      text[] COLLATE "C" NOT NULL,
  real_heads text[] COLLATE "C" NOT NULL
);

COMMENT ON TABLE algo_ref.head_summary IS
  'heads of the graph as of a load order; a cache that is checked before it is believed';
COMMENT ON COLUMN algo_ref.head_summary.load_order IS 'load order of the last script then';
COMMENT ON COLUMN algo_ref.head_summary.heads IS 'revisions without children';
COMMENT ON COLUMN algo_ref.head_summary.real_heads IS 'those on which no other depends: the version rows of a full upgrade';

-- The heads applied to each target schema: Alembic's alembic_version, one for
-- each schema.
CREATE TABLE algo_ref.version (
  schema   name NOT NULL,
  revision text COLLATE "C" NOT NULL,
  position integer NOT NULL,
  since    timestamptz NOT NULL,
  CONSTRAINT version_pkey PRIMARY KEY (schema, revision)
);

COMMENT ON TABLE algo_ref.version IS
  'heads applied to each target schema; written only by algo_ref''s functions';
COMMENT ON COLUMN algo_ref.version.schema IS 'target schema';
COMMENT ON COLUMN algo_ref.version.revision IS 'a current head of that schema';
COMMENT ON COLUMN algo_ref.version.position IS 'place in the stable order of the schema''s rows';
COMMENT ON COLUMN algo_ref.version.since IS 'when this revision became a head of the schema';

REVOKE ALL ON algo_ref.script, algo_ref.head_summary, algo_ref.version FROM PUBLIC;
REVOKE ALL ON SEQUENCE algo_ref.script_load_order_seq FROM PUBLIC;

SELECT pg_catalog.pg_extension_config_dump('algo_ref.script', '');
SELECT pg_catalog.pg_extension_config_dump('algo_ref.script_load_order_seq', '');
SELECT pg_catalog.pg_extension_config_dump('algo_ref.version', '');

-- Registering and exporting scripts (revision_register.c) ---------------------

-- Register a migration script, and return the id of its revision.
--
-- message        what the revision is for; its first paragraph is shown in listings
-- upgrade        SQL that applies the revision; '' for none, as in a merge
-- downgrade      SQL that undoes it; NULL if it cannot be undone
-- id             id of the revision; NULL makes one of 12 random hexadecimal digits
-- revises        parents; '{}' for a base, NULL for the only head
-- splice         parents need not be heads: a new branch is meant (without id)
-- branch_labels  names for the branch that begins here
-- depends_on     revisions, by id or label, that have to be applied before
--
-- With id and revises the call is a script file: it is stored as written, may
-- come in any order, before the revisions it names, and any number of times.
-- Said again, it changes nothing; with other comments, spelling or message,
-- the text is brought up to date; with other content, it takes the place of
-- the one before while that is applied nowhere.  NULL for revises then means
-- the parents that are known.
-- Without id, or with a new one and no revises, parents and dependencies are
-- identifiers of every form that algo_ref.resolve() takes.
--
-- The script is parsed at once, not run.  It cannot end the transaction (BEGIN,
-- COMMIT, ROLLBACK), COPY from or to the client, or hold commands of psql.
-- The caller becomes the author.  Writers wait for each other.
--
-- Errors: 42601 and others of the parser, with line and position; 0A000 the
-- statement cannot be in a script; 22004 NULL; 22023 malformed name, parent
-- given twice, ambiguous identifier; 42704 no such revision; 42710 name is
-- taken, or the revision is applied with other content; 42P17 refers to
-- itself; 55000 several heads, or the parent is not a head.
-- Source: Alembic, command.revision.
CREATE FUNCTION algo_ref.revision(
  message       text,
  upgrade       text DEFAULT '',
  downgrade     text DEFAULT NULL,
  id            text DEFAULT NULL,
  revises       text[] DEFAULT NULL,
  splice        boolean DEFAULT false,
  branch_labels text[] DEFAULT '{}',
  depends_on    text[] DEFAULT '{}')
RETURNS text
AS 'MODULE_PATHNAME', 'algo_ref_revision'
LANGUAGE C VOLATILE PARALLEL UNSAFE;

COMMENT ON FUNCTION algo_ref.revision(text, text, text, text, text[], boolean, text[], text[]) IS
  'register a migration script; returns the id of its revision';

REVOKE ALL ON FUNCTION algo_ref.revision(text, text, text, text, text[], boolean, text[], text[]) FROM PUBLIC;

-- Join branches: register a revision without statements that revises several
-- others, and return its id.
--
-- revisions      the parents, identifiers of every form that stands for revisions
-- message        NULL says "merge a and b"
-- id             NULL makes one
-- branch_labels  names for the branch that begins here
-- splice         the parents need not be heads
--
-- Errors: 55000 fewer than two parents, or one that is not a head; and those
-- of algo_ref.revision().
-- Source: Alembic, command.merge.
CREATE FUNCTION algo_ref.merge(
  revisions     text[] DEFAULT '{heads}',
  message       text DEFAULT NULL,
  id            text DEFAULT NULL,
  branch_labels text[] DEFAULT '{}',
  splice        boolean DEFAULT false)
RETURNS text
AS 'MODULE_PATHNAME', 'algo_ref_merge'
LANGUAGE C VOLATILE PARALLEL UNSAFE;

COMMENT ON FUNCTION algo_ref.merge(text[], text, text, text[], boolean) IS
  'register a revision that joins several heads; returns its id';

REVOKE ALL ON FUNCTION algo_ref.merge(text[], text, text, text[], boolean) FROM PUBLIC;

-- Change a stored script, and return its id.
--
-- identifier     what algo_ref.show() takes, if it stands for one revision
-- message, upgrade, downgrade, revises, branch_labels, depends_on
--                as in algo_ref.revision(), with ids as they are; NULL leaves
--                that part alone
-- irreversible   true takes the downgrade script away; false checks that
--                there is one
--
-- Where the revision is applied, nothing is run: a NOTICE names the schemas.
-- A full id works even if the graph has an error, so that it can be put right.
-- The caller becomes the author.
--
-- Errors: those of algo_ref.revision(); 22023 nothing to change, or a
-- downgrade script for an irreversible revision.
-- Source: Alembic, command.edit.
CREATE FUNCTION algo_ref.edit(
  identifier    text,
  message       text DEFAULT NULL,
  upgrade       text DEFAULT NULL,
  downgrade     text DEFAULT NULL,
  irreversible  boolean DEFAULT NULL,
  revises       text[] DEFAULT NULL,
  branch_labels text[] DEFAULT NULL,
  depends_on    text[] DEFAULT NULL)
RETURNS text
AS 'MODULE_PATHNAME', 'algo_ref_edit'
LANGUAGE C VOLATILE PARALLEL UNSAFE;

COMMENT ON FUNCTION algo_ref.edit(text, text, text, text, boolean, text[], text[], text[]) IS
  'change a stored script; returns its id';

REVOKE ALL ON FUNCTION algo_ref.edit(text, text, text, text, boolean, text[], text[], text[]) FROM PUBLIC;

-- Vouch for scripts: the caller becomes their author.  A script runs for those
-- who trust its author.
--
-- identifier     what algo_ref.show() takes, or a range of identifiers
--
-- Returns the ids.
-- Errors: 22004 NULL; those of algo_ref.show().
CREATE FUNCTION algo_ref.approve(identifier text)
RETURNS SETOF text
AS 'MODULE_PATHNAME', 'algo_ref_approve'
LANGUAGE C VOLATILE PARALLEL UNSAFE;

COMMENT ON FUNCTION algo_ref.approve(text) IS
  'make the caller the author of scripts after review; returns their ids';

REVOKE ALL ON FUNCTION algo_ref.approve(text) FROM PUBLIC;

-- Delete a script that is applied nowhere and that no other revises or depends
-- on, and return its id.
--
-- identifier     what algo_ref.show() takes, if it stands for one revision
--
-- Waits for migrations that are running.
-- Errors: 2BP01 others need it; 55000 it is applied; those of
-- algo_ref.show().
CREATE FUNCTION algo_ref.delete_revision(identifier text)
RETURNS text
AS 'MODULE_PATHNAME', 'algo_ref_delete_revision'
LANGUAGE C VOLATILE PARALLEL UNSAFE;

COMMENT ON FUNCTION algo_ref.delete_revision(text) IS
  'delete a script that is applied nowhere and that no other needs; returns its id';

REVOKE ALL ON FUNCTION algo_ref.delete_revision(text) FROM PUBLIC;

-- Export scripts: each as the statement that recreates it, byte for byte, in
-- another database or from a file.
--
-- identifier     what algo_ref.show() takes, or a range of identifiers; ':' is
--                everything
--
-- A range comes in load order, so that the copy breaks ties as the original
-- does.  Needs SELECT on algo_ref.script.
-- Errors: 22004 NULL; 42501 no privilege; those of algo_ref.show().
CREATE FUNCTION algo_ref.script(identifier text DEFAULT 'heads')
RETURNS SETOF text
AS 'MODULE_PATHNAME', 'algo_ref_script'
LANGUAGE C STABLE PARALLEL UNSAFE;

COMMENT ON FUNCTION algo_ref.script(text) IS
  'the SQL statements that recreate scripts: their export';


-- Asking the graph (revision_api.c) -------------------------------------------

-- What an upgrade, downgrade or stamp would do.  Runs nothing and locks nothing.
--
-- target      identifier; for upgrade and stamp several, separated by commas
-- direction   'upgrade', 'downgrade' or 'stamp'
-- from_heads  version rows to start from, full ids; NULL means those of the
--             current schema.  A downgrade by steps counts from the first.
--
-- Returns one row per step, in the order of execution, with the version rows
-- after it.  No rows: there is nothing to do.
-- Errors: 22023 malformed or ambiguous identifier; 42704 no such revision or
-- branch; 55000 several heads, goals that overlap, or a target that cannot be
-- reached; 42P17, 42710, 42704 the graph itself is broken.
-- Source: Alembic, alembic.script.revision.
CREATE FUNCTION algo_ref.plan(target text, direction text DEFAULT 'upgrade', from_heads text[] DEFAULT NULL)
RETURNS TABLE (ordinal int, direction text, revision text, message text, heads_after text[])
AS 'MODULE_PATHNAME', 'algo_ref_plan'
LANGUAGE C STABLE PARALLEL UNSAFE;

COMMENT ON FUNCTION algo_ref.plan(text, text, text[]) IS
  'the steps that lead to target, with the heads after each; runs nothing';

-- What plan() would do, as a checksum: directions, ids and scripts of the
-- steps.  Review a plan, then pass this to upgrade() or downgrade() as "expect".
--
-- target     as in plan()
-- direction  as in plan()
-- schema     target schema; NULL means current_schema()
--
-- Returns 64 hexadecimal digits.
-- Errors: those of plan(); 3F000 no such schema.
-- Source: terraform plan -out.
CREATE FUNCTION algo_ref.plan_checksum(target text DEFAULT 'head', direction text DEFAULT 'upgrade', schema name DEFAULT NULL)
RETURNS text
AS 'MODULE_PATHNAME', 'algo_ref_plan_checksum'
LANGUAGE C STABLE PARALLEL UNSAFE;

COMMENT ON FUNCTION algo_ref.plan_checksum(text, text, name) IS
  'checksum of the steps that lead to target, for the argument "expect"';

-- The revisions that an identifier stands for.
--
-- identifier  id or unique prefix, label, 'head', 'heads', 'base', 'branch@head', ...
--
-- Returns ids; none for the base.  '-N' counts down from the real heads of the
-- scripts.
-- Errors: 22023 malformed, ambiguous, or relative; 42704 no such revision or
-- branch; 55000 several heads.
-- Source: Alembic, RevisionMap.get_revisions.
CREATE FUNCTION algo_ref.resolve(identifier text)
RETURNS SETOF text
AS 'MODULE_PATHNAME', 'algo_ref_resolve'
LANGUAGE C STABLE PARALLEL UNSAFE;

COMMENT ON FUNCTION algo_ref.resolve(text) IS
  'ids of the revisions that an identifier stands for';

-- The heads of the graph, in load order.  A head on which another branch
-- depends is an effective head: after a full upgrade it has no version row.
--
-- Source: Alembic, command.heads.
CREATE FUNCTION algo_ref.heads()
RETURNS TABLE (revision text, message text, branch_labels text[], is_effective boolean)
AS 'MODULE_PATHNAME', 'algo_ref_heads'
LANGUAGE C STABLE PARALLEL UNSAFE;

COMMENT ON FUNCTION algo_ref.heads() IS
  'revisions without children, effective heads included';

-- The bases of the graph, in load order.
--
-- Source: Alembic, ScriptDirectory.get_bases.
CREATE FUNCTION algo_ref.bases()
RETURNS TABLE (revision text, message text, branch_labels text[], depends_on text[])
AS 'MODULE_PATHNAME', 'algo_ref_bases'
LANGUAGE C STABLE PARALLEL UNSAFE;

COMMENT ON FUNCTION algo_ref.bases() IS
  'revisions without parents';

-- The branch points of the graph, newest first, with their children.
--
-- Source: Alembic, command.branches.
CREATE FUNCTION algo_ref.branches()
RETURNS TABLE (revision text, message text, children text[])
AS 'MODULE_PATHNAME', 'algo_ref_branches'
LANGUAGE C STABLE PARALLEL UNSAFE;

COMMENT ON FUNCTION algo_ref.branches() IS
  'revisions with more than one child';

-- The revisions of a range, newest first.
--
-- range  'start:end', inclusive; either may be left out (the base, the heads)
--        or be 'current'.  NULL means all.  '-N' as start counts down from the
--        real heads of the scripts.
--
-- Returns one row per revision; is_current is that of the current schema.
-- Errors: 22023 malformed; 42704 no such revision or branch; 55000 the ends do
-- not lie on one path.
-- Source: Alembic, command.history.
CREATE FUNCTION algo_ref.history(range text DEFAULT NULL)
RETURNS TABLE (revision text, message text, revises text[], depends_on text[], branch_labels text[],
  is_head boolean, is_effective_head boolean, is_branch_point boolean, is_merge_point boolean, is_current boolean)
AS 'MODULE_PATHNAME', 'algo_ref_history'
LANGUAGE C STABLE PARALLEL UNSAFE;

COMMENT ON FUNCTION algo_ref.history(text) IS
  'the revisions of a range, newest first';

-- Where a schema stands: what is applied to it and has no applied child.
--
-- schema  target schema; NULL means current_schema()
--
-- Returns one row per current revision.  "since" is NULL for an effective head:
-- it is applied, but another one depends on it and has the version row.
-- Errors: 3F000 no such schema; 42704 a version row names an unknown revision.
-- Source: Alembic, command.current.
CREATE FUNCTION algo_ref.current(schema name DEFAULT NULL)
RETURNS TABLE (revision text, message text, is_head boolean, since timestamptz)
AS 'MODULE_PATHNAME', 'algo_ref_current'
LANGUAGE C STABLE PARALLEL UNSAFE;

COMMENT ON FUNCTION algo_ref.current(name) IS
  'the current revisions of a schema';

-- Scripts, whole.
--
-- identifier  what resolve() takes, or 'current'.  A full id works also where
--             the graph is broken.
--
-- Errors: those of resolve().
-- Source: Alembic, command.show.
CREATE FUNCTION algo_ref.show(identifier text)
RETURNS TABLE (revision text, message text, revises text[], branch_labels text[], depends_on text[],
  author name, created_at timestamptz, transactional boolean, checksum bytea, upgrade text, downgrade text)
AS 'MODULE_PATHNAME', 'algo_ref_show'
LANGUAGE C STABLE PARALLEL UNSAFE;

COMMENT ON FUNCTION algo_ref.show(text) IS
  'the scripts that an identifier stands for, with all that is stored of them';

-- The graph, drawn.
--
-- format  'text' (as git log --graph), 'mermaid' or 'dot' (Graphviz)
--
-- Returns lines.
-- Errors: 22023 another format.
-- Source: git log --graph; Mermaid's flowchart; Graphviz.
CREATE FUNCTION algo_ref.graph(format text DEFAULT 'text')
RETURNS SETOF text
AS 'MODULE_PATHNAME', 'algo_ref_graph'
LANGUAGE C STABLE PARALLEL UNSAFE;

COMMENT ON FUNCTION algo_ref.graph(text) IS
  'the graph as text, for Mermaid or for Graphviz';

-- Taking over Alembic's revisions (revision_import.c) -------------------------

-- Register the revisions of an Alembic project from what it prints offline.
--
-- sql             output of "alembic upgrade base:head --sql", or of
--                 "alembic downgrade head:base --sql", or one after the other
-- version_table   name of the project's version table
--
-- Returns the ids of the revisions, in the order of the text.  The output of
-- the downgrade gives their downgrade scripts to revisions that exist; a
-- revision for which none was imported is irreversible.  Parents come from the
-- comments that name the steps, dependencies from the rows that a step takes
-- out of the version table; messages and branch labels are not in the text.
-- Importing the same text again changes nothing.
-- Errors: 22023 the text is no such output; 42601 it is not SQL; and those of
-- algo_ref.revision().
CREATE FUNCTION algo_ref.import_alembic(sql text, version_table text DEFAULT 'alembic_version')
RETURNS SETOF text
AS 'MODULE_PATHNAME', 'algo_ref_import_alembic'
LANGUAGE C VOLATILE PARALLEL UNSAFE;

COMMENT ON FUNCTION algo_ref.import_alembic(text, text) IS
  'register the revisions of an Alembic project from the output of its offline mode';

REVOKE ALL ON FUNCTION algo_ref.import_alembic(text, text) FROM PUBLIC;
