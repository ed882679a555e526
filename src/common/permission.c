/*
 * permission.c: whom the caller trusts to run code in its name.
 *
 * Scripts and hooks run with the rights of whoever runs a migration.  So that
 * writing one never gives its author those rights, the author must have them
 * already: it is the caller, or can act as the caller, or is a superuser.
 *
 * The caller may have taken its role by SET ROLE.  Code of an author who is
 * trusted by that role, but not by the one that has connected, runs with its
 * role pinned.
 */
#include "postgres.h"

#include "common/compat.h"
#include "common/permission.h"
#include "miscadmin.h"
#include "utils/acl.h"

static bool can_act_as(Oid role, Oid other);

/*
 * Could "role" have done by itself what the caller can do?
 */
bool
ar_permission_trusts_role(Oid role)
{
	return can_act_as(role, GetUserId());
}

/*
 * And what the role that has connected can do?  Code can come back to that by
 * RESET ROLE, unless ar_permission_pin_role() was called.
 */
bool
ar_permission_session_trusts(Oid role)
{
	return can_act_as(role, GetSessionUserId());
}

/*
 * Until the caller's security context is put back, which the end of a
 * SettingsScope does: no SET ROLE, RESET ROLE or SET SESSION AUTHORIZATION.
 */
void
ar_permission_pin_role(void)
{
	Oid			user;
	int			security_context;

	GetUserIdAndSecContext(&user, &security_context);
	SetUserIdAndSecContext(user, security_context | SECURITY_LOCAL_USERID_CHANGE);
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

static bool
can_act_as(Oid role, Oid other)
{
	return role == other || superuser_arg(role) ||
		has_privs_of_role(role, other) || member_can_set_role(role, other);
}
