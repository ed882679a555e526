/*
 * schema_acl.c: privileges as text, and what changes one text into another.
 *
 * A line for each grantee: its quoted name, a tab, and its privileges, each
 * followed by "*" where it can be passed on.  The owner is "-", whoever it is,
 * and PUBLIC is PUBLIC.  Who granted is not kept.
 */
#include "postgres.h"

#include "catalog/pg_authid.h"
#include "catalog/pg_class.h"
#include "miscadmin.h"
#include "schema/schema.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"

typedef struct Grantee
{
	char	   *name;
	AclMode		privileges;
	AclMode		options;
} Grantee;

static ObjectType object_type_of(int type);
static Grantee *find_grantee(List *grantees, const char *name);
static const char *privilege_name(int bit);
static List *parse(const char *text, const char *owner);
static char *privilege_list(AclMode privileges, const char *column);
static int	compare_grantees(const ListCell *a, const ListCell *b);

/*
 * The text for what an object has of itself, by its type: 'r' relation, 's'
 * sequence, 'n' schema, 'f' function, 'T' type, 'c' column.
 */
char *
ar_schema_acl_default(char object_type)
{
	Oid			owner = BOOTSTRAP_SUPERUSERID;

	return ar_schema_acl_text(PointerGetDatum(acldefault(object_type_of(object_type), owner)), owner);
}

/*
 * The text for an ACL.
 */
char *
ar_schema_acl_text(Datum acl, Oid owner)
{
	Acl		   *list = DatumGetAclPCopy(acl);
	AclItem    *items = ACL_DAT(list);
	List	   *grantees = NIL;
	StringInfoData text;
	ListCell   *cell;

	for (int i = 0; i < ACL_NUM(list); i++)
	{
		const char *name;
		Grantee    *grantee;

		if (items[i].ai_grantee == owner)
			name = "-";
		else if (items[i].ai_grantee == ACL_ID_PUBLIC)
			name = "PUBLIC";
		else
			name = quote_identifier(GetUserNameFromId(items[i].ai_grantee, false));
		grantee = find_grantee(grantees, name);
		if (grantee == NULL)
		{
			grantee = palloc0(sizeof(Grantee));
			grantee->name = pstrdup(name);
			grantees = lappend(grantees, grantee);
		}
		grantee->privileges |= ACLITEM_GET_PRIVS(items[i]);
		grantee->options |= ACLITEM_GET_GOPTIONS(items[i]);
	}
	list_sort(grantees, compare_grantees);
	initStringInfo(&text);
	foreach(cell, grantees)
	{
		Grantee    *grantee = lfirst(cell);

		if (grantee->privileges == 0)
			continue;
		appendStringInfo(&text, "%s\t", grantee->name);
		for (int bit = 0; bit < N_ACL_RIGHTS; bit++)
		{
			if (grantee->privileges & (UINT64CONST(1) << bit))
				appendStringInfo(&text, "%s%s", privilege_name(bit),
								 grantee->options & (UINT64CONST(1) << bit) ? "*," : ",");
		}
		text.		data[text.len - 1] = '\n';
	}
	return text.data;
}

/*
 * The statements that make the privileges "to" of the privileges "from".  "on"
 * is what follows ON, or "(column) TABLE name" for those of a column, and
 * "owner" the quoted name of the owner.
 */
List *
ar_schema_acl_change(const char *from, const char *to, const char *on,
					 const char *owner)
{
	List	   *before = parse(from, owner);
	List	   *after = parse(to, owner);
	List	   *statements = NIL;
	const char *column = NULL;
	ListCell   *cell;

	if (on[0] == '(')
	{
		const char *end = strstr(on, ") TABLE ");

		column = pnstrdup(on, end + 1 - on);
		on = end + 2;
	}
	foreach(cell, before)
	{
		Grantee    *old = lfirst(cell);
		Grantee    *new = find_grantee(after, old->name);
		AclMode		gone = old->privileges & ~(new ? new->privileges : 0);
		AclMode		options = old->options & ~(new ? new->options : 0) & ~gone;

		if (gone)
			statements = lappend(statements, psprintf("REVOKE %s ON %s FROM %s",
													  privilege_list(gone, column), on, old->name));
		if (options)
			statements = lappend(statements, psprintf("REVOKE GRANT OPTION FOR %s ON %s FROM %s",
													  privilege_list(options, column), on, old->name));
	}
	foreach(cell, after)
	{
		Grantee    *new = lfirst(cell);
		Grantee    *old = find_grantee(before, new->name);
		AclMode		options = new->options & ~(old ? old->options : 0);
		AclMode		added = new->privileges & ~(old ? old->privileges : 0) & ~options;

		if (added)
			statements = lappend(statements, psprintf("GRANT %s ON %s TO %s",
													  privilege_list(added, column), on, new->name));
		if (options)
			statements = lappend(statements, psprintf("GRANT %s ON %s TO %s WITH GRANT OPTION",
													  privilege_list(options, column), on, new->name));
	}
	return statements;
}

static ObjectType
object_type_of(int type)
{
	switch (type)
	{
		case 'r':
			return OBJECT_TABLE;
		case 's':
			return OBJECT_SEQUENCE;
		case 'n':
			return OBJECT_SCHEMA;
		case 'f':
			return OBJECT_FUNCTION;
		case 'T':
			return OBJECT_TYPE;
		default:
			return OBJECT_COLUMN;
	}
}

static Grantee *
find_grantee(List *grantees, const char *name)
{
	ListCell   *cell;

	foreach(cell, grantees)
	{
		Grantee    *grantee = lfirst(cell);

		if (strcmp(grantee->name, name) == 0)
			return grantee;
	}
	return NULL;
}

static const char *
privilege_name(int bit)
{
	switch (UINT64CONST(1) << bit)
	{
		case ACL_INSERT:
			return "INSERT";
		case ACL_SELECT:
			return "SELECT";
		case ACL_UPDATE:
			return "UPDATE";
		case ACL_DELETE:
			return "DELETE";
		case ACL_TRUNCATE:
			return "TRUNCATE";
		case ACL_REFERENCES:
			return "REFERENCES";
		case ACL_TRIGGER:
			return "TRIGGER";
		case ACL_EXECUTE:
			return "EXECUTE";
		case ACL_USAGE:
			return "USAGE";
		case ACL_CREATE:
			return "CREATE";
#ifdef ACL_MAINTAIN
		case ACL_MAINTAIN:
			return "MAINTAIN";
#endif
		default:
			return "TEMPORARY";
	}
}

/*
 * The grantees of a text.
 */
static List *
parse(const char *text, const char *owner)
{
	List	   *grantees = NIL;

	while (text &&*text)
	{
		const char *tab = strchr(text, '\t');
		const char *end = strchr(text, '\n');
		Grantee    *grantee = palloc0(sizeof(Grantee));
		const char *at = tab + 1;

		grantee->name = pnstrdup(text, tab - text);
		if (strcmp(grantee->name, "-") == 0)
			grantee->name = pstrdup(owner);
		while (at < end)
		{
			int			length = strcspn(at, "*,\n");

			for (int bit = 0; bit < N_ACL_RIGHTS; bit++)
			{
				const char *name = privilege_name(bit);

				if (name && strlen(name) == length && strncmp(name, at, length) == 0)
				{
					grantee->privileges |= UINT64CONST(1) << bit;
					if (at[length] == '*')
						grantee->options |= UINT64CONST(1) << bit;
				}
			}
			at += length + (at[length] == '*' ? 2 : 1);
		}
		grantees = lappend(grantees, grantee);
		text = end + 1;
	}
	return grantees;
}

static char *
privilege_list(AclMode privileges, const char *column)
{
	StringInfoData list;

	initStringInfo(&list);
	for (int bit = 0; bit < N_ACL_RIGHTS; bit++)
	{
		if (privileges & (UINT64CONST(1) << bit))
			appendStringInfo(&list, "%s%s%s%s", list.len ? ", " : "", privilege_name(bit),
							 column ? " " : "", column ? column : "");
	}
	return list.data;
}

static int
compare_grantees(const ListCell *a, const ListCell *b)
{
	return strcmp(((Grantee *) lfirst(a))->name, ((Grantee *) lfirst(b))->name);
}
