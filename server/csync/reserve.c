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
	const struct guid *guids; /* as asked */
	uint32_t *order;          /* their numbers, sorted by guid, each guid once */
	bool *have;               /* by place in `order` */
	size_t n, left;
};

static const struct guid *at(const struct wanted *w, size_t i)
{
	return &w->guids[w->order[i]];
}

static int compare(const void *a, const void *b, void *ctx)
{
	const struct guid *guids = ctx;

	return guid_cmp(&guids[*(const uint32_t *)a], &guids[*(const uint32_t *)b]);
}

/* Its place in `order`, w->n if it is not there. */
static size_t place_of(const struct wanted *w, const struct guid *guid)
{
	size_t low = 0, high = w->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int rc = guid_cmp(at(w, middle), guid);
		if (rc == 0)
			return middle;
		if (rc < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return w->n;
}

static void drop_repeats(struct wanted *w, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!w->n || !guid_eq(at(w, w->n - 1), &w->guids[w->order[i]]))
			w->order[w->n++] = w->order[i];
}

static void collect(struct wanted *w, const struct wire_guids *asked)
{
	w->guids = asked->guids;
	w->order = pool_alloc(w->a->pool, us_mul_size(asked->n, sizeof(w->order[0])));
	for (size_t i = 0; i < asked->n; i++)
		w->order[i] = (uint32_t)i;
	if (asked->n)
		qsort_r(w->order, asked->n, sizeof(w->order[0]), compare, (void *)asked->guids);
	drop_repeats(w, asked->n);
	w->have = pool_alloc(w->a->pool, w->n);
	for (size_t i = 0; i < w->n; i++) {
		w->have[i] = stage_has(w->stage, at(w, i));
		w->left += !w->have[i];
	}
}

/* A copy that is not what its record says is reported; another may be. */
static void adopt(struct wanted *w, struct mailbox *m, const struct record *r, size_t i)
{
	char file[16];
	struct us_err err;

	message_file_name(r->uid, file);
	if (stage_adopt(w->stage, m->dir, file, at(w, i), &err) == 0) {
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
		size_t i;
		if (r->internal_flags & RECORD_UNLINKED)
			continue;
		i = place_of(w, &r->guid);
		if (i < w->n && !w->have[i])
			adopt(w, m, r, i);
	}
}

/* A mailbox that cannot be read has no bodies to give; that is no reason to refuse the question. */
static void search_in(struct wanted *w, struct span name)
{
	struct mailbox *m;
	struct us_err err;
	int rc = mailbox_open(w->a->cs->store, name, &m, &err);

	if (rc == 0) {
		search(w, m);
		mailbox_close(&m);
	} else if (rc != US_ENOENT) {
		log_event(LOG_ERR, "csync.reserve.unreadable", LF_SPAN("mailbox", name),
			  LF_ERR(&err));
	}
}

static bool is_near(struct wanted *w, const struct mailbox_row *row)
{
	return folder_local_partition(w->a->cs->store, row->local_partition) ==
	       stage_partition(w->stage);
}

/* Mailboxes on the stage's partition first: there a body is a link, elsewhere a copy. */
static int search_all(struct wanted *w, const struct wire_names *names, bool near,
		      struct us_err *err)
{
	struct pool *scratch = pool_new();
	int rc = 0;

	for (size_t i = 0; rc >= 0 && w->left && i < names->n; i++) {
		struct mailbox_row row;
		rc = mailbox_row_get(w->a->cs->store, names->names[i], scratch, &row, NULL, NULL,
				     err);
		if (rc > 0 && mailbox_row_is_real(&row) && is_near(w, &row) == near)
			search_in(w, names->names[i]);
		pool_clear(scratch);
	}
	pool_free(&scratch);
	return rc < 0 ? rc : 0;
}

/* In the order asked, each once. */
static void answer_missing(struct wanted *w, size_t n_asked)
{
	struct dlist_writer *writer = &w->a->writer;

	wire_begin_item(writer, WIRE_ITEM_MISSING);
	dlist_put_list(writer);
	for (size_t i = 0; i < n_asked && w->left; i++) {
		size_t place = place_of(w, &w->guids[i]);
		if (w->have[place])
			continue;
		w->have[place] = true;
		w->left--;
		dlist_put_guid(writer, &w->guids[i]);
		csync_push_much(w->a);
	}
	dlist_put_close(writer);
	wire_end_item(writer);
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
		answer_missing(&w, reserve->guids.n);
	return rc;
}
