/*
 * target_schema.c: the schema whose state is meant.
 *
 * Functions that have to do with one schema take it as an argument of type
 * name, whose default NULL stands for current_schema().
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "common/target_schema.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

/*
 * The schema that argument n names.  Raises 3F000 if it does not exist, or if
 * it is NULL and there is no current schema.
 */
char *
ar_target_schema_argument(FunctionCallInfo fcinfo, int n)
{
	char	   *schema;

	if (PG_ARGISNULL(n))
		return ar_target_schema_default();
	schema = pstrdup(NameStr(*PG_GETARG_NAME(n)));
	(void) get_namespace_oid(schema, false);
	return schema;
}

/*
 * The current schema; 3F000 if there is none.
 */
char *
ar_target_schema_default(void)
{
	char	   *schema = ar_target_schema_default_or_null();

	if (schema == NULL)
		ereport(ERROR,
				errcode(ERRCODE_UNDEFINED_SCHEMA),
				errmsg("no target schema has been selected"),
				errdetail("None of the schemas in search_path exists."),
				errhint("Name the schema, or set search_path."));
	return schema;
}

char *
ar_target_schema_default_or_null(void)
{
	List	   *path = fetch_search_path(false);
	char	   *schema = path == NIL ? NULL : get_namespace_name(linitial_oid(path));

	list_free(path);
	return schema;
}
