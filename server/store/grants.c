/* grants.c - see grants.h. The key of a row: identifier, NUL, the mailbox's key. */
#include "server/store/grants.h"

#include <stdlib.h>

#include "server/base/mem.h"
#include "server/store/acl.h"
#include "server/store/folder_private.h"
#include "server/store/mboxname.h"
#include "server/store/meta/meta.h"

static void add_key(struct span identifier, struct span name, struct buf *out)
{
	buf_add_span(out, identifier);
	buf_add_char(out, '\0');
	mboxname_to_key(name, out);
}

void grants_put(struct meta_batch *batch, struct span name, struct span acl)
{
	struct buf owner = BUF_INIT, key = BUF_INIT;
	struct span identifier, rights;

	/* What is deleted belongs to nobody who is not an administrator. */
	if (mboxname_in_user_tree(name) && mboxname_owner(name, NULL, &owner))
		while (acl_next(&acl, &identifier, &rights)) {
			if (identifier.ptr[0] == '-' || !span_find(rights, 'l') ||
			    span_eq(identifier, buf_span(&owner)))
				continue;
			buf_clear(&key);
			add_key(identifier, name, &key);
			meta_batch_put(batch, META_GRANTS, buf_span(&key), SPAN_LIT(""));
		}
	buf_free(&owner);
	buf_free(&key);
}

bool grants_lookup(struct span acl, struct span identifier)
{
	struct span id, rights;

	while (acl_next(&acl, &id, &rights))
		if (span_eq(id, identifier) && span_find(rights, 'l'))
			return true;
	return false;
}

struct lister {
	struct pool *pool;
	struct span *names;
	size_t n, cap, skip; /* skip: the identifier and its NUL */
};

static int list_one(void *ctx, struct span key, struct span payload UNUSED,
		    const struct meta_stamp *stamp UNUSED)
{
	struct lister *l = ctx;
	struct buf name = BUF_INIT;

	mboxname_from_key(span_from(key, l->skip), &name);
	us_grow(&l->names, l->n, &l->cap, sizeof(l->names[0]));
	l->names[l->n++] = pool_span(l->pool, buf_span(&name));
	buf_free(&name);
	return 0;
}

int grants_list(struct store *store, struct span identifier, struct span prefix, struct pool *pool,
		struct span **out, size_t *n_out, struct us_err *err)
{
	struct lister l = {.pool = pool, .skip = identifier.len + 1};
	struct buf key = BUF_INIT;
	int rc;

	add_key(identifier, prefix, &key);
	rc = meta_range_prefix(store_meta(store), META_GRANTS, buf_span(&key), META_NO_PAYLOADS,
			       list_one, &l, err);
	if (rc == 0) {
		*out = pool_alloc(pool, us_mul_size(l.n + 1, sizeof(l.names[0])));
		for (size_t i = 0; i < l.n; i++)
			(*out)[i] = l.names[i];
		*n_out = l.n;
	}
	free(l.names);
	buf_free(&key);
	return rc;
}

int grants_forget(struct store *store, struct span identifier, struct span name, uint64_t version,
		  struct us_err *err)
{
	struct buf key = BUF_INIT;
	struct meta_batch batch;
	int rc;

	meta_batch_init(&batch);
	folder_expect(&batch, name, version);
	add_key(identifier, name, &key);
	meta_batch_del(&batch, META_GRANTS, buf_span(&key));
	rc = meta_commit(store_meta(store), &batch, META_LAZY, err);
	meta_batch_fini(&batch);
	buf_free(&key);
	return rc == US_ECHANGED
		       ? 0
		       : rc; /* then somebody grants it at this moment, or the next reader tries */
}
