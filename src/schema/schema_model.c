/*
 * schema_model.c: the objects of a model, found by key and by address.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "schema/schema.h"
#include "utils/memutils.h"

typedef struct IdentityEntry
{
	const char *identity;		/* the key; must be first */
	SchemaObject *object;
} IdentityEntry;

typedef struct Address
{
	Oid			class_id;
	Oid			oid;
	int32		sub_id;
} Address;

typedef struct AddressEntry
{
	Address		address;		/* the key; must be first */
	SchemaObject *object;
} AddressEntry;

static uint32 identity_hash(const void *key, Size size);
static int	identity_match(const void *a, const void *b, Size size);
static bool same_text(const char *a, const char *b);
static char *difference(const SchemaObject *a, const SchemaObject *b,
						const SchemaOptions *options);

/*
 * An empty model in a context of its own, a child of the current one.  All of it
 * goes at once, so that nothing of the memory is for what is freed alone.
 */
SchemaModel *
ar_schema_model_new(void)
{
	MemoryContext context = GenerationContextCreate(CurrentMemoryContext, "algo_ref schema model",
													ALLOCSET_DEFAULT_SIZES);
	SchemaModel *model = MemoryContextAllocZero(context, sizeof(SchemaModel));
	HASHCTL		control = {.keysize = sizeof(char *),.entrysize = sizeof(IdentityEntry),
	.hash = identity_hash,.match = identity_match,.hcxt = context};

	model->context = context;
	model->by_identity = hash_create("algo_ref schema identities", 256, &control,
									 HASH_ELEM | HASH_FUNCTION | HASH_COMPARE | HASH_CONTEXT);
	control.keysize = sizeof(Address);
	control.entrysize = sizeof(AddressEntry);
	model->by_address = hash_create("algo_ref schema addresses", 256, &control,
									HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	return model;
}

void
ar_schema_model_free(SchemaModel *model)
{
	MemoryContextDelete(model->context);
}

/*
 * Add an object, whose memory belongs to the model.
 */
void
ar_schema_add(SchemaModel *model, SchemaObject *object)
{
	MemoryContext old = MemoryContextSwitchTo(model->context);

	if (!model->is_many)
	{
		bool		found;
		IdentityEntry *entry = hash_search(model->by_identity, &object->identity, HASH_ENTER, &found);

		if (found)
			elog(ERROR, "%s is twice in the catalogs", object->identity);
		entry->object = object;
	}
	model->objects = lappend(model->objects, object);
	if (object->parent)
		object->parent->parts = lappend(object->parent->parts, object);
	MemoryContextSwitchTo(old);
}

/*
 * The object of a key, or NULL.
 */
SchemaObject *
ar_schema_find(const SchemaModel *model, const char *identity)
{
	IdentityEntry *entry = hash_search(model->by_identity, &identity, HASH_FIND, NULL);

	return entry ? entry->object : NULL;
}

void
ar_schema_add_address(SchemaModel *model, Oid class_id, Oid oid, int32 sub_id,
					  SchemaObject *object)
{
	Address		address = {class_id, oid, sub_id};
	AddressEntry *entry = hash_search(model->by_address, &address, HASH_ENTER, NULL);

	entry->object = object;
}

/*
 * The object that stands for an address of pg_depend, or NULL.
 */
SchemaObject *
ar_schema_find_address(const SchemaModel *model, Oid class_id, Oid oid, int32 sub_id)
{
	Address		address = {class_id, oid, sub_id};
	AddressEntry *entry = hash_search(model->by_address, &address, HASH_FIND, NULL);

	return entry ? entry->object : NULL;
}

/*
 * The value of an attribute, or NULL.  The attribute has to be one of the
 * object's kind.
 */
const char *
ar_schema_value(const SchemaObject *object, const char *attribute)
{
	int			count;
	const char **names = ar_schema_attributes(object->kind, &count);

	for (int i = 0; i < count; i++)
	{
		if (strcmp(names[i], attribute) == 0)
			return object->value[i];
	}
	elog(ERROR, "%s has no attribute \"%s\"", object->identity, attribute);
	return NULL;
}

/*
 * Does the object's kind have an attribute of that name?
 */
bool
ar_schema_has(const SchemaObject *object, const char *attribute)
{
	int			count;
	const char **names = ar_schema_attributes(object->kind, &count);

	for (int i = 0; i < count; i++)
	{
		if (strcmp(names[i], attribute) == 0)
			return true;
	}
	return false;
}

bool
ar_schema_flag(const SchemaObject *object, const char *attribute)
{
	const char *value = ar_schema_value(object, attribute);

	return value && strcmp(value, "true") == 0;
}

/*
 * Have two objects of one kind the same value, or both none?
 */
bool
ar_schema_same(const SchemaObject *a, const SchemaObject *b, const char *attribute)
{
	const char *left = ar_schema_value(a, attribute);
	const char *right = ar_schema_value(b, attribute);

	return same_text(left, right);
}

static bool
same_text(const char *a, const char *b)
{
	return a == b || (a && b && (strcmp(a, b) == 0 ||
								 strcmp(ar_schema_canonical(a), ar_schema_canonical(b)) == 0));
}

bool
ar_schema_equal(const SchemaObject *a, const SchemaObject *b, const SchemaOptions *options)
{
	return difference(a, b, options) == NULL;
}

/*
 * What differs between two models, as lines of text to show.
 */
List *
ar_schema_differences(const SchemaModel *a, const SchemaModel *b, const SchemaOptions *options)
{
	List	   *lines = NIL;
	ListCell   *cell;

	foreach(cell, a->objects)
	{
		SchemaObject *left = lfirst(cell);
		SchemaObject *right = ar_schema_find(b, left->identity);
		char	   *line;

		if (right == NULL)
			lines = lappend(lines, psprintf("%s is missing", left->identity));
		else if ((line = difference(left, right, options)) != NULL)
			lines = lappend(lines, line);
	}
	foreach(cell, b->objects)
	{
		SchemaObject *right = lfirst(cell);

		if (ar_schema_find(a, right->identity) == NULL)
			lines = lappend(lines, psprintf("%s is too much", right->identity));
	}
	return lines;
}

/*
 * The first attribute that differs, as a line; NULL if none does.
 */
static char *
difference(const SchemaObject *a, const SchemaObject *b, const SchemaOptions *options)
{
	int			count;
	const char **names = ar_schema_attributes(a->kind, &count);

	for (int i = 0; i < count; i++)
	{
		const char *left = a->value[i];
		const char *right = b->value[i];

		if (names[i][0] == '_' || (!options->owners && strcmp(names[i], "owner") == 0) || same_text(left, right))
			continue;
		return psprintf("%s: %s should be \"%s\" and is \"%s\"", a->identity, names[i],
						left ? left : "", right ? right : "");
	}
	return NULL;
}

static uint32
identity_hash(const void *key, Size size)
{
	const char *identity = *(const char *const *) key;

	return string_hash(identity, strlen(identity) + 1);
}

static int
identity_match(const void *a, const void *b, Size size)
{
	return strcmp(*(const char *const *) a, *(const char *const *) b);
}
