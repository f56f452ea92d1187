/* mboxlist.c - see mboxlist.h. */
#include "server/admin/mboxlist.h"

#include <stdlib.h>

#include "server/base/mem.h"
#include "server/store/folder.h"
#include "server/store/mailbox.h"
#include "server/store/mboxname.h"

struct dead {
	struct span name, uniqueid;
	struct tombstone_row row;
};

struct merge {
	mboxlist_fn *fn;
	void *ctx;
	struct pool *pool;
	struct dead *dead; /* by name, the newest of a name last */
	size_t n, cap, next;
};

static struct mailbox_row row_of_dead(struct span uniqueid, const struct tombstone_row *t)
{
	return (struct mailbox_row){.type = SPAN_LIT("ed"),
				    .uniqueid = uniqueid,
				    .uidvalidity = t->uidvalidity,
				    .createdmodseq = 1,
				    .foldermodseq = t->modseq,
				    .mtime = t->time};
}

static int collect_dead(void *ctx, struct span uniqueid, const struct tombstone_row *row,
			struct us_err *err UNUSED)
{
	struct merge *m = ctx;

	us_grow(&m->dead, m->n, &m->cap, sizeof(m->dead[0]));
	m->dead[m->n++] =
		(struct dead){pool_span(m->pool, row->name), pool_span(m->pool, uniqueid), *row};
	return 0;
}

static int compare_dead(const void *a, const void *b)
{
	const struct dead *x = a, *y = b;
	int order = mboxname_cmp(x->name, y->name);

	return order ? order : (x->row.time > y->row.time) - (x->row.time < y->row.time);
}

/* The dead that come before `name` (NULL: all that are left); one that has the same name is not told of. */
static int tell_dead_before(struct merge *m, const struct span *name, struct us_err *err)
{
	int rc = 0;

	while (rc == 0 && m->next < m->n) {
		const struct dead *t = &m->dead[m->next];
		bool newest = m->next + 1 == m->n || !span_eq(t->name, t[1].name);
		int order = name ? mboxname_cmp(t->name, *name) : -1;
		if (order > 0)
			return 0;
		if (order < 0 && newest) {
			struct mailbox_row row = row_of_dead(t->uniqueid, &t->row);
			rc = m->fn(m->ctx, t->name, &row, err);
		}
		m->next++;
	}
	return rc;
}

static int tell_row(void *ctx, struct span name, const struct mailbox_row *row, struct us_err *err)
{
	struct merge *m = ctx;
	int rc = tell_dead_before(m, &name, err);

	return rc ? rc : m->fn(m->ctx, name, row, err);
}

int mboxlist_each(struct store *store, bool dead, mboxlist_fn *fn, void *ctx, struct us_err *err)
{
	struct merge m = {.fn = fn, .ctx = ctx, .pool = pool_new()};
	int rc = dead ? folder_list_tombstones(store, SPAN_NULL, collect_dead, &m, err) : 0;

	if (m.n)
		qsort(m.dead, m.n, sizeof(m.dead[0]), compare_dead);
	if (rc == 0)
		rc = folder_list(store, SPAN_NULL, tell_row, &m, err);
	if (rc == 0)
		rc = tell_dead_before(&m, NULL, err);
	free(m.dead);
	pool_free(&m.pool);
	return rc;
}

int mboxlist_get(struct store *store, struct span name, struct pool *pool, struct mailbox_row *out,
		 struct us_err *err)
{
	struct tombstone_row t;
	struct span uniqueid;
	int rc = mailbox_row_get(store, name, pool, out, NULL, NULL, err);

	if (rc == 0)
		rc = folder_tombstone_by_name(store, name, pool, &uniqueid, &t, err);
	else
		return rc;
	if (rc > 0)
		*out = row_of_dead(uniqueid, &t);
	return rc;
}

/* ---- putting ------------------------------------------------------------------------------------- */

static int restore_tombstone(struct store *store, struct span name, const struct mailbox_row *row,
			     struct us_err *err)
{
	struct tombstone_row dead = {.name = name,
				     .uidvalidity = row->uidvalidity,
				     .modseq = row->foldermodseq,
				     .time = row->mtime};

	if (!row->uniqueid.len)
		return 0; /* nobody could be told what died */
	return folder_put_tombstone(store, row->uniqueid, &dead, err);
}

static int create_mailbox(struct store *store, struct span name, const struct mailbox_row *row,
			  struct us_err *err)
{
	struct folder_create options = {.type = row->type,
					.uniqueid = row->uniqueid,
					.partition = row->partition,
					.acl = row->acl,
					.uidvalidity = row->uidvalidity,
					.createdmodseq = row->createdmodseq,
					.foldermodseq = row->foldermodseq,
					.highestmodseq = row->foldermodseq};

	return folder_create(store, name, &options, err);
}

static int change_mailbox(struct store *store, struct span name, const struct mailbox_row *row,
			  struct us_err *err)
{
	struct mailbox *m = NULL;
	bool moves;
	int rc = mailbox_open(store, name, &m, err);

	if (rc < 0)
		return rc;
	moves = row->partition.len && !span_eq(row->partition, m->row.partition);
	if (row->uniqueid.len && !span_eq(row->uniqueid, m->row.uniqueid))
		rc = us_fail(err, US_EMOVED, "%.*s has another uniqueid here", SPAN_ARG(name));
	if (rc == 0 && !span_eq(row->acl, m->row.acl))
		rc = mailbox_lock(m, err);
	if (rc == 0 && m->locked)
		rc = folder_set_acl(m, row->acl, err);
	mailbox_close(&m);
	if (rc == 0 && moves)
		rc = folder_rename(store, name, name, row->partition, 0, err);
	return rc;
}

static bool has_directory(struct span type)
{
	return !mboxtype_has(type, MBOXTYPE_INTERMEDIATE) && !mboxtype_has(type, MBOXTYPE_REMOTE);
}

int mboxlist_put(struct store *store, struct span name, const struct mailbox_row *row,
		 struct us_err *err)
{
	struct pool *pool = pool_new();
	struct mailbox_row old;
	int rc;

	if (mboxtype_has(row->type, MBOXTYPE_DELETED)) {
		rc = restore_tombstone(store, name, row, err);
	} else {
		rc = mailbox_row_get(store, name, pool, &old, NULL, NULL, err);
		if (rc >= 0 && !has_directory(row->type))
			rc = rc ? 0 : folder_put_entry(store, name, row, err);
		else if (rc > 0 && mailbox_row_is_real(&old))
			rc = change_mailbox(store, name, row, err);
		else if (rc >= 0)
			rc = create_mailbox(store, name, row, err);
	}
	pool_free(&pool);
	return rc;
}
