/* rebuild.c - metad's mailbox rows from the mbox.hdr files; see reconstruct.h.
 *
 * For a metad that lost its tables, and for directories that somebody brought back from a backup, the trash or `lost`. A
 * directory that a row claims already, under whatever name, is left alone: its header may be older than a rename.
 */
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/base/io.h"
#include "server/base/log.h"
#include "server/base/mem.h"
#include "server/store/annotations.h"
#include "server/store/folder_private.h"
#include "server/store/hdr.h"
#include "server/store/mboxname.h"
#include "server/store/meta/meta.h"
#include "server/store/partition.h"
#include "server/store/reconstruct.h"

struct rebuild {
	struct store *store;
	const struct rebuild_options *options;
	struct pool *pool;
	struct hdr *items; /* what directories say */
	size_t n, cap;
	struct storeid *claimed; /* by rows; sorted */
	size_t n_claimed, cap_claimed;
	bool named;           /* the directory was given by its path */
	struct us_err unread; /* the first directory that could not be listed; code 0: all were */
};

static void tell(const struct rebuild *b, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
static void tell(const struct rebuild *b, const char *fmt, ...)
{
	struct buf line = BUF_INIT;
	va_list ap;

	va_start(ap, fmt);
	buf_vprintf(&line, fmt, ap);
	va_end(ap);
	log_event(LOG_NOTICE, "store.rebuild.found", LF_TEXT(line.data));
	if (b->options->tell)
		b->options->tell(b->options->ctx, line.data);
	buf_free(&line);
}

/* ---- what there is ------------------------------------------------------------------------------- */

static int compare_ids(const void *a, const void *b)
{
	return storeid_cmp(a, b);
}

static int note_claim(void *ctx, struct span name UNUSED, const struct mailbox_row *row,
		      struct us_err *err UNUSED)
{
	struct rebuild *b = ctx;

	if (!row->has_storeid)
		return 0;
	us_grow(&b->claimed, b->n_claimed, &b->cap_claimed, sizeof(b->claimed[0]));
	b->claimed[b->n_claimed++] = row->storeid;
	return 0;
}

static int read_claims(struct rebuild *b, struct us_err *err)
{
	int rc = folder_list(b->store, SPAN_NULL, note_claim, b, err);

	if (b->n_claimed)
		qsort(b->claimed, b->n_claimed, sizeof(b->claimed[0]), compare_ids);
	return rc;
}

static bool is_claimed(const struct rebuild *b, const struct storeid *id)
{
	return b->n_claimed &&
	       bsearch(id, b->claimed, b->n_claimed, sizeof(b->claimed[0]), compare_ids);
}

/* A directory under another id than the one its header has is no place of ours: its index and journal would not be
 * believed either. */
static int read_header(struct rebuild *b, struct partition *p, const struct storeid *id,
		       struct hdr *out, struct us_err *err)
{
	int dir = -1, rc = partition_open_mailbox(p, id, &dir, err);

	if (rc == 0)
		rc = hdr_read(dir, b->pool, out, err);
	if (rc == 0 && storeid_cmp(&out->row.storeid, id) != 0)
		rc = us_fail(err, US_ECORRUPT, "mbox.hdr is another directory's");
	if (rc == 0)
		out->row.local_partition = span_of(p->name); /* where it was found is where it is */
	io_close(&dir);
	return rc;
}

struct listing {
	struct rebuild *b;
	struct partition *p;
};

static int read_one(void *ctx, const struct dirent *entry)
{
	const struct listing *l = ctx;
	struct rebuild *b = l->b;
	struct storeid id;
	struct us_err err;
	struct hdr h;

	if (!storeid_parse(span_of(entry->d_name), &id) || is_claimed(b, &id))
		return 0;
	if (read_header(b, l->p, &id, &h, &err) == 0) {
		us_grow(&b->items, b->n, &b->cap, sizeof(b->items[0]));
		b->items[b->n++] = h;
	} else {
		struct buf path = BUF_INIT;
		partition_mailbox_path(&id, &path);
		tell(b, "%s/%s: %s", l->p->path, path.data, err.text);
		buf_free(&path);
	}
	return 0;
}

/* What cannot be listed does not keep the rest from being found, but is not taken for nothing. */
static void read_partition(struct rebuild *b, struct partition *p)
{
	struct listing l = {b, p};

	for (unsigned i = 0; i < 256; i++) {
		char path[8];
		struct us_err err;
		int rc;
		snprintf(path, sizeof(path), "u/%02x", i);
		rc = io_each_name(FP("store.rebuild.list"), p->dir, path, read_one, &l, &err);
		if (rc == 0 || rc == US_ENOENT)
			continue;
		us_err_prefix(&err, "%s", p->path);
		tell(b, "%s", err.text);
		if (b->unread.code == 0)
			b->unread = err;
	}
}

/* The newest claim first: to a name as to a uniqueid. */
static int compare_claims(const void *a, const void *b)
{
	const struct hdr *x = a, *y = b;

	return (y->row_version > x->row_version) - (y->row_version < x->row_version);
}

/* Versions go on from the highest that any copy knows, or the copies left from before would win the next time. */
static int raise_versions(struct store *store, uint64_t version, struct us_err *err)
{
	struct buf text = BUF_INIT;
	struct meta_batch batch;
	int rc;

	buf_add_u64(&text, version);
	meta_batch_init(&batch);
	meta_batch_put(&batch, META_COUNTERS, SPAN_LIT("version"), buf_span(&text));
	rc = meta_commit(store_meta(store), &batch, META_DURABLE, err);
	meta_batch_fini(&batch);
	buf_free(&text);
	return rc;
}

/* ---- one row --------------------------------------------------------------------------------------- */

struct making {
	struct rebuild *b;
	const struct hdr *h;
	struct mailbox_row row; /* the one to be made */
	uint64_t old_version;   /* of an intermediate entry in its place; 0: none */
	struct span old_uniqueid;
	char uniqueid[UUID_TEXT];
};

static void take_new_uniqueid(struct making *m)
{
	uniqueid_new(m->uniqueid);
	m->row.uniqueid = span_of(m->uniqueid);
}

static int fill_row(struct making *m, struct us_err *err)
{
	const struct rebuild_options *o = m->b->options;
	struct buf acl = BUF_INIT;
	int rc;

	m->row = m->h->row;
	m->row.mtime = store_now();
	if (!o->fresh)
		return 0;
	take_new_uniqueid(m);
	m->row.type = SPAN_LIT("e");
	m->row.partition = m->row.local_partition;
	m->row.n_former = 0;
	rc = o->acl_of(o->ctx, m->h->name, &acl, err);
	m->row.acl = pool_span(m->b->pool, buf_span(&acl));
	buf_free(&acl);
	return rc;
}

/* 1: the row may be made; 0: something else has the name, or the uniqueid, and that was told. */
static int check_place(struct making *m, struct us_err *err)
{
	struct rebuild *b = m->b;
	struct buf holder = BUF_INIT;
	struct tombstone_row dead;
	struct mailbox_row old;
	int rc = b->named ? 0 : folder_tombstone(b->store, m->h->row.uniqueid, b->pool, &dead, err);

	if (rc > 0)
		tell(b, "%.*s: was deleted; left out unless its directory is named",
		     SPAN_ARG(m->h->name));
	if (rc != 0)
		return rc < 0 ? rc : 0;
	rc = mailbox_row_get(b->store, m->h->name, b->pool, &old, &m->old_version, NULL, err);

	if (rc < 0)
		return rc;
	if (rc > 0 && !mboxtype_has(old.type, MBOXTYPE_INTERMEDIATE)) {
		tell(b,
		     "%.*s: two mailboxes claim the name; the one in row version %llu is left out",
		     SPAN_ARG(m->h->name), (unsigned long long)m->h->row_version);
		return 0;
	}
	if (rc > 0)
		m->old_uniqueid = old.uniqueid;
	rc = mailbox_name_of_uniqueid(b->store, m->row.uniqueid, &holder, err);
	if (rc > 0 && !span_eq(buf_span(&holder), m->h->name)) {
		tell(b, "%.*s: its uniqueid %.*s is that of %s", SPAN_ARG(m->h->name),
		     SPAN_ARG(m->row.uniqueid), holder.data);
		if (b->options->new_uniqueid)
			take_new_uniqueid(m);
		rc = b->options->new_uniqueid;
	} else if (rc >= 0) {
		rc = 1;
	}
	buf_free(&holder);
	return rc;
}

static void put_quota(struct meta_batch *batch, const struct hdr *h)
{
	struct buf key = BUF_INIT, payload = BUF_INIT, tombstone = BUF_INIT;

	mboxname_to_key(h->name, &key);
	quota_row_encode(&h->quota, &payload);
	tombstone_key('Q', h->name, &tombstone);
	meta_batch_put(batch, META_QUOTA, buf_span(&key), buf_span(&payload));
	meta_batch_del(batch, META_TOMBSTONES, buf_span(&tombstone));
	buf_free(&key);
	buf_free(&payload);
	buf_free(&tombstone);
}

static int fill_batch(const struct making *m, struct meta_batch *batch, struct us_err *err)
{
	const struct hdr *h = m->h;
	struct mailbox_row row = m->row;
	int rc;

	folder_expect(batch, h->name, m->old_version);
	if (m->old_uniqueid.len)
		meta_batch_del(batch, META_BY_UNIQUEID, m->old_uniqueid);
	folder_del_row(batch, h->name); /* so that its serial is the one given below */
	folder_put_row(batch, h->name, &row);
	folder_put_serial(batch, h->name, h->row_serial);
	if (!m->b->options->fresh)
		annotations_replace(batch, &h->row.storeid, NULL, 0, h->annotations,
				    h->n_annotations);
	if (h->has_quota && !m->b->options->fresh)
		put_quota(batch, h);
	rc = folder_forget_tombstone(m->b->store, batch, row.uniqueid, err);
	return rc < 0 ? rc
		      : folder_raise_marks(m->b->store, batch, h->name, row.uidvalidity,
					   row.lastmodseq > h->highestmodseq ? row.lastmodseq
									     : h->highestmodseq,
					   err);
}

static int commit_row(const struct making *m, struct us_err *err)
{
	struct store_change changes[2] = {{CHANGE_MAILBOX, m->h->name, SPAN_NULL},
					  {CHANGE_QUOTA, m->h->name, SPAN_NULL}};
	struct meta_batch batch;
	int rc;

	meta_batch_init(&batch);
	rc = fill_batch(m, &batch, err);
	if (rc == 0)
		rc = store_announce(m->b->store, changes,
				    m->h->has_quota && !m->b->options->fresh ? 2 : 1, err);
	if (rc == 0)
		rc = meta_commit(store_meta(m->b->store), &batch, META_DURABLE, err);
	meta_batch_fini(&batch);
	return rc;
}

/* The header is to say what the row says now; if the mailbox cannot be opened, reconstruct_mailbox() sees to it. */
static void renew_header(struct store *store, struct span name)
{
	struct mailbox *m = NULL;

	if (mailbox_open(store, name, &m, NULL) == 0)
		folder_copy_row(m);
	mailbox_close(&m);
}

/* 1: the row was made, or would be; 0: it was not, and told why. */
static int make_row(struct rebuild *b, const struct hdr *h, struct us_err *err)
{
	struct making m = {.b = b, .h = h};
	int lock, rc = store_lock_namespace(b->store, h->name, STORE_EXCLUSIVE, &lock, err);

	if (rc < 0)
		return rc;
	rc = fill_row(&m, err);
	if (rc == 0)
		rc = check_place(&m, err);
	if (rc > 0 && !b->options->dry_run) {
		rc = commit_row(&m, err);
		if (rc == 0)
			renew_header(b->store, h->name);
		rc = rc < 0 ? rc : 1;
	}
	if (rc > 0 && b->options->made)
		b->options->made(b->options->ctx, h->name, m.row.uniqueid);
	store_unlock_namespace(&lock);
	return rc;
}

/* ---- all of them, or one ----------------------------------------------------------------------------- */

static void free_rebuild(struct rebuild *b)
{
	free(b->items);
	free(b->claimed);
	pool_free(&b->pool);
}

static bool is_wanted(const struct rebuild *b, const struct hdr *h)
{
	return !b->options->wanted || b->options->wanted(b->options->ctx, h->name);
}

int rebuild_rows(struct store *store, const struct rebuild_options *options, unsigned *n_out,
		 struct us_err *err)
{
	struct rebuild b = {.store = store, .options = options, .pool = pool_new()};
	struct partition *p;
	unsigned n = 0;
	int rc = read_claims(&b, err);

	for (size_t i = 0; rc == 0 && (p = store_partition_at(store, i)); i++)
		if (!options->partition.len || span_is(options->partition, p->name))
			read_partition(&b, p);
	if (b.n) {
		qsort(b.items, b.n, sizeof(b.items[0]), compare_claims);
		rc = options->dry_run ? 0 : raise_versions(store, b.items[0].row_version, err);
	}
	for (size_t i = 0; rc >= 0 && i < b.n; i++) {
		if (!is_wanted(&b, &b.items[i]))
			continue;
		rc = make_row(&b, &b.items[i], err);
		n += rc > 0;
	}
	free_rebuild(&b);
	if (rc >= 0 && b.unread.code)
		rc = us_fail(err, b.unread.code, "%s", b.unread.text);
	if (rc >= 0)
		*n_out = n;
	return rc < 0 ? rc : 0;
}

/* Which partition is this the directory of that id in? */
static struct partition *partition_of(struct store *store, int dir, const struct storeid *id)
{
	struct partition *p, *found = NULL;
	struct stat wanted, st;

	for (size_t i = 0; !found && (p = store_partition_at(store, i)); i++) {
		int there = -1;
		if (partition_open_mailbox(p, id, &there, NULL) == 0 && fstat(there, &st) == 0 &&
		    fstat(dir, &wanted) == 0 && st.st_dev == wanted.st_dev &&
		    st.st_ino == wanted.st_ino)
			found = p;
		io_close(&there);
	}
	return found;
}

/* The path may be that of the header itself. */
static int open_path(const char *path, int *out, struct us_err *err)
{
	static const char tail[] = "/mbox.hdr";
	size_t len = strlen(path), cut = sizeof(tail) - 1;
	char *folder = us_strdup(path);
	int rc;

	if (len > cut && strcmp(path + len - cut, tail) == 0)
		folder[len - cut] = '\0';
	rc = io_open(NULL, AT_FDCWD, folder, O_RDONLY | O_DIRECTORY, 0, out, err);
	free(folder);
	return rc;
}

static int read_path(struct rebuild *b, const char *path, struct hdr *out, struct us_err *err)
{
	struct partition *p;
	int dir = -1, rc = open_path(path, &dir, err);

	if (rc == 0)
		rc = hdr_read(dir, b->pool, out, err);
	if (rc == 0) {
		p = partition_of(b->store, dir, &out->row.storeid);
		if (p)
			out->row.local_partition = span_of(p->name);
		else
			rc = us_fail(err, US_ENOENT, "%s is no mailbox of a partition", path);
	}
	io_close(&dir);
	return rc;
}

int rebuild_row(struct store *store, const char *path, const struct rebuild_options *options,
		struct us_err *err)
{
	struct rebuild b = {.store = store, .options = options, .pool = pool_new(), .named = true};
	struct hdr h;
	int rc = read_path(&b, path, &h, err);

	if (rc == 0)
		rc = read_claims(&b, err);
	if (rc == 0 && is_claimed(&b, &h.row.storeid))
		rc = us_fail(err, US_EEXIST, "%.*s has its row", SPAN_ARG(h.name));
	if (rc == 0 && !options->dry_run)
		rc = raise_versions(store, h.row_version, err);
	if (rc == 0)
		rc = make_row(&b, &h, err);
	free_rebuild(&b);
	if (rc == 0)
		return us_fail(err, US_EEXIST, "%s: not made", path);
	return rc < 0 ? rc : 0;
}
