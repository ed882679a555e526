/*
 * migrate_alembic.c: one state, seen by Alembic and by us.
 *
 * If a target schema has a table alembic_version, every change of the schema's
 * version rows is made in it too, in the same transaction, so that Alembic's
 * own commands agree with what we did.  And algo_ref.adopt_alembic() takes
 * over what Alembic left.
 *
 * The table is a user's.  It is written by plain SQL with the caller's rights.
 * So that nobody can have code of his run by whoever migrates, a table with
 * anything that could run code is written only if its owner could have run it
 * anyway.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/table.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "common/compat.h"
#include "common/qualified_name.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "migrate/migrate.h"
#include "miscadmin.h"
#include "nodes/pg_list.h"
#include "revision/revision.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/relcache.h"

#define VERSION_TABLE	"alembic_version"
#define VERSION_COLUMN	"version_num"

PG_FUNCTION_INFO_V1(algo_ref_adopt_alembic);

static void check_harmless(Relation rel);
static bool is_harmless(Relation rel);
static bool is_trusted(Oid owner);
static List *read_rows(Oid table);
static void change_row(const char *query, const char *first, const char *second);
static int	find_id(List *ids, const char *id);

/*
 * Make the schema's table alembic_version, if there is one, hold "rows" (of
 * char *), the schema's version rows.  Runs as the caller.
 *
 * Raises 42501 if the table could run somebody else's code.
 */
void
ar_migrate_alembic_sync(Oid schema, List *rows)
{
	Oid			table = get_relname_relid(VERSION_TABLE, schema);
	Relation	rel;
	char	   *name;
	List	   *missing = NIL;
	List	   *obsolete = NIL;
	ListCell   *cell;

	if (!OidIsValid(table) || get_attnum(table, VERSION_COLUMN) == InvalidAttrNumber)
		return;
	rel = table_open(table, RowExclusiveLock);
	if (rel->rd_rel->relkind != RELKIND_RELATION)
	{
		table_close(rel, NoLock);
		return;
	}
	check_harmless(rel);

	name = ar_qualified_relation(table);
	SPI_connect();
	obsolete = read_rows(table);
	foreach(cell, rows)
	{
		int			at = find_id(obsolete, lfirst(cell));

		if (at >= 0)
			obsolete = list_delete_nth_cell(obsolete, at);
		else
			missing = lappend(missing, lfirst(cell));
	}
	while (obsolete != NIL && missing != NIL)
	{
		change_row(psprintf("UPDATE ONLY %s SET " VERSION_COLUMN " = $1 WHERE " VERSION_COLUMN " OPERATOR(pg_catalog.=) $2", name),
				   linitial(missing), linitial(obsolete));
		missing = list_delete_first(missing);
		obsolete = list_delete_first(obsolete);
	}
	foreach(cell, obsolete)
		change_row(psprintf("DELETE FROM ONLY %s WHERE " VERSION_COLUMN " OPERATOR(pg_catalog.=) $1", name),
				   lfirst(cell), NULL);
	foreach(cell, missing)
		change_row(psprintf("INSERT INTO %s (" VERSION_COLUMN ") VALUES ($1)", name),
				   lfirst(cell), NULL);
	SPI_finish();
	table_close(rel, NoLock);
}

/*
 * SQL: algo_ref.adopt_alembic(version_table regclass) returns text[]
 *
 * The rows become the state of the table's schema by way of
 * algo_ref.stamp(..., purge => true), so all that stamp checks is checked.
 */
Datum
algo_ref_adopt_alembic(PG_FUNCTION_ARGS)
{
	static const char *query = "SELECT FROM algo_ref.stamp(target => $1, schema => $2, purge => true)";
	Oid			types[] = {TEXTOID, NAMEOID};
	Datum		values[2];
	Oid			table;
	List	   *rows;
	StringInfoData target;
	ListCell   *cell;
	Datum		result;
	MemoryContext context = CurrentMemoryContext;
	MemoryContext spi_context;

	PreventCommandIfReadOnly("algo_ref.adopt_alembic()");
	if (PG_ARGISNULL(0))
		ereport(ERROR,
				errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				errmsg("version_table must not be null"));
	table = PG_GETARG_OID(0);
	if (get_rel_name(table) == NULL)
		ereport(ERROR,
				errcode(ERRCODE_UNDEFINED_TABLE),
				errmsg("table with OID %u does not exist", table));
	if (get_attnum(table, VERSION_COLUMN) == InvalidAttrNumber)
		ereport(ERROR,
				errcode(ERRCODE_UNDEFINED_COLUMN),
				errmsg("table \"%s\" is not a version table of Alembic", get_rel_name(table)),
				errdetail("It has no column \"%s\".", VERSION_COLUMN));

	SPI_connect();
	rows = read_rows(table);
	initStringInfo(&target);
	foreach(cell, rows)
		appendStringInfo(&target, "%s%s", target.len ? "," : "", (char *) lfirst(cell));
	values[0] = CStringGetTextDatum(target.len ? target.data : "base");
	values[1] = DirectFunctionCall1(namein, CStringGetDatum(get_namespace_name(get_rel_namespace(table))));
	if (SPI_execute_with_args(query, 2, types, values, NULL, false, 0) != SPI_OK_SELECT)
		elog(ERROR, "algo_ref.stamp() could not be called");
	spi_context = MemoryContextSwitchTo(context);
	result = ar_revision_text_array(rows);
	MemoryContextSwitchTo(spi_context);
	SPI_finish();
	PG_RETURN_DATUM(result);
}

static void
check_harmless(Relation rel)
{
	if (is_trusted(rel->rd_rel->relowner) || is_harmless(rel))
		return;
	ereport(ERROR,
			errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			errmsg("table \"%s.%s\" is not trusted",
				   get_namespace_name(RelationGetNamespace(rel)), RelationGetRelationName(rel)),
			errdetail("It can run code of its owner \"%s\" when it is written.",
					  GetUserNameFromId(rel->rd_rel->relowner, false)),
			errhint("Drop what is not Alembic's from the table, or make a role its owner that may migrate."));
}

/*
 * A table as Alembic makes it: one column of text, and no triggers, rules,
 * policies, defaults, checks, or indexes on expressions.
 */
static bool
is_harmless(Relation rel)
{
	TupleDesc	desc = RelationGetDescr(rel);
	TupleConstr *constr = desc->constr;
	bool		harmless = true;
	int			columns = 0;
	ListCell   *cell;

	if (rel->rd_rel->relhastriggers || rel->rd_rel->relhasrules || rel->rd_rel->relrowsecurity)
		return false;
	if (constr && (constr->num_check > 0 || constr->num_defval > 0))
		return false;
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute column = TupleDescAttr(desc, i);

		if (column->attisdropped)
			continue;
		columns++;
		harmless &= column->atttypid == VARCHAROID || column->atttypid == TEXTOID;
	}
	foreach(cell, RelationGetIndexList(rel))
	{
		Relation	index = index_open(lfirst_oid(cell), AccessShareLock);

		harmless &= RelationGetIndexExpressions(index) == NIL &&
			RelationGetIndexPredicate(index) == NIL;
		index_close(index, NoLock);
	}
	return harmless && columns == 1;
}

/*
 * The rule for the authors of scripts: whoever could have run the code as the
 * caller.
 */
static bool
is_trusted(Oid owner)
{
	return superuser_arg(owner) || has_privs_of_role(owner, GetUserId());
}

/*
 * The ids in a version table, within an SPI connection and its memory.
 */
static List *
read_rows(Oid table)
{
	char	   *query = psprintf("SELECT " VERSION_COLUMN "::pg_catalog.text FROM ONLY %s WHERE "
								 VERSION_COLUMN " IS NOT NULL ORDER BY " VERSION_COLUMN "::pg_catalog.text COLLATE \"C\"",
								 ar_qualified_relation(table));
	List	   *rows = NIL;

	if (SPI_execute(query, false, 0) != SPI_OK_SELECT)
		elog(ERROR, "version table \"%s\" could not be read", ar_qualified_relation(table));
	for (uint64 i = 0; i < SPI_processed; i++)
		rows = lappend(rows, SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1));
	return rows;
}

/*
 * Run one statement with one or two ids as its parameters.
 */
static void
change_row(const char *query, const char *first, const char *second)
{
	Oid			types[] = {TEXTOID, TEXTOID};
	Datum		values[2];

	values[0] = CStringGetTextDatum(first);
	values[1] = second ? CStringGetTextDatum(second) : (Datum) 0;
	if (SPI_execute_with_args(query, second ? 2 : 1, types, values, NULL, false, 0) < 0)
		elog(ERROR, "version table could not be written: %s", query);
}

/*
 * The place of an id in a list of ids, or -1.
 */
static int
find_id(List *ids, const char *id)
{
	ListCell   *cell;

	foreach(cell, ids)
	{
		if (strcmp(lfirst(cell), id) == 0)
			return foreach_current_index(cell);
	}
	return -1;
}
