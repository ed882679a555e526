/*
 * watch_variable.c: the variables of a PL/pgSQL function in a statement of it.
 *
 * What names no column is a variable.  Which those are, the parser says: it
 * asks a hook for what it does not know, and gets a null of unknown type, to be
 * read as the place wants it.  A statement that cannot be read so is left
 * alone.
 */
#include "postgres.h"

#include <ctype.h>

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "common/subxact.h"
#include "lib/stringinfo.h"
#include "nodes/makefuncs.h"
#include "nodes/parsenodes.h"
#include "parser/analyze.h"
#include "parser/parse_node.h"
#include "parser/parser.h"
#include "parser/scansup.h"
#include "utils/builtins.h"
#include "watch/watch.h"

/* A variable where it is used. */
typedef struct VariableUse
{
	int			location;
	const char *name;			/* as it may be written */
	int			length;			/* as it is written; 0: in an odd way */
} VariableUse;

typedef struct VariableSearch
{
	const char *statement;
	List	   *uses;			/* of VariableUse *, in the order of their
								 * places */
} VariableSearch;

static bool find_variables(VariableSearch *search);
static Node *note_column(ParseState *state, ColumnRef *column, Node *found);
static Node *note_parameter(ParseState *state, ParamRef *param);
static Node *note(ParseState *state, int location, const char *name, int length);
static int	compare_uses(const ListCell *a, const ListCell *b);
static int	written_length(const char *text, int fields);
static int	number_of(List **names, const char *name);

/*
 * A statement with its variables written as :p1, :p2, and the expression that
 * gives their values as jsonb, to be evaluated in the function; NULL if that
 * cannot be made.
 */
char *
ar_watch_name_variables(const char *statement, const char **values)
{
	VariableSearch search = {.statement = statement};
	StringInfoData text;
	StringInfoData object;
	List	   *names = NIL;
	ListCell   *cell;
	int			done = 0;
	int			last = -1;

	/* a worker's leader has no subtransactions */
	if (IsInParallelMode() || !find_variables(&search) || search.uses == NIL)
		return NULL;
	list_sort(search.uses, compare_uses);
	initStringInfo(&text);
	foreach(cell, search.uses)
	{
		VariableUse *use = lfirst(cell);

		/* what the parser reads twice is written once */
		if (use->location == last)
			continue;
		if (use->length == 0 || use->location < done)
			return NULL;
		last = use->location;
		appendBinaryStringInfo(&text, statement + done, use->location - done);
		appendStringInfo(&text, ":p%d", number_of(&names, use->name));
		done = use->location + use->length;
	}
	appendStringInfoString(&text, statement + done);

	initStringInfo(&object);
	appendStringInfoString(&object, "jsonb_build_object(");
	foreach(cell, names)
		appendStringInfo(&object, "%s'p%d', %s", foreach_current_index(cell) == 0 ? "" : ", ",
						 foreach_current_index(cell) + 1, (char *) lfirst(cell));
	appendStringInfoChar(&object, ')');
	*values = object.data;
	return text.data;
}

/*
 * Read the statement as the function does.  False if it is not one query.
 */
static bool
find_variables(VariableSearch *search)
{
	volatile bool found = false;
	Subxact		subxact;

	ar_subxact_begin(&subxact, NULL);
	PG_TRY();
	{
		List	   *parsed;

		parsed = raw_parser(search->statement, RAW_PARSE_DEFAULT);
		if (list_length(parsed) == 1)
		{
			ParseState *state = make_parsestate(NULL);
			Query	   *query;

			state->p_sourcetext = search->statement;
			state->p_post_columnref_hook = note_column;
			state->p_paramref_hook = note_parameter;
			state->p_ref_hook_state = search;
			query = transformTopLevelStmt(state, linitial_node(RawStmt, parsed));
			found = query->commandType == CMD_SELECT;
			free_parsestate(state);
		}
		ar_subxact_release(&subxact);
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(subxact.context);
		error = CopyErrorData();
		FlushErrorState();
		ar_subxact_roll_back(&subxact);
		if (error->sqlerrcode == ERRCODE_QUERY_CANCELED)
			ReThrowError(error);
		found = false;
	}
	PG_END_TRY();
	return found;
}

/*
 * Hook of the parser: "found" is the column, if it is one.
 */
static Node *
note_column(ParseState *state, ColumnRef *column, Node *found)
{
	VariableSearch *search = state->p_ref_hook_state;
	StringInfoData name;
	ListCell   *cell;

	if (found)
		return NULL;
	initStringInfo(&name);
	foreach(cell, column->fields)
	{
		if (!IsA(lfirst(cell), String))
			return NULL;
		appendStringInfo(&name, "%s%s", name.len == 0 ? "" : ".",
						 quote_identifier(strVal(lfirst(cell))));
	}
	return note(state, column->location, name.data,
				written_length(search->statement + column->location,
							   list_length(column->fields)));
}

/*
 * Hook of the parser: an argument of the function by its number.
 */
static Node *
note_parameter(ParseState *state, ParamRef *param)
{
	char	   *name = psprintf("$%d", param->number);

	return note(state, param->location, name, strlen(name));
}

static Node *
note(ParseState *state, int location, const char *name, int length)
{
	VariableSearch *search = state->p_ref_hook_state;
	VariableUse *use = palloc(sizeof(VariableUse));
	Const	   *value = makeConst(UNKNOWNOID, -1, InvalidOid, -2, (Datum) 0, true, false);

	use->location = location;
	use->name = name;
	use->length = length;
	search->uses = lappend(search->uses, use);
	value->location = location;
	return (Node *) value;
}

static int
compare_uses(const ListCell *a, const ListCell *b)
{
	return ((const VariableUse *) lfirst(a))->location -
		((const VariableUse *) lfirst(b))->location;
}

/*
 * How many bytes a name of so many fields takes; 0 if there is anything between
 * them but dots.
 */
static int
written_length(const char *text, int fields)
{
	const char *at = text;

	for (int i = 0; i < fields; i++)
	{
		const char *begin;

		if (i > 0 && *at++ != '.')
			return 0;
		begin = at;
		if (*at == '"')
		{
			do
			{
				at = strchr(at + 1, '"');
				if (at == NULL)
					return 0;
				at++;
			} while (*at == '"');
		}
		else
		{
			while (IS_HIGHBIT_SET(*at) || isalnum((unsigned char) *at) || *at == '_' || *at == '$')
				at++;
		}
		if (at == begin)
			return 0;
	}
	return at - text;
}

/*
 * The number of a variable, from 1.
 */
static int
number_of(List **names, const char *name)
{
	ListCell   *cell;

	foreach(cell, *names)
	{
		if (strcmp(lfirst(cell), name) == 0)
			return foreach_current_index(cell) + 1;
	}
	*names = lappend(*names, pstrdup(name));
	return list_length(*names);
}
