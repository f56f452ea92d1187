/* rolling_private.h - what the files of rolling.h share. */
#ifndef US_SYNC_CLIENT_ROLLING_PRIVATE_H
#define US_SYNC_CLIENT_ROLLING_PRIVATE_H

#include "channels/aside.h"
#include "channels/channel.h"
#include "reconcile/coalesce.h"
#include "sync_client/dial.h"
#include "sync_client/rolling.h"

struct rolling {
	struct sync *s;
	struct dial *dial;
	const struct options *options;
	struct channel *ch;
	struct aside aside;
	bool aside_changed;   /* and not saved yet */
	struct link *link;    /* NULL: there is none */
	int watch;            /* inotify(7) on the channel's directory */
	const char *shutdown; /* the file that ends us; NULL: none */
	bool shut_down;       /* it was there */
	int64_t interval_ms;  /* least time from one batch to the next */
	size_t backlog_max;   /* bytes */
	int64_t link_since;   /* wait_clock_ms() of when the link was made */
	int64_t not_before;   /* wait_clock_ms() before which no batch is taken */
	struct retry locked;  /* pauses while all that is left is locked */
	struct retry failing; /* pauses while one object after the other fails */
	unsigned in_a_row;    /* objects that failed, none succeeding in between */
	char *suspect;        /* the object over which the link was lost the last time */
	unsigned losses;      /* and how often in a row */
	unsigned set_aside;   /* objects, since the start */
};

bool rolling_is_stopping(const struct rolling *r);

/* ---- rolling_batch.c --------------------------------------------------------------------------- */

/* Do what these lines ask for. 0: all of it is done, back in the log, or set aside; else the link is lost, or the aside list or
 * the log could not be written: the lines have to be done again. */
int rolling_work(struct rolling *r, const struct coalesce_line *lines, size_t n,
		 struct us_err *err);
/* Take a batch of the log and work it off. 1: one was done; 0: there is none. */
int rolling_batch(struct rolling *r, struct us_err *err);
/* One object of the aside list whose time has come. 1: tried; 0: there is none. */
int rolling_retry(struct rolling *r, struct us_err *err);

/* ---- rolling_full.c ---------------------------------------------------------------------------- */

/* If the channel owes a full comparison, make it. 0 even if objects had to be set aside. */
int rolling_full(struct rolling *r, struct us_err *err);

/* ---- rolling.c ---------------------------------------------------------------------------------- */

/* Get a link, however long it takes. US_ELINK: we are to stop. */
int rolling_connect(struct rolling *r, struct us_err *err);
void rolling_hang_up(struct rolling *r);
/* It broke: say so, and get another. */
int rolling_lost(struct rolling *r, const struct us_err *why, struct us_err *err);
void rolling_note_octets(struct rolling *r);
/* Put a line aside; durable only after rolling_save_aside(). */
void rolling_set_aside(struct rolling *r, struct span line, const struct us_err *why);
/* Write the list, if it changed. */
int rolling_save_aside(struct rolling *r, struct us_err *err);
/* After a failure: when nothing but failures come, it is not the objects; then wait a little before the next. US_ELINK: we are to
 * stop. */
int rolling_slow_down(struct rolling *r, struct us_err *err);

#endif
