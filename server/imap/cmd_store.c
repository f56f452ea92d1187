/* cmd_store.c - STORE: change flags (RFC 3501, 6.4.6; UNCHANGEDSINCE: RFC 7162, 3.1.3) or annotations (RFC 5257, 4.5).
 *
 *	store	 = SP sequence-set [SP "(" modifier ")"] SP what
 *	what	 = ["+" / "-"] "FLAGS" [".SILENT"] SP (flag-list / flag *(SP flag)) / "ANNOTATION" SP annotations (annotate.h)
 *	modifier = "UNCHANGEDSINCE" SP modseq
 *
 * Whoever lacks a right to one of the flags he names changes none (as in Cyrus). Unless .SILENT, the flags of
 * every message of the set are shown, also of those that had them already, as if fetched.
 */
#include "server/base/mem.h"
#include "server/imap/annotate_change.h"
#include "server/imap/flag_change.h"
#include "server/imap/session.h"
#include "server/imap/token.h"

struct args_store {
	struct token_set set;
	bool silent;
	struct flag_change change; /* of flags, with the condition for both */
	bool annotates;
	struct annotate_values annotations;
};

/* ---- arguments ----------------------------------------------------------------------------------- */

static int parse_modifier(struct parse *p, struct args_store *args, struct us_err *err)
{
	struct span word = token_atom(&p->s);

	if (p->s.bad || !span_is_nocase(word, "UNCHANGEDSINCE"))
		return us_fail(err, US_EPROTO, "Invalid %s modifier %.*s", p->command->shown,
			       SPAN_ARG(word));
	if (!scan_skip(&p->s, ' '))
		return us_fail(err, US_EPROTO, "Missing required argument to %s UNCHANGEDSINCE",
			       p->command->shown);
	args->change.conditional = true;
	args->change.unchanged_since = token_number64(&p->s);
	if (p->s.bad)
		return us_fail(err, US_EPROTO, "Invalid argument to %s UNCHANGEDSINCE",
			       p->command->shown);
	return 0;
}

/* If there are any. */
static int parse_modifiers(struct parse *p, struct args_store *args, struct us_err *err)
{
	int rc = 0;

	if (!scan_skip(&p->s, '('))
		return 0;
	do
		rc = parse_modifier(p, args, err);
	while (rc == 0 && scan_skip(&p->s, ' '));
	if (rc == 0 && (!scan_skip(&p->s, ')') || !scan_skip(&p->s, ' ')))
		rc = parse_missing(p, err);
	return rc;
}

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

static int parse_annotations(struct parse *p, struct args_store *args, struct us_err *err)
{
	int rc;

	args->annotates = true;
	if (!scan_skip(&p->s, ' '))
		return parse_missing(p, err);
	rc = annotate_values_parse(&p->s, p->pool, &args->annotations, err);
	return rc < 0 ? rc : parse_end(p, err);
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
	rc = parse_modifiers(p, args, err);
	if (rc == 0 && token_is_word(&p->s, "ANNOTATION")) {
		rc = parse_annotations(p, args, err);
		if (rc == 0)
			*out = args;
		return rc;
	}
	if (rc == 0)
		rc = parse_how(p, args, err);
	if (rc == 0 && !scan_skip(&p->s, ' '))
		return parse_missing(p, err);
	if (rc < 0)
		return rc;
	flags = parse_flags(p);
	if (p->s.bad)
		return us_fail(err, US_EPROTO, "Invalid flag name in %s command",
			       p->command->shown);
	if (!token_sort_flags(&flags, p->pool, &args->change.system, &args->change.keyword,
			      &args->change.n_keywords))
		return us_fail(err, US_EPROTO, "Invalid system flag in %s command",
			       p->command->shown);
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
	while ((r = selected_next(&walk, &seq)))
		if (record_is_live(r))
			selected_put_change(sel, s->out, seq, r);
}

/* What a client who is told of MODSEQs needs to know even if he wants silence: the new ones (RFC 7162, 3.1.3). */
static void show_changes(struct imap_session *s, const struct args_store *args, struct uidset *uids,
			 const struct uidset *changed, const struct uidset *modified)
{
	for (size_t i = 0; i < modified->n; i++)
		uidset_remove(uids, modified->range[i].low, modified->range[i].high);
	if (!args->silent)
		show_flags(s, uids);
	else if (s->enabled & IMAP_CONDSTORE)
		show_flags(s, changed);
}

/* In the client's form. */
static int tell_modified(struct imap_session *s, const struct uidset *uids)
{
	struct uidset numbers = UIDSET_INIT;
	struct buf text = BUF_INIT;
	int rc;

	for (uint32_t uid = uidset_next(uids, 1); uid;
	     uid = uid == UINT32_MAX ? 0 : uidset_next(uids, uid + 1)) {
		uint32_t number = s->uid_form ? uid : selected_seq(s->selected, uid);

		uidset_add(&numbers, number, number);
	}
	uidset_format(&numbers, &text);
	rc = imap_ok(s, "[MODIFIED %s] Completed", text.data);
	uidset_free(&numbers);
	buf_free(&text);
	return rc;
}

static int store(struct imap_session *s, const struct args_store *args, struct uidset *uids,
		 struct us_err *err)
{
	struct uidset changed = UIDSET_INIT, modified = UIDSET_INIT;
	int rc = flag_change_run(s->selected, uids, &args->change, &changed, &modified, err);

	if (rc == 0)
		show_changes(s, args, uids, &changed, &modified);
	if (rc == 0 && !uidset_is_empty(&modified))
		rc = tell_modified(s, &modified);
	uidset_free(&changed);
	uidset_free(&modified);
	return rc == US_ELIMIT ? imap_no(s, "[LIMIT] Too many user flags in mailbox") : rc;
}

static int store_annotations(struct imap_session *s, const struct args_store *args,
			     struct uidset *uids, struct us_err *err)
{
	const struct annotate_change change = {args->annotations, args->change.conditional,
					       args->change.unchanged_since};
	struct uidset changed = UIDSET_INIT, modified = UIDSET_INIT;
	int rc = annotate_change_run(s->selected, uids, &change, &changed, &modified, err);

	if (rc == 0 && s->enabled & IMAP_CONDSTORE)
		show_flags(s, &changed); /* with their MODSEQs */
	if (rc == 0 && !uidset_is_empty(&modified))
		rc = tell_modified(s, &modified);
	uidset_free(&changed);
	uidset_free(&modified);
	return rc == US_ELIMIT ? imap_no(s, "[ANNOTATE TOOMANY] Too many annotations") : rc;
}

static int check_rights(struct imap_session *s, const struct args_store *args, struct us_err *err)
{
	const struct selected *sel = s->selected;

	if (args->annotates)
		return sel->examined ? us_fail(err, US_EPERM, "it was opened read-only")
				     : annotate_check(s, &args->annotations, sel->rights, err);
	if (sel->read_only || !flag_change_allowed(&args->change, sel->rights))
		return us_fail(err, US_EPERM, "no right to change these flags");
	return 0;
}

int run_store(struct imap_session *s, const void *arg, struct us_err *err)
{
	const struct args_store *args = arg;
	struct uidset uids = UIDSET_INIT;
	int rc = check_rights(s, args, err);

	if (rc == US_ELIMIT)
		return imap_no(s, "[ANNOTATE TOOBIG] Annotation value is too long");
	if (rc < 0)
		return rc;
	if (args->change.conditional)
		imap_enable_condstore(s, "UNCHANGEDSINCE");
	/* Numbers of no message are not an error, as in Cyrus. */
	if (selected_resolve(s->selected, &args->set, s->uid_form, &uids, NULL) == 0)
		rc = args->annotates ? store_annotations(s, args, &uids, err)
				     : store(s, args, &uids, err);
	uidset_free(&uids);
	return rc;
}
