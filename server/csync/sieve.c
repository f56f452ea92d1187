/* sieve.c - scripts for peers that do not carry them as a mailbox (csync-protocol 7.9).
 *
 * The truth is the mailbox user.X.#sieve: one message a script, its name the Subject, the active one \Flagged, changing a
 * script replaces its message. What an older peer says about files, "name.script" and "name.bc", is said about that
 * mailbox.
 */
#include <stdio.h>
#include <string.h>

#include "server/base/datetime.h"
#include "server/base/io.h"
#include "server/base/mem.h"
#include "server/csync/csync_private.h"
#include "server/store/mboxname.h"

#define MOST_SCRIPT (1u << 20)

static void sieve_mailbox(struct span userid, struct buf *out)
{
	mboxname_user_inbox(userid, out);
	buf_add_str(out, ".#sieve");
}

/* The name before ".script" or ".bc"; SPAN_NULL if the file has another ending. */
static struct span stem(struct span filename, const char *ending)
{
	size_t len = strlen(ending);

	if (filename.len <= len || !span_is(span_from(filename, filename.len - len), ending))
		return SPAN_NULL;
	return span_make(filename.ptr, filename.len - len);
}

/* ---- reading ----------------------------------------------------------------------------------- */

struct script {
	uint32_t uid;
	bool active;
	int64_t date;
	struct span name, content;
};

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
	rc = io_read_file(m->dir, file, MOST_SCRIPT, &text, err);
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

/* Live scripts of an open mailbox. */
static int list_scripts(struct mailbox *m, struct pool *pool, struct script **out, size_t *n_out,
			struct us_err *err)
{
	struct view_walk walk = view_walk(&m->view, 1);
	const struct record *r;
	size_t n = 0;
	int rc = 0;

	*out = pool_alloc(pool, us_mul_size(m->view.counters.exists + 1, sizeof(**out)));
	while (rc == 0 && (r = view_next_live(&m->view, &walk))) {
		rc = read_script(m, r, pool, &(*out)[n], err);
		n += rc == 0 && (*out)[n].name.len;
	}
	*n_out = n;
	return rc;
}

static int open_scripts(struct csync *cs, struct span userid, struct pool *pool, struct mailbox **m,
			struct script **out, size_t *n_out, struct us_err *err)
{
	struct buf name = BUF_INIT;
	int rc;

	*n_out = 0;
	sieve_mailbox(userid, &name);
	rc = mailbox_open(cs->store, buf_span(&name), m, err);
	buf_free(&name);
	return rc == 0 ? list_scripts(*m, pool, out, n_out, err) : rc;
}

int csync_sieve_list(struct csync *cs, struct span userid, struct pool *pool,
		     const struct state_sieve **out, size_t *n_out, struct us_err *err)
{
	struct state_sieve *lines;
	struct script *scripts;
	struct mailbox *m = NULL;
	size_t n, k = 0;
	int rc = open_scripts(cs, userid, pool, &m, &scripts, &n, err);

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

static const struct script *find_script(const struct script *scripts, size_t n, struct span name)
{
	for (size_t i = 0; name.ptr && i < n; i++)
		if (span_eq(scripts[i].name, name))
			return &scripts[i];
	return NULL;
}

int csync_get_fetch_sieve(struct csync_answer *a, const struct wire_command *c, struct us_err *err)
{
	struct wire_item item = {.kind = WIRE_ITEM_SIEVE_CONTENT, .u.sieve = c->u.sieve};
	const struct script *script;
	struct script *scripts;
	struct mailbox *m = NULL;
	size_t n;
	int rc = open_scripts(a->cs, c->u.sieve.userid, a->pool, &m, &scripts, &n, err);

	script = rc == 0 ? find_script(scripts, n, stem(c->u.sieve.script.filename, ".script"))
			 : NULL;
	if (rc == 0 && !script)
		rc = us_fail(err, US_ENOENT, "no script %.*s",
			     SPAN_ARG(c->u.sieve.script.filename));
	if (rc == 0) {
		item.u.sieve.content = script->content;
		wire_put_item(&a->writer, &item);
	}
	mailbox_close(&m);
	return rc;
}

/* ---- changing ---------------------------------------------------------------------------------- */

static int create_sieve_mailbox(struct csync *cs, struct span userid, struct us_err *err)
{
	struct folder_create options = {.type = SPAN_LIT("f")};
	struct buf name = BUF_INIT, acl = BUF_INIT;
	int rc;

	sieve_mailbox(userid, &name);
	acl_set(SPAN_NULL, userid, ACL_ALL, cs->host->deleteright, &acl);
	options.acl = buf_span(&acl);
	rc = folder_create(cs->store, buf_span(&name), &options, err);
	buf_free(&name);
	buf_free(&acl);
	return rc == US_EEXIST ? 0 : rc;
}

/* The message that holds a script. */
static void write_message(struct csync *cs, const struct wire_sieve *s, struct span name,
			  int64_t now, struct buf *out)
{
	struct guid guid = guid_of(s->content);
	char hex[GUID_HEX], date[DATETIME_MAIL], uuid[UUID_TEXT];

	guid_format(&guid, hex);
	datetime_format_mail((struct datetime){now, 0}, date);
	uniqueid_new(uuid);
	buf_printf(out,
		   "From: <%.*s@%s>\r\nSubject: %.*s\r\nDate: %s\r\nMessage-ID: <%s@%s>\r\n"
		   "Content-Type: application/sieve; charset=utf-8\r\nContent-Length: %zu\r\n"
		   "Content-Disposition: attachment;\r\n\tfilename=\"%s.sieve\"\r\nMIME-Version: "
		   "1.0\r\n\r\n",
		   SPAN_ARG(s->userid), cs->host->servername, SPAN_ARG(name), date, hex,
		   cs->host->servername, s->content.len, uuid);
	buf_add_span(out, s->content);
}

static int put_flags(struct commit *c, struct mailbox *m, uint32_t uid, uint32_t system_flags,
		     bool expunge, struct us_err *err)
{
	struct record r = *view_find(&m->view, uid);

	r.system_flags = system_flags;
	r.internal_flags |= expunge ? RECORD_EXPUNGED : 0;
	r.modseq = commit_modseq(c);
	r.last_updated = store_now();
	return commit_put(c, &r, err);
}

static int append_script(struct csync *cs, struct commit *c, struct staged *staged,
			 const struct wire_sieve *s, struct span name, bool active,
			 struct us_err *err)
{
	struct record r = {.internaldate_ns = store_now_ns(),
			   .system_flags = active ? FLAG_FLAGGED : 0};
	struct buf text = BUF_INIT;
	int rc;

	write_message(cs, s, name, store_now(), &text);
	rc = staged_write(staged, text.data, text.len, err);
	if (rc == 0)
		rc = staged_end(staged, r.internaldate_ns, err);
	if (rc == 0)
		rc = message_append(c, staged, &r, NULL, err);
	buf_free(&text);
	return rc;
}

/* What the three orders below have in common: the user's scripts, locked. */
struct edit {
	struct csync *cs;
	struct mailbox *m;
	struct commit *commit;
	struct script *scripts;
	size_t n;
	struct staged staged;
};

static int edit_begin(struct edit *e, struct csync_answer *a, const struct wire_sieve *s,
		      struct us_err *err)
{
	int rc;

	*e = (struct edit){.cs = a->cs, .staged = {.fd = -1}};
	rc = create_sieve_mailbox(a->cs, s->userid, err);
	if (rc == 0)
		rc = open_scripts(a->cs, s->userid, a->pool, &e->m, &e->scripts, &e->n, err);
	if (rc == 0)
		rc = mailbox_lock(e->m, err);
	if (rc == 0)
		rc = list_scripts(e->m, a->pool, &e->scripts, &e->n, err);
	if (rc == 0)
		rc = commit_begin(e->m, &e->commit, err);
	return rc;
}

static int edit_end(struct edit *e, int rc, struct us_err *err)
{
	if (rc == 0)
		rc = commit_finish(&e->commit, err);
	commit_abort(&e->commit);
	mailbox_close(&e->m);
	staged_drop(&e->staged, true);
	return rc;
}

static int replace_script(struct edit *e, const struct wire_sieve *s, struct span name,
			  struct us_err *err)
{
	const struct script *old = find_script(e->scripts, e->n, name);
	bool active = old && old->active;
	struct stage *stage;
	int rc = old ? put_flags(e->commit, e->m, old->uid, 0, true, err) : 0;

	if (rc == 0)
		rc = csync_stage(e->cs, e->m->row.partition, &stage, err);
	if (rc == 0)
		rc = staged_begin(stage, NULL, &e->staged, err);
	return rc == 0 ? append_script(e->cs, e->commit, &e->staged, s, name, active, err) : rc;
}

int csync_apply_sieve(struct csync_answer *a, const struct wire_command *c, struct us_err *err)
{
	struct span name = stem(c->u.sieve.script.filename, ".script");
	struct edit e;
	int rc;

	if (!name.len)
		return 0; /* Cyrus takes other files and does nothing */
	if (span_find(name, '\r') || span_find(name, '\n'))
		return us_fail(err, US_EINVAL, "a script's name has a line end");
	rc = edit_begin(&e, a, &c->u.sieve, err);
	if (rc == 0)
		rc = replace_script(&e, &c->u.sieve, name, err);
	return edit_end(&e, rc, err);
}

int csync_apply_unsieve(struct csync_answer *a, const struct wire_command *c, struct us_err *err)
{
	struct span name = stem(c->u.sieve.script.filename, ".script");
	const struct script *old;
	struct edit e;
	int rc;

	if (!name.len)
		return 0;
	rc = edit_begin(&e, a, &c->u.sieve, err);
	old = rc == 0 ? find_script(e.scripts, e.n, name) : NULL;
	if (old)
		rc = put_flags(e.commit, e.m, old->uid, 0, true, err);
	return edit_end(&e, rc, err);
}

/* Activate one, or, with another kind of order, none. */
int csync_apply_activate_sieve(struct csync_answer *a, const struct wire_command *c,
			       struct us_err *err)
{
	bool on = c->kind == WIRE_APPLY_ACTIVATE_SIEVE;
	const struct script *wanted = NULL;
	struct edit e;
	int rc = edit_begin(&e, a, &c->u.sieve, err);

	if (rc == 0 && on)
		wanted = find_script(e.scripts, e.n, stem(c->u.sieve.script.filename, ".bc"));
	if (rc == 0 && on && !wanted)
		rc = us_fail(err, US_EREMOTE, "no script for %.*s",
			     SPAN_ARG(c->u.sieve.script.filename));
	for (size_t i = 0; rc == 0 && i < e.n; i++)
		if (e.scripts[i].active != (&e.scripts[i] == wanted))
			rc = put_flags(e.commit, e.m, e.scripts[i].uid,
				       &e.scripts[i] == wanted ? FLAG_FLAGGED : 0, false, err);
	return edit_end(&e, rc, err);
}
