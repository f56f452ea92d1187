/* fuzz_dlist.c - any bytes: the lexer stays in bounds, keeps step after errors, and what it reads comes
 * out as something that reads the same. */
#include <stdint.h>

#include "server/base/dlist_lexer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void write_and_read_again(const struct dlist *d, struct pool *pool)
{
	struct buf first = BUF_INIT, second = BUF_INIT;
	struct dlist_writer w = dlist_writer(&first, true);
	struct dlist *again = NULL;

	dlist_put_tree(&w, d);
	/* A flag or a file's partition is written raw: what was read is what can be read. */
	us_assert(dlist_parse(buf_span(&first), pool, &again, NULL) == 0);
	w = dlist_writer(&second, true);
	dlist_put_tree(&w, again);
	us_assert(span_eq(buf_span(&first), buf_span(&second)));
	buf_free(&first);
	buf_free(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct dlist_limits limits = {64, 4096, 1u << 16, 8};
	struct span rest = span_make(data, size);
	struct pool *pool = pool_new();
	struct dlist_lexer lx;

	dlist_lexer_init(&lx, dlist_source_span(&rest), &limits);
	while (rest.len) {
		size_t before = rest.len;
		struct dlist *d;
		int rc;

		while ((rc = dlist_next(&lx, NULL)) > 0) {
			rc = dlist_read_tree(&lx, rc, pool, &d, NULL);
			if (rc < 0)
				break;
			write_and_read_again(d, pool);
		}
		if (rc < 0 && dlist_skip_line(&lx, NULL) < 0)
			break;
		dlist_lexer_restart(&lx);
		pool_clear(pool);
		us_assert(rest.len < before);
	}
	dlist_lexer_fini(&lx);
	pool_free(&pool);
	return 0;
}
