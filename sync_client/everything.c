/* everything.c - compare all there is: what -A does, and what a channel owes that may have missed something.
 *
 * Users who are here, users a tombstone knows, shared mailboxes, tombstones of those, quota roots, server annotations.
 * What only the replica has and no tombstone here explains is left alone.
 */
#include <stdlib.h>
#include <string.h>

#include "server/base/log.h"
#include "server/base/mem.h"
#include "server/store/folder.h"
#include "server/store/mboxname.h"
#include "server/store/quota.h"
#include "server/store/userdata.h"
#include "synclog/record.h"
#include "sync_client/sync_private.h"

struct list {
	struct pool *pool;
	struct span *items;
	size_t n, cap;
};

static void add(struct list *l, struct span s)
{
	us_grow(&l->items, l->n, &l->cap, sizeof(l->items[0]));
	l->items[l->n++] = pool_span(l->pool, s);
}

struct walk {
	struct sync *s;
	struct span prefix;
	struct pool *pool;
	struct list users, gone_users, mailboxes, removed, roots;
	void (*failed)(void *ctx, const char *line, const struct us_err *why);
	void *ctx;
};

/* ---- what there is -------------------------------------------------------------------------------- */

static int note_user(void *ctx, struct span userid, struct us_err *err UNUSED)
{
	struct walk *w = ctx;

	if (userid.len >= w->prefix.len && span_eq(span_make(userid.ptr, w->prefix.len), w->prefix))
		add(&w->users, userid);
	return 0;
}

static bool is_owned(const struct walk *w, struct span name)
{
	struct buf id = BUF_INIT;
	bool owned = mboxname_owner(name, store_config(w->s->store)->deletedprefix, &id);

	buf_free(&id);
	return owned;
}

static int note_mailbox(void *ctx, struct span name, const struct mailbox_row *row,
			struct us_err *err UNUSED)
{
	struct walk *w = ctx;

	if (!is_owned(w, name) && !mboxtype_has(row->type, MBOXTYPE_DELETED) &&
	    !mboxtype_has(row->type, MBOXTYPE_REMOTE))
		add(&w->mailboxes, name);
	return 0;
}

static int note_removed(void *ctx, struct span uniqueid UNUSED, const struct tombstone_row *row,
			struct us_err *err UNUSED)
{
	struct walk *w = ctx;

	if (!is_owned(w, row->name))
		add(&w->removed, row->name);
	return 0;
}

static int note_gone_user(void *ctx, struct span userid, struct us_err *err UNUSED)
{
	add(&((struct walk *)ctx)->gone_users, userid);
	return 0;
}

static int note_root(void *ctx, const struct state_quota *quota, struct us_err *err UNUSED)
{
	struct walk *w = ctx;

	if (!is_owned(w, quota->root))
		add(&w->roots, quota->root);
	return 0;
}

static int gather(struct walk *w, struct us_err *err)
{
	struct store *store = w->s->store;
	int rc = users_list(store, note_user, w, err);

	if (rc == 0 && !w->prefix.len)
		rc = users_list_removed(store, note_gone_user, w, err);
	if (rc == 0 && !w->prefix.len)
		rc = folder_list(store, SPAN_NULL, note_mailbox, w, err);
	if (rc == 0 && !w->prefix.len)
		rc = folder_list_tombstones(store, SPAN_NULL, note_removed, w, err);
	if (rc == 0 && !w->prefix.len)
		rc = quota_list(store, SPAN_NULL, note_root, w, err);
	return rc;
}

/* ---- what is done --------------------------------------------------------------------------------- */

/* An object's failure is told and passed over; the link's ends the walk. */
static int after(struct walk *w, int rc, const char *kind, struct span object,
		 const struct us_err *why, struct us_err *err)
{
	if (rc == 0)
		return 0;
	if (link_is_lost(rc)) {
		if (err)
			*err = *why;
		return rc;
	}
	if (w->failed) {
		struct synclog_record record = {SYNCLOG_USER, {object}, 1};
		struct buf line = BUF_INIT;
		for (int k = 0; k < SYNCLOG_KINDS; k++)
			if (strcmp(synclog_kind_name((enum synclog_kind)k), kind) == 0)
				record.kind = (enum synclog_kind)k;
		if (synclog_format(&record, &line, NULL) == 0)
			buf_truncate(&line, line.len - 1);
		w->failed(w->ctx, line.data, why);
		buf_free(&line);
	}
	return 0;
}

static int each(struct walk *w, const struct list *l, const char *kind,
		int (*fn)(struct sync *s, struct span object, struct us_err *err), bool restart,
		struct us_err *err)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < l->n; i++) {
		struct us_err why = US_ERR_INIT;
		rc = after(w, fn(w->s, l->items[i], &why), kind, l->items[i], &why, err);
		if (rc == 0 && restart) {
			rc = link_restart(w->s->link, err);
			reserve_restart(w->s->reserve);
		}
	}
	return rc;
}

static int one_user(struct sync *s, struct span userid, struct us_err *err)
{
	return sync_user(s, userid, NULL, err);
}

static int one_mailbox(struct sync *s, struct span name, struct us_err *err)
{
	return sync_mailboxes(s, &name, 1, err);
}

static int do_all(struct walk *w, struct us_err *err)
{
	struct us_err why = US_ERR_INIT;
	int rc = each(w, &w->mailboxes, "MAILBOX", one_mailbox, true, err);

	if (rc == 0)
		rc = each(w, &w->users, "USER", one_user, true, err);
	if (rc == 0)
		rc = each(w, &w->roots, "QUOTA", sync_quota, false, err);
	if (rc == 0 && !w->prefix.len)
		rc = after(w, sync_server_annotations(w->s, &why), "ANNOTATION", SPAN_LIT(""), &why,
			   err);
	if (rc == 0)
		rc = each(w, &w->removed, "UNMAILBOX", sync_removed_mailbox, false, err);
	if (rc == 0)
		rc = each(w, &w->gone_users, "UNUSER", sync_removed_user, false, err);
	return rc;
}

int sync_everything(struct sync *s, struct span prefix,
		    void (*failed)(void *ctx, const char *line, const struct us_err *why),
		    void *ctx, struct us_err *err)
{
	struct pool *pool = pool_new();
	struct walk w = {.s = s, .prefix = prefix, .pool = pool, .failed = failed, .ctx = ctx};
	struct list *lists[] = {&w.users, &w.gone_users, &w.mailboxes, &w.removed, &w.roots};
	int rc;

	for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
		lists[i]->pool = pool;
	rc = gather(&w, err);
	if (rc == 0)
		rc = do_all(&w, err);
	for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
		free(lists[i]->items);
	pool_free(&pool);
	return rc;
}
