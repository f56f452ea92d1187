/* groups.h - the Unix groups of a user, as ACLs name them: "group:staff". */
#ifndef US_SESSION_GROUPS_H
#define US_SESSION_GROUPS_H

#include <stddef.h>

#include "server/base/pool.h"

/* Those of that user id, in pool; whether the system knows him by more than a line of its group file does not matter. None if
 * the name service does not say. Blocks while it is asked: once a login. */
const char *const *groups_of(const char *user, struct pool *pool, size_t *n_out);
/* Let the name service load what it consists of: a process that will fork does so once, for all its children. */
void groups_warm_up(void);

#endif
