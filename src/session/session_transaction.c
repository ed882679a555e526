/*
 * session_transaction.c: statements in one transaction, and again from the
 * start if it failed for the sake of others.
 *
 * Every attempt is a transaction of its own.  Its statements run inside one
 * internal subtransaction, so that after an error the server's state is whole
 * again before the transaction is rolled back.  Between attempts there is a
 * transaction that has done nothing, holds nothing and sees nothing.
 *
 * Statements run in atomic context: neither they nor what they call can end
 * the transaction.
 */
#include "postgres.h"

#include <math.h>

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "common/parameter.h"
#include "common/pg_prng.h"
#include "common/subxact.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "nodes/pg_list.h"
#include "parser/analyze.h"
#include "parser/parser.h"
#include "pgstat.h"
#include "session/session.h"
#include "storage/latch.h"
#include "tcop/dest.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

/* The longest rest between two attempts. */
#define BACKOFF_MOST_MS 1000.0

/* The longest that may be asked for as the first. */
#define BACKOFF_FIRST_MOST_MS 60000.0

#define RETRIES_MOST 1000000

typedef struct Transaction
{
	NamedText  *body;
	List	   *statements;		/* of RawStmt * */
	Jsonb	   *parameters;		/* or NULL */
	const char *isolation;		/* or NULL */
	int			retries;
	bool		retry_lock_timeout;
	double		backoff_ms;
	int			attempts;
	uint64		rows;			/* of the last attempt */
} Transaction;

/* The statement at hand, for the context of errors. */
typedef struct Place
{
	const Transaction *transaction;
	RawStmt    *raw;
	int			number;
} Place;

static void check_can_commit(FunctionCallInfo fcinfo);
static void read_arguments(FunctionCallInfo fcinfo, Transaction *transaction);
static const char *isolation_argument(FunctionCallInfo fcinfo, int n);
static double backoff_argument(FunctionCallInfo fcinfo, int n);
static Jsonb *parameters_argument(FunctionCallInfo fcinfo, int n);
static void parse_body(Transaction *transaction);
static void body_error_callback(void *arg);
static void check_statement(const Transaction *transaction, const RawStmt *raw);
static int	body_errposition(const Transaction *transaction, int location);
static int	statement_start(const Transaction *transaction, const RawStmt *raw);
static void check_parameters(const Transaction *transaction);
static ErrorData *try_attempt(Transaction *transaction);
static ErrorData *take_error(MemoryContext context);
static uint64 run_statement(const Transaction *transaction, RawStmt *raw);
static ParamListInfo bind_parameters(const Transaction *transaction, RawStmt *raw, int *count, Oid **types);
static void parameter_error_callback(void *arg);
static void statement_error_callback(void *arg);
static bool is_retriable(const Transaction *transaction, const ErrorData *error);
static void announce_retry(const Transaction *transaction, const ErrorData *error);
static void rest(Transaction *transaction);
static Datum make_result(FunctionCallInfo fcinfo, const Transaction *transaction);

PG_FUNCTION_INFO_V1(algo_ref_transaction);

/*
 * algo_ref.transaction(body, isolation, retries, parameters,
 *						retry_lock_timeout, backoff, attempts, rows_processed)
 */
Datum
algo_ref_transaction(PG_FUNCTION_ARGS)
{
	Transaction transaction = {0};
	ErrorData  *error;

	check_can_commit(fcinfo);

	/* what is allocated from here on outlives the transactions */
	SPI_connect_ext(SPI_OPT_NONATOMIC);
	read_arguments(fcinfo, &transaction);
	parse_body(&transaction);
	check_parameters(&transaction);

	/* the isolation level can be chosen only before the first snapshot */
	SPI_commit();
	while ((error = try_attempt(&transaction)) != NULL)
	{
		if (!is_retriable(&transaction, error) || transaction.attempts > transaction.retries)
			ReThrowError(error);
		announce_retry(&transaction, error);
		FreeErrorData(error);
		rest(&transaction);
	}
	SPI_finish();
	return make_result(fcinfo, &transaction);
}

/*
 * Raise 25001 if the procedure cannot commit, or would commit what somebody
 * else has done.
 */
static void
check_can_commit(FunctionCallInfo fcinfo)
{
	if (fcinfo->context == NULL || !IsA(fcinfo->context, CallContext) ||
		castNode(CallContext, fcinfo->context)->atomic)
		ereport(ERROR,
				errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
				errmsg("algo_ref.transaction cannot run inside a transaction block"),
				errdetail("It makes a transaction of its own, and makes it again if it fails."));
	if (TransactionIdIsValid(GetTopTransactionIdIfAny()))
		ereport(ERROR,
				errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
				errmsg("algo_ref.transaction cannot run after changes that are not committed"),
				errhint("COMMIT or ROLLBACK before."));
}

static void
read_arguments(FunctionCallInfo fcinfo, Transaction *transaction)
{
	transaction->body = palloc0(sizeof(NamedText));
	transaction->body->text = ar_session_argument_text(fcinfo, 0, "body");
	transaction->isolation = isolation_argument(fcinfo, 1);
	transaction->retries = ar_session_argument_int(fcinfo, 2, "retries", 0, RETRIES_MOST);
	transaction->parameters = parameters_argument(fcinfo, 3);
	transaction->retry_lock_timeout = ar_session_argument_bool(fcinfo, 4, "retry_lock_timeout");
	transaction->backoff_ms = backoff_argument(fcinfo, 5);
}

static const char *
isolation_argument(FunctionCallInfo fcinfo, int n)
{
	static const char *const levels[] = {
		"read uncommitted", "read committed", "repeatable read", "serializable"
	};
	char	   *isolation;

	if (PG_ARGISNULL(n))
		return NULL;
	isolation = text_to_cstring(PG_GETARG_TEXT_PP(n));
	for (int i = 0; i < lengthof(levels); i++)
		if (pg_strcasecmp(isolation, levels[i]) == 0)
			return levels[i];
	ereport(ERROR,
			errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			errmsg("isolation level \"%s\" does not exist", isolation),
			errhint("The levels are read committed, repeatable read and serializable."));
}

/*
 * In milliseconds.
 */
static double
backoff_argument(FunctionCallInfo fcinfo, int n)
{
	Interval   *interval;
	double		ms;

	ar_session_check_given(fcinfo, n, "backoff");
	interval = PG_GETARG_INTERVAL_P(n);
	ms = interval->time / 1000.0 +
		(interval->day + interval->month * (double) DAYS_PER_MONTH) * SECS_PER_DAY * 1000.0;
	if (!(ms >= 0 && ms <= BACKOFF_FIRST_MOST_MS))
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("backoff must be between zero and one minute"));
	return ms;
}

static Jsonb *
parameters_argument(FunctionCallInfo fcinfo, int n)
{
	Jsonb	   *parameters;

	if (PG_ARGISNULL(n))
		return NULL;
	parameters = PG_GETARG_JSONB_P_COPY(n);
	if (!JB_ROOT_IS_OBJECT(parameters))
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("parameters must be a JSON object"),
				errhint("It has a value for each :name of the body, such as {\"name\": 1}."));
	return parameters;
}

/*
 * Take the body apart with the server's grammar, and refuse what cannot be
 * part of it.
 */
static void
parse_body(Transaction *transaction)
{
	ErrorContextCallback callback = {.previous = error_context_stack,
	.callback = body_error_callback,.arg = transaction};
	ListCell   *cell;

	transaction->body = ar_parameter_number(transaction->body->text);
	error_context_stack = &callback;
	transaction->statements = raw_parser(transaction->body->text, RAW_PARSE_DEFAULT);
	foreach(cell, transaction->statements)
		check_statement(transaction, lfirst_node(RawStmt, cell));
	error_context_stack = callback.previous;
}

/*
 * The parser's places are places in the body.
 */
static void
body_error_callback(void *arg)
{
	const Transaction *transaction = arg;
	int			position = geterrposition();

	if (position > 0)
	{
		errposition(0);
		internalerrposition(position);
		internalerrquery(transaction->body->shown);
	}
	errcontext("body of algo_ref.transaction");
}

static void
check_statement(const Transaction *transaction, const RawStmt *raw)
{
	Node	   *stmt = raw->stmt;

	if (IsA(stmt, TransactionStmt))
		ereport(ERROR,
				errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				errmsg("transaction control cannot be used in the body of algo_ref.transaction"),
				errdetail("The body is one transaction, which is begun and committed for it."),
				body_errposition(transaction, statement_start(transaction, raw)));
	if (IsA(stmt, VariableSetStmt) && castNode(VariableSetStmt, stmt)->name &&
		strcmp(castNode(VariableSetStmt, stmt)->name, "TRANSACTION") == 0)
		ereport(ERROR,
				errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				errmsg("SET TRANSACTION cannot be used in the body of algo_ref.transaction"),
				errhint("Give the isolation level as argument \"isolation\"."),
				body_errposition(transaction, statement_start(transaction, raw)));
	if (IsA(stmt, CopyStmt) && castNode(CopyStmt, stmt)->filename == NULL)
		ereport(ERROR,
				errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				errmsg("COPY from or to the client cannot be used in the body of algo_ref.transaction"),
				body_errposition(transaction, statement_start(transaction, raw)));
}

/*
 * Part of an ereport(): the error is at a byte of the body.
 */
static int
body_errposition(const Transaction *transaction, int location)
{
	return errposition(pg_mbstrlen_with_len(transaction->body->text, location) + 1);
}

/*
 * Where a statement begins, behind the blanks before it.
 */
static int
statement_start(const Transaction *transaction, const RawStmt *raw)
{
	return raw->stmt_location +
		strspn(&transaction->body->text[raw->stmt_location], " \t\n\r\f\v");
}

/*
 * Each name of the body has a value, and each value a name.
 */
static void
check_parameters(const Transaction *transaction)
{
	const NamedText *body = transaction->body;
	JsonbIterator *iterator;
	JsonbIteratorToken token;
	JsonbValue	value;

	for (int i = 0; i < body->count; i++)
	{
		if (transaction->parameters == NULL ||
			getKeyJsonValueFromContainer(&transaction->parameters->root, body->names[i],
										 strlen(body->names[i]), &value) == NULL)
			ereport(ERROR,
					errcode(ERRCODE_UNDEFINED_PARAMETER),
					errmsg("parameter \"%s\" has no value", body->names[i]),
					errhint("The argument \"parameters\" is an object with a value for each :name of the body."));
	}
	if (transaction->parameters == NULL)
		return;
	iterator = JsonbIteratorInit(&transaction->parameters->root);
	while ((token = JsonbIteratorNext(&iterator, &value, true)) != WJB_DONE)
	{
		bool		is_used = token != WJB_KEY;

		for (int i = 0; i < body->count && !is_used; i++)
			is_used = strlen(body->names[i]) == value.val.string.len &&
				memcmp(body->names[i], value.val.string.val, value.val.string.len) == 0;
		if (!is_used)
			ereport(ERROR,
					errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					errmsg("parameter \"%s\" is not used in the body",
						   pnstrdup(value.val.string.val, value.val.string.len)));
	}
}

/*
 * Run the statements and commit.  Returns the error, if there was one; then
 * nothing of the attempt remains.  In either case a transaction without a
 * snapshot has begun.
 */
static ErrorData *
try_attempt(Transaction *transaction)
{
	MemoryContext context = CurrentMemoryContext;
	MemoryContext attempt_context = AllocSetContextCreate(context, "algo_ref transaction attempt",
														  ALLOCSET_DEFAULT_SIZES);
	ErrorData  *volatile error = NULL;
	Subxact		subxact;

	transaction->attempts++;
	transaction->rows = 0;
	if (transaction->isolation)
		(void) set_config_option("transaction_isolation", transaction->isolation,
								 PGC_USERSET, PGC_S_SESSION, GUC_ACTION_LOCAL, true, 0, false);
	PushActiveSnapshot(GetTransactionSnapshot());
	ar_subxact_begin(&subxact, NULL);
	PG_TRY();
	{
		Place		place = {.transaction = transaction};
		ErrorContextCallback callback = {.previous = error_context_stack,
		.callback = statement_error_callback,.arg = &place};
		ListCell   *cell;

		error_context_stack = &callback;
		foreach(cell, transaction->statements)
		{
			place.raw = lfirst_node(RawStmt, cell);
			place.number++;
			CHECK_FOR_INTERRUPTS();
			MemoryContextSwitchTo(attempt_context);
			transaction->rows += run_statement(transaction, place.raw);
			MemoryContextReset(attempt_context);
		}
		error_context_stack = callback.previous;
		ar_subxact_release(&subxact);
	}
	PG_CATCH();
	{
		error = take_error(subxact.context);
		ar_subxact_roll_back(&subxact);
	}
	PG_END_TRY();
	PopActiveSnapshot();

	if (error)
		SPI_rollback();
	else
	{
		PG_TRY();
		{
			SPI_commit();
		}
		PG_CATCH();
		{
			/* SPI has rolled back, and begun a new transaction */
			error = take_error(context);
		}
		PG_END_TRY();
	}
	MemoryContextSwitchTo(context);
	MemoryContextDelete(attempt_context);
	return error;
}

/*
 * In an error handler: the error, in "context".
 */
static ErrorData *
take_error(MemoryContext context)
{
	ErrorData  *error;

	MemoryContextSwitchTo(context);
	error = CopyErrorData();
	FlushErrorState();
	return error;
}

/*
 * Run a statement, and return how many rows it has returned or changed.
 */
static uint64
run_statement(const Transaction *transaction, RawStmt *raw)
{
	int			start = statement_start(transaction, raw);
	const char *text = &transaction->body->text[start];
	int			length = raw->stmt_len > 0 ? raw->stmt_location + raw->stmt_len - start : strlen(text);
	char	   *own = pnstrdup(text, length);
	SPIExecuteOptions options = {0};
	Oid		   *types = NULL;
	int			count = 0;
	uint64		rows;
	SPIPlanPtr	plan;
	int			outcome;

	if (transaction->body->count > 0)
		options.params = bind_parameters(transaction, raw, &count, &types);
	options.dest = CreateDestReceiver(DestNone);
	plan = SPI_prepare(own, count, types);
	if (plan == NULL)
		elog(ERROR, "could not prepare a statement: %s", SPI_result_code_string(SPI_result));
	outcome = SPI_execute_plan_extended(plan, &options);
	if (outcome < 0)
		ereport(ERROR,
				errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				errmsg("the statement cannot be used in the body of algo_ref.transaction"),
				errdetail_internal("%s", SPI_result_code_string(outcome)));
	rows = SPI_processed;
	SPI_freeplan(plan);
	return rows;
}

/*
 * The values of the parameters that a statement uses, with the types that
 * their places want; NULL if it uses none.
 */
static ParamListInfo
bind_parameters(const Transaction *transaction, RawStmt *raw, int *count, Oid **types)
{
	const NamedText *body = transaction->body;
	ParamListInfo list;
	ErrorContextCallback position_callback = {.previous = error_context_stack,
	.callback = body_error_callback,.arg = unconstify(Transaction *, transaction)};

	/* what the server does for a client that gives no types */
	error_context_stack = &position_callback;
	(void) parse_analyze_varparams(copyObject(raw), body->text, types, count, NULL);
	error_context_stack = position_callback.previous;
	if (*count == 0)
		return NULL;

	list = makeParamList(*count);
	for (int i = 0; i < *count; i++)
	{
		ParamExternData *parameter = &list->params[i];
		ErrorContextCallback callback = {.previous = error_context_stack,
		.callback = parameter_error_callback,.arg = body->names[i]};
		JsonbValue	value;
		char	   *input;
		Oid			function;
		Oid			type_io_parameter;

		parameter->pflags = PARAM_FLAG_CONST;
		parameter->isnull = true;
		if (!OidIsValid((*types)[i]))
			continue;			/* other statements use it */
		if ((*types)[i] == UNKNOWNOID)
			ereport(ERROR,
					errcode(ERRCODE_INDETERMINATE_DATATYPE),
					errmsg("could not determine the type of parameter \"%s\"", body->names[i]),
					errhint("Write CAST (:%s AS type).", body->names[i]));
		parameter->ptype = (*types)[i];
		getKeyJsonValueFromContainer(&transaction->parameters->root, body->names[i],
									 strlen(body->names[i]), &value);
		error_context_stack = &callback;
		input = ar_parameter_value(&value, parameter->ptype, body->names[i]);
		getTypeInputInfo(parameter->ptype, &function, &type_io_parameter);
		parameter->value = OidInputFunctionCall(function, input, type_io_parameter, -1);
		parameter->isnull = input == NULL;
		error_context_stack = callback.previous;
	}
	return list;
}

static void
parameter_error_callback(void *arg)
{
	errcontext("parameter \"%s\"", (const char *) arg);
}

static void
statement_error_callback(void *arg)
{
	const Place *place = arg;
	const char *text = place->transaction->body->text;
	int			start = statement_start(place->transaction, place->raw);
	int			line = 1;

	for (int i = 0; i < start; i++)
		if (text[i] == '\n')
			line++;
	errcontext("statement %d (line %d) of algo_ref.transaction", place->number, line);
}

/*
 * Did the attempt fail for the sake of others, so that the next one may not?
 */
static bool
is_retriable(const Transaction *transaction, const ErrorData *error)
{
	return error->sqlerrcode == ERRCODE_T_R_SERIALIZATION_FAILURE ||
		error->sqlerrcode == ERRCODE_T_R_DEADLOCK_DETECTED ||
		(error->sqlerrcode == ERRCODE_LOCK_NOT_AVAILABLE && transaction->retry_lock_timeout);
}

static void
announce_retry(const Transaction *transaction, const ErrorData *error)
{
	ereport(NOTICE,
			errmsg("attempt %d of %d failed, and the transaction is run again",
				   transaction->attempts, transaction->retries + 1),
			errdetail("SQLSTATE %s: %s.", unpack_sql_state(error->sqlerrcode), error->message));
}

/*
 * Rest, each time twice as long, with a random half more or less.
 */
static void
rest(Transaction *transaction)
{
	double		ms = transaction->backoff_ms * (0.5 + pg_prng_double(&pg_global_prng_state));
	TimestampTz deadline = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), ceil(ms));
	long		left;

	transaction->backoff_ms = Max(transaction->backoff_ms,
								  Min(transaction->backoff_ms * 2, BACKOFF_MOST_MS));
	InvalidateCatalogSnapshot();
	while ((left = TimestampDifferenceMilliseconds(GetCurrentTimestamp(), deadline)) > 0)
	{
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 left, PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
	CHECK_FOR_INTERRUPTS();
}

/*
 * The row of the INOUT arguments.
 */
static Datum
make_result(FunctionCallInfo fcinfo, const Transaction *transaction)
{
	TupleDesc	desc;
	Datum		values[2];
	bool		nulls[2] = {false, false};

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	values[0] = Int32GetDatum(transaction->attempts);
	values[1] = Int64GetDatum((int64) transaction->rows);
	return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls));
}
