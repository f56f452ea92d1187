/* local.c - the engine in this process, for a tool when no metad runs. */
#include "server/store/meta/meta_private.h"

#include "server/base/mem.h"

/* There is no loop here to look at the clock: each call does. What was asked is done already; if writing back fails
 * the engine logs it, and the next call fails. */
static int tend(struct meta *meta, int rc)
{
	struct us_err ignored;

	if (rc >= 0)
		(void)engine_tend(meta->engine, &ignored);
	return rc;
}

static int local_get(struct meta *meta, enum meta_table table, struct span key, struct buf *value,
		     struct us_err *err)
{
	return tend(meta, engine_get(meta->engine, table, key, value, err));
}

static int local_page(struct meta *meta, const struct request *range, struct buf *entries,
		      struct us_err *err)
{
	return tend(meta, engine_page(meta->engine, range, entries, err));
}

static int local_commit(struct meta *meta, const struct meta_batch *batch, bool lazy,
			struct us_err *err)
{
	uint64_t version;
	int rc = engine_apply(meta->engine, batch, lazy, &version, err);

	if (rc == 0 && engine_wants_flush(meta->engine))
		rc = engine_flush(meta->engine, err);
	return tend(meta, rc);
}

static int local_barrier(struct meta *meta, struct us_err *err)
{
	return engine_flush(meta->engine, err);
}

static int local_stat(struct meta *meta, struct buf *out, struct us_err *err UNUSED)
{
	engine_stat(meta->engine, out);
	return 0;
}

const struct meta_ops meta_local_ops = {local_get, local_page, local_commit, local_barrier,
					local_stat};
