/*
 * migrate_budget.c: the statement budget, a timer that cancels as a user would.
 */
#include "postgres.h"

#include "migrate/migrate.h"
#include "miscadmin.h"
#include "storage/latch.h"
#include "utils/timeout.h"

static void exceed(void);

static TimeoutId timeout = MAX_TIMEOUTS;	/* until it is registered */
static int64 budget_ms = 0;
static volatile sig_atomic_t is_exceeded = false;

/*
 * What each statement may take from now on, in milliseconds; 0: no bound.
 */
void
ar_migrate_budget_set(int64 ms)
{
	budget_ms = ms;
}

/*
 * A statement begins.
 */
void
ar_migrate_budget_arm(void)
{
	is_exceeded = false;
	if (budget_ms == 0)
		return;
	if (timeout == MAX_TIMEOUTS)
		timeout = RegisterTimeout(USER_TIMEOUT, exceed);
	enable_timeout_after(timeout, (int) budget_ms);
}

/*
 * The last statement has ended.
 */
void
ar_migrate_budget_disarm(void)
{
	if (timeout != MAX_TIMEOUTS)
		disable_timeout(timeout, false);
}

/*
 * Was the last statement cancelled for what it took?
 */
bool
ar_migrate_budget_is_exceeded(void)
{
	return is_exceeded;
}

static void
exceed(void)
{
	is_exceeded = true;
	InterruptPending = true;
	QueryCancelPending = true;
	SetLatch(MyLatch);
}
