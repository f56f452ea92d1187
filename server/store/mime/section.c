/* section.c - see section.h. */
#include "server/store/mime/section.h"

#include "server/base/mem.h"
#include "server/base/scan.h"

static const struct {
	const char *name;
	enum mime_section_text text;
} texts[] = {
	{"HEADER", MIME_SECTION_HEADER},
	{"HEADER.FIELDS", MIME_SECTION_FIELDS},
	{"HEADER.FIELDS.NOT", MIME_SECTION_FIELDS_NOT},
	{"TEXT", MIME_SECTION_TEXT},
	{"MIME", MIME_SECTION_MIME},
};

static bool parse_text(struct span word, enum mime_section_text *out)
{
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		if (!span_is_nocase(word, texts[i].name))
			continue;
		*out = texts[i].text;
		return true;
	}
	return false;
}

static bool at_digit(const struct scan *s)
{
	int c = scan_peek(s);

	return c >= '0' && c <= '9';
}

int mime_section_parse(struct span spec, struct mime_section *out, struct us_err *err)
{
	struct scan s = scan_init(spec);
	struct mime_section section = {span_make(spec.ptr, 0), MIME_SECTION_ALL};
	bool ok = true;

	while (ok && at_digit(&s)) {
		ok = scan_u32(&s) != 0;
		section.path.len = scan_offset(&s);
		ok = ok && (scan_end(&s) ? !s.bad : scan_skip(&s, '.') && !scan_end(&s));
	}
	if (ok && !scan_end(&s))
		ok = parse_text(scan_rest(&s), &section.text);
	if (!ok || s.bad || (section.text == MIME_SECTION_MIME && !section.path.len))
		return us_fail(err, US_EPROTO, "\"%.*s\" is no section", SPAN_ARG(spec));
	*out = section;
	return 0;
}

/* ---- the tree as a table ----------------------------------------------------------------------- */

/* The index behind the last part in this one. */
static uint32_t index_behind(const struct mime_tree *tree, const struct mime_part *part)
{
	for (; part; part = part->parent)
		if (part->next)
			return part->next->index;
	return tree->n_parts;
}

static struct mime_entry tree_row(const void *ctx, uint32_t i)
{
	const struct mime_tree *tree = ctx;
	const struct mime_part *part = tree->parts[i];

	return (struct mime_entry){part->kind,          part->encoding,    index_behind(tree, part),
				   part->header_offset, part->header_size, part->body_offset,
				   part->body_size};
}

struct mime_table mime_tree_table(const struct mime_tree *tree)
{
	return (struct mime_table){tree, tree->n_parts, tree_row};
}

/* ---- finding ----------------------------------------------------------------------------------- */

/* Row of the n-th child of the multipart in row i; 0, which is never a child: it has fewer. */
static uint32_t nth_child(const struct mime_table *table, uint32_t i, uint32_t n)
{
	uint32_t end = table->row(table->ctx, i).next, child = i + 1;

	while (child < end && --n)
		child = table->row(table->ctx, child).next;
	return child < end ? child : 0;
}

/* Where a path leads: a row, and whether the last number was the 1 of a message that is no multipart,
 * whose part 1 has the message's own row. */
struct place {
	uint32_t row;
	bool is_message; /* the row is the root's or an embedded message's, and was not numbered yet */
};

/* One number further. */
static bool step(const struct mime_table *table, struct place *place, uint32_t n)
{
	struct mime_entry e = table->row(table->ctx, place->row);

	if (!place->is_message && e.kind == MIME_MESSAGE) {
		place->row++;
		if (place->row >= table->n)
			return false;
		place->is_message = true;
		e = table->row(table->ctx, place->row);
	}
	if (e.kind == MIME_MULTIPART) {
		place->row = nth_child(table, place->row, n);
		place->is_message = false;
		return place->row != 0;
	}
	if (!place->is_message || n != 1)
		return false;
	place->is_message = false;
	return true;
}

static int walk(const struct mime_table *table, struct span path, struct place *out,
		struct us_err *err)
{
	struct scan s = scan_init(path);
	struct place place = {0, true};

	while (!scan_end(&s)) {
		if (!step(table, &place, scan_u32(&s)))
			return us_fail(err, US_ENOENT, "no part %.*s", SPAN_ARG(path));
		(void)scan_skip(&s, '.');
	}
	*out = place;
	return 0;
}

/* HEADER and TEXT are those of a message: the root, or the one that the part is. */
static bool enter_message(const struct mime_table *table, struct place *place)
{
	if (place->is_message)
		return true;
	if (table->row(table->ctx, place->row).kind != MIME_MESSAGE || place->row + 1 >= table->n)
		return false;
	place->row++;
	place->is_message = true;
	return true;
}

static struct mime_range whole(const struct mime_entry *e)
{
	return (struct mime_range){e->header_offset, e->header_size + e->body_size};
}

int mime_section_find(const struct mime_table *table, const struct mime_section *section,
		      struct mime_range *out, struct us_err *err)
{
	struct place place;
	struct mime_entry e;
	int rc = walk(table, section->path, &place, err);

	if (rc < 0)
		return rc;
	if (section->text != MIME_SECTION_ALL && section->text != MIME_SECTION_MIME &&
	    !enter_message(table, &place))
		return us_fail(err, US_ENOENT, "part %.*s is no message", SPAN_ARG(section->path));
	e = table->row(table->ctx, place.row);
	if (section->text == MIME_SECTION_ALL)
		*out = section->path.len ? (struct mime_range){e.body_offset, e.body_size}
					 : whole(&e);
	else if (section->text == MIME_SECTION_TEXT)
		*out = (struct mime_range){e.body_offset, e.body_size};
	else
		*out = (struct mime_range){e.header_offset, e.header_size};
	return 0;
}

int mime_section_part(const struct mime_table *table, struct span path, struct mime_entry *out,
		      struct us_err *err)
{
	struct place place;
	int rc = walk(table, path, &place, err);

	if (rc == 0)
		*out = table->row(table->ctx, place.row);
	return rc;
}
