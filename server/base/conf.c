/* conf.c - from a file to a struct conf; see conf.h.
 *
 *	conf_lines_read() --> take_line() --> a setting of the table, or another item
 *	then settle(): {configdirectory}, defaultpartition; others sorted, doubles found
 *
 * A key of the table can stand in the file under several names. The one of the highest rank is used, wherever
 * it stands; the same one twice is an error.
 *
 *	rank = age of the name (an older one 0, the key 1, a newer one 2) * 2 + (with <ident>_ in front)
 */
#include "server/base/conf_private.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/base/conf_file.h"
#include "server/base/conf_lines.h"
#include "server/base/err.h"
#include "server/base/mem.h"

#define CONFIGDIRECTORY "{configdirectory}"

/* ---- lines ------------------------------------------------------------------------------------ */

/* The name of a key with its rank; false: it is no key of the table. */
static bool find_key(struct span name, bool with_ident, enum conf_key *key, uint8_t *rank)
{
	const struct conf_name *other;

	*rank = 2 + with_ident;
	*key = conf_option_find(name);
	if (*key != CONF_KEYS)
		return true;
	other = conf_name_find(name);
	if (!other)
		return false;
	*key = other->key;
	*rank = (uint8_t)((other->age == CONF_OLDER ? 0 : 4) + with_ident);
	return true;
}

/* A name that is a key as a whole is that key, even if it begins with an ident: sync_timeout in a service
 * called sync. */
static bool find_key_of(const struct conf *conf, struct span name, enum conf_key *key,
			uint8_t *rank)
{
	size_t len = strlen(conf->ident);

	if (find_key(name, false, key, rank))
		return true;
	return len && name.len > len && span_starts_nocase(name, conf->ident) &&
	       name.ptr[len] == '_' && find_key(span_from(name, len + 1), true, key, rank);
}

static struct conf_item make_item(struct conf *conf, const struct conf_line *line)
{
	return (struct conf_item){
		.key = pool_strndup(conf->pool, line->key.ptr, line->key.len),
		.text = pool_strndup(conf->pool, line->value.ptr, line->value.len),
		.file = line->file,
		.line = line->line,
	};
}

static void note_old_name(struct conf *conf, struct conf_item item, enum conf_key key)
{
	us_grow(&conf->old_names, conf->n_old_names, &conf->cap_old_names,
		sizeof(*conf->old_names));
	conf->old_names[conf->n_old_names++] = (struct conf_old_name){item, key};
}

static int take_setting(struct conf *conf, const struct conf_line *line, enum conf_key key,
			uint8_t rank, struct us_err *err)
{
	struct conf_setting *s = &conf->settings[key];
	struct conf_value value;
	int rc;

	if (s->ranks_seen & (1u << rank))
		return us_fail(err, US_ECONFIG, "is set twice");
	rc = conf_value_parse(key, line->value, conf->pool, &value, err);
	if (rc < 0)
		return rc;
	s->ranks_seen |= (uint8_t)(1u << rank);
	if (s->from.key && rank < s->rank)
		return 0;
	s->value = value;
	s->rank = rank;
	s->from = make_item(conf, line);
	return 0;
}

static int take_line(void *ctx, const struct conf_line *line, struct us_err *err)
{
	struct conf *conf = ctx;
	enum conf_key key;
	uint8_t rank;
	int rc;

	if (find_key_of(conf, line->key, &key, &rank)) {
		rc = take_setting(conf, line, key, rank, err);
		if (rc == 0 && rank < 2)
			note_old_name(conf, make_item(conf, line), key);
		return rc;
	}
	us_grow(&conf->others, conf->n_others, &conf->cap_others, sizeof(*conf->others));
	conf->others[conf->n_others++] = make_item(conf, line);
	return 0;
}

/* ---- the whole -------------------------------------------------------------------------------- */

static int cmp_items(const void *a, const void *b)
{
	const struct conf_item *x = a, *y = b;
	int order = strcmp(x->key, y->key);

	return order ? order : (x->line > y->line) - (x->line < y->line);
}

static int sort_others(struct conf *conf, struct us_err *err)
{
	struct conf_item *o = conf->others;

	if (conf->n_others)
		qsort(o, conf->n_others, sizeof(*o), cmp_items);
	for (size_t i = 1; i < conf->n_others; i++)
		if (strcmp(o[i - 1].key, o[i].key) == 0)
			return us_fail(err, US_ECONFIG, "%s:%u: %s: is set twice, first at %s:%u",
				       o[i].file, o[i].line, o[i].key, o[i - 1].file,
				       o[i - 1].line);
	return 0;
}

static void expand_configdirectory(struct conf *conf)
{
	const char *dir = conf->settings[CONF_configdirectory].value.text;

	for (size_t i = 0; dir && i < CONF_KEYS; i++) {
		struct conf_value *v = &conf->settings[i].value;
		if (i != CONF_configdirectory && v->text &&
		    span_starts(span_of(v->text), CONFIGDIRECTORY))
			v->text = pool_printf(conf->pool, "%s%s", dir,
					      v->text + strlen(CONFIGDIRECTORY));
	}
}

static int settle_defaultpartition(struct conf *conf, struct us_err *err)
{
	struct conf_value *v = &conf->settings[CONF_defaultpartition].value;
	char *lower;

	if (!v->text)
		return 0;
	lower = pool_strdup(conf->pool, v->text);
	for (char *c = lower; *c; c++) {
		*c = (char)us_lower((unsigned char)*c);
		if (!((*c >= 'a' && *c <= 'z') || (*c >= '0' && *c <= '9')))
			return conf_fail(conf, CONF_defaultpartition, err,
					 "\"%s\" is not made of letters and digits only", v->text);
	}
	v->text = lower;
	return 0;
}

static int settle(struct conf *conf, struct us_err *err)
{
	int rc = sort_others(conf, err);

	if (rc == 0)
		rc = settle_defaultpartition(conf, err);
	expand_configdirectory(conf);
	return rc;
}

static struct conf *conf_new(const char *name, const char *ident)
{
	struct conf *conf = us_calloc(1, sizeof(*conf));

	conf->pool = pool_new();
	conf->name = pool_strdup(conf->pool, name);
	conf->ident = pool_strdup(conf->pool, ident);
	for (size_t i = 0; i < CONF_KEYS; i++)
		conf_value_default((enum conf_key)i, conf->pool, &conf->settings[i].value);
	return conf;
}

void conf_free(struct conf **conf)
{
	if (!*conf)
		return;
	pool_free(&(*conf)->pool);
	free((*conf)->others);
	free((*conf)->old_names);
	free(*conf);
	*conf = NULL;
}

int conf_parse(struct span text, const char *name, const char *ident,
	       const struct conf_reader *reader, struct conf **out, struct us_err *err)
{
	struct conf *conf = conf_new(name, ident);
	int rc = conf_lines_read(text, name, reader, conf->pool, take_line, conf, err);

	if (rc == 0)
		rc = settle(conf, err);
	if (rc == 0)
		*out = conf;
	else
		conf_free(&conf);
	return rc;
}

/* ---- files ------------------------------------------------------------------------------------ */

static int read_file(void *ctx UNUSED, const char *path, struct buf *out, struct us_err *err)
{
	return conf_file_read(path, out, err);
}

static int find_servername(struct conf *conf, struct us_err *err)
{
	struct conf_value *v = &conf->settings[CONF_servername].value;
	char name[HOST_NAME_MAX + 1] = "";

	if (v->set)
		return 0;
	if (gethostname(name, sizeof(name) - 1) < 0)
		return us_fail(err, US_ECONFIG,
			       "servername is not set, and the host has no name: %s",
			       strerror(errno));
	v->set = true;
	v->text = pool_strdup(conf->pool, name);
	return 0;
}

int conf_load(const char *path, const char *ident, struct conf **out, struct us_err *err)
{
	static const struct conf_reader files = {read_file, NULL};
	struct buf text = BUF_INIT;
	struct conf *conf = NULL;
	int rc;

	if (!path)
		path = CONF_IMAPD_PATH;
	rc = conf_file_read(path, &text, err);
	if (rc == 0)
		rc = conf_parse(buf_span(&text), path, ident, &files, &conf, err);
	buf_free(&text);
	if (rc == 0 && !conf_str(conf, CONF_configdirectory))
		rc = us_fail(err, US_ECONFIG, "%s: configdirectory is not set", path);
	if (rc == 0)
		rc = find_servername(conf, err);
	if (rc == 0)
		*out = conf;
	else
		conf_free(&conf);
	return rc;
}
