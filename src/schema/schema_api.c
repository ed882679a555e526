/*
 * schema_api.c: algo_ref.fingerprint() and algo_ref.schema_sql().
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "common/target_schema.h"
#include "fmgr.h"
#include "funcapi.h"
#include "schema/schema.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

static SchemaPlace *new_place(const char *name, bool is_target);

PG_FUNCTION_INFO_V1(algo_ref_fingerprint);
PG_FUNCTION_INFO_V1(algo_ref_fingerprints);
PG_FUNCTION_INFO_V1(algo_ref_schema_sql);

/*
 * algo_ref.fingerprint(schema)
 */
Datum
algo_ref_fingerprint(PG_FUNCTION_ARGS)
{
	SchemaPlace *place = new_place(ar_target_schema_argument(fcinfo, 0), true);
	SchemaSource source = {.places = list_make1(place)};
	SchemaOptions options = {.owners = true};
	SchemaModel *model = ar_schema_read(&source);
	char	   *fingerprint = ar_schema_fingerprint(model, 0, list_length(model->objects), &options);

	ar_schema_model_free(model);
	PG_RETURN_TEXT_P(cstring_to_text(fingerprint));
}

/*
 * algo_ref.fingerprints(schemas)
 */
Datum
algo_ref_fingerprints(PG_FUNCTION_ARGS)
{
	ArrayType  *array = PG_GETARG_ARRAYTYPE_P(0);
	SchemaSource source = {.places = NIL};
	SchemaOptions options = {.owners = true};
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	SchemaModel *model;
	Datum	   *names;
	bool	   *nulls;
	int			count;

	InitMaterializedSRF(fcinfo, 0);
	deconstruct_array(array, NAMEOID, NAMEDATALEN, false, TYPALIGN_CHAR, &names, &nulls, &count);
	for (int i = 0; i < count; i++)
	{
		if (nulls[i])
			ereport(ERROR,
					errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					errmsg("the name of a schema must not be null"));
		source.places = lappend(source.places, new_place(NameStr(*DatumGetName(names[i])), true));
	}
	model = ar_schema_read(&source);
	for (int first = 0, last; first < list_length(model->objects); first = last)
	{
		Oid			schema = ((SchemaObject *) list_nth(model->objects, first))->schema_oid;
		Datum		values[2];
		bool		isnull[2] = {false, false};
		NameData	name;

		for (last = first; last < list_length(model->objects) &&
			 ((SchemaObject *) list_nth(model->objects, last))->schema_oid == schema; last++)
			continue;
		namestrcpy(&name, get_namespace_name(schema));
		values[0] = NameGetDatum(&name);
		values[1] = CStringGetTextDatum(ar_schema_fingerprint(model, first, last, &options));
		tuplestore_putvalues(result->setResult, result->setDesc, values, isnull);
	}
	ar_schema_model_free(model);
	return (Datum) 0;
}

/*
 * algo_ref.schema_sql(schema)
 */
Datum
algo_ref_schema_sql(PG_FUNCTION_ARGS)
{
	char	   *schema = ar_target_schema_argument(fcinfo, 0);
	SchemaSource source = {.places = list_make1(new_place(schema, true)),
	.path = ar_schema_path(schema, NULL),.with_dependencies = true};
	SchemaOptions options = {.owners = true};
	SchemaModel *model = ar_schema_read(&source);
	StringInfoData text;
	ListCell   *cell;
	ListCell   *statement;

	initStringInfo(&text);
	foreach(cell, ar_schema_plan(ar_schema_model_new(), model, &options))
	{
		SchemaAction *action = lfirst(cell);

		if (action->object->kind == AR_SCHEMA_FUNCTION && strncmp(text.data, "SET ", 4) != 0)
		{
			StringInfoData rest = text;

			initStringInfo(&text);
			appendStringInfo(&text, "SET check_function_bodies = off;\n%s%s", rest.len ? "\n" : "", rest.data);
		}
		if (action->statements != NIL && text.len)
			appendStringInfoChar(&text, '\n');
		foreach(statement, action->statements)
			appendStringInfo(&text, "%s;\n", (char *) lfirst(statement));
	}
	PG_RETURN_TEXT_P(cstring_to_text_with_len(text.data, text.len));
}

/*
 * A schema to read; the caller has to have USAGE on it.
 */
static SchemaPlace *
new_place(const char *name, bool is_target)
{
	SchemaPlace *place = palloc(sizeof(SchemaPlace));

	place->oid = LookupExplicitNamespace(name, false);
	place->name = pstrdup(name);
	place->is_target = is_target;
	return place;
}
