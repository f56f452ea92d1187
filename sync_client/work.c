/* work.c - see work.h. */
#include "sync_client/work.h"

#include "sync_client/sync_private.h"

/* What the replica staged is bound to no user. It is told to forget when a batch is through (nobody waits for that then), or
 * when it has become much. */
static int finish(struct sync *s, int rc, struct us_err *err)
{
	return rc == 0 && reserve_is_much(s->reserve) ? sync_restart(s, err) : rc;
}

int work_do(struct sync *s, const struct work *work, struct us_err *err)
{
	struct span a = work->arg[0], b = work->arg[1];

	switch (work->kind) {
	case WORK_MAILBOXES:
		return finish(s, sync_mailboxes(s, work->names, work->n_names, err), err);
	case WORK_QUOTA:
		return sync_quota(s, a, err);
	case WORK_ANNOTATION:
		return sync_server_annotations(s, err);
	case WORK_SEEN:
		return sync_seen(s, a, b, err);
	case WORK_SUB:
		return sync_subscription(s, a, b, err);
	case WORK_UNMAILBOX:
		return sync_removed_mailbox(s, a, err);
	case WORK_META:
		return sync_meta(s, a, NULL, err);
	case WORK_USER:
		return finish(s, sync_user(s, a, NULL, err), err);
	case WORK_UNUSER:
		return sync_removed_user(s, a, /* only_if_there */ false, err);
	case WORK_KINDS:
		break;
	}
	return us_fail(err, US_EINVAL, "no such work");
}
