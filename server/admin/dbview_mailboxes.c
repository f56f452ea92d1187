/* dbview_mailboxes.c - mailboxes.db: every mailbox by its uniqueid (I), then by its name (N).
 *
 *	N<name>		%(T type I uniqueid P partition S server V uidvalidity C createdmodseq F foldermodseq
 *			  M mtime A %(identifier rights ...))
 *	I<uniqueid>	the same with N name for I, and H (%(N former name) ...), the newest first
 *
 * Names are in the form of keys, as everywhere in that file: 0x1F between parts, "." for our "^".
 */
#include "server/admin/dbview_private.h"

#include <stdlib.h>
#include <string.h>

#include "server/admin/mboxlist.h"
#include "server/base/dlist.h"
#include "server/base/mem.h"
#include "server/store/acl.h"
#include "server/store/folder.h"
#include "server/store/mailbox.h"
#include "server/store/mboxname.h"

/* ---- writing ------------------------------------------------------------------------------------ */

static bool is_plain(struct span s)
{
	for (size_t i = 0; i < s.len; i++)
		if ((unsigned char)s.ptr[i] < 0x1f || (unsigned char)s.ptr[i] >= 0x7f ||
		    strchr(" \"\\()%{", s.ptr[i]))
			return false;
	return s.len > 0;
}

/* Cyrus writes 0x1F bare; our writer would quote it. */
static void put(struct buf *out, const char *key, struct span value)
{
	struct dlist_writer w = dlist_writer(out, true);

	buf_printf(out, "%s%s ", out->data[out->len - 1] == '(' ? "" : " ", key);
	if (is_plain(value))
		buf_add_span(out, value);
	else
		dlist_put_str(&w, value);
}

static void put_if(struct buf *out, const char *key, struct span value)
{
	if (value.len)
		put(out, key, value);
}

static void put_number(struct buf *out, const char *key, uint64_t n)
{
	buf_printf(out, " %s %llu", key, (unsigned long long)n);
}

static void put_name(struct buf *out, const char *key, struct span name)
{
	struct buf text = BUF_INIT;

	dbview_name_out(name, &text);
	put(out, key, buf_span(&text));
	buf_free(&text);
}

static void put_acl(struct buf *out, struct span acl)
{
	struct span identifier, rights;

	if (!acl.len)
		return;
	buf_add_str(out, " A %(");
	while (acl_next(&acl, &identifier, &rights)) {
		char *key = span_dup(identifier);
		put(out, key, rights);
		free(key);
	}
	buf_add_char(out, ')');
}

static void put_history(struct buf *out, const struct mailbox_row *row)
{
	buf_add_str(out, " H (");
	for (size_t i = row->n_former; i > 0; i--) {
		buf_add_str(out, i == row->n_former ? "%(" : " %(");
		put_name(out, "N", row->former[i - 1]);
		buf_add_char(out, ')');
	}
	buf_add_char(out, ')');
}

/* name empty: the value of an N key; else of an I key. */
static void format_row(struct span name, const struct mailbox_row *row, struct buf *out)
{
	buf_add_str(out, "%(");
	put(out, "T", row->type.len ? row->type : SPAN_LIT("e"));
	if (name.len)
		put_name(out, "N", name);
	else
		put_if(out, "I", row->uniqueid);
	put_if(out, "P", row->partition);
	put_if(out, "S", row->server);
	put_number(out, "V", row->uidvalidity);
	put_number(out, "C", row->createdmodseq);
	put_number(out, "F", row->foldermodseq);
	put_number(out, "M", (uint64_t)(row->mtime > 0 ? row->mtime : 0));
	put_acl(out, row->acl);
	if (name.len)
		put_history(out, row);
	buf_add_char(out, ')');
}

/* ---- looking ------------------------------------------------------------------------------------- */

struct telling {
	struct dbview *view;
	dbview_fn *fn;
	void *ctx;
	struct us_err *err;
};

static int tell(struct telling *t, char kind, struct span name, const struct mailbox_row *row,
		struct us_err *err)
{
	struct buf key = BUF_INIT, value = BUF_INIT;
	int rc;

	buf_add_char(&key, kind);
	if (kind == 'I')
		buf_add_span(&key, row->uniqueid);
	else
		dbview_name_out(name, &key);
	format_row(kind == 'I' ? name : SPAN_NULL, row, &value);
	rc = t->fn(t->ctx, buf_span(&key), buf_span(&value), err);
	buf_free(&key);
	buf_free(&value);
	return rc;
}

static int tell_named(void *ctx, struct span name, const struct mailbox_row *row,
		      struct us_err *err)
{
	return tell(ctx, 'N', name, row, err);
}

static int tell_uniqueid(void *ctx, struct span key UNUSED, struct span payload,
			 const struct meta_stamp *stamp UNUSED)
{
	struct telling *t = ctx;
	struct mailbox_row row;
	int rc;

	pool_clear(t->view->pool);
	rc = mailbox_row_get(t->view->store, payload, t->view->pool, &row, NULL, NULL, t->err);
	return rc > 0 ? tell(t, 'I', payload, &row, t->err) : rc;
}

static int each(struct dbview *view, struct span prefix, dbview_fn *fn, void *ctx,
		struct us_err *err)
{
	struct telling t = {view, fn, ctx, err};
	struct span rest = prefix.len ? span_from(prefix, 1) : prefix;
	int rc = 0;

	if (!prefix.len || prefix.ptr[0] == 'I')
		rc = meta_range_prefix(store_meta(view->store), META_BY_UNIQUEID, rest, 0,
				       tell_uniqueid, &t, err);
	if (rc == 0 && (!prefix.len || prefix.ptr[0] == 'N'))
		rc = mboxlist_each(view->store, /* dead */ true, tell_named, &t, err);
	return rc;
}

static int get(struct dbview *view, struct span key, struct buf *value, struct us_err *err)
{
	struct buf name = BUF_INIT;
	struct mailbox_row row;
	int rc = 0;

	if (key.len > 1 && key.ptr[0] == 'I') {
		rc = mailbox_name_of_uniqueid(view->store, span_from(key, 1), &name, err);
	} else if (key.len > 1 && key.ptr[0] == 'N') {
		dbview_name_in(span_from(key, 1), &name);
		rc = 1;
	}
	if (rc > 0)
		rc = mboxlist_get(view->store, buf_span(&name), view->pool, &row, err);
	if (rc > 0)
		format_row(key.ptr[0] == 'I' ? buf_span(&name) : SPAN_NULL, &row, value);
	buf_free(&name);
	return rc;
}

/* ---- changing ------------------------------------------------------------------------------------ */

static void read_acl(const struct dlist *kv, struct buf *acl)
{
	const struct dlist *entries = dlist_get_kv(kv, "A");

	for (const struct dlist *d = entries ? entries->first : NULL; d; d = d->next) {
		if (d->kind == DLIST_TEXT)
			buf_printf(acl, "%.*s\t%.*s\t", SPAN_ARG(d->key), SPAN_ARG(d->text));
	}
}

static int set(struct dbview *view, struct span key, struct span value, struct us_err *err)
{
	struct buf name = BUF_INIT, acl = BUF_INIT;
	struct mailbox_row row = {0};
	struct dlist *kv;
	uint64_t mtime = 0;
	int rc;

	if (key.len < 2 || key.ptr[0] != 'N')
		return us_fail(err, US_ENOTSUP, "only names can be set, uniqueids follow");
	rc = dlist_parse(value, view->pool, &kv, err);
	if (rc < 0)
		return us_fail(err, US_EINVAL, "the value is no list of keys and values");
	(void)dlist_get_str(kv, "T", &row.type); /* what is absent is not said */
	(void)dlist_get_str(kv, "I", &row.uniqueid);
	(void)dlist_get_str(kv, "P", &row.partition);
	(void)dlist_get_str(kv, "S", &row.server);
	(void)dlist_get_u32(kv, "V", &row.uidvalidity);
	(void)dlist_get_u64(kv, "C", &row.createdmodseq);
	(void)dlist_get_u64(kv, "F", &row.foldermodseq);
	(void)dlist_get_u64(kv, "M", &mtime);
	row.mtime = (int64_t)mtime;
	read_acl(kv, &acl);
	row.acl = buf_span(&acl);
	dbview_name_in(span_from(key, 1), &name);
	rc = mboxlist_put(view->store, buf_span(&name), &row, err);
	buf_free(&name);
	buf_free(&acl);
	return rc;
}

static int del(struct dbview *view, struct span key, struct us_err *err)
{
	struct buf name = BUF_INIT;
	int rc;

	if (key.len < 2 || key.ptr[0] != 'N')
		return us_fail(err, US_ENOTSUP, "only names can be deleted, uniqueids follow");
	dbview_name_in(span_from(key, 1), &name);
	rc = folder_delete(view->store, buf_span(&name), FOLDER_DELETE_TRASH, err);
	buf_free(&name);
	return rc == US_ENOENT ? 0 : rc;
}

const struct dbview_kind dbview_mailboxes = {each, get, set, del, META_MAILBOXES};
