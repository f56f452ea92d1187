/* cmd_append.c - APPEND (RFC 3501, 6.3.11; APPENDUID: RFC 4315; several messages: RFC 3502): they lie in the stage when this runs.
 *
 * All of them come in by one commit, or none. A client that gives up in the middle sends an empty one.
 *
 * What is not a message as the store keeps them is refused in Cyrus's words. 8-bit characters in a header are refused or
 * made X, as the configuration says.
 */
#include <sys/mman.h>

#include "server/base/conf.h"
#include "server/base/mem.h"
#include "server/imap/append.h"
#include "server/imap/append_private.h"
#include "server/imap/session.h"
#include "server/imap/uidset.h"
#include "server/store/acl.h"
#include "server/store/commit.h"
#include "server/store/message.h"
#include "server/store/mime/check.h"
#include "server/store/quota.h"

/* Behind the announcement of a streamed literal. */
static void skip_announcement(struct parse *p, struct span text, size_t at)
{
	p->s.text = text;
	p->s.at = at;
	(void)scan_until(&p->s, '\n');
	(void)scan_byte(&p->s);
}

static int parse_words(struct parse *p, bool first, struct args_append *args,
		       struct append_message *message, struct us_err *err)
{
	int rc = first ? append_parse_mailbox(&p->s, p->pool, &args->mailbox, err)
		       : scan_skip(&p->s, ' ');

	if (rc > 0)
		rc = append_parse_message(&p->s, p->pool, message, err);
	if (rc == 0)
		rc = us_fail(err, US_EPROTO, "Missing required argument to Append command");
	return rc < 0 ? rc : 0;
}

/* SP mailbox 1*(SP words "{n}" CRLF), the octets being elsewhere, and nothing behind them. */
int parse_append(struct parse *p, void **out, struct us_err *err)
{
	const struct frame *frame = p->frame;
	struct args_append *args = pool_alloc(p->pool, sizeof(*args));
	struct append_message *message =
		pool_alloc(p->pool, us_mul_size(frame->n_streamed + 1, sizeof(*message)));
	struct span text = p->s.text;
	int rc;

	args->message = message;
	do {
		if (args->n < frame->n_streamed)
			p->s.text.len = frame->streamed[args->n].at;
		rc = parse_words(p, !args->n, args, &message[args->n], err);
		if (rc < 0)
			return rc;
		if (args->n == frame->n_streamed || !scan_ok_at_end(&p->s))
			return us_fail(err, US_EPROTO,
				       "Missing required argument to Append command");
		skip_announcement(p, text, frame->streamed[args->n++].at);
	} while (!scan_ok_at_end(&p->s));
	*out = args;
	return 0;
}

/* ---- is it a message? ---------------------------------------------------------------------------- */

/* Stage the message anew, with an X for each 8-bit character of its header. `bytes` are ours to change. */
static int stage_munged(struct staged *staged, char *bytes, size_t len, struct us_err *err)
{
	struct staged munged;
	int rc = staged_begin(staged->stage, NULL, &munged, err);

	if (rc < 0)
		return rc;
	(void)mime_munge8bit(bytes, len);
	rc = staged_write(&munged, bytes, len, err);
	staged_drop(rc < 0 ? &munged : staged, /* remove */ true);
	if (rc == 0)
		*staged = munged;
	return rc;
}

/* 1: it is one now; 0: the tagged line is set; or a code. */
static int check_message(struct imap_session *s, struct staged *staged, char *bytes, size_t len,
			 struct us_err *err)
{
	const struct conf *conf = s->host->conf;
	struct mime_faults faults;
	enum mime_fault first;
	int rc = 0;

	(void)mime_check(span_make(bytes, len), &faults);
	first = mime_check_first(&faults, conf_bool(conf, CONF_reject8bit));
	if (first != MIME_FAULTS)
		return imap_no(s, "%s", mime_fault_text(first));
	if (faults.found[MIME_FAULT_8BIT_HEADER] && conf_bool(conf, CONF_munge8bit))
		rc = stage_munged(staged, bytes, len, err);
	return rc < 0 ? rc : 1;
}

/* Look at what was staged, in a mapping that changes no file. */
static int check_staged(struct imap_session *s, struct staged *staged, struct us_err *err)
{
	size_t len = (size_t)staged->size;
	char *map = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE, staged->fd, 0);
	int rc;

	if (map == MAP_FAILED)
		return us_fail_errno(err, "map a staged message");
	rc = check_message(s, staged, map, len, err);
	munmap(map, len);
	return rc;
}

/* ---- adding them ----------------------------------------------------------------------------------- */

static int set_flags(struct commit *c, const struct target *t, const struct append_message *message,
		     struct record *r, struct us_err *err)
{
	int rc = 0;

	r->system_flags = target_flags(t, message->system);
	for (size_t i = 0; rc == 0 && t->rights & ACL_WRITE && i < message->n_keywords; i++) {
		unsigned bit;

		rc = commit_flag_bit(c, message->keyword[i], &bit, err);
		if (rc == 0)
			record_set_user_flag(r, bit, true);
	}
	return rc;
}

/* What is told of the messages. */
struct added {
	struct uidset uids, seen;
};

static int annotate(struct imap_session *s, struct commit *c,
		    const struct annotate_values *annotations, uint32_t uid, struct us_err *err)
{
	const struct annotate_source none = {NULL, 0, SPAN_NULL};

	return annotations->n ? annotate_message(s, c, &none, uid, annotations, err) : 0;
}

static int add_message(struct imap_session *s, struct commit *c, const struct target *t,
		       const struct append_message *message, struct staged *staged,
		       struct added *added, struct us_err *err)
{
	int64_t ns = store_internaldate_ns(message->has_date ? message->date.time : 0);
	struct record r = {.internaldate_ns = ns};
	uint32_t uid;
	int rc = staged_end(staged, ns, err);

	if (rc == 0)
		rc = set_flags(c, t, message, &r, err);
	if (rc == 0)
		rc = message_append(c, staged, &r, &uid, err);
	if (rc == 0)
		rc = annotate(s, c, &message->annotations, uid, err);
	if (rc < 0)
		return rc;
	uidset_add(&added->uids, uid, uid);
	if (message->system & FLAG_SEEN)
		uidset_add(&added->seen, uid, uid);
	return 0;
}

static int add_messages(struct imap_session *s, struct target *t, const struct args_append *args,
			struct staged *staged, struct added *added, struct us_err *err)
{
	struct commit *c = NULL;
	int rc = commit_begin(t->mailbox, &c, err);

	for (size_t i = 0; rc == 0 && i < args->n; i++)
		rc = add_message(s, c, t, &args->message[i], &staged[i], added, err);
	if (rc < 0)
		commit_abort(&c);
	else
		rc = commit_finish(&c, err);
	return rc;
}

static int tell_uids(struct imap_session *s, const struct target *t, const struct uidset *uids)
{
	struct buf text = BUF_INIT;
	int rc;

	uidset_format(uids, &text);
	rc = imap_ok(s, "[APPENDUID %u %s] Completed", t->mailbox->view.counters.uidvalidity,
		     text.data);
	buf_free(&text);
	return rc;
}

/* May he set what he sends of annotations? Counts their bytes. US_EPERM; US_ELIMIT: a value is too long; US_EQUOTA: they are too
 * many. */
static int check_annotations(struct imap_session *s, const struct target *t,
			     const struct args_append *args, uint64_t *bytes, struct us_err *err)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < args->n; i++) {
		const struct annotate_values *values = &args->message[i].annotations;

		rc = annotate_check(s, values, t->rights | ACL_READ, err);
		if (rc == 0 &&
		    values->n > (size_t)conf_int(s->host->conf, CONF_annotation_count_max))
			rc = us_fail(err, US_EQUOTA, "%zu annotations", values->n);
		for (size_t j = 0; j < values->n; j++)
			*bytes += values->item[j].value.len;
	}
	return rc;
}

/* With the target open. */
static int append_to(struct imap_session *s, struct target *t, const struct args_append *args,
		     struct us_err *err)
{
	struct append *a = s->append;
	struct quota_wanted wanted = {.messages = a->n};
	struct added added = {UIDSET_INIT, UIDSET_INIT};
	int rc = check_annotations(s, t, args, &wanted.annotation_bytes, err);

	if (rc == US_ELIMIT)
		return imap_no(s, "[ANNOTATE TOOBIG] Annotation value is too long");
	if (rc == US_EQUOTA)
		return imap_no(s, "[ANNOTATE TOOMANY] Too many annotations");
	if (rc < 0)
		return rc;
	for (size_t i = 0; i < a->n; i++) /* as they are now: munging may have changed them */
		wanted.bytes += a->staged[i].size;
	rc = quota_check(s->host->store, a->access.name, &wanted, err);
	if (rc == 0)
		rc = add_messages(s, t, args, a->staged, &added, err);
	if (rc < 0) {
		rc = target_fail(s, rc);
	} else {
		target_add_seen(t, &added.seen);
		rc = tell_uids(s, t, &added.uids);
	}
	uidset_free(&added.uids);
	uidset_free(&added.seen);
	return rc;
}

int run_append(struct imap_session *s, const void *arg, struct us_err *err)
{
	const struct args_append *args = arg;
	struct target target = {0};
	int rc = s->framer.frame.streamed_code;

	if (rc < 0)
		return us_fail(err, rc, "%s", s->framer.err.text);
	us_assert(s->append && s->append->n == args->n); /* parse_append() saw them pass */
	for (size_t i = 0; i < args->n; i++) {
		rc = check_staged(s, &s->append->staged[i], err);
		if (rc <= 0)
			return rc;
	}
	rc = target_open(s, &s->append->access, &target, err);
	if (rc == 0)
		rc = append_to(s, &target, arg, err);
	target_close(&target);
	return rc;
}
