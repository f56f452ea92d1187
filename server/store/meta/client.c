/* client.c - asking metad: one question at a time over a socket that may break at any moment.
 *
 *	ask() --> connect_within() --> send_all() --> receive() --> answer
 *	  ^            |                   |              |
 *	  +------------+--- broken: again -+--------------+	until wait_ms have passed since the question
 *
 * master holds the listening socket, so while metad is restarted a connection is made at once and waits in the backlog.
 * If nobody listens there is no master; a process that was told to stop gives up then.
 * Sending a question again is harmless: reads change nothing, a batch has its nonce. What is not harmless is a batch that is
 * carried out after its sender gave up and somebody else went on: metad drops the unread requests of whoever
 * has closed, so giving up closes.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "server/base/io.h"
#include "server/base/mem.h"
#include "server/base/process.h"
#include "server/base/wait.h"
#include "server/store/meta/meta_private.h"

#define MOST_BREAKS    50 /* a question that kills metad each time is not asked for ever */
#define READ_SIZE      (64u << 10)
#define MOST_ANSWER    (META_PAYLOAD_MAX + RANGE_PAGE_BYTES + (1u << 20))
#define FIRST_PAUSE_MS 1
#define MOST_PAUSE_MS  50

struct client {
	char *path;
	unsigned wait_ms;
	int fd;
	bool greeted;    /* HELLO was sent on it: client_try() connects without a question */
	uint64_t number; /* of the last question */
	struct buf in;   /* bytes received, of which used_in are done with */
	size_t used_in;
	struct message message;
};

struct client *client_new(const char *socket, unsigned wait_ms)
{
	struct client *c = us_calloc(1, sizeof(*c));

	c->path = us_strdup(socket);
	c->wait_ms = wait_ms;
	c->fd = -1;
	buf_init(&c->in, 0);
	buf_init(&c->message.joined, 0);
	return c;
}

static void hang_up(struct client *c)
{
	io_close(&c->fd);
	c->greeted = false;
	buf_clear(&c->in);
	c->used_in = 0;
	c->message.open = false;
}

void client_free(struct client **client)
{
	if (!*client)
		return;
	hang_up(*client);
	buf_free(&(*client)->in);
	message_fini(&(*client)->message);
	free((*client)->path);
	free(*client);
	*client = NULL;
}

/* The connection is the parent's too: our copy of it goes, the connection stays. */
void client_after_fork(struct client *c)
{
	hang_up(c);
}

/* ---- connecting -------------------------------------------------------------------------------- */

/* US_ENOENT: nobody listens; US_EBUSY: the backlog is full. */
static int connect_once(struct client *c, struct us_err *err)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd;

	if (strlen(c->path) >= sizeof(address.sun_path))
		return us_fail(err, US_ECONFIG, "the path %s is too long for a socket", c->path);
	strncpy(address.sun_path, c->path, sizeof(address.sun_path) - 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return us_fail_errno(err, "socket");
	if (connect(fd, (const void *)&address, sizeof(address)) < 0) {
		int code = errno == ENOENT || errno == ECONNREFUSED ? US_ENOENT
			   : errno == EAGAIN || errno == EINTR      ? US_EBUSY
								    : US_EIO;
		us_fail(err, code, "metad at %s: %s", c->path, strerror(errno));
		io_close(&fd);
		return code;
	}
	c->fd = fd;
	return 0;
}

static void pause_ms(int ms)
{
	struct timespec pause = {ms / 1000, (long)(ms % 1000) * 1000000};

	nanosleep(&pause, NULL);
}

static int connect_within(struct client *c, int64_t deadline, struct us_err *err)
{
	int pause = FIRST_PAUSE_MS;

	for (;;) {
		int rc = connect_once(c, err);
		if (rc != US_ENOENT && rc != US_EBUSY)
			return rc;
		/* Nobody listens: master is gone, and who is to stop does not wait for the next one. */
		if (!wait_left_ms(deadline) || (rc == US_ENOENT && process_flags.stop))
			return us_fail(err, US_ETIMEOUT, "metad is not there");
		pause_ms(pause);
		pause = pause * 2 < MOST_PAUSE_MS ? pause * 2 : MOST_PAUSE_MS;
	}
}

int client_try(struct client *c, struct us_err *err)
{
	int rc = c->fd >= 0 ? 0 : connect_once(c, err);

	return rc == US_EBUSY ? 0 : rc; /* there is a crowd, so there is a metad */
}

/* ---- one exchange: US_ECLOSED is a connection that broke ----------------------------------------- */

static int broke(struct us_err *err)
{
	return us_fail(err, US_ECLOSED, "metad closed the connection");
}

static int await(struct client *c, short events, int64_t deadline, struct us_err *err)
{
	struct pollfd fd = {.fd = c->fd, .events = events};
	int rc = wait_ready(&fd, 1, wait_left_ms(deadline), NULL, err);

	if (rc == 0)
		return us_fail(err, US_ETIMEOUT, "metad does not answer");
	return rc < 0 ? rc : 0;
}

static int send_all(struct client *c, struct span bytes, int64_t deadline, struct us_err *err)
{
	while (bytes.len) {
		ssize_t n = send(c->fd, bytes.ptr, bytes.len, MSG_NOSIGNAL);
		if (n >= 0) {
			bytes = span_from(bytes, (size_t)n);
		} else if (errno == EAGAIN) {
			int rc = await(c, POLLOUT, deadline, err);
			if (rc < 0)
				return rc;
		} else if (errno == EPIPE || errno == ECONNRESET) {
			return broke(err);
		} else if (errno != EINTR) {
			return us_fail_errno(err, "send to metad");
		}
	}
	return 0;
}

static int receive_some(struct client *c, int64_t deadline, struct us_err *err)
{
	ssize_t n;

	buf_remove(&c->in, 0, c->used_in);
	c->used_in = 0;
	n = recv(c->fd, buf_reserve(&c->in, READ_SIZE), READ_SIZE, 0);
	if (n > 0)
		c->in.len += (size_t)n;
	if (n > 0)
		return 0;
	if (n == 0 || errno == ECONNRESET)
		return broke(err);
	if (errno == EAGAIN)
		return await(c, POLLIN, deadline, err);
	return errno == EINTR ? 0 : us_fail_errno(err, "receive from metad");
}

/* The next whole message: 0 with it in c->message. */
static int receive(struct client *c, int64_t deadline, struct us_err *err)
{
	for (;;) {
		struct packet packet;
		size_t used = 0;
		int rc = packet_next(span_from(buf_span(&c->in), c->used_in), &packet, &used, err);
		if (rc > 0) {
			c->used_in += used;
			rc = message_add(&c->message, &packet, MOST_ANSWER, err);
			if (rc > 0)
				return 0;
		} else if (rc == 0) {
			rc = receive_some(c, deadline, err);
		}
		if (rc < 0)
			return rc;
	}
}

static int expect_answer(struct client *c, unsigned kind, uint64_t number, int64_t deadline,
			 struct us_err *err)
{
	int rc = receive(c, deadline, err);

	if (rc == 0 && (c->message.kind != (kind | PACKET_ANSWER) || c->message.number != number))
		return us_fail(err, US_EPROTO, "metad answers something else than was asked");
	return rc;
}

static void greet(struct buf *out)
{
	struct buf body = BUF_INIT;

	request_hello(&body);
	message_put(out, PACKET_HELLO, 0, buf_span(&body));
	buf_free(&body);
}

/* A new connection begins with HELLO, sent in one go with what follows. */
static int exchange(struct client *c, unsigned kind, struct span body, int64_t deadline,
		    struct us_err *err)
{
	bool fresh = !c->greeted;
	struct buf out = BUF_INIT;
	struct span ignored;
	int rc = c->fd < 0 ? connect_within(c, deadline, err) : 0;

	c->number++;
	if (fresh)
		greet(&out);
	c->greeted = true;
	message_put(&out, kind, c->number, body);
	if (rc == 0)
		rc = send_all(c, buf_span(&out), deadline, err);
	if (rc ==
	    US_ECLOSED) /* maybe it refused what is too large, and did not wait for the rest */
		rc = 0;
	if (rc == 0 && fresh)
		rc = expect_answer(c, PACKET_HELLO, 0, deadline, err);
	if (rc == 0 && fresh)
		rc = answer_parse(c->message.body, &ignored, err);
	if (rc == 0)
		rc = expect_answer(c, kind, c->number, deadline, err);
	buf_free(&out);
	if (rc < 0)
		hang_up(c);
	return rc;
}

/* *answer is good until the next question. */
static int ask(struct client *c, unsigned kind, struct span body, struct span *answer,
	       struct us_err *err)
{
	int64_t deadline = wait_deadline_ms((int)c->wait_ms);
	int rc = US_ECLOSED;

	for (int i = 0; rc == US_ECLOSED && i < MOST_BREAKS && (!i || wait_left_ms(deadline)); i++)
		rc = exchange(c, kind, body, deadline, err);
	if (rc == US_ECLOSED)
		rc = us_fail(err, US_EIO, "metad broke off each time it was asked");
	return rc < 0 ? rc : answer_parse(c->message.body, answer, err);
}

/* ---- the questions ----------------------------------------------------------------------------- */

static int client_get(struct meta *meta, enum meta_table table, struct span key, struct buf *value,
		      struct us_err *err)
{
	struct buf body = BUF_INIT;
	struct span answer;
	int rc;

	request_get(&body, table, key);
	rc = ask(meta->client, PACKET_GET, buf_span(&body), &answer, err);
	buf_free(&body);
	if (rc == US_ENOENT)
		return 0;
	if (rc < 0)
		return rc;
	buf_add_span(value, answer);
	return 1;
}

static int client_page(struct meta *meta, const struct request *range, struct buf *entries,
		       struct us_err *err)
{
	struct buf body = BUF_INIT;
	struct span answer;
	int rc;

	request_range(&body, range);
	rc = ask(meta->client, PACKET_RANGE, buf_span(&body), &answer, err);
	if (rc == 0)
		buf_add_span(entries, answer);
	buf_free(&body);
	return rc;
}

static int client_commit(struct meta *meta, const struct meta_batch *batch, bool lazy,
			 struct us_err *err)
{
	struct buf body = BUF_INIT;
	struct span answer;
	int rc;

	batch_encode(batch, lazy ? BATCH_FLAG_LAZY : 0, &body);
	rc = ask(meta->client, PACKET_BATCH, buf_span(&body), &answer, err);
	buf_free(&body);
	return rc;
}

static int client_barrier(struct meta *meta, struct us_err *err)
{
	struct span answer;

	return ask(meta->client, PACKET_BARRIER, SPAN_NULL, &answer, err);
}

static int client_stat(struct meta *meta, struct buf *out, struct us_err *err)
{
	struct span answer;
	int rc = ask(meta->client, PACKET_STAT, SPAN_NULL, &answer, err);

	if (rc == 0)
		buf_add_span(out, answer);
	return rc;
}

const struct meta_ops meta_client_ops = {client_get, client_page, client_commit, client_barrier,
					 client_stat};
