/* cmd_idle.c - IDLE (RFC 2177): wait for the client's DONE, and tell news as they come.
 *
 * The mailbox rings a bell with each commit (server/session/bell.h), so a new message is told within milliseconds and an idle
 * connection costs nothing. Where neither idled nor the system lets us hear it, we look every imapidlepoll seconds.
 */
#include "server/base/log.h"
#include "server/base/mem.h"
#include "server/base/wait.h"
#include "server/imap/login.h"
#include "server/imap/reply.h"
#include "server/imap/selected.h"
#include "server/imap/session.h"

#define LONGEST_DONE 1024
#define LOOK_MS      60000 /* how often the door and the mailbox's name are looked at */
#define DEAF_MS      5000  /* for less than that it is a change of who rings, and nothing to tell */

struct idle {
	struct imap_session *s;
	struct bell *bell; /* NULL: nothing is selected */
	int look_ms;
	int64_t deadline_ms;
	int64_t deaf_ms; /* since when nobody rings, and why; -1: somebody does */
	struct us_err why;
	bool told; /* that it is so */
};

static struct idle begin(struct imap_session *s)
{
	struct idle idle = {.s = s, .look_ms = LOOK_MS, .deadline_ms = -1, .deaf_ms = -1};

	if (s->selected)
		idle.bell = &s->selected->bell;
	if (s->options->idle_timeout_s > 0)
		idle.deadline_ms = wait_clock_ms() + s->options->idle_timeout_s * 1000;
	return idle;
}

/* Before the mailbox is looked at: what is published after that rings. */
static void listen_for_news(struct idle *idle)
{
	struct imap_session *s = idle->s;
	int64_t poll_s = conf_duration_s(s->host->conf, CONF_imapidlepoll);
	int64_t now_ms = wait_clock_ms();

	idle->look_ms = LOOK_MS;
	if (!idle->bell || bell_tend(idle->bell, conf_str(s->host->conf, CONF_idlesocket),
				     s->selected->mailbox, &idle->why) == 0) {
		idle->deaf_ms = -1;
		return;
	}
	if (poll_s < LOOK_MS / 1000)
		idle->look_ms = (int)poll_s * 1000;
	if (idle->deaf_ms < 0)
		idle->deaf_ms = now_ms;
	if (!idle->told && now_ms - idle->deaf_ms >= DEAF_MS) {
		log_event(LOG_WARNING, "imap.idle.polls", LF_ERR(&idle->why));
		idle->told = true;
	}
}

static int sooner(int a_ms, int b_ms)
{
	return a_ms >= 0 && (b_ms < 0 || a_ms < b_ms) ? a_ms : b_ms;
}

/* Wait for the client, for the bell, or until it is time to look. As stream_wait(). */
static int wait_once(struct idle *idle, int left_ms, struct us_err *err)
{
	int rc;

	left_ms = sooner(left_ms, idle->look_ms);
	if (!idle->bell)
		return stream_wait(idle->s->out, NULL, 0, left_ms, err);
	left_ms = sooner(left_ms, bell_wait_ms(idle->bell));
	rc = stream_wait(idle->s->out, idle->bell->fds, BELL_FDS, left_ms, err);
	if (rc > 0)
		bell_take(idle->bell);
	return rc;
}

/* Until the client says something: 0. US_ETIMEOUT: he was silent too long. US_ENOENT: the session ends. */
static int wait_for_client(struct idle *idle, struct us_err *err)
{
	struct imap_session *s = idle->s;
	int left_ms, rc = 0;

	while (rc >= 0 && !(rc & STREAM_READABLE)) {
		listen_for_news(idle);
		if (imap_tell_news(s, false, err) == US_ENOENT || login_is_shut(s))
			return US_ENOENT;
		left_ms = wait_left_ms(idle->deadline_ms);
		if (left_ms == 0)
			return us_fail(err, US_ETIMEOUT, "idle for too long");
		rc = wait_once(idle, left_ms, err);
	}
	return rc < 0 ? rc : 0;
}

int run_idle(struct imap_session *s, const void *args UNUSED, struct us_err *err)
{
	struct idle idle = begin(s);
	struct buf line = BUF_INIT;
	int rc;

	stream_write_str(s->out, "+ idling\r\n");
	rc = wait_for_client(&idle, err);
	if (rc == US_ENOENT || rc == US_ETIMEOUT) {
		if (rc == US_ETIMEOUT)
			reply_untagged(s->out, "BYE idle for too long");
		s->leaving = true;
		s->answered = true;
		return 0;
	}
	if (rc == 0)
		rc = imap_read_line(s, LONGEST_DONE, &line, err);
	else
		s->lost = true;
	if (rc == US_ELIMIT || (rc == 0 && !span_is_nocase(buf_span(&line), "DONE")))
		rc = imap_bad(s, "Invalid Idle continuation");
	buf_free(&line);
	return rc;
}
