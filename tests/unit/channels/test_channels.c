/* test_channels.c - which channels hear, the state machine, figures, retries, what is set aside. */
#include "tests/unit/test.h"

#include <poll.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "channels/aside.h"
#include "channels/channels.h"
#include "channels/watch.h"
#include "server/base/mem.h"

static char dir[64];

static int make_dir(void **state UNUSED)
{
	strcpy(dir, "/tmp/us-channels-XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state UNUSED)
{
	char command[100];

	snprintf(command, sizeof(command), "rm -rf %s", dir);
	return system(command);
}

static void the_right_channels_hear(void **state UNUSED)
{
	static const struct {
		struct channels_config config;
		enum channels_origin origin;
		const char *names; /* joined by commas */
	} rows[] = {
		{{.sync_log = false, .sync_log_channels = "a b"}, CHANNELS_LOCAL, ""},
		{{.sync_log = true}, CHANNELS_LOCAL, "<>,"},
		{{.sync_log = true, .sync_log_channels = "a \"\"  b a"},
		 CHANNELS_LOCAL,
		 "<a>,<>,<b>,"},
		{{.sync_log = true,
		  .sync_log_channels = "a squatter",
		  .sync_log_unsuppressable_channels = "squatter"},
		 CHANNELS_REPLICATED,
		 "<squatter>,"},
		{{.sync_log = true, .sync_log_channels = "a b", .sync_log_chain = true},
		 CHANNELS_REPLICATED,
		 "<a>,<b>,"},
		{{.sync_log = true}, CHANNELS_REPLICATED, ""},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char joined[200] = "", **names;
		size_t n = channels_names(&rows[i].config, rows[i].origin, &names);
		for (size_t k = 0; k < n; k++) {
			snprintf(joined + strlen(joined), sizeof(joined) - strlen(joined), "<%s>,",
				 names[k]);
			free(names[k]);
		}
		free(names);
		assert_string_equal(joined, rows[i].names);
	}
}

static void a_line_goes_to_every_channel(void **state UNUSED)
{
	struct channels_config config = {.configdirectory = dir,
					 .sync_log = true,
					 .sync_log_channels = "\"\" east"};
	struct channels *c;
	struct synclog_batch batch;
	struct us_err err;

	assert_ok(channels_open(&config, CHANNELS_LOCAL, &c, &err), &err);
	assert_int_equal(channels_count(c), 2);
	assert_ok(channels_append(c, SPAN_LIT("USER bob\n"), &err), &err);
	for (size_t i = 0; i < 2; i++) {
		struct channel *ch = channels_at(c, i);
		assert_int_equal(synclog_take(ch->dir, channel_generation(ch), 100, &batch, &err),
				 1);
		assert_string_equal(batch.text.data, "USER bob\n");
		assert_ok(synclog_done(&batch, &err), &err);
	}
	channels_close(&c);
	config.sync_log_channels = "a/b";
	assert_int_equal(channels_open(&config, CHANNELS_LOCAL, &c, &err), US_ECONFIG);
}

static void states_and_figures_are_seen_by_others(void **state UNUSED)
{
	struct channel *ours, *theirs;
	struct channel_figures f;
	struct us_err err, failure;

	assert_ok(channel_open(dir, "east", &ours, &err), &err);
	assert_ok(channel_open(dir, "east", &theirs, &err), &err);
	channel_enter(ours, CHANNEL_CONNECTING);
	channel_enter(ours, CHANNEL_LIVE);
	channel_note_client(ours, 42);
	channel_note_taken(ours, &(struct synclog_position){3, 100}, 5, 1);
	us_fail(&failure, US_ETIMEOUT, "no answer");
	channel_note_error(ours, &failure);
	channel_figures(theirs, &f);
	assert_int_equal(f.state, CHANNEL_LIVE);
	assert_int_equal(f.pid, 42);
	assert_int_equal(f.taken.offset, 100);
	assert_int_equal(f.lines_waiting, 5);
	assert_int_equal(f.last_error, US_ETIMEOUT);
	assert_string_equal(f.error_text, "no answer");
	channel_note_confirmed(ours, &(struct synclog_position){3, 100}, time(NULL) * 1000000000LL);
	channel_figures(theirs, &f);
	assert_int_equal(f.confirmed.generation, 3);
	assert_int_equal(f.lines_waiting, 0);
	assert_true(f.lag_ns >= 0 && f.worst_lag_ns == f.lag_ns);
	channel_close(&ours);
	channel_close(&theirs);
}

static void pauses_double_up_to_the_ceiling(void **state UNUSED)
{
	static const uint32_t expected[] = {100,  200,   400,   800,   1600, 3200,
					    6400, 12800, 25600, 30000, 30000};
	struct retry r = {100, 30000, 0};

	for (size_t i = 0; i < ARRAY_SIZE(expected); i++)
		assert_int_equal(retry_failed(&r), expected[i]);
	retry_succeeded(&r);
	assert_int_equal(retry_failed(&r), 100);
}

static void what_is_set_aside_survives(void **state UNUSED)
{
	struct retry retry = {1000, 4000, 0};
	struct aside a;
	struct us_err err;

	assert_ok(aside_open(dir, retry, &a, &err), &err);
	aside_put(&a, SPAN_LIT("USER \"a b\""), "uniqueid clash: \"x\"", 100);
	aside_put(&a, SPAN_LIT("USER c"), "quota", 100);
	aside_put(&a, SPAN_LIT("USER c"), "still\nquota", 101);
	assert_int_equal(aside_next(&a), 101);
	assert_ok(aside_save(&a, &err), &err);
	aside_close(&a);

	assert_ok(aside_open(dir, retry, &a, &err), &err);
	assert_int_equal(a.n, 2);
	assert_null(aside_due(&a, 100));
	assert_string_equal(aside_due(&a, 101)->line, "USER \"a b\"");
	assert_int_equal(aside_remove(&a, SPAN_LIT("USER \"a b\"")), 1);
	assert_int_equal(aside_remove(&a, SPAN_LIT("USER \"a b\"")), 0);
	assert_null(aside_due(&a, 102));
	assert_int_equal(aside_due(&a, 103)->attempts, 2);
	assert_string_equal(aside_due(&a, 103)->reason, "still\nquota");
	aside_close(&a);
}

static void what_is_no_entry_is_passed_over(void **state UNUSED)
{
	static const char *const bad[] = {"(1 2 \"USER a\")\n",
					  "(x 2 \"USER a\" r)\n",
					  "(1 2 (USER) r)\n",
					  "(1 2 NIL r)\n",
					  "(1 4294967296 USER r)\n",
					  "(9223372036854775808 1 USER r)\n",
					  "(1 2 USER (r))\n",
					  "USER a\n",
					  "(1 2 \"USER a\n"};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct aside a = {.path = us_strdup("set-aside")};
		aside_parse(&a, span_of(bad[i]));
		assert_int_equal(a.n, 0);
		aside_parse(&a, SPAN_LIT("(7 2 \"USER a\" \"quota\")\n"));
		assert_int_equal(a.n, 1);
		assert_int_equal(aside_next(&a), 7);
		aside_close(&a);
	}
}

static void an_append_wakes_the_watcher(void **state UNUSED)
{
	struct channel *ch;
	struct us_err err;
	struct pollfd p = {.events = POLLIN};

	assert_ok(channel_open(dir, "", &ch, &err), &err);
	assert_ok(watch_open(ch, &p.fd, &err), &err);
	assert_int_equal(poll(&p, 1, 0), 0);
	assert_ok(synclog_append(ch->writer, SPAN_LIT("USER a\n"), 100, NULL, &err), &err);
	assert_int_equal(poll(&p, 1, 1000), 1);
	watch_drain(p.fd);
	assert_int_equal(poll(&p, 1, 0), 0);
	channel_enter(ch, CHANNEL_CONNECTING); /* the page is no news */
	assert_int_equal(poll(&p, 1, 0), 0);
	close(p.fd);
	channel_close(&ch);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_right_channels_hear),
		cmocka_unit_test_setup_teardown(a_line_goes_to_every_channel, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(states_and_figures_are_seen_by_others, make_dir,
						remove_dir),
		cmocka_unit_test(pauses_double_up_to_the_ceiling),
		cmocka_unit_test_setup_teardown(what_is_set_aside_survives, make_dir, remove_dir),
		cmocka_unit_test(what_is_no_entry_is_passed_over),
		cmocka_unit_test_setup_teardown(an_append_wakes_the_watcher, make_dir, remove_dir),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
