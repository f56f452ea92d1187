/* dots.h - the message behind DATA: from the wire to the text that is stored. Pure, and fed in any pieces.
 *
 *	wire	= *line "." CRLF
 *	line	= ["."] text CRLF		a dot at the start of a line is the client's and goes (RFC 5321, 4.5.2)
 *
 * Only CRLF begins a line here, and only CRLF "." CRLF ends the message. What else looks like a line end is text
 * that has to be made fit for the store, never framing: a bare LF becomes CRLF, a bare CR goes, as in Cyrus. (Cyrus
 * and others also end the message at LF "." CRLF and the like. A relay before us that does not makes of that two
 * messages out of one, the second with an envelope of the first one's author's choice.)
 *
 *	   ,-----------------------------.
 *	   v			         | CRLF
 *	START --"."--> DOT --CR--> DOT_CR | --LF--> done
 *	   |		|            |   |
 *	   '---other----+---other----'-> TEXT <--> TEXT_CR
 */
#ifndef US_LMTP_DOTS_H
#define US_LMTP_DOTS_H

#include <stdbool.h>
#include <stdint.h>

#include "server/base/buf.h"
#include "server/base/span.h"

enum dots_state {
	DOTS_START, /* of a line */
	DOTS_DOT,   /* of which the dot was seen */
	DOTS_DOT_CR,
	DOTS_TEXT,
	DOTS_TEXT_CR,
};

struct dots {
	enum dots_state state;
	bool done;     /* the message has ended */
	bool has_nul;  /* there was a NUL in it; it is handed on like any byte */
	uint64_t size; /* of the text so far */
};
#define DOTS_INIT                           \
	{                                   \
		DOTS_START, false, false, 0 \
	}

/* Take bytes off the front of `in`: all, or those up to the end of the message. The text they carry, every line of it
 * ended by CRLF, is appended to *out: never more than twice what was taken and two bytes. Returns how many were taken. */
size_t dots_feed(struct dots *d, struct span in, struct buf *out);

/* The other way: a text as a client puts it on the wire. Its lines may end in LF or CRLF; a bare CR goes, as in what is
 * stored; dots at the start of lines get their second one. Fed in any pieces. */
enum dots_source {
	DOTS_SOURCE_START, /* of a line */
	DOTS_SOURCE_TEXT,
	DOTS_SOURCE_START_CR, /* a CR was seen there: half a line end, or a bare one */
	DOTS_SOURCE_TEXT_CR,
};

/* Append the text as it goes onto the wire, but for a CR at its very end, which waits for what follows: never more than twice its
 * bytes and one. *state begins as DOTS_SOURCE_START. */
void dots_stuff(enum dots_source *state, struct span text, struct buf *out);
/* Append what ends the message: an end for its last line, if it has none, and the dot. */
void dots_stuff_end(enum dots_source *state, struct buf *out);

#endif
