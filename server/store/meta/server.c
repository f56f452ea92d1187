/* server.c - see server.h. */
#include "server/store/meta/server.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/base/failpoint.h"
#include "server/base/io.h"
#include "server/base/log.h"
#include "server/base/mem.h"
#include "server/base/wait.h"

#define READ_SIZE (64u << 10)
#define MOST_READ \
	(1u << 20) /* of one connection in a turn: more than a socket of this kind holds */
#define MOST_UNSENT    (1u << 20) /* who does not fetch his answers is not read any more */
#define ACCEPT_REST_MS 100        /* while there are no descriptors */

struct conn {
	int fd;
	bool greeted;
	bool closing; /* once everything is sent */
	bool dead;
	bool queued; /* in server->to_send */
	bool waits; /* for a barrier that came in turn `barrier_turn`; nothing more is carried out */
	uint64_t barrier_turn, barrier_number;
	uint32_t interest; /* of epoll */
	struct buf in;
	size_t used_in;
	struct message message;
	struct buf out;
	size_t sent;     /* of out */
	size_t sendable; /* of out: what does not depend on the flush of this turn */
};

struct conns {
	struct conn **items;
	size_t n, cap;
};

struct meta_server {
	struct meta_server_config config;
	int epoll;
	uint64_t turn;
	struct conns conns, to_send;
	size_t n_waiting, n_dead;
	struct epoll_event *events;
	size_t events_cap;
	bool listening;
	int64_t rest_until_ms; /* accepting goes on then; 0: it does */
	uint64_t n_requests, n_accepted;
};

static void add_conn(struct conns *list, struct conn *c)
{
	us_grow(&list->items, list->n, &list->cap, sizeof(list->items[0]));
	list->items[list->n++] = c;
}

/* ---- connections come and go --------------------------------------------------------------------- */

static int watch(struct meta_server *s, int op, int fd, uint32_t events, void *what)
{
	struct epoll_event event = {.events = events, .data.ptr = what};

	return epoll_ctl(s->epoll, op, fd, &event);
}

/* NULL stands for the listener. */
static void listen_or_not(struct meta_server *s, bool wanted)
{
	if (wanted != s->listening &&
	    watch(s, EPOLL_CTL_MOD, s->config.listen_fd, wanted ? EPOLLIN : 0, NULL) == 0)
		s->listening = wanted;
}

static void bury(struct meta_server *s, struct conn *c)
{
	if (c->dead)
		return;
	c->dead = true;
	s->n_dead++;
	s->n_waiting -= c->waits;
	c->waits = false;
	io_close(&c->fd);
}

static void free_conn(struct conn *c)
{
	io_close(&c->fd);
	buf_free(&c->in);
	buf_free(&c->out);
	message_fini(&c->message);
	free(c);
}

static void sweep(struct meta_server *s)
{
	size_t kept = 0;

	if (!s->n_dead)
		return;
	for (size_t i = 0; i < s->conns.n; i++) {
		struct conn *c = s->conns.items[i];
		if (c->dead)
			free_conn(c);
		else
			s->conns.items[kept++] = c;
	}
	s->conns.n = kept;
	s->n_dead = 0;
}

static bool accept_one(struct meta_server *s)
{
	int fd = accept4(s->config.listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	struct conn *c;

	if (fd < 0) {
		if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
			s->rest_until_ms = wait_clock_ms() + ACCEPT_REST_MS;
		return false;
	}
	c = us_calloc(1, sizeof(*c));
	c->fd = fd;
	c->interest = EPOLLIN | EPOLLRDHUP;
	buf_init(&c->in, 0);
	buf_init(&c->out, 0);
	buf_init(&c->message.joined, 0);
	if (watch(s, EPOLL_CTL_ADD, fd, c->interest, c) < 0) {
		free_conn(c);
		return false;
	}
	add_conn(&s->conns, c);
	s->n_accepted++;
	return true;
}

/* ---- requests ------------------------------------------------------------------------------------- */

static void answer(struct meta_server *s, struct conn *c, unsigned kind, uint64_t number,
		   int status, const struct us_err *err, struct span body)
{
	answer_put(&c->out, kind, number, status, status < 0 ? span_of(err->text) : SPAN_NULL,
		   body);
	if (!c->queued) {
		c->queued = true;
		add_conn(&s->to_send, c);
	}
}

static int refuse(struct us_err *err)
{
	return us_fail(err, US_EIO, "the metadata cannot be opened");
}

static int do_hello(struct conn *c, const struct request *r, struct buf *body, struct us_err *err)
{
	if (r->version != PACKET_VERSION)
		return us_fail(err, US_EPROTO, "this is metad, protocol %d, not %u", PACKET_VERSION,
			       r->version);
	c->greeted = true;
	request_hello(body);
	return 0;
}

static int do_get(struct meta_server *s, const struct request *r, struct buf *body,
		  struct us_err *err)
{
	int rc = engine_get(s->config.engine, r->table, r->key, body, err);

	return rc == 0 ? us_fail(err, US_ENOENT, "no such row") : rc < 0 ? rc : 0;
}

static int do_batch(struct meta_server *s, const struct request *r, struct buf *body,
		    struct us_err *err)
{
	struct meta_batch batch;
	uint64_t version = 0;
	uint32_t flags;
	int rc = batch_decode(r->batch, &batch, &flags, err);

	if (rc < 0)
		return rc;
	rc = engine_apply(s->config.engine, &batch, flags & BATCH_FLAG_LAZY, &version, err);
	if (rc == 0)
		buf_add(body, &version, sizeof(version));
	meta_batch_fini(&batch);
	return rc;
}

static int do_stat(struct meta_server *s, struct buf *body)
{
	buf_printf(body, "clients=%zu\naccepted=%llu\nrequests=%llu\nturns=%llu\n", s->conns.n,
		   (unsigned long long)s->n_accepted, (unsigned long long)s->n_requests,
		   (unsigned long long)s->turn);
	engine_stat(s->config.engine, body);
	return 0;
}

static int carry_out(struct meta_server *s, struct conn *c, const struct request *r,
		     struct buf *body, struct us_err *err)
{
	if (r->kind == PACKET_HELLO)
		return do_hello(c, r, body, err);
	if (!c->greeted)
		return us_fail(err, US_EPROTO, "a connection begins with HELLO");
	if (!s->config.engine)
		return refuse(err);
	switch (r->kind) {
	case PACKET_GET:
		return do_get(s, r, body, err);
	case PACKET_RANGE:
		return engine_page(s->config.engine, r, body, err);
	case PACKET_BATCH:
		return do_batch(s, r, body, err);
	case PACKET_STAT:
		return do_stat(s, body);
	default:
		return us_fail(err, US_EPROTO, "a request of kind %u", r->kind);
	}
}

static void begin_barrier(struct meta_server *s, struct conn *c, uint64_t number)
{
	c->waits = true;
	c->barrier_turn = s->turn;
	c->barrier_number = number;
	s->n_waiting++;
}

static void do_message(struct meta_server *s, struct conn *c)
{
	struct request r;
	struct us_err err = US_ERR_INIT;
	struct buf body = BUF_INIT;
	int rc = request_parse(c->message.kind, c->message.body, &r, &err);

	s->n_requests++;
	if (rc == 0 && r.kind == PACKET_BARRIER && c->greeted && s->config.engine) {
		begin_barrier(s, c, c->message.number);
		return;
	}
	if (rc == 0)
		rc = carry_out(s, c, &r, &body, &err);
	if (rc == US_EPROTO)
		c->closing = true;
	answer(s, c, c->message.kind, c->message.number, rc, &err, buf_span(&body));
	buf_free(&body);
}

/* Everything that came in whole; stops at a barrier. */
static void do_messages(struct meta_server *s, struct conn *c)
{
	struct us_err err;

	while (!c->closing && !c->waits) {
		struct packet packet = {0};
		size_t used = 0;
		int rc = packet_next(span_from(buf_span(&c->in), c->used_in), &packet, &used, &err);
		if (rc == 0)
			break;
		c->used_in += used;
		if (rc > 0)
			rc = message_add(&c->message, &packet, s->config.max_request, &err);
		if (rc > 0)
			do_message(s, c);
		if (rc < 0) {
			log_event(LOG_ERR, "meta.client.bad", LF_ERR(&err));
			answer(s, c, packet.kind, packet.number, rc, &err, SPAN_NULL);
			c->closing = true;
		}
	}
	buf_remove(&c->in, 0, c->used_in);
	c->used_in = 0;
}

static bool is_choked(const struct conn *c)
{
	return c->out.len - c->sent > MOST_UNSENT || c->in.len > MOST_READ + PACKET_MAX;
}

/* What it has sent until now, which is as much as its socket held. */
static void read_conn(struct meta_server *s, struct conn *c)
{
	size_t total = 0;
	ssize_t n = READ_SIZE;

	while (n == READ_SIZE && total < MOST_READ && !c->closing && !is_choked(c)) {
		do
			n = recv(c->fd, buf_reserve(&c->in, READ_SIZE), READ_SIZE, 0);
		while (n < 0 && errno == EINTR);
		if (n > 0)
			c->in.len += (size_t)n;
		if (n > 0)
			total += (size_t)n;
		if (n == 0 || (n < 0 && errno != EAGAIN))
			bury(s, c);
	}
	if (!c->dead)
		do_messages(s, c);
}

static void accept_all(struct meta_server *s)
{
	while (s->conns.n - s->n_dead < s->config.max_clients && accept_one(s))
		; /* read in the next turn, when it is known who has gone again */
}

/* ---- sending --------------------------------------------------------------------------------------- */

static void want(struct meta_server *s, struct conn *c, uint32_t events)
{
	if (events == c->interest)
		return;
	if (watch(s, EPOLL_CTL_MOD, c->fd, events, c) < 0)
		bury(s, c);
	else
		c->interest = events;
}

static void send_some(struct meta_server *s, struct conn *c)
{
	while (!c->dead && c->sent < c->sendable) {
		ssize_t n = send(c->fd, c->out.data + c->sent, c->sendable - c->sent, MSG_NOSIGNAL);
		if (n >= 0)
			c->sent += (size_t)n;
		else if (errno == EAGAIN)
			break;
		else if (errno != EINTR)
			bury(s, c);
	}
	if (c->dead)
		return;
	if (c->sent == c->out.len) {
		buf_clear(&c->out);
		c->sent = c->sendable = 0;
		if (c->closing)
			bury(s, c);
	}
	if (!c->dead)
		want(s, c,
		     (is_choked(c) || c->closing ? 0u : (uint32_t)EPOLLIN) | EPOLLRDHUP |
			     (c->sent < c->sendable ? (uint32_t)EPOLLOUT : 0));
}

static void send_answers(struct meta_server *s)
{
	for (size_t i = 0; i < s->to_send.n; i++) {
		struct conn *c = s->to_send.items[i];
		(void)failpoint_hit(
			FP("meta.reply")); /* to die, or stop, between the deed and the word */
		c->queued = false;
		c->sendable = c->out.len;
		send_some(s, c);
	}
	s->to_send.n = 0;
}

/* The flush failed: what was said in this turn is not true. Who asked hears that it is not known. */
static void take_back_answers(struct meta_server *s)
{
	for (size_t i = 0; i < s->to_send.n; i++) {
		struct conn *c = s->to_send.items[i];
		c->queued = false;
		bury(s, c);
	}
	s->to_send.n = 0;
}

/* ---- turns ------------------------------------------------------------------------------------------ */

static bool barrier_is_due(const struct meta_server *s, const struct conn *c)
{
	return c->waits && c->barrier_turn + 2 <= s->turn;
}

/* Barriers of two turns ago: the last turn accepted everybody who was waiting then, this one has read what they and all
 * others had sent, and after a flush it is durable. What the senders of barriers had to say after them is carried out
 * from here on. */
static int pass_barriers(struct meta_server *s, struct us_err *err)
{
	int rc = engine_flush(s->config.engine, err);

	for (size_t i = 0; i < s->conns.n; i++) {
		struct conn *c = s->conns.items[i];
		if (!barrier_is_due(s, c))
			continue;
		c->waits = false;
		s->n_waiting--;
		answer(s, c, PACKET_BARRIER, c->barrier_number, rc, err, SPAN_NULL);
		do_messages(s, c);
	}
	return rc;
}

static bool has_due_barrier(const struct meta_server *s)
{
	for (size_t i = 0; s->n_waiting && i < s->conns.n; i++)
		if (barrier_is_due(s, s->conns.items[i]))
			return true;
	return false;
}

static int settle(struct meta_server *s, struct us_err *err)
{
	int rc = has_due_barrier(s) ? pass_barriers(s, err) : 0;

	if (s->config.engine && engine_wants_flush(s->config.engine))
		rc = engine_flush(s->config.engine, err);
	return rc;
}

static void attend(struct meta_server *s, const struct epoll_event *event)
{
	struct conn *c = event->data.ptr;

	if (!c)
		accept_all(s);
	else if (event->events & (EPOLLHUP | EPOLLRDHUP | EPOLLERR))
		bury(s, c);
	else if (event->events & EPOLLIN)
		read_conn(s, c);
	if (c && !c->dead && event->events & EPOLLOUT)
		send_some(s, c);
}

/* Room for an event of everybody, so that one wait hears of all who are ready. */
static void fit_events(struct meta_server *s)
{
	size_t wanted = s->conns.n + 1;

	if (wanted <= s->events_cap)
		return;
	s->events_cap = wanted * 2;
	s->events = us_realloc(s->events, us_mul_size(s->events_cap, sizeof(s->events[0])));
}

static int wait_events(struct meta_server *s, int timeout_ms, const sigset_t *mask)
{
	if (s->rest_until_ms && wait_clock_ms() >= s->rest_until_ms)
		s->rest_until_ms = 0;
	listen_or_not(s, !s->rest_until_ms && s->conns.n < s->config.max_clients);
	if (s->rest_until_ms && timeout_ms > ACCEPT_REST_MS)
		timeout_ms = ACCEPT_REST_MS;
	fit_events(s);
	return epoll_pwait(s->epoll, s->events, (int)s->events_cap, s->n_waiting ? 0 : timeout_ms,
			   mask);
}

int meta_server_turn(struct meta_server *s, int timeout_ms, const sigset_t *mask,
		     struct us_err *err)
{
	int n = wait_events(s, timeout_ms, mask);
	int rc;

	if (n < 0)
		return errno == EINTR ? 0 : us_fail_errno(err, "epoll_wait");
	s->turn++;
	for (int i = 0; i < n; i++)
		attend(s, &s->events[i]);
	rc = settle(s, err);
	if (rc < 0)
		take_back_answers(s);
	else
		send_answers(s);
	sweep(s);
	return rc;
}

int meta_server_new(const struct meta_server_config *config, struct meta_server **out,
		    struct us_err *err)
{
	struct meta_server *s = us_calloc(1, sizeof(*s));
	int rc = 0;

	s->config = *config;
	s->config.max_request += META_KEY_MAX; /* heads of requests */
	s->listening = true;
	s->epoll = epoll_create1(EPOLL_CLOEXEC);
	(void)fcntl(config->listen_fd, F_SETFL, O_NONBLOCK);
	if (s->epoll < 0 || watch(s, EPOLL_CTL_ADD, config->listen_fd, EPOLLIN, NULL) < 0)
		rc = us_fail_errno(err, "epoll");
	if (rc < 0)
		meta_server_free(&s);
	else
		*out = s;
	return rc;
}

void meta_server_free(struct meta_server **server)
{
	struct meta_server *s = *server;

	if (!s)
		return;
	for (size_t i = 0; i < s->conns.n; i++)
		free_conn(s->conns.items[i]);
	free(s->conns.items);
	free(s->to_send.items);
	free(s->events);
	io_close(&s->epoll);
	free(s);
	*server = NULL;
}
