/*
 * hook.h: functions of the user's that are called on the way.
 *
 *	HookSet *hooks = ar_hook_load(AR_HOOK_BIT(AR_HOOK_AFTER_REVISION));
 *
 *	if (ar_hook_wants(hooks, AR_HOOK_AFTER_REVISION))
 *		ar_hook_run(hooks, AR_HOOK_AFTER_REVISION, json);
 */
#ifndef AR_HOOK_H
#define AR_HOOK_H

#include "postgres.h"

#include "lib/stringinfo.h"

typedef enum HookEvent
{
	AR_HOOK_BEFORE_RUN,
	AR_HOOK_BEFORE_STEP,
	AR_HOOK_AFTER_STEP,
	AR_HOOK_AFTER_RUN,
	AR_HOOK_AFTER_REVISION
} HookEvent;

#define AR_HOOK_BIT(event) (1 << (event))

/* The hooks of some events, checked and ready to be called. */
typedef struct HookSet HookSet;

extern HookSet *ar_hook_load(int events);
extern bool ar_hook_wants(const HookSet *hooks, HookEvent event);
extern void ar_hook_run(const HookSet *hooks, HookEvent event, const char *json);

/* writing the argument: {"event": "after_step", "name": "value", ... } */
extern void ar_hook_json_begin(StringInfo json, HookEvent event);
extern void ar_hook_json_text(StringInfo json, const char *name, const char *value);
extern void ar_hook_json_integer(StringInfo json, const char *name, int64 value);
extern char *ar_hook_json_end(StringInfo json);

#endif							/* AR_HOOK_H */
