/* matcher.c - see matcher.h.
 *
 * A part arrives in pieces. The end of what was seen, one byte less than the string is long, is kept in
 * front of the next piece, so that a string across a cut is found and no byte is searched twice.
 */
#include "server/store/mime/matcher.h"

#include <stdlib.h>
#include <string.h>

#include "server/base/mem.h"
#include "server/store/mime/field.h"

struct mime_matcher {
	struct mime_text *text;
	struct buf string; /* in search form */
	struct buf window;
};

int mime_matcher_new(struct mime_text *text, struct span string, struct span charset,
		     struct mime_matcher **out, struct us_err *err)
{
	struct mime_matcher *m = us_calloc(1, sizeof(*m));
	struct buf utf8 = BUF_INIT;
	int rc = mime_text_convert(string, charset, &utf8, err);

	buf_init(&m->string, 0);
	buf_init(&m->window, 0);
	m->text = text;
	if (rc == 0) {
		mime_text_fold(text, buf_span(&utf8), &m->string);
		*out = m;
	} else {
		mime_matcher_free(&m);
	}
	buf_free(&utf8);
	return rc;
}

void mime_matcher_free(struct mime_matcher **m)
{
	if (!*m)
		return;
	buf_free(&(*m)->string);
	buf_free(&(*m)->window);
	free(*m);
	*m = NULL;
}

static bool is_in_window(const struct mime_matcher *m)
{
	return memmem(m->window.data, m->window.len, m->string.data, m->string.len) != NULL;
}

bool mime_matcher_value(struct mime_matcher *m, struct span value)
{
	buf_clear(&m->window);
	mime_text_header(m->text, value, &m->window);
	return is_in_window(m);
}

/* "Name: value", so that TEXT "list-id: <announce" finds what the reader sees. */
static bool match_field(struct mime_matcher *m, const struct mime_field *field)
{
	buf_clear(&m->window);
	mime_text_fold(m->text, field->name, &m->window);
	mime_text_fold(m->text, SPAN_LIT(": "), &m->window);
	mime_text_header(m->text, field->value, &m->window);
	return is_in_window(m);
}

bool mime_matcher_header(struct mime_matcher *m, struct span header)
{
	struct mime_field field;

	if (!m->string.len)
		return true;
	while (mime_field_next(&header, &field))
		if (field.name.len && match_field(m, &field))
			return true;
	return false;
}

/* Wait for twice the string's length before looking, so that a long string costs no more than a short. */
static int search_piece(void *ctx, struct span piece)
{
	struct mime_matcher *m = ctx;
	size_t keep = m->string.len - 1;

	buf_add_span(&m->window, piece);
	if (m->window.len < 2 * m->string.len)
		return 0;
	if (is_in_window(m))
		return 1;
	buf_remove(&m->window, 0, m->window.len - keep);
	return 0;
}

bool mime_matcher_part(struct mime_matcher *m, struct span message, const struct mime_part *part)
{
	if (!m->string.len)
		return true;
	buf_clear(&m->window);
	return mime_text_part(m->text, message, part, search_piece, m) > 0 || is_in_window(m);
}

bool mime_matcher_body(struct mime_matcher *m, const struct mime_tree *tree)
{
	if (!m->string.len)
		return true;
	for (uint32_t i = 0; i < tree->n_parts; i++) {
		const struct mime_part *part = tree->parts[i];
		if (i > 0 && mime_matcher_header(m, mime_part_header(tree, part)))
			return true;
		if (mime_matcher_part(m, tree->message, part))
			return true;
	}
	return false;
}

bool mime_matcher_text(struct mime_matcher *m, const struct mime_tree *tree)
{
	return mime_matcher_header(m, mime_part_header(tree, tree->root)) ||
	       mime_matcher_body(m, tree);
}
