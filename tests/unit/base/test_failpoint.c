/* test_failpoint.c - a point acts when armed, once, after the hits it was told to let pass. */
#include "tests/unit/test.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "server/base/failpoint.h"
#include "server/base/io.h"

static void arm(struct failpoint_page *page, const char *name, int action, int countdown)
{
	snprintf(page->name, sizeof(page->name), "%s", name);
	page->countdown = countdown;
	page->action = (uint32_t)action;
}

static void failpoint_acts_once_after_the_countdown(void **state UNUSED)
{
	static struct failpoint_page page;
	int verdict[5];

	failpoint_page_init(&page);
	failpoint_use(&page);
	arm(&page, "test.b", FAILPOINT_EIO, 2);
	for (int i = 0; i < 5; i++) {
		assert_int_equal(failpoint_hit(FP("test.a")), 0);
		verdict[i] = failpoint_hit(FP("test.b"));
	}
	failpoint_use(NULL);
	assert_int_equal(verdict[0] | verdict[1] | verdict[3] | verdict[4], 0);
	assert_int_equal(verdict[2], EIO);
	assert_int_equal(page.fired, 1);
}

static void failpoint_records_hits(void **state UNUSED)
{
	static struct failpoint_page page;

	failpoint_page_init(&page);
	failpoint_use(&page);
	page.recording = 1;
	failpoint_hit(FP("test.x"));
	failpoint_hit(FP("test.y"));
	failpoint_hit(FP("test.x"));
	failpoint_use(NULL);
	assert_string_equal(page.hit[0].name, "test.x");
	assert_int_equal(page.hit[0].hits, 2);
	assert_int_equal(page.hit[1].hits, 1);
	assert_string_equal(page.hit[2].name, "");
}

static void count(const char *name, void *ctx)
{
	int *seen = ctx;

	*seen += strcmp(name, "test.x") == 0;
}

static void failpoint_list_names_each_once(void **state UNUSED)
{
	int seen = 0;

	failpoint_list(count, &seen);
	assert_int_equal(seen, 1);
}

/* As in struct io_replace_points: more than one, in the initializer of a local struct. */
static void points_keep_their_names_in_an_initializer(void **state UNUSED)
{
	struct {
		const struct failpoint *a, *b;
	} points = {FP("test.initializer.a"), FP("test.initializer.b")};

	assert_string_equal(points.a->name, "test.initializer.a");
	assert_string_equal(points.b->name, "test.initializer.b");
}

static void torn_write_leaves_half_and_dies(void **state UNUSED)
{
	char path[] = "/tmp/us-torn-XXXXXX";
	int fd = mkstemp(path), status;
	struct stat st;
	pid_t child = fork();

	if (child == 0) {
		static struct failpoint_page page;
		failpoint_page_init(&page);
		failpoint_use(&page);
		arm(&page, "test.write", FAILPOINT_TORN, 0);
		(void)io_write(FP("test.write"), fd, "12345678", 8, NULL);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_size, 4);
	close(fd);
	unlink(path);
}

static void armed_io_fails_with_that_errno(void **state UNUSED)
{
	static struct failpoint_page page;
	struct us_err err;

	failpoint_page_init(&page);
	failpoint_use(&page);
	arm(&page, "test.sync", FAILPOINT_ENOSPC, 0);
	assert_int_equal(io_fdatasync(FP("test.sync"), -1, &err), US_ENOSPC);
	failpoint_use(NULL);
}

static int count_name(void *ctx, const struct dirent *entry)
{
	unsigned *n = ctx;

	assert_int_equal(strlen(entry->d_name), 1);
	return ++*n == 7 ? 42 : 0;
}

static void a_directory_is_shown_whole_or_not_well(void **state UNUSED)
{
	static struct failpoint_page page;
	char path[] = "/tmp/us-names-XXXXXX", name[2] = "a";
	struct us_err err;
	unsigned n = 0;
	int dir;

	assert_non_null(mkdtemp(path));
	dir = open(path, O_RDONLY | O_DIRECTORY);
	for (; name[0] < 'd'; name[0]++)
		assert_int_equal(mkdirat(dir, name, 0700), 0);
	assert_int_equal(io_each_name(NULL, dir, ".", count_name, &n, &err), 0);
	assert_int_equal(n, 3);
	failpoint_page_init(&page);
	failpoint_use(&page);
	arm(&page, "test.list", FAILPOINT_EIO, 0);
	assert_int_equal(io_each_name(FP("test.list"), dir, ".", count_name, &n, &err), US_EIO);
	failpoint_use(NULL);
	assert_int_equal(n, 6);
	assert_int_equal(io_each_name(NULL, dir, ".", count_name, &n, &err), 42);
	assert_int_equal(n, 7);
	while (name[0]-- > 'a')
		assert_int_equal(unlinkat(dir, name, AT_REMOVEDIR), 0);
	assert_int_equal(rmdir(path), 0);
	assert_int_equal(io_each_name(NULL, AT_FDCWD, path, count_name, &n, &err), US_ENOENT);
	close(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(failpoint_acts_once_after_the_countdown),
		cmocka_unit_test(failpoint_records_hits),
		cmocka_unit_test(failpoint_list_names_each_once),
		cmocka_unit_test(points_keep_their_names_in_an_initializer),
		cmocka_unit_test(torn_write_leaves_half_and_dies),
		cmocka_unit_test(armed_io_fails_with_that_errno),
		cmocka_unit_test(a_directory_is_shown_whole_or_not_well),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
