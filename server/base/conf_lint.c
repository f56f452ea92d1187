/* conf_lint.c - what of a file has no effect, or not the one it seems to have; see conf.h.
 *
 * A key beyond the table is legal if it has one of the forms below, or is a key of the table for a channel,
 * CHANNEL_sync_KEY, or for another service, SERVICE_KEY.
 */
#include "server/base/conf_private.h"

#include <stdlib.h>
#include <string.h>

#include "server/base/buf.h"
#include "server/base/err.h"
#include "server/base/mem.h"

struct linter {
	const struct conf *conf;
	void (*fn)(void *ctx, const struct conf_lint *lint);
	void *ctx;
};

static const struct form {
	enum { BEGINS, ENDS, HOLDS } where;
	const char *text;
	enum conf_status status;
	const char *why;
} forms[] = {
	{BEGINS, "partition-", CONF_OBEYED, NULL},
	{BEGINS, "metapartition-", CONF_OBEYED, NULL},
	{BEGINS, "archivepartition-", CONF_OBEYED, NULL},
	{BEGINS, "backuppartition-", CONF_IGNORED, "Belongs to Cyrus's backup server."},
	{BEGINS, "sasl_", CONF_OBEYED, NULL},
	{BEGINS, "xlist-", CONF_OBEYED, NULL},
	{BEGINS, "uidbatches_", CONF_ACCEPTED, NULL},
	{BEGINS, "sieve_mdn_", CONF_ACCEPTED, NULL},
	{HOLDS, "searchpartition-", CONF_OBEYED, NULL},
	{ENDS, "_password", CONF_OBEYED, NULL},
	{ENDS, "_mechs", CONF_OBEYED, NULL},
	{ENDS, "_client_cert", CONF_OBEYED, NULL},
	{ENDS, "_client_key", CONF_OBEYED, NULL},
};

static bool has_form(const char *key, const struct form *form)
{
	size_t len = strlen(key), part = strlen(form->text);

	switch (form->where) {
	case BEGINS:
		return len > part && strncmp(key, form->text, part) == 0;
	case ENDS:
		return len > part && strcmp(key + len - part, form->text) == 0;
	default:
		return strstr(key, form->text) != NULL;
	}
}

static const struct form *find_form(const char *key)
{
	for (size_t i = 0; i < ARRAY_SIZE(forms); i++)
		if (has_form(key, &forms[i]))
			return &forms[i];
	return NULL;
}

static void tell(const struct linter *l, enum conf_lint_kind kind, struct conf_item item,
		 enum conf_key key, const char *text)
{
	struct conf_lint lint = {kind, item, key, text};

	l->fn(l->ctx, &lint);
}

static void tell_status(const struct linter *l, struct conf_item item, enum conf_key key)
{
	const struct conf_option *o = conf_option(key);

	if (o->status == CONF_ACCEPTED)
		tell(l, CONF_LINT_ACCEPTED, item, key, NULL);
	else if (o->status == CONF_IGNORED)
		tell(l, CONF_LINT_IGNORED, item, key, o->text);
}

static void tell_clamped(const struct linter *l, struct conf_item item, enum conf_key key,
			 const struct conf_value *value)
{
	struct buf used = BUF_INIT;

	conf_value_write(key, value, &used);
	tell(l, CONF_LINT_CLAMPED, item, key, used.data);
	buf_free(&used);
}

static void lint_setting(const struct linter *l, enum conf_key key)
{
	const struct conf_setting *s = &l->conf->settings[key];

	if (!s->from.key)
		return;
	if (s->value.clamped)
		tell_clamped(l, s->from, key, &s->value);
	tell_status(l, s->from, key);
}

/* A key of the table with something in front of it. */
static void lint_override(const struct linter *l, struct conf_item item, struct span before,
			  enum conf_key key)
{
	bool of_channel = span_starts(span_of(conf_option(key)->name), "sync_");
	struct pool *pool = pool_new();
	struct conf_value value;
	struct us_err why = US_ERR_INIT;

	if (!of_channel)
		tell(l, CONF_LINT_SERVICE, item, key, pool_strndup(pool, before.ptr, before.len));
	if (conf_value_parse(key, span_of(item.text), pool, &value, &why) < 0)
		tell(l, CONF_LINT_BAD, item, key, why.text);
	else if (value.clamped)
		tell_clamped(l, item, key, &value);
	tell_status(l, item, key);
	pool_free(&pool);
}

/* SERVICE_FORM, such as imap_sasl_mech_list. */
static void lint_form(const struct linter *l, struct conf_item item, struct span before,
		      const struct form *form)
{
	char *service = before.len ? span_dup(before) : NULL;

	if (service)
		tell(l, CONF_LINT_SERVICE, item, CONF_KEYS, service);
	if (form->status == CONF_ACCEPTED)
		tell(l, CONF_LINT_ACCEPTED, item, CONF_KEYS, NULL);
	else if (form->status == CONF_IGNORED)
		tell(l, CONF_LINT_IGNORED, item, CONF_KEYS, form->why);
	free(service);
}

/* Where something else can be in front: behind each underline. */
static bool lint_behind(const struct linter *l, struct conf_item item, const char *rest)
{
	struct span before = span_make(item.key, (size_t)(rest - item.key) - 1);
	const struct conf_name *other = conf_name_find(span_of(rest));
	enum conf_key key = other ? other->key : conf_option_find(span_of(rest));
	const struct form *form = find_form(rest);

	if (!before.len)
		return false;
	if (key != CONF_KEYS)
		lint_override(l, item, before, key);
	else if (form && form->where == BEGINS)
		lint_form(l, item, before, form);
	else
		return false;
	return true;
}

static void lint_other(const struct linter *l, struct conf_item item)
{
	const struct form *form = find_form(item.key);

	if (form && form->where == BEGINS) {
		lint_form(l, item, SPAN_NULL, form);
		return;
	}
	for (const char *c = item.key; (c = strchr(c, '_')); c++)
		if (lint_behind(l, item, c + 1))
			return;
	if (form)
		lint_form(l, item, SPAN_NULL, form);
	else
		tell(l, CONF_LINT_UNKNOWN, item, CONF_KEYS, NULL);
}

void conf_lint(const struct conf *conf, void (*fn)(void *ctx, const struct conf_lint *lint),
	       void *ctx)
{
	const struct linter l = {conf, fn, ctx};

	for (size_t i = 0; i < conf->n_old_names; i++)
		tell(&l, CONF_LINT_OLD_NAME, conf->old_names[i].item, conf->old_names[i].key,
		     conf_option(conf->old_names[i].key)->name);
	for (size_t i = 0; i < CONF_KEYS; i++)
		lint_setting(&l, (enum conf_key)i);
	for (size_t i = 0; i < conf->n_others; i++)
		lint_other(&l, conf->others[i]);
}
