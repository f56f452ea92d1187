/* check.h - is this a message as the store keeps them?
 *
 * A pure look at the bytes; what to do about a fault is the caller's: APPEND and LMTP answer with the
 * sentence of the first fault of mime_check_first(), in Cyrus's words and order, or let it pass.
 */
#ifndef US_STORE_MIME_CHECK_H
#define US_STORE_MIME_CHECK_H

#include <stdbool.h>
#include <stddef.h>

#include "server/base/span.h"

/* In the order in which Cyrus answers when several are there. */
enum mime_fault {
	MIME_FAULT_NUL,         /* offset of the first NUL */
	MIME_FAULT_BARE_LF,     /* an LF without CR before it; offset of the LF */
	MIME_FAULT_8BIT_HEADER, /* a byte above 127 in the header; offset of the byte */
	MIME_FAULT_BAD_HEADER, /* a header line that is neither field nor continuation, or does not end;
				   offset of the line. "From " of an mbox is well, anywhere */
	MIME_FAULT_NO_BODY, /* no blank line ends the header; offset: the end. Cyrus lets it pass */
	MIME_FAULT_BARE_CR, /* a CR without LF behind it; offset of the CR. Cyrus lets it pass */
	MIME_FAULTS
};

struct mime_faults {
	bool found[MIME_FAULTS];
	size_t offset[MIME_FAULTS]; /* of the first of its kind */
};

/* Look at the whole message: true if no fault was found. */
bool mime_check(struct span message, struct mime_faults *out);

/* The first fault for which Cyrus refuses a message; MIME_FAULTS: none. 8-bit bytes count only if
 * `reject8bit`; otherwise Cyrus rewrites them first, see mime_munge8bit(). */
enum mime_fault mime_check_first(const struct mime_faults *faults, bool reject8bit);
/* What Cyrus answers: "Message contains NUL characters". */
const char *mime_fault_text(enum mime_fault fault);

/* munge8bit: make every byte above 127 in the header an "X". How many there were. */
size_t mime_munge8bit(char *message, size_t len);

#endif
