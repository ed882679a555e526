/*
 * autogenerate_rename.c: what is renamed, instead of dropped and made anew.
 *
 * A rename is hinted at by a comment behind the new name in the declared text,
 * "-- @renamed from=old", or by the argument "renames".  It is a statement
 * before the plan: the plan then leads from the live schemas as they are with
 * the new names.  A hint whose old name is gone, is of the past.
 *
 * Indexes, constraints and the sequences of columns that differ in nothing but
 * their name are renamed without a hint: nothing is lost by that, and names that
 * the server made follow the name of their table.
 */
#include "postgres.h"

#include <ctype.h>

#include "miscadmin.h"
#include "parser/scansup.h"
#include "revision/revision.h"
#include "schema/schema.h"
#include "utils/builtins.h"
#include "autogenerate/autogenerate.h"

#define HINT "@renamed from="

/* A place in the declared text where a name is given. */
typedef struct NamedPlace
{
	int			location;
	RenameTarget target;
	const char *schema;
	const char *owner;			/* table or type that it is a part of, or NULL */
	const char *name;
} NamedPlace;

static List *only_in(const SchemaModel *model, const SchemaModel *other);
static List *places_of(const DeclaredStatement *statement);
static void add_place(List **places, int location, RenameTarget target, const char *schema,
					  const char *owner, const char *name);
static void add_columns(List **places, List *elements, const RangeVar *relation);
static void add_labels(List **places, const DeclaredStatement *statement, const CreateEnumStmt *type);
static void name_of_list(List *names, const char **schema, const char **name);
static int	token_end(const char *text, int location, int limit);
static List *places_before(List *places, int location);
static void read_gap(DeclaredText *declared, int start, int end, List *places);
static char *read_old_name(const char *text, int start, int end, RenameTarget target);
static SchemaObject *find(const SchemaModel *model, const Rename *rename, const char *owner,
						  const char *name);
static bool has_label(const SchemaObject *type, const char *label);
static const char *quoted_place(const char *schema, const char *name);
static SchemaAction *rename_action(SchemaObject *object, char *statement);
static void add_rename(List **upgrade, List **downgrade, SchemaObject *object, char *statement, char *undo);
static void add_sequences(List **upgrade, List **downgrade, const SchemaObject *table,
						  const Rename *rename);
static bool is_same_but_name(const SchemaObject *a, const SchemaObject *b, const SchemaOptions *options);
static const char *index_rest(const SchemaObject *index);
static const char *column_of_sequence(const SchemaObject *sequence);

/*
 * Note the hints in the comments of the declared text.  One behind a name means
 * that name; one in a line of its own before a statement means what the
 * statement defines.  Raises 22023 for one that means nothing.
 */
void
ar_autogenerate_read_hints(DeclaredText *declared)
{
	const char *text = declared->text;
	int			start = 0;
	List	   *before = NIL;	/* places of the statement before */
	ListCell   *cell;

	if (strstr(text, HINT) == NULL)
		return;
	foreach(cell, declared->statements)
	{
		DeclaredStatement *statement = lfirst(cell);
		List	   *places = places_of(statement);
		int			line_end = start + strcspn(&text[start], "\r\n");
		ScriptTokens *tokens;
		ScriptToken token;

		if (start > 0)
			read_gap(declared, start, Min(line_end, statement->location), before);
		read_gap(declared, start > 0 ? line_end : 0, statement->location, list_truncate(list_copy(places), 1));
		start = statement->location;
		tokens = ar_revision_tokens_begin(statement->text);
		while (ar_revision_tokens_next(tokens, &token))
		{
			read_gap(declared, start, statement->location + token.location, places_before(places, start));
			start = token_end(text, statement->location + token.location, statement->end);
			ar_revision_token_free(&token);
		}
		ar_revision_tokens_end(tokens);
		read_gap(declared, start, statement->end, places);
		start = statement->end;
		before = places;
	}
	read_gap(declared, start, start + strcspn(&text[start], "\r\n"), before);
	read_gap(declared, start + strcspn(&text[start], "\r\n"), strlen(text), NIL);
}

/*
 * Renames from the argument: "name -> new", "table.part -> new", each name as in SQL.
 * Raises 22023 for anything else.
 */
List *
ar_autogenerate_rename_arguments(List *texts)
{
	List	   *renames = NIL;
	ListCell   *cell;

	foreach(cell, texts)
	{
		const char *text = lfirst(cell);
		Rename	   *rename = palloc0(sizeof(Rename));
		ScriptTokens *tokens = ar_revision_tokens_begin(text);
		ScriptToken token;
		List	   *names = NIL;
		bool		wants_name = true;
		bool		is_new = false;
		bool		is_right = true;

		while (is_right && ar_revision_tokens_next(tokens, &token))
		{
			if (wants_name)
			{
				is_right = token.class == AR_TOKEN_IDENT || token.class == AR_TOKEN_SCONST;
				if (is_right && is_new)
					rename->name = token.text;
				else if (is_right)
					names = lappend(names, token.text);
				wants_name = false;
			}
			else if (token.class == '.' && !is_new)
				wants_name = true;
			else if (!is_new && token.class == AR_TOKEN_OP && strcmp(token.text, "->") == 0)
				is_new = wants_name = true;
			else
				is_right = false;
		}
		ar_revision_tokens_end(tokens);
		if (!is_right || rename->name == NULL || wants_name || list_length(names) > 3)
			ereport(ERROR,
					errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					errmsg("rename \"%s\" cannot be understood", text),
					errhint("Write 'old_table -> new_table', 'table.old_column -> new_column' or 'type.old_label -> new_label', after the schema and a dot where it is not the current one."));
		rename->target = AR_RENAME_ANY;
		rename->path = names;
		rename->text = text;

		renames = lappend(renames, rename);
	}
	return renames;
}

/*
 * Turn renames into actions, those of things before those of their parts.  The
 * model is that of the live schemas.  Raises 42704 if an argument names nothing,
 * 42710 if the new name is taken.
 */
void
ar_autogenerate_rename_plan(const SchemaModel *live, const char *target_schema, List *renames,
							List **upgrade, List **downgrade)
{
	ListCell   *cell;
	ListCell   *other;

	foreach(cell, renames)
	{
		Rename	   *rename = lfirst(cell);

		if (rename->target == AR_RENAME_ANY)
		{
			List	   *path = rename->path;
			SchemaObject *object = NULL;

			/* schema.table.part, table.part, schema.table, table */
			for (int parts = 2; object == NULL && parts >= 1; parts--)
			{
				int			more = list_length(path) - parts;

				if (more < 0 || more > 1)
					continue;
				rename->schema = more ? linitial(path) : NULL;
				rename->owner = parts == 2 ? list_nth(path, more) : NULL;
				rename->old_name = llast(path);
				if (rename->schema && strcmp(rename->schema, target_schema) == 0)
					rename->schema = NULL;
				object = find(live, rename, rename->owner, rename->old_name);
			}
			if (object == NULL)
				ereport(ERROR,
						errcode(ERRCODE_UNDEFINED_OBJECT),
						errmsg("rename \"%s\" names nothing that exists", rename->text),
						errhint("The old name is that of a table, index, sequence, view or type, or table.column, table.constraint or type.label."));
		}
		else if (rename->schema && strcmp(rename->schema, target_schema) == 0)
			rename->schema = NULL;
	}
	for (int pass = 0; pass < 2; pass++)
	{
		foreach(cell, renames)
		{
			Rename	   *rename = lfirst(cell);
			const char *old_owner = rename->owner;
			const char *new_owner = rename->owner;
			SchemaObject *object;
			const char *place;
			const char *old_name = quote_identifier(rename->old_name);
			const char *new_name = quote_identifier(rename->name);

			if ((rename->owner == NULL) != (pass == 0))
				continue;
			/* what it is a part of may be renamed, too */
			foreach(other, renames)
			{
				Rename	   *whole = lfirst(other);

				if (rename->owner == NULL || whole->owner != NULL || !whole->is_done)
					continue;
				if (strcmp(whole->name, rename->owner) == 0)
					old_owner = whole->old_name;
				else if (strcmp(whole->old_name, rename->owner) == 0)
					new_owner = whole->name;
			}
			object = find(live, rename, old_owner, rename->old_name);
			if (object == NULL)
				continue;
			if (object->kind != AR_SCHEMA_ENUM || rename->owner == NULL ?
				find(live, rename, old_owner, rename->name) != NULL : has_label(object, rename->name))
			{
				if (rename->target != AR_RENAME_ANY)
					continue;
				ereport(ERROR,
						errcode(ERRCODE_DUPLICATE_OBJECT),
						errmsg("%s cannot be renamed to \"%s\", which exists", object->identity, rename->name));
			}
			rename->is_done = true;
			place = rename->owner ? quoted_place(rename->schema, new_owner) : "";
			if (rename->owner && object->kind == AR_SCHEMA_ENUM)
				add_rename(upgrade, downgrade, object,
						   psprintf("ALTER TYPE %s RENAME VALUE %s TO %s", place,
									quote_literal_cstr(rename->old_name), quote_literal_cstr(rename->name)),
						   psprintf("ALTER TYPE %s RENAME VALUE %s TO %s", place,
									quote_literal_cstr(rename->name), quote_literal_cstr(rename->old_name)));
			else if (object->kind == AR_SCHEMA_COLUMN)
			{
				const char *command = object->parent->kind == AR_SCHEMA_COMPOSITE ?
				"ALTER TYPE %s RENAME ATTRIBUTE %s TO %s" :
				object->parent->kind == AR_SCHEMA_VIEW ? "ALTER VIEW %s RENAME COLUMN %s TO %s" :
				"ALTER TABLE %s RENAME COLUMN %s TO %s";

				add_rename(upgrade, downgrade, object, psprintf(command, place, old_name, new_name),
						   psprintf(command, place, new_name, old_name));
			}
			else if (object->kind == AR_SCHEMA_CONSTRAINT || object->kind == AR_SCHEMA_FOREIGN_KEY)
				add_rename(upgrade, downgrade, object,
						   psprintf("ALTER TABLE %s RENAME CONSTRAINT %s TO %s", place, old_name, new_name),
						   psprintf("ALTER TABLE %s RENAME CONSTRAINT %s TO %s", place, new_name, old_name));
			else
			{
				SchemaObject renamed = *object;

				renamed.name = rename->name;
				add_rename(upgrade, downgrade, object,
						   psprintf("ALTER %s RENAME TO %s", ar_schema_comment_name(object), new_name),
						   psprintf("ALTER %s RENAME TO %s", ar_schema_comment_name(&renamed), old_name));
				if (object->kind == AR_SCHEMA_TABLE)
					add_sequences(upgrade, downgrade, object, rename);
				if (object->kind == AR_SCHEMA_RANGE)
				{
					ar_schema_rename_range(llast(*upgrade), object, rename->old_name, rename->name);
					ar_schema_rename_range(linitial(*downgrade), object, rename->name, rename->old_name);
				}
			}
		}
	}
}

/*
 * Renames of what differs in nothing but the name: indexes, constraints, and
 * sequences that belong to a column.
 */
void
ar_autogenerate_rename_equals(const SchemaModel *from, const SchemaModel *to,
							  const SchemaOptions *options, List **upgrade, List **downgrade)
{
	List	   *news = only_in(to, from);
	ListCell   *cell;
	ListCell   *other;

	foreach(cell, only_in(from, to))
	{
		SchemaObject *old = lfirst(cell);

		foreach(other, news)
		{
			SchemaObject *new = lfirst(other);

			if (!is_same_but_name(old, new, options))
				continue;
			news = foreach_delete_current(news, other);
			if (old->kind == AR_SCHEMA_CONSTRAINT || old->kind == AR_SCHEMA_FOREIGN_KEY)
				add_rename(upgrade, downgrade, old,
						   psprintf("ALTER TABLE %s RENAME CONSTRAINT %s TO %s", ar_schema_place_name(old),
									quote_identifier(old->name), quote_identifier(new->name)),
						   psprintf("ALTER TABLE %s RENAME CONSTRAINT %s TO %s", ar_schema_place_name(old),
									quote_identifier(new->name), quote_identifier(old->name)));
			else
				add_rename(upgrade, downgrade, old,
						   psprintf("ALTER %s RENAME TO %s", ar_schema_comment_name(old), quote_identifier(new->name)),
						   psprintf("ALTER %s RENAME TO %s", ar_schema_comment_name(new), quote_identifier(old->name)));
			break;
		}
	}
}

/*
 * Indexes, constraints and sequences that one model has and the other has not.
 */
static List *
only_in(const SchemaModel *model, const SchemaModel *other)
{
	List	   *objects = NIL;
	ListCell   *cell;

	foreach(cell, model->objects)
	{
		SchemaObject *object = lfirst(cell);

		if ((object->kind == AR_SCHEMA_INDEX || object->kind == AR_SCHEMA_CONSTRAINT ||
			 object->kind == AR_SCHEMA_FOREIGN_KEY || object->kind == AR_SCHEMA_SEQUENCE) &&
			ar_schema_find(other, object->identity) == NULL)
			objects = lappend(objects, object);
	}
	return objects;
}

/*
 * Where a statement gives names, in the order of the text.
 */
static List *
places_of(const DeclaredStatement *statement)
{
	List	   *places = NIL;
	Node	   *stmt = statement->raw->stmt;
	const char *schema = NULL;
	const char *name = NULL;
	RenameTarget target = AR_RENAME_RELATION;
	RangeVar   *relation = NULL;

	switch (nodeTag(stmt))
	{
		case T_CreateForeignTableStmt:
			stmt = (Node *) &((CreateForeignTableStmt *) stmt)->base;
			/* FALLTHROUGH */
		case T_CreateStmt:
			relation = ((CreateStmt *) stmt)->relation;
			break;
		case T_ViewStmt:
			relation = castNode(ViewStmt, stmt)->view;
			break;
		case T_CreateTableAsStmt:
			relation = castNode(CreateTableAsStmt, stmt)->into->rel;
			break;
		case T_CreateSeqStmt:
			relation = castNode(CreateSeqStmt, stmt)->sequence;
			break;
		case T_CompositeTypeStmt:
			relation = castNode(CompositeTypeStmt, stmt)->typevar;
			target = AR_RENAME_TYPE;
			break;
		case T_AlterTableStmt:
			relation = castNode(AlterTableStmt, stmt)->relation;
			break;
		case T_IndexStmt:
			name = castNode(IndexStmt, stmt)->idxname;
			schema = castNode(IndexStmt, stmt)->relation->schemaname;
			break;
		case T_CreateEnumStmt:
			name_of_list(castNode(CreateEnumStmt, stmt)->typeName, &schema, &name);
			target = AR_RENAME_TYPE;
			break;
		case T_CreateDomainStmt:
			name_of_list(castNode(CreateDomainStmt, stmt)->domainname, &schema, &name);
			target = AR_RENAME_TYPE;
			break;
		case T_CreateRangeStmt:
			name_of_list(castNode(CreateRangeStmt, stmt)->typeName, &schema, &name);
			target = AR_RENAME_TYPE;
			break;
		default:
			return NIL;
	}
	if (relation)
	{
		schema = relation->schemaname;
		name = relation->relname;
	}
	if (name && !IsA(stmt, AlterTableStmt))
		add_place(&places, statement->location, target, schema, NULL, name);
	switch (nodeTag(stmt))
	{
		case T_CreateStmt:
			add_columns(&places, ((CreateStmt *) stmt)->tableElts, relation);
			break;
		case T_CompositeTypeStmt:
			add_columns(&places, castNode(CompositeTypeStmt, stmt)->coldeflist, relation);
			break;
		case T_AlterTableStmt:
			{
				List	   *elements = NIL;
				ListCell   *cell;

				foreach(cell, castNode(AlterTableStmt, stmt)->cmds)
				{
					AlterTableCmd *command = lfirst_node(AlterTableCmd, cell);

					if (command->subtype == AT_AddConstraint || command->subtype == AT_AddColumn)
						elements = lappend(elements, command->def);
				}
				add_columns(&places, elements, relation);
				break;
			}
		case T_CreateEnumStmt:
			add_labels(&places, statement, castNode(CreateEnumStmt, stmt));
			break;
		default:
			break;
	}
	return places;
}

static void
add_place(List **places, int location, RenameTarget target, const char *schema, const char *owner,
		  const char *name)
{
	NamedPlace *place = palloc(sizeof(NamedPlace));

	place->location = location;
	place->target = target;
	place->schema = schema;
	place->owner = owner;
	place->name = name;
	*places = lappend(*places, place);
}

static void
add_columns(List **places, List *elements, const RangeVar *relation)
{
	ListCell   *cell;

	foreach(cell, elements)
	{
		Node	   *element = lfirst(cell);

		if (IsA(element, ColumnDef))
			add_place(places, castNode(ColumnDef, element)->location, AR_RENAME_COLUMN,
					  relation->schemaname, relation->relname, castNode(ColumnDef, element)->colname);
		else if (IsA(element, Constraint) && castNode(Constraint, element)->conname)
			add_place(places, castNode(Constraint, element)->location,
					  AR_RENAME_CONSTRAINT, relation->schemaname, relation->relname,
					  castNode(Constraint, element)->conname);
	}
}

/*
 * The parser keeps no places of labels: they are the strings of the statement.
 */
static void
add_labels(List **places, const DeclaredStatement *statement, const CreateEnumStmt *type)
{
	ScriptTokens *tokens = ar_revision_tokens_begin(statement->text);
	ScriptToken token;
	const char *schema;
	const char *name;

	name_of_list(type->typeName, &schema, &name);
	while (ar_revision_tokens_next(tokens, &token))
	{
		if (token.class == AR_TOKEN_SCONST)
			add_place(places, statement->location + token.location, AR_RENAME_LABEL, schema, name, pstrdup(token.text));
		ar_revision_token_free(&token);
	}
	ar_revision_tokens_end(tokens);
}

static void
name_of_list(List *names, const char **schema, const char **name)
{
	*name = strVal(llast(names));
	*schema = list_length(names) > 1 ? strVal(list_nth(names, list_length(names) - 2)) : NULL;
}

/*
 * Where the token that begins at "location" ends, as far as comments behind it
 * are concerned.
 */
static int
token_end(const char *text, int location, int limit)
{
	int			i = location;

	if (isalpha((unsigned char) text[i]) && (text[i + 1] == '\'' || (text[i + 1] == '&' && text[i + 2] != '&')))
		i += strcspn(&text[i], "'\"");
	if (text[i] == '\'' || text[i] == '"')
	{
		char		quote = text[i++];
		bool		escapes = quote == '\'' && i > location + 1 && (text[location] == 'e' || text[location] == 'E');

		for (; i < limit; i++)
		{
			if (escapes && text[i] == '\\')
				i++;
			else if (text[i] == quote && text[i + 1] == quote)
				i++;
			else if (text[i] == quote)
				return Min(i + 1, limit);
		}
		return limit;
	}
	if (text[i] == '$' && !isdigit((unsigned char) text[i + 1]))
	{
		int			length = strcspn(&text[i + 1], "$") + 2;
		const char *close = strstr(&text[i + length], pnstrdup(&text[i], length));

		return close ? Min((int) (close - text) +length, limit) : limit;
	}
	while (i < limit && !scanner_isspace(text[i]) && strncmp(&text[i], "--", 2) != 0 &&
		   strncmp(&text[i], "/*", 2) != 0)
		i++;
	return Max(i, Min(location + 1, limit));
}

/*
 * The places that come before a location.
 */
static List *
places_before(List *places, int location)
{
	int			count = 0;
	ListCell   *cell;

	foreach(cell, places)
	{
		if (((NamedPlace *) lfirst(cell))->location < location)
			count = foreach_current_index(cell) + 1;
	}
	return list_truncate(list_copy(places), count);
}

/*
 * Look for hints in what is between two tokens; they mean the last place.
 */
static void
read_gap(DeclaredText *declared, int start, int end, List *places)
{
	const char *text = declared->text;
	const char *found;

	while (start < end && (found = strstr(&text[start], HINT)) != NULL && found - text <end)
	{
		int			location = found - text;
		NamedPlace *place;
		Rename	   *rename;

		if (places == NIL)
			ereport(ERROR,
					errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					errmsg("a hint for a rename does not belong to anything that can be renamed"),
					errhint("Write it behind the new name of a table, view, sequence, index, type, column, constraint or label."),
					ar_autogenerate_errposition(text, location));
		place = llast(places);
		rename = palloc0(sizeof(Rename));
		rename->target = place->target;
		rename->schema = place->schema;
		rename->owner = place->owner;
		rename->name = place->name;
		rename->old_name = read_old_name(text, location + strlen(HINT), end, place->target);
		if (rename->old_name == NULL)
			ereport(ERROR,
					errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					errmsg("a hint for a rename has no old name"),
					ar_autogenerate_errposition(text, location));
		declared->renames = lappend(declared->renames, rename);
		start = location + strlen(HINT);
	}
}

/*
 * A name as SQL writes it; of a label also without quotes.
 */
static char *
read_old_name(const char *text, int start, int end, RenameTarget target)
{
	StringInfoData name;
	char		quote = text[start];
	int			i = start;

	initStringInfo(&name);
	if (quote == '"' || quote == '\'')
	{
		for (i++; i < end && (text[i] != quote || text[i + 1] == quote); i++)
		{
			if (text[i] == quote)
				i++;
			appendStringInfoChar(&name, text[i]);
		}
		return (name.len > 0 || target == AR_RENAME_LABEL) && i < end ? name.data : NULL;
	}
	while (i < end && !scanner_isspace(text[i]) && strchr(",;)", text[i]) == NULL &&
		   strncmp(&text[i], "*/", 2) != 0)
		i++;
	if (i == start)
		return NULL;
	if (target == AR_RENAME_LABEL)
		return pnstrdup(&text[start], i - start);
	/* without the schema, which is that of the new name */
	for (int j = start; j < i; j++)
	{
		if (text[j] == '.')
			start = j + 1;
	}
	return downcase_truncate_identifier(&text[start], i - start, false);
}

/*
 * What a rename means, under that name.
 */
static SchemaObject *
find(const SchemaModel *model, const Rename *rename, const char *owner, const char *name)
{
	static const char *const relations[] = {"table", "view", "sequence", NULL};
	static const char *const types[] = {"enum", "domain", "type", "range", NULL};
	static const char *const parts[] = {"column", "constraint", "foreign key", NULL};
	const char *const *sets[] = {relations, types};
	const char *schema = rename->schema ? psprintf("%s.", quote_identifier(rename->schema)) : "";
	SchemaObject *object;
	ListCell   *cell;

	if (owner)
	{
		for (int i = 0; parts[i]; i++)
		{
			if ((rename->target == AR_RENAME_COLUMN && i != 0) || (rename->target == AR_RENAME_CONSTRAINT && i == 0) ||
				rename->target == AR_RENAME_LABEL)
				continue;
			object = ar_schema_find(model, psprintf("%s %s%s.%s", parts[i], schema, pstrdup(quote_identifier(owner)),
													quote_identifier(name)));
			if (object)
				return object;
		}
		if (rename->target == AR_RENAME_LABEL || rename->target == AR_RENAME_ANY)
		{
			object = ar_schema_find(model, psprintf("enum %s%s", schema, quote_identifier(owner)));
			if (object && has_label(object, name))
				return object;
		}
		return NULL;
	}
	for (int set = 0; set < lengthof(sets); set++)
	{
		if ((rename->target == AR_RENAME_RELATION && set != 0) || (rename->target == AR_RENAME_TYPE && set != 1))
			continue;
		for (int i = 0; sets[set][i]; i++)
		{
			object = ar_schema_find(model, psprintf("%s %s%s", sets[set][i], schema, quote_identifier(name)));
			if (object)
				return object;
		}
	}
	if (rename->target == AR_RENAME_TYPE)
		return NULL;
	foreach(cell, model->objects)
	{
		object = lfirst(cell);
		if (object->kind == AR_SCHEMA_INDEX && strcmp(object->name, name) == 0 &&
			(object->schema == rename->schema ||
			 (object->schema && rename->schema && strcmp(object->schema, rename->schema) == 0)))
			return object;
	}
	return NULL;
}

static bool
has_label(const SchemaObject *type, const char *label)
{
	const char *labels = ar_schema_value(type, "labels");
	const char *quoted = quote_literal_cstr(label);
	int			length = strlen(quoted);

	for (const char *found = labels; found && (found = strstr(found, quoted)) != NULL; found++)
	{
		if ((found == labels || (found - labels > 1 && found[-1] == ' ' && found[-2] == ',')) &&
			(found[length] == '\0' || found[length] == ','))
			return true;
	}
	return false;
}

static const char *
quoted_place(const char *schema, const char *name)
{
	return schema ? quote_qualified_identifier(schema, name) : pstrdup(quote_identifier(name));
}

static SchemaAction *
rename_action(SchemaObject *object, char *statement)
{
	SchemaAction *action = palloc0(sizeof(SchemaAction));

	action->operation = AR_SCHEMA_RENAME;
	action->object = object;
	action->group = 1;
	action->statements = list_make1(statement);
	return action;
}

/*
 * The downgrade undoes in the opposite order.
 */
static void
add_rename(List **upgrade, List **downgrade, SchemaObject *object, char *statement, char *undo)
{
	SchemaAction *up = rename_action(object, statement);
	SchemaAction *down = rename_action(object, undo);

	up->counterpart = down;
	down->counterpart = up;
	*upgrade = lappend(*upgrade, up);
	*downgrade = lcons(down, *downgrade);
}

/*
 * The sequences of a table's identity columns, whose names are not part of the
 * model, follow it.
 */
static void
add_sequences(List **upgrade, List **downgrade, const SchemaObject *table, const Rename *rename)
{
	ListCell   *cell;

	foreach(cell, table->parts)
	{
		SchemaObject *column = lfirst(cell);
		const char *unusual;
		char	   *old_name;
		char	   *new_name;

		if (column->kind != AR_SCHEMA_COLUMN || ar_schema_value(column, "identity") == NULL)
			continue;
		unusual = ar_schema_value(column, "_identity_unusual");
		old_name = psprintf("%s_%s_seq", table->name, column->name);
		new_name = psprintf("%s_%s_seq", rename->name, column->name);
		if ((unusual && strstr(unusual, "SEQUENCE NAME")) || strlen(old_name) >= NAMEDATALEN ||
			strlen(new_name) >= NAMEDATALEN)
			continue;
		add_rename(upgrade, downgrade, column,
				   psprintf("ALTER SEQUENCE %s RENAME TO %s", quoted_place(table->schema, old_name),
							quote_identifier(new_name)),
				   psprintf("ALTER SEQUENCE %s RENAME TO %s", quoted_place(table->schema, new_name),
							quote_identifier(old_name)));
	}
}

static bool
is_same_but_name(const SchemaObject *a, const SchemaObject *b, const SchemaOptions *options)
{
	SchemaObject other = *b;

	if (a->kind != b->kind || (a->schema == NULL) != (b->schema == NULL) || (a->schema && strcmp(a->schema, b->schema) != 0) ||
		(a->parent == NULL) != (b->parent == NULL) ||
		(a->parent && strcmp(a->parent->identity, b->parent->identity) != 0))
		return false;
	if (a->kind == AR_SCHEMA_SEQUENCE)
	{
		const char *left = column_of_sequence(a);
		const char *right = column_of_sequence(b);

		return left && right && strcmp(left, right) == 0 && ar_schema_equal(a, b, options);
	}
	if (a->kind == AR_SCHEMA_INDEX)
	{
		const char *left = index_rest(a);
		const char *right = index_rest(b);
		int			count;
		const char **names = ar_schema_attributes(a->kind, &count);

		if (left == NULL || right == NULL || strcmp(left, right) != 0 ||
			strncmp(ar_schema_value(a, "definition"), ar_schema_value(b, "definition"), strlen("CREATE U")) != 0)
			return false;
		other.value = palloc(count * sizeof(char *));
		for (int i = 0; i < count; i++)
			other.value[i] = strcmp(names[i], "definition") == 0 ? a->value[i] : b->value[i];
	}
	return ar_schema_equal(a, &other, options);
}

/*
 * An index's definition behind its name.
 */
static const char *
index_rest(const SchemaObject *index)
{
	const char *definition = ar_schema_value(index, "definition");
	char	   *start = psprintf("INDEX %s ON ", quote_identifier(index->name));
	const char *found = definition ? strstr(definition, start) : NULL;

	return found ? found + strlen(start) : NULL;
}

static const char *
column_of_sequence(const SchemaObject *sequence)
{
	ListCell   *cell;

	foreach(cell, sequence->parts)
	{
		SchemaObject *part = lfirst(cell);

		if (part->kind == AR_SCHEMA_SEQUENCE_OWNER)
			return ar_schema_value(part, "column");
	}
	return NULL;
}
