/* test_mailbox.c - one mailbox: what a commit shows, to whom, when; compaction; repair after a death. */
#include "tests/unit/store/rig.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

#include "server/base/failpoint.h"
#include "server/base/io.h"
#include "server/store/cache.h"
#include "server/store/reconstruct.h"
#include "server/store/mime/cache.h"

#define MESSAGE                                                                        \
	"From: bob@example.net\r\nSubject: test 1\r\nDate: Mon, 02 Feb 2026 10:01:00 " \
	"+0000\r\n\r\nBody.\r\n"

static void a_new_mailbox_is_empty(void **state)
{
	struct rig *rig = *state;
	struct mailbox *m;

	rig_create(rig, "user.bob");
	assert_string_equal(rig->heard.data, "MAILBOX user.bob\n");
	m = rig_mailbox(rig, "user.bob");
	assert_int_equal(m->view.counters.exists, 0);
	assert_int_equal(m->view.counters.sync_crc, 0);
	assert_int_equal(m->view.counters.sync_crc_annot, SYNC_CRC_ANNOT_EMPTY);
	assert_int_equal(mailbox_highestmodseq(m), 1);
	assert_int_equal(m->row.foldermodseq, 1);
	assert_true(llabs((long long)m->row.uidvalidity - time(NULL)) < 5);
	assert_int_equal(m->row.uniqueid.len, 36);
	mailbox_close(&m);
}

static void an_appended_message_is_all_there(void **state)
{
	struct rig *rig = *state;
	struct mailbox *m;
	const struct record *r;
	struct buf file = BUF_INIT;
	struct span cache;
	struct mime_cache facts;
	struct us_err err;
	struct guid guid = guid_of(SPAN_LIT(MESSAGE));
	struct stat st;

	rig_create(rig, "user.bob");
	buf_clear(&rig->heard);
	assert_int_equal(rig_append(rig, "user.bob", MESSAGE, FLAG_FLAGGED), 1);
	assert_string_equal(rig->heard.data, "APPEND user.bob\nMAILBOX user.bob\n");
	assert_int_equal(rig_append(rig, "user.bob", MESSAGE "2\r\n", 0), 2);
	m = rig_mailbox(rig, "user.bob");
	rig_check_counters(m);
	assert_int_equal(m->view.counters.exists, 2);
	assert_int_equal(m->view.counters.first_unseen_uid, 1);
	r = view_find(&m->view, 1);
	assert_non_null(r);
	assert_true(guid_eq(&r->guid, &guid));
	assert_int_equal(r->size, strlen(MESSAGE));
	assert_int_equal(r->modseq, 2);
	assert_int_equal(r->createdmodseq, 2);
	assert_int_equal(r->header_size, strlen(MESSAGE) - strlen("Body.\r\n"));
	assert_int_equal(r->gmtime, 1770026460);
	assert_ok(io_read_file(m->dir, "1.", 10000, &file, &err), &err);
	assert_string_equal(file.data, MESSAGE);
	assert_int_equal(fstatat(m->dir, "1.", &st, 0), 0);
	assert_int_equal(st.st_mtim.tv_sec, 1769940000);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(cache_find(m, r, &cache), 1);
	assert_ok(mime_cache_decode(cache, &facts, &err), &err);
	assert_non_null(strstr(facts.envelope.ptr, "\"test 1\""));
	buf_free(&file);
	mailbox_close(&m);
}

static void readers_see_a_change_when_they_look(void **state)
{
	struct rig *rig = *state;
	struct mailbox *m;
	struct us_err err;

	rig_create(rig, "user.bob");
	m = rig_mailbox(rig, "user.bob");
	assert_int_equal(mailbox_refresh(m, &err), 0);
	rig_append(rig, "user.bob", MESSAGE, 0);
	assert_int_equal(m->view.counters.exists, 0);
	assert_int_equal(mailbox_refresh(m, &err), 1);
	assert_int_equal(m->view.counters.exists, 1);
	rig_flags(rig, "user.bob", 1, FLAG_SEEN, false);
	assert_false(view_find(&m->view, 1)->system_flags & FLAG_SEEN);
	assert_int_equal(mailbox_refresh(m, &err), 1);
	assert_true(view_find(&m->view, 1)->system_flags & FLAG_SEEN);
	assert_int_equal(mailbox_refresh(m, &err), 0);
	mailbox_close(&m);
}

/* A random walk of appends, flags, expunges, unlinks and compactions keeps every sum right. */
static void counters_follow_every_change(void **state)
{
	struct rig *rig = *state;
	unsigned seed = 20261123;
	uint32_t last = 0;
	struct us_err err;

	rig_create(rig, "user.bob");
	for (int i = 0; i < 400; i++) {
		unsigned what = (unsigned)rand_r(&seed) % 10;
		uint32_t uid = last ? 1 + (unsigned)rand_r(&seed) % last : 0;
		struct mailbox *m = rig_mailbox(rig, "user.bob");
		const struct record *r = uid ? view_find(&m->view, uid) : NULL;
		bool live = r && record_is_live(r);

		if (what < 4 || !last) {
			last = rig_append(rig, "user.bob", MESSAGE, (unsigned)rand_r(&seed) & 31);
		} else if (what < 8 && live) {
			rig_flags(rig, "user.bob", uid, (unsigned)rand_r(&seed) & 31, what == 7);
		} else if (what == 8 && r && !live) {
			struct commit *c;
			assert_ok(mailbox_lock(m, &err), &err);
			assert_ok(commit_begin(m, &c, &err), &err);
			assert_ok(commit_unlink(c, uid, uid, &err), &err);
			assert_ok(commit_finish(&c, &err), &err);
			assert_null(view_find(&m->view, uid));
			assert_int_equal(faccessat(m->dir, "1.", F_OK, 0),
					 view_find(&m->view, 1) ? 0 : -1);
		} else if (what == 9) {
			assert_ok(mailbox_lock(m, &err), &err);
			assert_ok(compact(m, &err), &err);
		}
		mailbox_close(&m);
		m = rig_mailbox(rig, "user.bob");
		rig_check_counters(m);
		mailbox_close(&m);
	}
	assert_true(last > 100);
}

/* XCONVMODSEQ is a peer's who keeps conversations: 0 stays 0, and what it set follows our own changes. */
static void xconvmodseq_follows_local_changes(void **state)
{
	struct rig *rig = *state;
	struct mailbox *m;
	struct commit *c;
	struct us_err err;

	rig_create(rig, "user.bob");
	(void)rig_append(rig, "user.bob", MESSAGE, 0);
	m = rig_mailbox(rig, "user.bob");
	assert_int_equal(m->view.counters.xconvmodseq, 0);
	assert_ok(mailbox_lock(m, &err), &err);
	assert_ok(commit_begin(m, &c, &err), &err);
	commit_counters(c)->xconvmodseq = 1;
	assert_ok(commit_finish(&c, &err), &err);
	assert_int_equal(m->view.counters.xconvmodseq, 1); /* as the peer said */
	mailbox_close(&m);
	rig_flags(rig, "user.bob", 1, 1, false);
	m = rig_mailbox(rig, "user.bob");
	assert_int_equal(m->view.counters.xconvmodseq, m->view.counters.highestmodseq);
	mailbox_close(&m);
}

/* One commit that changes a message so many times. */
static void flip_flags(struct mailbox *m, uint32_t uid, int times)
{
	struct commit *c = NULL;
	struct us_err err;

	assert_ok(mailbox_lock(m, &err), &err);
	assert_ok(commit_begin(m, &c, &err), &err);
	for (int i = 0; i < times; i++) {
		struct record r = *view_find(&m->view, uid);
		r.system_flags ^= FLAG_FLAGGED;
		r.modseq = commit_modseq(c);
		assert_ok(commit_put(c, &r, &err), &err);
	}
	assert_ok(commit_finish(&c, &err), &err);
	mailbox_unlock(m);
}

/* Who changes much at once does not also wait for the new generation; and what of the journal is history only is no
 * reason for another. */
static void compaction_is_left_to_small_commits_and_the_idle(void **state)
{
	struct rig *rig = *state;
	struct mailbox *m, *other;

	rig_create(rig, "user.bob");
	rig_append(rig, "user.bob", MESSAGE, 0);
	m = rig_mailbox(rig, "user.bob");
	flip_flags(m, 1, 3000);
	assert_int_equal(m->view.base.header->generation, 1);
	assert_true(compact_is_due(m));
	flip_flags(m, 1, 1);
	assert_int_equal(m->view.base.header->generation, 2);
	assert_false(compact_is_due(m));
	flip_flags(m, 1, 1);
	assert_int_equal(m->view.base.header->generation, 2);
	flip_flags(m, 1, 3000);
	other = rig_mailbox(rig, "user.bob");
	assert_int_equal(mailbox_lock(other, NULL), 0);
	m->lock_wait_ms = 0;
	assert_int_equal(mailbox_lock(m, NULL), US_EBUSY);
	compact_when_idle(m); /* somebody else writes: it leaves that for later */
	assert_int_equal(m->view.base.header->generation, 2);
	mailbox_close(&other);
	compact_when_idle(m);
	assert_int_equal(m->view.base.header->generation, 3);
	assert_false(m->locked);
	compact_when_idle(m);
	assert_int_equal(m->view.base.header->generation, 3);
	rig_check_counters(m);
	mailbox_close(&m);
}

static void keywords_and_annotations_survive_compaction(void **state)
{
	struct rig *rig = *state;
	struct mailbox *m;
	struct commit *c;
	struct record r;
	unsigned bit, same;
	size_t n;
	struct us_err err;

	rig_create(rig, "user.bob");
	rig_append(rig, "user.bob", MESSAGE, 0);
	m = rig_mailbox(rig, "user.bob");
	assert_ok(mailbox_lock(m, &err), &err);
	assert_ok(commit_begin(m, &c, &err), &err);
	assert_ok(commit_flag_bit(c, SPAN_LIT("$Forwarded"), &bit, &err), &err);
	assert_ok(commit_flag_bit(c, SPAN_LIT("$forwarded"), &same, &err), &err);
	assert_int_equal(bit, same);
	r = *view_find(&m->view, 1);
	record_set_user_flag(&r, bit, true);
	r.modseq = commit_modseq(c);
	assert_ok(commit_put(c, &r, &err), &err);
	assert_ok(commit_annotate(c, 1, SPAN_LIT("/comment"), SPAN_LIT(""), SPAN_LIT("shared"),
				  r.modseq, &err),
		  &err);
	assert_ok(commit_annotate(c, 1, SPAN_LIT("/comment"), SPAN_LIT("bob"), SPAN_LIT("private"),
				  r.modseq, &err),
		  &err);
	assert_ok(commit_annotate(c, 1, SPAN_LIT("/altsubject"), SPAN_LIT(""), SPAN_LIT("x"),
				  r.modseq, &err),
		  &err);
	assert_ok(commit_annotate(c, 1, SPAN_LIT("/altsubject"), SPAN_LIT(""), SPAN_NULL, r.modseq,
				  &err),
		  &err);
	assert_ok(commit_finish(&c, &err), &err);
	rig_check_counters(m);
	assert_int_equal(m->view.counters.annot_bytes, strlen("sharedprivate"));
	for (int round = 0; round < 2; round++) {
		const struct state_annotation *a = annots_of(&m->view.annots, 1, &n);
		assert_int_equal(n, 2);
		assert_span(a[0].value, "shared");
		assert_span(a[1].userid, "bob");
		assert_span(m->view.names.bit[bit].name, "$Forwarded");
		assert_true(record_has_user_flag(view_find(&m->view, 1), bit));
		assert_int_equal(view_find(&m->view, 1)->annot_bytes, strlen("sharedprivate"));
		if (round == 0)
			assert_ok(compact(m, &err), &err);
		rig_check_counters(m);
	}
	mailbox_close(&m);
}

static void an_aborted_commit_leaves_nothing(void **state)
{
	struct rig *rig = *state;
	struct mailbox *m;
	struct us_err err;

	rig_create(rig, "user.bob");
	rig_append(rig, "user.bob", MESSAGE, 0);
	rig->refuse = US_EBUSY;
	assert_int_equal(rig_try_append(rig, "user.bob", MESSAGE "2", 0, NULL, &err), US_EBUSY);
	assert_int_equal(rig_try_flags(rig, "user.bob", 1, FLAG_SEEN, true, &err), US_EBUSY);
	rig->refuse = 0;
	m = rig_mailbox(rig, "user.bob");
	assert_int_equal(m->view.counters.exists, 1);
	assert_int_equal(m->view.counters.last_uid, 1);
	assert_int_equal(mailbox_highestmodseq(m), 2);
	assert_int_equal(faccessat(m->dir, "2.", F_OK, 0), -1);
	rig_check_counters(m);
	mailbox_close(&m);
	assert_int_equal(rig_append(rig, "user.bob", MESSAGE "3", 0), 2);
}

static void a_commit_of_many_frames_is_one(void **state)
{
	struct rig *rig = *state;
	struct mailbox *m, *reader;
	struct commit *c;
	struct us_err err;
	char value[3001];

	memset(value, 'v', sizeof(value));
	rig_create(rig, "user.bob");
	rig_append(rig, "user.bob", MESSAGE, 0);
	reader = rig_mailbox(rig, "user.bob");
	m = rig_mailbox(rig, "user.bob");
	assert_ok(mailbox_lock(m, &err), &err);
	assert_ok(commit_begin(m, &c, &err), &err);
	for (int i = 0; i < 1500; i++) {
		char entry[32];
		snprintf(entry, sizeof(entry), "/comment/%04d", i);
		assert_ok(commit_annotate(c, 1, span_of(entry), SPAN_LIT(""),
					  span_make(value, 3000), 3, &err),
			  &err);
	}
	assert_int_equal(mailbox_refresh(reader, &err),
			 0); /* frames are out, nothing is published */
	assert_ok(commit_finish(&c, &err), &err);
	assert_int_equal(mailbox_refresh(reader, &err), 1);
	rig_check_counters(reader);
	assert_int_equal(reader->view.annots.n, 1500);
	mailbox_close(&m);
	mailbox_close(&reader);
}

/* Let a child do it and die at that point; gives whether it died there. */
static bool die_at(struct rig *rig, const char *point, int action,
		   int (*what)(struct rig *rig, struct us_err *err))
{
	struct failpoint_page *page;
	int status;
	pid_t child;

	store_close(&rig->store);
	child = fork();
	if (child == 0) {
		struct us_err err;
		page = us_malloc(sizeof(*page));
		failpoint_page_init(page);
		rig_open(rig);
		snprintf(page->name, sizeof(page->name), "%s", point);
		page->action = (uint32_t)action;
		failpoint_use(page);
		(void)what(rig, &err);
		_exit(0);
	}
	waitpid(child, &status, 0);
	rig_open(rig);
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
}

static int append_one(struct rig *rig, struct us_err *err)
{
	return rig_try_append(rig, "user.bob", MESSAGE "new", 0, NULL, err);
}

static void a_durable_commit_is_rolled_forward(void **state)
{
	static const struct {
		const char *point;
		uint32_t exists;
	} rows[] = {
		{"store.commit.link", 1},       {"store.commit.sync_file", 1},
		{"store.commit.sync_names", 1}, {"store.journal.write_frame", 1},
		{"store.journal.sync", 2},
	};
	struct rig *rig = *state;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char name[40];
		struct mailbox *m;
		struct us_err err;

		snprintf(name, sizeof(name), "user.bob");
		if (i)
			assert_ok(folder_delete(rig->store, span_of(name), FOLDER_DELETE_NOW, &err),
				  &err);
		rig_create(rig, name);
		rig_append(rig, name, MESSAGE, 0);
		assert_true(die_at(rig, rows[i].point, FAILPOINT_KILL, append_one));
		m = rig_mailbox(rig, name);
		assert_ok(mailbox_lock(m, &err), &err);
		if (m->view.counters.exists != rows[i].exists)
			fail_msg("%s: %u messages", rows[i].point, m->view.counters.exists);
		rig_check_counters(m);
		mailbox_close(&m);
		assert_int_equal(rig_append(rig, name, MESSAGE "after", 0), rows[i].exists + 1);
	}
}

static void a_torn_frame_is_no_frame(void **state)
{
	struct rig *rig = *state;
	struct mailbox *m;

	rig_create(rig, "user.bob");
	rig_append(rig, "user.bob", MESSAGE, 0);
	assert_true(die_at(rig, "store.journal.write_frame", FAILPOINT_TORN, append_one));
	assert_int_equal(rig_append(rig, "user.bob", MESSAGE "after", 0), 2);
	m = rig_mailbox(rig, "user.bob");
	assert_int_equal(m->view.counters.exists, 2);
	rig_check_counters(m);
	mailbox_close(&m);
}

static void another_boot_recovers_by_the_chain(void **state)
{
	struct rig *rig = *state;
	struct mailbox *m;
	struct counters before, peeked;
	struct us_err err;

	rig_create(rig, "user.bob");
	for (int i = 0; i < 5; i++)
		rig_append(rig, "user.bob", MESSAGE, 0);
	rig_flags(rig, "user.bob", 2, FLAG_SEEN, true);
	m = rig_mailbox(rig, "user.bob");
	before = m->view.counters;
	/* What a crash may leave of the words: anything, but publish_end as it was at some moment. */
	m->view.journal.header->publish_end = JOURNAL_PAGE;
	m->view.journal.header->unborn_low = 3;
	m->view.journal.header->unborn_high = 90;
	m->view.journal.header->meta_pending = 99;
	mailbox_close(&m);
	store_close(&rig->store);
	setenv("US_BOOT_ID", "another1", 1);
	rig_open(rig);
	m = rig_mailbox(rig, "user.bob");
	assert_memory_equal(&m->view.counters, &before, sizeof(before));
	rig_check_counters(m);
	assert_ok(mailbox_peek(rig->store, &m->row, &peeked, &err), &err);
	assert_memory_equal(&peeked, &before, sizeof(before));
	mailbox_close(&m);
	assert_int_equal(rig_append(rig, "user.bob", MESSAGE, 0), 6);
	unsetenv("US_BOOT_ID");
}

/* What was published had been durable: a chain that is shorter is damaged, and the messages behind the damage are not
 * to be forgotten. */
static void a_damaged_journal_is_not_cut_short(void **state)
{
	struct rig *rig = *state;
	struct reconstruct_options options = {.check_guids = true};
	struct reconstruct_report report;
	struct mailbox *m;
	struct us_err err;
	char byte = 'X';

	rig_create(rig, "user.bob");
	rig_append(rig, "user.bob", MESSAGE, 0);
	m = rig_mailbox(rig, "user.bob");
	rig_append(rig, "user.bob", MESSAGE, 0);
	rig_append(rig, "user.bob", MESSAGE, 0);
	assert_int_equal(pwrite(m->view.journal.fd, &byte, 1, (off_t)m->view.at.offset + 100), 1);
	mailbox_close(&m);
	store_close(&rig->store);
	setenv("US_BOOT_ID", "another2", 1);
	rig_open(rig);
	assert_int_equal(mailbox_open(rig->store, SPAN_LIT("user.bob"), &m, &err), US_ECORRUPT);
	assert_int_equal(us_err_class(US_ECORRUPT), US_REPAIR);
	assert_ok(reconstruct_mailbox(rig->store, SPAN_LIT("user.bob"), &options, &report, &err),
		  &err);
	m = rig_mailbox(rig, "user.bob");
	assert_int_equal(m->view.counters.exists, 3);
	rig_check_counters(m);
	mailbox_close(&m);
	unsetenv("US_BOOT_ID");
}

static void a_failed_sync_poisons_until_recovered(void **state)
{
	static struct failpoint_page page;
	struct rig *rig = *state;
	struct partition *p;
	struct mailbox *m;
	struct us_err err;

	rig_create(rig, "user.bob");
	rig_append(rig, "user.bob", MESSAGE, 0);
	failpoint_page_init(&page);
	snprintf(page.name, sizeof(page.name), "store.journal.sync");
	page.action = FAILPOINT_EIO;
	failpoint_use(&page);
	assert_int_equal(rig_try_append(rig, "user.bob", MESSAGE "2", 0, NULL, &err), US_EIO);
	failpoint_use(NULL);
	assert_int_equal(page.fired, 1);
	assert_int_equal(rig_try_flags(rig, "user.bob", 1, FLAG_SEEN, false, &err), US_EIO);
	m = rig_mailbox(rig, "user.bob"); /* reading goes on */
	assert_int_equal(m->view.counters.exists, 1);
	mailbox_close(&m);

	p = store_default_partition(rig->store);
	assert_ok(partition_recover(p, &err), &err);
	m = rig_mailbox(rig, "user.bob");
	assert_int_equal(m->view.counters.exists, 1); /* what was refused does not come to be */
	mailbox_close(&m);
	assert_int_equal(rig_append(rig, "user.bob", MESSAGE "3", 0), 2);
	m = rig_mailbox(rig, "user.bob");
	rig_check_counters(m);
	mailbox_close(&m);
}

static void peek_is_the_same_as_looking(void **state)
{
	struct rig *rig = *state;
	struct mailbox *m;
	struct counters peeked;
	struct us_err err;

	rig_create(rig, "user.bob");
	m = rig_mailbox(rig, "user.bob");
	assert_ok(mailbox_peek(rig->store, &m->row, &peeked, &err), &err);
	assert_memory_equal(&peeked, &m->view.counters, sizeof(peeked));
	rig_append(rig, "user.bob", MESSAGE, 0);
	assert_ok(mailbox_peek(rig->store, &m->row, &peeked, &err), &err);
	assert_int_equal(peeked.exists, 1);
	mailbox_close(&m);
}

static void break_journal(struct mailbox *m, size_t at, const void *bytes, size_t len)
{
	char name[32];
	int fd;

	journal_name(m->view.base.header->generation, name);
	fd = openat(m->dir, name, O_RDWR);
	assert_int_equal(pwrite(fd, bytes, len, (off_t)at), len);
	close(fd);
}

static void peek_believes_nothing_unchecked(void **state)
{
	static const uint64_t nonsense[] = {0, 8, JOURNAL_PAGE + 8, 1ULL << 40, UINT64_MAX};
	struct rig *rig = *state;
	struct mailbox *m;
	struct mailbox_row row;
	struct counters peeked;
	struct us_err err;
	uint64_t end;

	rig_create(rig, "user.bob");
	rig_append(rig, "user.bob", MESSAGE, 0);
	m = rig_mailbox(rig, "user.bob");
	row = m->row;
	row.uidvalidity++; /* the counters are not of the mailbox as the row has it: looked at for good */
	assert_ok(mailbox_peek(rig->store, &row, &peeked, &err), &err);
	assert_int_equal(peeked.exists, 1);
	end = journal_publish_end(&m->view.journal);
	for (size_t i = 0; i < ARRAY_SIZE(nonsense); i++) {
		break_journal(m, offsetof(struct journal_header, publish_end), &nonsense[i], 8);
		assert_int_equal(mailbox_peek(rig->store, &m->row, &peeked, &err), US_ECORRUPT);
	}
	break_journal(m, offsetof(struct journal_header, publish_end), &end, 8);
	assert_ok(mailbox_peek(rig->store, &m->row, &peeked, &err), &err);
	break_journal(m, offsetof(struct journal_header, salt), "another!", 8);
	assert_int_equal(mailbox_peek(rig->store, &m->row, &peeked, &err), US_ECORRUPT);
	mailbox_close(&m);
}

static void a_recovery_that_is_not_durable_poisons(void **state)
{
	struct rig *rig = *state;
	struct mailbox *m;
	struct us_err err;

	rig_create(rig, "user.bob");
	rig_append(rig, "user.bob", MESSAGE, 0);
	store_close(&rig->store);
	setenv("US_BOOT_ID", "another5", 1);
	rig_open(rig);
	rig_break("store.recover.sync", FAILPOINT_EIO);
	assert_int_equal(mailbox_open(rig->store, SPAN_LIT("user.bob"), &m, &err), US_EIO);
	rig_mend();
	assert_int_equal(rig_try_append(rig, "user.bob", MESSAGE, 0, NULL, &err), US_EIO);
	assert_ok(partition_recover(store_default_partition(rig->store), &err), &err);
	assert_int_equal(rig_append(rig, "user.bob", MESSAGE, 0), 2);
	unsetenv("US_BOOT_ID");
}

static void a_copy_is_a_link(void **state)
{
	struct rig *rig = *state;
	struct mailbox *from, *to;
	struct commit_source source;
	struct commit *c;
	struct record r;
	struct stat a, b;
	uint32_t uid;
	struct us_err err;

	rig_create(rig, "user.bob");
	rig_create(rig, "user.bob.Sent");
	rig_append(rig, "user.bob", MESSAGE, FLAG_SEEN);
	from = rig_mailbox(rig, "user.bob");
	to = rig_mailbox(rig, "user.bob.Sent");
	source = (struct commit_source){.mailbox = from, .uid = 1};
	assert_ok(mailbox_lock(to, &err), &err);
	assert_ok(commit_begin(to, &c, &err), &err);
	r = *view_find(&from->view, 1);
	r.uid = 0;
	r.modseq = r.createdmodseq = 0;
	assert_ok(commit_append(c, &r, &source, SPAN_NULL, &uid, &err), &err);
	assert_ok(commit_finish(&c, &err), &err);
	rig_check_counters(to);
	assert_int_equal(fstatat(from->dir, "1.", &a, 0), 0);
	assert_int_equal(fstatat(to->dir, "1.", &b, 0), 0);
	assert_int_equal(a.st_ino, b.st_ino);
	mailbox_close(&from);
	mailbox_close(&to);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)
	const struct CMUnitTest tests[] = {
		T(a_new_mailbox_is_empty),
		T(an_appended_message_is_all_there),
		T(readers_see_a_change_when_they_look),
		T(counters_follow_every_change),
		T(xconvmodseq_follows_local_changes),
		T(compaction_is_left_to_small_commits_and_the_idle),
		T(keywords_and_annotations_survive_compaction),
		T(an_aborted_commit_leaves_nothing),
		T(a_commit_of_many_frames_is_one),
		T(a_durable_commit_is_rolled_forward),
		T(a_torn_frame_is_no_frame),
		T(another_boot_recovers_by_the_chain),
		T(a_damaged_journal_is_not_cut_short),
		T(a_failed_sync_poisons_until_recovered),
		T(peek_is_the_same_as_looking),
		T(peek_believes_nothing_unchecked),
		T(a_recovery_that_is_not_durable_poisons),
		T(a_copy_is_a_link),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
