/* cmd_id.c - ID (RFC 2971).
 *
 *	id = "ID" SP id-params-list
 *	id-params-list = "(" #(string SP nstring) ")" / nil	at most 30 pairs, names of 30, values of 1024 octets
 *
 * What a client says of itself goes to the log, and helps whoever has to find out why only one of them has trouble.
 */
#include <sys/utsname.h>

#include "config.h"
#include "server/base/log.h"
#include "server/base/mem.h"
#include "server/imap/reply.h"
#include "server/imap/session.h"
#include "server/imap/token.h"

#define MOST_PAIRS  30
#define MOST_NAME   30
#define MOST_VALUE  1024
#define MOST_LOGGED 120

static int bad(struct us_err *err, const char *why)
{
	return us_fail(err, US_EPROTO, "%s in Id", why);
}

static int parse_pair(struct parse *p, struct args_id *a, struct us_err *err)
{
	struct span name = token_astring(&p->s, p->pool), value;

	if (!name.ptr || !scan_skip(&p->s, ' '))
		return bad(err, "Invalid/missing field name");
	value = token_is_word(&p->s, "NIL") ? SPAN_NULL : token_astring(&p->s, p->pool);
	if (p->s.bad)
		return bad(err, "Invalid value");
	if (name.len > MOST_NAME)
		return bad(err, "field longer than 30 octets");
	if (value.len > MOST_VALUE)
		return bad(err, "value longer than 1024 octets");
	if (span_is_nocase(name, "name"))
		a->name = value;
	else if (span_is_nocase(name, "version"))
		a->version = value;
	return 0;
}

int parse_id(struct parse *p, void **args, struct us_err *err)
{
	struct args_id *a = pool_alloc(p->pool, sizeof(*a));
	unsigned n = 0;
	int rc = 0;

	if (!scan_skip(&p->s, ' '))
		return parse_missing(p, err);
	if (!token_is_word(&p->s, "NIL")) {
		if (!scan_skip(&p->s, '('))
			return bad(err, "Invalid parameter list");
		while (rc == 0 && !scan_skip(&p->s, ')')) {
			if (n++ && !scan_skip(&p->s, ' '))
				return bad(err, "Invalid parameter list");
			rc = n > MOST_PAIRS ? bad(err, "too many field-value pairs")
					    : parse_pair(p, a, err);
		}
	}
	if (rc == 0)
		rc = parse_end(p, err);
	if (rc == 0)
		*args = a;
	return rc;
}

static void put_pair(struct stream *out, const char *blank, const char *name, const char *value)
{
	stream_printf(out, "%s\"%s\" ", blank, name);
	reply_string(out, span_of(value));
}

static struct span cut(struct span text)
{
	return text.len > MOST_LOGGED ? span_make(text.ptr, MOST_LOGGED) : text;
}

int run_id(struct imap_session *s, const void *args, struct us_err *err UNUSED)
{
	const struct args_id *a = args;
	int much = conf_enum(s->host->conf, CONF_serverinfo);
	struct utsname system;

	if (a->name.ptr)
		log_event(LOG_INFO, "imap.client", LF_SPAN("client", cut(a->name)),
			  LF_SPAN("version", cut(a->version)));
	if (!conf_bool(s->host->conf, CONF_imapidresponse) || much == CONF_serverinfo_off) {
		reply_untagged(s->out, "ID NIL");
		return 0;
	}
	stream_write_str(s->out, "* ID (");
	put_pair(s->out, "", "name", "Cyrus IMAPD");
	if (much == CONF_serverinfo_on) {
		put_pair(s->out, " ", "version",
			 CYRUS_INTERFACE_VERSION "-Understudy-" UNDERSTUDY_VERSION);
		put_pair(s->out, " ", "vendor", "Understudy");
		if (uname(&system) == 0) {
			put_pair(s->out, " ", "os", system.sysname);
			put_pair(s->out, " ", "os-version", system.release);
		}
	}
	stream_write_str(s->out, ")\r\n");
	return 0;
}
