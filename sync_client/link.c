/* link.c - opening a link (csync-protocol 2.2 to 2.8); see link.h. */
#include "sync_client/link.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/base/base64.h"
#include "server/base/connect.h"
#include "server/base/log.h"
#include "server/base/mem.h"
#include "server/base/tls.h"
#include "server/session/sasl_client.h"
#include "sync_client/link_private.h"

/* ---- what the other end offers ------------------------------------------------------------------- */

static void note_word(struct link *link, struct span word)
{
	if (span_is_nocase(word, "STARTTLS"))
		link->starttls_offered = true;
	else if (span_is_nocase(word, "X-REPLICATION"))
		link->replication = true;
	else if (span_is_nocase(word, "X-SIEVE-MAILBOX"))
		link->sieve_mailbox = true;
	else if (span_starts_nocase(word, "AUTH=")) {
		buf_add_span(&link->mechs, span_from(word, strlen("AUTH=")));
		buf_add_char(&link->mechs, ' ');
	}
}

/* Capabilities anywhere in a line of IMAP: "* CAPABILITY a b", "* OK [CAPABILITY a b] ...", "A01 OK [CAPABILITY ...". */
static void note_imap_line(struct link *link, struct span line)
{
	const char *at =
		line.len ? memmem(line.ptr, line.len, "CAPABILITY ", strlen("CAPABILITY ")) : NULL;
	struct span rest, word;

	if (!at)
		return;
	rest = span_from(line, (size_t)(at - line.ptr) + strlen("CAPABILITY "));
	if (span_find(rest, ']'))
		rest.len = (size_t)(span_find(rest, ']') - rest.ptr);
	buf_clear(&link->mechs);
	link->starttls_offered = link->replication = link->sieve_mailbox = false;
	while (span_word(&rest, &word))
		note_word(link, word);
}

/* "* X-UNDERSTUDY 1 WORD...": what the two of us can beside. Words of another number mean something else. */
static void note_our_words(struct link *link, struct span rest)
{
	struct span word;

	if (!span_word(&rest, &word) || !span_is(word, "1"))
		return;
	while (span_word(&rest, &word))
		if (span_is_nocase(word, "DIGEST"))
			link->digests = true;
		else if (span_is_nocase(word, "PIPELINE"))
			link->pipeline = true;
		else if (span_is_nocase(word, "ZSTD"))
			link->zstd_offered = true;
}

/* "* SASL PLAIN LOGIN", "* COMPRESS DEFLATE": a word and its parameters. */
static void note_csync_line(struct link *link, struct span line)
{
	struct span rest = span_from(line, 1), word;

	if (!span_word(&rest, &word))
		return;
	if (span_is_nocase(word, "SASL")) {
		buf_clear(&link->mechs);
		buf_add_span(&link->mechs, span_trim(rest));
	} else if (span_is_nocase(word, "STARTTLS")) {
		link->starttls_offered = true;
	} else if (span_is_nocase(word, "SIEVE-MAILBOX")) {
		link->sieve_mailbox = true;
	} else if (span_is_nocase(word, "X-UNDERSTUDY")) {
		note_our_words(link, rest);
	} else if (span_is_nocase(word, "COMPRESS") && span_is_nocase(span_trim(rest), "DEFLATE")) {
		link->deflate_offered = true;
	}
}

static bool is_imap_greeting(struct span line)
{
	return (span_starts(line, "* OK") || span_starts(line, "* PREAUTH")) &&
	       !memmem(line.ptr, line.len, "sync server", strlen("sync server"));
}

/* Lines up to "* OK". The first tells whether this is IMAP. */
static int read_greeting(struct link *link, bool may_be_imap, struct us_err *err)
{
	struct buf line = BUF_INIT;
	bool first = true;
	int rc;

	while ((rc = link_line(link, &line, err)) > 0) {
		struct span text = buf_span(&line);
		if (first && may_be_imap && is_imap_greeting(text)) {
			link->imap = true;
			note_imap_line(link, text);
			break;
		}
		first = false;
		if (span_starts(text, "* OK"))
			break;
		if (span_starts(text, "* BYE") || text.ptr[0] != '*') {
			rc = us_fail(err, US_EREMOTE, "the replica says: %.100s", line.data);
			break;
		}
		note_csync_line(link, text);
	}
	buf_free(&line);
	return rc < 0 ? rc : 0;
}

/* ---- TLS ---------------------------------------------------------------------------------------- */

static int start_tls(struct link *link, struct us_err *err)
{
	const struct link_config *c = &link->config;
	struct tls_config config = {.cert = c->tls_cert,
				    .key = c->tls_key,
				    .ca_file = c->tls_ca_file,
				    .ca_dir = c->tls_ca_dir,
				    .versions = c->tls_versions,
				    .ciphers = c->tls_ciphers};
	struct stream_tls how = {.timeout_ms = c->answer_ms};
	int rc = tls_client_new(&config, &link->tls, err);

	if (rc == 0)
		rc = stream_start_tls(link->stream, link->tls, &how, err);
	link->tls_on = rc == 0;
	return rc;
}

/* The banner comes again after STARTTLS; IMAP is asked again. */
static int upgrade(struct link *link, struct us_err *err)
{
	int rc = link_simple(link, 'S', "STARTTLS", NULL, err);

	if (rc == 0)
		rc = start_tls(link, err);
	link->deflate_offered = link->zstd_offered = link->starttls_offered = false;
	if (rc == 0 && link->imap)
		rc = link_simple(link, 'C', "CAPABILITY", note_imap_line, err);
	else if (rc == 0)
		rc = read_greeting(link, false, err);
	return rc;
}

/* ---- logging in --------------------------------------------------------------------------------- */

static void put_octets(struct link *link, const struct buf *octets)
{
	struct buf text = BUF_INIT;

	base64_encode(buf_span(octets), &text);
	stream_write(link->stream, text.data, text.len);
	buf_wipe(&text);
	buf_free(&text);
}

/* After AUTHENTICATE was sent: challenges and responses up to the final line. */
static int exchange(struct link *link, struct sasl_cli *sasl, struct span tag, bool sent_initial,
		    struct buf *initial, struct us_err *err)
{
	struct buf line = BUF_INIT, octets = BUF_INIT, response = BUF_INIT;
	int rc;

	while ((rc = link_line(link, &line, err)) > 0 && line.data[0] == '+') {
		struct span text = span_trim(span_from(buf_span(&line), 1));
		buf_clear(&octets);
		if (!base64_decode(text, &octets)) {
			rc = us_fail(err, US_EPROTO, "a challenge is no base64");
			break;
		}
		/* The first, empty challenge asks for what could not be sent along. */
		if (!sent_initial && !octets.len && initial->len) {
			put_octets(link, initial);
			sent_initial = true;
		} else {
			rc = sasl_cli_step(sasl, buf_span(&octets), &response, err);
			if (rc < 0)
				break;
			put_octets(link, &response);
		}
		stream_write_str(link->stream, "\r\n");
	}
	if (rc > 0) {
		note_imap_line(link, buf_span(&line));
		rc = wire_parse_answer(buf_span(&line), tag, NULL, err);
		if (rc == 0)
			rc = sasl_cli_finish(sasl, SPAN_NULL, err);
		else if (rc != US_ECLOSED)
			rc = us_fail(err, US_EAUTH, "the replica does not let us in: %.100s",
				     line.data);
	}
	buf_wipe(&response);
	buf_free(&response);
	buf_free(&octets);
	buf_free(&line);
	return rc;
}

static int begin_login(struct link *link, struct sasl_cli *sasl, struct us_err *err)
{
	struct buf initial = BUF_INIT;
	struct span tag;
	const char *mech;
	bool has_initial, send_now;
	int rc = sasl_cli_begin(sasl, buf_span(&link->mechs), &mech, &has_initial, &initial, err);

	if (rc < 0)
		return rc;
	stream_set_secret(link->stream, true);
	tag = link_next_tag(link, 'A');
	send_now = has_initial;
	stream_printf(link->stream, "%.*s%sAUTHENTICATE %s%s", SPAN_ARG(tag), tag.len ? " " : "",
		      mech, send_now ? " " : "");
	if (send_now && initial.len)
		put_octets(link, &initial);
	else if (send_now)
		stream_write_str(link->stream, "=");
	stream_write_str(link->stream, "\r\n");
	rc = exchange(link, sasl, tag, send_now, &initial, err);
	stream_set_secret(link->stream, false);
	buf_wipe(&initial);
	buf_free(&initial);
	return rc;
}

static int try_login(struct link *link, struct us_err *err)
{
	const struct link_config *c = &link->config;
	struct stream_tls_info tls = {0};
	struct connect_target target;
	struct sasl_cli_config config = {.service = link->imap ? "imap" : "csync",
					 .authname = c->authname,
					 .password = c->password,
					 .realm = c->realm,
					 .mech = c->mechs};
	struct sasl_cli *sasl = NULL;
	char *host = NULL;
	int rc = connect_parse(span_of(c->target), &target, err);

	if (rc < 0)
		return rc;
	if (stream_tls_info(link->stream, &tls))
		config.tls_bits = tls.bits;
	host = span_dup(target.host);
	config.host = host;
	rc = sasl_cli_new(c->sasl, &config, &sasl, err);
	if (rc == 0)
		rc = begin_login(link, sasl, err);
	sasl_cli_free(&sasl);
	free(host);
	return rc;
}

static int log_in(struct link *link, struct us_err *err)
{
	int rc = try_login(link, err);

	/* No mechanism that may be used in the clear: then with TLS, if there is any. */
	if (rc == US_ENOTSUP && link->starttls_offered && !link->tls_on) {
		rc = upgrade(link, err);
		if (rc == 0)
			rc = try_login(link, err);
	}
	return rc;
}

/* ---- the rest of the prelude ----------------------------------------------------------------------- */

/* A loopback is faster than any compressor: what is long goes past it, and lines cost next to nothing. */
#define LONG_FOR_LOOPBACK 8192

static int start_zstd(struct link *link, struct us_err *err)
{
	int rc = link_simple(link, 'Z', "COMPRESS ZSTD", NULL, err);

	return rc < 0 ? rc
		      : stream_start_zstd(link->stream,
					  link->local ? LONG_FOR_LOOPBACK : STREAM_PACK_ALL, err);
}

static int start_deflate(struct link *link, struct us_err *err)
{
	int rc = link_simple(link, 'Z', "COMPRESS DEFLATE", NULL, err);

	return rc < 0 ? rc : stream_start_deflate(link->stream, err);
}

/* zstd with one of ours; else deflate, but on one machine, where that costs more than it gains. */
static int compress(struct link *link, struct us_err *err)
{
	bool need = link->config.need_compress, wanted = need || link->config.compress;
	int rc = us_fail(err, US_ENOTSUP, "the replica does not offer compression");

	if (link->zstd_offered && wanted && !link->imap)
		rc = start_zstd(link, err);
	if (rc < 0 && !link_is_lost(rc) && link->deflate_offered && !link->imap &&
	    (need || (wanted && !link->local)))
		rc = start_deflate(link, err);
	if (rc == 0 || link_is_lost(rc))
		return rc;
	return need ? US_ENOTSUP : 0;
}

static int tell_capabilities(struct link *link, struct us_err *err)
{
	static const struct span sieve = {"SIEVE-MAILBOX", 13};
	struct wire_command enable = {.kind = WIRE_APPLY_CAPABILITIES, .u.names = {&sieve, 1}};
	struct wire_command force = {.kind = WIRE_APPLY_FORCE};
	int rc = link->sieve_mailbox ? link_call(link, &enable, NULL, err) : 0;

	/* The first command shows whether we are an administrator there. */
	if (rc == US_EPERM)
		return us_fail(err, US_EAUTH, "%s is no administrator of the replica",
			       link->config.authname ? link->config.authname : "nobody");
	if (rc == 0 && link->config.force)
		rc = link_call(link, &force, NULL, err);
	return rc;
}

#define TLS_FIRST_MS 1000

/* "/tls": a server that greets us in the clear is asked for TLS before anything else is said; one that waits for us begins
 * with it. */
static int begin_secured(struct link *link, struct us_err *err)
{
	int rc = stream_wait(link->stream, NULL, 0, TLS_FIRST_MS, err);

	if (rc == 0)
		rc = start_tls(link, err);
	if (rc >= 0)
		rc = read_greeting(link, link->config.try_imap, err);
	if (rc < 0 || link->tls_on)
		return rc;
	if (link->imap && !link->starttls_offered)
		rc = link_simple(link, 'C', "CAPABILITY", note_imap_line, err);
	if (rc == 0 && !link->starttls_offered)
		rc = us_fail(err, US_ENOTSUP, "the replica offers no TLS");
	return rc == 0 ? upgrade(link, err) : rc;
}

static int settle_in(struct link *link, const struct connect_target *target, struct us_err *err)
{
	int rc = target->tls ? begin_secured(link, err)
			     : read_greeting(link, link->config.try_imap, err);

	if (rc == 0 && link->imap && !link->mechs.len)
		rc = link_simple(link, 'C', "CAPABILITY", note_imap_line, err);
	if (rc == 0 && !target->noauth && !target->local)
		rc = log_in(link, err);
	if (rc == 0 && link->imap && !link->replication)
		return us_fail(err, US_ENOTSUP, "the IMAP server has no replication for us");
	if (rc == 0)
		rc = compress(link, err);
	return rc == 0 ? tell_capabilities(link, err) : rc;
}

/* ---- connecting ---------------------------------------------------------------------------------- */

static bool is_this_machine(const struct connect_target *target)
{
	return target->local || span_is(target->host, "localhost") ||
	       span_starts(target->host, "127.") || span_is(target->host, "::1");
}

struct link *link_over(const struct link_config *config, struct stream *stream)
{
	struct link *link = us_calloc(1, sizeof(*link));

	link->config = *config;
	link->fd = -1;
	link->stream = stream;
	buf_init(&link->mechs, 0);
	buf_init(&link->out, 0);
	dlist_lexer_init(&link->lexer, link_source(link), NULL);
	if (config->wire_dump)
		stream_set_telemetry(stream, fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0));
	return link;
}

static int connect_to(const struct link_config *config, const char *port, bool may_be_imap,
		      struct link **out, struct us_err *err)
{
	struct stream_config settings = STREAM_CONFIG_DEFAULT;
	struct link_config own = *config;
	struct connect_target target;
	struct link *link;
	int fd = -1, rc = connect_parse(span_of(config->target), &target, err);

	if (rc == 0)
		rc = connect_open(&target, port, config->connect_ms, config->stop, &fd, err);
	if (rc < 0)
		return rc;
	connect_limit_silence(fd, config->silence_ms);
	settings.read_timeout_ms = settings.write_timeout_ms = config->answer_ms;
	settings.stop = config->stop;
	own.try_imap = may_be_imap;
	link = link_over(&own, stream_new(fd, fd, &settings));
	link->fd = fd;
	link->local = is_this_machine(&target);
	rc = settle_in(link, &target, err);
	if (rc < 0)
		link_close(&link);
	else
		*out = link;
	return rc;
}

/* With a port both protocols are tried there, and the greeting tells which it is; without one each has its own. */
int link_open(const struct link_config *config, struct link **out, struct us_err *err)
{
	int rc;

	if (config->try_imap) {
		rc = connect_to(config, config->port ? config->port : "imap", true, out, err);
		if (rc == 0 || rc == US_EAUTH || config->port)
			return rc;
	}
	return connect_to(config, config->port ? config->port : "csync", false, out, err);
}

void link_close(struct link **linkp)
{
	struct link *link = *linkp;
	struct us_err err;

	if (!link)
		return;
	stream_set_read_timeout(link->stream, 1000);
	if (!link->broken)
		(void)link_simple(link, 'Q', link->imap ? "LOGOUT" : "EXIT", NULL,
				  &err); /* politeness only */
	dlist_lexer_fini(&link->lexer);
	stream_free(&link->stream);
	tls_context_free(&link->tls);
	buf_free(&link->mechs);
	buf_free(&link->out);
	free(link);
	*linkp = NULL;
}

int link_fd(const struct link *link)
{
	return link->fd;
}

bool link_has_sieve_mailbox(const struct link *link)
{
	return link->sieve_mailbox;
}

bool link_has_digests(const struct link *link)
{
	return link->digests;
}

bool link_has_pipeline(const struct link *link)
{
	return link->pipeline;
}
