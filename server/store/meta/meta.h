/* meta.h - everything that is named: mailboxes, tombstones, users, subscriptions, seen, quota, annotations.
 *
 * Rows in tables, a row being a key and a payload (doc/FORMATS.md 9); what they mean is the business of those who write
 * them (rows.h and friends). One process owns the tables, metad, and commits for all; a handle is a connection to it. Where no
 * metad runs a tool owns them itself, for as long as it has them open: the calls are the same.
 *
 * There are no transactions to hold open and no locks to take: a change is one batch, all of it or nothing, and a
 * reader sees a batch only when it is durable. While metad is restarted calls wait; a batch whose connection broke is
 * sent again and recognised, so that what was answered with 0 was done once and what was not is not known.
 *
 * Errors of all calls beside their own: US_EIO (metad cannot write, or no longer), US_ETIMEOUT (no answer within
 * wait_ms: a batch may have been carried out, or be carried out never), US_ELIMIT (a key, row or batch too large).
 * All of them block for the answer. Handles are not for threads.
 */
#ifndef US_STORE_META_META_H
#define US_STORE_META_META_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/base/buf.h"
#include "server/base/err.h"
#include "server/base/span.h"

struct meta; /* opaque */

/*	  number on the wire and in frames: never reuse one	name in tables.db, and in cyr_dbtool */
#define META_TABLES(X)                            \
	X(META_MAILBOXES, 0, "mailboxes")         \
	X(META_BY_UNIQUEID, 1, "by_uniqueid")     \
	X(META_TOMBSTONES, 2, "tombstones")       \
	X(META_USERS, 3, "users")                 \
	X(META_SUBSCRIPTIONS, 4, "subscriptions") \
	X(META_ANNOTATIONS, 5, "annotations")     \
	X(META_SEEN, 6, "seen")                   \
	X(META_QUOTA, 7, "quota")                 \
	X(META_DUPLICATES, 8, "duplicates")       \
	X(META_VACATION, 9, "vacation")           \
	X(META_CHANNELS, 10, "channels")          \
	X(META_COUNTERS, 11, "counters")          \
	X(META_GRANTS, 12, "grants")

enum meta_table {
#define X(id, number, name) id = number,
	META_TABLES(X)
#undef X
		META_N_TABLES
};
const char *meta_table_name(enum meta_table table);

/* Limits of the format. A batch may be as large as a configuration lets it be (metad_max_request). */
#define META_KEY_MAX     4096u
#define META_PAYLOAD_MAX (4u << 20)

/* What every row carries beside its payload. */
struct meta_stamp {
	uint64_t version; /* newer is higher, over all tables; never 0 */
	uint64_t nonce;   /* of the batch that wrote it */
	uint64_t serial; /* META_MAILBOXES: of the newest frame whose META op was applied; else 0 */
};

/* ---- opening ----------------------------------------------------------------------------------- */

struct meta_config {
	const char *directory; /* <configdirectory>/meta */
	const char *socket;    /* metad's */
	bool may_own;          /* a tool: if nobody listens on the socket, own the tables here */
	bool no_rescue; /* ... as they are: damaged ones are US_ECORRUPT (a copy, which can be made again) */
	unsigned wait_ms;   /* how long an answer, or the tables, are waited for; 0: 60,000 */
	size_t cache_rows;  /* rows kept by a client, about; 0: 4,096 */
	size_t max_request; /* bytes of the largest batch; 0: 64 MiB */
};

/* A client connects when it first has something to ask. With may_own and no metad the tables are opened here:
 * US_EBUSY if another tool has them, US_ECORRUPT if they cannot be read. */
int meta_open(const struct meta_config *config, struct meta **out, struct us_err *err);
/* NULL and *meta NULL are well. Tables owned here are closed in order. */
void meta_close(struct meta **meta);
/* In a forked child, before any use. A child never owns tables its parent has open: it is a client from here on. */
void meta_after_fork(struct meta *meta);

/* ---- reading ----------------------------------------------------------------------------------- */

/* The row of that key: 1 with the payload appended and *stamp filled, 0 if there is none (neither is touched).
 * A row that was asked for before costs no question as long as nobody wrote it. */
int meta_get(struct meta *meta, enum meta_table table, struct span key, struct buf *payload,
	     struct meta_stamp *stamp, struct us_err *err);

enum meta_range_flag {
	META_NO_PAYLOADS = 1, /* keys and stamps only */
};

/* What is remembered of a row is not to be relied on: its serial may be higher by now, which nobody is told of. */
void meta_forget(struct meta *meta, enum meta_table table, struct span key);

/* Called for each row in byte order of the keys; key and payload are good until it returns. Anything but 0 ends the
 * range and is what meta_range() returns. It may call everything here. */
typedef int meta_row_fn(void *ctx, struct span key, struct span payload,
			const struct meta_stamp *stamp);

/* Rows from `first` (SPAN_NULL: the table's first) up to, without, `end` (SPAN_NULL: the table's end).
 * Rows come in pages: a table that is changed meanwhile may show parts of both states, but a row that is
 * there all the time is seen, once. */
int meta_range(struct meta *meta, enum meta_table table, struct span first, struct span end,
	       unsigned flags, meta_row_fn *fn, void *ctx, struct us_err *err);
/* All rows whose key begins with `prefix`; the empty prefix is every row. */
int meta_range_prefix(struct meta *meta, enum meta_table table, struct span prefix, unsigned flags,
		      meta_row_fn *fn, void *ctx, struct us_err *err);

/* Rows beyond a range that is asked for, to be asked for next: for a walk over many users with a few rows each. While one is used
 * ranges with payloads may show what was so at any time since it was made, our own changes included; all else is as ever. */
struct meta_ahead; /* opaque */
struct meta_ahead *meta_ahead_new(void);
void meta_ahead_free(struct meta_ahead **ahead);
/* Use it from now on; NULL: none. It stays the caller's. */
void meta_use_ahead(struct meta *meta, struct meta_ahead *ahead);

/* ---- changing ---------------------------------------------------------------------------------- */

/* Items, in the order they are carried out. Adding never fails: what is too large is found by meta_commit(). */
struct meta_batch {
	uint64_t nonce;
	uint32_t n_items;
	bool bad;         /* a key or payload beyond its limits was given */
	struct buf items; /* as in doc/FORMATS.md 10.3 */
};

void meta_batch_init(struct meta_batch *batch); /* draws the nonce */
void meta_batch_fini(struct meta_batch *batch);
bool meta_batch_is_empty(const struct meta_batch *batch);
/* The row becomes this. It keeps its serial if it is there already; after a meta_batch_del() of the same key in the
 * same batch it is a new one, with serial 0. */
void meta_batch_put(struct meta_batch *batch, enum meta_table table, struct span key,
		    struct span payload);
void meta_batch_del(struct meta_batch *batch, enum meta_table table, struct span key);
/* All or nothing: the batch is carried out only if the row has that version (0: is not there) before it. A batch with
 * conditions should put at least one row, for that is what a repetition is recognised by. */
void meta_batch_expect(struct meta_batch *batch, enum meta_table table, struct span key,
		       uint64_t version);
/* Raise the serial of a row to this; a row that is not there is well. */
void meta_batch_serial(struct meta_batch *batch, enum meta_table table, struct span key,
		       uint64_t serial);
/* What was added so far, since the last of these, is the META op of that serial of the mailbox with that row: it is left out, and that is
 * well, if the row has this serial or a higher one, or is gone; else it is done and raises the serial. So an op that comes
 * late, from somebody who gave up waiting and lost his locks, undoes nothing. */
void meta_batch_op(struct meta_batch *batch, enum meta_table table, struct span key,
		   uint64_t serial);

/* Add the items of another batch, to be carried out with these under this batch's nonce. */
void meta_batch_add(struct meta_batch *batch, const struct meta_batch *more);
/* The form it has in a frame's META op and on the wire, appended; its length is a multiple of 8. */
void meta_batch_encode(const struct meta_batch *batch, struct buf *out);
/* Back from that form, padding behind it is well. *out to be given to meta_batch_fini(). US_EPROTO. */
int meta_batch_decode(struct span text, struct meta_batch *out, struct us_err *err);

enum meta_durability {
	META_DURABLE, /* on the disk when we return */
	META_LAZY,    /* visible when we return, on the disk within a second */
};

/* Carry it out. US_ECHANGED: a version was not as expected, nothing was done. */
int meta_commit(struct meta *meta, const struct meta_batch *batch, enum meta_durability durability,
		struct us_err *err);

/* Returns when everything that anybody had sent before is either committed and durable or will never be. */
int meta_barrier(struct meta *meta, struct us_err *err);

/* Figures as text, one key=value a line, appended. */
int meta_stat(struct meta *meta, struct buf *out, struct us_err *err);

#endif
