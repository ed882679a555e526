/*
 * schema_expression.c: expressions that the server does not read as it wrote
 * them.
 *
 * "v IN ('a', 'b')" of a varchar column is stored as an array that is cast as a
 * whole, and written so; read again, the cast moves to the elements.  And where
 * a BETWEEN comes first among conditions joined by AND, it is stored as a
 * conjunction of its own, but read again as a part of the outer one.  The same
 * happens to a schema that is dumped and restored.
 *
 * So there are two forms of a text here: the canonical one is the same before
 * and after, to compare by; the faithful one makes the server store again what
 * it had stored.
 *
 * The text is the server's: keywords in capitals, and parentheses around all
 * that could be misunderstood.
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "schema/schema.h"

#define AND " AND "
#define OR " OR "

static void rewrite(const char *from, const char *end, bool is_faithful, StringInfo out);
static const char *skip(const char *at, const char *end);
static const char *operator_of(const char *from, const char *end);
static const char *find(const char *from, const char *end, const char *what);
static bool write_between(const char *from, const char *end, const char *op, bool is_faithful, StringInfo out);
static bool split_comparison(const char *from, const char *end, const char *op, const char **middle);
static void write_operand(const char *from, const char *end, bool is_faithful, StringInfo out);
static bool write_array(const char *from, const char *end, bool is_faithful, StringInfo out);
static const char *without_cast(const char *from, const char *end, const char **inner);

/*
 * The text to compare by.
 */
const char *
ar_schema_canonical(const char *text)
{
	StringInfoData out;

	if (text == NULL || strchr(text, '(') == NULL ||
		(strstr(text, "((") == NULL && strstr(text, "(ARRAY[") == NULL))
		return text;

	initStringInfo(&out);
	rewrite(text, text +strlen(text), false, &out);
	return out.data;
}

/*
 * The text to run.
 */
const char *
ar_schema_faithful(const char *text)
{
	StringInfoData out;

	if (strstr(text, "((") == NULL && strstr(text, "(ARRAY[") == NULL)
		return text;

	initStringInfo(&out);
	rewrite(text, text +strlen(text), true, &out);
	return out.data;
}

/*
 * Append what is between two places, which is all of what is between two
 * parentheses, or the whole text.
 */
static void
rewrite(const char *from, const char *end, bool is_faithful, StringInfo out)
{
	const char *op = operator_of(from, end);

	for (const char *at = from; at < end;)
	{
		const char *next = skip(at, end);

		if (*at != '(' || next[-1] != ')')
		{
			appendBinaryStringInfo(out, at, next - at);
			at = next;
			continue;
		}
		if (at - from >= 4 && (strncmp(at - 4, "ANY ", 4) == 0 || strncmp(at - 4, "ALL ", 4) == 0) &&
			write_array(at + 1, next - 1, is_faithful, out))
		{
			at = next;
			continue;
		}
		/* what comes first, and is joined as the whole is */
		if (at == from && op && end - next > strlen(op) && strncmp(next, op, strlen(op)) == 0 &&
			operator_of(at + 1, next - 1) == op)
		{
			if (!is_faithful)
				rewrite(at + 1, next - 1, false, out);
			else if (!write_between(at + 1, next - 1, op, is_faithful, out))
			{
				appendStringInfoChar(out, '(');
				rewrite(at + 1, next - 1, true, out);
				appendStringInfoChar(out, ')');
			}
			at = next;
			continue;
		}
		appendStringInfoChar(out, '(');
		rewrite(at + 1, next - 1, is_faithful, out);
		appendStringInfoChar(out, ')');
		at = next;
	}
}

/*
 * The place after a character, or after all of a string, a quoted name, or a
 * pair of parentheses that begin here.
 */
static const char *
skip(const char *at, const char *end)
{
	const char *start = at;

	if (*at == '(' || *at == '[')
	{
		char		close = *at == '(' ? ')' : ']';

		for (at++; at < end && *at != close;)
			at = skip(at, end);
		return at < end ? at + 1 : end;
	}
	if (*at == '"')
	{
		for (at++; at < end; at++)
		{
			if (*at == '"' && (at + 1 == end || at[1] != '"'))
				return at + 1;
			if (*at == '"')
				at++;
		}
		return end;
	}
	if (*at == '\'' || (*at == 'E' && at + 1 < end && at[1] == '\''))
	{
		bool		escapes = *at == 'E';

		for (at += escapes ? 2 : 1; at < end; at++)
		{
			if (escapes && *at == '\\')
				at++;
			else if (*at == '\'' && (at + 1 == end || at[1] != '\''))
				return at + 1;
			else if (*at == '\'')
				at++;
		}
		return end;
	}
	if (*at == '$')
	{
		const char *tag = at + 1;

		while (tag < end && (isalnum((unsigned char) *tag) || *tag == '_'))
			tag++;
		if (tag < end && *tag == '$')
		{
			int			length = tag + 1 - start;

			for (at = tag + 1; at + length <= end; at++)
			{
				if (strncmp(at, start, length) == 0)
					return at + length;
			}
			return end;
		}
	}
	return at + 1;
}

/*
 * What joins conditions between two places: AND, OR, or NULL.
 */
static const char *
operator_of(const char *from, const char *end)
{
	static const char *const operators[] = {AND, OR};

	for (int i = 0; i < lengthof(operators); i++)
	{
		if (find(from, end, operators[i]))
			return operators[i];
	}
	return NULL;
}

/*
 * The first place of a text outside parentheses and quotes, or NULL.
 */
static const char *
find(const char *from, const char *end, const char *what)
{
	int			length = strlen(what);

	for (const char *at = from; at < end; at = skip(at, end))
	{
		if (*at == *what && end - at >= length && strncmp(at, what, length) == 0)
			return at;
	}
	return NULL;
}

/*
 * Append "(e >= a) AND (e <= b)", which is between two places, as a BETWEEN, or
 * "(e < a) OR (e > b)" as a NOT BETWEEN; false if it is something else.
 */
static bool
write_between(const char *from, const char *end, const char *op, bool is_faithful, StringInfo out)
{
	bool		is_and = strcmp(op, AND) == 0;
	const char *middle = find(from, end, op);
	const char *second = middle + strlen(op);
	const char *low;
	const char *high;
	int			low_length = is_and ? 4 : 3;

	if (find(second, end, op) || !split_comparison(from, middle, is_and ? " >= " : " < ", &low) ||
		!split_comparison(second, end, is_and ? " <= " : " > ", &high))
		return false;
	/* the same is compared with both */
	if (low - from != high - second || strncmp(from, second, low - from) != 0)
		return false;
	appendStringInfoChar(out, '(');
	write_operand(from + 1, low, is_faithful, out);
	appendStringInfoString(out, is_and ? " BETWEEN " : " NOT BETWEEN ");
	write_operand(low + low_length, middle - 1, is_faithful, out);
	appendStringInfoString(out, AND);
	write_operand(high + low_length, end - 1, is_faithful, out);
	appendStringInfoChar(out, ')');
	return true;
}

/*
 * Is it "(x op y)" between two places?  Where its operator begins.
 */
static bool
split_comparison(const char *from, const char *end, const char *op, const char **middle)
{
	if (*from != '(' || skip(from, end) != end)
		return false;
	*middle = find(from + 1, end - 1, op);
	return *middle != NULL && find(*middle + strlen(op), end - 1, op) == NULL;
}

static void
write_operand(const char *from, const char *end, bool is_faithful, StringInfo out)
{
	bool		is_simple = *from == '(' ? skip(from, end) == end : true;

	for (const char *at = from; at < end && is_simple && *from != '('; at = skip(at, end))
		is_simple = *at != ' ';
	if (!is_simple)
		appendStringInfoChar(out, '(');
	rewrite(from, end, is_faithful, out);
	if (!is_simple)
		appendStringInfoChar(out, ')');
}

/*
 * Append the argument of ANY or ALL, with its parentheses, if it is an array of
 * expressions that is cast as a whole, or whose strings are cast one by one;
 * false if it is something else.
 */
static bool
write_array(const char *from, const char *end, bool is_faithful, StringInfo out)
{
	bool		is_inner = *from == '(';
	const char *array = is_inner ? from + 1 : from;
	const char *first = array + strlen("ARRAY[");
	const char *after;
	const char *last;
	bool		casts_all;
	bool		casts_each = true;
	const char *element;

	if (end - array < 7 || strncmp(array, "ARRAY[", 6) != 0 || *first == ']')
		return false;
	after = skip(array + strlen("ARRAY"), end);
	last = after - 1;
	if (is_inner)
	{
		if (after == end || *after != ')')
			return false;
		after++;
	}
	casts_all = end - after > 4 && strncmp(after, "::", 2) == 0 && strncmp(end - 2, "[]", 2) == 0;
	if (!casts_all && (is_inner || after != end))
		return false;

	for (element = first; element < last; element++)
	{
		const char *comma = find(element, last, ", ");
		const char *inner;

		if (without_cast(element, comma ? comma : last, &inner) == NULL)
			casts_each = false;
		element = comma ? comma + 1 : last;
	}
	if (!casts_all && (!casts_each || is_faithful))
		return false;

	appendStringInfoString(out, "(ARRAY[");
	for (element = first; element < last; element++)
	{
		const char *comma = find(element, last, ", ");
		const char *inner = element;
		const char *inner_end = comma ? comma : last;

		if (!casts_all)
			inner_end = without_cast(element, inner_end, &inner);
		if (element != first)
			appendStringInfoString(out, ", ");
		rewrite(inner, inner_end, is_faithful, out);
		element = comma ? comma + 1 : last;
	}
	appendStringInfoString(out, "])");
	return true;
}

/*
 * Of "('x'::character varying)::text" or "'x'::character varying::text", where
 * what is cast to text begins and ends; NULL if it is something else.
 */
static const char *
without_cast(const char *from, const char *end, const char **inner)
{
	static const char inside[] = "::character varying";
	static const char outside[] = "::text";
	bool		is_wrapped = *from == '(';
	const char *string = is_wrapped ? from + 1 : from;
	const char *at;

	if (*string != '\'' && *string != 'E')
		return NULL;
	at = skip(string, end);
	if (end - at < strlen(inside) + strlen(outside) || strncmp(at, inside, strlen(inside)) != 0)
		return NULL;
	at += strlen(inside);
	*inner = string;
	if (is_wrapped && *at != ')')
		return NULL;
	return end - (at + is_wrapped) == strlen(outside) && strncmp(at + is_wrapped, outside, strlen(outside)) == 0 ? at : NULL;
}
