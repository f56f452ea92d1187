/* fuzz_imap_args.c - any frame: the parser of its command stays in bounds, and gives arguments only when it says so.
 *
 * The first byte picks a command of the table (so that each is reached), the rest is what stands behind its verb. */
#include <stdint.h>
#include <string.h>

#include "server/base/err.h"
#include "server/base/mem.h"
#include "server/imap/commands.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct command *pick(uint8_t which)
{
	size_t n = 0;

	while (command_at(n))
		n++;
	return command_at(which % n);
}

#define NOWHERE SIZE_MAX

/* Two literals at the same place are as wrong as they can be. */
static void parse(const struct command *c, struct span rest, bool uid, size_t streamed_at,
		  size_t n_streamed)
{
	struct framer_streamed streamed[2] = {{streamed_at, 17}, {streamed_at, 17}};
	struct frame frame = {.text = BUF_INIT, .streamed = streamed, .n_streamed = n_streamed};
	struct pool *pool = pool_new();
	struct parse p = {.pool = pool, .frame = &frame, .command = c, .uid = uid};
	struct us_err err = US_ERR_INIT;
	void *args = NULL;
	int rc;

	buf_add_str(&frame.text, c->name);
	buf_add_span(&frame.text, rest);
	p.s = scan_init(buf_span(&frame.text));
	p.s.at = strlen(c->name);
	rc = c->parse(&p, &args, &err);
	us_assert(rc == 0 || (rc < 0 && !args && err.text[0]));
	us_assert(rc < 0 || p.s.at <= frame.text.len);
	pool_free(&pool);
	buf_free(&frame.text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct command *c;
	struct span rest;

	if (size < 2)
		return 0;
	c = pick(data[0]);
	rest = span_make(data + 2, size - 2);
	if (!c->parse)
		return 0;
	parse(c, rest, false, NOWHERE, 0);
	if (c->flags & CMD_HAS_UID_FORM)
		parse(c, rest, true, NOWHERE, 0);
	for (size_t n = 1; c->stream && c->stream->literal && n <= 2; n++)
		parse(c, rest, false, strlen(c->name) + (data[1] < rest.len ? data[1] : rest.len),
		      n);
	return 0;
}
