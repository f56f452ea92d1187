/* test_search_match.c - every key of SEARCH, over a mailbox in memory, and what it costs. */
#include "tests/unit/test.h"

#include <time.h>

#include "server/base/datetime.h"
#include "server/imap/commands.h"
#include "server/imap/search_match.h"
#include "server/store/message.h"

/* UIDs are ten times the number, so that a mix-up shows. */
static const struct {
	uint32_t flags;
	bool recent;
	int keyword;          /* its bit, or -1 */
	const char *received; /* INTERNALDATE */
	const char *text;
} mails[] = {
	{FLAG_SEEN, false, -1, " 1-Jan-2026 23:59:59 +0000",
	 "From: \"Ann B\" <ann@example.com>\r\nTo: bob@example.com, \"C, D\" <cd@example.org>\r\n"
	 "Subject: =?utf-8?q?H=C3=A5vard?= plan\r\nDate: Thu, 1 Jan 2026 23:00:00 "
	 "-0800\r\n\r\nfirst text\r\n"},
	{FLAG_SEEN | FLAG_DELETED, true, 0, " 2-Jan-2026 00:00:00 +0000",
	 "From: cy (Cy at home) <cy@example.com>\r\nCc: ann@example.com\r\nX-Odd: one\r\nX-Odd: "
	 "two\r\n"
	 "Subject:\r\nDate: Fri, 2 Jan 2026 01:00:00 +1300\r\n\r\nsecond\r\n"},
	{FLAG_ANSWERED, true, 70, " 2-Jan-2026 23:59:59 +0000",
	 "From: dora@example.com\r\nBcc: ann@example.com\r\nSubject: re: plan\r\n"
	 "Content-Type: multipart/mixed; boundary=b\r\n\r\n"
	 "--b\r\nContent-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: "
	 "quoted-printable\r\n\r\n"
	 "Gr=FC=DFe\r\n--b\r\nContent-Type: application/pdf; name=\"offer.pdf\"\r\n\r\nhidden "
	 "words\r\n"
	 "--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: inside\r\n\r\ndeep "
	 "text\r\n--b--\r\n"},
	{FLAG_FLAGGED | FLAG_DRAFT, false, 0, " 3-Jan-2026 00:00:00 +0000",
	 "Subject: no date here\r\n\r\n"
	 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\r\n"},
};
#define N ARRAY_SIZE(mails)

struct box {
	struct record record[N];
	struct buf payload[N];
	unsigned caches, files; /* loads since the last search began */
	struct flag_names names;
	bool broken; /* files are */
};

static int setup(void **state)
{
	struct box *box = us_calloc(1, sizeof(*box));

	setenv("TZ", "UTC", 1);
	tzset();
	mime_text_start();
	for (size_t i = 0; i < N; i++) {
		struct record *r = &box->record[i];
		struct datetime when;

		r->uid = (uint32_t)(i + 1) * 10;
		r->size = strlen(mails[i].text);
		assert_true(datetime_parse_imap(span_of(mails[i].received), &when));
		r->internaldate_ns = when.time * 1000000000;
		if (mails[i].keyword >= 0)
			record_set_user_flag(r, (unsigned)mails[i].keyword, true);
		buf_init(&box->payload[i], 0);
		message_examine(span_of(mails[i].text), r, &box->payload[i]);
	}
	flag_names_set(&box->names, 0, SPAN_LIT("$Work"));
	flag_names_set(&box->names, 70, SPAN_LIT("later"));
	*state = box;
	return 0;
}

static int teardown(void **state)
{
	struct box *box = *state;

	for (size_t i = 0; i < N; i++)
		buf_free(&box->payload[i]);
	free(box);
	mime_text_stop();
	return 0;
}

static int load_cache(void *ctx, const struct record *r, struct mime_cache *out, struct us_err *err)
{
	struct box *box = ctx;

	box->caches++;
	return mime_cache_decode(buf_span(&box->payload[r->uid / 10 - 1]), out, err);
}

static int load_bytes(void *ctx, const struct record *r, struct span *out, struct us_err *err)
{
	struct box *box = ctx;

	box->files++;
	if (box->broken)
		return us_fail(err, US_EIO, "broken");
	*out = span_of(mails[r->uid / 10 - 1].text);
	return 0;
}

static void resolve(void *ctx UNUSED, const struct token_set *set, bool by_uid, struct uidset *out)
{
	struct uidset numbers = UIDSET_INIT;

	(void)token_set_resolve(set, by_uid ? N * 10 : N, &numbers);
	for (uint32_t uid = 10; uid <= N * 10; uid += 10)
		if (uidset_has(&numbers, by_uid ? uid : uid / 10))
			uidset_add(out, uid, uid);
	uidset_free(&numbers);
}

/* The numbers of what matches: "1 3"; or the code of an error: "-13". */
static char *found(struct box *box, const char *criteria)
{
	static const struct command command = {.name = "SEARCH", .shown = "Search"};
	struct pool *pool = pool_new();
	struct parse p = {.s = scan_init(span_of(criteria)), .pool = pool, .command = &command};
	struct search_context context = {&box->names, resolve, box};
	struct mime_text *text = mime_text_new(NULL);
	struct search_program *program = NULL;
	struct buf out = BUF_INIT;
	struct us_err err;
	void *args;
	int rc;

	box->caches = box->files = 0;
	assert_ok(parse_search(&p, &args, &err), &err);
	rc = search_program_new(args, text, &context, &program, &err);
	if (rc < 0)
		buf_printf(&out, "%d", rc);
	for (size_t i = 0; rc >= 0 && i < N; i++) {
		struct search_message m = {.record = &box->record[i],
					   .flags = mails[i].flags,
					   .recent = mails[i].recent,
					   .load_cache = load_cache,
					   .load_bytes = load_bytes,
					   .ctx = box};
		rc = search_matches(program, &m, &err);
		if (rc > 0)
			buf_printf(&out, "%s%zu", out.len ? " " : "", i + 1);
		else if (rc < 0)
			buf_printf(&out, "!%zu", i + 1);
		rc = 0;
	}
	search_program_free(&program);
	mime_text_free(&text);
	pool_free(&pool);
	return buf_steal(&out, NULL);
}

static const struct {
	const char *criteria, *found;
} searches[] = {
	{" ALL", "1 2 3 4"},
	{" NOT ALL", ""},
	{" SEEN", "1 2"},
	{" UNSEEN", "3 4"},
	{" DELETED", "2"},
	{" UNDELETED", "1 3 4"},
	{" ANSWERED", "3"},
	{" FLAGGED DRAFT", "4"},
	{" RECENT", "2 3"},
	{" NEW", "3"},
	{" OLD", "1 4"},
	{" KEYWORD $work", "2 4"},
	{" KEYWORD later", "3"},
	{" KEYWORD none", ""},
	{" UNKEYWORD none", "1 2 3 4"},
	{" UNKEYWORD $Work", "1 3"},
	{" 2:3", "2 3"},
	{" 1,*", "1 4"},
	{" 7", ""},
	{" NOT 2", "1 3 4"},
	{" UID 10:20", "1 2"},
	{" UID 15:*", "2 3 4"},
	{" UID 1", ""},
	{" ON 2-Jan-2026", "2 3"},
	{" BEFORE 2-Jan-2026", "1"},
	{" SINCE 2-Jan-2026", "2 3 4"},
	{" SINCE 3-Jan-2026", "4"},
	/* by the writer's calendar; what has no date was sent when it came */
	{" SENTON 1-Jan-2026", "1"},
	{" SENTON 2-Jan-2026", "2 3"},
	{" SENTSINCE 2-Jan-2026", "2 3 4"},
	{" SENTBEFORE 2-Jan-2026", "1"},
	{" SENTON 3-Jan-2026", "4"},
	{" LARGER 200", "3"},
	{" SMALLER 100", "4"},
	{" SUBJECT plan", "1 3"},
	{" SUBJECT havard", "1"},
	{" SUBJECT \"rd plan\"", "1"},
	{" SUBJECT \"\"", "1 2 3 4"},
	{" FROM ann", "1"},
	{" FROM \"ann b <ann@\"", "1"},
	{" FROM \"\\\"ann b\\\" <ann@\"", "1"},
	{" FROM \"cy <cy@\"", "2"},
	{" FROM dora", "3"},
	{" FROM \"\"", "1 2 3"},
	{" TO \"c, d\"", "1"},
	{" TO \"\"", "1"},
	{" CC ann", "2"},
	{" BCC ann", "3"},
	{" HEADER x-odd two", "2"},
	{" HEADER X-Odd \"\"", "2"},
	{" HEADER X-None \"\"", ""},
	{" NOT HEADER X-Odd \"\"", "1 3 4"},
	{" BODY text", "1 3"},
	{" BODY \"gr\xc3\xbc\xc3\x9f"
	 "e\"",
	 "3"},
	{" BODY grusse", "3"},
	{" BODY hidden", ""},
	{" BODY offer.pdf", "3"},
	{" BODY inside", "3"},
	{" BODY plan", ""},
	{" BODY \"\"", "1 2 3 4"},
	{" TEXT plan", "1 3"},
	{" TEXT \"x-odd: two\"", "2"},
	{" TEXT second", "2"},
	{" OR SUBJECT plan SEEN", "1 2 3"},
	{" OR BODY second OR BODY first DRAFT", "1 2 4"},
	{" NOT (SEEN DELETED)", "1 3 4"},
	{" NOT OR SEEN DRAFT", "3"},
	{" SEEN NOT DELETED TEXT first", "1"},
	{" CHARSET iso-8859-1 SUBJECT \"h\xe5vard\"", "1"},
	{" CHARSET US-ASCII SUBJECT plan", "1 3"},
	{" CHARSET utf-8 BODY \"GR\xc3\x9c\xc3\x9f"
	 "E\"",
	 "3"},
	{" CHARSET bogus ALL", "-13"},
	{" CHARSET bogus SUBJECT x", "-13"},
	{" CHARSET utf-16 SUBJECT x", "-4"},
};

static void each_key_finds_its_messages(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(searches); i++) {
		char *text = found(*state, searches[i].criteria);

		if (strcmp(text, searches[i].found) != 0)
			fail_msg("%s: \"%s\", not \"%s\"", searches[i].criteria, text,
				 searches[i].found);
		free(text);
	}
}

/* The cheap questions come first, whatever the order in which they were asked. */
static void nothing_is_loaded_in_vain(void **state)
{
	static const struct {
		const char *criteria;
		unsigned caches, files;
	} rows[] = {
		{" SEEN ON 2-Jan-2026 LARGER 3", 0, 0}, {" SUBJECT plan", 4, 0},
		{" SUBJECT plan SEEN", 2, 0},           {" BODY text SEEN", 2, 2},
		{" BODY text SUBJECT plan", 4, 2},      {" HEADER X-Odd one SUBJECT plan", 4, 2},
		{" OR BODY text SEEN", 2, 2},           {" OR TEXT a OR TEXT b ALL", 0, 0},
		{" NOT (BODY text UNSEEN)", 2, 2},      {" TEXT x TEXT y BODY z", 4, 4},
		{" SENTON 1-Jan-2026", 4, 0},
	};
	struct box *box = *state;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		free(found(box, rows[i].criteria));
		if (box->caches != rows[i].caches || box->files != rows[i].files)
			fail_msg("%s: %u caches and %u files", rows[i].criteria, box->caches,
				 box->files);
	}
}

/* A message that cannot be read is neither found nor not found. */
static void what_cannot_be_read_is_told(void **state)
{
	struct box *box = *state;
	char *text;

	box->broken = true;
	text = found(box, " NOT BODY text");
	assert_string_equal(text, "!1!2!3!4");
	free(text);
	text = found(box, " OR SEEN BODY text");
	assert_string_equal(text, "1 2!3!4");
	free(text);
	box->broken = false;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_key_finds_its_messages),
		cmocka_unit_test(nothing_is_loaded_in_vain),
		cmocka_unit_test(what_cannot_be_read_is_told),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
