/* snapshot.c - see snapshot.h. */
#include "server/store/snapshot.h"

#include <stdlib.h>
#include <string.h>

#include "server/base/mem.h"
#include "server/store/annotations.h"
#include "server/store/folder.h"
#include "server/store/mboxname.h"
#include "server/store/quota.h"

/* ---- mailboxes --------------------------------------------------------------------------------- */

/* On the wire plain e-mail has no type. */
static struct span wire_type(struct span type)
{
	return span_is(type, "e") ? SPAN_LIT("") : type;
}

static void copy_former(const struct mailbox_row *row, struct pool *pool, struct state_mailbox *out)
{
	out->n_former_names = 0;
	for (size_t i = row->n_former; i > 0 && out->n_former_names < ARRAY_SIZE(out->former_names);
	     i--)
		out->former_names[out->n_former_names++] = pool_span(pool, row->former[i - 1]);
}

static void copy_row(struct span name, const struct mailbox_row *row, struct pool *pool,
		     struct state_mailbox *out)
{
	*out = (struct state_mailbox){
		.uniqueid = pool_span(pool, row->uniqueid),
		.name = pool_span(pool, name),
		.mboxtype = pool_span(pool, wire_type(row->type)),
		.acl = row->acl.ptr ? pool_span(pool, row->acl) : SPAN_LIT(""),
		.createdmodseq = row->createdmodseq,
		.foldermodseq = row->foldermodseq,
		.raclmodseq = row->raclmodseq,
	};
	copy_former(row, pool, out);
}

void snapshot_entry(struct span name, const struct mailbox_row *row, struct pool *pool,
		    struct state_mailbox *out)
{
	copy_row(name, row, pool, out);
	out->highestmodseq = row->foldermodseq;
	out->partition = SPAN_NULL;
}

static int add_quota_root(struct mailbox *m, struct pool *pool, struct state_mailbox *out,
			  struct us_err *err)
{
	struct buf root = BUF_INIT;
	int rc = quota_root_of(m->store, buf_span(&m->name), &root, err);

	if (rc > 0)
		out->quotaroot = pool_span(pool, buf_span(&root));
	buf_free(&root);
	return rc < 0 ? rc : 0;
}

static void copy_counters(const struct counters *c, const struct mailbox_row *row,
			  struct pool *pool, struct state_mailbox *out)
{
	out->sync_crc = c->sync_crc;
	out->sync_crc_annot = c->sync_crc_annot;
	out->has_sync_crc_annot = true;
	out->last_uid = c->last_uid;
	out->highestmodseq =
		c->highestmodseq > row->lastmodseq ? c->highestmodseq : row->lastmodseq;
	out->recentuid = c->recentuid;
	out->recenttime = c->recenttime;
	out->last_appenddate = c->last_append;
	out->pop3_last_login = c->pop3_last_login;
	out->pop3_show_after = c->pop3_show_after;
	out->xconvmodseq = c->xconvmodseq;
	out->uidvalidity = c->uidvalidity;
	out->partition = pool_span(pool, row->partition);
	out->options = c->options;
	out->deletedmodseq = c->deletedmodseq;
}

int snapshot_row(struct store *store, struct span name, const struct mailbox_row *row,
		 struct pool *pool, struct state_mailbox *out, struct us_err *err)
{
	struct counters c;
	int rc;

	if (mboxtype_has(row->type, MBOXTYPE_INTERMEDIATE)) {
		snapshot_entry(name, row, pool, out);
		return 1;
	}
	if (!mailbox_row_is_real(row))
		return 0;
	rc = mailbox_peek(store, row, &c, err);
	if (rc < 0)
		return rc == US_ENOENT ? 0 : us_err_prefix(err, "%.*s", SPAN_ARG(name));
	copy_row(name, row, pool, out);
	copy_counters(&c, row, pool, out);
	return 1;
}

int snapshot_mailbox(struct mailbox *m, struct pool *pool, struct state_mailbox *out,
		     struct us_err *err)
{
	int rc;

	copy_row(buf_span(&m->name), &m->row, pool, out);
	copy_counters(&m->view.counters, &m->row, pool, out);
	rc = add_quota_root(m, pool, out, err);
	if (rc == 0)
		rc = annotations_list(m->store, &m->row.storeid, pool, &out->annotations,
				      &out->n_annotations, err);
	return rc;
}

int snapshot_name(struct store *store, struct span name, struct pool *pool,
		  struct state_mailbox *out, struct mailbox **m, struct us_err *err)
{
	struct mailbox_row row;
	int rc = mailbox_row_get(store, name, pool, &row, NULL, NULL, err);

	*m = NULL;
	if (rc <= 0)
		return rc;
	if (mboxtype_has(row.type, MBOXTYPE_INTERMEDIATE)) {
		snapshot_entry(name, &row, pool, out);
		return 1;
	}
	if (!mailbox_row_is_real(&row))
		return 0;
	rc = mailbox_open(store, name, m, err);
	if (rc == 0)
		rc = snapshot_mailbox(*m, pool, out, err);
	if (rc < 0)
		mailbox_close(m);
	return rc == US_ENOENT ? 0 : rc < 0 ? rc : 1;
}

/* ---- records ----------------------------------------------------------------------------------- */

static void add_keywords(const struct flag_names *names, const struct record *r, struct pool *pool,
			 struct state_record *out)
{
	size_t n = (size_t)__builtin_popcountll(r->user_flags[0]) +
		   (size_t)__builtin_popcountll(r->user_flags[1]);
	struct span *keywords;

	if (!n)
		return;
	keywords = pool_alloc(pool, n * sizeof(*keywords));
	for (unsigned bit = 0; bit < USER_FLAGS; bit++)
		if (record_has_user_flag(r, bit) && names->bit[bit].name.ptr)
			keywords[out->n_keywords++] = names->bit[bit].name;
	out->keywords = keywords;
}

void snapshot_record(struct mailbox *m, const struct record *r, struct pool *pool,
		     struct state_record *out)
{
	*out = (struct state_record){
		.uid = r->uid,
		.system_flags = r->system_flags,
		.expunged = !record_is_live(r),
		.unlinked = (r->internal_flags & RECORD_UNLINKED) != 0,
		.modseq = r->modseq,
		.last_updated = r->last_updated,
		.internaldate = record_internaldate(r),
		.size = r->size,
		.guid = r->guid,
		.thrid = r->cid,
		.savedate = r->savedate,
		.createdmodseq = r->createdmodseq,
	};
	add_keywords(&m->view.names, r, pool, out);
	out->annotations = annots_of(&m->view.annots, r->uid, &out->n_annotations);
}

void snapshot_recount(struct mailbox *m, uint32_t *sync_crc, uint32_t *sync_crc_annot)
{
	struct view_walk walk = view_walk(&m->view, 1);
	const struct record *r;

	*sync_crc = 0;
	*sync_crc_annot = SYNC_CRC_ANNOT_EMPTY;
	while ((r = view_next_live(&m->view, &walk))) {
		*sync_crc ^= record_sync_crc(r, &m->view.names);
		*sync_crc_annot ^= record_sync_crc_annot(r);
	}
}

/* ---- users ------------------------------------------------------------------------------------- */

struct passing {
	snapshot_row_fn *fn;
	void *ctx;
};

static int pass_if_ours(void *ctx, struct span name, const struct mailbox_row *row,
			struct us_err *err)
{
	struct passing *p = ctx;

	if (mboxtype_has(row->type, MBOXTYPE_DELETED) || mboxtype_has(row->type, MBOXTYPE_REMOTE))
		return 0;
	return p->fn(p->ctx, name, row, err);
}

/* [dom!]DELETED.user.bob from [dom!]user.bob. */
static void deleted_tree(struct store *store, struct span inbox, struct buf *out)
{
	struct span domain = mboxname_domain(inbox);

	if (domain.len) {
		buf_add_span(out, domain);
		buf_add_char(out, '!');
	}
	buf_printf(out, "%s.%.*s", store_config(store)->deletedprefix,
		   SPAN_ARG(mboxname_local(inbox)));
}

int snapshot_user_rows(struct store *store, struct span userid, snapshot_row_fn *fn, void *ctx,
		       struct us_err *err)
{
	struct passing p = {fn, ctx};
	struct buf inbox = BUF_INIT, deleted = BUF_INIT;
	int rc;

	mboxname_user_inbox(userid, &inbox);
	deleted_tree(store, buf_span(&inbox), &deleted);
	rc = folder_list_tree(store, buf_span(&inbox), pass_if_ours, &p, err);
	if (rc == 0)
		rc = folder_list_tree(store, buf_span(&deleted), pass_if_ours, &p, err);
	buf_free(&inbox);
	buf_free(&deleted);
	return rc;
}

struct collector {
	struct pool *pool;
	struct span *items;
	size_t n, cap;
};

static int collect(void *ctx, struct span name, const struct mailbox_row *row UNUSED,
		   struct us_err *err UNUSED)
{
	struct collector *c = ctx;

	us_grow(&c->items, c->n, &c->cap, sizeof(c->items[0]));
	c->items[c->n++] = pool_span(c->pool, name);
	return 0;
}

int snapshot_user_names(struct store *store, struct span userid, struct pool *pool,
			const struct span **names, size_t *n_out, struct us_err *err)
{
	struct collector c = {.pool = pool};
	struct span *kept;
	int rc = snapshot_user_rows(store, userid, collect, &c, err);

	kept = pool_alloc(pool, us_mul_size(c.n ? c.n : 1, sizeof(*kept)));
	if (c.n)
		memcpy(kept, c.items, c.n * sizeof(*kept));
	*names = kept;
	*n_out = c.n;
	free(c.items);
	return rc < 0 ? rc : 0;
}
