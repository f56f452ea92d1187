/* work.c - see work.h. */
#include "sync_client/work.h"

#include "sync_client/sync_private.h"

/* What the replica staged is bound to no user; that it does not pile up, it is told to forget after each of the large
 * pieces. */
static int restart(struct sync *s, struct us_err *err)
{
	reserve_restart(s->reserve);
	return link_restart(s->link, err);
}

static int do_mailboxes(struct sync *s, const struct work *work, struct us_err *err)
{
	int rc = sync_mailboxes(s, work->names, work->n_names, err);

	return rc == 0 ? restart(s, err) : rc;
}

static int do_user(struct sync *s, struct span userid, struct us_err *err)
{
	int rc = sync_user(s, userid, NULL, err);

	return rc == 0 ? restart(s, err) : rc;
}

int work_do(struct sync *s, const struct work *work, struct us_err *err)
{
	struct span a = work->arg[0], b = work->arg[1];

	switch (work->kind) {
	case WORK_MAILBOXES:
		return do_mailboxes(s, work, err);
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
		return do_user(s, a, err);
	case WORK_UNUSER:
		return sync_removed_user(s, a, /* only_if_there */ false, err);
	case WORK_KINDS:
		break;
	}
	return us_fail(err, US_EINVAL, "no such work");
}
