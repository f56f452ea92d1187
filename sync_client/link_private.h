/* link_private.h - inside of a link: link.c opens and closes, link_talk.c sends and reads. */
#ifndef US_SYNC_CLIENT_LINK_PRIVATE_H
#define US_SYNC_CLIENT_LINK_PRIVATE_H

#include "server/base/dlist_lexer.h"
#include "server/base/stream.h"
#include "sync_client/link.h"

struct tls_context;

struct link {
	struct link_config config;
	struct stream *stream;
	int fd; /* its socket, to be watched */
	struct tls_context *tls;
	struct dlist_lexer lexer;
	bool imap; /* commands have tags and the prefix SYNC */
	bool sieve_mailbox, digests, pipeline, tls_on, deflate_offered, zstd_offered;
	bool starttls_offered, replication;
	bool local;       /* a Unix socket or this machine: little to gain by compressing */
	struct buf mechs; /* offered, blanks between */
	unsigned long tag;
	char tag_text[40];
	struct buf out;
	struct dlist_writer writer;
	uint64_t sent, received; /* told already */
	/* Commands that are out, the oldest first: how many answers that nobody asked for come before that of each; and how many
	 * are owed behind the last. */
	unsigned before[LINK_MOST_OUT], n_out, owed;
	struct us_err late; /* the first failure among those that came; code 0: none */
	/* The connection is of no more use, and why: set wherever it shows. What is read then is no answer. */
	bool broken;
	struct us_err why;
};

/* A link over a stream, which becomes its own; nothing is said on it yet. Tests put a pipe in memory under it. */
struct link *link_over(const struct link_config *config, struct stream *stream);
/* The tag of the next command; "" over csync. */
struct span link_next_tag(struct link *link, char letter);
struct span link_sync_prefix(struct link *link);
int link_line(struct link *link, struct buf *line, struct us_err *err);
/* Send a line and read lines up to its answer; untagged ones go to fn (may be NULL). 0, or what was answered. */
int link_simple(struct link *link, char letter, const char *command,
		void (*fn)(struct link *link, struct span line), struct us_err *err);
/* What comes in, for the lexer: link->stream, noting when it breaks. */
struct dlist_source link_source(struct link *link);
/* A result for the caller: US_ELINK and the reason if the link is broken, else rc as it is. */
int link_result(struct link *link, int rc, struct us_err *err);

#endif
