/* base64.h - RFC 4648, section 4, as the authentication exchanges of all our protocols carry it. */
#ifndef US_BASE_BASE64_H
#define US_BASE_BASE64_H

#include <stdbool.h>

#include "server/base/buf.h"
#include "server/base/span.h"

/* Append the base64 form of `data`, padded, on one line. */
void base64_encode(struct span data, struct buf *out);

/* Append the octets that `text` stands for; false, with *out as it was, if text is anything but full groups
 * of four with padding only at the end: no blank, no line end. */
bool base64_decode(struct span text, struct buf *out);

#endif
