/* special_use.c - see special_use.h. */
#include "server/imap/special_use.h"

#include "server/base/mem.h"
#include "server/imap/session.h"
#include "server/store/annotations.h"
#include "server/store/folder.h"

static const char *const known[] = {"\\Archive", "\\Drafts", "\\Important", "\\Junk",
				    "\\Sent",    "\\Trash",  "\\Snoozed"};

/* In its own spelling; SPAN_NULL: there is no such use. */
static struct span canonical(const struct imap_session *s, struct span use)
{
	struct span extra = span_of(conf_str(s->host->conf, CONF_specialuse_extra)), word;

	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (span_is_nocase(use, known[i]))
			return span_of(known[i]);
	while (span_word(&extra, &word))
		if (span_eq_nocase(use, word))
			return word;
	return SPAN_NULL;
}

/* Can a mailbox at that place be for anything? */
static bool is_place(const struct imap_session *s, struct span name)
{
	struct span parent = mboxname_parent(name);

	if (mboxname_is_inbox(name))
		return true;
	return conf_bool(s->host->conf, CONF_allowspecialusesubfolder)
		       ? mboxname_in_user_tree(name)
		       : parent.len && mboxname_is_inbox(parent);
}

int special_use_get(struct imap_session *s, struct span name, const struct storeid *id,
		    struct buf *out, struct us_err *err)
{
	int rc;

	if (!is_place(s, name) || !host_owns(s->host, s->identity, name))
		return 0;
	rc = annotation_get(s->host->store, id, ANNOTATION_SPECIAL_USE, span_of(s->identity->user),
			    out, err);
	return rc < 0 ? rc : 0;
}

/* ---- giving one a use ------------------------------------------------------------------------------- */

struct search {
	struct imap_session *s;
	struct span name, owner; /* the mailbox that shall have the uses, and whose it is */
	struct span wanted;
};

static int look_at(void *ctx, struct span name, const struct mailbox_row *row, struct us_err *err)
{
	struct search *search = ctx;
	struct span wanted = search->wanted, use;
	struct buf uses = BUF_INIT;
	int rc;

	if (!mailbox_row_is_real(row) || span_eq(name, search->name) || !is_place(search->s, name))
		return 0;
	rc = annotation_get(search->s->host->store, &row->storeid, ANNOTATION_SPECIAL_USE,
			    search->owner, &uses, err);
	for (rc = rc < 0 ? rc : 0; rc == 0 && span_word(&wanted, &use);)
		if (span_has_word(buf_span(&uses), use))
			rc = us_fail(err, US_EEXIST, "%.*s is for %.*s", SPAN_ARG(name),
				     SPAN_ARG(use));
	buf_free(&uses);
	return rc;
}

static int check_known(const struct imap_session *s, struct span wanted, struct buf *out,
		       struct us_err *err)
{
	struct span word, use;

	while (span_word(&wanted, &word)) {
		use = canonical(s, word);
		if (!use.ptr)
			return us_fail(err, US_EINVAL, "no special use %.*s", SPAN_ARG(word));
		if (span_has_word(buf_span(out), use))
			continue;
		if (out->len)
			buf_add_char(out, ' ');
		buf_add_span(out, use);
	}
	return 0;
}

int special_use_check(struct imap_session *s, struct span name, struct span wanted, struct buf *out,
		      struct us_err *err)
{
	struct buf owner = BUF_INIT, inbox = BUF_INIT, uses = BUF_INIT;
	struct search search = {.s = s, .name = name};
	int rc = check_known(s, wanted, &uses, err);

	if (rc == 0 && (!is_place(s, name) || !mboxname_owner(name, NULL, &owner)))
		rc = us_fail(err, US_EEXIST, "that mailbox can have no special use");
	if (rc == 0) {
		search.owner = buf_span(&owner);
		search.wanted = buf_span(&uses);
		mboxname_user_inbox(search.owner, &inbox);
		rc = folder_list_tree(s->host->store, buf_span(&inbox), look_at, &search, err);
	}
	if (rc == 0)
		buf_add_span(out, buf_span(&uses));
	buf_free(&owner);
	buf_free(&inbox);
	buf_free(&uses);
	return rc;
}
