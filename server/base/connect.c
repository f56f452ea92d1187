/* connect.c - see connect.h. */
#include "server/base/connect.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "server/base/io.h"
#include "server/base/mem.h"
#include "server/base/wait.h"

/* ---- targets ---------------------------------------------------------------------------------- */

static int bad(struct span text, const char *why, struct us_err *err)
{
	return us_fail(err, US_EINVAL, "host \"%.*s\": %s", SPAN_ARG(text), why);
}

static bool is_ipv6(struct span host)
{
	const char *colon = span_find(host, ':');

	return colon && span_find(span_from(host, (size_t)(colon - host.ptr) + 1), ':');
}

/* host [":" port], or "[" host "]" [":" port]. False if brackets do not match. */
static bool split_port(struct span text, struct connect_target *out)
{
	const char *end = NULL;

	if (span_starts(text, "[")) {
		end = span_find(text, ']');
		if (!end || (end + 1 < text.ptr + text.len && end[1] != ':'))
			return false;
		out->host = span_make(text.ptr + 1, (size_t)(end - text.ptr) - 1);
		text = span_from(text, (size_t)(end - text.ptr) + 1);
	} else {
		if (!is_ipv6(text))
			end = span_find(text, ':');
		out->host = span_make(text.ptr, end ? (size_t)(end - text.ptr) : text.len);
		text = span_from(text, out->host.len);
	}
	out->port = text.len ? span_from(text, 1) : SPAN_NULL;
	return true;
}

static int parse_options(struct span whole, struct span rest, struct connect_target *out,
			 struct us_err *err)
{
	struct span word;

	while (span_split(&rest, '/', &word)) {
		if (span_is_nocase(word, "tls"))
			out->tls = true;
		else if (span_is_nocase(word, "noauth"))
			out->noauth = true;
		else
			return bad(whole, "the options are /tls and /noauth", err);
	}
	return 0;
}

int connect_parse(struct span text, struct connect_target *out, struct us_err *err)
{
	struct connect_target target = {.host = text};
	const char *slash = span_find(text, '/');
	int rc = 0;

	if (span_starts(text, "/")) {
		target.local = true;
		*out = target;
		return 0;
	}
	if (slash)
		rc = parse_options(text, span_from(text, (size_t)(slash - text.ptr) + 1), &target,
				   err);
	if (rc < 0)
		return rc;
	if (!split_port(span_make(text.ptr, slash ? (size_t)(slash - text.ptr) : text.len),
			&target))
		return bad(text, "a bracket is not closed", err);
	if (!target.host.len)
		return bad(text, "there is no name", err);
	if (target.port.ptr && !target.port.len)
		return bad(text, "there is no port behind the colon", err);
	*out = target;
	return 0;
}

/* ---- connecting ------------------------------------------------------------------------------- */

/* What an attempt came to that could not go on: errno to code and sentence. */
static int refused(int number, const char *whom, struct us_err *err)
{
	switch (number) {
	case ECONNREFUSED:
	case ECONNRESET:
	case EHOSTUNREACH:
	case ENETUNREACH:
	case ENETDOWN:
	case EAGAIN: /* a Unix socket whose queue is full */
		return us_fail(err, US_ECLOSED, "%s: %s", whom, strerror(number));
	case ETIMEDOUT:
		return us_fail(err, US_ETIMEOUT, "%s: %s", whom, strerror(number));
	default:
		errno = number;
		return us_fail_errno(err, "%s", whom);
	}
}

static int finish(int fd, const char *whom, int timeout_ms, const volatile sig_atomic_t *stop,
		  struct us_err *err)
{
	struct pollfd wait = {fd, POLLOUT, 0};
	int number = 0, rc;
	socklen_t len = sizeof(number);

	rc = wait_ready(&wait, 1, timeout_ms, stop, err);
	if (rc < 0)
		return rc;
	if (rc == 0)
		return us_fail(err, US_ETIMEOUT, "%s: no answer in %d.%03d s", whom,
			       timeout_ms / 1000, timeout_ms % 1000);
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &number, &len) < 0)
		number = errno;
	return number ? refused(number, whom, err) : 0;
}

static int try_address(const struct sockaddr *address, socklen_t len, const char *whom,
		       int timeout_ms, const volatile sig_atomic_t *stop, int *fd_out,
		       struct us_err *err)
{
	int fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), rc = 0;

	if (fd < 0)
		return us_fail_errno(err, "%s: socket", whom);
	if (connect(fd, address, len) < 0)
		rc = errno == EINPROGRESS || errno == EINTR
			     ? finish(fd, whom, timeout_ms, stop, err)
			     : refused(errno, whom, err);
	if (rc < 0)
		io_close(&fd);
	else
		*fd_out = fd;
	return rc;
}

static int connect_local(struct span path, int timeout_ms, const volatile sig_atomic_t *stop,
			 int *fd_out, struct us_err *err)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	if (path.len >= sizeof(address.sun_path))
		return us_fail(err, US_EINVAL, "the path of a Unix socket is too long: %.*s",
			       SPAN_ARG(path));
	memcpy(address.sun_path, path.ptr, path.len);
	return try_address((struct sockaddr *)&address, sizeof(address), address.sun_path,
			   timeout_ms, stop, fd_out, err);
}

/* Services that /etc/services of a Debian does not list, or not under the name Cyrus uses. */
static const char *port_of(const char *service)
{
	static const struct {
		const char *name, *port;
	} rows[] = {
		{"csync", "2005"}, {"mupdate", "3905"}, {"lmtp", "24"},  {"sieve", "4190"},
		{"imap", "143"},   {"imaps", "993"},    {"pop3", "110"}, {"pop3s", "995"},
		{"nntp", "119"},   {"nntps", "563"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (strcmp(rows[i].name, service) == 0)
			return rows[i].port;
	return NULL;
}

static int resolve(const char *host, const char *port, struct addrinfo **out, struct us_err *err)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
	int rc = getaddrinfo(host, port, &hints, out);

	if (rc == EAI_SERVICE && port_of(port))
		rc = getaddrinfo(host, port_of(port), &hints, out);
	switch (rc) {
	case 0:
		return 0;
	case EAI_SERVICE:
		return us_fail(err, US_ENOENT, "%s: no service \"%s\"", host, port);
	case EAI_AGAIN:
		return us_fail(err, US_ETIMEOUT, "%s: %s", host, gai_strerror(rc));
	case EAI_SYSTEM:
		return us_fail_errno(err, "%s: looking up the address", host);
	default:
		return us_fail(err, US_ENOENT, "%s: %s", host, gai_strerror(rc));
	}
}

static int count(const struct addrinfo *list)
{
	int n = 0;

	for (; list; list = list->ai_next)
		n++;
	return n;
}

static int try_all(const char *host, const struct addrinfo *list, int timeout_ms,
		   const volatile sig_atomic_t *stop, int *fd_out, struct us_err *err)
{
	int64_t deadline = wait_deadline_ms(timeout_ms);
	int left = count(list), rc = US_ENOENT;

	for (; list; list = list->ai_next, left--) {
		char address[NI_MAXHOST], port[NI_MAXSERV], whom[128];
		int share = wait_left_ms(deadline);

		if (getnameinfo(list->ai_addr, list->ai_addrlen, address, sizeof(address), port,
				sizeof(port), NI_NUMERICHOST | NI_NUMERICSERV))
			snprintf(address, sizeof(address), "?");
		snprintf(whom, sizeof(whom), "%.60s [%.45s]:%.5s", host, address, port);
		rc = try_address(list->ai_addr, list->ai_addrlen, whom,
				 share < 0 ? -1 : share / left, stop, fd_out, err);
		if (rc == 0 || (stop && *stop))
			break;
	}
	return rc;
}

int connect_open(const struct connect_target *target, const char *port, int timeout_ms,
		 const volatile sig_atomic_t *stop, int *fd_out, struct us_err *err)
{
	struct addrinfo *list = NULL;
	char *host, *service;
	int rc;

	if (target->local)
		return connect_local(target->host, timeout_ms, stop, fd_out, err);
	host = span_dup(target->host);
	service = target->port.ptr ? span_dup(target->port) : us_strdup(port);
	rc = resolve(host, service, &list, err);
	if (rc == 0)
		rc = try_all(host, list, timeout_ms, stop, fd_out, err);
	if (list)
		freeaddrinfo(list);
	free(host);
	free(service);
	return rc;
}

static void set(int fd, int level, int option, int value)
{
	(void)setsockopt(fd, level, option, &value,
			 sizeof(value)); /* no TCP: then it has no need of it */
}

void connect_limit_silence(int fd, int silence_ms)
{
	int probe_s = silence_ms / 1000 / 4 > 0 ? silence_ms / 1000 / 4 : 1;

	if (silence_ms <= 0)
		return;
	set(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
	set(fd, IPPROTO_TCP, TCP_KEEPIDLE, probe_s);
	set(fd, IPPROTO_TCP, TCP_KEEPINTVL, probe_s);
	set(fd, IPPROTO_TCP, TCP_KEEPCNT, 3);
	set(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, silence_ms);
}
