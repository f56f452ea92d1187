/* test_dlist_captures.c - every line a real Cyrus wrote is read, and written again to the same bytes.
 *
 * tests/captures/README.md has the form of the files. Each recording is turned back into two byte streams;
 * both are read line by line to the end. In 24-errors the client's lines are malformed by hand: there only
 * the server's must come out the same, and the client's must be passed without losing step.
 */
#include "tests/unit/test.h"

#include <dirent.h>
#include <fcntl.h>

#include "server/base/dlist_lexer.h"
#include "server/base/io.h"

static unsigned lines_checked;

/* Write the values of one line again, as they stood: blanks between, "* " in front of server data. */
static int rewrite_line(struct dlist_lexer *lx, struct pool *pool, bool client, struct buf *out,
			struct us_err *err)
{
	struct dlist_writer w = dlist_writer(out, client);
	struct dlist *d;
	int token, rc;

	while ((token = dlist_next(lx, err)) > 0) {
		rc = dlist_read_tree(lx, token, pool, &d, err);
		if (rc < 0)
			return rc;
		if (d->kind == DLIST_TEXT && span_is(d->text, "*"))
			dlist_put_flag(&w, d->text);
		else
			dlist_put_tree(&w, d);
	}
	buf_add_str(out, "\r\n");
	return token;
}

static void check_stream(const char *file, struct span stream, bool client, bool strict)
{
	struct dlist_limits limits = DLIST_LIMITS_DEFAULT;
	struct pool *pool = pool_new();
	struct dlist_lexer lx;
	struct span rest = stream;

	dlist_lexer_init(&lx, dlist_source_span(&rest), &limits);
	while (rest.len) {
		struct us_err err = US_ERR_INIT;
		struct buf out = BUF_INIT;
		struct span before = rest;
		int rc = rewrite_line(&lx, pool, client, &out, &err);

		if (rc < 0)
			assert_ok(dlist_skip_line(&lx, &err), &err);
		before.len -= rest.len;
		if (span_starts(before, "+ ")) /* a SASL challenge */
			rc = 0;
		else if (strict && (rc < 0 || !span_eq(before, buf_span(&out))))
			fail_msg("%s: %s\nread: %.*s\nwrote: %s", file, err.text, SPAN_ARG(before),
				 out.data);
		lines_checked += strict;
		dlist_lexer_restart(&lx);
		pool_clear(pool);
		buf_free(&out);
	}
	dlist_lexer_fini(&lx);
	pool_free(&pool);
}

static void check_file(const char *name)
{
	struct buf text = BUF_INIT, stream[2] = {BUF_INIT, BUF_INIT};
	struct us_err err;
	struct span rest, line;
	char path[300];

	snprintf(path, sizeof(path), "tests/captures/%s", name);
	assert_ok(io_read_file(AT_FDCWD, test_file(path), 1 << 20, &text, &err), &err);
	for (rest = buf_span(&text); span_split(&rest, '\n', &line);) {
		bool client = span_starts(line, "C: ") || span_starts(line, "C> ");
		struct buf *to = &stream[client];

		if (span_starts(line, "C: ") || span_starts(line, "S: ")) {
			buf_add_span(to, span_from(line, 3));
			buf_add_str(to, "\r\n");
		} else if (span_starts(line, "C> ") || span_starts(line, "S> ")) {
			buf_add_span(to, span_from(line, 3));
		} else if (span_starts(line, "=== WIRE") || span_starts(line, "=== ACTION")) {
			for (int side = 0; side < 2; side++) {
				check_stream(name, buf_span(&stream[side]), side,
					     !(side && strstr(name, "24-errors")));
				buf_clear(&stream[side]);
			}
		}
	}
	for (int side = 0; side < 2; side++) {
		check_stream(name, buf_span(&stream[side]), side,
			     !(side && strstr(name, "24-errors")));
		buf_free(&stream[side]);
	}
	buf_free(&text);
}

static void captures_come_out_as_they_went_in(void **state UNUSED)
{
	DIR *dir = opendir(test_file("tests/captures"));
	struct dirent *entry;
	unsigned files = 0;

	assert_non_null(dir);
	while ((entry = readdir(dir))) {
		if (!strstr(entry->d_name, ".txt"))
			continue;
		check_file(entry->d_name);
		files++;
	}
	closedir(dir);
	assert_int_equal(files, 40);
	print_message("%u lines of %u captures\n", lines_checked, files);
	assert_true(lines_checked > 2000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(captures_come_out_as_they_went_in),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
