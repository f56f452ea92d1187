/* test_search_args.c - a SEARCH becomes the tree it means. */
#include "tests/unit/test.h"

#include "server/base/buf.h"
#include "server/imap/commands.h"
#include "server/imap/search_args.h"
#include "server/store/state.h"

static int parse(const char *text, struct pool *pool, const struct search_args **out,
		 struct us_err *err)
{
	static const struct command command = {.name = "SEARCH", .shown = "Search"};
	struct parse p = {.s = scan_init(span_of(text)), .pool = pool, .command = &command};
	void *args = NULL;
	int rc = parse_search(&p, &args, err);

	*out = args;
	return rc;
}

/* ---- as text, to compare ------------------------------------------------------------------------- */

static void put_range(struct buf *out, const struct search_node *node)
{
	int64_t unit = node->key == SEARCH_SIZE || node->key == SEARCH_MODSEQ ? 1 : 86400;

	if (node->range.from != INT64_MIN)
		buf_printf(out, "%lld", (long long)(node->range.from / unit));
	buf_add_str(out, "..");
	if (node->range.to != INT64_MAX)
		buf_printf(out, "%lld", (long long)(node->range.to / unit));
}

static void put_set(struct buf *out, const struct search_node *node)
{
	buf_add_str(out, node->set.saved ? "$" : "");
	for (size_t i = 0; i < node->set.n; i++)
		buf_printf(out, "%s%u:%u", i ? "," : "", node->set.range[i].from,
			   node->set.range[i].to);
}

static const char *flag_name(uint32_t flag)
{
	return flag == FLAG_ANSWERED  ? "answered"
	       : flag == FLAG_DELETED ? "deleted"
	       : flag == FLAG_DRAFT   ? "draft"
	       : flag == FLAG_FLAGGED ? "flagged"
	       : flag == FLAG_SEEN    ? "seen"
				      : "?";
}

static void put_tree(struct buf *out, const struct search_node *node)
{
	static const char *const names[] = {
		"all",    "",        "recent",   "keyword ",  "#",           "uid ", "size ",
		"day ",   "sent ",   "",         "body ",     "text ",       "and",  "or",
		"saved ", "modseq ", "emailid ", "threadid ", "annotation ",
	};

	buf_printf(out, "%s%s", node->inverse ? "!" : "", names[node->key]);
	if (node->key == SEARCH_FLAG)
		buf_add_str(out, flag_name(node->flag));
	else if (node->key == SEARCH_NUMBERS || node->key == SEARCH_UIDS)
		put_set(out, node);
	else if ((node->key >= SEARCH_SIZE && node->key <= SEARCH_SENT) ||
		 node->key == SEARCH_SAVED || node->key == SEARCH_MODSEQ)
		put_range(out, node);
	else if (node->key == SEARCH_FIELD)
		buf_printf(out, "%.*s:%.*s", SPAN_ARG(node->name), SPAN_ARG(node->string));
	else
		buf_add_span(out, node->key == SEARCH_KEYWORD ? node->name : node->string);
	if (!node->child)
		return;
	buf_add_char(out, '(');
	for (const struct search_node *child = node->child; child; child = child->next) {
		put_tree(out, child);
		if (child->next)
			buf_add_char(out, ' ');
	}
	buf_add_char(out, ')');
}

static const struct {
	const char *in, *out;
} good[] = {
	{" ALL", "all"},
	{" answered", "answered"},
	{" DELETED", "deleted"},
	{" DRAFT", "draft"},
	{" FLAGGED", "flagged"},
	{" SEEN", "seen"},
	{" RECENT", "recent"},
	{" OLD", "!recent"},
	{" NEW", "and(recent !seen)"},
	{" UNANSWERED", "!answered"},
	{" UNDELETED", "!deleted"},
	{" UNDRAFT", "!draft"},
	{" UNFLAGGED", "!flagged"},
	{" UNSEEN", "!seen"},
	{" KEYWORD $Work", "keyword $Work"},
	{" UNKEYWORD a.b", "!keyword a.b"},
	{" LARGER 5", "size 6.."},
	{" SMALLER 5", "size ..5"},
	{" LARGER 9223372036854775806", "size 9223372036854775807.."},
	{" BEFORE 2-Jan-1970", "day ..1"},
	{" ON \"02-Jan-1970\"", "day 1..2"},
	{" SINCE 2-jan-1970", "day 1.."},
	{" SENTBEFORE 1-Jan-1969", "sent ..-365"},
	{" SENTON 1-Jan-1970", "sent 0..1"},
	{" SENTSINCE 1-Jan-1970", "sent 0.."},
	{" FROM ann", "From:ann"},
	{" TO \"\"", "To:"},
	{" CC {3+}\r\na b", "Cc:a b"},
	{" BCC \"a \\\" b\"", "Bcc:a \" b"},
	{" SUBJECT x]", "Subject:x]"},
	{" HEADER X-Odd yes", "X-Odd:yes"},
	{" HEADER \"X-Odd\" \"\"", "X-Odd:"},
	{" BODY a", "body a"},
	{" TEXT a", "text a"},
	{" 1:3,*", "#1:3,4294967295:4294967295"},
	{" *:5", "#4294967295:5"},
	{" UID 7:*", "uid 7:4294967295"},
	{" SEEN FLAGGED", "and(seen flagged)"},
	{" (SEEN)", "seen"},
	{" ((SEEN) (FLAGGED DRAFT))", "and(seen flagged draft)"},
	{" NOT SEEN", "!seen"},
	{" NOT UNSEEN", "seen"},
	{" NOT NOT SEEN", "seen"},
	{" NOT NOT NOT SEEN", "!seen"},
	{" NOT (SEEN DRAFT)", "!and(seen draft)"},
	{" DRAFT NOT (SEEN DRAFT) 1", "and(draft !and(seen draft) #1:1)"},
	{" NOT NEW", "!and(recent !seen)"},
	{" OR SEEN DRAFT", "or(seen draft)"},
	{" OR SEEN OR DRAFT FLAGGED", "or(seen draft flagged)"},
	{" OR OR SEEN DRAFT OR 1 2", "or(seen draft #1:1 #2:2)"},
	{" OR (SEEN DRAFT) NOT OR 1 2", "or(and(seen draft) !or(#1:1 #2:2))"},
	{" OR SEEN DRAFT FLAGGED", "and(or(seen draft) flagged)"},
	{" CHARSET UTF-8 TEXT \xc3\xa4 ALL", NULL}, /* 8 bits only in strings */
	{" CHARSET UTF-8 TEXT \"\xc3\xa4\" ALL", "UTF-8 and(text \xc3\xa4 all)"},
	{" CHARSET \"x y\" ALL", "x y all"},
	{" FROM CHARSET", "From:CHARSET"},
	{" RETURN () ALL", "[4] all"},
	{" RETURN (MIN max COUNT) ALL", "[11] all"},
	{" return (SAVE) CHARSET UTF-8 SEEN", "[16] UTF-8 seen"},
	{" RETURN (ALL SAVE MAX) 1", "[22] #1:1"},
	{" $", "#$"},
	{" SAVEDBEFORE 2-Jan-1970", "saved ..1"},
	{" SAVEDON 2-Jan-1970", "saved 1..2"},
	{" NOT SAVEDSINCE 2-Jan-1970 SAVEDATESUPPORTED", "and(!saved 1.. all)"},
	{" MODSEQ 17", "modseq 17.."},
	{" MODSEQ \"/flags/\\\\draft\" all 17 SEEN", "and(modseq 17.. seen)"},
	{" EMAILID M12 THREADID T34", "and(emailid M12 threadid T34)"},
	{" $ NOT UID $ OR $ 1", "and(#$ !uid $ or(#$ #1:1))"},
};

static void searches_become_trees(void **state UNUSED)
{
	struct pool *pool = pool_new();

	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		struct buf text = BUF_INIT;
		const struct search_args *args;
		struct us_err err;
		int rc = parse(good[i].in, pool, &args, &err);

		if ((rc == 0) != (good[i].out != NULL))
			fail_msg("%s: %d", good[i].in, rc);
		if (!good[i].out)
			continue;
		assert_int_equal(args->extended, args->returns != 0);
		if (args->extended)
			buf_printf(&text, "[%u] ", args->returns);
		if (args->charset.ptr)
			buf_printf(&text, "%.*s ", SPAN_ARG(args->charset));
		put_tree(&text, args->root);
		assert_string_equal(text.data, good[i].out);
		buf_free(&text);
	}
	pool_free(&pool);
}

static const struct {
	const char *in, *text;
} bad[] = {
	{"", "Missing required argument to Search"},
	{" ", "Invalid Search criteria"},
	{" BOGUS", "Invalid Search criteria"},
	{" ALL ", "Invalid Search criteria"},
	{" ALL x", "Invalid Search criteria"},
	{" SEEN  DRAFT", "Invalid Search criteria"},
	{" ()", "Invalid Search criteria"},
	{" ALL)", "Invalid Search criteria"},
	{" (ALL", "Missing required close paren in Search command"},
	{" (ALL ALL", "Missing required close paren in Search command"},
	{" NOT", "Missing required argument to Search not"},
	{" OR SEEN", "Missing required argument to Search or"},
	{" KEYWORD", "Missing required argument to Search keyword"},
	{" KEYWORD \\Seen", "Invalid flag name \\Seen in Search command"},
	{" LARGER x", "Invalid number in Search command"},
	{" LARGER 9223372036854775808", "Invalid number in Search command"},
	{" SMALLER -1", "Invalid number in Search command"},
	{" ON bogus", "Invalid date in Search command"},
	{" ON 31-Foo-2026", "Invalid date in Search command"},
	{" SUBJECT", "Missing required argument to Search subject"},
	{" SUBJECT ", "Missing or bad string in Search command"},
	{" HEADER X", "Missing or bad string in Search command"},
	{" SUBJECT \"a", "Missing or bad string in Search command"},
	{" UID x", "Invalid sequence in Search command"},
	{" 1,", "Invalid sequence in Search command"},
	{" 0", "Invalid sequence in Search command"},
	{" CHARSET", "Missing charset"},
	{" CHARSET UTF-8", "Missing required argument to Search"},
	{" SEEN CHARSET UTF-8", "Invalid Search criteria"},
	{" RETURN", "Missing return options in Search"},
	{" RETURN ALL", "Missing return options in Search"},
	{" RETURN (MIN", "Missing return options in Search"},
	{" RETURN (MIN )", "Invalid Search return option "},
	{" RETURN (BOGUS) ALL", "Invalid Search return option bogus"},
	{" RETURN (MIN)", "Missing required argument to Search"},
	{" CHARSET UTF-8 RETURN () ALL", "Invalid Search criteria"},
	{" $,1", "Invalid Search criteria"},
	{" MODSEQ", "Missing required argument to Search modseq"},
	{" MODSEQ x", "Invalid number in Search command"},
	{" MODSEQ 9223372036854775808", "Invalid number in Search command"},
	{" MODSEQ \"/flags/a\" none 1", "Invalid entry type in Search command"},
	{" SAVEDON x", "Invalid date in Search command"},
};

static void others_are_refused(void **state UNUSED)
{
	struct pool *pool = pool_new();

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		const struct search_args *args;
		struct us_err err;

		if (parse(bad[i].in, pool, &args, &err) != US_EPROTO)
			fail_msg("taken: %s", bad[i].in);
		assert_string_equal(err.text, bad[i].text);
	}
	pool_free(&pool);
}

/* A blank, n times `open`, the key, n times `close`. */
static int parse_nested(const char *open, const char *key, const char *close, int n,
			unsigned *depth, struct us_err *err)
{
	struct pool *pool = pool_new();
	const struct search_args *args;
	struct buf text = BUF_INIT;
	int rc;

	buf_add_char(&text, ' ');
	for (int i = 0; i < n; i++)
		buf_add_str(&text, open);
	buf_add_str(&text, key);
	for (int i = 0; i < n; i++)
		buf_add_str(&text, close);
	rc = parse(text.data, pool, &args, err);
	if (rc == 0)
		*depth = args->depth;
	buf_free(&text);
	pool_free(&pool);
	return rc;
}

static void nesting_is_bounded(void **state UNUSED)
{
	unsigned depth = 0;
	struct us_err err;

	assert_ok(parse_nested("(", "ALL", ")", 999, &depth, &err), &err);
	assert_int_equal(depth, 1000);
	assert_int_equal(parse_nested("(", "ALL", ")", 1000, &depth, &err), US_EPROTO);
	assert_string_equal(err.text, "Search criteria are nested too deep");
	assert_int_equal(parse_nested("OR ALL ", "ALL", "", 1000, &depth, &err), US_EPROTO);
	assert_ok(parse_nested("OR ALL ", "ALL", "", 500, &depth, &err), &err);
	assert_int_equal(depth, 501);
	/* NOTs cost nothing. */
	assert_ok(parse_nested("NOT ", "ALL", "", 100000, &depth, &err), &err);
	assert_int_equal(depth, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(searches_become_trees),
		cmocka_unit_test(others_are_refused),
		cmocka_unit_test(nesting_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
