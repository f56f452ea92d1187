/* parse.c - what the parsers of commands share (commands.h). */
#include "server/base/mem.h"
#include "server/imap/commands.h"
#include "server/imap/token.h"

int parse_missing(const struct parse *p, struct us_err *err)
{
	return us_fail(err, US_EPROTO, "Missing required argument to %s", p->command->shown);
}

int parse_extra(const struct parse *p, struct us_err *err)
{
	return us_fail(err, US_EPROTO, "Unexpected extra arguments to %s", p->command->shown);
}

int parse_sequence_set(struct parse *p, struct token_set *out, struct us_err *err)
{
	if (!scan_skip(&p->s, ' '))
		return parse_missing(p, err);
	*out = token_sequence_set(&p->s, p->pool);
	return p->s.bad ? us_fail(err, US_EPROTO, "Invalid sequence in %s", p->command->shown) : 0;
}

int parse_end(const struct parse *p, struct us_err *err)
{
	if (p->s.bad)
		return parse_missing(p, err);
	return scan_ok_at_end(&p->s) ? 0 : parse_extra(p, err);
}

const char *parse_small(const struct parse *p, struct span word)
{
	char *small = pool_strndup(p->pool, word.ptr, word.len < 64 ? word.len : 64);

	for (char *c = small; *c; c++)
		*c = (char)us_lower((unsigned char)*c);
	return small;
}

int parse_mailbox(struct parse *p, void **args, struct us_err *err)
{
	struct args_mailbox *a = pool_alloc(p->pool, sizeof(*a));
	int rc;

	token_space(&p->s);
	a->mailbox = token_astring(&p->s, p->pool);
	rc = parse_end(p, err);
	if (rc == 0)
		*args = a;
	return rc;
}
