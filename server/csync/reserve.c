/* reserve.c - APPLY RESERVE: which bodies need not be sent, because a mailbox here has them (csync-protocol 7.3).
 *
 * Every body found is checked against its SHA-1 and linked into the connection's stage, so that it stays, whatever
 * happens to the mailbox it was found in.
 */
#include <stdlib.h>
#include <string.h>

#include "server/base/log.h"
#include "server/base/mem.h"
#include "server/csync/csync_private.h"
#include "server/store/partition.h"

struct wanted {
	struct csync_answer *a;
	struct stage *stage;
	struct guid *guids; /* sorted; those found are marked in `have` */
	bool *have;
	size_t n, left;
};

static int compare_guids(const void *a, const void *b)
{
	return guid_cmp(a, b);
}

static void collect(struct wanted *w, const struct wire_guids *asked)
{
	w->guids =
		pool_alloc(w->a->pool, us_mul_size(asked->n ? asked->n : 1, sizeof(struct guid)));
	for (size_t i = 0; i < asked->n; i++)
		w->guids[i] = asked->guids[i];
	if (asked->n)
		qsort(w->guids, asked->n, sizeof(struct guid), compare_guids);
	for (size_t i = 0; i < asked->n; i++)
		if (!w->n || !guid_eq(&w->guids[w->n - 1], &w->guids[i]))
			w->guids[w->n++] = w->guids[i];
	w->have = pool_alloc(w->a->pool, w->n ? w->n : 1);
	w->left = w->n;
	for (size_t i = 0; i < w->n; i++)
		if (stage_has(w->stage, &w->guids[i])) {
			w->have[i] = true;
			w->left--;
		}
}

/* A copy that is not what its record says is reported; another may be. */
static void adopt(struct wanted *w, struct mailbox *m, const struct record *r, size_t i)
{
	char file[16];
	struct us_err err;

	message_file_name(r->uid, file);
	if (stage_adopt(w->stage, m->dir, file, &w->guids[i], &err) == 0) {
		w->have[i] = true;
		w->left--;
	} else if (err.code == US_ECORRUPT) {
		log_event(LOG_ERR, "store.guid.mismatch", LF_TEXT("SYNCERROR: guid mismatch"),
			  LF_STR("mailbox", m->name.data), LF_NUM("uid", r->uid));
	}
}

static void search(struct wanted *w, struct mailbox *m)
{
	struct view_walk walk = view_walk(&m->view, 1);
	const struct record *r;

	while (w->left && (r = view_next(&m->view, &walk))) {
		struct guid *at;
		if (r->internal_flags & RECORD_UNLINKED)
			continue;
		at = bsearch(&r->guid, w->guids, w->n, sizeof(struct guid), compare_guids);
		if (at && !w->have[at - w->guids])
			adopt(w, m, r, (size_t)(at - w->guids));
	}
}

/* Mailboxes on the stage's partition first: there a body is a link, elsewhere a copy. */
static int search_all(struct wanted *w, const struct wire_names *names, bool same_partition,
		      struct us_err *err)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && w->left && i < names->n; i++) {
		struct mailbox *m;
		rc = mailbox_open(w->a->cs->store, names->names[i], &m, err);
		if (rc == US_ENOENT) {
			rc = 0;
			continue;
		}
		if (rc == 0 && (m->partition == stage_partition(w->stage)) == same_partition)
			search(w, m);
		mailbox_close(&m);
	}
	return rc;
}

static void answer_missing(struct wanted *w, const struct wire_guids *asked)
{
	struct guid *missing = pool_alloc(w->a->pool, us_mul_size(w->left, sizeof(struct guid)));
	struct wire_item item = {.kind = WIRE_ITEM_MISSING};
	size_t n = 0;

	/* In the order asked, each once. */
	for (size_t i = 0; i < asked->n && n < w->left; i++) {
		struct guid *at = bsearch(&asked->guids[i], w->guids, w->n, sizeof(struct guid),
					  compare_guids);
		if (w->have[at - w->guids])
			continue;
		w->have[at - w->guids] = true;
		missing[n++] = asked->guids[i];
	}
	item.u.guids = (struct wire_guids){missing, n};
	wire_put_item(&w->a->writer, &item);
}

int csync_apply_reserve(struct csync_answer *a, const struct wire_command *c, struct us_err *err)
{
	const struct wire_reserve *reserve = &c->u.reserve;
	struct wanted w = {.a = a};
	int rc = csync_stage(a->cs, reserve->partition, &w.stage, err);

	if (rc < 0)
		return rc;
	collect(&w, &reserve->guids);
	rc = search_all(&w, &reserve->mboxnames, true, err);
	if (rc == 0)
		rc = search_all(&w, &reserve->mboxnames, false, err);
	if (rc == 0 && w.left)
		answer_missing(&w, &reserve->guids);
	return rc;
}
