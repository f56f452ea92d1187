/* fuzz_rows.c - any bytes as a text of the store: the rows of metad's tables, their keys, and mbox.hdr. What is understood is
 * written so that it is understood the same.
 *
 * Input: one byte that picks the form, then the text. That of mbox.hdr gets its first line and its sum here.
 */
#include <stdint.h>
#include <stdio.h>

#include "server/base/checksum.h"
#include "server/base/mem.h"
#include "server/store/hdr.h"
#include "server/store/rows.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Each reads text, and writes what it read of it to *out. */
#define ROW(name, type, ...)                                                         \
	static int name(struct span text, struct pool *pool UNUSED, struct buf *out) \
	{                                                                            \
		struct type row = {0};                                               \
		int rc = name##_decode(__VA_ARGS__);                                 \
                                                                                     \
		if (rc == 0)                                                         \
			name##_encode(&row, out);                                    \
		return rc;                                                           \
	}
ROW(mailbox_row, mailbox_row, text, pool, &row, NULL)
ROW(tombstone_row, tombstone_row, text, pool, &row, NULL)
ROW(user_row, user_row, text, &row, NULL)
ROW(quota_row, state_quota, text, &row, NULL)
ROW(seen_row, state_seen, text, pool, &row, NULL)
ROW(annotation_row, state_annotation, text, pool, &row, NULL)
ROW(duplicate_row, duplicate_row, text, &row, NULL)
ROW(hdr, hdr, text, pool, &row, NULL)

static int key(struct span text, struct pool *pool UNUSED, struct buf *out)
{
	struct span entry, userid;

	if (!annotation_key_split(text, &entry, &userid))
		return US_ECORRUPT;
	us_assert(entry.len + userid.len < text.len && !span_find(entry, '\0'));
	buf_add_span(out, text);
	return 0;
}

static int (*const forms[])(struct span text, struct pool *pool, struct buf *out) =
	{hdr,      mailbox_row,    tombstone_row, user_row, quota_row,
	 seen_row, annotation_row, duplicate_row, key};

static void frame_hdr(struct span text, struct buf *out)
{
	buf_add_str(out, "understudy-mailbox 1\n");
	buf_add_span(out, text);
	buf_printf(out, "crc32c %08x\n", us_crc32c(0, out->data, out->len));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf framed = BUF_INIT, once = BUF_INIT, twice = BUF_INIT;
	struct pool *pool = pool_new();
	struct span text;
	size_t form;

	if (size) {
		text = span_make(data + 1, size - 1);
		form = data[0] % ARRAY_SIZE(forms);
		if (form == 0) {
			(void)hdr(text, pool, &once); /* as it is: refused, as a rule */
			buf_clear(&once);
			frame_hdr(text, &framed);
			text = buf_span(&framed);
		}
		if (forms[form](text, pool, &once) == 0) {
			us_assert(forms[form](buf_span(&once), pool, &twice) == 0);
			us_assert(span_eq(buf_span(&once), buf_span(&twice)));
		}
	}
	pool_free(&pool);
	buf_free(&framed);
	buf_free(&once);
	buf_free(&twice);
	return 0;
}
