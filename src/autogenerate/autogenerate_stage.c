/*
 * autogenerate_stage.c: stand-in schemas.
 *
 * The live schemas are renamed aside, and empty ones take their names, so that
 * DDL that names them works and means the stand-ins.  All of it happens in a
 * subtransaction that its user rolls back.  Nobody who reads or writes the live
 * tables waits; who creates an object in one of the schemas does.
 *
 * A caller who does not own the one schema to compare gets a scratch schema
 * with a name of its own instead, which is before the live one in search_path.
 * There the names in DDL lead to it as long as they have no schema; the owner,
 * the comment and the privileges of the schema itself are taken for equal.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_database.h"
#include "catalog/pg_namespace.h"
#include "commands/dbcommands.h"
#include "common/compat.h"
#include "executor/spi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "autogenerate/autogenerate.h"

/* How long a rename may wait for somebody who creates an object there. */
#define LOCK_TIMEOUT "2s"

static StageSchema *new_schema(const char *name, bool is_target);
static void check_rights(Stage *stage);
static void check_scratch(const Stage *stage, const SchemaModel *model);
static Oid	owner_of(Oid schema);
static bool is_declared(const Stage *stage, const StageSchema *schema, const DeclaredText *declared);
static List *places(const Stage *stage);
static char *reading_path(const Stage *stage);
static List *aliases(const Stage *stage);
static void dress(Stage *stage, const SchemaModel *live);

/*
 * A stage for the schemas named, of which "target" is the one that names are
 * relative to.  Raises 42501 for a caller who could not use it.
 */
Stage *
ar_autogenerate_stage_new(List *names, const char *target)
{
	Stage	   *stage = palloc0(sizeof(Stage));
	ListCell   *cell;

	foreach(cell, names)
	{
		StageSchema *schema = new_schema(lfirst(cell), strcmp(lfirst(cell), target) == 0);

		stage->schemas = lappend(stage->schemas, schema);
		if (schema->is_target)
			stage->target = schema;
	}
	Assert(stage->target);
	check_rights(stage);
	return stage;
}

/*
 * Put the live schemas aside and empty ones in their places, with the owner,
 * the comment and the privileges of the live ones, and set search_path and
 * what else DDL should run with.  With a declared text only the schemas that it
 * keeps get such a place.
 */
void
ar_autogenerate_stage_open(Stage *stage, const SchemaModel *live, const DeclaredText *declared)
{
	ListCell   *cell;

	/* a scratch schema is to find out what of the live one is used */
	stage->needs_aside = stage->is_scratch;
	foreach(cell, live->objects)
	{
		const SchemaObject *object = lfirst(cell);

		if (object->schema == NULL && (object->kind == AR_SCHEMA_EXTENSION || object->kind == AR_SCHEMA_UNMANAGED))
			stage->needs_aside = true;
	}
	(void) set_config_option("lock_timeout", LOCK_TIMEOUT, PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_LOCAL, true, 0, false);
	(void) set_config_option("check_function_bodies", "off", PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_LOCAL, true, 0, false);
	(void) set_config_option("client_min_messages", "warning", PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_LOCAL, true, 0, false);
	if (stage->is_scratch)
	{
		ar_autogenerate_execute(psprintf("CREATE SCHEMA %s", stage->target->stand_in));
		stage->is_open = true;
		ar_autogenerate_stage_path(stage);
		return;
	}
	foreach(cell, stage->schemas)
	{
		StageSchema *schema = lfirst(cell);

		if (OidIsValid(schema->oid))
			ar_autogenerate_execute(psprintf("ALTER SCHEMA %s RENAME TO %s", quote_identifier(schema->name),
											 schema->aside));
	}
	foreach(cell, stage->schemas)
	{
		StageSchema *schema = lfirst(cell);

		if (OidIsValid(schema->oid) && (declared == NULL || is_declared(stage, schema, declared)))
			ar_autogenerate_execute(psprintf("CREATE SCHEMA %s AUTHORIZATION %s",
											 quote_identifier(schema->name), schema->owner));
	}
	stage->is_open = true;
	ar_autogenerate_stage_path(stage);
	dress(stage, live);
}

/*
 * Is a live schema one of the declared model, too?  Where all schemas are
 * compared, the text has to create those that are to stay.
 */
static bool
is_declared(const Stage *stage, const StageSchema *schema, const DeclaredText *declared)
{
	ListCell   *cell;

	if (!stage->drops_schemas || schema->is_target || strcmp(schema->name, "public") == 0)
		return true;
	foreach(cell, declared->schemas)
	{
		if (strcmp(lfirst(cell), schema->name) == 0)
			return true;
	}
	return false;
}

/*
 * The search_path of DDL on the stage: the target schema, and what stands
 * aside if members of extensions or what is not managed is there.
 */
void
ar_autogenerate_stage_path(const Stage *stage)
{
	char	   *path = psprintf("%s, %s", quote_identifier(stage->target->stand_in),
								stage->needs_aside ? quote_identifier(stage->target->aside) : "pg_temp");

	(void) set_config_option("search_path", path, PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_LOCAL, true, 0, false);
}

/*
 * The model of what is now under the names of the stage's schemas.
 */
SchemaModel *
ar_autogenerate_stage_read(Stage *stage)
{
	SchemaSource source = {.places = places(stage),.path = reading_path(stage),
	.aliases = aliases(stage),.with_dependencies = true};

	SchemaModel *model;

	/* see what has been done since */
	CommandCounterIncrement();
	PushActiveSnapshot(GetTransactionSnapshot());
	model = ar_schema_read(&source);
	PopActiveSnapshot();
	if (stage->is_scratch)
		check_scratch(stage, model);
	return model;
}

/*
 * Raise 42501 for something that a scratch schema cannot show, of a statement
 * if that is not NULL.
 */
void
ar_autogenerate_stage_needs_owner(const Stage *stage, const DeclaredText *declared,
								  const DeclaredStatement *statement, const char *why)
{
	ereport(ERROR,
			errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			errmsg("must be owner of schema %s", stage->target->name),
			errdetail("For others the declared model is built in a schema of another name, and %s.", why),
			errhint("Use SET ROLE %s.", stage->target->owner),
			statement ? ar_autogenerate_errposition(declared->text, statement->location) : 0);
}

bool
ar_autogenerate_is_scope(const Stage *stage, const char *schema)
{
	ListCell   *cell;

	foreach(cell, stage->schemas)
	{
		if (strcmp(((StageSchema *) lfirst(cell))->name, schema) == 0)
			return true;
	}
	return false;
}

/*
 * Run a statement of DDL as the caller.
 */
void
ar_autogenerate_execute(const char *statement)
{
	int			result;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	result = SPI_execute(statement, false, 0);
	if (result < 0)
		elog(ERROR, "could not run \"%s\": %s", statement, SPI_result_code_string(result));
	SPI_finish();
}

static StageSchema *
new_schema(const char *name, bool is_target)
{
	static int	counter = 0;
	StageSchema *schema = palloc0(sizeof(StageSchema));

	schema->name = pstrdup(name);
	schema->stand_in = schema->name;
	schema->is_target = is_target;
	schema->oid = get_namespace_oid(name, true);
	if (!OidIsValid(schema->oid))
		return schema;
	schema->aside = psprintf("algo_ref_aside_%d_%d", MyProcPid, ++counter);
	schema->owner = pstrdup(quote_identifier(GetUserNameFromId(owner_of(schema->oid), false)));
	return schema;
}

static Oid
owner_of(Oid schema)
{
	HeapTuple	tuple = SearchSysCache1(NAMESPACEOID, ObjectIdGetDatum(schema));
	Oid			owner;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for schema %u", schema);
	owner = ((Form_pg_namespace) GETSTRUCT(tuple))->nspowner;
	ReleaseSysCache(tuple);
	return owner;
}

/*
 * Said before anything is tried.
 */
static void
check_rights(Stage *stage)
{
	ListCell   *cell;

	if (object_aclcheck(DatabaseRelationId, MyDatabaseId, GetUserId(), ACL_CREATE) != ACLCHECK_OK)
		ereport(ERROR,
				errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				errmsg("permission denied for database %s", get_database_name(MyDatabaseId)),
				errdetail("The declared model is built in a schema that stands in for a while, which needs CREATE on the database."));
	foreach(cell, stage->schemas)
	{
		StageSchema *schema = lfirst(cell);

		if (!OidIsValid(schema->oid) || has_privs_of_role(GetUserId(), owner_of(schema->oid)))
			continue;
		if (list_length(stage->schemas) > 1)
			ereport(ERROR,
					errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
					errmsg("must be owner of schema %s", schema->name),
					errdetail("The schemas are renamed for a while, so that the declared model can be built in their places."),
					errhint("Use SET ROLE %s.", schema->owner));
		stage->is_scratch = true;
		schema->stand_in = schema->aside;
		schema->aside = schema->name;
	}
}

/*
 * A scratch schema has the properties of the live one, and whose objects use
 * live ones, or grant to the caller, who owns all there, would be taken for
 * something else.
 */
static void
check_scratch(const Stage *stage, const SchemaModel *model)
{
	const char *caller = pstrdup(quote_identifier(GetUserNameFromId(GetUserId(), false)));
	ListCell   *cell;

	foreach(cell, model->objects)
	{
		SchemaObject *object = lfirst(cell);
		const char *privileges;

		if (object->kind == AR_SCHEMA_SCHEMA)
		{
			if (stage->is_open)
				object->value = stage->live_value;
			else
				unconstify(Stage *, stage)->live_value = object->value;
			continue;
		}
		if (stage->is_open || !ar_schema_has(object, "acl"))
			continue;
		privileges = ar_schema_value(object, "acl");
		for (const char *line = privileges; line && *line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL)
		{
			if (strncmp(line, caller, strlen(caller)) == 0 && line[strlen(caller)] == '\t')
				ar_autogenerate_stage_needs_owner(stage, NULL, NULL,
												  psprintf("privileges of the caller, who owns that schema, are not seen there, but %s has such",
														   object->identity));
		}
	}
	if (stage->is_open)
	{
		const char *user = ar_schema_uses(model, stage->target->oid);

		if (user)
			ar_autogenerate_stage_needs_owner(stage, NULL, NULL, user);
	}
}

static List *
places(const Stage *stage)
{
	List	   *list = NIL;
	ListCell   *cell;

	foreach(cell, stage->schemas)
	{
		StageSchema *schema = lfirst(cell);
		SchemaPlace *place = palloc(sizeof(SchemaPlace));

		place->oid = get_namespace_oid(stage->is_open ? schema->stand_in : schema->name, true);
		place->name = schema->name;
		place->is_target = schema->is_target;
		if (OidIsValid(place->oid))
			list = lappend(list, place);
	}
	return list;
}

static char *
reading_path(const Stage *stage)
{
	return ar_schema_path(stage->is_open ? stage->target->stand_in : stage->target->name,
						  stage->is_open ? stage->target->aside : NULL);
}

static List *
aliases(const Stage *stage)
{
	List	   *list = NIL;
	ListCell   *cell;

	if (!stage->is_open)
		return NIL;
	foreach(cell, stage->schemas)
	{
		StageSchema *schema = lfirst(cell);
		SchemaAlias *alias = palloc(sizeof(SchemaAlias));

		if (schema->aside == NULL)
			continue;
		alias->now = stage->is_scratch ? schema->stand_in : schema->aside;
		alias->name = schema->name;
		list = lappend(list, alias);
	}
	return list;
}

/*
 * Give the stand-ins the comments and privileges of the live schemas.
 */
static void
dress(Stage *stage, const SchemaModel *live)
{
	SchemaModel *empty = ar_autogenerate_stage_read(stage);
	SchemaOptions options = {.owners = false};
	ListCell   *cell;
	ListCell   *statement;

	foreach(cell, empty->objects)
	{
		SchemaObject *schema = lfirst(cell);
		SchemaObject *peer = ar_schema_find(live, schema->identity);
		SchemaAction action = {.operation = AR_SCHEMA_ALTER,.object = peer};

		if (schema->kind != AR_SCHEMA_SCHEMA || peer == NULL)
			continue;
		ar_schema_alter(&action, schema, peer, &options);
		foreach(statement, action.statements)
			ar_autogenerate_execute(lfirst(statement));
	}
	ar_schema_model_free(empty);
}
