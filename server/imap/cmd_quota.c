/* cmd_quota.c - GETQUOTA, GETQUOTAROOT, SETQUOTA (RFC 2087).
 *
 * A quota root is a mailbox name. RFC 9208 would have us say which resources there are (QUOTA=RES-STORAGE); clients of
 * RFC 2087 do not ask, and nothing else of it is here.
 */
#include "server/base/mem.h"
#include "server/imap/access.h"
#include "server/imap/reply.h"
#include "server/imap/session.h"
#include "server/imap/token.h"
#include "server/store/mailbox.h"
#include "server/store/quota.h"

static const char *const resources[STATE_RESOURCES] = STATE_RESOURCE_NAMES;

/* "* QUOTA root (STORAGE 0 10 MESSAGE 0 5)" */
static int put_quota(struct imap_session *s, struct span root, const struct state_quota *quota,
		     struct us_err *err)
{
	struct buf shown = BUF_INIT;
	struct quota_usage usage;
	const char *blank = "";
	int rc = quota_usage(s->host->store, root, &usage, err);

	if (rc < 0)
		return rc;
	access_external(s, root, &shown);
	stream_write_str(s->out, "* QUOTA ");
	reply_astring(s->out, buf_span(&shown));
	stream_write_str(s->out, " (");
	for (int i = 0; i < STATE_RESOURCES; i++) {
		if (quota->limit[i] == STATE_NO_LIMIT)
			continue;
		stream_printf(s->out, "%s%s %llu %lld", blank, resources[i],
			      (unsigned long long)usage.used[i], (long long)quota->limit[i]);
		blank = " ";
	}
	stream_write_str(s->out, ")\r\n");
	buf_free(&shown);
	return 0;
}

int run_getquota(struct imap_session *s, const void *args, struct us_err *err)
{
	const struct args_mailbox *a = args;
	struct state_quota quota;
	struct span root;
	int rc = access_name(s, a->mailbox, &root, err);

	if (rc < 0)
		return rc;
	if (!imap_is_admin(s) && !host_owns(s->host, s->identity, root))
		return us_fail(err, US_EPERM, "not his quota");
	rc = quota_get(s->host->store, root, &quota, err);
	if (rc == 0 && !imap_is_admin(s))
		return us_fail(err, US_EPERM, "no such root, which he need not know");
	if (rc == 0)
		return imap_no(s, "[NONEXISTENT] Quota root does not exist");
	return rc < 0 ? rc : put_quota(s, root, &quota, err);
}

int run_getquotaroot(struct imap_session *s, const void *args, struct us_err *err)
{
	const struct args_mailbox *a = args;
	struct buf root = BUF_INIT, shown = BUF_INIT;
	struct state_quota quota;
	struct access access;
	int rc = access_lookup(s, a->mailbox, imap_is_admin(s) ? ACL_LOOKUP : ACL_READ, &access,
			       err);

	if (rc == 0)
		rc = quota_root_of(s->host->store, access.name, &root, err);
	if (rc < 0)
		goto out;
	stream_write_str(s->out, "* QUOTAROOT ");
	reply_astring(s->out, a->mailbox);
	if (rc > 0) {
		access_external(s, buf_span(&root), &shown);
		stream_write_str(s->out, " ");
		reply_astring(s->out, buf_span(&shown));
	}
	stream_write_str(s->out, "\r\n");
	if (rc > 0)
		rc = quota_get(s->host->store, buf_span(&root), &quota, err);
	if (rc > 0)
		rc = put_quota(s, buf_span(&root), &quota, err);
out:
	buf_free(&root);
	buf_free(&shown);
	return rc < 0 ? rc : 0;
}

/* ---- SETQUOTA -------------------------------------------------------------------------------------- */

static int bad_list(struct us_err *err)
{
	return us_fail(err, US_EPROTO, "Invalid quota list in Setquota");
}

/* setquota = "SETQUOTA" SP astring SP "(" [resource SP number *(SP resource SP number)] ")" */
int parse_setquota(struct parse *p, void **args, struct us_err *err)
{
	struct args_setquota *a = pool_alloc(p->pool, sizeof(*a));
	struct quota_wish *wishes = pool_alloc(p->pool, STATE_RESOURCES * 4 * sizeof(wishes[0]));
	int rc;

	token_space(&p->s);
	a->root = token_astring(&p->s, p->pool);
	token_space(&p->s);
	if (p->s.bad)
		return parse_missing(p, err);
	if (!scan_skip(&p->s, '('))
		return bad_list(err);
	a->wishes = wishes;
	if (!scan_skip(&p->s, ')')) {
		do {
			if (a->n == STATE_RESOURCES * 4)
				return bad_list(err);
			wishes[a->n].resource = token_atom(&p->s);
			token_space(&p->s);
			wishes[a->n++].limit = scan_u64(&p->s, INT64_MAX / 1024);
		} while (scan_skip(&p->s, ' '));
		scan_expect(&p->s, ')');
	}
	if (p->s.bad)
		return bad_list(err);
	rc = parse_end(p, err);
	if (rc == 0)
		*args = a;
	return rc;
}

static bool fill_limits(const struct args_setquota *a, struct state_quota *quota)
{
	for (int i = 0; i < STATE_RESOURCES; i++)
		quota->limit[i] = STATE_NO_LIMIT;
	for (size_t i = 0; i < a->n; i++) {
		int r = 0;

		while (r < STATE_RESOURCES && !span_is_nocase(a->wishes[i].resource, resources[r]))
			r++;
		if (r == STATE_RESOURCES)
			return false;
		quota->limit[r] = (int64_t)a->wishes[i].limit;
	}
	return true;
}

int run_setquota(struct imap_session *s, const void *args, struct us_err *err)
{
	const struct args_setquota *a = args;
	struct state_quota quota = {.modseq = 0};
	struct mailbox_row row;
	int rc;

	if (!imap_is_admin(s))
		return us_fail(err, US_EPERM, "only administrators set quotas");
	rc = access_name(s, a->root, &quota.root, err);
	if (rc < 0)
		return rc;
	if (!fill_limits(a, &quota))
		return imap_no(s, "Unsupported quota resource");
	rc = mailbox_row_get(s->host->store, quota.root, s->pool, &row, NULL, NULL, err);
	if (rc == 0)
		return us_fail(err, US_ENOENT, "no such mailbox");
	return rc < 0 ? rc : quota_set(s->host->store, &quota, err);
}
