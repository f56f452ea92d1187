/* test_wire_item.c - lines of an answer that must be refused, and a user gathered from lines and told again. */
#include "tests/unit/reconcile/reading.h"

#define GUID1 "1111111111111111111111111111111111111111"
#define MAILBOX                                                                                \
	"UNIQUEID u MBOXNAME user.bob SYNC_CRC 1 SYNC_CRC_ANNOT 2 LAST_UID 3 HIGHESTMODSEQ 4 " \
	"RECENTUID 5 RECENTTIME 6 LAST_APPENDDATE 7 POP3_LAST_LOGIN 8 POP3_SHOW_AFTER 0 "      \
	"UIDVALIDITY 9 PARTITION p ACL \"bob\tlr\t\" OPTIONS P"

static void lines_that_are_refused(void **state UNUSED)
{
	static const struct {
		const char *text;
		bool ended;
	} bad[] = {
		{"MAILBOX x\r\n", false},
		{"* \r\n", true},
		{"* (MAILBOX) x\r\n", false},
		{"* MAILBOX\r\n", true},
		{"* MAILBOX %(\r\n", false},
		{"* MAILBOX %(UNIQUEID u)\r\n", true},
		{"* MAILBOX %(" MAILBOX " RECORD (%(UID 1)))\r\n", true},
		{"* MAILBOX x\r\n", true},
		{"* QUOTA %(LIMIT 3)\r\n", true},
		{"* QUOTA (ROOT x)\r\n", true},
		{"* SEEN %(UNIQUEID u LASTREAD 1 LASTUID 1 LASTCHANGE 1)\r\n", true},
		{"* SEEN %(UNIQUEID u LASTREAD -1 LASTUID 1 LASTCHANGE 1 SEENUIDS 1)\r\n", true},
		{"* LSUB user.bob\r\n", true},
		{"* LSUB (user.bob (x))\r\n", true},
		{"* SIEVE %(FILENAME a.script LAST_UPDATE 1 GUID " GUID1 ")\r\n", true},
		{"* SIEVE %(FILENAME a.script CONTENT x)\r\n", true},
		{"* MESSAGE x\r\n", true},
		{"* MESSAGE (%{p " GUID1 " 2}\r\nhi)\r\n", true},
		{"* ANNOTATION %(MBOXNAME \"\" ENTRY /comment USERID \"\")\r\n", true},
		{"* MISSING (zz)\r\n", true},
		{"* mailbox %(" MAILBOX ")\r\n", true},
		{"* BYE shutting\r\n", true},
		{"* 5 EXISTS\r\n", true},
		{"* ENABLED () more\r\n", false},
	};
	struct reading r;

	reading_new(&r);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		if (reading_item(&r, bad[i].text) != US_EPROTO || r.ended != bad[i].ended)
			fail_msg("%d: %s", r.ended, bad[i].text);
	reading_free(&r);
}

static void a_message_and_no_message(void **state UNUSED)
{
	struct reading r;

	reading_new(&r);
	assert_int_equal(reading_item(&r, "* MESSAGE %{p " GUID1 " 2}\r\nhi\r\n"), 0);
	assert_span(buf_span(&r.bodies), "p|hi|");
	assert_true(r.item.u.file.present);
	assert_int_equal(reading_item(&r, "* MESSAGE NIL\r\n"), 0);
	assert_span(buf_span(&r.bodies), "NIL|");
	assert_false(r.item.u.file.present);
	r.refuse = US_ENOSPC;
	assert_int_equal(reading_item(&r, "* MESSAGE %{p " GUID1 " 2}\r\nhi\r\n"), US_ENOSPC);
	assert_true(r.ended);
	reading_free(&r);
}

static void scripts_are_listed_or_given(void **state UNUSED)
{
	struct reading r;

	reading_new(&r);
	assert_int_equal(reading_item(&r, "* SIEVE %(FILENAME a.bc LAST_UPDATE 1 GUID " GUID1
					  " ISACTIVE 1)\r\n"),
			 0);
	assert_int_equal(r.item.kind, WIRE_ITEM_SIEVE);
	assert_true(r.item.u.sieve.script.active);
	assert_int_equal(reading_item(&r, "* SIEVE %(USERID b FILENAME a.script CONTENT "
					  "{5}\r\nkeep;)\r\n"),
			 0);
	assert_int_equal(r.item.kind, WIRE_ITEM_SIEVE_CONTENT);
	assert_span(r.item.u.sieve.content, "keep;");
	reading_free(&r);
}

static const char *const user_lines[] = {
	"* MAILBOX %(" MAILBOX ")\r\n",
	"* MAILBOX %(UNIQUEID s MBOXNAME user.bob.#sieve MBOXTYPE f SYNC_CRC 0 SYNC_CRC_ANNOT "
	"12345678 LAST_UID 0 HIGHESTMODSEQ 1 RECENTUID 0 RECENTTIME 0 LAST_APPENDDATE 0 "
	"POP3_LAST_LOGIN 0 POP3_SHOW_AFTER 0 UIDVALIDITY 9 PARTITION p ACL \"\" OPTIONS P)\r\n",
	"* QUOTA %(ROOT user.bob LIMIT 5 STORAGE 5 MODSEQ 1)\r\n",
	"* SEEN %(UNIQUEID x LASTREAD 1 LASTUID 2 LASTCHANGE 3 SEENUIDS 1:2)\r\n",
	"* SEEN %(UNIQUEID y LASTREAD 1 LASTUID 2 LASTCHANGE 3 SEENUIDS \"\")\r\n",
	"* LSUB (user.bob user.bob.a)\r\n",
	"* SIEVE %(FILENAME a.script LAST_UPDATE 1 GUID " GUID1 " ISACTIVE 0)\r\n",
};

static void a_user_from_lines_and_back(void **state UNUSED)
{
	struct buf all = BUF_INIT, out = BUF_INIT;
	struct dlist_writer w = dlist_writer(&out, false);
	struct pool *pool = pool_new();
	struct wire_user user = {.pool = pool};
	struct us_err err;

	for (size_t i = 0; i < ARRAY_SIZE(user_lines); i++) {
		struct span rest = span_of(user_lines[i]);
		struct dlist_lexer lx;
		struct wire_item item;

		buf_add_str(&all, user_lines[i]);
		dlist_lexer_init(&lx, dlist_source_span(&rest), NULL);
		assert_ok(wire_read_item(&lx, pool, NULL, NULL, &item, &err), &err);
		assert_ok(wire_user_add(&user, &item, &err), &err);
		dlist_lexer_fini(&lx);
	}
	assert_int_equal(user.state.n_mailboxes, 2);
	assert_int_equal(user.state.n_seen, 2);
	wire_put_user(&w, &user.state, false);
	assert_null(strstr(out.data, "#sieve")); /* a mailbox of scripts, or their lines */
	assert_non_null(strstr(out.data, "* SIEVE"));
	buf_clear(&out);
	wire_put_user(&w, &user.state, true);
	assert_null(strstr(out.data, "* SIEVE"));
	buf_truncate(&all, all.len - strlen(user_lines[ARRAY_SIZE(user_lines) - 1]));
	assert_string_equal(out.data, all.data);
	pool_free(&pool);
	buf_free(&all);
	buf_free(&out);
}

static void a_user_has_no_other_lines(void **state UNUSED)
{
	struct wire_user user = {.pool = pool_new()};
	struct wire_item item = {.kind = WIRE_ITEM_MISSING};

	assert_int_equal(wire_user_add(&user, &item, NULL), US_EPROTO);
	pool_free(&user.pool);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_that_are_refused),
		cmocka_unit_test(a_message_and_no_message),
		cmocka_unit_test(scripts_are_listed_or_given),
		cmocka_unit_test(a_user_from_lines_and_back),
		cmocka_unit_test(a_user_has_no_other_lines),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
