/* test_conf_options.c - the table of keys against the facts of Cyrus 3.6.1, and against itself.
 *
 * cyrus-3.6.1-options.txt has a line for each option of that version: name, type, default ("-": none, "="
 * before one), words; a duration's type is what a bare number counts, where the manual says it. */
#include "tests/unit/test.h"

#include <fcntl.h>

#include "server/base/buf.h"
#include "server/base/conf.h"
#include "server/base/conf_value.h"
#include "server/base/io.h"
#include "server/base/pool.h"

#define FACTS "tests/unit/base/cyrus-3.6.1-options.txt"

/* Where we differ on purpose: design and doc/man say why. */
static const struct {
	const char *key, *ours;
} other_defaults[] = {
	{"sync_repeat_interval", "0s"},
	{"sync_reconnect_maxwait", "30s"},
	{"tls_versions", "tls1_2 tls1_3"},
};

struct fact {
	struct span name, type, fallback, words;
};

static enum conf_key key_of(struct span name)
{
	const struct conf_name *other = conf_name_find(name);

	return other ? other->key : conf_option_find(name);
}

static bool same_type(const struct fact *fact, const struct conf_option *o)
{
	static const struct {
		const char *fact;
		enum conf_type type;
		uint32_t unit;
	} rows[] = {
		{"switch", CONF_SWITCH, 0},
		{"int", CONF_INT, 0},
		{"int", CONF_SIZE, 1},
		{"int", CONF_SIZE, 1024},
		{"seconds", CONF_DURATION, 1},
		{"minutes", CONF_DURATION, 60},
		{"days", CONF_DURATION, 86400},
		{"duration", CONF_DURATION, 1},
		{"duration", CONF_DURATION, 86400},
		{"string", CONF_STRING, 0},
		{"enum", CONF_ENUM, 0},
		{"oneof", CONF_ONEOF, 0},
		{"bits", CONF_BITS, 0},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (span_is(fact->type, rows[i].fact) && o->type == rows[i].type &&
		    o->unit == rows[i].unit)
			return true;
	return false;
}

static const char *expected_default(const struct fact *fact, const char *fallback)
{
	for (size_t i = 0; i < ARRAY_SIZE(other_defaults); i++)
		if (span_is(fact->name, other_defaults[i].key))
			return other_defaults[i].ours;
	return fallback;
}

static void check_default(const struct fact *fact, enum conf_key key)
{
	char *fallback =
		span_is(fact->fallback, "-") ? NULL : span_dup(span_from(fact->fallback, 1));
	const char *expected = expected_default(fact, fallback), *ours = conf_option(key)->fallback;

	/* An older name has the default of the key, whatever Cyrus's table says about it. */
	if (!conf_name_find(fact->name) &&
	    strcmp(expected ? expected : "-", ours ? ours : "-") != 0)
		fail_msg("%.*s: default %s, not %s", SPAN_ARG(fact->name), ours ? ours : "-",
			 expected ? expected : "-");
	free(fallback);
}

static void check_words(const struct fact *fact, enum conf_key key)
{
	struct span rest = fact->words, word;

	while (span_word(&rest, &word)) {
		bool known = conf_option(key)->type == CONF_BITS ? conf_bit_find(key, word) >= 0
								 : conf_word_find(key, word) >= 0;
		if (!known)
			fail_msg("%.*s: %.*s is missing", SPAN_ARG(fact->name), SPAN_ARG(word));
	}
}

static void every_option_of_cyrus_is_known(void **state UNUSED)
{
	struct buf text = BUF_INIT;
	struct us_err err;
	struct span rest, line;
	size_t n = 0;

	assert_ok(io_read_file(AT_FDCWD, test_file(FACTS), 1 << 20, &text, &err), &err);
	rest = buf_span(&text);
	while (span_split(&rest, '\n', &line) && line.len) {
		struct fact fact = {0};
		enum conf_key key;

		assert_true(span_split(&line, '\t', &fact.name) &&
			    span_split(&line, '\t', &fact.type) &&
			    span_split(&line, '\t', &fact.fallback));
		fact.words = line;
		key = key_of(fact.name);
		if (key == CONF_KEYS)
			fail_msg("%.*s is not known", SPAN_ARG(fact.name));
		if (!same_type(&fact, conf_option(key)))
			fail_msg("%.*s is not of type %.*s", SPAN_ARG(fact.name),
				 SPAN_ARG(fact.type));
		check_default(&fact, key);
		check_words(&fact, key);
		n++;
	}
	assert_int_equal(n, 526);
	buf_free(&text);
}

static void rows_make_sense(void **state UNUSED)
{
	for (int i = 0; i < CONF_KEYS; i++) {
		const struct conf_option *o = conf_option((enum conf_key)i);
		assert_int_equal(conf_option_find(span_of(o->name)), i); /* no key twice */
		assert_null(conf_name_find(span_of(o->name)));
		assert_true(o->text[0] && o->text[strlen(o->text) - 1] == '.');
	}
}

static void defaults_and_bounds_are_legal(void **state UNUSED)
{
	struct pool *pool = pool_new();

	for (int i = 0; i < CONF_KEYS; i++) {
		const struct conf_option *o = conf_option((enum conf_key)i);
		const char *texts[] = {o->fallback, o->low, o->high};

		for (size_t t = 0; t < ARRAY_SIZE(texts); t++) {
			struct conf_value value;
			struct us_err err = US_ERR_INIT;

			if (!texts[t])
				continue;
			assert_ok(conf_value_parse((enum conf_key)i, span_of(texts[t]), pool,
						   &value, &err),
				  &err);
			if (value.clamped)
				fail_msg("%s: %s is beyond its bounds", o->name, texts[t]);
		}
	}
	pool_free(&pool);
}

static void values_are_written_as_they_can_be_read(void **state UNUSED)
{
	struct pool *pool = pool_new();

	for (int i = 0; i < CONF_KEYS; i++) {
		struct buf text = BUF_INIT, again = BUF_INIT;
		struct conf_value value, copy;
		struct us_err err = US_ERR_INIT;

		conf_value_default((enum conf_key)i, pool, &value);
		conf_value_write((enum conf_key)i, &value, &text);
		if (text.len) {
			assert_ok(conf_value_parse((enum conf_key)i, buf_span(&text), pool, &copy,
						   &err),
				  &err);
			conf_value_write((enum conf_key)i, &copy, &again);
			assert_string_equal(text.data, again.data);
			assert_true(value.number == copy.number && value.bits == copy.bits);
		}
		buf_free(&text);
		buf_free(&again);
	}
	pool_free(&pool);
}

static void numbers_are_written_in_the_largest_unit(void **state UNUSED)
{
	static const struct {
		enum conf_key key;
		const char *read, *written;
	} rows[] = {
		{CONF_timeout, "2880", "2d"},
		{CONF_timeout, "1h30", "90m"},
		{CONF_sync_timeout, "3", "3s"},
		{CONF_failedloginpause, "0", "0s"},
		{CONF_popexpiretime, "-1", "-1d"},
		{CONF_maxmessagesize, "0", "0B"},
		{CONF_maxquoted, "131072", "128K"},
		{CONF_archive_maxsize, "1024", "1M"},
		{CONF_altnamespace, "off", "no"},
		{CONF_virtdomains, "t", "on"},
		{CONF_newsaddheaders, "replyto to", "to replyto"},
		{CONF_sieve_extensions, "x-cyrus-log imapflags", "imap4flags vnd.cyrus.log"},
		{CONF_quotawarn, "0x10", "16"},
	};
	struct pool *pool = pool_new();

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct buf text = BUF_INIT;
		struct conf_value value;
		struct us_err err = US_ERR_INIT;

		assert_ok(conf_value_parse(rows[i].key, span_of(rows[i].read), pool, &value, &err),
			  &err);
		conf_value_write(rows[i].key, &value, &text);
		assert_string_equal(text.data, rows[i].written);
		buf_free(&text);
	}
	pool_free(&pool);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_option_of_cyrus_is_known),
		cmocka_unit_test(rows_make_sense),
		cmocka_unit_test(defaults_and_bounds_are_legal),
		cmocka_unit_test(values_are_written_as_they_can_be_read),
		cmocka_unit_test(numbers_are_written_in_the_largest_unit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
