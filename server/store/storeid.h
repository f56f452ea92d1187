/* storeid.h - the local identity of a mailbox: 128 random bits, never on the wire, never reused. */
#ifndef US_STORE_STOREID_H
#define US_STORE_STOREID_H

#include <stdbool.h>
#include <stdint.h>

#include "server/base/span.h"

#define STOREID_SIZE 16
#define STOREID_HEX  33 /* 32 digits and a NUL */

struct storeid {
	uint8_t byte[STOREID_SIZE];
};

struct storeid storeid_new(void);
bool storeid_parse(struct span hex, struct storeid *out); /* exactly 32 lower-case hex digits */
void storeid_format(const struct storeid *id, char hex[STOREID_HEX]);
int storeid_cmp(const struct storeid *a,
		const struct storeid *b); /* the order locks are taken in */

#define UNIQUEID_MAX 255
#define UUID_TEXT    37
void uniqueid_new(char out[UUID_TEXT]); /* a lower-case UUID, RFC 4122 version 4 */

#endif
