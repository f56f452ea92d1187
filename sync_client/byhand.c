/* byhand.c - see byhand.h. */
#include "sync_client/byhand.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "server/base/io.h"
#include "server/base/log.h"
#include "server/base/mem.h"
#include "server/store/mboxname.h"
#include "server/store/userdata.h"

#define LIST_MAX ((size_t)64 << 20) /* bytes of a file of names */

struct byhand {
	struct sync *s;
	struct dial *dial;
	const struct options *options;
	struct link *link;
	struct pool *pool;
	struct span *names;
	size_t n, cap;
	unsigned failures;
};

/* ---- the link ---------------------------------------------------------------------------------- */

static int reconnect(void *ctx, struct us_err *err)
{
	struct byhand *b = ctx;
	int rc;

	sync_attach(b->s, NULL);
	link_close(&b->link);
	rc = dial_until(b->dial, b->options->once, &b->link, err);
	if (rc == 0)
		sync_attach(b->s, b->link);
	return rc;
}

/* ---- names ------------------------------------------------------------------------------------- */

static void add(struct byhand *b, struct span name)
{
	us_grow(&b->names, b->n, &b->cap, sizeof(b->names[0]));
	b->names[b->n++] = pool_span(b->pool, name);
}

/* One a line; "#" begins a comment. */
static int add_file(struct byhand *b, const char *path, struct us_err *err)
{
	struct buf text = BUF_INIT;
	struct span rest, line;
	int rc = io_read_file(AT_FDCWD, path, LIST_MAX, &text, err);

	rest = buf_span(&text);
	while (rc == 0 && span_split(&rest, '\n', &line)) {
		line = span_trim(line);
		if (line.len && line.ptr[line.len - 1] == '\r')
			line = span_trim(span_make(line.ptr, line.len - 1));
		if (line.len && line.ptr[0] != '#')
			add(b, line);
	}
	buf_free(&text);
	return rc;
}

static void tell(struct byhand *b, const char *what, struct span name, const struct us_err *why)
{
	b->failures++;
	log_event(LOG_ERR, "sync.object.failed", LF_SPAN("object", name), LF_ERR(why));
	fprintf(stderr, "Error from %s(%.*s): %s\n", what, SPAN_ARG(name), why->text);
}

/* ---- the modes --------------------------------------------------------------------------------- */

typedef int object_fn(struct sync *s, struct span name, struct us_err *err);

static int not_here(struct span userid, struct us_err *err)
{
	return us_fail(err, US_ENOENT, "Does not exist locally %.*s", SPAN_ARG(userid));
}

static int one_user(struct sync *s, struct span userid, struct us_err *err)
{
	bool exists;
	int rc = sync_user(s, userid, &exists, err);

	return rc == 0 && !exists ? not_here(userid, err) : rc;
}

static int one_meta(struct sync *s, struct span userid, struct us_err *err)
{
	bool exists;
	int rc = sync_meta(s, userid, &exists, err);

	return rc == 0 && !exists ? not_here(userid, err) : rc;
}

/* As often as the link is lost, but over one object no more than once. */
static int each(struct byhand *b, const char *what, object_fn *fn, struct us_err *err)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < b->n; i++) {
		struct us_err why = US_ERR_INIT;
		int result = fn(b->s, b->names[i], &why);
		if (link_is_lost(result) && !*b->dial->config.stop) {
			rc = reconnect(b, err);
			if (rc == 0)
				result = fn(b->s, b->names[i], &why);
		}
		if (rc == 0 && result < 0)
			tell(b, what, b->names[i], &why);
		if (rc == 0 && link_is_lost(result))
			rc = reconnect(b, err);
	}
	return rc;
}

static bool is_here(struct byhand *b, struct span name, struct us_err *why)
{
	struct pool *pool = pool_new();
	struct mailbox_row row;
	int rc = mailbox_row_get(b->s->store, name, pool, &row, NULL, NULL, why);

	pool_free(&pool);
	if (rc == 0)
		us_fail(why, US_ENOENT, "Does not exist locally");
	return rc > 0;
}

/* Names as an administrator writes them, replaced by internal ones; what is none is told and left out. */
static void internal_names(struct byhand *b)
{
	struct mboxname_view view = host_view(b->s->host, NULL);
	size_t kept = 0;

	view.admin = true;
	for (size_t i = 0; i < b->n; i++) {
		struct buf name = BUF_INIT;
		struct us_err why = US_ERR_INIT;
		if (mboxname_from_external(&view, b->names[i], &name, &why) == 0 &&
		    is_here(b, buf_span(&name), &why))
			b->names[kept++] = pool_span(b->pool, buf_span(&name));
		else
			tell(b, "sync_do_mailboxes", b->names[i], &why);
		buf_free(&name);
	}
	b->n = kept;
}

static int mailboxes(struct byhand *b, struct us_err *err)
{
	struct us_err why = US_ERR_INIT;
	int rc;

	internal_names(b);
	if (!b->n)
		return 0;
	rc = sync_mailboxes(b->s, b->names, b->n, &why);
	if (link_is_lost(rc) && !*b->dial->config.stop) {
		rc = reconnect(b, err);
		if (rc < 0)
			return rc;
		rc = sync_mailboxes(b->s, b->names, b->n, &why);
	}
	if (rc < 0)
		tell(b, "sync_do_mailboxes", b->names[0], &why);
	return 0;
}

static void failed(void *ctx, struct span line, const struct us_err *why)
{
	tell(ctx, "sync_do_all", line, why);
}

static int all(struct byhand *b, struct us_err *err)
{
	struct sync_walk walk = {.failed = failed, .reconnect = reconnect, .ctx = b};
	int rc = b->n ? 0 : sync_everything(b->s, &walk, err);

	for (size_t i = 0; rc == 0 && i < b->n; i++) {
		walk.prefix = b->names[i];
		rc = sync_everything(b->s, &walk, err);
	}
	return rc;
}

static int run_mode(struct byhand *b, struct us_err *err)
{
	switch (b->options->mode) {
	case MODE_USERS:
		return each(b, "sync_do_user", one_user, err);
	case MODE_META:
		return each(b, "sync_do_meta", one_meta, err);
	case MODE_MAILBOXES:
		return mailboxes(b, err);
	default:
		return all(b, err);
	}
}

int byhand_run(struct sync *s, struct dial *dial, const struct options *options, unsigned *failures,
	       struct us_err *err)
{
	struct byhand b = {.s = s, .dial = dial, .options = options, .pool = pool_new()};
	int rc = options->file ? add_file(&b, options->file, err) : 0;

	for (int i = 0; i < options->n_args; i++)
		add(&b, span_of(options->args[i]));
	if (rc == 0)
		rc = reconnect(&b, err);
	if (rc == 0)
		rc = run_mode(&b, err);
	sync_attach(s, NULL);
	link_close(&b.link);
	free(b.names);
	pool_free(&b.pool);
	*failures = b.failures;
	return rc;
}
