/*
 * migrate_patience.c: waiting with rests that grow, and saying so ever more
 * rarely.
 */
#include "postgres.h"

#include <math.h>

#include "common/pg_prng.h"
#include "migrate/migrate.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/latch.h"
#include "utils/snapmgr.h"

/* The first rest, in milliseconds; each with a random half of it more or less. */
#define REST_FIRST_MS 10.0

/* When the first word about waiting is due. */
#define NOTICE_FIRST_MS 1000

/*
 * Begin to wait, with rests of up to "rest_most_ms" milliseconds.
 */
void
ar_migrate_patience_begin(MigratePatience *patience, double rest_most_ms)
{
	patience->start = GetCurrentTimestamp();
	patience->rest_ms = REST_FIRST_MS;
	patience->rest_most_ms = rest_most_ms;
	patience->next_notice_ms = NOTICE_FIRST_MS;
}

/*
 * How long it has been, in milliseconds.
 */
int64
ar_migrate_patience_ms(const MigratePatience *patience)
{
	return (GetCurrentTimestamp() - patience->start) / 1000;
}

/*
 * Is it time to say that one waits?  Rarely, and ever more so.
 */
bool
ar_migrate_patience_tells(MigratePatience *patience)
{
	int64		waited = ar_migrate_patience_ms(patience);

	if (waited < patience->next_notice_ms)
		return false;
	patience->next_notice_ms = waited * 2;
	return true;
}

/*
 * Rest, with nothing in hand that somebody could wait for: the caller has
 * committed.
 */
void
ar_migrate_patience_rest(MigratePatience *patience)
{
	double		ms = patience->rest_ms * (0.5 + pg_prng_double(&pg_global_prng_state));

	patience->rest_ms = Min(patience->rest_ms * 1.5, patience->rest_most_ms);
	InvalidateCatalogSnapshot();
	(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
					 (long) ceil(ms), PG_WAIT_EXTENSION);
	ResetLatch(MyLatch);
	CHECK_FOR_INTERRUPTS();
}
