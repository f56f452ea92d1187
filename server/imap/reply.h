/* reply.h - the words of RFC 3501's grammar as a server writes them.
 *
 * What cannot be an atom is quoted, what cannot be quoted is a literal: whatever a name, a header or a value
 * holds, a client can read the reply. Nothing here flushes: whole replies leave together (stream.h).
 */
#ifndef US_IMAP_REPLY_H
#define US_IMAP_REPLY_H

#include <stdint.h>

#include "server/base/span.h"
#include "server/base/stream.h"

/* "* " text CRLF. */
void reply_untagged(struct stream *out, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

void reply_astring(struct stream *out, struct span text); /* atom, quoted or literal */
void reply_string(struct stream *out, struct span text);  /* quoted or literal */
void reply_nstring(struct stream *out, struct span text); /* the same; SPAN_NULL: NIL */
void reply_value(struct stream *out, struct span value);  /* nstring / literal8, if NUL is in it */
void reply_literal(struct stream *out, struct span octets);
void reply_number(struct stream *out, uint64_t n);

/* Text for a human behind OK, NO, BAD or BYE: bytes that cannot stand in a line are replaced, and it is never empty. */
void reply_text(struct stream *out, struct span text);

#endif
