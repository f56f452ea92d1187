/* test_reconstruct.c - a damaged mailbox is whole again afterwards, and has everything that was intact.
 *
 * After every damage to every file:
 *	UIDVALIDITY is the same; no UID has another content; UIDNEXT and HIGHESTMODSEQ did not fall
 *	every message whose file is there is a message under its UID
 *	what rests on bytes that were not hit is exactly as it was: flags, keywords, modseqs, dates, annotations
 *	the sums fit the records; a second run finds nothing
 *	the change was announced before anything was written
 */
#include "tests/unit/store/damage.h"

#include "server/base/failpoint.h"
#include "server/store/annotations.h"
#include "server/store/cache.h"
#include "server/store/hdr.h"
#include "server/store/mboxname.h"
#include "server/store/meta/meta.h"
#include "server/store/quota.h"
#include "server/store/reconstruct.h"

static void note(void *ctx, const char *line)
{
	struct bench *b = ctx;

	buf_printf(&b->told, "%s\n", line);
}

static int restore(void **state)
{
	struct bench *b = *state;

	image_restore(&b->image);
	return 0;
}

static struct reconstruct_report reconstruct(struct bench *b, struct reconstruct_options options)
{
	struct reconstruct_report report;
	struct us_err err;

	options.tell = note;
	options.ctx = b;
	buf_clear(&b->told);
	buf_clear(&b->rig.heard);
	assert_ok(reconstruct_mailbox(b->rig.store, SPAN_LIT(BOB), &options, &report, &err), &err);
	return report;
}

static void assert_told(const struct bench *b, const char *what)
{
	if (!b->told.data || !strstr(b->told.data, what))
		fail_msg("\"%s\" was not told, but:\n%s", what,
			 b->told.data ? b->told.data : "(nothing)");
}

static void assert_silent(struct bench *b, const struct reconstruct_report *report)
{
	if (b->told.len || report->changed || b->rig.heard.len)
		fail_msg("changed=%d, told:\n%s", report->changed,
			 b->told.data ? b->told.data : "(nothing)");
}

static bool has_message_file(const struct image *image, uint32_t uid)
{
	char name[16];

	message_file_name(uid, name);
	return faccessat(image->dir, name, F_OK, 0) == 0;
}

/* hurt: whose lines may differ. */
static void check(struct bench *b, const bool *hurt, const char *what, size_t from, size_t to)
{
	struct reconstruct_report report;
	struct lines now;

	lines_of_mailbox(&b->rig, &now);
	assert_int_equal(now.counters.uidvalidity, b->good.counters.uidvalidity);
	assert_int_equal(now.counters.createdmodseq, b->good.counters.createdmodseq);
	assert_true(now.counters.last_uid >= b->good.counters.last_uid);
	assert_true(now.highestmodseq >= b->good.highestmodseq);
	for (unsigned uid = 0; uid < MOST_UID; uid++) {
		if (!hurt[uid])
			expect_same_line(&b->good, &now, uid, what, from, to);
		if (now.of[uid] && b->good.of[uid])
			assert_true(guid_eq(&now.guid[uid], &b->good.guid[uid]));
		if (b->good.of[uid] && b->good.live[uid] && has_message_file(&b->image, uid))
			assert_true(now.of[uid] && now.live[uid]);
		assert_int_equal(now.of[uid] != NULL,
				 b->good.of[uid] != NULL || (now.of[uid] && hurt[uid]));
	}
	free_lines(&now);
	report = reconstruct(b, (struct reconstruct_options){.check_guids = true});
	assert_silent(b, &report);
}

/* ---- damage in the middle of a file ------------------------------------------------------------------- */

static void overwrite(struct bench *b, const struct image_file *f, size_t from, size_t to, bool cut)
{
	char *bytes = us_malloc(f->len);
	unsigned seed = (unsigned)(from * 31 + to);

	memcpy(bytes, f->bytes, f->len);
	for (size_t i = from; i < to && i < f->len; i++)
		bytes[i] = from % 2 ? 0 : (char)rand_r(&seed);
	write_whole(&b->image, f->name, bytes, cut ? from : f->len, &f->mtime);
	free(bytes);
}

static void hit(struct bench *b, const char *name, const struct pieces *pieces, size_t from,
		size_t to, bool cut)
{
	struct image_file *f = image_find(&b->image, name);
	struct reconstruct_report report;
	bool hurt[MOST_UID];

	find_hurt(pieces, from, to, hurt);
	if (pieces == &b->index)
		heal_by_journal(&b->journal, hurt);
	image_restore(&b->image);
	overwrite(b, f, from, to, cut);
	report = reconstruct(b, (struct reconstruct_options){0});
	if (report.changed)
		assert_string_equal(b->rig.heard.data, "MAILBOX " BOB "\n");
	assert_int_equal(report.changed, b->told.len > 0);
	check(b, hurt, f->name, from, to);
}

static void hit_everywhere(struct bench *b, const char *name, const struct pieces *pieces)
{
	size_t len = image_find(&b->image, name)->len;

	for (size_t from = 0; from < len; from += 451)
		hit(b, name, pieces, from, from + 150, false);
	for (size_t from = 0; from < len; from += 2048)
		hit(b, name, pieces, from, from + 4096, false);
	for (size_t from = 0; from < len; from += 977)
		hit(b, name, pieces, from, len, true);
	hit(b, name, pieces, 0, len, true); /* an empty file */
}

static void a_damaged_index(void **state)
{
	struct bench *b = *state;

	hit_everywhere(b, "mbox.idx", &b->index);
}

static void a_damaged_journal(void **state)
{
	struct bench *b = *state;

	hit_everywhere(b, "mbox.jnl.", &b->journal);
}

static void damaged_annotations(void **state)
{
	struct bench *b = *state;

	hit_everywhere(b, "mbox.ann.", &b->annots);
}

/* Derived data and a copy: nothing at all is lost. */
static void a_damaged_cache_or_header_costs_nothing(void **state)
{
	static const char *const names[] = {"mbox.cache.", "mbox.hdr"};
	struct bench *b = *state;
	bool none[MOST_UID] = {false};

	for (int i = 0; i < 2; i++) {
		struct image_file *f = image_find(&b->image, names[i]);
		for (size_t from = 0; from < f->len; from += f->len / 7 + 1) {
			struct reconstruct_report report;
			image_restore(&b->image);
			overwrite(b, f, from, from + 60, from % 3 == 0);
			report = reconstruct(b, (struct reconstruct_options){.check_guids = true});
			assert_false(report.damaged);
			check(b, none, f->name, from, from + 60);
		}
	}
}

static void a_header_that_is_gone_is_written_anew(void **state)
{
	struct bench *b = *state;
	struct pool *pool = pool_new();
	struct hdr before, after;
	struct us_err err;

	assert_ok(hdr_read(b->image.dir, pool, &before, &err), &err);
	assert_int_equal(unlinkat(b->image.dir, "mbox.hdr", 0), 0);
	(void)reconstruct(b, (struct reconstruct_options){.dry_run = true});
	assert_told(b, BOB ": mbox.hdr is missing or damaged");
	assert_int_equal(faccessat(b->image.dir, "mbox.hdr", F_OK, 0), -1);
	(void)reconstruct(b, (struct reconstruct_options){0});
	assert_ok(hdr_read(b->image.dir, pool, &after, &err), &err);
	assert_true(span_eq(before.row.uniqueid, after.row.uniqueid));
	assert_true(span_eq(before.row.acl, after.row.acl));
	assert_int_equal(before.row_version, after.row_version);
	assert_int_equal(after.last_uid, b->good.counters.last_uid);
	pool_free(&pool);
}

/* ---- files that are gone --------------------------------------------------------------------------------- */

static void remove_files(struct bench *b, const char *prefix)
{
	for (size_t i = 0; i < b->image.n; i++)
		if (strncmp(b->image.files[i].name, prefix, strlen(prefix)) == 0)
			assert_int_equal(unlinkat(b->image.dir, b->image.files[i].name, 0), 0);
}

static void hurt_all(const struct pieces *pieces, bool hurt[MOST_UID])
{
	find_hurt(pieces, 0, SIZE_MAX, hurt);
}

static void without_its_index(void **state)
{
	struct bench *b = *state;
	bool hurt[MOST_UID];

	hurt_all(&b->index, hurt);
	heal_by_journal(&b->journal, hurt);
	remove_files(b, "mbox.idx");
	(void)reconstruct(b, (struct reconstruct_options){0});
	assert_told(b, BOB ": failed to read index header");
	assert_told(b, BOB " uid 1 found - adding");
	check(b, hurt, "no index", 0, 0);
}

/* The journal's flags of messages whose records were in the base only. */
static void flags_in_the_journal_outlive_the_index(void **state)
{
	struct bench *b = *state;
	struct mailbox *m;

	remove_files(b, "mbox.idx");
	(void)reconstruct(b, (struct reconstruct_options){0});
	m = rig_mailbox(&b->rig, BOB);
	assert_int_equal(view_find(&m->view, 6)->system_flags, FLAG_SEEN | FLAG_ANSWERED);
	assert_false(record_is_live(view_find(&m->view, 7)));
	assert_int_equal(m->view.counters.last_uid, b->good.counters.last_uid);
	assert_true(m->view.counters.deletedmodseq >= b->good.highestmodseq);
	mailbox_close(&m);
}

static void without_its_journal(void **state)
{
	struct bench *b = *state;
	bool hurt[MOST_UID];

	hurt_all(&b->journal, hurt);
	remove_files(b, "mbox.jnl.");
	(void)reconstruct(b, (struct reconstruct_options){0});
	assert_told(b, BOB ": journal damaged");
	assert_told(b, BOB " uid 25 found - adding");
	check(b, hurt, "no journal", 0, 0);
}

/* What the journal said is lost: no UID and no modseq it may have given is given again. */
static void uids_and_modseqs_of_a_lost_journal_are_not_given_again(void **state)
{
	struct bench *b = *state;
	struct mailbox *m;
	uint32_t uid;

	remove_files(b, "mbox.jnl.");
	for (unsigned i = 26; i <= 32; i++) { /* and the files of the newest messages */
		char name[16];
		message_file_name(i, name);
		assert_int_equal(unlinkat(b->image.dir, name, 0), 0);
	}
	(void)reconstruct(b, (struct reconstruct_options){0});
	uid = append_number(&b->rig, 50);
	assert_true(uid > b->good.counters.last_uid);
	m = rig_mailbox(&b->rig, BOB);
	assert_true(view_find(&m->view, uid)->modseq > b->good.highestmodseq);
	mailbox_close(&m);
}

static void without_annotations(void **state)
{
	struct bench *b = *state;
	bool hurt[MOST_UID];

	hurt_all(&b->annots, hurt);
	remove_files(b, "mbox.ann.");
	(void)reconstruct(b, (struct reconstruct_options){0});
	assert_told(b, BOB ": annotations of 4 messages are lost");
	check(b, hurt, "no annotations", 0, 0);
}

static void without_its_cache(void **state)
{
	struct bench *b = *state;
	struct reconstruct_report report;
	struct buf made = BUF_INIT;
	struct span payload;
	struct mailbox *m;
	bool none[MOST_UID] = {false};
	struct us_err err;

	remove_files(b, "mbox.cache.");
	report = reconstruct(b, (struct reconstruct_options){0});
	assert_silent(b, &report); /* it is made again when it is asked for */
	check(b, none, "no cache", 0, 0);
	m = rig_mailbox(&b->rig, BOB);
	assert_int_equal(message_payload(m, view_find(&m->view, 1), &made, &payload, &err), 1);
	assert_true(payload.len > 48);
	mailbox_close(&m);
	buf_free(&made);
}

/* Nothing but message files and mbox.hdr (design, invariant 7). */
static void from_messages_and_header_alone(void **state)
{
	struct bench *b = *state;
	struct reconstruct_report report;
	struct lines now;
	struct mailbox *m;

	remove_files(b, "mbox.idx");
	remove_files(b, "mbox.jnl.");
	remove_files(b, "mbox.ann.");
	remove_files(b, "mbox.cache.");
	report = reconstruct(b, (struct reconstruct_options){0});
	lines_of_mailbox(&b->rig, &now);
	assert_int_equal(now.counters.uidvalidity, b->good.counters.uidvalidity);
	assert_true(now.counters.last_uid >= b->good.counters.last_uid);
	assert_true(now.highestmodseq > b->good.highestmodseq);
	assert_int_equal(now.counters.deletedmodseq, now.counters.highestmodseq);
	for (unsigned uid = 1; uid < MOST_UID; uid++) {
		assert_int_equal(now.of[uid] && now.live[uid], has_message_file(&b->image, uid));
		if (now.of[uid])
			assert_true(guid_eq(&now.guid[uid], &b->good.guid[uid]));
	}
	assert_int_equal(report.added, now.counters.exists);
	free_lines(&now);
	/* Keywords have their old bits, for records that may come back from elsewhere. */
	m = rig_mailbox(&b->rig, BOB);
	assert_int_equal(flag_names_find(&m->view.names, SPAN_LIT("$forwarded")), 0);
	assert_int_equal(view_find(&m->view, 12)->internaldate_ns, 1769940000LL * 1000000000);
	mailbox_close(&m);
	report = reconstruct(b, (struct reconstruct_options){.check_guids = true});
	assert_silent(b, &report);
}

static void from_messages_alone(void **state)
{
	struct bench *b = *state;
	struct mailbox *m;

	remove_files(b, "mbox.");
	(void)reconstruct(b, (struct reconstruct_options){0});
	m = rig_mailbox(&b->rig, BOB);
	rig_check_counters(m);
	assert_int_equal(m->view.counters.uidvalidity, b->good.counters.uidvalidity);
	assert_true(m->view.counters.last_uid > b->good.counters.last_uid);
	assert_true(mailbox_highestmodseq(m) > b->good.highestmodseq);
	assert_int_equal(m->view.counters.exists, 30);
	mailbox_close(&m);
}

static void without_its_directory(void **state)
{
	struct bench *b = *state;
	struct mailbox *m;

	empty_directory(&b->image);
	(void)reconstruct(b, (struct reconstruct_options){.dry_run = true});
	(void)reconstruct(b, (struct reconstruct_options){0});
	m = rig_mailbox(&b->rig, BOB);
	assert_int_equal(m->view.counters.exists, 0);
	assert_int_equal(m->view.counters.uidvalidity, b->good.counters.uidvalidity);
	assert_true(m->view.counters.last_uid >= 1000000); /* nobody knows how far they had come */
	mailbox_close(&m);
}

/* ---- foreign files -------------------------------------------------------------------------------------- */

static void copy_from(struct bench *b, const char *other, const char *prefix)
{
	struct mailbox *m = rig_mailbox(&b->rig, other);
	const char *name = image_find(&b->image, prefix)->name;
	struct timespec now = {0, UTIME_NOW};
	struct buf bytes = BUF_INIT;
	struct us_err err;

	assert_ok(io_read_file(m->dir, name, 1u << 24, &bytes, &err), &err);
	write_whole(&b->image, name, bytes.data, bytes.len, &now);
	buf_free(&bytes);
	mailbox_close(&m);
}

/* Another mailbox of the same shape, so that its files have the same names. */
static void make_other(struct bench *b)
{
	struct mailbox *m = NULL;
	struct commit *c;
	struct us_err err;

	if (mailbox_open(b->rig.store, SPAN_LIT("user.amy"), &m, NULL) == 0) {
		mailbox_close(&m);
		return;
	}
	rig_create(&b->rig, "user.amy");
	for (int i = 0; i < 9; i++)
		rig_append(&b->rig, "user.amy", "Subject: hers\r\n\r\nHers.\r\n", FLAG_DRAFT);
	m = rig_mailbox(&b->rig, "user.amy");
	assert_ok(mailbox_lock(m, &err), &err);
	assert_ok(commit_begin(m, &c, &err), &err);
	assert_ok(commit_annotate(c, 1, SPAN_LIT("/comment"), SPAN_LIT(""), SPAN_LIT("hers"), 5,
				  &err),
		  &err);
	assert_ok(commit_finish(&c, &err), &err);
	assert_ok(compact(m, &err), &err);
	mailbox_close(&m);
	rig_append(&b->rig, "user.amy", "Subject: hers\r\n\r\nHers too.\r\n", FLAG_DRAFT);
}

static void files_of_another_mailbox(void **state)
{
	static const char *const names[] = {"mbox.idx", "mbox.jnl.", "mbox.ann.", "mbox.cache.",
					    "mbox.hdr"};
	struct bench *b = *state;

	make_other(b);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		bool hurt[MOST_UID] = {false};
		image_restore(&b->image);
		copy_from(b, "user.amy", names[i]);
		if (i == 0) {
			hurt_all(&b->index, hurt);
			heal_by_journal(&b->journal, hurt);
		} else if (i == 1) {
			hurt_all(&b->journal, hurt);
		} else if (i == 2) {
			hurt_all(&b->annots, hurt);
		}
		(void)reconstruct(b, (struct reconstruct_options){0});
		check(b, hurt, names[i], 0, 0);
	}
}

/* ---- a healthy one ------------------------------------------------------------------------------------------ */

static void a_healthy_mailbox_is_left_alone(void **state)
{
	struct bench *b = *state;
	struct reconstruct_report report;
	struct stat before, after;

	assert_int_equal(fstatat(b->image.dir, "mbox.idx", &before, 0), 0);
	report = reconstruct(b, (struct reconstruct_options){.check_guids = true});
	assert_silent(b, &report);
	assert_int_equal(report.records, 30);
	assert_int_equal(fstatat(b->image.dir, "mbox.idx", &after, 0), 0);
	assert_int_equal(before.st_ino, after.st_ino);
}

/* A random walk of everything a mailbox goes through: at no point is anything found. */
static void heavy_use_leaves_nothing_to_find(void **state)
{
	struct bench *b = *state;
	unsigned seed = 20261130;

	for (int i = 0; i < 250; i++) {
		unsigned what = (unsigned)rand_r(&seed) % 12;
		struct mailbox *m = rig_mailbox(&b->rig, BOB);
		uint32_t uid = 1 + (unsigned)rand_r(&seed) % m->view.counters.last_uid;
		const struct record *r = view_find(&m->view, uid);
		bool live = r && record_is_live(r), there = r;
		struct reconstruct_report report;

		mailbox_close(&m);
		if (what < 4)
			append_number(&b->rig, (unsigned)i);
		else if (what < 7 && live)
			rig_flags(&b->rig, BOB, uid, (unsigned)rand_r(&seed) & 31, false);
		else if (what < 9 && live)
			rig_flags(&b->rig, BOB, uid, 0, true);
		else if (what == 9 && there && !live)
			unlink_uid(&b->rig, uid);
		else if (what == 10 && live)
			annotate(&b->rig, uid, i % 2 ? "bob" : "", "a note");
		else if (what == 11)
			compact_bob(&b->rig);
		report = reconstruct(b, (struct reconstruct_options){.check_guids = i % 5 == 0});
		assert_silent(b, &report);
	}
}

static void a_dry_run_tells_the_same_and_changes_nothing(void **state)
{
	struct bench *b = *state;
	struct reconstruct_report dry, wet;
	struct buf told = BUF_INIT;

	remove_files(b, "mbox.idx");
	remove_files(b, "3.");
	dry = reconstruct(b, (struct reconstruct_options){.dry_run = true});
	assert_int_equal(b->rig.heard.len, 0);
	buf_add_span(&told, buf_span(&b->told));
	assert_int_equal(faccessat(b->image.dir, "mbox.idx", F_OK, 0), -1);
	wet = reconstruct(b, (struct reconstruct_options){0});
	assert_string_equal(told.data, b->told.data);
	assert_memory_equal(&dry, &wet, sizeof(dry));
	buf_free(&told);
}

/* ---- interplay with who was here before --------------------------------------------------------------------- */

/* A commit that was durable but not published: its holder died. It is taken in, not lost. */
static void an_unpublished_commit_is_rolled_forward(void **state)
{
	struct bench *b = *state;
	struct image_file *f = image_find(&b->image, "mbox.jnl.");
	char *bytes = us_malloc(f->len);
	struct pieces *p = &b->journal;
	bool none[MOST_UID] = {false};

	memcpy(bytes, f->bytes, f->len);
	((struct journal_header *)bytes)->publish_end = p->items[p->n - 3].from;
	write_whole(&b->image, f->name, bytes, f->len, &f->mtime);
	free(bytes);
	remove_files(b, "3."); /* so that something is written */
	none[3] = true;
	(void)reconstruct(b, (struct reconstruct_options){0});
	check(b, none, "publish_end", 0, 0);
}

/* Another epoch in the same boot: a sync had failed. What was not published may not be on the disk and is dropped. */
static void what_a_failed_sync_left_is_dropped(void **state)
{
	struct bench *b = *state;
	struct image_file *f = image_find(&b->image, "mbox.jnl.");
	char *bytes = us_malloc(f->len);
	struct pieces *p = &b->journal;
	struct mailbox *m;

	memcpy(bytes, f->bytes, f->len);
	((struct journal_header *)bytes)->publish_end = p->items[p->n - 1].from;
	((struct journal_header *)bytes)->epoch += 1;
	write_whole(&b->image, f->name, bytes, f->len, &f->mtime);
	free(bytes);
	remove_files(b, "3.");
	(void)reconstruct(b, (struct reconstruct_options){0});
	m = rig_mailbox(&b->rig, BOB);
	assert_int_equal(view_find(&m->view, 30)->system_flags,
			 30); /* the last commit changed it */
	mailbox_close(&m);
}

static void the_observer_may_refuse(void **state)
{
	struct bench *b = *state;
	struct reconstruct_options options = {0};
	struct reconstruct_report report;
	struct us_err err;

	remove_files(b, "3.");
	b->rig.refuse = US_EIO;
	assert_int_equal(reconstruct_mailbox(b->rig.store, SPAN_LIT(BOB), &options, &report, &err),
			 US_EIO);
	b->rig.refuse = 0;
	assert_true(has_message_file(&b->image, 2));
	report = reconstruct(b, options);
	assert_int_equal(report.missing, 1);
}

static void flag_history_is_kept(void **state)
{
	struct bench *b = *state;
	struct salvage before, after;
	struct mailbox *m = rig_mailbox(&b->rig, BOB);
	struct storeid id = m->row.storeid;
	struct salvage_place place = {b->image.dir, &id, store_boot_tag(b->rig.store),
				      partition_epoch(m->partition), UINT64_MAX};

	mailbox_close(&m);
	salvage_directory(&place, &before);
	remove_files(b, "3.");
	(void)reconstruct(b, (struct reconstruct_options){0});
	salvage_directory(&place, &after);
	assert_true(before.history.n > 0);
	assert_int_equal(before.history.n, after.history.n);
	assert_memory_equal(before.history.ops.data, after.history.ops.data,
			    before.history.ops.len);
	assert_true(after.serial > before.serial);
	salvage_fini(&before);
	salvage_fini(&after);
}

/* META ops of the new journal must be newer than any that metad has, or they would not be applied again after a crash. */
static void serials_go_on_above_those_of_the_row(void **state)
{
	struct bench *b = *state;
	struct buf key = BUF_INIT;
	struct meta_batch batch;
	struct mailbox *m;
	struct us_err err;

	mboxname_to_key(SPAN_LIT(BOB), &key);
	meta_batch_init(&batch);
	meta_batch_serial(&batch, META_MAILBOXES, buf_span(&key), 5000);
	assert_ok(meta_commit(store_meta(b->rig.store), &batch, META_DURABLE, &err), &err);
	meta_batch_fini(&batch);
	remove_files(b, "mbox.jnl.");
	remove_files(b, "mbox.idx");
	(void)reconstruct(b, (struct reconstruct_options){0});
	m = rig_mailbox(&b->rig, BOB);
	assert_true(m->view.at.serial > 5000);
	mailbox_close(&m);
	buf_free(&key);
}

static void a_wrong_uidvalidity_in_the_row_is_corrected(void **state)
{
	struct bench *b = *state;
	struct mailbox *m = rig_mailbox(&b->rig, BOB);
	struct mailbox_row row = m->row;
	struct meta_batch batch;
	struct buf key = BUF_INIT, payload = BUF_INIT;
	struct us_err err;

	row.uidvalidity += 7;
	mboxname_to_key(SPAN_LIT(BOB), &key);
	mailbox_row_encode(&row, &payload);
	meta_batch_init(&batch);
	meta_batch_put(&batch, META_MAILBOXES, buf_span(&key), buf_span(&payload));
	assert_ok(meta_commit(store_meta(b->rig.store), &batch, META_DURABLE, &err), &err);
	meta_batch_fini(&batch);
	mailbox_close(&m);
	(void)reconstruct(b, (struct reconstruct_options){0});
	assert_told(b, BOB ": wrong uidvalidity in its row");
	m = rig_mailbox(&b->rig, BOB);
	assert_int_equal(m->row.uidvalidity, b->good.counters.uidvalidity);
	mailbox_close(&m);
	buf_free(&key);
	buf_free(&payload);
}

/* Compaction must not make damage look like intention. */
static void compaction_refuses_what_is_damaged(void **state)
{
	struct bench *b = *state;
	struct piece *p = &b->index.items[0];
	struct mailbox *m;
	struct us_err err;

	overwrite(b, image_find(&b->image, "mbox.idx"), p->from + 16, p->to, false);
	m = rig_mailbox(&b->rig, BOB);
	assert_ok(mailbox_lock(m, &err), &err);
	assert_int_equal(compact(m, &err), US_ECORRUPT);
	mailbox_close(&m);
}

/* ---- what cannot be read, removed or synced --------------------------------------------------------------------- */

static int try_reconstruct(struct bench *b, struct reconstruct_options options)
{
	struct reconstruct_report report;
	struct us_err err;

	buf_clear(&b->rig.heard);
	return reconstruct_mailbox(b->rig.store, SPAN_LIT(BOB), &options, &report, &err);
}

static void a_directory_that_cannot_be_read_is_not_empty(void **state)
{
	struct bench *b = *state;
	bool none[MOST_UID] = {false};

	remove_files(b, "mbox.hdr"); /* so that there would be something to write */
	rig_break("store.reconstruct.list", FAILPOINT_EIO);
	assert_int_equal(try_reconstruct(b, (struct reconstruct_options){0}), US_EIO);
	rig_mend();
	assert_int_equal(b->rig.heard.len, 0);
	(void)reconstruct(b, (struct reconstruct_options){0});
	check(b, none, "the directory", 0, 0);
}

/* Nor is a file that cannot be opened one that is gone: flags would be lost with it. */
static void a_file_that_cannot_be_opened_is_not_missing(void **state)
{
	static const char *const points[] = {"store.salvage.open", "store.salvage.list"};
	struct bench *b = *state;
	bool none[MOST_UID] = {false};

	for (size_t i = 0; i < ARRAY_SIZE(points); i++) {
		rig_break(points[i], FAILPOINT_EIO);
		assert_int_equal(try_reconstruct(b, (struct reconstruct_options){0}), US_EIO);
		rig_mend();
		assert_int_equal(b->rig.heard.len, 0);
		check(b, none, points[i], 0, 0);
	}
}

/* Expunged at once, at that time, but the file stays. */
static void unlink_in_vain(struct bench *b, uint32_t uid, int64_t time)
{
	struct mailbox *m = rig_mailbox(&b->rig, BOB);
	struct commit *c;
	struct record r;
	struct us_err err;

	assert_ok(mailbox_lock(m, &err), &err);
	assert_ok(commit_begin(m, &c, &err), &err);
	r = *view_find(&m->view, uid);
	r.internal_flags |= RECORD_EXPUNGED | RECORD_UNLINKED;
	r.modseq = commit_modseq(c);
	r.last_updated = time;
	assert_ok(commit_put(c, &r, &err), &err);
	rig_break("store.commit.unlink", FAILPOINT_EIO);
	assert_ok(commit_finish(&c, &err), &err);
	rig_mend();
	mailbox_close(&m);
	assert_true(has_message_file(&b->image, uid));
}

static void what_was_expunged_does_not_come_back(void **state)
{
	struct bench *b = *state;
	struct reconstruct_report report;

	unlink_in_vain(b, 3, store_now() + 2);
	unlink_in_vain(b, 5, store_now() - 100); /* the file is newer: somebody put it back */
	report = reconstruct(b, (struct reconstruct_options){0});
	assert_told(b, BOB " uid 3 was removed - removing its file");
	assert_told(b, BOB " uid 5 rediscovered - appending");
	assert_int_equal(report.added, 1);
	assert_false(has_message_file(&b->image, 3));
	assert_false(has_message_file(&b->image, 5));
	assert_true(has_message_file(&b->image, b->good.counters.last_uid + 1));
}

static void compaction_removes_what_was_expunged(void **state)
{
	struct bench *b = *state;

	unlink_in_vain(b, 3, store_now() + 2);
	unlink_in_vain(b, 5, store_now() - 100);
	compact_bob(&b->rig);
	assert_false(has_message_file(&b->image, 3));
	assert_true(has_message_file(&b->image, 5));
}

static void a_switch_that_is_not_durable_poisons(void **state)
{
	struct bench *b = *state;
	struct us_err err;

	remove_files(b, "3.");
	rig_break("store.compact.sync_switch", FAILPOINT_EIO);
	assert_int_equal(try_reconstruct(b, (struct reconstruct_options){0}), US_EIO);
	rig_mend();
	assert_true(partition_is_poisoned(store_default_partition(b->rig.store)));
	assert_int_equal(rig_try_flags(&b->rig, BOB, 1, FLAG_SEEN, false, &err), US_EIO);
	assert_ok(partition_recover(store_default_partition(b->rig.store), &err), &err);
}

/* What a dead holder left is told, as any damage is, and left to the next who has the lock. */
static void a_dry_run_rolls_nothing_forward(void **state)
{
	struct bench *b = *state;
	struct image_file *f = image_find(&b->image, "mbox.jnl.");
	struct journal_header *head = us_malloc(f->len);
	struct pieces *p = &b->journal;
	int fd;

	memcpy(head, f->bytes, f->len);
	head->publish_end = p->items[p->n - 3].from;
	write_whole(&b->image, f->name, (char *)head, f->len, &f->mtime);
	free(head);
	assert_int_equal(try_reconstruct(b, (struct reconstruct_options){.dry_run = true}), 0);
	head = us_malloc(sizeof(*head));
	fd = openat(b->image.dir, f->name, O_RDONLY);
	assert_int_equal(pread(fd, head, sizeof(*head), 0), sizeof(*head));
	close(fd);
	assert_int_equal(head->publish_end, p->items[p->n - 3].from);
	free(head);
}

#define TEST(f) cmocka_unit_test_setup(f, restore)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_healthy_mailbox_is_left_alone),
		TEST(a_damaged_index),
		TEST(a_damaged_journal),
		TEST(damaged_annotations),
		TEST(a_damaged_cache_or_header_costs_nothing),
		TEST(a_header_that_is_gone_is_written_anew),
		TEST(without_its_index),
		TEST(flags_in_the_journal_outlive_the_index),
		TEST(without_its_journal),
		TEST(uids_and_modseqs_of_a_lost_journal_are_not_given_again),
		TEST(without_annotations),
		TEST(without_its_cache),
		TEST(from_messages_and_header_alone),
		TEST(from_messages_alone),
		TEST(without_its_directory),
		TEST(files_of_another_mailbox),
		TEST(a_dry_run_tells_the_same_and_changes_nothing),
		TEST(an_unpublished_commit_is_rolled_forward),
		TEST(what_a_failed_sync_left_is_dropped),
		TEST(the_observer_may_refuse),
		TEST(flag_history_is_kept),
		TEST(a_wrong_uidvalidity_in_the_row_is_corrected),
		TEST(compaction_refuses_what_is_damaged),
		TEST(serials_go_on_above_those_of_the_row),
		TEST(a_directory_that_cannot_be_read_is_not_empty),
		TEST(a_file_that_cannot_be_opened_is_not_missing),
		TEST(what_was_expunged_does_not_come_back),
		TEST(compaction_removes_what_was_expunged),
		TEST(a_dry_run_rolls_nothing_forward),
		TEST(a_switch_that_is_not_durable_poisons),
		TEST(heavy_use_leaves_nothing_to_find),
	};

	return cmocka_run_group_tests(tests, bench_make, bench_drop);
}
