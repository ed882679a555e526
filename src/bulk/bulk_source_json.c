/*
 * bulk_source_json.c: rows from JSON.
 *
 * The text is gone through twice.  The first time finds out whether all of it
 * is JSON, and which columns there are: those that no row names are not part
 * of the INSERT, so that nobody needs rights on them, and a generated column
 * or a view's default stays the server's business.  The second time makes the
 * values.  Neither builds anything but the row at hand.
 *
 * jsonb is an array of the same objects; each is printed when its turn comes.
 */
#include "postgres.h"

#include "access/table.h"
#include "bulk/bulk.h"
#include "executor/executor.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "nodes/primnodes.h"
#include "optimizer/optimizer.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"

/* A column of the target. */
typedef struct JsonColumn
{
	const char *name;
	int			name_length;
	AttrNumber	attnum;
	int			place;			/* among the source's columns, -1: not there */
	uint64		rows;			/* that have it */
	uint64		last_row;		/* the last of them */
	int			field;			/* of the row at hand that has it, or -1 */

	BulkColumn *reader;
	bool		has_looked_for_default;
	ExprState  *default_state;	/* or NULL */
} JsonColumn;

/* The first field of the last row had this key, and so on. */
typedef struct KeyMemo
{
	const char *at;				/* in the text, as the scan has it */
	const char *key;			/* of the JsonColumn */
	int			length;
	JsonColumn *column;			/* NULL: nothing known */
} KeyMemo;

typedef struct JsonSource
{
	BulkSource	base;
	Relation	target;
	bool		ignores_unknown_keys;
	bool		takes_lines;

	/* a text, or */
	const char *text;
	size_t		length;
	/* jsonb */
	JsonbContainer *container;
	uint32		next_element;

	BulkScan	scan;
	StringInfoData element;		/* of jsonb, printed */
	BulkScan	told_scan;
	uint32		told_element;
	uint64		told_row;

	JsonColumn *columns;		/* by name */
	int			column_count;
	JsonColumn **places;		/* of the source's columns */
	KeyMemo    *memo;
	int			memo_room;
	bool		has_places;		/* the columns know their fields in the last
								 * row that was scanned */
	MemoryContext row_context;
	ExprContext *defaults;
} JsonSource;

static JsonSource *make_source(Relation target, bool ignores_unknown_keys);
static void find_columns(JsonSource *source);
static int	compare_columns(const void *a, const void *b);
static void prepare_json(BulkSource *base);
static void count_rows(JsonSource *source, uint64 first, uint64 count);
static void make_desc(JsonSource *source);
static bool next_json(BulkSource *base, TupleTableSlot *slot);
static bool skip_json(BulkSource *base);
static void tell_json(BulkSource *base);
static void seek_json(BulkSource *base);
static void restart(JsonSource *source);
static bool next_row(JsonSource *source);
static void find_places(JsonSource *source);
static bool next_element(JsonSource *source);
static void check_form(const JsonSource *source);
static JsonColumn *column_of_field(JsonSource *source, int number);
static JsonColumn *find_column(JsonSource *source, const BulkField *field);
static JsonColumn *find_name(JsonSource *source, const char *name, int length);
static Node *column_default(JsonSource *source, const JsonColumn *column);
static Datum default_value(JsonSource *source, JsonColumn *column, bool *is_null);

/*
 * Rows from a text.  The text has to live as long as the source.
 */
BulkSource *
ar_bulk_source_text(Relation target, const char *text, size_t length,
					bool ignores_unknown_keys, bool takes_lines)
{
	JsonSource *source = make_source(target, ignores_unknown_keys);

	source->text = text;

	source->length = length;
	source->takes_lines = takes_lines;
	return &source->base;
}

/*
 * Rows from a jsonb, which has to live as long as the source.
 */
BulkSource *
ar_bulk_source_jsonb(Relation target, Datum jsonb, bool ignores_unknown_keys)
{
	JsonSource *source = make_source(target, ignores_unknown_keys);

	source->container = &DatumGetJsonbP(jsonb)->root;
	initStringInfo(&source->element);
	return &source->base;
}

static JsonSource *
make_source(Relation target, bool ignores_unknown_keys)
{
	JsonSource *source = palloc0(sizeof(JsonSource));

	source->base.prepare = prepare_json;
	source->base.next = next_json;
	source->base.skip = skip_json;
	source->base.tell = tell_json;
	source->base.seek = seek_json;
	source->target = target;
	source->ignores_unknown_keys = ignores_unknown_keys;
	source->row_context = AllocSetContextCreate(CurrentMemoryContext, "algo_ref bulk row",
												ALLOCSET_DEFAULT_SIZES);
	ar_bulk_scan_init(&source->scan, "", 0);
	find_columns(source);
	return source;
}

static void
find_columns(JsonSource *source)
{
	TupleDesc	desc = RelationGetDescr(source->target);

	source->columns = palloc0(Max(desc->natts, 1) * sizeof(JsonColumn));
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(desc, i);
		JsonColumn *column = &source->columns[source->column_count];

		if (attribute->attisdropped)
			continue;
		column->name = pstrdup(NameStr(attribute->attname));
		column->name_length = strlen(column->name);
		column->attnum = i + 1;
		column->place = -1;
		source->column_count++;
	}
	qsort(source->columns, source->column_count, sizeof(JsonColumn), compare_columns);
}

static int
compare_columns(const void *a, const void *b)
{
	return strcmp(((const JsonColumn *) a)->name, ((const JsonColumn *) b)->name);
}

static void
prepare_json(BulkSource *base)
{
	JsonSource *source = (JsonSource *) base;

	uint64		first = 0;		/* of the rows that have the same keys */

	restart(source);
	while (next_row(source))
	{
		if ((base->row & 0xff) == 0)
			CHECK_FOR_INTERRUPTS();
		if (source->scan.has_same_keys && first > 0)
			continue;
		count_rows(source, first, base->row - first);
		first = base->row;
		for (int i = 0; i < source->scan.count; i++)
		{
			JsonColumn *column = column_of_field(source, i);

			if (column != NULL)
				column->last_row = first;
		}
	}
	count_rows(source, first, base->row + 1 - first);
	make_desc(source);
	restart(source);
}

/*
 * So many rows have the keys that the row "first" has.
 */
static void
count_rows(JsonSource *source, uint64 first, uint64 count)
{
	for (int i = 0; first > 0 && i < source->column_count; i++)
	{
		if (source->columns[i].last_row == first)
			source->columns[i].rows += count;
	}
}

/*
 * The columns that rows have named, in the target's order.
 */
static void
make_desc(JsonSource *source)
{
	TupleDesc	target = RelationGetDescr(source->target);
	JsonColumn **by_number = palloc0((target->natts + 1) * sizeof(JsonColumn *));
	int			count = 0;

	for (int i = 0; i < source->column_count; i++)
	{
		JsonColumn *column = &source->columns[i];

		if (column->rows == 0)
			continue;
		by_number[column->attnum] = column;
		count++;
		if (column->rows == source->base.row)
			continue;
		source->base.keys_differ = true;
		if (ar_bulk_reason_volatile(column_default(source, column)))
			source->base.is_volatile = true;
	}
	source->base.rows = source->base.row;
	source->base.desc = CreateTemplateTupleDesc(count);
	source->places = palloc(Max(count, 1) * sizeof(JsonColumn *));
	count = 0;
	for (int i = 1; i <= target->natts; i++)
	{
		JsonColumn *column = by_number[i];
		Form_pg_attribute attribute = TupleDescAttr(target, i - 1);

		if (column == NULL)
			continue;
		source->places[count] = column;
		column->place = count++;
		column->reader = ar_bulk_value_column(column->name, attribute->atttypid,
											  attribute->atttypmod);
		TupleDescInitEntry(source->base.desc, count, column->name, attribute->atttypid,
						   attribute->atttypmod, attribute->attndims);
		TupleDescInitEntryCollation(source->base.desc, count, attribute->attcollation);
	}
}

static bool
next_json(BulkSource *base, TupleTableSlot *slot)
{
	JsonSource *source = (JsonSource *) base;
	MemoryContext caller;

	ExecClearTuple(slot);
	MemoryContextReset(source->row_context);
	if (source->defaults != NULL)
		ResetExprContext(source->defaults);
	if (!next_row(source))
		return false;
	if (!source->scan.has_same_keys || !source->has_places)
		find_places(source);

	caller = MemoryContextSwitchTo(source->row_context);
	for (int i = 0; i < base->desc->natts; i++)
	{
		JsonColumn *column = source->places[i];

		base->column = column->name;
		if (column->field >= 0)
		{
			BulkField  *field = &source->scan.fields[column->field];

			base->value = field->value;
			base->value_length = field->length;
			slot->tts_values[i] = ar_bulk_value(column->reader, &source->scan, field,
												&slot->tts_isnull[i]);
		}
		else
		{
			base->value = NULL;
			slot->tts_values[i] = default_value(source, column, &slot->tts_isnull[i]);
		}
	}
	base->column = NULL;
	MemoryContextSwitchTo(caller);
	ExecStoreVirtualTuple(slot);
	return true;
}

/*
 * Which field of the row is which column?  The last one with a key counts.
 */
static void
find_places(JsonSource *source)
{
	for (int i = 0; i < source->base.desc->natts; i++)
		source->places[i]->field = -1;
	for (int i = 0; i < source->scan.count; i++)
	{
		JsonColumn *column = column_of_field(source, i);

		if (column != NULL)
			column->field = i;
	}
	source->has_places = true;
}

static bool
skip_json(BulkSource *base)
{
	((JsonSource *) base)->has_places = false;
	return next_row((JsonSource *) base);
}

static void
tell_json(BulkSource *base)
{
	JsonSource *source = (JsonSource *) base;

	source->told_scan = source->scan;
	source->told_element = source->next_element;
	source->told_row = base->row;
}

/*
 * Back to where tell_json() was called.  The scan's lists may have moved since.
 */
static void
seek_json(BulkSource *base)
{
	JsonSource *source = (JsonSource *) base;

	source->scan.at = source->told_scan.at;
	source->scan.is_begun = source->told_scan.is_begun;
	source->scan.is_array = source->told_scan.is_array;
	source->scan.is_ended = source->told_scan.is_ended;
	source->scan.error = AR_BULK_SCAN_OK;
	source->has_places = false;
	source->next_element = source->told_element;
	base->row = source->told_row;
	base->column = NULL;
}

static void
restart(JsonSource *source)
{
	source->base.row = 0;
	source->base.column = NULL;
	source->has_places = false;
	source->next_element = 0;
	if (source->container == NULL)
		ar_bulk_scan_restart(&source->scan, source->text, source->length);
	else if (!JsonContainerIsArray(source->container) || JsonContainerIsScalar(source->container))
	{
		source->scan.error = AR_BULK_SCAN_SHAPE;
		source->scan.expected = JsonContainerIsObject(source->container) ? "an object" : "a scalar";
		ar_bulk_value_raise(&source->scan);
	}
}

/*
 * The fields of the next row, or false at the end.
 */
static bool
next_row(JsonSource *source)
{
	source->base.row++;
	if (source->container != NULL ? next_element(source) : ar_bulk_scan_row(&source->scan))
	{
		if (source->base.row == 1)
			check_form(source);
		return true;
	}
	if (source->scan.error != AR_BULK_SCAN_OK)
		ar_bulk_value_raise(&source->scan);
	source->base.row--;
	return false;
}

static bool
next_element(JsonSource *source)
{
	JsonbValue *value;

	if (source->next_element >= JsonContainerSize(source->container))
		return false;
	value = getIthJsonbValueFromContainer(source->container, source->next_element++);
	if (value->type != jbvBinary || !JsonContainerIsObject(value->val.binary.data))
	{
		source->scan.error = AR_BULK_SCAN_SHAPE;
		source->scan.expected = "an array with an element that is not an object";
		return false;
	}
	resetStringInfo(&source->element);
	JsonbToCString(&source->element, value->val.binary.data, value->val.binary.len);
	pfree(value);
	ar_bulk_scan_restart(&source->scan, source->element.data, source->element.len);
	return ar_bulk_scan_row(&source->scan);
}

/*
 * A value of type json is one array; objects in lines are a text's privilege.
 */
static void
check_form(const JsonSource *source)
{
	BulkScan	scan = source->scan;

	if (source->container != NULL || source->takes_lines || scan.is_array)
		return;
	scan.error = AR_BULK_SCAN_SHAPE;
	scan.expected = "an object";
	ar_bulk_value_raise(&scan);
}

/*
 * The column that a field of the row belongs to, or NULL if there is none and
 * that is ignored.  Rows mostly look like the row before.
 */
static JsonColumn *
column_of_field(JsonSource *source, int number)
{
	const BulkField *field = &source->scan.fields[number];
	KeyMemo    *memo;

	if (number >= source->memo_room)
	{
		int			room = Max(source->scan.room, 2 * source->memo_room);
		KeyMemo    *grown = MemoryContextAllocZero(GetMemoryChunkContext(source),
												   room * sizeof(KeyMemo));

		if (source->memo != NULL)
			memcpy(grown, source->memo, source->memo_room * sizeof(KeyMemo));
		source->memo = grown;
		source->memo_room = room;
	}
	memo = &source->memo[number];
	/* the texts of a jsonb's rows follow each other in one place */
	if (memo->at == field->key && source->container == NULL)
		return memo->column;
	memo->at = field->key;
	if (memo->column == NULL || memo->length != field->key_length || field->key_is_escaped ||
		memcmp(memo->key, field->key, memo->length) != 0)
	{
		memo->column = find_column(source, field);
		if (memo->column != NULL)
		{
			memo->key = memo->column->name;
			memo->length = memo->column->name_length;
		}
	}
	return memo->column;
}

static JsonColumn *
find_column(JsonSource *source, const BulkField *field)
{
	char	   *key = palloc(field->key_length + 1);
	int			length = field->key_length;
	JsonColumn *column;

	if (field->key_is_escaped)
	{
		length = ar_bulk_scan_unescape(&source->scan, field->key, length, key);
		if (length < 0)
			ar_bulk_value_raise(&source->scan);
	}
	else
		memcpy(key, field->key, length);
	key[length] = '\0';
	column = find_name(source, key, length);
	if (column == NULL && !source->ignores_unknown_keys)
		ar_bulk_source_raise_unknown(source->target, key);
	pfree(key);
	return column;
}

static JsonColumn *
find_name(JsonSource *source, const char *name, int length)
{
	JsonColumn	wanted = {.name = name};

	return bsearch(&wanted, source->columns, source->column_count, sizeof(JsonColumn),
				   compare_columns);
}

/*
 * An expression, or NULL.  The next value of an identity is not to be taken
 * where the INSERT takes it once more.
 */
static Node *
column_default(JsonSource *source, const JsonColumn *column)
{
	Node	   *expression = ar_bulk_default(source->target, column->attnum);

	if (expression != NULL && IsA(expression, NextValueExpr) && source->base.ignores_identity)
		return NULL;
	return expression;
}

/*
 * What the column is in a row that does not have it.  Lives as long as the row.
 */
static Datum
default_value(JsonSource *source, JsonColumn *column, bool *is_null)
{
	if (!column->has_looked_for_default)
	{
		MemoryContext caller = MemoryContextSwitchTo(GetMemoryChunkContext(source));
		Node	   *expression = column_default(source, column);

		if (expression != NULL)
		{
			if (source->defaults == NULL)
				source->defaults = CreateStandaloneExprContext();
			column->default_state = ExecInitExpr(expression_planner((Expr *) expression), NULL);
		}
		column->has_looked_for_default = true;
		MemoryContextSwitchTo(caller);
	}
	if (column->default_state == NULL)
		return ar_bulk_value_null(column->reader, is_null);
	return ExecEvalExpr(column->default_state, source->defaults, is_null);
}

/*
 * Raise 42703 for a key that is no column's name.
 */
void
ar_bulk_source_raise_unknown(Relation target, const char *name)
{
	ereport(ERROR,
			errcode(ERRCODE_UNDEFINED_COLUMN),
			errmsg("column \"%s\" of relation \"%s\" does not exist",
				   name, RelationGetRelationName(target)),
			errhint("Unknown keys can be ignored with unknown_keys => 'ignore'."));
}
