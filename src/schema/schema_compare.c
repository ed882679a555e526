/*
 * schema_compare.c: two models -> the actions that lead from one to the other.
 *
 * Objects are matched by their keys.  One that differs is altered in place, or
 * dropped and created again.  The latter spreads to what depends on it: that is
 * created again, too, as the second model has it, with its comment, owner and
 * privileges.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "schema/schema.h"
#include "utils/builtins.h"

enum Change
{
	CHANGE_KEEP,
	CHANGE_DROP,
	CHANGE_CREATE,
	CHANGE_ALTER,
	CHANGE_REPLACE
};

static bool break_cycles(SchemaModel *from, SchemaModel *to, List *actions);
static int	find_cycles(SchemaAction *action, int *counter, List **stack, int *component);
static List *with_statements(List *actions);
static void match(SchemaModel *from, SchemaModel *to, const SchemaOptions *options);
static void decide(SchemaObject *from, const SchemaOptions *options);
static void keep_inherited(SchemaModel *from, SchemaModel *to);
static bool inherits_column(const SchemaModel *model, const SchemaObject *table,
							const SchemaObject *other, const char *column);
static bool has_text(List *texts, const char *text);
static bool is_unfinished(const SchemaObject *index);
static void add_partition_edges(const SchemaObject *table, SchemaAction *action);
static void add_child_edges(const SchemaObject *table, SchemaAction *action);
static void add_inheritance_edges(SchemaModel *from, SchemaModel *to, SchemaObject *table);
static void add_column_edges(const SchemaModel *model, const char *parent, SchemaAction *child, bool leaves);
static void spread(SchemaModel *from, SchemaModel *to);
static void replace_unfinished(SchemaModel *from, List **work);
static void say_again(SchemaObject *object);
static void restore_after_retype(SchemaObject *column);
static bool loses_not_null(const SchemaObject *column);
static void regrant(SchemaObject *column);
static bool user_has_to_go(const SchemaObject *object, const SchemaObject *user);
static bool is_written_otherwise(const SchemaObject *object);
static bool is_referenced_without(const SchemaObject *key, const SchemaObject *column);
static void replace(SchemaObject *object, const SchemaObject *because, List **work);
static void retype(SchemaObject *column, const SchemaObject *type, List **work);
static bool is_reborn(const SchemaObject *object, const SchemaModel *to);
static bool still_needs(const SchemaObject *object, const SchemaObject *need);
static void follow_parents(SchemaModel *from, SchemaModel *to);
static void require_no_typed_table(const SchemaObject *column);
static List *make_actions(SchemaModel *from, SchemaModel *to, const SchemaOptions *options);
static void require_visible_types(const SchemaObject *object);
static SchemaObject *column_of(const SchemaObject *object);
static SchemaAction *new_action(SchemaOperation operation, SchemaObject *object);
static bool gets_identity(const SchemaObject *column);
static void add_edges(SchemaModel *from, SchemaModel *to);
static void add_edge(SchemaAction *first, SchemaAction *second);
static bool is_type(const SchemaObject *object);
static bool shares_names(const SchemaObject *a, const SchemaObject *b);
static bool is_constraint(const SchemaObject *object);
static bool is_relation(const SchemaObject *object);
static bool has_type(const SchemaObject *object);
static bool is_function(const SchemaObject *object);
static void add_clashes(SchemaModel *from, SchemaModel *to);

/*
 * The actions that lead from one model to another, in the order in which they
 * can be carried out.  Both models have their dependencies, and were not used
 * for a plan before.  Raises 0A000 for what cannot be done without losing data.
 */
List *
ar_schema_plan(SchemaModel *from, SchemaModel *to, const SchemaOptions *options)
{
	List	   *actions;

	match(from, to, options);
	keep_inherited(from, to);
	spread(from, to);
	follow_parents(from, to);
	actions = make_actions(from, to, options);
	add_edges(from, to);
	add_clashes(from, to);
	if (break_cycles(from, to, actions))
	{
		actions = make_actions(from, to, options);
		add_edges(from, to);
		add_clashes(from, to);
	}
	actions = with_statements(ar_schema_order(actions));
	ar_schema_judge(actions);
	if (options->online)
		actions = ar_schema_online(actions);
	ar_schema_group(actions);
	return actions;
}

/*
 * Wholes that are dropped may need one another by their parts: two tables by
 * foreign keys, a table and its partition by a rule.  Such parts are to be
 * dropped by themselves, before; true if there are any.
 */
static bool
break_cycles(SchemaModel *from, SchemaModel *to, List *actions)
{
	SchemaModel *models[] = {from, to};
	int			counter = 0;
	int			component = 0;
	List	   *stack = NIL;
	bool		found = false;
	ListCell   *cell;
	ListCell   *need_cell;

	foreach(cell, actions)
	{
		if (((SchemaAction *) lfirst(cell))->number == 0)
			(void) find_cycles(lfirst(cell), &counter, &stack, &component);
	}
	foreach(cell, from->objects)
	{
		SchemaObject *object = lfirst(cell);

		if (object->dropped == NULL || !object->with_parent ||
			(object->kind != AR_SCHEMA_FOREIGN_KEY && object->kind != AR_SCHEMA_RULE && object->kind != AR_SCHEMA_POLICY &&
			 object->kind != AR_SCHEMA_TRIGGER && object->kind != AR_SCHEMA_DEFAULT && object->kind != AR_SCHEMA_CONSTRAINT))
			continue;
		foreach(need_cell, object->needs)
		{
			SchemaObject *need = lfirst(need_cell);

			if (need->dropped && need->dropped != object->dropped &&
				need->dropped->component == object->dropped->component)
				object->goes_first = found = true;
		}
	}
	/* a key whose name is free only when all that is gone, comes later */
	foreach(cell, to->objects)
	{
		SchemaObject *object = lfirst(cell);

		if (object->clash && object->with_parent && object->kind == AR_SCHEMA_CONSTRAINT && object->created &&
			object->clash->dropped->component == object->created->component)
		{
			object->with_parent = false;
			found = true;
		}
	}
	if (!found)
		return false;
	for (int i = 0; i < lengthof(models); i++)
	{
		foreach(cell, models[i]->objects)
		{
			SchemaObject *object = lfirst(cell);

			object->dropped = object->altered = object->created = object->toasted = NULL;
		}
	}
	return true;
}

/*
 * Number the strongly connected components of actions that wait for one
 * another; returns the lowest number that the action leads to.
 */
static int
find_cycles(SchemaAction *action, int *counter, List **stack, int *component)
{
	int			lowest = ++*counter;
	ListCell   *cell;

	check_stack_depth();
	action->number = lowest;
	*stack = lcons(action, *stack);
	foreach(cell, action->after)
	{
		SchemaAction *next = lfirst(cell);

		if (next->number == 0)
			lowest = Min(lowest, find_cycles(next, counter, stack, component));
		else if (next->component == 0)
			lowest = Min(lowest, next->number);
	}
	if (lowest == action->number)
	{
		SchemaAction *member;

		++*component;
		do
		{
			member = linitial(*stack);
			member->component = *component;
			*stack = list_delete_first(*stack);
		} while (member != action);
	}
	return lowest;
}

/*
 * Actions that say something; the others were for the order.
 */
static List *
with_statements(List *actions)
{
	List	   *result = NIL;
	ListCell   *cell;

	foreach(cell, actions)
	{
		if (((SchemaAction *) lfirst(cell))->statements != NIL)
			result = lappend(result, lfirst(cell));
	}
	return result;
}

static void
match(SchemaModel *from, SchemaModel *to, const SchemaOptions *options)
{
	SchemaModel *models[] = {from, to};
	ListCell   *cell;

	for (int i = 0; i < lengthof(models); i++)
	{
		foreach(cell, models[i]->objects)
		{
			SchemaObject *object = lfirst(cell);

			object->peer = ar_schema_find(models[1 - i], object->identity);
			object->retyped = false;
			object->with_parent = object->goes_first = object->acl_lost = false;
			object->clash = NULL;
			object->dropped = object->altered = object->created = object->toasted = NULL;
			object->change = object->peer ? CHANGE_KEEP : i == 0 ? CHANGE_DROP : CHANGE_CREATE;
		}
	}
	/* a column of a table is not one of the view that gets the table's name */
	foreach(cell, from->objects)
	{
		SchemaObject *object = lfirst(cell);
		SchemaObject *peer = object->peer;

		if (peer == NULL || object->parent == NULL || object->parent->peer == peer->parent)
			continue;
		object->peer = peer->peer = NULL;
		object->change = CHANGE_DROP;
		peer->change = CHANGE_CREATE;
	}
	foreach(cell, from->objects)
		decide(lfirst(cell), options);
}

static void
decide(SchemaObject *from, const SchemaOptions *options)
{
	SchemaObject *to = from->peer;

	if (to == NULL)
	{
		/* not ours to drop */
		if (from->kind == AR_SCHEMA_UNMANAGED || (from->kind == AR_SCHEMA_EXTENSION && options->keep_extensions) ||
			(from->kind == AR_SCHEMA_SCHEMA && from->schema == NULL))
			from->change = CHANGE_KEEP;
		return;
	}
	if (ar_schema_equal(from, to, options))
		return;
	from->change = to->change = ar_schema_can_alter(from, to) ? CHANGE_ALTER : CHANGE_REPLACE;
}

/*
 * A column that a table has from its parent, is in the model only as the
 * parent's.  It is neither new when the table leaves the parent, nor does it go
 * when the table comes to one.
 */
static void
keep_inherited(SchemaModel *from, SchemaModel *to)
{
	ListCell   *cell;

	foreach(cell, from->objects)
	{
		SchemaObject *column = lfirst(cell);

		if (column->kind == AR_SCHEMA_COLUMN && column->change == CHANGE_DROP && column->parent->peer &&
			column->parent->kind == AR_SCHEMA_TABLE && inherits_column(to, column->parent->peer, column->parent, column->name))
			column->change = CHANGE_KEEP;
	}
	foreach(cell, to->objects)
	{
		SchemaObject *column = lfirst(cell);

		if (column->kind == AR_SCHEMA_COLUMN && column->change == CHANGE_CREATE && column->parent->peer &&
			column->parent->kind == AR_SCHEMA_TABLE && inherits_column(from, column->parent->peer, column->parent, column->name))
			column->change = CHANGE_KEEP;
	}
}

/*
 * Has a table a column of that name from a parent that "other" has not?
 */
static bool
inherits_column(const SchemaModel *model, const SchemaObject *table, const SchemaObject *other,
				const char *column)
{
	List	   *others = other ? ar_schema_name_list(ar_schema_value(other, "parents")) : NIL;
	ListCell   *cell;
	ListCell   *part;

	foreach(cell, ar_schema_name_list(ar_schema_value(table, "parents")))
	{
		SchemaObject *parent = ar_schema_find(model, psprintf("table %s", (char *) lfirst(cell)));

		if (parent == NULL || has_text(others, lfirst(cell)))
			continue;
		foreach(part, parent->parts)
		{
			SchemaObject *object = lfirst(part);

			if (object->kind == AR_SCHEMA_COLUMN && strcmp(object->name, column) == 0)
				return true;
		}
		if (inherits_column(model, parent, NULL, column))
			return true;
	}
	return false;
}

static bool
has_text(List *texts, const char *text)
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
 * What depends on an object that goes, goes with it.
 */
static void
spread(SchemaModel *from, SchemaModel *to)
{
	List	   *work = NIL;
	ListCell   *cell;

	foreach(cell, from->objects)
	{
		SchemaObject *object = lfirst(cell);

		if (object->change == CHANGE_REPLACE)
		{
			object->change = CHANGE_KEEP;
			replace(object, NULL, &work);
		}
		else if (object->change == CHANGE_DROP ||
				 (object->change == CHANGE_ALTER && (ar_schema_retypes(object, object->peer) || loses_not_null(object))))
			work = lappend(work, object);
	}
	replace_unfinished(from, &work);
	foreach(cell, to->objects)
		say_again(lfirst(cell));
	while (work != NIL)
	{
		SchemaObject *object = linitial(work);

		CHECK_FOR_INTERRUPTS();
		work = list_delete_first(work);
		foreach(cell, object->users)
		{
			SchemaObject *user = lfirst(cell);

			if (user->change == CHANGE_DROP || user->change == CHANGE_REPLACE || user->parent == object)
				continue;
			if (object->change == CHANGE_ALTER)
			{
				/* a column of another type, or no longer NOT NULL */
				if ((ar_schema_retypes(object, object->peer) || object->retyped) && user_has_to_go(object, user))
					replace(user, object, &work);
				if (loses_not_null(object) && user->kind == AR_SCHEMA_CONSTRAINT && user->parent != object->parent &&
					strcmp(ar_schema_value(user, "type"), "p") == 0)
					replace(user, object, &work);
				continue;
			}
			if (user->change == CHANGE_ALTER && !still_needs(user, object) && !is_reborn(object, to))
				continue;
			if (user->kind == AR_SCHEMA_COLUMN && user->parent->kind == AR_SCHEMA_TABLE && is_type(object) &&
				ar_schema_value(user, "generated") == NULL)
				retype(user, object, &work);
			else
				replace(user, object, &work);
		}
	}
	foreach(cell, from->objects)
	{
		restore_after_retype(lfirst(cell));
		regrant(lfirst(cell));
	}
}

/*
 * No index leaves the one that it is attached to, which goes first, with all
 * that are attached to it.
 */
static void
replace_unfinished(SchemaModel *from, List **work)
{
	bool		found;
	ListCell   *cell;

	do
	{
		found = false;
		foreach(cell, from->objects)
		{
			SchemaObject *index = lfirst(cell);
			SchemaObject *whole = index->attached_to;
			bool		goes = index->change == CHANGE_DROP || index->change == CHANGE_REPLACE;

			if (whole == NULL || !is_unfinished(whole) ||
				goes == (whole->change == CHANGE_DROP || whole->change == CHANGE_REPLACE))
				continue;
			replace(goes ? whole : index, NULL, work);
			found = true;
		}
	} while (found);
}

/*
 * A new type of a column takes away how the tables that inherit it store it,
 * and the defaults that they have.
 */
static void
restore_after_retype(SchemaObject *column)
{
	ListCell   *cell;

	if (column->kind != AR_SCHEMA_INHERITED_COLUMN || column->peer == NULL ||
		(column->change != CHANGE_KEEP && column->change != CHANGE_ALTER) ||
		(ar_schema_value(column->peer, "storage") == NULL && ar_schema_value(column->peer, "compression") == NULL &&
		 ar_schema_value(column->peer, "default") == NULL && !ar_schema_flag(column->peer, "no_default")))
		return;
	foreach(cell, column->needs)
	{
		SchemaObject *need = lfirst(cell);

		if (need->kind == AR_SCHEMA_COLUMN && need->change == CHANGE_ALTER &&
			(need->retyped || ar_schema_retypes(need, need->peer)))
		{
			column->change = column->peer->change = CHANGE_ALTER;
			column->retyped = true;
		}
	}
}

/*
 * What is revoked on a table, is revoked on its columns, too.
 */
static void
regrant(SchemaObject *column)
{
	SchemaObject *table = column->parent;
	ListCell   *cell;

	if ((column->kind != AR_SCHEMA_COLUMN && column->kind != AR_SCHEMA_INHERITED_COLUMN) || column->peer == NULL ||
		(column->change != CHANGE_KEEP && column->change != CHANGE_ALTER) ||
		table->change != CHANGE_ALTER || ar_schema_value(column->peer, "acl") == NULL || !ar_schema_has(table, "acl"))
		return;
	foreach(cell, ar_schema_acl_change(ar_schema_value(table, "acl"), ar_schema_value(table->peer, "acl"), "TABLE x", "x"))
	{
		if (strncmp(lfirst(cell), "REVOKE ", 7) == 0)
			column->acl_lost = true;
	}
	if (column->acl_lost)
		column->change = column->peer->change = CHANGE_ALTER;
}

/*
 * A new default of a column is one for the tables that inherit it, too; those
 * that have another say so again.
 */
static void
say_again(SchemaObject *object)
{
	ListCell   *cell;

	if (object->kind != AR_SCHEMA_INHERITED_COLUMN || object->change != CHANGE_KEEP || object->peer == NULL ||
		(ar_schema_value(object, "default") == NULL && !ar_schema_flag(object, "no_default")))
		return;
	foreach(cell, object->needs)
	{
		SchemaObject *need = lfirst(cell);

		if (need->kind == AR_SCHEMA_DEFAULT && need->change != CHANGE_KEEP)
		{
			object->change = object->peer->change = CHANGE_ALTER;
			object->peer->retyped = true;
		}
	}
}

/*
 * Such a column cannot be in a primary key of a partition.
 */
static bool
loses_not_null(const SchemaObject *column)
{
	return column->kind == AR_SCHEMA_COLUMN && ar_schema_flag(column, "not_null") &&
		!ar_schema_flag(column->peer, "not_null") && column->parent->kind == AR_SCHEMA_TABLE;
}

/*
 * Has what depends on a column to go before the column changes its type?  The
 * server sees to indexes and to constraints by itself.
 */
static bool
user_has_to_go(const SchemaObject *object, const SchemaObject *user)
{
	switch (user->kind)
	{
		case AR_SCHEMA_INDEX:
			/* those that the server builds anew, lose them */
			return ar_schema_value(user, "statistics") != NULL || is_written_otherwise(user);
		case AR_SCHEMA_CONSTRAINT:
			return is_referenced_without(user, object) || is_written_otherwise(user);
		case AR_SCHEMA_STATISTICS:
			return ar_schema_value(user, "target") != NULL;
		case AR_SCHEMA_SEQUENCE_OWNER:
		case AR_SCHEMA_SEQUENCE:
		case AR_SCHEMA_TABLE:
		case AR_SCHEMA_REPLICA_IDENTITY:
		case AR_SCHEMA_INHERITED_COLUMN:
			return false;
		case AR_SCHEMA_COLUMN:
			return ar_schema_value(user, "generated") != NULL && user->parent == object->parent;
		default:
			return true;
	}
}

/*
 * Is the definition stored in another way, though it means the same?  The
 * server builds anew from the old text.
 */
static bool
is_written_otherwise(const SchemaObject *object)
{
	return object->peer && strcmp(ar_schema_value(object, "definition"), ar_schema_value(object->peer, "definition")) != 0;
}

/*
 * Is there a foreign key to a key that has the column without being one of its
 * columns, behind INCLUDE?  It would hold the key that the server builds anew.
 */
static bool
is_referenced_without(const SchemaObject *key, const SchemaObject *column)
{
	ListCell   *cell;

	foreach(cell, key->users)
	{
		const SchemaObject *user = lfirst(cell);

		if (user->kind == AR_SCHEMA_FOREIGN_KEY && !list_member_ptr(user->needs, column))
			return true;
	}
	return false;
}

/*
 * An object is to be dropped and created again.
 */
static void
replace(SchemaObject *object, const SchemaObject *because, List **work)
{
	ListCell   *cell;

	if (object->change == CHANGE_REPLACE || object->change == CHANGE_DROP)
		return;

	/*
	 * a table that is partitioned, or no longer, is another one, and its
	 * partitions are
	 */
	if ((object->kind == AR_SCHEMA_TABLE && because && because->kind != AR_SCHEMA_TABLE) ||
		object->kind == AR_SCHEMA_SCHEMA || object->kind == AR_SCHEMA_EXTENSION ||
		object->kind == AR_SCHEMA_UNMANAGED || object->kind == AR_SCHEMA_SEQUENCE)
		ereport(ERROR,
				errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				errmsg("%s cannot be changed in place", object->identity),
				because ? errdetail("It depends on %s, which has to be created again.", because->identity) :
				errdetail("The change needs a new %s, and what the old one holds would be lost.",
						  ar_schema_kind_name(object)),
				errhint("Write this revision by hand."));
	if (object->kind == AR_SCHEMA_COLUMN && object->parent->kind == AR_SCHEMA_TABLE && object->peer &&
		object->parent != because && ar_schema_value(object, "generated") == NULL &&
		(because || ar_schema_value(object->peer, "generated") == NULL))
		ereport(ERROR,
				errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				errmsg("%s cannot be changed in place", object->identity),
				because ? errdetail("It depends on %s, which has to be created again.", because->identity) :
				errdetail("The change needs a new column, and what the old one holds would be lost."),
				errhint("Write this revision by hand."));
	object->change = CHANGE_REPLACE;
	if (object->peer)
		object->peer->change = CHANGE_REPLACE;
	else
		object->change = CHANGE_DROP;
	*work = lappend(*work, object);
	/* its parts go with it */
	foreach(cell, object->parts)
		replace(lfirst(cell), object, work);
}

/*
 * A column whose type is created again changes to the new one.
 */
static void
retype(SchemaObject *column, const SchemaObject *type, List **work)
{
	if (column->peer == NULL || column->retyped)
		return;
	if (type->change == CHANGE_DROP && column->change == CHANGE_KEEP)
		elog(ERROR, "%s needs %s, which is to be dropped", column->identity, type->identity);
	if (ar_schema_same(column, column->peer, "type"))
		column->retyped = true;
	column->change = column->peer->change = CHANGE_ALTER;
	*work = lappend(*work, column);
}

/*
 * Does something else get the name of what goes?
 */
static bool
is_reborn(const SchemaObject *object, const SchemaModel *to)
{
	static const char *const kinds[] = {"table", "view"};

	object = ar_schema_whole(object);
	if (object->kind != AR_SCHEMA_TABLE && object->kind != AR_SCHEMA_VIEW)
		return false;
	for (int i = 0; i < lengthof(kinds); i++)
	{
		if (ar_schema_find(to, psprintf("%s %s", kinds[i], ar_schema_name(object))))
			return true;
	}
	return false;
}

static bool
still_needs(const SchemaObject *object, const SchemaObject *need)
{
	return object->peer && need->peer && list_member_ptr(object->peer->needs, need->peer);
}

/*
 * Parts are dropped and, where that is possible, created with the whole.
 */
static void
follow_parents(SchemaModel *from, SchemaModel *to)
{
	ListCell   *cell;

	foreach(cell, from->objects)
	{
		SchemaObject *object = lfirst(cell);
		SchemaObject *parent = object->parent;

		while (parent)
		{
			if (parent->change == CHANGE_DROP || parent->change == CHANGE_REPLACE)
			{
				object->with_parent = true;
				if (object->change != CHANGE_DROP && object->change != CHANGE_REPLACE)
				{
					object->change = object->peer ? CHANGE_REPLACE : CHANGE_DROP;
					if (object->peer)
						object->peer->change = CHANGE_REPLACE;
				}
			}
			parent = parent->parent;
		}
	}
	foreach(cell, to->objects)
	{
		SchemaObject *object = lfirst(cell);
		SchemaObject *parent = object->parent;
		bool		parent_is_new = false;

		for (; parent; parent = parent->parent)
			parent_is_new |= parent->change == CHANGE_CREATE || parent->change == CHANGE_REPLACE;
		if (parent_is_new && object->change != CHANGE_CREATE && object->change != CHANGE_REPLACE)
			object->change = CHANGE_CREATE;
		object->with_parent = parent_is_new && ar_schema_is_inline(object);
	}
}

/*
 * The columns of a table of a type change with the type's, all at once.
 */
static void
require_no_typed_table(const SchemaObject *column)
{
	ListCell   *cell;

	if (column->kind != AR_SCHEMA_COLUMN || column->change == CHANGE_KEEP || (column->parent->change != CHANGE_KEEP && column->parent->change != CHANGE_ALTER))
		return;
	foreach(cell, column->parent->kind == AR_SCHEMA_COMPOSITE ? column->parent->users : NIL)
	{
		const SchemaObject *table = lfirst(cell);

		if (table->kind == AR_SCHEMA_TABLE && ar_schema_value(table, "of_type") && table->change != CHANGE_DROP)
			ereport(ERROR,
					errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					errmsg("%s cannot be changed in place", column->identity),
					errdetail("%s is of the type.", table->identity),
					errhint("Write this revision by hand."));
	}
}

static List *
make_actions(SchemaModel *from, SchemaModel *to, const SchemaOptions *options)
{
	List	   *actions = NIL;
	ListCell   *cell;

	foreach(cell, from->objects)
	{
		SchemaObject *object = lfirst(cell);

		object->goes_with = object->change == CHANGE_DROP ? column_of(object) : NULL;
		if (object->goes_with == NULL && (object->change == CHANGE_DROP || object->change == CHANGE_REPLACE) &&
			!object->with_parent && object->attached_to &&
			(object->attached_to->change == CHANGE_DROP || object->attached_to->change == CHANGE_REPLACE))
			object->goes_with = object->attached_to;
	}
	/* wholes first, so that parts find their actions */
	for (int depth = 0; depth < 3; depth++)
	{
		foreach(cell, from->objects)
		{
			SchemaObject *object = lfirst(cell);
			int			level = object->parent == NULL ? 0 : object->parent->parent == NULL ? 1 : 2;

			require_no_typed_table(object);
			if (level != depth || (object->change != CHANGE_DROP && object->change != CHANGE_REPLACE))
				continue;
			if (object->with_parent && object->parent->dropped && !object->goes_first)
			{
				object->dropped = object->parent->dropped;
				continue;
			}
			if (object->goes_with || (object->parent && object->parent->goes_with))
				continue;
			object->dropped = new_action(AR_SCHEMA_DROP, object);
			if (object->change == CHANGE_REPLACE && is_type(object))
			{
				object->dropped->is_late = true;
				object->altered = new_action(AR_SCHEMA_ALTER, object);
				ar_schema_put_aside(object->altered, object);
				actions = lappend(actions, object->altered);
			}
			ar_schema_drop(object->dropped, object);
			actions = lappend(actions, object->dropped);
		}
		foreach(cell, to->objects)
		{
			SchemaObject *object = lfirst(cell);
			int			level = object->parent == NULL ? 0 : object->parent->parent == NULL ? 1 : 2;

			if (object->change == CHANGE_CREATE)
				require_no_typed_table(object);
			if (level != depth)
				continue;
			if (object->change == CHANGE_ALTER)
			{
				if (ar_schema_retypes(object->peer, object))
					require_visible_types(object);
				object->altered = object->peer->altered = new_action(AR_SCHEMA_ALTER, object);
				ar_schema_alter(object->altered, object->peer, object, options);
				actions = lappend(actions, object->altered);
				if (object->kind == AR_SCHEMA_TABLE && !ar_schema_same(object->peer, object, "toast_options"))
				{
					object->toasted = new_action(AR_SCHEMA_ALTER, object);
					ar_schema_alter_toast(object->toasted, object->peer, object);
					actions = lappend(actions, object->toasted);
				}
			}
			if (object->change != CHANGE_CREATE && object->change != CHANGE_REPLACE)
				continue;
			require_visible_types(object);
			if (object->with_parent && object->parent->created)
			{
				object->created = object->parent->created;
				continue;
			}
			object->created = new_action(AR_SCHEMA_CREATE, object);
			actions = lappend(actions, object->created);
		}
	}
	foreach(cell, from->objects)
	{
		SchemaObject *object = lfirst(cell);
		ListCell   *part;

		if (object->goes_with == NULL)
			continue;
		object->dropped = object->goes_with->dropped;
		foreach(part, object->parts)
			((SchemaObject *) lfirst(part))->dropped = object->dropped;
	}
	foreach(cell, actions)
	{
		SchemaAction *action = lfirst(cell);

		if (action->operation == AR_SCHEMA_CREATE)
			ar_schema_create(action, action->object, options);
	}
	return actions;
}

/*
 * What is new, or gets a new type, names its types.
 */
static void
require_visible_types(const SchemaObject *object)
{
	ListCell   *cell;

	foreach(cell, object->needs)
	{
		const SchemaObject *need = lfirst(cell);

		if (is_type(need) && need != object->parent)
			ar_schema_require_visible(need);
	}
}

/*
 * The column that a sequence, or an inherited column, belongs to, and with
 * which it is dropped; NULL if there is none or if it stays.
 */
static SchemaObject *
column_of(const SchemaObject *object)
{
	ListCell   *cell;

	if (object->kind == AR_SCHEMA_INHERITED_COLUMN)
	{
		if (object->with_parent)
			return NULL;
		foreach(cell, object->needs)
		{
			SchemaObject *need = lfirst(cell);

			if ((need->kind == AR_SCHEMA_COLUMN || need->kind == AR_SCHEMA_INHERITED_COLUMN) &&
				(need->change == CHANGE_DROP || need->change == CHANGE_REPLACE))
				return need->goes_with ? need->goes_with : need;
		}
		return NULL;
	}
	if (object->kind != AR_SCHEMA_SEQUENCE || object->parts == NIL)
		return NULL;
	foreach(cell, ((SchemaObject *) linitial(object->parts))->needs)
	{
		SchemaObject *need = lfirst(cell);

		if ((need->kind == AR_SCHEMA_COLUMN || need->kind == AR_SCHEMA_TABLE) &&
			(need->change == CHANGE_DROP || need->change == CHANGE_REPLACE))
			return need;
	}
	return NULL;
}

static SchemaAction *
new_action(SchemaOperation operation, SchemaObject *object)
{
	SchemaAction *action = palloc0(sizeof(SchemaAction));

	if (operation != AR_SCHEMA_CREATE)
		ar_schema_require_visible(object);
	action->operation = operation;
	action->object = object;
	action->group = 1;
	return action;
}

static bool
gets_identity(const SchemaObject *column)
{
	return column->kind == AR_SCHEMA_COLUMN && ar_schema_value(column->peer, "identity");
}

/*
 * Users before what they need when it goes; what is needed before its users
 * when they come.
 */
static void
add_edges(SchemaModel *from, SchemaModel *to)
{
	ListCell   *cell;
	ListCell   *need_cell;

	foreach(cell, from->objects)
	{
		SchemaObject *object = lfirst(cell);

		foreach(need_cell, object->needs)
		{
			SchemaObject *need = lfirst(need_cell);

			if (object->dropped)
			{
				add_edge(object->dropped, need->dropped);
				/* a range's functions name what it is a range of */
				if (object->kind == AR_SCHEMA_RANGE && is_type(need))
					add_edge(object->altered, need->altered);

				/*
				 * a sequence may wait for its column's default, unless the
				 * column gets another one
				 */
				if ((!is_type(need) || need->change != CHANGE_REPLACE) &&
					(object->kind != AR_SCHEMA_SEQUENCE_OWNER || (need->peer && gets_identity(need))))
					add_edge(object->dropped, need->altered);
			}
			else if (object->altered && need->dropped)
				add_edge(object->altered, need->dropped);
		}
		if (object->kind == AR_SCHEMA_TABLE && object->altered && object->peer)
			add_inheritance_edges(from, to, object);
		if (object->dropped && object->peer && object->peer->created)
		{
			if (object->dropped->is_late)
				add_edge(object->altered, object->peer->created);
			else
				add_edge(object->dropped, object->peer->created);
		}
		if (object->dropped && object->dropped->is_late)
			add_edge(object->altered, object->dropped);
	}
	foreach(cell, to->objects)
	{
		SchemaObject *object = lfirst(cell);

		if (object->attached_to && !is_unfinished(object->attached_to))
			add_edge(object->created, object->attached_to->created);
		else if (object->attached_to)
			add_edge(object->attached_to->created, object->created);
		/* a table that comes to be a partition later would get one, too */
		if (is_unfinished(object))
			add_partition_edges(object->parent, object->created);

		/* which the server gives only to a table that no other inherits */
		if (object->kind == AR_SCHEMA_COLUMN && object->created && ar_schema_value(object, "identity"))
			add_child_edges(object->parent, object->created);

		/*
		 * with the first column that needs one, the table has what the
		 * options are for
		 */
		if (object->parent && object->parent->toasted)
		{
			add_edge(object->created, object->parent->toasted);
			add_edge(object->altered, object->parent->toasted);
		}
		foreach(need_cell, object->needs)
		{
			SchemaObject *need = lfirst(need_cell);

			add_edge(need->created, object->created);
			add_edge(need->altered, object->created);
			add_edge(need->created, object->altered);
			add_edge(need->altered, object->altered);
		}
	}
}

/*
 * Is it an index of a partitioned table that not all partitions have?
 */
static bool
is_unfinished(const SchemaObject *index)
{
	return index->kind == AR_SCHEMA_INDEX && !ar_schema_flag(index, "valid") && index->parent->kind == AR_SCHEMA_TABLE &&
		ar_schema_value(index->parent, "partition_key");
}

static void
add_partition_edges(const SchemaObject *table, SchemaAction *action)
{
	ListCell   *cell;

	foreach(cell, table->users)
	{
		const SchemaObject *partition = lfirst(cell);

		if (partition->kind != AR_SCHEMA_TABLE || ar_schema_value(partition, "bound") == NULL)
			continue;
		add_edge(partition->created, action);
		add_edge(partition->altered, action);
		add_partition_edges(partition, action);
	}
}

static void
add_child_edges(const SchemaObject *table, SchemaAction *action)
{
	ListCell   *cell;

	foreach(cell, table->users)
	{
		const SchemaObject *child = lfirst(cell);

		if (child->kind == AR_SCHEMA_TABLE && ar_schema_value(child, "parents") && ar_schema_value(child, "bound") == NULL)
			add_edge(action, child->created);
	}
}

/*
 * A table leaves its parent before the parent's columns change, and comes to
 * one after they have.
 */
static void
add_inheritance_edges(SchemaModel *from, SchemaModel *to, SchemaObject *table)
{
	List	   *old = ar_schema_name_list(ar_schema_value(table, "parents"));
	List	   *new = ar_schema_name_list(ar_schema_value(table->peer, "parents"));
	ListCell   *cell;

	if (ar_schema_same(table, table->peer, "parents"))
		return;
	foreach(cell, old)
	{
		add_column_edges(from, lfirst(cell), table->altered, true);
		add_column_edges(to, lfirst(cell), table->altered, true);
	}
	foreach(cell, new)
	{
		add_column_edges(from, lfirst(cell), table->altered, false);
		add_column_edges(to, lfirst(cell), table->altered, false);
	}
}

static void
add_column_edges(const SchemaModel *model, const char *parent, SchemaAction *child, bool leaves)
{
	SchemaObject *table = ar_schema_find(model, psprintf("table %s", parent));
	ListCell   *cell;

	if (table == NULL)
		return;
	foreach(cell, table->parts)
	{
		SchemaObject *column = lfirst(cell);
		SchemaAction *actions[] = {column->dropped, column->altered, column->created};

		for (int i = 0; i < lengthof(actions); i++)
		{
			if (column->kind == AR_SCHEMA_COLUMN && leaves)
				add_edge(child, actions[i]);
			else if (column->kind == AR_SCHEMA_COLUMN)
				add_edge(actions[i], child);
		}
	}
}

static void
add_edge(SchemaAction *first, SchemaAction *second)
{
	if (first == NULL || second == NULL || first == second)
		return;
	first->after = lappend(first->after, second);
	second->waits_for++;
}

static bool
is_type(const SchemaObject *object)
{
	return object->kind == AR_SCHEMA_ENUM || object->kind == AR_SCHEMA_DOMAIN ||
		object->kind == AR_SCHEMA_RANGE || object->kind == AR_SCHEMA_COMPOSITE;
}

/*
 * Can two objects of these kinds not have the same name in one schema, or on
 * one table?
 */
static bool
shares_names(const SchemaObject *a, const SchemaObject *b)
{
	if (is_constraint(a) && is_constraint(b) && a->parent->peer == b->parent)
		return true;
	return (is_relation(a) && is_relation(b)) || (has_type(a) && has_type(b)) || (is_function(a) && is_function(b)) ||
		(a->kind == b->kind && (a->kind == AR_SCHEMA_COLLATION || a->kind == AR_SCHEMA_STATISTICS));
}

static bool
is_constraint(const SchemaObject *object)
{
	return object->kind == AR_SCHEMA_CONSTRAINT || object->kind == AR_SCHEMA_FOREIGN_KEY ||
		object->kind == AR_SCHEMA_DOMAIN_CONSTRAINT;
}

static bool
is_relation(const SchemaObject *object)
{
	return object->kind == AR_SCHEMA_TABLE || object->kind == AR_SCHEMA_VIEW || object->kind == AR_SCHEMA_SEQUENCE ||
		object->kind == AR_SCHEMA_INDEX || object->kind == AR_SCHEMA_COMPOSITE ||
		(object->kind == AR_SCHEMA_CONSTRAINT && ar_schema_value(object, "_index"));
}

static bool
has_type(const SchemaObject *object)
{
	return is_type(object) || object->kind == AR_SCHEMA_TABLE || object->kind == AR_SCHEMA_VIEW;
}

/*
 * A range is also what makes one.
 */
static bool
is_function(const SchemaObject *object)
{
	return object->kind == AR_SCHEMA_FUNCTION || object->kind == AR_SCHEMA_AGGREGATE || object->kind == AR_SCHEMA_RANGE;
}

/*
 * A name is free only when what had it is gone, also with something else.
 */
static void
add_clashes(SchemaModel *from, SchemaModel *to)
{
	HASHCTL		control = {.keysize = NAMEDATALEN,.entrysize = NAMEDATALEN + sizeof(List *),
	.hcxt = CurrentMemoryContext};
	HTAB	   *dropped = hash_create("algo_ref dropped names", 64, &control, HASH_ELEM | HASH_STRINGS | HASH_CONTEXT);
	ListCell   *cell;
	typedef struct NameEntry
	{
		char		name[NAMEDATALEN];
		List	   *objects;
	} NameEntry;

	StaticAssertStmt(sizeof(NameEntry) == NAMEDATALEN + sizeof(List *), "no padding");
	foreach(cell, from->objects)
	{
		SchemaObject *object = lfirst(cell);
		NameEntry  *entry;
		bool		found;

		if (object->dropped == NULL || object->name[0] == '\0')
			continue;
		entry = hash_search(dropped, object->name, HASH_ENTER, &found);
		if (!found)
			entry->objects = NIL;
		entry->objects = lappend(entry->objects, object);
	}
	foreach(cell, to->objects)
	{
		SchemaObject *object = lfirst(cell);
		NameEntry  *entry;
		ListCell   *other;

		if (object->created == NULL || object->name[0] == '\0')
			continue;
		entry = hash_search(dropped, object->name, HASH_FIND, NULL);
		if (entry == NULL)
			continue;
		foreach(other, entry->objects)
		{
			SchemaObject *old = lfirst(other);

			if (!old->dropped->is_late && old->peer != object && shares_names(old, object) &&
				(old->schema == object->schema ||
				 (old->schema && object->schema && strcmp(old->schema, object->schema) == 0)))
			{
				add_edge(old->dropped, object->created);
				object->clash = old;
			}
		}
	}
}
