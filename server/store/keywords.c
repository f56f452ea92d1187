/* keywords.c - see keywords.h.
 *
 * A bit is freed by a new generation of the files, which is also the moment from which it may mean another keyword: no frame
 * of the new journal knows the old meaning, and the history of flags that is carried over forgets it.
 */
#include "server/store/keywords.h"

#include "server/store/compact.h"

/* Bits that have a name and no message. */
static void find_unused(struct view *v, uint64_t unused[2])
{
	struct view_walk walk = view_walk(v, 1);
	const struct record *r;

	unused[0] = unused[1] = 0;
	for (unsigned bit = 0; bit < USER_FLAGS; bit++)
		if (v->names.bit[bit].name.ptr)
			unused[bit / 64] |= (uint64_t)1 << bit % 64;
	while ((unused[0] || unused[1]) && (r = view_next(v, &walk)))
		for (int i = 0; i < 2; i++)
			unused[i] &= ~r->user_flags[i];
}

static int tell(const struct view *v, const uint64_t unused[2],
		void (*fn)(void *ctx, unsigned bit, struct span name), void *ctx)
{
	int n = 0;

	for (unsigned bit = 0; bit < USER_FLAGS; bit++) {
		if (!(unused[bit / 64] >> bit % 64 & 1))
			continue;
		if (fn)
			fn(ctx, bit, v->names.bit[bit].name);
		n++;
	}
	return n;
}

int keywords_prune(struct mailbox *m, void (*fn)(void *ctx, unsigned bit, struct span name),
		   void *ctx, struct us_err *err)
{
	uint64_t unused[2];
	int n = 0, rc = mailbox_refresh(m, err);

	if (rc < 0)
		return rc;
	find_unused(&m->view, unused);
	if (!unused[0] && !unused[1])
		return 0;
	rc = mailbox_lock(m, err);
	if (rc < 0)
		return rc;
	find_unused(&m->view, unused);
	n = tell(&m->view, unused, fn, ctx);
	rc = n ? compact_freeing(m, unused, err) : 0;
	mailbox_unlock(m);
	return rc < 0 ? rc : n;
}
