/* header_text.c - see header_text.h. */
#include "server/admin/header_text.h"

#include <ctype.h>
#include <string.h>

#include "server/store/mime/address.h"

static void add_clean(struct buf *out, struct span text)
{
	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.ptr[i];
		buf_add_char(out, c == '\t' ? ' ' : (char)(c < ' ' || c == 0x7f ? '?' : c));
	}
}

/* phrase of RFC 5322, 3.2.5: atoms with blanks between them need no quotes. */
static bool is_atoms(struct span name)
{
	for (size_t i = 0; i < name.len; i++) {
		unsigned char c = (unsigned char)name.ptr[i];
		if (c >= 0x80 || (!isalnum(c) && !strchr(" !#$%&'*+-/=?^_`{|}~", c)))
			return false;
	}
	return true;
}

static void add_quoted(struct buf *out, struct span name)
{
	buf_add_char(out, '"');
	for (size_t i = 0; i < name.len; i++) {
		if (name.ptr[i] == '"' || name.ptr[i] == '\\')
			buf_add_char(out, '\\');
		add_clean(out, span_make(name.ptr + i, 1));
	}
	buf_add_char(out, '"');
}

static void add_name(struct mime_text *text, struct span name, struct buf *out)
{
	struct buf decoded = BUF_INIT;

	mime_text_decode(text, name, &decoded);
	if (is_atoms(buf_span(&decoded)))
		add_clean(out, buf_span(&decoded));
	else
		add_quoted(out, buf_span(&decoded));
	buf_free(&decoded);
}

/* In lower case, as a Cyrus's tools show them: they print what its searches look at. */
static void add_lower(struct buf *out, struct span text)
{
	for (size_t i = 0; i < text.len; i++) {
		char c = (char)us_lower(text.ptr[i]);
		add_clean(out, span_make(&c, 1));
	}
}

static void add_mailbox(struct mime_text *text, const struct mime_address *a, struct buf *out)
{
	add_name(text, a->name, out);
	if (a->name.len)
		buf_add_char(out, ' ');
	buf_add_char(out, '<');
	add_lower(out, a->local);
	if (a->domain.ptr)
		buf_add_char(out, '@');
	add_lower(out, a->domain);
	buf_add_char(out, '>');
}

/* *between: a comma is needed before the next. */
static void add_address(struct mime_text *text, const struct mime_address *a, bool *between,
			struct buf *out)
{
	if (*between && a->kind != MIME_ADDRESS_GROUP_END)
		buf_add_char(out, ',');
	*between = a->kind != MIME_ADDRESS_GROUP;
	if (a->kind == MIME_ADDRESS_MAILBOX) {
		add_mailbox(text, a, out);
	} else if (a->kind == MIME_ADDRESS_GROUP) {
		add_name(text, a->name, out);
		buf_add_char(out, ':');
	} else {
		buf_add_char(out, ';');
	}
}

void header_text_addresses(struct mime_text *text, const struct mime_words *values, struct buf *out)
{
	bool between = false;

	for (; values; values = values->next) {
		struct mime_addresses list;
		struct mime_address a;

		mime_addresses_init(&list, values->text);
		while (mime_addresses_next(&list, &a))
			add_address(text, &a, &between, out);
		mime_addresses_fini(&list);
	}
}

void header_text_plain(struct mime_text *text, struct span value, struct buf *out)
{
	struct buf decoded = BUF_INIT;

	mime_text_decode(text, value, &decoded);
	add_clean(out, buf_span(&decoded));
	buf_free(&decoded);
}
