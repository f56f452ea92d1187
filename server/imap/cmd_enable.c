/* cmd_enable.c - ENABLE (RFC 5161).
 *
 *	enable = "ENABLE" 1*(SP capability)
 *
 * What is not known, or is enabled already, is passed over (3.1). QRESYNC is CONDSTORE and more (RFC 7162, 3.2.3).
 */
#include "server/base/mem.h"
#include "server/imap/selected.h"
#include "server/imap/session.h"
#include "server/imap/token.h"

static const struct {
	const char *name;
	unsigned is, implies;
} known[] = {
	{"CONDSTORE", IMAP_CONDSTORE, 0},
	{"QRESYNC", IMAP_QRESYNC, IMAP_CONDSTORE},
};

struct args_enable {
	unsigned wanted; /* enum imap_enabled */
};

int parse_enable(struct parse *p, void **out, struct us_err *err)
{
	struct args_enable *args = pool_alloc(p->pool, sizeof(*args));
	int rc;

	do {
		struct span word;

		token_space(&p->s);
		word = token_atom(&p->s);
		for (size_t i = 0; i < ARRAY_SIZE(known); i++)
			if (span_is_nocase(word, known[i].name))
				args->wanted |= known[i].is | known[i].implies;
	} while (scan_peek(&p->s) == ' ');
	rc = parse_end(p, err);
	if (rc == 0)
		*out = args;
	return rc;
}

int run_enable(struct imap_session *s, const void *arg, struct us_err *err UNUSED)
{
	const struct args_enable *args = arg;
	unsigned added = args->wanted & ~s->enabled;

	if (!added)
		return 0;
	stream_write_str(s->out, "* ENABLED");
	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (added & known[i].is)
			stream_printf(s->out, " %s", known[i].name);
	stream_write_str(s->out, "\r\n");
	imap_enable_condstore(s, "ENABLE");
	s->enabled |= added;
	if (s->selected && added & IMAP_QRESYNC)
		selected_map(s->selected);
	return 0;
}
