/* header_edit.c - see header_edit.h. */
#include "server/lmtp/header_edit.h"

#include <string.h>

void header_edit_init(struct header_edit *h, const struct header_rules *rules)
{
	memset(h, 0, sizeof(*h));
	h->rules = *rules;
	buf_init(&h->name, HEADER_NAME_MAX);
	buf_init(&h->message_id, HEADER_VALUE_MAX);
	buf_init(&h->date, HEADER_VALUE_MAX);
}

void header_edit_fini(struct header_edit *h)
{
	buf_free(&h->name);
	buf_free(&h->message_id);
	buf_free(&h->date);
}

/* ---- the end ------------------------------------------------------------------------------------ */

/* Line ends go (RFC 5322, 2.2.3), and blanks at both ends. */
static void unfold(struct buf *value)
{
	size_t len = 0;
	struct span trimmed;

	for (size_t i = 0; i < value->len; i++)
		if (value->data[i] != '\r' && value->data[i] != '\n')
			value->data[len++] = value->data[i];
	buf_truncate(value, len);
	trimmed = span_trim(buf_span(value));
	buf_truncate(value, (size_t)(trimmed.ptr - value->data) + trimmed.len);
	buf_remove(value, 0, (size_t)(trimmed.ptr - value->data));
}

static void add_missing(const char *name, struct span value, bool *has, struct buf *kept,
			struct buf *out)
{
	if (*has) {
		unfold(kept);
		return;
	}
	*has = true;
	buf_add_span(kept, value);
	buf_printf(out, "%s: %.*s\r\n", name, SPAN_ARG(value));
}

static void end_header(struct header_edit *h, struct buf *out)
{
	h->ended = true;
	add_missing("Message-ID", h->rules.message_id, &h->has_message_id, &h->message_id, out);
	add_missing("Date", h->rules.date, &h->has_date, &h->date, out);
}

static void fail(struct header_edit *h, enum header_fault fault)
{
	h->fault = fault;
	h->ended = true;
}

/* ---- fields ------------------------------------------------------------------------------------- */

static bool in_name(unsigned char c)
{
	return c > ' ' && c < 0x7f && c != ':';
}

/* A name is complete: what is the field to us? */
static void begin_value(struct header_edit *h)
{
	struct span name = span_trim(buf_span(&h->name));

	h->dropping = span_is_nocase(name, "Return-Path");
	h->keeping = NULL;
	if (span_is_nocase(name, "Message-ID") && !h->has_message_id) {
		h->has_message_id = true;
		h->keeping = &h->message_id;
	} else if (span_is_nocase(name, "Date") && !h->has_date) {
		h->has_date = true;
		h->keeping = &h->date;
	}
}

static void step_line(struct header_edit *h, unsigned char c, struct span *in)
{
	if (c == '\r') {
		h->state = HEADER_END;
		*in = span_from(*in, 1);
	} else if ((c == ' ' || c == '\t') && h->name.len) {
		h->state = HEADER_VALUE; /* of the same field */
	} else if (in_name(c)) {
		buf_clear(&h->name);
		h->state = HEADER_NAME;
	} else {
		fail(h, HEADER_BAD);
	}
}

/* Names wait until they are whole: then we know whether they are given out. */
static void step_name(struct header_edit *h, struct span *in)
{
	size_t len = 0;

	while (len < in->len && in_name((unsigned char)in->ptr[len]))
		len++;
	buf_add(&h->name, in->ptr, len);
	*in = span_from(*in, len);
	if (h->name.over)
		fail(h, HEADER_BAD);
	else if (in->len)
		h->state = HEADER_COLON;
}

static void step_colon(struct header_edit *h, unsigned char c, struct span *in, struct buf *out)
{
	*in = span_from(*in, 1);
	if (c == ':') {
		begin_value(h);
		h->state = HEADER_VALUE;
		if (!h->dropping)
			buf_printf(out, "%s:", h->name.data);
	} else if (c == ' ' || c == '\t') {
		/* The blanks are given out with the name, as they are the field's. */
		buf_add_char(&h->name, (char)c);
		if (h->name.over)
			fail(h, HEADER_BAD);
	} else {
		fail(h, HEADER_BAD);
	}
}

/* True: there is one, and it is a fault. Else they are what they shall be. */
static bool judge_8bit(struct header_edit *h, char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if ((unsigned char)text[i] <= 0x7f)
			continue;
		if (h->rules.reject8bit)
			return true;
		if (!h->rules.munge8bit)
			return false;
		text[i] = 'X';
	}
	return false;
}

static void step_value(struct header_edit *h, struct span *in, struct buf *out)
{
	const char *lf = span_find(*in, '\n');
	size_t len = lf ? (size_t)(lf - in->ptr) + 1 : in->len;

	if (h->keeping)
		buf_add(h->keeping, in->ptr, len);
	if (!h->dropping) {
		size_t at = out->len;
		buf_add(out, in->ptr, len);
		if (judge_8bit(h, out->data + at, len))
			fail(h, HEADER_8BIT);
	}
	*in = span_from(*in, len);
	if (lf && !h->fault)
		h->state = HEADER_LINE;
}

static void step(struct header_edit *h, struct span *in, struct buf *out)
{
	unsigned char c = (unsigned char)in->ptr[0];

	switch (h->state) {
	case HEADER_LINE:
		step_line(h, c, in);
		break;
	case HEADER_NAME:
		step_name(h, in);
		break;
	case HEADER_COLON:
		step_colon(h, c, in, out);
		break;
	case HEADER_VALUE:
		step_value(h, in, out);
		break;
	case HEADER_END:
		*in = span_from(*in, 1);
		end_header(h, out);
		buf_add(out, "\r\n", 2);
		break;
	}
}

size_t header_edit_feed(struct header_edit *h, struct span in, struct buf *out)
{
	size_t before = in.len;

	while (in.len && !h->ended)
		step(h, &in, out);
	return before - in.len;
}

void header_edit_finish(struct header_edit *h, struct buf *out)
{
	if (h->ended)
		return;
	if (h->state == HEADER_LINE)
		end_header(h, out);
	else
		fail(h, HEADER_BAD); /* within a line: a canonical text has none such */
}
