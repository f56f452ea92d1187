/* stream_write.c - the output buffer, flushing, and files.
 *
 * push() moves plain bytes down through the layers and blocks until they are gone. Between two flushes the
 * codec may keep some back; flushing makes it give them up.
 */
#include "server/base/stream_private.h"

#include <errno.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#define LARGE_WRITE   16384 /* as long as this, bytes go out from where they are */
#define FILE_PIECE    65536 /* read from a file at once, where sendfile cannot serve */
#define SENDFILE_FROM 16384 /* below, one write with the rest of the reply is better */
#define SENDFILE_MOST (1u << 30)

/* ---- down the layers -------------------------------------------------------------------------- */

int stream_push_wire(struct stream *s, const void *data, size_t len, struct us_err *err)
{
	const char *at = data;
	int rc;

	while (len) {
		rc = s->tls ? stream_tls_write(s, at, len, err)
			    : stream_wire_write(s, at, len, err);
		if (rc == STREAM_BLOCKED) {
			rc = stream_wait_write(s, err);
			if (rc < 0)
				return rc;
			continue;
		}
		if (rc < 0)
			return rc;
		at += rc;
		len -= (size_t)rc;
	}
	return 0;
}

static int push(struct stream *s, const void *data, size_t len, bool flush, struct us_err *err)
{
	struct us_err failure = US_ERR_INIT;
	int rc;

	if (s->write_error.code)
		return stream_failed(&s->write_error, err);
	rc = s->codec ? s->codec->push(s, data, len, flush, &failure)
		      : stream_push_wire(s, data, len, &failure);
	return rc < 0 ? stream_fail(&s->write_error, &failure, err) : 0;
}

static int push_out(struct stream *s, bool flush, struct us_err *err)
{
	int rc = push(s, s->out.data, s->out.len, flush, err);

	buf_clear(&s->out); /* after a failure too: nobody will ever get it */
	return rc;
}

int stream_flush(struct stream *s, struct us_err *err)
{
	return push_out(s, true, err);
}

/* ---- writing ---------------------------------------------------------------------------------- */

/* Bytes from `before` on are new in out. The error, if any, stays for the flush. */
static void note_written(struct stream *s, size_t before)
{
	s->stats.plain_out += s->out.len - before;
	if (s->telemetry >= 0 && !s->secret)
		stream_telemetry_copy(s, '>', s->out.data + before, s->out.len - before);
	if (s->out.len >= s->config.high_water)
		(void)push_out(s, false, NULL);
}

static void write_large(struct stream *s, const void *data, size_t len)
{
	s->stats.plain_out += len;
	if (s->telemetry >= 0 && !s->secret)
		stream_telemetry_copy(s, '>', data, len);
	if (push_out(s, false, NULL) == 0)
		(void)push(s, data, len, false, NULL); /* stays for the flush */
}

void stream_write(struct stream *s, const void *data, size_t len)
{
	size_t before = s->out.len;

	if (s->write_error.code || !len)
		return;
	if (len >= LARGE_WRITE && before + len >= s->config.high_water) {
		write_large(s, data, len);
		return;
	}
	buf_add(&s->out, data, len);
	note_written(s, before);
}

void stream_write_span(struct stream *s, struct span text)
{
	stream_write(s, text.ptr, text.len);
}

void stream_vprintf(struct stream *s, const char *fmt, va_list ap)
{
	size_t before = s->out.len;

	if (s->write_error.code)
		return;
	buf_vprintf(&s->out, fmt, ap);
	note_written(s, before);
}

void stream_printf(struct stream *s, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	stream_vprintf(s, fmt, ap);
	va_end(ap);
}

/* ---- files ------------------------------------------------------------------------------------ */

/* The peer was promised bytes that do not come: nothing sensible can be written to him any more. */
static int break_promise(struct stream *s, uint64_t missing, int code, struct us_err *err)
{
	struct us_err failure;

	us_fail(&failure, code, "a file to be sent ended or failed, %llu bytes too early",
		(unsigned long long)missing);
	return stream_fail(&s->write_error, &failure, err);
}

static int copy_file(struct stream *s, int fd, uint64_t offset, uint64_t len, struct us_err *err)
{
	while (len && !s->write_error.code) {
		size_t before = s->out.len, piece = len < FILE_PIECE ? (size_t)len : FILE_PIECE;
		ssize_t n = pread(fd, buf_reserve(&s->out, piece), piece, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return break_promise(s, len, n < 0 ? US_EIO : US_ECORRUPT, err);
		s->out.len += (size_t)n;
		s->out.data[s->out.len] = '\0';
		note_written(s, before);
		offset += (uint64_t)n;
		len -= (uint64_t)n;
	}
	return s->write_error.code ? stream_failed(&s->write_error, err) : 0;
}

/* 1: some bytes went; 0: the descriptors do not allow it; or a US_E code. */
static int send_piece(struct stream *s, int fd, uint64_t *offset, uint64_t *len, struct us_err *err)
{
	off_t at = (off_t)*offset;
	ssize_t n =
		sendfile(s->fd_out, fd, &at, *len < SENDFILE_MOST ? (size_t)*len : SENDFILE_MOST);
	struct us_err failure;

	if (n == 0)
		return break_promise(s, *len, US_ECORRUPT, err);
	if (n > 0) {
		s->stats.wire_out += (uint64_t)n;
		s->stats.plain_out += (uint64_t)n;
		*offset += (uint64_t)n;
		*len -= (uint64_t)n;
		return 1;
	}
	if (errno == EINVAL || errno == ENOSYS)
		return 0;
	if (errno == EINTR)
		return 1;
	if (errno == EAGAIN) {
		s->want = POLLOUT;
		n = stream_wait_write(s, &failure);
	} else {
		n = stream_wire_fail(&failure, "sending a file");
	}
	return n == 0 ? 1 : stream_fail(&s->write_error, &failure, err);
}

/* Where sendfile cannot serve. */
static int push_file_by_hand(struct stream *s, int fd, uint64_t offset, uint64_t len,
			     struct us_err *err)
{
	struct us_err failure;
	char piece[16384];

	while (len) {
		size_t want = len < sizeof(piece) ? (size_t)len : sizeof(piece);
		ssize_t n = pread(fd, piece, want, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return break_promise(s, len, n < 0 ? US_EIO : US_ECORRUPT, err);
		if (stream_push_wire(s, piece, (size_t)n, &failure) < 0)
			return stream_fail(&s->write_error, &failure, err);
		s->stats.plain_out += (uint64_t)n;
		offset += (uint64_t)n;
		len -= (uint64_t)n;
	}
	return 0;
}

/* Past buffer, codec and TLS. */
static int push_file(struct stream *s, int fd, uint64_t offset, uint64_t len, struct us_err *err)
{
	int rc = s->transport->sendfile;

	while (len && rc > 0)
		rc = send_piece(s, fd, &offset, &len, err);
	return rc < 0 ? rc : push_file_by_hand(s, fd, offset, len, err);
}

static int push_out_before_more(struct stream *s, struct us_err *err)
{
	int rc;

	s->more_to_come = true;
	rc = push_out(s, false, err);
	s->more_to_come = false;
	return rc;
}

static int send_file(struct stream *s, int fd, uint64_t offset, uint64_t len, struct us_err *err)
{
	int rc = push_out_before_more(s, err);

	return rc < 0 ? rc : push_file(s, fd, offset, len, err);
}

/* How many bytes may go by next, announced. */
static int announce(struct stream *s, uint64_t left, struct us_err *err)
{
	struct us_err failure;
	int rc;

	s->more_to_come = true;
	rc = s->codec->let_by(s, left, &failure);
	s->more_to_come = false;
	return rc < 0 ? stream_fail(&s->write_error, &failure, err) : rc;
}

static int send_file_past_codec(struct stream *s, int fd, uint64_t offset, uint64_t len,
				struct us_err *err)
{
	int rc = push_out_before_more(s, err);

	while (rc >= 0 && len) {
		int n = announce(s, len, err);

		if (n < 0)
			return n;
		rc = push_file(s, fd, offset, (uint64_t)n, err);
		offset += (uint64_t)n;
		len -= (uint64_t)n;
	}
	return rc;
}

/* May it go past the layers? Not past TLS, nor past the operator's copy. */
static bool may_go_by(const struct stream *s, uint64_t len)
{
	if (s->tls || s->telemetry >= 0)
		return false;
	if (s->codec)
		return s->codec->let_by && len && len >= s->let_by_from;
	return s->transport->sendfile && len >= SENDFILE_FROM;
}

int stream_send_file(struct stream *s, int fd, uint64_t offset, uint64_t len, struct us_err *err)
{
	struct stat st;

	if (s->write_error.code)
		return stream_failed(&s->write_error, err);
	if (fstat(fd, &st) < 0)
		return us_fail_errno(err, "a file to be sent");
	if ((uint64_t)st.st_size < offset || (uint64_t)st.st_size - offset < len)
		return us_fail(err, US_ECORRUPT,
			       "a file to be sent has %llu bytes, not the %llu that were announced",
			       (unsigned long long)st.st_size, (unsigned long long)(offset + len));
	if (!may_go_by(s, len))
		return copy_file(s, fd, offset, len, err);
	return s->codec ? send_file_past_codec(s, fd, offset, len, err)
			: send_file(s, fd, offset, len, err);
}
