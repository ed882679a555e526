/*
 * migrate_log.c: rows of algo_ref.log.
 */
#include "postgres.h"

#include "migrate/migrate.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/timestamp.h"

/*
 * Write down a step that was carried out.
 */
void
ar_migrate_log_write(const MigrationRun *run, const StepRecord *record)
{
	Datum		values[Natts_log];
	bool		nulls[Natts_log] = {false};
	NameData	schema;
	NameData	role;
	NameData	session_role;

	namestrcpy(&schema, run->schema);
	namestrcpy(&role, run->role);
	namestrcpy(&session_role, run->session_role);
	values[Anum_log_id - 1] = Int64GetDatum(ar_state_table_nextval("log_id_seq"));
	values[Anum_log_run - 1] = UUIDPGetDatum(&run->id);
	values[Anum_log_schema - 1] = NameGetDatum(&schema);
	values[Anum_log_revision - 1] = CStringGetTextDatum(record->revision);
	values[Anum_log_direction - 1] = CStringGetTextDatum(ar_revision_direction_name(run->direction));
	values[Anum_log_outcome - 1] = CStringGetTextDatum(record->outcome);
	values[Anum_log_started - 1] = TimestampTzGetDatum(record->started);
	values[Anum_log_duration - 1] = IntervalPGetDatum(&record->duration);
	values[Anum_log_role - 1] = NameGetDatum(&role);
	values[Anum_log_session_role - 1] = NameGetDatum(&session_role);
	values[Anum_log_application_name - 1] = CStringGetTextDatum(application_name ? application_name : "");
	values[Anum_log_statements - 1] = Int32GetDatum(record->result.statements);
	values[Anum_log_wal_bytes - 1] = Int64GetDatum((int64) record->result.wal_bytes);
	values[Anum_log_checksum - 1] = PointerGetDatum(record->checksum);
	nulls[Anum_log_checksum - 1] = record->checksum == NULL;
	values[Anum_log_error - 1] = PointerGetDatum(record->error);
	nulls[Anum_log_error - 1] = record->error == NULL;
	(void) ar_state_table_insert(run->log, values, nulls);
}
