/* wire_annotation.c - lists of annotations, and the three that are fields of a record.
 *
 *	%(ENTRY /comment USERID "" MODSEQ 19 VALUE text)		real: kept byte for byte
 *	%(ENTRY /vendor/cmu/cyrus-imapd/savedate USERID "" ...)		virtual: a field of struct state_record
 *
 * A virtual one is taken into its field only if the field gives the same sum as the text would; otherwise (a date of letters, a
 * number with leading zeros) it stays the annotation it is, which sums and comes back as it was sent.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reconcile/wire_private.h"
#include "server/base/mem.h"

enum { F_ENTRY, F_USERID, F_MODSEQ, F_VALUE };

static const struct wire_field_row fields[] = {
	[F_ENTRY] = {"ENTRY", wire_field_str, offsetof(struct state_annotation, entry)},
	[F_USERID] = {"USERID", wire_field_nullable, offsetof(struct state_annotation, userid)},
	[F_MODSEQ] = {"MODSEQ", wire_field_u64, offsetof(struct state_annotation, modseq)},
	[F_VALUE] = {"VALUE", wire_field_value, offsetof(struct state_annotation, value)},
};

/* ---- virtual ones -------------------------------------------------------------------------------- */

#define NS "/vendor/cmu/cyrus-imapd/"

/* Lower-case hex digits, at most 16; *out may be 0. */
static bool parse_hex(struct span s, uint64_t *out)
{
	uint64_t n = 0;

	if (!s.len || s.len > 16)
		return false;
	for (size_t i = 0; i < s.len; i++) {
		const char *digit = strchr("0123456789abcdef", s.ptr[i]);
		if (!digit || !*digit)
			return false;
		n = n << 4 | (uint64_t)(*digit <= '9' ? *digit - '0' : *digit - 'a' + 10);
	}
	*out = n;
	return true;
}

/* Decimal, as it would be written. */
static bool parse_decimal(struct span s, uint64_t max, uint64_t *out)
{
	return (s.len == 1 || (s.len && s.ptr[0] != '0')) && span_u64(s, max, out);
}

static bool take_virtual(const struct state_annotation *a, struct state_record *record)
{
	uint64_t n;

	if (a->userid.len)
		return false;
	if (span_is(a->entry, NS "thrid"))
		return parse_hex(a->value, &record->thrid);
	if (span_is(a->entry, NS "createdmodseq"))
		return parse_decimal(a->value, UINT64_MAX, &record->createdmodseq);
	if (!span_is(a->entry, NS "savedate") || !parse_decimal(a->value, INT64_MAX, &n))
		return false;
	record->savedate = (int64_t)n;
	return true;
}

/* ---- reading ----------------------------------------------------------------------------------- */

struct reading {
	struct state_record *record; /* NULL: a mailbox's, or its fields have been given already */
	struct state_annotation *items;
	size_t n, cap;
};

static int read_one(struct wire_reader *r, int token, void *ctx, struct us_err *err)
{
	const uint64_t all = WIRE_BIT(ARRAY_SIZE(fields)) - 1;
	struct reading *g = ctx;
	struct state_annotation a = {.modseq = 0};
	uint64_t seen;
	int rc;

	if (token != DLIST_TOKEN_KVLIST)
		return wire_pass(r->lx, token, err);
	rc = wire_read_fields(r, fields, ARRAY_SIZE(fields), &a, &seen, err);
	if (rc < 0 || seen != all)
		return rc;
	/* Without a user or a value it says nothing, and counts nothing in the peer's sums. */
	if (!a.userid.ptr || !a.value.ptr || (g->record && take_virtual(&a, g->record)))
		return 1;
	rc = g->n < g->cap ? 0 : wire_check_limit(r, 2 * g->cap * sizeof(a), err);
	if (rc < 0)
		return rc;
	g->items = wire_grow(r->pool, g->items, g->n, &g->cap, sizeof(a));
	g->items[g->n++] = a;
	return 1;
}

static int compare(const void *left, const void *right)
{
	const struct state_annotation *a = left, *b = right;
	int rc = span_cmp(a->entry, b->entry);

	rc = rc ? rc : span_cmp(a->userid, b->userid);
	return rc ? rc : span_cmp(a->value, b->value);
}

/* Peers send them sorted; whoever does not shall not make the comparison go wrong. One of each entry and user. */
static void sort(struct reading *g)
{
	size_t kept = 0;

	if (!g->n)
		return;
	qsort(g->items, g->n, sizeof(g->items[0]), compare);
	for (size_t i = 1; i < g->n; i++)
		if (!span_eq(g->items[kept].entry, g->items[i].entry) ||
		    !span_eq(g->items[kept].userid, g->items[i].userid))
			g->items[++kept] = g->items[i];
	g->n = kept + 1;
}

int wire_read_annotations(struct wire_reader *r, int token, struct state_record *record,
			  struct wire_annotation_list *out, struct us_err *err)
{
	struct reading g = {.record = record};
	bool all;
	int rc;

	if (token != DLIST_TOKEN_LIST)
		return wire_pass(r->lx, token, err);
	rc = wire_read_list(r, read_one, &g, &all, err);
	if (rc < 0 || !all)
		return rc;
	sort(&g);
	*out = (struct wire_annotation_list){g.items, g.n};
	return 1;
}

/* ---- writing ----------------------------------------------------------------------------------- */

static void put(struct dlist_writer *w, const struct state_annotation *a)
{
	dlist_put_kvlist(w);
	dlist_put_kstr(w, "ENTRY", a->entry);
	dlist_put_kstr(w, "USERID", a->userid.ptr ? a->userid : SPAN_LIT(""));
	dlist_put_ku64(w, "MODSEQ", a->modseq);
	dlist_put_kstr(w, "VALUE", a->value);
	dlist_put_close(w);
}

static void put_virtual(struct dlist_writer *w, const char *entry, const char *value)
{
	struct state_annotation a = {.entry = span_of(entry), .value = span_of(value)};

	put(w, &a);
}

static void put_all_virtual(struct dlist_writer *w, const struct state_record *r)
{
	char text[24];

	if (r->thrid) {
		snprintf(text, sizeof(text), "%016" PRIx64, r->thrid);
		put_virtual(w, NS "thrid", text);
	}
	if (r->savedate > 0) {
		snprintf(text, sizeof(text), "%" PRId64, r->savedate);
		put_virtual(w, NS "savedate", text);
	}
	if (r->createdmodseq) {
		snprintf(text, sizeof(text), "%" PRIu64, r->createdmodseq);
		put_virtual(w, NS "createdmodseq", text);
	}
}

void wire_put_annotations(struct dlist_writer *w, const struct state_annotation *items, size_t n,
			  const struct state_record *record)
{
	bool has_virtual =
		record && (record->thrid || record->savedate > 0 || record->createdmodseq);

	if (!n && !has_virtual)
		return;
	dlist_put_key(w, "ANNOTATIONS");
	dlist_put_list(w);
	for (size_t i = 0; i < n; i++)
		put(w, &items[i]);
	if (has_virtual)
		put_all_virtual(w, record);
	dlist_put_close(w);
}
