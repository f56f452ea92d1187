/* conf_options.h - the table of all keys of imapd.conf, as conf_options.def spells it out. */
#ifndef US_BASE_CONF_OPTIONS_H
#define US_BASE_CONF_OPTIONS_H

#include <stddef.h>
#include <stdint.h>

#include "server/base/span.h"

/* CONF_timeout, CONF_sync_host, ... */
enum conf_key {
#define CONF_OPTION(key, type, fallback, low, high, since, status, text) CONF_##key,
#include "server/base/conf_options.def"
	CONF_KEYS
};

/* CONF_delete_mode_delayed, ...: what conf_enum() gives. Each is a number of its own. */
enum conf_word {
	CONF_WORD_UNSET = -1,
#define CONF_WORD(key, id, word) CONF_##key##_##id,
#include "server/base/conf_options.def"
	CONF_WORDS
};

/* CONF_BIT_sieve_extensions_fileinto, ...: the positions of bits in what conf_bits() gives. */
enum conf_bit {
#define CONF_BIT(key, id, bit, word) CONF_BIT_##key##_##id = (bit),
#include "server/base/conf_options.def"
};

enum conf_type {
	CONF_SWITCH,
	CONF_INT,
	CONF_SIZE,
	CONF_DURATION,
	CONF_STRING,
	CONF_ENUM,
	CONF_ONEOF,
	CONF_BITS,
};

enum conf_status {
	CONF_OBEYED,
	CONF_ACCEPTED, /* legal, without effect so far */
	CONF_IGNORED,  /* for something that is not here */
};

struct conf_option {
	const char *name;
	enum conf_type type;
	uint32_t unit; /* what a bare number counts: bytes of a size, seconds of a duration */
	const char *fallback; /* the default as written in a file; NULL: unset */
	const char *low, *high;
	const char *since;
	enum conf_status status;
	const char *text;
};

/* Another name of a key. */
struct conf_name {
	const char *name;
	enum conf_key key;
	enum conf_age {
		CONF_OLDER, /* gives way to the key itself */
		CONF_NEWER, /* goes before it */
	} age;
	const char *since; /* the version of Cyrus that gave the name up, or brought it */
};

const struct conf_option *conf_option(enum conf_key key);
/* The key of that name (lower case), CONF_KEYS if there is none. */
enum conf_key conf_option_find(struct span name);
/* The other name that is spelled so, NULL if there is none. */
const struct conf_name *conf_name_find(struct span name);

/* The word of an ENUM or ONEOF key: its number, CONF_WORD_UNSET if it is not legal there. */
int conf_word_find(enum conf_key key, struct span word);
const char *conf_word_text(int word);
/* The bit of a word of a BITS key, -1 if it is not legal there. */
int conf_bit_find(enum conf_key key, struct span word);
/* The first word for that bit, NULL if there is none. */
const char *conf_bit_text(enum conf_key key, unsigned bit);

#endif
