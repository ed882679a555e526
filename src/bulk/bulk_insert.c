/*
 * bulk_insert.c: the INSERT.
 *
 *	INSERT INTO target (columns of the rows) SELECT ... FROM the source
 *
 * is analyzed, rewritten and planned by the server as if the caller had written
 * it.  The source stands in it as a named tuplestore.  Where the plan reads
 * that just once, from beginning to end, its scan is made to ask the source
 * itself, so that nothing is kept; otherwise the tuplestore is filled before.
 * And where nothing speaks against it, the fast path takes over from the
 * plan's ModifyTable node.
 */
#include "postgres.h"

#include "access/xact.h"
#include "bulk/bulk.h"
#include "catalog/pg_class.h"
#include "catalog/pg_index.h"
#include "common/qualified_name.h"
#include "executor/executor.h"
#include "executor/tstoreReceiver.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/parsenodes.h"
#include "parser/analyze.h"
#include "parser/parser.h"
#include "parser/parsetree.h"
#include "tcop/dest.h"
#include "tcop/tcopprot.h"
#include "tcop/utility.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/queryenvironment.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

/* What the source is called in the INSERT. */
#define ROWS_NAME "algo_ref bulk rows"

/* Memory for the rows that are kept, until they go to a file. */
#define KEPT_ROWS_KB 1024

/* How the query that runs finds us from its nodes. */
typedef struct Run
{
	BulkInsert *insert;
	QueryEnvironment *environment;
	Tuplestorestate *kept;		/* rows of the source, if they are kept */
	bool		is_kept;
} Run;

static uint64 run_insert(BulkInsert *insert);
static void error_callback(void *arg);
static bool is_row_known(const BulkInsert *insert);
static List *columns_of_source(const BulkInsert *insert);
static char *make_sql(const BulkInsert *insert, List *columns);
static void append_columns(StringInfo sql, List *columns);
static void append_conflict(StringInfo sql, const BulkInsert *insert, List *columns);
static List *columns_to_set(Relation target, List *columns, List *key);
static List *primary_key(Relation target);
static bool is_member(List *names, const char *name);
static Query *analyze(BulkInsert *insert, Run *run, List *columns);
static void take_query(InsertStmt *stmt, SelectStmt *query);
static Run *make_run(BulkInsert *insert);
static uint64 run_query(Run *run, Query *query, bool is_only);
static void prepare_nodes(Run *run, PlanState *state, bool is_only, bool fits_fast_path);
static ScanState *source_scan(PlanState *state);
static void keep_rows(Run *run);
static Run *run_of(PlanState *state);
static TupleTableSlot *exec_scan(PlanState *state);
static TupleTableSlot *next_row(ScanState *state);
static bool take_row(BulkInsert *insert, TupleTableSlot *slot);
static bool recheck_row(ScanState *state, TupleTableSlot *slot);
static TupleTableSlot *exec_modify(PlanState *state);

/*
 * Find out which columns the source has, once.
 */
void
ar_bulk_insert_prepare(BulkInsert *insert)
{
	ErrorContextCallback callback = {.previous = error_context_stack,
	.callback = error_callback,.arg = insert};

	if (insert->is_prepared || insert->source == NULL)
		return;
	error_context_stack = &callback;
	insert->row_at_work = 0;
	insert->source->ignores_identity = insert->overriding != NULL &&
		strcmp(insert->overriding, "user") == 0;
	insert->source->prepare(insert->source);
	insert->row_at_work = AR_BULK_NO_ROW;
	if (insert->on_conflict == AR_BULK_CONFLICT_UPDATE && insert->source->keys_differ)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("rows that may update others must all have the same keys"),
				errdetail("What a row does not have would be set to its default."));
	insert->is_prepared = true;
	error_context_stack = callback.previous;
}

/*
 * Insert the rows of the source or the query, and return how many there were,
 * as INSERT counts them.
 */
uint64
ar_bulk_insert(BulkInsert *insert)
{
	ErrorContextCallback callback = {.previous = error_context_stack,
	.callback = error_callback,.arg = insert};
	uint64		result;

	ar_bulk_insert_prepare(insert);
	insert->rows_taken = 0;
	insert->row_at_work = AR_BULK_NO_ROW;
	insert->sql = NULL;
	insert->estate = NULL;
	error_context_stack = &callback;
	result = run_insert(insert);
	error_context_stack = callback.previous;
	return result;
}

static uint64
run_insert(BulkInsert *insert)
{
	List	   *columns;
	List	   *queries;
	ListCell   *cell;
	Run		   *run;
	uint64		count = 0;

	if (insert->source != NULL)
		columns = columns_of_source(insert);
	else
	{
		insert->sql = insert->query;
		columns = ar_bulk_insert_columns(insert->target, insert->query, NULL);
		insert->sql = NULL;
	}
	run = make_run(insert);
	queries = pg_rewrite_query(analyze(insert, run, columns));
	insert->sql = NULL;
	foreach(cell, queries)
	{
		Query	   *query = lfirst_node(Query, cell);
		uint64		processed = run_query(run, query, list_length(queries) == 1);

		if (query->canSetTag)
			count = processed;
	}
	/* a rule may have it that nobody asks for them */
	while (insert->rows_taken < insert->rows_most && insert->source->skip(insert->source))
	{
		CHECK_FOR_INTERRUPTS();
		insert->rows_taken++;
	}
	tuplestore_end(run->kept);
	return count;
}

/*
 * Where it went wrong.
 */
static void
error_callback(void *arg)
{
	BulkInsert *insert = arg;
	const BulkSource *source = insert->source;
	const char *table = RelationGetRelationName(insert->target);
	int			position = geterrposition();
	uint64		row = insert->row_at_work;

	if (insert->sql != NULL && position > 0)
	{
		errposition(0);
		internalerrposition(position);
		internalerrquery(insert->sql);
	}
	if (insert->failed_entry != 0)
	{
		/* rows that went in before; whatever the source is at is another one */
		row = insert->failed_entry;
		source = NULL;
		insert->failed_entry = 0;
	}
	if (row == 0 && source != NULL)
		row = source->row;
	if (row == AR_BULK_NO_ROW || row == 0 || !is_row_known(insert))
		errcontext("bulk insert into \"%s\"", table);
	else if (source == NULL || source->column == NULL)
		errcontext("bulk insert into \"%s\", row %llu", table, (unsigned long long) row);
	else if (source->value == NULL)
		errcontext("bulk insert into \"%s\", row %llu, column \"%s\"",
				   table, (unsigned long long) row, source->column);
	else
	{
		int			length = pg_mbcliplen(source->value, source->value_length, 100);

		errcontext("bulk insert into \"%s\", row %llu, column \"%s\": \"%s%s\"",
				   table, (unsigned long long) row, source->column,
				   pnstrdup(source->value, length),
				   length < source->value_length ? "..." : "");
	}
}

/*
 * Foreign rows wait for each other and are sent together.
 */
static bool
is_row_known(const BulkInsert *insert)
{
	ListCell   *cell;

	if (insert->estate == NULL)
		return true;
	foreach(cell, insert->estate->es_opened_result_relations)
		if (((ResultRelInfo *) lfirst(cell))->ri_BatchSize > 1)
		return false;
	foreach(cell, insert->estate->es_tuple_routing_result_relations)
		if (((ResultRelInfo *) lfirst(cell))->ri_BatchSize > 1)
		return false;
	return true;
}

/*
 * Names of the query's columns, each of which the target has to have; and if
 * asked for, a description of its rows.
 */
List *
ar_bulk_insert_columns(Relation target, const char *query, TupleDesc *desc)
{
	return ar_bulk_insert_columns_but(target, query, NULL, desc);
}

/*
 * The same, without one that is left out if the target does not have it.
 */
List *
ar_bulk_insert_columns_but(Relation target, const char *query, const char *key, TupleDesc *desc)
{
	RawStmt    *raw = makeNode(RawStmt);
	List	   *names = NIL;
	ListCell   *cell;
	Query	   *analyzed;

	raw->stmt = (Node *) ar_bulk_insert_parse(query, NULL);
	analyzed = parse_analyze_fixedparams(raw, query, NULL, 0, NULL);
	foreach(cell, analyzed->targetList)
	{
		TargetEntry *entry = lfirst_node(TargetEntry, cell);

		if (entry->resjunk)
			continue;
		if (get_attnum(RelationGetRelid(target), entry->resname) > 0)
			names = lappend(names, entry->resname);
		else if (key == NULL || strcmp(key, entry->resname) != 0)
			ereport(ERROR,
					errcode(ERRCODE_UNDEFINED_COLUMN),
					errmsg("column \"%s\" of relation \"%s\" does not exist",
						   entry->resname, RelationGetRelationName(target)),
					errhint("The query's columns are matched by name; name them with AS."));
	}
	if (desc != NULL)
		*desc = ExecCleanTypeFromTL(analyzed->targetList);
	return names;
}

/*
 * A query, which has to be one that returns rows; and if asked for, its length
 * without a semicolon and what is behind it.
 */
SelectStmt *
ar_bulk_insert_parse(const char *query, int *length)
{
	List	   *statements = raw_parser(query, RAW_PARSE_DEFAULT);
	RawStmt    *raw;

	if (list_length(statements) != 1)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("the query must be one statement, not %d", list_length(statements)));
	raw = linitial_node(RawStmt, statements);
	if (!IsA(raw->stmt, SelectStmt) || castNode(SelectStmt, raw->stmt)->intoClause != NULL)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("the query must be a SELECT, VALUES, TABLE or WITH statement"));
	if (length != NULL)
		*length = raw->stmt_len == 0 ? strlen(query) : raw->stmt_location + raw->stmt_len;
	return castNode(SelectStmt, raw->stmt);
}

static List *
columns_of_source(const BulkInsert *insert)
{
	TupleDesc	desc = insert->source->desc;
	List	   *names = NIL;

	for (int i = 0; i < desc->natts; i++)
		names = lappend(names, pstrdup(NameStr(TupleDescAttr(desc, i)->attname)));
	return names;
}

/*
 * The statement.  A query takes the place of its SELECT later.
 */
static char *
make_sql(const BulkInsert *insert, List *columns)
{
	StringInfoData sql;

	initStringInfo(&sql);
	appendStringInfo(&sql, "INSERT INTO %s", ar_qualified_relation(RelationGetRelid(insert->target)));
	if (columns != NIL)
	{
		appendStringInfoString(&sql, " (");
		append_columns(&sql, columns);
		appendStringInfoChar(&sql, ')');
	}
	if (insert->overriding != NULL)
		appendStringInfo(&sql, " OVERRIDING %s VALUE",
						 strcmp(insert->overriding, "system") == 0 ? "SYSTEM" : "USER");
	appendStringInfoString(&sql, " SELECT ");
	append_columns(&sql, columns);
	appendStringInfo(&sql, " FROM %s", quote_identifier(ROWS_NAME));
	append_conflict(&sql, insert, columns);
	if (insert->returning != NULL)
		appendStringInfoString(&sql, " RETURNING *");
	return sql.data;
}

static void
append_columns(StringInfo sql, List *columns)
{
	ListCell   *cell;

	foreach(cell, columns)
		appendStringInfo(sql, "%s%s", cell == list_head(columns) ? "" : ", ",
						 quote_identifier(lfirst(cell)));
}

/*
 * An update sets every column of the rows that is not part of the key; if there
 * is none, the key itself, so that triggers fire and the row is returned.  Where
 * that cannot be set either, the row that is there stays as it is.
 */
static void
append_conflict(StringInfo sql, const BulkInsert *insert, List *columns)
{
	List	   *key = insert->conflict_columns;
	List	   *changed = NIL;
	ListCell   *cell;

	if (insert->on_conflict == AR_BULK_CONFLICT_ERROR)
		return;
	if (insert->on_conflict == AR_BULK_CONFLICT_UPDATE && key == NIL)
		key = primary_key(insert->target);
	appendStringInfoString(sql, " ON CONFLICT ");
	if (key != NIL)
	{
		appendStringInfoChar(sql, '(');
		append_columns(sql, key);
		appendStringInfoString(sql, ") ");
	}
	if (insert->on_conflict == AR_BULK_CONFLICT_UPDATE)
		changed = columns_to_set(insert->target, columns, key);
	if (changed == NIL)
	{
		appendStringInfoString(sql, "DO NOTHING");
		return;
	}
	appendStringInfoString(sql, "DO UPDATE SET ");
	foreach(cell, changed)
		appendStringInfo(sql, "%s%s = excluded.%s", cell == list_head(changed) ? "" : ", ",
						 quote_identifier(lfirst(cell)), quote_identifier(lfirst(cell)));
}

/*
 * The columns that an update sets: those that are not part of the key, or else
 * those of the key that are not always the server's to set.
 */
static List *
columns_to_set(Relation target, List *columns, List *key)
{
	List	   *result = NIL;
	ListCell   *cell;

	foreach(cell, columns)
	{
		if (!is_member(key, lfirst(cell)))
			result = lappend(result, lfirst(cell));
	}
	if (result != NIL)
		return result;
	foreach(cell, key)
	{
		AttrNumber	attnum = get_attnum(RelationGetRelid(target), lfirst(cell));
		Form_pg_attribute attribute = attnum > 0 ?
		TupleDescAttr(RelationGetDescr(target), attnum - 1) : NULL;

		if (attribute == NULL || (attribute->attidentity != ATTRIBUTE_IDENTITY_ALWAYS &&
								  attribute->attgenerated == '\0'))
			result = lappend(result, lfirst(cell));
	}
	return result;
}

static List *
primary_key(Relation target)
{
	Oid			index;
	HeapTuple	tuple;
	Form_pg_index form;
	List	   *names = NIL;

	RelationGetIndexList(target);
	index = target->rd_pkindex;
	if (!OidIsValid(index))
		ereport(ERROR,
				errcode(ERRCODE_UNDEFINED_OBJECT),
				errmsg("\"%s\" has no primary key", RelationGetRelationName(target)),
				errhint("Name the columns of a unique constraint as conflict_columns."));
	tuple = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(index));
	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for index %u", index);
	form = (Form_pg_index) GETSTRUCT(tuple);
	for (int i = 0; i < form->indnkeyatts; i++)
		names = lappend(names, get_attname(RelationGetRelid(target), form->indkey.values[i], false));
	ReleaseSysCache(tuple);
	return names;
}

static bool
is_member(List *names, const char *name)
{
	ListCell   *cell;

	foreach(cell, names)
		if (strcmp(lfirst(cell), name) == 0)
		return true;
	return false;
}

static Query *
analyze(BulkInsert *insert, Run *run, List *columns)
{
	char	   *sql = make_sql(insert, columns);
	RawStmt    *raw = linitial_node(RawStmt, raw_parser(sql, RAW_PARSE_DEFAULT));
	Query	   *query;

	insert->sql = sql;
	if (insert->query != NULL)
	{
		take_query(castNode(InsertStmt, raw->stmt), ar_bulk_insert_parse(insert->query, NULL));
		insert->sql = insert->query;
	}
	query = parse_analyze_fixedparams(raw, insert->sql, NULL, 0, run->environment);
	/* its name could have become another's meanwhile */
	if (rt_fetch(query->resultRelation, query->rtable)->relid != RelationGetRelid(insert->target))
		ereport(ERROR,
				errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				errmsg("table \"%s\" was renamed by another session",
					   RelationGetRelationName(insert->target)));
	return query;
}

/*
 * Let a query be what is inserted.  Its WITH may change data, which only the
 * statement's own may.  Positions are those in the query.
 */
static void
take_query(InsertStmt *stmt, SelectStmt *query)
{
	ListCell   *cell;

	stmt->withClause = query->withClause;
	query->withClause = NULL;
	stmt->selectStmt = (Node *) query;
	stmt->relation->location = -1;
	foreach(cell, stmt->cols)
		lfirst_node(ResTarget, cell)->location = -1;
}

static Run *
make_run(BulkInsert *insert)
{
	Run		   *run = palloc0(sizeof(Run));
	EphemeralNamedRelation rows = palloc0(sizeof(EphemeralNamedRelationData));

	run->insert = insert;
	run->kept = tuplestore_begin_heap(false, false, KEPT_ROWS_KB);
	rows->md.name = ROWS_NAME;
	rows->md.enrtype = ENR_NAMED_TUPLESTORE;
	if (insert->source != NULL)
	{
		rows->md.tupdesc = insert->source->desc;
		rows->md.enrtuples = insert->source->rows;
	}
	else
		rows->md.tupdesc = CreateTemplateTupleDesc(0);
	rows->reldata = run->kept;
	run->environment = create_queryEnv();
	register_ENR(run->environment, rows);
	return run;
}

/*
 * Run one of the statements that the INSERT has become.
 */
static uint64
run_query(Run *run, Query *query, bool is_only)
{
	BulkInsert *insert = run->insert;
	EphemeralNamedRelation rows = get_ENR(run->environment, ROWS_NAME);
	bool		fits_fast_path;
	int			sequence_users;
	PlannedStmt *plan;
	QueryDesc  *desc;
	DestReceiver *destination = None_Receiver;
	uint64		processed;

	CommandCounterIncrement();
	PushActiveSnapshot(GetTransactionSnapshot());
	if (query->commandType == CMD_UTILITY)
	{
		plan = makeNode(PlannedStmt);
		plan->commandType = CMD_UTILITY;
		plan->utilityStmt = query->utilityStmt;
		plan->stmt_location = -1;
		ProcessUtility(plan, "", false, PROCESS_UTILITY_QUERY, NULL, run->environment,
					   None_Receiver, NULL);
		PopActiveSnapshot();
		return 0;
	}
	fits_fast_path = is_only && !insert->avoids_fast_path && query->commandType == CMD_INSERT &&
		(insert->source == NULL || !insert->source->is_volatile) &&
		!ar_bulk_reason_volatile((Node *) query) && ar_bulk_reasons(insert->target) == NIL;
	sequence_users = ar_bulk_sequences_users(query);
	plan = pg_plan_query(query, "", CURSOR_OPT_PARALLEL_OK, NULL);
	insert->sequences = fits_fast_path ? ar_bulk_sequences_begin(plan, sequence_users) : NULL;
	if (insert->returning != NULL && query->canSetTag)
	{
		destination = CreateTuplestoreDestReceiver();
		/* which has columns that were dropped, as RETURNING * has not */
		SetTuplestoreDestReceiverParams(destination, insert->returning, CurrentMemoryContext,
										false, insert->returning_desc,
										gettext_noop("the rows are not of the type of the first argument"));
	}
	desc = CreateQueryDesc(plan, insert->query != NULL ? insert->query : "bulk insert",
						   GetActiveSnapshot(), InvalidSnapshot, destination, NULL,
						   run->environment, 0);
	ExecutorStart(desc, 0);
	insert->estate = desc->estate;
	prepare_nodes(run, desc->planstate, is_only, fits_fast_path);
	ar_executor_run(desc);
	insert->row_at_work = AR_BULK_NO_ROW;
	processed = desc->estate->es_processed;
	ExecutorFinish(desc);
	insert->estate = NULL;
	rows->reldata = run->kept;
	ExecutorEnd(desc);
	FreeQueryDesc(desc);
	PopActiveSnapshot();
	return processed;
}

/*
 * Let the scan read from the source, and the fast path insert, where they can.
 */
static void
prepare_nodes(Run *run, PlanState *state, bool is_only, bool fits_fast_path)
{
	BulkInsert *insert = run->insert;
	EphemeralNamedRelation rows = get_ENR(run->environment, ROWS_NAME);
	ScanState  *scan = NULL;

	if (insert->source != NULL)
	{
		if (is_only && IsA(state, ModifyTableState))
			scan = source_scan(outerPlanState(state));
		if (scan == NULL)
			keep_rows(run);
		else
		{
			ExecSetExecProcNode(&scan->ps, exec_scan);
			insert->row_at_work = 0;
		}
		insert->is_streaming = scan != NULL;
	}
	if (fits_fast_path && IsA(state, ModifyTableState) &&
		ar_bulk_writer_fits(castNode(ModifyTableState, state)))
	{
		ExecSetExecProcNode(state, exec_modify);
		insert->took_fast_path = true;
	}
	else if (insert->sequences != NULL)
		elog(ERROR, "the plan of the INSERT has changed its mind");
	rows->reldata = run;
}

/*
 * The scan of the source, if nothing stands above it that could read it in
 * another way than once from the beginning.
 */
static ScanState *
source_scan(PlanState *state)
{
	while (state != NULL)
	{
		if (IsA(state, NamedTuplestoreScanState))
			return &castNode(NamedTuplestoreScanState, state)->ss;
		else if (IsA(state, SubqueryScanState))
			state = castNode(SubqueryScanState, state)->subplan;
		else if (IsA(state, ResultState) || IsA(state, ProjectSetState))
			state = outerPlanState(state);
		else
			return NULL;
	}
	return NULL;
}

/*
 * Put all rows where the plan's scans look for them.
 */
static void
keep_rows(Run *run)
{
	TupleTableSlot *slot;

	if (run->is_kept)
		return;
	run->insert->row_at_work = 0;
	slot = MakeSingleTupleTableSlot(run->insert->source->desc, &TTSOpsVirtual);
	while (take_row(run->insert, slot))
	{
		CHECK_FOR_INTERRUPTS();
		tuplestore_puttupleslot(run->kept, slot);
	}
	ExecDropSingleTupleTableSlot(slot);
	run->is_kept = true;
	run->insert->row_at_work = AR_BULK_NO_ROW;
}

static Run *
run_of(PlanState *state)
{
	return get_ENR(state->state->es_queryEnv, ROWS_NAME)->reldata;
}

static TupleTableSlot *
exec_scan(PlanState *state)
{
	return ExecScan(&castNode(NamedTuplestoreScanState, state)->ss, next_row, recheck_row);
}

static TupleTableSlot *
next_row(ScanState *state)
{
	BulkInsert *insert = run_of(&state->ps)->insert;
	TupleTableSlot *slot = state->ss_ScanTupleSlot;

	if (!take_row(insert, slot))
	{
		insert->row_at_work = AR_BULK_NO_ROW;
		return ExecClearTuple(slot);
	}
	return slot;
}

/*
 * The next row of the source, as long as there is one that is wanted.
 */
static bool
take_row(BulkInsert *insert, TupleTableSlot *slot)
{
	if (insert->rows_most != 0 && insert->rows_taken == insert->rows_most)
		return false;
	if (!insert->source->next(insert->source, slot))
		return false;
	insert->rows_taken++;
	return true;
}

static bool
recheck_row(ScanState *state, TupleTableSlot *slot)
{
	return true;
}

static TupleTableSlot *
exec_modify(PlanState *state)
{
	return ar_bulk_writer_run(castNode(ModifyTableState, state), run_of(state)->insert);
}
