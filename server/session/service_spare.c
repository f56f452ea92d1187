/* service_spare.c - a connection's process that is forked before its client comes, so that no client waits for a fork.
 *
 * It holds one end of a pair of sockets and sleeps. The parent sends the client's descriptor through the other end, or closes
 * it by leaving or dying, and the spare is gone. Until then it serves nobody and counts for nothing.
 */
#include "server/session/service_private.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/base/process.h"
#include "server/base/wait.h"

/* Room for one descriptor beside a message. */
union ancillary {
	struct cmsghdr head;
	char space[CMSG_SPACE(sizeof(int))];
};

static struct msghdr one_descriptor(struct iovec *byte, union ancillary *with)
{
	return (struct msghdr){.msg_iov = byte,
			       .msg_iovlen = 1,
			       .msg_control = with,
			       .msg_controllen = sizeof(*with)};
}

static int send_descriptor(int to, int fd)
{
	char nothing = 0;
	struct iovec byte = {&nothing, 1};
	union ancillary with = {.space = {0}};
	struct msghdr message = one_descriptor(&byte, &with);

	with.head.cmsg_level = SOL_SOCKET;
	with.head.cmsg_type = SCM_RIGHTS;
	with.head.cmsg_len = CMSG_LEN(sizeof(fd));
	memcpy(CMSG_DATA(&with.head), &fd, sizeof(fd));
	return sendmsg(to, &message, MSG_NOSIGNAL | MSG_DONTWAIT) == 1 ? 0 : -1;
}

/* -1: nothing comes any more. */
static int receive_descriptor(int from)
{
	char nothing;
	struct iovec byte = {&nothing, 1};
	union ancillary with = {.space = {0}};
	struct msghdr message = one_descriptor(&byte, &with);
	int fd = -1;

	if (recvmsg(from, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT) == 1 &&
	    with.head.cmsg_level == SOL_SOCKET && with.head.cmsg_type == SCM_RIGHTS &&
	    with.head.cmsg_len == CMSG_LEN(sizeof(fd)))
		memcpy(&fd, CMSG_DATA(&with.head), sizeof(fd));
	return fd;
}

bool service_spare_fork(struct service_spare *s, int *from)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return false;
	*s = (struct service_spare){fork(), pair[0], wait_clock_ms()};
	if (s->pid == 0) {
		service_spare_drop(s);
		*from = pair[1];
		return true;
	}
	close(pair[1]);
	if (s->pid < 0)
		service_spare_drop(s);
	return false;
}

int service_spare_wait(int from)
{
	struct pollfd wait = {from, POLLIN, 0};
	int fd = -1;

	if (wait_ready(&wait, 1, -1, &process_flags.stop, NULL) > 0)
		fd = receive_descriptor(from);
	close(from);
	return fd;
}

pid_t service_spare_hand(struct service_spare *s, int client)
{
	pid_t pid = s->pid && send_descriptor(s->fd, client) == 0 ? s->pid : 0;

	service_spare_drop(s);
	return pid;
}

void service_spare_drop(struct service_spare *s)
{
	if (s->fd >= 0)
		close(s->fd);
	*s = SERVICE_NO_SPARE;
}
