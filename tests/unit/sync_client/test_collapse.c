/* test_collapse.c - a log of any length as the objects it names. */
#include "tests/unit/test.h"

#include <unistd.h>

#include "sync_client/collapse.h"

/* user.X... is X's; everything else nobody's. */
static bool owner_of(void *ctx UNUSED, struct span name, struct buf *userid)
{
	struct span rest = span_from(name, span_starts(name, "user.") ? 5 : 0), word;

	if (!span_starts(name, "user.") || !span_split(&rest, '.', &word))
		return false;
	buf_add_span(userid, word);
	return true;
}

static const struct coalesce_owner owners = {owner_of, NULL};

static int file_of(struct span text)
{
	char path[] = "/tmp/us-collapse-XXXXXX";
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	unlink(path);
	assert_int_equal(write(fd, text.ptr, text.len), text.len);
	return fd;
}

static const char *told(const struct coalesce_line *lines, size_t n)
{
	static const char *const kinds[COALESCE_KINDS] =
		{"USER",   "UNUSER",    "META",  "SIEVE",      "APPEND", "MAILBOX", "DOUBLEMAILBOX",
		 "RENAME", "UNMAILBOX", "QUOTA", "ANNOTATION", "SEEN",   "SUB",     "UNSUB"};
	static char text[1024];

	text[0] = '\0';
	for (size_t i = 0; i < n; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s %.*s; ",
			 kinds[lines[i].kind], SPAN_ARG(lines[i].arg[0]));
	return text;
}

static void lines_become_whose_they_are(void **state UNUSED)
{
	int fd = file_of(SPAN_LIT("MAILBOX user.bob\nAPPEND user.bob.A\nnonsense\nMAILBOX "
				  "shared\nSEEN ann x\nSUB ann y\n"
				  "RENAME user.joe.A user.kim.A\nDOUBLEMAILBOX shared "
				  "user.bob\nQUOTA user.bob\nQUOTA other\n"
				  "ANNOTATION \"\"\nUNMAILBOX user.bob.Gone\nUNMAILBOX "
				  "away\nUNUSER tim\nMETA bob\n\n"));
	struct collapsed c;
	struct us_err err;

	assert_ok(collapse_log(fd, &owners, 1 << 20, &c, &err), &err);
	assert_string_equal(told(c.compare, c.n_compare),
			    "USER ann; USER bob; USER joe; USER kim; USER tim; MAILBOX away; "
			    "MAILBOX shared; QUOTA other; ANNOTATION ; ");
	/* a removal is never collapsed away */
	assert_string_equal(told(c.removals, c.n_removals),
			    "UNUSER tim; UNMAILBOX away; UNMAILBOX user.bob.Gone; ");
	collapse_free(&c);
	close(fd);
}

static void memory_follows_the_users_not_the_lines(void **state UNUSED)
{
	struct buf text = BUF_INIT;
	struct collapsed c;
	struct us_err err;
	int fd;

	for (unsigned i = 0; i < 200000; i++)
		buf_printf(&text, "MAILBOX user.u%u\n", i % 50);
	fd = file_of(buf_span(&text));
	assert_ok(collapse_log(fd, &owners, 10000, &c, &err), &err);
	assert_int_equal(c.n_compare, 50);
	collapse_free(&c);
	assert_int_equal(collapse_log(fd, &owners, 1000, &c, &err), US_ELIMIT);
	collapse_free(&c);
	close(fd);
	buf_free(&text);
}

static void an_empty_log_is_nothing(void **state UNUSED)
{
	int fd = file_of(SPAN_LIT(""));
	struct collapsed c;
	struct us_err err;

	assert_ok(collapse_log(fd, &owners, 1000, &c, &err), &err);
	assert_int_equal(c.n_compare + c.n_removals, 0);
	collapse_free(&c);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_become_whose_they_are),
		cmocka_unit_test(memory_follows_the_users_not_the_lines),
		cmocka_unit_test(an_empty_log_is_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
