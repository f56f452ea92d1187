/* rolling_full.c - the full comparison a channel owes, made while the log goes on.
 *
 * A channel owes one when it may have missed something: it is new, the machine went down without an orderly stop, its backlog
 * was too long. The debt is a durable mark with a version; it is paid only if nobody marked the channel again meanwhile. What
 * fails is set aside, like anything else; what is logged meanwhile is done between two objects.
 */
#include "server/base/log.h"
#include "server/base/mem.h"
#include "server/store/channelmark.h"
#include "sync_client/rolling_private.h"
#include "synclog/log.h"

static void failed(void *ctx, struct span line, const struct us_err *why)
{
	rolling_set_aside(ctx, line, why);
}

static int reconnect(void *ctx, struct us_err *err)
{
	struct us_err why = US_ERR_INIT;

	us_fail(&why, US_ELINK, "the link broke during the full comparison");
	return rolling_lost(ctx, &why, err);
}

/* The log first, then the next object. */
static int between(void *ctx, struct us_err *err)
{
	struct rolling *r = ctx;
	int rc;

	do
		rc = rolling_is_stopping(r) ? us_fail(err, US_ELINK, "we are to stop")
					    : rolling_batch(r, err);
	while (rc > 0);
	if (rc == 0)
		channel_enter(r->ch, CHANNEL_CATCHING_UP);
	rolling_note_octets(r);
	return rc == 0 ? rolling_slow_down(r, err) : rc;
}

static int compare_everything(struct rolling *r, const struct channelmark *mark, struct us_err *err)
{
	struct sync_walk walk = {.failed = failed,
				 .reconnect = reconnect,
				 .between = between,
				 .ctx = r};
	int rc;

	channel_enter(r->ch, CHANNEL_CATCHING_UP);
	log_event(LOG_NOTICE, "sync.full.begun", LF_TEXT("comparing everything"),
		  LF_STR("channel", r->ch->name), LF_STR("reason", mark->reason.data));
	rc = sync_everything(r->s, &walk, err);
	if (rc == 0)
		rc = rolling_save_aside(r, err);
	if (rc < 0)
		return rc;
	rc = channelmark_settle(r->s->store, r->ch->name, mark, err);
	log_event(LOG_NOTICE, "sync.full.done", LF_TEXT("everything is compared"),
		  LF_STR("channel", r->ch->name));
	return rc == US_ECHANGED ? 0 : rc; /* marked again: the next turn sees it */
}

int rolling_full(struct rolling *r, struct us_err *err)
{
	struct channelmark mark;
	int rc = channelmark_get(r->s->store, r->ch->name, &mark, err);

	if (rc < 0)
		return rc;
	if (mark.owes)
		rc = compare_everything(r, &mark, err);
	channelmark_free(&mark);
	return rc;
}
