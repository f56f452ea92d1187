/* test_fetch_put.c - each item of a FETCH as it is written, from record, cache and file. */
#include "tests/unit/test.h"

#include <sys/mman.h>
#include <unistd.h>

#include "server/base/io.h"
#include "server/imap/commands.h"
#include "server/imap/fetch_put.h"
#include "server/store/message.h"

#define MESSAGE                                                                       \
	"From: Ann <ann@example.com>\r\nTo: bob@example.com,\r\n\tcy@example.com\r\n" \
	"Subject: outer\r\nX-Odd: yes\r\nX-Odd: again\r\n"                            \
	"Content-Type: multipart/mixed; boundary=a\r\n\r\n"                           \
	"--a\r\nX: 1\r\n\r\none\r\n"                                                  \
	"--a\r\nContent-Type: message/rfc822\r\n\r\n"                                 \
	"Subject: inner\r\nX-Odd: inside\r\n\r\nhello\r\n"                            \
	"--a--\r\n"

/* One message and everything it can be shown from. */
struct message {
	struct record record;
	struct buf payload;
	struct mime_cache cache;
	int fd;
};

static void make_message(struct message *m, const char *text)
{
	struct us_err err;

	memset(m, 0, sizeof(*m));
	buf_init(&m->payload, 0);
	m->record = (struct record){.uid = 7, .size = strlen(text)};
	m->record.internaldate_ns = 1795392453ll * 1000000000; /* 23-Nov-2026 00:07:33 UTC */
	m->fd = memfd_create("message", MFD_CLOEXEC);
	assert_ok(io_write(NULL, m->fd, text, strlen(text), &err), &err);
	message_examine(span_of(text), &m->record, &m->payload);
	assert_ok(mime_cache_decode(buf_span(&m->payload), &m->cache, &err), &err);
}

static void drop_message(struct message *m)
{
	close(m->fd);
	buf_free(&m->payload);
}

/* What fetch_put() writes for these arguments; the file is there only if it said that it needs it. */
static char *shown(struct message *m, const char *items, bool separator)
{
	static const struct command command = {.name = "FETCH", .shown = "Fetch"};
	struct pool *pool = pool_new();
	struct parse p = {.s = scan_init(span_of(items)), .pool = pool, .command = &command};
	struct fetch_source source = {.record = &m->record, .fd = -1};
	const struct fetch_args *args;
	struct stream *ends[2];
	struct span part;
	struct buf all = BUF_INIT;
	struct us_err err;
	void *parsed;

	assert_ok(parse_fetch(&p, &parsed, &err), &err);
	args = parsed;
	if (fetch_needs_cache(args))
		source.cache = &m->cache;
	if (fetch_needs_file(args, source.cache))
		source.fd = m->fd;
	stream_pipe(ends, NULL);
	assert_ok(fetch_put(ends[0], args, &source, separator, &err), &err);
	assert_ok(stream_flush(ends[0], &err), &err);
	stream_free(&ends[0]);
	while (stream_peek(ends[1], &part, &err) > 0) {
		buf_add_span(&all, part);
		stream_take(ends[1], part.len);
	}
	stream_free(&ends[1]);
	pool_free(&pool);
	return buf_steal(&all, NULL);
}

static void assert_shown(struct message *m, const char *items, const char *expected)
{
	char *text = shown(m, items, false);

	assert_string_equal(text, expected);
	free(text);
}

static void items_come_from_record_and_cache(void **state UNUSED)
{
	struct message m;

	make_message(&m, "Subject: x\r\nFrom: a@b\r\n\r\nhi\r\n");
	assert_shown(&m, " 1 UID", "UID 7");
	assert_shown(&m, " 1 RFC822.SIZE", "RFC822.SIZE 29");
	assert_shown(&m, " 1 (RFC822.SIZE UID)", "UID 7 RFC822.SIZE 29");
	assert_shown(&m, " 1 INTERNALDATE", "INTERNALDATE \"23-Nov-2026 00:07:33 +0000\"");
	m.record.modseq = 9223372036854775807u;
	assert_shown(&m, " 1 MODSEQ", "MODSEQ (9223372036854775807)");
	assert_shown(&m, " 1 (SAVEDATE THREADID)", "THREADID NIL SAVEDATE NIL");
	m.record.cid = 0xabcdef;
	m.record.savedate = 1795392454;
	assert_shown(&m, " 1 (SAVEDATE THREADID)",
		     "THREADID (T0000000000abcdef) SAVEDATE \"23-Nov-2026 00:07:34 +0000\"");
	memset(m.record.guid.byte, 0x5a, sizeof(m.record.guid.byte));
	assert_shown(&m, " 1 (DIGEST.SHA1 EMAILID)",
		     "DIGEST.SHA1 5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a "
		     "EMAILID (M5a5a5a5a5a5a5a5a5a5a5a5a)");
	assert_shown(&m, " 1 ENVELOPE",
		     "ENVELOPE (NIL \"x\" ((NIL NIL \"a\" \"b\")) ((NIL NIL \"a\" \"b\")) "
		     "((NIL NIL \"a\" \"b\")) NIL NIL NIL NIL NIL)");
	assert_shown(&m, " 1 BODY",
		     "BODY (\"TEXT\" \"PLAIN\" (\"CHARSET\" \"us-ascii\") NIL NIL \"7BIT\" 4 1)");
	assert_shown(&m, " 1 BODYSTRUCTURE",
		     "BODYSTRUCTURE (\"TEXT\" \"PLAIN\" (\"CHARSET\" \"us-ascii\") NIL NIL "
		     "\"7BIT\" 4 1 "
		     "NIL NIL NIL NIL)");
	assert_shown(&m, " 1 FLAGS", "");
	drop_message(&m);
}

static void items_are_separated(void **state UNUSED)
{
	struct message m;
	char *text;

	make_message(&m, "Subject: x\r\n\r\nhi");
	text = shown(&m, " 1 (UID BODY.PEEK[TEXT])", true);
	assert_string_equal(text, " UID 7 BODY[TEXT] {2}\r\nhi");
	free(text);
	drop_message(&m);
}

static const struct {
	const char *in, *out;
} sections[] = {
	{"BODY.PEEK[]<0.5>", "BODY[]<0> {5}\r\nFrom:"},
	{"BODY.PEEK[]<999.5>", "BODY[]<999> \"\""},
	{"BODY.PEEK[1]", "BODY[1] {3}\r\none"},
	{"BODY.PEEK[1]<1.1>", "BODY[1]<1> {1}\r\nn"},
	{"BODY.PEEK[1]<3.1>", "BODY[1]<3> \"\""},
	{"BODY.PEEK[1.MIME]", "BODY[1.MIME] {8}\r\nX: 1\r\n\r\n"},
	{"BODY.PEEK[1.HEADER]", "BODY[1.HEADER] NIL"},
	{"BODY.PEEK[3]", "BODY[3] NIL"},
	{"BODY.PEEK[3]<0.1>", "BODY[3]<0> NIL"},
	{"BODY.PEEK[2.HEADER]", "BODY[2.HEADER] {33}\r\nSubject: inner\r\nX-Odd: inside\r\n\r\n"},
	{"BODY.PEEK[2.TEXT]", "BODY[2.TEXT] {5}\r\nhello"},
	{"BODY.PEEK[2.1]", "BODY[2.1] {5}\r\nhello"},
	{"BODY.PEEK[2.HEADER.FIELDS (x-odd)]",
	 "BODY[2.HEADER.FIELDS (x-odd)] {17}\r\nX-Odd: inside\r\n\r\n"},
	{"BODY.PEEK[2.HEADER.FIELDS.NOT (x-odd)]",
	 "BODY[2.HEADER.FIELDS.NOT (x-odd)] {18}\r\nSubject: inner\r\n\r\n"},
	{"BODY.PEEK[1.HEADER.FIELDS (x)]", "BODY[1.HEADER.FIELDS (x)] NIL"},
	/* all cached */
	{"BODY.PEEK[HEADER.FIELDS (subject TO)]",
	 "BODY[HEADER.FIELDS (subject TO)] {57}\r\nTo: bob@example.com,\r\n\tcy@example.com\r\n"
	 "Subject: outer\r\n\r\n"},
	{"BODY.PEEK[HEADER.FIELDS (subject)]<4.7>",
	 "BODY[HEADER.FIELDS (subject)]<4> {7}\r\nect: ou"},
	{"BODY.PEEK[HEADER.FIELDS (cc)]", "BODY[HEADER.FIELDS (cc)] {2}\r\n\r\n"},
	/* in the file */
	{"BODY.PEEK[HEADER.FIELDS (x-odd Subject)]",
	 "BODY[HEADER.FIELDS (x-odd Subject)] {44}\r\nSubject: outer\r\nX-Odd: yes\r\nX-Odd: "
	 "again\r\n\r\n"},
	{"BODY.PEEK[HEADER.FIELDS (x-odd)]<13.9>",
	 "BODY[HEADER.FIELDS (x-odd)]<13> {9}\r\n-Odd: aga"},
	{"BODY.PEEK[HEADER.FIELDS (x-none)]", "BODY[HEADER.FIELDS (x-none)] {2}\r\n\r\n"},
	{"BODY.PEEK[HEADER.FIELDS.NOT (from to subject content-type x-odd)]",
	 "BODY[HEADER.FIELDS.NOT (from to subject content-type x-odd)] {2}\r\n\r\n"},
	{"BODY.PEEK[HEADER.FIELDS.NOT (from to content-type x-odd)]<2.99>",
	 "BODY[HEADER.FIELDS.NOT (from to content-type x-odd)]<2> {16}\r\nbject: outer\r\n\r\n"},
};

static void sections_are_cut_out(void **state UNUSED)
{
	struct message m;

	make_message(&m, MESSAGE);
	for (size_t i = 0; i < ARRAY_SIZE(sections); i++) {
		char items[200];

		snprintf(items, sizeof(items), " 1 %s", sections[i].in);
		assert_shown(&m, items, sections[i].out);
	}
	drop_message(&m);
}

static void wholes_are_the_message(void **state UNUSED)
{
	const char *body = strstr(MESSAGE, "--a\r\n");
	char expected[2000];
	struct message m;

	make_message(&m, MESSAGE);
	snprintf(expected, sizeof(expected), "BODY[] {%zu}\r\n%s", strlen(MESSAGE), MESSAGE);
	assert_shown(&m, " 1 BODY.PEEK[]", expected);
	snprintf(expected, sizeof(expected), "RFC822 {%zu}\r\n%s", strlen(MESSAGE), MESSAGE);
	assert_shown(&m, " 1 RFC822", expected);
	snprintf(expected, sizeof(expected), "RFC822.TEXT {%zu}\r\n%s BODY[TEXT]<0> {3}\r\n--a",
		 strlen(body), body);
	assert_shown(&m, " 1 (RFC822.TEXT BODY[TEXT]<0.3>)", expected);
	snprintf(expected, sizeof(expected), "RFC822.HEADER {%zu}\r\n%.*s",
		 (size_t)(body - MESSAGE), (int)(body - MESSAGE), MESSAGE);
	assert_shown(&m, " 1 RFC822.HEADER", expected);
	drop_message(&m);
}

/* Headers that end in nothing, messages of nothing. */
static void odd_messages(void **state UNUSED)
{
	struct message m;

	make_message(&m, "X: no end");
	assert_shown(&m, " 1 BODY.PEEK[HEADER.FIELDS (X)]",
		     "BODY[HEADER.FIELDS (X)] {13}\r\nX: no end\r\n\r\n");
	assert_shown(&m, " 1 BODY.PEEK[HEADER.FIELDS (X)]<8.3>",
		     "BODY[HEADER.FIELDS (X)]<8> {3}\r\nd\r\n");
	assert_shown(&m, " 1 BODY.PEEK[TEXT]", "BODY[TEXT] \"\"");
	drop_message(&m);
	make_message(&m, "");
	assert_shown(&m, " 1 (RFC822 RFC822.HEADER BODY.PEEK[HEADER.FIELDS.NOT (X)])",
		     "RFC822.HEADER \"\" RFC822 \"\" BODY[HEADER.FIELDS.NOT (X)] {2}\r\n\r\n");
	drop_message(&m);
}

/* What a lister asks costs no open(2). */
static void files_are_opened_only_where_they_must(void **state UNUSED)
{
	static const struct {
		const char *items;
		bool cache, file;
	} cases[] = {
		{" 1 (UID INTERNALDATE RFC822.SIZE FLAGS)", false, false},
		{" 1 FULL", true, false},
		{" 1 BODYSTRUCTURE", true, false},
		{" 1 BODY.PEEK[HEADER.FIELDS (FROM TO SUBJECT DATE Message-ID)]", true, false},
		{" 1 BODY.PEEK[HEADER.FIELDS (FROM X-Odd)]", true, true},
		{" 1 BODY.PEEK[HEADER.FIELDS.NOT (FROM)]", true, true},
		{" 1 BODY[]", false, true},
		{" 1 RFC822.HEADER", false, true},
		{" 1 BODY[1]", true, true},
	};
	static const struct command command = {.name = "FETCH", .shown = "Fetch"};
	struct pool *pool = pool_new();
	struct message m;

	make_message(&m, MESSAGE);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct parse p = {.s = scan_init(span_of(cases[i].items)),
				  .pool = pool,
				  .command = &command};
		void *args;

		assert_int_equal(parse_fetch(&p, &args, NULL), 0);
		assert_int_equal(fetch_needs_cache(args), cases[i].cache);
		assert_int_equal(fetch_needs_file(args, cases[i].cache ? &m.cache : NULL),
				 cases[i].file);
	}
	drop_message(&m);
	pool_free(&pool);
}

/* A file shorter than its record says must not make the client wait for what never comes. */
static void a_short_file_is_an_error(void **state UNUSED)
{
	static const struct command command = {.name = "FETCH", .shown = "Fetch"};
	struct pool *pool = pool_new();
	struct parse p = {.s = scan_init(span_of(" 1 BODY[]")), .pool = pool, .command = &command};
	struct stream *ends[2];
	struct fetch_source source;
	struct message m;
	struct us_err err;
	void *args;

	make_message(&m, MESSAGE);
	source = (struct fetch_source){.record = &m.record, .fd = m.fd};
	assert_int_equal(ftruncate(m.fd, 20), 0);
	assert_int_equal(parse_fetch(&p, &args, NULL), 0);
	stream_pipe(ends, NULL);
	assert_int_equal(fetch_put(ends[0], args, &source, false, &err), US_ECORRUPT);
	stream_free(&ends[0]);
	stream_free(&ends[1]);
	drop_message(&m);
	pool_free(&pool);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(items_come_from_record_and_cache),
		cmocka_unit_test(items_are_separated),
		cmocka_unit_test(sections_are_cut_out),
		cmocka_unit_test(wholes_are_the_message),
		cmocka_unit_test(odd_messages),
		cmocka_unit_test(files_are_opened_only_where_they_must),
		cmocka_unit_test(a_short_file_is_an_error),
	};

	setenv("TZ", "UTC", 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
