/* stream_read.c - peek and take, and what is built on them.
 *
 * `in` is filled only when it is empty, so a window that was shown stays where it is until the next read.
 * Its size follows the traffic: a conversation in lines gets by with STREAM_IN_MIN, a transfer that fills
 * the buffer again and again gets STREAM_IN_MAX.
 */
#include "server/base/stream_private.h"

#include <string.h>

#include "server/base/mem.h"
#include "server/base/wait.h"

int stream_lower_read(struct stream *s, void *data, size_t len, struct us_err *err)
{
	return s->tls ? stream_tls_read(s, data, len, err) : stream_wire_read(s, data, len, err);
}

static int read_layers(struct stream *s, void *data, size_t len, struct us_err *err)
{
	return s->codec ? s->codec->read(s, data, len, err) : stream_lower_read(s, data, len, err);
}

static void make_room(struct stream *s)
{
	if (s->in.cap < s->in_size) {
		stream_chunk_free(&s->in);
		s->in.data = us_malloc(s->in_size);
		s->in.cap = s->in_size;
	}
	s->in.at = s->in.end = 0;
}

static int note_arrival(struct stream *s, size_t n)
{
	s->in.end = n;
	s->stats.plain_in += n;
	if (n == s->in.cap && s->in_size < STREAM_IN_MAX)
		s->in_size *= 2;
	return (int)n;
}

/* Something stands at the wire already: said without waiting, for when flushing has failed. */
static bool has_arrived(struct stream *s)
{
	struct pollfd fd = {s->fd_in, POLLIN, 0};

	if (wait_ready(&fd, 1, 0, NULL, NULL) <= 0)
		return false;
	s->drained = false;
	return true;
}

/* The layers are blocked: flush, then wait. A peer who reads no more may have left a last word. */
static int flush_and_wait(struct stream *s, struct us_err *err)
{
	int rc = stream_flush(s, err);

	if (rc < 0)
		return s->want == POLLIN && has_arrived(s) ? 0 : rc;
	return stream_wait_read(s, s->config.read_timeout_ms, err);
}

int stream_fill(struct stream *s, bool block, struct us_err *err)
{
	struct us_err failure = US_ERR_INIT;
	int rc;

	if (s->read_error.code)
		return stream_failed(&s->read_error, err);
	if (s->ended)
		return 0;
	do {
		make_room(s);
		rc = read_layers(s, s->in.data, s->in.cap, &failure);
		if (rc == STREAM_BLOCKED && !block)
			return rc;
		if (rc > 0)
			return note_arrival(s, (size_t)rc);
		if (rc == STREAM_BLOCKED)
			rc = flush_and_wait(s, &failure);
		else if (rc == 0)
			s->ended = true;
	} while (rc == 0 && !s->ended);
	return rc < 0 ? stream_fail(&s->read_error, &failure, err) : 0;
}

int stream_peek(struct stream *s, struct span *out, struct us_err *err)
{
	if (s->in.at == s->in.end) {
		int rc = stream_fill(s, true, err);

		if (rc <= 0)
			return rc;
	}
	*out = span_make(s->in.data + s->in.at, s->in.end - s->in.at);
	return 1;
}

void stream_take(struct stream *s, size_t n)
{
	char *taken = s->in.data + s->in.at;

	us_assert(n <= s->in.end - s->in.at);
	if (!n)
		return;
	if (s->secret)
		explicit_bzero(taken, n);
	else if (s->telemetry >= 0)
		stream_telemetry_copy(s, '<', taken, n);
	s->in.at += n;
}

static int source_peek(void *ctx, struct span *out, struct us_err *err)
{
	return stream_peek(ctx, out, err);
}

static void source_take(void *ctx, size_t n)
{
	stream_take(ctx, n);
}

struct dlist_source stream_source(struct stream *s)
{
	return (struct dlist_source){source_peek, source_take, s};
}

bool stream_readable(struct stream *s)
{
	struct pollfd fd = {s->fd_in, POLLIN, 0};

	if (s->in.at < s->in.end || stream_fill(s, false, NULL) != STREAM_BLOCKED)
		return true;
	if (s->want != POLLIN || !s->drained || wait_ready(&fd, 1, 0, NULL, NULL) <= 0)
		return false;
	s->drained = false;
	return stream_fill(s, false, NULL) != STREAM_BLOCKED;
}

/* ---- lines ------------------------------------------------------------------------------------ */

/* Move what belongs to the line from a window into out: 1 when the line end was taken, 0 for more, or
 * US_ELIMIT. One byte beyond the limit may stand in out for a while: it may be the CR. */
static int take_line_part(struct stream *s, struct span window, size_t limit, struct buf *out)
{
	const char *end = span_find(window, '\n');
	size_t n = end ? (size_t)(end - window.ptr) : window.len;
	size_t room = limit + 1 - out->len;
	bool over = n > room;

	buf_add(out, window.ptr, over ? room : n);
	if (out->len > limit && out->data[limit] != '\r')
		over = true;
	stream_take(s, (n < room ? n : room) +
			       (end && !over)); /* a line end that is left is skipped to */
	if (over)
		return US_ELIMIT;
	if (end && out->len && out->data[out->len - 1] == '\r')
		buf_truncate(out, out->len - 1);
	return end != NULL;
}

int stream_line(struct stream *s, size_t limit, struct buf *out, struct us_err *err)
{
	struct span window;
	int rc;

	us_assert(limit < SIZE_MAX && (!out->limit || out->limit > limit));
	buf_clear(out);
	for (;;) {
		rc = stream_peek(s, &window, err);
		if (rc < 0 || (rc == 0 && !out->len))
			return rc;
		if (rc == 0)
			return us_fail(err, US_ECLOSED, "the connection ended inside a line");
		rc = take_line_part(s, window, limit, out);
		if (rc > 0)
			return rc;
		if (rc < 0) {
			buf_truncate(out, limit);
			return us_fail(err, rc, "a line is longer than %zu bytes", limit);
		}
	}
}

int stream_skip_line(struct stream *s, struct us_err *err)
{
	struct span window;
	int rc;

	while ((rc = stream_peek(s, &window, err)) > 0) {
		const char *end = span_find(window, '\n');

		stream_take(s, end ? (size_t)(end - window.ptr) + 1 : window.len);
		if (end)
			break;
	}
	return rc;
}

/* ---- counted bytes ---------------------------------------------------------------------------- */

int stream_copy(struct stream *s, uint64_t len,
		int (*put)(void *ctx, const void *data, size_t len, struct us_err *err), void *ctx,
		struct us_err *err)
{
	int result = 0;

	while (len) {
		struct span window;
		int rc = stream_peek(s, &window, err);

		if (rc < 0)
			return rc;
		if (rc == 0)
			return us_fail(err, US_ECLOSED,
				       "the connection ended, %llu bytes too early",
				       (unsigned long long)len);
		if (window.len > len)
			window.len = (size_t)len;
		if (result == 0)
			result = put(ctx, window.ptr, window.len, err);
		stream_take(s, window.len);
		len -= window.len;
	}
	return result;
}

static int put_there(void *ctx, const void *data, size_t len, struct us_err *err UNUSED)
{
	char **to = ctx;

	memcpy(*to, data, len);
	*to += len;
	return 0;
}

int stream_read(struct stream *s, void *data, size_t len, struct us_err *err)
{
	char *to = data;

	return stream_copy(s, len, put_there, &to, err);
}

/* ---- waiting ---------------------------------------------------------------------------------- */

/* Look at the other descriptors and, if s is not blocked, at nothing else; else sleep. */
static int wait_once(struct stream *s, struct pollfd *fds, size_t n, int timeout_ms,
		     unsigned *ready, struct us_err *err)
{
	bool readable = stream_readable(s);
	int rc;

	fds[0] = (struct pollfd){s->want == POLLIN ? s->fd_in : s->fd_out, s->want, 0};
	if (readable)
		fds[0].fd = -1;
	else if (s->transport->about_to_wait)
		s->transport->about_to_wait(s);
	rc = readable ? wait_ready(fds, n + 1, 0, NULL, err)
		      : stream_wait_long(s, fds, n + 1, timeout_ms, err);
	if (rc < 0)
		return rc;
	if (fds[0].revents)
		s->drained = false;
	if (readable || (fds[0].revents && stream_readable(s)))
		*ready |= STREAM_READABLE;
	for (size_t i = 0; i < n; i++)
		if (fds[i + 1].revents)
			*ready |= STREAM_OTHER(i);
	return rc;
}

int stream_wait(struct stream *s, const int *others, size_t n, int timeout_ms, struct us_err *err)
{
	struct pollfd fds[STREAM_MOST_OTHERS + 1];
	int64_t deadline = wait_deadline_ms(timeout_ms);
	unsigned ready = 0;
	int rc = stream_flush(s, err);

	us_assert(n <= STREAM_MOST_OTHERS);
	for (size_t i = 0; i < n; i++)
		fds[i + 1] = (struct pollfd){others[i], POLLIN, 0};
	/* Part of a TLS record wakes us with nothing to show: then sleep on. */
	while (rc >= 0 && !ready) {
		rc = wait_once(s, fds, n, wait_left_ms(deadline), &ready, err);
		if (rc == 0)
			break;
	}
	return rc < 0 ? rc : (int)ready;
}
