/* conf.h - imapd.conf: what the operator wants, read once, asked for by key and type.
 *
 * Every program reads the file at its start under a name of its own, its ident: the entry in cyrus.conf of a
 * service, the program's name else. <ident>_<key> goes before <key>, wherever it stands. Changing the file
 * changes nothing in a running process.
 *
 * Keys of the table (conf_options.def) are asked for by their constant and have been checked against their
 * type. All others are kept as text and asked for by name: partition-NAME, sasl_OPTION, <host>_password,
 * <channel>_sync_host; what nobody asks for is never an error, conf_lint() shows it.
 *
 * What the getters give lives as long as the conf. A conf is not changed once it is made.
 */
#ifndef US_BASE_CONF_H
#define US_BASE_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/base/conf_options.h"
#include "server/base/span.h"

struct buf;
struct conf; /* opaque */
struct conf_reader;
struct us_err;

/* Read a file with all it includes. If the environment has CYRUS_PREFIX, each path is tried behind it first.
 * path     NULL: imapd.conf in the compiled-in directory, /etc
 * Returns  0 with *out for conf_free(); US_ECONFIG with file, line and key, *out untouched. A file without
 *	    configdirectory is an error; without servername it gets the name of the host. */
int conf_load(const char *path, const char *ident, struct conf **out, struct us_err *err);

/* The same from a text called `name`, without those two rules and without a look at the system. reader may be
 * NULL: then nothing can be included. */
int conf_parse(struct span text, const char *name, const char *ident,
	       const struct conf_reader *reader, struct conf **out, struct us_err *err);
void conf_free(struct conf **conf);

/* ---- keys of the table; asking for another type than the row's is a bug -------------------------- */

bool conf_bool(const struct conf *conf, enum conf_key key);
int conf_int(const struct conf *conf, enum conf_key key);
int64_t conf_bytes(const struct conf *conf, enum conf_key key);      /* a size */
int64_t conf_duration_s(const struct conf *conf, enum conf_key key); /* may be negative */
const char *conf_str(const struct conf *conf, enum conf_key key);    /* NULL: unset */
int conf_enum(const struct conf *conf, enum conf_key key); /* an enum conf_word; CONF_WORD_UNSET */
uint64_t conf_bits(const struct conf *conf, enum conf_key key); /* 1 << CONF_BIT_... of each word */
bool conf_has_bit(const struct conf *conf, enum conf_key key, enum conf_bit bit);

bool conf_is_set(const struct conf *conf,
		 enum conf_key key); /* by the file, not only by the table */
/* The value as the file writes it; NULL: the file does not set it. */
const char *conf_setting_text(const struct conf *conf, enum conf_key key);
/* Append the value as it could be written in a file; nothing if it is unset. */
void conf_write(const struct conf *conf, enum conf_key key, struct buf *out);

/* Fill *err with file, line and key in front of the text, or with the key and its default. Returns
 * US_ECONFIG. For programs that find a value wrong in a way the table cannot know. */
int conf_fail(const struct conf *conf, enum conf_key key, struct us_err *err, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* ---- keys beyond the table ----------------------------------------------------------------------- */

/* The value of <ident>_<key>, else of <key>; NULL: neither is set. Without case. */
const char *conf_text(const struct conf *conf, const char *key);
int conf_text_fail(const struct conf *conf, const char *key, struct us_err *err, const char *fmt,
		   ...) __attribute__((format(printf, 4, 5)));

struct conf_item {
	const char *key, *text, *file;
	unsigned line;
};
/* Walk the keys that begin with `prefix`, sorted; start with *at 0. False at the end. */
bool conf_next(const struct conf *conf, const char *prefix, size_t *at, struct conf_item *out);

/* <shorthost>_<what>, where shorthost is `host` up to its first dot. */
const char *conf_host_text(const struct conf *conf, const char *host, const char *what);

/* ---- keys that each channel can have ------------------------------------------------------------- */

/* <channel>_<key>, else the key. channel NULL or "": the channel without a name, the key at once.
 * The typed ones return 0 with *out, or US_ECONFIG with file, line and key: unlike the keys of the table,
 * those of channels are not checked when the file is read, since only who serves a channel knows its name. */
const char *conf_channel_str(const struct conf *conf, const char *channel, enum conf_key key);
int conf_channel_bool(const struct conf *conf, const char *channel, enum conf_key key, bool *out,
		      struct us_err *err);
int conf_channel_int(const struct conf *conf, const char *channel, enum conf_key key, int *out,
		     struct us_err *err);
int conf_channel_duration_s(const struct conf *conf, const char *channel, enum conf_key key,
			    int64_t *out, struct us_err *err);
int conf_channel_fail(const struct conf *conf, const char *channel, enum conf_key key,
		      struct us_err *err, const char *fmt, ...)
	__attribute__((format(printf, 5, 6)));

/* ---- what programs do with it -------------------------------------------------------------------- */

/* For programs that open mailboxes: is there a partition, and the default one? A murder frontend (it has
 * mupdate_server, mupdate_config is standard and there are no proxyservers) needs none. */
int conf_check_partitions(const struct conf *conf, struct us_err *err);

/* Open the log as the file wants it, under the name of `program`, and warn about keys of old names. */
void conf_open_log(const struct conf *conf, const char *program);

enum conf_lint_kind {
	CONF_LINT_UNKNOWN,  /* nobody knows the key */
	CONF_LINT_OLD_NAME, /* text: the name to use instead */
	CONF_LINT_BAD, /* of a channel or another service, and not of its type; text: what is wrong */
	CONF_LINT_CLAMPED,  /* beyond a bound; text: what is used instead */
	CONF_LINT_ACCEPTED, /* without effect so far */
	CONF_LINT_IGNORED,  /* text: why */
	CONF_LINT_SERVICE,  /* an override, legal if there is a service called `text` */
};

struct conf_lint {
	enum conf_lint_kind kind;
	struct conf_item item;
	enum conf_key key; /* CONF_KEYS: none */
	const char *text;
};

/* Call fn for everything in the file that has no effect, or not the one it seems to have. A key can come
 * more than once, with different kinds. *lint lives for the call. */
void conf_lint(const struct conf *conf, void (*fn)(void *ctx, const struct conf_lint *lint),
	       void *ctx);

#endif
