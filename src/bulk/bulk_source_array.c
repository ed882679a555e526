/*
 * bulk_source_array.c: rows from an array of composites.
 *
 * Their columns are matched by name, and keep their types: the INSERT casts
 * them as it would cast those of a query.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "bulk/bulk.h"
#include "executor/tuptable.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/typcache.h"

typedef struct ArraySource
{
	BulkSource	base;
	Relation	target;
	bool		ignores_unknown_keys;
	List	   *wanted;			/* names of columns, or NIL: all */
	ArrayType  *array;
	Datum	   *rows;
	bool	   *nulls;
	int			count;
	uint64		told_row;
	TupleDesc	row_desc;
	AttrNumber *attributes;		/* of a row, for each of the source's columns */
	Datum	   *values;
	bool	   *is_null;
} ArraySource;

static void prepare_array(BulkSource *base);
static void check_elements(Relation target, Oid type);
static void find_row_desc(ArraySource *source);
static bool is_wanted(const ArraySource *source, const char *name);
static void check_wanted(const ArraySource *source);
static bool next_array(BulkSource *base, TupleTableSlot *slot);
static bool skip_array(BulkSource *base);
static void tell_array(BulkSource *base);
static void seek_array(BulkSource *base);

/*
 * Rows from an array, which has to live as long as the source.  "columns" are
 * names of those to be taken; NIL takes all but generated ones.
 */
BulkSource *
ar_bulk_source_array(Relation target, Datum array, List *columns, bool ignores_unknown_keys)
{
	ArraySource *source = palloc0(sizeof(ArraySource));

	source->base.prepare = prepare_array;
	source->base.next = next_array;
	source->base.skip = skip_array;
	source->base.tell = tell_array;
	source->base.seek = seek_array;
	source->target = target;
	source->ignores_unknown_keys = ignores_unknown_keys;
	source->wanted = columns;
	source->array = DatumGetArrayTypeP(array);
	return &source->base;
}

static void
prepare_array(BulkSource *base)
{
	ArraySource *source = (ArraySource *) base;
	TupleDesc	target = RelationGetDescr(source->target);
	int			count = 0;

	base->row = 0;
	check_elements(source->target, ARR_ELEMTYPE(source->array));
	deconstruct_array(source->array, ARR_ELEMTYPE(source->array), -1, false, TYPALIGN_DOUBLE,
					  &source->rows, &source->nulls, &source->count);
	base->rows = source->count;
	find_row_desc(source);
	check_wanted(source);
	source->attributes = palloc(Max(source->row_desc->natts, 1) * sizeof(AttrNumber));
	source->values = palloc(Max(source->row_desc->natts, 1) * sizeof(Datum));
	source->is_null = palloc(Max(source->row_desc->natts, 1) * sizeof(bool));
	for (int i = 0; i < source->row_desc->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(source->row_desc, i);
		AttrNumber	attnum;

		if (attribute->attisdropped || !is_wanted(source, NameStr(attribute->attname)))
			continue;
		attnum = get_attnum(RelationGetRelid(source->target), NameStr(attribute->attname));
		if (attnum <= 0)
		{
			if (!source->ignores_unknown_keys)
				ar_bulk_source_raise_unknown(source->target, NameStr(attribute->attname));
			continue;
		}
		if (TupleDescAttr(target, attnum - 1)->attgenerated && source->wanted == NIL)
			continue;
		source->attributes[count++] = i + 1;
	}
	base->desc = CreateTemplateTupleDesc(count);
	for (int i = 0; i < count; i++)
		TupleDescCopyEntry(base->desc, i + 1, source->row_desc, source->attributes[i]);
}

/*
 * Raise 42804 if an array's elements are no rows: then they are not to be looked
 * at as if they were.
 */
static void
check_elements(Relation target, Oid type)
{
	if (!type_is_rowtype(type))
		ereport(ERROR,
				errcode(ERRCODE_DATATYPE_MISMATCH),
				errmsg("rows cannot be taken from an array of type %s",
					   format_type_be(type)),
				errhint("Its elements have to be rows, such as in ARRAY[ROW(1, 'one')::%s].",
						RelationGetRelationName(target)));
}

/*
 * Of the element type, or where that is record, of the first row that is one.
 */
static void
find_row_desc(ArraySource *source)
{
	Oid			type = ARR_ELEMTYPE(source->array);
	int32		typmod = -1;
	int			first = 0;

	while (first < source->count && source->nulls[first])
		first++;
	if (type == RECORDOID && first < source->count)
	{
		HeapTupleHeader row = DatumGetHeapTupleHeader(source->rows[first]);

		type = HeapTupleHeaderGetTypeId(row);
		typmod = HeapTupleHeaderGetTypMod(row);
	}
	if (type == RECORDOID && first == source->count)
		source->row_desc = CreateTemplateTupleDesc(0);
	else
		source->row_desc = lookup_rowtype_tupdesc_copy(getBaseType(type), typmod);
}

static bool
is_wanted(const ArraySource *source, const char *name)
{
	ListCell   *cell;

	if (source->wanted == NIL)
		return true;
	foreach(cell, source->wanted)
		if (strcmp(lfirst(cell), name) == 0)
		return true;
	return false;
}

/*
 * Raise 42703 if the rows lack a column that is to be taken.
 */
static void
check_wanted(const ArraySource *source)
{
	ListCell   *cell;

	foreach(cell, source->wanted)
	{
		bool		is_there = false;

		for (int i = 0; i < source->row_desc->natts && !is_there; i++)
		{
			Form_pg_attribute attribute = TupleDescAttr(source->row_desc, i);

			is_there = !attribute->attisdropped &&
				strcmp(NameStr(attribute->attname), lfirst(cell)) == 0;
		}
		if (!is_there)
			ereport(ERROR,
					errcode(ERRCODE_UNDEFINED_COLUMN),
					errmsg("the rows have no column \"%s\"", (char *) lfirst(cell)));
	}
}

static bool
next_array(BulkSource *base, TupleTableSlot *slot)
{
	ArraySource *source = (ArraySource *) base;
	HeapTupleData tuple;
	HeapTupleHeader row;

	ExecClearTuple(slot);
	if (base->row >= source->count)
		return false;
	base->row++;
	if (source->nulls[base->row - 1])
		ereport(ERROR,
				errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				errmsg("row must not be null"));
	row = DatumGetHeapTupleHeader(source->rows[base->row - 1]);
	if (HeapTupleHeaderGetTypeId(row) != source->row_desc->tdtypeid ||
		HeapTupleHeaderGetTypMod(row) != source->row_desc->tdtypmod)
		ereport(ERROR,
				errcode(ERRCODE_DATATYPE_MISMATCH),
				errmsg("row is of another type than the first one"));
	tuple.t_len = HeapTupleHeaderGetDatumLength(row);
	ItemPointerSetInvalid(&tuple.t_self);
	tuple.t_tableOid = InvalidOid;
	tuple.t_data = row;
	heap_deform_tuple(&tuple, source->row_desc, source->values, source->is_null);
	for (int i = 0; i < base->desc->natts; i++)
	{
		slot->tts_values[i] = source->values[source->attributes[i] - 1];
		slot->tts_isnull[i] = source->is_null[source->attributes[i] - 1];
	}
	ExecStoreVirtualTuple(slot);
	return true;
}

static bool
skip_array(BulkSource *base)
{
	if (base->row >= base->rows)
		return false;
	base->row++;
	return true;
}

static void
tell_array(BulkSource *base)
{
	((ArraySource *) base)->told_row = base->row;
}

static void
seek_array(BulkSource *base)
{
	base->row = ((ArraySource *) base)->told_row;
}
