/* rolling.c - the loop of a channel's client; see rolling.h.
 *
 *	start --> link --+--> full comparison, if one is owed
 *	                 |    a batch, a set-aside object whose time has come
 *	                 |    nothing to do: sleep until the log's directory changes (inotify), the replica hangs up, something
 *	                 |    is due, or somebody wants us to end
 *	                 +--- the link broke: another at once; while there is none, after 0.1 s, 0.2 s, ... sync_reconnect_maxwait
 *
 * What would end other programs does not end this one: a replica that turns us away is asked again after the longest pause, for
 * its password file may come back. Only our own signals, the shutdown file, and failures of this machine do.
 */
#include "sync_client/rolling.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "channels/watch.h"
#include "server/base/log.h"
#include "server/base/mem.h"
#include "server/base/wait.h"
#include "sync_client/rolling_private.h"

#define LOCKED_FIRST_MS  100
#define LOCKED_MOST_MS   5000
#define FAILING_FIRST_MS 100
#define FAILING_MOST_MS  5000
#define FAILING_FROM     20   /* failures in a row: it is not the objects */
#define LOOK_MS          1000 /* how often the shutdown file is looked for */

/* ---- ending ------------------------------------------------------------------------------------- */

/* A file that appears ends us; it is removed, so that it does not end the next one as well. */
static bool found_shutdown_file(struct rolling *r)
{
	if (r->shutdown && !r->shut_down && unlink(r->shutdown) == 0) {
		r->shut_down = true;
		log_event(LOG_NOTICE, "sync.shutdown.file", LF_STR("path", r->shutdown));
	}
	return r->shut_down;
}

bool rolling_is_stopping(const struct rolling *r)
{
	return r->shut_down || *r->dial->config.stop;
}

static int stopping(struct us_err *err)
{
	return us_fail(err, US_ELINK, "we are to stop");
}

/* Sleep, but not past the moment we are to end. US_ELINK: that is now. */
static int sleep_ms(struct rolling *r, int64_t ms, struct us_err *err)
{
	int64_t until = wait_clock_ms() + ms;

	while (!found_shutdown_file(r) && !rolling_is_stopping(r)) {
		int64_t left = until - wait_clock_ms();
		if (left <= 0)
			return 0;
		if (r->shutdown && left > LOOK_MS)
			left = LOOK_MS;
		(void)dial_sleep(r->dial, (uint32_t)left, err); /* the stop flag: seen above */
	}
	return stopping(err);
}

/* ---- the link ----------------------------------------------------------------------------------- */

void rolling_note_octets(struct rolling *r)
{
	uint64_t sent, received;

	if (!r->link)
		return;
	link_octets(r->link, &sent, &received);
	channel_note_octets(r->ch, sent, received);
}

void rolling_hang_up(struct rolling *r)
{
	rolling_note_octets(r);
	sync_attach(r->s, NULL);
	link_close(&r->link);
}

/* While there is no link the oldest line may be one that nobody has taken yet. */
static void note_oldest(struct rolling *r)
{
	char *path = us_asprintf("%s/log", r->ch->dir);
	struct channel_figures figures;
	struct statx st;

	channel_figures(r->ch, &figures);
	if (!figures.oldest_ns && statx(AT_FDCWD, path, 0, STATX_BTIME, &st) == 0 &&
	    st.stx_mask & STATX_BTIME)
		channel_note_taken(r->ch, NULL, 0,
				   (int64_t)st.stx_btime.tv_sec * 1000000000 +
					   st.stx_btime.tv_nsec);
	free(path);
}

/* How long to wait after that failure, and what the channel is meanwhile. */
static uint32_t after_failure(struct rolling *r, const struct us_err *why)
{
	bool refused = dial_is_final(why->code);
	uint32_t pause = retry_failed(&r->dial->retry);

	channel_note_error(r->ch, why);
	channel_enter(r->ch, refused ? CHANNEL_REFUSED : CHANNEL_BACKING_OFF);
	note_oldest(r);
	if (refused)
		pause = r->dial->retry.most_ms;
	log_event(refused ? LOG_ERR : LOG_WARNING, "sync.connect.failed",
		  LF_STR("channel", r->ch->name), LF_STR("host", r->dial->config.target),
		  LF_NUM("again_ms", pause), LF_ERR(why));
	return pause;
}

static void have_link(struct rolling *r)
{
	retry_succeeded(&r->dial->retry);
	r->link_since = wait_clock_ms();
	sync_attach(r->s, r->link);
	channel_note_connection(r->ch);
	channel_enter(r->ch, synclog_backlog(r->ch->dir) ? CHANNEL_CATCHING_UP : CHANNEL_LIVE);
}

int rolling_connect(struct rolling *r, struct us_err *err)
{
	while (!found_shutdown_file(r) && !rolling_is_stopping(r)) {
		struct us_err why = US_ERR_INIT;
		int rc;
		channel_enter(r->ch, CHANNEL_CONNECTING);
		rc = link_open(&r->dial->config, &r->link, &why);
		if (rc == 0) {
			have_link(r);
			return 0;
		}
		if (rolling_is_stopping(r))
			break;
		if (r->options->once) {
			if (err)
				*err = why;
			return rc;
		}
		rc = sleep_ms(r, after_failure(r, &why), err);
		if (rc < 0)
			return rc;
	}
	return stopping(err);
}

/* One that lasted is worth another at once; after one that did not, we wait as after a failed attempt. */
int rolling_lost(struct rolling *r, const struct us_err *why, struct us_err *err)
{
	bool lasted = wait_clock_ms() - r->link_since >= LOOK_MS;

	log_event(LOG_WARNING, "sync.link.lost", LF_TEXT("lost the replica, going to try again"),
		  LF_STR("channel", r->ch->name), LF_ERR(why));
	channel_note_error(r->ch, why);
	rolling_hang_up(r);
	if (!lasted) {
		int rc = sleep_ms(r, after_failure(r, why), err);
		if (rc < 0)
			return rc;
	}
	return rolling_connect(r, err);
}

/* -t: a link is not kept for ever. */
static int renew_link(struct rolling *r, struct us_err *err)
{
	if (wait_clock_ms() - r->link_since < (int64_t)r->options->restart_s * 1000)
		return 0;
	rolling_hang_up(r);
	return rolling_connect(r, err);
}

/* ---- what is set aside ---------------------------------------------------------------------------- */

void rolling_set_aside(struct rolling *r, struct span line, const struct us_err *why)
{
	r->set_aside++;
	r->in_a_row++;
	log_event(LOG_ERR, "sync.object.aside", LF_STR("channel", r->ch->name),
		  LF_SPAN("object", line), LF_ERR(why));
	fprintf(stderr, "Error from %.*s: %s\n", SPAN_ARG(line), why->text);
	aside_put(&r->aside, line, why->text, store_now());
	r->aside_changed = true;
	channel_note_error(r->ch, why);
}

int rolling_save_aside(struct rolling *r, struct us_err *err)
{
	int rc = 0;

	if (!r->aside_changed)
		return 0;
	channel_note_aside(r->ch, r->aside.n);
	rc = aside_save(&r->aside, err);
	r->aside_changed = rc < 0;
	return rc;
}

int rolling_slow_down(struct rolling *r, struct us_err *err)
{
	return r->in_a_row > FAILING_FROM ? sleep_ms(r, retry_failed(&r->failing), err) : 0;
}

/* ---- waiting ------------------------------------------------------------------------------------ */

/* How long there is surely nothing to do; -1: until something happens. */
static int64_t longest_sleep_ms(const struct rolling *r)
{
	int64_t due = aside_next(&r->aside), least = -1, ms;

	if (r->shutdown)
		least = LOOK_MS;
	if (due) {
		ms = due > store_now() ? (due - store_now()) * 1000 : 0;
		least = least < 0 || ms < least ? ms : least;
	}
	return least;
}

/* What the replica says unasked is its farewell. */
static int hear_replica(struct rolling *r, struct us_err *err)
{
	struct us_err why = US_ERR_INIT;
	int rc = link_owes(r->link) ? link_collect(r->link, &why) : link_ping(r->link, &why);

	return link_is_lost(rc) ? rolling_lost(r, &why, err) : 0;
}

static int wait_for_work(struct rolling *r, struct us_err *err)
{
	struct pollfd fds[2] = {{.fd = r->watch, .events = POLLIN},
				{.fd = link_fd(r->link), .events = POLLIN}};
	int64_t ms = longest_sleep_ms(r);
	int rc =
		wait_ready(fds, 2, (int)(ms > 86400000 ? 86400000 : ms), r->dial->config.stop, err);

	if (rc == US_ECLOSED)
		return stopping(err);
	if (rc > 0 && fds[0].revents)
		watch_drain(r->watch);
	return rc > 0 && fds[1].revents ? hear_replica(r, err) : (rc < 0 ? rc : 0);
}

/* ---- the loop ----------------------------------------------------------------------------------- */

/* Lines that were written back wait for their time; so does everything where batches are to be far between. */
static int may_take(struct rolling *r, struct us_err *err)
{
	int64_t left = r->not_before - wait_clock_ms();

	return left > 0 ? sleep_ms(r, left, err) : 0;
}

/* One turn: 1: something was done; 0: there is nothing to do. */
static int one_turn(struct rolling *r, struct us_err *err)
{
	int rc = may_take(r, err);

	if (rc == 0)
		rc = rolling_batch(r, err);
	if (rc == 0)
		rc = rolling_retry(r, err);
	if (rc == 0)
		channel_enter(r->ch, CHANNEL_LIVE);
	return rc;
}

static int keep_rolling(struct rolling *r, struct us_err *err)
{
	int rc = 0;

	while (rc >= 0 && !found_shutdown_file(r) && !rolling_is_stopping(r)) {
		rc = rolling_full(r, err);
		if (rc >= 0)
			rc = renew_link(r, err);
		if (rc >= 0)
			rc = one_turn(r, err);
		if (rc == 0)
			rc = wait_for_work(r, err);
	}
	return rolling_is_stopping(r) ? 0 : rc;
}

/* -1, -f: one log. What stays behind set aside is a failure. */
static int roll_once(struct rolling *r, struct us_err *err)
{
	int rc = rolling_batch(r, err);

	if (rc >= 0 && r->set_aside)
		return us_fail(err, US_EREMOTE, "%u objects had to be set aside", r->set_aside);
	return rc < 0 ? rc : 0;
}

/* ---- beginning and end ---------------------------------------------------------------------------- */

static int settings(struct rolling *r, struct us_err *err)
{
	const struct conf *conf = r->s->host->conf;
	const char *channel = r->options->channel;
	int64_t interval_s;
	int rc =
		conf_channel_duration_s(conf, channel, CONF_sync_repeat_interval, &interval_s, err);

	if (rc < 0)
		return rc;
	if (r->options->delay_s >= 0)
		interval_s = r->options->delay_s;
	r->interval_ms = interval_s > 0 ? interval_s * 1000 : 0;
	r->backlog_max = (size_t)conf_bytes(conf, CONF_sync_backlog_max);
	r->shutdown = r->options->shutdown
			      ? r->options->shutdown
			      : conf_channel_str(conf, channel, CONF_sync_shutdown_file);
	r->locked = (struct retry){.first_ms = LOCKED_FIRST_MS, .most_ms = LOCKED_MOST_MS};
	r->failing = (struct retry){.first_ms = FAILING_FIRST_MS, .most_ms = FAILING_MOST_MS};
	return 0;
}

/* Of what is set aside; the bounds of the keys keep them within 32 bits. */
static int aside_pauses(const struct rolling *r, struct retry *out, struct us_err *err)
{
	const struct conf *conf = r->s->host->conf;
	const char *channel = r->options->channel;
	int64_t first_s, most_s;
	int rc = conf_channel_duration_s(conf, channel, CONF_sync_aside_wait, &first_s, err);

	if (rc == 0)
		rc = conf_channel_duration_s(conf, channel, CONF_sync_aside_maxwait, &most_s, err);
	if (rc == 0)
		*out = (struct retry){.first_ms = (uint32_t)first_s * 1000,
				      .most_ms = (uint32_t)most_s * 1000};
	return rc;
}

static int open_channel(struct rolling *r, struct us_err *err)
{
	struct retry pauses;
	int rc = channel_open(store_config(r->s->store)->configdirectory, r->options->channel,
			      &r->ch, err);

	if (rc == 0)
		rc = aside_pauses(r, &pauses, err);
	if (rc == 0)
		rc = aside_open(r->ch->dir, pauses, &r->aside, err);
	if (rc == 0)
		rc = watch_open(r->ch, &r->watch, err);
	if (rc < 0)
		return rc;
	channel_note_client(r->ch, (uint64_t)getpid());
	channel_note_aside(r->ch, r->aside.n);
	return 0;
}

static int roll(struct rolling *r, struct us_err *err)
{
	bool once = r->options->one_pass || r->options->file;
	int rc = sleep_ms(r, (int64_t)r->options->wait_s * 1000, err);

	if (rc == 0)
		rc = rolling_connect(r, err);
	if (rc == 0)
		rc = once ? roll_once(r, err) : keep_rolling(r, err);
	return rolling_is_stopping(r) && link_is_lost(rc) ? 0 : rc;
}

int rolling_run(struct sync *s, struct dial *dial, const struct options *options,
		struct us_err *err)
{
	struct rolling r = {.s = s, .dial = dial, .options = options, .watch = -1};
	size_t known = (size_t)conf_int(s->host->conf, CONF_sync_known_max);
	int rc = settings(&r, err);

	s->known = known ? known_new(known) : NULL;
	if (rc == 0)
		rc = open_channel(&r, err);
	if (rc == 0)
		rc = roll(&r, err);
	rolling_hang_up(&r);
	known_free(&s->known);
	if (r.ch) {
		channel_note_client(r.ch, 0);
		channel_enter(r.ch, CHANNEL_IDLE);
	}
	if (r.watch >= 0)
		close(r.watch);
	aside_close(&r.aside);
	channel_close(&r.ch);
	free(r.suspect);
	return rc;
}
