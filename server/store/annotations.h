/* annotations.h - annotations of mailboxes and of the server, in metad (message annotations are annots.h's). */
#ifndef US_STORE_ANNOTATIONS_H
#define US_STORE_ANNOTATIONS_H

#include "server/base/err.h"
#include "server/base/pool.h"
#include "server/store/mailbox.h"
#include "server/store/state.h"
#include "server/store/store.h"

struct meta_batch;

/* All of a mailbox (id) or of the server (NULL), sorted by entry and user; they live in pool. 0 when well. */
int annotations_list(struct store *store, const struct storeid *id, struct pool *pool,
		     const struct state_annotation **out, size_t *n_out, struct us_err *err);
/* One value: 1 and appended to *value, or 0. */
int annotation_get(struct store *store, const struct storeid *id, struct span entry,
		   struct span userid, struct buf *value, struct us_err *err);

/* Set (value.ptr NULL: remove) one annotation of a locked mailbox as a client does: its foldermodseq rises. */
int annotation_set(struct mailbox *m, struct span entry, struct span userid, struct span value,
		   struct us_err *err);
/* Of the server. */
int annotation_set_server(struct store *store, struct span entry, struct span userid,
			  struct span value, struct us_err *err);

/* Add to `batch` what makes the mailbox's set exactly `wanted`. `have` is what annotations_list() gave. */
void annotations_replace(struct meta_batch *batch, const struct storeid *id,
			 const struct state_annotation *have, size_t n_have,
			 const struct state_annotation *wanted, size_t n_wanted);

#endif
