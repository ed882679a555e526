/*
 * sql_exec.c: run SQL of our own.
 *
 * Names in it are looked up in pg_catalog and nowhere else, whatever the
 * caller's search_path is.
 */
#include "postgres.h"

#include "common/sql_exec.h"
#include "executor/spi.h"
#include "utils/guc.h"

/*
 * Run a query that reads, and return the first column of its first row as
 * text in the current memory context; NULL for a null or for no row.  Values
 * travel as parameters, none of them null.
 */
char *
ar_sql_query_text(const char *query, int count, Oid *types, Datum *values)
{
	MemoryContext context = CurrentMemoryContext;
	int			nest_level = NewGUCNestLevel();
	char	   *result = NULL;
	int			outcome;

	(void) set_config_option("search_path", "pg_catalog, pg_temp", PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
	SPI_connect();
	outcome = SPI_execute_with_args(query, count, types, values, NULL, false, 1);
	if (outcome != SPI_OK_SELECT)
		elog(ERROR, "query of our own failed: %s", SPI_result_code_string(outcome));
	if (SPI_processed > 0)
	{
		char	   *value = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);

		if (value)
			result = MemoryContextStrdup(context, value);
	}
	SPI_finish();
	AtEOXact_GUC(false, nest_level);
	return result;
}
