/*
 * migrate_version.c: algo_ref.version, kept true to what has run.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "migrate/migrate.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

static VersionRow *find_row(MigrationRun *run, const char *revision);
static void put_row(MigrationRun *run, VersionRow *old, const char *revision, int32 position);

/*
 * Write what the last step changed: a revision that takes the place of another
 * one takes its row.
 */
void
ar_migrate_version_follow(MigrationRun *run)
{
	const RevisionHeads *heads = run->heads;
	const Revision *revision = run->plan->map->revision;
	int32		i;

	/* rows go first, so that no two have the same key for a moment */
	for (i = heads->added_count; i < heads->removed_count; i++)
		ar_state_table_delete(run->versions,
							  &find_row(run, revision[heads->removed[i]].id)->tid);
	for (i = 0; i < Min(heads->removed_count, heads->added_count); i++)
	{
		VersionRow *row = find_row(run, revision[heads->removed[i]].id);

		put_row(run, row, revision[heads->added[i]].id, row->position);
	}
	for (; i < heads->added_count; i++)
		put_row(run, NULL, revision[heads->added[i]].id, run->next_position++);
}

/*
 * Delete all rows of the target schema, whatever they name.
 */
void
ar_migrate_version_purge(MigrationRun *run)
{
	ListCell   *cell;

	foreach(cell, ar_revision_version_rows(run->schema, NULL))
		ar_state_table_delete(run->versions, &((VersionRow *) lfirst(cell))->tid);
}

static VersionRow *
find_row(MigrationRun *run, const char *revision)
{
	TupleDesc	desc = RelationGetDescr(ar_state_table_relation(run->versions));
	VersionRow *row = palloc0(sizeof(VersionRow));
	ScanKeyData keys[2];
	StateScan  *scan;
	HeapTuple	tuple;
	bool		isnull;

	ar_state_key_name(&keys[0], Anum_version_schema, run->schema);
	ar_state_key_text(&keys[1], Anum_version_revision, revision);
	scan = ar_state_scan_begin(run->versions, "version_pkey", NULL, 2, keys);
	tuple = ar_state_scan_next(scan);
	if (tuple == NULL)
		ereport(ERROR,
				errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				errmsg("could not find revision \"%s\" among the current heads of schema \"%s\"",
					   revision, run->schema),
				errdetail("Table algo_ref.version was changed while a migration was running."));
	row->tid = tuple->t_self;
	row->position = DatumGetInt32(heap_getattr(tuple, Anum_version_position, desc, &isnull));
	ar_state_scan_end(scan);
	return row;
}

static void
put_row(MigrationRun *run, VersionRow *old, const char *revision, int32 position)
{
	Datum		values[Natts_version];
	bool		nulls[Natts_version] = {false};
	NameData	schema;

	namestrcpy(&schema, run->schema);
	values[Anum_version_schema - 1] = NameGetDatum(&schema);
	values[Anum_version_revision - 1] = CStringGetTextDatum(revision);
	values[Anum_version_position - 1] = Int32GetDatum(position);
	values[Anum_version_since - 1] = TimestampTzGetDatum(GetCurrentTimestamp());
	if (old)
		ar_state_table_update(run->versions, &old->tid, values, nulls);
	else
		ar_state_table_insert(run->versions, values, nulls);
}
