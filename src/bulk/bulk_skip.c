/*
 * bulk_skip.c: the good rows, and a list of the others.
 *
 * Rows go in by batches, each an INSERT in a subtransaction of its own.  A batch
 * that fails is undone and taken again in parts: the rows before the one that
 * failed, then that one alone.  Which row failed is known where the executor
 * inserts; where the fast path does not know it, the batch is taken again
 * without it.
 *
 * What was rejected is remembered until the next call, and by the session only:
 * no rollback forgets it.  A call that a trigger makes meanwhile has a list of its
 * own, which is the last one until the call around it ends.
 */
#include "postgres.h"

#include "access/xact.h"
#include "bulk/bulk.h"
#include "common/subxact.h"
#include "executor/executor.h"
#include "fmgr.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#define BATCH_ROWS_MOST 10000

/* How many rejects are remembered, and how much of each text. */
#define REJECTS_MOST 10000
#define TEXT_LENGTH_MOST 1000

typedef struct Reject
{
	uint64		row;
	int			sqlstate;
	const char *message;
	const char *detail;			/* these or NULL */
	const char *column;
	const char *constraint;
} Reject;

/* What a call has rejected. */
typedef struct BulkRejects
{
	MemoryContext context;		/* has all of it */
	Oid			role;			/* who made the call */
	bool		is_running;
	Reject	   *rejects;
	uint64		count;			/* may be more than are remembered */
} BulkRejects;

static void make_last(BulkRejects *rejects);
static bool try_batch(BulkInsert *insert, uint64 *count, ErrorData **error);
static bool is_about_a_row(const ErrorData *error);
static uint64 failed_row(const BulkInsert *insert);
static void add_reject(const BulkInsert *insert, const ErrorData *error);
static char *copy_text(MemoryContext context, const char *text);

/* of the last call, or NULL */
static BulkRejects *last_rejects;

PG_FUNCTION_INFO_V1(algo_ref_bulk_rejects);

/*
 * Forget what was rejected before, and begin another list.  ar_bulk_skip_end()
 * has to follow, after errors too.
 */
void
ar_bulk_skip_begin(BulkInsert *insert)
{
	MemoryContext context = AllocSetContextCreate(TopMemoryContext, "algo_ref bulk rejects",
												  ALLOCSET_DEFAULT_SIZES);
	BulkRejects *rejects = MemoryContextAllocZero(context, sizeof(BulkRejects));

	rejects->context = context;
	rejects->role = GetUserId();
	rejects->is_running = true;
	make_last(rejects);
	insert->rejects = rejects;
}

/*
 * Say how many rows were rejected since then.
 */
void
ar_bulk_skip_tell(const BulkInsert *insert)
{
	uint64		count = insert->rejects->count;

	if (count > 0)
		ereport(NOTICE,
				errmsg_plural("%llu row was rejected", "%llu rows were rejected", count,
							  (unsigned long long) count),
				errhint("See algo_ref.bulk_rejects()."));
}

/*
 * The list is complete.
 */
void
ar_bulk_skip_end(BulkInsert *insert)
{
	insert->rejects->is_running = false;
	make_last(insert->rejects);
}

/*
 * Remember a list in the place of another, which is forgotten unless the call
 * that fills it goes on.
 */
static void
make_last(BulkRejects *rejects)
{
	if (last_rejects != NULL && last_rejects != rejects && !last_rejects->is_running)
		MemoryContextDelete(last_rejects->context);
	last_rejects = rejects;
}

/*
 * Insert what can be inserted.  Returns how many rows that were.
 */
uint64
ar_bulk_skip(BulkInsert *insert)
{
	BulkSource *source = insert->source;
	uint64		size = BATCH_ROWS_MOST;
	uint64		slow_until = 0; /* a row before which the fast path failed */
	uint64		count = 0;

	ar_bulk_insert_prepare(insert);
	/* there are rights to be asked for nevertheless, and triggers */
	if (source->row == source->rows)
		count = ar_bulk_insert(insert);
	while (source->row < source->rows)
	{
		uint64		first = source->row + 1;
		uint64		failed;
		ErrorData  *error;

		source->tell(source);
		insert->rows_most = Min(size, source->rows - source->row);
		insert->avoids_fast_path = first < slow_until;
		if (try_batch(insert, &count, &error))
		{
			size = Min(size * 4, BATCH_ROWS_MOST);
			continue;
		}
		failed = failed_row(insert);
		source->seek(source);
		source->column = NULL;
		if (insert->rows_most == 1)
		{
			add_reject(insert, error);
			source->skip(source);
			size = 4;
		}
		else if (failed >= first)
			size = Max(failed - first, 1);
		else if (!insert->avoids_fast_path)
			slow_until = first + insert->rows_most;
		else
			size = insert->rows_most / 2;
		FreeErrorData(error);
	}
	if (source->finish != NULL)
		source->finish(source);
	return count;
}

/*
 * Insert a batch, or undo it and return the error.  Errors that are not about
 * rows are raised.
 */
static bool
try_batch(BulkInsert *insert, uint64 *count, ErrorData **error)
{
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext batch = AllocSetContextCreate(caller, "algo_ref bulk batch",
												ALLOCSET_DEFAULT_SIZES);
	Subxact		subxact;
	volatile bool is_done = false;

	CHECK_FOR_INTERRUPTS();
	ar_subxact_begin(&subxact, NULL);
	PG_TRY();
	{
		uint64		inserted;

		MemoryContextSwitchTo(batch);
		inserted = ar_bulk_insert(insert);
		MemoryContextSwitchTo(caller);
		ar_subxact_release(&subxact);
		*count += inserted;
		is_done = true;
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(caller);
		*error = CopyErrorData();
		FlushErrorState();
		ar_subxact_roll_back(&subxact);
	}
	PG_END_TRY();
	insert->estate = NULL;
	MemoryContextDelete(batch);
	if (!is_done && !is_about_a_row(*error))
		ReThrowError(*error);
	return is_done;
}

/*
 * A value, a constraint, a view's check, a trigger that refused, or a row that is
 * too large for a page.
 */
static bool
is_about_a_row(const ErrorData *error)
{
	switch (ERRCODE_TO_CATEGORY(error->sqlerrcode))
	{
		case MAKE_SQLSTATE('2', '1', '0', '0', '0'):
		case MAKE_SQLSTATE('2', '2', '0', '0', '0'):
		case MAKE_SQLSTATE('2', '3', '0', '0', '0'):
		case MAKE_SQLSTATE('4', '4', '0', '0', '0'):
			return true;
		default:
			return error->sqlerrcode == ERRCODE_RAISE_EXCEPTION ||
				error->sqlerrcode == ERRCODE_PROGRAM_LIMIT_EXCEEDED;
	}
}

/*
 * The row that an error was about, or 0.
 */
static uint64
failed_row(const BulkInsert *insert)
{
	if (insert->row_at_work == AR_BULK_NO_ROW)
		return 0;
	return insert->row_at_work == 0 ? insert->source->row : insert->row_at_work;
}

static void
add_reject(const BulkInsert *insert, const ErrorData *error)
{
	BulkRejects *list = insert->rejects;
	Reject	   *reject;

	if (list->count++ >= REJECTS_MOST)
		return;
	/* room for a power of two */
	if (list->rejects == NULL)
		list->rejects = MemoryContextAlloc(list->context, sizeof(Reject));
	else if ((list->count & (list->count - 1)) == 0)
		list->rejects = repalloc(list->rejects, list->count * 2 * sizeof(Reject));
	reject = &list->rejects[list->count - 1];
	reject->row = insert->source->row + 1;
	reject->sqlstate = error->sqlerrcode;
	reject->message = copy_text(list->context, error->message);
	reject->detail = copy_text(list->context, error->detail);
	reject->column = copy_text(list->context, error->column_name);
	reject->constraint = copy_text(list->context, error->constraint_name);
}

/*
 * A text or its beginning: a message can have all of a value in it.
 */
static char *
copy_text(MemoryContext context, const char *text)
{
	int			length;
	char	   *result;

	if (text == NULL)
		return NULL;
	if (strlen(text) <= TEXT_LENGTH_MOST)
		return MemoryContextStrdup(context, text);
	length = pg_mbcliplen(text, strlen(text), TEXT_LENGTH_MOST);
	result = MemoryContextAlloc(context, length + sizeof("..."));
	memcpy(result, text, length);
	strcpy(result + length, "...");
	return result;
}

/*
 * algo_ref.bulk_rejects()
 */
Datum
algo_ref_bulk_rejects(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;

	InitMaterializedSRF(fcinfo, 0);
	/* messages have values in them, and a session can change its role */
	if (last_rejects == NULL || !has_privs_of_role(GetUserId(), last_rejects->role))
		return (Datum) 0;
	for (uint64 i = 0; i < Min(last_rejects->count, REJECTS_MOST); i++)
	{
		const Reject *reject = &last_rejects->rejects[i];
		const char *texts[] = {
			unpack_sql_state(reject->sqlstate), reject->message, reject->detail, reject->column,
			reject->constraint
		};
		Datum		values[lengthof(texts) + 1];
		bool		nulls[lengthof(texts) + 1] = {0};

		values[0] = Int64GetDatum(reject->row);
		for (int n = 0; n < lengthof(texts); n++)
		{
			nulls[n + 1] = texts[n] == NULL;
			values[n + 1] = texts[n] == NULL ? (Datum) 0 : CStringGetTextDatum(texts[n]);
		}
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	return (Datum) 0;
}
