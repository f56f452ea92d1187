/* cmd_compress.c - COMPRESS=DEFLATE (RFC 4978). */
#include "server/base/mem.h"
#include "server/imap/session.h"
#include "server/imap/token.h"

int parse_compress(struct parse *p, void **args, struct us_err *err)
{
	struct args_compress *a = pool_alloc(p->pool, sizeof(*a));
	int rc;

	token_space(&p->s);
	a->algorithm = token_atom(&p->s);
	rc = parse_end(p, err);
	if (rc == 0)
		*args = a;
	return rc;
}

static int start_deflate(struct imap_session *s, struct us_err *err)
{
	return stream_start_deflate(s->out, err);
}

int run_compress(struct imap_session *s, const void *args, struct us_err *err UNUSED)
{
	const struct args_compress *a = args;

	if (stream_compression(s->out))
		return imap_bad(s, "[COMPRESSIONACTIVE] DEFLATE active via COMPRESS");
	if (!span_is_nocase(a->algorithm, "DEFLATE"))
		return imap_no(s, "Unknown COMPRESS algorithm: %.*s", SPAN_ARG(a->algorithm));
	s->after = start_deflate;
	return imap_ok(s, "DEFLATE active");
}
