/* boundary.c - see boundary_private.h. */
#include "server/store/mime/boundary_private.h"

#include <stdlib.h>
#include <string.h>

#include "server/base/mem.h"

struct mime_boundary {
	struct span text;
	size_t owner;
	uint32_t hash;
	int32_t outer; /* the next in the same bucket, further out; -1: none */
};

#define HASH_START 2166136261u

/* FNV-1a, continued from `hash`. */
static uint32_t hash_more(uint32_t hash, struct span text)
{
	for (size_t i = 0; i < text.len; i++)
		hash = (hash ^ (unsigned char)text.ptr[i]) * 16777619u;
	return hash;
}

void mime_boundaries_init(struct mime_boundaries *b, bool strict)
{
	*b = (struct mime_boundaries){.strict = strict};
	for (size_t i = 0; i < MIME_BOUNDARY_BUCKETS; i++)
		b->bucket[i] = -1;
}

void mime_boundaries_fini(struct mime_boundaries *b)
{
	free(b->open);
	*b = (struct mime_boundaries){NULL, 0, 0, {0}, false};
}

void mime_boundaries_push(struct mime_boundaries *b, struct span text, size_t owner)
{
	uint32_t hash = hash_more(HASH_START, text);
	int32_t *bucket = &b->bucket[hash % MIME_BOUNDARY_BUCKETS];

	us_grow(&b->open, b->n, &b->cap, sizeof(*b->open));
	b->open[b->n] = (struct mime_boundary){text, owner, hash, *bucket};
	*bucket = (int32_t)b->n++;
}

void mime_boundaries_truncate(struct mime_boundaries *b, size_t n)
{
	while (b->n > n) {
		const struct mime_boundary *last = &b->open[--b->n];
		b->bucket[last->hash % MIME_BOUNDARY_BUCKETS] = last->outer;
	}
}

/* The innermost with exactly this text; -1: none. */
static int32_t find_exact(const struct mime_boundaries *b, struct span text, uint32_t hash)
{
	int32_t i = b->bucket[hash % MIME_BOUNDARY_BUCKETS];

	while (i >= 0 && (b->open[i].hash != hash || !span_eq(b->open[i].text, text)))
		i = b->open[i].outer;
	return i;
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Does the line go on behind the boundary? *closes: with "--". */
static bool begins_with(struct span line, struct span boundary, bool strict, bool *closes)
{
	struct span rest;

	if (line.len < boundary.len || memcmp(line.ptr, boundary.ptr, boundary.len) != 0)
		return false;
	rest = span_from(line, boundary.len);
	*closes = span_starts(rest, "--");
	return *closes || strict || rest.len == 0 || is_space(rest.ptr[0]);
}

static int32_t find_loose(const struct mime_boundaries *b, struct span line, bool *closes)
{
	size_t low = b->strict ? 0 : b->n - 1;

	for (size_t i = b->n; i-- > low;)
		if (begins_with(line, b->open[i].text, b->strict, closes))
			return (int32_t)i;
	return -1;
}

bool mime_boundaries_find(const struct mime_boundaries *b, struct span line, size_t *index,
			  size_t *owner, bool *closes)
{
	struct span text;
	int32_t opening, closing = -1, found;
	uint32_t hash = HASH_START;

	if (!b->n || line.len < 2 || line.ptr[0] != '-' || line.ptr[1] != '-')
		return false;
	text = span_from(line, 2);
	while (text.len && is_space(text.ptr[text.len - 1]))
		text.len--;
	if (text.len > 2 && memcmp(text.ptr + text.len - 2, "--", 2) == 0) {
		hash = hash_more(hash, span_make(text.ptr, text.len - 2));
		closing = find_exact(b, span_make(text.ptr, text.len - 2), hash);
		hash = hash_more(hash, SPAN_LIT("--"));
	} else {
		hash = hash_more(hash, text);
	}
	opening = find_exact(b, text, hash);
	*closes = closing > opening;
	found = *closes ? closing : opening;
	if (found < 0)
		found = find_loose(b, text, closes);
	if (found < 0)
		return false;
	*index = (size_t)found;
	*owner = b->open[found].owner;
	return true;
}
