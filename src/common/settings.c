/*
 * settings.c: what code of the user's sets, ends with that code.
 *
 * SET, SET LOCAL and set_config() are undone as at the end of a function with
 * a SET clause.  On an error there is nothing to do: the end of the
 * transaction, or of the subtransaction, does the same.
 */
#include "postgres.h"

#include "common/settings.h"
#include "miscadmin.h"
#include "utils/guc.h"

void
ar_settings_begin(SettingsScope *scope)
{
	scope->nest_level = NewGUCNestLevel();
	scope->role = GetCurrentRoleId();
	GetUserIdAndSecContext(&scope->user, &scope->security_context);
}

/*
 * Subtransactions that were begun in the scope have to be closed before.
 */
void
ar_settings_end(const SettingsScope *scope)
{
	Oid			user;
	int			security_context;

	AtEOXact_GUC(false, scope->nest_level);

	/* putting session_authorization back forgets the role */
	if (GetCurrentRoleId() != scope->role)
		SetCurrentRoleId(scope->role,
						 OidIsValid(scope->role) && superuser_arg(scope->role));
	GetUserIdAndSecContext(&user, &security_context);
	if (user != scope->user || security_context != scope->security_context)
		SetUserIdAndSecContext(scope->user, scope->security_context);
}
