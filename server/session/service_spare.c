/* service_spare.c - connections' processes that wait for a client, so that no client waits for a fork.
 *
 * Each holds one end of a pair of sockets and sleeps. The parent sends a client's descriptor through the other end; closing
 * that end, by will or by dying, is all that ends a process that waits. Where the service allows it (service.h, `again`), a process
 * whose client has left says so with a byte and waits for another: to end a process and to fork one costs as much as to log in.
 *
 *	fork --> waits -- descriptor --> busy -- client gone: byte --> waits		the parent's end of the pair stays open
 *		   |			   |
 *		   +-- parent's end closed +-- ends with its client
 *
 * Only the few that were forked last are kept track of. Until its client comes a process serves nobody and counts for nothing.
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

/* ---- the parent -------------------------------------------------------------------------------------- */

static void drop(struct service_spare *s)
{
	if (s->fd >= 0)
		close(s->fd);
	*s = (struct service_spare){0, -1, 0, false};
}

void service_spares_init(struct service_spares *all)
{
	for (size_t i = 0; i < SERVICE_SPARES; i++)
		all->slots[i] = (struct service_spare){0, -1, 0, false};
}

void service_spares_drop(struct service_spares *all)
{
	for (size_t i = 0; i < SERVICE_SPARES; i++)
		drop(&all->slots[i]);
}

/* The one that has been as it is for the shortest time: a process that waits is warm then. */
static struct service_spare *last_waiting(struct service_spares *all)
{
	struct service_spare *found = NULL;

	for (struct service_spare *s = all->slots; s < all->slots + SERVICE_SPARES; s++)
		if (s->fd >= 0 && !s->busy && (!found || s->since_ms > found->since_ms))
			found = s;
	return found;
}

bool service_spares_any(const struct service_spares *all)
{
	for (size_t i = 0; i < SERVICE_SPARES; i++)
		if (all->slots[i].pid && !all->slots[i].busy)
			return true;
	return false;
}

/* A free place, or that of the one whose client has stayed longest: he will end with him. Nobody waits when one is forked. */
static struct service_spare *make_room(struct service_spares *all)
{
	struct service_spare *oldest = all->slots;

	for (struct service_spare *s = all->slots; s < all->slots + SERVICE_SPARES; s++) {
		if (!s->pid)
			return s;
		if (s->since_ms < oldest->since_ms)
			oldest = s;
	}
	drop(oldest);
	return oldest;
}

bool service_spare_fork(struct service_spares *all, int *from)
{
	struct service_spare *s = make_room(all);
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return false;
	*s = (struct service_spare){fork(), pair[0], wait_clock_ms(), false};
	if (s->pid == 0) {
		drop(s);
		*from = pair[1];
		return true;
	}
	close(pair[1]);
	if (s->pid < 0)
		drop(s);
	return false;
}

pid_t service_spare_hand(struct service_spares *all, int client)
{
	struct service_spare *s;

	while ((s = last_waiting(all))) {
		if (send_descriptor(s->fd, client) == 0) {
			s->busy = true;
			s->since_ms = wait_clock_ms();
			return s->pid;
		}
		drop(s);
	}
	return 0;
}

pid_t service_spare_heard(struct service_spare *s)
{
	char free_again;
	pid_t pid = s->pid;

	if (!s->busy || recv(s->fd, &free_again, 1, MSG_DONTWAIT) != 1) {
		close(s->fd);
		s->fd = -1; /* its end is told by its parent's waitpid(2) */
		return 0;
	}
	s->busy = false;
	s->since_ms = wait_clock_ms();
	return pid;
}

bool service_spare_bury(struct service_spares *all, pid_t pid, int64_t *born_ms)
{
	for (struct service_spare *s = all->slots; s < all->slots + SERVICE_SPARES; s++)
		if (s->pid == pid) {
			bool waited = !s->busy;
			*born_ms = s->since_ms;
			drop(s);
			return waited;
		}
	return false;
}

int service_spares_thin(struct service_spares *all, int64_t patience_ms)
{
	const struct service_spare *keep = last_waiting(all);
	int64_t now_ms = wait_clock_ms();
	int next_ms = -1;

	for (struct service_spare *s = all->slots; s < all->slots + SERVICE_SPARES; s++) {
		int64_t left_ms = s->since_ms + patience_ms - now_ms;
		if (!patience_ms || !s->pid || s->busy || s == keep)
			continue;
		if (left_ms <= 0)
			drop(s);
		else if (next_ms < 0 || left_ms < next_ms)
			next_ms = (int)left_ms;
	}
	return next_ms;
}

/* ---- the process ------------------------------------------------------------------------------------- */

int service_spare_wait(int from)
{
	struct pollfd wait = {from, POLLIN, 0};

	return wait_ready(&wait, 1, -1, &process_flags.stop, NULL) > 0 ? receive_descriptor(from)
								       : -1;
}

bool service_spare_free(int from)
{
	return send(from, "", 1, MSG_NOSIGNAL | MSG_DONTWAIT) == 1;
}
