/* snapshot.h - what the store knows of an object, as the plain data of state.h.
 *
 * A snapshot is taken without a lock, of what is published. Spans live in the pool, or in the open mailbox (names of
 * keywords, annotations): it must stay open and unchanged as long as they are used.
 */
#ifndef US_STORE_SNAPSHOT_H
#define US_STORE_SNAPSHOT_H

#include "server/base/err.h"
#include "server/base/pool.h"
#include "server/store/mailbox.h"
#include "server/store/state.h"

/* All of a mailbox but its records. */
int snapshot_mailbox(struct mailbox *m, struct pool *pool, struct state_mailbox *out,
		     struct us_err *err);
/* An entry without a directory (intermediate). */
void snapshot_entry(struct span name, const struct mailbox_row *row, struct pool *pool,
		    struct state_mailbox *out);
/* Whatever that name is: 1, or 0 if there is none (or it is remote or deleted). The mailbox is open in *m (to be closed by the caller) if
 * it has records. */
int snapshot_name(struct store *store, struct span name, struct pool *pool,
		  struct state_mailbox *out, struct mailbox **m, struct us_err *err);

/* The same from its row alone, without opening it: neither quota root nor annotations, and nothing is checked but what is read
 * (mailbox_peek()). 1, or 0 as snapshot_name(). */
int snapshot_row(struct store *store, struct span name, const struct mailbox_row *row,
		 struct pool *pool, struct state_mailbox *out, struct us_err *err);

/* One record; keywords and lists of annotations are made in `pool`. */
void snapshot_record(struct mailbox *m, const struct record *r, struct pool *pool,
		     struct state_record *out);

/* The folders of a user, in list order: INBOX first, then children, then those under DELETED; not those that are remote or only
 * remembered. fn: 0 go on, else stop with that. */
typedef int snapshot_row_fn(void *ctx, struct span name, const struct mailbox_row *row,
			    struct us_err *err);
int snapshot_user_rows(struct store *store, struct span userid, snapshot_row_fn *fn, void *ctx,
		       struct us_err *err);
/* Their names only. */
int snapshot_user_names(struct store *store, struct span userid, struct pool *pool,
			const struct span **names, size_t *n_out, struct us_err *err);

/* Sums counted from the records themselves, not from the counters kept beside them. */
void snapshot_recount(struct mailbox *m, uint32_t *sync_crc, uint32_t *sync_crc_annot);

#endif
