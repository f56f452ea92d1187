/* decide_mailbox.c - see decide_mailbox.h. The rules are M1 to M9 of doc/RECONCILE.md. */
#include "reconcile/decide_mailbox.h"

#include "reconcile/sums.h"
#include "reconcile/wire_mailbox.h"

/* ---- values that the replica has ahead of us ---------------------------------------------------------- */

static void take_higher(struct mailbox_decision *d, const struct state_mailbox *replica)
{
	if (replica->uidvalidity > d->header.uidvalidity)
		d->header.uidvalidity = d->take_uidvalidity = replica->uidvalidity;
	if (replica->raclmodseq > d->header.raclmodseq)
		d->header.raclmodseq = d->take_raclmodseq = replica->raclmodseq;
	if (replica->foldermodseq > d->header.foldermodseq)
		d->header.foldermodseq = d->take_foldermodseq = replica->foldermodseq;
}

/* ---- comparing ----------------------------------------------------------------------------------- */

/* "" and "e" are one type. */
static bool same_type(struct span a, struct span b)
{
	struct span plain = SPAN_LIT("e");

	return span_eq(a.len ? a : plain, b.len ? b : plain);
}

/* A Cyrus that makes a mailbox gives it the new kind of UIDL, and takes what the command says only with its first message. */
static bool same_options(const struct state_mailbox *local, const struct state_mailbox *replica)
{
	uint32_t differ = local->options ^ replica->options;

	return !(local->last_uid ? differ : differ & ~(uint32_t)MAILBOX_OPTION_POP3_NEW_UIDL);
}

static bool same_counters(const struct state_mailbox *a, const struct state_mailbox *b)
{
	return a->last_uid == b->last_uid && a->highestmodseq == b->highestmodseq &&
	       a->uidvalidity == b->uidvalidity && a->recentuid == b->recentuid &&
	       a->recenttime == b->recenttime && a->pop3_last_login == b->pop3_last_login &&
	       a->pop3_show_after == b->pop3_show_after && same_options(a, b);
}

/* A modseq that one side does not say, or does not count, is no difference. */
static bool same_modseqs(const struct state_mailbox *local, const struct state_mailbox *replica,
			 const struct decide_options *options)
{
	if (replica->foldermodseq && local->foldermodseq != replica->foldermodseq)
		return false;
	if (options->reverse_acls && local->raclmodseq && replica->raclmodseq &&
	    local->raclmodseq != replica->raclmodseq)
		return false;
	return !options->conversations || local->xconvmodseq == replica->xconvmodseq;
}

static bool same_header(const struct state_mailbox *local, const struct state_mailbox *replica,
			const struct decide_options *options)
{
	return same_type(local->mboxtype, replica->mboxtype) && same_counters(local, replica) &&
	       same_modseqs(local, replica, options) && span_eq(local->acl, replica->acl) &&
	       decide_same_annotations(local->annotations, local->n_annotations,
				       replica->annotations, replica->n_annotations);
}

/* ---- deciding ------------------------------------------------------------------------------------ */

/* The server would refuse it, or would keep what is gone here. */
static bool needs_full(const struct mailbox_decision *d, const struct state_mailbox *local,
		       const struct state_mailbox *replica)
{
	return d->gaps || local->highestmodseq < replica->highestmodseq ||
	       local->last_uid < replica->last_uid;
}

static enum mailbox_step step_of(const struct mailbox_decision *d,
				 const struct state_mailbox *local,
				 const struct state_mailbox *replica,
				 const struct decide_options *options, unsigned look)
{
	bool same = !(look & MAILBOX_ON_THE_WAY) && same_header(&d->header, replica, options);

	if (same && sums_agree(sums_said(local), sums_said(replica)))
		return MAILBOX_SAME;
	if (same && !(look & MAILBOX_RECOUNTED))
		return MAILBOX_RECOUNT;
	return look & MAILBOX_FIRST && !options->force && needs_full(d, local, replica)
		       ? MAILBOX_FULL
		       : MAILBOX_SEND;
}

static void say_since(struct state_mailbox *header, const struct state_mailbox *replica)
{
	header->has_since = replica->highestmodseq > 0;
	header->since_modseq = replica->highestmodseq;
	header->since_crc = replica->sync_crc;
	header->since_crc_annot = replica->has_sync_crc_annot ? replica->sync_crc_annot : 0;
}

/* A replica that renames a mailbox guesses a modseq for that, one above its highest, which here may be that of a change it has
 * not got. Such a guess shows: it is the last thing that happened there. A rename may have been two, by way of another name. */
static uint64_t trusted(const struct state_mailbox *replica)
{
	uint64_t modseq = replica->highestmodseq;

	if (replica->foldermodseq != modseq)
		return modseq;
	return modseq > 2 ? modseq - 2 : 0;
}

void decide_mailbox(const struct state_mailbox *local, const struct state_mailbox *replica,
		    uint64_t sure, const struct decide_options *options, unsigned look,
		    struct mailbox_decision *out)
{
	struct mailbox_decision d = {.step = MAILBOX_SEND, .header = *local};

	d.header.partition = decide_partition(local, options);
	d.header.has_since = false;
	if (replica) {
		take_higher(&d, replica);
		d.reached = replica->highestmodseq;
		d.since = trusted(replica) < sure ? trusted(replica) : sure;
		d.above_uid = replica->last_uid;
		d.gaps = local->deletedmodseq > d.since;
		d.step = step_of(&d, local, replica, options, look);
		if (look & MAILBOX_FIRST && !(look & MAILBOX_ON_THE_WAY))
			say_since(&d.header, replica);
	}
	*out = d;
}

bool decide_sends(const struct mailbox_decision *d, uint32_t uid, uint64_t modseq)
{
	return modseq > d->since || uid > d->above_uid;
}

bool decide_sends_body(const struct mailbox_decision *d, const struct state_record *r)
{
	return r->uid > d->above_uid && !r->unlinked && decide_sends(d, r->uid, r->modseq);
}
