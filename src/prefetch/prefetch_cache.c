/*
 * prefetch_cache.c: plans that are kept for the session.
 *
 * They are good as long as the same texts would lead to the same plan: no table
 * that they looked at has changed, their names mean the same tables, and the
 * role, search_path and the settings by which literals are read are what they
 * were.  A plan whose texts have a literal like 'now' is not kept.  A plan in
 * use is pinned: made stale meanwhile, it goes when its last user does.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "miscadmin.h"
#include "parser/parser.h"
#include "prefetch/prefetch.h"
#include "storage/lmgr.h"
#include "utils/memutils.h"
#include "utils/rls.h"

#define CACHED_PLANS 64

static PrefetchPlan *plans = NULL;
static int	plan_count = 0;

static PrefetchPlan *find_plan(const char *query, int path_count, char **paths);
static bool matches(const PrefetchPlan *plan, const char *query, int path_count, char **paths);
static bool is_current(const PrefetchPlan *plan);
static PlanSettings current_settings(void);
static bool same_settings(const PlanSettings *one, const PlanSettings *other);
static bool names_are_current(const PrefetchPlan *plan);
static void drop_plan(PrefetchPlan *plan);
static void drop_oldest(void);
static PrefetchPlan *make_plan(const char *query, int path_count, char **paths);

/*
 * The plan for a query and paths, pinned; ar_prefetch_unpin() is to follow.
 */
PrefetchPlan *
ar_prefetch_plan(const char *query, int path_count, char **paths)
{
	PrefetchPlan *plan = find_plan(query, path_count, paths);

	if (plan)
	{
		ListCell   *cell;

		/*
		 * The locks make what has changed known.
		 */
		plan->pins++;
		foreach(cell, plan->tables)
			LockRelationOid(lfirst_oid(cell), AccessShareLock);
		if (is_current(plan))
			return plan;
		ar_prefetch_unpin(plan);
	}
	for (;;)
	{
		plan = make_plan(query, path_count, paths);
		if (plan->generation == ar_relationship_generation())
			break;
		drop_plan(plan);
		CHECK_FOR_INTERRUPTS();
	}
	plan->pins++;
	if (plan->reads_clock)
	{
		plan->stale = true;
		return plan;
	}
	if (plan_count >= CACHED_PLANS)
		drop_oldest();
	plan->next = plans;
	plans = plan;
	plan_count++;
	return plan;
}

void
ar_prefetch_unpin(PrefetchPlan *plan)
{
	Assert(plan->pins > 0);
	if (--plan->pins == 0 && plan->stale)
		drop_plan(plan);
}

/*
 * Find a plan, and get rid of those that have become stale on the way.
 */
static PrefetchPlan *
find_plan(const char *query, int path_count, char **paths)
{
	PrefetchPlan **link = &plans;

	while (*link)
	{
		PrefetchPlan *plan = *link;

		if (plan->generation != ar_relationship_generation())
		{
			*link = plan->next;
			plan_count--;
			plan->stale = true;
			if (plan->pins == 0)
				drop_plan(plan);
			continue;
		}
		if (matches(plan, query, path_count, paths) && is_current(plan))
		{
			/* the last one used comes first */
			*link = plan->next;
			plan->next = plans;
			plans = plan;
			return plan;
		}
		link = &plan->next;
	}
	return NULL;
}

static bool
matches(const PrefetchPlan *plan, const char *query, int path_count, char **paths)
{
	if (plan->path_count != path_count || strcmp(plan->query, query) != 0)
		return false;
	for (int i = 0; i < path_count; i++)
	{
		if (strcmp(plan->paths[i], paths[i]) != 0)
			return false;
	}
	return true;
}

/*
 * The server notices by itself what else its plans depend on, as functions.
 */
static bool
is_current(const PrefetchPlan *plan)
{
	PlanSettings settings = current_settings();

	return !plan->stale && plan->generation == ar_relationship_generation() &&
		plan->user == GetUserId() && strcmp(plan->search_path, namespace_search_path) == 0 &&
		same_settings(&plan->settings, &settings) &&
		CachedPlanIsValid(plan->top_statement->source) && names_are_current(plan);
}

static PlanSettings
current_settings(void)
{
	PlanSettings settings;

	settings.row_security = row_security;
	settings.standard_conforming_strings = standard_conforming_strings;
	settings.date_style = DateStyle;
	settings.date_order = DateOrder;
	settings.interval_style = IntervalStyle;
	settings.time_zone = session_timezone;
	return settings;
}

static bool
same_settings(const PlanSettings *one, const PlanSettings *other)
{
	return one->row_security == other->row_security &&
		one->standard_conforming_strings == other->standard_conforming_strings &&
		one->date_style == other->date_style && one->date_order == other->date_order &&
		one->interval_style == other->interval_style && one->time_zone == other->time_zone;
}

/*
 * A table that has been created since may stand in the way of another one of
 * the same name.
 */
static bool
names_are_current(const PrefetchPlan *plan)
{
	ListCell   *name_cell;
	ListCell   *table_cell;

	forboth(name_cell, plan->names, table_cell, plan->named_tables)
	{
		if (RelnameGetRelid(lfirst(name_cell)) != lfirst_oid(table_cell))
			return false;
	}
	return true;
}

static void
drop_plan(PrefetchPlan *plan)
{
	ListCell   *cell;

	foreach(cell, plan->statements)
		ar_prefetch_forget(lfirst(cell));
	MemoryContextDelete(plan->context);
}

static void
drop_oldest(void)
{
	PrefetchPlan **link = &plans;
	PrefetchPlan *plan;

	while ((*link)->next)
		link = &(*link)->next;
	plan = *link;
	*link = NULL;
	plan_count--;
	plan->stale = true;
	if (plan->pins == 0)
		drop_plan(plan);
}

/*
 * Make a plan; on an error its memory goes with the caller's.
 */
static PrefetchPlan *
make_plan(const char *query, int path_count, char **paths)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "algo_ref prefetch plan",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	PrefetchPlan *plan = palloc0(sizeof(PrefetchPlan));

	plan->context = context;
	plan->generation = ar_relationship_generation();
	plan->user = GetUserId();
	plan->settings = current_settings();
	plan->search_path = pstrdup(namespace_search_path);
	plan->query = pstrdup(query);
	plan->path_count = path_count;
	plan->paths = palloc(sizeof(char *) * Max(path_count, 1));
	for (int i = 0; i < path_count; i++)
		plan->paths[i] = pstrdup(paths[i]);
	ar_prefetch_build_tree(plan);
	PG_TRY();
	{
		ar_prefetch_plan_query(plan);
	}
	PG_CATCH();
	{
		ListCell   *cell;

		/* what the plan cache keeps outlives memory contexts */
		foreach(cell, plan->statements)
			ar_prefetch_forget(lfirst(cell));
		PG_RE_THROW();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(old);
	MemoryContextSetParent(context, CacheMemoryContext);
	return plan;
}
