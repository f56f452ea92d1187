/* test_check.c - what makes a message unfit for the store, and where. */
#include "tests/unit/test.h"

#include "server/store/mime/check.h"

static void faults_are_found_where_they_are(void **state UNUSED)
{
	static const struct {
		struct span message;
		int at[MIME_FAULTS]; /* NUL, bare LF, 8-bit, bad header, no body, bare CR; -1: not */
		enum mime_fault first, first_strict;
	} rows[] = {
#define M(text) {text, sizeof(text) - 1}
		{M("A: b\r\n\r\nhi\r\n"), {-1, -1, -1, -1, -1, -1}, MIME_FAULTS, MIME_FAULTS},
		{M("\r\n"), {-1, -1, -1, -1, -1, -1}, MIME_FAULTS, MIME_FAULTS},
		{M("A: b\r\n\r\nhi"), {-1, -1, -1, -1, -1, -1}, MIME_FAULTS, MIME_FAULTS},
		{M("A: b\r\n c\r\n\t\r\n\r\n"), {-1, -1, -1, -1, -1, -1}, MIME_FAULTS, MIME_FAULTS},
		{M("From x y\r\nA: b\r\n\r\n"), {-1, -1, -1, -1, -1, -1}, MIME_FAULTS, MIME_FAULTS},
		{M("A: b\r\n\r\n\xff\r\n"), {-1, -1, -1, -1, -1, -1}, MIME_FAULTS, MIME_FAULTS},
		{M("A: b\r\n\r\na\0\0b\r\n"),
		 {9, -1, -1, -1, -1, -1},
		 MIME_FAULT_NUL,
		 MIME_FAULT_NUL},
		{M("A: b\n\r\nhi\r\n"),
		 {-1, 4, -1, -1, -1, -1},
		 MIME_FAULT_BARE_LF,
		 MIME_FAULT_BARE_LF},
		{M("A: b\r\n\nhi\r\n"),
		 {-1, 6, -1, -1, -1, -1},
		 MIME_FAULT_BARE_LF,
		 MIME_FAULT_BARE_LF},
		{M("\n"), {-1, 0, -1, -1, -1, -1}, MIME_FAULT_BARE_LF, MIME_FAULT_BARE_LF},
		{M("A: \xe9\r\n\r\n"),
		 {-1, -1, 3, -1, -1, -1},
		 MIME_FAULTS,
		 MIME_FAULT_8BIT_HEADER},
		{M("A\xe9: b\r\n\r\n"),
		 {-1, -1, 1, -1, -1, -1},
		 MIME_FAULTS,
		 MIME_FAULT_8BIT_HEADER},
		{M("A: b\r\nhello\r\n\r\n"),
		 {-1, -1, -1, 6, -1, -1},
		 MIME_FAULT_BAD_HEADER,
		 MIME_FAULT_BAD_HEADER},
		{M("hi\r\n\r\n"),
		 {-1, -1, -1, 0, -1, -1},
		 MIME_FAULT_BAD_HEADER,
		 MIME_FAULT_BAD_HEADER},
		{M(": b\r\n\r\n"),
		 {-1, -1, -1, 0, -1, -1},
		 MIME_FAULT_BAD_HEADER,
		 MIME_FAULT_BAD_HEADER},
		{M("A : b\r\n\r\n"),
		 {-1, -1, -1, 0, -1, -1},
		 MIME_FAULT_BAD_HEADER,
		 MIME_FAULT_BAD_HEADER},
		{M("A: b\r\nC: d"),
		 {-1, -1, -1, 6, 10, -1},
		 MIME_FAULT_BAD_HEADER,
		 MIME_FAULT_BAD_HEADER},
		{M("A: b\r\n"), {-1, -1, -1, -1, 6, -1}, MIME_FAULTS, MIME_FAULTS},
		{M(""), {-1, -1, -1, -1, 0, -1}, MIME_FAULTS, MIME_FAULTS},
		{M("A: b\r\n\r\na\rb\r\n"), {-1, -1, -1, -1, -1, 9}, MIME_FAULTS, MIME_FAULTS},
		{M("A: b\r\n\r\na\r\r\n"), {-1, -1, -1, -1, -1, 9}, MIME_FAULTS, MIME_FAULTS},
		{M("A: b\r\r\n\r\r\nhi\r\n"), {-1, -1, -1, -1, -1, 4}, MIME_FAULTS, MIME_FAULTS},
		{M("A: b\r\n\r\na\r"), {-1, -1, -1, -1, -1, 9}, MIME_FAULTS, MIME_FAULTS},
		{M("\xe9 x\n\0"), {4, 3, 0, 0, 5, -1}, MIME_FAULT_NUL, MIME_FAULT_NUL},
		{M("\xe9 x\n\r\n"), {-1, 3, 0, 0, -1, -1}, MIME_FAULT_BARE_LF, MIME_FAULT_BARE_LF},
		{M("\xe9 x\r\n\r\n"),
		 {-1, -1, 0, 0, -1, -1},
		 MIME_FAULT_BAD_HEADER,
		 MIME_FAULT_8BIT_HEADER},
#undef M
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct mime_faults f;
		bool clean = mime_check(rows[i].message, &f), expected = true;
		for (int k = 0; k < MIME_FAULTS; k++) {
			expected = expected && rows[i].at[k] < 0;
			if (f.found[k] != (rows[i].at[k] >= 0) ||
			    (f.found[k] && f.offset[k] != (size_t)rows[i].at[k]))
				fail_msg("row %zu, fault %d: %d at %zu", i, k, f.found[k],
					 f.offset[k]);
		}
		assert_int_equal(clean, expected);
		if (mime_check_first(&f, false) != rows[i].first ||
		    mime_check_first(&f, true) != rows[i].first_strict)
			fail_msg("row %zu: first %d %d", i, mime_check_first(&f, false),
				 mime_check_first(&f, true));
	}
}

static void texts_are_those_of_cyrus(void **state UNUSED)
{
	assert_string_equal(mime_fault_text(MIME_FAULT_NUL), "Message contains NUL characters");
	assert_string_equal(mime_fault_text(MIME_FAULT_BARE_LF), "Message contains bare newlines");
	assert_string_equal(mime_fault_text(MIME_FAULT_8BIT_HEADER),
			    "Message contains non-ASCII characters in headers");
	assert_string_equal(mime_fault_text(MIME_FAULT_BAD_HEADER),
			    "Message contains invalid header");
	assert_string_equal(mime_fault_text(MIME_FAULT_NO_BODY),
			    "Message has no header/body separator");
	assert_string_equal(mime_fault_text(MIME_FAULTS), "");
}

static void eight_bit_headers_are_munged(void **state UNUSED)
{
	char message[] = "A: \xc3\xa9\r\n\xff: b\r\n\r\n\xc3\xa9\r\n";
	char headless[] = "\r\n\xff";
	char endless[] = "A: \xff";

	assert_int_equal(mime_munge8bit(message, strlen(message)), 3);
	assert_string_equal(message, "A: XX\r\nX: b\r\n\r\n\xc3\xa9\r\n");
	assert_int_equal(mime_munge8bit(headless, strlen(headless)), 0);
	assert_int_equal(mime_munge8bit(endless, strlen(endless)), 1);
	assert_string_equal(endless, "A: X");
	assert_int_equal(mime_munge8bit(NULL, 0), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(faults_are_found_where_they_are),
		cmocka_unit_test(texts_are_those_of_cyrus),
		cmocka_unit_test(eight_bit_headers_are_munged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
