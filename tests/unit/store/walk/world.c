/* world.c - the small store every operation of the walk begins with; see walk.h. */
#include "tests/unit/store/walk/walk.h"

#include <errno.h>
#include <sys/syscall.h>

#include "server/store/annotations.h"
#include "server/store/quota.h"
#include "server/store/userdata.h"

/* ---- another file system ----------------------------------------------------------------------------- */

static bool is_in_spool2(int fd)
{
	char link[40], path[400];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof(path) - 1);
	path[n < 0 ? 0 : n] = '\0';
	return strstr(path, "/spool2") != NULL;
}

/* In place of the C library's: no link between the partitions, as if each were a file system of its own. */
int linkat(int from_dir, const char *from, int to_dir, const char *to, int flags)
{
	if (is_in_spool2(from_dir) != is_in_spool2(to_dir)) {
		errno = EXDEV;
		return -1;
	}
	return (int)syscall(SYS_linkat, from_dir, from, to_dir, to, flags);
}

/* ---- opening --------------------------------------------------------------------------------------- */

static void hear(struct walk_shared *s, const struct store_change *changes, size_t n)
{
	for (size_t i = 0; i < n; i++)
		s->heard_len +=
			(size_t)snprintf(s->heard + s->heard_len, sizeof(s->heard) - s->heard_len,
					 "%s %.*s %.*s\n", rig_kinds[changes[i].kind],
					 SPAN_ARG(changes[i].a), SPAN_ARG(changes[i].b));
}

/* An announcement comes before a commit: what is shown now is a state in which a death may leave the store. */
static int changing(void *ctx, const struct store_change *changes, size_t n, struct us_err *err)
{
	struct walk *w = ctx;
	struct walk_shared *s = w->shared;

	s->announced++;
	if (w->mode == WALK_RECORD)
		walk_note_state(w, s->acked + 1);
	if (w->mode == WALK_DISTURB && s->announced == s->refuse_at)
		return us_fail(err, US_EIO, "the test's sync log is full");
	hear(s, changes, n);
	return 0;
}

int walk_try_open(struct walk *w, struct us_err *err)
{
	char config[80], spool[80], spool2[80];
	struct {
		const char *name, *path;
	} partitions[2] = {{"default", spool}, {"p2", spool2}};
	struct store_config c = {.configdirectory = config,
				 .partitions = (void *)partitions,
				 .n_partitions = 2,
				 .defaultpartition = "default",
				 .delete_delayed = true,
				 .lock_wait_ms = 2000,
				 .may_own_meta = true};

	snprintf(config, sizeof(config), "%s/conf", w->root);
	snprintf(spool, sizeof(spool), "%s/spool", w->root);
	snprintf(spool2, sizeof(spool2), "%s/spool2", w->root);
	w->observer = (struct store_observer){changing, w};
	return store_open_write(&c, &w->observer, &w->store, err);
}

void walk_open(struct walk *w)
{
	struct us_err err;

	assert_ok(walk_try_open(w, &err), &err);
}

void walk_make_directories(struct walk *w)
{
	char command[300];

	snprintf(command, sizeof(command),
		 "rm -rf %s && mkdir -m 700 %s && cd %s && mkdir -m 700 conf spool spool2", w->root,
		 w->root, w->root);
	assert_int_equal(system(command), 0);
}

void walk_acked(struct walk *w)
{
	w->shared->acked++;
	if (w->mode == WALK_RECORD)
		walk_note_state(w, w->shared->acked);
}

/* ---- what operations are made of --------------------------------------------------------------------- */

int walk_stage(struct stage *stage, int number, struct staged *out, struct us_err *err)
{
	char text[200];
	int rc = staged_begin(stage, NULL, out, err);

	snprintf(text, sizeof(text),
		 "From: a@example.net\r\nSubject: %d\r\nDate: Mon, 02 Feb 2026 10:01:00 "
		 "+0000\r\n\r\n"
		 "Message %d.\r\n",
		 number, number);
	if (rc == 0)
		rc = staged_write(out, text, strlen(text), err);
	if (rc == 0)
		rc = staged_end(out, 1770026460LL * 1000000000, err);
	return rc;
}

int walk_change(struct walk *w, const char *name, walk_parts *parts, const void *arg,
		struct us_err *err)
{
	struct mailbox *m = NULL;
	struct commit *c = NULL;
	int rc = mailbox_open(w->store, span_of(name), &m, err);

	if (rc == 0)
		rc = mailbox_lock(m, err);
	if (rc == 0)
		rc = commit_begin(m, &c, err);
	if (rc == 0)
		rc = parts(c, m, arg, err);
	if (rc == 0)
		rc = commit_finish(&c, err);
	commit_abort(&c);
	mailbox_close(&m);
	return rc;
}

static int add_staged(struct commit *c, struct mailbox *m UNUSED, const void *arg,
		      struct us_err *err)
{
	struct record r = {.internaldate_ns = 1770026460LL * 1000000000};

	return message_append(c, (struct staged *)arg, &r, NULL, err);
}

int walk_append(struct walk *w, const char *name, int number, struct us_err *err)
{
	struct stage *stage = NULL;
	struct staged staged = {.fd = -1};
	int rc = stage_open(store_default_partition(w->store), &stage, err);

	if (rc == 0)
		rc = walk_stage(stage, number, &staged, err);
	if (rc == 0)
		rc = walk_change(w, name, add_staged, &staged, err);
	staged_drop(&staged, false);
	stage_close(&stage);
	return rc;
}

/* ---- the world --------------------------------------------------------------------------------------- */

static void make(struct walk *w, const char *name, const char *type, const char *partition,
		 uint32_t uidvalidity)
{
	char uniqueid[40];
	struct folder_create options = {.type = span_of(type),
					.partition = span_of(partition),
					.acl = SPAN_LIT("bob\tlrswipkxtecdan\t"),
					.uidvalidity = uidvalidity};
	struct us_err err;

	snprintf(uniqueid, sizeof(uniqueid), "uniqueid-of-%u", uidvalidity);
	if (!strchr(type, 'i'))
		options.uniqueid = span_of(uniqueid);
	assert_ok(folder_create(w->store, span_of(name), &options, &err), &err);
}

static void append(struct walk *w, const char *name, int number)
{
	struct us_err err;

	assert_ok(walk_append(w, name, number, &err), &err);
}

/* Flags and keywords, annotations, an expunged message, one that is gone. */
static int make_history(struct commit *c, struct mailbox *m, const void *arg UNUSED,
			struct us_err *err)
{
	unsigned bit;
	int rc = commit_flag_bit(c, SPAN_LIT("$Forwarded"), &bit, err);

	for (uint32_t uid = 1; rc == 0 && uid <= 6; uid++) {
		struct record r = *view_find(&m->view, uid);
		r.modseq = commit_modseq(c);
		r.last_updated = store_now();
		r.system_flags = uid == 1 ? FLAG_SEEN : uid == 2 ? FLAG_FLAGGED | FLAG_SEEN : 0;
		record_set_user_flag(&r, bit, uid == 2);
		if (uid >= 5)
			r.internal_flags |= RECORD_EXPUNGED;
		rc = commit_put(c, &r, err);
	}
	if (rc == 0)
		rc = commit_annotate(c, 2, SPAN_LIT("/comment"), SPAN_LIT("bob"), SPAN_LIT("hello"),
				     commit_modseq(c), err);
	return rc;
}

static int unlink_one(struct commit *c, struct mailbox *m UNUSED, const void *arg UNUSED,
		      struct us_err *err)
{
	return commit_unlink(c, 6, 6, err);
}

static void annotate_mailbox(struct walk *w, const char *name, const char *value)
{
	struct mailbox *m;
	struct us_err err;

	assert_ok(mailbox_open(w->store, span_of(name), &m, &err), &err);
	assert_ok(mailbox_lock(m, &err), &err);
	assert_ok(annotation_set(m, SPAN_LIT("/comment"), SPAN_LIT(""), span_of(value), &err),
		  &err);
	mailbox_close(&m);
}

static void make_user_data(struct walk *w)
{
	struct state_quota quota = {.root = SPAN_LIT("user.bob"), .limit = {1000, 100, -1, -1}};
	struct state_seen seen = {.uniqueid = SPAN_LIT("uniqueid-of-1001"),
				  .lastread = 1770000000,
				  .lastuid = 2,
				  .lastchange = 1770000001,
				  .seenuids = SPAN_LIT("1:2")};
	struct us_err err;

	assert_ok(quota_set(w->store, &quota, &err), &err);
	assert_ok(seen_set(w->store, SPAN_LIT("amy"), &seen, &err), &err);
	assert_ok(seen_set(w->store, SPAN_LIT("bob"), &seen, &err), &err);
	assert_ok(subscription_set(w->store, SPAN_LIT("bob"), SPAN_LIT("user.bob.Sent"), true,
				   &err),
		  &err);
	assert_ok(annotation_set_server(w->store, SPAN_LIT("/motd"), SPAN_LIT(""),
					SPAN_LIT("hello"), &err),
		  &err);
}

void walk_make_world(struct walk *w)
{
	struct us_err err;

	make(w, "user.bob", "e", "", 1001);
	make(w, "user.bob.Lists", "ei", "", 1002);
	make(w, "user.bob.Lists.dev", "e", "", 1003);
	make(w, "user.bob.Sent", "e", "", 1004);
	make(w, "user.amy", "e", "", 1005);
	make(w, "user.amy.box", "e", "", 1006);
	make(w, "user.amy.gone", "e", "", 1007);
	make(w, "user.amy.old", "e", "", 1008);
	make(w, "news", "e", "p2", 1009);
	for (int i = 1; i <= 7; i++)
		append(w, "user.bob", i);
	for (int i = 11; i <= 12; i++)
		append(w, "user.bob.Sent", i);
	append(w, "user.amy", 21);
	append(w, "user.amy.box", 22);
	append(w, "user.amy.gone", 23);
	append(w, "news", 31);
	assert_ok(walk_change(w, "user.bob", make_history, NULL, &err), &err);
	assert_ok(walk_change(w, "user.bob", unlink_one, NULL, &err), &err);
	annotate_mailbox(w, "user.bob", "my own");
	annotate_mailbox(w, "user.amy.box", "a box");
	make_user_data(w);
	assert_ok(folder_delete_delayed(w->store, SPAN_LIT("user.amy.gone"), NULL, &err), &err);
	assert_ok(folder_delete(w->store, SPAN_LIT("user.amy.old"), FOLDER_DELETE_NOW, &err), &err);
}
