/* token.h - the words of structured fields: tokens, quoted strings, comments.
 *
 * Works on an unfolded value and takes what is malformed as it is meant: a quote that is not closed is a
 * character like any other, a comment that is not closed ends with the field.
 */
#ifndef US_STORE_MIME_TOKEN_H
#define US_STORE_MIME_TOKEN_H

#include <stdbool.h>

#include "server/base/pool.h"
#include "server/base/span.h"

struct mime_lexer {
	struct span text;
	size_t at;
	bool no_more_quotes; /* one was found unclosed: so are all after it, and we need not look */
};

struct mime_lexer mime_lexer(struct span text);
int mime_lexer_peek(const struct mime_lexer *lx); /* -1 at the end */
bool mime_lexer_skip(struct mime_lexer *lx, char c);
/* Blanks, stray line ends and comments. */
void mime_lexer_skip_cfws(struct mime_lexer *lx);
/* At "(": behind the matching ")". */
void mime_lexer_skip_comment(struct mime_lexer *lx);

/* RFC 2045 token; empty if none comes next. Bytes above 127 are let in. */
struct span mime_lexer_token(struct mime_lexer *lx);
/* At a quote that is closed somewhere: take the string, give what is between the quotes, escapes and
 * all. False, nothing taken: there is none. */
bool mime_lexer_quoted(struct mime_lexer *lx, struct span *out);
/* What a quoted string says: escapes undone. Borrows or copies. */
struct span mime_unescape(struct span quoted, struct pool *pool);

#endif
