/* answer.c - see answer.h. */
#include "server/lmtp/answer.h"

#include <string.h>

#include "server/base/mem.h"
#include "server/base/scan.h"

static bool is_digit(unsigned char c)
{
	return c >= '0' && c <= '9';
}

/* One to three digits, or an error. */
static void skip_number(struct scan *s)
{
	struct span digits = scan_while(s, is_digit);

	if (!digits.len || digits.len > 3)
		scan_fail(s);
}

/* The status at the start of a text, with a blank or the end behind it; SPAN_NULL: there is none. */
static struct span take_status(struct span *text)
{
	struct scan s = scan_init(*text);
	size_t len;

	skip_number(&s);
	for (int i = 0; i < 2; i++) {
		scan_expect(&s, '.');
		skip_number(&s);
	}
	len = scan_offset(&s);
	if (s.bad || len > strlen("5.255.255") || (!scan_end(&s) && scan_peek(&s) != ' '))
		return SPAN_NULL;
	*text = span_trim(scan_rest(&s));
	return span_make(s.text.ptr, len);
}

int lmtp_answer_parse(struct span line, struct lmtp_answer *out, struct us_err *err)
{
	struct lmtp_answer new = {0};
	uint64_t code;

	if (line.len < 3 || !span_u64(span_make(line.ptr, 3), 599, &code) || code < 200)
		return us_fail(err, US_EPROTO, "no answer of an LMTP server: %.*s",
			       (int)(line.len < 60 ? line.len : 60), line.ptr);
	if (line.len > 3 && line.ptr[3] != ' ' && line.ptr[3] != '-')
		return us_fail(err, US_EPROTO, "no answer of an LMTP server: %.*s",
			       (int)(line.len < 60 ? line.len : 60), line.ptr);
	new.code = (unsigned)code;
	new.more = line.len > 3 && line.ptr[3] == '-';
	new.text = line.len > 4 ? span_trim(span_from(line, 4)) : SPAN_LIT("");
	new.status = take_status(&new.text);
	*out = new;
	return 0;
}

/* ---- reasons --------------------------------------------------------------------------------------- */

static const struct {
	unsigned code;
	const char *status, *words;
} known[] = {
	{550, "5.1.1", "Mailbox does not exist"},
	{550, "5.7.1", "Permission denied"},
};

void lmtp_answer_reason(const struct lmtp_answer *answer, struct buf *out)
{
	struct span text = answer->text, word;
	size_t before = out->len;

	for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
		if (known[i].code != answer->code || !span_is(answer->status, known[i].status))
			continue;
		buf_add_str(out, known[i].words);
		return;
	}
	while (span_word(&text, &word)) {
		if (span_starts(word, "SESSIONID="))
			continue;
		if (out->len > before)
			buf_add_char(out, ' ');
		for (size_t i = 0; i < word.len; i++) /* it may go to a terminal */
			buf_add_char(out, (unsigned char)word.ptr[i] < ' ' ? '?' : word.ptr[i]);
	}
	if (out->len == before)
		buf_printf(out, "refused with %u", answer->code);
}
