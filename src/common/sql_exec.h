/*
 * sql_exec.h: run SQL of our own.
 */
#ifndef AR_SQL_EXEC_H
#define AR_SQL_EXEC_H

#include "postgres.h"

extern char *ar_sql_query_text(const char *query, int count, Oid *types, Datum *values);

#endif							/* AR_SQL_EXEC_H */
