/* link_talk.c - commands and their answers; see link.h. */
#include <stdio.h>
#include <string.h>

#include "server/base/mem.h"
#include "sync_client/link_private.h"

#define MOST_LINE 65536

bool link_is_lost(int code)
{
	return code == US_ECLOSED || code == US_ETIMEOUT || code == US_EIO;
}

void link_dump(struct link *link, char direction, struct span text)
{
	if (link->config->wire_dump)
		fprintf(stderr, "%c %.*s%s", direction, SPAN_ARG(text),
			text.len && text.ptr[text.len - 1] == '\n' ? "" : "\n");
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
	int rc = stream_line(link->stream, MOST_LINE, line, err);

	if (rc == 0)
		return us_fail(err, US_ECLOSED, "the replica closed the connection");
	if (rc > 0)
		link_dump(link, '<', buf_span(line));
	return rc;
}

int link_simple(struct link *link, char letter, const char *command,
		void (*fn)(struct link *link, struct span line), struct us_err *err)
{
	struct span tag = link_next_tag(link, letter);
	struct buf line = BUF_INIT;
	int rc;

	stream_printf(link->stream, "%.*s%s%s\r\n", SPAN_ARG(tag), tag.len ? " " : "", command);
	link_dump(link, '>', span_of(command));
	while ((rc = link_line(link, &line, err)) > 0) {
		if (line.data[0] != '*') {
			rc = wire_parse_answer(buf_span(&line), tag, NULL, err);
			break;
		}
		if (fn)
			fn(link, buf_span(&line));
	}
	buf_free(&line);
	return rc;
}

/* ---- answers ----------------------------------------------------------------------------------- */

static int take_item(struct link *link, const struct link_reader *reader, struct us_err *err)
{
	struct pool *scratch = reader && reader->pool ? NULL : pool_new();
	struct wire_item item;
	int rc;

	dlist_lexer_restart(&link->lexer);
	rc = wire_read_item(&link->lexer, scratch ? scratch : reader->pool,
			    reader ? reader->records : NULL, reader ? reader->files : NULL, &item,
			    err);
	if (rc == 0 && reader && reader->item)
		rc = reader->item(reader->ctx, &item, err);
	if (rc < 0 && !link_is_lost(rc) && !link->lexer.ended) {
		struct us_err lost;
		int skipped = dlist_skip_line(&link->lexer, &lost);
		if (skipped < 0) {
			if (err)
				*err = lost;
			rc = skipped;
		}
	}
	if (scratch)
		pool_free(&scratch);
	return rc;
}

/* An answer with a line that makes no sense is read to its end, and dropped as a whole. */
static int read_answer(struct link *link, const struct link_reader *reader, struct us_err *err)
{
	struct us_err bad = US_ERR_INIT;
	struct buf line = BUF_INIT;
	struct span shown;
	int rc;

	for (;;) {
		rc = stream_peek(link->stream, &shown, err);
		if (rc == 0)
			rc = us_fail(err, US_ECLOSED, "the replica closed the connection");
		if (rc < 0)
			return rc;
		if (shown.ptr[0] != '*')
			break;
		rc = take_item(link, reader, bad.code ? NULL : &bad);
		if (link_is_lost(rc)) {
			if (err)
				*err = bad;
			return rc;
		}
	}
	rc = link_line(link, &line, err);
	if (rc > 0)
		rc = wire_parse_answer(buf_span(&line), expected_tag(link), NULL, err);
	buf_free(&line);
	if (rc == 0 && bad.code) {
		if (err)
			*err = bad;
		rc = bad.code;
	}
	return rc;
}

/* ---- commands ---------------------------------------------------------------------------------- */

void link_push(struct link *link)
{
	link_dump(link, '>', buf_span(&link->out));
	stream_write(link->stream, link->out.data, link->out.len);
	buf_clear(&link->out);
}

int link_call(struct link *link, const struct wire_command *command,
	      const struct link_reader *reader, struct us_err *err)
{
	struct span prefix = link_sync_prefix(link);

	buf_clear(&link->out);
	link->writer = dlist_writer(&link->out, /* a client writes {n+} */ true);
	wire_put_command(&link->writer, prefix, command);
	link_push(link);
	return read_answer(link, reader, err);
}

struct dlist_writer *link_begin(struct link *link, enum wire_kind kind)
{
	struct span prefix = link_sync_prefix(link);

	buf_clear(&link->out);
	link->writer = dlist_writer(&link->out, true);
	wire_begin_command(&link->writer, prefix, kind, false);
	return &link->writer;
}

int link_send_file(struct link *link, int fd, uint64_t size, struct us_err *err)
{
	link_push(link);
	return stream_send_file(link->stream, fd, 0, size, err);
}

int link_end(struct link *link, const struct link_reader *reader, struct us_err *err)
{
	wire_end_command(&link->writer);
	link_push(link);
	return read_answer(link, reader, err);
}

int link_restart(struct link *link, struct us_err *err)
{
	return link_simple(link, 'S', link->imap ? "SYNCRESTART" : "RESTART", NULL, err);
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
