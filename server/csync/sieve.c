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
#include "server/csync/scripts.h"
#include "server/store/mboxname.h"

int csync_get_fetch_sieve(struct csync_answer *a, const struct wire_command *c, struct us_err *err)
{
	struct wire_item item = {.kind = WIRE_ITEM_SIEVE_CONTENT, .u.sieve = c->u.sieve};
	const struct script *script;
	struct script *scripts;
	struct mailbox *m = NULL;
	size_t n;
	int rc = scripts_open(a->cs->store, c->u.sieve.userid, a->pool, &m, &scripts, &n, err);

	script = rc == 0 ? scripts_find(scripts, n,
					scripts_stem(c->u.sieve.script.filename, ".script"))
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
	struct folder_create options = {.type = SPAN_LIT("f"),
					.options = MAILBOX_OPTION_POP3_NEW_UIDL};
	struct buf name = BUF_INIT, acl = BUF_INIT;
	int rc;

	scripts_mailbox(userid, &name);
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
	bool changed; /* there is something to commit: an order that is repeated changes nothing */
};

/* US_ENOENT: the user has no scripts, and never had. */
static int edit_begin(struct edit *e, struct csync_answer *a, const struct wire_sieve *s,
		      struct us_err *err)
{
	int rc;

	*e = (struct edit){.cs = a->cs, .staged = {.fd = -1}};
	rc = scripts_open(a->cs->store, s->userid, a->pool, &e->m, &e->scripts, &e->n, err);
	if (rc == 0)
		rc = mailbox_lock(e->m, err);
	if (rc == 0)
		rc = scripts_read(e->m, a->pool, &e->scripts, &e->n, err);
	if (rc == 0)
		rc = commit_begin(e->m, &e->commit, err);
	return rc;
}

static int edit_end(struct edit *e, int rc, struct us_err *err)
{
	if (rc == 0 && e->changed)
		rc = commit_finish(&e->commit, err);
	commit_abort(&e->commit);
	mailbox_close(&e->m);
	staged_drop(&e->staged, true);
	return rc;
}

/* Give a script's message these flags, or expunge it. */
static int put_flags(struct edit *e, const struct script *script, uint32_t system_flags,
		     bool expunge, struct us_err *err)
{
	struct record r = *view_find(&e->m->view, script->uid);

	r.system_flags = system_flags;
	r.internal_flags |= expunge ? RECORD_EXPUNGED : 0;
	r.modseq = commit_modseq(e->commit);
	r.last_updated = store_now();
	e->changed = true;
	return commit_put(e->commit, &r, err);
}

static int replace_script(struct edit *e, const struct wire_sieve *s, struct span name,
			  struct us_err *err)
{
	const struct script *old = scripts_find(e->scripts, e->n, name);
	bool active = old && old->active;
	struct stage *stage;
	int rc = old ? put_flags(e, old, 0, true, err) : 0;

	if (rc == 0)
		rc = csync_stage(e->cs, e->m->row.partition, &stage, err);
	if (rc == 0)
		rc = staged_begin(stage, NULL, &e->staged, err);
	e->changed = true;
	return rc == 0 ? append_script(e->cs, e->commit, &e->staged, s, name, active, err) : rc;
}

/* Names become names of files, and a header line. */
static int check_names(const struct wire_sieve *s, struct span name, struct us_err *err)
{
	int rc = csync_check_user(s->userid, err);

	if (rc < 0)
		return rc;
	if (name.len > SCRIPT_HEAD / 2)
		return us_fail(err, US_ELIMIT, "a script's name is longer than %u bytes",
			       SCRIPT_HEAD / 2);
	for (size_t i = 0; i < name.len; i++)
		if ((unsigned char)name.ptr[i] < ' ' || name.ptr[i] == '/')
			return us_fail(err, US_EINVAL,
				       "a script's name has a / or a control character");
	return 0;
}

int csync_apply_sieve(struct csync_answer *a, const struct wire_command *c, struct us_err *err)
{
	const struct wire_sieve *s = &c->u.sieve;
	struct span name = scripts_stem(s->script.filename, ".script");
	const struct script *old;
	struct edit e;
	int rc = check_names(s, name, err);

	if (rc < 0 || !name.len)
		return rc; /* Cyrus takes other files and does nothing */
	if (s->content.len > SCRIPT_MAX)
		return us_fail(err, US_ELIMIT, "a script is longer than %u bytes", SCRIPT_MAX);
	rc = create_sieve_mailbox(a->cs, s->userid, err);
	if (rc < 0)
		return rc;
	rc = edit_begin(&e, a, s, err);
	old = rc == 0 ? scripts_find(e.scripts, e.n, name) : NULL;
	if (rc == 0 && !(old && span_eq(old->content, s->content)))
		rc = replace_script(&e, s, name, err);
	return edit_end(&e, rc, err);
}

int csync_apply_unsieve(struct csync_answer *a, const struct wire_command *c, struct us_err *err)
{
	struct span name = scripts_stem(c->u.sieve.script.filename, ".script");
	const struct script *old;
	struct edit e;
	int rc = check_names(&c->u.sieve, name, err);

	if (rc < 0 || !name.len)
		return rc;
	rc = edit_begin(&e, a, &c->u.sieve, err);
	old = rc == 0 ? scripts_find(e.scripts, e.n, name) : NULL;
	if (old)
		rc = put_flags(&e, old, 0, true, err);
	else if (rc == 0 || rc == US_ENOENT)
		rc = us_fail(err, US_EREMOTE, "no script %.*s", SPAN_ARG(name));
	return edit_end(&e, rc, err);
}

/* Activate one, or, with another kind of order, none. */
int csync_apply_activate_sieve(struct csync_answer *a, const struct wire_command *c,
			       struct us_err *err)
{
	bool on = c->kind == WIRE_APPLY_ACTIVATE_SIEVE;
	struct span filename = on ? c->u.sieve.script.filename : SPAN_LIT("");
	const struct script *wanted = NULL;
	struct edit e;
	int rc = edit_begin(&e, a, &c->u.sieve, err);

	if (rc == 0 && on)
		wanted = scripts_find(e.scripts, e.n, scripts_stem(filename, ".bc"));
	if (on && !wanted && (rc == 0 || rc == US_ENOENT))
		rc = us_fail(err, US_EREMOTE, "no script for %.*s", SPAN_ARG(filename));
	for (size_t i = 0; rc == 0 && i < e.n; i++) {
		const struct script *s = &e.scripts[i];
		if (s->active != (s == wanted))
			rc = put_flags(&e, s, s == wanted ? FLAG_FLAGGED : 0, false, err);
	}
	rc = edit_end(&e, rc, err);
	return rc == US_ENOENT ? 0 : rc; /* none active, and no mailbox for any */
}
