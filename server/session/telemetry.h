/* telemetry.h - the copy of a user's sessions that an operator asks for by making a directory. */
#ifndef US_SESSION_TELEMETRY_H
#define US_SESSION_TELEMETRY_H

#include "server/base/span.h"
#include "server/base/stream.h"

struct host;

/* If there is a directory <configdirectory>/log/<user> that we can write to, copy all that crosses the stream from now on to a file in
 * it: <ident>-<pid>, or `session`'s id with telemetry_bysessionid. */
void telemetry_begin(const struct host *host, struct span user, const char *session,
		     struct stream *stream);

#endif
