/* fetch_put.h - what FETCH shows of one message, from its record, its cache record and its file.
 *
 *	record --> UID, INTERNALDATE, RFC822.SIZE, and where BODY[], HEADER and TEXT begin and end
 *	cache  --> ENVELOPE, BODYSTRUCTURE, BODY, the usual header fields, where every other section is
 *	file   --> octets, straight to the connection
 *
 * Each is asked for only where the arguments need it. Nothing here knows the store: it gets what it needs by hand.
 */
#ifndef US_IMAP_FETCH_PUT_H
#define US_IMAP_FETCH_PUT_H

#include <stdbool.h>

#include "server/base/err.h"
#include "server/base/stream.h"
#include "server/imap/fetch_args.h"
#include "server/store/mime/cache.h"
#include "server/store/record.h"

struct fetch_source {
	const struct record *record;
	const struct mime_cache *cache; /* where fetch_needs_cache() */
	int fd;                         /* of the message, where fetch_needs_file() */
	struct annotate_source annotations;
};

bool fetch_needs_cache(const struct fetch_args *args);
/* `cache` is the message's, or NULL where none is needed. */
bool fetch_needs_file(const struct fetch_args *args, const struct mime_cache *cache);

/* Write all items but FLAGS, which only a session knows; `separator` says that something stands before them. After
 * a failure the line cannot be finished, since octets were promised that do not come: the connection has to end. */
int fetch_put(struct stream *out, const struct fetch_args *args, const struct fetch_source *source,
	      bool separator, struct us_err *err);

#endif
