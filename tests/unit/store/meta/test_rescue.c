/* test_rescue.c - tables that are torn, destroyed or lost, and copies of them that are being made: nothing acknowledged goes.
 *
 * Writers are children: they die at a failpoint, or find that a write fails, and say through shared memory what they were
 * told is durable. The parent opens what they left and looks for it. It is deaths that are tried, not power cuts, and thousands
 * of them, so all is in memory where there is room for that.
 */
#include "tests/unit/test.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "server/base/failpoint.h"
#include "server/store/meta/bdb.h"
#include "server/store/meta/meta_private.h"

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

/* When Berkeley DB cannot open an environment it loses two pieces of it, whatever is closed then. They are told by its functions,
 * which have no frame pointers; what we do not close is lost by others and is found. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "fast_unwind_on_malloc=0:malloc_context_size=8";
}

const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
	return "leak:__env_remove_env\nleak:__log_open\n";
}

#define SLOTS 300 /* keys, written one after the other, over and over */

struct shared {
	struct failpoint_page page;
	uint64_t begun, acknowledged; /* writes, all children's */
	uint64_t saved;
};

struct rig {
	char root[40], dir[60];
	struct engine *engine;
	struct meta *meta;
	struct shared *shared;
	struct us_err err;
};

/* A copy is always due, and made as fast as it can be. */
static const struct backup_policy always = {.interval_s = 3600,
					    .rate = (uint64_t)1 << 34,
					    .log_bytes = 0,
					    .log_percent = 0};

static int try_open(struct rig *rig, const struct backup_policy *policy)
{
	struct engine_config config = {.directory = rig->dir, .cache_bytes = 1u << 20};
	int rc;

	if (policy)
		config.backup = *policy;
	rc = engine_open(&config, &rig->engine, &rig->err);
	if (rc == 0)
		rig->meta = meta_of_engine(rig->engine);
	return rc;
}

static void open_tables(struct rig *rig, const struct backup_policy *policy)
{
	assert_ok(try_open(rig, policy), &rig->err);
}

static void close_tables(struct rig *rig)
{
	struct us_err ignored;

	meta_close(&rig->meta);
	(void)engine_close(&rig->engine, &ignored);
}

static int setup(void **state)
{
	struct rig *rig = us_calloc(1, sizeof(*rig));

	rig->shared = mmap(NULL, sizeof(*rig->shared), PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(rig->shared != MAP_FAILED);
	strcpy(rig->root, access("/dev/shm", W_OK) == 0 ? "/dev/shm/us-rescue-XXXXXX"
							: "/tmp/us-rescue-XXXXXX");
	assert_non_null(mkdtemp(rig->root));
	snprintf(rig->dir, sizeof(rig->dir), "%s/meta", rig->root);
	assert_int_equal(mkdir(rig->dir, 0700), 0);
	*state = rig;
	return 0;
}

static int teardown(void **state)
{
	struct rig *rig = *state;
	char command[80];

	close_tables(rig);
	failpoint_use(NULL);
	snprintf(command, sizeof(command), "rm -rf %s", rig->root);
	assert_int_equal(system(command), 0);
	munmap(rig->shared, sizeof(*rig->shared));
	free(rig);
	return 0;
}

/* ---- rows ---------------------------------------------------------------------------------------- */

/* Sizes differ: most lie in a leaf, some in pages of their own. */
static void payload_of(uint64_t i, struct buf *out)
{
	size_t len = i % 17 == 0 ? 5000 : 200 + i * 37 % 900;

	buf_printf(out, "%llu ", (unsigned long long)i);
	while (out->len < len)
		buf_add_char(out, (char)('a' + (i + out->len) % 26));
}

static enum meta_table table_of(uint64_t slot)
{
	static const enum meta_table tables[] = {META_QUOTA, META_SEEN, META_MAILBOXES};

	return tables[slot % ARRAY_SIZE(tables)];
}

static void add_row(struct meta_batch *batch, uint64_t i)
{
	struct buf payload = BUF_INIT;
	char key[16];

	snprintf(key, sizeof(key), "k%03u", (unsigned)(i % SLOTS));
	payload_of(i, &payload);
	meta_batch_put(batch, table_of(i % SLOTS), span_of(key), buf_span(&payload));
	buf_free(&payload);
}

static int write_row(struct rig *rig, uint64_t i)
{
	struct meta_batch batch;
	int rc;

	meta_batch_init(&batch);
	add_row(&batch, i);
	rc = meta_commit(rig->meta, &batch, META_DURABLE, &rig->err);
	meta_batch_fini(&batch);
	return rc;
}

static int write_rows(struct rig *rig, unsigned n)
{
	int rc = 0;

	while (rc == 0 && n--) {
		uint64_t i = rig->shared->begun++;
		rc = write_row(rig, i);
		if (rc == 0)
			rig->shared->acknowledged = i + 1;
	}
	return rc;
}

/* The same in few batches, where it is not the batches that are looked at. */
static int write_many(struct rig *rig, unsigned n)
{
	struct shared *s = rig->shared;
	int rc = 0;

	for (unsigned group; rc == 0 && n; n -= group) {
		struct meta_batch batch;
		group = n < 50 ? n : 50;
		meta_batch_init(&batch);
		for (unsigned i = 0; i < group; i++)
			add_row(&batch, s->begun++);
		rc = meta_commit(rig->meta, &batch, META_DURABLE, &rig->err);
		if (rc == 0)
			s->acknowledged = s->begun;
		meta_batch_fini(&batch);
	}
	return rc;
}

/* The newest write of a slot below `end`: UINT64_MAX if there is none. */
static uint64_t newest(uint64_t slot, uint64_t end)
{
	return end <= slot ? UINT64_MAX : slot + (end - 1 - slot) / SLOTS * SLOTS;
}

static bool row_is(const struct buf *found, uint64_t i)
{
	struct buf expected = BUF_INIT;
	bool is;

	if (i == UINT64_MAX)
		return found->len == 0;
	payload_of(i, &expected);
	is = span_eq(buf_span(found), buf_span(&expected));
	buf_free(&expected);
	return is;
}

/* Every row is what was acknowledged last, or what was begun and not acknowledged. -1: a read failed. */
static int look_at_rows(struct rig *rig)
{
	const struct shared *s = rig->shared;
	int rc = 0;

	for (uint64_t slot = 0; rc >= 0 && slot < SLOTS; slot++) {
		struct buf found = BUF_INIT;
		struct meta_stamp stamp;
		char key[16];
		snprintf(key, sizeof(key), "k%03u", (unsigned)slot);
		rc = meta_get(rig->meta, table_of(slot), span_of(key), &found, &stamp, &rig->err);
		if (rc >= 0 && !row_is(&found, newest(slot, s->acknowledged)) &&
		    !row_is(&found, newest(slot, s->begun)))
			fail_msg("slot %u is '%.20s', acknowledged %llu of %llu", (unsigned)slot,
				 found.data, (unsigned long long)s->acknowledged,
				 (unsigned long long)s->begun);
		buf_free(&found);
	}
	return rc < 0 ? -1 : 0;
}

static void expect_all_rows(struct rig *rig)
{
	assert_ok(look_at_rows(rig), &rig->err);
	/* what was begun may have been done: from here on it is what is there that counts */
	rig->shared->begun = rig->shared->acknowledged;
	assert_ok(write_many(rig, SLOTS), &rig->err);
}

/* ---- children ------------------------------------------------------------------------------------ */

typedef int work_fn(struct rig *rig);

static void arm(struct rig *rig, const char *point, enum failpoint_action action, unsigned pass)
{
	struct failpoint_page *page = &rig->shared->page;

	failpoint_page_init(page);
	snprintf(page->name, sizeof(page->name), "%s", point);
	page->countdown = (int32_t)pass;
	page->action = action;
}

/* Did it act? */
static bool run_child(struct rig *rig, work_fn *work)
{
	pid_t child = fork();
	int status;

	assert_true(child >= 0);
	if (child == 0) {
		failpoint_use(&rig->shared->page);
		_exit(work(rig) == 0 ? 0 : 1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status) || WTERMSIG(status) == SIGKILL);
	if (!rig->shared->page.fired)
		assert_int_equal(status, 0);
	return rig->shared->page.fired > 0;
}

static int write_some(struct rig *rig)
{
	int rc = try_open(rig, NULL);

	if (rc == 0)
		rc = write_rows(rig, 8);
	close_tables(rig);
	return rc;
}

static int make_copy(struct rig *rig)
{
	struct note before = {0}, after;
	int dir = open(rig->dir, O_RDONLY | O_DIRECTORY), rc;

	(void)note_read(dir, BACKUP_NOTE, &before, &rig->err);
	after = before;
	for (rc = 0; rc == 0 && after.copy == before.copy;) {
		rc = engine_tend(rig->engine, &rig->err);
		if (rc == 0 && note_read(dir, BACKUP_NOTE, &after, &rig->err) <= 0)
			after = before;
		usleep(1000);
	}
	close(dir);
	return rc;
}

/* Copies, with rows written between the steps. */
static int write_and_copy(struct rig *rig)
{
	int rc = try_open(rig, &always);

	for (int i = 0; rc == 0 && i < 20; i++) {
		rc = write_rows(rig, 2);
		if (rc == 0)
			rc = engine_tend(rig->engine, &rig->err);
	}
	close_tables(rig);
	return rc;
}

static int merely_open(struct rig *rig)
{
	int rc = try_open(rig, NULL);

	close_tables(rig);
	return rc;
}

/* ---- ruin ------------------------------------------------------------------------------------------ */

static void shell(struct rig *rig, const char *command)
{
	char *text = us_asprintf("cd %s && %s", rig->dir, command);

	assert_int_equal(system(text), 0);
	free(text);
}

static off_t size_of_tables(struct rig *rig)
{
	char path[90];
	struct stat st;

	snprintf(path, sizeof(path), "%s/" BDB_FILE, rig->dir);
	assert_int_equal(stat(path, &st), 0);
	return st.st_size;
}

static void overwrite(struct rig *rig, off_t at, size_t len, int what)
{
	char path[90], *bytes = us_malloc(len);
	int fd;

	for (size_t i = 0; i < len; i++)
		bytes[i] = (char)(what < 0 ? rand() : what);
	snprintf(path, sizeof(path), "%s/" BDB_FILE, rig->dir);
	fd = open(path, O_WRONLY);
	assert_int_equal(pwrite(fd, bytes, len, at), (ssize_t)len);
	close(fd);
	free(bytes);
}

/* What was there is made the state to begin from; and begun from. */
static void save(struct rig *rig)
{
	shell(rig, "rm -rf ../good && cp -a . ../good");
	rig->shared->saved = rig->shared->acknowledged;
}

static void restore(struct rig *rig)
{
	shell(rig, "rm -rf ../meta && cp -a ../good ../meta");
	rig->shared->begun = rig->shared->acknowledged = rig->shared->saved;
}

static unsigned count_kept(struct rig *rig)
{
	DIR *list = opendir(rig->dir);
	struct dirent *entry;
	unsigned n = 0;

	while ((entry = readdir(list)))
		n += strncmp(entry->d_name, "broken-", 7) == 0;
	closedir(list);
	return n;
}

/* Damage that nothing has read yet costs the first reader his answer; the next owner has everything. */
static void expect_healed(struct rig *rig)
{
	open_tables(rig, &always);
	if (look_at_rows(rig) < 0) {
		close_tables(rig);
		open_tables(rig, &always);
	}
	expect_all_rows(rig);
	close_tables(rig);
}

/* ---- tests ----------------------------------------------------------------------------------------- */

static void break_every_write(struct rig *rig, const char *point, enum failpoint_action action,
			      const struct backup_policy *policy)
{
	unsigned n = 0;

	do {
		arm(rig, point, action, n);
		if (!run_child(rig, write_some))
			break;
		open_tables(rig, policy);
		expect_all_rows(rig);
		close_tables(rig);
	} while (++n);
	assert_true(n > 1);
}

static void any_write_may_be_torn(void **state)
{
	struct rig *rig = *state;

	break_every_write(rig, "meta.db.write", FAILPOINT_TORN, NULL);
}

static void any_write_may_be_torn_when_there_is_a_copy(void **state)
{
	struct rig *rig = *state;

	open_tables(rig, &always);
	assert_ok(write_many(rig, 2 * SLOTS), &rig->err);
	assert_ok(make_copy(rig), &rig->err);
	close_tables(rig);
	break_every_write(rig, "meta.db.write", FAILPOINT_TORN, &always);
	assert_true(count_kept(rig) > 0); /* pages, too */
}

static void any_write_may_fail(void **state)
{
	static const enum failpoint_action actions[] = {FAILPOINT_EIO, FAILPOINT_ENOSPC,
							FAILPOINT_KILL};
	static const char *const points[] = {"meta.db.write", "meta.db.fsync", "meta.db.create",
					     "meta.note.write"};
	struct rig *rig = *state;

	for (size_t i = 0; i < ARRAY_SIZE(points); i++)
		for (size_t k = 0; k < ARRAY_SIZE(actions); k++)
			break_every_write(rig, points[i], actions[k], NULL);
	assert_int_equal(count_kept(rig), 0); /* a disk that fails is no reason for a rescue */
}

static void prepare(struct rig *rig)
{
	open_tables(rig, &always);
	assert_ok(write_many(rig, SLOTS), &rig->err);
	assert_ok(make_copy(rig), &rig->err);
	assert_ok(write_many(rig, SLOTS + 50), &rig->err);
	close_tables(rig);
}

static void tables_that_are_gone_come_back(void **state)
{
	static const char *const ways[] = {
		"rm tables.db",
		": > tables.db",
		"truncate -s 1 tables.db",
		"truncate -s 4096 tables.db",
		"truncate -s 40960 tables.db",
		"truncate -s -4096 tables.db",
		"truncate -s -100 tables.db",
		"truncate -s -200000 tables.db && truncate -s +200000 tables.db",
		"head -c 400000 /dev/urandom > tables.db",
		"head -c 40000000 /dev/zero > tables.db",
		"cp backup/tables.* tables.db",
		"cp log.0000000001 tables.db || cp log.0* tables.db",
		"rm tables.db tables.note generations",
		"rm tables.db && touch sync.failed",
		"rm tables.db && touch suspect",
	};
	struct rig *rig = *state;

	prepare(rig);
	save(rig);
	for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
		restore(rig);
		shell(rig, ways[i]);
		expect_healed(rig);
		assert_true(count_kept(rig) >= 1 && count_kept(rig) <= 2);
	}
}

/* Zeros that nobody took for what they are, too. */
static void find_by_copying(struct rig *rig)
{
	open_tables(rig, &always);
	assert_true(make_copy(rig) == US_ECORRUPT ||
		    count_kept(rig) == 1 /* it was seen as they were opened */);
	close_tables(rig);
}

static void any_page_may_go_bad(void **state)
{
	struct rig *rig = *state;
	off_t pages, stride = getenv("US_LONG") ? 1 : 25;

	prepare(rig);
	pages = size_of_tables(rig) / BDB_PAGE_SIZE;
	save(rig);
	for (off_t i = 0; i < pages; i += i < 12 ? 1 : stride)
		for (int what = -1; what <= 0; what++) {
			restore(rig);
			overwrite(rig, i * BDB_PAGE_SIZE + (what < 0 ? 400 : 0),
				  what < 0 ? 100 : BDB_PAGE_SIZE, what);
			if (what == 0 || i % 3 == 0)
				find_by_copying(rig);
			expect_healed(rig);
		}
}

/* What nobody reads is found when it would be copied. */
static void a_bad_page_is_found_before_its_copy_goes(void **state)
{
	struct rig *rig = *state;
	int rc = 0;

	prepare(rig);
	overwrite(rig, size_of_tables(rig) - BDB_PAGE_SIZE + 3000, 8, 'x');
	open_tables(rig, &always);
	for (int i = 0; rc == 0 && i < 1000; i++)
		rc = engine_tend(rig->engine, &rig->err);
	assert_int_equal(rc, US_ECORRUPT);
	close_tables(rig);
	expect_healed(rig);
	assert_int_equal(count_kept(rig), 1);
}

static void begin_anew(struct rig *rig)
{
	shell(rig, "rm -rf *");
	rig->shared->begun = rig->shared->acknowledged = 0;
}

/* At each moment there is something to make the tables from. */
static void dying_while_copying_leaves_a_copy(void **state)
{
	static const char *const points[] = {
		"meta.backup.mkdir",       "meta.backup.sync_home",     "meta.backup.sync_note",
		"meta.backup.create",      "meta.backup.write",         "meta.backup.sync",
		"meta.backup.sync_name",   "meta.backup.note.write",    "meta.backup.note.sync",
		"meta.backup.note.rename", "meta.backup.note.sync_dir", "meta.backup.unlink",
		"meta.note.write",
	};
	static const enum failpoint_action actions[] = {FAILPOINT_TORN, FAILPOINT_EIO,
							FAILPOINT_ENOSPC};
	struct rig *rig = *state;

	for (size_t i = 0; i < ARRAY_SIZE(points); i++)
		for (size_t k = 0; k < ARRAY_SIZE(actions); k++)
			for (unsigned n = 0; n < 3; n++) {
				if (i < 2)
					begin_anew(rig);
				arm(rig, points[i], actions[k], n);
				if (!run_child(rig, write_and_copy)) {
					assert_true(n > 0);
					break;
				}
				shell(rig, "rm -f tables.db");
				open_tables(rig, NULL);
				expect_all_rows(rig);
				close_tables(rig);
			}
}

static void a_rescue_may_be_interrupted(void **state)
{
	static const char *const points[] = {
		"meta.rescue.mark.write",  "meta.rescue.mark.sync",
		"meta.rescue.mark.rename", "meta.rescue.mark.sync_dir",
		"meta.rescue.mkdir",       "meta.copy.create",
		"meta.copy.write",         "meta.copy.sync",
		"meta.copy.rename",        "meta.rescue.link",
		"meta.rescue.rename",      "meta.rescue.sync_aside",
		"meta.rescue.sync_dir",    "meta.restore.create",
		"meta.backup.write",       "meta.restore.sync",
		"meta.restore.rename",     "meta.restore.sync_name",
		"meta.db.write",           "meta.db.fsync",
		"meta.rescue.mark.unlink", "meta.rescue.mark.sync_end",
	};
	static const enum failpoint_action actions[] = {FAILPOINT_TORN, FAILPOINT_EIO};
	struct rig *rig = *state;

	prepare(rig);
	open_tables(rig, NULL);
	assert_ok(write_many(rig, 12 * SLOTS), &rig->err); /* logs, more than one */
	close_tables(rig);
	save(rig);
	for (size_t i = 0; i < ARRAY_SIZE(points); i++)
		for (size_t k = 0; k < ARRAY_SIZE(actions); k++)
			for (unsigned n = 0; n < 2; n++) {
				restore(rig);
				overwrite(rig, 3 * BDB_PAGE_SIZE, BDB_PAGE_SIZE, -1);
				overwrite(rig, 0, BDB_PAGE_SIZE, -1);
				arm(rig, points[i], actions[k], n);
				if (!run_child(rig, merely_open)) {
					assert_true(n > 0);
					expect_healed(rig);
					break;
				}
				expect_healed(rig);
				/* every log is kept as it was found, whole */
				shell(rig, "for l in ../good/log.*; do "
					   "cmp $l broken-*/${l##*/} || exit 1; done");
			}
}

/* All there is are the logs, and what the start before made of them. */
static void a_rescue_without_a_copy_may_be_interrupted(void **state)
{
	static const char *const points[] = {
		"meta.rescue.rename",      "meta.rescue.sync_dir",    "meta.rescue.unlink",
		"meta.rescue.sync_unlink", "meta.db.create",          "meta.db.write",
		"meta.db.fsync",           "meta.rescue.mark.unlink",
	};
	struct rig *rig = *state;

	open_tables(rig, NULL);
	assert_ok(write_many(rig, 3 * SLOTS), &rig->err);
	close_tables(rig);
	save(rig);
	for (size_t i = 0; i < ARRAY_SIZE(points); i++)
		for (unsigned n = 0; n < 200; n += n < 12 ? 1 : 9) {
			restore(rig);
			overwrite(rig, 3 * BDB_PAGE_SIZE, BDB_PAGE_SIZE, -1);
			arm(rig, points[i], FAILPOINT_TORN, n);
			if (!run_child(rig, merely_open)) {
				assert_true(n > 0);
				break;
			}
			/* the power goes: the page that was written last is half there */
			expect_healed(rig);
		}
}

/* A descriptor or a right that is lacking says nothing about the pages. */
static void tables_that_cannot_be_looked_at_are_not_broken(void **state)
{
	struct rig *rig = *state;

	prepare(rig);
	for (unsigned n = 0; n < 2; n++) { /* at each start; when verified */
		shell(rig, "touch suspect");
		arm(rig, "meta.look.open", FAILPOINT_EIO, n);
		assert_true(run_child(rig, merely_open));
		assert_int_equal(count_kept(rig), 0);
	}
	open_tables(rig, NULL);
	expect_all_rows(rig);
	assert_int_equal(count_kept(rig), 0);
}

static void logs_that_are_no_logs_are_refused(void **state)
{
	struct rig *rig = *state;

	prepare(rig);
	shell(rig, "rm tables.db");
	shell(rig, "for l in log.*; do head -c $(stat -c %s $l) /dev/urandom > $l; done");
	for (int again = 0; again < 2; again++) {
		assert_int_equal(try_open(rig, &always), US_ECORRUPT);
		assert_non_null(strstr(rig->err.text, "reconstruct -m"));
	}
}

static void what_cannot_be_made_again_is_refused(void **state)
{
	static const char *const ways[] = {
		"rm -r backup",
		"for c in backup/tables.*; do : > $c; done",
		"for c in backup/tables.*; do head -c $(stat -c %s $c) /dev/urandom > $c; done",
		"rm backup/tables.*",
		"head -c 64 /dev/urandom > backup/note",
		"rm log.*",
	};
	struct rig *rig = *state;

	prepare(rig);
	save(rig);
	for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
		restore(rig);
		shell(rig, ways[i]);
		shell(rig, "rm -f log.0000000001 tables.db");
		for (int again = 0; again < 2; again++) {
			assert_int_equal(try_open(rig, &always), US_ECORRUPT);
			assert_non_null(strstr(rig->err.text, "reconstruct -m"));
		}
	}
}

static unsigned count_logs(struct rig *rig)
{
	DIR *list = opendir(rig->dir);
	struct dirent *entry;
	unsigned n = 0;

	while ((entry = readdir(list)))
		n += strncmp(entry->d_name, "log.", 4) == 0;
	closedir(list);
	return n;
}

static void logs_are_kept_for_the_copy_and_no_longer(void **state)
{
	const struct backup_policy seldom = {3600, (uint64_t)1 << 34, 20u << 20, 100};
	struct rig *rig = *state;
	char *payload = us_calloc(1, 1000001);
	struct meta_batch batch;
	unsigned most = 0;

	memset(payload, 'x', 1000000);
	open_tables(rig, &seldom);
	assert_ok(make_copy(rig), &rig->err);
	for (int i = 0; i < 120; i++) {
		memset(payload + 1000, 'a' + i % 26, 900000);
		meta_batch_init(&batch);
		meta_batch_put(&batch, META_QUOTA, span_of("k"), span_of(payload));
		assert_ok(meta_commit(rig->meta, &batch, META_DURABLE, &rig->err), &rig->err);
		meta_batch_fini(&batch);
		usleep(20000);
		most = count_logs(rig) > most ? count_logs(rig) : most;
	}
	/* Of 4 MiB: 20 MiB, what comes while the next is due, and a checkpoint's. */
	assert_in_range(most, 6, 17);
	close_tables(rig);
	shell(rig, "test $(ls backup | wc -l) -le 3"); /* one may not be whole */
	free(payload);
}

static int write_logs(struct rig *rig)
{
	int rc = try_open(rig, &always);

	for (int i = 0; rc == 0 && i < 8; i++) {
		rc = write_many(rig, 1500);
		if (rc == 0)
			rc = make_copy(rig);
	}
	close_tables(rig);
	return rc;
}

static void dying_while_logs_are_removed_is_well(void **state)
{
	static const enum failpoint_action actions[] = {FAILPOINT_KILL, FAILPOINT_EIO};
	struct rig *rig = *state;

	for (size_t k = 0; k < ARRAY_SIZE(actions); k++)
		for (unsigned n = 0; n < 2; n++) {
			arm(rig, "meta.db.remove_log", actions[k], n);
			assert_true(run_child(rig, write_logs));
			shell(rig, "rm tables.db");
			open_tables(rig, NULL);
			expect_all_rows(rig);
			close_tables(rig);
		}
}

/* Rows of all sizes, in many turns, with everything going on at once. */
static void a_copy_made_under_load_is_a_good_one(void **state)
{
	const struct backup_policy policy = {3600, 4u << 20, 1u << 20, 1};
	struct rig *rig = *state;

	open_tables(rig, &policy);
	for (int round = 0; round < 3; round++) {
		assert_ok(write_many(rig, 5 * SLOTS), &rig->err);
		for (int i = 0; i < 40; i++) {
			assert_ok(write_rows(rig, 10), &rig->err);
			usleep(10000);
		}
		close_tables(rig);
		shell(rig, "rm tables.db");
		open_tables(rig, &policy);
		expect_all_rows(rig);
	}
	shell(rig, "test -f backup/note");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(any_write_may_be_torn),
		T(any_write_may_be_torn_when_there_is_a_copy),
		T(any_write_may_fail),
		T(tables_that_are_gone_come_back),
		T(any_page_may_go_bad),
		T(a_bad_page_is_found_before_its_copy_goes),
		T(dying_while_copying_leaves_a_copy),
		T(a_rescue_may_be_interrupted),
		T(a_rescue_without_a_copy_may_be_interrupted),
		T(tables_that_cannot_be_looked_at_are_not_broken),
		T(logs_that_are_no_logs_are_refused),
		T(what_cannot_be_made_again_is_refused),
		T(logs_are_kept_for_the_copy_and_no_longer),
		T(dying_while_logs_are_removed_is_well),
		T(a_copy_made_under_load_is_a_good_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
