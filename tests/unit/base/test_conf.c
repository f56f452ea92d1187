/* test_conf.c - imapd.conf: what is legal, what is not, and what the getters make of it. */
#include "tests/unit/test.h"

#include <syslog.h>
#include <unistd.h>

#include "server/base/buf.h"
#include "server/base/conf.h"
#include "server/base/conf_lines.h"
#include "server/base/err.h"

static struct conf *parse(const char *text, const char *ident)
{
	struct conf *conf = NULL;
	struct us_err err = US_ERR_INIT;

	assert_ok(conf_parse(span_of(text), "f", ident, NULL, &conf, &err), &err);
	return conf;
}

/* What the text is refused with. */
static const char *refusal(const char *text, const char *ident, const struct conf_reader *reader)
{
	static struct us_err err;
	struct conf *conf = NULL;

	err = (struct us_err)US_ERR_INIT;
	if (conf_parse(span_of(text), "f", ident, reader, &conf, &err) == 0)
		fail_msg("\"%s\" is taken", text);
	assert_null(conf);
	assert_int_equal(err.code, US_ECONFIG);
	return err.text;
}

/* ---- grammar ---------------------------------------------------------------------------------- */

static void lines_are_read_as_a_cyrus_reads_them(void **state UNUSED)
{
	static const struct {
		const char *text, *key, *value;
	} rows[] = {
		{"foo: bar", "foo", "bar"},
		{"foo:bar\n", "foo", "bar"},
		{" \t foo: \t bar baz \t\n", "foo", "bar baz"},
		{"FooBar: X\n", "foobar", "X"},
		{"foo: x\r\nbar: y\r\n", "foo", "x"},
		{"# foo: bar\n\n  # x\nfoo: a # b\n", "foo", "a # b"},
		{"foo:a\\\n  b  \\\n  c\n", "foo", "a  b    c"},
		{"foo:\\\nbar\n", "foo", "bar"},
		{"# swallows \\\nfoo: x\nfoo: y\n", "foo", "y"},
		{"foo: x\\\\\n\nbar: y\n", "foo", "xbar: y"},
		{"foo: x \\", "foo", "x \\"},
		{"foo: x\\\n", "foo", "x"},
		{"-: x\n_: y\n", "_", "y"},
		{"foo: a:b\n", "foo", "a:b"},
		{"foo: \"a b\"\n", "foo", "\"a b\""},
		{"foo: \xe9\n", "foo", "\xe9"},
		{"foo: {configdirectory}/x\nconfigdirectory: /c\n", "foo", "{configdirectory}/x"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct conf *conf = parse(rows[i].text, "");
		assert_non_null(conf_text(conf, rows[i].key));
		assert_string_equal(conf_text(conf, rows[i].key), rows[i].value);
		conf_free(&conf);
	}
}

static void errors_name_file_line_and_key(void **state UNUSED)
{
	static const struct {
		const char *text, *error;
	} rows[] = {
		{"a: b\nfoo bar: x\n", "f:2: no key followed by a colon"},
		{"foo : x\n", "f:1: no key followed by a colon"},
		{"foo\n", "f:1: no key followed by a colon"},
		{":x\n", "f:1: no key followed by a colon"},
		{"foo.bar: x\n", "f:1: no key followed by a colon"},
		{"foo\xe9: x\n", "f:1: no key followed by a colon"},
		{"foo:\n", "f:1: foo: the value is missing"},
		{"foo:  \t\n", "f:1: foo: the value is missing"},
		{"\n\n\nfoo: a\\\nb\n!\n", "f:6: no key followed by a colon"},
		{"@bogus: x\n", "f:1: @bogus is no directive"},
		{"@: x\n", "f:1: @ is no directive"},
		{"@include : x\n", "f:1: no key followed by a colon"},
		{"@include: x\n", "f:1: no file can be included here"},
		{"foo: x\nbar: 1\nfoo: y\n", "f:3: foo: is set twice, first at f:1"},
		{"timeout: 45m\nTimeout: 46m\n", "f:2: timeout: is set twice"},
		{"timeout: 5x\n", "f:1: timeout: \"5x\" is not a duration such as 1h30m"},
		{"\ntimeout: 5\\\nx\n", "f:2: timeout: \"5x\" is not a duration such as 1h30m"},
		{"altnamespace: maybe\n", "f:1: altnamespace: \"maybe\" is neither yes nor no"},
		{"quotawarn: 10k\n", "f:1: quotawarn: \"10k\" is not a number"},
		{"maxquoted: 10T\n", "f:1: maxquoted: \"10T\" is not a size such as 64 or 10M"},
		{"quota_db: Flat\n", "f:1: quota_db: \"Flat\" is none of its words"},
		{"sieve_extensions: fileinto x\n",
		 "f:1: sieve_extensions: \"x\" is none of its words"},
		{"archive_days: x\n", "f:1: archive_days: \"x\" is not a duration such as 1h30m"},
		{"defaultpartition: No-Good\n",
		 "f:1: defaultpartition: \"No-Good\" is not made of letters and digits only"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_string_equal(refusal(rows[i].text, "", NULL), rows[i].error);
}

static void nul_and_endless_keys_are_refused(void **state UNUSED)
{
	char key[300];
	struct conf *conf = NULL;
	struct us_err err;

	assert_int_equal(conf_parse(SPAN_LIT("foo: a\0b\n"), "f", "", NULL, &conf, &err),
			 US_ECONFIG);
	assert_string_equal(err.text, "f:1: a NUL byte");
	memset(key, 'k', sizeof(key));
	memcpy(key + 256, ": x", 4);
	assert_string_equal(refusal(key, "", NULL), "f:1: the key is longer than 255 bytes");
	conf = parse(key + 1, "");
	key[256] = '\0';
	assert_string_equal(conf_text(conf, key + 1), "x");
	conf_free(&conf);
}

/* ---- includes --------------------------------------------------------------------------------- */

/* Files that hold what their name says: "N" the settings of files[N]. */
static int read_numbered(void *ctx, const char *path, struct buf *out, struct us_err *err)
{
	const char *const *files = ctx;

	if (path[0] < '0' || path[0] > '9')
		return us_fail(err, US_ECONFIG, "no file %s", path);
	buf_add_str(out, files[path[0] - '0']);
	return 0;
}

static void files_are_included_in_their_place(void **state UNUSED)
{
	const char *files[] = {"bar: 0\n@include: 1\nimap_timeout: 40\n",
			       "baz: 1 # no end of line"};
	struct conf_reader reader = {read_numbered, files};
	struct conf *conf = NULL;
	struct us_err err;

	assert_ok(conf_parse(SPAN_LIT("timeout: 50\n @INCLUDE:  0 \nfoo: x\n"), "f", "imap",
			     &reader, &conf, &err),
		  &err);
	assert_string_equal(conf_text(conf, "bar"), "0");
	assert_string_equal(conf_text(conf, "baz"), "1 # no end of line");
	assert_string_equal(conf_text(conf, "foo"), "x");
	assert_int_equal(conf_duration_s(conf, CONF_timeout), 40 * 60);
	(void)conf_fail(conf, CONF_timeout, &err, "too long");
	assert_string_equal(err.text, "0:3: imap_timeout: too long");
	conf_free(&conf);
}

static void bad_includes_are_refused(void **state UNUSED)
{
	const char *files[] = {"@include: 0\n", "@include: 2\nx: 1\n", "y: 1\n\n bad\n", "foo: 1\n",
			       "@include: f\n"};
	struct conf_reader reader = {read_numbered, files};
	static const struct {
		const char *text, *error;
	} rows[] = {
		{"@include: 0\n", "f:1: 0:1: 0 is included twice"},
		{"a: b\n@include: 1\n", "f:2: 1:1: 2:3: no key followed by a colon"},
		{"@include: 3\n@include: 3\n", "f:2: 3 is included twice"},
		{"foo: 2\n@include: 3\n", "3:1: foo: is set twice, first at f:1"},
		{"@include: 4\n", "f:1: 4:1: f is included twice"},
		{"@include: x\n", "f:1: no file x"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const char *error = refusal(rows[i].text, "", &reader);
		if (i != 3)
			assert_string_equal(error, rows[i].error);
		else /* both at line 1: either may be called the first */
			assert_non_null(strstr(error, ":1: foo: is set twice, first at "));
	}
}

/* ---- types ------------------------------------------------------------------------------------ */

static void numbers_have_their_historical_units(void **state UNUSED)
{
	static const struct {
		enum conf_key key;
		const char *text;
		int64_t value;
	} rows[] = {
		{CONF_timeout, "45", 45 * 60},
		{CONF_timeout, "030", 30 * 60},
		{CONF_timeout, "1h30", 90 * 60},
		{CONF_timeout, "1d12h30m1s", 86400 + 12 * 3600 + 30 * 60 + 1},
		{CONF_timeout, "9999999999999999999999d", INT64_MAX},
		{CONF_poptimeout, "11", 660},
		{CONF_nntptimeout, "4", 240},
		{CONF_popminpoll, "1", 60},
		{CONF_tls_session_timeout, "1440", 86400},
		{CONF_popexpiretime, "-1", -86400},
		{CONF_popexpiretime, "-5m", -300},
		{CONF_archive_after, "3", 3 * 86400},
		{CONF_archive_after, "90s", 90},
		{CONF_sync_timeout, "30", 30},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char *text = us_asprintf("%s: %s\n", conf_option(rows[i].key)->name, rows[i].text);
		struct conf *conf = parse(text, "");
		assert_int_equal(conf_duration_s(conf, rows[i].key), rows[i].value);
		conf_free(&conf);
		free(text);
	}
}

static void sizes_take_letters(void **state UNUSED)
{
	static const struct {
		enum conf_key key;
		const char *text;
		int64_t value;
	} rows[] = {
		{CONF_maxmessagesize, "10485760", 10485760},
		{CONF_maxmessagesize, "10M", 10 << 20},
		{CONF_maxmessagesize, "10 mb", 10 << 20},
		{CONF_maxmessagesize, "1GiB", 1 << 30},
		{CONF_maxmessagesize, "0x10", 16},
		{CONF_maxmessagesize, "010", 8},
		{CONF_maxmessagesize, "12b", 12},
		{CONF_maxmessagesize, "99999999999999999999G", INT64_MAX},
		{CONF_sieve_maxscriptsize, "32", 32768},
		{CONF_sieve_maxscriptsize, "32B", 32},
		{CONF_sieve_maxscriptsize, "32K", 32768},
		{CONF_archive_maxsize, "-1", -1024},
	};
	static const char *const bad[] = {"10T", "M", "10MM", "10iB", "10Ki", "1.5M", "08"};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char *text = us_asprintf("%s: %s\n", conf_option(rows[i].key)->name, rows[i].text);
		struct conf *conf = parse(text, "");
		assert_int_equal(conf_bytes(conf, rows[i].key), rows[i].value);
		conf_free(&conf);
		free(text);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		char *text = us_asprintf("maxmessagesize: %s\n", bad[i]);
		assert_non_null(strstr(refusal(text, "", NULL), "is not a size"));
		free(text);
	}
}

static void integers_are_those_of_c(void **state UNUSED)
{
	static const struct {
		const char *text;
		int value;
	} rows[] = {
		{"0x10", 16},
		{"0XfF", 255},
		{"010", 8},
		{"+7", 7},
		{"0", 0},
		{"99999999999", INT32_MAX},
		{"999999999999999999999999", INT32_MAX},
	};
	static const char *const bad[] = {"", "-", "+", "0x", "08", "1 2", "1,0", "ten", "--1"};
	struct conf *conf;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char *text = us_asprintf("quotawarnmsg: %s\n", rows[i].text);
		conf = parse(text, "");
		assert_int_equal(conf_int(conf, CONF_quotawarnmsg), rows[i].value);
		conf_free(&conf);
		free(text);
	}
	for (size_t i = 1; i < ARRAY_SIZE(bad); i++) {
		char *text = us_asprintf("quotawarnmsg: %s\n", bad[i]);
		assert_non_null(strstr(refusal(text, "", NULL), "is not a number"));
		free(text);
	}
	conf = parse("autocreate_quota: -1\nmailbox_default_options: -99999999999\n", "");
	assert_int_equal(conf_int(conf, CONF_autocreate_quota), -1);
	assert_int_equal(conf_int(conf, CONF_mailbox_default_options), INT32_MIN);
	conf_free(&conf);
}

static void bad_durations_are_refused(void **state UNUSED)
{
	static const char *const bad[] = {"5x",     "m",  "5M", "5 m", "1h 30m",
					  "1h-30m", "+5", "-",  "1hh"};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		char *text = us_asprintf("timeout: %s\n", bad[i]);
		assert_non_null(strstr(refusal(text, "", NULL), "is not a duration"));
		free(text);
	}
}

static void switches_are_known_by_their_beginning(void **state UNUSED)
{
	static const char *const yes[] = {"1", "y", "yes", "t", "true", "on", "only", "1x"};
	static const char *const no[] = {"0", "n", "nope", "f", "false", "off", "of"};
	static const char *const bad[] = {"No", "OFF", "Yes", "T", "o", "2", "x", "-1"};
	char text[64];

	for (size_t i = 0; i < ARRAY_SIZE(yes); i++) {
		snprintf(text, sizeof(text), "sync_log: %s\n", yes[i]);
		struct conf *conf = parse(text, "");
		assert_true(conf_bool(conf, CONF_sync_log));
		conf_free(&conf);
	}
	for (size_t i = 0; i < ARRAY_SIZE(no); i++) {
		snprintf(text, sizeof(text), "altnamespace: %s\n", no[i]);
		struct conf *conf = parse(text, "");
		assert_false(conf_bool(conf, CONF_altnamespace));
		conf_free(&conf);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		snprintf(text, sizeof(text), "sync_log: %s\n", bad[i]);
		assert_non_null(strstr(refusal(text, "", NULL), "neither yes nor no"));
	}
}

static void words_are_exact(void **state UNUSED)
{
	static const struct {
		enum conf_key key;
		const char *text;
		int value;
	} rows[] = {
		{CONF_virtdomains, "userid", CONF_virtdomains_userid},
		{CONF_virtdomains, "on", CONF_virtdomains_on},
		{CONF_virtdomains, "yes", CONF_virtdomains_on},
		{CONF_virtdomains, "t", CONF_virtdomains_on},
		{CONF_virtdomains, "1", CONF_virtdomains_on},
		{CONF_virtdomains, "f", CONF_virtdomains_off},
		{CONF_serverinfo, "0", CONF_serverinfo_off},
		{CONF_tls_client_certs, "no", CONF_tls_client_certs_off},
		{CONF_tls_client_certs, "require", CONF_tls_client_certs_require},
		{CONF_delete_mode, "immediate", CONF_delete_mode_immediate},
		{CONF_partition_select_mode, "freespace-percent-most",
		 CONF_partition_select_mode_freespace_percent_most},
		{CONF_auth_mech, "unix", CONF_auth_mech_unix},
		{CONF_sql_engine, "pgsql", CONF_sql_engine_pgsql},
	};
	static const char *const bad[] = {"virtdomains: True", "virtdomains: ON",
					  "virtdomains: y",    "serverinfo: n",
					  "delete_mode: off",  "mupdate_config: 1",
					  "sql_engine: 0",     "tls_client_certs: on"};
	struct conf *conf;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char *text =
			us_asprintf("%s: %s \t\n", conf_option(rows[i].key)->name, rows[i].text);
		conf = parse(text, "");
		assert_int_equal(conf_enum(conf, rows[i].key), rows[i].value);
		conf_free(&conf);
		free(text);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_non_null(strstr(refusal(bad[i], "", NULL), "is none of its words"));
	conf = parse("", "");
	assert_int_equal(conf_enum(conf, CONF_sql_engine), CONF_WORD_UNSET);
	assert_int_equal(conf_enum(conf, CONF_expunge_mode), CONF_expunge_mode_delayed);
	conf_free(&conf);
}

static void bits_replace_the_default(void **state UNUSED)
{
	struct conf *conf = parse("sieve_extensions: fileinto  imapflags x-cyrus-snooze\n", "");

	assert_true(conf_has_bit(conf, CONF_sieve_extensions, CONF_BIT_sieve_extensions_fileinto));
	assert_true(
		conf_has_bit(conf, CONF_sieve_extensions, CONF_BIT_sieve_extensions_imap4flags));
	assert_true(conf_has_bit(conf, CONF_sieve_extensions, CONF_BIT_sieve_extensions_snooze));
	assert_false(conf_has_bit(conf, CONF_sieve_extensions, CONF_BIT_sieve_extensions_reject));
	assert_int_equal(conf_bits(conf, CONF_event_groups), 1 | 16);
	assert_int_equal(conf_bits(conf, CONF_metapartition_files), 0);
	conf_free(&conf);
	conf = parse("", "");
	assert_int_equal(conf_bits(conf, CONF_sieve_extensions), UINT64_C(8589934591));
	conf_free(&conf);
}

static void values_beyond_bounds_are_held_within(void **state UNUSED)
{
	struct conf *conf =
		parse("timeout: 5\nsync_timeout: 1\ntls_session_timeout: 48h\n"
		      "failedloginpause: -3\nmaxlogins_per_user: -2\nboundary_limit: 0\n",
		      "");

	assert_int_equal(conf_duration_s(conf, CONF_timeout), 1800);
	assert_int_equal(conf_duration_s(conf, CONF_sync_timeout), 3);
	assert_int_equal(conf_duration_s(conf, CONF_tls_session_timeout), 86400);
	assert_int_equal(conf_duration_s(conf, CONF_failedloginpause), 0);
	assert_int_equal(conf_int(conf, CONF_maxlogins_per_user), 0);
	assert_int_equal(conf_int(conf, CONF_boundary_limit), 1);
	conf_free(&conf);
}

static void silence_gives_the_defaults(void **state UNUSED)
{
	struct conf *conf = parse("# nothing\n", "imap");

	assert_true(conf_bool(conf, CONF_altnamespace));
	assert_false(conf_is_set(conf, CONF_altnamespace));
	assert_null(conf_str(conf, CONF_configdirectory));
	assert_string_equal(conf_str(conf, CONF_admins), "");
	assert_string_equal(conf_str(conf, CONF_defaultacl), "anyone lrs");
	assert_int_equal(conf_duration_s(conf, CONF_timeout), 32 * 60);
	assert_int_equal(conf_duration_s(conf, CONF_sync_repeat_interval), 0);
	assert_int_equal(conf_duration_s(conf, CONF_sync_reconnect_maxwait), 30);
	assert_int_equal(conf_duration_s(conf, CONF_plaintextloginpause), 0);
	assert_int_equal(conf_bytes(conf, CONF_sieve_maxscriptsize), 32768);
	assert_int_equal(conf_bytes(conf, CONF_maxliteral), 131072);
	assert_int_equal(conf_int(conf, CONF_quotawarn), 90);
	assert_null(conf_text(conf, "partition-default"));
	conf_free(&conf);
}

static void configdirectory_is_put_in_its_place(void **state UNUSED)
{
	struct conf *conf = parse("altprefix: {configdirectory}/x\nnewsprefix: a{configdirectory}\n"
				  "configdirectory: /c\n",
				  "");

	assert_string_equal(conf_str(conf, CONF_altprefix), "/c/x");
	assert_string_equal(conf_str(conf, CONF_newsprefix), "a{configdirectory}");
	assert_string_equal(conf_str(conf, CONF_lmtpsocket), "/c/socket/lmtp");
	assert_string_equal(conf_str(conf, CONF_master_pid_file), "/c/master.pid");
	conf_free(&conf);
	conf = parse("configdirectory: {configdirectory}/x\n", "");
	assert_string_equal(conf_str(conf, CONF_configdirectory), "{configdirectory}/x");
	conf_free(&conf);
}

/* ---- names ------------------------------------------------------------------------------------ */

static void the_ident_goes_first_in_any_order(void **state UNUSED)
{
	static const struct {
		const char *ident, *text;
		int minutes;
	} rows[] = {
		{"imap", "timeout: 40\nimap_timeout: 50\n", 50},
		{"imap", "imap_timeout: 50\ntimeout: 40\n", 50},
		{"IMAP", "imap_timeout: 50\n", 50},
		{"imap", "IMAP_Timeout: 50\n", 50},
		{"pop3", "timeout: 40\nimap_timeout: 50\n", 40},
		{"pop3", "imap_timeout: zz\n", 32},
		{"", "timeout: 40\nimap_timeout: 50\n", 40},
		{"sync", "sync_timeout: 50m\n", 32}, /* a key as a whole is that key */
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct conf *conf = parse(rows[i].text, rows[i].ident);
		assert_int_equal(conf_duration_s(conf, CONF_timeout), rows[i].minutes * 60);
		conf_free(&conf);
	}
	assert_string_equal(refusal("imap_timeout: 50\nimap_timeout: 51\n", "imap", NULL),
			    "f:2: imap_timeout: is set twice");
	assert_string_equal(refusal("timeout: 1h\nimap_timeout: 50\ntimeout: 40\n", "imap", NULL),
			    "f:3: timeout: is set twice");
	assert_string_equal(refusal("imap_timeout: zz\n", "imap", NULL),
			    "f:1: imap_timeout: \"zz\" is not a duration such as 1h30m");
}

static void old_names_give_way_and_new_ones_do_not(void **state UNUSED)
{
	static const struct {
		const char *text;
		int quota, warn;
	} rows[] = {
		{"autocreatequota: 5\n", 5, 90},
		{"autocreatequota: 5\nautocreate_quota: 6\n", 6, 90},
		{"autocreate_quota: 6\nautocreatequota: 5\n", 6, 90},
		{"autocreate_quota: 6\nimap_autocreatequota: 5\n", 6, 90},
		{"autocreatequota: 6\nimap_autocreatequota: 5\n", 5, 90},
		{"quotawarnpercent: 80\n", -1, 80},
		{"quotawarnpercent: 80\nquotawarn: 70\n", -1, 80},
		{"quotawarn: 70\nquotawarnpercent: 80\n", -1, 80},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct conf *conf = parse(rows[i].text, "imap");
		assert_int_equal(conf_int(conf, CONF_autocreate_quota), rows[i].quota);
		assert_int_equal(conf_int(conf, CONF_quotawarn), rows[i].warn);
		conf_free(&conf);
	}
}

static void other_keys_are_kept_as_text(void **state UNUSED)
{
	struct conf *conf =
		parse("partition-Default: /p\npartition-news: /n\nsasl_mech_list: PLAIN\n"
		      "imap_sasl_mech_list: CRAM-MD5\nbackend1_password: secret\n"
		      "xlist-Sent: Gesendet\n",
		      "imap");
	struct conf_item item;
	size_t at = 0;

	assert_string_equal(conf_text(conf, "partition-default"), "/p");
	assert_string_equal(conf_text(conf, "partition-DEFAULT"), "/p");
	assert_string_equal(conf_text(conf, "sasl_mech_list"), "CRAM-MD5");
	assert_string_equal(conf_text(conf, "xlist-sent"), "Gesendet");
	assert_null(conf_text(conf, "partition-"));
	assert_null(conf_text(conf, "sasl_pwcheck_method"));
	assert_string_equal(conf_host_text(conf, "backend1.example.com", "password"), "secret");
	assert_string_equal(conf_host_text(conf, "BACKEND1", "password"), "secret");
	assert_null(conf_host_text(conf, "backend2", "password"));
	assert_true(conf_next(conf, "partition-", &at, &item));
	assert_string_equal(item.key, "partition-default");
	assert_int_equal(item.line, 1);
	assert_true(conf_next(conf, "partition-", &at, &item));
	assert_string_equal(item.text, "/n");
	assert_false(conf_next(conf, "partition-", &at, &item));
	assert_false(conf_next(conf, "partition-", &at, &item));
	conf_free(&conf);
}

static void channels_have_values_of_their_own(void **state UNUSED)
{
	struct conf *conf =
		parse("sync_host: a\nwest_sync_host: b\nwest_sync_repeat_interval: 2s\n"
		      "west_sync_try_imap: no\neast_sync_batchsize: many\nsync_timeout: 5m\n"
		      "sync_client_west_sync_realm: r\nwest_sync_timeout: 1\n",
		      "sync_client");
	struct us_err err;
	int64_t s = -7;
	bool yes;
	int n = -7;

	assert_string_equal(conf_channel_str(conf, NULL, CONF_sync_host), "a");
	assert_string_equal(conf_channel_str(conf, "", CONF_sync_host), "a");
	assert_string_equal(conf_channel_str(conf, "east", CONF_sync_host), "a");
	assert_string_equal(conf_channel_str(conf, "West", CONF_sync_host), "b");
	assert_string_equal(conf_channel_str(conf, "west", CONF_sync_realm), "r");
	assert_null(conf_channel_str(conf, "west", CONF_sync_password));
	assert_ok(conf_channel_duration_s(conf, "west", CONF_sync_repeat_interval, &s, &err), &err);
	assert_int_equal(s, 2);
	assert_ok(conf_channel_duration_s(conf, "east", CONF_sync_timeout, &s, &err), &err);
	assert_int_equal(s, 300);
	assert_ok(conf_channel_duration_s(conf, "west", CONF_sync_timeout, &s, &err), &err);
	assert_int_equal(s, 3); /* held within its bound */
	assert_ok(conf_channel_bool(conf, "west", CONF_sync_try_imap, &yes, &err), &err);
	assert_false(yes);
	assert_ok(conf_channel_bool(conf, NULL, CONF_sync_try_imap, &yes, &err), &err);
	assert_true(yes);
	assert_ok(conf_channel_int(conf, "west", CONF_sync_batchsize, &n, &err), &err);
	assert_int_equal(n, 8192);
	n = -7;
	assert_int_equal(conf_channel_int(conf, "east", CONF_sync_batchsize, &n, &err), US_ECONFIG);
	assert_int_equal(n, -7);
	assert_string_equal(err.text, "f:5: east_sync_batchsize: \"many\" is not a number");
	assert_int_equal(conf_channel_fail(conf, "west", CONF_sync_host, &err, "no %s", "route"),
			 US_ECONFIG);
	assert_string_equal(err.text, "f:2: west_sync_host: no route");
	conf_free(&conf);
}

static void programs_report_where_a_value_stands(void **state UNUSED)
{
	struct conf *conf =
		parse("\nimap_umask: 999\npartition-x: nowhere\nautocreatequota: 5\n", "imap");
	struct us_err err;

	assert_int_equal(conf_fail(conf, CONF_umask, &err, "no %s mask", "octal"), US_ECONFIG);
	assert_int_equal(err.code, US_ECONFIG);
	assert_string_equal(err.text, "f:2: imap_umask: no octal mask");
	(void)conf_fail(conf, CONF_temp_path, &err, "is gone");
	assert_string_equal(err.text, "f: temp_path (by default /tmp): is gone");
	(void)conf_fail(conf, CONF_sync_host, &err, "is needed");
	assert_string_equal(err.text, "f: sync_host (not set): is needed");
	(void)conf_fail(conf, CONF_autocreate_quota, &err, "too small");
	assert_string_equal(err.text, "f:4: autocreatequota: too small");
	(void)conf_text_fail(conf, "partition-x", &err, "is not there");
	assert_string_equal(err.text, "f:3: partition-x: is not there");
	(void)conf_text_fail(conf, "partition-y", &err, "is needed");
	assert_string_equal(err.text, "f: partition-y (not set): is needed");
	conf_free(&conf);
}

static void partitions_are_required_but_of_frontends(void **state UNUSED)
{
	static const struct {
		const char *text, *error;
	} rows[] = {
		{"defaultpartition: Def\npartition-def: /p\n", NULL},
		{"partition-def: /p\n", NULL},
		{"", "f: no partition-NAME is set"},
		{"defaultpartition: def\npartition-other: /p\n",
		 "f:1: defaultpartition: partition-def is not set"},
		{"mupdate_server: m\n", NULL},
		{"mupdate_server: m\nproxyservers: p\n", "f: no partition-NAME is set"},
		{"mupdate_server: m\nmupdate_config: unified\n", "f: no partition-NAME is set"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct conf *conf = parse(rows[i].text, "");
		struct us_err err = US_ERR_INIT;
		int rc = conf_check_partitions(conf, &err);
		assert_int_equal(rc, rows[i].error ? US_ECONFIG : 0);
		assert_string_equal(err.text, rows[i].error ? rows[i].error : "");
		conf_free(&conf);
	}
}

/* ---- files ------------------------------------------------------------------------------------ */

struct folder {
	char root[64], path[80], prefixed[160];
};

static void put_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

/* A folder with a file and, below it as CYRUS_PREFIX, the place where the same file would be prefixed. */
static int make_folder(void **state)
{
	struct folder *f = us_calloc(1, sizeof(*f));

	snprintf(f->root, sizeof(f->root), "/tmp/us-conf-XXXXXX");
	assert_non_null(mkdtemp(f->root));
	snprintf(f->path, sizeof(f->path), "%s/c", f->root);
	snprintf(f->prefixed, sizeof(f->prefixed), "%s/p%s", f->root, f->path);
	*state = f;
	return 0;
}

static int remove_folder(void **state)
{
	struct folder *f = *state;
	char *command = us_asprintf("rm -rf '%s'", f->root);

	(void)unsetenv("CYRUS_PREFIX");
	assert_int_equal(system(command), 0);
	free(command);
	free(f);
	return 0;
}

static void a_file_is_loaded_with_its_includes(void **state)
{
	struct folder *f = *state;
	struct conf *conf = NULL;
	struct us_err err;
	char *text = us_asprintf("@include: %s2\nsync_host: r\n", f->path);
	char *second = us_asprintf("%s2", f->path);
	char host[256] = "";

	put_file(f->path, text);
	put_file(second, "configdirectory: /c\n");
	assert_ok(conf_load(f->path, "imap", &conf, &err), &err);
	assert_string_equal(conf_str(conf, CONF_configdirectory), "/c");
	assert_string_equal(conf_str(conf, CONF_sync_host), "r");
	assert_int_equal(gethostname(host, sizeof(host) - 1), 0);
	assert_string_equal(conf_str(conf, CONF_servername), host);
	conf_free(&conf);
	free(text);
	free(second);
}

static void a_file_without_configdirectory_is_refused(void **state)
{
	struct folder *f = *state;
	struct conf *conf = NULL;
	struct us_err err;
	char *missing;

	put_file(f->path, "sync_host: r\n");
	assert_int_equal(conf_load(f->path, "imap", &conf, &err), US_ECONFIG);
	assert_non_null(strstr(err.text, "/c: configdirectory is not set"));
	missing = us_asprintf("configdirectory: /c\n@include: %s-none\n", f->path);
	put_file(f->path, missing);
	assert_int_equal(conf_load(f->path, "imap", &conf, &err), US_ECONFIG);
	assert_non_null(strstr(err.text, "/c:2: cannot read a configuration file: "));
	assert_non_null(strstr(err.text, "-none"));
	assert_int_equal(conf_load("/nonexistent/x", "imap", &conf, &err), US_ECONFIG);
	assert_null(conf);
	free(missing);
}

static void the_prefix_is_tried_first(void **state)
{
	struct folder *f = *state;
	struct conf *conf = NULL;
	struct us_err err;
	char *command = us_asprintf("mkdir -p '%s/p%s'", f->root, f->root);
	char *prefix = us_asprintf("%s/p", f->root);

	assert_int_equal(system(command), 0);
	put_file(f->path, "configdirectory: /plain\n");
	assert_int_equal(setenv("CYRUS_PREFIX", prefix, 1), 0);
	assert_ok(conf_load(f->path, "imap", &conf, &err), &err);
	assert_string_equal(conf_str(conf, CONF_configdirectory), "/plain");
	conf_free(&conf);
	put_file(f->prefixed, "configdirectory: /prefixed\n");
	assert_ok(conf_load(f->path, "imap", &conf, &err), &err);
	assert_string_equal(conf_str(conf, CONF_configdirectory), "/prefixed");
	conf_free(&conf);
	free(command);
	free(prefix);
}

/* In place of the C library's. */
static struct {
	char ident[64];
	int facility;
} opened;

void openlog(const char *ident, int option UNUSED, int facility)
{
	snprintf(opened.ident, sizeof(opened.ident), "%s", ident);
	opened.facility = facility;
}

static void syslog_is_opened_as_wanted(void **state UNUSED)
{
	static const struct {
		const char *text, *prefix, *ident;
		int facility;
	} rows[] = {
		{"", NULL, "imapd", LOG_MAIL},
		{"syslog_prefix: a\n", NULL, "a/imapd", LOG_MAIL},
		{"syslog_prefix: a\n", "b", "b/imapd", LOG_MAIL},
		{"syslog_prefix: a\n", "", "a/imapd", LOG_MAIL},
		{"syslog_facility: LOCAL6\n", "b", "b/imapd", LOG_LOCAL6},
		{"syslog_facility: daemon\n", NULL, "imapd", LOG_DAEMON},
		{"syslog_facility: bogus\n", NULL, "imapd", LOG_MAIL},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct conf *conf = parse(rows[i].text, "imap");
		assert_int_equal(rows[i].prefix ? setenv("CYRUS_SYSLOG_PREFIX", rows[i].prefix, 1)
						: unsetenv("CYRUS_SYSLOG_PREFIX"),
				 0);
		conf_open_log(conf, "imapd");
		assert_string_equal(opened.ident, rows[i].ident);
		assert_int_equal(opened.facility, rows[i].facility);
		conf_free(&conf);
	}
	assert_int_equal(unsetenv("CYRUS_SYSLOG_PREFIX"), 0);
}

static void the_log_file_is_written(void **state)
{
	struct folder *f = *state;
	char *text = us_asprintf("logfile: %s\nsyslog_facility: bogus\nsyslog_prefix: site\n"
				 "tls_cert_file: /x\n",
				 f->path);
	struct conf *conf = parse(text, "imap");
	char log[4096] = "";
	FILE *file;

	conf_open_log(conf, "imapd");
	conf_free(&conf);
	file = fopen(f->path, "r");
	assert_non_null(file);
	assert_true(fread(log, 1, sizeof(log) - 1, file) > 0);
	fclose(file);
	assert_non_null(strstr(log, "site/imapd["));
	assert_non_null(strstr(log, "event=config.value.unusable key=syslog_facility value=bogus"));
	assert_non_null(
		strstr(log, "event=config.key.old key=tls_cert_file instead=tls_server_cert path=f "
			    "line=4"));
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_are_read_as_a_cyrus_reads_them),
		cmocka_unit_test(errors_name_file_line_and_key),
		cmocka_unit_test(nul_and_endless_keys_are_refused),
		cmocka_unit_test(files_are_included_in_their_place),
		cmocka_unit_test(bad_includes_are_refused),
		cmocka_unit_test(numbers_have_their_historical_units),
		cmocka_unit_test(sizes_take_letters),
		cmocka_unit_test(integers_are_those_of_c),
		cmocka_unit_test(bad_durations_are_refused),
		cmocka_unit_test(switches_are_known_by_their_beginning),
		cmocka_unit_test(words_are_exact),
		cmocka_unit_test(bits_replace_the_default),
		cmocka_unit_test(values_beyond_bounds_are_held_within),
		cmocka_unit_test(silence_gives_the_defaults),
		cmocka_unit_test(configdirectory_is_put_in_its_place),
		cmocka_unit_test(the_ident_goes_first_in_any_order),
		cmocka_unit_test(old_names_give_way_and_new_ones_do_not),
		cmocka_unit_test(other_keys_are_kept_as_text),
		cmocka_unit_test(channels_have_values_of_their_own),
		cmocka_unit_test(programs_report_where_a_value_stands),
		cmocka_unit_test(partitions_are_required_but_of_frontends),
		cmocka_unit_test(syslog_is_opened_as_wanted),
		cmocka_unit_test_setup_teardown(a_file_is_loaded_with_its_includes, make_folder,
						remove_folder),
		cmocka_unit_test_setup_teardown(a_file_without_configdirectory_is_refused,
						make_folder, remove_folder),
		cmocka_unit_test_setup_teardown(the_prefix_is_tried_first, make_folder,
						remove_folder),
		cmocka_unit_test_setup_teardown(the_log_file_is_written, make_folder,
						remove_folder),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
