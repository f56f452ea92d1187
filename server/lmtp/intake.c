/* intake.c - see intake.h.
 *
 *	stream --> dots --> header_edit --> `ready` --> staged file
 *			(its own header first)	 \-> header_size, dates and cache, when all is there
 */
#include "server/lmtp/intake.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config.h"
#include "server/base/datetime.h"
#include "server/base/log.h"
#include "server/base/mem.h"
#include "server/lmtp/dots.h"
#include "server/lmtp/header_edit.h"
#include "server/lmtp/session_private.h"
#include "server/store/duplicate.h"
#include "server/store/message.h"

#define AT_ONCE 65536 /* bytes for one write; a smaller message is read from memory, too */

/* ---- stages ---------------------------------------------------------------------------------------- */

struct lmtp_stages {
	struct stage **list;
	size_t n, cap;
};

void lmtp_stages_free(struct lmtp_stages **stages)
{
	if (!*stages)
		return;
	for (size_t i = 0; i < (*stages)->n; i++)
		stage_close(&(*stages)->list[i]);
	free((*stages)->list);
	free(*stages);
	*stages = NULL;
}

int lmtp_stage_on(struct lmtp_session *s, struct partition *p, struct stage **out,
		  struct us_err *err)
{
	struct lmtp_stages *stages = s->stages;
	int rc;

	if (!stages)
		stages = s->stages = us_calloc(1, sizeof(*stages));
	for (size_t i = 0; i < stages->n; i++)
		if (stage_partition(stages->list[i]) == p) {
			*out = stages->list[i];
			return 0;
		}
	us_grow(&stages->list, stages->n, &stages->cap, sizeof(stages->list[0]));
	rc = stage_open(p, &stages->list[stages->n], err);
	if (rc == 0)
		*out = stages->list[stages->n++];
	return rc;
}

/* ---- what we write above it ------------------------------------------------------------------------- */

/* RFC 5321, 4.4: the address is looked up nowhere, that would make delivery wait for a name server. */
static void add_peer(const struct lmtp_session *s, struct buf *out)
{
	const struct service_address *peer = &s->conn->remote;

	if (s->conn->is_unix)
		buf_add_str(out, "[unix socket]");
	else if (strchr(peer->host, ':'))
		buf_printf(out, "[IPv6:%s]", peer->host);
	else if (peer->host[0])
		buf_printf(out, "[%s]", peer->host);
	else
		buf_add_str(out, "local");
}

/* LMTP, with an S under TLS and an A where the client is known (RFC 3848). */
static void add_protocol(const struct lmtp_session *s, struct buf *out)
{
	struct stream_tls_info tls;

	buf_printf(out, " with LMTP%s%s", s->tls ? "S" : "", s->trusted || s->identity ? "A" : "");
	if (stream_tls_info(s->stream, &tls))
		buf_printf(out, "\r\n\t (version=%s cipher=%s bits=%u)", tls.version, tls.cipher,
			   tls.bits);
}

static void add_received(const struct lmtp_session *s, const char *date, struct buf *out)
{
	buf_printf(out, "Received: from %s (", s->client.len ? s->client.data : "unknown");
	add_peer(s, out);
	buf_printf(out, ")\r\n\t by %s", s->host->servername);
	if (conf_enum(s->host->conf, CONF_serverinfo) == CONF_serverinfo_on)
		buf_add_str(out, " (Cyrus " CYRUS_INTERFACE_VERSION
				 "-Understudy-" UNDERSTUDY_VERSION ")");
	add_protocol(s, out);
	buf_printf(out, ";\r\n\t %s\r\n", date);
}

static void add_trace(const struct lmtp_session *s, const char *date, struct buf *out)
{
	struct span sender = s->envelope.sender;

	buf_printf(out, "Return-Path: <%.*s", SPAN_ARG(sender));
	if (sender.len && !memrchr(sender.ptr, '@', sender.len))
		buf_printf(out, "@%s", s->host->servername);
	buf_add_str(out, ">\r\n");
	add_received(s, date, out);
	buf_printf(out, "X-Cyrus-Session-Id: %s\r\n", s->id);
}

/* ---- the message ------------------------------------------------------------------------------------ */

struct intake {
	struct lmtp_session *s;
	struct dots dots;
	struct header_edit header;
	struct buf text;  /* of the piece at hand */
	struct buf ready; /* for the file */
	struct stage *stage;
	struct staged staged; /* fd -1: not begun */
	int rc;               /* of the file; with err */
	struct us_err err;
};

static bool too_big(const struct intake *t)
{
	return t->dots.size > t->s->options->most_bytes;
}

static bool is_refused(const struct intake *t)
{
	return t->rc < 0 || t->dots.has_nul || t->header.fault || too_big(t);
}

static void write_ready(struct intake *t)
{
	if (t->staged.fd < 0)
		t->rc = staged_begin(t->stage, NULL, &t->staged, &t->err);
	if (t->rc == 0)
		t->rc = staged_write(&t->staged, t->ready.data, t->ready.len, &t->err);
	buf_clear(&t->ready);
}

static void take_text(struct intake *t)
{
	struct span text = buf_span(&t->text);
	size_t header = header_edit_feed(&t->header, text, &t->ready);

	if (t->header.fault)
		return;
	buf_add_span(&t->ready, span_from(text, header));
	if (t->ready.len >= AT_ONCE)
		write_ready(t);
}

/* Nothing more of it is wanted: what was written so far need not lie on the disk until the client is done. */
static void forget(struct intake *t)
{
	if (t->staged.fd >= 0)
		staged_drop(&t->staged, /* remove */ true);
	buf_free(&t->ready);
}

/* The next piece off the wire: 0, or the connection has failed. */
static int take_piece(struct intake *t, struct us_err *err)
{
	struct span piece;
	int rc = stream_peek(t->s->stream, &piece, err);

	if (rc == 0)
		return us_fail(err, US_ECLOSED, "the client left in the middle of a message");
	if (rc < 0)
		return rc;
	buf_clear(&t->text);
	stream_take(t->s->stream, dots_feed(&t->dots, piece, &t->text));
	if (!is_refused(t))
		take_text(t);
	if (is_refused(t))
		forget(t);
	return 0;
}

static enum lmtp_reply verdict(const struct intake *t)
{
	if (t->dots.has_nul)
		return LMTP_HAS_NUL;
	if (t->header.fault)
		return t->header.fault == HEADER_8BIT ? LMTP_HAS_8BIT : LMTP_BAD_HEADER;
	if (too_big(t))
		return LMTP_TOO_BIG;
	return t->rc < 0 ? lmtp_reply_of_error(t->rc, false) : LMTP_NO_REPLY;
}

/* The message is whole: what it says for itself, and all of it in the file. */
static void settle(struct intake *t, int64_t now_ns, struct lmtp_message *out)
{
	struct record *r = &out->record;
	bool in_memory = t->staged.fd < 0;

	*r = (struct record){.internaldate_ns = now_ns};
	if (in_memory)
		message_examine(buf_span(&t->ready), r, &out->cache);
	write_ready(t);
	if (t->rc == 0 && !in_memory)
		t->rc = message_examine_file(t->staged.fd, t->staged.size, r, &out->cache, &t->err);
	if (t->rc == 0)
		t->rc = staged_end(&t->staged, now_ns, &t->err);
	if (t->rc < 0)
		return;
	out->staged = t->staged;
	t->staged.fd = -1;
}

static void name_message(const struct intake *t, struct lmtp_message *out)
{
	const struct header_edit *h = &t->header;

	snprintf(out->shown_id, sizeof(out->shown_id), "%s",
		 h->message_id.len ? h->message_id.data : "<nomsgid>");
	if (h->message_id.over || h->date.over)
		return; /* cut off: another message might have the same beginning */
	buf_add_span(&out->id, buf_span(&h->message_id));
	buf_add_span(&out->date, buf_span(&h->date));
}

static void begin(struct intake *t, struct header_rules *rules, char *id, size_t id_size,
		  char date[DATETIME_MAIL], int64_t now)
{
	const struct lmtp_options *o = t->s->options;

	datetime_format_mail((struct datetime){now, datetime_local_zone(now)}, date);
	/* Ends in what is random in the session's name: a process may have more than one session in a second. */
	snprintf(id, id_size, "<lmtpd-%d-%lld-%u%s@%s>", (int)getpid(), (long long)now,
		 t->s->messages++, strrchr(t->s->id, '-'), t->s->host->servername);
	*rules = (struct header_rules){.reject8bit = o->reject8bit,
				       .munge8bit = o->munge8bit,
				       .message_id = span_of(id),
				       .date = span_of(date)};
	t->dots = (struct dots)DOTS_INIT;
	t->staged.fd = -1;
	buf_init(&t->text, 0);
	buf_init(&t->ready, 0);
	header_edit_init(&t->header, rules);
	add_trace(t->s, date, &t->ready);
}

enum lmtp_reply lmtp_take_message(struct lmtp_session *s, struct partition *p,
				  struct lmtp_message *out, int *code, struct us_err *err)
{
	int64_t now_ns = store_now_ns();
	char id[400], date[DATETIME_MAIL];
	struct header_rules rules;
	struct intake t = {.s = s};
	enum lmtp_reply reply = LMTP_NO_REPLY;
	int rc = 0;

	*out = (struct lmtp_message){.staged = {.fd = -1},
				     .cache = BUF_INIT,
				     .id = BUF_INIT,
				     .date = BUF_INIT};
	begin(&t, &rules, id, sizeof(id), date, now_ns / 1000000000);
	t.rc = lmtp_stage_on(s, p, &t.stage, &t.err);
	while (rc == 0 && !t.dots.done)
		rc = take_piece(&t, err);
	if (rc == 0 && !is_refused(&t)) {
		header_edit_finish(&t.header, &t.ready);
		if (!t.header.fault)
			settle(&t, now_ns, out);
	}
	if (rc == 0)
		reply = verdict(&t);
	if (rc == 0 && t.rc < 0)
		log_event(LOG_ERR, "lmtp.message.failed", LF_TEXT("IOERROR: storing a message"),
			  LF_ERR(&t.err));
	if (rc == 0 && !reply)
		name_message(&t, out);
	*code = rc;
	forget(&t);
	header_edit_fini(&t.header);
	buf_free(&t.text);
	return reply;
}

void lmtp_message_fini(struct lmtp_message *m)
{
	if (m->staged.fd >= 0)
		staged_drop(&m->staged, /* remove */ true);
	buf_free(&m->cache);
	buf_free(&m->id);
	buf_free(&m->date);
}
