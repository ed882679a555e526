/*
 * subxact.h: internal subtransactions around code that may fail.
 */
#ifndef AR_SUBXACT_H
#define AR_SUBXACT_H

#include "postgres.h"

#include "utils/resowner.h"

/* What has to be put back when the subtransaction ends. */
typedef struct Subxact
{
	MemoryContext context;
	ResourceOwner owner;
} Subxact;

extern void ar_subxact_begin(Subxact *subxact, const char *name);
extern void ar_subxact_release(Subxact *subxact);
extern void ar_subxact_roll_back(Subxact *subxact);

#endif							/* AR_SUBXACT_H */
