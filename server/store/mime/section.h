/* section.h - which bytes BODY[section] means (RFC 3501, section 6.4.5).
 *
 *	section = [part] / [part "."] text
 *	part    = nz-number *("." nz-number)
 *	text    = "HEADER" / "HEADER.FIELDS" / "HEADER.FIELDS.NOT" / "TEXT" / "MIME" (only after a part)
 *
 * Numbers count the children of a multipart. A message that is no multipart has one part, 1, its body.
 * HEADER and TEXT after a part ask about the message that part is, MIME about the part's own header; for
 * part 1 of a message that is no multipart that is the message's header, as in Cyrus.
 *
 * The tree and the cache record answer alike: both are a table of parts, each before its children.
 */
#ifndef US_STORE_MIME_SECTION_H
#define US_STORE_MIME_SECTION_H

#include <stdint.h>

#include "server/base/err.h"
#include "server/base/span.h"
#include "server/store/mime/structure.h"

enum mime_section_text {
	MIME_SECTION_ALL, /* BODY[], or a part's body: BODY[1.2] */
	MIME_SECTION_HEADER,
	MIME_SECTION_FIELDS,     /* the range is the header's; filter with mime_field_filter() */
	MIME_SECTION_FIELDS_NOT, /* likewise */
	MIME_SECTION_TEXT,
	MIME_SECTION_MIME,
};

struct mime_section {
	struct span path; /* "1.2"; empty: the message itself */
	enum mime_section_text text;
};

/* Parse what stands between the brackets, without the list of fields. US_EPROTO: it is none. Borrows. */
int mime_section_parse(struct span spec, struct mime_section *out, struct us_err *err);

/* One row of the table of parts. */
struct mime_entry {
	enum mime_kind kind;
	enum mime_encoding encoding;
	uint32_t next; /* row of the first part behind this one and all in it */
	uint64_t header_offset, header_size, body_offset, body_size;
};

struct mime_table {
	const void *ctx;
	uint32_t n; /* at least 1 */
	struct mime_entry (*row)(const void *ctx, uint32_t i);
};

struct mime_table mime_tree_table(const struct mime_tree *tree);

struct mime_range {
	uint64_t offset, size;
};

/* US_ENOENT: the message has no such section (Cyrus answers NIL). */
int mime_section_find(const struct mime_table *table, const struct mime_section *section,
		      struct mime_range *out, struct us_err *err);
/* The part a path names, for its kind and encoding (BINARY). US_ENOENT: there is none. */
int mime_section_part(const struct mime_table *table, struct span path, struct mime_entry *out,
		      struct us_err *err);

#endif
