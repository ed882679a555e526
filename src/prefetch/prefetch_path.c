/*
 * prefetch_path.c: the path language.
 *
 *	path      := step { '.' step } [ '.' 'count()' ]
 *	step      := [ alias ':' ] name { '!' pin } [ '!' 'inner' ] [ '*' depth ]
 *	             [ '(' arguments ')' ]
 *	arguments := section { ';' section }
 *	section   := column { ',' column }
 *	           | 'where' ':' expression
 *	           | 'order' ':' column [ 'asc' | 'desc' ] [ 'nulls' 'first' | 'last' ] { ',' ... }
 *	           | 'limit' ':' number
 *
 * Names are SQL identifiers: folded to lower case unless quoted.
 */
#include "postgres.h"

#include <ctype.h>

#include "common/compat.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "parser/scanner.h"
#include "parser/scansup.h"
#include "prefetch/prefetch.h"

#define MAX_DEPTH 100

typedef struct PathParser
{
	const char *path;
	const char *at;
} PathParser;

static PathStep *parse_step(PathParser *parser);
static void parse_arguments(PathParser *parser, PathStep *step);
static void parse_columns(PathParser *parser, PathStep *step);
static void parse_order(PathParser *parser, PathStep *step);
static void parse_where(PathParser *parser, PathStep *step);
static int64 parse_number(PathParser *parser, const char *what);
static char *parse_name(PathParser *parser, const char *what);
static bool take_word(PathParser *parser, const char *word);
static bool take_keyword(PathParser *parser, const char *word);
static bool take(PathParser *parser, char c);
static bool take_count(PathParser *parser);
static void skip_space(PathParser *parser);
static bool is_name_start(char c);
static bool is_name_char(char c);
pg_noreturn static void syntax_error(PathParser *parser, const char *expected);

/*
 * Take a path apart.  Returns a List of PathStep *; raises 42601 with the
 * position where it ends to be a path.
 */
List *
ar_prefetch_parse_path(const char *path)
{
	PathParser	parser = {.path = path,.at = path};
	List	   *steps = NIL;

	for (;;)
	{
		PathStep   *step;

		CHECK_FOR_INTERRUPTS();
		skip_space(&parser);
		if (steps != NIL && take_count(&parser))
		{
			step = llast(steps);
			skip_space(&parser);
			if (*parser.at != '\0')
				syntax_error(&parser, "the end of the path after count()");
			if (step->columns || step->order || step->limit >= 0 || step->depth || step->inner)
				ereport(ERROR,
						errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("path \"%s\" counts what it also selects", path),
						errhint("Before count() only \"where\" may be given."));
			step->count = true;
			return steps;
		}
		step = parse_step(&parser);
		steps = lappend(steps, step);
		skip_space(&parser);
		if (*parser.at == '\0')
			return steps;
		if (*parser.at != '.')
			syntax_error(&parser, "\".\" or the end of the path");
		parser.at++;
	}
}

static PathStep *
parse_step(PathParser *parser)
{
	PathStep   *step = palloc0(sizeof(PathStep));

	step->path = parser->path;
	step->position = parser->at - parser->path;
	step->limit = -1;
	step->name = parse_name(parser, "the name of a relationship");
	skip_space(parser);
	if (take(parser, ':'))
	{
		step->alias = step->name;
		skip_space(parser);
		step->name = parse_name(parser, "the name of a relationship");
		skip_space(parser);
	}
	while (take(parser, '!'))
	{
		bool		quoted;
		const char *start;
		char	   *word;

		skip_space(parser);
		quoted = *parser->at == '"';
		start = parser->at;
		word = parse_name(parser, "\"inner\", or a constraint, column, table or schema");

		if (quoted || strcmp(word, "inner") != 0)
			step->pins = lappend(step->pins, word);
		else if (!step->inner)
			step->inner = true;
		else
		{
			parser->at = start;
			syntax_error(parser, "\"inner\" once only");
		}
		skip_space(parser);
	}
	if (take(parser, '*'))
	{
		const char *start = parser->at;
		int64		depth = parse_number(parser, "the depth of the recursion");

		if (depth < 1 || depth > MAX_DEPTH)
		{
			parser->at = start;
			syntax_error(parser, psprintf("a depth from 1 to %d", MAX_DEPTH));
		}
		step->depth = (int) depth;
		skip_space(parser);
	}
	if (take(parser, '('))
		parse_arguments(parser, step);
	return step;
}

static void
parse_arguments(PathParser *parser, PathStep *step)
{
	bool		first = true;

	step->has_arguments = true;
	do
	{
		skip_space(parser);
		if (take_keyword(parser, "where"))
		{
			if (step->where)
				syntax_error(parser, "only one \"where\"");
			parse_where(parser, step);
		}
		else if (take_keyword(parser, "order"))
		{
			if (step->order)
				syntax_error(parser, "only one \"order\"");
			parse_order(parser, step);
		}
		else if (take_keyword(parser, "limit"))
		{
			if (step->limit >= 0)
				syntax_error(parser, "only one \"limit\"");
			skip_space(parser);
			step->limit = parse_number(parser, "the number of rows");
		}
		else if (first)
			parse_columns(parser, step);
		else
			syntax_error(parser, "\"where:\", \"order:\" or \"limit:\"");
		first = false;
		skip_space(parser);
	} while (take(parser, ';'));
	if (!take(parser, ')'))
		syntax_error(parser, "\";\" or \")\"");
}

static void
parse_columns(PathParser *parser, PathStep *step)
{
	do
	{
		char	   *name;
		ListCell   *cell;

		skip_space(parser);
		name = parse_name(parser, "a column, \"where:\", \"order:\" or \"limit:\"");
		foreach(cell, step->columns)
		{
			if (strcmp(lfirst(cell), name) == 0)
				syntax_error(parser, psprintf("column \"%s\" once only", name));
		}
		step->columns = lappend(step->columns, name);
		skip_space(parser);
	} while (take(parser, ','));
}

static void
parse_order(PathParser *parser, PathStep *step)
{
	do
	{
		PathOrder  *order = palloc0(sizeof(PathOrder));

		skip_space(parser);
		order->column = parse_name(parser, "a column");
		skip_space(parser);
		if (take_word(parser, "desc"))
			order->descending = true;
		else
			(void) take_word(parser, "asc");
		order->nulls_first = order->descending;
		skip_space(parser);
		if (take_word(parser, "nulls"))
		{
			skip_space(parser);
			if (take_word(parser, "first"))
				order->nulls_first = true;
			else if (take_word(parser, "last"))
				order->nulls_first = false;
			else
				syntax_error(parser, "\"first\" or \"last\"");
		}
		step->order = lappend(step->order, order);
		skip_space(parser);
	} while (take(parser, ','));
}

/*
 * An SQL expression, up to the next semicolon or closing parenthesis that is
 * not in one of its own.  The server's scanner says where tokens end.
 */
static void
parse_where(PathParser *parser, PathStep *step)
{
	/* which words are keywords does not matter */
	static const ScanKeywordList no_keywords = {.max_kw_len = 0};
	core_yyscan_t scanner;
	core_yy_extra_type extra;
	core_YYSTYPE value;
	YYLTYPE		location = 0;
	int			depth = 0;
	int			token;
	const char *start = parser->at;
	ErrorContextCallback callback = {.previous = error_context_stack,
	.callback = ar_prefetch_text_error_callback,.arg = unconstify(char *, start)};

	error_context_stack = &callback;
	scanner = scanner_init(start, &extra, &no_keywords, NULL);
	while ((token = core_yylex(&value, &location, scanner)) != 0)
	{
		if (token == '(' || token == '[')
			depth++;
		else if (depth > 0 && (token == ')' || token == ']'))
			depth--;
		else if (depth == 0 && (token == ')' || token == ';'))
			break;
	}
	if (token != 0)
		parser->at = start + location;
	else
		parser->at = start + strlen(start);
	scanner_finish(scanner);
	error_context_stack = callback.previous;
	step->where = pnstrdup(start, parser->at - start);
	if (strspn(step->where, " \t\r\n\f\v") == strlen(step->where))
		syntax_error(parser, "a condition");
	ar_prefetch_check_expression(step->where, parser->path);
}

static int64
parse_number(PathParser *parser, const char *what)
{
	int64		number = 0;

	if (!isdigit((unsigned char) *parser->at))
		syntax_error(parser, what);
	while (isdigit((unsigned char) *parser->at))
	{
		number = number * 10 + (*parser->at - '0');
		if (number > PG_INT32_MAX)
			syntax_error(parser, "a smaller number");
		parser->at++;
	}
	return number;
}

static char *
parse_name(PathParser *parser, const char *what)
{
	const char *start = parser->at;
	char	   *name;

	if (*start == '"')
	{
		char	   *end;

		name = end = palloc(strlen(start) + 1);
		for (const char *c = start + 1;; c++)
		{
			if (*c == '\0')
				syntax_error(parser, "a closing quote");
			if (*c == '"' && *++c != '"')
			{
				parser->at = c;
				break;
			}
			*end++ = *c;
		}
		*end = '\0';
		if (end == name)
		{
			parser->at = start;
			syntax_error(parser, what);
		}
		truncate_identifier(name, end - name, true);
		return name;
	}
	if (!is_name_start(*start))
		syntax_error(parser, what);
	while (is_name_char(*parser->at))
		parser->at++;
	return downcase_truncate_identifier(start, parser->at - start, true);
}

/*
 * A word, in lower case, and nothing longer.
 */
static bool
take_word(PathParser *parser, const char *word)
{
	size_t		length = strlen(word);

	if (pg_strncasecmp(parser->at, word, length) != 0 || is_name_char(parser->at[length]))
		return false;
	parser->at += length;
	return true;
}

/*
 * A word with a colon.
 */
static bool
take_keyword(PathParser *parser, const char *word)
{
	const char *start = parser->at;

	if (take_word(parser, word))
	{
		skip_space(parser);
		if (take(parser, ':'))
			return true;
	}
	parser->at = start;
	return false;
}

static bool
take(PathParser *parser, char c)
{
	if (*parser->at != c)
		return false;
	parser->at++;
	return true;
}

/*
 * The whole of "count()"; without the parentheses it is a name.
 */
static bool
take_count(PathParser *parser)
{
	const char *start = parser->at;

	if (take_word(parser, "count"))
	{
		skip_space(parser);
		if (take(parser, '('))
		{
			skip_space(parser);
			if (take(parser, ')'))
				return true;
		}
	}
	parser->at = start;
	return false;
}

static void
skip_space(PathParser *parser)
{
	while (scanner_isspace(*parser->at))
		parser->at++;
}

static bool
is_name_start(char c)
{
	return isalpha((unsigned char) c) || c == '_' || IS_HIGHBIT_SET(c);
}

static bool
is_name_char(char c)
{
	return is_name_start(c) || isdigit((unsigned char) c) || c == '$';
}

static void
syntax_error(PathParser *parser, const char *expected)
{
	ereport(ERROR,
			errcode(ERRCODE_SYNTAX_ERROR),
			*parser->at == '\0' ?
			errmsg("syntax error at the end of path \"%s\"", parser->path) :
			errmsg("syntax error in path \"%s\" at character %d", parser->path,
				   pg_mbstrlen_with_len(parser->path, parser->at - parser->path) + 1),
			errdetail("Expected is %s.", expected));
	pg_unreachable();
}
