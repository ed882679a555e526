/*
 * bulk_value.c: members of JSON objects as values of columns.
 *
 * What json_populate_record() makes of them: null is NULL; a string is what
 * the type's input function makes of its characters, other scalars what it
 * makes of them as they are written; objects and arrays become composites,
 * arrays and json.  Frequent types are read without their input function where
 * what is written is plain; what is not, the input function gets to see.
 */
#include "postgres.h"

#include <ctype.h>

#include "access/htup_details.h"
#include "bulk/bulk.h"
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "nodes/makefuncs.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/datetime.h"
#include "utils/fmgroids.h"
#include "utils/json.h"
#include "utils/lsyscache.h"
#include "utils/numeric.h"
#include "utils/timestamp.h"

/* The most digits that an int64 holds, whatever they are. */
#define INT64_DIGITS 18

/* How a column's values are read. */
typedef enum Reader
{
	READ_INPUT,					/* the type's input function */
	READ_INT2,
	READ_INT4,
	READ_INT8,
	READ_BOOL,
	READ_TEXT,
	READ_NUMERIC,
	READ_DATE,
	READ_TIMESTAMP,
	READ_TIMESTAMPTZ
} Reader;

struct BulkColumn
{
	const char *name;
	Oid			type;
	int32		typmod;
	Reader		reader;
	bool		is_json;		/* json or jsonb, or a domain over one */
	bool		is_nested;		/* a composite or an array, or a domain over
								 * one */
	bool		is_domain;
	FmgrInfo	input;
	Oid			input_param;

	/* for nested values: made when there is one */
	MemoryContext context;
	TupleDesc	wrapper;		/* a row with the column alone */
	Datum		wrapper_null;
	FmgrInfo	populate;
};

static Reader reader_of(Oid type, int32 typmod);
static bool read_plain(const BulkColumn *column, const BulkField *field, Datum *value);
static bool read_integer(const BulkField *field, int64 least, int64 most, int64 *value);
static bool read_numeric(const BulkField *field, int32 typmod, Datum *value);
static bool read_timestamp(const BulkField *field, bool with_zone, int64 *value);
static bool read_zone(const char *at, int length, int *seconds);
static bool read_date(const char *at, int *date);
static bool read_digits(const char *at, int count, int *value);
static Datum read_text(const BulkColumn *column, BulkScan *scan, const BulkField *field);
static void check_escapes(BulkScan *scan, const BulkField *field);
static char *as_json_string(BulkScan *scan, const BulkField *field);
static char *as_cstring(const BulkColumn *column, BulkScan *scan, const BulkField *field);
static Datum read_nested(BulkColumn *column, const BulkField *field, bool *is_null);
static void prepare_nested(BulkColumn *column);
static char *token_at(const BulkScan *scan);

/*
 * Prepare to read values of a column.  Lives in the current memory context, and
 * not longer than the name.
 */
BulkColumn *
ar_bulk_value_column(const char *name, Oid type, int32 typmod)
{
	BulkColumn *column = palloc0(sizeof(BulkColumn));
	Oid			base = getBaseType(type);
	Oid			input;

	column->name = name;
	column->type = type;
	column->typmod = typmod;
	column->context = CurrentMemoryContext;
	column->reader = reader_of(type, typmod);
	column->is_json = base == JSONOID || base == JSONBOID;
	column->is_nested = type_is_array(base) || type_is_rowtype(base);
	column->is_domain = base != type;
	getTypeInputInfo(type, &input, &column->input_param);
	fmgr_info(input, &column->input);
	return column;
}

static Reader
reader_of(Oid type, int32 typmod)
{
	switch (type)
	{
		case INT2OID:
			return READ_INT2;
		case INT4OID:
			return READ_INT4;
		case INT8OID:
			return READ_INT8;
		case BOOLOID:
			return READ_BOOL;
		case TEXTOID:
		case VARCHAROID:
			return READ_TEXT;
		case NUMERICOID:
			return READ_NUMERIC;
		case DATEOID:
			return READ_DATE;
		case TIMESTAMPOID:
			return typmod < 0 ? READ_TIMESTAMP : READ_INPUT;
		case TIMESTAMPTZOID:
			return typmod < 0 ? READ_TIMESTAMPTZ : READ_INPUT;
		default:
			return READ_INPUT;
	}
}

/*
 * The value of a field, in the current memory context.  Raises what the type's
 * input function raises, and 22P02 or 22P05 for what no string can hold.
 */
Datum
ar_bulk_value(BulkColumn *column, BulkScan *scan, const BulkField *field, bool *is_null)
{
	Datum		value;

	*is_null = false;
	if (field->kind == AR_BULK_NULL)
		return ar_bulk_value_null(column, is_null);
	if (read_plain(column, field, &value))
		return value;
	if (field->holds_escaped && !column->is_nested)
		check_escapes(scan, field);
	if (column->reader == READ_TEXT &&
		(column->typmod < 0 || field->length <= column->typmod - VARHDRSZ))
		return read_text(column, scan, field);
	if (column->is_nested && field->kind != AR_BULK_STRING)
		return read_nested(column, field, is_null);
	return InputFunctionCall(&column->input, as_cstring(column, scan, field),
							 column->input_param, column->typmod);
}

/*
 * NULL, which a domain may refuse.
 */
Datum
ar_bulk_value_null(BulkColumn *column, bool *is_null)
{
	*is_null = true;
	if (column->is_domain)
		InputFunctionCall(&column->input, NULL, column->input_param, column->typmod);
	return (Datum) 0;
}

/*
 * Read what is written plainly, or return false.
 */
static bool
read_plain(const BulkColumn *column, const BulkField *field, Datum *value)
{
	int64		number;
	int			date;

	if (field->is_escaped)
		return false;
	switch (column->reader)
	{
		case READ_INT2:
			if (!read_integer(field, PG_INT16_MIN, PG_INT16_MAX, &number))
				return false;
			*value = Int16GetDatum((int16) number);
			return true;
		case READ_INT4:
			if (!read_integer(field, PG_INT32_MIN, PG_INT32_MAX, &number))
				return false;
			*value = Int32GetDatum((int32) number);
			return true;
		case READ_INT8:
			if (!read_integer(field, PG_INT64_MIN, PG_INT64_MAX, &number))
				return false;
			*value = Int64GetDatum(number);
			return true;
		case READ_BOOL:
			if (field->kind != AR_BULK_TRUE && field->kind != AR_BULK_FALSE)
				return false;
			*value = BoolGetDatum(field->kind == AR_BULK_TRUE);
			return true;
		case READ_NUMERIC:
			return read_numeric(field, column->typmod, value);
		case READ_DATE:
			if (field->kind != AR_BULK_STRING || field->length != 10 ||
				!read_date(field->value, &date))
				return false;
			*value = DateADTGetDatum(date);
			return true;
		case READ_TIMESTAMP:
		case READ_TIMESTAMPTZ:
			if (field->kind != AR_BULK_STRING ||
				!read_timestamp(field, column->reader == READ_TIMESTAMPTZ, &number))
				return false;
			*value = Int64GetDatum(number);
			return true;
		default:
			return false;
	}
}

static bool
read_integer(const BulkField *field, int64 least, int64 most, int64 *value)
{
	const char *at = field->value;
	const char *end = at + field->length;
	bool		is_negative = at < end && *at == '-';
	int64		sum = 0;

	if (is_negative)
		at++;
	if (at == end || end - at > INT64_DIGITS)
		return false;
	for (; at < end; at++)
	{
		if (*at < '0' || *at > '9')
			return false;
		sum = sum * 10 + (*at - '0');
	}
	if (is_negative)
		sum = -sum;
	*value = sum;
	return sum >= least && sum <= most;
}

/*
 * Up to 18 digits around a point, that need no rounding.
 */
static bool
read_numeric(const BulkField *field, int32 typmod, Datum *value)
{
	const char *at = field->value;
	const char *end = at + field->length;
	bool		is_negative = at < end && *at == '-';
	bool		has_point = false;
	int			digits = 0;
	int			scale = 0;
	int64		sum = 0;

	if (is_negative)
		at++;
	for (; at < end; at++)
	{
		if (*at == '.' && !has_point && digits > 0 && at + 1 < end)
		{
			has_point = true;
			continue;
		}
		if (*at < '0' || *at > '9' || ++digits > INT64_DIGITS)
			return false;
		scale += has_point;
		sum = sum * 10 + (*at - '0');
	}
	if (digits == 0)
		return false;
	if (typmod >= (int32) VARHDRSZ)
	{
		int			precision = ((typmod - VARHDRSZ) >> 16) & 0xffff;
		int			wanted = (((typmod - VARHDRSZ) & 0x7ff) ^ 1024) - 1024;

		/* the input function rounds, and knows scales that are negative */
		if (scale > wanted || digits - scale > precision - wanted ||
			digits + wanted - scale > INT64_DIGITS)
			return false;
		for (; scale < wanted; scale++)
			sum *= 10;
	}
	*value = NumericGetDatum(int64_div_fast_to_numeric(is_negative ? -sum : sum, scale));
	return true;
}

/*
 * YYYY-MM-DD, a T or a blank, HH:MM:SS, up to six digits behind a point, and
 * if and only if a zone is wanted, Z or its offset.
 */
static bool
read_timestamp(const BulkField *field, bool with_zone, int64 *value)
{
	const char *at = field->value;
	int			length = field->length;
	int			used = 19;
	int			date;
	int			hour;
	int			minute;
	int			second;
	int			zone = 0;
	int64		fraction = 0;

	if (length < 19 || (at[10] != 'T' && at[10] != ' ') || at[13] != ':' || at[16] != ':' ||
		!read_date(at, &date) || !read_digits(at + 11, 2, &hour) || hour > 23 ||
		!read_digits(at + 14, 2, &minute) || minute > 59 ||
		!read_digits(at + 17, 2, &second) || second > 59)
		return false;
	if (used < length && at[used] == '.')
	{
		int64		unit = 100000;

		for (used++; used < length && at[used] >= '0' && at[used] <= '9'; used++)
		{
			if (unit == 0)
				return false;
			fraction += unit * (at[used] - '0');
			unit /= 10;
		}
		if (unit == 100000)
			return false;
	}
	if (with_zone ? !read_zone(at + used, length - used, &zone) : used != length)
		return false;
	*value = (int64) date * USECS_PER_DAY + fraction +
		(((int64) hour * MINS_PER_HOUR + minute) * SECS_PER_MINUTE + second - zone) * USECS_PER_SEC;
	return true;
}

/*
 * Z, or a sign and HH, HHMM or HH:MM.
 */
static bool
read_zone(const char *at, int length, int *seconds)
{
	int			hours;
	int			minutes = 0;

	*seconds = 0;
	if (length == 1 && *at == 'Z')
		return true;
	if ((length != 3 && length != 5 && length != 6) || (*at != '+' && *at != '-') ||
		!read_digits(at + 1, 2, &hours) || hours > 14)
		return false;
	if ((length == 6 && at[3] != ':') ||
		(length > 3 && !read_digits(at + length - 2, 2, &minutes)) || minutes > 59)
		return false;
	*seconds = (hours * MINS_PER_HOUR + minutes) * SECS_PER_MINUTE * (*at == '-' ? -1 : 1);
	return true;
}

/*
 * YYYY-MM-DD, in days since 2000-01-01.
 */
static bool
read_date(const char *at, int *date)
{
	int			year;
	int			month;
	int			day;

	if (!read_digits(at, 4, &year) || at[4] != '-' || !read_digits(at + 5, 2, &month) ||
		at[7] != '-' || !read_digits(at + 8, 2, &day) || year == 0 ||
		month < 1 || month > MONTHS_PER_YEAR || day < 1 ||
		day > day_tab[isleap(year)][month - 1])
		return false;
	*date = date2j(year, month, day) - POSTGRES_EPOCH_JDATE;
	return true;
}

static bool
read_digits(const char *at, int count, int *value)
{
	*value = 0;
	for (; count > 0; count--, at++)
	{
		if (*at < '0' || *at > '9')
			return false;
		*value = *value * 10 + (*at - '0');
	}
	return true;
}

static Datum
read_text(const BulkColumn *column, BulkScan *scan, const BulkField *field)
{
	text	   *value = palloc(VARHDRSZ + field->length);
	int			length = field->length;

	if (!field->is_escaped)
		memcpy(VARDATA(value), field->value, length);
	else
	{
		length = ar_bulk_scan_unescape(scan, field->value, length, VARDATA(value));
		if (length < 0)
			ar_bulk_value_raise(scan);
	}
	SET_VARSIZE(value, VARHDRSZ + length);
	return PointerGetDatum(value);
}

/*
 * Raise 22P02 or 22P05 for an escape sequence in an array or object that no string
 * can hold, even where all of it is taken as it is written.
 */
static void
check_escapes(BulkScan *scan, const BulkField *field)
{
	char	   *ignored = palloc(field->length);

	if (ar_bulk_scan_unescape(scan, field->value, field->length, ignored) < 0)
		ar_bulk_value_raise(scan);
	pfree(ignored);
}

/*
 * A string for json: with the escape sequences that it needs, and no others.
 */
static char *
as_json_string(BulkScan *scan, const BulkField *field)
{
	StringInfoData json;
	char	   *characters;
	int			length;

	if (!field->is_escaped)
		return pnstrdup(field->value - 1, field->length + 2);
	characters = palloc(field->length + 1);
	length = ar_bulk_scan_unescape(scan, field->value, field->length, characters);
	if (length < 0)
		ar_bulk_value_raise(scan);
	characters[length] = '\0';
	initStringInfo(&json);
	escape_json(&json, characters);
	return json.data;
}

/*
 * What the input function is to see: a string's characters, other values as
 * they are written; in json, strings too.
 */
static char *
as_cstring(const BulkColumn *column, BulkScan *scan, const BulkField *field)
{
	int			length = field->length;
	char	   *result;

	if (column->is_json && field->kind == AR_BULK_STRING)
		return as_json_string(scan, field);
	result = palloc(length + 1);

	if (!field->is_escaped)
		memcpy(result, field->value, length);
	else
	{
		length = ar_bulk_scan_unescape(scan, field->value, length, result);
		if (length < 0)
			ar_bulk_value_raise(scan);
	}
	result[length] = '\0';
	return result;
}

/*
 * An object or array for a composite or an array: the server's own way, for a
 * row that has this column alone.
 */
static Datum
read_nested(BulkColumn *column, const BulkField *field, bool *is_null)
{
	LOCAL_FCINFO(fcinfo, 2);
	StringInfoData json;
	HeapTupleData tuple;
	HeapTupleHeader row;
	Datum		value;

	prepare_nested(column);
	initStringInfo(&json);
	appendStringInfoChar(&json, '{');
	escape_json(&json, column->name);
	appendStringInfoChar(&json, ':');
	appendBinaryStringInfo(&json, field->value, field->length);
	appendStringInfoChar(&json, '}');
	InitFunctionCallInfoData(*fcinfo, &column->populate, 2, InvalidOid, NULL, NULL);
	fcinfo->args[0].value = column->wrapper_null;
	fcinfo->args[0].isnull = false;
	fcinfo->args[1].value = PointerGetDatum(cstring_to_text_with_len(json.data, json.len));
	fcinfo->args[1].isnull = false;
	row = DatumGetHeapTupleHeader(FunctionCallInvoke(fcinfo));
	tuple.t_len = HeapTupleHeaderGetDatumLength(row);
	ItemPointerSetInvalid(&tuple.t_self);
	tuple.t_tableOid = InvalidOid;
	tuple.t_data = row;
	value = heap_getattr(&tuple, 1, column->wrapper, is_null);
	return value;
}

static void
prepare_nested(BulkColumn *column)
{
	MemoryContext caller;
	bool		null = true;
	Datum		nothing = (Datum) 0;
	Const	   *record;
	Const	   *json;

	if (column->wrapper != NULL)
		return;
	caller = MemoryContextSwitchTo(column->context);
	column->wrapper = CreateTemplateTupleDesc(1);
	TupleDescInitEntry(column->wrapper, 1, column->name, column->type, column->typmod, 0);
	BlessTupleDesc(column->wrapper);
	column->wrapper_null = heap_copy_tuple_as_datum(
													heap_form_tuple(column->wrapper, &nothing, &null),
													column->wrapper);
	record = makeConst(RECORDOID, -1, InvalidOid, -1, column->wrapper_null, false, false);
	json = makeNullConst(JSONOID, -1, InvalidOid);
	fmgr_info(F_JSON_POPULATE_RECORD, &column->populate);
	fmgr_info_set_expr((Node *) makeFuncExpr(F_JSON_POPULATE_RECORD, RECORDOID,
											 list_make2(record, json), InvalidOid, InvalidOid,
											 COERCE_EXPLICIT_CALL),
					   &column->populate);
	MemoryContextSwitchTo(caller);
}

/*
 * What the scanner calls.
 */
int
ar_bulk_value_encode(unsigned int code_point, char *result)
{
	unsigned char encoded[MAX_UNICODE_EQUIVALENT_STRING + 1];
	int			length;

	pg_unicode_to_server(code_point, encoded);
	length = strlen((char *) encoded);
	memcpy(result, encoded, length);
	return length;
}

/*
 * Raise what the scanner has found, as the server's parser would.
 */
void
ar_bulk_value_raise(const BulkScan *scan)
{
	switch (scan->error)
	{
		case AR_BULK_SCAN_SHAPE:
			ereport(ERROR,
					errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					errmsg("rows cannot be taken from %s", scan->expected),
					errhint("Rows are a JSON array of objects, or as text, objects each in its lines."));
			break;
		case AR_BULK_SCAN_ZERO:
			ereport(ERROR,
					errcode(ERRCODE_UNTRANSLATABLE_CHARACTER),
					errmsg("unsupported Unicode escape sequence"),
					errdetail("\\u0000 cannot be converted to text."));
			break;
		case AR_BULK_SCAN_ENDED:
			ereport(ERROR,
					errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
					errmsg("invalid input syntax for type %s", "json"),
					errdetail("The input string ended unexpectedly."));
			break;
		case AR_BULK_SCAN_CONTROL:
			ereport(ERROR,
					errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
					errmsg("invalid input syntax for type %s", "json"),
					errdetail("Character with value 0x%02x must be escaped.",
							  (unsigned char) *scan->error_at));
			break;
		case AR_BULK_SCAN_ESCAPE:
			ereport(ERROR,
					errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
					errmsg("invalid input syntax for type %s", "json"),
					errdetail("Escape sequence \"\\%s\" is invalid.",
							  pnstrdup(scan->error_at, pg_mblen(scan->error_at))));
			break;
		case AR_BULK_SCAN_HEX:
			ereport(ERROR,
					errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
					errmsg("invalid input syntax for type %s", "json"),
					errdetail("\"\\u\" must be followed by four hexadecimal digits."));
			break;
		case AR_BULK_SCAN_SURROGATE:
			ereport(ERROR,
					errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
					errmsg("invalid input syntax for type %s", "json"),
					errdetail("Unicode surrogates stand in pairs, the high one first."));
			break;
		case AR_BULK_SCAN_EXPECTED:
			ereport(ERROR,
					errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
					errmsg("invalid input syntax for type %s", "json"),
					errdetail("Expected %s, but found \"%s\".", scan->expected, token_at(scan)));
			break;
		default:
			ereport(ERROR,
					errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
					errmsg("invalid input syntax for type %s", "json"),
					errdetail("Token \"%s\" is invalid.", token_at(scan)));
	}
	pg_unreachable();
}

static char *
token_at(const BulkScan *scan)
{
	const char *start = scan->error_at;
	const char *at = start;

	while (at < scan->end && (IS_HIGHBIT_SET(*at) || isalnum((unsigned char) *at) ||
							  strchr("_.+-", *at) != NULL) &&
		   at - start < 100)
		at += pg_mblen(at);
	if (at == start && at < scan->end)
		at += pg_mblen(at);
	return pnstrdup(start, at - start);
}
