/* fuzz_netstring.c - any bytes as a run of netstrings. What is found lies within what was given, is the same whatever stands behind it,
 * is not found before it is whole, and is found again when it is written. */
#include <stdint.h>
#include <string.h>

#include "server/base/err.h"
#include "server/lmtp/netstring.h"

#define MOST 300

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_ready(struct span in, struct span text, size_t taken)
{
	struct buf out = BUF_INIT;
	struct span again;
	size_t n;
	const char *why;

	us_assert(taken >= 3 && taken <= in.len && text.len <= MOST && text.len + 3 <= taken);
	us_assert(text.ptr >= in.ptr && text.ptr + text.len + 1 == in.ptr + taken);
	us_assert(netstring_frame(span_make(in.ptr, taken), MOST, &again, &n, &why) ==
		  NETSTRING_READY);
	us_assert(n == taken && span_eq(again, text));
	us_assert(netstring_frame(span_make(in.ptr, taken - 1), MOST, &again, &n, &why) ==
		  NETSTRING_MORE);
	netstring_put(text, &out);
	us_assert(netstring_frame(buf_span(&out), MOST, &again, &n, &why) == NETSTRING_READY);
	us_assert(n == out.len && n <= taken && span_eq(again, text));
	buf_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span in = span_make(data, size), text;
	enum netstring_state state;
	size_t taken;
	const char *why;

	while ((state = netstring_frame(in, MOST, &text, &taken, &why)) == NETSTRING_READY) {
		check_ready(in, text, taken);
		in = span_from(in, taken);
	}
	if (state == NETSTRING_BAD)
		us_assert(why && *why);
	else
		us_assert(in.len <= MOST + 12); /* there is an end to waiting */
	return 0;
}
