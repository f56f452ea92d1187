/* commit_finish.c - how commits end: one, or several of different mailboxes that share what can be shared.
 *
 *	bodies and names durable -> observer told -> frames written -> frames durable -> published -> metadata -> bell
 *
 * A step is done for all of them before the next begins (doc/FORMATS.md 3.4 has the order for each), so ten recipients of
 * a message pay for two syncs of the file system rather than thirty of files. They stay independent: what fails for
 * one fails for that one, a failed sync for all on that partition, a sync log that cannot be written for all. A
 * crash leaves those whose frames were complete: the next holder of each lock rolls them forward.
 */
#include "server/store/commit.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/base/io.h"
#include "server/base/log.h"
#include "server/base/mem.h"
#include "server/store/cache.h"
#include "server/store/commit_private.h"
#include "server/store/compact.h"
#include "server/store/mailbox_private.h"
#include "server/store/mboxname.h"
#include "server/store/meta/meta.h"
#include "server/store/partition.h"

/* From this many syncs of files and directories on, one syncfs is cheaper. */
#define MANY_SYNCS 8

/* Those still on their way, in order. */
#define EACH_ALIVE(e, list, n)                                     \
	for (struct commit_end *e = (list); e < (list) + (n); e++) \
		if (e->rc == 0)

static struct partition *partition_of(const struct commit_end *e)
{
	return e->commit->m->partition;
}

/* A failed sync is the partition's failure. */
static void fail_partition(struct commit_end *list, size_t n, struct partition *p,
			   const struct us_err *cause)
{
	struct us_err err = *cause;
	int rc = partition_poison(p, &err);

	EACH_ALIVE (e, list, n)
		if (partition_of(e) == p) {
			e->rc = rc;
			e->err = err;
		}
}

/* Call fn for each partition that has commits on their way, and fail those of a partition for which it fails. */
static void sync_each_partition(struct commit_end *list, size_t n,
				int (*fn)(struct commit_end *list, size_t n, struct partition *p,
					  struct us_err *err))
{
	EACH_ALIVE (e, list, n) {
		struct partition *p = partition_of(e);
		struct us_err err;
		bool done = false;

		EACH_ALIVE (before, list, (size_t)(e - list))
			done = done || partition_of(before) == p;
		if (!done && fn(list, n, p, &err) < 0)
			fail_partition(list, n, p, &err);
	}
}

/* ---- message files -------------------------------------------------------------------------------- */

static size_t files_to_sync(const struct commit *c)
{
	size_t n = c->linked ? 1 : 0;

	for (size_t i = 0; i < c->n_unsynced; i++)
		n += !c->unsynced[i]->synced;
	return n;
}

static int sync_files_of(struct commit *c, struct us_err *err)
{
	for (size_t i = 0; i < c->n_unsynced; i++) {
		int rc;
		if (c->unsynced[i]->synced)
			continue;
		rc = io_fdatasync(FP("store.commit.sync_file"), c->unsynced[i]->fd, err);
		if (rc < 0)
			return rc;
		c->unsynced[i]->synced = true;
	}
	return c->linked ? io_fsync(FP("store.commit.sync_names"), c->m->dir, err) : 0;
}

/* Bytes and names of new messages; the names of copies too, whose bytes are on the disk already. */
static int sync_files(struct commit_end *list, size_t n, struct partition *p, struct us_err *err)
{
	size_t count = 0;
	int rc = 0;

	EACH_ALIVE (e, list, n)
		if (partition_of(e) == p)
			count += files_to_sync(e->commit);
	if (count > MANY_SYNCS) {
		rc = io_syncfs(FP("store.commit.syncfs"), p->dir, err);
		EACH_ALIVE (e, list, n)
			for (size_t i = 0; rc == 0 && i < e->commit->n_unsynced; i++)
				if (partition_of(e) == p)
					e->commit->unsynced[i]->synced = true;
		return rc;
	}
	EACH_ALIVE (e, list, n)
		if (rc == 0 && partition_of(e) == p)
			rc = sync_files_of(e->commit, err);
	return rc;
}

/* ---- the observer ---------------------------------------------------------------------------------- */

#define MOST_CHANGES (ARRAY_SIZE(((struct commit *)0)->also) + 2)

static size_t list_changes(const struct commit *c, struct store_change *changes)
{
	struct span name = buf_span(&c->m->name);
	size_t n = 0;

	if (c->appended)
		changes[n++] = (struct store_change){CHANGE_APPEND, name, SPAN_NULL};
	changes[n++] = (struct store_change){CHANGE_MAILBOX, name, SPAN_NULL};
	for (size_t i = 0; i < c->n_also; i++)
		changes[n++] = c->also[i];
	return n;
}

static void announce(struct commit_end *list, size_t n)
{
	struct store_change *changes = us_calloc(n, sizeof(*changes) * MOST_CHANGES);
	struct store *store = NULL;
	struct us_err err;
	size_t count = 0;
	int rc = 0;

	EACH_ALIVE (e, list, n) {
		store = e->commit->m->store;
		count += list_changes(e->commit, changes + count);
	}
	if (store)
		rc = store_announce(store, changes, count, &err);
	EACH_ALIVE (e, list, n)
		if (rc < 0) {
			e->rc = rc;
			e->err = err;
		}
	free(changes);
}

/* ---- frames ----------------------------------------------------------------------------------------- */

static int add_meta_op(struct commit *c, struct us_err *err)
{
	struct journal_op head = {OP_META, 0, 0};
	struct buf op = BUF_INIT;
	int rc;

	if (!c->meta)
		return 0;
	buf_add(&op, &head, sizeof(head));
	meta_batch_encode(c->meta, &op);
	while (op.len % 8)
		buf_add_char(&op, '\0');
	if (op.len > JOURNAL_OP_MAX) {
		rc = us_fail(err, US_ELIMIT, "%zu bytes of metadata at once are too many", op.len);
		buf_free(&op);
		return rc;
	}
	head.length = (uint32_t)op.len;
	memcpy(op.data, &head, sizeof(head));
	rc = view_apply(&c->m->view, (const void *)op.data, c->at.serial + 1, err);
	buf_add(&c->ops, op.data, op.len);
	c->count++;
	buf_free(&op);
	return rc;
}

/* The last frame of the commit. From here on it may be on the disk: the files it speaks of stay. */
static int write_frame(struct commit *c, struct us_err *err)
{
	struct view *v = &c->m->view;
	struct op_counters op = {.op = {OP_COUNTERS, 0, sizeof(op)}};
	int rc = add_meta_op(c, err);

	if (rc < 0)
		return rc;
	op.counters = v->counters;
	buf_add(&c->ops, &op, sizeof(op));
	v->tail_ops++;
	rc = journal_write(&v->journal, &c->at, &c->ops, c->count + 1,
			   FRAME_COMMIT | (c->wrote_frame ? 0u : (unsigned)FRAME_FIRST),
			   v->counters.highestmodseq, err);
	if (rc == 0)
		c->first_uid = 0;
	return rc;
}

/* The commit point. */
static int sync_frames(struct commit_end *list, size_t n, struct partition *p, struct us_err *err)
{
	size_t count = 0;
	int rc = 0;

	EACH_ALIVE (e, list, n)
		count += partition_of(e) == p;
	if (count > MANY_SYNCS)
		return io_syncfs(FP("store.commit.syncfs_frames"), p->dir, err);
	EACH_ALIVE (e, list, n)
		if (rc == 0 && partition_of(e) == p)
			rc = journal_sync(&e->commit->m->view.journal, err);
	return rc;
}

/* For tests that let us die between two steps, neither of which can fail. */
static void pass_point(const struct failpoint *fp)
{
	if (failpoint_hit(fp) < 0)
		failpoint_die();
}

/* The word comes first: a reader of it must find the META op behind it published or repairable. */
static void publish(struct commit *c)
{
	struct view *v = &c->m->view;

	pass_point(FP("store.commit.publish"));
	if (c->meta)
		journal_set_word(&v->journal.header->meta_pending, c->at.serial);
	journal_publish(&v->journal, c->at.offset);
	if (c->high_uid)
		journal_set_word(&v->journal.header->unborn_low, 0);
	v->at = c->at;
}

/* ---- the metadata half ------------------------------------------------------------------------------ */

static void add_serial(struct meta_batch *batch, const struct commit *c)
{
	struct buf key = BUF_INIT;

	mboxname_to_key(buf_span(&c->m->name), &key);
	meta_batch_op(batch, META_MAILBOXES, buf_span(&key), c->at.serial);
	buf_free(&key);
}

static void note_applied(struct commit *c)
{
	c->m->row_serial = c->at.serial;
	journal_set_word(&c->m->view.journal.header->meta_applied, c->at.serial);
}

static void commit_one_meta(struct commit_end *e)
{
	struct commit *c = e->commit;

	add_serial(c->meta, c);
	e->rc = meta_commit(store_meta(c->m->store), c->meta,
			    c->meta_lazy ? META_LAZY : META_DURABLE, &e->err);
	if (e->rc < 0)
		us_err_prefix(&e->err, "%s", c->m->name.data);
	else
		note_applied(c);
}

static bool is_lazy(const struct commit *c)
{
	return c->meta && c->meta_lazy;
}

/* What can wait goes to metad in one batch: it says nothing that another one's failure could concern. */
static void commit_lazy_meta(struct commit_end *list, size_t n)
{
	struct meta_batch all;
	struct store *store = NULL;
	struct us_err err;
	int rc = 0;

	meta_batch_init(&all);
	EACH_ALIVE (e, list, n)
		if (is_lazy(e->commit)) {
			store = e->commit->m->store;
			meta_batch_add(&all, e->commit->meta);
			add_serial(&all, e->commit);
		}
	if (store)
		rc = meta_commit(store_meta(store), &all, META_LAZY, &err);
	EACH_ALIVE (e, list, n)
		if (is_lazy(e->commit)) {
			e->rc = rc;
			if (rc < 0)
				e->err = err;
			else
				note_applied(e->commit);
		}
	meta_batch_fini(&all);
}

static void commit_meta_halves(struct commit_end *list, size_t n)
{
	size_t lazy = 0;

	EACH_ALIVE (e, list, n)
		lazy += is_lazy(e->commit);
	EACH_ALIVE (e, list, n)
		if (e->commit->meta && (lazy == 1 || !is_lazy(e->commit)))
			commit_one_meta(e);
	if (lazy > 1)
		commit_lazy_meta(list, n);
}

/* ---- all of it -------------------------------------------------------------------------------------- */

static void ring_bell(struct mailbox *m)
{
	pass_point(FP("store.commit.bell"));
	if (pwrite(m->lock, "!", 1, 0) < 0)
		log_event(LOG_WARNING, "store.bell.silent", LF_STR("mailbox", m->name.data));
}

static void remove_unlinked_files(struct commit *c)
{
	for (size_t i = 0; i < c->n_unlinked; i++) {
		char name[16];
		struct us_err err;
		message_file_name(c->unlinked[i], name);
		if (io_unlink(FP("store.commit.unlink"), c->m->dir, name, &err) < 0)
			log_event(LOG_WARNING, "store.message.kept",
				  LF_STR("mailbox", c->m->name.data), LF_NUM("uid", c->unlinked[i]),
				  LF_ERR(&err));
	}
}

static void check_partitions(struct commit_end *list, size_t n)
{
	EACH_ALIVE (e, list, n)
		if (partition_is_poisoned(partition_of(e)))
			e->rc = us_fail(&e->err, US_EIO,
					"partition %s is poisoned after a failed sync",
					partition_of(e)->name);
}

static void write_frames(struct commit_end *list, size_t n)
{
	EACH_ALIVE (e, list, n)
		e->rc = write_frame(e->commit, &e->err);
}

/* Nothing was published of those that failed so far: as if they had not been begun. */
static void abort_failed(struct commit_end *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (list[i].rc < 0)
			commit_abort(&list[i].commit);
}

/* Readers may see them from the first publication on, so none stands between it and the bells. */
static void publish_all(struct commit_end *list, size_t n)
{
	EACH_ALIVE (e, list, n)
		publish(e->commit);
	pass_point(FP("store.commit.meta"));
	commit_meta_halves(list, n);
	for (size_t i = 0; i < n; i++)
		if (list[i].commit)
			ring_bell(list[i].commit->m);
}

static void tidy(struct commit_end *e)
{
	struct mailbox *m;
	uint64_t ops;

	if (!e->commit)
		return;
	m = e->commit->m;
	ops = m->view.tail_ops - e->commit->tail_before;
	remove_unlinked_files(e->commit);
	commit_free(&e->commit);
	if (e->rc == 0)
		compact_after_commit(m, ops);
}

void commit_finish_all(struct commit_end *list, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		list[i].rc = 0;
		commit_settle_first_unseen(list[i].commit);
	}
	check_partitions(list, n);
	sync_each_partition(list, n, sync_files);
	announce(list, n);
	write_frames(list, n);
	sync_each_partition(list, n, sync_frames);
	abort_failed(list, n);
	publish_all(list, n);
	for (size_t i = 0; i < n; i++)
		tidy(&list[i]);
}

int commit_finish(struct commit **commit, struct us_err *err)
{
	struct commit_end end = {.commit = *commit};

	commit_finish_all(&end, 1);
	*commit = NULL;
	if (end.rc < 0 && err)
		*err = end.err;
	return end.rc;
}

void commit_abort(struct commit **commit)
{
	struct commit *c = *commit;
	struct mailbox *m;
	struct us_err err;

	if (!c)
		return;
	m = c->m;
	/* A file that stays is written over by the next append. */
	if (c->first_uid && mailbox_remove_files(m, c->first_uid, c->high_uid))
		journal_set_word(&m->view.journal.header->unborn_low, 0);
	commit_free(commit);
	if (mailbox_reopen_view(m, &err) < 0)
		log_event(LOG_ERR, "store.mailbox.lost", LF_STR("mailbox", m->name.data),
			  LF_ERR(&err));
}

/* ---- the cache -------------------------------------------------------------------------------------- */

/* No message file, nobody to be told, no metadata: only the frame. */
static int finish_quietly(struct commit *c, struct us_err *err)
{
	int rc = partition_is_poisoned(c->m->partition) ? partition_poison(c->m->partition, err)
							: write_frame(c, err);

	if (rc == 0)
		rc = partition_synced(c->m->partition, journal_sync(&c->m->view.journal, err), err);
	if (rc == 0)
		publish(c);
	return rc;
}

static int add_cacheref(struct commit *c, const struct commit_cached *cached, struct us_err *err)
{
	struct op_cacheref op = {.op = {OP_CACHEREF, 0, sizeof(op)}, .uid = cached->uid};
	const struct record *r = view_find(&c->m->view, cached->uid);
	struct record after;

	if (!r)
		return 0;
	after = *r;
	cache_append(c->m, cached->payload, &after);
	op.length = after.cache_length;
	op.offset = after.cache_offset;
	op.crc = after.cache_crc;
	op.version = after.cache_version;
	return commit_add_op(c, &op, err);
}

int commit_cache(struct mailbox *m, const struct commit_cached *list, size_t n, struct us_err *err)
{
	struct commit *c;
	int rc = commit_begin(m, &c, err);

	if (rc < 0)
		return rc;
	for (size_t i = 0; rc == 0 && i < n; i++)
		rc = add_cacheref(c, &list[i], err);
	if (rc == 0)
		rc = finish_quietly(c, err);
	if (rc < 0)
		commit_abort(&c);
	else
		commit_free(&c);
	return rc;
}
