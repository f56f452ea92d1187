/* test_wire_answer.c - the last line of an answer: exact texts, and what each means. */
#include "tests/unit/test.h"

#include "reconcile/wire_answer.h"

static const struct {
	int code;
	const char *line;
} answers[] = {
	{0, "OK success\r\n"},
	{US_ENOENT, "NO IMAP_MAILBOX_NONEXISTENT No Such Mailbox\r\n"},
	{US_EBUSY, "NO IMAP_MAILBOX_LOCKED Mailbox locked\r\n"},
	{US_EMOVED, "NO IMAP_MAILBOX_MOVED Mailbox exists with another name or uniqueid\r\n"},
	{US_ENOTSUP, "NO IMAP_MAILBOX_NOTSUPPORTED Operation is not supported on mailbox\r\n"},
	{US_ECHECKSUM, "NO IMAP_SYNC_CHECKSUM Checksum Failure\r\n"},
	{US_ECHANGED, "NO IMAP_SYNC_CHANGED Changed since last sync\r\n"},
	{US_EPROTO, "NO IMAP_PROTOCOL_ERROR Protocol error\r\n"},
	{US_EINVAL, "NO IMAP_PROTOCOL_BAD_PARAMETERS\r\n"},
	{US_EREMOTE, "NO Unknown error\r\n"},
};

static struct span without_end(const char *line)
{
	return span_make(line, strlen(line) - 2);
}

static void results_and_lines(void **state UNUSED)
{
	struct us_err err;

	for (size_t i = 0; i < ARRAY_SIZE(answers); i++) {
		struct buf out = BUF_INIT;
		wire_put_answer(&out, SPAN_NULL, wire_answer_of(answers[i].code));
		assert_string_equal(out.data, answers[i].line);
		assert_int_equal(wire_parse_answer(without_end(out.data), SPAN_NULL, NULL, &err),
				 answers[i].code);
		buf_clear(&out);
		wire_put_answer(&out, SPAN_LIT("S17"), wire_answer_of(answers[i].code));
		assert_int_equal(wire_parse_answer(without_end(out.data), SPAN_LIT("S17"), NULL,
						   &err),
				 answers[i].code);
		assert_int_equal(wire_parse_answer(without_end(out.data), SPAN_LIT("S18"), NULL,
						   &err),
				 US_EPROTO);
		buf_free(&out);
	}
}

/* Whatever goes wrong here is no business of the protocol. */
static void other_results(void **state UNUSED)
{
	static const int codes[] = {US_EIO,    US_ELIMIT, US_ECORRUPT, US_EEXIST, US_EPERM,
				    US_EQUOTA, US_ENOSPC, US_ECONFIG,  US_EAUTH};

	for (size_t i = 0; i < ARRAY_SIZE(codes); i++)
		assert_int_equal(wire_answer_of(codes[i]), WIRE_UNKNOWN);
	assert_int_equal(wire_answer_of(3), WIRE_OK);
}

static void lines_only_a_peer_says(void **state UNUSED)
{
	static const struct {
		const char *line;
		int code;
	} rows[] = {
		{"NO IMAP_INVALID_USER No Such User", US_ENOENT},
		{"NO IMAP_SYNC_BADSIEVE Sieve script compilation failure", US_EREMOTE},
		{"NO Permission denied", US_EPERM},
		{"NO IMAP_PERMISSION_DENIED Permission denied", US_EPERM},
		{"NO Please authenticate first", US_EAUTH},
		{"NO authentication failure", US_EREMOTE},
		{"NO IMAP_MAILBOX_NONEXISTENTX y", US_EREMOTE},
		{"NO", US_EREMOTE},
		{"no IMAP_SYNC_CHECKSUM Checksum Failure", US_ECHECKSUM},
		{"BYE shutting down", US_ECLOSED},
		{"BAD IMAP_PROTOCOL_ERROR Failed to parse GET line", US_EPROTO},
		{"OK", 0},
		{"", US_EPROTO},
		{"OKAY", US_EPROTO},
		{"* OK", US_EPROTO},
	};
	struct us_err err;
	struct span text;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_int_equal(wire_parse_answer(span_of(rows[i].line), SPAN_NULL, &text, &err),
				 rows[i].code);
	assert_int_equal(wire_parse_answer(SPAN_LIT("A01 OK [CAPABILITY x] done"), SPAN_LIT("A01"),
					   &text, &err),
			 0);
	assert_span(text, "[CAPABILITY x] done");
}

static void lines_that_could_not_be_parsed(void **state UNUSED)
{
	struct buf out = BUF_INIT;

	wire_put_bad(&out, SPAN_NULL, "APPLY");
	assert_string_equal(out.data, "BAD IMAP_PROTOCOL_ERROR Failed to parse APPLY line\r\n");
	buf_clear(&out);
	wire_put_bad(&out, SPAN_LIT("S9"), "GET");
	assert_string_equal(out.data, "S9 BAD Replication parse failure in Syncget\r\n");
	buf_free(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(results_and_lines),
		cmocka_unit_test(other_results),
		cmocka_unit_test(lines_only_a_peer_says),
		cmocka_unit_test(lines_that_could_not_be_parsed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
