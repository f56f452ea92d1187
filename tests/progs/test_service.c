/* test_service.c - a service for the tests of master: answers lines, and dies in every way on demand.
 *
 *	who		one line of name=value about this process
 *	exit N		ends with that status
 *	abort		dies of SIGABRT, without a core
 *	anything else	comes back as it is
 *
 * Options of its own: -g word, greets with it; -b file, dies at start while there is such a file.
 */
#include <stdbool.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "server/base/buf.h"
#include "server/base/log.h"
#include "server/base/mem.h"
#include "server/base/span.h"
#include "server/base/wait.h"
#include "server/session/service.h"

struct test_service {
	char *greeting, *break_file;
	pid_t parent; /* the process that was initialised */
	bool *again;  /* of the service */
};

static int option(void *ctx, int letter, const char *value, struct us_err *err)
{
	struct test_service *t = ctx;

	if (letter == 'g')
		t->greeting = us_strdup(value);
	else if (letter == 'b')
		t->break_file = us_strdup(value);
	else if (letter == 'a')
		*t->again = true;
	else
		return us_fail(err, US_EINVAL, "-%c is none of ours", letter);
	return 0;
}

static int init(void *ctx, const struct service_env *env UNUSED, struct us_err *err)
{
	struct test_service *t = ctx;

	t->parent = getpid();
	if (t->break_file && access(t->break_file, F_OK) == 0)
		return us_fail(err, US_EIO, "told to fail by %s", t->break_file);
	return 0;
}

static void add_fds(struct buf *out)
{
	buf_add_str(out, " fds=");
	for (int fd = 0; fd < 64; fd++) {
		char link[64], target[128];
		ssize_t n;

		snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
		n = readlink(link, target, sizeof(target) - 1);
		if (n < 0)
			continue;
		target[strcspn(target, " ")] = '\0';
		target[n] = '\0';
		buf_printf(out, "%d:%s,", fd, target);
	}
}

static void add_who(struct buf *out, const struct test_service *t, const struct service_env *env,
		    const struct service_conn *conn)
{
	struct rlimit limit;
	gid_t groups[64];
	int n = getgroups(64, groups);

	getrlimit(RLIMIT_NOFILE, &limit);
	buf_printf(out, "pid=%d ppid=%d parent=%d uid=%d euid=%d gid=%d", getpid(), getppid(),
		   t->parent, getuid(), geteuid(), getgid());
	buf_printf(out, " name=%s id=%d alone=%d unclean=%d greeting=%s", env->name, env->id,
		   env->alone, env->unclean, t->greeting ? t->greeting : "");
	buf_printf(out, " local=%s remote=%s unix=%d peer_uid=%d", conn->local.text,
		   conn->remote.text, conn->is_unix, (int)conn->peer_uid);
	buf_printf(out, " maxfds=%llu groups=", (unsigned long long)limit.rlim_cur);
	for (int i = 0; i < n; i++)
		buf_printf(out, "%d,", (int)groups[i]);
	add_fds(out);
	buf_add_char(out, '\n');
}

static void die_of_abort(void)
{
	struct rlimit none = {0, 0};

	setrlimit(RLIMIT_CORE, &none);
	signal(SIGABRT, SIG_DFL);
	raise(SIGABRT);
}

/* Returns an exit status, or -1 to go on. */
static int answer(const struct test_service *t, const struct service_env *env,
		  const struct service_conn *conn, struct span line)
{
	struct buf out = BUF_INIT;
	uint64_t status;
	bool well;

	if (span_is(line, "abort"))
		die_of_abort();
	if (span_starts(line, "exit ") && span_u64(span_from(line, 5), 255, &status))
		return (int)status;
	if (span_is(line, "who")) {
		add_who(&out, t, env, conn);
	} else {
		buf_add_span(&out, line);
		buf_add_char(&out, '\n');
	}
	well = write(conn->fd_out, out.data, out.len) == (ssize_t)out.len;
	buf_free(&out);
	return well ? -1 : 0;
}

static int serve_lines(const struct test_service *t, const struct service_env *env,
		       const struct service_conn *conn, struct buf *in)
{
	int status = -1;

	while (status < 0) {
		const char *end = span_find(buf_span(in), '\n');
		struct pollfd fd = {conn->fd_in, POLLIN, 0};
		ssize_t n;

		if (end) {
			size_t len = (size_t)(end - in->data);
			status = answer(t, env, conn, span_make(in->data, len));
			buf_remove(in, 0, len + 1);
			continue;
		}
		if (wait_ready(&fd, 1, -1, conn->stop, NULL) < 0)
			return 0;
		n = read(conn->fd_in, buf_reserve(in, 4096), 4096);
		if (n <= 0)
			return 0;
		in->len += (size_t)n;
		in->data[in->len] = '\0';
	}
	return status;
}

static int connection(void *ctx, const struct service_env *env, struct service_conn *conn)
{
	const struct test_service *t = ctx;
	struct buf in = BUF_INIT;
	char banner[64];
	int status, len;

	len = snprintf(banner, sizeof(banner), "* %s %d\n", t->greeting ? t->greeting : "hello",
		       getpid());
	if (write(conn->fd_out, banner, (size_t)len) != len)
		return 1;
	status = serve_lines(t, env, conn, &in);
	buf_free(&in);
	if (*t->again)
		close(conn->fd_in);
	return status;
}

static void shut_down(void *ctx)
{
	struct test_service *t = ctx;

	free(t->greeting);
	free(t->break_file);
	t->greeting = t->break_file = NULL;
}

int main(int argc, char **argv)
{
	struct test_service t = {NULL, NULL, 0, NULL};
	struct service service = {.name = "test",
				  .options = "g:b:a",
				  .ctx = &t,
				  .option = option,
				  .init = init,
				  .connection = connection,
				  .shutdown = shut_down};

	t.again = &service.again;
	return service_run(&service, argc, argv);
}
