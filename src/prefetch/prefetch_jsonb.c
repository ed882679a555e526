/*
 * prefetch_jsonb.c: rows and what hangs on them as jsonb, without JSON in
 * between.
 *
 * The keys of an object are the same for all rows of a node, so that their
 * order and their bytes are known from the start.  Numbers are numerics, in the
 * form in which tables hold them; strings are what JSON would quote.  A row
 * that several parents share, and on which nothing hangs, is kept as its
 * finished object.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "prefetch/prefetch.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/memutils.h"
#include "utils/numeric.h"

/* what a numeric is made of */
#define DIGIT_BASE 10000
#define MAX_DIGITS 5
#define SHORT_FORM 0x8000
#define SHORT_NEGATIVE 0x2000

typedef struct NamedSource
{
	const char *name;
	int			length;
	int			source;
} NamedSource;

static int	compare_names(const void *a, const void *b);
static uint32 write_row(PrefetchLoad *load, const NodeState *state, const Row *row,
						JsonBuffer *to);
static uint32 write_pairs(PrefetchLoad *load, const NodeState *state, const Row *row,
						  const TupleTableSlot *slot, JsonBuffer *to, Size start);
static uint32 write_child(PrefetchLoad *load, const PathNode *child, int32 group, JsonBuffer *to);
static uint32 write_array(PrefetchLoad *load, const PathNode *child, const int32 *rows, int count,
						  JsonBuffer *to);
static uint32 write_value(JsonBuffer *to, JsonColumn *column, Datum value, bool isnull);
static uint32 write_integer(JsonBuffer *to, int64 value);
static uint32 write_number(JsonBuffer *to, JsonColumn *column, Datum value);
static uint32 write_numeric(JsonBuffer *to, Numeric value);
static uint32 write_string(JsonBuffer *to, const char *text, Size length);
static uint32 write_quoted(JsonBuffer *to, JsonColumn *column, Datum value);
static uint32 write_jsonb(JsonBuffer *to, Jsonb *value);
static uint32 parse_json(JsonBuffer *to, const char *text);
static void pad(JsonBuffer *to);
static void put_entry(JsonBuffer *to, Size at, int number, uint32 entry, Size *total);
static uint32 entry_of(uint32 type, Size length);
static bool is_finite_number(const char *text);

/*
 * The objects that rows of a node become.  Belongs to the current memory
 * context.
 */
void
ar_prefetch_jsonb_shape(PathNode *node)
{
	JsonbShape *shape = &node->jsonb;
	int			most = node->json_count + node->child_count;
	NamedSource *sources = palloc(sizeof(NamedSource) * Max(most, 1));
	JsonBuffer	bytes = {0};
	Size		total = 0;
	int			count = 0;

	for (int i = 0; i < node->json_count; i++)
	{
		sources[count].name = node->json[i].name;
		sources[count].length = strlen(sources[count].name);
		sources[count++].source = i;
	}
	for (int i = 0; i < node->child_count; i++)
	{
		sources[count].name = node->child[i]->name;
		sources[count].length = strlen(sources[count].name);
		sources[count++].source = -1 - i;
	}
	qsort(sources, count, sizeof(NamedSource), compare_names);

	/* of columns with one name the last counts */
	shape->count = 0;
	for (int i = 0; i < count; i++)
	{
		if (shape->count > 0 && sources[shape->count - 1].length == sources[i].length &&
			memcmp(sources[shape->count - 1].name, sources[i].name, sources[i].length) == 0)
			shape->count--;
		sources[shape->count++] = sources[i];
	}
	count = shape->count;
	shape->source = palloc(sizeof(int) * Max(count, 1));
	shape->head = palloc(sizeof(uint32) * (count + 1));
	shape->head[0] = (uint32) count | JB_FOBJECT;
	for (int i = 0; i < count; i++)
	{
		shape->source[i] = sources[i].source;
		total += sources[i].length;
		shape->head[i + 1] = i % JB_OFFSET_STRIDE == 0 ? (uint32) total | JENTRY_HAS_OFF :
			(uint32) sources[i].length;
		ar_prefetch_json_bytes(&bytes, sources[i].name, sources[i].length);
	}
	shape->keys = bytes.data;
	shape->key_length = bytes.length;
	pfree(sources);
}

/*
 * The order of the keys of an object; of equal ones, in which they were given.
 */
static int
compare_names(const void *a, const void *b)
{
	const NamedSource *one = a;
	const NamedSource *other = b;
	int			order;

	if (one->length != other->length)
		return one->length < other->length ? -1 : 1;
	order = memcmp(one->name, other->name, one->length);
	return order != 0 ? order : one->source < other->source ? -1 : 1;
}

/*
 * Append a row with all that hangs on it.
 */
void
ar_prefetch_jsonb_row(PrefetchLoad *load, const NodeState *state, const Row *row, JsonBuffer *to)
{
	(void) write_row(load, state, row, to);
}

/*
 * The object of a row on which nothing hangs, in place of what is in the
 * buffer.
 */
void
ar_prefetch_jsonb_text(PrefetchLoad *load, const NodeState *state, const TupleTableSlot *slot,
					   JsonBuffer *to)
{
	to->length = 0;
	(void) write_pairs(load, state, NULL, slot, to, 0);
}

static uint32
write_row(PrefetchLoad *load, const NodeState *state, const Row *row, JsonBuffer *to)
{
	Size		start = to->length;

	check_stack_depth();
	load->identities[state->node->number] = row->identity;
	pad(to);
	if (state->as_text)
	{
		ar_prefetch_json_bytes(to, row->data, row->length);
		return entry_of(JENTRY_ISCONTAINER, to->length - start);
	}
	ExecStoreMinimalTuple(row->data, state->slot, false);
	slot_getallattrs(state->slot);
	return write_pairs(load, state, row, state->slot, to, start);
}

/*
 * Write an object whose entry begins at "start".
 */
static uint32
write_pairs(PrefetchLoad *load, const NodeState *state, const Row *row,
			const TupleTableSlot *slot, JsonBuffer *to, Size start)
{
	const PathNode *node = state->node;
	const JsonbShape *shape = &node->jsonb;
	Size		head = sizeof(uint32) * (shape->count + 1);
	Size		entries = sizeof(uint32) * shape->count;
	Size		total = shape->key_length;
	Size		at;

	if (to->length + head + entries + total > to->size)
		ar_prefetch_json_reserve(to, head + entries + total);
	ar_prefetch_json_bytes(to, (char *) shape->head, head);
	at = to->length;
	to->length += entries;
	ar_prefetch_json_bytes(to, shape->keys, shape->key_length);
	for (int i = 0; i < shape->count; i++)
	{
		int			source = shape->source[i];
		uint32		entry;

		if (source < 0)
			entry = write_child(load, node->child[-1 - source], row->below[-1 - source], to);
		else
		{
			JsonColumn *column = &node->json[source];
			MemoryContext old = MemoryContextSwitchTo(load->row_context);

			entry = write_value(to, column, slot->tts_values[column->position],
								slot->tts_isnull[column->position]);
			MemoryContextSwitchTo(old);
		}
		put_entry(to, at, i, entry, &total);
		if ((i + shape->count) % JB_OFFSET_STRIDE == 0)
			*(uint32 *) (to->data + at + sizeof(uint32) * i) =
				(entry & JENTRY_TYPEMASK) | (uint32) total | JENTRY_HAS_OFF;
	}
	if (node->json_allocates)
		MemoryContextReset(load->row_context);
	return entry_of(JENTRY_ISCONTAINER, to->length - start);
}

static uint32
write_child(PrefetchLoad *load, const PathNode *child, int32 group, JsonBuffer *to)
{
	const NodeState *state = load->states[child->number];
	const int32 *rows;
	int			count;

	if (child->count)
		return write_integer(to, group < 0 ? 0 : state->group_total[group]);
	count = group < 0 ? 0 : state->group_count[group];
	rows = count == 0 ? NULL : &state->order[state->group_start[group]];
	if (child->to_one)
	{
		const Row  *row = count == 0 ? NULL : ar_prefetch_row(state, rows[0]);

		if (row == NULL || (child->in_chain && ar_prefetch_closes_cycle(load, child, row)))
			return JENTRY_ISNULL;
		return write_row(load, state, row, to);
	}
	return write_array(load, child, rows, count, to);
}

static uint32
write_array(PrefetchLoad *load, const PathNode *child, const int32 *rows, int count,
			JsonBuffer *to)
{
	const NodeState *state = load->states[child->number];
	Size		start = to->length;
	Size		total = 0;
	Size		at;
	uint32		elements = 0;
	uint32		header;

	for (int i = 0; i < count; i++)
	{
		if (!child->in_chain ||
			!ar_prefetch_closes_cycle(load, child, ar_prefetch_row(state, rows[i])))
			elements++;
	}
	if (elements > JB_CMASK / sizeof(uint32))
		(void) entry_of(JENTRY_ISCONTAINER, (Size) JENTRY_OFFLENMASK + 1);
	pad(to);
	header = elements | JB_FARRAY;
	ar_prefetch_json_bytes(to, (char *) &header, sizeof(header));
	at = to->length;
	if (to->length + sizeof(uint32) * elements > to->size)
		ar_prefetch_json_reserve(to, sizeof(uint32) * elements);
	to->length += sizeof(uint32) * elements;
	elements = 0;
	ar_prefetch_fetch_ahead(state, rows, count);
	for (int i = 0; i < count; i++)
	{
		const Row  *row = ar_prefetch_row(state, rows[i]);
		uint32		entry;

		if (child->in_chain && ar_prefetch_closes_cycle(load, child, row))
			continue;
		entry = write_row(load, state, row, to);
		put_entry(to, at, elements, entry, &total);
		if (elements % JB_OFFSET_STRIDE == 0)
			*(uint32 *) (to->data + at + sizeof(uint32) * elements) =
				(entry & JENTRY_TYPEMASK) | (uint32) total | JENTRY_HAS_OFF;
		elements++;
	}
	return entry_of(JENTRY_ISCONTAINER, to->length - start);
}

/*
 * Write a value; returns its entry.
 */
static uint32
write_value(JsonBuffer *to, JsonColumn *column, Datum value, bool isnull)
{
	if (isnull)
		return JENTRY_ISNULL;
	switch (column->form)
	{
		case AR_JSON_BOOL:
			return DatumGetBool(value) ? JENTRY_ISBOOL_TRUE : JENTRY_ISBOOL_FALSE;
		case AR_JSON_INT2:
			return write_integer(to, DatumGetInt16(value));
		case AR_JSON_INT4:
			return write_integer(to, DatumGetInt32(value));
		case AR_JSON_INT8:
			return write_integer(to, DatumGetInt64(value));
		case AR_JSON_NUMBER:
			return write_number(to, column, value);
		case AR_JSON_TEXT:
			{
				struct varlena *text = PG_DETOAST_DATUM_PACKED(value);
				uint32		entry = write_string(to, VARDATA_ANY(text), VARSIZE_ANY_EXHDR(text));

				if ((Pointer) text !=DatumGetPointer(value))
					pfree(text);
				return entry;
			}
		case AR_JSON_DATE:
		case AR_JSON_TIMESTAMP:
		case AR_JSON_TIMESTAMPTZ:
			return write_quoted(to, column, value);
		case AR_JSON_STRING:
			{
				char	   *text = OutputFunctionCall(&column->function, value);

				return write_string(to, text, strlen(text));
			}
		case AR_JSON_VERBATIM:
			if (column->base == JSONBOID)
				return write_jsonb(to, DatumGetJsonbP(value));
			return parse_json(to, OutputFunctionCall(&column->function, value));
		case AR_JSON_OTHER:
			return parse_json(to, TextDatumGetCString(FunctionCall1(&column->function, value)));
	}
	elog(ERROR, "unknown form of a column: %d", (int) column->form);
	return 0;
}

/*
 * An integer as a numeric: in groups of four decimal digits, without those at
 * the end that are 0.
 */
static uint32
write_integer(JsonBuffer *to, int64 value)
{
	Size		start = to->length;
	uint64		rest = value < 0 ? (uint64) 0 - (uint64) value : (uint64) value;
	int16		digits[MAX_DIGITS];
	int			count = 0;
	int			weight = 0;
	int			size;
	uint16		header;
	char	   *at;

	for (int i = MAX_DIGITS - 1; rest > 0; i--)
	{
		digits[i] = (int16) (rest % DIGIT_BASE);
		rest /= DIGIT_BASE;
		count++;
	}
	if (count > 0)
		weight = count - 1;
	size = count;
	while (size > 0 && digits[MAX_DIGITS - count + size - 1] == 0)
		size--;
	pad(to);
	ar_prefetch_json_reserve_small(to);
	at = to->data + to->length;
	SET_VARSIZE(at, VARHDRSZ + sizeof(header) + sizeof(int16) * size);
	header = SHORT_FORM | (value < 0 ? SHORT_NEGATIVE : 0) | weight;
	memcpy(at + VARHDRSZ, &header, sizeof(header));
	memcpy(at + VARHDRSZ + sizeof(header), &digits[MAX_DIGITS - count], sizeof(int16) * size);
	to->length += VARSIZE(at);
	return entry_of(JENTRY_ISNUMERIC, to->length - start);
}

/*
 * NaN and the infinities are strings.
 */
static uint32
write_number(JsonBuffer *to, JsonColumn *column, Datum value)
{
	char	   *text;

	if (column->base == NUMERICOID)
	{
		Numeric		number = DatumGetNumeric(value);

		if (!numeric_is_nan(number) && !numeric_is_inf(number))
			return write_numeric(to, number);
	}
	text = OutputFunctionCall(&column->function, value);

	if (!is_finite_number(text))
		return write_string(to, text, strlen(text));
	return write_numeric(to, DatumGetNumeric(DirectFunctionCall3(numeric_in, CStringGetDatum(text),
																 ObjectIdGetDatum(InvalidOid),
																 Int32GetDatum(-1))));
}

static bool
is_finite_number(const char *text)
{
	char		first = text[0] == '-' ? text[1] : text[0];

	return first >= '0' && first <= '9';
}

static uint32
write_numeric(JsonBuffer *to, Numeric value)
{
	Size		start = to->length;

	pad(to);
	ar_prefetch_json_bytes(to, (char *) value, VARSIZE_ANY(value));
	return entry_of(JENTRY_ISNUMERIC, to->length - start);
}

static uint32
write_string(JsonBuffer *to, const char *text, Size length)
{
	uint32		entry = entry_of(JENTRY_ISSTRING, length);

	ar_prefetch_json_bytes(to, text, length);
	return entry;
}

/*
 * What JSON has in quotes, and without anything to be escaped in it.
 */
static uint32
write_quoted(JsonBuffer *to, JsonColumn *column, Datum value)
{
	Size		start = to->length;
	Size		length;

	ar_prefetch_json_bare(to, column, value);
	length = to->length - start - 2;
	memmove(to->data + start, to->data + start + 1, length);
	to->length = start + length;
	return entry_of(JENTRY_ISSTRING, length);
}

static uint32
parse_json(JsonBuffer *to, const char *text)
{
	return write_jsonb(to, DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(text))));
}

static uint32
write_jsonb(JsonBuffer *to, Jsonb *value)
{
	Size		start = to->length;
	JsonbValue	scalar;

	if (!JB_ROOT_IS_SCALAR(value))
	{
		pad(to);
		ar_prefetch_json_bytes(to, (char *) &value->root, VARSIZE(value) - VARHDRSZ);
		return entry_of(JENTRY_ISCONTAINER, to->length - start);
	}
	if (!JsonbExtractScalar(&value->root, &scalar))
		elog(ERROR, "a scalar jsonb has no value");
	switch (scalar.type)
	{
		case jbvNull:
			return JENTRY_ISNULL;
		case jbvBool:
			return scalar.val.boolean ? JENTRY_ISBOOL_TRUE : JENTRY_ISBOOL_FALSE;
		case jbvNumeric:
			return write_numeric(to, scalar.val.numeric);
		case jbvString:
			return write_string(to, scalar.val.string.val, scalar.val.string.len);
		default:
			elog(ERROR, "unknown type of a scalar jsonb: %d", (int) scalar.type);
	}
	return 0;
}

/*
 * Numerics and containers begin at a multiple of four; what is left out before
 * them belongs to their entry.
 */
static void
pad(JsonBuffer *to)
{
	static const char zeros[sizeof(uint32)] = {0};

	ar_prefetch_json_bytes(to, zeros, INTALIGN(to->length) - to->length);
}

/*
 * Put an entry in its place, and add its length to what the entries before have.
 */
static void
put_entry(JsonBuffer *to, Size at, int number, uint32 entry, Size *total)
{
	*total += JBE_OFFLENFLD(entry);
	*(uint32 *) (to->data + at + sizeof(uint32) * number) = entry;
	(void) entry_of(JENTRY_ISCONTAINER, *total);
}

/*
 * An entry with a length; raises 54000 if it does not have room for it.
 */
static uint32
entry_of(uint32 type, Size length)
{
	if (unlikely(length > JENTRY_OFFLENMASK))
		ereport(ERROR,
				errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				errmsg("one row with all that hangs on it is too large for jsonb"),
				errdetail("No value in it may take more than %u bytes.", JENTRY_OFFLENMASK),
				errhint("Use algo_ref.prefetch() or algo_ref.prefetch_sets()."));
	return type | (uint32) length;
}
