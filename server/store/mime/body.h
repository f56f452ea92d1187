/* body.h - BODY and BODYSTRUCTURE as IMAP shows them (RFC 3501, section 7.4.2). */
#ifndef US_STORE_MIME_BODY_H
#define US_STORE_MIME_BODY_H

#include <stdbool.h>

#include "server/base/buf.h"
#include "server/store/mime/structure.h"

/* The message's structure; `extensible`: with the extension data, which makes it BODYSTRUCTURE. */
void mime_put_body(struct buf *out, const struct mime_tree *tree, bool extensible);

#endif
