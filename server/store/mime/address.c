/* address.c - see address.h.
 *
 * An item is gathered word by word before we know what it is, in two spellings at once:
 *
 *	phrase	as a display name: words with one blank where the text had blanks or comments
 *	spec	as an address: the same without blanks beside "." and "@"
 *
 * The byte that ends it decides: "<" makes the phrase a name, ":" makes it a group's name, anything else
 * makes the spec an address, cut at its last unquoted "@".
 */
#include "server/store/mime/address.h"

#include <string.h>

#define NO_AT ((size_t)-1)

/* How far the gathering of one spec has come. */
struct gathering {
	size_t at_sign; /* in spec, of the last unquoted "@"; NO_AT: none */
	bool gap;       /* blanks or a comment since the last word */
	bool glue;      /* the last byte of spec is an unquoted "." or "@" */
};

static bool is_blank(int c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

void mime_addresses_init(struct mime_addresses *list, struct span value)
{
	list->lx = mime_lexer(value);
	list->in_group = false;
	buf_init(&list->phrase, 0);
	buf_init(&list->spec, 0);
	buf_init(&list->comment, 0);
}

void mime_addresses_fini(struct mime_addresses *list)
{
	buf_free(&list->phrase);
	buf_free(&list->spec);
	buf_free(&list->comment);
}

/* ---- words ------------------------------------------------------------------------------------- */

static void add_unescaped(struct buf *out, struct span text)
{
	for (size_t i = 0; i < text.len; i++) {
		if (text.ptr[i] == '\\' && i + 1 < text.len)
			i++;
		buf_add_char(out, text.ptr[i]);
	}
}

/* At "(": the comment that comes last is the one that counts. */
static void take_comment(struct mime_addresses *list)
{
	size_t from = list->lx.at + 1, end;

	mime_lexer_skip_comment(&list->lx);
	end = list->lx.at;
	if (end > from && list->lx.text.ptr[end - 1] == ')')
		end--;
	buf_clear(&list->comment);
	if (end > from)
		add_unescaped(&list->comment, span_make(list->lx.text.ptr + from, end - from));
}

/* Put a blank in front of what is to come, where there was one. */
static void space_out(struct mime_addresses *list, struct gathering *g, bool glued)
{
	if (g->gap && list->phrase.len)
		buf_add_char(&list->phrase, ' ');
	if (g->gap && list->spec.len && !g->glue && !glued)
		buf_add_char(&list->spec, ' ');
	g->gap = false;
	g->glue = glued;
}

static void take_quoted(struct mime_addresses *list, struct gathering *g, struct span quoted)
{
	space_out(list, g, /* glued */ false);
	add_unescaped(&list->phrase, quoted);
	add_unescaped(&list->spec, quoted);
}

/* Bytes that mean nothing but themselves, so that a run of them can be taken at once. */
static bool is_ordinary(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '-' || c == '_' || c == '+' || c == '=';
}

/* One byte of an atom, or of what is taken for one, and the ordinary ones behind it. */
static void take_atom(struct mime_addresses *list, struct gathering *g)
{
	struct span rest = span_from(list->lx.text, list->lx.at);
	char c = rest.ptr[0];
	size_t len = 1;

	space_out(list, g, c == '.' || c == '@');
	if (c == '@')
		g->at_sign = list->spec.len;
	while (!g->glue && len < rest.len && is_ordinary(rest.ptr[len]))
		len++;
	buf_add(&list->phrase, rest.ptr, len);
	buf_add(&list->spec, rest.ptr, len);
	list->lx.at += len;
}

/* "[...]", with what may stand in it; without its end it is characters. */
static void take_literal(struct mime_addresses *list, struct gathering *g)
{
	struct span rest = span_from(list->lx.text, list->lx.at);
	size_t len = 1;

	while (len < rest.len && !strchr("],;<>\"", rest.ptr[len]))
		len++;
	space_out(list, g, /* glued */ false);
	if (len < rest.len && rest.ptr[len] == ']')
		len++;
	buf_add(&list->phrase, rest.ptr, len);
	buf_add(&list->spec, rest.ptr, len);
	list->lx.at += len;
}

/* Gather up to a byte of `stops`, which is left, or the end. */
static void gather(struct mime_addresses *list, struct gathering *g, const char *stops)
{
	struct span quoted;
	int c;

	*g = (struct gathering){NO_AT, false, false};
	buf_clear(&list->phrase);
	buf_clear(&list->spec);
	while ((c = mime_lexer_peek(&list->lx)) >= 0) {
		if (c && strchr(stops, c)) {
			return;
		} else if (is_blank(c)) {
			g->gap = true;
			list->lx.at++;
		} else if (c == '(') {
			g->gap = true;
			take_comment(list);
		} else if (mime_lexer_quoted(&list->lx, &quoted)) {
			take_quoted(list, g, quoted);
		} else if (c == '[') {
			take_literal(list, g);
		} else if (c == '"' || c == '>') {
			list->lx.at++; /* never closed, never opened: accidents */
		} else {
			take_atom(list, g);
		}
	}
}

/* ---- items ------------------------------------------------------------------------------------- */

static struct span or_null(const struct buf *b)
{
	return b->len ? buf_span(b) : SPAN_NULL;
}

static void split_spec(const struct buf *spec, size_t at_sign, struct mime_address *out)
{
	struct span all = buf_span(spec);

	out->local = all;
	out->domain = SPAN_NULL;
	if (at_sign == NO_AT)
		return;
	out->local = span_make(all.ptr, at_sign);
	if (at_sign + 1 < all.len)
		out->domain = span_from(all, at_sign + 1);
}

/* Behind "<", at "@": the route up to its ":", if one comes before the ">". */
static struct span take_route(struct mime_lexer *lx)
{
	struct span rest = span_from(lx->text, lx->at);
	size_t len = 0;

	while (len < rest.len && !strchr(":>;<\"", rest.ptr[len]))
		len++;
	if (len == rest.len || rest.ptr[len] != ':')
		return SPAN_NULL;
	lx->at += len + 1;
	return span_make(rest.ptr, len);
}

/* Nothing of what stands behind a ">" counts, but a comment may be the name. */
static void skip_to_separator(struct mime_addresses *list)
{
	struct span ignored;
	int c;

	while ((c = mime_lexer_peek(&list->lx)) >= 0 && c != ',' && c != ';') {
		if (c == '(')
			take_comment(list);
		else if (!mime_lexer_quoted(&list->lx, &ignored))
			list->lx.at++;
	}
}

/* Behind "<". The phrase before it has been moved to `name`. */
static void take_angle(struct mime_addresses *list, struct mime_address *out)
{
	struct gathering g;

	while (is_blank(mime_lexer_peek(&list->lx)) || mime_lexer_peek(&list->lx) == '<')
		list->lx.at++;
	if (mime_lexer_peek(&list->lx) == '@')
		out->route = take_route(&list->lx);
	gather(list, &g, ">,;<");
	split_spec(&list->spec, g.at_sign, out);
	if (mime_lexer_skip(&list->lx, '>'))
		skip_to_separator(list);
}

static bool end_group(struct mime_addresses *list, struct mime_address *out)
{
	list->in_group = false;
	*out = (struct mime_address){.kind = MIME_ADDRESS_GROUP_END};
	return true;
}

/* Skip to where an item begins; true: a group ended on the way. */
static bool skip_separators(struct mime_addresses *list)
{
	int c;

	while ((c = mime_lexer_peek(&list->lx)) >= 0) {
		if (c == ';' && list->in_group) {
			list->lx.at++;
			return true;
		}
		if (!is_blank(c) && c != ',' && c != ';')
			break;
		list->lx.at++;
	}
	return c < 0 && list->in_group;
}

/* At something that is no separator. False: it was only comments. */
static bool take_item(struct mime_addresses *list, struct mime_address *out)
{
	struct gathering g;

	buf_clear(&list->comment);
	gather(list, &g, list->in_group ? ",;<" : ",;<:");
	*out = (struct mime_address){.kind = MIME_ADDRESS_MAILBOX};
	if (mime_lexer_peek(&list->lx) == ':') {
		list->lx.at++;
		list->in_group = true;
		out->kind = MIME_ADDRESS_GROUP;
		out->name = buf_span(&list->phrase);
		return true;
	}
	if (mime_lexer_skip(&list->lx, '<')) {
		struct buf name = list->phrase;
		buf_init(&list->phrase, 0);
		take_angle(list, out);
		buf_free(&list->phrase);
		list->phrase = name;
		out->name = or_null(&list->phrase);
	} else {
		split_spec(&list->spec, g.at_sign, out);
		if (!list->spec.len)
			return false;
	}
	if (!out->name.ptr)
		out->name = or_null(&list->comment);
	return true;
}

bool mime_addresses_next(struct mime_addresses *list, struct mime_address *out)
{
	for (;;) {
		if (skip_separators(list))
			return end_group(list, out);
		if (mime_lexer_peek(&list->lx) < 0)
			return false;
		if (take_item(list, out))
			return true;
	}
}
