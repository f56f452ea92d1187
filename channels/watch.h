/* watch.h - wake when a channel's log gets a line, without polling (inotify(7)). */
#ifndef US_CHANNELS_WATCH_H
#define US_CHANNELS_WATCH_H

#include "channels/channel.h"
#include "server/base/err.h"

/* *out is a descriptor that becomes readable when something was appended after the last watch_drain(). To be closed by the caller. */
int watch_open(const struct channel *ch, int *out, struct us_err *err);
/* Forget what was seen. Then look at the log: what comes later wakes again, what came before is there. */
void watch_drain(int fd);

#endif
