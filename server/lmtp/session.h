/* session.h - one LMTP connection: lmtp_serve() serves a client to the end. */
#ifndef US_LMTP_SESSION_H
#define US_LMTP_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "server/lmtp/recipient.h"
#include "server/session/host.h"
#include "server/session/service.h"

/* What the configuration and the command line say; read once a process. Strings are borrowed from the conf. */
struct lmtp_options {
	bool trusted; /* -a: clients on the network need not authenticate */
	struct recipient_rules names;
	const char *catchall;           /* lmtp_catchall_mailbox; NULL: none */
	const char *exclude_specialuse; /* blank-separated */
	bool x_for_8bit, munge8bit, reject8bit;
	bool fuzzy; /* lmtp_fuzzy_mailbox_match */
	bool suppress_duplicates, strict_quota, over_quota_for_good;
	bool soft_noauth, read_only, auditlog;
	uint64_t most_bytes; /* of a message; UINT64_MAX: no limit */
	unsigned most_recipients;
	int64_t timeout_s;
};

void lmtp_options_read(const struct conf *conf, struct lmtp_options *out);

/* Gives the process's exit status. */
int lmtp_serve(struct host *host, const struct lmtp_options *options,
	       const struct service_conn *conn);

#endif
