/* ahead.c - see ahead.h. */
#include "server/store/meta/ahead.h"

#include <stdlib.h>

#include "server/base/mem.h"

#define PAGES       8  /* that are kept */
#define FEWEST_ROWS 16 /* of a page */
#define MOST_ROWS   1000

struct page {
	bool filled;
	enum meta_table table;
	struct buf first, behind; /* what it covers; behind is exclusive */
	bool to_the_end;          /* it covers all of the table from first on */
	struct buf entries;
	size_t at;        /* where in them the last range ended */
	uint32_t asked;   /* for so many */
	uint32_t n, told; /* rows in it, and of these told to somebody */
	uint64_t used;    /* when; higher is later */
};

struct meta_ahead {
	struct page pages[PAGES];
	uint64_t clock;
	bool walking;
};

struct meta_ahead *meta_ahead_new(void)
{
	struct meta_ahead *a = us_calloc(1, sizeof(*a));

	for (size_t i = 0; i < PAGES; i++) {
		buf_init(&a->pages[i].first, 0);
		buf_init(&a->pages[i].behind, 0);
		buf_init(&a->pages[i].entries, 0);
	}
	return a;
}

void meta_ahead_free(struct meta_ahead **ahead)
{
	if (!*ahead)
		return;
	for (size_t i = 0; i < PAGES; i++) {
		buf_free(&(*ahead)->pages[i].first);
		buf_free(&(*ahead)->pages[i].behind);
		buf_free(&(*ahead)->pages[i].entries);
	}
	free(*ahead);
	*ahead = NULL;
}

/* ---- which page ---------------------------------------------------------------------------------- */

static bool covers(const struct page *p, enum meta_table table, struct span key)
{
	return p->filled && p->table == table && span_cmp(buf_span(&p->first), key) <= 0 &&
	       (p->to_the_end || span_cmp(key, buf_span(&p->behind)) < 0);
}

static struct page *find_page(struct meta_ahead *a, enum meta_table table, struct span key)
{
	for (size_t i = 0; i < PAGES; i++)
		if (covers(&a->pages[i], table, key))
			return &a->pages[i];
	return NULL;
}

/* Does q lie nearer before the key than p? */
static bool is_nearer(const struct page *q, const struct page *p, enum meta_table table,
		      struct span key)
{
	return q->filled && q->table == table && !q->to_the_end &&
	       span_cmp(buf_span(&q->behind), key) <= 0 &&
	       (!p || span_cmp(buf_span(&q->behind), buf_span(&p->behind)) > 0);
}

/* The one that a page from this key on replaces: it goes on where that ended, if there is one; else nobody has used it for longest. */
static struct page *page_to_fill(struct meta_ahead *a, enum meta_table table, struct span key)
{
	struct page *before = NULL, *oldest = &a->pages[0];

	for (size_t i = 0; i < PAGES; i++) {
		struct page *p = &a->pages[i];
		if (is_nearer(p, before, table, key))
			before = p;
		if (p->used < oldest->used)
			oldest = p;
	}
	if (before)
		return before;
	oldest->asked = 0; /* what was learnt is of another walk */
	return oldest;
}

/* ---- filling it ---------------------------------------------------------------------------------- */

static uint32_t next_size(const struct page *p)
{
	uint32_t rows = p->told >= p->n - p->n / 4 ? p->asked * 2 : p->asked / 2;

	if (!p->asked || rows < FEWEST_ROWS)
		return FEWEST_ROWS;
	return rows < MOST_ROWS ? rows : MOST_ROWS;
}

/* Count its entries and note behind which key it ends. */
static int look_through(struct page *p, struct us_err *err)
{
	struct span rest = buf_span(&p->entries), key = SPAN_NULL, value;
	int rc;

	while ((rc = entry_next(&rest, &key, &value, err)) > 0)
		p->n++;
	buf_clear(&p->behind);
	buf_add_span(&p->behind, key);
	buf_add_char(&p->behind, '\0');
	p->to_the_end = p->n < p->asked && p->entries.len < RANGE_PAGE_BYTES;
	return rc;
}

static int fill(struct meta *meta, struct page *p, enum meta_table table, struct span first,
		struct us_err *err)
{
	struct request r = {.kind = PACKET_RANGE, .table = table, .most = next_size(p)};
	struct buf from = BUF_INIT;
	int rc;

	buf_add_span(&from, first); /* may be the page's own end */
	buf_clear(&p->first);
	buf_add_span(&p->first, buf_span(&from));
	buf_free(&from);
	buf_clear(&p->entries);
	p->filled = false;
	p->table = table;
	p->asked = r.most;
	p->n = p->told = 0;
	p->at = 0;
	r.first = buf_span(&p->first);
	rc = meta->ops->page(meta, &r, &p->entries, err);
	if (rc == 0)
		rc = look_through(p, err);
	p->filled = rc == 0;
	return rc;
}

static int page_for(struct meta *meta, enum meta_table table, struct span key, struct page **out,
		    struct us_err *err)
{
	struct meta_ahead *a = meta->ahead;
	struct page *p = find_page(a, table, key);
	int rc = 0;

	if (!p) {
		p = page_to_fill(a, table, key);
		rc = fill(meta, p, table, key, err);
	}
	p->used = ++a->clock;
	*out = p;
	return rc;
}

/* ---- walking over it ----------------------------------------------------------------------------- */

/* Where to begin to look for `first`: ranges come in order most of the time. */
static struct span place_of(struct page *p, struct span first)
{
	struct span rest = span_from(buf_span(&p->entries), p->at), key, value;
	struct us_err ignored; /* it was looked through before */

	if (p->at && (entry_next(&rest, &key, &value, &ignored) <= 0 || span_cmp(key, first) > 0))
		p->at = 0;
	return span_from(buf_span(&p->entries), p->at);
}

/* 0 at the end of the range or of the page, else what fn said. */
static int walk_page(struct page *p, struct span first, struct span end, meta_row_fn *fn, void *ctx,
		     struct us_err *err)
{
	struct span rest = place_of(p, first), key, value, payload;
	struct meta_stamp stamp;
	int rc = 0;

	for (;;) {
		size_t here = p->entries.len - rest.len;
		rc = entry_next(&rest, &key, &value, err);
		if (rc > 0 && end.len && span_cmp(key, end) >= 0)
			rc = 0;
		if (rc <= 0) {
			p->at = here;
			return rc;
		}
		if (span_cmp(key, first) < 0)
			continue;
		if (!value_split(value, &stamp, &payload))
			return us_fail(err, US_ECORRUPT, "metadata: a row has no version");
		p->told++;
		rc = fn(ctx, key, payload, &stamp);
		if (rc)
			return rc;
	}
}

static bool is_last(const struct page *p, struct span end)
{
	return p->to_the_end || (end.len && span_cmp(end, buf_span(&p->behind)) <= 0);
}

int ahead_range(struct meta *meta, enum meta_table table, struct span first, struct span end,
		meta_row_fn *fn, void *ctx, struct us_err *err)
{
	struct buf from = BUF_INIT;
	struct page *p;
	int rc;

	buf_add_span(&from, first);
	for (;;) {
		rc = page_for(meta, table, buf_span(&from), &p, err);
		if (rc < 0)
			break;
		meta->ahead->walking = true;
		rc = walk_page(p, buf_span(&from), end, fn, ctx, err);
		meta->ahead->walking = false;
		if (rc || is_last(p, end))
			break;
		buf_clear(&from);
		buf_add_span(&from, buf_span(&p->behind));
	}
	buf_free(&from);
	return rc;
}

bool ahead_may_be_asked(const struct meta *meta)
{
	return meta->ahead && !meta->ahead->walking;
}

void meta_use_ahead(struct meta *meta, struct meta_ahead *ahead)
{
	meta->ahead = ahead;
}
