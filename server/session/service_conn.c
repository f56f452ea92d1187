/* service_conn.c - one client: who it is, and serving it. */
#include "server/session/service_private.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sysexits.h>
#include <unistd.h>

#include "server/base/process.h"
#include "server/session/host.h"
#include "server/session/proc_note.h"

union any_address {
	struct sockaddr any;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
	struct sockaddr_un un;
};

static void set_inet(struct service_address *out, int family, const void *address, in_port_t port)
{
	inet_ntop(family, address, out->host, sizeof(out->host));
	out->port = ntohs(port);
	snprintf(out->text, sizeof(out->text), "[%s]:%u", out->host, out->port);
}

/* getsockname(2) or getpeername(2) says it; what is no socket is "stdio". */
static int describe(int fd, int (*ask)(int, struct sockaddr *, socklen_t *),
		    struct service_address *out)
{
	union any_address a;
	socklen_t len = sizeof(a);

	memset(&a, 0, sizeof(a));
	*out = (struct service_address){.text = "stdio"};
	if (ask(fd, &a.any, &len) < 0)
		return AF_UNSPEC;
	switch (a.any.sa_family) {
	case AF_INET:
		set_inet(out, AF_INET, &a.in.sin_addr, a.in.sin_port);
		break;
	case AF_INET6:
		set_inet(out, AF_INET6, &a.in6.sin6_addr, a.in6.sin6_port);
		break;
	case AF_UNIX:
		snprintf(out->text, sizeof(out->text), "[%.*s]", (int)sizeof(a.un.sun_path),
			 a.un.sun_path[0] ? a.un.sun_path : "unix"); /* the client's has no name */
		break;
	default:
		break;
	}
	return a.any.sa_family;
}

/* glibc declares the address argument as a union of all kinds, which is no type a pointer can have. */
static int ask_local(int fd, struct sockaddr *a, socklen_t *len)
{
	return getsockname(fd, a, len);
}

static int ask_remote(int fd, struct sockaddr *a, socklen_t *len)
{
	return getpeername(fd, a, len);
}

void service_conn_init(struct service_conn *conn, int fd_in, int fd_out)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);

	*conn = (struct service_conn){.fd_in = fd_in,
				      .fd_out = fd_out,
				      .peer_uid = (uid_t)-1,
				      .stop = &process_flags.stop};
	conn->is_unix = describe(fd_in, ask_local, &conn->local) == AF_UNIX;
	(void)describe(fd_in, ask_remote,
		       &conn->remote); /* a client that is gone already: "stdio" */
	if (conn->is_unix && getsockopt(fd_in, SOL_SOCKET, SO_PEERCRED, &cred, &len) == 0)
		conn->peer_uid = cred.uid;
}

void service_end(const struct service *service, const struct service_env *env)
{
	if (service->shutdown)
		service->shutdown(service->ctx);
	if (env->host)
		host_close(env->host);
}

static struct proc_note *make_note(const struct service_env *env, const struct service_conn *conn)
{
	char client[sizeof(conn->remote.text) + 2];

	snprintf(client, sizeof(client), "[%s]",
		 conn->remote.host[0] ? conn->remote.host
		 : conn->is_unix      ? "unix socket"
				      : "stdio");
	return proc_note_new(env->conf, env->name, client);
}

int service_serve(const struct service *service, const struct service_env *env, int fd_in,
		  int fd_out)
{
	struct service_conn conn;
	int status;

	service_conn_init(&conn, fd_in, fd_out);
	process_title_set("%s %s", env->name, conn.remote.text);
	conn.note = make_note(env, &conn);
	status = service->connection(service->ctx, env, &conn);
	proc_note_free(&conn.note);
	return status == 0 && process_flags.stop ? EX_TEMPFAIL : status;
}
