/* wire_fields.c - reading kvlists by tables of fields; see wire_private.h.
 *
 * Values are taken token by token, so that what is kept is what was asked for: a list of 100,000 UIDs takes 4 bytes
 * each, and unknown keys take nothing.
 */
#include <string.h>

#include "reconcile/wire_private.h"
#include "server/base/mem.h"

static bool is_list(int token)
{
	return token == DLIST_TOKEN_LIST || token == DLIST_TOKEN_KVLIST;
}

int wire_pass(struct dlist_lexer *lx, int token, struct us_err *err)
{
	unsigned outside = lx->depth - is_list(token);
	int rc = 0;

	if (token == DLIST_TOKEN_EOL || token == DLIST_TOKEN_CLOSE)
		return us_fail(err, US_EPROTO, "a value is missing");
	while (token >= 0 && rc >= 0) {
		if (token == DLIST_TOKEN_FILE)
			rc = dlist_read_file(lx, NULL, NULL, err);
		if (rc < 0 || lx->depth == outside)
			return rc;
		token = dlist_next(lx, err);
	}
	return token < 0 ? token : rc;
}

int wire_read_end(struct dlist_lexer *lx, struct us_err *err)
{
	int token = dlist_next(lx, err);

	if (token < 0)
		return token;
	return token == DLIST_TOKEN_EOL ? 0 : us_fail(err, US_EPROTO, "something follows");
}

/* ---- memory ------------------------------------------------------------------------------------ */

int wire_check_limit(struct wire_reader *r, size_t more, struct us_err *err)
{
	size_t limit = r->in_record ? r->lx->limits.tree / 4 : r->lx->limits.tree;

	if (pool_size(r->pool) + more <= limit)
		return 0;
	return us_fail(err, US_ELIMIT, "one %s takes more than %zu bytes",
		       r->in_record ? "record" : "line", limit);
}

int wire_keep(struct wire_reader *r, struct span *at, struct us_err *err)
{
	struct span text = buf_span(&r->lx->text);
	int rc = wire_check_limit(r, text.len, err);

	if (rc == 0)
		*at = pool_span(r->pool, text);
	return rc;
}

void *wire_grow(struct pool *pool, void *items, size_t n, size_t *cap, size_t size)
{
	size_t more = *cap ? *cap * 2 : 8;
	void *grown;

	if (n < *cap)
		return items;
	grown = pool_alloc(pool, us_mul_size(more, size));
	if (n)
		memcpy(grown, items, n * size);
	*cap = more;
	return grown;
}

/* ---- kvlists and lists --------------------------------------------------------------------------- */

static size_t find_row(const struct wire_field_row *rows, size_t n, struct span key)
{
	size_t i = 0;

	while (i < n && !span_is(key, rows[i].key))
		i++;
	return i;
}

int wire_read_fields(struct wire_reader *r, const struct wire_field_row *rows, size_t n, void *out,
		     uint64_t *seen, struct us_err *err)
{
	uint64_t met = 0;

	*seen = 0;
	for (;;) {
		int token = dlist_next(r->lx, err), rc;
		size_t i;

		if (token < 0 || token == DLIST_TOKEN_CLOSE)
			return token < 0 ? token : 0;
		if (token != DLIST_TOKEN_TEXT && token != DLIST_TOKEN_NIL)
			return us_fail(err, US_EPROTO, "a key is missing");
		i = find_row(rows, n, buf_span(&r->lx->text));
		token = dlist_next(r->lx, err);
		if (token < 0)
			return token;
		if (i == n || met & WIRE_BIT(i)) {
			rc = wire_pass(r->lx, token, err);
		} else {
			met |= WIRE_BIT(i);
			rc = rows[i].read(r, token, (char *)out + rows[i].at, err);
			*seen |= rc > 0 ? WIRE_BIT(i) : 0;
		}
		if (rc < 0)
			return rc;
	}
}

int wire_read_list(struct wire_reader *r, wire_field_fn *fn, void *ctx, bool *all,
		   struct us_err *err)
{
	*all = true;
	for (;;) {
		int token = dlist_next(r->lx, err), rc;

		if (token < 0 || token == DLIST_TOKEN_CLOSE)
			return token < 0 ? token : 0;
		rc = fn(r, token, ctx, err);
		if (rc < 0)
			return rc;
		*all &= rc > 0;
	}
}

/* ---- single values ------------------------------------------------------------------------------- */

static bool is_string(int token)
{
	return token == DLIST_TOKEN_TEXT || token == DLIST_TOKEN_FLAG;
}

int wire_field_str(struct wire_reader *r, int token, void *at, struct us_err *err)
{
	int rc;

	if (!is_string(token))
		return wire_pass(r->lx, token, err);
	if (memchr(r->lx->text.data, 0, r->lx->text.len))
		return 0;
	rc = wire_keep(r, at, err);
	return rc < 0 ? rc : 1;
}

int wire_field_nullable(struct wire_reader *r, int token, void *at, struct us_err *err)
{
	return token == DLIST_TOKEN_NIL ? 1 : wire_field_str(r, token, at, err);
}

bool wire_is_atom(struct span s)
{
	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.ptr[i];
		if (c <= ' ' || c >= 0x7f || strchr("{()\"%*\\", c))
			return false;
	}
	return s.len > 0 && s.len < 1024;
}

int wire_field_partition(struct wire_reader *r, int token, void *at, struct us_err *err)
{
	if (is_string(token) && !wire_is_atom(buf_span(&r->lx->text)))
		return 0;
	return wire_field_nullable(r, token, at, err);
}

int wire_field_value(struct wire_reader *r, int token, void *at, struct us_err *err)
{
	int rc;

	if (token == DLIST_TOKEN_NIL)
		return 1;
	if (!is_string(token))
		return wire_pass(r->lx, token, err);
	rc = wire_keep(r, at, err);
	return rc < 0 ? rc : 1;
}

/* 1: the token is a number of at most `max`. */
static int take_number(struct wire_reader *r, int token, uint64_t max, uint64_t *out,
		       struct us_err *err)
{
	if (token != DLIST_TOKEN_TEXT)
		return wire_pass(r->lx, token, err);
	return span_u64(buf_span(&r->lx->text), max, out);
}

int wire_field_u32(struct wire_reader *r, int token, void *at, struct us_err *err)
{
	uint64_t n;
	int rc = take_number(r, token, UINT32_MAX, &n, err);

	if (rc > 0)
		*(uint32_t *)at = (uint32_t)n;
	return rc;
}

int wire_field_u64(struct wire_reader *r, int token, void *at, struct us_err *err)
{
	return take_number(r, token, UINT64_MAX, at, err);
}

int wire_field_time(struct wire_reader *r, int token, void *at, struct us_err *err)
{
	uint64_t n;
	int rc = take_number(r, token, INT64_MAX, &n, err);

	if (rc > 0)
		*(int64_t *)at = (int64_t)n;
	return rc;
}

int wire_field_bool(struct wire_reader *r, int token, void *at, struct us_err *err)
{
	uint64_t n;
	int rc = take_number(r, token, UINT64_MAX, &n, err);

	if (rc > 0)
		*(bool *)at = n != 0;
	return rc;
}

int wire_field_guid(struct wire_reader *r, int token, void *at, struct us_err *err)
{
	if (token != DLIST_TOKEN_TEXT)
		return wire_pass(r->lx, token, err);
	return guid_parse(buf_span(&r->lx->text), at);
}

/* ---- lists of one kind --------------------------------------------------------------------------- */

struct growing {
	char *items;
	size_t n, cap, size;
	wire_field_fn *read;
};

static int add_element(struct wire_reader *r, int token, void *ctx, struct us_err *err)
{
	struct growing *g = ctx;
	int rc = g->n < g->cap ? 0 : wire_check_limit(r, 2 * g->cap * g->size, err);

	if (rc < 0)
		return rc;
	g->items = wire_grow(r->pool, g->items, g->n, &g->cap, g->size);
	rc = g->read(r, token, g->items + g->n * g->size, err);
	g->n += rc > 0;
	return rc;
}

/* 1: every element was what it had to be. */
static int read_growing(struct wire_reader *r, int token, struct growing *g, struct us_err *err)
{
	bool all;
	int rc;

	if (token != DLIST_TOKEN_LIST)
		return wire_pass(r->lx, token, err);
	rc = wire_read_list(r, add_element, g, &all, err);
	return rc < 0 ? rc : all;
}

int wire_field_names(struct wire_reader *r, int token, void *at, struct us_err *err)
{
	struct growing g = {.size = sizeof(struct span), .read = wire_field_str};
	int rc = read_growing(r, token, &g, err);

	if (rc > 0)
		*(struct wire_names *)at = (struct wire_names){(void *)g.items, g.n};
	return rc;
}

int wire_field_guids(struct wire_reader *r, int token, void *at, struct us_err *err)
{
	struct growing g = {.size = sizeof(struct guid), .read = wire_field_guid};
	int rc = read_growing(r, token, &g, err);

	if (rc > 0)
		*(struct wire_guids *)at = (struct wire_guids){(void *)g.items, g.n};
	return rc;
}

int wire_field_uids(struct wire_reader *r, int token, void *at, struct us_err *err)
{
	struct growing g = {.size = sizeof(uint32_t), .read = wire_field_u32};
	int rc = read_growing(r, token, &g, err);

	if (rc > 0)
		*(struct wire_uids *)at = (struct wire_uids){(void *)g.items, g.n};
	return rc;
}
