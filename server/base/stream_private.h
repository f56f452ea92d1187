/* stream_private.h - what the files of a stream share.
 *
 *	stream.c            making, ending, figures
 *	stream_read.c       peek, take and what is built on them
 *	stream_write.c      the output buffer, flushing, files
 *	stream_io.c         the wire: bytes in and out of the transport, waiting for it
 *	stream_tls.c        the TLS layer
 *	stream_codec.c      compression: what its two ways have in common
 *	stream_deflate.c    the deflate codec
 *	stream_zstd.c       the zstd codec
 *	stream_pipe.c       the transport in memory
 *	stream_telemetry.c  the copy for the operator
 *
 * Reading goes down the layers: fill -> codec -> TLS -> wire; writing likewise. A layer that cannot go on
 * gives STREAM_BLOCKED and leaves in `want` what it waits for; only stream_read.c and stream_write.c wait.
 */
#ifndef US_BASE_STREAM_PRIVATE_H
#define US_BASE_STREAM_PRIVATE_H

#include <poll.h>
#include <sys/types.h>

#include "server/base/stream.h"

#define STREAM_BLOCKED (-1000) /* no US_E code: try again when `want` holds */
#define STREAM_IN_MIN  4096 /* the input buffer of a conversation; it doubles while reads fill it */
#define STREAM_IN_MAX  65536
#define STREAM_AHEAD   262144 /* most bytes taken from the wire while a write is blocked */

/* What a descriptor does, as read(2) and write(2) that do not block: -1 with errno. */
struct stream_transport {
	ssize_t (*read)(struct stream *s, void *data, size_t len);
	ssize_t (*write)(struct stream *s, const void *data, size_t len, bool more_follows);
	void (*about_to_wait)(struct stream *s); /* before a read waits; may be NULL */
	void (*close)(struct stream *s);
	bool sendfile; /* fd_out may be given to sendfile(2) */
};

/* Bytes [at, end) of data wait to be taken. */
struct stream_chunk {
	char *data;
	size_t cap, at, end;
};

struct stream_tls_layer;

/* A way to compress both directions, each its own history. */
struct stream_codec {
	const char *name; /* as the commands say it that switch it on */
	size_t most_in;   /* `packed` grows to this */
	/* As stream_lower_read(), of plain bytes. */
	int (*read)(struct stream *s, void *data, size_t len, struct us_err *err);
	/* Compress and push; flush: so that the peer can read all of it. */
	int (*push)(struct stream *s, const void *data, size_t len, bool flush, struct us_err *err);
	/* Octets go by uncompressed: push what announces the next of `left`, after all that was given before,
	 * and give how many these are. The caller pushes them itself, below the codec. NULL: it cannot. */
	int (*let_by)(struct stream *s, uint64_t left, struct us_err *err);
	void (*shrink)(struct stream *s);
	size_t (*memory)(const struct stream *s);
	void (*end)(struct stream *s); /* free the state */
};

struct stream {
	struct stream_config config;
	const struct stream_transport *transport;
	void *transport_ctx;
	int fd_in, fd_out;
	bool socket; /* fd_out is one */

	short want;   /* POLLIN or POLLOUT, of the layer that is blocked */
	bool drained; /* the last wire read got less than it could: nothing more until poll says so */
	bool ended;   /* the peer has, and all layers have said so */
	bool stopped;           /* a read ended by the stop flag */
	int64_t grace_until_ms; /* when writing must be over, since the stop flag is set; 0: it is not */
	bool secret;            /* see stream_set_secret() */
	bool more_to_come;      /* what is pushed now is followed by more at once (MSG_MORE) */

	struct stream_chunk in; /* plain, not taken yet */
	size_t in_size;         /* what `in` gets when it is allocated next */
	struct stream_chunk
		ahead;  /* off the wire while a write was blocked; read before the wire */
	bool no_ahead;  /* the wire ended while reading ahead */
	struct buf out; /* plain, not pushed down yet */

	const struct stream_codec *codec; /* NULL: none is on */
	void *codec_state;
	struct stream_chunk packed; /* from below, for the codec to unpack */
	size_t packed_size;         /* what `packed` gets when it is allocated next */
	uint64_t let_by_from;       /* files as long as this go by the codec, if it knows how */
	struct stream_tls_layer *tls;

	struct us_err read_error, write_error; /* code 0: none */
	struct us_err wire_error; /* what the transport said, for the TLS layer in between */

	int telemetry; /* descriptor, or -1 */
	char telemetry_side;
	int64_t telemetry_s;

	struct stream_stats stats;
};

/* ---- stream.c --------------------------------------------------------------------------------- */
struct stream *stream_make(const struct stream_transport *transport, void *ctx, int fd_in,
			   int fd_out, const struct stream_config *config);
/* Let go of every buffer that is empty. */
void stream_shrink(struct stream *s);
void stream_chunk_free(struct stream_chunk *c);
/* Keep *failure as the lasting error of one side (the first stays) and give it to the caller. */
int stream_fail(struct us_err *lasting, const struct us_err *failure, struct us_err *err);
int stream_failed(const struct us_err *lasting, struct us_err *err);

/* ---- stream_io.c: the wire -------------------------------------------------------------------- */
extern const struct stream_transport stream_fd_transport;
/* > 0: bytes; 0: the peer ended; STREAM_BLOCKED; US_E code. */
int stream_wire_read(struct stream *s, void *data, size_t len, struct us_err *err);
int stream_wire_write(struct stream *s, const void *data, size_t len, struct us_err *err);
/* What errno means for a connection. */
int stream_wire_fail(struct us_err *err, const char *doing);
/* Wait for `want` until reading, or writing, can go on: 0 or a US_E code. */
int stream_wait_read(struct stream *s, int timeout_ms, struct us_err *err);
int stream_wait_write(struct stream *s, struct us_err *err);
/* wait_ready() in two parts: a first short one, then memory is given back for the long one. */
int stream_wait_long(struct stream *s, struct pollfd *fds, size_t n, int timeout_ms,
		     struct us_err *err);

/* ---- stream_read.c ---------------------------------------------------------------------------- */
/* Let bytes arrive in the empty `in`: > 0; 0: the end; US_E code; STREAM_BLOCKED only if !block. */
int stream_fill(struct stream *s, bool block, struct us_err *err);

/* ---- stream_write.c --------------------------------------------------------------------------- */
/* Write bytes through TLS, or to the wire, until all are gone. Not for callers above the codec. */
int stream_push_wire(struct stream *s, const void *data, size_t len, struct us_err *err);

/* ---- the layers ------------------------------------------------------------------------------- */
/* As stream_wire_read() and stream_wire_write(). */
int stream_tls_read(struct stream *s, void *data, size_t len, struct us_err *err);
int stream_tls_write(struct stream *s, const void *data, size_t len, struct us_err *err);
void stream_tls_end(struct stream *s); /* say goodbye without waiting, free */

/* Whatever is below the codec. */
int stream_lower_read(struct stream *s, void *data, size_t len, struct us_err *err);

/* ---- stream_codec.c --------------------------------------------------------------------------- */
/* Before a codec makes its state: flush. US_EINVAL: one is on. */
int stream_codec_ready(struct stream *s, struct us_err *err);
void stream_codec_on(struct stream *s, const struct stream_codec *codec, void *state);
/* Let bytes arrive in `packed`, which is empty; as stream_lower_read(). */
int stream_packed_fill(struct stream *s, struct us_err *err);
void stream_codec_shrink(struct stream *s);
void stream_codec_end(struct stream *s);

/* ---- stream_telemetry.c ----------------------------------------------------------------------- */
void stream_telemetry_copy(struct stream *s, char side, const void *data, size_t len);

#endif
