/*
 * prefetch_text.c: SQL that comes from the caller.
 *
 * A condition of a path becomes part of a statement that we write, in
 * parentheses.  It is parsed alone first, as one expression, so that it cannot
 * end them.  Values never become text: ":name" turns into a parameter.
 */
#include "postgres.h"

#include <ctype.h>

#include "catalog/namespace.h"
#include "nodes/nodeFuncs.h"
#include "parser/analyze.h"
#include "parser/parser.h"
#include "prefetch/prefetch.h"

static bool note_node(Node *node, void *context);
static void refuse_changes(void);
static bool reads_the_clock(const char *literal);
static void check_parameters(int count, int named);

/*
 * Raise 42601 unless the text is one expression, 42P02 if it has parameters
 * with names that are ours.
 */
void
ar_prefetch_check_expression(const char *text, const char *path)
{
	NamedText  *named = ar_prefetch_number_names(text);
	List	   *parsed = ar_prefetch_parse(named, RAW_PARSE_PLPGSQL_EXPR);
	SelectStmt *select = castNode(SelectStmt, linitial_node(RawStmt, parsed)->stmt);

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
 * A text of the caller as the server's parser reads it.
 */
List *
ar_prefetch_parse(const NamedText *named, RawParseMode mode)
{
	ErrorContextCallback callback = {.previous = error_context_stack,
	.callback = ar_prefetch_text_error_callback,.arg = unconstify(char *, named->shown)};
	List	   *parsed;

	error_context_stack = &callback;
	parsed = raw_parser(named->text, mode);
	error_context_stack = callback.previous;
	return parsed;
}

/*
 * The meaning of a text that was parsed.  The plan notes what else that depends
 * on.  Raises what the server does, 42P02 if there are more parameters than
 * names, and 0A000 if it changes or locks rows, at whatever depth.
 */
Query *
ar_prefetch_analyze(PrefetchPlan *plan, const NamedText *named, RawStmt *statement)
{
	ErrorContextCallback callback = {.previous = error_context_stack,
	.callback = ar_prefetch_text_error_callback,.arg = unconstify(char *, named->shown)};
	Oid		   *types = palloc0(sizeof(Oid) * Max(named->count, 1));
	int			count = named->count;
	Query	   *query;

	error_context_stack = &callback;
	query = parse_analyze_varparams(copyObject(statement), named->text, &types, &count, NULL);
	error_context_stack = callback.previous;
	(void) note_node(statement->stmt, plan);
	check_parameters(count, named->count);
	if (query->commandType != CMD_SELECT || query->hasModifyingCTE)
		refuse_changes();
	return query;
}

/*
 * Remember of a text, as parsed, what a plan for it depends on and the server
 * does not notice.  Refuses one that locks rows, at whatever depth.
 */
static bool
note_node(Node *node, void *context)
{
	PrefetchPlan *plan = context;

	if (node == NULL)
		return false;
	if (IsA(node, RangeVar) && ((RangeVar *) node)->schemaname == NULL)
	{
		char	   *name = pstrdup(((RangeVar *) node)->relname);

		plan->names = lappend(plan->names, name);
		plan->named_tables = lappend_oid(plan->named_tables, RelnameGetRelid(name));
	}
	else if (IsA(node, SelectStmt) && ((SelectStmt *) node)->lockingClause)
		refuse_changes();
	else if (IsA(node, A_Const) && !((A_Const *) node)->isnull &&
			 IsA(&((A_Const *) node)->val, String))
		plan->reads_clock |= reads_the_clock(strVal(&((A_Const *) node)->val));
	return raw_expression_tree_walker(node, note_node, context);
}

static void
refuse_changes(void)
{
	ereport(ERROR,
			errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			errmsg("the query has to read only"),
			errdetail("It changes or locks rows."));
}

/*
 * Does a literal, if it is that of a time, mean another one each time that it
 * is read?
 */
static bool
reads_the_clock(const char *literal)
{
	static const char *const words[] = {"now", "today", "tomorrow", "yesterday"};

	while (*literal)
	{
		const char *start = literal;

		while (isalpha((unsigned char) *literal))
			literal++;
		for (int i = 0; i < lengthof(words); i++)
		{
			if (literal - start == strlen(words[i]) &&
				pg_strncasecmp(start, words[i], literal - start) == 0)
				return true;
		}
		if (literal == start)
			literal++;
	}
	return false;
}

/*
 * Raise 42P02 if a text turns out to have more parameters than names.
 */
static void
check_parameters(int count, int named)
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
