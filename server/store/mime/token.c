/* token.c - see token.h. */
#include "server/store/mime/token.h"

#include <string.h>

struct mime_lexer mime_lexer(struct span text)
{
	return (struct mime_lexer){text.ptr ? text : SPAN_LIT(""), 0, false};
}

int mime_lexer_peek(const struct mime_lexer *lx)
{
	return lx->at < lx->text.len ? (unsigned char)lx->text.ptr[lx->at] : -1;
}

bool mime_lexer_skip(struct mime_lexer *lx, char c)
{
	if (mime_lexer_peek(lx) != (unsigned char)c)
		return false;
	lx->at++;
	return true;
}

void mime_lexer_skip_comment(struct mime_lexer *lx)
{
	size_t depth = 0;

	while (lx->at < lx->text.len) {
		char c = lx->text.ptr[lx->at++];
		if (c == '\\' && lx->at < lx->text.len)
			lx->at++;
		else if (c == '(')
			depth++;
		else if (c == ')' && --depth == 0)
			return;
	}
}

void mime_lexer_skip_cfws(struct mime_lexer *lx)
{
	for (;;) {
		int c = mime_lexer_peek(lx);
		if (c == ' ' || c == '\t' || c == '\r' || c == '\n')
			lx->at++;
		else if (c == '(')
			mime_lexer_skip_comment(lx);
		else
			return;
	}
}

/* RFC 2045, section 5.1: no blanks, no controls, no tspecials. */
static bool is_token(unsigned char c)
{
	return c > ' ' && c != 127 && !strchr("()<>@,;:\\\"/[]?=", c);
}

struct span mime_lexer_token(struct mime_lexer *lx)
{
	size_t from = lx->at;

	while (lx->at < lx->text.len && is_token((unsigned char)lx->text.ptr[lx->at]))
		lx->at++;
	return span_make(lx->text.ptr + from, lx->at - from);
}

bool mime_lexer_quoted(struct mime_lexer *lx, struct span *out)
{
	size_t at = lx->at + 1;

	if (mime_lexer_peek(lx) != '"' || lx->no_more_quotes)
		return false;
	while (at < lx->text.len && lx->text.ptr[at] != '"')
		at += lx->text.ptr[at] == '\\' ? 2 : 1;
	lx->no_more_quotes = at >= lx->text.len;
	if (lx->no_more_quotes)
		return false;
	*out = span_make(lx->text.ptr + lx->at + 1, at - lx->at - 1);
	lx->at = at + 1;
	return true;
}

struct span mime_unescape(struct span quoted, struct pool *pool)
{
	char *copy;
	size_t len = 0;

	if (!span_find(quoted, '\\'))
		return quoted;
	copy = pool_alloc(pool, quoted.len);
	for (size_t i = 0; i < quoted.len; i++) {
		if (quoted.ptr[i] == '\\' && i + 1 < quoted.len)
			i++;
		copy[len++] = quoted.ptr[i];
	}
	return span_make(copy, len);
}
