/*
 * revision_token.c: a script as tokens, and its checksum.
 *
 * Tokens come from the server's core scanner with an empty list of keywords,
 * so that every word is a name to it: the lists of keywords differ between
 * versions, what counts as a token does not.  The same script has the same
 * checksum on every version.
 */
#include "postgres.h"

#include <ctype.h>

#include "common/cryptohash.h"
#include "common/keywords.h"
#include "common/sha2.h"
#include "lib/stringinfo.h"
#include "parser/scanner.h"
#include "port/pg_bswap.h"
#include "revision/revision.h"
#include "utils/builtins.h"
#include "utils/guc.h"

/* The version of the checksum: what is hashed, and in which form. */
#define CHECKSUM_VERSION "1"

/* A class of the checksum's own: a word that is not quoted. */
#define CLASS_WORD 1

struct ScriptTokens
{
	core_yyscan_t scanner;
	core_yy_extra_type extra;
	int			nest_level;		/* of settings */
};

static void hash_script(pg_cryptohash_ctx *hash, char direction, const char *text);
static void add_token(StringInfo buffer, const ScriptToken *token, const char *text);
static void add_token_text(StringInfo buffer, int class, const char *text, int length);
static int	word_length(const char *word);
static void flush_hash(pg_cryptohash_ctx *hash, StringInfo buffer);
static void check_hash(pg_cryptohash_ctx *hash, int result);

/*
 * SHA-256 over the tokens of both directions.  Comments, layout, the spelling
 * of words and of strings, and empty statements make no difference.  Both
 * texts have passed the parser.
 */
bytea *
ar_revision_script_checksum(const char *upgrade, const char *downgrade)
{
	bytea	   *checksum = palloc(VARHDRSZ + PG_SHA256_DIGEST_LENGTH);
	pg_cryptohash_ctx *hash = pg_cryptohash_create(PG_SHA256);


	SET_VARSIZE(checksum, VARHDRSZ + PG_SHA256_DIGEST_LENGTH);
	check_hash(hash, pg_cryptohash_init(hash));
	check_hash(hash, pg_cryptohash_update(hash, (const uint8 *) CHECKSUM_VERSION,
										  strlen(CHECKSUM_VERSION)));
	hash_script(hash, 'u', upgrade);
	hash_script(hash, 'd', downgrade);
	check_hash(hash, pg_cryptohash_final(hash, (uint8 *) VARDATA(checksum),
										 PG_SHA256_DIGEST_LENGTH));
	pg_cryptohash_free(hash);
	return checksum;
}

/*
 * Begin to read the tokens of a text, every word as a name, and quietly: the
 * parser has warned of names that are too long, which is enough.
 */
ScriptTokens *
ar_revision_tokens_begin(const char *text)
{
	/* shorter than any word */
	static const ScanKeywordList no_keywords = {.max_kw_len = 0};
	ScriptTokens *tokens = palloc(sizeof(ScriptTokens));

	tokens->nest_level = NewGUCNestLevel();
	(void) set_config_option("client_min_messages", "error", PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
	tokens->scanner = scanner_init(text, &tokens->extra, &no_keywords, NULL);
	tokens->extra.standard_conforming_strings = true;
	tokens->extra.escape_string_warning = false;
	return tokens;
}

/*
 * The next token; false at the end.  The caller frees the token.
 */
bool
ar_revision_tokens_next(ScriptTokens *tokens, ScriptToken *token)
{
	core_YYSTYPE value;
	YYLTYPE		location;

	memset(token, 0, sizeof(ScriptToken));
	token->class = core_yylex(&value, &location, tokens->scanner);
	token->location = location;
	if (token->class >= AR_TOKEN_IDENT && token->class <= AR_TOKEN_OP)
		token->text = value.str;
	else if (token->class == AR_TOKEN_ICONST || token->class == AR_TOKEN_PARAM)
		token->number = value.ival;
	return token->class != 0;
}

void
ar_revision_tokens_end(ScriptTokens *tokens)
{
	scanner_finish(tokens->scanner);
	AtEOXact_GUC(true, tokens->nest_level);
	pfree(tokens);
}

void
ar_revision_token_free(ScriptToken *token)
{
	if (token->text)
		pfree(token->text);
	token->text = NULL;
}

/*
 * Is it that name, as the catalogs spell it?
 */
bool
ar_revision_token_is_name(const ScriptToken *token, const char *name)
{
	return token->class == AR_TOKEN_IDENT && strcmp(token->text, name) == 0;
}

bool
ar_revision_token_is_string(const ScriptToken *token, const char *string)
{
	return token->class == AR_TOKEN_SCONST && strcmp(token->text, string) == 0;
}

/*
 * Add one direction to the checksum.  A missing one and an empty one differ.
 */
static void
hash_script(pg_cryptohash_ctx *hash, char direction, const char *text)
{
	StringInfoData buffer;
	ScriptTokens *tokens;
	ScriptToken token;
	bool		separate = false;
	bool		any = false;

	initStringInfo(&buffer);
	appendStringInfoChar(&buffer, direction);
	appendStringInfoChar(&buffer, text ? '+' : '-');
	if (text)
	{
		tokens = ar_revision_tokens_begin(text);
		while (ar_revision_tokens_next(tokens, &token))
		{
			/* a semicolon counts as what separates two statements */
			if (token.class == ';')
			{
				separate = any;
				continue;
			}
			if (separate)
				add_token_text(&buffer, ';', "", 0);
			add_token(&buffer, &token, text);
			ar_revision_token_free(&token);
			separate = false;
			any = true;
			if (buffer.len >= BLCKSZ)
				flush_hash(hash, &buffer);
		}
		ar_revision_tokens_end(tokens);
	}
	add_token_text(&buffer, 0, "", 0);
	flush_hash(hash, &buffer);
	pfree(buffer.data);
}

/*
 * Words that are not quoted count in lower case, but only as far as ASCII
 * goes, and at full length: what the server makes of the rest depends on the
 * database.
 */
static void
add_token(StringInfo buffer, const ScriptToken *token, const char *text)
{
	const char *source = &text[token->location];

	if (token->class == AR_TOKEN_IDENT && *source != '"')
	{
		int			length = word_length(source);
		int			start;

		add_token_text(buffer, CLASS_WORD, source, length);
		start = buffer->len - length;
		for (int i = start; i < buffer->len; i++)
			buffer->data[i] = pg_ascii_tolower((unsigned char) buffer->data[i]);
	}
	else if (token->class == AR_TOKEN_IDENT)
		add_token_text(buffer, token->class, token->text, strlen(token->text));
	else if (token->text)
		add_token_text(buffer, token->class, token->text, strlen(token->text));
	else if (token->class == AR_TOKEN_ICONST || token->class == AR_TOKEN_PARAM)
	{
		char		number[12];

		pg_ltoa(token->number, number);
		add_token_text(buffer, token->class, number, strlen(number));
	}
	else
		add_token_text(buffer, token->class, "", 0);
}

static void
add_token_text(StringInfo buffer, int class, const char *text, int length)
{
	uint32		head[2] = {pg_hton32((uint32) class), pg_hton32((uint32) length)};

	appendBinaryStringInfo(buffer, (char *) head, sizeof(head));
	appendBinaryStringInfo(buffer, text, length);
}

/*
 * The length of a word in the text, by the scanner's rule for identifiers.
 */
static int
word_length(const char *word)
{
	int			length = 0;

	while (IS_HIGHBIT_SET(word[length]) || isalnum((unsigned char) word[length]) ||
		   word[length] == '_' || word[length] == '$')
		length++;
	return length;
}

static void
flush_hash(pg_cryptohash_ctx *hash, StringInfo buffer)
{
	check_hash(hash, pg_cryptohash_update(hash, (uint8 *) buffer->data, buffer->len));
	resetStringInfo(buffer);
}

static void
check_hash(pg_cryptohash_ctx *hash, int result)
{
	if (result < 0)
		elog(ERROR, "could not compute SHA-256: %s", pg_cryptohash_error(hash));
}
