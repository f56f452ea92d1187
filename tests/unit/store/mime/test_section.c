/* test_section.c - which bytes BODY[section] means: the examples of RFC 3501, section 6.4.5, and the
 * corners where servers differ. */
#include "tests/unit/test.h"

#include "tests/lib/mime_oracle.h"

/* Structure as in the RFC's example: 1 text, 2 octet-stream, 3 rfc822 (3.1 text, 3.2 octet-stream),
 * 4 multipart (4.1 image, 4.2 rfc822 (4.2.1 text, 4.2.2 multipart/alternative (4.2.2.1, 4.2.2.2))). */
#define MESSAGE                                                                                   \
	"Subject: outer\r\nContent-Type: multipart/mixed; boundary=a\r\n\r\n"                     \
	"--a\r\nX: 1\r\n\r\none\r\n"                                                              \
	"--a\r\nContent-Type: application/octet-stream\r\n\r\ntwo\r\n"                            \
	"--a\r\nContent-Type: message/rfc822\r\n\r\n"                                             \
	"Subject: three\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"                     \
	"--b\r\n\r\n3.1\r\n--b\r\nContent-Type: application/octet-stream\r\n\r\n3.2\r\n--b--\r\n" \
	"--a\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n"                                \
	"--c\r\nContent-Type: image/gif\r\n\r\n4.1\r\n"                                           \
	"--c\r\nContent-Type: message/rfc822\r\n\r\n"                                             \
	"Subject: four two\r\nContent-Type: multipart/mixed; boundary=d\r\n\r\n"                  \
	"--d\r\n\r\n4.2.1\r\n--d\r\nContent-Type: multipart/alternative; boundary=e\r\n\r\n"      \
	"--e\r\n\r\n4.2.2.1\r\n--e\r\nContent-Type: text/richtext\r\n\r\n4.2.2.2\r\n--e--\r\n"    \
	"--d--\r\n--c--\r\n--a--\r\n"

struct row {
	const char *spec, *text; /* NULL: there is no such section */
};

static void assert_sections(const char *message, const struct row *rows, size_t n)
{
	struct pool *pool = pool_new();
	struct mime_tree *tree = mime_scan(span_of(message), NULL, pool);
	struct mime_table table = mime_tree_table(tree);

	oracle_check_all(tree);
	for (size_t i = 0; i < n; i++) {
		struct mime_section section;
		struct mime_range range;
		struct us_err err;
		int rc;

		assert_ok(mime_section_parse(span_of(rows[i].spec), &section, &err), &err);
		rc = mime_section_find(&table, &section, &range, &err);
		if (!rows[i].text) {
			if (rc != US_ENOENT)
				fail_msg("[%s] is there", rows[i].spec);
			continue;
		}
		if (rc < 0)
			fail_msg("[%s]: %s", rows[i].spec, err.text);
		if (!span_is(span_make(message + range.offset, range.size), rows[i].text))
			fail_msg("[%s] is \"%.*s\"", rows[i].spec, (int)range.size,
				 message + range.offset);
	}
	pool_free(&pool);
}

static void sections_of_nested_parts(void **state UNUSED)
{
	static const struct row rows[] = {
		{"1", "one"},
		{"1.MIME", "X: 1\r\n\r\n"},
		{"1.HEADER", NULL},
		{"1.TEXT", NULL},
		{"1.1", NULL},
		{"2", "two"},
		{"3.HEADER", "Subject: three\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"},
		{"3.header.fields",
		 "Subject: three\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"},
		{"3.TEXT", "--b\r\n\r\n3.1\r\n--b\r\nContent-Type: application/octet-stream\r\n\r\n"
			   "3.2\r\n--b--\r\n"},
		{"3.MIME", "Content-Type: message/rfc822\r\n\r\n"},
		{"3.1", "3.1"},
		{"3.2", "3.2"},
		{"3.2.mime", "Content-Type: application/octet-stream\r\n\r\n"},
		{"3.3", NULL},
		{"3.1.1", NULL},
		{"4.HEADER", NULL},
		{"4.TEXT", NULL},
		{"4.MIME", "Content-Type: multipart/mixed; boundary=c\r\n\r\n"},
		{"4.1", "4.1"},
		{"4.1.MIME", "Content-Type: image/gif\r\n\r\n"},
		{"4.2.HEADER",
		 "Subject: four two\r\nContent-Type: multipart/mixed; boundary=d\r\n\r\n"},
		{"4.2.1", "4.2.1"},
		{"4.2.2.MIME", "Content-Type: multipart/alternative; boundary=e\r\n\r\n"},
		{"4.2.2.1", "4.2.2.1"},
		{"4.2.2.2", "4.2.2.2"},
		{"4.2.2.3", NULL},
		{"4.2.2.1.1", NULL},
		{"5", NULL},
		{"4294967295", NULL},
		{"", MESSAGE},
		{"HEADER", "Subject: outer\r\nContent-Type: multipart/mixed; boundary=a\r\n\r\n"},
	};

	assert_sections(MESSAGE, rows, ARRAY_SIZE(rows));
}

static void a_message_without_parts_has_part_one(void **state UNUSED)
{
	static const struct row plain[] = {
		{"1", "hi\r\n"},
		{"TEXT", "hi\r\n"},
		{"1.MIME", "A: b\r\n\r\n"},
		{"HEADER", "A: b\r\n\r\n"},
		{"1.HEADER", NULL},
		{"1.TEXT", NULL},
		{"1.1", NULL},
		{"2", NULL},
		{"1.1.MIME", NULL},
	};
	static const struct row forward[] = {
		{"1", "B: c\r\n\r\nin\r\n"},
		{"1.HEADER", "B: c\r\n\r\n"},
		{"1.TEXT", "in\r\n"},
		{"1.1", "in\r\n"},
		{"1.1.MIME", "B: c\r\n\r\n"},
		{"1.1.HEADER", NULL},
		{"1.1.1", NULL},
		{"TEXT", "B: c\r\n\r\nin\r\n"},
		{"1.MIME", "Content-Type: message/rfc822\r\n\r\n"},
	};

	assert_sections("A: b\r\n\r\nhi\r\n", plain, ARRAY_SIZE(plain));
	assert_sections("Content-Type: message/rfc822\r\n\r\nB: c\r\n\r\nin\r\n", forward,
			ARRAY_SIZE(forward));
}

/* The line end behind a closing delimiter is the multipart's; behind an epilogue it is the outer delimiter's. */
static void a_multipart_ends_with_its_closing_line(void **state UNUSED)
{
	static const struct row rows[] = {
		{"1", "--b\r\nContent-Type: multipart/mixed; "
		      "boundary=c\r\n\r\n--c\r\n\r\nx\r\n--c--\r\n--b--\r\n"},
		{"1.1", "--c\r\n\r\nx\r\n--c--\r\n"},
		{"1.1.1", "x"},
		{"2", "--b\r\n\r\ny\r\n--b--\r\nbye"},
		{"3", "--b\r\n\r\nz\r\n--b--\r\n"},
		{"4", "--b\r\n\r\nnot closed"},
		{"5", "last"},
	};

	assert_sections("Content-Type: multipart/mixed; boundary=a\r\n\r\n"
			"--a\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n"
			"Content-Type: multipart/mixed; "
			"boundary=c\r\n\r\n--c\r\n\r\nx\r\n--c--\r\n--b--\r\n"
			"--a\r\nContent-Type: multipart/mixed; "
			"boundary=b\r\n\r\n--b\r\n\r\ny\r\n--b--\r\nbye\r\n"
			"--a\r\nContent-Type: multipart/mixed; "
			"boundary=b\r\n\r\n--b\r\n\r\nz\r\n--b--\r\n\r\n"
			"--a\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nnot "
			"closed\r\n"
			"--a\r\n\r\nlast\r\n--a--\r\n",
			rows, ARRAY_SIZE(rows));
}

static void malformed_sections_are_refused(void **state UNUSED)
{
	static const char *const rows[] =
		{"0",          "1.",       "1..2",   ".1", "1.0", "01x", "MIME",
		 "HEADER.",    "1.HEAD",   "TEXT.1", "-1", "1 ",  " 1",  "HEADER.FIELDS (A)",
		 "4294967296", "1.2.BODY", "1,2",    "x"};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct mime_section section = {SPAN_LIT("untouched"), MIME_SECTION_MIME};
		if (mime_section_parse(span_of(rows[i]), &section, NULL) != US_EPROTO)
			fail_msg("\"%s\" taken", rows[i]);
		assert_span(section.path, "untouched");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sections_of_nested_parts),
		cmocka_unit_test(a_message_without_parts_has_part_one),
		cmocka_unit_test(a_multipart_ends_with_its_closing_line),
		cmocka_unit_test(malformed_sections_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
