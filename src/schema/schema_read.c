/*
 * schema_read.c: the catalogs of some schemas as a model.
 *
 * One query for each kind of object, over all schemas at once.  The queries
 * run with pg_catalog alone in search_path; what they leave is turned into text
 * by the server's own deparsers, with the search_path of the model.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/relation.h"
#include "access/transam.h"
#include "catalog/namespace.h"
#include "catalog/pg_am.h"
#include "catalog/pg_attrdef.h"
#include "catalog/pg_class.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_database.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_index.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_policy.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_rewrite.h"
#include "catalog/pg_statistic_ext.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "commands/defrem.h"
#include "executor/executor.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "schema/schema.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/plancache.h"
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

/*
 * The queries have many joins, in the best order, each over in no time; how
 * many schemas there are decides how they are best run.
 */
static const char *const reading_settings[][2] = {
	{"search_path", "pg_catalog, pg_temp"},
	{"jit", "off"},
	{"join_collapse_limit", "1"},
	{"max_parallel_workers_per_gather", "0"},
	{"plan_cache_mode", "force_custom_plan"},
};

/* How a value of a query becomes text of the model. */
typedef enum Conversion
{
	CONVERT_TEXT,				/* it is text already */
	CONVERT_FLAG,				/* boolean */
	CONVERT_OUTPUT,				/* by the output function of its type */
	CONVERT_OID,
	CONVERT_TYPE,
	CONVERT_OWNER,
	CONVERT_ROLE,
	CONVERT_ACL,
	CONVERT_OPTIONS,
	CONVERT_TOAST_OPTIONS,
	CONVERT_FOREIGN_OPTIONS,
	CONVERT_PLAIN_KEY,
	CONVERT_PLAIN_INDEX,
	/* from here on search_path says what is qualified */
	CONVERT_EXPRESSION,
	CONVERT_CONSTANT,
	CONVERT_CONSTRAINT,
	CONVERT_INDEX,
	CONVERT_TRIGGER,
	CONVERT_RULE,
	CONVERT_VIEW,
	CONVERT_PARTITION_KEY,
	CONVERT_FUNCTION,
	CONVERT_STATISTICS,
	CONVERT_SIGNATURE,
	CONVERT_ARGUMENTS,
	CONVERT_RESULT,
	CONVERT_COLUMNS,
	CONVERT_RELATIONS,
	CONVERT_COLUMN,
	CONVERT_COLLATION,
	CONVERT_OPERATOR_CLASS,
	CONVERT_FUNCTION_NAME,
	CONVERT_OPERATOR
} Conversion;

/* By what a query calls them. */
static const struct
{
	const char *name;
	Conversion	conversion;
	char		object_type;	/* of a privilege list */
}			conversions[] = {
	{"oid", CONVERT_OID},
	{"type", CONVERT_TYPE},
	{"expression", CONVERT_EXPRESSION},
	{"constant", CONVERT_CONSTANT},
	{"owner", CONVERT_OWNER},
	{"role", CONVERT_ROLE},
	{"acl_column", CONVERT_ACL, 'c'},
	{"acl_function", CONVERT_ACL, 'f'},
	{"acl_schema", CONVERT_ACL, 'n'},
	{"acl_sequence", CONVERT_ACL, 's'},
	{"acl_table", CONVERT_ACL, 'r'},
	{"acl_type", CONVERT_ACL, 'T'},
	{"constraint", CONVERT_CONSTRAINT},
	{"index", CONVERT_INDEX},
	{"plain_index", CONVERT_PLAIN_INDEX},
	{"plain_key", CONVERT_PLAIN_KEY},
	{"trigger", CONVERT_TRIGGER},
	{"rule", CONVERT_RULE},
	{"view", CONVERT_VIEW},
	{"partition_key", CONVERT_PARTITION_KEY},
	{"function", CONVERT_FUNCTION},
	{"statistics", CONVERT_STATISTICS},
	{"signature", CONVERT_SIGNATURE},
	{"arguments", CONVERT_ARGUMENTS},
	{"result", CONVERT_RESULT},
	{"options", CONVERT_OPTIONS},
	{"toast_options", CONVERT_TOAST_OPTIONS},
	{"foreign_options", CONVERT_FOREIGN_OPTIONS},
	{"columns", CONVERT_COLUMNS},
	{"relations", CONVERT_RELATIONS},
	{"column", CONVERT_COLUMN},
	{"collation", CONVERT_COLLATION},
	{"opclass", CONVERT_OPERATOR_CLASS},
	{"function_name", CONVERT_FUNCTION_NAME},
	{"operator", CONVERT_OPERATOR},
};

/* A column of a kind's query, taken apart once for all. */
typedef struct KindColumn
{
	const char *name;
	Conversion	conversion;
	char		object_type;
	Oid			type;
	Oid			address_class;	/* InvalidOid: it is no address */
} KindColumn;

typedef struct KindPlan
{
	SPIPlanPtr	plan;
	int			count;
	KindColumn	column[AR_SCHEMA_ATTRIBUTES_MAX];
	const char *attribute[AR_SCHEMA_ATTRIBUTES_MAX];
	int			signature;		/* which column is the signature; -1: none */
	int			owner;			/* which one is "_owner"; -1: none */
	int			plain;			/* which one is "_plain"; -1: none */
} KindPlan;

static KindPlan kind_plan[AR_SCHEMA_KINDS];

/* What an index on a column of a type has if it says nothing. */
typedef struct UsualKey
{
	Oid			type;
	Oid			opclass;		/* of btree */
	Oid			collation;
} UsualKey;

/* While a model is read. */
typedef struct Reading
{
	DestReceiver receiver;		/* of the rows */
	const SchemaSource *source;
	SchemaModel *model;
	ParamListInfo schemas;
	SchemaKind	kind;
	int			nest_level;		/* of the search_path; 0: none is set */
	SchemaPlace **places;		/* of the source, by Oid */
	int			place_count;
	SchemaPlace *place;
	Oid			place_owner;
	const char *last[AR_SCHEMA_ATTRIBUTES_MAX]; /* values of the row before */
	char	   *default_privileges[128];	/* by type of object */
	HTAB	   *types;			/* names of types that no search_path changes */
	HTAB	   *usual_keys;		/* UsualKey */
	MemoryContext scratch;		/* of a row */
} Reading;

typedef struct TypeEntry
{
	int64		key;			/* as TYPE() of the queries has it */
	char	   *name;
} TypeEntry;

static void prepare_kind(SchemaKind kind);
static void read_kind(Reading *reading, SchemaKind kind);
static void enter_place(Reading *reading, Oid schema);
static void need_path(Reading *reading);
static void leave_path(Reading *reading);
static bool receive_row(TupleTableSlot *slot, DestReceiver *self);
static void start_receiving(DestReceiver *self, int operation, TupleDesc desc);
static void end_receiving(DestReceiver *self);
static void read_row(Reading *reading, const Datum *values, const bool *nulls);
static const char *keep_value(Reading *reading, int column, const char *text);
static bool is_hidden(Reading *reading, const SchemaObject *object);
static void make_identity(const SchemaObject *object, StringInfo identity);
static void append_name(StringInfo text, const char *name, char after);
static void register_addresses(const Reading *reading, SchemaObject *object);
static void register_address(const Reading *reading, SchemaObject *object, Oid class, Oid oid, int32 sub_id);
static Oid	address_class(SchemaKind kind, const char *attribute);
static char *convert(Reading *reading, const SchemaObject *object, const KindColumn *column,
					 Datum value, bool isnull, Oid relation, Oid owner);
static char *default_privileges(Reading *reading, char object_type);
static const char *type_name(Reading *reading, int64 key);
static char *key_definition(const SchemaObject *key, Oid constraint);
static char *call_text(Oid function, int nargs, Datum a, Datum b, Datum c);
static char *plain_key(Reading *reading, const SchemaObject *object, ArrayType *columns);
static char *plain_index(Reading *reading, const SchemaObject *object, HeapTupleHeader row);
static UsualKey *usual_key(Reading *reading, Oid type);
static char *index_definition(Oid index);
static char *constraint_definition(Datum constraint);
static char *statistics_definition(Oid statistics);
static char *without_semicolon(char *text);
static char *relative_definition(Reading *reading, const SchemaObject *object, char *text,
								 const char *command);
static char *option_list(Datum array, const char *prefix, char between);
static char *relation_list(char *oids);
static char *relation_name(Oid relation);
static const char *table_name(Reading *reading, const SchemaObject *table);
static char *column_list(Oid relation);
static char *owner_name(Reading *reading, Oid owner);
static char *put_names_back(const SchemaSource *source, char *text);
static Oid	schema_owner(Oid schema);
static int	compare_texts(const ListCell *a, const ListCell *b);
static int	compare_places(const void *a, const void *b);
static int	compare_schemas(const ListCell *a, const ListCell *b);
static int	compare_identities(const ListCell *a, const ListCell *b);
static int	compare_parts(const ListCell *a, const ListCell *b);
static int	constraint_rank(const SchemaObject *constraint);

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
	Reading		reading = {
		.receiver = {receive_row, start_receiving, end_receiving, end_receiving, DestTuplestore},
		.source = source,.model = model,.schemas = makeParamList(1)
	};
	Datum	   *oids = palloc(sizeof(Datum) * Max(list_length(source->places), 1));
	HASHCTL		types = {.keysize = sizeof(int64),.entrysize = sizeof(TypeEntry),.hcxt = model->context};
	HASHCTL		keys = {.keysize = sizeof(Oid),.entrysize = sizeof(UsualKey),.hcxt = model->context};
	int			nest_level;
	ListCell   *cell;

	model->is_many = source->path == NULL;
	reading.scratch = AllocSetContextCreate(model->context, "algo_ref catalog row", ALLOCSET_DEFAULT_SIZES);
	reading.types = hash_create("algo_ref type names", 64, &types, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	reading.usual_keys = hash_create("algo_ref usual keys", 64, &keys, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	reading.places = palloc(sizeof(SchemaPlace *) * Max(list_length(source->places), 1));
	foreach(cell, source->places)
		reading.places[reading.place_count++] = lfirst(cell);
	qsort(reading.places, reading.place_count, sizeof(SchemaPlace *), compare_places);
	for (int i = 0; i < reading.place_count; i++)
		oids[i] = ObjectIdGetDatum(reading.places[i]->oid);
	reading.schemas->params[0].ptype = OIDARRAYOID;
	reading.schemas->params[0].isnull = false;
	reading.schemas->params[0].pflags = PARAM_FLAG_CONST;
	reading.schemas->params[0].value = PointerGetDatum(construct_array(oids, list_length(source->places), OIDOID,
																	   sizeof(Oid), true, TYPALIGN_INT));

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	nest_level = NewGUCNestLevel();
	for (int i = 0; i < lengthof(reading_settings); i++)
		(void) set_config_option(reading_settings[i][0], reading_settings[i][1], PGC_USERSET, PGC_S_SESSION,
								 GUC_ACTION_SAVE, true, 0, false);
	for (int kind = 0; kind < AR_SCHEMA_KINDS; kind++)
		read_kind(&reading, kind);
	AtEOXact_GUC(false, nest_level);
	SPI_finish();

	MemoryContextSwitchTo(model->context);
	MemoryContextDelete(reading.scratch);
	hash_destroy(reading.types);
	hash_destroy(reading.usual_keys);
	list_sort(model->objects, model->is_many ? compare_schemas : compare_identities);
	foreach(cell, model->objects)
		list_sort(((SchemaObject *) lfirst(cell))->parts, compare_parts);
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
	TupleDesc	desc;
	MemoryContext old;

	if (prepared == NULL)
		elog(ERROR, "SPI_prepare failed: %s", SPI_result_code_string(SPI_result));
	desc = ((CachedPlanSource *) linitial(SPI_plan_get_plan_sources(prepared)))->resultDesc;
	plan->count = 0;
	plan->signature = -1;
	plan->owner = -1;
	plan->plain = -1;
	old = MemoryContextSwitchTo(TopMemoryContext);
	for (int i = COLUMN_FIRST_ATTRIBUTE; i <= desc->natts; i++)
	{
		char	   *name = pstrdup(SPI_fname(desc, i));
		char	   *colon = strchr(name, ':');
		KindColumn *column = &plan->column[plan->count];

		column->type = SPI_gettypeid(desc, i);
		column->conversion = column->type == TEXTOID ? CONVERT_TEXT :
			column->type == BOOLOID ? CONVERT_FLAG : CONVERT_OUTPUT;
		column->name = name;
		if (colon)
		{
			int			which = 0;

			*colon = '\0';
			while (which < lengthof(conversions) && strcmp(conversions[which].name, name) != 0)
				which++;
			if (which == lengthof(conversions))
				elog(ERROR, "there is no conversion \"%s\"", name);
			column->conversion = conversions[which].conversion;
			column->object_type = conversions[which].object_type;
			column->name = colon + 1;
		}
		column->address_class = address_class(kind, column->name);
		if (strcmp(column->name, "!") == 0)
			plan->signature = plan->count;
		if (strcmp(column->name, "_owner") == 0)
			plan->owner = plan->count;
		if (strcmp(column->name, "_plain") == 0)
			plan->plain = plan->count;
		Assert(plan->count < AR_SCHEMA_ATTRIBUTES_MAX);
		plan->attribute[plan->count++] = column->name;
	}
	MemoryContextSwitchTo(old);
	if (SPI_keepplan(prepared) != 0)
		elog(ERROR, "SPI_keepplan failed");
	plan->plan = prepared;
}

/*
 * The rows are read as they come; nothing collects them before.
 */
static void
read_kind(Reading *reading, SchemaKind kind)
{
	SPIExecuteOptions options = {.read_only = true};

	CHECK_FOR_INTERRUPTS();
	if (kind_plan[kind].plan == NULL)
		prepare_kind(kind);
	reading->kind = kind;
	reading->place = NULL;
	memset(reading->last, 0, sizeof(reading->last));
	options.params = reading->schemas;
	options.dest = &reading->receiver;
	if (SPI_execute_plan_extended(kind_plan[kind].plan, &options) != SPI_OK_SELECT)
		elog(ERROR, "could not read the catalogs");
	leave_path(reading);
}

static bool
receive_row(TupleTableSlot *slot, DestReceiver *self)
{
	slot_getallattrs(slot);
	read_row((Reading *) self, slot->tts_values, slot->tts_isnull);
	return true;
}

static void
start_receiving(DestReceiver *self, int operation, TupleDesc desc)
{
}

static void
end_receiving(DestReceiver *self)
{
}

/*
 * What a row means depends on the place of its schema.
 */
static void
enter_place(Reading *reading, Oid schema)
{
	SchemaPlace wanted = {.oid = schema};
	SchemaPlace *key = &wanted;
	SchemaPlace **found;

	if (reading->place && reading->place->oid == schema)
		return;
	found = bsearch(&key, reading->places, reading->place_count, sizeof(SchemaPlace *), compare_places);
	if (found == NULL)
		elog(ERROR, "an object of schema %u was not asked for", schema);
	reading->place = *found;
	reading->place_owner = schema_owner(schema);
	if (reading->source->path == NULL)
		leave_path(reading);
}

/*
 * Set the search_path for what needs it; each of many schemas has its own.
 */
static void
need_path(Reading *reading)
{
	const char *path = reading->source->path;

	if (reading->nest_level > 0)
		return;
	if (path == NULL)
		path = ar_schema_path(reading->place->name, NULL);
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
}

static void
read_row(Reading *reading, const Datum *values, const bool *nulls)
{
	SchemaModel *model = reading->model;
	SchemaKind	kind = reading->kind;
	KindPlan   *plan = &kind_plan[kind];
	const Datum *datum = &values[COLUMN_FIRST_ATTRIBUTE - 1];
	const bool *isnull = &nulls[COLUMN_FIRST_ATTRIBUTE - 1];
	MemoryContext old = MemoryContextSwitchTo(reading->scratch);
	StringInfoData identity;
	SchemaObject *object;
	char	   *name;
	Oid			schema;
	Oid			parent_class;
	SchemaObject *parent = NULL;
	Oid			relation = InvalidOid;
	Oid			owner = InvalidOid;

	MemoryContextReset(reading->scratch);
	name = TextDatumGetCString(values[COLUMN_NAME - 1]);
	schema = DatumGetObjectId(values[COLUMN_SCHEMA - 1]);
	enter_place(reading, schema);

	parent_class = DatumGetObjectId(values[COLUMN_PARENT_CLASS - 1]);
	if (OidIsValid(parent_class))
	{
		Oid			oid = DatumGetObjectId(values[COLUMN_PARENT - 1]);

		parent = ar_schema_find_address(model, parent_class, oid,
										DatumGetInt32(values[COLUMN_PARENT_SUB_ID - 1]));
		if (parent_class == RelationRelationId)
			relation = oid;
	}
	else if (kind == AR_SCHEMA_TABLE)
		relation = DatumGetObjectId(values[COLUMN_OID - 1]);

	/*
	 * A part of what is not in the model, the version table, or what makes a
	 * generated column, which has it already.
	 */
	if ((OidIsValid(parent_class) && parent == NULL) ||
		(kind == AR_SCHEMA_DEFAULT && ar_schema_find_address(model, AttrDefaultRelationId,
															 DatumGetObjectId(values[COLUMN_OID - 1]), 0)) ||
		(kind == AR_SCHEMA_TABLE && strcmp(name, VERSION_TABLE) == 0))
	{
		MemoryContextSwitchTo(old);
		return;
	}

	object = MemoryContextAllocZero(model->context, sizeof(SchemaObject));
	object->kind = kind;
	object->class_id = kind_class[kind];
	object->oid = DatumGetObjectId(values[COLUMN_OID - 1]);
	object->sub_id = DatumGetInt32(values[COLUMN_SUB_ID - 1]);
	object->schema_oid = schema;
	object->schema = reading->place->is_target ? NULL : reading->place->name;
	object->name = MemoryContextStrdup(model->context,
									   kind == AR_SCHEMA_SCHEMA && object->schema ? object->schema : name);
	object->parent = parent;
	object->value = MemoryContextAllocZero(model->context, sizeof(char *) * Max(plan->count, 1));
	if (plan->owner >= 0)
		owner = DatumGetObjectId(datum[plan->owner]);
	for (int i = 0; i < plan->count; i++)
	{
		char	   *text = convert(reading, object, &plan->column[i], datum[i], isnull[i], relation, owner);

		if (text)
			object->value[i] = keep_value(reading, i, put_names_back(reading->source, text));
	}
	if (plan->signature >= 0)
	{
		object->arguments = object->value[plan->signature];
		object->value[plan->signature] = NULL;
	}
	if (plan->plain >= 0)
		object->value[plan->plain] = NULL;
	initStringInfo(&identity);
	make_identity(object, &identity);
	object->identity = MemoryContextStrdup(model->context, identity.data);
	object->is_hidden = object->schema == NULL && !model->is_many && is_hidden(reading, object);
	MemoryContextSwitchTo(old);
	ar_schema_add(model, object);
	register_addresses(reading, object);
}

/*
 * A value of the model; often it is that of the row before.
 */
static const char *
keep_value(Reading *reading, int column, const char *text)
{
	const char **last = &reading->last[column];

	if (*last == NULL || strcmp(*last, text) != 0)
		*last = MemoryContextStrdup(reading->model->context, text);
	return *last;
}

/*
 * Is a type or a function not found by its name, because one of the server's
 * has the same?
 */
static bool
is_hidden(Reading *reading, const SchemaObject *object)
{
	need_path(reading);
	switch (object->kind)
	{
		case AR_SCHEMA_ENUM:
		case AR_SCHEMA_DOMAIN:
		case AR_SCHEMA_RANGE:
			return !TypeIsVisible(object->oid);
		case AR_SCHEMA_COMPOSITE:
			return !TypeIsVisible((Oid) strtoul(ar_schema_value(object, "_type"), NULL, 10));
		case AR_SCHEMA_FUNCTION:
		case AR_SCHEMA_AGGREGATE:
			return !FunctionIsVisible(object->oid);
		default:
			return false;
	}
}

/*
 * What an object is called, also in messages.
 */
static void
make_identity(const SchemaObject *object, StringInfo identity)
{
	appendStringInfoString(identity, kind_name[object->kind]);
	if (object->schema && object->kind != AR_SCHEMA_SCHEMA)
	{
		appendStringInfoChar(identity, ' ');
		append_name(identity, object->schema, '.');
	}
	else if (object->name[0] != '\0' || object->parent)
		appendStringInfoChar(identity, ' ');
	if (object->parent)
	{
		if (object->parent->parent)
			append_name(identity, object->parent->parent->name, '.');
		append_name(identity, object->parent->name, object->name[0] != '\0' ? '.' : '\0');
	}
	if (object->kind == AR_SCHEMA_UNMANAGED)
		appendStringInfoString(identity, object->name);
	else if (object->name[0] != '\0')
		append_name(identity, object->name, '\0');
	if (object->arguments)
		appendStringInfo(identity, "(%s)", object->arguments);
}

static void
append_name(StringInfo text, const char *name, char after)
{
	appendStringInfoString(text, quote_identifier(name));
	if (after != '\0')
		appendStringInfoChar(text, after);
}

/*
 * All that stands for the object in pg_depend.
 */
static void
register_addresses(const Reading *reading, SchemaObject *object)
{
	KindPlan   *plan = &kind_plan[object->kind];

	if (OidIsValid(object->class_id))
		register_address(reading, object, object->class_id, object->oid, object->sub_id);
	for (int i = 0; i < plan->count; i++)
	{
		if (OidIsValid(plan->column[i].address_class) && object->value[i])
			register_address(reading, object, plan->column[i].address_class,
							 (Oid) strtoul(object->value[i], NULL, 10), 0);
	}
}

static void
register_address(const Reading *reading, SchemaObject *object, Oid class, Oid oid, int32 sub_id)
{
	ar_schema_add_address(reading->model, class, oid, sub_id, object);
	if (class == TypeRelationId && reading->source->with_dependencies)
	{
		Oid			array = get_array_type(oid);

		if (OidIsValid(array))
			ar_schema_add_address(reading->model, class, array, 0, object);
	}
}

/*
 * The class of the Oids in an attribute that stand for the object, too.
 */
static Oid
address_class(SchemaKind kind, const char *attribute)
{
	static const struct
	{
		const char *attribute;
		Oid			class;
	}			classes[] = {
		{"_type", TypeRelationId},
		{"_multirange", TypeRelationId},
		{"_rule", RewriteRelationId},
		{"_generator", AttrDefaultRelationId},
		{"_sequence", RelationRelationId},
		{"_constraint", ConstraintRelationId},
	};

	for (int i = 0; i < lengthof(classes); i++)
	{
		if (strcmp(classes[i].attribute, attribute) == 0)
			return classes[i].class;
	}
	return kind == AR_SCHEMA_CONSTRAINT && strcmp(attribute, "_index") == 0 ? RelationRelationId : InvalidOid;
}

/*
 * A value as text of the model, in the current memory context or one that
 * lasts; NULL if there is none.
 */
static char *
convert(Reading *reading, const SchemaObject *object, const KindColumn *column, Datum value,
		bool isnull, Oid relation, Oid owner)
{
	Oid			oid = DatumGetObjectId(value);
	Datum		pretty = BoolGetDatum(true);
	int			plain = kind_plan[object->kind].plain;

	/* no list of privileges stands for those of the default */
	if (column->conversion == CONVERT_ACL && isnull)
		return default_privileges(reading, column->object_type);
	if (isnull)
		return NULL;
	if ((column->conversion == CONVERT_CONSTRAINT || column->conversion == CONVERT_INDEX) && plain >= 0 &&
		object->value[plain])
		return unconstify(char *, object->value[plain]);
	if (column->conversion >= CONVERT_EXPRESSION)
		need_path(reading);
	switch (column->conversion)
	{
		case CONVERT_TEXT:
			return TextDatumGetCString(value);
		case CONVERT_FLAG:
			return DatumGetBool(value) ? "true" : "false";
		case CONVERT_OUTPUT:
			{
				Oid			function;
				bool		is_varlena;

				getTypeOutputInfo(column->type, &function, &is_varlena);
				return OidOutputFunctionCall(function, value);
			}
		case CONVERT_OID:
			return OidIsValid(oid) ? psprintf("%u", oid) : NULL;
		case CONVERT_TYPE:
			return unconstify(char *, type_name(reading, DatumGetInt64(value)));
		case CONVERT_EXPRESSION:
			return call_text(F_PG_GET_EXPR_PG_NODE_TREE_OID, 2, value, ObjectIdGetDatum(relation), 0);
			/* without columns: no need to open the table */
		case CONVERT_CONSTANT:
			return call_text(F_PG_GET_EXPR_PG_NODE_TREE_OID, 2, value, ObjectIdGetDatum(InvalidOid), 0);
		case CONVERT_OWNER:
			return owner_name(reading, oid);
		case CONVERT_ROLE:
			return pstrdup(quote_identifier(GetUserNameFromId(oid, false)));
		case CONVERT_ACL:
			return ar_schema_acl_text(value, owner);
		case CONVERT_CONSTRAINT:
			if (object->kind == AR_SCHEMA_CONSTRAINT && ar_schema_flag(object, "_has_options"))
				return key_definition(object, oid);
			return constraint_definition(value);
		case CONVERT_PLAIN_KEY:
			return plain_key(reading, object, DatumGetArrayTypeP(value));
		case CONVERT_PLAIN_INDEX:
			return plain_index(reading, object, DatumGetHeapTupleHeader(value));
		case CONVERT_INDEX:
			return index_definition(oid);
		case CONVERT_TRIGGER:
			return call_text(F_PG_GET_TRIGGERDEF_OID_BOOL, 2, value, pretty, 0);
		case CONVERT_RULE:
			return without_semicolon(call_text(F_PG_GET_RULEDEF_OID_BOOL, 2, value, pretty, 0));
		case CONVERT_VIEW:
			return without_semicolon(call_text(F_PG_GET_VIEWDEF_OID, 1, value, 0, 0));
		case CONVERT_PARTITION_KEY:
			return call_text(F_PG_GET_PARTKEYDEF, 1, value, 0, 0);
		case CONVERT_FUNCTION:
			return relative_definition(reading, object, call_text(F_PG_GET_FUNCTIONDEF, 1, value, 0, 0),
									   get_func_prokind(oid) == PROKIND_PROCEDURE ?
									   "CREATE OR REPLACE PROCEDURE" : "CREATE OR REPLACE FUNCTION");
		case CONVERT_STATISTICS:
			return relative_definition(reading, object,
									   statistics_definition(oid), "CREATE STATISTICS");
		case CONVERT_SIGNATURE:
			return call_text(F_PG_GET_FUNCTION_IDENTITY_ARGUMENTS, 1, value, 0, 0);
		case CONVERT_ARGUMENTS:
			return call_text(F_PG_GET_FUNCTION_ARGUMENTS, 1, value, 0, 0);
		case CONVERT_RESULT:
			return call_text(F_PG_GET_FUNCTION_RESULT, 1, value, 0, 0);
		case CONVERT_OPTIONS:
			return option_list(value, "", '=');
		case CONVERT_TOAST_OPTIONS:
			return option_list(value, "toast.", '=');
		case CONVERT_FOREIGN_OPTIONS:
			return option_list(value, "", ' ');
		case CONVERT_COLUMNS:
			return column_list(oid);
		case CONVERT_RELATIONS:
			return relation_list(TextDatumGetCString(value));
		case CONVERT_COLUMN:
			{
				char	   *number;
				char	   *pair = TextDatumGetCString(value);
				Oid			table = (Oid) strtoul(pair, &number, 10);

				return psprintf("%s.%s", relation_name(table),
								quote_identifier(get_attname(table, atoi(number + 1), false)));
			}
		case CONVERT_COLLATION:
			return generate_collation_name(oid);
		case CONVERT_OPERATOR_CLASS:
			return generate_opclass_name(oid);
		case CONVERT_FUNCTION_NAME:
			return OidOutputFunctionCall(F_REGPROCOUT, value);
		case CONVERT_OPERATOR:
			return OidOutputFunctionCall(F_REGOPEROUT, value);
	}
	return NULL;
}

/*
 * The privileges that objects of a type have as long as nobody changes them,
 * made once: the owner has no name in them.
 */
static char *
default_privileges(Reading *reading, char object_type)
{
	char	  **text = &reading->default_privileges[(unsigned char) object_type];

	if (*text == NULL)
		*text = MemoryContextStrdup(reading->model->context, ar_schema_acl_default(object_type));
	return *text;
}

/*
 * The name of a type with its modifier.  One of the server's own is called the
 * same under every search_path of a model.
 */
static const char *
type_name(Reading *reading, int64 key)
{
	Oid			type = (Oid) (key >> 32);
	int32		typmod = (int32) ((key & PG_UINT32_MAX) - 1);
	TypeEntry  *entry;
	bool		found;

	if (type >= FirstNormalObjectId)
	{
		need_path(reading);
		return format_type_extended(type, typmod, FORMAT_TYPE_TYPEMOD_GIVEN);
	}
	entry = hash_search(reading->types, &key, HASH_ENTER, &found);
	if (!found)
		entry->name = MemoryContextStrdup(reading->model->context,
										  format_type_extended(type, typmod, FORMAT_TYPE_TYPEMOD_GIVEN));
	return entry->name;
}

/*
 * The definition of a key with the options and the tablespace of its index,
 * which the server has only in a whole command.
 */
static char *
key_definition(const SchemaObject *key, Oid constraint)
{
	char	   *command = pg_get_constraintdef_command(constraint);
	char	   *name = psprintf(" ADD CONSTRAINT %s ", quote_identifier(key->name));
	char	   *found = strstr(command + strlen("ALTER TABLE ") + strlen(quote_identifier(key->parent->name)), name);

	if (found == NULL)
		elog(ERROR, "could not read the definition of %s", key->name);
	return found + strlen(name);
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

/*
 * Without needless parentheses, but where they say how conditions are joined.
 */
static char *
constraint_definition(Datum constraint)
{
	char	   *text = call_text(F_PG_GET_CONSTRAINTDEF_OID_BOOL, 2, constraint, BoolGetDatum(true), 0);

	if (text &&(strstr(text, " AND ") || strstr(text, " OR ")))
		text = call_text(F_PG_GET_CONSTRAINTDEF_OID_BOOL, 2, constraint, BoolGetDatum(false), 0);
	return text;
}

/*
 * With the columns in the order of their names, which the server has in that of
 * the table.
 */
static char *
statistics_definition(Oid statistics)
{
	char	   *text = call_text(F_PG_GET_STATISTICSOBJDEF, 1, ObjectIdGetDatum(statistics), 0, 0);
	char	   *columns = call_text(F_PG_GET_STATISTICSOBJDEF_COLUMNS, 1, ObjectIdGetDatum(statistics), 0, 0);
	HeapTuple	tuple = SearchSysCache1(STATEXTOID, ObjectIdGetDatum(statistics));
	Form_pg_statistic_ext form;
	List	   *names = NIL;
	StringInfoData before;
	StringInfoData after;
	char	   *at;
	ListCell   *cell;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for statistics object %u", statistics);
	form = (Form_pg_statistic_ext) GETSTRUCT(tuple);
	initStringInfo(&before);
	initStringInfo(&after);
	for (int i = 0; i < form->stxkeys.dim1; i++)
	{
		char	   *name = pstrdup(quote_identifier(get_attname(form->stxrelid, form->stxkeys.values[i], false)));

		appendStringInfo(&before, "%s%s", i ? ", " : "", name);
		names = lappend(names, name);
	}
	ReleaseSysCache(tuple);
	list_sort(names, compare_texts);
	foreach(cell, names)
		appendStringInfo(&after, "%s%s", after.len ? ", " : "", (char *) lfirst(cell));
	at = strstr(text, psprintf(" ON %s FROM ", columns));
	if (at == NULL || strncmp(columns, before.data, before.len) != 0)
		return text;

	memcpy(at + strlen(" ON "), after.data, after.len);
	return text;
}

/*
 * The server's deparsers look up the table, the index and each of their columns
 * once more.  Of a key without options and of a btree index of columns alone the
 * model has already all that there is to say; the queries choose them.  NULL if
 * it has not.
 */
static char *
plain_key(Reading *reading, const SchemaObject *object, ArrayType *columns)
{
	int16	   *number = (int16 *) ARR_DATA_PTR(columns);
	int			count = ArrayGetNItems(ARR_NDIM(columns), ARR_DIMS(columns));
	StringInfoData definition;

	initStringInfo(&definition);
	appendStringInfoString(&definition, strcmp(ar_schema_value(object, "type"), "p") == 0 ? "PRIMARY KEY (" : "UNIQUE (");
	for (int i = 0; i < count; i++)
	{
		SchemaObject *column = ar_schema_find_address(reading->model, RelationRelationId, object->parent->oid, number[i]);

		if (column == NULL)
			return NULL;
		appendStringInfo(&definition, "%s%s", i ? ", " : "", quote_identifier(column->name));
	}
	appendStringInfoChar(&definition, ')');
	return definition.data;
}

static char *
plain_index(Reading *reading, const SchemaObject *object, HeapTupleHeader row)
{
	Form_pg_index form = (Form_pg_index) ((char *) row + row->t_hoff);
	bool		isnull;
	oidvector  *opclasses = (oidvector *) DatumGetPointer(GetAttributeByNum(row, Anum_pg_index_indclass, &isnull));
	oidvector  *collations = (oidvector *) DatumGetPointer(GetAttributeByNum(row, Anum_pg_index_indcollation, &isnull));
	int2vector *options = (int2vector *) DatumGetPointer(GetAttributeByNum(row, Anum_pg_index_indoption, &isnull));
	StringInfoData definition;

	initStringInfo(&definition);
	appendStringInfo(&definition, "CREATE %sINDEX %s ON ", form->indisunique ? "UNIQUE " : "", quote_identifier(object->name));
	appendStringInfo(&definition, "%s USING btree (", table_name(reading, object->parent));
	for (int i = 0; i < form->indnkeyatts; i++)
	{
		SchemaObject *column = ar_schema_find_address(reading->model, RelationRelationId, form->indrelid,
													  form->indkey.values[i]);
		UsualKey   *usual;

		if (column == NULL || column->kind != AR_SCHEMA_COLUMN || options->values[i] != 0 ||
			ar_schema_value(column, "collation"))
			return NULL;
		usual = usual_key(reading, (Oid) strtoul(ar_schema_value(column, "_type_oid"), NULL, 10));
		/* one that is not the server's own may have options */
		if (opclasses->values[i] != usual->opclass || usual->opclass >= FirstNormalObjectId ||
			collations->values[i] != usual->collation)
			return NULL;
		appendStringInfo(&definition, "%s%s", i ? ", " : "", quote_identifier(column->name));
	}
	appendStringInfoChar(&definition, ')');
	return definition.data;
}

static UsualKey *
usual_key(Reading *reading, Oid type)
{
	bool		found;
	UsualKey   *usual = hash_search(reading->usual_keys, &type, HASH_ENTER, &found);

	if (!found)
	{
		usual->opclass = GetDefaultOpClass(type, BTREE_AM_OID);
		usual->collation = get_typcollation(type);
	}
	return usual;
}

/*
 * Without needless parentheses, but for those of a predicate where they say how
 * conditions are joined.
 */
static char *
index_definition(Oid index)
{
	HeapTuple	tuple = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(index));
	char	   *definition = call_text(F_PG_GET_INDEXDEF_OID_INT4_BOOL, 3, ObjectIdGetDatum(index),
									   Int32GetDatum(0), BoolGetDatum(true));
	bool		isnull;
	Datum		predicate;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for index %u", index);
	predicate = SysCacheGetAttr(INDEXRELID, tuple, Anum_pg_index_indpred, &isnull);
	if (!isnull && definition)
	{
		Datum		table = ObjectIdGetDatum(((Form_pg_index) GETSTRUCT(tuple))->indrelid);
		char	   *pretty = call_text(F_PG_GET_EXPR_PG_NODE_TREE_OID_BOOL, 3, predicate, table, BoolGetDatum(true));

		if (strstr(pretty, " AND ") || strstr(pretty, " OR "))
			definition = psprintf("%.*s%s", (int) (strlen(definition) - strlen(pretty)), definition,
								  call_text(F_PG_GET_EXPR_PG_NODE_TREE_OID_BOOL, 3, predicate, table,
											BoolGetDatum(false)));
	}
	ReleaseSysCache(tuple);
	return definition;
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

/*
 * The elements name=value of an array, in the order of their names.  What the
 * server keeps for itself among them begins with pg_.
 */
static char *
option_list(Datum array, const char *prefix, char between)
{
	StringInfoData list;
	List	   *options = NIL;
	Datum	   *elements;
	bool	   *nulls;
	int			count;
	ListCell   *cell;

	deconstruct_array(DatumGetArrayTypeP(array), TEXTOID, -1, false, TYPALIGN_INT, &elements, &nulls,
					  &count);
	for (int i = 0; i < count; i++)
	{
		char	   *option = TextDatumGetCString(elements[i]);

		if (strncmp(option, "pg_", 3) != 0)
			options = lappend(options, option);
	}
	if (options == NIL)
		return NULL;
	list_sort(options, compare_texts);
	initStringInfo(&list);
	foreach(cell, options)
	{
		char	   *option = lfirst(cell);
		char	   *value = strchr(option, '=');

		*value++ = '\0';
		appendStringInfo(&list, "%s%s%s%c%s", list.len ? ", " : "", prefix, quote_identifier(option), between,
						 quote_literal_cstr(value));
	}
	return list.data;
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
 * The same of a table in the model.
 */
static const char *
table_name(Reading *reading, const SchemaObject *table)
{
	if ((reading->place->is_target || reading->source->path == NULL) &&
		!SearchSysCacheExists2(RELNAMENSP, CStringGetDatum(table->name), ObjectIdGetDatum(PG_CATALOG_NAMESPACE)))
		return quote_identifier(table->name);
	need_path(reading);
	return relation_name(table->oid);
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
compare_texts(const ListCell *a, const ListCell *b)
{
	return strcmp(lfirst(a), lfirst(b));
}

static int
compare_places(const void *a, const void *b)
{
	Oid			left = (*(SchemaPlace *const *) a)->oid;
	Oid			right = (*(SchemaPlace *const *) b)->oid;

	return left < right ? -1 : left > right;
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

/*
 * As they are written: columns by their numbers, keys before other constraints.
 */
static int
compare_parts(const ListCell *a, const ListCell *b)
{
	const SchemaObject *left = lfirst(a);
	const SchemaObject *right = lfirst(b);

	if (left->kind != right->kind)
		return left->kind < right->kind ? -1 : 1;
	if (left->sub_id != right->sub_id)
		return left->sub_id < right->sub_id ? -1 : 1;
	if (left->kind == AR_SCHEMA_CONSTRAINT && constraint_rank(left) != constraint_rank(right))
		return constraint_rank(left) - constraint_rank(right);
	return strcmp(left->identity, right->identity);
}

static int
constraint_rank(const SchemaObject *constraint)
{
	return strchr("puxc", ar_schema_value(constraint, "type")[0]) - "puxc";
}
