/* change_log.c - see change_log.h. */
#include "server/session/change_log.h"

#include <stdlib.h>

#include "server/base/mem.h"
#include "synclog/record.h"

struct change_log {
	struct channels *channels[2]; /* by enum channels_origin */
	enum channels_origin origin;
	struct store_observer observer;
	struct buf lines;
};

static const enum synclog_kind kinds[] = {
	[CHANGE_MAILBOX] = SYNCLOG_MAILBOX,
	[CHANGE_APPEND] = SYNCLOG_APPEND,
	[CHANGE_DOUBLEMAILBOX] = SYNCLOG_DOUBLEMAILBOX,
	[CHANGE_RENAME] = SYNCLOG_RENAME,
	[CHANGE_UNMAILBOX] = SYNCLOG_UNMAILBOX,
	[CHANGE_USER] = SYNCLOG_USER,
	[CHANGE_UNUSER] = SYNCLOG_UNUSER,
	[CHANGE_META] = SYNCLOG_META,
	[CHANGE_QUOTA] = SYNCLOG_QUOTA,
	[CHANGE_ANNOTATION] = SYNCLOG_ANNOTATION,
	[CHANGE_SEEN] = SYNCLOG_SEEN,
	[CHANGE_SUB] = SYNCLOG_SUB,
};

int change_log_lines(const struct store_change *changes, size_t n, struct buf *out,
		     struct us_err *err)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < n; i++) {
		enum synclog_kind kind = kinds[changes[i].kind];
		struct synclog_record r = {kind,
					   {changes[i].a, changes[i].b},
					   synclog_kind_args(kind)};
		rc = synclog_format(&r, out, err);
	}
	return rc;
}

static int changing(void *ctx, const struct store_change *changes, size_t n, struct us_err *err)
{
	struct change_log *log = ctx;
	struct channels *to = log->channels[log->origin];
	int rc;

	if (!channels_count(to))
		return 0;
	buf_clear(&log->lines);
	rc = change_log_lines(changes, n, &log->lines, err);
	return rc < 0 ? rc : channels_append(to, buf_span(&log->lines), err);
}

int change_log_open(const struct channels_config *config, struct change_log **out,
		    struct us_err *err)
{
	struct change_log *log = us_calloc(1, sizeof(*log));
	int rc = channels_open(config, CHANNELS_LOCAL, &log->channels[CHANNELS_LOCAL], err);

	if (rc == 0)
		rc = channels_open(config, CHANNELS_REPLICATED, &log->channels[CHANNELS_REPLICATED],
				   err);
	if (rc < 0) {
		change_log_close(&log);
		return rc;
	}
	buf_init(&log->lines, 0);
	log->observer = (struct store_observer){changing, log};
	*out = log;
	return 0;
}

void change_log_close(struct change_log **log)
{
	if (!*log)
		return;
	channels_close(&(*log)->channels[CHANNELS_LOCAL]);
	channels_close(&(*log)->channels[CHANNELS_REPLICATED]);
	if ((*log)->lines.cap)
		buf_free(&(*log)->lines);
	free(*log);
	*log = NULL;
}

const struct store_observer *change_log_observer(struct change_log *log)
{
	return &log->observer;
}

void change_log_set_origin(struct change_log *log, enum channels_origin origin)
{
	log->origin = origin;
}
