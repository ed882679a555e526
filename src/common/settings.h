/*
 * settings.h: what code of the user's sets, ends with that code.
 */
#ifndef AR_SETTINGS_H
#define AR_SETTINGS_H

#include "postgres.h"

/* What has to be put back at the end of the scope. */
typedef struct SettingsScope
{
	int			nest_level;
	Oid			role;			/* of SET ROLE; InvalidOid: none */
	Oid			user;
	int			security_context;
} SettingsScope;

extern void ar_settings_begin(SettingsScope *scope);
extern void ar_settings_end(const SettingsScope *scope);

#endif							/* AR_SETTINGS_H */
