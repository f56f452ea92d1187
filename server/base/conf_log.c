/* conf_log.c - the log as imapd.conf wants it; see conf.h. */
#include "server/base/conf_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "server/base/log.h"
#include "server/base/mem.h"

static const struct {
	const char *name;
	int number;
} facilities[] = {
	{"DAEMON", LOG_DAEMON}, {"MAIL", LOG_MAIL},     {"NEWS", LOG_NEWS},
	{"USER", LOG_USER},     {"LOCAL0", LOG_LOCAL0}, {"LOCAL1", LOG_LOCAL1},
	{"LOCAL2", LOG_LOCAL2}, {"LOCAL3", LOG_LOCAL3}, {"LOCAL4", LOG_LOCAL4},
	{"LOCAL5", LOG_LOCAL5}, {"LOCAL6", LOG_LOCAL6}, {"LOCAL7", LOG_LOCAL7},
};

/* -1: no facility of syslog(3). */
static int find_facility(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(facilities); i++)
		if (strcasecmp(name, facilities[i].name) == 0)
			return facilities[i].number;
	return -1;
}

static void open_as(const struct conf *conf, const char *program, int facility)
{
	const char *prefix = getenv("CYRUS_SYSLOG_PREFIX");
	char ident[64];

	if (!prefix || !*prefix)
		prefix = conf_str(conf, CONF_syslog_prefix);
	snprintf(ident, sizeof(ident), "%s%s%s", prefix ? prefix : "", prefix ? "/" : "", program);
	log_open(ident, facility);
}

static void warn_of_old_names(const struct conf *conf)
{
	for (size_t i = 0; i < conf->n_old_names; i++) {
		const struct conf_old_name *old = &conf->old_names[i];
		log_event(LOG_WARNING, "config.key.old", LF_STR("key", old->item.key),
			  LF_STR("instead", conf_option(old->key)->name),
			  LF_STR("path", old->item.file), LF_NUM("line", old->item.line));
	}
}

void conf_open_log(const struct conf *conf, const char *program)
{
	const char *name = conf_str(conf, CONF_syslog_facility);
	int facility = name ? find_facility(name) : LOG_MAIL;

	open_as(conf, program, facility < 0 ? LOG_MAIL : facility);
	log_set_file(conf_str(conf, CONF_logfile));
	log_set_debug(conf_bool(conf, CONF_debug));
	if (facility < 0)
		log_event(LOG_WARNING, "config.value.unusable", LF_STR("key", "syslog_facility"),
			  LF_STR("value", name));
	warn_of_old_names(conf);
}
