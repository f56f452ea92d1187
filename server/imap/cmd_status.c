/* cmd_status.c - STATUS (RFC 3501, 6.3.10; SIZE: RFC 8438), and status.h.
 *
 * For the owner all of it is in the counters. RECENT looks at the messages nobody has claimed yet; UNSEEN for somebody else
 * than the owner has to look at every message.
 */
#include "server/base/mem.h"
#include "server/imap/access.h"
#include "server/imap/reply.h"
#include "server/imap/selected.h"
#include "server/imap/session.h"
#include "server/imap/status.h"
#include "server/imap/token.h"
#include "server/store/userdata.h"

static const struct {
	const char *name;
	enum status_item item;
} items[] = {
	{"MESSAGES", STATUS_MESSAGES},   {"RECENT", STATUS_RECENT},
	{"UIDNEXT", STATUS_UIDNEXT},     {"UIDVALIDITY", STATUS_UIDVALIDITY},
	{"UNSEEN", STATUS_UNSEEN},       {"SIZE", STATUS_SIZE},
	{"MAILBOXID", STATUS_MAILBOXID}, {"HIGHESTMODSEQ", STATUS_HIGHESTMODSEQ},
};

int status_parse(struct parse *p, unsigned *out, struct us_err *err)
{
	if (!scan_skip(&p->s, '('))
		return us_fail(err, US_EPROTO, "Bad status string");
	do {
		struct span word = token_atom(&p->s);
		size_t i = 0;

		if (p->s.bad)
			return us_fail(err, US_EPROTO, "Bad status string");
		while (i < ARRAY_SIZE(items) && !span_is_nocase(word, items[i].name))
			i++;
		if (i == ARRAY_SIZE(items))
			return us_fail(err, US_EPROTO, "Invalid Status attributes %s",
				       parse_small(p, word));
		*out |= items[i].item;
	} while (scan_skip(&p->s, ' '));
	return scan_skip(&p->s, ')') ? 0 : us_fail(err, US_EPROTO, "Bad status string");
}

/* status = "STATUS" SP mailbox SP status-atts */
int parse_status(struct parse *p, void **args, struct us_err *err)
{
	struct args_status *a = pool_alloc(p->pool, sizeof(*a));
	int rc;

	token_space(&p->s);
	a->mailbox = token_astring(&p->s, p->pool);
	token_space(&p->s);
	if (p->s.bad)
		return parse_missing(p, err);
	rc = status_parse(p, &a->items, err);
	if (rc == 0)
		rc = parse_end(p, err);
	if (rc == 0)
		*args = a;
	return rc;
}

/* ---- figures --------------------------------------------------------------------------------------- */

struct figures {
	struct counters c;
	uint32_t recent, unseen;
};

static uint32_t count_above(struct mailbox *m, uint32_t uid)
{
	struct view_walk walk = view_walk(&m->view, uid + 1);
	uint32_t n = 0;

	while (view_next_live(&m->view, &walk))
		n++;
	return n;
}

static uint32_t count_unseen(struct mailbox *m, const struct uidset *seen)
{
	struct view_walk walk = view_walk(&m->view, 1);
	const struct record *r;
	uint32_t n = 0;

	while ((r = view_next_live(&m->view, &walk)))
		n += !uidset_has(seen, r->uid);
	return n;
}

/* What the counters do not tell: the messages themselves are looked at. */
static int count(struct imap_session *s, const struct access *access, unsigned wanted,
		 const struct state_seen *seen, struct figures *f, struct us_err *err)
{
	uint32_t recent_uid = seen ? seen->lastuid : f->c.recentuid;
	struct mailbox *m = NULL;
	int rc;

	if (!(wanted & STATUS_RECENT && recent_uid < f->c.last_uid) &&
	    !(wanted & STATUS_UNSEEN && seen))
		return 0;
	rc = mailbox_open(s->host->store, access->name, &m, err);
	if (rc < 0)
		return rc;
	f->c = m->view.counters; /* as of the same moment */
	f->recent = count_above(m, recent_uid);
	if (seen) {
		struct uidset set = UIDSET_INIT;

		(void)uidset_parse(seen->seenuids, &set); /* what is malformed was seen by nobody */
		f->unseen = count_unseen(m, &set);
		uidset_free(&set);
	} else {
		f->unseen = m->view.counters.unseen;
	}
	mailbox_close(&m);
	return 0;
}

static int find_figures(struct imap_session *s, const struct access *access, unsigned wanted,
			struct figures *f, struct us_err *err)
{
	struct state_seen seen = {.seenuids = SPAN_LIT("")};
	bool own;
	int rc = mailbox_peek(s->host->store, &access->row, &f->c, err);

	if (rc < 0)
		return rc;
	own = seen_is_own(s, access->name, f->c.options);
	f->unseen = f->c.unseen;
	if (!own)
		rc = seen_get(s->host->store, span_of(s->identity->user), access->row.uniqueid,
			      s->pool, &seen, err);
	return rc < 0 ? rc : count(s, access, wanted, own ? NULL : &seen, f, err);
}

static uint64_t figure(const struct figures *f, enum status_item item)
{
	switch (item) {
	case STATUS_MESSAGES:
		return f->c.exists;
	case STATUS_RECENT:
		return f->recent;
	case STATUS_UIDNEXT:
		return (uint64_t)f->c.last_uid + 1;
	case STATUS_UIDVALIDITY:
		return f->c.uidvalidity;
	case STATUS_UNSEEN:
		return f->unseen;
	case STATUS_SIZE:
		return f->c.bytes_live;
	case STATUS_HIGHESTMODSEQ:
		return f->c.highestmodseq;
	case STATUS_MAILBOXID: /* no number */
		break;
	}
	us_panic("no such item of STATUS");
}

static void put_items(struct stream *out, const struct access *access, unsigned wanted,
		      const struct figures *f)
{
	const char *blank = "";

	for (size_t i = 0; i < ARRAY_SIZE(items); i++) {
		if (!(wanted & items[i].item))
			continue;
		stream_printf(out, "%s%s ", blank, items[i].name);
		if (items[i].item == STATUS_MAILBOXID)
			stream_printf(out, "(%.*s)", SPAN_ARG(access->row.uniqueid));
		else
			reply_number(out, figure(f, items[i].item));
		blank = " ";
	}
}

int status_put(struct imap_session *s, const struct access *access, struct span shown,
	       unsigned wanted, struct us_err *err)
{
	struct figures f = {.recent = 0};
	int rc = find_figures(s, access, wanted, &f, err);

	if (rc < 0)
		return rc;
	if (f.c.highestmodseq < access->row.lastmodseq)
		f.c.highestmodseq = access->row.lastmodseq;
	if (wanted & STATUS_HIGHESTMODSEQ)
		imap_enable_condstore(s, "STATUS (HIGHESTMODSEQ)");
	if (selected_is(s, access))
		f.recent = s->selected->recent; /* they are this session's now */
	stream_write_str(s->out, "* STATUS ");
	reply_astring(s->out, shown);
	stream_write_str(s->out, " (");
	put_items(s->out, access, wanted, &f);
	stream_write_str(s->out, ")\r\n");
	return 0;
}

int run_status(struct imap_session *s, const void *args, struct us_err *err)
{
	const struct args_status *a = args;
	struct access access;
	int rc = access_lookup(s, a->mailbox, ACL_READ, &access, err);

	return rc < 0 ? rc : status_put(s, &access, a->mailbox, a->items, err);
}
