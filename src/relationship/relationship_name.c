/*
 * relationship_name.c: from the name of a relationship to the relationship.
 *
 * A name is looked up in tiers, and the first tier in which anything answers
 * to it decides:
 *
 *	1. a declared alias
 *	2. the constraint's name
 *	3. the column of our foreign key, as it is or without _id
 *	4. the table whose foreign key refers to us
 *	5. the singular of that table, where the foreign key is unique
 *	6. the far table of an association table
 *
 * "name!pin" keeps, of everything that answers to the name, what the pin
 * names: a constraint, a column of its foreign key, or an association table;
 * if that is nothing, the schema of the table that has the foreign key.  With
 * several pins all of them have to hold.  Nothing is guessed: several answers
 * are an error.
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "relationship/relationship.h"
#include "utils/builtins.h"
#include "utils/varlena.h"

#define FIRST_TIER 1
#define LAST_TIER 6

static Relationship *copy_relationship(const Relationship *r);
static ForeignKey *copy_key(const ForeignKey *key);
static List *matches(const TableRelationships *table, const char *name, List *pins);
static List *matches_in_tier(const TableRelationships *table, int tier, const char *name,
							 List *pins, bool by_schema);
static bool is_alias(const Relationship *r, const char *name);
static bool answers(const Relationship *r, int tier, const char *name);
static bool is_pinned(const Relationship *r, List *pins, bool by_schema);
static bool is_key(const ForeignKey *key, const char *pin);
static bool has_column(const ForeignKey *key, const char *name);
static char *single_column(const ForeignKey *key);
static char *without_id(const char *column);
static char *singular(const char *table);
static char *base_name(const Relationship *r);
static char *paste_name(const TableRelationships *table, const Relationship *r);
static List *useful_pins(const Relationship *r);
static List *key_pins(const ForeignKey *key);
static char *spell(const char *name, List *pins);
static char *join(const char *name, List *pins);
static char *list_spellings(const TableRelationships *table, List *relationships);
static bool is_only_answer(const TableRelationships *table, const Relationship *r,
						   const char *name, List *pins);

/*
 * The relationship of a table that a name and pins, of which there may be none,
 * stand for, copied into the current memory context; NULL if there is none.  Raises
 * 22023 if there are several.
 */
const Relationship *
ar_relationship_find(Oid table, const char *name, List *pins)
{
	const TableRelationships *relationships = ar_relationship_table(table);
	List	   *found = matches(relationships, name, pins);

	if (found == NIL)
		return NULL;
	if (list_length(found) > 1)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("relationship \"%s\" of table \"%s\" is ambiguous",
					   join(name, pins), relationships->name),
				errdetail("It may be any of %s.", list_spellings(relationships, found)),
				errhint("Write the one that is meant."));
	return copy_relationship(linitial(found));
}

/*
 * The same; 42704 if there is none.
 */
const Relationship *
ar_relationship_resolve(Oid table, const char *name, List *pins)
{
	const Relationship *found = ar_relationship_find(table, name, pins);

	if (found == NULL)
	{
		const TableRelationships *relationships = ar_relationship_table(table);

		ereport(ERROR,
				errcode(ERRCODE_UNDEFINED_OBJECT),
				errmsg("table \"%s\" has no relationship \"%s\"", relationships->name,
					   join(name, pins)),
				relationships->relationships == NIL ?
				errdetail("No foreign key begins or ends at the table.") :
				errdetail("Its relationships are %s.",
						  list_spellings(relationships, relationships->relationships)));
	}
	return found;
}

/*
 * Every spelling that names a relationship, the best one first, as a List of
 * strings.
 */
List *
ar_relationship_spellings(const TableRelationships *table, const Relationship *r)
{
	List	   *names = NIL;
	List	   *result = NIL;
	ListCell   *cell;
	char	   *best = paste_name(table, r);

	names = list_concat(names, r->aliases);
	names = lappend(names, base_name(r));
	if (r->kind != AR_MANY_TO_MANY)
		names = lappend(names, r->key->name);
	if (r->kind == AR_MANY_TO_ONE && single_column(r->key))
		names = lappend(names, single_column(r->key));
	if (r->kind == AR_ONE_TO_ONE)
		names = lappend(names, r->key->table_name);
	result = lappend(result, best);
	foreach(cell, names)
	{
		char	   *name = spell(lfirst(cell), NULL);
		ListCell   *other;
		bool		known = false;

		foreach(other, result)
			known |= strcmp(lfirst(other), name) == 0;
		if (!known && is_only_answer(table, r, lfirst(cell), NULL))
			result = lappend(result, name);
	}
	return result;
}

const char *
ar_relationship_kind_name(RelationshipKind kind)
{
	static const char *const names[] = {
		"many-to-one", "one-to-one", "one-to-many", "many-to-many"
	};

	return names[kind];
}

/*
 * Take "name" or "name!pin" apart, as SQL reads identifiers.  False if it is
 * neither.
 */
bool
ar_relationship_parse_spelling(const char *spelling, char **name, List **pins)
{
	List	   *parts;

	if (!SplitIdentifierString(pstrdup(spelling), '!', &parts) || parts == NIL)
		return false;
	*name = linitial(parts);
	*pins = list_copy_tail(parts, 1);
	return true;
}

static Relationship *
copy_relationship(const Relationship *r)
{
	Relationship *copy = palloc(sizeof(Relationship));
	ListCell   *cell;

	*copy = *r;
	copy->target_name = pstrdup(r->target_name);
	copy->aliases = NIL;
	foreach(cell, r->aliases)
		copy->aliases = lappend(copy->aliases, pstrdup(lfirst(cell)));
	copy->key = copy_key(r->key);
	copy->far_key = r->far_key ? copy_key(r->far_key) : NULL;
	return copy;
}

static ForeignKey *
copy_key(const ForeignKey *key)
{
	ForeignKey *copy = palloc(sizeof(ForeignKey));
	int			count = key->key_count;

	*copy = *key;
	copy->name = pstrdup(key->name);
	copy->schema_name = pstrdup(key->schema_name);
	copy->table_name = pstrdup(key->table_name);
	copy->target_name = pstrdup(key->target_name);
	copy->column = memcpy(palloc(sizeof(AttrNumber) * count), key->column,
						  sizeof(AttrNumber) * count);
	copy->target_column = memcpy(palloc(sizeof(AttrNumber) * count), key->target_column,
								 sizeof(AttrNumber) * count);
	copy->equality = memcpy(palloc(sizeof(Oid) * count), key->equality, sizeof(Oid) * count);
	copy->column_name = palloc(sizeof(char *) * count);
	for (int i = 0; i < count; i++)
		copy->column_name[i] = pstrdup(key->column_name[i]);
	return copy;
}

static List *
matches(const TableRelationships *table, const char *name, List *pins)
{
	List	   *found = NIL;

	for (int tier = FIRST_TIER; tier <= LAST_TIER && found == NIL; tier++)
		found = matches_in_tier(table, tier, name, pins, false);
	for (int tier = FIRST_TIER; tier <= LAST_TIER && found == NIL && pins != NIL; tier++)
		found = matches_in_tier(table, tier, name, pins, true);
	return found;
}

static List *
matches_in_tier(const TableRelationships *table, int tier, const char *name, List *pins,
				bool by_schema)
{
	List	   *found = NIL;
	ListCell   *cell;

	foreach(cell, table->relationships)
	{
		Relationship *r = lfirst(cell);

		if (answers(r, tier, name) && is_pinned(r, pins, by_schema))
			found = lappend(found, r);
	}
	return found;
}

static bool
answers(const Relationship *r, int tier, const char *name)
{
	const char *column;

	switch (tier)
	{
		case 1:
			return is_alias(r, name);
		case 2:
			return r->kind != AR_MANY_TO_MANY && strcmp(r->key->name, name) == 0;
		case 3:
			if (r->kind != AR_MANY_TO_ONE || (column = single_column(r->key)) == NULL)
				return false;
			return strcmp(column, name) == 0 || strcmp(without_id(column), name) == 0;
		case 4:
			return (r->kind == AR_ONE_TO_MANY || r->kind == AR_ONE_TO_ONE) &&
				strcmp(r->key->table_name, name) == 0;
		case 5:
			return r->kind == AR_ONE_TO_ONE &&
				strcmp(singular(r->key->table_name), name) == 0;
		default:
			return r->kind == AR_MANY_TO_MANY &&
				strcmp(r->target_name, name) == 0;
	}
}

static bool
is_alias(const Relationship *r, const char *name)
{
	ListCell   *cell;

	foreach(cell, r->aliases)
	{
		if (strcmp(lfirst(cell), name) == 0)
			return true;
	}
	return false;
}

/*
 * Do all pins hold?  Of a way from a table back to itself, that goes through an
 * association table, the first one names where it ends.
 */
static bool
is_pinned(const Relationship *r, List *pins, bool by_schema)
{
	bool		is_own_way = r->kind == AR_MANY_TO_MANY && r->key->target == r->far_key->target;
	bool		end_is_known = false;
	ListCell   *cell;

	foreach(cell, pins)
	{
		const char *pin = lfirst(cell);
		bool		is_near = is_key(r->key, pin);
		bool		is_far = r->kind == AR_MANY_TO_MANY && is_key(r->far_key, pin);

		if ((by_schema && strcmp(r->key->schema_name, pin) == 0) ||
			(r->kind == AR_MANY_TO_MANY && strcmp(r->key->table_name, pin) == 0))
			continue;
		if (is_own_way && (end_is_known ? !is_near : !is_far))
			return false;
		if (!is_near && !is_far)
			return false;
		end_is_known = true;
	}
	return true;
}

static bool
is_key(const ForeignKey *key, const char *pin)
{
	return strcmp(key->name, pin) == 0 || has_column(key, pin);
}

static bool
has_column(const ForeignKey *key, const char *name)
{
	for (int i = 0; i < key->key_count; i++)
	{
		if (strcmp(key->column_name[i], name) == 0)
			return true;
	}
	return false;
}

/*
 * The column of a foreign key; NULL if it has several.
 */
static char *
single_column(const ForeignKey *key)
{
	return key->key_count == 1 ? key->column_name[0] : NULL;
}

static char *
without_id(const char *column)
{
	size_t		length = strlen(column);

	if (length > 3 && strcmp(column + length - 3, "_id") == 0)
		return pnstrdup(column, length - 3);
	return pstrdup(column);
}

/*
 * The singular of a table's name, by the rules of English that hold for nearly
 * all of them; the name itself if it does not look like a plural.
 */
static char *
singular(const char *table)
{
	static const char *const es[] = {"sses", "shes", "ches", "xes", "zes"};
	size_t		length = strlen(table);

	if (length > 3 && strcmp(table + length - 3, "ies") == 0)
		return psprintf("%.*sy", (int) length - 3, table);
	for (int i = 0; i < lengthof(es); i++)
	{
		size_t		end = strlen(es[i]);

		if (length > end && strcmp(table + length - end, es[i]) == 0)
			return pnstrdup(table, length - 2);
	}
	if (length > 1 && table[length - 1] == 's' && table[length - 2] != 's')
		return pnstrdup(table, length - 1);
	return pstrdup(table);
}

/*
 * The name by which a relationship is called first.
 */
static char *
base_name(const Relationship *r)
{
	switch (r->kind)
	{
		case AR_MANY_TO_ONE:
			return r->key->key_count == 1 ? without_id(single_column(r->key)) : r->key->name;
		case AR_ONE_TO_ONE:
			return singular(r->key->table_name);
		case AR_ONE_TO_MANY:
			return r->key->table_name;
		default:
			return r->target_name;
	}
}

/*
 * The shortest spelling that names one relationship and no other, ready to
 * paste.
 */
static char *
paste_name(const TableRelationships *table, const Relationship *r)
{
	List	   *names = list_copy(r->aliases);
	List	   *pins;
	ListCell   *name;
	ListCell   *cell;

	names = lappend(names, base_name(r));
	if (r->kind == AR_MANY_TO_ONE && single_column(r->key))
		names = lappend(names, single_column(r->key));
	if (r->kind == AR_ONE_TO_ONE)
		names = lappend(names, r->key->table_name);
	pins = useful_pins(r);
	foreach(cell, pins)
	{
		foreach(name, names)
		{
			if (is_only_answer(table, r, lfirst(name), lfirst(cell)))
				return spell(lfirst(name), lfirst(cell));
		}
	}
	return spell(base_name(r), llast(pins));
}

/*
 * What a name may be pinned with, as Lists, the shortest one first.  The last
 * of them leaves no doubt.
 */
static List *
useful_pins(const Relationship *r)
{
	List	   *result = list_make1(NIL);
	List	   *with_schema = NIL;
	ListCell   *near;
	ListCell   *far;
	ListCell   *cell;

	if (r->kind != AR_MANY_TO_MANY)
	{
		foreach(near, key_pins(r->key))
			result = lappend(result, list_make1(lfirst(near)));
	}
	else
	{
		result = lappend(result, list_make1(r->key->table_name));
		foreach(far, key_pins(r->far_key))
			result = lappend(result, list_make1(lfirst(far)));
		foreach(near, key_pins(r->key))
			result = lappend(result, list_make1(lfirst(near)));
		foreach(far, key_pins(r->far_key))
		{
			foreach(near, key_pins(r->key))
				result = lappend(result, list_make2(lfirst(far), lfirst(near)));
		}
		result = lappend(result, list_make3(r->key->table_name, r->far_key->name, r->key->name));
	}
	foreach(cell, result)
		with_schema = lappend(with_schema, lcons(r->key->schema_name, list_copy(lfirst(cell))));
	return list_concat(result, with_schema);
}

/*
 * The column of a foreign key, where it has only one, and its name.
 */
static List *
key_pins(const ForeignKey *key)
{
	char	   *column = single_column(key);

	return column ? list_make2(column, key->name) : list_make1(key->name);
}

static bool
is_only_answer(const TableRelationships *table, const Relationship *r, const char *name,
			   List *pins)
{
	List	   *found = matches(table, name, pins);

	return list_length(found) == 1 && linitial(found) == r;
}

static char *
spell(const char *name, List *pins)
{
	List	   *quoted = NIL;
	ListCell   *cell;

	foreach(cell, pins)
		quoted = lappend(quoted, unconstify(char *, quote_identifier(lfirst(cell))));
	return join(quote_identifier(name), quoted);
}

static char *
join(const char *name, List *pins)
{
	StringInfoData text;
	ListCell   *cell;

	initStringInfo(&text);
	appendStringInfoString(&text, name);
	foreach(cell, pins)
		appendStringInfo(&text, "!%s", (char *) lfirst(cell));
	return text.data;
}

static char *
list_spellings(const TableRelationships *table, List *relationships)
{
	StringInfoData text;
	ListCell   *cell;

	initStringInfo(&text);
	foreach(cell, relationships)
		appendStringInfo(&text, "%s%s", text.len == 0 ? "" : ", ",
						 paste_name(table, lfirst(cell)));
	return text.data;
}
