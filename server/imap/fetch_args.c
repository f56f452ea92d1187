/* fetch_args.c - see fetch_args.h. */
#include "server/imap/fetch_args.h"

#include <string.h>

#include "server/base/buf.h"
#include "server/base/mem.h"
#include "server/imap/commands.h"
#include "server/store/mime/nstring.h"

static const struct {
	const char *name;
	unsigned items;
} plain_items[] = {
	{"BODY", FETCH_BODY},
	{"BODYSTRUCTURE", FETCH_BODYSTRUCTURE},
	{"DIGEST.SHA1", FETCH_DIGEST},
	{"EMAILID", FETCH_EMAILID},
	{"ENVELOPE", FETCH_ENVELOPE},
	{"FLAGS", FETCH_FLAGS},
	{"INTERNALDATE", FETCH_INTERNALDATE},
	{"MODSEQ", FETCH_MODSEQ},
	{"RFC822.SIZE", FETCH_SIZE},
	{"SAVEDATE", FETCH_SAVEDATE},
	{"THREADID", FETCH_THREADID},
	{"UID", FETCH_UID},
};

/* Only by themselves, never in a list. */
static const struct {
	const char *name;
	unsigned items;
} macros[] = {
	{"ALL", FETCH_FLAGS | FETCH_INTERNALDATE | FETCH_SIZE | FETCH_ENVELOPE},
	{"FAST", FETCH_FLAGS | FETCH_INTERNALDATE | FETCH_SIZE},
	{"FULL", FETCH_FLAGS | FETCH_INTERNALDATE | FETCH_SIZE | FETCH_ENVELOPE | FETCH_BODY},
};

static const struct {
	const char *name;
	enum fetch_section_kind kind;
	enum mime_section_text text;
	bool sees;
} old_sections[] = {
	{"RFC822", FETCH_RFC822, MIME_SECTION_ALL, true},
	{"RFC822.HEADER", FETCH_RFC822_HEADER, MIME_SECTION_HEADER, false},
	{"RFC822.TEXT", FETCH_RFC822_TEXT, MIME_SECTION_TEXT, true},
};

/* ---- sections ----------------------------------------------------------------------------------- */

/* Sections while they are gathered. */
struct gathered {
	struct parse *p;
	struct fetch_args *args;
	struct fetch_section *section;
	size_t cap;
};

static struct fetch_section *add_section(struct gathered *g)
{
	size_t n = g->args->n_sections;

	if (n == g->cap) {
		struct fetch_section *old = g->section;
		g->cap = g->cap ? g->cap * 2 : 8;
		g->section = pool_alloc(g->p->pool, us_mul_size(g->cap, sizeof(*old)));
		if (n)
			memcpy(g->section, old, n * sizeof(*old));
	}
	g->args->section = g->section;
	g->args->n_sections = n + 1;
	return &g->section[n];
}

static bool is_atom(struct span name)
{
	for (size_t i = 0; i < name.len; i++)
		if (!token_is_astring_char((unsigned char)name.ptr[i]))
			return false;
	return name.len > 0;
}

static void put_field_names(struct buf *out, const struct fetch_section *section)
{
	for (size_t i = 0; i < section->n_fields; i++) {
		buf_add_str(out, i ? " " : " (");
		if (is_atom(section->fields[i]))
			buf_add_span(out, section->fields[i]);
		else
			nstring_put(out, section->fields[i]);
	}
	if (section->n_fields)
		buf_add_char(out, ')');
}

/* What the answer calls it: the section in upper case, the names of fields as they were written. */
static struct span make_label(struct pool *pool, struct span spec,
			      const struct fetch_section *section)
{
	struct buf text = BUF_INIT;
	struct span label;

	buf_add_str(&text, "BODY[");
	for (size_t i = 0; i < spec.len; i++)
		buf_add_char(&text, (char)us_upper((unsigned char)spec.ptr[i]));
	put_field_names(&text, section);
	buf_add_char(&text, ']');
	if (section->partial)
		buf_printf(&text, "<%llu>", (unsigned long long)section->offset);
	label = pool_span(pool, buf_span(&text));
	buf_free(&text);
	return label;
}

static bool is_spec_char(unsigned char c)
{
	return c == '.' || (c >= '0' && c <= '9') || (us_lower(c) >= 'a' && us_lower(c) <= 'z');
}

static int parse_fields(struct parse *p, struct fetch_section *out, struct us_err *err)
{
	struct token_list names;

	token_space(&p->s);
	names = token_astring_list(&p->s, p->pool);
	if (p->s.bad || !names.n)
		return us_fail(err, US_EPROTO, "Invalid field-name in %s BODY[HEADER.FIELDS",
			       p->command->shown);
	out->fields = names.item;
	out->n_fields = names.n;
	out->kind = FETCH_FIELDS;
	return 0;
}

/* "<" number "." nz-number ">", if it is there */
static int parse_partial(struct parse *p, struct fetch_section *out, struct us_err *err)
{
	if (!scan_skip(&p->s, '<'))
		return 0;
	out->partial = true;
	out->offset = token_number64(&p->s);
	scan_expect(&p->s, '.');
	out->length = token_number64(&p->s);
	scan_expect(&p->s, '>');
	return p->s.bad || !out->length ? us_fail(err, US_EPROTO, "Invalid body partial") : 0;
}

static bool names_fields(const struct fetch_section *section)
{
	return section->section.text == MIME_SECTION_FIELDS ||
	       section->section.text == MIME_SECTION_FIELDS_NOT;
}

/* Behind "BODY[" or "BODY.PEEK[". */
static int parse_section(struct gathered *g, struct us_err *err)
{
	struct parse *p = g->p;
	struct fetch_section *out = add_section(g);
	struct span spec = scan_while(&p->s, is_spec_char);
	int rc = mime_section_parse(spec, &out->section, NULL);

	out->kind = FETCH_OCTETS;
	if (rc == 0 && names_fields(out) && scan_peek(&p->s) == ' ') {
		rc = parse_fields(p, out, err);
		if (rc < 0)
			return rc;
	}
	if (rc < 0 || !scan_skip(&p->s, ']') || (names_fields(out) && !out->n_fields))
		return us_fail(err, US_EPROTO, "Invalid body section");
	rc = parse_partial(p, out, err);
	if (rc == 0)
		out->label = make_label(p->pool, spec, out);
	return rc;
}

void fetch_section_clip(const struct fetch_section *section, struct mime_range *range)
{
	uint64_t from = section->offset < range->size ? section->offset : range->size;

	if (!section->partial)
		return;
	range->offset += from;
	range->size -= from;
	if (range->size > section->length)
		range->size = section->length;
}

/* ---- items --------------------------------------------------------------------------------------- */

static bool add_plain(struct fetch_args *args, struct span word)
{
	for (size_t i = 0; i < ARRAY_SIZE(plain_items); i++) {
		if (!span_is_nocase(word, plain_items[i].name))
			continue;
		args->items |= plain_items[i].items;
		return true;
	}
	return false;
}

static bool add_macro(struct fetch_args *args, struct span word)
{
	for (size_t i = 0; i < ARRAY_SIZE(macros); i++) {
		if (!span_is_nocase(word, macros[i].name))
			continue;
		args->items |= macros[i].items;
		return true;
	}
	return false;
}

static bool add_old_section(struct gathered *g, struct span word)
{
	for (size_t i = 0; i < ARRAY_SIZE(old_sections); i++) {
		struct fetch_section *section;

		if (!span_is_nocase(word, old_sections[i].name))
			continue;
		section = add_section(g);
		section->kind = old_sections[i].kind;
		section->section.text = old_sections[i].text;
		section->label = span_of(old_sections[i].name);
		g->args->sees |= old_sections[i].sees;
		return true;
	}
	return false;
}

static int bad_item(const struct parse *p, struct span word, struct us_err *err)
{
	if (word.len > 64)
		word.len = 64;
	return us_fail(err, US_EPROTO, "Invalid %s attribute %.*s", p->command->shown,
		       SPAN_ARG(word));
}

static int parse_annotations(struct gathered *g, struct us_err *err)
{
	struct annotate_query *query = pool_alloc(g->p->pool, sizeof(*query));
	int rc = annotate_query_parse(&g->p->s, g->p->pool, query, err);

	if (rc == 0 && g->args->annotations)
		return us_fail(err, US_EPROTO, "ANNOTATION twice in one %s", g->p->command->shown);
	if (rc == 0)
		g->args->annotations = query;
	return rc;
}

static int parse_item(struct gathered *g, bool in_list, struct us_err *err)
{
	struct span word = scan_while(&g->p->s, is_spec_char);
	bool body = span_is_nocase(word, "BODY"), peek = span_is_nocase(word, "BODY.PEEK");

	if ((body || peek) && scan_skip(&g->p->s, '[')) {
		g->args->sees |= body;
		return parse_section(g, err);
	}
	if (span_is_nocase(word, "ANNOTATION"))
		return parse_annotations(g, err);
	if (add_plain(g->args, word) || add_old_section(g, word) ||
	    (!in_list && add_macro(g->args, word)))
		return 0;
	return bad_item(g->p, word, err);
}

static int parse_items(struct gathered *g, struct us_err *err)
{
	struct scan *s = &g->p->s;
	int rc;

	if (!scan_skip(s, '('))
		return parse_item(g, /* in_list */ false, err);
	do
		rc = parse_item(g, /* in_list */ true, err);
	while (rc == 0 && scan_skip(s, ' '));
	if (rc == 0 && !scan_skip(s, ')'))
		return us_fail(err, US_EPROTO, "Missing close parenthesis in %s",
			       g->p->command->shown);
	return rc;
}

/* ---- modifiers ------------------------------------------------------------------------------------ */

static const char *form_of(const struct parse *p)
{
	return p->uid ? "UID " : "";
}

static int parse_changed_since(struct gathered *g, struct us_err *err)
{
	struct parse *p = g->p;

	if (!scan_skip(&p->s, ' '))
		return us_fail(err, US_EPROTO, "Missing required argument to %s%s CHANGEDSINCE",
			       form_of(p), p->command->shown);
	g->args->only_changed = true;
	g->args->changed_since = token_number64(&p->s);
	g->args->items |= FETCH_MODSEQ;
	return p->s.bad ? us_fail(err, US_EPROTO, "Invalid argument to %s%s CHANGEDSINCE",
				  form_of(p), p->command->shown)
			: 0;
}

static int parse_modifier(struct gathered *g, struct us_err *err)
{
	struct parse *p = g->p;
	struct span word = token_atom(&p->s);

	if (!p->s.bad && span_is_nocase(word, "CHANGEDSINCE"))
		return parse_changed_since(g, err);
	if (!p->s.bad && span_is_nocase(word, "VANISHED") && p->uid) {
		g->args->vanished = true;
		return 0;
	}
	if (word.len > 64)
		word.len = 64;
	return us_fail(err, US_EPROTO, "Invalid %s%s modifier %.*s", form_of(p), p->command->shown,
		       SPAN_ARG(word));
}

/* If there are any. */
static int parse_modifiers(struct gathered *g, struct us_err *err)
{
	struct scan *s = &g->p->s, before = *s;
	int rc = 0;

	if (!scan_skip(s, ' ') || !scan_skip(s, '(')) {
		*s = before;
		return 0;
	}
	do
		rc = parse_modifier(g, err);
	while (rc == 0 && scan_skip(s, ' '));
	if (rc == 0 && !scan_skip(s, ')'))
		return us_fail(err, US_EPROTO, "Missing close parenthesis in %s",
			       g->p->command->shown);
	if (rc == 0 && g->args->vanished && !g->args->only_changed) /* RFC 7162, 3.2.6 */
		return us_fail(err, US_EPROTO, "Invalid %s%s modifier VANISHED", form_of(g->p),
			       g->p->command->shown);
	return rc;
}

/* ---- the whole ------------------------------------------------------------------------------------ */

/* Few, and mostly in order already. */
static void sort_sections(struct gathered *g)
{
	for (size_t i = 1; i < g->args->n_sections; i++) {
		struct fetch_section moved = g->section[i];
		size_t at = i;

		for (; at > 0 && g->section[at - 1].kind > moved.kind; at--)
			g->section[at] = g->section[at - 1];
		g->section[at] = moved;
	}
}

int parse_fetch(struct parse *p, void **out, struct us_err *err)
{
	struct fetch_args *args = pool_alloc(p->pool, sizeof(*args));
	struct gathered g = {p, args, NULL, 0};
	int rc;

	rc = parse_sequence_set(p, &args->set, err);
	if (rc < 0)
		return rc;
	if (!scan_skip(&p->s, ' '))
		return parse_missing(p, err);
	rc = parse_items(&g, err);
	if (rc == 0)
		rc = parse_modifiers(&g, err);
	if (rc == 0)
		rc = parse_end(p, err);
	if (rc < 0)
		return rc;
	sort_sections(&g);
	if (p->uid)
		args->items |= FETCH_UID;
	*out = args;
	return 0;
}
