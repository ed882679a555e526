/*
 * permission.h: whom the caller trusts to run code in its name.
 */
#ifndef AR_PERMISSION_H
#define AR_PERMISSION_H

#include "postgres.h"

extern bool ar_permission_trusts_role(Oid role);
extern bool ar_permission_trusts_author(const char *author);
extern bool ar_permission_session_trusts(Oid role);
extern void ar_permission_pin_role(void);
extern char *ar_permission_distrust_detail(const char *author);

#endif							/* AR_PERMISSION_H */
