/*
 * prefetch_key.c: distinct keys and their numbers.
 *
 * A KeyTable gives each key that it meets the next number, from 0.  One
 * integer, which most keys are, is kept and compared as such; all others as
 * Datums, with the hash and equality of their types.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "prefetch/prefetch.h"
#include "utils/array.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#define FIRST_SLOTS 64

static void cast_key(const KeyShape *shape, const Datum *own, Datum *key, bool is_near);
static void free_key(const KeyShape *shape, const Datum *own, Datum *key);
static int	find_integer(KeyTable *table, int64 key, bool add);
static int	find_datums(KeyTable *table, const Datum *key, bool add);
static void grow(KeyTable *table);
static void grow_slots(KeyTable *table);
static inline uint32 hash_integer(int64 key);
static uint32 hash_datums(const KeyTable *table, const Datum *key);
static bool equal_datums(const KeyTable *table, const Datum *one, const Datum *other);
static inline Datum integer_datum(Oid type, int64 value);
static int	compare_integers(const void *a, const void *b);

/*
 * An empty table.  What it holds belongs to "context", keys that are not
 * passed by value to "key_context", which is reset together with the table.
 */
void
ar_prefetch_key_init(KeyTable *table, const KeyShape *shape, MemoryContext context,
					 MemoryContext key_context)
{
	memset(table, 0, sizeof(KeyTable));
	table->shape = shape;
	table->context = context;
	table->key_context = key_context;
}

void
ar_prefetch_key_reset(KeyTable *table)
{
	if (table->count > 0)
		memset(table->slot, 0, sizeof(int32) * (table->mask + 1));
	table->count = 0;
}

/*
 * The number of the key whose columns stand at "position" in a row; -1 if one
 * of them is null, or if it is not known and not to be added.  Keys that are
 * added come from the near side, others from the far one.
 */
int
ar_prefetch_key_number_of(KeyTable *table, TupleTableSlot *slot, const int *position, bool add)
{
	const KeyShape *shape = table->shape;
	Datum		own[INDEX_MAX_KEYS];
	Datum		key[INDEX_MAX_KEYS];
	int			number;

	for (int i = 0; i < shape->count; i++)
	{
		if (slot->tts_isnull[position[i]])
			return -1;
		own[i] = slot->tts_values[position[i]];
	}
	if (!shape->is_integer)
	{
		cast_key(shape, own, key, add);
		number = find_datums(table, key, add);
		free_key(shape, own, key);
		return number;
	}
	return find_integer(table, ar_prefetch_integer(TupleDescAttr(slot->tts_tupleDescriptor,
																 position[0])->attlen, own[0]),
						add);
}

static void
cast_key(const KeyShape *shape, const Datum *own, Datum *key, bool is_near)
{
	for (int i = 0; i < shape->count; i++)
	{
		KeyCast    *cast = is_near ? &shape->column[i].near : &shape->column[i].far;

		key[i] = cast->is_needed ? FunctionCall1(&cast->function, own[i]) : own[i];
	}
}

/*
 * Rows are many, and the memory that they come in lasts.  A cast may have given
 * back what it was given.
 */
static void
free_key(const KeyShape *shape, const Datum *own, Datum *key)
{
	for (int i = 0; i < shape->count; i++)
	{
		if (key[i] != own[i] && !shape->column[i].by_value)
			pfree(DatumGetPointer(key[i]));
	}
}

static int
find_integer(KeyTable *table, int64 key, bool add)
{
	uint32		at;

	if (unlikely(table->slot == NULL))
		grow_slots(table);
	for (at = hash_integer(key) & table->mask; table->slot[at] != 0; at = (at + 1) & table->mask)
	{
		if (table->integer[table->slot[at] - 1] == key)
			return table->slot[at] - 1;
	}
	if (!add)
		return -1;
	if (unlikely(table->count >= table->allocated))
		grow(table);
	table->integer[table->count] = key;
	table->slot[at] = ++table->count;
	if (unlikely(table->count > table->mask / 2))
		grow_slots(table);
	return table->count - 1;
}

static int
find_datums(KeyTable *table, const Datum *key, bool add)
{
	const KeyShape *shape = table->shape;
	uint32		hash = hash_datums(table, key);
	uint32		at;
	Datum	   *stored;
	MemoryContext old;

	if (unlikely(table->slot == NULL))
		grow_slots(table);
	for (at = hash & table->mask; table->slot[at] != 0; at = (at + 1) & table->mask)
	{
		int			number = table->slot[at] - 1;

		if (table->hash[number] == hash &&
			equal_datums(table, &table->datum[number * shape->count], key))
			return number;
	}
	if (!add)
		return -1;
	if (table->count >= table->allocated)
		grow(table);
	stored = &table->datum[table->count * shape->count];
	old = MemoryContextSwitchTo(table->key_context);
	for (int i = 0; i < shape->count; i++)
		stored[i] = datumCopy(key[i], shape->column[i].by_value, shape->column[i].length);
	MemoryContextSwitchTo(old);
	table->hash[table->count] = hash;
	table->slot[at] = ++table->count;
	if (table->count > table->mask / 2)
		grow_slots(table);
	return table->count - 1;
}

static void
grow(KeyTable *table)
{
	int			allocated = Max(table->allocated * 2, FIRST_SLOTS / 2);
	MemoryContext old = MemoryContextSwitchTo(table->context);

	if (allocated > (int) (MaxAllocSize / sizeof(Datum) / table->shape->count))
		ereport(ERROR,
				errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				errmsg("one row has too many keys below it"));
	if (table->shape->is_integer)
		table->integer = table->integer ? repalloc(table->integer, sizeof(int64) * allocated) :
			palloc(sizeof(int64) * allocated);
	else
	{
		Size		size = sizeof(Datum) * allocated * table->shape->count;

		table->datum = table->datum ? repalloc(table->datum, size) : palloc(size);
		table->hash = table->hash ? repalloc(table->hash, sizeof(uint32) * allocated) :
			palloc(sizeof(uint32) * allocated);
	}
	table->allocated = allocated;
	MemoryContextSwitchTo(old);
}

/*
 * Twice as many slots, or the first ones.
 */
static void
grow_slots(KeyTable *table)
{
	uint32		slots = table->slot ? (table->mask + 1) * 2 : FIRST_SLOTS;

	if (table->slot)
		pfree(table->slot);
	table->slot = MemoryContextAllocExtended(table->context, sizeof(int32) * slots,
											 MCXT_ALLOC_ZERO | MCXT_ALLOC_HUGE);
	table->mask = slots - 1;
	for (int i = 0; i < table->count; i++)
	{
		uint32		hash = table->shape->is_integer ? hash_integer(table->integer[i]) :
		table->hash[i];
		uint32		at = hash & table->mask;

		while (table->slot[at] != 0)
			at = (at + 1) & table->mask;
		table->slot[at] = i + 1;
	}
}

static inline uint32
hash_integer(int64 key)
{
	return (uint32) (((uint64) key * UINT64CONST(0x9E3779B97F4A7C15)) >> 32);
}

static uint32
hash_datums(const KeyTable *table, const Datum *key)
{
	uint32		hash = 0;

	for (int i = 0; i < table->shape->count; i++)
	{
		KeyColumn  *column = &table->shape->column[i];

		hash = hash_combine(hash, DatumGetUInt32(FunctionCall1Coll(&column->hash,
																   column->collation, key[i])));
	}
	return hash;
}

static bool
equal_datums(const KeyTable *table, const Datum *one, const Datum *other)
{
	for (int i = 0; i < table->shape->count; i++)
	{
		KeyColumn  *column = &table->shape->column[i];

		if (!DatumGetBool(FunctionCall2Coll(&column->equal, column->collation, one[i], other[i])))
			return false;
	}
	return true;
}

/*
 * A column of a key.
 */
Datum
ar_prefetch_key_datum(const KeyTable *table, int number, int column)
{
	const KeyShape *shape = table->shape;

	if (shape->is_integer)
		return integer_datum(shape->column[0].type, table->integer[number]);
	return table->datum[number * shape->count + column];
}

static inline Datum
integer_datum(Oid type, int64 value)
{
	return type == INT8OID ? Int64GetDatum(value) :
		type == INT4OID ? Int32GetDatum((int32) value) : Int16GetDatum((int16) value);
}

/*
 * The keys from number "first" on, as one array for each column; a single
 * integer in ascending order, as index scans want it.
 */
void
ar_prefetch_key_arrays(const KeyTable *table, int first, Datum *arrays)
{
	const KeyShape *shape = table->shape;
	int			count = table->count - first;
	Datum	   *values = palloc(sizeof(Datum) * Max(count, 1));

	for (int i = 0; i < shape->count; i++)
	{
		KeyColumn  *column = &shape->column[i];

		if (shape->is_integer)
		{
			int64	   *integers = palloc(sizeof(int64) * Max(count, 1));
			bool		sorted = true;

			memcpy(integers, &table->integer[first], sizeof(int64) * count);
			for (int k = 1; k < count && sorted; k++)
				sorted = integers[k - 1] < integers[k];
			if (!sorted)
				qsort(integers, count, sizeof(int64), compare_integers);
			for (int k = 0; k < count; k++)
				values[k] = integer_datum(column->type, integers[k]);
			pfree(integers);
		}
		else
		{
			for (int k = 0; k < count; k++)
				values[k] = table->datum[(first + k) * shape->count + i];
		}
		arrays[i] = PointerGetDatum(construct_array(values, count, column->type, column->length,
													column->by_value, column->align));
	}
	pfree(values);
}

static int
compare_integers(const void *a, const void *b)
{
	int64		one = *(const int64 *) a;
	int64		other = *(const int64 *) b;

	return one < other ? -1 : one > other;
}
