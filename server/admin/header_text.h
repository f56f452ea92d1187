/* header_text.h - addresses and subject of a message as a person at a terminal reads them: decoded, and of what a stranger
 * wrote no control gets there. */
#ifndef US_ADMIN_HEADER_TEXT_H
#define US_ADMIN_HEADER_TEXT_H

#include "server/base/buf.h"
#include "server/base/span.h"
#include "server/store/mime/mime_text.h"
#include "server/store/mime/structure.h"

/* Append the addresses of a field, `values` being what stood each time it was there: "Ann <ann@b.test>,<bob@b.test>"; a
 * group is "name:<a@b>;". A name that is more than atoms is in quotes. */
void header_text_addresses(struct mime_text *text, const struct mime_words *values,
			   struct buf *out);
/* Append an unstructured field. */
void header_text_plain(struct mime_text *text, struct span value, struct buf *out);

#endif
