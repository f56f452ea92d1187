/* dbview_private.h - one kind of database of a Cyrus (dbview.h). */
#ifndef US_ADMIN_DBVIEW_PRIVATE_H
#define US_ADMIN_DBVIEW_PRIVATE_H

#include "server/admin/dbview.h"
#include "server/base/pool.h"
#include "server/store/meta/meta.h"

struct dbview_kind {
	/* prefix: only a hint; what does not fit is sorted out by dbview_each(). */
	int (*each)(struct dbview *view, struct span prefix, dbview_fn *fn, void *ctx,
		    struct us_err *err);
	/* NULL: looked for with each(). */
	int (*get)(struct dbview *view, struct span key, struct buf *value, struct us_err *err);
	int (*set)(struct dbview *view, struct span key, struct span value, struct us_err *err);
	int (*del)(struct dbview *view, struct span key, struct us_err *err);
	enum meta_table table;
};

struct dbview {
	const struct dbview_kind *kind;
	struct dbview_kind raw; /* storage of a kind made for a table */
	struct store *store;
	struct buf userid; /* whose subscriptions, whose seen state */
	struct pool *pool; /* of one entry */
};

extern const struct dbview_kind dbview_mailboxes;   /* dbview_mailboxes.c */
extern const struct dbview_kind dbview_annotations; /* dbview_data.c */
extern const struct dbview_kind dbview_deliver;
extern const struct dbview_kind dbview_quota;
extern const struct dbview_kind dbview_sub;  /* <user>.sub */
extern const struct dbview_kind dbview_sub2; /* sub.db */
extern const struct dbview_kind dbview_seen;

/* "user.a^b" as a database key has it, "user<1F>a.b", appended; and back. */
void dbview_name_out(struct span name, struct buf *out);
void dbview_name_in(struct span key, struct buf *name);

#endif
