/* cache.h - what FETCH needs of messages without opening them (doc/FORMATS.md 5). Derived data. */
#ifndef US_STORE_CACHE_H
#define US_STORE_CACHE_H

#include "server/base/buf.h"
#include "server/base/err.h"
#include "server/store/mailbox.h"

void cache_name(uint32_t generation, char out[32]);
int cache_create(int dir, uint32_t generation, const struct storeid *storeid, struct us_err *err);

/* Append a payload, holding the mailbox lock, and note in *r where it is. Not synced. A failure costs only the
 * cache: r says "not cached" then. */
void cache_append(struct mailbox *m, struct span payload, struct record *r);
/* The payload of a record: 1 and appended to *out, 0 if there is none or it is damaged. */
int cache_read(struct mailbox *m, const struct record *r, struct buf *out);

/* Keep a payload that was made again, if nobody is writing to the mailbox just then. Best effort, by a handle of its own: no
 * open view moves. */
void cache_keep(struct store *store, struct span name, uint32_t uid, struct span payload);

#endif
