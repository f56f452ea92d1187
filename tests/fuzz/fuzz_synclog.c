/* fuzz_synclog.c - any bytes as a sync log: every line is read or passed over, nothing is read twice, and what was
 * understood is written so that it is understood the same. */
#include <stdint.h>

#include "synclog/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A literal can hold what no line of ours can: that is refused. */
static bool is_writable(const struct synclog_record *r)
{
	for (unsigned i = 0; i < r->n_args; i++)
		if (span_find(r->arg[i], '\r') || span_find(r->arg[i], '\n') ||
		    span_find(r->arg[i], '\0'))
			return false;
	return true;
}

static void check_round(const struct synclog_record *r, struct pool *pool)
{
	struct synclog_record again;
	struct buf line = BUF_INIT;
	struct span rest, bad;
	int rc = synclog_format(r, &line, NULL);

	us_assert((rc == 0) == is_writable(r));
	if (rc == 0) {
		rest = buf_span(&line);
		us_assert(line.data[line.len - 1] == '\n');
		us_assert(synclog_parse(&rest, pool, &again, &bad, NULL) == 1 && !rest.len);
		us_assert(again.kind == r->kind && again.n_args == r->n_args);
		for (unsigned i = 0; i < r->n_args; i++)
			us_assert(span_eq(again.arg[i], r->arg[i]));
	} else {
		us_assert(!line.len);
	}
	buf_free(&line);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span rest = span_make(data, size), bad = SPAN_NULL;
	struct pool *pool = pool_new();
	struct synclog_record r;
	size_t before = size;
	int rc;

	while ((rc = synclog_parse(&rest, pool, &r, &bad, NULL)) != 0) {
		us_assert(rest.len < before);
		us_assert(!rest.len || rest.ptr == (const char *)data + size - rest.len);
		if (rc == 1) {
			us_assert(r.kind < SYNCLOG_KINDS && r.n_args == synclog_kind_args(r.kind));
			check_round(&r, pool);
		} else {
			us_assert(rc == US_EPROTO);
			us_assert(bad.ptr >= (const char *)data &&
				  bad.ptr + bad.len <= (const char *)data + size);
		}
		before = rest.len;
		pool_clear(pool);
	}
	us_assert(!rest.len);
	pool_free(&pool);
	return 0;
}
