/* test_userdeny.c - who is kept out: lines of the file, patterns, and what a login makes of it. */
#include "tests/unit/test.h"

#include <fcntl.h>
#include <unistd.h>

#include "server/session/userdeny.h"

/* ---- lines ----------------------------------------------------------------------------------------- */

static const struct {
	const char *line, *user, *services, *message;
} lines[] = {
	/* as Cyrus writes them */
	{"bob\t2\xff\x89*\xff\x89Go away", "bob", "*", "Go away"},
	{"b\xff\x89"
	 "b\t2\xff\x89imap,pop3\xff\x89two\xff\x8alines",
	 "b\tb", "imap,pop3", "two\nlines"},
	/* as a human does */
	{"bob\t2\t*\tGo away", "bob", "*", "Go away"},
	{"bob\t2\t*\ta\tb", "bob", "*", "a\tb"},
	{"bob\t2\t*", "bob", "*", USERDENY_MESSAGE},
	{"bob\t2\t*\t", "bob", "*", ""},
	{"bob\t2\t\tx", "bob", "", "x"},
	{"\t2\t*\tx", "", "*", "x"},
	{"a\xff\xff\x62\t2\t*\t\xff\xff\xff", "a\xff\x62", "*", "\xff\xff"},
};

static void lines_are_read(void **state UNUSED)
{
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		struct pool *pool = pool_new();
		struct userdeny_entry e;
		assert_true(userdeny_parse(span_of(lines[i].line), pool, &e));
		assert_span(e.user, lines[i].user);
		assert_span(e.services, lines[i].services);
		assert_span(e.message, lines[i].message);
		pool_free(&pool);
	}
}

static void lines_that_say_nothing(void **state UNUSED)
{
	static const char *const bad[] = {"",
					  "bob",
					  "bob\t",
					  "bob\t2",
					  "bob\t1\t*\tx",
					  "bob\t3\t*\tx",
					  "bob\tx\t*\ty",
					  "bob\t 2\t*\tx",
					  "bob\t2\xff\x8a*\tx",
					  "bob\t\t*\tx"};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct pool *pool = pool_new();
		struct userdeny_entry e = {.user = SPAN_LIT("untouched")};
		assert_false(userdeny_parse(span_of(bad[i]), pool, &e));
		assert_span(e.user, "untouched");
		pool_free(&pool);
	}
}

static void what_is_written_is_read(void **state UNUSED)
{
	const struct userdeny_entry e = {SPAN_LIT("b\0b"), SPAN_LIT("*,!x"),
					 SPAN_LIT("t\tn\nr\r\xff\x89 z")};
	struct pool *pool = pool_new();
	struct userdeny_entry back;
	struct buf line = BUF_INIT;
	struct span text;

	userdeny_format(&e, &line);
	assert_int_equal(line.data[line.len - 1], '\n');
	text = span_make(line.data, line.len - 1);
	assert_null(span_find(text, '\n'));
	assert_true(userdeny_parse(text, pool, &back));
	assert_true(span_eq(back.user, e.user));
	assert_true(span_eq(back.services, e.services));
	assert_true(span_eq(back.message, e.message));
	buf_free(&line);
	pool_free(&pool);
}

/* ---- patterns --------------------------------------------------------------------------------------- */

static void the_first_pattern_that_fits_decides(void **state UNUSED)
{
	static const struct {
		const char *services, *service;
		bool fits;
	} rows[] = {
		{"*", "imap", true},          {"imap", "imap", true},
		{"imap", "imaps", false},     {"imap*", "imaps", true},
		{"IMAP", "imap", false},      {"pop3,imap", "imap", true},
		{"pop3, imap", "imap", true}, {"imap?", "imap", false},
		{"imap?", "imaps", true},     {"i[mn]ap", "imap", true},
		{"i[!m]ap", "imap", false},   {"!imap,*", "imap", false},
		{"!imap,*", "pop3", true},    {"*,!imap", "imap", true},
		{"!imap", "pop3", false},     {"@imap,*", "imap", true},
		{"@imap,*", "pop3", true},    {"", "imap", false},
		{",", "imap", false},         {"!", "imap", false},
		{"!,imap", "imap", true},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_int_equal(userdeny_fits(span_of(rows[i].services), rows[i].service),
				 rows[i].fits);
}

/* ---- the file ---------------------------------------------------------------------------------------- */

struct place {
	char dir[40], path[60], text[200];
	struct conf *conf;
};

static struct place begin(void)
{
	struct place p = {.dir = "/tmp/us-deny-XXXXXX"};
	struct us_err err;

	assert_non_null(mkdtemp(p.dir));
	snprintf(p.path, sizeof(p.path), "%s/deny", p.dir);
	snprintf(p.text, sizeof(p.text), "configdirectory: %s\nuserdeny_db_path: %s\n", p.dir,
		 p.path);
	assert_ok(conf_parse(span_of(p.text), "test", "imap", NULL, &p.conf, &err), &err);
	return p;
}

static void fill(const struct place *p, const char *text)
{
	int fd = open(p->path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

static void end(struct place *p)
{
	(void)unlink(p->path);
	assert_int_equal(rmdir(p->dir), 0);
	conf_free(&p->conf);
}

static void users_are_looked_for(void **state UNUSED)
{
	struct place p = begin();
	struct buf message = BUF_INIT;

	assert_int_equal(userdeny_check(p.conf, "bob", "imap", &message, NULL), 0); /* no file */
	fill(&p, "zed\t2\t*\tz\nnonsense\n\nbob\t1\t*"
		 "\told\nbob\t2\tpop3\tp\nbob\t2\timap\tGo\neve\t2\t*\te");
	assert_int_equal(userdeny_check(p.conf, "bob", "imap", &message, NULL), 1);
	assert_span(buf_span(&message), "Go");
	assert_int_equal(userdeny_check(p.conf, "bob", "sieve", &message, NULL), 0);
	assert_int_equal(userdeny_check(p.conf, "bo", "imap", &message, NULL), 0);
	assert_int_equal(userdeny_check(p.conf, "bobby", "imap", &message, NULL), 0);
	assert_int_equal(userdeny_check(p.conf, "eve", "imap", &message, NULL),
			 1); /* no line end */
	fill(&p, "\241\002\213\015twoskip file");
	assert_int_equal(userdeny_check(p.conf, "bob", "imap", &message, NULL), US_ENOTSUP);
	buf_free(&message);
	end(&p);
}

static void a_file_may_become_too_large(void **state UNUSED)
{
	struct place p = begin();
	struct buf message = BUF_INIT;

	fill(&p, "bob\t2\t*\tx\n");
	assert_int_equal(truncate(p.path, USERDENY_MAX), 0);
	assert_int_equal(userdeny_check(p.conf, "bob", "imap", &message, NULL), 1);
	assert_int_equal(truncate(p.path, USERDENY_MAX + 1), 0);
	assert_int_equal(userdeny_check(p.conf, "bob", "imap", &message, NULL), US_ELIMIT);
	buf_free(&message);
	end(&p);
}

static void a_change_is_seen(void **state UNUSED)
{
	struct place p = begin();
	struct userdeny_stamp stamp = {0};

	assert_false(userdeny_changed(p.conf, &stamp));
	fill(&p, "a");
	assert_true(userdeny_changed(p.conf, &stamp));
	assert_false(userdeny_changed(p.conf, &stamp));
	fill(&p, "ab");
	assert_true(userdeny_changed(p.conf, &stamp));
	assert_int_equal(unlink(p.path), 0);
	assert_true(userdeny_changed(p.conf, &stamp));
	assert_false(userdeny_changed(p.conf, &stamp));
	end(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_are_read),
		cmocka_unit_test(lines_that_say_nothing),
		cmocka_unit_test(what_is_written_is_read),
		cmocka_unit_test(the_first_pattern_that_fits_decides),
		cmocka_unit_test(users_are_looked_for),
		cmocka_unit_test(a_file_may_become_too_large),
		cmocka_unit_test(a_change_is_seen),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
