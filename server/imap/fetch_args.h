/* fetch_args.h - what a FETCH asks for, as data (RFC 3501, sections 6.4.5 and 9).
 *
 *	fetch	  = SP sequence-set SP ("ALL" / "FULL" / "FAST" / fetch-att / "(" fetch-att *(SP fetch-att) ")")
 *		    [SP "(" modifier *(SP modifier) ")"]
 *	fetch-att = "ENVELOPE" / "FLAGS" / "INTERNALDATE" / "RFC822" [".HEADER" / ".SIZE" / ".TEXT"] / "UID" /
 *		    "ANNOTATION" SP annotation (annotate.h) / "BODY" ["STRUCTURE"] / "BODY" [".PEEK"] "[" [section] "]" ["<" number "." nz-number ">"] /
 *		    "MODSEQ" (RFC 7162) / "EMAILID" / "THREADID" (RFC 8474) / "SAVEDATE" (RFC 8514) /
 *		    "DIGEST.SHA1" (of a Cyrus: the message's, in hex)
 *	modifier  = "CHANGEDSINCE" SP modseq / "VANISHED" (RFC 7162; the second with the first, in the UID form)
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
#include "server/imap/annotate.h"
#include "server/imap/token.h"
#include "server/store/mime/section.h"

/* In the order in which they are answered. */
enum fetch_item {
	FETCH_FLAGS = 1u << 0,
	FETCH_UID = 1u << 1,
	FETCH_DIGEST = 1u << 2,
	FETCH_INTERNALDATE = 1u << 3,
	FETCH_MODSEQ = 1u << 4,
	FETCH_SIZE = 1u << 5,
	FETCH_EMAILID = 1u << 6,
	FETCH_THREADID = 1u << 7,
	FETCH_SAVEDATE = 1u << 8,
	FETCH_ENVELOPE = 1u << 9,
	FETCH_BODYSTRUCTURE = 1u << 10,
	FETCH_BODY = 1u << 11,
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
	const struct annotate_query *annotations; /* NULL: none */
	bool sees;                                /* something here makes a message \Seen */
	bool only_changed;                        /* since this modseq */
	bool vanished;
	uint64_t changed_since;
};

/* parse_fetch() of commands.h. */

/* The part of a section that is asked for: *range becomes it. */
void fetch_section_clip(const struct fetch_section *section, struct mime_range *range);

#endif
