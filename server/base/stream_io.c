/* stream_io.c - the wire end of a stream: bytes in and out of the transport, and waiting for it.
 *
 * Two things here keep peers from waiting for each other.
 *
 * While a write is blocked we read ahead, up to STREAM_AHEAD bytes, as they are on the wire. Else two sides
 * that both pipeline could each stand in a write that the other does not read.
 *
 * A wire read that got less than it had room for has emptied the system's buffer, so the next one goes to
 * poll at once instead of asking again (`drained`): two system calls a command, and a client that never
 * pauses still passes the stop flag.
 */
#include "server/base/stream_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/base/mem.h"
#include "server/base/wait.h"

/* ---- the transport over descriptors ----------------------------------------------------------- */

static ssize_t fd_read(struct stream *s, void *data, size_t len)
{
	ssize_t n;

	do
		n = read(s->fd_in, data, len);
	while (n < 0 && errno == EINTR);
	return n;
}

static ssize_t fd_write(struct stream *s, const void *data, size_t len, bool more_follows)
{
	ssize_t n;

	do
		n = s->socket ? send(s->fd_out, data, len,
				     MSG_NOSIGNAL | (more_follows ? MSG_MORE : 0))
			      : write(s->fd_out, data, len);
	while (n < 0 && errno == EINTR);
	return n;
}

static void fd_close(struct stream *s)
{
	if (s->fd_in >= 0)
		close(s->fd_in);
	if (s->fd_out >= 0 && s->fd_out != s->fd_in)
		close(s->fd_out);
}

const struct stream_transport stream_fd_transport = {fd_read, fd_write, NULL, fd_close, true};

/* ---- bytes in and out ------------------------------------------------------------------------- */

int stream_wire_fail(struct us_err *err, const char *doing)
{
	switch (errno) {
	case ECONNRESET:
	case EPIPE:
	case ENOTCONN:
	case ESHUTDOWN:
		return us_fail(err, US_ECLOSED, "%s: the peer closed the connection", doing);
	case ETIMEDOUT:
	case EHOSTUNREACH:
	case ENETUNREACH:
	case ENETDOWN:
		return us_fail(err, US_ECLOSED, "%s: %s", doing, strerror(errno));
	default:
		return us_fail_errno(err, "%s", doing);
	}
}

static int blocked(struct stream *s, short want)
{
	s->want = want;
	return STREAM_BLOCKED;
}

static int read_transport(struct stream *s, void *data, size_t len, struct us_err *err)
{
	ssize_t n;

	if (s->drained)
		return blocked(s, POLLIN);
	n = s->transport->read(s, data, len);
	if (n < 0 && errno != EAGAIN)
		return stream_wire_fail(err, "reading");
	s->drained = n < 0 || (n > 0 && (size_t)n < len);
	if (n < 0)
		return blocked(s, POLLIN);
	s->stats.wire_in += (uint64_t)n;
	return (int)n;
}

static int read_ahead(struct stream *s, void *data, size_t len)
{
	struct stream_chunk *ahead = &s->ahead;

	if (len > ahead->end - ahead->at)
		len = ahead->end - ahead->at;
	memcpy(data, ahead->data + ahead->at, len);
	ahead->at += len;
	if (ahead->at == ahead->end)
		stream_chunk_free(ahead);
	return (int)len;
}

int stream_wire_read(struct stream *s, void *data, size_t len, struct us_err *err)
{
	if (len > STREAM_IN_MAX)
		len = STREAM_IN_MAX;
	if (s->ahead.at < s->ahead.end)
		return read_ahead(s, data, len);
	return read_transport(s, data, len, err);
}

int stream_wire_write(struct stream *s, const void *data, size_t len, struct us_err *err)
{
	ssize_t n;

	if (len > 1u << 30)
		len = 1u << 30;
	n = s->transport->write(s, data, len, s->more_to_come);
	if (n < 0 && errno == EAGAIN)
		return blocked(s, POLLOUT);
	if (n < 0)
		return stream_wire_fail(err, "writing");
	s->stats.wire_out += (uint64_t)n;
	return (int)n;
}

/* ---- waiting to read -------------------------------------------------------------------------- */

int stream_wait_long(struct stream *s, struct pollfd *fds, size_t n, int timeout_ms,
		     struct us_err *err)
{
	int first = s->config.quiet_after_ms, rc = 0;

	if (timeout_ms < 0 || timeout_ms > first) {
		rc = wait_ready(fds, n, first, s->config.stop, err);
		timeout_ms = timeout_ms < 0 ? -1 : timeout_ms - first;
		if (rc == 0)
			stream_shrink(s);
	}
	if (rc == 0)
		rc = wait_ready(fds, n, timeout_ms, s->config.stop, err);
	s->stopped = rc == US_ECLOSED;
	return rc;
}

int stream_wait_read(struct stream *s, int timeout_ms, struct us_err *err)
{
	struct pollfd fd = {s->want == POLLIN ? s->fd_in : s->fd_out, s->want, 0};
	int rc;

	if (s->transport->about_to_wait)
		s->transport->about_to_wait(s);
	rc = stream_wait_long(s, &fd, 1, timeout_ms, err);
	if (rc == 0)
		return us_fail(err, US_ETIMEOUT, "the peer sent nothing for %d.%03d s",
			       timeout_ms / 1000, timeout_ms % 1000);
	if (rc < 0)
		return rc;
	s->drained = false;
	return 0;
}

/* ---- waiting to write ------------------------------------------------------------------------- */

static bool may_read_ahead(const struct stream *s)
{
	return s->want == POLLOUT && !s->no_ahead && s->fd_in >= 0 &&
	       s->ahead.end - s->ahead.at < STREAM_AHEAD;
}

/* The wire has something while we stand in a write: keep it. An end or an error is left for the next read
 * to find again. */
static void take_ahead(struct stream *s)
{
	struct stream_chunk *ahead = &s->ahead;
	int n;

	if (ahead->cap - ahead->end < STREAM_IN_MIN) {
		ahead->cap = ahead->cap ? ahead->cap * 2 : 4 * STREAM_IN_MIN;
		ahead->data = us_realloc(ahead->data, ahead->cap);
	}
	s->drained = false;
	n = read_transport(s, ahead->data + ahead->end, ahead->cap - ahead->end, NULL);
	if (n > 0)
		ahead->end += (size_t)n;
	else if (n != STREAM_BLOCKED)
		s->no_ahead = true;
	s->want = POLLOUT;
}

/* Sleep until writing can go on or something can be read ahead. Once the stop flag is set, all writes
 * together have STREAM_GRACE_MS. */
static int wait_both(struct stream *s, struct pollfd fds[2], int64_t deadline, struct us_err *err)
{
	int left = wait_left_ms(deadline), grace, rc;

	if (!s->grace_until_ms) {
		rc = wait_ready(fds, 2, left, s->config.stop, err);
		if (rc != US_ECLOSED)
			return rc;
		s->grace_until_ms = wait_deadline_ms(STREAM_GRACE_MS);
	}
	grace = wait_left_ms(s->grace_until_ms);
	return wait_ready(fds, 2, left >= 0 && left < grace ? left : grace, NULL, err);
}

int stream_wait_write(struct stream *s, struct us_err *err)
{
	int64_t deadline = wait_deadline_ms(s->config.write_timeout_ms);
	int rc;

	for (;;) {
		struct pollfd fds[2] = {
			{s->want == POLLOUT ? s->fd_out : s->fd_in, s->want, 0},
			{may_read_ahead(s) ? s->fd_in : -1, POLLIN, 0},
		};
		rc = wait_both(s, fds, deadline, err);
		if (rc < 0)
			return rc;
		if (rc == 0)
			return us_fail(err, US_ETIMEOUT, "the peer takes nothing of what we write");
		if (fds[1].revents)
			take_ahead(s);
		if (fds[0].revents) {
			if (s->want == POLLIN)
				s->drained = false;
			return 0;
		}
	}
}
