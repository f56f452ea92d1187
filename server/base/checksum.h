/* checksum.h - the sums the product lives by.
 *
 * crc32   as in zlib, gzip and PNG: what the Cyrus wire protocol sums are made of (RFC 1952, section 8)
 * crc32c  Castagnoli (RFC 3720, appendix B.4): everything we put on a disk
 * guid    SHA-1 of a message's bytes (FIPS 180-4): its identity between servers
 * sha256  of a whole state (FIPS 180-4): two stores are equal, or not
 */
#ifndef US_BASE_CHECKSUM_H
#define US_BASE_CHECKSUM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/base/span.h"

uint32_t us_crc32(struct span data);
/* Sum of `data` continued from `crc`, the sum of what came before; start with 0. */
uint32_t us_crc32c(uint32_t crc, const void *data, size_t len);

#define GUID_SIZE 20
#define GUID_HEX  41 /* 40 digits and a NUL */
struct guid {
	uint8_t byte[GUID_SIZE];
};

struct guid guid_of(struct span message);
bool guid_eq(const struct guid *a, const struct guid *b);
int guid_cmp(const struct guid *a, const struct guid *b); /* byte order */
bool guid_is_null(const struct guid *g);
bool guid_parse(struct span hex, struct guid *out); /* exactly 40 hex digits, either case */
void guid_format(const struct guid *g, char hex[GUID_HEX]);

/* A sum taken while bytes pass by. */
struct guid_sum; /* opaque */
struct guid_sum *guid_sum_new(void);
void guid_sum_add(struct guid_sum *sum, const void *data, size_t len);
struct guid guid_sum_end(struct guid_sum **sum); /* frees it */
void guid_sum_free(struct guid_sum **sum);

#define SHA256_SIZE 32
#define SHA256_HEX  65 /* 64 digits and a NUL */
struct sha256 {
	uint8_t byte[SHA256_SIZE];
};

struct sha256 sha256_of(struct span data);
bool sha256_eq(const struct sha256 *a, const struct sha256 *b);
void sha256_format(const struct sha256 *sum, char hex[SHA256_HEX]);

#endif
