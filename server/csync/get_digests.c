/* get_digests.c - GET DIGESTS, of our own kind alone (doc/PROTOCOL.md): a sum of all users of each range, so that a client finds the
 * users who differ by halving, and asks nothing of those who are equal.
 *
 * No lock is held: who is changed meanwhile has another digest, or a line in the client's log.
 */
#include <stdlib.h>

#include "server/csync/digest.h"
#include "server/base/mem.h"
#include "server/csync/account.h"
#include "server/csync/csync_private.h"
#include "server/store/userdata.h"

struct users {
	struct pool *pool;
	struct span *ids;
	size_t n, cap;
};

static int note_user(void *ctx, struct span userid, struct us_err *err UNUSED)
{
	struct users *u = ctx;

	us_grow(&u->ids, u->n, &u->cap, sizeof(u->ids[0]));
	u->ids[u->n++] = pool_span(u->pool, userid);
	return 0;
}

static int compare_spans(const void *a, const void *b)
{
	return span_cmp(*(const struct span *)a, *(const struct span *)b);
}

/* Where the first user is that does not come before this id. */
static size_t lower_bound(const struct users *u, struct span id)
{
	size_t low = 0, high = u->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (span_cmp(u->ids[middle], id) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* What stands for a user who cannot be read: no client has such a digest, so he differs, and is asked for by himself. */
static const struct sha256 unreadable = {{0xff, 0xff, 0xff, 0xff}};

static int add_user(struct csync_answer *a, struct accounts *accounts, struct span userid,
		    struct pool *scratch, struct buf *range, struct us_err *err)
{
	struct state_user user;
	struct sha256 sum;
	bool exists;
	int rc = accounts_read(accounts, userid, scratch, &user, &exists, err);

	if (rc == 0 && exists) {
		sum = digest_of_user(&user, a->cs->sieve_mailbox);
		digest_add(range, userid, &sum);
	} else if (rc == US_ECORRUPT) {
		digest_add(range, userid, &unreadable);
		rc = 0;
	}
	pool_clear(scratch);
	return rc;
}

/* In hex, in the answer's pool. */
static int sum_range(struct csync_answer *a, struct accounts *accounts, const struct users *u,
		     struct span first, struct span last, struct span *out, struct us_err *err)
{
	struct pool *scratch = pool_new();
	struct buf range = BUF_INIT;
	char hex[SHA256_HEX];
	struct sha256 sum;
	int rc = 0;

	for (size_t i = lower_bound(u, first);
	     rc == 0 && i < u->n && span_cmp(u->ids[i], last) <= 0; i++)
		rc = add_user(a, accounts, u->ids[i], scratch, &range, err);
	sum = sha256_of(buf_span(&range));
	sha256_format(&sum, hex);
	*out = span_of(pool_strdup(a->pool, hex));
	buf_free(&range);
	pool_free(&scratch);
	return rc;
}

/* How many users the ranges have, about: some may be in several. */
static size_t count_users(const struct users *u, const struct wire_names *ends)
{
	size_t n = 0;

	for (size_t i = 0; i + 1 < ends->n; i += 2) {
		size_t from = lower_bound(u, ends->names[i]),
		       to = lower_bound(u, ends->names[i + 1]);
		n += to > from ? to - from + 1 : 1;
	}
	return n;
}

int csync_get_digests(struct csync_answer *a, const struct wire_command *c, struct us_err *err)
{
	const struct wire_names *ends = &c->u.names;
	struct wire_item item = {.kind = WIRE_ITEM_DIGESTS, .u.names.n = ends->n / 2};
	struct span *sums = pool_alloc(a->pool, us_mul_size(ends->n + 1, sizeof(sums[0])));
	struct users u = {.pool = a->pool};
	struct accounts *accounts = NULL;
	int rc;

	if (ends->n % 2)
		return us_fail(err, US_EINVAL, "a range of digests has no end");
	rc = users_list_named(a->cs->store, note_user, &u, err);
	if (u.n)
		qsort(u.ids, u.n, sizeof(u.ids[0]), compare_spans);
	if (rc == 0)
		rc = accounts_begin(a->cs->store, a->cs->sieve_mailbox, count_users(&u, ends),
				    &accounts, err);
	for (size_t i = 0; rc == 0 && i < item.u.names.n; i++)
		rc = sum_range(a, accounts, &u, ends->names[2 * i], ends->names[2 * i + 1],
			       &sums[i], err);
	accounts_end(&accounts);
	item.u.names.names = sums;
	if (rc == 0)
		wire_put_item(&a->writer, &item);
	free(u.ids);
	return rc;
}
