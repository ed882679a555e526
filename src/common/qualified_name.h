/*
 * qualified_name.h: from Oids to quoted, schema-qualified text.
 */
#ifndef AR_QUALIFIED_NAME_H
#define AR_QUALIFIED_NAME_H

#include "postgres.h"

extern char *ar_qualified_relation(Oid relation);
extern char *ar_qualified_operator(Oid operator_oid);

#endif							/* AR_QUALIFIED_NAME_H */
