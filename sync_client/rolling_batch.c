/* rolling_batch.c - a batch of log lines, from the file to its last object. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "reconcile/agenda.h"
#include "server/base/log.h"
#include "server/base/mem.h"
#include "server/base/wait.h"
#include "server/store/channelmark.h"
#include "server/store/mboxname.h"
#include "sync_client/collapse.h"
#include "sync_client/rolling_private.h"
#include "sync_client/work.h"
#include "synclog/record.h"

/* An object over which the link is lost that often in a row is itself what is wrong. */
#define MOST_LOSSES 3
#define TOGETHER    64 /* mailboxes of several users that are looked at in one pass */

/* ---- lines --------------------------------------------------------------------------------------- */

/* The kinds of both are in one order. */
static struct coalesce_line line_of(const struct synclog_record *r)
{
	return (struct coalesce_line){(enum coalesce_kind)r->kind, {r->arg[0], r->arg[1]}};
}

static int line_text(const struct coalesce_line *line, struct buf *out, struct us_err *err)
{
	enum synclog_kind kind = (enum synclog_kind)line->kind;
	struct synclog_record record = {kind,
					{line->arg[0], line->arg[1]},
					synclog_kind_args(kind)};

	return synclog_format(&record, out, err);
}

struct lines {
	struct coalesce_line *items;
	size_t n, cap;
};

static void parse_lines(struct rolling *r, struct span text, struct pool *pool, struct lines *out)
{
	struct synclog_record record;
	struct us_err why = US_ERR_INIT;
	struct span bad;
	int rc;

	while ((rc = synclog_parse(&text, pool, &record, &bad, &why)) != 0) {
		if (rc < 0) {
			log_event(LOG_WARNING, "sync.line.unreadable",
				  LF_STR("channel", r->ch->name), LF_SPAN("line", bad),
				  LF_ERR(&why));
			continue;
		}
		us_grow(&out->items, out->n, &out->cap, sizeof(out->items[0]));
		out->items[out->n++] = line_of(&record);
	}
}

/* ---- one piece of work, and what became of it ------------------------------------------------------ */

static void describe(const struct work *work, struct buf *out)
{
	buf_printf(out, "%d %.*s %.*s", (int)work->kind, SPAN_ARG(work->owner),
		   SPAN_ARG(work->arg[0]));
}

/* If the link was lost over the same object again and again, this is no network failure. */
static int judge_loss(struct rolling *r, const struct work *work, int rc, struct us_err *why)
{
	struct buf object = BUF_INIT;

	if (!link_is_lost(rc) || rolling_is_stopping(r)) {
		r->losses = rc == 0 ? 0 : r->losses;
		return rc;
	}
	describe(work, &object);
	r->losses = r->suspect && span_is(buf_span(&object), r->suspect) ? r->losses + 1 : 1;
	free(r->suspect);
	r->suspect = span_dup(buf_span(&object));
	buf_free(&object);
	if (r->losses < MOST_LOSSES)
		return rc;
	r->losses = 0;
	us_err_prefix(why, "the link was lost over it %d times", MOST_LOSSES);
	rolling_hang_up(r);
	return US_EREMOTE;
}

static int put_back(struct rolling *r, const struct coalesce_line *lines, size_t n,
		    struct us_err *err)
{
	struct buf text = BUF_INIT;
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < n; i++)
		rc = line_text(&lines[i], &text, err);
	if (rc == 0)
		rc = synclog_append(r->ch->writer, buf_span(&text), 10000, NULL, err);
	buf_free(&text);
	r->not_before = wait_clock_ms() + retry_failed(&r->locked);
	return rc;
}

static int put_aside(struct rolling *r, const struct coalesce_line *lines, size_t n,
		     const struct us_err *why, struct us_err *err)
{
	struct buf text = BUF_INIT;
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < n; i++) {
		buf_clear(&text);
		rc = line_text(&lines[i], &text, err);
		if (rc == 0)
			rolling_set_aside(r, span_make(text.data, text.len - 1), why);
	}
	buf_free(&text);
	return rc == 0 ? rolling_slow_down(r, err) : rc;
}

/* What succeeded is no longer aside. */
static void take_back(struct rolling *r, const struct coalesce_line *lines, size_t n)
{
	struct buf text = BUF_INIT;

	r->in_a_row = 0;
	retry_succeeded(&r->failing);
	for (size_t i = 0; r->aside.n && i < n; i++) {
		buf_clear(&text);
		if (line_text(&lines[i], &text, NULL) == 0 &&
		    aside_remove(&r->aside, span_make(text.data, text.len - 1)) > 0)
			r->aside_changed = true;
	}
	buf_free(&text);
}

/* Do what became of it. */
static int settle(struct rolling *r, struct agenda *b, const struct work *work, int result,
		  const struct us_err *why, struct us_err *err)
{
	enum agenda_fate fate = agenda_done(b, work, result);
	const struct coalesce_line *lines;
	size_t n;

	lines = agenda_lines(b, work, &n);
	switch (fate) {
	case AGENDA_DONE:
		take_back(r, lines, n);
		return 0;
	case AGENDA_PROMOTED:
		log_event(LOG_NOTICE, "sync.work.promoted", LF_SPAN("object", work->arg[0]),
			  LF_ERR(why));
		return 0;
	case AGENDA_BACK:
		return put_back(r, lines, n, err);
	case AGENDA_ASIDE:
		return put_aside(r, lines, n, why, err);
	case AGENDA_STOPPED:
		break;
	}
	if (err)
		*err = *why;
	return result;
}

static bool owner_of(void *ctx, struct span mailbox, struct buf *userid)
{
	struct rolling *r = ctx;

	return mboxname_owner(mailbox, store_config(r->s->store)->deletedprefix, userid);
}

static int one_work(struct rolling *r, const struct work *work, struct us_err *why)
{
	int result;

	if (work->withheld)
		return us_fail(why, work->withheld, "it waits for what else of its owner failed");
	result = r->link ? work_do(r->s, work, why) : us_fail(why, US_ELINK, "there is no link");
	return judge_loss(r, work, result, why);
}

static int work_all(struct rolling *r, struct agenda *b, struct us_err *err)
{
	const struct work *work;
	int rc = 0;

	while (rc == 0 && (work = agenda_next(b))) {
		struct us_err why = US_ERR_INIT;
		int result = one_work(r, work, &why);
		rc = settle(r, b, work, result, &why, err);
		if (rc == 0 && !r->link)
			rc = rolling_connect(r, err);
		rolling_note_octets(r);
	}
	return rc;
}

/* ---- lines of users who are set aside ----------------------------------------------------------------- */

/* The user it belongs to; false: nobody's. Appends. */
static bool line_owner(struct rolling *r, const struct coalesce_line *line, struct buf *out)
{
	switch (line->kind) {
	case COALESCE_USER:
	case COALESCE_UNUSER:
	case COALESCE_META:
	case COALESCE_SIEVE:
	case COALESCE_SEEN:
	case COALESCE_SUB:
	case COALESCE_UNSUB:
		buf_add_span(out, line->arg[0]);
		return true;
	case COALESCE_RENAME: /* may be two users' */
	case COALESCE_ANNOTATION:
	case COALESCE_KINDS:
		return false;
	default:
		return owner_of(r, line->arg[0], out);
	}
}

/* Is he aside as a whole, and not due yet? */
static bool is_waiting(struct rolling *r, const struct coalesce_line *line)
{
	struct buf text = BUF_INIT, id = BUF_INIT;
	bool waiting = false;

	if (line_owner(r, line, &id)) {
		struct coalesce_line user = {COALESCE_USER, {buf_span(&id), SPAN_NULL}};
		if (line_text(&user, &text, NULL) == 0)
			waiting = aside_is_waiting(&r->aside, span_make(text.data, text.len - 1),
						   store_now());
	}
	buf_free(&text);
	buf_free(&id);
	return waiting;
}

/* Comparing him, when his time comes, does what his lines ask for; only removals are kept beside it. */
static int absorb(struct rolling *r, const struct coalesce_line *line, struct us_err *err)
{
	struct us_err why = US_ERR_INIT;

	if (line->kind != COALESCE_UNUSER && line->kind != COALESCE_UNMAILBOX)
		return 0;
	us_fail(&why, US_ECHANGED, "it waits for what else of its owner failed");
	return put_aside(r, line, 1, &why, err);
}

static int keep_ready(struct rolling *r, const struct coalesce_line *lines, size_t n,
		      struct coalesce_line *ready, size_t *n_ready, struct us_err *err)
{
	int rc = 0;

	*n_ready = 0;
	for (size_t i = 0; rc == 0 && i < n; i++) {
		if (r->aside.n && is_waiting(r, &lines[i]))
			rc = absorb(r, &lines[i], err);
		else
			ready[(*n_ready)++] = lines[i];
	}
	return rc;
}

int rolling_work(struct rolling *r, const struct coalesce_line *lines, size_t n, struct us_err *err)
{
	struct coalesce_owner owner = {owner_of, r};
	struct pool *pool = pool_new();
	struct coalesce_line *ready = pool_alloc(pool, us_mul_size(n + 1, sizeof(*ready)));
	struct coalesced todo;
	struct agenda *b = NULL;
	size_t n_ready;
	int rc = keep_ready(r, lines, n, ready, &n_ready, err);

	if (rc == 0) {
		coalesce(ready, n_ready, &owner, pool, &todo);
		b = agenda_new(&todo, r->link && link_has_pipeline(r->link) ? TOGETHER : 0);
		rc = work_all(r, b, err);
	}
	agenda_free(&b);
	pool_free(&pool);
	return rc;
}

/* ---- a batch ---------------------------------------------------------------------------------------- */

/* When the oldest line of a log was written: when the log came into being (ns since 1970; 0: not known). */
static int64_t born_ns(int fd)
{
	struct statx st;

	if (statx(fd, "", AT_EMPTY_PATH, STATX_BTIME, &st) < 0 || !(st.stx_mask & STATX_BTIME))
		return 0;
	return (int64_t)st.stx_btime.tv_sec * 1000000000 + st.stx_btime.tv_nsec;
}

static int work_lines(struct rolling *r, const struct synclog_batch *batch, int64_t born,
		      struct us_err *err)
{
	struct pool *pool = pool_new();
	struct lines lines = {0};
	int rc;

	parse_lines(r, buf_span(&batch->text), pool, &lines);
	channel_note_taken(r->ch, batch->left ? NULL : &batch->end, lines.n, born);
	rc = rolling_work(r, lines.items, lines.n, err);
	free(lines.items);
	pool_free(&pool);
	return rc;
}

/* Too long to go through line by line: the users it names; too many users: everything. */
static int work_collapsed(struct rolling *r, const struct synclog_batch *batch, int64_t born,
			  struct us_err *err)
{
	struct coalesce_owner owner = {owner_of, r};
	struct collapsed c;
	int rc = collapse_log(batch->fd, &owner, r->backlog_max, &c, err);

	channel_enter(r->ch, CHANNEL_COLLAPSED);
	log_event(LOG_NOTICE, "sync.log.collapsed", LF_STR("channel", r->ch->name),
		  LF_NUM("bytes", batch->end.offset), LF_NUM("objects", c.n_compare));
	if (rc == US_ELIMIT) {
		rc = channelmark_owe(r->s->store, r->ch->name, "backlog", err);
	} else if (rc == 0) {
		channel_note_taken(r->ch, batch->left ? NULL : &batch->end, c.n_compare, born);
		rc = rolling_work(r, c.compare, c.n_compare, err);
		/* Removals last, as ever: whoever is here again by now was compared. */
		if (rc == 0)
			rc = rolling_work(r, c.removals, c.n_removals, err);
	}
	collapse_free(&c);
	return rc;
}

/* The file is ours, its lines are worked off as often as it takes. */
static int work_file(struct rolling *r, const struct synclog_batch *batch, bool too_long,
		     struct us_err *err)
{
	int64_t born = born_ns(batch->fd);

	for (;;) {
		struct us_err why = US_ERR_INIT;
		int rc = too_long ? work_collapsed(r, batch, born, &why)
				  : work_lines(r, batch, born, &why);
		if (rc == 0) {
			channel_note_confirmed(r->ch, batch->left ? NULL : &batch->end, born);
			return 0;
		}
		if (!link_is_lost(rc) || rolling_is_stopping(r)) {
			if (err)
				*err = why;
			return rc;
		}
		rc = rolling_lost(r, &why, err);
		if (rc < 0)
			return rc;
	}
}

/* Nobody waits for it, so it comes when all is confirmed; and not at all while there is more to do. */
static int let_forget(struct rolling *r, struct us_err *err)
{
	struct us_err why = US_ERR_INIT;
	int rc;

	if (synclog_backlog(r->ch->dir))
		return 0;
	rc = sync_restart(r->s, &why);
	return link_is_lost(rc) ? rolling_lost(r, &why, err) : 0;
}

int rolling_batch(struct rolling *r, struct us_err *err)
{
	struct synclog_batch batch;
	struct us_err why;
	int rc;

	if (r->options->file)
		rc = synclog_take_file(r->options->file, r->backlog_max, &batch, &why);
	else
		rc = synclog_take(r->ch->dir, channel_generation(r->ch), r->backlog_max, &batch,
				  &why);
	if (rc <= 0 && rc != US_ELIMIT) {
		if (err && rc < 0)
			*err = why;
		return rc;
	}
	r->not_before = wait_clock_ms() + r->interval_ms;
	rc = work_file(r, &batch, rc == US_ELIMIT, err);
	if (rc == 0)
		rc = rolling_save_aside(r, err);
	if (rc == 0 && !r->options->file)
		rc = synclog_done(&batch, err);
	else
		synclog_release(&batch); /* it stays; the next to look takes it up */
	if (rc == 0)
		rc = let_forget(r, err);
	return rc < 0 ? rc : 1;
}

/* If something wider was done in its place, or it went back to the log, the line itself is done with. */
static void forget_if_done(struct rolling *r, struct span line)
{
	if (!aside_is_waiting(&r->aside, line, store_now()) && aside_remove(&r->aside, line) > 0)
		r->aside_changed = true;
}

int rolling_retry(struct rolling *r, struct us_err *err)
{
	const struct aside_entry *e = aside_due(&r->aside, store_now());
	struct pool *pool;
	struct lines lines = {0};
	struct buf text = BUF_INIT;
	int rc;

	if (!e)
		return 0;
	pool = pool_new();
	buf_printf(&text, "%s\n", e->line);
	parse_lines(r, buf_span(&text), pool, &lines);
	rc = rolling_work(r, lines.items, lines.n, err);
	if (rc == 0) {
		forget_if_done(r, span_make(text.data, text.len - 1));
		rc = rolling_save_aside(r, err);
	}
	free(lines.items);
	buf_free(&text);
	pool_free(&pool);
	return rc < 0 ? rc : 1;
}
