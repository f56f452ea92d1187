/* host.h - what a program that serves or keeps mail has of this server: configuration, store, logs, TLS, SASL.
 *
 * Opened once a process, before it forks for connections; the child calls host_after_fork(). A program asks for the
 * parts it needs. Whoever opens the store to write gets the sync logs with it: there is no other way.
 */
#ifndef US_SESSION_HOST_H
#define US_SESSION_HOST_H

#include <stdbool.h>
#include <sys/types.h>

#include "channels/channels.h"
#include "server/base/buf.h"
#include "server/base/conf.h"
#include "server/base/err.h"
#include "server/base/stream.h"
#include "server/session/change_log.h"
#include "server/session/identity.h"
#include "server/session/sasl_server.h"
#include "server/session/service.h"
#include "server/store/acl.h"
#include "server/store/mboxname.h"
#include "server/store/store.h"

struct tls_context;

enum host_part {
	HOST_STORE_READ = 1u << 0,
	HOST_STORE_WRITE = 1u << 1, /* a store for writing, its changes logged */
	HOST_TLS = 1u << 2,         /* as a server; stays NULL when no certificate is configured */
	HOST_SASL = 1u << 3,        /* as a server */
	HOST_TOOL =
		1u << 4, /* not started by master: may open the metadata itself if no metad runs */
};

/* Filled by host_open(), read by everybody. */
struct host {
	const struct conf *conf; /* borrowed */
	const char *ident;       /* "imap", "cyr_expire" */
	const char *servername;
	struct change_log *change_log; /* with HOST_STORE_WRITE */
	struct store *store;
	struct tls_context *tls;
	struct sasl_srv_library *sasl;
	struct identity_policy policy;
	struct mboxname_view names; /* of nobody in particular: a copy gets userid and admin */
	uint32_t implicit_rights;   /* implicit_owner_rights */
	char deleteright;
};

/* US_ECONFIG with file, line and key where the configuration is wrong. conf and ident are borrowed. */
int host_open(const struct conf *conf, const char *ident, unsigned parts, struct host *out,
	      struct us_err *err);
void host_close(struct host *host);
void host_after_fork(struct host *host);
/* In a child that has nothing to do yet: ask metad a first thing, what every greeting asks for, so that the client who comes
 * finds the connection made. Blocks as the store does. */
void host_prepare(struct host *host);

/* The configuration as the store and the channels want it; strings are borrowed from conf. */
void host_channels_config(const struct conf *conf, struct channels_config *out);

/* Where libsasl finds its options, for a program that is a client of another server. */
struct sasl_options host_sasl_options(const struct host *host);

/* A stream for a connection, with the timeouts this configuration gives a client that is silent for
 * `read_timeout_s`. */
struct stream *host_stream(const struct host *host, const struct service_conn *conn,
			   int64_t read_timeout_s);
/* Authentication for a connection; service: SASL's name of the protocol. */
struct sasl_srv *host_sasl(const struct host *host, const struct service_conn *conn,
			   const char *service);
/* Is that user, who is no administrator, kept out of this service by cyr_deny(8)? Then true, with what he is to be told appended. If
 * that cannot be found out it is logged, and he is not. Those who log in through host_sasl() have been asked about. */
bool host_denies(const struct host *host, const char *user, struct buf *message);
/* Do the server's side of a TLS handshake; `sasl` learns of the layer. Needs host->tls. */
int host_start_tls(const struct host *host, struct stream *stream, struct sasl_srv *sasl,
		   struct us_err *err);
/* May this be said: "Cyrus IMAP 3.6.1-Understudy-0.1.0", less of it as serverinfo wants? Appends `product` and the
 * version. */
void host_banner(const struct host *host, const char *product, struct buf *out);

/* ident-time-pid-n-random: the join key of log lines. */
#define SESSION_ID_MAX 96
void session_id_new(const struct host *host, char out[SESSION_ID_MAX]);

/* Pause after a failed login (failedloginpause); ends early when the connection is to end. */
void host_login_pause(const struct host *host, const volatile sig_atomic_t *stop);

/* ---- rights ------------------------------------------------------------------------------------ */

/* What `who` (NULL: nobody) may do with a mailbox of that name and ACL: the ACL, what its owner always keeps,
 * and what administrators have. */
uint32_t host_rights(const struct host *host, const struct identity *who, struct span name,
		     struct span acl);
/* Is it his own, below his INBOX? */
bool host_owns(const struct host *host, const struct identity *who, struct span name);
/* How `who` sees names. */
struct mboxname_view host_view(const struct host *host, const struct identity *who);
/* The ACL a new mailbox gets: its parent's, the owner's own, or defaultacl. Appended. */
int host_initial_acl(const struct host *host, struct span name, struct buf *out,
		     struct us_err *err);

#endif
