/* recover.c - what the holder of a mailbox lock does about holders before him (doc/FORMATS.md 3.4).
 *
 *	same boot, same epoch	a complete commit behind publish_end was left by one who died between writing and
 *				publishing: roll it forward. An incomplete one is written over by the next
 *	same boot, other epoch	a sync had failed: what lies behind publish_end may not be on the disk: blot it out
 *	another boot		publish_end is only the least there must be: everything complete in the chain is
 *				what there is
 *
 * Then META ops that metad has not got are given to it: they were committed with their frame.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "server/base/io.h"
#include "server/base/log.h"
#include "server/base/mem.h"
#include "server/store/folder_private.h"
#include "server/store/hdr.h"
#include "server/store/mailbox_private.h"
#include "server/store/mboxname.h"
#include "server/store/meta/meta.h"
#include "server/store/partition.h"

#define LIST_INSTEAD \
	1000 /* from so many UIDs on a directory is listed rather than each name tried */

/* Follow the chain from `from`; *end is behind the last complete commit, *meta the newest META serial up to there. */
static int find_end(struct journal *j, struct journal_position from, uint64_t limit,
		    struct journal_position *end, uint64_t *meta, struct us_err *err)
{
	struct journal_position at = from;
	const struct journal_frame *frame;
	uint64_t seen = 0;
	int rc;

	*end = from;
	while ((rc = journal_next(j, &at, limit, &frame, err)) > 0) {
		const struct journal_op *op = NULL;
		bool bad;
		while ((op = journal_op_next(frame, op, &bad)))
			if (op->kind == OP_META)
				seen = frame->serial;
		if (!(frame->flags & FRAME_COMMIT))
			continue;
		*end = at;
		if (seen)
			*meta = seen;
	}
	return rc;
}

/* Make sure that no frame can be taken for valid at `offset`. */
static int blot_out(struct partition *p, struct journal *j, uint64_t offset, struct us_err *err)
{
	static const char zeros[sizeof(struct journal_frame)];
	int rc = io_pwrite(FP("store.recover.blot"), j->fd, zeros, sizeof(zeros), offset, err);

	if (rc == 0)
		rc = partition_synced(p, io_fdatasync(FP("store.recover.sync"), j->fd, err), err);
	return rc;
}

static int recover_journal(struct mailbox *m, struct view *v, struct us_err *err)
{
	struct journal_header *head = v->journal.header;
	bool same_boot = journal_word(&head->boot_tag) == store_boot_tag(m->store);
	uint64_t limit = same_boot ? journal_publish_end(&v->journal) : UINT64_MAX, meta = 0;
	struct journal_position end;
	int rc = find_end(&v->journal, v->at, limit, &end, &meta, err);

	if (rc < 0)
		return rc;
	/* What was published was durable before, on whichever boot; the next frames would be written over it. */
	if (end.offset < journal_publish_end(&v->journal))
		return us_fail(err, US_ECORRUPT, "the journal's chain is broken at %llu",
			       (unsigned long long)end.offset);
	rc = blot_out(m->partition, &v->journal, end.offset, err);
	if (rc < 0)
		return rc;
	journal_set_word(&head->meta_pending, meta);
	journal_set_word(&head->meta_applied, 0);
	if (!same_boot)
		journal_set_word(&head->unborn_low, 0);
	journal_set_word(&head->epoch, partition_epoch(m->partition));
	journal_publish(&v->journal, end.offset);
	journal_set_word(&head->boot_tag, store_boot_tag(m->store));
	return 0;
}

int mailbox_recover(struct mailbox *m, struct us_err *err)
{
	struct view v;
	int rc;

	/* The one who had the lock before us may have done it. */
	rc = view_open(&v, m->dir, &m->row.storeid, true, store_boot_tag(m->store),
		       partition_epoch(m->partition), err);
	if (rc == 0)
		view_close(&v);
	if (rc != US_ECHANGED)
		return rc;
	rc = view_open_base(&v, m->dir, &m->row.storeid, true, err);
	if (rc < 0)
		return rc;
	rc = recover_journal(m, &v, err);
	view_close(&v);
	if (rc == 0)
		log_event(LOG_DEBUG, "store.mailbox.recovered", LF_STR("mailbox", m->name.data));
	return rc;
}

/* ---- the metadata half -------------------------------------------------------------------------- */

static int apply_one(struct mailbox *m, const struct journal_op *op, uint64_t serial,
		     struct us_err *err)
{
	struct meta_batch batch;
	struct buf key = BUF_INIT;
	int rc;

	rc = meta_batch_decode(span_make(op + 1, op->length - sizeof(*op)), &batch, err);
	if (rc < 0)
		return us_err_prefix(err, "META op %llu", (unsigned long long)serial);
	mboxname_to_key(buf_span(&m->name), &key);
	meta_batch_op(&batch, META_MAILBOXES, buf_span(&key), serial);
	rc = meta_commit(store_meta(m->store), &batch, META_DURABLE, err);
	meta_batch_fini(&batch);
	buf_free(&key);
	if (rc == 0)
		m->row_serial = serial;
	return rc;
}

static int apply_frame(struct mailbox *m, const struct journal_frame *frame, struct us_err *err)
{
	const struct journal_op *op = NULL;
	bool bad;
	int rc = 0;

	if (frame->serial <= m->row_serial)
		return 0;
	while (rc == 0 && (op = journal_op_next(frame, op, &bad)))
		if (op->kind == OP_META)
			rc = apply_one(m, op, frame->serial, err);
	return rc;
}

int mailbox_apply_meta(struct mailbox *m, struct us_err *err)
{
	struct journal *j = &m->view.journal;
	struct journal_position at = journal_start(j);
	uint64_t pending = journal_word(&j->header->meta_pending), end = journal_publish_end(j);
	const struct journal_frame *frame;
	int rc;

	while ((rc = journal_next(j, &at, end, &frame, err)) > 0) {
		rc = apply_frame(m, frame, err);
		if (rc < 0)
			return rc;
	}
	if (rc == 0)
		journal_set_word(&j->header->meta_applied, pending);
	return rc;
}

/* ---- after a holder that died -------------------------------------------------------------------- */

static int roll_forward(struct mailbox *m, struct us_err *err)
{
	struct journal *j = &m->view.journal;
	struct journal_position end;
	uint64_t meta = 0;
	int rc = find_end(j, m->view.at, UINT64_MAX, &end, &meta, err);

	if (rc < 0 || end.offset == m->view.at.offset)
		return rc;
	rc = partition_synced(m->partition, io_fdatasync(FP("store.repair.sync"), j->fd, err), err);
	if (rc < 0)
		return rc;
	if (meta)
		journal_set_word(&j->header->meta_pending, meta);
	journal_publish(j, end.offset);
	rc = view_advance(&m->view, err);
	return rc < 0 ? rc : 0;
}

static bool remove_file(struct mailbox *m, uint64_t uid)
{
	char name[16];
	struct us_err err;

	message_file_name((uint32_t)uid, name);
	if (io_unlink(FP("store.message.unlink"), m->dir, name, &err) == 0)
		return true;
	log_event(LOG_WARNING, "store.message.kept", LF_STR("mailbox", m->name.data),
		  LF_NUM("uid", uid), LF_ERR(&err));
	return false;
}

struct removal {
	struct mailbox *m;
	uint64_t low, high;
	bool all;
};

static int remove_between(void *ctx, const struct dirent *entry)
{
	struct removal *r = ctx;
	uint64_t uid;

	if (message_file_uid(entry->d_name, &uid) && uid >= r->low && uid <= r->high)
		r->all &= remove_file(r->m, uid);
	return 0;
}

/* A peer may give a message any UID: what lies between two of them is not counted through. */
bool mailbox_remove_files(struct mailbox *m, uint64_t low, uint64_t high)
{
	struct removal r = {m, low, high, true};

	if (low <= high && high - low >= LIST_INSTEAD)
		return io_each_name(NULL, m->dir, ".", remove_between, &r, NULL) == 0 && r.all;
	for (uint64_t uid = low; uid <= high; uid++)
		r.all &= remove_file(m, uid);
	return r.all;
}

/* Message files that got their names for a commit that never came. */
static void remove_unborn(struct mailbox *m)
{
	struct journal_header *head = m->view.journal.header;
	uint64_t low = journal_word(&head->unborn_low), high = journal_word(&head->unborn_high);

	if (!low)
		return;
	if (low <= m->view.counters.last_uid)
		low = m->view.counters.last_uid + (uint64_t)1;
	if (mailbox_remove_files(m, low, high))
		journal_set_word(&head->unborn_low, 0);
}

/* ---- files of messages that left ----------------------------------------------------------------- */

struct leaving {
	struct mailbox *m;
	struct {
		uint32_t low, high;
		int64_t time_ns;
	} * unlinked; /* by UNLINK ops */
	size_t n, cap;
};

static int read_unlinked(struct leaving *l, struct us_err *err)
{
	struct journal *j = &l->m->view.journal;
	struct journal_position at = journal_start(j);
	const struct journal_frame *frame;
	int rc;

	while ((rc = journal_next(j, &at, l->m->view.at.offset, &frame, err)) > 0) {
		const struct journal_op *op = NULL;
		bool bad;
		while ((op = journal_op_next(frame, op, &bad))) {
			const struct op_unlink *u = (const void *)op;
			if (op->kind != OP_UNLINK)
				continue;
			us_grow(&l->unlinked, l->n, &l->cap, sizeof(l->unlinked[0]));
			l->unlinked[l->n].low = u->low;
			l->unlinked[l->n].high = u->high;
			l->unlinked[l->n++].time_ns = frame->time_ns;
		}
	}
	return rc;
}

/* Did the message leave, and the file not change since? One that did was put back by somebody: reconstruct takes it up. */
static bool has_left(const struct leaving *l, uint64_t uid, const struct record *r,
		     const struct timespec *changed)
{
	if (r)
		return changed->tv_sec < r->last_updated; /* in the same second: who knows */
	for (size_t i = 0; i < l->n; i++)
		if (uid >= l->unlinked[i].low && uid <= l->unlinked[i].high &&
		    changed->tv_sec * 1000000000LL + changed->tv_nsec <= l->unlinked[i].time_ns)
			return true;
	return false;
}

static int remove_if_left(void *ctx, const struct dirent *entry)
{
	struct leaving *l = ctx;
	const struct record *r;
	struct stat st;
	uint64_t uid;

	if (!message_file_uid(entry->d_name, &uid))
		return 0;
	r = view_find(&l->m->view, (uint32_t)uid);
	if (r && !(r->internal_flags & RECORD_UNLINKED))
		return 0;
	if (fstatat(l->m->dir, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	    has_left(l, uid, r, &st.st_ctim) && remove_file(l->m, uid))
		log_event(LOG_NOTICE, "store.message.removed", LF_STR("mailbox", l->m->name.data),
			  LF_NUM("uid", uid));
	return 0;
}

int mailbox_remove_left(struct mailbox *m, struct us_err *err)
{
	struct leaving l = {.m = m};
	int rc = read_unlinked(&l, err);

	/* Mostly there are no such messages, and no need to list the others. */
	if (rc == 0 && (l.n || m->view.counters.records > m->view.counters.exists))
		rc = io_each_name(NULL, m->dir, ".", remove_if_left, &l, err);
	free(l.unlinked);
	return rc;
}

/* ---- and the rest -------------------------------------------------------------------------------- */

/* The words say what a live holder has done; the row, what metad kept of it. A lazy batch may be lost with metad, and a row
 * that was made again from mbox.hdr may be older than the journal. */
static bool is_behind(const struct mailbox *m)
{
	const struct journal_header *head = m->view.journal.header;
	uint64_t pending = journal_word(&head->meta_pending);

	return pending > journal_word(&head->meta_applied) || pending > m->row_serial;
}

/* It is written behind the row, so whoever made the row may have died before. */
void mailbox_check_hdr(struct mailbox *m)
{
	struct journal_header *head = m->view.journal.header;
	struct pool *pool;
	struct hdr hdr;
	int rc = 0;

	if (journal_word(&head->hdr_tag) == store_boot_tag(m->store))
		return;
	pool = pool_new();
	if (hdr_read(m->dir, pool, &hdr, NULL) < 0 || hdr.row_version < m->row_version)
		rc = folder_write_hdr(m->store, m->dir, buf_span(&m->name), &m->view.names,
				      &m->view.counters);
	pool_free(&pool);
	if (rc == 0)
		journal_set_word(&head->hdr_tag, store_boot_tag(m->store));
}

/* A row that is remembered may have an old serial. */
static int look_again(struct mailbox *m, struct us_err *err)
{
	mailbox_row_forget(m->store, buf_span(&m->name));
	return mailbox_refresh_row(m, err);
}

int mailbox_repair(struct mailbox *m, struct us_err *err)
{
	int rc = roll_forward(m, err);

	if (rc == 0)
		remove_unborn(m);

	if (rc == 0 && is_behind(m))
		rc = look_again(m, err);
	if (rc == 0 && is_behind(m)) {
		rc = mailbox_apply_meta(m, err);
		if (rc == 0)
			rc = mailbox_refresh_row(m, err);
	}
	return rc < 0 ? us_err_prefix(err, "%s", m->name.data) : 0;
}
