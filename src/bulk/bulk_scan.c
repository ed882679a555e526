/*
 * bulk_scan.c: JSON text, row by row.
 *
 * As strict as the server's own parser, but it builds nothing: a row is a list
 * of keys and values that point into the text.  It needs nothing of the server
 * but palloc(), and raises nothing: what is wrong is left in the scan for
 * ar_bulk_value_raise().  So test/fuzz can build it alone.
 *
 * All encodings of a server keep bytes below 128 for ASCII, so looking at
 * single bytes is safe in each of them.
 */
#include "postgres.h"

#include "bulk/bulk.h"
#include "port/pg_bitutils.h"

#define FIELDS_FIRST 32
#define NEST_FIRST 64

/* eight bytes at a time */
#define EACH_BYTE(c) (UINT64CONST(0x0101010101010101) * (c))
#define ANY_BELOW(x, n) (((x) - EACH_BYTE(n)) & ~(x) & EACH_BYTE(0x80))

/* which of them it is: the lowest bit that is set is right, others may not be */
#ifdef WORDS_BIGENDIAN
#define FIRST_BYTE(bits) 0
#else
#define FIRST_BYTE(bits) (pg_rightmost_one_pos64(bits) / 8)
#endif

static bool begin(BulkScan *scan);
static bool row_of_array(BulkScan *scan, bool *is_row);
static bool row_of_lines(BulkScan *scan, bool *is_row);
static bool take_object(BulkScan *scan);
static BulkField *add_field(BulkScan *scan);
static bool take_same_key(BulkScan *scan, const BulkField *field);
static void forget_fields(BulkScan *scan, int from);
static bool take_value(BulkScan *scan, BulkField *field);
static bool take_scalar(BulkScan *scan, BulkField *field);
static bool take_string(BulkScan *scan, bool *is_escaped);
static bool take_escape(BulkScan *scan);
static bool take_number(BulkScan *scan);
static bool take_word(BulkScan *scan, const char *word);
static bool take_container(BulkScan *scan, bool *holds_escaped);
static bool take_key(BulkScan *scan, int *length, bool *is_escaped);
static void push(BulkScan *scan, int depth, char bracket);
static inline void skip_space(BulkScan *scan);
static inline bool at_byte(const BulkScan *scan, char c);
static bool is_word_byte(char c);
static bool fail(BulkScan *scan, BulkScanError error, const char *at);
static bool fail_expected(BulkScan *scan, const char *expected);
static int	hex_value(const char *digits, const char *end);

void
ar_bulk_scan_init(BulkScan *scan, const char *text, size_t length)
{
	memset(scan, 0, sizeof(*scan));
	scan->room = FIELDS_FIRST;
	scan->fields = palloc(scan->room * sizeof(BulkField));
	forget_fields(scan, 0);
	scan->nest_room = NEST_FIRST;
	scan->nest = palloc(scan->nest_room);
	ar_bulk_scan_restart(scan, text, length);
}

/*
 * The same scan for another text.
 */
void
ar_bulk_scan_restart(BulkScan *scan, const char *text, size_t length)
{
	scan->start = scan->at = text;
	scan->end = text +length;

	scan->is_begun = scan->is_array = scan->is_ended = false;
	scan->error = AR_BULK_SCAN_OK;
	scan->count = -1;			/* no row is like the one before */
	scan->has_same_keys = false;
	for (int i = 0; i < scan->room && scan->fields[i].lead_length > 0; i++)
		scan->fields[i].lead_length = 0;
}

/*
 * Take the next row.  False at the end, and when something is wrong, which is
 * then scan->error.
 */
bool
ar_bulk_scan_row(BulkScan *scan)
{
	bool		is_row = false;

	scan->last_count = scan->count;
	scan->count = 0;
	if (scan->is_ended || scan->error != AR_BULK_SCAN_OK)
		return false;
	if (!scan->is_begun && !begin(scan))
		return false;
	if (scan->is_array)
	{
		if (!row_of_array(scan, &is_row))
			return false;
	}
	else if (!row_of_lines(scan, &is_row))
		return false;
	scan->is_ended = !is_row;
	return is_row;
}

/*
 * Which form is it?  Leaves the scan before the first row's brace, or at the
 * end of an empty array.
 */
static bool
begin(BulkScan *scan)
{
	skip_space(scan);
	scan->is_array = at_byte(scan, '[');
	if (scan->at < scan->end && !scan->is_array && *scan->at != '{')
	{
		BulkField	field;

		/* is it JSON at all? */
		if (take_scalar(scan, &field))
		{
			scan->expected = "a scalar";
			fail(scan, AR_BULK_SCAN_SHAPE, scan->start);
		}
		return false;
	}
	return true;
}

static bool
row_of_array(BulkScan *scan, bool *is_row)
{
	if (!scan->is_begun)
	{
		scan->is_begun = true;
		scan->at++;
		skip_space(scan);
		*is_row = !at_byte(scan, ']');
	}
	else
	{
		skip_space(scan);
		*is_row = at_byte(scan, ',');
		if (!*is_row && !at_byte(scan, ']'))
			return fail_expected(scan, "\",\" or \"]\"");
		if (*is_row)
		{
			scan->at++;
			skip_space(scan);
		}
	}
	if (!*is_row)
	{
		scan->at++;
		skip_space(scan);
		return scan->at == scan->end || fail_expected(scan, "end of input");
	}
	if (!at_byte(scan, '{'))
	{
		const char *at = scan->at;
		BulkField	field;

		if (take_value(scan, &field))
		{
			scan->expected = "an array with an element that is not an object";
			fail(scan, AR_BULK_SCAN_SHAPE, at);
		}
		return false;
	}
	return take_object(scan);
}

/*
 * Between two objects there is the end of a line, and nothing but blanks.
 */
static bool
row_of_lines(BulkScan *scan, bool *is_row)
{
	const char *before = scan->at;

	skip_space(scan);
	*is_row = scan->at < scan->end;
	if (!*is_row)
		return true;
	if (scan->is_begun && memchr(before, '\n', scan->at - before) == NULL)
		return fail_expected(scan, "end of line");
	scan->is_begun = true;
	if (!at_byte(scan, '{'))
		return fail_expected(scan, "\"{\"");
	return take_object(scan);
}

/*
 * An object as a row.  The scan is at its brace.
 */
static bool
take_object(BulkScan *scan)
{
	scan->has_same_keys = true;
	scan->at++;
	skip_space(scan);
	if (at_byte(scan, '}'))
	{
		scan->has_same_keys = scan->last_count == 0;
		scan->at++;
		return true;
	}
	for (;;)
	{
		BulkField  *field = add_field(scan);

		if (!take_same_key(scan, field))
		{
			field->lead_length = 0;
			scan->has_same_keys = false;
			if (!at_byte(scan, '"'))
				return fail_expected(scan, scan->count == 1 ? "string or \"}\"" : "string");
			field->key = scan->at + 1;
			if (!take_key(scan, &field->key_length, &field->key_is_escaped))
				return false;
			field->lead_length = scan->at + 1 - field->key;
		}
		if (!take_value(scan, field))
			return false;
		skip_space(scan);
		if (at_byte(scan, ','))
		{
			scan->at++;
			skip_space(scan);
			continue;
		}
		if (!at_byte(scan, '}'))
			return fail_expected(scan, "\",\" or \"}\"");
		scan->has_same_keys &= scan->count == scan->last_count;
		scan->at++;
		return true;
	}
}

static BulkField *
add_field(BulkScan *scan)
{
	if (scan->count == scan->room)
	{
		scan->room *= 2;
		scan->fields = repalloc(scan->fields, scan->room * sizeof(BulkField));
		forget_fields(scan, scan->count);
	}
	return &scan->fields[scan->count++];
}

/*
 * Is there the key that the field had in a row before, with its colon and no
 * fewer blanks behind it?  Then go on to the value.
 */
static bool
take_same_key(BulkScan *scan, const BulkField *field)
{
	int			length = field->lead_length;

	if (length == 0 || scan->end - scan->at < length ||
		memcmp(scan->at, field->key - 1, length) != 0)
		return false;
	scan->at += length;
	skip_space(scan);
	return true;
}

static void
forget_fields(BulkScan *scan, int from)
{
	memset(scan->fields + from, 0, (scan->room - from) * sizeof(BulkField));
}

static bool
take_value(BulkScan *scan, BulkField *field)
{
	if (at_byte(scan, '{') || at_byte(scan, '['))
	{
		field->kind = *scan->at == '{' ? AR_BULK_OBJECT : AR_BULK_ARRAY;
		field->is_escaped = false;
		field->value = scan->at;
		if (!take_container(scan, &field->holds_escaped))
			return false;
		field->length = scan->at - field->value;
		return true;
	}
	return take_scalar(scan, field);
}

static bool
take_scalar(BulkScan *scan, BulkField *field)
{
	char		c = scan->at < scan->end ? *scan->at : '\0';

	field->value = scan->at;
	field->is_escaped = field->holds_escaped = false;
	switch (c)
	{
		case '"':
			field->kind = AR_BULK_STRING;
			field->value++;
			if (!take_string(scan, &field->is_escaped))
				return false;
			field->length = scan->at - 1 - field->value;
			return true;
		case 't':
			field->kind = AR_BULK_TRUE;
			field->length = 4;
			return take_word(scan, "true");
		case 'f':
			field->kind = AR_BULK_FALSE;
			field->length = 5;
			return take_word(scan, "false");
		case 'n':
			field->kind = AR_BULK_NULL;
			field->length = 4;
			return take_word(scan, "null");
		case '-':
		case '0':
		case '1':
		case '2':
		case '3':
		case '4':
		case '5':
		case '6':
		case '7':
		case '8':
		case '9':
			field->kind = AR_BULK_NUMBER;
			if (!take_number(scan))
				return false;
			field->length = scan->at - field->value;
			return true;
		default:
			return fail_expected(scan, "JSON value");
	}
}

/*
 * The scan is at the quote; afterwards behind the one that closes.
 */
static bool
take_string(BulkScan *scan, bool *is_escaped)
{
	const char *at = scan->at + 1;
	const char *end = scan->end;

	*is_escaped = false;
	for (;;)
	{
		while (end - at >= 8)
		{
			uint64		chunk;
			uint64		quotes;
			uint64		slashes;
			uint64		special;

			memcpy(&chunk, at, 8);
			quotes = chunk ^ EACH_BYTE('"');
			slashes = chunk ^ EACH_BYTE('\\');
			special = ANY_BELOW(chunk, 0x20) | ANY_BELOW(quotes, 1) | ANY_BELOW(slashes, 1);
			if (special != 0)
			{
				at += FIRST_BYTE(special);
				break;
			}
			at += 8;
		}
		while (at < end && *at != '"' && *at != '\\' && (unsigned char) *at >= 0x20)
			at++;
		if (at == end)
			return fail(scan, AR_BULK_SCAN_ENDED, at);
		if (*at == '"')
		{
			scan->at = at + 1;
			return true;
		}
		if (*at != '\\')
			return fail(scan, AR_BULK_SCAN_CONTROL, at);
		*is_escaped = true;
		scan->at = at;
		if (!take_escape(scan))
			return false;
		at = scan->at;
	}
}

static bool
take_escape(BulkScan *scan)
{
	const char *at = scan->at;

	if (scan->end - at < 2)
		return fail(scan, AR_BULK_SCAN_ENDED, scan->end);
	switch (at[1])
	{
		case 'u':
			if (scan->end - at >= 6 && hex_value(at + 2, scan->end) < 0)
				return fail(scan, AR_BULK_SCAN_HEX, at);
			if (scan->end - at < 6)
				return fail(scan, AR_BULK_SCAN_ENDED, scan->end);
			scan->at += 6;
			return true;
		case '"':
		case '\\':
		case '/':
		case 'b':
		case 'f':
		case 'n':
		case 'r':
		case 't':
			scan->at += 2;
			return true;
		default:
			return fail(scan, AR_BULK_SCAN_ESCAPE, at + 1);
	}
}

/*
 * -?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?, and nothing of a word behind
 */
static bool
take_number(BulkScan *scan)
{
	const char *start = scan->at;
	const char *at = start;
	const char *end = scan->end;
	bool		is_good;

	if (*at == '-')
		at++;
	is_good = at < end && *at >= '0' && *at <= '9';
	if (is_good && *at == '0')
		at++;
	else
		while (at < end && *at >= '0' && *at <= '9')
			at++;
	if (is_good && at < end && *at == '.')
	{
		at++;
		is_good = at < end && *at >= '0' && *at <= '9';
		while (at < end && *at >= '0' && *at <= '9')
			at++;
	}
	if (is_good && at < end && (*at == 'e' || *at == 'E'))
	{
		at++;
		if (at < end && (*at == '+' || *at == '-'))
			at++;
		is_good = at < end && *at >= '0' && *at <= '9';
		while (at < end && *at >= '0' && *at <= '9')
			at++;
	}
	if (!is_good || (at < end && *at != ',' && *at != '}' && is_word_byte(*at)))
		return fail(scan, AR_BULK_SCAN_TOKEN, start);
	scan->at = at;
	return true;
}

static bool
take_word(BulkScan *scan, const char *word)
{
	size_t		length = strlen(word);

	if (scan->end - scan->at < length || memcmp(scan->at, word, length) != 0 ||
		(scan->end - scan->at > length && is_word_byte(scan->at[length])))
		return fail(scan, AR_BULK_SCAN_TOKEN, scan->at);
	scan->at += length;
	return true;
}

/*
 * An array or object as a value, however deep, without recursion.
 */
static bool
take_container(BulkScan *scan, bool *holds_escaped)
{
	int			depth = 0;

	*holds_escaped = false;
	for (;;)
	{
		BulkField	scalar;
		int			length;
		bool		is_escaped;

		/* a value is to begin here */
		if (at_byte(scan, '{') || at_byte(scan, '['))
		{
			bool		is_object = *scan->at == '{';

			push(scan, depth++, *scan->at);
			scan->at++;
			skip_space(scan);
			if (!at_byte(scan, is_object ? '}' : ']'))
			{
				if (is_object && !at_byte(scan, '"'))
					return fail_expected(scan, "string or \"}\"");
				if (is_object)
				{
					if (!take_key(scan, &length, &is_escaped))
						return false;
					*holds_escaped |= is_escaped;
				}
				continue;
			}
			scan->at++;
			depth--;
		}
		else
		{
			if (!take_scalar(scan, &scalar))
				return false;
			*holds_escaped |= scalar.is_escaped;
		}

		/* a value has ended here */
		while (depth > 0)
		{
			bool		is_object = scan->nest[depth - 1] == '{';

			skip_space(scan);
			if (at_byte(scan, ','))
				break;
			if (!at_byte(scan, is_object ? '}' : ']'))
				return fail_expected(scan, is_object ? "\",\" or \"}\"" : "\",\" or \"]\"");
			scan->at++;
			depth--;
		}
		if (depth == 0)
			return true;
		scan->at++;
		skip_space(scan);
		if (scan->nest[depth - 1] == '{')
		{
			if (!at_byte(scan, '"'))
				return fail_expected(scan, "string");
			if (!take_key(scan, &length, &is_escaped))
				return false;
			*holds_escaped |= is_escaped;
		}
	}
}

/*
 * From the quote of a key to its value.
 */
static bool
take_key(BulkScan *scan, int *length, bool *is_escaped)
{
	const char *start = scan->at + 1;

	if (!take_string(scan, is_escaped))
		return false;
	*length = scan->at - 1 - start;
	skip_space(scan);
	if (!at_byte(scan, ':'))
		return fail_expected(scan, "\":\"");
	scan->at++;
	skip_space(scan);
	return true;
}

static void
push(BulkScan *scan, int depth, char bracket)
{
	if (depth == scan->nest_room)
	{
		scan->nest_room *= 2;
		scan->nest = repalloc(scan->nest, scan->nest_room);
	}
	scan->nest[depth] = bracket;
}

/*
 * What a string with escape sequences means.  "result" has room for "length"
 * bytes, and one more for each escape of an encoding that is wider than its
 * escape, of which there is none.  Returns how many bytes it has become, or -1
 * and the scan's error.
 */
int
ar_bulk_scan_unescape(BulkScan *scan, const char *string, int length, char *result)
{
	const char *end = string + length;
	char	   *to = result;

	while (string < end)
	{
		unsigned int code;

		if (*string != '\\')
		{
			*to++ = *string++;
			continue;
		}
		string++;
		switch (*string++)
		{
			case 'b':
				*to++ = '\b';
				continue;
			case 'f':
				*to++ = '\f';
				continue;
			case 'n':
				*to++ = '\n';
				continue;
			case 'r':
				*to++ = '\r';
				continue;
			case 't':
				*to++ = '\t';
				continue;
			case 'u':
				break;
			default:
				*to++ = string[-1];
				continue;
		}
		code = hex_value(string, end);
		string += 4;
		if (code >= 0xD800 && code <= 0xDBFF)
		{
			int			low = end - string >= 6 && string[0] == '\\' && string[1] == 'u' ?
			hex_value(string + 2, end) : -1;

			if (low < 0xDC00 || low > 0xDFFF)
			{
				fail(scan, AR_BULK_SCAN_SURROGATE, string - 6);
				return -1;
			}
			code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
			string += 6;
		}
		else if (code >= 0xDC00 && code <= 0xDFFF)
		{
			fail(scan, AR_BULK_SCAN_SURROGATE, string - 6);
			return -1;
		}
		if (code == 0)
		{
			fail(scan, AR_BULK_SCAN_ZERO, string - 6);
			return -1;
		}
		if (code < 0x80)
			*to++ = (char) code;
		else
			to += ar_bulk_value_encode(code, to);
	}
	return to - result;
}

static inline void
skip_space(BulkScan *scan)
{
	const char *at = scan->at;

	if (at < scan->end && *at > ' ')
		return;
	while (at < scan->end && (*at == ' ' || *at == '\n' || *at == '\r' || *at == '\t'))
		at++;
	scan->at = at;
}

static inline bool
at_byte(const BulkScan *scan, char c)
{
	return scan->at < scan->end && *scan->at == c;
}

static bool
is_word_byte(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		c == '_' || (unsigned char) c >= 0x80;
}

static bool
fail(BulkScan *scan, BulkScanError error, const char *at)
{
	scan->error = error;
	scan->error_at = at;
	return false;
}

/*
 * Another token than the one that belongs there: if it is one.
 */
static bool
fail_expected(BulkScan *scan, const char *expected)
{
	scan->expected = expected;
	if (scan->at == scan->end)
		return fail(scan, AR_BULK_SCAN_ENDED, scan->at);
	if (*scan->at == '\0' ||
		(strchr("{}[],:\"-", *scan->at) == NULL && !(*scan->at >= '0' && *scan->at <= '9')))
	{
		const char *at = scan->at;

		if (!(*at == 't' && take_word(scan, "true")) &&
			!(*at == 'f' && take_word(scan, "false")) &&
			!(*at == 'n' && take_word(scan, "null")))
			return fail(scan, AR_BULK_SCAN_TOKEN, at);
		scan->at = at;
	}
	return fail(scan, AR_BULK_SCAN_EXPECTED, scan->at);
}

static int
hex_value(const char *digits, const char *end)
{
	int			value = 0;

	if (end - digits < 4)
		return -1;
	for (int i = 0; i < 4; i++)
	{
		char		c = digits[i];

		if (c >= '0' && c <= '9')
			value = value * 16 + (c - '0');
		else if (c >= 'a' && c <= 'f')
			value = value * 16 + (c - 'a' + 10);
		else if (c >= 'A' && c <= 'F')
			value = value * 16 + (c - 'A' + 10);
		else
			return -1;
	}
	return value;
}
