/*
 * prefetch_tree.c: one tree from all paths.
 *
 * What begins alike is one branch.  A step with a depth becomes as many nodes,
 * one below the other, each with what follows the step.
 */
#include "postgres.h"

#include "prefetch/prefetch.h"

static PathNode *add_step(PathNode *parent, PathStep *step);
static bool same_texts(List *a, List *b);
static bool same_arguments(const PathStep *a, const PathStep *b);
static void expand(PathNode *node);
static PathNode *copy_branch(const PathNode *node, PathNode *parent);
static void number(PathNode *node, int *last);

/*
 * The tree of some paths.  Raises 42601 for what is no path, 42712 for a name
 * that means two things.
 */
PathNode *
ar_prefetch_tree(List *paths)
{
	PathNode   *top = palloc0(sizeof(PathNode));
	int			last = 0;
	ListCell   *cell;
	ListCell   *step;

	foreach(cell, paths)
	{
		PathNode   *node = top;

		foreach(step, ar_prefetch_parse_path(lfirst(cell)))
			node = add_step(node, lfirst(step));
	}
	expand(top);
	number(top, &last);
	return top;
}

/*
 * The child of a node that a step leads to.  A step without arguments goes
 * with one that has some.
 */
static PathNode *
add_step(PathNode *parent, PathStep *step)
{
	char	   *name = step->alias ? step->alias : step->count ? psprintf("%s_count", step->name) : step->name;
	PathNode   *node;
	ListCell   *cell;

	foreach(cell, parent->children)
	{
		node = lfirst(cell);
		if (strcmp(node->name, name) != 0)
			continue;
		if (strcmp(node->step->name, step->name) != 0 ||
			strcmp(node->step->pin ? node->step->pin : "", step->pin ? step->pin : "") != 0 ||
			node->step->count != step->count || node->step->depth != step->depth ||
			(node->step->has_arguments && step->has_arguments && !same_arguments(node->step, step)))
			ereport(ERROR,
					errcode(ERRCODE_DUPLICATE_ALIAS),
					errmsg("\"%s\" stands for two different things in the paths", name),
					errdetail("They are \"%s\" and \"%s\".", node->step->path, step->path),
					errhint("Give one of them an alias, as in \"alias:%s\".", step->name));
		node->inner |= step->inner;
		if (step->has_arguments)
			node->step = step;
		return node;
	}
	node = palloc0(sizeof(PathNode));
	node->parent = parent;
	node->step = step;
	node->name = name;
	node->count = step->count;
	node->inner = step->inner;
	parent->children = lappend(parent->children, node);
	return node;
}

static bool
same_texts(List *a, List *b)
{
	ListCell   *x;
	ListCell   *y;

	if (list_length(a) != list_length(b))
		return false;
	forboth(x, a, y, b)
	{
		if (strcmp(lfirst(x), lfirst(y)) != 0)
			return false;
	}
	return true;
}

static bool
same_arguments(const PathStep *a, const PathStep *b)
{
	ListCell   *x;
	ListCell   *y;

	if (!same_texts(a->columns, b->columns) || a->limit != b->limit ||
		strcmp(a->where ? a->where : "", b->where ? b->where : "") != 0 ||
		list_length(a->order) != list_length(b->order))
		return false;
	forboth(x, a->order, y, b->order)
	{
		PathOrder  *one = lfirst(x);
		PathOrder  *other = lfirst(y);

		if (strcmp(one->column, other->column) != 0 || one->descending != other->descending ||
			one->nulls_first != other->nulls_first)
			return false;
	}
	return true;
}

static void
expand(PathNode *node)
{
	ListCell   *cell;

	if (node->step && node->step->depth > 0)
	{
		List	   *below = node->children;
		PathNode   *level = node;

		node->in_chain = true;
		for (int i = 1; i < node->step->depth; i++)
		{
			PathNode   *next = palloc(sizeof(PathNode));

			*next = *node;
			next->parent = level;
			next->children = NIL;
			foreach(cell, below)
				next->children = lappend(next->children, copy_branch(lfirst(cell), next));
			level->children = lcons(next, list_copy(level->children));
			level = next;
		}
		/* they share the step */
		node->step->depth = 0;
	}
	foreach(cell, node->children)
		expand(lfirst(cell));
}

static PathNode *
copy_branch(const PathNode *node, PathNode *parent)
{
	PathNode   *copy = palloc(sizeof(PathNode));
	ListCell   *cell;

	*copy = *node;
	copy->step = palloc(sizeof(PathStep));
	*copy->step = *node->step;
	copy->parent = parent;
	copy->children = NIL;
	foreach(cell, node->children)
		copy->children = lappend(copy->children, copy_branch(lfirst(cell), copy));
	return copy;
}

static void
number(PathNode *node, int *last)
{
	ListCell   *cell;

	node->number = (*last)++;
	foreach(cell, node->children)
		number(lfirst(cell), last);
}

/*
 * Raise 42701 where a relationship has the name of a column of the row that it
 * is written into.
 */
void
ar_prefetch_check_names(const PathNode *node, List *column_names)
{
	ListCell   *child;
	ListCell   *cell;

	foreach(child, node->children)
	{
		PathNode   *other = lfirst(child);

		foreach(cell, column_names)
		{
			if (strcmp(lfirst(cell), other->name) == 0)
				ereport(ERROR,
						errcode(ERRCODE_DUPLICATE_COLUMN),
						errmsg("\"%s\" is already a column of the row", other->name),
						errdetail("The path is \"%s\".", other->step->path),
						errhint("Give the relationship an alias, as in \"alias:%s\".", other->step->name));
		}
	}
}
