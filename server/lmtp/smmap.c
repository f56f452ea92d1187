/* smmap.c - see smmap.h. */
#include "server/lmtp/smmap.h"

#include <stdio.h>
#include <string.h>

#include "server/base/log.h"
#include "server/base/mem.h"
#include "server/base/stream.h"
#include "server/lmtp/envelope.h"
#include "server/lmtp/netstring.h"
#include "server/lmtp/route.h"

#define MOST_REQUEST 4096 /* as long as a command line of LMTP may be */

struct smmap {
	struct host *host;
	const struct lmtp_options *options;
	const struct service_conn *conn;
	struct stream *stream;
	struct buf in; /* what has come and was not answered */
};

static void say(struct smmap *s, const char *status, struct span text)
{
	struct buf reply = BUF_INIT, out = BUF_INIT;

	buf_printf(&reply, "%s ", status);
	buf_add_span(&reply, text);
	netstring_put(buf_span(&reply), &out);
	stream_write_span(s->stream, buf_span(&out));
	buf_free(&reply);
	buf_free(&out);
}

static void say_malformed(struct smmap *s, const char *why)
{
	char text[96];

	snprintf(text, sizeof(text), "Bad protocol (%s)", why);
	say(s, "PERM", span_of(text));
}

/* ---- what is said of an address -------------------------------------------------------------------------- */

/* In Cyrus's words. What is not here is our trouble, for which no mail may be refused for good. */
static const struct {
	enum lmtp_reply reply;
	const char *status, *text, *audit;
} answers[] = {
	{LMTP_UNKNOWN_USER, "NOTFOUND", "Mailbox does not exist", "nonexistent"},
	{LMTP_NO_POST, "PERM", "Permission denied", "failed"},
	{LMTP_OVER_QUOTA, "TEMP", "Over quota", "overquota"},
	{LMTP_OVER_QUOTA_FOR_GOOD, "PERM", "Over quota", "overquota"},
	{LMTP_LOCKED, "TEMP", "Mailbox is locked", "failed"},
	{LMTP_BAD_FORMAT, "TEMP", "Mailbox has an invalid format", "failed"},
	{LMTP_REMOTE, "TEMP", "Remote server unavailable", "failed"},
};

static void audit(const struct smmap *s, const char *what, struct span key)
{
	char text[1024];

	if (!s->options->auditlog)
		return;
	snprintf(text, sizeof(text), "auditlog: %s userid=<%.*s> client=<%s>", what, SPAN_ARG(key),
		 s->conn->remote.text);
	log_event(LOG_NOTICE, "smmap.lookup", LF_TEXT(text));
}

static void answer(struct smmap *s, enum lmtp_reply reply, struct span key)
{
	if (reply == LMTP_RECIPIENT) {
		say(s, "OK", key);
		audit(s, "ok", key);
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(answers); i++) {
		if (answers[i].reply != reply)
			continue;
		say(s, answers[i].status, span_of(answers[i].text));
		audit(s, answers[i].audit, key);
		return;
	}
	say(s, "TEMP", SPAN_LIT("System I/O error"));
	audit(s, "failed", key);
}

/* ---- requests ---------------------------------------------------------------------------------------------- */

/* The last "@" begins the domain. */
static struct lmtp_address address_of(struct span key)
{
	struct lmtp_address a = {.local = key, .text = key};
	const char *at = key.len ? memrchr(key.ptr, '@', key.len) : NULL;

	if (at) {
		a.local.len = (size_t)(at - key.ptr);
		a.domain = span_from(key, a.local.len + 1);
	}
	return a;
}

/* What was found of quota roots is for this one answer. */
static void look_up(struct smmap *s, struct span key)
{
	struct envelope nobody = {0};
	const struct router router = {s->host, s->options, &nobody, /* only_asks */ true};
	const struct lmtp_address address = address_of(key);
	struct pool *pool = pool_new();
	struct recipient_name name;

	answer(s, route_check(&router, &address, /* ignore_quota */ false, pool, &name), key);
	envelope_reset(&nobody);
	pool_free(&pool);
}

static void do_request(struct smmap *s, struct span request)
{
	struct span map;

	if (span_split(&request, ' ', &map) && request.ptr)
		look_up(s, request);
	else
		say_malformed(s, "missing key");
}

/* ---- the connection ------------------------------------------------------------------------------------------ */

/* Answer all that has come. False: it cannot go on. */
static bool do_requests(struct smmap *s)
{
	enum netstring_state state;
	const char *why;
	struct span text;
	size_t at = 0, taken;

	while ((state = netstring_frame(span_from(buf_span(&s->in), at), MOST_REQUEST, &text,
					&taken, &why)) == NETSTRING_READY) {
		do_request(s, text);
		at += taken;
	}
	if (state == NETSTRING_BAD) {
		log_event(LOG_NOTICE, "smmap.request.malformed", LF_STR("error", why));
		say_malformed(s, why);
		return false;
	}
	buf_remove(&s->in, 0, at);
	return true;
}

/* Wait for more: 1 with it in s->in, 0 at the end. */
static int hear(struct smmap *s, struct us_err *err)
{
	struct span piece;
	int rc = stream_peek(s->stream, &piece, err);

	if (rc > 0) {
		buf_add_span(&s->in, piece);
		stream_take(s->stream, piece.len);
	} else if (rc == 0 && s->in.len) {
		say_malformed(s, "request size doesn't match length");
	}
	return rc;
}

int smmap_serve(struct host *host, const struct lmtp_options *options,
		const struct service_conn *conn)
{
	struct smmap s = {.host = host, .options = options, .conn = conn, .in = BUF_INIT};
	struct us_err err = US_ERR_INIT;
	int rc;

	s.stream = host_stream(host, conn, options->timeout_s);
	log_context("peer", conn->remote.text);
	do
		rc = hear(&s, &err);
	while (rc > 0 && do_requests(&s));
	if (rc < 0 && rc != US_ECLOSED && rc != US_ETIMEOUT)
		log_event(LOG_NOTICE, "smmap.connection.lost", LF_ERR(&err));
	(void)stream_flush(s.stream, NULL); /* who is gone does not read it */
	stream_free(&s.stream);
	buf_free(&s.in);
	log_context_clear();
	return 0;
}
