/*
 * subxact.c: internal subtransactions around code that may fail.
 *
 * Memory context and resource owner are after the end what they were before
 * the beginning, as in PL/pgSQL's exception blocks and plpy_spi.c.
 */
#include "postgres.h"

#include "access/xact.h"
#include "common/subxact.h"
#include "utils/memutils.h"

/*
 * Begin a subtransaction.  The current memory context stays current.
 */
void
ar_subxact_begin(Subxact *subxact, const char *name)
{
	subxact->context = CurrentMemoryContext;
	subxact->owner = CurrentResourceOwner;
	BeginInternalSubTransaction(name);
	MemoryContextSwitchTo(subxact->context);
}

/*
 * Keep what the subtransaction did.
 */
void
ar_subxact_release(Subxact *subxact)
{
	ReleaseCurrentSubTransaction();
	MemoryContextSwitchTo(subxact->context);
	CurrentResourceOwner = subxact->owner;
}

/*
 * Undo what the subtransaction did.  In an error handler, copy the error data
 * into subxact->context before.
 */
void
ar_subxact_roll_back(Subxact *subxact)
{
	RollbackAndReleaseCurrentSubTransaction();
	MemoryContextSwitchTo(subxact->context);
	CurrentResourceOwner = subxact->owner;
}
