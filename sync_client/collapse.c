/* collapse.c - see collapse.h. */
#include "sync_client/collapse.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "server/base/io.h"
#include "server/base/mem.h"
#include "synclog/record.h"

#define PIECE ((size_t)1 << 20)

struct set {
	struct coalesce_line *items;
	size_t n, cap, bytes;
};

struct collapse {
	const struct coalesce_owner *owner;
	size_t max;
	struct pool *pool;
	struct set compare, removals;
	struct buf id; /* of an owner, for a moment */
};

/* ---- sets -------------------------------------------------------------------------------------- */

static int compare_lines(const void *a, const void *b)
{
	const struct coalesce_line *x = a, *y = b;

	return x->kind != y->kind ? (x->kind < y->kind ? -1 : 1) : span_cmp(x->arg[0], y->arg[0]);
}

/* Each once, its text in `pool`. */
static void tidy(struct set *set, struct pool *pool)
{
	size_t kept = 0;

	qsort(set->items, set->n, sizeof(set->items[0]), compare_lines);
	set->bytes = 0;
	for (size_t i = 0; i < set->n; i++) {
		if (kept && compare_lines(&set->items[kept - 1], &set->items[i]) == 0)
			continue;
		set->items[kept] = set->items[i];
		set->items[kept].arg[0] = pool_span(pool, set->items[i].arg[0]);
		set->bytes += sizeof(set->items[0]) + set->items[kept++].arg[0].len;
	}
	set->n = kept;
}

static void tidy_both(struct collapse *c)
{
	struct pool *fresh = pool_new();

	if (c->compare.n)
		tidy(&c->compare, fresh);
	if (c->removals.n)
		tidy(&c->removals, fresh);
	pool_free(&c->pool);
	c->pool = fresh;
}

static void keep(struct collapse *c, struct set *set, enum coalesce_kind kind, struct span arg)
{
	const struct coalesce_line *last = set->n ? &set->items[set->n - 1] : NULL;

	if (last && last->kind == kind && span_eq(last->arg[0], arg))
		return; /* logs repeat themselves */
	us_grow(&set->items, set->n, &set->cap, sizeof(set->items[0]));
	set->items[set->n++] = (struct coalesce_line){kind, {pool_span(c->pool, arg), SPAN_NULL}};
	set->bytes += sizeof(set->items[0]) + arg.len;
}

/* ---- lines ------------------------------------------------------------------------------------- */

/* The user whose that mailbox or root is, or the object itself if it is nobody's. */
static void keep_whole(struct collapse *c, enum coalesce_kind otherwise, struct span name)
{
	buf_clear(&c->id);
	if (c->owner->owner(c->owner->ctx, name, &c->id))
		keep(c, &c->compare, COALESCE_USER, buf_span(&c->id));
	else
		keep(c, &c->compare, otherwise, name);
}

static void keep_line(struct collapse *c, const struct synclog_record *r)
{
	switch (r->kind) {
	case SYNCLOG_APPEND:
	case SYNCLOG_MAILBOX:
		keep_whole(c, COALESCE_MAILBOX, r->arg[0]);
		break;
	case SYNCLOG_DOUBLEMAILBOX:
	case SYNCLOG_RENAME:
		keep_whole(c, COALESCE_MAILBOX, r->arg[0]);
		keep_whole(c, COALESCE_MAILBOX, r->arg[1]);
		break;
	case SYNCLOG_UNMAILBOX:
		keep_whole(c, COALESCE_MAILBOX, r->arg[0]);
		keep(c, &c->removals, COALESCE_UNMAILBOX, r->arg[0]);
		break;
	case SYNCLOG_QUOTA:
		keep_whole(c, COALESCE_QUOTA, r->arg[0]);
		break;
	case SYNCLOG_ANNOTATION:
		keep(c, &c->compare, COALESCE_ANNOTATION, r->arg[0]);
		break;
	case SYNCLOG_UNUSER:
		keep(c, &c->removals, COALESCE_UNUSER, r->arg[0]);
		keep(c, &c->compare, COALESCE_USER, r->arg[0]); /* he may be here again */
		break;
	default:
		keep(c, &c->compare, COALESCE_USER, r->arg[0]);
		break;
	}
}

static void keep_lines(struct collapse *c, struct span text)
{
	struct pool *pool = pool_new();
	struct synclog_record record;
	struct span bad;
	int rc;

	while ((rc = synclog_parse(&text, pool, &record, &bad, NULL)) != 0) {
		if (rc > 0)
			keep_line(c, &record);
		pool_clear(pool);
	}
	pool_free(&pool);
}

/* ---- the file ---------------------------------------------------------------------------------- */

static int make_room(struct collapse *c, struct us_err *err)
{
	if (c->compare.bytes + c->removals.bytes <= c->max)
		return 0;
	tidy_both(c);
	if (c->compare.bytes + c->removals.bytes > c->max / 2)
		return us_fail(err, US_ELIMIT, "the log names too many objects");
	return 0;
}

/* Pieces end behind the last whole line. (Literals have line ends inside, but nobody has written one for twenty years: a piece
 * may then end in one, and its two halves are two bad lines.) */
static int read_pieces(struct collapse *c, int fd, uint64_t size, struct us_err *err)
{
	char *piece = us_malloc(PIECE);
	uint64_t at = 0;
	int rc = 0;

	while (rc == 0 && at < size) {
		size_t len = size - at < PIECE ? (size_t)(size - at) : PIECE;
		const char *end;
		rc = io_pread(fd, piece, len, (off_t)at, err);
		if (rc < 0)
			break;
		end = memrchr(piece, '\n', len);
		if (end)
			len = (size_t)(end - piece) + 1;
		keep_lines(c, span_make(piece, len));
		at += len;
		rc = make_room(c, err);
	}
	free(piece);
	return rc < 0 ? rc : 0;
}

int collapse_log(int fd, const struct coalesce_owner *owner, size_t max, struct collapsed *out,
		 struct us_err *err)
{
	struct collapse c = {.owner = owner, .max = max, .pool = pool_new(), .id = BUF_INIT};
	struct stat st;
	int rc = fstat(fd, &st) < 0 ? us_fail_errno(err, "stat the log")
				    : read_pieces(&c, fd, (uint64_t)st.st_size, err);

	if (rc == 0)
		tidy_both(&c);
	buf_free(&c.id);
	*out = (struct collapsed){c.compare.items, c.removals.items, c.compare.n, c.removals.n,
				  c.pool};
	return rc;
}

void collapse_free(struct collapsed *c)
{
	free(c->compare);
	free(c->removals);
	pool_free(&c->pool);
}
