/* conf_value.h - the value of a key: read from text by the type of its row, and written back. */
#ifndef US_BASE_CONF_VALUE_H
#define US_BASE_CONF_VALUE_H

#include <stdbool.h>
#include <stdint.h>

#include "server/base/buf.h"
#include "server/base/conf_options.h"
#include "server/base/err.h"

struct pool;

struct conf_value {
	bool set;     /* false: neither the file nor the table has one */
	bool clamped; /* the text lay beyond a bound of the row */
	int64_t number; /* SWITCH: 0 or 1; INT; SIZE: bytes; DURATION: seconds; ENUM, ONEOF: a conf_word */
	uint64_t bits;    /* BITS */
	const char *text; /* STRING; else NULL */
};

/* Read `text`. Numbers too large for us are as large as can be, then held within the bounds of the row.
 * Returns  0 with *out filled, its text in `pool`; US_ECONFIG with what is wrong with the text, but not
 *	    where it stands. */
int conf_value_parse(enum conf_key key, struct span text, struct pool *pool, struct conf_value *out,
		     struct us_err *err);

/* What the table says for a file that is silent about the key. */
void conf_value_default(enum conf_key key, struct pool *pool, struct conf_value *out);

/* Append the value as it can be written in a file; nothing if it is unset. */
void conf_value_write(enum conf_key key, const struct conf_value *value, struct buf *out);

#endif
