/* html.h - the text a reader of an HTML part sees.
 *
 * Search looks at that, not at the markup: "two words" is found though the mail says "<b>two</b> words" or
 * "two&nbsp;words", and "font" or "style" does not find every HTML mail there is. (Cyrus
 * searches the markup as it stands; what that finds and this does not are words in attributes, links among
 * them.) This is not a browser:
 *
 *	tags, comments, declarations	dropped; a blank in their place, but not for tags within words (b, span)
 *	script, style, template		dropped with all they hold
 *	&name; &#n; &#xn;		the character; the names of HTML 4
 *	"<" before anything else	itself
 *
 * Input is UTF-8 (or nearly) in pieces cut anywhere; whatever it is, all output together is no longer than
 * all input and time is linear.
 */
#ifndef US_STORE_MIME_HTML_H
#define US_STORE_MIME_HTML_H

#include <stdbool.h>
#include <stddef.h>

#include "server/base/buf.h"
#include "server/base/span.h"

#define MIME_HTML_WORD 12 /* longest tag or entity that we know, and two more */

struct mime_html {
	enum {
		MIME_HTML_TEXT,
		MIME_HTML_LESS,    /* behind "<" */
		MIME_HTML_NAME,    /* in a tag's name */
		MIME_HTML_TAG,     /* in a tag, behind its name */
		MIME_HTML_EQUALS,  /* in a tag, behind "=" */
		MIME_HTML_VALUE,   /* in a quoted value */
		MIME_HTML_DECL,    /* in "<!...>" or "<?...>" */
		MIME_HTML_COMMENT, /* in "<!--...-->" */
		MIME_HTML_ENTITY,  /* behind "&" */
	} state;
	char word
		[MIME_HTML_WORD]; /* name of the tag, or entity, in the making; lower case if a tag */
	size_t len;               /* of the word; may be longer than what is kept of it */
	bool closing;             /* the tag began with "</" */
	char quote;
	size_t dashes;               /* right before this byte, in DECL and COMMENT */
	char hidden[MIME_HTML_WORD]; /* "script" until "</script"; "": what stands here is seen */
};

void mime_html_init(struct mime_html *h);
void mime_html_put(struct mime_html *h, struct span text, struct buf *out);
void mime_html_end(struct mime_html *h, struct buf *out);

#endif
