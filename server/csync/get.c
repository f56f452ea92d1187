/* get.c - what a client may ask about mailboxes, quota roots, annotations (csync-protocol 6); users are get_user.c's. */
#include <string.h>

#include "server/base/mem.h"
#include "server/csync/csync_private.h"
#include "server/store/annotations.h"
#include "server/store/quota.h"
#include "server/store/snapshot.h"

/* ---- mailboxes --------------------------------------------------------------------------------- */

int csync_put_mailbox(struct csync_answer *a, struct span name, struct pool *pool,
		      struct state_mailbox *out, struct us_err *err)
{
	struct mailbox *m;
	int rc = snapshot_name(a->cs->store, name, pool, out, &m, err);

	mailbox_close(&m);
	if (rc <= 0 || !wire_is_visible(out, a->cs->sieve_mailbox))
		return rc;
	wire_begin_item(&a->writer, WIRE_ITEM_MAILBOX);
	wire_put_mailbox(&a->writer, out, WIRE_REPLY);
	wire_end_item(&a->writer);
	csync_push_much(a);
	return rc;
}

int csync_get_mailboxes(struct csync_answer *a, const struct wire_command *c, struct us_err *err)
{
	struct pool *scratch = pool_new();
	struct state_mailbox m;
	int rc = 0;

	for (size_t i = 0; rc >= 0 && i < c->u.names.n; i++) {
		rc = csync_put_mailbox(a, c->u.names.names[i], scratch, &m, err);
		pool_clear(scratch);
	}
	pool_free(&scratch);
	return rc < 0 ? rc : 0;
}

int csync_get_uniqueids(struct csync_answer *a, const struct wire_command *c, struct us_err *err)
{
	struct pool *scratch = pool_new();
	struct buf name = BUF_INIT;
	struct state_mailbox m;
	int rc = 0;

	for (size_t i = 0; rc >= 0 && i < c->u.names.n; i++) {
		buf_clear(&name);
		rc = mailbox_name_of_uniqueid(a->cs->store, c->u.names.names[i], &name, err);
		if (rc > 0)
			rc = csync_put_mailbox(a, buf_span(&name), scratch, &m, err);
		pool_clear(scratch);
	}
	buf_free(&name);
	pool_free(&scratch);
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
		csync_push_much(a);
	}
	pool_free(&scratch);
}

int csync_get_fullmailbox(struct csync_answer *a, const struct wire_command *c, struct us_err *err)
{
	struct state_mailbox state;
	struct mailbox *m = NULL;
	int rc = c->u.name.len ? snapshot_name(a->cs->store, c->u.name, a->pool, &state, &m, err)
			       : 0;

	if (rc == 0 || (rc > 0 && !wire_is_visible(&state, a->cs->sieve_mailbox)))
		rc = us_fail(err, US_ENOENT, "no mailbox %.*s", SPAN_ARG(c->u.name));
	if (rc < 0) {
		mailbox_close(&m);
		return rc;
	}
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
