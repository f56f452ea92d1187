/* conf_private.h - what a conf is; for conf*.c only. */
#ifndef US_BASE_CONF_PRIVATE_H
#define US_BASE_CONF_PRIVATE_H

#include "server/base/conf.h"
#include "server/base/conf_value.h"
#include "server/base/pool.h"

/* A key of the table. */
struct conf_setting {
	struct conf_value value;
	struct conf_item from; /* as the file has it; from.key NULL: the default */
	uint8_t rank;          /* of the name that was used; see conf.c */
	uint8_t ranks_seen;    /* a bit each */
};

struct conf {
	struct pool *pool; /* all strings */
	const char *name;  /* of the file */
	const char *ident;
	struct conf_setting settings[CONF_KEYS];
	struct conf_item *others; /* what the table does not know, sorted by key */
	size_t n_others, cap_others;
	struct conf_old_name {
		struct conf_item item;
		enum conf_key key;
	} * old_names; /* that are used in the file */
	size_t n_old_names, cap_old_names;
};

/* The setting of another key, with <ident>_ in front if that is there. */
const struct conf_item *conf_find_item(const struct conf *conf, const char *key);

#endif
