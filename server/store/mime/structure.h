/* structure.h - the structure of a message: which bytes are which part.
 *
 *	struct mime_tree
 *	  root: the message ------------------ header, body, envelope
 *	    |- part 1  text/plain ------------ header, body
 *	    |- part 2  message/rfc822 -------- header, body
 *	    |    `- the embedded message ----- header, body (together: the body of part 2), envelope
 *	    `- part 3  multipart/alternative
 *	         |- part 3.1 ...
 *
 * Invariants, whatever the bytes were
 *	(1) A part's header ends where its body begins; the body of an embedded message ends where the body
 *	    of the part around it does.
 *	(2) A child lies in its parent's body; siblings do not overlap and stand in the order of the text.
 *	(3) body_lines is the number of LFs in the body.
 *	(4) A multipart has a child, a message/rfc822 has exactly one.
 *
 * A tree borrows the message's bytes: it is valid as long as they and its pool are.
 */
#ifndef US_STORE_MIME_STRUCTURE_H
#define US_STORE_MIME_STRUCTURE_H

#include <stdbool.h>
#include <stdint.h>

#include "server/base/pool.h"
#include "server/base/span.h"

/* Sizes a message may make us work for. What lies beyond is not an error, it is only not looked into. */
struct mime_limits {
	uint32_t parts; /* parts made; the rest of the message is one more, a leaf */
	uint32_t depth; /* containers in one another (boundary_limit); one deeper is a leaf */
	uint32_t header_lines; /* of one header that are looked at (maxheaderlines); 0: all */
	uint32_t header_bytes; /* of one header that are looked at */
	uint32_t addresses;    /* written in the envelopes of one message */
	bool rfc2046_strict;   /* a line that only starts with a boundary is one (rfc2046_strict) */
};
/* Not to be configured: what a client was told of a message's structure stays so (RFC 9051, 2.3), so the cache, recall.h and a
 * replica must all have looked at the same bytes. Nothing is refused because of them. 1000, 1000 are Cyrus's defaults. */
#define MIME_LIMITS_DEFAULT                               \
	{                                                 \
		10000, 1000, 1000, 1u << 20, 20000, false \
	}

enum mime_kind {
	MIME_LEAF,      /* neither of the others, and not text */
	MIME_TEXT,      /* text/anything: has a line count in IMAP */
	MIME_MULTIPART, /* children */
	MIME_MESSAGE,   /* message/rfc822: one child. message/global is a leaf to IMAP4rev1 */
};

enum mime_encoding {
	MIME_ENCODING_7BIT,
	MIME_ENCODING_8BIT,
	MIME_ENCODING_BINARY,
	MIME_ENCODING_QUOTED_PRINTABLE,
	MIME_ENCODING_BASE64,
	MIME_ENCODING_UUENCODE,
	MIME_ENCODING_OTHER, /* a word we do not know */
};

/* Texts one after another: the values of a repeated field, the tags of Content-Language. */
struct mime_words {
	struct span text;
	const struct mime_words *next;
};

/* RFC 2231 continuations are joined: "name*0", "name*1" are one "name", or "name*" if any was encoded. */
struct mime_param {
	struct span name, value;
	const struct mime_param *next;
};

/* Values unfolded and trimmed, otherwise as they stand. SPAN_NULL and NULL: the field is missing.
 * Destination fields may be repeated (RFC 5322, section 4.5.3: one list); of others the last counts. */
struct mime_envelope {
	struct span date, subject, from, sender, reply_to, in_reply_to, message_id;
	const struct mime_words *to, *cc, *bcc;
};

struct mime_part {
	enum mime_kind kind;
	enum mime_encoding encoding;
	uint32_t index; /* in mime_tree.parts */
	uint32_t n_children;
	struct mime_part *parent, *first_child, *last_child, *next;

	/* From the start of the message. A header includes its blank line. A body does not include the
	 * line end that belongs to the boundary after it (RFC 2046, section 5.1.1); that of a multipart which
	 * ends with its closing delimiter includes the line end behind it, as in Cyrus and Dovecot. */
	uint64_t header_offset, header_size;
	uint64_t body_offset, body_size, body_lines;

	struct span type, subtype; /* never empty; any case */
	const struct mime_param *params;
	struct span encoding_name;                  /* "7bit" if missing or malformed */
	struct span id, description, md5, location; /* SPAN_NULL: missing */
	struct span disposition;                    /* SPAN_NULL: missing or malformed */
	const struct mime_param *disposition_params;
	const struct mime_words *languages;
	struct mime_envelope *envelope; /* of the root and of embedded messages; NULL otherwise */
};

struct mime_tree {
	struct span message;
	struct mime_limits limits;
	struct mime_part *root;   /* parts[0] */
	struct mime_part **parts; /* each before its children, children in order */
	uint32_t n_parts;
	bool limited; /* something was not looked into because of a limit */
};

/* Scan `message` in one pass; headers are read twice where they are folded. Never fails: anything is a
 * message, if need be one of a single text. limits NULL: the defaults. */
struct mime_tree *mime_scan(struct span message, const struct mime_limits *limits,
			    struct pool *pool);

/* Put a part behind the last child of another. */
void mime_part_adopt(struct mime_part *parent, struct mime_part *part);
struct span mime_part_header(const struct mime_tree *tree, const struct mime_part *part);
struct span mime_part_body(const struct mime_tree *tree, const struct mime_part *part);
/* The value of a parameter, any case; SPAN_NULL if there is none. */
struct span mime_param(const struct mime_param *params, const char *name);

#endif
