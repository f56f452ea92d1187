/* mailbox.c - see mailbox.h. */
#include "server/store/mailbox.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/base/io.h"
#include "server/base/log.h"
#include "server/base/mem.h"
#include "server/store/cache.h"
#include "server/store/lock.h"
#include "server/store/mailbox_private.h"
#include "server/store/mboxname.h"
#include "server/store/meta/meta.h"
#include "server/store/partition.h"

#define LOCK_FILE  "mbox.lk"
#define MOST_TRIES 20 /* a name or a generation that changes under us is looked up again */

void message_file_name(uint32_t uid, char out[16])
{
	snprintf(out, 16, "%u.", uid);
}

bool message_file_uid(const char *name, uint64_t *uid)
{
	struct span s = span_of(name);
	char again[16];

	if (s.len < 2 || !span_u64(span_make(s.ptr, s.len - 1), UINT32_MAX, uid) || !*uid)
		return false;
	message_file_name((uint32_t)*uid, again);
	return strcmp(name, again) == 0; /* and not "007." */
}

/* ---- rows -------------------------------------------------------------------------------------- */

int mailbox_row_get(struct store *store, struct span name, struct pool *pool,
		    struct mailbox_row *out, uint64_t *version, uint64_t *serial,
		    struct us_err *err)
{
	struct buf key = BUF_INIT, payload = BUF_INIT;
	struct meta_stamp stamp;
	int rc;

	mboxname_to_key(name, &key);
	rc = meta_get(store_meta(store), META_MAILBOXES, buf_span(&key), &payload, &stamp, err);
	if (rc > 0) {
		int bad = mailbox_row_decode(buf_span(&payload), pool, out, err);
		if (bad < 0)
			rc = us_err_prefix(err, "%.*s", SPAN_ARG(name));
		if (version)
			*version = stamp.version;
		if (serial)
			*serial = stamp.serial;
	}
	buf_free(&key);
	buf_free(&payload);
	return rc;
}

void mailbox_row_forget(struct store *store, struct span name)
{
	struct buf key = BUF_INIT;

	mboxname_to_key(name, &key);
	meta_forget(store_meta(store), META_MAILBOXES, buf_span(&key));
	buf_free(&key);
}

int mailbox_name_of_uniqueid(struct store *store, struct span uniqueid, struct buf *name,
			     struct us_err *err)
{
	struct meta_stamp stamp;

	return meta_get(store_meta(store), META_BY_UNIQUEID, uniqueid, name, &stamp, err);
}

static int no_such_mailbox(struct us_err *err)
{
	return us_fail(err, US_ENOENT, "Mailbox does not exist");
}

/* Read the row of m->name. */
static int read_row(struct mailbox *m, struct us_err *err)
{
	struct pool *pool = pool_new();
	struct mailbox_row row;
	int rc = mailbox_row_get(m->store, buf_span(&m->name), pool, &row, &m->row_version,
				 &m->row_serial, err);

	if (rc == 0 || (rc > 0 && !mailbox_row_is_real(&row)))
		rc = no_such_mailbox(err);
	if (rc < 0) {
		pool_free(&pool);
		return rc;
	}
	pool_free(&m->row_pool);
	m->row_pool = pool;
	m->row = row;
	return 0;
}

/* The row of *this* mailbox: by its name, or by its uniqueid if it was renamed meanwhile. */
int mailbox_refresh_row(struct mailbox *m, struct us_err *err)
{
	struct storeid was = m->row.storeid;
	char *uniqueid = span_dup(m->row.uniqueid);
	struct buf name = BUF_INIT;
	int rc = read_row(m, err);

	if (rc == US_ENOENT || (rc == 0 && storeid_cmp(&m->row.storeid, &was) != 0)) {
		rc = mailbox_name_of_uniqueid(m->store, span_of(uniqueid), &name, err);
		if (rc == 0)
			rc = no_such_mailbox(err);
		if (rc > 0) {
			buf_clear(&m->name);
			buf_add_span(&m->name, buf_span(&name));
			rc = read_row(m, err);
		}
		if (rc == 0 && storeid_cmp(&m->row.storeid, &was) != 0)
			rc = no_such_mailbox(err);
	}
	free(uniqueid);
	buf_free(&name);
	return rc;
}

/* ---- the lock's file ----------------------------------------------------------------------------- */

/* Where the words of the queue lie in mbox.lk (doc/FORMATS.md 8). */
#define QUEUE_OFFSET 8

/* The file is as long as they need, and mapped; NULL where that cannot be: we do without a queue. What is mapped has its block on the
 * disk: on a full one, to write where there is none is a SIGBUS. */
static struct lock_queue *map_queue(int fd)
{
	const size_t size = QUEUE_OFFSET + sizeof(struct lock_queue);
	struct stat st;
	char *map;

	if (fstat(fd, &st) < 0)
		return NULL;
	if ((st.st_size < (off_t)size || st.st_blocks == 0) &&
	    posix_fallocate(fd, 0, (off_t)size) != 0)
		return NULL;
	map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	return map == MAP_FAILED ? NULL : (void *)(map + QUEUE_OFFSET);
}

int mailbox_open_lock(struct mailbox *m, struct us_err *err)
{
	int rc;

	if (m->lock >= 0)
		return 0;
	rc = io_open(NULL, m->dir, LOCK_FILE, O_RDWR | O_CREAT, 0600, &m->lock, err);
	if (rc == 0)
		m->queue = map_queue(m->lock);
	return rc;
}

static void close_lock(struct mailbox *m)
{
	if (m->queue)
		munmap((char *)m->queue - QUEUE_OFFSET, QUEUE_OFFSET + sizeof(*m->queue));
	m->queue = NULL;
	io_close(&m->lock);
}

/* ---- the view ---------------------------------------------------------------------------------- */

static int note_index(struct mailbox *m, struct us_err *err)
{
	struct stat st;

	if (fstatat(m->dir, INDEX_FILE, &st, 0) < 0)
		return us_fail_errno(err, "stat " INDEX_FILE);
	m->index_dev = st.st_dev;
	m->index_ino = st.st_ino;
	return 0;
}

bool mailbox_has_same_index(const struct mailbox *m)
{
	struct stat st;

	return fstatat(m->dir, INDEX_FILE, &st, 0) == 0 && st.st_dev == m->index_dev &&
	       st.st_ino == m->index_ino;
}

/* The identity of the index is noted before it is opened: if it is replaced in between, the next refresh sees
 * a difference and opens once too often, never once too seldom. */
static int open_view(struct mailbox *m, struct us_err *err)
{
	int rc = US_ENOENT;

	for (int i = 0; rc == US_ENOENT && i < MOST_TRIES; i++) {
		rc = note_index(m, err);
		if (rc == 0)
			rc = view_open(&m->view, m->dir, &m->row.storeid,
				       store_is_writable(m->store), store_boot_tag(m->store),
				       partition_epoch(m->partition), err);
	}
	return rc;
}

/* Somebody must recover a mailbox that no one used since the boot; readers do it too. */
static int open_view_recovering(struct mailbox *m, struct us_err *err)
{
	int rc = open_view(m, err);

	if (rc != US_ECHANGED)
		return rc;
	rc = mailbox_open_lock(m, err);
	if (rc == 0)
		rc = lock_take(m->lock, LOCK_EXCLUSIVE, m->lock_wait_ms, err);
	if (rc < 0)
		return rc;
	rc = mailbox_recover(m, err);
	lock_drop(m->lock);
	return rc < 0 ? rc : open_view(m, err);
}

int mailbox_reopen_view(struct mailbox *m, struct us_err *err)
{
	view_close(&m->view);
	return open_view_recovering(m, err);
}

int mailbox_refresh(struct mailbox *m, struct us_err *err)
{
	int rc;

	if (m->view.base.header && mailbox_has_same_index(m))
		return view_advance(&m->view, err);
	rc = mailbox_reopen_view(m, err);
	return rc < 0 ? rc : 1;
}

/* ---- open and close ---------------------------------------------------------------------------- */

static int open_directory(struct mailbox *m, struct us_err *err)
{
	m->partition = store_partition(m->store, m->row.local_partition);
	if (!m->partition)
		return us_fail(err, US_ECONFIG, "no partition-%.*s is configured",
			       SPAN_ARG(m->row.local_partition));
	return partition_open_mailbox(m->partition, &m->row.storeid, &m->dir, err);
}

static int open_files(struct mailbox *m, struct us_err *err)
{
	int rc = open_directory(m, err);

	if (rc == 0)
		rc = open_view_recovering(m, err);
	if (rc < 0) {
		close_lock(m);
		io_close(&m->dir);
	}
	return rc;
}

/* Files that are missing may have gone with the row, or another row with another directory may be there now. If neither,
 * mail is missing: a file system that is not mounted, say. That must not look like a name that does not exist, or
 * what is delivered to it is sent back. */
static int open_row_and_files(struct mailbox *m, struct us_err *err)
{
	int rc = read_row(m, err);

	for (int i = 0; rc == 0 && i < MOST_TRIES; i++) {
		struct storeid was = m->row.storeid;
		rc = open_files(m, err);
		if (rc != US_ENOENT)
			return rc;
		rc = read_row(m, err);
		if (rc == 0 && storeid_cmp(&m->row.storeid, &was) == 0)
			return us_fail(err, US_ECORRUPT,
				       "the mailbox's directory or index is missing");
	}
	return rc;
}

int mailbox_open(struct store *store, struct span name, struct mailbox **out, struct us_err *err)
{
	struct mailbox *m = us_calloc(1, sizeof(*m));
	int rc;

	m->store = store;
	m->lock_wait_ms = store_config(store)->lock_wait_ms;
	m->dir = m->lock = m->namespace_lock = m->cache = -1;
	m->view.journal.fd = -1;
	buf_init(&m->name, 0);
	buf_add_span(&m->name, name);
	rc = open_row_and_files(m, err);
	if (rc < 0 && rc != US_ENOENT)
		us_err_prefix(err, "%.*s", SPAN_ARG(name));
	if (rc < 0)
		mailbox_close(&m);
	else
		*out = m;
	return rc;
}

void mailbox_close(struct mailbox **mailbox)
{
	struct mailbox *m = *mailbox;

	if (!m)
		return;
	mailbox_unlock(m);
	view_close(&m->view);
	cache_unmap(m);
	io_close(&m->cache);
	close_lock(m);
	io_close(&m->dir);
	pool_free(&m->row_pool);
	buf_free(&m->name);
	free(m);
	*mailbox = NULL;
}

/* ---- the writer's lock -------------------------------------------------------------------------- */

/* Both locks are had: is it still the mailbox of that name, and what did a dead holder leave? */
static int settle(struct mailbox *m, struct us_err *err)
{
	int rc = mailbox_refresh_row(m, err);

	if (rc == 0 && partition_is_poisoned(m->partition))
		rc = us_fail(err, US_EIO, "partition %s is poisoned after a failed sync",
			     m->partition->name);
	if (rc == 0)
		rc = mailbox_refresh(m, err);
	if (rc >= 0)
		rc = mailbox_repair(m, err);
	return rc;
}

int mailbox_lock_in_namespace(struct mailbox *m, struct us_err *err)
{
	int rc;

	us_assert(!m->locked);
	rc = mailbox_open_lock(m, err);
	if (rc == 0)
		rc = lock_take_queued(m->lock, LOCK_EXCLUSIVE, m->lock_wait_ms, m->queue, err);
	if (rc < 0) {
		us_err_prefix(err, "%s", m->name.data);
		return rc;
	}
	m->locked = true;
	m->shares_namespace = true;
	rc = settle(m, err);
	if (rc < 0)
		mailbox_unlock(m);
	return rc;
}

/* A rename may give the mailbox another owner between reading its name and locking that owner's namespace:
 * then start over with the new name. */
int mailbox_lock(struct mailbox *m, struct us_err *err)
{
	struct buf locked_name = BUF_INIT;
	int rc = US_EBUSY, lock = -1;

	for (int i = 0; i < MOST_TRIES; i++) {
		buf_clear(&locked_name);
		buf_add_span(&locked_name, buf_span(&m->name));
		rc = store_lock_namespace(m->store, buf_span(&m->name), STORE_SHARED, &lock, err);
		if (rc < 0)
			break;
		rc = mailbox_lock_in_namespace(m, err);
		if (rc < 0 || span_eq(buf_span(&locked_name), buf_span(&m->name)))
			break;
		mailbox_unlock(m);
		store_unlock_namespace(&lock);
		rc = us_fail(err, US_EBUSY, "%s is renamed again and again", m->name.data);
	}
	buf_free(&locked_name);
	if (rc < 0) {
		store_unlock_namespace(&lock);
		return rc;
	}
	m->namespace_lock = lock;
	m->shares_namespace = false;
	return 0;
}

void mailbox_unlock(struct mailbox *m)
{
	if (!m->locked)
		return;
	lock_drop_queued(m->lock, m->queue);
	if (!m->shares_namespace)
		store_unlock_namespace(&m->namespace_lock);
	m->locked = m->shares_namespace = false;
}

/* ---- facts ------------------------------------------------------------------------------------- */

uint64_t mailbox_highestmodseq(const struct mailbox *m)
{
	uint64_t records = m->view.counters.highestmodseq;

	return records > m->row.lastmodseq ? records : m->row.lastmodseq;
}

int mailbox_open_message(struct mailbox *m, uint32_t uid, int *out, struct us_err *err)
{
	char name[16];

	message_file_name(uid, name);
	return io_open(NULL, m->dir, name, O_RDONLY, 0, out, err);
}

int mailbox_bell_path(const char *root, const struct storeid *id, char *path, size_t size)
{
	struct buf below = BUF_INIT;
	int len;

	partition_mailbox_path(id, &below);
	len = snprintf(path, size, "%s/%s/" LOCK_FILE, root, below.data);
	buf_free(&below);
	return len < (int)size ? 0 : US_ELIMIT;
}

int mailbox_bell(struct mailbox *m, char *path, size_t size)
{
	int rc = mailbox_open_lock(m, NULL); /* nobody may have locked it yet */

	return rc < 0 ? rc : mailbox_bell_path(m->partition->path, &m->row.storeid, path, size);
}

static int peek_index(int dir, const struct mailbox_row *row, struct index_header *out,
		      struct us_err *err)
{
	int fd = -1, rc = io_open(NULL, dir, INDEX_FILE, O_RDONLY, 0, &fd, err);

	if (rc == 0)
		rc = io_pread(fd, out, sizeof(*out), 0, err);
	if (rc == 0 && (out->crc != us_crc32c(0, out, offsetof(struct index_header, crc)) ||
			storeid_cmp(&out->storeid, &row->storeid) != 0))
		rc = us_fail(err, US_ECORRUPT, INDEX_FILE ": not this mailbox's, or damaged");
	io_close(&fd);
	return rc;
}

static int peek_end(int fd, const struct mailbox_row *row, uint32_t generation, uint64_t boot_tag,
		    uint64_t epoch, uint64_t *end, struct us_err *err)
{
	struct journal_header head;
	int rc = io_pread(fd, &head, 128, 0, err);

	if (rc < 0)
		return rc;
	rc = journal_check_header(&head, generation, &row->storeid, err);
	if (rc < 0)
		return rc;
	if (head.boot_tag != boot_tag || head.epoch != epoch)
		return us_fail(err, US_ECHANGED, "the journal is not recovered yet");
	*end = head.publish_end;
	return 0;
}

static int peek_op(int fd, const struct mailbox_row *row, uint64_t end, struct counters *out,
		   struct us_err *err)
{
	struct op_counters op;
	int rc;

	if (end < JOURNAL_PAGE + sizeof(op))
		return us_fail(err, US_ECORRUPT, "the journal ends before its counters");
	rc = io_pread(fd, &op, sizeof(op), end - sizeof(op), err);
	if (rc < 0)
		return rc;
	if (op.op.kind != OP_COUNTERS || op.op.length != sizeof(op) ||
	    op.counters.uidvalidity != row->uidvalidity)
		return us_fail(err, US_ECORRUPT, "the journal does not end in counters");
	*out = op.counters;
	return 0;
}

/* The newest COUNTERS op ends where publish_end points; an empty journal's are in the index. */
static int peek_journal(int dir, const struct mailbox_row *row, const struct index_header *index,
			uint64_t boot_tag, uint64_t epoch, struct counters *out, struct us_err *err)
{
	uint64_t end = JOURNAL_PAGE;
	char name[32];
	int fd = -1, rc;

	journal_name(index->generation, name);
	rc = io_open(NULL, dir, name, O_RDONLY, 0, &fd, err);
	if (rc == 0)
		rc = peek_end(fd, row, index->generation, boot_tag, epoch, &end, err);
	if (rc == 0 && end != JOURNAL_PAGE)
		rc = peek_op(fd, row, end, out, err);
	else if (rc == 0)
		*out = index->counters;
	io_close(&fd);
	return rc;
}

static int peek_directory(int dir, const struct mailbox_row *row, uint64_t boot_tag, uint64_t epoch,
			  struct counters *out, struct us_err *err)
{
	struct index_header *index = us_malloc(sizeof(*index));
	int rc = peek_index(dir, row, index, err);

	if (rc == 0)
		rc = peek_journal(dir, row, index, boot_tag, epoch, out, err);
	free(index);
	return rc;
}

/* Not recovered, compacted between two reads, not there, or not what it should be: the long way, which settles it or knows why. */
static int peek_slowly(struct store *store, const struct mailbox_row *row, struct counters *out,
		       struct us_err *err)
{
	struct mailbox *m = NULL;
	struct buf name = BUF_INIT;
	int rc = mailbox_name_of_uniqueid(store, row->uniqueid, &name, err);

	if (rc == 0)
		rc = no_such_mailbox(err);
	if (rc > 0)
		rc = mailbox_open(store, buf_span(&name), &m, err);
	if (m)
		*out = m->view.counters;
	mailbox_close(&m);
	buf_free(&name);
	return rc;
}

int mailbox_peek(struct store *store, const struct mailbox_row *row, struct counters *out,
		 struct us_err *err)
{
	struct partition *p = store_partition(store, row->local_partition);
	int dir = -1, rc;

	if (!mailbox_row_is_real(row))
		return no_such_mailbox(err);
	rc = p ? partition_open_mailbox(p, &row->storeid, &dir, err) : US_ENOENT;
	if (rc == 0)
		rc = peek_directory(dir, row, store_boot_tag(store), partition_epoch(p), out, err);
	io_close(&dir);
	if (rc < 0)
		rc = peek_slowly(store, row, out, err);
	return rc;
}

int mailbox_last_change(struct store *store, const struct mailbox_row *row, int64_t *out,
			struct us_err *err)
{
	struct partition *p = store_partition(store, row->local_partition);
	struct stat st;
	int dir = -1, rc;

	if (!p || !mailbox_row_is_real(row))
		return no_such_mailbox(err);
	rc = partition_open_mailbox(p, &row->storeid, &dir, err);
	if (rc < 0)
		return rc;
	/* The bell: each publication writes it. */
	*out = fstatat(dir, LOCK_FILE, &st, 0) == 0 && st.st_mtime > row->mtime ? st.st_mtime
										: row->mtime;
	io_close(&dir);
	return 0;
}
