/*
 * relationship_alias.c: declared names of relationships.
 *
 * A row of algo_ref.relationship_alias says which constraint, of which table, the
 * relationship is made of.  Tables are kept by name, so that a dump can be
 * restored; an alias whose table or constraint is gone names nothing.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "common/compat.h"
#include "common/qualified_name.h"
#include "common/state_table.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "relationship/relationship.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

enum AliasColumn
{
	Anum_alias_table_name = 1,
	Anum_alias_alias,
	Anum_alias_constraint_table,
	Anum_alias_constraint_name,
	Anum_alias_direction,
	Anum_alias_far_constraint,
	Anum_alias_author,
	Anum_alias_created_at,
	Natts_alias = Anum_alias_created_at
};

static const char *direction_of(const Relationship *r);
static char *text_column(StateTable *table, HeapTuple tuple, AttrNumber column);
static bool find_alias(StateTable *table, const char *table_name, const char *alias,
					   ItemPointer tid);
static Oid	table_argument(FunctionCallInfo fcinfo, int n);

PG_FUNCTION_INFO_V1(algo_ref_name_relationship);

/*
 * algo_ref.name_relationship(table, alias, relationship)
 */
Datum
algo_ref_name_relationship(PG_FUNCTION_ARGS)
{
	Oid			table_oid = table_argument(fcinfo, 0);
	char	   *alias;
	char	   *table_name;
	StateTable *table;
	ItemPointerData tid;
	bool		known;

	if (PG_ARGISNULL(1))
		ereport(ERROR,
				errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				errmsg("%s must not be null", "alias"));
	PreventCommandIfReadOnly("algo_ref.name_relationship()");
	alias = text_to_cstring(PG_GETARG_TEXT_PP(1));
	if (alias[0] == '\0' || strlen(alias) >= NAMEDATALEN)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("alias \"%s\" is empty or too long", alias));
	table_name = ar_qualified_relation(table_oid);

	table = ar_state_table_open("relationship_alias", ShareRowExclusiveLock);
	known = find_alias(table, table_name, alias, &tid);
	if (PG_ARGISNULL(2))
	{
		if (!known)
			ereport(ERROR,
					errcode(ERRCODE_UNDEFINED_OBJECT),
					errmsg("table %s has no relationship with the alias \"%s\"", table_name, alias));
		ar_state_table_delete(table, &tid);
	}
	else
	{
		char	   *spelling = text_to_cstring(PG_GETARG_TEXT_PP(2));
		char	   *name;
		List	   *pins;
		const Relationship *r;
		Datum		values[Natts_alias];
		bool		nulls[Natts_alias] = {false};

		if (!ar_relationship_parse_spelling(spelling, &name, &pins))
			ereport(ERROR,
					errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					errmsg("\"%s\" is not the spelling of a relationship", spelling),
					errhint("algo_ref.relationships() lists the spellings."));
		r = ar_relationship_resolve(table_oid, name, pins);
		values[Anum_alias_table_name - 1] = CStringGetTextDatum(table_name);
		values[Anum_alias_alias - 1] = CStringGetTextDatum(alias);
		values[Anum_alias_constraint_table - 1] =
			CStringGetTextDatum(ar_qualified_relation(r->key->table));
		values[Anum_alias_constraint_name - 1] = CStringGetTextDatum(r->key->name);
		values[Anum_alias_direction - 1] = CStringGetTextDatum(direction_of(r));
		values[Anum_alias_far_constraint - 1] =
			CStringGetTextDatum(r->far_key ? r->far_key->name : "");
		values[Anum_alias_author - 1] =
			DirectFunctionCall1(namein, CStringGetDatum(GetUserNameFromId(GetUserId(), false)));
		values[Anum_alias_created_at - 1] = TimestampTzGetDatum(GetCurrentTimestamp());
		if (known)
			ar_state_table_update(table, &tid, values, nulls);
		else
			ar_state_table_insert(table, values, nulls);
	}
	ar_state_table_close(table);
	CacheInvalidateRelcacheByRelid(table_oid);
	PG_RETURN_VOID();
}

/*
 * Give the relationships of a table their declared names.
 */
void
ar_relationship_read_aliases(TableRelationships *relationships)
{
	StateTable *table;
	StateScan  *scan;
	ScanKeyData key;
	HeapTuple	tuple;
	char	   *name;

	if (relationships->name == NULL || relationships->relationships == NIL)
		return;
	name = ar_qualified_relation(relationships->table);
	table = ar_state_table_open("relationship_alias", AccessShareLock);
	ar_state_key_text(&key, Anum_alias_table_name, name);
	scan = ar_state_scan_begin(table, "relationship_alias_pkey", NULL, 1, &key);
	while ((tuple = ar_state_scan_next(scan)) != NULL)
	{
		char	   *constraint_table = text_column(table, tuple, Anum_alias_constraint_table);
		char	   *constraint = text_column(table, tuple, Anum_alias_constraint_name);
		char	   *direction = text_column(table, tuple, Anum_alias_direction);
		char	   *far = text_column(table, tuple, Anum_alias_far_constraint);
		ListCell   *cell;

		foreach(cell, relationships->relationships)
		{
			Relationship *r = lfirst(cell);

			if (strcmp(r->key->name, constraint) == 0 &&
				strcmp(ar_qualified_relation(r->key->table), constraint_table) == 0 &&
				strcmp(direction_of(r), direction) == 0 &&
				strcmp(r->far_key ? r->far_key->name : "", far) == 0)
				r->aliases = lappend(r->aliases, text_column(table, tuple, Anum_alias_alias));
		}
	}
	ar_state_scan_end(scan);
	ar_state_table_close(table);
}

/*
 * From which side a relationship is seen; a change of uniqueness does not
 * change it.
 */
static const char *
direction_of(const Relationship *r)
{
	if (r->kind == AR_MANY_TO_MANY)
		return "across";
	return r->kind == AR_MANY_TO_ONE ? "out" : "in";
}

static char *
text_column(StateTable *table, HeapTuple tuple, AttrNumber column)
{
	bool		isnull;
	Datum		value = heap_getattr(tuple, column,
									 RelationGetDescr(ar_state_table_relation(table)), &isnull);

	return isnull ? pstrdup("") : TextDatumGetCString(value);
}

static bool
find_alias(StateTable *table, const char *table_name, const char *alias, ItemPointer tid)
{
	ScanKeyData key[2];
	StateScan  *scan;
	HeapTuple	tuple;

	ar_state_key_text(&key[0], Anum_alias_table_name, table_name);
	ar_state_key_text(&key[1], Anum_alias_alias, alias);
	scan = ar_state_scan_begin(table, "relationship_alias_pkey", NULL, 2, key);
	tuple = ar_state_scan_next(scan);
	if (tuple != NULL)
		*tid = tuple->t_self;
	ar_state_scan_end(scan);
	return tuple != NULL;
}

/*
 * A table that the caller owns.
 */
static Oid
table_argument(FunctionCallInfo fcinfo, int n)
{
	Oid			table;
	char		kind;

	if (PG_ARGISNULL(n))
		ereport(ERROR,
				errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				errmsg("%s must not be null", "table"));
	table = PG_GETARG_OID(n);
	kind = get_rel_relkind(table);
	if (kind != RELKIND_RELATION && kind != RELKIND_PARTITIONED_TABLE)
		ereport(ERROR,
				errcode(ERRCODE_WRONG_OBJECT_TYPE),
				errmsg("relation %u is not a table", table));
	if (!object_ownercheck(RelationRelationId, table, GetUserId()))
		aclcheck_error(ACLCHECK_NOT_OWNER, OBJECT_TABLE, get_rel_name(table));
	return table;
}
