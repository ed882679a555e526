/*
 * autogenerate_scope.c: a declared text stays within the schemas that are
 * compared.
 *
 * What it would do elsewhere is not part of what is compared, and elsewhere are
 * live objects, which its statements would lock.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "tcop/utility.h"
#include "utils/acl.h"
#include "autogenerate/autogenerate.h"

static bool grants_to_caller(Node *stmt);
static List *schemas_of(Node *stmt);
static List *schema_of_object(ObjectType type, Node *object);
static List *schema_of_names(List *names);
static List *schema_of_range(const RangeVar *relation);
static List *schemas_of_path(const VariableSetStmt *stmt);

/*
 * Raise 0A000 if a statement names a schema that is not one of the stage's.
 */
void
ar_autogenerate_check_scope(const DeclaredText *declared, const DeclaredStatement *statement,
							const Stage *stage)
{
	ListCell   *cell;

	if (stage->is_scratch && grants_to_caller(statement->raw->stmt))
		ar_autogenerate_stage_needs_owner(stage, declared, statement, "privileges of the caller, who owns that schema, are not seen there");
	foreach(cell, schemas_of(statement->raw->stmt))
	{
		const char *schema = lfirst(cell);

		if (stage->is_scratch && strcmp(schema, stage->target->name) == 0)
			ar_autogenerate_stage_needs_owner(stage, declared, statement, "the text names this one");
		if (ar_autogenerate_is_scope(stage, schema) || strncmp(schema, "pg_temp", 7) == 0)
			continue;
		ereport(ERROR,
				errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				errmsg("%s leaves the schemas of the declared model", CreateCommandName(statement->raw->stmt)),
				errdetail("Schema \"%s\" is not one of those that are compared.", schema),
				errhint("Name it in the argument \"schemas\", or create it in the text: CREATE SCHEMA IF NOT EXISTS."),
				ar_autogenerate_errposition(declared->text, statement->location));
	}
}

static bool
grants_to_caller(Node *stmt)
{
	ListCell   *cell;

	if (!IsA(stmt, GrantStmt))
		return false;
	foreach(cell, castNode(GrantStmt, stmt)->grantees)
	{
		RoleSpec   *role = lfirst_node(RoleSpec, cell);

		if (role->roletype != ROLESPEC_PUBLIC && get_rolespec_oid(role, true) == GetUserId())
			return true;
	}
	return false;
}

/*
 * The schemas whose objects a statement creates or changes, as far as it names
 * them.
 */
static List *
schemas_of(Node *stmt)
{
	switch (nodeTag(stmt))
	{
		case T_CreateStmt:
			return schema_of_range(castNode(CreateStmt, stmt)->relation);
		case T_CreateForeignTableStmt:
			return schema_of_range(castNode(CreateForeignTableStmt, stmt)->base.relation);
		case T_ViewStmt:
			return schema_of_range(castNode(ViewStmt, stmt)->view);
		case T_CreateTableAsStmt:
			return schema_of_range(castNode(CreateTableAsStmt, stmt)->into->rel);
		case T_IndexStmt:
			return schema_of_range(castNode(IndexStmt, stmt)->relation);
		case T_CreateSeqStmt:
			return schema_of_range(castNode(CreateSeqStmt, stmt)->sequence);
		case T_AlterSeqStmt:
			return schema_of_range(castNode(AlterSeqStmt, stmt)->sequence);
		case T_AlterTableStmt:
			return schema_of_range(castNode(AlterTableStmt, stmt)->relation);
		case T_CompositeTypeStmt:
			return schema_of_range(castNode(CompositeTypeStmt, stmt)->typevar);
		case T_RuleStmt:
			return schema_of_range(castNode(RuleStmt, stmt)->relation);
		case T_CreateTrigStmt:
			return schema_of_range(castNode(CreateTrigStmt, stmt)->relation);
		case T_CreatePolicyStmt:
			return schema_of_range(castNode(CreatePolicyStmt, stmt)->table);
		case T_AlterPolicyStmt:
			return schema_of_range(castNode(AlterPolicyStmt, stmt)->table);
		case T_CreateEnumStmt:
			return schema_of_names(castNode(CreateEnumStmt, stmt)->typeName);
		case T_CreateRangeStmt:
			return schema_of_names(castNode(CreateRangeStmt, stmt)->typeName);
		case T_CreateDomainStmt:
			return schema_of_names(castNode(CreateDomainStmt, stmt)->domainname);
		case T_AlterDomainStmt:
			return schema_of_names(castNode(AlterDomainStmt, stmt)->typeName);
		case T_AlterEnumStmt:
			return schema_of_names(castNode(AlterEnumStmt, stmt)->typeName);
		case T_AlterTypeStmt:
			return schema_of_names(castNode(AlterTypeStmt, stmt)->typeName);
		case T_CreateFunctionStmt:
			return schema_of_names(castNode(CreateFunctionStmt, stmt)->funcname);
		case T_AlterFunctionStmt:
			return schema_of_names(castNode(AlterFunctionStmt, stmt)->func->objname);
		case T_DefineStmt:
			return schema_of_names(castNode(DefineStmt, stmt)->defnames);
		case T_CreateStatsStmt:
			return schema_of_names(castNode(CreateStatsStmt, stmt)->defnames);
		case T_AlterStatsStmt:
			return schema_of_names(castNode(AlterStatsStmt, stmt)->defnames);
		case T_AlterCollationStmt:
			return schema_of_names(castNode(AlterCollationStmt, stmt)->collname);
		case T_CommentStmt:
			return schema_of_object(castNode(CommentStmt, stmt)->objtype, castNode(CommentStmt, stmt)->object);
		case T_AlterOwnerStmt:
			if (castNode(AlterOwnerStmt, stmt)->relation)
				return schema_of_range(castNode(AlterOwnerStmt, stmt)->relation);
			return schema_of_object(castNode(AlterOwnerStmt, stmt)->objectType,
									castNode(AlterOwnerStmt, stmt)->object);
		case T_AlterObjectDependsStmt:
			if (castNode(AlterObjectDependsStmt, stmt)->relation)
				return schema_of_range(castNode(AlterObjectDependsStmt, stmt)->relation);
			return schema_of_object(castNode(AlterObjectDependsStmt, stmt)->objectType,
									castNode(AlterObjectDependsStmt, stmt)->object);
		case T_RenameStmt:
			if (castNode(RenameStmt, stmt)->renameType == OBJECT_SCHEMA)
				return list_make1(castNode(RenameStmt, stmt)->subname);
			if (castNode(RenameStmt, stmt)->relation)
				return schema_of_range(castNode(RenameStmt, stmt)->relation);
			return schema_of_object(castNode(RenameStmt, stmt)->renameType, castNode(RenameStmt, stmt)->object);
		case T_DropStmt:
			{
				List	   *schemas = NIL;
				ListCell   *cell;

				foreach(cell, castNode(DropStmt, stmt)->objects)
					schemas = list_concat(schemas, schema_of_object(castNode(DropStmt, stmt)->removeType, lfirst(cell)));
				return schemas;
			}
		case T_GrantStmt:
			{
				GrantStmt  *grant = castNode(GrantStmt, stmt);
				List	   *schemas = NIL;
				ListCell   *cell;

				foreach(cell, grant->objects)
					schemas = list_concat(schemas, grant->targtype == ACL_TARGET_ALL_IN_SCHEMA ?
										  list_make1(strVal(lfirst(cell))) :
										  schema_of_object(grant->objtype, lfirst(cell)));
				return schemas;
			}
		case T_VariableSetStmt:
			return schemas_of_path(castNode(VariableSetStmt, stmt));
		default:
			return NIL;
	}
}

/*
 * Of an object as ALTER, COMMENT, DROP and GRANT name it.
 */
static List *
schema_of_object(ObjectType type, Node *object)
{
	if (object == NULL)
		return NIL;
	switch (type)
	{
		case OBJECT_SCHEMA:
			return list_make1(strVal(object));
		case OBJECT_EXTENSION:
		case OBJECT_DATABASE:
		case OBJECT_ROLE:
		case OBJECT_TABLESPACE:
		case OBJECT_LANGUAGE:
		case OBJECT_FDW:
		case OBJECT_FOREIGN_SERVER:
			return NIL;
		case OBJECT_COLUMN:
		case OBJECT_TABCONSTRAINT:
		case OBJECT_TRIGGER:
		case OBJECT_POLICY:
		case OBJECT_RULE:
			/* the last name is that of the part */
			return schema_of_names(list_truncate(list_copy(castNode(List, object)),
												 list_length(castNode(List, object)) - 1));
		case OBJECT_DOMCONSTRAINT:
			return schema_of_names(linitial_node(TypeName, castNode(List, object))->names);
		default:
			break;
	}
	if (IsA(object, RangeVar))
		return schema_of_range(castNode(RangeVar, object));
	if (IsA(object, ObjectWithArgs))
		return schema_of_names(castNode(ObjectWithArgs, object)->objname);
	if (IsA(object, TypeName))
		return schema_of_names(castNode(TypeName, object)->names);
	if (IsA(object, List))
		return schema_of_names(castNode(List, object));
	return NIL;
}

static List *
schema_of_names(List *names)
{
	int			count = list_length(names);

	return count > 1 && IsA(list_nth(names, count - 2), String) ?
		list_make1(strVal(list_nth(names, count - 2))) : NIL;
}

static List *
schema_of_range(const RangeVar *relation)
{
	return relation->schemaname ? list_make1(relation->schemaname) : NIL;
}

/*
 * Where unqualified names would go.
 */
static List *
schemas_of_path(const VariableSetStmt *stmt)
{
	Node	   *first;

	if (stmt->name == NULL || pg_strcasecmp(stmt->name, "search_path") != 0 || stmt->args == NIL)
		return NIL;
	first = linitial(stmt->args);
	if (!IsA(first, A_Const) || !IsA(&castNode(A_Const, first)->val, String))
		return NIL;
	if (strVal(&castNode(A_Const, first)->val)[0] == '\0' ||
		strcmp(strVal(&castNode(A_Const, first)->val), "pg_catalog") == 0)
		return NIL;
	return list_make1(strVal(&castNode(A_Const, first)->val));
}
