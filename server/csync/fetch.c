/* fetch.c - GET FETCH: one message's bytes, read through and found right before the first is sent. */
#include "server/base/io.h"
#include "server/base/mem.h"
#include "server/csync/csync_private.h"

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
