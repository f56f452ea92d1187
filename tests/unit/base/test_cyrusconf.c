/* test_cyrusconf.c - cyrus.conf: sections, entries, errors and notes. */
#include "tests/unit/test.h"

#include <unistd.h>

#include "server/base/buf.h"
#include "server/base/cyrusconf.h"
#include "server/base/err.h"
#include "server/base/pool.h"

static struct cyrusconf *parse(const char *text)
{
	struct cyrusconf *conf = NULL;
	struct us_err err = US_ERR_INIT;

	assert_ok(cyrusconf_parse(span_of(text), "f", &conf, &err), &err);
	return conf;
}

/* "SECTION name cmd [!]" for each entry, "; " in between: ! if it has a fault. */
static void summarise(const struct cyrusconf *conf, struct buf *out)
{
	for (int s = 0; s < CYRUSCONF_SECTIONS; s++) {
		const struct cyrusconf_entry *e;
		size_t at = 0;

		while ((e = cyrusconf_next(conf, (enum cyrusconf_section)s, &at)))
			buf_printf(out, "%s%s %s %s%s", out->len ? "; " : "",
				   cyrusconf_section_name(e->section), e->name,
				   e->cmd ? e->cmd : "-", e->fault ? " !" : "");
	}
}

static size_t count_notes(const struct cyrusconf *conf)
{
	size_t at = 0;

	while (cyrusconf_next_note(conf, &at))
		;
	return at;
}

/* ---- the file --------------------------------------------------------------------------------- */

static void sections_are_found_as_a_cyrus_finds_them(void **state UNUSED)
{
	static const struct {
		const char *text, *entries;
		size_t notes;
	} rows[] = {
		{"", "", 0},
		{"START {\n a cmd=x\n}\n", "START a x", 0},
		{"START{\n a cmd=x\n}\n", "START a x", 0},
		{"\t Start  \t{\r\n a cmd=x\r\n }\r\n", "START a x", 0},
		{"START x {\n a cmd=x\n}\n", "START a x", 0},
		{"START { b cmd=y\n a cmd=x\n}\n", "START a x", 1},
		{"START {\n a cmd=x\n} b cmd=y\n", "START a x", 0},
		{"START {\n a cmd=x", "START a x", 1},
		{"START { }\nSTART {\n a cmd=x\n}\n", "START a x", 0},
		{"STARTX {\n a cmd=x\n}\n", "", 1},
		{"START # {\n a cmd=x\n", "", 2},
		{"START\n{\n a cmd=x\n}\n", "", 2},
		{"#START {\nEVENTS {\n a cmd=x\n}\n", "EVENTS a x", 0},
		{"EVENTS {\n e cmd=y\n}\nSTART {\n a cmd=x\n}\n", "START a x; EVENTS e y", 0},
		{"FOO {\n a {\n START {\n }\n b\n }\n}\nSTART {\n a cmd=x\n}\n", "START a x", 1},
		{"FOO {\nSTART {\n a cmd=x\n}\n}\n", "", 1},
		{"START { {\n a cmd=x\n}\n}\nEVENTS {\n b cmd=y\n}\n", "EVENTS b y", 1},
		{"START {\n a cmd=\"{\"\n}\nEVENTS {\n b cmd=y\n}\n", "START a {; EVENTS b y", 0},
		{"START {\n a cmd=\"x {y} }\"\n b cmd=z\n}\n", "START a x {y} }; START b z", 0},
		{"START {\n a cmd=x # }\n b cmd=y\n}\n", "START a x; START b y", 0},
		{"garbage\nSTART {\n a cmd=x\n}\n", "START a x", 1},
		/* where a Cyrus would see less, and we say so */
		{"start {\n a cmd=x\n}\n", "START a x", 1},
		{"START {\n a cmd=x\n}\nSTART {\n b cmd=y\n}\n", "START a x; START b y", 1},
		{"}\nSTART {\n a cmd=x\n}\n", "START a x", 1},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct cyrusconf *conf = parse(rows[i].text);
		struct buf out = BUF_INIT;

		summarise(conf, &out);
		assert_string_equal(out.data, rows[i].entries);
		if (count_notes(conf) != rows[i].notes)
			fail_msg("row %zu: %zu notes", i, count_notes(conf));
		buf_free(&out);
		cyrusconf_free(&conf);
	}
}

static void errors_name_file_and_line(void **state UNUSED)
{
	static const struct {
		const char *text, *error;
	} rows[] = {
		{"SERVICES {\n im-ap cmd=x\n}\n", "f:2: bad character '-' in name"},
		{"SERVICES {\n imap{\n}\n", "f:2: bad character '{' in name"},
		{"SERVICES {\n imap {\n}\n", "f:2: bad character '{' in argument"},
		{"SERVICES {\n imap cmd=\"x\" }\n}\n", "f:2: bad character '}' in argument"},
		{"SERVICES {\n imap}\n}\n", "f:2: bad character '}' in name"},
		{"SERVICES {\n imap cmd =\"x\"\n}\n", "f:2: bad character ' ' in argument"},
		{"SERVICES {\n imap cmd= \"x\"\n}\n", "f:2: bad character '\"' in argument"},
		{"SERVICES {\n imap cmd=x foo\n}\n", "f:2: argument ends too early"},
		{"SERVICES {\n imap cmd=\"x \"y\"\"\n}\n", "f:2: bad character '\"' in argument"},
		{"SERVICES {\n imap a=b\"c d\"\n}\n", "f:2: bad character '\"' in argument"},
		{"SERVICES {\n imap a-b=c\n}\n", "f:2: bad character '-' in argument"},
		{"SERVICES {\n\n# x\n imap cmd=\"x\n}\n", "f:4: missing \""},
		{"SERVICES {\n imap cmd=\"x#y\"\n}\n", "f:2: missing \""},
		{"SERVICES {\n \xe9 cmd=x\n}\n", "f:2: bad character '\\351' in name"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct cyrusconf *conf = NULL;
		struct us_err err;

		if (cyrusconf_parse(span_of(rows[i].text), "f", &conf, &err) == 0)
			fail_msg("row %zu is taken", i);
		assert_null(conf);
		assert_int_equal(err.code, US_ECONFIG);
		assert_string_equal(err.text, rows[i].error);
	}
}

static int try_text(const char *before, const char *repeat, size_t n, const char *after,
		    struct us_err *err)
{
	struct cyrusconf *conf = NULL;
	struct buf text = BUF_INIT;
	int rc;

	buf_add_str(&text, before);
	for (size_t i = 0; i < n; i++)
		buf_printf(&text, repeat, (int)i);
	buf_add_str(&text, after);
	rc = cyrusconf_parse(buf_span(&text), "f", &conf, err);
	cyrusconf_free(&conf);
	buf_free(&text);
	return rc;
}

static void limits_hold(void **state UNUSED)
{
	struct us_err err = US_ERR_INIT;

	assert_ok(try_text("START {\na", " k%d=v", 64, "\n}\n", &err), &err);
	assert_int_equal(try_text("START {\na", " k%d=v", 65, "\n}\n", &err), US_ECONFIG);
	assert_string_equal(err.text, "f:2: too many arguments");
	assert_ok(try_text("START {\n", "x", 4095, "\n}\n", &err), &err);
	assert_int_equal(try_text("START {\n", "x", 4096, "\n}\n", &err), US_ECONFIG);
	assert_string_equal(err.text, "f:2: the line is longer than 4095 bytes");
	assert_ok(try_text("START {\n", "a%d cmd=x\n", 1000, "}\n", &err), &err);
	assert_int_equal(try_text("START {\n", "a%d cmd=x\n", 1001, "}\n", &err), US_ECONFIG);
	assert_string_equal(err.text, "f:1002: more than 1000 entries");
}

/* ---- entries ---------------------------------------------------------------------------------- */

static const struct cyrusconf_entry *only(const struct cyrusconf *conf,
					  enum cyrusconf_section section)
{
	size_t at = 0;
	const struct cyrusconf_entry *e = cyrusconf_next(conf, section, &at);

	assert_non_null(e);
	assert_null(cyrusconf_next(conf, section, &at));
	return e;
}

static void services_have_their_options(void **state UNUSED)
{
	struct cyrusconf *conf =
		parse("SERVICES {\n"
		      "  imap	cmd=\"imapd -U 30\" listen=\"[::1]:imap\" proto=tcp6 prefork=3 "
		      "maxchild=100 babysit=yes maxfds=512 maxforkrate=7\n}\n");
	const struct cyrusconf_entry *e = only(conf, CYRUSCONF_SERVICES);

	assert_string_equal(e->name, "imap");
	assert_int_equal(e->line, 2);
	assert_null(e->fault);
	assert_string_equal(e->cmd, "imapd -U 30");
	assert_int_equal(e->argc, 3);
	assert_string_equal(e->argv[0], "imapd");
	assert_string_equal(e->argv[2], "30");
	assert_null(e->argv[3]);
	assert_string_equal(e->listen, "[::1]:imap");
	assert_int_equal(e->proto, CYRUSCONF_TCP6);
	assert_int_equal(e->prefork, 3);
	assert_int_equal(e->maxchild, 100);
	assert_true(e->babysit);
	assert_int_equal(e->maxfds, 512);
	assert_int_equal(e->maxforkrate, 7);
	assert_int_equal(count_notes(conf), 0);
	cyrusconf_free(&conf);
}

static void what_is_not_given_has_its_default(void **state UNUSED)
{
	struct cyrusconf *conf = parse("SERVICES {\n s cmd=x listen=1\n}\nDAEMON {\n d cmd=y\n}\n"
				       "EVENTS {\n e cmd=z\n}\nSTART {\n a cmd=w\n}\n");
	const struct cyrusconf_entry *s = only(conf, CYRUSCONF_SERVICES);
	const struct cyrusconf_entry *d = only(conf, CYRUSCONF_DAEMON);
	const struct cyrusconf_entry *e = only(conf, CYRUSCONF_EVENTS);

	assert_int_equal(s->proto, CYRUSCONF_TCP);
	assert_int_equal(s->prefork, 0);
	assert_int_equal(s->maxchild, -1);
	assert_int_equal(s->maxforkrate, 0);
	assert_int_equal(s->maxfds, 0);
	assert_false(s->babysit);
	assert_int_equal(d->maxforkrate, 10);
	assert_false(d->wait);
	assert_null(d->listen);
	assert_int_equal(e->period_min, 0);
	assert_int_equal(e->at_hhmm, -1);
	assert_string_equal(only(conf, CYRUSCONF_START)->argv[0], "w");
	cyrusconf_free(&conf);
}

static void values_are_read_leniently(void **state UNUSED)
{
	static const struct {
		const char *args;
		int prefork, maxchild;
		bool babysit;
		enum cyrusconf_proto proto;
		size_t notes;
	} rows[] = {
		{"prefork=5x maxchild=-3", 5, -1, false, CYRUSCONF_TCP, 0},
		{"prefork=x maxchild=-", 0, -1, false, CYRUSCONF_TCP, 2},
		{"prefork=-2 maxchild=0", 0, 0, false, CYRUSCONF_TCP, 0},
		{"prefork=99999999999 maxchild=\"4\"", INT32_MAX, 4, false, CYRUSCONF_TCP, 0},
		{"prefork=1 prefork=2 babysit=1", 1, -1, true, CYRUSCONF_TCP, 1},
		{"babysit=t proto=udp", 0, -1, true, CYRUSCONF_UDP, 0},
		{"babysit=on proto=udp4", 0, -1, true, CYRUSCONF_UDP4, 0},
		{"babysit=off proto=udp6", 0, -1, false, CYRUSCONF_UDP6, 0},
		{"babysit=2 proto=tcp4", 0, -1, false, CYRUSCONF_TCP4, 1},
		{"proto=sctp", 0, -1, false, CYRUSCONF_PROTO_UNKNOWN, 0},
		{"CMD=z =x period=3 wait=y", 0, -1, false, CYRUSCONF_TCP, 4},
		{"cron=\"* * * * *\"", 0, -1, false, CYRUSCONF_TCP, 1},
		{"prefork=2maxchild=7", 2, -1, false, CYRUSCONF_TCP, 0},
		{"prefork=\"2\"maxchild=\"7\"", 2, 7, false, CYRUSCONF_TCP, 0},
		{"prefork= maxchild=7", 0, 7, false, CYRUSCONF_TCP, 1},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char *text = us_asprintf("SERVICES {\n s cmd=x listen=1 %s\n}\n", rows[i].args);
		struct cyrusconf *conf = parse(text);
		const struct cyrusconf_entry *e = only(conf, CYRUSCONF_SERVICES);

		assert_int_equal(e->prefork, rows[i].prefork);
		assert_int_equal(e->maxchild, rows[i].maxchild);
		assert_int_equal(e->babysit, rows[i].babysit);
		assert_int_equal(e->proto, rows[i].proto);
		if (count_notes(conf) != rows[i].notes)
			fail_msg("row %zu: %zu notes", i, count_notes(conf));
		cyrusconf_free(&conf);
		free(text);
	}
}

static void events_have_a_time_or_a_period(void **state UNUSED)
{
	static const struct {
		const char *args;
		int period, at;
		const char *note;
	} rows[] = {
		{"period=30", 30, -1, NULL},
		{"at=0401", 0, 401, NULL},
		{"at=2359 period=5", 5, 2359, NULL},
		{"at=0000", 0, 0, NULL},
		{"at=2400 period=5", 5, -1, "at=2400 is no time of day and ignored"},
		{"at=0360", 0, -1, "at=360 is no time of day and ignored"},
		{"at=-1", 0, -1, NULL},
		{"at=noon", 0, -1, "at=noon is not a number and ignored"},
		{"cron=\"1 2 * * *\"", 0, -1,
		 "cron needs a Cyrus of version 3.13 and is ignored: use at or period"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char *text = us_asprintf("EVENTS {\n\n e cmd=x %s\n}\n", rows[i].args);
		struct cyrusconf *conf = parse(text);
		const struct cyrusconf_entry *e = only(conf, CYRUSCONF_EVENTS);
		size_t at = 0;
		const struct cyrusconf_note *note = cyrusconf_next_note(conf, &at);

		assert_int_equal(e->period_min, rows[i].period);
		assert_int_equal(e->at_hhmm, rows[i].at);
		assert_int_equal(!note, !rows[i].note);
		if (note) {
			assert_string_equal(note->text, rows[i].note);
			assert_int_equal(note->line, 3);
		}
		cyrusconf_free(&conf);
		free(text);
	}
}

static void entries_that_cannot_run_say_so(void **state UNUSED)
{
	static const struct {
		const char *text, *entries;
	} rows[] = {
		{"START {\n a\n}\n", "START a - !"},
		{"START {\n a cmd=\"\"\n}\n", "START a  !"},
		{"START {\n a cmd=\" \t\"\n}\n", "START a  \t !"},
		{"START {\n a cmd=x\n a cmd=y\n}\n", "START a x; START a y"},
		{"SERVICES {\n a cmd=x\n}\n", "SERVICES a x !"},
		{"SERVICES {\n a cmd=x listen=\n}\n", "SERVICES a x !"},
		{"SERVICES {\n a cmd=x listen=1\n a cmd=y listen=2\n}\n",
		 "SERVICES a x; SERVICES a y !"},
		{"SERVICES {\n a cmd=x listen=1\n A cmd=y listen=2\n}\n",
		 "SERVICES a x; SERVICES A y"},
		{"DAEMON {\n a cmd=x\n}\nSERVICES {\n a cmd=y listen=2\n}\n",
		 "SERVICES a y !; DAEMON a x"},
		{"DAEMON {\n a cmd=x\n}\nEVENTS {\n a cmd=y\n a cmd=z\n}\n",
		 "EVENTS a y; EVENTS a z; DAEMON a x"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct cyrusconf *conf = parse(rows[i].text);
		struct buf out = BUF_INIT;

		summarise(conf, &out);
		assert_string_equal(out.data, rows[i].entries);
		buf_free(&out);
		cyrusconf_free(&conf);
	}
}

static void a_stock_file_is_read_without_notes(void **state UNUSED)
{
	struct cyrusconf *conf = parse(
		"# what Debian ships, in short\nSTART {\n\trecover\t\tcmd=\"/usr/sbin/cyrus "
		"ctl_cyrusdb -r\"\n"
		"\t# this is only necessary if using idled\n\t#idled\tcmd=\"idled\"\n}\n\nSERVICES "
		"{\n"
		"\timap\t\tcmd=\"imapd -U 30\" listen=\"imap\" prefork=0 maxchild=100\n"
		"\tlmtpunix\tcmd=\"lmtpd\" listen=\"/run/cyrus/socket/lmtp\" prefork=0 "
		"maxchild=20\n"
		"  \tsieve\t\tcmd=\"timsieved\" listen=\"localhost:sieve\" prefork=0 maxchild=100\n"
		"\tnotify\t\tcmd=\"notifyd\" listen=\"/run/cyrus/socket/notify\" proto=\"udp\" "
		"prefork=1\n"
		"}\n\nEVENTS {\n\tcheckpoint\tcmd=\"/usr/sbin/cyrus ctl_cyrusdb -c\" period=30\n"
		"\tdelprune\tcmd=\"/usr/sbin/cyrus expire -E 3\" at=0401\n}\n");
	struct buf out = BUF_INIT;

	summarise(conf, &out);
	assert_string_equal(out.data,
			    "START recover /usr/sbin/cyrus ctl_cyrusdb -r; SERVICES imap imapd -U "
			    "30; "
			    "SERVICES lmtpunix lmtpd; SERVICES sieve timsieved; SERVICES notify "
			    "notifyd; EVENTS checkpoint /usr/sbin/cyrus ctl_cyrusdb -c; "
			    "EVENTS delprune /usr/sbin/cyrus expire -E 3");
	assert_int_equal(count_notes(conf), 0);
	buf_free(&out);
	cyrusconf_free(&conf);
}

static void commands_are_split_at_white_space_only(void **state UNUSED)
{
	static const struct {
		const char *cmd;
		const char *words[6];
	} rows[] = {
		{"", {NULL}},
		{" \t ", {NULL}},
		{"imapd", {"imapd"}},
		{" imapd  -C\t/x  ", {"imapd", "-C", "/x"}},
		{"sh -c 'a b' \\", {"sh", "-c", "'a", "b'", "\\"}},
		{"a b c d e", {"a", "b", "c", "d", "e"}},
	};
	struct pool *pool = pool_new();

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		size_t argc = 99, n = 0;
		const char **argv = cyrusconf_split(rows[i].cmd, pool, &argc);

		for (; rows[i].words[n]; n++)
			assert_string_equal(argv[n], rows[i].words[n]);
		assert_null(argv[n]);
		assert_int_equal(argc, n);
	}
	pool_free(&pool);
}

/* ---- listen ----------------------------------------------------------------------------------- */

static void listen_values_are_taken_apart(void **state UNUSED)
{
	static const struct {
		const char *text, *path, *host, *port;
	} rows[] = {
		{"/run/x:y", "/run/x:y", NULL, NULL},
		{"imap", NULL, NULL, "imap"},
		{"143", NULL, NULL, "143"},
		{"0", NULL, NULL, "0"},
		{"localhost:sieve", NULL, "localhost", "sieve"},
		{"127.0.0.1:143", NULL, "127.0.0.1", "143"},
		{":143", NULL, NULL, "143"},
		{"[::1]:imap", NULL, "::1", "imap"},
		{"[fe80::1%eth0]:143", NULL, "fe80::1%eth0", "143"},
		{"::1:143", NULL, "::1", "143"},
		{"65535", NULL, NULL, "65535"},
	};
	struct pool *pool = pool_new();

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct cyrusconf_listen l;
		struct us_err err = US_ERR_INIT;
		const char *got[3], *want[3] = {rows[i].path, rows[i].host, rows[i].port};

		assert_ok(cyrusconf_listen_parse(rows[i].text, pool, &l, &err), &err);
		got[0] = l.path, got[1] = l.host, got[2] = l.port;
		for (int part = 0; part < 3; part++) {
			assert_int_equal(!got[part], !want[part]);
			if (got[part])
				assert_string_equal(got[part], want[part]);
		}
	}
	pool_free(&pool);
}

static void bad_listen_values_are_refused(void **state UNUSED)
{
	static const struct {
		const char *text, *error;
	} rows[] = {
		{"", "no port is given"},
		{"localhost:", "no port is given"},
		{"[::1]", "no port is given"},
		{"[::1]:", "no port is given"},
		{"[::1]143", "no colon behind the brackets"},
		{"[]:143", "no address is in the brackets"},
		{"[::1:143", "a bracket is not closed"},
		{"65536", "\"65536\" is not a port"},
		{"99999999999999999999999", "\"99999999999999999999999\" is not a port"},
		{"a b", "\"a b\" is not a port"},
		{"host:1/2", "\"1/2\" is not a port"},
	};
	struct pool *pool = pool_new();
	char path[200] = "/";
	struct cyrusconf_listen l;
	struct us_err err;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_int_equal(cyrusconf_listen_parse(rows[i].text, pool, &l, &err), US_ECONFIG);
		assert_string_equal(err.text, rows[i].error);
	}
	memset(path + 1, 'x', 106);
	assert_int_equal(cyrusconf_listen_parse(path, pool, &l, &err), 0);
	path[107] = 'x';
	assert_int_equal(cyrusconf_listen_parse(path, pool, &l, &err), US_ECONFIG);
	pool_free(&pool);
}

static void a_file_is_loaded(void **state UNUSED)
{
	char path[] = "/tmp/us-cyrusconf-XXXXXX";
	int fd = mkstemp(path);
	struct cyrusconf *conf = NULL;
	struct us_err err;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, "START {\n a cmd=x\n}\n", 19), 19);
	close(fd);
	assert_ok(cyrusconf_load(path, &conf, &err), &err);
	assert_string_equal(only(conf, CYRUSCONF_START)->name, "a");
	cyrusconf_free(&conf);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(cyrusconf_load(path, &conf, &err), US_ECONFIG);
	assert_non_null(strstr(err.text, path));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sections_are_found_as_a_cyrus_finds_them),
		cmocka_unit_test(errors_name_file_and_line),
		cmocka_unit_test(limits_hold),
		cmocka_unit_test(services_have_their_options),
		cmocka_unit_test(what_is_not_given_has_its_default),
		cmocka_unit_test(values_are_read_leniently),
		cmocka_unit_test(events_have_a_time_or_a_period),
		cmocka_unit_test(entries_that_cannot_run_say_so),
		cmocka_unit_test(a_stock_file_is_read_without_notes),
		cmocka_unit_test(commands_are_split_at_white_space_only),
		cmocka_unit_test(listen_values_are_taken_apart),
		cmocka_unit_test(bad_listen_values_are_refused),
		cmocka_unit_test(a_file_is_loaded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
