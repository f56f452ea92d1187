/* append.c - see append.h.
 *
 *	"{n}" announced --> judge: words, mailbox, right, size, quota --> stage --> octets --> run_append()
 *			    '--> refused: the tagged line is set, nothing is read (or it is passed over)
 *	run_append() --> held, until no further APPEND to this mailbox is there --> append_settle()
 *
 * The first literal may be the mailbox's name; those behind words are messages (several: RFC 3502). Each is judged as it is
 * announced, with those that came before it.
 *
 * How much can be held is bounded (append_join_messages, append_join_bytes): a client who writes without end gets his answers as
 * he goes on.
 */
#include "server/imap/append.h"

#include <stdlib.h>

#include "server/base/conf.h"
#include "server/base/io.h"
#include "server/base/mem.h"
#include "server/imap/append_private.h"
#include "server/imap/session.h"
#include "server/imap/token.h"
#include "server/store/quota.h"

/* ---- words --------------------------------------------------------------------------------------- */

static int take_flags(struct scan *s, struct pool *pool, struct append_message *out,
		      struct us_err *err)
{
	struct token_list flags = token_flag_list(s, pool);

	if (s->bad ||
	    !token_sort_flags(&flags, pool, &out->system, &out->keyword, &out->n_keywords))
		return us_fail(err, US_EPROTO, "Invalid flag in Append command");
	if (!scan_skip(s, ' '))
		return us_fail(err, US_EPROTO, "Missing space after flag list in Append command");
	return 0;
}

static int take_date(struct scan *s, struct append_message *out, struct us_err *err)
{
	out->date = token_date_time(s);
	out->has_date = true;
	if (s->bad || out->date.time < 0 || !scan_skip(s, ' '))
		return us_fail(err, US_EPROTO, "Invalid date-time in Append command");
	return 0;
}

static int take_annotations(struct scan *s, struct pool *pool, struct append_message *out,
			    struct us_err *err)
{
	int rc = annotate_values_parse(s, pool, &out->annotations, err);

	if (rc < 0 && s->at == s->text.len)
		return 0;
	if (rc == 0 && !scan_skip(s, ' '))
		rc = us_fail(err, US_EPROTO, "Missing required argument to Append");
	return rc < 0 ? rc : 1;
}

int append_parse_mailbox(struct scan *s, struct pool *pool, struct span *out, struct us_err *err)
{
	if (scan_skip(s, ' ') && scan_end(s))
		return 0;
	*out = token_astring(s, pool);
	token_space(s);
	return s->bad ? us_fail(err, US_EPROTO, "Missing required argument to Append") : 1;
}

int append_parse_message(struct scan *s, struct pool *pool, struct append_message *out,
			 struct us_err *err)
{
	int rc = 0;

	*out = (struct append_message){.system = 0};
	if (scan_peek(s) == '(')
		rc = take_flags(s, pool, out, err);
	if (rc == 0 && scan_peek(s) == '"')
		rc = take_date(s, out, err);
	if (rc == 0 && scan_skip_str(s, "ANNOTATION "))
		return take_annotations(s, pool, out, err);
	return rc < 0 ? rc : 1;
}

/* ---- judging ------------------------------------------------------------------------------------- */

/* Of RFC 3501's numbers a size is one, whatever the limit. */
static bool is_too_big(const struct imap_session *s, uint64_t size)
{
	uint64_t most = (uint64_t)conf_bytes(s->host->conf, CONF_maxmessagesize);

	return size > UINT32_MAX || (most && size > most);
}

static int refuse_mailbox(struct imap_session *s, int rc, const struct us_err *err)
{
	return rc < 0 ? imap_fail(s, rc, NULL, err) : 0; /* 0: it was answered */
}

/* Is the message welcome? 1, or 0 with the tagged line set. `mailbox` is looked up before the first. */
static int judge(struct imap_session *s, struct span mailbox, const struct framer_literal *literal)
{
	struct append_command *a = &s->append->now;
	struct quota_wanted wanted = {.messages = a->n + 1};
	struct us_err err = US_ERR_INIT;
	int rc = 1;

	if (literal->is_literal8)
		return imap_bad(s, "Binary literals are not supported");
	if (s->options->read_only)
		return imap_no(s, "[READ-ONLY] Connection is read-only");
	if (!literal->size)
		return imap_no(s, "Zero-length message literal");
	if (is_too_big(s, literal->size))
		return imap_no(s, "[TOOBIG] Message size exceeds fixed limit");
	if (!a->n)
		rc = target_find(s, mailbox, &a->access, &err);
	if (rc <= 0)
		return refuse_mailbox(s, rc, &err);
	if (literal->size > UINT64_MAX - a->bytes)
		return imap_no(s, "[TOOBIG] Message size exceeds fixed limit");
	wanted.bytes = a->bytes + literal->size;
	rc = quota_check(s->host->store, a->access.name, &wanted, &err);
	return rc < 0 ? imap_fail(s, rc, NULL, &err) : 1;
}

/* ---- joining those that are held ------------------------------------------------------------------- */

static bool is_same_target(const struct access *a, const struct access *b)
{
	return span_eq(a->name, b->name) && a->rights == b->rights &&
	       storeid_cmp(&a->row.storeid, &b->row.storeid) == 0;
}

static bool is_joining(const struct imap_session *s, uint64_t size)
{
	const struct append *a = s->append;
	const struct conf *conf = s->host->conf;

	return is_same_target(&a->held[0].access, &a->now.access) &&
	       a->held_messages + a->now.n < (size_t)conf_int(conf, CONF_append_join_messages) &&
	       a->held_bytes + a->now.bytes + size <=
		       (uint64_t)conf_bytes(conf, CONF_append_join_bytes);
}

/* ---- staging ------------------------------------------------------------------------------------- */

static int open_stage(struct imap_session *s, struct us_err *err)
{
	struct append *a = s->append;
	struct partition *p = store_partition(s->host->store, a->now.access.row.local_partition);

	if (!p)
		return us_fail(err, US_ECONFIG, "no partition-%.*s is configured",
			       SPAN_ARG(a->now.access.row.local_partition));
	if (a->stage && stage_partition(a->stage) == p)
		return 0;
	imap_settle(s); /* their bodies lie in the old one */
	stage_close(&a->stage);
	return stage_open(p, &a->stage, err);
}

/* The body before this one will be synced together with it: let it set out. */
static void send_last_body(const struct append *a)
{
	const struct append_command *c = a->now.n    ? &a->now
					 : a->n_held ? &a->held[a->n_held - 1]
						     : NULL;

	if (c)
		io_write_back(c->body[c->n - 1].staged.fd);
}

static int begin_staged(struct imap_session *s, uint64_t size, struct us_err *err)
{
	struct append_command *c = &s->append->now;
	struct append_body body = {.internaldate_ns = 0};
	int rc = c->n ? 0 : open_stage(s, err);

	if (rc == 0)
		rc = staged_begin(s->append->stage, NULL, &body.staged, err);
	if (rc < 0)
		return rc;
	send_last_body(s->append);
	us_grow(&c->body, c->n, &c->cap, sizeof(c->body[0]));
	c->body[c->n++] = body;
	c->bytes += size;
	return 0;
}

/* The words before the first message, from the frame so far: 1, 0 if it is no message that comes, or US_EPROTO. */
static int read_first_words(struct imap_session *s, struct span before, struct span *mailbox,
			    struct us_err *err)
{
	struct scan scan = scan_init(before);
	struct append_message message;
	int rc;

	(void)token_tag(&scan);
	token_space(&scan);
	(void)token_atom(&scan); /* APPEND */
	rc = append_parse_mailbox(&scan, s->pool, mailbox, err);
	if (rc > 0)
		rc = append_parse_message(&scan, s->pool, &message, err);
	return rc;
}

/* Those before another one, which stand behind the one before. */
static int read_more_words(struct imap_session *s, struct span before, struct us_err *err)
{
	const struct frame *frame = &s->framer.frame;
	struct scan scan = scan_init(span_from(before, frame->streamed[frame->n_streamed - 1].at));
	struct append_message message;

	(void)scan_until(&scan, '\n');
	(void)scan_byte(&scan);
	if (!scan_skip(&scan, ' '))
		return us_fail(err, US_EPROTO, "Missing required argument to Append command");
	return append_parse_message(&scan, s->pool, &message, err);
}

static enum framer_verdict on_literal(struct imap_session *s, const struct framer_literal *literal,
				      struct us_err *err)
{
	struct span mailbox = SPAN_NULL;
	int rc;

	if (!s->append)
		s->append = us_calloc(1, sizeof(*s->append));
	rc = s->append->now.n ? read_more_words(s, literal->before, err)
			      : read_first_words(s, literal->before, &mailbox, err);
	if (rc == 0)
		return FRAMER_KEEP; /* the mailbox's name, or an annotation's value */
	if (rc < 0) {
		(void)imap_bad(s, "%s", err->text);
		return FRAMER_REFUSE;
	}
	if (!judge(s, mailbox, literal))
		return FRAMER_REFUSE;
	if (s->append->n_held && !is_joining(s, literal->size))
		imap_settle(s);
	return begin_staged(s, literal->size, err) < 0 ? FRAMER_REFUSE : FRAMER_STREAM;
}

static int on_octets(struct imap_session *s, const void *data, size_t len, struct us_err *err)
{
	struct append_command *c = &s->append->now;

	return staged_write(&c->body[c->n - 1].staged, data, len, err);
}

void append_command_fini(struct append_command *c)
{
	for (size_t i = 0; i < c->n; i++)
		staged_drop(&c->body[i].staged, /* remove */ true);
	free(c->body);
	uidset_free(&c->uids);
	*c = (struct append_command){.n = 0};
}

/* Of a command that is held nothing is left here. */
static void on_end(struct imap_session *s)
{
	if (s->append)
		append_command_fini(&s->append->now);
}

static void on_fini(struct imap_session *s)
{
	if (!s->append)
		return;
	us_assert(!s->append->n_held); /* the loop settled them */
	on_end(s);
	stage_close(&s->append->stage);
	free(s->append->held);
	free(s->append);
	s->append = NULL;
}

const struct command_stream append_stream = {on_literal, on_octets, on_end, append_settle, on_fini};
