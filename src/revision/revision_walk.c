/*
 * revision_walk.c: sets of revisions that hang together, and walks of so many
 * steps.  Sets are arrays of bool, one for each revision of the map; every
 * walk is linear in revisions and edges.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "revision/revision.h"

static char *step_count(int64 steps);
static void spread(const RevisionMap *map, const RevisionLinks *links, bool *set,
				   const RevisionIndex *from, int32 count);

/*
 * What is applied when "from" are the version rows: they, and everything
 * reachable through "below".
 */
bool *
ar_revision_closure(const RevisionMap *map, const RevisionIndex *from, int32 count)
{
	bool	   *set = ar_revision_empty_set(map);

	spread(map, &map->below, set, from, count);
	return set;
}

/*
 * "from", and everything that revises or depends on it, at any distance.
 */
bool *
ar_revision_dependents_of(const RevisionMap *map, const RevisionIndex *from, int32 count)
{
	bool	   *set = ar_revision_empty_set(map);

	spread(map, &map->dependents, set, from, count);
	return set;
}

/*
 * r and its ancestors along the parents.
 */
bool *
ar_revision_ancestors(const RevisionMap *map, RevisionIndex r)
{
	bool	   *set = ar_revision_empty_set(map);

	spread(map, &map->revises, set, &r, 1);
	return set;
}

/*
 * r and its descendants along the children.
 */
bool *
ar_revision_descendants(const RevisionMap *map, const RevisionIndex *from, int32 count)
{
	bool	   *set = ar_revision_empty_set(map);

	spread(map, &map->children, set, from, count);
	return set;
}

/*
 * r, its ancestors and its descendants; dependencies do not count.
 */
bool *
ar_revision_lineage(const RevisionMap *map, RevisionIndex r)
{
	bool	   *up = ar_revision_descendants(map, &r, 1);
	bool	   *down = ar_revision_ancestors(map, r);

	return ar_revision_add_set(map, up, down);
}

/*
 * r, and everything above and below it on any path, dependencies included.
 */
bool *
ar_revision_kin(const RevisionMap *map, RevisionIndex r)
{
	bool	   *up = ar_revision_dependents_of(map, &r, 1);
	bool	   *down = ar_revision_closure(map, &r, 1);

	return ar_revision_add_set(map, up, down);
}

/*
 * Who carries the labels of "owner": it and its descendants; and, if these are
 * a plain line, its ancestors as far as the line goes on.
 */
bool *
ar_revision_label_spread(const RevisionMap *map, RevisionIndex owner)
{
	bool	   *set = ar_revision_descendants(map, &owner, 1);
	bool		is_line = true;
	RevisionIndex r;

	for (r = 0; r < map->count && is_line; r++)
		is_line = !set[r] || (AR_LINKS_COUNT(map->dependents, r) <= 1 &&
							  AR_LINKS_COUNT(map->revises, r) <= 1);
	r = owner;
	while (is_line && AR_LINKS_COUNT(map->revises, r) == 1)
	{
		r = AR_LINKS_ITEM(map->revises, r, 0);
		if (AR_LINKS_COUNT(map->dependents, r) > 1 || AR_LINKS_COUNT(map->revises, r) > 1)
			break;
		set[r] = true;
	}
	return set;
}

/*
 * Who carries a label, given as it is written; nobody if it is none.
 */
bool *
ar_revision_label_carriers(const RevisionMap *map, const char *label)
{
	RevisionIndex owner = ar_revision_map_find(map, label);

	if (owner == AR_BASE || strcmp(map->revision[owner].id, label) == 0)
		return ar_revision_empty_set(map);
	return ar_revision_label_spread(map, owner);
}

bool *
ar_revision_empty_set(const RevisionMap *map)
{
	return palloc_extended(Max(map->count, 1) * sizeof(bool), MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
}

/*
 * Add "more" to "set", and free it.
 */
bool *
ar_revision_add_set(const RevisionMap *map, bool *set, bool *more)
{
	for (RevisionIndex r = 0; r < map->count; r++)
		set[r] |= more[r];
	pfree(more);
	return set;
}

/*
 * "steps" steps from "start", which may be AR_BASE: up along the children if
 * positive, down along the parents if negative.  With a "lineage", steps up
 * stay in it.  "clip" stops where there is no way on; otherwise that is an
 * error, and so is a place with more than one way on (55000).
 */
RevisionIndex
ar_revision_walk(const RevisionMap *map, RevisionIndex start, int64 steps,
				 const bool *lineage, bool clip)
{
	RevisionIndex here = start;
	const char *direction = steps > 0 ? "up" : "down";
	int64		left = steps > 0 ? steps : -steps;
	RevisionIndex *bases = NULL;
	int32		base_count = 0;

	if (start == AR_BASE && steps > 0)
		bases = ar_revision_bases(map, &base_count);
	for (; left > 0; left--)
	{
		const RevisionIndex *way;
		int32		count;
		List	   *open = NIL;

		CHECK_FOR_INTERRUPTS();
		if (here == AR_BASE)
		{
			way = bases;
			count = steps > 0 ? base_count : 0;
		}
		else
		{
			const RevisionLinks *links = steps > 0 ? &map->children : &map->revises;

			way = links->item + links->first[here];
			count = AR_LINKS_COUNT(*links, here);
			if (steps < 0 && count == 0)
			{
				here = AR_BASE;
				continue;
			}
		}
		for (int32 i = 0; i < count; i++)
		{
			if (lineage && steps > 0 && !lineage[way[i]])
				continue;
			open = lappend_int(open, way[i]);
		}
		if (list_length(open) == 1)
		{
			here = linitial_int(open);
			list_free(open);
			continue;
		}
		if (open != NIL)
			ereport(ERROR,
					errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					errmsg("cannot walk %s %s from %s: the way is ambiguous",
						   step_count(steps), direction, ar_revision_place(map, start)),
					errdetail("From %s it goes to %s.", ar_revision_place(map, here),
							  ar_revision_list_names(map, open)),
					steps > 0 ? errhint("Name the revision to go to, or the branch to stay on, as in branch@+1.") :
					errhint("Name the revision to go to."));
		if (clip)
			break;
		ereport(ERROR,
				errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				errmsg("cannot walk %s %s from %s",
					   step_count(steps), direction, ar_revision_place(map, start)),
				errdetail("The way ends at %s, after %s.", ar_revision_place(map, here),
						  step_count((steps > 0 ? steps : -steps) - left)),
				errhint("algo_ref.history() lists the known revisions."));
	}
	return here;
}

/*
 * All bases, in load order.
 */
RevisionIndex *
ar_revision_bases(const RevisionMap *map, int32 *count)
{
	RevisionIndex *bases = palloc_extended(Max(map->count, 1) * sizeof(RevisionIndex), MCXT_ALLOC_HUGE);

	*count = 0;
	for (RevisionIndex r = 0; r < map->count; r++)
		if (AR_LINKS_COUNT(map->revises, r) == 0)
			bases[(*count)++] = r;
	return bases;
}

/*
 * A place of a walk, for a message.
 */
char *
ar_revision_place(const RevisionMap *map, RevisionIndex r)
{
	return r == AR_BASE ? pstrdup("the base") : psprintf("revision \"%s\"", map->revision[r].id);
}

/*
 * "1 step", "2 steps"; for a message.
 */
static char *
step_count(int64 steps)
{
	int64		count = steps < 0 ? -steps : steps;

	return psprintf(INT64_FORMAT " step%s", count, count == 1 ? "" : "s");
}

static void
spread(const RevisionMap *map, const RevisionLinks *links, bool *set,
	   const RevisionIndex *from, int32 count)
{
	RevisionIndex *stack = palloc_extended((map->count + count + 1) * sizeof(RevisionIndex), MCXT_ALLOC_HUGE);
	int32		depth = 0;

	for (int32 i = 0; i < count; i++)
	{
		if (!set[from[i]])
			stack[depth++] = from[i];
		set[from[i]] = true;
	}
	while (depth > 0)
	{
		RevisionIndex r = stack[--depth];

		CHECK_FOR_INTERRUPTS();
		for (int32 i = 0; i < AR_LINKS_COUNT(*links, r); i++)
		{
			RevisionIndex next = AR_LINKS_ITEM(*links, r, i);

			if (!set[next])
				stack[depth++] = next;
			set[next] = true;
		}
	}
	pfree(stack);
}
