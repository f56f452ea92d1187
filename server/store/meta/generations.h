/* generations.h - the shared counters that tell a cached row from a stale one (doc/FORMATS.md 9.4).
 *
 * The owner raises the counter of a key after a batch that changed it is visible to its readers and before that batch is answered;
 * it changes the epoch when it opens the tables. A client notes both before it asks, and what it was told is
 * good for as long as neither has changed. Several keys share a counter: a needless question is the worst of it.
 */
#ifndef US_STORE_META_GENERATIONS_H
#define US_STORE_META_GENERATIONS_H

#include "server/store/meta/meta.h"

struct generations; /* opaque: one mapping */

/* The owner's: made if it is not there or not what it should be, with a new epoch. `dir`: of the environment. */
int generations_own(int dir, struct generations **out, struct us_err *err);
/* A client's. US_ENOENT: no owner has made it yet. */
int generations_map(const char *directory, struct generations **out, struct us_err *err);
void generations_close(struct generations **g);

/* What counters, and slots of caches, are chosen by. */
uint32_t generations_hash(enum meta_table table, struct span key);

void generations_raise(struct generations *g, uint32_t hash);

struct generation {
	uint64_t epoch, count;
};
struct generation generations_now(const struct generations *g, uint32_t hash);
/* The file is still the one the owner would find by its name. */
bool generations_are_linked(const struct generations *g);

#endif
