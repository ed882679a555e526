/*
 * revision.h: the revision DAG and the stored scripts.
 *
 * Pure reasoning: nothing in this room runs a script.  A RevisionMap is read
 * once per call from algo_ref.script, lives in a memory context of its own,
 * and numbers the revisions 0 .. count-1 in load order, so that "in load
 * order" is integer order everywhere.
 */
#ifndef AR_REVISION_H
#define AR_REVISION_H

#include "postgres.h"

#include "common/compat.h"
#include "common/state_table.h"
#include "fmgr.h"
#include "nodes/parsenodes.h"
#include "nodes/pg_list.h"
#include "storage/itemptr.h"
#include "utils/snapshot.h"

/* The number of a revision in its map. */
typedef int32 RevisionIndex;

/* No revision; as a position of a walk, the one under all bases. */
#define AR_BASE ((RevisionIndex) -1)

/* Adjacency lists, one for each revision, packed. */
typedef struct RevisionLinks
{
	int32	   *first;			/* count + 1 offsets into item */
	RevisionIndex *item;
} RevisionLinks;

#define AR_LINKS_COUNT(links, r) ((links).first[(r) + 1] - (links).first[r])
#define AR_LINKS_ITEM(links, r, i) ((links).item[(links).first[r] + (i)])

/* What is kept of a row of algo_ref.script; the bodies are not. */
typedef struct Revision
{
	const char *id;
	const char *message;
} Revision;

typedef struct RevisionMap
{
	MemoryContext context;
	int32		count;
	int64		load_order;		/* of the last revision; 0 if there is none */
	Revision   *revision;		/* in load order */
	uint8	   *flags;			/* AR_REVISION_... */
	int32	   *generation;		/* more than that of everything below; all 0
								 * if a partial map has a cycle */
	int32	   *line_first;		/* see ar_revision_on_line() */
	int32	   *line_end;

	RevisionLinks revises;		/* parents, as declared */
	RevisionLinks deps;			/* resolved depends_on, duplicates removed */
	RevisionLinks below;		/* revises, then dependencies not inherited */
	RevisionLinks children;		/* who revises it */
	RevisionLinks dependents;	/* who revises it or depends on it */
	RevisionLinks labels;		/* branch labels it owns: indexes of label[] */
	const char **label;
	RevisionIndex *label_owner;
	int32		label_count;

	struct revision_name_hash *names;	/* id or label -> revision */
} RevisionMap;

#define AR_REVISION_NONTRANSACTIONAL	0x01	/* script.transactional is
												 * false */

typedef enum RevisionDirection
{
	AR_UPGRADE,
	AR_DOWNGRADE,
	AR_STAMP
} RevisionDirection;

/*
 * Ordered steps, and where they start.  An upgrade or downgrade step runs the
 * script of its revision.  A stamp step puts its revision into the version
 * rows, or, when the target is the base, takes it out of them.
 */
typedef struct RevisionPlan
{
	const RevisionMap *map;
	RevisionDirection direction;
	int32		count;
	RevisionIndex *step;
	int32		row_count;
	RevisionIndex *row;			/* version rows before the first step, in
								 * order */
	bool		to_base;		/* stamp only: the steps take rows away */
	int32		taken_count;	/* stamp only: rows that the first step takes
								 * away */
	RevisionIndex *taken;
} RevisionPlan;

/*
 * The version rows while a plan is carried out.  After each step "removed"
 * and "added" say what that step changed; "row" holds all rows, in their
 * stable order: a row that is replaced keeps its place.
 */
typedef struct RevisionHeads
{
	const RevisionPlan *plan;
	int32		next_step;
	int32		row_count;
	RevisionIndex *row;
	int32		removed_count;
	RevisionIndex *removed;
	int32		added_count;
	RevisionIndex *added;
	struct RevisionHeadsState *state;	/* private to revision_heads.c */
} RevisionHeads;

/* revision_map.c */
extern RevisionMap *ar_revision_map_load(Snapshot snapshot);
extern RevisionMap *ar_revision_map_load_partial(Snapshot snapshot);
extern void ar_revision_map_free(RevisionMap *map);
extern RevisionIndex ar_revision_map_find(const RevisionMap *map, const char *name);
extern bool ar_revision_is_real_head(const RevisionMap *map, RevisionIndex r);
extern bool ar_revision_is_head(const RevisionMap *map, RevisionIndex r);
extern char *ar_revision_short_message(const char *message);
extern char *ar_revision_names(const RevisionMap *map, const RevisionIndex *revisions, int32 count);

/* An identifier, taken apart. */
typedef struct RevisionIdentifier
{
	const char *text;
	char	   *branch;			/* NULL: none */
	char	   *symbol;			/* NULL: none, which only a relative one may
								 * have */
	bool		is_relative;
	int64		steps;			/* up if positive */
} RevisionIdentifier;

/* revision_resolve.c: lists of RevisionIndex */
extern RevisionIdentifier *ar_revision_identifier_parse(const char *text);
extern List *ar_revision_resolve(const RevisionMap *map, const char *text);
extern List *ar_revision_resolve_list(const RevisionMap *map, const char *identifiers);
extern RevisionIndex ar_revision_resolve_one(const RevisionMap *map, const char *text);
extern List *ar_revision_split(const char *identifiers);
extern char *ar_revision_excerpt(const char *text);
extern RevisionIndex ar_revision_branch(const RevisionMap *map, const char *branch);
pg_noreturn extern void ar_revision_refuse_several(const RevisionMap *map, const char *text,
												   List *revisions);
extern char *ar_revision_list_names(const RevisionMap *map, List *revisions);
extern List *ar_revision_match_prefix(const RevisionMap *map, const char *word, const bool *lineage);

/* revision_links.c */
extern void ar_revision_links_complete(RevisionMap *map, bool partial);

/*
 * Does one come to "lower" by going from "upper" to the first parent, again
 * and again?  Takes no time; not for a partial map.
 */
static inline bool
ar_revision_on_line(const RevisionMap *map, RevisionIndex lower, RevisionIndex upper)
{
	return map->line_first[lower] <= map->line_first[upper] &&
		map->line_first[upper] < map->line_end[lower];
}

/* revision_walk.c: sets are arrays of bool, one for each revision */
extern bool *ar_revision_closure(const RevisionMap *map, const RevisionIndex *from, int32 count);
extern bool *ar_revision_dependents_of(const RevisionMap *map, const RevisionIndex *from, int32 count);
extern bool *ar_revision_ancestors(const RevisionMap *map, RevisionIndex r);
extern bool *ar_revision_descendants(const RevisionMap *map, const RevisionIndex *from, int32 count);
extern bool *ar_revision_lineage(const RevisionMap *map, RevisionIndex r);
extern bool *ar_revision_kin(const RevisionMap *map, RevisionIndex r);
extern bool *ar_revision_label_spread(const RevisionMap *map, RevisionIndex owner);
extern bool *ar_revision_label_carriers(const RevisionMap *map, const char *label);
extern bool *ar_revision_empty_set(const RevisionMap *map);
extern bool *ar_revision_add_set(const RevisionMap *map, bool *set, bool *more);
extern RevisionIndex ar_revision_walk(const RevisionMap *map, RevisionIndex start, int64 steps,
									  const bool *lineage, bool clip);
extern RevisionIndex *ar_revision_bases(const RevisionMap *map, int32 *count);
extern char *ar_revision_place(const RevisionMap *map, RevisionIndex r);

/* revision_order.c */
extern RevisionIndex *ar_revision_descend(const RevisionMap *map, const bool *set,
										  const bool *heads, const bool *between,
										  int32 *count);

/* revision_plan.c */
extern RevisionPlan *ar_revision_plan(const RevisionMap *map, RevisionDirection direction,
									  const char *target, List *rows);
extern const char *ar_revision_direction_name(RevisionDirection direction);
extern bool ar_revision_names_current(const char *range);
extern char *ar_revision_range_expand(const RevisionMap *map, const char *range, List *current);
extern List *ar_revision_history(const RevisionMap *map, const char *range);
extern List *ar_revision_filter_branch(const RevisionMap *map, List *revisions, const char *branch);
extern List *ar_revision_current(const RevisionMap *map, List *rows);

/* revision_heads.c */
extern RevisionHeads *ar_revision_heads_begin(const RevisionPlan *plan);
extern void ar_revision_heads_advance(RevisionHeads *heads);

/*
 * One statement of a script.  "location" and "length" are bytes of the script
 * text, leading blanks and comments left out; "line" counts from 1.
 */
typedef struct ScriptStatement
{
	int			location;
	int			length;
	int			line;
	RawStmt    *raw;
	const char *needs_commit;	/* NULL, or the command that refuses a
								 * transaction block */
} ScriptStatement;

/*
 * A label that a script adds to an enumerated type.  The server refuses to
 * use such a label before the transaction that added it has committed.
 */
typedef struct ScriptEnumLabel
{
	List	   *type_name;		/* of String nodes, as written */
	const char *label;
	bool		if_not_exists;
	int			statement;		/* its index in the list of statements */
	bool		type_is_new;	/* an earlier statement creates the type */
} ScriptEnumLabel;

/*
 * The token numbers of the server's core scanner, fixed by parser/scanner.h;
 * gram.h, which has their names, is not installed.
 */
enum ScriptTokenClass
{
	AR_TOKEN_IDENT = 258,
	AR_TOKEN_UIDENT,
	AR_TOKEN_FCONST,
	AR_TOKEN_SCONST,
	AR_TOKEN_USCONST,
	AR_TOKEN_BCONST,
	AR_TOKEN_XCONST,
	AR_TOKEN_OP,
	AR_TOKEN_ICONST,
	AR_TOKEN_PARAM,
	AR_TOKEN_TYPECAST
};

/* A token of a script.  Keywords are names. */
typedef struct ScriptToken
{
	int			class;			/* as above, or a character; 0 at the end */
	int			location;
	char	   *text;			/* palloc'd, of what has one; else NULL */
	int			number;			/* of ICONST and PARAM */
} ScriptToken;

typedef struct ScriptTokens ScriptTokens;

/* revision_token.c */
extern ScriptTokens *ar_revision_tokens_begin(const char *text);
extern bool ar_revision_tokens_next(ScriptTokens *tokens, ScriptToken *token);
extern void ar_revision_tokens_end(ScriptTokens *tokens);
extern void ar_revision_token_free(ScriptToken *token);
extern bool ar_revision_token_is_name(const ScriptToken *token, const char *name);
extern bool ar_revision_token_is_string(const ScriptToken *token, const char *string);
extern bytea *ar_revision_script_checksum(const char *upgrade, const char *downgrade);

/* revision_script.c */
extern List *ar_revision_script_parse(const char *text, RevisionDirection direction,
									  const char *revision);
extern char *ar_revision_script_excerpt(const char *text, int location, int *position);
extern int	ar_revision_script_skip_blanks(const char *text, int location, int end);
extern int	ar_revision_script_line(const char *text, int location);

/* revision_commit.c */
extern const char *ar_revision_commit_need(Node *stmt, List *earlier);
extern const char *ar_revision_script_needs_commit(const char *text, List *statements, int *line);
extern List *ar_revision_script_enum_labels(List *statements);
extern bool ar_revision_script_mentions(const char *text, const ScriptStatement *statement,
										const char *label, List *words);

/* The columns of algo_ref.script; the ones before the message are narrow. */
enum ScriptColumn
{
	Anum_script_revision = 1,
	Anum_script_load_order,
	Anum_script_revises,
	Anum_script_branch_labels,
	Anum_script_depends_on,
	Anum_script_transactional,
	Anum_script_author,
	Anum_script_created_at,
	Anum_script_checksum,
	Anum_script_message,
	Anum_script_upgrade,
	Anum_script_downgrade,
	Natts_script = Anum_script_downgrade
};

/* The columns of algo_ref.version. */
enum VersionColumn
{
	Anum_version_schema = 1,
	Anum_version_revision,
	Anum_version_position,
	Anum_version_since,
	Natts_version = Anum_version_since
};

/* A row of algo_ref.script, whole. */
typedef struct StoredScript
{
	ItemPointerData tid;
	char	   *revision;
	int64		load_order;		/* 0: to be allocated by the insert */
	List	   *revises;		/* of char * */
	List	   *branch_labels;
	List	   *depends_on;
	bool		transactional;
	char	   *author;
	TimestampTz created_at;
	bytea	   *checksum;
	char	   *message;
	char	   *upgrade;
	char	   *downgrade;		/* NULL: irreversible */
} StoredScript;

/* A row of algo_ref.version. */
typedef struct VersionRow
{
	ItemPointerData tid;
	char	   *schema;
	char	   *revision;
	int32		position;
	TimestampTz since;
} VersionRow;

/* The row of algo_ref.head_summary. */
typedef struct HeadSummary
{
	int64		load_order;
	List	   *heads;			/* of char *, in load order */
	List	   *real_heads;
} HeadSummary;

/* revision_store.c */
extern StoredScript *ar_revision_fetch(const char *revision, Snapshot snapshot);
extern StoredScript *ar_revision_store_fetch(StateTable *scripts, const char *revision,
											 Snapshot snapshot);
extern void ar_revision_store_insert(StateTable *scripts, StoredScript *script);
extern void ar_revision_store_update(StateTable *scripts, const StoredScript *script);
extern void ar_revision_store_delete(StateTable *scripts, const StoredScript *script);
extern char *ar_revision_store_label_owner(StateTable *scripts, const char *label);
extern List *ar_revision_store_children(StateTable *scripts, const char *revision, int limit);
extern int64 ar_revision_last_load_order(Snapshot snapshot);
extern List *ar_revision_version_rows(const char *schema, Snapshot snapshot);
extern List *ar_revision_row_ids(const char *schema, Snapshot snapshot);
extern List *ar_revision_applied_schemas(const char *revision, Snapshot snapshot);
extern HeadSummary *ar_revision_head_summary_read(Snapshot snapshot);
extern bool ar_revision_head_summary_lock(void);
extern void ar_revision_head_summary_write(const HeadSummary *summary);
extern void ar_revision_head_summary_delete(void);
extern List *ar_revision_text_list(Datum array);
extern Datum ar_revision_text_array(List *texts);

/* revision_check.c */
extern void ar_revision_check(StateTable *scripts, StoredScript *script);

/* revision_register.c */
extern List *ar_revision_names_argument(FunctionCallInfo fcinfo, int n, const char *name);
extern char *ar_revision_name_list(List *names);
extern List *ar_revision_lock_applied(const char *revision);
extern void ar_revision_run_hooks(const StoredScript *script, const char *change);
extern bool ar_revision_same_graph(const StoredScript *a, const StoredScript *b);

/* revision_change.c */
extern List *ar_revision_ids_of(StateTable *scripts, const char *identifier, Snapshot snapshot);

/* revision_graph.c */
extern List *ar_revision_graph(const RevisionMap *map, const char *format, List *current);

/* revision_api.c */
extern char *ar_revision_text_argument(FunctionCallInfo fcinfo, int n, const char *name);
extern char *ar_revision_plan_checksum(const RevisionPlan *plan, Snapshot snapshot);

#endif							/* AR_REVISION_H */
