/*
 * revision_export.c: a stored script as the file that recreates it.
 *
 * The file is one statement in plain SQL, laid out to be kept under version
 * control.  It gives back every byte, whatever the bodies hold and however
 * the session that runs it reads backslashes.
 */
#include "postgres.h"

#include "common/state_table.h"
#include "fmgr.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "revision/revision.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"
#include "utils/tuplestore.h"

static char *script_file(const StoredScript *script);
static void add_names(StringInfo buffer, const char *argument, List *names);
static void add_body(StringInfo buffer, const char *argument, const char *body);
static char *dollar_quote(const char *name, const char *body);

PG_FUNCTION_INFO_V1(algo_ref_script);

/*
 * algo_ref.script(identifier)
 */
Datum
algo_ref_script(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	Snapshot	snapshot = GetActiveSnapshot();
	char	   *identifier = ar_revision_text_argument(fcinfo, 0, "identifier");
	StateTable *scripts;
	ListCell   *cell;

	ar_state_table_check_select("script");
	if (ar_revision_names_current(identifier))
		ar_state_table_check_select("version");
	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	scripts = ar_state_table_open("script", AccessShareLock);
	foreach(cell, ar_revision_ids_of(scripts, identifier, snapshot))
	{
		MemoryContext row_context = AllocSetContextCreate(CurrentMemoryContext,
														  "algo_ref script file",
														  ALLOCSET_DEFAULT_SIZES);
		MemoryContext old_context = MemoryContextSwitchTo(row_context);
		StoredScript *script = ar_revision_store_fetch(scripts, lfirst(cell), snapshot);
		Datum		value = CStringGetTextDatum(script_file(script));
		bool		isnull = false;

		tuplestore_putvalues(result->setResult, result->setDesc, &value, &isnull);
		MemoryContextSwitchTo(old_context);
		MemoryContextDelete(row_context);
	}
	ar_state_table_close(scripts);
	return (Datum) 0;
}

static char *
script_file(const StoredScript *script)
{
	StringInfoData buffer;

	initStringInfo(&buffer);
	appendStringInfo(&buffer, "SELECT algo_ref.revision(\n  id => %s",
					 quote_literal_cstr(script->revision));
	appendStringInfo(&buffer, ",\n  message => %s", quote_literal_cstr(script->message));
	add_names(&buffer, "revises", script->revises);
	if (script->branch_labels)
		add_names(&buffer, "branch_labels", script->branch_labels);
	if (script->depends_on)
		add_names(&buffer, "depends_on", script->depends_on);
	add_body(&buffer, "upgrade", script->upgrade);
	if (script->downgrade)
		add_body(&buffer, "downgrade", script->downgrade);
	appendStringInfoString(&buffer, ");");
	return buffer.data;
}

/*
 * The literals of an array of names, one by one: array syntax inside of a
 * literal would have to be quoted twice.
 */
static void
add_names(StringInfo buffer, const char *argument, List *names)
{
	ListCell   *cell;

	appendStringInfo(buffer, ",\n  %s => ", argument);
	if (names == NIL)
	{
		appendStringInfoString(buffer, "'{}'");
		return;
	}
	appendStringInfoString(buffer, "ARRAY[");
	foreach(cell, names)
		appendStringInfo(buffer, "%s%s", foreach_current_index(cell) ? ", " : "",
						 quote_literal_cstr(lfirst(cell)));
	appendStringInfoChar(buffer, ']');
}

static void
add_body(StringInfo buffer, const char *argument, const char *body)
{
	appendStringInfo(buffer, ",\n  %s => ", argument);
	appendStringInfoString(buffer, body[0] == '\0' ? "''" : dollar_quote(argument, body));
}

/*
 * The body between dollar tags that are made of "name", and a number if need
 * be: the closing tag must not be found before its place, neither inside of
 * the body nor where the body's end and the tag's beginning make one.
 */
static char *
dollar_quote(const char *name, const char *body)
{
	size_t		length = strlen(body);

	for (int i = 0;; i++)
	{
		char	   *tag = i == 0 ? psprintf("$%s$", name) : psprintf("$%s%d$", name, i);
		char	   *quoted = psprintf("%s%s%s", tag, body, tag);
		size_t		tag_length = strlen(tag);

		if (strstr(quoted + tag_length, tag) == quoted + tag_length + length)
			return quoted;
		pfree(quoted);
		pfree(tag);
	}
}
