/* channels.h - which channels hear of a change: star, chain, and the ones that always do. */
#ifndef US_CHANNELS_CHANNELS_H
#define US_CHANNELS_CHANNELS_H

#include <stdbool.h>
#include <stddef.h>

#include "channels/channel.h"
#include "server/base/err.h"
#include "server/base/span.h"

/* The configuration keys of these names. */
struct channels_config {
	const char *configdirectory;
	bool sync_log;
	const char *
		sync_log_channels; /* blank-separated; "" in quotes is the nameless one; NULL: only that one */
	bool sync_log_chain;
	const char *sync_log_unsuppressable_channels;
	unsigned lock_ms; /* how long a writer waits for a log's lock */
};

enum channels_origin {
	CHANNELS_LOCAL, /* a client, a delivery, a tool: every channel hears */
	CHANNELS_REPLICATED, /* applied for a peer: only with sync_log_chain, or an unsuppressable channel */
};

struct channels; /* those that apply to one origin; opaque */

/* The names alone, in the order of the configuration: *out in one allocation to free(). */
size_t channels_names(const struct channels_config *config, enum channels_origin origin,
		      char ***out);

/* US_ECONFIG for a name no directory can have. With sync_log off there are none and appending does nothing. */
int channels_open(const struct channels_config *config, enum channels_origin origin,
		  struct channels **out, struct us_err *err);
void channels_close(struct channels **channels);
size_t channels_count(const struct channels *channels);
struct channel *channels_at(const struct channels *channels, size_t i);

/* Append these lines to every one of them; the first failure is returned, after all were tried: a line too many
 * does no harm. */
int channels_append(struct channels *channels, struct span lines, struct us_err *err);

#endif
