/* test_wire_mailbox.c - APPLY MAILBOX and its records: which fields must be there, what makes a record bad, virtual
 * annotations, and what each form writes. */
#include "tests/unit/reconcile/reading.h"

#define GUID1 "1111111111111111111111111111111111111111"
#define HEADER                                                                                    \
	"UNIQUEID u MBOXNAME user.bob SYNC_CRC 1 SYNC_CRC_ANNOT 2 LAST_UID 3 HIGHESTMODSEQ 4 "    \
	"RECENTUID 5 RECENTTIME 6 LAST_APPENDDATE 7 POP3_LAST_LOGIN 8 UIDVALIDITY 9 PARTITION p " \
	"ACL \"bob\tlr\t\" OPTIONS PS"
#define RECORD(uid, rest)                                                                          \
	"%(UID " uid " MODSEQ 2 LAST_UPDATED 3 FLAGS (" rest ") INTERNALDATE 4 SIZE 5 GUID " GUID1 \
	")"
#define ANNOTATED(list)                                                              \
	"%(UID 1 MODSEQ 2 LAST_UPDATED 3 FLAGS () INTERNALDATE 4 SIZE 5 GUID " GUID1 \
	" ANNOTATIONS (" list "))"
#define APPLY(records) "APPLY MAILBOX %(" HEADER " RECORD (" records "))\r\n"

static int apply(struct reading *r, const char *text)
{
	int rc = reading_command(r, text);

	assert_true(r->ended || rc == US_EPROTO);
	return rc;
}

static void every_required_field_is_missed(void **state UNUSED)
{
	static const char *const fields[] = {
		"UNIQUEID u",    "MBOXNAME user.bob", "LAST_UID 3",        "HIGHESTMODSEQ 4",
		"RECENTUID 5",   "RECENTTIME 6",      "LAST_APPENDDATE 7", "POP3_LAST_LOGIN 8",
		"UIDVALIDITY 9", "PARTITION p",       "ACL \"bob\tlr\t\"", "OPTIONS PS",
		"RECORD ()",
	};
	struct buf text = BUF_INIT;
	struct reading r;

	reading_new(&r);
	assert_int_equal(apply(&r, APPLY("")), 0);
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		char *at;
		buf_clear(&text);
		buf_add_str(&text, APPLY(""));
		at = strstr(text.data, fields[i]);
		assert_non_null(at);
		at[0] = 'x'; /* another key */
		assert_int_equal(reading_command_span(&r, buf_span(&text)), US_EINVAL);
		assert_true(r.ended);
	}
	buf_free(&text);
	reading_free(&r);
}

static void optional_fields_are_marked(void **state UNUSED)
{
	struct reading r;

	reading_new(&r);
	assert_int_equal(apply(&r, APPLY("")), 0);
	assert_false(r.mailbox.seen & WIRE_BIT(WIRE_FOLDERMODSEQ));
	assert_false(r.mailbox.state.has_since);
	assert_int_equal(r.mailbox.state.options,
			 MAILBOX_OPTION_POP3_NEW_UIDL | MAILBOX_OPTION_SHARED_SEEN);
	assert_int_equal(apply(&r, "APPLY MAILBOX %(" HEADER
				   " FOLDERMODSEQ 0 SINCE_MODSEQ 4 SINCE_CRC 9 RECORD ())\r\n"),
			 0);
	assert_true(r.mailbox.seen & WIRE_BIT(WIRE_FOLDERMODSEQ));
	assert_true(r.mailbox.state.has_since);
	assert_int_equal(r.mailbox.state.since_crc_annot, 0);
	reading_free(&r);
}

static void entries_need_only_a_name(void **state UNUSED)
{
	struct reading r;

	reading_new(&r);
	assert_int_equal(apply(&r, "APPLY MAILBOX %(UNIQUEID u MBOXNAME a MBOXTYPE ei)\r\n"), 0);
	assert_true(wire_is_entry(&r.mailbox.state));
	assert_int_equal(apply(&r, "APPLY MAILBOX %(UNIQUEID u MBOXNAME a MBOXTYPE f)\r\n"),
			 US_EINVAL);
	assert_int_equal(apply(&r, "APPLY MAILBOX %(UNIQUEID u MBOXTYPE ei)\r\n"), US_EINVAL);
	reading_free(&r);
}

/* ---- records ------------------------------------------------------------------------------------- */

static void bad_records_are_noted_where_they_stand(void **state UNUSED)
{
	static const struct {
		const char *text;
		size_t good; /* records before it */
	} rows[] = {
		{APPLY("%(UID 1)"), 0},
		{APPLY(RECORD("1", "") " x " RECORD("2", "")), 1},
		{APPLY(RECORD("1", "") " " RECORD("1", "")), 1},
		{APPLY(RECORD("2", "") " " RECORD("1", "")), 1},
		{APPLY(RECORD("0", "")), 0},
		{APPLY(RECORD("4294967295", "")), 0},
		{APPLY(RECORD("4294967296", "")), 0},
		{APPLY(RECORD("1", "a (b)")), 0},
		{APPLY(RECORD("1", "\"two words\"")), 0},
		{APPLY(RECORD("1", "{3}\r\na\xc3\xa4")), 0},
		{APPLY(RECORD("1", "\"\"")), 0},
		{APPLY(ANNOTATED("x")), 0},
		{APPLY(ANNOTATED("%(ENTRY /comment USERID \"\" VALUE x)")), 0},
		{APPLY(ANNOTATED("%(ENTRY NIL USERID \"\" MODSEQ 1 VALUE x)")), 0},
	};
	struct reading r;

	reading_new(&r);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		if (apply(&r, rows[i].text) != 0 || !r.mailbox.bad_record ||
		    r.records.n != rows[i].good)
			fail_msg("%zu records: %s", r.records.n, rows[i].text);
	}
	assert_int_equal(apply(&r, APPLY(RECORD("1", "\\Seen"))), 0);
	assert_false(r.mailbox.bad_record);
	/* A header that lacks a field goes before a bad record. */
	assert_int_equal(apply(&r, "APPLY MAILBOX %(RECORD (x))\r\n"), US_EINVAL);
	reading_free(&r);
}

static void what_a_sink_gives_comes_back(void **state UNUSED)
{
	struct reading r;

	reading_new(&r);
	r.refuse = US_ELIMIT;
	assert_int_equal(apply(&r, APPLY(RECORD("1", "") RECORD("2", ""))), US_ELIMIT);
	assert_string_equal(r.err.text, "the test says no");
	assert_int_equal(r.refused, 1);
	assert_true(r.ended);
	reading_free(&r);
}

static void flags_in_all_spellings(void **state UNUSED)
{
	const struct state_record *one;
	struct reading r;

	reading_new(&r);
	assert_int_equal(apply(&r,
			       APPLY(RECORD("1",
					    "\\seen \\EXPUNGED \\Unknown abc ABC NIL \"quoted\""))),
			 0);
	one = &r.records.records[0];
	assert_int_equal(one->system_flags, FLAG_SEEN);
	assert_true(one->expunged);
	assert_int_equal(one->n_keywords, 3);
	assert_span(one->keywords[0], "abc");
	assert_span(one->keywords[1], "NIL");
	reading_free(&r);
}

static void too_many_keywords(void **state UNUSED)
{
	struct buf text = BUF_INIT;
	struct reading r;

	reading_new(&r);
	for (int n = WIRE_MAX_KEYWORDS; n <= WIRE_MAX_KEYWORDS + 1; n++) {
		buf_clear(&text);
		buf_add_str(&text, "APPLY MAILBOX %(" HEADER " RECORD (%(UID 1 MODSEQ 2 "
				   "LAST_UPDATED 3 INTERNALDATE 4 SIZE 5 GUID " GUID1 " FLAGS (");
		for (int i = 0; i < n; i++)
			buf_printf(&text, "k%d ", i);
		buf_add_str(&text, "))))\r\n");
		assert_int_equal(reading_command_span(&r, buf_span(&text)), 0);
		assert_int_equal(r.mailbox.bad_record, n > WIRE_MAX_KEYWORDS);
	}
	buf_free(&text);
	reading_free(&r);
}

/* ---- annotations --------------------------------------------------------------------------------- */

#define NS                   "/vendor/cmu/cyrus-imapd/"
#define VIRTUAL(name, value) "%(ENTRY " NS name " USERID \"\" MODSEQ 0 VALUE " value ")"

static void virtual_annotations_are_fields(void **state UNUSED)
{
	const struct state_record *one;
	struct reading r;

	reading_new(&r);
	assert_int_equal(apply(&r, APPLY(ANNOTATED(VIRTUAL("thrid", "0a10d6610afd4128")
							   VIRTUAL("savedate", "123")
								   VIRTUAL("createdmodseq", "9")))),
			 0);
	one = &r.records.records[0];
	assert_int_equal(one->thrid, 0xa10d6610afd4128);
	assert_int_equal(one->savedate, 123);
	assert_int_equal(one->createdmodseq, 9);
	assert_int_equal(one->n_annotations, 0);
	reading_free(&r);
}

/* What a field could not give back as it came stays an annotation: the sums are over the text. */
static void odd_virtual_annotations_stay_what_they_are(void **state UNUSED)
{
	static const char *const odd[] = {
		VIRTUAL("savedate", "0123"),
		VIRTUAL("savedate", "\"\""),
		VIRTUAL("savedate", "never"),
		VIRTUAL("savedate", "9223372036854775808"),
		VIRTUAL("createdmodseq", "18446744073709551616"),
		VIRTUAL("thrid", "ABCD"),
		VIRTUAL("thrid", "0a10d6610afd41280"),
		VIRTUAL("thrid", "xyz"),
		VIRTUAL("basethrid", "0a10d6610afd4128"),
		"%(ENTRY " NS "savedate USERID bob MODSEQ 0 VALUE 5)",
	};
	struct buf text = BUF_INIT;
	struct reading r;

	reading_new(&r);
	for (size_t i = 0; i < ARRAY_SIZE(odd); i++) {
		buf_clear(&text);
		buf_printf(&text,
			   "APPLY MAILBOX %%(" HEADER " RECORD (%%(UID 1 MODSEQ 2 "
			   "LAST_UPDATED 3 FLAGS () INTERNALDATE 4 SIZE 5 GUID " GUID1
			   " ANNOTATIONS (%s))))\r\n",
			   odd[i]);
		assert_int_equal(reading_command_span(&r, buf_span(&text)), 0);
		assert_int_equal(r.records.records[0].n_annotations, 1);
		assert_int_equal(r.records.records[0].savedate, 0);
	}
	buf_free(&text);
	reading_free(&r);
}

static void annotations_are_sorted_and_single(void **state UNUSED)
{
	const struct state_record *one;
	struct reading r;

	reading_new(&r);
	assert_int_equal(apply(&r, APPLY(ANNOTATED("%(ENTRY /b USERID \"\" MODSEQ 1 VALUE x)"
						   "%(ENTRY /a USERID u MODSEQ 2 VALUE y)"
						   "%(ENTRY /a USERID \"\" MODSEQ 3 VALUE z)"
						   "%(ENTRY /a USERID \"\" MODSEQ 4 VALUE zz)"
						   "%(ENTRY /c USERID NIL MODSEQ 4 VALUE nobody)"
						   "%(ENTRY /d USERID \"\" MODSEQ 4 VALUE NIL)"))),
			 0);
	one = &r.records.records[0];
	assert_int_equal(one->n_annotations, 3);
	assert_int_equal(one->annotations[0].modseq, 3);
	assert_span(one->annotations[1].userid, "u");
	assert_span(one->annotations[2].entry, "/b");
	/* The mailbox's own: half a set must not replace a whole one. */
	assert_int_equal(apply(&r, "APPLY MAILBOX %(" HEADER
				   " ANNOTATIONS (%(ENTRY /a)) RECORD ())\r\n"),
			 US_EINVAL);
	reading_free(&r);
}

/* ---- forms --------------------------------------------------------------------------------------- */

static void check_form(const struct state_mailbox *m, enum wire_form form, const char *expected)
{
	struct buf out = BUF_INIT;
	struct dlist_writer w = dlist_writer(&out, true);

	wire_put_mailbox(&w, m, form);
	assert_string_equal(out.data, expected);
	buf_free(&out);
}

static void each_form_has_its_fields(void **state UNUSED)
{
	const struct state_record record = {.uid = 1, .modseq = 2, .internaldate = -5};
	struct state_mailbox m = {.uniqueid = SPAN_LIT("u"),
				  .name = SPAN_LIT("n"),
				  .sync_crc = 1,
				  .sync_crc_annot = 2,
				  .has_sync_crc_annot = true,
				  .partition = SPAN_LIT("p"),
				  .has_since = true,
				  .since_modseq = 7,
				  .records = &record,
				  .n_records = 1};
	const struct state_mailbox entry = {.uniqueid = SPAN_LIT("u"),
					    .name = SPAN_LIT("n"),
					    .mboxtype = SPAN_LIT("ei"),
					    .highestmodseq = 3,
					    .foldermodseq = 3};

#define COUNTERS                                                                                  \
	" LAST_UID 0 HIGHESTMODSEQ 0 RECENTUID 0 RECENTTIME 0 LAST_APPENDDATE 0 POP3_LAST_LOGIN " \
	"0 POP3_SHOW_AFTER 0 UIDVALIDITY 0 PARTITION p ACL \"\" OPTIONS \"\""
#define SINCE " SINCE_MODSEQ 7 SINCE_CRC 0 SINCE_CRC_ANNOT 0"
#define ONE                                                                             \
	" RECORD (%(UID 1 MODSEQ 2 LAST_UPDATED 0 FLAGS () INTERNALDATE 0 SIZE 0 GUID " \
	"0000000000000000000000000000000000000000))"
	check_form(&m, WIRE_REPLY,
		   "%(UNIQUEID u MBOXNAME n SYNC_CRC 1 SYNC_CRC_ANNOT 2" COUNTERS ")");
	check_form(&m, WIRE_REPLY_FULL,
		   "%(UNIQUEID u MBOXNAME n SYNC_CRC 1 SYNC_CRC_ANNOT 2" COUNTERS ONE ")");
	check_form(&m, WIRE_APPLY,
		   "%(UNIQUEID u MBOXNAME n SYNC_CRC 1 SYNC_CRC_ANNOT 2" COUNTERS SINCE ONE ")");
	check_form(&m, WIRE_APPLY_PARTIAL,
		   "%(UNIQUEID u MBOXNAME n SYNC_CRC 0" COUNTERS SINCE ONE ")");
	check_form(&entry, WIRE_APPLY,
		   "%(UNIQUEID u MBOXNAME n MBOXTYPE ei HIGHESTMODSEQ 3 FOLDERMODSEQ 3)");
	m.mboxtype = SPAN_LIT("e");
	m.has_since = false;
	m.n_records = 0;
	check_form(&m, WIRE_APPLY,
		   "%(UNIQUEID u MBOXNAME n SYNC_CRC 1 SYNC_CRC_ANNOT 2" COUNTERS " RECORD ())");
}

static void types(void **state UNUSED)
{
	const struct state_mailbox script = {.mboxtype = SPAN_LIT("f")};
	const struct state_mailbox plain = {.mboxtype = SPAN_LIT("")};

	assert_true(wire_type_has(SPAN_LIT(""), 'e'));
	assert_false(wire_type_has(SPAN_LIT(""), 'f'));
	assert_true(wire_type_has(SPAN_LIT("ed"), 'd'));
	assert_true(wire_is_visible(&script, true));
	assert_false(wire_is_visible(&script, false));
	assert_true(wire_is_visible(&plain, false));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_required_field_is_missed),
		cmocka_unit_test(optional_fields_are_marked),
		cmocka_unit_test(entries_need_only_a_name),
		cmocka_unit_test(bad_records_are_noted_where_they_stand),
		cmocka_unit_test(what_a_sink_gives_comes_back),
		cmocka_unit_test(flags_in_all_spellings),
		cmocka_unit_test(too_many_keywords),
		cmocka_unit_test(virtual_annotations_are_fields),
		cmocka_unit_test(odd_virtual_annotations_stay_what_they_are),
		cmocka_unit_test(annotations_are_sorted_and_single),
		cmocka_unit_test(each_form_has_its_fields),
		cmocka_unit_test(types),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
