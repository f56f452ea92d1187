/* reply.c - see reply.h. */
#include "server/lmtp/reply.h"

#include "server/base/mem.h"

static const struct reply {
	unsigned code;
	const char *enhanced;
	bool with_session;
	const char *text;
} replies[] = {
#define X(name, code, enhanced, sid, text) [name] = {code, enhanced, sid, text},
	LMTP_REPLIES(X)
#undef X
};

static const struct reply *row_of(enum lmtp_reply reply)
{
	us_assert(reply > LMTP_NO_REPLY && reply < ARRAY_SIZE(replies));
	return &replies[reply];
}

unsigned lmtp_reply_code(enum lmtp_reply reply)
{
	return row_of(reply)->code;
}

void lmtp_reply_format(enum lmtp_reply reply, const char *session_id, const char *detail,
		       struct buf *out)
{
	const struct reply *r = row_of(reply);
	struct span rest = span_of(r->text), line;

	while (span_split(&rest, '\n', &line))
		if (rest.len)
			buf_printf(out, "%u-%.*s\r\n", r->code, SPAN_ARG(line));
		else
			buf_printf(out, "%u %s%s%.*s", r->code, r->enhanced,
				   *r->enhanced ? " " : "", SPAN_ARG(line));
	if (detail)
		buf_printf(out, " (%s)", detail);
	if (r->with_session)
		buf_printf(out, " SESSIONID=<%s>", session_id);
	buf_add_str(out, "\r\n");
}

enum lmtp_reply lmtp_reply_of_error(int code, bool over_quota_for_good)
{
	switch (code) {
	case US_EQUOTA:
		return over_quota_for_good ? LMTP_OVER_QUOTA_FOR_GOOD : LMTP_OVER_QUOTA;
	case US_EBUSY:
		return LMTP_LOCKED;
	case US_ENOSPC:
		return LMTP_NO_SPACE;
	case US_ECORRUPT:
	case US_ECHECKSUM:
		return LMTP_BAD_FORMAT;
	case US_EIO:
		return LMTP_IO_ERROR;
	default:
		return LMTP_TRANSIENT;
	}
}
