/*
 * migrate_offline.c: a plan as a script for psql.
 *
 * The script runs on a server that knows nothing of this extension.  It keeps
 * its state where Alembic keeps it, in a table alembic_version of the target
 * schema, one transaction for each revision (more where a statement refuses
 * one), and before each it makes sure that the state is the one that the step
 * was planned from.  On a server that has the extension and the scripts, each
 * step also takes the state over into algo_ref.version.
 *
 * Source: Alembic, --sql.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "common/state_table.h"
#include "common/target_schema.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "migrate/migrate.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "revision/revision.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

/* Alembic makes its column varchar(32). */
#define ALEMBIC_ID_LENGTH 32

/* What is the same in all steps of a script. */
typedef struct OfflineScript
{
	const char *schema;
	const char *table;			/* the version table, qualified and quoted */
	char	   *search_path;
	int64		lock_timeout_ms;
} OfflineScript;

PG_FUNCTION_INFO_V1(algo_ref_upgrade_sql);
PG_FUNCTION_INFO_V1(algo_ref_downgrade_sql);

static Datum write_script(FunctionCallInfo fcinfo, RevisionDirection direction);
static List *starting_rows(FunctionCallInfo fcinfo, const char *schema);
static void put(FunctionCallInfo fcinfo, StringInfo text);
static void write_preamble(StringInfo out, const OfflineScript *script, const RevisionPlan *plan,
						   const char *target);
static void write_step(StringInfo out, const OfflineScript *script, RevisionHeads *heads);
static void write_begin(StringInfo out, const OfflineScript *script);
static void write_guard(StringInfo out, const OfflineScript *script, List *rows);
static void write_statements(StringInfo out, const OfflineScript *script, const char *text,
							 List *statements);
static bool sets_anything(List *statements);
static void write_settings(StringInfo out, const OfflineScript *script);
static void write_version_change(StringInfo out, const OfflineScript *script,
								 const RevisionHeads *heads);
static void write_adoption(StringInfo out, const OfflineScript *script);
static void write_do(StringInfo out, const char *body);
static List *row_ids(const RevisionHeads *heads);
static char *one_line(const char *text);

/*
 * SQL: algo_ref.upgrade_sql(target text, from_heads text[], schema name,
 *							 lock_timeout interval) returns setof text
 */
Datum
algo_ref_upgrade_sql(PG_FUNCTION_ARGS)
{
	return write_script(fcinfo, AR_UPGRADE);
}

/*
 * SQL: algo_ref.downgrade_sql(target text, from_heads text[], schema name,
 *							   lock_timeout interval) returns setof text
 */
Datum
algo_ref_downgrade_sql(PG_FUNCTION_ARGS)
{
	return write_script(fcinfo, AR_DOWNGRADE);
}

static Datum
write_script(FunctionCallInfo fcinfo, RevisionDirection direction)
{
	OfflineScript script;
	RevisionMap *map;
	RevisionPlan *plan;
	RevisionHeads *heads;
	const char *target;
	StringInfoData out;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(3))
		ereport(ERROR,
				errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				errmsg("%s must not be null", PG_ARGISNULL(0) ? "target" : "lock_timeout"));
	target = text_to_cstring(PG_GETARG_TEXT_PP(0));
	ar_state_table_check_select("script");
	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);

	/* one that is named need not exist here */
	script.schema = PG_ARGISNULL(2) ? ar_target_schema_default() :
		pstrdup(NameStr(*PG_GETARG_NAME(2)));
	script.table = quote_qualified_identifier(script.schema, "alembic_version");
	script.search_path = psprintf("%s%s%s", quote_identifier(script.schema),
								  namespace_search_path[0] ? ", " : "", namespace_search_path);
	script.lock_timeout_ms = ar_migrate_interval_ms(PG_GETARG_INTERVAL_P(3), "lock_timeout");

	map = ar_revision_map_load(GetActiveSnapshot());
	plan = ar_revision_plan(map, direction, target, starting_rows(fcinfo, script.schema));

	initStringInfo(&out);
	write_preamble(&out, &script, plan, target);
	put(fcinfo, &out);
	heads = ar_revision_heads_begin(plan);
	while (heads->next_step < plan->count)
	{
		CHECK_FOR_INTERRUPTS();
		write_step(&out, &script, heads);
		put(fcinfo, &out);
	}
	return (Datum) 0;
}

/*
 * The version rows to start from: those given, or those of the schema.
 */
static List *
starting_rows(FunctionCallInfo fcinfo, const char *schema)
{
	List	   *rows = NIL;
	ListCell   *cell;

	if (!PG_ARGISNULL(1))
	{
		ArrayType  *array = PG_GETARG_ARRAYTYPE_P(1);

		if (array_contains_nulls(array))
			ereport(ERROR,
					errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					errmsg("from_heads must not contain nulls"));
		return ar_revision_text_list(PointerGetDatum(array));
	}
	ar_state_table_check_select("version");
	foreach(cell, ar_revision_version_rows(schema, GetActiveSnapshot()))
		rows = lappend(rows, ((VersionRow *) lfirst(cell))->revision);
	return rows;
}

/*
 * Return what was written as a row of the result.
 */
static void
put(FunctionCallInfo fcinfo, StringInfo text)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	Datum		value[1];
	bool		isnull[1] = {false};

	value[0] = PointerGetDatum(cstring_to_text_with_len(text->data, text->len));
	tuplestore_putvalues(result->setResult, result->setDesc, value, isnull);
	resetStringInfo(text);
}

/*
 * What comes before the first step: settings, and a version table.
 */
static void
write_preamble(StringInfo out, const OfflineScript *script, const RevisionPlan *plan,
			   const char *target)
{
	StringInfoData body;
	bool		long_ids = false;

	for (int32 i = 0; i < plan->count; i++)
		long_ids |= strlen(plan->map->revision[plan->step[i]].id) > ALEMBIC_ID_LENGTH;

	appendStringInfo(out, "-- %s of schema %s to %s: %d revision(s).  For psql, by algo_ref.\n",
					 ar_revision_direction_name(plan->direction),
					 quote_identifier(script->schema), one_line(target), plan->count);
	appendStringInfoString(out, "\\set ON_ERROR_STOP on\n");
	write_settings(out, script);

	initStringInfo(&body);
	appendStringInfo(&body,
					 "BEGIN\n"
					 "  IF to_regclass(%s) IS NULL THEN\n"
					 "    CREATE TABLE %s (version_num %s NOT NULL,\n"
					 "      CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num));\n"
					 "    IF to_regclass('algo_ref.version') IS NOT NULL THEN\n"
					 "      EXECUTE %s;\n"
					 "    END IF;\n"
					 "  END IF;\n"
					 "END",
					 quote_literal_cstr(script->table), script->table,
					 long_ids ? "text" : "varchar(32)",
					 quote_literal_cstr(psprintf("INSERT INTO %s SELECT revision FROM algo_ref.version WHERE schema = %s",
												 script->table,
												 quote_literal_cstr(script->schema))));
	write_do(out, body.data);
	pfree(body.data);
}

/*
 * One revision.
 */
static void
write_step(StringInfo out, const OfflineScript *script, RevisionHeads *heads)
{
	const RevisionPlan *plan = heads->plan;
	const char *id = plan->map->revision[plan->step[heads->next_step]].id;
	StoredScript *stored = ar_revision_fetch(id, GetActiveSnapshot());
	const char *text = plan->direction == AR_UPGRADE ? stored->upgrade : stored->downgrade;
	List	   *statements;

	if (text == NULL)
		ereport(ERROR,
				errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				errmsg("revision \"%s\" cannot be undone", id),
				errdetail("It was registered without a downgrade script."));
	statements = ar_revision_script_parse(text, plan->direction, id);

	appendStringInfo(out, "\n-- Running %s %s: %s\n", ar_revision_direction_name(plan->direction),
					 one_line(id), one_line(ar_revision_short_message(stored->message)));
	write_begin(out, script);
	write_guard(out, script, row_ids(heads));
	write_statements(out, script, text, statements);
	ar_revision_heads_advance(heads);
	write_version_change(out, script, heads);
	write_adoption(out, script);
	appendStringInfoString(out, "COMMIT;\n");
	if (sets_anything(statements))
	{
		appendStringInfoString(out, "RESET ALL;\n");
		write_settings(out, script);
	}
}

static void
write_settings(StringInfo out, const OfflineScript *script)
{
	appendStringInfo(out,
					 "SET standard_conforming_strings = on;\n"
					 "SET client_min_messages = warning;\n"
					 "SET search_path = %s;\n",
					 script->search_path);
}

static void
write_begin(StringInfo out, const OfflineScript *script)
{
	appendStringInfo(out, "BEGIN;\nSET LOCAL lock_timeout = " INT64_FORMAT ";\n",
					 script->lock_timeout_ms);
}

/*
 * Stop unless the version rows are "rows"; keep others from changing them to
 * the end of the transaction.
 */
static void
write_guard(StringInfo out, const OfflineScript *script, List *rows)
{
	StringInfoData body;
	StringInfoData wanted;
	ListCell   *cell;

	initStringInfo(&wanted);
	foreach(cell, rows)
		appendStringInfo(&wanted, "%s%s", foreach_current_index(cell) ? ", " : "",
						 quote_literal_cstr(lfirst(cell)));
	appendStringInfo(out, "LOCK TABLE %s IN SHARE ROW EXCLUSIVE MODE;\n", script->table);
	initStringInfo(&body);
	appendStringInfo(&body,
					 "DECLARE\n"
					 "  wanted text[] := ARRAY(SELECT id FROM unnest(ARRAY[%s]::text[]) AS id ORDER BY id COLLATE \"C\");\n"
					 "  found text[] := ARRAY(SELECT version_num::text FROM %s ORDER BY version_num::text COLLATE \"C\");\n"
					 "BEGIN\n"
					 "  IF found <> wanted THEN\n"
					 "    RAISE object_not_in_prerequisite_state USING\n"
					 "      MESSAGE = format('version table %%s holds %%s, but this step was planned from %%s', %s, found, wanted),\n"
					 "      HINT = 'Make a new script from the state that the database is in.';\n"
					 "  END IF;\n"
					 "END",
					 wanted.data, script->table, quote_literal_cstr(script->table));
	write_do(out, body.data);
	pfree(body.data);
	pfree(wanted.data);
}

/*
 * The statements of a script, with the transaction interrupted where one of
 * them needs it.  Begins and ends inside a transaction.
 */
static void
write_statements(StringInfo out, const OfflineScript *script, const char *text,
				 List *statements)
{
	bool		in_transaction = true;
	bool		has_need = false;
	ListCell   *cell;

	foreach(cell, statements)
		has_need |= ar_migrate_needs_commit_before(lfirst(cell)) ||
		ar_migrate_needs_commit_after(lfirst(cell));

	/* With its comments, where nothing has to come between. */
	if (!has_need)
	{
		if (statements != NIL)
			appendStringInfo(out, "%s\n;\n", text);
		return;
	}
	foreach(cell, statements)
	{
		ScriptStatement *statement = lfirst(cell);
		bool		alone = ar_migrate_needs_commit_before(statement);

		if (alone && in_transaction)
			appendStringInfoString(out, "COMMIT;\n");
		else if (!alone && !in_transaction)
			write_begin(out, script);
		appendStringInfo(out, "%.*s;\n", statement->length, text +statement->location);
		in_transaction = !alone;
		if (!alone && ar_migrate_needs_commit_after(statement))
		{
			appendStringInfoString(out, "COMMIT;\n");
			in_transaction = false;
		}
	}
	if (!in_transaction)
		write_begin(out, script);
}

/*
 * Does a script leave settings behind?
 */
static bool
sets_anything(List *statements)
{
	ListCell   *cell;

	foreach(cell, statements)
	{
		if (IsA(((ScriptStatement *) lfirst(cell))->raw->stmt, VariableSetStmt))
			return true;
	}
	return false;
}

/*
 * What the last step of "heads" did to the version rows, in SQL.
 */
static void
write_version_change(StringInfo out, const OfflineScript *script, const RevisionHeads *heads)
{
	const Revision *revision = heads->plan->map->revision;

	if (heads->removed_count == 1 && heads->added_count == 1)
	{
		appendStringInfo(out, "UPDATE %s SET version_num = %s WHERE version_num = %s;\n",
						 script->table,
						 quote_literal_cstr(revision[heads->added[0]].id),
						 quote_literal_cstr(revision[heads->removed[0]].id));
		return;
	}
	for (int32 i = 0; i < heads->removed_count; i++)
		appendStringInfo(out, "DELETE FROM %s WHERE version_num = %s;\n", script->table,
						 quote_literal_cstr(revision[heads->removed[i]].id));
	for (int32 i = 0; i < heads->added_count; i++)
		appendStringInfo(out, "INSERT INTO %s (version_num) VALUES (%s);\n", script->table,
						 quote_literal_cstr(revision[heads->added[i]].id));
}

/*
 * Where the extension and the scripts are, its own state follows.
 */
static void
write_adoption(StringInfo out, const OfflineScript *script)
{
	StringInfoData body;

	initStringInfo(&body);
	appendStringInfo(&body,
					 "DECLARE\n"
					 "  known boolean := false;\n"
					 "BEGIN\n"
					 "  IF to_regclass('algo_ref.script') IS NOT NULL THEN\n"
					 "    EXECUTE %s INTO known;\n"
					 "  END IF;\n"
					 "  IF known THEN\n"
					 "    EXECUTE %s;\n"
					 "  END IF;\n"
					 "END",
					 quote_literal_cstr(psprintf("SELECT NOT EXISTS (SELECT version_num::text FROM %s EXCEPT SELECT revision FROM algo_ref.script)",
												 script->table)),
					 quote_literal_cstr(psprintf("SELECT algo_ref.adopt_alembic(%s)",
												 quote_literal_cstr(script->table))));
	write_do(out, body.data);
	pfree(body.data);
}

static void
write_do(StringInfo out, const char *body)
{
	appendStringInfo(out, "DO %s;\n", quote_literal_cstr(body));
}

static List *
row_ids(const RevisionHeads *heads)
{
	List	   *ids = NIL;

	for (int32 i = 0; i < heads->row_count; i++)
		ids = lappend(ids, (void *) heads->plan->map->revision[heads->row[i]].id);
	return ids;
}

/*
 * Text that is to stand in a comment.
 */
static char *
one_line(const char *text)
{
	char	   *copy = pstrdup(text);

	for (char *p = copy; *p; p++)
	{
		if (*p == '\n' || *p == '\r')
			*p = ' ';
	}
	return copy;
}
