/* unexpunge.c - messages that were expunged, shown and given back.
 *
 *	-l	shows those whose files are still there
 *	-a -u -t	give back all, some, or those of the last while: under new UIDs, for an old one never comes back
 *
 * Giving back is store work (restore_messages() in server/store/expire.h), in pieces of expire_batch messages; it keeps to the
 * quota. Output is Cyrus's, but for header fields, which are decoded, and of which nothing can reach a terminal as a control.
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>

#include "server/admin/duration.h"
#include "server/admin/header_text.h"
#include "server/admin/names.h"
#include "server/admin/tool.h"
#include "server/base/datetime.h"
#include "server/base/log.h"
#include "server/base/mem.h"
#include "server/base/pool.h"
#include "server/base/process.h"
#include "server/store/expire.h"
#include "server/store/message.h"
#include "server/store/mime/mime_text.h"
#include "server/store/mime/structure.h"

#define EX_WRONG_CALL 255 /* as Cyrus has it */

enum mode { MODE_NONE, MODE_LIST, MODE_ALL, MODE_SINCE, MODE_UIDS };

struct work {
	struct tool tool;
	const char *conf_path, *name; /* the mailbox, as it was given */
	enum mode mode;
	bool verbose;
	int64_t interval_s;
	struct restore_options options;
	uint32_t *wanted; /* UIDs of the command line, ascending */
	size_t n_wanted;
	struct restored *list; /* what is to come back */
	size_t n, cap;
	struct mime_text *text;
	unsigned restored;
	int status; /* of what went wrong first */
};

static void complain(struct work *w, const struct us_err *err)
{
	tool_warn(&w->tool, err);
	if (!w->status)
		w->status = us_err_exit(err->code);
}

/* ---- showing -------------------------------------------------------------------------------------------- */

static void print_time(const char *what, int64_t seconds, bool utc)
{
	time_t when = (time_t)seconds;
	struct tm tm;
	char text[64];

	if (utc)
		gmtime_r(&when, &tm);
	else
		localtime_r(&when, &tm);
	strftime(text, sizeof(text), "%a %b %e %H:%M:%S %Y", &tm);
	printf("\t%s: %s\n", what, text);
}

static void print_field(struct work *w, const char *label, const struct mime_words *values)
{
	struct buf text = BUF_INIT;

	header_text_addresses(w->text, values, &text);
	printf("\t%s: %s\n", label, text.data);
	buf_free(&text);
}

static void print_subject(struct work *w, struct span subject)
{
	struct buf text = BUF_INIT;

	header_text_plain(w->text, subject, &text);
	printf(subject.ptr ? "\tSubj: \"%s\"\n" : "\tSubj: NIL\n", text.data);
	buf_free(&text);
}

static void print_header(struct work *w, const struct mime_envelope *e)
{
	struct mime_words from = {.text = e->from};

	print_field(w, "From", e->from.ptr ? &from : NULL);
	print_field(w, "To  ", e->to);
	print_field(w, "Cc  ", e->cc);
	print_field(w, "Bcc ", e->bcc);
	print_subject(w, e->subject);
}

/* The day in the Date field, as it stands there; without one that of the arrival. */
static void print_sent(const struct record *r, const struct mime_envelope *e)
{
	struct datetime sent = {.time = record_internaldate(r)};

	if (e)
		(void)datetime_parse_mail(e->date, &sent); /* which stays what it is */
	print_time("Sent", datetime_midnight(sent), true);
}

/* e: NULL if the file cannot be read. */
static void print_facts(const struct record *r, const struct mime_envelope *e)
{
	printf("UID: %u\n\tSize: %" PRIu64 "\n", r->uid, r->size);
	print_sent(r, e);
	print_time("Recv", record_internaldate(r), false);
	print_time("Expg", r->last_updated, false);
}

static void print_message(struct work *w, struct mailbox *m, const struct record *r)
{
	struct pool *pool = pool_new();
	struct span bytes = SPAN_NULL;
	struct us_err err;

	if (message_map(m, r, &bytes, &err) == 0) {
		const struct mime_envelope *e = mime_scan(bytes, NULL, pool)->root->envelope;

		print_facts(r, e);
		print_header(w, e);
	} else {
		print_facts(r, NULL);
		printf("\tERROR: %s\n", err.text);
		us_err_prefix(&err, "UID %u", r->uid);
		complain(w, &err);
	}
	message_unmap(&bytes);
	pool_free(&pool);
	putchar('\n');
}

/* ---- which messages ------------------------------------------------------------------------------------------ */

static int cmp_uids(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static bool is_wanted(const struct work *w, const struct record *r, int64_t now)
{
	if (!restore_is_possible(r))
		return false;
	if (w->mode == MODE_SINCE)
		return r->last_updated >= now - w->interval_s;
	return !w->n_wanted ||
	       bsearch(&r->uid, w->wanted, w->n_wanted, sizeof(w->wanted[0]), cmp_uids);
}

static void find_messages(struct work *w, struct mailbox *m)
{
	struct view_walk walk = view_walk(&m->view, 1);
	const struct record *r;
	int64_t now = store_now();

	while ((r = view_next(&m->view, &walk))) {
		if (!is_wanted(w, r, now))
			continue;
		us_grow(&w->list, w->n, &w->cap, sizeof(w->list[0]));
		w->list[w->n++] = (struct restored){.uid = r->uid};
	}
}

/* Both ascend. */
static void tell_missing(struct work *w)
{
	struct us_err err;
	size_t at = 0;

	for (size_t i = 0; i < w->n_wanted; i++) {
		while (at < w->n && w->list[at].uid < w->wanted[i])
			at++;
		if (at < w->n && w->list[at].uid == w->wanted[i])
			continue;
		us_fail(&err, US_ENOENT, "%s: no expunged message of UID %u can be restored",
			w->name, w->wanted[i]);
		complain(w, &err);
	}
}

/* ---- giving back ------------------------------------------------------------------------------------------------ */

static void tell_restored(struct work *w, struct restored *r)
{
	if (r->rc < 0) {
		us_err_prefix(&r->err, "UID %u of %s was not restored", r->uid, w->name);
		complain(w, &r->err);
	} else if (w->verbose) {
		printf("Unexpunged %s: %u => %u\n", w->name, r->uid, r->new_uid);
	}
}

static void restore(struct work *w, struct mailbox *m)
{
	size_t most = (size_t)conf_int(w->tool.conf, CONF_expire_batch);
	struct us_err err;

	for (size_t at = 0; at < w->n && !process_flags.stop; at += most) {
		size_t n = w->n - at < most ? w->n - at : most;
		int rc = restore_messages(m, w->list + at, n, &w->options, &err);

		if (rc < 0) {
			us_err_prefix(&err, "%s", w->name);
			complain(w, &err);
			return;
		}
		w->restored += (unsigned)rc;
		for (size_t i = 0; i < n; i++)
			tell_restored(w, &w->list[at + i]);
	}
	if (process_flags.stop) {
		fputs("unexpunge: stopped by a signal\n", stderr);
		w->status = w->status ? w->status : EX_TEMPFAIL;
	}
}

static void tell_result(const struct work *w)
{
	char text[400];

	printf("restored %u expunged messages\n", w->restored);
	snprintf(text, sizeof(text), "restored %u expunged messages in mailbox '%.300s'",
		 w->restored, w->name);
	log_event(LOG_NOTICE, "admin.unexpunge.done", LF_TEXT(text));
}

static void work_on(struct work *w, struct mailbox *m)
{
	find_messages(w, m);
	if (w->mode != MODE_LIST) {
		printf("restoring %sexpunged messages in mailbox '%s'\n",
		       w->mode == MODE_ALL ? "all " : "", w->name);
		restore(w, m);
		tell_result(w);
	}
	for (size_t i = 0; w->mode == MODE_LIST && i < w->n; i++)
		print_message(w, m, view_find(&m->view, w->list[i].uid));
	tell_missing(w);
}

static int do_mailbox(struct work *w, struct us_err *err)
{
	struct buf name = BUF_INIT;
	struct mailbox *m = NULL;
	int rc = names_internal(&w->tool.host, span_of(w->name), NAMES_UTF8, &name, err);

	if (rc == 0)
		rc = mailbox_open(w->tool.host.store, buf_span(&name), &m, err);
	if (rc == 0)
		work_on(w, m);
	else
		us_err_prefix(err, "Failed to open mailbox '%s'", w->name);
	mailbox_close(&m);
	buf_free(&name);
	return rc < 0 ? rc : w->status;
}

/* ---- the command line ----------------------------------------------------------------------------------------------- */

static int usage(void)
{
	fputs("unexpunge [-C <altconfig>] -l <mailbox> [<uid>...]\n"
	      "unexpunge [-C <altconfig>] -t time-interval [-d] [-v] [-f flag] mailbox\n"
	      "unexpunge [-C <altconfig>] -a [-d] [-v] [-f flag] <mailbox>\n"
	      "unexpunge [-C <altconfig>] -u [-d] [-v] [-f flag] <mailbox> <uid>...\n",
	      stderr);
	return EX_WRONG_CALL;
}

static bool set_mode(struct work *w, enum mode mode)
{
	if (w->mode != MODE_NONE)
		return false;
	w->mode = mode;
	return true;
}

static bool take_keyword(struct work *w, const char *word)
{
	if (*word == '\\') {
		fputs("can't set a system flag\n", stderr);
		return false;
	}
	/* RFC 3501, section 9: flag-keyword = atom */
	if (!*word || strpbrk(word, " (){%*\"\\]"))
		return false;
	for (const char *at = word; *at; at++)
		if (*at < ' ' || *at > '~')
			return false;
	w->options.keyword = span_of(word);
	return true;
}

static bool take_option(struct work *w, int letter)
{
	switch (letter) {
	case 'C':
		w->conf_path = optarg;
		return true;
	case 'l':
		return set_mode(w, MODE_LIST);
	case 'a':
		return set_mode(w, MODE_ALL);
	case 'u':
		return set_mode(w, MODE_UIDS);
	case 't':
		return set_mode(w, MODE_SINCE) && duration_parse(optarg, 1, &w->interval_s);
	case 'd':
		return w->options.clear_deleted = true;
	case 'f':
		return take_keyword(w, optarg);
	case 'v':
		return w->verbose = true;
	default:
		return false;
	}
}

static bool take_uids(struct work *w, char **words, size_t n)
{
	w->wanted = us_calloc(n + 1, sizeof(w->wanted[0]));
	for (size_t i = 0; i < n; i++) {
		uint64_t uid;

		if (!span_u64(span_of(words[i]), UINT32_MAX, &uid) || !uid) {
			fprintf(stderr, "%s: not a UID\n", words[i]);
			return false;
		}
		w->wanted[w->n_wanted++] = (uint32_t)uid;
	}
	if (n)
		qsort(w->wanted, n, sizeof(w->wanted[0]), cmp_uids);
	return true;
}

/* A mailbox, and UIDs where they are meant. */
static bool take_words(struct work *w, char **words, size_t n)
{
	bool needs_uids = w->mode == MODE_UIDS, may_have = needs_uids || w->mode == MODE_LIST;

	if (w->mode == MODE_NONE || n < (needs_uids ? 2 : 1) || (n > 1 && !may_have))
		return false;
	w->name = words[0];
	return take_uids(w, words + 1, n - 1);
}

static int run(struct work *w)
{
	struct us_err err = US_ERR_INIT;
	int rc;

	process_signals_catch();
	mime_text_start();
	w->text = mime_text_new(NULL);
	rc = tool_begin(&w->tool, "unexpunge", w->conf_path,
			w->mode == MODE_LIST ? HOST_STORE_READ : HOST_STORE_WRITE, &err);
	if (rc == 0)
		rc = do_mailbox(w, &err);
	mime_text_free(&w->text);
	mime_text_stop();
	return tool_end(&w->tool, rc, &err);
}

int main(int argc, char **argv)
{
	struct work w = {.mode = MODE_NONE};
	bool well = true;
	int letter, status;

	while (well && (letter = getopt(argc, argv, "C:laudt:f:v")) != -1)
		well = take_option(&w, letter);
	well = well && take_words(&w, argv + optind, (size_t)(argc - optind));
	status = well ? run(&w) : usage();
	free(w.wanted);
	free(w.list);
	return status;
}
