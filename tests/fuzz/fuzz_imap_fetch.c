/* fuzz_imap_fetch.c - any FETCH of any message: what is written is a list of items whose strings are as long as they say,
 * and its octets are the message's.
 *
 * Input: the arguments behind FETCH up to a line end, then the message.
 */
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "server/base/err.h"
#include "server/base/mem.h"
#include "server/imap/commands.h"
#include "server/imap/fetch_put.h"
#include "server/store/message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct message {
	struct span bytes;
	struct record record;
	struct buf payload;
	struct mime_cache cache;
	int fd;
};

static void make_message(struct message *m, struct span bytes)
{
	memset(m, 0, sizeof(*m));
	m->bytes = bytes;
	m->record = (struct record){.uid = 1, .size = bytes.len};
	buf_init(&m->payload, 0);
	message_examine(bytes, &m->record, &m->payload);
	us_assert(mime_cache_decode(buf_span(&m->payload), &m->cache, NULL) == 0);
	m->fd = memfd_create("message", MFD_CLOEXEC);
	us_assert(write(m->fd, bytes.ptr, bytes.len) == (ssize_t)bytes.len);
}

static void write_answer(const struct fetch_args *args, const struct message *m, struct buf *out)
{
	struct fetch_source source = {.record = &m->record, .fd = -1};
	struct stream *ends[2];
	struct span part;

	if (fetch_needs_cache(args))
		source.cache = &m->cache;
	if (fetch_needs_file(args, source.cache))
		source.fd = m->fd;
	stream_pipe(ends, NULL);
	us_assert(fetch_put(ends[0], args, &source, false, NULL) == 0);
	us_assert(stream_flush(ends[0], NULL) == 0);
	stream_free(&ends[0]);
	while (stream_peek(ends[1], &part, NULL) > 0) {
		buf_add_span(out, part);
		stream_take(ends[1], part.len);
	}
	stream_free(&ends[1]);
}

/* NIL, "" or a literal: false for NIL. */
static bool take_string(struct scan *s, struct span *out)
{
	*out = SPAN_LIT("");
	if (scan_skip_str(s, "NIL"))
		return false;
	if (scan_skip_str(s, "\"\""))
		return true;
	scan_expect(s, '{');
	*out = span_make(NULL, (size_t)scan_u64(s, SIZE_MAX));
	us_assert(out->len > 0 && scan_skip_str(s, "}\r\n"));
	*out = scan_take(s, out->len);
	us_assert(!s->bad);
	return true;
}

/* Octets that are not put together from fields stand in the message as they are shown. */
static void check_section(struct scan *s, const struct fetch_section *section,
			  const struct message *m)
{
	struct mime_table table = mime_cache_table(&m->cache);
	struct mime_range range = {0, 0};
	struct span text;
	bool there;

	us_assert(span_eq(scan_take(s, section->label.len), section->label));
	scan_expect(s, ' ');
	there = take_string(s, &text);
	us_assert(there == (mime_section_find(&table, &section->section, &range, NULL) == 0));
	if (!there || section->kind == FETCH_FIELDS)
		return;
	fetch_section_clip(section, &range);
	us_assert(span_eq(text, span_make(m->bytes.ptr + range.offset, range.size)));
}

/* Items of the record and the cache come first; what they look like is the business of other tests. */
static size_t items_length(const struct fetch_args *args, const struct message *m)
{
	struct fetch_args only = *args;
	struct buf text = BUF_INIT;
	size_t length;

	only.n_sections = 0;
	write_answer(&only, m, &text);
	length = text.len;
	buf_free(&text);
	return length;
}

static void check_answer(const struct fetch_args *args, const struct message *m, struct span answer)
{
	struct scan s = scan_init(answer);

	(void)scan_take(&s, items_length(args, m));
	for (size_t i = 0; i < args->n_sections; i++) {
		if (i || args->items & ~(unsigned)FETCH_FLAGS)
			scan_expect(&s, ' ');
		check_section(&s, &args->section[i], m);
	}
	us_assert(scan_ok_at_end(&s));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct command command = {.name = "FETCH", .shown = "Fetch"};
	const uint8_t *end = size ? memchr(data, '\n', size) : NULL;
	size_t line = end ? (size_t)(end - data) : size;
	struct pool *pool = pool_new();
	struct parse p = {.s = scan_init(span_make(data, line)), .pool = pool, .command = &command};
	struct buf answer = BUF_INIT;
	struct message m;
	void *args;

	if (end && parse_fetch(&p, &args, NULL) == 0) {
		make_message(&m, span_make(end + 1, size - line - 1));
		write_answer(args, &m, &answer);
		check_answer(args, &m, buf_span(&answer));
		close(m.fd);
		buf_free(&m.payload);
	}
	buf_free(&answer);
	pool_free(&pool);
	return 0;
}
