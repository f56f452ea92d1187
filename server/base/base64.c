/* base64.c - see base64.h. */
#include "server/base/base64.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void base64_encode(struct span data, struct buf *out)
{
	const unsigned char *byte = (const unsigned char *)data.ptr;

	for (size_t at = 0; at < data.len; at += 3) {
		size_t n = data.len - at < 3 ? data.len - at : 3;
		uint32_t bits = (uint32_t)byte[at] << 16;
		char group[4];

		if (n > 1)
			bits |= (uint32_t)byte[at + 1] << 8;
		if (n > 2)
			bits |= byte[at + 2];
		for (size_t i = 0; i < 4; i++)
			group[i] = i <= n ? alphabet[bits >> (18 - 6 * i) & 63] : '=';
		buf_add(out, group, 4);
	}
}

static int value_of(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* One group: the number of octets in it, or -1. Bits that padding leaves over are not looked at. */
static int decode_group(const char *group, bool last, unsigned char octets[3])
{
	uint32_t bits = 0;
	int pads = 0;

	if (last && group[3] == '=')
		pads = group[2] == '=' ? 2 : 1;
	for (int i = 0; i < 4 - pads; i++) {
		int value = value_of(group[i]);

		if (value < 0)
			return -1;
		bits |= (uint32_t)value << (18 - 6 * i);
	}
	octets[0] = (unsigned char)(bits >> 16);
	octets[1] = (unsigned char)(bits >> 8);
	octets[2] = (unsigned char)bits;
	return 3 - pads;
}

bool base64_decode(struct span text, struct buf *out)
{
	size_t before = out->len;

	if (text.len % 4)
		return false;
	for (size_t at = 0; at < text.len; at += 4) {
		unsigned char octets[3];
		int n = decode_group(text.ptr + at, at + 4 == text.len, octets);

		if (n < 0) {
			buf_truncate(out, before);
			return false;
		}
		buf_add(out, octets, (size_t)n);
	}
	return true;
}
