/* header_edit.h - what lmtpd does to the header of a message as it passes. Pure, and fed in any pieces.
 *
 *	header	= *field (CRLF / the message's end)
 *	field	= name *WSP ":" text CRLF *(WSP text CRLF)	RFC 5322, 2.2 and 4.5.8
 *
 * As in Cyrus: a Return-Path that came with it goes, since ours is the only true one; Message-ID and Date are added at
 * the end where they are missing; 8-bit bytes become "X" or are refused, as the operator wants. A line that is
 * neither field nor continuation is a fault: behind it nothing more is given out.
 *
 * Memory is bounded by the captured values and a name, whatever comes.
 */
#ifndef US_LMTP_HEADER_EDIT_H
#define US_LMTP_HEADER_EDIT_H

#include <stdbool.h>

#include "server/base/buf.h"
#include "server/base/span.h"

enum header_fault {
	HEADER_WELL,
	HEADER_BAD,  /* a line that begins no field */
	HEADER_8BIT, /* and they are to be refused */
};

struct header_rules {
	bool reject8bit, munge8bit;
	struct span message_id,
		date; /* what to add where they are missing: without name and line end */
};

struct header_edit {
	struct header_rules rules; /* borrowed */
	enum header_state {
		HEADER_LINE, /* at the start of one */
		HEADER_NAME,
		HEADER_COLON, /* blanks behind a name */
		HEADER_VALUE,
		HEADER_END, /* the CR of the blank line was seen */
	} state;
	bool ended;
	enum header_fault fault;
	bool dropping;       /* the field at hand is not given out */
	struct buf *keeping; /* its value is captured here too; NULL: it is not */
	struct buf name;
	/* The values of the first Message-ID and the first Date, folding and all until the end, then without. `over` if one was too
	 * long to be kept. */
	struct buf message_id, date;
	bool has_message_id, has_date;
};

/* The longest value that is captured, and the longest field name there may be. */
#define HEADER_VALUE_MAX 1000
#define HEADER_NAME_MAX  1000

void header_edit_init(struct header_edit *h, const struct header_rules *rules);
void header_edit_fini(struct header_edit *h);

/* Take bytes off the front of `in`, whose line ends are all CRLF: all, or those up to and with the blank line. What the header
 * becomes is appended to *out. Returns how many were taken; after the header none are. */
size_t header_edit_feed(struct header_edit *h, struct span in, struct buf *out);
/* The message has ended, perhaps without a blank line. */
void header_edit_finish(struct header_edit *h, struct buf *out);

#endif
