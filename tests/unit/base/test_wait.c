/* test_wait.c - deadlines, and a stop signal that comes at the worst moment.
 *
 * ppoll() is ours in this program: it can be told to let a signal come just before it sleeps, when the flag
 * has been looked at already.
 */
#include "tests/unit/test.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "server/base/wait.h"

static volatile sig_atomic_t stop, handled;
static bool signal_before_sleep;

int ppoll(struct pollfd *fds, nfds_t n, const struct timespec *timeout, const sigset_t *mask)
{
	struct timespec left = timeout ? *timeout : (struct timespec){0, 0};

	if (signal_before_sleep)
		pthread_kill(pthread_self(), SIGUSR1);
	return (int)syscall(SYS_ppoll, fds, n, timeout ? &left : NULL, mask, 8);
}

static void on_signal(int number UNUSED)
{
	stop = 1;
	handled++;
}

static void set_handler(void)
{
	struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};

	assert_int_equal(sigaction(SIGUSR1, &action, NULL), 0);
}

static void readiness_and_timeouts(void **state UNUSED)
{
	int ends[2];
	struct us_err err;
	int64_t began = wait_clock_ms();

	assert_int_equal(pipe(ends), 0);
	struct pollfd fds[2] = {{-1, POLLIN, 0}, {ends[0], POLLIN, 0}};
	assert_int_equal(wait_ready(fds, 2, 0, NULL, &err), 0);
	assert_int_equal(wait_ready(fds, 2, 30, NULL, &err), 0);
	assert_true(wait_clock_ms() - began >= 30);
	assert_int_equal(write(ends[1], "x", 1), 1);
	assert_int_equal(wait_ready(fds, 2, -1, NULL, &err), 1);
	assert_int_equal(fds[1].revents, POLLIN);
	close(ends[0]);
	close(ends[1]);
}

static void deadlines_count_down(void **state UNUSED)
{
	assert_int_equal(wait_left_ms(-1), -1);
	assert_int_equal(wait_left_ms(wait_clock_ms() - 5), 0);
	assert_int_equal(wait_deadline_ms(-1), -1);
	assert_true(wait_left_ms(wait_deadline_ms(60000)) > 59000);
	assert_int_equal(wait_left_ms(INT64_MAX), INT32_MAX);
}

static void a_set_flag_needs_no_signal(void **state UNUSED)
{
	struct us_err err;

	stop = 1;
	assert_int_equal(wait_ready(NULL, 0, -1, &stop, &err), US_ECLOSED);
	assert_string_equal(err.text, "shutting down");
	stop = 0;
	assert_int_equal(wait_ready(NULL, 0, 1, &stop, &err), 0);
}

/* A signal that is none of our business makes the wait no shorter. */
static void other_signals_do_not_end_it(void **state UNUSED)
{
	struct us_err err;
	int64_t began = wait_clock_ms();
	timer_t timer;
	struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
	struct itimerspec soon = {.it_value = {0, 10000000}, .it_interval = {0, 10000000}};

	set_handler();
	handled = 0;
	assert_int_equal(timer_create(CLOCK_MONOTONIC, &event, &timer), 0);
	assert_int_equal(timer_settime(timer, 0, &soon, NULL), 0);
	assert_int_equal(wait_ready(NULL, 0, 100, NULL, &err), 0);
	timer_delete(timer);
	assert_true(handled >= 2);
	assert_true(wait_clock_ms() - began >= 100);
	stop = 0;
}

static void a_signal_after_the_look_is_not_slept_through(void **state UNUSED)
{
	struct us_err err;

	set_handler();
	stop = handled = 0;
	signal_before_sleep = true;
	assert_int_equal(wait_ready(NULL, 0, 2000, &stop, &err), US_ECLOSED);
	signal_before_sleep = false;
	assert_int_equal(handled, 1);
	stop = 0;
}

/* The caller's signal mask holds during the sleep and after it. */
static void the_mask_stays_as_it_was(void **state UNUSED)
{
	sigset_t ours, now;
	struct us_err err;

	set_handler();
	stop = handled = 0;
	sigemptyset(&ours);
	sigaddset(&ours, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &ours, NULL);
	pthread_kill(pthread_self(), SIGUSR1);
	assert_int_equal(wait_ready(NULL, 0, 5, &stop, &err), 0);
	assert_int_equal(handled, 0);
	pthread_sigmask(SIG_UNBLOCK, &ours, &now);
	assert_true(sigismember(&now, SIGUSR1));
	assert_false(sigismember(&now, SIGTERM));
	assert_int_equal(handled, 1);
	stop = 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(readiness_and_timeouts),
		cmocka_unit_test(deadlines_count_down),
		cmocka_unit_test(a_set_flag_needs_no_signal),
		cmocka_unit_test(other_signals_do_not_end_it),
		cmocka_unit_test(a_signal_after_the_look_is_not_slept_through),
		cmocka_unit_test(the_mask_stays_as_it_was),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
