/* quota.c - see quota.h. */
#include "server/store/quota.h"

#include <string.h>

#include "server/base/mem.h"
#include "server/store/annotations.h"
#include "server/store/folder.h"
#include "server/store/hdr.h"
#include "server/store/mboxname.h"
#include "server/store/meta/meta.h"
#include "server/store/partition.h"
#include "server/store/rows.h"

/* ---- limits ------------------------------------------------------------------------------------ */

int quota_get(struct store *store, struct span root, struct state_quota *out, struct us_err *err)
{
	struct buf key = BUF_INIT, payload = BUF_INIT;
	struct meta_stamp stamp;
	int rc;

	mboxname_to_key(root, &key);
	rc = meta_get(store_meta(store), META_QUOTA, buf_span(&key), &payload, &stamp, err);
	if (rc > 0) {
		int bad = quota_row_decode(buf_span(&payload), out, err);
		rc = bad < 0 ? bad : rc;
		out->root = root;
	}
	buf_free(&key);
	buf_free(&payload);
	return rc;
}

/* mbox.hdr of the root's own mailbox carries the limits. Best effort: the row is what counts. */
static void copy_to_hdr(struct store *store, struct span root)
{
	struct mailbox *m;

	if (mailbox_open(store, root, &m, NULL) < 0)
		return;
	(void)hdr_write(store, m->dir, root, &m->view.names, &m->view.counters, NULL);
	mailbox_close(&m);
}

static int commit_quota(struct store *store, struct meta_batch *batch, struct span root,
			struct us_err *err)
{
	struct store_change change = {CHANGE_QUOTA, root, SPAN_NULL};
	int rc = store_announce(store, &change, 1, err);

	if (rc == 0)
		rc = meta_commit(store_meta(store), batch, META_DURABLE, err);
	if (rc == 0)
		copy_to_hdr(store, root);
	return rc;
}

static int set_locked(struct store *store, const struct state_quota *quota, struct us_err *err)
{
	struct buf key = BUF_INIT, payload = BUF_INIT, tombstone = BUF_INIT;
	struct state_quota old = {0}, row = *quota;
	struct meta_batch batch;
	int rc = quota_get(store, quota->root, &old, err);

	if (rc < 0)
		return rc;
	if (!row.modseq)
		row.modseq = old.modseq + 1;
	mboxname_to_key(quota->root, &key);
	quota_row_encode(&row, &payload);
	tombstone_key('Q', quota->root, &tombstone);
	meta_batch_init(&batch);
	meta_batch_put(&batch, META_QUOTA, buf_span(&key), buf_span(&payload));
	meta_batch_del(&batch, META_TOMBSTONES, buf_span(&tombstone));
	rc = commit_quota(store, &batch, quota->root, err);
	meta_batch_fini(&batch);
	buf_free(&key);
	buf_free(&payload);
	buf_free(&tombstone);
	return rc;
}

static int remove_locked(struct store *store, struct span root, struct us_err *err)
{
	struct buf key = BUF_INIT, payload = BUF_INIT, tombstone = BUF_INIT;
	struct tombstone_row t = {.name = root, .time = store_now()};
	struct state_quota old;
	struct meta_batch batch;
	int rc = quota_get(store, root, &old, err);

	if (rc <= 0)
		return rc < 0 ? rc : us_fail(err, US_ENOENT, "Quota root does not exist");
	t.modseq = old.modseq;
	mboxname_to_key(root, &key);
	tombstone_key('Q', root, &tombstone);
	tombstone_row_encode(&t, &payload);
	meta_batch_init(&batch);
	meta_batch_del(&batch, META_QUOTA, buf_span(&key));
	meta_batch_put(&batch, META_TOMBSTONES, buf_span(&tombstone), buf_span(&payload));
	rc = commit_quota(store, &batch, root, err);
	meta_batch_fini(&batch);
	buf_free(&key);
	buf_free(&payload);
	buf_free(&tombstone);
	return rc;
}

int quota_set(struct store *store, const struct state_quota *quota, struct us_err *err)
{
	int lock, rc = store_lock_namespace(store, quota->root, STORE_EXCLUSIVE, &lock, err);

	if (rc < 0)
		return rc;
	rc = set_locked(store, quota, err);
	store_unlock_namespace(&lock);
	return rc;
}

int quota_remove(struct store *store, struct span root, struct us_err *err)
{
	int lock, rc = store_lock_namespace(store, root, STORE_EXCLUSIVE, &lock, err);

	if (rc < 0)
		return rc;
	rc = remove_locked(store, root, err);
	store_unlock_namespace(&lock);
	return rc;
}

int quota_root_of(struct store *store, struct span name, struct buf *root, struct us_err *err)
{
	struct state_quota row;
	int rc;

	if (mboxname_is_deleted(name, store_config(store)->deletedprefix))
		return 0;
	for (; name.len; name = mboxname_parent(name)) {
		rc = quota_get(store, name, &row, err);
		if (rc < 0)
			return rc;
		if (rc > 0) {
			buf_add_span(root, name);
			return 1;
		}
	}
	return 0;
}

struct lister {
	int (*fn)(void *ctx, const struct state_quota *quota, struct us_err *err);
	void *ctx;
	struct us_err *err;
};

static int list_one(void *ctx, struct span key, struct span payload,
		    const struct meta_stamp *stamp UNUSED)
{
	struct lister *l = ctx;
	struct buf root = BUF_INIT;
	struct state_quota row;
	int rc = quota_row_decode(payload, &row, l->err);

	mboxname_from_key(key, &root);
	row.root = buf_span(&root);
	if (rc == 0)
		rc = l->fn(l->ctx, &row, l->err);
	buf_free(&root);
	return rc;
}

int quota_list(struct store *store, struct span prefix,
	       int (*fn)(void *ctx, const struct state_quota *quota, struct us_err *err), void *ctx,
	       struct us_err *err)
{
	struct lister l = {fn, ctx, err};
	struct buf key = BUF_INIT;
	int rc;

	mboxname_to_key(prefix, &key);
	rc = meta_range_prefix(store_meta(store), META_QUOTA, buf_span(&key), 0, list_one, &l, err);
	buf_free(&key);
	return rc;
}

int quota_list_tree(struct store *store, struct span name,
		    int (*fn)(void *ctx, const struct state_quota *quota, struct us_err *err),
		    void *ctx, struct us_err *err)
{
	struct lister l = {fn, ctx, err};
	struct buf first = BUF_INIT, end = BUF_INIT;
	int rc;

	mboxname_tree_keys(name, &first, &end);
	rc = meta_range(store_meta(store), META_QUOTA, buf_span(&first), buf_span(&end), 0,
			list_one, &l, err);
	buf_free(&first);
	buf_free(&end);
	return rc;
}

/* ---- usage ------------------------------------------------------------------------------------- */

struct sum {
	struct store *store;
	struct span root;
	struct buf nested; /* a root below ours: nothing at or below it counts */
	bool annotations;  /* of mailboxes, too */
	struct quota_usage *usage;
};

/* Below another root? Names come in list order, so one nested root at a time is enough to remember. */
static int under_nested_root(struct sum *s, struct span name, struct us_err *err)
{
	struct state_quota row;
	int rc;

	if (s->nested.len &&
	    (span_eq(name, buf_span(&s->nested)) || mboxname_is_below(name, buf_span(&s->nested))))
		return 1;
	if (span_eq(name, s->root))
		return 0;
	rc = quota_get(s->store, name, &row, err);
	if (rc > 0) {
		buf_clear(&s->nested);
		buf_add_span(&s->nested, name);
	}
	return rc;
}

static int add_annotations(struct sum *s, const struct storeid *id, struct us_err *err)
{
	struct pool *pool = pool_new();
	const struct state_annotation *list;
	size_t n;
	int rc = annotations_list(s->store, id, pool, &list, &n, err);

	for (size_t i = 0; rc == 0 && i < n; i++)
		s->usage->annotation_bytes += list[i].value.len;
	pool_free(&pool);
	return rc;
}

/* 1: it is a mailbox under our root. */
static int counts(void *ctx, struct span name, const struct mailbox_row *row, struct us_err *err)
{
	int rc = under_nested_root(ctx, name, err);

	return rc < 0 ? rc : !rc && mailbox_row_is_real(row);
}

static int add_mailbox(void *ctx, struct span name, const struct mailbox_row *row,
		       struct us_err *err)
{
	struct sum *s = ctx;
	struct counters c;
	int rc = counts(s, name, row, err);

	if (rc <= 0)
		return rc;
	rc = mailbox_peek(s->store, row, &c, err);
	if (rc == US_ENOENT)
		return 0; /* it went while we walked */
	if (rc < 0)
		return us_err_prefix(err, "%.*s", SPAN_ARG(name));
	s->usage->bytes += c.bytes_live;
	s->usage->annotation_bytes += c.annot_bytes;
	s->usage->used[STATE_MESSAGE] += c.exists;
	s->usage->used[STATE_NUM_FOLDERS]++;
	return s->annotations ? add_annotations(s, &row->storeid, err) : 0;
}

static int add_up(struct store *store, struct span root, bool annotations, struct quota_usage *out,
		  struct us_err *err)
{
	struct sum s = {store, root, BUF_INIT, annotations, out};
	int rc;

	memset(out, 0, sizeof(*out));
	rc = folder_list_tree(store, root, add_mailbox, &s, err);
	buf_free(&s.nested);
	out->used[STATE_STORAGE] = out->bytes / 1024;
	out->used[STATE_ANNOTATION_STORAGE] = out->annotation_bytes / 1024;
	return rc < 0 ? rc : 0;
}

int quota_usage(struct store *store, struct span root, struct quota_usage *out, struct us_err *err)
{
	return add_up(store, root, /* annotations */ true, out, err);
}

int quota_usage_of_messages(struct store *store, struct span root, struct quota_usage *out,
			    struct us_err *err)
{
	return add_up(store, root, /* annotations */ false, out, err);
}

/* Rows decide, and the first is enough: what files a mailbox has, and whether they can be read now, is nothing to it. */
int quota_remove_unused(struct store *store, struct span root, bool dry_run, struct us_err *err)
{
	struct sum s = {.store = store, .root = root, .nested = BUF_INIT};
	int lock, rc = store_lock_namespace(store, root, STORE_EXCLUSIVE, &lock, err);
	bool used;

	if (rc < 0)
		return rc;
	rc = folder_list_tree(store, root, counts, &s, err);
	used = rc > 0;
	if (rc == 0 && !dry_run)
		rc = remove_locked(store, root, err);
	store_unlock_namespace(&lock);
	buf_free(&s.nested);
	return rc < 0 ? rc : !used;
}

/* ---- may it grow? ------------------------------------------------------------------------------- */

static const char *const names[STATE_RESOURCES] = STATE_RESOURCE_NAMES;

/* Rounded up: as limits go up to 2^63, they are not multiplied. */
static uint64_t in_units(uint64_t n, uint64_t unit)
{
	return n / unit + (n % unit != 0);
}

static bool fits(int64_t limit, uint64_t used, uint64_t more, uint64_t unit)
{
	return limit == STATE_NO_LIMIT || !more || in_units(used + more, unit) <= (uint64_t)limit;
}

bool quota_is_over(const struct state_quota *limits, const struct quota_usage *used)
{
	int64_t storage = limits->limit[STATE_STORAGE], messages = limits->limit[STATE_MESSAGE];

	return (storage != STATE_NO_LIMIT && in_units(used->bytes, 1024) > (uint64_t)storage) ||
	       (messages != STATE_NO_LIMIT && used->used[STATE_MESSAGE] > (uint64_t)messages);
}

static int check_root(struct store *store, struct span root, const struct quota_wanted *wanted,
		      struct us_err *err)
{
	struct state_quota q;
	struct quota_usage u;
	bool limited = false;
	int rc = quota_get(store, root, &q, err), over = -1;

	if (rc <= 0)
		return rc;
	for (int i = 0; i < STATE_RESOURCES; i++)
		limited |= q.limit[i] != STATE_NO_LIMIT;
	if (!limited)
		return 0;
	rc = add_up(store, root, q.limit[STATE_ANNOTATION_STORAGE] != STATE_NO_LIMIT, &u, err);
	if (rc < 0)
		return rc;
	if (!fits(q.limit[STATE_STORAGE], u.bytes, wanted->bytes, 1024))
		over = STATE_STORAGE;
	else if (!fits(q.limit[STATE_MESSAGE], u.used[STATE_MESSAGE], wanted->messages, 1))
		over = STATE_MESSAGE;
	else if (!fits(q.limit[STATE_ANNOTATION_STORAGE], u.annotation_bytes,
		       wanted->annotation_bytes, 1024))
		over = STATE_ANNOTATION_STORAGE;
	else if (!fits(q.limit[STATE_NUM_FOLDERS], u.used[STATE_NUM_FOLDERS], wanted->folders, 1))
		over = STATE_NUM_FOLDERS;
	return over < 0 ? 0
			: us_fail(err, US_EQUOTA, "over the %s quota of %.*s", names[over],
				  SPAN_ARG(root));
}

int quota_check(struct store *store, struct span name, const struct quota_wanted *wanted,
		struct us_err *err)
{
	struct buf root = BUF_INIT;
	int rc = quota_root_of(store, name, &root, err);

	if (rc > 0)
		rc = check_root(store, buf_span(&root), wanted, err);
	buf_free(&root);
	return rc;
}
