/* listener.c - see listener.h. */
#include "server/master/listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "server/base/mem.h"
#include "server/master/ports.h"

struct found {
	struct listener *items;
	size_t n, cap;
};

static const char *family_name(int family)
{
	return family == AF_INET6 ? "ipv6" : family == AF_INET ? "ipv4" : "unix";
}

/* ---- finding addresses ------------------------------------------------------------------------ */

static void add(struct found *found, int family, const union listener_address *address,
		socklen_t len, const char *text)
{
	struct listener *l;

	for (size_t i = 0; i < found->n; i++)
		if (strcmp(found->items[i].text, text) == 0)
			return; /* a host may be listed twice in /etc/hosts */
	us_grow(&found->items, found->n, &found->cap, sizeof(*found->items));
	l = &found->items[found->n++];
	*l = (struct listener){.fd = -1,
			       .family = family_name(family),
			       .address = *address,
			       .len = len};
	snprintf(l->text, sizeof(l->text), "%s", text);
}

static int find_path(const struct listener_spec *spec, struct found *found, struct us_err *err)
{
	union listener_address address = {.un = {.sun_family = AF_UNIX}};

	if (strlen(spec->path) >= sizeof(address.un.sun_path))
		return us_fail(err, US_EINVAL, "%s is longer than a socket's path may be",
			       spec->path);
	snprintf(address.un.sun_path, sizeof(address.un.sun_path), "%s", spec->path);
	add(found, AF_UNIX, &address, sizeof(address.un), spec->path);
	return 0;
}

static void add_inet(struct found *found, const struct addrinfo *ai, unsigned short port)
{
	union listener_address address;
	char host[INET6_ADDRSTRLEN], text[64];

	if (ai->ai_addrlen > sizeof(address))
		return;
	memset(&address, 0, sizeof(address));
	memcpy(&address, ai->ai_addr, ai->ai_addrlen);
	if (ai->ai_family == AF_INET6) {
		address.in6.sin6_port = htons(port);
		inet_ntop(AF_INET6, &address.in6.sin6_addr, host, sizeof(host));
		snprintf(text, sizeof(text), "[%s]:%u", host, port);
	} else {
		address.in.sin_port = htons(port);
		inet_ntop(AF_INET, &address.in.sin_addr, host, sizeof(host));
		snprintf(text, sizeof(text), "%s:%u", host, port);
	}
	add(found, ai->ai_family, &address, ai->ai_addrlen, text);
}

static int find_host(const struct listener_spec *spec, struct found *found, struct us_err *err)
{
	/* A port must be given for getaddrinfo(3) to say every address; the real one is put in after. */
	struct addrinfo hints = {.ai_family = spec->family,
				 .ai_socktype = spec->type,
				 .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
	struct addrinfo *list = NULL;
	unsigned short port;
	int rc;

	rc = ports_resolve(spec->port, spec->type == SOCK_DGRAM ? "udp" : "tcp", &port, err);
	if (rc < 0)
		return rc;
	rc = getaddrinfo(spec->host, "1", &hints, &list);
	if (rc != 0)
		return us_fail(err, US_EINVAL, "%s: %s", spec->host ? spec->host : "any address",
			       gai_strerror(rc));
	for (const struct addrinfo *ai = list; ai; ai = ai->ai_next)
		if (ai->ai_family == AF_INET || ai->ai_family == AF_INET6)
			add_inet(found, ai, port);
	freeaddrinfo(list);
	return 0;
}

int listener_resolve(const struct listener_spec *spec, struct listener **out, size_t *n_out,
		     struct us_err *err)
{
	struct found found = {NULL, 0, 0};
	int rc = spec->path ? find_path(spec, &found, err) : find_host(spec, &found, err);

	if (rc == 0 && found.n == 0)
		rc = us_fail(err, US_EINVAL, "no address to listen on");
	if (rc < 0) {
		free(found.items);
		return rc;
	}
	*out = found.items;
	*n_out = found.n;
	return 0;
}

/* ---- opening one ------------------------------------------------------------------------------ */

static int set_options(int fd, const struct listener *l, int tos)
{
	int on = 1;

	if (l->address.any.sa_family == AF_UNIX)
		return 0;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0)
		return -1;
	if (l->address.any.sa_family == AF_INET)
		return tos ? setsockopt(fd, IPPROTO_IP, IP_TOS, &tos, sizeof(tos)) : 0;
	if (setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) < 0)
		return -1;
	return tos ? setsockopt(fd, IPPROTO_IPV6, IPV6_TCLASS, &tos, sizeof(tos)) : 0;
}

/* A socket that nobody listens on any more stands in the way of the next. What is no socket stays, and bind
 * refuses. */
static void remove_old(const char *path)
{
	struct stat st;

	if (lstat(path, &st) == 0 && S_ISSOCK(st.st_mode))
		(void)unlink(path); /* if that fails bind says why */
}

static int bind_to(int fd, const struct listener *l, unsigned mode)
{
	mode_t before;
	int rc, number;

	if (l->address.any.sa_family != AF_UNIX)
		return bind(fd, &l->address.any, l->len);
	remove_old(l->address.un.sun_path);
	before = umask((mode_t)(~mode & 0777));
	rc = bind(fd, &l->address.any, l->len);
	number = errno;
	umask(before);
	errno = number;
	return rc;
}

int listener_open(struct listener *l, int type, int backlog, int tos, unsigned mode)
{
	int fd = socket(l->address.any.sa_family, type | SOCK_CLOEXEC, 0);

	l->err = (struct us_err)US_ERR_INIT;
	l->in_use = false;
	l->family_missing = fd < 0 && errno == EAFNOSUPPORT;
	if (fd < 0 || set_options(fd, l, tos) < 0 || bind_to(fd, l, mode) < 0 ||
	    (type == SOCK_STREAM && listen(fd, backlog) < 0)) {
		l->in_use = errno == EADDRINUSE;
		us_fail_errno(&l->err, "%s", l->text);
		if (fd >= 0)
			close(fd);
		return l->err.code;
	}
	l->fd = fd;
	return 0;
}

void listener_close(struct listener *l)
{
	if (l->fd >= 0)
		close(l->fd);
	l->fd = -1;
}
