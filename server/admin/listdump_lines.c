/* listdump_lines.c - the list of mailboxes as Cyrus dumped it before it had JSON, read.
 *
 *	line = name TAB type SP [server "!"] partition SP acl LF
 *	type = "0"	a mailbox; one on another server of a murder, or in the making, has another, and is none here
 *	acl  = *(identifier TAB rights TAB)
 *
 * Names are internal ones. Nothing but these is known of a mailbox: it gets an unique id and a UIDVALIDITY of its own.
 */
#include <stdlib.h>
#include <string.h>

#include "server/admin/listdump.h"

/* What stands before c, which has to be there: cut off. */
static bool cut(struct span *rest, char c, struct span *out)
{
	const char *at = span_find(*rest, c);

	if (!at)
		return false;
	*out = span_make(rest->ptr, (size_t)(at - rest->ptr));
	*rest = span_from(*rest, out->len + 1);
	return true;
}

static int parse_line(struct span line, struct span *name, struct mailbox_row *row,
		      struct us_err *err)
{
	struct span type;

	*row = (struct mailbox_row){0};
	if (span_find(line, '\0'))
		return us_fail(err, US_EINVAL, "no text");
	if (!cut(&line, '\t', name) || !name->len || name->len > LISTDUMP_NAME_MAX ||
	    !cut(&line, ' ', &type))
		return us_fail(err, US_EINVAL, "no partition found");
	if (!cut(&line, ' ', &row->partition))
		return us_fail(err, US_EINVAL, "no acl found");
	if (span_find(row->partition, '!'))
		(void)cut(&row->partition, '!', &row->server);
	if (!span_is(type, "0"))
		return us_fail(err, US_EINVAL, "a mailbox of the type %.*s", SPAN_ARG(type));
	row->type = SPAN_LIT("e");
	row->acl = line;
	return 0;
}

static struct span without_line_end(const char *text, size_t length)
{
	while (length && (text[length - 1] == '\n' || text[length - 1] == '\r'))
		length--;
	return span_make(text, length);
}

int listdump_read_lines(FILE *in, mboxlist_fn *fn, listdump_bad_fn *bad, void *ctx,
			struct us_err *err)
{
	struct us_err no_line;
	struct mailbox_row row;
	struct span name;
	char *line = NULL;
	size_t cap = 0;
	ssize_t length;
	int rc = 0;

	for (unsigned n = 1; rc == 0 && (length = getline(&line, &cap, in)) >= 0; n++) {
		if (parse_line(without_line_end(line, (size_t)length), &name, &row, &no_line) < 0) {
			us_err_prefix(&no_line, "line %u", n);
			bad(ctx, &no_line);
		} else {
			rc = fn(ctx, name, &row, err);
		}
	}
	free(line);
	return rc;
}
