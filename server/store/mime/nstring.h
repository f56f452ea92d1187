/* nstring.h - strings as an IMAP server writes them (RFC 3501, section 4.3 and the grammar's nstring).
 *
 *	SPAN_NULL                                       NIL
 *	up to 1024 bytes of 1-127 without CR and LF     "quoted", with \ before " and \
 *	anything else                                   {n} CRLF n bytes
 *
 * No string of IMAP4rev1 can hold a NUL: it is written as "?".
 */
#ifndef US_STORE_MIME_NSTRING_H
#define US_STORE_MIME_NSTRING_H

#include "server/base/buf.h"
#include "server/base/span.h"

#define NSTRING_QUOTED_MAX 1024

void nstring_put(struct buf *out, struct span s);
/* ASCII letters in upper case, as Cyrus shows types, parameter names and encodings. */
void nstring_put_upper(struct buf *out, struct span s);

#endif
