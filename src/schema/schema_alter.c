/*
 * schema_alter.c: from one version of an object to another in place.
 *
 * What ar_schema_can_alter() says no to, is dropped and created again, or
 * refused if that would lose data.
 */
#include "postgres.h"

#include "access/transam.h"
#include "miscadmin.h"
#include "parser/parse_coerce.h"
#include "schema/schema.h"
#include "utils/builtins.h"

static bool only_differs_in(const SchemaObject *from, const SchemaObject *to,
							const char *const *attributes);
static bool begins_with(const char *text, const char *start);
static const char *value_or_empty(const SchemaObject *object, const char *attribute);
static List *labels_of(const SchemaObject *type);
static bool is_subsequence(List *part, List *whole);
static void alter_enum(SchemaAction *action, const SchemaObject *from, const SchemaObject *to);
static void alter_domain(SchemaAction *action, const SchemaObject *from, const SchemaObject *to);
static int64 sequence_option(const SchemaObject *sequence, const char *option);
static void alter_sequence(SchemaAction *action, const SchemaObject *from, const SchemaObject *to);
static void alter_table(SchemaAction *action, const SchemaObject *from, const SchemaObject *to);
static void keep_sequences(SchemaAction *action, const SchemaObject *from, const SchemaObject *to);
static void require_same_columns(const SchemaObject *from, const SchemaObject *to);
static void require_type(const SchemaObject *from, const SchemaObject *to);
static bool has_parent(const SchemaObject *table, const char *name);
static const SchemaObject *find_column(const SchemaObject *table, const char *name);
static bool has_own_column(const SchemaObject *table, const char *name);
static void alter_column(SchemaAction *action, const SchemaObject *from, const SchemaObject *to);
static void alter_column_type(SchemaAction *action, const SchemaObject *from, const SchemaObject *to);
static bool follows_parent(const SchemaObject *column);
static const SchemaObject *default_of(const SchemaObject *column);
static bool is_assignable(const SchemaObject *from, const SchemaObject *to);
static bool needs_type(const SchemaObject *column);
static void alter_identity(SchemaAction *action, const SchemaObject *from, const SchemaObject *to,
						   const char *start);
static void alter_domain_not_null(SchemaAction *action, const SchemaObject *from, const SchemaObject *to);
static void alter_inherited(SchemaAction *action, const SchemaObject *from, const SchemaObject *to);
static const char *parent_default(const SchemaObject *column);
static void alter_settings(SchemaAction *action, const SchemaObject *from, const SchemaObject *to);
static void alter_not_null(SchemaAction *action, const SchemaObject *from, const SchemaObject *to);
static bool alter_not_null_constraint(SchemaAction *action, const SchemaObject *from, const SchemaObject *to);
static bool is_unproved(const SchemaObject *column);
static void alter_view(SchemaAction *action, const SchemaObject *from, const SchemaObject *to);
static void alter_constraint(SchemaAction *action, const SchemaObject *from, const SchemaObject *to);
static char *without_options(const SchemaObject *key, char **options);
static void alter_policy(SchemaAction *action, const SchemaObject *from, const SchemaObject *to);
static void alter_index(SchemaAction *action, const SchemaObject *from, const SchemaObject *to);
static void alter_options(SchemaAction *action, const char *start, const char *from, const char *to,
						  bool is_foreign);
static void alter_enabled(SchemaAction *action, const SchemaObject *to, const char *word);
static bool follows_table(const SchemaObject *from, const SchemaObject *to);
static List *option_list(const char *options);
static const char *option_name(const char *option);
static bool has_option_named(List *options, const char *name);
static bool list_has(List *texts, const char *text);
static void alter_rest(SchemaAction *action, const SchemaObject *from, const SchemaObject *to,
					   const SchemaOptions *options);

/*
 * Does the difference change the type of a column?  What depends on it, has to
 * go before.
 */
bool
ar_schema_retypes(const SchemaObject *from, const SchemaObject *to)
{
	return from->kind == AR_SCHEMA_COLUMN &&
		(!ar_schema_same(from, to, "type") || !ar_schema_same(from, to, "collation"));
}

/*
 * Can what differs be changed in place?
 */
bool
ar_schema_can_alter(const SchemaObject *from, const SchemaObject *to)
{
	switch (from->kind)
	{
		case AR_SCHEMA_SCHEMA:
		case AR_SCHEMA_SEQUENCE:
		case AR_SCHEMA_DEFAULT:
		case AR_SCHEMA_SEQUENCE_OWNER:
		case AR_SCHEMA_REPLICA_IDENTITY:
		case AR_SCHEMA_EXTENSION:
		case AR_SCHEMA_INHERITED_COLUMN:
			return true;
		case AR_SCHEMA_ENUM:
			return is_subsequence(labels_of(from), labels_of(to));
		case AR_SCHEMA_DOMAIN:
			return ar_schema_same(from, to, "base") && ar_schema_same(from, to, "collation");
		case AR_SCHEMA_COMPOSITE:
			return true;
		case AR_SCHEMA_TABLE:
			return ar_schema_same(from, to, "kind") && ar_schema_same(from, to, "partition_key") &&
				ar_schema_same(from, to, "server");
		case AR_SCHEMA_COLUMN:
			if (from->parent->kind == AR_SCHEMA_VIEW)
				return true;
			if (ar_schema_same(from, to, "generated") && ar_schema_same(from, to, "expression"))
				return ar_schema_value(to, "generated") == NULL || !ar_schema_retypes(from, to) || is_assignable(from, to);
			return ar_schema_value(to, "generated") == NULL &&
				strcmp(value_or_empty(from, "generated"), "STORED") == 0;
		case AR_SCHEMA_VIEW:
			if (!ar_schema_same(from, to, "kind"))
				return false;
			if (strcmp(ar_schema_value(from, "kind"), "m") == 0)
				return ar_schema_same(from, to, "definition");
			return begins_with(ar_schema_value(to, "_columns"), ar_schema_value(from, "_columns"));
		case AR_SCHEMA_FUNCTION:
			return ar_schema_same(from, to, "kind") && ar_schema_same(from, to, "result") &&
				ar_schema_same(from, to, "arguments");
		case AR_SCHEMA_CONSTRAINT:
			if (strcmp(value_or_empty(from, "definition"),
					   psprintf("%s NOT VALID", value_or_empty(to, "definition"))) == 0)
				return true;
			return ar_schema_same(from, to, "definition") ||
				(ar_schema_value(from->parent, "partition_key") == NULL &&
				 strcmp(without_options(from, NULL), without_options(to, NULL)) == 0);
		case AR_SCHEMA_FOREIGN_KEY:
			return ar_schema_same(from, to, "definition") ||
				strcmp(value_or_empty(from, "definition"),
					   psprintf("%s NOT VALID", value_or_empty(to, "definition"))) == 0;
		case AR_SCHEMA_RANGE:
			{
				static const char *const gentle[] = {"comment", "owner", "acl", "multirange", NULL};

				return only_differs_in(from, to, gentle);
			}
		case AR_SCHEMA_POLICY:
			return ar_schema_same(from, to, "permissive") && ar_schema_same(from, to, "command") &&
				(ar_schema_value(from, "using") == NULL || ar_schema_value(to, "using")) &&
				(ar_schema_value(from, "check") == NULL || ar_schema_value(to, "check"));
		case AR_SCHEMA_INDEX:
			return ar_schema_same(from, to, "definition") && ar_schema_same(from, to, "statistics") &&
				ar_schema_same(from, to, "attached") && ar_schema_flag(from, "valid") && ar_schema_flag(to, "valid");
		default:
			{
				static const char *const gentle[] = {"comment", "owner", "acl", "enabled", "target", NULL};

				return only_differs_in(from, to, gentle);
			}
	}
}

/*
 * The statements that change one version into the other.
 */
void
ar_schema_alter(SchemaAction *action, const SchemaObject *from, const SchemaObject *to,
				const SchemaOptions *options)
{
	switch (from->kind)
	{
		case AR_SCHEMA_ENUM:
			alter_enum(action, from, to);
			break;
		case AR_SCHEMA_DOMAIN:
			alter_domain(action, from, to);
			break;
		case AR_SCHEMA_RANGE:
			if (!ar_schema_same(from, to, "multirange"))
				ar_schema_rename_multirange(action, to, ar_schema_value(from, "multirange"),
											ar_schema_value(to, "multirange"));
			break;
		case AR_SCHEMA_SEQUENCE:
			alter_sequence(action, from, to);
			break;
		case AR_SCHEMA_TABLE:
			alter_table(action, from, to);
			break;
		case AR_SCHEMA_COLUMN:
			alter_column(action, from, to);
			break;
		case AR_SCHEMA_INHERITED_COLUMN:
			alter_inherited(action, from, to);
			break;
		case AR_SCHEMA_VIEW:
			alter_view(action, from, to);
			break;
		case AR_SCHEMA_FUNCTION:
			if (!ar_schema_same(from, to, "definition"))
				ar_schema_say(action, "%s", ar_schema_value(to, "definition"));
			break;
		case AR_SCHEMA_CONSTRAINT:
		case AR_SCHEMA_FOREIGN_KEY:
			alter_constraint(action, from, to);
			break;
		case AR_SCHEMA_DEFAULT:
		case AR_SCHEMA_SEQUENCE_OWNER:
		case AR_SCHEMA_REPLICA_IDENTITY:
			ar_schema_create(action, to, options);
			return;
		case AR_SCHEMA_POLICY:
			alter_policy(action, from, to);
			break;
		case AR_SCHEMA_INDEX:
			alter_index(action, from, to);
			break;
		case AR_SCHEMA_STATISTICS:
			if (!ar_schema_same(from, to, "target"))
				ar_schema_say(action, "ALTER STATISTICS %s SET STATISTICS %s", ar_schema_name(to),
							  ar_schema_value(to, "target") ? ar_schema_value(to, "target") : "-1");
			break;
		case AR_SCHEMA_RULE:
			alter_enabled(action, to, "RULE");
			break;
		case AR_SCHEMA_TRIGGER:
			if (!ar_schema_same(from, to, "enabled"))
				alter_enabled(action, to, "TRIGGER");
			break;
		default:
			break;
	}
	alter_rest(action, from, to, options);
}

/*
 * Comment, owner and privileges.
 */
static void
alter_rest(SchemaAction *action, const SchemaObject *from, const SchemaObject *to,
		   const SchemaOptions *options)
{
	if (ar_schema_has(to, "comment") && !ar_schema_same(from, to, "comment"))
		ar_schema_say(action, "COMMENT ON %s IS %s", ar_schema_comment_name(to),
					  ar_schema_value(to, "comment") ?
					  quote_literal_cstr(ar_schema_value(to, "comment")) : "NULL");
	if (ar_schema_has(to, "owner") && options->owners && !ar_schema_same(from, to, "owner") &&
		!follows_table(from, to))
	{
		Oid			owner = (Oid) strtoul(ar_schema_value(to, "_owner"), NULL, 10);

		ar_schema_say(action, "ALTER %s OWNER TO %s", ar_schema_comment_name(to),
					  quote_identifier(GetUserNameFromId(owner, false)));
	}
	if (ar_schema_has(to, "acl") && (from->acl_lost || !ar_schema_same(from, to, "acl")))
	{
		Oid			owner = (Oid) strtoul(ar_schema_value(to, "_owner"), NULL, 10);

		List	   *changes = ar_schema_acl_change(ar_schema_value(from, "acl"), ar_schema_value(to, "acl"),
												   ar_schema_grant_name(to),
												   quote_identifier(GetUserNameFromId(owner, false)));
		ListCell   *cell;

		foreach(cell, changes)
		{
			if (begins_with(lfirst(cell), "GRANT "))
				ar_schema_warn(action, AR_HAZARD_WIDENS_ACCESS);
		}
		if (from->acl_lost)
		{
			foreach(cell, changes)
			{
				if (begins_with(lfirst(cell), "GRANT "))
					changes = foreach_delete_current(changes, cell);
			}
			changes = list_concat(changes, ar_schema_acl_change("", ar_schema_value(to, "acl"), ar_schema_grant_name(to),
																quote_identifier(GetUserNameFromId(owner, false))));
		}
		action->statements = list_concat(action->statements, changes);
	}
}

/*
 * A sequence that stays with a column has the owner of its table.
 */
static bool
follows_table(const SchemaObject *from, const SchemaObject *to)
{
	return from->kind == AR_SCHEMA_SEQUENCE && from->parts != NIL && to->parts != NIL &&
		((SchemaObject *) linitial(from->parts))->kind == AR_SCHEMA_SEQUENCE_OWNER;
}

static void
alter_enum(SchemaAction *action, const SchemaObject *from, const SchemaObject *to)
{
	List	   *old = labels_of(from);
	List	   *new = labels_of(to);
	const char *before = NULL;
	ListCell   *cell;

	foreach(cell, new)
	{
		const char *label = lfirst(cell);

		if (!list_has(old, label))
		{
			action->labels = lappend(action->labels, pstrdup(label));
			/* at the end nothing need be said */
			if (before == NULL && old != NIL)
				ar_schema_say(action, "ALTER TYPE %s ADD VALUE %s BEFORE %s", ar_schema_name(to), label,
							  (char *) linitial(old));
			else if (before && foreach_current_index(cell) <
					 list_length(new) - 1 && !is_subsequence(old, list_copy_head(new, foreach_current_index(cell))))
				ar_schema_say(action, "ALTER TYPE %s ADD VALUE %s AFTER %s", ar_schema_name(to), label, before);
			else
				ar_schema_say(action, "ALTER TYPE %s ADD VALUE %s", ar_schema_name(to), label);
		}
		before = label;
	}
}

static void
alter_domain(SchemaAction *action, const SchemaObject *from, const SchemaObject *to)
{
	char	   *name = ar_schema_name(to);

	if (!ar_schema_same(from, to, "default"))
	{
		if (ar_schema_value(to, "default"))
			ar_schema_say(action, "ALTER DOMAIN %s SET DEFAULT %s", name, ar_schema_value(to, "default"));
		else
			ar_schema_say(action, "ALTER DOMAIN %s DROP DEFAULT", name);
	}
	alter_domain_not_null(action, from, to);
}

static void
alter_domain_not_null(SchemaAction *action, const SchemaObject *from, const SchemaObject *to)
{
	char	   *name = ar_schema_name(to);
	bool		was = ar_schema_flag(from, "not_null");
	bool		is = ar_schema_flag(to, "not_null");
	const char *constraint = ar_schema_value(to, "not_null_constraint");

	if (was && !is)
		ar_schema_say(action, "ALTER DOMAIN %s DROP NOT NULL", name);
	else if (was && !ar_schema_same(from, to, "not_null_constraint"))
		ar_schema_say(action, "ALTER DOMAIN %s RENAME CONSTRAINT %s TO %s", name,
					  ar_schema_value(from, "_not_null_name"), ar_schema_value(to, "_not_null_name"));
	else if (is && !was && constraint)
		ar_schema_say(action, "ALTER DOMAIN %s ADD CONSTRAINT %s NOT NULL", name, constraint);
	else if (is && !was)
		ar_schema_say(action, "ALTER DOMAIN %s SET NOT NULL", name);
	if (is && !was)
		ar_schema_warn(action, AR_HAZARD_SCANS);
	if (is && !ar_schema_same(from, to, "not_null_comment"))
		ar_schema_say(action, "COMMENT ON CONSTRAINT %s ON DOMAIN %s IS %s", ar_schema_value(to, "_not_null_name"),
					  name, ar_schema_value(to, "not_null_comment") ?
					  quote_literal_cstr(ar_schema_value(to, "not_null_comment")) : "NULL");
}

static int64
sequence_option(const SchemaObject *sequence, const char *option)
{
	const char *found = strstr(ar_schema_value(sequence, "options"), option);

	if (found == NULL)
		elog(ERROR, "%s has no %s", sequence->identity, option);
	return strtoll(found + strlen(option), NULL, 10);
}

static void
alter_sequence(SchemaAction *action, const SchemaObject *from, const SchemaObject *to)
{
	char	   *name = ar_schema_name(to);

	if (!ar_schema_same(from, to, "type") || !ar_schema_same(from, to, "options"))
	{
		int64		start = sequence_option(from, "START WITH ");
		bool		is_outside = start < sequence_option(to, "MINVALUE ") || start > sequence_option(to, "MAXVALUE ");

		ar_schema_say(action, "ALTER SEQUENCE %s AS %s %s%s", name, ar_schema_value(to, "type"),
					  ar_schema_value(to, "options"), is_outside ? " RESTART" : "");
		/* where it stands */
		if (is_outside)
			ar_schema_warn(action, AR_HAZARD_DELETES);
	}
	if (!ar_schema_same(from, to, "persistence"))
		ar_schema_say(action, "ALTER SEQUENCE %s SET %s", name,
					  strcmp(ar_schema_value(to, "persistence"), "u") == 0 ? "UNLOGGED" : "LOGGED");
}

static void
alter_table(SchemaAction *action, const SchemaObject *from, const SchemaObject *to)
{
	char	   *name = ar_schema_name(to);
	char	   *start = psprintf("ALTER TABLE %s", name);
	const char *old_bound = ar_schema_value(from, "bound");
	const char *new_bound = ar_schema_value(to, "bound");
	bool		same_place = ar_schema_same(from, to, "bound") && ar_schema_same(from, to, "parents");

	if (!same_place)
	{
		List	   *old = ar_schema_name_list(ar_schema_value(from, "parents"));
		List	   *new = ar_schema_name_list(ar_schema_value(to, "parents"));
		ListCell   *cell;

		require_same_columns(from, to);
		if (old_bound)
		{
			ar_schema_say(action, "ALTER TABLE %s DETACH PARTITION %s", ar_schema_value(from, "parents"), name);
			ar_schema_warn(action, AR_HAZARD_BLOCKS_READS);
		}
		else
			foreach(cell, old)
		{
			if (!list_has(new, lfirst(cell)) || new_bound)
				ar_schema_say(action, "%s NO INHERIT %s", start, (char *) lfirst(cell));
		}
		if (new_bound)
		{
			ar_schema_say(action, "ALTER TABLE %s ATTACH PARTITION %s %s", ar_schema_value(to, "parents"),
						  name, new_bound);
			ar_schema_warn(action, AR_HAZARD_SCANS);
		}
		else
			foreach(cell, new)
		{
			if (!list_has(old, lfirst(cell)) || old_bound)
				ar_schema_say(action, "%s INHERIT %s", start, (char *) lfirst(cell));
		}
	}
	if (!ar_schema_same(from, to, "of_type"))
	{
		require_type(from, to);
		if (ar_schema_value(to, "of_type"))
			ar_schema_say(action, "%s OF %s", start, ar_schema_value(to, "of_type"));
		else
			ar_schema_say(action, "%s NOT OF", start);
	}
	if (!ar_schema_same(from, to, "persistence"))
	{
		if (ar_schema_value(to, "partition_key"))
			ereport(ERROR,
					errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					errmsg("%s cannot be changed in place", to->identity),
					errdetail("It is partitioned and unlogged, or is to be, which the server does not change."),
					errhint("Declare it as it is: it has no rows of its own, and its partitions can be unlogged."));
		ar_schema_say(action, "%s SET %s", start,
					  strcmp(ar_schema_value(to, "persistence"), "u") == 0 ? "UNLOGGED" : "LOGGED");
		keep_sequences(action, from, to);
		ar_schema_warn(action, AR_HAZARD_REWRITES);
		ar_schema_warn(action, AR_HAZARD_BLOCKS_READS);
	}
	if (!ar_schema_same(from, to, "access_method"))
	{
		ar_schema_say(action, "%s SET ACCESS METHOD %s", start,
					  quote_identifier(ar_schema_value(to, "access_method")));
		ar_schema_warn(action, AR_HAZARD_REWRITES);
		ar_schema_warn(action, AR_HAZARD_BLOCKS_READS);
	}
	if (!ar_schema_same(from, to, "tablespace"))
	{
		ar_schema_say(action, "%s SET TABLESPACE %s", start, ar_schema_value(to, "tablespace") ?
					  quote_identifier(ar_schema_value(to, "tablespace")) : "pg_default");
		ar_schema_warn(action, AR_HAZARD_REWRITES);
		ar_schema_warn(action, AR_HAZARD_BLOCKS_READS);
	}
	alter_options(action, start, ar_schema_value(from, "options"), ar_schema_value(to, "options"), false);
	if (!ar_schema_same(from, to, "foreign_options"))
		alter_options(action, psprintf("ALTER FOREIGN TABLE %s", name),
					  ar_schema_value(from, "foreign_options"), ar_schema_value(to, "foreign_options"), true);
	if (!ar_schema_same(from, to, "row_security"))
		ar_schema_say(action, "%s %s ROW LEVEL SECURITY", start,
					  ar_schema_flag(to, "row_security") ? "ENABLE" : "DISABLE");
	if (!ar_schema_same(from, to, "force_row_security"))
		ar_schema_say(action, "%s %s ROW LEVEL SECURITY", start,
					  ar_schema_flag(to, "force_row_security") ? "FORCE" : "NO FORCE");
	if ((ar_schema_flag(from, "row_security") && !ar_schema_flag(to, "row_security")) ||
		(ar_schema_flag(from, "force_row_security") && !ar_schema_flag(to, "force_row_security")))
		ar_schema_warn(action, AR_HAZARD_WIDENS_ACCESS);
}

void
ar_schema_alter_toast(SchemaAction *action, const SchemaObject *from, const SchemaObject *to)
{
	alter_options(action, psprintf("ALTER TABLE %s", ar_schema_name(to)), ar_schema_value(from, "toast_options"),
				  ar_schema_value(to, "toast_options"), false);
}

/*
 * A table takes its sequences along when it becomes unlogged, or logged; those
 * that are not to, go back.
 */
static void
keep_sequences(SchemaAction *action, const SchemaObject *from, const SchemaObject *to)
{
	ListCell   *cell;
	ListCell   *user;

	foreach(cell, from->parts)
	{
		foreach(user, ((SchemaObject *) lfirst(cell))->users)
		{
			const SchemaObject *owner = lfirst(user);
			const SchemaObject *sequence = owner->kind == AR_SCHEMA_SEQUENCE_OWNER ? owner->parent->peer : NULL;

			if (sequence && strcmp(ar_schema_value(sequence, "persistence"), ar_schema_value(to, "persistence")) != 0)
				ar_schema_say(action, "ALTER SEQUENCE %s SET %s", ar_schema_name(sequence),
							  strcmp(ar_schema_value(sequence, "persistence"), "u") == 0 ? "UNLOGGED" : "LOGGED");
		}
	}
}

/*
 * What leaves a parent keeps the columns, and what comes to one has them, of
 * the same type.  One that comes by INHERIT has them as its own for ever.
 */
static void
require_same_columns(const SchemaObject *from, const SchemaObject *to)
{
	const SchemaObject *tables[] = {from, to};

	for (int i = 0; i < lengthof(tables); i++)
	{
		const SchemaObject *other = tables[1 - i];
		ListCell   *cell;
		ListCell   *part;

		foreach(cell, tables[i]->needs)
		{
			const SchemaObject *parent = lfirst(cell);

			if (parent->kind != AR_SCHEMA_TABLE || has_parent(other, parent->name))
				continue;
			foreach(part, parent->parts)
			{
				const SchemaObject *column = lfirst(part);
				const SchemaObject *same;
				const char *name = quote_identifier(column->name);
				const char *why;

				if (column->kind != AR_SCHEMA_COLUMN)
					continue;
				same = find_column(other, column->name);
				if (same == NULL)
					why = i == 0 ? psprintf("It leaves %s, but keeps its column %s.", parent->identity, name) :
						psprintf("It comes to %s, but has no column %s.", parent->identity, name);
				else if (!ar_schema_same(same, column, "type") || !ar_schema_same(same, column, "collation") ||
						 !ar_schema_same(same, column, "generated"))
					why = psprintf("Its column %s is another than that of %s.", name, parent->identity);
				else if (ar_schema_value(tables[i], "bound") == NULL && !has_own_column(tables[i], column->name))
					why = psprintf("When it inherits %s, the server takes column %s for one of its own.", parent->identity, name);
				else
					continue;
				ereport(ERROR,
						errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("%s cannot be changed in place", from->identity),
						errdetail("%s", why),
						errhint("Write this revision by hand."));
			}
		}
	}
}

/*
 * The columns of a table of a type are the type's, and change with it.
 */
static void
require_type(const SchemaObject *from, const SchemaObject *to)
{
	const SchemaObject *tables[] = {from, to};

	for (int i = 0; i < lengthof(tables); i++)
	{
		ListCell   *cell;

		foreach(cell, tables[i]->parts)
		{
			const SchemaObject *column = lfirst(cell);

			if (column->kind == AR_SCHEMA_COLUMN && (column->peer == NULL || ar_schema_retypes(column, column->peer)))
				ereport(ERROR,
						errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("%s cannot be changed in place", from->identity),
						errdetail("It is to be of type %s, or no longer, and its columns are not those of the type.",
								  ar_schema_value(to, "of_type") ? ar_schema_value(to, "of_type") : ar_schema_value(from, "of_type")),
						errhint("Write this revision by hand."));
		}
	}
}

static bool
has_parent(const SchemaObject *table, const char *name)
{
	ListCell   *cell;

	foreach(cell, table->needs)
	{
		const SchemaObject *parent = lfirst(cell);

		if (parent->kind == AR_SCHEMA_TABLE && strcmp(parent->name, name) == 0)
			return true;
	}
	return false;
}

/*
 * A table's column, its own or a parent's; NULL if there is none.
 */
static const SchemaObject *
find_column(const SchemaObject *table, const char *name)
{
	ListCell   *cell;

	foreach(cell, table->parts)
	{
		const SchemaObject *part = lfirst(cell);

		if (part->kind == AR_SCHEMA_COLUMN && strcmp(part->name, name) == 0)
			return part;
	}
	foreach(cell, table->needs)
	{
		const SchemaObject *parent = lfirst(cell);
		const SchemaObject *column = parent->kind == AR_SCHEMA_TABLE ? find_column(parent, name) : NULL;

		if (column)
			return column;
	}
	return NULL;
}

static bool
has_own_column(const SchemaObject *table, const char *name)
{
	const SchemaObject *column = find_column(table, name);

	return column && column->parent == table;
}

static void
alter_column(SchemaAction *action, const SchemaObject *from, const SchemaObject *to)
{
	char	   *start = psprintf("ALTER TABLE %s ALTER COLUMN %s", ar_schema_place_name(to),
								 quote_identifier(to->name));

	if (to->parent->kind == AR_SCHEMA_COMPOSITE)
	{
		if (ar_schema_retypes(from, to))
			ar_schema_say(action, "ALTER TYPE %s ALTER ATTRIBUTE %s TYPE %s%s%s",
						  ar_schema_place_name(to), quote_identifier(to->name), ar_schema_value(to, "type"),
						  ar_schema_value(to, "collation") ? " COLLATE " : "",
						  ar_schema_value(to, "collation") ? ar_schema_value(to, "collation") : "");
		return;
	}
	if (to->parent->kind == AR_SCHEMA_TABLE)
	{
		if (ar_schema_value(from, "generated") && !ar_schema_value(to, "generated"))
			ar_schema_say(action, "%s DROP EXPRESSION", start);
		if (ar_schema_value(from, "identity") && !ar_schema_value(to, "identity"))
			ar_schema_say(action, "%s DROP IDENTITY", start);
		if ((ar_schema_retypes(from, to) || from->retyped) && !follows_parent(to))
			alter_column_type(action, from, to);
		alter_not_null(action, from, to);
		alter_identity(action, from, to, start);
		alter_settings(action, from, to);
		return;
	}
	if (!ar_schema_same(from, to, "statistics"))
		ar_schema_say(action, "%s SET STATISTICS %s", start, ar_schema_value(to, "statistics") ?
					  ar_schema_value(to, "statistics") : "-1");
}

/*
 * What a table says of a column of its parent's.
 */
static void
alter_inherited(SchemaAction *action, const SchemaObject *from, const SchemaObject *to)
{
	const char *expression = ar_schema_value(to, "default");
	char	   *start = psprintf("ALTER TABLE %s ALTER COLUMN %s", ar_schema_place_name(to),
								 quote_identifier(to->name));

	alter_not_null(action, from, to);
	if (from->retyped || !ar_schema_same(from, to, "default") || !ar_schema_same(from, to, "no_default"))
	{
		if (ar_schema_flag(to, "_is_generated"))
			ereport(ERROR,
					errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					errmsg("%s is generated otherwise than its parent's", to->identity),
					errhint("Write this revision by hand."));
		if (expression)
			ar_schema_say(action, "%s SET DEFAULT %s", start, expression);
		else if (ar_schema_flag(to, "no_default"))
			ar_schema_say(action, "%s DROP DEFAULT", start);
		else if ((expression = parent_default(to)) != NULL)
			ar_schema_say(action, "%s SET DEFAULT %s", start, expression);
		else
			ar_schema_say(action, "%s DROP DEFAULT", start);
	}
	alter_settings(action, from, to);
}

/*
 * The default that the parent has for a column, or NULL.
 */
static const char *
parent_default(const SchemaObject *column)
{
	ListCell   *cell;

	foreach(cell, column->needs)
	{
		const SchemaObject *need = lfirst(cell);

		if (need->kind == AR_SCHEMA_DEFAULT)
			return ar_schema_value(need, "expression");
		if (need->kind == AR_SCHEMA_INHERITED_COLUMN && ar_schema_value(need, "default"))
			return ar_schema_value(need, "default");
	}
	return NULL;
}

/*
 * How a column is stored and looked at.
 */
static void
alter_settings(SchemaAction *action, const SchemaObject *from, const SchemaObject *to)
{
	/* a new type brings its own */
	bool		are_lost = from->retyped || ar_schema_retypes(from, to);
	char	   *start = psprintf("ALTER TABLE %s%s ALTER COLUMN %s", ar_schema_only(to->parent),
								 ar_schema_place_name(to), quote_identifier(to->name));

	if (are_lost ? ar_schema_value(to, "storage") != NULL : !ar_schema_same(from, to, "storage"))
		ar_schema_say(action, "%s SET STORAGE %s", start, ar_schema_value(to, "storage") ?
					  ar_schema_value(to, "storage") :
					  ar_schema_value(to, "_type_storage")[0] == 'p' ? "PLAIN" :
					  ar_schema_value(to, "_type_storage")[0] == 'm' ? "MAIN" :
					  ar_schema_value(to, "_type_storage")[0] == 'e' ? "EXTERNAL" : "EXTENDED");
	if (are_lost ? ar_schema_value(to, "compression") != NULL : !ar_schema_same(from, to, "compression"))
		ar_schema_say(action, "%s SET COMPRESSION %s", start, ar_schema_value(to, "compression") ?
					  ar_schema_value(to, "compression") : "default");
	if (!ar_schema_same(from, to, "foreign_options"))
		alter_options(action, psprintf("ALTER FOREIGN TABLE %s ALTER COLUMN %s", ar_schema_place_name(to),
									   quote_identifier(to->name)),
					  ar_schema_value(from, "foreign_options"), ar_schema_value(to, "foreign_options"),
					  true);
	alter_options(action, start, ar_schema_value(from, "options"), ar_schema_value(to, "options"), false);
	if (!ar_schema_same(from, to, "statistics"))
		ar_schema_say(action, "%s SET STATISTICS %s", start, ar_schema_value(to, "statistics") ?
					  ar_schema_value(to, "statistics") : "-1");
}

/*
 * From one type to another: by assignment where there is such a cast, which
 * raises an error for a value that is too long where an explicit one would cut
 * it off; else by an explicit cast, through text if the old type is replaced.
 */
static void
alter_column_type(SchemaAction *action, const SchemaObject *from, const SchemaObject *to)
{
	const char *old = ar_schema_value(from, "type");
	const char *new = ar_schema_value(to, "type");
	const char *collation = ar_schema_value(to, "collation");
	char	   *name = pstrdup(quote_identifier(to->name));
	bool		through_text = from->retyped || (needs_type(from) && needs_type(to));
	const SchemaObject *old_default = default_of(from);
	const SchemaObject *new_default = default_of(to);
	StringInfoData text;

	/* the server casts a default only by assignment */
	if (old_default && (through_text || !is_assignable(from, to)))
		ar_schema_say(action, "ALTER TABLE %s ALTER COLUMN %s DROP DEFAULT", ar_schema_place_name(to), name);
	else
		new_default = NULL;
	initStringInfo(&text);
	appendStringInfo(&text, "ALTER TABLE %s ALTER COLUMN %s TYPE %s", ar_schema_place_name(to), name, new);
	if (collation)
		appendStringInfo(&text, " COLLATE %s", collation);
	if (through_text)
		appendStringInfo(&text, " USING %s::%s::%s", name,
						 strlen(old) > 2 && strcmp(&old[strlen(old) - 2], "[]") == 0 ? "text[]" : "text", new);
	else if (!is_assignable(from, to))
		appendStringInfo(&text, " USING %s::%s", name, new);
	ar_schema_say(action, "%s", text.data);
	if (new_default && ar_schema_same(old_default, new_default, "expression"))
		ar_schema_say(action, "ALTER TABLE %s ALTER COLUMN %s SET DEFAULT %s", ar_schema_place_name(to), name,
					  ar_schema_value(new_default, "expression"));
	ar_schema_warn(action, AR_HAZARD_REWRITES);
	ar_schema_warn(action, AR_HAZARD_BLOCKS_READS);
}

/*
 * Does the type of a column that is its table's and its parent's, too, change
 * with the parent's?
 */
static bool
follows_parent(const SchemaObject *column)
{
	ListCell   *cell;
	ListCell   *part;

	if (ar_schema_value(column->parent, "parents") == NULL)
		return false;
	foreach(cell, column->parent->needs)
	{
		const SchemaObject *table = lfirst(cell);

		if (table->kind != AR_SCHEMA_TABLE)
			continue;
		foreach(part, table->parts)
		{
			const SchemaObject *other = lfirst(part);

			if (other->kind == AR_SCHEMA_COLUMN && strcmp(other->name, column->name) == 0 && other->peer &&
				ar_schema_retypes(other->peer, other))
				return true;
		}
	}
	return false;
}

static const SchemaObject *
default_of(const SchemaObject *column)
{
	ListCell   *cell;

	foreach(cell, column->parts)
	{
		if (((SchemaObject *) lfirst(cell))->kind == AR_SCHEMA_DEFAULT)
			return lfirst(cell);
	}
	return NULL;
}

/*
 * Is the old type the new one but for its modifier, or is there a cast in
 * assignment?  Of types that the server does not bring along, only the name is
 * known here.
 */
static bool
is_assignable(const SchemaObject *from, const SchemaObject *to)
{
	const char *old = ar_schema_value(from, "type");
	const char *new = ar_schema_value(to, "type");
	Oid			old_type = (Oid) strtoul(ar_schema_value(from, "_type_oid"), NULL, 10);
	Oid			new_type = (Oid) strtoul(ar_schema_value(to, "_type_oid"), NULL, 10);

	if (old_type == new_type || strcmp(old, new) == 0)
		return true;
	return old_type < FirstNormalObjectId && new_type < FirstNormalObjectId &&
		can_coerce_type(1, &old_type, &new_type, COERCION_ASSIGNMENT);
}

/*
 * Is the column of a type that the model has?
 */
static bool
needs_type(const SchemaObject *column)
{
	ListCell   *cell;

	foreach(cell, column->needs)
	{
		SchemaKind	kind = ((SchemaObject *) lfirst(cell))->kind;

		if (kind == AR_SCHEMA_ENUM || kind == AR_SCHEMA_DOMAIN || kind == AR_SCHEMA_RANGE ||
			kind == AR_SCHEMA_COMPOSITE)
			return true;
	}
	return false;
}

static void
alter_not_null(SchemaAction *action, const SchemaObject *from, const SchemaObject *to)
{
	bool		was = ar_schema_flag(from, "not_null");
	bool		is = ar_schema_flag(to, "not_null");

	if (was && is && !ar_schema_same(from, to, "not_null_constraint") && alter_not_null_constraint(action, from, to))
		was = is;
	else if (was != is || !ar_schema_same(from, to, "not_null_constraint"))
	{
		if (was)
			ar_schema_say(action, "ALTER TABLE %s ALTER COLUMN %s DROP NOT NULL", ar_schema_place_name(to),
						  quote_identifier(to->name));
		if (is)
			ar_schema_add_not_null(action, to);
		if (is && !is_unproved(to))
		{
			ar_schema_warn(action, AR_HAZARD_SCANS);
			ar_schema_warn(action, AR_HAZARD_BLOCKS_READS);
		}
	}
	if (is && !ar_schema_same(from, to, "not_null_comment"))
		ar_schema_say(action, "COMMENT ON CONSTRAINT %s ON %s IS %s", ar_schema_value(to, "_not_null_name"),
					  ar_schema_place_name(to), ar_schema_value(to, "not_null_comment") ?
					  quote_literal_cstr(ar_schema_value(to, "not_null_comment")) : "NULL");
}

/*
 * The name and the properties of a NOT NULL constraint that stays; false if it
 * has to be made again.
 */
static bool
alter_not_null_constraint(SchemaAction *action, const SchemaObject *from, const SchemaObject *to)
{
	const char *old = ar_schema_value(from, "not_null_constraint");
	const char *new = ar_schema_value(to, "not_null_constraint");
	const char *name = ar_schema_value(to, "_not_null_name");
	bool		was_inherited = strstr(&old[ar_schema_name_length(old)], " NO INHERIT") == NULL;
	bool		is_inherited = strstr(&new[ar_schema_name_length(new)], " NO INHERIT") == NULL;

	if (!is_unproved(from) && is_unproved(to))
		return false;
	if (!ar_schema_same(from, to, "_not_null_name"))
		ar_schema_say(action, "ALTER TABLE %s RENAME CONSTRAINT %s TO %s", ar_schema_place_name(to),
					  ar_schema_value(from, "_not_null_name"), name);
	if (was_inherited != is_inherited)
		ar_schema_say(action, "ALTER TABLE %s ALTER CONSTRAINT %s %s", ar_schema_place_name(to), name,
					  is_inherited ? "INHERIT" : "NO INHERIT");
	if (is_unproved(from) && !is_unproved(to))
	{
		ar_schema_say(action, "ALTER TABLE %s VALIDATE CONSTRAINT %s", ar_schema_place_name(to), name);
		ar_schema_warn(action, AR_HAZARD_SCANS);
	}
	return true;
}

/*
 * Is the column's NOT NULL only for rows to come?
 */
static bool
is_unproved(const SchemaObject *column)
{
	const char *constraint = ar_schema_value(column, "not_null_constraint");

	return constraint && strstr(&constraint[ar_schema_name_length(constraint)], " NOT VALID");
}

static void
alter_identity(SchemaAction *action, const SchemaObject *from, const SchemaObject *to, const char *start)
{
	const char *old = ar_schema_value(from, "identity");
	const char *new = ar_schema_value(to, "identity");
	const char *unusual = ar_schema_value(to, "_identity_unusual");

	if (new == NULL)
		return;
	if (old == NULL)
	{
		ar_schema_say(action, "%s ADD GENERATED %s AS IDENTITY%s%s%s", start, new,
					  unusual && unusual[0] ? " (" : "", unusual && unusual[0] ? &unusual[1] : "",
					  unusual && unusual[0] ? ")" : "");
		return;
	}
	if (!ar_schema_same(from, to, "identity_sequence"))
	{
		const char *schema = to->schema ? psprintf("%s.", quote_identifier(to->schema)) : "";

		ar_schema_say(action, "ALTER SEQUENCE %s%s RENAME TO %s", schema, ar_schema_value(from, "_identity_name"),
					  ar_schema_value(to, "_identity_name"));
	}
	if (strcmp(old, new) != 0)
		ar_schema_say(action, "%s SET GENERATED %s", start, new);
	if (!ar_schema_same(from, to, "identity_options"))
	{
		/* each option behind a SET of its own */
		const char *const words[] = {"INCREMENT BY ", "MINVALUE ", "MAXVALUE ", "START WITH ", "CACHE ",
		"NO CYCLE", "CYCLE"};
		const char *at = ar_schema_value(to, "identity_options");
		StringInfoData text;

		initStringInfo(&text);
		appendStringInfoString(&text, start);
		while (*at)
		{
			bool		found = false;

			for (int i = 0; i < lengthof(words) && !found; i++)
			{
				int			length = strlen(words[i]);

				if (strncmp(at, words[i], length) != 0)
					continue;
				length += i < 5 ? strcspn(&at[length], " ") : 0;
				appendStringInfo(&text, " SET %.*s", length, at);
				at += length;
				found = true;
			}
			at += !found || *at == ' ';
		}
		ar_schema_say(action, "%s", text.data);
	}
}

static void
alter_view(SchemaAction *action, const SchemaObject *from, const SchemaObject *to)
{
	bool		is_materialized = strcmp(ar_schema_value(to, "kind"), "m") == 0;
	const char *options = ar_schema_value(to, "options");

	if (!is_materialized)
	{
		if (!ar_schema_same(from, to, "definition"))
			ar_schema_say(action, "CREATE OR REPLACE VIEW %s%s%s%s AS\n%s", ar_schema_name(to),
						  options ? " WITH (" : "", options ? options : "", options ? ")" : "",
						  ar_schema_value(to, "definition"));
		else
			alter_options(action, psprintf("ALTER VIEW %s", ar_schema_name(to)),
						  ar_schema_value(from, "options"), options, false);
		return;
	}
	alter_options(action, psprintf("ALTER MATERIALIZED VIEW %s", ar_schema_name(to)),
				  ar_schema_value(from, "options"), options, false);
	if (!ar_schema_same(from, to, "access_method"))
		ar_schema_say(action, "ALTER MATERIALIZED VIEW %s SET ACCESS METHOD %s", ar_schema_name(to),
					  quote_identifier(ar_schema_value(to, "access_method")));
	if (!ar_schema_same(from, to, "tablespace"))
		ar_schema_say(action, "ALTER MATERIALIZED VIEW %s SET TABLESPACE %s", ar_schema_name(to),
					  ar_schema_value(to, "tablespace") ?
					  quote_identifier(ar_schema_value(to, "tablespace")) : "pg_default");
}

static void
alter_constraint(SchemaAction *action, const SchemaObject *from, const SchemaObject *to)
{
	if (to->kind == AR_SCHEMA_CONSTRAINT && !ar_schema_same(from, to, "definition") &&
		ar_schema_value(to, "_index"))
	{
		char	   *old;
		char	   *new;
		SchemaObject index = *to;

		(void) without_options(from, &old);
		(void) without_options(to, &new);
		index.parent = NULL;
		alter_options(action, psprintf("ALTER INDEX %s", ar_schema_name(&index)), old, new, false);
	}
	else if (!ar_schema_same(from, to, "definition"))
	{
		ar_schema_say(action, "ALTER TABLE %s VALIDATE CONSTRAINT %s", ar_schema_place_name(to),
					  quote_identifier(to->name));
		ar_schema_warn(action, AR_HAZARD_SCANS);
	}
	if (to->kind == AR_SCHEMA_CONSTRAINT && !ar_schema_same(from, to, "clustered"))
	{
		if (ar_schema_flag(to, "clustered"))
			ar_schema_say(action, "ALTER TABLE %s CLUSTER ON %s", ar_schema_place_name(to),
						  quote_identifier(to->name));
		else
			ar_schema_say(action, "ALTER TABLE %s SET WITHOUT CLUSTER", ar_schema_place_name(to));
	}
}

/*
 * A key's definition without the options of its index, which go to *options if
 * that is not NULL; they are NULL if there are none.
 */
static char *
without_options(const SchemaObject *key, char **options)
{
	const char *definition = value_or_empty(key, "definition");
	int			depth = 0;
	char		quote = '\0';

	if (options)
		*options = NULL;
	for (const char *at = definition; *at; at++)
	{
		if (quote)
			quote = *at == quote ? '\0' : quote;
		else if (*at == '"' || *at == '\'')
			quote = *at;
		else if (*at == '(')
			depth++;
		else if (*at == ')')
			depth--;
		else if (depth == 0 && begins_with(at, " WITH ("))
		{
			const char *start = at + strlen(" WITH (");
			const char *end = strchr(start, ')');

			if (options)
				*options = pnstrdup(start, end - start);
			return psprintf("%.*s%s", (int) (at - definition), definition, end + 1);
		}
	}
	return pstrdup(definition);
}

static void
alter_policy(SchemaAction *action, const SchemaObject *from, const SchemaObject *to)
{
	StringInfoData text;

	initStringInfo(&text);
	appendStringInfo(&text, "ALTER POLICY %s ON %s", quote_identifier(to->name), ar_schema_place_name(to));
	if (!ar_schema_same(from, to, "roles"))
		appendStringInfo(&text, " TO %s", ar_schema_value(to, "roles"));
	if (!ar_schema_same(from, to, "using"))
		appendStringInfo(&text, " USING (%s)", ar_schema_value(to, "using"));
	if (!ar_schema_same(from, to, "check"))
		appendStringInfo(&text, " WITH CHECK (%s)", ar_schema_value(to, "check"));
	if (!ar_schema_same(from, to, "roles") || !ar_schema_same(from, to, "using") ||
		!ar_schema_same(from, to, "check"))
		ar_schema_say(action, "%s", text.data);
	ar_schema_warn(action, AR_HAZARD_WIDENS_ACCESS);
}

static void
alter_index(SchemaAction *action, const SchemaObject *from, const SchemaObject *to)
{
	if (!ar_schema_same(from, to, "tablespace"))
	{
		ar_schema_say(action, "ALTER INDEX %s SET TABLESPACE %s", ar_schema_name(to),
					  ar_schema_value(to, "tablespace") ?
					  quote_identifier(ar_schema_value(to, "tablespace")) : "pg_default");
		ar_schema_warn(action, AR_HAZARD_REWRITES);
	}
	if (!ar_schema_same(from, to, "clustered"))
	{
		if (ar_schema_flag(to, "clustered"))
			ar_schema_say(action, "ALTER TABLE %s CLUSTER ON %s", ar_schema_place_name(to),
						  quote_identifier(to->name));
		else
			ar_schema_say(action, "ALTER TABLE %s SET WITHOUT CLUSTER", ar_schema_place_name(to));
	}
}

/*
 * "start" SET (...) and RESET (...), or OPTIONS (...) of what is foreign.
 */
static void
alter_options(SchemaAction *action, const char *start, const char *from, const char *to, bool is_foreign)
{
	List	   *old = option_list(from);
	List	   *new = option_list(to);
	StringInfoData set;
	StringInfoData reset;
	ListCell   *cell;

	initStringInfo(&set);
	initStringInfo(&reset);
	foreach(cell, new)
	{
		const char *option = lfirst(cell);

		if (!list_has(old, option))
			appendStringInfo(&set, "%s%s%s", set.len ? ", " : "",
							 !is_foreign ? "" : has_option_named(old, option_name(option)) ? "SET " : "ADD ",
							 option);
	}
	foreach(cell, old)
	{
		const char *name = option_name(lfirst(cell));

		if (!has_option_named(new, name))
		{
			if (is_foreign)
				appendStringInfo(&set, "%sDROP %s", set.len ? ", " : "", name);
			else
				appendStringInfo(&reset, "%s%s", reset.len ? ", " : "", name);
		}
	}
	if (set.len)
		ar_schema_say(action, "%s %s (%s)", start, is_foreign ? "OPTIONS" : "SET", set.data);
	if (reset.len)
		ar_schema_say(action, "%s RESET (%s)", start, reset.data);
}

static void
alter_enabled(SchemaAction *action, const SchemaObject *to, const char *word)
{
	const char *enabled = ar_schema_value(to, "enabled");

	ar_schema_say(action, "ALTER TABLE %s %s %s %s", ar_schema_place_name(to),
				  enabled[0] == 'D' ? "DISABLE" : enabled[0] == 'R' ? "ENABLE REPLICA" :
				  enabled[0] == 'A' ? "ENABLE ALWAYS" : "ENABLE", word, quote_identifier(to->name));
}

static bool
only_differs_in(const SchemaObject *from, const SchemaObject *to, const char *const *attributes)
{
	int			count;
	const char **names = ar_schema_attributes(from->kind, &count);

	for (int i = 0; i < count; i++)
	{
		bool		may_differ = names[i][0] == '_';

		for (int j = 0; attributes[j]; j++)
			may_differ |= strcmp(names[i], attributes[j]) == 0;
		if (!may_differ && !ar_schema_same(from, to, names[i]))
			return false;
	}
	return true;
}

static bool
begins_with(const char *text, const char *start)
{
	return strncmp(text, start, strlen(start)) == 0;
}

static const char *
value_or_empty(const SchemaObject *object, const char *attribute)
{
	const char *value = ar_schema_value(object, attribute);

	return value ? value : "";
}

/*
 * The items of a list of quoted strings.
 */
static List *
split_quoted(const char *text)
{
	List	   *items = NIL;
	const char *start = text;
	char		quote = '\0';

	if (text == NULL || text[0] == '\0')
		return NIL;
	for (const char *at = text;; at++)
	{
		if (quote ? *at == quote : *at == '\'' || *at == '"')
			quote = quote ? '\0' : *at;
		if (*at == '\0' || (!quote && at[0] == ',' && at[1] == ' '))
		{
			items = lappend(items, pnstrdup(start, at - start));
			if (*at == '\0')
				return items;
			start = at + 2;
		}
	}
}

static List *
labels_of(const SchemaObject *type)
{
	return split_quoted(ar_schema_value(type, "labels"));
}

static List *
option_list(const char *options)
{
	return split_quoted(options);
}

List *
ar_schema_name_list(const char *names)
{
	return split_quoted(names);
}

/*
 * The name of "name=value" or "name 'value'".
 */
static const char *
option_name(const char *option)
{
	return pnstrdup(option, strcspn(option, "= "));
}

static bool
has_option_named(List *options, const char *name)
{
	ListCell   *cell;

	foreach(cell, options)
	{
		if (strcmp(option_name(lfirst(cell)), name) == 0)
			return true;
	}
	return false;
}

static bool
list_has(List *texts, const char *text)
{
	ListCell   *cell;

	foreach(cell, texts)
	{
		if (strcmp(lfirst(cell), text) == 0)
			return true;
	}
	return false;
}

/*
 * Are the members of one list in the other, in that order?
 */
static bool
is_subsequence(List *part, List *whole)
{
	int			next = 0;
	ListCell   *cell;

	foreach(cell, whole)
	{
		if (next < list_length(part) && strcmp(list_nth(part, next), lfirst(cell)) == 0)
			next++;
	}
	return next == list_length(part);
}
