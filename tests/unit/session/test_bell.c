/* test_bell.c - a session listens to idled while that answers, and to itself at all other times. The test plays idled. */
#include "tests/unit/store/rig.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "server/session/bell.h"
#include "server/session/bell_packet.h"

#define BOX     "user.bob"
#define MESSAGE "Subject: x\r\n\r\nhello\r\n"

struct scene {
	struct rig *rig;
	char path[100];
	int listener, session;
	struct mailbox *m;
	struct bell bell;
};

static void run_idled(struct scene *s)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", s->path);
	(void)unlink(s->path);
	s->listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0);
	assert_int_equal(bind(s->listener, (const void *)&address, sizeof(address)), 0);
	assert_int_equal(listen(s->listener, 4), 0);
}

static void end_idled(struct scene *s)
{
	close(s->listener);
	if (s->session >= 0)
		close(s->session);
	s->listener = s->session = -1;
}

static void scene_open(struct scene *s, struct rig *rig, bool idled)
{
	struct us_err err;

	*s = (struct scene){.rig = rig, .listener = -1, .session = -1};
	snprintf(s->path, sizeof(s->path), "/tmp/us-bell-%d", (int)getpid());
	rig_create(rig, BOX);
	assert_ok(mailbox_open(rig->store, SPAN_LIT(BOX), &s->m, &err), &err);
	bell_init(&s->bell);
	if (idled)
		run_idled(s);
}

static void scene_close(struct scene *s)
{
	end_idled(s);
	(void)unlink(s->path);
	bell_fini(&s->bell);
	mailbox_close(&s->m);
}

static void tend(struct scene *s)
{
	struct us_err err;

	assert_ok(bell_tend(&s->bell, s->path, s->m, &err), &err);
}

/* idled takes the session in, and reads what it wants. */
static void hear_watch(struct scene *s)
{
	char bytes[BELL_PACKET_MAX];
	struct bell_packet packet;
	ssize_t n;

	if (s->session < 0)
		s->session = accept(s->listener, NULL, NULL);
	assert_true(s->session >= 0);
	n = recv(s->session, bytes, sizeof(bytes), MSG_DONTWAIT);
	assert_true(n > 0);
	assert_int_equal(bell_packet_parse(span_make(bytes, (size_t)n), &packet, NULL), 0);
	assert_int_equal(packet.word, BELL_WATCH);
	assert_memory_equal(&packet.id, &s->m->row.storeid, sizeof(packet.id));
	assert_true(span_eq(packet.partition, span_of(s->m->partition->name)));
}

static void say(struct scene *s, enum bell_word word)
{
	struct bell_packet packet = {.word = word};
	unsigned char bytes[BELL_PACKET_MAX];
	int len = bell_packet_put(&packet, bytes, NULL);

	assert_int_equal(send(s->session, bytes, (size_t)len, 0), len);
}

/* Does anything wake the session? */
static bool rings(struct scene *s)
{
	struct pollfd p[BELL_FDS];

	for (size_t i = 0; i < BELL_FDS; i++)
		p[i] = (struct pollfd){s->bell.fds[i], POLLIN, 0};
	return poll(p, BELL_FDS, 0) > 0;
}

static void assert_own(struct scene *s, bool own)
{
	assert_int_equal(s->bell.fds[1] >= 0, own);
	if (!own)
		return;
	bell_take(&s->bell);
	assert_false(rings(s));
	rig_append(s->rig, BOX, MESSAGE, 0);
	assert_true(rings(s));
	bell_take(&s->bell);
	assert_false(rings(s));
}

static void without_idled_it_listens_itself(void **state)
{
	struct scene s;

	scene_open(&s, *state, false);
	tend(&s);
	assert_int_equal(s.bell.fds[0], -1);
	assert_own(&s, true);
	assert_in_range(bell_wait_ms(&s.bell), 50000, 90000); /* until it asks again */
	scene_close(&s);
}

static void idled_is_preferred(void **state)
{
	struct scene s;

	scene_open(&s, *state, true);
	tend(&s);
	hear_watch(&s);
	assert_own(&s, false);
	assert_in_range(bell_wait_ms(&s.bell), 1, 1000); /* for HUNG */
	say(&s, BELL_HUNG);
	assert_true(rings(&s)); /* so the mailbox is looked at: what came before HUNG is seen */
	bell_take(&s.bell);
	tend(&s);
	assert_own(&s, false);
	assert_false(rings(&s));
	assert_int_equal(bell_wait_ms(&s.bell), -1);
	say(&s, BELL_RING);
	assert_true(rings(&s));
	bell_take(&s.bell);
	assert_false(rings(&s));
	tend(&s);
	assert_own(&s, false);
	scene_close(&s);
}

static void its_end_is_noticed_and_its_return(void **state)
{
	struct scene s;

	scene_open(&s, *state, true);
	tend(&s);
	hear_watch(&s);
	say(&s, BELL_HUNG);
	bell_take(&s.bell);
	end_idled(&s);
	assert_true(rings(&s));
	bell_take(&s.bell);
	tend(&s);
	assert_own(&s, true);
	assert_in_range(bell_wait_ms(&s.bell), 100, 375);
	run_idled(&s);
	usleep(400 * 1000);
	tend(&s);
	hear_watch(&s);
	assert_own(&s, true); /* until idled has answered */
	say(&s, BELL_HUNG);
	bell_take(&s.bell);
	tend(&s);
	assert_own(&s, false);
	scene_close(&s);
}

static void one_that_was_replaced_is_left_at_once(void **state)
{
	struct scene s;
	int old;

	scene_open(&s, *state, true);
	tend(&s);
	hear_watch(&s);
	say(&s, BELL_HUNG);
	bell_take(&s.bell);
	old = s.session;
	close(s.listener);
	s.session = -1;
	run_idled(&s);
	close(old);
	bell_take(&s.bell);
	tend(&s);
	hear_watch(&s);
	assert_own(&s, false);
	scene_close(&s);
}

static void one_that_refuses_or_does_not_answer_is_done_without(void **state)
{
	struct scene s;

	scene_open(&s, *state, true);
	tend(&s);
	hear_watch(&s);
	usleep(1100 * 1000);
	tend(&s);
	assert_own(&s, true);
	say(&s, BELL_HUNG); /* late is well */
	bell_take(&s.bell);
	tend(&s);
	assert_own(&s, false);
	say(&s, BELL_FELL);
	bell_take(&s.bell);
	tend(&s);
	hear_watch(&s); /* asked again, on the same connection */
	say(&s, BELL_REFUSED);
	bell_take(&s.bell);
	tend(&s);
	assert_own(&s, true);
	assert_int_equal(s.bell.fds[0], -1);
	assert_in_range(bell_wait_ms(&s.bell), 50000, 90000);
	scene_close(&s);
}

/* One that accepts and goes, again and again, is not asked without a pause. */
static void one_that_closes_is_not_asked_at_once(void **state)
{
	struct scene s;

	scene_open(&s, *state, true);
	tend(&s);
	hear_watch(&s);
	close(s.session);
	s.session = -1;
	bell_take(&s.bell);
	tend(&s);
	assert_int_equal(s.bell.fds[0], -1);
	assert_own(&s, true);
	assert_in_range(bell_wait_ms(&s.bell), 100, 90000);
	scene_close(&s);
}

#define WITH_RIG(test) cmocka_unit_test_setup_teardown(test, rig_setup, rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_RIG(without_idled_it_listens_itself),
		WITH_RIG(idled_is_preferred),
		WITH_RIG(its_end_is_noticed_and_its_return),
		WITH_RIG(one_that_was_replaced_is_left_at_once),
		WITH_RIG(one_that_refuses_or_does_not_answer_is_done_without),
		WITH_RIG(one_that_closes_is_not_asked_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
