/* scripts.c - see scripts.h. */
#include "server/csync/scripts.h"

#include <string.h>

#include "server/base/io.h"
#include "server/base/log.h"
#include "server/base/mem.h"
#include "server/store/mboxname.h"

void scripts_mailbox(struct span userid, struct buf *out)
{
	mboxname_user_inbox(userid, out);
	buf_add_str(out, ".#sieve");
}

struct span scripts_stem(struct span filename, const char *ending)
{
	size_t len = strlen(ending);

	if (filename.len <= len || !span_is(span_from(filename, filename.len - len), ending))
		return SPAN_NULL;
	return span_make(filename.ptr, filename.len - len);
}

static struct span field(struct span header, const char *name)
{
	struct span line;

	while (span_split(&header, '\n', &line))
		if (span_starts_nocase(line, name))
			return span_trim(span_make(line.ptr + strlen(name),
						   line.len - strlen(name) -
							   (line.ptr[line.len - 1] == '\r')));
	return SPAN_NULL;
}

static int read_script(struct mailbox *m, const struct record *r, struct pool *pool,
		       struct script *out, struct us_err *err)
{
	struct buf text = BUF_INIT;
	char file[16];
	struct span all;
	size_t header = r->header_size;
	int rc;

	message_file_name(r->uid, file);
	rc = io_read_file(m->dir, file, SCRIPT_MAX + SCRIPT_HEAD, &text, err);
	if (rc == 0) {
		all = pool_span(pool, buf_span(&text));
		*out = (struct script){.uid = r->uid,
				       .active = (r->system_flags & FLAG_FLAGGED) != 0,
				       .date = record_internaldate(r),
				       .name = field(span_make(all.ptr,
							       header < all.len ? header : all.len),
						     "Subject:"),
				       .content = span_from(all, header)};
	}
	buf_free(&text);
	return rc;
}

int scripts_read(struct mailbox *m, struct pool *pool, struct script **out, size_t *n_out,
		 struct us_err *err)
{
	struct view_walk walk = view_walk(&m->view, 1);
	const struct record *r;
	size_t n = 0;
	int rc = 0;

	*out = pool_alloc(pool, us_mul_size(m->view.counters.exists + 1, sizeof(**out)));
	while (rc == 0 && (r = view_next_live(&m->view, &walk))) {
		if (r->size > SCRIPT_MAX + SCRIPT_HEAD) {
			log_event(LOG_WARNING, "csync.script.toobig",
				  LF_STR("mailbox", m->name.data), LF_NUM("uid", r->uid),
				  LF_NUM("bytes", r->size));
			continue;
		}
		rc = read_script(m, r, pool, &(*out)[n], err);
		n += rc == 0 && (*out)[n].name.len;
	}
	*n_out = n;
	return rc;
}

int scripts_open(struct store *store, struct span userid, struct pool *pool, struct mailbox **m,
		 struct script **out, size_t *n_out, struct us_err *err)
{
	struct buf name = BUF_INIT;
	int rc;

	*n_out = 0;
	scripts_mailbox(userid, &name);
	rc = mailbox_open(store, buf_span(&name), m, err);
	buf_free(&name);
	return rc == 0 ? scripts_read(*m, pool, out, n_out, err) : rc;
}

int scripts_list(struct store *store, struct span userid, struct pool *pool,
		 const struct state_sieve **out, size_t *n_out, struct us_err *err)
{
	struct state_sieve *lines;
	struct script *scripts;
	struct mailbox *m = NULL;
	size_t n, k = 0;
	int rc = scripts_open(store, userid, pool, &m, &scripts, &n, err);

	lines = pool_alloc(pool, us_mul_size(2 * n + 1, sizeof(*lines)));
	for (size_t i = 0; rc == 0 && i < n; i++) {
		lines[k++] = (struct state_sieve){.filename = span_of(
							  pool_printf(pool, "%.*s.script",
								      SPAN_ARG(scripts[i].name))),
						  .last_update = scripts[i].date,
						  .guid = guid_of(scripts[i].content)};
		if (scripts[i].active)
			lines[k++] =
				(struct state_sieve){.filename = span_of(
							     pool_printf(pool, "%.*s.bc",
									 SPAN_ARG(
										 scripts[i].name))),
						     .active = true};
	}
	mailbox_close(&m);
	*out = lines;
	*n_out = k;
	return rc == US_ENOENT ? 0 : rc;
}

const struct script *scripts_find(const struct script *scripts, size_t n, struct span name)
{
	for (size_t i = 0; name.ptr && i < n; i++)
		if (span_eq(scripts[i].name, name))
			return &scripts[i];
	return NULL;
}
