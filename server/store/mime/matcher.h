/* matcher.h - does a message hold what SEARCH asks for? (RFC 3501, section 6.4.4)
 *
 * A matcher is a search string made ready once and tried on many messages. A string matches where its
 * search form is a substring of the text's (fold.h); the empty string matches everything.
 */
#ifndef US_STORE_MIME_MATCHER_H
#define US_STORE_MIME_MATCHER_H

#include <stdbool.h>

#include "server/base/err.h"
#include "server/base/span.h"
#include "server/store/mime/mime_text.h"
#include "server/store/mime/structure.h"

struct mime_matcher; /* opaque */

/* `charset` is that of the SEARCH command, SPAN_NULL if it names none. `text` is borrowed and used by
 * every match. US_EINVAL: unknown charset (BADCHARSET); US_EPROTO: the string is not in that charset. */
int mime_matcher_new(struct mime_text *text, struct span string, struct span charset,
		     struct mime_matcher **out, struct us_err *err);
void mime_matcher_free(struct mime_matcher **m);

/* HEADER, FROM, SUBJECT...: a field's value as it stands in the message. */
bool mime_matcher_value(struct mime_matcher *m, struct span value);
/* A whole header, field by field, names included. */
bool mime_matcher_header(struct mime_matcher *m, struct span header);
/* The body of one part, if it is text. */
bool mime_matcher_part(struct mime_matcher *m, struct span message, const struct mime_part *part);

/* BODY: all text parts, and the headers of parts and of embedded messages, as Cyrus does: there stand the
 * names of attachments, and subjects that are text to the reader. */
bool mime_matcher_body(struct mime_matcher *m, const struct mime_tree *tree);
/* TEXT: that and the header. */
bool mime_matcher_text(struct mime_matcher *m, const struct mime_tree *tree);

#endif
