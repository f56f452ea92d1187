/* commit.c - see commit.h; the parts of a commit. How it ends is in commit_finish.c. */
#include "server/store/commit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/base/io.h"
#include "server/base/log.h"
#include "server/base/mem.h"
#include "server/store/cache.h"
#include "server/store/commit_private.h"
#include "server/store/mailbox_private.h"
#include "server/store/partition.h"

int commit_begin(struct mailbox *m, struct commit **out, struct us_err *err)
{
	struct commit *c;

	us_assert(m->locked);
	if (!store_is_writable(m->store))
		return us_fail(err, US_EPERM, "the store was opened for reading only");
	mailbox_check_hdr(m);
	c = us_calloc(1, sizeof(*c));
	c->m = m;
	c->at = m->view.at;
	c->now = store_now();
	c->tail_before = m->view.tail_ops;
	buf_init(&c->ops, 0);
	*out = c;
	return 0;
}

void commit_free(struct commit **commit)
{
	struct commit *c = *commit;

	buf_free(&c->ops);
	free(c->unsynced);
	free(c->unlinked);
	free(c);
	*commit = NULL;
}

uint64_t commit_modseq(struct commit *c)
{
	struct counters *counters = &c->m->view.counters;

	if (!c->modseq) {
		c->modseq = mailbox_highestmodseq(c->m) + 1;
		counters->highestmodseq = c->modseq;
		if (counters->xconvmodseq) /* a peer keeps conversations; ours are none of it */
			counters->xconvmodseq = c->modseq;
	}
	return c->modseq;
}

struct counters *commit_counters(struct commit *c)
{
	return &c->m->view.counters;
}

/* ---- ops --------------------------------------------------------------------------------------- */

/* Frames that are full go out at once, unpublished: a commit of 100,000 records needs no more memory than one. */
static int write_full_frame(struct commit *c, struct us_err *err)
{
	int rc;

	if (c->ops.len < JOURNAL_FRAME_MAX)
		return 0;
	rc = journal_write(&c->m->view.journal, &c->at, &c->ops, c->count,
			   c->wrote_frame ? 0 : FRAME_FIRST, 0, err);
	c->wrote_frame = true;
	c->count = 0;
	buf_clear(&c->ops);
	return rc;
}

int commit_add_op(struct commit *c, const void *op, struct us_err *err)
{
	const struct journal_op *head = op;
	int rc;

	if (head->length > JOURNAL_OP_MAX)
		return us_fail(err, US_ELIMIT, "%u bytes at once are more than a mailbox takes",
			       head->length);
	rc = view_apply(&c->m->view, head, 0, err);
	if (rc < 0)
		return rc;
	buf_add(&c->ops, op, head->length);
	c->count++;
	return write_full_frame(c, err);
}

static bool only_flags_differ(const struct record *a, const struct record *b)
{
	struct record x = *a;

	x.system_flags = b->system_flags;
	x.internal_flags = b->internal_flags;
	x.modseq = b->modseq;
	x.last_updated = b->last_updated;
	memcpy(x.user_flags, b->user_flags, sizeof(x.user_flags));
	x.crc = b->crc;
	return memcmp(&x, b, sizeof(x)) == 0;
}

static int add_flags_op(struct commit *c, const struct record *r, struct us_err *err)
{
	struct op_flags op = {.op = {OP_FLAGS, 0, sizeof(op)},
			      .uid = r->uid,
			      .system_flags = r->system_flags,
			      .internal_flags = r->internal_flags,
			      .modseq = r->modseq,
			      .last_updated = r->last_updated,
			      .user_flags = {r->user_flags[0], r->user_flags[1]}};

	return commit_add_op(c, &op, err);
}

static int add_whole_op(struct commit *c, const struct record *r, struct us_err *err)
{
	struct op_record op = {.op = {OP_RECORD, 0, sizeof(op)}, .record = *r};

	op.record.crc = record_crc(&op.record);
	return commit_add_op(c, &op, err);
}

static int add_record_op(struct commit *c, const struct record *before, const struct record *after,
			 struct us_err *err)
{
	return before && only_flags_differ(before, after) ? add_flags_op(c, after, err)
							  : add_whole_op(c, after, err);
}

/* Keep counters.first_unseen_* right, or note that they must be looked for. */
static void follow_first_unseen(struct commit *c, const struct record *before,
				const struct record *after)
{
	struct counters *n = &c->m->view.counters;
	bool was_live = before && record_is_live(before), is_live = record_is_live(after);
	bool is_unseen = is_live && !(after->system_flags & FLAG_SEEN);
	uint32_t first = n->first_unseen_uid;

	if (!before && is_unseen && !first) {
		n->first_unseen_uid = after->uid;
		n->first_unseen_seq = n->exists;
	} else if (is_unseen && (!first || after->uid < first)) {
		c->find_low = true;
	} else if (after->uid == first && !is_unseen) {
		c->recount = true;
	} else if (after->uid < first) {
		n->first_unseen_seq += (uint32_t)is_live - (uint32_t)was_live;
	}
}

/* The first unseen message was read or expunged: the next one is at or behind its place. */
static void look_forward(struct view *v)
{
	struct view_walk walk = view_walk(v, v->counters.first_unseen_uid);
	uint32_t seq = v->counters.first_unseen_seq - 1;
	const struct record *r;

	while ((r = view_next_live(v, &walk))) {
		seq++;
		if (r->system_flags & FLAG_SEEN)
			continue;
		v->counters.first_unseen_uid = r->uid;
		v->counters.first_unseen_seq = seq;
		return;
	}
	v->counters.first_unseen_uid = v->counters.first_unseen_seq = 0;
}

void commit_settle_first_unseen(struct commit *c)
{
	if (c->find_low)
		view_find_first_unseen(&c->m->view);
	else if (c->recount)
		look_forward(&c->m->view);
}

/* Files to be removed after the commit. */
static void note_unlinked(struct commit *c, uint32_t uid)
{
	us_grow(&c->unlinked, c->n_unlinked, &c->cap_unlinked, sizeof(c->unlinked[0]));
	c->unlinked[c->n_unlinked++] = uid;
}

static int change_record(struct commit *c, const struct record *after, struct us_err *err)
{
	struct view *v = &c->m->view;
	const struct record *old = view_find(v, after->uid);
	struct record before = {0};

	if (old)
		before = *old;
	counters_replace(&v->counters, old ? &before : NULL, after, &v->names);
	follow_first_unseen(c, old ? &before : NULL, after);
	if (old && after->internal_flags & ~before.internal_flags & RECORD_UNLINKED)
		note_unlinked(c, after->uid);
	if (!record_is_live(after) && (!old || record_is_live(&before)) &&
	    (!v->counters.first_expunged || after->last_updated < v->counters.first_expunged))
		v->counters.first_expunged = after->last_updated;
	return add_record_op(c, old ? &before : NULL, after, err);
}

int commit_put(struct commit *c, const struct record *r, struct us_err *err)
{
	const struct record *old = view_find(&c->m->view, r->uid);
	struct record after = *r;

	if (!old)
		return us_fail(err, US_ENOENT, "no message has uid %u", r->uid);
	after.header_size = old->header_size;
	after.sentdate = old->sentdate;
	after.gmtime = old->gmtime;
	after.size = old->size;
	after.guid = old->guid;
	after.body_crc = old->body_crc;
	after.cache_offset = old->cache_offset;
	after.cache_length = old->cache_length;
	after.cache_crc = old->cache_crc;
	after.cache_version = old->cache_version;
	after.annot_crc = old->annot_crc;
	after.annot_bytes = old->annot_bytes;
	return change_record(c, &after, err);
}

int commit_expunge(struct commit *c, const struct record *r, struct us_err *err)
{
	struct record after = *r;

	after.internal_flags |= RECORD_EXPUNGED;
	if (store_config(c->m->store)->expunge_immediate)
		after.internal_flags |= RECORD_UNLINKED;
	after.modseq = commit_modseq(c);
	after.last_updated = c->now;
	return commit_put(c, &after, err);
}

/* ---- messages ---------------------------------------------------------------------------------- */

static bool must_fail(const struct commit *c, const struct guid *guid)
{
	const char *wanted = store_config(c->m->store)->writefail_guid;
	char hex[GUID_HEX];

	guid_format(guid, hex);
	return wanted && strcmp(wanted, hex) == 0;
}

/* Write down that a name is about to come: whoever finds us dead takes it away again. */
static void announce_name(struct commit *c, uint32_t uid)
{
	struct journal_header *head = c->m->view.journal.header;

	c->high_uid = uid;
	journal_set_word(&head->unborn_high, uid);
	if (c->first_uid)
		return;
	journal_set_word(&head->unborn_low, uid);
	c->first_uid = uid;
}

/* Give a message file its name in the mailbox. A file of that name can only be what an aborted commit left: no record
 * has this uid yet. */
static int link_file(struct commit *c, int dir, const char *file, uint32_t uid, struct us_err *err)
{
	char name[16];
	int rc;

	message_file_name(uid, name);
	announce_name(c, uid);
	rc = io_link(FP("store.commit.link"), dir, file, c->m->dir, name, err);
	if (rc == US_EEXIST) {
		rc = io_unlink(FP("store.commit.unlink_leftover"), c->m->dir, name, err);
		if (rc == 0)
			rc = io_link(FP("store.commit.link"), dir, file, c->m->dir, name, err);
	}
	if (rc == 0)
		c->linked = true;
	return rc;
}

static void note_unsynced(struct commit *c, struct staged *staged)
{
	if (staged->synced)
		return;
	us_grow(&c->unsynced, c->n_unsynced, &c->cap_unsynced, sizeof(c->unsynced[0]));
	c->unsynced[c->n_unsynced++] = staged;
}

/* A new file, never one that is there: what an aborted commit left may be a link to a message of another mailbox. */
static int create_file(struct commit *c, const char *name, int *out, struct us_err *err)
{
	const int flags = O_WRONLY | O_CREAT | O_EXCL;
	int rc = io_open(FP("store.commit.create_copy"), c->m->dir, name, flags, 0600, out, err);

	if (rc != US_EEXIST)
		return rc;
	rc = io_unlink(FP("store.commit.unlink_leftover"), c->m->dir, name, err);
	return rc < 0 ? rc
		      : io_open(FP("store.commit.create_copy"), c->m->dir, name, flags, 0600, out,
				err);
}

/* Copy bytes where a link cannot be: other file system, too many links. Durable at once: this is rare. */
static int copy_file(struct commit *c, int from, uint32_t uid, struct us_err *err)
{
	char name[16], chunk[65536];
	int to = -1, rc;
	ssize_t n;
	off_t at = 0;

	message_file_name(uid, name);
	announce_name(c, uid);
	rc = create_file(c, name, &to, err);
	while (rc == 0 && (n = pread(from, chunk, sizeof(chunk), at)) != 0) {
		rc = n < 0 ? us_fail_errno(err, "read a message file")
			   : io_write(FP("store.commit.write_copy"), to, chunk, (size_t)n, err);
		at += n;
	}
	if (rc == 0)
		rc = io_copy_time(from, to, err);
	if (rc == 0)
		rc = partition_synced(c->m->partition,
				      io_fdatasync(FP("store.commit.sync_copy"), to, err), err);
	io_close(&to);
	c->linked = true;
	return rc;
}

static int take_staged(struct commit *c, struct staged *staged, uint32_t uid, struct us_err *err)
{
	struct partition *p = stage_partition(staged->stage);
	int rc;

	if (p != c->m->partition)
		return copy_file(c, staged->fd, uid, err);
	rc = link_file(c, stage_dir(staged->stage), staged->name, uid, err);
	if (rc == 0)
		note_unsynced(c, staged);
	else if (rc == US_EIO)
		rc = copy_file(c, staged->fd, uid, err);
	return rc;
}

static int take_from_mailbox(struct commit *c, struct mailbox *from, uint32_t from_uid,
			     uint32_t uid, struct us_err *err)
{
	char name[16];
	int fd = -1, rc;

	message_file_name(from_uid, name);
	rc = link_file(c, from->dir, name, uid, err);
	if (rc != US_EIO)
		return rc;
	rc = mailbox_open_message(from, from_uid, &fd, err);
	if (rc == 0)
		rc = copy_file(c, fd, uid, err);
	io_close(&fd);
	return rc;
}

static int take_file(struct commit *c, const struct commit_source *source, struct record *r,
		     struct us_err *err)
{
	if (source->none) {
		r->internal_flags |= RECORD_UNLINKED;
		return 0;
	}
	if (source->staged) {
		r->size = source->staged->size;
		r->guid = source->staged->guid;
		r->body_crc = source->staged->crc;
	}
	if (must_fail(c, &r->guid))
		return us_fail(err, US_ENOSPC,
			       "debug_writefail_guid says this message cannot be stored");
	if (source->staged)
		return take_staged(c, source->staged, r->uid, err);
	return take_from_mailbox(c, source->mailbox, source->uid, r->uid, err);
}

static void fill_record(struct commit *c, struct record *r)
{
	if (!r->uid)
		r->uid = c->m->view.counters.last_uid + 1;
	if (!r->modseq)
		r->modseq = commit_modseq(c);
	if (!r->createdmodseq)
		r->createdmodseq = r->modseq;
	if (!r->last_updated)
		r->last_updated = c->now;
	if (!r->savedate)
		r->savedate = c->now;
}

int commit_append(struct commit *c, const struct record *r, const struct commit_source *source,
		  struct span cache, uint32_t *uid_out, struct us_err *err)
{
	struct counters *n = &c->m->view.counters;
	struct record record = *r;
	int rc;

	if (n->last_uid == UINT32_MAX)
		return us_fail(err, US_ELIMIT, "the mailbox has no UIDs left");
	fill_record(c, &record);
	us_assert(record.uid > n->last_uid);
	rc = take_file(c, source, &record, err);
	if (rc < 0)
		return rc;
	cache_append(c->m, cache, &record);
	n->last_uid = record.uid;
	n->last_append = c->now;
	c->appended = true;
	rc = change_record(c, &record, err);
	if (rc == 0 && uid_out)
		*uid_out = record.uid;
	return rc;
}

int commit_unlink(struct commit *c, uint32_t low, uint32_t high, struct us_err *err)
{
	struct op_unlink op = {.op = {OP_UNLINK, 0, sizeof(op)}, .low = low, .high = high};
	struct view *v = &c->m->view;
	struct view_walk walk = view_walk(v, low);
	const struct record *r;

	while ((r = view_next(v, &walk)) && r->uid <= high) {
		us_assert(!record_is_live(r));
		counters_replace(&v->counters, r, NULL, &v->names);
		if (r->modseq > v->counters.deletedmodseq)
			v->counters.deletedmodseq = r->modseq;
		if (!(r->internal_flags & RECORD_UNLINKED))
			note_unlinked(c, r->uid);
	}
	return commit_add_op(c, &op, err);
}

/* ---- flag names and annotations ----------------------------------------------------------------- */

int commit_flag_bit(struct commit *c, struct span name, unsigned *bit, struct us_err *err)
{
	struct flag_names *names = &c->m->view.names;
	struct buf op = BUF_INIT;
	struct op_flagname head = {.op = {OP_FLAGNAME, 0, 0}, .length = (uint16_t)name.len};
	int found = flag_names_find(names, name), rc;

	if (found >= 0) {
		*bit = (unsigned)found;
		return 0;
	}
	if (!name.len || name.len > UINT16_MAX)
		return us_fail(err, US_ELIMIT, "the flag's name is too long");
	found = flag_names_free_bit(names);
	if (found < 0)
		return us_fail(err, US_ELIMIT, "Too many user flags in mailbox");
	head.bit = (uint16_t)found;
	head.op.length = (uint32_t)(sizeof(head) + name.len + 7) & ~7u;
	buf_add(&op, &head, sizeof(head));
	buf_add_span(&op, name);
	while (op.len % 8)
		buf_add_char(&op, '\0');
	rc = commit_add_op(c, op.data, err);
	buf_free(&op);
	*bit = (unsigned)found;
	return rc;
}

int commit_annotate(struct commit *c, uint32_t uid, struct span entry, struct span userid,
		    struct span value, uint64_t modseq, struct us_err *err)
{
	struct view *v = &c->m->view;
	const struct record *r = view_find(v, uid);
	const struct state_annotation *old;
	struct record after;
	struct buf op = BUF_INIT;
	int rc;

	if (!r)
		return us_fail(err, US_ENOENT, "no message has uid %u", uid);
	if (entry.len > UINT16_MAX || userid.len > UINT16_MAX || value.len > JOURNAL_OP_MAX / 2)
		return us_fail(err, US_ELIMIT, "the annotation is too long");
	after = *r;
	old = annots_find(&v->annots, uid, entry, userid);
	if (!old && !value.ptr)
		return 0;
	if (old) {
		after.annot_crc ^= annotation_crc(uid, entry, userid, old->value);
		after.annot_bytes -= (uint32_t)old->value.len;
	}
	if (value.ptr) {
		after.annot_crc ^= annotation_crc(uid, entry, userid, value);
		after.annot_bytes += (uint32_t)value.len;
	}
	annots_encode(&op, uid, entry, userid, value, modseq);
	rc = change_record(c, &after, err);
	if (rc == 0)
		rc = commit_add_op(c, op.data, err);
	buf_free(&op);
	return rc;
}

/* ---- the metadata half, other news --------------------------------------------------------------- */

void commit_meta(struct commit *c, struct meta_batch *batch, bool lazy)
{
	c->meta = batch;
	c->meta_lazy = lazy;
}

void commit_also(struct commit *c, struct store_change change)
{
	us_assert(c->n_also < ARRAY_SIZE(c->also));
	c->also[c->n_also++] = change;
}
