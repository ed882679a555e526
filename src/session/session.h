/*
 * session.h: connections and transactions.
 */
#ifndef AR_SESSION_H
#define AR_SESSION_H

#include "postgres.h"

#include "common/compat.h"
#include "utils/backend_status.h"

/*
 * Processes, as the server shows them to itself: read once, and the same to
 * the end of the transaction unless ar_session_processes_forget() is called.
 */
extern int	ar_session_process_count(void);
extern PgBackendStatus *ar_session_process(int number);
extern void ar_session_processes_forget(void);

/* arguments */
extern char *ar_session_argument_text(FunctionCallInfo fcinfo, int n, const char *name);
extern bool ar_session_argument_bool(FunctionCallInfo fcinfo, int n, const char *name);
extern int	ar_session_argument_int(FunctionCallInfo fcinfo, int n, const char *name,
									int least, int most);
extern void ar_session_check_given(FunctionCallInfo fcinfo, int n, const char *name);

#endif							/* AR_SESSION_H */
