/* spool.h - the records of one APPLY MAILBOX, put somewhere while the rest of the command is read.
 *
 * They are needed twice (a dry run, then the change), and the header fields they are judged by may come behind
 * them. Small sets stay in memory; from SPOOL_MEMORY on they go to a file without a name, so that memory stays bounded
 * whatever a peer sends.
 */
#ifndef US_CSYNC_SPOOL_H
#define US_CSYNC_SPOOL_H

#include <stdint.h>

#include "server/base/buf.h"
#include "server/base/err.h"
#include "server/base/pool.h"
#include "server/store/state.h"

#define SPOOL_MEMORY (1u << 20)

struct spool; /* opaque */

/* `dir` is where a file would be made; most: ceiling in bytes. Nothing is opened yet. */
struct spool *spool_new(int dir, uint64_t most);
void spool_free(struct spool **spool);
int spool_put(struct spool *spool, const struct state_record *r, struct us_err *err);
uint64_t spool_count(const struct spool *spool);

/* Go through it from the start, as often as needed: 1 and *out filled (its arrays in pool, its strings in the spool), 0
 * at the end. Begin each walk with spool_rewind(). */
int spool_rewind(struct spool *spool, struct us_err *err);
int spool_next(struct spool *spool, struct pool *pool, struct state_record *out);

#endif
