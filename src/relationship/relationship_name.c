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
 * names: a constraint, a column of its foreign key, or an association table.
 * Nothing is guessed: several answers are an error.
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
static List *matches(const TableRelationships *table, const char *name, const char *pin);
static bool answers(const Relationship *r, int tier, const char *name);
static bool is_pinned(const Relationship *r, const char *pin);
static bool has_column(const ForeignKey *key, const char *name);
static char *single_column(const ForeignKey *key);
static char *without_id(const char *column);
static char *singular(const char *table);
static char *base_name(const Relationship *r);
static char *paste_name(const TableRelationships *table, const Relationship *r);
static char *spell(const char *name, const char *pin);
static char *list_spellings(const TableRelationships *table, List *relationships);
static bool is_only_answer(const TableRelationships *table, const Relationship *r,
						   const char *name, const char *pin);

/*
 * The relationship of a table that a name and a pin, which may be NULL, stand
 * for, copied into the current memory context; NULL if there is none.  Raises
 * 22023 if there are several.
 */
const Relationship *
ar_relationship_find(Oid table, const char *name, const char *pin)
{
	const TableRelationships *relationships = ar_relationship_table(table);
	List	   *found = matches(relationships, name, pin);

	if (found == NIL)
		return NULL;
	if (list_length(found) > 1)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("relationship \"%s\" of table \"%s\" is ambiguous",
					   pin ? psprintf("%s!%s", name, pin) : name, relationships->name),
				errdetail("It may be any of %s.", list_spellings(relationships, found)),
				errhint("Write the one that is meant."));
	return copy_relationship(linitial(found));
}

/*
 * The same; 42704 if there is none.
 */
const Relationship *
ar_relationship_resolve(Oid table, const char *name, const char *pin)
{
	const Relationship *found = ar_relationship_find(table, name, pin);

	if (found == NULL)
	{
		const TableRelationships *relationships = ar_relationship_table(table);

		ereport(ERROR,
				errcode(ERRCODE_UNDEFINED_OBJECT),
				errmsg("table \"%s\" has no relationship \"%s\"", relationships->name,
					   pin ? psprintf("%s!%s", name, pin) : name),
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

	if (r->alias)
		names = lappend(names, r->alias);
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
 * Take "name" or "name!pin" apart, as SQL reads identifiers; "pin" becomes
 * NULL where there is none.  False if it is neither.
 */
bool
ar_relationship_parse_spelling(const char *spelling, char **name, char **pin)
{
	List	   *parts;

	if (!SplitIdentifierString(pstrdup(spelling), '!', &parts) ||
		list_length(parts) < 1 || list_length(parts) > 2)
		return false;
	*name = linitial(parts);
	*pin = list_length(parts) == 2 ? lsecond(parts) : NULL;
	return true;
}

static Relationship *
copy_relationship(const Relationship *r)
{
	Relationship *copy = palloc(sizeof(Relationship));

	*copy = *r;
	copy->target_name = pstrdup(r->target_name);
	copy->alias = r->alias ? pstrdup(r->alias) : NULL;
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
matches(const TableRelationships *table, const char *name, const char *pin)
{
	for (int tier = FIRST_TIER; tier <= LAST_TIER; tier++)
	{
		List	   *found = NIL;
		ListCell   *cell;

		foreach(cell, table->relationships)
		{
			Relationship *r = lfirst(cell);

			if (answers(r, tier, name) && (pin == NULL || is_pinned(r, pin)))
				found = lappend(found, r);
		}
		if (found != NIL)
			return found;
	}
	return NIL;
}

static bool
answers(const Relationship *r, int tier, const char *name)
{
	const char *column;

	switch (tier)
	{
		case 1:
			return r->alias && strcmp(r->alias, name) == 0;
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
is_pinned(const Relationship *r, const char *pin)
{
	if (r->kind != AR_MANY_TO_MANY)
		return strcmp(r->key->name, pin) == 0 || has_column(r->key, pin);
	if (strcmp(r->key->table_name, pin) == 0)
		return true;

	/* the way back of a table to itself is named by where it ends */
	if (strcmp(r->far_key->name, pin) == 0 || has_column(r->far_key, pin))
		return true;
	return r->key->target != r->far_key->target &&
		(strcmp(r->key->name, pin) == 0 || has_column(r->key, pin));
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
	List	   *names = NIL;
	List	   *pins = list_make1(NULL);
	ListCell   *name;
	ListCell   *pin;

	if (r->alias)
		names = lappend(names, r->alias);
	names = lappend(names, base_name(r));
	if (r->kind == AR_MANY_TO_ONE && single_column(r->key))
		names = lappend(names, single_column(r->key));
	if (r->kind == AR_ONE_TO_ONE)
		names = lappend(names, r->key->table_name);
	if (r->kind == AR_MANY_TO_MANY)
	{
		pins = lappend(pins, r->key->table_name);
		if (single_column(r->far_key))
			pins = lappend(pins, single_column(r->far_key));
		pins = lappend(pins, r->far_key->name);
		if (single_column(r->key))
			pins = lappend(pins, single_column(r->key));
		pins = lappend(pins, r->key->name);
	}
	else
	{
		if (single_column(r->key))
			pins = lappend(pins, single_column(r->key));
		pins = lappend(pins, r->key->name);
	}
	foreach(pin, pins)
	{
		foreach(name, names)
		{
			if (is_only_answer(table, r, lfirst(name), lfirst(pin)))
				return spell(lfirst(name), lfirst(pin));
		}
	}
	return spell(base_name(r), r->key->name);
}

static bool
is_only_answer(const TableRelationships *table, const Relationship *r, const char *name,
			   const char *pin)
{
	List	   *found = matches(table, name, pin);

	return list_length(found) == 1 && linitial(found) == r;
}

static char *
spell(const char *name, const char *pin)
{
	if (pin == NULL)
		return pstrdup(quote_identifier(name));
	return psprintf("%s!%s", quote_identifier(name), quote_identifier(pin));
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
