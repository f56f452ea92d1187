/* cmd_copy.c - COPY (RFC 3501, 6.4.7; COPYUID: RFC 4315) and MOVE (RFC 6851).
 *
 * A copy is a hard link and a record: flags, keywords, dates and annotations go along as far as the rights there
 * reach. All of them come into the target by one commit, or none. COPY locks the target only: what is copied is as
 * this session sees it, and a file that went meanwhile ends the whole.
 *
 * MOVE locks both, so that of two who move a message one finds it gone. When the copies are durable the originals are
 * expunged, again by one commit: whatever happens in between, each message is in at least one of the two.
 */
#include "server/base/mem.h"
#include "server/imap/expunge.h"
#include "server/imap/reply.h"
#include "server/imap/selected.h"
#include "server/imap/session.h"
#include "server/imap/token.h"
#include "server/imap/target.h"
#include "server/store/acl.h"
#include "server/store/commit.h"
#include "server/store/copy.h"
#include "server/store/quota.h"

struct args_copy {
	struct token_set set;
	struct span mailbox;
};

int parse_copy(struct parse *p, void **out, struct us_err *err)
{
	struct args_copy *args = pool_alloc(p->pool, sizeof(*args));
	int rc;

	rc = parse_sequence_set(p, &args->set, err);
	if (rc < 0)
		return rc;
	token_space(&p->s);
	args->mailbox = token_astring(&p->s, p->pool);
	rc = parse_end(p, err);
	if (rc == 0)
		*out = args;
	return rc;
}

/* ---- one copy ------------------------------------------------------------------------------------ */

struct copying {
	struct imap_session *s;
	struct selected *from;
	struct target to;
	bool moves;
	struct commit *commit;
	struct uidset uids; /* to be copied: live, all of them */
	struct uidset here, there, seen;
};

static int copy_one(struct copying *c, const struct record *r, struct us_err *err)
{
	uint32_t flags = selected_flags(c->from, r), here = r->uid, there;
	struct copy_what what = {.system_flags = target_flags(&c->to, flags),
				 .keywords = c->to.rights & ACL_WRITE,
				 .annotations = c->to.rights & ACL_ANNOTATEMSG,
				 .userid = span_of(c->s->identity->user)};
	int rc = copy_message(c->commit, c->from->mailbox, r, &what, &there, err);

	if (rc < 0)
		return rc;
	uidset_add(&c->here, here, here);
	uidset_add(&c->there, there, there);
	if (flags & FLAG_SEEN)
		uidset_add(&c->seen, there, there);
	return 0;
}

/* ---- all of them --------------------------------------------------------------------------------- */

/* What is to be copied, and how much it is: false if a message that was asked for is gone. */
static bool gather(struct copying *c, const struct uidset *asked, struct quota_wanted *wanted)
{
	struct selected_walk walk = selected_walk(c->from, asked);
	const struct record *r;
	bool complete = true;
	uint32_t seq;

	while ((r = selected_next(&walk, &seq))) {
		if (!record_is_live(r)) {
			complete = false;
			continue;
		}
		uidset_add(&c->uids, r->uid, r->uid);
		wanted->bytes += r->size;
		wanted->messages++;
		wanted->annotation_bytes += r->annot_bytes;
	}
	return complete;
}

/* By UID, for within one mailbox the view moves as we copy. */
static int add_messages(struct copying *c, struct us_err *err)
{
	struct view *v = &c->from->mailbox->view;
	uint32_t uid = uidset_next(&c->uids, 1);
	int rc = 0;

	for (; rc == 0 && uid; uid = uid == UINT32_MAX ? 0 : uidset_next(&c->uids, uid + 1)) {
		const struct record *r = view_find(v, uid);

		if (!r || !record_is_live(r))
			return us_fail(err, US_ENOENT, "message %u is gone", uid);
		rc = copy_one(c, r, err);
	}
	return rc;
}

static int copy_messages(struct copying *c, struct us_err *err)
{
	int rc = commit_begin(c->to.mailbox, &c->commit, err);

	if (rc < 0)
		return rc;
	if (!c->to.is_selected)
		commit_also(c->commit, (struct store_change){CHANGE_DOUBLEMAILBOX,
							     buf_span(&c->from->mailbox->name),
							     buf_span(&c->to.mailbox->name)});
	rc = add_messages(c, err);
	if (rc < 0)
		commit_abort(&c->commit);
	else
		rc = commit_finish(&c->commit, err);
	return rc;
}

/* ---- handler ------------------------------------------------------------------------------------- */

static int tell_uids(struct copying *c)
{
	struct buf here = BUF_INIT, there = BUF_INIT;
	uint32_t uidvalidity = c->to.mailbox->view.counters.uidvalidity;
	int rc = 0;

	uidset_format(&c->here, &here);
	uidset_format(&c->there, &there);
	if (c->moves) /* before the expunges, which are news (RFC 6851, 4.3) */
		reply_untagged(c->s->out, "OK [COPYUID %u %s %s] Completed", uidvalidity, here.data,
			       there.data);
	else
		rc = imap_ok(c->s, "[COPYUID %u %s %s] Completed", uidvalidity, here.data,
			     there.data);
	buf_free(&here);
	buf_free(&there);
	return rc;
}

/* What moves within a root makes it no fuller. */
static int check_quota(struct copying *c, const struct access *a, const struct quota_wanted *wanted,
		       struct us_err *err)
{
	struct store *store = c->s->host->store;
	struct buf from = BUF_INIT, to = BUF_INIT;
	bool same = false;
	int rc = 0;

	if (c->moves)
		rc = quota_root_of(store, buf_span(&c->from->mailbox->name), &from, err);
	if (rc > 0)
		rc = quota_root_of(store, a->name, &to, err);
	if (rc > 0)
		same = span_eq(buf_span(&from), buf_span(&to));
	if (rc >= 0 && !same)
		rc = quota_check(store, a->name, wanted, err);
	buf_free(&from);
	buf_free(&to);
	return rc < 0 ? rc : 0;
}

/* With the target open. */
static int transfer(struct copying *c, const struct access *a, const struct quota_wanted *wanted,
		    struct us_err *err)
{
	int rc = check_quota(c, a, wanted, err);

	if (rc == 0)
		rc = copy_messages(c, err);
	if (rc < 0)
		return rc;
	target_add_seen(&c->to, &c->seen);
	if (c->moves)
		rc = expunge_moved(c->from, &c->here, err);
	return rc < 0 ? rc : 0;
}

static int copy_to(struct copying *c, const struct access *a, const struct uidset *asked,
		   struct us_err *err)
{
	struct quota_wanted wanted = {0};
	int rc = c->moves ? target_open_beside(c->s, a, &c->to, err) : 0;

	if (rc < 0)
		return rc;
	/* A UID of nothing is passed over (RFC 3501, 6.4.8); a number is always a message's. */
	if (!gather(c, asked, &wanted) && !c->s->uid_form)
		return target_fail(c->s, US_ENOENT);
	if (!wanted.messages)
		return 0;
	if (!c->moves)
		rc = target_open(c->s, a, &c->to, err);
	if (rc < 0)
		return rc;
	rc = transfer(c, a, &wanted, err);
	return rc < 0 ? target_fail(c->s, rc) : tell_uids(c);
}

static int run(struct copying *c, const struct args_copy *args, struct us_err *err)
{
	struct uidset asked = UIDSET_INIT;
	struct access a;
	int rc;

	if (selected_resolve(c->from, &args->set, c->s->uid_form, &asked, NULL) < 0)
		return imap_no(c->s, "No matching messages");
	rc = target_find(c->s, args->mailbox, &a, err);
	if (rc > 0)
		rc = copy_to(c, &a, &asked, err);
	target_close(&c->to);
	uidset_free(&asked);
	uidset_free(&c->uids);
	uidset_free(&c->here);
	uidset_free(&c->there);
	uidset_free(&c->seen);
	return rc;
}

int run_copy(struct imap_session *s, const void *args, struct us_err *err)
{
	struct copying c = {.s = s, .from = s->selected};

	return run(&c, args, err);
}

int run_move(struct imap_session *s, const void *args, struct us_err *err)
{
	struct copying c = {.s = s, .from = s->selected, .moves = true};
	uint32_t needed = ACL_DELETEMSG | ACL_EXPUNGE;

	if (c.from->read_only || (c.from->rights & needed) != needed)
		return us_fail(err, US_EPERM, "no right to take messages away");
	return run(&c, args, err);
}
