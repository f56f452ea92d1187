/* structure.c - one pass over a message, line by line, with the open parts on a stack.
 *
 *	root            multipart/mixed       its boundary is watched for
 *	  frame 1       message/rfc822
 *	    frame 2     the embedded message, multipart/alternative   boundary watched for
 *	      frame 3   text/plain            its lines go by
 *
 * A delimiter line names the multipart it belongs to: everything above that one ends there, wherever it
 * was, and a new part begins or the multipart's epilogue does. The end of the text ends all that is open.
 * So a missing closing delimiter, or a missing end of a header, costs nothing but what it lost.
 *
 * A header ends at the first blank line, at a delimiter or with the text. If the first line is no field
 * there is no header, and all is body: parts that lack their blank line keep their text. Later lines that
 * are no fields are passed over, since more often a folded line lost its blank than a header its end.
 *
 * A multipart in which no part begins, or that names no boundary, gets one child: its whole body as
 * plain text. IMAP has no form for an empty multipart, and whoever opens the message wants to see what is
 * in it.
 *
 * Time is linear in the text: each line is looked at once, and compared by hash (boundary_private.h).
 * Memory is bounded by the limits: parts, and what one header may make us keep.
 */
#include "server/store/mime/structure.h"

#include <stdlib.h>
#include <string.h>

#include "server/base/mem.h"
#include "server/store/mime/boundary_private.h"
#include "server/store/mime/field.h"
#include "server/store/mime/known_private.h"

struct frame {
	struct mime_part *part;
	uint64_t lines_before; /* LFs in front of the part's body */
	size_t closed_at;      /* behind its closing delimiter's line; 0: that has not come */
};

struct scanner {
	struct mime_tree *tree;
	struct pool *pool;
	struct span text;
	size_t at;
	uint64_t lines; /* LFs in front of `at` */
	struct frame *frames;
	size_t n_frames, cap_frames, n_containers, cap_parts;
	struct mime_boundaries boundaries;
};

/* ---- parts ------------------------------------------------------------------------------------- */

void mime_part_adopt(struct mime_part *parent, struct mime_part *part)
{
	part->parent = parent;
	if (parent->last_child)
		parent->last_child->next = part;
	else
		parent->first_child = part;
	parent->last_child = part;
	parent->n_children++;
}

static void append_part(struct scanner *s, struct mime_part *part)
{
	struct mime_tree *tree = s->tree;

	if (tree->n_parts == s->cap_parts) {
		size_t cap = s->cap_parts ? s->cap_parts * 2 : 8;
		struct mime_part **grown = pool_alloc(s->pool, us_mul_size(cap, sizeof(*grown)));
		if (tree->n_parts)
			memcpy(grown, tree->parts, tree->n_parts * sizeof(*grown));
		tree->parts = grown;
		s->cap_parts = cap;
	}
	part->index = tree->n_parts;
	tree->parts[tree->n_parts++] = part;
}

static struct mime_part *new_part(struct scanner *s, struct mime_part *parent)
{
	struct mime_part *part = pool_alloc(s->pool, sizeof(*part));

	append_part(s, part);
	part->header_offset = part->body_offset = s->at;
	if (parent)
		mime_part_adopt(parent, part);
	return part;
}

/* What we do not look into: a leaf that no client tries to take apart. */
static void make_opaque(struct scanner *s, struct mime_part *part)
{
	part->kind = MIME_LEAF;
	part->type = SPAN_LIT("application");
	part->subtype = SPAN_LIT("octet-stream");
	part->params = NULL;
	s->tree->limited = true;
}

static bool is_container(const struct mime_part *part)
{
	return part->kind == MIME_MULTIPART || part->kind == MIME_MESSAGE;
}

static bool is_digest(const struct mime_part *part)
{
	return part && part->kind == MIME_MULTIPART && span_is_nocase(part->subtype, "digest");
}

/* ---- headers ----------------------------------------------------------------------------------- */

static struct span rest_of_text(const struct scanner *s)
{
	return span_from(s->text, s->at);
}

static bool at_delimiter(const struct scanner *s)
{
	struct span line = rest_of_text(s);
	size_t index, owner;
	bool closes;
	const char *end;

	if (!s->boundaries.n || !span_starts(line, "--"))
		return false;
	end = span_find(line, '\n');
	if (end)
		line.len = (size_t)(end - line.ptr);
	return mime_boundaries_find(&s->boundaries, line, &index, &owner, &closes);
}

/* What stands in front of a message's first field at times: the line of an mbox, a line that lost its
 * beginning. */
static bool is_stray_line(struct span text)
{
	return span_starts(text, "From ") || span_starts(text, ">From ") ||
	       span_starts(text, " ") || span_starts(text, "\t");
}

static bool header_begins(const struct scanner *s, bool is_message)
{
	struct span text = rest_of_text(s);

	return mime_blank_line(text) || mime_field_starts(text) ||
	       (is_message && is_stray_line(text));
}

/* How much of one header has been looked at. */
struct budget {
	uint32_t lines, bytes;
};

/* Cut the field to what the limits leave; false: nothing. */
static bool within_limits(struct scanner *s, struct budget *used, struct mime_field *field)
{
	const struct mime_limits *limits = &s->tree->limits;
	uint32_t left = limits->header_bytes - used->bytes;

	if (limits->header_lines && used->lines >= limits->header_lines)
		left = 0;
	if (field->value.len > left) {
		field->value.len = left;
		s->tree->limited = true;
	}
	used->bytes += field->raw.len < left ? (uint32_t)field->raw.len : left;
	used->lines += field->lines;
	return left > 0;
}

static void read_fields(struct scanner *s, struct mime_known *known, bool is_message)
{
	struct budget used = {0, 0};
	struct mime_field field;
	struct span rest = rest_of_text(s);

	while (!at_delimiter(s) && mime_field_next(&rest, &field)) {
		s->at += field.raw.len;
		s->lines += field.lines;
		if (within_limits(s, &used, &field) && field.name.len)
			mime_known_take(known, &field, is_message, s->pool);
	}
}

/* Leaves us at the first byte of the body. */
static void read_header(struct scanner *s, struct mime_part *part, bool is_message)
{
	struct mime_known known = {0};
	size_t blank;

	if (!at_delimiter(s) && header_begins(s, is_message)) {
		read_fields(s, &known, is_message);
		blank = mime_blank_line(rest_of_text(s));
		s->at += blank;
		s->lines += blank > 0;
	}
	part->header_size = s->at - part->header_offset;
	part->body_offset = s->at;
	mime_known_to_content(&known, part, is_digest(part->parent), s->pool);
	if (is_message)
		part->envelope = mime_known_to_envelope(&known, s->pool);
}

/* ---- opening and closing ----------------------------------------------------------------------- */

static void push_frame(struct scanner *s, struct mime_part *part)
{
	us_grow(&s->frames, s->n_frames, &s->cap_frames, sizeof(*s->frames));
	s->frames[s->n_frames++] = (struct frame){part, s->lines, 0};
	s->n_containers += is_container(part);
}

static void watch_boundary(struct scanner *s, const struct mime_part *part)
{
	struct span boundary = mime_param(part->params, "boundary");

	while (boundary.len && strchr(" \t\r\n", boundary.ptr[boundary.len - 1]))
		boundary.len--;
	if (boundary.len)
		mime_boundaries_push(&s->boundaries, boundary, s->n_frames - 1);
}

/* A part begins here: read its header, and those of the messages that begin with it. */
static void open_part(struct scanner *s, struct mime_part *parent)
{
	bool is_message = !parent;

	for (;;) {
		struct mime_part *part = new_part(s, parent);
		const struct mime_limits *limits = &s->tree->limits;

		read_header(s, part, is_message);
		if (is_container(part) &&
		    (s->n_containers >= limits->depth || s->tree->n_parts >= limits->parts))
			make_opaque(s, part);
		push_frame(s, part);
		if (part->kind == MIME_MULTIPART)
			watch_boundary(s, part);
		if (part->kind != MIME_MESSAGE)
			return;
		parent = part;
		is_message = true;
	}
}

/* The whole body of a multipart without parts, as text. */
static void add_only_child(struct scanner *s, struct mime_part *part)
{
	struct mime_part *child = new_part(s, part);
	const struct mime_known nothing = {0};

	mime_known_to_content(&nothing, child, /* in_digest */ false, s->pool);
	child->header_offset = child->body_offset = part->body_offset;
	child->body_size = part->body_size;
	child->body_lines = part->body_lines;
}

/* End all frames from the `keep`-th on at `end`, in front of which `lines` LFs stand. A part that has no
 * room for that, because its header ends later, ends where its header does, and so do those around it. */
static void close_frames(struct scanner *s, size_t keep, uint64_t end, uint64_t lines)
{
	while (s->n_frames > keep) {
		struct frame *frame = &s->frames[--s->n_frames];
		struct mime_part *part = frame->part;

		if (end < part->body_offset) {
			end = part->body_offset;
			lines = frame->lines_before;
		}
		part->body_size = end - part->body_offset;
		part->body_lines = lines - frame->lines_before;
		s->n_containers -= is_container(part);
		if (part->kind == MIME_MULTIPART && !part->n_children)
			add_only_child(s, part);
	}
}

/* The bytes of the line end right before `at`, which belongs to a delimiter that begins there. */
static size_t line_end_before(struct span text, size_t at)
{
	if (at == 0 || text.ptr[at - 1] != '\n')
		return 0;
	return at > 1 && text.ptr[at - 2] == '\r' ? 2 : 1;
}

/* ---- the pass ---------------------------------------------------------------------------------- */

static size_t count_lines(struct span text)
{
	size_t n = 0;
	const char *end;

	while ((end = span_find(text, '\n'))) {
		text = span_from(text, (size_t)(end - text.ptr) + 1);
		n++;
	}
	return n;
}

static void skip_to_end(struct scanner *s)
{
	s->lines += count_lines(rest_of_text(s));
	s->at = s->text.len;
}

/* All that is left becomes one part. */
static void open_rest(struct scanner *s, struct mime_part *parent)
{
	struct mime_part *part = new_part(s, parent);
	const struct mime_known nothing = {0};

	mime_known_to_content(&nothing, part, /* in_digest */ false, s->pool);
	make_opaque(s, part);
	push_frame(s, part);
	skip_to_end(s);
}

/* Of the line end in front of the delimiter at s->at, what belongs to the delimiter (RFC 2046, section 5.1.1). The
 * one behind a closing delimiter stays with the multipart that was closed. By the letter it would not, but Cyrus and
 * Dovecot both have it so, and what a client has learnt of a forwarded message's size must hold when another server takes
 * over. */
static size_t line_end_of_delimiter(const struct scanner *s)
{
	return s->frames[s->n_frames - 1].closed_at == s->at ? 0 : line_end_before(s->text, s->at);
}

/* The line of `len` bytes at s->at is a delimiter. */
static void pass_delimiter(struct scanner *s, size_t len, size_t index, size_t frame, bool closes)
{
	size_t line_end = line_end_of_delimiter(s);

	close_frames(s, frame + 1, s->at - line_end, s->lines - (line_end > 0));
	mime_boundaries_truncate(&s->boundaries, closes ? index : index + 1);
	s->at += len;
	s->lines += s->text.ptr[s->at - 1] == '\n';
	if (closes) {
		s->frames[frame].closed_at = s->at;
		return;
	}
	if (s->tree->n_parts >= s->tree->limits.parts)
		open_rest(s, s->frames[frame].part);
	else
		open_part(s, s->frames[frame].part);
}

static void scan_lines(struct scanner *s)
{
	while (s->boundaries.n && s->at < s->text.len) {
		struct span rest = rest_of_text(s);
		const char *end = memchr(rest.ptr, '\n', rest.len);
		size_t len = end ? (size_t)(end - rest.ptr) + 1 : rest.len, index, frame;
		bool closes;

		if (rest.ptr[0] == '-' &&
		    mime_boundaries_find(&s->boundaries, span_make(rest.ptr, len), &index, &frame,
					 &closes)) {
			pass_delimiter(s, len, index, frame, closes);
			continue;
		}
		s->at += len;
		s->lines += end != NULL;
	}
	skip_to_end(s);
}

struct mime_tree *mime_scan(struct span message, const struct mime_limits *limits,
			    struct pool *pool)
{
	struct mime_tree *tree = pool_alloc(pool, sizeof(*tree));
	struct scanner s = {.tree = tree, .pool = pool};

	tree->message = s.text = message.ptr ? message : SPAN_LIT("");
	tree->limits = limits ? *limits : (struct mime_limits)MIME_LIMITS_DEFAULT;
	mime_boundaries_init(&s.boundaries, tree->limits.rfc2046_strict);
	open_part(&s, NULL);
	scan_lines(&s);
	close_frames(&s, 0, s.at, s.lines);
	tree->root = tree->parts[0];
	mime_boundaries_fini(&s.boundaries);
	free(s.frames);
	return tree;
}

/* ---- looking at it ----------------------------------------------------------------------------- */

struct span mime_part_header(const struct mime_tree *tree, const struct mime_part *part)
{
	return span_make(tree->message.ptr + part->header_offset, part->header_size);
}

struct span mime_part_body(const struct mime_tree *tree, const struct mime_part *part)
{
	return span_make(tree->message.ptr + part->body_offset, part->body_size);
}

struct span mime_param(const struct mime_param *params, const char *name)
{
	for (const struct mime_param *p = params; p; p = p->next)
		if (span_is_nocase(p->name, name))
			return p->value;
	return SPAN_NULL;
}
