/* cyr_synclog.c - say by hand that something has changed: a line for the sync log of every channel.
 *
 * Nothing is changed by it; the next comparison finds what there is to be done, if anything. Names are those the log has, internal
 * ones: user.bob, not user/bob.
 */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "channels/channels.h"
#include "server/admin/tool.h"
#include "server/base/mem.h"
#include "synclog/record.h"

#define USAGE_STATUS 255 /* as Cyrus's tool has it */

static const struct {
	char letter;
	enum synclog_kind kind;
	const char *help;
} kinds[] = {
	{'u', SYNCLOG_USER, "USER        user"},
	{'U', SYNCLOG_UNUSER, "UNUSER      user"},
	{'v', SYNCLOG_META, "SIEVE       user"},
	{'m', SYNCLOG_MAILBOX, "MAILBOX     mailbox"},
	{'M', SYNCLOG_UNMAILBOX, "UNMAILBOX   mailbox"},
	{'a', SYNCLOG_APPEND, "APPEND      mailbox"},
	{'c', SYNCLOG_MAILBOX, "MAILBOX     mailbox, whose access control list was changed"},
	{'q', SYNCLOG_QUOTA, "QUOTA       root"},
	{'n', SYNCLOG_ANNOTATION, "ANNOTATION  mailbox, or \"\" for the server"},
	{'s', SYNCLOG_SEEN, "SEEN        user, and the mailbox's unique id"},
	{'b', SYNCLOG_SUB, "SUBSCRIPTION user, and the mailbox"},
};

static int usage(void)
{
	fputs("usage: cyr_synclog [-C imapd.conf] -TYPE value [value]\n"
	      "       cyr_synclog [-C imapd.conf] LINE\n\ntypes:\n",
	      stderr);
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		fprintf(stderr, "  -%c  %s\n", kinds[i].letter, kinds[i].help);
	fputs("\nWithout a type, the words are a whole line of the log.\n", stderr);
	return USAGE_STATUS;
}

struct order {
	const char *conf_path;
	bool typed;
	enum synclog_kind kind;
};

static bool read_options(struct order *o, int argc, char **argv)
{
	int letter;

	while ((letter = getopt(argc, argv, "C:uUvmMacqnsb")) != -1) {
		bool known = letter == 'C';
		if (letter == 'C')
			o->conf_path = optarg;
		for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
			if (kinds[i].letter != letter)
				continue;
			known = !o->typed; /* one type only */
			o->typed = true;
			o->kind = kinds[i].kind;
		}
		if (!known)
			return false;
	}
	return optind < argc;
}

/* Only the server's annotations have no name. */
static bool are_names(const struct order *o, char **words, int n)
{
	for (int i = 0; i < n; i++)
		if (!*words[i] && o->kind != SYNCLOG_ANNOTATION)
			return false;
	return true;
}

/* A line for each word, or for each pair of words. */
static int lines_of_type(const struct order *o, char **words, int n, struct buf *out,
			 struct us_err *err)
{
	int step = (int)synclog_kind_args(o->kind), rc = 0;

	if (n % step)
		return us_fail(err, US_EINVAL, "%s wants %d arguments", synclog_kind_name(o->kind),
			       step);
	if (!are_names(o, words, n))
		return us_fail(err, US_EINVAL, "%s wants a name", synclog_kind_name(o->kind));
	for (int i = 0; rc == 0 && i < n; i += step) {
		struct synclog_record record = {.kind = o->kind, .n_args = (unsigned)step};
		for (int k = 0; k < step; k++)
			record.arg[k] = span_of(words[i + k]);
		rc = synclog_format(&record, out, err);
	}
	return rc;
}

/* What a reader could not read is not written. */
static int whole_line(char **words, int n, struct buf *out, struct us_err *err)
{
	struct pool *pool = pool_new();
	struct synclog_record record;
	struct buf line = BUF_INIT;
	struct span rest, bad;
	int rc;

	for (int i = 0; i < n; i++)
		buf_printf(&line, "%s%s", i ? " " : "", words[i]);
	buf_add_char(&line, '\n');
	rest = buf_span(&line);
	rc = synclog_parse(&rest, pool, &record, &bad, err);
	if (rc == 0 || (rc > 0 && rest.len))
		rc = us_fail(err, US_EINVAL, "not one line");
	if (rc > 0)
		rc = synclog_format(&record, out, err);
	buf_free(&line);
	pool_free(&pool);
	return rc;
}

static int append(const struct tool *t, struct span lines, struct us_err *err)
{
	struct channels_config config;
	struct channels *channels = NULL;
	int rc;

	host_channels_config(t->conf, &config);
	rc = channels_open(&config, CHANNELS_LOCAL, &channels, err);
	if (rc < 0)
		return rc;
	if (channels_count(channels) == 0)
		fputs("cyr_synclog: sync_log is off: nothing was written\n", stderr);
	rc = channels_append(channels, lines, err);
	channels_close(&channels);
	return rc;
}

int main(int argc, char **argv)
{
	struct order o = {0};
	struct us_err err = US_ERR_INIT;
	struct buf lines = BUF_INIT;
	struct tool t;
	int rc;

	if (!read_options(&o, argc, argv))
		return usage();
	rc = o.typed ? lines_of_type(&o, argv + optind, argc - optind, &lines, &err)
		     : whole_line(argv + optind, argc - optind, &lines, &err);
	if (rc < 0) {
		fprintf(stderr, "cyr_synclog: %s\n", err.text);
		buf_free(&lines);
		return usage();
	}
	rc = tool_begin(&t, "cyr_synclog", o.conf_path, 0, &err);
	if (rc == 0)
		rc = append(&t, buf_span(&lines), &err);
	buf_free(&lines);
	return tool_end(&t, rc, &err);
}
