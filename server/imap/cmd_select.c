/* cmd_select.c - SELECT and EXAMINE (RFC 3501, 6.3.1, 6.3.2; CONDSTORE and QRESYNC: RFC 7162).
 *
 *	select	 = ("SELECT" / "EXAMINE") SP mailbox [SP "(" modifier *(SP modifier) ")"]
 *	modifier = "CONDSTORE" / qresync (resync.h)
 *
 * The counters of the mailbox answer all of it: the cost is the same at ten and at a million messages, but for the
 * first unseen message of somebody who is not the owner, and for who resynchronises.
 */
#include "server/base/log.h"
#include "server/base/mem.h"
#include "server/imap/access.h"
#include "server/imap/reply.h"
#include "server/imap/selected.h"
#include "server/imap/session.h"
#include "server/imap/token.h"
#include "server/session/proc_note.h"
#include "server/store/quota.h"

static int parse_modifier(struct parse *p, struct args_select *a, struct us_err *err)
{
	struct span word = token_atom(&p->s);

	if (!p->s.bad && span_is_nocase(word, "CONDSTORE")) {
		a->condstore = true;
		return 0;
	}
	if (!p->s.bad && span_is_nocase(word, "ANNOTATE")) {
		a->annotate = true;
		return 0;
	}
	if (p->s.bad || !span_is_nocase(word, "QRESYNC")) {
		if (word.len > 64)
			word.len = 64;
		return us_fail(err, US_EPROTO, "Invalid %s modifier %.*s", p->command->shown,
			       SPAN_ARG(word));
	}
	a->has_resync = true;
	a->resync = resync_parse(&p->s, p->pool);
	if (p->s.bad)
		return us_fail(err, US_EPROTO, "Invalid QRESYNC parameter list in %s",
			       p->command->shown);
	return 0;
}

/* SP "(" modifier *(SP modifier) ")" (RFC 4466, 2.1) */
static int parse_modifiers(struct parse *p, struct args_select *a, struct us_err *err)
{
	int rc;

	if (!scan_skip(&p->s, ' ') || !scan_skip(&p->s, '('))
		return us_fail(err, US_EPROTO, "Invalid modifier list in %s", p->command->shown);
	do
		rc = parse_modifier(p, a, err);
	while (rc == 0 && scan_skip(&p->s, ' '));
	if (rc == 0 && !scan_skip(&p->s, ')'))
		return us_fail(err, US_EPROTO, "Invalid modifier list in %s", p->command->shown);
	return rc < 0 ? rc : parse_end(p, err);
}

int parse_select(struct parse *p, void **args, struct us_err *err)
{
	struct args_select *a = pool_alloc(p->pool, sizeof(*a));
	int rc = 0;

	token_space(&p->s);
	a->mailbox = token_astring(&p->s, p->pool);
	if (p->s.bad)
		return parse_missing(p, err);
	if (!scan_end(&p->s))
		rc = parse_modifiers(p, a, err);
	if (rc == 0)
		*args = a;
	return rc;
}

/* ---- the warning of a full mailbox ------------------------------------------------------------------ */

static const char *const resources[STATE_RESOURCES] = STATE_RESOURCE_NAMES;

/* Is so little left that he should know? quotawarnkb and quotawarnmsg keep a big quota from warning early. */
static bool is_near(const struct conf *conf, int resource, uint64_t used, uint64_t limit)
{
	uint64_t left = limit > used ? limit - used : 0;
	int64_t kib = conf_bytes(conf, CONF_quotawarnkb) / 1024;
	int messages = conf_int(conf, CONF_quotawarnmsg);

	if (used * 100 < limit * (uint64_t)conf_int(conf, CONF_quotawarn))
		return false;
	if (resource == STATE_STORAGE && kib > 0)
		return left < (uint64_t)kib;
	return resource != STATE_MESSAGE || messages <= 0 || left < (uint64_t)messages;
}

static void warn_resource(struct imap_session *s, int resource, uint64_t used, int64_t limit)
{
	if (limit < 0 || !is_near(s->host->conf, resource, used, (uint64_t)limit))
		return;
	if (used > (uint64_t)limit || !limit)
		reply_untagged(s->out, "NO [ALERT] Mailbox is over %s quota", resources[resource]);
	else
		reply_untagged(s->out, "NO [ALERT] Mailbox is at %u%% of %s quota",
			       (unsigned)(used * 100 / (uint64_t)limit), resources[resource]);
}

static int warn_of_root(struct imap_session *s, struct span root, struct us_err *err)
{
	struct state_quota quota;
	struct quota_usage usage;
	bool limited = false;
	int rc = quota_get(s->host->store, root, &quota, err);

	for (int i = 0; rc > 0 && i < STATE_RESOURCES; i++)
		limited |= quota.limit[i] != STATE_NO_LIMIT;
	if (!limited)
		return rc < 0 ? rc : 0;
	rc = quota.limit[STATE_ANNOTATION_STORAGE] == STATE_NO_LIMIT
		     ? quota_usage_of_messages(s->host->store, root, &usage, err)
		     : quota_usage(s->host->store, root, &usage, err);
	for (int i = 0; rc == 0 && i < STATE_RESOURCES; i++)
		warn_resource(s, i, usage.used[i], quota.limit[i]);
	return rc;
}

/* Only who could make it fuller is told. A failure is no reason not to open the mailbox. */
static void warn_of_quota(struct imap_session *s, const struct selected *sel)
{
	struct us_err err = US_ERR_INIT;
	struct buf root = BUF_INIT;
	int rc = 0;

	if (sel->rights & ACL_INSERT)
		rc = quota_root_of(s->host->store, buf_span(&sel->mailbox->name), &root, &err);
	if (rc > 0)
		rc = warn_of_root(s, buf_span(&root), &err);
	if (rc < 0)
		log_event(LOG_WARNING, "imap.quota.unknown", LF_ERR(&err));
	buf_free(&root);
}

/* ---- the command ----------------------------------------------------------------------------------- */

static void tell_state(struct imap_session *s, struct selected *sel)
{
	const struct counters *c = &sel->mailbox->view.counters;
	uint32_t unseen = selected_first_unseen(sel);

	reply_untagged(s->out, "%u EXISTS", sel->exists);
	reply_untagged(s->out, "%u RECENT", sel->recent);
	selected_put_names(sel, s->out);
	if (unseen)
		reply_untagged(s->out, "OK [UNSEEN %u] Ok", unseen);
	reply_untagged(s->out, "OK [UIDVALIDITY %u] Ok", c->uidvalidity);
	reply_untagged(s->out, "OK [UIDNEXT %u] Ok", sel->last_uid + 1);
	reply_untagged(s->out, "OK [HIGHESTMODSEQ %llu] Ok", (unsigned long long)sel->told_modseq);
	reply_untagged(s->out, "OK [MAILBOXID (%.*s)] Ok", SPAN_ARG(sel->mailbox->row.uniqueid));
	if (sel->examined)
		reply_untagged(s->out, "OK [ANNOTATIONS READ-ONLY] Ok");
	else
		reply_untagged(s->out, "OK [ANNOTATIONS %u] Ok",
			       store_config(s->host->store)->limits.annotation_value);
}

static int open_mailbox(struct imap_session *s, const struct args_select *a, bool examine,
			struct us_err *err)
{
	struct access access;
	int rc;

	if (a->has_resync && !(s->enabled & IMAP_QRESYNC)) /* RFC 7162, 3.2.5 */
		return imap_bad(s, "Invalid %s modifier QRESYNC", s->command->shown);
	/* Whatever comes of it, nothing is selected any more (RFC 3501, 6.3.1). */
	if (s->selected) {
		imap_leave_mailbox(s);
		reply_untagged(s->out, "OK [CLOSED] Ok");
	}
	rc = access_lookup(s, a->mailbox, ACL_READ, &access, err);
	if (rc == 0)
		rc = selected_open(s, access.name, access.rights, examine, &s->selected, err);
	if (rc < 0)
		return rc;
	s->selected->tells_annotations = a->annotate;
	if (a->condstore)
		s->enabled |= IMAP_CONDSTORE;
	warn_of_quota(s, s->selected);
	tell_state(s, s->selected);
	if (a->has_resync)
		resync_tell(s->selected, &a->resync, s->out);
	log_context("mailbox", s->selected->mailbox->name.data);
	proc_note_mailbox(s->conn->note, buf_span(&s->selected->mailbox->name));
	return imap_ok(s, "[READ-%s] Completed", s->selected->read_only ? "ONLY" : "WRITE");
}

int run_select(struct imap_session *s, const void *args, struct us_err *err)
{
	return open_mailbox(s, args, /* examine */ false, err);
}

int run_examine(struct imap_session *s, const void *args, struct us_err *err)
{
	return open_mailbox(s, args, /* examine */ true, err);
}
