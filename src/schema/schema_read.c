/*
 * schema_read.c: the catalogs of some schemas as a model.
 *
 * One query for each kind of object, over all schemas at once.  The queries
 * run with pg_catalog alone in search_path; what they leave is turned into text
 * by the server's own deparsers, with the search_path of the model.
 */
#include "postgres.h"

#include "access/relation.h"
#include "catalog/namespace.h"
#include "catalog/pg_attrdef.h"
#include "catalog/pg_class.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_database.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_policy.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_rewrite.h"
#include "catalog/pg_statistic_ext.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "schema/schema.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/ruleutils.h"
#include "utils/syscache.h"

/* The columns that say which object a row is. */
enum
{
	COLUMN_OID = 1,
	COLUMN_SUB_ID,
	COLUMN_SCHEMA,
	COLUMN_PARENT_CLASS,
	COLUMN_PARENT,
	COLUMN_PARENT_SUB_ID,
	COLUMN_NAME,
	COLUMN_FIRST_ATTRIBUTE
};

/* What alembic and algo_ref keep beside the application's tables. */
#define VERSION_TABLE "alembic_version"

static const Oid kind_class[AR_SCHEMA_KINDS] = {
	[AR_SCHEMA_SCHEMA] = NamespaceRelationId,
	[AR_SCHEMA_EXTENSION] = ExtensionRelationId,
	[AR_SCHEMA_COLLATION] = CollationRelationId,
	[AR_SCHEMA_ENUM] = TypeRelationId,
	[AR_SCHEMA_COMPOSITE] = RelationRelationId,
	[AR_SCHEMA_DOMAIN] = TypeRelationId,
	[AR_SCHEMA_DOMAIN_CONSTRAINT] = ConstraintRelationId,
	[AR_SCHEMA_RANGE] = TypeRelationId,
	[AR_SCHEMA_SEQUENCE] = RelationRelationId,
	[AR_SCHEMA_TABLE] = RelationRelationId,
	[AR_SCHEMA_VIEW] = RelationRelationId,
	[AR_SCHEMA_COLUMN] = RelationRelationId,
	[AR_SCHEMA_FUNCTION] = ProcedureRelationId,
	[AR_SCHEMA_AGGREGATE] = ProcedureRelationId,
	[AR_SCHEMA_DEFAULT] = AttrDefaultRelationId,
	[AR_SCHEMA_INHERITED_COLUMN] = RelationRelationId,
	[AR_SCHEMA_SEQUENCE_OWNER] = RelationRelationId,
	[AR_SCHEMA_CONSTRAINT] = ConstraintRelationId,
	[AR_SCHEMA_FOREIGN_KEY] = ConstraintRelationId,
	[AR_SCHEMA_INDEX] = RelationRelationId,
	[AR_SCHEMA_REPLICA_IDENTITY] = RelationRelationId,
	[AR_SCHEMA_STATISTICS] = StatisticExtRelationId,
	[AR_SCHEMA_RULE] = RewriteRelationId,
	[AR_SCHEMA_TRIGGER] = TriggerRelationId,
	[AR_SCHEMA_POLICY] = PolicyRelationId,
	[AR_SCHEMA_UNMANAGED] = InvalidOid,
};

static const char *const kind_name[AR_SCHEMA_KINDS] = {
	[AR_SCHEMA_SCHEMA] = "schema",
	[AR_SCHEMA_EXTENSION] = "extension",
	[AR_SCHEMA_COLLATION] = "collation",
	[AR_SCHEMA_ENUM] = "enum",
	[AR_SCHEMA_COMPOSITE] = "type",
	[AR_SCHEMA_DOMAIN] = "domain",
	[AR_SCHEMA_DOMAIN_CONSTRAINT] = "domain constraint",
	[AR_SCHEMA_RANGE] = "range",
	[AR_SCHEMA_SEQUENCE] = "sequence",
	[AR_SCHEMA_TABLE] = "table",
	[AR_SCHEMA_VIEW] = "view",
	[AR_SCHEMA_COLUMN] = "column",
	[AR_SCHEMA_FUNCTION] = "function",
	[AR_SCHEMA_AGGREGATE] = "aggregate",
	[AR_SCHEMA_DEFAULT] = "default of column",
	[AR_SCHEMA_INHERITED_COLUMN] = "inherited column",
	[AR_SCHEMA_SEQUENCE_OWNER] = "owner of sequence",
	[AR_SCHEMA_CONSTRAINT] = "constraint",
	[AR_SCHEMA_FOREIGN_KEY] = "foreign key",
	[AR_SCHEMA_INDEX] = "index",
	[AR_SCHEMA_REPLICA_IDENTITY] = "replica identity of table",
	[AR_SCHEMA_STATISTICS] = "statistics",
	[AR_SCHEMA_RULE] = "rule",
	[AR_SCHEMA_TRIGGER] = "trigger",
	[AR_SCHEMA_POLICY] = "policy",
	[AR_SCHEMA_UNMANAGED] = "unmanaged",
};

/* A column of a kind's query, taken apart once for all. */
typedef struct KindColumn
{
	char	   *conversion;		/* NULL: it is text already */
	const char *name;
} KindColumn;

typedef struct KindPlan
{
	SPIPlanPtr	plan;
	int			count;
	KindColumn	column[AR_SCHEMA_ATTRIBUTES_MAX];
	const char *attribute[AR_SCHEMA_ATTRIBUTES_MAX];
	int			signature;		/* which column is the signature; -1: none */
} KindPlan;

static KindPlan kind_plan[AR_SCHEMA_KINDS];

/* While a model is read. */
typedef struct Reading
{
	const SchemaSource *source;
	SchemaModel *model;
	Datum		schemas;
	Oid			path_of;		/* whose search_path is set, where each schema
								 * has its own */
	int			nest_level;		/* of the search_path; 0: none is set */
	SchemaPlace *place;
	Oid			place_owner;
} Reading;

static void prepare_kind(SchemaKind kind);
static void read_kind(Reading *reading, SchemaKind kind);
static void enter_place(Reading *reading, Oid schema);
static void set_path(Reading *reading, const char *path);
static void leave_path(Reading *reading);
static void read_row(Reading *reading, SchemaKind kind, HeapTuple row, TupleDesc desc);
static char *make_identity(const SchemaObject *object);
static void register_addresses(SchemaModel *model, SchemaObject *object);
static Oid	oid_value(const SchemaObject *object, const char *attribute);
static char *convert(Reading *reading, const SchemaObject *object, const char *conversion,
					 Datum value, Oid relation, Oid owner);
static char *call_text(Oid function, int nargs, Datum a, Datum b, Datum c);
static char *without_semicolon(char *text);
static char *relative_definition(Reading *reading, const SchemaObject *object, char *text,
								 const char *command);
static char *relation_list(char *oids);
static char *relation_name(Oid relation);
static char *column_list(Oid relation);
static char *owner_name(Reading *reading, Oid owner);
static char *put_names_back(const SchemaSource *source, char *text);
static Oid	schema_owner(Oid schema);
static int	compare_schemas(const ListCell *a, const ListCell *b);
static int	compare_identities(const ListCell *a, const ListCell *b);

/*
 * Read the schemas of a source.  The model belongs to the current memory
 * context.  Takes no lock but AccessShareLock on the catalogs, and on views for
 * their columns.
 *
 * The caller has a snapshot; all queries see the same.
 */
SchemaModel *
ar_schema_read(const SchemaSource *source)
{
	SchemaModel *model = ar_schema_model_new();
	MemoryContext old = MemoryContextSwitchTo(model->context);
	Reading		reading = {.source = source,.model = model};
	Datum	   *oids = palloc(sizeof(Datum) * Max(list_length(source->places), 1));
	int			nest_level;
	ListCell   *cell;

	model->is_many = source->path == NULL;
	foreach(cell, source->places)
		oids[foreach_current_index(cell)] = ObjectIdGetDatum(((SchemaPlace *) lfirst(cell))->oid);
	reading.schemas = PointerGetDatum(construct_array(oids, list_length(source->places), OIDOID,
													  sizeof(Oid), true, TYPALIGN_INT));

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	nest_level = NewGUCNestLevel();
	(void) set_config_option("search_path", "pg_catalog, pg_temp", PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
	/* many joins, each over in no time */
	(void) set_config_option("jit", "off", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	for (int kind = 0; kind < AR_SCHEMA_KINDS; kind++)
		read_kind(&reading, kind);
	AtEOXact_GUC(false, nest_level);
	SPI_finish();

	MemoryContextSwitchTo(model->context);
	list_sort(model->objects, model->is_many ? compare_schemas : compare_identities);
	if (source->with_dependencies)
		ar_schema_read_dependencies(model);
	MemoryContextSwitchTo(old);
	return model;
}

/*
 * The search_path that makes the names of a schema, and of another one if
 * "more" is not NULL, unqualified.
 */
char *
ar_schema_path(const char *target, const char *more)
{
	char	   *path = psprintf("pg_catalog, %s", quote_identifier(target));

	if (more)
		path = psprintf("%s, %s", path, quote_identifier(more));
	return psprintf("%s, pg_temp", path);
}

/*
 * The names of a kind's attributes.
 */
const char **
ar_schema_attributes(SchemaKind kind, int *count)
{
	*count = kind_plan[kind].count;
	return kind_plan[kind].attribute;
}

const char *
ar_schema_kind_name(const SchemaObject *object)
{
	if (object->kind == AR_SCHEMA_VIEW && strcmp(ar_schema_value(object, "kind"), "m") == 0)
		return "materialized view";
	if (object->kind == AR_SCHEMA_FUNCTION && strcmp(ar_schema_value(object, "kind"), "p") == 0)
		return "procedure";
	return kind_name[object->kind];
}

static void
prepare_kind(SchemaKind kind)
{
	KindPlan   *plan = &kind_plan[kind];
	Oid			type = OIDARRAYOID;
	SPIPlanPtr	prepared = SPI_prepare(ar_schema_read_queries[kind], 1, &type);
	Datum		nothing = PointerGetDatum(construct_empty_array(OIDOID));
	TupleDesc	desc;
	MemoryContext old;

	if (prepared == NULL)
		elog(ERROR, "SPI_prepare failed: %s", SPI_result_code_string(SPI_result));
	if (SPI_execute_plan(prepared, &nothing,
						 NULL, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read the catalogs");
	desc = SPI_tuptable->tupdesc;
	plan->count = 0;
	plan->signature = -1;
	old = MemoryContextSwitchTo(TopMemoryContext);
	for (int i = COLUMN_FIRST_ATTRIBUTE; i <= desc->natts; i++)
	{
		char	   *name = pstrdup(SPI_fname(desc, i));
		char	   *colon = strchr(name, ':');
		KindColumn *column = &plan->column[i - COLUMN_FIRST_ATTRIBUTE];

		if (colon)
			*colon = '\0';
		column->conversion = colon ? name : NULL;
		column->name = colon ? colon + 1 : name;
		if (strcmp(column->name, "!") == 0)
			plan->signature = i - COLUMN_FIRST_ATTRIBUTE;
		Assert(plan->count < AR_SCHEMA_ATTRIBUTES_MAX);
		plan->attribute[plan->count++] = column->name;
	}
	MemoryContextSwitchTo(old);
	if (SPI_keepplan(prepared) != 0)
		elog(ERROR, "SPI_keepplan failed");
	plan->plan = prepared;
}

static void
read_kind(Reading *reading, SchemaKind kind)
{
	SPITupleTable *table;
	uint64		count;

	CHECK_FOR_INTERRUPTS();
	if (kind_plan[kind].plan == NULL)
		prepare_kind(kind);
	if (SPI_execute_plan(kind_plan[kind].plan, &reading->schemas, NULL, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read the catalogs");
	table = SPI_tuptable;
	count = SPI_processed;
	if (reading->source->path)
		set_path(reading, reading->source->path);
	for (uint64 i = 0; i < count; i++)
	{
		CHECK_FOR_INTERRUPTS();
		read_row(reading, kind, table->vals[i], table->tupdesc);
	}
	leave_path(reading);
	SPI_freetuptable(table);
}

/*
 * What a row means depends on the place of its schema.
 */
static void
enter_place(Reading *reading, Oid schema)
{
	ListCell   *cell;

	if (reading->path_of == schema && reading->place)
		return;
	reading->place = NULL;
	foreach(cell, reading->source->places)
	{
		SchemaPlace *place = lfirst(cell);

		if (place->oid == schema)
			reading->place = place;
	}
	if (reading->place == NULL)
		elog(ERROR, "an object of schema %u was not asked for", schema);
	reading->place_owner = schema_owner(schema);
	if (reading->source->path == NULL)
	{
		leave_path(reading);
		set_path(reading, ar_schema_path(reading->place->name, NULL));
	}
	reading->path_of = schema;
}

static void
set_path(Reading *reading, const char *path)
{
	reading->nest_level = NewGUCNestLevel();
	(void) set_config_option("search_path", path, PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
}

static void
leave_path(Reading *reading)
{
	if (reading->nest_level > 0)
		AtEOXact_GUC(false, reading->nest_level);
	reading->nest_level = 0;
	reading->path_of = InvalidOid;
}

static void
read_row(Reading *reading, SchemaKind kind, HeapTuple row, TupleDesc desc)
{
	SchemaModel *model = reading->model;
	KindPlan   *plan = &kind_plan[kind];
	MemoryContext old = MemoryContextSwitchTo(model->context);
	SchemaObject *object = palloc0(sizeof(SchemaObject));
	Oid			parent_class;
	Oid			relation = InvalidOid;
	Oid			owner = InvalidOid;
	bool		isnull;

	object->kind = kind;
	object->class_id = kind_class[kind];
	object->oid = DatumGetObjectId(SPI_getbinval(row, desc, COLUMN_OID, &isnull));
	object->sub_id = DatumGetInt32(SPI_getbinval(row, desc, COLUMN_SUB_ID, &isnull));
	object->schema_oid = DatumGetObjectId(SPI_getbinval(row, desc, COLUMN_SCHEMA, &isnull));
	object->name = SPI_getvalue(row, desc, COLUMN_NAME);
	enter_place(reading, object->schema_oid);
	object->schema = reading->place->is_target ? NULL : reading->place->name;
	if (kind == AR_SCHEMA_SCHEMA && object->schema)
		object->name = object->schema;

	parent_class = DatumGetObjectId(SPI_getbinval(row, desc, COLUMN_PARENT_CLASS, &isnull));
	if (OidIsValid(parent_class))
	{
		Oid			parent = DatumGetObjectId(SPI_getbinval(row, desc, COLUMN_PARENT, &isnull));

		object->parent = ar_schema_find_address(model, parent_class, parent,
												DatumGetInt32(SPI_getbinval(row, desc, COLUMN_PARENT_SUB_ID,
																			&isnull)));
		if (parent_class == RelationRelationId)
			relation = parent;
		/* a part of what is not in the model */
		if (object->parent == NULL)
			goto done;
	}
	else if (kind == AR_SCHEMA_TABLE)
	{
		relation = object->oid;
		if (strcmp(object->name, VERSION_TABLE) == 0)
			goto done;
	}

	object->value = palloc0(sizeof(char *) * Max(plan->count, 1));
	for (int i = 0; i < plan->count; i++)
	{
		if (strcmp(plan->column[i].name, "_owner") == 0)
			owner = DatumGetObjectId(SPI_getbinval(row, desc, COLUMN_FIRST_ATTRIBUTE + i, &isnull));
	}
	for (int i = 0; i < plan->count; i++)
	{
		const char *conversion = plan->column[i].conversion;
		int			number = COLUMN_FIRST_ATTRIBUTE + i;

		if (conversion == NULL)
		{
			char	   *text = SPI_getvalue(row, desc, number);

			if (text &&SPI_gettypeid(desc, number) == BOOLOID)
				text = text[0] == 't' ? "true" : "false";
			object->value[i] = text;
		}
		else
		{
			Datum		value = SPI_getbinval(row, desc, number, &isnull);
			char	   *text = NULL;

			if (strncmp(conversion, "acl_", 4) == 0)
				text = ar_schema_acl_text(value, isnull, conversion[4] == 'c' ? 'c' : conversion[4] == 't' ?
										  (conversion[5] == 'y' ? 'T' : 'r') : conversion[4] == 's' ?
										  (conversion[5] == 'e' ? 's' : 'n') : 'f', owner);

			else if (!isnull)
				text = convert(reading, object, conversion, value, relation, owner);

			object->value[i] = put_names_back(reading->source, text);
		}
	}
	if (plan->signature >= 0)
	{
		object->arguments = object->value[plan->signature];
		object->value[plan->signature] = NULL;
	}
	object->identity = make_identity(object);
	ar_schema_add(model, object);
	register_addresses(model, object);
done:
	MemoryContextSwitchTo(old);
}

/*
 * What an object is called, also in messages.
 */
static char *
make_identity(const SchemaObject *object)
{
	StringInfoData identity;

	initStringInfo(&identity);
	appendStringInfoString(&identity, kind_name[object->kind]);
	if (object->schema && object->kind != AR_SCHEMA_SCHEMA)
		appendStringInfo(&identity, " %s.", quote_identifier(object->schema));
	else if (object->name[0] != '\0' || object->parent)
		appendStringInfoChar(&identity, ' ');
	if (object->parent)
	{
		if (object->parent->parent)
			appendStringInfo(&identity, "%s.", quote_identifier(object->parent->parent->name));
		appendStringInfoString(&identity, quote_identifier(object->parent->name));
		if (object->name[0] != '\0')
			appendStringInfoChar(&identity, '.');
	}
	if (object->kind == AR_SCHEMA_UNMANAGED)
		appendStringInfoString(&identity, object->name);
	else if (object->name[0] != '\0')
		appendStringInfoString(&identity, quote_identifier(object->name));
	if (object->arguments)
		appendStringInfo(&identity, "(%s)", object->arguments);
	return identity.data;
}

/*
 * All that stands for the object in pg_depend.
 */
static void
register_addresses(SchemaModel *model, SchemaObject *object)
{
	static const char *const types[] = {"_type", "_array", "_multirange", "_multirange_array"};
	Oid			oid;

	if (OidIsValid(object->class_id))
		ar_schema_add_address(model, object->class_id, object->oid, object->sub_id, object);
	for (int i = 0; i < lengthof(types); i++)
	{
		if (OidIsValid(oid = oid_value(object, types[i])))
			ar_schema_add_address(model, TypeRelationId, oid, 0, object);
	}
	if (OidIsValid(oid = oid_value(object, "_rule")))
		ar_schema_add_address(model, RewriteRelationId, oid, 0, object);
	if (OidIsValid(oid = oid_value(object, "_generator")))
		ar_schema_add_address(model, AttrDefaultRelationId, oid, 0, object);
	if (OidIsValid(oid = oid_value(object, "_sequence")))
		ar_schema_add_address(model, RelationRelationId, oid, 0, object);
	if (OidIsValid(oid = oid_value(object, "_constraint")))
		ar_schema_add_address(model, ConstraintRelationId, oid, 0, object);
	if (object->kind == AR_SCHEMA_CONSTRAINT && OidIsValid(oid = oid_value(object, "_index")))
		ar_schema_add_address(model, RelationRelationId, oid, 0, object);
}

/*
 * The value of an "oid:" attribute; InvalidOid if the kind has none.
 */
static Oid
oid_value(const SchemaObject *object, const char *attribute)
{
	KindPlan   *plan = &kind_plan[object->kind];

	for (int i = 0; i < plan->count; i++)
	{
		if (plan->attribute[i][0] == '_' && strcmp(plan->attribute[i], attribute) == 0)
			return object->value[i] ? (Oid) strtoul(object->value[i], NULL, 10) : InvalidOid;
	}
	return InvalidOid;
}

/*
 * A value as text of the model.
 */
static char *
convert(Reading *reading, const SchemaObject *object, const char *conversion, Datum value,
		Oid relation, Oid owner)
{
	Oid			oid = DatumGetObjectId(value);
	Datum		pretty = BoolGetDatum(true);

	if (strcmp(conversion, "oid") == 0)
		return OidIsValid(oid) ? psprintf("%u", oid) : NULL;
	if (strcmp(conversion, "type") == 0)
	{
		char	   *typmod;
		char	   *pair = TextDatumGetCString(value);
		Oid			type = (Oid) strtoul(pair, &typmod, 10);

		return format_type_extended(type, atoi(typmod + 1), FORMAT_TYPE_TYPEMOD_GIVEN);
	}
	if (strcmp(conversion, "expression") == 0)
		return call_text(F_PG_GET_EXPR_PG_NODE_TREE_OID, 2, value, ObjectIdGetDatum(relation), 0);
	if (strcmp(conversion, "owner") == 0)
		return owner_name(reading, oid);
	if (strcmp(conversion, "role") == 0)
		return pstrdup(quote_identifier(GetUserNameFromId(oid, false)));
	if (strcmp(conversion, "constraint") == 0)
		return call_text(F_PG_GET_CONSTRAINTDEF_OID_BOOL, 2, value, pretty, 0);
	if (strcmp(conversion, "index") == 0)
		return call_text(F_PG_GET_INDEXDEF_OID_INT4_BOOL, 3, value, Int32GetDatum(0), pretty);
	if (strcmp(conversion, "trigger") == 0)
		return call_text(F_PG_GET_TRIGGERDEF_OID_BOOL, 2, value, pretty, 0);
	if (strcmp(conversion, "rule") == 0)
		return without_semicolon(call_text(F_PG_GET_RULEDEF_OID_BOOL, 2, value, pretty, 0));
	if (strcmp(conversion, "view") == 0)
		return without_semicolon(call_text(F_PG_GET_VIEWDEF_OID, 1, value, 0, 0));
	if (strcmp(conversion, "partition_key") == 0)
		return call_text(F_PG_GET_PARTKEYDEF, 1, value, 0, 0);
	if (strcmp(conversion, "function") == 0)
		return relative_definition(reading, object, call_text(F_PG_GET_FUNCTIONDEF, 1, value, 0, 0),
								   get_func_prokind(oid) == PROKIND_PROCEDURE ?
								   "CREATE OR REPLACE PROCEDURE" : "CREATE OR REPLACE FUNCTION");
	if (strcmp(conversion, "statistics") == 0)
		return relative_definition(reading, object,
								   call_text(F_PG_GET_STATISTICSOBJDEF, 1, value, 0, 0),
								   "CREATE STATISTICS");
	if (strcmp(conversion, "signature") == 0)
		return call_text(F_PG_GET_FUNCTION_IDENTITY_ARGUMENTS, 1, value, 0, 0);
	if (strcmp(conversion, "arguments") == 0)
		return call_text(F_PG_GET_FUNCTION_ARGUMENTS, 1, value, 0, 0);
	if (strcmp(conversion, "result") == 0)
		return call_text(F_PG_GET_FUNCTION_RESULT, 1, value, 0, 0);
	if (strcmp(conversion, "columns") == 0)
		return column_list(oid);
	if (strcmp(conversion, "relations") == 0)
		return relation_list(TextDatumGetCString(value));
	if (strcmp(conversion, "column") == 0)
	{
		char	   *number;
		char	   *pair = TextDatumGetCString(value);
		Oid			table = (Oid) strtoul(pair, &number, 10);

		return psprintf("%s.%s", relation_name(table),
						quote_identifier(get_attname(table, atoi(number + 1), false)));
	}
	if (strcmp(conversion, "collation") == 0)
		return generate_collation_name(oid);
	if (strcmp(conversion, "opclass") == 0)
		return generate_opclass_name(oid);
	if (strcmp(conversion, "function_name") == 0)
		return OidOutputFunctionCall(F_REGPROCOUT, value);
	if (strcmp(conversion, "operator") == 0)
		return OidOutputFunctionCall(F_REGOPEROUT, value);
	elog(ERROR, "there is no conversion \"%s\"", conversion);
	return NULL;
}

/*
 * Call a function that may return NULL, as a deparser does for what is gone.
 */
static char *
call_text(Oid function, int nargs, Datum a, Datum b, Datum c)
{
	LOCAL_FCINFO(fcinfo, 3);
	FmgrInfo	flinfo;
	Datum		result;

	fmgr_info(function, &flinfo);
	InitFunctionCallInfoData(*fcinfo, &flinfo, nargs, InvalidOid, NULL, NULL);
	fcinfo->args[0].value = a;
	fcinfo->args[0].isnull = false;
	fcinfo->args[1].value = b;
	fcinfo->args[1].isnull = false;
	fcinfo->args[2].value = c;
	fcinfo->args[2].isnull = false;
	result = FunctionCallInvoke(fcinfo);
	return fcinfo->isnull ? NULL : TextDatumGetCString(result);
}

static char *
without_semicolon(char *text)
{
	int			length;

	if (text == NULL)
		return NULL;
	while (*text == ' ' || *text == '\n')
		text	  ++;

	length = strlen(text);
	while (length > 0 && strchr("; \n", text[length - 1]))
		text[	  --length] = '\0';
	return text;
}

/*
 * Some deparsers always qualify the name of the object itself.
 */
static char *
relative_definition(Reading *reading, const SchemaObject *object, char *text, const char *command)
{
	char	   *prefix = psprintf("%s %s.", command,
								  quote_identifier(get_namespace_name(object->schema_oid)));
	int			length = strlen(prefix);
	char	   *end;

	if (text == NULL || strncmp(text, prefix, length) != 0)
		return text;

	if (reading->place->is_target || reading->source->path == NULL)
		text = psprintf("%s %s", command, &text[length]);

	end = &text[strlen(text)];
	while (end > text &&end[-1] == '\n')
		*--end = '\0';
	return text;
}

static char *
relation_list(char *oids)
{
	StringInfoData names;

	initStringInfo(&names);
	for (char *oid = strtok(oids, ","); oid; oid = strtok(NULL, ","))
		appendStringInfo(&names, "%s%s", names.len ? ", " : "",
						 relation_name((Oid) strtoul(oid, NULL, 10)));
	return names.data;
}

/*
 * The name of a relation, qualified where search_path does not find it.
 */
static char *
relation_name(Oid relation)
{
	char	   *name = get_rel_name(relation);

	if (RelationIsVisible(relation))
		return pstrdup(quote_identifier(name));
	return quote_qualified_identifier(get_namespace_name(get_rel_namespace(relation)), name);
}

/*
 * The columns of a view, one a line: as long as they begin the same, the view
 * can be replaced in place.
 */
static char *
column_list(Oid relation)
{
	Relation	rel = relation_open(relation, AccessShareLock);
	TupleDesc	desc = RelationGetDescr(rel);
	StringInfoData list;

	initStringInfo(&list);
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute column = TupleDescAttr(desc, i);

		appendStringInfo(&list, "%s %s %s\n", quote_identifier(NameStr(column->attname)),
						 format_type_with_typemod(column->atttypid, column->atttypmod),
						 OidIsValid(column->attcollation) ?
						 generate_collation_name(column->attcollation) : "-");
	}
	relation_close(rel, AccessShareLock);
	return list.data;
}

/*
 * The owner of an object, or NULL where it is that of its schema.
 */
static char *
owner_name(Reading *reading, Oid owner)
{
	if (owner == reading->place_owner)
		return NULL;
	return pstrdup(quote_identifier(GetUserNameFromId(owner, false)));
}

static Oid
schema_owner(Oid schema)
{
	HeapTuple	tuple = SearchSysCache1(NAMESPACEOID, ObjectIdGetDatum(schema));
	Oid			owner;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for schema %u", schema);
	owner = ((Form_pg_namespace) GETSTRUCT(tuple))->nspowner;
	ReleaseSysCache(tuple);
	if (owner == ROLE_PG_DATABASE_OWNER)
	{
		tuple = SearchSysCache1(DATABASEOID, ObjectIdGetDatum(MyDatabaseId));
		if (!HeapTupleIsValid(tuple))
			elog(ERROR, "cache lookup failed for database %u", MyDatabaseId);
		owner = ((Form_pg_database) GETSTRUCT(tuple))->datdba;
		ReleaseSysCache(tuple);
	}
	return owner;
}

/*
 * The names that schemas have in the model, in place of those that they have
 * for now.  The latter are ours, and nowhere else.
 */
static char *
put_names_back(const SchemaSource *source, char *text)
{
	ListCell   *cell;

	if (text == NULL)
		return NULL;
	foreach(cell, source->aliases)
	{
		SchemaAlias *alias = lfirst(cell);
		StringInfoData result;
		int			length = strlen(alias->now);
		const char *at = text;
		const char *found;

		if (strstr(text, alias->now) == NULL)
			continue;
		initStringInfo(&result);
		while ((found = strstr(at, alias->now)) != NULL)
		{
			appendBinaryStringInfo(&result, at, found - at);
			appendStringInfoString(&result, quote_identifier(alias->name));
			at = found + length;
		}
		appendStringInfoString(&result, at);
		text = result.data;
	}
	return text;
}

static int
compare_schemas(const ListCell *a, const ListCell *b)
{
	const SchemaObject *left = lfirst(a);
	const SchemaObject *right = lfirst(b);

	if (left->schema_oid != right->schema_oid)
		return left->schema_oid < right->schema_oid ? -1 : 1;
	return strcmp(left->identity, right->identity);
}

static int
compare_identities(const ListCell *a, const ListCell *b)
{
	return strcmp(((SchemaObject *) lfirst(a))->identity, ((SchemaObject *) lfirst(b))->identity);
}
