/* copy.c - see copy.h. */
#include "server/store/copy.h"

#include "server/store/message.h"

/* Keywords have other bits in another mailbox; those for which there is no bit left are lost, as in a Cyrus. */
static int copy_keywords(struct commit *c, struct mailbox *from, const struct record *r,
			 struct record *copy, struct us_err *err)
{
	int rc = 0;

	for (unsigned old = 0; rc == 0 && old < USER_FLAGS; old++) {
		struct span name = from->view.names.bit[old].name;
		unsigned bit;

		if (!record_has_user_flag(r, old) || !name.ptr)
			continue;
		rc = commit_flag_bit(c, name, &bit, err);
		if (rc == 0)
			record_set_user_flag(copy, bit, true);
		else if (rc == US_ELIMIT)
			rc = 0;
	}
	return rc;
}

/* The i-th annotation of a message; NULL: there are no more. Looked up each time: within one mailbox the set grows as we
 * copy, behind what we copy from. */
static const struct state_annotation *annotation_at(const struct mailbox *m, uint32_t uid, size_t i)
{
	size_t n = 0;
	const struct state_annotation *a = annots_of(&m->view.annots, uid, &n);

	return i < n ? a + i : NULL;
}

static int copy_annotations(struct commit *c, const struct mailbox *from, uint32_t old,
			    uint32_t new, const struct copy_what *what, struct us_err *err)
{
	const struct state_annotation *found;
	int rc = 0;

	for (size_t i = 0; rc == 0 && (found = annotation_at(from, old, i)); i++) {
		const struct state_annotation a = *found;

		if (!a.userid.len || what->of_everybody || span_eq(a.userid, what->userid))
			rc = commit_annotate(c, new, a.entry, a.userid, a.value, commit_modseq(c),
					     err);
	}
	return rc;
}

int copy_message(struct commit *c, struct mailbox *from, const struct record *r,
		 const struct copy_what *what, uint32_t *uid_out, struct us_err *err)
{
	const struct commit_source source = {.mailbox = from, .uid = r->uid};
	struct record copy = {
		.system_flags = what->system_flags,
		.header_size = r->header_size,
		.internaldate_ns = r->internaldate_ns,
		.sentdate = r->sentdate,
		.gmtime = r->gmtime,
		.size = r->size,
		.cid = r->cid,
		.guid = r->guid,
		.body_crc = r->body_crc,
	};
	struct buf made = BUF_INIT;
	struct span cache = SPAN_NULL;
	uint32_t old = r->uid;
	int rc = what->keywords ? copy_keywords(c, from, r, &copy, err) : 0;

	if (rc == 0)
		rc = message_payload(from, r, &made, &cache, err);
	if (rc >= 0)
		rc = commit_append(c, &copy, &source, cache, uid_out, err);
	if (rc == 0 && what->annotations)
		rc = copy_annotations(c, from, old, *uid_out, what, err);
	buf_free(&made);
	return rc;
}
