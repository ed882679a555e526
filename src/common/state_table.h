/*
 * state_table.h: read and write algo_ref's own tables.
 */
#ifndef AR_STATE_TABLE_H
#define AR_STATE_TABLE_H

#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/skey.h"
#include "utils/rel.h"
#include "utils/snapshot.h"

typedef struct StateTable StateTable;
typedef struct StateScan StateScan;

/* opening, by name within the schema algo_ref */
extern Oid	ar_state_table_oid(const char *name);
extern StateTable *ar_state_table_open(const char *name, LOCKMODE lockmode);
extern void ar_state_table_close(StateTable *table);
extern Relation ar_state_table_relation(StateTable *table);
extern void ar_state_table_check_select(const char *name);
extern bool ar_state_table_may_select(const char *name);

/* writing */
extern ItemPointerData ar_state_table_insert(StateTable *table, const Datum *values,
											 const bool *nulls);
extern ItemPointerData ar_state_table_update(StateTable *table, ItemPointer tid,
											 const Datum *values, const bool *nulls);
extern void ar_state_table_delete(StateTable *table, ItemPointer tid);
extern int64 ar_state_table_nextval(const char *sequence);

/* reading */
extern StateScan *ar_state_scan_begin(StateTable *table, const char *index,
									  Snapshot snapshot, int nkeys, ScanKey keys);
extern StateScan *ar_state_scan_begin_member(StateTable *table, const char *index,
											 Snapshot snapshot, AttrNumber attribute,
											 const char *member);
extern HeapTuple ar_state_scan_next(StateScan *scan);
extern void ar_state_scan_end(StateScan *scan);
extern void ar_state_key_text(ScanKey key, AttrNumber attribute, const char *value);
extern void ar_state_key_name(ScanKey key, AttrNumber attribute, const char *value);

#endif							/* AR_STATE_TABLE_H */
