/* checksum.c - ISA-L and OpenSSL do the work; see checksum.h. */
#include "server/base/checksum.h"

#include <isa-l/crc.h>
#include <limits.h>
#include <stdlib.h>
#include <openssl/evp.h>
#include <string.h>

#include "server/base/err.h"
#include "server/base/mem.h"

uint32_t us_crc32(struct span data)
{
	return crc32_gzip_refl(0, (const unsigned char *)data.ptr, data.len);
}

uint32_t us_crc32c(uint32_t crc, const void *data, size_t len)
{
	unsigned char *at = (unsigned char *)data; /* ISA-L only reads, though it does not say so */

	while (len) {
		int step = len > INT_MAX ? INT_MAX : (int)len;
		crc = ~crc32_iscsi(at, step, ~crc);
		at += step;
		len -= (size_t)step;
	}
	return crc;
}

struct guid_sum {
	EVP_MD_CTX *ctx;
};

struct guid_sum *guid_sum_new(void)
{
	struct guid_sum *sum = us_calloc(1, sizeof(*sum));

	sum->ctx = EVP_MD_CTX_new();
	us_assert(sum->ctx && EVP_DigestInit_ex(sum->ctx, EVP_sha1(), NULL) == 1);
	return sum;
}

void guid_sum_add(struct guid_sum *sum, const void *data, size_t len)
{
	us_assert(EVP_DigestUpdate(sum->ctx, data, len) == 1);
}

void guid_sum_free(struct guid_sum **sum)
{
	if (!*sum)
		return;
	EVP_MD_CTX_free((*sum)->ctx);
	free(*sum);
	*sum = NULL;
}

struct guid guid_sum_end(struct guid_sum **sum)
{
	struct guid g;
	unsigned len = 0;

	us_assert(EVP_DigestFinal_ex((*sum)->ctx, g.byte, &len) == 1 && len == GUID_SIZE);
	guid_sum_free(sum);
	return g;
}

struct guid guid_of(struct span message)
{
	struct guid_sum *sum = guid_sum_new();

	guid_sum_add(sum, message.ptr, message.len);
	return guid_sum_end(&sum);
}

bool guid_eq(const struct guid *a, const struct guid *b)
{
	return guid_cmp(a, b) == 0;
}

int guid_cmp(const struct guid *a, const struct guid *b)
{
	return memcmp(a->byte, b->byte, GUID_SIZE);
}

bool guid_is_null(const struct guid *g)
{
	static const struct guid null;

	return guid_eq(g, &null);
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)us_lower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool guid_parse(struct span hex, struct guid *out)
{
	struct guid g;

	if (hex.len != (size_t)2 * GUID_SIZE)
		return false;
	for (size_t i = 0; i < GUID_SIZE; i++) {
		int high = hex_value(hex.ptr[2 * i]), low = hex_value(hex.ptr[2 * i + 1]);
		if (high < 0 || low < 0)
			return false;
		g.byte[i] = (uint8_t)(high << 4 | low);
	}
	*out = g;
	return true;
}

static void put_hex(const uint8_t *bytes, size_t n, char *out)
{
	static const char digit[] = "0123456789abcdef";

	for (size_t i = 0; i < n; i++) {
		out[2 * i] = digit[bytes[i] >> 4];
		out[2 * i + 1] = digit[bytes[i] & 15];
	}
	out[2 * n] = '\0';
}

void guid_format(const struct guid *g, char hex[GUID_HEX])
{
	put_hex(g->byte, GUID_SIZE, hex);
}

/* ---- SHA-256 ------------------------------------------------------------------------------------- */

struct sha256 sha256_of(struct span data)
{
	struct sha256 sum;
	unsigned len = 0;

	us_assert(EVP_Digest(data.ptr, data.len, sum.byte, &len, EVP_sha256(), NULL) == 1 &&
		  len == SHA256_SIZE);
	return sum;
}

bool sha256_eq(const struct sha256 *a, const struct sha256 *b)
{
	return memcmp(a->byte, b->byte, SHA256_SIZE) == 0;
}

void sha256_format(const struct sha256 *sum, char hex[SHA256_HEX])
{
	put_hex(sum->byte, SHA256_SIZE, hex);
}
