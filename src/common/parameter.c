/*
 * parameter.c: SQL with parameters that have names.
 *
 * A parameter is written as SQLAlchemy's text() wants it, :name.  What is one
 * is decided by the server's scanner, so that nothing in strings, comments or
 * quoted names is taken for one; a colon that follows a name, a number or a
 * closing bracket at once belongs to an array slice.  Names become numbers;
 * the values are bound, and never become part of the text.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "common/keywords.h"
#include "common/parameter.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "parser/scanner.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/numeric.h"

/* The scanner's number of a token $1: behind those of strings and operators. */
#define PARAMETER_TOKEN 267

static void position_error_callback(void *arg);
static int	name_length(const char *name);
static bool is_name_start(char c);
static bool is_name_part(char c);
static int	number_of(NamedText *named, const char *name, int length);
static char *scalar_text(JsonbValue *value);
static char *json_text(JsonbValue *value);
static void append_array(StringInfo buffer, JsonbContainer *array, bool of_json);
static bool is_json(Oid type);
static void append_element(StringInfo buffer, const char *text);

/*
 * Replace each :name of a text by $1, $2, ..., the same name by the same
 * number, with blanks behind so that, as far as there is room, every place in
 * the text stays where it was.  Names are case-sensitive.  The result may refer
 * to "text".
 *
 * Raises the scanner's syntax errors, and 42P02 if the text has both names
 * and numbers of its own.
 */
NamedText *
ar_parameter_number(const char *text)
{
	/* shorter than any word: every word is a name */
	static const ScanKeywordList no_keywords = {.max_kw_len = 0};
	NamedText  *named = palloc0(sizeof(NamedText));
	ErrorContextCallback callback = {.previous = error_context_stack,
	.callback = position_error_callback,.arg = unconstify(char *, text)};
	StringInfoData result;
	core_yy_extra_type extra;
	core_yyscan_t scanner;
	core_YYSTYPE value;
	YYLTYPE		location;
	int			token;
	int			copied = 0;
	int			foreign = -1;
	int			nest_level = NewGUCNestLevel();

	/* the parser warns again of names that are too long */
	(void) set_config_option("client_min_messages", "error", PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
	error_context_stack = &callback;
	initStringInfo(&result);
	scanner = scanner_init(text, &extra, &no_keywords, NULL);
	extra.escape_string_warning = false;
	while ((token = core_yylex(&value, &location, scanner)) != 0)
	{
		int			length;
		int			written;

		if (token == PARAMETER_TOKEN && foreign < 0)
			foreign = location;
		if (token != ':' || !is_name_start(text[location + 1]))
			continue;
		if (location > 0 && (is_name_part(text[location - 1]) || strchr("\"')]", text[location - 1])))
			continue;
		length = name_length(&text[location + 1]);
		appendBinaryStringInfo(&result, &text[copied], location - copied);
		written = result.len;
		appendStringInfo(&result, "$%d", number_of(named, &text[location + 1], length));
		copied = location + 1 + length;
		while (result.len - written < 1 + length)
			appendStringInfoChar(&result, ' ');
	}
	scanner_finish(scanner);
	appendStringInfoString(&result, &text[copied]);
	named->text = result.data;
	named->shown = result.len == strlen(text) ? text : named->text;

	if (named->count > 0 && foreign >= 0)
		ereport(ERROR,
				errcode(ERRCODE_UNDEFINED_PARAMETER),
				errmsg("parameters cannot have both names and numbers"),
				errhint("Write :name for each of them."),
				errposition(pg_mbstrlen_with_len(text, foreign) + 1));
	error_context_stack = callback.previous;
	AtEOXact_GUC(true, nest_level);
	return named;
}

/*
 * What the input function of a type takes for a value: a text, a number or a
 * boolean as it is, an array as the literal of an array, anything as JSON
 * where json or jsonb is wanted.  NULL for null.
 *
 * Raises 22023 for an object or array where another type is wanted.
 */
char *
ar_parameter_value(JsonbValue *value, Oid type, const char *name)
{
	Oid			base = getBaseType(type);

	if (is_json(base))
	{
		/* JSON's null, too, is null: no other value could stand for it */
		if (value->type == jbvNull)
			return NULL;
		return json_text(value);
	}
	if (value->type != jbvBinary)
		return scalar_text(value);
	if (JsonContainerIsArray(value->val.binary.data) && OidIsValid(get_element_type(base)))
	{
		StringInfoData buffer;

		initStringInfo(&buffer);
		append_array(&buffer, value->val.binary.data, is_json(getBaseType(get_element_type(base))));
		return buffer.data;
	}
	ereport(ERROR,
			errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			errmsg("parameter \"%s\" is an %s, and its place wants type %s", name,
				   JsonContainerIsArray(value->val.binary.data) ? "array" : "object",
				   format_type_be(type)));
}

/*
 * Places in the text are those of an internal query, not of the one that the
 * client sent.
 */
static void
position_error_callback(void *arg)
{
	int			position = geterrposition();

	if (position <= 0)
		return;
	errposition(0);
	internalerrposition(position);
	internalerrquery(arg);
}

static int
name_length(const char *name)
{
	int			length = 0;

	while (is_name_part(name[length]))
		length++;
	return length;
}

/* As the scanner sees it. */
static bool
is_name_start(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || IS_HIGHBIT_SET(c);
}

static bool
is_name_part(char c)
{
	return is_name_start(c) || (c >= '0' && c <= '9') || c == '$';
}

static int
number_of(NamedText *named, const char *name, int length)
{
	for (int i = 0; i < named->count; i++)
		if (strlen(named->names[i]) == length && memcmp(named->names[i], name, length) == 0)
			return i + 1;
	if (named->count % 16 == 0)
	{
		Size		size = (named->count + 16) * sizeof(char *);

		named->names = named->names ? repalloc(named->names, size) : palloc(size);
	}
	named->names[named->count] = pnstrdup(name, length);
	return ++named->count;
}

static bool
is_json(Oid type)
{
	return type == JSONOID || type == JSONBOID;
}

/*
 * The text of a scalar; NULL for null.
 */
static char *
scalar_text(JsonbValue *value)
{
	switch (value->type)
	{
		case jbvNull:
			return NULL;
		case jbvString:
			return pnstrdup(value->val.string.val, value->val.string.len);
		case jbvNumeric:
			return DatumGetCString(DirectFunctionCall1(numeric_out,
													   NumericGetDatum(value->val.numeric)));
		case jbvBool:
			return pstrdup(value->val.boolean ? "true" : "false");
		default:
			elog(ERROR, "unexpected type of JSON value: %d", (int) value->type);
	}
}

static char *
json_text(JsonbValue *value)
{
	Jsonb	   *json = JsonbValueToJsonb(value);

	return JsonbToCString(NULL, &json->root, VARSIZE(json));
}

/*
 * An array as the literal of an array; arrays in it are its further
 * dimensions.
 */
static void
append_array(StringInfo buffer, JsonbContainer *array, bool of_json)
{
	JsonbIterator *iterator = JsonbIteratorInit(array);
	JsonbIteratorToken token;
	JsonbValue	value;
	bool		is_first = true;

	check_stack_depth();
	appendStringInfoChar(buffer, '{');
	while ((token = JsonbIteratorNext(&iterator, &value, true)) != WJB_DONE)
	{
		if (token != WJB_ELEM)
			continue;
		if (!is_first)
			appendStringInfoChar(buffer, ',');
		is_first = false;
		if (value.type == jbvBinary && JsonContainerIsArray(value.val.binary.data))
			append_array(buffer, value.val.binary.data, of_json);
		else if (value.type == jbvNull)
			appendStringInfoString(buffer, "NULL");
		else if (of_json || value.type == jbvBinary)
			append_element(buffer, json_text(&value));
		else
			append_element(buffer, scalar_text(&value));
	}
	appendStringInfoChar(buffer, '}');
}

static void
append_element(StringInfo buffer, const char *text)
{
	appendStringInfoChar(buffer, '"');
	for (; *text; text ++)
	{
		if (*text == '"' || *text == '\\')
			appendStringInfoChar(buffer, '\\');
		appendStringInfoChar(buffer, *text);
	}
	appendStringInfoChar(buffer, '"');
}
