/* annotate.c - see annotate.h. */
#include "server/imap/annotate.h"

#include <string.h>

#include "server/base/mem.h"
#include "server/imap/reply.h"
#include "server/imap/session.h"
#include "server/session/listmatch.h"
#include "server/store/acl.h"
#include "server/store/commit.h"

#define VENDOR "/vendor/cmu/"

static const char *const of_the_vendor[] = {VENDOR "cyrus-imapd/snoozed",
					    VENDOR "cyrus-imapd/snoozed-until"};

static const struct {
	const char *name;
	unsigned bits;
} attributes[] = {
	{"value", ANNOTATE_VALUE_PRIVATE | ANNOTATE_VALUE_SHARED},
	{"value.priv", ANNOTATE_VALUE_PRIVATE},
	{"value.shared", ANNOTATE_VALUE_SHARED},
	{"size", ANNOTATE_SIZE_PRIVATE | ANNOTATE_SIZE_SHARED},
	{"size.priv", ANNOTATE_SIZE_PRIVATE},
	{"size.shared", ANNOTATE_SIZE_SHARED},
};

/* ---- arguments ------------------------------------------------------------------------------------- */

struct span annotate_small(struct pool *pool, struct span text)
{
	char *out = pool_strndup(pool, text.ptr ? text.ptr : "", text.len);

	for (char *c = out; *c; c++)
		*c = (char)us_lower((unsigned char)*c);
	return span_make(out, text.len);
}

/* One word, or several in brackets. */
static struct token_list words(struct scan *s, struct pool *pool, bool patterns)
{
	struct span *one;

	if (scan_peek(s) == '(')
		return patterns ? token_pattern_list(s, pool) : token_astring_list(s, pool);
	one = pool_alloc(pool, sizeof(*one));
	*one = patterns ? token_list_mailbox(s, pool) : token_astring(s, pool);
	return (struct token_list){one, 1};
}

static int add_attribute(struct span word, unsigned *out)
{
	for (size_t i = 0; i < ARRAY_SIZE(attributes); i++)
		if (span_is_nocase(word, attributes[i].name)) {
			*out |= attributes[i].bits;
			return 0;
		}
	return -1;
}

int annotate_query_parse(struct scan *s, struct pool *pool, struct annotate_query *out,
			 struct us_err *err)
{
	struct annotate_query q = {.attributes = 0};
	struct token_list list;
	struct span *entry;

	if (!scan_skip(s, ' ') || !scan_skip(s, '('))
		return us_fail(err, US_EPROTO, "invalid Annotation");
	list = words(s, pool, /* patterns */ true);
	if (s->bad || !list.n)
		return us_fail(err, US_EPROTO, "Missing annotation entry");
	entry = pool_alloc(pool, us_mul_size(list.n, sizeof(*entry)));
	for (size_t i = 0; i < list.n; i++)
		entry[i] = annotate_small(pool, list.item[i]);
	q.entries = (struct token_list){entry, list.n};
	token_space(s);
	list = words(s, pool, /* patterns */ false);
	if (s->bad || !list.n || !scan_skip(s, ')'))
		return us_fail(err, US_EPROTO, "Missing annotation attribute(s)");
	for (size_t i = 0; i < list.n; i++)
		if (add_attribute(list.item[i], &q.attributes) < 0)
			return us_fail(err, US_EPROTO, "Invalid annotation attribute");
	*out = q;
	return 0;
}

/* entry = "/" component *("/" component), without wildcards (RFC 5257, 3.1) */
static bool is_entry(struct span entry)
{
	for (size_t i = 0; i < entry.len; i++) {
		unsigned char c = (unsigned char)entry.ptr[i];

		if (c < 0x20 || c >= 0x7f || c == '*' || c == '%' ||
		    (c == '/' && (i + 1 == entry.len || entry.ptr[i + 1] == '/')))
			return false;
	}
	return entry.len > 1 && entry.ptr[0] == '/';
}

static int take_value(struct scan *s, struct pool *pool, struct span entry, struct buf *all,
		      struct us_err *err)
{
	struct annotate_value one = {.entry = entry};
	struct span word = token_astring(s, pool);

	one.shared = span_is_nocase(word, "value.shared");
	if (!s->bad && !one.shared && !span_is_nocase(word, "value.priv"))
		return us_fail(err, US_EPROTO, "Invalid annotation attribute");
	token_space(s);
	one.value = token_value(s, pool);
	if (s->bad)
		return us_fail(err, US_EPROTO, "Missing annotation value");
	buf_add(all, &one, sizeof(one));
	return 0;
}

static int take_entry(struct scan *s, struct pool *pool, struct buf *all, struct us_err *err)
{
	struct span entry = annotate_small(pool, token_astring(s, pool));
	int rc = 0;

	if (s->bad)
		return us_fail(err, US_EPROTO, "Missing annotation entry");
	if (!is_entry(entry))
		return us_fail(err, US_EPROTO, "Invalid annotation entry");
	if (!scan_skip(s, ' ') || !scan_skip(s, '('))
		return us_fail(err, US_EPROTO, "Missing annotation attribute-values list");
	do
		rc = take_value(s, pool, entry, all, err);
	while (rc == 0 && scan_skip(s, ' '));
	if (rc == 0 && !scan_skip(s, ')'))
		rc = us_fail(err, US_EPROTO, "Missing annotation attribute-values list");
	return rc;
}

int annotate_values_parse(struct scan *s, struct pool *pool, struct annotate_values *out,
			  struct us_err *err)
{
	struct buf all = BUF_INIT;
	int rc = 0;

	if (!scan_skip(s, '('))
		return us_fail(err, US_EPROTO, "Missing annotation entry");
	do
		rc = take_entry(s, pool, &all, err);
	while (rc == 0 && scan_skip(s, ' '));
	if (rc == 0 && !scan_skip(s, ')'))
		rc = us_fail(err, US_EPROTO, "Missing annotation entry");
	if (rc == 0) {
		out->n = all.len / sizeof(struct annotate_value);
		out->item = pool_alloc(pool, all.len);
		memcpy(out->item, all.data, all.len);
	}
	buf_free(&all);
	return rc;
}

/* ---- reading --------------------------------------------------------------------------------------- */

static bool is_pattern(struct span entry)
{
	return span_find(entry, '*') || span_find(entry, '%');
}

/* The value of an entry, in the form that is in the array or as it is found. */
struct values {
	const struct state_annotation *own, *shared; /* NULL: none */
};

static void put_attribute(struct stream *out, const char **blank, const char *name, bool is_size,
			  const struct state_annotation *a)
{
	stream_printf(out, "%s%s ", *blank, name);
	if (is_size)
		stream_printf(out, "\"%zu\"", a ? a->value.len : 0);
	else
		reply_value(out, a ? a->value : SPAN_NULL);
	*blank = " ";
}

/* With `all`, also those that have no value. */
static void put_entry(struct stream *out, const char **blank, struct span entry, unsigned wanted,
		      const struct values *v, bool all)
{
	const unsigned private = ANNOTATE_VALUE_PRIVATE | ANNOTATE_SIZE_PRIVATE;
	const char *inner = "";

	if (!all && !v->own)
		wanted &= ~private;
	if (!all && !v->shared)
		wanted &= private;
	if (!wanted)
		return;
	stream_write_str(out, *blank);
	reply_astring(out, entry);
	stream_write_str(out, " (");
	if (wanted & ANNOTATE_VALUE_PRIVATE)
		put_attribute(out, &inner, "value.priv", false, v->own);
	if (wanted & ANNOTATE_SIZE_PRIVATE)
		put_attribute(out, &inner, "size.priv", true, v->own);
	if (wanted & ANNOTATE_VALUE_SHARED)
		put_attribute(out, &inner, "value.shared", false, v->shared);
	if (wanted & ANNOTATE_SIZE_SHARED)
		put_attribute(out, &inner, "size.shared", true, v->shared);
	stream_write_str(out, ")");
	*blank = " ";
}

/* What of `source`, from *i on, is of one entry; *i goes behind it. */
static struct values next_entry(const struct annotate_source *source, size_t *i, struct span *entry)
{
	struct values v = {NULL, NULL};

	*entry = source->item[*i].entry;
	for (; *i < source->n && span_eq(source->item[*i].entry, *entry); ++*i) {
		const struct state_annotation *a = &source->item[*i];

		if (!a->userid.len)
			v.shared = a;
		else if (span_eq(a->userid, source->userid))
			v.own = a;
	}
	return v;
}

/* Bits: asked for by its name, or by a pattern. */
enum asked { NOT_ASKED, BY_PATTERN, BY_NAME };

static enum asked is_asked(const struct annotate_query *query, struct span entry)
{
	enum asked asked = NOT_ASKED;

	for (size_t i = 0; i < query->entries.n; i++) {
		struct span pattern = query->entries.item[i];

		if (span_eq(pattern, entry))
			return BY_NAME;
		if (is_pattern(pattern) && listmatch_fits(pattern, entry, '/'))
			asked = BY_PATTERN;
	}
	return asked;
}

static bool has_entry(const struct annotate_source *source, struct span entry)
{
	for (size_t i = 0; i < source->n; i++)
		if (span_eq(source->item[i].entry, entry))
			return true;
	return false;
}

void annotate_put(struct stream *out, const struct annotate_query *query,
		  const struct annotate_source *source)
{
	const struct values none = {NULL, NULL};
	const char *blank = "";
	struct span entry;

	stream_write_str(out, "ANNOTATION (");
	for (size_t i = 0; i < source->n;) {
		struct values v = next_entry(source, &i, &entry);
		enum asked asked = is_asked(query, entry);

		if (asked != NOT_ASKED)
			put_entry(out, &blank, entry, query->attributes, &v, asked == BY_NAME);
	}
	for (size_t i = 0; i < query->entries.n; i++) {
		entry = query->entries.item[i];
		if (!is_pattern(entry) && !has_entry(source, entry))
			put_entry(out, &blank, entry, query->attributes, &none, true);
	}
	stream_write_str(out, ")");
}

void annotate_put_changed(struct stream *out, const struct annotate_source *source, uint64_t modseq)
{
	const char *blank = " ANNOTATION (";
	struct span last = SPAN_NULL;

	for (size_t i = 0; i < source->n; i++) {
		const struct state_annotation *a = &source->item[i];

		if (a->modseq <= modseq || span_eq(a->entry, last) ||
		    (a->userid.len && !span_eq(a->userid, source->userid)))
			continue;
		last = a->entry;
		stream_write_str(out, blank);
		reply_string(out, a->entry);
		blank = " ";
	}
	if (last.len)
		stream_write_str(out, ")");
}

static bool contains(struct span text, struct span part)
{
	for (size_t at = 0; at + part.len <= text.len; at++)
		if (span_eq_nocase(span_make(text.ptr + at, part.len), part))
			return true;
	return false;
}

bool annotate_contains(const struct annotate_source *source, struct span entry, unsigned wanted,
		       struct span text)
{
	struct token_list one = {&entry, 1};
	struct annotate_query query = {one, wanted};
	struct span found;

	for (size_t i = 0; i < source->n;) {
		struct values v = next_entry(source, &i, &found);

		if (is_asked(&query, found) == NOT_ASKED)
			continue;
		if ((wanted & ANNOTATE_VALUE_PRIVATE && v.own && contains(v.own->value, text)) ||
		    (wanted & ANNOTATE_VALUE_SHARED && v.shared && contains(v.shared->value, text)))
			return true;
	}
	return false;
}

/* ---- writing --------------------------------------------------------------------------------------- */

static bool is_settable(const struct imap_session *s, struct span entry)
{
	if (span_starts(entry, "/flags/"))
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(of_the_vendor); i++)
		if (span_is(entry, of_the_vendor[i]))
			return true;
	if (span_is(entry, "/comment") || span_is(entry, "/altsubject"))
		return true;
	return conf_bool(s->host->conf, CONF_annotation_allow_undefined) &&
	       !span_starts(entry, VENDOR);
}

int annotate_check(const struct imap_session *s, const struct annotate_values *values,
		   uint32_t rights, struct us_err *err)
{
	size_t longest = store_config(s->host->store)->limits.annotation_value;

	for (size_t i = 0; i < values->n; i++) {
		const struct annotate_value *v = &values->item[i];

		if (!is_settable(s, v->entry) ||
		    !(rights & (v->shared ? ACL_ANNOTATEMSG : ACL_READ)))
			return us_fail(err, US_EPERM, "no right to set %.*s", SPAN_ARG(v->entry));
		if (v->value.len > longest)
			return us_fail(err, US_ELIMIT, "a value of %zu bytes", v->value.len);
	}
	return 0;
}

static const struct state_annotation *find(const struct annotate_source *had, struct span entry,
					   struct span userid)
{
	for (size_t i = 0; i < had->n; i++)
		if (span_eq(had->item[i].entry, entry) && span_eq(had->item[i].userid, userid))
			return &had->item[i];
	return NULL;
}

static struct span user_of(const struct imap_session *s, const struct annotate_value *v)
{
	return v->shared ? SPAN_LIT("") : span_of(s->identity->user);
}

int64_t annotate_growth(const struct imap_session *s, const struct annotate_values *values,
			const struct annotate_source *had)
{
	int64_t sum = 0;

	for (size_t i = 0; i < values->n; i++) {
		const struct annotate_value *v = &values->item[i];
		const struct state_annotation *old = find(had, v->entry, user_of(s, v));

		sum += (int64_t)v->value.len - (old ? (int64_t)old->value.len : 0);
	}
	return sum;
}

int annotate_message(const struct imap_session *s, struct commit *c,
		     const struct annotate_source *had, uint32_t uid,
		     const struct annotate_values *values, struct us_err *err)
{
	size_t most = (size_t)conf_int(s->host->conf, CONF_annotation_count_max), more = 0;
	int rc = 0;

	for (size_t i = 0; i < values->n; i++) {
		const struct annotate_value *v = &values->item[i];

		more += v->value.ptr && !find(had, v->entry, user_of(s, v));
	}
	if (more && had->n + more > most)
		return us_fail(err, US_ELIMIT, "%zu annotations", had->n + more);
	for (size_t i = 0; rc == 0 && i < values->n; i++) {
		const struct annotate_value *v = &values->item[i];

		rc = commit_annotate(c, uid, v->entry, user_of(s, v), v->value, commit_modseq(c),
				     err);
	}
	return rc;
}
