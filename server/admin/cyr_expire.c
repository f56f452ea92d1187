/* cyr_expire.c - what is old goes: messages whose time is over, what was expunged, mailboxes that were deleted, marks of what was
 * delivered, keywords nobody uses.
 *
 *	-X		expunged messages lose their files (server/store/expire.h)
 *	annotations	messages too old for their mailbox are expunged
 *	-t		keywords that no message has make room (server/store/keywords.h)
 *	-D		mailboxes below DELETED, and the trash, where a replica puts what its primary removed
 *	-E		marks of deliveries (server/store/duplicate.h)
 *
 * It runs beside the server, so no lock is held for longer than expire_batch messages take. One mailbox that cannot be dealt
 * with does not keep the others waiting: it is told of, and the exit status says that something is left. So
 * does a signal: what was begun is ended, and the next run does the rest.
 *
 * With -v it says on stderr what it does, in the words of Cyrus's tool.
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "server/admin/duration.h"
#include "server/admin/names.h"
#include "server/admin/tool.h"
#include "server/base/log.h"
#include "server/base/mem.h"
#include "server/base/pool.h"
#include "server/base/process.h"
#include "server/store/annotations.h"
#include "server/store/duplicate.h"
#include "server/store/expire.h"
#include "server/store/folder.h"
#include "server/store/keywords.h"
#include "server/store/mboxname.h"
#include "server/store/partition.h"

#define VENDOR "/vendor/cmu/cyrus-imapd"
#define UNSET  -1

struct work {
	struct tool tool;
	const char *conf_path;
	int64_t archive_s, delete_s, expire_s, expunge_s; /* UNSET: not asked for */
	bool keywords, no_annotations, no_messages, verbose;
	const char *prefix, *user;
	struct buf internal_prefix;
	bool by_savedate, keep_flagged;
	unsigned most; /* expire_batch */
	int64_t now;   /* when we began: what counts as old does not move */
	struct pool *pool;
	struct span *names; /* of all mailboxes that are meant */
	size_t n, cap;
	bool user_exists;
	uint64_t expired, expunged, seen, mailboxes, freed, removed;
	int status; /* of what went wrong first */
};

static bool is_to_stop(void)
{
	return process_flags.stop || process_flags.reload; /* HUP: the terminal went */
}

/* Goes on with what is next. */
static void complain(struct work *w, const struct us_err *err)
{
	tool_warn(&w->tool, err);
	if (!w->status)
		w->status = us_err_exit(err->code);
}

__attribute__((format(printf, 2, 3))) static void say(const struct work *w, const char *fmt, ...)
{
	va_list args;

	if (!w->verbose)
		return;
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fputs("\n\n", stderr);
}

static double days(int64_t seconds)
{
	return (double)seconds / DURATION_DAY;
}

/* ---- which mailboxes ---------------------------------------------------------------------------------- */

static bool is_his(struct work *w, struct span name)
{
	struct buf owner = BUF_INIT;
	bool his = mboxname_owner(name, w->tool.host.names.deletedprefix, &owner) &&
		   span_is(buf_span(&owner), w->user);

	buf_free(&owner);
	w->user_exists = w->user_exists || his;
	return his;
}

static bool begins_with(struct span name, struct span prefix)
{
	return name.len >= prefix.len && span_eq(span_make(name.ptr, prefix.len), prefix);
}

static int keep_name(void *ctx, struct span name, const struct mailbox_row *row,
		     struct us_err *err UNUSED)
{
	struct work *w = ctx;

	if (w->user && !is_his(w, name))
		return 0;
	if (!mailbox_row_is_real(row) || !begins_with(name, buf_span(&w->internal_prefix)))
		return 0;
	us_grow(&w->names, w->n, &w->cap, sizeof(w->names[0]));
	w->names[w->n++] = pool_span(w->pool, name);
	return 0;
}

static int find_names(struct work *w, struct us_err *err)
{
	int rc = 0;

	if (w->prefix)
		rc = names_internal(&w->tool.host, span_of(w->prefix), NAMES_UTF8,
				    &w->internal_prefix, err);
	if (rc < 0)
		return us_err_prefix(err, "%s", w->prefix);
	rc = folder_list(w->tool.host.store, SPAN_NULL, keep_name, w, err);
	if (rc == 0 && w->user && !w->user_exists)
		rc = us_fail(err, US_ENOENT, "%s: no such user", w->user);
	return rc;
}

/* ---- annotations ---------------------------------------------------------------------------------------- */

/* How long something is kept in that mailbox, by the annotation that holds for it: 1 and given (0: for ever), or 0. */
static int annotated(const struct work *w, struct span name, struct span entry, int64_t *out,
		     struct us_err *err)
{
	struct buf value = BUF_INIT;
	int rc = w->no_annotations
			 ? 0
			 : annotation_inherited(w->tool.host.store, name, entry, &value, err);

	if (rc > 0 && !duration_parse(value.data, DURATION_DAY, out))
		rc = us_fail(err, US_EINVAL, "the annotation %.*s is \"%s\", which is no time",
			     SPAN_ARG(entry), value.data);
	buf_free(&value);
	return rc;
}

/* ---- messages --------------------------------------------------------------------------------------------- */

static int expire_old(struct work *w, struct mailbox *m, struct us_err *err)
{
	struct expire_rule rule = {.by_savedate = w->by_savedate, .keep_flagged = w->keep_flagged};
	struct expire_turn turn = {.most = w->most};
	int64_t keep_s = 0;
	int rc = annotated(w, buf_span(&m->name), SPAN_LIT(VENDOR "/expire"), &keep_s, err);

	if (rc <= 0 || !keep_s)
		return rc;
	rule.before = w->now - keep_s;
	say(w, "expiring messages in %s older than %0.2f days", m->name.data, days(keep_s));
	do {
		rc = expire_messages(m, &rule, &turn, err);
	} while (rc > 0 && !is_to_stop());
	w->expired += turn.done;
	return rc;
}

static int purge_expunged(struct work *w, struct mailbox *m, struct us_err *err)
{
	struct expire_turn turn = {.most = w->most};
	int rc = 0;

	say(w, "cleaning up expunged messages in %s", m->name.data);
	if (w->expunge_s == UNSET || m->view.counters.records == m->view.counters.exists)
		return 0;
	do {
		rc = expire_purge(m, w->now - w->expunge_s, &turn, err);
	} while (rc > 0 && !is_to_stop());
	w->expunged += turn.done;
	return rc;
}

struct telling {
	const struct work *w;
	const struct mailbox *m;
};

static void tell_keyword(void *ctx, unsigned bit, struct span name)
{
	const struct telling *t = ctx;

	say(t->w, "Expunging userflag %u (%.*s) from %s", bit, SPAN_ARG(name), t->m->name.data);
}

static int free_keywords(struct work *w, struct mailbox *m, struct us_err *err)
{
	struct telling t = {w, m};
	int n = w->keywords ? keywords_prune(m, tell_keyword, &t, err) : 0;

	if (n > 0)
		w->freed += (unsigned)n;
	return n;
}

/* In this order keywords of messages that just went are free. Those who were told to stop do no more than open it. */
static int (*const steps[])(struct work *w, struct mailbox *m,
			    struct us_err *err) = {expire_old, purge_expunged, free_keywords};

static void do_messages_of(struct work *w, struct span name)
{
	struct mailbox *m = NULL;
	struct us_err err;
	int rc = mailbox_open(w->tool.host.store, name, &m, &err);

	if (rc < 0 && rc != US_ENOENT) /* it went meanwhile */
		complain(w, &err);
	if (rc < 0)
		return;
	w->seen += m->view.counters.records;
	w->mailboxes++;
	for (size_t i = 0; i < ARRAY_SIZE(steps) && !is_to_stop(); i++) {
		rc = steps[i](w, m, &err);
		if (rc >= 0 || rc == US_ENOENT)
			continue;
		us_err_prefix(&err, "%s", m->name.data);
		complain(w, &err);
	}
	mailbox_close(&m);
}

static void do_messages(struct work *w)
{
	char text[200];

	if (w->expunge_s != UNSET)
		say(w, "Expunging deleted messages in mailboxes older than %0.2f days",
		    days(w->expunge_s));
	for (size_t i = 0; i < w->n && !is_to_stop(); i++)
		do_messages_of(w, w->names[i]);
	snprintf(text, sizeof(text),
		 "Expired %" PRIu64 " and expunged %" PRIu64 " out of %" PRIu64
		 " messages from %" PRIu64 " mailboxes",
		 w->expired, w->expunged, w->seen, w->mailboxes);
	say(w, "\n%s", text);
	log_event(LOG_NOTICE, "admin.expire.messages", LF_TEXT(text));
	if (!w->keywords)
		return;
	snprintf(text, sizeof(text), "Expunged %" PRIu64 " user flags", w->freed);
	say(w, "%s", text);
	log_event(LOG_NOTICE, "admin.expire.keywords", LF_TEXT(text));
}

/* ---- deleted mailboxes ---------------------------------------------------------------------------------------- */

/* Is that its name since long enough? 1 or 0. */
static int is_to_go(const struct work *w, struct span name, struct us_err *err)
{
	int64_t time, keep_s = w->delete_s;
	int rc;

	if (!mboxname_deleted_time(name, w->tool.host.names.deletedprefix, &time))
		return 0;
	rc = annotated(w, name, SPAN_LIT(VENDOR "/delete"), &keep_s, err);
	if (rc < 0 || (rc > 0 && !keep_s))
		return rc < 0 ? rc : 0;
	return time <= w->now - keep_s;
}

static int remove_deleted(struct work *w, struct span name, struct us_err *err)
{
	int rc = is_to_go(w, name, err);

	if (rc <= 0)
		return rc;
	say(w, "Removing: %.*s", SPAN_ARG(name));
	rc = folder_delete(w->tool.host.store, name, FOLDER_DELETE_NOW, err);
	w->removed += rc == 0;
	return rc;
}

/* Mailboxes that are in it have no names, so nobody's are meant. */
static void sweep_trash(struct work *w)
{
	struct partition *p;
	struct us_err err;

	for (size_t i = 0; (p = store_partition_at(w->tool.host.store, i)) && !is_to_stop(); i++) {
		unsigned failed, gone = partition_sweep_trash(p, w->now - w->delete_s + 1, &failed);

		if (gone)
			say(w, "Removed %u mailboxes from the trash of partition %s", gone,
			    p->name);
		if (!failed)
			continue;
		us_fail(&err, US_EIO, "partition %s: the trash could not be emptied", p->name);
		complain(w, &err);
	}
}

static void do_deleted(struct work *w)
{
	char text[100];

	say(w, "Removing deleted mailboxes older than %0.2f days", days(w->delete_s));
	for (size_t i = 0; i < w->n && !is_to_stop(); i++) {
		struct us_err err;
		int rc = remove_deleted(w, w->names[i], &err);

		if (rc >= 0 || rc == US_ENOENT)
			continue;
		us_err_prefix(&err, "%.*s", SPAN_ARG(w->names[i]));
		complain(w, &err);
	}
	if (!w->prefix && !w->user)
		sweep_trash(w);
	snprintf(text, sizeof(text), "Removed %" PRIu64 " deleted mailboxes", w->removed);
	say(w, "%s", text);
	log_event(LOG_NOTICE, "admin.expire.mailboxes", LF_TEXT(text));
}

/* ---- marks of deliveries ------------------------------------------------------------------------------------------ */

struct marks {
	struct work *w;
	bool told;
};

/* Where the annotation cannot be found out, all stay. */
static int64_t keep_since(void *ctx, struct span uniqueid)
{
	struct marks *marks = ctx;
	struct work *w = marks->w;
	struct buf name = BUF_INIT;
	int64_t keep_s = w->expire_s;
	struct us_err err;
	int rc = w->no_annotations
			 ? 0
			 : mailbox_name_of_uniqueid(w->tool.host.store, uniqueid, &name, &err);

	if (rc > 0)
		rc = annotated(w, buf_span(&name), SPAN_LIT(VENDOR "/expire"), &keep_s, &err);
	buf_free(&name);
	if (rc < 0 && !marks->told) {
		complain(w, &err);
		marks->told = true;
	}
	return rc < 0 || (rc > 0 && !keep_s) ? INT64_MIN : w->now - keep_s + 1;
}

static void do_marks(struct work *w)
{
	struct marks marks = {w, false};
	struct duplicate_pruning how = {keep_since, &marks, &process_flags.stop};
	uint64_t seen, gone;
	struct us_err err;
	char text[100];

	if (duplicate_prune(w->tool.host.store, &how, &seen, &gone, &err) < 0)
		complain(w, &err);
	snprintf(text, sizeof(text),
		 "duplicate_prune: purged %" PRIu64 " out of %" PRIu64 " entries", gone, seen);
	log_event(LOG_NOTICE, "admin.expire.marks", LF_TEXT(text));
}

/* ---- all of it ----------------------------------------------------------------------------------------------------- */

/* Said whether -v is there or not: who asks for it should not believe that it was done. */
static void refuse_to_archive(struct work *w)
{
	struct us_err err;

	us_fail(&err, US_ECONFIG, "-A: this server has no archive partitions, nothing is archived");
	if (conf_bool(w->tool.conf, CONF_archive_enabled))
		complain(w, &err);
	else
		tool_warn(&w->tool, &err);
}

static int do_all(struct work *w, struct us_err *err)
{
	int rc;

	w->by_savedate = conf_bool(w->tool.conf, CONF_expire_by_savedate);
	w->keep_flagged = conf_bool(w->tool.conf, CONF_expire_keep_flagged);
	w->most = (unsigned)conf_int(w->tool.conf, CONF_expire_batch);
	w->now = store_now();
	if (w->archive_s != UNSET)
		refuse_to_archive(w);
	rc = find_names(w, err);
	if (rc < 0)
		return rc;
	if (!w->no_messages)
		do_messages(w);
	if (w->delete_s != UNSET && !is_to_stop())
		do_deleted(w);
	if (w->expire_s != UNSET && !is_to_stop())
		do_marks(w);
	if (is_to_stop()) {
		fputs("cyr_expire: stopped by a signal; the next run does the rest\n", stderr);
		return w->status ? w->status : EX_TEMPFAIL;
	}
	return w->status;
}

/* ---- the command line ------------------------------------------------------------------------------------------------ */

static int usage(void)
{
	fputs("Usage: cyr_expire [OPTIONS]\n"
	      "Expire messages and duplicate delivery database entries.\n"
	      "\n"
	      "-a                       skip annotation lookup\n"
	      "-c                       do not expire conversations\n"
	      "-h                       print this help and exit\n"
	      "-p <mailbox-prefix>      specify prefix for mailboxes\n"
	      "-t                       remove user flags which are not used\n"
	      "-u <user-id>             specify user id for mailbox lookup\n"
	      "-v                       enable verbose output\n"
	      "-x                       do not expunge messages\n"
	      "-C <config-file>         use <config-file> instead of config from imapd.conf\n"
	      "-A <archive-duration>    (there are no archive partitions)\n"
	      "-D <delete-duration>     remove mailboxes deleted longer ago\n"
	      "-E <expire-duration>     forget what was delivered longer ago\n"
	      "-X <expunge-duration>    remove messages expunged longer ago\n",
	      stderr);
	return EX_USAGE;
}

static bool take_switch(struct work *w, int letter)
{
	switch (letter) {
	case 'a':
		return w->no_annotations = true;
	case 'c': /* no conversations are kept */
		return true;
	case 't':
		return w->keywords = true;
	case 'v':
		return w->verbose = true;
	case 'x':
		return w->no_messages = true;
	default:
		return false;
	}
}

static bool take_option(struct work *w, int letter)
{
	switch (letter) {
	case 'C':
		w->conf_path = optarg;
		return true;
	case 'p':
		w->prefix = optarg;
		return true;
	case 'u':
		w->user = optarg;
		return true;
	case 'A':
		return duration_parse(optarg, DURATION_DAY, &w->archive_s);
	case 'D':
		return duration_parse(optarg, DURATION_DAY, &w->delete_s);
	case 'E':
		return duration_parse(optarg, DURATION_DAY, &w->expire_s);
	case 'X':
		return duration_parse(optarg, DURATION_DAY, &w->expunge_s);
	default:
		return take_switch(w, letter);
	}
}

static bool is_asked_for_anything(const struct work *w)
{
	return w->keywords || w->archive_s != UNSET || w->delete_s != UNSET ||
	       w->expire_s != UNSET || w->expunge_s != UNSET;
}

int main(int argc, char **argv)
{
	struct work w = {.archive_s = UNSET,
			 .delete_s = UNSET,
			 .expire_s = UNSET,
			 .expunge_s = UNSET,
			 .internal_prefix = BUF_INIT};
	struct us_err err = US_ERR_INIT;
	int letter, rc;

	while ((letter = getopt(argc, argv, "C:D:E:X:A:p:u:vaxtch")) != -1)
		if (!take_option(&w, letter))
			return usage();
	if (!is_asked_for_anything(&w)) {
		fputs("Missing arguments.\n", stderr);
		return usage();
	}
	if (optind < argc)
		return usage();
	process_signals_catch();
	w.pool = pool_new();
	rc = tool_begin(&w.tool, "cyr_expire", w.conf_path, HOST_STORE_WRITE, &err);
	if (rc == 0)
		rc = do_all(&w, &err);
	free(w.names);
	buf_free(&w.internal_prefix);
	pool_free(&w.pool);
	return tool_end(&w.tool, rc, &err);
}
