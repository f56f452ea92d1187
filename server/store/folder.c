/* folder.c - see folder.h. Making, changing, listing; folder_move.c renames and removes. */
#include "server/store/folder.h"

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
#include "server/store/compact.h"
#include "server/store/folder_private.h"
#include "server/store/grants.h"
#include "server/store/hdr.h"
#include "server/store/mboxname.h"
#include "server/store/meta/meta.h"
#include "server/store/partition.h"

/* ---- rows -------------------------------------------------------------------------------------- */

void folder_put_row(struct meta_batch *batch, struct span name, const struct mailbox_row *row)
{
	struct buf key = BUF_INIT, payload = BUF_INIT;

	mboxname_to_key(name, &key);
	mailbox_row_encode(row, &payload);
	meta_batch_put(batch, META_MAILBOXES, buf_span(&key), buf_span(&payload));
	if (row->uniqueid.len)
		meta_batch_put(batch, META_BY_UNIQUEID, row->uniqueid, name);
	grants_put(batch, name, row->acl);
	buf_free(&key);
	buf_free(&payload);
}

void folder_expect(struct meta_batch *batch, struct span name, uint64_t version)
{
	struct buf key = BUF_INIT;

	mboxname_to_key(name, &key);
	meta_batch_expect(batch, META_MAILBOXES, buf_span(&key), version);
	buf_free(&key);
}

void folder_del_row(struct meta_batch *batch, struct span name)
{
	struct buf key = BUF_INIT;

	mboxname_to_key(name, &key);
	meta_batch_del(batch, META_MAILBOXES, buf_span(&key));
	buf_free(&key);
}

void folder_put_serial(struct meta_batch *batch, struct span name, uint64_t serial)
{
	struct buf key = BUF_INIT;

	mboxname_to_key(name, &key);
	meta_batch_serial(batch, META_MAILBOXES, buf_span(&key), serial);
	buf_free(&key);
}

bool folder_may_be_done(int rc)
{
	return rc == US_EIO || rc == US_ENOSPC || rc == US_ETIMEOUT;
}

/* A copy that fails costs the ability to rebuild this mailbox's row, not the row: said, not refused. */
int folder_write_hdr(struct store *store, int dir, struct span name, const struct flag_names *names,
		     const struct counters *counters)
{
	struct us_err err;
	int rc = hdr_write(store, dir, name, names, counters, &err);

	if (rc < 0)
		log_event(LOG_ERR, "store.hdr.unwritable", LF_TEXT("IOERROR: writing mbox.hdr"),
			  LF_SPAN("mailbox", name), LF_ERR(&err));
	return rc;
}

/* ---- high-water marks of an owner ----------------------------------------------------------------- */

static void owner_key(struct store *store, struct span name, struct buf *out)
{
	if (!mboxname_owner(name, store_config(store)->deletedprefix, out))
		buf_add_str(out, "%shared");
}

static int read_owner(struct store *store, struct span name, struct buf *key, struct user_row *out,
		      struct us_err *err)
{
	struct buf payload = BUF_INIT;
	struct meta_stamp stamp;
	int rc;

	*out = (struct user_row){0};
	owner_key(store, name, key);
	rc = meta_get(store_meta(store), META_USERS, buf_span(key), &payload, &stamp, err);
	if (rc > 0)
		rc = user_row_decode(buf_span(&payload), out, err);
	buf_free(&payload);
	return rc < 0 ? rc : 0;
}

/* The uidvalidity a new mailbox gets: the time, but above whatever this owner lost. */
static int choose_uidvalidity(struct store *store, struct span name, uint32_t *out,
			      struct us_err *err)
{
	struct buf key = BUF_INIT;
	struct user_row row;
	int rc = read_owner(store, name, &key, &row, err);
	int64_t now = store_now();

	buf_free(&key);
	/* A peer may have given the last one there is. */
	*out = row.uidvalidity >= now && row.uidvalidity < UINT32_MAX ? row.uidvalidity + 1
								      : (uint32_t)now;
	return rc;
}

int folder_raise_marks(struct store *store, struct meta_batch *batch, struct span name,
		       uint32_t uidvalidity, uint64_t modseq, struct us_err *err)
{
	struct buf key = BUF_INIT, payload = BUF_INIT;
	struct user_row row;
	int rc = read_owner(store, name, &key, &row, err);

	if (rc == 0 && (uidvalidity > row.uidvalidity || modseq > row.modseq)) {
		if (uidvalidity > row.uidvalidity)
			row.uidvalidity = uidvalidity;
		if (modseq > row.modseq)
			row.modseq = modseq;
		user_row_encode(&row, &payload);
		meta_batch_put(batch, META_USERS, buf_span(&key), buf_span(&payload));
	}
	buf_free(&key);
	buf_free(&payload);
	return rc;
}

/* ---- create ------------------------------------------------------------------------------------ */

struct creation {
	struct store *store;
	struct span name;
	const struct folder_create *options;
	struct mailbox_row row;
	char uniqueid[UUID_TEXT];
	uint64_t old_version;    /* of an intermediate entry that becomes the mailbox; 0: none */
	struct buf old_uniqueid; /* its; empty: it had none */
	struct partition *partition;
	struct counters counters; /* of its records: there are none yet */
	int dir;
	bool asked; /* metad was */
};

static int check_uniqueid(struct store *store, struct span name, struct span uniqueid,
			  struct us_err *err)
{
	struct buf holder = BUF_INIT;
	int rc;

	if (!uniqueid.len || uniqueid.len > UNIQUEID_MAX)
		return us_fail(err, US_EINVAL, "a uniqueid has 1 to %d bytes", UNIQUEID_MAX);
	rc = mailbox_name_of_uniqueid(store, uniqueid, &holder, err);
	if (rc > 0 && !span_eq(buf_span(&holder), name))
		rc = us_fail(err, US_EMOVED, "the uniqueid of %.*s is in use by %s", SPAN_ARG(name),
			     holder.data);
	buf_free(&holder);
	return rc < 0 ? rc : 0;
}

/* What is there under that name: nothing, or an intermediate entry. */
static int check_name(struct creation *c, struct us_err *err)
{
	struct pool *pool = pool_new();
	struct mailbox_row old = {0};
	int rc = mboxname_check_storable(c->name, err);

	if (rc == 0)
		rc = mailbox_row_get(c->store, c->name, pool, &old, &c->old_version, NULL, err);
	if (rc > 0 && !mboxtype_has(old.type, MBOXTYPE_INTERMEDIATE))
		rc = us_fail(err, US_EEXIST, "Mailbox already exists");
	if (rc > 0)
		buf_add_span(&c->old_uniqueid, old.uniqueid);
	pool_free(&pool);
	return rc < 0 ? rc : 0;
}

static uint64_t or_one(uint64_t n)
{
	return n ? n : 1;
}

static int fill_row(struct creation *c, struct us_err *err)
{
	const struct folder_create *o = c->options;
	struct mailbox_row *row = &c->row;

	*row = (struct mailbox_row){.type = o->type.len ? o->type : SPAN_LIT("e"),
				    .uniqueid = o->uniqueid,
				    .acl = o->acl,
				    .uidvalidity = o->uidvalidity,
				    .createdmodseq = or_one(o->createdmodseq),
				    .foldermodseq = or_one(o->foldermodseq),
				    .mtime = store_now()};
	if (!row->uniqueid.len) {
		uniqueid_new(c->uniqueid);
		row->uniqueid = span_of(c->uniqueid);
	}
	if (mboxtype_has(row->type, MBOXTYPE_INTERMEDIATE))
		return 0;
	c->partition = folder_local_partition(c->store, o->partition);
	if (!c->partition)
		return us_fail(err, US_EINVAL, "Unknown/invalid partition");
	row->local_partition = span_of(c->partition->name);
	row->partition = o->partition.len ? o->partition : row->local_partition;
	row->has_storeid = true;
	row->storeid = storeid_new();
	return row->uidvalidity ? 0 : choose_uidvalidity(c->store, c->name, &row->uidvalidity, err);
}

static int make_files(struct creation *c, struct us_err *err)
{
	const struct folder_create *o = c->options;
	int rc;

	c->counters = (struct counters){.uidvalidity = c->row.uidvalidity,
					.highestmodseq = or_one(o->highestmodseq),
					.createdmodseq = c->row.createdmodseq,
					.options = o->options,
					.sync_crc_annot = SYNC_CRC_ANNOT_EMPTY};
	rc = partition_make_mailbox(c->partition, &c->row.storeid, &c->dir, err);

	return rc < 0 ? rc
		      : compact_create(c->dir, &c->row.storeid, c->row.uniqueid, &c->counters,
				       store_boot_tag(c->store), c->partition, err);
}

/* A mailbox that comes back is not dead any more, under whatever name it died. */
int folder_forget_tombstone(struct store *store, struct meta_batch *batch, struct span uniqueid,
			    struct us_err *err)
{
	struct buf key = BUF_INIT, by_name = BUF_INIT;
	struct pool *pool = pool_new();
	struct tombstone_row t;
	int rc = folder_tombstone(store, uniqueid, pool, &t, err);

	if (rc > 0) {
		tombstone_key('M', uniqueid, &key);
		tombstone_name_key(t.name, uniqueid, &by_name);
		meta_batch_del(batch, META_TOMBSTONES, buf_span(&key));
		meta_batch_del(batch, META_TOMBSTONES, buf_span(&by_name));
	}
	buf_free(&key);
	buf_free(&by_name);
	pool_free(&pool);
	return rc < 0 ? rc : 0;
}

static int commit_creation(struct creation *c, struct us_err *err)
{
	struct store_change change = {CHANGE_MAILBOX, c->name, SPAN_NULL};
	struct meta_batch batch;
	int rc;

	meta_batch_init(&batch);
	folder_expect(&batch, c->name, c->old_version);
	if (c->old_uniqueid.len)
		meta_batch_del(&batch, META_BY_UNIQUEID, buf_span(&c->old_uniqueid));
	folder_del_row(&batch, c->name); /* so that its serial begins with its journal's */
	folder_put_row(&batch, c->name, &c->row);
	annotations_replace(&batch, &c->row.storeid, NULL, 0, c->options->annotations,
			    c->options->n_annotations);
	rc = folder_forget_tombstone(c->store, &batch, c->row.uniqueid, err);
	if (rc == 0)
		rc = store_announce(c->store, &change, 1, err);
	c->asked = rc == 0;
	if (rc == 0)
		rc = meta_commit(store_meta(c->store), &batch, META_DURABLE, err);
	meta_batch_fini(&batch);
	return rc;
}

int folder_create_locked(struct store *store, struct span name, const struct folder_create *options,
			 struct us_err *err)
{
	struct creation c = {.store = store,
			     .name = name,
			     .options = options,
			     .old_uniqueid = BUF_INIT,
			     .dir = -1};
	int rc;

	rc = check_name(&c, err);
	if (rc == 0)
		rc = fill_row(&c, err);
	if (rc == 0)
		rc = check_uniqueid(store, name, c.row.uniqueid, err);
	if (rc == 0 && c.partition)
		rc = make_files(&c, err);
	if (rc == 0)
		rc = commit_creation(&c, err);
	if (rc == 0 && c.partition)
		folder_write_hdr(store, c.dir, name, NULL, &c.counters);
	else if (rc < 0 && c.dir >= 0 && !(c.asked && folder_may_be_done(rc)))
		(void)partition_trash_mailbox(c.partition, &c.row.storeid, store_now(), NULL);
	io_close(&c.dir);
	buf_free(&c.old_uniqueid);
	return rc;
}

int folder_create(struct store *store, struct span name, const struct folder_create *options,
		  struct us_err *err)
{
	int lock, rc = store_lock_namespace(store, name, STORE_EXCLUSIVE, &lock, err);

	if (rc < 0)
		return rc;
	rc = folder_create_locked(store, name, options, err);
	store_unlock_namespace(&lock);
	return rc;
}

/* A peer's partition that we have by that name; else our default one. Where the bytes lie is local policy, so an
 * unknown name is not an error for what arrives; clients' CREATE checks before. */
struct partition *folder_local_partition(struct store *store, struct span partition)
{
	struct partition *p = partition.len ? store_partition(store, partition) : NULL;

	return p ? p : store_default_partition(store);
}

/* ---- changing what belongs to the name ----------------------------------------------------------- */

/* Above everything this mailbox has shown, whoever gave it. */
uint64_t folder_next_modseq(const struct mailbox *m)
{
	uint64_t highest = mailbox_highestmodseq(m);

	if (m->row.foldermodseq > highest)
		highest = m->row.foldermodseq;
	return highest + 1;
}

int folder_change(struct mailbox *m, const struct mailbox_row *wanted, struct meta_batch *batch,
		  struct us_err *err)
{
	struct store_change change = {CHANGE_MAILBOX, buf_span(&m->name), SPAN_NULL};
	struct mailbox_row row = *wanted;
	int rc;

	us_assert(m->locked);
	row.foldermodseq = row.lastmodseq = folder_next_modseq(m);
	row.mtime = store_now();
	folder_expect(batch, buf_span(&m->name), m->row_version);
	folder_put_row(batch, buf_span(&m->name), &row);
	rc = store_announce(m->store, &change, 1, err);
	if (rc == 0)
		rc = meta_commit(store_meta(m->store), batch, META_DURABLE, err);
	if (rc == 0)
		rc = mailbox_refresh_row(m, err);
	if (rc == 0)
		folder_write_hdr(m->store, m->dir, buf_span(&m->name), &m->view.names,
				 &m->view.counters);
	return rc;
}

void folder_copy_row(struct mailbox *m)
{
	folder_write_hdr(m->store, m->dir, buf_span(&m->name), &m->view.names, &m->view.counters);
}

static int put_entry_locked(struct store *store, struct span name, const struct mailbox_row *row,
			    struct us_err *err)
{
	struct store_change change = {CHANGE_MAILBOX, name, SPAN_NULL};
	struct pool *pool = pool_new();
	struct mailbox_row old;
	struct meta_batch batch;
	uint64_t version = 0;
	int rc = check_uniqueid(store, name, row->uniqueid, err);

	meta_batch_init(&batch);
	if (rc == 0)
		rc = mailbox_row_get(store, name, pool, &old, &version, NULL, err);
	if (rc > 0 && mailbox_row_is_real(&old))
		rc = us_fail(err, US_EEXIST, "%.*s is a mailbox here", SPAN_ARG(name));
	folder_expect(&batch, name, version);
	if (rc > 0 && old.uniqueid.len)
		meta_batch_del(&batch, META_BY_UNIQUEID, old.uniqueid);
	folder_put_row(&batch, name, row);
	if (rc >= 0)
		rc = store_announce(store, &change, 1, err);
	if (rc == 0)
		rc = meta_commit(store_meta(store), &batch, META_DURABLE, err);
	meta_batch_fini(&batch);
	pool_free(&pool);
	return rc;
}

int folder_put_entry(struct store *store, struct span name, const struct mailbox_row *row,
		     struct us_err *err)
{
	int lock, rc = mboxname_check_storable(name, err);

	if (rc == 0)
		rc = store_lock_namespace(store, name, STORE_EXCLUSIVE, &lock, err);
	if (rc < 0)
		return rc;
	rc = put_entry_locked(store, name, row, err);
	store_unlock_namespace(&lock);
	return rc;
}

int folder_set_acl(struct mailbox *m, struct span acl, struct us_err *err)
{
	struct mailbox_row row = m->row;
	struct meta_batch batch;
	int rc;

	row.acl = acl;
	meta_batch_init(&batch);
	rc = folder_change(m, &row, &batch, err);
	meta_batch_fini(&batch);
	return rc;
}

/* ---- listing ----------------------------------------------------------------------------------- */

struct lister {
	int (*fn)(void *ctx, struct span name, const struct mailbox_row *row, struct us_err *err);
	void *ctx;
	struct pool *pool;
	struct buf name;
	struct us_err *err;
};

static int list_one(void *ctx, struct span key, struct span payload,
		    const struct meta_stamp *stamp UNUSED)
{
	struct lister *l = ctx;
	struct mailbox_row row;
	int rc;

	pool_clear(l->pool);
	buf_clear(&l->name);
	mboxname_from_key(key, &l->name);
	rc = mailbox_row_decode(payload, l->pool, &row, l->err);
	return rc < 0 ? us_err_prefix(l->err, "%s", l->name.data)
		      : l->fn(l->ctx, buf_span(&l->name), &row, l->err);
}

static int list_prefix(struct store *store, struct span prefix_key,
		       int (*fn)(void *ctx, struct span name, const struct mailbox_row *row,
				 struct us_err *err),
		       void *ctx, struct us_err *err)
{
	struct lister l = {.fn = fn, .ctx = ctx, .pool = pool_new(), .name = BUF_INIT, .err = err};
	int rc = meta_range_prefix(store_meta(store), META_MAILBOXES, prefix_key, 0, list_one, &l,
				   err);

	pool_free(&l.pool);
	buf_free(&l.name);
	return rc;
}

static int list_between(struct store *store, struct span first_key, struct span end_key,
			int (*fn)(void *ctx, struct span name, const struct mailbox_row *row,
				  struct us_err *err),
			void *ctx, struct us_err *err)
{
	struct lister l = {.fn = fn, .ctx = ctx, .pool = pool_new(), .name = BUF_INIT, .err = err};
	int rc = meta_range(store_meta(store), META_MAILBOXES, first_key, end_key, 0, list_one, &l,
			    err);

	pool_free(&l.pool);
	buf_free(&l.name);
	return rc;
}

int folder_list(struct store *store, struct span prefix,
		int (*fn)(void *ctx, struct span name, const struct mailbox_row *row,
			  struct us_err *err),
		void *ctx, struct us_err *err)
{
	struct buf key = BUF_INIT;
	int rc;

	mboxname_to_key(prefix, &key);
	rc = list_prefix(store, buf_span(&key), fn, ctx, err);
	buf_free(&key);
	return rc;
}

int folder_list_between(struct store *store, struct span first, struct span end,
			int (*fn)(void *ctx, struct span name, const struct mailbox_row *row,
				  struct us_err *err),
			void *ctx, struct us_err *err)
{
	struct buf from = BUF_INIT, to = BUF_INIT;
	int rc;

	mboxname_to_key(first, &from);
	mboxname_to_key(end, &to);
	rc = list_between(store, buf_span(&from), to.len ? buf_span(&to) : SPAN_NULL, fn, ctx, err);
	buf_free(&from);
	buf_free(&to);
	return rc;
}

int folder_list_tree(struct store *store, struct span name,
		     int (*fn)(void *ctx, struct span name, const struct mailbox_row *row,
			       struct us_err *err),
		     void *ctx, struct us_err *err)
{
	struct buf first = BUF_INIT, end = BUF_INIT;
	int rc;

	mboxname_tree_keys(name, &first, &end);
	rc = list_between(store, buf_span(&first), buf_span(&end), fn, ctx, err);
	buf_free(&first);
	buf_free(&end);
	return rc;
}

/* ---- directories without a row -------------------------------------------------------------------- */

struct claims {
	struct storeid *ids;
	size_t n, cap;
};

static int note_claim(void *ctx, struct span name UNUSED, const struct mailbox_row *row,
		      struct us_err *err UNUSED)
{
	struct claims *c = ctx;

	if (!row->has_storeid)
		return 0;
	us_grow(&c->ids, c->n, &c->cap, sizeof(c->ids[0]));
	c->ids[c->n++] = row->storeid;
	return 0;
}

static int compare_ids(const void *a, const void *b)
{
	return storeid_cmp(a, b);
}

struct collection {
	struct store *store;
	struct partition *p;
	int64_t before;
	const struct claims *claims;
	unsigned hash; /* the directory below u/ that is looked through */
	unsigned n;
};

static void put_away(struct collection *c, const char *from, const char *to)
{
	struct us_err err;

	if (io_rename(FP("store.lost.rename"), c->p->dir, from, c->p->dir, to, &err) < 0) {
		log_event(LOG_ERR, "store.lost.kept", LF_STR("path", from), LF_ERR(&err));
		return;
	}
	c->n++;
	log_event(LOG_WARNING, "store.lost.found", LF_STR("path", to),
		  LF_STR("partition", c->p->name));
}

/* Does anything but this directory know the mailbox: another directory has its row, or it was deleted? Errors count as no. */
static bool is_known(struct store *store, struct span uniqueid, struct pool *pool)
{
	struct buf name = BUF_INIT;
	struct tombstone_row dead;
	bool is = mailbox_name_of_uniqueid(store, uniqueid, &name, NULL) > 0 ||
		  folder_tombstone(store, uniqueid, pool, &dead, NULL) > 0;

	buf_free(&name);
	return is;
}

/* Untouched for long enough that nobody is at work in it, and nothing that reconstruct could make a mailbox of: where the rows
 * themselves are lost, all directories must stay for it. */
static bool is_of_no_use(const struct collection *c, const struct storeid *id)
{
	struct pool *pool = pool_new();
	struct hdr hdr;
	struct stat st;
	int dir = -1, rc = partition_open_mailbox(c->p, id, &dir, NULL);
	bool is = false;

	if (rc == 0 && fstat(dir, &st) == 0 && st.st_ctim.tv_sec < c->before) {
		rc = hdr_read(dir, pool, &hdr, NULL);
		is = rc == US_ENOENT || rc == US_ECORRUPT ||
		     (rc == 0 && is_known(c->store, hdr.row.uniqueid, pool));
	}
	io_close(&dir);
	pool_free(&pool);
	return is;
}

static int collect_one(void *ctx, const struct dirent *entry)
{
	struct collection *c = ctx;
	const struct claims *claims = c->claims;
	char hex[STOREID_HEX], from[16 + STOREID_HEX], to[16 + STOREID_HEX];
	struct storeid id;

	if (!storeid_parse(span_of(entry->d_name), &id) ||
	    (claims->n && bsearch(&id, claims->ids, claims->n, sizeof(id), compare_ids)) ||
	    !is_of_no_use(c, &id))
		return 0;
	storeid_format(&id, hex);
	snprintf(from, sizeof(from), "u/%02x/%s", c->hash, hex);
	snprintf(to, sizeof(to), "lost/%s", hex);
	put_away(c, from, to);
	return 0;
}

int folder_collect_lost(struct store *store, struct partition *p, int64_t before, unsigned *n_out,
			struct us_err *err)
{
	struct claims claims = {0};
	struct collection c = {.store = store, .p = p, .before = before, .claims = &claims};
	int rc = folder_list(store, SPAN_NULL, note_claim, &claims, err);

	if (rc == 0 && claims.n)
		qsort(claims.ids, claims.n, sizeof(claims.ids[0]), compare_ids);
	for (c.hash = 0; rc == 0 && c.hash < 256; c.hash++) {
		char name[16];
		snprintf(name, sizeof(name), "u/%02x", c.hash);
		rc = io_each_name(NULL, p->dir, name, collect_one, &c, err);
		if (rc == US_ENOENT)
			rc = 0; /* made when it is needed */
	}
	free(claims.ids);
	if (rc == 0)
		*n_out = c.n;
	return rc;
}
