/* differ.c - who of many users differs on the replica, found by digests of ranges of them.
 *
 * The first question has the users in some pieces, and each that differs is asked again in smaller pieces, down to single users: a
 * trip or two where nothing has changed, whatever their number. A user whom only the replica has makes the pieces around him differ,
 * and none of ours. No lock is held: who is changed meanwhile has a line in the log, or differs.
 */
#include <stdlib.h>

#include "server/csync/digest.h"
#include "server/base/log.h"
#include "server/base/mem.h"
#include "server/csync/account.h"
#include "sync_client/sync_private.h"

#define PIECES      32   /* a range that differs is divided into so many */
#define MOST_RANGES 1024 /* in one question */
#define AT_ONCE     1000 /* users of ours, some milliseconds, before the replica's answer is heard */

struct range {
	size_t from, to; /* users from <= i < to */
};

struct ranges {
	struct range *items;
	size_t n, cap, done;
};

/* Our users, read one after the other. */
struct own_sums {
	struct accounts *accounts;
	struct pool *scratch;
	size_t done;
};

struct search {
	struct sync *s;
	const struct span *users;
	struct sha256 *sums;
	struct ranges open; /* those up to `done` were asked */
	bool *differs;
};

static void add_range(struct ranges *r, size_t from, size_t to)
{
	us_grow(&r->items, r->n, &r->cap, sizeof(r->items[0]));
	r->items[r->n++] = (struct range){from, to};
}

static void divide(struct ranges *r, size_t from, size_t to)
{
	size_t n = to - from, pieces = n < PIECES ? n : PIECES;

	for (size_t i = 0; i < pieces; i++)
		add_range(r, from + n * i / pieces, from + n * (i + 1) / pieces);
}

/* ---- our own ------------------------------------------------------------------------------------- */

static int sum_user(struct search *f, struct accounts *accounts, size_t i, struct pool *scratch,
		    struct us_err *err)
{
	struct state_user user;
	bool exists;
	int rc = accounts_read(accounts, f->users[i], scratch, &user, &exists, err);

	if (rc == 0)
		f->sums[i] = digest_of_user(&user, f->s->options.sieve_mailbox);
	pool_clear(scratch);
	return rc;
}

/* The next users, up to `to`. One that cannot be read differs from whatever the replica has. between: what else is to be done
 * after each, NULL while an answer is to come: it may talk over the same link, and would take that answer for its own. */
static int sum_some(struct search *f, struct own_sums *own, size_t to,
		    int (*between)(void *ctx, struct us_err *err), void *ctx, struct us_err *err)
{
	struct us_err ignored;
	int rc = 0;

	for (; rc == 0 && own->done < to; own->done++) {
		(void)sum_user(f, own->accounts, own->done, own->scratch, &ignored);
		if (between)
			rc = between(ctx, err);
	}
	return rc;
}

static struct span sum_of_range(const struct search *f, const struct range *r, char hex[SHA256_HEX])
{
	struct buf text = BUF_INIT;
	struct sha256 sum;

	for (size_t i = r->from; i < r->to; i++)
		digest_add(&text, f->users[i], &f->sums[i]);
	sum = sha256_of(buf_span(&text));
	sha256_format(&sum, hex);
	buf_free(&text);
	return span_of(hex);
}

/* ---- questions ----------------------------------------------------------------------------------- */

static int take_digests(void *ctx, const struct wire_item *item, struct us_err *err UNUSED)
{
	if (item->kind == WIRE_ITEM_DIGESTS)
		*(struct wire_names *)ctx = item->u.names;
	return 0;
}

/* Compare these ranges with what the replica says; those that differ are divided and stay open. */
static void judge(struct search *f, size_t n, const struct wire_names *theirs)
{
	char hex[SHA256_HEX];

	for (size_t i = 0; i < n; i++) {
		struct range r = f->open.items[f->open.done + i];
		if (span_eq(sum_of_range(f, &r, hex), theirs->names[i]))
			continue;
		if (r.to - r.from == 1)
			f->differs[r.from] = true;
		else
			divide(&f->open, r.from, r.to);
	}
	f->open.done += n;
}

/* Ask about the next `n` open ranges. */
static int ask(struct search *f, size_t n, struct pool *pool, struct us_err *err)
{
	struct span *ends = pool_alloc(pool, us_mul_size(2 * n, sizeof(ends[0])));
	struct wire_command c = {.kind = WIRE_GET_DIGESTS, .u.names = {ends, 2 * n}};

	for (size_t i = 0; i < n; i++) {
		const struct range *r = &f->open.items[f->open.done + i];
		ends[2 * i] = f->users[r->from];
		ends[2 * i + 1] = f->users[r->to - 1];
	}
	return link_ask(f->s->link, &c, err);
}

static int hear(struct search *f, size_t n, struct pool *pool, struct wire_names *theirs,
		struct us_err *err)
{
	struct link_reader reader = {.pool = pool, .item = take_digests, .ctx = theirs};
	int rc = link_answer(f->s->link, &reader, err);

	if (rc == 0 && theirs->n != n)
		rc = us_fail(err, US_EREMOTE, "the replica gives %zu digests for %zu ranges",
			     theirs->n, n);
	return rc;
}

/* The first question. While the replica works on it we do some of our own sums; the others when it has answered, and what is logged
 * meanwhile between them. */
static int first_round(struct search *f, size_t n_users, const struct sync_walk *how,
		       struct pool *pool, struct us_err *err)
{
	struct own_sums own = {.scratch = pool_new()};
	struct wire_names theirs = {NULL, 0};
	/* All of them if nothing else waits to be done between them. */
	size_t n = f->open.n, early = how->between && n_users > AT_ONCE ? AT_ONCE : n_users;
	int rc = accounts_begin(f->s->store, f->s->options.sieve_mailbox, n_users, &own.accounts,
				err);

	if (rc == 0)
		rc = ask(f, n, pool, err);
	if (rc == 0) {
		(void)sum_some(f, &own, early, NULL, NULL, NULL); /* cannot fail alone */
		rc = hear(f, n, pool, &theirs, err);
	}
	if (rc == 0)
		rc = sum_some(f, &own, n_users, how->between, how->ctx, err);
	if (rc == 0)
		judge(f, n, &theirs);
	accounts_end(&own.accounts);
	pool_free(&own.scratch);
	return rc;
}

static int next_round(struct search *f, struct pool *pool, struct us_err *err)
{
	size_t open = f->open.n - f->open.done, n = open < MOST_RANGES ? open : MOST_RANGES;
	struct wire_names theirs = {NULL, 0};
	int rc = ask(f, n, pool, err);

	if (rc == 0)
		rc = hear(f, n, pool, &theirs, err);
	if (rc == 0)
		judge(f, n, &theirs);
	return rc;
}

int sync_differing(struct sync *s, const struct span *users, size_t n, const struct sync_walk *how,
		   bool *differs, struct us_err *err)
{
	struct search f = {.s = s, .users = users, .differs = differs};
	struct pool *pool = pool_new();
	int rc = 0;

	f.sums = us_calloc(n + 1, sizeof(f.sums[0]));
	divide(&f.open, 0, n);
	while (rc == 0 && f.open.done < f.open.n) {
		rc = f.open.done ? next_round(&f, pool, err) : first_round(&f, n, how, pool, err);
		pool_clear(pool);
	}
	free(f.sums);
	free(f.open.items);
	pool_free(&pool);
	return rc;
}
