/* get.c - what a client may ask about: users, mailboxes, quota roots, annotations (csync-protocol 6). */
#include <stdlib.h>
#include <string.h>

#include "server/base/io.h"
#include "server/base/mem.h"
#include "server/csync/csync_private.h"
#include "server/csync/scripts.h"
#include "server/store/annotations.h"
#include "server/store/mboxname.h"
#include "server/store/quota.h"
#include "server/store/snapshot.h"
#include "server/store/userdata.h"

#define PUSH_FROM 65536 /* bytes of an answer kept before they go to the stream */

/* ---- mailboxes --------------------------------------------------------------------------------- */

/* One MAILBOX line, if the peer may see it. */
static void put_mailbox(struct csync_answer *a, const struct state_mailbox *m)
{
	if (!wire_is_visible(m, a->cs->sieve_mailbox))
		return;
	wire_begin_item(&a->writer, WIRE_ITEM_MAILBOX);
	wire_put_mailbox(&a->writer, m, WIRE_REPLY);
	wire_end_item(&a->writer);
	if (a->text.len > PUSH_FROM)
		csync_push(a);
}

/* 1: there is such a mailbox, in *out. */
static int look(struct csync_answer *a, struct span name, struct state_mailbox *out,
		struct us_err *err)
{
	struct mailbox *m;
	int rc = snapshot_name(a->cs->store, name, a->pool, out, &m, err);

	mailbox_close(&m);
	return rc;
}

int csync_get_mailboxes(struct csync_answer *a, const struct wire_command *c, struct us_err *err)
{
	struct state_mailbox m;
	int rc = 0;

	for (size_t i = 0; rc >= 0 && i < c->u.names.n; i++) {
		rc = look(a, c->u.names.names[i], &m, err);
		if (rc > 0)
			put_mailbox(a, &m);
	}
	return rc < 0 ? rc : 0;
}

int csync_get_uniqueids(struct csync_answer *a, const struct wire_command *c, struct us_err *err)
{
	struct state_mailbox m;
	int rc = 0;

	for (size_t i = 0; rc >= 0 && i < c->u.names.n; i++) {
		struct buf name = BUF_INIT;
		rc = mailbox_name_of_uniqueid(a->cs->store, c->u.names.names[i], &name, err);
		if (rc > 0)
			rc = look(a, buf_span(&name), &m, err);
		if (rc > 0)
			put_mailbox(a, &m);
		buf_free(&name);
	}
	return rc < 0 ? rc : 0;
}

static void put_records(struct csync_answer *a, struct mailbox *m)
{
	struct pool *scratch = pool_new();
	struct view_walk walk = view_walk(&m->view, 1);
	const struct record *r;

	while ((r = view_next(&m->view, &walk))) {
		struct state_record record;
		pool_clear(scratch);
		snapshot_record(m, r, scratch, &record);
		wire_put_record(&a->writer, &record);
		if (a->text.len > PUSH_FROM)
			csync_push(a);
	}
	pool_free(&scratch);
}

int csync_get_fullmailbox(struct csync_answer *a, const struct wire_command *c, struct us_err *err)
{
	struct state_mailbox state;
	struct mailbox *m;
	int rc = c->u.name.ptr ? snapshot_name(a->cs->store, c->u.name, a->pool, &state, &m, err)
			       : 0;

	if (rc <= 0)
		return rc < 0 ? rc
			      : us_fail(err, US_ENOENT, "no mailbox %.*s", SPAN_ARG(c->u.name));
	wire_begin_item(&a->writer, WIRE_ITEM_MAILBOX);
	wire_begin_mailbox(&a->writer, &state, WIRE_REPLY_FULL);
	if (m)
		put_records(a, m);
	wire_end_mailbox(&a->writer, &state, WIRE_REPLY_FULL);
	wire_end_item(&a->writer);
	/* A damaged record is left out of the view; half a list must not pass for a whole one. */
	if (m && m->view.corrupt)
		rc = us_fail(err, US_ECORRUPT, "%.*s has records with wrong checksums",
			     SPAN_ARG(c->u.name));
	mailbox_close(&m);
	return rc < 0 ? rc : 0;
}

/* ---- users ------------------------------------------------------------------------------------- */

struct gathering {
	struct csync_answer *a;
	struct state_user user;
	struct state_mailbox *mailboxes;
	struct state_quota *quotas;
	size_t n_quotas, cap_quotas;
	bool real; /* at least one mailbox that is more than a name */
};

static bool has_quota(const struct gathering *g, struct span root)
{
	for (size_t i = 0; i < g->n_quotas; i++)
		if (span_eq(g->quotas[i].root, root))
			return true;
	return false;
}

/* Each root once, as it is met. */
static int note_quota(struct gathering *g, struct span root, struct us_err *err)
{
	struct state_quota q;
	int rc;

	if (!root.ptr || has_quota(g, root))
		return 0;
	rc = quota_get(g->a->cs->store, root, &q, err);
	if (rc > 0) {
		us_grow(&g->quotas, g->n_quotas, &g->cap_quotas, sizeof(g->quotas[0]));
		g->quotas[g->n_quotas++] = q;
	}
	return rc < 0 ? rc : 0;
}

static int gather_mailboxes(struct gathering *g, struct span userid, struct us_err *err)
{
	const struct span *names;
	size_t n, kept = 0;
	int rc = snapshot_user_names(g->a->cs->store, userid, g->a->pool, &names, &n, err);

	g->mailboxes = pool_alloc(g->a->pool, us_mul_size(n ? n : 1, sizeof(g->mailboxes[0])));
	for (size_t i = 0; rc >= 0 && i < n; i++) {
		struct state_mailbox *m = &g->mailboxes[kept];
		rc = look(g->a, names[i], m, err);
		if (rc <= 0)
			continue;
		g->real |= m->partition.ptr != NULL;
		kept++;
		rc = note_quota(g, m->quotaroot, err);
	}
	g->user.mailboxes = g->mailboxes;
	g->user.n_mailboxes = kept;
	return rc < 0 ? rc : 0;
}

static int gather_meta(struct gathering *g, struct span userid, struct us_err *err)
{
	struct store *store = g->a->cs->store;
	struct pool *pool = g->a->pool;
	int rc = subscriptions_list(store, userid, pool, &g->user.subscriptions,
				    &g->user.n_subscriptions, err);

	if (rc == 0)
		rc = seen_list(store, userid, pool, &g->user.seen, &g->user.n_seen, err);
	if (rc == 0 && !g->a->cs->sieve_mailbox)
		rc = scripts_list(store, userid, pool, &g->user.sieve, &g->user.n_sieve, err);
	return rc;
}

int csync_get_user(struct csync_answer *a, const struct wire_command *c, struct us_err *err)
{
	struct gathering g = {.a = a};
	int rc;

	if (!c->u.name.len)
		return 0;
	g.user.userid = c->u.name;
	rc = gather_mailboxes(&g, c->u.name, err);
	if (rc == 0 && g.real)
		rc = gather_meta(&g, c->u.name, err);
	g.user.quotas = g.quotas;
	g.user.n_quotas = g.n_quotas;
	if (rc == 0)
		wire_put_user(&a->writer, &g.user, a->cs->sieve_mailbox);
	free(g.quotas);
	return rc;
}

int csync_get_meta(struct csync_answer *a, const struct wire_command *c, struct us_err *err)
{
	struct gathering g = {.a = a};
	int rc = c->u.name.len ? gather_meta(&g, c->u.name, err) : 0;

	if (rc == 0)
		wire_put_meta(&a->writer, &g.user, a->cs->sieve_mailbox);
	return rc;
}

/* ---- quota, annotations ------------------------------------------------------------------------ */

int csync_get_quota(struct csync_answer *a, const struct wire_command *c, struct us_err *err)
{
	struct wire_item item = {.kind = WIRE_ITEM_QUOTA};
	int rc = c->u.name.len ? quota_get(a->cs->store, c->u.name, &item.u.quota, err) : 0;

	if (rc > 0)
		wire_put_item(&a->writer, &item);
	return rc < 0 ? rc : 0;
}

int csync_get_annotation(struct csync_answer *a, const struct wire_command *c, struct us_err *err)
{
	struct span name = c->u.name.ptr ? c->u.name : SPAN_LIT("");
	const struct state_annotation *all = NULL;
	struct mailbox_row row;
	size_t n = 0;
	int rc = 1;

	if (name.len)
		rc = mailbox_row_get(a->cs->store, name, a->pool, &row, NULL, NULL, err);
	if (rc > 0 && (!name.len || row.has_storeid))
		rc = annotations_list(a->cs->store, name.len ? &row.storeid : NULL, a->pool, &all,
				      &n, err);
	for (size_t i = 0; rc >= 0 && i < n; i++) {
		struct wire_item item = {.kind = WIRE_ITEM_ANNOTATION,
					 .u.annotation = {name, all[i]}};
		wire_put_item(&a->writer, &item);
	}
	return rc < 0 ? rc : 0;
}

/* ---- one message ------------------------------------------------------------------------------- */

/* Are the bytes what the record says? They are read for that before the first one is sent. */
static bool is_intact(int fd, const struct guid *guid, uint64_t size)
{
	struct guid_sum *sum = guid_sum_new();
	struct guid found;
	char chunk[65536];
	uint64_t at = 0;

	while (at < size) {
		size_t step = size - at < sizeof(chunk) ? (size_t)(size - at) : sizeof(chunk);
		if (io_pread(fd, chunk, step, at, NULL) < 0)
			break;
		guid_sum_add(sum, chunk, step);
		at += step;
	}
	found = guid_sum_end(&sum);
	return at == size && guid_eq(&found, guid);
}

static int send_file(struct csync_answer *a, const struct wire_fetch *f, int fd,
		     const struct record *r, struct us_err *err)
{
	bool whole = guid_eq(&r->guid, &f->guid) && is_intact(fd, &r->guid, r->size);

	int rc = 0;

	wire_begin_item(&a->writer, WIRE_ITEM_MESSAGE);
	if (whole) {
		dlist_put_file(&a->writer, f->partition, &r->guid, r->size);
		csync_push(a);
		rc = stream_send_file(a->out, fd, 0, r->size, err);
	} else {
		dlist_put_str(&a->writer, SPAN_NULL);
	}
	wire_end_item(&a->writer);
	return rc < 0 ? us_fail(err, US_ECLOSED, "a file shrank while it was sent") : 0;
}

int csync_get_fetch(struct csync_answer *a, const struct wire_command *c, struct us_err *err)
{
	const struct wire_fetch *f = &c->u.fetch;
	const struct record *r = NULL;
	struct mailbox *m = NULL;
	int fd = -1, rc = mailbox_open(a->cs->store, f->mboxname, &m, err);

	if (rc == 0)
		r = view_find(&m->view, f->uid);
	if (rc == 0 && (!r || !span_eq(m->row.uniqueid, f->uniqueid)))
		rc = us_fail(err, US_ENOENT, "no message %u in %.*s", f->uid,
			     SPAN_ARG(f->mboxname));
	if (rc == 0)
		rc = mailbox_open_message(m, f->uid, &fd, err);
	if (rc == 0)
		rc = send_file(a, f, fd, r, err);
	io_close(&fd);
	mailbox_close(&m);
	return rc;
}
