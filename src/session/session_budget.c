/*
 * session_budget.c: do an application's pools fit the limits?
 *
 * Each process of the application has a pool of at most pool_size +
 * max_overflow connections.  Without pgbouncer these are connections to the
 * server; with it they are client connections, and the server sees at most
 * what pgbouncer opens for the one role and database.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_database.h"
#include "commands/dbcommands.h"
#include "common/compat.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "nodes/pg_list.h"
#include "session/session.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/syscache.h"
#include "utils/tuplestore.h"

/* What no process has: a pool, or a pgbouncer, without end. */
#define UNBOUNDED (-1)

/* How many processes and connections are still a configuration. */
#define COUNT_MAX 1000000

typedef struct Budget
{
	int			pool_size;		/* 0: no limit */
	int			max_overflow;	/* -1: no limit */
	int			processes;
	Oid			role;
	Oid			database;
	char	   *application_name;	/* or NULL */
	int			pgbouncers;		/* 0: none */
	int			default_pool_size;
	int			reserve_pool_size;
	int			max_db_connections; /* 0: no limit */
	int			max_user_connections;	/* likewise */
	int			max_client_conn;
	bool		clients_take_turns;
} Budget;

/* A limit, and what the application takes of it. */
typedef struct BudgetLimit
{
	char	   *name;
	int			allowed;
	int			used_by_others;
	int64		needed;			/* UNBOUNDED */
	int			divisor;		/* pools that share it; 0: their size makes no
								 * difference */
} BudgetLimit;

static void read_budget(FunctionCallInfo fcinfo, Budget *budget);
static List *limits_of(const Budget *budget);
static List *server_limits(const Budget *budget, int64 needed, int divisor);
static List *pgbouncer_limits(const Budget *budget);
static List *add_limit(List *limits, char *name, int allowed, int others, int64 needed, int divisor);
static int64 connections_of_pools(const Budget *budget);
static int64 connections_of_pgbouncers(const Budget *budget);
static int	setting(const char *name);
static int	count_others(const Budget *budget, Oid role, Oid database);
static int	compare_limits(const ListCell *a, const ListCell *b);
static int64 remaining(const BudgetLimit *limit);
static void put_limit(ReturnSetInfo *result, const Budget *budget, const BudgetLimit *limit);

PG_FUNCTION_INFO_V1(algo_ref_connection_budget);

/*
 * algo_ref.connection_budget(pool_size, max_overflow, processes, ...)
 */
Datum
algo_ref_connection_budget(PG_FUNCTION_ARGS)
{
	Budget		budget;
	List	   *limits;
	ListCell   *cell;

	read_budget(fcinfo, &budget);
	InitMaterializedSRF(fcinfo, 0);
	limits = limits_of(&budget);
	list_sort(limits, compare_limits);
	foreach(cell, limits)
		put_limit((ReturnSetInfo *) fcinfo->resultinfo, &budget, lfirst(cell));
	return (Datum) 0;
}

static void
read_budget(FunctionCallInfo fcinfo, Budget *budget)
{
	char	   *mode;

	budget->pool_size = ar_session_argument_int(fcinfo, 0, "pool_size", 0, COUNT_MAX);
	budget->max_overflow = ar_session_argument_int(fcinfo, 1, "max_overflow", -1, COUNT_MAX);
	budget->processes = ar_session_argument_int(fcinfo, 2, "processes", 1, COUNT_MAX);
	ar_session_check_given(fcinfo, 3, "role");
	budget->role = get_role_oid(NameStr(*PG_GETARG_NAME(3)), false);
	ar_session_check_given(fcinfo, 4, "database");
	budget->database = get_database_oid(NameStr(*PG_GETARG_NAME(4)), false);
	budget->application_name = PG_ARGISNULL(5) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(5));
	budget->pgbouncers = ar_session_argument_int(fcinfo, 6, "pgbouncer_processes", 0, COUNT_MAX);
	budget->default_pool_size = ar_session_argument_int(fcinfo, 7, "default_pool_size", 1, COUNT_MAX);
	budget->reserve_pool_size = ar_session_argument_int(fcinfo, 8, "reserve_pool_size", 0, COUNT_MAX);
	budget->max_db_connections = ar_session_argument_int(fcinfo, 9, "max_db_connections", 0, COUNT_MAX);
	budget->max_user_connections = ar_session_argument_int(fcinfo, 10, "max_user_connections", 0, COUNT_MAX);
	budget->max_client_conn = ar_session_argument_int(fcinfo, 11, "max_client_conn", 1, COUNT_MAX);
	mode = ar_session_argument_text(fcinfo, 12, "pool_mode");
	if (strcmp(mode, "session") != 0 && strcmp(mode, "transaction") != 0 && strcmp(mode, "statement") != 0)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("pool_mode \"%s\" does not exist", mode),
				errhint("The modes are session, transaction and statement."));
	budget->clients_take_turns = strcmp(mode, "session") != 0;
}

static List *
limits_of(const Budget *budget)
{
	int64		needed = connections_of_pools(budget);

	if (budget->pgbouncers == 0)
		return server_limits(budget, needed, budget->processes);
	return list_concat(pgbouncer_limits(budget),
					   server_limits(budget, connections_of_pgbouncers(budget), 0));
}

/*
 * What the server allows.  The limits of roles and databases, and what is
 * reserved for superusers, do not bind superusers.  The role for which
 * reserved_connections are came together with that setting.
 */
static List *
server_limits(const Budget *budget, int64 needed, int divisor)
{
	bool		is_superuser = superuser_arg(budget->role);
	Oid			reserved_role = get_role_oid("pg_use_reserved_connections", true);
	HeapTuple	tuple = SearchSysCache1(AUTHOID, ObjectIdGetDatum(budget->role));
	Form_pg_authid role;
	List	   *limits = NIL;
	int			slots = setting("max_connections");
	char	   *name = "max_connections";
	HeapTuple	database_tuple;
	Form_pg_database database;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for role %u", budget->role);
	role = (Form_pg_authid) GETSTRUCT(tuple);
	if (!is_superuser)
	{
		slots -= setting("superuser_reserved_connections");
		name = psprintf("%s - superuser_reserved_connections", name);
		if (OidIsValid(reserved_role) && !has_privs_of_role(budget->role, reserved_role))
		{
			slots -= setting("reserved_connections");
			name = psprintf("%s - reserved_connections", name);
		}
	}
	limits = add_limit(limits, name, slots, count_others(budget, InvalidOid, InvalidOid), needed, divisor);

	if (!role->rolcanlogin)
		limits = add_limit(limits, psprintf("role %s may not log in", quote_identifier(NameStr(role->rolname))),
						   0, 0, needed, divisor);
	if (role->rolconnlimit >= 0 && !is_superuser)
		limits = add_limit(limits, psprintf("role %s", quote_identifier(NameStr(role->rolname))),
						   role->rolconnlimit, count_others(budget, budget->role, InvalidOid), needed, divisor);
	ReleaseSysCache(tuple);

	database_tuple = SearchSysCache1(DATABASEOID, ObjectIdGetDatum(budget->database));
	if (!HeapTupleIsValid(database_tuple))
		elog(ERROR, "cache lookup failed for database %u", budget->database);
	database = (Form_pg_database) GETSTRUCT(database_tuple);
	/* less than -1 marks one whose removal was interrupted */
	if (!database->datallowconn || database->datconnlimit < -1)
		limits = add_limit(limits, psprintf("database %s accepts no connections",
											quote_identifier(NameStr(database->datname))),
						   0, 0, needed, divisor);
	else if (database->datconnlimit >= 0 && !is_superuser)
		limits = add_limit(limits, psprintf("database %s", quote_identifier(NameStr(database->datname))),
						   database->datconnlimit, count_others(budget, InvalidOid, budget->database),
						   needed, divisor);
	ReleaseSysCache(database_tuple);
	return limits;
}

/*
 * What pgbouncer allows.  Its processes share the clients evenly, as far as
 * whole connections can be shared.
 */
static List *
pgbouncer_limits(const Budget *budget)
{
	int64		clients = connections_of_pools(budget);
	List	   *limits;

	limits = add_limit(NIL, "pgbouncer max_client_conn",
					   Min((int64) budget->max_client_conn * budget->pgbouncers, PG_INT32_MAX),
					   0, clients, budget->processes);
	if (!budget->clients_take_turns)
		limits = add_limit(limits, "pgbouncer server connections",
						   Min(connections_of_pgbouncers(budget), PG_INT32_MAX),
						   0, clients, budget->processes);
	return limits;
}

static List *
add_limit(List *limits, char *name, int allowed, int others, int64 needed, int divisor)
{
	BudgetLimit *limit = palloc(sizeof(BudgetLimit));

	limit->name = name;
	limit->allowed = allowed;
	limit->used_by_others = others;
	limit->needed = needed;
	limit->divisor = divisor;
	return lappend(limits, limit);
}

static int64
connections_of_pools(const Budget *budget)
{
	if (budget->pool_size == 0 || budget->max_overflow < 0)
		return UNBOUNDED;
	return ((int64) budget->pool_size + budget->max_overflow) * budget->processes;
}

/*
 * What all processes of pgbouncer open for one role and database.
 */
static int64
connections_of_pgbouncers(const Budget *budget)
{
	int64		each = (int64) budget->default_pool_size + budget->reserve_pool_size;

	if (budget->max_db_connections > 0)
		each = Min(each, budget->max_db_connections);
	if (budget->max_user_connections > 0)
		each = Min(each, budget->max_user_connections);
	return each * budget->pgbouncers;
}

/*
 * A setting of the server's that is a number.
 */
static int
setting(const char *name)
{
	return pg_strtoint32(GetConfigOption(name, false, false));
}

/*
 * The connections that others hold now, of a role or to a database if one is
 * given.
 */
static int
count_others(const Budget *budget, Oid role, Oid database)
{
	int			count = 0;

	for (int i = 1; i <= ar_session_process_count(); i++)
	{
		PgBackendStatus *process = ar_session_process(i);

		if (process == NULL || process->st_backendType != B_BACKEND)
			continue;
		if (OidIsValid(role) && process->st_userid != role)
			continue;
		if (OidIsValid(database) && process->st_databaseid != database)
			continue;
		if (budget->application_name && process->st_userid == budget->role &&
			process->st_databaseid == budget->database &&
			strcmp(process->st_appname, budget->application_name) == 0)
			continue;
		count++;
	}
	return count;
}

/*
 * The tightest first.
 */
static int
compare_limits(const ListCell *a, const ListCell *b)
{
	const BudgetLimit *left = lfirst(a);
	const BudgetLimit *right = lfirst(b);
	int64		left_remaining = remaining(left);
	int64		right_remaining = remaining(right);

	if (left_remaining != right_remaining)
		return left_remaining < right_remaining ? -1 : 1;
	return strcmp(left->name, right->name);
}

static int64
remaining(const BudgetLimit *limit)
{
	return (int64) limit->allowed - limit->used_by_others -
		(limit->needed == UNBOUNDED ? PG_INT32_MAX : limit->needed);
}

static void
put_limit(ReturnSetInfo *result, const Budget *budget, const BudgetLimit *limit)
{
	bool		is_bounded = limit->needed != UNBOUNDED;
	Datum		values[8] = {0};
	bool		nulls[8] = {false};
	int64		pool;			/* the largest with both parts */

	values[0] = CStringGetTextDatum(limit->name);
	values[1] = Int32GetDatum(limit->allowed);
	values[2] = Int32GetDatum(limit->used_by_others);
	values[3] = Int64GetDatum(limit->needed);
	values[4] = Int64GetDatum(remaining(limit));
	nulls[3] = nulls[4] = !is_bounded;
	values[5] = BoolGetDatum(is_bounded && remaining(limit) >= 0);
	nulls[6] = nulls[7] = true;
	if (limit->divisor > 0)
	{
		pool = ((int64) limit->allowed - limit->used_by_others) / limit->divisor;
		/* a pool without overflow, if that has no limit */
		values[6] = Int32GetDatum((int32) (pool - Max(budget->max_overflow, 0)));
		nulls[6] = DatumGetInt32(values[6]) < 1;
		values[7] = Int32GetDatum((int32) (pool - budget->pool_size));
		nulls[7] = budget->pool_size == 0 || DatumGetInt32(values[7]) < 0;
	}
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}
