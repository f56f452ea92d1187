/* bell.c - see bell.h. */
#include "server/session/bell.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "server/base/io.h"
#include "server/base/wait.h"
#include "server/session/bell_packet.h"
#include "server/store/mailbox.h"
#include "server/store/partition.h"

#define IDLED          bell->fds[0]
#define OWN            bell->fds[1]

#define ANSWER_MS      1000  /* in which idled says HUNG, or we listen ourselves until it does */
#define FIRST_PAUSE_MS 250   /* before one that has just gone is looked for again */
#define LONG_PAUSE_MS  60000 /* the same for one that was not there */

void bell_init(struct bell *bell)
{
	*bell = (struct bell){.fds = {-1, -1}, .pause_ms = LONG_PAUSE_MS};
}

void bell_fini(struct bell *bell)
{
	io_close(&IDLED);
	io_close(&OWN);
}

/* ---- idled ----------------------------------------------------------------------------------------- */

/* Many lose it at once: they do not come back at once. */
static void pause_idled(struct bell *bell)
{
	int spread = bell->pause_ms / 2;

	bell->retry_ms = wait_clock_ms() + bell->pause_ms + (spread ? getpid() % spread : 0);
	if (bell->pause_ms < LONG_PAUSE_MS / 2)
		bell->pause_ms *= 2;
	else
		bell->pause_ms = LONG_PAUSE_MS;
}

static void lose_idled(struct bell *bell)
{
	io_close(&IDLED);
	bell->state = BELL_NONE;
}

static int connect_idled(struct bell *bell, const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	if (!path || strlen(path) >= sizeof(address.sun_path))
		return US_ECONFIG;
	memcpy(address.sun_path, path, strlen(path));
	IDLED = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (IDLED < 0)
		return US_EIO;
	return connect(IDLED, (const void *)&address, sizeof(address)) < 0 ? US_EIO : 0;
}

static int ask_idled(struct bell *bell, struct mailbox *m)
{
	struct bell_packet packet = {.word = BELL_WATCH,
				     .id = m->row.storeid,
				     .partition = span_of(m->partition->name)};
	unsigned char bytes[BELL_PACKET_MAX];
	int rc, len = bell_packet_put(&packet, bytes, NULL);

	if (len < 0)
		return len;
	rc = send(IDLED, bytes, (size_t)len, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? US_EIO : 0;
	bell->state = BELL_ASKED;
	bell->asked_ms = wait_clock_ms();
	return rc;
}

static void tend_idled(struct bell *bell, const char *path, struct mailbox *m)
{
	int rc = 0;

	if (bell->state != BELL_NONE)
		return;
	if (IDLED < 0 && wait_clock_ms() < bell->retry_ms)
		return;
	if (IDLED < 0)
		rc = connect_idled(bell, path);
	if (rc == 0)
		rc = ask_idled(bell, m);
	if (rc < 0) {
		lose_idled(bell);
		pause_idled(bell);
	}
}

static void take_word(struct bell *bell, struct span text)
{
	struct bell_packet packet;

	if (bell_packet_parse(text, &packet, NULL) < 0)
		packet.word = BELL_REFUSED;
	if (packet.word == BELL_HUNG) {
		bell->state = BELL_HEARS;
		bell->pause_ms = FIRST_PAUSE_MS; /* it runs: when it goes it will be back */
	} else if (packet.word == BELL_FELL) {
		bell->state = BELL_NONE;
	} else if (packet.word != BELL_RING) {
		lose_idled(bell);
		bell->pause_ms = LONG_PAUSE_MS;
		pause_idled(bell);
	}
}

static void take_idled(struct bell *bell)
{
	char bytes[BELL_PACKET_MAX];
	ssize_t n = 1;

	while (IDLED >= 0 && n > 0) {
		do
			n = recv(IDLED, bytes, sizeof(bytes), MSG_DONTWAIT);
		while (n < 0 && errno == EINTR);
		if (n > 0)
			take_word(bell, span_make(bytes, (size_t)n));
	}
	if (IDLED >= 0 && (n == 0 || errno != EAGAIN)) {
		bell->retry_ms = 0; /* another one may have taken its place already */
		if (bell->state != BELL_HEARS)
			pause_idled(bell);
		lose_idled(bell);
	}
}

/* ---- our own --------------------------------------------------------------------------------------- */

static int hang_own(struct bell *bell, const char *path, struct us_err *err)
{
	if (OWN < 0)
		OWN = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (OWN < 0)
		return us_fail_errno(err, "inotify");
	if (inotify_add_watch(OWN, path, IN_MODIFY | IN_DELETE_SELF) < 0)
		return us_fail_errno(err, "watch %s", path);
	bell->own_hung = true;
	return 0;
}

static void take_own(struct bell *bell)
{
	char events[4096] __attribute__((aligned(__alignof__(struct inotify_event))));
	ssize_t n;

	while (OWN >= 0 &&
	       ((n = read(OWN, events, sizeof(events))) > 0 || (n < 0 && errno == EINTR))) {
		for (ssize_t at = 0; at < n;) {
			const struct inotify_event *event = (const void *)(events + at);

			if (event->mask &
			    IN_IGNORED) /* the file is gone: the mailbox moved, or is gone too */
				bell->own_hung = false;
			at += (ssize_t)(sizeof(*event) + event->len);
		}
	}
}

/* ---- both ------------------------------------------------------------------------------------------ */

int bell_tend(struct bell *bell, const char *idlesocket, struct mailbox *m, struct us_err *err)
{
	char path[PATH_MAX];
	int rc = bell->state == BELL_HEARS || bell->own_hung
			 ? 0
			 : mailbox_bell(m, path, sizeof(path)); /* idled makes none */

	if (rc < 0)
		return us_fail(err, rc, "the bell of %s cannot be had", m->name.data);
	tend_idled(bell, idlesocket, m);
	if (bell->state == BELL_HEARS) {
		io_close(&OWN);
		bell->own_hung = false;
		return 0;
	}
	if (bell->own_hung)
		return 0;
	if (bell->state == BELL_ASKED && wait_left_ms(bell->asked_ms + ANSWER_MS))
		return 0;
	return hang_own(bell, path, err);
}

int bell_wait_ms(const struct bell *bell)
{
	if (bell->state == BELL_NONE)
		return wait_left_ms(bell->retry_ms);
	if (bell->state == BELL_ASKED && !bell->own_hung)
		return wait_left_ms(bell->asked_ms + ANSWER_MS);
	return -1;
}

void bell_take(struct bell *bell)
{
	take_idled(bell);
	take_own(bell);
}
