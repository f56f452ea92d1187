/* cache.h - what FETCH needs of messages without opening them (doc/FORMATS.md 5). Derived data. */
#ifndef US_STORE_CACHE_H
#define US_STORE_CACHE_H

#include "server/base/buf.h"
#include "server/base/err.h"
#include "server/store/mailbox.h"

void cache_name(uint32_t generation, char out[32]);
/* Is that file here, with a header that is right? */
bool cache_is_there(int dir, uint32_t generation, const struct storeid *storeid);
int cache_create(int dir, uint32_t generation, const struct storeid *storeid, struct us_err *err);

/* Append a payload, holding the mailbox lock, and note in *r where it is. Not synced. A failure costs only the
 * cache: r says "not cached" then. */
void cache_append(struct mailbox *m, struct span payload, struct record *r);
/* The payload of a record: 1, or 0 if there is none or it is damaged. *out is in the mapped file: good until the mailbox
 * is refreshed or closed, or this is called for another of its records. */
int cache_find(struct mailbox *m, const struct record *r, struct span *out);
void cache_unmap(struct mailbox *m); /* mailbox_close()'s */

/* Payloads that had to be made again, on their way back into the cache of a mailbox: gathered, so that a command that
 * misses thousands of them does not commit as often. Best effort, if nobody is writing to the mailbox just then, by a handle
 * of its own: no open view moves. Not for one who holds locks. */
struct cache_keeper {
	struct store *store;
	struct buf name, payloads;
	struct cache_kept {
		uint32_t uid;
		size_t length;
	} * list;
	size_t n, cap;
};
void cache_keeper_init(struct cache_keeper *k, const struct mailbox *m);
void cache_keeper_add(struct cache_keeper *k, uint32_t uid, struct span payload);
void cache_keeper_fini(struct cache_keeper *k); /* commits what is left */

#endif
