/* stream_pipe.c - two streams joined in memory, for tests in which both ends meet.
 *
 *	end[0] --half[0]--> end[1]
 *	end[0] <--half[1]-- end[1]
 *
 * A half is a growing buffer, so writing never waits. Its eventfd is readable while the half has bytes or
 * its writer is gone: what waits in poll for a socket waits here in the same way. The lock is for tests
 * that put the ends into two threads.
 */
#include "server/base/stream_private.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "server/base/mem.h"

struct half {
	struct buf bytes;
	size_t taken;
	int event;
	bool writer_gone, reader_gone, signalled;
};

struct joint {
	pthread_mutex_t lock;
	struct half half[2];
	int ends;
};

struct pipe_end {
	struct joint *joint;
	struct half *in, *out;
	void (*on_empty)(void *ctx);
	void *on_empty_ctx;
};

/* Make the eventfd say what the half is. With the lock held. */
static void settle(struct half *half)
{
	bool ready = half->taken < half->bytes.len || half->writer_gone;
	uint64_t count = 1;

	if (ready == half->signalled)
		return;
	us_assert((ready ? write(half->event, &count, sizeof(count))
			 : read(half->event, &count, sizeof(count))) == sizeof(count));
	half->signalled = ready;
}

static ssize_t take_bytes(struct half *half, void *data, size_t len)
{
	size_t left = half->bytes.len - half->taken;

	if (len > left)
		len = left;
	if (!len && !half->writer_gone) {
		errno = EAGAIN;
		return -1;
	}
	memcpy(data, half->bytes.data + half->taken, len);
	half->taken += len;
	if (half->taken == half->bytes.len) {
		buf_free(&half->bytes);
		half->taken = 0;
	}
	settle(half);
	return (ssize_t)len;
}

static ssize_t pipe_read(struct stream *s, void *data, size_t len)
{
	struct pipe_end *end = s->transport_ctx;
	ssize_t n;

	pthread_mutex_lock(&end->joint->lock);
	n = take_bytes(end->in, data, len);
	pthread_mutex_unlock(&end->joint->lock);
	return n;
}

static ssize_t pipe_write(struct stream *s, const void *data, size_t len, bool more_follows UNUSED)
{
	struct pipe_end *end = s->transport_ctx;
	ssize_t n = (ssize_t)len;

	pthread_mutex_lock(&end->joint->lock);
	if (end->out->reader_gone) {
		errno = EPIPE;
		n = -1;
	} else {
		buf_add(&end->out->bytes, data, len);
		settle(end->out);
	}
	pthread_mutex_unlock(&end->joint->lock);
	return n;
}

static void pipe_about_to_wait(struct stream *s)
{
	struct pipe_end *end = s->transport_ctx;

	if (end->on_empty)
		end->on_empty(end->on_empty_ctx);
}

static void joint_free(struct joint *joint)
{
	for (int i = 0; i < 2; i++) {
		buf_free(&joint->half[i].bytes);
		close(joint->half[i].event);
	}
	pthread_mutex_destroy(&joint->lock);
	free(joint);
}

static void pipe_close(struct stream *s)
{
	struct pipe_end *end = s->transport_ctx;
	struct joint *joint = end->joint;
	bool last;

	pthread_mutex_lock(&joint->lock);
	end->in->reader_gone = true;
	end->out->writer_gone = true;
	settle(end->out);
	last = --joint->ends == 0;
	pthread_mutex_unlock(&joint->lock);
	if (last)
		joint_free(joint);
	free(end);
}

static const struct stream_transport pipe_transport = {pipe_read, pipe_write, pipe_about_to_wait,
						       pipe_close, false};

static struct stream *new_end(struct joint *joint, int in, int out,
			      const struct stream_config *config)
{
	struct pipe_end *end = us_calloc(1, sizeof(*end));

	end->joint = joint;
	end->in = &joint->half[in];
	end->out = &joint->half[out];
	return stream_make(&pipe_transport, end, end->in->event, -1, config);
}

void stream_pipe(struct stream *ends[2], const struct stream_config *config)
{
	struct joint *joint = us_calloc(1, sizeof(*joint));

	joint->ends = 2;
	us_assert(pthread_mutex_init(&joint->lock, NULL) == 0);
	for (int i = 0; i < 2; i++) {
		buf_init(&joint->half[i].bytes, 0);
		joint->half[i].event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		us_assert(joint->half[i].event >= 0);
	}
	ends[0] = new_end(joint, 1, 0, config);
	ends[1] = new_end(joint, 0, 1, config);
}

void stream_pipe_on_empty(struct stream *s, void (*fn)(void *ctx), void *ctx)
{
	struct pipe_end *end = s->transport_ctx;

	us_assert(s->transport == &pipe_transport);
	end->on_empty = fn;
	end->on_empty_ctx = ctx;
}
