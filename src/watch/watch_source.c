/*
 * watch_source.c: the statements whose keys are remembered, and how often each
 * shape of lookup uses them.
 *
 * A source is remembered from its second row on: with one row there is nothing
 * that could be loaded at once.  A lookup with a key of a source is a source,
 * too, from its first row on, and hangs on it: of its many executions all keys
 * count together, as long as they belong to one execution of the first.
 *
 * A statement that runs again starts anew.  What it returned to a function is
 * remembered to the end of the client's statement, what it returned to a
 * client to the end of the transaction block, and outside of one for
 * algo_ref.watch_window.  So a pooled connection's requests, each with a list
 * and a few lookups, are not added up, and not taken for one another.
 */
#include "postgres.h"

#include "access/xact.h"
#include "common/qualified_name.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "watch/watch.h"

/* The oldest gives way. */
#define SOURCES_MAX 24
#define COUNTERS_MAX 32

/* Longer values are not kept, and would make a call that nobody reads. */
#define PARAMETERS_BYTES_MAX (4 * AR_WATCH_CALL_BYTES_MAX)

/* One or two keys again and again are no list. */
#define DISTINCT_KEYS_MIN 3

/* Of the lookups of a shape, three quarters have to be with the source's keys. */
#define is_mostly(times, seen) ((times) * 4 >= (seen) * 3)

typedef enum SourceScope
{
	SCOPE_STATEMENT,			/* of the client */
	SCOPE_TRANSACTION,
	SCOPE_WINDOW
} SourceScope;

/* Lookups of one shape by one key with one key of a source. */
typedef struct Counter
{
	uint64		shape;
	WatchKey	key;
	int			emitted;		/* which of the source's keys */
	List	   *relations;		/* that the lookup reads */
	int64		seen;
	int64		times;
	int64		nanoseconds;
	KeyFilter	distinct;
	bool		is_found;		/* counted in the report from now on */
	bool		is_ignored;
} Counter;

typedef struct Source
{
	uint64		serial;			/* 0: free */
	uint64		shape;
	SourceScope scope;
	TimestampTz begin;			/* of the client's statement */
	uint64		parent;			/* serial of the source that it looks up; 0:
								 * none */
	int			parent_slot;
	int			parent_counter;
	MemoryContext context;
	const char *statement;
	Oid			role;			/* as whom it runs */
	ParamListInfo params;		/* NULL: none, or too long */
	bool		has_call;
	int			emitted_count;
	EmittedKey	emitted[AR_WATCH_KEYS_MAX];
	KeyFilter	keys;
	int			counter_count;
	Counter		counter[COUNTERS_MAX];
} Source;

int			ar_watch_source_count = 0;

static Source sources[SOURCES_MAX];
static uint64 last_serial = 0;

/* When the counts began: after so many resets of the report. */
static uint64 last_resets = 0;

static void open_source(WatchedStatement *statement);
static Source *place_for(const WatchedStatement *statement);
static void begin_source(Source *source, const WatchedStatement *statement);
static bool keep_params(Source *source, ParamListInfo params);
static void add_key(Source *source, int emitted, uint64 hash);
static bool is_live(const Source *source);
static void free_source(Source *source);
static void forget_counts(void);
static Counter *match(Source *source, WatchedStatement *statement, const LookupKey *lookup,
					  int emitted, bool *is_new);
static Counter *find_counter(Source *source, uint64 shape, const LookupKey *lookup, int emitted);
static bool is_better(const Source *source, const Counter *counter, const Source *best_source,
					  const Counter *best);
static void emit_others(WatchedStatement *statement, const WatchKey *key);
static bool is_finding(const Counter *counter);
static uint64 finding_shape(const Source *source, const Counter *counter);
static void find(Source *source, Counter *counter, QueryDesc *query);
static const char *path_of(const Source *source, const Counter *counter, const Source **root,
						   Oid *root_table, Oid *target);
static char *column_list(const WatchKey *key);

/* Two keys of one domain are kept apart. */
#define source_hash(key, hash) ((hash) ^ ((uint64) (key)->constraint * UINT64CONST(0x9e3779b97f4a7c15)))

/*
 * A row of a statement that returns keys.
 */
void
ar_watch_row(WatchedStatement *statement, TupleTableSlot *slot)
{
	Source	   *source;
	uint64		hash;

	if (statement->is_full)
		return;
	if (statement->source == 0)
	{
		if (statement->parent == 0 && !statement->has_row)
		{
			for (int i = 0; i < statement->emitted_count; i++)
			{
				if (!ar_watch_row_key(slot, &statement->emitted[i], &statement->first[i]))
					statement->first[i] = 0;
			}
			statement->has_row = true;
			return;
		}
		open_source(statement);
	}
	source = &sources[statement->source_slot];
	if (source->serial != statement->source)
	{
		statement->is_full = true;
		return;
	}
	for (int i = 0; i < statement->emitted_count; i++)
	{
		if (ar_watch_row_key(slot, &statement->emitted[i], &hash))
			add_key(source, i, hash);
	}
	statement->is_full = ar_watch_filter_is_full(&source->keys);
}

static void
open_source(WatchedStatement *statement)
{
	Source	   *source;

	if (statement->shape == 0)
		statement->shape = ar_watch_shape(statement->query->plannedstmt);
	source = place_for(statement);
	if (source->serial == 0 || source->shape != statement->shape || statement->parent == 0 ||
		source->parent != statement->parent)
		begin_source(source, statement);
	statement->source = source->serial;
	statement->source_slot = source - sources;
	for (int i = 0; statement->has_row && i < statement->emitted_count; i++)
	{
		if (statement->first[i] != 0)
			add_key(source, i, statement->first[i]);
	}
}

/*
 * The source of the same shape and parent; else a free place, else the oldest.
 */
static Source *
place_for(const WatchedStatement *statement)
{
	Source	   *place = &sources[0];

	for (int i = 0; i < SOURCES_MAX; i++)
	{
		Source	   *source = &sources[i];

		if (source->serial != 0 && source->shape == statement->shape &&
			source->parent == statement->parent)
			return source;
		if (source->serial < place->serial)
			place = source;
	}
	return place;
}

static void
begin_source(Source *source, const WatchedStatement *statement)
{
	QueryDesc  *query = statement->query;
	MemoryContext context;
	MemoryContext old;

	if (source->serial != 0)
		free_source(source);
	if (source->context == NULL)
		source->context = AllocSetContextCreate(TopMemoryContext, "algo_ref watched source",
												ALLOCSET_DEFAULT_SIZES);
	context = source->context;
	memset(source, 0, sizeof(Source));
	source->context = context;
	old = MemoryContextSwitchTo(context);
	source->statement = ar_watch_statement_text(query);
	MemoryContextSwitchTo(old);
	source->role = GetUserId();
	source->has_call = keep_params(source, query->params);
	source->keys.context = context;
	source->shape = statement->shape;
	source->parent = statement->parent;
	source->parent_slot = statement->parent_slot;
	source->parent_counter = statement->counter;
	source->begin = GetCurrentStatementStartTimestamp();
	source->scope = statement->is_spi ? SCOPE_STATEMENT :
		IsTransactionBlock() ? SCOPE_TRANSACTION : SCOPE_WINDOW;
	source->emitted_count = statement->emitted_count;
	memcpy(source->emitted, statement->emitted, sizeof(EmittedKey) * statement->emitted_count);

	/* whatever failed before has left the place free */
	source->serial = ++last_serial;
	ar_watch_source_count++;
}

/*
 * Keep the values of parameters for the call of prefetch; false if they are too
 * long for it.
 */
static bool
keep_params(Source *source, ParamListInfo params)
{
	MemoryContext context;
	MemoryContext old;

	if (params == NULL || params->numParams == 0)
		return true;
	context = AllocSetContextCreate(source->context, "algo_ref watched parameters",
									ALLOCSET_SMALL_SIZES);
	old = MemoryContextSwitchTo(context);
	source->params = copyParamList(params);
	MemoryContextSwitchTo(old);
	if (MemoryContextMemAllocated(context, false) <= PARAMETERS_BYTES_MAX)
		return true;
	source->params = NULL;
	MemoryContextDelete(context);
	return false;
}

static void
add_key(Source *source, int emitted, uint64 hash)
{
	(void) ar_watch_filter_add(&source->keys, source_hash(&source->emitted[emitted].key, hash));
}

static bool
is_live(const Source *source)
{
	TimestampTz now = GetCurrentStatementStartTimestamp();

	if (source->parent != 0 &&
		(sources[source->parent_slot].serial != source->parent ||
		 !is_live(&sources[source->parent_slot])))
		return false;
	switch (source->scope)
	{
		case SCOPE_STATEMENT:
			return source->begin == now;
		case SCOPE_WINDOW:
			return now - source->begin <= (int64) ar_watch_window * 1000;
		default:
			return true;
	}
}

static void
free_source(Source *source)
{
	source->serial = 0;
	ar_watch_source_count--;
	MemoryContextReset(source->context);
}

/*
 * At the end of a transaction.  A procedure goes on in the next, within the same
 * statement of the client.
 */
void
ar_watch_sources_end(void)
{
	for (int i = 0; i < SOURCES_MAX && ar_watch_source_count > 0; i++)
	{
		if (sources[i].serial != 0 &&
			(sources[i].scope == SCOPE_TRANSACTION || !is_live(&sources[i])))
			free_source(&sources[i]);
	}
}

/*
 * The connection goes to another client, which knows none of the keys.
 */
void
ar_watch_client_end(void)
{
	for (int i = 0; i < SOURCES_MAX; i++)
	{
		if (sources[i].serial != 0 && sources[i].scope == SCOPE_WINDOW)
			free_source(&sources[i]);
	}
}

/*
 * Count a statement that is about to run and looks rows up by the keys given;
 * false if none of them is a source's.  Tells of an N+1, with an error if that
 * is asked for.
 */
bool
ar_watch_lookup(WatchedStatement *statement, const LookupKey *lookups, int count)
{
	Source	   *best_source = NULL;
	Counter    *best = NULL;
	bool		best_is_new = false;
	int			left = ar_watch_source_count;

	if (last_resets != ar_watch_report_resets())
		forget_counts();
	for (int i = 0; left > 0; i++)
	{
		Source	   *source = &sources[i];

		if (source->serial == 0)
			continue;
		left--;
		if (!is_live(source))
		{
			free_source(source);
			continue;
		}
		for (int l = 0; l < count; l++)
		{
			for (int e = 0; e < source->emitted_count; e++)
			{
				bool		is_new;
				Counter    *counter;

				if (source->emitted[e].key.domain != lookups[l].key.domain)
					continue;
				counter = match(source, statement, &lookups[l], e, &is_new);
				if (counter && (best == NULL || is_better(source, counter, best_source, best)))
				{
					best_source = source;
					best = counter;
					best_is_new = is_new;
				}
			}
		}
	}
	if (best == NULL)
		return false;

	statement->parent = best_source->serial;
	statement->parent_slot = best_source - sources;
	statement->counter = best - best_source->counter;
	emit_others(statement, &best->key);
	if (best->is_found)
		ar_watch_report_add(finding_shape(best_source, best), 1, best_is_new ? 1 : 0, 0);
	if (is_finding(best) && (!best->is_found || ar_watch_mode == AR_WATCH_ERROR))
		find(best_source, best, statement->query);
	return true;
}

/*
 * The report was reset: what was found is found anew, and told anew.
 */
static void
forget_counts(void)
{
	for (int i = 0; i < SOURCES_MAX; i++)
	{
		Source	   *source = &sources[i];

		for (int c = 0; source->serial != 0 && c < source->counter_count; c++)
		{
			Counter    *counter = &source->counter[c];

			counter->seen = 0;
			counter->times = 0;
			counter->nanoseconds = 0;
			counter->is_found = false;
			ar_watch_filter_reset(&counter->distinct);
		}
	}
	last_resets = ar_watch_report_resets();
}

/*
 * A lookup has run.
 */
void
ar_watch_lookup_end(WatchedStatement *statement)
{
	Source	   *source = &sources[statement->parent_slot];
	Counter    *counter = &source->counter[statement->counter];
	int64		nanoseconds;

	if (source->serial != statement->parent)
		return;
	nanoseconds = (int64) (INSTR_TIME_GET_DOUBLE(statement->duration) * 1e9);
	counter->nanoseconds += nanoseconds;
	if (counter->is_found)
		ar_watch_report_add(finding_shape(source, counter), 0, 0, nanoseconds);
}

/*
 * Count a lookup with one key of a source; NULL if the source did not return
 * what it looks for.
 */
static Counter *
match(Source *source, WatchedStatement *statement, const LookupKey *lookup, int emitted,
	  bool *is_new)
{
	const WatchKey *key = &source->emitted[emitted].key;
	Counter    *counter;
	bool		is_key;

	/* the row itself, once more, is not a relationship */
	if (!OidIsValid(key->constraint) && !OidIsValid(lookup->key.constraint))
		return NULL;
	is_key = ar_watch_filter_has(&source->keys, source_hash(key, lookup->hash));
	if (!is_key && source->counter_count == 0)
		return NULL;
	if (statement->shape == 0)
		statement->shape = ar_watch_shape(statement->query->plannedstmt);
	counter = find_counter(source, statement->shape, lookup, emitted);
	if (counter)
		counter->seen++;
	if (!is_key)
		return NULL;
	if (counter == NULL)
	{
		MemoryContext old;

		if (source->counter_count == COUNTERS_MAX)
			return NULL;
		counter = &source->counter[source->counter_count];
		memset(counter, 0, sizeof(Counter));
		counter->shape = statement->shape;
		counter->key = lookup->key;
		counter->emitted = emitted;
		counter->seen = 1;
		counter->distinct.context = source->context;
		old = MemoryContextSwitchTo(source->context);
		counter->relations = list_copy(statement->query->plannedstmt->relationOids);
		MemoryContextSwitchTo(old);
		source->counter_count++;
	}
	counter->times++;
	*is_new = ar_watch_filter_add(&counter->distinct, lookup->hash);
	return counter;
}

static Counter *
find_counter(Source *source, uint64 shape, const LookupKey *lookup, int emitted)
{
	for (int i = 0; i < source->counter_count; i++)
	{
		Counter    *counter = &source->counter[i];

		if (counter->shape == shape && counter->emitted == emitted &&
			counter->key.table == lookup->key.table &&
			counter->key.constraint == lookup->key.constraint)
			return counter;
	}
	return NULL;
}

/*
 * What explains more lookups; then what is nearer to the first statement; then
 * what is newer.
 */
static bool
is_better(const Source *source, const Counter *counter, const Source *best_source,
		  const Counter *best)
{
	if (counter->times != best->times)
		return counter->times > best->times;
	if ((source->parent == 0) != (best_source->parent == 0))
		return source->parent == 0;
	return source->serial > best_source->serial;
}

/*
 * That a lookup returns the key that it was given is no news.
 */
static void
emit_others(WatchedStatement *statement, const WatchKey *key)
{
	int			kept = 0;

	for (int i = 0; i < statement->emitted_count; i++)
	{
		const WatchKey *emitted = &statement->emitted[i].key;

		if (emitted->table != key->table || emitted->domain != key->domain ||
			emitted->constraint != key->constraint)
			statement->emitted[kept++] = statement->emitted[i];
	}
	statement->emitted_count = kept;
}

static bool
is_finding(const Counter *counter)
{
	return !counter->is_ignored &&
		counter->times >= ar_watch_threshold &&
		counter->distinct.total >= Min(DISTINCT_KEYS_MIN, ar_watch_threshold) &&
		is_mostly(counter->times, counter->seen) &&
		counter->nanoseconds >= ar_watch_min_ms * 1e6;
}

static uint64
finding_shape(const Source *source, const Counter *counter)
{
	return counter->shape ^ ((uint64) counter->key.constraint << 32) ^
		((uint64) source->emitted[counter->emitted].key.constraint << 1);
}

/*
 * An N+1.
 */
static void
find(Source *source, Counter *counter, QueryDesc *query)
{
	Finding		finding = {0};
	const Source *root;
	Oid			root_table;
	Oid			target;
	const char *path = path_of(source, counter, &root, &root_table, &target);
	bool		is_known;

	if (path == NULL)
	{
		counter->is_ignored = true;
		return;
	}
	finding.function = ar_watch_function();
	if (ar_watch_is_ignored(counter->key.table, finding.function))
	{
		counter->is_ignored = true;
		return;
	}
	finding.shape = finding_shape(source, counter);
	finding.relationship = psprintf("%s.%s", quote_identifier(get_rel_name(root_table)), path);
	finding.table = ar_qualified_relation(counter->key.table);
	finding.columns = column_list(&counter->key);
	finding.statement = ar_watch_statement_text(query);
	finding.source = root->statement;
	finding.source_role = root->role;
	if (OidIsValid(counter->key.constraint) && ar_watch_is_count(query->plannedstmt))
		path = psprintf("%s.count()", path);
	if (root->has_call)
		finding.call = ar_watch_call(root->statement, root->params, path);
	finding.times = counter->times;
	finding.distinct = counter->distinct.total;
	finding.nanoseconds = counter->nanoseconds;
	is_known = ar_watch_report_known(finding.shape);
	if (!counter->is_found)
		ar_watch_report_note(&finding);
	counter->is_found = true;
	if (!is_known || ar_watch_mode == AR_WATCH_ERROR)
		ar_watch_tell(&finding);
}

/*
 * The relationships from the first statement's table to what a lookup reads;
 * NULL if none lead there.
 */
static const char *
path_of(const Source *source, const Counter *counter, const Source **root, Oid *root_table,
		Oid *target)
{
	const WatchKey *from = &source->emitted[counter->emitted].key;
	const char *step = ar_watch_step(from, &counter->key, counter->relations, target);

	*root = source;
	*root_table = from->table;
	if (step && source->parent != 0)
	{
		const Source *parent = &sources[source->parent_slot];
		const Source *parent_root;
		Oid			parent_table;
		Oid			parent_target;
		const char *path;

		if (parent->serial != source->parent)
			return step;
		path = path_of(parent, &parent->counter[source->parent_counter], &parent_root,
					   &parent_table, &parent_target);
		if (path && parent_target == from->table)
		{
			*root = parent_root;
			*root_table = parent_table;
			return psprintf("%s.%s", path, step);
		}
	}
	return step;
}

/*
 * The columns that are looked up, for a message.
 */
static char *
column_list(const WatchKey *key)
{
	const KeyedTable *table = ar_watch_table(key->table);
	char	   *list = NULL;

	for (int i = 0; i < table->count; i++)
	{
		const TableKey *found = &table->keys[i];

		if (found->key.constraint != key->constraint || found->key.domain != key->domain)
			continue;
		for (int c = 0; c < found->count; c++)
		{
			const char *name = quote_identifier(get_attname(key->table, found->column[c], false));

			list = list ? psprintf("%s, %s", list, name) : pstrdup(name);
		}
	}
	return list ? list : pstrdup("");
}
