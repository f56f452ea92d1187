/* resync.c - see resync.h. */
#include "server/imap/resync.h"

#include "server/imap/selected.h"

/* ---- arguments ----------------------------------------------------------------------------------- */

/* A set of numbers: neither "*" nor "$". */
static struct token_set take_numbers(struct scan *s, struct pool *pool)
{
	struct token_set set = token_sequence_set(s, pool);

	for (size_t i = 0; i < set.n; i++)
		if (set.range[i].from == TOKEN_STAR || set.range[i].to == TOKEN_STAR)
			scan_fail(s);
	if (set.saved)
		scan_fail(s);
	return set;
}

struct resync_args resync_parse(struct scan *s, struct pool *pool)
{
	struct resync_args args = {.uidvalidity = 0};

	token_space(s);
	scan_expect(s, '(');
	args.uidvalidity = token_nz_number(s);
	token_space(s);
	args.modseq = token_number64(s);
	if (scan_skip(s, ' ') && scan_peek(s) != '(') {
		args.has_uids = true;
		args.uids = take_numbers(s, pool);
		args.has_match = scan_skip(s, ' ');
	} else {
		args.has_match = scan_peek(s) == '(';
	}
	if (args.has_match) {
		scan_expect(s, '(');
		args.match_numbers = take_numbers(s, pool);
		token_space(s);
		args.match_uids = take_numbers(s, pool);
		scan_expect(s, ')');
	}
	scan_expect(s, ')');
	return args;
}

/* ---- what vanished ------------------------------------------------------------------------------- */

void resync_put_vanished(struct stream *out, const struct uidset *uids, bool earlier)
{
	struct buf text = BUF_INIT;

	if (uidset_is_empty(uids))
		return;
	uidset_format(uids, &text);
	stream_write_str(out, earlier ? "* VANISHED (EARLIER) " : "* VANISHED ");
	stream_write_span(out, buf_span(&text));
	stream_write_str(out, "\r\n");
	buf_free(&text);
}

/* Expunged records that are still there. */
static void add_expunged(struct selected *sel, const struct uidset *asked, uint64_t modseq,
			 struct uidset *gone)
{
	struct view *v = &sel->mailbox->view;
	struct view_walk walk = view_walk_since(v, 1, modseq);
	const struct record *r;

	while ((r = view_next(v, &walk)))
		if (r->modseq > modseq && !record_is_live(r) && r->uid <= sel->last_uid &&
		    uidset_has(asked, r->uid) && !selected_seq(sel, r->uid))
			uidset_add(gone, r->uid, r->uid);
}

/* Every UID above `from` that is no message's. */
static void add_absent(struct selected *sel, const struct uidset *asked, uint32_t from,
		       struct uidset *gone)
{
	struct uidset absent = UIDSET_INIT;

	for (size_t i = 0; i < asked->n && asked->range[i].low <= sel->last_uid; i++) {
		uint32_t high = asked->range[i].high;

		uidset_add(&absent, asked->range[i].low,
			   high < sel->last_uid ? high : sel->last_uid);
	}
	if (from)
		uidset_remove(&absent, 1, from);
	for (size_t i = 0; i < sel->map.n; i++)
		uidset_remove(&absent, sel->map.run[i].uid,
			      sel->map.run[i].uid + seqmap_run_length(&sel->map, i) - 1);
	for (size_t i = 0; i < absent.n; i++)
		uidset_add(gone, absent.range[i].low, absent.range[i].high);
	uidset_free(&absent);
}

/* `sure_uid`: up to it the client knows what is gone. */
static void tell_vanished(struct selected *sel, const struct uidset *asked, uint64_t modseq,
			  uint32_t sure_uid, struct stream *out)
{
	struct uidset gone = UIDSET_INIT;

	selected_map(sel);
	add_expunged(sel, asked, modseq, &gone);
	if (modseq < sel->mailbox->view.counters.deletedmodseq)
		add_absent(sel, asked, sure_uid, &gone);
	resync_put_vanished(out, &gone, /* earlier */ true);
	uidset_free(&gone);
}

void resync_tell_vanished(struct selected *sel, const struct uidset *uids, uint64_t modseq,
			  struct stream *out)
{
	tell_vanished(sel, uids, modseq, 0, out);
}

/* ---- SELECT -------------------------------------------------------------------------------------- */

/* The client's numbers and ours, side by side: where a message has the same number in both, nothing below it is gone
 * that the client does not know of. */
static uint32_t find_sure_uid(struct selected *sel, const struct resync_args *args)
{
	struct uidset numbers = UIDSET_INIT, uids = UIDSET_INIT;
	uint32_t sure = 0, number, uid;

	(void)token_set_resolve(&args->match_numbers, sel->map.count, &numbers);
	(void)token_set_resolve(&args->match_uids, sel->last_uid, &uids);
	number = uidset_next(&numbers, 1);
	uid = uidset_next(&uids, 1);
	while (number && uid && seqmap_uid(&sel->map, number) == uid) {
		sure = uid;
		number = uidset_next(&numbers, number + 1);
		uid = uid == UINT32_MAX ? 0 : uidset_next(&uids, uid + 1);
	}
	uidset_free(&numbers);
	uidset_free(&uids);
	return sure;
}

static void tell_changed(struct selected *sel, const struct uidset *asked, uint64_t modseq,
			 struct stream *out)
{
	struct view *v = &sel->mailbox->view;
	struct view_walk walk = view_walk_since(v, 1, modseq);
	const struct record *r;
	uint32_t seq;

	while ((r = view_next_live(v, &walk)))
		if (r->modseq > modseq && uidset_has(asked, r->uid) &&
		    (seq = selected_seq(sel, r->uid)))
			selected_put_change(sel, out, seq, r);
}

void resync_tell(struct selected *sel, const struct resync_args *args, struct stream *out)
{
	uint64_t modseq = args->modseq;
	struct uidset asked = UIDSET_INIT;

	if (args->uidvalidity != sel->mailbox->view.counters.uidvalidity)
		return;
	if (modseq > mailbox_highestmodseq(sel->mailbox))
		modseq = 0;
	selected_map(sel);
	if (args->has_uids)
		(void)token_set_resolve(&args->uids, sel->last_uid, &asked);
	else if (sel->last_uid)
		uidset_add(&asked, 1, sel->last_uid);
	tell_vanished(sel, &asked, modseq, args->has_match ? find_sure_uid(sel, args) : 0, out);
	tell_changed(sel, &asked, modseq, out);
	uidset_free(&asked);
}
