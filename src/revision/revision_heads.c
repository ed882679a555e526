/*
 * revision_heads.c: the version rows while a plan is carried out.
 *
 * The version rows are the tips of what is applied: with A = closure(rows), a
 * member of A is a row if nothing else in A stands on it.  A step changes
 * little of that, so it is counted how many members of A stand directly on
 * each revision, and only what is right below the step is looked at.
 */
#include "postgres.h"

#include "revision/revision.h"

#define NO_PLACE (-1)

/* A list that grows. */
typedef struct RevisionArray
{
	int32		count;
	int32		room;
	RevisionIndex *item;
} RevisionArray;

struct RevisionHeadsState
{
	int32	   *standing;		/* members of A directly above; not for stamps */
	int32	   *place;			/* of a row in "row", or NO_PLACE */
	RevisionArray row;
	RevisionArray taken;		/* to be taken away with the first step */
	RevisionArray removed;
	RevisionArray added;
};

static void make(RevisionArray *array);
static void add(RevisionArray *array, RevisionIndex r);
static void begin_run(RevisionHeads *heads);
static void advance_run(RevisionHeads *heads, RevisionIndex r);
static void advance_stamp(RevisionHeads *heads, RevisionIndex r);
static void stand_on(RevisionHeads *heads, RevisionIndex r, int change);
static void keep_rows(struct RevisionHeadsState *state);
static void replace_rows(struct RevisionHeadsState *state);
static void put_row(struct RevisionHeadsState *state, int32 place, RevisionIndex r);
static void close_gaps(struct RevisionHeadsState *state);
static int	compare_int32(const void *a, const void *b);

/*
 * Begin to carry out a plan: "row" holds the rows before the first step.
 */
RevisionHeads *
ar_revision_heads_begin(const RevisionPlan *plan)
{
	RevisionHeads *heads = palloc0(sizeof(RevisionHeads));
	struct RevisionHeadsState *state = palloc0(sizeof(struct RevisionHeadsState));
	Size		size = Max(plan->map->count, 1) * sizeof(int32);

	heads->plan = plan;
	heads->state = state;
	/* here, because the arrays have to outlive what a step allocates */
	make(&state->row);
	make(&state->taken);
	make(&state->removed);
	make(&state->added);
	state->place = palloc_extended(size, MCXT_ALLOC_HUGE);
	memset(state->place, 0xff, size);
	for (int32 i = 0; i < plan->row_count; i++)
	{
		state->place[plan->row[i]] = i;
		add(&state->row, plan->row[i]);
	}
	for (int32 i = 0; i < plan->taken_count; i++)
		add(&state->taken, plan->taken[i]);
	if (plan->direction != AR_STAMP)
		begin_run(heads);
	heads->row = state->row.item;
	heads->row_count = state->row.count;
	return heads;
}

/*
 * Carry out the next step: "row" holds the rows after it, "removed" and
 * "added" what it changed.  The first of "added" takes the place of the first
 * of "removed", and so on; what is removed comes in the order of the rows.
 */
void
ar_revision_heads_advance(RevisionHeads *heads)
{
	struct RevisionHeadsState *state = heads->state;
	RevisionIndex r = heads->plan->step[heads->next_step++];

	state->added.count = 0;
	state->removed.count = 0;
	for (int32 i = 0; i < state->taken.count; i++)
		add(&state->removed, state->taken.item[i]);
	state->taken.count = 0;
	if (heads->plan->direction == AR_STAMP)
		advance_stamp(heads, r);
	else
		advance_run(heads, r);
	keep_rows(state);
	replace_rows(state);
	heads->row = state->row.item;
	heads->row_count = state->row.count;
	heads->removed = state->removed.item;
	heads->removed_count = state->removed.count;
	heads->added = state->added.item;
	heads->added_count = state->added.count;
}

static void
make(RevisionArray *array)
{
	array->room = 8;
	array->item = palloc_array(RevisionIndex, array->room);
}

static void
add(RevisionArray *array, RevisionIndex r)
{
	if (array->count == array->room)
		array->item = repalloc_huge(array->item, (array->room *= 2) * sizeof(RevisionIndex));
	array->item[array->count++] = r;
}

/*
 * Count what stands on what; rows that others imply are none.
 */
static void
begin_run(RevisionHeads *heads)
{
	const RevisionPlan *plan = heads->plan;
	const RevisionMap *map = plan->map;
	bool	   *applied = ar_revision_closure(map, plan->row, plan->row_count);

	heads->state->standing = palloc_extended(Max(map->count, 1) * sizeof(int32),
											 MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	for (RevisionIndex r = 0; r < map->count; r++)
		if (applied[r])
			stand_on(heads, r, 1);
	for (int32 i = 0; i < plan->row_count; i++)
		if (heads->state->standing[plan->row[i]] > 0)
			add(&heads->state->taken, plan->row[i]);
	pfree(applied);
}

/*
 * An upgrade takes away the rows that it stands on; a downgrade brings back
 * those on which nothing stands any more.
 */
static void
advance_run(RevisionHeads *heads, RevisionIndex r)
{
	const RevisionMap *map = heads->plan->map;
	struct RevisionHeadsState *state = heads->state;
	bool		up = heads->plan->direction == AR_UPGRADE;

	add(up ? &state->added : &state->removed, r);
	stand_on(heads, r, up ? 1 : -1);
	for (int32 i = 0; i < AR_LINKS_COUNT(map->below, r); i++)
	{
		RevisionIndex below = AR_LINKS_ITEM(map->below, r, i);

		if (state->standing[below] == (up ? 1 : 0))
			add(up ? &state->removed : &state->added, below);
	}
}

static void
advance_stamp(RevisionHeads *heads, RevisionIndex r)
{
	struct RevisionHeadsState *state = heads->state;

	if (heads->plan->to_base)
		add(&state->removed, r);
	else if (state->place[r] == NO_PLACE)
		add(&state->added, r);
}

static void
stand_on(RevisionHeads *heads, RevisionIndex r, int change)
{
	const RevisionMap *map = heads->plan->map;

	for (int32 i = 0; i < AR_LINKS_COUNT(map->below, r); i++)
		heads->state->standing[AR_LINKS_ITEM(map->below, r, i)] += change;
}

/*
 * A row that was to be taken away, and is one again by the same step, stays.
 */
static void
keep_rows(struct RevisionHeadsState *state)
{
	RevisionArray *removed = &state->removed;
	RevisionArray *added = &state->added;
	int32		kept = 0;

	for (int32 i = 0; i < added->count; i++)
	{
		if (state->place[added->item[i]] == NO_PLACE)
		{
			added->item[kept++] = added->item[i];
			continue;
		}
		for (int32 j = 0; j < removed->count; j++)
		{
			if (removed->item[j] != added->item[i])
				continue;
			removed->item[j] = removed->item[--removed->count];
			break;
		}
	}
	added->count = kept;
}

/*
 * Bring "row" up to date.
 */
static void
replace_rows(struct RevisionHeadsState *state)
{
	RevisionArray *removed = &state->removed;
	RevisionArray *added = &state->added;
	int32		paired = Min(removed->count, added->count);

	/* in the order of the rows: sort the places, then look up who is there */
	for (int32 i = 0; i < removed->count; i++)
		removed->item[i] = state->place[removed->item[i]];
	qsort(removed->item, removed->count, sizeof(int32), compare_int32);
	for (int32 i = 0; i < removed->count; i++)
	{
		int32		place = removed->item[i];

		removed->item[i] = state->row.item[place];
		state->place[removed->item[i]] = NO_PLACE;
		state->row.item[place] = AR_BASE;
		if (i < paired)
			put_row(state, place, added->item[i]);
	}
	if (paired < removed->count)
		close_gaps(state);
	for (int32 i = paired; i < added->count; i++)
	{
		add(&state->row, added->item[i]);
		put_row(state, state->row.count - 1, added->item[i]);
	}
}

static void
put_row(struct RevisionHeadsState *state, int32 place, RevisionIndex r)
{
	state->row.item[place] = r;
	state->place[r] = place;
}

static void
close_gaps(struct RevisionHeadsState *state)
{
	int32		kept = 0;

	for (int32 i = 0; i < state->row.count; i++)
		if (state->row.item[i] != AR_BASE)
			put_row(state, kept++, state->row.item[i]);
	state->row.count = kept;
}

static int
compare_int32(const void *a, const void *b)
{
	int32		left = *(const int32 *) a;
	int32		right = *(const int32 *) b;

	return left < right ? -1 : left > right;
}
