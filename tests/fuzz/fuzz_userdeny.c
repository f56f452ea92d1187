/* fuzz_userdeny.c - any bytes as lines of user_deny.db. What is read is the same when it is written and read again, and is one line;
 * patterns are matched whatever they are. */
#include <stdint.h>
#include <string.h>

#include "server/base/err.h"
#include "server/session/userdeny.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct userdeny_entry *e, struct pool *pool)
{
	struct userdeny_entry again;
	struct buf line = BUF_INIT;
	struct span text;

	userdeny_format(e, &line);
	text = span_make(line.data, line.len - 1);
	us_assert(line.data[line.len - 1] == '\n' && !span_find(text, '\n') &&
		  !span_find(text, '\r'));
	us_assert(userdeny_parse(text, pool, &again));
	us_assert(span_eq(again.user, e->user) && span_eq(again.services, e->services) &&
		  span_eq(again.message, e->message));
	buf_free(&line);
	(void)userdeny_fits(e->services, "imap");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span rest = span_make(data, size), line;
	struct pool *pool = pool_new();
	struct userdeny_entry e;

	while (span_split(&rest, '\n', &line))
		if (userdeny_parse(line, pool, &e))
			check(&e, pool);
	pool_free(&pool);
	return 0;
}
