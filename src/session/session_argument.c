/*
 * session_argument.c: arguments of the room's functions.
 */
#include "postgres.h"

#include "fmgr.h"
#include "session/session.h"
#include "utils/builtins.h"

/*
 * Raise 22004 if argument n is NULL.
 */
void
ar_session_check_given(FunctionCallInfo fcinfo, int n, const char *name)
{
	if (PG_ARGISNULL(n))
		ereport(ERROR,
				errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				errmsg("%s must not be null", name));
}

char *
ar_session_argument_text(FunctionCallInfo fcinfo, int n, const char *name)
{
	ar_session_check_given(fcinfo, n, name);
	return text_to_cstring(PG_GETARG_TEXT_PP(n));
}

bool
ar_session_argument_bool(FunctionCallInfo fcinfo, int n, const char *name)
{
	ar_session_check_given(fcinfo, n, name);
	return PG_GETARG_BOOL(n);
}

/*
 * A number from "least" to "most"; 22023 for another one.
 */
int
ar_session_argument_int(FunctionCallInfo fcinfo, int n, const char *name, int least, int most)
{
	int			value;

	ar_session_check_given(fcinfo, n, name);
	value = PG_GETARG_INT32(n);
	if (value < least || value > most)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("%s must be between %d and %d", name, least, most));
	return value;
}
