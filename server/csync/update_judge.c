/* update_judge.c - can an APPLY MAILBOX be carried out? see update.h.
 *
 * In the order of csync-protocol 7.5: SINCE, type, HIGHESTMODSEQ, UIDVALIDITY, LAST_UID, then the records one by one. Nothing is
 * written here.
 */
#include "server/base/mem.h"
#include "server/csync/csync_private.h"
#include "server/csync/spool.h"

/* ---- header ------------------------------------------------------------------------------------- */

static uint64_t our_highest(const struct csync_update *u)
{
	return !u->m || u->made ? 0 : mailbox_highestmodseq(u->m);
}

static int judge_since(struct csync_update *u, struct us_err *err)
{
	const struct state_mailbox *s = &u->said.state;
	struct sums theirs = {s->since_crc, s->since_crc_annot};

	if (!s->since_modseq ||
	    (s->since_modseq == our_highest(u) && csync_update_sums_fit(u, theirs)))
		return 0;
	return us_fail(err, US_ECHANGED, "%.*s is not as it was at modseq %llu", SPAN_ARG(s->name),
		       (unsigned long long)s->since_modseq);
}

static struct span plain_type(struct span type)
{
	return type.len ? type : SPAN_LIT("e");
}

static int ahead(const struct csync_update *u, struct us_err *err, const char *what, uint64_t ours)
{
	return us_fail(err, US_ECHECKSUM, "%.*s is ahead: %s %llu", SPAN_ARG(u->said.state.name),
		       what, (unsigned long long)ours);
}

static int judge_header(struct csync_update *u, struct us_err *err)
{
	const struct state_mailbox *s = &u->said.state;
	const struct counters *c;
	int rc = judge_since(u, err);

	if (rc < 0 || !u->m)
		return rc;
	c = &u->m->view.counters;
	if (!span_eq(plain_type(s->mboxtype), plain_type(u->m->row.type)))
		return us_fail(err, US_EREMOTE, "%s has the type %.*s here", u->m->name.data,
			       SPAN_ARG(u->m->row.type));
	if (u->cs->force)
		return 0;
	if (s->highestmodseq < our_highest(u))
		return ahead(u, err, "modseq", our_highest(u));
	if (s->uidvalidity < c->uidvalidity)
		return ahead(u, err, "uidvalidity", c->uidvalidity);
	if (s->last_uid < c->last_uid)
		return ahead(u, err, "last uid", c->last_uid);
	return 0;
}

/* ---- records ------------------------------------------------------------------------------------- */

static int differ(const struct csync_update *u, const struct state_record *theirs, const char *why,
		  struct us_err *err)
{
	return us_fail(err, US_ECHECKSUM, "%.*s uid %u: %s", SPAN_ARG(u->said.state.name),
		       theirs->uid, why);
}

/* The table of csync-protocol 7.5. Beyond it: of what is expunged on both sides the higher modseq counts, so that a client
 * that resynchronises here (QRESYNC) is told of an expunge the peer first ordered without one. */
int csync_update_step(struct csync_update *u, const struct state_record *theirs,
		      enum csync_step *step, struct us_err *err)
{
	const struct record *ours = u->m ? view_find(&u->m->view, theirs->uid) : NULL;

	*step = CSYNC_STEP_SKIP;
	if (!ours) {
		if (!u->m || theirs->uid > u->m->view.counters.last_uid)
			*step = CSYNC_STEP_APPEND;
		else if (!theirs->expunged)
			return differ(u, theirs, "it was expunged here", err);
		return 0;
	}
	if (!record_is_live(ours) && theirs->expunged) {
		if (theirs->modseq > ours->modseq)
			*step = CSYNC_STEP_MODSEQ;
		return 0;
	}
	if (!guid_eq(&ours->guid, &theirs->guid))
		return differ(u, theirs, "it is another message here", err);
	if (ours->modseq > theirs->modseq && !u->cs->force)
		return differ(u, theirs, "it was changed here", err);
	if (!record_is_live(ours))
		return differ(u, theirs, "it was expunged here", err);
	*step = CSYNC_STEP_CHANGE;
	return 0;
}

/* A live message needs its body, staged by this connection. */
static int check_body(struct csync_update *u, const struct state_record *theirs, struct us_err *err)
{
	char hex[GUID_HEX];
	int rc = u->stage ? 0 : csync_stage(u->cs, u->said.state.partition, &u->stage, err);

	u->appends++;
	if (rc < 0 || theirs->expunged || stage_has(u->stage, &theirs->guid))
		return rc;
	guid_format(&theirs->guid, hex);
	return us_fail(err, US_EREMOTE, "%.*s uid %u: its body %s was not sent",
		       SPAN_ARG(u->said.state.name), theirs->uid, hex);
}

static int judge_record(void *ctx, const struct state_record *theirs, struct us_err *err)
{
	struct csync_update *u = ctx;
	enum csync_step step;
	int rc = csync_update_step(u, theirs, &step, err);

	if (theirs->modseq > u->highest_record)
		u->highest_record = theirs->modseq;
	return rc == 0 && step == CSYNC_STEP_APPEND ? check_body(u, theirs, err) : rc;
}

int csync_update_judge(struct csync_update *u, struct us_err *err)
{
	int rc = judge_header(u, err);

	u->appends = 0;
	if (rc == 0)
		rc = spool_each(u->spool, u->scratch, judge_record, u, err);
	/* A bad record is met behind all that went into the spool. */
	if (rc == 0 && u->said.bad_record)
		rc = us_fail(err, US_EPROTO, "%.*s: a malformed record",
			     SPAN_ARG(u->said.state.name));
	return rc;
}
