/* param.c - see param_private.h.
 *
 *	params = *(";" [name "=" value])
 *	value  = quoted-string / anything up to the next ";"
 *
 * The second form is wider than RFC 2045's token, since file names with blanks and boundaries with "="
 * are sent unquoted. Comments around names and values are dropped.
 *
 * RFC 2231 cuts a long value in pieces, "name*0", "name*1", and encodes pieces as "name*0*". Section 6
 * there: an IMAP server joins them in BODYSTRUCTURE. The charset''text form itself is the client's to
 * decode, so an encoded value stays under "name*"; the plain pieces between encoded ones are encoded.
 */
#include "server/store/mime/param_private.h"

#include <string.h>

#include "server/base/buf.h"

struct piece {
	struct span name;  /* without "*0*" */
	struct span value; /* a quoted string: what stands between the quotes */
	bool quoted;
	int number;   /* -1: no continuation */
	bool encoded; /* the name ended in "*" */
	bool used;    /* joined to the piece with number 0 */
};

struct pieces {
	struct piece at[MIME_PARAMS_MAX];
	size_t n;
};

/* ---- reading ----------------------------------------------------------------------------------- */

/* Up to the next ";" that is outside quotes and comments. */
static void skip_to_semicolon(struct mime_lexer *lx)
{
	struct span ignored;
	int c;

	while ((c = mime_lexer_peek(lx)) >= 0 && c != ';') {
		if (c == '(')
			mime_lexer_skip_comment(lx);
		else if (!mime_lexer_quoted(lx, &ignored))
			lx->at++;
	}
}

/* A value without quotes: to the ";", without blanks and comments at its end. A bracket that more text
 * follows was no comment: "name=plan (2).pdf". */
static struct span take_bare_value(struct mime_lexer *lx)
{
	size_t from = lx->at, end = from;

	for (;;) {
		int c;
		mime_lexer_skip_cfws(lx);
		c = mime_lexer_peek(lx);
		if (c < 0 || c == ';')
			return span_make(lx->text.ptr + from, end - from);
		lx->at++;
		end = lx->at;
	}
}

/* "*" at the end: encoded; "*" number before that: a continuation. */
static void split_name(struct piece *p)
{
	struct span name = p->name;
	const char *star;
	uint64_t number;

	if (name.len > 1 && name.ptr[name.len - 1] == '*') {
		p->encoded = true;
		name.len--;
	}
	star = memrchr(name.ptr, '*', name.len);
	if (star && star > name.ptr) {
		struct span digits = span_from(name, (size_t)(star - name.ptr) + 1);
		if (span_u64(digits, MIME_PARAMS_MAX, &number)) {
			p->number = (int)number;
			name.len = (size_t)(star - name.ptr);
		}
	}
	p->name = name;
}

/* Behind a ";". False: nothing of use stands there. */
static bool take_piece(struct mime_lexer *lx, struct piece *p)
{
	*p = (struct piece){.number = -1};
	mime_lexer_skip_cfws(lx);
	p->name = mime_lexer_token(lx);
	mime_lexer_skip_cfws(lx);
	if (!p->name.len || !mime_lexer_skip(lx, '='))
		return false;
	mime_lexer_skip_cfws(lx);
	p->quoted = mime_lexer_quoted(lx, &p->value);
	if (!p->quoted) {
		(void)mime_lexer_skip(lx, '"'); /* never closed: an accident */
		p->value = take_bare_value(lx);
	}
	split_name(p);
	return true;
}

static void take_pieces(struct mime_lexer *lx, struct pieces *pieces)
{
	while (mime_lexer_peek(lx) >= 0 && pieces->n < MIME_PARAMS_MAX) {
		struct piece p;
		if (take_piece(lx, &p))
			pieces->at[pieces->n++] = p;
		skip_to_semicolon(lx);
		(void)mime_lexer_skip(lx, ';');
	}
}

/* ---- joining ----------------------------------------------------------------------------------- */

/* RFC 2231, section 7: attribute-char, and what else an extended value may hold. */
static bool is_plain_in_encoded(unsigned char c)
{
	return c > ' ' && c < 127 && !strchr("*'%()<>@,;:\\\"/[]?=", c);
}

static void add_encoded(struct buf *out, struct span text)
{
	static const char digit[] = "0123456789ABCDEF";

	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.ptr[i];
		char code[3] = {'%', digit[c >> 4], digit[c & 15]};
		if (is_plain_in_encoded(c))
			buf_add_char(out, (char)c);
		else
			buf_add(out, code, 3);
	}
}

static struct piece *find_continuation(struct pieces *pieces, struct span name, int number)
{
	for (size_t i = 0; i < pieces->n; i++) {
		struct piece *p = &pieces->at[i];
		if (p->number == number && !p->used && span_eq_nocase(p->name, name))
			return p;
	}
	return NULL;
}

static struct span piece_text(const struct piece *p, struct pool *pool)
{
	return p->quoted ? mime_unescape(p->value, pool) : p->value;
}

/* Make `first`, which has number 0, the whole value. */
static void join(struct pieces *pieces, struct piece *first, struct pool *pool)
{
	struct piece *list[MIME_PARAMS_MAX], *p = first;
	struct buf joined = BUF_INIT;
	bool encoded = false;
	size_t n = 0;

	for (int number = 0; p; p = find_continuation(pieces, first->name, ++number)) {
		p->used = true;
		encoded |= p->encoded;
		list[n++] = p;
	}
	for (size_t i = 0; i < n; i++) {
		if (encoded && !list[i]->encoded)
			add_encoded(&joined, piece_text(list[i], pool));
		else
			buf_add_span(&joined, piece_text(list[i], pool));
	}
	*first = (struct piece){.name = first->name,
				.value = pool_span(pool, buf_span(&joined)),
				.number = -1,
				.encoded = encoded};
	buf_free(&joined);
}

/* As it was written, "*" and number included. */
static struct span full_name(const struct piece *p, struct pool *pool)
{
	const char *star = p->encoded ? "*" : "";

	if (p->number >= 0)
		return span_of(pool_printf(pool, "%.*s*%d%s", SPAN_ARG(p->name), p->number, star));
	if (p->encoded)
		return span_of(pool_printf(pool, "%.*s*", SPAN_ARG(p->name)));
	return p->name;
}

const struct mime_param *mime_params_read(struct mime_lexer *lx, struct pool *pool)
{
	struct mime_param *first = NULL, *last = NULL;
	struct pieces pieces;

	pieces.n = 0;
	mime_lexer_skip_cfws(lx);
	(void)mime_lexer_skip(lx, ';');
	take_pieces(lx, &pieces);
	for (size_t i = 0; i < pieces.n; i++)
		if (pieces.at[i].number == 0)
			join(&pieces, &pieces.at[i], pool);
	for (size_t i = 0; i < pieces.n; i++) {
		struct mime_param *param;
		if (pieces.at[i].used)
			continue;
		param = pool_alloc(pool, sizeof(*param));
		param->name = full_name(&pieces.at[i], pool);
		param->value = piece_text(&pieces.at[i], pool);
		if (last)
			last->next = param;
		else
			first = param;
		last = param;
	}
	return first;
}
