/* names.c - see names.h. */
#include "server/admin/names.h"

#include <iconv.h>
#include <string.h>

#include "server/store/mboxname.h"

static struct mboxname_view admin_view(const struct host *host)
{
	struct mboxname_view view = host->names;

	view.admin = true;
	return view;
}

static bool is_ascii(struct span s)
{
	for (size_t i = 0; i < s.len; i++)
		if ((unsigned char)s.ptr[i] >= 0x80)
			return false;
	return true;
}

/* The C library knows it. */
int names_to_mutf7(struct span word, struct buf *out, struct us_err *err)
{
	char text[2048], *in = (char *)word.ptr, *to = text;
	size_t in_left = word.len, left = sizeof(text);
	iconv_t cd;
	int rc = 0;

	if (is_ascii(word)) {
		buf_add_span(out, word);
		return 0;
	}
	cd = iconv_open("UTF-7-IMAP", "UTF-8");
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
	if (form == NAMES_UTF8)
		rc = names_to_mutf7(word, &converted, err);
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

bool names_is_pattern(struct span word)
{
	return span_find(word, '*') || span_find(word, '%');
}
