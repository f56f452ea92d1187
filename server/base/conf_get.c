/* conf_get.c - asking a struct conf; see conf.h. */
#include "server/base/conf_private.h"

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/base/buf.h"
#include "server/base/err.h"
#include "server/base/mem.h"

/* ---- keys of the table ------------------------------------------------------------------------ */

static const struct conf_value *value_of(const struct conf *conf, enum conf_key key,
					 enum conf_type type)
{
	us_assert(conf_option(key)->type == type);
	return &conf->settings[key].value;
}

bool conf_bool(const struct conf *conf, enum conf_key key)
{
	return value_of(conf, key, CONF_SWITCH)->number != 0;
}

int conf_int(const struct conf *conf, enum conf_key key)
{
	return (int)value_of(conf, key, CONF_INT)->number; /* clamped to an int */
}

int64_t conf_bytes(const struct conf *conf, enum conf_key key)
{
	return value_of(conf, key, CONF_SIZE)->number;
}

int64_t conf_duration_s(const struct conf *conf, enum conf_key key)
{
	return value_of(conf, key, CONF_DURATION)->number;
}

const char *conf_str(const struct conf *conf, enum conf_key key)
{
	return value_of(conf, key, CONF_STRING)->text;
}

int conf_enum(const struct conf *conf, enum conf_key key)
{
	enum conf_type type = conf_option(key)->type;

	return (int)value_of(conf, key, type == CONF_ONEOF ? type : CONF_ENUM)->number;
}

uint64_t conf_bits(const struct conf *conf, enum conf_key key)
{
	return value_of(conf, key, CONF_BITS)->bits;
}

bool conf_has_bit(const struct conf *conf, enum conf_key key, enum conf_bit bit)
{
	return conf_bits(conf, key) >> bit & 1;
}

bool conf_is_set(const struct conf *conf, enum conf_key key)
{
	return conf->settings[key].from.key != NULL;
}

const char *conf_setting_text(const struct conf *conf, enum conf_key key)
{
	return conf_is_set(conf, key) ? conf->settings[key].from.text : NULL;
}

void conf_write(const struct conf *conf, enum conf_key key, struct buf *out)
{
	conf_value_write(key, &conf->settings[key].value, out);
}

/* ---- keys beyond the table -------------------------------------------------------------------- */

static int cmp_key(const void *key, const void *item)
{
	return strcmp(key, ((const struct conf_item *)item)->key);
}

static const struct conf_item *find_exactly(const struct conf *conf, const char *ident,
					    const char *key)
{
	const struct conf_item *found = NULL;
	struct buf name = BUF_INIT;

	if (*ident)
		buf_printf(&name, "%s_", ident);
	buf_add_str(&name, key);
	for (size_t i = 0; i < name.len; i++)
		name.data[i] = (char)us_lower((unsigned char)name.data[i]);
	if (conf->n_others)
		found = bsearch(name.data, conf->others, conf->n_others, sizeof(*conf->others),
				cmp_key);
	buf_free(&name);
	return found;
}

const struct conf_item *conf_find_item(const struct conf *conf, const char *key)
{
	const struct conf_item *found = *conf->ident ? find_exactly(conf, conf->ident, key) : NULL;

	return found ? found : find_exactly(conf, "", key);
}

const char *conf_text(const struct conf *conf, const char *key)
{
	const struct conf_item *item = conf_find_item(conf, key);

	return item ? item->text : NULL;
}

bool conf_next(const struct conf *conf, const char *prefix, size_t *at, struct conf_item *out)
{
	for (; *at < conf->n_others; ++*at) {
		const struct conf_item *item = &conf->others[*at];
		if (!span_starts(span_of(item->key), prefix))
			continue;
		*out = *item;
		++*at;
		return true;
	}
	return false;
}

const char *conf_host_text(const struct conf *conf, const char *host, const char *what)
{
	char *key = us_asprintf("%.*s_%s", (int)strcspn(host, "."), host, what);
	const char *text = conf_text(conf, key);

	free(key);
	return text;
}

/* ---- channels --------------------------------------------------------------------------------- */

static const struct conf_item *find_channel_item(const struct conf *conf, const char *channel,
						 enum conf_key key)
{
	const struct conf_item *item;
	char *name;

	if (!channel || !*channel)
		return NULL;
	name = us_asprintf("%s_%s", channel, conf_option(key)->name);
	item = conf_find_item(conf, name);
	free(name);
	return item;
}

const char *conf_channel_str(const struct conf *conf, const char *channel, enum conf_key key)
{
	const struct conf_item *item = find_channel_item(conf, channel, key);

	us_assert(conf_option(key)->type == CONF_STRING);
	return item ? item->text : conf_str(conf, key);
}

static int channel_number(const struct conf *conf, const char *channel, enum conf_key key,
			  enum conf_type type, int64_t *out, struct us_err *err)
{
	const struct conf_item *item = find_channel_item(conf, channel, key);
	struct conf_value value = *value_of(conf, key, type);
	struct us_err why = US_ERR_INIT;

	if (item && conf_value_parse(key, span_of(item->text), conf->pool, &value, &why) < 0)
		return conf_channel_fail(conf, channel, key, err, "%s", why.text);
	*out = value.number;
	return 0;
}

int conf_channel_bool(const struct conf *conf, const char *channel, enum conf_key key, bool *out,
		      struct us_err *err)
{
	int64_t n;
	int rc = channel_number(conf, channel, key, CONF_SWITCH, &n, err);

	if (rc == 0)
		*out = n != 0;
	return rc;
}

int conf_channel_int(const struct conf *conf, const char *channel, enum conf_key key, int *out,
		     struct us_err *err)
{
	int64_t n;
	int rc = channel_number(conf, channel, key, CONF_INT, &n, err);

	if (rc == 0)
		*out = (int)n; /* clamped to an int */
	return rc;
}

int conf_channel_duration_s(const struct conf *conf, const char *channel, enum conf_key key,
			    int64_t *out, struct us_err *err)
{
	return channel_number(conf, channel, key, CONF_DURATION, out, err);
}

/* ---- errors about values ---------------------------------------------------------------------- */

static int fail_at(const struct conf_item *item, struct us_err *err, const char *fmt, va_list ap)
{
	char text[sizeof(err->text)];

	vsnprintf(text, sizeof(text), fmt, ap);
	return us_fail(err, US_ECONFIG, "%s:%u: %s: %s", item->file, item->line, item->key, text);
}

/* `item` or, if that is NULL, that the key is not in the file. */
static int fail_key(const struct conf *conf, const struct conf_item *item, enum conf_key key,
		    struct us_err *err, const char *fmt, va_list ap)
{
	const struct conf_option *o = conf_option(key);
	char text[sizeof(err->text)];

	if (!item && conf_is_set(conf, key))
		item = &conf->settings[key].from;
	if (item)
		return fail_at(item, err, fmt, ap);
	vsnprintf(text, sizeof(text), fmt, ap);
	if (o->fallback && *o->fallback)
		return us_fail(err, US_ECONFIG, "%s: %s (by default %s): %s", conf->name, o->name,
			       o->fallback, text);
	return us_fail(err, US_ECONFIG, "%s: %s (not set): %s", conf->name, o->name, text);
}

int conf_fail(const struct conf *conf, enum conf_key key, struct us_err *err, const char *fmt, ...)
{
	va_list ap;
	int rc;

	va_start(ap, fmt);
	rc = fail_key(conf, NULL, key, err, fmt, ap);
	va_end(ap);
	return rc;
}

int conf_channel_fail(const struct conf *conf, const char *channel, enum conf_key key,
		      struct us_err *err, const char *fmt, ...)
{
	va_list ap;
	int rc;

	va_start(ap, fmt);
	rc = fail_key(conf, find_channel_item(conf, channel, key), key, err, fmt, ap);
	va_end(ap);
	return rc;
}

int conf_text_fail(const struct conf *conf, const char *key, struct us_err *err, const char *fmt,
		   ...)
{
	const struct conf_item *item = conf_find_item(conf, key);
	char text[sizeof(err->text)];
	va_list ap;
	int rc;

	va_start(ap, fmt);
	if (item) {
		rc = fail_at(item, err, fmt, ap);
	} else {
		vsnprintf(text, sizeof(text), fmt, ap);
		rc = us_fail(err, US_ECONFIG, "%s: %s (not set): %s", conf->name, key, text);
	}
	va_end(ap);
	return rc;
}

/* ---- partitions ------------------------------------------------------------------------------- */

static bool is_frontend(const struct conf *conf)
{
	return conf_str(conf, CONF_mupdate_server) &&
	       conf_enum(conf, CONF_mupdate_config) == CONF_mupdate_config_standard &&
	       !conf_str(conf, CONF_proxyservers);
}

int conf_check_partitions(const struct conf *conf, struct us_err *err)
{
	const char *usual = conf_str(conf, CONF_defaultpartition);
	struct conf_item item;
	size_t at = 0;
	char *key;
	int rc = 0;

	if (is_frontend(conf))
		return 0;
	if (!usual)
		return conf_next(conf, "partition-", &at, &item)
			       ? 0
			       : us_fail(err, US_ECONFIG, "%s: no partition-NAME is set",
					 conf->name);
	key = us_asprintf("partition-%s", usual);
	if (!conf_text(conf, key))
		rc = conf_fail(conf, CONF_defaultpartition, err, "%s is not set", key);
	free(key);
	return rc;
}
