/* ops.c - the operations of the walk: what each does, what it begins with, what it has to pass; see walk.h. */
#include "tests/unit/store/walk/walk.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/wait.h>

#include "server/store/annotations.h"
#include "server/store/cache.h"
#include "server/store/channelmark.h"
#include "server/store/duplicate.h"
#include "server/store/expire.h"
#include "server/store/keywords.h"
#include "server/store/quota.h"
#include "server/store/reconstruct.h"
#include "server/store/rows.h"
#include "server/store/user_rename.h"
#include "server/store/userdata.h"
#include "server/base/io.h"

#define BOB  SPAN_LIT("user.bob")
#define SENT SPAN_LIT("user.bob.Sent")

/* One call, one step. */
static int one_step(struct walk *w, int rc)
{
	if (rc >= 0)
		walk_acked(w);
	return rc < 0 ? rc : 0;
}

/* ---- messages ------------------------------------------------------------------------------------------ */

static int add_staged(struct commit *c, struct mailbox *m UNUSED, const void *arg,
		      struct us_err *err)
{
	struct record r = {.internaldate_ns = 1770026460LL * 1000000000};

	return message_append(c, (struct staged *)arg, &r, NULL, err);
}

/* One body for two mailboxes on its partition and one on another, each recipient by himself. */
static int run_deliver(struct walk *w, struct us_err *err)
{
	static const char *const to[] = {"user.bob", "user.amy", "news"};
	struct stage *stage = NULL;
	struct staged staged = {.fd = -1};
	int rc = stage_open(store_default_partition(w->store), &stage, err);

	if (rc == 0)
		rc = walk_stage(stage, 100, &staged, err);
	for (size_t i = 0; rc == 0 && i < ARRAY_SIZE(to); i++) {
		rc = walk_change(w, to[i], add_staged, &staged, err);
		if (rc == 0)
			walk_acked(w);
	}
	staged_drop(&staged, false);
	stage_close(&stage);
	return rc;
}

#define MOST_RECIPIENTS 10

struct delivery {
	const char *const *to;
	size_t n;
	struct mailbox_locking m[MOST_RECIPIENTS];
	struct meta_batch marks[MOST_RECIPIENTS];
	struct commit_end end[MOST_RECIPIENTS];
	size_t n_ends;
};

static void begin_one(struct delivery *d, size_t i, struct staged *staged)
{
	struct record r = {.internaldate_ns = 1770026460LL * 1000000000};
	struct mailbox_locking *m = &d->m[i];
	struct commit *c = NULL;
	uint32_t uid;

	if (m->rc == 0)
		m->rc = commit_begin(m->m, &c, &m->err);
	if (m->rc == 0)
		m->rc = message_append(c, staged, &r, &uid, &m->err);
	if (m->rc < 0) {
		commit_abort(&c);
		return;
	}
	duplicate_mark(&d->marks[i], m->m, SPAN_LIT("<150@x>"), SPAN_LIT("today"), uid);
	commit_meta(c, &d->marks[i], /* lazy */ true);
	d->end[d->n_ends++].commit = c;
}

/* What went wrong first. */
static int result_of(const struct delivery *d, struct us_err *err)
{
	for (size_t i = 0; i < d->n; i++)
		if (d->m[i].rc < 0) {
			*err = d->m[i].err;
			return d->m[i].rc;
		}
	for (size_t i = 0; i < d->n_ends; i++)
		if (d->end[i].rc < 0) {
			*err = d->end[i].err;
			return d->end[i].rc;
		}
	return 0;
}

/* As lmtpd does it: one end for all, and marks that suppress a second copy. They are acknowledged together. */
static int deliver_to(struct walk *w, const char *const *to, size_t n, struct us_err *err)
{
	struct delivery d = {.to = to, .n = n};
	struct stage *stage = NULL;
	struct staged staged = {.fd = -1};
	int rc = stage_open(store_default_partition(w->store), &stage, err);

	if (rc == 0)
		rc = walk_stage(stage, 150, &staged, err);
	for (size_t i = 0; i < n; i++) {
		meta_batch_init(&d.marks[i]);
		if (rc == 0)
			rc = mailbox_open(w->store, span_of(to[i]), &d.m[i].m, err);
	}
	if (rc == 0) {
		mailbox_lock_many(d.m, n, /* wait */ true);
		for (size_t i = 0; i < n; i++)
			begin_one(&d, i, &staged);
		commit_finish_all(d.end, d.n_ends);
		rc = result_of(&d, err);
	}
	for (size_t i = 0; i < n; i++) {
		mailbox_close(&d.m[i].m);
		meta_batch_fini(&d.marks[i]);
	}
	staged_drop(&staged, false);
	stage_close(&stage);
	return one_step(w, rc);
}

static int run_deliver_all(struct walk *w, struct us_err *err)
{
	static const char *const to[] = {"user.bob", "user.amy", "user.bob.Sent", "news"};

	return deliver_to(w, to, ARRAY_SIZE(to), err);
}

static const char *const ten[MOST_RECIPIENTS] = {"user.x0", "user.x1", "user.x2", "user.x3",
						 "user.x4", "user.x5", "user.x6", "user.x7",
						 "user.x8", "user.x9"};

static int run_deliver_ten(struct walk *w, struct us_err *err)
{
	return deliver_to(w, ten, ARRAY_SIZE(ten), err);
}

static void make_ten(struct walk *w)
{
	struct us_err err;

	walk_open(w);
	for (size_t i = 0; i < ARRAY_SIZE(ten); i++) {
		struct folder_create options = {.uniqueid = span_of(ten[i])};
		assert_ok(folder_create(w->store, span_of(ten[i]), &options, &err), &err);
	}
	store_close(&w->store);
}

static int add_many(struct commit *c, struct mailbox *m, const void *arg, struct us_err *err)
{
	struct staged *staged = (struct staged *)arg;
	int rc = 0;

	for (int i = 0; rc == 0 && i < 12; i++)
		rc = add_staged(c, m, &staged[i], err);
	return rc;
}

static int run_deliver_many(struct walk *w, struct us_err *err)
{
	struct stage *stage = NULL;
	struct staged staged[12];
	int rc = stage_open(store_default_partition(w->store), &stage, err), n = 0;

	while (rc == 0 && n < 12) {
		staged[n] = (struct staged){.fd = -1};
		rc = walk_stage(stage, 200 + n, &staged[n], err);
		n++;
	}
	if (rc == 0)
		rc = walk_change(w, "user.bob", add_many, staged, err);
	if (rc == 0)
		walk_acked(w);
	while (n > 0)
		staged_drop(&staged[--n], true);
	stage_close(&stage);
	return rc;
}

static int set_seen(struct commit *c, struct mailbox *m, const void *arg UNUSED, struct us_err *err)
{
	int rc = 0;

	for (uint32_t uid = 2; rc == 0 && uid <= 4; uid++) {
		struct record r = *view_find(&m->view, uid);
		r.system_flags ^= FLAG_SEEN;
		r.modseq = commit_modseq(c);
		r.last_updated = store_now();
		rc = commit_put(c, &r, err);
	}
	return rc;
}

static int run_flags(struct walk *w, struct us_err *err)
{
	return one_step(w, walk_change(w, "user.bob", set_seen, NULL, err));
}

static int set_keyword(struct commit *c, struct mailbox *m, const void *arg UNUSED,
		       struct us_err *err)
{
	struct record r = *view_find(&m->view, 3);
	unsigned bit;
	int rc = commit_flag_bit(c, SPAN_LIT("Important"), &bit, err);

	if (rc < 0)
		return rc;
	record_set_user_flag(&r, bit, true);
	r.modseq = commit_modseq(c);
	r.last_updated = store_now();
	return commit_put(c, &r, err);
}

static int run_keyword(struct walk *w, struct us_err *err)
{
	return one_step(w, walk_change(w, "user.bob", set_keyword, NULL, err));
}

static int annotate(struct commit *c, struct mailbox *m, const void *arg UNUSED, struct us_err *err)
{
	int rc = 0;

	for (uint32_t uid = 2; rc == 0 && uid <= 3; uid++) {
		struct record r = *view_find(&m->view, uid);
		rc = commit_annotate(c, uid, SPAN_LIT("/altsubject"), SPAN_LIT(""),
				     SPAN_LIT("another"), commit_modseq(c), err);
		r = *view_find(&m->view, uid);
		r.modseq = commit_modseq(c);
		if (rc == 0)
			rc = commit_put(c, &r, err);
	}
	return rc;
}

static int run_annotate_messages(struct walk *w, struct us_err *err)
{
	return one_step(w, walk_change(w, "user.bob", annotate, NULL, err));
}

static int copy_two(struct commit *c, struct mailbox *m UNUSED, const void *arg, struct us_err *err)
{
	struct mailbox *from = (struct mailbox *)arg;
	int rc = 0;

	for (uint32_t uid = 1; rc == 0 && uid <= 2; uid++) {
		struct record r = *view_find(&from->view, uid);
		struct commit_source source = {.mailbox = from, .uid = uid};
		r.uid = 0;
		r.modseq = r.createdmodseq = 0;
		r.user_flags[0] = r.user_flags[1] = 0;
		r.annot_crc = r.annot_bytes = 0;
		r.cache_version = r.cache_length = 0;
		rc = commit_append(c, &r, &source, SPAN_LIT(""), NULL, err);
	}
	return rc;
}

static int copy_to(struct walk *w, const char *to, struct us_err *err)
{
	struct mailbox *from = NULL;
	int rc = mailbox_open(w->store, BOB, &from, err);

	if (rc == 0)
		rc = walk_change(w, to, copy_two, from, err);
	mailbox_close(&from);
	return rc;
}

static int run_copy(struct walk *w, struct us_err *err)
{
	return one_step(w, copy_to(w, "user.bob.Sent", err));
}

static int run_copy_far(struct walk *w, struct us_err *err)
{
	return one_step(w, copy_to(w, "news", err));
}

static int expunge(struct commit *c, struct mailbox *m, const void *arg UNUSED, struct us_err *err)
{
	int rc = 0;

	for (uint32_t uid = 1; rc == 0 && uid <= 2; uid++) {
		struct record r = *view_find(&m->view, uid);
		r.internal_flags |= RECORD_EXPUNGED;
		r.modseq = commit_modseq(c);
		r.last_updated = store_now();
		rc = commit_put(c, &r, err);
	}
	return rc;
}

static int run_expunge(struct walk *w, struct us_err *err)
{
	return one_step(w, walk_change(w, "user.bob", expunge, NULL, err));
}

/* MOVE: what is added first stays, whatever becomes of the rest. */
static int run_move(struct walk *w, struct us_err *err)
{
	int rc = one_step(w, copy_to(w, "user.amy", err));

	return rc < 0 ? rc : run_expunge(w, err);
}

static int unlink_expunged(struct commit *c, struct mailbox *m UNUSED, const void *arg UNUSED,
			   struct us_err *err)
{
	return commit_unlink(c, 5, 5, err);
}

static int run_unlink(struct walk *w, struct us_err *err)
{
	return one_step(w, walk_change(w, "user.bob", unlink_expunged, NULL, err));
}

/* In turns of two of the four that are there: each is a commit of its own. */
static int run_expire(struct walk *w, struct us_err *err)
{
	struct expire_rule rule = {.before = store_now()};
	struct expire_turn turn = {.most = 2};
	struct mailbox *m = NULL;
	int rc = mailbox_open(w->store, BOB, &m, err);

	while (rc >= 0 && turn.done < 4) {
		rc = expire_messages(m, &rule, &turn, err);
		if (rc >= 0)
			walk_acked(w);
	}
	mailbox_close(&m);
	return rc < 0 ? rc : 0;
}

static int run_purge(struct walk *w, struct us_err *err)
{
	struct expire_turn turn = {.most = 100};
	struct mailbox *m = NULL;
	int rc = mailbox_open(w->store, BOB, &m, err);

	if (rc == 0)
		rc = one_step(w, expire_purge(m, store_now() + 10, &turn, err));
	mailbox_close(&m);
	return rc;
}

static int run_restore(struct walk *w, struct us_err *err)
{
	struct restore_options options = {.clear_deleted = true, .keyword = SPAN_LIT("Back")};
	struct restored list[] = {{.uid = 5}};
	struct mailbox *m = NULL;
	int rc = mailbox_open(w->store, BOB, &m, err);

	if (rc == 0)
		rc = restore_messages(m, list, 1, &options, err);
	if (rc > 0)
		walk_acked(w);
	mailbox_close(&m);
	if (rc == 0) {
		*err = list[0].err;
		rc = list[0].rc;
	}
	return rc < 0 ? rc : 0;
}

static int drop_keyword(struct commit *c, struct mailbox *m, const void *arg UNUSED,
			struct us_err *err)
{
	struct record r = *view_find(&m->view, 2);

	r.user_flags[0] = r.user_flags[1] = 0;
	r.modseq = commit_modseq(c);
	return commit_put(c, &r, err);
}

static void leave_keyword(struct walk *w)
{
	struct us_err err;

	walk_open(w);
	assert_ok(walk_change(w, "user.bob", drop_keyword, NULL, &err), &err);
	store_close(&w->store);
}

static int run_prune_keywords(struct walk *w, struct us_err *err)
{
	struct mailbox *m = NULL;
	int rc = mailbox_open(w->store, BOB, &m, err);

	if (rc == 0)
		rc = one_step(w, keywords_prune(m, NULL, NULL, err));
	mailbox_close(&m);
	return rc;
}

static int open_locked(struct walk *w, struct span name, struct mailbox **out, struct us_err *err)
{
	int rc = mailbox_open(w->store, name, out, err);

	return rc < 0 ? rc : mailbox_lock(*out, err);
}

static int run_compact(struct walk *w, struct us_err *err)
{
	struct mailbox *m = NULL;
	int rc = open_locked(w, BOB, &m, err);

	if (rc == 0)
		rc = compact(m, err);
	mailbox_close(&m);
	return one_step(w, rc);
}

/* As commit_finish() does it: whether the compaction succeeds or not, the next commit under the same lock counts. */
static int run_compact_and_go_on(struct walk *w, struct us_err *err)
{
	struct mailbox *m = NULL;
	struct commit *c = NULL;
	int rc = open_locked(w, BOB, &m, err);

	if (rc == 0) {
		(void)compact(m, err);
		rc = commit_begin(m, &c, err);
	}
	if (rc == 0)
		rc = set_seen(c, m, NULL, err);
	if (rc == 0)
		rc = commit_finish(&c, err);
	commit_abort(&c);
	mailbox_close(&m);
	return one_step(w, rc);
}

static int run_cache(struct walk *w, struct us_err *err)
{
	struct mailbox *m = NULL;
	struct buf made = BUF_INIT;
	struct cache_keeper keeper;
	struct span payload;
	int rc = mailbox_open(w->store, BOB, &m, err);

	if (rc == 0) {
		cache_keeper_init(&keeper, m);
		rc = message_payload(m, view_find(&m->view, 2), &made, &payload, err);
		if (rc > 0)
			cache_keeper_add(&keeper, 2, payload);
		cache_keeper_fini(&keeper);
	}
	buf_free(&made);
	mailbox_close(&m);
	return one_step(w, rc);
}

static void lose_cache(struct walk *w)
{
	struct mailbox *m;
	struct us_err err;

	walk_open(w);
	assert_ok(mailbox_open(w->store, BOB, &m, &err), &err);
	assert_int_equal(unlinkat(m->dir, "mbox.cache.1", 0), 0);
	mailbox_close(&m);
	store_close(&w->store);
}

/* What RESERVE and MESSAGE do: adopt from another mailbox, stage, make durable, throw away. */
static int run_stage(struct walk *w, struct us_err *err)
{
	struct stage *stage = NULL, *far = NULL;
	struct staged s = {.fd = -1};
	struct mailbox *m = NULL;
	struct guid guid = {{0}};
	int rc = mailbox_open(w->store, BOB, &m, err);

	if (rc == 0)
		guid = view_find(&m->view, 1)->guid;
	if (rc == 0)
		rc = stage_open(store_default_partition(w->store), &stage, err);
	if (rc == 0)
		rc = stage_open(store_partition(w->store, SPAN_LIT("p2")), &far, err);
	if (rc == 0)
		rc = stage_adopt(stage, m->dir, "1.", &guid, err);
	if (rc == 0)
		rc = stage_adopt(far, m->dir, "1.", &guid, err);
	if (rc == 0)
		rc = walk_stage(stage, 300, &s, err);
	if (rc == 0)
		rc = staged_sync(&s, err);
	if (rc == 0)
		rc = stage_sync(stage, err);
	if (rc == 0)
		rc = stage_clear(stage, err);
	staged_drop(&s, false);
	stage_close(&stage);
	stage_close(&far);
	mailbox_close(&m);
	return one_step(w, rc);
}

/* ---- names --------------------------------------------------------------------------------------------- */

static int create(struct walk *w, const char *name, const char *uniqueid, const char *partition,
		  struct us_err *err)
{
	struct folder_create options = {.uniqueid = span_of(uniqueid),
					.partition = span_of(partition),
					.acl = SPAN_LIT("bob\tlrs\t"),
					.uidvalidity = 2001};

	return one_step(w, folder_create(w->store, span_of(name), &options, err));
}

static int run_create(struct walk *w, struct us_err *err)
{
	return create(w, "user.bob.New", "uniqueid-new", "", err);
}

static int run_create_user(struct walk *w, struct us_err *err)
{
	return create(w, "user.carl", "uniqueid-carl", "", err);
}

static int run_create_far(struct walk *w, struct us_err *err)
{
	return create(w, "user.bob.Far", "uniqueid-far", "p2", err);
}

/* A mailbox where there was a name without one. */
static int run_create_over(struct walk *w, struct us_err *err)
{
	return create(w, "user.bob.Lists", "uniqueid-lists", "", err);
}

/* It was removed, and comes back under its old name and id. */
static int run_create_again(struct walk *w, struct us_err *err)
{
	return create(w, "user.amy.old", "uniqueid-of-1008", "", err);
}

static int run_entry(struct walk *w, struct us_err *err)
{
	struct mailbox_row row = {.type = SPAN_LIT("ei"),
				  .uniqueid = SPAN_LIT("uniqueid-entry"),
				  .createdmodseq = 5,
				  .foldermodseq = 6};

	return one_step(w, folder_put_entry(w->store, SPAN_LIT("user.bob.Node"), &row, err));
}

static int run_rename(struct walk *w, struct us_err *err)
{
	return one_step(w,
			folder_rename(w->store, SENT, SPAN_LIT("user.bob.Out"), SPAN_NULL, 0, err));
}

static int run_rename_over(struct walk *w, struct us_err *err)
{
	return one_step(w, folder_rename(w->store, SENT, SPAN_LIT("user.bob.Lists"), SPAN_NULL, 0,
					 err));
}

static int run_rename_user(struct walk *w, struct us_err *err)
{
	return one_step(w, folder_rename(w->store, SPAN_LIT("user.amy.box"),
					 SPAN_LIT("user.bob.box"), SPAN_NULL, 0, err));
}

static int run_rename_partition(struct walk *w, struct us_err *err)
{
	return one_step(w, folder_rename(w->store, BOB, BOB, SPAN_LIT("p2"), 0, err));
}

static int run_rename_and_partition(struct walk *w, struct us_err *err)
{
	return one_step(w, folder_rename(w->store, SPAN_LIT("user.amy.box"),
					 SPAN_LIT("user.amy.crate"), SPAN_LIT("p2"), 0, err));
}

/* A peer's order, with another uidvalidity: that first, then the name; he repeats it until both are done. */
static int run_rename_replicated(struct walk *w, struct us_err *err)
{
	return one_step(w, folder_rename_replicated(w->store, SENT, SPAN_LIT("user.bob.Out"),
						    SPAN_LIT("default"), 3004, err));
}

static int run_delete(struct walk *w, struct us_err *err)
{
	return one_step(w,
			folder_delete(w->store, SPAN_LIT("user.amy.box"), FOLDER_DELETE_NOW, err));
}

static int run_delete_trash(struct walk *w, struct us_err *err)
{
	return one_step(w, folder_delete(w->store, SPAN_LIT("user.amy.box"), FOLDER_DELETE_TRASH,
					 err));
}

static int run_delete_delayed(struct walk *w, struct us_err *err)
{
	return one_step(w, folder_delete_delayed(w->store, SPAN_LIT("user.amy.box"), NULL, err));
}

static int run_delete_entry(struct walk *w, struct us_err *err)
{
	return one_step(w, folder_delete(w->store, SPAN_LIT("user.bob.Lists"), FOLDER_DELETE_NOW,
					 err));
}

static void fill_trash(struct walk *w)
{
	struct us_err err;

	walk_open(w);
	assert_ok(folder_delete(w->store, SPAN_LIT("user.amy.box"), FOLDER_DELETE_TRASH, &err),
		  &err);
	store_close(&w->store);
}

static int run_sweep_trash(struct walk *w, struct us_err *err UNUSED)
{
	(void)partition_sweep_trash(store_default_partition(w->store), store_now() + 10, NULL);
	walk_acked(w);
	return 0;
}

static int run_remove_user(struct walk *w, struct us_err *err)
{
	return one_step(w, user_remove(w->store, SPAN_LIT("bob"), FOLDER_DELETE_TRASH, err));
}

static int run_copy_user(struct walk *w, struct us_err *err)
{
	return one_step(w, user_copy_data(w->store, SPAN_LIT("bob"), SPAN_LIT("carl"), err));
}

/* ---- what else is in metad ------------------------------------------------------------------------------- */

static int run_subscribe(struct walk *w, struct us_err *err)
{
	int rc = one_step(w, subscription_set(w->store, SPAN_LIT("bob"), BOB, true, err));

	return rc < 0 ? rc
		      : one_step(w, subscription_set(w->store, SPAN_LIT("bob"), SENT, false, err));
}

static int run_setacl(struct walk *w, struct us_err *err)
{
	struct mailbox *m = NULL;
	int rc = open_locked(w, BOB, &m, err);

	if (rc == 0)
		rc = folder_set_acl(m, SPAN_LIT("bob\tlrswi\tamy\tlr\t"), err);
	mailbox_close(&m);
	return one_step(w, rc);
}

static int run_annotate_mailbox(struct walk *w, struct us_err *err)
{
	struct mailbox *m = NULL;
	int rc = open_locked(w, BOB, &m, err);

	if (rc == 0)
		rc = annotation_set(m, SPAN_LIT("/color"), SPAN_LIT("bob"), SPAN_LIT("red"), err);
	if (rc == 0)
		walk_acked(w);
	if (rc == 0)
		rc = one_step(w, annotation_set(m, SPAN_LIT("/comment"), SPAN_LIT(""), SPAN_NULL,
						err));
	mailbox_close(&m);
	return rc;
}

static int run_annotate_server(struct walk *w, struct us_err *err)
{
	return one_step(w, annotation_set_server(w->store, SPAN_LIT("/motd"), SPAN_LIT(""),
						 SPAN_LIT("good bye"), err));
}

static int run_setquota(struct walk *w, struct us_err *err)
{
	struct state_quota old = {.root = BOB, .limit = {2000, -1, -1, 50}};
	struct state_quota new = {.root = SPAN_LIT("user.amy"), .limit = {10, -1, -1, -1}};
	int rc = one_step(w, quota_set(w->store, &old, err));

	return rc < 0 ? rc : one_step(w, quota_set(w->store, &new, err));
}

static int run_remove_quota(struct walk *w, struct us_err *err)
{
	return one_step(w, quota_remove(w->store, BOB, err));
}

static int run_seen(struct walk *w, struct us_err *err)
{
	struct state_seen seen = {.uniqueid = SPAN_LIT("uniqueid-of-1009"),
				  .lastread = 1770000100,
				  .lastuid = 1,
				  .lastchange = 1770000101,
				  .seenuids = SPAN_LIT("1")};

	return one_step(w, seen_set(w->store, SPAN_LIT("amy"), &seen, err));
}

static int run_channelmark(struct walk *w, struct us_err *err)
{
	struct channelmark mark = {.reason = BUF_INIT};
	int rc = one_step(w, channelmark_owe(w->store, "b", "unclean", err));

	if (rc == 0)
		rc = channelmark_get(w->store, "b", &mark, err);
	if (rc >= 0)
		rc = one_step(w, channelmark_settle(w->store, "b", &mark, err));
	channelmark_free(&mark);
	return rc;
}

/* So much that Berkeley DB begins a new log. */
static int run_big_batch(struct walk *w, struct us_err *err)
{
	struct store_change change = {CHANGE_ANNOTATION, SPAN_LIT(""), SPAN_NULL};
	struct buf key = BUF_INIT, payload = BUF_INIT;
	struct meta_batch batch;
	int rc = store_announce(w->store, &change, 1, err);

	meta_batch_init(&batch);
	annotation_key(NULL, SPAN_LIT("/big"), SPAN_LIT(""), &key);
	for (int i = 0; i < 60; i++) {
		buf_clear(&payload);
		buf_add_str(&payload, "%(VALUE ");
		for (int n = 0; n < 30000; n++)
			buf_printf(&payload, "%010d", n * 60 + i);
		buf_add_str(&payload, " MODSEQ 0)");
		meta_batch_put(&batch, META_ANNOTATIONS, buf_span(&key), buf_span(&payload));
	}
	if (rc == 0)
		rc = meta_commit(store_meta(w->store), &batch, META_DURABLE, err);
	if (rc == 0)
		rc = meta_barrier(store_meta(w->store), err);
	meta_batch_fini(&batch);
	buf_free(&payload);
	buf_free(&key);
	return one_step(w, rc);
}

/* ---- by order of a peer ------------------------------------------------------------------------------------ */

/* Modseqs, counters and row as the peer has them; a record of his without a message, an expunge, a flag. */
static int apply_parts(struct commit *c, struct mailbox *m, struct staged *staged,
		       struct us_err *err)
{
	struct record r = *view_find(&m->view, 3);
	struct record gone = {.uid = 12, .modseq = 50, .internal_flags = RECORD_EXPUNGED};
	struct record new = {.uid = 14, .modseq = 55, .createdmodseq = 54};
	struct commit_source none = {.none = true};
	struct counters *n;
	int rc;

	r.modseq = 40;
	r.system_flags |= FLAG_ANSWERED;
	rc = commit_put(c, &r, err);
	r = *view_find(&m->view, 4);
	r.modseq = 41;
	r.internal_flags |= RECORD_EXPUNGED;
	if (rc == 0)
		rc = commit_put(c, &r, err);
	if (rc == 0)
		rc = commit_append(c, &gone, &none, SPAN_LIT(""), NULL, err);
	if (rc == 0)
		rc = message_append(c, staged, &new, NULL, err);
	n = commit_counters(c);
	n->highestmodseq = 60;
	n->deletedmodseq = 45;
	n->uidvalidity = 4001;
	n->last_uid = 20;
	return rc;
}

static int apply(struct walk *w, struct staged *staged, struct us_err *err)
{
	static const struct state_annotation wanted[] = {{SPAN_LIT("/comment"), SPAN_LIT(""),
							  SPAN_LIT("his"), 0},
							 {SPAN_LIT("/check"), SPAN_LIT("bob"),
							  SPAN_LIT("yes"), 0}};
	struct pool *pool = pool_new();
	struct meta_batch batch;
	struct mailbox *m = NULL;
	struct commit *c = NULL;
	const struct state_annotation *have;
	size_t n_have;
	int rc = open_locked(w, BOB, &m, err);

	meta_batch_init(&batch);
	if (rc == 0)
		rc = annotations_list(w->store, &m->row.storeid, pool, &have, &n_have, err);
	if (rc == 0) {
		struct mailbox_row row = m->row;
		row.acl = SPAN_LIT("bob\tlr\t");
		row.foldermodseq = 58;
		row.uidvalidity = 4001;
		row.lastmodseq = 0;
		folder_put_row(&batch, BOB, &row);
		annotations_replace(&batch, &m->row.storeid, have, n_have, wanted,
				    ARRAY_SIZE(wanted));
		rc = commit_begin(m, &c, err);
	}
	if (rc == 0)
		rc = apply_parts(c, m, staged, err);
	if (rc == 0) {
		commit_meta(c, &batch, /* lazy */ false);
		rc = commit_finish(&c, err);
	}
	if (rc == 0)
		rc = mailbox_refresh_row(m, err);
	if (rc == 0)
		folder_copy_row(m);
	commit_abort(&c);
	mailbox_close(&m);
	meta_batch_fini(&batch);
	pool_free(&pool);
	return rc;
}

int walk_apply(struct walk *w, struct us_err *err)
{
	struct stage *stage = NULL;
	struct staged staged = {.fd = -1};
	int rc = stage_open(store_default_partition(w->store), &stage, err);

	if (rc == 0)
		rc = walk_stage(stage, 400, &staged, err);
	if (rc == 0)
		rc = apply(w, &staged, err);
	staged_drop(&staged, false);
	stage_close(&stage);
	return one_step(w, rc);
}

/* More records than one frame holds. */
static int apply_thousands(struct commit *c, struct mailbox *m UNUSED, const void *arg UNUSED,
			   struct us_err *err)
{
	struct commit_source none = {.none = true};
	struct counters *n;
	int rc = 0;

	for (uint32_t uid = 101; rc == 0 && uid <= 12100; uid++) {
		struct record r = {.uid = uid,
				   .modseq = 100,
				   .createdmodseq = 100,
				   .internal_flags = RECORD_EXPUNGED};
		rc = commit_append(c, &r, &none, SPAN_LIT(""), NULL, err);
	}
	n = commit_counters(c);
	n->highestmodseq = 100;
	return rc;
}

static int run_apply_thousands(struct walk *w, struct us_err *err)
{
	return one_step(w, walk_change(w, "user.amy", apply_thousands, NULL, err));
}

static int take_values(struct walk *w, struct us_err *err)
{
	struct mailbox *m = NULL;
	int rc = open_locked(w, SENT, &m, err);

	if (rc == 0)
		rc = folder_take_values(m, 5004, 71, 72, err);
	mailbox_close(&m);
	return rc;
}

static int run_take_values(struct walk *w, struct us_err *err)
{
	return one_step(w, take_values(w, err));
}

/* The journal of a mailbox that was renamed still has its metadata half under the old name. */
static void take_values_before(struct walk *w)
{
	struct us_err err;

	walk_open(w);
	assert_ok(take_values(w, &err), &err);
	store_close(&w->store);
}

/* ---- what is done after accidents ---------------------------------------------------------------------------- */

static void child_fails(struct walk *w, const char *point, enum failpoint_action action,
			int (*run)(struct walk *w, struct us_err *err))
{
	struct failpoint_page page;
	struct us_err err;
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		walk_open(w);
		failpoint_page_init(&page);
		snprintf(page.name, sizeof(page.name), "%s", point);
		page.action = action;
		failpoint_use(&page);
		(void)run(w, &err);
		_exit(action == FAILPOINT_KILL ? 1 : page.fired == 1 ? 0 : 2);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (action == FAILPOINT_KILL)
		assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	else
		assert_int_equal(status, 0);
}

static void die_unpublished(struct walk *w)
{
	child_fails(w, "store.journal.sync", FAILPOINT_KILL, walk_apply);
}

/* The frame is published, its metadata half is not in metad. */
static void die_before_metadata(struct walk *w)
{
	child_fails(w, "meta.db.write", FAILPOINT_KILL, walk_apply);
}

static void fail_sync(struct walk *w)
{
	child_fails(w, "store.journal.sync", FAILPOINT_EIO, walk_apply);
}

static void fail_metadata(struct walk *w)
{
	child_fails(w, "meta.db.fsync", FAILPOINT_EIO, run_setacl);
}

static int lock_bob(struct walk *w, struct us_err *err)
{
	struct mailbox *m = NULL;
	int rc = open_locked(w, BOB, &m, err);

	mailbox_close(&m);
	return one_step(w, rc);
}

static int run_recover_partition(struct walk *w, struct us_err *err)
{
	int rc = partition_recover(store_default_partition(w->store), err);

	return rc < 0 ? rc : lock_bob(w, err);
}

static int run_boot(struct walk *w, struct us_err *err)
{
	int rc = lock_bob(w, err);

	return rc < 0 ? rc : run_flags(w, err);
}

static void damage(struct walk *w)
{
	struct mailbox *m;
	struct us_err err;
	int fd;

	walk_open(w);
	assert_ok(mailbox_open(w->store, BOB, &m, &err), &err);
	assert_int_equal(unlinkat(m->dir, "2.", 0), 0);
	assert_int_equal(unlinkat(m->dir, "3.", 0), 0);
	fd = openat(m->dir, "3.", O_WRONLY | O_CREAT, 0600);
	assert_int_equal(write(fd, "Subject: x\r\n\r\nanother\r\n", 23), 23);
	close(fd);
	fd = openat(m->dir, "90.", O_WRONLY | O_CREAT, 0600);
	assert_int_equal(write(fd, "Subject: y\r\n\r\nfound\r\n", 21), 21);
	close(fd);
	mailbox_close(&m);
	store_close(&w->store);
}

static int run_reconstruct(struct walk *w, struct us_err *err)
{
	struct reconstruct_options options = {.check_guids = true, .mismatch = MISMATCH_NEW_UID};
	struct reconstruct_report report;

	return one_step(w, reconstruct_mailbox(w->store, BOB, &options, &report, err));
}

/* Files that somebody put there, more than are worth a sync each. */
static void add_files(struct walk *w)
{
	struct mailbox *m;
	struct us_err err;

	walk_open(w);
	assert_ok(mailbox_open(w->store, BOB, &m, &err), &err);
	for (int i = 90; i < 110; i++) {
		char name[16];
		int fd;
		snprintf(name, sizeof(name), "%d.", i);
		fd = openat(m->dir, name, O_WRONLY | O_CREAT, 0600);
		assert_int_equal(write(fd, "Subject: y\r\n\r\nfound\r\n", 21), 21);
		close(fd);
	}
	mailbox_close(&m);
	store_close(&w->store);
}

static int run_reconstruct_removing(struct walk *w, struct us_err *err)
{
	struct reconstruct_options options = {.check_guids = true,
					      .mismatch = MISMATCH_REMOVE,
					      .odd = ODD_REMOVE};
	struct reconstruct_report report;

	return one_step(w, reconstruct_mailbox(w->store, BOB, &options, &report, err));
}

static void lose_directory(struct walk *w)
{
	struct storeid id = {{0xaa}};
	int dir = -1;
	struct us_err err;

	walk_open(w);
	assert_ok(partition_make_mailbox(store_default_partition(w->store), &id, &dir, &err), &err);
	io_close(&dir);
	store_close(&w->store);
}

static int run_collect_lost(struct walk *w, struct us_err *err)
{
	unsigned n;

	return one_step(w, folder_collect_lost(w->store, store_default_partition(w->store),
					       store_now() + 10, &n, err));
}

/* An abandoned stage is swept by the next who opens one. */
static void abandon_stage(struct walk *w)
{
	child_fails(w, "store.commit.link", FAILPOINT_KILL, run_deliver);
}

static int run_sweep_stage(struct walk *w, struct us_err *err UNUSED)
{
	(void)stage_sweep(store_default_partition(w->store));
	walk_acked(w);
	return 0;
}

/* A name linked by one who then died: the next one who wants it finds it there. */
static void leave_link(struct walk *w)
{
	child_fails(w, "store.commit.sync_file", FAILPOINT_KILL, run_deliver);
}

/* The same of a copy to another partition. */
static void leave_copy(struct walk *w)
{
	child_fails(w, "store.commit.sync_copy", FAILPOINT_KILL, run_copy_far);
}

/* ---- opening and closing --------------------------------------------------------------------------------------- */

static int run_open(struct walk *w, struct us_err *err)
{
	int rc = walk_try_open(w, err);

	if (rc < 0)
		return rc;
	store_close(&w->store);
	walk_acked(w);
	return 0;
}

/* ---- the table -------------------------------------------------------------------------------------------------- */

#define COMMITS "store.journal.write_frame store.journal.sync"
#define METADB  "meta.db.write meta.db.fsync"
#define STAGES  "store.stage.mkdir store.stage.create store.stage.write"
#define GENERATES                                                         \
	"store.journal.create store.index.sync store.compact.sync_names " \
	"store.compact.switch store.compact.sync_switch"
#define MAKES "store.mailbox.mkdir store.mailbox.sync_hash store.mailbox.sync_mkdir " GENERATES

const struct walk_op walk_ops[] = {
	/* clang-format off */
	/* name              flags  states  run                 prepare            must pass */
	{"deliver",              0, 4, run_deliver,             NULL,              STAGES " " COMMITS " store.commit.link store.commit.sync_file store.commit.sync_names store.commit.sync_copy"},
	{"deliver_all", WALK_INDEPENDENT, 2, run_deliver_all,  NULL,              STAGES " store.commit.link store.commit.sync_file store.commit.sync_names " COMMITS},
	{"deliver_ten", WALK_INDEPENDENT, 2, run_deliver_ten,  make_ten,          STAGES " store.commit.link store.commit.syncfs store.journal.write_frame store.commit.syncfs_frames"},
	{"deliver_many",         0, 2, run_deliver_many,        NULL,              STAGES " " COMMITS " store.commit.syncfs"},
	{"deliver_after_death", WALK_REBOOTS, 4, run_deliver,   leave_link,        COMMITS " store.commit.unlink_leftover"},
	{"flags",                0, 2, run_flags,               NULL,              COMMITS},
	{"keyword",              0, 2, run_keyword,             NULL,              COMMITS},
	{"annotate_messages",    0, 2, run_annotate_messages,   NULL,              COMMITS},
	{"copy",                 0, 2, run_copy,                NULL,              COMMITS " store.commit.link store.commit.sync_names"},
	{"copy_far",             0, 2, run_copy_far,            NULL,              COMMITS " store.commit.create_copy store.commit.sync_copy store.commit.sync_names"},
	{"copy_far_after_death", WALK_REBOOTS, 2, run_copy_far, leave_copy,        COMMITS " store.commit.unlink_leftover store.commit.create_copy"},
	{"move",                 0, 3, run_move,                NULL,              COMMITS " store.commit.link store.commit.sync_names"},
	{"expunge",              0, 2, run_expunge,             NULL,              COMMITS},
	{"unlink",    WALK_LEAVES, 2, run_unlink,               NULL,              COMMITS " store.commit.unlink"},
	{"expire",               0, 3, run_expire,              NULL,              COMMITS},
	{"purge",     WALK_LEAVES, 2, run_purge,                NULL,              COMMITS " store.commit.unlink"},
	{"restore",   WALK_LEAVES, 2, run_restore,              NULL,              COMMITS " store.commit.link store.commit.sync_names store.commit.unlink"},
	{"prune_keywords",       0, 1, run_prune_keywords,      leave_keyword,     GENERATES " store.hdr.rename"},
	{"compact",              0, 1, run_compact,             NULL,              GENERATES},
	{"compact_and_go_on",    0, 2, run_compact_and_go_on,   NULL,              GENERATES " " COMMITS},
	{"cache",                0, 1, run_cache,               lose_cache,        COMMITS " store.cache.create store.cache.append"},
	{"stage",                0, 1, run_stage,               NULL,              STAGES " store.stage.adopt store.stage.sync store.stage.unlink store.tree.rmdir"},
	{"create",               0, 2, run_create,              NULL,              MAKES " " METADB " store.hdr.write store.hdr.rename"},
	{"create_user",          0, 2, run_create_user,         NULL,              MAKES " store.lock.mkdir_hash"},
	{"create_far",           0, 2, run_create_far,          NULL,              MAKES " " METADB},
	{"create_over",          0, 2, run_create_over,         NULL,              MAKES " " METADB},
	{"create_again",         0, 2, run_create_again,        NULL,              MAKES " " METADB},
	{"entry",                0, 2, run_entry,               NULL,              METADB},
	{"rename",               0, 2, run_rename,              NULL,              METADB " store.hdr.rename"},
	{"rename_over",          0, 2, run_rename_over,         NULL,              METADB},
	{"rename_user",          0, 2, run_rename_user,         NULL,              METADB},
	{"rename_partition",     0, 2, run_rename_partition,    NULL,              METADB " " MAKES " store.move.write store.move.sync store.mailbox.trash"},
	{"rename_and_partition", 0, 2, run_rename_and_partition, NULL,             METADB " " MAKES " store.move.write store.move.sync store.mailbox.trash"},
	{"rename_replicated",    0, 3, run_rename_replicated,   NULL,              METADB " " COMMITS},
	{"rename_after_values",  0, 2, run_rename,   take_values_before, METADB " store.hdr.rename"},
	{"delete",               0, 2, run_delete,              NULL,              METADB " store.mailbox.trash store.tree.unlink store.tree.rmdir"},
	{"delete_trash",         0, 2, run_delete_trash,        NULL,              METADB " store.mailbox.trash"},
	{"delete_delayed",       0, 2, run_delete_delayed,      NULL,              METADB},
	{"delete_entry",         0, 2, run_delete_entry,        NULL,              METADB},
	{"sweep_trash",          0, 1, run_sweep_trash,         fill_trash,        "store.tree.unlink store.tree.rmdir"},
	{"remove_user",          0, 7, run_remove_user,         NULL,              METADB " store.mailbox.trash"},
	{"copy_user",            0, 4, run_copy_user,           NULL,              METADB},
	{"subscribe",            0, 3, run_subscribe,           NULL,              METADB},
	{"setacl",               0, 2, run_setacl,              NULL,              METADB " store.hdr.rename"},
	{"annotate_mailbox",     0, 3, run_annotate_mailbox,    NULL,              METADB " store.hdr.rename"},
	{"annotate_server",      0, 2, run_annotate_server,     NULL,              METADB},
	{"setquota",             0, 3, run_setquota,            NULL,              METADB " store.hdr.rename"},
	{"remove_quota",         0, 2, run_remove_quota,        NULL,              METADB " store.hdr.rename"},
	{"seen",                 0, 2, run_seen,                NULL,              METADB},
	{"channelmark",          0, 3, run_channelmark,         NULL,              METADB},
	{"big_batch",            0, 2, run_big_batch,           NULL,              METADB " meta.db.create"},
	{"apply",                0, 2, walk_apply,               NULL,              COMMITS " " METADB " store.commit.sync_file store.hdr.rename"},
	{"apply_thousands",      0, 2, run_apply_thousands,     NULL,              COMMITS},
	{"take_values",          0, 2, run_take_values,         NULL,              COMMITS " " METADB},
	{"repair",     WALK_UNSURE, 1, lock_bob,                die_unpublished,   "store.repair.sync " METADB},
	{"repair_metadata",      0, 1, lock_bob,                die_before_metadata, METADB},
	{"boot",      WALK_REBOOTS, 2, run_boot,                NULL,              "store.recover.blot store.recover.sync"},
	{"boot_after_death", WALK_REBOOTS | WALK_UNSURE, 2, run_boot,         die_unpublished,   "store.recover.blot store.recover.sync " METADB},
	{"recover_partition", WALK_UNSURE, 1, run_recover_partition, fail_sync,   "store.recover.blot store.recover.sync"},
	{"reconstruct", WALK_DAMAGED, 2, run_reconstruct,       damage,            "store.reconstruct.rename store.compact.switch store.index.write_records"},
	{"reconstruct_removing", WALK_DAMAGED, 2, run_reconstruct_removing, damage, "store.reconstruct.remove store.compact.switch store.index.write_records"},
	{"reconstruct_many", WALK_DAMAGED, 2, run_reconstruct,  add_files,         "store.reconstruct.syncfs store.compact.switch store.index.write_records"},
	{"collect_lost",         0, 1, run_collect_lost,        lose_directory,    "store.lost.rename"},
	{"sweep_stage",          0, 1, run_sweep_stage,         abandon_stage,     "store.tree.unlink store.tree.rmdir"},
	{"open_first",  WALK_OPENS, 1, run_open,                walk_make_directories,  "store.lock.mkdir store.partition.mkdir store.partition.sync store.partition.link_state meta.db.create meta.db.fsync meta.db.sync_dir"},
	{"open_again",  WALK_OPENS, 1, run_open,                NULL,              "meta.db.fsync"},
	{"open_after_failed_sync", WALK_OPENS, 1, run_open,     fail_metadata,     "meta.refresh.write meta.refresh.sync meta.refresh.rename meta.refresh.sync_dir meta.refresh.unlink meta.refresh.sync_end"},
	/* clang-format on */
};
const size_t walk_n_ops = ARRAY_SIZE(walk_ops);
