/*
 * relationship.h: foreign keys as relationships between tables.
 *
 *	const TableRelationships *table = ar_relationship_table(relid);
 *	const Relationship *posts = ar_relationship_resolve(relid, "posts", NULL);
 */
#ifndef AR_RELATIONSHIP_H
#define AR_RELATIONSHIP_H

#include "postgres.h"

#include "access/attnum.h"
#include "nodes/pg_list.h"

typedef enum RelationshipKind
{
	AR_MANY_TO_ONE,				/* our foreign key, to one row */
	AR_ONE_TO_ONE,				/* their foreign key, which is unique */
	AR_ONE_TO_MANY,				/* their foreign key */
	AR_MANY_TO_MANY				/* two foreign keys of an association table */
} RelationshipKind;

typedef struct ForeignKey
{
	Oid			constraint;
	char	   *name;
	Oid			table;			/* the referencing table */
	Oid			target;			/* the referenced table */
	char	   *schema_name;	/* of the referencing table */
	char	   *table_name;
	char	   *target_name;
	int			key_count;
	AttrNumber *column;
	AttrNumber *target_column;
	char	  **column_name;
	Oid		   *equality;		/* operators, referenced = referencing */
	bool		is_unique;		/* at most one row of table has a key */
} ForeignKey;

typedef struct Relationship
{
	RelationshipKind kind;
	Oid			table;			/* the near table */
	Oid			target;			/* the table that it leads to */
	char	   *target_name;
	List	   *aliases;		/* declared names */
	ForeignKey *key;			/* the foreign key at the near table */
	ForeignKey *far_key;		/* many-to-many: from association to target */
	bool		repeats;		/* several rows of the association may lead
								 * from one row to the same other one */
} Relationship;

typedef struct TableRelationships
{
	Oid			table;
	char	   *name;
	List	   *relationships;	/* of Relationship * */
} TableRelationships;

static inline bool
ar_relationship_is_to_one(const Relationship *r)
{
	return r->kind == AR_MANY_TO_ONE || r->kind == AR_ONE_TO_ONE;
}

static inline bool
ar_relationship_is_outgoing(const Relationship *r)
{
	return r->kind == AR_MANY_TO_ONE;
}

extern void ar_relationship_init(void);

/* relationship_catalog.c */
extern const TableRelationships *ar_relationship_table(Oid table);
extern uint64 ar_relationship_generation(void);
extern void ar_relationship_observe(Oid table);

/* relationship_name.c */
extern const Relationship *ar_relationship_find(Oid table, const char *name, List *pins);
extern const Relationship *ar_relationship_resolve(Oid table, const char *name, List *pins);
extern List *ar_relationship_spellings(const TableRelationships *table, const Relationship *r);
extern const char *ar_relationship_kind_name(RelationshipKind kind);
extern bool ar_relationship_parse_spelling(const char *spelling, char **name, List **pins);

/* relationship_alias.c */
extern void ar_relationship_read_aliases(TableRelationships *table);

#endif							/* AR_RELATIONSHIP_H */
