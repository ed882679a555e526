/*
 * schema.h: the system catalogs of some schemas as a model.
 *
 * A SchemaModel is a set of objects with canonical attributes, all of them
 * text: what one attribute holds, two servers of the same version write alike.
 * It has no Oids in its values, no attribute numbers and no dropped columns.
 * Names within the target schema are not qualified, and nothing holds its
 * name, so that schemas of the same shape have the same model.  Nothing in
 * this room knows of revisions, and nothing changes the database.
 */
#ifndef AR_SCHEMA_H
#define AR_SCHEMA_H

#include "postgres.h"

#include "lib/stringinfo.h"
#include "nodes/pg_list.h"
#include "utils/hsearch.h"

/* In the order in which objects are best created. */
typedef enum SchemaKind
{
	AR_SCHEMA_SCHEMA,
	AR_SCHEMA_EXTENSION,
	AR_SCHEMA_COLLATION,
	AR_SCHEMA_ENUM,
	AR_SCHEMA_COMPOSITE,
	AR_SCHEMA_DOMAIN,
	AR_SCHEMA_DOMAIN_CONSTRAINT,
	AR_SCHEMA_RANGE,
	AR_SCHEMA_SEQUENCE,
	AR_SCHEMA_TABLE,
	AR_SCHEMA_VIEW,
	AR_SCHEMA_COLUMN,
	AR_SCHEMA_FUNCTION,
	AR_SCHEMA_AGGREGATE,
	AR_SCHEMA_DEFAULT,
	AR_SCHEMA_INHERITED_COLUMN, /* what a table says of a column that its
								 * parent has */
	AR_SCHEMA_SEQUENCE_OWNER,
	AR_SCHEMA_CONSTRAINT,
	AR_SCHEMA_FOREIGN_KEY,
	AR_SCHEMA_INDEX,
	AR_SCHEMA_REPLICA_IDENTITY,
	AR_SCHEMA_STATISTICS,
	AR_SCHEMA_RULE,
	AR_SCHEMA_TRIGGER,
	AR_SCHEMA_POLICY,
	AR_SCHEMA_UNMANAGED
} SchemaKind;

#define AR_SCHEMA_KINDS (AR_SCHEMA_UNMANAGED + 1)
#define AR_SCHEMA_ATTRIBUTES_MAX 28

typedef struct SchemaObject
{
	SchemaKind	kind;
	const char *schema;			/* NULL: the target schema */
	const char *name;
	const char *arguments;		/* of functions, as they identify them; else
								 * NULL */
	struct SchemaObject *parent;	/* what it is a part of, or NULL */
	const char *identity;		/* its key: unique in the model */
	const char **value;			/* of each attribute of its kind; NULL: none */
	List	   *needs;			/* SchemaObject *: what it depends on */
	List	   *users;			/* SchemaObject *: what depends on it */
	List	   *parts;			/* SchemaObject *: whose parent it is */
	List	   *valid_copies;	/* SchemaObject *: of a check that is not
								 * valid, tables that inherit it where it is */
	Oid			class_id;
	Oid			oid;
	int32		sub_id;
	Oid			schema_oid;

	bool		is_hidden;		/* a type or function that names without
								 * schema do not find */
	bool		is_large;		/* a table that online plans treat with care;
								 * set by who wants such a plan */

	/* while a plan is made */
	struct SchemaObject *attached_to;	/* of an index or key of a partition:
										 * the one of the partitioned table */
	struct SchemaObject *peer;	/* the object of that key in the other model */
	int			change;
	bool		retyped;
	bool		with_parent;
	bool		goes_first;		/* it is dropped before what it is a part of,
								 * though that goes, too */
	bool		acl_lost;		/* its privileges are revoked with those of
								 * its table */
	struct SchemaObject *goes_with; /* the column that takes it along when it
									 * is dropped */
	struct SchemaAction *dropped;
	struct SchemaAction *altered;
	struct SchemaAction *created;
	struct SchemaAction *toasted;	/* of a table: sets options of its TOAST
									 * table */
	struct SchemaObject *clash; /* what goes, and has its name */
} SchemaObject;

/* A schema to read. */
typedef struct SchemaPlace
{
	Oid			oid;
	const char *name;			/* its name in the model */
	bool		is_target;
} SchemaPlace;

/* A name that a schema has for now, and the one that the model has. */
typedef struct SchemaAlias
{
	const char *now;
	const char *name;
} SchemaAlias;

/* What to read. */
typedef struct SchemaSource
{
	List	   *places;			/* of SchemaPlace * */
	const char *path;			/* search_path that makes names relative;
								 * NULL: each schema is the target of its own
								 * objects */
	List	   *aliases;		/* of SchemaAlias * */
	bool		with_dependencies;
} SchemaSource;

typedef struct SchemaModel
{
	MemoryContext context;
	List	   *objects;		/* sorted by identity, after reading */
	HTAB	   *by_identity;
	HTAB	   *by_address;
	bool		is_many;		/* each schema is a model of its own:
								 * identities may be there again, and objects
								 * are sorted by schema first */
} SchemaModel;

typedef struct SchemaOptions
{
	bool		owners;			/* compare owners, too */
	bool		restores_owners;	/* what is created has the owner that the
									 * model says, also if they are not
									 * compared */
	bool		keep_extensions;	/* never drop an extension */
	bool		online;			/* keep large tables usable meanwhile */
} SchemaOptions;

typedef enum SchemaOperation
{
	AR_SCHEMA_DROP,
	AR_SCHEMA_RENAME,
	AR_SCHEMA_ALTER,
	AR_SCHEMA_CREATE
} SchemaOperation;

/* The word that refuses a transaction. */
#define AR_CONCURRENTLY "CONCURRENTLY "

/* What to know of a step before it runs on live data. */
#define AR_HAZARD_DELETES "deletes data"
#define AR_HAZARD_REWRITES "rewrites"
#define AR_HAZARD_BLOCKS_READS "blocks reads"
#define AR_HAZARD_BLOCKS_WRITES "blocks writes"
#define AR_HAZARD_SCANS "scans"
#define AR_HAZARD_WIDENS_ACCESS "widens access"
#define AR_HAZARD_FAILS_ON_ROWS "fails where there are rows"
#define AR_HAZARD_NEEDS_COMMIT "needs a commit"
#define AR_HAZARD_MAYBE_RENAME "may be a rename"

/* One step of a plan. */
typedef struct SchemaAction
{
	SchemaOperation operation;
	SchemaObject *object;		/* of the model where it exists */
	List	   *statements;		/* of char *, without semicolons */
	List	   *hazards;		/* of char * */
	int			group;			/* transaction group, from 1 */
	bool		is_late;
	bool		is_alone;		/* in a transaction of its own */
	List	   *labels;			/* of char *: quoted labels that it adds to an
								 * enum */
	struct SchemaAction *counterpart;	/* of a rename: what undoes it */

	/* ordering */
	List	   *after;			/* SchemaAction *: what has to wait for it */
	int			waits_for;
	int			number;			/* while cycles are looked for */
	int			component;
	int			index;
	bool		is_done;
} SchemaAction;

/* schema_model.c */
extern SchemaModel *ar_schema_model_new(void);
extern void ar_schema_model_free(SchemaModel *model);
extern SchemaObject *ar_schema_find(const SchemaModel *model, const char *identity);
extern SchemaObject *ar_schema_find_address(const SchemaModel *model, Oid class_id, Oid oid, int32 sub_id);
extern void ar_schema_add_address(SchemaModel *model, Oid class_id, Oid oid, int32 sub_id,
								  SchemaObject *object);
extern void ar_schema_add(SchemaModel *model, SchemaObject *object);
extern const char *ar_schema_value(const SchemaObject *object, const char *attribute);
extern bool ar_schema_flag(const SchemaObject *object, const char *attribute);
extern bool ar_schema_same(const SchemaObject *a, const SchemaObject *b, const char *attribute);
extern bool ar_schema_equal(const SchemaObject *a, const SchemaObject *b, const SchemaOptions *options);
extern List *ar_schema_differences(const SchemaModel *a, const SchemaModel *b,
								   const SchemaOptions *options);
extern const char *ar_schema_kind_name(const SchemaObject *object);

/* schema_read.c, schema_read_kinds.c, schema_read_depend.c, schema_acl.c */
extern SchemaModel *ar_schema_read(const SchemaSource *source);
extern char *ar_schema_path(const char *target, const char *more);
extern const char *const ar_schema_read_queries[AR_SCHEMA_KINDS];
extern const char **ar_schema_attributes(SchemaKind kind, int *count);
extern void ar_schema_read_dependencies(SchemaModel *model);
extern char *ar_schema_uses(const SchemaModel *model, Oid schema);
extern char *ar_schema_acl_default(char object_type);
extern char *ar_schema_acl_text(Datum acl, Oid owner);
extern List *ar_schema_acl_change(const char *from, const char *to, const char *on,
								  const char *owner);

/* schema_expression.c */
extern const char *ar_schema_canonical(const char *text);
extern const char *ar_schema_faithful(const char *text);

/* schema_fingerprint.c */
extern char *ar_schema_fingerprint(const SchemaModel *model, int first, int last,
								   const SchemaOptions *options);

/* schema_compare.c, schema_alter.c, schema_write.c, schema_order.c, schema_hazard.c, schema_online.c */
extern List *ar_schema_plan(SchemaModel *from, SchemaModel *to, const SchemaOptions *options);
extern bool ar_schema_can_alter(const SchemaObject *from, const SchemaObject *to);
extern bool ar_schema_retypes(const SchemaObject *from, const SchemaObject *to);
extern void ar_schema_alter(SchemaAction *action, const SchemaObject *from, const SchemaObject *to,
							const SchemaOptions *options);
extern void ar_schema_alter_toast(SchemaAction *action, const SchemaObject *from, const SchemaObject *to);
extern void ar_schema_create(SchemaAction *action, const SchemaObject *object,
							 const SchemaOptions *options);
extern void ar_schema_drop(SchemaAction *action, const SchemaObject *object);
extern bool ar_schema_is_inline(const SchemaObject *object);
extern bool ar_schema_same_columns(const SchemaObject *a, const SchemaObject *b);
extern List *ar_schema_name_list(const char *names);
extern const char *ar_schema_only(const SchemaObject *table);
extern void ar_schema_add_not_null(SchemaAction *action, const SchemaObject *column);
extern int	ar_schema_name_length(const char *text);
extern char *ar_schema_name(const SchemaObject *object);
extern char *ar_schema_place_name(const SchemaObject *object);
extern char *ar_schema_comment_name(const SchemaObject *object);
extern char *ar_schema_grant_name(const SchemaObject *object);
extern bool ar_schema_has(const SchemaObject *object, const char *attribute);
extern void ar_schema_rename_range(SchemaAction *action, const SchemaObject *range, const char *from,
								   const char *to);
extern void ar_schema_rename_multirange(SchemaAction *action, const SchemaObject *range, const char *from,
										const char *to);
extern void ar_schema_put_aside(SchemaAction *action, const SchemaObject *type);
extern void ar_schema_say(SchemaAction *action, const char *format,...) pg_attribute_printf(2, 3);
extern void ar_schema_require_visible(const SchemaObject *object);
extern void ar_schema_warn(SchemaAction *action, const char *hazard);
extern List *ar_schema_order(List *actions);
extern void ar_schema_judge(List *actions);
extern void ar_schema_group(List *actions);
extern List *ar_schema_online(List *actions);
extern char *ar_schema_offline(const char *statement);
extern const SchemaObject *ar_schema_whole(const SchemaObject *object);

#endif							/* AR_SCHEMA_H */
