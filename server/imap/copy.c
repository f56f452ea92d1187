/* copy.c - see copy.h. */
#include "server/imap/copy.h"

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

static int copy_annotations(struct commit *c, struct mailbox *from, uint32_t old, uint32_t new,
			    struct span userid, struct us_err *err)
{
	const struct state_annotation *a;
	size_t n = 0;
	int rc = 0;

	a = annots_of(&from->view.annots, old, &n);
	for (size_t i = 0; rc == 0 && i < n; i++)
		if (!a[i].userid.len || span_eq(a[i].userid, userid))
			rc = commit_annotate(c, new, a[i].entry, a[i].userid, a[i].value,
					     commit_modseq(c), err);
	return rc;
}

int copy_message(struct commit *c, struct mailbox *from, const struct record *r,
		 uint32_t system_flags, struct span userid, uint32_t *uid_out, struct us_err *err)
{
	const struct commit_source source = {.mailbox = from, .uid = r->uid};
	struct record copy = {
		.system_flags = system_flags,
		.header_size = r->header_size,
		.internaldate_ns = r->internaldate_ns,
		.sentdate = r->sentdate,
		.gmtime = r->gmtime,
		.size = r->size,
		.cid = r->cid,
		.guid = r->guid,
		.body_crc = r->body_crc,
	};
	struct buf cache = BUF_INIT;
	uint32_t old = r->uid;
	int rc = copy_keywords(c, from, r, &copy, err);

	if (rc == 0)
		rc = message_cache(from, r, &cache, err);
	if (rc == 0)
		rc = commit_append(c, &copy, &source, buf_span(&cache), uid_out, err);
	if (rc == 0)
		rc = copy_annotations(c, from, old, *uid_out, userid, err);
	buf_free(&cache);
	return rc;
}
