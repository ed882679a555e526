/*
 * revision_links.c: what follows from the parents and dependencies of all
 * revisions together: that there is no cycle, generations, and the
 * dependencies without those that are inherited.
 *
 * A revision inherits the dependencies of its ancestors; naming one of them
 * again says nothing, and the planner has to leave it out.  Looking through
 * the ancestors of each revision would be quadratic.  Instead each revision
 * that several depend on is looked at once: between the lowest and the highest
 * generation of these, from above or from below, whichever is through first.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "revision/revision.h"

/* How many revisions of a cycle a message names. */
#define CYCLE_NAMES_SHOWN 10

/* How many links a search for inherited dependencies may follow at first. */
#define FIRST_BUDGET 64

/* What a search knows of a revision, added to the number of its round. */
enum
{
	IS_USER = 1,				/* depends on what the search is about */
	IS_CLEAN,					/* neither does it, nor an ancestor */
	IS_HIT,						/* an ancestor does */
	ROUND
};

typedef struct Inheritance
{
	const RevisionMap *map;
	RevisionLinks users;		/* who depends on a revision */
	bool	   *inherited;		/* by the place of a dependency in map->deps */
	int32	   *mark;			/* by revision: round + what is known */
	int32		round;
	RevisionIndex *stack;
	int32	   *link;			/* by place in the stack: the next one to
								 * follow */
} Inheritance;

static bool number_generations(const RevisionMap *map, const RevisionLinks *up,
							   int32 *waiting, RevisionIndex *order, int32 *generation);
static void draw_lines(RevisionMap *map, const RevisionIndex *order);
static void *allocate(Size count, Size size);
static void refuse_cycle(const RevisionMap *map);
static void refuse_cycle_along(const RevisionMap *map, bool with_deps, const int32 *waiting);
static RevisionIndex waits_for(const RevisionMap *map, RevisionIndex r, bool with_deps,
							   const int32 *waiting);
static void fill_below(RevisionMap *map, const bool *inherited);
static bool *find_inherited(const RevisionMap *map);
static void find_users(const RevisionMap *map, RevisionLinks *users);
static bool is_all_on_lines(Inheritance *in, RevisionIndex dependency);
static int	compare_on_lines(const void *a, const void *b, void *map);
static bool search_up(Inheritance *in, RevisionIndex dependency, int32 budget);
static bool search_down(Inheritance *in, RevisionIndex dependency, int32 budget);
static bool has_user_below(Inheritance *in, RevisionIndex user, int32 lowest, int32 *budget);
static void begin_round(Inheritance *in, RevisionIndex dependency);
static void set_inherited(Inheritance *in, RevisionIndex user, RevisionIndex dependency);

/*
 * Fill in "generation", the lines and "below" of a map that has all other
 * links.  Raises 42P17 for a cycle; if "partial", there may be one, and then
 * generations are 0, there are no lines, and nothing is known to be inherited.
 */
void
ar_revision_links_complete(RevisionMap *map, bool partial)
{
	int32	   *waiting = allocate(map->count, sizeof(int32));
	RevisionIndex *order = allocate(map->count, sizeof(RevisionIndex));
	bool	   *inherited = NULL;

	map->generation = MemoryContextAllocExtended(map->context, Max(map->count, 1) * sizeof(int32),
												 MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	if (number_generations(map, &map->dependents, waiting, order, map->generation))
	{
		draw_lines(map, order);
		inherited = find_inherited(map);
	}
	else if (!partial)
		refuse_cycle(map);
	else
		memset(map->generation, 0, map->count * sizeof(int32));
	fill_below(map, inherited);
	pfree(waiting);
	pfree(order);
}

/*
 * Go through revisions from below, by Kahn's algorithm: a generation is one
 * more than the highest below.  False if there is a cycle; then "waiting",
 * which comes zeroed, is above 0 for the members of cycles and what is above
 * them.  "order" has room for the revisions in the order in which they are
 * gone through.  "generation" may be NULL.
 */
static bool
number_generations(const RevisionMap *map, const RevisionLinks *up,
				   int32 *waiting, RevisionIndex *order, int32 *generation)
{
	int32		count = 0;

	for (int32 i = 0; i < up->first[map->count]; i++)
		waiting[up->item[i]]++;
	for (RevisionIndex r = 0; r < map->count; r++)
		if (waiting[r] == 0)
			order[count++] = r;
	for (int32 next = 0; next < count; next++)
	{
		RevisionIndex r = order[next];

		CHECK_FOR_INTERRUPTS();
		for (int32 i = 0; i < AR_LINKS_COUNT(*up, r); i++)
		{
			RevisionIndex above = AR_LINKS_ITEM(*up, r, i);

			if (generation)
				generation[above] = Max(generation[above], generation[r] + 1);
			if (--waiting[above] == 0)
				order[count++] = above;
		}
	}
	return count == map->count;
}

/*
 * First parents make the revisions a forest.  Number them so that each has its
 * whole tree between its own number, line_first, and line_end.  "order" has
 * parents before children.
 */
static void
draw_lines(RevisionMap *map, const RevisionIndex *order)
{
	int32	   *next = allocate(map->count, sizeof(int32));
	int32		free = 0;

	map->line_first = MemoryContextAllocHuge(map->context, Max(map->count, 1) * sizeof(int32));
	map->line_end = MemoryContextAllocHuge(map->context, Max(map->count, 1) * sizeof(int32));

	/* line_end is the size of the tree at first */
	for (RevisionIndex r = 0; r < map->count; r++)
		map->line_end[r] = 1;
	for (int32 i = map->count - 1; i >= 0; i--)
	{
		RevisionIndex r = order[i];

		if (AR_LINKS_COUNT(map->revises, r) > 0)
			map->line_end[AR_LINKS_ITEM(map->revises, r, 0)] += map->line_end[r];
	}
	for (int32 i = 0; i < map->count; i++)
	{
		RevisionIndex r = order[i];
		int32	   *place = AR_LINKS_COUNT(map->revises, r) > 0 ?
		&next[AR_LINKS_ITEM(map->revises, r, 0)] : &free;

		map->line_first[r] = *place;
		*place += map->line_end[r];
		next[r] = map->line_first[r] + 1;
		map->line_end[r] = *place;
	}
	pfree(next);
}

/*
 * Zeroed memory, never for nothing.
 */
static void *
allocate(Size count, Size size)
{
	return palloc_extended(Max(count, 1) * size, MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
}

/*
 * Name a cycle, of parents alone if there is one.
 */
static void
refuse_cycle(const RevisionMap *map)
{
	int32	   *waiting = allocate(map->count, sizeof(int32));
	RevisionIndex *order = allocate(map->count, sizeof(RevisionIndex));

	if (!number_generations(map, &map->children, waiting, order, NULL))
		refuse_cycle_along(map, false, waiting);
	memset(waiting, 0, map->count * sizeof(int32));
	(void) number_generations(map, &map->dependents, waiting, order, NULL);
	refuse_cycle_along(map, true, waiting);
}

/*
 * Whoever waits does so for somebody below who waits, too: whoever follows
 * them ends up in a cycle.
 */
static void
refuse_cycle_along(const RevisionMap *map, bool with_deps, const int32 *waiting)
{
	bool	   *met = allocate(map->count, sizeof(bool));
	RevisionIndex start = 0;
	RevisionIndex here;
	StringInfoData names;
	int32		length = 0;

	while (waiting[start] == 0)
		start++;
	while (!met[start])
	{
		met[start] = true;
		start = waits_for(map, start, with_deps, waiting);
	}
	initStringInfo(&names);
	here = start;
	do
	{
		if (length++ < CYCLE_NAMES_SHOWN)
			appendStringInfo(&names, "\"%s\" -> ", map->revision[here].id);
		here = waits_for(map, here, with_deps, waiting);
	} while (here != start);
	if (length > CYCLE_NAMES_SHOWN)
		appendStringInfo(&names, "%d more -> ", length - CYCLE_NAMES_SHOWN);
	appendStringInfo(&names, "\"%s\"", map->revision[start].id);
	ereport(ERROR,
			errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
			with_deps ? errmsg("there is a cycle among revisions and their dependencies") :
			errmsg("there is a cycle among revisions"),
			errdetail("It goes %s.", names.data),
			errhint("Change what one of them revises%s with algo_ref.edit().",
					with_deps ? " or depends on" : ""));
}

static RevisionIndex
waits_for(const RevisionMap *map, RevisionIndex r, bool with_deps, const int32 *waiting)
{
	for (int32 i = 0; i < AR_LINKS_COUNT(map->revises, r); i++)
		if (waiting[AR_LINKS_ITEM(map->revises, r, i)] > 0)
			return AR_LINKS_ITEM(map->revises, r, i);
	for (int32 i = 0; with_deps && i < AR_LINKS_COUNT(map->deps, r); i++)
		if (waiting[AR_LINKS_ITEM(map->deps, r, i)] > 0)
			return AR_LINKS_ITEM(map->deps, r, i);
	elog(ERROR, "revision %d waits for nothing", r);
}

/*
 * below(r): the parents, then what else r depends on and does not inherit.
 */
static void
fill_below(RevisionMap *map, const bool *inherited)
{
	int32		room = map->revises.first[map->count] + map->deps.first[map->count];
	RevisionIndex *parent_of = allocate(map->count, sizeof(RevisionIndex));
	int32		end = 0;

	map->below.first = MemoryContextAllocHuge(map->context, (map->count + 1) * sizeof(int32));
	map->below.item = MemoryContextAllocHuge(map->context, Max(room, 1) * sizeof(RevisionIndex));
	map->below.first[0] = 0;
	for (RevisionIndex r = 0; r < map->count; r++)
	{
		for (int32 i = map->revises.first[r]; i < map->revises.first[r + 1]; i++)
		{
			/* plus one, so that 0 is nobody */
			parent_of[map->revises.item[i]] = r + 1;
			map->below.item[end++] = map->revises.item[i];
		}
		for (int32 i = map->deps.first[r]; i < map->deps.first[r + 1]; i++)
			if (parent_of[map->deps.item[i]] != r + 1 && !(inherited && inherited[i]))
				map->below.item[end++] = map->deps.item[i];
		map->below.first[r + 1] = end;
	}
	pfree(parent_of);
}

/*
 * Which dependencies an ancestor has, too, by their place in map->deps; NULL
 * if there are no dependencies.
 */
static bool *
find_inherited(const RevisionMap *map)
{
	Inheritance in = {.map = map};

	if (map->deps.first[map->count] == 0)
		return NULL;
	in.inherited = allocate(map->deps.first[map->count], sizeof(bool));
	in.mark = allocate(map->count, sizeof(int32));
	in.stack = allocate(map->count, sizeof(RevisionIndex));
	in.link = allocate(map->count, sizeof(int32));
	find_users(map, &in.users);
	for (RevisionIndex r = 0; r < map->count; r++)
	{
		int32		budget = FIRST_BUDGET;

		if (AR_LINKS_COUNT(in.users, r) < 2 || is_all_on_lines(&in, r))
			continue;
		while (!search_up(&in, r, budget) && !search_down(&in, r, budget))
		{
			CHECK_FOR_INTERRUPTS();
			budget = budget > PG_INT32_MAX / 4 ? PG_INT32_MAX : budget * 4;
		}
	}
	pfree(in.mark);
	pfree(in.stack);
	pfree(in.link);
	pfree(in.users.first);
	pfree(in.users.item);
	return in.inherited;
}

/*
 * map->deps the other way round.
 */
static void
find_users(const RevisionMap *map, RevisionLinks *users)
{
	int32		count = map->deps.first[map->count];

	/* first[r + 2] counts, then becomes where the list of r + 1 begins */
	users->first = allocate(map->count + 2, sizeof(int32));
	users->item = allocate(count, sizeof(RevisionIndex));
	for (int32 i = 0; i < count; i++)
		users->first[map->deps.item[i] + 2]++;
	for (int32 r = 2; r <= map->count + 1; r++)
		users->first[r] += users->first[r - 1];
	for (RevisionIndex r = 0; r < map->count; r++)
		for (int32 i = 0; i < AR_LINKS_COUNT(map->deps, r); i++)
			users->item[users->first[AR_LINKS_ITEM(map->deps, r, i) + 1]++] = r;
}

/*
 * The frequent case: all users of a dependency but the lowest have another one
 * on their line of first parents.  Marks those that have one; true if that was
 * all.  Users that come one after the other by line_first either have the last
 * of them that is still open on their line, or none.
 */
static bool
is_all_on_lines(Inheritance *in, RevisionIndex dependency)
{
	const RevisionMap *map = in->map;
	int32		users = AR_LINKS_COUNT(in->users, dependency);
	RevisionIndex *user = &AR_LINKS_ITEM(in->users, dependency, 0);
	int32		lowest = PG_INT32_MAX;
	int32		open = 0;
	bool		all = true;

	qsort_arg(user, users, sizeof(RevisionIndex), compare_on_lines, unconstify(RevisionMap *, map));
	for (int32 i = 0; i < users; i++)
		lowest = Min(lowest, map->generation[user[i]]);
	for (int32 i = 0; i < users; i++)
	{
		while (open > 0 && !ar_revision_on_line(map, in->stack[open - 1], user[i]))
			open--;
		if (open > 0)
			set_inherited(in, user[i], dependency);
		else
			all &= map->generation[user[i]] == lowest;
		in->stack[open++] = user[i];
	}
	return all;
}

static int
compare_on_lines(const void *a, const void *b, void *map)
{
	int32	   *line_first = ((RevisionMap *) map)->line_first;
	int32		left = line_first[*(const RevisionIndex *) a];
	int32		right = line_first[*(const RevisionIndex *) b];

	return left < right ? -1 : left > right;
}

/*
 * From all users of a dependency upwards, up to the highest of them: the users
 * that are met inherit it.  False if "budget" links were not enough.
 */
static bool
search_up(Inheritance *in, RevisionIndex dependency, int32 budget)
{
	const RevisionMap *map = in->map;
	int32		users = AR_LINKS_COUNT(in->users, dependency);
	int32		highest = 0;
	int32		depth = 0;

	begin_round(in, dependency);
	for (int32 i = 0; i < users; i++)
		highest = Max(highest, map->generation[AR_LINKS_ITEM(in->users, dependency, i)]);
	for (int32 i = 0; i < users; i++)
	{
		in->stack[depth++] = AR_LINKS_ITEM(in->users, dependency, i);
		while (depth > 0)
		{
			RevisionIndex r = in->stack[--depth];

			for (int32 j = 0; j < AR_LINKS_COUNT(map->children, r); j++)
			{
				RevisionIndex child = AR_LINKS_ITEM(map->children, r, j);
				int32		known = in->mark[child] - in->round;

				if (budget-- <= 0)
					return false;
				if (map->generation[child] > highest || known == IS_HIT)
					continue;
				in->mark[child] = in->round + IS_HIT;
				/* what is above a user has its own turn */
				if (known == IS_USER)
					set_inherited(in, child, dependency);
				else
					in->stack[depth++] = child;
			}
		}
	}
	return true;
}

/*
 * The same from each user downwards, down to the lowest.
 */
static bool
search_down(Inheritance *in, RevisionIndex dependency, int32 budget)
{
	int32		users = AR_LINKS_COUNT(in->users, dependency);
	int32		lowest = PG_INT32_MAX;

	begin_round(in, dependency);
	for (int32 i = 0; i < users; i++)
		lowest = Min(lowest, in->map->generation[AR_LINKS_ITEM(in->users, dependency, i)]);
	for (int32 i = 0; i < users && budget > 0; i++)
	{
		RevisionIndex user = AR_LINKS_ITEM(in->users, dependency, i);

		if (has_user_below(in, user, lowest, &budget))
			set_inherited(in, user, dependency);
	}
	return budget > 0;
}

/*
 * Is an ancestor of a user another one?  Depth first, so that what is learned
 * serves the next user: whoever was left is clean, whoever is on the way to a
 * user is a hit.  Uses up "budget"; a "no" counts only if some of it is left.
 */
static bool
has_user_below(Inheritance *in, RevisionIndex user, int32 lowest, int32 *budget)
{
	const RevisionMap *map = in->map;
	int32		depth = 0;

	in->stack[0] = user;
	in->link[0] = 0;
	while (depth >= 0)
	{
		RevisionIndex r = in->stack[depth];
		RevisionIndex parent;
		int32		known;

		if (in->link[depth] == AR_LINKS_COUNT(map->revises, r))
		{
			if (depth > 0)
				in->mark[r] = in->round + IS_CLEAN;
			depth--;
			continue;
		}
		if ((*budget)-- <= 0)
			return false;
		parent = AR_LINKS_ITEM(map->revises, r, in->link[depth]++);
		known = in->mark[parent] - in->round;
		if (known == IS_USER || known == IS_HIT)
		{
			for (; depth > 0; depth--)
				in->mark[in->stack[depth]] = in->round + IS_HIT;
			return true;
		}
		if (known == IS_CLEAN || map->generation[parent] <= lowest)
			continue;
		depth++;
		in->stack[depth] = parent;
		in->link[depth] = 0;
	}
	return false;
}

/*
 * Forget what was known, and mark the users of a dependency.
 */
static void
begin_round(Inheritance *in, RevisionIndex dependency)
{
	if (in->round > PG_INT32_MAX - 2 * ROUND)
	{
		memset(in->mark, 0, in->map->count * sizeof(int32));
		in->round = 0;
	}
	in->round += ROUND;
	for (int32 i = 0; i < AR_LINKS_COUNT(in->users, dependency); i++)
		in->mark[AR_LINKS_ITEM(in->users, dependency, i)] = in->round + IS_USER;
}

static void
set_inherited(Inheritance *in, RevisionIndex user, RevisionIndex dependency)
{
	for (int32 i = in->map->deps.first[user]; i < in->map->deps.first[user + 1]; i++)
		if (in->map->deps.item[i] == dependency)
			in->inherited[i] = true;
}
