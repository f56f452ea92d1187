/* folder_move.c - renaming and removing mailboxes; see folder.h.
 *
 * A rename moves no file unless the partition changes: names are rows. With another partition the messages are
 * copied into a directory with a new store id, made durable, and the row is switched; the old directory goes to the
 * trash afterwards. A crash before or behind the switch leaves a directory nobody claims: folder_collect_lost() finds it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/base/io.h"
#include "server/base/log.h"
#include "server/base/mem.h"
#include "server/store/annotations.h"
#include "server/store/commit.h"
#include "server/store/compact.h"
#include "server/store/folder_private.h"
#include "server/store/mailbox_private.h"
#include "server/store/mboxname.h"
#include "server/store/meta/meta.h"
#include "server/store/partition.h"

/* ---- another partition --------------------------------------------------------------------------- */

static int copy_message(int from_dir, int to_dir, const char *name, struct us_err *err)
{
	char chunk[65536];
	int from = -1, to = -1, rc;
	ssize_t n;

	rc = io_open(NULL, from_dir, name, O_RDONLY, 0, &from, err);
	if (rc == 0)
		rc = io_open(FP("store.move.create"), to_dir, name, O_WRONLY | O_CREAT | O_TRUNC,
			     0600, &to, err);
	while (rc == 0 && (n = read(from, chunk, sizeof(chunk))) != 0)
		rc = n < 0 ? us_fail_errno(err, "read %s", name)
			   : io_write(FP("store.move.write"), to, chunk, (size_t)n, err);
	if (rc == 0)
		rc = io_copy_time(from, to, err);
	io_close(&from);
	io_close(&to);
	return rc;
}

struct copying {
	struct mailbox *m;
	int to_dir;
	struct us_err *err;
};

static int copy_if_message(void *ctx, const struct dirent *entry)
{
	const struct copying *c = ctx;
	uint64_t uid;

	return message_file_uid(entry->d_name, &uid)
		       ? copy_message(c->m->dir, c->to_dir, entry->d_name, c->err)
		       : 0;
}

/* The file of a record is in both places, or in none: then it was lost before, which is no reason to stay here. */
static int check_copy(const struct copying *c, uint32_t uid)
{
	char name[16];
	struct stat from, to;

	message_file_name(uid, name);
	if (fstatat(c->m->dir, name, &from, 0) < 0) {
		if (errno != ENOENT)
			return us_fail_errno(c->err, "stat %s", name);
		log_event(LOG_ERR, "store.move.missing",
			  LF_TEXT("IOERROR: the file of a message is missing"),
			  LF_STR("mailbox", c->m->name.data), LF_NUM("uid", uid));
		return 0;
	}
	if (fstatat(c->to_dir, name, &to, 0) < 0)
		return us_fail_errno(c->err, "stat the copy of %s", name);
	return from.st_size == to.st_size
		       ? 0
		       : us_fail(c->err, US_ECORRUPT, "%s was not copied whole", name);
}

/* All message files, those without a record too: reconstruct knows what to make of them. The original goes to the trash, so
 * what the directory showed is held against the records. */
static int copy_messages(struct mailbox *m, int to_dir, struct us_err *err)
{
	struct copying c = {m, to_dir, err};
	struct view_walk walk = view_walk(&m->view, 1);
	const struct record *r;
	int rc = mailbox_remove_left(m, err); /* as new files they would come back */

	if (rc == 0)
		rc = io_each_name(FP("store.move.list"), m->dir, ".", copy_if_message, &c, err);
	while (rc == 0 && (r = view_next(&m->view, &walk)))
		if (!(r->internal_flags & RECORD_UNLINKED))
			rc = check_copy(&c, r->uid);
	return rc;
}

struct walker {
	struct view *view;
	struct view_walk walk;
	struct record record;
};

/* Caches stay behind: what they hold is made again when asked for. */
static const struct record *next_uncached(void *ctx)
{
	struct walker *w = ctx;
	const struct record *r = view_next(w->view, &w->walk);

	if (!r)
		return NULL;
	w->record = *r;
	w->record.cache_version = w->record.cache_length = w->record.cache_crc = 0;
	w->record.cache_offset = 0;
	return &w->record;
}

/* Make the mailbox again on `to`, under the store id *id. */
static int copy_mailbox(struct mailbox *m, struct partition *to, const struct storeid *id,
			struct us_err *err)
{
	struct view *v = &m->view;
	struct walker walker = {.view = v, .walk = view_walk(v, 1)};
	struct generation g = {.storeid = *id,
			       .uniqueid = m->row.uniqueid,
			       .number = 1,
			       .cache_number = 1,
			       .serial = v->at.serial,
			       .counters = v->counters,
			       .names = &v->names,
			       .annots = &v->annots,
			       .n_records = v->counters.records,
			       .records = {next_uncached, &walker}};
	int dir = -1, rc;

	if (!view_is_sound(v))
		return us_fail(err, US_ECORRUPT, "a record's checksum is wrong");
	rc = partition_make_mailbox(to, id, &dir, err);
	if (rc == 0)
		rc = copy_messages(m, dir, err);
	if (rc == 0)
		rc = generation_write(dir, &g, store_boot_tag(m->store), to, err);
	if (rc == 0)
		rc = partition_synced(to, io_syncfs(FP("store.move.sync"), dir, err), err);
	io_close(&dir);
	return rc;
}

/* The mailbox's annotations are keyed by store id: give them to the new one. */
static int rekey_annotations(struct mailbox *m, const struct storeid *id, struct meta_batch *batch,
			     struct us_err *err)
{
	struct pool *pool = pool_new();
	const struct state_annotation *all;
	size_t n;
	int rc = annotations_list(m->store, &m->row.storeid, pool, &all, &n, err);

	if (rc == 0) {
		annotations_replace(batch, &m->row.storeid, all, n, NULL, 0);
		annotations_replace(batch, id, NULL, 0, all, n);
	}
	pool_free(&pool);
	return rc;
}

/* ---- rename ------------------------------------------------------------------------------------ */

struct move {
	struct store *store;
	struct mailbox *m; /* locked */
	struct span to;
	struct mailbox_row row;
	struct partition *partition; /* where it goes; the old one if it stays */
	uint64_t to_version;         /* of an intermediate entry there */
	struct buf to_uniqueid;      /* its; empty: it had none */
	bool replicated;             /* modseqs are the peer's business */
	bool asked;                  /* metad was */
};

static bool changes_partition(const struct move *v)
{
	return v->partition != v->m->partition;
}

static int check_target(struct move *v, struct us_err *err)
{
	struct pool *pool = pool_new();
	struct mailbox_row old = {0};
	int rc;

	if (span_eq(v->to, buf_span(&v->m->name))) {
		v->to_version = v->m->row_version;
		pool_free(&pool);
		return 0;
	}
	rc = mboxname_check_storable(v->to, err);
	if (rc == 0)
		rc = mailbox_row_get(v->store, v->to, pool, &old, &v->to_version, NULL, err);
	if (rc > 0 && !mboxtype_has(old.type, MBOXTYPE_INTERMEDIATE))
		rc = us_fail(err, US_EEXIST, "Mailbox already exists");
	if (rc > 0)
		buf_add_span(&v->to_uniqueid, old.uniqueid);
	pool_free(&pool);
	return rc < 0 ? rc : 0;
}

static int fill_batch(struct move *v, struct meta_batch *batch, struct us_err *err)
{
	struct span from = buf_span(&v->m->name);
	int rc = 0;

	folder_expect(batch, from, v->m->row_version);
	if (!span_eq(from, v->to)) {
		folder_expect(batch, v->to, v->to_version);
		folder_del_row(batch, from);
		if (v->to_uniqueid.len)
			meta_batch_del(batch, META_BY_UNIQUEID, buf_span(&v->to_uniqueid));
		mailbox_row_add_former(&v->row, from);
		rc = folder_raise_marks(v->store, batch, from, v->row.uidvalidity,
					v->row.lastmodseq, err);
	}
	folder_put_row(batch, v->to, &v->row);
	/* The journal goes on, or its serials do: META ops that were applied under the old name stay applied. */
	folder_put_serial(batch, v->to, v->m->row_serial);
	if (rc == 0 && changes_partition(v))
		rc = rekey_annotations(v->m, &v->row.storeid, batch, err);
	return rc;
}

static int commit_move(struct move *v, struct us_err *err)
{
	struct span from = buf_span(&v->m->name);
	struct store_change changes[] = {{CHANGE_RENAME, from, v->to},
					 {CHANGE_MAILBOX, from, SPAN_NULL},
					 {CHANGE_MAILBOX, v->to, SPAN_NULL}};
	struct meta_batch batch;
	int rc;

	meta_batch_init(&batch);
	rc = fill_batch(v, &batch, err);
	if (rc == 0)
		rc = store_announce(v->store, changes, ARRAY_SIZE(changes), err);
	v->asked = rc == 0;
	if (rc == 0)
		rc = meta_commit(store_meta(v->store), &batch, META_DURABLE, err);
	meta_batch_fini(&batch);
	return rc;
}

static void write_new_hdr(struct move *v)
{
	int dir = -1;

	if (partition_open_mailbox(v->partition, &v->row.storeid, &dir, NULL) < 0)
		return;
	folder_write_hdr(v->store, dir, v->to, &v->m->view.names, &v->m->view.counters);
	io_close(&dir);
}

static int do_move(struct move *v, struct span partition, uint32_t uidvalidity, struct us_err *err)
{
	struct storeid old = v->m->row.storeid;
	int rc = 0;

	v->row = v->m->row;
	v->partition = v->m->partition;
	if (!v->replicated)
		v->row.foldermodseq = v->row.lastmodseq = folder_next_modseq(v->m);
	v->row.mtime = store_now();
	if (uidvalidity)
		v->row.uidvalidity = uidvalidity;
	if (partition.len) {
		v->row.partition = partition;
		v->partition = folder_local_partition(v->store, partition);
		v->row.local_partition = span_of(v->partition->name);
	}
	if (changes_partition(v)) {
		v->row.storeid = storeid_new();
		rc = copy_mailbox(v->m, v->partition, &v->row.storeid, err);
	}
	if (rc == 0)
		rc = commit_move(v, err);
	if (rc < 0 && changes_partition(v) && !(v->asked && folder_may_be_done(rc)))
		(void)partition_trash_mailbox(v->partition, &v->row.storeid, store_now(), NULL);
	if (rc < 0)
		return rc;
	write_new_hdr(v);
	if (changes_partition(v))
		(void)partition_trash_mailbox(v->m->partition, &old, store_now(),
					      NULL); /* else lost, see folder_collect_lost() */
	return 0;
}

static int rename_locked(struct store *store, struct span from, struct span to,
			 struct span partition, uint32_t uidvalidity, bool replicated,
			 struct us_err *err)
{
	struct move v = {.store = store,
			 .to = to,
			 .to_uniqueid = BUF_INIT,
			 .replicated = replicated};
	int rc = mailbox_open(store, from, &v.m, err);

	if (rc == 0)
		rc = mailbox_lock_in_namespace(v.m, err);
	if (rc == 0)
		rc = check_target(&v, err);
	/* A peer's RENAME may carry the uidvalidity. The records' counters hold it as well as the row: both change at once. */
	if (rc == 0 && uidvalidity && uidvalidity != v.m->view.counters.uidvalidity)
		rc = folder_take_values(v.m, uidvalidity, /* raclmodseq */ 0, /* foldermodseq */ 0,
					err);
	if (rc == 0)
		rc = do_move(&v, partition, uidvalidity, err);
	buf_free(&v.to_uniqueid);
	mailbox_close(&v.m);
	return rc;
}

int folder_take_values(struct mailbox *m, uint32_t uidvalidity, uint64_t raclmodseq,
		       uint64_t foldermodseq, struct us_err *err)
{
	struct mailbox_row row = m->row;
	struct meta_batch batch;
	struct commit *c;
	int rc;

	row.uidvalidity = uidvalidity ? uidvalidity : row.uidvalidity;
	row.raclmodseq = raclmodseq ? raclmodseq : row.raclmodseq;
	row.foldermodseq = foldermodseq ? foldermodseq : row.foldermodseq;
	meta_batch_init(&batch);
	folder_put_row(&batch, buf_span(&m->name), &row);
	rc = commit_begin(m, &c, err);
	if (rc == 0) {
		struct counters *n = commit_counters(c);
		n->uidvalidity = row.uidvalidity;
		n->raclmodseq = row.raclmodseq;
		commit_meta(c, &batch, /* lazy */ false);
		rc = commit_finish(&c, err);
	}
	meta_batch_fini(&batch);
	if (rc == 0)
		rc = mailbox_refresh_row(m, err);
	if (rc == 0)
		folder_copy_row(m);
	return rc;
}

static int rename_under_locks(struct store *store, struct span from, struct span to,
			      struct span partition, uint32_t uidvalidity, bool replicated,
			      struct us_err *err)
{
	int lock[2], rc = store_lock_namespaces(store, from, to, STORE_EXCLUSIVE, lock, err);

	if (rc < 0)
		return rc;
	rc = rename_locked(store, from, to, partition, uidvalidity, replicated, err);
	store_unlock_namespace(&lock[1]);
	store_unlock_namespace(&lock[0]);
	return rc;
}

int folder_rename(struct store *store, struct span from, struct span to, struct span partition,
		  uint32_t uidvalidity, struct us_err *err)
{
	return rename_under_locks(store, from, to, partition, uidvalidity, false, err);
}

int folder_rename_replicated(struct store *store, struct span from, struct span to,
			     struct span partition, uint32_t uidvalidity, struct us_err *err)
{
	return rename_under_locks(store, from, to, partition, uidvalidity, true, err);
}

/* ---- delete ------------------------------------------------------------------------------------ */

static void add_tombstone(struct meta_batch *batch, struct span uniqueid,
			  const struct tombstone_row *row)
{
	struct buf key = BUF_INIT, by_name = BUF_INIT, payload = BUF_INIT;

	tombstone_key('M', uniqueid, &key);
	tombstone_name_key(row->name, uniqueid, &by_name);
	tombstone_row_encode(row, &payload);
	meta_batch_put(batch, META_TOMBSTONES, buf_span(&key), buf_span(&payload));
	meta_batch_put(batch, META_TOMBSTONES, buf_span(&by_name), SPAN_LIT(""));
	buf_free(&key);
	buf_free(&by_name);
	buf_free(&payload);
}

static int drop_annotations(struct store *store, const struct storeid *id, struct meta_batch *batch,
			    struct us_err *err)
{
	struct pool *pool = pool_new();
	const struct state_annotation *all;
	size_t n;
	int rc = annotations_list(store, id, pool, &all, &n, err);

	if (rc == 0)
		annotations_replace(batch, id, all, n, NULL, 0);
	pool_free(&pool);
	return rc;
}

static void put_tombstone(struct meta_batch *batch, struct span name, const struct mailbox_row *row)
{
	struct tombstone_row t = {.name = name,
				  .n_former = row->n_former,
				  .uidvalidity = row->uidvalidity,
				  .modseq = row->lastmodseq,
				  .time = store_now()};

	memcpy(t.former, row->former, sizeof(t.former));
	add_tombstone(batch, row->uniqueid, &t);
}

/* `row` is the row of `name` at `version`; `modseq` the mailbox's highest. */
static int commit_delete(struct store *store, struct span name, struct mailbox_row row,
			 uint64_t version, uint64_t modseq, struct us_err *err)
{
	struct store_change change = {CHANGE_UNMAILBOX, name, SPAN_NULL};
	struct meta_batch batch;
	int rc = 0;

	row.lastmodseq = modseq + 1;
	meta_batch_init(&batch);
	folder_expect(&batch, name, version);
	folder_del_row(&batch, name);
	if (row.uniqueid.len) {
		meta_batch_del(&batch, META_BY_UNIQUEID, row.uniqueid);
		put_tombstone(&batch, name, &row);
	}
	if (row.has_storeid)
		rc = drop_annotations(store, &row.storeid, &batch, err);
	if (rc == 0)
		rc = folder_raise_marks(store, &batch, name, row.uidvalidity, row.lastmodseq, err);
	if (rc == 0)
		rc = store_announce(store, &change, 1, err);
	if (rc == 0)
		rc = meta_commit(store_meta(store), &batch, META_DURABLE, err);
	meta_batch_fini(&batch);
	return rc;
}

/* Where a removed mailbox lies; nothing does if p is NULL. */
struct trashed {
	struct partition *p;
	char path[80]; /* below it */
};

static void trash_kept(const struct partition *p, const struct us_err *err)
{
	log_event(LOG_WARNING, "store.trash.kept", LF_STR("partition", p->name), LF_ERR(err));
}

/* After the name is gone. What cannot be moved now is found later (folder_collect_lost()). */
static void move_to_trash(struct partition *p, const struct storeid *id, struct trashed *out)
{
	int64_t now = store_now();
	char hex[STOREID_HEX];
	struct us_err err;

	if (partition_trash_mailbox(p, id, now, &err) < 0) {
		trash_kept(p, &err);
		return;
	}
	storeid_format(id, hex);
	snprintf(out->path, sizeof(out->path), "trash/%s.%llx", hex, (unsigned long long)now);
	out->p = p;
}

/* What cannot be removed now is swept later. */
static void empty_trash(const struct trashed *t)
{
	struct us_err err;

	if (t->p && partition_remove_tree(t->p->dir, t->path, &err) < 0)
		trash_kept(t->p, &err);
}

/* By its row alone: an intermediate entry, or a mailbox that cannot be opened. Nobody works in it, for we hold the namespace. */
static int delete_entry(struct store *store, struct span name, struct trashed *t,
			struct us_err *err)
{
	struct pool *pool = pool_new();
	struct mailbox_row row;
	struct partition *p;
	uint64_t version;
	int rc = mailbox_row_get(store, name, pool, &row, &version, NULL, err);

	if (rc == 0)
		rc = us_fail(err, US_ENOENT, "Mailbox does not exist");
	if (rc > 0)
		rc = commit_delete(store, name, row, version,
				   row.lastmodseq > row.foldermodseq ? row.lastmodseq
								     : row.foldermodseq,
				   err);
	if (rc == 0 && row.has_storeid && (p = store_partition(store, row.local_partition)))
		move_to_trash(p, &row.storeid, t);
	pool_free(&pool);
	return rc;
}

static int delete_name(struct store *store, struct span name, struct trashed *t, struct us_err *err)
{
	struct mailbox *m;
	int rc = mailbox_open(store, name, &m, err);

	if (rc == US_ENOENT || rc == US_ECORRUPT)
		return delete_entry(store, name, t, err);
	if (rc < 0)
		return rc;
	rc = mailbox_lock_in_namespace(m, err);
	if (rc == 0)
		rc = commit_delete(store, name, m->row, m->row_version, mailbox_highestmodseq(m),
				   err);
	if (rc == 0)
		move_to_trash(m->partition, &m->row.storeid, t);
	mailbox_close(&m);
	return rc;
}

int folder_delete_locked(struct store *store, struct span name, enum folder_delete_mode mode,
			 struct us_err *err)
{
	struct trashed t = {.p = NULL};
	int rc = delete_name(store, name, &t, err);

	if (rc == 0 && mode == FOLDER_DELETE_NOW)
		empty_trash(&t);
	return rc;
}

int folder_delete(struct store *store, struct span name, enum folder_delete_mode mode,
		  struct us_err *err)
{
	struct trashed t = {.p = NULL};
	int lock, rc = store_lock_namespace(store, name, STORE_EXCLUSIVE, &lock, err);

	if (rc < 0)
		return rc;
	rc = delete_name(store, name, &t, err);
	store_unlock_namespace(&lock);
	if (rc == 0 && mode == FOLDER_DELETE_NOW)
		empty_trash(
			&t); /* a hundred thousand files take their time: nobody waits for that */
	return rc;
}

/* Two deletes of one name in a second: the later one pretends to be a second later still. */
int folder_delete_delayed(struct store *store, struct span name, struct buf *deleted,
			  struct us_err *err)
{
	struct buf to = BUF_INIT;
	int64_t time = store_now();
	int rc;

	do {
		buf_clear(&to);
		mboxname_deleted(name, store_config(store)->deletedprefix, time++, &to);
		rc = folder_rename(store, name, buf_span(&to), SPAN_NULL, 0, err);
	} while (rc == US_EEXIST && time < store_now() + 60);
	if (rc == 0 && deleted)
		buf_add_span(deleted, buf_span(&to));
	buf_free(&to);
	return rc;
}

/* ---- tombstones -------------------------------------------------------------------------------- */

int folder_tombstone(struct store *store, struct span uniqueid, struct pool *pool,
		     struct tombstone_row *out, struct us_err *err)
{
	struct buf key = BUF_INIT, payload = BUF_INIT;
	struct meta_stamp stamp;
	int rc;

	tombstone_key('M', uniqueid, &key);
	rc = meta_get(store_meta(store), META_TOMBSTONES, buf_span(&key), &payload, &stamp, err);
	if (rc > 0) {
		int bad = tombstone_row_decode(buf_span(&payload), pool, out, err);
		rc = bad < 0 ? bad : rc;
	}
	buf_free(&key);
	buf_free(&payload);
	return rc;
}

struct newest {
	struct store *store;
	struct pool *pool;
	struct span name;
	size_t prefix;
	struct span uniqueid;
	struct tombstone_row row;
	bool found;
	struct us_err *err;
};

static int look_at_tombstone(void *ctx, struct span key, struct span payload UNUSED,
			     const struct meta_stamp *stamp UNUSED)
{
	struct newest *n = ctx;
	struct span uniqueid = span_from(key, n->prefix);
	struct tombstone_row row;
	int rc = folder_tombstone(n->store, uniqueid, n->pool, &row, n->err);

	if (rc > 0 && span_eq(row.name, n->name) && (!n->found || row.time >= n->row.time)) {
		n->found = true;
		n->row = row;
		n->uniqueid = pool_span(n->pool, uniqueid);
	}
	return rc < 0 ? rc : 0;
}

int folder_tombstone_by_name(struct store *store, struct span name, struct pool *pool,
			     struct span *uniqueid, struct tombstone_row *out, struct us_err *err)
{
	struct newest n = {.store = store, .pool = pool, .name = name, .err = err};
	struct buf prefix = BUF_INIT;
	int rc;

	tombstone_name_key(name, SPAN_NULL, &prefix);
	n.prefix = prefix.len;
	rc = meta_range_prefix(store_meta(store), META_TOMBSTONES, buf_span(&prefix), 0,
			       look_at_tombstone, &n, err);
	buf_free(&prefix);
	if (rc < 0)
		return rc;
	if (n.found) {
		*uniqueid = n.uniqueid;
		*out = n.row;
	}
	return n.found;
}

struct tombstone_lister {
	struct store *store;
	int (*fn)(void *ctx, struct span uniqueid, const struct tombstone_row *row,
		  struct us_err *err);
	void *ctx;
	struct pool *pool;
	struct buf name;
	struct us_err *err;
};

/* Keys are 'N', name, NUL, uniqueid. */
static int list_tombstone(void *ctx, struct span key, struct span payload UNUSED,
			  const struct meta_stamp *stamp UNUSED)
{
	struct tombstone_lister *l = ctx;
	struct span name, uniqueid = span_from(key, 1);
	struct tombstone_row row;
	int rc;

	(void)span_split(&uniqueid, '\0', &name); /* a key has one */
	pool_clear(l->pool);
	buf_clear(&l->name);
	mboxname_from_key(name, &l->name);
	rc = folder_tombstone(l->store, uniqueid, l->pool, &row, l->err);
	if (rc > 0 && !span_eq(row.name, buf_span(&l->name)))
		return 0; /* it died again under another name, and is told of there */
	return rc > 0 ? l->fn(l->ctx, uniqueid, &row, l->err) : rc;
}

int folder_list_tombstones(struct store *store, struct span prefix,
			   int (*fn)(void *ctx, struct span uniqueid,
				     const struct tombstone_row *row, struct us_err *err),
			   void *ctx, struct us_err *err)
{
	struct tombstone_lister l = {store, fn, ctx, pool_new(), BUF_INIT, err};
	struct buf key = BUF_INIT;
	int rc;

	buf_add_char(&key, 'N');
	mboxname_to_key(prefix, &key);
	rc = meta_range_prefix(store_meta(store), META_TOMBSTONES, buf_span(&key), META_NO_PAYLOADS,
			       list_tombstone, &l, err);
	pool_free(&l.pool);
	buf_free(&l.name);
	buf_free(&key);
	return rc;
}

/* A mailbox that is there is not dead, and what is known of a death already is better than a copy of it. */
static int put_tombstone_locked(struct store *store, struct span uniqueid,
				const struct tombstone_row *row, struct us_err *err)
{
	struct store_change change = {CHANGE_UNMAILBOX, row->name, SPAN_NULL};
	struct pool *pool = pool_new();
	struct buf name = BUF_INIT;
	struct tombstone_row old;
	struct meta_batch batch;
	int rc = folder_tombstone(store, uniqueid, pool, &old, err);

	meta_batch_init(&batch);
	if (rc == 0)
		rc = mailbox_name_of_uniqueid(store, uniqueid, &name, err);
	if (rc == 0) {
		add_tombstone(&batch, uniqueid, row);
		rc = store_announce(store, &change, 1, err);
		if (rc == 0)
			rc = meta_commit(store_meta(store), &batch, META_DURABLE, err);
	}
	meta_batch_fini(&batch);
	buf_free(&name);
	pool_free(&pool);
	return rc < 0 ? rc : 0;
}

int folder_put_tombstone(struct store *store, struct span uniqueid, const struct tombstone_row *row,
			 struct us_err *err)
{
	int lock, rc = mboxname_check_storable(row->name, err);

	if (rc == 0)
		rc = store_lock_namespace(store, row->name, STORE_EXCLUSIVE, &lock, err);
	if (rc < 0)
		return rc;
	rc = put_tombstone_locked(store, uniqueid, row, err);
	store_unlock_namespace(&lock);
	return rc;
}
