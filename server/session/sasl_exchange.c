/* sasl_exchange.c - see sasl_exchange.h. */
#include "server/session/sasl_exchange.h"

#include "server/base/base64.h"
#include "server/base/stream.h"
#include "server/session/sasl_server.h"

static enum sasl_end decode(struct span text, struct buf *out, struct us_err *err)
{
	if (base64_decode(text, out))
		return SASL_END_ACCEPTED;
	(void)us_fail(err, US_EPROTO, "no base64");
	return SASL_END_NO_BASE64;
}

/* A line that is too long is passed over. */
static int read_response(struct stream *stream, size_t most, struct buf *out, enum sasl_end *end,
			 struct us_err *err)
{
	struct buf line = BUF_INIT;
	int rc = stream_line(stream, most, &line, err);

	if (rc == US_ELIMIT) {
		rc = stream_skip_line(stream, err);
		*end = SASL_END_NO_BASE64;
		if (rc > 0)
			(void)us_fail(err, US_EPROTO, "a response is too long");
	} else if (rc > 0) {
		*end = span_is(buf_span(&line), "*") ? SASL_END_CANCELED
						     : decode(buf_span(&line), out, err);
	}
	buf_wipe(&line);
	buf_free(&line);
	if (rc == 0)
		return us_fail(err, US_ECLOSED, "the client left while logging in");
	return rc < 0 ? rc : 0;
}

int sasl_exchange_ask(struct stream *stream, const struct sasl_wire *wire, struct span challenge,
		      struct buf *response, enum sasl_end *end, struct us_err *err)
{
	struct buf text = BUF_INIT;

	base64_encode(challenge, &text);
	stream_printf(stream, "%s%s\r\n", wire->prompt, text.data);
	buf_free(&text);
	buf_clear(response);
	return read_response(stream, wire->most_response, response, end, err);
}

static int converse(struct sasl_srv *sasl, struct stream *stream, const struct sasl_wire *wire,
		    struct span mech, struct span octets, enum sasl_end *end, struct us_err *err)
{
	struct buf challenge = BUF_INIT, response = BUF_INIT;
	int step = sasl_srv_begin(sasl, mech, octets, &challenge, err), rc = 0;

	*end = SASL_END_ACCEPTED;
	while (step == SASL_SRV_MORE && rc == 0 && *end == SASL_END_ACCEPTED) {
		rc = sasl_exchange_ask(stream, wire, buf_span(&challenge), &response, end, err);
		if (rc == 0 && *end == SASL_END_ACCEPTED)
			step = sasl_srv_step(sasl, buf_span(&response), &challenge, err);
	}
	if (step < 0)
		*end = SASL_END_REFUSED;
	buf_wipe(&response);
	buf_free(&response);
	buf_free(&challenge);
	return rc;
}

int sasl_exchange(struct sasl_srv *sasl, struct stream *stream, const struct sasl_wire *wire,
		  struct span mech, struct span initial, enum sasl_end *end, struct us_err *err)
{
	struct buf octets = BUF_INIT;
	struct span response = initial.ptr ? SPAN_LIT("") : SPAN_NULL;
	enum sasl_end ended = SASL_END_ACCEPTED;
	int rc = 0;

	if (initial.ptr && !span_is(initial, "="))
		ended = decode(initial, &octets, err);
	if (octets.len)
		response = buf_span(&octets);
	if (ended == SASL_END_ACCEPTED)
		rc = converse(sasl, stream, wire, mech, response, &ended, err);
	if (rc == 0)
		*end = ended;
	buf_wipe(&octets);
	buf_free(&octets);
	return rc;
}
