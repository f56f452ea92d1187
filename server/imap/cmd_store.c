/* cmd_store.c - STORE: change flags (RFC 3501, 6.4.6).
 *
 *	store = SP sequence-set SP ["+" / "-"] "FLAGS" [".SILENT"] SP (flag-list / flag *(SP flag))
 *
 * Whoever lacks a right to one of the flags he names changes none (as in Cyrus). Unless .SILENT, the flags of
 * every message of the set are shown, also of those that had them already, as if fetched.
 */
#include "server/base/mem.h"
#include "server/imap/flag_change.h"
#include "server/imap/reply.h"
#include "server/imap/session.h"
#include "server/imap/token.h"

struct args_store {
	struct token_set set;
	bool silent;
	struct flag_change change;
};

/* ---- arguments ----------------------------------------------------------------------------------- */

static int parse_how(struct parse *p, struct args_store *args, struct us_err *err)
{
	args->change.how = scan_skip(&p->s, '+')   ? FLAGS_ADD
			   : scan_skip(&p->s, '-') ? FLAGS_REMOVE
						   : FLAGS_REPLACE;
	args->silent = token_is_word(&p->s, "FLAGS.SILENT");
	if (!args->silent && !token_is_word(&p->s, "FLAGS"))
		return us_fail(err, US_EPROTO, "Invalid Store attribute");
	return 0;
}

/* In brackets or not. */
static struct token_list parse_flags(struct parse *p)
{
	struct scan *s = &p->s;
	struct token_list list = {NULL, 0};
	struct span *flag;
	size_t most = 1;

	if (scan_peek(s) == '(')
		return token_flag_list(s, p->pool);
	for (size_t i = s->at; i < s->text.len; i++)
		most += s->text.ptr[i] == ' ';
	flag = pool_alloc(p->pool, us_mul_size(most, sizeof(*flag)));
	do
		flag[list.n++] = token_flag(s);
	while (!s->bad && scan_skip(s, ' '));
	list.item = flag;
	return list;
}

/* Sort them into system flags and keywords. */
static int sort_flags(struct parse *p, const struct token_list *flags, struct flag_change *out,
		      struct us_err *err)
{
	struct span *keyword = pool_alloc(p->pool, us_mul_size(flags->n + 1, sizeof(*keyword)));

	out->keyword = keyword;
	for (size_t i = 0; i < flags->n; i++) {
		uint32_t flag = token_system_flag(flags->item[i]);

		if (!flag && flags->item[i].ptr[0] == '\\')
			return us_fail(err, US_EPROTO, "Invalid system flag in %s command",
				       p->command->shown);
		if (flag)
			out->system |= flag;
		else
			keyword[out->n_keywords++] = flags->item[i];
	}
	return 0;
}

int parse_store(struct parse *p, void **out, struct us_err *err)
{
	struct args_store *args = pool_alloc(p->pool, sizeof(*args));
	struct token_list flags;
	int rc;

	rc = parse_sequence_set(p, &args->set, err);
	if (rc < 0)
		return rc;
	if (!scan_skip(&p->s, ' '))
		return parse_missing(p, err);
	rc = parse_how(p, args, err);
	if (rc == 0 && !scan_skip(&p->s, ' '))
		return parse_missing(p, err);
	if (rc < 0)
		return rc;
	flags = parse_flags(p);
	if (p->s.bad)
		return us_fail(err, US_EPROTO, "Invalid flag name in %s command",
			       p->command->shown);
	rc = sort_flags(p, &flags, &args->change, err);
	if (rc == 0)
		rc = parse_end(p, err);
	if (rc == 0)
		*out = args;
	return rc;
}

/* ---- handler ------------------------------------------------------------------------------------- */

static void show_flags(struct imap_session *s, const struct uidset *uids)
{
	struct selected *sel = s->selected;
	struct selected_walk walk;
	const struct record *r;
	uint32_t seq;

	selected_tell_names(sel, s->out);
	walk = selected_walk(sel, uids);
	while ((r = selected_next(&walk, &seq))) {
		if (!record_is_live(r))
			continue;
		stream_write_str(s->out, "* ");
		reply_number(s->out, seq);
		stream_write_str(s->out, " FETCH (FLAGS ");
		selected_put_flags(sel, s->out, r);
		if (s->uid_form) {
			stream_write_str(s->out, " UID ");
			reply_number(s->out, r->uid);
		}
		stream_write_str(s->out, ")\r\n");
	}
}

int run_store(struct imap_session *s, const void *arg, struct us_err *err)
{
	const struct args_store *args = arg;
	struct uidset uids = UIDSET_INIT, changed = UIDSET_INIT;
	int rc = 0;

	if (s->selected->read_only || !flag_change_allowed(&args->change, s->selected->rights))
		return us_fail(err, US_EPERM, "no right to change these flags");
	/* Numbers of no message are not an error, as in Cyrus. */
	if (selected_resolve(s->selected, &args->set, s->uid_form, &uids, NULL) == 0)
		rc = flag_change_run(s->selected, &uids, &args->change, &changed, err);
	if (rc == 0 && !args->silent)
		show_flags(s, &uids);
	uidset_free(&uids);
	uidset_free(&changed);
	if (rc == US_ELIMIT)
		return imap_no(s, "[LIMIT] Too many user flags in mailbox");
	return rc;
}
