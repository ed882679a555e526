/*
 * prefetch_query.c: the query whose rows come first.
 *
 * The keys that the first level needs come from the columns that it returns,
 * whatever they are called there.  One that it does not return is added to it,
 * unseen, where that cannot change its rows.
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/pg_class.h"
#include "common/parameter.h"
#include "executor/executor.h"
#include "nodes/makefuncs.h"
#include "parser/analyze.h"
#include "parser/parser.h"
#include "parser/parsetree.h"
#include "prefetch/prefetch.h"
#include "rewrite/rewriteHandler.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

/* A table that the query reads, and which of its columns come back. */
typedef struct Source
{
	int			varno;
	Oid			table;
	bool		is_direct;		/* a table in FROM: columns can be added */
	AttrNumber	position[MaxHeapAttributeNumber + 1];	/* 0: not returned */
} Source;

static RawStmt *parse_alone(const char *text);
static List *find_sources(Query *query);
static Source *get_source(List **sources, int varno, Oid table, bool is_direct);
static bool trace_view(Oid *table, AttrNumber *column);
static Source *source_of(List *sources, PathNode *node);
static bool takes_columns(Query *query);

/*
 * Read the query.  Raises 22023 unless it is one statement, 0A000 unless it
 * only reads, and the server's own errors.
 */
PrefetchQuery *
ar_prefetch_read_query(const char *text)
{
	PrefetchQuery *result = palloc0(sizeof(PrefetchQuery));
	NamedText  *named = ar_parameter_number(text);
	ErrorContextCallback callback = {.previous = error_context_stack,
	.callback = ar_prefetch_error_callback,.arg = unconstify(char *, named->shown)};
	Oid		   *types = palloc0(sizeof(Oid) * Max(named->count, 1));
	int			type_count = named->count;
	RawStmt    *statement;
	int			length;
	ListCell   *cell;

	error_context_stack = &callback;
	statement = parse_alone(named->text);
	length = statement->stmt_len > 0 ? statement->stmt_len : strlen(named->text) - statement->stmt_location;

	/* places are the same in both texts */
	result->text = strlen(text) == strlen(named->text) ?
		pnstrdup(text +statement->stmt_location, length) : text;

	result->query = parse_analyze_varparams(copyObject(statement), named->shown, &types, &type_count, NULL);
	if (result->query->commandType != CMD_SELECT || result->query->hasModifyingCTE || result->query->rowMarks)
		ereport(ERROR,
				errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				errmsg("the query has to read only"),
				errdetail("It changes or locks rows."));
	error_context_stack = callback.previous;
	ar_prefetch_check_parameters(type_count, named->count);
	result->sources = find_sources(result->query);
	foreach(cell, result->query->targetList)
	{
		TargetEntry *entry = lfirst(cell);

		if (!entry->resjunk)
			result->column_names = lappend(result->column_names, entry->resname);
	}
	return result;
}

/*
 * A mistake shows in the text that it is in, not in the caller's statement.
 */
void
ar_prefetch_error_callback(void *arg)
{
	int			position = geterrposition();

	if (position > 0)
	{
		errposition(0);
		internalerrposition(position);
		internalerrquery(arg);
	}
}

/*
 * Raise 42P02 for a $n of the caller's own.
 */
void
ar_prefetch_check_parameters(int count, int named)
{
	if (count > named)
		ereport(ERROR,
				errcode(ERRCODE_UNDEFINED_PARAMETER),
				errmsg("parameters have names here, not numbers"),
				errhint("Write :name, and give its value to algo_ref.prefetch_query()."));
}

static RawStmt *
parse_alone(const char *text)
{
	List	   *parsed = raw_parser(text, RAW_PARSE_DEFAULT);
	RawStmt    *statement;

	if (list_length(parsed) != 1)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("the query has to be one statement, not %d", list_length(parsed)));
	statement = linitial_node(RawStmt, parsed);
	if (!IsA(statement->stmt, SelectStmt) || ((SelectStmt *) statement->stmt)->intoClause)
		ereport(ERROR,
				errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				errmsg("the query has to be a SELECT"));
	return statement;
}

/*
 * Find the relationship of a node right below the query.  Raises 42704 if no
 * table of the query has it, 22023 if several have.
 */
void
ar_prefetch_find_relationship(PrefetchQuery *query, PathNode *node)
{
	(void) source_of(query->sources, node);
}

/*
 * Where the query returns a column of the table at which a node hangs, from 1;
 * it is added where it does not.
 */
int
ar_prefetch_query_column(PrefetchQuery *query, const PathNode *node, AttrNumber column)
{
	Source	   *source = source_of(query->sources, unconstify(PathNode *, node));
	char	   *column_name = get_attname(source->table, column, false);
	RangeTblEntry *rte;
	ColumnRef  *reference;

	if (source->position[column] > 0)
		return source->position[column];
	if (!source->is_direct || !takes_columns(query->query))
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("the query does not return column \"%s\" of table \"%s\"", column_name,
					   get_rel_name(source->table)),
				errdetail("It is the key by which a relationship is followed, and cannot be added to this query."),
				errhint("Add it to the query's columns."));
	rte = rt_fetch(source->varno, query->query->rtable);
	reference = makeNode(ColumnRef);
	reference->location = -1;
	if (rte->alias)
		reference->fields = list_make2(makeString(pstrdup(rte->alias->aliasname)),
									   makeString(pstrdup(strVal(list_nth(rte->eref->colnames, column - 1)))));
	else
		reference->fields = list_make3(makeString(get_namespace_name(get_rel_namespace(rte->relid))),
									   makeString(get_rel_name(rte->relid)), makeString(column_name));
	query->hidden = lappend(query->hidden, reference);
	source->position[column] = list_length(query->column_names) + list_length(query->hidden);
	return source->position[column];
}

/*
 * The tables whose columns the query returns, then those in its FROM.
 */
static List *
find_sources(Query *query)
{
	List	   *sources = NIL;
	ListCell   *cell;
	int			position = 0;
	int			varno = 0;

	if (query->setOperations)
		return NIL;
	foreach(cell, query->targetList)
	{
		TargetEntry *entry = lfirst(cell);

		if (entry->resjunk)
			continue;
		position++;
		if (IsA(entry->expr, Var) && ((Var *) entry->expr)->varlevelsup == 0 &&
			OidIsValid(entry->resorigtbl))
		{
			Var		   *var = (Var *) entry->expr;
			Oid			table = entry->resorigtbl;
			AttrNumber	column = entry->resorigcol;

			if (trace_view(&table, &column) && column > 0)
			{
				RangeTblEntry *rte = rt_fetch(var->varno, query->rtable);
				Source	   *source = get_source(&sources, var->varno, table,
												rte->rtekind == RTE_RELATION &&
												rte->relid == table);

				if (source->position[column] == 0)
					source->position[column] = position;
			}
		}
	}
	foreach(cell, query->rtable)
	{
		RangeTblEntry *rte = lfirst(cell);

		varno++;
		if (rte->rtekind == RTE_RELATION && rte->inFromCl &&
			(rte->relkind == RELKIND_RELATION || rte->relkind == RELKIND_PARTITIONED_TABLE))
			(void) get_source(&sources, varno, rte->relid, true);
	}
	return sources;
}

static Source *
get_source(List **sources, int varno, Oid table, bool is_direct)
{
	Source	   *source;
	ListCell   *cell;

	foreach(cell, *sources)
	{
		source = lfirst(cell);
		if (source->varno == varno && source->table == table)
			return source;
	}
	source = palloc0(sizeof(Source));
	source->varno = varno;
	source->table = table;
	source->is_direct = is_direct;
	*sources = lappend(*sources, source);
	return source;
}

/*
 * Follow a column of a view to the table it comes from.  False if it is not
 * just a column.
 */
static bool
trace_view(Oid *table, AttrNumber *column)
{
	while (get_rel_relkind(*table) == RELKIND_VIEW)
	{
		Relation	view = table_open(*table, AccessShareLock);
		Query	   *query = get_view_query(view);
		TargetEntry *entry = get_tle_by_resno(query->targetList, *column);
		bool		found = entry != NULL && OidIsValid(entry->resorigtbl) &&
		query->setOperations == NULL;

		if (found)
		{
			*table = entry->resorigtbl;
			*column = entry->resorigcol;
		}
		table_close(view, NoLock);
		if (!found)
			return false;
	}
	return true;
}

/*
 * Which table of the query has the relationship of a node; sets that, too.
 */
static Source *
source_of(List *sources, PathNode *node)
{
	Source	   *found = NULL;
	ListCell   *cell;
	StringInfoData tables;

	initStringInfo(&tables);
	foreach(cell, sources)
	{
		Source	   *source = lfirst(cell);
		const Relationship *r = ar_relationship_find(source->table, node->step->name,
													 node->step->pin);

		appendStringInfo(&tables, "%s\"%s\"", tables.len == 0 ? "" : ", ",
						 get_rel_name(source->table));
		if (r == NULL)
			continue;
		if (found)
			ereport(ERROR,
					errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					errmsg("relationship \"%s\" is ambiguous", node->step->name),
					errdetail("The query reads both table \"%s\" and table \"%s\", which have it.",
							  get_rel_name(found->table), get_rel_name(source->table)),
					errhint("Put one of them into a subquery in FROM without the key's columns, "
							"or pin the relationship, as in \"%s!constraint\".", node->step->name));
		found = source;
		node->relationship = r;
	}
	if (found == NULL)
	{
		if (list_length(sources) == 1)
			(void) ar_relationship_resolve(((Source *) linitial(sources))->table,
										   node->step->name, node->step->pin);
		ereport(ERROR,
				errcode(ERRCODE_UNDEFINED_OBJECT),
				errmsg("no table of the query has a relationship \"%s\"", node->step->name),
				sources == NIL ?
				errdetail("The query returns no column of a table.") :
				errdetail("Its tables are %s.", tables.data),
				errhint("algo_ref.relationships() lists the relationships of a table."));
	}
	return found;
}

/*
 * Can a column be added to a query without a change of its rows?
 */
static bool
takes_columns(Query *query)
{
	return !query->hasAggs && query->groupClause == NIL && query->groupingSets == NIL &&
		query->havingQual == NULL && query->distinctClause == NIL &&
		query->setOperations == NULL && query->jointree->fromlist != NIL;
}
