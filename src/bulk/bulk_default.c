/*
 * bulk_default.c: what a column is in a row that does not say.
 *
 * Where no row says, the column is not in the INSERT at all and the server
 * finds its default.  Where some rows do, it is, and the others need the same
 * default from us.
 */
#include "postgres.h"

#include "access/table.h"
#include "bulk/bulk.h"
#include "nodes/nodeFuncs.h"
#include "parser/parsetree.h"
#include "rewrite/prs2lock.h"
#include "rewrite/rewriteHandler.h"

static bool has_insert_rule(Relation relation);
static Node *default_below_view(Relation view, AttrNumber attnum);

/*
 * An expression of the column's type, or NULL for none.  As the rewriter has
 * it: a view's own default, else the one of the table that the view inserts
 * into by itself.
 */
Node *
ar_bulk_default(Relation target, AttrNumber attnum)
{
	Node	   *expression = build_column_default(target, attnum);

	if (expression != NULL || target->rd_rel->relkind != RELKIND_VIEW)
		return expression;
	if ((target->trigdesc && target->trigdesc->trig_insert_instead_row) ||
		has_insert_rule(target))
		return NULL;
	return default_below_view(target, attnum);
}

static bool
has_insert_rule(Relation relation)
{
	for (int i = 0; relation->rd_rules && i < relation->rd_rules->numLocks; i++)
		if (relation->rd_rules->rules[i]->event == CMD_INSERT)
			return true;
	return false;
}

static Node *
default_below_view(Relation view, AttrNumber attnum)
{
	Query	   *query = get_view_query(view);
	TargetEntry *entry = get_tle_by_resno(query->targetList, attnum);
	Relation	below;
	Node	   *expression;
	Var		   *column;

	if (view_query_is_auto_updatable(query, false) != NULL ||
		entry == NULL || !IsA(entry->expr, Var))
		return NULL;
	column = castNode(Var, entry->expr);
	if (column->varattno <= 0)
		return NULL;
	below = table_open(rt_fetch(column->varno, query->rtable)->relid, RowExclusiveLock);
	expression = ar_bulk_default(below, column->varattno);
	table_close(below, NoLock);
	return expression;
}
