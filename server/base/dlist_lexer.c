/* dlist_lexer.c - see dlist_lexer.h.
 *
 * Every byte outside literals goes through take_byte(), which keeps the `tail` state: whether the line, as
 * consumed so far, ends in "{123}", "{123+}" or "%{p g 123}". That is what tells dlist_skip_line() that
 * octets follow the line end.
 *
 *	OTHER --"{", or a blank after "%{"--> OPEN --digit--> DIGITS --"+"--> PLUS --"}"--> CLOSED
 *							      DIGITS --------------"}"--> CLOSED
 */
#include "server/base/dlist_lexer.h"

#include <string.h>

#include "server/base/mem.h"

void dlist_lexer_init(struct dlist_lexer *lx, struct dlist_source source,
		      const struct dlist_limits *limits)
{
	static const struct dlist_limits usual = DLIST_LIMITS_DEFAULT;

	memset(lx, 0, sizeof(*lx));
	lx->source = source;
	lx->limits = limits ? *limits : usual;
	buf_init(&lx->text, 0);
}

void dlist_lexer_fini(struct dlist_lexer *lx)
{
	if (lx->used)
		lx->source.take(lx->source.ctx, lx->used);
	buf_free(&lx->text);
}

void dlist_lexer_restart(struct dlist_lexer *lx)
{
	struct buf text = lx->text;
	struct dlist_source source = lx->source;
	struct dlist_limits limits = lx->limits;

	memset(lx, 0, sizeof(*lx));
	lx->source = source;
	lx->limits = limits;
	lx->text = text;
	buf_clear(&lx->text);
}

static int span_peek(void *ctx, struct span *out, struct us_err *err UNUSED)
{
	struct span *rest = ctx;

	*out = *rest;
	return rest->len > 0;
}

static void span_take(void *ctx, size_t n)
{
	struct span *rest = ctx;

	*rest = span_from(*rest, n);
}

struct dlist_source dlist_source_span(struct span *rest)
{
	return (struct dlist_source){span_peek, span_take, rest};
}

/* Tell the source what of its window was used, and forget the window. */
static void settle(struct dlist_lexer *lx)
{
	if (lx->used)
		lx->source.take(lx->source.ctx, lx->used);
	lx->window = SPAN_NULL;
	lx->used = 0;
}

/* The next byte, not taken; END_OF_SOURCE, or a US_E code (which is why it is not -1). */
#define END_OF_SOURCE (-1000)
static int peek_byte(struct dlist_lexer *lx, struct us_err *err)
{
	int rc;

	if (lx->used == lx->window.len) {
		settle(lx);
		rc = lx->source.peek(lx->source.ctx, &lx->window, err);
		if (rc <= 0) {
			lx->window = SPAN_NULL;
			return rc < 0 ? rc : END_OF_SOURCE;
		}
	}
	return (unsigned char)lx->window.ptr[lx->used];
}

static inline void note_tail(struct dlist_lexer *lx, int c)
{
	bool digit = c >= '0' && c <= '9';

	if (c == '{' && lx->percent)
		lx->file_open = true;
	lx->percent = c == '%';
	if (c == '{' || (c == ' ' && lx->file_open)) {
		lx->tail = TAIL_OPEN;
		lx->digits = 0;
	} else if (digit && (lx->tail == TAIL_OPEN || lx->tail == TAIL_DIGITS) &&
		   lx->digits < UINT64_MAX / 16) {
		lx->tail = TAIL_DIGITS;
		lx->digits = lx->digits * 10 + (uint64_t)(c - '0');
	} else if (c == '+' && lx->tail == TAIL_DIGITS) {
		lx->tail = TAIL_PLUS;
	} else if (c == '}' && (lx->tail == TAIL_DIGITS || lx->tail == TAIL_PLUS)) {
		lx->tail = TAIL_CLOSED;
	} else if (c != '\r') {
		lx->tail = TAIL_OTHER;
	}
}

static void take_byte(struct dlist_lexer *lx, int c)
{
	note_tail(lx, c);
	lx->used++;
}

/* A line end was taken: a new physical line begins. */
static void new_line(struct dlist_lexer *lx)
{
	lx->used++;
	lx->tail = TAIL_OTHER;
	lx->file_open = lx->percent = false;
}

static int bad(struct dlist_lexer *lx, struct us_err *err, const char *what)
{
	(void)lx;
	return us_fail(err, US_EPROTO, "malformed value: %s", what);
}

/* Take CRLF or LF. */
static int take_line_end(struct dlist_lexer *lx, const char *after, struct us_err *err)
{
	int c = peek_byte(lx, err);

	if (c == '\r') {
		take_byte(lx, c);
		c = peek_byte(lx, err);
	}
	if (c == '\n') {
		new_line(lx);
		return 0;
	}
	return c < 0 && c != END_OF_SOURCE ? c : bad(lx, err, after);
}

static int read_number(struct dlist_lexer *lx, uint64_t *out, struct us_err *err)
{
	uint64_t n = 0;
	unsigned digits = 0;
	int c;

	while ((c = peek_byte(lx, err)) >= '0' && c <= '9') {
		if (n > (UINT64_MAX - 9) / 10)
			return bad(lx, err, "a size is too large");
		n = n * 10 + (uint64_t)(c - '0');
		digits++;
		take_byte(lx, c);
	}
	if (c < 0 && c != END_OF_SOURCE)
		return c;
	if (!digits)
		return bad(lx, err, "a size is missing");
	*out = n;
	return 0;
}

static bool ends_word(int c)
{
	return c < 0 || c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '(' || c == ')' ||
	       c == '"' || c == '\v' || c == '\f';
}

/* Append bytes to text until one that ends a word. */
static int read_word(struct dlist_lexer *lx, struct us_err *err)
{
	char chunk[128];
	size_t n = 0;
	int c;

	while (!ends_word(c = peek_byte(lx, err))) {
		if (c == 0)
			return bad(lx, err, "NUL in a word");
		if (lx->text.len + n >= lx->limits.word)
			return us_fail(err, US_ELIMIT, "a word is longer than %zu bytes",
				       lx->limits.word);
		if (n == sizeof(chunk)) {
			buf_add(&lx->text, chunk, n);
			n = 0;
		}
		chunk[n++] = (char)c;
		take_byte(lx, c);
	}
	buf_add(&lx->text, chunk, n);
	return c < 0 && c != END_OF_SOURCE ? c : 0;
}

static int read_quoted(struct dlist_lexer *lx, struct us_err *err)
{
	int c;

	take_byte(lx, '"');
	for (;;) {
		c = peek_byte(lx, err);
		if (c < 0 && c != END_OF_SOURCE)
			return c;
		if (c < 0 || c == '\r' || c == '\n' || c == 0)
			return bad(lx, err, "a quoted string is not closed");
		take_byte(lx, c);
		if (c == '"')
			return DLIST_TOKEN_TEXT;
		if (c == '\\') {
			c = peek_byte(lx, err);
			if (c < 0 || c == '\r' || c == '\n' || c == 0)
				return c < 0 && c != END_OF_SOURCE
					       ? c
					       : bad(lx, err, "nothing after a backslash");
			take_byte(lx, c);
		}
		if (lx->text.len >= lx->limits.word)
			return us_fail(err, US_ELIMIT, "a quoted string is longer than %zu bytes",
				       lx->limits.word);
		buf_add_char(&lx->text, (char)c);
	}
}

/* Move up to *left octets to put(), or nowhere; *left counts down. */
static int read_octets(struct dlist_lexer *lx, uint64_t *left,
		       int (*put)(void *ctx, const void *data, size_t len, struct us_err *err),
		       void *ctx, struct us_err *err)
{
	int result = 0;

	settle(lx);
	while (*left) {
		struct span bytes;
		int rc = lx->source.peek(lx->source.ctx, &bytes, err);

		if (rc < 0)
			return rc;
		if (rc == 0)
			return us_fail(err, US_ECLOSED, "the connection ended inside a literal");
		if (bytes.len > *left)
			bytes.len = (size_t)*left;
		if (put && result == 0)
			result = put(ctx, bytes.ptr, bytes.len, err);
		*left -= bytes.len;
		lx->source.take(lx->source.ctx, bytes.len);
	}
	return result;
}

static int put_text(void *ctx, const void *data, size_t len, struct us_err *err UNUSED)
{
	buf_add(ctx, data, len);
	return 0;
}

static int read_literal(struct dlist_lexer *lx, struct us_err *err)
{
	int rc, c;

	take_byte(lx, '{');
	rc = read_number(lx, &lx->size, err);
	if (rc < 0)
		return rc;
	c = peek_byte(lx, err);
	if (c == '+') {
		take_byte(lx, c);
		c = peek_byte(lx, err);
	}
	if (c != '}')
		return c < 0 && c != END_OF_SOURCE ? c
						   : bad(lx, err, "a literal's size is not closed");
	take_byte(lx, c);
	rc = take_line_end(lx, "no line end after a literal's size", err);
	if (rc < 0)
		return rc;
	lx->literal_left = lx->size;
	if (lx->size > lx->limits.literal)
		return us_fail(err, US_ELIMIT, "a literal is longer than %zu bytes",
			       lx->limits.literal);
	rc = read_octets(lx, &lx->literal_left, put_text, &lx->text, err);
	return rc < 0 ? rc : DLIST_TOKEN_TEXT;
}

static int expect_blank(struct dlist_lexer *lx, struct us_err *err)
{
	int c = peek_byte(lx, err);

	if (c != ' ')
		return c < 0 && c != END_OF_SOURCE ? c : bad(lx, err, "a file lacks a field");
	take_byte(lx, c);
	return 0;
}

/* partition SP guid SP size "}" CRLF, "%{" being taken. */
static int read_file_head(struct dlist_lexer *lx, struct us_err *err)
{
	size_t partition;
	int rc, c;

	rc = read_word(lx, err);
	partition = lx->text.len;
	if (rc == 0)
		rc = expect_blank(lx, err);
	if (rc == 0)
		rc = read_word(lx, err);
	if (rc == 0 && !guid_parse(span_from(buf_span(&lx->text), partition), &lx->guid))
		rc = bad(lx, err, "a file's guid is not 40 hex digits");
	buf_truncate(&lx->text, partition);
	if (rc == 0)
		rc = expect_blank(lx, err);
	if (rc == 0)
		rc = read_number(lx, &lx->size, err);
	if (rc < 0)
		return rc;
	c = peek_byte(lx, err);
	if (c != '}')
		return c < 0 && c != END_OF_SOURCE ? c
						   : bad(lx, err, "a file's size is not closed");
	take_byte(lx, c);
	rc = take_line_end(lx, "no line end after a file's size", err);
	if (rc < 0)
		return rc;
	lx->file_left = lx->size;
	return DLIST_TOKEN_FILE;
}

static int read_percent(struct dlist_lexer *lx, struct us_err *err)
{
	int c;

	take_byte(lx, '%');
	c = peek_byte(lx, err);
	if (c == '{') {
		take_byte(lx, c);
		return read_file_head(lx, err);
	}
	if (c != '(')
		return c < 0 && c != END_OF_SOURCE ? c : bad(lx, err, "% begins neither %( nor %{");
	take_byte(lx, c);
	return DLIST_TOKEN_KVLIST;
}

static int read_bare(struct dlist_lexer *lx, struct us_err *err)
{
	int rc = read_word(lx, err);

	if (rc < 0)
		return rc;
	if (lx->text.data[0] == '\\')
		return DLIST_TOKEN_FLAG;
	return span_is(buf_span(&lx->text), "NIL") ? DLIST_TOKEN_NIL : DLIST_TOKEN_TEXT;
}

static int open_bracket(struct dlist_lexer *lx, int token, struct us_err *err)
{
	if (token >= 0 && lx->depth >= lx->limits.depth)
		return us_fail(err, US_ELIMIT, "lists are nested more than %u deep",
			       lx->limits.depth);
	if (token >= 0)
		lx->depth++;
	return token;
}

static int close_bracket(struct dlist_lexer *lx, struct us_err *err)
{
	if (!lx->depth)
		return bad(lx, err, "a bracket is closed that was not opened");
	take_byte(lx, ')');
	lx->depth--;
	return DLIST_TOKEN_CLOSE;
}

static int end_line(struct dlist_lexer *lx, int c, struct us_err *err)
{
	if (lx->depth)
		return bad(lx, err, "the line ends inside a list");
	if (c != END_OF_SOURCE) {
		int rc = take_line_end(lx, "CR without LF", err);
		if (rc < 0)
			return rc;
	}
	settle(lx);
	lx->ended = true;
	lx->cut = c == END_OF_SOURCE;
	return DLIST_TOKEN_EOL;
}

int dlist_next(struct dlist_lexer *lx, struct us_err *err)
{
	int c;

	if (lx->ended)
		return DLIST_TOKEN_EOL;
	us_assert(!lx->file_left);
	buf_clear(&lx->text);
	while ((c = peek_byte(lx, err)) == ' ' || c == '\t')
		take_byte(lx, c);
	switch (c) {
	case '\r':
	case '\n':
	case END_OF_SOURCE:
		return end_line(lx, c, err);
	case '(':
		take_byte(lx, c);
		return open_bracket(lx, DLIST_TOKEN_LIST, err);
	case ')':
		return close_bracket(lx, err);
	case '"':
		return read_quoted(lx, err);
	case '{':
		return read_literal(lx, err);
	case '%':
		c = read_percent(lx, err);
		return c == DLIST_TOKEN_KVLIST ? open_bracket(lx, c, err) : c;
	case '\v':
	case '\f':
		return bad(lx, err, "a control character");
	default:
		return c < 0 ? c : read_bare(lx, err);
	}
}

int dlist_read_file(struct dlist_lexer *lx,
		    int (*put)(void *ctx, const void *data, size_t len, struct us_err *err),
		    void *ctx, struct us_err *err)
{
	return read_octets(lx, &lx->file_left, put, ctx, err);
}

int dlist_skip_line(struct dlist_lexer *lx, struct us_err *err)
{
	int rc = 0, c;

	for (;;) {
		if (rc == 0)
			rc = read_octets(lx, &lx->file_left, NULL, NULL, err);
		if (rc == 0)
			rc = read_octets(lx, &lx->literal_left, NULL, NULL, err);
		if (rc < 0 || lx->ended)
			return rc;
		c = peek_byte(lx, err);
		if (c == END_OF_SOURCE)
			return 0;
		if (c < 0)
			return c;
		if (c != '\n') {
			take_byte(lx, c);
			continue;
		}
		lx->ended = lx->tail != TAIL_CLOSED;
		lx->literal_left = lx->ended ? 0 : lx->digits;
		new_line(lx);
		settle(lx);
	}
}

/* ---- trees ------------------------------------------------------------------------------------ */

static int read_children(struct dlist_lexer *lx, struct pool *pool, struct dlist *list,
			 struct us_err *err);

static int put_pool_bytes(void *ctx, const void *data, size_t len, struct us_err *err UNUSED)
{
	buf_add(ctx, data, len);
	return 0;
}

static int read_file_bytes(struct dlist_lexer *lx, struct pool *pool, struct dlist *d,
			   struct us_err *err)
{
	struct buf bytes;
	int rc;

	if (lx->size > lx->limits.literal)
		return us_fail(err, US_ELIMIT, "a file is longer than %zu bytes",
			       lx->limits.literal);
	buf_init(&bytes, 0);
	rc = dlist_read_file(lx, put_pool_bytes, &bytes, err);
	d->bytes = pool_span(pool, buf_span(&bytes));
	buf_free(&bytes);
	return rc;
}

int dlist_read_tree(struct dlist_lexer *lx, int token, struct pool *pool, struct dlist **out,
		    struct us_err *err)
{
	static const enum dlist_kind kind[] = {
		[DLIST_TOKEN_NIL] = DLIST_NIL,       [DLIST_TOKEN_TEXT] = DLIST_TEXT,
		[DLIST_TOKEN_FLAG] = DLIST_FLAG,     [DLIST_TOKEN_LIST] = DLIST_LIST,
		[DLIST_TOKEN_KVLIST] = DLIST_KVLIST, [DLIST_TOKEN_FILE] = DLIST_FILE,
	};
	struct dlist *d;
	int rc = 0;

	if (token < 0)
		return token;
	if (token == DLIST_TOKEN_EOL || token == DLIST_TOKEN_CLOSE)
		return bad(lx, err, "a value is missing");
	if (pool_size(pool) > lx->limits.tree)
		return us_fail(err, US_ELIMIT, "a value takes more than %zu bytes",
			       lx->limits.tree);
	d = pool_alloc(pool, sizeof(*d));
	d->kind = kind[token];
	if (d->kind == DLIST_TEXT || d->kind == DLIST_FLAG || d->kind == DLIST_FILE)
		d->text = pool_span(pool, buf_span(&lx->text));
	if (d->kind == DLIST_FILE) {
		d->guid = lx->guid;
		rc = read_file_bytes(lx, pool, d, err);
	} else if (d->kind == DLIST_LIST || d->kind == DLIST_KVLIST) {
		rc = read_children(lx, pool, d, err);
	}
	if (rc < 0)
		return rc;
	*out = d;
	return 0;
}

static int read_children(struct dlist_lexer *lx, struct pool *pool, struct dlist *list,
			 struct us_err *err)
{
	struct dlist **end = &list->first;

	for (;;) {
		struct span key = SPAN_NULL;
		int token = dlist_next(lx, err), rc;

		if (token == DLIST_TOKEN_CLOSE)
			return 0;
		if (token >= 0 && list->kind == DLIST_KVLIST) {
			if (token != DLIST_TOKEN_TEXT && token != DLIST_TOKEN_NIL)
				return bad(lx, err, "a key is missing");
			key = pool_span(pool, buf_span(&lx->text));
			token = dlist_next(lx, err);
		}
		rc = dlist_read_tree(lx, token, pool, end, err);
		if (rc < 0)
			return rc;
		(*end)->key = key;
		end = &(*end)->next;
		list->n_children++;
	}
}

int dlist_parse(struct span text, struct pool *pool, struct dlist **out, struct us_err *err)
{
	struct dlist_lexer lx;
	struct dlist *d = NULL;
	int rc;

	dlist_lexer_init(&lx, dlist_source_span(&text), NULL);
	rc = dlist_read_tree(&lx, dlist_next(&lx, err), pool, &d, err);
	if (rc == 0) {
		rc = dlist_next(&lx, err);
		if (rc > 0)
			rc = bad(&lx, err, "something follows the value");
		else if (rc == DLIST_TOKEN_EOL && text.len)
			rc = bad(&lx, err, "a line end inside the text");
	}
	dlist_lexer_fini(&lx);
	if (rc == 0)
		*out = d;
	return rc;
}
