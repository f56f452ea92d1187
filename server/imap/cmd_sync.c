/* cmd_sync.c - csync inside IMAP, for administrators: SYNCGET, SYNCAPPLY, SYNCRESTORE, SYNCRESTART (csync-protocol 2.8).
 *
 * The values of these commands are dlists, which csync reads from the connection itself; it writes the answer with its
 * tagged line, too. Nothing else may be written in between: a client takes every untagged line for an answer.
 */
#include "server/base/mem.h"
#include "server/csync/csync.h"
#include "server/imap/session.h"

static struct csync *csync_of(struct imap_session *s)
{
	if (!s->csync)
		s->csync =
			csync_new(s->host, (uint64_t)conf_bytes(s->host->conf, CONF_sync_maxapply));
	return s->csync;
}

static void fini(struct imap_session *s)
{
	csync_free(&s->csync);
}

const struct command_stream sync_stream = {.fini = fini};

static enum wire_verb verb_of(const struct command *command)
{
	if (span_is(span_of(command->name), "SYNCGET"))
		return WIRE_VERB_GET;
	return span_is(span_of(command->name), "SYNCAPPLY") ? WIRE_VERB_APPLY : WIRE_VERB_RESTORE;
}

int run_sync(struct imap_session *s, const void *args UNUSED, struct us_err *err)
{
	struct dlist_limits limits;
	struct dlist_lexer lexer;
	int rc;

	if (!s->handed_over)
		return imap_bad(s, "Replication parse failure in %s", s->command->shown);
	/* What is applied is a replica's doing, whichever port it comes through. */
	change_log_set_origin(s->host->change_log, CHANNELS_REPLICATED);
	csync_limits(s->host->conf, &limits);
	dlist_lexer_init(&lexer, stream_source(s->out), &limits);
	rc = csync_execute(csync_of(s), verb_of(s->command), &lexer, s->out, s->tag, err);
	dlist_lexer_fini(&lexer);
	change_log_set_origin(s->host->change_log, CHANNELS_LOCAL);
	s->answered = true;
	s->lost = rc < 0;
	return 0;
}

int run_syncrestart(struct imap_session *s, const void *args UNUSED, struct us_err *err UNUSED)
{
	if (s->csync)
		csync_restart(s->csync);
	return imap_ok(s, "Restarting");
}
