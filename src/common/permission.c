/*
 * permission.c: whom the caller trusts to run code in its name.
 *
 * Scripts and hooks run with the rights of whoever runs a migration.  So that
 * writing one never gives its author those rights, the author must have them
 * already: it is the caller, or can act as the caller, or is a superuser.
 */
#include "postgres.h"

#include "common/compat.h"
#include "common/permission.h"
#include "miscadmin.h"
#include "utils/acl.h"

/*
 * Could "role" have done by itself what the caller can do?
 */
bool
ar_permission_trusts_role(Oid role)
{
	Oid			caller = GetUserId();

	return role == caller || superuser_arg(role) ||
		has_privs_of_role(role, caller) || member_can_set_role(role, caller);
}

/*
 * The same for a role of which only the name was kept.  One that is gone is
 * not trusted.
 */
bool
ar_permission_trusts_author(const char *author)
{
	Oid			role = get_role_oid(author, true);

	return OidIsValid(role) && ar_permission_trusts_role(role);
}

/*
 * Why an author is not trusted, for errdetail().
 */
char *
ar_permission_distrust_detail(const char *author)
{
	char	   *caller = GetUserNameFromId(GetUserId(), false);

	if (!OidIsValid(get_role_oid(author, true)))
		return psprintf("Its author is role \"%s\", which does not exist any more.", author);
	return psprintf("Its author is role \"%s\", which is neither role \"%s\" nor a member of it nor a superuser.",
					author, caller);
}
