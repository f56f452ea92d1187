/* mime_text.h - what SEARCH looks at: fields and parts as decoded, folded UTF-8 (fold.h).
 *
 * RFC 2047 words, transfer encodings and charset names are GMime's work, conversion is iconv's. A part
 * passes through in pieces, so a message of a gigabyte takes no more memory than one of a kilobyte:
 *
 *	bytes --> transfer decoding --> UTF-8 --> HTML to text --> folding --> put()
 *
 * GMime and GLib keep state of their own in the process: one thread only.
 */
#ifndef US_STORE_MIME_MIME_TEXT_H
#define US_STORE_MIME_MIME_TEXT_H

#include "server/base/buf.h"
#include "server/base/err.h"
#include "server/base/span.h"
#include "server/store/mime/fold.h"
#include "server/store/mime/structure.h"

/* Longest field value that is looked at; what is behind is not searched. */
#define MIME_TEXT_HEADER_MAX 262144

struct mime_text_options {
	struct mime_fold_options fold;
	bool skip_html; /* search_skiphtml: parts of text/html hold nothing */
};

struct mime_text; /* opaque: the decoders, used for one text after another */

/* Once in a process, before anything below; and at its end, if memory is to be given back. GMime does
 * not start a second time. */
void mime_text_start(void);
void mime_text_stop(void);

/* options NULL: all defaults. */
struct mime_text *mime_text_new(const struct mime_text_options *options);
void mime_text_free(struct mime_text **text);

/* Append the search form of UTF-8 that needs no decoding. */
void mime_text_fold(struct mime_text *text, struct span utf8, struct buf *out);
/* Append the search form of a field's value, folded lines and RFC 2047 words and all. */
void mime_text_header(struct mime_text *text, struct span value, struct buf *out);

/* The same as it is to be read by people: decoded, and not folded. */
void mime_text_decode(struct mime_text *text, struct span value, struct buf *out);

/* Takes a piece of search form; anything but 0 ends the work and is given back. */
typedef int mime_text_put(void *ctx, struct span piece);

/* Hand the search form of a part's body to put(). Parts that are not text/anything hold nothing. Gives 0,
 * or what put() gave. */
int mime_text_part(struct mime_text *text, struct span message, const struct mime_part *part,
		   mime_text_put *put, void *ctx);

/* Append `in`, which is in `charset`, as UTF-8. SPAN_NULL for the charset: US-ASCII, or what it may be
 * taken for (fold.h). US_EINVAL: no such charset, which IMAP answers with BADCHARSET; US_EPROTO: that
 * charset has no such bytes. */
int mime_text_convert(struct span in, struct span charset, struct buf *out, struct us_err *err);

/* A list for BADCHARSET: some that are known, ending with NULL. */
extern const char *const mime_text_charsets[];

#endif
