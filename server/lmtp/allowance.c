/* allowance.c - see allowance.h. */
#include "server/lmtp/allowance.h"

#include <stdlib.h>

#include "server/base/mem.h"

void allowances_free(struct allowances *a)
{
	for (size_t i = 0; i < a->n; i++)
		free(a->list[i].root);
	free(a->list);
	*a = (struct allowances){0};
}

static int look_up(struct allowances *a, struct store *store, struct span root,
		   struct allowance **out, struct us_err *err)
{
	struct allowance new = {.root = span_dup(root)};
	int rc = quota_get(store, root, &new.limits, err);

	if (rc > 0 && (new.limits.limit[STATE_STORAGE] != STATE_NO_LIMIT ||
		       new.limits.limit[STATE_MESSAGE] != STATE_NO_LIMIT))
		rc = quota_usage_of_messages(store, root, &new.used, err);
	if (rc < 0) {
		free(new.root);
		return rc;
	}
	us_grow(&a->list, a->n, &a->cap, sizeof(a->list[0]));
	a->list[a->n] = new;
	*out = &a->list[a->n++];
	return 0;
}

/* The root that governs a mailbox: NULL in *out if there is none. */
static int find(struct allowances *a, struct store *store, struct span name, struct allowance **out,
		struct us_err *err)
{
	struct buf root = BUF_INIT;
	int rc = quota_root_of(store, name, &root, err);

	*out = NULL;
	for (size_t i = 0; rc > 0 && !*out && i < a->n; i++)
		if (span_is(buf_span(&root), a->list[i].root))
			*out = &a->list[i];
	if (rc > 0 && !*out)
		rc = look_up(a, store, buf_span(&root), out, err);
	buf_free(&root);
	return rc < 0 ? rc : 0;
}

static bool would_be_over(const struct allowance *a, uint64_t bytes)
{
	struct quota_usage then = a->used;

	then.bytes += bytes;
	then.used[STATE_MESSAGE]++;
	return quota_is_over(&a->limits, &then);
}

static int judge(const struct allowance *a, uint64_t bytes, bool strict, struct us_err *err)
{
	bool over = a && (strict ? would_be_over(a, bytes) : quota_is_over(&a->limits, &a->used));

	return over ? us_fail(err, US_EQUOTA, "quota root %s is full", a->root) : 0;
}

int allowance_check(struct allowances *a, struct store *store, struct span name, uint64_t bytes,
		    bool strict, struct us_err *err)
{
	struct allowance *found;
	int rc = find(a, store, name, &found, err);

	return rc < 0 ? rc : judge(found, bytes, strict, err);
}

int allowance_take(struct allowances *a, struct store *store, struct span name, uint64_t bytes,
		   bool strict, bool ignore, struct us_err *err)
{
	struct allowance *found;
	int rc = find(a, store, name, &found, err);

	if (rc == 0 && !ignore)
		rc = judge(found, bytes, strict, err);
	if (rc == 0 && found) {
		found->used.bytes += bytes;
		found->used.used[STATE_MESSAGE]++;
	}
	return rc;
}
