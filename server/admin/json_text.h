/* json_text.h - what a mailbox says of itself, as a JSON string. */
#ifndef US_ADMIN_JSON_TEXT_H
#define US_ADMIN_JSON_TEXT_H

#include <jansson.h>

#include "server/base/span.h"

/* Names and ACLs are ASCII, but a peer may have sent anything: what is not UTF-8 becomes question marks. Owned by the
 * caller. */
json_t *json_text(struct span s);

#endif
