/*
 * revision_map.c: the stored scripts as a graph.
 *
 * Revisions are numbered in load order.  Adjacency is packed into integer
 * arrays, so that a revision costs some hundred bytes and every walk is a walk
 * over arrays.  The map is immutable once it is loaded.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "common/state_table.h"
#include "miscadmin.h"
#include "revision/revision.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

/* How many revisions a message names. */
#define NAMES_SHOWN 10

/* How much memory is taken for texts at a time. */
#define TEXT_PIECE_BYTES (32 * 1024)

/* The namespace that ids and labels share. */
typedef struct NameEntry
{
	const char *name;
	RevisionIndex owner;
	char		status;
} NameEntry;

#define SH_PREFIX revision_name
#define SH_ELEMENT_TYPE NameEntry
#define SH_KEY_TYPE const char *
#define SH_KEY name
#define SH_HASH_KEY(tb, key) hash_bytes((const unsigned char *) (key), strlen(key))
#define SH_EQUAL(tb, a, b) (strcmp(a, b) == 0)
#define SH_SCOPE static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

/* A row as it is read, before names are numbers. */
typedef struct ScriptRow
{
	int64		load_order;
	const char *id;
	const char *message;
	ArrayType  *revises;
	ArrayType  *depends_on;
	ArrayType  *branch_labels;
	uint8		flags;
} ScriptRow;

/* Texts that live as long as the map, packed into large pieces. */
typedef struct TextPile
{
	MemoryContext context;
	char	   *next;
	Size		left;
} TextPile;

/* Pairs (from, to) on their way to become RevisionLinks. */
typedef struct EdgeList
{
	int32		count;
	int32		room;
	RevisionIndex *from;
	RevisionIndex *to;
} EdgeList;

static RevisionMap *load(Snapshot snapshot, bool partial);
static ScriptRow *read_rows(Snapshot snapshot, MemoryContext keep, int32 *count);
static const char *keep_text(TextPile *pile, const char *text);
static int	compare_load_order(const void *a, const void *b);
static ArrayType *copy_names(Datum array);
static void take_names(RevisionMap *map, const ScriptRow *rows);
static void take_labels(RevisionMap *map, const ScriptRow *rows, bool partial);
static void take_edges(RevisionMap *map, const ScriptRow *rows, bool partial);
static RevisionIndex reference(RevisionMap *map, RevisionIndex from, const char *name,
							   bool is_parent, bool partial);
static int	array_names(ArrayType *array, Datum **names);
static void add_edge(EdgeList *edges, RevisionIndex from, RevisionIndex to);
static bool has_edge(const EdgeList *edges, int32 first, RevisionIndex to);
static void pack(const RevisionMap *map, RevisionLinks *links, const EdgeList *edges, bool reverse);

/*
 * Read the graph.  Raises 42P17 for cycles and self references, 42704 for a
 * reference to what is not registered, 42710 for a label with two owners.
 */
RevisionMap *
ar_revision_map_load(Snapshot snapshot)
{
	return load(snapshot, false);
}

/*
 * Read as much of the graph as makes sense: references to nothing are left
 * out, and so is everything that depends_on says if there is a cycle.  For
 * repairing a broken graph.
 */
RevisionMap *
ar_revision_map_load_partial(Snapshot snapshot)
{
	return load(snapshot, true);
}

void
ar_revision_map_free(RevisionMap *map)
{
	MemoryContextDelete(map->context);
}

/*
 * The revision that has this id or owns this label; AR_BASE if there is none.
 */
RevisionIndex
ar_revision_map_find(const RevisionMap *map, const char *name)
{
	NameEntry  *entry = revision_name_lookup((revision_name_hash *) map->names, name);

	return entry ? entry->owner : AR_BASE;
}

bool
ar_revision_is_head(const RevisionMap *map, RevisionIndex r)
{
	return AR_LINKS_COUNT(map->children, r) == 0;
}

bool
ar_revision_is_real_head(const RevisionMap *map, RevisionIndex r)
{
	return AR_LINKS_COUNT(map->dependents, r) == 0;
}

/*
 * The first paragraph of a message, in one line.
 */
char *
ar_revision_short_message(const char *message)
{
	const char *end;
	char	   *result;

	while (*message == ' ' || *message == '\t' || *message == '\r' || *message == '\n')
		message++;
	for (end = message; *end; end++)
	{
		const char *next = end;

		if (*end != '\n')
			continue;
		while (*++next == ' ' || *next == '\t' || *next == '\r')
			;
		if (*next == '\n' || *next == '\0')
			break;
	}
	result = pnstrdup(message, end - message);
	for (char *c = result; *c; c++)
		if (*c == '\n' || *c == '\r')
			*c = ' ';
	return result;
}

/*
 * The first few of some revisions, for a message.
 */
char *
ar_revision_names(const RevisionMap *map, const RevisionIndex *revisions, int32 count)
{
	StringInfoData buffer;

	initStringInfo(&buffer);
	for (int32 i = 0; i < Min(count, NAMES_SHOWN); i++)
		appendStringInfo(&buffer, "%s\"%s\"", i == 0 ? "" : ", ", map->revision[revisions[i]].id);
	if (count > NAMES_SHOWN)
		appendStringInfo(&buffer, " and %d more", count - NAMES_SHOWN);
	return buffer.data;
}

static RevisionMap *
load(Snapshot snapshot, bool partial)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext,
												  "algo_ref revision map",
												  ALLOCSET_SMALL_SIZES);
	MemoryContext scratch = AllocSetContextCreate(CurrentMemoryContext,
												  "algo_ref revision map, reading",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(scratch);
	RevisionMap *map = MemoryContextAllocZero(context, sizeof(RevisionMap));
	ScriptRow  *rows;

	map->context = context;
	rows = read_rows(snapshot, context, &map->count);
	take_names(map, rows);
	take_labels(map, rows, partial);
	take_edges(map, rows, partial);
	if (map->count > 0)
		map->load_order = rows[map->count - 1].load_order;

	ar_revision_links_complete(map, partial);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(scratch);
	return map;
}

/*
 * All rows, in load order.  What the map keeps of them is in "keep".
 */
static ScriptRow *
read_rows(Snapshot snapshot, MemoryContext keep, int32 *count)
{
	StateTable *table = ar_state_table_open("script", AccessShareLock);
	TupleDesc	desc = RelationGetDescr(ar_state_table_relation(table));
	StateScan  *scan = ar_state_scan_begin(table, NULL, snapshot, 0, NULL);
	int32		room = 256;
	ScriptRow  *rows = palloc(room * sizeof(ScriptRow));
	Datum		value[Natts_script];
	bool		isnull[Natts_script];
	TextPile	texts = {.context = keep};
	MemoryContext row_context = AllocSetContextCreate(CurrentMemoryContext, "algo_ref script row",
													  ALLOCSET_DEFAULT_SIZES);
	HeapTuple	tuple;
	bool		sorted = true;

	*count = 0;
	while ((tuple = ar_state_scan_next(scan)) != NULL)
	{
		ScriptRow  *row;
		MemoryContext scratch;

		if (*count == room)
			rows = repalloc_huge(rows, (room *= 2) * sizeof(ScriptRow));
		row = &rows[(*count)++];
		heap_deform_tuple(tuple, desc, value, isnull);
		row->load_order = DatumGetInt64(value[Anum_script_load_order - 1]);
		row->revises = copy_names(value[Anum_script_revises - 1]);
		row->branch_labels = copy_names(value[Anum_script_branch_labels - 1]);
		row->depends_on = copy_names(value[Anum_script_depends_on - 1]);
		row->flags = DatumGetBool(value[Anum_script_transactional - 1]) ?
			0 : AR_REVISION_NONTRANSACTIONAL;

		MemoryContextReset(row_context);
		scratch = MemoryContextSwitchTo(row_context);
		row->id = keep_text(&texts, TextDatumGetCString(value[Anum_script_revision - 1]));
		row->message = keep_text(&texts,
								 ar_revision_short_message(TextDatumGetCString(value[Anum_script_message - 1])));
		MemoryContextSwitchTo(scratch);
		sorted &= *count == 1 || row->load_order > row[-1].load_order;
	}
	MemoryContextDelete(row_context);
	ar_state_scan_end(scan);
	ar_state_table_close(table);
	if (!sorted)
		qsort(rows, *count, sizeof(ScriptRow), compare_load_order);
	return rows;
}

/*
 * A copy of a text on the pile.
 */
static const char *
keep_text(TextPile *pile, const char *text)
{
	Size		length = strlen(text) + 1;
	char	   *kept;

	if (pile->left < length)
	{
		pile->left = Max(length, TEXT_PIECE_BYTES);
		pile->next = MemoryContextAlloc(pile->context, pile->left);
	}
	kept = memcpy(pile->next, text, length);
	pile->next += length;
	pile->left -= length;
	return kept;
}

static int
compare_load_order(const void *a, const void *b)
{
	int64		left = ((const ScriptRow *) a)->load_order;
	int64		right = ((const ScriptRow *) b)->load_order;

	return left < right ? -1 : left > right;
}

/*
 * A copy of a text[], NULL for an empty one.
 */
static ArrayType *
copy_names(Datum array)
{
	ArrayType  *copy = DatumGetArrayTypePCopy(array);

	if (ARR_NDIM(copy) > 0)
		return copy;
	pfree(copy);
	return NULL;
}

static void
take_names(RevisionMap *map, const ScriptRow *rows)
{
	revision_name_hash *names = revision_name_create(map->context, Max(map->count, 16), NULL);

	map->names = (struct revision_name_hash *) names;
	map->revision = MemoryContextAllocHuge(map->context, Max(map->count, 1) * sizeof(Revision));
	map->flags = MemoryContextAllocHuge(map->context, Max(map->count, 1));
	for (RevisionIndex r = 0; r < map->count; r++)
	{
		bool		found;

		map->revision[r].id = rows[r].id;
		map->revision[r].message = rows[r].message;
		map->flags[r] = rows[r].flags;
		revision_name_insert(names, rows[r].id, &found)->owner = r;
	}
}

static void
take_labels(RevisionMap *map, const ScriptRow *rows, bool partial)
{
	EdgeList	edges = {0};
	int32		room = 0;

	for (RevisionIndex r = 0; r < map->count; r++)
	{
		Datum	   *names;
		int			count = array_names(rows[r].branch_labels, &names);

		for (int i = 0; i < count; i++)
		{
			char	   *label = MemoryContextStrdup(map->context, TextDatumGetCString(names[i]));
			bool		found;
			NameEntry  *entry = revision_name_insert((revision_name_hash *) map->names, label, &found);

			if (found && !partial)
				ereport(ERROR,
						errcode(ERRCODE_DUPLICATE_OBJECT),
						errmsg("branch label \"%s\" is already in use", label),
						errdetail("Revision \"%s\" has it as a label, and so has revision \"%s\" as a label or as its id.",
								  map->revision[r].id, map->revision[entry->owner].id),
						errhint("Ids and branch labels share one namespace.  Change one of them with algo_ref.edit()."));
			if (found)
				continue;
			entry->owner = r;
			if (map->label_count == room)
			{
				room = Max(16, room * 2);
				map->label = map->label ? repalloc(map->label, room * sizeof(char *)) :
					MemoryContextAlloc(map->context, room * sizeof(char *));
				map->label_owner = map->label_owner ? repalloc(map->label_owner, room * sizeof(RevisionIndex)) :
					MemoryContextAlloc(map->context, room * sizeof(RevisionIndex));
			}
			add_edge(&edges, r, map->label_count);
			map->label[map->label_count] = label;
			map->label_owner[map->label_count++] = r;
		}
	}
	pack(map, &map->labels, &edges, false);
}

/*
 * Parents and dependencies, both ways.
 */
static void
take_edges(RevisionMap *map, const ScriptRow *rows, bool partial)
{
	EdgeList	parents = {0};
	EdgeList	deps = {0};
	EdgeList	uses = {0};

	for (RevisionIndex r = 0; r < map->count; r++)
	{
		int32		first_parent = parents.count;
		int32		first_dep = deps.count;
		Datum	   *names;
		int			count = array_names(rows[r].revises, &names);

		CHECK_FOR_INTERRUPTS();
		for (int i = 0; i < count; i++)
		{
			RevisionIndex to = reference(map, r, TextDatumGetCString(names[i]), true, partial);

			if (to == AR_BASE || has_edge(&parents, first_parent, to))
				continue;
			add_edge(&parents, r, to);
			add_edge(&uses, r, to);
		}
		count = array_names(rows[r].depends_on, &names);
		for (int i = 0; i < count; i++)
		{
			RevisionIndex to = reference(map, r, TextDatumGetCString(names[i]), false, partial);

			if (to == AR_BASE || has_edge(&deps, first_dep, to))
				continue;
			add_edge(&deps, r, to);
			if (!has_edge(&parents, first_parent, to))
				add_edge(&uses, r, to);
		}
	}
	pack(map, &map->revises, &parents, false);
	pack(map, &map->children, &parents, true);
	pack(map, &map->deps, &deps, false);
	pack(map, &map->dependents, &uses, true);
}

/*
 * What a name in "revises" or "depends_on" refers to.
 */
static RevisionIndex
reference(RevisionMap *map, RevisionIndex from, const char *name, bool is_parent, bool partial)
{
	RevisionIndex to = ar_revision_map_find(map, name);
	const char *id = map->revision[from].id;

	/* parents are named by id only */
	if (to != AR_BASE && is_parent && strcmp(map->revision[to].id, name) != 0)
		to = AR_BASE;
	if (partial)
		return to == from ? AR_BASE : to;
	if (to == AR_BASE)
		ereport(ERROR,
				errcode(ERRCODE_UNDEFINED_OBJECT),
				errmsg("revision \"%s\" does not exist", name),
				is_parent ? errdetail("Revision \"%s\" revises it.", id) :
				errdetail("Revision \"%s\" depends on it.", id),
				errhint("Register its script, or change revision \"%s\" with algo_ref.edit().", id));
	if (to == from)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
				is_parent ? errmsg("revision \"%s\" revises itself", id) :
				errmsg("revision \"%s\" depends on itself", id),
				errhint("Change it with algo_ref.edit()."));
	return to;
}

static int
array_names(ArrayType *array, Datum **names)
{
	int			count;

	if (array == NULL)
		return 0;
	deconstruct_array(array, TEXTOID, -1, false, TYPALIGN_INT, names, NULL, &count);
	return count;
}

static void
add_edge(EdgeList *edges, RevisionIndex from, RevisionIndex to)
{
	if (edges->count == edges->room)
	{
		edges->room = Max(256, edges->room * 2);
		edges->from = edges->from ? repalloc_huge(edges->from, edges->room * sizeof(RevisionIndex)) :
			palloc(edges->room * sizeof(RevisionIndex));
		edges->to = edges->to ? repalloc_huge(edges->to, edges->room * sizeof(RevisionIndex)) :
			palloc(edges->room * sizeof(RevisionIndex));
	}
	edges->from[edges->count] = from;
	edges->to[edges->count++] = to;
}

static bool
has_edge(const EdgeList *edges, int32 first, RevisionIndex to)
{
	for (int32 i = first; i < edges->count; i++)
		if (edges->to[i] == to)
			return true;
	return false;
}

/*
 * Edges, given in load order of "from", as adjacency lists; "reverse" turns
 * them round.  Each list keeps the order of the edges.
 */
static void
pack(const RevisionMap *map, RevisionLinks *links, const EdgeList *edges, bool reverse)
{
	const RevisionIndex *key = reverse ? edges->to : edges->from;
	const RevisionIndex *item = reverse ? edges->from : edges->to;

	links->first = MemoryContextAllocExtended(map->context, (map->count + 2) * sizeof(int32),
											  MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	links->item = MemoryContextAllocHuge(map->context, Max(edges->count, 1) * sizeof(RevisionIndex));
	/* first[r + 2] counts, then becomes where the list of r + 1 begins */
	for (int32 i = 0; i < edges->count; i++)
		links->first[key[i] + 2]++;
	for (int32 r = 2; r <= map->count + 1; r++)
		links->first[r] += links->first[r - 1];
	for (int32 i = 0; i < edges->count; i++)
		links->item[links->first[key[i] + 1]++] = item[i];
}
