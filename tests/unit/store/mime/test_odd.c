/* test_odd.c - messages no program should send: tests/messages/odd, with what we make of them.
 *
 * Beside NAME.eml stand NAME.envelope and NAME.bodystructure, what IMAP is told (without a last line
 * end). Every message is put through all that must hold for any.
 */
#include "tests/unit/test.h"

#include <dirent.h>
#include <fcntl.h>

#include "server/base/io.h"
#include "tests/lib/mime_oracle.h"

#define FOLDER   "tests/messages/odd"
#define MESSAGES 109 /* as many as there are, so that none is lost unseen */

static void read_beside(const char *name, const char *ending, struct buf *out)
{
	char path[600];
	struct us_err err;

	snprintf(path, sizeof(path), FOLDER "/%s%s", name, ending);
	buf_clear(out);
	assert_ok(io_read_file(AT_FDCWD, test_file(path), 1 << 20, out, &err), &err);
}

static void assert_beside(const char *name, const char *ending, const struct buf *actual)
{
	struct buf expected = BUF_INIT;

	read_beside(name, ending, &expected);
	if (!span_eq(buf_span(&expected), buf_span(actual)))
		fail_msg("%s%s:\nexpected %s\nactually %s", name, ending, expected.data,
			 actual->data);
	buf_free(&expected);
}

static void check_message(const char *name)
{
	struct pool *pool = pool_new();
	struct buf message = BUF_INIT, out = BUF_INIT;
	struct mime_tree *tree;
	char *exact;

	read_beside(name, ".eml", &message);
	exact = us_malloc(message.len); /* so that ASan sees a byte too far */
	memcpy(exact, message.data, message.len);
	tree = mime_scan(span_make(exact, message.len), NULL, pool);
	oracle_check_all(tree);
	mime_put_envelope(&out, tree);
	assert_beside(name, ".envelope", &out);
	buf_clear(&out);
	mime_put_body(&out, tree, /* extensible */ true);
	assert_beside(name, ".bodystructure", &out);
	free(exact);
	buf_free(&out);
	buf_free(&message);
	pool_free(&pool);
}

static void odd_messages_are_what_we_say(void **state UNUSED)
{
	DIR *dir = opendir(test_file(FOLDER));
	struct dirent *entry;
	int n = 0;

	assert_non_null(dir);
	while ((entry = readdir(dir))) {
		char *dot = strrchr(entry->d_name, '.');
		if (!dot || strcmp(dot, ".eml") != 0)
			continue;
		*dot = '\0';
		check_message(entry->d_name);
		n++;
	}
	closedir(dir);
	assert_int_equal(n, MESSAGES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(odd_messages_are_what_we_say),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
