/* stream.h - a buffered byte stream between us and a peer, with layers that are switched on in mid-life.
 *
 *	caller <--plain--> [codec] <--> [TLS] <--wire--> descriptors, or the other end of a pipe in memory
 *
 * Writing never loses its result and never needs it at once: what is written is kept until stream_flush(),
 * until a read would block, or until the high-water mark, so that a whole reply, or the replies to a whole
 * batch of pipelined commands, leave in one write. An error of the write side stays: later writes do
 * nothing, and stream_flush() or the next read that would block reports it.
 *
 * The two sides fail one by one. After a timeout, a shutdown or garbage on the read side the caller can
 * still write a last line and flush it; after a failed write he still gets what has arrived.
 *
 * Memory: a quiet stream gives its empty buffers back, and deflate's compressor with them.
 *
 * A peer that goes away must be a result, not a signal: stream_new() ignores SIGPIPE if nobody has decided
 * what it does. A stream belongs to one thread.
 */
#ifndef US_BASE_STREAM_H
#define US_BASE_STREAM_H

#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "server/base/buf.h"
#include "server/base/dlist_lexer.h"
#include "server/base/err.h"
#include "server/base/span.h"

struct stream; /* opaque */
struct tls_context;

struct stream_config {
	int read_timeout_ms; /* longest silence of the peer while we wait for him; -1: no limit */
	int write_timeout_ms; /* longest time in which he takes nothing of what we write; -1: no limit */
	int quiet_after_ms; /* a read that waited this long gives memory back before it waits on */
	size_t high_water;  /* bytes kept for one write at most */
	/* Set by a signal handler: what blocks in reading ends, what blocks in writing gets STREAM_GRACE_MS
	 * more. NULL: no such flag. */
	const volatile sig_atomic_t *stop;
	bool keepalive; /* TCP keep-alive; zero in those below: the system's value */
	int keepalive_count, keepalive_idle_s, keepalive_interval_s;
};
#define STREAM_CONFIG_DEFAULT                                 \
	{                                                     \
		-1, 300000, 1000, 32768, NULL, false, 0, 0, 0 \
	}
#define STREAM_GRACE_MS 2000

/* ---- making and ending ------------------------------------------------------------------------ */

/* A stream over two descriptors, or one given twice (-1 for a direction that is not used). Both belong to
 * the stream from now on and become non-blocking; on TCP sockets Nagle's delay is switched off.
 * config NULL means STREAM_CONFIG_DEFAULT; it is copied. */
struct stream *stream_new(int fd_in, int fd_out, const struct stream_config *config);

/* Two streams that are each other's peer, in memory: what a unit test puts in place of a socket. The ends
 * may be used by two threads; a write never blocks. */
void stream_pipe(struct stream *ends[2], const struct stream_config *config);
/* Call fn whenever a read at this end of a pipe would block, before it blocks: a test in one thread lets
 * the other end work there. */
void stream_pipe_on_empty(struct stream *s, void (*fn)(void *ctx), void *ctx);

/* Say goodbye as far as that needs no waiting (TLS close), close, free. What was not flushed is lost. */
void stream_free(struct stream **s);

/* ---- reading ---------------------------------------------------------------------------------- */

/* All calls that read: negative codes are US_ETIMEOUT (read_timeout_ms), US_ECLOSED (connection broken, or
 * the stop flag: see stream_stopping()), US_EPROTO (not TLS, not what was to be compressed), US_EIO. They stay: the next read
 * gives the same. Before it blocks, a read flushes. */

/* Show what has arrived, at least one byte, in *out, valid until the next read or take: 1. 0: the peer has
 * ended. May block. This and stream_take() are a struct dlist_source. */
int stream_peek(struct stream *s, struct span *out, struct us_err *err);
void stream_take(struct stream *s, size_t n); /* n of the bytes last shown are used up */
struct dlist_source stream_source(struct stream *s);

/* Read a line of at most `limit` bytes into *out, in place of what it held, without its CRLF or LF: 1.
 * 0: the peer has ended, and *out is empty. US_ELIMIT: longer; *out holds its first `limit` bytes, the rest
 * waits for stream_skip_line(). US_ECLOSED if the peer ended within the line. The line may hold NULs. */
int stream_line(struct stream *s, size_t limit, struct buf *out, struct us_err *err);
/* Pass over everything up to the line end and the line end: 1; 0: the peer ended first. */
int stream_skip_line(struct stream *s, struct us_err *err);

/* Read exactly len bytes; an earlier end is US_ECLOSED. */
int stream_read(struct stream *s, void *data, size_t len, struct us_err *err);

/* Hand the next len bytes to put(), piece by piece. put() may give a US_E code: it is not called again, and
 * the code comes back after all the bytes were read, so that the command goes on behind them. */
int stream_copy(struct stream *s, uint64_t len,
		int (*put)(void *ctx, const void *data, size_t len, struct us_err *err), void *ctx,
		struct us_err *err);

/* True when the peer has ended and everything he sent was taken. Never blocks. */
bool stream_eof(const struct stream *s);

/* Is there something to read without waiting (bytes, the end, or an error)? Never blocks, flushes nothing:
 * "is the pipe empty" for those who group work. */
bool stream_readable(struct stream *s);

/* Was it the stop flag that ended reading? */
bool stream_stopping(const struct stream *s);

/* ---- writing ---------------------------------------------------------------------------------- */

/* May block when the high-water mark is reached. */
void stream_write(struct stream *s, const void *data, size_t len);
static inline void stream_write_str(struct stream *s, const char *text)
{
	stream_write(s, text, strlen(text)); /* known when compiling, for words of a protocol */
}
void stream_write_span(struct stream *s, struct span text);
void stream_printf(struct stream *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void stream_vprintf(struct stream *s, const char *fmt, va_list ap);

/* Write len bytes of a regular file from offset on. US_ECORRUPT: the file is shorter; nothing was written,
 * unless it shrank while we read: then the write side is broken, for the peer was promised more. */
int stream_send_file(struct stream *s, int fd, uint64_t offset, uint64_t len, struct us_err *err);

/* Hand everything written so far to the system. Blocks while the peer does not read. */
int stream_flush(struct stream *s, struct us_err *err);

/* ---- waiting ---------------------------------------------------------------------------------- */

#define STREAM_READABLE    1u
#define STREAM_OTHER(i)    (2u << (i))
#define STREAM_MOST_OTHERS 16

/* Flush, then wait until this stream has something to read (bytes, the end, or an error: the next read
 * tells) or one of the other descriptors is readable. A timeout here spoils nothing.
 * Returns  a set of the bits above, 0 after timeout_ms (-1: no limit), US_ECLOSED for the stop flag, or
 *          what flushing gave. */
int stream_wait(struct stream *s, const int *others, size_t n, int timeout_ms, struct us_err *err);

/* ---- layers ----------------------------------------------------------------------------------- */

struct stream_tls {
	const char *hostname; /* of the server, when we are the client: SNI; may be NULL */
	bool verify_hostname; /* and its certificate must be for it (without a CA in the context: US_ECONFIG) */
	int timeout_ms; /* for the whole handshake; -1: no limit */
};

/* Flush, then do the TLS handshake, as the side the context was made for; how NULL: a server, which waits no longer than for
 * any command. Plain bytes that wait in our
 * buffer were sent by whoever could write into the unprotected connection: US_EPROTO, and nothing more is
 * read from this stream. After any error only stream_free() is useful. */
int stream_start_tls(struct stream *s, struct tls_context *tls, const struct stream_tls *how,
		     struct us_err *err);

struct stream_tls_info {
	const char *version; /* "TLSv1.3"; this and the others live as long as the stream */
	const char *cipher;  /* "TLS_AES_256_GCM_SHA384" */
	unsigned bits;       /* strength of the cipher */
	bool resumed;
	const char *peer_name; /* common name of the peer's verified certificate, or NULL */
};
/* False while there is no TLS. */
bool stream_tls_info(const struct stream *s, struct stream_tls_info *out);

/* Flush, then let the next byte in both directions be compressed; bytes read already are taken for compressed ones. US_EINVAL:
 * some compression is on already.
 *
 * Raw deflate (RFC 1951, window 15): csync's COMPRESS DEFLATE and RFC 4978. */
int stream_start_deflate(struct stream *s, struct us_err *err);
/* zstd (RFC 8878, window 128 KB): COMPRESS ZSTD between two of ours. Files of let_by_from bytes and more go past the
 * compressor as they are, by sendfile(2) where nothing speaks against it; the peer need not know. */
#define STREAM_PACK_ALL UINT64_MAX
int stream_start_zstd(struct stream *s, uint64_t let_by_from, struct us_err *err);
/* "DEFLATE", "ZSTD", or NULL. */
const char *stream_compression(const struct stream *s);

/* ---- settings and figures --------------------------------------------------------------------- */

void stream_set_read_timeout(struct stream *s, int timeout_ms);
void stream_set_write_timeout(struct stream *s, int timeout_ms);

/* While on, what is read is wiped from our buffer as it is taken, and the telemetry log gets nothing: for
 * passwords and authentication exchanges. */
void stream_set_secret(struct stream *s, bool on);

/* Copy every plain byte of both directions to fd (ours from now on; -1 ends it), each turn after a mark
 * "<seconds<" for what the peer sent, noted when it is taken, and ">seconds>" for what we wrote. */
void stream_set_telemetry(struct stream *s, int fd);

struct stream_stats {
	uint64_t wire_in, wire_out;   /* bytes on the descriptors */
	uint64_t plain_in, plain_out; /* bytes behind the layers */
};
struct stream_stats stream_stats(const struct stream *s);
/* Bytes of memory in buffers and the codec at this moment (not OpenSSL's). */
size_t stream_memory(const struct stream *s);

#endif
