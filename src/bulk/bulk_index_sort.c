/*
 * bulk_index_sort.c: index entries in the order of their keys.
 *
 * The order is for speed alone, nothing relies on it: it follows the bytes of
 * strings whatever their collation is, and takes short cuts where values are
 * equal only to their operator class.  What it must do is put equal entries
 * in the order of their rows, and be one order for all.
 *
 * Eight bytes of a key are taken into an integer, and entries are sorted by
 * it; those that agree are sorted by what follows, and so on.  So each entry
 * is looked at once for each eight bytes, and not at each comparison.
 */
#include "postgres.h"

#include "access/nbtree.h"
#include "bulk/bulk.h"
#include "common/compat.h"
#include "miscadmin.h"
#include "port/pg_bswap.h"
#include "utils/fmgroids.h"
#include "utils/memutils.h"
#include "utils/uuid.h"

/* From so many entries on they are sorted byte by byte. */
#define AR_BULK_RADIX_LEAST 256

static BulkKeyKind key_kind(Oid comparison);
static void sort_from(BulkOrder *order, BulkEntry *entries, Size count, int column,
					  int offset);
static void sort_nulls(BulkOrder *order, BulkEntry **entries, Size *count, int column);
static void load_prefixes(BulkOrder *order, BulkEntry *entries, Size count, int column,
						  int offset);
static uint64 prefix_of(const BulkKey *key, Datum value, int offset);
static uint64 bytes_at(const char *bytes, int length, int offset);
static int	compare_values(BulkOrder *order, int column, Datum left, Datum right);
static bool goes_on(const BulkKey *key, uint64 prefix, int offset);
static void sort_by_prefix(BulkEntry *entries, Size count);
static void sort_by_bytes(BulkEntry *entries, Size count, int shift);
static void sort_by_tid(BulkEntry *entries, Size count);
static void sort_by_comparison(BulkOrder *order, BulkEntry *entries, Size count, int column);

#define ST_SORT sort_entries
#define ST_ELEMENT_TYPE BulkEntry
#define ST_COMPARE(a, b) (((a)->prefix > (b)->prefix) - ((a)->prefix < (b)->prefix))
#define ST_CHECK_FOR_INTERRUPTS
#define ST_SCOPE static
#define ST_DEFINE
#include "lib/sort_template.h"

typedef struct ComparedColumn
{
	SortSupport support;
	TupleDesc	desc;
	AttrNumber	attnum;
} ComparedColumn;

static inline int
compare_column(const BulkEntry *a, const BulkEntry *b, ComparedColumn *column)
{
	bool		is_null;
	Datum		left = index_getattr(a->tuple, column->attnum, column->desc, &is_null);
	Datum		right = index_getattr(b->tuple, column->attnum, column->desc, &is_null);

	return ApplySortComparator(left, false, right, false, column->support);
}

#define ST_SORT sort_compared
#define ST_ELEMENT_TYPE BulkEntry
#define ST_COMPARE_ARG_TYPE ComparedColumn
#define ST_COMPARE(a, b, arg) compare_column(a, b, arg)
#define ST_CHECK_FOR_INTERRUPTS
#define ST_SCOPE static
#define ST_DEFINE
#include "lib/sort_template.h"

/*
 * The order of a btree index.
 */
BulkOrder *
ar_bulk_index_order(Relation index)
{
	BulkOrder  *order = palloc0(sizeof(BulkOrder));

	order->desc = RelationGetDescr(index);
	order->count = IndexRelationGetNumberOfKeyAttributes(index);
	for (int i = 0; i < order->count; i++)
	{
		BulkKey    *key = &order->keys[i];

		key->kind = key_kind(index_getprocid(index, i + 1, BTORDER_PROC));
		key->is_descending = (index->rd_indoption[i] & INDOPTION_DESC) != 0;
		key->nulls_first = (index->rd_indoption[i] & INDOPTION_NULLS_FIRST) != 0;
		if (key->kind == AR_BULK_KEY_OTHER)
		{
			key->support.ssup_cxt = CurrentMemoryContext;
			key->support.ssup_collation = index->rd_indcollation[i];
			key->support.ssup_nulls_first = key->nulls_first;
			key->support.ssup_attno = i + 1;
			ar_prepare_index_sort_support(index, key->is_descending, &key->support);
		}
	}
	return order;
}

static BulkKeyKind
key_kind(Oid comparison)
{
	switch (comparison)
	{
		case F_BTINT2CMP:
			return AR_BULK_KEY_INT16;
		case F_BTINT4CMP:
		case F_DATE_CMP:
			return AR_BULK_KEY_INT32;
		case F_BTINT8CMP:
		case F_TIME_CMP:
		case F_TIMESTAMP_CMP:
		case F_TIMESTAMPTZ_CMP:
			return AR_BULK_KEY_INT64;
		case F_BTOIDCMP:
			return AR_BULK_KEY_OID;
		case F_BTBOOLCMP:
		case F_BTCHARCMP:
			return AR_BULK_KEY_BYTE;
		case F_BTFLOAT8CMP:
			return AR_BULK_KEY_FLOAT8;
		case F_UUID_CMP:
			return AR_BULK_KEY_UUID;
		case F_BTTEXTCMP:
		case F_BTTEXT_PATTERN_CMP:
		case F_BPCHARCMP:
		case F_BTBPCHAR_PATTERN_CMP:
		case F_BYTEACMP:
			return AR_BULK_KEY_VARLENA;
		case F_BTNAMECMP:
			return AR_BULK_KEY_CSTRING;
		default:
			return AR_BULK_KEY_OTHER;
	}
}

/*
 * Put entries into the order.
 */
void
ar_bulk_index_sort(BulkOrder *order, BulkEntry *entries, Size count)
{
	sort_from(order, entries, count, 0, 0);
}

/*
 * Sort entries that agree in all columns before, and in the first "offset"
 * bytes of this one.
 */
static void
sort_from(BulkOrder *order, BulkEntry *entries, Size count, int column, int offset)
{
	const BulkKey *key = &order->keys[column];
	Size		from;

	check_stack_depth();
	if (count < 2)
		return;
	if (column == order->count)
	{
		sort_by_tid(entries, count);
		return;
	}
	if (offset == 0 && order->has_nulls)
		sort_nulls(order, &entries, &count, column);

	if (key->kind == AR_BULK_KEY_OTHER)
	{
		sort_by_comparison(order, entries, count, column);
		return;
	}
	load_prefixes(order, entries, count, column, offset);
	sort_by_prefix(entries, count);
	for (Size i = from = 0; i < count; i++)
	{
		uint64		prefix = entries[i].prefix;

		if (i + 1 < count && entries[i + 1].prefix == prefix)
			continue;
		if (i > from)
		{
			if (goes_on(key, key->is_descending ? ~prefix : prefix, offset))
				sort_from(order, entries + from, i - from + 1, column, offset + 8);
			else
				sort_from(order, entries + from, i - from + 1, column + 1, 0);
		}
		from = i + 1;
	}
}

/*
 * Move the entries in which a column is null to their end, and sort them.
 * What is left is the others.
 */
static void
sort_nulls(BulkOrder *order, BulkEntry **entries, Size *count, int column)
{
	bool		nulls_first = order->keys[column].nulls_first;
	BulkEntry  *all = *entries;
	Size		total = *count;
	Size		lower = 0;
	bool		is_null;

	for (Size i = 0; i < total; i++)
	{
		is_null = false;
		if (IndexTupleHasNulls(all[i].tuple))
			(void) index_getattr(all[i].tuple, column + 1, order->desc, &is_null);
		if (is_null == nulls_first)
		{
			BulkEntry	entry = all[lower];

			all[lower++] = all[i];
			all[i] = entry;
		}
	}
	if (nulls_first)
	{
		sort_from(order, all, lower, column + 1, 0);
		*entries = all + lower;
		*count = total - lower;
	}
	else
	{
		sort_from(order, all + lower, total - lower, column + 1, 0);
		*count = lower;
	}
}

static void
load_prefixes(BulkOrder *order, BulkEntry *entries, Size count, int column, int offset)
{
	const BulkKey *key = &order->keys[column];
	bool		is_null;

	for (Size i = 0; i < count; i++)
	{
		Datum		value = index_getattr(entries[i].tuple, column + 1, order->desc, &is_null);
		uint64		prefix = prefix_of(key, value, offset);

		entries[i].prefix = key->is_descending ? ~prefix : prefix;
	}
}

/*
 * A value's bytes from "offset" as an integer that orders as they do.
 */
static uint64
prefix_of(const BulkKey *key, Datum value, int offset)
{
	const uint64 sign = UINT64CONST(1) << 63;
	uint64		bits;

	switch (key->kind)
	{
		case AR_BULK_KEY_INT16:
			return (uint64) (int64) DatumGetInt16(value) ^ sign;
		case AR_BULK_KEY_INT32:
			return (uint64) (int64) DatumGetInt32(value) ^ sign;
		case AR_BULK_KEY_INT64:
			return (uint64) DatumGetInt64(value) ^ sign;
		case AR_BULK_KEY_OID:
			return DatumGetObjectId(value);
		case AR_BULK_KEY_BYTE:
			return DatumGetUInt8(value);
		case AR_BULK_KEY_FLOAT8:
			bits = (uint64) DatumGetInt64(value);
			return (bits & sign) != 0 ? ~bits : bits ^ sign;
		case AR_BULK_KEY_UUID:
			return bytes_at((const char *) DatumGetUUIDP(value)->data, UUID_LEN, offset);
		case AR_BULK_KEY_VARLENA:
			if (VARATT_IS_COMPRESSED(DatumGetPointer(value)))
				return 0;		/* out of its place, which costs a search */
			return bytes_at(VARDATA_ANY(DatumGetPointer(value)),
							VARSIZE_ANY_EXHDR(DatumGetPointer(value)), offset);
		case AR_BULK_KEY_CSTRING:
			return bytes_at(DatumGetCString(value), strlen(DatumGetCString(value)), offset);
		case AR_BULK_KEY_OTHER:
			break;
	}
	Assert(false);
	return 0;
}

static uint64
bytes_at(const char *bytes, int length, int offset)
{
	uint64		result = 0;

	if (offset < length)
		memcpy(&result, bytes + offset, Min(length - offset, 8));
	return pg_ntoh64(result);
}

static void
sort_by_prefix(BulkEntry *entries, Size count)
{
	Size		i = 1;

	while (i < count && entries[i - 1].prefix <= entries[i].prefix)
		i++;
	if (i < count)
		sort_by_bytes(entries, count, 56);
}

/*
 * Sort entries whose prefixes agree in the bits above the byte at "shift" by
 * that and what is below.
 *
 * Each entry is exchanged with that in its place until all are in theirs: the
 * "American flag sort" of McIlroy, Bostic and McIlroy (1993).
 */
static void
sort_by_bytes(BulkEntry *entries, Size count, int shift)
{
	Size		ends[256] = {0};
	Size		heads[256];
	uint64		differing = 0;
	Size		sum = 0;

	CHECK_FOR_INTERRUPTS();
	if (count < AR_BULK_RADIX_LEAST)
	{
		sort_entries(entries, count);
		return;
	}
	for (Size i = 1; i < count; i++)
		differing |= entries[i].prefix ^ entries[0].prefix;
	while (shift > 0 && (differing >> shift) == 0)
		shift -= 8;

	for (Size i = 0; i < count; i++)
		ends[(entries[i].prefix >> shift) & 0xff]++;
	for (int byte = 0; byte < 256; byte++)
	{
		heads[byte] = sum;
		sum += ends[byte];
		ends[byte] = sum;
	}
	for (int byte = 0; byte < 256; byte++)
	{
		while (heads[byte] < ends[byte])
		{
			BulkEntry	entry = entries[heads[byte]];
			int			its = (entry.prefix >> shift) & 0xff;

			while (its != byte)
			{
				BulkEntry	other = entries[heads[its]];

				entries[heads[its]++] = entry;
				entry = other;
				its = (entry.prefix >> shift) & 0xff;
			}
			entries[heads[byte]++] = entry;
		}
	}
	if (shift == 0)
		return;
	sum = 0;
	for (int byte = 0; byte < 256; byte++)
	{
		if (ends[byte] - sum > 1)
			sort_by_bytes(entries + sum, ends[byte] - sum, shift - 8);
		sum = ends[byte];
	}
}

/*
 * Equal entries stand in the order of their rows, as a btree has them.
 */
static void
sort_by_tid(BulkEntry *entries, Size count)
{
	for (Size i = 0; i < count; i++)
	{
		const ItemPointerData *tid = &entries[i].tuple->t_tid;

		entries[i].prefix = ((uint64) ItemPointerGetBlockNumber(tid) << 16) |
			ItemPointerGetOffsetNumber(tid);
	}
	sort_by_prefix(entries, count);
}

/*
 * Sort by a column of which we know nothing but its comparison function.
 */
static void
sort_by_comparison(BulkOrder *order, BulkEntry *entries, Size count, int column)
{
	ComparedColumn compared = {&order->keys[column].support, order->desc, column + 1};
	Size		from = 0;

	sort_compared(entries, count, &compared);
	for (Size i = 0; i < count; i++)
	{
		if (i + 1 < count && compare_column(&entries[i], &entries[i + 1], &compared) == 0)
			continue;
		sort_from(order, entries + from, i - from + 1, column + 1, 0);
		from = i + 1;
	}
}

/*
 * The first part of an entry's key, as ar_bulk_index_compare() wants it.  Its
 * order is that of the whole key.
 */
uint64
ar_bulk_index_prefix(BulkOrder *order, IndexTuple tuple)
{
	const BulkKey *key = &order->keys[0];
	bool		is_null;
	Datum		value = index_getattr(tuple, 1, order->desc, &is_null);
	uint64		prefix;

	if (is_null || key->kind == AR_BULK_KEY_OTHER)
		return 0;
	prefix = prefix_of(key, value, 0);
	return key->is_descending ? ~prefix : prefix;
}

/*
 * Compare two entries in the order that ar_bulk_index_sort() makes.
 */
int
ar_bulk_index_compare(BulkOrder *order, const BulkEntry *a, const BulkEntry *b)
{
	int			comparison;

	for (int column = 0; column < order->count; column++)
	{
		const BulkKey *key = &order->keys[column];
		bool		a_is_null;
		bool		b_is_null;
		Datum		left;
		Datum		right;

		left = index_getattr(a->tuple, column + 1, order->desc, &a_is_null);
		right = index_getattr(b->tuple, column + 1, order->desc, &b_is_null);
		if (a_is_null != b_is_null)
			return a_is_null == key->nulls_first ? -1 : 1;
		if (a_is_null)
			continue;
		if (column == 0 && a->prefix != b->prefix)
			return a->prefix < b->prefix ? -1 : 1;
		comparison = compare_values(order, column, left, right);
		if (comparison != 0)
			return comparison;
	}
	return ItemPointerCompare(&a->tuple->t_tid, &b->tuple->t_tid);
}

static int
compare_values(BulkOrder *order, int column, Datum left, Datum right)
{
	BulkKey    *key = &order->keys[column];

	if (key->kind == AR_BULK_KEY_OTHER)
		return ApplySortComparator(left, false, right, false, &key->support);
	for (int offset = 0;; offset += 8)
	{
		uint64		a = prefix_of(key, left, offset);
		uint64		b = prefix_of(key, right, offset);

		if (a != b)
			return (a < b) != key->is_descending ? -1 : 1;
		if (!goes_on(key, a, offset))
			return 0;
	}
}

/*
 * Is there more of a value whose bytes from "offset" are "prefix"?  A string
 * that is not over does not end in a zero.
 */
static bool
goes_on(const BulkKey *key, uint64 prefix, int offset)
{
	switch (key->kind)
	{
		case AR_BULK_KEY_UUID:
			return offset == 0;
		case AR_BULK_KEY_VARLENA:
		case AR_BULK_KEY_CSTRING:
			return (prefix & 0xff) != 0;
		default:
			return false;
	}
}
