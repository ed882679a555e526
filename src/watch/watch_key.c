/*
 * watch_key.c: which columns of a table hold keys of relationships.
 *
 * Kept for the session until a relationship changes.  Two keys have the same
 * domain if they hold keys of the same columns of the same table: users.id,
 * posts.user_id and comments.user_id.
 */
#include "postgres.h"

#include "access/transam.h"
#include "commands/extension.h"
#include "common/hashfn.h"
#include "relationship/relationship.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "watch/watch.h"

static MemoryContext cache_context = NULL;
static HTAB *cache = NULL;
static uint64 cache_generation = 0;

/* The tables asked for last. */
#define RECENT_TABLES 64
static const KeyedTable *recent[RECENT_TABLES];

static const KeyedTable no_keys = {0};

static void read_keys(KeyedTable *table);
static void add_key(KeyedTable *table, Oid constraint, Oid target, int count,
					const AttrNumber *column, const AttrNumber *target_column);
static const Relationship *find_relationship(Oid table, Oid constraint, bool outgoing,
											 const List *relations);
static const char *spelling_of(const Relationship *r);

/*
 * Drop what is out of date.  Between two calls, what ar_watch_table() returned
 * stays where it is.
 */
void
ar_watch_check_keys(void)
{
	HASHCTL		control = {.keysize = sizeof(Oid),.entrysize = sizeof(KeyedTable)};

	if (cache != NULL && cache_generation == ar_relationship_generation())
		return;
	if (cache_context == NULL)
		cache_context = AllocSetContextCreate(CacheMemoryContext, "algo_ref watched keys",
											  ALLOCSET_DEFAULT_SIZES);
	cache = NULL;
	memset(recent, 0, sizeof(recent));
	MemoryContextReset(cache_context);
	cache_generation = ar_relationship_generation();
	control.hcxt = cache_context;
	cache = hash_create("algo_ref watched tables", 64, &control,
						HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

/*
 * The keys of a table.
 */
const KeyedTable *
ar_watch_table(Oid table)
{
	const KeyedTable *known;
	KeyedTable *entry;
	bool		found;

	if (table < FirstNormalObjectId)
		return &no_keys;
	known = recent[table % RECENT_TABLES];
	if (known && known->table == table)
		return known;
	entry = hash_search(cache, &table, HASH_FIND, NULL);
	if (entry == NULL)
	{
		KeyedTable	value = {.table = table};

		/* an error while reading leaves nothing behind */
		read_keys(&value);
		entry = hash_search(cache, &table, HASH_ENTER, &found);
		*entry = value;
	}
	recent[table % RECENT_TABLES] = entry;
	return entry;
}

/*
 * From a key that a source returned to the key of a lookup: the names of the
 * relationships that lead there, to be written behind the source's table.
 * "relations" are the tables that the lookup reads; "target" becomes the one
 * it ends at.  NULL if no relationship leads there.
 */
const char *
ar_watch_step(const WatchKey *from, const WatchKey *to, const List *relations, Oid *target)
{
	const Relationship *r;
	const char *first = NULL;
	Oid			near = from->table;

	if (OidIsValid(from->constraint))
	{
		r = find_relationship(near, from->constraint, true, NIL);
		if (r == NULL)
			return NULL;
		first = spelling_of(r);
		near = r->target;
		*target = near;
		if (!OidIsValid(to->constraint))
			return first;
	}
	if (!OidIsValid(to->constraint))
		return NULL;
	r = find_relationship(near, to->constraint, false, relations);
	if (r == NULL)
		return NULL;
	*target = r->target;
	return first ? psprintf("%s.%s", first, spelling_of(r)) : spelling_of(r);
}

/*
 * A relationship of a table by its foreign key.  Where the lookup reads the
 * far side of an association table, it is the one that leads there.
 */
static const Relationship *
find_relationship(Oid table, Oid constraint, bool outgoing, const List *relations)
{
	const Relationship *result = NULL;
	ListCell   *cell;

	foreach(cell, ar_relationship_table(table)->relationships)
	{
		const Relationship *r = lfirst(cell);

		if (r->key->constraint != constraint || ar_relationship_is_outgoing(r) != outgoing)
			continue;
		if (r->kind != AR_MANY_TO_MANY)
			result = result ? result : r;
		else if (list_member_oid(relations, r->target) &&
				 (r->target != table || list_length(relations) > 1))
			return r;
	}
	return result;
}

static const char *
spelling_of(const Relationship *r)
{
	return linitial(ar_relationship_spellings(ar_relationship_table(r->table), r));
}

/*
 * A database without the extension has nothing to watch.
 */
static void
read_keys(KeyedTable *table)
{
	ListCell   *cell;

	if (!OidIsValid(get_extension_oid("algo_ref", true)))
		return;
	foreach(cell, ar_relationship_table(table->table)->relationships)
	{
		const Relationship *r = lfirst(cell);
		const ForeignKey *key = r->key;

		if (r->kind == AR_MANY_TO_ONE)
			add_key(table, key->constraint, key->target, key->key_count, key->column,
					key->target_column);
		else if (r->kind != AR_MANY_TO_MANY)
			add_key(table, InvalidOid, key->target, key->key_count, key->target_column,
					key->target_column);
	}
}

static void
add_key(KeyedTable *table, Oid constraint, Oid target, int count, const AttrNumber *column,
		const AttrNumber *target_column)
{
	TableKey	key = {.count = count};
	AttrNumber	sorted[AR_WATCH_KEY_COLUMNS_MAX];

	if (count > AR_WATCH_KEY_COLUMNS_MAX)
		return;

	/* into the order of the referenced columns */
	for (int i = 0; i < count; i++)
	{
		int			at = i;

		for (; at > 0 && sorted[at - 1] > target_column[i]; at--)
		{
			sorted[at] = sorted[at - 1];
			key.column[at] = key.column[at - 1];
		}
		sorted[at] = target_column[i];
		key.column[at] = column[i];
	}
	key.key.table = table->table;
	key.key.constraint = constraint;
	key.key.domain = hash_combine(hash_bytes((const unsigned char *) sorted,
											 sizeof(AttrNumber) * count),
								  hash_bytes_uint32(target));
	for (int i = 0; i < table->count; i++)
	{
		if (table->keys[i].key.domain == key.key.domain &&
			table->keys[i].key.constraint == constraint)
			return;
	}
	if (table->keys == NULL)
		table->keys = MemoryContextAlloc(cache_context, sizeof(TableKey));
	else
		table->keys = repalloc(table->keys, sizeof(TableKey) * (table->count + 1));
	table->keys[table->count++] = key;
	for (int i = 0; i < count; i++)
		table->columns |= ar_watch_column_bit(key.column[i]);
}
