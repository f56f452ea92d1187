/* conf_options.c - conf_options.def as tables; see conf_options.h.
 *
 * Look-ups walk the tables from end to end: a configuration has some fifty lines and is read once in the
 * life of a process.
 */
#include "server/base/conf_options.h"

#include "server/base/err.h"
#include "server/base/mem.h"

/* What the type of a row stands for: the kind of value, and what a bare number counts. */
#define TYPE_SWITCH  CONF_SWITCH, 0
#define TYPE_INT     CONF_INT, 0
#define TYPE_BYTES   CONF_SIZE, 1
#define TYPE_KIB     CONF_SIZE, 1024
#define TYPE_SECONDS CONF_DURATION, 1
#define TYPE_MINUTES CONF_DURATION, 60
#define TYPE_DAYS    CONF_DURATION, 86400
#define TYPE_STRING  CONF_STRING, 0
#define TYPE_ENUM    CONF_ENUM, 0
#define TYPE_ONEOF   CONF_ONEOF, 0
#define TYPE_BITS    CONF_BITS, 0

static const struct conf_option options[CONF_KEYS] = {
#define CONF_OPTION(key, type, fallback, low, high, since, status, text) \
	[CONF_##key] = {#key, TYPE_##type, fallback, low, high, since, CONF_##status, text},
#include "server/base/conf_options.def"
};

static const struct conf_name names[] = {
#define CONF_NAME(name, key, age, since) {#name, CONF_##key, CONF_##age, since},
#include "server/base/conf_options.def"
};

static const struct word {
	enum conf_key key;
	const char *text;
} words[CONF_WORDS] = {
#define CONF_WORD(key, id, word) [CONF_##key##_##id] = {CONF_##key, word},
#include "server/base/conf_options.def"
};

static const struct bit {
	enum conf_key key;
	int bit;
	const char *text;
} bits[] = {
#define CONF_BIT(key, id, bit, word) {CONF_##key, bit, word},
#include "server/base/conf_options.def"
};

const struct conf_option *conf_option(enum conf_key key)
{
	us_assert(key < CONF_KEYS);
	return &options[key];
}

enum conf_key conf_option_find(struct span name)
{
	for (size_t i = 0; i < CONF_KEYS; i++)
		if (span_is(name, options[i].name))
			return (enum conf_key)i;
	return CONF_KEYS;
}

const struct conf_name *conf_name_find(struct span name)
{
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (span_is(name, names[i].name))
			return &names[i];
	return NULL;
}

int conf_word_find(enum conf_key key, struct span word)
{
	for (int i = 0; i < CONF_WORDS; i++)
		if (words[i].key == key && span_is(word, words[i].text))
			return i;
	return CONF_WORD_UNSET;
}

const char *conf_word_text(int word)
{
	us_assert(word >= 0 && word < CONF_WORDS);
	return words[word].text;
}

int conf_bit_find(enum conf_key key, struct span word)
{
	for (size_t i = 0; i < ARRAY_SIZE(bits); i++)
		if (bits[i].key == key && span_is(word, bits[i].text))
			return bits[i].bit;
	return -1;
}

const char *conf_bit_text(enum conf_key key, unsigned bit)
{
	for (size_t i = 0; i < ARRAY_SIZE(bits); i++)
		if (bits[i].key == key && (unsigned)bits[i].bit == bit)
			return bits[i].text;
	return NULL;
}
