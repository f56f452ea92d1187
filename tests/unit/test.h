/* test.h - what every unit test includes: cmocka and the few helpers that all of them share. */
#ifndef US_TESTS_UNIT_TEST_H
#define US_TESTS_UNIT_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "server/base/mem.h"
#include "server/base/span.h"

/* A path below the source tree, in a static buffer: the captures, corpora. */
static inline const char *test_file(const char *name)
{
	static char path[4096];
	const char *top = getenv("TEST_SRCDIR");

	snprintf(path, sizeof(path), "%s/%s", top ? top : ".", name);
	return path;
}

#define assert_span(actual, expected)                              \
	do {                                                       \
		struct span a_ = (actual), e_ = span_of(expected); \
		assert_int_equal(a_.len, e_.len);                  \
		assert_memory_equal(a_.ptr, e_.ptr, e_.len);       \
	} while (0)

/* rc must be 0; else show what the error says. */
#define assert_ok(rc, err)                                    \
	do {                                                  \
		int rc_ = (rc);                               \
		if (rc_ < 0)                                  \
			fail_msg("%d: %s", rc_, (err)->text); \
	} while (0)

#endif
