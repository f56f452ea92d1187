/* dlist.c - looking into trees and writing them; see dlist.h. */
#include "server/base/dlist.h"

#include <inttypes.h>
#include <string.h>

#include "server/base/mem.h"

const struct dlist *dlist_get(const struct dlist *kv, const char *key)
{
	if (!kv || kv->kind != DLIST_KVLIST)
		return NULL;
	for (const struct dlist *d = kv->first; d; d = d->next)
		if (span_is(d->key, key))
			return d;
	return NULL;
}

bool dlist_get_str(const struct dlist *kv, const char *key, struct span *out)
{
	const struct dlist *d = dlist_get(kv, key);

	if (!d || (d->kind != DLIST_TEXT && d->kind != DLIST_FLAG))
		return false;
	*out = d->text;
	return true;
}

bool dlist_u64(const struct dlist *d, uint64_t *out)
{
	return d && d->kind == DLIST_TEXT && span_u64(d->text, UINT64_MAX, out);
}

bool dlist_get_u64(const struct dlist *kv, const char *key, uint64_t *out)
{
	return dlist_u64(dlist_get(kv, key), out);
}

bool dlist_get_u32(const struct dlist *kv, const char *key, uint32_t *out)
{
	uint64_t n;

	if (!dlist_get_u64(kv, key, &n) || n > UINT32_MAX)
		return false;
	*out = (uint32_t)n;
	return true;
}

bool dlist_get_guid(const struct dlist *kv, const char *key, struct guid *out)
{
	struct span s;

	return dlist_get_str(kv, key, &s) && guid_parse(s, out);
}

static const struct dlist *get_kind(const struct dlist *kv, const char *key, enum dlist_kind kind)
{
	const struct dlist *d = dlist_get(kv, key);

	return d && d->kind == kind ? d : NULL;
}

const struct dlist *dlist_get_list(const struct dlist *kv, const char *key)
{
	return get_kind(kv, key, DLIST_LIST);
}

const struct dlist *dlist_get_kv(const struct dlist *kv, const char *key)
{
	return get_kind(kv, key, DLIST_KVLIST);
}

/* ---- writing ---------------------------------------------------------------------------------- */

#define SHORT_STRING 1024 /* atoms and quoted strings are shorter than this */

struct dlist_writer dlist_writer(struct buf *out, bool literal_plus)
{
	return (struct dlist_writer){out, literal_plus, true};
}

static void separate(struct dlist_writer *w)
{
	if (!w->opened)
		buf_add_char(w->out, ' ');
	w->opened = false;
}

void dlist_put_list(struct dlist_writer *w)
{
	separate(w);
	buf_add_char(w->out, '(');
	w->opened = true;
}

void dlist_put_kvlist(struct dlist_writer *w)
{
	separate(w);
	buf_add_str(w->out, "%(");
	w->opened = true;
}

void dlist_put_close(struct dlist_writer *w)
{
	buf_add_char(w->out, ')');
	w->opened = false;
}

enum form { FORM_ATOM, FORM_QUOTED, FORM_LITERAL };

static enum form form_of(struct span s)
{
	enum form form = s.len == 0 || span_is(s, "NIL") ? FORM_QUOTED : FORM_ATOM;

	if (s.len >= SHORT_STRING)
		return FORM_LITERAL;
	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.ptr[i];
		if (c == 0 || c == '\r' || c == '\n' || c == '"' || c == '%' || c == '\\' ||
		    c > 0x7f)
			return FORM_LITERAL;
		if (c <= ' ' || c == 0x7f || c == '{' || c == '(' || c == ')' || c == '*')
			form = FORM_QUOTED;
	}
	return form;
}

void dlist_put_str(struct dlist_writer *w, struct span s)
{
	separate(w);
	if (!s.ptr) {
		buf_add_str(w->out, "NIL");
		return;
	}
	switch (form_of(s)) {
	case FORM_ATOM:
		buf_add_span(w->out, s);
		break;
	case FORM_QUOTED:
		buf_add_char(w->out, '"');
		buf_add_span(w->out, s);
		buf_add_char(w->out, '"');
		break;
	case FORM_LITERAL:
		buf_printf(w->out, "{%zu%s}\r\n", s.len, w->literal_plus ? "+" : "");
		buf_add_span(w->out, s);
		break;
	}
}

void dlist_put_key(struct dlist_writer *w, const char *key)
{
	dlist_put_str(w, span_of(key));
}

void dlist_put_u64(struct dlist_writer *w, uint64_t n)
{
	separate(w);
	buf_add_u64(w->out, n);
}

void dlist_put_guid(struct dlist_writer *w, const struct guid *guid)
{
	separate(w);
	buf_add_hex(w->out, guid->byte, GUID_SIZE);
}

void dlist_put_flag(struct dlist_writer *w, struct span flag)
{
	separate(w);
	buf_add_span(w->out, flag);
}

void dlist_put_file(struct dlist_writer *w, struct span partition, const struct guid *guid,
		    uint64_t size)
{
	char hex[GUID_HEX];

	separate(w);
	guid_format(guid, hex);
	buf_printf(w->out, "%%{%.*s %s %" PRIu64 "}\r\n", SPAN_ARG(partition), hex, size);
}

void dlist_put_kstr(struct dlist_writer *w, const char *key, struct span s)
{
	dlist_put_key(w, key);
	dlist_put_str(w, s);
}

void dlist_put_ku64(struct dlist_writer *w, const char *key, uint64_t n)
{
	dlist_put_key(w, key);
	dlist_put_u64(w, n);
}

void dlist_put_tree(struct dlist_writer *w, const struct dlist *d)
{
	switch (d->kind) {
	case DLIST_NIL:
		dlist_put_str(w, SPAN_NULL);
		break;
	case DLIST_TEXT:
		dlist_put_str(w, d->text);
		break;
	case DLIST_FLAG:
		dlist_put_flag(w, d->text);
		break;
	case DLIST_FILE:
		dlist_put_file(w, d->text, &d->guid, d->bytes.len);
		buf_add_span(w->out, d->bytes);
		break;
	case DLIST_LIST:
	case DLIST_KVLIST:
		d->kind == DLIST_LIST ? dlist_put_list(w) : dlist_put_kvlist(w);
		for (const struct dlist *child = d->first; child; child = child->next) {
			if (d->kind == DLIST_KVLIST)
				dlist_put_str(w, child->key);
			dlist_put_tree(w, child);
		}
		dlist_put_close(w);
		break;
	}
}
