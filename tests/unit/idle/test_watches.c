/* test_watches.c - whoever waits for a file hears of it, and nobody else. */
#include "tests/unit/test.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "server/idle/watches.h"

#define WAITERS 5

struct scene {
	char root[40];
	struct watches *w;
	struct waiter who[WAITERS];
	unsigned rung[WAITERS], fallen[WAITERS];
};

static void heard(void *ctx, struct waiter *who, enum watches_news what)
{
	struct scene *s = ctx;

	if (what == WATCHES_RING)
		s->rung[who - s->who]++;
	else
		s->fallen[who - s->who]++;
}

static const char *path_of(const struct scene *s, int file)
{
	static char path[80]; /* until the next call */

	snprintf(path, sizeof(path), "%s/%d", s->root, file);
	return path;
}

static void touch(const struct scene *s, int file)
{
	int fd = open(path_of(s, file), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	assert_int_equal(write(fd, "x", 1), 1);
	close(fd);
}

static void take(struct scene *s)
{
	struct pollfd p = {watches_fd(s->w), POLLIN, 0};

	for (size_t i = 0; i < WAITERS; i++)
		s->rung[i] = s->fallen[i] = 0;
	while (poll(&p, 1, 0) > 0)
		watches_take(s->w);
}

static void scene_open(struct scene *s)
{
	struct us_err err;

	*s = (struct scene){.root = "/tmp/us-watches-XXXXXX"};
	assert_non_null(mkdtemp(s->root));
	touch(s, 0);
	touch(s, 1);
	assert_ok(watches_new(heard, s, &s->w, &err), &err);
}

static void scene_close(struct scene *s)
{
	watches_free(&s->w);
	for (int file = 0; file < 2; file++)
		(void)unlink(path_of(s, file));
	assert_int_equal(rmdir(s->root), 0);
}

static void wait_for(struct scene *s, int who, int file)
{
	struct us_err err;

	assert_ok(watches_add(s->w, &s->who[who], path_of(s, file), 0, &err), &err);
}

static void assert_figures(const struct scene *s, size_t watches, size_t waiters)
{
	struct watches_figures f = watches_figures(s->w);

	assert_int_equal(f.watches, watches);
	assert_int_equal(f.waiters, waiters);
}

static void each_hears_of_his_own(void **state UNUSED)
{
	struct scene s;

	scene_open(&s);
	for (int i = 0; i < WAITERS; i++)
		wait_for(&s, i, i % 2);
	assert_figures(&s, 2, WAITERS);
	touch(&s, 1);
	take(&s);
	for (int i = 0; i < WAITERS; i++)
		assert_int_equal(s.rung[i], i % 2);
	scene_close(&s);
}

static void who_goes_hears_no_more(void **state UNUSED)
{
	struct scene s;

	scene_open(&s);
	for (int i = 0; i < WAITERS; i++)
		wait_for(&s, i, 0);
	watches_remove(s.w, &s.who[0]);
	watches_remove(s.w, &s.who[2]);
	watches_remove(s.w, &s.who[4]);
	watches_remove(s.w, &s.who[4]); /* who does not wait may go */
	wait_for(&s, 3, 1);
	wait_for(&s, 3, 1); /* asked twice, told once */
	assert_figures(&s, 2, 2);
	touch(&s, 0);
	touch(&s, 1);
	take(&s);
	for (int i = 0; i < WAITERS; i++)
		assert_int_equal(s.rung[i], i == 1 || i == 3);
	touch(&s, 1);
	watches_remove(s.w, &s.who[3]); /* with an event on its way */
	assert_figures(&s, 1, 1);
	take(&s);
	assert_int_equal(s.rung[3] + s.fallen[3], 0);
	watches_remove(s.w, &s.who[1]);
	assert_figures(&s, 0, 0);
	take(&s);
	scene_close(&s);
}

static void a_file_that_goes_lets_its_waiters_fall(void **state UNUSED)
{
	struct scene s;

	scene_open(&s);
	wait_for(&s, 0, 0);
	wait_for(&s, 1, 0);
	wait_for(&s, 2, 1);
	assert_int_equal(unlink(path_of(&s, 0)), 0);
	take(&s);
	assert_int_equal(s.fallen[0], 1);
	assert_int_equal(s.fallen[1], 1);
	assert_int_equal(s.fallen[2], 0);
	assert_figures(&s, 1, 1);
	touch(&s, 0); /* another of that name */
	wait_for(&s, 0, 0);
	touch(&s, 0);
	take(&s);
	assert_true(s.rung[0] && !s.rung[1]);
	scene_close(&s);
}

static void what_is_not_there_is_an_error(void **state UNUSED)
{
	struct us_err err;
	struct scene s;

	scene_open(&s);
	wait_for(&s, 0, 0);
	assert_int_equal(watches_add(s.w, &s.who[0], path_of(&s, 7), 0, &err), US_ENOENT);
	assert_int_equal(watches_add(s.w, &s.who[1], path_of(&s, 7), 0, &err), US_ENOENT);
	touch(&s, 0);
	take(&s);
	assert_true(s.rung[0] && !s.rung[1]); /* what it waited for before stays */
	scene_close(&s);
}

static void more_can_be_asked_for(void **state UNUSED)
{
	struct us_err err;
	char from[80];
	struct scene s;

	scene_open(&s);
	wait_for(&s, 0, 0);
	assert_ok(watches_add(s.w, &s.who[1], path_of(&s, 1), IN_ATTRIB, &err), &err);
	snprintf(from, sizeof(from), "%s", path_of(&s, 0));
	assert_int_equal(rename(from, path_of(&s, 1)), 0);
	take(&s);
	assert_true(s.rung[1] && !s.rung[0]); /* its last name went */
	scene_close(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_hears_of_his_own),
		cmocka_unit_test(who_goes_hears_no_more),
		cmocka_unit_test(a_file_that_goes_lets_its_waiters_fall),
		cmocka_unit_test(what_is_not_there_is_an_error),
		cmocka_unit_test(more_can_be_asked_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
