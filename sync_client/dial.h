/* dial.h - get a link to the replica of a channel, with as much patience as the mode has. */
#ifndef US_SYNC_CLIENT_DIAL_H
#define US_SYNC_CLIENT_DIAL_H

#include <signal.h>

#include "channels/retry.h"
#include "server/base/err.h"
#include "server/session/host.h"
#include "sync_client/link.h"
#include "sync_client/options.h"

struct dial {
	struct link_config config;
	struct retry retry; /* between failed attempts */
};

/* What options and the channel's keys say; both are borrowed. US_ECONFIG: no replica is named, or a value is wrong. */
int dial_init(struct dial *d, const struct host *host, const struct options *options,
	      const volatile sig_atomic_t *stop, struct us_err *err);
void dial_fini(struct dial *d);

/* Connect. While the replica cannot be reached: again, after the pauses of sync_reconnect_maxwait, unless `once`. Being turned
 * away (US_EAUTH, US_ENOTSUP, US_ECONFIG) is final. US_ECLOSED: *stop was set. Each failure is logged. */
int dial_until(struct dial *d, bool once, struct link **out, struct us_err *err);
/* Will trying again change nothing as long as nobody changes a configuration? */
bool dial_is_final(int code);
/* Sleep that many ms; US_ECLOSED: *stop was set meanwhile. */
int dial_sleep(const struct dial *d, uint32_t ms, struct us_err *err);

#endif
