/* link_private.h - inside of a link: link.c opens and closes, link_talk.c sends and reads. */
#ifndef US_SYNC_CLIENT_LINK_PRIVATE_H
#define US_SYNC_CLIENT_LINK_PRIVATE_H

#include "server/base/dlist_lexer.h"
#include "server/base/stream.h"
#include "sync_client/link.h"

struct tls_context;

struct link {
	const struct link_config *config;
	struct stream *stream;
	int fd; /* its socket, to be watched */
	struct tls_context *tls;
	struct dlist_lexer lexer;
	bool imap; /* commands have tags and the prefix SYNC */
	bool sieve_mailbox, tls_on, deflate_offered, starttls_offered, replication;
	bool local;       /* a Unix socket or this machine: nothing to gain by compressing */
	struct buf mechs; /* offered, blanks between */
	unsigned long tag;
	char tag_text[24];
	struct buf out;
	struct dlist_writer writer;
	uint64_t sent, received; /* told already */
};

/* The tag of the next command; "" over csync. */
struct span link_next_tag(struct link *link, char letter);
struct span link_sync_prefix(struct link *link);
int link_line(struct link *link, struct buf *line, struct us_err *err);
/* Send a line and read lines up to its answer; untagged ones go to fn (may be NULL). 0, or what was answered. */
int link_simple(struct link *link, char letter, const char *command,
		void (*fn)(struct link *link, struct span line), struct us_err *err);
void link_dump(struct link *link, char direction, struct span text);

#endif
