/* cmd_metadata.c - GETMETADATA and SETMETADATA (RFC 5464).
 *
 *	getmetadata	= "GETMETADATA" [SP options] SP mailbox [SP options] SP entries	the RFC has them in both places
 *	options		= "(" option *(SP option) ")"
 *	option		= "MAXSIZE" SP number / "DEPTH" SP ("0" / "1" / "infinity")
 *	entries		= entry / "(" entry *(SP entry) ")"
 *	setmetadata	= "SETMETADATA" SP mailbox SP "(" entry SP value *(SP entry SP value) ")"
 *	value		= nstring / literal8
 *
 * An entry that was asked for by its very name and has no value is told as NIL; of those found below one, only what there is.
 */
#include <string.h>

#include "server/base/mem.h"
#include "server/imap/metadata.h"
#include "server/imap/reply.h"
#include "server/imap/session.h"
#include "server/imap/token.h"

/* ---- arguments ------------------------------------------------------------------------------------- */

static int take_entry(struct parse *p, struct metadata_name *out, struct us_err *err)
{
	struct span text = token_astring(&p->s, p->pool);

	if (p->s.bad)
		return us_fail(err, US_EPROTO, "Missing metadata entry");
	return metadata_name_parse(text, p->pool, out, err);
}

static int take_depth(struct parse *p, struct args_getmetadata *a)
{
	static const char *const words[] = {"0", "1", "infinity"};
	struct span word = token_atom(&p->s);

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (span_is_nocase(word, words[i])) {
			a->depth = (enum metadata_depth)i;
			return 0;
		}
	return -1;
}

/* Behind the "(". */
static int take_options(struct parse *p, struct args_getmetadata *a, struct us_err *err)
{
	do {
		struct span word = token_atom(&p->s);

		token_space(&p->s);
		if (span_is_nocase(word, "MAXSIZE")) {
			a->has_maxsize = true;
			a->maxsize = token_number(&p->s);
		} else if (!span_is_nocase(word, "DEPTH") || take_depth(p, a) < 0) {
			scan_fail(&p->s);
		}
	} while (!p->s.bad && scan_skip(&p->s, ' '));
	scan_expect(&p->s, ')');
	return p->s.bad ? us_fail(err, US_EPROTO, "Invalid option in Getmetadata") : 0;
}

static int take_entries(struct parse *p, bool in_brackets, struct args_getmetadata *a,
			struct us_err *err)
{
	struct buf all = BUF_INIT;
	int rc = 0;

	do {
		struct metadata_name one;

		rc = take_entry(p, &one, err);
		if (rc == 0)
			buf_add(&all, &one, sizeof(one));
	} while (rc == 0 && in_brackets && scan_skip(&p->s, ' '));
	if (rc == 0 && in_brackets && !scan_skip(&p->s, ')'))
		rc = us_fail(err, US_EPROTO, "Missing metadata entry");
	a->n = all.len / sizeof(struct metadata_name);
	a->names = pool_alloc(p->pool, all.len ? all.len : 1);
	memcpy(a->names, all.data, all.len);
	buf_free(&all);
	return rc;
}

static bool at_options(const struct parse *p)
{
	struct scan ahead = p->s;

	return scan_skip_str(&ahead, "MAXSIZE") || scan_skip_str(&ahead, "DEPTH");
}

int parse_getmetadata(struct parse *p, void **args, struct us_err *err)
{
	struct args_getmetadata *a = pool_alloc(p->pool, sizeof(*a));
	bool in_brackets;
	int rc = 0;

	token_space(&p->s);
	if (scan_skip(&p->s, '(')) {
		rc = take_options(p, a, err);
		token_space(&p->s);
	}
	if (rc == 0)
		a->mailbox = token_astring(&p->s, p->pool);
	token_space(&p->s);
	in_brackets = !p->s.bad && scan_skip(&p->s, '(');
	if (rc == 0 && in_brackets && at_options(p)) {
		rc = take_options(p, a, err);
		token_space(&p->s);
		in_brackets = !p->s.bad && scan_skip(&p->s, '(');
	}
	if (rc == 0 && p->s.bad)
		return parse_missing(p, err);
	if (rc == 0)
		rc = take_entries(p, in_brackets, a, err);
	if (rc == 0)
		rc = parse_end(p, err);
	if (rc == 0)
		*args = a;
	return rc;
}

static int take_items(struct parse *p, struct args_setmetadata *a, struct us_err *err)
{
	struct buf all = BUF_INIT;
	int rc;

	do {
		struct metadata_item one = {.value = SPAN_NULL};

		rc = take_entry(p, &one.at, err);
		if (rc == 0 && !one.at.name.len)
			rc = us_fail(err, US_EPROTO, "Invalid metadata entry");
		token_space(&p->s);
		if (rc == 0)
			one.value = token_value(&p->s, p->pool);
		if (rc == 0 && p->s.bad)
			rc = us_fail(err, US_EPROTO, "Missing metadata value");
		if (rc == 0)
			buf_add(&all, &one, sizeof(one));
	} while (rc == 0 && scan_skip(&p->s, ' '));
	if (rc == 0 && !scan_skip(&p->s, ')'))
		rc = us_fail(err, US_EPROTO, "Missing metadata entry");
	a->n = all.len / sizeof(struct metadata_item);
	a->items = pool_alloc(p->pool, all.len ? all.len : 1);
	memcpy(a->items, all.data, all.len);
	buf_free(&all);
	return rc;
}

int parse_setmetadata(struct parse *p, void **args, struct us_err *err)
{
	struct args_setmetadata *a = pool_alloc(p->pool, sizeof(*a));
	int rc;

	token_space(&p->s);
	a->mailbox = token_astring(&p->s, p->pool);
	token_space(&p->s);
	if (p->s.bad)
		return parse_missing(p, err);
	if (!scan_skip(&p->s, '('))
		return us_fail(err, US_EPROTO, "Missing metadata entry list");
	rc = take_items(p, a, err);
	if (rc == 0)
		rc = parse_end(p, err);
	if (rc == 0)
		*args = a;
	return rc;
}

/* ---- reading --------------------------------------------------------------------------------------- */

struct telling {
	struct imap_session *s;
	const struct args_getmetadata *a;
	struct metadata_item *items; /* with a value; what was told has none any more */
	size_t n;
	bool begun;
	size_t longest; /* of those left out because of MAXSIZE */
};

static void tell(struct telling *t, const struct metadata_name *at, struct span value)
{
	struct buf entry = BUF_INIT;

	if (t->begun) {
		stream_write_str(t->s->out, " ");
	} else {
		stream_write_str(t->s->out, "* METADATA ");
		reply_astring(t->s->out, t->a->mailbox);
		stream_write_str(t->s->out, " (");
	}
	t->begun = true;
	buf_printf(&entry, "/%s%.*s", at->shared ? "shared" : "private", SPAN_ARG(at->name));
	reply_string(t->s->out, buf_span(&entry));
	buf_free(&entry);
	stream_write_str(t->s->out, " ");
	reply_value(t->s->out, value);
}

/* Is `name` the one that was asked for, or as far below it as was asked for? */
static bool is_asked(const struct args_getmetadata *a, const struct metadata_name *asked,
		     const struct metadata_name *at)
{
	struct span below;

	if (asked->shared != at->shared || at->name.len < asked->name.len ||
	    !span_eq(span_make(at->name.ptr, asked->name.len), asked->name))
		return false;
	below = span_from(at->name, asked->name.len);
	if (!below.len)
		return true;
	if (a->depth == METADATA_ITSELF || below.ptr[0] != '/')
		return false;
	return a->depth == METADATA_ALL || !span_find(span_from(below, 1), '/');
}

static void tell_asked(struct telling *t, const struct metadata_name *asked)
{
	bool found = false;

	for (size_t i = 0; i < t->n; i++) {
		struct metadata_item *item = &t->items[i];

		if (!is_asked(t->a, asked, &item->at))
			continue;
		found |= span_eq(item->at.name, asked->name);
		if (!item->value.ptr)
			continue; /* told already */
		if (t->a->has_maxsize && item->value.len > t->a->maxsize)
			t->longest = item->value.len > t->longest ? item->value.len : t->longest;
		else
			tell(t, &item->at, item->value);
		item->value = SPAN_NULL;
	}
	if (!found && asked->name.len)
		tell(t, asked, SPAN_NULL);
}

int run_getmetadata(struct imap_session *s, const void *args, struct us_err *err)
{
	const struct args_getmetadata *a = args;
	struct telling t = {.s = s, .a = a};
	struct metadata_place place;
	int rc = metadata_open(s, a->mailbox, &place, err);

	if (rc == 0)
		rc = metadata_list(s, &place, &t.items, &t.n, err);
	if (rc < 0)
		return rc;
	for (size_t i = 0; i < a->n; i++)
		tell_asked(&t, &a->names[i]);
	if (t.begun)
		stream_write_str(s->out, ")\r\n");
	return t.longest ? imap_ok(s, "[METADATA LONGENTRIES %zu] Completed", t.longest) : 0;
}

/* ---- writing --------------------------------------------------------------------------------------- */

int run_setmetadata(struct imap_session *s, const void *args, struct us_err *err)
{
	const struct args_setmetadata *a = args;
	struct metadata_place place;
	int rc = metadata_open(s, a->mailbox, &place, err);

	for (size_t i = 0; rc == 0 && i < a->n; i++) {
		size_t longest = metadata_longest(s, &place, &a->items[i].at);

		if (a->items[i].value.len > longest)
			return imap_no(s, "[METADATA MAXSIZE %zu] Annotation value is too long",
				       longest);
	}
	if (rc == 0)
		rc = metadata_set(s, &place, a->items, a->n, err);
	switch (rc) {
	case US_EINVAL:
		return imap_no(s, "Invalid annotation value");
	case US_EEXIST:
		return imap_no(s, "[USEATTR] SPECIAL-USE flag conflict");
	case US_ELIMIT:
		return imap_no(s, "[METADATA TOOMANY] Too many annotations");
	default:
		return rc;
	}
}
