/*
 * prefetch_json.c: values as row_to_json() writes them, byte for byte.
 *
 * The types that most columns have are written directly; numbers and enums
 * through their output functions; all others, among them arrays, composite
 * types and types with a cast to json, through to_json(), which decides as
 * row_to_json() does.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "common/compat.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "pgtime.h"
#include "prefetch/prefetch.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/datetime.h"
#include "utils/fmgroids.h"
#include "utils/json.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

/* of a date or a timestamp, with quotes, whatever the year */
#define MAX_TIME_LENGTH (MAXDATELEN + 3)

/* days of 0001-01-01 and 9999-12-31, seen from 2000-01-01 */
#define FIRST_DAY (-730119)
#define LAST_DAY 2921939

/* how far back an offset of the time zone is looked for */
#define EARLIER_SECONDS ((pg_time_t) 60 * SECS_PER_DAY)

/* from which length on a text is measured before it is written */
#define LONG_TEXT ((Size) 64 * 1024)

#define HAS_LESS(word, n) (((word) - BYTES(n)) & ~(word) & BYTES(0x80))
#define HAS_BYTE(word, c) HAS_LESS((word) ^ BYTES(c), 1)
#define BYTES(c) (UINT64CONST(0x0101010101010101) * (c))

static void write_int(JsonBuffer *buffer, int64 value);
static void write_text(JsonBuffer *buffer, Datum value);
static void write_number(JsonBuffer *buffer, JsonColumn *column, Datum value);
static void write_time(JsonBuffer *buffer, Datum value, Oid type);
static bool write_date_fast(JsonBuffer *buffer, DateADT date);
static bool write_timestamp_fast(JsonBuffer *buffer, Timestamp time, bool with_zone,
								 int32 offset);
static bool zone_offset(TimestampTz time, int32 *offset);
static const char *day_text(int32 day);
static char *put_two(char *to, int value);
static Size escaped_length(const char *text, Size length);
static inline bool needs_escape(uint64 word);
static inline char *put_escaped(char *to, unsigned char c);

/*
 * How to write a column of a type under a name.  Belongs to the current memory
 * context.
 */
void
ar_prefetch_json_column(JsonColumn *column, const char *name, Oid type, int position, bool first)
{
	JsonBuffer	prefix = {0};
	Oid			function;
	bool		is_varlena;
	Oid			base = getBaseType(type);

	ar_prefetch_json_bytes(&prefix, first ? "{" : ",", 1);
	ar_prefetch_json_string(&prefix, name, strlen(name));
	ar_prefetch_json_bytes(&prefix, ":", 1);
	column->prefix = prefix.data;
	column->prefix_length = (int) prefix.length;
	column->position = position;
	column->name = pstrdup(name);
	column->base = base;
	getTypeOutputInfo(base, &function, &is_varlena);
	switch (base)
	{
		case BOOLOID:
			column->form = AR_JSON_BOOL;
			break;
		case INT2OID:
			column->form = AR_JSON_INT2;
			break;
		case INT4OID:
			column->form = AR_JSON_INT4;
			break;
		case INT8OID:
			column->form = AR_JSON_INT8;
			break;
		case FLOAT4OID:
		case FLOAT8OID:
		case NUMERICOID:
			column->form = AR_JSON_NUMBER;
			break;
		case TEXTOID:
		case VARCHAROID:
		case BPCHAROID:
			column->form = AR_JSON_TEXT;
			break;
		case DATEOID:
			column->form = AR_JSON_DATE;
			break;
		case TIMESTAMPOID:
			column->form = AR_JSON_TIMESTAMP;
			break;
		case TIMESTAMPTZOID:
			column->form = AR_JSON_TIMESTAMPTZ;
			break;
		case JSONOID:
		case JSONBOID:
			column->form = AR_JSON_VERBATIM;
			break;
		case UUIDOID:
		case BYTEAOID:
		case TIMEOID:
		case TIMETZOID:
		case INTERVALOID:
		case INETOID:
			column->form = AR_JSON_STRING;
			break;
		default:
			column->form = AR_JSON_OTHER;
			function = F_TO_JSON;
	}
	fmgr_info(function, &column->function);
	if (column->form == AR_JSON_OTHER)
	{
		/* to_json() asks for the type of its argument */
		Param	   *argument = makeNode(Param);

		argument->paramkind = PARAM_EXTERN;
		argument->paramtype = type;
		fmgr_info_set_expr((Node *) makeFuncExpr(F_TO_JSON, JSONOID, list_make1(argument),
												 InvalidOid, InvalidOid, COERCE_EXPLICIT_CALL),
						   &column->function);
	}
}

/*
 * Write the name and the value of a column.  What has to be allocated comes
 * from the current memory context.
 */
void
ar_prefetch_json_value(JsonBuffer *buffer, JsonColumn *column, Datum value, bool isnull)
{
	ar_prefetch_json_bytes(buffer, column->prefix, column->prefix_length);
	if (isnull)
		ar_prefetch_json_bytes(buffer, "null", 4);
	else
		ar_prefetch_json_bare(buffer, column, value);
}

/*
 * Write a value without its name.
 */
void
ar_prefetch_json_bare(JsonBuffer *buffer, JsonColumn *column, Datum value)
{
	switch (column->form)
	{
		case AR_JSON_BOOL:
			if (DatumGetBool(value))
				ar_prefetch_json_bytes(buffer, "true", 4);
			else
				ar_prefetch_json_bytes(buffer, "false", 5);
			break;
		case AR_JSON_INT2:
			write_int(buffer, DatumGetInt16(value));
			break;
		case AR_JSON_INT4:
			write_int(buffer, DatumGetInt32(value));
			break;
		case AR_JSON_INT8:
			write_int(buffer, DatumGetInt64(value));
			break;
		case AR_JSON_NUMBER:
			write_number(buffer, column, value);
			break;
		case AR_JSON_TEXT:
			write_text(buffer, value);
			break;
		case AR_JSON_DATE:
			if (!write_date_fast(buffer, DatumGetDateADT(value)))
				write_time(buffer, value, DATEOID);
			break;
		case AR_JSON_TIMESTAMP:
			if (!write_timestamp_fast(buffer, DatumGetTimestamp(value), false, 0))
				write_time(buffer, value, TIMESTAMPOID);
			break;
		case AR_JSON_TIMESTAMPTZ:
			{
				int32		offset;

				if (!zone_offset(DatumGetTimestampTz(value), &offset) ||
					!write_timestamp_fast(buffer, DatumGetTimestampTz(value), true, offset))
					write_time(buffer, value, TIMESTAMPTZOID);
			}
			break;
		case AR_JSON_VERBATIM:
		case AR_JSON_STRING:
			{
				char	   *text = OutputFunctionCall(&column->function, value);

				if (column->form == AR_JSON_VERBATIM)
					ar_prefetch_json_bytes(buffer, text, strlen(text));
				else
					ar_prefetch_json_string(buffer, text, strlen(text));
				pfree(text);
			}
			break;
		case AR_JSON_OTHER:
			{
				text	   *json = DatumGetTextPP(FunctionCall1(&column->function, value));

				ar_prefetch_json_bytes(buffer, VARDATA_ANY(json), VARSIZE_ANY_EXHDR(json));
				pfree(json);
			}
			break;
	}
}

/*
 * May writing a column leave memory behind?
 */
bool
ar_prefetch_json_allocates(const JsonColumn *column)
{
	switch (column->form)
	{
		case AR_JSON_NUMBER:
		case AR_JSON_VERBATIM:
		case AR_JSON_STRING:
		case AR_JSON_OTHER:
			return true;
		default:
			return false;
	}
}

/*
 * Make room for more bytes.
 */
void
ar_prefetch_json_reserve(JsonBuffer *buffer, Size more)
{
	Size		size = Max(buffer->size * 2, (Size) 1024);

	while (size < buffer->length + more)
		size *= 2;
	if (buffer->length + more >= MaxAllocSize)
		ereport(ERROR,
				errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				errmsg("prefetched rows are too large for one value"),
				errdetail("They take more than %zu bytes.", (Size) MaxAllocSize),
				errhint("Select fewer columns or rows, or use algo_ref.prefetch_sets()."));
	if (buffer->data == NULL)
		buffer->data = MemoryContextAllocHuge(CurrentMemoryContext, size);
	else
		buffer->data = repalloc_huge(buffer->data, size);
	buffer->size = size;
}

/*
 * Write a string in quotes.  Eight bytes are looked at and copied at a time.
 */
void
ar_prefetch_json_string(JsonBuffer *buffer, const char *text, Size length)
{
	const char *end = text +length;
	Size		room;
	char	   *to;

	/* each byte may become six; of a long text it is worth to know */
	room = unlikely(length > LONG_TEXT) ? escaped_length(text, length) : length * 6;
	if (unlikely(buffer->length + room + 10 > buffer->size))
		ar_prefetch_json_reserve(buffer, room + 10);
	to = buffer->data + buffer->length;
	*to++ = '"';
	while (end - text >=8)
	{
		uint64		word;

		memcpy(&word, text, 8);
		if (unlikely(needs_escape(word)))
		{
			for (int i = 0; i < 8; i++)
				to = put_escaped(to, *text ++);
			continue;
		}
		memcpy(to, &word, 8);
		to += 8;
		text	  +=8;
	}
	while (text <end)
		to = put_escaped(to, *text ++);
	*to++ = '"';
	buffer->length = to - buffer->data;
}

static Size
escaped_length(const char *text, Size length)
{
	Size		result = 0;

	for (Size i = 0; i < length; i++)
	{
		unsigned char c = text[i];

		result += c < 0x20 ? 6 : c == '"' || c == '\\' ? 2 : 1;
	}
	return result;
}

/*
 * May one of eight bytes be a quote, a backslash or a control character?
 * Bytes of 0x80 and more never are.
 */
static inline bool
needs_escape(uint64 word)
{
	return (HAS_LESS(word, 0x20) | HAS_BYTE(word, '"') | HAS_BYTE(word, '\\')) != 0;
}

static inline char *
put_escaped(char *to, unsigned char c)
{
	static const char hex[] = "0123456789abcdef";

	if (likely(c >= 0x20 && c != '"' && c != '\\'))
	{
		*to++ = c;
		return to;
	}
	*to++ = '\\';
	switch (c)
	{
		case '\b':
			*to++ = 'b';
			break;
		case '\f':
			*to++ = 'f';
			break;
		case '\n':
			*to++ = 'n';
			break;
		case '\r':
			*to++ = 'r';
			break;
		case '\t':
			*to++ = 't';
			break;
		case '"':
		case '\\':
			*to++ = c;
			break;
		default:
			*to++ = 'u';
			*to++ = '0';
			*to++ = '0';
			*to++ = hex[c >> 4];
			*to++ = hex[c & 15];
	}
	return to;
}

static void
write_int(JsonBuffer *buffer, int64 value)
{
	ar_prefetch_json_reserve_small(buffer);
	if (value >= PG_INT32_MIN && value <= PG_INT32_MAX)
		buffer->length += pg_ltoa((int32) value, buffer->data + buffer->length);
	else
		buffer->length += pg_lltoa(value, buffer->data + buffer->length);
}

static void
write_text(JsonBuffer *buffer, Datum value)
{
	struct varlena *text = PG_DETOAST_DATUM_PACKED(value);

	ar_prefetch_json_string(buffer, VARDATA_ANY(text), VARSIZE_ANY_EXHDR(text));
	if ((Pointer) text !=DatumGetPointer(value))
		pfree(text);
}

/*
 * NaN and the infinities are strings.
 */
static void
write_number(JsonBuffer *buffer, JsonColumn *column, Datum value)
{
	char	   *text = OutputFunctionCall(&column->function, value);
	char		first = text[0] == '-' ? text[1] : text[0];

	if (first >= '0' && first <= '9')
		ar_prefetch_json_bytes(buffer, text, strlen(text));
	else
		ar_prefetch_json_string(buffer, text, strlen(text));
	pfree(text);
}

static void
write_time(JsonBuffer *buffer, Datum value, Oid type)
{
	char text[	MAX_TIME_LENGTH];

	JsonEncodeDateTime(text, value, type, NULL);
	ar_prefetch_json_bytes(buffer, "\"", 1);
	ar_prefetch_json_bytes(buffer, text, strlen(text));
	ar_prefetch_json_bytes(buffer, "\"", 1);
}

static bool
write_date_fast(JsonBuffer *buffer, DateADT date)
{
	char	   *to;

	if (date < FIRST_DAY || date > LAST_DAY)
		return false;
	ar_prefetch_json_reserve_small(buffer);
	to = buffer->data + buffer->length;
	*to++ = '"';
	memcpy(to, day_text(date), 10);
	to += 10;
	*to++ = '"';
	buffer->length = to - buffer->data;
	return true;
}

/*
 * "offset" is in seconds east of Greenwich.
 */
static bool
write_timestamp_fast(JsonBuffer *buffer, Timestamp time, bool with_zone, int32 offset)
{
	char	   *to;
	int64		day;
	int64		rest;
	int			seconds;
	int			fraction;

	/* leaves room for the offset at both ends */
	if (time < (FIRST_DAY + 2) * USECS_PER_DAY || time > (LAST_DAY - 2) * USECS_PER_DAY)
		return false;
	time += offset * USECS_PER_SEC;
	day = time / USECS_PER_DAY;
	rest = time % USECS_PER_DAY;
	if (rest < 0)
	{
		rest += USECS_PER_DAY;
		day--;
	}
	seconds = (int) (rest / USECS_PER_SEC);
	fraction = (int) (rest % USECS_PER_SEC);
	ar_prefetch_json_reserve_small(buffer);
	to = buffer->data + buffer->length;
	*to++ = '"';
	memcpy(to, day_text((int32) day), 10);
	to += 10;
	*to++ = 'T';
	to = put_two(to, seconds / 3600);
	*to++ = ':';
	to = put_two(to, seconds / 60 % 60);
	*to++ = ':';
	to = put_two(to, seconds % 60);
	if (fraction != 0)
	{
		*to++ = '.';
		to = put_two(to, fraction / 10000);
		to = put_two(to, fraction / 100 % 100);
		to = put_two(to, fraction % 100);
		while (to[-1] == '0')
			to--;
	}
	if (with_zone)
	{
		*to++ = offset < 0 ? '-' : '+';
		if (offset < 0)
			offset = -offset;
		to = put_two(to, offset / 3600);
		*to++ = ':';
		to = put_two(to, offset / 60 % 60);
	}
	*to++ = '"';
	buffer->length = to - buffer->data;
	return true;
}

/*
 * The offset of the session's time zone at a time, in seconds east of
 * Greenwich.  It is remembered with the times between which it is known to
 * hold.  False where it has seconds, or is not known.
 */
static bool
zone_offset(TimestampTz time, int32 *offset)
{
	static pg_tz *known_zone = NULL;
	static TimestampTz known_from = 0;
	static TimestampTz known_until = 0;
	static int32 known_offset = 0;
	pg_time_t	seconds;
	pg_time_t	boundary;
	long		before;
	long		after;
	int			before_is_dst;
	int			after_is_dst;
	int			result;

	if (known_zone == session_timezone && time >= known_from && time < known_until)
	{
		*offset = known_offset;
		return true;
	}
	if (time < (FIRST_DAY + 2) * USECS_PER_DAY || time > (LAST_DAY - 2) * USECS_PER_DAY)
		return false;
	seconds = timestamptz_to_time_t(time);
	if (time_t_to_timestamptz(seconds) > time)
		seconds--;
	result = pg_next_dst_boundary(&seconds, &before, &before_is_dst, &boundary, &after,
								  &after_is_dst, session_timezone);
	if (result < 0 || before % 60 != 0)
		return false;

	known_until = result == 0 ? DT_NOEND : time_t_to_timestamptz(boundary);
	known_from = time_t_to_timestamptz(seconds);

	/* times may come in descending order: how far back is the end the same? */
	if (result == 1)
	{
		pg_time_t	earlier = seconds - EARLIER_SECONDS;
		pg_time_t	earlier_boundary;
		long		offset_then;

		if (pg_next_dst_boundary(&earlier, &offset_then, &before_is_dst, &earlier_boundary,
								 &after, &after_is_dst, session_timezone) == 1 &&
			earlier_boundary == boundary)
			known_from = time_t_to_timestamptz(earlier);
	}
	known_zone = session_timezone;
	known_offset = (int32) before;
	*offset = known_offset;
	return true;
}

/*
 * YYYY-MM-DD of a day seen from 2000-01-01.
 */
static const char *
day_text(int32 day)
{
	static int32 known_day = PG_INT32_MIN;
	static char text[10];

	if (day != known_day)
	{
		int			year;
		int			month;
		int			month_day;
		char	   *to = text;

		j2date(day + POSTGRES_EPOCH_JDATE, &year, &month, &month_day);
		to = put_two(to, year / 100);
		to = put_two(to, year % 100);
		*to++ = '-';
		to = put_two(to, month);
		*to++ = '-';
		put_two(to, month_day);
		known_day = day;
	}
	return text;
}

static char *
put_two(char *to, int value)
{
	to[0] = '0' + value / 10;
	to[1] = '0' + value % 10;
	return to + 2;
}
