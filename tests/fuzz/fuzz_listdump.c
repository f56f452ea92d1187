/* fuzz_listdump.c - any bytes as a dump of the mailbox list: entries are told of until the text is no dump, and what was told is
 * written so that it is told the same. And as one that has a line a mailbox: what was told can be written, and is told again. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/admin/listdump.h"
#include "server/base/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* An entry as text, and all that it says in a form of our own. */
struct heard {
	struct buf dump, facts;
	size_t n;
};

static int hear(void *ctx, struct span name, const struct mailbox_row *row,
		struct us_err *err UNUSED)
{
	struct heard *h = ctx;

	us_assert(name.len <= 4096 && !span_find(name, '\0'));
	buf_add_str(&h->dump, h->n++ ? ",\n" : "\n");
	listdump_format(name, row, &h->dump);
	buf_printf(&h->facts, "%.*s|%.*s|%.*s|%.*s|%.*s|%u %llu %llu %lld\n", SPAN_ARG(name),
		   SPAN_ARG(row->type), SPAN_ARG(row->uniqueid), SPAN_ARG(row->partition),
		   SPAN_ARG(row->server), row->uidvalidity, (unsigned long long)row->createdmodseq,
		   (unsigned long long)row->foldermodseq,
		   (long long)(row->mtime > 0 ? row->mtime : 0));
	return 0;
}

static FILE *open_text(struct span text)
{
	FILE *in = text.len ? fmemopen((void *)text.ptr, text.len, "r") : fopen("/dev/null", "r");

	us_assert(in);
	return in;
}

static int read_dump(struct span text, struct heard *h)
{
	FILE *in = open_text(text);
	int rc;

	buf_add_char(&h->dump, '{');
	rc = listdump_read(in, hear, h, NULL);
	buf_add_str(&h->dump, "\n}\n");
	fclose(in);
	us_assert(rc == 0 || rc == US_EINVAL);
	return rc;
}

static void hear_of_no_line(void *ctx UNUSED, const struct us_err *err)
{
	us_assert(*err->text);
}

static void read_lines(struct span text, struct heard *h)
{
	FILE *in = open_text(text);

	buf_add_char(&h->dump, '{');
	us_assert(listdump_read_lines(in, hear, hear_of_no_line, h, NULL) == 0);
	buf_add_str(&h->dump, "\n}\n");
	fclose(in);
}

static void forget(struct heard *h)
{
	buf_free(&h->dump);
	buf_free(&h->facts);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct heard first = {.n = 0}, second = {.n = 0}, third = {.n = 0};
	struct heard lines = {.n = 0}, again = {.n = 0};

	(void)read_dump(span_make(data, size), &first); /* the entries before a fault count */
	us_assert(read_dump(buf_span(&first.dump), &second) == 0);
	us_assert(second.n == first.n);
	us_assert(span_eq(buf_span(&first.facts), buf_span(&second.facts)));
	/* An ACL loses what is none on its way to a row; then it is one. */
	us_assert(read_dump(buf_span(&second.dump), &third) == 0);
	us_assert(span_eq(buf_span(&second.dump), buf_span(&third.dump)));
	read_lines(span_make(data, size), &lines);
	us_assert(read_dump(buf_span(&lines.dump), &again) == 0 && again.n == lines.n);
	forget(&lines);
	forget(&again);
	forget(&first);
	forget(&second);
	forget(&third);
	return 0;
}
