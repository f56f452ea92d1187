/* test_list.c - patterns, and what is written of the names that fit. */
#include "tests/unit/test.h"

#include "server/base/buf.h"
#include "server/base/stream.h"
#include "server/imap/listing.h"
#include "server/session/listmatch.h"

static void patterns_fit(void **state UNUSED)
{
	static const struct {
		const char *pattern, *name;
		bool fits;
	} cases[] = {
		{"*", "a/b", true},
		{"%", "a", true},
		{"%", "a/b", false},
		{"a/%", "a/b", true},
		{"a/%", "a/b/c", false},
		{"a/*", "a/b/c", true},
		{"%/%", "a/b", true},
		{"%/%", "a", false},
		{"*b", "a/b", true},
		{"*b", "a/bc", false},
		{"a*c*e", "abcde", true},
		{"a*c*e", "abde", false},
		{"%b%", "abc", true},
		{"%b%", "a/b", false},
		{"*/%", "a/b/c", true},
		{"inbox", "INBOX", true},
		{"InBoX/%", "INBOX/x", true},
		{"inbox", "INBOXES", false},
		{"inboxes", "INBOXES", false},
		{"foo", "Foo", false},
		{"", "", true},
		{"", "a", false},
		{"a", "", false},
		{"a%", "a", true},
		{"%a", "aa", true},
		{"%aab", "aaab", true},
		{"INBOX", "INBOX/a", false},
		{"*%", "a/b", true},
		{"*a%b", "xa/ab", true},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		if (listmatch_fits(span_of(cases[i].pattern), span_of(cases[i].name), '/') !=
		    cases[i].fits)
			fail_msg("%s and %s", cases[i].pattern, cases[i].name);
}

/* The definition, straight from the RFC. */
static bool fits_by_trying(const char *p, const char *n)
{
	if (!*p)
		return !*n;
	if (*p != '*' && *p != '%')
		return *p == *n && fits_by_trying(p + 1, n + 1);
	for (;; n++) {
		if (fits_by_trying(p + 1, n))
			return true;
		if (!*n || (*p == '%' && *n == '/'))
			return false;
	}
}

static void random_text(char *out, size_t most, const char *letters)
{
	size_t n = (size_t)rand() % most;

	for (size_t i = 0; i < n; i++)
		out[i] = letters[(size_t)rand() % strlen(letters)];
	out[n] = '\0';
}

static void patterns_fit_as_defined(void **state UNUSED)
{
	char pattern[9], name[9];
	struct buf joined = BUF_INIT;

	srand(3);
	for (int i = 0; i < 200000; i++) {
		bool wanted;

		random_text(pattern, 8, "ab/*%");
		random_text(name, 8, "ab/");
		wanted = fits_by_trying(pattern, name);
		if (listmatch_fits(span_of(pattern), span_of(name), '/') != wanted)
			fail_msg("%s and %s", pattern, name);
		buf_clear(&joined);
		listmatch_join(SPAN_LIT(""), span_of(pattern), '/', &joined);
		if (listmatch_fits(buf_span(&joined), span_of(name), '/') != wanted)
			fail_msg("%s, joined %s, and %s", pattern, joined.data, name);
	}
	buf_free(&joined);
}

static void branches_are_reached(void **state UNUSED)
{
	static const struct {
		const char *pattern;
		enum listmatch_reach reach;
	} cases[] = {
		{"*", LISTMATCH_INSIDE},           {"%", LISTMATCH_ITSELF},
		{"Other Users", LISTMATCH_ITSELF}, {"Other Users/%", LISTMATCH_INSIDE},
		{"Other*", LISTMATCH_INSIDE},      {"Sent*", LISTMATCH_NONE},
		{"O%", LISTMATCH_ITSELF},          {"%/%", LISTMATCH_INSIDE},
		{"Other Users/", LISTMATCH_NONE},  {"*x", LISTMATCH_INSIDE},
		{"INBOX", LISTMATCH_NONE},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		if (listmatch_reach(span_of(cases[i].pattern), SPAN_LIT("Other Users/"), '/') !=
		    cases[i].reach)
			fail_msg("%s", cases[i].pattern);
}

static void references_are_put_in_front(void **state UNUSED)
{
	static const char *const cases[][3] = {
		{"", "%", "%"},  {"a/", "%", "a/%"},   {"a", "%", "a%"},  {"a/", "/b", "a/b"},
		{"", "**", "*"}, {"", "%%a*%", "%a*"}, {"a*", "%", "a*"}, {"a/", "", "a/"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct buf out = BUF_INIT;

		listmatch_join(span_of(cases[i][0]), span_of(cases[i][1]), '/', &out);
		assert_string_equal(out.data, cases[i][2]);
		buf_free(&out);
	}
	assert_span(listmatch_literal(SPAN_LIT("ab/%c")), "ab/");
}

static void a_huge_pattern_fits_nothing(void **state UNUSED)
{
	struct buf huge = BUF_INIT;

	for (int i = 0; i < 100000; i++)
		buf_add_str(&huge, "*a%b");
	assert_false(listmatch_fits(buf_span(&huge), SPAN_LIT("ab"), '/'));
	assert_int_equal(listmatch_reach(buf_span(&huge), SPAN_LIT("ab/"), '/'), LISTMATCH_NONE);
	buf_free(&huge);
}

/* Of a name: "s" subscribed to, "n" not there, "u" of a special use, "c" with children; "-" not what was asked for. They are
 * told by the name's last letters behind ":". */
static void describe_as_named(void *ctx UNUSED, struct span name, bool is_level UNUSED,
			      struct listing_item *out)
{
	const char *marks = span_find(name, ':');

	for (; marks && marks < name.ptr + name.len; marks++) {
		out->subscribed |= *marks == 's';
		out->nonexistent |= *marks == 'n';
		out->has_children |= *marks == 'c';
		out->left_out |= *marks == '-';
		if (*marks == 'u')
			out->uses = SPAN_LIT("\\Sent \\Junk");
	}
}

static void note_line(void *ctx, struct span name)
{
	buf_printf(ctx, "<%.*s>", SPAN_ARG(name));
}

/* Names and patterns are separated by "|". `wrote`: what it was told of the lines that were written. */
static void check_options(struct listing_options o, const char *patterns, const char *names,
			  const char *wanted, const char *wrote)
{
	struct stream *ends[2];
	struct buf got = BUF_INIT, line = BUF_INIT, noted = BUF_INIT;
	struct span rest = span_of(names), name, pattern[8];
	struct listing l;

	for (struct span all = span_of(patterns); span_split(&all, '|', &pattern[o.n_patterns]);)
		o.n_patterns++;
	o.patterns = pattern;
	o.separator = '/';
	o.ctx = &noted;
	stream_pipe(ends, NULL);
	listing_begin(&l, ends[0], &o);
	while (span_split(&rest, '|', &name))
		listing_add(&l, name);
	listing_end(&l);
	listing_free(&l);
	stream_flush(ends[0], NULL);
	while (stream_readable(ends[1]) && stream_line(ends[1], 4096, &line, NULL) > 0)
		buf_printf(&got, "%s\n", line.data);
	if (strcmp(got.data, wanted) != 0)
		fail_msg("%s of %s gave\n%swanted\n%s", patterns, names, got.data, wanted);
	if (wrote)
		assert_string_equal(noted.data, wrote);
	buf_free(&got);
	buf_free(&line);
	buf_free(&noted);
	stream_free(&ends[0]);
	stream_free(&ends[1]);
}

static void check_listing(const char *pattern, const char *names, const char *wanted)
{
	struct listing_options o = {.word = "LIST", .childless = "\\HasNoChildren"};

	check_options(o, pattern, names, wanted, NULL);
}

static void more_is_said_of_names(void **state UNUSED)
{
	struct listing_options o = {.word = "LIST",
				    .childless = "\\HasNoChildren",
				    .levels = LISTING_LEVELS_NONEXISTENT,
				    .describe = describe_as_named,
				    .wrote = note_line};

	check_options(o, "%", "a:s|a:s/b|c/d|e:u",
		      "* LIST (\\Subscribed \\HasChildren) \"/\" a:s\n"
		      "* LIST (\\NonExistent \\HasChildren) \"/\" c\n"
		      "* LIST (\\HasNoChildren \\Sent \\Junk) \"/\" e:u\n",
		      "<a:s><e:u>");
	/* Several patterns: each name once. */
	check_options(o, "a|%|a/%", "a|a/b|a/b/c",
		      "* LIST (\\HasChildren) \"/\" a\n* LIST (\\HasChildren) \"/\" a/b\n",
		      "<a><a/b>");
	/* What is left out counts as a child. */
	o.levels = LISTING_LEVELS_UNTOLD;
	check_options(o, "*", "a:u|a:u/b:-|c:-|d/e:-",
		      "* LIST (\\HasChildren \\Sent \\Junk) \"/\" a:u\n", "<a:u>");
}

static void subscriptions_are_listed(void **state UNUSED)
{
	struct listing_options o = {.word = "LIST",
				    .childless = "\\HasNoChildren",
				    .levels = LISTING_LEVELS_UNTOLD,
				    .children_known = true,
				    .describe = describe_as_named,
				    .wrote = note_line};

	check_options(o, "%", "a:sc|a:sc/b:s|c/d:s|e:sn",
		      "* LIST (\\Subscribed \\HasChildren) \"/\" a:sc\n"
		      "* LIST (\\NonExistent \\Subscribed \\HasNoChildren) \"/\" e:sn\n",
		      "<a:sc>");
	o.levels = LISTING_LEVELS_SUBSCRIBED;
	check_options(
		o, "%", "a:sc|a:sc/b:s|c/d:s|c/e/f:s",
		"* LIST (\\Subscribed \\HasChildren) \"/\" a:sc (CHILDINFO (\"SUBSCRIBED\"))\n"
		"* LIST (\\NonExistent \\HasNoChildren) \"/\" c (CHILDINFO (\"SUBSCRIBED\"))\n",
		"<a:sc>");
	check_options(o, "*", "a:s|a:s/b:s",
		      "* LIST (\\Subscribed \\HasNoChildren) \"/\" a:s (CHILDINFO "
		      "(\"SUBSCRIBED\"))\n"
		      "* LIST (\\Subscribed \\HasNoChildren) \"/\" a:s/b:s\n",
		      "<a:s><a:s/b:s>");
}

static void names_are_listed(void **state UNUSED)
{
	check_listing("*", "INBOX|INBOX/a|b",
		      "* LIST (\\HasChildren) \"/\" INBOX\n* LIST (\\HasNoChildren) \"/\" INBOX/a\n"
		      "* LIST (\\HasNoChildren) \"/\" b\n");
	check_listing("%", "INBOX|INBOX/a|b|b/c/d|bc",
		      "* LIST (\\HasChildren) \"/\" INBOX\n* LIST (\\HasChildren) \"/\" b\n"
		      "* LIST (\\HasNoChildren) \"/\" bc\n");
	/* Levels that are no mailboxes are shown where they fit and what is below does not. */
	check_listing("%", "a/b/c|a/b/d|e f/g",
		      "* LIST (\\Noselect \\HasChildren) \"/\" a\n"
		      "* LIST (\\Noselect \\HasChildren) \"/\" \"e f\"\n");
	check_listing("%/%", "a/b/c|a/b/d|a/e",
		      "* LIST (\\Noselect \\HasChildren) \"/\" a/b\n"
		      "* LIST (\\HasNoChildren) \"/\" a/e\n");
	check_listing("*", "a/b/c", "* LIST (\\HasNoChildren) \"/\" a/b/c\n");
	check_listing("a*", "a/b|ab/c",
		      "* LIST (\\HasNoChildren) \"/\" a/b\n* LIST (\\HasNoChildren) \"/\" ab/c\n");
	check_listing("x", "a|b", "");
	check_listing("*", "NIL|a\"b|\\|k\xc3\xa4se",
		      "* LIST (\\HasNoChildren) \"/\" \"NIL\"\n* LIST (\\HasNoChildren) \"/\" "
		      "\"a\\\"b\"\n"
		      "* LIST (\\HasNoChildren) \"/\" \"\\\\\"\n* LIST (\\HasNoChildren) \"/\" "
		      "{5}\nk\xc3\xa4se\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(patterns_fit),
		cmocka_unit_test(patterns_fit_as_defined),
		cmocka_unit_test(branches_are_reached),
		cmocka_unit_test(references_are_put_in_front),
		cmocka_unit_test(a_huge_pattern_fits_nothing),
		cmocka_unit_test(names_are_listed),
		cmocka_unit_test(more_is_said_of_names),
		cmocka_unit_test(subscriptions_are_listed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
