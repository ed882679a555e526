/*
 * migrate_version.c: algo_ref.version, kept true to what has run.
 *
 * The rows of the target schema are kept in memory and follow each step; they
 * are written when somebody could see them: before a script or a hook runs,
 * and at the end.  So ten thousand empty steps write a row once.  The lock of
 * the run sees to it that nobody else writes them.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "migrate/migrate.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

typedef struct MigrationRow
{
	ItemPointerData tid;		/* invalid: the table does not have it */
	char	   *revision;		/* NULL: to be deleted */
	int32		position;
	TimestampTz since;
	bool		changed;
} MigrationRow;

struct MigrationRows
{
	MemoryContext context;
	StateTable *versions;
	const char *schema;
	List	   *rows;			/* of MigrationRow *, in their stable order */
	int32		last_position;
	bool		changed;
};

static MigrationRow *find_row(MigrationRows *rows, const char *revision);
static MigrationRow *add_row(MigrationRows *rows);
static void set_revision(MigrationRows *rows, MigrationRow *row, const char *revision);
static void delete_row(MigrationRows *rows, MigrationRow *row);
static void write_row(MigrationRows *rows, MigrationRow *row);

/*
 * The rows of a schema, as they are now.  They belong to the current memory
 * context.
 */
MigrationRows *
ar_migrate_version_read(StateTable *versions, const char *schema, Snapshot snapshot)
{
	MigrationRows *rows = palloc0(sizeof(MigrationRows));
	ListCell   *cell;

	rows->context = CurrentMemoryContext;
	rows->versions = versions;
	rows->schema = schema;
	foreach(cell, ar_revision_version_rows(schema, snapshot))
	{
		VersionRow *stored = lfirst(cell);
		MigrationRow *row = add_row(rows);

		row->tid = stored->tid;
		row->revision = stored->revision;
		row->position = stored->position;
		row->since = stored->since;
		rows->last_position = stored->position;
	}
	return rows;
}

/*
 * The ids in the rows, in their order.
 */
List *
ar_migrate_version_ids(const MigrationRows *rows)
{
	List	   *ids = NIL;
	ListCell   *cell;

	foreach(cell, rows->rows)
	{
		MigrationRow *row = lfirst(cell);

		if (row->revision)
			ids = lappend(ids, row->revision);
	}
	return ids;
}

/*
 * Raise 42704 if a row names a revision that does not exist.
 */
void
ar_migrate_version_check(const RevisionMap *map, const char *schema, List *rows)
{
	ListCell   *cell;

	foreach(cell, rows)
	{
		const char *id = lfirst(cell);
		RevisionIndex r = ar_revision_map_find(map, id);

		if (r != AR_BASE && strcmp(map->revision[r].id, id) == 0)
			continue;
		ereport(ERROR,
				errcode(ERRCODE_UNDEFINED_OBJECT),
				errmsg("schema \"%s\" stands at revision \"%s\", which does not exist", schema, id),
				errhint("Register its script; or, if it is gone for good, use algo_ref.stamp() with purge => true."));
	}
}

/*
 * Take all rows away, whatever they name.
 */
void
ar_migrate_version_forget(MigrationRows *rows)
{
	ListCell   *cell;

	foreach(cell, rows->rows)
		delete_row(rows, lfirst(cell));
	rows->last_position = 0;
}

/*
 * Follow a step that was carried out: what it added takes the places of what
 * it removed, pair by pair.
 */
void
ar_migrate_version_follow(MigrationRows *rows, const RevisionHeads *heads)
{
	const Revision *revision = heads->plan->map->revision;
	int32		i;

	for (i = 0; i < Min(heads->removed_count, heads->added_count); i++)
		set_revision(rows, find_row(rows, revision[heads->removed[i]].id),
					 revision[heads->added[i]].id);
	for (int32 gone = i; gone < heads->removed_count; gone++)
		delete_row(rows, find_row(rows, revision[heads->removed[gone]].id));
	for (; i < heads->added_count; i++)
	{
		MigrationRow *row = add_row(rows);

		row->position = ++rows->last_position;
		set_revision(rows, row, revision[heads->added[i]].id);
	}
}

/*
 * Write what has changed.
 */
void
ar_migrate_version_write(MigrationRows *rows)
{
	List	   *kept = NIL;
	MemoryContext old;
	ListCell   *cell;

	if (!rows->changed)
		return;
	/* deletions first, so that no two rows have the same key for a moment */
	foreach(cell, rows->rows)
	{
		MigrationRow *row = lfirst(cell);

		if (row->revision == NULL && ItemPointerIsValid(&row->tid))
			ar_state_table_delete(rows->versions, &row->tid);
	}
	old = MemoryContextSwitchTo(rows->context);
	foreach(cell, rows->rows)
	{
		MigrationRow *row = lfirst(cell);

		if (row->revision == NULL)
			continue;
		if (row->changed)
			write_row(rows, row);
		kept = lappend(kept, row);
	}
	list_free(rows->rows);
	rows->rows = kept;
	rows->changed = false;
	MemoryContextSwitchTo(old);
}

static MigrationRow *
find_row(MigrationRows *rows, const char *revision)
{
	ListCell   *cell;

	foreach(cell, rows->rows)
	{
		MigrationRow *row = lfirst(cell);

		if (row->revision && strcmp(row->revision, revision) == 0)
			return row;
	}
	elog(ERROR, "revision \"%s\" is not among the version rows of schema \"%s\"",
		 revision, rows->schema);
	return NULL;
}

static MigrationRow *
add_row(MigrationRows *rows)
{
	MemoryContext old = MemoryContextSwitchTo(rows->context);
	MigrationRow *row = palloc0(sizeof(MigrationRow));

	ItemPointerSetInvalid(&row->tid);
	rows->rows = lappend(rows->rows, row);
	MemoryContextSwitchTo(old);
	return row;
}

/*
 * The id belongs to the map of the plan, which outlives the rows.
 */
static void
set_revision(MigrationRows *rows, MigrationRow *row, const char *revision)
{
	row->revision = unconstify(char *, revision);
	row->since = GetCurrentTimestamp();
	row->changed = true;
	rows->changed = true;
}

static void
delete_row(MigrationRows *rows, MigrationRow *row)
{
	row->revision = NULL;
	rows->changed = true;
}

static void
write_row(MigrationRows *rows, MigrationRow *row)
{
	Datum		values[Natts_version];
	bool		nulls[Natts_version] = {false};
	NameData	schema;

	namestrcpy(&schema, rows->schema);
	values[Anum_version_schema - 1] = NameGetDatum(&schema);
	values[Anum_version_revision - 1] = CStringGetTextDatum(row->revision);
	values[Anum_version_position - 1] = Int32GetDatum(row->position);
	values[Anum_version_since - 1] = TimestampTzGetDatum(row->since);
	if (ItemPointerIsValid(&row->tid))
		row->tid = ar_state_table_update(rows->versions, &row->tid, values, nulls);
	else
		row->tid = ar_state_table_insert(rows->versions, values, nulls);
	row->changed = false;
}
