/*
 * revision_plan.c: from version rows and a target to ordered steps.
 *
 * Source of the rules: Alembic, alembic.script.revision and
 * alembic.runtime.migration.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "revision/revision.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

static char *expand_end(const RevisionMap *map, char *end, List *current);
static List *effective_heads(const RevisionMap *map, const char *branch);
static void take_rows(RevisionPlan *plan, List *rows);
static void plan_upgrade(RevisionPlan *plan, const char *target);
static List *upgrade_goals(const RevisionPlan *plan, const char *target, bool clip);
static RevisionIndex relative_goal(const RevisionPlan *plan, const RevisionIdentifier *identifier, bool clip);
static RevisionIndex upgrade_start(const RevisionPlan *plan, const char *branch, const bool *lineage);
static RevisionIndex symbol_goal(const RevisionMap *map, const RevisionIdentifier *identifier, bool clip);
static RevisionIndex resolve_symbol_one(const RevisionMap *map, const RevisionIdentifier *identifier);
static void check_overlap(const RevisionMap *map, List *goals);
static void plan_downgrade(RevisionPlan *plan, const char *target);
static RevisionIndex downgrade_goal(const RevisionPlan *plan, const char *target, RevisionIndex *branch,
									const char **branch_name);
static RevisionIndex downgrade_start(const RevisionPlan *plan, const char *branch);
static RevisionIndex *downgrade_roots(const RevisionMap *map, RevisionIndex goal, RevisionIndex branch,
									  const char *branch_name, int32 *count);
static void plan_stamp(RevisionPlan *plan, const char *target);
static void stamp_base(RevisionPlan *plan, const bool *kin);
static List *applied_tips(const RevisionPlan *plan, const bool *lineage);
static bool *set_below(const RevisionMap *map, const RevisionIndex *revisions, int32 count);
static RevisionIndex *list_array(List *revisions);
static bool *set_of(const RevisionMap *map, const RevisionIndex *revisions, int32 count);

/*
 * Plan a run from "rows" (ids, in order) to "target".  The plan belongs to the
 * current memory context and refers to the map.
 *
 * Raises 22023 for what is no identifier, 42704 for unknown revisions and
 * branches, 55000 for what cannot be done from these rows.
 */
RevisionPlan *
ar_revision_plan(const RevisionMap *map, RevisionDirection direction,
				 const char *target, List *rows)
{
	RevisionPlan *plan = palloc0(sizeof(RevisionPlan));

	plan->map = map;
	plan->direction = direction;
	take_rows(plan, rows);
	switch (direction)
	{
		case AR_UPGRADE:
			plan_upgrade(plan, target);
			break;
		case AR_DOWNGRADE:
			plan_downgrade(plan, target);
			break;
		case AR_STAMP:
			plan_stamp(plan, target);
			break;
	}
	return plan;
}

const char *
ar_revision_direction_name(RevisionDirection direction)
{
	switch (direction)
	{
		case AR_UPGRADE:
			return "upgrade";
		case AR_DOWNGRADE:
			return "downgrade";
		case AR_STAMP:
			return "stamp";
	}
	return NULL;
}

/*
 * Is "current" what is named, or an end of the range?
 */
bool
ar_revision_names_current(const char *range)
{
	const char *colon = strchr(range, ':');

	if (colon == NULL)
		return strcmp(range, "current") == 0;
	return strncmp(range, "current:", 8) == 0 || strcmp(colon + 1, "current") == 0;
}

/*
 * A range in which "current" stands for the current revisions.
 */
char *
ar_revision_range_expand(const RevisionMap *map, const char *range, List *current)
{
	char	   *start = pstrdup(range);
	char	   *end = strchr(start, ':');

	if (end == NULL || strchr(end + 1, ':'))
		return start;
	*end++ = '\0';
	return psprintf("%s:%s", expand_end(map, start, current), expand_end(map, end, current));
}

static char *
expand_end(const RevisionMap *map, char *end, List *current)
{
	if (strcmp(end, "current") != 0)
		return end;
	if (list_length(current) > 1)
		ar_revision_refuse_several(map, end, current);
	return current == NIL ? pstrdup("base") : pstrdup(map->revision[linitial_int(current)].id);
}

/*
 * The revisions of a range "start:end", newest first, a list of RevisionIndex.
 */
List *
ar_revision_history(const RevisionMap *map, const char *range)
{
	RevisionPlan plan = {.map = map,.direction = AR_UPGRADE};
	char	   *start = pstrdup(range ? range : ":");
	char	   *end = strchr(start, ':');
	List	   *starts;
	List	   *ends;
	bool	   *set;
	bool	   *head_set;
	List	   *result = NIL;
	RevisionIndex *order;
	int32		count;
	char	   *branch;
	bool	   *between = NULL;

	if (end == NULL || strchr(end + 1, ':'))
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("invalid range of revisions \"%s\"", ar_revision_excerpt(range)),
				errdetail("A range has one colon: start:end, either of which may be left out."));
	*end++ = '\0';
	branch = strchr(start, '@') ? pnstrdup(start, strchr(start, '@') - start) : NULL;
	starts = start[0] ? ar_revision_resolve(map, start) : NIL;
	plan.row = list_array(starts);
	plan.row_count = list_length(starts);
	check_overlap(map, starts);
	ends = upgrade_goals(&plan, end[0] ? end : "heads", true);
	if (branch)
		ends = ar_revision_filter_branch(map, ends, branch);
	if (branch && ends == NIL && starts == NIL && (end[0] == '\0' || strcmp(end, "heads") == 0))
		ends = effective_heads(map, branch);
	check_overlap(map, ends);

	head_set = set_of(map, list_array(ends), list_length(ends));
	set = ar_revision_closure(map, list_array(ends), list_length(ends));
	for (int32 i = 0; i < plan.row_count; i++)
		if (!set[plan.row[i]])
			ereport(ERROR,
					errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					errmsg("the ends of range \"%s\" do not lie on one path", range),
					errdetail("Revision \"%s\" is not below %s.", map->revision[plan.row[i]].id,
							  ends == NIL ? "the base" : ar_revision_list_names(map, ends)),
					errhint("The older end comes first."));
	if (plan.row_count > 0)
	{
		bool	   *below = ar_revision_closure(map, plan.row, plan.row_count);
		bool	   *above = ar_revision_descendants(map, plan.row, plan.row_count);

		/* dependencies may lead out of the set and back into it */
		between = ar_revision_empty_set(map);
		for (RevisionIndex r = 0; r < map->count; r++)
		{
			between[r] = set[r];
			set[r] = set[r] && !below[r] && above[r];
		}
		for (int32 i = 0; i < plan.row_count; i++)
			set[plan.row[i]] = true;
	}
	order = ar_revision_descend(map, set, head_set, between, &count);
	for (int32 i = 0; i < count; i++)
		result = lappend_int(result, order[i]);
	return result;
}

/*
 * Those of "revisions" that carry the label; "branch" may be an id in full
 * instead, whose only label is meant then.
 */
List *
ar_revision_filter_branch(const RevisionMap *map, List *revisions, const char *branch)
{
	RevisionIndex owner = ar_revision_map_find(map, branch);
	const char *label = NULL;
	int32		found = 0;
	bool	   *carriers;
	List	   *result = NIL;
	ListCell   *cell;

	if (owner == AR_BASE || strcmp(map->revision[owner].id, branch) != 0)
		carriers = ar_revision_label_carriers(map, branch);
	else
	{
		for (int32 i = 0; i < map->label_count; i++)
		{
			if (!ar_revision_label_carriers(map, map->label[i])[owner])
				continue;
			label = map->label[i];
			found++;
		}
		if (found != 1)
			ereport(ERROR,
					errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					errmsg("revision \"%s\" does not stand for one branch label", map->revision[owner].id),
					found == 0 ? errdetail("It carries no label.") :
					errdetail("It carries several labels."),
					errhint("Name the branch by its label."));
		carriers = ar_revision_label_carriers(map, label);
	}
	foreach(cell, revisions)
		if (carriers[lfirst_int(cell)])
		result = lappend_int(result, lfirst_int(cell));
	return result;
}

/*
 * The heads of a branch all of whose heads are effective ones, without those
 * that another one implies.
 */
static List *
effective_heads(const RevisionMap *map, const char *branch)
{
	List	   *heads = NIL;
	List	   *result = NIL;
	bool	   *below;
	ListCell   *cell;

	for (RevisionIndex r = 0; r < map->count; r++)
		if (ar_revision_is_head(map, r))
			heads = lappend_int(heads, r);
	heads = ar_revision_filter_branch(map, heads, branch);
	below = set_below(map, list_array(heads), list_length(heads));
	foreach(cell, heads)
		if (!below[lfirst_int(cell)])
		result = lappend_int(result, lfirst_int(cell));
	return result;
}

/*
 * Of what is applied with these rows, what has no applied child: the rows
 * themselves, and the effective heads among them.  A list, in load order.
 */
List *
ar_revision_current(const RevisionMap *map, List *rows)
{
	RevisionPlan plan = {.map = map};

	take_rows(&plan, rows);
	return applied_tips(&plan, NULL);
}

static void
take_rows(RevisionPlan *plan, List *rows)
{
	bool	   *seen = ar_revision_empty_set(plan->map);
	ListCell   *cell;

	plan->row = palloc(Max(list_length(rows), 1) * sizeof(RevisionIndex));
	foreach(cell, rows)
	{
		const char *id = lfirst(cell);
		RevisionIndex r = ar_revision_map_find(plan->map, id);

		if (r == AR_BASE || strcmp(plan->map->revision[r].id, id) != 0)
			ereport(ERROR,
					errcode(ERRCODE_UNDEFINED_OBJECT),
					errmsg("revision \"%s\" does not exist", ar_revision_excerpt(id)),
					errdetail("It is one of the current heads, but no script is registered for it."),
					errhint("Register its script; or, if it is gone for good, use algo_ref.stamp() with purge => true."));
		if (seen[r])
			continue;
		seen[r] = true;
		plan->row[plan->row_count++] = r;
	}
	pfree(seen);
}

static void
plan_upgrade(RevisionPlan *plan, const char *target)
{
	const RevisionMap *map = plan->map;
	List	   *goals = upgrade_goals(plan, target, false);
	RevisionIndex *goal = list_array(goals);
	bool	   *set;
	bool	   *applied;
	RevisionIndex *order;

	check_overlap(map, goals);
	set = ar_revision_closure(map, goal, list_length(goals));
	applied = ar_revision_closure(map, plan->row, plan->row_count);
	for (RevisionIndex r = 0; r < map->count; r++)
		set[r] &= !applied[r];
	order = ar_revision_descend(map, set, set_of(map, goal, list_length(goals)), NULL, &plan->count);
	plan->step = palloc_extended(Max(plan->count, 1) * sizeof(RevisionIndex), MCXT_ALLOC_HUGE);
	for (int32 i = 0; i < plan->count; i++)
		plan->step[i] = order[plan->count - 1 - i];
	pfree(order);
	pfree(set);
	pfree(applied);
}

/*
 * Where an upgrade goes, a list.  "clip" is for history: a walk that has no
 * way on stops.
 */
static List *
upgrade_goals(const RevisionPlan *plan, const char *target, bool clip)
{
	List	   *goals = NIL;
	ListCell   *cell;

	foreach(cell, ar_revision_split(target))
	{
		RevisionIdentifier *identifier = ar_revision_identifier_parse(lfirst(cell));
		RevisionIndex goal;

		if (!identifier->is_relative)
		{
			goals = list_concat_unique_int(goals, ar_revision_resolve(plan->map, lfirst(cell)));
			continue;
		}
		goal = relative_goal(plan, identifier, clip);
		if (goal == AR_BASE)
			ereport(ERROR,
					errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					errmsg("identifier \"%s\" leads to the base", identifier->text),
					clip ? errdetail("A range ends at a revision.") :
					errdetail("An upgrade goes to a revision."),
					clip ? 0 : errhint("algo_ref.downgrade('base') goes down to the base."));
		goals = list_append_unique_int(goals, goal);
	}
	return goals;
}

static RevisionIndex
relative_goal(const RevisionPlan *plan, const RevisionIdentifier *identifier, bool clip)
{
	const RevisionMap *map = plan->map;
	RevisionIndex branch = identifier->branch ? ar_revision_branch(map, identifier->branch) : AR_BASE;
	bool	   *lineage = identifier->branch ? ar_revision_lineage(map, branch) : NULL;

	if (identifier->symbol == NULL && identifier->steps <= 0)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("an upgrade cannot go to \"%s\"", identifier->text),
				errdetail("From where the schema stands, it goes up only."),
				errhint("Use \"+\" and a number of steps; algo_ref.downgrade() goes down."));
	if (identifier->symbol == NULL)
		return ar_revision_walk(map, upgrade_start(plan, identifier->branch, lineage),
								identifier->steps, lineage, clip);
	if (identifier->steps > 0)
	{
		RevisionIndex start = ar_revision_resolve_one(map, identifier->symbol);

		/*
		 * the base of a branch is one like any other: the branch says which
		 * way
		 */
		return ar_revision_walk(map, start, identifier->steps, lineage, clip);
	}
	return symbol_goal(map, identifier, clip);
}

/*
 * Where "+N" counts from.
 */
static RevisionIndex
upgrade_start(const RevisionPlan *plan, const char *branch, const bool *lineage)
{
	const RevisionMap *map = plan->map;
	bool	   *implied = set_below(map, plan->row, plan->row_count);
	List	   *starts = NIL;

	/* a row that another one implies is none */
	for (int32 i = 0; i < plan->row_count; i++)
		if (!implied[plan->row[i]] && (lineage == NULL || lineage[plan->row[i]]))
			starts = lappend_int(starts, plan->row[i]);
	pfree(implied);
	if (starts == NIL && lineage)
	{
		/* what only a dependency keeps: the topmost of it on that branch */
		bool	   *members = ar_revision_closure(map, plan->row, plan->row_count);
		bool	   *under = ar_revision_empty_set(map);

		for (RevisionIndex r = 0; r < map->count; r++)
			members[r] &= lineage[r];
		for (RevisionIndex r = 0; r < map->count; r++)
			for (int32 i = 0; members[r] && i < AR_LINKS_COUNT(map->below, r); i++)
				under[AR_LINKS_ITEM(map->below, r, i)] = true;
		for (RevisionIndex r = 0; r < map->count; r++)
			if (members[r] && !under[r])
				starts = lappend_int(starts, r);
	}
	if (list_length(starts) > 1)
		ereport(ERROR,
				errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				branch ? errmsg("branch \"%s\" has several current revisions to count from", branch) :
				errmsg("there are several current revisions to count from"),
				errdetail("They are %s.", ar_revision_list_names(map, starts)),
				branch ? errhint("Name the revision to count from, as in %s+1.",
								 map->revision[linitial_int(starts)].id) :
				errhint("Name the branch, as in branch@+1, or the revision to count from, as in %s+1.",
						map->revision[linitial_int(starts)].id));
	return starts == NIL ? AR_BASE : linitial_int(starts);
}

/*
 * "symbol-N": down from what the symbol names.
 */
static RevisionIndex
symbol_goal(const RevisionMap *map, const RevisionIdentifier *identifier, bool clip)
{
	RevisionIndex start = resolve_symbol_one(map, identifier);

	if (start == AR_BASE && identifier->steps < 0)
		ereport(ERROR,
				errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				errmsg("identifier \"%s\" leads below the base", identifier->text),
				errhint("Count down from a revision."));
	return ar_revision_walk(map, start, identifier->steps, NULL, clip);
}

static RevisionIndex
resolve_symbol_one(const RevisionMap *map, const RevisionIdentifier *identifier)
{
	return ar_revision_resolve_one(map, identifier->branch ?
								   psprintf("%s@%s", identifier->branch, identifier->symbol) :
								   identifier->symbol);
}

/*
 * Raise 55000 if one goal implies another.
 */
static void
check_overlap(const RevisionMap *map, List *goals)
{
	RevisionIndex *under = palloc(sizeof(RevisionIndex));
	bool	   *below;
	ListCell   *cell;

	if (list_length(goals) < 2)
		return;
	below = set_below(map, list_array(goals), list_length(goals));
	foreach(cell, goals)
	{
		ListCell   *other;

		if (!below[lfirst_int(cell)])
			continue;
		*under = lfirst_int(cell);
		foreach(other, goals)
		{
			RevisionIndex above = lfirst_int(other);

			if (above != *under && ar_revision_closure(map, &above, 1)[*under])
				ereport(ERROR,
						errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("revisions \"%s\" and \"%s\" overlap",
							   map->revision[above].id, map->revision[*under].id),
						errdetail("Revision \"%s\" is below the other, and applied with it.",
								  map->revision[*under].id),
						errhint("Name the upper one only."));
		}
	}
}

static void
plan_downgrade(RevisionPlan *plan, const char *target)
{
	const RevisionMap *map = plan->map;
	RevisionIndex branch = AR_BASE;
	const char *branch_name = NULL;
	RevisionIndex goal;
	RevisionIndex *root;
	int32		root_count;
	bool	   *set;
	bool	   *applied;
	bool		is_row = false;

	if (strchr(target, ','))
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("a downgrade has one target"),
				errdetail("\"%s\" names several.", ar_revision_excerpt(target)));
	goal = downgrade_goal(plan, target, &branch, &branch_name);
	root = downgrade_roots(map, goal, branch, branch_name, &root_count);
	set = ar_revision_dependents_of(map, root, root_count);
	applied = ar_revision_closure(map, plan->row, plan->row_count);
	for (RevisionIndex r = 0; r < map->count; r++)
		set[r] &= applied[r];
	plan->step = ar_revision_descend(map, set, set_of(map, plan->row, plan->row_count), NULL, &plan->count);
	for (int32 i = 0; i < plan->row_count; i++)
		is_row |= plan->row[i] == goal;
	if (goal != AR_BASE && plan->count == 0 && !is_row)
		ereport(ERROR,
				errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				errmsg("revision \"%s\" cannot be reached downwards from the current revisions",
					   map->revision[goal].id),
				plan->row_count == 0 ? errdetail("No revision is applied.") :
				errdetail("Current are %s.", ar_revision_names(map, plan->row, plan->row_count)),
				errhint("algo_ref.upgrade() goes up; algo_ref.current() shows where the schema stands."));
	pfree(set);
	pfree(applied);
}

/*
 * Where a downgrade goes, and along which branch.
 */
static RevisionIndex
downgrade_goal(const RevisionPlan *plan, const char *target, RevisionIndex *branch,
			   const char **branch_name)
{
	const RevisionMap *map = plan->map;
	RevisionIdentifier *identifier = ar_revision_identifier_parse(target);
	RevisionIndex start;

	*branch_name = identifier->branch;
	if (identifier->branch)
		*branch = ar_revision_branch(map, identifier->branch);
	if (!identifier->is_relative)
	{
		RevisionIndex goal = ar_revision_resolve_one(map, identifier->symbol);

		if (goal != AR_BASE && identifier->branch && !ar_revision_lineage(map, *branch)[goal])
			ereport(ERROR,
					errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					errmsg("revision \"%s\" is not on branch \"%s\"",
						   map->revision[goal].id, identifier->branch),
					errdetail("It is neither above nor below revision \"%s\".", map->revision[*branch].id),
					errhint("Leave the branch out, or name another one."));
		return goal;
	}
	if (identifier->symbol == NULL && identifier->steps >= 0)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("a downgrade cannot go to \"%s\"", target),
				errdetail("From where the schema stands, it goes down only."),
				errhint("Use \"-\" and a number of steps; algo_ref.upgrade() goes up."));
	if (identifier->symbol && identifier->steps >= 0)
	{
		start = ar_revision_walk(map, ar_revision_resolve_one(map, identifier->symbol), identifier->steps,
								 identifier->branch ? ar_revision_lineage(map, *branch) : NULL, false);
		if (start == AR_BASE)
			ereport(ERROR,
					errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					errmsg("identifier \"%s\" leads to no revision", target),
					errhint("Say \"base\" if the base is meant."));
		return start;
	}
	if (identifier->symbol)
		return symbol_goal(map, identifier, false);

	start = downgrade_start(plan, identifier->branch);
	if (identifier->branch == NULL)
	{
		*branch = start;
		*branch_name = map->revision[start].id;
	}
	return ar_revision_walk(map, start, identifier->steps, NULL, false);
}

/*
 * Where "-N" counts from: the first row; on a branch, its only row, or its
 * only current tip.
 */
static RevisionIndex
downgrade_start(const RevisionPlan *plan, const char *branch)
{
	const RevisionMap *map = plan->map;
	bool	   *lineage;
	List	   *starts = NIL;

	if (branch == NULL)
	{
		if (plan->row_count == 0)
			ereport(ERROR,
					errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					errmsg("there is nothing to go down from"),
					errdetail("No revision is applied."));
		if (plan->row_count > 1)
			ereport(WARNING,
					errcode(ERRCODE_WARNING),
					errmsg("counting down from revision \"%s\", the first of several current ones",
						   map->revision[plan->row[0]].id),
					errdetail("Current are %s.", ar_revision_names(map, plan->row, plan->row_count)),
					errhint("Name the branch, as in branch@-1."));
		return plan->row[0];
	}
	lineage = ar_revision_lineage(map, ar_revision_branch(map, branch));
	for (int32 i = 0; i < plan->row_count; i++)
		if (lineage[plan->row[i]])
			starts = lappend_int(starts, plan->row[i]);
	if (starts == NIL)
		starts = applied_tips(plan, lineage);
	if (list_length(starts) == 1)
		return linitial_int(starts);
	ereport(ERROR,
			errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			starts == NIL ? errmsg("nothing is applied on branch \"%s\"", branch) :
			errmsg("branch \"%s\" has several current revisions to count from", branch),
			starts == NIL ? errdetail("There is nothing to go down from.") :
			errdetail("They are %s.", ar_revision_list_names(map, starts)),
			starts == NIL ? errhint("algo_ref.current() shows where the schema stands.") :
			errhint("Name the revision to count from, as in %s-1.", map->revision[linitial_int(starts)].id));
}

/*
 * What stands directly above the goal, and is therefore to go first.  With a
 * branch, only the arm that leads to it.
 */
static RevisionIndex *
downgrade_roots(const RevisionMap *map, RevisionIndex goal, RevisionIndex branch,
				const char *branch_name, int32 *count)
{
	RevisionIndex *roots;
	bool	   *arm;
	int32		kept = 0;

	if (goal == AR_BASE)
		roots = ar_revision_bases(map, count);
	else
	{
		*count = AR_LINKS_COUNT(map->children, goal);
		roots = palloc((*count + 1) * sizeof(RevisionIndex));
		memcpy(roots, map->children.item + map->children.first[goal], *count * sizeof(RevisionIndex));
	}
	if (branch == AR_BASE || *count < 2)
		return roots;

	arm = ar_revision_ancestors(map, branch);
	for (int32 i = 0; i < *count; i++)
		if (arm[roots[i]])
			roots[kept++] = roots[i];
	if (kept == 0)
		ereport(ERROR,
				errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				errmsg("branch \"%s\" does not pass %s", branch_name, ar_revision_place(map, goal)),
				errdetail("From there on it could be %s.", ar_revision_names(map, roots, *count)),
				errhint("Leave the branch out to take down everything above, or name a revision above %s.",
						ar_revision_place(map, goal)));
	*count = kept;
	return roots;
}

static void
plan_stamp(RevisionPlan *plan, const char *target)
{
	const RevisionMap *map = plan->map;
	List	   *goals = NIL;
	bool	   *rows = set_of(map, plan->row, plan->row_count);
	bool	   *kin = ar_revision_empty_set(map);
	bool	   *above_base = ar_revision_empty_set(map);
	bool		is_base = false;
	ListCell   *cell;

	foreach(cell, ar_revision_split(target))
	{
		RevisionIdentifier *identifier = ar_revision_identifier_parse(lfirst(cell));

		if (identifier->is_relative || strcmp(identifier->symbol, "base") != 0)
		{
			goals = list_concat_unique_int(goals, ar_revision_resolve(map, lfirst(cell)));
			continue;
		}
		is_base = true;
		if (identifier->branch)
			ar_revision_add_set(map, above_base,
								ar_revision_kin(map, ar_revision_branch(map, identifier->branch)));
		else
			memset(above_base, true, map->count * sizeof(bool));
	}
	/* next to revisions, the base says nothing */
	if (goals == NIL && is_base)
	{
		stamp_base(plan, above_base);
		return;
	}
	if (goals == NIL && map->count > 0)
		ereport(ERROR,
				errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				errmsg("identifier \"%s\" stands for no revision", ar_revision_excerpt(target)),
				errhint("Say \"base\" if the base is meant."));
	check_overlap(map, goals);

	plan->step = palloc(Max(list_length(goals), 1) * sizeof(RevisionIndex));
	foreach(cell, goals)
	{
		ar_revision_add_set(map, kin, ar_revision_kin(map, lfirst_int(cell)));
		if (!rows[lfirst_int(cell)])
			plan->step[plan->count++] = lfirst_int(cell);
	}
	plan->taken = palloc(Max(plan->row_count, 1) * sizeof(RevisionIndex));
	for (int32 i = 0; i < plan->row_count; i++)
		if (kin[plan->row[i]] && !list_member_int(goals, plan->row[i]))
			plan->taken[plan->taken_count++] = plan->row[i];
	/* rows that imply each other are tidied by stamping one of them again */
	if (plan->count == 0 && plan->taken_count > 0)
		plan->step[plan->count++] = linitial_int(goals);
}

/*
 * Stamping the base takes rows away: all, or those that have to do with a
 * branch.
 */
static void
stamp_base(RevisionPlan *plan, const bool *kin)
{
	plan->to_base = true;
	plan->step = palloc(Max(plan->row_count, 1) * sizeof(RevisionIndex));
	for (int32 i = 0; i < plan->row_count; i++)
		if (kin[plan->row[i]])
			plan->step[plan->count++] = plan->row[i];
}

/*
 * What is applied and has no applied child; on a lineage if one is given.
 */
static List *
applied_tips(const RevisionPlan *plan, const bool *lineage)
{
	const RevisionMap *map = plan->map;
	bool	   *applied = ar_revision_closure(map, plan->row, plan->row_count);
	List	   *tips = NIL;

	for (RevisionIndex r = 0; r < map->count; r++)
	{
		bool		is_tip = applied[r] && (lineage == NULL || lineage[r]);

		for (int32 i = 0; is_tip && i < AR_LINKS_COUNT(map->children, r); i++)
			is_tip = !applied[AR_LINKS_ITEM(map->children, r, i)];
		if (is_tip)
			tips = lappend_int(tips, r);
	}
	pfree(applied);
	return tips;
}

/*
 * What is below some revisions; they themselves are only where another one is
 * above them.
 */
static bool *
set_below(const RevisionMap *map, const RevisionIndex *revisions, int32 count)
{
	List	   *direct = NIL;

	for (int32 i = 0; i < count; i++)
		for (int32 n = 0; n < AR_LINKS_COUNT(map->below, revisions[i]); n++)
			direct = lappend_int(direct, AR_LINKS_ITEM(map->below, revisions[i], n));
	return ar_revision_closure(map, list_array(direct), list_length(direct));
}

static RevisionIndex *
list_array(List *revisions)
{
	RevisionIndex *array = palloc(Max(list_length(revisions), 1) * sizeof(RevisionIndex));
	ListCell   *cell;

	foreach(cell, revisions)
		array[foreach_current_index(cell)] = lfirst_int(cell);
	return array;
}

static bool *
set_of(const RevisionMap *map, const RevisionIndex *revisions, int32 count)
{
	bool	   *set = ar_revision_empty_set(map);

	for (int32 i = 0; i < count; i++)
		set[revisions[i]] = true;
	return set;
}
