/*
 * algo_ref.c: the module's entry point.
 *
 * The only file that knows every room.  Nothing needs to be preloaded: a room
 * that has settings or hooks is initialised when the library is first loaded.
 */
#include "postgres.h"

#include "autogenerate/autogenerate.h"
#include "bulk/bulk.h"
#include "fmgr.h"
#include "relationship/relationship.h"
#include "utils/guc.h"
#include "watch/watch.h"

PG_MODULE_MAGIC;

void		_PG_init(void);

void
_PG_init(void)
{
	ar_autogenerate_init();
	ar_bulk_index_init();
	ar_relationship_init();
	ar_watch_init();
	MarkGUCPrefixReserved("algo_ref");
}
