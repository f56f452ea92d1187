/* content.c - the Content-* fields of RFC 2045, 2183, 2557 and 3282 and what they make of a part.
 *
 * Declared in known_private.h.
 */
#include "server/store/mime/known_private.h"

#include "server/base/mem.h"
#include "server/store/mime/param_private.h"
#include "server/store/mime/token.h"

#define LANGUAGES_MAX 16 /* more are dropped: memory stays in proportion */

static const struct {
	const char *name;
	enum mime_encoding encoding;
} encodings[] = {
	{"7bit", MIME_ENCODING_7BIT},
	{"8bit", MIME_ENCODING_8BIT},
	{"binary", MIME_ENCODING_BINARY},
	{"quoted-printable", MIME_ENCODING_QUOTED_PRINTABLE},
	{"base64", MIME_ENCODING_BASE64},
	{"uuencode", MIME_ENCODING_UUENCODE},
	{"x-uuencode", MIME_ENCODING_UUENCODE},
	{"x-uue", MIME_ENCODING_UUENCODE},
};

static const struct mime_param us_ascii = {{"charset", 7}, {"us-ascii", 8}, NULL};

/* ---- Content-Type ------------------------------------------------------------------------------ */

static enum mime_kind kind_of(struct span type, struct span subtype)
{
	if (span_is_nocase(type, "text"))
		return MIME_TEXT;
	if (span_is_nocase(type, "multipart"))
		return MIME_MULTIPART;
	if (span_is_nocase(type, "message") && span_is_nocase(subtype, "rfc822"))
		return MIME_MESSAGE;
	return MIME_LEAF;
}

static void default_type(struct mime_part *part, bool in_digest)
{
	part->type = in_digest ? SPAN_LIT("message") : SPAN_LIT("text");
	part->subtype = in_digest ? SPAN_LIT("rfc822") : SPAN_LIT("plain");
	part->params = in_digest ? NULL : &us_ascii;
	part->kind = kind_of(part->type, part->subtype);
}

/* type "/" subtype params; without both words it is as if it were missing (RFC 2045, section 5.2) */
static void take_type(struct mime_part *part, struct span value, bool in_digest, struct pool *pool)
{
	struct mime_lexer lx = mime_lexer(value);
	struct span type, subtype = SPAN_NULL;

	mime_lexer_skip_cfws(&lx);
	type = mime_lexer_token(&lx);
	mime_lexer_skip_cfws(&lx);
	if (mime_lexer_skip(&lx, '/')) {
		mime_lexer_skip_cfws(&lx);
		subtype = mime_lexer_token(&lx);
	}
	if (!type.len || !subtype.len) {
		default_type(part, in_digest);
		return;
	}
	part->type = type;
	part->subtype = subtype;
	part->kind = kind_of(type, subtype);
	part->params = mime_params_read(&lx, pool);
}

/* ---- the others -------------------------------------------------------------------------------- */

/* One word and nothing behind it; SPAN_NULL otherwise. */
static struct span only_word(struct span value)
{
	struct mime_lexer lx = mime_lexer(value);
	struct span word;

	mime_lexer_skip_cfws(&lx);
	word = mime_lexer_token(&lx);
	mime_lexer_skip_cfws(&lx);
	return word.len && mime_lexer_peek(&lx) < 0 ? word : SPAN_NULL;
}

/* "base64;" and the like happen, so text behind the word counts only if it is another word. */
static void take_encoding(struct mime_part *part, struct span value)
{
	const char *semicolon = span_find(value, ';');
	struct span word;

	if (semicolon)
		value.len = (size_t)(semicolon - value.ptr);
	word = only_word(value);
	part->encoding_name = word.len ? word : SPAN_LIT("7bit");
	part->encoding = word.len ? MIME_ENCODING_OTHER : MIME_ENCODING_7BIT;
	for (size_t i = 0; i < ARRAY_SIZE(encodings); i++)
		if (span_is_nocase(part->encoding_name, encodings[i].name))
			part->encoding = encodings[i].encoding;
}

/* RFC 2183: a word, then params. */
static void take_disposition(struct mime_part *part, struct span value, struct pool *pool)
{
	struct mime_lexer lx = mime_lexer(value);
	struct span word;
	int next;

	mime_lexer_skip_cfws(&lx);
	word = mime_lexer_token(&lx);
	mime_lexer_skip_cfws(&lx);
	next = mime_lexer_peek(&lx);
	if (!word.len || (next >= 0 && next != ';'))
		return;
	part->disposition = word;
	part->disposition_params = mime_params_read(&lx, pool);
}

/* RFC 3282: words with commas between them. */
static void take_languages(struct mime_part *part, struct span value, struct pool *pool)
{
	struct mime_lexer lx = mime_lexer(value);
	struct mime_words *last = NULL;
	size_t n = 0;

	while (mime_lexer_peek(&lx) >= 0 && n < LANGUAGES_MAX) {
		struct span word;
		struct mime_words *added;

		mime_lexer_skip_cfws(&lx);
		word = mime_lexer_token(&lx);
		if (!word.len) { /* a comma, or what has no business here */
			lx.at += mime_lexer_peek(&lx) >= 0;
			continue;
		}
		added = pool_alloc(pool, sizeof(*added));
		added->text = word;
		if (last)
			last->next = added;
		else
			part->languages = added;
		last = added;
		n++;
	}
}

void mime_known_to_content(const struct mime_known *known, struct mime_part *part, bool in_digest,
			   struct pool *pool)
{
	struct span value[MIME_FIELD_CONTENT_LOCATION + 1] = {{NULL, 0}};

	for (size_t i = 0; i < ARRAY_SIZE(value); i++)
		value[i] = known->last[i].ptr ? mime_unfold(known->last[i], pool) : SPAN_NULL;
	part->id = value[MIME_FIELD_CONTENT_ID];
	part->description = value[MIME_FIELD_CONTENT_DESCRIPTION];
	part->md5 = value[MIME_FIELD_CONTENT_MD5];
	part->location = value[MIME_FIELD_CONTENT_LOCATION];
	take_type(part, value[MIME_FIELD_CONTENT_TYPE], in_digest, pool);
	take_encoding(part, value[MIME_FIELD_CONTENT_TRANSFER_ENCODING]);
	take_disposition(part, value[MIME_FIELD_CONTENT_DISPOSITION], pool);
	take_languages(part, value[MIME_FIELD_CONTENT_LANGUAGE], pool);
}
