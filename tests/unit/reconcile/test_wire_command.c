/* test_wire_command.c - commands: what is refused and how, limits, words, and what is passed over. */
#include "tests/unit/reconcile/reading.h"

#define GUID1 "1111111111111111111111111111111111111111"

static void commands_that_make_no_sense(void **state UNUSED)
{
	static const char *const bad[] = {
		"GET",
		"GET\r\n",
		"GET USER",
		"GET USER\r\n",
		"GET (USER bob)",
		"GET USER bob extra",
		"GET USER \"bob",
		"GET USER %bob",
		"GET USER )",
		"GET MAILBOXES (user.bob",
		"GET MAILBOXES (user.bob\r\n)",
		"GET MAILBOXES user.bob)",
		"GET NOSUCH",
		"GET NOSUCH x y",
		"APPLY RENAME %(OLDMBOXNAME",
		"APPLY RENAME %(OLDMBOXNAME)",
		"APPLY RENAME %((x) y)",
		"APPLY SUB %(USERID bob MBOXNAME {5}x\r\nuser.x)",
		"APPLY MESSAGE",
		"APPLY MESSAGE (%{default nothex 5}\r\nhello)",
		"APPLY MESSAGE (%{default " GUID1 " 5}hello)",
		"APPLY MESSAGE (%{default " GUID1 " -5}\r\nhello)",
		"APPLY MESSAGE (%{default " GUID1 "}\r\n)",
		"APPLY MAILBOX",
		"APPLY MAILBOX %(UNIQUEID x",
		"APPLY FORCE",
	};
	struct reading r;

	reading_new(&r);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		if (reading_command(&r, bad[i]) != US_EPROTO)
			fail_msg("taken: %s", bad[i]);
	reading_free(&r);
}

/* Well formed, but something is missing or of a wrong form: read to the end, and US_EINVAL. */
static void commands_that_lack_something(void **state UNUSED)
{
	static const char *const bad[] = {
		"GET FETCH %(MBOXNAME user.bob)\r\n",
		"GET FETCH %(MBOXNAME m PARTITION p UNIQUEID u GUID zz UID 1)\r\n",
		"GET FETCH %(MBOXNAME m PARTITION p UNIQUEID u GUID " GUID1 " UID 4294967296)\r\n",
		"GET FETCH %(MBOXNAME m PARTITION p UNIQUEID u GUID " GUID1 " UID x)\r\n",
		"GET FETCH %(MBOXNAME m PARTITION p UNIQUEID (u) GUID " GUID1 " UID 1)\r\n",
		"GET FETCH_SIEVE bob\r\n",
		"GET FETCH_SIEVE %(USERID bob)\r\n",
		"APPLY RESERVE %(MBOXNAME (user.bob) GUID ())\r\n",
		"APPLY RESERVE %(PARTITION default MBOXNAME (user.bob) GUID (zz))\r\n",
		"APPLY RESERVE %(PARTITION \\flag MBOXNAME (user.bob) GUID (" GUID1 "))\r\n",
		"APPLY RESERVE %(PARTITION default MBOXNAME (user.bob) GUID (" GUID1 " (x)))\r\n",
		"APPLY RESERVE %(PARTITION default MBOXNAME user.bob GUID ())\r\n",
		"APPLY RESERVE %(PARTITION default MBOXNAME (NIL) GUID ())\r\n",
		"APPLY RENAME %(OLDMBOXNAME user.bob)\r\n",
		"APPLY EXPUNGE %(MBOXNAME user.bob UNIQUEID u UID (1 x))\r\n",
		"APPLY EXPUNGE %(MBOXNAME user.bob UNIQUEID u UID 1)\r\n",
		"APPLY QUOTA %(LIMIT 5)\r\n",
		"APPLY QUOTA (ROOT x)\r\n",
		"APPLY SUB %(USERID hank)\r\n",
		"APPLY SUB %(USERID NIL MBOXNAME x)\r\n",
		"APPLY SUB %(userid hank mboxname x)\r\n",
		"APPLY SEEN %(USERID hank UNIQUEID abc)\r\n",
		"APPLY ANNOTATION %(MBOXNAME \"\" ENTRY /comment USERID \"\")\r\n",
		"APPLY SIEVE %(USERID bob FILENAME x.script LAST_UPDATE 1)\r\n",
		"APPLY ACTIVATE_SIEVE %(USERID bob)\r\n",
		"APPLY MAILBOX (x)\r\n",
		"APPLY MAILBOX x\r\n",
		"APPLY MAILBOX %(MBOXNAME x)\r\n",
	};
	struct reading r;

	reading_new(&r);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		if (reading_command(&r, bad[i]) != US_EINVAL || !r.ended)
			fail_msg("%d, %s", r.ended, bad[i]);
		assert_int_equal(r.rest.len, 0);
	}
	reading_free(&r);
}

/* A NUL would cut a name in two, or end a key of the metadata early. */
static void strings_with_nuls(void **state UNUSED)
{
	static const char name[] = "APPLY SUB %(USERID bob MBOXNAME {4+}\r\na\0bc)";
	static const char value[] =
		"APPLY ANNOTATION %(MBOXNAME \"\" ENTRY /comment USERID \"\" VALUE {3+}\r\na\0b)";
	struct reading r;

	reading_new(&r);
	assert_int_equal(reading_command_span(&r, span_make(name, sizeof(name) - 1)), US_EINVAL);
	assert_int_equal(reading_command_span(&r, span_make(value, sizeof(value) - 1)), 0);
	assert_int_equal(r.command.u.annotation.annotation.value.len, 3);
	assert_int_equal(reading_command_span(&r, span_make("GET USER b\0b\r\n", 14)), US_EPROTO);
	reading_free(&r);
}

static void words_and_cases(void **state UNUSED)
{
	static const struct {
		const char *text;
		enum wire_kind kind;
		bool local;
	} lines[] = {
		{"GET meta bob", WIRE_GET_META, false},
		{"GET LOCAL_USER bob", WIRE_KIND_UNKNOWN, false},
		{"GET RENAME %()", WIRE_KIND_UNKNOWN, false},
		{"APPLY USER bob", WIRE_KIND_UNKNOWN, false},
		{"APPLY Unuser bob", WIRE_APPLY_UNUSER, false},
		{"APPLY local_unuser bob", WIRE_APPLY_UNUSER, true},
		{"APPLY LOCAL_QUOTA bob", WIRE_KIND_UNKNOWN, false},
		{"APPLY LOCAL_ bob", WIRE_KIND_UNKNOWN, false},
		{"RESTORE MAILBOX %(MBOXNAME x)", WIRE_KIND_UNKNOWN, false},
	};
	struct reading r;

	reading_new(&r);
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		assert_int_equal(reading_command(&r, lines[i].text), 0);
		assert_int_equal(r.command.kind, lines[i].kind);
		assert_int_equal(r.command.local, lines[i].local);
	}
	reading_free(&r);
}

static void values_of_another_form_are_none(void **state UNUSED)
{
	struct reading r;

	reading_new(&r);
	assert_int_equal(reading_command(&r, "GET USER %(USERID hank)"), 0);
	assert_null(r.command.u.name.ptr);
	assert_int_equal(reading_command(&r, "GET META NIL"), 0);
	assert_null(r.command.u.name.ptr);
	assert_int_equal(reading_command(&r, "GET META \"NIL\""), 0);
	assert_span(r.command.u.name, "NIL");
	assert_int_equal(reading_command(&r, "APPLY UNUSER \"\""), 0);
	assert_non_null(r.command.u.name.ptr);
	assert_int_equal(reading_command(&r, "GET MAILBOXES user.hank"), 0);
	assert_int_equal(r.command.u.names.n, 0);
	assert_int_equal(reading_command(&r, "GET MAILBOXES (a (b) %(c d) e)"), 0);
	assert_int_equal(r.command.u.names.n, 0);
	reading_free(&r);
}

static void keys_in_any_order_and_unknown_ones(void **state UNUSED)
{
	struct reading r;

	reading_new(&r);
	assert_int_equal(reading_command(&r,
					 "APPLY RENAME %(FUTURE (a %(b c) %{p " GUID1
					 " 2}\r\n)( x) PARTITION default NEWMBOXNAME {1}\r\nn "
					 "OLDMBOXNAME o OLDMBOXNAME second UIDVALIDITY \"7\")\r\n"),
			 0);
	assert_span(r.command.u.rename.oldname, "o");
	assert_span(r.command.u.rename.newname, "n");
	assert_int_equal(r.command.u.rename.uidvalidity, 7);
	/* The first of two counts, even if it is of no use. */
	assert_int_equal(reading_command(&r, "APPLY SUB %(USERID (a) USERID b MBOXNAME m)\r\n"),
			 US_EINVAL);
	reading_free(&r);
}

static void quota_limits(void **state UNUSED)
{
	static const struct {
		const char *text;
		int64_t storage, messages;
	} rows[] = {
		{"APPLY QUOTA %(ROOT r)", STATE_NO_LIMIT, STATE_NO_LIMIT},
		{"APPLY QUOTA %(ROOT r LIMIT 7)", 7, STATE_NO_LIMIT},
		{"APPLY QUOTA %(ROOT r LIMIT 4294967295 MESSAGE 5)", STATE_NO_LIMIT, 5},
		{"APPLY QUOTA %(ROOT r STORAGE 8 LIMIT 7 MODSEQ 3)", 8, STATE_NO_LIMIT},
		{"APPLY QUOTA %(ROOT r LIMIT 7 STORAGE 4294967295)", STATE_NO_LIMIT,
		 STATE_NO_LIMIT},
		{"APPLY QUOTA %(ROOT r LIMIT 4294967296)", 4294967296, STATE_NO_LIMIT},
	};
	struct reading r;

	reading_new(&r);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_int_equal(reading_command(&r, rows[i].text), 0);
		assert_int_equal(r.command.u.quota.limit[STATE_STORAGE], rows[i].storage);
		assert_int_equal(r.command.u.quota.limit[STATE_MESSAGE], rows[i].messages);
	}
	reading_free(&r);
}

/* ---- bodies ------------------------------------------------------------------------------------- */

#define TWO "(%{default " GUID1 " 5}\r\nhello x %{p2 " GUID1 " 0}\r\n)\r\n"

static void bodies_are_handed_on(void **state UNUSED)
{
	static const struct {
		const char *text, *bodies;
	} rows[] = {
		{"APPLY MESSAGE " TWO, "default|hello|p2||"},
		{"APPLY MESSAGE ()\r\n", ""},
		{"APPLY MESSAGE x\r\n", ""},
		{"APPLY MESSAGE %(MESSAGE %{default " GUID1 " 5}\r\nhello)\r\n", "default|hello|"},
		{"APPLY MESSAGE ((%{default " GUID1 " 5}\r\nhello))\r\n", ""},
		{"APPLY MESSAGE %{default " GUID1 " 5}\r\nhello\r\n", ""},
	};
	struct reading r;

	reading_new(&r);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_int_equal(reading_command(&r, rows[i].text), 0);
		assert_span(buf_span(&r.bodies), rows[i].bodies);
		assert_true(r.ended);
	}
	r.refuse = US_ENOSPC;
	assert_int_equal(reading_command(&r, "APPLY MESSAGE " TWO), US_ENOSPC);
	assert_true(r.ended); /* the connection goes on behind the command */
	assert_int_equal(r.refused, 1);
	reading_free(&r);
}

/* ---- limits ------------------------------------------------------------------------------------- */

static void one_line_takes_bounded_memory(void **state UNUSED)
{
	struct buf text = BUF_INIT;
	struct reading r;

	reading_new(&r);
	r.limits = (struct dlist_limits){64, 4096, 65536, 4};
	buf_add_str(&text, "GET MAILBOXES (");
	for (int i = 0; i < 5000; i++)
		buf_printf(&text, "user.nobody.%d ", i);
	buf_add_str(&text, ")\r\n");
	assert_int_equal(reading_command_span(&r, buf_span(&text)), US_ELIMIT);
	assert_false(r.ended);
	assert_true(pool_size(r.pool) < 200000);
	assert_int_equal(reading_command(&r, "GET MAILBOXES ((((x))))"), 0);
	assert_int_equal(reading_command(&r, "GET MAILBOXES (((((x)))))"), US_ELIMIT);
	assert_int_equal(reading_command(&r, "GET USER {4097}\r\n"), US_ELIMIT);
	buf_free(&text);
	reading_free(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(commands_that_make_no_sense),
		cmocka_unit_test(commands_that_lack_something),
		cmocka_unit_test(strings_with_nuls),
		cmocka_unit_test(words_and_cases),
		cmocka_unit_test(values_of_another_form_are_none),
		cmocka_unit_test(keys_in_any_order_and_unknown_ones),
		cmocka_unit_test(quota_limits),
		cmocka_unit_test(bodies_are_handed_on),
		cmocka_unit_test(one_line_takes_bounded_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
