/* mime_oracle.h - what must hold for the structure of any message, checked the slow and simple way.
 *
 * Shared by the unit tests and the fuzzer: lines are counted byte by byte, sections are found by walking
 * the tree, and what the writers wrote is read by a parser of the RFC's grammar. A fault ends the program.
 */
#ifndef US_TESTS_LIB_MIME_ORACLE_H
#define US_TESTS_LIB_MIME_ORACLE_H

#include <string.h>

#include "server/base/err.h"
#include "server/base/scan.h"
#include "server/store/mime/body.h"
#include "server/store/mime/cache.h"
#include "server/store/mime/envelope.h"
#include "server/store/mime/recall.h"
#include "server/store/mime/section.h"
#include "server/store/mime/structure.h"

/* ---- the tree ---------------------------------------------------------------------------------- */

static inline uint64_t oracle_count_lf(struct span text)
{
	uint64_t n = 0;

	for (size_t i = 0; i < text.len; i++)
		n += text.ptr[i] == '\n';
	return n;
}

static inline void oracle_check_part(const struct mime_tree *tree, const struct mime_part *part)
{
	uint64_t size = tree->message.len, end = part->body_offset + part->body_size, behind;
	uint32_t children = 0;

	us_assert(tree->parts[part->index] == part);
	us_assert(part->header_offset + part->header_size == part->body_offset);
	us_assert(part->body_offset <= size && part->body_size <= size - part->body_offset);
	us_assert(part->body_lines == oracle_count_lf(mime_part_body(tree, part)));
	us_assert(part->type.len && part->subtype.len && part->encoding_name.len);
	behind = part->body_offset;
	for (const struct mime_part *c = part->first_child; c; c = c->next, children++) {
		us_assert(c->parent == part && c->index > part->index);
		us_assert(c->header_offset >= behind);
		behind = c->body_offset + c->body_size;
		us_assert(behind <= end);
		us_assert(c->next || c == part->last_child);
	}
	us_assert(children == part->n_children);
	us_assert((part->kind == MIME_MULTIPART) == (part->n_children > 0) ||
		  part->kind == MIME_MESSAGE);
	if (part->kind == MIME_MESSAGE) {
		us_assert(children == 1 && part->first_child->envelope);
		us_assert(part->first_child->header_offset == part->body_offset && behind == end);
	}
	us_assert((part->envelope != NULL) ==
		  (!part->parent || part->parent->kind == MIME_MESSAGE));
}

static inline void oracle_check_tree(const struct mime_tree *tree)
{
	us_assert(tree->n_parts >= 1 && tree->root == tree->parts[0] && !tree->root->parent);
	us_assert(tree->n_parts <= (tree->limits.parts ? tree->limits.parts : 1) + 1);
	us_assert(tree->root->header_offset == 0);
	us_assert(tree->root->body_offset + tree->root->body_size == tree->message.len);
	for (uint32_t i = 0; i < tree->n_parts; i++)
		oracle_check_part(tree, tree->parts[i]);
}

/* ---- what IMAP is told ------------------------------------------------------------------------- */

static inline void oracle_blank(struct scan *s)
{
	scan_expect(s, ' ');
}

/* true: a string; false: NIL. Anything else is an error. */
static inline bool oracle_nstring(struct scan *s)
{
	if (scan_skip_str(s, "NIL"))
		return false;
	if (scan_skip(s, '"')) {
		int c;
		while ((c = scan_byte(s)) >= 0 && c != '"') {
			if (c == '\\')
				c = scan_byte(s), us_assert(c == '"' || c == '\\');
			us_assert(c != '\r' && c != '\n' && c != 0 && c < 128);
		}
		return true;
	}
	scan_expect(s, '{');
	uint64_t len = scan_u64(s, UINT32_MAX);
	us_assert(scan_skip_str(s, "}\r\n"));
	struct span text = scan_take(s, len);
	us_assert(!s->bad && (len == 0 || !memchr(text.ptr, '\0', len)));
	return true;
}

static inline void oracle_string(struct scan *s)
{
	us_assert(oracle_nstring(s));
}

static inline void oracle_params(struct scan *s)
{
	if (scan_skip_str(s, "NIL"))
		return;
	scan_expect(s, '(');
	do {
		oracle_string(s);
		oracle_blank(s);
		oracle_string(s);
	} while (scan_skip(s, ' '));
	scan_expect(s, ')');
}

static inline void oracle_extension(struct scan *s)
{
	oracle_blank(s);
	if (!scan_skip_str(s, "NIL")) {
		scan_expect(s, '(');
		oracle_string(s);
		oracle_blank(s);
		oracle_params(s);
		scan_expect(s, ')');
	}
	oracle_blank(s);
	if (!scan_skip_str(s, "NIL")) {
		scan_expect(s, '(');
		do
			oracle_string(s);
		while (scan_skip(s, ' '));
		scan_expect(s, ')');
	}
	oracle_blank(s);
	(void)oracle_nstring(s);
}

static inline void oracle_addresses(struct scan *s)
{
	int depth = 0;

	if (scan_skip_str(s, "NIL"))
		return;
	scan_expect(s, '(');
	do {
		bool name, mailbox, host;
		scan_expect(s, '(');
		name = oracle_nstring(s);
		oracle_blank(s);
		(void)oracle_nstring(s);
		oracle_blank(s);
		mailbox = oracle_nstring(s);
		oracle_blank(s);
		host = oracle_nstring(s);
		scan_expect(s, ')');
		if (!host) { /* a group begins or ends, alternately */
			us_assert(!name);
			depth += mailbox ? 1 : -1;
			us_assert(depth == 0 || depth == 1);
		} else {
			us_assert(mailbox);
		}
	} while (scan_peek(s) == '(');
	us_assert(depth == 0);
	scan_expect(s, ')');
}

static inline void oracle_envelope(struct scan *s)
{
	scan_expect(s, '(');
	(void)oracle_nstring(s);
	oracle_blank(s);
	(void)oracle_nstring(s);
	for (int i = 0; i < 6; i++) {
		oracle_blank(s);
		oracle_addresses(s);
	}
	oracle_blank(s);
	(void)oracle_nstring(s);
	oracle_blank(s);
	(void)oracle_nstring(s);
	scan_expect(s, ')');
}

/* One body, which must say what `part` is. */
static inline void oracle_body(struct scan *s, const struct mime_part *part, bool extensible)
{
	scan_expect(s, '(');
	if (part->kind == MIME_MULTIPART) {
		for (const struct mime_part *c = part->first_child; c; c = c->next)
			oracle_body(s, c, extensible);
		oracle_blank(s);
		oracle_string(s);
		if (extensible) {
			oracle_blank(s);
			oracle_params(s);
			oracle_extension(s);
		}
	} else {
		oracle_string(s);
		oracle_blank(s);
		oracle_string(s);
		oracle_blank(s);
		oracle_params(s);
		oracle_blank(s);
		(void)oracle_nstring(s);
		oracle_blank(s);
		(void)oracle_nstring(s);
		oracle_blank(s);
		oracle_string(s);
		oracle_blank(s);
		us_assert(scan_u64(s, UINT64_MAX) == part->body_size);
		if (part->kind == MIME_MESSAGE) {
			oracle_blank(s);
			oracle_envelope(s);
			oracle_blank(s);
			oracle_body(s, part->first_child, extensible);
		}
		if (part->kind != MIME_LEAF) {
			oracle_blank(s);
			us_assert(scan_u64(s, UINT64_MAX) == part->body_lines);
		}
		if (extensible) {
			oracle_blank(s);
			(void)oracle_nstring(s);
			oracle_extension(s);
		}
	}
	scan_expect(s, ')');
	us_assert(!s->bad);
}

static inline void oracle_check_texts(const struct mime_tree *tree)
{
	struct buf out = BUF_INIT;
	struct scan s;

	for (int extensible = 0; extensible < 2; extensible++) {
		buf_clear(&out);
		mime_put_body(&out, tree, extensible);
		s = scan_init(buf_span(&out));
		oracle_body(&s, tree->root, extensible);
		us_assert(scan_ok_at_end(&s));
	}
	buf_clear(&out);
	mime_put_envelope(&out, tree);
	s = scan_init(buf_span(&out));
	oracle_envelope(&s);
	us_assert(scan_ok_at_end(&s));
	buf_free(&out);
}

/* ---- sections ---------------------------------------------------------------------------------- */

static inline void oracle_expect(const struct mime_table *table, const char *path, const char *text,
				 bool there, uint64_t offset, uint64_t size)
{
	struct buf spec = BUF_INIT;
	struct mime_section section;
	struct mime_range range = {0, 0};
	int rc;

	buf_printf(&spec, "%s%s%s", path, *path && *text ? "." : "", text);
	us_assert(mime_section_parse(buf_span(&spec), &section, NULL) == 0);
	rc = mime_section_find(table, &section, &range, NULL);
	us_assert(rc == (there ? 0 : US_ENOENT));
	if (there)
		us_assert(range.offset == offset && range.size == size);
	buf_free(&spec);
}

static inline void oracle_sections_below(const struct mime_table *table,
					 const struct mime_part *holder, struct buf *path);

/* `path` names this part. */
static inline void oracle_part_sections(const struct mime_table *table,
					const struct mime_part *part, struct buf *path)
{
	const struct mime_part *in = part->kind == MIME_MESSAGE ? part->first_child : NULL;
	struct mime_entry entry;

	us_assert(mime_section_part(table, buf_span(path), &entry, NULL) == 0);
	us_assert(entry.kind == part->kind && entry.encoding == part->encoding);
	oracle_expect(table, path->data, "", true, part->body_offset, part->body_size);
	oracle_expect(table, path->data, "MIME", true, part->header_offset, part->header_size);
	oracle_expect(table, path->data, "HEADER", in, in ? in->header_offset : 0,
		      in ? in->header_size : 0);
	oracle_expect(table, path->data, "HEADER.FIELDS.NOT", in, in ? in->header_offset : 0,
		      in ? in->header_size : 0);
	oracle_expect(table, path->data, "TEXT", in, in ? in->body_offset : 0,
		      in ? in->body_size : 0);
	if (in || part->kind == MIME_MULTIPART) {
		oracle_sections_below(table, in ? in : part, path);
		return;
	}
	buf_add_str(path, ".1");
	oracle_expect(table, path->data, "", false, 0, 0);
	buf_truncate(path, path->len - 2);
}

/* The parts of a message (the root, or one embedded) or of a multipart that `path` names. */
static inline void oracle_sections_below(const struct mime_table *table,
					 const struct mime_part *holder, struct buf *path)
{
	size_t len = path->len;
	unsigned n = 0;

	if (holder->kind == MIME_MULTIPART) {
		for (const struct mime_part *c = holder->first_child; c; c = c->next) {
			buf_printf(path, "%s%u", len ? "." : "", ++n);
			oracle_part_sections(table, c, path);
			buf_truncate(path, len);
		}
	} else if (holder->envelope) {
		buf_printf(path, "%s%u", len ? "." : "", ++n);
		oracle_part_sections(table, holder, path);
		buf_truncate(path, len);
	}
	buf_printf(path, "%s%u", len ? "." : "", n + 1);
	oracle_expect(table, path->data, "", false, 0, 0);
	buf_truncate(path, len);
}

static inline void oracle_check_sections(const struct mime_tree *tree,
					 const struct mime_table *table)
{
	const struct mime_part *root = tree->root;
	struct buf path = BUF_INIT;

	us_assert(table->n == tree->n_parts);
	oracle_expect(table, "", "", true, 0, tree->message.len);
	oracle_expect(table, "", "HEADER", true, 0, root->header_size);
	oracle_expect(table, "", "HEADER.FIELDS", true, 0, root->header_size);
	oracle_expect(table, "", "TEXT", true, root->body_offset, root->body_size);
	oracle_sections_below(table, root, &path);
	buf_free(&path);
}

/* ---- the cache record -------------------------------------------------------------------------- */

static inline void oracle_check_cache(const struct mime_tree *tree)
{
	struct buf record = BUF_INIT, text = BUF_INIT;
	struct mime_cache cache;
	struct mime_table table;
	struct datetime sent = {0, 0};

	us_assert(mime_cache_encode(tree, &record, NULL) == 0);
	us_assert(mime_cache_decode(buf_span(&record), &cache, NULL) == 0);
	us_assert(cache.message_size == tree->message.len);
	us_assert(cache.header_size == tree->root->header_size);
	us_assert(cache.limited == tree->limited);
	mime_put_envelope(&text, tree);
	us_assert(span_eq(cache.envelope, buf_span(&text)));
	buf_clear(&text);
	mime_put_body(&text, tree, /* extensible */ true);
	us_assert(span_eq(cache.body_structure, buf_span(&text)));
	buf_clear(&text);
	mime_put_body(&text, tree, /* extensible */ false);
	us_assert(span_eq(cache.body, buf_span(&text)));
	us_assert(cache.has_sent == datetime_parse_mail(tree->root->envelope->date, &sent));
	us_assert(cache.sent.time == sent.time && cache.sent.zone_s == sent.zone_s);
	table = mime_cache_table(&cache);
	oracle_check_sections(tree, &table);
	buf_free(&text);
	buf_free(&record);
}

static inline bool oracle_same_index(const struct mime_part *a, const struct mime_part *b)
{
	return a && b ? a->index == b->index : !a && !b;
}

/* What is recalled of the tree is what is there. */
static inline void oracle_check_recall(const struct mime_tree *tree, const struct mime_table *table)
{
	struct pool *pool = pool_new();
	struct mime_tree *again = mime_recall(tree->message, table, pool);

	us_assert(again->n_parts == tree->n_parts);
	for (uint32_t i = 0; i < tree->n_parts; i++) {
		const struct mime_part *a = tree->parts[i], *b = again->parts[i];

		us_assert(a->kind == b->kind && a->encoding == b->encoding);
		us_assert(a->header_offset == b->header_offset && a->header_size == b->header_size);
		us_assert(a->body_offset == b->body_offset && a->body_size == b->body_size);
		us_assert(a->index == b->index && a->n_children == b->n_children);
		us_assert(oracle_same_index(a->parent, b->parent) &&
			  oracle_same_index(a->first_child, b->first_child) &&
			  oracle_same_index(a->last_child, b->last_child) &&
			  oracle_same_index(a->next, b->next));
		if (a->kind == MIME_TEXT && !tree->limited)
			us_assert(span_eq(a->subtype, b->subtype) &&
				  span_eq(mime_param(a->params, "charset"),
					  mime_param(b->params, "charset")));
	}
	pool_free(&pool);
}

static inline void oracle_check_all(const struct mime_tree *tree)
{
	struct mime_table table = mime_tree_table(tree);

	oracle_check_tree(tree);
	oracle_check_texts(tree);
	oracle_check_sections(tree, &table);
	oracle_check_cache(tree);
	oracle_check_recall(tree, &table);
}

#endif
