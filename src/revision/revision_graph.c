/*
 * revision_graph.c: the graph, drawn as text, for Mermaid and for Graphviz.
 *
 * The text is drawn as git log --graph does: newest first, a column (lane) for
 * each line of descent that is open.
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "revision/revision.h"

/* The open lanes, each by the revision that it leads down to. */
typedef struct Lanes
{
	int			count;
	int			room;
	RevisionIndex *to;
} Lanes;

static List *draw_text(const RevisionMap *map, List *current);
static List *join_lanes(List *lines, Lanes *lanes, RevisionIndex r, int lane);
static List *close_lane(List *lines, Lanes *lanes, int lane, int into);
static List *open_lane(List *lines, Lanes *lanes, int lane, RevisionIndex to);
static int	find_lane(const Lanes *lanes, RevisionIndex r, int from);
static void insert_lane(Lanes *lanes, int lane, RevisionIndex to);
static char *blank_line(int lanes);
static List *add_line(List *lines, char *line);
static char *revision_line(const RevisionMap *map, const Lanes *lanes, int lane,
						   RevisionIndex r, bool is_current);
static char *describe(const RevisionMap *map, RevisionIndex r, bool is_current);
static List *draw_mermaid(const RevisionMap *map, List *current);
static char *mermaid_text(const char *text);
static List *draw_dot(const RevisionMap *map, List *current);
static char *dot_text(const char *text);
static List *draw_edges(List *lines, const RevisionMap *map, const char *parent_edge,
						const char *dependency_edge);
static bool *current_set(const RevisionMap *map, List *current);

/*
 * The lines of the drawing, a list of char *.  Raises 22023 for another format
 * than "text", "mermaid" and "dot".
 */
List *
ar_revision_graph(const RevisionMap *map, const char *format, List *current)
{
	if (strcmp(format, "text") == 0)
		return draw_text(map, current);
	if (strcmp(format, "mermaid") == 0)
		return draw_mermaid(map, current);
	if (strcmp(format, "dot") == 0)
		return draw_dot(map, current);
	ereport(ERROR,
			errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			errmsg("invalid format \"%s\"", ar_revision_excerpt(format)),
			errhint("It is \"text\", \"mermaid\" or \"dot\"."));
}

static List *
draw_text(const RevisionMap *map, List *current)
{
	Lanes		lanes = {.room = 16,.to = palloc(16 * sizeof(RevisionIndex))};
	bool	   *is_current = current_set(map, current);
	List	   *lines = NIL;
	ListCell   *cell;

	foreach(cell, ar_revision_history(map, NULL))
	{
		RevisionIndex r = lfirst_int(cell);
		int			parents = AR_LINKS_COUNT(map->revises, r);
		int			lane = find_lane(&lanes, r, 0);

		CHECK_FOR_INTERRUPTS();
		if (lane < 0)
			insert_lane(&lanes, lane = lanes.count, r);
		lines = join_lanes(lines, &lanes, r, lane);
		lines = lappend(lines, revision_line(map, &lanes, lane, r, is_current[r]));
		if (parents == 0)
			lines = close_lane(lines, &lanes, lane, -1);
		else
			lanes.to[lane] = AR_LINKS_ITEM(map->revises, r, 0);
		for (int i = 1; i < parents; i++)
			lines = open_lane(lines, &lanes, lane + i - 1, AR_LINKS_ITEM(map->revises, r, i));
	}
	return lines;
}

/*
 * All lanes that lead to r become the one.
 */
static List *
join_lanes(List *lines, Lanes *lanes, RevisionIndex r, int lane)
{
	int			other;

	while ((other = find_lane(lanes, r, lane + 1)) >= 0)
		lines = close_lane(lines, lanes, other, lane);
	return lines;
}

/*
 * A lane ends in another one to its left; or, with -1, at its base.  The lanes
 * on its right move over.
 */
static List *
close_lane(List *lines, Lanes *lanes, int lane, int into)
{
	int			count = lanes->count;
	char	   *line = blank_line(count);

	for (int i = 0; i < lane; i++)
		line[2 * i] = '|';
	for (int i = lane + 1; i < count; i++)
		line[2 * i - 1] = '/';
	memmove(lanes->to + lane, lanes->to + lane + 1, (count - lane - 1) * sizeof(RevisionIndex));
	lanes->count--;
	if (into < 0)
		return lane == count - 1 ? lines : add_line(lines, line);

	line[2 * lane - 1] = '/';
	if (lane == into + 1)
		return add_line(lines, line);

	/* it passes below the lanes between */
	for (int i = into + 2; i < lane; i++)
		line[2 * i - 1] = '_';
	lines = add_line(lines, line);
	line = blank_line(count);
	for (int i = 0; i < lanes->count; i++)
		line[2 * i] = '|';
	line[2 * into + 1] = '/';
	return add_line(lines, line);
}

/*
 * A lane begins on the right of another one.
 */
static List *
open_lane(List *lines, Lanes *lanes, int lane, RevisionIndex to)
{
	char	   *line = blank_line(lanes->count + 1);

	for (int i = 0; i <= lane; i++)
		line[2 * i] = '|';
	for (int i = lane; i < lanes->count; i++)
		line[2 * i + 1] = '\\';
	insert_lane(lanes, lane + 1, to);
	return add_line(lines, line);
}

static int
find_lane(const Lanes *lanes, RevisionIndex r, int from)
{
	for (int i = from; i < lanes->count; i++)
		if (lanes->to[i] == r)
			return i;
	return -1;
}

static void
insert_lane(Lanes *lanes, int lane, RevisionIndex to)
{
	if (lanes->count == lanes->room)
		lanes->to = repalloc(lanes->to, (lanes->room *= 2) * sizeof(RevisionIndex));
	memmove(lanes->to + lane + 1, lanes->to + lane, (lanes->count - lane) * sizeof(RevisionIndex));
	lanes->to[lane] = to;
	lanes->count++;
}

static char *
blank_line(int lanes)
{
	char	   *line = palloc(2 * lanes + 1);

	memset(line, ' ', 2 * lanes);
	line[2 * lanes] = '\0';
	return line;
}

static List *
add_line(List *lines, char *line)
{
	int			length = strlen(line);

	while (length > 0 && line[length - 1] == ' ')
		line[--length] = '\0';
	return lappend(lines, line);
}

static char *
revision_line(const RevisionMap *map, const Lanes *lanes, int lane,
			  RevisionIndex r, bool is_current)
{
	char	   *line = blank_line(lanes->count);

	for (int i = 0; i < lanes->count; i++)
		line[2 * i] = i == lane ? '*' : '|';
	return psprintf("%s%s", line, describe(map, r, is_current));
}

/*
 * 27c6a30d7c24 (head, current) [billing] add invoices (depends on 1975ea83b712)
 */
static char *
describe(const RevisionMap *map, RevisionIndex r, bool is_current)
{
	const char *head = !ar_revision_is_head(map, r) ? NULL :
	ar_revision_is_real_head(map, r) ? "head" : "effective head";
	StringInfoData text;

	initStringInfo(&text);
	appendStringInfoString(&text, map->revision[r].id);
	if (head || is_current)
		appendStringInfo(&text, " (%s%s%s)", head ? head : "", head && is_current ? ", " : "",
						 is_current ? "current" : "");
	for (int32 i = 0; i < AR_LINKS_COUNT(map->labels, r); i++)
		appendStringInfo(&text, " [%s]", map->label[AR_LINKS_ITEM(map->labels, r, i)]);
	if (map->revision[r].message[0])
		appendStringInfo(&text, " %s", map->revision[r].message);
	for (int32 i = 0; i < AR_LINKS_COUNT(map->deps, r); i++)
		appendStringInfo(&text, "%s%s", i == 0 ? " (depends on " : ", ",
						 map->revision[AR_LINKS_ITEM(map->deps, r, i)].id);
	if (AR_LINKS_COUNT(map->deps, r) > 0)
		appendStringInfoChar(&text, ')');
	return text.data;
}

static List *
draw_mermaid(const RevisionMap *map, List *current)
{
	bool	   *is_current = current_set(map, current);
	List	   *lines = list_make1("flowchart BT");

	for (RevisionIndex r = 0; r < map->count; r++)
	{
		CHECK_FOR_INTERRUPTS();
		lines = lappend(lines, psprintf("  r%d[\"%s\"]", r,
										mermaid_text(describe(map, r, is_current[r]))));
	}
	return draw_edges(lines, map, "  r%d --> r%d", "  r%d -.-> r%d");
}

/*
 * Inside quotes, Mermaid takes characters by number.
 */
static char *
mermaid_text(const char *text)
{
	StringInfoData result;

	initStringInfo(&result);
	for (; *text; text ++)
	{
		if (strchr("\"#<>&`\\", *text) || (unsigned char) *text <' ')
			appendStringInfo(&result, "#%d;", (unsigned char) *text);
		else
			appendStringInfoChar(&result, *text);
	}
	return result.data;
}

static List *
draw_dot(const RevisionMap *map, List *current)
{
	bool	   *is_current = current_set(map, current);
	List	   *lines = list_make3("digraph revisions {", "  rankdir = BT;", "  node [shape = box];");

	for (RevisionIndex r = 0; r < map->count; r++)
	{
		CHECK_FOR_INTERRUPTS();
		lines = lappend(lines, psprintf("  r%d [label = \"%s\"%s];", r,
										dot_text(describe(map, r, is_current[r])),
										is_current[r] ? ", style = bold" : ""));
	}
	lines = draw_edges(lines, map, "  r%d -> r%d;", "  r%d -> r%d [style = dashed];");
	return lappend(lines, "}");
}

static char *
dot_text(const char *text)
{
	StringInfoData result;

	initStringInfo(&result);
	for (; *text; text ++)
	{
		if (*text == '"' || *text == '\\')
			appendStringInfoChar(&result, '\\');
		appendStringInfoChar(&result, (unsigned char) *text <' ' ? ' ' : *text);
	}
	return result.data;
}

/*
 * An edge from each parent, and another kind from each dependency.  The
 * formats are ours, with two numbers each.
 */
static List *
draw_edges(List *lines, const RevisionMap *map, const char *parent_edge,
		   const char *dependency_edge)
{
	for (RevisionIndex r = 0; r < map->count; r++)
	{
		CHECK_FOR_INTERRUPTS();
		for (int32 i = 0; i < AR_LINKS_COUNT(map->revises, r); i++)
			lines = lappend(lines, psprintf(parent_edge, AR_LINKS_ITEM(map->revises, r, i), r));
		for (int32 i = 0; i < AR_LINKS_COUNT(map->deps, r); i++)
			lines = lappend(lines, psprintf(dependency_edge, AR_LINKS_ITEM(map->deps, r, i), r));
	}
	return lines;
}

static bool *
current_set(const RevisionMap *map, List *current)
{
	bool	   *set = ar_revision_empty_set(map);
	ListCell   *cell;

	foreach(cell, current)
		set[lfirst_int(cell)] = true;
	return set;
}
