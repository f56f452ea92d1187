/* fuzz_mimecache.c - any bytes as a cache record: refused, or every look-up stays inside. */
#include <stdint.h>

#include "server/store/mime/cache.h"
#include "server/store/mime/field.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Read every byte, so that ASan sees one that is not ours. */
static void touch(struct span s)
{
	struct buf copy = BUF_INIT;

	buf_add_span(&copy, s);
	us_assert(copy.len == s.len);
	buf_free(&copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const specs[] = {"",       "HEADER",    "TEXT",        "1",
					    "1.MIME", "2.HEADER",  "2.1",         "3.TEXT",
					    "1.1",    "1.1.1.1.1", "4000000000.2"};
	const struct span from = SPAN_LIT("From");
	struct mime_cache cache;
	struct mime_table table;
	struct buf out = BUF_INIT;

	if (mime_cache_decode(span_make(data, size), &cache, NULL) < 0)
		return 0;
	touch(cache.envelope);
	touch(cache.body_structure);
	touch(cache.body);
	mime_field_filter(cache.headers, &from, 1, mime_cache_has_fields(&cache, &from, 1), &out);
	table = mime_cache_table(&cache);
	for (size_t i = 0; i < sizeof(specs) / sizeof(specs[0]); i++) {
		struct mime_section section;
		struct mime_range range;
		us_assert(mime_section_parse(span_of(specs[i]), &section, NULL) == 0);
		if (mime_section_find(&table, &section, &range, NULL) == 0)
			us_assert(range.offset + range.size <= cache.message_size);
	}
	buf_free(&out);
	return 0;
}
