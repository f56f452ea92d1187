/* route.c - see route.h. */
#include "server/lmtp/route.h"

#include "server/base/log.h"
#include "server/base/mem.h"
#include "server/base/pool.h"
#include "server/lmtp/envelope.h"
#include "server/lmtp/session.h"
#include "server/session/autocreate.h"
#include "server/store/annotations.h"
#include "server/store/folder.h"
#include "server/store/mailbox.h"
#include "server/store/mboxname.h"
#include "server/store/quota.h"

/* ---- mailboxes --------------------------------------------------------------------------------------- */

/* Can mail go there: not into calendars and the like, nor what was deleted. */
static bool takes_mail(const struct router *r, struct span name, const struct mailbox_row *row)
{
	return mailbox_row_is_real(row) && (!row->type.len || row->type.ptr[0] == 'e') &&
	       !mboxname_is_deleted(name, r->host->names.deletedprefix);
}

/* 1: the mailbox is there, 0: not here. A mailbox of another server is US_EREMOTE. */
static int find_mailbox(const struct router *r, struct span name, struct pool *pool,
			struct mailbox_row *row, struct us_err *err)
{
	int rc = mailbox_row_get(r->host->store, name, pool, row, NULL, NULL, err);

	if (rc > 0 && mboxtype_has(row->type, MBOXTYPE_REMOTE))
		return us_fail(err, US_EREMOTE, "%.*s is on another server", SPAN_ARG(name));
	return rc > 0 ? takes_mail(r, name, row) : rc;
}

static uint32_t poster_rights(const struct router *r, struct span name,
			      const struct mailbox_row *row)
{
	return host_rights(r->host, envelope_poster(r->envelope), name, row->acl);
}

/* ---- RCPT: users -------------------------------------------------------------------------------------- */

static int find_inbox(const struct router *r, const struct recipient_name *name, struct pool *pool,
		      struct us_err *err)
{
	struct mailbox_row row;
	int rc = find_mailbox(r, name->inbox, pool, &row, err);

	if (rc != 0)
		return rc;
	if (r->only_asks)
		return autocreate_would_on_post(r->host, name->userid.ptr);
	rc = autocreate_on_post(r->host, name->userid.ptr, err);
	return rc > 0 ? find_mailbox(r, name->inbox, pool, &row, err) : rc;
}

/* Mail for nobody goes to lmtp_catchall_mailbox, if there is such a user. */
static int find_catchall(const struct router *r, struct pool *pool, struct recipient_name *name,
			 struct us_err *err)
{
	struct recipient_rules plain = r->options->names;
	struct lmtp_address address = {.local = span_of(r->options->catchall)};
	struct recipient_name other;
	struct mailbox_row row;
	int rc;

	if (!address.local.len)
		return 0;
	plain.postuser = "\n"; /* the user, whatever he is called */
	if (recipient_name(&plain, &address, pool, &other, NULL) < 0)
		return 0;
	rc = find_mailbox(r, other.inbox, pool, &row, err);
	if (rc > 0) {
		*name = other;
		name->folder = SPAN_NULL;
	}
	return rc;
}

/* ---- RCPT: shared mailboxes --------------------------------------------------------------------------- */

/* With lmtp_fuzzy_mailbox_match the nearest parent takes the place of a shared mailbox that is missing. */
static int find_shared(const struct router *r, struct span *name, struct pool *pool,
		       struct mailbox_row *row, struct us_err *err)
{
	struct span at = *name;
	int rc = find_mailbox(r, at, pool, row, err);

	while (rc == 0 && r->options->fuzzy && (at = mboxname_parent(at)).len)
		rc = find_mailbox(r, at, pool, row, err);
	if (rc > 0)
		*name = at;
	return rc;
}

/* 1, or 0: not there or not to be seen, or US_EPERM. */
static int check_shared(const struct router *r, struct recipient_name *name, struct pool *pool,
			struct us_err *err)
{
	struct mailbox_row row;
	uint32_t rights;
	int rc = find_shared(r, &name->folder, pool, &row, err);

	if (rc <= 0)
		return rc;
	rights = poster_rights(r, name->folder, &row);
	if (rights & ACL_POST)
		return 1;
	return rights & ACL_LOOKUP
		       ? us_fail(err, US_EPERM, "no right to post to %.*s", SPAN_ARG(name->folder))
		       : 0;
}

/* ---- RCPT ----------------------------------------------------------------------------------------------- */

static int find_recipient(const struct router *r, const struct lmtp_address *address,
			  struct pool *pool, struct recipient_name *name, struct us_err *err)
{
	int rc = recipient_name(&r->options->names, address, pool, name, err);

	if (rc == 0)
		rc = name->userid.ptr ? find_inbox(r, name, pool, err)
				      : check_shared(r, name, pool, err);
	else if (rc == US_ENOENT)
		rc = 0;
	return rc == 0 ? find_catchall(r, pool, name, err) : rc;
}

static int check_quota(const struct router *r, const struct recipient_name *name,
		       struct us_err *err)
{
	struct envelope *e = r->envelope;
	bool strict = r->options->strict_quota && e->has_size;

	return allowance_check(&e->allowances, r->host->store,
			       name->inbox.ptr ? name->inbox : name->folder, e->size, strict, err);
}

static enum lmtp_reply answer_error(const struct router *r, int code, const struct us_err *err)
{
	if (code == US_EPERM)
		return LMTP_NO_POST;
	if (code == US_EREMOTE)
		return LMTP_REMOTE;
	if (code != US_EQUOTA)
		log_event(LOG_ERR, "lmtp.lookup.failed", LF_ERR(err));
	return lmtp_reply_of_error(code, r->options->over_quota_for_good);
}

enum lmtp_reply route_check(const struct router *r, const struct lmtp_address *address,
			    bool ignore_quota, struct pool *pool, struct recipient_name *name)
{
	struct us_err err = US_ERR_INIT;
	int rc = find_recipient(r, address, pool, name, &err);

	if (rc == 0)
		return LMTP_UNKNOWN_USER;
	if (rc > 0)
		rc = ignore_quota ? 0 : check_quota(r, name, &err);
	return rc < 0 ? answer_error(r, rc, &err) : LMTP_RECIPIENT;
}

/* ---- DATA ----------------------------------------------------------------------------------------------- */

struct search {
	struct span wanted;
	size_t least; /* only names longer than this */
	struct buf *found;
};

/* The longest name that is the wanted one or above it, without regard to case. */
static int match(void *ctx, struct span name, const struct mailbox_row *row,
		 struct us_err *err UNUSED)
{
	struct search *f = ctx;
	struct span head = span_make(f->wanted.ptr, name.len);

	if (!mailbox_row_is_real(row) || name.len > f->wanted.len || name.len <= f->least ||
	    !span_eq_nocase(head, name) ||
	    (name.len < f->wanted.len && f->wanted.ptr[name.len] != '.'))
		return 0;
	buf_clear(f->found);
	buf_add_span(f->found, name);
	f->least = name.len;
	return 0;
}

/* The folder that is meant: as it is written, or what comes nearest. 1 and its name in *out, or 0. */
static int find_folder(const struct router *r, const struct recipient_name *name, struct pool *pool,
		       struct mailbox_row *row, struct buf *out, struct us_err *err)
{
	struct search f = {name->folder, name->inbox.len, out};
	int rc = find_mailbox(r, name->folder, pool, row, err);

	buf_add_span(out, name->folder);
	if (rc != 0 || !r->options->fuzzy)
		return rc;
	buf_clear(out);
	rc = folder_list_tree(r->host->store, name->inbox, match, &f, err);
	if (rc < 0 || !out->len)
		return rc < 0 ? rc : 0;
	return find_mailbox(r, buf_span(out), pool, row, err);
}

/* Has it a special use that lmtp_exclude_specialuse names? */
static int is_excluded(const struct router *r, const struct recipient_name *name,
		       const struct mailbox_row *row, struct us_err *err)
{
	struct span rest = span_of(r->options->exclude_specialuse), word;
	struct buf value = BUF_INIT;
	int rc = 0;

	if (rest.len)
		rc = annotation_get(r->host->store, &row->storeid, ANNOTATION_SPECIAL_USE,
				    name->userid, &value, err);
	if (rc > 0)
		rc = 0;
	while (rc == 0 && span_word(&rest, &word))
		rc = span_has_word(buf_span(&value), word);
	buf_free(&value);
	return rc;
}

static int folder_takes_it(const struct router *r, const struct recipient_name *name,
			   struct buf *out, struct us_err *err)
{
	struct pool *pool = pool_new();
	struct mailbox_row row;
	int rc = find_folder(r, name, pool, &row, out, err);

	if (rc > 0)
		rc = (poster_rights(r, buf_span(out), &row) & ACL_POST) != 0;
	if (rc > 0) {
		int excluded = is_excluded(r, name, &row, err);
		rc = excluded < 0 ? excluded : !excluded;
	}
	pool_free(&pool);
	return rc;
}

int route_place(const struct router *r, const struct recipient_name *name, struct buf *out,
		struct us_err *err)
{
	int rc = name->userid.ptr && name->folder.ptr ? folder_takes_it(r, name, out, err) : 0;

	if (rc != 0)
		return rc < 0 ? rc : 0;
	buf_clear(out);
	buf_add_span(out, name->userid.ptr ? name->inbox : name->folder);
	return 0;
}
