/* dbview.c - see dbview.h: which database a path means, and what is alike for all of them. */
#include "server/admin/dbview.h"

#include <stdlib.h>
#include <string.h>

#include "server/admin/dbview_private.h"
#include "server/base/mem.h"
#include "server/store/folder.h"
#include "server/store/mailbox.h"
#include "server/store/mboxname.h"

/* ---- names in keys ----------------------------------------------------------------------------- */

void dbview_name_out(struct span name, struct buf *out)
{
	size_t from = out->len;

	mboxname_to_key(name, out);
	for (size_t i = from; i < out->len; i++)
		if (out->data[i] == '^')
			out->data[i] = '.';
}

void dbview_name_in(struct span key, struct buf *name)
{
	char *copy = span_dup(key);

	for (size_t i = 0; i < key.len; i++)
		if (copy[i] == '.')
			copy[i] = '^';
	mboxname_from_key(span_make(copy, key.len), name);
	free(copy);
}

/* ---- rows as they are --------------------------------------------------------------------------- */

struct raw {
	dbview_fn *fn;
	void *ctx;
	struct us_err *err;
};

static int tell_raw(void *ctx, struct span key, struct span payload,
		    const struct meta_stamp *stamp UNUSED)
{
	struct raw *r = ctx;

	return r->fn(r->ctx, key, payload, r->err);
}

static int raw_each(struct dbview *view, struct span prefix, dbview_fn *fn, void *ctx,
		    struct us_err *err)
{
	struct raw r = {fn, ctx, err};

	return meta_range_prefix(store_meta(view->store), view->kind->table, prefix, 0, tell_raw,
				 &r, err);
}

struct dumping {
	struct raw out;
	const char *table;
};

static int dump_row(void *ctx, struct span key, struct span payload, const struct meta_stamp *stamp)
{
	struct dumping *d = ctx;
	struct buf line = BUF_INIT;
	int rc;

	buf_printf(&line, "%s ", d->table);
	for (size_t i = 0; i < key.len; i++)
		if ((unsigned char)key.ptr[i] > ' ' && (unsigned char)key.ptr[i] < 0x7f)
			buf_add_char(&line, key.ptr[i]);
		else
			buf_printf(&line, "%%%02x", (unsigned char)key.ptr[i]);
	buf_printf(&line, " %llu %016llx %llu ", (unsigned long long)stamp->version,
		   (unsigned long long)stamp->nonce, (unsigned long long)stamp->serial);
	buf_add_span(&line, payload);
	rc = d->out.fn(d->out.ctx, buf_span(&line), SPAN_NULL, d->out.err);
	buf_free(&line);
	return rc;
}

int dbview_dump(struct dbview *view, dbview_fn *fn, void *ctx, struct us_err *err)
{
	struct dumping d = {{fn, ctx, err}, meta_table_name(view->kind->table)};

	return meta_range(store_meta(view->store), view->kind->table, SPAN_NULL, SPAN_NULL, 0,
			  dump_row, &d, err);
}

/* ---- whose ------------------------------------------------------------------------------------- */

static struct span last_part(struct span path)
{
	for (size_t i = path.len; i > 0; i--)
		if (path.ptr[i - 1] == '/')
			return span_from(path, i);
	return path;
}

static bool cut_suffix(struct span *s, const char *suffix)
{
	size_t n = strlen(suffix);

	if (s->len < n || memcmp(s->ptr + s->len - n, suffix, n) != 0)
		return false;
	s->len -= n;
	return true;
}

struct by_storeid {
	struct storeid id;
	struct buf *name;
};

static int has_storeid(void *ctx, struct span name, const struct mailbox_row *row,
		       struct us_err *err UNUSED)
{
	struct by_storeid *b = ctx;

	if (!row->has_storeid || storeid_cmp(&row->storeid, &b->id) != 0)
		return 0;
	buf_add_span(b->name, name);
	return 1;
}

/* A directory of a user is named by the uniqueid (a Cyrus's) or the store id (ours) of his INBOX. */
static int user_of_directory(struct dbview *view, const struct host *host, struct span directory,
			     struct us_err *err)
{
	struct buf name = BUF_INIT;
	struct by_storeid by = {.name = &name};
	int rc;

	if (storeid_parse(directory, &by.id))
		rc = folder_list(view->store, SPAN_NULL, has_storeid, &by, err);
	else
		rc = mailbox_name_of_uniqueid(view->store, directory, &name, err);
	if (rc > 0)
		rc = mboxname_owner(buf_span(&name), host->names.deletedprefix, &view->userid);
	buf_free(&name);
	return rc;
}

/* ".../user/b/bob^smith.sub", ".../domain/d/dom.example/user/b/bob.sub": a dot in the name is written "^". */
static void user_of_file(struct dbview *view, struct span path, struct span stem)
{
	const char *domain = memmem(path.ptr, path.len, "/domain/", 8);
	struct span rest, part = SPAN_NULL;

	for (size_t i = 0; i < stem.len; i++)
		buf_add_char(&view->userid, stem.ptr[i] == '^' ? '.' : stem.ptr[i]);
	if (!domain)
		return;
	rest = span_from(path, (size_t)(domain + 8 - path.ptr));
	(void)span_split(&rest, '/', &part); /* the hash */
	if (span_split(&rest, '/', &part) && part.len) {
		buf_add_char(&view->userid, '@');
		buf_add_span(&view->userid, part);
	}
}

/* ---- which -------------------------------------------------------------------------------------- */

static const struct dbview_kind *server_kind(struct span file)
{
	static const struct {
		const char *file;
		const struct dbview_kind *kind;
	} kinds[] = {
		{"mailboxes.db", &dbview_mailboxes}, {"annotations.db", &dbview_annotations},
		{"deliver.db", &dbview_deliver},     {"quota", &dbview_quota},
		{"quotas.db", &dbview_quota},
	};

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (span_is(file, kinds[i].file))
			return kinds[i].kind;
	return NULL;
}

static bool find_table(struct dbview *view, struct span file)
{
	for (unsigned i = 0; i < META_N_TABLES; i++)
		if (span_is(file, meta_table_name((enum meta_table)i))) {
			view->raw =
				(struct dbview_kind){.each = raw_each, .table = (enum meta_table)i};
			view->kind = &view->raw;
			return true;
		}
	return false;
}

static int find_user_kind(struct dbview *view, const struct host *host, struct span path,
			  struct us_err *err)
{
	struct span file = last_part(path), stem = file, directory = path;

	if (span_is(file, "sub.db") || span_is(file, "seen.db")) {
		view->kind = span_is(file, "sub.db") ? &dbview_sub2 : &dbview_seen;
		directory.len -= file.len < path.len ? file.len + 1 : file.len;
		return user_of_directory(view, host, last_part(directory), err);
	}
	if (cut_suffix(&stem, ".sub"))
		view->kind = &dbview_sub;
	else if (cut_suffix(&stem, ".seen"))
		view->kind = &dbview_seen;
	if (!view->kind || !stem.len)
		return 0;
	user_of_file(view, path, stem);
	return 1;
}

int dbview_open(const struct host *host, const char *path, struct dbview **out, struct us_err *err)
{
	struct dbview *view = us_calloc(1, sizeof(*view));
	struct span whole = span_of(path);
	int rc = 1;

	view->store = host->store;
	view->pool = pool_new();
	buf_init(&view->userid, 0);
	while (whole.len > 1 && whole.ptr[whole.len - 1] == '/')
		whole.len--;
	view->kind = server_kind(last_part(whole));
	if (!view->kind && !find_table(view, last_part(whole)))
		rc = find_user_kind(view, host, whole, err);
	if (rc == 0)
		rc = us_fail(err, US_ENOENT,
			     "can't open database %s: metad(8) has nothing of that name", path);
	if (rc < 0)
		dbview_close(&view);
	else
		*out = view;
	return rc < 0 ? rc : 0;
}

void dbview_close(struct dbview **view)
{
	if (!*view)
		return;
	buf_free(&(*view)->userid);
	pool_free(&(*view)->pool);
	free(*view);
	*view = NULL;
}

/* ---- entries ------------------------------------------------------------------------------------ */

struct filter {
	struct dbview *view;
	struct span prefix;
	dbview_fn *fn;
	void *ctx;
};

static int pass_filter(void *ctx, struct span key, struct span value, struct us_err *err)
{
	struct filter *f = ctx;

	if (key.len < f->prefix.len || memcmp(key.ptr, f->prefix.ptr, f->prefix.len) != 0)
		return 0;
	return f->fn(f->ctx, key, value, err);
}

int dbview_each(struct dbview *view, struct span prefix, dbview_fn *fn, void *ctx,
		struct us_err *err)
{
	struct filter f = {view, prefix.len ? prefix : SPAN_LIT(""), fn, ctx};

	return view->kind->each(view, prefix, pass_filter, &f, err);
}

struct search {
	struct span key;
	struct buf *value;
};

static int found(void *ctx, struct span key, struct span value, struct us_err *err UNUSED)
{
	struct search *s = ctx;

	if (!span_eq(key, s->key))
		return 0;
	buf_add_span(s->value, value);
	return 1;
}

int dbview_get(struct dbview *view, struct span key, struct buf *value, struct us_err *err)
{
	struct search s = {key, value};

	pool_clear(view->pool);
	return view->kind->get ? view->kind->get(view, key, value, err)
			       : dbview_each(view, key, found, &s, err);
}

static int by_hand(struct us_err *err)
{
	return us_fail(err, US_ENOTSUP, "this database cannot be changed by hand");
}

int dbview_set(struct dbview *view, struct span key, struct span value, struct us_err *err)
{
	pool_clear(view->pool);
	return view->kind->set ? view->kind->set(view, key, value, err) : by_hand(err);
}

int dbview_del(struct dbview *view, struct span key, struct us_err *err)
{
	pool_clear(view->pool);
	return view->kind->del ? view->kind->del(view, key, err) : by_hand(err);
}
