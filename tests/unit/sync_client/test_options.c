/* test_options.c - the command line of sync_client. */
#include "tests/unit/test.h"

#include <unistd.h>

#include "sync_client/options.h"

/* "-u -n west bob" */
static int read_line(const char *line, struct options *out, struct us_err *err)
{
	static char copy[256];
	static char *argv[32];
	int argc = 0;
	char *save = NULL;

	snprintf(copy, sizeof(copy), "%s", line);
	argv[argc++] = (char *)"sync_client";
	for (char *at = strtok_r(copy, " ", &save); at; at = strtok_r(NULL, " ", &save))
		argv[argc++] = at;
	argv[argc] = NULL;
	optind = 0; /* begin anew, as glibc wants it */
	return options_read(argc, argv, out, err);
}

static void every_mode_and_option_is_known(void **state UNUSED)
{
	struct options o;
	struct us_err err;

	assert_ok(read_line("-u -n west -S host -p p2 -O -N -z -l -L -a -v -v -o bob ann", &o,
			    &err),
		  &err);
	assert_int_equal(o.mode, MODE_USERS);
	assert_string_equal(o.channel, "west");
	assert_string_equal(o.server, "host");
	assert_string_equal(o.partition, "p2");
	assert_true(o.no_copyback && o.no_wait && o.compress && o.log_actions && o.local_only &&
		    o.archive && o.once);
	assert_int_equal(o.verbose, 2);
	assert_int_equal(o.n_args, 2);
	assert_string_equal(o.args[1], "ann");
	assert_ok(read_line("-R -1 -f file -F stop -t 5 -d 0 -w 7 -C conf", &o, &err), &err);
	assert_int_equal(o.mode, MODE_ROLLING);
	assert_true(o.one_pass && !o.background);
	assert_string_equal(o.file, "file");
	assert_string_equal(o.shutdown, "stop");
	assert_string_equal(o.config, "conf");
	assert_int_equal(o.restart_s, 5);
	assert_int_equal(o.delay_s, 0);
	assert_int_equal(o.wait_s, 7);
	assert_ok(read_line("-r", &o, &err), &err);
	assert_true(o.background);
	assert_string_equal(o.channel, "");
	assert_int_equal(o.restart_s, 600);
	assert_int_equal(o.delay_s, -1); /* as configured */
	assert_ok(read_line("-m -f names", &o, &err), &err);
	assert_int_equal(o.mode, MODE_MAILBOXES);
	assert_ok(read_line("-s bob", &o, &err), &err);
	assert_int_equal(o.mode, MODE_META);
	assert_ok(read_line("-A", &o, &err), &err);
	assert_int_equal(o.mode, MODE_ALL);
}

static void nonsense_is_refused(void **state UNUSED)
{
	static const char *const bad[] = {"",          "bob",
					  "-u",        "-m",
					  "-s",        "-u -m bob",
					  "-A -r",     "-R bob",
					  "-u -1 bob", "-A -1",
					  "-R -t x",   "-R -d -1",
					  "-Q",        "-n",
					  "-u -y bob", "-R -w 99999999999"};
	struct options o;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct us_err err = US_ERR_INIT;
		assert_int_equal(read_line(bad[i], &o, &err), US_EINVAL);
		assert_true(*err.text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_mode_and_option_is_known),
		cmocka_unit_test(nonsense_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
