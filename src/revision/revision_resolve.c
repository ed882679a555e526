/*
 * revision_resolve.c: identifiers: what a text such as "billing@head", "27c6"
 * or "+2" names.
 *
 *     identifier := [branch "@"] (word | "head" | "heads" | "base")
 *                 | [branch "@"] [symbol] ("+" | "-") digits
 *
 * Source of the rules: Alembic, alembic.script.revision.
 */
#include "postgres.h"

#include <ctype.h>

#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "revision/revision.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

/* Names of fewer characters match in full only. */
#define PREFIX_NAME_MIN 4

/* How many matches of an ambiguous prefix a message names. */
#define MATCHES_SHOWN 5

/* Longer than any branch, name and number of steps together. */
#define IDENTIFIER_BYTES_MAX 1000

/* Longer than anybody's list of heads. */
#define LIST_BYTES_MAX (1024 * 1024)

/* How much is shown of a text that is no identifier. */
#define EXCERPT_BYTES 60

static bool has_prefix(const char *name, const char *prefix, size_t length);
static bool parse_relative(RevisionIdentifier *identifier, char *word);
pg_noreturn static void refuse_identifier(const char *text, const char *detail);
static RevisionIndex lookup(const RevisionMap *map, const char *word, const char *branch);
static RevisionIndex lookup_prefix(const RevisionMap *map, const char *word,
								   const char *branch, const bool *lineage);
static char *matching_names(const RevisionMap *map, const char *word, const bool *lineage);
static List *resolve_symbol(const RevisionMap *map, const char *branch, const char *symbol);
static List *resolve_heads(const RevisionMap *map, const char *branch, bool one);
static List *resolve_steps_down(const RevisionMap *map, const RevisionIdentifier *identifier);

/*
 * Take an identifier apart.  Raises 22023 for what is not one.
 */
RevisionIdentifier *
ar_revision_identifier_parse(const char *text)
{
	RevisionIdentifier *identifier = palloc0(sizeof(RevisionIdentifier));
	char	   *word = pstrdup(text);
	char	   *at = strchr(word, '@');

	identifier->text = text;

	if (strlen(text) > IDENTIFIER_BYTES_MAX)
		refuse_identifier(ar_revision_excerpt(text), "It is too long.");
	if (at)
	{
		*at = '\0';
		identifier->branch = word;
		word = at + 1;
		if (identifier->branch[0] == '\0')
			refuse_identifier(text, "The branch before \"@\" is missing.");
		if (strchr(word, '@'))
			refuse_identifier(text, "It contains \"@\" more than once.");
		if (word[0] == '\0')
			refuse_identifier(text, "What follows \"@\" is missing.");
		if (strpbrk(identifier->branch, "+-:,"))
			refuse_identifier(text, "A branch is named by a label or an id.");
	}
	if (word[0] == '\0')
		refuse_identifier(text, "It is empty.");
	if (strchr(word, ':'))
		refuse_identifier(text, "A range of revisions cannot be used here.");
	identifier->is_relative = parse_relative(identifier, word);
	if (!identifier->is_relative)
		identifier->symbol = word;
	return identifier;
}

/*
 * The revisions that an identifier stands for, a list of RevisionIndex; empty
 * for the base.  Raises 22023, 42704 and 55000.
 */
List *
ar_revision_resolve(const RevisionMap *map, const char *text)
{
	RevisionIdentifier *identifier = ar_revision_identifier_parse(text);

	if (!identifier->is_relative)
		return resolve_symbol(map, identifier->branch, identifier->symbol);
	if (identifier->symbol == NULL && identifier->steps < 0)
		return resolve_steps_down(map, identifier);
	ereport(ERROR,
			errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			errmsg("relative identifier \"%s\" does not name a revision here", text),
			errdetail("Steps are counted by an upgrade or a downgrade only."),
			errhint("Name the revision itself; algo_ref.history() lists them."));
}

/*
 * The same for a comma-separated list; each revision once.
 */
List *
ar_revision_resolve_list(const RevisionMap *map, const char *identifiers)
{
	List	   *result = NIL;
	ListCell   *cell;

	foreach(cell, ar_revision_split(identifiers))
		result = list_concat_unique_int(result, ar_revision_resolve(map, lfirst(cell)));
	return result;
}

/*
 * The one revision that an absolute identifier stands for, or AR_BASE.
 */
RevisionIndex
ar_revision_resolve_one(const RevisionMap *map, const char *text)
{
	List	   *revisions = ar_revision_resolve(map, text);

	if (list_length(revisions) > 1)
		ar_revision_refuse_several(map, text, revisions);
	return revisions == NIL ? AR_BASE : linitial_int(revisions);
}

/*
 * The beginning of a text, for a message, if it is long.
 */
char *
ar_revision_excerpt(const char *text)
{
	int			length = strlen(text);

	if (length <= EXCERPT_BYTES)
		return pstrdup(text);
	return psprintf("%.*s...", pg_mbcliplen(text, length, EXCERPT_BYTES), text);
}

/*
 * Take a comma-separated list apart; blanks around the members do not count.
 */
List *
ar_revision_split(const char *identifiers)
{
	List	   *result = NIL;
	const char *start = identifiers;

	if (strlen(identifiers) > LIST_BYTES_MAX)
		refuse_identifier(ar_revision_excerpt(identifiers), "It is too long.");
	for (;;)
	{
		int			length = strcspn(start, ",");
		int			end = length;
		int			begin = 0;

		while (begin < end && isspace((unsigned char) start[begin]))
			begin++;
		while (end > begin && isspace((unsigned char) start[end - 1]))
			end--;
		result = lappend(result, pnstrdup(start + begin, end - begin));
		if (start[length] == '\0')
			return result;
		start += length + 1;
	}
}

/*
 * The revision that names a branch.
 */
RevisionIndex
ar_revision_branch(const RevisionMap *map, const char *branch)
{
	RevisionIndex r = ar_revision_map_find(map, branch);
	List	   *found;

	if (r != AR_BASE)
		return r;
	found = ar_revision_match_prefix(map, branch, NULL);
	if (list_length(found) == 1)
		return linitial_int(found);
	if (found == NIL)
		ereport(ERROR,
				errcode(ERRCODE_UNDEFINED_OBJECT),
				errmsg("branch \"%s\" does not exist", branch),
				errhint("A branch is named by its label, or by the id of a revision on it; algo_ref.heads() lists the labels."));
	ereport(ERROR,
			errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			errmsg("branch name \"%s\" is ambiguous", branch),
			errdetail("It matches %s.", matching_names(map, branch, NULL)),
			errhint("Give more of the name."));
}

/*
 * Raise 55000 because "text" should stand for one revision.
 */
void
ar_revision_refuse_several(const RevisionMap *map, const char *text, List *revisions)
{
	ereport(ERROR,
			errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			errmsg("identifier \"%s\" stands for several revisions", text),
			errdetail("They are %s.", ar_revision_list_names(map, revisions)),
			errhint("Name one of them by its id or as branch@head, say \"heads\" where all are meant, or join them with algo_ref.merge()."));
}

char *
ar_revision_list_names(const RevisionMap *map, List *revisions)
{
	RevisionIndex *array = palloc(Max(list_length(revisions), 1) * sizeof(RevisionIndex));
	ListCell   *cell;

	foreach(cell, revisions)
		array[foreach_current_index(cell)] = lfirst_int(cell);
	return ar_revision_names(map, array, list_length(revisions));
}

/*
 * All ids and labels that are long enough and begin with "word": their
 * revisions, one entry for each name.
 */
List *
ar_revision_match_prefix(const RevisionMap *map, const char *word, const bool *lineage)
{
	List	   *found = NIL;
	size_t		length = strlen(word);

	for (RevisionIndex r = 0; r < map->count; r++)
		if (has_prefix(map->revision[r].id, word, length) && (lineage == NULL || lineage[r]))
			found = lappend_int(found, r);
	for (int32 i = 0; i < map->label_count; i++)
		if (has_prefix(map->label[i], word, length) &&
			(lineage == NULL || lineage[map->label_owner[i]]))
			found = lappend_int(found, map->label_owner[i]);
	return found;
}

static bool
has_prefix(const char *name, const char *prefix, size_t length)
{
	return strncmp(name, prefix, length) == 0 && pg_mbstrlen(name) >= PREFIX_NAME_MIN;
}

/*
 * [symbol] ("+" | "-") digits
 */
static bool
parse_relative(RevisionIdentifier *identifier, char *word)
{
	char	   *sign = strpbrk(word, "+-");

	if (sign == NULL)
		return false;
	for (const char *c = word; c < sign; c++)
		if (!isalnum((unsigned char) *c) && *c != '_' && !IS_HIGHBIT_SET(*c))
			refuse_identifier(identifier->text,
							  "Steps are counted from a name of letters, digits and \"_\" only.");
	for (const char *c = sign + 1; *c; c++)
		if (!isdigit((unsigned char) *c))
			refuse_identifier(identifier->text, "\"+\" and \"-\" are followed by a number of steps.");
	if (sign[1] == '\0')
		refuse_identifier(identifier->text, "The number of steps is missing.");
	/* what is out of range is capped: more steps than there can be revisions */
	identifier->steps = Min(strtoll(sign + 1, NULL, 10), PG_INT32_MAX);
	if (*sign == '-')
		identifier->steps = -identifier->steps;
	*sign = '\0';
	identifier->symbol = word[0] == '\0' ? NULL : word;
	return true;
}

static void
refuse_identifier(const char *text, const char *detail)
{
	ereport(ERROR,
			errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			errmsg("invalid revision identifier \"%s\"", text),
			errdetail("%s", detail),
			errhint("Give an id or its beginning, a branch label, \"head\", \"heads\", \"base\", \"branch@head\", or steps such as \"+2\" or \"27c6-1\"."));
}

/*
 * The revision that a word names, on a branch if one is given.
 */
static RevisionIndex
lookup(const RevisionMap *map, const char *word, const char *branch)
{
	RevisionIndex tip = branch ? ar_revision_branch(map, branch) : AR_BASE;
	bool	   *lineage = branch ? ar_revision_lineage(map, tip) : NULL;
	RevisionIndex r = ar_revision_map_find(map, word);

	if (r == AR_BASE)
		r = lookup_prefix(map, word, branch, lineage);
	if (lineage && !lineage[r])
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("revision \"%s\" is not on branch \"%s\"", map->revision[r].id, branch),
				errdetail("It is neither above nor below revision \"%s\".", map->revision[tip].id),
				errhint("Leave the branch out, or name another one."));
	return r;
}

static RevisionIndex
lookup_prefix(const RevisionMap *map, const char *word, const char *branch, const bool *lineage)
{
	List	   *found = ar_revision_match_prefix(map, word, lineage);

	if (found == NIL)
		ereport(ERROR,
				errcode(ERRCODE_UNDEFINED_OBJECT),
				branch ? errmsg("revision \"%s\" does not exist on branch \"%s\"", word, branch) :
				errmsg("revision \"%s\" does not exist", word),
				pg_mbstrlen(word) < PREFIX_NAME_MIN ?
				errhint("algo_ref.history() lists the known revisions.  Ids and labels of up to three characters have to be given in full.") :
				errhint("algo_ref.history() lists the known revisions."));
	if (list_length(found) > 1)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("revision identifier \"%s\" is ambiguous", word),
				errdetail("It matches %s.", matching_names(map, word, lineage)),
				errhint("Give more of it."));
	return linitial_int(found);
}

/*
 * The ids and labels that begin with "word", for a message: the first of them.
 */
static char *
matching_names(const RevisionMap *map, const char *word, const bool *lineage)
{
	StringInfoData names;
	size_t		length = strlen(word);
	int			found = 0;

	initStringInfo(&names);
	for (int32 i = 0; i < map->count + map->label_count; i++)
	{
		bool		is_id = i < map->count;
		RevisionIndex r = is_id ? i : map->label_owner[i - map->count];
		const char *name = is_id ? map->revision[r].id : map->label[i - map->count];

		if (!has_prefix(name, word, length) || (lineage && !lineage[r]))
			continue;
		if (++found > MATCHES_SHOWN)
		{
			appendStringInfoString(&names, " and more");
			break;
		}
		appendStringInfo(&names, "%s\"%s\"", found > 1 ? ", " : "", name);
	}
	return names.data;
}

static List *
resolve_symbol(const RevisionMap *map, const char *branch, const char *symbol)
{
	if (strcmp(symbol, "head") == 0)
		return resolve_heads(map, branch, true);
	if (strcmp(symbol, "heads") == 0)
		return resolve_heads(map, branch, false);
	if (strcmp(symbol, "base") == 0)
	{
		if (branch)
			(void) ar_revision_branch(map, branch);
		return NIL;
	}
	return list_make1_int(lookup(map, symbol, branch));
}

/*
 * "heads" are the real heads; those of a branch, and what "head" chooses from,
 * are all heads.
 */
static List *
resolve_heads(const RevisionMap *map, const char *branch, bool one)
{
	bool	   *lineage = branch ? ar_revision_lineage(map, ar_revision_branch(map, branch)) : NULL;
	List	   *heads = NIL;

	for (RevisionIndex r = 0; r < map->count; r++)
		if (lineage ? lineage[r] && ar_revision_is_head(map, r) :
			one ? ar_revision_is_head(map, r) : ar_revision_is_real_head(map, r))
			heads = lappend_int(heads, r);
	if (one && list_length(heads) > 1)
		ereport(ERROR,
				errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				branch ? errmsg("branch \"%s\" has several heads", branch) :
				errmsg("there are several heads"),
				errdetail("They are %s.", ar_revision_list_names(map, heads)),
				errhint("Name one of them by its id or as branch@head, say \"heads\" for all of them, or join them with algo_ref.merge()."));
	return heads;
}

/*
 * "-N" by itself counts from the real heads; with a branch, from those that
 * carry its labels.
 */
static List *
resolve_steps_down(const RevisionMap *map, const RevisionIdentifier *identifier)
{
	List	   *result = NIL;
	bool	   *carriers = NULL;

	if (identifier->branch)
	{
		(void) ar_revision_branch(map, identifier->branch);
		carriers = ar_revision_label_carriers(map, identifier->branch);
	}
	for (RevisionIndex r = 0; r < map->count; r++)
	{
		RevisionIndex end;

		if (!ar_revision_is_real_head(map, r) || (carriers && !carriers[r]))
			continue;
		end = ar_revision_walk(map, r, identifier->steps, NULL, false);
		if (end != AR_BASE)
			result = list_append_unique_int(result, end);
	}
	return result;
}
