/*
 * prefetch_tree.c: one tree of relationships from all paths.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "prefetch/prefetch.h"

/* relationships that the paths of one call may follow */
#define MAX_STEPS 1000

static PathNode *add_step(PrefetchPlan *plan, PathNode *parent, PathStep *step);
static bool same_texts(List *a, List *b);
static bool same_arguments(const PathStep *a, const PathStep *b);
static bool is_same_step(const PathStep *one, const PathStep *other);
static void two_things(const char *name, const PathStep *one, const PathStep *other);
static PathNode *copy_branch(PrefetchPlan *plan, const PathNode *node, PathNode *parent);
static PathNode *new_node(PrefetchPlan *plan);

/*
 * One tree from all paths: what begins alike is one branch.
 */
void
ar_prefetch_build_tree(PrefetchPlan *plan)
{
	plan->top = palloc0(sizeof(PathNode));
	plan->top->path = "";
	plan->top->limit = -1;
	for (int i = 0; i < plan->path_count; i++)
	{
		PathNode   *node = plan->top;
		ListCell   *cell;

		foreach(cell, ar_prefetch_parse_path(plan->paths[i]))
			node = add_step(plan, node, lfirst(cell));
	}
}

/*
 * The child of a node that a step leads to.  A step without arguments goes
 * with one that has some, and a mere name with what an earlier path calls so.
 */
static PathNode *
add_step(PrefetchPlan *plan, PathNode *parent, PathStep *step)
{
	char	   *name = step->alias ? step->alias :
	step->count ? psprintf("%s_count", step->name) : step->name;
	PathNode   *node;
	ListCell   *cell;

	Assert(!parent->count);
	foreach(cell, parent->children)
	{
		node = lfirst(cell);
		if (strcmp(node->name, name) != 0)
			continue;
		if (!is_same_step(node->step, step))
			two_things(name, node->step, step);
		node->inner |= step->inner;
		if (step->has_arguments)
		{
			PathStep   *merged = memcpy(palloc(sizeof(PathStep)), step, sizeof(PathStep));

			/* what is followed has been said before */
			merged->alias = node->step->alias;
			merged->name = node->step->name;
			merged->pins = node->step->pins;
			node->step = merged;
			node->limit = step->limit;
		}
		return node;
	}
	node = new_node(plan);
	node->parent = parent;
	node->step = step;
	node->name = name;
	node->count = step->count;
	node->inner = step->inner;
	node->limit = step->limit;
	parent->children = lappend(parent->children, node);
	return node;
}

/*
 * May a step stand for what an earlier one with its name stands for?
 */
static bool
is_same_step(const PathStep *one, const PathStep *other)
{
	bool		is_mere_name = other->alias == NULL && other->pins == NIL;

	if (one->count != other->count || one->depth != other->depth)
		return false;
	if (one->has_arguments && other->has_arguments && !same_arguments(one, other))
		return false;
	return (is_mere_name && !other->count) ||
		(strcmp(one->name, other->name) == 0 && same_texts(one->pins, other->pins));
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
two_things(const char *name, const PathStep *one, const PathStep *other)
{
	ereport(ERROR,
			errcode(ERRCODE_DUPLICATE_ALIAS),
			errmsg("\"%s\" stands for two different things in the paths", name),
			errdetail("They are \"%s\" and \"%s\".", one->path, other->path),
			errhint("Give one of them an alias, as in \"alias:%s\".", other->name));
}

/*
 * A step with a depth becomes as many nodes, one below the other, each with
 * what follows the step.
 */
void
ar_prefetch_expand_recursion(PrefetchPlan *plan, PathNode *node)
{
	ListCell   *cell;

	check_stack_depth();
	if (node->step && node->step->depth > 0)
	{
		List	   *below = node->children;
		PathNode   *level = node;

		if (node->step->inner)
			ereport(ERROR,
					errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					errmsg("relationship \"%s\" is followed again and again, and cannot be inner", node->step->name),
					errdetail("The path is \"%s\".", node->step->path),
					errhint("A condition of the query, or of the step before, says which rows have one."));
		foreach(cell, below)
		{
			const PathNode *child = lfirst(cell);

			if (node->step->depth > 1 && strcmp(child->name, node->name) == 0)
				two_things(node->name, node->step, child->step);
		}

		node->in_chain = true;
		node->chain_length = 1;
		for (int i = 1; i < node->step->depth; i++)
		{
			PathNode   *next = new_node(plan);

			*next = *node;
			next->chain_length = level->chain_length;
			next->parent = level;
			next->chain_length++;
			next->children = NIL;
			foreach(cell, below)
				next->children = lappend(next->children, copy_branch(plan, lfirst(cell), next));

			/* first, as the name of the step is the first to be met */
			level->children = lcons(next, list_copy(level->children));
			level = next;
		}
		node->step->depth = 0;
	}
	foreach(cell, node->children)
		ar_prefetch_expand_recursion(plan, lfirst(cell));
}

static PathNode *
copy_branch(PrefetchPlan *plan, const PathNode *node, PathNode *parent)
{
	PathNode   *copy = new_node(plan);
	ListCell   *cell;

	*copy = *node;
	copy->step = memcpy(palloc(sizeof(PathStep)), node->step, sizeof(PathStep));
	copy->parent = parent;
	copy->children = NIL;
	foreach(cell, node->children)
		copy->children = lappend(copy->children, copy_branch(plan, lfirst(cell), copy));
	return copy;
}

/*
 * Each node has statements of its own, and may stand on all others.
 */
static PathNode *
new_node(PrefetchPlan *plan)
{
	CHECK_FOR_INTERRUPTS();
	if (++plan->step_count > MAX_STEPS)
		ereport(ERROR,
				errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				errmsg("the paths follow more than %d relationships", MAX_STEPS),
				errdetail("Each depth of a recursion counts, with what is followed from there."));
	return palloc0(sizeof(PathNode));
}
