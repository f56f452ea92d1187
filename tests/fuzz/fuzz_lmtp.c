/* fuzz_lmtp.c - any bytes as an LMTP connection: commands line by line until a DATA, then a message.
 *
 * A message that comes in pieces becomes what it becomes in one, its framing does not depend on what is in it,
 * and what is stored has only whole line ends and none of the fields that must not be there. Put onto the wire again, it comes
 * back as it is. Each line is also read as an answer to us.
 */
#include <stdint.h>
#include <string.h>

#include "server/base/err.h"
#include "server/base/pool.h"
#include "server/lmtp/answer.h"
#include "server/lmtp/command.h"
#include "server/lmtp/dots.h"
#include "server/lmtp/header_edit.h"
#include "server/lmtp/recipient.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct recipient_rules rules[] = {
	{.unixhierarchysep = true, .downcase = true, .postuser = ""},
	{.virtdomains = true, .defaultdomain = "def.test", .postuser = "bb"},
};

static void check_command(const struct lmtp_command *c, struct pool *pool)
{
	struct recipient_name name;

	us_assert(!memchr(c->address.text.ptr, '\r', c->address.text.len));
	us_assert(!memchr(c->address.text.ptr, '\n', c->address.text.len));
	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
		if (recipient_name(&rules[i], &c->address, pool, &name, NULL) < 0)
			continue;
		us_assert(name.folder.ptr || name.inbox.ptr);
		us_assert(!name.userid.ptr == !name.inbox.ptr);
		us_assert(!name.inbox.ptr || !name.folder.ptr ||
			  (name.folder.len > name.inbox.len + 1 &&
			   memcmp(name.folder.ptr, name.inbox.ptr, name.inbox.len) == 0 &&
			   name.folder.ptr[name.inbox.len] == '.'));
	}
}

static void check_answer(struct span line)
{
	struct lmtp_answer a;
	struct buf reason = BUF_INIT;

	if (lmtp_answer_parse(line, &a, NULL) < 0)
		return;
	us_assert(a.code >= 200 && a.code < 600);
	lmtp_answer_reason(&a, &reason);
	us_assert(reason.len && reason.len <= line.len + 22);
	buf_free(&reason);
}

/* Read commands; what follows the first DATA, or nothing. */
static struct span commands(struct span in, struct pool *pool)
{
	struct span line;

	while (span_split(&in, '\n', &line)) {
		struct lmtp_command c;
		bool x = line.len % 2;
		check_answer(line);
		if (lmtp_command_parse(line, x, pool, &c) != LMTP_NO_REPLY)
			continue;
		us_assert(c.verb < LMTP_VERBS);
		if (c.verb == LMTP_VERB_MAIL || c.verb == LMTP_VERB_RCPT)
			check_command(&c, pool);
		if (c.verb == LMTP_VERB_DATA)
			return in.ptr ? in : SPAN_LIT("");
	}
	return SPAN_LIT("");
}

struct intake {
	struct dots dots;
	struct header_edit header;
	struct buf text, out;
	size_t taken;
};

static void take(struct intake *t, struct span in, size_t piece, bool munge)
{
	const struct header_rules r = {.munge8bit = munge,
				       .reject8bit = !munge && in.len % 3 == 0,
				       .message_id = SPAN_LIT("<m@x>"),
				       .date = SPAN_LIT("d")};

	t->dots = (struct dots)DOTS_INIT;
	header_edit_init(&t->header, &r);
	buf_init(&t->text, 0);
	buf_init(&t->out, 0);
	while (t->taken < in.len && !t->dots.done) {
		struct span next = span_from(in, t->taken);
		size_t before = t->text.len, n;
		if (piece && next.len > piece)
			next.len = piece;
		n = dots_feed(&t->dots, next, &t->text);
		us_assert(n == next.len || t->dots.done);
		us_assert(t->text.len - before <= 2 * n + 2);
		t->taken += n;
		next = span_from(buf_span(&t->text), before);
		n = header_edit_feed(&t->header, next, &t->out);
		if (t->header.ended && !t->header.fault)
			buf_add_span(&t->out, span_from(next, n));
	}
	header_edit_finish(&t->header, &t->out);
}

static void free_intake(struct intake *t)
{
	header_edit_fini(&t->header);
	buf_free(&t->text);
	buf_free(&t->out);
}

/* The end is where CRLF "." CRLF first stands, the CRLF of DATA counted in: whatever else there is. */
static void check_framing(struct span in, const struct intake *t)
{
	bool at_once = span_starts(in, ".\r\n");
	const char *end = at_once ? in.ptr : memmem(in.ptr, in.len, "\r\n.\r\n", 5);

	us_assert(t->dots.done == (end != NULL));
	if (end)
		us_assert(t->taken == (size_t)(end - in.ptr) + (at_once ? 3 : 5));
}

static void check_text(struct span text)
{
	for (size_t i = 0; i < text.len; i++) {
		us_assert(text.ptr[i] != '\r' || (i + 1 < text.len && text.ptr[i + 1] == '\n'));
		us_assert(text.ptr[i] != '\n' || (i && text.ptr[i - 1] == '\r'));
	}
}

/* What was stored, as deliver would send it: in pieces, and back. */
static void check_stuffing(struct span text, size_t piece)
{
	enum dots_source state = DOTS_SOURCE_START;
	struct buf wire = BUF_INIT, back = BUF_INIT;
	struct dots d = DOTS_INIT;

	for (struct span rest = text; rest.len;) {
		struct span next = span_make(rest.ptr, rest.len < piece ? rest.len : piece);
		dots_stuff(&state, next, &wire);
		rest = span_from(rest, next.len);
	}
	dots_stuff_end(&state, &wire);
	us_assert(dots_feed(&d, buf_span(&wire), &back) == wire.len && d.done);
	us_assert(back.len >= text.len && back.len <= text.len + 2);
	us_assert(memcmp(back.data ? back.data : "", text.ptr ? text.ptr : "", text.len) == 0);
	buf_free(&wire);
	buf_free(&back);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pool *pool = pool_new();
	struct span in = commands(span_make(data, size), pool);
	struct intake whole = {0}, pieces = {0};

	take(&whole, in, 0, size % 2);
	take(&pieces, in, 1 + size % 7, size % 2);
	check_framing(in, &whole);
	check_text(buf_span(&whole.text));
	check_stuffing(buf_span(&whole.text), 1 + size % 5);
	us_assert(whole.taken == pieces.taken);
	us_assert(whole.dots.has_nul == pieces.dots.has_nul);
	us_assert(whole.header.fault == pieces.header.fault);
	us_assert(span_eq(buf_span(&whole.text), buf_span(&pieces.text)));
	if (!whole.header.fault) {
		us_assert(span_eq(buf_span(&whole.out), buf_span(&pieces.out)));
		us_assert(!span_starts_nocase(buf_span(&whole.out), "Return-Path:"));
		us_assert(!memmem(whole.header.message_id.data, whole.header.message_id.len, "\n",
				  1));
	}
	free_intake(&whole);
	free_intake(&pieces);
	pool_free(&pool);
	return 0;
}
