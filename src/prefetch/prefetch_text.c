/*
 * prefetch_text.c: SQL that comes from the caller.
 *
 * A condition of a path becomes part of a statement that we write, in
 * parentheses.  It is parsed alone first, as one expression, so that it cannot
 * end them.  Values never become text: ":name" turns into a parameter.
 */
#include "postgres.h"

#include "parser/parser.h"
#include "prefetch/prefetch.h"

/*
 * Raise 42601 unless the text is one expression, 42P02 if it has parameters
 * with names that are ours.
 */
void
ar_prefetch_check_expression(const char *text, const char *path)
{
	NamedText  *named = ar_prefetch_number_names(text);
	ErrorContextCallback callback = {.previous = error_context_stack,
	.callback = ar_prefetch_text_error_callback,.arg = unconstify(char *, named->shown)};
	List	   *parsed;
	SelectStmt *select;

	error_context_stack = &callback;
	parsed = raw_parser(named->text, RAW_PARSE_PLPGSQL_EXPR);
	error_context_stack = callback.previous;
	select = castNode(SelectStmt, linitial_node(RawStmt, parsed)->stmt);
	if (list_length(select->targetList) != 1 ||
		((ResTarget *) linitial(select->targetList))->name != NULL ||
		select->distinctClause || select->fromClause || select->whereClause ||
		select->groupClause || select->havingClause || select->windowClause ||
		select->sortClause || select->limitCount || select->limitOffset ||
		select->lockingClause || select->op != SETOP_NONE)
		ereport(ERROR,
				errcode(ERRCODE_SYNTAX_ERROR),
				errmsg("\"%s\" is not a condition", text),
				errdetail("The path is \"%s\".", path),
				errhint("A condition is one SQL expression, as in WHERE."));
}

/*
 * A text of the caller with numbers for its parameters.
 */
NamedText *
ar_prefetch_number_names(const char *text)
{
	NamedText  *named = ar_parameter_number(text);

	for (int i = 0; i < named->count; i++)
	{
		if (strncmp(named->names[i], AR_PREFETCH_KEY_PARAMETER,
					strlen(AR_PREFETCH_KEY_PARAMETER)) == 0)
			ereport(ERROR,
					errcode(ERRCODE_UNDEFINED_PARAMETER),
					errmsg("parameter \"%s\" has a reserved name", named->names[i]));
	}
	return named;
}

/*
 * Raise 42P02 if a text turns out to have more parameters than names.
 */
void
ar_prefetch_check_parameters(int count, int named)
{
	if (count > named)
		ereport(ERROR,
				errcode(ERRCODE_UNDEFINED_PARAMETER),
				errmsg("parameters have names here, not numbers"),
				errhint("Write :name, and give its value to algo_ref.prefetch_query()."));
}

/*
 * A mistake in what the caller wrote has its place in that text, not in the
 * query that the client sent; "arg" is the text.
 */
void
ar_prefetch_text_error_callback(void *arg)
{
	int			position = geterrposition();

	if (position > 0)
	{
		errposition(0);
		internalerrposition(position);
		internalerrquery(arg);
	}
}
