/*
 * schema_fingerprint.c: a hash of a model.
 *
 * Of each object its key and its attributes go in, in the order of the keys,
 * so that two schemas have the same fingerprint if and only if their models are
 * the same.
 */
#include "postgres.h"

#include "common/cryptohash.h"
#include "common/sha2.h"
#include "schema/schema.h"

/*
 * The SHA-256 of the objects first .. last - 1 of a model, in hexadecimal
 * digits.  The schemas themselves do not count.
 */
char *
ar_schema_fingerprint(const SchemaModel *model, int first, int last, const SchemaOptions *options)
{
	pg_cryptohash_ctx *hash = pg_cryptohash_create(PG_SHA256);
	uint8		digest[PG_SHA256_DIGEST_LENGTH];
	char	   *text = palloc(2 * PG_SHA256_DIGEST_LENGTH + 1);
	StringInfoData line;

	initStringInfo(&line);
	if (hash == NULL || pg_cryptohash_init(hash) < 0)
		elog(ERROR, "could not initialize a hash");
	for (int number = first; number < last; number++)
	{
		SchemaObject *object = list_nth(model->objects, number);
		int			count;
		const char **names = ar_schema_attributes(object->kind, &count);

		if (object->kind == AR_SCHEMA_SCHEMA)
			continue;
		resetStringInfo(&line);
		appendBinaryStringInfo(&line, object->identity, strlen(object->identity) + 1);
		for (int i = 0; i < count; i++)
		{
			const char *value;

			if (object->value[i] == NULL || names[i][0] == '_' ||
				(!options->owners && strcmp(names[i], "owner") == 0))
				continue;
			appendBinaryStringInfo(&line, names[i], strlen(names[i]) + 1);
			value = ar_schema_canonical(object->value[i]);
			appendBinaryStringInfo(&line, value, strlen(value) + 1);
		}
		appendStringInfoChar(&line, '\n');
		if (pg_cryptohash_update(hash, (uint8 *) line.data, line.len) < 0)
			elog(ERROR, "could not update a hash");
	}
	if (pg_cryptohash_final(hash, digest, sizeof(digest)) < 0)
		elog(ERROR, "could not finish a hash");
	pg_cryptohash_free(hash);
	for (int i = 0; i < PG_SHA256_DIGEST_LENGTH; i++)
		sprintf(&text[2 * i], "%02x", digest[i]);
	return text;
}
