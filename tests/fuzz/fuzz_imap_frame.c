/* fuzz_imap_frame.c - any bytes, cut anywhere: the framer holds its limits, takes every byte once, and finds the same
 * commands whatever the cuts. */
#include <stdint.h>

#include "server/base/err.h"
#include "server/base/mem.h"
#include "server/imap/framer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct framer_limits limits = {.word = 64,
					    .quoted = 64,
					    .literal = 200,
					    .frame = 400,
					    .literals = 4};

struct found {
	struct buf text; /* each frame, or what was wrong with it */
	struct buf streamed;
};

static enum framer_verdict on_literal(void *ctx UNUSED, const struct framer_literal *literal,
				      struct us_err *err)
{
	if (literal->size % 7 == 3)
		return FRAMER_STREAM;
	if (literal->size % 7 != 5)
		return FRAMER_KEEP;
	us_fail(err, US_EPERM, "no");
	return FRAMER_REFUSE;
}

static int on_octets(void *ctx, const void *data, size_t len, struct us_err *err UNUSED)
{
	struct found *found = ctx;

	buf_add(&found->streamed, data, len);
	return 0;
}

static bool on_verb(void *ctx UNUSED, struct span verb)
{
	return span_is_nocase(verb, "SYNCGET");
}

static bool note(struct framer *f, enum framer_state state, struct found *found)
{
	us_assert(f->frame.text.len <= limits.frame + 64);
	for (size_t i = 0; i < f->frame.n_streamed; i++)
		us_assert(f->frame.streamed[i].at < f->frame.text.len &&
			  (!i || f->frame.streamed[i].at > f->frame.streamed[i - 1].at));
	if (state == FRAMER_CONTINUE)
		buf_add_str(&found->text, "+");
	if (state == FRAMER_READY)
		buf_printf(&found->text, "READY %d ", f->frame.streamed_code);
	if (state == FRAMER_READY)
		buf_add_span(&found->text, buf_span(&f->frame.text));
	if (state == FRAMER_BAD)
		buf_printf(&found->text, "BAD %.*s %s", SPAN_ARG(framer_tag(f)), f->err.text);
	buf_add_str(&found->text, "\n");
	if (state == FRAMER_READY || state == FRAMER_BAD)
		framer_restart(f, true);
	return state != FRAMER_HAND_OVER;
}

static void find(struct span in, size_t piece, struct found *found)
{
	const struct framer_hooks hooks = {on_literal, on_octets, on_verb, found};
	struct framer f;

	framer_init(&f, &limits, &hooks);
	while (in.len) {
		struct span some = span_make(in.ptr, in.len < piece ? in.len : piece);
		enum framer_state state;
		size_t used;

		state = framer_feed(&f, some, &used);
		us_assert(used && used <= some.len);
		us_assert(state != FRAMER_MORE || used == some.len);
		in = span_from(in, used);
		if (state != FRAMER_MORE && !note(&f, state, found))
			break;
	}
	framer_fini(&f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct found whole = {BUF_INIT, BUF_INIT}, cut = {BUF_INIT, BUF_INIT};

	if (!size)
		return 0;
	find(span_make(data, size), size, &whole);
	find(span_make(data, size), 1 + data[0] % 13, &cut);
	us_assert(span_eq(buf_span(&whole.text), buf_span(&cut.text)));
	us_assert(span_eq(buf_span(&whole.streamed), buf_span(&cut.streamed)));
	buf_free(&whole.text);
	buf_free(&whole.streamed);
	buf_free(&cut.text);
	buf_free(&cut.streamed);
	return 0;
}
