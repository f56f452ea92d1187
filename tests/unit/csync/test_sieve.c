/* test_sieve.c - scripts for a peer that knows only files: each order is an edit of the mailbox that holds them. */
#include "tests/unit/csync/peer.h"

#include "server/base/io.h"
#include "server/csync/scripts.h"

#define SIEVE(name, content) \
	"APPLY SIEVE %(USERID bob FILENAME " name " LAST_UPDATE 5 CONTENT " content ")"
#define ORDER(word, name) "APPLY " word " %(USERID bob FILENAME " name ")"
#define KEEP              "1264bdfe5ff3215cf6abac2152fff607f7dc78dc"

/* The lines without their dates: those are of this moment. */
static const char *scripts(struct peer *p)
{
	static char out[1000];
	struct span rest, line;

	peer_say(p, "GET META bob");
	out[0] = '\0';
	for (rest = buf_span(&p->answer); rest.len && span_split(&rest, '\n', &line);) {
		const char *at = strstr(line.ptr, "FILENAME ");
		if (!span_starts(line, "* SIEVE"))
			continue;
		snprintf(out + strlen(out), sizeof(out) - strlen(out), "%.*s%s ",
			 (int)strcspn(at + 9, " "), at + 9,
			 strstr(line.ptr, "ISACTIVE 1") == line.ptr + line.len - 12 ? "!" : "");
	}
	return out;
}

static void the_life_of_two_scripts(void **state)
{
	struct peer *p = *state;

	assert_said(p, SIEVE("main.script", "keep;"), OK);
	assert_string_equal(p->rig->heard.data, "MAILBOX user.bob.#sieve\nAPPEND user.bob.#sieve\n"
						"MAILBOX user.bob.#sieve\n");
	assert_string_equal(scripts(p), "main.script ");
	assert_said(p, SIEVE("other.script", "{7+}\r\ndiscard"), OK);
	assert_said(p, ORDER("ACTIVATE_SIEVE", "main.bc"), OK);
	assert_string_equal(scripts(p), "main.script main.bc! other.script ");
	assert_said(p, ORDER("ACTIVATE_SIEVE", "other.bc"), OK);
	assert_string_equal(scripts(p), "main.script other.script other.bc! ");
	/* A new content is another message; what was active stays so. */
	assert_said(p, SIEVE("other.script", "stop"), OK);
	assert_string_equal(scripts(p), "main.script other.script other.bc! ");
	assert_said(p, "GET FETCH_SIEVE %(USERID bob FILENAME other.script)",
		    "* SIEVE %(USERID bob FILENAME other.script CONTENT stop)\r\n" OK);
	assert_said(p, "APPLY UNACTIVATE_SIEVE %(USERID bob)", OK);
	assert_string_equal(scripts(p), "main.script other.script ");
	assert_said(p, ORDER("UNSIEVE", "main.script"), OK);
	assert_string_equal(scripts(p), "other.script ");
}

/* It comes with the mailbox, where nobody asks how long a message is. */
static void what_is_too_big_is_no_script(void **state)
{
	struct peer *p = *state;
	struct buf text = BUF_INIT;

	assert_said(p, SIEVE("main.script", "keep;"), OK);
	buf_add_str(&text, "Subject: huge\r\n\r\n");
	while (text.len <= SCRIPT_MAX + SCRIPT_HEAD)
		buf_add_str(&text, "# twenty octets each\r\n");
	rig_append(p->rig, "user.bob.#sieve", text.data, 0);
	buf_free(&text);
	assert_string_equal(scripts(p), "main.script ");
	assert_said(p, ORDER("ACTIVATE_SIEVE", "main.bc"), OK);
	assert_string_equal(scripts(p), "main.script main.bc! ");
}

static void again_is_well_and_changes_nothing(void **state)
{
	static const char *const orders[] = {
		SIEVE("main.script", "keep"),
		ORDER("ACTIVATE_SIEVE", "main.bc"),
	};
	struct peer *p = *state;

	for (size_t i = 0; i < ARRAY_SIZE(orders); i++) {
		assert_said(p, orders[i], OK);
		buf_clear(&p->rig->heard);
		assert_said(p, orders[i], OK);
		assert_string_equal(p->rig->heard.data, "");
	}
}

static void what_is_refused_and_what_is_passed_over(void **state)
{
	struct peer *p = *state;

	assert_said(p, SIEVE("notascript.txt", "x"), OK);
	assert_said(p, SIEVE(".script", "x"), OK);
	assert_said(p, ORDER("UNSIEVE", "none.bc"), OK);
	assert_said(p, "APPLY UNACTIVATE_SIEVE %(USERID bob)", OK);
	peer_must_lack(p, "user.bob.#sieve"); /* none of these makes a mailbox */
	assert_said(p, ORDER("UNSIEVE", "none.script"), UNKNOWN_ERROR);
	assert_said(p, ORDER("ACTIVATE_SIEVE", "none.bc"), UNKNOWN_ERROR);
	assert_said(p, "GET FETCH_SIEVE %(USERID bob FILENAME none.script)", NONEXISTENT);
	assert_said(p, SIEVE("main.script", "keep"), OK);
	assert_said(p, ORDER("UNSIEVE", "none.script"), UNKNOWN_ERROR);
	assert_said(p, ORDER("ACTIVATE_SIEVE", "main.script"), UNKNOWN_ERROR);
	assert_said(p, "GET FETCH_SIEVE %(USERID bob FILENAME main.bc)", NONEXISTENT);
	assert_said(p, SIEVE("\"../x.script\"", "keep"), BAD_PARAMETERS);
	assert_said(p, SIEVE("{11+}\r\nx\r\ny.script", "keep"), BAD_PARAMETERS);
	assert_said(p, "APPLY SIEVE %(USERID \"\" FILENAME a.script LAST_UPDATE 1 CONTENT x)",
		    BAD_PARAMETERS);
	assert_said(p, "APPLY SIEVE %(USERID bob FILENAME a.script CONTENT x)", BAD_PARAMETERS);
	assert_string_equal(scripts(p), "main.script ");
}

/* What were too long to be read again does not get in: he could not be compared any more. */
static void a_name_has_a_bound(void **state)
{
	struct peer *p = *state;
	struct buf line = BUF_INIT;

	for (size_t n = SCRIPT_HEAD / 2; n <= SCRIPT_HEAD / 2 + 1; n++) {
		buf_clear(&line);
		buf_add_str(&line, "APPLY SIEVE %(USERID bob FILENAME ");
		for (size_t i = 0; i < n; i++)
			buf_add_char(&line, 'n');
		buf_add_str(&line, ".script LAST_UPDATE 5 CONTENT keep)");
		if (n == SCRIPT_HEAD / 2)
			assert_said(p, line.data, OK);
		else
			assert_string_not_equal(peer_say(p, line.data), OK);
		assert_non_null(strstr(peer_say(p, "GET META bob"), OK));
	}
	buf_free(&line);
}

/* With SIEVE-MAILBOX the same scripts are messages, of the form Cyrus has. */
static void they_are_messages(void **state)
{
	struct peer *p = *state;
	struct mailbox *m;
	struct buf text = BUF_INIT;
	struct us_err err;
	const struct record *r;

	assert_said(p, SIEVE("\"vac two.script\"", "keep"), OK);
	assert_said(p, ORDER("ACTIVATE_SIEVE", "\"vac two.bc\""), OK);
	m = rig_mailbox(p->rig, "user.bob.#sieve");
	assert_span(m->row.type, "f");
	r = view_find(&m->view, 1);
	assert_int_equal(r->system_flags, FLAG_FLAGGED);
	assert_ok(io_read_file(m->dir, "1.", 10000, &text, &err), &err);
	assert_memory_equal(text.data,
			    "From: <bob@b.example.net>\r\nSubject: vac two\r\nDate: ", 51);
	assert_non_null(strstr(text.data, "\r\nMessage-ID: <" KEEP "@b.example.net>\r\n"));
	assert_non_null(strstr(text.data,
			       "\r\nContent-Type: application/sieve; charset=utf-8\r\n"
			       "Content-Length: 4\r\nContent-Disposition: attachment;\r\n"
			       "\tfilename=\""));
	assert_non_null(strstr(text.data, ".sieve\"\r\nMIME-Version: 1.0\r\n\r\nkeep"));
	rig_check_counters(m);
	mailbox_close(&m);
	buf_free(&text);
	assert_said(p, "APPLY CAPABILITIES (SIEVE-MAILBOX)", "* ENABLED (SIEVE-MAILBOX)\r\n" OK);
	assert_said(p, "GET META bob", OK);
	assert_non_null(strstr(peer_say(p, "GET MAILBOXES (user.bob.#sieve)"), "MBOXTYPE f"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, peer_setup, peer_teardown)
	const struct CMUnitTest tests[] = {
		TEST(the_life_of_two_scripts),
		TEST(what_is_too_big_is_no_script),
		TEST(again_is_well_and_changes_nothing),
		TEST(what_is_refused_and_what_is_passed_over),
		TEST(a_name_has_a_bound),
		TEST(they_are_messages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
