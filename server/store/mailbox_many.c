/* mailbox_many.c - the locks of several mailboxes at once.
 *
 * Namespaces first, in the order of their owners, one lock an owner; then mailboxes by store id. Who takes locks in
 * this order can wait for them; who does not want to hold many locks while he waits for one tries all without
 * waiting, does what he can, and comes back for the rest.
 */
#include "server/store/mailbox.h"

#include <stdlib.h>

#include "server/base/mem.h"

struct locking {
	struct mailbox_locking *to;
	char *name;     /* as it was when its owner's namespace was locked */
	int *namespace; /* the lock of its owner, in one of the places below */
	int place;
};

static int by_owner(const void *a, const void *b)
{
	const struct locking *x = a, *y = b;

	return store_cmp_owners(x->to->m->store, span_of(x->name), span_of(y->name));
}

static int by_storeid(const void *a, const void *b)
{
	const struct locking *x = a, *y = b;

	return storeid_cmp(&x->to->m->row.storeid, &y->to->m->row.storeid);
}

static void lock_namespaces(struct locking *all, size_t n, unsigned wait_ms)
{
	for (size_t i = 0; i < n; i++) {
		struct locking *l = &all[i], *before = i ? &all[i - 1] : NULL;

		if (before && by_owner(before, l) == 0) {
			l->namespace = before->namespace;
			l->to->rc = before->to->rc;
			l->to->err = before->to->err;
			continue;
		}
		l->namespace = &l->place;
		l->to->rc =
			store_lock_namespace_within(l->to->m->store, span_of(l->name), STORE_SHARED,
						    wait_ms, &l->place, &l->to->err);
	}
}

static void lock_mailbox(struct locking *l, unsigned wait_ms)
{
	struct mailbox *m = l->to->m;
	unsigned usual = m->lock_wait_ms;

	m->lock_wait_ms = wait_ms;
	l->to->rc = mailbox_lock_in_namespace(m, &l->to->err);
	m->lock_wait_ms = usual;
	if (l->to->rc == 0 &&
	    store_cmp_owners(m->store, span_of(l->name), buf_span(&m->name)) != 0) {
		mailbox_unlock(m);
		l->to->rc = us_fail(&l->to->err, US_ECHANGED, "%s was renamed", l->name);
	}
}

/* The first mailbox of an owner keeps his lock, and lets it go with its own. */
static void hand_over(struct locking *l)
{
	if (l->to->rc < 0 || *l->namespace < 0)
		return;
	l->to->m->namespace_lock = *l->namespace;
	l->to->m->shares_namespace = false;
	*l->namespace = -1;
}

void mailbox_lock_many(struct mailbox_locking *list, size_t n, bool wait)
{
	struct locking *all = us_calloc(n ? n : 1, sizeof(*all)), *sorted;
	unsigned wait_ms = wait && n ? store_config(list[0].m->store)->lock_wait_ms : 0;

	for (size_t i = 0; i < n; i++)
		all[i] = (struct locking){&list[i], span_dup(buf_span(&list[i].m->name)), NULL, -1};
	qsort(all, n, sizeof(*all), by_owner);
	lock_namespaces(all, n, wait_ms);
	/* Sorted again as a copy: the first keeps the places that are pointed to. */
	sorted = us_calloc(n ? n : 1, sizeof(*sorted));
	for (size_t i = 0; i < n; i++)
		sorted[i] = all[i];
	qsort(sorted, n, sizeof(*sorted), by_storeid);
	for (size_t i = 0; i < n; i++) {
		us_assert(i == 0 || by_storeid(&sorted[i - 1], &sorted[i]) != 0);
		if (sorted[i].to->rc == 0)
			lock_mailbox(&sorted[i], wait_ms);
	}
	for (size_t i = 0; i < n; i++)
		hand_over(&all[i]);
	for (size_t i = 0; i < n; i++) {
		store_unlock_namespace(&all[i].place);
		free(all[i].name);
	}
	free(sorted);
	free(all);
}
