/* field.h - the header of a message or part as a sequence of fields.
 *
 *	header = *field [blank-line]
 *	field  = name *WSP ":" value line-end *(WSP text line-end)	RFC 5322, sections 2.2 and 4.5.8
 *
 * A line ends with LF; CRs right before it belong to the line end. A line that starts no field and
 * continues none ("junk": "From " of mboxes, a paragraph that lost its blank line) is a field without a
 * name, so that nothing is lost and nobody takes it for one.
 */
#ifndef US_STORE_MIME_FIELD_H
#define US_STORE_MIME_FIELD_H

#include <stdbool.h>
#include <stdint.h>

#include "server/base/buf.h"
#include "server/base/pool.h"
#include "server/base/span.h"

struct mime_field {
	struct span name;  /* SPAN_NULL: junk */
	struct span value; /* behind the colon, folding and all, without the last line end */
	struct span raw;   /* the whole, with its last line end if there is one */
	uint32_t lines;    /* line ends in raw */
};

/* Take the next field off *rest: false at a blank line, which stays, and at the end. */
bool mime_field_next(struct span *rest, struct mime_field *out);

/* How long the blank line at the start of `text` is; 0: there is none. */
size_t mime_blank_line(struct span text);

/* Could this line begin a field? The name is 1*(33-126 without ":"). */
bool mime_field_starts(struct span text);

/* The value on one line: line ends removed (RFC 5322, section 2.2.3), blanks trimmed at both ends.
 * Borrows from `value` where nothing had to be removed, else a copy in the pool. Never SPAN_NULL. */
struct span mime_unfold(struct span value, struct pool *pool);

/* Append to *out, in their order, the fields of `header` whose names are (`inverse`: are not) among
 * names, then the blank line that ends every header we show (RFC 3501, HEADER.FIELDS). Junk is left out.
 * A field that ends without a line end gets one. */
void mime_field_filter(struct span header, const struct span *names, size_t n, bool inverse,
		       struct buf *out);

#endif
