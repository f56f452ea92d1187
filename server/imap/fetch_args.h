/* fetch_args.h - what a FETCH asks for, as data (RFC 3501, sections 6.4.5 and 9).
 *
 *	fetch	  = SP sequence-set SP ("ALL" / "FULL" / "FAST" / fetch-att / "(" fetch-att *(SP fetch-att) ")")
 *	fetch-att = "ENVELOPE" / "FLAGS" / "INTERNALDATE" / "RFC822" [".HEADER" / ".SIZE" / ".TEXT"] / "UID" /
 *		    "BODY" ["STRUCTURE"] / "BODY" [".PEEK"] "[" [section] "]" ["<" number "." nz-number ">"]
 *	section	  = section.h's, HEADER.FIELDS and .NOT with SP "(" astring *(SP astring) ")"
 *
 * Pure. RFC822.HEADER and its like are sections under another label. An item is answered once however often
 * it was asked for; sections are answered as often as they were, in the order in which a Cyrus shows them.
 */
#ifndef US_IMAP_FETCH_ARGS_H
#define US_IMAP_FETCH_ARGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/base/span.h"
#include "server/imap/token.h"
#include "server/store/mime/section.h"

/* In the order in which they are answered. */
enum fetch_item {
	FETCH_FLAGS = 1u << 0,
	FETCH_UID = 1u << 1,
	FETCH_INTERNALDATE = 1u << 2,
	FETCH_SIZE = 1u << 3,
	FETCH_ENVELOPE = 1u << 4,
	FETCH_BODYSTRUCTURE = 1u << 5,
	FETCH_BODY = 1u << 6,
	FETCH_CACHED = FETCH_ENVELOPE | FETCH_BODYSTRUCTURE | FETCH_BODY, /* in the cache record */
};

/* In the order in which they are answered. */
enum fetch_section_kind {
	FETCH_RFC822_HEADER,
	FETCH_RFC822_TEXT,
	FETCH_RFC822,
	FETCH_FIELDS,
	FETCH_OCTETS
};

struct fetch_section {
	enum fetch_section_kind kind;
	struct span
		label; /* what stands before the octets: "BODY[HEADER.FIELDS (From \"a b\")]<0>" */
	struct mime_section section;
	const struct span *fields; /* of FETCH_FIELDS */
	size_t n_fields;
	bool partial;
	uint64_t offset, length;
};

struct fetch_args {
	struct token_set set;
	unsigned items; /* enum fetch_item */
	const struct fetch_section *section;
	size_t n_sections;
	bool sees; /* something here makes a message \Seen */
};

/* parse_fetch() of commands.h. */

/* The part of a section that is asked for: *range becomes it. */
void fetch_section_clip(const struct fetch_section *section, struct mime_range *range);

#endif
