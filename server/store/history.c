/* history.c - see history.h. */
#include "server/store/history.h"

#include "server/store/store.h"

#define HISTORY_SECONDS 86400
#define HISTORY_MOST    10000

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
	buf_add(&h->ops, &op, sizeof(op));
	h->n++;
}

void history_note(struct history *h, const struct record *before, const struct journal_op *op)
{
	const struct op_flags *flags = (const void *)op;
	const struct op_flaghist *old = (const void *)op;

	if (h->n >= HISTORY_MOST)
		return;
	if (op->kind == OP_FLAGHIST && old->time >= h->since) {
		buf_add(&h->ops, op, op->length);
		h->n++;
	} else if (op->kind == OP_FLAGS && flags->last_updated >= h->since && before) {
		keep_change(h, before, flags);
	}
}
