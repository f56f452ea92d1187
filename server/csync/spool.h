/* spool.h - the records of one APPLY MAILBOX, put somewhere while the rest of the command is read.
 *
 * They are needed twice (a dry run, then the change), and the header fields they are judged by may come behind
 * them. Small sets stay in memory; from SPOOL_MEMORY on they go to a file without a name, read back through a window, so
 * that memory stays bounded whatever a peer sends.
 */
#ifndef US_CSYNC_SPOOL_H
#define US_CSYNC_SPOOL_H

#include <stdint.h>

#include "server/base/buf.h"
#include "server/base/err.h"
#include "server/base/pool.h"
#include "server/store/state.h"

#define SPOOL_MEMORY (256u << 10)

struct spool; /* opaque */

/* `dir` is where a file would be made (borrowed); most: ceiling in bytes. Nothing is opened yet. */
struct spool *spool_new(int dir, uint64_t most);
void spool_free(struct spool **spool);
/* US_ELIMIT above the ceiling; US_ENOSPC and the like from the file. */
int spool_put(struct spool *spool, const struct state_record *r, struct us_err *err);
uint64_t spool_count(const struct spool *spool);

/* Hand every record to fn, from the first, as often as needed. Its arrays are in `scratch`, which is cleared behind each, its
 * strings in the spool: both live until fn returns. A negative code from fn ends the walk and comes back. */
int spool_each(struct spool *spool, struct pool *scratch,
	       int (*fn)(void *ctx, const struct state_record *r, struct us_err *err), void *ctx,
	       struct us_err *err);

#endif
