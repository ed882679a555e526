/*
 * bulk_scan.c: the scanner of bulk inserts alone, under libFuzzer.
 *
 * What it takes has to be what a plain recursive reader of the same grammar
 * takes, its fields have to lie within the text, and what strings mean must fit
 * into the room that there is.
 */
#include "postgres.h"

#include "bulk/bulk.h"

extern int	LLVMFuzzerTestOneInput(const uint8 *data, size_t size);

/* ---- what the scanner needs of the server ---- */

void *
palloc(Size size)
{
	return malloc(size);
}

void *
repalloc(void *pointer, Size size)
{
	return realloc(pointer, size);
}

int
ar_bulk_value_encode(unsigned int code, char *result)
{
	if (code < 0x800)
	{
		result[0] = (char) (0xC0 | (code >> 6));
		result[1] = (char) (0x80 | (code & 0x3F));
		return 2;
	}
	if (code < 0x10000)
	{
		result[0] = (char) (0xE0 | (code >> 12));
		result[1] = (char) (0x80 | ((code >> 6) & 0x3F));
		result[2] = (char) (0x80 | (code & 0x3F));
		return 3;
	}
	result[0] = (char) (0xF0 | (code >> 18));
	result[1] = (char) (0x80 | ((code >> 12) & 0x3F));
	result[2] = (char) (0x80 | ((code >> 6) & 0x3F));
	result[3] = (char) (0x80 | (code & 0x3F));
	return 4;
}

/* ---- the plain reader ---- */

typedef struct Reader
{
	const char *at;
	const char *end;
} Reader;

static bool read_value(Reader *reader);

static void
space(Reader *reader)
{
	while (reader->at < reader->end && strchr(" \t\r\n", *reader->at) != NULL && *reader->at != '\0')
		reader->at++;
}

static bool
take(Reader *reader, char c)
{
	if (reader->at == reader->end || *reader->at != c)
		return false;
	reader->at++;
	return true;
}

static bool
digits(Reader *reader)
{
	const char *start = reader->at;

	while (reader->at < reader->end && *reader->at >= '0' && *reader->at <= '9')
		reader->at++;
	return reader->at > start;
}

static bool
ends_word(const Reader *reader)
{
	unsigned char c = reader->at < reader->end ? (unsigned char) *reader->at : ' ';

	return !(c >= 0x80 || c == '_' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'));
}

static bool
read_number(Reader *reader)
{
	take(reader, '-');
	if (!take(reader, '0') && !digits(reader))
		return false;
	if (take(reader, '.') && !digits(reader))
		return false;
	if (take(reader, 'e') || take(reader, 'E'))
	{
		if (!take(reader, '+'))
			take(reader, '-');
		if (!digits(reader))
			return false;
	}
	return ends_word(reader);
}

static bool
read_string(Reader *reader)
{
	if (!take(reader, '"'))
		return false;
	while (reader->at < reader->end)
	{
		unsigned char c = (unsigned char) *reader->at++;

		if (c == '"')
			return true;
		if (c < 0x20)
			return false;
		if (c != '\\')
			continue;
		if (reader->at == reader->end)
			return false;
		c = (unsigned char) *reader->at++;
		if (c == 'u')
		{
			for (int i = 0; i < 4; i++, reader->at++)
				if (reader->at == reader->end || *reader->at == '\0' ||
					strchr("0123456789abcdefABCDEF", *reader->at) == NULL)
					return false;
		}
		else if (c == '\0' || strchr("\"\\/bfnrt", c) == NULL)
			return false;
	}
	return false;
}

static bool
read_word(Reader *reader, const char *word)
{
	size_t		length = strlen(word);

	if ((size_t) (reader->end - reader->at) < length || memcmp(reader->at, word, length) != 0)
		return false;
	reader->at += length;
	return ends_word(reader);
}

static bool
read_object(Reader *reader)
{
	if (!take(reader, '{'))
		return false;
	space(reader);
	if (take(reader, '}'))
		return true;
	do
	{
		space(reader);
		if (!read_string(reader))
			return false;
		space(reader);
		if (!take(reader, ':'))
			return false;
		space(reader);
		if (!read_value(reader))
			return false;
		space(reader);
	} while (take(reader, ','));
	return take(reader, '}');
}

static bool
read_array(Reader *reader)
{
	if (!take(reader, '['))
		return false;
	space(reader);
	if (take(reader, ']'))
		return true;
	do
	{
		space(reader);
		if (!read_value(reader))
			return false;
		space(reader);
	} while (take(reader, ','));
	return take(reader, ']');
}

static bool
read_value(Reader *reader)
{
	if (reader->at == reader->end)
		return false;
	switch (*reader->at)
	{
		case '{':
			return read_object(reader);
		case '[':
			return read_array(reader);
		case '"':
			return read_string(reader);
		case 't':
			return read_word(reader, "true");
		case 'f':
			return read_word(reader, "false");
		case 'n':
			return read_word(reader, "null");
		default:
			return read_number(reader);
	}
}

/* The rows of a text, or -1. */
static int
read_rows(const char *text, size_t length)
{
	Reader		reader = {text, text + length};
	int			rows = 0;

	space(&reader);
	if (take(&reader, '['))
	{
		space(&reader);
		if (!take(&reader, ']'))
		{
			do
			{
				space(&reader);
				if (!read_object(&reader))
					return -1;
				rows++;
				space(&reader);
			} while (take(&reader, ','));
			if (!take(&reader, ']'))
				return -1;
		}
		space(&reader);
		return reader.at == reader.end ? rows : -1;
	}
	while (reader.at < reader.end)
	{
		const char *before = reader.at;

		if (rows > 0)
		{
			space(&reader);
			if (reader.at == reader.end)
				break;
			if (memchr(before, '\n', reader.at - before) == NULL)
				return -1;
		}
		if (!read_object(&reader))
			return -1;
		rows++;
	}
	return rows;
}

/* ---- the target ---- */

static void
check_field(BulkScan *scan, const BulkField *field, const char *text, size_t length)
{
	if (field->key < text || field->key + field->key_length > text + length ||
		field->value < text || field->value + field->length > text + length ||
		field->key_length < 0 || field->length < 0)
		abort();
	for (int i = 0; i < 2; i++)
	{
		const char *string = i == 0 ? field->key : field->value;
		int			room = i == 0 ? field->key_length : field->length;
		char	   *result;
		int			used;

		if (i == 1 && field->kind != AR_BULK_STRING)
			continue;
		/* exactly the room that there is */
		result = malloc(room > 0 ? room : 1);
		used = ar_bulk_scan_unescape(scan, string, room, result);
		if (used > room || (used < 0 && scan->error == AR_BULK_SCAN_OK))
			abort();
		scan->error = AR_BULK_SCAN_OK;
		free(result);
	}
}

/*
 * Has the row the keys of the one before, as the scan says?
 */
static void
check_keys(const BulkScan *scan, BulkField *before, int before_count)
{
	if (!scan->has_same_keys)
		return;
	if (scan->count != before_count)
		abort();
	for (int i = 0; i < scan->count; i++)
	{
		if (scan->fields[i].key_length != before[i].key_length ||
			memcmp(scan->fields[i].key, before[i].key, before[i].key_length) != 0)
			abort();
	}
}

int
LLVMFuzzerTestOneInput(const uint8 *data, size_t size)
{
	/* a copy without anything behind it */
	char	   *text = malloc(size > 0 ? size : 1);
	BulkScan	scan;
	BulkField  *before = NULL;
	int			before_count = -1;
	int			rows = 0;

	memcpy(text, data, size);
	ar_bulk_scan_init(&scan, text, size);
	while (ar_bulk_scan_row(&scan))
	{
		rows++;
		for (int i = 0; i < scan.count; i++)
			check_field(&scan, &scan.fields[i], text, size);
		check_keys(&scan, before, before_count);
		before_count = scan.count;
		before = realloc(before, scan.room * sizeof(BulkField));
		memcpy(before, scan.fields, scan.count * sizeof(BulkField));
	}
	free(before);
	if (scan.error != AR_BULK_SCAN_OK)
	{
		rows = -1;
		if (scan.error_at < text || scan.error_at > text + size)
			abort();
	}
	if (rows != read_rows(text, size))
		abort();
	free(scan.fields);
	free(scan.nest);
	free(text);
	return 0;
}
