/* cmd_append.c - APPEND (RFC 3501, 6.3.11; APPENDUID: RFC 4315; several messages: RFC 3502): they lie in the stage when this runs.
 *
 * All of them come in by one commit, or none. A client that gives up in the middle sends an empty one. What is found to be good
 * here is held, and added by append_settle.c.
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
#include "server/store/commit.h"
#include "server/store/mime/check.h"

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
	struct span text = pool_span(p->pool, p->s.text); /* the command may outlive its frame */
	int rc;

	args->message = message;
	p->s.text = text;
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

/* From here on the body stays as it is: 1, 0 with the tagged line set, or a code. */
static int finish_body(struct imap_session *s, const struct append_message *message,
		       struct append_body *body, struct us_err *err)
{
	int rc = check_staged(s, &body->staged, err);

	if (rc <= 0)
		return rc;
	body->internaldate_ns = store_internaldate_ns(message->has_date ? message->date.time : 0);
	rc = staged_end(&body->staged, body->internaldate_ns, err);
	return rc < 0 ? rc : 1;
}

static int hold(struct imap_session *s, const struct args_append *args)
{
	struct append *a = s->append;
	struct append_command *c;

	us_grow(&a->held, a->n_held, &a->cap_held, sizeof(a->held[0]));
	c = &a->held[a->n_held++];
	*c = a->now;
	a->now = (struct append_command){.n = 0};
	c->args = args;
	a->held_messages += c->n;
	a->held_bytes += c->bytes + s->framer.frame.text.len; /* annotations may be long */
	return imap_hold(s, &c->held);
}

int run_append(struct imap_session *s, const void *arg, struct us_err *err)
{
	const struct args_append *args = arg;
	int rc = s->framer.frame.streamed_code;

	if (rc < 0)
		return us_fail(err, rc, "%s", s->framer.err.text);
	us_assert(s->append && s->append->now.n == args->n); /* parse_append() saw them pass */
	for (size_t i = 0; i < args->n; i++) {
		rc = finish_body(s, &args->message[i], &s->append->now.body[i], err);
		if (rc <= 0)
			return rc;
	}
	return hold(s, args);
}
