/* storeid.c - see storeid.h. */
#include "server/store/storeid.h"

#include <openssl/rand.h>
#include <stdio.h>
#include <string.h>

#include "server/base/err.h"

static void draw(uint8_t *out, int len)
{
	if (RAND_bytes(out, len) != 1)
		us_panic("no random bytes");
}

struct storeid storeid_new(void)
{
	struct storeid id = {0};

	draw(id.byte, STOREID_SIZE);
	return id;
}

void storeid_format(const struct storeid *id, char hex[STOREID_HEX])
{
	for (int i = 0; i < STOREID_SIZE; i++)
		snprintf(hex + (ptrdiff_t)2 * i, 3, "%02x", id->byte[i]);
}

bool storeid_parse(struct span hex, struct storeid *out)
{
	static const char digits[] = "0123456789abcdef";
	struct storeid id = {0};

	if (hex.len != (size_t)2 * STOREID_SIZE)
		return false;
	for (int i = 0; i < STOREID_SIZE; i++) {
		const char *high = hex.ptr[2 * i] ? strchr(digits, hex.ptr[2 * i]) : NULL;
		const char *low = hex.ptr[2 * i + 1] ? strchr(digits, hex.ptr[2 * i + 1]) : NULL;
		if (!high || !low)
			return false;
		id.byte[i] = (uint8_t)((high - digits) << 4 | (low - digits));
	}
	*out = id;
	return true;
}

int storeid_cmp(const struct storeid *a, const struct storeid *b)
{
	return memcmp(a->byte, b->byte, STOREID_SIZE);
}

void uniqueid_new(char out[UUID_TEXT])
{
	uint8_t b[16];

	draw(b, sizeof(b));
	b[6] = (uint8_t)((b[6] & 0x0f) | 0x40);
	b[8] = (uint8_t)((b[8] & 0x3f) | 0x80);
	snprintf(out, UUID_TEXT,
		 "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0], b[1],
		 b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14],
		 b[15]);
}
