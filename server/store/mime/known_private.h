/* known_private.h - the fields of one header that its structure and envelope are made of.
 *
 * They are gathered while the header goes by and read when it is complete, so that a field that is
 * repeated a thousand times is parsed once.
 */
#ifndef US_STORE_MIME_KNOWN_PRIVATE_H
#define US_STORE_MIME_KNOWN_PRIVATE_H

#include "server/base/pool.h"
#include "server/store/mime/field.h"
#include "server/store/mime/structure.h"

enum mime_known_field {
	MIME_FIELD_CONTENT_TYPE,
	MIME_FIELD_CONTENT_TRANSFER_ENCODING,
	MIME_FIELD_CONTENT_DISPOSITION,
	MIME_FIELD_CONTENT_ID,
	MIME_FIELD_CONTENT_DESCRIPTION,
	MIME_FIELD_CONTENT_MD5,
	MIME_FIELD_CONTENT_LANGUAGE,
	MIME_FIELD_CONTENT_LOCATION,
	MIME_FIELD_DATE,
	MIME_FIELD_SUBJECT,
	MIME_FIELD_FROM,
	MIME_FIELD_SENDER,
	MIME_FIELD_REPLY_TO,
	MIME_FIELD_IN_REPLY_TO,
	MIME_FIELD_MESSAGE_ID,
	MIME_FIELD_TO, /* the last three may be repeated */
	MIME_FIELD_CC,
	MIME_FIELD_BCC,
	MIME_KNOWN_FIELDS
};

struct mime_known {
	struct span last[MIME_KNOWN_FIELDS]; /* raw value of the last one; SPAN_NULL: none */
	struct mime_words *first_to, *last_to, *first_cc, *last_cc, *first_bcc, *last_bcc;
};

/* Note the field if it is one of these. `with_envelope`: gather repeated destinations as well. */
void mime_known_take(struct mime_known *known, const struct mime_field *field, bool with_envelope,
		     struct pool *pool);

/* Set what the part's Content-* fields say. What is malformed beyond use counts as missing, and the
 * defaults hold: text/plain in us-ascii, or message/rfc822 in a digest (RFC 2045, 5.2; RFC 2046, 5.1.5).
 */
void mime_known_to_content(const struct mime_known *known, struct mime_part *part, bool in_digest,
			   struct pool *pool);
struct mime_envelope *mime_known_to_envelope(const struct mime_known *known, struct pool *pool);

#endif
