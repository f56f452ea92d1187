/* test_get.c - what GET shows, and in which order. */
#include "tests/unit/csync/peer.h"

#include <fcntl.h>

#include "server/base/io.h"

static void put(struct peer *p, const char *name, const char *uniqueid, const char *type)
{
	struct box b = box_new(name, uniqueid);

	b.m.mboxtype = span_of(type);
	assert_string_equal(peer_apply(p, &b), OK);
}

/* The words behind MBOXNAME in the answer, then the names of all other lines. */
static char *outline(struct peer *p)
{
	struct span rest = buf_span(&p->answer), line;
	struct buf out = BUF_INIT;

	while (rest.len && span_split(&rest, '\n', &line)) {
		struct span word, name = SPAN_NULL;
		const char *at =
			span_starts(line, "* MAILBOX") ? strstr(line.ptr, "MBOXNAME ") : NULL;
		if (at)
			name = span_make(at + 9, strcspn(at + 9, " "));
		else if (span_starts(line, "* ") && span_word(&line, &word) &&
			 span_word(&line, &word))
			name = word;
		buf_add_span(&out, name);
		buf_add_str(&out, name.len ? " " : "");
	}
	return buf_steal(&out, NULL);
}

#define assert_outline(p, command, expected)          \
	do {                                          \
		char *text_;                          \
		peer_say(p, command);                 \
		text_ = outline(p);                   \
		assert_string_equal(text_, expected); \
		free(text_);                          \
	} while (0)

static void a_user_in_order(void **state)
{
	struct peer *p = *state;

	assert_said(p, "APPLY CAPABILITIES (SIEVE-MAILBOX)", "* ENABLED (SIEVE-MAILBOX)\r\n" OK);
	put(p, "user.bob.Work", "1", "");
	put(p, "DELETED.user.bob.Old.6B04BB69", "2", "");
	put(p, "user.bob.#sieve", "3", "f");
	put(p, "user.bob", "4", "");
	put(p, "user.bob.Work.deep", "5", "");
	put(p, "user.bob2", "6", "");
	put(p, "user.bob.mid", "7", "ei");
	assert_said(p, "APPLY SUB %(USERID bob MBOXNAME user.bob.Work)", OK);
	assert_said(p, "APPLY SUB %(USERID bob MBOXNAME user.bob)", OK);
	assert_said(p,
		    "APPLY SEEN %(USERID bob UNIQUEID x LASTREAD 1 LASTUID 2 LASTCHANGE 3 SEENUIDS "
		    "1)",
		    OK);
	assert_said(p, "APPLY QUOTA %(ROOT user.bob LIMIT 5 STORAGE 5 MODSEQ 3)", OK);
	assert_said(p, "APPLY QUOTA %(ROOT user.bob.Work LIMIT 6 STORAGE 6 MODSEQ 4)", OK);
	assert_outline(p, "GET USER bob",
		       "user.bob user.bob.#sieve user.bob.Work user.bob.Work.deep user.bob.mid "
		       "DELETED.user.bob.Old.6B04BB69 QUOTA QUOTA SEEN LSUB ");
	assert_outline(p, "GET META bob", "SEEN LSUB ");
	assert_non_null(strstr(peer_say(p, "GET META bob"), "* LSUB (user.bob user.bob.Work)\r\n"));
	peer_disconnect(p);
	peer_connect(p); /* without the capability scripts are lines, and their mailbox is hidden */
	assert_outline(p, "GET USER bob",
		       "user.bob user.bob.Work user.bob.Work.deep user.bob.mid "
		       "DELETED.user.bob.Old.6B04BB69 QUOTA QUOTA SEEN LSUB ");
	assert_said(p, "GET MAILBOXES (user.bob.#sieve)", OK);
	assert_said(p, "GET UNIQUEIDS (3)", OK);
	assert_said(p, "GET FULLMAILBOX user.bob.#sieve", NONEXISTENT);
}

/* Subscriptions of a user without a mailbox are META's, not USER's. */
static void a_user_without_mailboxes(void **state)
{
	struct peer *p = *state;

	assert_said(p, "GET USER nobody", OK);
	assert_said(p, "GET USER \"\"", OK);
	assert_said(p, "GET USER %(USERID bob)", OK);
	assert_said(p, "GET META %(USERID bob)", OK);
	assert_said(p, "APPLY SUB %(USERID nobody MBOXNAME user.x)", OK);
	assert_said(p, "GET USER nobody", OK);
	assert_said(p, "GET META nobody", "* LSUB (user.x)\r\n" OK);
	put(p, "user.nobody.mid", "1", "ei");
	assert_outline(p, "GET USER nobody", "user.nobody.mid ");
	put(p, "user.nobody", "2", "ei");
	assert_outline(p, "GET USER nobody", "user.nobody user.nobody.mid ");
}

static void mailboxes_in_the_order_asked(void **state)
{
	struct peer *p = *state;

	put(p, "user.bob", "1", "");
	put(p, "user.bob.a", "2", "");
	assert_outline(p, "GET MAILBOXES (user.bob.a user.x user.bob user.bob.a)",
		       "user.bob.a user.bob user.bob.a ");
	assert_outline(p, "GET UNIQUEIDS (2 3 1)", "user.bob.a user.bob ");
	assert_said(p, "GET MAILBOXES user.bob", OK);
	assert_said(p, "GET MAILBOXES ()", OK);
}

static void full_mailbox(void **state)
{
	struct peer *p = *state;
	struct box b = peer_three(p);

	peer_must_have(p, &b);
	assert_said(p, "GET FULLMAILBOX user.nosuch", NONEXISTENT);
	assert_said(p, "GET FULLMAILBOX (user.bob)", NONEXISTENT);
	assert_said(p, "GET FULLMAILBOX \"\"", NONEXISTENT);
	put(p, "user.bob.mid", "7", "ei");
	assert_null(strstr(peer_say(p, "GET FULLMAILBOX user.bob.mid"), "RECORD"));
	assert_int_equal(peer_code(p), 0);
}

static void quota_and_annotations(void **state)
{
	struct peer *p = *state;

	put(p, "user.bob", "1", "");
	assert_said(p, "GET QUOTA user.bob", OK);
	assert_said(p, "APPLY QUOTA %(ROOT user.bob LIMIT 4294967295 MESSAGE 300 MODSEQ 5)", OK);
	assert_said(p, "GET QUOTA user.bob",
		    "* QUOTA %(ROOT user.bob LIMIT 4294967295 MESSAGE 300 MODSEQ 5)\r\n" OK);
	assert_non_null(strstr(peer_say(p, "GET MAILBOXES (user.bob)"), "QUOTAROOT user.bob"));
	assert_said(p, "GET ANNOTATION \"\"", OK);
	assert_said(p,
		    "APPLY ANNOTATION %(MBOXNAME \"\" ENTRY /comment USERID \"\" VALUE \"a note\")",
		    OK);
	assert_said(p, "GET ANNOTATION \"\"",
		    "* ANNOTATION %(MBOXNAME \"\" ENTRY /comment USERID \"\" VALUE \"a "
		    "note\")\r\n" OK);
	assert_said(p, "APPLY ANNOTATION %(MBOXNAME user.bob ENTRY /comment USERID bob VALUE x)",
		    OK);
	assert_said(p, "GET ANNOTATION user.bob",
		    "* ANNOTATION %(MBOXNAME user.bob ENTRY /comment USERID bob VALUE x)\r\n" OK);
	assert_said(p, "GET ANNOTATION user.nosuch", OK);
}

/* ---- FETCH -------------------------------------------------------------------------------------- */

static const char *fetch(struct peer *p, const char *uniqueid, const char *text, unsigned uid)
{
	struct guid guid = guid_of(span_of(text));
	char hex[GUID_HEX], *command;
	const char *answer;

	guid_format(&guid, hex);
	command = us_asprintf("GET FETCH %%(MBOXNAME user.bob PARTITION p9 UNIQUEID %s GUID %s UID "
			      "%u)",
			      uniqueid, hex, uid);
	answer = peer_say(p, command);
	free(command);
	return answer;
}

static void one_message(void **state)
{
	struct peer *p = *state;
	struct mailbox *m;
	struct us_err err;
	int fd;

	peer_three(p);
	assert_string_equal(fetch(p, "uniqueid-bob", "one", 1),
			    "* MESSAGE %{p9 fe05bcdcdc4928012781a5f1a2a77cbb5398e106 "
			    "3}\r\none\r\n" OK);
	assert_string_equal(fetch(p, "uniqueid-bob", "other", 1), "* MESSAGE NIL\r\n" OK);
	assert_string_equal(fetch(p, "another", "one", 1), NONEXISTENT);
	assert_string_equal(fetch(p, "uniqueid-bob", "two", 2), NONEXISTENT); /* no file */
	assert_string_equal(fetch(p, "uniqueid-bob", "one", 9), NONEXISTENT);
	assert_said(p, "GET FETCH %(MBOXNAME user.bob)", BAD_PARAMETERS);
	/* What the file is not must not go out. */
	m = rig_mailbox(p->rig, "user.bob");
	assert_ok(io_open(NULL, m->dir, "1.", O_WRONLY, 0, &fd, &err), &err);
	assert_int_equal(pwrite(fd, "X", 1, 0), 1);
	close(fd);
	assert_string_equal(fetch(p, "uniqueid-bob", "one", 1), "* MESSAGE NIL\r\n" OK);
	assert_int_equal(unlinkat(m->dir, "1.", 0), 0);
	assert_string_equal(fetch(p, "uniqueid-bob", "one", 1), NONEXISTENT);
	mailbox_close(&m);
}

/* ---- commands that are none --------------------------------------------------------------------- */

static void words_nobody_knows(void **state)
{
	struct peer *p = *state;

	assert_said(p, "GET NOSUCH x", PROTOCOL);
	assert_said(p, "APPLY NOSUCH %()", PROTOCOL);
	assert_said(p, "APPLY LOCAL_SUB %(USERID a MBOXNAME b)", PROTOCOL);
	assert_said(p, "RESTORE MAILBOX %(MBOXNAME x)", PROTOCOL);
}

/* The rest of a malformed line goes with it, literals and bodies too. */
static void lines_that_make_no_sense(void **state)
{
	static const char *const bad[] = {
		"GET",
		"GET USER",
		"GET (USER bob)",
		"GET USER bob extra",
		"GET USER bob {3+}\r\nxyz {2}\r\n\r\n end",
		"GET MAILBOXES (user.bob",
		"GET MAILBOXES ((((((((((((((((((((((((",
		"GET USER %x (%{p 1111111111111111111111111111111111111111 5}\r\nGET X)",
	};
	struct peer *p = *state;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_said(p, bad[i], "BAD IMAP_PROTOCOL_ERROR Failed to parse GET line\r\n");
		assert_said(p, "GET USER nobody", OK);
	}
	assert_said(p, "APPLY MESSAGE (%{default nothex 5}\r\nhello)",
		    "BAD IMAP_PROTOCOL_ERROR Failed to parse APPLY line\r\n");
	assert_said(p, "APPLY SUB", "BAD IMAP_PROTOCOL_ERROR Failed to parse APPLY line\r\n");
	assert_said(p, "GET USER nobody", OK);
}

/* The client is gone in the middle of a line: what it says may be the beginning of something else. */
static void a_command_that_was_cut_off(void **state)
{
	static const char *const cut[] = {"APPLY UNUSER bob", "APPLY UNMAILBOX user.bob",
					  "APPLY UNUSER {3+}\r\nbob", "APPLY UNUSER bob\r"};

	for (size_t i = 0; i < ARRAY_SIZE(cut); i++) {
		struct peer *p = *state;
		struct box b = peer_three(p);
		struct us_err err;

		stream_write_str(p->ends[0], cut[i]);
		assert_ok(stream_flush(p->ends[0], &err), &err);
		stream_free(&p->ends[0]);
		(void)peer_serve(p, &err); /* an error, or an answer nobody hears */
		peer_disconnect(p);
		peer_connect(p);
		peer_must_have(p, &b);
		assert_said(p, "APPLY UNUSER bob", OK);
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, peer_setup, peer_teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_user_in_order),
		TEST(a_user_without_mailboxes),
		TEST(mailboxes_in_the_order_asked),
		TEST(full_mailbox),
		TEST(quota_and_annotations),
		TEST(one_message),
		TEST(words_nobody_knows),
		TEST(lines_that_make_no_sense),
		TEST(a_command_that_was_cut_off),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
