/* ends.h - both ends of replication in one process: sync_client's own code over a real store, a pipe in memory, server/csync over
 * another real store. */
#ifndef US_TESTS_UNIT_SYNC_CLIENT_ENDS_H
#define US_TESTS_UNIT_SYNC_CLIENT_ENDS_H

#include "tests/unit/csync/peer.h"

#include "server/base/conf.h"
#include "server/store/annotations.h"
#include "server/store/quota.h"
#include "server/store/userdata.h"
#include "sync_client/link_private.h"
#include "sync_client/sync.h"

struct ends {
	struct peer *ours, *theirs; /* to look at either side */
	struct conf *conf;
	struct host host;
	struct sync sync;
	struct link *link;
	/* The replica's end of the link. */
	struct stream *pipe[2];
	struct csync *cs;
	struct dlist_lexer lx;
	struct buf said;      /* the verbs and words of all commands since ends_forget() */
	unsigned applies;     /* APPLYs among them that change something */
	unsigned turns;       /* times the client waited and the replica had something to do */
	bool pipeline;        /* the replica says PIPELINE */
	unsigned break_after; /* the link breaks before that many more commands; 0: it does not */
	bool broken;
};

/* ---- the replica ----------------------------------------------------------------------------------- */

static inline bool ends_verb(struct span word, enum wire_verb *verb)
{
	for (int v = WIRE_VERB_GET; v <= WIRE_VERB_RESTORE; v++)
		if (span_is_nocase(word, wire_verb_name((enum wire_verb)v))) {
			*verb = (enum wire_verb)v;
			return true;
		}
	return false;
}

/* What stands behind the verb, without taking it. */
static inline void ends_note(struct ends *e, struct span verb)
{
	struct span shown, word;
	struct us_err err;

	if (stream_peek(e->pipe[1], &shown, &err) <= 0)
		return;
	shown = span_from(shown, e->lx.used);
	if (!span_word(&shown, &word))
		word = SPAN_LIT("?");
	buf_printf(&e->said, "%.*s %.*s\n", SPAN_ARG(verb), SPAN_ARG(word));
	e->applies += span_is(verb, "APPLY") && !span_is(word, "RESERVE");
}

static inline void ends_one(struct ends *e)
{
	struct us_err err;
	char verb[16];
	enum wire_verb v;

	dlist_lexer_restart(&e->lx);
	if (dlist_next(&e->lx, &err) != DLIST_TOKEN_TEXT)
		return;
	snprintf(verb, sizeof(verb), "%s", e->lx.text.data);
	if (ends_verb(span_of(verb), &v)) {
		ends_note(e, span_of(verb));
		assert_ok(csync_execute(e->cs, v, &e->lx, e->pipe[1], SPAN_NULL, &err), &err);
	} else {
		assert_ok(dlist_skip_line(&e->lx, &err), &err);
		if (span_is(span_of(verb), "RESTART"))
			csync_restart(e->cs);
		stream_write_str(e->pipe[1], "OK done\r\n");
	}
	assert_ok(stream_flush(e->pipe[1], &err), &err);
}

static inline void ends_serve(void *ctx)
{
	struct ends *e = ctx;

	e->turns += !e->broken && stream_readable(e->pipe[1]);
	while (!e->broken && stream_readable(e->pipe[1])) {
		if (e->break_after && --e->break_after == 0) {
			e->broken = true;
			dlist_lexer_fini(&e->lx);
			csync_free(&e->cs);
			stream_free(&e->pipe[1]);
			return;
		}
		ends_one(e);
	}
}

/* ---- making and ending ------------------------------------------------------------------------------ */

static inline void ends_link(struct ends *e)
{
	struct link_config config = {.target = "pipe", .wire_dump = getenv("WIRE_DUMP") != NULL};

	stream_pipe(e->pipe, NULL);
	e->broken = false;
	e->cs = csync_new(&e->theirs->host, 1u << 24);
	dlist_lexer_init(&e->lx, stream_source(e->pipe[1]), NULL);
	e->link = link_over(&config, e->pipe[0]);
	e->link->sieve_mailbox = true;
	e->link->pipeline = e->pipeline;
	stream_pipe_on_empty(e->pipe[0], ends_serve, e);
	assert_string_equal(peer_say(e->theirs, "APPLY CAPABILITIES (SIEVE-MAILBOX)"),
			    "* ENABLED (SIEVE-MAILBOX)\r\n" OK);
	sync_attach(&e->sync, e->link);
}

static inline void ends_hang_up(struct ends *e)
{
	sync_attach(&e->sync, NULL);
	link_close(&e->link);
	if (e->broken)
		return;
	csync_free(&e->cs);
	dlist_lexer_fini(&e->lx);
	stream_free(&e->pipe[1]);
}

static inline void ends_conf(struct ends *e, const char *more)
{
	char *text = us_asprintf("configdirectory: %s\n%s", e->ours->rig->config, more);
	struct us_err err;

	assert_ok(conf_parse(span_of(text), "imapd.conf", "sync_client", NULL, &e->conf, &err),
		  &err);
	free(text);
}

static inline struct ends *ends_new(bool pipeline)
{
	struct ends *e = us_calloc(1, sizeof(*e));

	e->pipeline = pipeline;
	e->ours = peer_new();
	e->theirs = peer_new();
	buf_init(&e->said, 0);
	ends_conf(e, "");
	e->host = e->ours->host;
	e->host.conf = e->conf;
	sync_init(&e->sync, &e->host);
	ends_link(e);
	assert_string_equal(peer_say(e->ours, "APPLY CAPABILITIES (SIEVE-MAILBOX)"),
			    "* ENABLED (SIEVE-MAILBOX)\r\n" OK);
	return e;
}

static inline int ends_setup(void **state)
{
	*state = ends_new(/* pipeline */ false);
	return 0;
}

static inline int ends_setup_pipeline(void **state)
{
	*state = ends_new(/* pipeline */ true);
	return 0;
}

static inline int ends_teardown(void **state)
{
	struct ends *e = *state;

	ends_hang_up(e);
	sync_fini(&e->sync);
	conf_free(&e->conf);
	buf_free(&e->said);
	peer_free(e->ours);
	peer_free(e->theirs);
	free(e);
	return 0;
}
/* Each test is two: with a replica that is asked one thing at a time, and with one of our kind. */
#define test_ends(f)                                                        \
	cmocka_unit_test_setup_teardown(f, ends_setup, ends_teardown),      \
	{                                                                   \
#f "_pipeline", f, ends_setup_pipeline, ends_teardown, NULL \
	}

/* ---- what is tested --------------------------------------------------------------------------------- */

static inline void ends_forget(struct ends *e)
{
	buf_clear(&e->said);
	e->applies = e->turns = 0;
}

/* Both sides answer this alike. */
static inline void ends_alike(struct ends *e, const char *command)
{
	char *ours = us_strdup(peer_say(e->ours, command));

	assert_string_equal(ours, peer_say(e->theirs, command));
	free(ours);
}

static inline void ends_same_mailbox(struct ends *e, const char *name)
{
	char *command = us_asprintf("GET FULLMAILBOX %s", name);
	struct mailbox *m = rig_mailbox(e->theirs->rig, name);

	ends_alike(e, command);
	rig_check_counters(m);
	mailbox_close(&m);
	free(command);
}

static inline void ends_same_user(struct ends *e, const char *userid)
{
	char *command = us_asprintf("GET USER %s", userid);

	ends_alike(e, command);
	free(command);
}

static inline int ends_try_user(struct ends *e, const char *userid, struct us_err *err)
{
	bool exists;
	int rc = sync_user(&e->sync, span_of(userid), &exists, err);

	assert_true(exists || rc < 0);
	return rc;
}

/* Bring the user over; he must be equal then, and a second look must find nothing to do. */
static inline void ends_sync_user(struct ends *e, const char *userid)
{
	struct us_err err;

	assert_ok(ends_try_user(e, userid, &err), &err);
	ends_same_user(e, userid);
	ends_forget(e);
	assert_ok(ends_try_user(e, userid, &err), &err);
	if (e->applies)
		fail_msg("the second look sent: %s", e->said.data);
}

#endif
