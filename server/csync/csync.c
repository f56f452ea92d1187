/* csync.c - one command: read, carried out, answered; see csync.h. */
#include "server/csync/csync.h"

#include <stdlib.h>
#include <string.h>

#include "server/base/log.h"
#include "server/base/mem.h"
#include "server/csync/csync_private.h"
#include "server/store/partition.h"

#define MOST_DEPTH 16    /* of lists in lists. No key, but the grammar's: its deepest order has 6 */
#define PUSH_FROM  32768 /* bytes of an answer kept before they go to the stream */

struct csync *csync_new(struct host *host, uint64_t spool_max)
{
	struct csync *cs = us_calloc(1, sizeof(*cs));

	cs->host = host;
	cs->store = host->store;
	cs->spool_max = spool_max;
	while (store_partition_at(cs->store, cs->n_stages))
		cs->n_stages++;
	cs->stages = us_calloc(cs->n_stages, sizeof(cs->stages[0]));
	return cs;
}

void csync_limits(const struct conf *conf, struct dlist_limits *out)
{
	size_t line = (size_t)conf_bytes(conf, CONF_sync_maxline);
	size_t word = (size_t)conf_bytes(conf, CONF_maxword);

	*out = (struct dlist_limits){.word = word ? word : line,
				     .literal = line / 4,
				     .tree = line,
				     .depth = MOST_DEPTH};
}

void csync_restart(struct csync *cs)
{
	for (size_t i = 0; i < cs->n_stages; i++)
		stage_close(&cs->stages[i]);
}

void csync_set_force(struct csync *cs)
{
	cs->force = true;
}

void csync_free(struct csync **cs)
{
	if (!*cs)
		return;
	csync_restart(*cs);
	free((*cs)->stages);
	free(*cs);
	*cs = NULL;
}

/* Where bytes lie is local policy: a partition we do not have by that name is our default one. */
int csync_stage(struct csync *cs, struct span partition, struct stage **out, struct us_err *err)
{
	struct partition *p = folder_local_partition(cs->store, partition);
	size_t i = 0;
	int rc = 0;

	while (store_partition_at(cs->store, i) != p)
		i++;
	if (!cs->stages[i])
		rc = stage_open(p, &cs->stages[i], err);
	*out = cs->stages[i];
	return rc;
}

void csync_push(struct csync_answer *a)
{
	stream_write(a->out, a->text.data, a->text.len);
	buf_clear(&a->text);
}

void csync_push_much(struct csync_answer *a)
{
	if (a->text.len > PUSH_FROM)
		csync_push(a);
}

typedef int handler(struct csync_answer *a, const struct wire_command *c, struct us_err *err);

static handler *const handlers[WIRE_KIND_UNKNOWN] = {
	[WIRE_GET_USER] = csync_get_user,
	[WIRE_GET_META] = csync_get_meta,
	[WIRE_GET_MAILBOXES] = csync_get_mailboxes,
	[WIRE_GET_UNIQUEIDS] = csync_get_uniqueids,
	[WIRE_GET_FULLMAILBOX] = csync_get_fullmailbox,
	[WIRE_GET_QUOTA] = csync_get_quota,
	[WIRE_GET_ANNOTATION] = csync_get_annotation,
	[WIRE_GET_FETCH] = csync_get_fetch,
	[WIRE_GET_FETCH_SIEVE] = csync_get_fetch_sieve,
	[WIRE_GET_DIGESTS] = csync_get_digests,
	[WIRE_APPLY_CAPABILITIES] = csync_apply_capabilities,
	[WIRE_APPLY_FORCE] = csync_apply_force,
	[WIRE_APPLY_RESERVE] = csync_apply_reserve,
	[WIRE_APPLY_RENAME] = csync_apply_rename,
	[WIRE_APPLY_UNMAILBOX] = csync_apply_unmailbox,
	[WIRE_APPLY_EXPUNGE] = csync_apply_expunge,
	[WIRE_APPLY_QUOTA] = csync_apply_quota,
	[WIRE_APPLY_UNQUOTA] = csync_apply_unquota,
	[WIRE_APPLY_SUB] = csync_apply_sub,
	[WIRE_APPLY_UNSUB] = csync_apply_sub,
	[WIRE_APPLY_SEEN] = csync_apply_seen,
	[WIRE_APPLY_ANNOTATION] = csync_apply_annotation,
	[WIRE_APPLY_UNANNOTATION] = csync_apply_annotation,
	[WIRE_APPLY_SIEVE] = csync_apply_sieve,
	[WIRE_APPLY_UNSIEVE] = csync_apply_unsieve,
	[WIRE_APPLY_ACTIVATE_SIEVE] = csync_apply_activate_sieve,
	[WIRE_APPLY_UNACTIVATE_SIEVE] = csync_apply_activate_sieve,
	[WIRE_APPLY_UNUSER] = csync_apply_unuser,
};

/* What a command's reader or handler gave. */
struct outcome {
	int code;
	bool parsed; /* the line made sense, and was read to its end */
};

/* Did reading end because the line makes no sense (wire.h)? Then the answer is BAD, and the rest of it is skipped. A line
 * that the connection's end cut off makes no sense either: "UNUSER bob" may have been going to be "UNUSER bobby". */
static struct outcome outcome_of_reading(const struct dlist_lexer *lx, int code, struct us_err *err)
{
	if (lx->cut)
		return (struct outcome){us_fail(err, US_ECLOSED,
						"the connection ended within a command"),
					false};
	return (struct outcome){code, code == 0 || (code != US_EPROTO && lx->ended)};
}

static struct outcome run_update(struct csync_answer *a, struct dlist_lexer *lx, struct us_err *err)
{
	struct csync_update u;
	int rc = csync_update_read(&u, a, lx, err);
	struct outcome o = outcome_of_reading(lx, rc, err);

	if (o.code == 0)
		o.code = csync_update_apply(&u, err);
	csync_update_end(&u);
	return o;
}

static struct outcome run_command(struct csync_answer *a, enum wire_verb verb,
				  struct dlist_lexer *lx, struct us_err *err)
{
	struct wire_command c = {.kind = WIRE_KIND_UNKNOWN};
	struct outcome o;
	int rc = wire_read_kind(lx, verb, &c, err);

	if (rc < 0)
		return (struct outcome){rc, false};
	if (c.kind == WIRE_APPLY_MAILBOX)
		return run_update(a, lx, err);
	if (c.kind == WIRE_APPLY_MESSAGE) {
		rc = csync_read_messages(a, lx, err);
		return outcome_of_reading(lx, rc, err);
	}
	rc = wire_read_command(lx, a->pool, &c, err);
	o = outcome_of_reading(lx, rc, err);
	if (o.code == 0)
		o.code = c.kind == WIRE_KIND_UNKNOWN ? us_fail(err, US_EPROTO, "unknown command")
						     : handlers[c.kind](a, &c, err);
	return o;
}

/* What reading gave beside a malformed line is the stream's own failure. A handler says US_ECLOSED if an answer could not be
 * brought to its end; any other failure of it, a lock or the metadata that took too long among them, is an answer. */
static bool connection_is_lost(struct outcome o)
{
	if (o.parsed)
		return o.code == US_ECLOSED;
	return o.code != US_EPROTO && o.code != US_ELIMIT;
}

static void log_refusal(int code, const struct us_err *err)
{
	enum wire_answer answer = wire_answer_of(code);

	if (answer == WIRE_UNKNOWN)
		log_event(LOG_ERR, "csync.command.failed",
			  LF_TEXT("IOERROR: a replication command failed"), LF_ERR(err));
	else if (answer != WIRE_NONEXISTENT)
		log_event(LOG_NOTICE, "csync.command.refused", LF_ERR(err));
}

int csync_execute(struct csync *cs, enum wire_verb verb, struct dlist_lexer *lx, struct stream *out,
		  struct span tag, struct us_err *err)
{
	struct csync_answer a = {.cs = cs, .out = out, .pool = pool_new(), .text = BUF_INIT};
	struct us_err why = US_ERR_INIT;
	struct outcome o;
	int rc = 0;

	a.writer = dlist_writer(&a.text, /* a server writes {n} */ false);
	o = run_command(&a, verb, lx, &why);
	if (connection_is_lost(o)) {
		if (err)
			*err = why;
		rc = o.code;
		goto out;
	}
	if (o.code < 0)
		log_refusal(o.code, &why);
	if (!o.parsed)
		rc = dlist_skip_line(lx, err);
	if (o.parsed)
		wire_put_answer(&a.text, tag, wire_answer_of(o.code));
	else
		wire_put_bad(&a.text, tag, wire_verb_name(verb));
	csync_push(&a);
out:
	buf_free(&a.text);
	pool_free(&a.pool);
	return rc;
}
