/* texts.h - what a client is told about an error: RFC 5530's code and the words of a Cyrus.
 *
 * server/base/err.h says what class a failure is of; here is the sentence that clients and scripts of a Cyrus's
 * operators know. What only an operator can act on (storage, corruption) goes to the log in full and to the client
 * in general terms.
 */
#ifndef US_IMAP_TEXTS_H
#define US_IMAP_TEXTS_H

#include <stdbool.h>

/* Never NULL. */
const char *imap_text(int code);
/* RFC 5530 response code without its brackets; NULL: none fits. */
const char *imap_code(int code);
/* Does an operator have to know? */
bool imap_text_is_for_operator(int code);

#endif
