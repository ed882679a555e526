/*
 * bulk_api.c: SQL-callable: bulk_insert() and its relatives.
 */
#include "postgres.h"

#include "access/relation.h"
#include "bulk/bulk.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/typcache.h"

static int	choice_argument(FunctionCallInfo fcinfo, int n, const char *name,
							const char *const *choices, const char *hint);
static List *names_argument(FunctionCallInfo fcinfo, int n);
static bool ignores_unknown_keys(FunctionCallInfo fcinfo, int n);
static Datum finish_insert(BulkInsert *insert, bool skips);
static void put_reason(ReturnSetInfo *result, const char *way, const char *reason);

PG_FUNCTION_INFO_V1(algo_ref_bulk_insert_text);
PG_FUNCTION_INFO_V1(algo_ref_bulk_insert_json);
PG_FUNCTION_INFO_V1(algo_ref_bulk_insert_jsonb);
PG_FUNCTION_INFO_V1(algo_ref_bulk_insert_array);
PG_FUNCTION_INFO_V1(algo_ref_bulk_insert_query);
PG_FUNCTION_INFO_V1(algo_ref_bulk_insert_returning);
PG_FUNCTION_INFO_V1(algo_ref_bulk_explain);

static Datum
insert_text(FunctionCallInfo fcinfo, bool takes_lines)
{
	BulkInsert	insert = {0};
	text	   *rows;
	bool		skips;

	ar_bulk_argument_check(fcinfo, 0, "target");
	ar_bulk_argument_check(fcinfo, 1, "rows");
	ar_bulk_argument_options(fcinfo, 2, &insert);
	skips = ar_bulk_argument_skips(fcinfo, 6);
	rows = PG_GETARG_TEXT_PP(1);
	insert.target = ar_bulk_open_target(PG_GETARG_OID(0), RowExclusiveLock);
	insert.source = ar_bulk_source_text(insert.target, VARDATA_ANY(rows), VARSIZE_ANY_EXHDR(rows),
										ignores_unknown_keys(fcinfo, 5), takes_lines);
	return finish_insert(&insert, skips);
}

/*
 * algo_ref.bulk_insert(target, rows text, on_conflict, conflict_columns,
 *						overriding, unknown_keys, on_error)
 */
Datum
algo_ref_bulk_insert_text(PG_FUNCTION_ARGS)
{
	return insert_text(fcinfo, true);
}

/*
 * algo_ref.bulk_insert(target, rows json, ...)
 */
Datum
algo_ref_bulk_insert_json(PG_FUNCTION_ARGS)
{
	return insert_text(fcinfo, false);
}

/*
 * algo_ref.bulk_insert(target, rows jsonb, ...)
 */
Datum
algo_ref_bulk_insert_jsonb(PG_FUNCTION_ARGS)
{
	BulkInsert	insert = {0};
	bool		skips;

	ar_bulk_argument_check(fcinfo, 0, "target");
	ar_bulk_argument_check(fcinfo, 1, "rows");
	ar_bulk_argument_options(fcinfo, 2, &insert);
	skips = ar_bulk_argument_skips(fcinfo, 6);
	insert.target = ar_bulk_open_target(PG_GETARG_OID(0), RowExclusiveLock);
	insert.source = ar_bulk_source_jsonb(insert.target, PG_GETARG_DATUM(1),
										 ignores_unknown_keys(fcinfo, 5));
	return finish_insert(&insert, skips);
}

/*
 * algo_ref.bulk_insert(target, rows anyarray, on_conflict, conflict_columns,
 *						overriding, unknown_keys, on_error, columns)
 */
Datum
algo_ref_bulk_insert_array(PG_FUNCTION_ARGS)
{
	BulkInsert	insert = {0};
	bool		skips;

	ar_bulk_argument_check(fcinfo, 0, "target");
	ar_bulk_argument_check(fcinfo, 1, "rows");
	ar_bulk_argument_options(fcinfo, 2, &insert);
	skips = ar_bulk_argument_skips(fcinfo, 6);
	insert.target = ar_bulk_open_target(PG_GETARG_OID(0), RowExclusiveLock);
	insert.source = ar_bulk_source_array(insert.target, PG_GETARG_DATUM(1),
										 names_argument(fcinfo, 7),
										 ignores_unknown_keys(fcinfo, 5));
	return finish_insert(&insert, skips);
}

/*
 * algo_ref.bulk_insert_query(target, query, on_conflict, conflict_columns,
 *							  overriding, on_error)
 */
Datum
algo_ref_bulk_insert_query(PG_FUNCTION_ARGS)
{
	BulkInsert	insert = {0};
	bool		skips;
	char	   *query;

	ar_bulk_argument_check(fcinfo, 0, "target");
	ar_bulk_argument_check(fcinfo, 1, "query");
	ar_bulk_argument_options(fcinfo, 2, &insert);
	skips = ar_bulk_argument_skips(fcinfo, 5);
	query = text_to_cstring(PG_GETARG_TEXT_PP(1));
	insert.target = ar_bulk_open_target(PG_GETARG_OID(0), RowExclusiveLock);
	if (skips)
		insert.source = ar_bulk_source_query(insert.target, query, 0);
	else
		insert.query = query;
	return finish_insert(&insert, skips);
}

/*
 * algo_ref.bulk_insert_returning(base anyelement, rows json, on_conflict,
 *								  conflict_columns, overriding, unknown_keys)
 */
Datum
algo_ref_bulk_insert_returning(PG_FUNCTION_ARGS)
{
	BulkInsert	insert = {0};
	Oid			type = get_fn_expr_argtype(fcinfo->flinfo, 0);
	Oid			target = OidIsValid(type) ? get_typ_typrelid(type) : InvalidOid;
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	text	   *rows;

	if (!OidIsValid(target))
		ereport(ERROR,
				errcode(ERRCODE_DATATYPE_MISMATCH),
				errmsg("the first argument must have the row type of a table"),
				errhint("Write NULL::name_of_the_table."));
	ar_bulk_argument_check(fcinfo, 1, "rows");
	ar_bulk_argument_options(fcinfo, 2, &insert);
	rows = PG_GETARG_TEXT_PP(1);
	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	insert.returning = result->setResult;
	insert.returning_desc = result->setDesc;
	insert.target = ar_bulk_open_target(target, RowExclusiveLock);
	insert.source = ar_bulk_source_text(insert.target, VARDATA_ANY(rows), VARSIZE_ANY_EXHDR(rows),
										ignores_unknown_keys(fcinfo, 5), false);
	ar_bulk_insert(&insert);
	relation_close(insert.target, NoLock);
	return (Datum) 0;
}

/*
 * algo_ref.bulk_explain(target)
 */
Datum
algo_ref_bulk_explain(PG_FUNCTION_ARGS)
{
	Relation	target;
	List	   *reasons;
	ListCell   *cell;

	ar_bulk_argument_check(fcinfo, 0, "target");
	InitMaterializedSRF(fcinfo, 0);
	target = ar_bulk_open_target(PG_GETARG_OID(0), AccessShareLock);
	reasons = ar_bulk_reasons(target);
	foreach(cell, reasons)
		put_reason((ReturnSetInfo *) fcinfo->resultinfo, "executor", lfirst(cell));
	if (reasons == NIL)
	{
		put_reason((ReturnSetInfo *) fcinfo->resultinfo, "fast", NULL);
		reasons = ar_bulk_reasons_default(target);
		foreach(cell, reasons)
			put_reason((ReturnSetInfo *) fcinfo->resultinfo, "executor", lfirst(cell));
	}
	relation_close(target, NoLock);
	return (Datum) 0;
}

static Datum
finish_insert(BulkInsert *insert, bool skips)
{
	uint64		count;

	if (skips)
	{
		ar_bulk_skip_begin(insert);
		PG_TRY();
		{
			count = ar_bulk_skip(insert);
			ar_bulk_skip_tell(insert);
		}
		PG_FINALLY();
		{
			ar_bulk_skip_end(insert);
		}
		PG_END_TRY();
	}
	else
		count = ar_bulk_insert(insert);
	relation_close(insert->target, NoLock);
	return Int64GetDatum(count);
}

static void
put_reason(ReturnSetInfo *result, const char *way, const char *reason)
{
	Datum		values[2];
	bool		nulls[2] = {false, reason == NULL};

	values[0] = CStringGetTextDatum(way);
	values[1] = reason == NULL ? (Datum) 0 : CStringGetTextDatum(reason);
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

/*
 * Raise 22004 for an argument that is NULL.
 */
void
ar_bulk_argument_check(FunctionCallInfo fcinfo, int n, const char *name)
{
	if (PG_ARGISNULL(n))
		ereport(ERROR,
				errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				errmsg("%s must not be null", name));
}

/*
 * Open the target with a lock that is kept.
 */
Relation
ar_bulk_open_target(Oid target, LOCKMODE lockmode)
{
	Relation	relation = relation_open(target, lockmode);

	switch (relation->rd_rel->relkind)
	{
		case RELKIND_RELATION:
		case RELKIND_PARTITIONED_TABLE:
		case RELKIND_FOREIGN_TABLE:
		case RELKIND_VIEW:
			return relation;
		default:
			ereport(ERROR,
					errcode(ERRCODE_WRONG_OBJECT_TYPE),
					errmsg("\"%s\" is not a table, foreign table or view",
						   RelationGetRelationName(relation)));
	}
}

/*
 * Read on_conflict, conflict_columns and overriding.
 */
void
ar_bulk_argument_options(FunctionCallInfo fcinfo, int first, BulkInsert *insert)
{
	static const char *const conflicts[] = {"error", "nothing", "update", NULL};
	static const char *const overridings[] = {"system", "user", NULL};

	ar_bulk_argument_check(fcinfo, first, "on_conflict");
	insert->on_conflict = choice_argument(fcinfo, first, "on_conflict", conflicts,
										  "It is error, nothing or update.");
	insert->conflict_columns = names_argument(fcinfo, first + 1);
	if (insert->conflict_columns != NIL && insert->on_conflict == AR_BULK_CONFLICT_ERROR)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("conflict_columns need on_conflict to be nothing or update"));
	if (!PG_ARGISNULL(first + 2))
		insert->overriding = overridings[choice_argument(fcinfo, first + 2, "overriding", overridings,
														 "It is system or user, as in INSERT; or null.")];
}

static bool
ignores_unknown_keys(FunctionCallInfo fcinfo, int n)
{
	static const char *const choices[] = {"error", "ignore", NULL};

	ar_bulk_argument_check(fcinfo, n, "unknown_keys");
	return choice_argument(fcinfo, n, "unknown_keys", choices, "It is error or ignore.") == 1;
}

/*
 * Read on_error.
 */
bool
ar_bulk_argument_skips(FunctionCallInfo fcinfo, int n)
{
	static const char *const choices[] = {"error", "skip", NULL};

	ar_bulk_argument_check(fcinfo, n, "on_error");
	return choice_argument(fcinfo, n, "on_error", choices, "It is error or skip.") == 1;
}

/*
 * Which of some words the argument is; 22023 if none.
 */
static int
choice_argument(FunctionCallInfo fcinfo, int n, const char *name,
				const char *const *choices, const char *hint)
{
	char	   *given = text_to_cstring(PG_GETARG_TEXT_PP(n));

	for (int i = 0; choices[i] != NULL; i++)
		if (strcmp(given, choices[i]) == 0)
			return i;
	ereport(ERROR,
			errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			errmsg("%s cannot be \"%s\"", name, given),
			errhint("%s", hint));
}

/*
 * An array of names as a list; NIL for NULL and for an empty one.
 */
static List *
names_argument(FunctionCallInfo fcinfo, int n)
{
	List	   *result = NIL;
	Datum	   *elements;
	bool	   *nulls;
	int			count;

	if (PG_ARGISNULL(n))
		return NIL;
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(n), NAMEOID, NAMEDATALEN, false, TYPALIGN_CHAR,
					  &elements, &nulls, &count);
	for (int i = 0; i < count; i++)
	{
		if (nulls[i])
			ereport(ERROR,
					errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					errmsg("a column's name must not be null"));
		result = lappend(result, pstrdup(NameStr(*DatumGetName(elements[i]))));
	}
	return result;
}
