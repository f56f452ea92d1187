/* annotations.h - annotations of mailboxes and of the server, in metad (message annotations are annots.h's). */
#ifndef US_STORE_ANNOTATIONS_H
#define US_STORE_ANNOTATIONS_H

#include "server/base/err.h"
#include "server/base/pool.h"
#include "server/store/mailbox.h"
#include "server/store/state.h"
#include "server/store/store.h"

struct meta_batch;

/* An owner's own: what the mailbox is for (RFC 6154), blank-separated. */
#define ANNOTATION_SPECIAL_USE SPAN_LIT("/specialuse")

/* The server's message of the day. */
#define ANNOTATION_MOTD        SPAN_LIT("/motd")

/* All of a mailbox (id) or of the server (NULL), sorted by entry and user; they live in pool. 0 when well. */
int annotations_list(struct store *store, const struct storeid *id, struct pool *pool,
		     const struct state_annotation **out, size_t *n_out, struct us_err *err);

/* Those of every mailbox at once, as they are now; for who goes through all mailboxes. 1 with *out the caller's, or 0: there are
 * more than `most`. */
struct annotations_all; /* opaque */
int annotations_list_all(struct store *store, size_t most, struct annotations_all **out,
			 struct us_err *err);
void annotations_all_free(struct annotations_all **all);
/* They live in `all`. */
void annotations_all_of(const struct annotations_all *all, const struct storeid *id,
			const struct state_annotation **out, size_t *n_out);
/* One value: 1 and appended to *value, or 0. */
int annotation_get(struct store *store, const struct storeid *id, struct span entry,
		   struct span userid, struct buf *value, struct us_err *err);

/* The shared value that holds for a mailbox: its own, that of its nearest parent which has one, or the server's. 1 and appended to
 * *value, or 0. The mailbox need not exist. */
int annotation_inherited(struct store *store, struct span name, struct span entry,
			 struct buf *value, struct us_err *err);

/* What a client changes of a mailbox: all of it or nothing. */
struct annotations_change {
	const struct state_annotation *set; /* value.ptr NULL: removed; modseq is 0 */
	size_t n;
	bool has_counters; /* the next two are to change as well */
	uint32_t options;  /* MAILBOX_OPTION_*, all of them */
	int64_t pop3_show_after;
};
/* The mailbox is locked; its foldermodseq rises. */
int annotations_change(struct mailbox *m, const struct annotations_change *change,
		       struct us_err *err);
/* That with one annotation. */
int annotation_set(struct mailbox *m, struct span entry, struct span userid, struct span value,
		   struct us_err *err);
/* The same of the server. */
int annotations_change_server(struct store *store, const struct state_annotation *set, size_t n,
			      struct us_err *err);
int annotation_set_server(struct store *store, struct span entry, struct span userid,
			  struct span value, struct us_err *err);

/* Add to `batch` what makes the mailbox's set exactly `wanted`. `have` is what annotations_list() gave. */
void annotations_replace(struct meta_batch *batch, const struct storeid *id,
			 const struct state_annotation *have, size_t n_have,
			 const struct state_annotation *wanted, size_t n_wanted);

#endif
