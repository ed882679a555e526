/*
 * revision_commit.c: what a script has in it that needs a commit.
 *
 * Two kinds: statements that refuse to run inside a transaction block, and
 * the use of a label of an enumerated type before the transaction that added
 * it has committed.  Whether a script is transactional is decided by what is
 * certain from its text alone: one that runs inside a single transaction is
 * never called anything else.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "commands/defrem.h"
#include "nodes/parsenodes.h"
#include "revision/revision.h"
#include "utils/guc.h"

/* How many tokens cast_label() looks at together, and which is the label. */
#define WINDOW_SIZE 12
#define WINDOW_LABEL 6

static const char *commit_need_of_reindex(ReindexStmt *stmt);
static const char *commit_need_of_alter_table(AlterTableStmt *stmt);
static const char *commit_need_of_alter_subscription(AlterSubscriptionStmt *stmt);
static bool option_is_on(List *options, const char *name, bool otherwise);
static bool has_option(List *options, const char *name);
static bool gave_up_slot(List *statements, const char *subscription);
static const char *unsafe_label_use(const char *text, List *statements, int *line);
static ScriptEnumLabel *cast_label(const char *text, const ScriptStatement *statement,
								   List *labels);
static bool is_cast(const ScriptToken *window, List *type_name);
static bool names_type(const ScriptToken *token, List *type_name);
static bool creates_type(Node *stmt, List *type_name);
static const char *do_body(Node *stmt);
static bool text_mentions(const char *text, const char *label, List *words);
static bool try_text_mentions(const char *text, const char *label, List *words);

/*
 * Why a script cannot run inside a transaction, and the line where it shows;
 * NULL if it can.  That is certain: a statement that refuses a transaction
 * block, or a label of an enumerated type that the script adds and then casts
 * to that type by name.
 */
const char *
ar_revision_script_needs_commit(const char *text, List *statements, int *line)
{
	ListCell   *cell;

	foreach(cell, statements)
	{
		ScriptStatement *statement = lfirst(cell);

		if (statement->needs_commit == NULL)
			continue;
		*line = statement->line;
		return statement->needs_commit;
	}
	return unsafe_label_use(text, statements, line);
}

/*
 * The command that refuses to run inside a transaction block, else NULL: what
 * calls PreventInTransactionBlock() in the server, as far as the statement
 * and the earlier ones of its script tell.
 */
const char *
ar_revision_commit_need(Node *stmt, List *earlier)
{
	switch (nodeTag(stmt))
	{
		case T_IndexStmt:
			return castNode(IndexStmt, stmt)->concurrent ? "CREATE INDEX CONCURRENTLY" : NULL;
		case T_DropStmt:
			return castNode(DropStmt, stmt)->concurrent ? "DROP INDEX CONCURRENTLY" : NULL;
		case T_ReindexStmt:
			return commit_need_of_reindex(castNode(ReindexStmt, stmt));
		case T_AlterTableStmt:
			return commit_need_of_alter_table(castNode(AlterTableStmt, stmt));
		case T_VacuumStmt:
			return castNode(VacuumStmt, stmt)->is_vacuumcmd ? "VACUUM" : NULL;
		case T_ClusterStmt:
			return castNode(ClusterStmt, stmt)->relation == NULL ? "CLUSTER" : NULL;
		case T_CreatedbStmt:
			return "CREATE DATABASE";
		case T_DropdbStmt:
			return "DROP DATABASE";
		case T_AlterDatabaseStmt:
			return has_option(castNode(AlterDatabaseStmt, stmt)->options, "tablespace") ?
				"ALTER DATABASE SET TABLESPACE" : NULL;
		case T_CreateTableSpaceStmt:
			return "CREATE TABLESPACE";
		case T_DropTableSpaceStmt:
			return "DROP TABLESPACE";
		case T_AlterSystemStmt:
			return "ALTER SYSTEM";
		case T_DiscardStmt:
			return castNode(DiscardStmt, stmt)->target == DISCARD_ALL ? "DISCARD ALL" : NULL;
		case T_CreateSubscriptionStmt:
			{
				List	   *options = castNode(CreateSubscriptionStmt, stmt)->options;

				/* without a connection no slot is made unless asked for */
				return option_is_on(options, "create_slot",
									option_is_on(options, "connect", true)) ?
					"CREATE SUBSCRIPTION" : NULL;
			}
		case T_AlterSubscriptionStmt:
			return commit_need_of_alter_subscription(castNode(AlterSubscriptionStmt, stmt));
		case T_DropSubscriptionStmt:
			return gave_up_slot(earlier, castNode(DropSubscriptionStmt, stmt)->subname) ?
				NULL : "DROP SUBSCRIPTION";
		default:
			return NULL;
	}
}

/*
 * The labels that a script adds to enumerated types, a list of
 * ScriptEnumLabel *.
 */
List *
ar_revision_script_enum_labels(List *statements)
{
	List	   *labels = NIL;
	ListCell   *cell;

	foreach(cell, statements)
	{
		ScriptStatement *statement = lfirst(cell);
		AlterEnumStmt *stmt = (AlterEnumStmt *) statement->raw->stmt;
		ScriptEnumLabel *label;

		/* with an old label it is RENAME VALUE */
		if (!IsA(stmt, AlterEnumStmt) || stmt->oldVal != NULL)
			continue;
		label = palloc0(sizeof(ScriptEnumLabel));
		label->type_name = stmt->typeName;
		label->label = stmt->newVal;
		label->if_not_exists = stmt->skipIfNewValExists;
		label->statement = foreach_current_index(cell);
		for (int i = 0; i < label->statement && !label->type_is_new; i++)
		{
			ScriptStatement *earlier = list_nth(statements, i);

			label->type_is_new = creates_type(earlier->raw->stmt, stmt->typeName);
		}
		labels = lappend(labels, label);
	}
	return labels;
}

/*
 * Does a statement contain the string constant "label" together with one of
 * "words" (of char *, as the catalogs spell them) as a name?  The body of DO
 * counts as part of the statement; ALTER TYPE ... ADD VALUE and COMMENT,
 * which name labels without using them, never do.
 */
bool
ar_revision_script_mentions(const char *text, const ScriptStatement *statement,
							const char *label, List *words)
{
	Node	   *stmt = statement->raw->stmt;
	const char *body = do_body(stmt);
	char	   *own;
	bool		result;

	if (IsA(stmt, AlterEnumStmt) || IsA(stmt, CommentStmt))
		return false;
	if (body)
		return try_text_mentions(body, label, words);
	own = pnstrdup(&text[statement->location], statement->length);
	result = text_mentions(own, label, words);
	pfree(own);
	return result;
}

static const char *
commit_need_of_reindex(ReindexStmt *stmt)
{
	if (option_is_on(stmt->params, "concurrently", false))
		return "REINDEX CONCURRENTLY";
	switch (stmt->kind)
	{
		case REINDEX_OBJECT_SCHEMA:
			return "REINDEX SCHEMA";
		case REINDEX_OBJECT_SYSTEM:
			return "REINDEX SYSTEM";
		case REINDEX_OBJECT_DATABASE:
			return "REINDEX DATABASE";
		case REINDEX_OBJECT_INDEX:
		case REINDEX_OBJECT_TABLE:
			return NULL;
	}
	return NULL;
}

static const char *
commit_need_of_alter_table(AlterTableStmt *stmt)
{
	ListCell   *cell;

	foreach(cell, stmt->cmds)
	{
		AlterTableCmd *command = lfirst_node(AlterTableCmd, cell);

		if (command->subtype == AT_DetachPartition &&
			castNode(PartitionCmd, command->def)->concurrent)
			return "ALTER TABLE ... DETACH PARTITION CONCURRENTLY";
	}
	return NULL;
}

static const char *
commit_need_of_alter_subscription(AlterSubscriptionStmt *stmt)
{
	switch (stmt->kind)
	{
		case ALTER_SUBSCRIPTION_SET_PUBLICATION:
		case ALTER_SUBSCRIPTION_ADD_PUBLICATION:
		case ALTER_SUBSCRIPTION_DROP_PUBLICATION:
			return option_is_on(stmt->options, "refresh", true) ?
				"ALTER SUBSCRIPTION with refresh" : NULL;
		case ALTER_SUBSCRIPTION_REFRESH:
			return "ALTER SUBSCRIPTION ... REFRESH";
		case ALTER_SUBSCRIPTION_OPTIONS:
			/* these change the slot on the other server */
			if (has_option(stmt->options, "failover"))
				return "ALTER SUBSCRIPTION ... SET (failover)";
			if (has_option(stmt->options, "two_phase"))
				return "ALTER SUBSCRIPTION ... SET (two_phase)";
			return NULL;
		default:
			return NULL;
	}
}

static bool
option_is_on(List *options, const char *name, bool otherwise)
{
	ListCell   *cell;

	foreach(cell, options)
	{
		DefElem    *option = lfirst_node(DefElem, cell);

		if (strcmp(option->defname, name) == 0)
			return defGetBoolean(option);
	}
	return otherwise;
}

static bool
has_option(List *options, const char *name)
{
	ListCell   *cell;

	foreach(cell, options)
	{
		if (strcmp(lfirst_node(DefElem, cell)->defname, name) == 0)
			return true;
	}
	return false;
}

/*
 * Has one of "statements" detached a subscription from its slot?  It can be
 * dropped inside a transaction then.
 */
static bool
gave_up_slot(List *statements, const char *subscription)
{
	ListCell   *cell;

	foreach(cell, statements)
	{
		ScriptStatement *statement = lfirst(cell);
		AlterSubscriptionStmt *stmt = (AlterSubscriptionStmt *) statement->raw->stmt;
		ListCell   *option_cell;

		if (!IsA(stmt, AlterSubscriptionStmt) || stmt->kind != ALTER_SUBSCRIPTION_OPTIONS ||
			strcmp(stmt->subname, subscription) != 0)
			continue;
		foreach(option_cell, stmt->options)
		{
			DefElem    *option = lfirst_node(DefElem, option_cell);

			if (strcmp(option->defname, "slot_name") == 0 && option->arg != NULL &&
				strcmp(defGetString(option), "none") == 0)
				return true;
		}
	}
	return false;
}

/*
 * Does a script add a label to a type that it does not create, and then cast
 * that label to the type?  That fails before a commit, always.
 */
static const char *
unsafe_label_use(const char *text, List *statements, int *line)
{
	List	   *labels = NIL;
	List	   *added = ar_revision_script_enum_labels(statements);
	ListCell   *cell;

	if (added == NIL)
		return NULL;
	foreach(cell, statements)
	{
		ScriptStatement *statement = lfirst(cell);
		ScriptEnumLabel *label;

		if (IsA(statement->raw->stmt, AlterEnumStmt))
		{
			label = added ? linitial(added) : NULL;
			if (label == NULL || label->statement != foreach_current_index(cell))
				continue;
			added = list_delete_first(added);
			/* a label that may have been there can be used at once */
			if (!label->type_is_new && !label->if_not_exists)
				labels = lappend(labels, label);
		}
		else if (labels != NIL && (label = cast_label(text, statement, labels)) != NULL)
		{
			*line = statement->line;
			return psprintf("the use of label \"%s\" of type %s, added in line %d",
							label->label, NameListToString(label->type_name),
							((ScriptStatement *) list_nth(statements, label->statement))->line);
		}
	}
	return NULL;
}

/*
 * The one of "labels" that a statement has as a constant of its type, that is,
 * cast to it by name or as the default of a column of it; NULL if it has none.
 */
static ScriptEnumLabel *
cast_label(const char *text, const ScriptStatement *statement, List *labels)
{
	char	   *own = pnstrdup(&text[statement->location], statement->length);
	ScriptTokens *tokens = ar_revision_tokens_begin(own);
	ScriptToken window[WINDOW_SIZE] = {0};
	ScriptEnumLabel *found = NULL;
	bool		more = true;
	int			pending = 0;

	while (found == NULL && (more || pending > 0))
	{
		ListCell   *cell;

		ar_revision_token_free(&window[0]);
		memmove(window, window + 1, (WINDOW_SIZE - 1) * sizeof(ScriptToken));
		memset(&window[WINDOW_SIZE - 1], 0, sizeof(ScriptToken));
		if (more && (more = ar_revision_tokens_next(tokens, &window[WINDOW_SIZE - 1])))
			pending = WINDOW_SIZE - WINDOW_LABEL;
		else
			pending--;
		if (window[WINDOW_LABEL].class != AR_TOKEN_SCONST)
			continue;
		foreach(cell, labels)
		{
			ScriptEnumLabel *label = lfirst(cell);

			if (ar_revision_token_is_string(&window[WINDOW_LABEL], label->label) &&
				is_cast(window, label->type_name))
				found = label;
		}
	}
	ar_revision_tokens_end(tokens);
	pfree(own);
	return found;
}

/*
 * Is the string in the middle of the window one of: 'x'::type, type 'x',
 * CAST ('x' AS type), type [NOT NULL] DEFAULT 'x'?
 */
static bool
is_cast(const ScriptToken *window, List *type_name)
{
	const ScriptToken *label = window + WINDOW_LABEL;
	const ScriptToken *name = NULL;
	const ScriptToken *before;

	if (label[1].class == AR_TOKEN_TYPECAST)
		name = label + 2;
	else if (ar_revision_token_is_name(label + 1, "as") && label[-1].class == '(' && ar_revision_token_is_name(label - 2, "cast"))
		name = label + 2;
	if (name)
	{
		/* schema "." name, and no array */
		if (name[1].class == '.')
			name += 2;
		return names_type(name, type_name) && name[1].class != '[' && name[1].class != '.' &&
			!ar_revision_token_is_name(name + 1, "array");
	}
	before = label - 1;
	if (ar_revision_token_is_name(before, "default"))
	{
		before--;
		if (ar_revision_token_is_name(before, "null"))
			before--;
		if (ar_revision_token_is_name(before, "not"))
			before--;
	}
	return before >= window && names_type(before, type_name);
}

/*
 * Is a token the name of the type?  If both are qualified, the schemas agree.
 */
static bool
names_type(const ScriptToken *token, List *type_name)
{
	if (!ar_revision_token_is_name(token, strVal(llast(type_name))))
		return false;
	return list_length(type_name) == 1 || token[-1].class != '.' ||
		ar_revision_token_is_name(token - 2, strVal(list_nth(type_name, list_length(type_name) - 2)));
}

/*
 * Does a statement create the enumerated type of that name?
 */
static bool
creates_type(Node *stmt, List *type_name)
{
	List	   *name;

	if (!IsA(stmt, CreateEnumStmt))
		return false;
	name = castNode(CreateEnumStmt, stmt)->typeName;
	if (strcmp(strVal(llast(name)), strVal(llast(type_name))) != 0)
		return false;
	return list_length(name) == 1 || list_length(type_name) == 1 || equal(name, type_name);
}

/*
 * The body of a DO statement, else NULL.
 */
static const char *
do_body(Node *stmt)
{
	ListCell   *cell;

	if (!IsA(stmt, DoStmt))
		return NULL;
	foreach(cell, castNode(DoStmt, stmt)->args)
	{
		DefElem    *option = lfirst_node(DefElem, cell);

		if (strcmp(option->defname, "as") == 0)
			return strVal(option->arg);
	}
	return NULL;
}

static bool
text_mentions(const char *text, const char *label, List *words)
{
	ScriptTokens *tokens;
	ScriptToken token;
	bool		has_label = false;
	bool		has_word = false;

	tokens = ar_revision_tokens_begin(text);
	while (!(has_label && has_word) && ar_revision_tokens_next(tokens, &token))
	{
		ListCell   *cell;

		has_label |= ar_revision_token_is_string(&token, label);
		foreach(cell, words)
			has_word |= ar_revision_token_is_name(&token, lfirst(cell));
		ar_revision_token_free(&token);
	}
	ar_revision_tokens_end(tokens);
	return has_label && has_word;
}

/*
 * The same for the body of a function, which may be in any language: what
 * cannot be read as tokens mentions nothing.
 */
static bool
try_text_mentions(const char *text, const char *label, List *words)
{
	MemoryContext context = CurrentMemoryContext;
	int			nest_level = NewGUCNestLevel();
	volatile bool result = false;

	PG_TRY();
	{
		result = text_mentions(text, label, words);
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		FlushErrorState();
	}
	PG_END_TRY();
	AtEOXact_GUC(true, nest_level);
	return result;
}
