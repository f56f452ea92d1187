/* list_args.c - what a LIST or LSUB asks for. Pure.
 *
 *	list		= "LIST" [SP select-opts] SP mailbox SP mbox-or-pat [SP "RETURN" SP return-opts]	RFC 5258, 6
 *	select-opts	= "(" [option *(SP option)] ")"
 *	mbox-or-pat	= list-mailbox / "(" list-mailbox *(SP list-mailbox) ")"
 *	return-opts	= "(" [return-opt *(SP return-opt)] ")"
 *	return-opt	= option / "STATUS" SP "(" status-att *(SP status-att) ")"		RFC 5819, 4
 *	lsub		= "LSUB" SP mailbox SP list-mailbox
 */
#include "server/base/mem.h"
#include "server/imap/commands.h"
#include "server/imap/status.h"
#include "server/imap/token.h"

struct option {
	const char *name;
	unsigned bit;
};

static const struct option selections[] = {
	{"SUBSCRIBED", LIST_SELECT_SUBSCRIBED},
	{"REMOTE", LIST_SELECT_REMOTE},
	{"RECURSIVEMATCH", LIST_SELECT_RECURSIVE},
	{"SPECIAL-USE", LIST_SELECT_SPECIAL_USE},
	{NULL, 0},
};

static const struct option returns[] = {
	{"SUBSCRIBED", LIST_RETURN_SUBSCRIBED},   {"CHILDREN", LIST_RETURN_CHILDREN},
	{"SPECIAL-USE", LIST_RETURN_SPECIAL_USE}, {"MYRIGHTS", LIST_RETURN_MYRIGHTS},
	{"STATUS", LIST_RETURN_STATUS},           {NULL, 0},
};

static int take_option(struct parse *p, const struct option *table, const char *kind, unsigned *out,
		       struct us_err *err)
{
	struct span word = token_atom(&p->s);

	for (; !p->s.bad && table->name; table++)
		if (span_is_nocase(word, table->name)) {
			*out = table->bit;
			return 0;
		}
	if (p->s.bad)
		return us_fail(err, US_EPROTO, "Invalid syntax in List command");
	return us_fail(err, US_EPROTO, "Invalid List %s option \"%s\"", kind, parse_small(p, word));
}

/* Behind the "(". */
static int take_selections(struct parse *p, struct args_list *a, struct us_err *err)
{
	unsigned bit = 0;
	int rc = 0;

	if (scan_skip(&p->s, ')'))
		return 0;
	do {
		rc = take_option(p, selections, "selection", &bit, err);
		a->select |= bit;
	} while (rc == 0 && scan_skip(&p->s, ' '));
	if (rc == 0 && !scan_skip(&p->s, ')'))
		return us_fail(err, US_EPROTO, "Invalid syntax in List command");
	/* It says how to look for what another option looks for (RFC 5258, 3.1). */
	if (rc == 0 && a->select & LIST_SELECT_RECURSIVE && !(a->select & LIST_SELECT_SUBSCRIBED))
		return us_fail(err, US_EPROTO, "Invalid combination of selection options");
	return rc;
}

static int take_returns(struct parse *p, struct args_list *a, struct us_err *err)
{
	unsigned bit = 0;
	int rc = 0;

	if (!scan_skip_str(&p->s, "RETURN"))
		return us_fail(err, US_EPROTO, "Unexpected extra argument to List: \"%s\"",
			       parse_small(p, token_atom(&p->s)));
	if (!scan_skip(&p->s, ' ') || !scan_skip(&p->s, '('))
		return us_fail(err, US_EPROTO, "Missing return argument list");
	if (scan_skip(&p->s, ')'))
		return 0;
	do {
		rc = take_option(p, returns, "return", &bit, err);
		a->returns |= bit;
		if (rc == 0 && bit == LIST_RETURN_STATUS)
			rc = scan_skip(&p->s, ' ') ? status_parse(p, &a->status, err)
						   : us_fail(err, US_EPROTO, "Bad status string");
	} while (rc == 0 && scan_skip(&p->s, ' '));
	if (rc == 0 && !scan_skip(&p->s, ')'))
		return us_fail(err, US_EPROTO, "Invalid syntax in List command");
	return rc;
}

static void take_one_pattern(struct parse *p, struct args_list *a)
{
	struct span *pattern = pool_alloc(p->pool, sizeof(*pattern));

	*pattern = token_list_mailbox(&p->s, p->pool);
	a->patterns = (struct token_list){pattern, 1};
}

int parse_list(struct parse *p, void **args, struct us_err *err)
{
	struct args_list *a = pool_alloc(p->pool, sizeof(*a));
	int rc = 0;

	token_space(&p->s);
	if (scan_skip(&p->s, '(')) {
		a->extended = true;
		rc = take_selections(p, a, err);
		token_space(&p->s);
	}
	if (rc < 0)
		return rc;
	a->reference = token_astring(&p->s, p->pool);
	if (!p->s.bad && scan_end(&p->s))
		return us_fail(err, US_EPROTO,
			       "Missing required argument to List: mailbox pattern");
	token_space(&p->s);
	if (scan_peek(&p->s) == '(') {
		a->extended = true;
		a->patterns = token_pattern_list(&p->s, p->pool);
		if (!p->s.bad && !a->patterns.n)
			return us_fail(err, US_EPROTO, "Invalid syntax in List command");
	} else {
		take_one_pattern(p, a);
	}
	if (!p->s.bad && scan_skip(&p->s, ' ')) {
		a->extended = true;
		rc = take_returns(p, a, err);
	}
	if (rc == 0)
		rc = parse_end(p, err);
	if (rc == 0)
		*args = a;
	return rc;
}

int parse_lsub(struct parse *p, void **args, struct us_err *err)
{
	struct args_list *a = pool_alloc(p->pool, sizeof(*a));
	int rc;

	token_space(&p->s);
	a->reference = token_astring(&p->s, p->pool);
	token_space(&p->s);
	take_one_pattern(p, a);
	rc = parse_end(p, err);
	if (rc == 0)
		*args = a;
	return rc;
}
