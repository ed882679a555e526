/*
 * revision_order.c: the order in which a set of revisions is listed, newest
 * first: descendants before ancestors, one branch after the other as far down
 * as it goes.
 *
 * The walk keeps a list of pending revisions.  It goes down from one of them;
 * when the next one is still needed from above by another pending one, it
 * goes on there.  Source: Alembic, RevisionMap._topological_sort.
 *
 * A set may have holes: revisions outside that lead from one member down to
 * another.  They are not listed, but pass on that the lower one is needed; each
 * is let go when nothing above needs it any more.
 *
 * That asks two things again and again.  Whether a revision is still needed
 * from above is a counter of those directly above that were not listed yet.
 * Which pending one needs it (the first in the list) is searched from both
 * sides in turn, so that the cost is that of the cheaper side.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "revision/revision.h"

#define NO_SLOT (-1)

/* A depth-first search that can be interrupted after any step. */
typedef struct Search
{
	int32	   *seen;			/* number of the search that has met a
								 * revision */
	RevisionIndex *stack;
	int32		depth;
} Search;

typedef struct Descent
{
	const RevisionMap *map;
	const bool *set;
	const bool *between;		/* may be passed through; NULL if the set has
								 * no holes */
	bool	   *listed;
	int32	   *needed;			/* what is pending directly above */
	int32		slot_count;
	RevisionIndex *at;			/* where each slot of the list stands */
	int32	   *next;			/* the list: slots by number, some taken out */
	int32	   *previous;
	int32		first;
	int32		last;
	int32	   *slot;			/* of a pending revision, else NO_SLOT */
	int32		search_count;
	Search		down;
	Search		up;
} Descent;

static void begin_descent(Descent *descent, const RevisionMap *map, const bool *set,
						  const bool *between);
static void end_descent(Descent *descent);
static void begin_search(Search *search, const RevisionMap *map);
static int32 append_slot(Descent *descent, RevisionIndex r);
static int32 remove_slot(Descent *descent, int32 slot);
static int32 go_down(Descent *descent, int32 slot);
static void let_go(Descent *descent, RevisionIndex r);
static int32 first_slot_above(Descent *descent, RevisionIndex r);
static int32 first_candidate(const Descent *descent, RevisionIndex r, int32 slot);
static bool is_pending(const Descent *descent, RevisionIndex r);
static bool is_pending_member(const Descent *descent, RevisionIndex r);
static void push(Search *search, int32 number, RevisionIndex r);
static RevisionIndex top_above(Descent *descent, RevisionIndex r);

/*
 * The members of "set" in that order, a palloc'd array.  "heads" are where the
 * walk begins, in load order; those not in the set do not count.  Every member
 * is listed, also one that no head leads to.  "between" is a superset that has
 * no holes, or NULL if "set" has none.
 */
RevisionIndex *
ar_revision_descend(const RevisionMap *map, const bool *set,
					const bool *heads, const bool *between, int32 *count)
{
	Descent		descent;
	RevisionIndex *order = palloc_extended(Max(map->count, 1) * sizeof(RevisionIndex), MCXT_ALLOC_HUGE);
	RevisionIndex unlisted = map->count;
	int32		slot;

	begin_descent(&descent, map, set, between);
	for (RevisionIndex r = 0; r < map->count; r++)
		if (heads[r] && set[r])
			append_slot(&descent, r);

	*count = 0;
	slot = descent.first;
	for (;;)
	{
		RevisionIndex r;

		CHECK_FOR_INTERRUPTS();
		if (slot == NO_SLOT)
		{
			/* what no head leads to, newest first */
			while (--unlisted >= 0 && !is_pending_member(&descent, unlisted))
				;
			if (unlisted < 0)
				break;
			slot = append_slot(&descent, top_above(&descent, unlisted));
			unlisted++;
		}
		r = descent.at[slot];
		if (descent.needed[r] > 0)
		{
			slot = first_slot_above(&descent, r);
			continue;
		}
		order[(*count)++] = r;
		slot = go_down(&descent, slot);
	}
	end_descent(&descent);
	return order;
}

static void
begin_descent(Descent *descent, const RevisionMap *map, const bool *set,
			  const bool *between)
{
	Size		size = Max(map->count, 1) * sizeof(int32);

	memset(descent, 0, sizeof(Descent));
	descent->map = map;
	descent->set = set;
	descent->between = between;
	descent->listed = ar_revision_empty_set(map);
	descent->needed = palloc_extended(size, MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	descent->at = palloc_extended(size, MCXT_ALLOC_HUGE);
	descent->next = palloc_extended(size, MCXT_ALLOC_HUGE);
	descent->previous = palloc_extended(size, MCXT_ALLOC_HUGE);
	descent->slot = palloc_extended(size, MCXT_ALLOC_HUGE);
	descent->first = descent->last = NO_SLOT;
	begin_search(&descent->down, map);
	begin_search(&descent->up, map);
	for (RevisionIndex r = 0; r < map->count; r++)
	{
		descent->slot[r] = NO_SLOT;
		if (!is_pending(descent, r))
			continue;
		for (int32 i = 0; i < AR_LINKS_COUNT(map->below, r); i++)
			descent->needed[AR_LINKS_ITEM(map->below, r, i)]++;
	}
	/* no member is above those */
	for (RevisionIndex r = 0; between && r < map->count; r++)
		if (is_pending(descent, r) && !set[r] && descent->needed[r] == 0)
			let_go(descent, r);
}

static void
end_descent(Descent *descent)
{
	pfree(descent->listed);
	pfree(descent->needed);
	pfree(descent->at);
	pfree(descent->next);
	pfree(descent->previous);
	pfree(descent->slot);
	pfree(descent->down.seen);
	pfree(descent->down.stack);
	pfree(descent->up.seen);
	pfree(descent->up.stack);
}

static void
begin_search(Search *search, const RevisionMap *map)
{
	Size		size = Max(map->count, 1) * sizeof(int32);

	search->seen = palloc_extended(size, MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	search->stack = palloc_extended(size, MCXT_ALLOC_HUGE);
}

/*
 * A revision gets a slot of its own at most once, so there is room.
 */
static int32
append_slot(Descent *descent, RevisionIndex r)
{
	int32		slot = descent->slot_count++;

	descent->at[slot] = r;
	descent->slot[r] = slot;
	descent->next[slot] = NO_SLOT;
	descent->previous[slot] = descent->last;
	if (descent->last == NO_SLOT)
		descent->first = slot;
	else
		descent->next[descent->last] = slot;
	descent->last = slot;
	return slot;
}

/*
 * Take a slot out; returns the one before it, or the first.
 */
static int32
remove_slot(Descent *descent, int32 slot)
{
	int32		previous = descent->previous[slot];
	int32		next = descent->next[slot];

	if (previous == NO_SLOT)
		descent->first = next;
	else
		descent->next[previous] = next;
	if (next == NO_SLOT)
		descent->last = previous;
	else
		descent->previous[next] = previous;
	return previous == NO_SLOT ? descent->first : previous;
}

/*
 * The revision of a slot was listed: the slot goes to the first one below it,
 * the others get slots of their own.  Returns the slot to go on with.
 */
static int32
go_down(Descent *descent, int32 slot)
{
	const RevisionMap *map = descent->map;
	RevisionIndex r = descent->at[slot];
	bool		moved = false;

	descent->listed[r] = true;
	descent->slot[r] = NO_SLOT;
	for (int32 i = 0; i < AR_LINKS_COUNT(map->below, r); i++)
	{
		RevisionIndex below = AR_LINKS_ITEM(map->below, r, i);

		if (--descent->needed[below] == 0 && is_pending(descent, below) && !descent->set[below])
			let_go(descent, below);
		if (!is_pending_member(descent, below) || descent->slot[below] != NO_SLOT)
			continue;
		if (moved)
			append_slot(descent, below);
		else
		{
			descent->at[slot] = below;
			descent->slot[below] = slot;
			moved = true;
		}
	}
	return moved ? slot : remove_slot(descent, slot);
}

/*
 * Nothing above needs r any more, which is between members.
 */
static void
let_go(Descent *descent, RevisionIndex r)
{
	const RevisionMap *map = descent->map;
	RevisionIndex *stack = descent->down.stack;
	int32		depth = 0;

	stack[depth++] = r;
	while (depth > 0)
	{
		r = stack[--depth];
		descent->listed[r] = true;
		for (int32 i = 0; i < AR_LINKS_COUNT(map->below, r); i++)
		{
			RevisionIndex below = AR_LINKS_ITEM(map->below, r, i);

			if (--descent->needed[below] == 0 && is_pending(descent, below) && !descent->set[below])
				stack[depth++] = below;
		}
	}
}

/*
 * The first slot of the list from which r can be reached, other than its own.
 * Reached is what is on the line of first parents, or below something that
 * is; a search needs to come only as far as that.
 */
static int32
first_slot_above(Descent *descent, RevisionIndex r)
{
	const RevisionMap *map = descent->map;
	int32		number = ++descent->search_count;
	int32		candidate = first_candidate(descent, r, NO_SLOT);
	int32		found = NO_SLOT;

	descent->down.depth = descent->up.depth = 0;
	push(&descent->up, number, r);
	while (descent->up.depth > 0 && candidate != found)
	{
		RevisionIndex at = descent->up.stack[--descent->up.depth];

		/* one step up: collect the slots that lead here */
		for (int32 i = 0; i < AR_LINKS_COUNT(map->dependents, at); i++)
		{
			RevisionIndex above = AR_LINKS_ITEM(map->dependents, at, i);

			if (!is_pending(descent, above) || descent->up.seen[above] == number)
				continue;
			push(&descent->up, number, above);
			if (candidate != NO_SLOT && ar_revision_on_line(map, above, descent->at[candidate]))
				found = candidate;
			if (descent->slot[above] != NO_SLOT &&
				(found == NO_SLOT || descent->slot[above] < found))
				found = descent->slot[above];
		}

		/* one step down, from one slot after the other */
		while (descent->down.depth == 0 && candidate != NO_SLOT)
		{
			RevisionIndex head = descent->at[candidate];

			if (ar_revision_on_line(map, r, head))
				found = candidate;
			if (candidate == found)
				break;
			if (descent->down.seen[head] != number)
				push(&descent->down, number, head);
			else
				candidate = first_candidate(descent, r, candidate);
		}
		if (candidate == found || descent->down.depth == 0)
			continue;
		at = descent->down.stack[--descent->down.depth];
		for (int32 i = 0; i < AR_LINKS_COUNT(map->below, at); i++)
		{
			RevisionIndex below = AR_LINKS_ITEM(map->below, at, i);

			if (is_pending(descent, below) && ar_revision_on_line(map, r, below))
			{
				found = candidate;
				break;
			}
			if (is_pending(descent, below) && descent->down.seen[below] != number &&
				map->generation[below] > map->generation[r])
				push(&descent->down, number, below);
		}
		if (descent->down.depth == 0 && candidate != found)
			candidate = first_candidate(descent, r, candidate);
	}
	/* only what no head leads to can be needed by nothing pending */
	if (found == NO_SLOT)
		found = append_slot(descent, top_above(descent, r));
	return found;
}

/*
 * The first slot after "slot" that can lead to r at all; after NO_SLOT, of the
 * list.
 */
static int32
first_candidate(const Descent *descent, RevisionIndex r, int32 slot)
{
	const RevisionMap *map = descent->map;

	slot = slot == NO_SLOT ? descent->first : descent->next[slot];
	while (slot != NO_SLOT &&
		   map->generation[descent->at[slot]] <= map->generation[r])
		slot = descent->next[slot];
	return slot;
}

static bool
is_pending(const Descent *descent, RevisionIndex r)
{
	return (descent->between ? descent->between[r] : descent->set[r]) && !descent->listed[r];
}

static bool
is_pending_member(const Descent *descent, RevisionIndex r)
{
	return descent->set[r] && !descent->listed[r];
}

static void
push(Search *search, int32 number, RevisionIndex r)
{
	search->seen[r] = number;
	search->stack[search->depth++] = r;
}

/*
 * A pending member from which r can be reached and which nothing pending is
 * above of; r itself if it is one.
 */
static RevisionIndex
top_above(Descent *descent, RevisionIndex r)
{
	const RevisionLinks *up = &descent->map->dependents;
	bool		higher = true;

	while (higher)
	{
		higher = false;
		for (int32 i = 0; i < AR_LINKS_COUNT(*up, r) && !higher; i++)
		{
			RevisionIndex above = AR_LINKS_ITEM(*up, r, i);

			if (is_pending(descent, above))
			{
				r = above;
				higher = true;
			}
		}
	}
	return r;
}
