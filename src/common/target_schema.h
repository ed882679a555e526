/*
 * target_schema.h: the schema whose state is meant.
 */
#ifndef AR_TARGET_SCHEMA_H
#define AR_TARGET_SCHEMA_H

#include "postgres.h"

#include "fmgr.h"

extern char *ar_target_schema_argument(FunctionCallInfo fcinfo, int n);
extern char *ar_target_schema_default(void);
extern char *ar_target_schema_default_or_null(void);

#endif							/* AR_TARGET_SCHEMA_H */
