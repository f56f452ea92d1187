/* test_stage.c - bodies on their way into mailboxes, and the ground they lie on: staging, trash, poison. */
#include "tests/unit/store/rig.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

#include "server/base/failpoint.h"
#include "server/base/io.h"

#define MESSAGE "From: a@b\r\nSubject: test\r\n\r\nBody.\r\n"

static struct partition *partition(struct rig *rig, size_t i)
{
	return store_partition_at(rig->store, i);
}

static unsigned count(struct partition *p, const char *folder)
{
	int fd = openat(p->dir, folder, O_RDONLY | O_DIRECTORY);
	DIR *d = fdopendir(fd);
	struct dirent *entry;
	unsigned n = 0;

	assert_non_null(d);
	while ((entry = readdir(d)))
		n += entry->d_name[0] != '.';
	closedir(d);
	return n;
}

static struct staged stage_text(struct stage *stage, const char *name, const char *text)
{
	struct staged s;
	struct us_err err;

	assert_ok(staged_begin(stage, name, &s, &err), &err);
	assert_ok(staged_write(&s, text, strlen(text) / 2, &err), &err);
	assert_ok(staged_write(&s, text + strlen(text) / 2, strlen(text) - strlen(text) / 2, &err),
		  &err);
	assert_ok(staged_end(&s, 0, &err), &err);
	return s;
}

static void expect_bytes(int fd, const char *text)
{
	char bytes[1000];
	struct us_err err;

	assert_ok(io_pread(fd, bytes, strlen(text), 0, &err), &err);
	assert_memory_equal(bytes, text, strlen(text));
}

/* ---- staging -------------------------------------------------------------------------------------------- */

static void a_body_is_what_was_written(void **state)
{
	struct rig *rig = *state;
	struct stage *stage;
	struct staged a, b;
	struct guid guid = guid_of(SPAN_LIT(MESSAGE));
	struct us_err err;

	assert_ok(stage_open(partition(rig, 0), &stage, &err), &err);
	a = stage_text(stage, NULL, MESSAGE);
	b = stage_text(stage, NULL, MESSAGE "other");
	assert_true(guid_eq(&a.guid, &guid));
	assert_int_equal(a.size, strlen(MESSAGE));
	assert_int_equal(a.crc, us_crc32c(0, MESSAGE, strlen(MESSAGE)));
	assert_false(guid_eq(&b.guid, &guid));
	expect_bytes(a.fd, MESSAGE);
	staged_drop(&a, false);
	staged_drop(&b, true);
	assert_ok(stage_sync(stage, &err), &err);
	stage_close(&stage);
	assert_int_equal(count(partition(rig, 0), "stage"), 0);
}

static void bodies_are_found_by_their_guid(void **state)
{
	struct rig *rig = *state;
	struct guid guid = guid_of(SPAN_LIT(MESSAGE)), other = guid_of(SPAN_LIT("other"));
	char hex[GUID_HEX];
	struct stage *stage;
	struct staged s, found = {.fd = -1};
	struct us_err err;

	assert_ok(stage_open(partition(rig, 0), &stage, &err), &err);
	guid_format(&guid, hex);
	s = stage_text(stage, hex, MESSAGE);
	staged_drop(&s, false);
	assert_true(stage_has(stage, &guid));
	assert_false(stage_has(stage, &other));
	assert_ok(stage_find(stage, &guid, &found, &err), &err);
	assert_int_equal(found.size, strlen(MESSAGE));
	staged_drop(&found, false);
	assert_int_equal(stage_find(stage, &other, &found, &err), US_ENOENT);
	assert_ok(stage_clear(stage, &err), &err);
	assert_false(stage_has(stage, &guid));
	stage_close(&stage);
}

/* From another mailbox: linked where that is possible, and never taken for what it is not. */
static void existing_files_are_adopted(void **state)
{
	struct rig *rig = *state;
	struct guid guid = guid_of(SPAN_LIT(MESSAGE)), wrong = guid_of(SPAN_LIT("x"));
	struct mailbox *m;
	struct stage *stage, *elsewhere;
	struct staged found = {.fd = -1};
	struct stat a, b;
	struct us_err err;

	rig_create(rig, "user.bob");
	rig_append(rig, "user.bob", MESSAGE, 0);
	m = rig_mailbox(rig, "user.bob");
	assert_ok(stage_open(partition(rig, 0), &stage, &err), &err);
	assert_ok(stage_open(partition(rig, 1), &elsewhere, &err), &err);
	assert_ok(stage_adopt(stage, m->dir, "1.", &guid, &err), &err);
	assert_ok(stage_adopt(stage, m->dir, "1.", &guid, &err), &err); /* again */
	assert_ok(stage_adopt(elsewhere, m->dir, "1.", &guid, &err), &err);
	assert_int_equal(stage_adopt(stage, m->dir, "1.", &wrong, &err), US_ECORRUPT);
	assert_false(stage_has(stage, &wrong));
	assert_ok(stage_find(stage, &guid, &found, &err), &err);
	assert_int_equal(fstat(found.fd, &a), 0);
	assert_int_equal(fstatat(m->dir, "1.", &b, 0), 0);
	assert_int_equal(a.st_ino, b.st_ino);
	staged_drop(&found, false);
	/* What is staged under that name again is a file of its own: the mailbox's is never written to. */
	{
		char hex[GUID_HEX];
		struct staged s;
		guid_format(&guid, hex);
		s = stage_text(stage, hex, "something else");
		staged_drop(&s, false);
	}
	assert_int_equal(fstatat(m->dir, "1.", &b, 0), 0);
	assert_int_equal(b.st_size, strlen(MESSAGE));
	stage_close(&stage);
	stage_close(&elsewhere);
	mailbox_close(&m);
}

static void a_copy_on_another_partition_keeps_time_and_sum(void **state)
{
	struct rig *rig = *state;
	struct stage *from, *to;
	struct staged s, copy;
	struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {1700000000, 5}};
	struct stat st;
	struct us_err err;

	assert_ok(stage_open(partition(rig, 0), &from, &err), &err);
	assert_ok(stage_open(partition(rig, 1), &to, &err), &err);
	s = stage_text(from, NULL, MESSAGE);
	assert_int_equal(futimens(s.fd, times), 0);
	assert_ok(staged_copy(to, &s, &copy, &err), &err);
	assert_true(guid_eq(&s.guid, &copy.guid));
	assert_int_equal(fstat(copy.fd, &st), 0);
	assert_int_equal(st.st_mtim.tv_sec, 1700000000);
	assert_false(copy.synced);
	staged_drop(&s, true);
	staged_drop(&copy, true);
	stage_close(&from);
	stage_close(&to);
}

/* The next one who stages sweeps up behind the dead, not behind the living. */
static void the_dead_leave_nothing(void **state)
{
	struct rig *rig = *state;
	struct stage *stage = NULL, *mine;
	struct us_err err;
	int ready[2], status;
	pid_t child;
	char byte;

	assert_int_equal(pipe(ready), 0);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		struct staged s;
		if (stage_open(partition(rig, 0), &stage, &err) < 0)
			_exit(1);
		s = stage_text(stage, NULL, MESSAGE);
		(void)s;
		if (write(ready[1], "x", 1) != 1)
			_exit(1);
		pause();
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	assert_ok(stage_open(partition(rig, 0), &mine, &err), &err);
	assert_int_equal(count(partition(rig, 0), "stage"), 2);
	assert_int_equal(stage_sweep(partition(rig, 0)), 0);
	kill(child, SIGKILL);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(stage_sweep(partition(rig, 0)), 1);
	assert_int_equal(count(partition(rig, 0), "stage"), 1);
	stage_close(&mine);
	assert_int_equal(count(partition(rig, 0), "stage"), 0);
	close(ready[0]);
	close(ready[1]);
}

static void a_full_disk_is_told(void **state)
{
	static const char *const points[] = {"store.stage.mkdir", "store.stage.create",
					     "store.stage.write"};
	static struct failpoint_page page;
	struct rig *rig = *state;
	uint32_t uid;
	struct us_err err;

	rig_create(rig, "user.bob");
	for (size_t i = 0; i < ARRAY_SIZE(points); i++) {
		failpoint_page_init(&page);
		snprintf(page.name, sizeof(page.name), "%s", points[i]);
		page.action = FAILPOINT_ENOSPC;
		failpoint_use(&page);
		assert_int_equal(rig_try_append(rig, "user.bob", MESSAGE, 0, &uid, &err),
				 US_ENOSPC);
		failpoint_use(NULL);
		assert_int_equal(page.fired, 1);
		assert_int_equal(count(partition(rig, 0), "stage"), 0);
	}
	assert_int_equal(rig_append(rig, "user.bob", MESSAGE, 0), 1);
}

/* ---- time --------------------------------------------------------------------------------------------------- */

static void expect_date(int dir, const char *name, int64_t date)
{
	struct stat st;

	assert_int_equal(fstatat(dir, name, &st, 0), 0);
	assert_int_equal(st.st_mtim.tv_sec, date);
}

/* The time of a message file is its INTERNALDATE, however it came to be. */
static void copies_have_the_time_of_the_message(void **state)
{
	struct folder_create far = {.partition = SPAN_LIT("p2")};
	const int64_t date = 1769940000;
	struct rig *rig = *state;
	struct stage *stage;
	struct mailbox *m;
	struct guid guid;
	char hex[GUID_HEX];
	struct us_err err;

	rig_create(rig, "user.bob");
	assert_ok(folder_create(rig->store, SPAN_LIT("user.joe"), &far, &err), &err);
	assert_int_equal(rig_append(rig, "user.bob", MESSAGE, 0), 1);
	assert_int_equal(rig_append(rig, "user.joe", MESSAGE, 0), 1); /* copied, byte by byte */
	m = rig_mailbox(rig, "user.joe");
	expect_date(m->dir, "1.", date);
	guid = view_find(&m->view, 1)->guid;
	guid_format(&guid, hex);
	assert_ok(stage_open(partition(rig, 0), &stage, &err), &err);
	rig_break("store.stage.adopt", FAILPOINT_EIO); /* too many links, say */
	assert_ok(stage_adopt(stage, m->dir, "1.", &guid, &err), &err);
	rig_mend();
	expect_date(stage_dir(stage), hex, date);
	stage_close(&stage);
	mailbox_close(&m);
}

/* ---- trash ------------------------------------------------------------------------------------------------ */

static void the_trash_is_swept_by_age(void **state)
{
	struct rig *rig = *state;
	struct partition *p = partition(rig, 0);
	int64_t now = store_now();
	struct us_err err;

	for (int i = 0; i < 3; i++) {
		struct storeid id = storeid_new();
		int dir = -1;
		assert_ok(partition_make_mailbox(p, &id, &dir, &err), &err);
		io_close(&dir);
		assert_ok(partition_trash_mailbox(p, &id, now - 100 * i, &err), &err);
		assert_ok(partition_trash_mailbox(p, &id, now, &err), &err); /* gone already */
	}
	assert_int_equal(mkdirat(p->dir, "trash/not-one-of-ours", 0700), 0);
	assert_int_equal(partition_sweep_trash(p, now - 150, NULL), 1);
	assert_int_equal(partition_sweep_trash(p, now - 150, NULL), 0);
	assert_int_equal(count(p, "trash"), 3);
	assert_int_equal(partition_sweep_trash(p, now + 1, NULL), 2);
	assert_int_equal(count(p, "trash"), 1);
}

/* A name left where the power failed may be a link to a message of another mailbox: what comes from another partition takes the
 * name and leaves the message alone. */
static void a_copy_is_not_written_into_a_file_that_is_there(void **state)
{
	struct folder_create options = {.partition = SPAN_LIT("p2")};
	struct rig *rig = *state;
	struct mailbox *bob, *joe;
	struct us_err err;
	int fd;

	rig_create(rig, "user.bob");
	assert_int_equal(rig_append(rig, "user.bob", MESSAGE, 0), 1);
	assert_ok(folder_create(rig->store, SPAN_LIT("user.joe"), &options, &err), &err);
	bob = rig_mailbox(rig, "user.bob");
	joe = rig_mailbox(rig, "user.joe");
	assert_int_equal(linkat(bob->dir, "1.", joe->dir, "1.", 0), 0);
	assert_int_equal(rig_append(rig, "user.joe", "Subject: another\r\n\r\n", 0), 1);
	assert_ok(mailbox_open_message(bob, 1, &fd, &err), &err);
	expect_bytes(fd, MESSAGE);
	io_close(&fd);
	assert_ok(mailbox_open_message(joe, 1, &fd, &err), &err);
	expect_bytes(fd, "Subject: another\r\n\r\n");
	io_close(&fd);
	mailbox_close(&bob);
	mailbox_close(&joe);
}

/* ---- poison ----------------------------------------------------------------------------------------------- */

static void poison_is_one_partitions_and_everybodys(void **state)
{
	struct folder_create options = {.partition = SPAN_LIT("p2")};
	struct rig *rig = *state;
	struct mailbox *m = NULL;
	struct us_err err;
	int status;
	pid_t child;

	rig_create(rig, "user.bob");
	assert_ok(folder_create(rig->store, SPAN_LIT("user.joe"), &options, &err), &err);
	store_close(&rig->store);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) { /* another process poisons it, and dies */
		rig_open(rig);
		(void)partition_poison(partition(rig, 0), &err);
		kill(getpid(), SIGKILL);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	rig_open(rig);
	assert_true(partition_is_poisoned(partition(rig, 0)));
	assert_false(partition_is_poisoned(partition(rig, 1)));
	assert_int_equal(rig_try_append(rig, "user.bob", MESSAGE, 0, NULL, &err), US_EIO);
	m = rig_mailbox(rig, "user.joe");
	assert_ok(mailbox_lock(m, &err), &err);
	mailbox_close(&m);
	m = rig_mailbox(rig, "user.bob"); /* reading goes on */
	assert_int_equal(mailbox_lock(m, &err), US_EIO);
	mailbox_close(&m);
	assert_ok(partition_recover(partition(rig, 0), &err), &err);
	assert_int_equal(rig_append(rig, "user.bob", MESSAGE, 0), 1);
}

/* What one leaves who dies, or looks, between the two words that recovery writes: doc/FORMATS.md 7. */
static void raise_epoch_only(struct rig *rig, int fd)
{
	uint64_t epoch;

	store_close(&rig->store);
	assert_int_equal(pread(fd, &epoch, sizeof(epoch), 16), sizeof(epoch));
	epoch++;
	assert_int_equal(pwrite(fd, &epoch, sizeof(epoch), 16), sizeof(epoch));
}

static void dying_while_poison_is_lifted_harms_no_partition(void **state)
{
	struct rig *rig = *state;
	struct us_err err;
	char path[100];
	uint64_t epoch;
	int fd;

	snprintf(path, sizeof(path), "%s/state", rig->spool);
	fd = open(path, O_RDWR);
	(void)partition_poison(partition(rig, 0), &err);
	raise_epoch_only(rig, fd);
	rig_open(rig);
	epoch = partition_epoch(partition(rig, 0));
	assert_true(partition_is_poisoned(partition(rig, 0)));
	assert_ok(partition_recover(partition(rig, 0), &err), &err);
	assert_int_equal(partition_epoch(partition(rig, 0)), epoch + 1);
	raise_epoch_only(rig, fd); /* the checksum was brought up to date on the way */
	rig_open(rig);
	raise_epoch_only(rig, fd);
	assert_int_equal(rig_try_open(rig, &err), US_ECORRUPT);
	close(fd);
}

static void a_partition_that_is_not_there_is_not_invented(void **state)
{
	struct rig *rig = *state;
	struct us_err err;
	char command[120];

	store_close(&rig->store);
	snprintf(command, sizeof(command), "rm -rf %s", rig->spool2);
	assert_int_equal(system(command), 0);
	assert_true(rig_try_open(rig, &err) < 0);
	assert_null(rig->store);
	assert_int_equal(access(rig->spool2, F_OK), -1);
	assert_int_equal(mkdir(rig->spool2, 0700), 0);
	rig_open(rig);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)
	const struct CMUnitTest tests[] = {
		T(a_body_is_what_was_written),
		T(bodies_are_found_by_their_guid),
		T(existing_files_are_adopted),
		T(a_copy_on_another_partition_keeps_time_and_sum),
		T(the_dead_leave_nothing),
		T(a_full_disk_is_told),
		T(copies_have_the_time_of_the_message),
		T(the_trash_is_swept_by_age),
		T(a_copy_is_not_written_into_a_file_that_is_there),
		T(poison_is_one_partitions_and_everybodys),
		T(dying_while_poison_is_lifted_harms_no_partition),
		T(a_partition_that_is_not_there_is_not_invented),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
