/* wire_answer.c - see wire_answer.h. One table serves both directions. */
#include "reconcile/wire_answer.h"

#include "server/base/mem.h"

static const struct {
	const char *text; /* behind NO; its first word is what tells */
	int code;         /* ours: what is answered so, and what it is read as */
} answers[WIRE_ANSWERS] = {
	[WIRE_OK] = {"success", 0},
	[WIRE_INVALID_USER] = {"IMAP_INVALID_USER No Such User", US_ENOENT},
	[WIRE_NONEXISTENT] = {"IMAP_MAILBOX_NONEXISTENT No Such Mailbox", US_ENOENT},
	[WIRE_LOCKED] = {"IMAP_MAILBOX_LOCKED Mailbox locked", US_EBUSY},
	[WIRE_MOVED] = {"IMAP_MAILBOX_MOVED Mailbox exists with another name or uniqueid",
			US_EMOVED},
	[WIRE_NOTSUPPORTED] = {"IMAP_MAILBOX_NOTSUPPORTED Operation is not supported on mailbox",
			       US_ENOTSUP},
	[WIRE_CHECKSUM] = {"IMAP_SYNC_CHECKSUM Checksum Failure", US_ECHECKSUM},
	[WIRE_CHANGED] = {"IMAP_SYNC_CHANGED Changed since last sync", US_ECHANGED},
	[WIRE_BADSIEVE] = {"IMAP_SYNC_BADSIEVE Sieve script compilation failure", US_EREMOTE},
	[WIRE_PROTOCOL] = {"IMAP_PROTOCOL_ERROR Protocol error", US_EPROTO},
	[WIRE_BAD_PARAMETERS] = {"IMAP_PROTOCOL_BAD_PARAMETERS", US_EINVAL},
	[WIRE_UNKNOWN] = {"Unknown error", US_EREMOTE},
};

/* Refusals without a word of the protocol, and what newer servers call one of them. */
static const struct {
	const char *text;
	int code;
} sentences[] = {
	{"Please authenticate first", US_EAUTH},
	{"Permission denied", US_EPERM},
	{"IMAP_PERMISSION_DENIED", US_EPERM},
};

enum wire_answer wire_answer_of(int code)
{
	if (code >= 0)
		return WIRE_OK;
	for (int i = WIRE_NONEXISTENT; i < WIRE_UNKNOWN; i++)
		if (answers[i].code == code && i != WIRE_BADSIEVE)
			return (enum wire_answer)i;
	return WIRE_UNKNOWN;
}

static void put_tag(struct buf *out, struct span tag)
{
	if (!tag.len)
		return;
	buf_add_span(out, tag);
	buf_add_char(out, ' ');
}

void wire_put_answer(struct buf *out, struct span tag, enum wire_answer answer)
{
	put_tag(out, tag);
	buf_printf(out, "%s %s\r\n", answer == WIRE_OK ? "OK" : "NO", answers[answer].text);
}

void wire_put_bad(struct buf *out, struct span tag, const char *verb)
{
	if (!tag.len) {
		buf_printf(out, "BAD IMAP_PROTOCOL_ERROR Failed to parse %s line\r\n", verb);
		return;
	}
	put_tag(out, tag);
	buf_add_str(out, "BAD Replication parse failure in Sync");
	for (; *verb; verb++)
		buf_add_char(out, (char)us_lower((unsigned char)*verb));
	buf_add_str(out, "\r\n");
}

/* ---- reading ----------------------------------------------------------------------------------- */

static struct span first_word(struct span text)
{
	struct span word;

	return span_word(&text, &word) ? word : SPAN_LIT("");
}

static int code_of_refusal(struct span text)
{
	struct span word = first_word(text);

	for (size_t i = 0; i < ARRAY_SIZE(sentences); i++)
		if (span_starts(text, sentences[i].text))
			return sentences[i].code;
	for (int i = WIRE_INVALID_USER; i < WIRE_UNKNOWN; i++)
		if (span_eq(word, first_word(span_of(answers[i].text))))
			return answers[i].code;
	return US_EREMOTE;
}

/* Take "<tag> " off the line. */
static bool take_tag(struct span *line, struct span tag)
{
	if (!tag.len)
		return true;
	if (line->len <= tag.len || !span_eq(span_make(line->ptr, tag.len), tag) ||
	    line->ptr[tag.len] != ' ')
		return false;
	*line = span_from(*line, tag.len + 1);
	return true;
}

int wire_parse_answer(struct span line, struct span tag, struct span *text, struct us_err *err)
{
	struct span whole = line, rest, status;

	if (!take_tag(&line, tag))
		return us_fail(err, US_EPROTO, "an answer to something else: %.*s",
			       (int)(whole.len < 100 ? whole.len : 100), whole.ptr);
	rest = line;
	status = span_word(&rest, &status) ? status : SPAN_LIT("");
	rest = span_trim(rest);
	if (text)
		*text = rest;
	if (span_is_nocase(status, "OK"))
		return 0;
	if (span_is_nocase(status, "NO"))
		return us_fail(err, code_of_refusal(rest), "the replica says: %.*s",
			       (int)(rest.len < 160 ? rest.len : 160), rest.ptr);
	if (span_is_nocase(status, "BYE"))
		return us_fail(err, US_ECLOSED, "the replica goes away");
	return us_fail(err, US_EPROTO, "the replica says: %.*s",
		       (int)(line.len < 160 ? line.len : 160), line.ptr);
}
