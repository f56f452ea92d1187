/* autocreate.h - make a new user's INBOX and folders when he first logs in, or when his first message arrives.
 *
 * What is made, and for whom, is in the keys autocreate_*. Everything is tried: a folder that cannot be made is logged
 * and left out, so that a mistake in one key does not keep a user out.
 */
#ifndef US_SESSION_AUTOCREATE_H
#define US_SESSION_AUTOCREATE_H

#include <stdbool.h>

#include "server/base/err.h"
#include "server/session/host.h"

/* 1: his INBOX was made; 0: it was there, or he gets none. Costs one look-up; where the keys
 * make nothing, not even that. */
int autocreate_at_login(const struct host *host, const struct identity *who, struct us_err *err);
/* The same for a message to `user` (canonical); only where autocreate_post says so. */
int autocreate_on_post(const struct host *host, const char *user, struct us_err *err);
/* Would a message to a user who has no INBOX make one? */
bool autocreate_would_on_post(const struct host *host, const char *user);

#endif
