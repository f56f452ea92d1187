/* framer.c - see framer.h.
 *
 *	IN_LINE --LF, "{n}" before it--> IN_LITERAL | IN_STREAM | IN_SKIPPED --n octets--> IN_LINE
 *	   '-----LF, no literal--> READY, or BAD if something was wrong on the way
 *
 * Once `bad` is set nothing is kept but the last bytes of each line, in which a further literal could be
 * announced: those that do not synchronise are passed over with the rest.
 */
#include "server/imap/framer.h"

#include <stdlib.h>
#include <string.h>

#include "server/base/mem.h"

#define KEPT_MEMORY 65536 /* what an empty framer may hold on to */

void framer_init(struct framer *f, const struct framer_limits *limits,
		 const struct framer_hooks *hooks)
{
	*f = (struct framer){.limits = *limits};
	if (hooks)
		f->hooks = *hooks;
	buf_init(&f->frame.text, 0);
}

void framer_fini(struct framer *f)
{
	buf_wipe(&f->frame.text);
	buf_free(&f->frame.text);
	free(f->frame.streamed);
	f->frame.streamed = NULL;
}

void framer_restart(struct framer *f, bool wipe)
{
	struct buf text = f->frame.text;
	struct framer_limits limits = f->limits;
	struct framer_hooks hooks = f->hooks;

	if (wipe)
		buf_wipe(&text);
	if (text.cap > KEPT_MEMORY)
		buf_free(&text);
	buf_clear(&text);
	free(f->frame.streamed);
	framer_init(f, &limits, &hooks);
	f->frame.text = text;
}

bool framer_is_empty(const struct framer *f)
{
	return f->frame.text.len == 0 && f->phase == FRAMER_IN_LINE && !f->bad;
}

struct span framer_tag(const struct framer *f)
{
	struct span text = buf_span(&f->frame.text), tag = SPAN_NULL;
	const char *blank = span_find(text, ' ');

	if (blank)
		tag = span_make(text.ptr, (size_t)(blank - text.ptr));
	for (size_t i = 0; i < tag.len; i++)
		if (tag.ptr[i] <= ' ' || tag.ptr[i] == 0x7f || strchr("(){%*\"\\+", tag.ptr[i]))
			tag = SPAN_NULL;
	return tag.len ? tag : SPAN_LIT("*");
}

static void go_bad(struct framer *f, int code, const char *why)
{
	if (f->bad)
		return;
	f->bad = true;
	us_fail(&f->err, code, "%s", why);
}

/* ---- within a line ------------------------------------------------------------------------------ */

static bool ends_word(char c)
{
	return c == ' ' || c == '(' || c == ')' || c == '\r' || c == '\n';
}

/* Follow quotes and the length of words. */
static void measure(struct framer *f, char c)
{
	if (f->quoted) {
		if (!f->escaped && c == '"') {
			f->quoted = false;
			f->run = 0;
		} else if (++f->run > f->limits.quoted) {
			go_bad(f, US_ELIMIT, "Quoted string too long");
		}
		f->escaped = !f->escaped && c == '\\';
		return;
	}
	if (c == '"') {
		f->quoted = true;
		f->escaped = false;
		f->run = 0;
	} else if (ends_word(c)) {
		f->run = 0;
	} else if (++f->run > f->limits.word) {
		go_bad(f, US_ELIMIT, "Word too long");
	}
}

/* Remember the end of a line that is not kept. */
static void keep_tail(struct framer *f, char c)
{
	if (f->n_tail == sizeof(f->tail)) {
		memmove(f->tail, f->tail + 1, sizeof(f->tail) - 1);
		f->n_tail--;
	}
	f->tail[f->n_tail++] = c;
}

/* The line turned bad: what was kept of it may end in the beginning of an announcement. */
static void begin_tail(struct framer *f)
{
	struct span text = buf_span(&f->frame.text);

	for (size_t i = text.len > sizeof(f->tail) ? text.len - sizeof(f->tail) : 0; i < text.len;
	     i++)
		keep_tail(f, text.ptr[i]);
}

static bool is_handed_over(struct framer *f)
{
	struct span text = buf_span(&f->frame.text), verb;
	const char *blank = span_find(text, ' ');

	verb = span_from(text, (size_t)(blank - text.ptr) + 1);
	verb.len--; /* the blank behind it */
	return f->hooks.hand_over(f->hooks.ctx, verb);
}

/* ---- at the end of a line ------------------------------------------------------------------------ */

struct announced {
	uint64_t size;
	bool plus, tilde;
	size_t len; /* of the announcement */
};

/* literal = ["~"] "{" number ["+"] "}" at the end of a line */
static bool find_announcement(struct span line, struct announced *out)
{
	size_t at = line.len, end;
	bool plus;

	if (!at || line.ptr[--at] != '}')
		return false;
	plus = at && line.ptr[at - 1] == '+';
	at -= plus;
	for (end = at; at && line.ptr[at - 1] >= '0' && line.ptr[at - 1] <= '9';)
		at--;
	if (at == end || !at || line.ptr[at - 1] != '{')
		return false;
	if (!span_u64(span_make(line.ptr + at, end - at), UINT64_MAX, &out->size))
		return false;
	at--;
	out->plus = plus;
	out->tilde = at && line.ptr[at - 1] == '~';
	out->len = line.len - at + out->tilde;
	return true;
}

static enum framer_verdict judge(struct framer *f, const struct announced *a)
{
	struct framer_literal literal = {buf_span(&f->frame.text), a->size, !a->plus, a->tilde};
	enum framer_verdict verdict = FRAMER_KEEP;
	struct us_err err = US_ERR_INIT;

	literal.before.len -= a->len;
	if (f->hooks.literal)
		verdict = f->hooks.literal(f->hooks.ctx, &literal, &err);
	if (verdict == FRAMER_REFUSE) {
		f->refused = true;
		go_bad(f, err.code, err.text);
	} else if (verdict == FRAMER_KEEP && a->size > f->limits.literal) {
		go_bad(f, US_ELIMIT, "Literal too long");
	} else if (verdict == FRAMER_KEEP && a->size > f->limits.frame - f->frame.text.len) {
		go_bad(f, US_ELIMIT, "Command too long");
	}
	return f->bad ? FRAMER_REFUSE : verdict;
}

static void note_streamed(struct frame *frame, const struct announced *a)
{
	us_grow(&frame->streamed, frame->n_streamed, &frame->cap_streamed,
		sizeof(frame->streamed[0]));
	frame->streamed[frame->n_streamed++] =
		(struct framer_streamed){frame->text.len - a->len, a->size};
}

static enum framer_state begin_literal(struct framer *f, const struct announced *a)
{
	enum framer_verdict verdict = FRAMER_REFUSE;

	if (++f->literals > f->limits.literals)
		go_bad(f, US_ELIMIT, "Too many literals");
	if (!f->bad)
		verdict = judge(f, a);
	if (verdict == FRAMER_REFUSE && !a->plus)
		return FRAMER_BAD; /* it will not be sent, nor will what was to follow it */
	f->left = a->size;
	f->run = 0;
	f->phase = verdict == FRAMER_REFUSE   ? FRAMER_IN_SKIPPED
		   : verdict == FRAMER_STREAM ? FRAMER_IN_STREAM
					      : FRAMER_IN_LITERAL;
	if (verdict == FRAMER_STREAM)
		note_streamed(&f->frame, a);
	if (verdict != FRAMER_REFUSE)
		buf_add_str(&f->frame.text, "\r\n");
	if (!f->left)
		f->phase = FRAMER_IN_LINE;
	return a->plus ? FRAMER_MORE : FRAMER_CONTINUE;
}

static enum framer_state end_line(struct framer *f)
{
	struct span line = f->bad ? span_make(f->tail, f->n_tail) : buf_span(&f->frame.text);
	struct announced a;

	if (line.len && line.ptr[line.len - 1] == '\r') {
		line.len--;
		if (!f->bad)
			buf_truncate(&f->frame.text, line.len);
	}
	f->n_tail = 0;
	f->quoted = false;
	if (find_announcement(line, &a))
		return begin_literal(f, &a);
	return f->bad ? FRAMER_BAD : FRAMER_READY;
}

/* One byte of a line. */
static enum framer_state take_byte(struct framer *f, char c)
{
	if (c == '\n')
		return end_line(f);
	if (f->bad) {
		keep_tail(f, c);
		return FRAMER_MORE;
	}
	buf_add_char(&f->frame.text, c);
	if (f->frame.text.len > f->limits.frame)
		go_bad(f, US_ELIMIT, "Command too long");
	measure(f, c);
	if (f->bad) {
		begin_tail(f);
		return FRAMER_MORE;
	}
	if (c == ' ' && !f->quoted && !f->literals && ++f->blanks == 2 && f->hooks.hand_over &&
	    is_handed_over(f))
		return FRAMER_HAND_OVER;
	return FRAMER_MORE;
}

/* ---- literals ------------------------------------------------------------------------------------ */

static size_t take_octets(struct framer *f, struct span in)
{
	size_t n = in.len < f->left ? in.len : (size_t)f->left;

	if (f->phase == FRAMER_IN_LITERAL)
		buf_add(&f->frame.text, in.ptr, n);
	else if (f->phase == FRAMER_IN_STREAM && !f->frame.streamed_code)
		f->frame.streamed_code = f->hooks.put(f->hooks.ctx, in.ptr, n, &f->err);
	f->left -= n;
	if (!f->left)
		f->phase = FRAMER_IN_LINE;
	return n;
}

enum framer_state framer_feed(struct framer *f, struct span in, size_t *used)
{
	enum framer_state state = FRAMER_MORE;
	size_t at = 0;

	while (at < in.len && state == FRAMER_MORE) {
		if (f->phase == FRAMER_IN_LINE)
			state = take_byte(f, in.ptr[at++]);
		else
			at += take_octets(f, span_from(in, at));
	}
	*used = at;
	return state;
}
