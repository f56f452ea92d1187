/* names.c - see names.h. */
#include "server/admin/names.h"

#include <iconv.h>
#include <string.h>

#include "server/session/listmatch.h"
#include "server/store/folder.h"
#include "server/store/mboxname.h"

static struct mboxname_view admin_view(const struct host *host)
{
	struct mboxname_view view = host->names;

	view.admin = true;
	return view;
}

/* ---- one word ---------------------------------------------------------------------------------- */

static bool is_ascii(struct span s)
{
	for (size_t i = 0; i < s.len; i++)
		if ((unsigned char)s.ptr[i] >= 0x80)
			return false;
	return true;
}

/* RFC 3501, 5.1.3; the C library knows it. */
static int to_mutf7(struct span word, struct buf *out, struct us_err *err)
{
	char text[2048], *in = (char *)word.ptr, *to = text;
	size_t in_left = word.len, left = sizeof(text);
	iconv_t cd = iconv_open("UTF-7-IMAP", "UTF-8");
	int rc = 0;

	if (cd == (iconv_t)-1)
		return us_fail_errno(err, "convert from UTF-8 to UTF-7-IMAP");
	if (iconv(cd, &in, &in_left, &to, &left) == (size_t)-1 ||
	    iconv(cd, NULL, NULL, &to, &left) == (size_t)-1)
		rc = us_fail(err, US_EINVAL, "Invalid mailbox name");
	iconv_close(cd);
	if (rc == 0)
		buf_add(out, text, sizeof(text) - left);
	return rc;
}

int names_internal(const struct host *host, struct span word, enum names_form form, struct buf *out,
		   struct us_err *err)
{
	struct mboxname_view view = admin_view(host);
	struct buf converted = BUF_INIT;
	int rc = 0;

	if (!word.len)
		return us_fail(err, US_EINVAL, "Invalid mailbox name");
	if (form == NAMES_USER) {
		mboxname_user_inbox(word, out);
		return mboxname_check_storable(buf_span(out), err);
	}
	if (form == NAMES_UTF8 && !is_ascii(word))
		rc = to_mutf7(word, &converted, err);
	else
		buf_add_span(&converted, word);
	if (rc == 0)
		rc = mboxname_from_external(&view, buf_span(&converted), out, err);
	buf_free(&converted);
	return rc;
}

void names_external(const struct host *host, struct span internal, struct buf *out)
{
	struct mboxname_view view = admin_view(host);

	mboxname_to_external(&view, internal, out);
}

/* ---- patterns ---------------------------------------------------------------------------------- */

bool names_is_pattern(struct span word)
{
	return span_find(word, '*') || span_find(word, '%');
}

struct each {
	const struct host *host;
	struct span pattern;
	names_fn *fn;
	void *ctx;
	struct buf external;
};

static int look_at(void *ctx, struct span name, const struct mailbox_row *row, struct us_err *err)
{
	struct each *e = ctx;

	buf_clear(&e->external);
	names_external(e->host, name, &e->external);
	if (!listmatch_fits(e->pattern, buf_span(&e->external),
			    mboxname_separator(&e->host->names)))
		return 0;
	return e->fn(e->ctx, name, row, err);
}

int names_each(const struct host *host, struct span pattern, names_fn *fn, void *ctx,
	       struct us_err *err)
{
	struct each e = {host, pattern, fn, ctx, BUF_INIT};
	struct buf converted = BUF_INIT;
	int rc = 0;

	if (!is_ascii(pattern)) {
		rc = to_mutf7(pattern, &converted, err);
		e.pattern = buf_span(&converted);
	}
	if (rc == 0)
		rc = folder_list(host->store, SPAN_NULL, look_at, &e, err);
	buf_free(&e.external);
	buf_free(&converted);
	return rc;
}
