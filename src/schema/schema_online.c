/*
 * schema_online.c: a plan for a database in use.
 *
 * Steps that would keep others out of a large table for as long as they read
 * it are taken apart: indexes are built and dropped concurrently, unique and
 * primary keys are made from such an index, foreign keys and checks are added as
 * not valid and validated later, and NOT NULL is proved by a check first.  What
 * has to be a transaction of its own is a step of its own.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "schema/schema.h"
#include "utils/builtins.h"

static bool is_for_large_table(const SchemaAction *action);
static List *take_apart(SchemaAction *action);
static List *build_index(SchemaAction *action);
static List *add_key(SchemaAction *action);
static const char *list_end(const char *list);
static List *add_validated(SchemaAction *action);
static List *set_not_null(SchemaAction *action);
static SchemaAction *step(const SchemaAction *whole, SchemaOperation operation, char *statement, bool is_alone);
static List *with_rest(List *steps, const SchemaAction *action);
static bool has_prefix(const char *text, const char *prefix);

/*
 * Rewrite the ordered actions of a plan.
 */
List *
ar_schema_online(List *actions)
{
	List	   *result = NIL;
	ListCell   *cell;

	foreach(cell, actions)
	{
		SchemaAction *action = lfirst(cell);

		CHECK_FOR_INTERRUPTS();
		if (is_for_large_table(action))
			result = list_concat(result, take_apart(action));
		else
			result = lappend(result, action);
	}
	return result;
}

/*
 * A statement without the word that refuses a transaction, to be tried in one.
 */
char *
ar_schema_offline(const char *statement)
{
	static const char *const starts[] = {"CREATE INDEX ", "CREATE UNIQUE INDEX ", "DROP INDEX "};

	for (int i = 0; i < lengthof(starts); i++)
	{
		if (has_prefix(statement, psprintf("%s" AR_CONCURRENTLY, starts[i])))
			return psprintf("%s%s", starts[i], &statement[strlen(starts[i]) + strlen(AR_CONCURRENTLY)]);
	}
	return pstrdup(statement);
}

static bool
is_for_large_table(const SchemaAction *action)
{
	const SchemaObject *whole = ar_schema_whole(action->object);

	if (whole == action->object ||
		(whole->kind != AR_SCHEMA_TABLE && whole->kind != AR_SCHEMA_VIEW))
		return false;
	if (whole->kind == AR_SCHEMA_TABLE && ar_schema_value(whole, "partition_key"))
		return false;
	return whole->is_large || (whole->peer && whole->peer->is_large);
}

static List *
take_apart(SchemaAction *action)
{
	const SchemaObject *object = action->object;

	switch (object->kind)
	{
		case AR_SCHEMA_INDEX:
			if (action->operation == AR_SCHEMA_CREATE)
				return build_index(action);
			/* one that is replaced goes when its successor is there */
			if (action->operation == AR_SCHEMA_DROP && object->peer && object->peer->created)
				return NIL;
			if (action->operation == AR_SCHEMA_DROP)
				return list_make1(step(action, AR_SCHEMA_DROP,
									   psprintf("DROP INDEX " AR_CONCURRENTLY "%s", ar_schema_name(object)), true));
			break;
		case AR_SCHEMA_CONSTRAINT:
			if (action->operation == AR_SCHEMA_CREATE)
				return ar_schema_value(object, "type")[0] == 'c' ? add_validated(action) : add_key(action);
			break;
		case AR_SCHEMA_FOREIGN_KEY:
			if (action->operation == AR_SCHEMA_CREATE)
				return add_validated(action);
			break;
		case AR_SCHEMA_COLUMN:
			if (action->operation == AR_SCHEMA_ALTER)
				return set_not_null(action);
			break;
		default:
			break;
	}
	return list_make1(action);
}

/*
 * An index that replaces one of its name is built under another name first.
 */
static List *
build_index(SchemaAction *action)
{
	const SchemaObject *index = action->object;
	const char *statement = linitial(action->statements);
	const char *start = has_prefix(statement, "CREATE UNIQUE INDEX ") ? "CREATE UNIQUE INDEX " : "CREATE INDEX ";

	if (index->peer && index->peer->dropped)
	{
		List	   *steps;
		SchemaObject other = *index;
		const char *rest = &statement[strlen(start) + strlen(quote_identifier(index->name))];
		SchemaAction *rename;

		other.name = psprintf("%.54s_replaces", index->name);
		steps = list_make2(step(action, AR_SCHEMA_CREATE,
								psprintf("%s" AR_CONCURRENTLY "%s%s", start, quote_identifier(other.name), rest), true),
						   step(action, AR_SCHEMA_DROP,
								psprintf("DROP INDEX " AR_CONCURRENTLY "%s", ar_schema_name(index->peer)), true));
		rename = step(action, AR_SCHEMA_ALTER,
					  psprintf("ALTER INDEX %s RENAME TO %s", ar_schema_name(&other), quote_identifier(index->name)),
					  false);
		rename->hazards = NIL;
		return with_rest(lappend(steps, rename), action);
	}
	return with_rest(list_make1(step(action, AR_SCHEMA_CREATE,
									 psprintf("%s" AR_CONCURRENTLY "%s", start, &statement[strlen(start)]), true)),
					 action);
}

/*
 * A unique or primary key from an index that is built before.  Others (without
 * overlaps, exclusion constraints) have no such way.
 */
static List *
add_key(SchemaAction *action)
{
	const SchemaObject *key = action->object;
	const char *definition = ar_schema_value(key, "definition");
	const char *word = has_prefix(definition, "PRIMARY KEY ") ? "PRIMARY KEY" : "UNIQUE";
	const char *columns = strchr(definition, '(');
	const char *end;
	const char *rest;
	const char *distinct = "";
	SchemaAction *add;
	char	   *name = pstrdup(quote_identifier(key->name));

	if ((!has_prefix(definition, "PRIMARY KEY ") && !has_prefix(definition, "UNIQUE ")) || columns == NULL ||
		strstr(definition, "WITHOUT OVERLAPS"))
		return list_make1(action);
	if (has_prefix(definition, "UNIQUE NULLS NOT DISTINCT "))
		distinct = " NULLS NOT DISTINCT";
	end = list_end(columns);
	if (has_prefix(end, " INCLUDE ("))
		end = list_end(strchr(end, '('));
	rest = end;
	if (has_prefix(rest, " WITH ("))
		rest = list_end(strchr(rest, '('));
	if (rest[0] != '\0' && !has_prefix(rest, " DEFERRABLE"))
		return list_make1(action);
	add = step(action, AR_SCHEMA_CREATE,
			   psprintf("ALTER TABLE %s ADD CONSTRAINT %s %s USING INDEX %s%s", ar_schema_place_name(key), name,
						word, name, rest), false);
	add->hazards = list_make1(AR_HAZARD_BLOCKS_READS);
	return with_rest(list_make2(step(action, AR_SCHEMA_ALTER,
									 psprintf("CREATE UNIQUE INDEX " AR_CONCURRENTLY "%s ON %s USING btree %.*s%s%.*s",
											  name, ar_schema_place_name(key), (int) (end - columns), columns,
											  distinct, (int) (rest - end), end), true),
								add), action);
}

/*
 * Behind the closing parenthesis of a list.
 */
static const char *
list_end(const char *list)
{
	int			depth = 0;
	char		quote = '\0';

	for (; *list; list++)
	{
		if (quote)
			quote = *list == quote ? '\0' : quote;
		else if (*list == '"' || *list == '\'')
			quote = *list;
		else if (*list == '(')
			depth++;
		else if (*list == ')' && --depth == 0)
			return list + 1;
	}
	return list;
}

/*
 * A foreign key or a check: binding for new rows at once, proved for the old
 * ones later.
 */
static List *
add_validated(SchemaAction *action)
{
	const SchemaObject *object = action->object;
	const char *definition = ar_schema_value(object, "definition");
	SchemaAction *add;
	SchemaAction *validate;

	if (strstr(definition, " NOT VALID") || strstr(definition, " NOT ENFORCED"))
		return list_make1(action);
	add = step(action, AR_SCHEMA_CREATE, psprintf("%s NOT VALID", (char *) linitial(action->statements)), false);
	add->hazards = NIL;
	validate = step(action, AR_SCHEMA_ALTER,
					psprintf("ALTER TABLE %s VALIDATE CONSTRAINT %s", ar_schema_place_name(object),
							 quote_identifier(object->name)), true);
	validate->hazards = list_make1(AR_HAZARD_SCANS);
	return list_concat(with_rest(list_make1(add), action), list_make1(validate));
}

/*
 * NOT NULL without a scan: a validated check proves it.
 */
static List *
set_not_null(SchemaAction *action)
{
	const SchemaObject *column = action->object;
	const char *table = ar_schema_place_name(column);
	char	   *set = psprintf("ALTER TABLE %s ALTER COLUMN %s SET NOT NULL", table, quote_identifier(column->name));
	char	   *check = pstrdup(quote_identifier(psprintf("algo_ref_%.40s_not_null", column->name)));
	List	   *before = NIL;
	List	   *after = NIL;
	bool		found = false;
	List	   *steps = NIL;
	SchemaAction *last;
	SchemaAction *validate;
	ListCell   *cell;

	foreach(cell, action->statements)
	{
		if (!found && strcmp(lfirst(cell), set) == 0)
			found = true;
		else if (found)
			after = lappend(after, lfirst(cell));
		else
			before = lappend(before, lfirst(cell));
	}
	if (!found)
		return list_make1(action);
	last = step(action, AR_SCHEMA_ALTER,
				psprintf("ALTER TABLE %s ADD CONSTRAINT %s CHECK (%s IS NOT NULL) NOT VALID", table, check,
						 quote_identifier(column->name)), false);
	last->statements = list_concat(before, last->statements);
	if (list_length(last->statements) == 1)
		last->hazards = NIL;
	steps = list_make1(last);
	validate = step(action, AR_SCHEMA_ALTER, psprintf("ALTER TABLE %s VALIDATE CONSTRAINT %s", table, check), true);
	validate->hazards = list_make1(AR_HAZARD_SCANS);
	last = step(action, AR_SCHEMA_ALTER, set, false);
	last->statements = list_concat(lappend(last->statements,
										   psprintf("ALTER TABLE %s DROP CONSTRAINT %s", table, check)), after);
	last->hazards = NIL;
	return list_concat(steps, list_make2(validate, last));
}

/*
 * One step of what was one.  What is built concurrently reads the table, and
 * keeps nobody from it.
 */
static SchemaAction *
step(const SchemaAction *whole, SchemaOperation operation, char *statement, bool is_alone)
{
	SchemaAction *action = palloc0(sizeof(SchemaAction));

	action->operation = operation;
	action->object = whole->object;
	action->statements = list_make1(statement);
	action->is_alone = is_alone;
	action->group = 1;
	if (is_alone && operation != AR_SCHEMA_DROP)
		action->hazards = list_make2(AR_HAZARD_SCANS, AR_HAZARD_NEEDS_COMMIT);
	else if (is_alone)
		action->hazards = list_make1(AR_HAZARD_NEEDS_COMMIT);
	else
		action->hazards = list_copy(whole->hazards);
	return action;
}

/*
 * What the original step did besides its first statement.
 */
static List *
with_rest(List *steps, const SchemaAction *action)
{
	SchemaAction *last = llast(steps);
	List	   *rest = list_copy_tail(action->statements, 1);

	if (rest == NIL)
		return steps;
	if (last->is_alone)
	{
		last = step(action, AR_SCHEMA_ALTER, linitial(rest), false);
		last->hazards = NIL;
		rest = list_delete_first(rest);
		steps = lappend(steps, last);
	}
	last->statements = list_concat(last->statements, rest);
	return steps;
}

static bool
has_prefix(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}
