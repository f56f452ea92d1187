/* bodies.c - message bodies: first the replica is asked which it has, then the others are sent. */
#include <string.h>
#include <unistd.h>

#include "server/base/io.h"
#include "server/base/log.h"
#include "server/base/mem.h"
#include "server/store/snapshot.h"
#include "sync_client/sync_private.h"

/* ---- asking ------------------------------------------------------------------------------------ */

struct missing {
	struct wire_guids guids;
};

static int take_missing(void *ctx, const struct wire_item *item, struct us_err *err UNUSED)
{
	struct missing *m = ctx;

	if (item->kind == WIRE_ITEM_MISSING)
		m->guids = item->u.guids;
	return 0;
}

int bodies_ask(struct sync *s, const struct wire_names *names, struct us_err *err)
{
	struct wire_command c = {.kind = WIRE_APPLY_RESERVE};
	struct pool *pool = pool_new();
	int rc = 0;

	while (rc == 0 && reserve_next(s->reserve, names, &c.u.reserve)) {
		struct missing missing = {0};
		struct link_reader reader = {.pool = pool, .item = take_missing, .ctx = &missing};
		rc = link_call(s->link, &c, &reader, err);
		if (rc == 0)
			reserve_answer(s->reserve, &missing.guids);
		pool_clear(pool);
	}
	pool_free(&pool);
	return rc;
}

int bodies_want(struct sync *s, struct mailbox *m, struct span partition, uint32_t from,
		const struct wire_names *names, struct us_err *err)
{
	struct view_walk walk = view_walk(&m->view, from + 1);
	const struct record *r;

	while ((r = view_next(&m->view, &walk))) {
		if (r->internal_flags & RECORD_UNLINKED ||
		    !reserve_want(s->reserve, partition, &r->guid))
			continue;
		int rc = bodies_ask(s, names, err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* ---- sending ----------------------------------------------------------------------------------- */

struct upload {
	struct update *u;
	struct dlist_writer *w; /* of the command that is open, NULL: none is */
	unsigned files;
};

static int finish_command(struct upload *up, struct us_err *err)
{
	if (!up->w)
		return 0;
	dlist_put_close(up->w);
	up->w = NULL;
	up->files = 0;
	return link_end_later(up->u->s->link, err);
}

/* A body that is not what its record says must not go out, and cannot: this copy is the one to be repaired. */
static int check_file(struct update *u, int fd, const struct state_record *r, struct us_err *err)
{
	struct guid_sum *sum = guid_sum_new();
	struct guid found;
	char chunk[65536];
	uint64_t size = 0;
	ssize_t n;

	while ((n = pread(fd, chunk, sizeof(chunk), (off_t)size)) > 0) {
		guid_sum_add(sum, chunk, (size_t)n);
		size += (uint64_t)n;
	}
	found = guid_sum_end(&sum);
	if (n == 0 && size == r->size && guid_eq(&found, &r->guid))
		return 0;
	log_event(LOG_ERR, "sync.body.damaged", LF_TEXT("SYNCERROR: guid mismatch"),
		  LF_SPAN("mailbox", u->name), LF_NUM("uid", r->uid));
	return us_fail(err, US_ECORRUPT, "%.*s uid %u: the file is not the message its record says",
		       SPAN_ARG(u->name), r->uid);
}

static int send_file(struct upload *up, int fd, const struct state_record *r, struct us_err *err)
{
	struct span partition = up->u->d.header.partition;
	int rc;

	if (!up->w) {
		up->w = link_begin(up->u->s->link, WIRE_APPLY_MESSAGE, false);
		dlist_put_list(up->w);
	}
	dlist_put_file(up->w, partition, &r->guid, r->size);
	rc = link_send_file(up->u->s->link, fd, r->size, err);
	if (rc < 0)
		return rc;
	reserve_sent(up->u->s->reserve, partition, &r->guid);
	return ++up->files == WIRE_MAX_FILES ? finish_command(up, err) : 0;
}

static int upload_one(void *ctx, const struct state_record *r, struct us_err *err)
{
	struct upload *up = ctx;
	struct update *u = up->u;
	int fd = -1, rc;

	if (!decide_sends_body(&u->d, r) ||
	    reserve_has(u->s->reserve, u->d.header.partition, &r->guid))
		return 0;
	rc = mailbox_open_message(u->m, r->uid, &fd, err);
	if (rc == US_ENOENT && r->expunged)
		return 0; /* cleaned up just now: the record goes without its body */
	if (rc == 0)
		rc = check_file(u, fd, r, err);
	if (rc == 0)
		rc = send_file(up, fd, r, err);
	io_close(&fd);
	return rc;
}

int bodies_upload(struct update *u, struct us_err *err)
{
	struct upload up = {.u = u};
	int rc = update_each(u, &u->plan.steps[u->step], upload_one, &up, err), ended = 0;

	/* An open command must be ended whatever happened, or the link is out of step. What it came to counts for what is asked
	 * next: the order for the mailbox, which cannot succeed without these bodies. */
	if (!link_is_lost(rc)) {
		struct us_err *which = rc == 0 ? err : NULL;
		ended = finish_command(&up, which);
	}
	return rc < 0 ? rc : ended;
}
