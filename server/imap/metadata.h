/* metadata.h - annotations of mailboxes and of the server as clients see them (RFC 5464).
 *
 * An entry is "/shared" or "/private" and a name. What is private to a user is kept beside what others have of the same
 * name. Most values are the store's own (annotations.h); some stand for something of the mailbox or of the server (its
 * options, its size, a file below msg/) and are read from there, and written there if they can be.
 *
 *	who may		/private		/shared			a switch of /vendor/cmu/cyrus-imapd
 *	of a mailbox	r: read and write	r: read, w: write	r: read, a: write
 *	of the server	everybody		read: everybody; write: administrators
 *
 * Administrators may read and write all of a mailbox. Names that are not in the table of metadata.c may be written where
 * annotation_allow_undefined says so, but none of /vendor/cmu.
 */
#ifndef US_IMAP_METADATA_H
#define US_IMAP_METADATA_H

#include <stdbool.h>
#include <stddef.h>

#include "server/base/err.h"
#include "server/base/span.h"
#include "server/imap/access.h"
#include "server/store/record.h"

struct imap_session;

struct metadata_name {
	bool shared;
	struct span name; /* "/comment", lower case; empty: the top of all */
};
/* Pure. The name lives in pool. US_EPROTO: it begins with neither, or breaks RFC 5464, 4.1. */
int metadata_name_parse(struct span text, struct pool *pool, struct metadata_name *out,
			struct us_err *err);

struct metadata_item {
	struct metadata_name at;
	struct span value; /* SPAN_NULL: none, or to be removed */
};

/* A mailbox that may be read by him, or the server. */
struct metadata_place {
	bool is_server;
	struct access access; /* of a mailbox */
	struct counters counters;
};
/* `mailbox` as the client wrote it; empty: the server. US_ENOENT, US_EPERM. */
int metadata_open(struct imap_session *s, struct span mailbox, struct metadata_place *out,
		  struct us_err *err);
/* All he may see that has a value; in s->pool. */
int metadata_list(struct imap_session *s, const struct metadata_place *place,
		  struct metadata_item **out, size_t *n_out, struct us_err *err);

/* Octets a value of that entry may have. */
size_t metadata_longest(const struct imap_session *s, const struct metadata_place *place,
			const struct metadata_name *at);
/* Set all of them or none: 0, or why not: US_EPERM; US_EINVAL: a value that cannot be; US_ELIMIT: there would be too many;
 * US_EQUOTA; US_EEXIST: a special use that is taken; US_ECHANGED: his rights, meanwhile. The server's notices are files
 * of their own, written before the rest: they stay if it fails. How long values may be was seen to. */
int metadata_set(struct imap_session *s, const struct metadata_place *place,
		 const struct metadata_item *items, size_t n, struct us_err *err);

#endif
