/* hall.c - see hall.h. */
#include "server/idle/hall.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "server/base/conf.h"
#include "server/base/io.h"
#include "server/base/log.h"
#include "server/base/mem.h"
#include "server/base/wait.h"
#include "server/idle/watches.h"
#include "server/session/bell_packet.h"
#include "server/store/mailbox.h"

#define BACKLOG      4096
#define SOCKET_UMASK 0177
#define SEND_BYTES   1 /* the kernel makes it the least there is: a handful of packets */
#define EVENTS       256
#define ACCEPTED     64    /* in a turn: then others have their turn */
#define COMPLAIN_MS  60000 /* a limit that is hit is told of so often */
#define PARTITION    "partition-"

struct guest {
	struct waiter waiter; /* first: a waiter is its guest */
	int fd;
	struct guest *next, *prev;
};

struct hall {
	const struct conf *conf;
	char *path;
	ino_t inode; /* of the socket: is it still ours? */
	int listener, epoll;
	int spare; /* a descriptor to give away for a moment when there are none */
	struct watches *watches;
	struct waiter own; /* for the socket's file */
	bool replaced;
	struct guest *first;
	int64_t complain_watches_ms, complain_fds_ms;
};

/* ---- speaking ------------------------------------------------------------------------------------- */

static bool say(struct guest *g, enum bell_word word)
{
	struct bell_packet packet = {.word = word};
	unsigned char bytes[BELL_PACKET_MAX];
	int len = bell_packet_put(&packet, bytes, NULL);

	return send(g->fd, bytes, (size_t)len, MSG_DONTWAIT | MSG_NOSIGNAL) == len;
}

/* What he must know, or else he must know that we do not tell him: his end comes back as an event. */
static void say_surely(struct guest *g, enum bell_word word)
{
	if (!say(g, word))
		(void)shutdown(g->fd, SHUT_RDWR);
}

static void heard(void *ctx, struct waiter *who, enum watches_news what)
{
	struct hall *h = ctx;
	struct guest *g = (struct guest *)who;

	if (who == &h->own)
		h->replaced = true; /* or touched: hall_turn() finds out */
	else if (what == WATCHES_FELL)
		say_surely(g, BELL_FELL);
	else
		(void)say(g, BELL_RING); /* no room: he has one that he has not fetched */
}

/* ---- guests --------------------------------------------------------------------------------------- */

static int attend_to(struct hall *h, int fd, void *what)
{
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = what};

	return epoll_ctl(h->epoll, EPOLL_CTL_ADD, fd, &event);
}

static void bury(struct hall *h, struct guest *g)
{
	watches_remove(h->watches, &g->waiter);
	io_close(&g->fd);
	if (g->prev)
		g->prev->next = g->next;
	else
		h->first = g->next;
	if (g->next)
		g->next->prev = g->prev;
	free(g);
}

static void welcome(struct hall *h, int fd)
{
	struct guest *g = us_calloc(1, sizeof(*g));
	int bytes = SEND_BYTES;

	(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes,
			 sizeof(bytes)); /* else it is larger, and well too */
	g->fd = fd;
	g->next = h->first;
	if (h->first)
		h->first->prev = g;
	h->first = g;
	if (attend_to(h, fd, g) < 0)
		bury(h, g);
}

static bool is_due(int64_t *next_ms)
{
	if (wait_left_ms(*next_ms))
		return false;
	*next_ms = wait_deadline_ms(COMPLAIN_MS);
	return true;
}

/* Out of descriptors: who waits in the queue would wait for ever. Take one, and send him away to listen for himself. */
static void turn_away(struct hall *h)
{
	int fd;

	if (is_due(&h->complain_fds_ms))
		log_event(LOG_WARNING, "idled.descriptors.exhausted",
			  LF_NUM("connections", watches_figures(h->watches).waiters));
	io_close(&h->spare);
	fd = accept4(h->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	io_close(&fd);
	h->spare = dup(h->epoll);
}

static void accept_some(struct hall *h)
{
	for (int i = 0; i < ACCEPTED; i++) {
		int fd = accept4(h->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd >= 0)
			welcome(h, fd);
		else if (errno == EMFILE || errno == ENFILE)
			turn_away(h);
		else if (errno != ECONNABORTED && errno != EINTR)
			return;
	}
}

/* ---- what they want -------------------------------------------------------------------------------- */

static int path_of(const struct hall *h, const struct bell_packet *packet, char *path, size_t size,
		   struct us_err *err)
{
	char *key =
		us_asprintf(PARTITION "%.*s", (int)packet->partition.len, packet->partition.ptr);
	const char *root = conf_text(h->conf, key);
	int rc = root ? mailbox_bell_path(root, &packet->id, path, size) : US_ENOENT;

	if (rc < 0)
		us_fail(err, rc, "no path for %s", key);
	free(key);
	return rc;
}

static int hang(struct hall *h, struct guest *g, struct span text, struct us_err *err)
{
	struct bell_packet packet;
	char path[PATH_MAX];
	int rc = bell_packet_parse(text, &packet, err);

	if (rc == 0 && packet.word != BELL_WATCH)
		rc = us_fail(err, US_EPROTO, "a word that is ours");
	if (rc == 0)
		rc = path_of(h, &packet, path, sizeof(path), err);
	if (rc == 0)
		rc = watches_add(h->watches, &g->waiter, path, 0, err);
	if (rc == US_ELIMIT && is_due(&h->complain_watches_ms))
		log_event(LOG_WARNING, "idled.watches.exhausted",
			  LF_NUM("objects", watches_figures(h->watches).watches), LF_ERR(err));
	return rc;
}

static void listen_to(struct hall *h, struct guest *g)
{
	char bytes[BELL_PACKET_MAX + 1]; /* one that is too long shows */
	ssize_t n = recv(g->fd, bytes, sizeof(bytes), MSG_DONTWAIT);
	struct us_err err;
	int rc;

	if (n <= 0 && !(n < 0 && (errno == EAGAIN || errno == EINTR)))
		bury(h, g);
	if (n <= 0)
		return;
	rc = hang(h, g, span_make(bytes, (size_t)n), &err);
	if (rc < 0)
		log_event(LOG_DEBUG, "idled.refused", LF_ERR(&err));
	say_surely(g, rc < 0 ? BELL_REFUSED : BELL_HUNG);
}

/* ---- the socket ------------------------------------------------------------------------------------ */

static int bind_at(int fd, const char *path, struct us_err *err)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	mode_t before;
	int rc = 0;

	if (strlen(path) >= sizeof(address.sun_path))
		return us_fail(err, US_ECONFIG, "the path %s is too long for a socket", path);
	memcpy(address.sun_path, path, strlen(path));
	if (unlink(path) < 0 && errno != ENOENT)
		return us_fail_errno(err, "remove %s", path);
	before = umask(SOCKET_UMASK);
	if (bind(fd, (const void *)&address, sizeof(address)) < 0 || listen(fd, BACKLOG) < 0)
		rc = us_fail_errno(err, "listen on %s", path);
	umask(before);
	return rc;
}

/* Under a name of our own first, so that there is never a moment without a socket that answers. */
static int listen_at(struct hall *h, struct us_err *err)
{
	char *dir = us_strdup(h->path);
	char *ours = us_asprintf("%s.%d", h->path, (int)getpid());
	struct stat st;
	int rc = io_mkdirs(FP("idled.socket.mkdir"), dirname(dir), err);

	h->listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (rc == 0 && h->listener < 0)
		rc = us_fail_errno(err, "socket");
	if (rc == 0)
		rc = bind_at(h->listener, ours, err);
	if (rc == 0 && stat(ours, &st) < 0)
		rc = us_fail_errno(err, "stat %s", ours);
	if (rc == 0) {
		h->inode = st.st_ino;
		rc = io_rename(FP("idled.socket.rename"), AT_FDCWD, ours, AT_FDCWD, h->path, err);
		if (rc < 0)
			(void)unlink(ours); /* what went wrong is told */
	}
	free(ours);
	free(dir);
	return rc;
}

static bool is_ours(const struct hall *h)
{
	struct stat st;

	return stat(h->path, &st) == 0 && st.st_ino == h->inode;
}

/* ---- turns ----------------------------------------------------------------------------------------- */

int hall_open(const struct conf *conf, struct hall **out, struct us_err *err)
{
	struct hall *h = us_calloc(1, sizeof(*h));
	const char *path = conf_str(conf, CONF_idlesocket);
	int rc;

	h->conf = conf;
	h->listener = h->spare = -1;
	h->complain_fds_ms = h->complain_watches_ms = 0;
	h->path = us_strdup(path ? path : "");
	h->epoll = epoll_create1(EPOLL_CLOEXEC);
	rc = h->epoll < 0 ? us_fail_errno(err, "epoll") : path ? 0 : US_ECONFIG;
	if (rc == US_ECONFIG)
		us_fail(err, rc, "neither idlesocket nor configdirectory is set");
	if (rc == 0)
		rc = watches_new(heard, h, &h->watches, err);
	if (rc == 0)
		rc = listen_at(h, err);
	if (rc == 0)
		rc = watches_add(h->watches, &h->own, h->path, IN_ATTRIB, err);
	if (rc == 0 && (attend_to(h, h->listener, &h->listener) < 0 ||
			attend_to(h, watches_fd(h->watches), h->watches) < 0))
		rc = us_fail_errno(err, "epoll");
	if (rc < 0) {
		hall_close(&h);
		return rc;
	}
	h->spare = dup(h->epoll);
	h->replaced = true; /* somebody may have been as quick: look */
	*out = h;
	return 0;
}

void hall_close(struct hall **hall)
{
	struct hall *h = *hall;

	if (!h)
		return;
	while (h->first)
		bury(h, h->first);
	watches_free(&h->watches);
	io_close(&h->listener);
	io_close(&h->spare);
	io_close(&h->epoll);
	free(h->path);
	free(h);
	*hall = NULL;
}

static void do_event(struct hall *h, void *what)
{
	if (what == &h->listener)
		accept_some(h);
	else if (what == h->watches)
		watches_take(h->watches);
	else
		listen_to(h, what);
}

int hall_turn(struct hall *h, const sigset_t *open, struct us_err *err)
{
	struct epoll_event events[EVENTS];
	int n;

	if (h->replaced && !is_ours(h))
		return us_fail(err, US_ECHANGED, "%s is no longer ours", h->path);
	h->replaced = false;
	n = epoll_pwait(h->epoll, events, EVENTS, -1, open);
	if (n < 0 && errno != EINTR)
		return us_fail_errno(err, "epoll");
	for (int i = 0; i < n; i++)
		do_event(h, events[i].data.ptr);
	return 0;
}
