/* sync.c - what the files of sync.h have in common; see there. */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "server/base/log.h"
#include "sync_client/sync_private.h"

void sync_init(struct sync *s, struct host *host)
{
	const struct conf *conf = host->conf;

	*s = (struct sync){.host = host, .store = host->store, .lock_host = ""};
	s->options.batch = (size_t)conf_int(conf, CONF_sync_batchsize);
	s->options.conversations = conf_bool(conf, CONF_conversations);
	s->options.reverse_acls = conf_bool(conf, CONF_reverseacls);
	s->options.deletedprefix = span_of(store_config(s->store)->deletedprefix);
	s->reserve = reserve_new();
}

void sync_fini(struct sync *s)
{
	reserve_free(&s->reserve);
}

void sync_attach(struct sync *s, struct link *link)
{
	s->link = link;
	reserve_restart(s->reserve);
	if (!link)
		return;
	s->options.sieve_mailbox = link_has_sieve_mailbox(link);
	if (s->options.sieve_mailbox)
		sync_say(s, "ENABLE 0x800"); /* as Cyrus tells that scripts travel as mailboxes */
}

int sync_restart(struct sync *s, struct us_err *err)
{
	if (reserve_is_empty(s->reserve))
		return 0;
	reserve_restart(s->reserve);
	return link_restart(s->link, err);
}

int sync_order(struct sync *s, const struct wire_command *c, struct us_err *err)
{
	struct wire_command order = *c;

	order.local =
		s->local_only && (c->kind == WIRE_APPLY_RENAME || c->kind == WIRE_APPLY_UNMAILBOX ||
				  c->kind == WIRE_APPLY_UNUSER);
	return link_call(s->link, &order, NULL, err);
}

void sync_say(const struct sync *s, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	if (!s->verbose && !s->log_actions)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (s->verbose) {
		puts(text);
		fflush(stdout);
	}
	if (s->log_actions)
		log_event(LOG_INFO, "sync.action", LF_STR("action", text));
}
