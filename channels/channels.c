/* channels.c - see channels.h. */
#include "channels/channels.h"

#include <stdlib.h>
#include <string.h>

#include "server/base/mem.h"

#define DEFAULT_LOCK_MS 10000

struct channels {
	struct channel **items;
	size_t n;
	unsigned lock_ms;
};

static bool listed(struct span list, struct span word)
{
	struct span w;

	while (span_word(&list, &w))
		if (span_eq(w, word))
			return true;
	return false;
}

/* The two quote characters stand for the nameless channel. */
static struct span name_of(struct span word)
{
	return span_is(word, "\"\"") ? SPAN_LIT("") : word;
}

static bool applies(const struct channels_config *config, enum channels_origin origin,
		    struct span word)
{
	return origin == CHANNELS_LOCAL || config->sync_log_chain ||
	       listed(span_of(config->sync_log_unsuppressable_channels), word);
}

size_t channels_names(const struct channels_config *config, enum channels_origin origin,
		      char ***out)
{
	struct span list = span_of(config->sync_log_channels ? config->sync_log_channels : "\"\""),
		    word, seen = list;
	size_t n = 0, cap = 0;
	char **names = NULL;

	while (config->sync_log && span_word(&list, &word)) {
		struct span before = span_make(seen.ptr, (size_t)(word.ptr - seen.ptr));
		if (!applies(config, origin, word) || listed(before, word))
			continue;
		us_grow(&names, n, &cap, sizeof(names[0]));
		names[n++] = span_dup(name_of(word));
	}
	*out = names;
	return n;
}

static int check_name(const char *name, struct us_err *err)
{
	if (strchr(name, '/') || name[0] == '.' || strcmp(name, "log") == 0 ||
	    strcmp(name, "state") == 0 || strncmp(name, "log-", 4) == 0 ||
	    strcmp(name, "set-aside") == 0)
		return us_fail(err, US_ECONFIG,
			       "sync_log_channels: \"%s\" cannot be the name of a channel", name);
	return 0;
}

int channels_open(const struct channels_config *config, enum channels_origin origin,
		  struct channels **out, struct us_err *err)
{
	struct channels *c = us_calloc(1, sizeof(*c));
	char **names;
	size_t n = channels_names(config, origin, &names);
	int rc = 0;

	c->lock_ms = config->lock_ms ? config->lock_ms : DEFAULT_LOCK_MS;
	c->items = us_calloc(n, sizeof(c->items[0]));
	for (size_t i = 0; rc == 0 && i < n; i++) {
		rc = check_name(names[i], err);
		if (rc == 0)
			rc = channel_open(config->configdirectory, names[i], &c->items[i], err);
		c->n += rc == 0;
	}
	for (size_t i = 0; i < n; i++)
		free(names[i]);
	free(names);
	if (rc < 0)
		channels_close(&c);
	else
		*out = c;
	return rc;
}

void channels_close(struct channels **channels)
{
	if (!*channels)
		return;
	for (size_t i = 0; i < (*channels)->n; i++)
		channel_close(&(*channels)->items[i]);
	free((*channels)->items);
	free(*channels);
	*channels = NULL;
}

size_t channels_count(const struct channels *channels)
{
	return channels->n;
}

struct channel *channels_at(const struct channels *channels, size_t i)
{
	return channels->items[i];
}

int channels_append(struct channels *channels, struct span lines, struct us_err *err)
{
	int first = 0;

	for (size_t i = 0; i < channels->n; i++) {
		struct us_err one;
		int rc = synclog_append(channels->items[i]->writer, lines, channels->lock_ms, NULL,
					&one);
		if (rc < 0 && first == 0) {
			first = rc;
			if (err)
				*err = one;
		}
	}
	return first;
}
