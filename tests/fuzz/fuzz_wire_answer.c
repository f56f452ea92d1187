/* fuzz_wire_answer.c - any bytes as the answers of a server: lines with "*" and last lines; what was understood is written so that
 * it is understood the same. */
#include <stdint.h>

#include "reconcile/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct dlist_limits limits = {64, 4096, 1u << 16, 8};

/* One line, as it will be written. */
struct line {
	struct pool *pool;
	struct wire_item item;
	struct wire_collector records;
	struct buf body;
	bool has_body;
	struct buf out;
	struct dlist_writer w;
};

static int begin_file(void *ctx, const struct wire_file *file, struct us_err *err)
{
	struct line *l = ctx;
	struct dlist_writer w = dlist_writer(&l->body, false);

	(void)err;
	if (file->present)
		dlist_put_file(&w, file->partition, &file->guid, file->size);
	l->has_body = file->present;
	return 0;
}

static int file_data(void *ctx, const void *data, size_t len, struct us_err *err)
{
	(void)err;
	buf_add(&((struct line *)ctx)->body, data, len);
	return 0;
}

static int end_file(void *ctx, struct us_err *err)
{
	(void)ctx;
	(void)err;
	return 0;
}

static void write_line(struct line *l)
{
	struct wire_mailbox *m = &l->item.u.mailbox;

	if (l->item.kind == WIRE_ITEM_MESSAGE) {
		wire_begin_item(&l->w, l->item.kind);
		if (l->has_body)
			buf_add_char(&l->out, ' ');
		else
			dlist_put_str(&l->w, SPAN_NULL);
		buf_add_span(&l->out, buf_span(&l->body));
		wire_end_item(&l->w);
	} else if (l->item.kind == WIRE_ITEM_MAILBOX) {
		m->state.records = l->records.records;
		m->state.n_records = l->records.n;
		wire_begin_item(&l->w, l->item.kind);
		wire_put_mailbox(&l->w, &m->state, WIRE_REPLY_FULL);
		wire_end_item(&l->w);
	} else {
		wire_put_item(&l->w, &l->item);
	}
}

static int read_line(struct line *l, struct dlist_lexer *lx)
{
	struct wire_record_sink records = wire_collect(&l->records);
	struct wire_file_sink files = {begin_file, file_data, end_file, l};
	int rc = wire_read_item(lx, l->pool, &records, &files, &l->item, NULL);

	if (rc == 0)
		write_line(l);
	return rc;
}

static void line_init(struct line *l, struct pool *pool)
{
	*l = (struct line){.pool = pool, .records = {.pool = pool}};
	buf_init(&l->out, 0);
	buf_init(&l->body, 0);
	l->w = dlist_writer(&l->out, false);
}

static void line_fini(struct line *l)
{
	buf_free(&l->out);
	buf_free(&l->body);
}

static void read_again(const struct line *first, struct pool *pool)
{
	struct span rest = buf_span(&first->out);
	struct dlist_lexer lx;
	struct line again;

	line_init(&again, pool);
	dlist_lexer_init(&lx, dlist_source_span(&rest), NULL);
	us_assert(read_line(&again, &lx) == 0 && lx.ended);
	us_assert(span_eq(buf_span(&first->out), buf_span(&again.out)));
	dlist_lexer_fini(&lx);
	line_fini(&again);
}

static void take_item(struct dlist_lexer *lx, struct pool *pool, bool *lost)
{
	struct line l;
	int rc;

	line_init(&l, pool);
	rc = read_line(&l, lx);
	if (rc == 0)
		read_again(&l, pool);
	*lost = rc < 0 && dlist_skip_line(lx, NULL) < 0;
	line_fini(&l);
}

/* A last line means something or is refused; its text is a part of it. */
static void take_final(struct span *rest)
{
	struct span line, text;

	(void)span_split(rest, '\n', &line);
	(void)wire_parse_answer(line, SPAN_NULL, &text, NULL);
	us_assert(text.len <= line.len);
	(void)wire_parse_answer(line, SPAN_LIT("S1"), NULL, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span rest = span_make(data, size);
	struct pool *pool = pool_new();
	bool lost = false;

	while (rest.len && !lost) {
		struct dlist_lexer lx;
		if (rest.ptr[0] != '*') {
			take_final(&rest);
			continue;
		}
		dlist_lexer_init(&lx, dlist_source_span(&rest), &limits);
		take_item(&lx, pool, &lost);
		dlist_lexer_fini(&lx);
		pool_clear(pool);
	}
	pool_free(&pool);
	return 0;
}
