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
	const struct sync_walk *how;
	struct pool *pool;
	struct list users, gone_users, mailboxes, removed, roots;
};

/* ---- what there is -------------------------------------------------------------------------------- */

static void note_user(struct walk *w, struct span userid)
{
	if (userid.len >= w->how->prefix.len &&
	    span_eq(span_make(userid.ptr, w->how->prefix.len), w->how->prefix))
		add(&w->users, userid);
}

static bool is_owned(const struct walk *w, struct span name)
{
	struct buf id = BUF_INIT;
	bool owned = mboxname_owner(name, store_config(w->s->store)->deletedprefix, &id);

	buf_free(&id);
	return owned;
}

static int compare_spans(const void *a, const void *b)
{
	return span_cmp(*(const struct span *)a, *(const struct span *)b);
}

/* Is the owner of that mailbox among our users? They are listed and sorted before. */
static bool is_here(const struct walk *w, struct span name)
{
	struct buf id = BUF_INIT;
	struct span owner;
	bool here;

	(void)mboxname_owner(name, store_config(w->s->store)->deletedprefix, &id);
	owner = buf_span(&id);
	here = w->users.n &&
	       bsearch(&owner, w->users.items, w->users.n, sizeof(owner), compare_spans);
	buf_free(&id);
	return here;
}

static void note_shared(struct walk *w, struct span name, const struct mailbox_row *row)
{
	if (!w->how->prefix.len && !mboxtype_has(row->type, MBOXTYPE_DELETED) &&
	    !mboxtype_has(row->type, MBOXTYPE_REMOTE))
		add(&w->mailboxes, name);
}

static int note_mailbox(void *ctx, struct span name, const struct mailbox_row *row,
			struct us_err *err UNUSED)
{
	struct walk *w = ctx;
	struct buf id = BUF_INIT;

	if (!mboxname_owner(name, store_config(w->s->store)->deletedprefix, &id))
		note_shared(w, name, row);
	else if (mboxname_is_inbox(name) && mailbox_row_is_real(row))
		note_user(w, buf_span(&id));
	buf_free(&id);
	return 0;
}

/* Comparing a user who is here finds his removed mailboxes; nobody else looks for those of shared names and of users gone. */
static int note_removed(void *ctx, struct span uniqueid UNUSED, const struct tombstone_row *row,
			struct us_err *err UNUSED)
{
	struct walk *w = ctx;

	if (!is_owned(w, row->name) || !is_here(w, row->name))
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

static int note_gone_root(void *ctx, struct span root, struct us_err *err UNUSED)
{
	struct walk *w = ctx;

	if (!is_owned(w, root))
		add(&w->roots, root);
	return 0;
}

static int gather(struct walk *w, struct us_err *err)
{
	struct store *store = w->s->store;
	int rc = folder_list(store, SPAN_NULL, note_mailbox, w, err);

	if (w->users.n)
		qsort(w->users.items, w->users.n, sizeof(struct span), compare_spans);
	if (rc == 0 && !w->how->prefix.len)
		rc = userdata_list_removed(store, 'U', note_gone_user, w, err);
	if (rc == 0 && !w->how->prefix.len)
		rc = folder_list_tombstones(store, SPAN_NULL, note_removed, w, err);
	if (rc == 0 && !w->how->prefix.len)
		rc = quota_list(store, SPAN_NULL, note_root, w, err);
	if (rc == 0 && !w->how->prefix.len)
		rc = userdata_list_removed(store, 'Q', note_gone_root, w, err);
	return rc;
}

/* ---- what is done --------------------------------------------------------------------------------- */

/* An object over which the link is lost that often is itself what is wrong. */
#define MOST_LOSSES 3

typedef int sync_object_fn(struct sync *s, struct span object, struct us_err *err);

struct kind {
	enum synclog_kind kind;
	sync_object_fn *fn;
	bool restart; /* what was staged for it is forgotten afterwards */
};

static void tell_failure(struct walk *w, const struct kind *kind, struct span object,
			 const struct us_err *why)
{
	struct synclog_record record = {kind->kind, {object}, 1};
	struct buf line = BUF_INIT;

	if (synclog_format(&record, &line, NULL) == 0)
		w->how->failed(w->how->ctx, span_make(line.data, line.len - 1), why);
	buf_free(&line);
}

/* Do it; if the link is lost on the way, get another and do it again. 0 even if the object failed. */
static int one(struct walk *w, const struct kind *kind, struct span object, struct us_err *err)
{
	for (int losses = 0;; losses++) {
		struct us_err why = US_ERR_INIT;
		int rc = kind->fn(w->s, object, &why);

		if (rc == 0 && kind->restart)
			rc = sync_restart(w->s, &why);
		if (rc == 0)
			return 0;
		if (link_is_lost(rc)) {
			rc = w->how->reconnect(w->how->ctx, err);
			if (rc < 0)
				return rc;
			if (losses + 1 < MOST_LOSSES)
				continue;
		}
		tell_failure(w, kind, object, &why);
		return 0;
	}
}

static int each(struct walk *w, const struct list *l, enum synclog_kind log_kind,
		sync_object_fn *fn, bool restarts, struct us_err *err)
{
	struct kind kind = {log_kind, fn, restarts};
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < l->n; i++) {
		rc = one(w, &kind, l->items[i], err);
		if (rc == 0 && w->how->between)
			rc = w->how->between(w->how->ctx, err);
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

static int one_gone_user(struct sync *s, struct span userid, struct us_err *err)
{
	return sync_removed_user(s, userid, /* only_if_there */ true, err);
}

static int annotations(struct sync *s, struct span object UNUSED, struct us_err *err)
{
	return sync_server_annotations(s, err);
}

/* From so many users on it is worth a question who of them differs. */
#define MANY_USERS 3

/* Leave the users alone who are equal there. */
static int pass_over_equals(struct walk *w, struct us_err *err)
{
	bool *differs = us_calloc(w->users.n + 1, sizeof(*differs));
	struct us_err why = US_ERR_INIT;
	size_t kept = 0;
	int rc = sync_differing(w->s, w->users.items, w->users.n, w->how, differs, &why);

	for (size_t i = 0; rc == 0 && i < w->users.n; i++)
		if (differs[i])
			w->users.items[kept++] = w->users.items[i];
	if (rc == 0)
		w->users.n = kept;
	free(differs);
	if (rc == 0)
		return 0;
	log_event(LOG_NOTICE, "sync.digests.failed", LF_ERR(&why)); /* then each is asked for */
	return link_is_lost(rc) ? w->how->reconnect(w->how->ctx, err) : 0;
}

static int do_users(struct walk *w, struct us_err *err)
{
	int rc = 0;

	if (w->users.n >= MANY_USERS && link_has_digests(w->s->link))
		rc = pass_over_equals(w, err);
	return rc == 0 ? each(w, &w->users, SYNCLOG_USER, one_user, true, err) : rc;
}

static int do_all(struct walk *w, struct us_err *err)
{
	static struct span server = {"", 0};
	const struct list the_server = {.items = &server, .n = w->how->prefix.len ? 0 : 1};
	int rc = each(w, &w->mailboxes, SYNCLOG_MAILBOX, one_mailbox, true, err);

	if (rc == 0)
		rc = do_users(w, err);
	if (rc == 0)
		rc = each(w, &w->roots, SYNCLOG_QUOTA, sync_quota, false, err);
	if (rc == 0)
		rc = each(w, &the_server, SYNCLOG_ANNOTATION, annotations, false, err);
	if (rc == 0)
		rc = each(w, &w->removed, SYNCLOG_UNMAILBOX, sync_removed_mailbox, false, err);
	if (rc == 0)
		rc = each(w, &w->gone_users, SYNCLOG_UNUSER, one_gone_user, false, err);
	return rc;
}

int sync_everything(struct sync *s, const struct sync_walk *how, struct us_err *err)
{
	struct pool *pool = pool_new();
	struct walk w = {.s = s, .how = how, .pool = pool};
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
