/* verify.c - what must be true of a store after an operation died or failed; see walk.h. */
#include "tests/unit/store/walk/walk.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>

#include "server/base/io.h"
#include "server/store/annotations.h"
#include "server/store/hdr.h"
#include "server/store/index.h"
#include "server/store/mboxname.h"
#include "server/store/quota.h"
#include "server/store/reconstruct.h"
#include "server/store/rows.h"

/* ---- the reference ---------------------------------------------------------------------------------- */

void walk_note_state(struct walk *w, int step)
{
	struct walk_shared *s = w->shared;
	struct buf text = BUF_INIT;
	size_t i = s->n_states;

	if (!w->store)
		return; /* the operation is closing it */
	walk_dump(w, &text);
	us_assert(i < WALK_STATES && s->pool_used + text.len < sizeof(s->pool));
	s->state[i].step = step;
	s->state[i].heard_len = s->heard_len;
	s->state[i].at = s->pool_used;
	s->state[i].len = text.len;
	memcpy(s->pool + s->pool_used, text.data ? text.data : "", text.len);
	s->pool_used += text.len;
	s->n_states++;
	buf_free(&text);
}

static bool same(const struct walk_shared *s, size_t i, const struct buf *text)
{
	return s->state[i].len == text->len &&
	       memcmp(s->pool + s->state[i].at, text->data, text->len) == 0;
}

/* ---- which state is it? ------------------------------------------------------------------------------- */

/* The state seen first that looks like this, of those that may be; -1: none. Where k steps were acknowledged it may
 * be what the k-th left, or anything the next one goes through. */
static int find_state(const struct walk_shared *s, const struct buf *text)
{
	int last_of_acked = 0;

	for (size_t i = 0; i < s->n_states; i++)
		if (s->state[i].step != WALK_ALWAYS && s->state[i].step <= s->acked)
			last_of_acked = (int)i;
	for (size_t i = 0; i < s->n_states; i++)
		if (((int)i == last_of_acked || s->state[i].step == s->acked + 1 ||
		     (s->state[i].step == WALK_ALWAYS && !s->acked)) &&
		    same(s, i, text))
			return (int)i;
	return -1;
}

/* Show where two texts part, with the line before. */
static void show_difference(struct walk *w, const char *what, struct span a, struct span b)
{
	struct span x = SPAN_NULL, y = SPAN_NULL;

	while (a.len && b.len) {
		(void)span_split(&a, '\n', &x);
		(void)span_split(&b, '\n', &y);
		if (span_eq(x, y))
			continue;
		walk_complain(w, "%s\n   should be: %.*s\n   but is:    %.*s", what, SPAN_ARG(x),
			      SPAN_ARG(y));
		return;
	}
	if (a.len != b.len)
		walk_complain(w, "%s: one ends, the other goes on: %.*s%.*s", what,
			      (int)(a.len < 200 ? a.len : 200), a.ptr ? a.ptr : "",
			      (int)(b.len < 200 ? b.len : 200), b.ptr ? b.ptr : "");
}

/* Was that heard which the reference run had heard? The time in the name of a deleted mailbox may differ. */
static bool was_heard(const struct walk_shared *s, size_t len)
{
	if (s->heard_len < len)
		return false;
	for (size_t i = 0; i < len; i++)
		if (s->heard[i] != s->ref_heard[i] &&
		    !(isxdigit(s->heard[i]) && isxdigit(s->ref_heard[i])))
			return false;
	return true;
}

/* A row, or a mailbox with all its records: where the next one begins. */
static struct span next_block(struct span *text)
{
	struct span block = *text, line;

	(void)span_split(text, '\n', &line);
	while (text->len && span_starts(*text, "  "))
		(void)span_split(text, '\n', &line);
	block.len -= text->len;
	return block;
}

static bool has_block(struct span text, struct span wanted)
{
	while (text.len)
		if (span_eq(next_block(&text), wanted))
			return true;
	return false;
}

/* Is each part of the text a part of one of the two, and what they have in common there? */
static bool is_mixture(struct span text, struct span a, struct span b)
{
	struct span rest = text;

	while (rest.len) {
		struct span block = next_block(&rest);
		if (!has_block(a, block) && !has_block(b, block))
			return false;
	}
	while (a.len) {
		struct span block = next_block(&a);
		if (has_block(b, block) && !has_block(text, block))
			return false;
	}
	return true;
}

static struct span state_text(const struct walk_shared *s, size_t i)
{
	return span_make(s->pool + s->state[i].at, s->state[i].len);
}

static void check_state(struct walk *w, const struct walk_op *op, const struct buf *text)
{
	struct walk_shared *s = w->shared;
	int i = find_state(s, text);

	if (i >= 0) {
		if (s->state[i].step != WALK_ALWAYS && !was_heard(s, s->state[i].heard_len))
			walk_complain(w, "a change shows that was not announced: heard only\n%s",
				      s->heard);
		return;
	}
	if (op->flags & WALK_INDEPENDENT && !s->acked && s->heard_len &&
	    is_mixture(buf_span(text), state_text(s, 0), state_text(s, s->n_states - 1)))
		return;
	walk_complain(w, "after %d acknowledged steps of %s the store is in none of its states",
		      s->acked, op->name);
	for (size_t k = 0; k < s->n_states; k++)
		if (s->state[k].step == s->acked || s->state[k].step == s->acked + 1) {
			char what[40];
			snprintf(what, sizeof(what), "  state %zu (step %d)", k, s->state[k].step);
			show_difference(w, what, state_text(s, k), buf_span(text));
		}
}

/* ---- sound in itself ------------------------------------------------------------------------------------ */

/* Files that may be left it takes away: that is no repair. */
static void check_reconstruct(struct walk *w, struct mailbox *m)
{
	struct reconstruct_options options = {.check_guids = true, .dry_run = true};
	struct reconstruct_report r;
	struct us_err err;

	if (reconstruct_mailbox(w->store, buf_span(&m->name), &options, &r, &err) < 0)
		walk_complain(w, "reconstruct of %s: %s", m->name.data, err.text);
	else if ((r.changed && !w->may_leave && !(w->rebooted && (r.added || r.unborn))) ||
		 ((r.added || r.unborn) && !w->rebooted) || r.missing || r.mismatched ||
		 r.unrepaired || r.damaged)
		walk_complain(w,
			      "reconstruct would repair %s: %u added, %u missing, %u mismatched, "
			      "%u left as they are%s%s",
			      m->name.data, r.added, r.missing, r.mismatched, r.unrepaired,
			      r.damaged ? ", damage" : "", r.changed ? ", sums" : "");
}

/* After a boot nobody knows what a file above last_uid is: it stays (doc/FORMATS.md 3.4). */
static bool is_known_file(struct walk *w, struct mailbox *m, const char *name, bool may_leave)
{
	const struct index_header *h = m->view.base.header;
	char jnl[32], ann[32], cache[32];
	const struct record *r;
	uint64_t uid;
	struct span s = span_of(name);

	snprintf(jnl, sizeof(jnl), "mbox.jnl.%u", h->generation);
	snprintf(ann, sizeof(ann), "mbox.ann.%u", h->annot_generation);
	snprintf(cache, sizeof(cache), "mbox.cache.%u", h->cache_generation);
	if (!strcmp(name, "mbox.idx") || !strcmp(name, "mbox.hdr") || !strcmp(name, "mbox.lk") ||
	    !strcmp(name, "mbox.hdr.new") || !strcmp(name, jnl) || !strcmp(name, cache) ||
	    (h->annot_generation && !strcmp(name, ann)))
		return true;
	if (s.len < 2 || s.ptr[s.len - 1] != '.' ||
	    !span_u64(span_make(s.ptr, s.len - 1), UINT32_MAX, &uid))
		return false;
	r = view_find(&m->view, (uint32_t)uid);
	if (w->rebooted && uid > m->view.counters.last_uid)
		return true;
	return may_leave || (r && !(r->internal_flags & RECORD_UNLINKED));
}

static void check_files(struct walk *w, struct mailbox *m, bool may_leave)
{
	DIR *d = fdopendir(openat(m->dir, ".", O_RDONLY | O_DIRECTORY));
	struct dirent *entry;

	assert_non_null(d);
	while ((entry = readdir(d)))
		if (entry->d_name[0] != '.' && !is_known_file(w, m, entry->d_name, may_leave))
			walk_complain(w, "%s has a file %s", m->name.data, entry->d_name);
	closedir(d);
}

static void check_messages_only(struct walk *w, struct mailbox *m)
{
	DIR *d = fdopendir(openat(m->dir, ".", O_RDONLY | O_DIRECTORY));
	struct dirent *entry;

	assert_non_null(d);
	while ((entry = readdir(d)))
		if (entry->d_name[0] >= '0' && entry->d_name[0] <= '9' &&
		    !is_known_file(w, m, entry->d_name, false))
			walk_complain(w, "%s has a file %s", m->name.data, entry->d_name);
	closedir(d);
}

/* A compaction takes away whatever files of other generations a death has left. */
static void compact_one(struct walk *w, struct mailbox *m)
{
	struct us_err err;

	if (mailbox_lock(m, &err) < 0 || compact(m, &err) < 0) {
		walk_complain(w, "%s cannot be compacted: %s", m->name.data, err.text);
		return;
	}
	check_files(w, m, false);
	rig_check_counters(m);
}

static void check_hdr(struct walk *w, struct mailbox *m)
{
	struct pool *pool = pool_new();
	struct hdr h;
	struct us_err err;
	int rc = hdr_read(m->dir, pool, &h, &err);

	if (rc < 0 && rc != US_ENOENT)
		walk_complain(w, "%s: %s", m->name.data, err.text);
	pool_free(&pool);
}

struct usage {
	struct walk *w;
	struct span root;
	uint64_t bytes, messages, folders, annotation_bytes;
};

static void add_annotations(struct usage *u, const struct mailbox_row *row)
{
	struct pool *pool = pool_new();
	const struct state_annotation *list;
	size_t n;
	struct us_err err;

	assert_ok(annotations_list(u->w->store, &row->storeid, pool, &list, &n, &err), &err);
	for (size_t i = 0; i < n; i++)
		u->annotation_bytes += list[i].value.len;
	pool_free(&pool);
}

static int add_usage(void *ctx, struct span name, const struct mailbox_row *row,
		     struct us_err *err UNUSED)
{
	struct usage *u = ctx;
	struct mailbox *m;
	struct view_walk walk;
	const struct record *r;
	struct us_err why;

	if (!mailbox_row_is_real(row) || mailbox_open(u->w->store, name, &m, &why) < 0)
		return 0;
	u->folders++;
	walk = view_walk(&m->view, 1);
	while ((r = view_next_live(&m->view, &walk))) {
		u->bytes += r->size;
		u->annotation_bytes += r->annot_bytes;
		u->messages++;
	}
	mailbox_close(&m);
	add_annotations(u, row);
	return 0;
}

static int check_quota(void *ctx, const struct state_quota *quota, struct us_err *err)
{
	struct usage u = {.w = ctx, .root = quota->root};
	struct quota_usage said;

	if (quota_usage(u.w->store, quota->root, &said, err) < 0) {
		walk_complain(u.w, "usage of %.*s: %s", SPAN_ARG(quota->root), err->text);
		return 0;
	}
	assert_int_equal(folder_list_tree(u.w->store, quota->root, add_usage, &u, err), 0);
	if (said.bytes != u.bytes || said.used[STATE_MESSAGE] != u.messages ||
	    said.used[STATE_NUM_FOLDERS] != u.folders ||
	    said.annotation_bytes != u.annotation_bytes)
		walk_complain(u.w, "quota of %.*s: %llu bytes (%llu), counted %llu (%llu)",
			      SPAN_ARG(quota->root), (unsigned long long)said.bytes,
			      (unsigned long long)said.annotation_bytes,
			      (unsigned long long)u.bytes, (unsigned long long)u.annotation_bytes);
	return 0;
}

/* ---- directories ----------------------------------------------------------------------------------------- */

static unsigned count_entries(const char *root, const char *below)
{
	char path[160];
	struct dirent *entry;
	unsigned n = 0;
	DIR *d;

	snprintf(path, sizeof(path), "%s/%s", root, below);
	d = opendir(path);
	while (d && (entry = readdir(d)))
		n += entry->d_name[0] != '.';
	if (d)
		closedir(d);
	return n;
}

static void check_partition(struct walk *w, struct partition *p)
{
	unsigned lost, again;
	struct us_err err;

	(void)stage_sweep(p);
	if (count_entries(p->path, "stage"))
		walk_complain(w, "staging is left on %s", p->name);
	if (folder_collect_lost(w->store, p, store_now() + 10, &lost, &err) < 0 ||
	    folder_collect_lost(w->store, p, store_now() + 10, &again, &err) < 0)
		walk_complain(w, "lost directories of %s: %s", p->name, err.text);
	else if (again)
		walk_complain(w, "%u directories of %s stay lost", again, p->name);
}

/* ---- life goes on ------------------------------------------------------------------------------------------ */

static int set_flag(struct commit *c, struct mailbox *m, const void *arg UNUSED, struct us_err *err)
{
	struct view_walk walk = view_walk(&m->view, 1);
	const struct record *r = view_next_live(&m->view, &walk);
	struct record after;

	if (!r)
		return us_fail(err, US_ENOENT, "no message");
	after = *r;
	after.system_flags ^= FLAG_DRAFT;
	after.modseq = commit_modseq(c);
	after.last_updated = store_now();
	return commit_put(c, &after, err);
}

static int use_mailbox(struct walk *w, const char *name, struct us_err *err)
{
	int rc = walk_append(w, name, 900, err);

	return rc < 0 ? rc : walk_change(w, name, set_flag, NULL, err);
}

/* A bit of everything; 0 if all of it went well. What cannot work at all fails at once, and changes nothing. */
static int use_store(struct walk *w, struct us_err *err)
{
	struct folder_create options = {.uniqueid = SPAN_LIT("uniqueid-afterwards")};
	struct span a = SPAN_LIT("user.amy.after"), b = SPAN_LIT("user.amy.later");
	int rc = folder_create(w->store, a, &options, err);

	if (rc == 0)
		rc = use_mailbox(w, "user.amy.after", err);
	if (rc == 0)
		rc = folder_rename(w->store, a, b, SPAN_NULL, 0, err);
	if (rc == 0)
		rc = folder_delete(w->store, b, FOLDER_DELETE_NOW, err);
	if (rc == 0)
		rc = use_mailbox(w, "user.amy", err);
	if (rc == 0)
		rc = use_mailbox(w, "user.bob", err);
	return rc == US_ENOENT ? 0 : rc; /* bob may be gone */
}

int walk_go_on(struct walk *w, const struct walk_op *op, struct us_err *err)
{
	struct buf text = BUF_INIT;

	if (!w->shared->poisoned && meta_barrier(store_meta(w->store), err) == 0 &&
	    !(op->flags & WALK_DAMAGED)) {
		walk_settle(w);
		walk_dump(w, &text);
		check_state(w, op, &text);
	}
	buf_free(&text);
	return use_store(w, err);
}

/* ---- all of it ------------------------------------------------------------------------------------------------ */

static void lift_poison(struct walk *w)
{
	struct us_err err;

	for (size_t i = 0; store_partition_at(w->store, i); i++)
		assert_ok(partition_recover(store_partition_at(w->store, i), &err), &err);
}

static void check_soundness(struct walk *w, const struct walk_op *op)
{
	struct us_err err;

	w->may_leave = op->flags & WALK_LEAVES;
	if (!w->may_leave)
		assert_int_equal(walk_each_mailbox(w, check_messages_only), 0);
	assert_int_equal(walk_each_mailbox(w, check_reconstruct), 0);
	assert_int_equal(walk_each_mailbox(w, check_hdr), 0);
	assert_ok(quota_list(w->store, SPAN_NULL, check_quota, w, &err), &err);
	check_partition(w, store_partition_at(w->store, 0));
	check_partition(w, store_partition_at(w->store, 1));
}

static void check_use(struct walk *w)
{
	struct us_err err = {0};
	struct buf before = BUF_INIT, after = BUF_INIT;

	if (mailbox_name_of_uniqueid(w->store, SPAN_LIT("uniqueid-of-1005"), &before, &err) <= 0) {
		buf_free(&before);
		return; /* the world was empty */
	}
	buf_clear(&before);
	if (use_store(w, &err) < 0)
		walk_complain(w, "afterwards: %s", err.text);
	assert_int_equal(walk_each_mailbox(w, compact_one), 0);
	walk_dump(w, &before);
	store_close(&w->store);
	walk_open(w);
	walk_dump(w, &after);
	show_difference(w, "opened again, the store is another one", buf_span(&before),
			buf_span(&after));
	buf_free(&before);
	buf_free(&after);
}

void walk_verify(struct walk *w, const struct walk_op *op, bool used)
{
	struct buf text = BUF_INIT;
	struct us_err err;

	w->mode = WALK_SILENT;
	if (walk_try_open(w, &err) < 0) {
		walk_complain(w, "cannot be opened: %s", err.text);
		return;
	}
	lift_poison(w);
	walk_settle(w);
	if (op->flags & WALK_DAMAGED)
		(void)op->run(w, &err);
	walk_dump(w, &text);
	if (!(op->flags & WALK_DAMAGED) && !used)
		check_state(w, op, &text);
	else if (op->flags & WALK_DAMAGED && !used &&
		 !same(w->shared, w->shared->n_states - 1, &text))
		show_difference(w, "repaired in two goes it is another one",
				span_make(w->shared->pool +
						  w->shared->state[w->shared->n_states - 1].at,
					  w->shared->state[w->shared->n_states - 1].len),
				buf_span(&text));
	check_soundness(w, op);
	check_use(w);
	store_close(&w->store);
	buf_free(&text);
}
