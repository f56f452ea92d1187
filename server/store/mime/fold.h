/* fold.h - text in the form in which it is searched: two texts a user takes for the same become the same.
 *
 *	compatibility decomposition (NFKD) and full case folding	"Straße" = "STRASSE", "ﬁ" = "fi"
 *	diacritics dropped, unless kept					"Håvard" = "havard"
 *	runs of blanks and line ends made one blank (or none)		"a \r\n b" = "a b"
 *	soft hyphens, zero-width and variation marks dropped
 *
 * Diacritics are those of Latin, Greek and Cyrillic, and the vowel points of Hebrew and Arabic. The marks
 * of Japanese and of Indic scripts tell letters apart and stay. A Hangul syllable becomes its letters, so
 * that a syllable also finds the longer ones that begin with it.
 *
 * Input is UTF-8 in pieces cut anywhere. Bytes that are not UTF-8 count as Windows-1252, since what is
 * labelled us-ascii, or not at all, is usually one of the two.
 */
#ifndef US_STORE_MIME_FOLD_H
#define US_STORE_MIME_FOLD_H

#include <stdbool.h>

#include "server/base/buf.h"
#include "server/base/span.h"

enum mime_whitespace { MIME_WHITESPACE_MERGE, MIME_WHITESPACE_SKIP, MIME_WHITESPACE_KEEP };

/* All zero: the defaults of the config keys. */
struct mime_fold_options {
	bool keep_diacritics;            /* search_skipdiacrit: no */
	enum mime_whitespace whitespace; /* search_whitespace */
};

struct mime_fold; /* opaque */

/* Makes *options its own. */
struct mime_fold *mime_fold_new(const struct mime_fold_options *options);
void mime_fold_free(struct mime_fold **fold);

/* Append the folded form of `text` to *out, as far as it is certain. */
void mime_fold_put(struct mime_fold *fold, struct span text, struct buf *out);
/* Append what was held back; the next put() begins another text. */
void mime_fold_end(struct mime_fold *fold, struct buf *out);

#endif
