/* client.c - see client.h. */
#include "server/lmtp/client.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "server/base/buf.h"
#include "server/base/mem.h"
#include "server/base/stream.h"
#include "server/lmtp/answer.h"
#include "server/lmtp/dots.h"

#define MOST_LINE  4096  /* of an answer */
#define MOST_LINES 200   /* of one answer */
#define WINDOW     50    /* commands that may be on their way unanswered */
#define PIECE      65536 /* of the message */

/* ---- answers ---------------------------------------------------------------------------------------- */

typedef void each_line_fn(void *ctx, const struct lmtp_answer *line);

/* Read one answer to its last line, which is shown in *out; its spans live in *line. */
static int read_answer(struct lmtp_client *c, each_line_fn *fn, void *ctx, struct buf *line,
		       struct lmtp_answer *out, struct us_err *err)
{
	for (int n = 0; n < MOST_LINES; n++) {
		int rc = stream_line(c->stream, MOST_LINE, line, err);
		if (rc == 0)
			return us_fail(err, US_ECLOSED, "the LMTP server closed the connection");
		rc = rc < 0 ? rc : lmtp_answer_parse(buf_span(line), out, err);
		if (rc < 0)
			return rc;
		if (fn)
			fn(ctx, out);
		if (!out->more)
			return 0;
	}
	return us_fail(err, US_EPROTO, "an answer of the LMTP server does not end");
}

/* ---- greeting ------------------------------------------------------------------------------------------ */

static void note_extension(void *ctx, const struct lmtp_answer *line)
{
	struct lmtp_client *c = ctx;
	struct span rest = line->text, word = SPAN_LIT("");

	(void)span_word(&rest, &word); /* a blank line offers nothing */
	c->pipelining |= span_is_nocase(word, "PIPELINING");
	c->ignorequota |= span_is_nocase(word, "IGNOREQUOTA");
	c->auth |= span_is_nocase(word, "AUTH");
}

static int expect(struct lmtp_client *c, unsigned code, each_line_fn *fn, struct us_err *err)
{
	struct buf line = BUF_INIT;
	struct lmtp_answer answer;
	int rc = read_answer(c, fn, c, &line, &answer, err);

	if (rc == 0 && answer.code != code)
		rc = us_fail(err, US_EREMOTE, "the LMTP server says: %u %.*s", answer.code,
			     SPAN_ARG(answer.text));
	buf_free(&line);
	return rc;
}

int lmtp_client_greet(struct lmtp_client *client, struct stream *stream, const char *name,
		      struct us_err *err)
{
	int rc;

	*client = (struct lmtp_client){.stream = stream};
	rc = expect(client, 220, NULL, err);
	if (rc < 0)
		return rc;
	stream_printf(stream, "LHLO %s\r\n", name);
	return expect(client, 250, note_extension, err);
}

void lmtp_client_quit(struct lmtp_client *client)
{
	stream_write_str(client->stream, "QUIT\r\n");
	(void)stream_flush(client->stream, NULL); /* all that matters was said before */
}

/* ---- outcomes -------------------------------------------------------------------------------------------- */

static void settle(struct lmtp_addressee *a, enum lmtp_outcome outcome, struct span reason)
{
	a->outcome = outcome;
	snprintf(a->reason, sizeof(a->reason), "%.*s", SPAN_ARG(reason));
}

static void settle_by(struct lmtp_addressee *a, const struct lmtp_answer *answer)
{
	struct buf reason = BUF_INIT;

	lmtp_answer_reason(answer, &reason);
	settle(a, answer->code / 100 == 5 ? LMTP_OUTCOME_NEVER : LMTP_OUTCOME_LATER,
	       buf_span(&reason));
	buf_free(&reason);
}

/* Everybody who has no outcome yet gets this one. */
static void settle_rest(const struct lmtp_parcel *p, const struct lmtp_answer *answer)
{
	for (size_t i = 0; i < p->n_to; i++)
		if (p->to[i].outcome == LMTP_OUTCOME_NONE)
			settle_by(&p->to[i], answer);
}

/* ---- commands ---------------------------------------------------------------------------------------------- */

/* Could it end a command line, or do worse? */
static bool is_printable(const char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			return false;
	return true;
}

/* RFC 3461, 4: what is not printable, blanks, "+" and "=" as "+" and two hex digits. */
static void write_xtext(struct stream *s, const char *text)
{
	for (; *text; text++)
		if (*text > ' ' && *text < 0x7f && *text != '+' && *text != '=')
			stream_write(s, text, 1);
		else
			stream_printf(s, "+%02X", (unsigned char)*text);
}

static void write_mail(const struct lmtp_client *c, const struct lmtp_parcel *p)
{
	bool bare = p->sender[0] != '<';

	stream_printf(c->stream, "MAIL FROM:%s%s%s", bare ? "<" : "", p->sender, bare ? ">" : "");
	if (p->submitter && c->auth) {
		stream_write_str(c->stream, " AUTH=");
		write_xtext(c->stream, p->submitter);
	}
	stream_write_str(c->stream, "\r\n");
}

static void write_rcpt(const struct lmtp_client *c, const struct lmtp_addressee *a)
{
	stream_printf(c->stream, "RCPT TO:<%s>%s\r\n", a->address,
		      a->ignore_quota && c->ignorequota ? " IGNOREQUOTA" : "");
}

/* The next one from i on to whom something can be said; n_to: there is none. */
static size_t next_open(const struct lmtp_parcel *p, size_t i)
{
	while (i < p->n_to && p->to[i].outcome != LMTP_OUTCOME_NONE)
		i++;
	return i;
}

/* Take the answers to RCPT of those in [from, to) who were asked. */
static int read_rcpts(struct lmtp_client *c, const struct lmtp_parcel *p, size_t from, size_t to,
		      size_t *accepted, struct us_err *err)
{
	struct buf line = BUF_INIT;
	struct lmtp_answer answer;
	int rc = 0;

	for (size_t i = next_open(p, from); rc == 0 && i < to; i = next_open(p, i + 1)) {
		rc = read_answer(c, NULL, NULL, &line, &answer, err);
		if (rc == 0 && answer.code / 100 == 2)
			++*accepted;
		else if (rc == 0)
			settle_by(&p->to[i], &answer);
	}
	buf_free(&line);
	return rc;
}

/* Name the recipients. *accepted: how many the server took; they still have no outcome. */
static int send_rcpts(struct lmtp_client *c, const struct lmtp_parcel *p, size_t *accepted,
		      struct us_err *err)
{
	size_t window = c->pipelining ? WINDOW : 1;
	int rc = 0;

	for (size_t from = 0; rc == 0 && from < p->n_to;) {
		size_t at = from;
		for (size_t n = 0; n < window && (at = next_open(p, at)) < p->n_to; n++)
			write_rcpt(c, &p->to[at++]);
		rc = read_rcpts(c, p, from, at, accepted, err);
		from = at;
	}
	return rc;
}

static int send_mail(struct lmtp_client *c, const struct lmtp_parcel *p, struct us_err *err)
{
	struct buf line = BUF_INIT;
	struct lmtp_answer answer;
	int rc;

	write_mail(c, p);
	rc = read_answer(c, NULL, NULL, &line, &answer, err);
	if (rc == 0 && answer.code / 100 != 2)
		settle_rest(p, &answer);
	buf_free(&line);
	return rc;
}

/* ---- the message --------------------------------------------------------------------------------------------- */

/* 1 with a piece in *in, 0 at the end. */
static int read_piece(int fd, struct buf *in, struct us_err *err)
{
	ssize_t n;

	buf_clear(in);
	do
		n = read(fd, buf_reserve(in, PIECE), PIECE);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return us_fail_errno(err, "read the message");
	in->len = (size_t)n;
	return n > 0;
}

static int send_text(struct lmtp_client *c, int fd, struct us_err *err)
{
	enum dots_source state = DOTS_SOURCE_START;
	struct buf in = BUF_INIT, out = BUF_INIT;
	int rc;

	while ((rc = read_piece(fd, &in, err)) > 0) {
		buf_clear(&out);
		dots_stuff(&state, buf_span(&in), &out);
		stream_write_span(c->stream, buf_span(&out));
		rc = stream_flush(c->stream, err);
		if (rc < 0)
			break;
	}
	if (rc == 0) {
		buf_clear(&out);
		dots_stuff_end(&state, &out);
		stream_write_span(c->stream, buf_span(&out));
		rc = stream_flush(c->stream, err);
	}
	buf_free(&in);
	buf_free(&out);
	return rc;
}

/* An answer for each recipient that was accepted, in their order. */
static int read_results(struct lmtp_client *c, const struct lmtp_parcel *p, struct us_err *err)
{
	struct buf line = BUF_INIT;
	struct lmtp_answer answer;
	int rc = 0;

	for (size_t i = next_open(p, 0); rc == 0 && i < p->n_to; i = next_open(p, i + 1)) {
		rc = read_answer(c, NULL, NULL, &line, &answer, err);
		if (rc == 0 && answer.code / 100 == 2)
			settle(&p->to[i], LMTP_OUTCOME_DELIVERED, SPAN_LIT(""));
		else if (rc == 0)
			settle_by(&p->to[i], &answer);
	}
	buf_free(&line);
	return rc;
}

static int send_data(struct lmtp_client *c, const struct lmtp_parcel *p, struct us_err *err)
{
	struct buf line = BUF_INIT;
	struct lmtp_answer answer;
	int rc;

	stream_write_str(c->stream, "DATA\r\n");
	rc = read_answer(c, NULL, NULL, &line, &answer, err);
	if (rc == 0 && answer.code != 354)
		settle_rest(p, &answer);
	else if (rc == 0) {
		rc = send_text(c, p->message, err);
		/* A server that goes away in mid-message may have said why. */
		if (rc == 0 || rc == US_ECLOSED)
			rc = read_results(c, p, err);
	}
	buf_free(&line);
	return rc;
}

static int reset(struct lmtp_client *c, struct us_err *err)
{
	stream_write_str(c->stream, "RSET\r\n");
	return expect(c, 250, NULL, err);
}

/* Those to whom nothing can be sent as they are. */
static void refuse_unprintable(const struct lmtp_parcel *p)
{
	bool bad_sender = !is_printable(p->sender);

	for (size_t i = 0; i < p->n_to; i++)
		if (bad_sender || !is_printable(p->to[i].address))
			settle(&p->to[i], LMTP_OUTCOME_NEVER, SPAN_LIT("Bad protocol"));
}

int lmtp_client_send(struct lmtp_client *client, const struct lmtp_parcel *parcel,
		     struct us_err *err)
{
	size_t accepted = 0;
	int rc;

	for (size_t i = 0; i < parcel->n_to; i++)
		settle(&parcel->to[i], LMTP_OUTCOME_NONE, SPAN_LIT(""));
	refuse_unprintable(parcel);
	if (next_open(parcel, 0) == parcel->n_to)
		return 0;
	rc = send_mail(client, parcel, err);
	if (rc == 0)
		rc = send_rcpts(client, parcel, &accepted, err);
	if (rc == 0 && accepted)
		return send_data(client, parcel, err);
	return rc < 0 ? rc : reset(client, err);
}
