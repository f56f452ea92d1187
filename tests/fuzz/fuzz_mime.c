/* fuzz_mime.c - any bytes are a message: the structure is sound, what IMAP is told follows its grammar,
 * sections and the cache record agree with the tree, and memory stays in proportion. */
#include <stdint.h>

#include "server/store/mime/check.h"
#include "server/store/mime/field.h"
#include "tests/lib/mime_oracle.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Each field is in exactly one of HEADER.FIELDS and HEADER.FIELDS.NOT, unless it is none. */
static void check_filter(struct span header)
{
	const struct span names[] = {SPAN_LIT("From"), SPAN_LIT("subject"),
				     SPAN_LIT("Content-Type")};
	struct buf with = BUF_INIT, without = BUF_INIT, all = BUF_INIT;
	size_t before = 0, lines = 0;
	struct span rest = header;
	struct mime_field f;

	mime_field_filter(header, names, 3, /* inverse */ false, &with);
	mime_field_filter(header, names, 3, /* inverse */ true, &without);
	mime_field_filter(header, NULL, 0, /* inverse */ true, &all);
	us_assert(with.len + without.len == all.len + 2);
	while (mime_field_next(&rest, &f)) {
		us_assert(f.raw.ptr == header.ptr + before);
		us_assert(f.value.len <= f.raw.len && f.name.len <= f.raw.len);
		before += f.raw.len;
		lines += f.lines;
	}
	us_assert(before + rest.len == header.len);
	us_assert(lines == oracle_count_lf(span_make(header.ptr, before)));
	buf_free(&with);
	buf_free(&without);
	buf_free(&all);
}

static void check_faults(struct span message)
{
	struct mime_faults f;
	bool clean = mime_check(message, &f);

	for (size_t i = 0; i < MIME_FAULTS; i++) {
		us_assert(!f.found[i] || !clean);
		us_assert(!f.found[i] || f.offset[i] <= message.len);
	}
	us_assert(mime_check_first(&f, true) <= MIME_FAULTS);
}

static void check_message(struct span message, const struct mime_limits *limits)
{
	struct pool *pool = pool_new();
	struct mime_tree *tree = mime_scan(message, limits, pool);

	us_assert(pool_size(pool) <= (1u << 21) + 128 * message.len);
	oracle_check_all(tree);
	for (uint32_t i = 0; i < tree->n_parts; i++)
		check_filter(mime_part_header(tree, tree->parts[i]));
	pool_free(&pool);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct mime_limits tight = {20, 6, 30, 2000, 12, true};
	struct span message = span_make(data, size);

	check_message(message, NULL);
	check_message(message, &tight);
	check_faults(message);
	return 0;
}
