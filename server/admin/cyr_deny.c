/* cyr_deny.c - keep users out of services, and let them in again: the file of session/userdeny.h, changed and shown.
 *
 * The file is replaced as a whole: whoever logs in meanwhile reads the old one or the new one. Those who change it wait for
 * each other at a lock file beside it. Lines that say nothing to us stay as they are.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sysexits.h>

#include "server/admin/tool.h"
#include "server/base/failpoint.h"
#include "server/base/io.h"
#include "server/base/log.h"
#include "server/base/mem.h"
#include "server/session/identity.h"
#include "server/session/userdeny.h"

#define FAILED 1 /* as Cyrus's tool has it */

struct order {
	const char *conf_path, *services, *message, *user;
	bool allow, list;
};

static int usage(void)
{
	fputs("Usage: cyr_deny [-C <altconfig>] [ -s services ] [ -m message ] user\n"
	      "       cyr_deny [-C <altconfig>] -a user\n"
	      "       cyr_deny [-C <altconfig>] -l\n",
	      stderr);
	return EX_USAGE;
}

static int failed(const char *what, const char *user, const struct us_err *err)
{
	fprintf(stderr, "cyr_deny: failed to %s%s: %s\n", what, user, err->text);
	log_event(LOG_ERR, "admin.tool.failed", LF_ERR(err));
	return FAILED;
}

/* ---- the file -------------------------------------------------------------------------------------- */

/* A descriptor that holds the lock until it is closed. */
static int lock_file(const char *path, int *fd, struct us_err *err)
{
	char *name = us_asprintf("%s.lock", path);
	int rc = io_open(FP("admin.deny.lock"), AT_FDCWD, name, O_RDWR | O_CREAT | O_CLOEXEC, 0600,
			 fd, err);

	free(name);
	if (rc < 0)
		return rc;
	do
		rc = flock(*fd, LOCK_EX);
	while (rc < 0 && errno == EINTR);
	return rc < 0 ? us_fail_errno(err, "lock %s", path) : 0;
}

static int replace(const char *path, const struct buf *text, struct us_err *err)
{
	const struct io_replace_points points = {FP("admin.deny.write"), FP("admin.deny.sync"),
						 FP("admin.deny.rename"), FP("admin.deny.dirsync")};

	if (text->len > USERDENY_MAX)
		return us_fail(err, US_ELIMIT, "more than %u bytes", USERDENY_MAX);
	return io_replace(&points, AT_FDCWD, path, text->data ? text->data : "", text->len, 0600,
			  err);
}

/* The lines of `old` with that user's replaced by `line`, which may be empty; where he has none, in order. */
static void put_line(struct span old, struct span user, struct span line, struct buf *out)
{
	bool is_put = !line.len;
	struct span rest = old, one;

	while (span_split(&rest, '\n', &one)) {
		struct span tail = one, whose;
		int order;
		if (!rest.ptr && !one.len)
			break; /* behind the last line end */
		(void)span_split(&tail, '\t', &whose);
		order = span_cmp(whose, user);
		if (!is_put && order >= 0) {
			buf_add_span(out, line);
			is_put = true;
		}
		if (order == 0)
			continue;
		buf_add_span(out, one);
		buf_add_char(out, '\n');
	}
	if (!is_put)
		buf_add_span(out, line);
}

/* Have the file say `line` of that user; with must_exist it is not made. */
static int change(const char *path, struct span user, struct span line, bool must_exist,
		  struct us_err *err)
{
	struct buf old = BUF_INIT, new = BUF_INIT, key = BUF_INIT;
	int fd = -1, rc = lock_file(path, &fd, err);

	if (rc == 0)
		rc = userdeny_read(path, &old, err);
	if (rc == US_ENOENT && !must_exist)
		rc = 0;
	if (rc == 0) {
		userdeny_format_user(user, &key);
		put_line(buf_span(&old), buf_span(&key), line, &new);
		rc = span_eq(buf_span(&old), buf_span(&new)) ? 0 : replace(path, &new, err);
	}
	io_close(&fd);
	buf_free(&old);
	buf_free(&new);
	buf_free(&key);
	return rc;
}

/* ---- the three things that can be done -------------------------------------------------------------- */

static int deny(const struct tool *t, const struct order *o, const char *path)
{
	char user[IDENTITY_MAX + 1];
	struct userdeny_entry entry = {.services = span_of(o->services),
				       .message = span_of(o->message)};
	struct buf line = BUF_INIT;
	struct us_err err = US_ERR_INIT;
	/* As he will be known when he logs in: any other name keeps nobody out. */
	int rc = identity_canonicalize(&t->host.policy, span_of(o->user), user, &err);

	if (rc == 0 && strpbrk(o->services, "\t\r\n"))
		rc = us_fail(&err, US_EINVAL, "services are separated by commas");
	if (rc == 0) {
		entry.user = span_of(user);
		userdeny_format(&entry, &line);
		rc = change(path, entry.user, buf_span(&line), /* must_exist */ false, &err);
	}
	buf_free(&line);
	if (rc == 0)
		log_event(LOG_NOTICE, "admin.deny.denied", LF_STR("user", user),
			  LF_STR("services", o->services));
	return rc < 0 ? failed("deny access for ", o->user, &err) : 0;
}

/* By the name that is given, which somebody may have written by hand, and by the one under which he logs in. */
static int allow(const struct tool *t, const struct order *o, const char *path)
{
	char user[IDENTITY_MAX + 1];
	struct us_err err = US_ERR_INIT;
	int rc = change(path, span_of(o->user), SPAN_LIT(""), /* must_exist */ true, &err);

	if (rc == US_ENOENT || rc == US_ENOTSUP)
		return failed("open deny db", "", &err);
	if (rc == 0 && identity_canonicalize(&t->host.policy, span_of(o->user), user, NULL) == 0)
		rc = change(path, span_of(user), SPAN_LIT(""), /* must_exist */ true, &err);
	if (rc == 0)
		log_event(LOG_NOTICE, "admin.deny.allowed", LF_STR("user", o->user));
	return rc < 0 ? failed("allow access for ", o->user, &err) : 0;
}

static int list(const char *path)
{
	struct pool *pool = pool_new();
	struct buf text = BUF_INIT;
	struct us_err err = US_ERR_INIT;
	struct userdeny_entry e;
	struct span rest, line;
	int rc = userdeny_read(path, &text, &err);

	rest = buf_span(&text);
	if (rc == 0)
		printf("%-30s %-20s %s\n", "Username", "Service(s)", "Message");
	while (rc == 0 && span_split(&rest, '\n', &line))
		if (userdeny_parse(line, pool, &e))
			printf("%-30.*s %-20.*s %.*s\n", SPAN_ARG(e.user), SPAN_ARG(e.services),
			       SPAN_ARG(e.message));
	buf_free(&text);
	pool_free(&pool);
	return rc < 0 ? failed("open deny db", "", &err) : 0;
}

static int run(const struct tool *t, const struct order *o)
{
	char *path = userdeny_path(t->conf);
	int status = o->list ? list(path) : o->allow ? allow(t, o, path) : deny(t, o, path);

	free(path);
	return status;
}

/* ---- the command line ------------------------------------------------------------------------------ */

static bool take_option(struct order *o, int letter)
{
	switch (letter) {
	case 'C':
		o->conf_path = optarg;
		return true;
	case 'a':
		return o->allow = true;
	case 'l':
		return o->list = true;
	case 's':
		o->services = optarg;
		return true;
	case 'm':
		o->message = optarg;
		return true;
	default:
		return false;
	}
}

static bool read_options(struct order *o, int argc, char **argv)
{
	int letter;

	while ((letter = getopt(argc, argv, "C:als:m:")) != -1)
		if (!take_option(o, letter))
			return false;
	if (o->allow && o->list)
		return false;
	if ((o->allow || o->list) && (o->services || o->message))
		return false;
	if (argc - optind != !o->list)
		return false;
	o->user = argv[optind];
	o->services = o->services ? o->services : USERDENY_ALL;
	o->message = o->message ? o->message : USERDENY_MESSAGE;
	return true;
}

int main(int argc, char **argv)
{
	struct order o = {0};
	struct us_err err = US_ERR_INIT;
	struct tool t;
	int rc;

	if (!read_options(&o, argc, argv))
		return usage();
	rc = tool_begin(&t, "cyr_deny", o.conf_path, 0, &err);
	if (rc == 0)
		rc = run(&t, &o);
	return tool_end(&t, rc, &err);
}
