/* test_apply.c - every order but MAILBOX: what it does, what it announces, how it is refused, and that again is well. */
#include "tests/unit/csync/peer.h"

#include <dirent.h>
#include <fcntl.h>

#include "server/base/io.h"
#include "server/store/partition.h"

#define GUID1 "1111111111111111111111111111111111111111"
#define ONE   "fe05bcdcdc4928012781a5f1a2a77cbb5398e106" /* of "one" */

#define assert_heard(p, expected)                                    \
	do {                                                         \
		assert_string_equal((p)->rig->heard.data, expected); \
		buf_clear(&(p)->rig->heard);                         \
	} while (0)

static void hush(struct peer *p)
{
	buf_clear(&p->rig->heard);
}

static struct box put(struct peer *p, const char *name, const char *uniqueid)
{
	struct box b = box_new(name, uniqueid);

	assert_string_equal(peer_apply(p, &b), OK);
	hush(p);
	return b;
}

static void capabilities(void **state)
{
	struct peer *p = *state;

	assert_said(p, "APPLY CAPABILITIES (NONE SIEVE-MAILBOX)",
		    "* ENABLED (SIEVE-MAILBOX)\r\n" OK);
	assert_said(p, "APPLY CAPABILITIES (NONE)", "* ENABLED ()\r\n" OK);
	assert_said(p, "APPLY CAPABILITIES ()", "* ENABLED ()\r\n" OK);
	assert_said(p, "APPLY CAPABILITIES x", "* ENABLED ()\r\n" OK);
}

/* ---- RESERVE, MESSAGE ------------------------------------------------------------------------------ */

#define RESERVE(names, guids) \
	"APPLY RESERVE %(PARTITION default MBOXNAME (" names ") GUID (" guids "))"

static void bodies_that_are_here_are_reserved(void **state)
{
	struct peer *p = *state;
	struct box b = peer_three(p), copy = box_new("user.bob.copy", "copy");

	hush(p);
	csync_restart(p->cs);
	assert_said(p, RESERVE("user.nosuch user.bob", GUID1 " " ONE " " GUID1),
		    "* MISSING (" GUID1 ")\r\n" OK);
	assert_said(p, RESERVE("", ONE), OK); /* staged already */
	assert_said(p, RESERVE("", ""), OK);
	/* From another partition too: a copy then. */
	assert_said(p, "APPLY RESERVE %(PARTITION p2 MBOXNAME (user.bob) GUID (" ONE "))", OK);
	assert_heard(p, "");
	/* It stays although the message goes. */
	assert_said(p, "APPLY UNMAILBOX user.bob", OK);
	box_add(&copy, "one", 0);
	assert_string_equal(peer_apply(p, &copy), OK);
	peer_must_have(p, &copy);
	csync_restart(p->cs);
	assert_said(p, RESERVE("", ONE), "* MISSING (" ONE ")\r\n" OK);
	(void)b;
}

/* An expunged record's file counts as long as it is there; a damaged one does not. */
static void only_sound_files_are_reserved(void **state)
{
	struct peer *p = *state;
	struct mailbox *m;
	int fd;

	peer_three(p);
	csync_restart(p->cs);
	assert_said(p, "APPLY EXPUNGE %(MBOXNAME user.bob UNIQUEID uniqueid-bob UID (1))", OK);
	assert_said(p, RESERVE("user.bob", ONE), OK);
	csync_restart(p->cs);
	m = rig_mailbox(p->rig, "user.bob");
	fd = openat(m->dir, "1.", O_WRONLY);
	assert_int_equal(pwrite(fd, "X", 1, 0), 1);
	close(fd);
	mailbox_close(&m);
	assert_said(p, RESERVE("user.bob", ONE), "* MISSING (" ONE ")\r\n" OK);
}

static void reserve_without_its_fields(void **state)
{
	struct peer *p = *state;

	assert_said(p, RESERVE("user.bob", "zz"), BAD_PARAMETERS);
	assert_said(p, "APPLY RESERVE %(MBOXNAME (user.bob) GUID ())", BAD_PARAMETERS);
	assert_said(p, "APPLY RESERVE %(PARTITION default GUID ())", BAD_PARAMETERS);
	assert_said(p, "APPLY RESERVE %(PARTITION \"a b\" MBOXNAME () GUID ())", BAD_PARAMETERS);
}

static void many_guids_in_the_order_asked(void **state)
{
	struct peer *p = *state;
	struct buf command = BUF_INIT, expected = BUF_INIT;

	peer_body(p, "one");
	buf_add_str(&command, "APPLY RESERVE %(PARTITION default MBOXNAME () GUID (");
	buf_add_str(&expected, "* MISSING (");
	for (unsigned i = 0; i < 3000; i++) {
		unsigned n = i * 7919 % 3000; /* each once, in disorder */
		buf_printf(&command, "%s%040x", i ? " " : "", n);
		buf_printf(&expected, "%s%040x", i ? " " : "", n);
		if (i % 100 == 0)
			buf_add_str(&command, " " ONE);
	}
	buf_add_str(&command, "))\r\n");
	buf_add_str(&expected, ")\r\n" OK);
	assert_string_equal(peer_send(p, buf_span(&command)), expected.data);
	buf_free(&command);
	buf_free(&expected);
}

static void bodies_are_staged(void **state)
{
	struct peer *p = *state;

	assert_said(p, "APPLY MESSAGE ()", OK);
	assert_said(p, "APPLY MESSAGE (x)", OK);
	/* Of a partition we do not have: where bytes lie is our business. */
	assert_said(p, "APPLY MESSAGE (%{nopart " ONE " 3}\r\none)", OK);
	assert_said(p, "APPLY RESERVE %(PARTITION nopart MBOXNAME () GUID (" ONE "))", OK);
	csync_restart(p->cs);
	/* One that is not what its guid says is taken and forgotten. */
	assert_said(p, "APPLY MESSAGE (%{default " ONE " 3}\r\ntwo)", OK);
	assert_said(p, RESERVE("", ONE), "* MISSING (" ONE ")\r\n" OK);
	assert_said(p, "APPLY MESSAGE (%{default " ONE " 3}\r\none)", OK);
	assert_said(p, RESERVE("", ONE), OK);
	assert_said(p, "APPLY MESSAGE (%{default " GUID1 "}\r\none)",
		    "BAD IMAP_PROTOCOL_ERROR Failed to parse APPLY line\r\n");
}

static unsigned count_files(const char *path)
{
	DIR *d = opendir(path);
	unsigned n = 0;

	assert_non_null(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n - 2;
}

static void nothing_staged_outlives_the_connection(void **state)
{
	struct peer *p = *state;
	char path[120];

	snprintf(path, sizeof(path), "%s/stage", p->rig->spool);
	peer_body(p, "one");
	assert_int_equal(count_files(path), 1);
	peer_disconnect(p);
	assert_int_equal(count_files(path), 0);
	peer_connect(p);
}

/* ---- RENAME, UNMAILBOX, UNUSER ---------------------------------------------------------------------- */

#define RENAME(from, to, partition)                                                   \
	"APPLY RENAME %(OLDMBOXNAME " from " NEWMBOXNAME " to " PARTITION " partition \
	" UIDVALIDITY 1001)"

static void renames(void **state)
{
	struct peer *p = *state;
	struct box b = peer_three(p);

	hush(p);
	assert_said(p, RENAME("user.bob", "user.bob.new", "default"), OK);
	assert_heard(p, "MAILBOX user.bob\nRENAME user.bob user.bob.new\nMAILBOX "
			"user.bob\nMAILBOX user.bob.new\n");
	b.m.name = SPAN_LIT("user.bob.new");
	b.m.uidvalidity = 1001;
	peer_must_have(p, &b);
	peer_must_lack(p, "user.bob");
	assert_said(p, RENAME("user.bob", "user.bob.new", "default"), NONEXISTENT); /* again */
	/* Only the partition: the bytes move with it. */
	hush(p);
	assert_said(p, RENAME("user.bob.new", "user.bob.new", "p2"), OK);
	b.m.partition = SPAN_LIT("p2");
	peer_must_have(p, &b);
	/* A name we do not have is kept, and sent back. */
	assert_said(p, RENAME("user.bob.new", "DELETED.user.bob.new.6B04BB69", "theirs"), OK);
	b.m.name = SPAN_LIT("DELETED.user.bob.new.6B04BB69");
	b.m.partition = SPAN_LIT("theirs");
	peer_must_have(p, &b);
	b = put(p, "user.bob", "other");
	assert_said(p, RENAME("user.bob", "DELETED.user.bob.new.6B04BB69", "default"),
		    UNKNOWN_ERROR);
	assert_said(p, "APPLY RENAME %(OLDMBOXNAME user.bob)", BAD_PARAMETERS);
	assert_said(p, RENAME("user.bob", "user..bob", "default"), BAD_PARAMETERS);
	peer_must_have(p, &b); /* not even the uidvalidity was taken */
	assert_said(p,
		    "APPLY LOCAL_RENAME %(OLDMBOXNAME user.bob NEWMBOXNAME user.x PARTITION "
		    "default)",
		    OK);
}

static void removals_go_to_the_trash(void **state)
{
	struct peer *p = *state;
	struct pool *pool = pool_new();
	struct tombstone_row t;
	struct us_err err;
	char path[120];

	snprintf(path, sizeof(path), "%s/trash", p->rig->spool);
	peer_three(p);
	hush(p);
	assert_said(p, "APPLY UNMAILBOX user.bob", OK);
	assert_heard(p, "UNMAILBOX user.bob\n");
	peer_must_lack(p, "user.bob");
	assert_said(p, "GET UNIQUEIDS (uniqueid-bob)", OK);
	assert_int_equal(count_files(path), 1);
	assert_int_equal(folder_tombstone(p->rig->store, SPAN_LIT("uniqueid-bob"), pool, &t, &err),
			 1);
	assert_span(t.name, "user.bob");
	assert_said(p, "APPLY UNMAILBOX user.bob", NONEXISTENT);
	assert_said(p, "APPLY UNMAILBOX \"\"", NONEXISTENT);
	assert_said(p, "APPLY UNMAILBOX (user.bob)", NONEXISTENT);
	assert_said(p, "APPLY UNMAILBOX user..bob", NONEXISTENT);
	peer_three(p); /* name and uniqueid are free again */
	assert_int_equal(folder_tombstone(p->rig->store, SPAN_LIT("uniqueid-bob"), pool, &t, &err),
			 0);
	pool_free(&pool);
}

static void a_whole_user(void **state)
{
	struct peer *p = *state;

	put(p, "user.bob", "1");
	put(p, "user.bob.a", "2");
	put(p, "user.bob.a.b", "3");
	put(p, "DELETED.user.bob.x.6B04BB69", "4");
	put(p, "user.bobby", "5");
	assert_said(p, "APPLY SUB %(USERID bob MBOXNAME user.bob)", OK);
	assert_said(p,
		    "APPLY SEEN %(USERID bob UNIQUEID x LASTREAD 1 LASTUID 1 LASTCHANGE 1 SEENUIDS "
		    "1)",
		    OK);
	assert_said(p, "APPLY QUOTA %(ROOT user.bob.a LIMIT 5 MODSEQ 3)", OK);
	hush(p);
	assert_said(p, "APPLY UNUSER bob", OK);
	assert_heard(p, "UNMAILBOX user.bob.a.b\nUNMAILBOX user.bob.a\nUNMAILBOX user.bob\n"
			"QUOTA user.bob.a\nUNUSER bob\n");
	assert_said(p, "GET META bob", OK);
	assert_said(p, "GET QUOTA user.bob.a", OK);
	assert_non_null(
		strstr(peer_say(p, "GET USER bob"), "MBOXNAME DELETED.user.bob.x.6B04BB69"));
	assert_non_null(strstr(peer_say(p, "GET USER bobby"), "MBOXNAME user.bobby"));
	assert_said(p, "APPLY UNUSER bob", OK);
	assert_said(p, "APPLY UNUSER nosuch", OK);
	assert_said(p, "APPLY UNUSER \"\"", OK);
	assert_said(p, "APPLY UNUSER (bob)", OK);
	assert_said(p, "APPLY UNUSER {3+}\r\na\nb", BAD_PARAMETERS);
}

/* ---- EXPUNGE ----------------------------------------------------------------------------------------- */

static void expunges_change_no_modseq(void **state)
{
	struct peer *p = *state;
	struct box b = peer_three(p);

	hush(p);
	assert_said(p, "APPLY EXPUNGE %(MBOXNAME user.bob UNIQUEID uniqueid-bob UID (1 2 3 77))",
		    OK);
	assert_heard(p, "MAILBOX user.bob\n");
	b.r[0].expunged = true;
	peer_must_have(p, &b);
	assert_said(p, "APPLY EXPUNGE %(MBOXNAME user.bob UNIQUEID uniqueid-bob UID (1))", OK);
	assert_heard(p, ""); /* nothing was left to do */
	assert_said(p, "APPLY EXPUNGE %(MBOXNAME user.bob UNIQUEID wrong UID (1))", MOVED);
	assert_said(p, "APPLY EXPUNGE %(MBOXNAME user.nosuch UNIQUEID x UID (1))", NONEXISTENT);
	assert_said(p, "APPLY EXPUNGE %(MBOXNAME user.bob)", BAD_PARAMETERS);
}

/* ---- QUOTA, SUB, SEEN, ANNOTATION --------------------------------------------------------------------- */

static void quota(void **state)
{
	struct peer *p = *state;

	assert_said(p, "APPLY QUOTA %(ROOT user.bob LIMIT 5000 STORAGE 5000 MESSAGE 200 MODSEQ 4)",
		    OK);
	assert_heard(p, "QUOTA user.bob\n");
	assert_said(p, "APPLY QUOTA %(ROOT user.bob LIMIT 5000 STORAGE 5000 MESSAGE 200 MODSEQ 4)",
		    OK);
	assert_heard(p, "");
	/* What is not named is unlimited; the modseq is the peer's. */
	assert_said(p, "APPLY QUOTA %(ROOT user.bob LIMIT 4294967295 MODSEQ 6)", OK);
	assert_said(p, "GET QUOTA user.bob",
		    "* QUOTA %(ROOT user.bob LIMIT 4294967295 MODSEQ 6)\r\n" OK);
	hush(p);
	assert_said(p, "APPLY UNQUOTA user.bob", OK);
	assert_heard(p, "QUOTA user.bob\n");
	assert_said(p, "GET QUOTA user.bob", OK);
	assert_said(p, "APPLY UNQUOTA user.bob", OK);
	assert_said(p, "APPLY UNQUOTA (x)", OK);
	assert_said(p, "APPLY QUOTA %(LIMIT 5)", BAD_PARAMETERS);
	assert_said(p, "APPLY QUOTA %(ROOT \"\" LIMIT 5)", BAD_PARAMETERS);
}

static void subscriptions(void **state)
{
	struct peer *p = *state;

	assert_said(p, "APPLY SUB %(USERID bob MBOXNAME user.bob.NotThere)", OK);
	assert_heard(p, "SUB bob user.bob.NotThere\n");
	assert_said(p, "APPLY SUB %(USERID bob MBOXNAME user.bob.NotThere)", OK);
	assert_heard(p, "");
	assert_said(p, "GET META bob", "* LSUB (user.bob.NotThere)\r\n" OK);
	assert_said(p, "APPLY UNSUB %(USERID bob MBOXNAME user.bob.NotThere)", OK);
	assert_heard(p, "SUB bob user.bob.NotThere\n");
	assert_said(p, "GET META bob", OK);
	assert_said(p, "APPLY UNSUB %(USERID bob MBOXNAME user.bob.NotThere)", OK);
	assert_said(p, "APPLY SUB %(USERID hank)", BAD_PARAMETERS);
	assert_said(p, "APPLY SUB %(USERID \"\" MBOXNAME x)", BAD_PARAMETERS);
}

static void seen(void **state)
{
	struct peer *p = *state;

	assert_said(p,
		    "APPLY SEEN %(USERID bob UNIQUEID u LASTREAD 1 LASTUID 2 LASTCHANGE 3 SEENUIDS "
		    "1:2)",
		    OK);
	assert_heard(p, "SEEN bob u\n");
	assert_said(p,
		    "APPLY SEEN %(USERID bob UNIQUEID u LASTREAD 9 LASTUID 2 LASTCHANGE 3 SEENUIDS "
		    "\"\")",
		    OK);
	assert_said(p, "GET META bob",
		    "* SEEN %(UNIQUEID u LASTREAD 9 LASTUID 2 LASTCHANGE 3 SEENUIDS \"\")\r\n" OK);
	assert_said(p, "APPLY SEEN %(USERID bob UNIQUEID u)", BAD_PARAMETERS);
	assert_said(p,
		    "APPLY SEEN %(USERID \"\" UNIQUEID u LASTREAD 9 LASTUID 2 LASTCHANGE 3 "
		    "SEENUIDS 1)",
		    BAD_PARAMETERS);
}

static void annotations(void **state)
{
	struct peer *p = *state;

	put(p, "user.bob", "1");
	assert_said(p, "APPLY ANNOTATION %(MBOXNAME \"\" ENTRY /comment USERID \"\" VALUE \"a \")",
		    OK);
	assert_heard(p, "ANNOTATION \n");
	assert_said(p, "APPLY UNANNOTATION %(MBOXNAME \"\" ENTRY /comment USERID \"\")", OK);
	assert_said(p, "GET ANNOTATION \"\"", OK);
	hush(p);
	assert_said(p, "APPLY ANNOTATION %(MBOXNAME user.bob ENTRY /comment USERID \"\" VALUE x)",
		    OK);
	assert_heard(p, "MAILBOX user.bob\n");
	/* As a client would: no modseq was carried. */
	assert_non_null(strstr(peer_say(p, "GET MAILBOXES (user.bob)"), "HIGHESTMODSEQ 2 "));
	assert_non_null(strstr(p->answer.data,
			       "FOLDERMODSEQ 2 ANNOTATIONS (%(ENTRY /comment USERID "
			       "\"\" MODSEQ 0 VALUE x))"));
	assert_said(p, "APPLY UNANNOTATION %(MBOXNAME user.bob ENTRY /comment USERID \"\")", OK);
	assert_said(p, "GET ANNOTATION user.bob", OK);
	assert_said(p,
		    "APPLY ANNOTATION %(MBOXNAME user.nosuch ENTRY /comment USERID \"\" VALUE x)",
		    NONEXISTENT);
	assert_said(p, "APPLY ANNOTATION %(MBOXNAME \"\" ENTRY /comment USERID \"\")",
		    BAD_PARAMETERS);
}

/* Log before commit: an order whose line cannot be written has not happened. */
static void no_order_without_its_line(void **state)
{
	static const char *const orders[] = {
		RENAME("user.bob", "user.bob.new", "default"),
		"APPLY UNMAILBOX user.bob",
		"APPLY UNUSER bob",
		"APPLY EXPUNGE %(MBOXNAME user.bob UNIQUEID uniqueid-bob UID (1))",
		"APPLY QUOTA %(ROOT user.bob LIMIT 5 MODSEQ 2)",
		"APPLY UNQUOTA user.bob.q",
		"APPLY SUB %(USERID bob MBOXNAME user.bob.b)",
		"APPLY UNSUB %(USERID bob MBOXNAME user.bob)",
		"APPLY SEEN %(USERID bob UNIQUEID u LASTREAD 9 LASTUID 2 LASTCHANGE 3 SEENUIDS 1)",
		"APPLY ANNOTATION %(MBOXNAME \"\" ENTRY /comment USERID \"\" VALUE x)",
		"APPLY ANNOTATION %(MBOXNAME user.bob ENTRY /comment USERID \"\" VALUE x)",
		"APPLY SIEVE %(USERID bob FILENAME x.script LAST_UPDATE 1 CONTENT keep)",
		"APPLY MAILBOX %(UNIQUEID e MBOXNAME user.bob.e MBOXTYPE ei)",
	};
	struct peer *p = *state;
	struct box b = peer_three(p);
	char *before;

	put(p, "user.bob.q", "q");
	assert_said(p, "APPLY QUOTA %(ROOT user.bob.q LIMIT 5 MODSEQ 3)", OK);
	assert_said(p, "APPLY SUB %(USERID bob MBOXNAME user.bob)", OK);
	before = us_strdup(peer_say(p, "GET USER bob"));
	p->rig->refuse = US_EIO;
	for (size_t i = 0; i < ARRAY_SIZE(orders); i++)
		if (strcmp(peer_say(p, orders[i]), UNKNOWN_ERROR) != 0)
			fail_msg("%s: %s", orders[i], p->answer.data);
	p->rig->refuse = 0;
	assert_string_equal(peer_say(p, "GET USER bob"), before);
	assert_said(p, "GET ANNOTATION \"\"", OK);
	peer_must_have(p, &b);
	for (size_t i = 3; i < ARRAY_SIZE(orders); i++) /* behind the removals */
		assert_said(p, orders[i], OK);
	free(before);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, peer_setup, peer_teardown)
	const struct CMUnitTest tests[] = {
		TEST(capabilities),
		TEST(bodies_that_are_here_are_reserved),
		TEST(only_sound_files_are_reserved),
		TEST(reserve_without_its_fields),
		TEST(many_guids_in_the_order_asked),
		TEST(bodies_are_staged),
		TEST(nothing_staged_outlives_the_connection),
		TEST(renames),
		TEST(removals_go_to_the_trash),
		TEST(a_whole_user),
		TEST(expunges_change_no_modseq),
		TEST(quota),
		TEST(subscriptions),
		TEST(seen),
		TEST(annotations),
		TEST(no_order_without_its_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
