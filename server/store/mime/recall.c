/* recall.c - see recall.h. */
#include "server/store/mime/recall.h"

#include "server/base/mem.h"
#include "server/store/mime/field.h"
#include "server/store/mime/known_private.h"

/* The fields of a text part, as far as the limits say they were looked at when it was new. */
static void read_content(const struct mime_tree *tree, struct mime_part *part, struct pool *pool)
{
	const struct mime_limits *limits = &tree->limits;
	struct span header = mime_part_header(tree, part);
	struct mime_known known = {0};
	struct mime_field field;
	uint32_t lines = 0;

	if (header.len > limits->header_bytes)
		header.len = limits->header_bytes;
	while ((!limits->header_lines || lines < limits->header_lines) &&
	       mime_field_next(&header, &field)) {
		lines += field.lines;
		if (field.name.len)
			mime_known_take(&known, &field, /* with_envelope */ false, pool);
	}
	mime_known_to_content(&known, part, /* in_digest */ false, pool);
}

static struct mime_part *recall_part(const struct mime_tree *tree, const struct mime_entry *e,
				     struct pool *pool)
{
	struct mime_part *part = pool_alloc(pool, sizeof(*part));

	part->header_offset = e->header_offset;
	part->header_size = e->header_size;
	part->body_offset = e->body_offset;
	part->body_size = e->body_size;
	if (e->kind == MIME_TEXT)
		read_content(tree, part, pool);
	part->kind = e->kind;
	part->encoding = e->encoding;
	return part;
}

struct mime_tree *mime_recall(struct span message, const struct mime_table *table,
			      struct pool *pool)
{
	struct mime_tree *tree = pool_alloc(pool, sizeof(*tree));
	uint32_t *ends = pool_alloc(pool, us_mul_size(table->n, sizeof(*ends)));
	struct mime_part *parent = NULL;

	tree->message = message.ptr ? message : SPAN_LIT("");
	tree->limits = (struct mime_limits)MIME_LIMITS_DEFAULT;
	tree->parts = pool_alloc(pool, us_mul_size(table->n, sizeof(*tree->parts)));
	for (uint32_t i = 0; i < table->n; i++) {
		struct mime_entry e = table->row(table->ctx, i);
		struct mime_part *part = recall_part(tree, &e, pool);

		part->index = i;
		ends[i] = e.next;
		while (parent && ends[parent->index] <= i)
			parent = parent->parent;
		if (parent)
			mime_part_adopt(parent, part);
		tree->parts[tree->n_parts++] = part;
		if (e.next > i + 1)
			parent = part;
	}
	tree->root = tree->parts[0];
	return tree;
}
