/* stream_telemetry.c - the copy of a session that an operator asked for.
 *
 * Input is noted as it is taken, so the file reads as commands and their replies even where the client
 * pipelines, and nothing that arrived before a login but belongs behind it is missed. Each piece is written
 * at once: the last command before a crash is the one that matters.
 *
 * Whatever fails here fails the copy only: it is switched off.
 */
#include "server/base/stream_private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

void stream_set_telemetry(struct stream *s, int fd)
{
	if (s->telemetry >= 0)
		close(s->telemetry);
	s->telemetry = fd;
	s->telemetry_side = '\0';
}

static bool put(struct stream *s, const char *data, size_t len)
{
	while (len) {
		ssize_t n = write(s->telemetry, data, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		data += n;
		len -= (size_t)n;
	}
	return true;
}

/* A mark where the direction or the second changes. */
static bool put_mark(struct stream *s, char side)
{
	struct timespec now;
	char mark[32];
	int len;

	clock_gettime(CLOCK_REALTIME, &now);
	if (side == s->telemetry_side && now.tv_sec == s->telemetry_s)
		return true;
	s->telemetry_side = side;
	s->telemetry_s = now.tv_sec;
	len = snprintf(mark, sizeof(mark), "%c%lld%c", side, (long long)now.tv_sec, side);
	return put(s, mark, (size_t)len);
}

void stream_telemetry_copy(struct stream *s, char side, const void *data, size_t len)
{
	if (!len)
		return;
	if (!put_mark(s, side) || !put(s, data, len))
		stream_set_telemetry(s, -1);
}
