/* account.c - see account.h. */
#include "server/csync/account.h"

#include <stdlib.h>

#include "server/base/mem.h"
#include "server/csync/scripts.h"
#include "server/store/annotations.h"
#include "server/store/mailbox.h"
#include "server/store/mboxname.h"
#include "server/store/meta/meta.h"
#include "server/store/quota.h"
#include "server/store/snapshot.h"
#include "server/store/userdata.h"

/* Reading the annotations of all mailboxes pays from so many users on, and is given up above so many rows. */
#define MANY_USERS       32
#define MOST_ANNOTATIONS 200000

int account_mailboxes(struct store *store, const struct span *names, size_t n, struct pool *pool,
		      struct state_user *out, struct us_err *err)
{
	struct state_mailbox *list = pool_alloc(pool, us_mul_size(n ? n : 1, sizeof(*list)));
	size_t kept = 0;
	int rc = 0;

	for (size_t i = 0; rc >= 0 && i < n; i++) {
		struct mailbox *m;
		rc = snapshot_name(store, names[i], pool, &list[kept], &m, err);
		kept += rc > 0;
		mailbox_close(&m);
	}
	out->mailboxes = list;
	out->n_mailboxes = kept;
	return rc < 0 ? rc : 0;
}

struct accounts {
	struct store *store;
	bool sieve_mailbox;
	struct meta_ahead *ahead;            /* NULL: for one user */
	struct annotations_all *annotations; /* NULL: they are asked for */
};

/* One user on his way into a struct state_user. */
struct reading {
	struct accounts *a;
	struct pool *pool;
	struct span inbox; /* its name */
	struct found {
		struct state_mailbox m;
		struct storeid id;
		bool real;
	} * found;
	size_t n, cap;
	struct state_quota *quotas; /* at his INBOX and below */
	size_t n_quotas, cap_quotas;
	bool exists, has_scripts;
};

/* ---- mailboxes ----------------------------------------------------------------------------------- */

static bool is_script_mailbox(const struct reading *r, struct span name)
{
	return span_starts(name, r->inbox.ptr) && span_is(span_from(name, r->inbox.len), ".#sieve");
}

static int add_mailbox(void *ctx, struct span name, const struct mailbox_row *row,
		       struct us_err *err)
{
	struct reading *r = ctx;
	struct found *f;
	int rc;

	us_grow(&r->found, r->n, &r->cap, sizeof(r->found[0]));
	f = &r->found[r->n];
	f->real = mailbox_row_is_real(row);
	f->id = row->storeid;
	rc = snapshot_row(r->a->store, name, row, r->pool, &f->m, err);
	if (rc <= 0)
		return rc;
	r->n++;
	r->exists |= f->real && span_eq(name, r->inbox);
	r->has_scripts |= f->real && is_script_mailbox(r, name);
	return 0;
}

static int add_annotations(struct reading *r, struct us_err *err)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < r->n; i++) {
		struct found *f = &r->found[i];
		if (f->real && r->a->annotations)
			annotations_all_of(r->a->annotations, &f->id, &f->m.annotations,
					   &f->m.n_annotations);
		else if (f->real)
			rc = annotations_list(r->a->store, &f->id, r->pool, &f->m.annotations,
					      &f->m.n_annotations, err);
	}
	return rc;
}

/* ---- quota --------------------------------------------------------------------------------------- */

static int note_quota(void *ctx, const struct state_quota *quota, struct us_err *err UNUSED)
{
	struct reading *r = ctx;
	struct state_quota *q;

	us_grow(&r->quotas, r->n_quotas, &r->cap_quotas, sizeof(r->quotas[0]));
	q = &r->quotas[r->n_quotas++];
	*q = *quota;
	q->root = pool_span(r->pool, quota->root);
	return 0;
}

/* The root above his INBOX stands first, if there is one, for the others are found from the end. */
static int read_quotas(struct reading *r, struct us_err *err)
{
	struct buf above = BUF_INIT;
	struct state_quota q;
	int rc = quota_root_of(r->a->store, mboxname_parent(r->inbox), &above, err);

	if (rc > 0)
		rc = quota_get(r->a->store, buf_span(&above), &q, err);
	if (rc > 0)
		rc = note_quota(r, &q, err);
	if (rc == 0)
		rc = quota_list_tree(r->a->store, r->inbox, note_quota, r, err);
	buf_free(&above);
	return rc;
}

/* They come in list order, so the last that fits is the longest. */
static const struct state_quota *quota_of(const struct reading *r, struct span name)
{
	if (mboxname_is_deleted(name, store_config(r->a->store)->deletedprefix))
		return NULL;
	for (size_t i = r->n_quotas; i > 0; i--) {
		struct span root = r->quotas[i - 1].root;
		if (span_eq(name, root) || mboxname_is_below(name, root))
			return &r->quotas[i - 1];
	}
	return NULL;
}

/* Those that govern a mailbox, each once, as they are met. An entry without mail is under none. */
static void add_quotas(struct reading *r, struct state_user *u)
{
	struct state_quota *list = pool_alloc(r->pool, us_mul_size(r->n_quotas + 1, sizeof(*list)));
	size_t n = 0;

	for (size_t i = 0; i < r->n; i++) {
		const struct state_quota *q =
			r->found[i].real ? quota_of(r, r->found[i].m.name) : NULL;
		size_t k = 0;
		if (!q)
			continue;
		r->found[i].m.quotaroot = q->root;
		while (k < n && !span_eq(list[k].root, q->root))
			k++;
		if (k == n)
			list[n++] = *q;
	}
	u->quotas = list;
	u->n_quotas = n;
}

/* ---- the user ------------------------------------------------------------------------------------ */

static void put_mailboxes(const struct reading *r, struct state_user *u)
{
	struct state_mailbox *list = pool_alloc(r->pool, us_mul_size(r->n + 1, sizeof(*list)));

	for (size_t i = 0; i < r->n; i++)
		list[i] = r->found[i].m;
	u->mailboxes = list;
	u->n_mailboxes = r->n;
}

static int add_meta(const struct reading *r, struct state_user *u, struct us_err *err)
{
	struct store *store = r->a->store;
	int rc = subscriptions_list(store, u->userid, r->pool, &u->subscriptions,
				    &u->n_subscriptions, err);

	if (rc == 0)
		rc = seen_list(store, u->userid, r->pool, &u->seen, &u->n_seen, err);
	if (rc == 0 && !r->a->sieve_mailbox && r->has_scripts)
		rc = scripts_list(store, u->userid, r->pool, &u->sieve, &u->n_sieve, err);
	return rc;
}

static int read_user(struct reading *r, struct state_user *u, struct us_err *err)
{
	int rc = snapshot_user_rows(r->a->store, u->userid, add_mailbox, r, err);

	if (rc == 0)
		rc = add_annotations(r, err);
	if (rc == 0)
		rc = read_quotas(r, err);
	if (rc < 0)
		return rc;
	add_quotas(r, u);
	put_mailboxes(r, u);
	return add_meta(r, u, err);
}

int accounts_read(struct accounts *a, struct span userid, struct pool *pool, struct state_user *out,
		  bool *exists, struct us_err *err)
{
	struct state_user u = {.userid = userid};
	struct buf inbox = BUF_INIT;
	struct reading r = {.a = a, .pool = pool};
	int rc;

	mboxname_user_inbox(userid, &inbox);
	r.inbox = buf_span(&inbox);
	meta_use_ahead(store_meta(a->store), a->ahead);
	rc = read_user(&r, &u, err);
	meta_use_ahead(store_meta(a->store), NULL);
	*exists = r.exists;
	*out = u;
	free(r.found);
	free(r.quotas);
	buf_free(&inbox);
	return rc;
}

int account_read(struct store *store, struct span userid, bool sieve_mailbox, struct pool *pool,
		 struct state_user *out, bool *exists, struct us_err *err)
{
	struct accounts one = {.store = store, .sieve_mailbox = sieve_mailbox};

	return accounts_read(&one, userid, pool, out, exists, err);
}

/* ---- many ---------------------------------------------------------------------------------------- */

int accounts_begin(struct store *store, bool sieve_mailbox, size_t n, struct accounts **out,
		   struct us_err *err)
{
	struct accounts *a = us_calloc(1, sizeof(*a));
	int rc = 0;

	a->store = store;
	a->sieve_mailbox = sieve_mailbox;
	a->ahead = meta_ahead_new();
	if (n >= MANY_USERS)
		rc = annotations_list_all(store, MOST_ANNOTATIONS, &a->annotations, err);
	if (rc < 0)
		accounts_end(&a);
	else
		*out = a;
	return rc < 0 ? rc : 0;
}

void accounts_end(struct accounts **accounts)
{
	if (!*accounts)
		return;
	meta_ahead_free(&(*accounts)->ahead);
	annotations_all_free(&(*accounts)->annotations);
	free(*accounts);
	*accounts = NULL;
}
