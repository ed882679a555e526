/*
 * schema_order.c: actions in an order in which they can be carried out.
 *
 * Kahn's algorithm with a heap: of what waits for nothing, drops come first,
 * dependents before what they need, then changes, then what is new, tables with
 * what belongs to them.  Where actions wait for each other in a circle, the one
 * that would come first goes ahead.
 */
#include "postgres.h"

#include "lib/binaryheap.h"
#include "miscadmin.h"
#include "schema/schema.h"

static int	rank(const SchemaAction *action);
static int	compare_actions(const SchemaAction *a, const SchemaAction *b);
static int	compare_cells(const ListCell *a, const ListCell *b);
static int	compare_nodes(Datum a, Datum b, void *arg);

/*
 * The actions in order.
 */
List *
ar_schema_order(List *actions)
{
	int			count = list_length(actions);
	binaryheap *ready = binaryheap_allocate(count + 1, compare_nodes, NULL);
	List	   *ordered = NIL;
	int			next_stuck = 0;
	ListCell   *cell;

	list_sort(actions, compare_cells);
	foreach(cell, actions)
	{
		SchemaAction *action = lfirst(cell);

		action->index = foreach_current_index(cell);
		if (action->waits_for == 0)
			binaryheap_add(ready, PointerGetDatum(action));
	}
	while (list_length(ordered) < count)
	{
		SchemaAction *action;

		CHECK_FOR_INTERRUPTS();
		if (binaryheap_empty(ready))
		{
			while (((SchemaAction *) list_nth(actions, next_stuck))->is_done)
				next_stuck++;
			action = list_nth(actions, next_stuck);
		}
		else
			action = (SchemaAction *) DatumGetPointer(binaryheap_remove_first(ready));
		if (action->is_done)
			continue;
		action->is_done = true;
		ordered = lappend(ordered, action);
		foreach(cell, action->after)
		{
			SchemaAction *other = lfirst(cell);

			if (--other->waits_for == 0 && !other->is_done)
				binaryheap_add(ready, PointerGetDatum(other));
		}
	}
	binaryheap_free(ready);
	return ordered;
}

/*
 * Groups of actions: everything about one table is in one.
 */
static int
rank(const SchemaAction *action)
{
	const SchemaObject *object = action->object;

	switch (object->kind)
	{
		case AR_SCHEMA_SCHEMA:
		case AR_SCHEMA_EXTENSION:
		case AR_SCHEMA_COLLATION:
		case AR_SCHEMA_ENUM:
		case AR_SCHEMA_COMPOSITE:
		case AR_SCHEMA_DOMAIN:
		case AR_SCHEMA_RANGE:
		case AR_SCHEMA_SEQUENCE:
			return object->kind;
		case AR_SCHEMA_FOREIGN_KEY:
			return 50;
		case AR_SCHEMA_FUNCTION:
		case AR_SCHEMA_AGGREGATE:
			return 40;
		default:
			return 30;
	}
}

/*
 * The object that is a part of nothing.
 */
const SchemaObject *
ar_schema_whole(const SchemaObject *object)
{
	while (object->parent)
		object = object->parent;
	return object;
}

static int
compare_actions(const SchemaAction *a, const SchemaAction *b)
{
	int			direction = a->operation == AR_SCHEMA_DROP ? -1 : 1;
	int			result;

	if (a->is_late != b->is_late)
		return a->is_late ? 1 : -1;
	if (a->operation != b->operation)
		return a->operation < b->operation ? -1 : 1;
	if (rank(a) != rank(b))
		return rank(a) < rank(b) ? -direction : direction;
	result = strcmp(ar_schema_whole(a->object)->identity, ar_schema_whole(b->object)->identity);
	if (result != 0)
		return result;
	if (a->object->kind != b->object->kind)
		return a->object->kind < b->object->kind ? -direction : direction;
	if (a->object->kind == AR_SCHEMA_COLUMN && a->operation != AR_SCHEMA_DROP)
		return atoi(ar_schema_value(a->object, "_position")) - atoi(ar_schema_value(b->object, "_position"));
	return strcmp(a->object->identity, b->object->identity);
}

static int
compare_cells(const ListCell *a, const ListCell *b)
{
	return compare_actions(lfirst(a), lfirst(b));
}

/*
 * The heap gives the greatest first.
 */
static int
compare_nodes(Datum a, Datum b, void *arg)
{
	return ((SchemaAction *) DatumGetPointer(b))->index - ((SchemaAction *) DatumGetPointer(a))->index;
}
