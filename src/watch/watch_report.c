/*
 * watch_report.c: what was found, for algo_ref.n1_report().
 *
 * Where the library is in shared_preload_libraries, the report is that of all
 * sessions and lies in shared memory; else it is the session's own.  There is
 * one row for each shape, role and database; when there is no room, the row
 * that was touched longest ago gives way.  Counters are atomic and need only a
 * shared lock.
 */
#include "postgres.h"

#include "catalog/pg_authid.h"
#include "commands/dbcommands.h"
#include "common/string.h"
#include "fmgr.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "port/atomics.h"
#include "storage/ipc.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "watch/watch.h"

#define SHARED_ROWS 128
#define OWN_ROWS 64
#define REPORT_COLUMNS 12

/* A session that has told of more starts to repeat itself. */
#define TOLD_MAX 1024

typedef struct ReportRow
{
	uint64		shape;			/* 0: free */
	Oid			database;
	Oid			role;
	Oid			source_role;
	int			encoding;
	TimestampTz first_seen;
	pg_atomic_uint64 last_seen;
	pg_atomic_uint64 times;
	pg_atomic_uint64 distinct;
	pg_atomic_uint64 nanoseconds;
	char		relationship[512];
	char		function[512];
	char		statement[2048];
	char		source[2048];
	char		call[AR_WATCH_CALL_BYTES_MAX];	/* empty: none */
} ReportRow;

typedef struct ReportTable
{
	LWLock	   *lock;			/* NULL: the session's own */
	pg_atomic_uint64 resets;
	int			size;
	ReportRow	row[FLEXIBLE_ARRAY_MEMBER];
} ReportTable;

#define table_bytes(rows) (offsetof(ReportTable, row) + sizeof(ReportRow) * (rows))

static shmem_request_hook_type previous_request = NULL;
static shmem_startup_hook_type previous_startup = NULL;
static ReportTable *report = NULL;

/* What this session has told of, since which reset. */
static HTAB *told = NULL;
static uint64 told_resets = 0;

static void request_memory(void);
static void set_memory_up(void);
static ReportTable *own_report(void);
static void lock_report(LWLockMode mode);
static void unlock_report(void);
static ReportRow *find_row(uint64 shape);
static ReportRow *oldest_row(void);
static void set_text(char *place, size_t size, const char *text);
static void put_row(ReturnSetInfo *rsinfo, ReportRow *row);
static bool sees_texts_of(Oid role);
static Datum text_or_null(const ReportRow *row, const char *text, bool *isnull);
static Datum interval_of(uint64 nanoseconds);
static void forget_told(void);

PG_FUNCTION_INFO_V1(algo_ref_n1_report);
PG_FUNCTION_INFO_V1(algo_ref_n1_reset);

void
ar_watch_report_init(void)
{
	if (!process_shared_preload_libraries_in_progress)
		return;
	previous_request = shmem_request_hook;
	shmem_request_hook = request_memory;
	previous_startup = shmem_startup_hook;
	shmem_startup_hook = set_memory_up;
}

static void
request_memory(void)
{
	if (previous_request)
		previous_request();
	RequestAddinShmemSpace(table_bytes(SHARED_ROWS));
	RequestNamedLWLockTranche("algo_ref watch", 1);
}

static void
set_memory_up(void)
{
	bool		found;

	if (previous_startup)
		previous_startup();
	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	report = ShmemInitStruct("algo_ref watch", table_bytes(SHARED_ROWS), &found);
	if (!found)
	{
		memset(report, 0, table_bytes(SHARED_ROWS));
		report->lock = &GetNamedLWLockTranche("algo_ref watch")->lock;
		report->size = SHARED_ROWS;
		pg_atomic_init_u64(&report->resets, 0);
	}
	LWLockRelease(AddinShmemInitLock);
}

static ReportTable *
own_report(void)
{
	ReportTable *table = MemoryContextAllocZero(TopMemoryContext, table_bytes(OWN_ROWS));

	table->size = OWN_ROWS;
	pg_atomic_init_u64(&table->resets, 0);
	return table;
}

/*
 * Has this session told of it since the last reset?  From now on it has.
 */
bool
ar_watch_report_known(uint64 shape)
{
	bool		found;

	if (told_resets != ar_watch_report_resets())
		forget_told();
	if (told && hash_get_num_entries(told) >= TOLD_MAX)
		forget_told();
	if (told == NULL)
	{
		HASHCTL		control = {.keysize = sizeof(uint64),.entrysize = sizeof(uint64)};

		told = hash_create("algo_ref told", 64, &control, HASH_ELEM | HASH_BLOBS);
		told_resets = ar_watch_report_resets();
	}
	(void) hash_search(told, &shape, HASH_ENTER, &found);
	return found;
}

/*
 * How often the report was reset.
 */
uint64
ar_watch_report_resets(void)
{
	return report ? pg_atomic_read_u64(&report->resets) : 0;
}

/*
 * Enter what was found, or add it to what is known.
 */
void
ar_watch_report_note(const Finding *finding)
{
	ReportRow  *row;
	TimestampTz now = GetCurrentTimestamp();

	if (report == NULL)
		report = own_report();
	lock_report(LW_EXCLUSIVE);
	row = find_row(finding->shape);
	if (row == NULL)
	{
		row = oldest_row();
		memset(row, 0, sizeof(ReportRow));
		row->shape = finding->shape;
		row->database = MyDatabaseId;
		row->role = GetUserId();
		row->source_role = finding->source_role;
		row->encoding = GetDatabaseEncoding();
		row->first_seen = now;
		pg_atomic_init_u64(&row->last_seen, now);
		pg_atomic_init_u64(&row->times, 0);
		pg_atomic_init_u64(&row->distinct, 0);
		pg_atomic_init_u64(&row->nanoseconds, 0);
		set_text(row->relationship, sizeof(row->relationship), finding->relationship);
		set_text(row->function, sizeof(row->function), finding->function);
		set_text(row->statement, sizeof(row->statement), finding->statement);
		set_text(row->source, sizeof(row->source), finding->source);
		set_text(row->call, sizeof(row->call), finding->call);
	}
	unlock_report();
	ar_watch_report_add(finding->shape, finding->times, finding->distinct, finding->nanoseconds);
}

/*
 * Count on.  What was reset, or gave way, is not counted any more.
 */
void
ar_watch_report_add(uint64 shape, int64 times, int64 distinct, int64 nanoseconds)
{
	ReportRow  *row;

	if (report == NULL)
		return;
	lock_report(LW_SHARED);
	row = find_row(shape);
	if (row)
	{
		pg_atomic_fetch_add_u64(&row->times, times);
		pg_atomic_fetch_add_u64(&row->distinct, distinct);
		pg_atomic_fetch_add_u64(&row->nanoseconds, nanoseconds);
		pg_atomic_write_u64(&row->last_seen, GetCurrentTimestamp());
	}
	unlock_report();
}

/*
 * algo_ref.n1_report()
 */
Datum
algo_ref_n1_report(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	ReportRow  *copy;
	int			count = 0;

	InitMaterializedSRF(fcinfo, 0);
	if (report == NULL)
		return (Datum) 0;
	copy = palloc(sizeof(ReportRow) * report->size);
	lock_report(LW_SHARED);
	for (int i = 0; i < report->size; i++)
	{
		if (report->row[i].shape != 0)
			memcpy(&copy[count++], &report->row[i], sizeof(ReportRow));
	}
	unlock_report();
	for (int i = 0; i < count; i++)
		put_row(rsinfo, &copy[i]);
	return (Datum) 0;
}

/*
 * algo_ref.n1_reset()
 */
Datum
algo_ref_n1_reset(PG_FUNCTION_ARGS)
{
	Oid		   *roles;
	bool	   *may;
	int64		count = 0;

	forget_told();
	if (report == NULL)
		PG_RETURN_INT64(0);

	/* whose rows may go is not asked for while others wait */
	roles = palloc(sizeof(Oid) * report->size);
	may = palloc0(sizeof(bool) * report->size);
	lock_report(LW_SHARED);
	for (int i = 0; i < report->size; i++)
		roles[i] = report->row[i].shape != 0 ? report->row[i].role : InvalidOid;
	unlock_report();
	for (int i = 0; i < report->size; i++)
		may[i] = OidIsValid(roles[i]) && has_privs_of_role(GetUserId(), roles[i]);

	lock_report(LW_EXCLUSIVE);
	for (int i = 0; i < report->size; i++)
	{
		if (!may[i] || report->row[i].shape == 0 || report->row[i].role != roles[i])
			continue;
		report->row[i].shape = 0;
		count++;
	}
	pg_atomic_fetch_add_u64(&report->resets, 1);
	unlock_report();
	PG_RETURN_INT64(count);
}

static void
lock_report(LWLockMode mode)
{
	if (report->lock)
		LWLockAcquire(report->lock, mode);
}

static void
unlock_report(void)
{
	if (report->lock)
		LWLockRelease(report->lock);
}

/*
 * The row of a shape for this role and database.
 */
static ReportRow *
find_row(uint64 shape)
{
	static int	last = 0;

	for (int i = 0; i < report->size; i++)
	{
		int			at = (last + i) % report->size;
		ReportRow  *row = &report->row[at];

		if (row->shape == shape && row->database == MyDatabaseId && row->role == GetUserId())
		{
			last = at;
			return row;
		}
	}
	return NULL;
}

static ReportRow *
oldest_row(void)
{
	ReportRow  *oldest = &report->row[0];

	for (int i = 0; i < report->size; i++)
	{
		ReportRow  *row = &report->row[i];

		if (row->shape == 0)
			return row;
		if ((int64) pg_atomic_read_u64(&row->last_seen) <
			(int64) pg_atomic_read_u64(&oldest->last_seen))
			oldest = row;
	}
	return oldest;
}

static void
set_text(char *place, size_t size, const char *text)
{
	int			length = text ? strlen(text) : 0;

	if (length >= size)
		length = pg_mbcliplen(text, length, size - 1);
	memcpy(place, text ? text : "", length);
	place[length] = '\0';
}

/*
 * Texts are shown to those who have the role's privileges, and to those who
 * may read all statistics; what tells of the source, to those who have its
 * role's as well.
 */
static void
put_row(ReturnSetInfo *rsinfo, ReportRow *row)
{
	bool		visible = sees_texts_of(row->role);
	bool		source_visible = visible && sees_texts_of(row->source_role);
	char	   *database = get_database_name(row->database);
	char	   *role = GetUserNameFromId(row->role, true);
	const char *texts[] = {row->statement, row->source, row->function, row->call};
	const bool	shown[] = {visible, source_visible, visible, source_visible};
	Datum		values[REPORT_COLUMNS] = {0};
	bool		nulls[REPORT_COLUMNS] = {false};

	nulls[0] = database == NULL;
	if (database)
		values[0] = DirectFunctionCall1(namein, CStringGetDatum(database));
	nulls[1] = role == NULL;
	if (role)
		values[1] = DirectFunctionCall1(namein, CStringGetDatum(role));
	nulls[2] = !visible;
	if (visible)
		values[2] = text_or_null(row, row->relationship, &nulls[2]);
	values[3] = Int64GetDatum((int64) pg_atomic_read_u64(&row->times));
	values[4] = Int64GetDatum((int64) pg_atomic_read_u64(&row->distinct));
	values[5] = interval_of(pg_atomic_read_u64(&row->nanoseconds));
	for (int i = 0; i < lengthof(texts); i++)
	{
		nulls[6 + i] = !shown[i];
		if (shown[i])
			values[6 + i] = text_or_null(row, texts[i], &nulls[6 + i]);
	}
	values[10] = TimestampTzGetDatum(row->first_seen);
	values[11] = TimestampTzGetDatum((int64) pg_atomic_read_u64(&row->last_seen));
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

static bool
sees_texts_of(Oid role)
{
	return has_privs_of_role(GetUserId(), role) ||
		has_privs_of_role(GetUserId(), ROLE_PG_READ_ALL_STATS);
}

/*
 * Texts of a database in another encoding are shown if they are plain ASCII.
 */
static Datum
text_or_null(const ReportRow *row, const char *text, bool *isnull)
{
	*isnull = text[0] == '\0' ||
	(row->encoding != GetDatabaseEncoding() && !pg_is_ascii(text));

	return *isnull ? (Datum) 0 : CStringGetTextDatum(text);
}

static Datum
interval_of(uint64 nanoseconds)
{
	Interval   *interval = palloc0(sizeof(Interval));

	interval->time = nanoseconds / 1000;
	return IntervalPGetDatum(interval);
}

static void
forget_told(void)
{
	if (told)
		hash_destroy(told);
	told = NULL;
}
