/*
 * schema_hazard.c: what only the whole plan tells about its steps.
 *
 * A table that the plan creates has neither rows nor readers.  A drop and a
 * creation of the same shape may be meant as a rename.  And a label that the plan
 * adds to an enum can be used only after a commit.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "schema/schema.h"
#include "utils/builtins.h"

static bool is_created(const SchemaObject *object);
static void judge_new(SchemaAction *action);
static void judge_renames(List *actions);
static bool may_be_rename(const SchemaObject *old, const SchemaObject *new);
static char *shape_of(const SchemaObject *table);
static bool uses(const SchemaAction *action, List *labels);

/*
 * Put the hazards of ordered actions right.
 */
void
ar_schema_judge(List *actions)
{
	ListCell   *cell;

	foreach(cell, actions)
	{
		SchemaAction *action = lfirst(cell);

		if (action->operation != AR_SCHEMA_DROP && action->object->parent &&
			is_created(ar_schema_whole(action->object)))
			judge_new(action);
	}
	judge_renames(actions);
}

static bool
is_created(const SchemaObject *object)
{
	return object->created && object->created->operation == AR_SCHEMA_CREATE && object->created->object == object;
}

/*
 * On a new table nothing is in anybody's way, but a foreign key may refer to an
 * old one, which is locked.
 */
static void
judge_new(SchemaAction *action)
{
	ListCell   *cell;

	action->hazards = NIL;
	if (action->object->kind != AR_SCHEMA_FOREIGN_KEY)
		return;
	foreach(cell, action->object->needs)
	{
		const SchemaObject *whole = ar_schema_whole(lfirst(cell));

		if (whole->kind == AR_SCHEMA_TABLE && !is_created(whole))
			ar_schema_warn(action, AR_HAZARD_BLOCKS_WRITES);
	}
}

/*
 * Nothing is guessed, but it is said.
 */
static void
judge_renames(List *actions)
{
	List	   *drops = NIL;
	ListCell   *cell;
	ListCell   *other;

	foreach(cell, actions)
	{
		SchemaAction *action = lfirst(cell);

		if (action->operation == AR_SCHEMA_DROP && action->object->peer == NULL &&
			(action->object->kind == AR_SCHEMA_TABLE ||
			 (action->object->kind == AR_SCHEMA_COLUMN && action->object->parent->kind == AR_SCHEMA_TABLE)))
			drops = lappend(drops, action);
	}
	foreach(cell, actions)
	{
		SchemaAction *action = lfirst(cell);

		if (action->operation != AR_SCHEMA_CREATE || action->object->peer)
			continue;
		foreach(other, drops)
		{
			SchemaAction *drop = lfirst(other);

			CHECK_FOR_INTERRUPTS();
			if (!may_be_rename(drop->object, action->object))
				continue;
			ar_schema_warn(drop, AR_HAZARD_MAYBE_RENAME);
			ar_schema_warn(action, psprintf("%s: -- @renamed from=%s", AR_HAZARD_MAYBE_RENAME,
											quote_identifier(drop->object->name)));
			drops = foreach_delete_current(drops, other);
			break;
		}
	}
}

/*
 * Columns of one table and one type; tables with the same columns.
 */
static bool
may_be_rename(const SchemaObject *old, const SchemaObject *new)
{
	if (old->kind != new->kind)
		return false;
	if (old->kind == AR_SCHEMA_COLUMN)
		return strcmp(old->parent->identity, new->parent->identity) == 0 && ar_schema_same(old, new, "type");
	return ar_schema_same(old, new, "kind") && strcmp(shape_of(old), shape_of(new)) == 0;
}

static char *
shape_of(const SchemaObject *table)
{
	StringInfoData shape;
	ListCell   *cell;

	initStringInfo(&shape);
	foreach(cell, table->parts)
	{
		SchemaObject *part = lfirst(cell);

		if (part->kind == AR_SCHEMA_COLUMN)
			appendStringInfo(&shape, "%s %s\n", part->name, ar_schema_value(part, "type"));
	}
	return shape.data;
}

/*
 * Give ordered actions their transaction groups.  A step that names a label
 * which an earlier one adds begins a new group, and some are a group for
 * themselves.
 */
void
ar_schema_group(List *actions)
{
	List	   *labels = NIL;
	bool		was_alone = false;
	int			group = 1;
	ListCell   *cell;

	foreach(cell, actions)
	{
		SchemaAction *action = lfirst(cell);

		if (labels != NIL && uses(action, labels))
		{
			ar_schema_warn(action, AR_HAZARD_NEEDS_COMMIT);
			group++;
			labels = NIL;
		}
		else if ((action->is_alone || was_alone) && foreach_current_index(cell) > 0)
			group++;
		was_alone = action->is_alone;
		action->group = group;
		labels = list_concat(labels, action->labels);
	}
}

static bool
uses(const SchemaAction *action, List *labels)
{
	ListCell   *cell;
	ListCell   *label;

	foreach(cell, action->statements)
	{
		foreach(label, labels)
		{
			if (strstr(lfirst(cell), lfirst(label)))
				return true;
		}
	}
	return false;
}
