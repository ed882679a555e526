/*
 * parameter.h: SQL with parameters that have names.
 *
 *	NamedText  *named = ar_parameter_number(text);
 *	... find the value of each name, and the type that its place wants ...
 *	input = ar_parameter_value(value, type, name);
 */
#ifndef AR_PARAMETER_H
#define AR_PARAMETER_H

#include "postgres.h"

#include "utils/jsonb.h"

/* A text whose parameters are numbered. */
typedef struct NamedText
{
	char	   *text;			/* $1, $2, ... in place of the names */
	const char *shown;			/* as it was, if every place in it is the same */
	int			count;
	char	  **names;			/* of $1, $2, ... */
} NamedText;

extern NamedText *ar_parameter_number(const char *text);
extern char *ar_parameter_value(JsonbValue *value, Oid type, const char *name);

#endif							/* AR_PARAMETER_H */
