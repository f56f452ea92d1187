/* link_talk.c - commands and their answers; see link.h. */
#include <stdio.h>
#include <string.h>

#include "server/base/mem.h"
#include "sync_client/link_private.h"

#define MOST_LINE 65536
#define MOST_OWED \
	256 /* answers of a dozen octets: they fit into what the system keeps for a connection */

bool link_is_lost(int code)
{
	return code == US_ELINK;
}

/* ---- a connection that breaks --------------------------------------------------------------------- */

/* Note what the stream gave: 0 is its end, a negative code its failure. */
static int note_break(struct link *link, int rc, struct us_err *err)
{
	if (rc > 0 || link->broken)
		return rc;
	if (rc == 0)
		rc = us_fail(err, US_ECLOSED, "the replica closed the connection");
	link->broken = true;
	link->why.code = US_ELINK;
	snprintf(link->why.text, sizeof(link->why.text), "%s", err ? err->text : us_err_text(rc));
	return rc;
}

int link_result(struct link *link, int rc, struct us_err *err)
{
	if (!link->broken)
		return rc;
	if (err)
		*err = link->why;
	return US_ELINK;
}

static int source_peek(void *ctx, struct span *out, struct us_err *err)
{
	struct link *link = ctx;
	struct us_err why = US_ERR_INIT;
	int rc = note_break(link, stream_peek(link->stream, out, &why), &why);

	if (rc < 0 && err)
		*err = why;
	return rc;
}

static void source_take(void *ctx, size_t n)
{
	stream_take(((struct link *)ctx)->stream, n);
}

struct dlist_source link_source(struct link *link)
{
	return (struct dlist_source){source_peek, source_take, link};
}

/* ---- tags -------------------------------------------------------------------------------------- */

struct span link_next_tag(struct link *link, char letter)
{
	if (!link->imap)
		return SPAN_LIT("");
	if (letter == 'S')
		snprintf(link->tag_text, sizeof(link->tag_text), "S%lu", link->tag++);
	else
		snprintf(link->tag_text, sizeof(link->tag_text), "%c01", letter);
	return span_of(link->tag_text);
}

struct span link_sync_prefix(struct link *link)
{
	if (!link->imap)
		return SPAN_LIT("");
	snprintf(link->tag_text, sizeof(link->tag_text), "S%lu SYNC", link->tag++);
	return span_of(link->tag_text);
}

/* The tag alone, as the answer will have it. */
static struct span expected_tag(const struct link *link)
{
	struct span tag = span_of(link->imap ? link->tag_text : ""), word;

	return span_word(&tag, &word) ? word : SPAN_LIT("");
}

/* ---- lines ------------------------------------------------------------------------------------- */

int link_line(struct link *link, struct buf *line, struct us_err *err)
{
	struct us_err why = US_ERR_INIT;
	int rc = note_break(link, stream_line(link->stream, MOST_LINE, line, &why), &why);

	return rc > 0 ? rc : link_result(link, rc, err);
}

/* The last line of an answer. "BYE": the replica ends, whatever it was asked. */
static int judge(struct link *link, struct span line, struct span tag, struct us_err *err)
{
	struct us_err why = US_ERR_INIT;
	int rc = wire_parse_answer(line, tag, NULL, &why);

	if (rc == US_ECLOSED) {
		why.code = US_ELINK;
		link->why = why;
		link->broken = true;
	}
	if (rc < 0 && err)
		*err = why;
	return link_result(link, rc, err);
}

int link_simple(struct link *link, char letter, const char *command,
		void (*fn)(struct link *link, struct span line), struct us_err *err)
{
	struct span tag = link_next_tag(link, letter);
	struct buf line = BUF_INIT;
	int rc;

	stream_printf(link->stream, "%.*s%s%s\r\n", SPAN_ARG(tag), tag.len ? " " : "", command);
	(void)link_collect(link, NULL); /* whoever wanted to know asked for it */
	while ((rc = link_line(link, &line, err)) > 0) {
		if (line.data[0] != '*') {
			rc = judge(link, buf_span(&line), tag, err);
			break;
		}
		if (fn)
			fn(link, buf_span(&line));
	}
	buf_free(&line);
	return rc;
}

/* ---- answers ----------------------------------------------------------------------------------- */

/* One untagged line, to its end even if it makes no sense. */
static int take_item(struct link *link, const struct link_reader *reader, struct us_err *err)
{
	struct pool *scratch = reader->pool ? NULL : pool_new();
	struct wire_item item;
	struct us_err ignored;
	int rc;

	dlist_lexer_restart(&link->lexer);
	rc = wire_read_item(&link->lexer, scratch ? scratch : reader->pool, reader->records,
			    reader->files, &item, err);
	if (rc == 0 && reader->item)
		rc = reader->item(reader->ctx, &item, err);
	if (rc < 0 && !link->broken && !link->lexer.ended)
		(void)dlist_skip_line(&link->lexer,
				      &ignored); /* if that fails the link is broken */
	if (scratch)
		pool_free(&scratch);
	return rc;
}

/* An answer with a line that makes no sense is read to its end, and dropped as a whole. */
static int one_answer(struct link *link, const struct link_reader *reader, struct us_err *err)
{
	static const struct link_reader deaf = {.pool = NULL};
	struct us_err bad = US_ERR_INIT, later;
	struct buf line = BUF_INIT;
	struct span shown;
	int rc, bad_code = 0;

	while ((rc = source_peek(link, &shown, err)) > 0 && shown.ptr[0] == '*' && !link->broken) {
		int taken = take_item(link, reader ? reader : &deaf, bad_code < 0 ? &later : &bad);
		if (taken < 0 && bad_code == 0)
			bad_code = taken;
	}
	if (rc > 0 && !link->broken)
		rc = link_line(link, &line, err);
	if (rc > 0)
		rc = judge(link, buf_span(&line), expected_tag(link), err);
	buf_free(&line);
	if (rc == 0 && bad_code < 0) {
		if (err)
			*err = bad;
		rc = bad_code;
	}
	return link_result(link, rc, err);
}

/* The oldest that nobody asked for. */
static void settle_one(struct link *link)
{
	struct us_err why = US_ERR_INIT;
	int rc = one_answer(link, NULL, &why);

	if (rc < 0 && link->late.code == 0) {
		link->late = why;
		link->late.code = rc;
	}
}

static int take_late(struct link *link, struct us_err *err)
{
	int code = link->late.code;

	if (code < 0 && err)
		*err = link->late;
	link->late.code = 0;
	return code;
}

bool link_owes(const struct link *link)
{
	return link->owed > 0;
}

int link_collect(struct link *link, struct us_err *err)
{
	us_assert(!link->n_out);
	for (; link->owed > 0; link->owed--)
		settle_one(link);
	return take_late(link, err);
}

/* The command that was written last wants an answer. */
static void expect(struct link *link)
{
	us_assert(link->n_out < LINK_MOST_OUT);
	link->before[link->n_out++] = link->owed;
	link->owed = 0;
}

/* A failure of what went before counts for this, too. */
int link_answer(struct link *link, const struct link_reader *reader, struct us_err *err)
{
	struct us_err late = US_ERR_INIT;
	int before, rc;

	us_assert(link->n_out > 0);
	for (unsigned n = link->before[0]; n > 0; n--)
		settle_one(link);
	before = take_late(link, &late);
	rc = one_answer(link, reader, err);
	memmove(link->before, link->before + 1, --link->n_out * sizeof(link->before[0]));
	if (before == 0 || link_is_lost(rc))
		return rc;
	if (err)
		*err = late;
	return before;
}

/* ---- commands ---------------------------------------------------------------------------------- */

void link_push(struct link *link)
{
	stream_write(link->stream, link->out.data, link->out.len);
	buf_clear(&link->out);
}

static void put_command(struct link *link, const struct wire_command *command)
{
	struct span prefix = link_sync_prefix(link);

	buf_clear(&link->out);
	link->writer = dlist_writer(&link->out, /* a client writes {n+} */ true);
	wire_put_command(&link->writer, prefix, command);
	link_push(link);
}

int link_call(struct link *link, const struct wire_command *command,
	      const struct link_reader *reader, struct us_err *err)
{
	us_assert(!link->n_out);
	put_command(link, command);
	expect(link);
	return link_answer(link, reader, err);
}

static int flush(struct link *link, struct us_err *err)
{
	struct us_err why = US_ERR_INIT;
	int rc = stream_flush(link->stream, &why);

	return rc < 0 ? link_result(link, note_break(link, rc, &why), err) : 0;
}

int link_ask(struct link *link, const struct wire_command *command, struct us_err *err)
{
	put_command(link, command);
	expect(link);
	return flush(link, err);
}

struct dlist_writer *link_begin(struct link *link, enum wire_kind kind, bool local)
{
	struct span prefix = link_sync_prefix(link);

	buf_clear(&link->out);
	link->writer = dlist_writer(&link->out, true);
	wire_begin_command(&link->writer, prefix, kind, local);
	return &link->writer;
}

int link_send_file(struct link *link, int fd, uint64_t size, struct us_err *err)
{
	int rc;

	link_push(link);
	rc = stream_send_file(link->stream, fd, 0, size, err);
	/* Half a file is out, or none where one was promised: the command cannot be ended any more. */
	return rc < 0 ? link_result(link, note_break(link, rc, err), err) : rc;
}

void link_end_ask(struct link *link)
{
	wire_end_command(&link->writer);
	link_push(link);
	expect(link);
}

int link_end(struct link *link, const struct link_reader *reader, struct us_err *err)
{
	link_end_ask(link);
	return link_answer(link, reader, err);
}

static int owe(struct link *link, struct us_err *err)
{
	link->owed++;
	if (!link->pipeline)
		return link_collect(link, err);
	for (; link->owed > MOST_OWED && !link->n_out; link->owed--)
		settle_one(link);
	return link_result(link, 0, err);
}

int link_call_later(struct link *link, const struct wire_command *command, struct us_err *err)
{
	put_command(link, command);
	return owe(link, err);
}

int link_end_later(struct link *link, struct us_err *err)
{
	wire_end_command(&link->writer);
	link_push(link);
	return owe(link, err);
}

int link_restart(struct link *link, struct us_err *err)
{
	int rc;

	if (link->imap || !link->pipeline)
		return link_simple(link, 'S', link->imap ? "SYNCRESTART" : "RESTART", NULL, err);
	stream_write_str(link->stream, "RESTART\r\n");
	rc = owe(link, err);
	return rc < 0 ? rc : flush(link, err);
}

int link_ping(struct link *link, struct us_err *err)
{
	return link_simple(link, 'N', "NOOP", NULL, err);
}

void link_octets(struct link *link, uint64_t *sent, uint64_t *received)
{
	struct stream_stats stats = stream_stats(link->stream);

	*sent = stats.wire_out - link->sent;
	*received = stats.wire_in - link->received;
	link->sent = stats.wire_out;
	link->received = stats.wire_in;
}
