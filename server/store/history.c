/* history.c - see history.h. */
#include "server/store/history.h"

#include "server/store/store.h"

#define HISTORY_SECONDS 86400
#define HISTORY_MOST    10000
#define HISTORY_SLACK   1000 /* so that forgetting the oldest is not done with each */

void history_init(struct history *h)
{
	buf_init(&h->ops, 0);
	h->n = 0;
	h->since = store_now() - HISTORY_SECONDS;
}

void history_fini(struct history *h)
{
	buf_free(&h->ops);
}

/* The newest count. */
static void add(struct history *h, const struct op_flaghist *op)
{
	const size_t surplus = HISTORY_SLACK * sizeof(*op);

	buf_add(&h->ops, op, sizeof(*op));
	if (++h->n < HISTORY_MOST + HISTORY_SLACK)
		return;
	buf_remove(&h->ops, 0, surplus);
	h->n -= HISTORY_SLACK;
}

static void keep_change(struct history *h, const struct record *before,
			const struct op_flags *after)
{
	struct op_flaghist op = {.op = {OP_FLAGHIST, 0, sizeof(op)},
				 .uid = after->uid,
				 .system_set = after->system_flags & ~before->system_flags,
				 .system_cleared = before->system_flags & ~after->system_flags,
				 .modseq = after->modseq,
				 .time = after->last_updated};

	for (int i = 0; i < 2; i++) {
		op.user_set[i] = after->user_flags[i] & ~before->user_flags[i];
		op.user_cleared[i] = before->user_flags[i] & ~after->user_flags[i];
	}
	if (!op.system_set && !op.system_cleared && !op.user_set[0] && !op.user_set[1] &&
	    !op.user_cleared[0] && !op.user_cleared[1])
		return;
	add(h, &op);
}

/* What a whole record says of flags. */
static struct op_flags flags_of(const struct record *r)
{
	return (struct op_flags){.uid = r->uid,
				 .system_flags = r->system_flags,
				 .modseq = r->modseq,
				 .last_updated = r->last_updated,
				 .user_flags = {r->user_flags[0], r->user_flags[1]}};
}

void history_note(struct history *h, const struct record *before, const struct journal_op *op)
{
	const struct op_flaghist *old = (const void *)op;
	struct op_flags flags;

	if (op->kind == OP_FLAGHIST && old->time >= h->since)
		add(h, old);
	if (!before || (op->kind != OP_FLAGS && op->kind != OP_RECORD))
		return;
	flags = op->kind == OP_FLAGS ? *(const struct op_flags *)op
				     : flags_of(&((const struct op_record *)op)->record);
	if (flags.last_updated >= h->since)
		keep_change(h, before, &flags);
}

void history_forget(struct history *h, const uint64_t bits[2])
{
	struct op_flaghist *op = (void *)h->ops.data;

	for (uint32_t n = 0; n < h->n; n++, op++)
		for (int i = 0; i < 2; i++) {
			op->user_set[i] &= ~bits[i];
			op->user_cleared[i] &= ~bits[i];
		}
}
