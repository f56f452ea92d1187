/* fuzz_conf.c - any bytes as imapd.conf: nothing is read out of bounds, what is taken can be asked for, and
 * what is written of it reads the same.
 *
 * The bytes are cut at 0x1e; the first part is the file, the others are what it includes: "0" to "9". */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "server/base/buf.h"
#include "server/base/conf.h"
#include "server/base/conf_lines.h"
#include "server/base/err.h"
#include "server/base/mem.h"

#define IDENT "imap"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int read_part(void *ctx, const char *path, struct buf *out, struct us_err *err)
{
	struct span rest = *(struct span *)ctx, part = SPAN_NULL;
	int n = path[0] - '0';

	if (n < 0 || n > 9 || path[1])
		return us_fail(err, US_ECONFIG, "no file %s", path);
	while (n-- >= 0)
		if (!span_split(&rest, '\x1e', &part))
			return us_fail(err, US_ECONFIG, "no file %s", path);
	buf_add_span(out, part);
	return 0;
}

static void note(void *ctx, const struct conf_lint *lint)
{
	us_assert(lint->item.key && lint->item.file && lint->item.line);
	++*(size_t *)ctx;
}

static void ask_for_other_keys(const struct conf *conf)
{
	struct conf_item item;
	size_t at = 0, lints = 0;
	bool yes;
	int n;
	int64_t s;

	while (conf_next(conf, "", &at, &item)) {
		struct us_err err;
		us_assert(conf_text(conf, item.key));
		us_assert(conf_text_fail(conf, item.key, &err, "x") == US_ECONFIG);
	}
	(void)conf_host_text(conf, "b1.example.com", "password");
	(void)conf_channel_str(conf, "west", CONF_sync_host);
	(void)conf_channel_bool(conf, "west", CONF_sync_try_imap, &yes, NULL);
	(void)conf_channel_int(conf, "west", CONF_sync_batchsize, &n, NULL);
	(void)conf_channel_duration_s(conf, "west", CONF_sync_timeout, &s, NULL);
	(void)conf_check_partitions(conf, NULL);
	conf_lint(conf, note, &lints);
}

static void ask_by_type(const struct conf *conf, enum conf_key key)
{
	switch (conf_option(key)->type) {
	case CONF_SWITCH:
		(void)conf_bool(conf, key);
		break;
	case CONF_INT:
		(void)conf_int(conf, key);
		break;
	case CONF_SIZE:
		(void)conf_bytes(conf, key);
		break;
	case CONF_DURATION:
		(void)conf_duration_s(conf, key);
		break;
	case CONF_STRING:
		us_assert(!conf_is_set(conf, key) || *conf_str(conf, key));
		break;
	case CONF_ENUM:
	case CONF_ONEOF:
		us_assert(conf_enum(conf, key) < CONF_WORDS);
		break;
	case CONF_BITS:
		us_assert(!conf_is_set(conf, key) || conf_bits(conf, key));
		break;
	}
}

/* Every key of the table, as the conf has it. */
static void write_all(const struct conf *conf, struct buf *out)
{
	for (int i = 0; i < CONF_KEYS; i++) {
		struct buf value = BUF_INIT;
		ask_by_type(conf, (enum conf_key)i);
		conf_write(conf, (enum conf_key)i, &value);
		if (conf_is_set(conf, (enum conf_key)i) && value.len)
			buf_printf(out, "%s: %s\n", conf_option((enum conf_key)i)->name,
				   value.data);
		buf_free(&value);
	}
}

/* A text with {configdirectory} within configdirectory, or ending in a backslash, is not the same when it
 * is read once more. */
static bool can_be_read_again(const struct buf *text)
{
	return !strstr(text->data, "{configdirectory}") && !strstr(text->data, "\\\n");
}

static void write_and_read_again(const struct conf *conf)
{
	struct buf first = BUF_INIT, second = BUF_INIT;
	struct conf *again = NULL;
	struct us_err err;

	write_all(conf, &first);
	if (can_be_read_again(&first)) {
		if (conf_parse(buf_span(&first), "again", "", NULL, &again, &err) < 0)
			us_panic("%s\n%s", err.text, first.data);
		write_all(again, &second);
		us_assert(span_eq(buf_span(&first), buf_span(&second)));
	}
	conf_free(&again);
	buf_free(&first);
	buf_free(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span rest = span_make(data, size), first = SPAN_NULL;
	struct conf_reader reader = {read_part, &rest};
	struct conf *conf = NULL;
	struct us_err err = US_ERR_INIT;

	(void)span_split(&rest, '\x1e', &first);
	if (conf_parse(first, "f", IDENT, &reader, &conf, &err) < 0) {
		us_assert(err.code == US_ECONFIG && err.text[0]);
		return 0;
	}
	ask_for_other_keys(conf);
	write_and_read_again(conf);
	conf_free(&conf);
	return 0;
}
