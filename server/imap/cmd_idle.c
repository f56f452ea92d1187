/* cmd_idle.c - IDLE (RFC 2177): wait for the client's DONE, and tell news as they come.
 *
 * The mailbox rings a bell with each commit (selected_bell), so a new message is told within milliseconds and an idle
 * connection costs nothing. Should the system have no bell for us, we look every imapidlepoll seconds.
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

struct idle {
	struct imap_session *s;
	int bell; /* -1: none */
	int look_ms;
	int64_t deadline_ms;
};

static struct idle begin(struct imap_session *s)
{
	struct idle idle = {s, -1, LOOK_MS, -1};
	int64_t poll_s = conf_duration_s(s->host->conf, CONF_imapidlepoll);
	struct us_err err = US_ERR_INIT;

	if (s->options->idle_timeout_s > 0)
		idle.deadline_ms = wait_clock_ms() + s->options->idle_timeout_s * 1000;
	if (s->selected && selected_bell(s->selected, &idle.bell, &err) < 0)
		log_event(LOG_WARNING, "imap.idle.polls", LF_ERR(&err));
	if (s->selected && idle.bell < 0 && poll_s < LOOK_MS / 1000)
		idle.look_ms = (int)poll_s * 1000;
	return idle;
}

/* Until the client says something: 0. US_ETIMEOUT: he was silent too long. US_ENOENT: the session ends. */
static int wait_for_client(struct idle *idle, struct us_err *err)
{
	struct imap_session *s = idle->s;
	int left_ms, rc = 0;

	while (rc >= 0 && !(rc & STREAM_READABLE)) {
		if (imap_tell_news(s, false, err) == US_ENOENT || login_is_shut(s))
			return US_ENOENT;
		left_ms = wait_left_ms(idle->deadline_ms);
		if (left_ms == 0)
			return us_fail(err, US_ETIMEOUT, "idle for too long");
		if (left_ms < 0 || left_ms > idle->look_ms)
			left_ms = idle->look_ms;
		rc = stream_wait(s->out, &idle->bell, idle->bell >= 0 ? 1 : 0, left_ms, err);
		if (rc > 0 && rc & STREAM_OTHER(0)) {
			selected_bell_clear(s->selected);
			(void)selected_bell(s->selected, &idle->bell,
					    NULL); /* hangs it again if it fell */
		}
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
