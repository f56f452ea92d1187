/* netstring.c - see netstring.h. */
#include "server/lmtp/netstring.h"

#include <stdint.h>

#define MOST_DIGITS 10

/* How many digits there are at the start, and their value; not more of them than a netstring may have and one. */
static size_t digits(struct span in, uint64_t *value)
{
	size_t n = 0;

	*value = 0;
	for (; n < in.len && n <= MOST_DIGITS && in.ptr[n] >= '0' && in.ptr[n] <= '9'; n++)
		*value = *value * 10 + (uint64_t)(in.ptr[n] - '0');
	return n;
}

enum netstring_state netstring_frame(struct span in, size_t most, struct span *text, size_t *taken,
				     const char **why)
{
	uint64_t len;
	size_t n = digits(in, &len);

	if (n > MOST_DIGITS || len > most) {
		*why = "request is too long";
		return NETSTRING_BAD;
	}
	if (n == in.len)
		return NETSTRING_MORE;
	if (!n || in.ptr[n] != ':') {
		*why = "missing length";
		return NETSTRING_BAD;
	}
	in = span_from(in, n + 1);
	if (in.len <= len)
		return NETSTRING_MORE;
	if (in.ptr[len] != ',') {
		*why = "missing terminator";
		return NETSTRING_BAD;
	}
	*text = span_make(in.ptr, (size_t)len);
	*taken = n + 1 + (size_t)len + 1;
	return NETSTRING_READY;
}

void netstring_put(struct span text, struct buf *out)
{
	buf_printf(out, "%zu:", text.len);
	buf_add_span(out, text);
	buf_add_char(out, ',');
}
