/*
 * schema_read_kinds.c: one query for each kind of object.
 *
 * $1 has the schemas.  The first columns say which object it is: its Oid and
 * sub-Oid, its schema, the address of what it is a part of, its name.  The
 * others are the attributes, "name" or "conversion:name"; the conversions are
 * in schema_read.c, and need the search_path of the model.  What begins with an
 * underscore is not compared.
 *
 * The queries run with pg_catalog alone in search_path, and work on every
 * version: what one of them lacks is taken from the row as JSON.
 */
#include "postgres.h"

#include "catalog/pg_am.h"
#include "catalog/pg_attrdef.h"
#include "catalog/pg_class.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_policy.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_rewrite.h"
#include "catalog/pg_statistic_ext.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "common/compat.h"
#include "schema/schema.h"

#define CLASS(id) "'" CppAsString2(id) "'::oid"

#define COMMENT_SUB(class, oid, sub) \
	"(SELECT d.description FROM pg_description d WHERE d.objoid = " oid \
	" AND d.classoid = " CLASS(class) " AND d.objsubid = " sub ") AS comment"
#define COMMENT(class, oid) COMMENT_SUB(class, oid, "0")

#define BTREE CLASS(BTREE_AM_OID)

/*
 * The planner weighs each element of an array by the commonest values of the
 * column: of a thousand schemas, in every query, that takes longer than to read
 * them.  As another type the column has none.
 */
#define IN_SCHEMAS(column) \
	"CASE WHEN cardinality($1) > 50 THEN " column "::int8 = ANY($1::int8[]) ELSE " column " = ANY($1) END"

/* the same as a join, where there are many objects */
#define COMMENT_JOIN(class, oid, sub) \
	"LEFT JOIN pg_description m ON m.objoid = " oid " AND m.classoid = " CLASS(class) " AND m.objsubid = " sub " "

/* a type and its modifier, -1 if it has none, in one number */
#define TYPE(type, modifier) "((" type ")::int8 << 32) + (" modifier ") + 1"

/* no member of an extension */
#define OURS(class, oid) \
	" NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = " CLASS(class) \
	" AND e.objid = " oid " AND e.objsubid = 0 AND e.deptype = 'e') "

#define NO_PARENT "0::oid, 0::oid, 0"

/* what the server keeps for itself among them begins with pg_ */
#define HAS_OPTIONS(array) "EXISTS (SELECT FROM unnest(" array ") o WHERE NOT starts_with(o, 'pg_'))"

/* ALTER SEQUENCE wants all of them, CREATE SEQUENCE those that are unusual. */
#define SEQUENCE_OPTIONS \
	"format('INCREMENT BY %s MINVALUE %s MAXVALUE %s START WITH %s CACHE %s%s CYCLE', " \
	"s.seqincrement, s.seqmin, s.seqmax, s.seqstart, s.seqcache, CASE WHEN s.seqcycle THEN '' ELSE ' NO' END)"
#define SEQUENCE_LIMIT \
	"(CASE s.seqtypid WHEN 21::oid THEN 32767 WHEN 23::oid THEN 2147483647 ELSE 9223372036854775807 END)::int8"
#define SEQUENCE_UNUSUAL \
	"concat(CASE WHEN s.seqincrement <> 1 THEN ' INCREMENT BY ' || s.seqincrement END, " \
	"CASE WHEN s.seqmin <> CASE WHEN s.seqincrement > 0 THEN 1 ELSE -" SEQUENCE_LIMIT " - 1 END THEN ' MINVALUE ' || s.seqmin END, " \
	"CASE WHEN s.seqmax <> CASE WHEN s.seqincrement > 0 THEN " SEQUENCE_LIMIT " ELSE -1 END THEN ' MAXVALUE ' || s.seqmax END, " \
	"CASE WHEN s.seqstart <> CASE WHEN s.seqincrement > 0 THEN s.seqmin ELSE s.seqmax END THEN ' START WITH ' || s.seqstart END, " \
	"CASE WHEN s.seqcache <> 1 THEN ' CACHE ' || s.seqcache END, CASE WHEN s.seqcycle THEN ' CYCLE' END)"

/*
 * That a column is NOT NULL by what its own table says; that a parent says so
 * does not count where the column is the parent's.
 */
#ifdef AR_NOT_NULL_IS_CONSTRAINT
#define NOT_NULL "coalesce(n.conislocal, false)"
#define NOT_NULL_COLUMNS \
	NOT_NULL " AS not_null, " \
	"CASE WHEN n.conislocal THEN concat(CASE WHEN n.conname <> left(c.relname || '_' || a.attname || '_not_null', 63) " \
	"THEN quote_ident(n.conname) END, CASE WHEN n.connoinherit THEN ' NO INHERIT' END, " \
	"CASE WHEN NOT n.convalidated THEN ' NOT VALID' END) END AS not_null_constraint, " \
	"(SELECT d.description FROM pg_description d WHERE d.objoid = n.oid AND d.classoid = " \
	CLASS(ConstraintRelationId) ") AS not_null_comment, quote_ident(n.conname) AS _not_null_name, "
#define NOT_NULL_JOIN \
	"LEFT JOIN pg_constraint n ON n.conrelid = c.oid AND n.contype = 'n' AND n.conkey = ARRAY[a.attnum] "
#define NOT_NULL_SAID NOT_NULL " OR EXISTS (SELECT FROM pg_description d WHERE d.objoid = n.oid AND d.classoid = " \
	CLASS(ConstraintRelationId) ")"
#else
#define NOT_NULL \
	"a.attnotnull AND (a.attislocal OR NOT EXISTS (SELECT FROM pg_inherits h JOIN pg_attribute p ON p.attrelid = h.inhparent " \
	"AND p.attname = a.attname WHERE h.inhrelid = c.oid AND p.attnotnull))"
#define NOT_NULL_COLUMNS \
	NOT_NULL " AS not_null, NULL AS not_null_constraint, NULL AS not_null_comment, NULL AS _not_null_name, "
#define NOT_NULL_JOIN ""
#define NOT_NULL_SAID NOT_NULL
#endif

#define STORAGE \
	"CASE WHEN a.attstorage <> t.typstorage THEN CASE a.attstorage WHEN 'p' THEN 'PLAIN' WHEN 'e' THEN 'EXTERNAL' " \
	"WHEN 'm' THEN 'MAIN' ELSE 'EXTENDED' END END"
#define COMPRESSION "CASE a.attcompression WHEN 'p' THEN 'pglz' WHEN 'l' THEN 'lz4' END"
/*
 * The columns of an index as the server would name them now: a column of the
 * table may have got another name since, and one that is there twice has a
 * number.
 */
#define INDEX_COLUMNS(index) \
	"(SELECT string_agg(CASE WHEN starts_with(y.attname, b.attname) AND substr(y.attname, length(b.attname) + 1) ~ '^\\d*$' THEN y.attname " \
	"ELSE coalesce(b.attname, y.attname) END, '_' ORDER BY y.attnum) " \
	"FROM pg_attribute y JOIN pg_index z ON z.indexrelid = y.attrelid " \
	"LEFT JOIN pg_attribute b ON b.attrelid = z.indrelid AND b.attnum = z.indkey[y.attnum - 1] AND b.attnum <> 0 " \
	"WHERE y.attrelid = " index ".oid)"

/*
 * A name as the server makes it of "a", "b" if there is one, and "label": of
 * what is too long it cuts off the longer part.
 */
#define MADE_ROOM "(62 - length(w.label) - (w.b IS NOT NULL)::int"
#define MADE_NAME \
	"concat_ws('_', left(w.a, greatest" MADE_ROOM " - coalesce(length(w.b), 0), (1 + " MADE_ROOM ")) / 2)), " \
	"left(w.b, greatest" MADE_ROOM " - length(w.a), " MADE_ROOM ") / 2)), w.label)"

/*
 * Has an index that belongs to the one of a partitioned table a name that the
 * server would not choose?  Where it cuts off, it counts bytes, and such names
 * are not looked at closely.
 */
#define ODD_NAME(index, table, suffixes) \
	"EXISTS (SELECT FROM (SELECT " table ".relname::text AS a, CASE WHEN " index ".relname !~ '_pkey\\d*$' THEN " INDEX_COLUMNS(index) " END AS b, " \
	"substring(" index ".relname FROM '_((?:" suffixes ")\\d*)$') AS label) w WHERE w.label IS NULL OR " index ".relname::text <> " MADE_NAME " " \
	"AND (octet_length(concat(w.a, w.b)) = length(concat(w.a, w.b)) OR left(" index ".relname, 15) <> left(concat_ws('_', w.a, w.b, w.label), 15)))"

/* The name that the server would choose, if that is free; with the number that it has. */
#define USUAL_NAME(index, table, columns, suffix) \
	"(SELECT " MADE_NAME " FROM (SELECT " table ".relname::text AS a, " columns " AS b, " \
	"concat(" suffix ", substring(" index ".relname FROM '_(?:pkey|key|excl|idx)(\\d+)$')) AS label) w)"

/* The partitioned index that an index belongs to, if that is not valid: others then do not come with it. */
#define UNFINISHED_WHOLE(index) \
	"SELECT h.inhparent::text AS whole FROM pg_inherits h JOIN pg_index v ON v.indexrelid = h.inhparent " \
	"WHERE h.inhrelid = " index ".oid AND NOT v.indisvalid"

#define TABLESPACE(column) \
	"CASE WHEN " column " <> 0::oid THEN (SELECT spcname::text FROM pg_tablespace x WHERE x.oid = " column ") END"

const char *const ar_schema_read_queries[AR_SCHEMA_KINDS] = {
	[AR_SCHEMA_SCHEMA] =
	"SELECT n.oid, 0, n.oid, " NO_PARENT ", '', n.nspowner AS \"role:owner\", "
	"n.nspacl AS \"acl_schema:acl\", n.nspowner AS \"oid:_owner\", n.nspname::text AS _name, " COMMENT(NamespaceRelationId, "n.oid")
	" FROM pg_namespace n WHERE " IN_SCHEMAS("n.oid"),

	[AR_SCHEMA_EXTENSION] =
	"SELECT x.oid, 0, x.extnamespace, " NO_PARENT ", x.extname::text, x.extversion AS _version"
	" FROM pg_extension x WHERE " IN_SCHEMAS("x.extnamespace"),

	[AR_SCHEMA_COLLATION] =
	"SELECT c.oid, 0, c.collnamespace, " NO_PARENT ", c.collname::text, "
	"CASE c.collprovider WHEN 'i' THEN 'icu' WHEN 'b' THEN 'builtin' ELSE 'libc' END AS provider, "
	"c.collisdeterministic AS deterministic, "
	"coalesce(to_jsonb(c) ->> 'colllocale', to_jsonb(c) ->> 'colliculocale') AS locale, "
	"c.collcollate::text AS lc_collate, c.collctype::text AS lc_ctype, "
	"to_jsonb(c) ->> 'collicurules' AS rules, "
	"c.collowner AS \"owner:owner\", c.collowner AS \"oid:_owner\", " COMMENT(CollationRelationId, "c.oid")
	" FROM pg_collation c WHERE " IN_SCHEMAS("c.collnamespace") " AND " OURS(CollationRelationId, "c.oid"),

	[AR_SCHEMA_ENUM] =
	"SELECT t.oid, 0, t.typnamespace, " NO_PARENT ", t.typname::text, "
	"(SELECT string_agg(quote_literal(e.enumlabel), ', ' ORDER BY e.enumsortorder) FROM pg_enum e WHERE e.enumtypid = t.oid) AS labels, "
	"t.typowner AS \"owner:owner\", t.typacl AS \"acl_type:acl\", t.typowner AS \"oid:_owner\", "
	COMMENT(TypeRelationId, "t.oid")
	" FROM pg_type t WHERE t.typtype = 'e' AND " IN_SCHEMAS("t.typnamespace") " AND " OURS(TypeRelationId, "t.oid"),

	[AR_SCHEMA_COMPOSITE] =
	"SELECT c.oid, 0, c.relnamespace, " NO_PARENT ", t.typname::text, "
	"t.typowner AS \"owner:owner\", t.typacl AS \"acl_type:acl\", t.typowner AS \"oid:_owner\", "
	"t.oid AS \"oid:_type\", " COMMENT(TypeRelationId, "t.oid")
	" FROM pg_class c JOIN pg_type t ON t.oid = c.reltype WHERE c.relkind = 'c' AND " IN_SCHEMAS("c.relnamespace") " AND "
	OURS(TypeRelationId, "t.oid"),

	[AR_SCHEMA_DOMAIN] =
	"SELECT t.oid, 0, t.typnamespace, " NO_PARENT ", t.typname::text, "
	TYPE("t.typbasetype", "t.typtypmod") " AS \"type:base\", "
	"CASE WHEN t.typcollation <> b.typcollation THEN t.typcollation END AS \"collation:collation\", "
	"t.typdefaultbin AS \"expression:default\", t.typnotnull AS not_null, "
	"CASE WHEN n.conname <> left(t.typname || '_not_null', 63) THEN quote_ident(n.conname) END AS not_null_constraint, "
	"(SELECT d.description FROM pg_description d WHERE d.objoid = n.oid AND d.classoid = "
	CLASS(ConstraintRelationId) ") AS not_null_comment, quote_ident(n.conname) AS _not_null_name, "
	"t.typowner AS \"owner:owner\", t.typacl AS \"acl_type:acl\", t.typowner AS \"oid:_owner\", "
	COMMENT(TypeRelationId, "t.oid")
	" FROM pg_type t JOIN pg_type b ON b.oid = t.typbasetype LEFT JOIN pg_constraint n ON n.contypid = t.oid AND n.contype = 'n' "
	"WHERE t.typtype = 'd' AND " IN_SCHEMAS("t.typnamespace") " AND "
	OURS(TypeRelationId, "t.oid"),

	[AR_SCHEMA_DOMAIN_CONSTRAINT] =
	"SELECT c.oid, 0, c.connamespace, " CLASS(TypeRelationId) ", c.contypid, 0, c.conname::text, "
	"c.oid AS \"constraint:definition\", " COMMENT(ConstraintRelationId, "c.oid")
	" FROM pg_constraint c WHERE c.contypid <> 0::oid AND c.contype = 'c' AND " IN_SCHEMAS("c.connamespace"),

	[AR_SCHEMA_RANGE] =
	"SELECT t.oid, 0, t.typnamespace, " NO_PARENT ", t.typname::text, "
	TYPE("r.rngsubtype", "-1") " AS \"type:subtype\", "
	"CASE WHEN NOT o.opcdefault THEN r.rngsubopc END AS \"opclass:subtype_opclass\", "
	"CASE WHEN r.rngcollation <> s.typcollation THEN r.rngcollation END AS \"collation:collation\", "
	"nullif(r.rngcanonical::oid, 0::oid) AS \"function_name:canonical\", "
	"nullif(r.rngsubdiff::oid, 0::oid) AS \"function_name:subtype_diff\", "
	"quote_ident(m.typname) AS multirange, m.oid AS \"oid:_multirange\", "
	"t.typowner AS \"owner:owner\", t.typacl AS \"acl_type:acl\", t.typowner AS \"oid:_owner\", "
	COMMENT(TypeRelationId, "t.oid")
	" FROM pg_type t JOIN pg_range r ON r.rngtypid = t.oid JOIN pg_opclass o ON o.oid = r.rngsubopc "
	"JOIN pg_type s ON s.oid = r.rngsubtype JOIN pg_type m ON m.oid = r.rngmultitypid "
	"WHERE " IN_SCHEMAS("t.typnamespace") " AND " OURS(TypeRelationId, "t.oid"),

	[AR_SCHEMA_SEQUENCE] =
	"SELECT c.oid, 0, c.relnamespace, " NO_PARENT ", c.relname::text, "
	TYPE("s.seqtypid", "-1") " AS \"type:type\", " SEQUENCE_OPTIONS " AS options, " SEQUENCE_UNUSUAL " AS _unusual, "
	"c.relpersistence::text AS persistence, "
	"c.relowner AS \"owner:owner\", c.relacl AS \"acl_sequence:acl\", c.relowner AS \"oid:_owner\", "
	COMMENT(RelationRelationId, "c.oid")
	" FROM pg_class c JOIN pg_sequence s ON s.seqrelid = c.oid WHERE c.relkind = 'S' AND " IN_SCHEMAS("c.relnamespace") " "
	"AND NOT EXISTS (SELECT FROM pg_depend i WHERE i.classid = " CLASS(RelationRelationId)
	" AND i.objid = c.oid AND i.objsubid = 0 AND i.deptype IN ('i', 'e'))",

	[AR_SCHEMA_TABLE] =
	"SELECT c.oid, 0, c.relnamespace, " NO_PARENT ", c.relname::text, c.relkind::text AS kind, "
	"c.relpersistence::text AS persistence, "
	"CASE WHEN c.relkind = 'p' THEN c.oid END AS \"partition_key:partition_key\", "
	"CASE WHEN EXISTS (SELECT FROM pg_inherits i WHERE i.inhrelid = c.oid) THEN (SELECT string_agg(i.inhparent::text, ',' ORDER BY i.inhseqno) "
	"FROM pg_inherits i WHERE i.inhrelid = c.oid) END AS \"relations:parents\", "
	"c.relpartbound AS \"expression:bound\", "
	"c.relispartition AND c.oid IN (SELECT k.confrelid FROM pg_constraint k WHERE k.contype = 'f') AS _is_referenced, "
	"CASE WHEN c.reloftype <> 0::oid THEN " TYPE("c.reloftype", "-1") " END AS \"type:of_type\", "
	"c.reloptions AS \"options:options\", "
	"w.reloptions AS \"toast_options:toast_options\", "
	"CASE WHEN c.relkind = 'r' THEN a.amname::text END AS access_method, "
	TABLESPACE("c.reltablespace") " AS tablespace, "
	"c.relrowsecurity AS row_security, c.relforcerowsecurity AS force_row_security, "
	"CASE WHEN c.relkind = 'f' THEN (SELECT quote_ident(s.srvname) FROM pg_foreign_table f "
	"JOIN pg_foreign_server s ON s.oid = f.ftserver WHERE f.ftrelid = c.oid) END AS server, "
	"CASE WHEN c.relkind = 'f' THEN (SELECT f.ftoptions FROM pg_foreign_table f WHERE f.ftrelid = c.oid) END "
	"AS \"foreign_options:foreign_options\", "
	"c.relowner AS \"owner:owner\", c.relacl AS \"acl_table:acl\", c.relowner AS \"oid:_owner\", c.reltype AS \"oid:_type\", "
	"m.description AS comment"
	" FROM pg_class c LEFT JOIN pg_class w ON w.oid = c.reltoastrelid AND w.relkind = 't' AND w.reloptions IS NOT NULL LEFT JOIN pg_am a ON a.oid = c.relam "
	COMMENT_JOIN(RelationRelationId, "c.oid", "0") "WHERE c.relkind IN ('r', 'p', 'f') AND " IN_SCHEMAS("c.relnamespace") " AND "
	OURS(RelationRelationId, "c.oid"),

	[AR_SCHEMA_VIEW] =
	"SELECT c.oid, 0, c.relnamespace, " NO_PARENT ", c.relname::text, c.relkind::text AS kind, "
	"c.oid AS \"view:definition\", c.reloptions AS \"options:options\", "
	"c.oid AS \"columns:_columns\", "
	"(SELECT a.amname::text FROM pg_am a WHERE a.oid = c.relam AND c.relkind = 'm') AS access_method, "
	TABLESPACE("c.reltablespace") " AS tablespace, c.relispopulated AS _populated, "
	"c.relowner AS \"owner:owner\", c.relacl AS \"acl_table:acl\", c.relowner AS \"oid:_owner\", c.reltype AS \"oid:_type\", "
	"(SELECT r.oid FROM pg_rewrite r WHERE r.ev_class = c.oid AND r.rulename = '_RETURN') AS \"oid:_rule\", "
	COMMENT(RelationRelationId, "c.oid")
	" FROM pg_class c WHERE c.relkind IN ('v', 'm') AND " IN_SCHEMAS("c.relnamespace") " AND "
	OURS(RelationRelationId, "c.oid"),

	[AR_SCHEMA_COLUMN] =
	"SELECT c.oid, a.attnum::int4, c.relnamespace, " CLASS(RelationRelationId) ", c.oid, 0, a.attname::text, "
	TYPE("a.atttypid", "a.atttypmod") " AS \"type:type\", a.atttypid AS \"oid:_type_oid\", "
	"CASE WHEN a.attcollation <> t.typcollation THEN a.attcollation END AS \"collation:collation\", "
	NOT_NULL_COLUMNS
	"CASE a.attgenerated WHEN 's' THEN 'STORED' WHEN 'v' THEN 'VIRTUAL' END AS generated, "
	"CASE WHEN a.attgenerated <> '' THEN (SELECT g.adbin FROM pg_attrdef g WHERE g.adrelid = c.oid AND g.adnum = a.attnum) END "
	"AS \"expression:expression\", "
	"CASE a.attidentity WHEN 'a' THEN 'ALWAYS' WHEN 'd' THEN 'BY DEFAULT' END AS identity, "
	"i.options AS identity_options, i.unusual AS _identity_unusual, "
	"CASE WHEN i.is_odd THEN i.name END AS identity_sequence, i.name AS _identity_name, "
	STORAGE " AS storage, "
	COMPRESSION " AS compression, "
	"CASE WHEN a.attstattarget >= 0 THEN a.attstattarget END AS statistics, "
	"a.attoptions AS \"options:options\", "
	"a.attfdwoptions AS \"foreign_options:foreign_options\", "
	"a.attacl AS \"acl_column:acl\", c.relowner AS \"oid:_owner\", "
	"CASE WHEN a.attgenerated <> '' THEN (SELECT g.oid FROM pg_attrdef g WHERE g.adrelid = c.oid AND g.adnum = a.attnum) END "
	"AS \"oid:_generator\", "
	"t.typstorage::text AS _type_storage, a.attnum AS _position, "
	"i.seqrelid AS \"oid:_sequence\", "
	"m.description AS comment"
	" FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid JOIN pg_type t ON t.oid = a.atttypid " NOT_NULL_JOIN
	/* OFFSET 0, so that it does nothing for other columns */
	"LEFT JOIN LATERAL (SELECT s.seqrelid, " SEQUENCE_OPTIONS " AS options, "
	"quote_ident(q.relname) AS name, q.relname <> left(c.relname || '_' || a.attname || '_seq', 63) AS is_odd, "
	"concat(CASE WHEN q.relname <> left(c.relname || '_' || a.attname || '_seq', 63) "
	"THEN ' SEQUENCE NAME ' || quote_ident(q.relname) END, " SEQUENCE_UNUSUAL ") AS unusual "
	"FROM pg_depend d JOIN pg_sequence s ON s.seqrelid = d.objid JOIN pg_class q ON q.oid = d.objid "
	"WHERE a.attidentity <> '' AND d.refclassid = " CLASS(RelationRelationId) " AND d.refobjid = c.oid "
	"AND d.refobjsubid = a.attnum AND d.deptype = 'i' AND d.classid = " CLASS(RelationRelationId) " OFFSET 0) i ON true "
	COMMENT_JOIN(RelationRelationId, "c.oid", "a.attnum")
	"WHERE c.relkind IN ('r', 'p', 'f', 'v', 'm', 'c') AND " IN_SCHEMAS("c.relnamespace") " AND a.attnum > 0 AND NOT a.attisdropped "
	"AND a.attislocal",

	[AR_SCHEMA_DEFAULT] =
	"SELECT d.oid, 0, c.relnamespace, " CLASS(RelationRelationId) ", c.oid, d.adnum::int4, '', "
	"d.adbin AS \"constant:expression\" FROM pg_class c JOIN pg_attrdef d ON d.adrelid = c.oid "
	"WHERE " IN_SCHEMAS("c.relnamespace"),

	/* only where the table says something of its own */
	[AR_SCHEMA_INHERITED_COLUMN] =
	"SELECT c.oid, a.attnum::int4, c.relnamespace, " CLASS(RelationRelationId) ", c.oid, 0, a.attname::text, "
	NOT_NULL_COLUMNS
	"CASE WHEN d.differs THEN d.adbin END AS \"expression:default\", d.differs AND d.oid IS NULL AS no_default, "
	"CASE WHEN d.differs THEN d.oid END AS \"oid:_generator\", a.attgenerated <> '' AS _is_generated, "
	STORAGE " AS storage, t.typstorage::text AS _type_storage, "
	COMPRESSION " AS compression, "
	"CASE WHEN a.attstattarget >= 0 THEN a.attstattarget END AS statistics, "
	"a.attoptions AS \"options:options\", "
	"a.attfdwoptions AS \"foreign_options:foreign_options\", "
	"a.attacl AS \"acl_column:acl\", c.relowner AS \"oid:_owner\", a.attnum AS _position, "
	COMMENT_SUB(RelationRelationId, "c.oid", "a.attnum")
	" FROM pg_class c JOIN (SELECT DISTINCT inhrelid FROM pg_inherits) k ON k.inhrelid = c.oid "
	"JOIN pg_attribute a ON a.attrelid = c.oid JOIN pg_type t ON t.oid = a.atttypid " NOT_NULL_JOIN
	"LEFT JOIN LATERAL (SELECT d.oid, d.adbin, pg_get_expr(d.adbin, c.oid) IS DISTINCT FROM pg_get_expr(e.adbin, p.attrelid) AS differs "
	"FROM pg_inherits h JOIN pg_attribute p ON p.attrelid = h.inhparent AND p.attname = a.attname AND NOT p.attisdropped "
	"LEFT JOIN pg_attrdef e ON e.adrelid = p.attrelid AND e.adnum = p.attnum "
	"LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum WHERE h.inhrelid = c.oid ORDER BY h.inhseqno LIMIT 1) d ON true "
	"WHERE c.relkind IN ('r', 'p', 'f') AND " IN_SCHEMAS("c.relnamespace") " AND a.attnum > 0 AND NOT a.attisdropped AND NOT a.attislocal "
	"AND (" NOT_NULL_SAID " OR d.differs OR a.attstorage <> t.typstorage OR a.attcompression <> '' OR a.attstattarget >= 0 "
	"OR " HAS_OPTIONS("a.attoptions") " OR a.attfdwoptions IS NOT NULL OR a.attacl IS NOT NULL "
	"OR EXISTS (SELECT FROM pg_description d WHERE d.objoid = c.oid AND d.classoid = "
	CLASS(RelationRelationId) " AND d.objsubid = a.attnum))",

	[AR_SCHEMA_FUNCTION] =
	"SELECT p.oid, 0, p.pronamespace, " NO_PARENT ", p.proname::text, p.oid AS \"signature:!\", "
	"p.prokind::text AS kind, p.oid AS \"function:definition\", p.oid AS \"result:result\", "
	"p.oid AS \"arguments:arguments\", "
	"p.proowner AS \"owner:owner\", p.proacl AS \"acl_function:acl\", p.proowner AS \"oid:_owner\", "
	COMMENT(ProcedureRelationId, "p.oid")
	" FROM pg_proc p WHERE p.prokind <> 'a' AND " IN_SCHEMAS("p.pronamespace") " AND " OURS(ProcedureRelationId, "p.oid")
	"AND NOT EXISTS (SELECT FROM pg_depend i WHERE i.classid = " CLASS(ProcedureRelationId) " AND i.objid = p.oid AND i.deptype = 'i') ",

	[AR_SCHEMA_AGGREGATE] =
	"SELECT p.oid, 0, p.pronamespace, " NO_PARENT ", p.proname::text, p.oid AS \"signature:!\", "
	"a.aggkind::text AS kind, p.proparallel::text AS parallel, a.aggtransfn::oid AS \"function_name:sfunc\", "
	TYPE("a.aggtranstype", "-1") " AS \"type:stype\", nullif(a.aggtransspace, 0) AS sspace, "
	"nullif(a.aggfinalfn::oid, 0::oid) AS \"function_name:finalfunc\", a.aggfinalextra AS finalfunc_extra, "
	"CASE a.aggfinalmodify WHEN CASE a.aggkind WHEN 'n' THEN 'r'::\"char\" ELSE 'w'::\"char\" END THEN NULL WHEN 'r' THEN 'READ_ONLY' "
	"WHEN 's' THEN 'SHAREABLE' ELSE 'READ_WRITE' END AS finalfunc_modify, "
	"nullif(a.aggcombinefn::oid, 0::oid) AS \"function_name:combinefunc\", "
	"nullif(a.aggserialfn::oid, 0::oid) AS \"function_name:serialfunc\", "
	"nullif(a.aggdeserialfn::oid, 0::oid) AS \"function_name:deserialfunc\", quote_literal(a.agginitval) AS initcond, "
	"nullif(a.aggmtransfn::oid, 0::oid) AS \"function_name:msfunc\", nullif(a.aggminvtransfn::oid, 0::oid) AS \"function_name:minvfunc\", "
	"CASE WHEN a.aggmtranstype <> 0::oid THEN " TYPE("a.aggmtranstype", "-1") " END AS \"type:mstype\", "
	"nullif(a.aggmfinalfn::oid, 0::oid) AS \"function_name:mfinalfunc\", quote_literal(a.aggminitval) AS minitcond, "
	"nullif(a.aggsortop, 0::oid) AS \"operator:sortop\", "
	"p.proowner AS \"owner:owner\", p.proacl AS \"acl_function:acl\", p.proowner AS \"oid:_owner\", "
	COMMENT(ProcedureRelationId, "p.oid")
	" FROM pg_proc p JOIN pg_aggregate a ON a.aggfnoid = p.oid WHERE " IN_SCHEMAS("p.pronamespace") " AND " OURS(ProcedureRelationId, "p.oid"),

	[AR_SCHEMA_SEQUENCE_OWNER] =
	"SELECT c.oid, -1, c.relnamespace, " CLASS(RelationRelationId) ", c.oid, 0, '', "
	"d.refobjid || ',' || d.refobjsubid AS \"column:column\""
	" FROM pg_class c JOIN pg_depend d ON d.classid = " CLASS(RelationRelationId)
	" AND d.objid = c.oid AND d.objsubid = 0 AND d.refclassid = " CLASS(RelationRelationId) " AND d.deptype = 'a' "
	"WHERE c.relkind = 'S' AND " IN_SCHEMAS("c.relnamespace"),

	[AR_SCHEMA_CONSTRAINT] =
	"SELECT c.oid, 0, c.connamespace, " CLASS(RelationRelationId) ", c.conrelid, 0, c.conname::text, "
	"c.contype::text AS type, "
	"coalesce(i.reloptions IS NOT NULL OR i.reltablespace <> 0::oid, false) AS _has_options, "
	"CASE WHEN c.contype IN ('p', 'u') AND NOT c.condeferrable AND i.relam = " BTREE " AND i.reloptions IS NULL AND i.reltablespace = 0::oid "
	"AND x.indnatts = x.indnkeyatts AND NOT x.indnullsnotdistinct THEN c.conkey END AS \"plain_key:_plain\", c.oid AS \"constraint:definition\", "
	"c.contype IN ('p', 'u') AND x.indisclustered AS clustered, "
	/* a table that inherits it later has a valid copy of it */
	"CASE WHEN NOT c.convalidated THEN (SELECT string_agg(k.conrelid::text, ' ') FROM pg_constraint k WHERE k.conname = c.conname AND k.connamespace = c.connamespace AND k.contype = 'c' "
	"AND k.coninhcount > 0 AND k.convalidated) END AS _valid_copies, "
	"CASE WHEN c.contype <> 'c' THEN c.conindid END AS \"oid:_index\", c.conparentid AS \"oid:_attached_to\", "
	"CASE WHEN c.conparentid <> 0::oid THEN (SELECT " USUAL_NAME("i", "t", "CASE WHEN c.contype <> 'p' THEN " INDEX_COLUMNS("i") " END",
																 "CASE c.contype WHEN 'p' THEN 'pkey' WHEN 'u' THEN 'key' ELSE 'excl' END")
	" FROM pg_class t, pg_class i WHERE t.oid = c.conrelid AND i.oid = c.conindid) END AS _usual_name, "
	"m.description AS comment"
	" FROM pg_constraint c LEFT JOIN pg_class i ON i.oid = c.conindid AND c.contype <> 'c' LEFT JOIN pg_index x ON x.indexrelid = i.oid "
	COMMENT_JOIN(ConstraintRelationId, "c.oid", "0")
	"WHERE c.contype IN ('c', 'p', 'u', 'x') AND c.conrelid <> 0::oid AND (c.conparentid = 0::oid AND c.conislocal "
	"OR c.contype IN ('p', 'u', 'x') AND EXISTS (SELECT FROM pg_class i, pg_class t WHERE i.oid = c.conindid AND t.oid = c.conrelid "
	"AND i.relispartition AND " ODD_NAME("i", "t", "pkey|key|excl") ")) "
	"AND " IN_SCHEMAS("c.connamespace"),

	[AR_SCHEMA_FOREIGN_KEY] =
	"SELECT c.oid, 0, c.connamespace, " CLASS(RelationRelationId) ", c.conrelid, 0, c.conname::text, "
	"c.oid AS \"constraint:definition\", c.convalidated AS _validated, m.description AS comment FROM pg_constraint c "
	COMMENT_JOIN(ConstraintRelationId, "c.oid", "0") "WHERE c.contype = 'f' AND c.conparentid = 0::oid AND " IN_SCHEMAS("c.connamespace"),

	[AR_SCHEMA_INDEX] =
	"SELECT c.oid, 0, c.relnamespace, " CLASS(RelationRelationId) ", x.indrelid, 0, c.relname::text, "
	"CASE WHEN c.relkind = 'i' AND c.relam = " BTREE " AND c.reloptions IS NULL AND x.indexprs IS NULL AND x.indpred IS NULL "
	"AND x.indnatts = x.indnkeyatts AND NOT x.indnullsnotdistinct THEN x END AS \"plain_index:_plain\", "
	"c.oid AS \"index:definition\", x.indisvalid AS valid, x.indisclustered AS clustered, x.indisunique AS _unique, "
	"CASE WHEN x.indexprs IS NOT NULL THEN (SELECT string_agg(a.attnum || ' ' || a.attstattarget, ', ' ORDER BY a.attnum) "
	"FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attstattarget >= 0) END AS statistics, "
	"CASE WHEN c.relispartition THEN (SELECT h.inhparent FROM pg_inherits h WHERE h.inhrelid = c.oid) END AS \"oid:_attached_to\", "
	"CASE WHEN c.relispartition THEN (SELECT " USUAL_NAME("c", "t", INDEX_COLUMNS("c"), "'idx'") " FROM pg_class t WHERE t.oid = x.indrelid) END AS _usual_name, "
	"CASE WHEN c.relispartition THEN (" UNFINISHED_WHOLE("c") ") END AS \"relations:attached\", "
	TABLESPACE("c.reltablespace") " AS tablespace, m.description AS comment"
	" FROM pg_class c JOIN pg_index x ON x.indexrelid = c.oid " COMMENT_JOIN(RelationRelationId, "c.oid", "0") "WHERE c.relkind IN ('i', 'I') AND (NOT c.relispartition "
	"OR x.indisclustered OR m.objoid IS NOT NULL OR EXISTS (" UNFINISHED_WHOLE("c") ") "
	"OR EXISTS (SELECT FROM pg_class t WHERE t.oid = x.indrelid AND " ODD_NAME("c", "t", "idx") ")) "
	"AND " IN_SCHEMAS("c.relnamespace") " AND NOT EXISTS (SELECT FROM pg_depend i WHERE i.classid = " CLASS(RelationRelationId)
	" AND i.objid = c.oid AND i.objsubid = 0 AND i.deptype = 'i' AND i.refclassid = " CLASS(ConstraintRelationId) ")",

	[AR_SCHEMA_REPLICA_IDENTITY] =
	"SELECT c.oid, -2, c.relnamespace, " CLASS(RelationRelationId) ", c.oid, 0, '', "
	"CASE c.relreplident WHEN 'n' THEN 'NOTHING' WHEN 'f' THEN 'FULL' ELSE 'USING INDEX ' || "
	"(SELECT quote_ident(i.relname) FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid WHERE x.indrelid = c.oid AND x.indisreplident) END AS value, "
	"(SELECT x.indexrelid FROM pg_index x WHERE x.indrelid = c.oid AND x.indisreplident) AS \"oid:_index\""
	" FROM pg_class c WHERE c.relkind IN ('r', 'p') AND c.relreplident <> 'd' AND " IN_SCHEMAS("c.relnamespace"),

	[AR_SCHEMA_STATISTICS] =
	"SELECT s.oid, 0, s.stxnamespace, " NO_PARENT ", s.stxname::text, s.oid AS \"statistics:definition\", "
	"CASE WHEN s.stxstattarget >= 0 THEN s.stxstattarget END AS target, "
	"s.stxowner AS \"owner:owner\", s.stxowner AS \"oid:_owner\", " COMMENT(StatisticExtRelationId, "s.oid")
	" FROM pg_statistic_ext s WHERE " IN_SCHEMAS("s.stxnamespace") " AND " OURS(StatisticExtRelationId, "s.oid"),

	[AR_SCHEMA_RULE] =
	"SELECT r.oid, 0, c.relnamespace, " CLASS(RelationRelationId) ", c.oid, 0, r.rulename::text, "
	"r.oid AS \"rule:definition\", r.ev_enabled::text AS enabled, " COMMENT(RewriteRelationId, "r.oid")
	" FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class WHERE r.rulename <> '_RETURN' AND " IN_SCHEMAS("c.relnamespace"),

	[AR_SCHEMA_TRIGGER] =
	"SELECT t.oid, 0, c.relnamespace, " CLASS(RelationRelationId) ", c.oid, 0, t.tgname::text, "
	"t.oid AS \"trigger:definition\", t.tgenabled::text AS enabled, t.tgparentid <> 0::oid AS _is_clone, t.tgconstraint AS \"oid:_constraint\", " COMMENT(TriggerRelationId, "t.oid")
	" FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid WHERE NOT t.tgisinternal "
	"AND (t.tgparentid = 0::oid OR t.tgenabled <> (SELECT o.tgenabled FROM pg_trigger o WHERE o.oid = t.tgparentid)) "
	"AND " IN_SCHEMAS("c.relnamespace"),

	[AR_SCHEMA_POLICY] =
	"SELECT p.oid, 0, c.relnamespace, " CLASS(RelationRelationId) ", c.oid, 0, p.polname::text, "
	"CASE WHEN p.polpermissive THEN 'PERMISSIVE' ELSE 'RESTRICTIVE' END AS permissive, "
	"CASE p.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE' WHEN 'd' THEN 'DELETE' ELSE 'ALL' END AS command, "
	"(SELECT string_agg(CASE WHEN r = 0::oid THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(r)) END, ', ' ORDER BY pg_get_userbyid(r)) FROM unnest(p.polroles) r) AS roles, "
	"p.polqual AS \"expression:using\", p.polwithcheck AS \"expression:check\", " COMMENT(PolicyRelationId, "p.oid")
	" FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid WHERE " IN_SCHEMAS("c.relnamespace"),

	/* in one line each: what there is, so that it can be seen to change */
	[AR_SCHEMA_UNMANAGED] =
	"SELECT o.oid, 0, o.nsp, " NO_PARENT ", o.name FROM ("
	"SELECT o.oid, o.oprnamespace AS nsp, format('operator %s(%s,%s)', o.oprname, format_type(o.oprleft, -1), format_type(o.oprright, -1)) AS name, 'pg_operator'::regclass AS class FROM pg_operator o "
	"UNION ALL SELECT o.oid, o.opcnamespace, format('operator class %s for %s', o.opcname, (SELECT a.amname FROM pg_am a WHERE a.oid = o.opcmethod)), 'pg_opclass'::regclass FROM pg_opclass o "
	"UNION ALL SELECT o.oid, o.opfnamespace, format('operator family %s for %s', o.opfname, (SELECT a.amname FROM pg_am a WHERE a.oid = o.opfmethod)), 'pg_opfamily'::regclass FROM pg_opfamily o "
	"UNION ALL SELECT o.oid, o.connamespace, 'conversion ' || o.conname, 'pg_conversion'::regclass FROM pg_conversion o "
	"UNION ALL SELECT o.oid, o.cfgnamespace, 'text search configuration ' || o.cfgname, 'pg_ts_config'::regclass FROM pg_ts_config o "
	"UNION ALL SELECT o.oid, o.dictnamespace, 'text search dictionary ' || o.dictname, 'pg_ts_dict'::regclass FROM pg_ts_dict o "
	"UNION ALL SELECT o.oid, o.prsnamespace, 'text search parser ' || o.prsname, 'pg_ts_parser'::regclass FROM pg_ts_parser o "
	"UNION ALL SELECT o.oid, o.tmplnamespace, 'text search template ' || o.tmplname, 'pg_ts_template'::regclass FROM pg_ts_template o "
	"UNION ALL SELECT o.oid, o.typnamespace, 'base type ' || o.typname, 'pg_type'::regclass FROM pg_type o WHERE o.typtype IN ('b', 'p') "
	"AND NOT EXISTS (SELECT FROM pg_type x WHERE x.oid = o.typelem AND x.typarray = o.oid) "
	"UNION ALL SELECT o.oid, o.defaclnamespace, format('default privileges of role %s on %s', pg_get_userbyid(o.defaclrole), o.defaclobjtype), 'pg_default_acl'::regclass FROM pg_default_acl o "
	"UNION ALL SELECT o.oid, n.oid, 'security label of the schema', 'pg_seclabel'::regclass FROM pg_namespace n JOIN pg_seclabel s ON s.objoid = n.oid AND s.classoid = 'pg_namespace'::regclass, LATERAL (SELECT n.oid) o "
	") o WHERE " IN_SCHEMAS("o.nsp") " AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = o.class::oid AND e.objid = o.oid AND e.deptype IN ('e', 'i')) ",
};
