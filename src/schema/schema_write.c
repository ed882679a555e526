/*
 * schema_write.c: CREATE and DROP of an object.
 *
 * What is written, run in a schema where all that the object needs exists,
 * makes the object as the model has it.
 */
#include "postgres.h"

#include "catalog/pg_class.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "schema/schema.h"
#include "utils/builtins.h"

static bool is_like_another(const SchemaObject *key);

/* What the name of an old type ends with while it is replaced. */
#define REPLACED "_replaced"

static char *aside_name(const SchemaObject *object, const char *suffix);
static bool is_renamed(const SchemaObject *object, bool whole_changes);
static void rename_attached(SchemaAction *action, const SchemaObject *object, const char *from, const char *to);
static bool is_attached_to(const SchemaObject *key);
static void create_table(SchemaAction *action, const SchemaObject *table);
static void create_composite(SchemaAction *action, const SchemaObject *type);
static void create_view(SchemaAction *action, const SchemaObject *view);
static void create_range(SchemaAction *action, const SchemaObject *range);
static void create_domain(SchemaAction *action, const SchemaObject *domain);
static void create_collation(SchemaAction *action, const SchemaObject *collation);
static void create_aggregate(SchemaAction *action, const SchemaObject *aggregate);
static void create_policy(SchemaAction *action, const SchemaObject *policy);
static void create_column(SchemaAction *action, const SchemaObject *column);
static void create_index(SchemaAction *action, const SchemaObject *index);
static char *column_definition(const SchemaObject *column);
static void column_extras(SchemaAction *action, const SchemaObject *column);
static void finish_object(SchemaAction *action, const SchemaObject *object,
						  const SchemaOptions *options);
static void enabled_state(SchemaAction *action, const SchemaObject *object, const char *word);
static List *sorted_columns(const SchemaObject *table);
static int	compare_positions(const ListCell *a, const ListCell *b);
static const char *grant_default(const SchemaObject *object);
static SchemaObject *without_own(const SchemaObject *column);
static bool names_not_null(const SchemaObject *column);
static SchemaObject *with_not_null_of(SchemaObject *column, const SchemaObject *other);

/*
 * Add a statement.
 */
void
ar_schema_say(SchemaAction *action, const char *format,...)
{
	StringInfoData text;

	initStringInfo(&text);
	for (;;)
	{
		va_list		args;
		int			needed;

		va_start(args, format);
		needed = appendStringInfoVA(&text, format, args);
		va_end(args);
		if (needed == 0)
			break;
		enlargeStringInfo(&text, needed);
	}
	action->statements = lappend(action->statements, unconstify(char *, ar_schema_faithful(text.data)));
}

/*
 * Add a hazard, once.
 */
void
ar_schema_warn(SchemaAction *action, const char *hazard)
{
	ListCell   *cell;

	foreach(cell, action->hazards)
	{
		if (strcmp(lfirst(cell), hazard) == 0)
			return;
	}
	action->hazards = lappend(action->hazards, pstrdup(hazard));
}

/*
 * The name of an object, qualified where it is not in the target schema; of
 * its own, not of what it is a part of.
 */
char *
ar_schema_name(const SchemaObject *object)
{
	if (object->schema)
		return quote_qualified_identifier(object->schema, object->name);
	return pstrdup(quote_identifier(object->name));
}

/*
 * The name of what the object is a part of.
 */
char *
ar_schema_place_name(const SchemaObject *object)
{
	const SchemaObject *parent = object->parent;

	if (object->kind == AR_SCHEMA_DEFAULT)
		parent = parent->parent;
	return ar_schema_name(parent);
}

/*
 * The name that an old type has while it is replaced.
 */
static char *
aside_name(const SchemaObject *object, const char *suffix)
{
	int			length = pg_mbcliplen(object->name, strlen(object->name), NAMEDATALEN - 1 - strlen(suffix));

	return psprintf("%.*s%s", length, object->name, suffix);
}

/*
 * Make room for a type's new version.  A range has a multirange and functions
 * that make both.
 */
void
ar_schema_put_aside(SchemaAction *action, const SchemaObject *type)
{
	SchemaObject other = *type;

	other.name = aside_name(type, REPLACED);
	ar_schema_say(action, "ALTER %s RENAME TO %s", ar_schema_comment_name(type), quote_identifier(other.name));
	if (type->kind != AR_SCHEMA_RANGE)
		return;
	ar_schema_rename_range(action, type, type->name, other.name);
	ar_schema_rename_multirange(action, &other, ar_schema_value(type, "multirange"),
								quote_identifier(aside_name(type, "_multirange" REPLACED)));
}

/*
 * The functions that make a range follow its name.
 */
void
ar_schema_rename_range(SchemaAction *action, const SchemaObject *range, const char *from, const char *to)
{
	SchemaObject other = *range;
	const char *subtype = ar_schema_value(range, "subtype");
	char	   *new = pstrdup(quote_identifier(to));

	other.name = from;
	ar_schema_say(action, "ALTER FUNCTION %s(%s, %s) RENAME TO %s", ar_schema_name(&other), subtype, subtype, new);
	ar_schema_say(action, "ALTER FUNCTION %s(%s, %s, pg_catalog.text) RENAME TO %s", ar_schema_name(&other), subtype,
				  subtype, new);
}

/*
 * So do those that make a multirange.  The names of the multirange are quoted.
 */
void
ar_schema_rename_multirange(SchemaAction *action, const SchemaObject *range, const char *from, const char *to)
{
	char	   *name = ar_schema_name(range);
	char	   *old = psprintf("%s%s%s", range->schema ? quote_identifier(range->schema) : "", range->schema ? "." : "",
							   from);

	to = pstrdup(to);
	ar_schema_say(action, "ALTER FUNCTION %s() RENAME TO %s", old, to);
	ar_schema_say(action, "ALTER FUNCTION %s(%s) RENAME TO %s", old, name, to);
	ar_schema_say(action, "ALTER FUNCTION %s(VARIADIC %s[]) RENAME TO %s", old, name, to);
	ar_schema_say(action, "ALTER TYPE %s RENAME TO %s", old, to);
}

/*
 * An object as COMMENT ON names it.
 */
char *
ar_schema_comment_name(const SchemaObject *object)
{
	char	   *name = ar_schema_name(object);

	switch (object->kind)
	{
		case AR_SCHEMA_SCHEMA:
			return psprintf("SCHEMA %s", quote_identifier(ar_schema_value(object, "_name")));
		case AR_SCHEMA_EXTENSION:
			return psprintf("EXTENSION %s", quote_identifier(object->name));
		case AR_SCHEMA_COLLATION:
			return psprintf("COLLATION %s", name);
		case AR_SCHEMA_ENUM:
		case AR_SCHEMA_COMPOSITE:
		case AR_SCHEMA_RANGE:
			return psprintf("TYPE %s", name);
		case AR_SCHEMA_DOMAIN:
			return psprintf("DOMAIN %s", name);
		case AR_SCHEMA_DOMAIN_CONSTRAINT:
			return psprintf("CONSTRAINT %s ON DOMAIN %s", quote_identifier(object->name),
							ar_schema_place_name(object));
		case AR_SCHEMA_SEQUENCE:
			return psprintf("SEQUENCE %s", name);
		case AR_SCHEMA_TABLE:
			return psprintf("%s %s", strcmp(ar_schema_value(object, "kind"), "f") == 0 ?
							"FOREIGN TABLE" : "TABLE", name);
		case AR_SCHEMA_VIEW:
			return psprintf("%s %s", strcmp(ar_schema_value(object, "kind"), "m") == 0 ?
							"MATERIALIZED VIEW" : "VIEW", name);
		case AR_SCHEMA_COLUMN:
		case AR_SCHEMA_INHERITED_COLUMN:
			return psprintf("COLUMN %s.%s", ar_schema_place_name(object),
							quote_identifier(object->name));
		case AR_SCHEMA_FUNCTION:
			return psprintf("%s %s(%s)", strcmp(ar_schema_value(object, "kind"), "p") == 0 ?
							"PROCEDURE" : "FUNCTION", name, object->arguments);
		case AR_SCHEMA_AGGREGATE:
			return psprintf("AGGREGATE %s(%s)", name,
							object->arguments[0] ? object->arguments : "*");
		case AR_SCHEMA_CONSTRAINT:
		case AR_SCHEMA_FOREIGN_KEY:
			return psprintf("CONSTRAINT %s ON %s", quote_identifier(object->name),
							ar_schema_place_name(object));
		case AR_SCHEMA_INDEX:
			return psprintf("INDEX %s", name);
		case AR_SCHEMA_STATISTICS:
			return psprintf("STATISTICS %s", name);
		case AR_SCHEMA_RULE:
			return psprintf("RULE %s ON %s", quote_identifier(object->name),
							ar_schema_place_name(object));
		case AR_SCHEMA_TRIGGER:
			return psprintf("TRIGGER %s ON %s", quote_identifier(object->name),
							ar_schema_place_name(object));
		case AR_SCHEMA_POLICY:
			return psprintf("POLICY %s ON %s", quote_identifier(object->name),
							ar_schema_place_name(object));
		default:
			elog(ERROR, "%s cannot have a comment", object->identity);
			return NULL;
	}
}

/*
 * An object as GRANT ... ON names it; a column as "(column) TABLE name".
 */
char *
ar_schema_grant_name(const SchemaObject *object)
{
	switch (object->kind)
	{
		case AR_SCHEMA_COLUMN:
		case AR_SCHEMA_INHERITED_COLUMN:
			return psprintf("(%s) TABLE %s", quote_identifier(object->name),
							ar_schema_place_name(object));
		case AR_SCHEMA_TABLE:
		case AR_SCHEMA_VIEW:
			return psprintf("TABLE %s", ar_schema_name(object));
		case AR_SCHEMA_DOMAIN:
			return psprintf("TYPE %s", ar_schema_name(object));
		case AR_SCHEMA_AGGREGATE:
			return psprintf("FUNCTION %s(%s)", ar_schema_name(object), object->arguments);
		default:
			return ar_schema_comment_name(object);
	}
}

/*
 * Can the part be written into the CREATE of the whole?  What may need
 * something that needs the whole, cannot.
 */
bool
ar_schema_is_inline(const SchemaObject *object)
{
	const SchemaObject *table = object->kind == AR_SCHEMA_DEFAULT ? object->parent->parent : object->parent;
	ListCell   *cell;

	if (object->kind == AR_SCHEMA_COLUMN || object->kind == AR_SCHEMA_DOMAIN_CONSTRAINT)
		return true;
	if (object->kind == AR_SCHEMA_INHERITED_COLUMN)
		return names_not_null(object) && ar_schema_value(object, "_generator") == NULL;
	if (object->kind != AR_SCHEMA_DEFAULT && object->kind != AR_SCHEMA_CONSTRAINT)
		return false;
	/* those of the partitions are to be there first */
	if (object->kind == AR_SCHEMA_CONSTRAINT && is_attached_to(object))
		return false;
	if (table->kind != AR_SCHEMA_TABLE || ar_schema_value(table, "bound") ||
		ar_schema_value(table, "of_type"))
		return false;
	if (object->kind == AR_SCHEMA_CONSTRAINT &&
		(strstr(ar_schema_value(object, "definition"), " NOT VALID") || is_like_another(object)))
		return false;
	/* it would make what is NOT NULL by the parent so by itself */
	if (object->kind == AR_SCHEMA_CONSTRAINT && ar_schema_value(table, "parents") &&
		strcmp(ar_schema_value(object, "type"), "p") == 0)
		return false;
	foreach(cell, object->needs)
	{
		SchemaObject *need = lfirst(cell);

		/* comes after the table */
		if (need->kind == AR_SCHEMA_INHERITED_COLUMN && !ar_schema_is_inline(need))
			return false;
		if (need->kind == AR_SCHEMA_FUNCTION || need->kind == AR_SCHEMA_AGGREGATE ||
			(need->kind == AR_SCHEMA_TABLE && need != table))
			return false;
	}
	return true;
}

/*
 * Is there another key of the same columns?  CREATE TABLE makes one of both.
 */
static bool
is_like_another(const SchemaObject *key)
{
	ListCell   *cell;

	if (strchr("pux", ar_schema_value(key, "type")[0]) == NULL)
		return false;
	foreach(cell, key->parent->parts)
	{
		SchemaObject *other = lfirst(cell);

		if (other == key)
			return false;
		if (other->kind == AR_SCHEMA_CONSTRAINT && strchr("pux", ar_schema_value(other, "type")[0]) &&
			ar_schema_same_columns(key, other))
			return true;
	}
	return false;
}

/*
 * Do two keys or indexes name the same columns in the same order?
 */
bool
ar_schema_same_columns(const SchemaObject *a, const SchemaObject *b)
{
	const char *left = strchr(ar_schema_value(a, "definition"), '(');
	const char *right = strchr(ar_schema_value(b, "definition"), '(');

	return left && right && strncmp(left, right, strcspn(left, ")") + 1) == 0;
}

/*
 * An index or a key of a partition is in the model for its name.  Where that
 * of the partitioned table stays, the name is all that comes and goes.  Only
 * one that is not valid does not have one in each partition.
 */
static bool
is_renamed(const SchemaObject *object, bool whole_changes)
{
	return (object->kind == AR_SCHEMA_INDEX || object->kind == AR_SCHEMA_CONSTRAINT) && object->attached_to &&
		!whole_changes && ar_schema_value(object, "_usual_name") &&
		(object->kind == AR_SCHEMA_CONSTRAINT || ar_schema_value(object, "attached") == NULL);
}

static void
rename_attached(SchemaAction *action, const SchemaObject *object, const char *from, const char *to)
{
	SchemaObject index = *object;

	if (strcmp(from, to) == 0)
		return;
	index.parent = NULL;
	index.name = from;
	ar_schema_say(action, "ALTER INDEX %s RENAME TO %s", ar_schema_name(&index), quote_identifier(to));
}

static bool
is_attached_to(const SchemaObject *key)
{
	ListCell   *cell;
	ListCell   *part;

	foreach(cell, key->parent->users)
	{
		const SchemaObject *table = lfirst(cell);

		if (table->kind != AR_SCHEMA_TABLE)
			continue;
		foreach(part, table->parts)
		{
			const SchemaObject *object = lfirst(part);

			if (object->attached_to == key)
				return true;
		}
	}
	return false;
}

/*
 * The statements that create an object, with the parts that are marked as
 * with_parent, its comment, its owner and its privileges.
 */
void
ar_schema_create(SchemaAction *action, const SchemaObject *object, const SchemaOptions *options)
{
	char	   *name = ar_schema_name(object);
	char	   *place = object->parent ? ar_schema_place_name(object) : NULL;
	ListCell   *cell;

	switch (object->kind)
	{
		case AR_SCHEMA_SCHEMA:
			if (object->schema)
				ar_schema_say(action, "CREATE SCHEMA %s", quote_identifier(object->schema));
			break;
		case AR_SCHEMA_EXTENSION:
			if (object->schema)
				ar_schema_say(action, "CREATE EXTENSION %s SCHEMA %s", quote_identifier(object->name),
							  quote_identifier(object->schema));
			else
				ar_schema_say(action, "CREATE EXTENSION %s", quote_identifier(object->name));
			break;
		case AR_SCHEMA_COLLATION:
			create_collation(action, object);
			break;
		case AR_SCHEMA_ENUM:
			ar_schema_say(action, "CREATE TYPE %s AS ENUM (%s)", name,
						  ar_schema_value(object, "labels") ? ar_schema_value(object, "labels") : "");
			break;
		case AR_SCHEMA_COMPOSITE:
			create_composite(action, object);
			break;
		case AR_SCHEMA_DOMAIN:
			create_domain(action, object);
			break;
		case AR_SCHEMA_DOMAIN_CONSTRAINT:
			ar_schema_say(action, "ALTER DOMAIN %s ADD CONSTRAINT %s %s", place,
						  quote_identifier(object->name), ar_schema_value(object, "definition"));
			ar_schema_warn(action, AR_HAZARD_SCANS);
			break;
		case AR_SCHEMA_RANGE:
			create_range(action, object);
			break;
		case AR_SCHEMA_SEQUENCE:
			ar_schema_say(action, "CREATE %sSEQUENCE %s%s%s%s",
						  strcmp(ar_schema_value(object, "persistence"), "u") == 0 ? "UNLOGGED " : "",
						  name,
						  strcmp(ar_schema_value(object, "type"), "bigint") == 0 ? "" : " AS ",
						  strcmp(ar_schema_value(object, "type"), "bigint") == 0 ? "" :
						  ar_schema_value(object, "type"),
						  ar_schema_value(object, "_unusual"));
			break;
		case AR_SCHEMA_TABLE:
			create_table(action, object);
			break;
		case AR_SCHEMA_VIEW:
			create_view(action, object);
			break;
		case AR_SCHEMA_COLUMN:
			create_column(action, object);
			break;
		case AR_SCHEMA_INHERITED_COLUMN:
			ar_schema_alter(action, without_own(object), object, options);
			return;
		case AR_SCHEMA_FUNCTION:
			ar_schema_say(action, "%s", ar_schema_value(object, "definition"));
			break;
		case AR_SCHEMA_AGGREGATE:
			create_aggregate(action, object);
			break;
		case AR_SCHEMA_DEFAULT:
			ar_schema_say(action, "ALTER TABLE %s ALTER COLUMN %s SET DEFAULT %s", place,
						  quote_identifier(object->parent->name), ar_schema_value(object, "expression"));
			break;
		case AR_SCHEMA_SEQUENCE_OWNER:
			ar_schema_say(action, "ALTER SEQUENCE %s OWNED BY %s", place,
						  ar_schema_value(object, "column"));
			break;
		case AR_SCHEMA_CONSTRAINT:
		case AR_SCHEMA_FOREIGN_KEY:
			if (is_renamed(object, object->attached_to && object->attached_to->created))
			{
				rename_attached(action, object, ar_schema_value(object, "_usual_name"), object->name);
				break;
			}
			ar_schema_say(action, "ALTER TABLE %s ADD CONSTRAINT %s %s", place,
						  quote_identifier(object->name), ar_schema_value(object, "definition"));
			foreach(cell, object->valid_copies)
				ar_schema_say(action, "ALTER TABLE %s VALIDATE CONSTRAINT %s", ar_schema_name(lfirst(cell)),
							  quote_identifier(object->name));
			if (strstr(ar_schema_value(object, "definition"), " NOT VALID") == NULL || object->valid_copies != NIL)
				ar_schema_warn(action, AR_HAZARD_SCANS);
			ar_schema_warn(action, AR_HAZARD_BLOCKS_WRITES);
			if (object->kind == AR_SCHEMA_CONSTRAINT)
				ar_schema_warn(action, AR_HAZARD_BLOCKS_READS);
			break;
		case AR_SCHEMA_INDEX:
			if (is_renamed(object, object->attached_to && object->attached_to->created))
			{
				rename_attached(action, object, ar_schema_value(object, "_usual_name"), object->name);
				if (ar_schema_flag(object, "clustered"))
					ar_schema_say(action, "ALTER TABLE %s CLUSTER ON %s", place, quote_identifier(object->name));
			}
			else
				create_index(action, object);
			break;
		case AR_SCHEMA_REPLICA_IDENTITY:
			ar_schema_say(action, "ALTER TABLE %s REPLICA IDENTITY %s", place,
						  ar_schema_value(object, "value"));
			break;
		case AR_SCHEMA_STATISTICS:
			ar_schema_say(action, "%s", ar_schema_value(object, "definition"));
			if (ar_schema_value(object, "target"))
				ar_schema_say(action, "ALTER STATISTICS %s SET STATISTICS %s", name,
							  ar_schema_value(object, "target"));
			break;
		case AR_SCHEMA_RULE:
			ar_schema_say(action, "%s", ar_schema_value(object, "definition"));
			enabled_state(action, object, "RULE");
			break;
		case AR_SCHEMA_TRIGGER:
			/* that of a partition comes with the partitioned table's */
			if (ar_schema_flag(object, "_is_clone"))
				ar_schema_say(action, "ALTER TABLE %s ENABLE TRIGGER %s", place, quote_identifier(object->name));
			else
				ar_schema_say(action, "%s", ar_schema_value(object, "definition"));
			enabled_state(action, object, "TRIGGER");
			break;
		case AR_SCHEMA_POLICY:
			create_policy(action, object);
			if (strcmp(ar_schema_value(object, "permissive"), "PERMISSIVE") == 0)
				ar_schema_warn(action, AR_HAZARD_WIDENS_ACCESS);
			break;
		case AR_SCHEMA_UNMANAGED:
			ereport(ERROR,
					errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					errmsg("%s is not managed", object->name),
					errdetail("Objects of this kind are seen, but no DDL is written for them."),
					errhint("Write the DDL that creates it by hand."));
	}
	if (object->kind == AR_SCHEMA_CONSTRAINT && ar_schema_flag(object, "clustered"))
		ar_schema_say(action, "ALTER TABLE %s CLUSTER ON %s", place, quote_identifier(object->name));
	finish_object(action, object, options);
	foreach(cell, object->parts)
	{
		SchemaObject *part = lfirst(cell);

		if (!part->with_parent)
			continue;
		if (part->kind == AR_SCHEMA_COLUMN)
			column_extras(action, part);
		if (part->kind == AR_SCHEMA_INHERITED_COLUMN)
		{
			ar_schema_alter(action, with_not_null_of(without_own(part), part), part, options);
			continue;
		}
		if (part->kind == AR_SCHEMA_CONSTRAINT && ar_schema_flag(part, "clustered"))
			ar_schema_say(action, "ALTER TABLE %s CLUSTER ON %s", name, quote_identifier(part->name));
		finish_object(action, part, options);
	}
}

/*
 * The statements that drop an object.
 */
void
ar_schema_drop(SchemaAction *action, const SchemaObject *object)
{
	char	   *name = ar_schema_name(object);
	char	   *place = object->parent ? ar_schema_place_name(object) : NULL;

	switch (object->kind)
	{
		case AR_SCHEMA_SCHEMA:
			ar_schema_say(action, "DROP SCHEMA %s", quote_identifier(object->name));
			break;
		case AR_SCHEMA_COLUMN:
			if (object->parent->kind == AR_SCHEMA_VIEW)
				break;
			if (object->parent->kind == AR_SCHEMA_COMPOSITE)
				ar_schema_say(action, "ALTER TYPE %s DROP ATTRIBUTE %s", place,
							  quote_identifier(object->name));
			else
				ar_schema_say(action, "ALTER TABLE %s DROP COLUMN %s", place,
							  quote_identifier(object->name));
			if (ar_schema_value(object, "generated") == NULL)
				ar_schema_warn(action, AR_HAZARD_DELETES);
			ar_schema_warn(action, AR_HAZARD_BLOCKS_READS);
			break;
		case AR_SCHEMA_INHERITED_COLUMN:
			ar_schema_alter(action, object, without_own(object), NULL);
			break;
		case AR_SCHEMA_DEFAULT:
			ar_schema_say(action, "ALTER TABLE %s ALTER COLUMN %s DROP DEFAULT", place,
						  quote_identifier(object->parent->name));
			break;
		case AR_SCHEMA_SEQUENCE_OWNER:
			ar_schema_say(action, "ALTER SEQUENCE %s OWNED BY NONE", place);
			break;
		case AR_SCHEMA_DOMAIN_CONSTRAINT:
			ar_schema_say(action, "ALTER DOMAIN %s DROP CONSTRAINT %s", place,
						  quote_identifier(object->name));
			break;
		case AR_SCHEMA_INDEX:
			if (is_renamed(object, object->attached_to && object->attached_to->dropped))
			{
				if (ar_schema_value(object, "comment"))
					ar_schema_say(action, "COMMENT ON %s IS NULL", ar_schema_comment_name(object));
				if (ar_schema_flag(object, "clustered"))
					ar_schema_say(action, "ALTER TABLE %s SET WITHOUT CLUSTER", place);
				rename_attached(action, object, object->name, ar_schema_value(object, "_usual_name"));
				break;
			}
			ar_schema_say(action, "DROP %s", ar_schema_comment_name(object));
			ar_schema_warn(action, AR_HAZARD_BLOCKS_READS);
			break;
		case AR_SCHEMA_CONSTRAINT:
		case AR_SCHEMA_FOREIGN_KEY:
			if (is_renamed(object, object->attached_to && object->attached_to->dropped))
			{
				if (ar_schema_value(object, "comment"))
					ar_schema_say(action, "COMMENT ON %s IS NULL", ar_schema_comment_name(object));
				if (ar_schema_flag(object, "clustered"))
					ar_schema_say(action, "ALTER TABLE %s SET WITHOUT CLUSTER", place);
				rename_attached(action, object, object->name, ar_schema_value(object, "_usual_name"));
				break;
			}
			ar_schema_say(action, "ALTER TABLE %s DROP CONSTRAINT %s", place,
						  quote_identifier(object->name));
			break;
		case AR_SCHEMA_REPLICA_IDENTITY:
			ar_schema_say(action, "ALTER TABLE %s REPLICA IDENTITY DEFAULT", place);
			break;
		case AR_SCHEMA_RULE:
			ar_schema_say(action, "DROP RULE %s ON %s", quote_identifier(object->name), place);
			break;
		case AR_SCHEMA_TRIGGER:
			if (ar_schema_flag(object, "_is_clone"))
				ar_schema_say(action, "ALTER TABLE %s ENABLE TRIGGER %s", place, quote_identifier(object->name));
			else
				ar_schema_say(action, "DROP TRIGGER %s ON %s", quote_identifier(object->name), place);
			break;
		case AR_SCHEMA_POLICY:
			ar_schema_say(action, "DROP POLICY %s ON %s", quote_identifier(object->name), place);
			if (strcmp(ar_schema_value(object, "permissive"), "RESTRICTIVE") == 0)
				ar_schema_warn(action, AR_HAZARD_WIDENS_ACCESS);
			break;
		case AR_SCHEMA_ENUM:
		case AR_SCHEMA_COMPOSITE:
		case AR_SCHEMA_DOMAIN:
		case AR_SCHEMA_RANGE:
			if (action->is_late)
			{
				SchemaObject aside = *object;

				aside.name = aside_name(object, REPLACED);
				name = ar_schema_name(&aside);
			}
			ar_schema_say(action, "DROP %s %s", object->kind == AR_SCHEMA_DOMAIN ? "DOMAIN" : "TYPE", name);
			break;
		case AR_SCHEMA_UNMANAGED:
			elog(ERROR, "%s is not managed", object->name);
			break;
		default:
			/* foreign keys to the partitioned table hold its partitions */
			if (object->kind == AR_SCHEMA_TABLE && ar_schema_flag(object, "_is_referenced"))
				ar_schema_say(action, "ALTER TABLE %s DETACH PARTITION %s", ar_schema_value(object, "parents"), name);
			ar_schema_say(action, "DROP %s", ar_schema_comment_name(object));
			if (object->kind == AR_SCHEMA_TABLE || object->kind == AR_SCHEMA_SEQUENCE)
				ar_schema_warn(action, AR_HAZARD_DELETES);
			if (object->kind == AR_SCHEMA_TABLE)
				ar_schema_warn(action, AR_HAZARD_BLOCKS_READS);
			if (object->kind == AR_SCHEMA_EXTENSION)
				ar_schema_warn(action, AR_HAZARD_DELETES);
			break;
	}
}

static void
create_table(SchemaAction *action, const SchemaObject *table)
{
	const char *kind = ar_schema_value(table, "kind");
	const char *bound = ar_schema_value(table, "bound");
	const char *parents = ar_schema_value(table, "parents");
	const char *of_type = ar_schema_value(table, "of_type");
	const char *options = ar_schema_value(table, "options");
	const char *toast = ar_schema_value(table, "toast_options");
	const char *method = ar_schema_value(table, "access_method");
	char	   *name = ar_schema_name(table);
	StringInfoData text;
	StringInfoData body;
	bool		is_first = true;
	ListCell   *cell;

	initStringInfo(&text);
	appendStringInfo(&text, "CREATE %s%sTABLE %s",
					 strcmp(ar_schema_value(table, "persistence"), "u") == 0 ? "UNLOGGED " : "",
					 kind[0] == 'f' ? "FOREIGN " : "", name);
	if (bound)
		appendStringInfo(&text, " PARTITION OF %s", parents);
	else if (of_type)
		appendStringInfo(&text, " OF %s", of_type);
	initStringInfo(&body);
	if (!bound)
	{
		foreach(cell, sorted_columns(table))
		{
			SchemaObject *column = lfirst(cell);

			if (!column->with_parent)
				continue;
			if (of_type && !ar_schema_flag(column, "not_null"))
				continue;
			appendStringInfo(&body, "%s\n    %s", is_first ? "" : ",",
							 of_type ? psprintf("%s WITH OPTIONS NOT NULL", quote_identifier(column->name)) :
							 column_definition(column));
			is_first = false;
		}
		foreach(cell, table->parts)
		{
			SchemaObject *part = lfirst(cell);

			if (part->kind != AR_SCHEMA_CONSTRAINT || !part->with_parent)
				continue;
			appendStringInfo(&body, "%s\n    CONSTRAINT %s %s", is_first ? "" : ",",
							 quote_identifier(part->name), ar_schema_value(part, "definition"));
			is_first = false;
		}
	}
	foreach(cell, table->parts)
	{
		SchemaObject *part = lfirst(cell);

		if (part->kind != AR_SCHEMA_INHERITED_COLUMN || !part->with_parent)
			continue;
		appendStringInfo(&body, "%s\n    CONSTRAINT %s NOT NULL %s", is_first ? "" : ",",
						 ar_schema_value(part, "_not_null_name"), quote_identifier(part->name));
		is_first = false;
	}
	if ((!bound && !of_type) || !is_first)
		appendStringInfo(&text, " (%s%s)", body.data, is_first ? "" : "\n");
	if (bound)
		appendStringInfo(&text, " %s", bound);
	else if (parents)
		appendStringInfo(&text, " INHERITS (%s)", parents);
	if (ar_schema_value(table, "partition_key"))
		appendStringInfo(&text, " PARTITION BY %s", ar_schema_value(table, "partition_key"));
	if (kind[0] == 'f')
	{
		appendStringInfo(&text, " SERVER %s", ar_schema_value(table, "server"));
		if (ar_schema_value(table, "foreign_options"))
			appendStringInfo(&text, " OPTIONS (%s)", ar_schema_value(table, "foreign_options"));
	}
	if (method && strcmp(method, "heap") != 0)
		appendStringInfo(&text, " USING %s", quote_identifier(method));
	if (options || toast)
		appendStringInfo(&text, " WITH (%s%s%s)", options ? options : "", options && toast ? ", " : "",
						 toast ? toast : "");
	if (ar_schema_value(table, "tablespace"))
		appendStringInfo(&text, " TABLESPACE %s", quote_identifier(ar_schema_value(table, "tablespace")));
	ar_schema_say(action, "%s", text.data);
	if (ar_schema_flag(table, "row_security"))
		ar_schema_say(action, "ALTER TABLE %s ENABLE ROW LEVEL SECURITY", name);
	if (ar_schema_flag(table, "force_row_security"))
		ar_schema_say(action, "ALTER TABLE %s FORCE ROW LEVEL SECURITY", name);
	if (bound)
		ar_schema_warn(action, AR_HAZARD_BLOCKS_READS);
}

/*
 * A column as in CREATE TABLE and ADD COLUMN, with the default that is marked
 * as with_parent.
 */
static char *
column_definition(const SchemaObject *column)
{
	const char *identity = ar_schema_value(column, "identity");
	const char *generated = ar_schema_value(column, "generated");
	const char *not_null = ar_schema_value(column, "not_null_constraint");
	StringInfoData text;
	ListCell   *cell;

	initStringInfo(&text);
	appendStringInfo(&text, "%s %s", quote_identifier(column->name), ar_schema_value(column, "type"));
	if (ar_schema_value(column, "foreign_options"))
		appendStringInfo(&text, " OPTIONS (%s)", ar_schema_value(column, "foreign_options"));
	if (ar_schema_value(column, "compression"))
		appendStringInfo(&text, " COMPRESSION %s", ar_schema_value(column, "compression"));
	if (ar_schema_value(column, "collation"))
		appendStringInfo(&text, " COLLATE %s", ar_schema_value(column, "collation"));
	if (generated)
		appendStringInfo(&text, " GENERATED ALWAYS AS (%s) %s", ar_schema_value(column, "expression"),
						 generated);
	if (identity)
	{
		const char *unusual = ar_schema_value(column, "_identity_unusual");

		appendStringInfo(&text, " GENERATED %s AS IDENTITY", identity);
		if (unusual && unusual[0])
			appendStringInfo(&text, " (%s)", &unusual[1]);
	}
	foreach(cell, column->parts)
	{
		SchemaObject *part = lfirst(cell);

		if (part->kind == AR_SCHEMA_DEFAULT && part->with_parent)
			appendStringInfo(&text, " DEFAULT %s", ar_schema_value(part, "expression"));
	}
	if (ar_schema_flag(column, "not_null") && !(not_null && strstr(not_null, " NOT VALID")))
	{
		int			length = ar_schema_name_length(not_null);

		if (length > 0)
			appendStringInfo(&text, " CONSTRAINT %s", pnstrdup(not_null, length));
		appendStringInfo(&text, " NOT NULL%s", not_null ? &not_null[length] : "");
	}
	return text.data;
}

/*
 * What CREATE TABLE cannot say about a column.
 */
static void
column_extras(SchemaAction *action, const SchemaObject *column)
{
	const char *not_null = ar_schema_value(column, "not_null_constraint");
	char	   *start = psprintf("ALTER TABLE %s%s ALTER COLUMN %s", ar_schema_only(column->parent),
								 ar_schema_place_name(column), quote_identifier(column->name));

	if (column->parent->kind == AR_SCHEMA_COMPOSITE || column->parent->kind == AR_SCHEMA_VIEW)
	{
		if (ar_schema_value(column, "statistics"))
			ar_schema_say(action, "%s SET STATISTICS %s", start, ar_schema_value(column, "statistics"));
		return;
	}
	if (not_null && strstr(not_null, " NOT VALID"))
		ar_schema_add_not_null(action, column);
	if (ar_schema_value(column, "not_null_comment"))
		ar_schema_say(action, "COMMENT ON CONSTRAINT %s ON %s IS %s", ar_schema_value(column, "_not_null_name"),
					  ar_schema_place_name(column),
					  quote_literal_cstr(ar_schema_value(column, "not_null_comment")));
	if (ar_schema_value(column, "storage"))
		ar_schema_say(action, "%s SET STORAGE %s", start, ar_schema_value(column, "storage"));
	if (ar_schema_value(column, "statistics"))
		ar_schema_say(action, "%s SET STATISTICS %s", start, ar_schema_value(column, "statistics"));
	if (ar_schema_value(column, "options"))
		ar_schema_say(action, "%s SET (%s)", start, ar_schema_value(column, "options"));
}

/*
 * The word that keeps a command from the tables that inherit from one: what
 * each says of itself is in the model, too.
 */
const char *
ar_schema_only(const SchemaObject *table)
{
	ListCell   *cell;

	foreach(cell, table->users)
	{
		const SchemaObject *user = lfirst(cell);

		if (table->kind == AR_SCHEMA_TABLE && user->kind == AR_SCHEMA_TABLE && ar_schema_value(user, "parents"))
			return "ONLY ";
	}
	return "";
}

/*
 * Make a column NOT NULL, with all that the server keeps about it.
 */
void
ar_schema_add_not_null(SchemaAction *action, const SchemaObject *column)
{
	const char *constraint = ar_schema_value(column, "not_null_constraint");
	char	   *place = ar_schema_place_name(column);
	int			length = ar_schema_name_length(constraint);

	if (constraint == NULL || constraint[0] == '\0')
		ar_schema_say(action, "ALTER TABLE %s ALTER COLUMN %s SET NOT NULL", place, quote_identifier(column->name));
	else
		ar_schema_say(action, "ALTER TABLE %s ADD %s%s%sNOT NULL %s%s", place, length ? "CONSTRAINT " : "",
					  pnstrdup(constraint, length), length ? " " : "", quote_identifier(column->name),
					  &constraint[length]);
}

/*
 * How long the quoted name is that a text begins with; 0 if it begins with a
 * blank, or is NULL.
 */
int
ar_schema_name_length(const char *text)
{
	const char *at = text;

	if (text == NULL)
		return 0;
	if (*at != '"')
		return strcspn(text, " ");
	for (at++; *at; at++)
	{
		if (*at == '"' && at[1] != '"')
			return at + 1 - text;

		if (*at == '"')
			at++;
	}
	return at - text;
}

static void
create_column(SchemaAction *action, const SchemaObject *column)
{
	/* comes with the view */
	if (column->parent->kind == AR_SCHEMA_VIEW)
	{
		column_extras(action, column);
		return;
	}
	if (column->parent->kind == AR_SCHEMA_COMPOSITE)
	{
		ar_schema_say(action, "ALTER TYPE %s ADD ATTRIBUTE %s", ar_schema_place_name(column),
					  column_definition(column));
		return;
	}
	ar_schema_say(action, "ALTER TABLE %s ADD COLUMN %s", ar_schema_place_name(column),
				  column_definition(column));
	column_extras(action, column);
	ar_schema_warn(action, AR_HAZARD_BLOCKS_READS);
	if (ar_schema_value(column, "identity") || ar_schema_value(column, "generated"))
		ar_schema_warn(action, AR_HAZARD_REWRITES);
	if (ar_schema_flag(column, "not_null") && column->parts == NIL && !ar_schema_value(column, "identity") &&
		!ar_schema_value(column, "generated"))
		ar_schema_warn(action, AR_HAZARD_FAILS_ON_ROWS);
}

static void
create_composite(SchemaAction *action, const SchemaObject *type)
{
	StringInfoData text;
	ListCell   *cell;

	initStringInfo(&text);
	foreach(cell, sorted_columns(type))
	{
		SchemaObject *column = lfirst(cell);

		appendStringInfo(&text, "%s\n    %s", text.len ? "," : "", column_definition(column));
	}
	ar_schema_say(action, "CREATE TYPE %s AS (%s%s)", ar_schema_name(type), text.data,
				  text.len ? "\n" : "");
}

static void
create_view(SchemaAction *action, const SchemaObject *view)
{
	bool		is_materialized = strcmp(ar_schema_value(view, "kind"), "m") == 0;
	const char *options = ar_schema_value(view, "options");
	const char *method = ar_schema_value(view, "access_method");
	const char *tablespace = ar_schema_value(view, "tablespace");

	ar_schema_say(action, "CREATE %sVIEW %s%s%s%s%s%s%s%s AS\n%s%s",
				  is_materialized ? "MATERIALIZED " : "", ar_schema_name(view),
				  method && strcmp(method, "heap") != 0 ? " USING " : "",
				  method && strcmp(method, "heap") != 0 ? quote_identifier(method) : "",
				  options ? " WITH (" : "", options ? options : "", options ? ")" : "",
				  tablespace ? " TABLESPACE " : "", tablespace ? quote_identifier(tablespace) : "",
				  ar_schema_value(view, "definition"),
				  is_materialized && !ar_schema_flag(view, "_populated") ? "\nWITH NO DATA" : "");
}

static void
create_range(SchemaAction *action, const SchemaObject *range)
{
	static const char *const parts[][2] = {
		{"subtype_opclass", "SUBTYPE_OPCLASS"}, {"collation", "COLLATION"},
		{"canonical", "CANONICAL"}, {"subtype_diff", "SUBTYPE_DIFF"},
	};
	StringInfoData text;

	initStringInfo(&text);
	appendStringInfo(&text, "CREATE TYPE %s AS RANGE (SUBTYPE = %s", ar_schema_name(range),
					 ar_schema_value(range, "subtype"));
	for (int i = 0; i < lengthof(parts); i++)
	{
		if (ar_schema_value(range, parts[i][0]))
			appendStringInfo(&text, ", %s = %s", parts[i][1], ar_schema_value(range, parts[i][0]));
	}
	appendStringInfo(&text, ", MULTIRANGE_TYPE_NAME = %s%s%s)",
					 range->schema ? quote_identifier(range->schema) : "", range->schema ? "." : "",
					 ar_schema_value(range, "multirange"));
	ar_schema_say(action, "%s", text.data);
}

static void
create_domain(SchemaAction *action, const SchemaObject *domain)
{
	StringInfoData text;
	ListCell   *cell;

	initStringInfo(&text);
	appendStringInfo(&text, "CREATE DOMAIN %s AS %s", ar_schema_name(domain),
					 ar_schema_value(domain, "base"));
	if (ar_schema_value(domain, "collation"))
		appendStringInfo(&text, " COLLATE %s", ar_schema_value(domain, "collation"));
	if (ar_schema_value(domain, "default"))
		appendStringInfo(&text, " DEFAULT %s", ar_schema_value(domain, "default"));
	if (ar_schema_flag(domain, "not_null"))
	{
		const char *not_null = ar_schema_value(domain, "not_null_constraint");

		/* an old version of the domain still has the usual name */
		if (not_null == NULL && domain->peer && domain->peer->dropped)
			not_null = ar_schema_value(domain, "_not_null_name");
		appendStringInfo(&text, "%s%s NOT NULL", not_null ? " CONSTRAINT " : "", not_null ? not_null : "");
	}
	foreach(cell, domain->parts)
	{
		SchemaObject *part = lfirst(cell);

		if (part->with_parent)
			appendStringInfo(&text, " CONSTRAINT %s %s", quote_identifier(part->name),
							 ar_schema_value(part, "definition"));
	}
	ar_schema_say(action, "%s", text.data);
	if (ar_schema_value(domain, "not_null_comment"))
		ar_schema_say(action, "COMMENT ON CONSTRAINT %s ON DOMAIN %s IS %s", ar_schema_value(domain, "_not_null_name"),
					  ar_schema_name(domain), quote_literal_cstr(ar_schema_value(domain, "not_null_comment")));
}

static void
create_collation(SchemaAction *action, const SchemaObject *collation)
{
	const char *provider = ar_schema_value(collation, "provider");
	const char *locale = ar_schema_value(collation, "locale");
	StringInfoData text;

	initStringInfo(&text);
	appendStringInfo(&text, "CREATE COLLATION %s (provider = %s", ar_schema_name(collation), provider);
	if (!ar_schema_flag(collation, "deterministic"))
		appendStringInfoString(&text, ", deterministic = false");
	if (locale)
		appendStringInfo(&text, ", locale = %s", quote_literal_cstr(locale));
	else if (ar_schema_same(collation, collation, "lc_collate") && ar_schema_value(collation, "lc_collate"))
		appendStringInfo(&text, ", lc_collate = %s, lc_ctype = %s",
						 quote_literal_cstr(ar_schema_value(collation, "lc_collate")),
						 quote_literal_cstr(ar_schema_value(collation, "lc_ctype")));
	if (ar_schema_value(collation, "rules"))
		appendStringInfo(&text, ", rules = %s", quote_literal_cstr(ar_schema_value(collation, "rules")));
	appendStringInfoChar(&text, ')');
	ar_schema_say(action, "%s", text.data);
}

static void
create_aggregate(SchemaAction *action, const SchemaObject *aggregate)
{
	static const char *const parts[] = {
		"sspace", "finalfunc", "combinefunc", "serialfunc", "deserialfunc", "initcond",
		"msfunc", "minvfunc", "mstype", "mfinalfunc", "minitcond", "finalfunc_modify", "sortop",
	};
	const char *kind = ar_schema_value(aggregate, "kind");
	const char *parallel = ar_schema_value(aggregate, "parallel");
	StringInfoData text;

	initStringInfo(&text);
	appendStringInfo(&text, "CREATE AGGREGATE %s(%s) (SFUNC = %s, STYPE = %s", ar_schema_name(aggregate),
					 aggregate->arguments[0] ? aggregate->arguments : "*",
					 ar_schema_value(aggregate, "sfunc"), ar_schema_value(aggregate, "stype"));
	for (int i = 0; i < lengthof(parts); i++)
	{
		if (ar_schema_value(aggregate, parts[i]))
			appendStringInfo(&text, strcmp(parts[i], "sortop") == 0 ? ", %s = OPERATOR(%s)" : ", %s = %s", parts[i],
							 ar_schema_value(aggregate, parts[i]));
	}
	if (ar_schema_flag(aggregate, "finalfunc_extra"))
		appendStringInfoString(&text, ", finalfunc_extra");
	if (kind[0] == 'h')
		appendStringInfoString(&text, ", hypothetical");
	if (parallel[0] != 'u')
		appendStringInfo(&text, ", parallel = %s", parallel[0] == 's' ? "safe" : "restricted");
	appendStringInfoChar(&text, ')');
	ar_schema_say(action, "%s", text.data);
}

static void
create_policy(SchemaAction *action, const SchemaObject *policy)
{
	StringInfoData text;

	initStringInfo(&text);
	appendStringInfo(&text, "CREATE POLICY %s ON %s", quote_identifier(policy->name),
					 ar_schema_place_name(policy));
	if (strcmp(ar_schema_value(policy, "permissive"), "RESTRICTIVE") == 0)
		appendStringInfoString(&text, " AS RESTRICTIVE");
	appendStringInfo(&text, " FOR %s TO %s", ar_schema_value(policy, "command"),
					 ar_schema_value(policy, "roles"));
	if (ar_schema_value(policy, "using"))
		appendStringInfo(&text, " USING (%s)", ar_schema_value(policy, "using"));
	if (ar_schema_value(policy, "check"))
		appendStringInfo(&text, " WITH CHECK (%s)", ar_schema_value(policy, "check"));
	ar_schema_say(action, "%s", text.data);
}

/*
 * An index of a partitioned table is made with those of the partitions; one
 * that is not valid is one that has not all of them.
 */
static void
create_index(SchemaAction *action, const SchemaObject *index)
{
	const char *definition = ar_schema_value(index, "definition");
	const char *only = strstr(definition, " ON ONLY ");
	const char *statistics = ar_schema_value(index, "statistics");
	const char *tablespace = ar_schema_value(index, "tablespace");
	bool		is_partitioned = index->parent->kind == AR_SCHEMA_TABLE && ar_schema_value(index->parent, "partition_key");
	StringInfoData text;

	initStringInfo(&text);
	if (only && is_partitioned && ar_schema_flag(index, "valid"))
		appendStringInfo(&text, "%.*s ON %s", (int) (only - definition), definition,
						 only + strlen(" ON ONLY "));
	else
		appendStringInfoString(&text, definition);
	if (tablespace)
	{
		char	   *where = strstr(text.data, " WHERE ");

		if (where)
		{
			char	   *rest = pstrdup(where);

			text.		len = where - text.data;
			text.		data[text.len] = '\0';

			appendStringInfo(&text, " TABLESPACE %s%s", quote_identifier(tablespace), rest);
		}
		else
			appendStringInfo(&text, " TABLESPACE %s", quote_identifier(tablespace));
	}
	ar_schema_say(action, "%s", text.data);
	ar_schema_warn(action, AR_HAZARD_BLOCKS_WRITES);
	ar_schema_warn(action, AR_HAZARD_SCANS);
	if (statistics)
	{
		char	   *copy = pstrdup(statistics);

		for (char *pair = strtok(copy, ","); pair; pair = strtok(NULL, ","))
		{
			int			column;
			int			target;

			if (sscanf(pair, "%d %d", &column, &target) == 2)
				ar_schema_say(action, "ALTER INDEX %s ALTER COLUMN %d SET STATISTICS %d",
							  ar_schema_name(index), column, target);
		}
	}
	if (ar_schema_flag(index, "clustered"))
		ar_schema_say(action, "ALTER TABLE %s CLUSTER ON %s", ar_schema_place_name(index),
					  quote_identifier(index->name));
	if (ar_schema_value(index, "attached"))
		ar_schema_say(action, "ALTER INDEX %s ATTACH PARTITION %s", ar_schema_value(index, "attached"),
					  ar_schema_name(index));
	if (!ar_schema_flag(index, "valid") && !is_partitioned)
		ereport(ERROR,
				errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				errmsg("index \"%s\" is not valid", index->name),
				errhint("Drop it, or build it again with REINDEX."));
}

static void
enabled_state(SchemaAction *action, const SchemaObject *object, const char *word)
{
	const char *enabled = ar_schema_value(object, "enabled");

	if (enabled[0] != 'O')
		ar_schema_say(action, "ALTER TABLE %s %s %s %s", ar_schema_place_name(object),
					  enabled[0] == 'D' ? "DISABLE" : enabled[0] == 'R' ? "ENABLE REPLICA" : "ENABLE ALWAYS",
					  word, quote_identifier(object->name));
}

/*
 * A revision names the objects of the target schema without that, so that it
 * serves every schema.  What the server has under the same name cannot be named
 * so: it can be created, and no more.
 */
void
ar_schema_require_visible(const SchemaObject *object)
{
	if (object->is_hidden)
		ereport(ERROR,
				errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				errmsg("%s has the name of one of the server's own", object->identity),
				errdetail("Names in a revision have no schema, so that it serves every schema, and the server's own come first."),
				errhint("Give it another name."));
}

/*
 * Comment, owner and privileges of a new object.
 */
static void
finish_object(SchemaAction *action, const SchemaObject *object, const SchemaOptions *options)
{
	int			said = list_length(action->statements);

	/* what is replaced keeps its owner where the text does not say one */
	const SchemaObject *owned = options->owners || options->restores_owners ? object : object->peer;

	if (object->kind == AR_SCHEMA_SCHEMA && object->schema == NULL)
		return;
	if (ar_schema_has(object, "comment") && ar_schema_value(object, "comment"))
		ar_schema_say(action, "COMMENT ON %s IS %s", ar_schema_comment_name(object),
					  quote_literal_cstr(ar_schema_value(object, "comment")));
	if (owned && ar_schema_has(object, "owner") && ar_schema_value(owned, "owner") &&
		(options->owners || strcmp(ar_schema_value(owned, "owner"),
								   quote_identifier(GetUserNameFromId(GetUserId(), false))) != 0))
		ar_schema_say(action, "ALTER %s OWNER TO %s", ar_schema_comment_name(object),
					  ar_schema_value(owned, "owner"));
	if (ar_schema_has(object, "acl"))
	{
		Oid			owner = (Oid) strtoul(ar_schema_value(object, "_owner"), NULL, 10);
		List	   *grants = ar_schema_acl_change(grant_default(object), ar_schema_value(object, "acl"),
												  ar_schema_grant_name(object),
												  quote_identifier(GetUserNameFromId(owner, false)));

		action->statements = list_concat(action->statements, grants);
	}
	if (list_length(action->statements) > said)
		ar_schema_require_visible(object);
}

/*
 * The privileges that a new object has.
 */
static const char *
grant_default(const SchemaObject *object)
{
	char		type = 'r';

	switch (object->kind)
	{
		case AR_SCHEMA_SCHEMA:
			type = 'n';
			break;
		case AR_SCHEMA_SEQUENCE:
			type = 's';
			break;
		case AR_SCHEMA_FUNCTION:
		case AR_SCHEMA_AGGREGATE:
			type = 'f';
			break;
		case AR_SCHEMA_ENUM:
		case AR_SCHEMA_COMPOSITE:
		case AR_SCHEMA_DOMAIN:
		case AR_SCHEMA_RANGE:
			type = 'T';
			break;
		case AR_SCHEMA_COLUMN:
		case AR_SCHEMA_INHERITED_COLUMN:
			type = 'c';
			break;
		default:
			break;
	}
	return ar_schema_acl_default(type);
}

/*
 * An inherited column of which its table says nothing.
 */
static SchemaObject *
without_own(const SchemaObject *column)
{
	SchemaObject *other = palloc(sizeof(SchemaObject));
	int			count;
	const char **names = ar_schema_attributes(column->kind, &count);

	*other = *column;
	other->value = palloc0(count * sizeof(char *));
	for (int i = 0; i < count; i++)
	{
		if (names[i][0] == '_')
			other->value[i] = column->value[i];
		else if (strcmp(names[i], "acl") == 0)
			other->value[i] = grant_default(column);
		else if (strcmp(names[i], "no_default") == 0)
			other->value[i] = "false";
	}
	return other;
}

/*
 * Is an inherited column's NOT NULL a constraint that CREATE TABLE can name?
 * Later its name would be the parent's.
 */
static bool
names_not_null(const SchemaObject *column)
{
	const char *constraint = ar_schema_value(column, "not_null_constraint");

	return ar_schema_flag(column, "not_null") && ar_schema_value(column, "_not_null_name") &&
		constraint[ar_schema_name_length(constraint)] == '\0';
}

static SchemaObject *
with_not_null_of(SchemaObject *column, const SchemaObject *other)
{
	int			count;
	const char **names = ar_schema_attributes(column->kind, &count);

	for (int i = 0; i < count; i++)
	{
		if (strcmp(names[i], "not_null") == 0 || strcmp(names[i], "not_null_constraint") == 0)
			column->value[i] = other->value[i];
	}
	return column;
}

static List *
sorted_columns(const SchemaObject *table)
{
	List	   *columns = NIL;
	ListCell   *cell;

	foreach(cell, table->parts)
	{
		if (((SchemaObject *) lfirst(cell))->kind == AR_SCHEMA_COLUMN)
			columns = lappend(columns, lfirst(cell));
	}
	list_sort(columns, compare_positions);
	return columns;
}

static int
compare_positions(const ListCell *a, const ListCell *b)
{
	return atoi(ar_schema_value(lfirst(a), "_position")) - atoi(ar_schema_value(lfirst(b), "_position"));
}
