/* cache.h - all that FETCH usually asks about a message, so that its file need not be opened.
 *
 * Made once, at delivery, and kept in mbox.cache; derived, so a record that cannot be used is made again.
 * The store puts length, checksum and perhaps compression around it (doc/FORMATS.md).
 */
#ifndef US_STORE_MIME_CACHE_H
#define US_STORE_MIME_CACHE_H

#include <stdbool.h>
#include <stdint.h>

#include "server/base/buf.h"
#include "server/base/datetime.h"
#include "server/base/err.h"
#include "server/store/mime/section.h"
#include "server/store/mime/structure.h"

/* Raised whenever bytes, rendered forms or the list of fields change: older records are then made again. */
#define MIME_CACHE_VERSION     1

/* Fields above this size together are not kept; HEADER.FIELDS then reads the file. */
#define MIME_CACHE_HEADERS_MAX 65536

struct mime_cache {
	uint32_t message_size, header_size;
	bool limited;         /* mime_tree.limited */
	bool has_headers;     /* `headers` is complete */
	bool has_sent;        /* there is a Date: that says a date */
	struct datetime sent; /* that date */
	struct span envelope; /* as FETCH shows them */
	struct span body_structure;
	struct span body;
	struct span
		headers; /* cached fields as they stand in the message, in its order, no blank line */
	struct span parts; /* the table of parts, encoded */
	uint32_t n_parts;
};

/* Append the record. US_ELIMIT: a size does not fit 32 bits; *out is as before. */
int mime_cache_encode(const struct mime_tree *tree, struct buf *out, struct us_err *err);

/* Read a record that fills `record`; *out borrows from it. Whatever the bytes are, nothing behind them is
 * read, and no range of the table ends behind message_size, which the caller must compare with the file.
 * US_ECORRUPT: it is no record of this version. */
int mime_cache_decode(struct span record, struct mime_cache *out, struct us_err *err);

/* The table of parts, for section.h. */
struct mime_table mime_cache_table(const struct mime_cache *cache);

/* Are all these fields answered by cache->headers: those in it are all there are? */
bool mime_cache_has_fields(const struct mime_cache *cache, const struct span *names, size_t n);

#endif
