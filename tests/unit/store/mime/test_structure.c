/* test_structure.c - exact offsets, limits, and time and memory that stay in proportion. */
#include "tests/unit/test.h"

#include <time.h>

#include "tests/lib/mime_oracle.h"

/* "type/subtype header+size body+size/lines" of every part, in order, with its depth in dots. */
static void describe(const struct mime_tree *tree, struct buf *out)
{
	buf_clear(out);
	for (uint32_t i = 0; i < tree->n_parts; i++) {
		const struct mime_part *p = tree->parts[i];
		for (const struct mime_part *up = p->parent; up; up = up->parent)
			buf_add_char(out, '.');
		buf_printf(out, "%.*s/%.*s %llu+%llu %llu+%llu/%llu\n", SPAN_ARG(p->type),
			   SPAN_ARG(p->subtype), (unsigned long long)p->header_offset,
			   (unsigned long long)p->header_size, (unsigned long long)p->body_offset,
			   (unsigned long long)p->body_size, (unsigned long long)p->body_lines);
	}
}

static void assert_structure(struct span message, const struct mime_limits *limits,
			     const char *expected)
{
	struct pool *pool = pool_new();
	struct buf out = BUF_INIT;
	struct mime_tree *tree = mime_scan(message, limits, pool);

	oracle_check_all(tree);
	describe(tree, &out);
	assert_string_equal(out.data, expected);
	buf_free(&out);
	pool_free(&pool);
}

static void offsets_are_exact(void **state UNUSED)
{
	assert_structure(SPAN_LIT("A: b\r\n\r\nhi\r\nyou\r\n"), NULL, "text/plain 0+8 8+9/2\n");
	assert_structure(SPAN_LIT("A: b\n\nhi\nyou"), NULL, "text/plain 0+6 6+6/1\n");
	assert_structure(SPAN_NULL, NULL, "text/plain 0+0 0+0/0\n");
	assert_structure(SPAN_LIT("Content-Type: multipart/mixed; boundary=x\r\n\r\n"
				  "pre\r\n"
				  "--x\r\n"
				  "\r\n"
				  "one\r\n"
				  "\r\n"
				  "--x\r\n"
				  "Content-Type: image/png\r\n"
				  "\r\n"
				  "two\r\n"
				  "--x--\r\n"
				  "epi\r\n"),
			 NULL,
			 "multipart/mixed 0+45 45+68/11\n"
			 ".text/plain 55+2 57+5/1\n"
			 ".image/png 69+27 96+3/0\n");
}

static void embedded_messages_share_the_end_of_their_part(void **state UNUSED)
{
	assert_structure(SPAN_LIT("Content-Type: multipart/digest; boundary=d\n\n"
				  "--d\n\nSubject: 1\n\nbody\n\n--d\nContent-Type: text/html\n\nh\n"
				  "--d--\n"),
			 NULL,
			 "multipart/digest 0+44 44+60/11\n"
			 ".message/rfc822 48+1 49+17/3\n"
			 "..text/plain 49+12 61+5/1\n"
			 ".text/html 71+25 96+1/0\n");
}

/* The line end in front of a delimiter belongs to it, unless a header ends there: then nobody loses it. */
static void a_header_keeps_its_line_end_before_a_delimiter(void **state UNUSED)
{
	assert_structure(SPAN_LIT("Content-Type: multipart/mixed; boundary=x\n\n"
				  "--x\nContent-Type: multipart/mixed; boundary=y\n\n"
				  "--y\nContent-Type: text/html\n--x--\n"),
			 NULL,
			 "multipart/mixed 0+43 43+81/6\n"
			 ".multipart/mixed 47+43 90+28/2\n"
			 "..text/html 94+24 118+0/0\n");
}

static void strict_boundaries_match_prefixes(void **state UNUSED)
{
	struct mime_limits limits = MIME_LIMITS_DEFAULT;
	struct span message = SPAN_LIT("Content-Type: multipart/mixed; boundary=x\n\n"
				       "--xy\n\none\n--xtra\n\ntwo\n--x--\n");

	assert_structure(message, &limits,
			 "multipart/mixed 0+43 43+28/7\n"
			 ".text/plain 43+0 43+28/7\n");
	limits.rfc2046_strict = true;
	assert_structure(message, &limits,
			 "multipart/mixed 0+43 43+28/7\n"
			 ".text/plain 48+1 49+3/0\n"
			 ".text/plain 60+1 61+3/0\n");
}

static void beyond_the_part_limit_the_rest_is_one_leaf(void **state UNUSED)
{
	struct mime_limits limits = MIME_LIMITS_DEFAULT;
	struct span message =
		SPAN_LIT("Content-Type: multipart/mixed; boundary=x\n\n"
			 "--x\n\none\n--x\n\ntwo\n--x\n\nthree\n--x\n\nfour\n--x--\n");

	limits.parts = 3;
	assert_structure(message, &limits,
			 "multipart/mixed 0+43 43+45/13\n"
			 ".text/plain 47+1 48+3/0\n"
			 ".text/plain 56+1 57+3/0\n"
			 ".application/octet-stream 65+0 65+23/6\n");
	limits.parts = 1;
	assert_structure(message, &limits, "application/octet-stream 0+43 43+45/13\n");
	limits.parts = 0;
	assert_structure(message, &limits, "application/octet-stream 0+43 43+45/13\n");
}

static void beyond_the_depth_limit_containers_are_leaves(void **state UNUSED)
{
	struct mime_limits limits = MIME_LIMITS_DEFAULT;
	struct span message =
		SPAN_LIT("Content-Type: message/rfc822\n\nContent-Type: message/rfc822\n"
			 "\nSubject: x\n\nin\n");

	limits.depth = 1;
	assert_structure(message, &limits,
			 "message/rfc822 0+30 30+45/5\n"
			 ".application/octet-stream 30+30 60+15/3\n");
	limits.depth = 0;
	assert_structure(message, &limits, "application/octet-stream 0+30 30+45/5\n");
}

static void header_limits_hide_fields_but_not_the_body(void **state UNUSED)
{
	struct mime_limits limits = MIME_LIMITS_DEFAULT;
	struct span message =
		SPAN_LIT("A: 1\nB: 2\n 3\nSubject: late\nContent-Type: text/html\n\nx\n");
	struct pool *pool = pool_new();
	struct mime_tree *tree;

	limits.header_lines = 3;
	tree = mime_scan(message, &limits, pool);
	oracle_check_all(tree);
	assert_true(tree->limited);
	assert_null(tree->root->envelope->subject.ptr);
	assert_span(tree->root->subtype, "plain");
	assert_int_equal(tree->root->body_size, 2);
	limits.header_lines = 0;
	tree = mime_scan(message, &limits, pool);
	assert_false(tree->limited);
	assert_span(tree->root->subtype, "html");
	limits.header_bytes = 17;
	tree = mime_scan(message, &limits, pool);
	assert_true(tree->limited);
	assert_span(tree->root->envelope->subject, "lat"); /* " lat" is what is left */
	pool_free(&pool);
}

/* ---- proportion -------------------------------------------------------------------------------- */

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Repeat `unit` behind `head` to about `size` bytes and scan: seconds taken. The tree must be sound, and
 * its memory at most `memory` bytes. */
static double time_scan(const char *head, const char *unit, size_t size, size_t memory)
{
	struct pool *pool = pool_new();
	struct buf message = BUF_INIT, out = BUF_INIT;
	struct mime_tree *tree;
	double began, took;

	buf_add_str(&message, head);
	while (message.len < size)
		buf_add_str(&message, unit);
	began = seconds();
	tree = mime_scan(buf_span(&message), NULL, pool);
	assert_int_equal(mime_cache_encode(tree, &out, NULL), 0);
	took = seconds() - began;
	oracle_check_tree(tree);
	if (pool_size(pool) > memory)
		fail_msg("%.30s...: %zu bytes of memory", unit, pool_size(pool));
	buf_free(&out);
	buf_free(&message);
	pool_free(&pool);
	return took;
}

/* Four times the input may take some four times as long, not sixteen. Small times say nothing. */
static void nothing_takes_quadratic_time(void **state UNUSED)
{
	static const struct {
		const char *head, *unit;
	} rows[] = {
		{"Content-Type: multipart/mixed; boundary=x\n\n", "--x\n"},
		{"Content-Type: multipart/mixed; boundary=x\n\n", "--x\n\n"},
		{"Content-Type: multipart/mixed; boundary=x\n\n", "--x--\n"},
		{"Content-Type: multipart/mixed; boundary=x\n\n", "--y\n--\n-\n"},
		{"", "Content-Type: multipart/mixed; boundary=x\n\n--x\n"},
		{"", "Content-Type: message/rfc822\n\n"},
		{"Content-Type: multipart/digest; boundary=x\n\n", "--x\n\nTo: a\nTo: b\n\n"},
		{"To: ", "a,"},
		{"To: ", "\"\\\""},
		{"To: ", "("},
		{"To: ", "<"},
		{"To: ", "["},
		{"To: ", ":"},
		{"To: ", "a:;"},
		{"Subject: ", "a\n "},
		{"Content-Type: a/b", ";a=\""},
		{"Content-Type: a/b", ";a=\"\\"},
		{"Content-Type: a/b", ";a*1=("},
		{"Content-Type: a/b", ";a*0=b;a*1=c"},
		{"Content-Language: ", "a "},
		{"", "To: a\n"},
		{"", "Content-Type: a/b;a=b;c=d\n"},
		{"", "junk\n"},
		{"A: ", "\n "},
		{"A: b\n", "\r"},
	};
	const size_t small = 1 << 18;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		double one = time_scan(rows[i].head, rows[i].unit, small, 32u << 20);
		double four = time_scan(rows[i].head, rows[i].unit, 4 * small, 32u << 20);
		if (four > 0.2 && four > 10 * one)
			fail_msg("\"%.40s\": %.3f s, four times as much %.3f s", rows[i].unit, one,
				 four);
	}
}

static void a_hundred_levels_are_followed(void **state UNUSED)
{
	struct pool *pool = pool_new();
	struct buf message = BUF_INIT;
	struct mime_tree *tree;
	const struct mime_part *part;
	int depth = 0;

	for (int i = 0; i < 100; i++)
		buf_printf(&message, "Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n", i,
			   i);
	buf_add_str(&message, "\ndeep\n");
	for (int i = 99; i >= 0; i--)
		buf_printf(&message, "--b%d--\n", i);
	tree = mime_scan(buf_span(&message), NULL, pool);
	oracle_check_all(tree);
	for (part = tree->root; part->first_child; part = part->first_child)
		depth++;
	assert_int_equal(depth, 100);
	assert_span(mime_part_body(tree, part), "deep");
	assert_false(tree->limited);
	buf_free(&message);
	pool_free(&pool);
}

static void deeper_than_the_limit_is_one_leaf(void **state UNUSED)
{
	struct pool *pool = pool_new();
	struct buf message = BUF_INIT, path = BUF_INIT;
	struct mime_tree *tree;

	for (int i = 0; i < 5000; i++)
		buf_add_str(&message, "Content-Type: message/rfc822\n\n");
	tree = mime_scan(buf_span(&message), NULL, pool);
	oracle_check_tree(tree);
	oracle_check_texts(tree);
	oracle_check_cache(tree);
	assert_int_equal(tree->n_parts, 1001);
	assert_int_equal(tree->parts[1000]->kind, MIME_LEAF);
	assert_true(tree->limited);
	buf_free(&path);
	buf_free(&message);
	pool_free(&pool);
}

static void a_hundred_thousand_parts_end_in_a_leaf(void **state UNUSED)
{
	struct pool *pool = pool_new();
	struct buf message = BUF_INIT;
	struct mime_tree *tree;

	buf_add_str(&message, "Content-Type: multipart/mixed; boundary=x\n\n");
	for (int i = 0; i < 100000; i++)
		buf_add_str(&message, "--x\n\npart\n");
	tree = mime_scan(buf_span(&message), NULL, pool);
	oracle_check_tree(tree);
	oracle_check_texts(tree);
	assert_int_equal(tree->n_parts, 10001);
	assert_true(tree->limited);
	assert_span(tree->parts[10000]->type, "application");
	buf_free(&message);
	pool_free(&pool);
}

static void a_header_line_of_ten_megabytes_is_passed(void **state UNUSED)
{
	struct pool *pool = pool_new();
	struct buf message = BUF_INIT;
	struct mime_tree *tree;

	buf_add_str(&message, "Subject: ");
	memset(buf_reserve(&message, 10 << 20), 'x', 10 << 20);
	message.len += 10 << 20;
	buf_add_str(&message, "\r\nFrom: a@b\r\n\r\nbody\r\n");
	tree = mime_scan(buf_span(&message), NULL, pool);
	oracle_check_all(tree);
	assert_true(tree->limited);
	assert_int_equal(tree->root->body_size, 6);
	assert_true(tree->root->envelope->subject.len < 2 << 20);
	buf_free(&message);
	pool_free(&pool);
}

static void envelopes_of_one_message_hold_so_many_addresses(void **state UNUSED)
{
	struct mime_limits limits = MIME_LIMITS_DEFAULT;
	struct pool *pool = pool_new();
	struct buf out = BUF_INIT;
	struct mime_tree *tree;

	limits.addresses = 3;
	tree = mime_scan(SPAN_LIT("From: a@b\nTo: g: c@d, e@f;\nCc: i@j\n\n"), &limits, pool);
	mime_put_envelope(&out, tree);
	assert_string_equal(out.data, "(NIL NIL ((NIL NIL \"a\" \"b\")) ((NIL NIL \"a\" \"b\")) "
				      "((NIL NIL \"a\" \"b\")) "
				      "((NIL NIL \"g\" NIL)(NIL NIL \"c\" \"d\")(NIL NIL NIL NIL)) "
				      "NIL NIL NIL NIL)");
	oracle_check_all(tree);
	buf_free(&out);
	pool_free(&pool);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(offsets_are_exact),
		cmocka_unit_test(embedded_messages_share_the_end_of_their_part),
		cmocka_unit_test(a_header_keeps_its_line_end_before_a_delimiter),
		cmocka_unit_test(strict_boundaries_match_prefixes),
		cmocka_unit_test(beyond_the_part_limit_the_rest_is_one_leaf),
		cmocka_unit_test(beyond_the_depth_limit_containers_are_leaves),
		cmocka_unit_test(header_limits_hide_fields_but_not_the_body),
		cmocka_unit_test(nothing_takes_quadratic_time),
		cmocka_unit_test(a_hundred_levels_are_followed),
		cmocka_unit_test(deeper_than_the_limit_is_one_leaf),
		cmocka_unit_test(a_hundred_thousand_parts_end_in_a_leaf),
		cmocka_unit_test(a_header_line_of_ten_megabytes_is_passed),
		cmocka_unit_test(envelopes_of_one_message_hold_so_many_addresses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
