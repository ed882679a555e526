/*
 * bulk_reason.c: what the fast path cannot honour.
 *
 * It stores rows some time after it has read them, and their index entries
 * later still.  So it is not for anything that could look at the table
 * meanwhile, and not for what is no plain table.
 */
#include "postgres.h"

#include "access/relation.h"
#include "bulk/bulk.h"
#include "catalog/pg_am.h"
#include "catalog/pg_index.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "rewrite/prs2lock.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/rls.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

static const char *kind_reason(Relation relation);
static const char *trigger_reason(const TriggerDesc *triggers);
static bool has_visible_after_trigger(const TriggerDesc *triggers);
static const char *check_reason(Relation relation);
static const char *domain_reason(Relation relation);
static const char *index_reason(Relation relation);
static const char *partition_reason(Relation target);
static bool has_insert_rule(Relation relation);
static bool is_volatile_function(Oid function, void *context);
static bool find_volatile(Node *node, void *context);
static List *add_reason(List *reasons, const char *reason);

/*
 * Why the executor has to do it, as texts that say "the table ..."; NIL: the
 * fast path fits, unless the INSERT itself has something against it.
 */
List *
ar_bulk_reasons(Relation target)
{
	List	   *reasons = NIL;

	reasons = add_reason(reasons, kind_reason(target));
	if (has_insert_rule(target))
		reasons = add_reason(reasons, "it has rules for INSERT");
	if (target->rd_rel->relkind == RELKIND_VIEW)
		return reasons;
	if (target->rd_rel->relrowsecurity &&
		check_enable_rls(RelationGetRelid(target), InvalidOid, true) == RLS_ENABLED)
		reasons = add_reason(reasons, "its row-level security applies to the caller");
	reasons = add_reason(reasons, trigger_reason(target->trigdesc));
	reasons = add_reason(reasons, check_reason(target));
	reasons = add_reason(reasons, domain_reason(target));
	reasons = add_reason(reasons, index_reason(target));
	if (target->rd_rel->relkind == RELKIND_PARTITIONED_TABLE)
		reasons = add_reason(reasons, partition_reason(target));
	return reasons;
}

/*
 * Why the defaults of columns need the executor, where rows leave it to them.
 */
List *
ar_bulk_reasons_default(Relation target)
{
	TupleDesc	desc = RelationGetDescr(target);
	List	   *reasons = NIL;

	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(desc, i);

		if (!attribute->attisdropped && !attribute->attgenerated &&
			ar_bulk_reason_volatile(ar_bulk_default(target, i + 1)))
			reasons = lappend(reasons,
							  psprintf("the default of its column \"%s\" is volatile, which matters where rows leave it out",
									   NameStr(attribute->attname)));
	}
	return reasons;
}

/*
 * The same for a partition, when a row comes to it; NULL: none.
 */
const char *
ar_bulk_reason_partition(Relation partition)
{
	const char *reason = kind_reason(partition);

	if (reason == NULL)
		reason = trigger_reason(partition->trigdesc);
	if (reason == NULL && has_visible_after_trigger(partition->trigdesc))
		reason = "it has triggers AFTER INSERT FOR EACH ROW";
	if (reason == NULL)
		reason = check_reason(partition);
	if (reason == NULL)
		reason = index_reason(partition);
	return reason;
}

static List *
add_reason(List *reasons, const char *reason)
{
	return reason == NULL ? reasons : lappend(reasons, pstrdup(reason));
}

static const char *
kind_reason(Relation relation)
{
	switch (relation->rd_rel->relkind)
	{
		case RELKIND_RELATION:
			if (relation->rd_rel->relam != HEAP_TABLE_AM_OID)
				return "its table access method is not heap";
			return NULL;
		case RELKIND_PARTITIONED_TABLE:
			return NULL;
		case RELKIND_VIEW:
			return "it is a view";
		case RELKIND_FOREIGN_TABLE:
			return "it is a foreign table";
		default:
			return "it is no table";
	}
}

/*
 * Triggers before a row may look at those before it, or change it.
 */
static const char *
trigger_reason(const TriggerDesc *triggers)
{
	if (triggers == NULL)
		return NULL;
	if (triggers->trig_insert_before_row || triggers->trig_insert_instead_row)
		return "it has triggers BEFORE INSERT FOR EACH ROW";
	if (triggers->trig_insert_new_table)
		return "it has triggers with transition tables";
	return NULL;
}

/*
 * Those of partitions would fire in another order, as rows wait for each other
 * by partition.  Of the server's own nobody can see that.
 */
static bool
has_visible_after_trigger(const TriggerDesc *triggers)
{
	for (int i = 0; triggers != NULL && i < triggers->numtriggers; i++)
	{
		const Trigger *trigger = &triggers->triggers[i];

		if (TRIGGER_FOR_ROW(trigger->tgtype) && TRIGGER_FOR_AFTER(trigger->tgtype) &&
			TRIGGER_FOR_INSERT(trigger->tgtype) &&
			RI_FKey_trigger_type(trigger->tgfoid) == RI_TRIGGER_NONE &&
			trigger->tgfoid != F_UNIQUE_KEY_RECHECK)
			return true;
	}
	return false;
}

static const char *
check_reason(Relation relation)
{
	TupleConstr *constraints = RelationGetDescr(relation)->constr;

	for (int i = 0; constraints != NULL && i < constraints->num_check; i++)
		if (ar_bulk_reason_volatile(stringToNode(constraints->check[i].ccbin)))
			return psprintf("its constraint \"%s\" is volatile", constraints->check[i].ccname);
	return NULL;
}

/*
 * Domains are checked when values are made.
 */
static const char *
domain_reason(Relation relation)
{
	TupleDesc	desc = RelationGetDescr(relation);

	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(desc, i);
		DomainConstraintRef *domain;
		ListCell   *cell;

		if (attribute->attisdropped || get_typtype(attribute->atttypid) != TYPTYPE_DOMAIN)
			continue;
		domain = palloc0(sizeof(DomainConstraintRef));
		InitDomainConstraintRef(attribute->atttypid, domain, CurrentMemoryContext, false);
		foreach(cell, domain->constraints)
		{
			DomainConstraintState *constraint = lfirst(cell);

			if (ar_bulk_reason_volatile((Node *) constraint->check_expr))
				return psprintf("constraint \"%s\" of the domain of its column \"%s\" is volatile",
								constraint->name, NameStr(attribute->attname));
		}
	}
	return NULL;
}

/*
 * Of a key WITHOUT OVERLAPS, which is both unique and an exclusion constraint,
 * INSERT refuses empty ranges at once, even if its conflicts can wait.
 */
static const char *
index_reason(Relation relation)
{
	ListCell   *cell;

	foreach(cell, RelationGetIndexList(relation))
	{
		HeapTuple	tuple = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(lfirst_oid(cell)));
		Form_pg_index form;
		bool		waits;

		if (!HeapTupleIsValid(tuple))
			continue;
		form = (Form_pg_index) GETSTRUCT(tuple);
		waits = form->indisunique && form->indisexclusion && !form->indimmediate;
		ReleaseSysCache(tuple);
		if (waits)
			return psprintf("its key \"%s\" without overlaps is deferrable",
							get_rel_name(lfirst_oid(cell)));
	}
	return NULL;
}

/*
 * Every partition has to be plain, since nothing can be stored twice.
 */
static const char *
partition_reason(Relation target)
{
	List	   *all;
	ListCell   *cell;
	const char *result = NULL;

	if (has_visible_after_trigger(target->trigdesc))
		return "it is partitioned and has triggers AFTER INSERT FOR EACH ROW";
	all = find_all_inheritors(RelationGetRelid(target), NoLock, NULL);
	foreach(cell, all)
	{
		Oid			id = lfirst_oid(cell);
		Relation	partition;
		const char *reason;

		if (id == RelationGetRelid(target))
			continue;
		CHECK_FOR_INTERRUPTS();
		partition = try_relation_open(id, AccessShareLock);
		if (partition == NULL)
			continue;
		reason = ar_bulk_reason_partition(partition);
		if (reason != NULL)
			result = psprintf("its partition \"%s\" is not plain: %s",
							  RelationGetRelationName(partition), reason);
		relation_close(partition, AccessShareLock);
		if (result != NULL)
			break;
	}
	list_free(all);
	return result;
}

static bool
has_insert_rule(Relation relation)
{
	for (int i = 0; relation->rd_rules && i < relation->rd_rules->numLocks; i++)
		if (relation->rd_rules->rules[i]->event == CMD_INSERT)
			return true;
	return false;
}

/*
 * Does an expression or a query call a function that could see the table?
 */
bool
ar_bulk_reason_volatile(Node *node)
{
	return find_volatile(node, NULL);
}

static bool
find_volatile(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (check_functions_in_node(node, is_volatile_function, context))
		return true;
	if (IsA(node, Query))
		return query_tree_walker((Query *) node, find_volatile, context, 0);
	return expression_tree_walker(node, find_volatile, context);
}

/*
 * Some are volatile and still see nothing but their arguments.
 */
static bool
is_volatile_function(Oid function, void *context)
{
	static const Oid blind[] = {
		F_NEXTVAL, F_CLOCK_TIMESTAMP, F_TIMEOFDAY, F_GEN_RANDOM_UUID, F_UUIDV4, F_UUIDV7_,
		F_UUIDV7_INTERVAL, F_RANDOM_, F_RANDOM_INT4_INT4, F_RANDOM_INT8_INT8,
		F_RANDOM_NUMERIC_NUMERIC, F_RANDOM_NORMAL
	};

	if (func_volatile(function) != PROVOLATILE_VOLATILE)
		return false;
	for (int i = 0; i < lengthof(blind); i++)
		if (function == blind[i])
			return false;
	return true;
}
