/* append.c - see append.h.
 *
 *	"{n}" announced --> judge: words, mailbox, right, size, quota --> stage --> octets --> run_append()
 *			    '--> refused: the tagged line is set, nothing is read (or it is passed over)
 *
 * The first literal may be the mailbox's name; those behind words are messages (several: RFC 3502). Each is judged as it is
 * announced, with those that came before it.
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
	struct append *a = s->append;
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

/* ---- staging ------------------------------------------------------------------------------------- */

static int open_stage(struct imap_session *s, struct us_err *err)
{
	struct append *a = s->append;
	struct partition *p = store_partition(s->host->store, a->access.row.local_partition);

	if (!p)
		return us_fail(err, US_ECONFIG, "no partition-%.*s is configured",
			       SPAN_ARG(a->access.row.local_partition));
	if (a->stage && stage_partition(a->stage) == p)
		return 0;
	stage_close(&a->stage);
	return stage_open(p, &a->stage, err);
}

static int begin_staged(struct imap_session *s, uint64_t size, struct us_err *err)
{
	struct append *a = s->append;
	struct staged staged;
	int rc = a->n ? 0 : open_stage(s, err);

	if (a->n)
		io_write_back(a->staged[a->n - 1].fd);
	if (rc == 0)
		rc = staged_begin(a->stage, NULL, &staged, err);
	if (rc < 0)
		return rc;
	us_grow(&a->staged, a->n, &a->cap, sizeof(a->staged[0]));
	a->staged[a->n++] = staged;
	a->bytes += size;
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
	rc = s->append->n ? read_more_words(s, literal->before, err)
			  : read_first_words(s, literal->before, &mailbox, err);
	if (rc == 0)
		return FRAMER_KEEP; /* the mailbox's name, or an annotation's value */
	if (rc < 0) {
		(void)imap_bad(s, "%s", err->text);
		return FRAMER_REFUSE;
	}
	if (!judge(s, mailbox, literal))
		return FRAMER_REFUSE;
	return begin_staged(s, literal->size, err) < 0 ? FRAMER_REFUSE : FRAMER_STREAM;
}

static int on_octets(struct imap_session *s, const void *data, size_t len, struct us_err *err)
{
	return staged_write(&s->append->staged[s->append->n - 1], data, len, err);
}

static void on_end(struct imap_session *s)
{
	struct append *a = s->append;

	for (size_t i = 0; a && i < a->n; i++)
		staged_drop(&a->staged[i], /* remove */ true);
	if (a)
		a->n = a->bytes = 0;
}

static void on_fini(struct imap_session *s)
{
	if (!s->append)
		return;
	on_end(s);
	stage_close(&s->append->stage);
	free(s->append->staged);
	free(s->append);
	s->append = NULL;
}

const struct command_stream append_stream = {on_literal, on_octets, on_end, on_fini};
