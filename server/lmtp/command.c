/* command.c - see command.h. */
#include "server/lmtp/command.h"

#include <string.h>

#include "server/base/buf.h"
#include "server/base/mem.h"

struct reader {
	struct scan s;
	bool x_for_8bit;
	struct pool *pool;
	struct lmtp_command *out;
};

/* ---- parameters -------------------------------------------------------------------------------- */

static int hex_digit(int c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* xtext = *(printable but "+" and "=" / "+" 2HEXDIG)		RFC 3461, 4 */
static bool decode_xtext(struct span text, struct pool *pool, struct span *out)
{
	struct buf decoded = BUF_INIT;
	bool well = true;

	for (size_t i = 0; well && i < text.len; i++) {
		int c = (unsigned char)text.ptr[i];

		if (c == '+' && text.len - i > 2 && hex_digit(text.ptr[i + 1]) >= 0 &&
		    hex_digit(text.ptr[i + 2]) >= 0) {
			c = hex_digit(text.ptr[i + 1]) << 4 | hex_digit(text.ptr[i + 2]);
			i += 2;
		} else {
			well = c > ' ' && c < 0x7f && c != '+' && c != '=';
		}
		buf_add_char(&decoded, (char)c);
	}
	if (well)
		*out = pool_span(pool, buf_span(&decoded));
	buf_free(&decoded);
	return well;
}

static enum lmtp_reply read_size(struct reader *r, struct span value)
{
	struct lmtp_command *c = r->out;

	if (c->has_size)
		return LMTP_PARAMETERS;
	for (size_t i = 0; i < value.len; i++)
		if (value.ptr[i] < '0' || value.ptr[i] > '9')
			return LMTP_NO_SIZE;
	if (!value.len)
		return LMTP_NO_SIZE;
	c->has_size = true;
	if (!span_u64(value, UINT64_MAX, &c->size))
		c->size = UINT64_MAX;
	return LMTP_NO_REPLY;
}

static enum lmtp_reply read_body(struct reader *r, struct span value)
{
	if (r->out->has_body)
		return LMTP_PARAMETERS;
	r->out->has_body = true;
	return span_is_nocase(value, "7BIT") || span_is_nocase(value, "8BITMIME")
		       ? LMTP_NO_REPLY
		       : LMTP_NO_BODY_TYPE;
}

static enum lmtp_reply read_submitter(struct reader *r, struct span value)
{
	struct lmtp_command *c = r->out;

	if (c->has_auth)
		return LMTP_PARAMETERS;
	c->has_auth = true;
	if (span_is(value, "<>"))
		return LMTP_NO_REPLY;
	return decode_xtext(value, r->pool, &c->submitter) ? LMTP_NO_REPLY : LMTP_PARAMETERS;
}

static enum lmtp_reply mail_parameter(struct reader *r, struct span param)
{
	struct span key;

	if (!span_split(&param, '=', &key) || !param.ptr)
		return LMTP_NO_PARAMETER;
	if (span_is_nocase(key, "SIZE"))
		return read_size(r, param);
	if (span_is_nocase(key, "BODY"))
		return read_body(r, param);
	if (span_is_nocase(key, "AUTH"))
		return read_submitter(r, param);
	return LMTP_NO_PARAMETER;
}

static enum lmtp_reply rcpt_parameter(struct reader *r, struct span param)
{
	if (!span_is_nocase(param, "IGNOREQUOTA"))
		return LMTP_NO_PARAMETER;
	if (r->out->ignore_quota)
		return LMTP_PARAMETERS;
	r->out->ignore_quota = true;
	return LMTP_NO_REPLY;
}

/* ---- arguments --------------------------------------------------------------------------------- */

static enum lmtp_reply read_path(struct reader *r, const char *before,
				 enum lmtp_reply (*parameter)(struct reader *r, struct span param))
{
	struct scan *s = &r->s;
	struct span rest, param;
	enum lmtp_reply fault = LMTP_NO_REPLY;

	if (!scan_skip_str(s, before) ||
	    !lmtp_address_scan(s, r->x_for_8bit, r->pool, &r->out->address))
		return LMTP_PARAMETERS;
	if (!scan_end(s) && scan_peek(s) != ' ')
		return LMTP_PARAMETERS;
	rest = scan_rest(s);
	while (!fault && span_word(&rest, &param))
		fault = parameter(r, param);
	return fault;
}

static enum lmtp_reply args_mail(struct reader *r)
{
	return read_path(r, "FROM:", mail_parameter);
}

static enum lmtp_reply args_rcpt(struct reader *r)
{
	return read_path(r, "TO:", rcpt_parameter);
}

/* The name goes into the header of messages: what could end there is left out. */
static enum lmtp_reply args_lhlo(struct reader *r)
{
	struct span rest = scan_rest(&r->s);

	if (!span_word(&rest, &r->out->word))
		return LMTP_PARAMETERS;
	for (size_t i = 0; i < r->out->word.len; i++) {
		unsigned char c = (unsigned char)r->out->word.ptr[i];
		if (c <= ' ' || c >= 0x7f || c == '(' || c == ')' || c == '\\')
			return LMTP_PARAMETERS;
	}
	return LMTP_NO_REPLY;
}

static enum lmtp_reply args_none(struct reader *r)
{
	return span_trim(scan_rest(&r->s)).len ? LMTP_SYNTAX : LMTP_NO_REPLY;
}

static enum lmtp_reply args_any(struct reader *r UNUSED)
{
	return LMTP_NO_REPLY;
}

static enum lmtp_reply args_some(struct reader *r)
{
	return span_trim(scan_rest(&r->s)).len ? LMTP_NO_REPLY : LMTP_SYNTAX;
}

static enum lmtp_reply args_auth(struct reader *r)
{
	struct span rest = scan_rest(&r->s), more;

	if (!span_word(&rest, &r->out->word))
		return LMTP_SYNTAX;
	if (span_word(&rest, &r->out->initial) && span_word(&rest, &more))
		return LMTP_SYNTAX;
	return LMTP_NO_REPLY;
}

/* ---- the line ---------------------------------------------------------------------------------- */

static const struct {
	const char *name;
	enum lmtp_reply (*args)(struct reader *r);
} verbs[LMTP_VERBS] = {
	[LMTP_VERB_LHLO] = {"LHLO", args_lhlo}, [LMTP_VERB_MAIL] = {"MAIL", args_mail},
	[LMTP_VERB_RCPT] = {"RCPT", args_rcpt}, [LMTP_VERB_DATA] = {"DATA", args_none},
	[LMTP_VERB_RSET] = {"RSET", args_none}, [LMTP_VERB_NOOP] = {"NOOP", args_any},
	[LMTP_VERB_QUIT] = {"QUIT", args_none}, [LMTP_VERB_VRFY] = {"VRFY", args_some},
	[LMTP_VERB_AUTH] = {"AUTH", args_auth}, [LMTP_VERB_STARTTLS] = {"STARTTLS", args_none},
};

/* A verb ends at a blank: then the blank is passed, for "MAIL FROM:" has exactly one. */
static bool read_verb(struct reader *r)
{
	for (int i = 0; i < LMTP_VERBS; i++) {
		struct scan s = r->s;
		if (!scan_skip_str(&s, verbs[i].name) || (!scan_end(&s) && !scan_skip(&s, ' ')))
			continue;
		r->s = s;
		r->out->verb = (enum lmtp_verb)i;
		return true;
	}
	return false;
}

enum lmtp_reply lmtp_command_parse(struct span line, bool x_for_8bit, struct pool *pool,
				   struct lmtp_command *out)
{
	struct lmtp_command command = {0};
	struct reader r = {scan_init(line), x_for_8bit, pool, &command};
	enum lmtp_reply fault;

	if (memchr(line.ptr, '\0', line.len) || !read_verb(&r))
		return LMTP_SYNTAX;
	fault = verbs[command.verb].args(&r);
	if (!fault)
		*out = command;
	return fault;
}
