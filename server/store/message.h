/* message.h - from the bytes of a message to its record and its cache payload. */
#ifndef US_STORE_MESSAGE_H
#define US_STORE_MESSAGE_H

#include <stdint.h>

#include "server/base/buf.h"
#include "server/base/err.h"
#include "server/base/span.h"
#include "server/store/commit.h"
#include "server/store/record.h"
#include "server/store/stage.h"

/* Set header_size, sentdate and gmtime of *r, and make the cache payload (empty for a message too large to have one). The
 * bytes may be anything. */
void message_examine(struct span bytes, struct record *r, struct buf *cache);
/* The same for a file, which is mapped for the time. US_EIO. */
int message_examine_file(int fd, uint64_t size, struct record *r, struct buf *cache,
			 struct us_err *err);

/* Examine a staged body and append it: what lmtpd, APPEND and a replica do. *r as for commit_append(). */
int message_append(struct commit *c, struct staged *staged, const struct record *r,
		   uint32_t *uid_out, struct us_err *err);
/* Open the file of a message for reading. US_ENOENT: it is gone, as after an expunge; US_ECORRUPT: it is not as long as
 * its record says. */
int message_open(struct mailbox *m, const struct record *r, int *out, struct us_err *err);
/* The same, mapped: *out is to be given to message_unmap(). */
int message_map(struct mailbox *m, const struct record *r, struct span *out, struct us_err *err);
void message_unmap(struct span *bytes); /* leaves SPAN_NULL; nothing mapped is well */

/* The cache payload of a message: in the cache, or made from its file into *made. 1: it was made, and should be given to a
 * cache_keeper. *out is good as long as both are. */
int message_payload(struct mailbox *m, const struct record *r, struct buf *made, struct span *out,
		    struct us_err *err);

#endif
