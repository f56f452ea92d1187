/* userdeny.c - see userdeny.h. */
#include "server/session/userdeny.h"

#include <fcntl.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "server/base/io.h"
#include "server/base/mem.h"

/* ---- the form -------------------------------------------------------------------------------------- */

#define ESCAPE \
	'\xff' /* before itself, or before what would end a field or a line, with its highest bit set */

static struct span decode(struct span text, struct pool *pool)
{
	char *out = pool_alloc(pool, text.len + 1);
	size_t n = 0;

	for (size_t i = 0; i < text.len; i++) {
		char c = text.ptr[i];
		if (c == ESCAPE && i + 1 < text.len) {
			c = text.ptr[++i];
			c = c == ESCAPE ? ESCAPE : (char)(c & 0x7f);
		}
		out[n++] = c;
	}
	return span_make(out, n);
}

static void encode(struct span text, struct buf *out)
{
	for (size_t i = 0; i < text.len; i++) {
		char c = text.ptr[i];
		bool special = c == '\0' || c == '\t' || c == '\n' || c == '\r' || c == ESCAPE;
		if (special)
			buf_add_char(out, ESCAPE);
		buf_add_char(out, special ? (char)(c | 0x80) : c);
	}
}

bool userdeny_parse(struct span line, struct pool *pool, struct userdeny_entry *out)
{
	struct userdeny_entry new;
	struct span rest = line, user, version;

	if (!span_split(&rest, '\t', &user) || !rest.ptr)
		return false;
	rest = decode(rest, pool);
	if (!span_split(&rest, '\t', &version) || !span_is(version, "2") ||
	    !span_split(&rest, '\t', &new.services))
		return false;
	new.user = decode(user, pool);
	new.message = rest.ptr ? rest : SPAN_LIT(USERDENY_MESSAGE);
	*out = new;
	return true;
}

void userdeny_format_user(struct span user, struct buf *out)
{
	encode(user, out);
}

void userdeny_format(const struct userdeny_entry *entry, struct buf *out)
{
	userdeny_format_user(entry->user, out);
	buf_add_str(out, "\t2");
	encode(SPAN_LIT("\t"), out);
	encode(entry->services, out);
	encode(SPAN_LIT("\t"), out);
	encode(entry->message, out);
	buf_add_char(out, '\n');
}

static bool pattern_fits(struct span pattern, const char *service)
{
	char *text = span_dup(pattern);
	bool fits = fnmatch(text, service, 0) == 0;

	free(text);
	return fits;
}

bool userdeny_fits(struct span services, const char *service)
{
	struct span pattern;

	while (span_split(&services, ',', &pattern)) {
		bool lets_in;
		pattern = span_trim(pattern);
		lets_in = pattern.len && pattern.ptr[0] == '!';
		if (pattern_fits(span_from(pattern, lets_in), service))
			return !lets_in;
	}
	return false;
}

/* ---- the file ---------------------------------------------------------------------------------------- */

char *userdeny_path(const struct conf *conf)
{
	const char *path = conf_str(conf, CONF_userdeny_db_path);

	return path ? us_strdup(path)
		    : us_asprintf("%s/user_deny.db", conf_str(conf, CONF_configdirectory));
}

int userdeny_read(const char *path, struct buf *out, struct us_err *err)
{
	size_t before = out->len;
	int rc = io_read_file(AT_FDCWD, path, USERDENY_MAX, out, err);

	if (rc == 0 && span_starts(span_from(buf_span(out), before), "\241\002\213\015"))
		rc = us_fail(err, US_ENOTSUP, "%s is not in the flat format", path);
	return rc < 0 ? rc : 0;
}

static int look_for(struct span text, const char *user, const char *service, struct buf *message)
{
	struct pool *pool = pool_new();
	struct userdeny_entry entry;
	struct span line;
	int rc = 0;

	while (rc == 0 && span_split(&text, '\n', &line)) {
		pool_clear(pool);
		if (!userdeny_parse(line, pool, &entry) || !span_is(entry.user, user) ||
		    !userdeny_fits(entry.services, service))
			continue;
		buf_add_span(message, entry.message);
		rc = 1;
	}
	pool_free(&pool);
	return rc;
}

int userdeny_check(const struct conf *conf, const char *user, const char *service,
		   struct buf *message, struct us_err *err)
{
	char *path = userdeny_path(conf);
	struct buf text = BUF_INIT;
	int rc = userdeny_read(path, &text, err);

	if (rc == 0)
		rc = look_for(buf_span(&text), user, service, message);
	buf_free(&text);
	free(path);
	return rc == US_ENOENT ? 0 : rc;
}

bool userdeny_changed(const struct conf *conf, struct userdeny_stamp *stamp)
{
	char *path = userdeny_path(conf);
	struct userdeny_stamp now = {0};
	struct stat st;
	bool changed;

	if (stat(path, &st) == 0)
		now = (struct userdeny_stamp){st.st_dev, st.st_ino, (uint64_t)st.st_size,
					      st.st_mtim.tv_sec, st.st_mtim.tv_nsec};
	free(path);
	changed = now.device != stamp->device || now.inode != stamp->inode ||
		  now.size != stamp->size || now.seconds != stamp->seconds ||
		  now.nanoseconds != stamp->nanoseconds;
	*stamp = now;
	return changed;
}
