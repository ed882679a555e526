/*
 * relationship_api.c: the relationships of a table, as rows.
 */
#include "postgres.h"

#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "relationship/relationship.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/tuplestore.h"

#define RESULT_COLUMNS 9

static Datum name_array(char **names, int count);
static Datum target_columns(const ForeignKey *key);
static Datum text_array(List *texts);

PG_FUNCTION_INFO_V1(algo_ref_relationships);

/*
 * algo_ref.relationships(table)
 */
Datum
algo_ref_relationships(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	const TableRelationships *table;
	Oid			relid;
	ListCell   *cell;

	if (PG_ARGISNULL(0))
		ereport(ERROR,
				errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				errmsg("%s must not be null", "table"));
	relid = PG_GETARG_OID(0);
	InitMaterializedSRF(fcinfo, 0);
	table = ar_relationship_table(relid);
	foreach(cell, table->relationships)
	{
		const Relationship *r = lfirst(cell);
		List	   *spellings = ar_relationship_spellings(table, r);
		bool		outgoing = ar_relationship_is_outgoing(r);
		Datum		values[RESULT_COLUMNS];
		bool		nulls[RESULT_COLUMNS] = {false};

		CHECK_FOR_INTERRUPTS();
		values[0] = ObjectIdGetDatum(r->table);
		values[1] = CStringGetTextDatum(linitial(spellings));
		values[2] = CStringGetTextDatum(ar_relationship_kind_name(r->kind));
		values[3] = ObjectIdGetDatum(r->target);
		values[4] = outgoing ? name_array(r->key->column_name, r->key->key_count) :
			target_columns(r->key);
		if (r->kind == AR_MANY_TO_MANY)
			values[5] = target_columns(r->far_key);
		else
			values[5] = outgoing ? target_columns(r->key) :
				name_array(r->key->column_name, r->key->key_count);
		values[6] = DirectFunctionCall1(namein, CStringGetDatum(r->key->name));
		values[7] = ObjectIdGetDatum(r->key->table);
		nulls[7] = r->kind != AR_MANY_TO_MANY;
		values[8] = text_array(spellings);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	return (Datum) 0;
}

static Datum
name_array(char **names, int count)
{
	Datum	   *values = palloc(sizeof(Datum) * count);

	for (int i = 0; i < count; i++)
		values[i] = DirectFunctionCall1(namein, CStringGetDatum(names[i]));
	return PointerGetDatum(construct_array(values, count, NAMEOID, NAMEDATALEN, false,
										   TYPALIGN_CHAR));
}

static Datum
target_columns(const ForeignKey *key)
{
	char	  **names = palloc(sizeof(char *) * key->key_count);

	for (int i = 0; i < key->key_count; i++)
		names[i] = get_attname(key->target, key->target_column[i], false);
	return name_array(names, key->key_count);
}

static Datum
text_array(List *texts)
{
	Datum	   *values = palloc(sizeof(Datum) * list_length(texts));
	int			count = 0;
	ListCell   *cell;

	foreach(cell, texts)
		values[count++] = CStringGetTextDatum(lfirst(cell));
	return PointerGetDatum(construct_array(values, count, TEXTOID, -1, false, TYPALIGN_INT));
}
