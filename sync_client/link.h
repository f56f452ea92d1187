/* link.h - the connection to a replica: found, secured, logged in; commands go out, answers come in.
 *
 *	connect --> greeting --> [STARTTLS] --> AUTHENTICATE --> [COMPRESS] --> CAPABILITIES --> [FORCE] --> work --> EXIT
 *
 * The other end is a sync_server, or an imapd that lends an administrator the same commands; the greeting tells which, and
 * nothing above this file knows. One command is out at a time, its answer read to the last line before the next; but where the other
 * end is of our kind (PIPELINE) several may be out, answered in their order: link_ask(), link_end_later().
 */
#ifndef US_SYNC_CLIENT_LINK_H
#define US_SYNC_CLIENT_LINK_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include "reconcile/wire.h"
#include "server/base/conf.h"
#include "server/base/err.h"
#include "server/base/pool.h"

struct sasl_cli_library;
struct link; /* opaque */

/* What the configuration and the command line say about the other end; all borrowed. */
struct link_config {
	const char *target; /* host[:port][/tls][/noauth], or a path */
	const char *port;   /* sync_port; NULL: by the protocol */
	const char *authname, *password, *realm;
	const char *mechs; /* only these; NULL: any */
	bool try_imap;
	bool compress;      /* sync_compress: if it can be had */
	bool need_compress; /* -z */
	bool force;         /* -O */
	int connect_ms, answer_ms;
	int silence_ms; /* give the link up if their machine acknowledges nothing for so long */
	const char *tls_cert, *tls_key, *tls_ca_file, *tls_ca_dir, *tls_versions, *tls_ciphers;
	struct sasl_cli_library *sasl;
	const volatile sig_atomic_t *stop;
	bool wire_dump; /* -v -v: what goes over the wire on standard error, but for passwords */
};

/* US_EAUTH: not let in, for good as long as nothing is changed; US_ENOTSUP: -z, and no compression. Other codes: try again later. */
int link_open(const struct link_config *config, struct link **out, struct us_err *err);
/* Say goodbye, if that is still possible, and close. */
void link_close(struct link **link);

/* Readable while no command is out, and no answer owed: the replica has closed the link, or says that it will. */
int link_fd(const struct link *link);
bool link_has_sieve_mailbox(const struct link *link);
/* The other end is of our kind: */
bool link_has_digests(const struct link *link); /* GET DIGESTS */
bool link_has_pipeline(
	const struct link *link); /* an order need not wait for the answer of the one before */
/* Octets that crossed since the last call. */
void link_octets(struct link *link, uint64_t *sent, uint64_t *received);

/* Where the parts of an answer go; any of it may be NULL or absent. Items live in the pool. */
struct link_reader {
	struct pool *pool;
	int (*item)(void *ctx, const struct wire_item *item, struct us_err *err);
	void *ctx;
	const struct wire_record_sink *records;
	const struct wire_file_sink *files;
};

/* Send a command and read its answer. 0: OK. Else what the replica said (wire_answer.h), what the reader's own functions gave, or
 * US_ELINK: the link is of no more use. */
int link_call(struct link *link, const struct wire_command *command,
	      const struct link_reader *reader, struct us_err *err);

/* The same in two halves: the replica works on it while we do something else. After the first the second must follow, whatever else
 * may have failed. With PIPELINE up to LINK_MOST_OUT commands may be out, and are answered in their order. */
#define LINK_MOST_OUT 16
int link_ask(struct link *link, const struct wire_command *command, struct us_err *err);
int link_answer(struct link *link, const struct link_reader *reader, struct us_err *err);

/* The same for the two that stream. begin gives the writer; after each large piece link_push(); for a file's octets
 * link_send_file() right after dlist_put_file(); then end, which reads the answer. */
struct dlist_writer *link_begin(struct link *link, enum wire_kind kind, bool local);
void link_push(struct link *link);
int link_send_file(struct link *link, int fd, uint64_t size, struct us_err *err);
int link_end(struct link *link, const struct link_reader *reader, struct us_err *err);
/* End it as link_ask() does: link_answer() must follow. */
void link_end_ask(struct link *link);
/* End it, or send it, and let its answer be read later: before that of what is asked next, which then fails as this has failed, or by
 * link_collect(). A replica that has no PIPELINE is waited for. */
int link_end_later(struct link *link, struct us_err *err);
int link_call_later(struct link *link, const struct wire_command *command, struct us_err *err);
bool link_owes(const struct link *link); /* an answer will come that nobody waits for */
/* Read the answers that are owed: 0, or the first failure among them. */
int link_collect(struct link *link, struct us_err *err);

/* Staged bodies are forgotten; its answer comes later, too. */
int link_restart(struct link *link, struct us_err *err);
int link_ping(struct link *link, struct us_err *err);
/* Is a result the link's end rather than an object's failure? */
bool link_is_lost(int code);

#endif
