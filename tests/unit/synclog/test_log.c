/* test_log.c - a channel's log: nothing appended is ever lost, whoever dies when. */
#include "tests/unit/test.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "server/base/failpoint.h"
#include "server/base/io.h"
#include "synclog/log.h"

static char dir[64];

static int make_dir(void **state UNUSED)
{
	strcpy(dir, "/tmp/us-synclog-XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state UNUSED)
{
	char command[100];

	snprintf(command, sizeof(command), "rm -rf %s", dir);
	return system(command);
}

static void append_line(struct synclog_writer *w, const char *line)
{
	struct us_err err;

	assert_ok(synclog_append(w, span_of(line), 1000, NULL, &err), &err);
}

static void the_reader_gets_what_was_written(void **state UNUSED)
{
	uint64_t generation = 7;
	struct synclog_writer *w = synclog_writer_new(dir, &generation);
	struct synclog_batch batch;
	struct synclog_position at;
	struct us_err err;

	assert_int_equal(synclog_take(dir, &generation, 1000, &batch, &err), 0);
	append_line(w, "USER a\n");
	assert_ok(synclog_append(w, SPAN_LIT("USER b\n"), 1000, &at, &err), &err);
	assert_int_equal(at.generation, 7);
	assert_int_equal(at.offset, 14);
	assert_int_equal(synclog_backlog(dir), 14);

	assert_int_equal(synclog_take(dir, &generation, 1000, &batch, &err), 1);
	assert_string_equal(batch.text.data, "USER a\nUSER b\n");
	assert_int_equal(batch.end.generation, 7);
	assert_int_equal(batch.end.offset, 14);
	assert_int_equal(generation, 8);
	append_line(w, "USER c\n"); /* into a new file, though the writer had the old one open */
	assert_ok(synclog_done(&batch, &err), &err);
	assert_int_equal(synclog_take(dir, &generation, 1000, &batch, &err), 1);
	assert_string_equal(batch.text.data, "USER c\n");
	assert_ok(synclog_done(&batch, &err), &err);
	assert_int_equal(synclog_take(dir, &generation, 1000, &batch, &err), 0);
	synclog_writer_free(&w);
}

static void what_a_dead_reader_left_comes_first(void **state UNUSED)
{
	uint64_t generation = 0;
	struct synclog_writer *w = synclog_writer_new(dir, &generation);
	struct synclog_batch batch, other;
	struct us_err err;

	append_line(w, "USER a\n");
	assert_int_equal(synclog_take(dir, &generation, 1000, &batch, &err), 1);
	append_line(w, "USER b\n");
	/* While it is held nobody else gets it, nor is it written over. */
	assert_int_equal(synclog_take(dir, &generation, 1000, &other, &err), 1);
	assert_string_equal(other.text.data, "USER b\n");
	synclog_release(&other);
	if (fork() == 0) {
		_exit(synclog_take(dir, &generation, 1000, &other, NULL) == 1 &&
				      strcmp(other.text.data, "USER b\n") == 0
			      ? 0
			      : 1);
	}
	int status;
	wait(&status);
	assert_int_equal(status, 0);
	synclog_release(&batch);

	assert_int_equal(synclog_take(dir, &generation, 1000, &batch, &err), 1);
	assert_true(batch.left);
	assert_string_equal(batch.text.data, "USER a\n");
	assert_ok(synclog_done(&batch, &err), &err);
	assert_int_equal(synclog_take(dir, &generation, 1000, &batch, &err), 1);
	assert_string_equal(batch.text.data, "USER b\n");
	assert_ok(synclog_done(&batch, &err), &err);
	synclog_writer_free(&w);
}

static void a_line_that_does_not_fit_leaves_nothing(void **state UNUSED)
{
	static struct failpoint_page page;
	struct synclog_writer *w = synclog_writer_new(dir, NULL);
	char path[100];
	struct us_err err;
	struct stat st;

	append_line(w, "USER a\n");
	failpoint_page_init(&page);
	snprintf(page.name, sizeof(page.name), "synclog.append");
	page.action = FAILPOINT_ENOSPC;
	failpoint_use(&page);
	assert_int_equal(synclog_append(w, SPAN_LIT("USER b\n"), 1000, NULL, &err), US_ENOSPC);
	failpoint_use(NULL);
	snprintf(path, sizeof(path), "%s/log", dir);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_size, 7);
	append_line(w, "USER c\n");
	synclog_writer_free(&w);
}

static void an_empty_log_is_left_to_its_writer(void **state UNUSED)
{
	struct synclog_batch batch;
	struct us_err err;
	char path[80];
	int fd = -1;

	snprintf(path, sizeof(path), "%s/log", dir);
	assert_ok(io_open(NULL, AT_FDCWD, path, O_WRONLY | O_CREAT, 0640, &fd, &err), &err);
	assert_int_equal(synclog_take(dir, NULL, 1000, &batch, &err), 0);
	assert_int_equal(access(path, F_OK), 0);
	io_close(&fd);
}

/* A reader that looks all the time, as one does that inotify wakes, must not make a writer give up. */
static void an_eager_reader_keeps_no_writer_out(void **state UNUSED)
{
	struct synclog_writer *w = synclog_writer_new(dir, NULL);
	pid_t reader = fork();

	while (reader == 0) {
		struct synclog_batch batch;
		if (synclog_take(dir, NULL, 1000, &batch, NULL) > 0)
			(void)synclog_done(&batch, NULL);
	}
	for (int i = 0; i < 20000; i++)
		append_line(w, "USER a\n");
	kill(reader, SIGKILL);
	waitpid(reader, NULL, 0);
	synclog_writer_free(&w);
}

static void a_large_log_is_not_read(void **state UNUSED)
{
	struct synclog_writer *w = synclog_writer_new(dir, NULL);
	struct synclog_batch batch;
	struct us_err err;

	append_line(w, "USER abcdefgh\n");
	assert_int_equal(synclog_take(dir, NULL, 5, &batch, &err), US_ELIMIT);
	assert_int_equal(batch.end.offset, 14);
	assert_int_equal(batch.text.len, 0);
	assert_ok(synclog_done(&batch, &err), &err);
	synclog_writer_free(&w);
}

/* Four writers and a reader that is killed now and then: every line arrives, none is torn. */
#define WRITERS 4
#define LINES   400

static void write_lines(int who)
{
	struct synclog_writer *w = synclog_writer_new(dir, NULL);
	char line[64];

	for (int i = 0; i < LINES; i++) {
		snprintf(line, sizeof(line), "MAILBOX user.w%d.%d\n", who, i);
		if (synclog_append(w, span_of(line), 10000, NULL, NULL) < 0)
			_exit(1);
	}
	_exit(0);
}

static void read_some(int seed, int out)
{
	struct synclog_batch batch;

	for (int i = 0; i < 20; i++) {
		if (synclog_take(dir, NULL, 1 << 20, &batch, NULL) <= 0) {
			usleep(500);
			continue;
		}
		/* Done means: handed on, then removed. Dying in between repeats lines, never loses them. */
		if (write(out, batch.text.data, batch.text.len) != (ssize_t)batch.text.len)
			_exit(1);
		if ((seed + i) % 7 == 0)
			kill(getpid(), SIGKILL);
		synclog_done(&batch, NULL);
	}
	_exit(0);
}

static void no_line_is_lost(void **state UNUSED)
{
	char path[100];
	struct buf seen = BUF_INIT;
	struct us_err err;
	int out, status, writers = WRITERS;

	snprintf(path, sizeof(path), "%s/out", dir);
	out = open(path, O_RDWR | O_CREAT | O_APPEND, 0600);
	for (int i = 0; i < WRITERS; i++)
		if (fork() == 0)
			write_lines(i);
	for (int round = 0; writers > 0 || synclog_backlog(dir) > 0; round++) {
		pid_t reader = fork();
		if (reader == 0)
			read_some(round, out);
		while (waitpid(reader, &status, 0) != reader)
			;
		while (waitpid(-1, &status, WNOHANG) > 0) {
			assert_int_equal(status, 0);
			writers--;
		}
	}
	assert_ok(io_read_file(AT_FDCWD, path, 1 << 24, &seen, &err), &err);
	for (int who = 0; who < WRITERS; who++)
		for (int i = 0; i < LINES; i++) {
			char line[64];
			snprintf(line, sizeof(line), "MAILBOX user.w%d.%d\n", who, i);
			assert_non_null(strstr(seen.data, line));
		}
	buf_free(&seen);
	close(out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_reader_gets_what_was_written, make_dir,
						remove_dir),
		cmocka_unit_test_setup_teardown(what_a_dead_reader_left_comes_first, make_dir,
						remove_dir),
		cmocka_unit_test_setup_teardown(a_line_that_does_not_fit_leaves_nothing, make_dir,
						remove_dir),
		cmocka_unit_test_setup_teardown(an_empty_log_is_left_to_its_writer, make_dir,
						remove_dir),
		cmocka_unit_test_setup_teardown(an_eager_reader_keeps_no_writer_out, make_dir,
						remove_dir),
		cmocka_unit_test_setup_teardown(a_large_log_is_not_read, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(no_line_is_lost, make_dir, remove_dir),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
