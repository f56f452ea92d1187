/* test_recipient.c - addresses as names of mailboxes, and the replies as text. */
#include "tests/unit/test.h"

#include "server/lmtp/recipient.h"
#include "server/lmtp/reply.h"
#include "server/session/identity.h"

static const struct recipient_rules slashes = {.unixhierarchysep = true,
					       .downcase = true,
					       .postuser = ""},
				    dots = {.postuser = "bb"},
				    domains = {.unixhierarchysep = true,
					       .virtdomains = true,
					       .downcase = true,
					       .defaultdomain = "def.test",
					       .postuser = ""};

static int name_of(const struct recipient_rules *rules, const char *local, const char *domain,
		   struct pool *pool, struct recipient_name *out)
{
	struct lmtp_address a = {span_of(local), span_of(domain), SPAN_NULL};

	return recipient_name(rules, &a, pool, out, NULL);
}

static void names(void **state UNUSED)
{
	static const struct {
		const struct recipient_rules *rules;
		const char *local, *domain, *userid, *inbox, *folder;
	} rows[] = {
		{&slashes, "alice", NULL, "alice", "user.alice", NULL},
		{&slashes, "ALICE", "any.dom", "alice", "user.alice", NULL},
		{&slashes, "alice", "[192.0.2.1]", "alice", "user.alice", NULL},
		{&slashes, "alice+", NULL, "alice", "user.alice", NULL},
		{&slashes, "Alice+Work/Deep", "x", "alice", "user.alice", "user.alice.Work.Deep"},
		{&slashes, "alice+a.b", NULL, "alice", "user.alice", "user.alice.a^b"},
		{&slashes, "alice+a+b", NULL, "alice", "user.alice", "user.alice.a+b"},
		{&slashes, "alice+two words", NULL, "alice", "user.alice", "user.alice.two words"},
		{&slashes, "first.last", NULL, "first.last", "user.first^last", NULL},
		{&slashes, "first.last+x", NULL, "first.last", "user.first^last",
		 "user.first^last.x"},
		/* folders that cannot be: the INBOX */
		{&slashes, "alice+Work/", NULL, "alice", "user.alice", NULL},
		{&slashes, "alice+/Work", NULL, "alice", "user.alice", NULL},
		{&slashes, "alice+a//b", NULL, "alice", "user.alice", NULL},
		{&slashes, "alice+a^b", NULL, "alice", "user.alice", NULL},
		{&slashes, "alice+a%b", NULL, "alice", "user.alice", NULL},
		{&slashes, "alice+a!b", NULL, "alice", "user.alice", NULL},
		{&slashes, "alice+a&b", NULL, "alice", "user.alice", NULL},
		/* shared */
		{&slashes, "+shared/pub", NULL, NULL, NULL, "shared.pub"},
		{&slashes, "+shared.pub", "x", NULL, NULL, "shared^pub"},
		{&slashes, "+Shared", NULL, NULL, NULL, "Shared"},
		{&dots, "bb+shared.pub", NULL, NULL, NULL, "shared.pub"},
		{&dots, "bb", NULL, "bb", "user.bb", NULL},
		{&dots, "Alice+Work.Deep", NULL, "Alice", "user.Alice", "user.Alice.Work.Deep"},
		/* domains */
		{&domains, "alice", NULL, "alice", "user.alice", NULL},
		{&domains, "alice", "DEF.test", "alice", "user.alice", NULL},
		{&domains, "Kim+Work", "Dom.Test", "kim@dom.test", "dom.test!user.kim",
		 "dom.test!user.kim.Work"},
		{&domains, "+sh/a", "dom.test", NULL, NULL, "dom.test!sh.a"},
		{&domains, "+sh", "def.test", NULL, NULL, "sh"},
	};
	struct pool *pool = pool_new();

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct recipient_name n;

		if (name_of(rows[i].rules, rows[i].local, rows[i].domain, pool, &n) != 0)
			fail_msg("%s is nobody", rows[i].local);
		assert_span(n.userid, rows[i].userid);
		assert_span(n.inbox, rows[i].inbox);
		assert_span(n.folder, rows[i].folder);
	}
	pool_free(&pool);
}

static void nobody(void **state UNUSED)
{
	static const struct {
		const struct recipient_rules *rules;
		const char *local, *domain;
	} rows[] = {
		{&slashes, "", NULL},           {&slashes, "+", NULL},
		{&slashes, "user/alice", NULL}, {&slashes, "a*", NULL},
		{&slashes, "a%", NULL},         {&slashes, "a:b", NULL},
		{&slashes, "a!b", NULL},        {&slashes, "a^b", NULL},
		{&slashes, "a@b", NULL},        {&slashes, " alice", NULL},
		{&slashes, "alice ", NULL},     {&slashes, "anyone", NULL},
		{&slashes, "anonymous", NULL},  {&slashes, "+shared//x", NULL},
		{&slashes, "+shared/", NULL},   {&slashes, "+a%b", NULL},

		{&slashes, "+a!b", NULL},       {&dots, "+shared", NULL},
		{&dots, "bb+shared..x", NULL},  {&dots, "al.ice", NULL},
		{&dots, "bb+", NULL},           {&domains, "alice", "[127.0.0.1]"},
		{&domains, "alice", "a!b"},
	};
	struct pool *pool = pool_new();
	char longest[IDENTITY_MAX + 2];

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct recipient_name n = {.userid = SPAN_LIT("kept")};
		if (name_of(rows[i].rules, rows[i].local, rows[i].domain, pool, &n) != US_ENOENT)
			fail_msg("%s is somebody", rows[i].local);
		assert_span(n.userid, "kept");
	}
	memset(longest, 'a', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	assert_int_equal(name_of(&slashes, longest, NULL, pool, NULL), US_ENOENT);
	pool_free(&pool);
}

static void replies(void **state UNUSED)
{
	struct buf out = BUF_INIT;

	lmtp_reply_format(LMTP_NOTHING, "sid", NULL, &out);
	lmtp_reply_format(LMTP_DELIVERED, "sid", NULL, &out);
	lmtp_reply_format(LMTP_GO_AHEAD, "sid", NULL, &out);
	lmtp_reply_format(LMTP_SIZE_EXCEEDED, "sid", "17", &out);
	lmtp_reply_format(LMTP_UNKNOWN_USER, "sid", NULL, &out);
	assert_string_equal(out.data,
			    "250 2.0.0 ok\r\n"
			    "250 2.1.5 Success SESSIONID=<sid>\r\n"
			    "354 go ahead\r\n"
			    "552 5.2.3 Message SIZE exceeds fixed maximum message size (17)\r\n"
			    "550-Mailbox unknown.  Either there is no mailbox associated with "
			    "this\r\n"
			    "550-name or you do not have authorization to see it.\r\n"
			    "550 5.1.1 User unknown\r\n");
	buf_free(&out);
}

/* The class of the enhanced code is that of the code, in every reply. */
static void reply_classes_agree(void **state UNUSED)
{
#define X(name, code, enhanced, sid, text)             \
	assert_int_equal(lmtp_reply_code(name), code); \
	if (*(enhanced))                               \
		assert_int_equal((enhanced)[0], '0' + (code) / 100);
	LMTP_REPLIES(X)
#undef X
}

/* Whatever goes wrong here, mail does not bounce; but for a full mailbox, if the operator wants it. */
static void our_trouble_is_temporary(void **state UNUSED)
{
#define X(name, value, class, imap, text)                                             \
	assert_int_equal(lmtp_reply_code(lmtp_reply_of_error(name, false)) / 100, 4); \
	assert_int_equal(lmtp_reply_code(lmtp_reply_of_error(name, true)) / 100,      \
			 (name) == US_EQUOTA ? 5 : 4);
	US_ERRORS(X)
#undef X
	assert_int_equal(lmtp_reply_of_error(US_ENOSPC, false), LMTP_NO_SPACE);
	assert_int_equal(lmtp_reply_of_error(US_EIO, false), LMTP_IO_ERROR);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names),
		cmocka_unit_test(nobody),
		cmocka_unit_test(replies),
		cmocka_unit_test(reply_classes_agree),
		cmocka_unit_test(our_trouble_is_temporary),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
