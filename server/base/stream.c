/* stream.c - making and ending streams, and their figures; see stream.h and the map in stream_private.h. */
#include "server/base/stream_private.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/base/mem.h"

static void ignore_sigpipe(void)
{
	struct sigaction now;

	if (sigaction(SIGPIPE, NULL, &now) < 0 || now.sa_handler != SIG_DFL)
		return;
	now.sa_handler = SIG_IGN;
	us_assert(sigaction(SIGPIPE, &now, NULL) == 0);
}

struct stream *stream_make(const struct stream_transport *transport, void *ctx, int fd_in,
			   int fd_out, const struct stream_config *config)
{
	static const struct stream_config usual = STREAM_CONFIG_DEFAULT;
	struct stream *s = us_calloc(1, sizeof(*s));

	s->config = config ? *config : usual;
	s->transport = transport;
	s->transport_ctx = ctx;
	s->fd_in = fd_in;
	s->fd_out = fd_out;
	s->want = POLLIN;
	s->in_size = STREAM_IN_MIN;
	s->telemetry = -1;
	buf_init(&s->out, 0);
	ignore_sigpipe();
	return s;
}

/* Failure of these leaves a connection that works, only slower: not worth refusing it. */
static void set_socket(int fd, const struct stream_config *config)
{
	int on = 1;

	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (!config->keepalive || setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on)) < 0)
		return;
	if (config->keepalive_count)
		(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &config->keepalive_count,
				 sizeof(int));
	if (config->keepalive_idle_s)
		(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &config->keepalive_idle_s,
				 sizeof(int));
	if (config->keepalive_interval_s)
		(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &config->keepalive_interval_s,
				 sizeof(int));
}

static void set_nonblocking(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags >= 0 && !(flags & O_NONBLOCK))
		us_assert(fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0);
}

static bool is_socket(int fd)
{
	int type;
	socklen_t len = sizeof(type);

	return fd >= 0 && getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0;
}

struct stream *stream_new(int fd_in, int fd_out, const struct stream_config *config)
{
	struct stream *s = stream_make(&stream_fd_transport, NULL, fd_in, fd_out, config);

	set_nonblocking(fd_in);
	set_nonblocking(fd_out);
	s->socket = is_socket(fd_out);
	if (s->socket)
		set_socket(fd_out, &s->config);
	return s;
}

void stream_free(struct stream **sp)
{
	struct stream *s = *sp;

	if (!s)
		return;
	if (s->tls)
		stream_tls_end(s);
	stream_codec_end(s);
	stream_set_telemetry(s, -1);
	s->transport->close(s);
	stream_chunk_free(&s->in);
	stream_chunk_free(&s->ahead);
	buf_free(&s->out);
	free(s);
	*sp = NULL;
}

void stream_chunk_free(struct stream_chunk *c)
{
	free(c->data);
	*c = (struct stream_chunk){NULL, 0, 0, 0};
}

void stream_shrink(struct stream *s)
{
	if (s->in.at == s->in.end)
		stream_chunk_free(&s->in);
	s->in_size = STREAM_IN_MIN;
	if (s->ahead.at == s->ahead.end)
		stream_chunk_free(&s->ahead);
	if (!s->out.len)
		buf_free(&s->out);
	stream_codec_shrink(s);
}

int stream_failed(const struct us_err *lasting, struct us_err *err)
{
	return us_fail(err, lasting->code, "%s", lasting->text);
}

int stream_fail(struct us_err *lasting, const struct us_err *failure, struct us_err *err)
{
	if (!lasting->code)
		*lasting = *failure;
	return stream_failed(lasting, err);
}

bool stream_stopping(const struct stream *s)
{
	return s->stopped;
}

bool stream_eof(const struct stream *s)
{
	return s->ended && s->in.at == s->in.end;
}

void stream_set_read_timeout(struct stream *s, int timeout_ms)
{
	s->config.read_timeout_ms = timeout_ms;
}

void stream_set_write_timeout(struct stream *s, int timeout_ms)
{
	s->config.write_timeout_ms = timeout_ms;
}

void stream_set_secret(struct stream *s, bool on)
{
	s->secret = on;
}

struct stream_stats stream_stats(const struct stream *s)
{
	return s->stats;
}

size_t stream_memory(const struct stream *s)
{
	return s->in.cap + s->ahead.cap + s->out.cap + s->packed.cap +
	       (s->codec ? s->codec->memory(s) : 0);
}
